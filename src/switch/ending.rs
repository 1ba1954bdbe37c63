//! How legs and calls end. A leg told to end is out of its call at once and must report its end in time; a call is
//! kept until its recording is sealed, then remembered by its id only.

use serde::{Deserialize, Serialize};

use super::timers::TimerKey;
use super::{AlarmCode, CallEnd, EventKind, MediaCommand, Outcome, RecordingEvent, Switch};
use crate::acd::Duty;
use crate::call::{
    Arrival, Call, Capture, Cause, Closing, DialogState, Ingress, Leg, LegCommand, LegEvent, Party,
    Phase,
};
use crate::id::{CallId, LegId, RecordingId, SeatId};
use crate::limits::PAST_CALLS_MAX;
use crate::time::Millis;

/// A recorder that never speaks again does not keep a call open for longer.
const SETTLE_SPAN: Millis = Millis::from_secs(60);

/// A leg that was told to end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct EndingLeg {
    pub(super) call: CallId,
    pub(super) party: Party,
    pub(super) cause: Cause,
    pub(super) dialog: Option<DialogState>,
}

impl Switch {
    /// Takes a leg that is already over out of its call.
    pub(super) fn forget_leg(&mut self, call: CallId, leg: LegId) -> Option<Leg> {
        self.disarm_leg(leg);
        self.legs.remove(&leg);
        let removed = self.call_mut(call)?.legs.remove(&leg)?;
        self.colleague_left(&removed);
        self.outside_free(call, &removed);
        Some(removed)
    }

    /// Tells a leg to end and takes it out of its call.
    pub(super) fn release(&mut self, call: CallId, leg: LegId, cause: Cause) -> Option<Leg> {
        let removed = self.forget_leg(call, leg)?;
        let party = removed.party.clone();
        let dialog = removed.dialog.clone();
        self.release_dialog(leg, call, party, cause, dialog);
        Some(removed)
    }

    /// An INVITE that gets no call of its own.
    pub(super) fn release_stray(&mut self, arrival: &Arrival, cause: Cause) {
        let dialog = Some(arrival.dialog.clone());
        self.release_dialog(arrival.leg, arrival.call, Party::Caller, cause, dialog);
    }

    pub(super) fn release_dialog(
        &mut self,
        leg: LegId,
        call: CallId,
        party: Party,
        cause: Cause,
        dialog: Option<DialogState>,
    ) {
        let ending = EndingLeg {
            call,
            party,
            cause,
            dialog,
        };
        self.ending.insert(leg, ending);
        self.command_leg(leg, LegCommand::Release { cause });
        let span = self.policy.timers.release_guard;
        self.arm(TimerKey::ReleaseGuard(leg), span);
    }

    pub(super) fn ending_leg_event(&mut self, leg: LegId, event: &LegEvent) {
        let Some(ending) = self.ending.get_mut(&leg) else {
            return;
        };
        match event {
            // Its answer crossed our release: end the answered dialog too.
            LegEvent::Answered => {
                let cause = ending.cause;
                self.command_leg(leg, LegCommand::Release { cause });
            }
            LegEvent::Failed { .. } | LegEvent::Ended { .. } => {
                self.ending.remove(&leg);
                self.timers.disarm(&TimerKey::ReleaseGuard(leg));
                self.code_over(leg);
            }
            LegEvent::Dialog { state } => ending.dialog = Some(state.clone()),
            LegEvent::Progress { .. }
            | LegEvent::Confirmed
            | LegEvent::FarHold { .. }
            | LegEvent::Digit { .. } => self.misfit("leg.event_while_ending"),
        }
    }

    /// A released leg never reported its end.
    pub(super) fn drop_ending_leg(&mut self, leg: LegId) {
        let Some(ending) = self.ending.remove(&leg) else {
            return self.misfit("flaw.timer_release_guard_unknown");
        };
        let party = ending.party.to_string();
        let kind = EventKind::LegDropped { leg, party };
        if self.calls.contains_key(&ending.call) || self.past.contains_key(&ending.call) {
            self.say(ending.call, kind);
        } else {
            self.note(kind);
        }
    }

