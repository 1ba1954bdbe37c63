//! Offering a waiting call to a seat: reserve, ring, talk, or the next seat.
//!
//! The call keeps its place in the queue until a seat picks up, so a phone that does not answer costs nothing.
//! Invariant 4: whenever a fit seat is free, the next waiting call rings there at once.

use super::timers::TimerKey;
use super::{EventKind, MediaCommand, Switch};
use crate::acd::Duty;
use crate::acd::seat::{REASON_MISSED, REASON_REJECTED};
use crate::call::{Cause, Invite, Leg, LegCommand, LegFact, Offer, Party, Phase, Talking, Target};
use crate::id::{CallId, LegId, PhoneId, SeatId};
use crate::time::Millis;

/// Rest of a seat that could not be rung by a fault of ours.
const REST_SPAN: Millis = Millis::from_secs(2);
/// Reason of a seat whose phone speaks no codec of ours.
const REASON_MEDIA: &str = "编解码不符";

/// What an unanswered offer does to its seat.
pub(super) enum Miss {
    RangOut,
    Rejected,
    MediaRefused,
    PhoneDead,
    OurFault,
}

impl Switch {
    /// Rings a seat for a call. One that rings beside another for a call that does not need it is taken from there.
    pub(super) fn offer(&mut self, call: CallId, seat: &SeatId) {
        self.offer_shown(call, seat, None);
    }

    /// The same, with a name for the phone's display.
    pub(super) fn offer_shown(&mut self, call: CallId, seat: &SeatId, shown: Option<String>) {
        let Some(invite) = self.seat_invite(call, seat, shown) else {
            return self.misfit("flaw.offer_unregistered_seat");
        };
        if let Some((other, leg)) = self.offered_to(seat) {
            let cause = if self.has_lost(other, leg) {
                Cause::AnsweredElsewhere
            } else {
                Cause::Withdrawn
            };
            self.free_offered_seat(other, leg, seat, cause);
            self.clear_offer(other, leg);
        }
        let leg = self.new_leg_id();
        if !self.seat_step(seat, "flaw.offer_busy_seat", |duty| {
            duty.reserved(call, leg)
        }) {
            return;
        }
        if let Some(state) = self.seats.get_mut(seat) {
            state.offered_at = Some(self.now);
        }
        self.add_leg(call, leg, Leg::outbound(Party::Seat(seat.clone()), None));
        if let Some(unanswered) = self.call_mut(call).and_then(|c| c.unanswered_mut()) {
            let sole = unanswered.offers.is_empty();
            for other in &mut unanswered.offers {
                other.sole = false;
            }
            unanswered.offers.push(Offer {
                seat: seat.clone(),
                leg,
                alive: false,
                rang: false,
                sole,
            });
        }
        self.stirred.insert(call);
        self.command_leg(leg, LegCommand::Invite(Box::new(invite)));
        self.arm(TimerKey::Ring(leg), self.policy.timers.ring);
    }

    /// An INVITE of this call to a seat's phone, if it is registered.
    pub(super) fn seat_invite(
        &self,
        call: CallId,
        seat: &SeatId,
        from_name: Option<String>,
    ) -> Option<Invite> {
        Some(Invite {
            call,
            target: self.seat_target(seat)?,
            from_number: self.calls.get(&call)?.caller.display.clone(),
            from_name,
            picks_up: false,
        })
    }

    /// The phone where a seat sits, if it is registered.
    pub(super) fn seat_target(&self, seat: &SeatId) -> Option<Target> {
        let at = self.seats.get(seat)?;
        let contact = at.binding.as_ref()?.contact.clone();
        let own = |phone: &&PhoneId| phone.as_str() == seat.as_str();
        let phone = at.phone.as_ref().filter(|phone| !own(phone)).cloned();
        Some(Target::Seat {
            seat: seat.clone(),
            contact,
            phone,
        })
    }

    pub(super) fn add_leg(&mut self, call: CallId, leg: LegId, state: Leg) {
        if let Some(open) = self.call_mut(call) {
            open.legs.insert(leg, state);
            self.legs.insert(leg, call);
        }
    }

