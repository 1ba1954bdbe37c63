//! The media side of the generator: one socket for all callers, one for all seats, one thread. Each payload carries its
//! stream, its send time and a count, so delay and loss are exact per packet.

use std::collections::BTreeSet;
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

const PAYLOAD: usize = 160;
const MAGIC: [u8; 4] = *b"\x71\x5a\x71\x5a";
const FRAME_EVERY: Duration = Duration::from_millis(20);
const LATE_AFTER: Duration = Duration::from_millis(5);

/// Streams in both directions of all calls.
pub(crate) struct Traffic {
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

/// What one [`Traffic::run`] counted.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) sent: u64,
    pub(crate) received: u64,
    pub(crate) delays_ms: Vec<f64>,
    pub(crate) disturbance: Disturbance,
}

/// How well the generator kept its time.
#[derive(Clone, Debug, Default)]
pub(crate) struct Disturbance {
    steps: u64,
    /// Steps that began more than 5 ms after the one before.
    late: u64,
    /// Packets that the kernel did not take.
    refused: u64,
    /// The machine's time that its host took away, and all of it, in clock ticks of all cores.
    stolen: f64,
    ticks: f64,
}

impl Disturbance {
    /// Why figures of this run say nothing about what was measured, if so.
    pub(crate) fn verdict(&self) -> Option<String> {
        let late = self.late as f64 / self.steps.max(1) as f64;
        let stolen = self.stolen / self.ticks.max(1.0);
        let is_bad = late > 0.01 || self.refused > 0 || stolen > 0.02;
        is_bad.then(|| {
            format!(
                "{:.2} % of the generator's steps late, {} sends refused, {:.1} % of the time stolen",
                late * 100.0,
                self.refused,
                stolen * 100.0
            )
        })
    }
}

impl Counts {
    /// Those of another run as well.
    pub(crate) fn add(&mut self, other: Self) {
        self.sent += other.sent;
        self.received += other.received;
        self.delays_ms.extend(other.delays_ms);
        self.disturbance.steps += other.disturbance.steps;
        self.disturbance.late += other.disturbance.late;
        self.disturbance.refused += other.disturbance.refused;
        self.disturbance.stolen += other.disturbance.stolen;
        self.disturbance.ticks += other.disturbance.ticks;
    }
}

/// Time stolen by the host, and all time, of all cores (`/proc/stat`, clock ticks).
fn stolen() -> (f64, f64) {
    let text = std::fs::read_to_string("/proc/stat").unwrap_or_default();
    let fields: Vec<f64> = text
        .lines()
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .skip(1)
        .filter_map(|field| field.parse().ok())
        .collect();
    (fields.get(7).copied().unwrap_or(0.0), fields.iter().sum())
}

impl Traffic {
    /// Sockets on loopback.
    pub(crate) fn new() -> Self {
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

    pub(crate) fn callers_at(&self) -> SocketAddr {
        self.callers.local_addr().expect("bound")
    }

    pub(crate) fn seats_at(&self) -> SocketAddr {
        self.seats.local_addr().expect("bound")
    }

    /// Packets sent so far, all runs together, by stream.
    pub(crate) fn sent_of(&self, stream: usize) -> u16 {
        self.streams.get(stream).map_or(0, |stream| stream.sequence)
    }

    /// Add a stream towards `to`.
    pub(crate) fn add(&mut self, to: SocketAddr, from_caller: bool) {
        self.streams.push(Stream {
            to,
            from_caller,
            sequence: 0,
            next: Duration::ZERO,
        });
    }

    /// Send and receive for `span`; packets under way at its end are still waited for.
    pub(crate) fn run(&mut self, span: Duration) -> Counts {
        let mut counts = Counts::default();
        let (stolen_before, all_before) = stolen();
        let sent_from = self.start.elapsed();
        // The same spread over 20 phases of 1 ms in every run, for the probe and the server alike.
        for (index, stream) in self.streams.iter_mut().enumerate() {
            stream.next = sent_from + Duration::from_millis(index as u64 * 7 % 20);
        }
        let end = sent_from + span;
        let mut last = sent_from;
        while last < end {
            let now = self.start.elapsed();
            counts.disturbance.steps += 1;
            counts.disturbance.late += u64::from(now - last > LATE_AFTER);
            last = now;
            self.send_due(&mut counts);
            self.receive(&mut counts, sent_from);
            std::thread::sleep(Duration::from_micros(150));
        }
        let (stolen_after, all_after) = stolen();
        counts.disturbance.stolen = stolen_after - stolen_before;
        counts.disturbance.ticks = all_after - all_before;
        let grace = Instant::now() + Duration::from_millis(100);
        while Instant::now() < grace {
            self.receive(&mut counts, sent_from);
            std::thread::sleep(Duration::from_micros(500));
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
            } else {
                counts.disturbance.refused += 1;
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
    packet[24..28].copy_from_slice(&(index as u32).to_be_bytes());
    packet[28..30].copy_from_slice(&sequence.to_be_bytes());
    packet
}

fn sent_at(bytes: &[u8]) -> Option<Duration> {
    let payload = bytes.get(12..)?;
    (payload.get(..4)? == MAGIC).then_some(())?;
    Some(Duration::from_nanos(u64::from_be_bytes(
        payload.get(4..12)?.try_into().ok()?,
    )))
}

/// The packets of ours in one channel of an A-law file: stream and number of each.
pub(crate) fn packets_in(channel: &[u8]) -> BTreeSet<(u32, u16)> {
    channel
        .windows(18)
        .filter(|window| window.starts_with(&MAGIC))
        .map(|window| {
            let stream = [window[12], window[13], window[14], window[15]];
            let sequence = [window[16], window[17]];
            (u32::from_be_bytes(stream), u16::from_be_bytes(sequence))
        })
        .collect()
}

/// The value below which `share` of all lie.
pub(crate) fn percentile(values: &mut [f64], share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let at = (values.len() as f64 * share).ceil() as usize;
    values
        .get(at.saturating_sub(1))
        .copied()
        .unwrap_or(f64::INFINITY)
}
