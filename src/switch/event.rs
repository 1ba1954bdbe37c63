//! What became true. Call records, statistics and deliveries fold Events only, so an upgrade never rewrites history.

use serde::{Deserialize, Serialize};

use super::handover::Handover;
use super::input::{Actor, Command, DispatchReport, Finding, SealedRecording};
use super::self_test_steps::{SelfTestStep, StepTime};
use super::star::StarResult;
use crate::acd::{Held, Rule};
use crate::call::{
    Arrival, Cause, Complaint, Direction, Entry, FormChange, GroupResult, GroupTarget, GroupWish,
    HoldBy, Mode, TransferKind, TransferTo,
};
use crate::id::{
    CallBackId, CallId, ComplaintId, DestinationId, EventId, GroupCallId, HandoverId, LegId,
    MarkId, MenuId, PhoneId, PromptId, QueueId, RecordingId, ReliefId, SeatId, TrunkId,
};
use crate::phone::Number;
use crate::screen::Mark;
use crate::time::Timestamp;

/// One thing that became true.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    pub id: EventId,
    pub at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call: Option<CallId>,
    /// Gapless per call from 1; 0 for events of no call.
    pub callseq: u64,
    #[serde(flatten)]
    pub kind: EventKind,
}

/// How a call ended for the caller, or for the seat that dialled. Exactly one per call: [`EventKind::CallReopened`] withdraws that of a restart.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Answered,
    Abandoned,
    Lost,
    RefusedCapacity,
    /// A call that we made found nobody.
    NotReached,
}

/// Why a call stands behind its turn.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Behind {
    /// Its number takes more than its share without an incident.
    Share,
    /// A person confirmed that its number harasses.
    Verdict,
}

/// How and when a call ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallEnd {
    pub at: Timestamp,
    pub outcome: Outcome,
    pub cause: Cause,
    /// `caller`, `seat`, `third`, `network`, `system`.
    pub by: String,
}

/// A free seat that was not offered a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldSeat {
    pub seat: SeatId,
    pub reason: Held,
}

