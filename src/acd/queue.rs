//! The list of calls that no seat has answered, whatever queue they belong to.
//!
//! A call keeps its entry while a seat rings for it, so a seat that does not answer costs it no place. There is no
//! size limit and no time limit here: a queue never sheds. The order is [`Rank`], read anew each time.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::rank::{BEHIND_SHARE, Callers, Identity, Rank};
use crate::id::{CallId, QueueId};
use crate::time::{Millis, Timestamp};

/// One waiting call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    pub call: CallId,
    pub queue: QueueId,
    pub identity: Option<Identity>,
    /// Its own arrival.
    pub arrived: Timestamp,
    /// Queue time: its arrival, or an earlier one that it inherited.
    pub since: Timestamp,
    /// Came back from a lost seat: before all others.
    pub restored: bool,
    /// Grows with each entry.
    pub entered: u64,
}

/// What moves a call that is not in its entry.
pub struct Order<'a> {
    pub now: Timestamp,
    pub callers: &'a Callers,
}

/// How far a call stands from where its time puts it.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct Shift {
    /// By its queue, and by a supervisor's order.
    pub ahead: Millis,
    /// By a human verdict.
    pub behind: Millis,
}

/// Waiting calls, in the order in which they entered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Queue {
    entries: Vec<Entry>,
    entered: u64,
}

impl Queue {
    /// Takes a call in. One that is in already keeps its entry.
    pub fn enter(&mut self, mut entry: Entry) {
        if self.entry(entry.call).is_none() {
            self.entered += 1;
            entry.entered = self.entered;
            self.entries.push(entry);
        }
    }

    /// Takes a call out.
    pub fn leave(&mut self, call: CallId) -> Option<Entry> {
        let place = self.entries.iter().position(|e| e.call == call)?;
        Some(self.entries.remove(place))
    }

    /// The chain of redials ended: who still waits has its own arrival only.
    pub fn disinherit(&mut self, identity: &Identity) {
        for entry in &mut self.entries {
            if entry.identity.as_ref() == Some(identity) {
                entry.since = entry.arrived;
            }
        }
    }

    /// Calls of queues that are no more go to `to`. Gives those that moved, with where they were.
    pub fn rehome(
        &mut self,
        stays: impl Fn(&QueueId) -> bool,
        to: &QueueId,
    ) -> Vec<(CallId, QueueId)> {
        let mut moved = Vec::new();
        for entry in self.entries.iter_mut().filter(|e| !stays(&e.queue)) {
            let from = std::mem::replace(&mut entry.queue, to.clone());
            moved.push((entry.call, from));
        }
        moved
    }

    /// A call goes to another queue and keeps its time; where it was before.
    pub fn move_to(&mut self, call: CallId, queue: &QueueId) -> Option<QueueId> {
        let entry = self.entries.iter_mut().find(|e| e.call == call)?;
        Some(std::mem::replace(&mut entry.queue, queue.clone()))
    }

    #[must_use]
    pub fn entry(&self, call: CallId) -> Option<&Entry> {
        self.entries.iter().find(|e| e.call == call)
    }

    /// Waiting calls, in the order in which they entered.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Nobody waits.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Every entry, next first, with what was looked up of its call.
    #[must_use]
    pub fn ranked<T>(
        &self,
        order: &Order<'_>,
        look_up: impl Fn(&Entry) -> (Shift, T),
    ) -> Vec<(&Entry, T)> {
        let mut competing = BTreeSet::new();
        let mut ranked: Vec<_> = self
            .entries
            .iter()
            .map(|entry| {
                let (shift, found) = look_up(entry);
                (order.rank(entry, shift, &mut competing), (entry, found))
            })
            .collect();
        ranked.sort_by_key(|(rank, _)| *rank);
        ranked.into_iter().map(|(_, found)| found).collect()
    }
}

