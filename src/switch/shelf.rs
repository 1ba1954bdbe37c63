//! The shelf (受理搁置): a seat puts a caller aside who can wait, and is free. WS/T 451-2014 7.2.1.2-n.
//!
//! ```text
//! talk --Shelve--> on the shelf: prompt, then music; in no queue, owned by the seat that put him there
//!                     |-- his key 1 | the longest stay is over | a seat has nothing to do --> the queue's head
//!                     |-- a seat takes him back --> the queue's head, and that seat's phone rings first
//!                     |-- his owner's phone is gone --> anybody's
//!                     `-- he hangs up --> a call-back
//! ```
//! `TimerKey::Shelf` is armed from the first moment to the last (invariant 12).

use super::party::unknown_call;
use super::timers::TimerKey;
use super::{Actor, CommandError, CommandReply, EventKind, Rule, Sound, Switch};
use crate::acd::{Duty, SeatRole};
use crate::call::{Call, Cause, Hearing, Ingress, Join, Party, Phase, Shelved, Unanswered};
use crate::id::{CallId, PlayId, PromptId, SeatId};
use crate::time::{Millis, Timestamp};

/// What he hears, at once and again each minute.
pub(super) const SHELVED: &str = "shelved";
/// Who says that he cannot wait.
const EMERGENCY_KEY: char = '1';
/// The seat that is idle now is about to be given somebody who waits.
const LOOK_AGAIN: Millis = Millis::from_secs(1);

impl Switch {
    /// `Shelve`.
    pub(super) fn shelve(
        &mut self,
        by: &Actor,
        call: CallId,
    ) -> Result<CommandReply, CommandError> {
        self.check_handles(by, call)?;
        let open = self.calls.get(&call).ok_or_else(|| unknown_call(call))?;
        let third = open.legs.values().any(|leg| match leg.party {
            Party::Third { .. } => true,
            Party::Caller | Party::Seat(_) | Party::Relief(_) | Party::Listener(_) => false,
        });
        let talking = open.talking();
        let hint = if talking.is_none_or(|talking| talking.seat.is_none()) {
            Some("only a call that a seat talks in is shelved")
        } else if open.caller_leg.is_none() {
            Some("its caller has left")
        } else if talking.is_some_and(|talking| talking.transfer.is_some()) {
            Some("it is being transferred; complete or cancel that first")
        } else if third {
            Some("release the third party first")
        } else if talking.is_some_and(|talking| talking.join != Join::Apart) {
            Some("it is joined to another call")
        } else if open.outbound.is_some() || matches!(open.ingress, Ingress::Seat(_)) {
            Some("the centre made it")
        } else {
            None
        };
        if let Some(hint) = hint {
            return Err(self.wrong_call_state(call, hint));
        }
        self.given(by, Some(call), "shelve");
        self.put_aside(call, by);
        Ok(CommandReply::Done)
    }

    fn put_aside(&mut self, call: CallId, by: &Actor) {
        let talking = self.calls.get(&call).and_then(Call::talking);
        let Some((seat, leg)) = talking.and_then(|talking| talking.seat.clone()) else {
            return self.misfit("flaw.shelved_without_seat");
        };
        self.end_hold(call, "shelved");
        self.release_losers(call);
        let since = self.now;
        let until = since + self.policy.timers.shelf_max;
        self.release(call, leg, Cause::SeatReleased);
        self.say_seat_released(call, leg, &seat, Cause::SeatReleased);
        if let Some(open) = self.call_mut(call) {
            open.phase = Phase::Shelved(Shelved {
                owner: Some(seat.clone()),
                since,
                until,
                hearing: Hearing::Between,
            });
        }
        self.say(
            call,
            EventKind::CallShelved {
                seat: seat.clone(),
                by: by.clone(),
                until,
            },
        );
        self.shelf.insert(call);
        self.timers.arm(TimerKey::Shelf(call), until);
        self.say_shelved(call);
        self.refresh_matrix(call);
        // It is free at once: that is what the shelf is for.
        self.seat_hung_up(&seat);
        let now = self.now;
        let duty = self.seats.get(&seat).map(|state| &state.duty);
        if duty.is_some_and(|duty| matches!(duty, Duty::WrapUp { .. })) {
            self.try_seat_step(&seat, |duty| duty.ready(now));
        }
    }

