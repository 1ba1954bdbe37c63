//! The real choice of seats against a naive one: a sorted list and loops in loops, written from the plan alone, over a
//! small centre that lives on from step to step. `firstring simulate --reference`.

use std::collections::BTreeMap;
use std::fmt;

use uuid::Uuid;

use crate::acd::rank::Rank;
use crate::acd::routing::Opening;
use crate::acd::{Candidate, Need, Rule, SeatRole, Strategy, Table, Waiting, choose};
use crate::id::{CallId, QueueId, SeatId};
use crate::time::Timestamp;

/// Steps of a comparison.
pub const STEPS: u32 = 100_000;
/// A new centre begins after so many.
const STEPS_OF_ONE: u32 = 2_000;
/// Differences told in full.
const TOLD_MAX: usize = 3;
const STRATEGIES: [Strategy; 5] = [
    Strategy::LongestIdle,
    Strategy::Random,
    Strategy::FewestCalls,
    Strategy::RoundRobin,
    Strategy::RingAll,
];

/// A fault put between the centre and the real choice, which the comparison must see.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Plant {
    /// Who came back from a lost seat stands behind.
    RestoredLast,
    SkillIgnored,
    /// Seats kept to queues take any call.
    QueueIgnored,
    /// Supervisors serve always.
    SupervisorsOpen,
    /// A call is offered to the seat that made it.
    OwnCallOffered,
    AffinityForgotten,
    /// A seat in after-call work is as good as a free one.
    WrapUpFirst,
    /// A phone without proof is as good as another.
    ProofIgnored,
    /// Nobody rings beside another.
    NoSpares,
    /// A seat is drawn where the longest idle one is to ring.
    OtherStrategy,
}

impl Plant {
    pub const ALL: [Self; 10] = [
        Self::RestoredLast,
        Self::SkillIgnored,
        Self::QueueIgnored,
        Self::SupervisorsOpen,
        Self::OwnCallOffered,
        Self::AffinityForgotten,
        Self::WrapUpFirst,
        Self::ProofIgnored,
        Self::NoSpares,
        Self::OtherStrategy,
    ];
}

/// How a comparison went.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Comparison {
    pub steps: u32,
    /// Made by the naive choice.
    pub offers: u64,
    pub differences: u32,
    /// The first of them: step, both choices, the centre.
    pub told: Vec<String>,
}

impl Comparison {
    /// Steps there were that had choices, and both chose the same.
    #[must_use]
    pub const fn holds(&self) -> bool {
        self.differences == 0 && self.offers >= self.steps as u64 / 10
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            steps,
            offers,
            differences,
            ..
        } = self;
        write!(
            f,
            "reference: {steps} steps, {offers} offers, {differences} differences"
        )
    }
}

/// Lives through `steps` with both, the real choice under a planted fault if one is given.
#[must_use]
pub fn compare(steps: u32, plant: Option<Plant>) -> Comparison {
    let mut comparison = Comparison {
        steps,
        ..Comparison::default()
    };
    let mut centre = Centre::new(120);
    for step in 0..steps {
        if step.is_multiple_of(STEPS_OF_ONE) {
            centre = Centre::new(u64::from(step) + 7);
        }
        centre.lives();
        let draws = Draws((0..DRAWS).map(|_| centre.dice.roll(1_000)).collect());
        let naive = centre.naive(&mut draws.clone());
        let real = centre.real(&mut draws.clone(), plant);
        comparison.offers += naive.len() as u64;
        if real != naive {
            comparison.differences += 1;
            if comparison.told.len() < TOLD_MAX {
                let (callers, desks) = (&centre.callers, &centre.desks);
                comparison.told.push(format!(
                    "step {step}: real {real:?}, naive {naive:?}\n{callers:#?}\n{desks:#?}"
                ));
            }
        }
        centre.carry_out(&naive);
    }
    comparison
}

/// More than a step needs.
const DRAWS: usize = 12;

/// Chance of one step, the same for both.
#[derive(Clone)]
struct Draws(std::collections::VecDeque<usize>);

impl Draws {
    fn next(&mut self) -> usize {
        self.0.pop_front().unwrap_or_default()
    }
}

struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        // Knuth's MMIX constants; nothing of the engine's own chance.
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % sides
    }
}

