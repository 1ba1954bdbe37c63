//! The media side of the generator: one socket for all callers, one for all seats, one thread. Each payload carries its
//! stream, its send time and a count, so delay and loss are exact per packet.

use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

const PAYLOAD: usize = 160;
const MAGIC: [u8; 4] = *b"\x71\x5a\x71\x5a";
const FRAME_EVERY: Duration = Duration::from_millis(20);

/// Streams in both directions of all calls.
pub struct Traffic {
    callers: UdpSocket,
    seats: UdpSocket,
    /// Where each stream goes: callers' streams first, then seats'.
    streams: Vec<Stream>,
    start: Instant,
}

struct Stream {
    to: SocketAddr,
    from_caller: bool,
    sequence: u16,
    next: Duration,
}

/// What was counted between `reset` and `counts`.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    pub sent: u64,
    pub received: u64,
    pub delays_ms: Vec<f64>,
}

impl Traffic {
    /// Sockets on loopback.
    pub fn new() -> Self {
        let socket = || {
            let socket = UdpSocket::bind("127.0.0.1:0").expect("a loopback socket");
            socket.set_nonblocking(true).expect("non-blocking");
            let wide = socket2::SockRef::from(&socket);
            wide.set_recv_buffer_size(8 << 20)
                .expect("a receive buffer");
            socket
        };
        Self {
            callers: socket(),
            seats: socket(),
            streams: Vec::new(),
            start: Instant::now(),
        }
    }

    pub fn callers_at(&self) -> SocketAddr {
        self.callers.local_addr().expect("bound")
    }

    pub fn seats_at(&self) -> SocketAddr {
        self.seats.local_addr().expect("bound")
    }

    /// Add a stream towards `to`; streams are spread over the 20 ms.
    pub fn add(&mut self, to: SocketAddr, from_caller: bool) {
        let phase = Duration::from_millis((self.streams.len() as u64 * 7) % 20);
        let next = self.start.elapsed() + phase;
        self.streams.push(Stream {
            to,
            from_caller,
            sequence: 0,
            next,
        });
    }

    /// Send and receive for `span`; packets under way at its end are still waited for.
    pub fn run(&mut self, span: Duration) -> Counts {
        let mut counts = Counts::default();
        let end = self.start.elapsed() + span;
        let sent_from = self.start.elapsed();
        while self.start.elapsed() < end {
            self.send_due(&mut counts);
            self.receive(&mut counts, sent_from);
            std::thread::sleep(Duration::from_micros(150));
        }
        let grace = Instant::now() + Duration::from_millis(100);
        while Instant::now() < grace {
            self.receive(&mut counts, sent_from);
            std::thread::sleep(Duration::from_micros(500));
        }
        // The pause must not come back as a burst.
        let now = self.start.elapsed();
        for stream in &mut self.streams {
            while stream.next < now {
                stream.next += FRAME_EVERY;
            }
        }
        counts
    }

    fn send_due(&mut self, counts: &mut Counts) {
        let now = self.start.elapsed();
        for (index, stream) in self.streams.iter_mut().enumerate() {
            if stream.next > now {
                continue;
            }
            stream.next += FRAME_EVERY;
            stream.sequence = stream.sequence.wrapping_add(1);
            let packet = packet(index, stream.sequence, self.start.elapsed());
            let socket = if stream.from_caller {
                &self.callers
            } else {
                &self.seats
            };
            if socket.send_to(&packet, stream.to).is_ok() {
                counts.sent += 1;
            }
        }
    }

    fn receive(&self, counts: &mut Counts, sent_from: Duration) {
        let mut buffer = [0_u8; 2048];
        for socket in [&self.callers, &self.seats] {
            while let Ok((length, _)) = socket.recv_from(&mut buffer) {
                let Some(sent) = sent_at(&buffer[..length]) else {
                    continue;
                };
                if sent >= sent_from {
                    counts.received += 1;
                    counts
                        .delays_ms
                        .push((self.start.elapsed().saturating_sub(sent)).as_secs_f64() * 1000.0);
                }
            }
        }
    }
}

fn packet(index: usize, sequence: u16, now: Duration) -> [u8; 12 + PAYLOAD] {
    let mut packet = [0xD5_u8; 12 + PAYLOAD];
    packet[..2].copy_from_slice(&[0x80, 8]);
    packet[2..4].copy_from_slice(&sequence.to_be_bytes());
    packet[4..8].copy_from_slice(&(u32::from(sequence) * 160).to_be_bytes());
    packet[8..12].copy_from_slice(&(index as u32 + 1000).to_be_bytes());
    packet[12..16].copy_from_slice(&MAGIC);
    packet[16..24].copy_from_slice(&(now.as_nanos() as u64).to_be_bytes());
    packet
}

fn sent_at(bytes: &[u8]) -> Option<Duration> {
    let payload = bytes.get(12..)?;
    (payload.get(..4)? == MAGIC).then_some(())?;
    Some(Duration::from_nanos(u64::from_be_bytes(
        payload.get(4..12)?.try_into().ok()?,
    )))
}

/// How many of our packets lie in one channel of an A-law file.
pub fn packets_in(channel: &[u8]) -> usize {
    channel
        .windows(MAGIC.len())
        .filter(|window| *window == MAGIC)
        .count()
}

/// The value below which 99 % lie.
pub fn p99(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values
        .get(values.len().saturating_sub(1) * 99 / 100)
        .copied()
        .unwrap_or(f64::INFINITY)
}
