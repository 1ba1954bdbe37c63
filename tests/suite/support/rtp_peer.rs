//! A far side of an RTP session on loopback: two threads that send a tone (and keys) and keep all that comes.
//!
//! ```ignore
//! let peer = RtpPeer::start(Voice::tone(440.0));          // bound, silent
//! plane.connect(leg, peer.session());                     // what its SDP would say
//! peer.talk_to(plane_address);                            // 50 packets a second from now on
//! wait_until("the tone", || peer.hears(700.0));           // tone in the last 300 ms it heard
//! ```

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use firstring::media::session::{Codec, Direction, Session};

use super::sipp::Place;
use super::tone::{loudest_tone, tone, tone_share};

/// What a peer says and how.
#[derive(Clone, Copy, Debug)]
pub struct Voice {
    /// 0 = digital silence.
    pub hz: f64,
    pub codec: Codec,
    pub ptime_ms: u16,
    /// Of `telephone-event`, if it agreed to that.
    pub dtmf: Option<u8>,
}

impl Voice {
    /// A-law, 20 ms, telephone-event 101.
    pub fn tone(hz: f64) -> Self {
        Self {
            hz,
            codec: Codec::Pcma,
            ptime_ms: 20,
            dtmf: Some(101),
        }
    }
}

/// One packet as it came.
#[derive(Clone, Debug)]
pub struct HeardPacket {
    pub at: Instant,
    pub from: SocketAddr,
    pub payload_type: u8,
    pub marker: bool,
    pub sequence: u16,
    pub timestamp: u32,
    pub ssrc: u32,
    pub payload: Vec<u8>,
}

#[derive(Default)]
struct State {
    target: Option<SocketAddr>,
    muted: bool,
    /// Event code and packets to send before its end.
    keys: Vec<(u8, u16)>,
    sent: Vec<(u16, Vec<u8>)>,
    heard: Vec<HeardPacket>,
    reports: Vec<Vec<u8>>,
}

