//! The objects inside a record. Names, units and codes as in `schema/call-record.schema.json`.

use serde::{Deserialize, Serialize};

use super::Moment;
use crate::call::{Cause, TransferKind, TransferTo};
use crate::geo::{Datum, LatLon};
use crate::id::{
    CallBackId, CallId, DestinationId, LegId, MarkId, MenuId, QueueId, RecordingId, ReliefId,
    SeatId,
};
use crate::phone::Number;
use crate::switch::{Actor, AlarmCode, LineData, NetworkCell, Shape};

/// What screening said of the call: labels and hints, and the prompt that a confirmed verdict chose.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Screening {
    /// Calls of the number within the repeat window, this one included (反复呼入).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repeat_calls: Option<u32>,
    /// Of them unanswered, when that was once too often.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unanswered: Option<u32>,
    /// A mark on its number that began with this call, or that this call met.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub harassment: Option<Harassment>,
    /// When the education prompt began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub education_at: Option<Moment>,
    /// An earlier call from close by, probably of the same incident.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub near_call: Option<CallId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub near_m: Option<u32>,
}

/// A mark on the caller's number (骚扰标记).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Harassment {
    pub mark: MarkId,
    /// `suspected`, `confirmed`, `cleared`.
    pub level: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// 0-100, from behaviour, when it was suspected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score: Option<u8>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Moment>,
}

/// Who called, from where in the network.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Caller {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<Number>,
    /// Display name sent with the number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What was dialled, as it came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub called_number: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub diverted_from: Vec<String>,
    /// 机主, 装机地址, 接线箱地址.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<LineData>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<NetworkCell>,
}

/// One position, in WGS 84, with the source's own coordinates beside it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RecordedLocation {
    /// `l1`, `l2`, ... in order of arrival; of the form: `scene`, `pickup`.
    pub id: String,
    /// `caller`, `scene`, `pickup`, `install`.
    pub kind: String,
    /// Degrees, WGS 84.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lat: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lon: Option<f64>,
    /// Always `WGS84`; absent without coordinates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crs: Option<Datum>,
    /// The datum of `original`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crs_source: Option<Datum>,
    /// As the source sent them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub original: Option<LatLon>,
    pub shape: Shape,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub radius_m: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confidence_pct: Option<u8>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub civic: Option<Civic>,
    /// `pidf`, `ali` (line data), `lbs` (cell), `seat`.
    pub source: String,
    /// When the source measured it, as the source wrote it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
    pub received_at: Moment,
}

/// A civic address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Civic {
    /// The whole address as one text.
    pub detail: String,
}

/// A source that gave no answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedLookup {
    pub source: String,
    pub reason: String,
    pub at: Moment,
}

/// Earlier calls of the same number.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct History {
    pub window_days: u32,
    pub count: u32,
    /// Newest first, at most 20.
    pub last_calls: Vec<serde_json::Value>,
}

/// The way through a menu (语音菜单).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MenuStay {
    pub id: MenuId,
    pub start: Moment,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<Moment>,
    /// What was pressed, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<MenuKey>,
    /// `chosen`, `announced`, `silence`, `wrong_key`, `time_up`, `fault`, `ended` (the call ended in it).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Where it led.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue: Option<QueueId>,
}

/// One key pressed in a menu.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MenuKey {
    pub at: Moment,
    pub node: String,
    pub digit: char,
}

/// The stay in the queue. With several passes: the first `enter_at`, the last `leave_at`, `wait_ms` summed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueStay {
    pub id: QueueId,
    pub enter_at: Moment,
    /// Start of the pass that is running; absent while the call is not in the queue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting_since: Option<Moment>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leave_at: Option<Moment>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leave_reason: Option<String>,
    pub position_at_enter: u32,
    pub passes: u32,
    pub wait_ms: u64,
}

/// One seat's part in the call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeatStay {
    pub seat_id: SeatId,
    pub role: String,
    pub leg_id: LegId,
    pub ring_at: Moment,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer_at: Option<Moment>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release_at: Option<Moment>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ring_ms: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub talk_ms: Option<u64>,
    /// Of the talk, the caller was on hold (保持).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold_ms: Option<u64>,
    /// Start of the hold that is on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_since: Option<Moment>,
    /// `ringing`, `answered`, `no_answer`, `rejected`, `withdrawn`.
    pub result: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<Cause>,
}

impl SeatStay {
    /// It has answered and not left.
    pub(super) const fn talks(&self) -> bool {
        self.answer_at.is_some() && self.release_at.is_none()
    }

    /// The hold that is on, if any, is over.
    pub(super) fn resume(&mut self, at: Moment) {
        if let Some(since) = self.held_since.take() {
            self.hold_ms = Some(self.hold_ms.unwrap_or(0) + at.millis_since(since));
        }
    }
}

/// The caller could not be heard and was asked to press a key (静默呼叫).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Silent {
    /// The first time.
    pub asked_at: Moment,
    pub by: Actor,
    /// His first key after that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<char>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_at: Option<Moment>,
}

