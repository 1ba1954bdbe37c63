//! The queue: calls that no seat has answered, in the order in which they are offered.
//!
//! A call keeps its entry while a seat rings for it, so a seat that does not answer costs it no place. A caller whose
//! seat was lost comes back before all others. There is no size limit and no time limit here: a queue never sheds.

use serde::{Deserialize, Serialize};

use crate::id::CallId;
use crate::time::Timestamp;

/// One waiting call.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    pub call: CallId,
    /// Queue time: when the call came in first; decides the order among equals.
    pub since: Timestamp,
    /// Came back from a lost seat: before all others.
    pub restored: bool,
    /// A seat is reserved for it or rings for it.
    pub offered: bool,
}

/// Waiting calls, next first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Queue {
    entries: Vec<Entry>,
}

impl Queue {
    /// Takes a call in and returns how many calls are before it. A call that is in already keeps its place.
    pub fn enter(&mut self, call: CallId, since: Timestamp, restored: bool) -> u32 {
        if let Some(position) = self.position(call) {
            return position;
        }
        let place = self
            .entries
            .partition_point(|e| (!e.restored, e.since) <= (!restored, since));
        self.entries.insert(
            place,
            Entry {
                call,
                since,
                restored,
                offered: false,
            },
        );
        u32::try_from(place).unwrap_or(u32::MAX)
    }

    /// Takes a call out.
    pub fn leave(&mut self, call: CallId) -> Option<Entry> {
        let place = self.entries.iter().position(|e| e.call == call)?;
        Some(self.entries.remove(place))
    }

    /// How many calls are before this one.
    #[must_use]
    pub fn position(&self, call: CallId) -> Option<u32> {
        let place = self.entries.iter().position(|e| e.call == call)?;
        u32::try_from(place).ok()
    }

    /// Whether a seat is reserved for the call or rings for it.
    pub fn set_offered(&mut self, call: CallId, offered: bool) {
        if let Some(entry) = self.entries.iter_mut().find(|e| e.call == call) {
            entry.offered = offered;
        }
    }

    /// Waiting calls, next first.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Nobody waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn call(n: u128) -> CallId {
        CallId(Uuid::from_u128(n))
    }
    fn at(n: i64) -> Timestamp {
        Timestamp::from_micros(n)
    }

    #[test]
    fn calls_are_served_in_the_order_they_came() {
        let mut queue = Queue::default();
        assert_eq!(queue.enter(call(1), at(10), false), 0);
        assert_eq!(queue.enter(call(3), at(30), false), 1);
        assert_eq!(queue.enter(call(2), at(20), false), 1);
        assert_eq!(
            queue.enter(call(9), at(20), false),
            2,
            "equal time: who entered first"
        );
        let order: Vec<_> = queue.entries().iter().map(|e| e.call).collect();
        assert_eq!(order, [call(1), call(2), call(9), call(3)]);
    }

    #[test]
    fn caller_of_a_lost_seat_comes_back_before_all_others() {
        let mut queue = Queue::default();
        queue.enter(call(1), at(10), false);
        queue.enter(call(2), at(20), false);
        assert_eq!(queue.enter(call(7), at(70), true), 0);
        assert_eq!(queue.enter(call(6), at(60), true), 0);
        let order: Vec<_> = queue.entries().iter().map(|e| e.call).collect();
        assert_eq!(order, [call(6), call(7), call(1), call(2)]);
    }

    #[test]
    fn entering_twice_keeps_the_place() {
        let mut queue = Queue::default();
        queue.enter(call(1), at(10), false);
        queue.enter(call(2), at(20), false);
        assert_eq!(queue.enter(call(1), at(99), false), 0);
        assert_eq!(queue.entries().len(), 2);
        assert_eq!(queue.leave(call(1)).map(|e| e.since), Some(at(10)));
        assert_eq!(queue.position(call(2)), Some(0));
        assert_eq!(queue.position(call(1)), None);
    }
}
