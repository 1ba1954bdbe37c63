//! Who is offered whom: puts the list, the seats and the policy on one [`Table`], has the choice made there, rings and
//! says why. Invariant 4: whenever a fit seat is free, the next waiting call rings there at once.

use serde::{Deserialize, Serialize};

use super::timers::TimerKey;
use super::{Behind, EventKind, HeldSeat, Policy, Switch};
use crate::acd::routing::Choice;
use crate::acd::{
    Candidate, Entry, Identity, Need, Order, Rule, SeatRole, Shift, Strategy, Table, Waiting,
    choose,
};
use crate::call::{Call, Ingress};
use crate::id::{CallId, QueueId, SeatId};
use crate::time::{Millis, Timestamp};

/// What was last said to hold free seats back from a kind of need.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Told {
    queue: QueueId,
    needs: Vec<String>,
    held: Vec<HeldSeat>,
}

impl Switch {
    /// Offers waiting calls to free seats until one of both runs out.
    pub(super) fn route(&mut self) {
        if self.queue.is_empty() {
            return;
        }
        let mut chance = self.chance;
        let choices = {
            let late = self.somebody_waited_too_long();
            let table = Table {
                seats: self.candidates(late),
                supervisors_open: self.supervisors_open(late),
            };
            if table.seats.is_empty() {
                return;
            }
            let order = self.ranked();
            let waiting = order.iter();
            let waiting = waiting.filter_map(|(entry, open)| self.waiting(entry, (*open)?));
            choose(&table, waiting, &mut || super::draw_from(&mut chance))
        };
        self.chance = chance;
        for choice in choices {
            self.carry_out(choice);
        }
    }

