//! Everything that can happen to the switch. Inputs are journaled; replaying them rebuilds the state.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::complaint::Grievance;
use super::event::{AlarmCode, CallEnd, Outcome};
use super::policy::Policy;
use crate::call::{
    Arrival, Complaint, FormChange, GroupWish, LegEvent, Mode, TransferKind, TransferTo,
};
use crate::geo::{Datum, LatLon};
use crate::id::{
    CallBackId, CallId, CommandId, ComplaintId, DestinationId, GroupCallId, HandoverId, LegId,
    MarkId, PhoneId, PlayId, QueueId, RecordingId, SeatId, TrunkId,
};
use crate::screen::Mark;
use crate::time::{Millis, Timestamp};

/// One Input and when it happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Input {
    /// When the shell took it in. Due timers up to here fire first.
    pub at: Timestamp,
    /// What happened.
    pub kind: InputKind,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "input", rename_all = "snake_case")]
pub enum InputKind {
    /// The process started. Whatever was open before is orphaned: outcome, call-backs and dialogs are settled.
    Started {
        seed: u64,
        build: String,
        policy: Box<Policy>,
    },
    /// A checked configuration was loaded while running.
    PolicyChanged { policy: Box<Policy> },
    /// A call came in.
    Arrived { arrival: Box<Arrival> },
    /// The same INVITE again after a restart: joins its old record, makes no new call.
    ArrivedAgain { invite_key: String },
    /// Signalling of one leg.
    Leg { leg: LegId, event: LegEvent },
    /// Media of one leg.
    Media { leg: LegId, event: MediaEvent },
    /// The recorder speaks of a call.
    Recording { call: CallId, event: RecordingEvent },
    /// Enrichment found something; possibly long after it was asked.
    Found { call: CallId, finding: Box<Finding> },
    /// A phone registered, left or stopped answering; `seat` is its account, which is its own seat's name if it has one.
    Seat { seat: SeatId, link: SeatLink },
    /// Somebody keyed the PIN that was asked for on this leg; the PIN itself is known outside only.
    Pin { leg: LegId, right: bool },
    /// A trunk changed.
    Trunk { trunk: TrunkId, change: TrunkChange },
    /// An INVITE came from an address that no trunk admits (answered 403 by the shell).
    UnknownSource { address: String, count: u64 },
    /// Somebody commands by the API.
    Command {
        id: CommandId,
        by: Actor,
        command: Command,
    },
    /// A part of the shell raises or clears an alarm.
    Alarm {
        code: AlarmCode,
        subject: String,
        detail: String,
        raised: bool,
    },
    /// Only the time: due timers fire.
    Tick,
    /// The shell rebuilt the switch after a panic on the Input before; `call` is the call that Input named.
    Skipped {
        call: Option<CallId>,
        reason: String,
    },
    /// What the journal's Events still knew when its state could not be read.
    Remembered {
        marks: Vec<Mark>,
        #[serde(default)]
        complaints: Vec<Complaint>,
    },
}

/// What media tells of a leg.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum MediaEvent {
    /// The first valid RTP of the leg.
    RtpStarted,
    /// A playback came to its end (never sent for a repeating sound).
    PlayEnded { play: PlayId },
    /// One key press (RFC 4733, reported once, at its end).
    Digit { digit: char, duration_ms: u32 },
    /// A key in the sound of a leg that is listened to ([`MediaCommand::Hear`](super::MediaCommand)).
    Tone { digit: char },
    /// No RTP for 60 s; or it came back.
    RtpLost { lost: bool },
}

/// What the recorder tells of a call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum RecordingEvent {
    /// The capture is open on disk.
    Started {
        recording: RecordingId,
        at: Timestamp,
    },
    /// The call's file is complete.
    Sealed(SealedRecording),
    /// Audio is being lost or the file could not be made; `detail` says why and what to do.
    Failed {
        recording: RecordingId,
        detail: String,
    },
}

