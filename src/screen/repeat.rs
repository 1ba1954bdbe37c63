//! The calls of the last day by number: who calls again within minutes, and what a number's calls looked like.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use super::Behaviour;
use crate::id::{CallId, SeatId};
use crate::limits::{SEEN_NUMBERS_MAX, SEEN_PER_NUMBER_MAX};
use crate::time::{Millis, Timestamp};

/// Calls are remembered for this long.
const SPAN: Millis = Millis::from_secs(24 * 60 * 60);
/// A talk shorter than this is a short one.
const SHORT: Millis = Millis::from_secs(10);
/// China has one time zone, UTC+8, without summer time.
const LOCAL_OFFSET: Millis = Millis::from_secs(8 * 3600);
const HOUR_US: i64 = 3_600_000_000;
const NIGHT_ENDS: i64 = 5;

/// How a call ended for its caller.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// It is still open.
    Open,
    /// Nobody had answered: given up, lost or refused.
    Unanswered,
    /// A seat answered; milliseconds of talk.
    Answered(u64),
}

/// One remembered call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    pub call: CallId,
    pub at: Timestamp,
    pub fate: Fate,
    /// Sound came from the caller.
    pub heard: bool,
    /// An ambulance was sent for it.
    pub helped: bool,
    /// The seat that handled it last.
    pub seat: Option<SeatId>,
}

/// How often a number called within the window.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct Repeat {
    pub calls: u32,
    /// Of them ended before anybody answered.
    pub unanswered: u32,
}

/// The memory, bounded by time, numbers and calls per number.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    seen: BTreeMap<String, VecDeque<Seen>>,
    /// Each call's number, oldest call first.
    order: VecDeque<(Timestamp, String)>,
}

impl Memory {
    /// A call of `number` came in.
    pub fn came(&mut self, number: &str, call: CallId, at: Timestamp) {
        self.forget(at);
        let calls = self.seen.entry(number.to_owned()).or_default();
        if calls.len() >= SEEN_PER_NUMBER_MAX {
            calls.pop_front();
        }
        calls.push_back(Seen {
            call,
            at,
            fate: Fate::Open,
            heard: false,
            helped: false,
            seat: None,
        });
        self.order.push_back((at, number.to_owned()));
    }

    fn forget(&mut self, now: Timestamp) {
        while let Some((at, _)) = self.order.front() {
            let full = self.order.len() >= SEEN_NUMBERS_MAX || self.seen.len() >= SEEN_NUMBERS_MAX;
            if !full && *at + SPAN > now {
                return;
            }
            let Some((at, number)) = self.order.pop_front() else {
                return;
            };
            if let Some(calls) = self.seen.get_mut(&number) {
                calls.retain(|seen| seen.at > at);
                if calls.is_empty() {
                    self.seen.remove(&number);
                }
            }
        }
    }

    /// The remembered call, to be told more of.
    pub fn call_mut(&mut self, number: &str, call: CallId) -> Option<&mut Seen> {
        self.seen
            .get_mut(number)?
            .iter_mut()
            .rev()
            .find(|seen| seen.call == call)
    }

    /// The number and the memory of a call, wherever it is. For what people do, not for each packet.
    #[must_use]
    pub fn find(&self, call: CallId) -> Option<(&str, &Seen)> {
        self.seen.iter().find_map(|(number, calls)| {
            let seen = calls.iter().find(|seen| seen.call == call)?;
            Some((number.as_str(), seen))
        })
    }

    /// The number's remembered calls, oldest first.
    #[must_use]
    pub fn calls(&self, number: &str) -> Vec<CallId> {
        let calls = self.seen.get(number).into_iter().flatten();
        calls.map(|seen| seen.call).collect()
    }

    /// How often `number` called within `window` before `now`.
    #[must_use]
    pub fn repeat(&self, number: &str, window: Millis, now: Timestamp) -> Repeat {
        let mut repeat = Repeat::default();
        let calls = self.seen.get(number).into_iter().flatten();
        for seen in calls.filter(|seen| seen.at + window >= now) {
            repeat.calls += 1;
            repeat.unanswered += u32::from(seen.fate == Fate::Unanswered);
        }
        repeat
    }

