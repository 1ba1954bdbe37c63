//! Checks of what people write on a call: every revision follows the last, is said of who commanded it, and the picture
//! shows what the Events tell, restarts or not.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::check::Verdict;
use crate::call::Sheet;
use crate::id::{CallId, ComplaintId, HandoverId};
use crate::switch::{Actor, Event, EventKind, Input, InputKind, View};

/// Forms, as Events tell them.
#[derive(Debug, Default)]
pub(super) struct Forms {
    written: BTreeMap<CallId, Written>,
    /// Complaints: open, held.
    complaints: BTreeMap<ComplaintId, (bool, bool)>,
    handed_over: BTreeSet<HandoverId>,
    /// Who commands in this step.
    commander: Option<Actor>,
    /// Sheets as they were found to fit, and calls that Events spoke of since.
    compared: BTreeMap<CallId, Arc<Sheet>>,
    spoken_of: BTreeSet<CallId>,
}

#[derive(Debug, Default)]
struct Written {
    revision: u32,
    fields: Map<String, Value>,
    notes: usize,
    /// Steps done of its checklist, once there is one.
    steps: Option<BTreeSet<String>>,
}

impl Forms {
    pub(super) fn before(&mut self, input: &Input) {
        self.commander = None;
        if let InputKind::Command { by, .. } = &input.kind {
            self.commander = Some(by.clone());
        }
    }

    pub(super) fn take(&mut self, event: &Event) -> Verdict {
        if let EventKind::ComplaintOpened { complaint } = &event.kind {
            self.complaints.insert(complaint.complaint, (true, true));
        } else if let EventKind::ComplaintClosed { complaint, by, .. } = &event.kind {
            self.steps_on(*complaint, by, (true, true), (false, true))?;
        } else if let EventKind::HoldLifted { complaint, by } = &event.kind {
            self.steps_on(*complaint, by, (false, true), (false, false))?;
        } else if let EventKind::ShiftHandover { handover } = &event.kind {
            self.handed_over.insert(handover.handover);
        } else if let EventKind::ShiftTakenOver { handover, by } = &event.kind
            && !self.handed_over.remove(handover)
        {
            return Err((7, format!("{by} took {handover} over, which is nobody's")));
        }
        let Some(call) = event.call else {
            return Ok(());
        };
        self.spoken_of.insert(call);
        if let EventKind::FormChanged {
            by,
            revision,
            change,
        } = &event.kind
        {
            if self.commander.as_ref() != Some(by) {
                return Err((7, format!("{by} wrote on {call} and commanded nothing")));
            }
            let written = self.written.entry(call).or_default();
            if *revision != written.revision + 1 {
                return Err((7, format!("{call}: {revision} after {}", written.revision)));
            }
            written.revision = *revision;
            let change = json!(change);
            for field in change["clear"].as_array().into_iter().flatten() {
                written.fields.remove(field.as_str().unwrap_or_default());
            }
            for (field, value) in change["set"].as_object().into_iter().flatten() {
                written.fields.insert(field.clone(), value.clone());
            }
        } else if let EventKind::NoteAdded { .. } = &event.kind {
            self.written.entry(call).or_default().notes += 1;
        } else if let EventKind::MajorIncident { .. } = &event.kind {
            let written = self.written.entry(call).or_default();
            if written.steps.replace(BTreeSet::new()).is_some() {
                return Err((7, format!("{call} is a major incident twice")));
            }
        } else if let EventKind::StepTicked { code, done, .. } = &event.kind
            && let Some(steps) = &mut self.written.entry(call).or_default().steps
        {
            if *done {
                steps.insert(code.clone());
            } else {
                steps.remove(code);
            }
        }
        Ok(())
    }

    /// A supervisor takes a complaint from one state to the next.
    fn steps_on(
        &mut self,
        complaint: ComplaintId,
        by: &Actor,
        from: (bool, bool),
        to: (bool, bool),
    ) -> Verdict {
        let known = self.complaints.insert(complaint, to);
        if known != Some(from) || matches!(by, Actor::Seat(_) | Actor::Module(_)) {
            return Err((7, format!("{by} took {complaint} from {known:?} to {to:?}")));
        }
        Ok(())
    }

    pub(super) fn check_view(&mut self, view: &View) -> Verdict {
        for open in &view.calls {
            let told = self.written.get(&open.call).map_or(0, |w| w.revision);
            if open.form_revision != told {
                let shown = open.form_revision;
                let why = format!("{}: revision {told}, shown {shown}", open.call);
                return Err((7, why));
            }
            let steps = self.written.get(&open.call).and_then(|w| w.steps.as_ref());
            let (told, shown) = (steps.map(BTreeSet::len), open.major.map(|(done, _)| done));
            if told.map(|n| n as u64) != shown.map(u64::from) {
                let why = format!("{}: {told:?} steps done, shown {shown:?}", open.call);
                return Err((7, why));
            }
        }
        let listed = view.complaints.iter();
        let listed: BTreeMap<_, _> = listed
            .map(|c| (c.complaint, (c.closed.is_none(), c.held)))
            .collect();
        let pending = view.open_items().handovers.into_iter().collect();
        if listed != self.complaints || self.handed_over != pending {
            return Err((7, format!("told {self:?}, shown {listed:?} {pending:?}")));
        }
        for (call, sheet) in view.sheets.iter() {
            // What did not change since it was compared fits still.
            let same = self
                .compared
                .get(call)
                .is_some_and(|last| Arc::ptr_eq(last, sheet));
            if same && !self.spoken_of.contains(call) {
                continue;
            }
            let told = self.written.get(call);
            let fields = told.map(|w| Value::Object(w.fields.clone()));
            let shown = (json!(sheet.form), sheet.notes.len());
            let told = (fields.unwrap_or(json!({})), told.map_or(0, |w| w.notes));
            if shown.0 != told.0 || shown.1 != told.1 {
                return Err((7, format!("{call}: told {told:?}, shown {shown:?}")));
            }
            self.compared.insert(*call, Arc::clone(sheet));
        }
        self.spoken_of.clear();
        Ok(())
    }
}
