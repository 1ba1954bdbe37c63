//! What people look at: a picture of the switch after each batch. Read by the API and the pages, never by the core.

use serde::{Deserialize, Serialize};

use super::event::AlarmCode;
use crate::id::{CallBackId, CallId, LegId, SeatId, TrunkId};
use crate::time::Timestamp;

/// The whole picture.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct View {
    pub at: Timestamp,
    /// Open calls, oldest first.
    pub calls: Vec<CallView>,
    pub seats: Vec<SeatView>,
    pub trunks: Vec<TrunkView>,
    /// Open call-backs, most urgent first.
    pub call_backs: Vec<CallBackView>,
    /// Standing alarms, oldest first.
    pub alarms: Vec<AlarmView>,
    /// Calls since start: arrived, answered, abandoned, lost, refused.
    pub arrived: u64,
    pub answered: u64,
    pub abandoned: u64,
    pub lost: u64,
    pub refused: u64,
}

/// States of a call (design: Arriving -> Greeting -> Waiting -> Offered -> Talking -> ... -> Ended).
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CallState {
    Arriving,
    Greeting,
    Waiting,
    Offered,
    Talking,
    Conferencing,
    Closing,
}

/// One open call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct CallView {
    pub call: CallId,
    pub serial_no: String,
    pub state: CallState,
    pub trunk: Option<TrunkId>,
    pub caller: String,
    pub called: String,
    pub received_at: Timestamp,
    /// Number of waiting calls before it; absent when not waiting.
    pub position: Option<u32>,
    pub wait_exceeded: bool,
    pub answered_at: Option<Timestamp>,
    pub seat: Option<SeatId>,
    pub incident_id: Option<String>,
    pub legs: Vec<LegView>,
}

/// One leg of an open call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct LegView {
    pub leg: LegId,
    /// As [`crate::call::Party`] prints.
    pub party: String,
    /// `ringing`, `early_media`, `up`, `held`, `ending`.
    pub state: String,
    pub number: Option<String>,
}

/// States of a seat.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SeatState {
    SignedOut,
    NotReady,
    Ready,
    Reserved,
    Ringing,
    Talking,
    WrapUp,
    Listening,
    Unreachable,
}

/// One configured seat.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct SeatView {
    pub seat: SeatId,
    pub supervisor: bool,
    pub state: SeatState,
    pub reason: Option<String>,
    pub since: Timestamp,
    pub call: Option<CallId>,
    pub registered: bool,
}

/// One configured trunk.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct TrunkView {
    pub trunk: TrunkId,
    /// Absent until the first OPTIONS is answered or given up.
    pub up: Option<bool>,
    pub since: Timestamp,
    pub detail: String,
}

/// One open call-back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct CallBackView {
    pub call_back: CallBackId,
    pub call: CallId,
    pub number: String,
    pub reason: String,
    pub due_at: Timestamp,
    /// Abandoned calls merged into this entry.
    pub calls: u32,
}

/// One standing alarm.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct AlarmView {
    pub code: AlarmCode,
    pub subject: String,
    pub detail: String,
    pub since: Timestamp,
}
