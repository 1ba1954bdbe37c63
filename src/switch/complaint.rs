//! 投诉: a complaint about calls, its outcome, and the legal hold that keeps their recordings. WS/T 451-2014 7.2.1.2-f.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::commands::{check_text, not_allowed};
use super::form::bad;
use super::{Actor, CommandError, CommandReply, Event, EventKind, Switch};
use crate::call::{Closed, Complaint};
use crate::id::{CallId, ComplaintId};
use crate::limits::{COMPLAINT_CALLS_MAX, COMPLAINTS_MAX, NOTE_BYTES_MAX};

/// Open complaints and the last closed ones.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Complaints {
    all: BTreeMap<ComplaintId, Arc<Complaint>>,
    /// Grows with each change.
    pub(super) revision: u64,
}

/// What somebody complains of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grievance {
    pub call: CallId,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub about: Vec<CallId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub person: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<String>,
    pub text: String,
}

/// The complaints that `events` tell of: what a new build begins with when it cannot read the old state.
pub fn complaints_of<'a>(events: impl IntoIterator<Item = &'a Event>) -> Vec<Complaint> {
    let mut all: BTreeMap<ComplaintId, Complaint> = BTreeMap::new();
    for event in events {
        if let EventKind::ComplaintOpened { complaint } = &event.kind {
            all.insert(complaint.complaint, Complaint::clone(complaint));
        } else if let EventKind::ComplaintClosed {
            complaint,
            by,
            outcome,
        } = &event.kind
            && let Some(known) = all.get_mut(complaint)
        {
            known.closed = Some(Closed {
                by: by.to_string(),
                at: event.at,
                outcome: outcome.clone(),
            });
        } else if let EventKind::HoldLifted { complaint, .. } = &event.kind
            && let Some(known) = all.get_mut(complaint)
        {
            known.held = false;
        }
    }
    all.into_values().collect()
}

impl Complaints {
    pub(super) fn shown(&self) -> Vec<Arc<Complaint>> {
        self.all.values().rev().cloned().collect()
    }

    /// Closed ones without a hold give way.
    fn make_room(&mut self) -> Result<(), CommandError> {
        while self.all.len() >= COMPLAINTS_MAX {
            let over = |c: &Complaint| c.closed.is_some() && !c.held;
            let Some(gone) = self.all.values().find(|c| over(c)).map(|c| c.complaint) else {
                return Err(CommandError::WrongState {
                    what: String::from("the list of complaints"),
                    state: format!("full with {COMPLAINTS_MAX}"),
                    hint: String::from("close some and lift their hold first"),
                });
            };
            self.all.remove(&gone);
        }
        Ok(())
    }

    pub(super) fn remember(&mut self, complaints: &[Complaint]) {
        self.revision += 1;
        for one in complaints.iter().rev().take(COMPLAINTS_MAX) {
            let known = self.all.entry(one.complaint);
            known.or_insert_with(|| Arc::new(one.clone()));
        }
    }
}

impl Switch {
    /// `OpenComplaint`.
    pub(super) fn open_complaint(
        &mut self,
        by: &Actor,
        grievance: &Grievance,
    ) -> Result<CommandReply, CommandError> {
        self.check_person(by)?;
        let call = grievance.call;
        self.check_writes(by, call)?;
        let text = &grievance.text;
        if text.trim().is_empty() || text.len() > NOTE_BYTES_MAX {
            let why = format!("must be 1 to {NOTE_BYTES_MAX} bytes of text");
            return Err(bad("text", &why));
        }
        for (field, text) in [("person", &grievance.person), ("number", &grievance.number)] {
            text.as_ref()
                .map_or(Ok(()), |text| check_text(field, text))?;
        }
        if grievance.about.len() > COMPLAINT_CALLS_MAX {
            let why = format!("must be at most {COMPLAINT_CALLS_MAX} calls");
            return Err(bad("about", &why));
        }
        self.complaints.make_room()?;
        let complaint = Complaint {
            complaint: ComplaintId(self.ids.next_uuid(self.now)),
            call,
            about: grievance.about.clone(),
            person: grievance.person.clone(),
            number: grievance.number.clone(),
            text: text.clone(),
            by: by.to_string(),
            at: self.now,
            held: true,
            closed: None,
        };
        let id = complaint.complaint;
        self.given(by, Some(call), "open_complaint");
        let told = Box::new(complaint.clone());
        self.say_of_complaint(&complaint, &EventKind::ComplaintOpened { complaint: told });
        self.complaints.all.insert(id, Arc::new(complaint));
        Ok(CommandReply::Complaint { complaint: id })
    }

