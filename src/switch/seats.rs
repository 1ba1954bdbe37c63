//! Seats: their phones come and go, their duty changes, and every change is said once. WS/T 451-2014 7.2.1.2-e, -h.

use super::timers::TimerKey;
use super::{Actor, AlarmCode, CommandError, CommandReply, EventKind, Policy, Switch};
use crate::acd::seat::Step;
use crate::acd::{Duty, Seat};
use crate::id::{CallId, LegId, PhoneId, SeatId};
use crate::limits::COMMAND_TEXT_BYTES_MAX;

impl Switch {
    /// One step of a seat's duty. A step that does not fit changes nothing and is counted under `misfit`.
    pub(super) fn seat_step(
        &mut self,
        seat: &SeatId,
        misfit: &'static str,
        step: impl FnOnce(Duty) -> Step,
    ) -> bool {
        let fits = self.try_seat_step(seat, step);
        if !fits {
            self.misfit(misfit);
        }
        fits
    }

    /// One step of a seat's duty, where not fitting is an answer.
    pub(super) fn try_seat_step(&mut self, id: &SeatId, step: impl FnOnce(Duty) -> Step) -> bool {
        let now = self.now;
        let Some(seat) = self.seats.get_mut(id) else {
            return false;
        };
        let before = seat.duty.clone();
        match step(std::mem::replace(&mut seat.duty, Duty::SignedOut)) {
            Ok(after) => {
                if after == Duty::SignedOut {
                    seat.answered = 0;
                }
                seat.duty = after;
            }
            Err(same) => {
                seat.duty = same;
                return false;
            }
        }
        let duty = seat.duty.clone();
        if (before.name(), before.reason()) != (duty.name(), duty.reason()) {
            seat.since = now;
            self.note(EventKind::SeatStateChanged {
                seat: id.clone(),
                state: duty.name().to_owned(),
                reason: duty.reason().map(str::to_owned),
            });
        }
        if duty == Duty::SignedOut && before != Duty::SignedOut {
            self.left_desk(id);
        }
        self.after_duty(id, &duty);
        true
    }

    /// What a duty carries with it: the wrap-up timer, the alarm of a dead phone, and leaving when unconfigured.
    fn after_duty(&mut self, id: &SeatId, duty: &Duty) {
        let timer = TimerKey::WrapUp(id.clone());
        if let Duty::WrapUp { until, .. } = duty {
            self.timers.arm(timer, *until);
        } else {
            self.timers.disarm(&timer);
        }
        self.settle_seat_alarm(id);
        if matches!(duty, Duty::SignedOut | Duty::Unreachable { .. }) {
            self.hand_over_shelf(id);
        }
        if duty.engaged().is_none() && !self.policy.seats.contains_key(id) {
            self.retire_seat(id);
        }
    }

    fn settle_seat_alarm(&mut self, id: &SeatId) {
        if self.seats.get(id).is_some_and(Seat::out_of_order) {
            let detail = format!(
                "the phone of seat {id} does not answer; check its power, its network cable and its registration"
            );
            self.raise_alarm(AlarmCode::SeatUnreachable, id.as_str(), &detail);
        } else {
            self.clear_alarm(AlarmCode::SeatUnreachable, id.as_str());
        }
    }

    fn retire_seat(&mut self, id: &SeatId) {
        self.timers.disarm(&TimerKey::WrapUp(id.clone()));
        self.timers.disarm(&TimerKey::Registration(id.clone()));
        self.phones.remove(&PhoneId(id.0.clone()));
        self.wrong_pins.remove(id);
        self.clear_alarm(AlarmCode::SeatUnreachable, id.as_str());
        self.hand_over_shelf(id);
        self.seats.remove(id);
    }

    /// Configured seats appear signed out; others leave once they are in no call.
    pub(super) fn adopt_seats(&mut self, policy: &Policy) {
        for id in policy.seats.keys() {
            let now = self.now;
            self.seats
                .entry(id.clone())
                .or_insert_with(|| Seat::new(now));
        }
        let leaving: Vec<_> = self
            .seats
            .iter()
            .filter(|(id, seat)| !policy.seats.contains_key(*id) && seat.duty.engaged().is_none())
            .map(|(id, _)| id.clone())
            .collect();
        for id in leaving {
            self.retire_seat(&id);
        }
    }

    /// Its phone gave a sign of life.
    pub(super) fn phone_proven(&mut self, id: &SeatId) {
        if let Some(seat) = self.seats.get_mut(id) {
            seat.proven = true;
        }
    }

    /// `known`: it was registered before, so a seat that signed out stays out.
    pub(super) fn phone_came(&mut self, id: &SeatId, known: bool) {
        self.phone_proven(id);
        let out = self
            .seats
            .get(id)
            .is_some_and(|s| s.duty == Duty::SignedOut);
        if known && out {
            return;
        }
        let ready = self
            .policy
            .seats
            .get(id)
            .is_some_and(|s| s.ready_on_register);
        let now = self.now;
        self.try_seat_step(id, |duty| duty.phone_came(ready, now));
        self.settle_seat_alarm(id);
    }

