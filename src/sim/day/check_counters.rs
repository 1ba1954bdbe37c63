//! The counters that people see, counted anew from what the checker itself knows: seats by the Events of their states,
//! calls by its own list. Invariant 7.

use std::collections::{BTreeMap, BTreeSet};

use super::check::{Checker, Verdict};
use crate::id::{CallId, QueueId, SeatId};
use crate::switch::{Counts, Event, EventKind, SeatRole, View};
use crate::time::Timestamp;

/// What Events tell of seats, and of answers since the start.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// What each seat does, by name; a seat that never spoke is signed out.
    seats: BTreeMap<SeatId, String>,
    /// Where each call waited last.
    queues: BTreeMap<CallId, QueueId>,
    /// Calls that a seat has answered, ever.
    answered: BTreeSet<CallId>,
    /// Of this process: how many, by queue.
    handled: BTreeMap<QueueId, u64>,
}

impl Tally {
    pub(super) fn take(&mut self, event: &Event) {
        if let EventKind::SeatStateChanged { seat, state, .. } = &event.kind {
            self.seats.insert(seat.clone(), state.clone());
        } else if let EventKind::EngineStarted { .. } = &event.kind {
            self.handled.clear();
        }
        let Some(call) = event.call else {
            return;
        };
        if let EventKind::QueueEntered { queue, .. } | EventKind::QueueMoved { to: queue, .. } =
            &event.kind
        {
            self.queues.insert(call, queue.clone());
        }
        let joined =
            matches!(&event.kind, EventKind::QueueLeft { reason, .. } if reason == "joined");
        let answered = matches!(event.kind, EventKind::SeatAnswered { .. });
        // A call that a seat made waits in no queue.
        if (answered || joined)
            && let Some(queue) = self.queues.get(&call)
            && self.answered.insert(call)
        {
            *self.handled.entry(queue.clone()).or_default() += 1;
        }
    }
}

impl Checker {
    pub(super) fn check_counters(&self, view: &View) -> Verdict {
        let all = self.tally.handled.values().sum();
        let due = self.counted(all, |_| true, |_| true);
        self.same_counts("the centre", &view.counters.centre, &due)?;
        let Some(policy) = &self.routes.policy else {
            return Ok(());
        };
        let shown: Vec<_> = view.counters.queues.iter().map(|one| &one.queue).collect();
        if !policy.queues.keys().eq(shown.iter().copied()) {
            return Err((7, format!("counters of {shown:?}")));
        }
        for one in &view.counters.queues {
            let handled = self.tally.handled.get(&one.queue).copied().unwrap_or(0);
            let serves = |seat: &SeatId| {
                policy.seats.get(seat).is_some_and(|own| match own.role {
                    SeatRole::Dispatcher | SeatRole::Supervisor => {
                        own.queues.is_empty() || own.queues.contains(&one.queue)
                    }
                    SeatRole::Doctor => own.queues.contains(&one.queue),
                })
            };
            let due = self.counted(handled, serves, |queue| *queue == one.queue);
            self.same_counts(one.queue.as_str(), &one.counts, &due)?;
        }
        Ok(())
    }

    fn counted(
        &self,
        handled: u64,
        serves: impl Fn(&SeatId) -> bool,
        waits: impl Fn(&QueueId) -> bool,
    ) -> Counts {
        let seats = self.routes.policy.iter().flat_map(|p| p.seats.keys());
        let mut groups = [0_u32; 4];
        for seat in seats.filter(|seat| serves(seat)) {
            let state = self
                .tally
                .seats
                .get(seat)
                .map_or("signed_out", String::as_str);
            let group = match state {
                "ready" => 1,
                "not_ready" => 2,
                "signed_out" | "unreachable" => 3,
                _ => 0,
            };
            groups[group] += 1;
        }
        let [serving, idle, away, off] = groups;
        let places = self.routes.places.iter().filter(|p| waits(&p.queue));
        let since: Vec<_> = places.map(|place| place.waits_since).collect();
        Counts {
            handled,
            serving,
            idle,
            away,
            off,
            waiting: u32::try_from(since.len()).unwrap_or(u32::MAX),
            oldest_since: since.into_iter().min().map(Timestamp::from_micros),
        }
    }

    fn same_counts(&self, whose: &str, shown: &Counts, due: &Counts) -> Verdict {
        if shown == due {
            return Ok(());
        }
        let places = &self.routes.places;
        Err((
            7,
            format!("counters of {whose} are {shown:?} and should be {due:?}: {places:?}"),
        ))
    }
}
