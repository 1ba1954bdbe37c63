//! One leg on its worker: sockets, source lock, what it says (jitter buffer, keys) and what it hears (line, playback).

use std::net::SocketAddr;
use std::ops::Range;

use crate::id::{LegId, PlayId};
use crate::media::codec::TICK_SAMPLES;
use crate::media::dtmf;
use crate::media::jitter::Jitter;
use crate::media::line::Line;
use crate::media::plan::{LegFacts, Plan};
use crate::media::player::{Player, Playing};
use crate::media::port::Port;
use crate::media::rtcp::{self, Reception};
use crate::media::rtp::{HEADER_BYTES, Head, Packet};
use crate::media::session::{Direction, Session};
use crate::media::source::{SourceLock, Verdict};
use crate::media::stats::{Counts, LegStats};
use crate::media::tap::TAP_PAYLOAD_MAX;
use crate::media::touch::Ear;
use crate::switch::MediaEvent;

/// Packets of one length in a row that change the packet time we believe.
const LENGTH_RUN: u8 = 3;
/// Longest own packet: 60 ms.
const OWN_PAYLOAD_MAX: usize = 480;
/// Every n-th audio packet moves the level meter.
const LEVEL_EVERY: u32 = 8;

/// A leg and all that belongs to it.
#[derive(Debug)]
pub(crate) struct Leg {
    pub(super) id: LegId,
    pub(super) port: Port,
    /// Place of its call on this worker.
    pub(super) call: usize,
    pub(super) session: Option<Session>,
    pub(super) source: SourceLock,
    pub(super) incoming: Incoming,
    pub(super) line: Line,
    pub(super) plan: Plan,
    pub(super) player: Option<Player>,
    pub(super) keys_out: dtmf::Sender,
    /// The event that was last passed on to it: source and timestamp.
    pub(super) event_passed: Option<(usize, u32)>,
    fifo: Fifo,
    cname: String,
    pub(super) report_due_us: i64,
    far: Option<(u8, u32)>,
}

/// What the far side says.
#[derive(Debug, Default)]
pub(super) struct Incoming {
    pub(super) reception: Reception,
    pub(super) ssrc: Option<u32>,
    pub(super) sends_ms: u16,
    length_run: (usize, u8),
    /// Recorder's number of its track.
    pub(super) slot: Option<u32>,
    /// Legs that get its packets on arrival, and legs that get it mixed.
    pub(super) hearers: Vec<usize>,
    pub(super) mixed_by: Vec<usize>,
    pub(super) jitter: Option<Box<Jitter>>,
    /// Its audio of this tick.
    pub(super) frame: Frame,
    pub(super) keys: dtmf::Detector,
    pub(super) veil: dtmf::Veil,
    /// Listens for keys in its sound.
    pub(super) ear: Option<Box<Ear>>,
    /// Last valid packet, or when waiting for one began.
    pub(super) heard_us: i64,
    started: bool,
    lost: bool,
    level: u16,
    level_count: u32,
}

/// 20 ms of linear audio.
#[derive(Debug)]
pub(super) struct Frame(pub(super) [i16; TICK_SAMPLES]);

impl Default for Frame {
    fn default() -> Self {
        Self([0; TICK_SAMPLES])
    }
}

/// Encoded audio that waits for a whole packet.
#[derive(Debug)]
struct Fifo {
    bytes: [u8; OWN_PAYLOAD_MAX + TICK_SAMPLES],
    length: usize,
}

/// A packet that was accepted.
#[derive(Clone, Debug)]
pub(super) struct Taken {
    pub(super) head: Head,
    pub(super) what: What,
    pub(super) payload: Range<usize>,
}

/// By payload type.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum What {
    Audio,
    Event,
    /// An event of a star code.
    Code,
    Noise,
}

impl Leg {
    pub(crate) fn new(id: LegId, port: Port, line: Line, cname: String, now_us: i64) -> Self {
        Self {
            id,
            port,
            call: usize::MAX,
            session: None,
            source: SourceLock::default(),
            incoming: Incoming {
                heard_us: now_us,
                ..Incoming::default()
            },
            line,
            plan: Plan::Nothing,
            player: None,
            keys_out: dtmf::Sender::default(),
            event_passed: None,
            fifo: Fifo {
                bytes: [0; OWN_PAYLOAD_MAX + TICK_SAMPLES],
                length: 0,
            },
            cname,
            report_due_us: i64::MAX,
            far: None,
        }
    }