    /// Ends a call: every leg still there is released, one final outcome is said, the recording is closed.
    pub(super) fn end_call(&mut self, call: CallId, outcome: Outcome, cause: Cause, by: &str) {
        if self.calls.get(&call).is_none_or(|c| c.is_closing()) {
            return self.misfit("flaw.call_ended_twice");
        }
        self.drop_transfer(call, "ended");
        self.disarm_shelf(call);
        let host = self.part(call);
        self.part_guests(call);
        self.dismiss_parties(call, cause);
        self.left_menu(call, "ended", None);
        self.leave_queue(
            call,
            match outcome {
                Outcome::Answered => "ended",
                Outcome::Abandoned => "abandoned",
                Outcome::Lost => "lost",
                Outcome::RefusedCapacity => "refused_capacity",
                Outcome::NotReached => "not_reached",
            },
        );
        self.disarm_waiting(call);
        self.timers.disarm(&TimerKey::CalleeTold(call));
        self.handling_over(call);
        self.caller_served(call);
        self.remember_for_crews(call);
        self.return_dialling_seat(call);
        match outcome {
            Outcome::Answered | Outcome::NotReached => {}
            Outcome::Abandoned => self.totals.abandoned += 1,
            Outcome::Lost => self.totals.lost += 1,
            Outcome::RefusedCapacity => self.totals.refused += 1,
        }
        self.screen_end(call, outcome);
        self.call_back_over(call, cause);
        self.say(
            call,
            EventKind::CallEnded {
                outcome,
                cause,
                by: by.to_owned(),
            },
        );
        let (at, by) = (self.now, by.to_owned());
        let end = CallEnd {
            at,
            outcome,
            cause,
            by: by.clone(),
        };
        self.ends.insert(call, end);
        self.close(call, outcome, cause);
        if let Some(host) = host {
            self.end_if_alone(host, cause, &by);
        }
    }

    fn close(&mut self, call: CallId, outcome: Outcome, cause: Cause) {
        let at = self.now;
        self.forget_hold(call);
        let Some(open) = self.call_mut(call) else {
            return;
        };
        open.phase = Phase::Closing(Closing { cause, at });
        open.caller_leg = None;
        let is_recorded = open.capture != Capture::None;
        if outcome != Outcome::RefusedCapacity {
            self.command_media(call, MediaCommand::Close);
        }
        if is_recorded {
            self.arm(TimerKey::Settle(call), SETTLE_SPAN);
        } else {
            self.settle(call);
        }
    }

    /// Releases every leg that is left, each with its own last word.
    fn dismiss_parties(&mut self, call: CallId, cause: Cause) {
        self.release_losers(call);
        let Some(open) = self.calls.get(&call) else {
            return;
        };
        let (talking, made) = (open.talking().is_some(), open.outbound.is_some());
        let legs: Vec<_> = open
            .legs
            .iter()
            .map(|(id, leg)| (*id, leg.clone()))
            .collect();
        for (leg, state) in legs {
            match &state.party {
                Party::Caller => {
                    self.release(call, leg, cause);
                }
                Party::Seat(seat) if talking && state.state.is_up() => {
                    self.release(call, leg, cause);
                    self.say_seat_released(call, leg, seat, cause);
                    self.seat_hung_up(seat);
                }
                Party::Seat(seat) if made => {
                    self.release(call, leg, cause);
                    self.say_seat_released(call, leg, seat, cause);
                }
                Party::Seat(seat) => {
                    self.free_offered_seat(call, leg, seat, Cause::Withdrawn);
                }
                Party::Third { .. } => self.dismiss_third(call, leg, &state, cause),
                Party::Relief(_) => self.withdraw_relief(call),
                Party::Listener(seat) => {
                    if !self.goes_home(call, leg, seat) {
                        self.dismiss_listener(call, leg, seat);
                    }
                }
            }
        }
    }

    /// The call that a seat is being rung for needs it no more: what it was before, with its old idle time.
    pub(super) fn free_offered_seat(
        &mut self,
        call: CallId,
        leg: LegId,
        seat: &SeatId,
        cause: Cause,
    ) {
        self.release(call, leg, cause);
        self.say_seat_released(call, leg, seat, cause);
        let now = self.now;
        self.seat_step(seat, "flaw.seat_freed_unoffered", |duty: Duty| {
            duty.freed(now)
        });
    }

    pub(super) fn say_seat_released(
        &mut self,
        call: CallId,
        leg: LegId,
        seat: &SeatId,
        cause: Cause,
    ) {
        let seat = seat.clone();
        self.say(call, EventKind::SeatReleased { seat, leg, cause });
    }

