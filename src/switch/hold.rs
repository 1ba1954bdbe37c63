//! Hold (保持): the caller hears music and nobody, nobody hears him; third parties and the seat go on. By command and
//! by the seat's own phone it is one state.
//!
//! ```text
//! talk --Hold | re-INVITE--> on hold --Resume | the phone takes it back | others join him--> talk
//!                               |-- each minute: alert, alarm, a short tone in the seat's ear
//!                               |-- the seat hangs up, or its line is lost: the queue's head, never an end
//!                               `-- the seat leaves him to a third party: they talk
//! ```

use super::party::unknown_call;
use super::talk::HUSH;
use super::timers::TimerKey;
use super::{Actor, AlarmCode, CommandError, CommandReply, EventKind, Sound, Switch};
use crate::call::{Call, Hold, HoldBy, Join, LegState, SeatTone};
use crate::id::{CallId, SeatId};

impl Switch {
    /// `Hold`.
    pub(super) fn hold(&mut self, by: &Actor, call: CallId) -> Result<CommandReply, CommandError> {
        self.check_handles(by, call)?;
        let open = self.calls.get(&call).ok_or_else(|| unknown_call(call))?;
        let hint = match open.hold() {
            _ if open.talking().is_none() => Some("only a talking call is held"),
            Some(Hold {
                by: HoldBy::Command,
                ..
            }) => Some("its caller is on hold already"),
            Some(_) | None if open.caller_leg.is_none() => Some("its caller has left"),
            Some(_) | None if self.talking_seat(call).is_none() => {
                Some("no seat talks in it any more")
            }
            Some(_) | None => None,
        };
        if let Some(hint) = hint {
            return Err(self.wrong_call_state(call, hint));
        }
        self.given(by, Some(call), "hold");
        self.begin_hold(call, HoldBy::Command, Some(by.clone()));
        self.refresh_tones(call);
        Ok(CommandReply::Done)
    }

    /// `Resume`.
    pub(super) fn resume(
        &mut self,
        by: &Actor,
        call: CallId,
    ) -> Result<CommandReply, CommandError> {
        self.check_handles(by, call)?;
        let hint = match self.calls.get(&call).and_then(Call::hold).map(|h| h.by) {
            Some(HoldBy::Command) => None,
            Some(HoldBy::Phone) => Some("the seat's phone holds it; take it back there"),
            None => Some("its caller is not on hold"),
        };
        if let Some(hint) = hint {
            return Err(self.wrong_call_state(call, hint));
        }
        self.given(by, Some(call), "resume");
        self.end_hold(call, "command");
        self.refresh_tones(call);
        Ok(CommandReply::Done)
    }

    /// The seat that talks in the call's conversation: its own, or its host's.
    pub(super) fn talking_seat(&self, call: CallId) -> Option<SeatId> {
        let own = |call: &CallId| self.calls.get(call)?.talking()?.seat.clone();
        let (seat, _) = own(&call).or_else(|| own(&self.host_of(call)))?;
        Some(seat)
    }

    /// One that the phone began is the command's from now on.
    pub(super) fn begin_hold(&mut self, call: CallId, by: HoldBy, actor: Option<Actor>) {
        let seat = self.talking_seat(call);
        let now = self.now;
        let Some(talking) = self.call_mut(call).and_then(Call::talking_mut) else {
            return self.misfit("flaw.hold_not_talking");
        };
        if let Some(hold) = &mut talking.hold {
            hold.by = by;
            return;
        }
        talking.hold = Some(Hold {
            since: now,
            by,
            reminded: false,
        });
        self.play_to_caller(call, vec![Sound::Music], true);
        self.refresh_matrix(call);
        self.say(
            call,
            EventKind::CallHeld {
                seat,
                how: by,
                by: actor,
            },
        );
        let span = self.policy.timers.hold_reminder;
        self.arm(TimerKey::HoldReminder(call), span);
    }

    /// The caller talks again, or waits: `why` is `command`, `phone`, `joined`, `taken_over`, `seat_left`, `queue`.
    pub(super) fn end_hold(&mut self, call: CallId, why: &str) {
        let Some(hold) = self.forget_hold(call) else {
            return;
        };
        self.stop_caller(call);
        self.refresh_matrix(call);
        let held_ms = self.now.millis_since(hold.since);
        let why = why.to_owned();
        self.say(call, EventKind::CallResumed { held_ms, why });
    }

    /// The caller has left, or the call ends.
    pub(super) fn forget_hold(&mut self, call: CallId) -> Option<Hold> {
        let hold = self.call_mut(call)?.talking_mut()?.hold.take()?;
        self.timers.disarm(&TimerKey::HoldReminder(call));
        self.clear_alarm(AlarmCode::HoldForgotten, &call.to_string());
        Some(hold)
    }

    /// The seat's phone holds the call or takes it back; others who talk with the caller take him off its hold.
    pub(super) fn refresh_hold(&mut self, call: CallId) {
        let Some(open) = self.calls.get(&call) else {
            return;
        };
        let Some(talking) = open.talking() else {
            return;
        };
        let phone = talking.seat.as_ref().is_some_and(|(_, leg)| {
            let leg = open.legs.get(leg).map(|l| l.state);
            leg == Some(LegState::Up { held: true })
        });
        let alone = open.talkers() <= 2 && talking.join == Join::Apart;
        let caller = open.caller_leg.is_some();
        match talking.hold.map(|hold| hold.by) {
            None if phone && alone && caller => self.begin_hold(call, HoldBy::Phone, None),
            Some(HoldBy::Phone) if !phone => self.end_hold(call, "phone"),
            Some(HoldBy::Phone) if !alone => self.end_hold(call, "joined"),
            None | Some(HoldBy::Phone | HoldBy::Command) => {}
        }
    }

    /// A caller on hold whose seat has gone, and who has nobody else to talk to.
    pub(super) fn is_left_on_hold(&self, call: CallId) -> bool {
        self.calls.get(&call).is_some_and(|open| {
            open.hold().is_some() && open.caller_leg.is_some() && !open.third_is_up()
        })
    }

    /// The hold has lasted another minute.
    pub(super) fn hold_exceeded(&mut self, call: CallId) {
        let now = self.now;
        let Some(talking) = self.call_mut(call).and_then(Call::talking_mut) else {
            return self.misfit("flaw.timer_hold_not_talking");
        };
        let (tone, seat) = (talking.tone, talking.seat.clone());
        let Some(hold) = &mut talking.hold else {
            return self.misfit("flaw.timer_hold_not_held");
        };
        hold.reminded = true;
        let held_ms = now.millis_since(hold.since);
        let seat_id = self.talking_seat(call);
        let detail = format!(
            "a caller has been on hold for {} s; take him back, or give him to somebody",
            held_ms / 1000
        );
        self.raise_alarm(AlarmCode::HoldForgotten, &call.to_string(), &detail);
        self.say(
            call,
            EventKind::HoldExceeded {
                seat: seat_id,
                held_ms,
            },
        );
        match (tone, seat) {
            (SeatTone::Hush, Some((_, leg))) => {
                self.play_to(call, leg, vec![Sound::Entry, HUSH], true);
            }
            (SeatTone::Quiet, Some((_, leg))) => {
                self.play_to(call, leg, vec![Sound::Entry], false);
            }
            // It hears something of a third party already.
            (SeatTone::RingBack | SeatTone::Once { .. }, _) | (_, None) => {}
        }
        let span = self.policy.timers.hold_reminder;
        self.arm(TimerKey::HoldReminder(call), span);
    }
}