    /// A fact of a seat's leg, offered or talking.
    pub(super) fn seat_fact(&mut self, call: CallId, leg: LegId, seat: &SeatId, fact: LegFact) {
        if self.dialling_fact(call, leg, seat, fact) {
            return;
        }
        if self.is_colleague(call, leg) {
            return self.colleague_fact(call, leg, seat, fact);
        }
        match fact {
            LegFact::Trying => self.seat_alive(call, leg, seat),
            LegFact::Progressed { .. } => self.seat_rang(call, leg, seat),
            LegFact::Answered => self.seat_answered(call, leg, seat),
            LegFact::Failed { cause } => self.offer_failed(call, leg, seat, cause),
            LegFact::Ended { cause, by_far_side } => {
                self.seat_left(call, leg, seat, cause, by_far_side);
            }
            LegFact::Held { .. } => self.refresh_tones(call),
            // Of a phone that dialled.
            LegFact::Confirmed => {}
            LegFact::Digit { .. } | LegFact::Noted | LegFact::Misfit { .. } => {}
        }
    }

    fn offer_mut(&mut self, call: CallId, leg: LegId) -> Option<&mut Offer> {
        self.call_mut(call)?.offer_mut(leg)
    }

    fn seat_alive(&mut self, call: CallId, leg: LegId, seat: &SeatId) {
        self.phone_proven(seat);
        match self.offer_mut(call, leg) {
            Some(offer) => offer.alive = true,
            None => self.misfit("flaw.seat_trying_unoffered"),
        }
    }

    fn seat_rang(&mut self, call: CallId, leg: LegId, seat: &SeatId) {
        let Some(offer) = self.offer_mut(call, leg) else {
            return self.misfit("flaw.seat_rang_unoffered");
        };
        offer.alive = true;
        if std::mem::replace(&mut offer.rang, true) {
            return;
        }
        self.phone_proven(seat);
        self.seat_step(seat, "flaw.seat_rang_unreserved", Duty::rang);
        self.say(
            call,
            EventKind::SeatRinging {
                seat: seat.clone(),
                leg,
            },
        );
    }

    pub(super) fn seat_answered(&mut self, call: CallId, leg: LegId, seat: &SeatId) {
        if self.has_lost(call, leg) {
            return self.release_loser(call, leg, seat);
        }
        self.seat_rang(call, leg, seat);
        let Some(unanswered) = self.calls.get(&call).and_then(|c| c.unanswered()) else {
            return self.misfit("flaw.seat_answered_unoffered");
        };
        let mut others = unanswered.offers.clone();
        others.retain(|offer| offer.leg != leg);
        self.timers.disarm(&TimerKey::Ring(leg));
        self.become_answered(
            call,
            seat,
            Talking::with_seat(seat.clone(), leg),
            "answered",
        );
        self.track(call, leg);
        self.seat_step(seat, "flaw.seat_picked_up_unoffered", Duty::picked_up);
        self.refresh_matrix(call);
        self.say(
            call,
            EventKind::SeatAnswered {
                seat: seat.clone(),
                leg,
            },
        );
        self.refresh_tones(call);
        self.ring_on(call, others);
    }

    /// A waiting caller has somebody at last: out of the queue, its sound stopped, into the talk with `seat`.
    pub(super) fn become_answered(
        &mut self,
        call: CallId,
        seat: &SeatId,
        talking: Talking,
        reason: &str,
    ) {
        self.transfer_taken(call, seat);
        self.disarm_waiting(call);
        self.answer_caller(call);
        let hearing = self.calls.get(&call).and_then(|c| c.unanswered());
        if hearing.is_some_and(|u| u.hearing.plays()) {
            self.stop_caller(call);
        }
        self.leave_queue(call, reason);
        let now = self.now;
        let mut first = false;
        if let Some(open) = self.call_mut(call) {
            open.phase = Phase::Talking(talking);
            first = open.answered_at.is_none();
            open.answered_at.get_or_insert(now);
            open.wait_exceeded = false;
        }
        self.totals.answered += u64::from(first);
        self.handled_by(call, seat);
        self.caller_answered(call, seat);
        self.handling_runs(call, Millis(1));
    }

    pub(super) fn stop_caller(&mut self, call: CallId) {
        if let Some(leg) = self.calls.get(&call).and_then(|c| c.caller_leg) {
            self.command_media(call, MediaCommand::Stop { leg });
        }
    }

    /// Out of the queue, with the reason and the wait.
    pub(super) fn leave_queue(&mut self, call: CallId, reason: &str) {
        let Some(entry) = self.queue.leave(call) else {
            return;
        };
        self.queue_moved = true;
        self.withdraw_relief(call);
        let since = self
            .calls
            .get(&call)
            .and_then(|c| c.unanswered())
            .map(|u| u.since);
        let waited_ms = since.map_or(0, |since| self.now.millis_since(since));
        self.say(
            call,
            EventKind::QueueLeft {
                queue: entry.queue,
                reason: reason.to_owned(),
                waited_ms,
            },
        );
    }

