//! The one RTP line a hearer gets: one SSRC, one unbroken sequence and timestamp line over
//! prompt -> forward -> mix -> forward (RFC 3550 sections 5.1 and 7.1, seen as one source).
//!
//! ```text
//! Fresh --forward--> Source{mapping} --switch--> Fresh
//! Fresh --generate--> Own            --switch--> Fresh
//! ```
//! The first packet after a switch carries the marker; time in between moves the timestamp by whole frames.
//! Within a source's stint losses, reordering and silence gaps pass through as they came.
//! Refuses to know: codecs, sockets, payloads.

use super::codec::SAMPLES_PER_SECOND;
use super::rtp::Head;

/// RFC 3550 A.1: a jump of the sequence that is taken for loss.
const DROPOUT_MAX: i16 = 3000;
/// RFC 3550 A.1: a step back that is taken for reordering.
const MISORDER_MAX: i16 = 100;
/// A timestamp that moves this much (2 s) other than the clock is anchored anew.
const TIMESTAMP_JUMP: i64 = 2 * SAMPLES_PER_SECOND as i64;

/// What one hearer is sent.
#[derive(Clone, Debug)]
pub struct Line {
    ssrc: u32,
    next_sequence: u16,
    /// Timestamp just after all that was sent, and the clock it stands for.
    end: u32,
    end_us: i64,
    started: bool,
    stint: Stint,
    packets: u32,
    octets: u32,
}

#[derive(Clone, Debug)]
enum Stint {
    Fresh,
    Own,
    Source(Mapping),
}

/// How a source's numbers become the hearer's.
#[derive(Clone, Debug)]
struct Mapping {
    ssrc: u32,
    sequence_offset: u16,
    timestamp_offset: u32,
    /// First and newest sequence number of the source in this stint.
    first: u16,
    newest: u16,
    newest_timestamp: u32,
    newest_us: i64,
    /// A packet far out of line was seen; if this number follows, the source has restarted.
    suspect: Option<u16>,
}

/// What a packet is for the line.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Audio of so many samples.
    Audio { samples: u32 },
    /// A telephone event or comfort noise: its timestamp need not move on.
    Mark,
}

enum Place {
    Next,
    Late,
    Stale,
    Elsewhere,
    Suspect,
}

impl Line {
    /// A line with its own SSRC and random starts (RFC 3550 section 5.1).
    #[must_use]
    pub fn new(ssrc: u32, sequence: u16, timestamp: u32) -> Self {
        Self {
            ssrc,
            next_sequence: sequence,
            end: timestamp,
            end_us: 0,
            started: false,
            stint: Stint::Fresh,
            packets: 0,
            octets: 0,
        }
    }

    /// Its SSRC.
    #[must_use]
    pub const fn ssrc(&self) -> u32 {
        self.ssrc
    }

    /// Packets and payload bytes sent, as a sender report wants them.
    #[must_use]
    pub const fn sent(&self) -> (u32, u32) {
        (self.packets, self.octets)
    }

    /// Count one packet that left.
    pub fn count(&mut self, payload_bytes: usize) {
        self.packets = self.packets.wrapping_add(1);
        let bytes = u32::try_from(payload_bytes).unwrap_or(0);
        self.octets = self.octets.wrapping_add(bytes);
    }

    /// The timestamp of `now_us`, for a sender report.
    #[must_use]
    pub fn timestamp_at(&self, now_us: i64) -> u32 {
        self.end
            .wrapping_add_signed(i32::try_from(samples_in(now_us - self.end_us)).unwrap_or(0))
    }

    /// What the hearer gets comes from somewhere else from now on.
    pub fn switch(&mut self) {
        self.stint = Stint::Fresh;
    }