impl RecordingEvent {
    /// The recording that it speaks of.
    #[must_use]
    pub const fn recording(&self) -> RecordingId {
        match self {
            Self::Started { recording, .. } | Self::Failed { recording, .. } => *recording,
            Self::Sealed(sealed) => sealed.recording,
        }
    }
}

/// A finished recording. Times in ms from `start`, sizes in bytes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SealedRecording {
    pub recording: RecordingId,
    /// Path under the recordings directory.
    pub path: String,
    pub start: Timestamp,
    pub duration_ms: u64,
    pub size_bytes: u64,
    pub sha256: String,
    pub tracks: Vec<SealedTrack>,
}

/// One party's track of a finished recording: channel `n` of the WAV is track `n`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SealedTrack {
    /// As [`crate::call::Party`] prints: `caller`, `seat-801`.
    pub party: String,
    /// `pcma`.
    pub codec: String,
    pub hz: u32,
    /// Milliseconds of audio that came from the network.
    pub heard_ms: u64,
    /// Spans without audio, `[from_ms, to_ms)`, at most 1000 listed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gaps: Vec<(u64, u64)>,
}

/// What enrichment found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "finding", rename_all = "snake_case")]
pub enum Finding {
    Location(Location),
    Line(LineData),
    Network(NetworkCell),
    /// Earlier calls of the number: how many in the window, and the last ones, newest first (at most 20).
    History {
        window_days: u32,
        count: u32,
        last_calls: Vec<serde_json::Value>,
    },
    /// A source failed; kept in the record so that nobody mistakes silence for "nothing known".
    Failed {
        source: String,
        reason: String,
    },
}

/// One position of a caller, scene or device, in its source's datum.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Location {
    pub source: LocationSource,
    pub datum: Datum,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub point: Option<LatLon>,
    pub shape: Shape,
    /// Metres.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub radius_m: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confidence_pct: Option<u8>,
    /// Civic address as text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub civic: Option<String>,
    /// When the source measured it, RFC 3339, if it said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub measured_at: Option<String>,
}

/// Where a location came from.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LocationSource {
    Pidf,
    Line,
    Cell,
    Seat,
}

/// The shape of a location (RFC 5491, shortened).
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shape {
    Point,
    Circle,
    /// Only a civic address.
    Civic,
}

/// 机主姓名、电话号码、装机地址、接线箱地址 (WS/T 451 5.2).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LineData {
    pub status: LineStatus,
    pub elapsed_ms: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub carrier: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub install_address: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub box_address: Option<String>,
}

/// How a line-data query ended.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LineStatus {
    Found,
    NotFound,
    #[default]
    Timeout,
    Failed,
}

/// The radio cell of a mobile caller, from P-Access-Network-Info (RFC 7315, 3GPP TS 24.229).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkCell {
    /// `3GPP-E-UTRAN-FDD`, `3GPP-NR-TDD`, ...
    pub access: String,
    pub mcc: String,
    pub mnc: String,
    /// Tracking area, hex as sent.
    pub tac: String,
    /// Cell identity, hex as sent.
    pub cell_id: String,
    /// `network` when the network vouches for it, else `user`.
    pub trust: String,
}

/// The state of a seat's phone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "link", rename_all = "snake_case")]
pub enum SeatLink {
    /// Registered at `contact`, good until `until`.
    Registered { contact: String, until: Timestamp },
    /// Unregistered or the registration ran out.
    Unregistered,
    /// OPTIONS answered, or three unanswered.
    Reachable { reachable: bool },
}

/// What changed on a trunk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "change", rename_all = "snake_case")]
pub enum TrunkChange {
    Up,
    Down { reason: String },
}

/// What a token may do.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    Seat,
    Supervisor,
    Module,
    Admin,
}