/// The peer. Dropped, it stops. It has a loopback address of its own: what others on this machine still send to a party that left
/// never reaches it, not even by the chance of a port.
pub struct RtpPeer {
    place: Place,
    voice: Voice,
    pub ssrc: u32,
    socket: Arc<Mutex<Arc<UdpSocket>>>,
    rtcp: Arc<UdpSocket>,
    state: Arc<Mutex<State>>,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl RtpPeer {
    /// Bind on loopback and listen; nothing is sent yet.
    pub fn start(voice: Voice) -> Self {
        let place = Place::new();
        let (socket, rtcp) = pair(place.ip);
        let socket = Arc::new(Mutex::new(socket));
        let state = Arc::new(Mutex::new(State::default()));
        let stop = Arc::new(AtomicBool::new(false));
        let [_, _, high, low] = place.ip.octets();
        let ssrc = u32::from_be_bytes([0x5E, 0xED, high, low]);
        let mut peer = Self {
            place,
            voice,
            ssrc,
            socket,
            rtcp,
            state,
            stop,
            threads: Vec::new(),
        };
        peer.threads = vec![peer.sender(), peer.receiver(), peer.report_receiver()];
        peer
    }

    /// Where it receives RTP.
    pub fn address(&self) -> SocketAddr {
        self.socket.lock().unwrap().local_addr().unwrap()
    }

    /// Where it receives RTCP.
    pub fn rtcp_address(&self) -> SocketAddr {
        self.rtcp.local_addr().unwrap()
    }

    /// What its SDP would agree.
    pub fn session(&self) -> Session {
        Session {
            remote: self.address(),
            remote_rtcp: self.rtcp_address(),
            codec: self.voice.codec,
            payload_type: payload_type(self.voice.codec),
            ptime_ms: self.voice.ptime_ms,
            dtmf: self.voice.dtmf,
            comfort_noise: None,
            direction: Direction::SendRecv,
        }
    }

    /// Send to `target` from now on.
    pub fn talk_to(&self, target: SocketAddr) {
        self.lock().target = Some(target);
    }

    /// Send nothing until unmuted; time goes on.
    pub fn mute(&self, muted: bool) {
        self.lock().muted = muted;
    }

    /// Press a key for `ms` (RFC 4733, three end packets); audio rests meanwhile.
    pub fn press(&self, digit: char, ms: u16) {
        let event = "0123456789*#ABCD".find(digit).expect("a telephone key");
        let packets = (ms / 20).max(1);
        self.lock().keys.push((event as u8, packets));
    }

    /// Go on from another port, same stream (a NAT rebinding).
    pub fn change_address(&self) {
        *self.socket.lock().unwrap() = bound(self.place.ip, 0);
    }

    /// Payloads sent so far, with their sequence numbers.
    pub fn sent(&self) -> Vec<(u16, Vec<u8>)> {
        self.lock().sent.clone()
    }

    /// Packets heard so far.
    pub fn heard(&self) -> Vec<HeardPacket> {
        self.lock().heard.clone()
    }

    pub fn heard_count(&self) -> usize {
        self.lock().heard.len()
    }

    /// RTCP datagrams received so far.
    pub fn reports(&self) -> Vec<Vec<u8>> {
        self.lock().reports.clone()
    }

    /// Audio of the packets heard from the n-th on, in order of arrival.
    pub fn audio_from(&self, n: usize) -> Vec<i16> {
        let wanted = payload_type(self.voice.codec);
        self.lock()
            .heard
            .iter()
            .skip(n)
            .filter(|packet| packet.payload_type == wanted)
            .flat_map(|packet| &packet.payload)
            .map(|byte| self.voice.codec.decode(*byte))
            .collect()
    }

    /// The last `ms` of audio heard.
    pub fn last_audio(&self, ms: usize) -> Vec<i16> {
        let all = self.audio_from(0);
        all[all.len().saturating_sub(ms * 8)..].to_vec()
    }

    /// Share of the tone `hz` in the last 300 ms of audio heard.
    pub fn share(&self, hz: f64) -> f64 {
        let audio = self.last_audio(300);
        if audio.len() < 2400 {
            return 0.0;
        }
        tone_share(&audio, hz)
    }

    /// Whether the last 300 ms are this tone and nothing else.
    pub fn hears_only(&self, hz: f64) -> bool {
        self.share(hz) > 0.9
    }

    /// What it heard, for who has to find out why it was something else.
    pub fn told(&self) -> String {
        let heard = self.heard();
        let last: Vec<_> = heard.iter().rev().take(50).collect();
        let sources: std::collections::BTreeSet<_> = last
            .iter()
            .map(|p| (p.from, p.ssrc, p.payload_type))
            .collect();
        let tone = loudest_tone(&self.last_audio(300));
        let count = heard.len();
        format!("heard {count} packets, loudest {tone:?} Hz, the last 50 from {sources:?}")
    }

    /// Whether the last 300 ms are these two tones and nothing else.
    pub fn hears_both(&self, one: f64, other: f64) -> bool {
        let (one, other) = (self.share(one), self.share(other));
        one > 0.3 && other > 0.3 && one + other > 0.9
    }

    /// Digits heard as events, by distinct timestamp.
    pub fn keys_heard(&self) -> String {
        let mut stamps = Vec::new();
        let mut keys = String::new();
        for packet in self.heard() {
            if Some(packet.payload_type) == self.voice.dtmf && !stamps.contains(&packet.timestamp) {
                stamps.push(packet.timestamp);
                keys.push(
                    "0123456789*#ABCD"
                        .chars()
                        .nth(usize::from(packet.payload[0]))
                        .expect("a key"),
                );
            }
        }
        keys
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn sender(&self) -> JoinHandle<()> {
        let (socket, state, stop) = (
            Arc::clone(&self.socket),
            Arc::clone(&self.state),
            Arc::clone(&self.stop),
        );
        let (voice, ssrc) = (self.voice, self.ssrc);
        std::thread::spawn(move || {
            let mut sending = Sending::new(voice, ssrc);
            let mut next = Instant::now();
            while !stop.load(Ordering::Relaxed) {
                std::thread::sleep(next.saturating_duration_since(Instant::now()));
                next += Duration::from_millis(u64::from(voice.ptime_ms));
                let mut state = state.lock().unwrap();
                let Some(target) = state.target else { continue };
                let socket = Arc::clone(&socket.lock().unwrap());
                for packet in sending.step(&mut state) {
                    let _ = socket.send_to(&packet, target);
                }
            }
        })
    }

    fn receiver(&self) -> JoinHandle<()> {
        let (socket, state, stop) = (
            Arc::clone(&self.socket),
            Arc::clone(&self.state),
            Arc::clone(&self.stop),
        );
        std::thread::spawn(move || {
            let mut bytes = [0; 2048];
            while !stop.load(Ordering::Relaxed) {
                let current = Arc::clone(&socket.lock().unwrap());
                let Ok((length, from)) = current.recv_from(&mut bytes) else {
                    continue;
                };
                let packet = &bytes[..length];
                assert!(length >= 12 && packet[0] == 0x80, "plain RTP version 2");
                let heard = HeardPacket {
                    at: Instant::now(),
                    from,
                    payload_type: packet[1] & 0x7F,
                    marker: packet[1] & 0x80 != 0,
                    sequence: u16::from_be_bytes([packet[2], packet[3]]),
                    timestamp: u32::from_be_bytes(packet[4..8].try_into().unwrap()),
                    ssrc: u32::from_be_bytes(packet[8..12].try_into().unwrap()),
                    payload: packet[12..].to_vec(),
                };
                state.lock().unwrap().heard.push(heard);
            }
        })
    }

    fn report_receiver(&self) -> JoinHandle<()> {
        let (socket, state, stop) = (
            Arc::clone(&self.rtcp),
            Arc::clone(&self.state),
            Arc::clone(&self.stop),
        );
        std::thread::spawn(move || {
            let mut bytes = [0; 2048];
            while !stop.load(Ordering::Relaxed) {
                if let Ok(length) = socket.recv(&mut bytes) {
                    state.lock().unwrap().reports.push(bytes[..length].to_vec());
                }
            }
        })
    }
}

impl Drop for RtpPeer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let result = thread.join();
            assert!(
                result.is_ok() || std::thread::panicking(),
                "a peer's thread failed"
            );
        }
    }
}