#[derive(Clone, Debug)]
struct Caller {
    restored: bool,
    at: i64,
    queue: QueueId,
    skills: Vec<String>,
    fallback: Option<QueueId>,
    strategy: Strategy,
    own: Option<SeatId>,
    affinity: Option<SeatId>,
    back: Option<SeatId>,
    rung: Vec<SeatId>,
    late: bool,
}

#[derive(Clone, Debug)]
struct Desk {
    /// 0 free, 1 rings beside, 2 after-call work, 3 busy.
    state: u8,
    idle: i64,
    answered: u32,
    offered: Option<i64>,
    proven: bool,
    role: SeatRole,
    queues: Vec<QueueId>,
    skills: Vec<String>,
}

const DESKS: usize = 6;

struct Centre {
    dice: Dice,
    now: i64,
    made: u128,
    callers: BTreeMap<u128, Caller>,
    desks: BTreeMap<SeatId, Desk>,
    supervisors: bool,
}

fn queues() -> [QueueId; 3] {
    ["main", "child", "poison"].map(QueueId::from)
}

fn time(at: i64) -> Timestamp {
    Timestamp::from_micros(at)
}

impl Centre {
    fn new(seed: u64) -> Self {
        let mut centre = Self {
            dice: Dice(seed),
            now: 0,
            made: 0,
            callers: BTreeMap::new(),
            desks: BTreeMap::new(),
            supervisors: false,
        };
        for n in 0..DESKS {
            let role = [
                SeatRole::Dispatcher,
                SeatRole::Dispatcher,
                SeatRole::Supervisor,
                SeatRole::Doctor,
            ][centre.dice.roll(4)];
            let desk = Desk {
                state: 3,
                idle: 0,
                answered: 0,
                offered: None,
                proven: true,
                role,
                queues: centre.some(&queues()),
                skills: centre.some(&["child".to_owned(), "english".to_owned()]),
            };
            centre.desks.insert(SeatId(format!("80{n}")), desk);
        }
        centre
    }

    fn some<T: Clone>(&mut self, of: &[T]) -> Vec<T> {
        of.iter()
            .filter(|_| self.dice.roll(3) == 0)
            .cloned()
            .collect()
    }

    fn desk(&mut self) -> SeatId {
        SeatId(format!("80{}", self.dice.roll(DESKS)))
    }

    /// Somebody comes, goes or changes.
    fn lives(&mut self) {
        self.now += self.dice.roll(3) as i64;
        let seat = self.desk();
        match self.dice.roll(8) {
            0..3 if self.callers.len() < 9 => self.caller_comes(),
            0..4 => {
                let gone = self.callers.keys().next().copied();
                let rung = gone.and_then(|n| self.callers.remove(&n));
                for seat in rung.map(|c| c.rung).unwrap_or_default() {
                    self.free(&seat, 0);
                }
            }
            4 => {
                self.stops_ringing(&seat);
                self.free(&seat, 3);
            }
            5 => {
                if let Some(desk) = self.desks.get_mut(&seat) {
                    desk.proven = !desk.proven;
                    desk.answered += 1;
                }
            }
            6 => self.supervisors = !self.supervisors,
            _ => {
                self.stops_ringing(&seat);
                let state = [0, 0, 2][self.dice.roll(3)];
                self.free(&seat, state);
                for caller in self.callers.values_mut() {
                    caller.late |= self.now - caller.at > 20;
                }
            }
        }
    }

    fn caller_comes(&mut self) {
        self.made += 1;
        let own = (self.dice.roll(6) == 0).then(|| self.desk());
        let affinity = (self.dice.roll(4) == 0).then(|| self.desk());
        let back = (self.dice.roll(6) == 0).then(|| self.desk());
        let queue = queues()[self.dice.roll(3)].clone();
        let caller = Caller {
            restored: self.dice.roll(8) == 0,
            at: self.now - self.dice.roll(5) as i64,
            // Calls of one queue ask for one of two things, as relaxation makes it.
            skills: self.some(&["child".to_owned()]),
            fallback: (self.dice.roll(2) == 0).then(|| queues()[0].clone()),
            strategy: STRATEGIES[self.dice.roll(5)],
            queue,
            own,
            affinity,
            back,
            rung: Vec::new(),
            late: false,
        };
        self.callers.insert(self.made, caller);
    }

    fn free(&mut self, seat: &SeatId, state: u8) {
        if let Some(desk) = self.desks.get_mut(seat) {
            (desk.state, desk.idle) = (state, self.now);
        }
    }

