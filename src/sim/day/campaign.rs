//! Many seeds, one after the other on every core, and what they gave together.

use std::fmt;

use super::{Summary, Violation, run_for};
use crate::sim::parallel;
use crate::time::Timestamp;

/// What a run over many seeds gave.
#[derive(Clone, Debug, Default)]
pub struct Campaign {
    pub seeds: u64,
    pub total: Summary,
    /// Fewest of a seed that ended without a violation: calls, seats, faults.
    pub calls_min: u64,
    pub seats_min: u64,
    pub faults_min: u64,
    pub violations: Vec<Violation>,
}

/// Runs `seeds` seeds from `first` on. `told` hears of each seed as it ends, in their order.
pub fn campaign(
    first: u64,
    seeds: u64,
    minutes: u32,
    mut told: impl FnMut(u64, &Result<Summary, Box<Violation>>),
) -> Campaign {
    let mut campaign = Campaign {
        seeds,
        calls_min: u64::MAX,
        seats_min: u64::MAX,
        faults_min: u64::MAX,
        ..Campaign::default()
    };
    parallel::in_order(
        first..first.saturating_add(seeds),
        |seed| guarded(seed, minutes),
        |seed, result| {
            told(seed, &result);
            campaign.count(result);
        },
    );
    campaign
}

/// A panic is what the seed found, and the others go on.
fn guarded(seed: u64, minutes: u32) -> Result<Summary, Box<Violation>> {
    std::panic::catch_unwind(|| run_for(seed, minutes)).unwrap_or_else(|_| {
        Err(Box::new(Violation {
            seed,
            invariant: 0,
            at: Timestamp::default(),
            detail: String::from("the switch or the simulator panicked; the message is above"),
            trail: Vec::new(),
        }))
    })
}

impl Campaign {
    fn count(&mut self, result: Result<Summary, Box<Violation>>) {
        match result {
            Ok(summary) => {
                self.calls_min = self.calls_min.min(summary.calls);
                self.seats_min = self.seats_min.min(summary.seats);
                self.faults_min = self.faults_min.min(summary.faults);
                self.total.add(&summary);
            }
            Err(violation) => self.violations.push(*violation),
        }
    }

    /// Means over the seeds that ended without a violation.
    fn write_means(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let t = &self.total;
        let ended = self.seeds - self.violations.len() as u64;
        if ended == 0 {
            return Ok(());
        }
        let mean = |sum: u64| sum as f64 / ended as f64;
        writeln!(
            f,
            "sim: a seed has {:.1} calls on the mean ({} at least), {:.1} seats ({}), {:.1} faults ({}): seats vanish {:.1}, trunks flap {:.1}, \
             clock {:.1}, network {:.1}, kills {:.1}; {:.0} messages lost, {:.0} doubled; {:.1} replays equal",
            mean(t.calls),
            self.calls_min,
            mean(t.seats),
            self.seats_min,
            mean(t.faults),
            self.faults_min,
            mean(t.vanished),
            mean(t.flapped),
            mean(t.jumps),
            mean(t.storms),
            mean(t.restarts),
            mean(t.lost_messages),
            mean(t.doubled_messages),
            mean(t.replays),
        )
    }
}

impl fmt::Display for Campaign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let t = &self.total;
        self.write_means(f)?;
        writeln!(
            f,
            "sim: {} calls ({} answered, {} abandoned, {} lost, {} refused), {} in menus, {} offers, {} third parties joined, {} \
             listened to, {} taken over, {} calls joined to another, {} put on hold, {} dialled ({} not reached), {} called back, {} shelved, {} transferred, {} handed over, {} requeued, {} restarts, {} reopened, {} inputs, {} events, {} virtual hours",
            t.calls,
            t.answered,
            t.abandoned,
            t.lost,
            t.refused,
            t.in_menu,
            t.offers,
            t.joined,
            t.listened,
            t.taken_over,
            t.joins,
            t.held,
            t.dialled,
            t.not_reached,
            t.called_back,
            t.shelved,
            t.transferred,
            t.handed_over,
            t.requeued,
            t.restarts,
            t.reopened,
            t.inputs,
            t.events,
            t.virtual_s / 3600
        )?;
        write!(
            f,
            "sim: {} seeds, {} violations",
            self.seeds,
            self.violations.len()
        )
    }
}
