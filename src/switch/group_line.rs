//! One number of a group call on the line: rung over the trunks in order, told the sentence twice, asked for a key.
//!
//! ```text
//! Rung --200--> Asked --its end--> AskedAgain --its end, 15 s after the first--> released (no key)
//!   |             `--- key: noted ---+--- key: noted --> Told --prompt over, or 8 s--> released
//!   `- busy, no answer in 30 s, no such number: released; a trunk that fails: the next one
//! ```
//! Its media is a place with an id of its own and nobody else in it.

use serde::{Deserialize, Serialize};

use super::ending::EndingLeg;
use super::group_call::{GROUP_THANKS, TargetKey};
use super::party::tries_next_trunk;
use super::relief::{KEY_SPAN, PAUSE};
use super::timers::TimerKey;
use super::{EventKind, MediaCommand, MediaEvent, Sound, Switch};
use crate::call::{
    Cause, GroupResult, GroupState, Hunt, Leg, LegCommand, LegEvent, LegFact, Party,
};
use crate::id::{CallId, LegId, PlayId, PromptId, TrunkId};
use crate::time::{Millis, Timestamp};

/// The party that a leg of theirs is.
const ROLE: &str = "group";
/// Media that reports no end of a sentence by then is taken to have said it.
const SAID_SPAN: Millis = Millis::from_secs(60);
const TOLD_SPAN: Millis = Millis::from_secs(8);
/// After the second time, however long the sentence was.
const LAST_SPAN: Millis = Millis::from_secs(3);
/// Without a port of ours it is tried again after this.
const PORT_PAUSE: Millis = Millis::from_secs(1);

/// A number on the line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Line {
    pub(super) key: TargetKey,
    /// Its media.
    home: CallId,
    leg: Leg,
    stage: Stage,
    /// The last playback.
    play: PlayId,
}

#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Stage {
    Rung,
    /// Hears the sentence.
    Asked,
    /// Hears it again; a key is waited for until then.
    AskedAgain {
        until: Timestamp,
    },
    /// Has its result and hears so.
    Told,
}

impl Line {
    pub(super) fn is_on(&self, trunk: &TrunkId) -> bool {
        let hunt = self.leg.hunt.as_ref();
        hunt.is_some_and(|hunt| hunt.trunk.as_ref() == Some(trunk))
    }

    fn party(&self) -> Party {
        self.leg.party.clone()
    }
}

impl Switch {
    /// Rings a target over the first of the trunks.
    pub(super) fn ring_group_line(&mut self, key: TargetKey, mut trunks: Vec<TrunkId>) {
        let number = self.group_calls.target(key).map(|t| t.number.clone());
        let (Some(number), false) = (number, trunks.is_empty()) else {
            return self.misfit("flaw.group_line_to_nowhere");
        };
        let trunk = trunks.remove(0);
        let leg = self.new_leg_id();
        let home = CallId(self.ids.next_uuid(self.now));
        let party = Party::Third {
            role: ROLE.to_owned(),
            n: u8::try_from(key.1 + 1).unwrap_or(u8::MAX),
        };
        let mut state = Leg::outbound(party, Some(number.clone()));
        state.hunt = Some(Hunt {
            first: leg,
            role: ROLE.to_owned(),
            trunk: Some(trunk.clone()),
            seat: None,
            rest: trunks,
            rang: false,
        });
        let line = Line {
            key,
            home,
            leg: state,
            stage: Stage::Rung,
            play: PlayId(0),
        };
        self.group_calls.lines.insert(leg, line);
        let timers = self.policy.timers;
        self.arm(TimerKey::TrunkSilence(leg), timers.trunk_silence);
        self.arm(TimerKey::GroupLine(leg), timers.group_ring);
        self.invite_number(home, leg, trunk, &number);
    }

    pub(super) fn group_leg_event(&mut self, leg: LegId, event: &LegEvent) {
        let Some(line) = self.group_calls.lines.get_mut(&leg) else {
            return;
        };
        match line.leg.on_event(event) {
            LegFact::Trying => self.timers.disarm(&TimerKey::TrunkSilence(leg)),
            LegFact::Progressed { .. } => self.group_line_rings(leg),
            LegFact::Answered => self.group_line_answers(leg),
            LegFact::Failed { cause } => self.group_line_failed(leg, cause),
            LegFact::Ended { cause, by_far_side } => {
                self.group_line_ended(leg, cause, by_far_side);
            }
            LegFact::Digit { digit } => self.group_digit(leg, digit),
            LegFact::Misfit { what } => self.misfit(what),
            LegFact::Confirmed | LegFact::Held { .. } | LegFact::Noted => {}
        }
    }

