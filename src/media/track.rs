//! Where a packet belongs on a recording's time grid (8 kHz samples from the recording's start).
//!
//! Owns the mapping of RTP timestamps (RFC 3550 section 5.1) to the arrival clock and the book of what is covered.
//! Refuses to know files, payloads and calls. Two passes over the same packets in the same order: [`Survey`] learns
//! per quarter second how early packets came, [`TrackClock`] then places each, knowing the second that follows.
//!
//! ```text
//! packet -> epoch (one SSRC, one run of timestamps; a jump that sequence numbers do not explain starts a new one)
//!        -> target = least (arrival - timestamp) of the epoch in [now, now + 1 s]     least = least network delay
//!        -> offset: first packet, error > 200 ms or a pause before it: target at once
//!                   error > 20 ms: 8 samples a packet; error > 5 ms: 1 sample a packet until < 1 ms  (drift)
//!        -> position = timestamp + offset;  Lane: first come first kept, doubles and overlaps dropped, holes = gaps
//! ```

use std::collections::VecDeque;

/// Samples in a millisecond.
const MS: i64 = 8;
/// Arrival and grid further apart than this: the packet's clock is anchored anew.
const JUMP: i64 = 200 * MS;
/// Error past which the offset moves fast.
const FAR: i64 = 20 * MS;
const FAR_STEP: i64 = 8;
/// Error past which the offset starts to move, and at which it rests again.
const DRIFT: i64 = 5 * MS;
const REST: i64 = MS;
/// Missing before a packet: nothing audible is cut when the offset moves at once.
const PAUSE: i64 = 20 * MS;
/// The survey's grain and how many grains ahead a packet looks.
const GRAIN: i64 = 250 * MS;
const GRAINS_AHEAD: i64 = 4;
/// Runs of timestamps that a late packet may still belong to.
const EPOCHS_OPEN: usize = 4;
/// Runs learnt per track; beyond it (a sender that changes SSRC all the time) packets go where they arrived.
const EPOCHS_MAX: usize = 4096;
/// Lost packets that still count as the same run.
const SEQUENCE_STEP_MAX: i64 = 3000;
/// Holes up to this are the drift correction's: filled with the neighbour's sample.
const SEAM: i64 = 2 * MS;
/// Shortest span without audio that is listed.
pub const GAP_MIN: i64 = 40 * MS;
/// Gaps listed per track.
pub const GAPS_MAX: usize = 1000;

/// The times of one packet.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct PacketTime {
    /// Arrival, in samples from the recording's start (may be negative for a packet that came before it).
    pub arrived: i64,
    pub ssrc: u32,
    pub rtp_timestamp: u32,
    pub sequence: u16,
    /// Samples of its payload.
    pub samples: u16,
}

/// One run of timestamps of one SSRC.
#[derive(Clone, Debug)]
struct Epoch {
    id: usize,
    ssrc: u32,
    newest: PacketTime,
    /// Timestamp of the newest packet without wraps.
    extended: i64,
    /// Arrival - timestamp of the newest packet.
    lead: i64,
    /// Where the second pass has the run now.
    offset: Option<i64>,
    slewing: bool,
}

/// What a packet is to its epoch.
struct Fit {
    /// Place in the list of open epochs.
    open: usize,
    id: usize,
    extended: i64,
    /// Arrival - timestamp.
    lead: i64,
    /// Samples missing between the newest packet before and this; negative when this one is late or a double.
    missing: i64,
}

/// Sorts packets into epochs; the same packets in the same order give the same epochs.
#[derive(Clone, Debug, Default)]
struct Epochs {
    /// Oldest first.
    open: VecDeque<Epoch>,
    made: usize,
}

impl Epochs {
    fn fit(&mut self, packet: &PacketTime) -> Option<Fit> {
        let found = self
            .open
            .iter()
            .enumerate()
            .rev()
            .find_map(|(n, epoch)| epoch.fit(n, packet));
        if let Some(fit) = found {
            if fit.missing >= 0
                && let Some(epoch) = self.open.get_mut(fit.open)
            {
                epoch.newest = *packet;
                epoch.extended = fit.extended;
                epoch.lead = fit.lead;
            }
            return Some(fit);
        }
        if self.made >= EPOCHS_MAX {
            return None;
        }
        if self.open.len() >= EPOCHS_OPEN {
            self.open.pop_front();
        }
        let extended = i64::from(packet.rtp_timestamp);
        let lead = packet.arrived - extended;
        let id = self.made;
        self.made += 1;
        self.open.push_back(Epoch {
            id,
            ssrc: packet.ssrc,
            newest: *packet,
            extended,
            lead,
            offset: None,
            slewing: false,
        });
        Some(Fit {
            open: self.open.len() - 1,
            id,
            extended,
            lead,
            missing: 0,
        })
    }
}

