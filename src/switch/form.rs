//! What people write on a call, open or ended: the form (受理单), the type of the call (来电类型), notes. Nothing here touches
//! the caller. WS/T 451-2014 7.2.1.2-b.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::commands::not_allowed;
use super::major::CASUALTIES;
use super::party::unknown_call;
use super::{Actor, CommandError, CommandReply, EventKind, Switch};
use crate::call::{CallType, FormChange, Major, Note, Sheet};
use crate::id::CallId;
use crate::limits::{NOTE_BYTES_MAX, NOTES_MAX, SHEETS_KEPT};

/// The sheets of all remembered calls.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Sheets {
    /// Of open calls and of those that ended last.
    of: BTreeMap<CallId, Arc<Sheet>>,
    /// Ended calls among them, the one that ended first in front.
    ended: VecDeque<CallId>,
    /// Older calls: only the form's revision.
    revisions: BTreeMap<CallId, u32>,
    #[serde(skip)]
    shown: Option<Arc<BTreeMap<CallId, Arc<Sheet>>>>,
}

impl Sheets {
    pub(super) fn revision(&self, call: CallId) -> u32 {
        let older = || self.revisions.get(&call).copied();
        let whole = self.of.get(&call).map(|sheet| sheet.revision);
        whole.or_else(older).unwrap_or(0)
    }

    pub(super) fn call_type(&self, call: CallId) -> Option<CallType> {
        self.of.get(&call)?.call_type.clone()
    }

    pub(super) fn major(&self, call: CallId) -> Option<&Major> {
        self.of.get(&call)?.major.as_ref()
    }

    /// Steps done, and all.
    pub(super) fn steps(&self, call: CallId) -> Option<(u32, u32)> {
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let steps = &self.major(call)?.steps;
        let done = steps.iter().filter(|step| step.by.is_some()).count();
        Some((count(done), count(steps.len())))
    }

    /// Its text is kept, not only its revision.
    pub(super) fn is_whole(&self, call: CallId) -> bool {
        !self.revisions.contains_key(&call)
    }

    pub(super) fn shown(&self) -> Arc<BTreeMap<CallId, Arc<Sheet>>> {
        let shown = self.shown.clone();
        shown.unwrap_or_else(|| Arc::new(self.of.clone()))
    }

    /// The sheet to write on; none when only its revision is kept.
    pub(super) fn write(&mut self, call: CallId, write: impl FnOnce(&mut Sheet)) {
        if self.is_whole(call) {
            write(Arc::make_mut(self.of.entry(call).or_default()));
            self.shown = Some(Arc::new(self.of.clone()));
        }
    }

    /// 来电类型.
    pub(super) fn classified(&mut self, call: CallId, chosen: CallType) {
        self.write(call, |sheet| sheet.call_type = Some(chosen));
    }

    /// A call has ended: its sheet stays whole as long as there is room.
    pub(super) fn settled(&mut self, call: CallId) {
        self.ended.retain(|one| *one != call);
        self.ended.push_back(call);
        let before = self.of.len();
        while self.ended.len() > SHEETS_KEPT {
            let Some(oldest) = self.ended.pop_front() else {
                break;
            };
            if let Some(sheet) = self.of.remove(&oldest) {
                self.revisions.insert(oldest, sheet.revision);
            }
        }
        if self.of.len() != before {
            self.shown = Some(Arc::new(self.of.clone()));
        }
    }

    /// The call is remembered no more.
    pub(super) fn forget(&mut self, call: CallId) {
        self.revisions.remove(&call);
    }
}

impl Switch {
    /// `FillForm`.
    pub(super) fn fill_form(
        &mut self,
        by: &Actor,
        call: CallId,
        read: Option<u32>,
        change: &FormChange,
    ) -> Result<CommandReply, CommandError> {
        self.check_writes(by, call)?;
        let mut change = change.clone();
        let checked = change.check(&self.policy.forms);
        checked.map_err(|(field, reason)| bad(field.name(), &reason))?;
        let revision = self.sheets.revision(call);
        if read.is_some_and(|read| read != revision) {
            return Err(self.changed_meanwhile(call, revision));
        }
        if let Some(sheet) = self.sheets.of.get(&call) {
            change = change.against(&sheet.form);
        }
        if change.is_empty() {
            return Ok(CommandReply::Form { revision });
        }
        let revision = revision.saturating_add(1);
        let (at, who) = (self.now, by.to_string());
        if let Some(known) = self.sheets.revisions.get_mut(&call) {
            *known = revision;
        }
        self.sheets.write(call, |sheet| {
            sheet.form.take(&change);
            sheet.revision = revision;
            sheet.changed = change.fields();
            (sheet.changed_by, sheet.changed_at) = (Some(who), Some(at));
        });
        self.given(by, Some(call), "fill_form");
        let many = change.set.casualties.is_some_and(|n| n >= CASUALTIES);
        let kind = EventKind::FormChanged {
            by: by.clone(),
            revision,
            change: Box::new(change),
        };
        self.say(call, kind);
        if many {
            self.major_begins(by, call, "casualties");
        }
        Ok(CommandReply::Form { revision })
    }