impl Order<'_> {
    /// `competing` gathers the identities whose oldest leg was seen already.
    fn rank(&self, entry: &Entry, shift: Shift, competing: &mut BTreeSet<Identity>) -> Rank {
        let mut at = entry.since;
        if let Some(identity) = &entry.identity {
            let turn = self.callers.over_share(identity, self.now);
            if let Some(turn) = turn.filter(|_| !entry.restored) {
                // Its other legs stand as if they came now.
                let oldest = competing.insert(*identity);
                at = if oldest { at.max(turn) } else { self.now };
                at = at + BEHIND_SHARE;
            } else {
                at = at + shift.behind;
            }
        }
        let ahead = i64::from(shift.ahead.0) * 1000;
        Rank {
            ordinary: !entry.restored,
            at: Timestamp::from_micros(at.as_micros().saturating_sub(ahead)),
            entered: entry.entered,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::SeatId;
    use crate::phone;
    use uuid::Uuid;

    fn call(n: u128) -> CallId {
        CallId(Uuid::from_u128(n))
    }
    fn at(s: i64) -> Timestamp {
        Timestamp::from_micros(s * 1_000_000)
    }
    fn entry(n: u128, since: i64, restored: bool) -> Entry {
        Entry {
            call: call(n),
            queue: QueueId::from("main"),
            identity: None,
            arrived: at(since),
            since: at(since),
            restored,
            entered: 0,
        }
    }
    fn identity(number: &str) -> Identity {
        Identity::of(&phone::parse(number, "0755", false), &[]).unwrap()
    }
    fn order(queue: &Queue, callers: &Callers, now: i64) -> Vec<CallId> {
        let order = Order {
            now: at(now),
            callers,
        };
        let shift = |of: &Entry| {
            let child = of.queue.as_str() == "child";
            let shift = Shift {
                ahead: Millis::from_secs(if child { 15 } else { 0 }),
                behind: Millis::from_secs(if of.call == call(3) { 10 } else { 0 }),
            };
            (shift, ())
        };
        let ranked = queue.ranked(&order, shift);
        ranked.iter().map(|(e, ())| e.call).collect()
    }

    #[test]
    fn calls_are_served_in_the_order_they_came_and_who_came_back_first() {
        let mut queue = Queue::default();
        let callers = Callers::default();
        for (n, since, restored) in [
            (1, 10, false),
            (3, 30, false),
            (2, 20, false),
            (9, 20, false),
            (7, 70, true),
            (6, 60, true),
        ] {
            queue.enter(entry(n, since, restored));
        }
        let calls = [6, 7, 1, 2, 9, 3].map(call);
        assert_eq!(order(&queue, &callers, 99), calls);
        queue.enter(entry(1, 99, false));
        assert_eq!(order(&queue, &callers, 99), calls, "entering twice");
        assert_eq!(queue.leave(call(1)).map(|e| e.since), Some(at(10)));
        assert_eq!(queue.leave(call(1)), None);
    }

    #[test]
    fn priority_of_a_queue_and_a_verdict_are_seconds() {
        let mut queue = Queue::default();
        let callers = Callers::default();
        queue.enter(entry(1, 100, false));
        let mut child = entry(2, 114, false);
        child.queue = QueueId::from("child");
        queue.enter(child);
        let mut marked = entry(3, 95, false);
        marked.identity = Some(identity("13900139000"));
        queue.enter(marked);
        queue.enter(entry(4, 106, false));
        assert_eq!(order(&queue, &callers, 120), [2, 1, 3, 4].map(call));
    }

    #[test]
    fn of_a_flooding_number_only_the_oldest_leg_competes_and_90_s_behind() {
        let mut queue = Queue::default();
        let mut callers = Callers::default();
        let who = identity("13800138000");
        for n in 0..6 {
            callers.arrived(&who, call(n), true, at(1));
        }
        callers.answered(&who, call(0), Some(&SeatId::from("801")), at(2));
        for n in 1..6 {
            let mut leg = entry(n, 1, false);
            leg.identity = Some(who);
            queue.enter(leg);
        }
        queue.enter(entry(20, 91, false));
        queue.enter(entry(21, 93, false));
        assert_eq!(
            order(&queue, &callers, 30),
            [20, 1, 21, 2, 3, 4, 5].map(call)
        );
    }
}
