//! A call while people talk: the caller's own leg, a seat that hangs up or is lost, who hears whom.
//!
//! ```text
//! caller's BYE        the others go on while there are two, else the call ends
//! seat's BYE          the others go on while there are two, else the call ends; a caller on hold goes to the queue's head
//! seat's line lost    the caller goes back to the queue's head and hears why; never an end
//! ```

use super::timers::TimerKey;
use super::{EventKind, MediaCommand, Outcome, Sound, Switch};
use crate::acd::Duty;
use crate::call::{
    Call, Cause, Hearing, Join, Leg, LegFact, LegState, Mode, Party, Phase, SeatTone, Talking,
};
use crate::conference::{self, Voice};
use crate::id::{CallId, LegId, SeatId};
use crate::matrix::Matrix;

/// Nothing to hear, in packets.
pub(super) const HUSH: Sound = Sound::Silence(1000);

impl Switch {
    /// A fact of the caller's leg.
    pub(super) fn caller_fact(&mut self, call: CallId, leg: LegId, fact: LegFact) {
        match fact {
            LegFact::Confirmed => self.greet(call),
            LegFact::Ended { cause, by_far_side } => {
                self.caller_left(call, leg, cause, by_far_side)
            }
            LegFact::Failed { cause } => self.caller_left(call, leg, cause, false),
            LegFact::Held { .. } => {}
            LegFact::Trying | LegFact::Progressed { .. } | LegFact::Answered => {
                self.misfit("caller.outbound_event");
            }
            LegFact::Digit { .. } | LegFact::Noted | LegFact::Misfit { .. } => {}
        }
    }

    fn caller_left(&mut self, call: CallId, leg: LegId, cause: Cause, by_far_side: bool) {
        self.forget_leg(call, leg);
        let lost = cause.is_failure() || !by_far_side;
        self.forget_hold(call);
        let Some(open) = self.call_mut(call) else {
            return;
        };
        open.caller_leg = None;
        if lost {
            open.caller_lost = Some(cause);
        }
        let by = if lost { "network" } else { "caller" };
        match &open.phase {
            Phase::Unanswered(_) if open.answered_at.is_some() => {
                let stay = open.talkers() >= 2;
                self.call_back_due(call, if lost { "lost" } else { "interrupted" });
                if stay {
                    self.people_stay(call);
                    self.say_caller_left(call, leg, cause);
                } else {
                    self.end_answered(call, cause, by);
                }
            }
            Phase::InMenu(_) | Phase::Unanswered(_) if lost => {
                self.call_back_due(call, "lost");
                self.end_call(call, Outcome::Lost, cause, by);
            }
            Phase::InMenu(_) | Phase::Unanswered(_) => self.abandoned(call, cause),
            Phase::Talking(_) => {
                let soon = self.left_too_soon(call);
                if lost {
                    self.call_back_due(call, "lost");
                } else if let Some(reason) = soon {
                    self.call_back_due(call, reason);
                }
                if self.goes_on(call) {
                    self.say_caller_left(call, leg, cause);
                } else {
                    self.end_answered(call, cause, by);
                }
            }
            Phase::Shelved(_) => {
                self.disarm_shelf(call);
                self.call_back_due(call, if lost { "lost" } else { "shelved" });
                self.end_answered(call, cause, by);
            }
            Phase::Dialling(_) | Phase::Closing(_) => self.misfit("flaw.caller_left_closing"),
        }
    }

    fn say_caller_left(&mut self, call: CallId, leg: LegId, cause: Cause) {
        let role = String::from("caller");
        self.say(call, EventKind::PartyLeft { leg, role, cause });
        self.refresh_audio(call);
    }

    /// A requeued caller left two third parties behind: they go on, and no seat is needed any more.
    fn people_stay(&mut self, call: CallId) {
        let Some(unanswered) = self.call_mut(call).and_then(|c| c.unanswered_mut()) else {
            return;
        };
        for offer in std::mem::take(&mut unanswered.offers) {
            self.free_offered_seat(call, offer.leg, &offer.seat, Cause::Withdrawn);
        }
        self.leave_queue(call, "ended");
        self.disarm_waiting(call);
        if let Some(open) = self.call_mut(call) {
            open.phase = Phase::Talking(Talking::without_seat());
        }
    }

    fn abandoned(&mut self, call: CallId, cause: Cause) {
        let Some(open) = self.calls.get(&call) else {
            return;
        };
        let waited_ms = self.now.millis_since(open.received_at);
        let stage = match open.unanswered() {
            Some(unanswered) if !unanswered.offers.is_empty() => "ringing",
            Some(unanswered) => match unanswered.hearing {
                Hearing::Nothing => "arriving",
                Hearing::Prompt {
                    prompt: crate::call::Announcement::Greeting,
                    ..
                } => "greeting",
                Hearing::Prompt { .. }
                | Hearing::Between
                | Hearing::RingBack
                | Hearing::Music
                | Hearing::People => "waiting",
            },
            None => "menu",
        };
        let stage = stage.to_owned();
        self.say(call, EventKind::CallAbandoned { stage, waited_ms });
        self.call_back_due(call, "abandoned");
        self.end_call(call, Outcome::Abandoned, cause, "caller");
    }

