//! Live counters of the centre and of each queue (实时受理数、服务坐席数、空闲数、离席数、关闭数). WS/T 451-2014 7.2.1.2-h.
//!
//! Counted from the state at each look, except how many calls were handled; so nothing can be forgotten to be taken off.

use serde::{Deserialize, Serialize};

use super::Switch;
use crate::acd::{Duty, Entry, SeatRole};
use crate::call::Direction;
use crate::id::{CallId, QueueId, SeatId};
use crate::time::Timestamp;

/// One set of counters. Every seat is in exactly one of the four groups.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Counts {
    /// Calls that a seat has answered since start, of those that came in.
    pub handled: u64,
    /// Seats with a call: rung, in it, listening, or in the work after it.
    pub serving: u32,
    /// Free seats.
    pub idle: u32,
    /// Seats that are signed in and take no calls.
    pub away: u32,
    /// Seats that are signed out, or whose line is lost.
    pub off: u32,
    /// Calls that wait, those for which a seat rings included; not one that is probably our own test.
    pub waiting: u32,
    /// Since when the one that waits longest has waited this time.
    pub oldest_since: Option<Timestamp>,
}

/// The counters of one queue: its calls, and the seats that serve it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct QueueCounts {
    pub queue: QueueId,
    #[serde(flatten)]
    pub counts: Counts,
}

/// All of them. A seat of two queues is counted in both, so the centre's are no sums.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Counters {
    pub centre: Counts,
    /// In the order of their names.
    pub queues: Vec<QueueCounts>,
}

impl Counts {
    /// For how long the call that waits longest has waited; 0 while nobody waits.
    #[must_use]
    pub fn oldest_wait_ms(&self, now: Timestamp) -> u64 {
        self.oldest_since.map_or(0, |since| now.millis_since(since))
    }

    fn seat(&mut self, duty: &Duty) {
        let group = match duty {
            Duty::Reserved { .. }
            | Duty::Ringing { .. }
            | Duty::Talking { .. }
            | Duty::WrapUp { .. }
            | Duty::Listening { .. }
            | Duty::Dialling { .. } => &mut self.serving,
            Duty::Ready { .. } => &mut self.idle,
            Duty::NotReady { .. } => &mut self.away,
            Duty::SignedOut | Duty::Unreachable { .. } => &mut self.off,
        };
        *group += 1;
    }

    fn waits(&mut self, since: Timestamp) {
        self.waiting += 1;
        self.oldest_since = Some(self.oldest_since.map_or(since, |oldest| oldest.min(since)));
    }
}

impl Switch {
    /// The seat has the call from now on. The first one that has a caller's call makes it a handled one.
    pub(super) fn handled_by(&mut self, call: CallId, seat: &SeatId) {
        let Some(open) = self.calls.get_mut(&call) else {
            return;
        };
        let first = open.last_seat.replace(seat.clone()).is_none();
        if first && open.direction() == Direction::Inbound {
            *self.handled.entry(open.queue.clone()).or_default() += 1;
        }
    }

    pub(super) fn counters(&self) -> Counters {
        let queues = self.policy.queues.keys();
        Counters {
            centre: self.counts(self.handled.values().sum(), |_| true, |_| true),
            queues: queues
                .map(|queue| QueueCounts {
                    queue: queue.clone(),
                    counts: self.counts(
                        self.handled.get(queue).copied().unwrap_or(0),
                        |seat| self.serves_queue(seat, queue),
                        |entry| entry.queue == *queue,
                    ),
                })
                .collect(),
        }
    }

    fn counts(
        &self,
        handled: u64,
        seats: impl Fn(&SeatId) -> bool,
        entries: impl Fn(&Entry) -> bool,
    ) -> Counts {
        let mut counts = Counts {
            handled,
            ..Counts::default()
        };
        for (_, seat) in self.seats.iter().filter(|(id, _)| seats(id)) {
            counts.seat(&seat.duty);
        }
        let people = |entry: &&Entry| entries(entry) && !self.is_held_for_test(entry.call);
        for entry in self.queue.entries().iter().filter(people) {
            let waits = self.calls.get(&entry.call).and_then(|c| c.unanswered());
            counts.waits(waits.map_or(entry.arrived, |unanswered| unanswered.since));
        }
        counts
    }

    fn serves_queue(&self, seat: &SeatId, queue: &QueueId) -> bool {
        let policy = self.policy.seats.get(seat);
        policy.is_some_and(|own| {
            let all = own.queues.is_empty() && own.role != SeatRole::Doctor;
            all || own.queues.contains(queue)
        })
    }
}
