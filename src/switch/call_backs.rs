//! The call-back list: callers who left or were lost before they were helped stay open work until called back or
//! closed by a named person. WS/T 451-2014 7.2.1.1-h.

use serde::{Deserialize, Serialize};

use super::{Actor, CommandError, CommandReply, EventKind, Switch};
use crate::id::{CallBackId, CallId};
use crate::limits::CALL_BACKS_MAX;
use crate::phone::Number;
use crate::time::Timestamp;

/// One open entry.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct CallBack {
    /// The last call merged into it.
    pub(super) call: CallId,
    pub(super) number: Number,
    pub(super) reason: String,
    pub(super) due_at: Timestamp,
    /// Calls merged into it.
    pub(super) calls: u32,
}

impl Switch {
    /// Puts a call's number on the list. Another open call-back of the same number grows instead.
    pub(super) fn call_back_due(&mut self, call: CallId, reason: &str) {
        let Some(number) = self.calls.get(&call).map(|c| c.caller.clone()) else {
            return self.misfit("flaw.call_back_unknown_call");
        };
        let same = self
            .call_backs
            .iter_mut()
            .find(|(_, entry)| same_caller(&entry.number, &number));
        let call_back = if let Some((id, entry)) = same {
            entry.calls = entry.calls.saturating_add(1);
            entry.call = call;
            reason.clone_into(&mut entry.reason);
            *id
        } else {
            self.make_room();
            let id = CallBackId(self.ids.next_uuid(self.now));
            let entry = CallBack {
                call,
                number: number.clone(),
                reason: reason.to_owned(),
                due_at: self.now,
                calls: 1,
            };
            self.call_backs.insert(id, entry);
            id
        };
        self.say(
            call,
            EventKind::CallBackDue {
                call_back,
                number,
                reason: reason.to_owned(),
            },
        );
    }

    /// The caller is on the line again: what `call` put on the list comes off it. An entry that an earlier call of the
    /// same number shares stays.
    pub(super) fn withdraw_call_back(&mut self, call: CallId) {
        let Some((id, entry)) = self.call_backs.iter_mut().find(|(_, e)| e.call == call) else {
            return;
        };
        if entry.calls > 1 {
            entry.calls -= 1;
            return;
        }
        let id = *id;
        self.call_backs.remove(&id);
        let outcome = String::from("withdrawn: the caller's INVITE came again after the restart");
        self.say_call_back_closed(id, call, Actor::Engine, outcome);
    }

    /// The oldest entry gives way; its call's record says so.
    fn make_room(&mut self) {
        while self.call_backs.len() >= CALL_BACKS_MAX {
            let Some((id, entry)) = self.call_backs.pop_first() else {
                return;
            };
            let outcome = format!("dropped: more than {CALL_BACKS_MAX} open call-backs");
            self.say_call_back_closed(id, entry.call, Actor::Engine, outcome);
        }
    }

    fn say_call_back_closed(
        &mut self,
        call_back: CallBackId,
        call: CallId,
        by: Actor,
        outcome: String,
    ) {
        let kind = EventKind::CallBackClosed {
            call_back,
            by,
            outcome,
        };
        if self.calls.contains_key(&call) || self.past.contains_key(&call) {
            self.say(call, kind);
        } else {
            self.note(kind);
        }
    }

    /// `CloseCallBack`.
    pub(super) fn close_call_back(
        &mut self,
        by: &Actor,
        call_back: CallBackId,
        outcome: &str,
    ) -> Result<CommandReply, CommandError> {
        if outcome.trim().is_empty() {
            return Err(CommandError::BadField {
                field: String::from("outcome"),
                reason: String::from("say how the call-back ended"),
            });
        }
        let Some(entry) = self.call_backs.remove(&call_back) else {
            return Err(CommandError::Unknown {
                what: String::from("open call-back"),
                id: call_back.to_string(),
            });
        };
        let known = self.calls.contains_key(&entry.call) || self.past.contains_key(&entry.call);
        self.given(by, known.then_some(entry.call), "close_call_back");
        self.say_call_back_closed(call_back, entry.call, by.clone(), outcome.to_owned());
        Ok(CommandReply::Done)
    }
}

/// The same full number is the same caller. Who withholds it is never merged with anybody.
fn same_caller(a: &Number, b: &Number) -> bool {
    !a.anonymous && !b.anonymous && a.e164.is_some() && a.e164 == b.e164
}