    fn say_shelved(&mut self, call: CallId) {
        let sounds = vec![Sound::Prompt(PromptId::from(SHELVED))];
        let play = self.play_to_caller(call, sounds, false);
        let prompt = PromptId::from(SHELVED);
        self.say(
            call,
            EventKind::PromptStarted {
                prompt,
                position: None,
            },
        );
        if let (Some(play), Some(shelved)) = (play, self.shelved_mut(call)) {
            shelved.hearing = Hearing::Prompt {
                prompt: crate::call::Announcement::Shelved,
                play,
            };
        }
        self.arm(TimerKey::PlayGuard(call), super::hearing::PROMPT_SPAN_MAX);
        let span = self.policy.timers.shelf_reminder;
        self.arm(TimerKey::ShelfReminder(call), span);
    }

    fn shelved_mut(&mut self, call: CallId) -> Option<&mut Shelved> {
        match &mut self.call_mut(call)?.phase {
            Phase::Shelved(shelved) => Some(shelved),
            Phase::InMenu(_)
            | Phase::Unanswered(_)
            | Phase::Dialling(_)
            | Phase::Talking(_)
            | Phase::Closing(_) => None,
        }
    }

    /// The prompt of that number ended, or is overdue: music.
    pub(super) fn shelf_prompt_ended(&mut self, call: CallId, play: Option<PlayId>) {
        let Some(shelved) = self.shelved_mut(call) else {
            return;
        };
        let ends = matches!(shelved.hearing, Hearing::Prompt { play: now, .. } if play.is_none_or(|p| p == now));
        if ends {
            shelved.hearing = Hearing::Music;
            self.timers.disarm(&TimerKey::PlayGuard(call));
            self.play_to_caller(call, vec![Sound::Music], true);
        }
    }

    /// Another minute on the shelf.
    pub(super) fn shelf_exceeded(&mut self, call: CallId) {
        let now = self.now;
        let Some(shelved) = self.shelved_mut(call) else {
            return self.misfit("flaw.timer_shelf_not_shelved");
        };
        let owner = shelved.owner.clone();
        let shelved_ms = now.millis_since(shelved.since);
        self.say(call, EventKind::ShelfExceeded { owner, shelved_ms });
        self.say_shelved(call);
    }

    /// A key of a caller on the shelf.
    pub(super) fn shelf_digit(&mut self, call: CallId, digit: char) {
        if digit == EMERGENCY_KEY {
            self.unshelve(call, "key", None);
        }
    }

    /// Off the shelf, before all others: `why` is `key`, `time_up`, `idle`, `seat`.
    pub(super) fn unshelve(&mut self, call: CallId, why: &str, seat: Option<&SeatId>) {
        let Some(since) = self.shelved_mut(call).map(|shelved| shelved.since) else {
            return;
        };
        self.disarm_shelf(call);
        let (now, why, seat) = (self.now, why.to_owned(), seat.cloned());
        let shelved_ms = now.millis_since(since);
        self.say(
            call,
            EventKind::CallUnshelved {
                why,
                seat,
                shelved_ms,
            },
        );
        if let Some(open) = self.call_mut(call) {
            // What he hears goes on until the queue has something better to say.
            let mut unanswered = Unanswered::entered(now);
            unanswered.hearing = Hearing::Between;
            open.phase = Phase::Unanswered(unanswered);
        }
        self.enter_queue(call, true);
    }

    pub(super) fn disarm_shelf(&mut self, call: CallId) {
        if !self.shelf.remove(&call) {
            return;
        }
        for key in [
            TimerKey::Shelf(call),
            TimerKey::ShelfReminder(call),
            TimerKey::PlayGuard(call),
        ] {
            self.timers.disarm(&key);
        }
    }

    /// `Unshelve`: the seat takes the caller back; its phone rings for him.
    pub(super) fn take_from_shelf(
        &mut self,
        by: &Actor,
        call: CallId,
        seat: &SeatId,
    ) -> Result<CommandReply, CommandError> {
        self.check_own_seat(by, seat)?;
        let open = self.calls.get(&call).ok_or_else(|| unknown_call(call))?;
        let Phase::Shelved(shelved) = &open.phase else {
            return Err(self.wrong_call_state(call, "it is not on the shelf"));
        };
        if let (Actor::Seat(_), Some(owner)) = (by, &shelved.owner)
            && owner != seat
        {
            let reason = format!("it is on the shelf of seat {owner}; a supervisor may take it");
            return Err(super::commands::not_allowed(by, &reason));
        }
        if !self.can_be_asked(seat) {
            return Err(self.wrong_seat_state(seat, "make it ready, with its phone registered"));
        }
        self.given(by, Some(call), "unshelve");
        self.unshelve(call, "seat", Some(seat));
        self.ask_seat(call, seat, None);
        Ok(CommandReply::Done)
    }

