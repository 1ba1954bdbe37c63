//! 突发事件: three and more casualties, or a person's word, put the checklist of the centre before the seat and the
//! supervisors. WS/T 451-2014 7.2.1.2-l.

use super::commands::not_allowed;
use super::{Actor, CommandError, CommandReply, EventKind, Switch};
use crate::call::{Major, Step};
use crate::id::CallId;

/// From so many casualties on an incident is a major one.
pub(super) const CASUALTIES: u16 = 3;

impl Switch {
    /// `MarkMajor`.
    pub(super) fn mark_major(
        &mut self,
        by: &Actor,
        call: CallId,
    ) -> Result<CommandReply, CommandError> {
        self.check_writes(by, call)?;
        self.check_sheet_whole(call)?;
        if let Some(major) = self.sheets.major(call) {
            return Err(CommandError::WrongState {
                what: format!("call {call}"),
                state: format!("a major incident since {}", major.at.rfc3339()),
                hint: format!("{} said so; tick its steps", major.by),
            });
        }
        self.given(by, Some(call), "mark_major");
        self.major_begins(by, call, "marked");
        Ok(CommandReply::Done)
    }

    /// The checklist is there from now on; a second reason changes nothing.
    pub(super) fn major_begins(&mut self, by: &Actor, call: CallId, reason: &str) {
        if self.sheets.major(call).is_some() || !self.sheets.is_whole(call) {
            return;
        }
        let steps = self.policy.forms.incident_steps.clone();
        let major = Major {
            by: by.to_string(),
            at: self.now,
            reason: reason.to_owned(),
            steps: steps
                .iter()
                .map(|entry| Step {
                    code: entry.l1.clone(),
                    zh: entry.zh.clone(),
                    en: entry.en.clone(),
                    by: None,
                    at: None,
                })
                .collect(),
        };
        self.sheets.write(call, |sheet| sheet.major = Some(major));
        let (by, reason) = (by.clone(), reason.to_owned());
        self.say(call, EventKind::MajorIncident { by, reason, steps });
    }

    /// `TickStep`: done, or by mistake said to be done.
    pub(super) fn tick_step(
        &mut self,
        by: &Actor,
        call: CallId,
        code: &str,
        done: bool,
    ) -> Result<CommandReply, CommandError> {
        self.check_writes(by, call)?;
        if matches!(by, Actor::Module(_)) {
            return Err(not_allowed(by, "a named person ticks a step"));
        }
        self.check_sheet_whole(call)?;
        let unknown = |what: &str, id: String| CommandError::Unknown {
            what: String::from(what),
            id,
        };
        let major = self.sheets.major(call);
        let major = major.ok_or_else(|| unknown("checklist on call", call.to_string()))?;
        let step = major.steps.iter().find(|step| step.code == code);
        let step = step.ok_or_else(|| unknown("step", code.to_owned()))?;
        if done && let (Some(who), Some(at)) = (&step.by, step.at) {
            return Err(CommandError::WrongState {
                what: format!("step {code}"),
                state: format!("done by {who} at {}", at.rfc3339()),
                hint: String::from("nothing is left to do"),
            });
        }
        if !done && step.by.is_none() {
            return Ok(CommandReply::Done);
        }
        self.given(by, Some(call), "tick_step");
        let (who, at) = (by.to_string(), self.now);
        self.sheets.write(call, |sheet| {
            let steps = sheet.major.iter_mut().flat_map(|major| &mut major.steps);
            for step in steps.filter(|step| step.code == code) {
                (step.by, step.at) = (done.then(|| who.clone()), done.then_some(at));
            }
        });
        let (by, code) = (by.clone(), code.to_owned());
        self.say(call, EventKind::StepTicked { by, code, done });
        Ok(CommandReply::Done)
    }

    fn check_sheet_whole(&self, call: CallId) -> Result<(), CommandError> {
        if self.sheets.is_whole(call) {
            return Ok(());
        }
        Err(CommandError::WrongState {
            what: format!("call {call}"),
            state: String::from("ended long ago"),
            hint: String::from("its record has the checklist; add a note"),
        })
    }
}
