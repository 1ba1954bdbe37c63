//! What a waiting caller hears: entry tone and greeting, then the truth about the wait, never silence and never an end.
//!
//! ```text
//! Nothing -ACK or 300 ms-> Prompt(greeting) -ended-> Between -> Prompt(still waiting | all busy + position)
//!                                                          -> RingBack (a seat is being rung) | Music
//! ```
//! A prompt is never cut except by the answer; ring-back and music give way at once. WS/T 451-2014 7.2.1.1-c.

use std::collections::BTreeSet;

use super::codes::CODE_PROMPTS;
use super::group_call::GROUP_PROMPTS;
use super::pin::PIN_PROMPTS;
use super::relief::RELIEF_OFFER;
use super::shelf::SHELVED;
use super::silent::SILENT_CALL;
use super::star::STAR_HINTS;
use super::timers::TimerKey;
use super::{EventKind, MediaCommand, Sound, Switch};
use crate::call::{Announcement, Hearing, SeatTone, Spoken};
use crate::id::{CallId, LegId, PlayId, PromptId};
use crate::time::Millis;

/// A better position is told again after this at the earliest.
const POSITION_SPAN: Millis = Millis::from_secs(15);
/// No prompt is longer; media that reports no end by then is taken as ended.
pub(super) const PROMPT_SPAN_MAX: Millis = Millis::from_secs(30);
/// From this position on no number is told.
const POSITION_MANY: u32 = 10;
pub(super) const GREETING: &str = "greeting";
pub(super) const EDUCATION: &str = "education";
const LINE_FAULT: &str = "line_fault_caller";
const STILL_WAITING: &str = "still_waiting";

impl Switch {
    /// Entry tone and greeting, once.
    pub(super) fn greet(&mut self, call: CallId) {
        self.timers.disarm(&TimerKey::Greeting(call));
        self.begin_menu(call);
        let Some(unanswered) = self.call_mut(call).and_then(|c| c.unanswered_mut()) else {
            return;
        };
        match unanswered.hearing {
            Hearing::Nothing => {
                let prompt = self.greeting_of(call);
                let sounds = vec![Sound::Entry, Sound::Prompt(PromptId::from(prompt))];
                self.announce(call, Announcement::Greeting, prompt, None, sounds);
            }
            Hearing::Prompt { .. }
            | Hearing::Between
            | Hearing::RingBack
            | Hearing::Music
            | Hearing::People => {}
        }
    }

    /// The caller is back in the queue because our line failed.
    pub(super) fn announce_line_fault(&mut self, call: CallId) {
        let prompt = LINE_FAULT;
        let sounds = vec![Sound::Prompt(PromptId::from(prompt))];
        self.announce(call, Announcement::LineFault, prompt, None, sounds);
    }

    pub(super) fn still_waiting(&mut self, call: CallId) {
        let Some(unanswered) = self.call_mut(call).and_then(|c| c.unanswered_mut()) else {
            return self.misfit("flaw.timer_still_waiting_answered");
        };
        unanswered.still_waiting_due = true;
        self.stirred.insert(call);
        self.arm(
            TimerKey::StillWaiting(call),
            self.policy.timers.still_waiting,
        );
    }

    pub(super) fn wait_exceeded(&mut self, call: CallId) {
        let now = self.now;
        let Some(open) = self.call_mut(call) else {
            return self.misfit("flaw.timer_wait_alert_unknown");
        };
        let Some(since) = open.unanswered().map(|u| u.since) else {
            return self.misfit("flaw.timer_wait_alert_answered");
        };
        open.wait_exceeded = true;
        let waited_ms = now.millis_since(since);
        self.say(call, EventKind::WaitExceeded { waited_ms });
    }

    /// Media reports the end of a playback.
    pub(super) fn play_ended(&mut self, call: CallId, leg: LegId, play: PlayId) {
        if self.calls.get(&call).and_then(|c| c.caller_leg) == Some(leg) {
            self.menu_played(call, play);
            self.shelf_prompt_ended(call, Some(play));
            return self.prompt_ended(call, Some(play));
        }
        let Some(talking) = self.call_mut(call).and_then(|c| c.talking_mut()) else {
            return;
        };
        if talking.tone == (SeatTone::Once { play }) {
            talking.tone = SeatTone::Quiet;
            self.refresh_tones(call);
            self.callee_told(call);
        }
    }

