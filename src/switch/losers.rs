//! Seats that rang for a call which another seat has answered.
//!
//! ```text
//! answer --> the others ring on --first sound of the winner, 1 s, their own answer, the call's end--> released
//!                               --the winner's line is lost--> the call is theirs
//!                               --another call needs one--> it rings there
//! ```
//! Until the winner is heard nobody knows that its line carries sound; a released phone would have to be rung anew.

use super::Switch;
use super::timers::TimerKey;
use crate::call::{Cause, Offer};
use crate::id::{CallId, LegId, SeatId};
use crate::time::Millis;

/// A winner that sends no sound keeps the others ringing no longer.
const RING_ON_SPAN: Millis = Millis::from_secs(1);

impl Switch {
    /// Another seat has answered: these ring until it is heard.
    pub(super) fn ring_on(&mut self, call: CallId, losing: Vec<Offer>) {
        if losing.is_empty() {
            return;
        }
        for offer in &losing {
            self.timers.disarm(&TimerKey::Ring(offer.leg));
        }
        if let Some(open) = self.call_mut(call) {
            open.losing = losing;
        }
        self.arm(TimerKey::Elsewhere(call), RING_ON_SPAN);
    }

    /// Whether the seat of this leg was too late.
    pub(super) fn has_lost(&self, call: CallId, leg: LegId) -> bool {
        let open = self.calls.get(&call);
        open.is_some_and(|c| c.losing.iter().any(|offer| offer.leg == leg))
    }

    /// First sound of a leg: if it is the winner's, the others are not needed any more.
    pub(super) fn seat_heard(&mut self, call: CallId, leg: LegId) {
        let talking = self.calls.get(&call).and_then(|c| c.talking());
        let seat = talking.and_then(|t| t.seat.as_ref());
        if seat.is_some_and(|(_, winner)| *winner == leg) {
            self.release_losers(call);
        }
    }

    pub(super) fn release_losers(&mut self, call: CallId) {
        self.timers.disarm(&TimerKey::Elsewhere(call));
        let Some(open) = self.call_mut(call) else {
            return;
        };
        for Offer { leg, seat, .. } in std::mem::take(&mut open.losing) {
            self.free_offered_seat(call, leg, &seat, Cause::AnsweredElsewhere);
        }
    }

    /// Its answer, or its refusal, crossed: it has missed nothing.
    pub(super) fn release_loser(&mut self, call: CallId, leg: LegId, seat: &SeatId) {
        self.free_offered_seat(call, leg, seat, Cause::AnsweredElsewhere);
        self.clear_offer(call, leg);
    }

    /// The winner's line is lost: the call is offered to those who still ring.
    pub(super) fn losers_take_over(&mut self, call: CallId) {
        self.timers.disarm(&TimerKey::Elsewhere(call));
        let Some(open) = self.call_mut(call) else {
            return;
        };
        let offers = std::mem::take(&mut open.losing);
        for offer in &offers {
            self.arm(TimerKey::Ring(offer.leg), self.policy.timers.ring);
        }
        if let Some(unanswered) = self.call_mut(call).and_then(|c| c.unanswered_mut()) {
            unanswered.offers = offers;
        }
    }
}