/// Who gave a command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Actor {
    /// The person at a seat, by seat.
    Seat(SeatId),
    Supervisor(SeatId),
    /// A named user of the API.
    User(String),
    /// A module, by its destination.
    Module(DestinationId),
    /// The engine's own shell.
    Engine,
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Seat(seat) => write!(f, "seat {seat}"),
            Self::Supervisor(seat) => write!(f, "supervisor {seat}"),
            Self::User(user) => f.write_str(user),
            Self::Module(module) => write!(f, "module {module}"),
            Self::Engine => f.write_str("engine"),
        }
    }
}

/// What somebody commands. Each is checked against the state; a refusal changes nothing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case")]
pub enum Command {
    /// 示闲: the seat takes calls.
    SeatReady { seat: SeatId },
    /// 示忙 with a reason (离席, 培训...).
    SeatNotReady { seat: SeatId, reason: String },
    /// The seat ends the call: every leg is released.
    HangUp { call: CallId },
    /// Ring the seat's phone, then `number`: a seat of ours, or any number through the trunks (拨打).
    Dial { seat: SeatId, number: String },
    /// Say what a call belongs to: another call, an incident, or both.
    Link {
        call: CallId,
        to: Option<CallId>,
        incident_id: Option<String>,
    },
    /// 车组: the numbers of the crews that were sent for the call, open or past; none: there is no crew any more.
    NameCrew { call: CallId, numbers: Vec<String> },
    /// Ring the crew, then the caller of that call, open or past, and let them talk; neither sees the other's number.
    Bridge { call: CallId, number: String },
    /// Ring `number` through the trunks and join it: doctor, 110, crew...
    AddParty {
        call: CallId,
        number: String,
        role: String,
    },
    /// Cancel a ringing third party or release a joined one.
    RemoveParty { call: CallId, leg: LegId },
    /// The call `with`, waiting or talking, joins the talk of the seat in `call`: everybody hears everybody (合并通话).
    Join { call: CallId, with: CallId },
    /// The caller hears music and nobody, and nobody hears him (保持).
    Hold { call: CallId },
    /// He talks again (取回).
    Resume { call: CallId },
    /// Ask a caller who cannot be heard to press a key (静默呼叫); the line stays open.
    AskSilent { call: CallId },
    /// Give the call to another seat, a queue or a number (转移).
    Transfer {
        call: CallId,
        to: TransferTo,
        kind: TransferKind,
    },
    /// The seat leaves, the target of its transfer has the call.
    CompleteTransfer { call: CallId },
    /// The target is released, the seat has its caller as before.
    CancelTransfer { call: CallId },
    /// Put the caller aside with a prompt; the seat is free (受理搁置).
    Shelve { call: CallId },
    /// The seat takes a caller back from the shelf: its phone rings for him.
    Unshelve { call: CallId, seat: SeatId },
    /// Ring the supervisor's phone and let, when it does, change what is heard of it.
    Listen {
        call: CallId,
        seat: SeatId,
        #[serde(default)]
        mode: Mode,
    },
    /// End the supervisor's listening.
    StopListening { call: CallId, seat: SeatId },
    /// 队列监听: ring the supervisor's phone and let it hear the call of that queue, or of all, that has waited longest; then
    /// the next.
    ListenQueue {
        seat: SeatId,
        queue: Option<QueueId>,
    },
    /// End that.
    StopListeningQueue { seat: SeatId },
    /// Dial a call-back at this seat.
    CallBackNow { call_back: CallBackId, seat: SeatId },
    /// 签入: the seat sits at this phone from now on, and its calls ring there.
    SignIn { seat: SeatId, phone: PhoneId },
    /// 签出: a talking seat leaves after its call.
    SignOut { seat: SeatId },
    /// 呼叫班长: the seat that talks in the call asks for a supervisor.
    RequestAssist { call: CallId },
    /// The seat needs nobody any more.
    CancelAssist { call: CallId },
    /// A supervisor comes: his phone is rung and joins in that mode.
    AcceptAssist {
        call: CallId,
        seat: SeatId,
        mode: Mode,
    },
    /// A waiting call rings this seat now, or stands in that queue.
    Reassign { call: CallId, to: Destination },
    /// A waiting call stands as if it had come so much earlier.
    Prioritise { call: CallId, ahead: Millis },
    /// A named person closes a call-back entry with an outcome text.
    CloseCallBack {
        call_back: CallBackId,
        outcome: String,
    },
    /// 标记骚扰: a person says that the number of this call harasses; a label until a supervisor confirms it.
    ProposeVerdict { call: CallId, reason: String },
    /// A supervisor confirms a proposed mark.
    ConfirmVerdict { mark: MarkId },
    /// A supervisor takes a mark back; a reason may be given.
    LiftVerdict { mark: MarkId, reason: String },
    /// 受理单: writes fields of the call's form, also after its end. `revision`: what the writer has read; another one refuses.
    FillForm {
        call: CallId,
        revision: Option<u32>,
        change: Box<FormChange>,
    },
    /// 来电类型: what the call was, a code of the centre's list.
    Classify { call: CallId, code: String },
    /// 备注: added, never changed.
    AddNote { call: CallId, text: String },
    /// 医学指导: the seat guides somebody's hands; no prompt disturbs it.
    GiveAdvice { call: CallId, on: bool },
    /// 突发事件: a person says that it is a major incident; the checklist begins.
    MarkMajor { call: CallId },
    /// A step of the checklist is done, or by mistake said to be.
    TickStep {
        call: CallId,
        step: String,
        done: bool,
    },
    /// 投诉: somebody complains; its calls are held (封存).
    OpenComplaint { grievance: Box<Grievance> },
    /// A supervisor closes a complaint.
    CloseComplaint {
        complaint: ComplaintId,
        outcome: String,
    },
    /// A supervisor lifts the hold of a closed complaint.
    LiftHold { complaint: ComplaintId },
    /// 交班: what is open goes to the person at that seat.
    HandOver { to: SeatId, note: String },
    /// 接班: he has it.
    TakeOverShift { handover: HandoverId },
    /// 群呼: rings many numbers at once, says a sentence to who picks up, takes a key for an acknowledgement.
    StartGroupCall { wish: Box<GroupWish> },
    /// Whoever has no result yet is rung no more.
    CancelGroupCall { group_call: GroupCallId },
    /// 自检呼入: test a trunk now.
    SelfTest { trunk: TrunkId },
    /// A module acknowledged the call and told its own incident id.
    Acknowledge {
        call: CallId,
        destination: DestinationId,
        incident_id: Option<String>,
    },
    /// A dispatch module reports an order, its change or cancellation.
    Dispatch {
        call: CallId,
        report: DispatchReport,
    },
    /// Makes the switch panic while handling it; refused unless the policy allows faults (tests only).
    PlantPanic { call: CallId },
}