impl Epoch {
    fn fit(&self, open: usize, packet: &PacketTime) -> Option<Fit> {
        if self.ssrc != packet.ssrc {
            return None;
        }
        let step = wrapping_step32(self.newest.rtp_timestamp, packet.rtp_timestamp);
        let extended = self.extended + step;
        let lead = packet.arrived - extended;
        let near = (lead - self.lead).abs() <= JUMP;
        let packets = wrapping_step16(self.newest.sequence, packet.sequence);
        let explained = packets * i64::from(self.newest.samples);
        let continuous = packets.abs() <= SEQUENCE_STEP_MAX && (step - explained).abs() <= JUMP;
        let backwards = (1..=SEQUENCE_STEP_MAX).contains(&packets) && step < 0;
        ((near || continuous) && !backwards).then_some(Fit {
            open,
            id: self.id,
            extended,
            lead,
            missing: step - i64::from(self.newest.samples),
        })
    }

    /// Move the offset towards `target` as far as this packet allows, and give it.
    fn steer(&mut self, target: i64, missing: i64) -> i64 {
        let Some(offset) = self.offset else {
            self.offset = Some(target);
            return target;
        };
        let error = target - offset;
        let moved = if error.abs() > JUMP || missing >= PAUSE {
            self.slewing = false;
            target
        } else if error.abs() > FAR {
            self.slewing = true;
            offset + error.signum() * FAR_STEP
        } else if error.abs() > DRIFT || (self.slewing && error.abs() > REST) {
            self.slewing = true;
            offset + error.signum()
        } else {
            self.slewing = false;
            offset
        };
        self.offset = Some(moved);
        moved
    }
}

/// First pass over a track: learns how early its packets came.
#[derive(Clone, Debug, Default)]
pub struct Survey {
    epochs: Epochs,
    /// Per epoch, in order of time: (grain, least lead in it).
    floors: Vec<Vec<(i64, i64)>>,
}

impl Survey {
    /// Take in the next packet, in the order of the capture.
    pub fn note(&mut self, packet: &PacketTime) {
        let Some(fit) = self.epochs.fit(packet) else {
            return;
        };
        if self.floors.len() <= fit.id {
            self.floors.resize_with(fit.id + 1, Vec::new);
        }
        let Some(floors) = self.floors.get_mut(fit.id) else {
            return;
        };
        let grain = packet.arrived.div_euclid(GRAIN);
        match floors.last_mut() {
            Some((last, floor)) if *last >= grain => *floor = fit.lead.min(*floor),
            Some(_) | None => floors.push((grain, fit.lead)),
        }
    }

    /// Start the second pass.
    #[must_use]
    pub fn into_clock(self) -> TrackClock {
        TrackClock {
            epochs: Epochs::default(),
            floors: self.floors,
        }
    }
}

/// Second pass over a track: places its packets.
#[derive(Clone, Debug, Default)]
pub struct TrackClock {
    epochs: Epochs,
    floors: Vec<Vec<(i64, i64)>>,
}

impl TrackClock {
    /// The position of the packet's first sample. Packets come in the same order as in the survey.
    pub fn place(&mut self, packet: &PacketTime) -> i64 {
        let Some(fit) = self.epochs.fit(packet) else {
            return packet.arrived;
        };
        let target = self
            .target(fit.id, packet.arrived.div_euclid(GRAIN))
            .unwrap_or(fit.lead);
        let Some(epoch) = self.epochs.open.get_mut(fit.open) else {
            return packet.arrived;
        };
        let late = fit.missing < 0;
        let offset = match epoch.offset {
            Some(offset) if late => offset,
            Some(_) | None => epoch.steer(target, fit.missing),
        };
        fit.extended + offset
    }

