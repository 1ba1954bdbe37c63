//! The order of the list and who may take what, written from the plan of routing (docs/adr/0009) and not from its code:
//! numbers as callers dial them, plain lists, nothing kept that can be counted.

use std::collections::{BTreeMap, BTreeSet};

use super::check::{Checker, Verdict};
use super::check_seats::serves;
use crate::call::Arrival;
use crate::id::{CallId, QueueId, SeatId};
use crate::switch::{DispatchReport, Event, EventKind, Policy, Rule, SeatRole, Strategy, View};
use crate::time::Timestamp;

/// Microseconds.
const SECOND: i64 = 1_000_000;

/// A place in the list.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) call: CallId,
    pub(super) queue: QueueId,
    /// Came back from a lost seat.
    pub(super) back: bool,
    /// Order of entering.
    pub(super) entered: u64,
    /// Arrival of the call.
    pub(super) arrived: i64,
    /// Queue time, inherited or not.
    pub(super) since: i64,
    /// Since when it waits this time.
    pub(super) waits_since: i64,
    /// The seat that it was lost from, and when.
    lost_by: Option<(SeatId, i64)>,
}

/// What one number has done.
#[derive(Clone, Debug, Default)]
pub(super) struct Number {
    came: Vec<i64>,
    /// Since its last answer.
    unanswered: Vec<i64>,
    stands_for_earlier: Option<CallId>,
    open: Vec<CallId>,
    /// Answers that no incident explains, by call.
    unexplained: BTreeMap<CallId, i64>,
    last_answer: Option<i64>,
    last_answered: Option<(CallId, i64)>,
    incident: Option<CallId>,
    /// It came last as a crew.
    crew: bool,
}

/// Routing as the checker knows it.
#[derive(Debug, Default)]
pub(super) struct Routes {
    pub(super) policy: Option<Policy>,
    pub(super) places: Vec<Place>,
    entered: u64,
    numbers: BTreeMap<String, Number>,
    /// Number of a call; absent when it has none of its own.
    of: BTreeMap<CallId, (String, bool)>,
    /// Calls that have waited too long and were not answered since.
    late: Vec<CallId>,
    /// How far supervisors put calls ahead, microseconds.
    ahead: BTreeMap<CallId, i64>,
    /// Calls of crews.
    pub(super) crew: BTreeSet<CallId>,
    /// Numbers (E.164) under a confirmed verdict.
    pub(super) marked: Vec<String>,
    /// Who left a call last, and when.
    left: BTreeMap<CallId, (SeatId, i64)>,
    /// Seats that were asked by name in this step.
    pub(super) asked: Vec<(CallId, SeatId)>,
    /// What the list had when a seat was chosen in this step: the last `entered`.
    chosen_from: BTreeMap<(CallId, SeatId), u64>,
    /// A dispatcher was at work after the last events.
    dispatcher_serves: bool,
}

impl Routes {
    /// The call's number counts unless it is a shared one or none.
    pub(super) fn received(&mut self, arrival: &Arrival) {
        let shared = arrival.caller == "075588880000";
        if !shared && !arrival.caller.is_empty() {
            let merges = !arrival.anonymous;
            self.of
                .insert(arrival.call, (arrival.caller.clone(), merges));
        }
    }

    /// A step begins: nothing is chosen in it.
    pub(super) fn begin(&mut self) {
        self.asked.clear();
        self.chosen_from.clear();
    }

    pub(super) fn note_offer(&mut self, event: &Event) {
        if let EventKind::OfferDecided {
            rule,
            chosen: Some(seat),
            ..
        } = &event.kind
            && let Some(call) = event.call
        {
            self.chosen_from.insert((call, seat.clone()), self.entered);
            if *rule == Rule::Asked {
                self.asked.push((call, seat.clone()));
            }
        }
    }

    /// Whether the place was in the list when `seat` was chosen for `call`: who comes back later in the same step was not passed over.
    pub(super) fn was_there(&self, place: &Place, call: CallId, seat: &SeatId) -> bool {
        let chosen_from = self.chosen_from.get(&(call, seat.clone()));
        chosen_from.is_none_or(|last| place.entered <= *last)
    }

