//! A caller who says nothing (静默呼叫): the seat has him asked to press a key or to knock, and sees the key. A label only: the
//! line stays open, and nothing of ours ends it.

use super::party::unknown_call;
use super::{Actor, CommandError, CommandReply, EventKind, Sound, Switch};
use crate::call::{Call, SilentCheck};
use crate::id::{CallId, PromptId};

/// What he hears.
pub(super) const SILENT_CALL: &str = "silent_call";

impl Switch {
    /// `AskSilent`.
    pub(super) fn ask_silent(
        &mut self,
        by: &Actor,
        call: CallId,
    ) -> Result<CommandReply, CommandError> {
        self.check_handles(by, call)?;
        let open = self.calls.get(&call).ok_or_else(|| unknown_call(call))?;
        let hint = if open.talking().is_none_or(|talking| talking.seat.is_none()) {
            Some("a seat must be talking in it")
        } else if open.caller_leg.is_none() {
            Some("its caller has left")
        } else if open.hold().is_some() {
            Some("take its caller back from hold first")
        } else {
            None
        };
        if let Some(hint) = hint {
            return Err(self.wrong_call_state(call, hint));
        }
        self.given(by, Some(call), "ask_silent");
        let asked_at = self.now;
        if let Some(open) = self.call_mut(call) {
            let key = None;
            open.silent = Some(SilentCheck { asked_at, key });
        }
        self.say(call, EventKind::SilentAsked { by: by.clone() });
        let prompt = PromptId::from(SILENT_CALL);
        self.play_to_caller(call, vec![Sound::Prompt(prompt.clone())], false);
        let position = None;
        self.say(call, EventKind::PromptStarted { prompt, position });
        Ok(CommandReply::Done)
    }

    /// A key of a caller in talk: the answer, when he was asked.
    pub(super) fn silent_digit(&mut self, call: CallId, digit: char) {
        let at = self.now;
        let Some(open) = self.call_mut(call).filter(|open| open.talking().is_some()) else {
            return;
        };
        let Some(check) = &mut open.silent else {
            return;
        };
        let first = check.key.is_none();
        check.key = Some((digit, at));
        if first {
            self.say(call, EventKind::SilentAnswered { digit });
        }
    }

    /// How a call that was asked stands.
    pub(super) fn silent_view(call: &Call) -> Option<super::SilentView> {
        let check = call.silent?;
        Some(super::SilentView {
            asked_at: check.asked_at,
            key: check.key.map(|(digit, _)| digit.to_string()),
            key_at: check.key.map(|(_, at)| at),
        })
    }
}