    /// Its phone can be rung now, by somebody's order.
    pub(super) fn can_be_asked(&self, id: &SeatId) -> bool {
        self.seats.get(id).is_some_and(|seat| {
            let free = match &seat.duty {
                Duty::Ready { .. } => true,
                Duty::WrapUp { rests, .. } => !rests,
                Duty::SignedOut
                | Duty::NotReady { .. }
                | Duty::Reserved { .. }
                | Duty::Ringing { .. }
                | Duty::Talking { .. }
                | Duty::Listening { .. }
                | Duty::Dialling { .. }
                | Duty::Unreachable { .. } => false,
            };
            free && seat.keying.is_none() && seat.binding.is_some()
        })
    }

    /// Rings a seat for a waiting call because a person said so. The call keeps its place: what comes of it is an offer
    /// like any.
    pub(super) fn ask_seat(&mut self, call: CallId, seat: &SeatId, shown: Option<String>) {
        let Some(queue) = self.queue.entry(call).map(|entry| entry.queue.clone()) else {
            return self.misfit("flaw.asked_for_no_waiting_call");
        };
        self.say(
            call,
            EventKind::OfferDecided {
                rule: Rule::Asked,
                chosen: Some(seat.clone()),
                held: Vec::new(),
                queue,
                needs: Vec::new(),
                relaxed: Vec::new(),
            },
        );
        if let Some(unanswered) = self.call_mut(call).and_then(Call::unanswered_mut) {
            unanswered.asked = Some(seat.clone());
        }
        self.offer_shown(call, seat, shown);
    }

    /// Who takes no calls any more owns none on the shelf.
    pub(super) fn hand_over_shelf(&mut self, seat: &SeatId) {
        let mut owned = Vec::new();
        for call in self.shelf.clone() {
            if let Some(shelved) = self.shelved_mut(call)
                && shelved.owner.as_ref() == Some(seat)
            {
                shelved.owner = None;
                owned.push(call);
            }
        }
        for call in owned {
            let from = seat.clone();
            self.say(call, EventKind::ShelfHandedOver { from });
        }
    }

    /// Before calls are given to seats: when nobody waits and a seat has had nothing to do for some seconds, the oldest
    /// of the shelf comes back.
    pub(super) fn empty_shelf(&mut self) {
        let Some((shelved_at, call)) = self.oldest_shelved() else {
            return;
        };
        let Some(idle_since) = self.idle_for(call) else {
            return;
        };
        let due = idle_since.max(shelved_at) + self.policy.timers.shelf_idle;
        if due > self.now {
            self.timers.arm(TimerKey::ShelfIdle, due);
        } else if self.somebody_waits_unasked() {
            self.arm(TimerKey::ShelfIdle, LOOK_AGAIN);
        } else {
            self.unshelve(call, "idle", None);
        }
    }

    fn somebody_waits_unasked(&self) -> bool {
        self.queue.entries().iter().any(|entry| {
            let unanswered = self.calls.get(&entry.call).and_then(Call::unanswered);
            let unasked = unanswered.is_none_or(|unanswered| unanswered.offers.is_empty());
            unasked && !self.is_held_for_test(entry.call)
        })
    }

    fn oldest_shelved(&self) -> Option<(Timestamp, CallId)> {
        let shelved = self
            .shelf
            .iter()
            .filter_map(|id| match &self.calls.get(id)?.phase {
                Phase::Shelved(shelved) => Some((shelved.since, *id)),
                Phase::InMenu(_)
                | Phase::Dialling(_)
                | Phase::Unanswered(_)
                | Phase::Talking(_)
                | Phase::Closing(_) => None,
            });
        shelved.min()
    }

    /// Since when a dispatcher who serves the call's queue has had nothing to do.
    fn idle_for(&self, call: CallId) -> Option<Timestamp> {
        let queue = &self.calls.get(&call)?.queue;
        let idle = self.seats.iter().filter_map(|(id, seat)| {
            let policy = self.policy.seats.get(id)?;
            let serves = policy.queues.is_empty() || policy.queues.contains(queue);
            match &seat.duty {
                Duty::Ready { idle_since }
                    if serves && policy.role == SeatRole::Dispatcher && seat.binding.is_some() =>
                {
                    Some(*idle_since)
                }
                Duty::Ready { .. }
                | Duty::SignedOut
                | Duty::NotReady { .. }
                | Duty::Reserved { .. }
                | Duty::Ringing { .. }
                | Duty::Talking { .. }
                | Duty::WrapUp { .. }
                | Duty::Listening { .. }
                | Duty::Dialling { .. }
                | Duty::Unreachable { .. } => None,
            }
        });
        idle.min()
    }
}
