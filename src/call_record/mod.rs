//! The enriched call record (呼叫记录) `ecr/1`: what dispatch and EMR modules receive. A record is the fold of one
//! call's Events and of nothing else, so a replay makes the same record and an upgrade never rewrites history.
//!
//! ```text
//! call.received | call.dialled -> rev 1 (call.arrived) -> every change: rev + 1 (call.enriched) -> call.settled (call.closed)
//!                                                                     `-> a later change: rev + 1 (call.enriched)
//! ```
//! The public document is all the state a fold needs: a stored record can be read back and folded further. Unknown is
//! absent. Times are RFC 3339 UTC with milliseconds, spans are whole ms of those times, coordinates are WGS 84 with
//! the source's own datum beside them. Refuses to know: who reads it, how it is stored, what a module makes of it.
//! Shape: `schema/call-record.schema.json` (JSON Schema 2020-12); intervals: WS/T 451-2014 3.9-3.12, 7.2.1.1.

mod crew;
mod fold;
mod form;
mod group_call;
mod handling;
mod made;
mod moment;
mod parts;
mod publish;
mod screened;
mod seat_steps;
mod why;
mod why_seat;

pub use crew::Crew;
pub use form::{
    Contact, FormRevision, Person, RecordedComplaint, RecordedForm, RecordedMajor, RecordedNote,
    RecordedStep, RecordedType,
};
pub use group_call::{RecordedGroupCall, RecordedTarget};
pub use handling::{Advice, Exceeded, Handling};
pub use made::{Callee, Link};
pub use moment::Moment;
pub use parts::{
    Abandoned, Acknowledgement, AlarmNote, CallBack, CallBackAttempt, Caller, Civic, Conference,
    ConferenceParty, Dispatch, DispatchOrder, End, FailedLookup, Harassment, History, JoinedCall,
    MenuKey, MenuStay, Metrics, QueueStay, RecordedHandOver, RecordedLocation, RecordedRecording,
    RecordedTrack, RecordedTransfer, Screening, SeatStay, ShelfStay, Silent, Supervision, Times,
};
pub use publish::{DeliveryType, publish};
pub use why::{Because, What, Why};
pub use why_seat::WhySeat;

use serde::{Deserialize, Serialize};

use crate::call::Chosen;
use crate::id::{CallId, TrunkId};
use crate::switch::{Centre, Event};

/// Name and version of the shape.
pub const SCHEMA: &str = "ecr/1";
/// Media type of a record.
pub const MEDIA_TYPE: &str = "application/vnd.ecr.v1+json";

/// One call as the outside sees it. Field by field: `schema/call-record.schema.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CallRecord {
    pub schema: String,
    /// Grows by one with each Event that changes the record; the highest one is valid.
    pub rev: u64,
    pub call_id: CallId,
    /// The dispatch module's own id (事件编码).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incident_id: Option<String>,
    /// 流水号: yyyymmdd and six digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial_no: Option<String>,
    pub centre: Centre,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<String>,
    pub direction: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trunk: Option<TrunkId>,
    /// 来电类型.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call_type: Option<RecordedType>,
    #[serde(default)]
    pub caller: Caller,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub person: Option<Person>,
    /// 呼救原因.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Chosen>,
    /// 呼救区域.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub area: Option<Chosen>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contact: Option<Contact>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub form: Option<RecordedForm>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<RecordedNote>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub callee: Option<Callee>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handling: Option<Handling>,
    /// 突发事件.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub major_incident: Option<RecordedMajor>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub complaints: Vec<RecordedComplaint>,
    /// 封存: a complaint holds it; neither it nor its recordings may be deleted.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub legal_hold: bool,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub locations: Vec<RecordedLocation>,
    /// Sources that did not answer, so that nobody takes silence for "nothing known".
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failed_lookups: Vec<FailedLookup>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub history: Option<History>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub screening: Option<Screening>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub menu: Option<MenuStay>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue: Option<QueueStay>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub seats: Vec<SeatStay>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shelves: Vec<ShelfStay>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub transfers: Vec<RecordedTransfer>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub silent: Option<Silent>,
    /// People outside took it from the queue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handed_over: Option<RecordedHandOver>,
    pub times: Times,
    pub metrics: Metrics,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conference: Option<Conference>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub joined_calls: Vec<JoinedCall>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<Link>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crew: Option<Crew>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub supervision: Vec<Supervision>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub recordings: Vec<RecordedRecording>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dispatch: Option<Dispatch>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub acknowledgements: Vec<Acknowledgement>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub call_backs: Vec<CallBack>,
    /// 群呼 about this call.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub group_calls: Vec<RecordedGroupCall>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub alarms: Vec<AlarmNote>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub abandoned: Option<Abandoned>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<End>,
}

impl CallRecord {
    /// The record of `call` before its first Event (revision 0).
    #[must_use]
    pub fn new(call: CallId, centre: &Centre) -> Self {
        Self {
            schema: SCHEMA.to_owned(),
            rev: 0,
            call_id: call,
            incident_id: None,
            serial_no: None,
            centre: centre.clone(),
            channel: None,
            direction: "inbound".to_owned(),
            trunk: None,
            call_type: None,
            caller: Caller::default(),
            person: None,
            reason: None,
            area: None,
            contact: None,
            form: None,
            notes: Vec::new(),
            callee: None,
            handling: None,
            major_incident: None,
            complaints: Vec::new(),
            legal_hold: false,
            locations: Vec::new(),
            failed_lookups: Vec::new(),
            history: None,
            screening: None,
            menu: None,
            queue: None,
            seats: Vec::new(),
            shelves: Vec::new(),
            transfers: Vec::new(),
            silent: None,
            handed_over: None,
            times: Times::default(),
            metrics: Metrics::default(),
            conference: None,
            joined_calls: Vec::new(),
            links: Vec::new(),
            crew: None,
            supervision: Vec::new(),
            recordings: Vec::new(),
            dispatch: None,
            acknowledgements: Vec::new(),
            call_backs: Vec::new(),
            group_calls: Vec::new(),
            alarms: Vec::new(),
            abandoned: None,
            end: None,
        }
    }

    /// Fold all Events of one call, oldest first. `None` when no Event belongs to a call. Events of other calls
    /// than the first one's are passed over.
    pub fn fold<'a>(centre: &Centre, events: impl IntoIterator<Item = &'a Event>) -> Option<Self> {
        let mut record: Option<Self> = None;
        for event in events {
            let Some(call) = event.call else { continue };
            let record = record.get_or_insert_with(|| Self::new(call, centre));
            if record.call_id == call {
                record.apply(event);
            }
        }
        record
    }

    /// Take one Event of this call in; true when the record changed (then `rev` grew by one).
    pub fn apply(&mut self, event: &Event) -> bool {
        let before = self.clone();
        self.take_in(event);
        let changed = *self != before;
        if changed {
            self.rev += 1;
        }
        changed
    }

    /// The result of the call once it has ended: `answered`, `abandoned`, `lost`, `refused_capacity`, `not_reached`.
    #[must_use]
    pub fn outcome(&self) -> Option<&str> {
        self.end.as_ref().map(|end| end.result.as_str())
    }

    /// The seat that answered first, else the one rung last.
    #[must_use]
    pub fn seat(&self) -> Option<&crate::id::SeatId> {
        self.seats
            .iter()
            .find(|seat| seat.answer_at.is_some())
            .or_else(|| self.seats.last())
            .map(|seat| &seat.seat_id)
    }
}
