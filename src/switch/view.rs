//! What people look at: a picture of the switch after each batch. Read by the API and the pages, never by the core.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::counters::Counters;
use super::event::AlarmCode;
use super::handover::Handover;
use super::self_test_steps::{SelfTestStep, StepTime};
use crate::call::{CallType, Cause, Complaint, Direction, GroupCall, Lists, Mode, Sheet};
use crate::id::{CallBackId, CallId, GroupId, LegId, MarkId, PhoneId, QueueId, SeatId, TrunkId};
use crate::time::Timestamp;

/// The whole picture.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct View {
    pub at: Timestamp,
    /// Open calls, oldest first.
    pub calls: Vec<CallView>,
    pub seats: Vec<SeatView>,
    /// Registered phones.
    pub phones: Vec<PhoneView>,
    pub trunks: Vec<TrunkView>,
    /// Supervisors who listen to a queue.
    pub queue_listeners: Vec<QueueListenerView>,
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
    pub counters: Counters,
    /// Trunks that are tested by calls of ours.
    pub self_tests: Vec<SelfTestView>,
    /// Standing bursts of calls.
    pub bursts: Vec<BurstView>,
    /// Grows with each change of the marks; they are asked for apart.
    pub marks_revision: u64,
    /// Every mark, newest first.
    #[serde(skip)]
    pub marks: Arc<Vec<MarkView>>,
    /// What people wrote on open calls and on those that ended last; asked for apart.
    #[serde(skip)]
    pub sheets: Arc<BTreeMap<CallId, Arc<Sheet>>>,
    /// Complaints, newest first; asked for apart.
    #[serde(skip)]
    pub complaints: Vec<Arc<Complaint>>,
    /// Handovers of shifts, newest first; asked for apart.
    #[serde(skip)]
    pub handovers: Vec<Arc<Handover>>,
    /// Group calls, newest first; asked for apart.
    #[serde(skip)]
    pub group_calls: Vec<Arc<GroupCall>>,
    /// Folder of the prompts.
    #[serde(skip)]
    pub language: String,
    /// Grows with each change of a group call.
    pub group_calls_revision: u64,
    /// Configured groups.
    #[serde(skip)]
    pub groups: Arc<BTreeMap<GroupId, Vec<String>>>,
    /// Grows with each change of complaints or handovers.
    pub duty_revision: u64,
    /// What a form may choose from.
    #[serde(skip)]
    pub lists: Arc<Lists>,
}

/// Many calls of one place in a short time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct BurstView {
    /// `trunk ct`, `area 0755`, `cell 460-00-102D-108F00D`.
    pub place: String,
    pub since: Timestamp,
    /// Its calls that still wait; those whose place is unknown first.
    pub calls: Vec<CallId>,
}

/// What people see beside a call's number. Labels and hints: none of it holds a call up.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ScreenView {
    /// 反复呼入.
    pub repeated: bool,
    /// Calls of the number within the window, this one included.
    pub repeat_calls: u32,
    /// The number is one person's, so that it can be marked.
    pub markable: bool,
    /// The number's open mark.
    pub mark: Option<CallMark>,
    pub score: Option<ScoreView>,
    /// An earlier call from close by: probably the same incident.
    pub near: Option<NearView>,
}

/// The open mark of a caller's number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct CallMark {
    pub mark: MarkId,
    /// `proposed` or `confirmed`.
    pub state: String,
    pub reason: String,
    pub until: Option<Timestamp>,
}

/// What a number's behaviour looks like, 0 to 100, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ScoreView {
    pub points: u8,
    /// A person is asked to look.
    pub proposes: bool,
    pub zh: Vec<String>,
    pub en: Vec<String>,
}

/// Another call close by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct NearView {
    pub call: CallId,
    pub metres: u32,
}

/// A mark on a number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct MarkView {
    pub mark: MarkId,
    pub number: String,
    pub e164: String,
    /// `proposed`, `confirmed`, `lifted`, `expired`.
    pub state: String,
    pub reason: String,
    /// The call that gave cause.
    pub call: CallId,
    /// The number's calls of the day before.
    pub evidence: Vec<CallId>,
    /// What its behaviour looked like then.
    pub score: ScoreView,
    pub proposed_by: String,
    pub proposed_at: Timestamp,
    pub confirmed_by: Option<String>,
    pub confirmed_at: Option<Timestamp>,
    /// When a person should look at it at the latest.
    pub review_at: Option<Timestamp>,
    /// When it ends by itself.
    pub until: Option<Timestamp>,
    pub ended_at: Option<Timestamp>,
    pub ended_by: Option<String>,
    pub ended_why: Option<String>,
}

/// States of a call (design: Arriving -> Greeting -> Waiting -> Offered -> Talking -> ... -> Ended).
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CallState {
    Arriving,
    /// Choosing in a menu.
    InMenu,
    /// A call that we make: the seat that dialled is being rung.
    Dialling,
    Greeting,
    Waiting,
    Offered,
    Talking,
    /// Its caller is on hold.
    Held,
    /// Put aside by a seat.
    Shelved,
    Conferencing,
    Closing,
}

