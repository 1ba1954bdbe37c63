//! A supervisor hears a call on his own phone, inaudibly (监听). His coming and going touches nobody else.

use super::party::unknown_call;
use super::timers::TimerKey;
use super::{Actor, CommandError, CommandReply, EventKind, Switch};
use crate::call::{Cause, Leg, LegCommand, LegFact, Party};
use crate::id::{CallId, LegId, SeatId};

/// Shown on the supervisor's phone.
const LISTEN_NAME: &str = "监听";

impl Switch {
    /// `Listen`.
    pub(super) fn listen(
        &mut self,
        by: &Actor,
        call: CallId,
        seat: &SeatId,
    ) -> Result<CommandReply, CommandError> {
        self.check_supervisor_seat(by, seat)?;
        match self.calls.get(&call) {
            None => return Err(unknown_call(call)),
            Some(open) if open.is_closing() => {
                return Err(self.wrong_call_state(call, "listen to an open call"));
            }
            Some(_) => {}
        }
        let Some(invite) = self.seat_invite(call, seat, Some(LISTEN_NAME.to_owned())) else {
            return Err(self.wrong_seat_state(seat, "register its phone first"));
        };
        let leg = self.new_leg_id();
        let now = self.now;
        if !self.try_seat_step(seat, |duty| duty.listening(call, leg, now)) {
            return Err(self.wrong_seat_state(seat, "end what it does first"));
        }
        self.given(by, Some(call), "listen");
        self.add_leg(
            call,
            leg,
            Leg::outbound(Party::Listener(seat.clone()), None),
        );
        self.command_leg(leg, LegCommand::Invite(Box::new(invite)));
        self.arm(TimerKey::Ring(leg), self.policy.timers.ring);
        Ok(CommandReply::Leg { leg })
    }

    /// `StopListening`.
    pub(super) fn stop_listening(
        &mut self,
        by: &Actor,
        call: CallId,
        seat: &SeatId,
    ) -> Result<CommandReply, CommandError> {
        self.check_supervisor_seat(by, seat)?;
        let Some(open) = self.calls.get(&call) else {
            return Err(unknown_call(call));
        };
        let listener = Party::Listener(seat.clone());
        let Some(leg) = open
            .legs
            .iter()
            .find_map(|(id, leg)| (leg.party == listener).then_some(*id))
        else {
            return Err(self.wrong_seat_state(seat, "it does not listen to this call"));
        };
        self.given(by, Some(call), "stop_listening");
        self.dismiss_listener(call, leg, seat);
        self.refresh_matrix(call);
        Ok(CommandReply::Done)
    }

    /// Releases a listener's leg and gives the seat back what it did before.
    pub(super) fn dismiss_listener(&mut self, call: CallId, leg: LegId, seat: &SeatId) {
        let removed = self.release(call, leg, Cause::Withdrawn);
        self.listener_gone(call, leg, seat, removed);
        self.seat_returned(seat);
    }

    /// A fact of a listener's leg.
    pub(super) fn listener_fact(&mut self, call: CallId, leg: LegId, seat: &SeatId, fact: LegFact) {
        match fact {
            LegFact::Trying | LegFact::Progressed { .. } | LegFact::Held { .. } => {}
            LegFact::Answered => {
                self.timers.disarm(&TimerKey::Ring(leg));
                self.refresh_matrix(call);
                let seat = seat.clone();
                self.say(call, EventKind::MonitorStarted { seat, leg });
            }
            LegFact::Failed { cause } => self.listener_ended(call, leg, seat, cause.is_failure()),
            LegFact::Ended { cause, by_far_side } => {
                self.listener_ended(call, leg, seat, cause.is_failure() || !by_far_side);
            }
            LegFact::Confirmed => self.misfit("listener.confirmed"),
            LegFact::Digit { .. } | LegFact::Noted | LegFact::Misfit { .. } => {}
        }
    }

    fn listener_ended(&mut self, call: CallId, leg: LegId, seat: &SeatId, lost: bool) {
        let removed = self.forget_leg(call, leg);
        self.listener_gone(call, leg, seat, removed);
        if lost {
            let now = self.now;
            self.seat_step(seat, "flaw.listener_lost_twice", |duty| {
                duty.phone_died(now)
            });
        } else {
            self.seat_returned(seat);
        }
        self.refresh_matrix(call);
    }

    /// The supervisor did not pick up.
    pub(super) fn listener_rang_out(&mut self, call: CallId, leg: LegId) {
        let party = self.leg_mut(call, leg).map(|l| l.party.clone());
        match party {
            Some(Party::Listener(seat)) => self.dismiss_listener(call, leg, &seat),
            Some(Party::Caller | Party::Seat(_) | Party::Third { .. }) | None => {
                self.misfit("flaw.timer_ring_answered_leg");
            }
        }
    }

    fn listener_gone(&mut self, call: CallId, leg: LegId, seat: &SeatId, removed: Option<Leg>) {
        if removed.is_some_and(|l| l.state.is_up()) {
            let seat = seat.clone();
            self.say(call, EventKind::MonitorEnded { seat, leg });
        }
    }
}
