//! 交接班: what is open at the end of a shift is listed, given to a seat, and taken over by the person there. Open work
//! belongs to the centre; a handover says who answers for it from now on. WS/T 451-2014 7.2.1.2-g.

use std::collections::VecDeque;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::commands::not_allowed;
use super::form::bad;
use super::{Actor, CallState, CallView, CommandError, CommandReply, EventKind, Switch, View};
use crate::id::{CallBackId, CallId, ComplaintId, HandoverId, SeatId};
use crate::limits::{HANDOVERS_MAX, NOTE_BYTES_MAX};
use crate::time::Timestamp;

/// What is open in the centre now.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct OpenItems {
    /// Open calls that a seat answered.
    pub calls: Vec<CallId>,
    pub call_backs: Vec<CallBackId>,
    pub complaints: Vec<ComplaintId>,
    /// Handed over and not yet taken over.
    pub handovers: Vec<HandoverId>,
}

/// One handover from seat to seat.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Handover {
    pub handover: HandoverId,
    pub from: String,
    pub to: SeatId,
    pub at: Timestamp,
    pub note: String,
    pub items: OpenItems,
    /// Who took it over, and when; absent: nobody has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub taken_by: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub taken_at: Option<Timestamp>,
}

/// The last handovers, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Handovers {
    all: VecDeque<Arc<Handover>>,
    /// Grows with each change.
    pub(super) revision: u64,
}

impl Handovers {
    pub(super) fn shown(&self) -> Vec<Arc<Handover>> {
        self.all.iter().rev().cloned().collect()
    }
}

impl View {
    /// What the next shift finds.
    #[must_use]
    pub fn open_items(&self) -> OpenItems {
        let answered = |c: &&CallView| c.answered_at.is_some() && c.state != CallState::Closing;
        let complaints = self.complaints.iter().filter(|c| c.closed.is_none());
        let pending = self.handovers.iter().filter(|h| h.taken_by.is_none());
        OpenItems {
            calls: self.calls.iter().filter(answered).map(|c| c.call).collect(),
            call_backs: self.call_backs.iter().map(|b| b.call_back).collect(),
            complaints: complaints.map(|c| c.complaint).collect(),
            handovers: pending.map(|h| h.handover).collect(),
        }
    }
}

impl Switch {
    /// `HandOver`.
    pub(super) fn hand_over(
        &mut self,
        by: &Actor,
        to: &SeatId,
        note: &str,
    ) -> Result<CommandReply, CommandError> {
        self.check_person(by)?;
        if note.len() > NOTE_BYTES_MAX {
            return Err(bad(
                "note",
                &format!("must be at most {NOTE_BYTES_MAX} bytes"),
            ));
        }
        if !self.seats.contains_key(to) {
            return Err(bad("to", "is no seat of this centre"));
        }
        if seat_of(by) == Some(to) {
            return Err(bad(
                "to",
                "is the own seat; the next shift signs in first, or name another",
            ));
        }
        let handover = Handover {
            handover: HandoverId(self.ids.next_uuid(self.now)),
            from: by.to_string(),
            to: to.clone(),
            at: self.now,
            note: note.to_owned(),
            items: self.view().open_items(),
            taken_by: None,
            taken_at: None,
        };
        let id = handover.handover;
        self.given(by, None, "hand_over");
        let told = Box::new(handover.clone());
        self.note(EventKind::ShiftHandover { handover: told });
        self.handovers.revision += 1;
        self.handovers.all.push_back(Arc::new(handover));
        while self.handovers.all.len() > HANDOVERS_MAX {
            self.handovers.all.pop_front();
        }
        Ok(CommandReply::Handover { handover: id })
    }

    /// `TakeOverShift`: the person at that seat, or a supervisor, says that he has it.
    pub(super) fn take_over_shift(
        &mut self,
        by: &Actor,
        id: HandoverId,
    ) -> Result<CommandReply, CommandError> {
        self.check_person(by)?;
        let known = self.handovers.all.iter().find(|h| h.handover == id);
        let Some(known) = known else {
            return Err(CommandError::Unknown {
                what: String::from("handover"),
                id: id.to_string(),
            });
        };
        if let (Some(who), Some(at)) = (&known.taken_by, known.taken_at) {
            return Err(CommandError::WrongState {
                what: format!("handover {id}"),
                state: format!("taken over by {who} at {}", at.rfc3339()),
                hint: String::from("nothing is left to do"),
            });
        }
        if known.from == by.to_string() {
            return Err(not_allowed(by, "who hands over does not take over"));
        }
        if matches!(by, Actor::Seat(own) if *own != known.to) {
            let why = format!("it is for seat {}; a supervisor may take any", known.to);
            return Err(not_allowed(by, &why));
        }
        self.given(by, None, "take_over_shift");
        self.handovers.revision += 1;
        let (who, at) = (by.to_string(), self.now);
        if let Some(known) = self.handovers.all.iter_mut().find(|h| h.handover == id) {
            let known = Arc::make_mut(known);
            (known.taken_by, known.taken_at) = (Some(who), Some(at));
        }
        let by = by.clone();
        self.note(EventKind::ShiftTakenOver { handover: id, by });
        Ok(CommandReply::Done)
    }
}

const fn seat_of(by: &Actor) -> Option<&SeatId> {
    match by {
        Actor::Seat(seat) | Actor::Supervisor(seat) => Some(seat),
        Actor::User(_) | Actor::Module(_) | Actor::Engine => None,
    }
}