    fn candidates(&self, late: bool) -> Vec<Candidate<'_>> {
        self.seats
            .iter()
            .filter_map(|(id, seat)| {
                let (opening, idle_since) = seat.open(late, || self.rings_spare(id))?;
                let policy = self.policy.seats.get(id)?;
                Some(Candidate {
                    seat: id,
                    opening,
                    idle_since,
                    answered: seat.answered,
                    offered_at: seat.offered_at,
                    proven: seat.proven,
                    keying: seat.keying.is_some(),
                    role: policy.role,
                    queues: &policy.queues,
                    skills: &policy.skills,
                })
            })
            .collect()
    }

    fn waiting<'s>(&'s self, entry: &'s Entry, call: &'s Call) -> Option<Waiting<'s>> {
        let unanswered = call.unanswered()?;
        if self.is_held_for_test(entry.call) {
            return None;
        }
        let affinity = self.crew_seat(call).or_else(|| {
            let span = self.policy.timers.affinity;
            let identity = entry.identity.as_ref()?;
            self.callers.affinity(identity, span, self.now)
        });
        Some(Waiting {
            call: entry.call,
            need: need(&self.policy, &entry.queue, unanswered.since, self.now),
            own: match &call.ingress {
                Ingress::Seat(seat) => Some(seat),
                Ingress::Trunk(_) => None,
            },
            affinity,
            back: unanswered
                .back
                .as_ref()
                .and_then(|(seat, until)| (self.now < *until).then_some(seat)),
            offered: !unanswered.offers.is_empty(),
            rings_all: call.wait_exceeded
                || (unanswered.asked.is_none()
                    && self.policy.queue_of(&entry.queue).strategy == Strategy::RingAll),
        })
    }

    /// Whether the seat rings beside another one, or on after another one's answer.
    fn rings_spare(&self, seat: &SeatId) -> bool {
        let Some((call, leg)) = self.offered_to(seat) else {
            return false;
        };
        let Some(open) = self.calls.get(&call) else {
            return false;
        };
        let beside = open.unanswered().into_iter();
        let mut spare = beside
            .flat_map(|u| u.offers.iter().skip(1))
            .chain(&open.losing);
        spare.any(|offer| offer.leg == leg)
    }

    /// From the first alert on the whole list is served by wrap-up and supervisor seats too.
    fn somebody_waited_too_long(&self) -> bool {
        let entries = self.queue.entries().iter();
        entries
            .filter_map(|e| self.calls.get(&e.call))
            .any(|c| c.wait_exceeded)
    }

    /// A supervisor waits behind the dispatchers, but not when none of them serves.
    fn supervisors_open(&self, late: bool) -> bool {
        let dispatcher_serves = self.seats.iter().any(|(id, seat)| {
            let role = self.policy.seats.get(id).map(|s| s.role);
            role == Some(SeatRole::Dispatcher) && seat.duty.serves()
        });
        !dispatcher_serves || late
    }

    fn carry_out(&mut self, choice: Choice) {
        let Some(entry) = self.queue.entry(choice.call) else {
            return self.misfit("flaw.choice_of_no_waiting_call");
        };
        let queue = entry.queue.clone();
        let since = self.calls.get(&choice.call).and_then(|c| c.unanswered());
        let since = since.map_or(self.now, |u| u.since);
        let rules = self.policy.queue_of(&queue);
        let (needs, _) = rules.need_after(self.now.millis_since(since));
        let relaxed = rules.needs.get(needs.len()..).unwrap_or(&[]).to_vec();
        let needs = needs.to_vec();
        let held: Vec<_> = choice
            .held
            .into_iter()
            .map(|(seat, reason)| HeldSeat { seat, reason })
            .collect();
        let told = Told {
            queue: queue.clone(),
            needs: needs.clone(),
            held: held.clone(),
        };
        let before = self
            .held
            .iter()
            .position(|t| t.queue == queue && t.needs == needs);
        let news = before.and_then(|at| self.held.get(at)) != Some(&told);
        if let Some(at) = before {
            self.held.remove(at);
        }
        self.held.push(told);
        if choice.rule == Rule::NobodyFits && !news {
            return;
        }
        self.say(
            choice.call,
            EventKind::OfferDecided {
                rule: choice.rule,
                chosen: choice.seat.clone(),
                held,
                queue,
                needs,
                relaxed,
            },
        );
        if let Some(seat) = choice.seat {
            self.offer(choice.call, &seat);
        }
    }

    /// Wakes the choice when the next need of the call's queue falls away.
    pub(super) fn arm_relax(&mut self, call: CallId) {
        let Some(since) = self.calls.get(&call).and_then(|c| c.unanswered()) else {
            return;
        };
        let since = since.since;
        let Some(entry) = self.queue.entry(call) else {
            return;
        };
        let rules = self.policy.queue_of(&entry.queue);
        let steps = rules.needs.len().max(usize::from(rules.fallback.is_some()));
        let relax = u64::from(rules.relax.0.max(1));
        let next = self.now.millis_since(since) / relax + 1;
        if next <= u64::try_from(steps).unwrap_or(0) {
            let span = Millis(u32::try_from(next * relax).unwrap_or(u32::MAX));
            self.timers.arm(TimerKey::Relax(call), since + span);
        } else {
            self.timers.disarm(&TimerKey::Relax(call));
        }
    }

    /// After a change of the policy: calls of queues that are no more go to the default one.
    pub(super) fn rehome_calls(&mut self) {
        let (policy, to) = (&self.policy, self.policy.queue.clone());
        let stays = |queue: &QueueId| policy.queues.contains_key(queue);
        for call in self.calls.values_mut().filter(|c| !stays(&c.queue)) {
            call.queue = to.clone();
        }
        for (call, from) in self.queue.rehome(stays, &to) {
            let to = to.clone();
            self.say(call, EventKind::QueueMoved { from, to });
        }
        let calls: Vec<_> = self.queue.entries().iter().map(|e| e.call).collect();
        for call in calls {
            self.arm_relax(call);
            self.stirred.insert(call);
        }
        self.rehome_queue_listeners();
        self.held.clear();
    }

    /// Waiting calls, next first. The whole list is looked at: each call is looked up once.
    fn ranked(&self) -> Vec<(&Entry, Option<&Call>)> {
        let order = Order {
            now: self.now,
            callers: &self.callers,
        };
        self.queue.ranked(&order, |entry| {
            let open = self.calls.get(&entry.call);
            let ordered = open.map_or(Millis(0), |c| c.ahead);
            let shift = Shift {
                ahead: Millis(self.policy.queue_of(&entry.queue).ahead.0 + ordered.0),
                behind: open.map_or(Millis(0), |c| self.behind(&c.caller)),
            };
            (shift, open)
        })
    }

    /// Waiting callers, next first. One that is probably our own test stands before nobody.
    pub(super) fn waiting_order(&self) -> Vec<CallId> {
        let ranked = self.ranked();
        let calls = ranked.iter().map(|(entry, _)| entry.call);
        calls.filter(|call| !self.is_held_for_test(*call)).collect()
    }

    /// How many calls are before this one.
    pub(super) fn position(&self, call: CallId) -> Option<u32> {
        let place = self.waiting_order().iter().position(|of| *of == call)?;
        u32::try_from(place).ok()
    }

    fn identity_of(&self, call: CallId) -> Option<Identity> {
        // Whom a seat calls has not come in: no redial, no turn, no share.
        let open = self.calls.get(&call).filter(|c| c.outbound.is_none())?;
        Identity::of(&open.caller, &self.policy.shared_numbers)
    }

    /// A seat picked up: the caller had its turn.
    pub(super) fn caller_answered(&mut self, call: CallId, seat: &SeatId) {
        if let Some(state) = self.seats.get_mut(seat) {
            state.answered += 1;
        }
        self.turn_taken(call, Some(seat));
    }

    /// Its caller has a seat, or people outside: the number's other legs inherit nothing any more.
    pub(super) fn turn_taken(&mut self, call: CallId, seat: Option<&SeatId>) {
        if let Some(identity) = self.identity_of(call) {
            self.callers.answered(&identity, call, seat, self.now);
            self.queue.disinherit(&identity);
            self.queue_moved = true;
        }
    }

    /// Why a call that enters the queue stands behind later ones.
    pub(super) fn stands_behind(&self, call: CallId) -> Option<Behind> {
        let identity = self.identity_of(call)?;
        if self.callers.over_share(&identity, self.now).is_some() {
            return Some(Behind::Share);
        }
        let caller = &self.calls.get(&call)?.caller;
        (self.behind(caller) > Millis(0)).then_some(Behind::Verdict)
    }

    /// The call is over.
    pub(super) fn caller_served(&mut self, call: CallId) {
        if let Some(identity) = self.identity_of(call) {
            self.callers.ended(&identity, call);
        }
    }
}

fn need<'p>(policy: &'p Policy, queue: &'p QueueId, since: Timestamp, now: Timestamp) -> Need<'p> {
    let rules = policy.queue_of(queue);
    let (skills, fallback) = rules.need_after(now.millis_since(since));
    Need {
        queue,
        skills,
        fallback,
        strategy: rules.strategy,
    }
}