/// One open call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct CallView {
    pub call: CallId,
    pub serial_no: String,
    pub state: CallState,
    /// Who made it; the number of a call that we make stands in `caller` all the same.
    pub direction: Direction,
    pub trunk: Option<TrunkId>,
    pub caller: String,
    pub called: String,
    pub received_at: Timestamp,
    /// Number of waiting calls before it; absent when not waiting.
    pub position: Option<u32>,
    pub wait_exceeded: bool,
    pub answered_at: Option<Timestamp>,
    /// The seat that rings for it, talks in it or put it aside; of a joined call without its own, the seat that joined it.
    pub seat: Option<SeatId>,
    /// Calls that talk with it as one (合并通话).
    pub joined_with: Vec<CallId>,
    pub hold: Option<HoldView>,
    pub shelf: Option<ShelfView>,
    pub silent: Option<SilentView>,
    pub transfer: Option<TransferView>,
    pub incident_id: Option<String>,
    /// 车组: it calls from a number that was named for another call.
    pub crew_of: Option<CrewOfView>,
    /// Numbers of crews that were named for this call.
    pub crew: Vec<String>,
    /// Its seat asks for a supervisor.
    pub assist: Option<AssistView>,
    /// Where it waits, or waited.
    pub queue: QueueId,
    /// Seconds that a supervisor has it stand earlier.
    pub ahead_s: u32,
    pub screen: ScreenView,
    /// What was found out about it so far (places, line data, history): with each its record has more.
    pub findings: u32,
    /// Revision of its form (受理单); 0: nobody has written.
    pub form_revision: u32,
    pub call_type: Option<CallType>,
    /// 受理时间超长: steps told so far, 0 to 2.
    pub handling_level: u8,
    /// 医学指导 goes on.
    pub medical_advice: bool,
    /// Steps done and all steps of its checklist, while it is a major incident (突发事件).
    pub major: Option<(u32, u32)>,
    pub legs: Vec<LegView>,
}

/// What a crew's call is about (车组).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct CrewOfView {
    /// The call of its incident.
    pub call: CallId,
    /// The seat that had it, and is asked first.
    pub seat: Option<SeatId>,
}

/// A caller on hold (保持).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct HoldView {
    pub since: Timestamp,
    /// `command`, or `phone`: only the seat's phone takes it back.
    pub by: String,
    /// People were told that it lasts.
    pub reminded: bool,
}

/// A seat asks for a supervisor (呼叫班长).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct AssistView {
    pub seat: SeatId,
    pub since: Timestamp,
    /// The supervisor who comes.
    pub taken: Option<SeatId>,
}

/// A caller who could not be heard and was asked to press a key (静默呼叫).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct SilentView {
    pub asked_at: Timestamp,
    /// His last key since; absent: none yet.
    pub key: Option<String>,
    pub key_at: Option<Timestamp>,
}

/// A transfer under way (转移).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct TransferView {
    pub from: SeatId,
    /// The seat or the number.
    pub to: String,
    /// `blind`, `attended`, `conference`.
    pub kind: String,
    /// The target has answered: it can be completed.
    pub up: bool,
}

/// A caller put aside (受理搁置); `seat` of the call is the owner, absent when anybody may take him.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ShelfView {
    pub since: Timestamp,
    /// Then he is the next in the queue.
    pub until: Timestamp,
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
    /// What a supervisor's leg does.
    pub mode: Option<Mode>,
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

impl SeatState {
    /// As Events name it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::SignedOut => "signed_out",
            Self::NotReady => "not_ready",
            Self::Ready => "ready",
            Self::Reserved => "reserved",
            Self::Ringing => "ringing",
            Self::Talking => "talking",
            Self::WrapUp => "wrap_up",
            Self::Listening => "listening",
            Self::Unreachable => "unreachable",
        }
    }
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
    /// The phone that it sits at.
    pub phone: Option<PhoneId>,
    pub registered: bool,
}

/// One registered phone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct PhoneView {
    pub phone: PhoneId,
    /// Who sits there.
    pub seat: Option<SeatId>,
}

/// A supervisor's phone that listens to a queue (队列监听).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct QueueListenerView {
    pub seat: SeatId,
    /// Absent: all queues.
    pub queue: Option<QueueId>,
    /// What he hears; absent while nobody waits.
    pub call: Option<CallId>,
    /// His phone is picked up.
    pub up: bool,
    /// Since when he hears it, or nobody.
    pub since: Timestamp,
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

/// A trunk that is tested by calls of ours (自检呼入).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct SelfTestView {
    pub trunk: TrunkId,
    /// When it is looked at next, unless somebody calls on it before.
    pub next_at: Option<Timestamp>,
    /// Its number was answered elsewhere: nothing is dialled by itself any more.
    pub paused: bool,
    /// When the first of the tests began that failed since the last success.
    pub deaf_since: Option<Timestamp>,
    /// The test under way: `failed` is absent, `ms` is its age.
    pub running: Option<SelfTestResult>,
    /// The step that it waits for.
    pub awaits: Option<SelfTestStep>,
    /// The last one.
    pub last: Option<SelfTestResult>,
}

/// How one test went.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct SelfTestResult {
    /// The call that was made for it.
    pub call: CallId,
    pub began: Timestamp,
    /// Who started it: `engine` by itself.
    pub by: String,
    /// The step that did not come; absent: it passed.
    pub failed: Option<SelfTestStep>,
    /// Why, in words.
    pub cause: Option<String>,
    pub ms: u64,
    /// The steps that were reached, in their order, in ms since it began.
    pub steps: Vec<StepTime>,
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
    /// 反复呼入: its caller was left unanswered again and again.
    pub urgent: bool,
    /// `open`, `dialling` (a seat rings him now) or `on_line` (he rang again).
    pub state: String,
    /// The call that is made to him, or that he made again.
    pub with: Option<CallId>,
    /// The seat that dialled last.
    pub seat: Option<SeatId>,
    /// Since it became due.
    pub attempts: u32,
    /// Why the last attempt failed.
    pub failed: Option<Cause>,
    /// When to try again; after three attempts a person closes it.
    pub next_at: Option<Timestamp>,
    pub overdue: bool,
}

/// One standing alarm.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct AlarmView {
    pub code: AlarmCode,
    pub subject: String,
    pub detail: String,
    pub since: Timestamp,
}
