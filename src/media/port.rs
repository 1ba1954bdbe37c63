//! RTP ports: one even RTP and one odd RTCP socket per leg out of the configured range (SHELL: opens sockets).
//!
//! ```text
//! Free --open--> Used --drop of the Port--> Resting (2 s) --> Free
//! ```
//! A port that another process holds is skipped and rests as well. The next port is always the one that was free
//! longest, so late packets of an old call meet a closed port. Refuses to know: legs, packets.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex, PoisonError};

use socket2::{Domain, Protocol, Socket, Type};

use super::OpenError;
use crate::clock::Clock;
use crate::config::checked::Media;
use crate::time::Timestamp;

/// A freed port is not used again for this long.
const REST: std::time::Duration = std::time::Duration::from_secs(2);
/// Ports tried in one go before the range counts as taken.
const TRIES: usize = 64;
/// Receive buffer of an RTP socket: 200 ms of a flood at most, far more of a call.
const RECEIVE_BYTES: usize = 256 * 1024;

/// The ports of the range.
#[derive(Debug)]
pub struct Ports {
    bind: IpAddr,
    dscp: u8,
    total: usize,
    pool: Mutex<Pool>,
}

#[derive(Debug)]
struct Pool {
    free: VecDeque<u16>,
    resting: VecDeque<(Timestamp, u16)>,
    used: usize,
}

/// A leg's two sockets; frees its numbers when dropped.
#[derive(Debug)]
pub struct Port {
    pub rtp: UdpSocket,
    pub rtcp: UdpSocket,
    number: u16,
    ports: Arc<Ports>,
}

impl Port {
    /// Number of the RTP port.
    #[must_use]
    pub const fn number(&self) -> u16 {
        self.number
    }
}

impl Drop for Port {
    fn drop(&mut self) {
        let mut pool = self.ports.lock();
        pool.used = pool.used.saturating_sub(1);
        pool.rest(self.number);
    }
}

impl Ports {
    /// The even ports of the configured range whose odd neighbour lies in it too. `start` (any number) says where
    /// to begin.
    #[must_use]
    pub fn new(config: &Media, start: usize) -> Self {
        let mut free: VecDeque<u16> = (config.port_first..config.port_last)
            .filter(|port| port % 2 == 0)
            .collect();
        if !free.is_empty() {
            let start = start % free.len();
            free.rotate_left(start);
        }
        Self {
            bind: config.bind,
            dscp: config.dscp,
            total: free.len(),
            pool: Mutex::new(Pool {
                free,
                resting: VecDeque::new(),
                used: 0,
            }),
        }
    }

    /// Ports in use and in the range.
    #[must_use]
    pub fn usage(&self) -> (usize, usize) {
        (self.lock().used, self.total)
    }

    /// Open the pair that was free longest.
    ///
    /// # Errors
    /// [`OpenError::NoPort`] when all are used, resting or held by others, [`OpenError::NoSocket`] when the process
    /// may not open more.
    pub fn open(self: &Arc<Self>) -> Result<Port, OpenError> {
        for _ in 0..TRIES {
            let Some(number) = self.lock().take() else {
                return Err(OpenError::NoPort);
            };
            let pair = self
                .socket(number)
                .and_then(|rtp| Ok((rtp, self.socket(number + 1)?)));
            match pair {
                Ok((rtp, rtcp)) => {
                    self.lock().used += 1;
                    return Ok(Port {
                        rtp,
                        rtcp,
                        number,
                        ports: Arc::clone(self),
                    });
                }
                Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {
                    self.lock().rest(number);
                }
                Err(error) => {
                    self.lock().free.push_front(number);
                    return Err(OpenError::NoSocket(error.kind()));
                }
            }
        }
        Err(OpenError::NoPort)
    }

    fn socket(&self, port: u16) -> std::io::Result<UdpSocket> {
        let address = SocketAddr::new(self.bind, port);
        let socket = Socket::new(
            Domain::for_address(address),
            Type::DGRAM,
            Some(Protocol::UDP),
        )?;
        socket.set_nonblocking(true)?;
        // Without the wanted size or mark the call still talks: both are wishes.
        let _ = socket.set_recv_buffer_size(RECEIVE_BYTES);
        let mark = u32::from(self.dscp) << 2;
        let _ = match self.bind {
            IpAddr::V4(_) => socket.set_tos_v4(mark),
            IpAddr::V6(_) => socket.set_tclass_v6(mark),
        };
        socket.bind(&address.into())?;
        Ok(socket.into())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Pool> {
        self.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pool {
    fn take(&mut self) -> Option<u16> {
        let now = Clock::process().now();
        while let Some((until, port)) = self.resting.front().copied() {
            if until > now {
                break;
            }
            self.resting.pop_front();
            self.free.push_back(port);
        }
        self.free.pop_front()
    }

    fn rest(&mut self, port: u16) {
        self.resting
            .push_back((Clock::process().now() + REST, port));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    /// A range whose ports are free just now.
    fn range(pairs: u16) -> Media {
        for _ in 0..200 {
            let probe = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
            let first = probe.local_addr().unwrap().port() & !1;
            let Some(last) = first.checked_add(pairs * 2 - 1) else {
                continue;
            };
            drop(probe);
            if (first..=last).all(|port| UdpSocket::bind((Ipv4Addr::LOCALHOST, port)).is_ok()) {
                return Media {
                    bind: Ipv4Addr::LOCALHOST.into(),
                    advertised: None,
                    port_first: first,
                    port_last: last,
                    workers: 1,
                    dscp: 46,
                };
            }
        }
        panic!("no free range");
    }

    #[test]
    fn a_leg_gets_an_even_port_and_the_odd_one_above_marked_for_voice() {
        let ports = Arc::new(Ports::new(&range(4), 1));
        let port = ports.open().unwrap();
        assert_eq!(port.number() % 2, 0);
        assert_eq!(port.rtp.local_addr().unwrap().port(), port.number());
        assert_eq!(port.rtcp.local_addr().unwrap().port(), port.number() + 1);
        let socket = socket2::SockRef::from(&port.rtp);
        assert_eq!(socket.tos_v4().unwrap(), 46 << 2);
        assert_eq!(ports.usage(), (1, 4));
    }

    #[test]
    fn a_used_up_range_says_so_and_a_freed_port_rests() {
        let ports = Arc::new(Ports::new(&range(2), 0));
        let first = ports.open().unwrap();
        let second = ports.open().unwrap();
        assert_eq!(ports.open().err(), Some(OpenError::NoPort));
        drop(first);
        assert_eq!(ports.open().err(), Some(OpenError::NoPort), "it rests");
        drop(second);
        assert_eq!(ports.usage(), (0, 2));
        for (until, _) in &mut ports.lock().resting {
            *until = Timestamp::from_micros(0);
        }
        assert!(ports.open().is_ok());
    }

    #[test]
    fn a_port_held_by_somebody_else_is_passed_over() {
        let config = range(3);
        let held = UdpSocket::bind((Ipv4Addr::LOCALHOST, config.port_first + 1)).unwrap();
        let ports = Arc::new(Ports::new(&config, 0));
        let port = ports.open().unwrap();
        assert_ne!(port.number() + 1, held.local_addr().unwrap().port());
    }
}