    /// The end of a call that a seat had answered, or had made. A caller whom the carrier lost stays lost.
    pub(super) fn end_answered(&mut self, call: CallId, cause: Cause, by: &str) {
        let lost = self
            .calls
            .get(&call)
            .is_some_and(|c| c.caller_lost.is_some());
        let found_nobody = self
            .calls
            .get(&call)
            .is_some_and(|c| c.outbound.is_some() && c.answered_at.is_none());
        let outcome = if lost {
            Outcome::Lost
        } else if found_nobody {
            Outcome::NotReached
        } else {
            Outcome::Answered
        };
        self.end_call(call, outcome, cause, by);
    }

    /// A talking seat's leg ended: its own hang-up, or its line was lost.
    pub(super) fn seat_left(
        &mut self,
        call: CallId,
        leg: LegId,
        seat: &SeatId,
        cause: Cause,
        by_far_side: bool,
    ) {
        let lost = cause.is_failure() || !by_far_side;
        self.forget_leg(call, leg);
        self.say(
            call,
            EventKind::SeatReleased {
                seat: seat.clone(),
                leg,
                cause,
            },
        );
        if lost {
            let now = self.now;
            self.seat_step(seat, "flaw.seat_lost_twice", |duty: Duty| {
                duty.phone_died(now)
            });
        } else {
            self.seat_hung_up(seat);
        }
        let Some(open) = self.call_mut(call) else {
            return;
        };
        if let Some(talking) = open.talking_mut() {
            talking.seat = None;
        }
        if self.transfer_goes_on(call) || self.barger_stays(call) {
            return;
        }
        let by = if lost { "network" } else { "seat" };
        let cause = if lost { cause } else { Cause::SeatReleased };
        self.host_seat_left(call, lost, cause, by);
        let guest = self.host_of(call) != call;
        let Some(open) = self.calls.get(&call).filter(|c| !c.is_closing()) else {
            return;
        };
        if lost && open.caller_leg.is_some() && !guest {
            self.requeue(call);
            self.gets_back(call, seat);
        } else if !guest && self.is_left_on_hold(call) {
            self.requeue_parted(call);
        } else if self.goes_on(call) {
            self.end_hold(call, "seat_left");
            self.refresh_audio(call);
        } else {
            self.end_answered(call, cause, by);
        }
    }

    /// The caller is back in the queue, before all others, and hears why.
    pub(super) fn requeue(&mut self, call: CallId) {
        let with_people = self.calls.get(&call).is_some_and(|c| c.third_is_up());
        self.leave_talk(call, with_people);
        if !with_people {
            self.announce_line_fault(call);
        }
        self.enter_queue(call, true);
    }

    /// A line that is back soon: its seat knows the caller.
    fn gets_back(&mut self, call: CallId, seat: &SeatId) {
        let until = self.now + self.policy.timers.seat_back;
        if let Some(unanswered) = self.call_mut(call).and_then(|open| open.unanswered_mut()) {
            unanswered.back = Some((seat.clone(), until));
        }
    }

    /// The seat that joined this call to its own has gone and it has none, or the seat hung up on a caller on hold: back in
    /// the queue, before all others.
    pub(super) fn requeue_parted(&mut self, call: CallId) {
        let with_people = self.calls.get(&call).is_some_and(|c| c.third_is_up());
        self.leave_talk(call, with_people);
        self.enter_queue(call, true);
    }

    fn leave_talk(&mut self, call: CallId, with_people: bool) {
        let now = self.now;
        let Some(Phase::Talking(talking)) = self.calls.get(&call).map(|c| c.phase.clone()) else {
            return self.misfit("flaw.requeue_not_talking");
        };
        self.end_hold(call, "queue");
        if let Some(open) = self.call_mut(call) {
            open.phase = Phase::Unanswered(talking.seat_lost(now, with_people));
        }
        self.losers_take_over(call);
        self.refresh_matrix(call);
    }

    /// A third party left or was removed: who is still there?
    pub(super) fn after_third_left(&mut self, call: CallId, caller_keeps_waiting: bool) {
        let Some(open) = self.calls.get(&call) else {
            return;
        };
        let (caller, third) = (open.caller_leg.is_some(), open.third_is_up());
        match &open.phase {
            Phase::InMenu(_) | Phase::Dialling(_) | Phase::Shelved(_) | Phase::Closing(_) => {}
            Phase::Unanswered(unanswered) => {
                if unanswered.hearing == Hearing::People && !third {
                    self.set_hearing(call, Hearing::Between);
                    self.stirred.insert(call);
                }
                self.refresh_matrix(call);
            }
            Phase::Talking(_) if self.goes_on(call) => self.refresh_audio(call),
            Phase::Talking(_) if caller && caller_keeps_waiting => self.requeue(call),
            Phase::Talking(_) => self.end_answered(call, Cause::Normal, "third"),
        }
    }