    pub(super) fn group_media_event(&mut self, leg: LegId, event: &MediaEvent) {
        match event {
            MediaEvent::PlayEnded { play } => self.group_line_heard(leg, *play),
            MediaEvent::Digit { digit, .. } => self.group_digit(leg, *digit),
            MediaEvent::RtpLost { lost: true } => self.command_leg(leg, LegCommand::Probe),
            MediaEvent::RtpLost { lost: false }
            | MediaEvent::RtpStarted
            | MediaEvent::Tone { .. } => {}
        }
    }

    fn group_line_rings(&mut self, leg: LegId) {
        self.timers.disarm(&TimerKey::TrunkSilence(leg));
        let Some(line) = self.group_calls.lines.get_mut(&leg) else {
            return;
        };
        let (group_call, key) = (line.key.0, line.key);
        let Some(hunt) = &mut line.leg.hunt else {
            return self.misfit("flaw.group_line_without_hunt");
        };
        if std::mem::replace(&mut hunt.rang, true) {
            return;
        }
        let trunk = hunt.trunk.clone();
        let number = self.number_of_target(key);
        self.say_of_group(
            group_call,
            EventKind::GroupRinging {
                group_call,
                number,
                leg,
                trunk,
            },
        );
    }

    fn number_of_target(&self, key: TargetKey) -> String {
        let target = self.group_calls.target(key);
        target.map_or_else(String::new, |t| t.number.clone())
    }

    fn group_line_answers(&mut self, leg: LegId) {
        self.disarm_leg(leg);
        let now = self.now;
        let Some(line) = self.group_calls.lines.get_mut(&leg) else {
            return;
        };
        line.stage = Stage::Asked;
        let key = line.key;
        if let Some(target) = self.group_calls.target_mut(key) {
            target.state = GroupState::Listening;
            target.answered_at = Some(now);
        }
        let (group_call, number) = (key.0, self.number_of_target(key));
        self.say_of_group(
            group_call,
            EventKind::GroupAnswered {
                group_call,
                number,
                leg,
            },
        );
        let sentence = self.group_sentence(key);
        self.play_to_group(leg, vec![sentence]);
        self.arm(TimerKey::GroupLine(leg), SAID_SPAN);
    }

    fn group_sentence(&self, key: TargetKey) -> Sound {
        let table = self.group_calls.table(key.0);
        let prompt = table.map(|table| table.prompt.clone());
        prompt.map_or(PAUSE, Sound::Prompt)
    }

    fn play_to_group(&mut self, leg: LegId, sounds: Vec<Sound>) {
        let Some(line) = self.group_calls.lines.get_mut(&leg) else {
            return;
        };
        line.play = PlayId(line.play.0.wrapping_add(1));
        let (home, play) = (line.home, line.play);
        let told = MediaCommand::Play {
            leg,
            play,
            sounds,
            repeat: false,
        };
        self.command_media(home, told);
    }

    /// A playback is over; of an earlier one nobody wants to know.
    fn group_line_heard(&mut self, leg: LegId, play: PlayId) {
        let now = self.now;
        let Some(line) = self.group_calls.lines.get_mut(&leg) else {
            return;
        };
        if line.play != play {
            return;
        }
        match line.stage {
            Stage::Rung => self.misfit("group.heard_before_answer"),
            Stage::Asked => {
                let key = line.key;
                line.stage = Stage::AskedAgain {
                    until: now + KEY_SPAN,
                };
                let sentence = self.group_sentence(key);
                self.play_to_group(leg, vec![PAUSE, sentence]);
                self.arm(TimerKey::GroupLine(leg), SAID_SPAN);
            }
            Stage::AskedAgain { until } => {
                let at = until.max(now + LAST_SPAN);
                self.timers.arm(TimerKey::GroupLine(leg), at);
            }
            Stage::Told => {
                self.release_group_line(leg, Cause::Normal);
            }
        }
    }

    /// Whatever sounds like a key before they picked up, or after the one that counted, is none of theirs.
    fn group_digit(&mut self, leg: LegId, digit: char) {
        let Some(line) = self.group_calls.lines.get(&leg) else {
            return;
        };
        match line.stage {
            Stage::Asked | Stage::AskedAgain { .. } => {}
            Stage::Rung | Stage::Told => return,
        }
        let key = line.key;
        let Some(table) = self.group_calls.table(key.0) else {
            return;
        };
        let (wanted, first_wins) = (table.digit, table.first_wins);
        // The sentence says 2 for no; a centre that has 2 for yes has 1 for no.
        let no = if wanted == '2' { '1' } else { '2' };
        if digit == wanted {
            self.tell_group_line(leg, GROUP_THANKS);
            self.finish_target(key, GroupResult::Acknowledged);
            if first_wins {
                self.group_taken(key.0);
            }
        } else if digit == no {
            self.tell_group_line(leg, GROUP_THANKS);
            self.finish_target(key, GroupResult::Declined);
        }
    }

    /// Its last words, then it is released.
    pub(super) fn tell_group_line(&mut self, leg: LegId, told: &str) {
        if let Some(line) = self.group_calls.lines.get_mut(&leg) {
            line.stage = Stage::Told;
        }
        self.play_to_group(leg, vec![Sound::Prompt(PromptId::from(told))]);
        self.arm(TimerKey::GroupLine(leg), TOLD_SPAN);
    }