    /// Media never said that the prompt ended.
    pub(super) fn prompt_overdue(&mut self, call: CallId) {
        self.misfit("timer.prompt_overdue");
        self.shelf_prompt_ended(call, None);
        self.prompt_ended(call, None);
    }

    /// The prompt of that number ended; of any number when `play` is absent.
    fn prompt_ended(&mut self, call: CallId, play: Option<PlayId>) {
        let Some(unanswered) = self.call_mut(call).and_then(|c| c.unanswered_mut()) else {
            return;
        };
        match unanswered.hearing {
            Hearing::Prompt { play: current, .. } if play.is_none_or(|p| p == current) => {
                unanswered.hearing = Hearing::Between;
                self.timers.disarm(&TimerKey::PlayGuard(call));
                self.stirred.insert(call);
            }
            Hearing::Prompt { .. }
            | Hearing::Nothing
            | Hearing::Between
            | Hearing::RingBack
            | Hearing::Music
            | Hearing::People => {}
        }
    }

    /// After each Input: every caller whose truth may have changed hears the new one.
    pub(super) fn refresh_hearing(&mut self) {
        let stirred = std::mem::take(&mut self.stirred);
        let moved = std::mem::take(&mut self.queue_moved);
        let entries = self.queue.entries().iter().map(|e| e.call);
        let waiting: Vec<_> = entries.filter(|call| stirred.contains(call)).collect();
        let mut idle = BTreeSet::new();
        for call in waiting {
            if !self.choose_sound(call) {
                idle.insert(call);
            }
        }
        if idle.is_empty() && !moved {
            return;
        }
        // One that is probably our own test has no position to be told.
        for call in idle
            .iter()
            .filter(|call| self.is_held_for_test(**call))
            .copied()
            .collect::<Vec<_>>()
        {
            self.loop_sound(call, Hearing::Music);
        }
        for (position, call) in (0_u32..).zip(self.waiting_order()) {
            // Who has heard his position hears of a better one only when it is one of the first.
            if idle.contains(&call) || (moved && position < POSITION_MANY) {
                self.tell_or_play(call, position);
            }
        }
    }

    /// What does not depend on the position; false when it does.
    fn choose_sound(&mut self, call: CallId) -> bool {
        let Some(unanswered) = self.calls.get(&call).and_then(|c| c.unanswered()) else {
            self.misfit("flaw.queue_answered_call");
            return true;
        };
        match unanswered.hearing {
            Hearing::Between | Hearing::RingBack | Hearing::Music => {}
            Hearing::Nothing | Hearing::Prompt { .. } | Hearing::People => return true,
        }
        if unanswered.still_waiting_due {
            self.say_still_waiting(call);
        } else if !unanswered.offers.is_empty() {
            self.loop_sound(call, Hearing::RingBack);
        } else {
            return false;
        }
        true
    }

    fn tell_or_play(&mut self, call: CallId, position: u32) {
        if self.choose_sound(call) {
            return;
        }
        if let Some(position) = self.position_to_tell(call, position) {
            self.tell_position(call, position);
        } else {
            self.loop_sound(call, Hearing::Music);
        }
    }

    fn say_still_waiting(&mut self, call: CallId) {
        if let Some(unanswered) = self.call_mut(call).and_then(|c| c.unanswered_mut()) {
            unanswered.still_waiting_due = false;
        }
        let prompt = STILL_WAITING;
        let sounds = vec![Sound::Prompt(PromptId::from(prompt))];
        self.announce(call, Announcement::StillWaiting, prompt, None, sounds);
    }

    /// The position to tell now: the first, or a better one some time after the last; never a worse one.
    fn position_to_tell(&mut self, call: CallId, position: u32) -> Option<u32> {
        let spoken = self.calls.get(&call)?.unanswered()?.spoken;
        let Some(spoken) = spoken else {
            return Some(position);
        };
        if position.min(POSITION_MANY) >= spoken.position.min(POSITION_MANY) {
            return None;
        }
        let again = spoken.at + POSITION_SPAN;
        if again <= self.now {
            return Some(position);
        }
        if !self.timers.is_armed(&TimerKey::Position(call)) {
            self.timers.arm(TimerKey::Position(call), again);
        }
        None
    }