/// What became true. The serde name is the public event name (`call.received`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
pub enum EventKind {
    #[serde(rename = "call.received")]
    CallReceived {
        arrival: Box<Arrival>,
        caller: Number,
        serial_no: String,
        channel: String,
    },
    /// A seat calls a number or another seat. `arrival`: its phone dialled by itself.
    #[serde(rename = "call.dialled")]
    CallDialled {
        seat: SeatId,
        callee: Number,
        /// The seat that is called.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        callee_seat: Option<SeatId>,
        direction: Direction,
        serial_no: String,
        by: Actor,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        arrival: Option<Box<Arrival>>,
    },
    /// A person said what the call belongs to: another call, an incident, or both.
    #[serde(rename = "call.linked")]
    CallLinked {
        to: Option<CallId>,
        incident_id: Option<String>,
        by: Actor,
    },
    /// The numbers of the crews that were sent for the call from now on (车组); none: no crew any more.
    #[serde(rename = "crew.named")]
    CrewNamed { numbers: Vec<Number>, by: Actor },
    /// A call that we make: a crew of the call `of` is rung, then that call's caller (隐号通话).
    #[serde(rename = "call.bridged")]
    CallBridged {
        of: CallId,
        crew: Number,
        callee: Number,
        serial_no: String,
        by: Actor,
    },
    /// The call comes from a number of a crew that was sent for the call `of`; `seat` had that one and is asked first.
    #[serde(rename = "crew.called")]
    CrewCalled {
        of: CallId,
        incident_id: Option<String>,
        seat: Option<SeatId>,
    },
    /// An INVITE of the same identity, which makes no call of its own.
    #[serde(rename = "call.rejoined")]
    CallRejoined { invite_key: String },
    /// The INVITE of a call that a restart had ended came again: its outcome is withdrawn and it goes on, with `leg`.
    #[serde(rename = "call.reopened")]
    CallReopened { leg: LegId },
    #[serde(rename = "call.answered_by_system")]
    CallAnsweredBySystem {},
    #[serde(rename = "call.found")]
    CallFound { finding: Finding },
    #[serde(rename = "prompt.started")]
    PromptStarted {
        prompt: PromptId,
        position: Option<u32>,
    },
    #[serde(rename = "ivr.started")]
    MenuEntered { menu: MenuId },
    /// A key of a caller in a menu, at a node of it.
    #[serde(rename = "ivr.digit")]
    MenuDigit {
        menu: MenuId,
        node: String,
        digit: char,
    },
    /// `reason`: `chosen`, `announced`, `silence`, `wrong_key`, `time_up`, `fault`; or the call ended: `ended`. `queue` is
    /// where he went.
    #[serde(rename = "ivr.ended")]
    MenuLeft {
        menu: MenuId,
        node: String,
        reason: String,
        queue: Option<QueueId>,
    },
    #[serde(rename = "queue.entered")]
    QueueEntered {
        queue: QueueId,
        position: u32,
        again: bool,
        /// Why it stands behind calls that came later.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        behind: Option<Behind>,
    },
    #[serde(rename = "queue.left")]
    QueueLeft {
        queue: QueueId,
        reason: String,
        waited_ms: u64,
    },
    /// Its queue is no more.
    #[serde(rename = "queue.moved")]
    QueueMoved { from: QueueId, to: QueueId },
    /// Why this seat is rung for it, and why other free seats are not. Without a seat: free ones there are, and none is
    /// fit; said once per kind of need and change.
    #[serde(rename = "offer.decided")]
    OfferDecided {
        rule: Rule,
        chosen: Option<SeatId>,
        held: Vec<HeldSeat>,
        queue: QueueId,
        /// Skills still asked for.
        needs: Vec<String>,
        /// Needs that fell away by waiting.
        relaxed: Vec<String>,
    },
    #[serde(rename = "seat.ringing")]
    SeatRinging { seat: SeatId, leg: LegId },
    #[serde(rename = "seat.ring_timeout")]
    SeatRingTimeout { seat: SeatId, leg: LegId },
    #[serde(rename = "seat.rejected")]
    SeatRejected {
        seat: SeatId,
        leg: LegId,
        cause: Cause,
    },
    #[serde(rename = "seat.answered")]
    SeatAnswered { seat: SeatId, leg: LegId },
    #[serde(rename = "seat.released")]
    SeatReleased {
        seat: SeatId,
        leg: LegId,
        cause: Cause,
    },
    #[serde(rename = "seat.state")]
    SeatStateChanged {
        seat: SeatId,
        state: String,
        reason: Option<String>,
    },
    /// The seat sits at that phone from now on; `displaced` sat there and is signed out.
    #[serde(rename = "seat.signed_in")]
    SeatSignedIn {
        seat: SeatId,
        phone: PhoneId,
        /// Where it sat before.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        from: Option<PhoneId>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        displaced: Option<SeatId>,
        by: Actor,
    },
    #[serde(rename = "conference.party_ringing")]
    PartyRinging {
        leg: LegId,
        role: String,
        number: String,
        /// Absent: a seat's phone rings.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        trunk: Option<TrunkId>,
    },
    #[serde(rename = "conference.party_joined")]
    PartyJoined {
        leg: LegId,
        role: String,
        number: String,
    },
    #[serde(rename = "conference.party_failed")]
    PartyFailed {
        leg: LegId,
        role: String,
        number: String,
        cause: Cause,
    },
    #[serde(rename = "conference.party_left")]
    PartyLeft {
        leg: LegId,
        role: String,
        cause: Cause,
    },
    #[serde(rename = "supervisor.monitor_started")]
    MonitorStarted {
        seat: SeatId,
        leg: LegId,
        #[serde(default)]
        mode: Mode,
    },
    /// 呼叫班长: the call's seat asks for a supervisor; said again when the one who accepted does not come.
    #[serde(rename = "assist.requested")]
    AssistRequested { seat: SeatId },
    /// A supervisor's phone is up in the call that asked for one.
    #[serde(rename = "assist.answered")]
    AssistAnswered { seat: SeatId, by: SeatId },
    /// Nobody is needed any more: the seat said so, or left the call.
    #[serde(rename = "assist.ended")]
    AssistEnded { seat: SeatId },
    /// A supervisor has the call stand earlier, or as before.
    #[serde(rename = "queue.priority")]
    QueuePriority { ahead_ms: u32, by: Actor },
    #[serde(rename = "supervisor.mode_changed")]
    MonitorChanged {
        seat: SeatId,
        leg: LegId,
        mode: Mode,
    },
    /// The supervisor has the seat's part from now on (强接); `from` is freed. `seat.answered` follows.
    #[serde(rename = "supervisor.took_over")]
    TookOver {
        seat: SeatId,
        leg: LegId,
        from: Option<SeatId>,
    },
    #[serde(rename = "supervisor.monitor_ended")]
    MonitorEnded { seat: SeatId, leg: LegId },
    /// A supervisor's phone is up and listens to a queue, all of them when none is named. What he hears of each call is
    /// `supervisor.monitor_started` and `_ended` on that call.
    #[serde(rename = "supervisor.queue_started")]
    QueueMonitorStarted {
        seat: SeatId,
        leg: LegId,
        queue: Option<QueueId>,
    },
    #[serde(rename = "supervisor.queue_ended")]
    QueueMonitorEnded { seat: SeatId, leg: LegId },
    /// Said on both calls: their parties talk as one from now on. `into` is the call whose seat joined them.
    #[serde(rename = "call.joined")]
    CallJoined {
        with: CallId,
        with_serial_no: String,
        into: CallId,
        seat: SeatId,
        leg: LegId,
        by: Actor,
    },
    /// Said on both calls: they talk apart again, or one of them ends.
    #[serde(rename = "call.parted")]
    CallParted { with: CallId, into: CallId },
    /// The caller was put on hold and hears music; without `by` the seat's own phone did it.
    #[serde(rename = "call.held")]
    CallHeld {
        seat: Option<SeatId>,
        how: HoldBy,
        by: Option<Actor>,
    },
    /// `why`: `command`, `phone`, `joined` (others talk with him), `taken_over`, `seat_left`, `queue`.
    #[serde(rename = "call.resumed")]
    CallResumed { held_ms: u64, why: String },
    /// A hold has lasted another minute.
    #[serde(rename = "alert.hold_exceeded")]
    HoldExceeded { seat: Option<SeatId>, held_ms: u64 },
    /// A seat put the caller aside; at `until` at the latest he is the next in the queue.
    #[serde(rename = "call.shelved")]
    CallShelved {
        seat: SeatId,
        by: Actor,
        until: Timestamp,
    },
    /// `why`: `key` (the caller's), `time_up`, `idle` (a seat has nothing to do), `seat` (that takes him back).
    #[serde(rename = "call.unshelved")]
    CallUnshelved {
        why: String,
        seat: Option<SeatId>,
        shelved_ms: u64,
    },
    /// Its owner takes no calls any more: it is anybody's.
    #[serde(rename = "call.shelf_handed_over")]
    ShelfHandedOver { from: SeatId },
    /// Another minute on the shelf.
    #[serde(rename = "alert.shelf_exceeded")]
    ShelfExceeded {
        owner: Option<SeatId>,
        shelved_ms: u64,
    },
    /// The seat heard nothing: the caller is asked to press a key or to knock.
    #[serde(rename = "silent.asked")]
    SilentAsked { by: Actor },
    /// He pressed one.
    #[serde(rename = "silent.answered")]
    SilentAnswered { digit: char },
    #[serde(rename = "call.transfer_started")]
    TransferStarted {
        from: SeatId,
        to: TransferTo,
        kind: TransferKind,
        by: Actor,
    },
    /// The other seat picked up and speaks with the one that transfers, the caller is on hold.
    #[serde(rename = "call.transfer_consulted")]
    TransferConsulted { seat: SeatId, leg: LegId },
    /// Its end. `outcome`: `answered`, `queued`; `other_seat` (another one took it); `no_answer`, `rejected`, `busy`,
    /// `unallocated`, `unreachable`, `left` (the target did); `taken_back`, `taken_over` (a supervisor has it), `ended`.
    #[serde(rename = "call.transferred")]
    CallTransferred {
        from: SeatId,
        to: TransferTo,
        kind: TransferKind,
        outcome: String,
    },
    /// People outside are rung for a call that goes on waiting.
    #[serde(rename = "relief.ringing")]
    ReliefRinging {
        relief: ReliefId,
        leg: LegId,
        trunk: Option<TrunkId>,
    },
    /// They picked up and hear who waits.
    #[serde(rename = "relief.asked")]
    ReliefAsked { relief: ReliefId, leg: LegId },
    /// They did not take it, or are not needed. `why`: `no_answer`, `busy`, `rejected`, `unallocated`, `unreachable`; `no_key`,
    /// `refused` (another key), `left`; `withdrawn`.
    #[serde(rename = "relief.ended")]
    ReliefEnded {
        relief: ReliefId,
        leg: LegId,
        why: String,
    },
    /// They took it: caller and they talk, no seat does.
    #[serde(rename = "call.handed_over")]
    HandedOver {
        relief: ReliefId,
        leg: LegId,
        number: String,
    },
    /// 群呼: these numbers are rung, told a sentence and asked for a key.
    #[serde(rename = "group_call.started")]
    GroupCallStarted {
        group_call: GroupCallId,
        wish: Box<GroupWish>,
        by: Actor,
    },
    /// A number of it rings.
    #[serde(rename = "group_call.ringing")]
    GroupRinging {
        group_call: GroupCallId,
        number: String,
        leg: LegId,
        trunk: Option<TrunkId>,
    },
    /// It was picked up: the sentence begins.
    #[serde(rename = "group_call.answered")]
    GroupAnswered {
        group_call: GroupCallId,
        number: String,
        leg: LegId,
    },
    /// It was not reached and is rung again.
    #[serde(rename = "group_call.retried")]
    GroupRetried {
        group_call: GroupCallId,
        number: String,
        why: GroupResult,
        next_at: Timestamp,
    },
    /// The key came, so long after it was picked up.
    #[serde(rename = "group_call.acknowledged")]
    GroupAcknowledged {
        group_call: GroupCallId,
        number: String,
        leg: LegId,
        after_ms: u64,
    },
    /// It ended without the key. Each number has this or `group_call.acknowledged`, once.
    #[serde(rename = "group_call.failed")]
    GroupFailed {
        group_call: GroupCallId,
        number: String,
        why: GroupResult,
    },
    /// Every number has its result. `why`: `complete`, `taken` (`first_wins`), `cancelled`.
    #[serde(rename = "group_call.ended")]
    GroupCallEnded {
        group_call: GroupCallId,
        why: String,
        targets: Vec<GroupTarget>,
    },
    #[serde(rename = "dtmf.received")]
    DigitReceived { leg: LegId, digit: char },
    /// A seat keyed a star code in a call, or its phone dialled one (then of no call); what it did says its own events.
    #[serde(rename = "seat.star_code")]
    StarCode {
        seat: SeatId,
        code: String,
        result: StarResult,
        /// What it stands for, obeyed or refused.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        command: Option<Box<Command>>,
    },
    /// A leg that was told to end did not report its end in time and was forgotten; it belongs to no state any more.
    #[serde(rename = "leg.dropped")]
    LegDropped { leg: LegId, party: String },
    #[serde(rename = "alert.wait_exceeded")]
    WaitExceeded { waited_ms: u64 },
    #[serde(rename = "recording.started")]
    RecordingStarted { recording: RecordingId },
    #[serde(rename = "recording.sealed")]
    RecordingSealed { sealed: SealedRecording },
    #[serde(rename = "recording.failed")]
    RecordingFailed {
        recording: RecordingId,
        detail: String,
    },
    #[serde(rename = "call.abandoned")]
    CallAbandoned { stage: String, waited_ms: u64 },
    /// The last event of the signalling; `recording.sealed` may follow.
    #[serde(rename = "call.ended")]
    CallEnded {
        outcome: Outcome,
        cause: Cause,
        by: String,
    },
    /// After `call.ended` and the recording: nothing more will change by itself.
    #[serde(rename = "call.settled")]
    CallSettled {},
    #[serde(rename = "callback.due")]
    CallBackDue {
        call_back: CallBackId,
        number: Number,
        reason: String,
    },
    /// A seat dials it; `call` is the one that is made.
    #[serde(rename = "callback.attempted")]
    CallBackAttempted {
        call_back: CallBackId,
        seat: SeatId,
        call: CallId,
    },
    #[serde(rename = "callback.connected")]
    CallBackConnected { call_back: CallBackId, call: CallId },
    /// Nobody was reached, or the talk was too short to help. Absent `next_at`: a person closes it.
    #[serde(rename = "callback.failed")]
    CallBackFailed {
        call_back: CallBackId,
        cause: Cause,
        next_at: Option<Timestamp>,
    },
    /// Its caller is on the line again, in this call.
    #[serde(rename = "callback.paused")]
    CallBackPaused { call_back: CallBackId },
    #[serde(rename = "callback.closed")]
    CallBackClosed {
        call_back: CallBackId,
        by: Actor,
        outcome: String,
    },
    /// The same number again within the window; it and its earlier calls counted (反复呼入).
    #[serde(rename = "caller.repeated")]
    CallerRepeated { calls: u32, unanswered: u32 },
    /// Left unanswered once too often: the call-back stands before all others.
    #[serde(rename = "alert.repeat_unanswered")]
    RepeatUnanswered {
        unanswered: u32,
        call_back: Option<CallBackId>,
    },
    /// A person proposed a verdict on the call's number: a label.
    #[serde(rename = "harassment.suspected")]
    HarassmentSuspected { mark: Box<Mark> },
    #[serde(rename = "harassment.confirmed")]
    HarassmentConfirmed {
        mark: MarkId,
        by: String,
        until: Timestamp,
    },
    /// A person took the mark back; nobody: its time was over.
    #[serde(rename = "harassment.cleared")]
    HarassmentCleared {
        mark: MarkId,
        by: Option<String>,
        reason: String,
    },
    /// The caller is greeted with the education prompt; the answer cuts it.
    #[serde(rename = "education.played")]
    EducationPlayed { mark: MarkId },
    /// Another call of the last minutes came from close by: probably the same incident.
    #[serde(rename = "incident.near")]
    IncidentNear { other: CallId, metres: u32 },
    /// Fields of the form were written (受理单): those that changed, with the words of the lists.
    #[serde(rename = "form.changed")]
    FormChanged {
        by: Actor,
        revision: u32,
        change: Box<FormChange>,
    },
    /// 来电类型.
    #[serde(rename = "call.classified")]
    CallClassified {
        by: Actor,
        code: String,
        zh: String,
        en: String,
    },
    #[serde(rename = "note.added")]
    NoteAdded { by: Actor, text: String },
    /// 受理时间超长: the handling lasts and no vehicle is sent. Level 1 is for the seat, 2 for the supervisors too.
    #[serde(rename = "alert.handling_exceeded")]
    HandlingExceeded { level: u8, handled_ms: u64 },
    /// 医学指导 begins or ends.
    #[serde(rename = "handling.advice")]
    AdviceGiven { by: Actor, on: bool },
    /// 突发事件: three or more casualties, or a person says so. `steps`: the checklist.
    #[serde(rename = "incident.major")]
    MajorIncident {
        by: Actor,
        reason: String,
        steps: Vec<Entry>,
    },
    #[serde(rename = "incident.step")]
    StepTicked { by: Actor, code: String, done: bool },
    /// Said on each of its calls that is still known, else on none.
    #[serde(rename = "complaint.opened")]
    ComplaintOpened { complaint: Box<Complaint> },
    #[serde(rename = "complaint.closed")]
    ComplaintClosed {
        complaint: ComplaintId,
        by: Actor,
        outcome: String,
    },
    #[serde(rename = "complaint.hold_lifted")]
    HoldLifted { complaint: ComplaintId, by: Actor },
    /// 交接班.
    #[serde(rename = "shift.handover")]
    ShiftHandover { handover: Box<Handover> },
    #[serde(rename = "shift.taken_over")]
    ShiftTakenOver { handover: HandoverId, by: Actor },
    #[serde(rename = "call.acknowledged")]
    CallAcknowledged {
        destination: DestinationId,
        incident_id: Option<String>,
    },
    #[serde(rename = "dispatch.reported")]
    DispatchReported { by: Actor, report: DispatchReport },
    #[serde(rename = "command.given")]
    CommandGiven { by: Actor, name: String },
    /// A trunk is tested by a call of ours (自检呼入), which is the event's call; `via` dials.
    #[serde(rename = "selftest.started")]
    SelfTestStarted {
        trunk: TrunkId,
        via: TrunkId,
        by: Actor,
    },
    /// The call shows the number that a test under way shows: it is listened to, and no seat is rung for it until then.
    #[serde(rename = "selftest.suspected")]
    SelfTestSuspected { trunk: TrunkId, until: Timestamp },
    /// The test's tones were heard on the call: the engine itself answers it at `seat`.
    #[serde(rename = "selftest.recognised")]
    SelfTestRecognised { seat: SeatId },
    /// `came`: where it came in. `deaf_ms`: since the first of the tests that failed before it.
    #[serde(rename = "selftest.passed")]
    SelfTestPassed {
        trunk: TrunkId,
        via: TrunkId,
        came: Option<TrunkId>,
        ms: u64,
        steps: Vec<StepTime>,
        deaf_ms: Option<u64>,
    },
    #[serde(rename = "selftest.failed")]
    SelfTestFailed {
        trunk: TrunkId,
        via: TrunkId,
        step: SelfTestStep,
        cause: String,
        ms: u64,
        steps: Vec<StepTime>,
        /// When the first of the failing tests began.
        deaf_since: Timestamp,
    },
    /// It was broken off: no verdict.
    #[serde(rename = "selftest.cancelled")]
    SelfTestCancelled { trunk: TrunkId, reason: String },
    /// Somebody called on a trunk whose last test had failed: its calls come in again.
    #[serde(rename = "selftest.cleared")]
    SelfTestCleared { trunk: TrunkId, deaf_ms: u64 },
    #[serde(rename = "trunk.up")]
    TrunkUp { trunk: TrunkId },
    #[serde(rename = "trunk.down")]
    TrunkDown { trunk: TrunkId, reason: String },
    #[serde(rename = "alarm.raised")]
    AlarmRaised {
        code: AlarmCode,
        subject: String,
        detail: String,
    },
    #[serde(rename = "alarm.cleared")]
    AlarmCleared { code: AlarmCode, subject: String },
    #[serde(rename = "engine.started")]
    EngineStarted { build: String, orphaned_calls: u32 },
}