    /// The far side's half is known or has changed. Locks, lines and statistics go on.
    pub(super) fn connect(&mut self, session: Session, now_us: i64, report_us: i64) {
        self.source.expect(session.remote, now_us);
        let before = self.session.as_ref();
        if before.is_none() {
            self.report_due_us = now_us + report_us / 2;
        }
        if before.is_none_or(|before| before.ptime_ms != session.ptime_ms) {
            self.incoming.sends_ms = session.ptime_ms;
        }
        if before.is_some_and(|before| before.codec != session.codec) {
            // What waits was made in the old codec.
            self.fifo.length = 0;
            if let Some(jitter) = &mut self.incoming.jitter {
                jitter.restart();
            }
        }
        self.incoming.heard_us = now_us;
        self.session = Some(session);
    }

    /// Leaves its call: nobody hears it, it hears nobody. Its track and its playback go with it.
    pub(super) fn detach(&mut self) {
        self.incoming.hearers.clear();
        self.incoming.mixed_by.clear();
        self.incoming.jitter = None;
        self.set_plan(Plan::Nothing);
    }

    pub(super) fn facts(&self) -> LegFacts {
        let session = self.session.as_ref();
        LegFacts {
            leg: self.id,
            codec: session.map(|session| session.codec),
            wants_ms: session.map_or(20, |session| session.ptime_ms),
            sends_ms: self.incoming.sends_ms,
            hears: session.is_some_and(|session| match session.direction {
                Direction::SendRecv | Direction::SendOnly => true,
                Direction::RecvOnly | Direction::Inactive => false,
            }),
            speaks: self.speaks(),
            playing: self.player.is_some(),
        }
    }

    /// Whether what it sends is meant for us.
    pub(super) fn speaks(&self) -> bool {
        self.session
            .as_ref()
            .is_some_and(|session| match session.direction {
                Direction::SendRecv | Direction::RecvOnly => true,
                Direction::SendOnly | Direction::Inactive => false,
            })
    }

    /// Take over a plan (sources are places of this worker). The line switches when something else feeds it.
    pub(super) fn set_plan(&mut self, plan: Plan) {
        if self.plan == plan {
            return;
        }
        if !matches!((&self.plan, &plan), (Plan::Mix(_), Plan::Mix(_))) {
            self.line.switch();
        }
        match &plan {
            Plan::Mix(_) | Plan::Play => {}
            Plan::Nothing | Plan::Forward(_) => {
                self.fifo.length = 0;
                self.keys_out.clear();
            }
        }
        self.plan = plan;
    }

    /// Whether the 20 ms tick has work with it.
    pub(super) const fn needs_tick(&self) -> bool {
        matches!(self.plan, Plan::Play | Plan::Mix(_))
    }

    /// Judge a datagram: whose it is and what it carries.
    pub(super) fn take(
        &mut self,
        datagram: &[u8],
        from: SocketAddr,
        now_us: i64,
        counts: &mut Counts,
    ) -> Option<Taken> {
        let Ok(Packet { head, payload }) = Packet::parse(datagram) else {
            counts.invalid += 1;
            return None;
        };
        let Some(session) = &self.session else {
            counts.early += 1;
            return None;
        };
        let Some(what) = what_of(session, head.payload_type, payload.len()) else {
            counts.invalid += 1;
            return None;
        };
        match self.source.check(from, head.ssrc, head.sequence, now_us) {
            Verdict::Accept | Verdict::Locked => {}
            Verdict::Stray => {
                counts.strays += 1;
                return None;
            }
        }
        self.incoming.reception.note(
            head.ssrc,
            head.sequence,
            head.timestamp,
            now_us,
            what == What::Audio,
        );
        Some(Taken {
            head,
            what,
            payload,
        })
    }

    /// A valid packet came: is that news?
    pub(super) fn heard(&mut self, now_us: i64) -> Option<MediaEvent> {
        let incoming = &mut self.incoming;
        incoming.heard_us = now_us;
        if !incoming.started {
            // If its absence was told before, its return is told with the next packet.
            incoming.started = true;
            return Some(MediaEvent::RtpStarted);
        }
        if incoming.lost {
            incoming.lost = false;
            return Some(MediaEvent::RtpLost { lost: false });
        }
        None
    }

    /// Time passes: has nothing come for too long? A far side that holds us is not waited for.
    pub(super) fn unheard(&mut self, now_us: i64, limit_us: i64) -> Option<MediaEvent> {
        if !self.speaks() {
            self.incoming.heard_us = now_us;
            return None;
        }
        let incoming = &mut self.incoming;
        if incoming.lost || now_us - incoming.heard_us < limit_us {
            return None;
        }
        incoming.lost = true;
        Some(MediaEvent::RtpLost { lost: true })
    }