    /// The header under which a source's packet goes on, or none when it must not (it belongs to the time before
    /// the switch, or its numbers make no sense yet).
    pub fn forward(&mut self, now_us: i64, source: &Head, kind: Kind) -> Option<Head> {
        let place = match &mut self.stint {
            Stint::Fresh | Stint::Own => Place::Elsewhere,
            Stint::Source(mapping) => mapping.place(now_us, source, kind),
        };
        let restarted = match place {
            Place::Next | Place::Late => false,
            Place::Stale | Place::Suspect => return None,
            Place::Elsewhere => {
                self.start_stint(now_us, source, kind);
                true
            }
        };
        let Stint::Source(mapping) = &mut self.stint else {
            return None;
        };
        let head = Head {
            payload_type: source.payload_type,
            marker: source.marker || restarted,
            sequence: source.sequence.wrapping_add(mapping.sequence_offset),
            timestamp: source.timestamp.wrapping_add(mapping.timestamp_offset),
            ssrc: self.ssrc,
        };
        if !matches!(place, Place::Late) {
            mapping.newest = source.sequence;
            self.next_sequence = head.sequence.wrapping_add(1);
        }
        if let Kind::Audio { samples } = kind {
            let end = head.timestamp.wrapping_add(samples);
            if restarted || is_after(end, self.end) {
                mapping.newest_timestamp = source.timestamp;
                mapping.newest_us = now_us;
                self.end = end;
                self.end_us = now_us + micros_of(samples);
            }
        }
        Some(head)
    }

    /// A packet of the current source is not passed on (the hearer did not agree its type): close the numbers.
    pub fn skip(&mut self, source: &Head) {
        if let Stint::Source(mapping) = &mut self.stint
            && mapping.ssrc == source.ssrc
            && ahead(source.sequence, mapping.newest) > 0
        {
            mapping.newest = source.sequence;
            mapping.sequence_offset = mapping.sequence_offset.wrapping_sub(1);
            self.next_sequence = mapping
                .newest
                .wrapping_add(mapping.sequence_offset)
                .wrapping_add(1);
        }
    }

    /// The header of the next packet of our own making, `samples` long.
    pub fn generate(&mut self, now_us: i64, payload_type: u8, samples: u32) -> Head {
        let marker = self.start_own(now_us, samples);
        let head = self.own_head(payload_type, marker, self.end);
        self.pass(now_us, samples);
        head
    }

    /// The header of a packet of a telephone event that began at `began` (none: it begins now). Time passes by
    /// `samples` (0 for a repetition).
    pub fn generate_event(
        &mut self,
        now_us: i64,
        payload_type: u8,
        began: Option<u32>,
        samples: u32,
    ) -> Head {
        self.start_own(now_us, samples.max(1));
        let timestamp = began.unwrap_or(self.end);
        let head = self.own_head(payload_type, began.is_none(), timestamp);
        self.pass(now_us, samples);
        head
    }

    /// Time of our own passes without a packet.
    pub fn pass(&mut self, now_us: i64, samples: u32) {
        self.end = self.end.wrapping_add(samples);
        self.end_us = now_us + micros_of(samples);
    }

    fn own_head(&mut self, payload_type: u8, marker: bool, timestamp: u32) -> Head {
        let sequence = self.next_sequence;
        self.next_sequence = sequence.wrapping_add(1);
        Head {
            payload_type,
            marker,
            sequence,
            timestamp,
            ssrc: self.ssrc,
        }
    }

    /// Whether this starts a stint of our own.
    fn start_own(&mut self, now_us: i64, frame: u32) -> bool {
        if matches!(self.stint, Stint::Own) {
            return false;
        }
        self.catch_up(now_us, frame);
        self.stint = Stint::Own;
        true
    }

    fn start_stint(&mut self, now_us: i64, source: &Head, kind: Kind) {
        let frame = match kind {
            Kind::Audio { samples } => samples,
            Kind::Mark => 160,
        };
        self.catch_up(now_us, frame);
        self.stint = Stint::Source(Mapping {
            ssrc: source.ssrc,
            sequence_offset: self.next_sequence.wrapping_sub(source.sequence),
            timestamp_offset: self.end.wrapping_sub(source.timestamp),
            first: source.sequence,
            newest: source.sequence,
            newest_timestamp: source.timestamp,
            newest_us: now_us,
            suspect: None,
        });
    }

    /// Move the end of the line to now, by whole frames.
    fn catch_up(&mut self, now_us: i64, frame: u32) {
        if !self.started {
            self.started = true;
            self.end_us = now_us;
            return;
        }
        let frame = i64::from(frame.max(1));
        let frames = (samples_in(now_us - self.end_us).max(0) + frame / 2) / frame;
        // A gap of days may wrap the timestamp, as time itself would.
        let samples = u32::try_from((frames * frame) & i64::from(u32::MAX)).unwrap_or(0);
        self.end = self.end.wrapping_add(samples);
        self.end_us = now_us;
    }
}

