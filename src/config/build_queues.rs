//! `[queue]`, `[queues.*]` and `[callers]`: where calls wait, what they ask of a seat, how seats are chosen.

use std::collections::BTreeMap;

use super::build_seats::Seats;
use super::section::{At, Section, hint, quoted};
use crate::id::QueueId;
use crate::phone;
use crate::switch::{QueuePolicy, SeatPolicy, SeatRole, Strategy};
use crate::time::Millis;

/// All queues; the default one is among them.
pub(super) struct Queues {
    pub(super) default: QueueId,
    pub(super) rules: BTreeMap<QueueId, QueuePolicy>,
    written: Vec<WrittenQueue>,
}

/// Where a `[queues.*]` names what must exist.
struct WrittenQueue {
    id: QueueId,
    needs: Vec<At<String>>,
    fallback: Option<At<String>>,
}

/// Callers' rules: numbers that many people call from, and how long a caller belongs to a seat.
pub(super) fn callers(section: Section<'_>, area_code: &str) -> (Vec<String>, Millis) {
    let mut shared = Vec::new();
    for number in section.texts("shared_numbers") {
        match phone::parse(&number.value, area_code, false).e164 {
            Some(e164) => shared.push(e164),
            None => section.reader.fault(
                &number.origin,
                &number.key,
                format!("lists {}, which is no full number", quoted(&number.value)),
                "write it as \"0755-88888888\" or \"+8675588888888\"",
            ),
        }
    }
    let affinity = section.integer("affinity_min", 0..=1440, 60, "minutes");
    section.close();
    (shared, millis(affinity.value * 60))
}

fn millis(seconds: i64) -> Millis {
    Millis(u32::try_from(seconds.saturating_mul(1000)).unwrap_or(0))
}

pub(super) fn queues(root: &Section<'_>) -> Queues {
    let section = root.section("queue");
    let default = QueueId(section.text_or("id", "120").value);
    let strategy = strategy(&section, Strategy::LongestIdle);
    section.close();
    let mut queues = Queues {
        default: default.clone(),
        rules: BTreeMap::new(),
        written: Vec::new(),
    };
    let plain = QueuePolicy {
        strategy,
        ..QueuePolicy::PLAIN
    };
    for (name, section) in root.named("queues") {
        let id = QueueId(name);
        let own = if id == default {
            strategy
        } else {
            Strategy::LongestIdle
        };
        let needs = section.texts("needs");
        let relax = section.integer("relax_s", 1..=600, 15, "seconds");
        let ahead = section.integer("ahead_s", 0..=60, 0, "seconds");
        let fallback = section.text("fallback");
        let rules = QueuePolicy {
            strategy: self::strategy(&section, own),
            needs: needs.iter().map(|need| need.value.clone()).collect(),
            relax: millis(relax.value),
            ahead: millis(ahead.value),
            fallback: fallback.as_ref().map(|f| QueueId(f.value.clone())),
        };
        queues.rules.insert(id.clone(), rules);
        queues.written.push(WrittenQueue {
            id,
            needs,
            fallback,
        });
        section.close();
    }
    queues.rules.entry(default).or_insert(plain);
    for fallback in queues.written.iter().filter_map(|q| q.fallback.as_ref()) {
        queues.check(root, fallback);
    }
    queues
}

fn strategy(section: &Section<'_>, default: Strategy) -> Strategy {
    let words = [
        ("longest_idle", Strategy::LongestIdle),
        ("random", Strategy::Random),
        ("fewest_calls", Strategy::FewestCalls),
        ("round_robin", Strategy::RoundRobin),
        ("ring_all", Strategy::RingAll),
    ];
    section.choice("strategy", &words, default).value
}

impl Queues {
    /// The default one first.
    pub(super) fn names(&self) -> Vec<QueueId> {
        let others = self.rules.keys().filter(|id| **id != self.default);
        std::iter::once(&self.default)
            .chain(others)
            .cloned()
            .collect()
    }

    /// A queue named somewhere must be there.
    pub(super) fn check(&self, section: &Section<'_>, name: &At<String>) {
        if self.rules.contains_key(&QueueId(name.value.clone())) {
            return;
        }
        let known = self.rules.keys().map(QueueId::as_str);
        section.reader.fault(
            &name.origin,
            &name.key,
            format!("names queue {}, which is not there", quoted(&name.value)),
            format!(
                "write [queues.{}] or name another{}",
                name.value,
                hint(&name.value, known)
            ),
        );
    }

    /// Every queue can be served by somebody, and every skill asked for is somebody's.
    pub(super) fn check_served(&self, root: &Section<'_>, seats: &Seats) {
        for WrittenQueue {
            id,
            needs,
            fallback,
        } in &self.written
        {
            let serves = |seat: &&SeatPolicy| {
                seat.queues.contains(id)
                    || (seat.queues.is_empty() && seat.role != SeatRole::Doctor)
            };
            if fallback.is_none() && !seats.values().any(|s| serves(&s)) {
                root.reader.fault(
                    &root.section("queues").section(id.as_str()).origin,
                    &format!("queues.{id}"),
                    "is served by no seat: its callers would wait for ever",
                    format!(
                        "write queues = [\"{id}\"] at a seat, or fallback = \"{}\"",
                        self.default
                    ),
                );
            }
            for need in needs {
                let had = |seat: &SeatPolicy| seat.skills.contains(&need.value);
                if !seats.values().any(had) {
                    let known = seats.values().flat_map(|s| s.skills.iter());
                    root.reader.fault(
                        &need.origin,
                        &need.key,
                        format!("asks for {}, a skill that no seat has", quoted(&need.value)),
                        format!(
                            "write skills = [{}] at a seat, or remove it{}",
                            quoted(&need.value),
                            hint(&need.value, known.map(String::as_str))
                        ),
                    );
                }
            }
        }
    }
}

/// What a seat serves: its role, queues and skills.
pub(super) fn seat_policy(section: &Section<'_>, queues: &Queues) -> SeatPolicy {
    let supervisor = section.flag("supervisor", false);
    let words = [
        ("dispatcher", SeatRole::Dispatcher),
        ("supervisor", SeatRole::Supervisor),
        ("doctor", SeatRole::Doctor),
    ];
    let own = if supervisor.value {
        SeatRole::Supervisor
    } else {
        SeatRole::Dispatcher
    };
    let role = section.choice("role", &words, own);
    if supervisor.value && role.value != SeatRole::Supervisor {
        section.reader.fault(
            &role.origin,
            &role.key,
            "says otherwise than supervisor = true",
            "remove one of both lines",
        );
    }
    let ready = role.value != SeatRole::Supervisor;
    let ready_on_register = section.flag("ready_on_register", ready);
    let named = section.texts("queues");
    for queue in &named {
        queues.check(section, queue);
    }
    SeatPolicy {
        role: role.value,
        queues: named.into_iter().map(|q| QueueId(q.value)).collect(),
        skills: section
            .texts("skills")
            .into_iter()
            .map(|skill| skill.value)
            .collect(),
        ready_on_register: ready_on_register.value,
    }
}

/// The queue that a trunk's calls enter.
pub(super) fn trunk_queue(section: &Section<'_>, queues: &Queues) -> Option<QueueId> {
    let named = section.text("queue")?;
    queues.check(section, &named);
    Some(QueueId(named.value))
}