    /// Note the length of an audio payload; true when the packet time believed so far was wrong.
    pub(super) fn note_length(&mut self, bytes: usize) -> bool {
        let incoming = &mut self.incoming;
        if bytes == usize::from(incoming.sends_ms) * 8 {
            incoming.length_run.1 = 0;
            return false;
        }
        let (length, run) = incoming.length_run;
        let run = if length == bytes { run + 1 } else { 1 };
        incoming.length_run = (bytes, run);
        let Ok(ms) = u16::try_from(bytes / 8) else {
            return false;
        };
        if run < LENGTH_RUN || !bytes.is_multiple_of(8) {
            return false;
        }
        incoming.sends_ms = ms;
        incoming.length_run.1 = 0;
        true
    }

    /// Put audio into the jitter buffer and the meter.
    pub(super) fn listen(&mut self, head: &Head, payload: &[u8], now_us: i64) {
        let Some(session) = &self.session else { return };
        let incoming = &mut self.incoming;
        incoming.level_count = incoming.level_count.wrapping_add(1);
        if incoming.level_count.is_multiple_of(LEVEL_EVERY) {
            incoming.level = session.codec.level(payload);
        }
        let is_new = incoming.ssrc.replace(head.ssrc) != Some(head.ssrc);
        if let Some(jitter) = &mut incoming.jitter {
            if is_new {
                jitter.restart();
            }
            let mut samples = [0_i16; TAP_PAYLOAD_MAX];
            let count = session.codec.decode_into(payload, &mut samples);
            if let Some(samples) = samples.get(..count) {
                jitter.insert(head.timestamp, now_us, samples);
            }
        }
    }

    /// Keys in its sound, if somebody waits for some.
    pub(super) fn keys_in(&mut self, payload: &[u8]) -> Vec<char> {
        let (Some(ear), Some(session)) = (&mut self.incoming.ear, &self.session) else {
            return Vec::new();
        };
        let mut samples = [0_i16; TAP_PAYLOAD_MAX];
        let count = session.codec.decode_into(payload, &mut samples);
        ear.hear(samples.get(..count).unwrap_or(&[]))
    }

    /// The 20 ms tick as a source of mixes.
    pub(super) fn read_frame(&mut self, at_us: i64) {
        if let Some(jitter) = &mut self.incoming.jitter {
            jitter.read(at_us, &mut self.incoming.frame.0);
        }
    }

    /// The 20 ms tick as a hearer of our own making: the playback, what is mixed, or a key. Returns the playback
    /// that ended.
    pub(super) fn make(
        &mut self,
        at_us: i64,
        mixed: Option<&[i16; TICK_SAMPLES]>,
        counts: &mut Counts,
    ) -> Option<PlayId> {
        let session = self.session.as_ref()?;
        let (codec, payload_type, dtmf) = (session.codec, session.payload_type, session.dtmf);
        let packet_bytes = usize::from(session.ptime_ms.clamp(10, 60)) * 8;
        if let Some(event_type) = dtmf
            && self.send_key(at_us, event_type, counts)
        {
            return None;
        }
        let mut bytes = [codec.silence(); TICK_SAMPLES];
        let mut ended = None;
        if let Some(player) = &mut self.player
            && player.fill(codec, &mut bytes) == Playing::Ended
        {
            ended = Some(player.play());
        }
        if let Some(mixed) = mixed {
            for (byte, sample) in bytes.iter_mut().zip(mixed) {
                let played = if self.player.is_some() {
                    codec.decode(*byte)
                } else {
                    0
                };
                *byte = codec.encode(sample.saturating_add(played));
            }
        }
        if ended.is_some() {
            self.player = None;
        }
        self.fifo.push(&bytes);
        while let Some(payload) = self.fifo.pop(packet_bytes) {
            let samples = u32::try_from(packet_bytes).unwrap_or(160);
            let head = self.line.generate(at_us, payload_type, samples);
            self.send_own(head, payload.get(..packet_bytes).unwrap_or(&[]), counts);
        }
        ended
    }

    /// Send the telephone event of this tick, if there is one.
    fn send_key(&mut self, at_us: i64, event_type: u8, counts: &mut Counts) -> bool {
        let Some(event) = self.keys_out.tick() else {
            return false;
        };
        if self.fifo.length > 0 {
            let samples = u32::try_from(self.fifo.length).unwrap_or(0);
            self.line.pass(at_us, samples);
            self.fifo.length = 0;
        }
        let mut began = event.began;
        for copy in 0..event.copies {
            let samples = if copy == 0 { 160 } else { 0 };
            let head = self.line.generate_event(at_us, event_type, began, samples);
            began = Some(head.timestamp);
            self.keys_out.began(head.timestamp);
            self.send_own(head, &event.payload, counts);
        }
        true
    }