/// What can be wrong. Each has an entry in docs/alarms.md: meaning, what to do.
#[derive(
    Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema,
)]
pub enum AlarmCode {
    #[serde(rename = "trunk.down")]
    TrunkDown,
    #[serde(rename = "trunk.unknown_source")]
    TrunkUnknownSource,
    #[serde(rename = "journal.late")]
    JournalLate,
    #[serde(rename = "recording.failed")]
    RecordingFailed,
    #[serde(rename = "recording.late")]
    RecordingLate,
    #[serde(rename = "disk.low")]
    DiskLow,
    #[serde(rename = "ports.low")]
    PortsLow,
    #[serde(rename = "descriptors.low")]
    DescriptorsLow,
    #[serde(rename = "capacity.refused")]
    CapacityRefused,
    #[serde(rename = "destination.failing")]
    DestinationFailing,
    /// The database of records takes nothing; calls and their journal go on.
    #[serde(rename = "store.down")]
    StoreDown,
    #[serde(rename = "seat.unreachable")]
    SeatUnreachable,
    /// Somebody tried a seat's PIN three times in vain.
    #[serde(rename = "seat.pin_wrong")]
    SeatPinWrong,
    #[serde(rename = "seats.none")]
    SeatsNone,
    /// A caller is on hold for a minute or more.
    #[serde(rename = "hold.forgotten")]
    HoldForgotten,
    #[serde(rename = "line_data.failing")]
    LineDataFailing,
    #[serde(rename = "switch.input_skipped")]
    SwitchInputSkipped,
    #[serde(rename = "config.refused")]
    ConfigRefused,
    /// Announcements that calls play are missing or unusable; callers hear silence in their place.
    #[serde(rename = "prompts.missing")]
    PromptsMissing,
    #[serde(rename = "clock.stepped")]
    ClockStepped,
    /// Many calls of one trunk, cell or area in a short time.
    #[serde(rename = "alert.burst")]
    Burst,
    /// Somebody should have been called back by now.
    #[serde(rename = "callback.overdue")]
    CallBackOverdue,
    /// A trunk's self-test failed: calls on it may not come in, be heard, be recorded or be told.
    #[serde(rename = "selftest.failed")]
    SelfTestFailed,
    /// A media worker stands still or ended, or a fault cost a call its media.
    #[serde(rename = "media.fault")]
    MediaFault,
}
