//! The real choice against a naive one: a sorted list and loops in loops, written from the plan alone, over a small
//! centre that lives on from step to step.

use std::collections::BTreeMap;

use uuid::Uuid;

use super::rank::Rank;
use super::routing::{Candidate, Need, Opening, Rule, SeatRole, Strategy, Table, Waiting, choose};
use crate::id::{CallId, QueueId, SeatId};
use crate::time::Timestamp;

const STEPS: u32 = 100_000;
const STRATEGIES: [Strategy; 5] = [
    Strategy::LongestIdle,
    Strategy::Random,
    Strategy::FewestCalls,
    Strategy::RoundRobin,
    Strategy::RingAll,
];

struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        // Knuth's MMIX constants; nothing of the engine's own chance.
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % sides
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
        for n in 0..6 {
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
        let at = self.dice.roll(self.desks.len());
        self.desks.keys().nth(at).cloned().unwrap()
    }

    /// Somebody comes, goes or changes.
    fn lives(&mut self) {
        self.now += i64::try_from(self.dice.roll(3)).unwrap();
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
                let desk = self.desks.get_mut(&seat).unwrap();
                desk.proven = !desk.proven;
                desk.answered += 1;
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
        let queue = queues()[self.dice.roll(3)].clone();
        let caller = Caller {
            restored: self.dice.roll(8) == 0,
            at: self.now - i64::try_from(self.dice.roll(5)).unwrap(),
            // Calls of one queue ask for one of two things, as relaxation makes it.
            skills: self.some(&["child".to_owned()]),
            fallback: (self.dice.roll(2) == 0).then(|| queues()[0].clone()),
            strategy: STRATEGIES[self.dice.roll(5)],
            queue,
            own,
            affinity,
            rung: Vec::new(),
            late: false,
        };
        self.callers.insert(self.made, caller);
    }

    fn free(&mut self, seat: &SeatId, state: u8) {
        let now = self.now;
        let desk = self.desks.get_mut(seat).unwrap();
        (desk.state, desk.idle) = (state, now);
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
                self.desks.get_mut(seat).unwrap().state = if place == 0 { 3 } else { 1 };
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

    fn naive(&self, draws: &mut Vec<usize>) -> Vec<(u128, SeatId)> {
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
            let own = fit
                .iter()
                .find(|s| caller.affinity.as_ref() == Some(**s) && self.desks[**s].state != 1);
            if let Some(seat) = own {
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
                    let at = draws.remove(0) % fit.len();
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
                if all && rings && !taken && self.desks[seat].state != 1 && self.fits(caller, seat)
                {
                    given.push((*n, seat.clone()));
                }
            }
        }
        given
    }

    fn real(&self, draws: &mut Vec<usize>) -> Vec<(u128, SeatId)> {
        let mut ranked: Vec<_> = self
            .callers
            .iter()
            .map(|(n, caller)| {
                let rank = Rank {
                    ordinary: !caller.restored,
                    at: time(caller.at),
                    entered: u64::try_from(*n).unwrap(),
                };
                let need = Need {
                    queue: &caller.queue,
                    skills: &caller.skills,
                    fallback: caller.fallback.as_ref(),
                    strategy: caller.strategy,
                };
                let waiting = Waiting {
                    call: CallId(Uuid::from_u128(*n)),
                    need,
                    own: caller.own.as_ref(),
                    affinity: caller.affinity.as_ref(),
                    offered: !caller.rung.is_empty(),
                    rings_all: caller.late || caller.strategy == Strategy::RingAll,
                };
                (rank, waiting)
            })
            .collect();
        ranked.sort_by_key(|(rank, _)| *rank);
        let waiting = ranked.into_iter().map(|(_, waiting)| waiting);
        let seats = self.desks.iter().filter(|(_, desk)| desk.state != 3);
        let seats = seats.map(|(seat, desk)| Candidate {
            seat,
            opening: [Opening::Idle, Opening::Spare, Opening::WrapUp][usize::from(desk.state)],
            idle_since: time(desk.idle),
            answered: desk.answered,
            offered_at: desk.offered.map(time),
            proven: desk.proven,
            keying: false,
            role: desk.role,
            queues: &desk.queues,
            skills: &desk.skills,
        });
        let table = Table {
            seats: seats.collect(),
            supervisors_open: self.supervisors,
        };
        let choices = choose(&table, waiting, &mut || {
            u64::try_from(draws.remove(0)).unwrap()
        });
        choices
            .into_iter()
            .filter(|choice| choice.rule != Rule::NobodyFits)
            .map(|choice| (choice.call.0.as_u128(), choice.seat.unwrap()))
            .collect()
    }

    fn carry_out(&mut self, given: &[(u128, SeatId)]) {
        for (n, seat) in given {
            self.stops_ringing(seat);
            let desk = self.desks.get_mut(seat).unwrap();
            desk.offered = Some(self.now);
            desk.state = 3;
            self.callers.get_mut(n).unwrap().rung.push(seat.clone());
        }
        self.mark_spares();
    }
}

#[test]
fn real_choice_and_naive_reference_agree_on_a_hundred_thousand_steps() {
    let mut centre = Centre::new(120);
    let mut offers = 0_usize;
    for step in 0..STEPS {
        if step % 2_000 == 0 {
            centre = Centre::new(u64::from(step) + 7);
        }
        centre.lives();
        let draws: Vec<usize> = (0..12).map(|_| centre.dice.roll(1_000)).collect();
        let naive = centre.naive(&mut draws.clone());
        let real = centre.real(&mut draws.clone());
        assert_eq!(
            real, naive,
            "step {step}: {:#?} {:#?}",
            centre.callers, centre.desks
        );
        offers += naive.len();
        centre.carry_out(&naive);
    }
    assert!(
        offers > 10_000,
        "{offers} offers: the steps must have choices"
    );
}
