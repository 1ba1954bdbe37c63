//! Days as published figures have them. What is published: the mix (Ningbo 2016: 140,081 answered calls, 31,357 of them
//! dispatched, 65,838 urging, 5,182 enquiries, 37,704 invalid, of those 32,448 silent; cs.zjol.com.cn 2017-04-11) and the
//! hours (Beijing 2010: fewest from 4 to 5, most from 9 to 10, a second peak from 20 to 22; Chinese General Practice). What
//! nobody published, talks and patience, is assumed below and written down in docs/what-if.md.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::draw::{count, span};
use super::{Caller, Comes, Source, Stretch, Traffic};
use crate::acd::Strategy;
use crate::id::QueueId;
use crate::ivr::Menus;
use crate::screen::Bounds;
use crate::sim::day::chance::Chance;
use crate::switch::{CallBackRules, Centre, Policy, QueuePolicy, Timers};
use crate::time::{Millis, Timestamp};

/// Answered calls of Ningbo in 2016 by its days.
pub const CALLS_A_DAY: u32 = 383;

/// Midnight in China, 2025-11-22.
const MIDNIGHT_MICROS: i64 = 1_763_740_800_000_000;
const QUEUE: &str = "120";
const DAY: Millis = Millis::from_secs(86_400);
/// How many of 1,000 calls of a day come in each hour.
const HOURS: [u32; 24] = [
    28, 21, 17, 15, 14, 18, 28, 42, 54, 61, 58, 53, 48, 46, 49, 50, 50, 51, 52, 54, 59, 54, 44, 34,
];
/// The mix adds up to this.
const MIX: f64 = 140_081.0;
/// Half of the urging calls come sooner after theirs, three of four from its number.
const URGING_AFTER: Millis = Millis::from_secs(9 * 60);
const URGING_SPREAD: f64 = 0.6;
const URGING_SAME_NUMBER: u32 = 75;
/// A module opens the incident at about the end of the talk.
const INCIDENT_AFTER: Millis = Millis::from_secs(60);
const OFF_HOOK: Millis = Millis(2_500);
/// How often who was not answered rings again.
const AGAIN_MAX: u32 = 2;

/// A kind of call.
#[derive(Copy, Clone, Debug)]
struct Kind {
    /// Of [`MIX`] calls.
    weight: f64,
    /// Half of the talks are shorter.
    talk: Millis,
    spread: f64,
    /// Half of the seats are ready again sooner.
    wrap_up: Millis,
    /// Half of the callers hang up sooner when nobody answers.
    patience: Millis,
    /// Of 100 who gave up, so many ring again.
    again: u32,
    /// Urging calls that follow one, on the mean.
    urged: f64,
}

const DISPATCH: Kind = Kind {
    weight: 31_357.0,
    talk: Millis::from_secs(75),
    spread: 0.45,
    wrap_up: Millis::from_secs(12),
    patience: Millis::from_secs(90),
    again: 80,
    urged: 65_838.0 / 31_357.0,
};
/// 催车.
const URGING: Kind = Kind {
    weight: 65_838.0,
    talk: Millis::from_secs(30),
    spread: 0.5,
    wrap_up: Millis::from_secs(4),
    patience: Millis::from_secs(60),
    again: 60,
    urged: 0.0,
};
const ENQUIRY: Kind = Kind {
    weight: 5_182.0,
    talk: Millis::from_secs(45),
    spread: 0.5,
    wrap_up: Millis::from_secs(4),
    patience: Millis::from_secs(45),
    again: 30,
    urged: 0.0,
};
const SILENT: Kind = Kind {
    weight: 32_448.0,
    talk: Millis::from_secs(12),
    spread: 0.5,
    wrap_up: Millis::from_secs(2),
    patience: Millis::from_secs(20),
    again: 0,
    urged: 0.0,
};
/// Misdialled, crossed lines, harassment.
const IDLE: Kind = Kind {
    weight: 5_256.0,
    talk: Millis::from_secs(15),
    spread: 0.6,
    wrap_up: Millis::from_secs(2),
    patience: Millis::from_secs(20),
    again: 10,
    urged: 0.0,
};

/// `days` days of about `calls_a_day` calls. The same seed gives the same days.
#[must_use]
pub fn generated(seed: u64, days: u32, calls_a_day: u32) -> Traffic {
    let stretches = (0..days).map(|n| day(seed, n, calls_a_day)).collect();
    Traffic {
        source: Source::Generated {
            seed,
            days,
            calls_a_day,
        },
        policy: policy(),
        stretches,
    }
}

fn day(seed: u64, nth: u32, calls: u32) -> Stretch {
    let seed = seed
        .wrapping_mul(1_000_003)
        .wrapping_add(u64::from(nth) + 1);
    let begins = Timestamp::from_micros(MIDNIGHT_MICROS + i64::from(nth) * 86_400_000_000);
    let mut day = Day {
        chance: Chance::new(seed),
        begins,
        callers: Vec::new(),
    };
    day.lives(f64::from(calls));
    Stretch {
        seed,
        begins,
        ends: begins + DAY,
        callers: day.callers,
    }
}