/// Where a supervisor sends a waiting call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Destination {
    /// Rings there at once; unanswered, the call goes on as before.
    Seat(SeatId),
    /// Keeps its time in that queue.
    Queue(QueueId),
}

impl Command {
    /// The calls that must be open for it; the other commands may come after the end.
    #[must_use]
    pub fn open_calls(&self) -> Vec<CallId> {
        match self {
            Self::HangUp { call }
            | Self::AddParty { call, .. }
            | Self::RemoveParty { call, .. }
            | Self::Listen { call, .. }
            | Self::StopListening { call, .. }
            | Self::Hold { call }
            | Self::Resume { call }
            | Self::Shelve { call }
            | Self::Unshelve { call, .. }
            | Self::AskSilent { call }
            | Self::Transfer { call, .. }
            | Self::CompleteTransfer { call }
            | Self::CancelTransfer { call }
            | Self::GiveAdvice { call, .. }
            | Self::RequestAssist { call }
            | Self::CancelAssist { call }
            | Self::AcceptAssist { call, .. }
            | Self::Reassign { call, .. }
            | Self::Prioritise { call, .. } => vec![*call],
            Self::Join { call, with } => vec![*call, *with],
            Self::SeatReady { .. }
            | Self::SeatNotReady { .. }
            | Self::SignIn { .. }
            | Self::SignOut { .. }
            | Self::ListenQueue { .. }
            | Self::StopListeningQueue { .. }
            | Self::CallBackNow { .. }
            | Self::CloseCallBack { .. }
            | Self::ProposeVerdict { .. }
            | Self::ConfirmVerdict { .. }
            | Self::LiftVerdict { .. }
            | Self::Dial { .. }
            | Self::StartGroupCall { .. }
            | Self::CancelGroupCall { .. }
            | Self::Link { .. }
            | Self::NameCrew { .. }
            | Self::Bridge { .. }
            | Self::FillForm { .. }
            | Self::Classify { .. }
            | Self::AddNote { .. }
            | Self::MarkMajor { .. }
            | Self::TickStep { .. }
            | Self::OpenComplaint { .. }
            | Self::CloseComplaint { .. }
            | Self::LiftHold { .. }
            | Self::HandOver { .. }
            | Self::TakeOverShift { .. }
            | Self::SelfTest { .. }
            | Self::Acknowledge { .. }
            | Self::Dispatch { .. }
            | Self::PlantPanic { .. } => Vec::new(),
        }
    }
}