/// The stream under way.
struct Sending {
    voice: Voice,
    ssrc: u32,
    sequence: u16,
    timestamp: u32,
    at: usize,
    is_first: bool,
    key: Option<(u8, u16, u16, u32)>,
}

impl Sending {
    fn new(voice: Voice, ssrc: u32) -> Self {
        Self {
            voice,
            ssrc,
            sequence: (ssrc & 0x7FFF) as u16,
            timestamp: ssrc.wrapping_mul(2_654_435_761),
            at: 0,
            is_first: true,
            key: None,
        }
    }

    /// The packets of one packet time.
    fn step(&mut self, state: &mut State) -> Vec<Vec<u8>> {
        let samples = usize::from(self.voice.ptime_ms) * 8;
        let mut packets = Vec::new();
        if self.key.is_none() && !state.keys.is_empty() && self.voice.dtmf.is_some() {
            let (event, count) = state.keys.remove(0);
            self.key = Some((event, count, 0, self.timestamp));
        }
        if let Some((event, count, done, stamp)) = self.key {
            let done = done + 1;
            let duration = (done * samples as u16).to_be_bytes();
            let is_end = done > count;
            let flags = if is_end { 0x8A } else { 0x0A };
            for _ in 0..if is_end { 3 } else { 1 } {
                let payload = [event, flags, duration[0], duration[1]];
                let dtmf = self.voice.dtmf.unwrap();
                packets.push(self.packet(dtmf, done == 1, stamp, &payload));
            }
            self.key = (!is_end).then_some((event, count, done, stamp));
        } else if !state.muted {
            let payload: Vec<u8> = tone(self.voice.hz, self.at, samples)
                .into_iter()
                .map(|sample| self.voice.codec.encode(sample))
                .collect();
            state.sent.push((self.sequence, payload.clone()));
            let is_first = std::mem::take(&mut self.is_first);
            let kind = payload_type(self.voice.codec);
            packets.push(self.packet(kind, is_first, self.timestamp, &payload));
        }
        self.at += samples;
        self.timestamp = self.timestamp.wrapping_add(samples as u32);
        packets
    }

