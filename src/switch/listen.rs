//! A supervisor on a call with his own phone: he hears it (监听), and a change of his mode is another matrix, no other leg.
//! His coming and going touches nobody else. What he takes over is in `supervise`.

use super::party::unknown_call;
use super::timers::TimerKey;
use super::{Actor, CommandError, CommandReply, EventKind, MediaCommand, Switch};
use crate::call::{Cause, Leg, LegCommand, LegFact, Mode, Party};
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
        mode: Mode,
    ) -> Result<CommandReply, CommandError> {
        self.check_supervisor_seat(by, seat)?;
        match self.calls.get(&call) {
            None => return Err(unknown_call(call)),
            Some(open) if open.is_closing() => {
                return Err(self.wrong_call_state(call, "listen to an open call"));
            }
            Some(_) => {}
        }
        self.check_mode(call, mode)?;
        if let Some(leg) = self.listener_leg(call, seat) {
            return self.change_mode(by, call, leg, seat, mode);
        }
        if let Some(leg) = self.leaves_queue_for(by, call, seat, mode) {
            return Ok(CommandReply::Leg { leg });
        }
        let Some(invite) = self.seat_invite(call, seat, Some(LISTEN_NAME.to_owned())) else {
            return Err(self.wrong_seat_state(seat, "register its phone first"));
        };
        let leg = self.new_leg_id();
        let now = self.now;
        if !self.try_seat_step(seat, |duty| duty.listening(call, leg, now)) {
            return Err(self.wrong_seat_state(seat, "end what it does first"));
        }
        self.given(by, Some(call), mode_command(mode));
        let mut listener = Leg::outbound(Party::Listener(seat.clone()), None);
        listener.mode = mode;
        self.add_leg(call, leg, listener);
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
        if !self.calls.contains_key(&call) {
            return Err(unknown_call(call));
        }
        let Some(leg) = self.listener_leg(call, seat) else {
            return Err(self.wrong_seat_state(seat, "it does not listen to this call"));
        };
        self.given(by, Some(call), "stop_listening");
        self.dismiss_listener(call, leg, seat);
        self.refresh_matrix(call);
        Ok(CommandReply::Done)
    }

    /// His phone is up in the call.
    pub(super) fn supervises(&self, call: CallId, seat: &SeatId) -> bool {
        let leg = self.listener_leg(call, seat);
        let open = self.calls.get(&call);
        leg.and_then(|leg| open?.legs.get(&leg))
            .is_some_and(|l| l.state.is_up())
    }

    pub(super) fn listener_leg(&self, call: CallId, seat: &SeatId) -> Option<LegId> {
        let listener = Party::Listener(seat.clone());
        let legs = &self.calls.get(&call)?.legs;
        legs.iter()
            .find_map(|(id, leg)| (leg.party == listener).then_some(*id))
    }

    /// The supervisor is on the call already: what is heard of him changes, his leg and everybody's sound go on.
    fn change_mode(
        &mut self,
        by: &Actor,
        call: CallId,
        leg: LegId,
        seat: &SeatId,
        mode: Mode,
    ) -> Result<CommandReply, CommandError> {
        let Some(listener) = self.leg_mut(call, leg) else {
            return Err(unknown_call(call));
        };
        let up = listener.state.is_up();
        if listener.mode == mode {
            return Err(self.wrong_seat_state(seat, "it does that in this call already"));
        }
        listener.mode = mode;
        self.given(by, Some(call), mode_command(mode));
        if up {
            self.listener_acts(call, leg, seat, mode, false);
        }
        Ok(CommandReply::Leg { leg })
    }

    /// A supervisor's phone is up: his mode holds from now on, and who is heard has a track of his own.
    pub(super) fn listener_acts(
        &mut self,
        call: CallId,
        leg: LegId,
        seat: &SeatId,
        mode: Mode,
        first: bool,
    ) {
        if mode == Mode::TakeOver && self.check_mode(call, mode).is_ok() {
            return self.take_over(call, leg, seat);
        }
        let mode = if mode == Mode::TakeOver {
            Mode::Listen
        } else {
            mode
        };
        if let Some(listener) = self.leg_mut(call, leg) {
            listener.mode = mode;
        }
        if mode == Mode::Listen {
            self.end_track(call, leg);
        } else {
            self.track(call, leg);
        }
        self.refresh_matrix(call);
        let by = seat;
        let seat = seat.clone();
        let kind = if first {
            EventKind::MonitorStarted { seat, leg, mode }
        } else {
            EventKind::MonitorChanged { seat, leg, mode }
        };
        self.say(call, kind);
        self.assist_came(call, by);
    }

    /// He is silent again: what his phone sends is nobody's business any more.
    fn end_track(&mut self, call: CallId, leg: LegId) {
        let tracked = self
            .leg_mut(call, leg)
            .map(|l| std::mem::take(&mut l.tracked));
        if tracked == Some(true) {
            self.command_media(call, MediaCommand::Untrack { leg });
        }
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
                let mode = self.leg_mut(call, leg).map(|l| l.mode);
                self.listener_acts(call, leg, seat, mode.unwrap_or_default(), true);
            }
            LegFact::Failed { cause } => self.listener_ended(call, leg, seat, cause.is_failure()),
            LegFact::Ended { cause, by_far_side } => {
                self.listener_ended(call, leg, seat, cause.is_failure() || !by_far_side);
            }
            // Of a phone that dialled.
            LegFact::Confirmed => {}
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
            Some(Party::Caller | Party::Seat(_) | Party::Third { .. } | Party::Relief(_))
            | None => {
                self.misfit("flaw.timer_ring_answered_leg");
            }
        }
    }

    fn listener_gone(&mut self, call: CallId, leg: LegId, seat: &SeatId, removed: Option<Leg>) {
        self.assist_missed(call, seat);
        if removed.is_some_and(|l| l.state.is_up()) {
            let seat = seat.clone();
            self.say(call, EventKind::MonitorEnded { seat, leg });
        }
        self.queue_listening_ends(seat, leg);
    }
}

/// As the audit names it.
pub(super) const fn mode_command(mode: Mode) -> &'static str {
    match mode {
        Mode::Listen => "listen",
        Mode::Whisper => "whisper",
        Mode::Barge => "barge",
        Mode::TakeOver => "take_over",
    }
}