impl Mapping {
    fn place(&mut self, now_us: i64, head: &Head, kind: Kind) -> Place {
        if head.ssrc != self.ssrc {
            return Place::Elsewhere;
        }
        let step = ahead(head.sequence, self.newest);
        if !(-MISORDER_MAX..=DROPOUT_MAX).contains(&step) {
            let restarted = self.suspect == Some(head.sequence);
            self.suspect = Some(head.sequence.wrapping_add(1));
            return if restarted {
                Place::Elsewhere
            } else {
                Place::Suspect
            };
        }
        self.suspect = None;
        if step <= 0 {
            return if ahead(head.sequence, self.first) < 0 {
                Place::Stale
            } else {
                Place::Late
            };
        }
        if matches!(kind, Kind::Audio { .. }) {
            let moved = i64::from(
                head.timestamp
                    .wrapping_sub(self.newest_timestamp)
                    .cast_signed(),
            );
            let elapsed = samples_in(now_us - self.newest_us);
            if moved < -TIMESTAMP_JUMP || moved > elapsed + TIMESTAMP_JUMP {
                return Place::Elsewhere;
            }
        }
        Place::Next
    }
}

const fn ahead(sequence: u16, of: u16) -> i16 {
    sequence.wrapping_sub(of).cast_signed()
}

const fn is_after(timestamp: u32, than: u32) -> bool {
    timestamp.wrapping_sub(than).cast_signed() > 0
}

const fn samples_in(micros: i64) -> i64 {
    micros * SAMPLES_PER_SECOND as i64 / 1_000_000
}

