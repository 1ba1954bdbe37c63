//! The fault plan of a seed: what goes wrong, drawn at its beginning, and how it strikes.
//!
//! ```text
//! seats vanish   some phones die at once without a word, and come back later
//! trunk flaps    down and up in quick succession, and some of its calls break
//! clock jumps    the process stands still, its clock is set back, or a new process finds the clock stepped
//! network        loses or doubles much of what is sent, for a while
//! kill           at a random Input: before it is taken in, after it, or amid the Effects that it had
//! ```

use super::Violation;
use super::network::{End, FarAct, Stage};
use super::world::{Happening, World};
use crate::call::Ingress;
use crate::id::{LegId, SeatId, TrunkId};
use crate::switch::{InputKind, SeatLink, TrunkChange};
use crate::time::{Millis, Timestamp};

/// Of 100 messages, in ordinary times.
const LOST: u32 = 5;
const DOUBLED: u32 = 2;
/// In a storm.
const STORM: u32 = 40;
/// Faults beside the first kill: so many, and up to so many more.
const FAULTS: u32 = 5;
const FAULTS_MORE: u32 = 4;
/// Kills at most.
const KILLS: u64 = 3;
/// Inputs of a minute, roughly: a kill is drawn among those of four fifths of the hour.
const INPUTS_A_MINUTE: u32 = 70;
/// The clock of a new process differs from that of the last one by so much at most.
const STEP_MS_MAX: u32 = 3_600_000;

/// Something that goes wrong.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    SeatsVanish,
    TrunkFlaps,
    /// Nothing is taken in for a while, then everything at once.
    StandsStill,
    /// The process's own clock goes back a little.
    ClockBack,
    NetworkLoses,
    NetworkDoubles,
}

const KINDS: [Fault; 6] = [
    Fault::SeatsVanish,
    Fault::TrunkFlaps,
    Fault::StandsStill,
    Fault::NetworkLoses,
    Fault::NetworkDoubles,
    Fault::ClockBack,
];

/// When the process is killed.
#[derive(Copy, Clone, Debug)]
struct Kill {
    /// After so many Inputs more.
    inputs: u64,
    /// Only at the next INVITE then.
    at_arrival: bool,
    cut: Cut,
}

/// How far the Input gets at which the process is killed.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Cut {
    /// It is lost with the process.
    Before,
    /// It is in the journal, and so many of 100 of its Effects have run.
    Amid(u32),
}

/// What is wrong now, and what will be.
#[derive(Clone, Debug, Default)]
pub(super) struct Faults {
    kill: Option<Kill>,
    /// Phones that do not answer.
    dead: Vec<(SeatId, Timestamp)>,
    loses_until: Timestamp,
    doubles_until: Timestamp,
    /// Nothing reaches the process before this.
    pub(super) still_until: Timestamp,
    /// The process's clock less the true time, microseconds.
    clock_off: i64,
}

impl World {
    pub(super) fn plan_faults(&mut self) {
        let day = self.day.0;
        let count = FAULTS + self.chance.below(FAULTS_MORE);
        for n in 0..count {
            // One of each first, as far as they go.
            let nth = usize::try_from(n).ok().and_then(|n| KINDS.get(n));
            let any = self.chance.pick(&KINDS);
            if let Some(fault) = nth.or(any).copied() {
                let at = self.chance.span(day / 20, day / 20 * 19);
                self.plan(at, Happening::Strikes(fault));
            }
        }
        self.draw_kill();
    }

    fn draw_kill(&mut self) {
        let minutes = self.day.0 / 60_000;
        self.faults.kill = Some(Kill {
            inputs: u64::from(self.chance.below(minutes * INPUTS_A_MINUTE / 5 * 4)),
            at_arrival: self.chance.percent(50),
            cut: match self.chance.below(3) {
                0 => Cut::Before,
                1 => Cut::Amid(100),
                _ => Cut::Amid(self.chance.below(100)),
            },
        });
    }

    /// Whether this Input is the one at which the process is killed.
    pub(super) fn is_killed_at(&mut self, kind: &InputKind) -> Option<Cut> {
        let day_goes_on = self.now < self.start + self.day;
        let begins = matches!(kind, InputKind::Started { .. });
        let kill = self
            .faults
            .kill
            .as_mut()
            .filter(|_| day_goes_on && !begins)?;
        kill.inputs = kill.inputs.saturating_sub(1);
        let fits = !kill.at_arrival || matches!(kind, InputKind::Arrived { .. });
        if kill.inputs > 0 || !fits {
            return None;
        }
        let cut = kill.cut;
        self.faults.kill = None;
        Some(cut)
    }

    /// A new process has started: its clock may have been stepped meanwhile, and it may be killed again.
    pub(super) fn process_begins(&mut self) {
        self.faults.clock_off = 0;
        if self.chance.percent(40) {
            let reach = if self.chance.percent(30) {
                STEP_MS_MAX
            } else {
                STEP_MS_MAX / 60
            };
            let step = i64::from(self.chance.below(reach)) * 1_000;
            let back = self.chance.percent(50);
            self.faults.clock_off = if back { -step } else { step };
            self.summary.jumps += 1;
            self.summary.faults += 1;
        }
        if self.chance.percent(30) && self.summary.restarts < KILLS {
            self.draw_kill();
        }
    }