    /// `CloseComplaint`: the hold stays until it is lifted.
    pub(super) fn close_complaint(
        &mut self,
        by: &Actor,
        id: ComplaintId,
        outcome: &str,
    ) -> Result<CommandReply, CommandError> {
        let known = self.complaint_of(by, id)?;
        check_text("outcome", outcome)?;
        if let Some(closed) = &known.closed {
            let state = format!("closed by {} at {}", closed.by, closed.at.rfc3339());
            return Err(wrong(id, state, "open a new one"));
        }
        let call = self.known(known.call);
        self.given(by, call, "close_complaint");
        let closed = Closed {
            by: by.to_string(),
            at: self.now,
            outcome: outcome.to_owned(),
        };
        let (by, outcome) = (by.clone(), outcome.to_owned());
        let kind = EventKind::ComplaintClosed {
            complaint: id,
            by,
            outcome,
        };
        self.say_of_complaint(&known, &kind);
        if let Some(complaint) = self.complaints.all.get_mut(&id) {
            Arc::make_mut(complaint).closed = Some(closed);
        }
        Ok(CommandReply::Done)
    }

    /// `LiftHold`: what its calls left may go when its time has come.
    pub(super) fn lift_hold(
        &mut self,
        by: &Actor,
        id: ComplaintId,
    ) -> Result<CommandReply, CommandError> {
        let known = self.complaint_of(by, id)?;
        if known.closed.is_none() {
            return Err(wrong(id, String::from("open"), "close it first"));
        }
        if !known.held {
            return Err(wrong(
                id,
                String::from("without a hold"),
                "nothing is left to do",
            ));
        }
        let call = self.known(known.call);
        self.given(by, call, "lift_hold");
        let kind = EventKind::HoldLifted {
            complaint: id,
            by: by.clone(),
        };
        self.say_of_complaint(&known, &kind);
        if let Some(complaint) = self.complaints.all.get_mut(&id) {
            Arc::make_mut(complaint).held = false;
        }
        Ok(CommandReply::Done)
    }

    fn complaint_of(&self, by: &Actor, id: ComplaintId) -> Result<Arc<Complaint>, CommandError> {
        match by {
            Actor::Supervisor(_) | Actor::User(_) => {}
            Actor::Seat(_) | Actor::Module(_) | Actor::Engine => {
                let why = "a seat opens a complaint; only a supervisor closes it or lifts its hold";
                return Err(not_allowed(by, why));
            }
        }
        let known = self.complaints.all.get(&id).cloned();
        known.ok_or_else(|| CommandError::Unknown {
            what: String::from("complaint"),
            id: id.to_string(),
        })
    }

    /// Said on each of its calls that is still remembered, or on none.
    fn say_of_complaint(&mut self, complaint: &Complaint, kind: &EventKind) {
        self.complaints.revision += 1;
        let known: BTreeSet<_> = complaint
            .calls()
            .filter_map(|call| self.known(call))
            .collect();
        for call in &known {
            self.say(*call, kind.clone());
        }
        if known.is_empty() {
            self.note(kind.clone());
        }
    }
}

fn wrong(id: ComplaintId, state: String, hint: &str) -> CommandError {
    CommandError::WrongState {
        what: format!("complaint {id}"),
        state,
        hint: hint.to_owned(),
    }
}