    fn target(&self, epoch: usize, grain: i64) -> Option<i64> {
        let floors = self.floors.get(epoch)?;
        let from = floors.partition_point(|(g, _)| *g < grain);
        floors
            .iter()
            .skip(from)
            .take_while(|(g, _)| *g <= grain + GRAINS_AHEAD)
            .map(|(_, floor)| *floor)
            .min()
    }
}

fn wrapping_step32(from: u32, to: u32) -> i64 {
    i64::from(to.wrapping_sub(from).cast_signed())
}

fn wrapping_step16(from: u16, to: u16) -> i64 {
    i64::from(to.wrapping_sub(from).cast_signed())
}

/// What of one track is covered by audio, in samples. Only the last seconds are held; what is older is settled.
#[derive(Clone, Debug)]
pub struct Lane {
    /// Nothing is taken from here on.
    end: i64,
    /// Nothing is taken before this.
    settled: i64,
    /// Covered spans not settled yet, in order, apart from each other.
    spans: VecDeque<(i64, i64)>,
    /// End of the last settled span.
    heard_to: i64,
    heard: i64,
    gaps: Vec<(i64, i64)>,
    doubles: u64,
    late: u64,
}

/// What a lane knows at its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heard {
    /// Samples covered by audio.
    pub samples: i64,
    /// Spans `[from, to)` of at least [`GAP_MIN`] without audio, in samples; the first [`GAPS_MAX`].
    pub gaps: Vec<(i64, i64)>,
    /// Packets that brought nothing new.
    pub doubles: u64,
    /// Packets that came after their place was written out, or outside the recording.
    pub late: u64,
}

impl Lane {
    /// An empty lane of `end` samples.
    #[must_use]
    pub fn new(end: i64) -> Self {
        Self {
            end,
            settled: 0,
            spans: VecDeque::new(),
            heard_to: 0,
            heard: 0,
            gaps: Vec::new(),
            doubles: 0,
            late: 0,
        }
    }

    /// Claim `[from, to)`; `fresh` gets the parts that nobody had, widened over the seams that drift correction
    /// leaves (positions outside `[from, to)` take the packet's nearest sample).
    pub fn claim(&mut self, from: i64, to: i64, fresh: &mut Vec<(i64, i64)>) {
        fresh.clear();
        let (from, to) = (from.max(self.settled), to.min(self.end));
        if from >= to {
            self.late += 1;
            return;
        }
        // Index of the first span that ends at or after `from`.
        let first = self.spans.partition_point(|(_, e)| *e < from - SEAM);
        let mut at = from;
        let mut next = first;
        let mut merged = (from, to);
        let mut touching = 0;
        while let Some((start, end)) = self.spans.get(next).copied() {
            if start > to + SEAM {
                break;
            }
            if end <= at {
                // A seam before us: fill it.
                at = end.max(self.settled);
            } else if start > at {
                fresh.push((at, start));
                at = end;
            } else {
                at = at.max(end);
            }
            merged = (merged.0.min(start), merged.1.max(end));
            touching += 1;
            next += 1;
        }
        if at < to {
            fresh.push((at, to));
        }
        let claimed: i64 = fresh.iter().map(|(a, b)| b - a).sum();
        if !fresh.iter().any(|(a, b)| *a < to && *b > from) {
            self.doubles += 1;
            fresh.clear();
            return;
        }
        self.heard += claimed;
        self.spans.drain(first..first + touching);
        self.spans.insert(first, merged);
    }

    /// Everything before `at` is written out: settle it.
    pub fn settle(&mut self, at: i64) {
        self.settled = self.settled.max(at.min(self.end));
        while let Some((start, end)) = self.spans.front().copied() {
            // The last span may still grow.
            if end + SEAM >= self.settled {
                break;
            }
            self.gap(self.heard_to, start);
            self.heard_to = end;
            self.spans.pop_front();
        }
    }

    /// Nothing more comes.
    #[must_use]
    pub fn finish(mut self) -> Heard {
        while let Some((start, end)) = self.spans.pop_front() {
            self.gap(self.heard_to, start);
            self.heard_to = end;
        }
        self.gap(self.heard_to, self.end);
        Heard {
            samples: self.heard,
            gaps: self.gaps,
            doubles: self.doubles,
            late: self.late,
        }
    }

    fn gap(&mut self, from: i64, to: i64) {
        if to - from >= GAP_MIN && self.gaps.len() < GAPS_MAX {
            self.gaps.push((from, to));
        }
    }
}

#[cfg(test)]
mod tests;