    fn packet(&mut self, kind: u8, marker: bool, timestamp: u32, payload: &[u8]) -> Vec<u8> {
        let mut packet = vec![0x80, kind | if marker { 0x80 } else { 0 }];
        packet.extend(self.sequence.to_be_bytes());
        packet.extend(timestamp.to_be_bytes());
        packet.extend(self.ssrc.to_be_bytes());
        packet.extend(payload);
        self.sequence = self.sequence.wrapping_add(1);
        packet
    }
}

/// 8 = PCMA, 0 = PCMU.
pub fn payload_type(codec: Codec) -> u8 {
    match codec {
        Codec::Pcma => 8,
        Codec::Pcmu => 0,
    }
}

/// Poll until `condition` holds; panics with `what` after 10 s.
#[track_caller]
pub fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !condition() {
        assert!(Instant::now() < deadline, "waited 10 s in vain for: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// One SSRC, sequence +1 each, timestamps never back and never less than the audio sent before.
#[track_caller]
pub fn assert_unbroken(packets: &[HeardPacket]) {
    for pair in packets.windows(2) {
        let (a, b) = (&pair[0], &pair[1]);
        assert_eq!(a.ssrc, b.ssrc, "one SSRC");
        assert_eq!(
            b.sequence,
            a.sequence.wrapping_add(1),
            "sequence after {}",
            a.sequence
        );
        let moved = b.timestamp.wrapping_sub(a.timestamp);
        let length = a.payload.len() as u32;
        if a.payload.len() > 4 && b.payload.len() > 4 {
            assert!(
                moved >= length && moved <= length + 16_000,
                "timestamp moved {moved} after {length} samples"
            );
        }
    }
}

/// What a jitter buffer that loses nothing plays of these packets: each at its timestamp, silence in between.
pub fn played(packets: &[HeardPacket], codec: Codec) -> Vec<i16> {
    let audio = packets.iter().filter(|packet| packet.payload.len() > 4);
    let mut played = Vec::new();
    let mut start = None;
    for packet in audio {
        let start = *start.get_or_insert(packet.timestamp);
        let at = packet.timestamp.wrapping_sub(start) as usize;
        assert!(at >= played.len(), "timestamps never overlap");
        played.resize(at, 0);
        played.extend(packet.payload.iter().map(|byte| codec.decode(*byte)));
    }
    played
}

/// The longest time between two packets.
pub fn longest_gap(packets: &[HeardPacket]) -> Duration {
    let gaps = packets.windows(2).map(|pair| pair[1].at - pair[0].at);
    gaps.max().unwrap_or_default()
}

/// Sockets for RTP and RTCP: an even port and the next (RFC 3550 section 11), as who is told the first alone expects.
fn pair(ip: Ipv4Addr) -> (Arc<UdpSocket>, Arc<UdpSocket>) {
    (bound(ip, 40_000), bound(ip, 40_001))
}

fn bound(ip: Ipv4Addr, port: u16) -> Arc<UdpSocket> {
    let socket = UdpSocket::bind((ip, port)).unwrap();
    socket
        .set_read_timeout(Some(Duration::from_millis(50)))
        .unwrap();
    Arc::new(socket)
}