    fn changed_meanwhile(&self, call: CallId, revision: u32) -> CommandError {
        let told = self.sheets.of.get(&call).and_then(|sheet| {
            let fields: Vec<_> = sheet.changed.iter().map(|field| field.name()).collect();
            let (by, at) = (sheet.changed_by.as_ref()?, sheet.changed_at?);
            Some(format!(
                "{by} wrote {} at {}",
                fields.join(", "),
                at.rfc3339()
            ))
        });
        let hint = "read it again and send your fields for that revision";
        CommandError::WrongState {
            what: format!("the form of call {call}"),
            state: format!("at revision {revision}"),
            hint: told.map_or_else(|| hint.to_owned(), |told| format!("{told}; {hint}")),
        }
    }

    /// `Classify`.
    pub(super) fn classify(
        &mut self,
        by: &Actor,
        call: CallId,
        code: &str,
    ) -> Result<CommandReply, CommandError> {
        self.check_writes(by, call)?;
        let types = &self.policy.forms.call_types;
        let Some(entry) = types.iter().find(|entry| entry.l1 == code) else {
            let known: Vec<_> = types.iter().map(|entry| entry.l1.as_str()).collect();
            return Err(bad(
                "code",
                &format!("unknown; known: {}", known.join(", ")),
            ));
        };
        let chosen = CallType {
            code: entry.l1.clone(),
            zh: entry.zh.clone(),
            en: entry.en.clone(),
            by: by.to_string(),
            at: self.now,
        };
        let known = self.sheets.call_type(call);
        if known.is_some_and(|known| known.code == chosen.code) {
            return Ok(CommandReply::Done);
        }
        self.given(by, Some(call), "classify");
        let kind = EventKind::CallClassified {
            by: by.clone(),
            code: chosen.code.clone(),
            zh: chosen.zh.clone(),
            en: chosen.en.clone(),
        };
        self.sheets.classified(call, chosen);
        self.say(call, kind);
        Ok(CommandReply::Done)
    }

    /// `AddNote`.
    pub(super) fn add_note(
        &mut self,
        by: &Actor,
        call: CallId,
        text: &str,
    ) -> Result<CommandReply, CommandError> {
        self.check_writes(by, call)?;
        if text.trim().is_empty() || text.len() > NOTE_BYTES_MAX {
            let why = format!("must be 1 to {NOTE_BYTES_MAX} bytes of text");
            return Err(bad("text", &why));
        }
        let notes = self.sheets.of.get(&call).map_or(0, |s| s.notes.len());
        if notes >= NOTES_MAX {
            return Err(CommandError::WrongState {
                what: format!("call {call}"),
                state: format!("full with {NOTES_MAX} notes"),
                hint: String::from("write into the form, or into the medical record"),
            });
        }
        self.given(by, Some(call), "add_note");
        let note = Note {
            text: text.to_owned(),
            by: by.to_string(),
            at: self.now,
        };
        self.sheets.write(call, |sheet| sheet.notes.push(note));
        let (by, text) = (by.clone(), text.to_owned());
        self.say(call, EventKind::NoteAdded { by, text });
        Ok(CommandReply::Done)
    }

    /// On an open call its own seat writes, on an ended one any seat: the shift may have changed. Supervisors, users and
    /// modules write on any.
    pub(super) fn check_writes(&self, by: &Actor, call: CallId) -> Result<(), CommandError> {
        let open = self.calls.get(&call).filter(|open| !open.is_closing());
        match by {
            Actor::Engine => Err(not_allowed(by, "a named person or module must do this")),
            Actor::Seat(_) if open.is_some() => {
                let host = self.host_of(call);
                self.check_handles(by, call).or_else(|error| match host {
                    host if host != call => self.check_handles(by, host),
                    _ => Err(error),
                })
            }
            Actor::Seat(_) | Actor::Supervisor(_) | Actor::User(_) | Actor::Module(_) => {
                if self.calls.contains_key(&call) || self.past.contains_key(&call) {
                    Ok(())
                } else {
                    Err(unknown_call(call))
                }
            }
        }
    }
}

pub(super) fn bad(field: &str, reason: &str) -> CommandError {
    CommandError::BadField {
        field: field.to_owned(),
        reason: reason.to_owned(),
    }
}