    fn send_own(&mut self, head: Head, payload: &[u8], counts: &mut Counts) {
        let mut packet = [0_u8; HEADER_BYTES + OWN_PAYLOAD_MAX];
        let length = HEADER_BYTES + payload.len();
        if let Some((start, rest)) = packet.split_first_chunk_mut::<HEADER_BYTES>() {
            *start = head.to_bytes();
            for (to, from) in rest.iter_mut().zip(payload) {
                *to = *from;
            }
        }
        self.send(packet.get(..length).unwrap_or(&[]), counts);
    }

    /// Send one finished packet to the locked address or SDP's, never elsewhere.
    pub(super) fn send(&mut self, packet: &[u8], counts: &mut Counts) {
        let Some(remote) = self.source.remote() else {
            return;
        };
        match self.port.rtp.send_to(packet, remote) {
            Ok(_) => {
                counts.packets_out += 1;
                self.line
                    .count(packet.len() - HEADER_BYTES.min(packet.len()));
            }
            Err(_) => counts.send_failed += 1,
        }
    }

    /// Send a report if one is due, or the last one.
    pub(super) fn report(&mut self, now_us: i64, every_us: i64, leaving: bool) {
        let Some(session) = &self.session else { return };
        if !leaving && now_us < self.report_due_us {
            return;
        }
        self.report_due_us = now_us + every_us;
        let (packets, octets) = self.line.sent();
        let own = rtcp::Own {
            ssrc: self.line.ssrc(),
            cname: &self.cname,
            sent: (packets > 0).then(|| (packets, octets, self.line.timestamp_at(now_us))),
            leaving,
        };
        let mut bytes = [0; rtcp::REPORT_BYTES_MAX];
        if let Ok(length) = rtcp::write(&own, &mut self.incoming.reception, now_us, &mut bytes) {
            // A lost report is only a report lost.
            let _ = self
                .port
                .rtcp
                .send_to(bytes.get(..length).unwrap_or(&[]), session.remote_rtcp);
        }
    }

    /// A report of the far side arrived.
    pub(super) fn on_report(&mut self, datagram: &[u8], from: SocketAddr, now_us: i64) {
        let Some(session) = &self.session else { return };
        let locked = self.source.remote().map(|remote| remote.ip());
        if from.ip() != session.remote_rtcp.ip() && Some(from.ip()) != locked {
            return;
        }
        if let Some(report) = rtcp::read(datagram, self.line.ssrc()) {
            if let Some(ntp) = report.sender_ntp {
                self.incoming.reception.note_sender_report(ntp, now_us);
            }
            if let Some((fraction, _, jitter)) = report.of_us {
                self.far = Some((fraction, jitter));
            }
        }
    }

    pub(super) fn stats(&self, now_us: i64) -> LegStats {
        let (expected, lost) = self.incoming.reception.loss();
        let is_silent = now_us - self.incoming.heard_us > 500_000;
        LegStats {
            leg: self.id,
            level: if is_silent { 0 } else { self.incoming.level },
            expected,
            lost,
            jitter_ms: self.incoming.reception.jitter_ms(),
            far_fraction_lost: self.far.map(|far| far.0),
            far_jitter: self.far.map(|far| far.1),
        }
    }
}

fn what_of(session: &Session, payload_type: u8, bytes: usize) -> Option<What> {
    if payload_type == session.payload_type {
        return (1..=TAP_PAYLOAD_MAX)
            .contains(&bytes)
            .then_some(What::Audio);
    }
    if Some(payload_type) == session.dtmf {
        return (bytes >= 4).then_some(What::Event);
    }
    (Some(payload_type) == session.comfort_noise).then_some(What::Noise)
}

impl Fifo {
    fn push(&mut self, bytes: &[u8]) {
        let room = self.bytes.get_mut(self.length..).unwrap_or(&mut []);
        let count = bytes.len().min(room.len());
        for (to, from) in room.iter_mut().zip(bytes) {
            *to = *from;
        }
        self.length += count;
    }

    fn pop(&mut self, count: usize) -> Option<[u8; OWN_PAYLOAD_MAX]> {
        if count == 0 || self.length < count {
            return None;
        }
        let mut out = [0; OWN_PAYLOAD_MAX];
        for (to, from) in out.iter_mut().zip(self.bytes.get(..count)?) {
            *to = *from;
        }
        self.bytes.copy_within(count..self.length, 0);
        self.length -= count;
        Some(out)
    }
}
