//! A call that we made: whom it was for, and what it was linked to.

use serde::{Deserialize, Serialize};

use super::{CallBackAttempt, CallRecord, Moment};
use crate::call::{Arrival, CREW, Direction};
use crate::id::{CallId, SeatId};
use crate::phone::Number;
use crate::switch::{Actor, EventKind};

/// Links kept in one record; nobody needs more.
const LINKS_MAX: usize = 64;
/// Attempts kept of one call-back.
const ATTEMPTS_MAX: usize = 16;

/// Whom a call that we made was for (被叫).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Callee {
    pub number: Number,
    /// The seat that was called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seat_id: Option<SeatId>,
}

/// What a person linked the call to (关联).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call_id: Option<CallId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incident_id: Option<String>,
    pub by: Actor,
    pub at: Moment,
}

impl CallRecord {
    /// `call.dialled`.
    pub(super) fn dialled(&mut self, at: Moment, kind: &EventKind) {
        let EventKind::CallDialled {
            callee,
            callee_seat,
            direction,
            serial_no,
            arrival,
            ..
        } = kind
        else {
            return;
        };
        self.times.received.get_or_insert(at);
        self.serial_no = Some(serial_no.clone());
        self.channel = Some(String::from("sip"));
        direction.as_str().clone_into(&mut self.direction);
        self.callee = Some(Callee {
            number: callee.clone(),
            seat_id: callee_seat.clone(),
        });
        self.caller.called_number = Some(callee.raw.clone());
        self.caller.name = arrival.as_deref().and_then(name_of);
    }

    /// Who made it decides what an answer is: a seat's, or the callee's.
    pub(super) fn is_made(&self) -> bool {
        self.direction != Direction::Inbound.as_str()
    }

    /// Somebody rung by number talks. In a call that we made, the first one answers it.
    pub(super) fn party_answered(&mut self, at: Moment, role: &str) {
        // The crew of a bridge stands where a seat does.
        let first = self.direction == Direction::Bridge.as_str() && role == CREW;
        if self.is_made() && !first && self.times.answered.is_none() {
            self.times.answered = Some(at);
            self.metrics.wait_ms = self.times.received.map(|t| at.millis_since(t));
        }
    }

    /// What became of a call-back of this call's number.
    pub(super) fn called_back(&mut self, at: Moment, kind: &EventKind) {
        let mut entries = self.call_backs.iter_mut();
        if let EventKind::CallBackAttempted {
            call_back,
            seat,
            call,
        } = kind
        {
            let entry = entries.find(|entry| entry.id == *call_back);
            if let Some(entry) = entry.filter(|e| e.attempts.len() < ATTEMPTS_MAX) {
                entry.attempts.push(CallBackAttempt {
                    at,
                    seat_id: seat.clone(),
                    call_id: *call,
                    connected_at: None,
                    cause: None,
                });
            }
        } else if let EventKind::CallBackConnected { call_back, call } = kind {
            let entry = entries.find(|entry| entry.id == *call_back);
            let last = entry.and_then(|entry| entry.attempts.last_mut());
            if let Some(last) = last.filter(|last| last.call_id == *call) {
                last.connected_at.get_or_insert(at);
            }
        } else if let EventKind::CallBackFailed {
            call_back, cause, ..
        } = kind
        {
            let entry = entries.find(|entry| entry.id == *call_back);
            if let Some(last) = entry.and_then(|entry| entry.attempts.last_mut()) {
                last.cause.get_or_insert(*cause);
            }
        }
    }

    /// `call.linked`.
    pub(super) fn linked(
        &mut self,
        at: Moment,
        to: Option<CallId>,
        incident_id: Option<&String>,
        by: &Actor,
    ) {
        if let Some(incident_id) = incident_id {
            self.incident_id = Some(incident_id.clone());
        }
        if self.links.len() < LINKS_MAX {
            self.links.push(Link {
                call_id: to,
                incident_id: incident_id.cloned(),
                by: by.clone(),
                at,
            });
        }
    }
}

fn name_of(arrival: &Arrival) -> Option<String> {
    arrival.caller_name.clone()
}