    pub(super) fn dismiss_third(&mut self, call: CallId, leg: LegId, state: &Leg, cause: Cause) {
        let role = state
            .hunt
            .as_ref()
            .map_or_else(String::new, |hunt| hunt.role.clone());
        if state.state.is_up() {
            self.release(call, leg, cause);
            self.say(call, EventKind::PartyLeft { leg, role, cause });
        } else {
            let cause = Cause::Withdrawn;
            self.release(call, leg, cause);
            let number = state.number.clone().unwrap_or_default();
            self.say(
                call,
                EventKind::PartyFailed {
                    leg,
                    role,
                    number,
                    cause,
                },
            );
        }
    }

    fn return_dialling_seat(&mut self, call: CallId) {
        let Some(Ingress::Seat(seat)) = self.calls.get(&call).map(|c| c.ingress.clone()) else {
            return;
        };
        let dials = self.seats.get(&seat).is_some_and(|s| match &s.duty {
            Duty::Dialling { call: own, .. } => *own == call,
            Duty::SignedOut
            | Duty::NotReady { .. }
            | Duty::Ready { .. }
            | Duty::Reserved { .. }
            | Duty::Ringing { .. }
            | Duty::Talking { .. }
            | Duty::WrapUp { .. }
            | Duty::Listening { .. }
            | Duty::Unreachable { .. } => false,
        });
        if dials {
            self.seat_returned(&seat);
        }
    }

    pub(super) fn recording_event(&mut self, call: CallId, event: &RecordingEvent) {
        let recording = event.recording();
        let capture = self.calls.get_mut(&call).map(|c| *c.capture_mut(recording));
        if capture.is_none() && !self.past.contains_key(&call) {
            self.misfit("recording.unknown_call");
            if let RecordingEvent::Sealed(sealed) = event {
                // Of a journal that is lost: what the recorder still has of it may go now.
                let sealed = sealed.clone();
                self.note(EventKind::RecordingSealed { sealed });
            }
            return;
        }
        self.self_test_recording(call, event);
        match event {
            RecordingEvent::Started { .. } => {
                if capture == Some(Capture::Asked) {
                    self.set_capture(call, recording, Capture::Started);
                    self.say(call, EventKind::RecordingStarted { recording });
                } else {
                    self.misfit("recording.started_twice");
                }
            }
            RecordingEvent::Sealed(sealed) => {
                if capture == Some(Capture::Sealed) {
                    return self.misfit("recording.sealed_twice");
                }
                self.set_capture(call, recording, Capture::Sealed);
                let sealed = sealed.clone();
                self.say(call, EventKind::RecordingSealed { sealed });
                self.settle_closing(call);
            }
            RecordingEvent::Failed { detail, .. } => {
                self.set_capture(call, recording, Capture::Failed);
                if capture.is_some() {
                    self.raise_alarm(AlarmCode::RecordingFailed, &call.to_string(), detail);
                }
                let detail = detail.clone();
                self.say(call, EventKind::RecordingFailed { recording, detail });
                self.settle_closing(call);
            }
        }
    }

    fn set_capture(&mut self, call: CallId, recording: RecordingId, capture: Capture) {
        let settled = self.restarted.get_mut(&call);
        if let Some(known) = self.calls.get_mut(&call).or(settled) {
            *known.capture_mut(recording) = capture;
        }
    }

    fn settle_closing(&mut self, call: CallId) {
        let awaited = |c: &Call| c.recordings().any(|(_, capture)| capture.is_open());
        let known = self.calls.get(&call);
        if known.is_some_and(|c| c.is_closing() && !awaited(c)) {
            self.settle(call);
        }
    }

    /// Nothing more will change by itself: the call leaves the state, its id stays for late reports.
    pub(super) fn settle(&mut self, call: CallId) {
        self.timers.disarm(&TimerKey::Settle(call));
        if !self.calls.contains_key(&call) {
            return self.misfit("flaw.settle_unknown_call");
        }
        self.say(call, EventKind::CallSettled {});
        let subject = call.to_string();
        self.clear_alarm(AlarmCode::RecordingFailed, &subject);
        self.clear_alarm(AlarmCode::SwitchInputSkipped, &subject);
        let Some(closed) = self.calls.remove(&call) else {
            return;
        };
        self.past.insert(call, closed.callseq);
        self.past_order.push_back(call);
        self.sheets.settled(call);
        if closed.cut_by_restart() && self.call_of_invite(&closed.invite_key) == Some(call) {
            self.restarted.insert(call, closed);
        }
        while self.past_order.len() > PAST_CALLS_MAX {
            if let Some(oldest) = self.past_order.pop_front() {
                self.past.remove(&oldest);
                self.sheets.forget(oldest);
                self.ends.remove(&oldest);
                self.crews.forget(oldest);
            }
        }
    }
}