const fn micros_of(samples: u32) -> i64 {
    samples as i64 * 1_000_000 / SAMPLES_PER_SECOND as i64
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const AUDIO: Kind = Kind::Audio { samples: 160 };

    fn packet(ssrc: u32, n: u32) -> Head {
        Head {
            payload_type: 8,
            marker: false,
            sequence: u16::try_from((65_000 + n) & 0xFFFF).unwrap(),
            timestamp: 0xFFFF_F000_u32.wrapping_add(n * 160),
            ssrc,
        }
    }

    #[test]
    fn a_prompt_then_a_party_then_a_mix_are_one_unbroken_line() {
        let mut line = Line::new(77, 65_530, u32::MAX - 500);
        let mut sent = Vec::new();
        let mut now = 1_000_000;
        for _ in 0..5 {
            sent.push(line.generate(now, 8, 160));
            now += 20_000;
        }
        line.switch();
        now += 7_000;
        for n in 0..5 {
            sent.push(line.forward(now, &packet(1, n), AUDIO).unwrap());
            now += 20_000;
        }
        line.switch();
        for _ in 0..5 {
            sent.push(line.generate(now, 8, 160));
            now += 20_000;
        }
        line.switch();
        for n in 5..9 {
            sent.push(line.forward(now, &packet(1, n), AUDIO).unwrap());
            now += 20_000;
        }
        for pair in sent.windows(2) {
            assert_eq!(pair[1].sequence, pair[0].sequence.wrapping_add(1));
            assert_eq!(pair[1].timestamp, pair[0].timestamp.wrapping_add(160));
            assert_eq!(pair[1].ssrc, 77);
        }
        let marked: Vec<_> = (0..sent.len()).filter(|i| sent[*i].marker).collect();
        assert_eq!(marked, [0, 5, 10, 15]);
    }

    #[test]
    fn silence_between_stints_moves_the_timestamp_by_the_time_that_passed() {
        let mut line = Line::new(1, 0, 0);
        line.generate(0, 8, 160);
        line.switch();
        let head = line.forward(1_020_000, &packet(3, 0), AUDIO).unwrap();
        assert_eq!(head.timestamp, 160 + 8000);
        assert_eq!(head.sequence, 1);
    }

    #[test]
    fn loss_reordering_and_silence_of_a_source_pass_through() {
        let mut line = Line::new(1, 100, 5000);
        let base = line.forward(0, &packet(3, 0), AUDIO).unwrap();
        let lost = line.forward(60_000, &packet(3, 3), AUDIO).unwrap();
        assert_eq!(lost.sequence, base.sequence + 3);
        assert_eq!(lost.timestamp, base.timestamp + 480);
        let late = line.forward(61_000, &packet(3, 2), AUDIO).unwrap();
        assert_eq!(late.sequence, base.sequence + 2);
        let mut quiet = packet(3, 4);
        quiet.timestamp = quiet.timestamp.wrapping_add(8000);
        let after = line.forward(1_080_000, &quiet, AUDIO).unwrap();
        assert_eq!(after.sequence, base.sequence + 4);
        assert_eq!(after.timestamp, base.timestamp + 640 + 8000);
        assert!(!after.marker);
    }

    #[test]
    fn packets_from_before_the_switch_are_dropped() {
        let mut line = Line::new(1, 0, 0);
        line.forward(0, &packet(3, 10), AUDIO).unwrap();
        assert_eq!(line.forward(0, &packet(3, 9), AUDIO), None);
    }

    #[test]
    fn a_source_that_restarts_is_anchored_anew_without_a_break() {
        let mut line = Line::new(1, 0, 0);
        line.forward(0, &packet(3, 0), AUDIO).unwrap();
        let other = line.forward(20_000, &packet(4, 9_000), AUDIO).unwrap();
        assert_eq!((other.sequence, other.timestamp), (1, 160));
        assert!(other.marker);
        // Same SSRC, sequence far away: believed at the second packet.
        assert_eq!(line.forward(40_000, &packet(4, 30_000), AUDIO), None);
        let again = line.forward(60_000, &packet(4, 30_001), AUDIO).unwrap();
        assert_eq!(again.sequence, 2);
        // Same SSRC and sequence, timestamp an hour off.
        let mut jump = packet(4, 30_002);
        jump.timestamp = jump.timestamp.wrapping_add(8000 * 3600);
        let head = line.forward(80_000, &jump, AUDIO).unwrap();
        assert_eq!(head.timestamp, again.timestamp + 160);
    }

    #[test]
    fn packets_not_passed_on_leave_no_hole() {
        let mut line = Line::new(1, 0, 0);
        line.forward(0, &packet(3, 0), AUDIO).unwrap();
        line.skip(&packet(3, 1));
        line.skip(&packet(3, 2));
        let next = line.forward(60_000, &packet(3, 3), AUDIO).unwrap();
        assert_eq!(next.sequence, 1);
        line.switch();
        assert_eq!(line.generate(80_000, 8, 160).sequence, 2);
    }

    #[test]
    fn an_event_keeps_its_timestamp_and_the_line_goes_on_after_it() {
        let mut line = Line::new(1, 0, 0);
        line.generate(0, 8, 160);
        let first = line.generate_event(20_000, 101, None, 160);
        let second = line.generate_event(40_000, 101, Some(first.timestamp), 160);
        let repeat = line.generate_event(40_000, 101, Some(first.timestamp), 0);
        assert_eq!(first.timestamp, 160);
        assert!(first.marker && !second.marker);
        assert_eq!(second.timestamp, repeat.timestamp);
        let audio = line.generate(60_000, 8, 160);
        assert_eq!((audio.sequence, audio.timestamp), (4, 480));
    }

    proptest! {
        #[test]
        fn over_any_switching_the_sequence_never_breaks_and_time_never_runs_back(
            steps in proptest::collection::vec((0_u8..4, 1_u32..40), 1..60),
        ) {
            let mut line = Line::new(9, 65_000, 0xFFFF_0000);
            let mut now = 5_000_000_i64;
            let mut source_n = [0_u32; 2];
            let mut last: Option<Head> = None;
            for (what, count) in steps {
                line.switch();
                for _ in 0..count {
                    now += 20_000;
                    source_n.iter_mut().for_each(|n| *n += 1);
                    let head = match what {
                        0 | 1 => line.forward(now, &packet(u32::from(what), source_n[usize::from(what)]), AUDIO),
                        2 => Some(line.generate(now, 8, 160)),
                        _ => None,
                    };
                    let Some(head) = head else { continue };
                    if let Some(last) = last {
                        prop_assert_eq!(head.sequence, last.sequence.wrapping_add(1));
                        let moved = head.timestamp.wrapping_sub(last.timestamp);
                        prop_assert!(moved >= 160 && moved % 160 == 0, "moved {}", moved);
                    }
                    last = Some(head);
                }
            }
        }
    }
}
