//! Figures of the media plane, for metrics, alarms and the pages. Workers count in plain fields and publish copies
//! twice a second, so that reading costs them nothing.

use crate::id::LegId;

/// The whole plane.
#[derive(Clone, Debug, Default)]
pub struct Stats {
    /// RTP/RTCP port pairs.
    pub ports_used: usize,
    pub ports_total: usize,
    /// By worker number.
    pub workers: Vec<WorkerStats>,
}

impl Stats {
    /// All legs of all workers.
    pub fn legs(&self) -> impl Iterator<Item = &LegStats> {
        self.workers.iter().flat_map(|worker| &worker.legs)
    }

    /// The sum of one counter over the workers.
    #[must_use]
    pub fn sum(&self, of: impl Fn(&Counts) -> u64) -> u64 {
        self.workers.iter().map(|worker| of(&worker.counts)).sum()
    }
}

/// One worker, as of its last publication.
#[derive(Clone, Debug, Default)]
pub struct WorkerStats {
    pub counts: Counts,
    pub legs: Vec<LegStats>,
}

/// Counters since start.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// RTP datagrams received and sent.
    pub packets_in: u64,
    pub packets_out: u64,
    /// Of those sent, forwarded on arrival.
    pub forwarded: u64,
    /// Received from somebody who is not the far side.
    pub strays: u64,
    /// Received, but no RTP or of a type that was not agreed.
    pub invalid: u64,
    /// Received before the far side's description was known.
    pub early: u64,
    /// Valid, but not passed on to a hearer (older than the switch to this source).
    pub stale: u64,
    /// Not taken by the system (its send buffer was full, no route).
    pub send_failed: u64,
    /// Not recorded because the recorder's ring was full.
    pub tap_dropped: u64,
    /// Told to nobody because the switch's channel and the retry list were full.
    pub events_dropped: u64,
    /// 5 ms steps done, done late by more than 5 ms, worst lateness in microseconds, and steps given up.
    pub ticks: u64,
    pub ticks_late: u64,
    pub tick_late_us_max: u64,
    pub ticks_skipped: u64,
    /// Faults caught; each cost one call its media.
    pub panics: u64,
}

/// One leg.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LegStats {
    pub leg: LegId,
    /// Mean magnitude of what the far side says, 0-32256; 0 when it sends nothing.
    pub level: u16,
    /// Packets expected from the far side and lost on the way.
    pub expected: u64,
    pub lost: u64,
    pub jitter_ms: u32,
    /// How the far side receives us, by its last report: fraction lost in 1/256, jitter in samples.
    pub far_fraction_lost: Option<u8>,
    pub far_jitter: Option<u32>,
}