    fn offer_failed(&mut self, call: CallId, leg: LegId, seat: &SeatId, cause: Cause) {
        let Some(sole) = self.offer_mut(call, leg).map(|offer| offer.sole) else {
            return self.misfit("flaw.seat_failed_unoffered");
        };
        if self.has_lost(call, leg) && matches!(miss_of(cause), Miss::Rejected) {
            return self.release_loser(call, leg, seat);
        }
        self.forget_leg(call, leg);
        self.say(
            call,
            EventKind::SeatRejected {
                seat: seat.clone(),
                leg,
                cause,
            },
        );
        self.clear_offer(call, leg);
        self.offer_over(seat, miss_of(cause), sole);
    }

    /// A seat's or a listener's phone was not picked up in time.
    pub(super) fn ring_timed_out(&mut self, leg: LegId) {
        if self.home_rang_out(leg) {
            return;
        }
        let Some(call) = self.legs.get(&leg).copied() else {
            return self.misfit("flaw.timer_ring_unknown_leg");
        };
        if self.dialling_rang_out(call, leg) {
            return;
        }
        let Some(offer) = self.offer_mut(call, leg) else {
            if self.colleague_rang_out(call, leg) {
                return;
            }
            return self.listener_rang_out(call, leg);
        };
        let (seat, alive, sole) = (offer.seat.clone(), offer.alive, offer.sole);
        self.release(call, leg, Cause::NoAnswer);
        self.say(
            call,
            EventKind::SeatRingTimeout {
                seat: seat.clone(),
                leg,
            },
        );
        let miss = if alive {
            Miss::RangOut
        } else {
            Miss::PhoneDead
        };
        self.clear_offer(call, leg);
        self.offer_over(&seat, miss, sole);
    }

    /// The seat's phone is gone while it was being rung: the call goes to the next seat.
    pub(super) fn withdraw_offer(&mut self, call: CallId, leg: LegId, seat: &SeatId) {
        self.release(call, leg, Cause::Withdrawn);
        self.say(
            call,
            EventKind::SeatReleased {
                seat: seat.clone(),
                leg,
                cause: Cause::Unreachable,
            },
        );
        if self.is_colleague(call, leg) {
            return self.consult_failed(call, "unreachable");
        }
        self.clear_offer(call, leg);
    }

    /// One seat rings no more.
    pub(super) fn clear_offer(&mut self, call: CallId, leg: LegId) {
        let Some(open) = self.call_mut(call) else {
            return;
        };
        open.losing.retain(|offer| offer.leg != leg);
        if let Some(unanswered) = open.unanswered_mut() {
            unanswered.offers.retain(|offer| offer.leg != leg);
            let rings = |seat: &SeatId| unanswered.offers.iter().any(|offer| offer.seat == *seat);
            let asked = unanswered.asked.take().filter(rings);
            let gave_up = asked.is_none() && unanswered.transfer.is_some();
            unanswered.asked = asked;
            if gave_up {
                self.untaken.insert(call);
            }
        }
        self.stirred.insert(call);
    }

    /// Only a seat that was rung alone has missed a call, and never the last one that serves.
    pub(super) fn offer_over(&mut self, seat: &SeatId, miss: Miss, sole: bool) {
        let mut others = self.seats.iter().filter(|(id, _)| *id != seat);
        let last = !others.any(|(_, other)| other.duty.serves());
        let (now, until) = (self.now, self.now + REST_SPAN);
        self.seat_step(seat, "flaw.seat_missed_unoffered", |duty| match miss {
            Miss::RangOut if last || !sole => duty.freed(now),
            Miss::RangOut => duty.missed(REASON_MISSED),
            Miss::Rejected => duty.missed(REASON_REJECTED),
            Miss::MediaRefused => duty.missed(REASON_MEDIA),
            Miss::PhoneDead => duty.phone_died(now),
            Miss::OurFault => duty.rested(until),
        });
    }
}

pub(super) const fn miss_of(cause: Cause) -> Miss {
    match cause {
        Cause::Normal
        | Cause::Cancelled
        | Cause::Busy
        | Cause::NoAnswer
        | Cause::Rejected
        | Cause::SeatReleased
        | Cause::Withdrawn
        | Cause::AnsweredElsewhere => Miss::Rejected,
        Cause::MediaRefused => Miss::MediaRefused,
        Cause::Unallocated
        | Cause::Unavailable
        | Cause::Unreachable
        | Cause::Lost
        | Cause::Restarted => Miss::PhoneDead,
        Cause::Capacity | Cause::InternalFault => Miss::OurFault,
    }
}
