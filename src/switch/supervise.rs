//! A supervisor takes part: what his modes ask of a call, and how he has it instead of its seat (强接).
//!
//! ```text
//! waiting call      --take over--> he has answered it, phones that ring for it are freed
//! talk with a seat  --take over--> his leg has the seat's part, the seat is in wrap-up; nobody else notices
//! seat gone while he barges        he is left with the caller: the same
//! ```

use super::{CommandError, EventKind, Switch};
use crate::call::{Call, Cause, Join, Mode, Offer, Party, Phase, SeatTone};
use crate::id::{CallId, LegId, SeatId};
use crate::time::Millis;

impl Switch {
    /// Whether a call is such that a supervisor may do that in it.
    pub(super) fn check_mode(&self, call: CallId, mode: Mode) -> Result<(), CommandError> {
        let phase = self.calls.get(&call).map(|open| &open.phase);
        match mode {
            Mode::Listen | Mode::Whisper => Ok(()),
            Mode::Barge => match phase {
                Some(Phase::Talking(talking)) if talking.seat.is_some() => Ok(()),
                Some(_) | None => Err(self.wrong_call_state(
                    call,
                    "a seat must be talking in it to speak beside it; take it over instead",
                )),
            },
            Mode::TakeOver => self.check_take_over(call, phase),
        }
    }

    fn check_take_over(&self, call: CallId, phase: Option<&Phase>) -> Result<(), CommandError> {
        match phase {
            Some(Phase::Unanswered(_)) => Ok(()),
            Some(Phase::Talking(talking)) => match (&talking.seat, &talking.join) {
                (Some((seat, _)), _) if self.is_supervisor(seat) => {
                    let hint = format!("supervisor {seat} has it already");
                    Err(self.wrong_call_state(call, &hint))
                }
                (None, Join::Guest { host }) => {
                    let hint = format!("it is joined to call {host}; take that one over");
                    Err(self.wrong_call_state(call, &hint))
                }
                (Some(_), _) | (None, Join::Apart | Join::Host { .. }) => Ok(()),
            },
            Some(Phase::InMenu(_)) => {
                let hint = "wait for the queue, its caller still chooses in a menu";
                Err(self.wrong_call_state(call, hint))
            }
            Some(Phase::Dialling(_)) => {
                Err(self.wrong_call_state(call, "its seat is still dialling"))
            }
            Some(Phase::Shelved(_)) => {
                Err(self.wrong_call_state(call, "take it back from the shelf"))
            }
            Some(Phase::Closing(_)) | None => Err(self.wrong_call_state(call, "it has ended")),
        }
    }

    pub(super) fn is_supervisor(&self, seat: &SeatId) -> bool {
        let policy = self.policy.seats.get(seat);
        policy.is_some_and(super::SeatPolicy::is_supervisor)
    }

    /// A listener's leg has the seat's part from now on.
    pub(super) fn take_over(&mut self, call: CallId, leg: LegId, seat: &SeatId) {
        let from = self
            .calls
            .get(&call)
            .and_then(Call::talking)
            .and_then(|talking| talking.seat.clone());
        if let Some(listener) = self.leg_mut(call, leg) {
            listener.party = Party::Seat(seat.clone());
            listener.mode = Mode::Listen;
        }
        self.queue_listening_ends(seat, leg);
        self.say(
            call,
            EventKind::TookOver {
                seat: seat.clone(),
                leg,
                from: from.as_ref().map(|(seat, _)| seat.clone()),
            },
        );
        let waits = self
            .call_mut(call)
            .and_then(|open| open.unanswered_mut())
            .map(|unanswered| {
                unanswered.offers.push(Offer {
                    seat: seat.clone(),
                    leg,
                    alive: true,
                    rang: true,
                    sole: false,
                });
            });
        if waits.is_some() {
            self.seat_answered(call, leg, seat);
            // His line has been heard before.
            return self.release_losers(call);
        }
        let was_transferred = self.cut_transfer(call);
        self.replace_seat(call, leg, seat);
        if let Some((from, leg)) = from {
            self.release(call, leg, Cause::Withdrawn);
            self.say_seat_released(call, leg, &from, Cause::Withdrawn);
            self.seat_hung_up(&from);
        }
        self.refresh_audio(call);
        if was_transferred {
            // The caller may have left two seats that spoke of him.
            self.end_unless_two_talk(call);
        }
    }

    fn replace_seat(&mut self, call: CallId, leg: LegId, seat: &SeatId) {
        self.track(call, leg);
        self.seat_step(
            seat,
            "flaw.supervisor_took_over_unheard",
            crate::acd::Duty::picked_up,
        );
        self.end_hold(call, "taken_over");
        self.handled_by(call, seat);
        if let Some(talking) = self.call_mut(call).and_then(Call::talking_mut) {
            talking.seat = Some((seat.clone(), leg));
            talking.tone = SeatTone::Quiet;
        }
        self.caller_answered(call, seat);
        self.say(
            call,
            EventKind::SeatAnswered {
                seat: seat.clone(),
                leg,
            },
        );
        // While no seat was in it, nobody could be told.
        self.handling_runs(call, Millis(1));
    }

    /// The seat has left its talk while a supervisor spoke in it: he has the call now.
    pub(super) fn barger_stays(&mut self, call: CallId) -> bool {
        let barger = self.calls.get(&call).and_then(|open| {
            open.caller_leg?;
            open.legs.iter().find_map(|(id, leg)| match &leg.party {
                Party::Listener(seat) if leg.mode == Mode::Barge && leg.state.is_up() => {
                    Some((*id, seat.clone()))
                }
                Party::Listener(_)
                | Party::Caller
                | Party::Seat(_)
                | Party::Third { .. }
                | Party::Relief(_) => None,
            })
        });
        let Some((leg, seat)) = barger else {
            return false;
        };
        self.take_over(call, leg, &seat);
        true
    }
}