    pub(super) fn phone_left(&mut self, id: &SeatId) {
        let Some(seat) = self.seats.get_mut(id) else {
            return;
        };
        seat.binding = None;
        self.withdraw_offer_of(id);
        // A seat in a call keeps it: its dialog does not hang on the registration.
        self.try_seat_step(id, Duty::phone_left);
        self.settle_seat_alarm(id);
    }

    pub(super) fn phone_died(&mut self, id: &SeatId) {
        let in_call = self.seats.get(id).is_some_and(|s| s.duty.is_on_line());
        if in_call {
            // The dialog's own probes decide whether the call is lost.
            return self.misfit("seat.unreachable_in_call");
        }
        self.withdraw_offer_of(id);
        let now = self.now;
        self.seat_step(id, "seat.unreachable_twice", |duty| duty.phone_died(now));
    }

    pub(super) fn withdraw_offer_of(&mut self, id: &SeatId) {
        if let Some((call, leg)) = self.offered_to(id) {
            self.withdraw_offer(call, leg, id);
        }
    }

    /// The call and leg that a seat's phone is being rung for.
    pub(super) fn offered_to(&self, id: &SeatId) -> Option<(CallId, LegId)> {
        match &self.seats.get(id)?.duty {
            Duty::Reserved { call, leg, .. } | Duty::Ringing { call, leg, .. } => {
                Some((*call, *leg))
            }
            Duty::SignedOut
            | Duty::NotReady { .. }
            | Duty::Ready { .. }
            | Duty::Talking { .. }
            | Duty::WrapUp { .. }
            | Duty::Listening { .. }
            | Duty::Dialling { .. }
            | Duty::Unreachable { .. } => None,
        }
    }

    /// A seat's call is over.
    pub(super) fn seat_hung_up(&mut self, id: &SeatId) {
        let until = self.now + self.policy.timers.wrap_up;
        self.seat_step(id, "flaw.seat_hung_up_twice", |duty| duty.hung_up(until));
        self.doubt_phone(id);
    }

    /// A seat's listening or its own call is over.
    pub(super) fn seat_returned(&mut self, id: &SeatId) {
        self.seat_step(id, "flaw.seat_returned_twice", Duty::returned);
        self.doubt_phone(id);
    }

    /// A phone that lost its registration during a call is taken for dead after it.
    fn doubt_phone(&mut self, id: &SeatId) {
        let now = self.now;
        let lost = |s: &Seat| s.binding.is_none() && s.duty != Duty::SignedOut;
        if self.seats.get(id).is_some_and(lost) {
            self.seat_step(id, "flaw.seat_dead_twice", |duty| duty.phone_died(now));
        }
    }

    pub(super) fn wrap_up_over(&mut self, id: &SeatId) {
        let now = self.now;
        self.seat_step(id, "flaw.timer_wrap_up_over_twice", |duty| duty.ready(now));
    }

    /// `SeatReady`.
    pub(super) fn seat_ready(
        &mut self,
        by: &Actor,
        seat: &SeatId,
    ) -> Result<CommandReply, CommandError> {
        self.check_own_seat(by, seat)?;
        let now = self.now;
        let registered = self.seats.get(seat).is_some_and(|s| s.binding.is_some());
        let step = |duty: Duty| {
            if registered {
                duty.signed_in(now)
            } else {
                duty.ready(now)
            }
        };
        if !self.can_step(seat, step) {
            return Err(self.wrong_seat_state(seat, "register its phone, or answer what rings"));
        }
        self.given(by, None, "seat_ready");
        self.try_seat_step(seat, step);
        Ok(CommandReply::Done)
    }

    /// `SeatNotReady`.
    pub(super) fn seat_not_ready(
        &mut self,
        by: &Actor,
        seat: &SeatId,
        reason: &str,
    ) -> Result<CommandReply, CommandError> {
        self.check_own_seat(by, seat)?;
        if reason.trim().is_empty() || reason.len() > COMMAND_TEXT_BYTES_MAX {
            return Err(CommandError::BadField {
                field: String::from("reason"),
                reason: String::from("say why, in at most 512 bytes"),
            });
        }
        if !self.can_step(seat, |duty| duty.not_ready(reason)) {
            return Err(self.wrong_seat_state(seat, "register its phone, or answer what rings"));
        }
        self.given(by, None, "seat_not_ready");
        self.try_seat_step(seat, |duty| duty.not_ready(reason));
        Ok(CommandReply::Done)
    }

    /// `SignOut`: a running call is waited for.
    pub(super) fn sign_out(
        &mut self,
        by: &Actor,
        seat: &SeatId,
    ) -> Result<CommandReply, CommandError> {
        self.check_own_seat(by, seat)?;
        if !self.can_step(seat, Duty::signed_out) {
            return Err(self.wrong_seat_state(
                seat,
                "it is out already, leaves after its call, or must end what it does first",
            ));
        }
        self.given(by, None, "sign_out");
        self.try_seat_step(seat, Duty::signed_out);
        Ok(CommandReply::Done)
    }

    fn can_step(&self, seat: &SeatId, step: impl FnOnce(Duty) -> Step) -> bool {
        self.seats
            .get(seat)
            .is_some_and(|s| step(s.duty.clone()).is_ok())
    }
}