    /// What the number's calls of the last day looked like.
    #[must_use]
    pub fn behaviour(&self, number: &str, window: Millis) -> Behaviour {
        let mut behaviour = Behaviour::default();
        let mut before: Option<Timestamp> = None;
        for seen in self.seen.get(number).into_iter().flatten() {
            match seen.fate {
                Fate::Open => {}
                Fate::Unanswered => behaviour.abandoned += 1,
                Fate::Answered(ms) => {
                    behaviour.short += u32::from(ms < u64::from(SHORT.0));
                    behaviour.silent += u32::from(!seen.heard);
                }
            }
            behaviour.helped += u32::from(seen.helped);
            behaviour.night += u32::from(is_night(seen.at));
            behaviour.repeated += u32::from(before.is_some_and(|at| at + window >= seen.at));
            before = Some(seen.at);
        }
        behaviour
    }
}

const fn is_night(at: Timestamp) -> bool {
    let local = at.as_micros() + LOCAL_OFFSET.0 as i64 * 1000;
    local.div_euclid(HOUR_US).rem_euclid(24) < NIGHT_ENDS
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    const WINDOW: Millis = Millis::from_secs(300);
    const NUMBER: &str = "+8613800138000";

    fn call(n: u128) -> CallId {
        CallId(Uuid::from_u128(n))
    }

    fn at(secs: i64) -> Timestamp {
        // 2025-11-22 08:30 in China.
        Timestamp::from_micros(1_763_771_400_000_000 + secs * 1_000_000)
    }

    #[test]
    fn calls_count_while_they_are_in_the_window() {
        let mut memory = Memory::default();
        memory.came(NUMBER, call(1), at(0));
        memory.call_mut(NUMBER, call(1)).unwrap().fate = Fate::Unanswered;
        memory.came(NUMBER, call(2), at(299));
        let repeat = memory.repeat(NUMBER, WINDOW, at(300));
        assert_eq!((repeat.calls, repeat.unanswered), (2, 1));
        let later = memory.repeat(NUMBER, WINDOW, at(301));
        assert_eq!((later.calls, later.unanswered), (1, 0));
        assert_eq!(memory.behaviour(NUMBER, WINDOW).repeated, 1);
    }

    #[test]
    fn after_a_day_a_number_is_forgotten() {
        let mut memory = Memory::default();
        memory.came(NUMBER, call(1), at(0));
        memory.came("+8613900139000", call(2), at(86_401));
        assert!(memory.calls(NUMBER).is_empty() && memory.find(call(1)).is_none());
        assert_eq!(memory.order.len(), 1);
    }

    #[test]
    fn a_flood_of_numbers_stays_bounded_and_keeps_the_newest() {
        let mut memory = Memory::default();
        let count = SEEN_NUMBERS_MAX + 500;
        for n in 0..count {
            let id = call(u128::try_from(n).unwrap());
            memory.came(&format!("+86{n}"), id, at(1));
        }
        assert!(memory.seen.len() <= SEEN_NUMBERS_MAX && memory.order.len() <= SEEN_NUMBERS_MAX);
        assert_eq!(memory.calls(&format!("+86{}", count - 1)).len(), 1);
    }

    #[test]
    fn one_number_keeps_its_last_calls_only() {
        let mut memory = Memory::default();
        for n in 0..100_u32 {
            memory.came(NUMBER, call(u128::from(n)), at(i64::from(n)));
        }
        let calls = memory.calls(NUMBER);
        assert_eq!(calls.len(), SEEN_PER_NUMBER_MAX);
        assert_eq!(calls.last(), Some(&call(99)));
    }

    #[test]
    fn night_is_midnight_to_five_in_china() {
        assert!(!is_night(at(0)));
        assert!(is_night(at(16 * 3600)));
        assert!(!is_night(at((20 * 60 + 30) * 60)));
    }
}