    /// It rang, was asked, or was told long enough.
    pub(super) fn group_line_due(&mut self, leg: LegId) {
        let Some(line) = self.group_calls.lines.get(&leg) else {
            return self.misfit("flaw.timer_group_line_unknown");
        };
        let key = line.key;
        match line.stage {
            Stage::Rung => {
                self.release_group_line(leg, Cause::NoAnswer);
                self.target_not_reached(key, GroupResult::NoAnswer);
            }
            Stage::Asked | Stage::AskedAgain { .. } => {
                self.release_group_line(leg, Cause::Normal);
                self.finish_target(key, GroupResult::NoKey);
            }
            Stage::Told => {
                self.release_group_line(leg, Cause::Normal);
            }
        }
    }

    /// A trunk has said nothing at all. False: the leg is none of these.
    pub(super) fn group_trunk_silent(&mut self, leg: LegId) -> bool {
        if !self.group_calls.has_line(leg) {
            return false;
        }
        if let Some(line) = self.release_group_line(leg, Cause::Withdrawn) {
            self.group_rings_on(line, Cause::Unreachable);
        }
        true
    }

    fn group_line_failed(&mut self, leg: LegId, cause: Cause) {
        if let Some(line) = self.forget_group_line(leg) {
            self.group_rings_on(line, cause);
        }
    }

    /// The next trunk, the same number later, or its end.
    fn group_rings_on(&mut self, line: Line, cause: Cause) {
        let key = line.key;
        if cause == Cause::Capacity {
            let at = self.now + PORT_PAUSE;
            if let Some(target) = self.group_calls.target_mut(key) {
                target.attempts = target.attempts.saturating_sub(1);
            }
            if self.timers.is_armed(&TimerKey::GroupCallEnd(key.0)) {
                return self.target_waits(key, at, None);
            }
            return self.finish_target(key, GroupResult::NoCircuit);
        }
        let spare = self.group_trunks();
        let mut rest = line.leg.hunt.map_or_else(Vec::new, |hunt| hunt.rest);
        rest.retain(|trunk| spare.contains(trunk));
        if tries_next_trunk(cause) && !rest.is_empty() {
            return self.ring_group_line(key, rest);
        }
        self.target_not_reached(key, not_reached(cause));
    }

    fn group_line_ended(&mut self, leg: LegId, cause: Cause, by_far_side: bool) {
        let Some(line) = self.forget_group_line(leg) else {
            return;
        };
        match line.stage {
            Stage::Rung => self.group_rings_on(line, cause),
            Stage::Asked | Stage::AskedAgain { .. } => {
                let lost = cause.is_failure() || !by_far_side;
                let result = if lost {
                    GroupResult::Lost
                } else {
                    GroupResult::Left
                };
                self.finish_target(line.key, result);
            }
            Stage::Told => {}
        }
    }

    fn forget_group_line(&mut self, leg: LegId) -> Option<Line> {
        self.disarm_leg(leg);
        let line = self.group_calls.lines.remove(&leg)?;
        self.command_media(line.home, MediaCommand::Close);
        Some(line)
    }

    pub(super) fn release_group_line(&mut self, leg: LegId, cause: Cause) -> Option<Line> {
        self.disarm_leg(leg);
        let line = self.group_calls.lines.remove(&leg)?;
        let dialog = line.leg.dialog.clone();
        self.release_dialog(leg, line.home, line.party(), cause, dialog);
        self.command_media(line.home, MediaCommand::Close);
        Some(line)
    }

    /// After a restart: nobody is on the line any more, and who was is told so in the table.
    pub(super) fn close_group_lines(&mut self) {
        let lines = std::mem::take(&mut self.group_calls.lines);
        for (leg, line) in lines {
            let ending = EndingLeg {
                call: line.home,
                party: line.party(),
                cause: Cause::Restarted,
                dialog: line.leg.dialog,
            };
            self.ending.entry(leg).or_insert(ending);
            self.finish_target(line.key, GroupResult::Restarted);
        }
    }
}

const fn not_reached(cause: Cause) -> GroupResult {
    match cause {
        Cause::Busy => GroupResult::Busy,
        Cause::NoAnswer => GroupResult::NoAnswer,
        Cause::Unallocated => GroupResult::Unallocated,
        Cause::Rejected => GroupResult::Rejected,
        Cause::Normal
        | Cause::Cancelled
        | Cause::Unavailable
        | Cause::Unreachable
        | Cause::MediaRefused
        | Cause::Lost
        | Cause::Capacity
        | Cause::SeatReleased
        | Cause::Withdrawn
        | Cause::AnsweredElsewhere
        | Cause::Restarted
        | Cause::InternalFault => GroupResult::Unreachable,
    }
}