    fn tell_position(&mut self, call: CallId, position: u32) {
        let at = self.now;
        if let Some(unanswered) = self.call_mut(call).and_then(|c| c.unanswered_mut()) {
            unanswered.spoken = Some(Spoken { position, at });
        }
        self.timers.disarm(&TimerKey::Position(call));
        let (prompt, clips) = position_clips(position);
        let sounds = clips
            .into_iter()
            .map(|clip| Sound::Prompt(PromptId(clip)))
            .collect();
        self.announce(call, Announcement::AllBusy, prompt, Some(position), sounds);
    }

    fn announce(
        &mut self,
        call: CallId,
        announcement: Announcement,
        prompt: &str,
        position: Option<u32>,
        sounds: Vec<Sound>,
    ) {
        let Some(play) = self.play_to_caller(call, sounds, false) else {
            return;
        };
        self.set_hearing(
            call,
            Hearing::Prompt {
                prompt: announcement,
                play,
            },
        );
        self.arm(TimerKey::PlayGuard(call), PROMPT_SPAN_MAX);
        let prompt = PromptId::from(prompt);
        self.say(call, EventKind::PromptStarted { prompt, position });
    }

    fn loop_sound(&mut self, call: CallId, hearing: Hearing) {
        let now = self.calls.get(&call).and_then(|c| c.unanswered());
        if now.map(|u| u.hearing) == Some(hearing) {
            return;
        }
        let sound = if hearing == Hearing::RingBack {
            Sound::RingBack
        } else {
            Sound::Music
        };
        if self.play_to_caller(call, vec![sound], true).is_some() {
            self.set_hearing(call, hearing);
        }
    }

    pub(super) fn set_hearing(&mut self, call: CallId, hearing: Hearing) {
        if let Some(unanswered) = self.call_mut(call).and_then(|c| c.unanswered_mut()) {
            unanswered.hearing = hearing;
        }
    }

    pub(super) fn play_to_caller(
        &mut self,
        call: CallId,
        sounds: Vec<Sound>,
        repeat: bool,
    ) -> Option<PlayId> {
        let open = self.calls.get(&call)?;
        let leg = open.caller_leg?;
        let sounds = match &open.language {
            Some(language) => sounds.into_iter().map(|s| s.spoken_in(language)).collect(),
            None => sounds,
        };
        self.play_to(call, leg, sounds, repeat)
    }

    pub(super) fn play_to(
        &mut self,
        call: CallId,
        leg: LegId,
        sounds: Vec<Sound>,
        repeat: bool,
    ) -> Option<PlayId> {
        let play = self.call_mut(call)?.next_play();
        self.command_media(
            call,
            MediaCommand::Play {
                leg,
                play,
                sounds,
                repeat,
            },
        );
        Some(play)
    }
}

/// Every announcement that callers, seats and people outside may hear in a call: files of these names must be in the language's folder.
#[must_use]
pub fn prompts_played() -> BTreeSet<PromptId> {
    let callers = [
        GREETING,
        EDUCATION,
        LINE_FAULT,
        STILL_WAITING,
        SHELVED,
        SILENT_CALL,
        RELIEF_OFFER,
    ];
    let seats = STAR_HINTS
        .into_iter()
        .chain(CODE_PROMPTS)
        .chain(PIN_PROMPTS);
    let named = callers.into_iter().chain(GROUP_PROMPTS).chain(seats);
    let named = named.map(String::from);
    let positions = (0..=POSITION_MANY).flat_map(|position| position_clips(position).1);
    named.chain(positions).map(PromptId).collect()
}

/// The prompt's name and its clips in order.
fn position_clips(position: u32) -> (&'static str, Vec<String>) {
    match position {
        0 => ("all_busy_next", vec![String::from("all_busy_next")]),
        1..POSITION_MANY => (
            "all_busy_position",
            vec![
                String::from("all_busy_position.1"),
                format!("number_{position}"),
                String::from("all_busy_position.2"),
            ],
        ),
        POSITION_MANY.. => ("all_busy_many", vec![String::from("all_busy_many")]),
    }
}
