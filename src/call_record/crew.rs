//! Crews (车组): the numbers that were sent for this call, and the incident that a crew's own call, or a bridge between
//! crew and caller, is about.

use serde::{Deserialize, Serialize};

use super::fold::masked;
use super::{CallRecord, Callee, Moment};
use crate::call::Direction;
use crate::id::CallId;
use crate::switch::EventKind;

/// 车组.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Crew {
    /// It is a crew's call, or a bridge: the call of its incident.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of_call_id: Option<CallId>,
    /// Numbers that were named for this call last, masked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub numbers: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub named_at: Option<Moment>,
}

impl CallRecord {
    /// `crew.named`, `crew.called`, `call.bridged`.
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
        } else if let EventKind::CallBridged {
            of,
            crew,
            callee,
            serial_no,
            ..
        } = kind
        {
            self.times.received.get_or_insert(at);
            self.serial_no = Some(serial_no.clone());
            self.channel = Some(String::from("sip"));
            Direction::Bridge.as_str().clone_into(&mut self.direction);
            self.callee = Some(Callee {
                number: callee.clone(),
                seat_id: None,
            });
            let told = self.crew.get_or_insert_default();
            told.of_call_id = Some(*of);
            told.numbers = vec![masked(&crew.raw)];
        }
    }
}
