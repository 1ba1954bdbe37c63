//! What is compared is measured in turns: one second of packets through each process, again and again. A machine that
//! others use changes its pace within seconds; whatever it does then falls on all of them alike.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Window;
use super::server::{cpu_seconds, ran};
use super::traffic::{Counts, Traffic, percentile};

/// One turn. What a recorder writes late (0.1 s) still falls into its own.
const SLICE: Duration = Duration::from_secs(1);

/// A process and the packets that go through it.
pub(crate) struct Subject {
    pub(crate) pid: u32,
    pub(crate) traffic: Traffic,
    counts: Counts,
    threads_ran: BTreeMap<String, f64>,
    slices: u32,
}

impl Subject {
    pub(crate) fn new(pid: u32, traffic: Traffic) -> Self {
        Self {
            pid,
            traffic,
            counts: Counts::default(),
            threads_ran: BTreeMap::new(),
            slices: 0,
        }
    }

    /// A turn that is not counted.
    pub(crate) fn warm_up(&mut self) {
        self.traffic.run(SLICE);
    }

    /// One turn.
    pub(crate) fn slice(&mut self) {
        let before = cpu_seconds(self.pid);
        let counts = self.traffic.run(SLICE);
        for (name, seconds) in ran(&before, &cpu_seconds(self.pid)) {
            *self.threads_ran.entry(name).or_default() += seconds;
        }
        self.counts.add(counts);
        self.slices += 1;
    }

    /// What all turns showed, and the packets' side for what follows.
    pub(crate) fn window(self, calls: usize) -> (Window, Traffic) {
        let mut threads_ran: Vec<_> = self.threads_ran.into_iter().collect();
        threads_ran.sort_by(|a, b| b.1.total_cmp(&a.1));
        let cpu: f64 = threads_ran.iter().map(|(_, seconds)| seconds).sum();
        let minutes = f64::from(self.slices) * SLICE.as_secs_f64() / 60.0;
        let mut counts = self.counts;
        let window = Window {
            cpu_per_call_minute: cpu / minutes / calls as f64,
            sent: counts.sent,
            received: counts.received,
            delay_p50_ms: percentile(&mut counts.delays_ms, 0.5),
            delay_p99_ms: percentile(&mut counts.delays_ms, 0.99),
            disturbance: counts.disturbance,
            threads_ran,
            server: None,
        };
        (window, self.traffic)
    }
}