    pub(super) fn take(&mut self, event: &Event, received_at: Option<Timestamp>, reopened: bool) {
        let at = event.at.as_micros();
        if let EventKind::EngineStarted { .. } = &event.kind {
            for number in self.numbers.values_mut() {
                number.came.clear();
                number.unexplained.clear();
                number.open.clear();
                number.stands_for_earlier = None;
                number.last_answer = None;
            }
        }
        let Some(call) = event.call else {
            return;
        };
        if let EventKind::QueueEntered { queue, again, .. } = &event.kind {
            self.enters(call, queue, at, *again, received_at, reopened);
        } else if let EventKind::SeatReleased { seat, .. } = &event.kind {
            self.left.insert(call, (seat.clone(), at));
        } else if let EventKind::QueueLeft { reason, .. } = &event.kind {
            self.places.retain(|p| p.call != call);
            if reason == "joined" {
                self.answered(call, at);
            }
        } else if let EventKind::QueueMoved { to, .. } = &event.kind {
            for place in self.places.iter_mut().filter(|p| p.call == call) {
                place.queue = to.clone();
            }
        } else if let EventKind::WaitExceeded { .. } = &event.kind {
            self.late.push(call);
        } else if let EventKind::HandedOver { .. } = &event.kind {
            self.had_turn(call, at);
        } else if let EventKind::SeatAnswered { .. } = &event.kind {
            self.answered(call, at);
        } else if let EventKind::CallEnded { .. } = &event.kind {
            if let Some(number) = self.number(call) {
                number.open.retain(|of| *of != call);
                number.stands_for_earlier = number.stands_for_earlier.filter(|of| *of != call);
            }
        } else if let EventKind::CallAcknowledged {
            incident_id: Some(_),
            ..
        } = &event.kind
        {
            for number in self.numbers.values_mut() {
                number.unexplained.remove(&call);
                if number.last_answered.is_some_and(|(of, _)| of == call) {
                    number.incident = Some(call);
                }
            }
        } else if let EventKind::DispatchReported {
            report: DispatchReport::Cancelled { .. },
            ..
        } = &event.kind
        {
            for number in self.numbers.values_mut() {
                number.incident = number.incident.filter(|of| *of != call);
            }
        }
    }

    fn enters(
        &mut self,
        call: CallId,
        queue: &QueueId,
        at: i64,
        again: bool,
        received_at: Option<Timestamp>,
        reopened: bool,
    ) {
        // By a clock that was set back since, he came just now.
        let arrived = received_at.map_or(at, Timestamp::as_micros).min(at);
        let since = if again {
            arrived
        } else {
            self.came(call, at).min(arrived)
        };
        self.entered += 1;
        self.places.push(Place {
            call,
            queue: queue.clone(),
            back: again,
            entered: self.entered,
            arrived,
            since,
            waits_since: if reopened { arrived } else { at },
            lost_by: self.left.remove(&call).filter(|_| again),
        });
    }

    pub(super) fn take_order(&mut self, call: CallId, kind: &EventKind) {
        if let EventKind::QueuePriority { ahead_ms, .. } = kind {
            self.ahead.insert(call, i64::from(*ahead_ms) * 1000);
        }
    }

    fn number(&mut self, call: CallId) -> Option<&mut Number> {
        let (number, _) = self.of.get(&call)?;
        Some(self.numbers.entry(number.clone()).or_default())
    }

    /// Since when a new call stands in the list.
    fn came(&mut self, call: CallId, at: i64) -> i64 {
        let merges = self.of.get(&call).is_some_and(|(_, merges)| *merges);
        let crew = self.crew.contains(&call);
        let Some(number) = self.number(call) else {
            return at;
        };
        number.crew = crew;
        number.came.push(at);
        number.open.push(call);
        if !merges {
            return at;
        }
        // What was over once stays over when the clock is set back.
        number.unanswered.retain(|t| at - t <= 300 * SECOND);
        let first = number.unanswered.first().copied();
        number.unanswered.push(at);
        match first {
            Some(first) if first < at && number.stands_for_earlier.is_none() => {
                number.stands_for_earlier = Some(call);
                first
            }
            Some(_) | None => at,
        }
    }

    fn answered(&mut self, call: CallId, at: i64) {
        self.had_turn(call, at);
        if let Some(number) = self.number(call) {
            let explained = number.incident_open(at);
            number.incident = number.incident.filter(|_| explained).map(|_| call);
            number.last_answered = Some((call, at));
        }
    }

    /// A seat or people outside took it.
    fn had_turn(&mut self, call: CallId, at: i64) {
        self.late.retain(|of| *of != call);
        let Some(number) = self.number(call) else {
            return;
        };
        number.unanswered.clear();
        number.stands_for_earlier = None;
        number.last_answer = Some(at);
        if !number.crew && !number.incident_open(at) {
            number.unexplained.insert(call, at);
        }
        let name = self.of.get(&call).map(|(number, _)| number.clone());
        for place in &mut self.places {
            if self.of.get(&place.call).map(|(number, _)| number) == name.as_ref() {
                place.since = place.arrived;
            }
        }
    }

    /// The list, next first.
    pub(super) fn order(&self, now: Timestamp) -> Vec<&Place> {
        let now = now.as_micros();
        let mut keyed: Vec<_> = self
            .places
            .iter()
            .map(|place| (self.key(place, now), place))
            .collect();
        keyed.sort_by_key(|(key, _)| *key);
        keyed.into_iter().map(|(_, place)| place).collect()
    }

