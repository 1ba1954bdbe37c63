//! Crews (车组): the numbers that were sent for this call, and the incident that a crew's own call is about.

use serde::{Deserialize, Serialize};

use super::fold::masked;
use super::{CallRecord, Moment};
use crate::id::CallId;
use crate::switch::EventKind;

/// 车组.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Crew {
    /// It is a crew's call: the call of its incident.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of_call_id: Option<CallId>,
    /// Numbers that were named for this call last, masked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub numbers: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub named_at: Option<Moment>,
}

impl CallRecord {
    /// `crew.named`, `crew.called`.
    pub(super) fn crewed(&mut self, at: Moment, kind: &EventKind) {
        if let EventKind::CrewNamed { numbers, .. } = kind {
            let crew = self.crew.get_or_insert_default();
            crew.numbers = numbers.iter().map(|n| masked(&n.raw)).collect();
            crew.named_at = Some(at);
        } else if let EventKind::CrewCalled {
            of, incident_id, ..
        } = kind
        {
            self.crew.get_or_insert_default().of_call_id = Some(*of);
            self.incident_id = incident_id.clone().or(self.incident_id.take());
        }
    }
}
