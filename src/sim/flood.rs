//! A flood of calls from few numbers, in virtual time: who is answered and when. The switch is the real one; seats
//! pick up after a second, flooding callers hold a seat for 8 s, genuine ones for 30 s.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use uuid::Uuid;

use crate::call::{Cause, LegCommand, LegEvent, Target};
use crate::id::{CallId, LegId, SeatId, TrunkId};
use crate::sim::parallel;
use crate::switch::{Effect, EventKind, Input, InputKind, Policy, SeatLink, Switch};
use crate::time::{Millis, Timestamp};

/// 2025-11-22 08:30 in China.
const START_MICROS: i64 = 1_763_771_400_000_000;
const FLOOD_MINUTES: u32 = 20;
/// Who is still there after the flood stays this long.
const AFTER_MINUTES: u32 = 10;
const FLOOD_PER_MINUTE: u32 = 200;
const NUMBERS: u32 = 20;
const SEATS: usize = 4;
const PICKS_UP: Millis = Millis(1_000);
const FLOOD_TALK: Millis = Millis::from_secs(8);
const GENUINE_TALK: Millis = Millis::from_secs(30);
/// "Within 10 s".
const SOON: Millis = Millis::from_secs(10);

/// How it went.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct Flooded {
    pub genuine: u32,
    pub genuine_answered: u32,
    pub genuine_soon: u32,
    pub flood: u32,
    pub flood_answered: u32,
    /// Flooding callers who stayed to the end and reached no seat.
    pub stayed_unanswered: u32,
}

enum Act {
    Calls {
        number: u32,
        genuine: bool,
        stays: bool,
    },
    GivesUp(LegId),
    PicksUp(LegId),
    HangsUp(LegId),
}

struct Caller {
    at: Timestamp,
    genuine: bool,
    stays: bool,
    leg: LegId,
    answered: bool,
}

struct Flood {
    switch: Switch,
    now: Timestamp,
    dice: u64,
    agenda: BTreeMap<(Timestamp, u64), Act>,
    planned: u64,
    callers: BTreeMap<CallId, Caller>,
    gone: BTreeSet<LegId>,
    out: Flooded,
}

/// Four dispatchers without after-call work.
fn policy() -> Policy {
    let mut policy = super::plain_policy("flood", SEATS);
    policy.timers.wrap_up = Millis(0);
    policy
}

/// Runs one seed.
#[must_use]
pub fn run(seed: u64) -> Flooded {
    let policy = policy();
    let mut flood = Flood {
        switch: Switch::new(seed, policy.clone()),
        now: Timestamp::from_micros(START_MICROS),
        dice: seed.wrapping_mul(2).wrapping_add(1),
        agenda: BTreeMap::new(),
        planned: 0,
        callers: BTreeMap::new(),
        gone: BTreeSet::new(),
        out: Flooded::default(),
    };
    flood.feed(InputKind::Started {
        seed,
        build: String::from("flood"),
        policy: Box::new(policy),
    });
    for n in 0..SEATS {
        let until = flood.now + Millis::from_secs(7200);
        let contact = format!("sip:80{n}@phone.invalid");
        let link = SeatLink::Registered { contact, until };
        let seat = SeatId(format!("80{n}"));
        flood.feed(InputKind::Seat { seat, link });
    }
    flood.plan_calls();
    flood.live();
    flood.count();
    flood.out
}

impl Flood {
    fn roll(&mut self, below: u32) -> u32 {
        self.dice = self
            .dice
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let drawn = (self.dice >> 33) % u64::from(below.max(1));
        u32::try_from(drawn).unwrap_or(0)
    }

    fn plan(&mut self, after: Millis, act: Act) {
        self.planned += 1;
        self.agenda.insert((self.now + after, self.planned), act);
    }

    fn plan_calls(&mut self) {
        for n in 0..FLOOD_PER_MINUTE * FLOOD_MINUTES {
            let at = Millis(self.roll(FLOOD_MINUTES * 60_000));
            let stays = n < NUMBERS;
            self.plan(
                at,
                Act::Calls {
                    number: n % NUMBERS,
                    genuine: false,
                    stays,
                },
            );
        }
        for n in 0..FLOOD_MINUTES {
            let at = Millis(n * 60_000 + self.roll(60_000));
            self.plan(
                at,
                Act::Calls {
                    number: 5_000 + n,
                    genuine: true,
                    stays: true,
                },
            );
        }
    }

    fn live(&mut self) {
        let end = self.now + Millis::from_secs(60 * (FLOOD_MINUTES + AFTER_MINUTES));
        loop {
            let agenda = self.agenda.first_key_value().map(|((at, _), _)| *at);
            let timer = self.switch.poll_timeout().map(|(at, _)| at);
            let Some(next) = [agenda, timer].into_iter().flatten().min() else {
                return;
            };
            if next > end {
                return;
            }
            self.now = self.now.max(next);
            if timer.is_some_and(|timer| timer <= next) {
                self.feed(InputKind::Tick);
            } else if let Some((_, act)) = self.agenda.pop_first() {
                self.act(act);
            }
        }
    }