    /// The process's clock.
    pub(super) fn clock(&self) -> Timestamp {
        Timestamp::from_micros(self.now.as_micros() + self.faults.clock_off)
    }

    /// The true time at which the process's clock shows this.
    pub(super) fn true_time(&self, clock: Timestamp) -> Timestamp {
        Timestamp::from_micros(clock.as_micros() - self.faults.clock_off)
    }

    pub(super) fn strikes(&mut self, fault: Fault) -> Result<(), Box<Violation>> {
        self.summary.faults += 1;
        match fault {
            Fault::SeatsVanish => self.seats_vanish(),
            Fault::TrunkFlaps => self.trunk_flaps(),
            Fault::StandsStill => {
                self.summary.jumps += 1;
                let span = self.chance.span(500, 15_000);
                self.faults.still_until = self.now + span;
            }
            Fault::ClockBack => {
                self.summary.jumps += 1;
                self.faults.clock_off -= i64::from(self.chance.span(10, 2_000).0) * 1_000;
            }
            Fault::NetworkLoses => {
                self.summary.storms += 1;
                let span = self.chance.span(20_000, 120_000);
                self.faults.loses_until = self.now + span;
            }
            Fault::NetworkDoubles => {
                self.summary.storms += 1;
                let span = self.chance.span(20_000, 120_000);
                self.faults.doubles_until = self.now + span;
            }
        }
        Ok(())
    }

    fn seats_vanish(&mut self) {
        self.summary.vanished += 1;
        let seats: Vec<_> = self.policy.seats.keys().cloned().collect();
        let third = u32::try_from(seats.len() / 3).unwrap_or(0);
        for _ in 0..=self.chance.below(third + 1) {
            if let Some(seat) = self.chance.pick(&seats).cloned() {
                self.vanishes(seat);
            }
        }
    }

    /// A phone dies in whatever it does; its registration outlives it.
    fn vanishes(&mut self, seat: SeatId) {
        let back = self.chance.span(15_000, 180_000);
        self.faults.dead.push((seat.clone(), self.now + back));
        let own = |end: &End| matches!(end, End::Phone { seat: of } if *of == seat);
        let legs = self.dialogs.iter().filter(|(_, d)| own(&d.end));
        for leg in legs.map(|(leg, _)| *leg).collect::<Vec<_>>() {
            self.far(leg, FarAct::Vanish);
        }
        let noticed = self.chance.span(1_000, 5_000);
        self.links(&seat, noticed, SeatLink::Reachable { reachable: false });
        self.links(&seat, back, SeatLink::Reachable { reachable: true });
        if self.chance.percent(50) {
            self.registers(&seat, Millis(back.0 + 200), false);
        }
    }

    /// Whether nobody is at the other end.
    pub(super) fn is_dead(&mut self, seat: &SeatId) -> bool {
        let now = self.now;
        self.faults.dead.retain(|(_, until)| *until > now);
        self.faults.dead.iter().any(|(of, _)| of == seat)
    }

    fn trunk_flaps(&mut self) {
        self.summary.flapped += 1;
        let trunk = TrunkId::from(if self.chance.percent(50) {
            "ct"
        } else {
            "cmcc"
        });
        let mut at = Millis(0);
        for _ in 0..2 + self.chance.below(5) {
            let reason = String::from("OPTIONS unanswered");
            self.trunk_is(&trunk, at, TrunkChange::Down { reason });
            at = Millis(at.0 + self.chance.span(100, 5_000).0);
            self.trunk_is(&trunk, at, TrunkChange::Up);
            at = Millis(at.0 + self.chance.span(100, 5_000).0);
        }
        let through = Ingress::Trunk(trunk);
        let legs = self.invites.iter().filter(|(_, a)| a.ingress == through);
        let live: Vec<LegId> = legs
            .map(|(leg, _)| *leg)
            .filter(|leg| {
                self.dialogs
                    .get(leg)
                    .is_some_and(|d| d.stage != Stage::Over)
            })
            .collect();
        for leg in live {
            if self.chance.percent(15) {
                let after = Millis(self.chance.below(at.0));
                self.plan_far(after, leg, FarAct::Break);
            }
        }
    }

    fn trunk_is(&mut self, trunk: &TrunkId, after: Millis, change: TrunkChange) {
        let trunk = trunk.clone();
        self.reaches(after, InputKind::Trunk { trunk, change });
    }

    /// Whether this message is lost, this time.
    pub(super) fn is_lost(&mut self) -> bool {
        let storm = self.now < self.faults.loses_until;
        let lost = self.chance.percent(if storm { STORM } else { LOST });
        self.summary.lost_messages += u64::from(lost);
        lost
    }

    /// Whether this message comes twice.
    pub(super) fn is_doubled(&mut self) -> bool {
        let storm = self.now < self.faults.doubles_until;
        let doubled = self.chance.percent(if storm { STORM } else { DOUBLED });
        self.summary.doubled_messages += u64::from(doubled);
        doubled
    }
}