    /// The seat's ringing ends; the call's next one is its own.
    fn stops_ringing(&mut self, seat: &SeatId) {
        for caller in self.callers.values_mut() {
            caller.rung.retain(|s| s != seat);
        }
        self.mark_spares();
    }

    fn mark_spares(&mut self) {
        for caller in self.callers.values() {
            for (place, seat) in caller.rung.iter().enumerate() {
                if let Some(desk) = self.desks.get_mut(seat) {
                    desk.state = if place == 0 { 3 } else { 1 };
                }
            }
        }
    }

    fn fits(&self, caller: &Caller, seat: &SeatId) -> bool {
        let desk = &self.desks[seat];
        if desk.state == 3 || caller.own.as_ref() == Some(seat) {
            return false;
        }
        let mut named = false;
        for queue in &desk.queues {
            named |= *queue == caller.queue || Some(queue) == caller.fallback.as_ref();
        }
        for skill in &caller.skills {
            if !desk.skills.contains(skill) {
                return false;
            }
        }
        match desk.role {
            SeatRole::Dispatcher => named || desk.queues.is_empty(),
            SeatRole::Supervisor => self.supervisors && (named || desk.queues.is_empty()),
            SeatRole::Doctor => named,
        }
    }

    fn naive(&self, draws: &mut Draws) -> Vec<(u128, SeatId)> {
        let mut order: Vec<u128> = self.callers.keys().copied().collect();
        order.sort_by_key(|n| (!self.callers[n].restored, self.callers[n].at, *n));
        let mut given: Vec<(u128, SeatId)> = Vec::new();
        for n in &order {
            let caller = &self.callers[n];
            let mut fit: Vec<&SeatId> = Vec::new();
            for seat in self.desks.keys() {
                let taken = given.iter().any(|(_, s)| s == seat);
                if !taken && caller.rung.is_empty() && self.fits(caller, seat) {
                    fit.push(seat);
                }
            }
            let is = |own: &Option<SeatId>| {
                let mut fit = fit.iter().filter(|s| self.desks[**s].state != 1);
                fit.find(|s| own.as_ref() == Some(**s))
            };
            if let Some(seat) = is(&caller.back).or_else(|| is(&caller.affinity)) {
                given.push((*n, (*seat).clone()));
                continue;
            }
            let class = |s: &SeatId| {
                let d = &self.desks[s];
                let opening = [0, 1, 2][usize::from(d.state)];
                let supervisor = d.role != SeatRole::Dispatcher;
                let doctor = d.role == SeatRole::Doctor;
                (!d.proven, opening, supervisor, doctor, d.skills.len())
            };
            let best = fit.iter().map(|s| class(s)).min();
            fit.retain(|s| Some(class(s)) == best);
            if fit.is_empty() {
                continue;
            }
            let of = |s: &SeatId| self.desks[s].clone();
            match caller.strategy {
                Strategy::Random => {
                    let at = draws.next() % fit.len();
                    fit = vec![fit[at]];
                }
                Strategy::LongestIdle | Strategy::RingAll => fit.sort_by_key(|s| of(s).idle),
                Strategy::FewestCalls => fit.sort_by_key(|s| (of(s).answered, of(s).idle)),
                Strategy::RoundRobin => fit.sort_by_key(|s| (of(s).offered, of(s).idle)),
            }
            given.push((*n, fit[0].clone()));
        }
        for n in &order {
            let caller = &self.callers[n];
            let all = caller.late || caller.strategy == Strategy::RingAll;
            let rings = !caller.rung.is_empty() || given.iter().any(|(of, _)| of == n);
            for seat in self.desks.keys() {
                let taken = given.iter().any(|(_, s)| s == seat);
                let asked = all || caller.back.as_ref() == Some(seat);
                if asked
                    && rings
                    && !taken
                    && self.desks[seat].state != 1
                    && self.fits(caller, seat)
                {
                    given.push((*n, seat.clone()));
                }
            }
        }
        given
    }