struct Day {
    chance: Chance,
    begins: Timestamp,
    callers: Vec<Caller>,
}

impl Day {
    fn lives(&mut self, calls: f64) {
        for (hour, of_thousand) in (0..).zip(HOURS) {
            let a_minute = calls * f64::from(of_thousand) / 1_000.0 / 60.0;
            for minute in hour * 60..(hour + 1) * 60 {
                for kind in [DISPATCH, ENQUIRY, SILENT, IDLE] {
                    let mean = a_minute * kind.weight / MIX;
                    for _ in 0..count(&mut self.chance, mean) {
                        self.comes(kind, minute);
                    }
                }
            }
        }
    }

    /// Somebody calls in this minute, and those who urge later.
    fn comes(&mut self, kind: Kind, minute: u32) {
        let at = Millis(minute * 60_000 + self.chance.below(60_000));
        let number = self.number();
        self.calls(kind, at, number.clone());
        for _ in 0..count(&mut self.chance, kind.urged) {
            let after = span(&mut self.chance, URGING_AFTER, URGING_SPREAD);
            let same = self.chance.percent(URGING_SAME_NUMBER);
            let number = if same { number.clone() } else { self.number() };
            // Late at night those of the evening before urge.
            let at = Millis((at.0 + after.0) % DAY.0);
            self.calls(URGING, at, number);
        }
    }

    /// One caller, and what he does when nobody answers.
    fn calls(&mut self, kind: Kind, at: Millis, number: String) {
        let mut comes = Comes::At(self.begins + at);
        for _ in 0..=AGAIN_MAX {
            let after = self.callers.len();
            let caller = self.caller(kind, comes, number.clone());
            self.callers.push(caller);
            if !self.chance.percent(kind.again) {
                return;
            }
            let gap = self.chance.span(5_000, 40_000);
            comes = Comes::Again { after, gap };
        }
    }

    fn caller(&mut self, kind: Kind, comes: Comes, number: String) -> Caller {
        let chance = &mut self.chance;
        Caller {
            comes,
            number,
            anonymous: false,
            queue: QueueId::from(QUEUE),
            patience: Some(span(chance, kind.patience, 0.8)),
            off_hook: span(chance, OFF_HOOK, 0.35).min(Millis::from_secs(7)),
            talk: span(chance, kind.talk, kind.spread),
            wrap_up: Some(span(chance, kind.wrap_up, 0.6)),
            incident: (kind.urged > 0.0).then(|| span(chance, INCIDENT_AFTER, 0.3)),
        }
    }

    fn number(&mut self) -> String {
        format!("13{:09}", self.chance.below(1_000_000_000))
    }
}

/// The defaults of the engine: one queue, the seat that has been idle longest.
fn policy() -> Policy {
    let queue = QueueId::from(QUEUE);
    let rules = QueuePolicy {
        strategy: Strategy::LongestIdle,
        ..QueuePolicy::PLAIN
    };
    Policy {
        centre: Centre {
            id: String::from("what-if"),
            name: String::from("what-if"),
            area_code: String::from("0755"),
            division: String::from("440300"),
        },
        queue: queue.clone(),
        queues: [(queue, rules)].into(),
        timers: Timers::default(),
        seats: BTreeMap::new(),
        trunks: BTreeMap::new(),
        shared_numbers: Vec::new(),
        screening: Bounds::default(),
        call_backs: CallBackRules::default(),
        desks: Default::default(),
        menus: Menus::default(),
        relief: std::sync::Arc::default(),
        groups: std::sync::Arc::default(),
        forms: Arc::default(),
        language: String::from("zh-CN"),
        self_tests: crate::switch::SelfTestRules::default(),
        allow_faults: false,
        recording: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generated_days_have_the_published_mix_and_hours() {
        let traffic = generated(1, 20, 400);
        let callers: Vec<_> = traffic.stretches.iter().flat_map(|s| &s.callers).collect();
        let first: Vec<_> = callers
            .iter()
            .filter_map(|c| match c.comes {
                Comes::At(at) => Some((at, *c)),
                Comes::Again { .. } => None,
            })
            .collect();
        assert!((7_600..8_400).contains(&first.len()), "{}", first.len());
        let dispatched = first.iter().filter(|(_, c)| c.incident.is_some()).count();
        let share = dispatched * 1_000 / first.len();
        assert!((205..245).contains(&share), "{share} of 1000 dispatched");
        let hour = |at: Timestamp| (at.as_micros() / 3_600_000_000 + 8) % 24;
        let in_hour = |wanted| first.iter().filter(|(at, _)| hour(*at) == wanted).count();
        assert!(in_hour(9) > 3 * in_hour(4), "{} {}", in_hour(9), in_hour(4));
        assert_eq!(HOURS.iter().sum::<u32>(), 1_000);
    }

    #[test]
    fn same_seed_gives_the_same_day_and_another_gives_another() {
        let told = |seed| format!("{:?}", generated(seed, 2, 50).stretches);
        assert_eq!(told(1), told(1));
        assert_ne!(told(1), told(2));
    }
}