    /// Matrix and tones, after a party came or went.
    pub(super) fn refresh_audio(&mut self, call: CallId) {
        self.refresh_matrix(call);
        self.refresh_tones(call);
    }

    /// Tells media who hears whom, when that changed. Joined calls have one matrix, their host's.
    pub(super) fn refresh_matrix(&mut self, call: CallId) {
        let host = self.host_of(call);
        let members: Vec<_> = self
            .conversation(call)
            .into_iter()
            .filter_map(|call| self.calls.get(&call))
            .flat_map(|open| open.legs.iter().map(move |(id, leg)| (open, id, leg)))
            .filter_map(|(open, id, leg)| Some((*id, voice_of(open, leg)?)))
            .collect();
        self.set_matrix(host, conference::matrix(&members));
    }

    pub(super) fn set_matrix(&mut self, call: CallId, matrix: Matrix) {
        if let Some(open) = self.call_mut(call)
            && open.matrix != matrix
        {
            open.matrix = matrix.clone();
            self.command_media(call, MediaCommand::Matrix { matrix });
        }
    }

    /// Ring-back in the seat's ear while a third party is rung; music for a caller on hold.
    pub(super) fn refresh_tones(&mut self, call: CallId) {
        self.refresh_hold(call);
        self.refresh_seat_tone(call);
    }

    fn refresh_seat_tone(&mut self, call: CallId) {
        let Some(open) = self.calls.get(&call) else {
            return;
        };
        let Some(talking) = open.talking() else {
            return;
        };
        let colleague = talking
            .transfer
            .as_ref()
            .and_then(|t| open.legs.get(&t.leg?));
        let rings = colleague.is_some_and(|leg| matches!(leg.state, LegState::Ringing { .. }));
        let wanted = if rings || open.third_rings_silently() {
            SeatTone::RingBack
        } else if talking.hold.is_some() && open.talkers() <= 2 && talking.join == Join::Apart {
            SeatTone::Hush
        } else {
            SeatTone::Quiet
        };
        // Busy tone is heard to its end, which looks here again.
        let stays = talking.tone == wanted || matches!(talking.tone, SeatTone::Once { .. });
        let Some(leg) = open.tone_leg() else {
            return;
        };
        if stays {
            return;
        }
        match wanted {
            SeatTone::RingBack => {
                self.play_to(call, leg, vec![Sound::RingBack], true);
            }
            SeatTone::Hush => {
                self.play_to(call, leg, vec![HUSH], true);
            }
            SeatTone::Quiet | SeatTone::Once { .. } => {
                self.command_media(call, MediaCommand::Stop { leg });
            }
        }
        self.set_seat_tone(call, wanted);
    }

    pub(super) fn set_seat_tone(&mut self, call: CallId, tone: SeatTone) {
        if let Some(talking) = self.call_mut(call).and_then(|c| c.talking_mut()) {
            talking.tone = tone;
        }
    }

    /// A third party joined a caller who waits: they talk, the seat is still being looked for.
    pub(super) fn people_joined(&mut self, call: CallId) {
        let Some(hearing) = self
            .calls
            .get(&call)
            .and_then(|c| c.unanswered())
            .map(|u| u.hearing)
        else {
            return;
        };
        if hearing.plays() {
            self.stop_caller(call);
        }
        self.timers.disarm(&TimerKey::PlayGuard(call));
        self.set_hearing(call, Hearing::People);
    }
}

/// What a leg is in the audio; absent while it has none to share.
fn voice_of(open: &Call, leg: &Leg) -> Option<Voice> {
    let state = leg.state;
    match leg.party {
        Party::Caller if open.hold().is_some() => None,
        Party::Caller => Some(Voice::Guest),
        Party::Seat(_) if state.is_up() => Some(Voice::Host),
        Party::Third { .. } if state.is_up() => Some(Voice::Guest),
        Party::Third { .. } if matches!(state, LegState::Ringing { early_media: true }) => {
            Some(Voice::Announcing)
        }
        Party::Listener(_) if state.is_up() => Some(supervisor_voice(open, leg.mode)),
        Party::Seat(_) | Party::Third { .. } | Party::Relief(_) | Party::Listener(_) => None,
    }
}

/// A supervisor speaks to a caller beside a seat only: where no seat talks he is inaudible.
fn supervisor_voice(open: &Call, mode: Mode) -> Voice {
    match mode {
        Mode::Whisper => Voice::Whisperer,
        Mode::Barge if open.talking().is_some_and(|t| t.seat.is_some()) => Voice::Host,
        Mode::Listen | Mode::Barge | Mode::TakeOver => Voice::Listener,
    }
}
