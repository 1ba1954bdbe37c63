//! Checks of what people write on a call: every revision follows the last, is said of who commanded it, and the picture
//! shows what the Events tell, restarts or not.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::check::Verdict;
use crate::id::CallId;
use crate::switch::{Actor, Event, EventKind, Input, InputKind, View};

/// Forms, as Events tell them.
#[derive(Debug, Default)]
pub(super) struct Forms {
    written: BTreeMap<CallId, Written>,
    /// Who commands in this step.
    commander: Option<Actor>,
}

#[derive(Debug, Default)]
struct Written {
    revision: u32,
    fields: Map<String, Value>,
    notes: usize,
}

impl Forms {
    pub(super) fn before(&mut self, input: &Input) {
        self.commander = None;
        if let InputKind::Command { by, .. } = &input.kind {
            self.commander = Some(by.clone());
        }
    }

    pub(super) fn take(&mut self, event: &Event) -> Verdict {
        let Some(call) = event.call else {
            return Ok(());
        };
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
        }
        Ok(())
    }

    pub(super) fn check_view(&self, view: &View) -> Verdict {
        for open in &view.calls {
            let told = self.written.get(&open.call).map_or(0, |w| w.revision);
            if open.form_revision != told {
                let shown = open.form_revision;
                let why = format!("{}: revision {told}, shown {shown}", open.call);
                return Err((7, why));
            }
        }
        for (call, sheet) in view.sheets.iter() {
            let told = self.written.get(call);
            let fields = told.map(|w| Value::Object(w.fields.clone()));
            let shown = (json!(sheet.form), sheet.notes.len());
            let told = (fields.unwrap_or(json!({})), told.map_or(0, |w| w.notes));
            if shown.0 != told.0 || shown.1 != told.1 {
                return Err((7, format!("{call}: told {told:?}, shown {shown:?}")));
            }
        }
        Ok(())
    }
}