    fn key(&self, place: &Place, now: i64) -> (bool, i64, u64) {
        let mut at = place.since;
        if let Some((name, shown)) = self.of.get(&place.call)
            && let Some(number) = self.numbers.get(name)
        {
            let marked = *shown && self.marked.contains(&format!("+86{name}"));
            if number.is_over_share(now) && !place.back {
                let older = self.places.iter().any(|other| {
                    !other.back
                        && other.entered < place.entered
                        && self.of.get(&other.call).is_some_and(|(of, _)| of == name)
                });
                at = if older {
                    now
                } else {
                    at.max(number.last_answer.unwrap_or(at))
                } + 90 * SECOND;
            } else if marked {
                at += 10 * SECOND;
            }
        }
        let ahead = self
            .policy
            .as_ref()
            .and_then(|p| p.queues.get(&place.queue));
        at -= ahead.map_or(0, |q| i64::from(q.ahead.0) * 1000);
        at -= self.ahead.get(&place.call).copied().unwrap_or(0);
        (!place.back, at, place.entered)
    }

    /// Whether a free seat may take the call.
    pub(super) fn may_take(&self, seat: &SeatId, call: CallId, now: Timestamp) -> bool {
        let Some(place) = self.places.iter().find(|p| p.call == call) else {
            return false;
        };
        let Some(policy) = &self.policy else {
            return false;
        };
        let (Some(own), Some(rules)) = (policy.seats.get(seat), policy.queues.get(&place.queue))
        else {
            return false;
        };
        let waited = (now.as_micros() - place.waits_since) / 1000;
        let relax = i64::from(rules.relax.0);
        let mut stands = i64::try_from(rules.needs.len()).unwrap_or(0);
        for need in &rules.needs {
            if waited < relax * stands && !own.skills.contains(need) {
                return false;
            }
            stands -= 1;
        }
        let all = i64::try_from(rules.needs.len().max(1)).unwrap_or(1);
        let fallback = rules.fallback.iter().filter(|_| waited >= relax * all);
        let named = own.queues.contains(&place.queue)
            || fallback.into_iter().any(|q| own.queues.contains(q));
        if !named && !own.queues.is_empty() {
            return false;
        }
        match own.role {
            SeatRole::Dispatcher => true,
            SeatRole::Supervisor => !self.dispatcher_serves || self.somebody_is_late(),
            SeatRole::Doctor => named,
        }
    }

    fn somebody_is_late(&self) -> bool {
        self.places.iter().any(|p| self.late.contains(&p.call))
    }

    /// Whether the seat may ring beside another one for the call.
    pub(super) fn may_ring_more(&self, seat: &SeatId, call: CallId, now: Timestamp) -> bool {
        let place = self.places.iter().find(|p| p.call == call);
        let lost = place.and_then(|p| p.lost_by.as_ref());
        if lost.is_some_and(|(by, at)| by == seat && now.as_micros() < at + 10 * SECOND) {
            return true;
        }
        let queue = place.map(|p| &p.queue);
        let rules = self
            .policy
            .as_ref()
            .zip(queue)
            .and_then(|(policy, queue)| policy.queues.get(queue));
        self.late.contains(&call) || rules.is_some_and(|q| q.strategy == Strategy::RingAll)
    }

    /// Who is at work, after a step.
    pub(super) fn look(&mut self, view: &View) {
        let Some(policy) = &self.policy else {
            return;
        };
        self.dispatcher_serves = view.seats.iter().any(|seat| {
            let role = policy.seats.get(&seat.seat).map(|s| s.role);
            serves(seat.state) && role == Some(SeatRole::Dispatcher)
        });
    }
}

impl Number {
    fn incident_open(&self, now: i64) -> bool {
        self.incident.is_some()
            && self
                .last_answered
                .is_some_and(|(_, at)| now - at <= 12 * 3600 * SECOND)
    }

    fn is_over_share(&self, now: i64) -> bool {
        let answers = self.unexplained.values();
        let answers = answers.filter(|at| now - **at <= 600 * SECOND).count();
        let burst = self.came.iter().filter(|at| now - **at <= 60 * SECOND);
        let many = self.open.len() >= 3 || burst.count() >= 6;
        !self.crew && !self.incident_open(now) && (answers >= 3 || (answers >= 1 && many))
    }
}

impl Checker {
    /// Invariant 4: the positions that people see are the order of the plan.
    pub(super) fn check_order(&self, view: &View) -> Verdict {
        let due: Vec<_> = self.routes.order(self.now);
        let mut shown: Vec<_> = view
            .calls
            .iter()
            .filter_map(|c| Some((c.position?, c.call)))
            .collect();
        shown.sort();
        let same = shown
            .iter()
            .map(|(_, call)| *call)
            .eq(due.iter().map(|p| p.call));
        if same {
            Ok(())
        } else {
            Err((4, format!("the list is {shown:?} and should be {due:?}")))
        }
    }
}