    fn real(&self, draws: &mut Draws, plant: Option<Plant>) -> Vec<(u128, SeatId)> {
        let is = |of: Plant| plant == Some(of);
        let mut ranked: Vec<_> = self
            .callers
            .iter()
            .map(|(n, caller)| {
                let rank = Rank {
                    ordinary: caller.restored == is(Plant::RestoredLast),
                    at: time(caller.at),
                    entered: *n as u64,
                };
                (rank, caller.waiting(*n, plant))
            })
            .collect();
        ranked.sort_by_key(|(rank, _)| *rank);
        let waiting = ranked.into_iter().map(|(_, waiting)| waiting);
        let seats = self.desks.iter().filter(|(_, desk)| desk.state != 3);
        let table = Table {
            seats: seats.map(|(id, desk)| desk.candidate(id, plant)).collect(),
            supervisors_open: self.supervisors || is(Plant::SupervisorsOpen),
        };
        let choices = choose(&table, waiting, &mut || draws.next() as u64);
        choices
            .into_iter()
            .filter(|choice| choice.rule != Rule::NobodyFits)
            .filter_map(|choice| Some((choice.call.0.as_u128(), choice.seat?)))
            .collect()
    }

    fn carry_out(&mut self, given: &[(u128, SeatId)]) {
        for (n, seat) in given {
            self.stops_ringing(seat);
            if let Some(desk) = self.desks.get_mut(seat) {
                desk.offered = Some(self.now);
                desk.state = 3;
            }
            if let Some(caller) = self.callers.get_mut(n) {
                caller.rung.push(seat.clone());
            }
        }
        self.mark_spares();
    }
}

impl Caller {
    fn waiting(&self, n: u128, plant: Option<Plant>) -> Waiting<'_> {
        let is = |of: Plant| plant == Some(of);
        let strategy = match self.strategy {
            Strategy::LongestIdle if is(Plant::OtherStrategy) => Strategy::Random,
            own @ (Strategy::LongestIdle
            | Strategy::Random
            | Strategy::FewestCalls
            | Strategy::RoundRobin
            | Strategy::RingAll) => own,
        };
        let skills: &[String] = if is(Plant::SkillIgnored) {
            &[]
        } else {
            &self.skills
        };
        Waiting {
            call: CallId(Uuid::from_u128(n)),
            need: Need {
                queue: &self.queue,
                skills,
                fallback: self.fallback.as_ref(),
                strategy,
            },
            own: self.own.as_ref().filter(|_| !is(Plant::OwnCallOffered)),
            affinity: self
                .affinity
                .as_ref()
                .filter(|_| !is(Plant::AffinityForgotten)),
            back: self.back.as_ref(),
            offered: !self.rung.is_empty(),
            rings_all: !is(Plant::NoSpares) && (self.late || self.strategy == Strategy::RingAll),
        }
    }
}

impl Desk {
    fn candidate<'a>(&'a self, seat: &'a SeatId, plant: Option<Plant>) -> Candidate<'a> {
        let is = |of: Plant| plant == Some(of);
        let opening = match self.state {
            1 => Opening::Spare,
            2 if !is(Plant::WrapUpFirst) => Opening::WrapUp,
            _ => Opening::Idle,
        };
        let queues: &[QueueId] = if is(Plant::QueueIgnored) {
            &[]
        } else {
            &self.queues
        };
        Candidate {
            seat,
            opening,
            idle_since: time(self.idle),
            answered: self.answered,
            offered_at: self.offered.map(time),
            proven: self.proven || is(Plant::ProofIgnored),
            keying: false,
            role: self.role,
            queues,
            skills: &self.skills,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn real_choice_and_naive_reference_agree_on_a_hundred_thousand_steps() {
        let comparison = compare(STEPS, None);
        assert!(comparison.holds(), "{comparison}\n{:?}", comparison.told);
    }

    #[test]
    fn every_planted_fault_of_the_choice_is_seen() {
        for plant in Plant::ALL {
            let mut tries = [1, 5, 50].map(|centres| centres * STEPS_OF_ONE).into_iter();
            let seen = tries.find_map(|steps| {
                let comparison = compare(steps, Some(plant));
                (comparison.differences > 0).then_some(comparison)
            });
            let seen = seen.unwrap_or_else(|| panic!("{plant:?} was never seen"));
            assert!(!seen.holds() && !seen.told.is_empty(), "{plant:?}: {seen}");
        }
    }

    #[test]
    fn comparison_ends_with_its_steps_and_differences() {
        let text = compare(STEPS_OF_ONE, None).to_string();
        assert!(text.starts_with("reference: 2000 steps, "), "{text}");
        assert!(text.ends_with(" offers, 0 differences"), "{text}");
    }
}
