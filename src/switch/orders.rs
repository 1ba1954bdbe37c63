//! A supervisor's orders about a waiting call: ring that seat, stand in that queue, stand earlier. The caller keeps his
//! place whatever comes of them.

use super::party::unknown_call;
use super::{Actor, CommandError, CommandReply, Destination, EventKind, Switch};
use crate::acd::Rule;
use crate::call::{Cause, Ingress, Phase};
use crate::id::{CallId, QueueId, SeatId};
use crate::limits::AHEAD_MAX;
use crate::time::Millis;

impl Switch {
    /// `Reassign`.
    pub(super) fn reassign(
        &mut self,
        by: &Actor,
        call: CallId,
        to: &Destination,
    ) -> Result<CommandReply, CommandError> {
        self.check_order(by, call)?;
        match to {
            Destination::Seat(seat) => self.check_may_ring(call, seat)?,
            Destination::Queue(queue) => self.check_may_stand(call, queue)?,
        }
        self.given(by, Some(call), "reassign");
        self.withdraw_offers(call);
        match to {
            Destination::Seat(seat) => self.offer_ordered(call, seat),
            Destination::Queue(queue) => self.change_queue(call, queue),
        }
        Ok(CommandReply::Done)
    }

    /// `Prioritise`.
    pub(super) fn prioritise(
        &mut self,
        by: &Actor,
        call: CallId,
        ahead: Millis,
    ) -> Result<CommandReply, CommandError> {
        if ahead > AHEAD_MAX {
            return Err(CommandError::BadField {
                field: String::from("ahead_s"),
                reason: format!("at most {} seconds", AHEAD_MAX.0 / 1000),
            });
        }
        self.check_order(by, call)?;
        if self.calls.get(&call).is_some_and(|c| c.ahead == ahead) {
            return Err(self.wrong_call_state(call, "it stands there already"));
        }
        self.given(by, Some(call), "prioritise");
        if let Some(open) = self.call_mut(call) {
            open.ahead = ahead;
        }
        self.queue_moved = true;
        let (ahead_ms, by) = (ahead.0, by.clone());
        self.say(call, EventKind::QueuePriority { ahead_ms, by });
        Ok(CommandReply::Done)
    }

    /// Supervisors order, and only about calls that wait.
    fn check_order(&self, by: &Actor, call: CallId) -> Result<(), CommandError> {
        match by {
            Actor::Supervisor(_) | Actor::User(_) | Actor::Engine => {}
            Actor::Seat(_) | Actor::Module(_) => {
                let reason = "only a supervisor orders the list";
                return Err(super::commands::not_allowed(by, reason));
            }
        }
        match self.calls.get(&call).map(|open| &open.phase) {
            None => Err(unknown_call(call)),
            Some(Phase::Unanswered(_)) => Ok(()),
            Some(
                Phase::InMenu(_)
                | Phase::Dialling(_)
                | Phase::Shelved(_)
                | Phase::Talking(_)
                | Phase::Closing(_),
            ) => Err(self.wrong_call_state(call, "only a waiting call is sent elsewhere")),
        }
    }

    fn check_may_ring(&self, call: CallId, seat: &SeatId) -> Result<(), CommandError> {
        self.check_known_seat(seat)?;
        let own = self
            .calls
            .get(&call)
            .is_some_and(|open| match &open.ingress {
                Ingress::Seat(own) => own == seat,
                Ingress::Trunk(_) => false,
            });
        if own {
            return Err(self.wrong_call_state(call, "its caller sits at that seat"));
        }
        let rings = self.offered_to(seat).is_some_and(|(of, _)| of == call);
        let free = self
            .seats
            .get(seat)
            .is_some_and(|s| s.open(true, || false).is_some() && s.keying.is_none());
        if rings {
            Err(self.wrong_seat_state(seat, "it rings for this call already"))
        } else if free {
            Ok(())
        } else {
            Err(self.wrong_seat_state(seat, "choose a free one, or make it ready first"))
        }
    }

    fn check_may_stand(&self, call: CallId, queue: &QueueId) -> Result<(), CommandError> {
        if !self.policy.queues.contains_key(queue) {
            return Err(CommandError::Unknown {
                what: String::from("queue"),
                id: queue.to_string(),
            });
        }
        if self.calls.get(&call).is_some_and(|c| c.queue == *queue) {
            return Err(self.wrong_call_state(call, "it stands in that queue already"));
        }
        Ok(())
    }

    fn withdraw_offers(&mut self, call: CallId) {
        let offers = self.calls.get(&call).and_then(|c| c.unanswered());
        for offer in offers.map(|u| u.offers.clone()).unwrap_or_default() {
            self.free_offered_seat(call, offer.leg, &offer.seat, Cause::Withdrawn);
            self.clear_offer(call, offer.leg);
        }
    }

    fn offer_ordered(&mut self, call: CallId, seat: &SeatId) {
        let queue = self.calls.get(&call).map(|c| c.queue.clone());
        self.say(
            call,
            EventKind::OfferDecided {
                rule: Rule::Ordered,
                chosen: Some(seat.clone()),
                held: Vec::new(),
                queue: queue.unwrap_or_else(|| self.policy.queue.clone()),
                needs: Vec::new(),
                relaxed: Vec::new(),
            },
        );
        self.offer(call, seat);
    }

    fn change_queue(&mut self, call: CallId, to: &QueueId) {
        let Some(from) = self.queue.move_to(call, to) else {
            return self.misfit("flaw.waiting_call_without_entry");
        };
        if let Some(open) = self.call_mut(call) {
            open.queue = to.clone();
        }
        self.queue_moved = true;
        let to = to.clone();
        self.say(call, EventKind::QueueMoved { from, to });
        self.arm_relax(call);
    }
}