/// One transfer (转移).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedTransfer {
    pub at: Moment,
    pub from: SeatId,
    /// `{"seat": ..}`, `{"queue": ..}` or `{"number": ..}`, a number with its middle digits hidden.
    pub to: TransferTo,
    /// `blind`, `attended`, `conference`.
    pub kind: TransferKind,
    pub by: Actor,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Moment>,
    /// As `call.transferred` names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
}

/// People outside (邻近中心、移动组) took the call from the queue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedHandOver {
    pub at: Moment,
    /// As the configuration names them.
    pub relief: ReliefId,
    /// With its middle digits hidden.
    pub number: String,
}

/// One stay on the shelf (受理搁置).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShelfStay {
    pub start: Moment,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<Moment>,
    /// The seat that put the caller aside.
    pub seat_id: SeatId,
    pub by: Actor,
    /// `key`, `time_up`, `idle`, `seat`; `ended`: the caller left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// That seat takes no calls any more: anybody's since then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handed_over_at: Option<Moment>,
}

/// When things happened.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Times {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub received: Option<Moment>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answered_by_system: Option<Moment>,
    /// The first prompt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ivr_start: Option<Moment>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue_enter: Option<Moment>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_ring: Option<Moment>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait_exceeded: Option<Moment>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answered: Option<Moment>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Moment>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settled: Option<Moment>,
}

/// Spans in ms, computed from [`Times`] and the stays.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Metrics {
    /// 摘机时间: first seat ring to answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offhook_ms: Option<u64>,
    /// 呼入等待: arrival to answer, or to the caller's giving up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait_ms: Option<u64>,
    /// 排队等待时间: all finished passes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue_ms: Option<u64>,
    /// On the shelf, summed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shelved_ms: Option<u64>,
    /// All seats' finished talks, summed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub talk_ms: Option<u64>,
}

/// Third parties (三方通话).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conference {
    pub parties: Vec<ConferenceParty>,
}

/// One third party.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConferenceParty {
    pub leg_id: LegId,
    pub role: String,
    /// The number with its middle digits hidden.
    pub uri_masked: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ring_at: Option<Moment>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub join_at: Option<Moment>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leave_at: Option<Moment>,
    /// `ringing`, `joined`, `failed`, `left`.
    pub result: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<Cause>,
}

/// Another call that talked with this one as one (合并通话).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinedCall {
    pub call_id: CallId,
    pub serial_no: String,
    /// The call whose seat joined them: this one or the other.
    pub into: CallId,
    pub by: Actor,
    pub joined_at: Moment,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parted_at: Option<Moment>,
}

/// One supervision (班长监听).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Supervision {
    pub who: SeatId,
    pub mode: String,
    pub leg_id: LegId,
    pub start: Moment,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<Moment>,
}

/// One recording (录音).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RecordedRecording {
    pub id: RecordingId,
    /// `recording`, `sealed`, `failed`.
    pub state: String,
    /// Path under the recordings directory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uri: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tracks: Vec<RecordedTrack>,
    pub start: Moment,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<Moment>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size_bytes: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sealed_at: Option<Moment>,
    /// Why audio is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
}

/// One party's track: channel `n` of the file is track `n`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedTrack {
    pub party: String,
    pub codec: String,
    pub hz: u32,
    /// Audio that came from the network.
    pub heard_ms: u64,
    /// Spans without audio, ms from `start`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gaps: Vec<(u64, u64)>,
}

/// What dispatch modules reported.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dispatch {
    pub orders: Vec<DispatchOrder>,
}

/// One order (派车).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DispatchOrder {
    pub id: String,
    pub at: Moment,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub station: Option<String>,
    pub vehicle: String,
    pub by: Actor,
    /// Why it was reassigned or cancelled last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Earlier vehicles of this order, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reassigned_from: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cancelled_at: Option<Moment>,
}

/// A destination took the call in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acknowledgement {
    pub destination: DestinationId,
    /// The first one.
    pub at: Moment,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incident_id: Option<String>,
}

/// Work left open for the centre (回拨).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallBack {
    pub id: CallBackId,
    pub reason: String,
    pub due_at: Moment,
    /// At most 16.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attempts: Vec<CallBackAttempt>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed_at: Option<Moment>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<Actor>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
}

/// One try to call back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallBackAttempt {
    pub at: Moment,
    pub seat_id: SeatId,
    /// The call that was made.
    pub call_id: CallId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connected_at: Option<Moment>,
    /// Why nobody was reached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<Cause>,
}

/// An alarm that names this call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlarmNote {
    pub code: AlarmCode,
    pub detail: String,
    pub at: Moment,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cleared_at: Option<Moment>,
}

/// The caller left before an answer (放弃).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Abandoned {
    pub at: Moment,
    pub stage: String,
    pub waited_ms: u64,
}

/// How the call ended for the caller.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    pub at: Moment,
    /// `caller`, `seat`, `network`, `system`.
    pub by: String,
    pub cause: Cause,
    pub cause_sip: u16,
    pub cause_q850: u8,
    /// `answered`, `abandoned`, `lost`, `refused_capacity`, `not_reached`.
    pub result: String,
}