/// What a dispatch module did (WS/T 451 7.2.2). Reassigning and cancelling need a reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(tag = "report", rename_all = "snake_case")]
pub enum DispatchReport {
    OrderIssued {
        order_id: String,
        station: Option<String>,
        vehicle: String,
    },
    Reassigned {
        order_id: String,
        vehicle: String,
        reason: String,
    },
    Cancelled {
        order_id: String,
        reason: String,
    },
}

/// What a command gave.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(tag = "reply", rename_all = "snake_case")]
pub enum CommandReply {
    Done,
    /// The leg that is being rung.
    Leg {
        leg: LegId,
    },
    /// The new call, and the leg of the phone that is being rung.
    Call {
        call: CallId,
        leg: LegId,
    },
    /// The new mark.
    Mark {
        mark: MarkId,
    },
    /// The new complaint.
    Complaint {
        complaint: ComplaintId,
    },
    /// The new handover.
    Handover {
        handover: HandoverId,
    },
    /// The new group call.
    GroupCall {
        group_call: GroupCallId,
    },
    /// The form's revision, the new one if anything changed.
    Form {
        revision: u32,
    },
}

fn told(end: Option<&CallEnd>) -> String {
    end.map_or_else(String::new, |end| {
        let outcome = match end.outcome {
            Outcome::Answered => "answered",
            Outcome::Abandoned => "abandoned",
            Outcome::Lost => "lost",
            Outcome::RefusedCapacity => "refused for lack of room",
            Outcome::NotReached => "not reached",
        };
        format!(" at {} ({outcome}; by the {})", end.at.rfc3339(), end.by)
    })
}

/// Why a command was refused. Nothing changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "code", rename_all = "snake_case")]
pub enum CommandError {
    /// 404
    #[error("no {what} {id}")]
    Unknown { what: String, id: String },
    /// 410
    #[error("call {call} has ended{}", told(end.as_deref()))]
    Ended {
        call: CallId,
        /// Absent when it is no longer remembered.
        end: Option<Box<CallEnd>>,
    },
    /// 409
    #[error("{what} is {state}; {hint}")]
    WrongState {
        what: String,
        state: String,
        hint: String,
    },
    /// 422
    #[error("field {field}: {reason}")]
    BadField { field: String, reason: String },
    /// 403
    #[error("{who} may not do this: {reason}")]
    NotAllowed { who: String, reason: String },
}