    fn act(&mut self, act: Act) {
        match act {
            Act::Calls {
                number,
                genuine,
                stays,
            } => self.calls(number, genuine, stays),
            Act::GivesUp(leg) => {
                let answered = self.callers.values().any(|c| c.leg == leg && c.answered);
                if !answered {
                    self.ends(leg);
                }
            }
            Act::HangsUp(leg) => self.ends(leg),
            Act::PicksUp(leg) => {
                if !self.gone.contains(&leg) {
                    let event = LegEvent::Answered;
                    self.feed(InputKind::Leg { leg, event });
                }
            }
        }
    }

    fn ends(&mut self, leg: LegId) {
        if self.gone.insert(leg) {
            let event = LegEvent::Ended {
                cause: Cause::Normal,
                by_far_side: true,
            };
            self.feed(InputKind::Leg { leg, event });
        }
    }

    fn calls(&mut self, number: u32, genuine: bool, stays: bool) {
        let id = u128::from(self.planned) << 64 | u128::from(self.out.flood + self.out.genuine);
        let (call, leg) = (
            CallId(Uuid::from_u128(id)),
            LegId(Uuid::from_u128(id + (1 << 60))),
        );
        *(if genuine {
            &mut self.out.genuine
        } else {
            &mut self.out.flood
        }) += 1;
        let (at, answered) = (self.now, false);
        self.callers.insert(
            call,
            Caller {
                at,
                genuine,
                stays,
                leg,
                answered,
            },
        );
        self.feed(InputKind::Arrived {
            arrival: Box::new(super::arrival(
                call,
                leg,
                TrunkId::from("ct"),
                format!("1380013{number:04}"),
            )),
        });
        if !stays {
            let patience = Millis(15_000 + self.roll(90_000));
            self.plan(patience, Act::GivesUp(leg));
        }
    }

    fn feed(&mut self, kind: InputKind) {
        self.switch.handle(&Input { at: self.now, kind });
        for event in self.switch.take_events() {
            if let EventKind::SeatAnswered { .. } = &event.kind
                && let Some(call) = event.call
            {
                self.answered(call);
            }
        }
        while let Some(effect) = self.switch.poll_effect() {
            let Effect::Leg { leg, command } = effect else {
                continue;
            };
            if let LegCommand::Invite(invite) = &command
                && let Target::Seat { .. } = &invite.target
            {
                self.plan(PICKS_UP, Act::PicksUp(leg));
            } else if let LegCommand::Release { .. } = &command {
                self.gone.insert(leg);
            }
        }
    }

    fn answered(&mut self, call: CallId) {
        let Some(caller) = self.callers.get_mut(&call) else {
            return;
        };
        caller.answered = true;
        let soon = self.now <= caller.at + SOON;
        let (genuine, leg) = (caller.genuine, caller.leg);
        if genuine {
            self.out.genuine_answered += 1;
            self.out.genuine_soon += u32::from(soon);
        } else {
            self.out.flood_answered += 1;
        }
        let talk = if genuine { GENUINE_TALK } else { FLOOD_TALK };
        self.plan(talk, Act::HangsUp(leg));
    }

    fn count(&mut self) {
        let stayed = self.callers.values().filter(|c| c.stays && !c.genuine);
        let unanswered = stayed.filter(|c| !c.answered).count();
        self.out.stayed_unanswered = u32::try_from(unanswered).unwrap_or(u32::MAX);
    }
}

/// What many seeds gave.
#[derive(Clone, Debug, Default)]
pub struct Floods {
    seeds: Vec<Flooded>,
}

/// Runs `seeds` seeds from `first` on.
#[must_use]
pub fn campaign(first: u64, seeds: u64) -> Floods {
    let mut floods = Floods::default();
    parallel::in_order(first..first.saturating_add(seeds), run, |_, flooded| {
        floods.seeds.push(flooded);
    });
    floods
}

impl Floods {
    /// Genuine callers answered within 10 s, in the middle one of all seeds.
    #[must_use]
    pub fn soon_median(&self) -> u32 {
        let mut soon: Vec<_> = self.seeds.iter().map(|s| s.genuine_soon).collect();
        soon.sort_unstable();
        soon.get(soon.len() / 2).copied().unwrap_or(0)
    }

    /// Every genuine caller was answered, 19 of 20 soon, and whoever stayed reached a seat.
    #[must_use]
    pub fn holds(&self) -> bool {
        let all = |s: &Flooded| s.genuine_answered == s.genuine && s.stayed_unanswered == 0;
        self.soon_median() * 20 >= 19 * FLOOD_MINUTES && self.seeds.iter().all(all)
    }
}

impl fmt::Display for Floods {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sum = |of: fn(&Flooded) -> u32| self.seeds.iter().map(of).sum::<u32>();
        write!(
            f,
            "flood: {} seeds, genuine {} of {} answered, median {} of {FLOOD_MINUTES} within 10 s; flood {} of {} \
             answered, {} stayed and reached no seat",
            self.seeds.len(),
            sum(|s| s.genuine_answered),
            sum(|s| s.genuine),
            self.soon_median(),
            sum(|s| s.flood_answered),
            sum(|s| s.flood),
            sum(|s| s.stayed_unanswered),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn genuine_callers_are_answered_in_a_flood_from_twenty_numbers() {
        let floods = campaign(1, 3);
        assert!(floods.holds(), "{floods}");
        assert!(floods.seeds.iter().all(|s| s.flood == 4_000), "{floods}");
    }
}
