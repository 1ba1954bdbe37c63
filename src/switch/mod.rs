//! The deterministic core: calls, queue, seats and conference composed into one [`Switch`].
//!
//! `handle(input)` takes one [`Input`], `poll_effect()` hands out what the shell must do, `take_events()` what
//! became true, `poll_timeout()` when it must be woken. No clock, no randomness, no IO, no map with random order:
//! the same Inputs give the same state, byte by byte.
//!
//! ```text
//! Input -> due timers fire -> arrival | leg facts by party | command | seat | trunk | recording
//!       -> free seats are offered, positions told, alarms settled -> Events, Effects
//! ```
//! One file per concern: arrival, menu, hearing (what a waiting caller hears), routing (who is offered whom), offer,
//! losers (who rang in vain), relief (people outside), talk, party, hold, shelf, silent, transfer, phones (and who sits there),
//! star (keys of a phone), codes (star codes that phones dial), outbound (calls that we make), crew, bridge, group_call and
//! group_line (numbers rung together), listen, listen_queue, supervise, assist, orders,
//! join, ending, call_backs, screening, self_test and its steps and report, form, major, complaint, handover, overlong, seats, trunks, ledger (alarms),
//! commands, restart, timers, snapshot, picture and counters (for people).

mod arrival;
mod assist;
mod bridge;
mod call_backs;
mod codes;
mod commands;
mod complaint;
mod counters;
mod crew;
mod effect;
mod ending;
mod event;
mod form;
mod group_call;
mod group_line;
mod handover;
mod hearing;
mod hold;
mod input;
mod join;
mod ledger;
mod listen;
mod listen_queue;
mod losers;
mod major;
mod menu;
mod offer;
mod orders;
mod outbound;
mod overlong;
mod party;
mod phones;
mod picture;
mod pin;
mod policy;
mod relief;
mod restart;
mod routing;
mod screening;
mod seats;
mod self_test;
mod self_test_report;
mod self_test_steps;
mod shelf;
mod silent;
mod snapshot;
mod star;
mod supervise;
mod talk;
mod timers;
mod transfer;
mod trunks;
mod view;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};

use crate::acd;
use crate::call::{Call, Capture, KeyPath, LegCommand, LegEvent, LegFact, Party};
use crate::id::{
    CallBackId, CallId, EventId, IdSource, LegId, PhoneId, QueueId, RecordingId, SeatId, TrunkId,
};
use crate::time::Timestamp;

pub use crate::acd::{Held, Rule, SeatRole, Strategy};
pub use codes::{DIALLED_CODES, DialledCode};
pub use complaint::{Grievance, complaints_of};
pub use counters::{Counters, Counts, QueueCounts};
pub use effect::{Effect, MediaCommand, Question, Sound};
pub use event::{AlarmCode, Behind, CallEnd, Event, EventKind, HeldSeat, Outcome};
pub use group_call::GROUP_ALERT;
pub use handover::{Handover, OpenItems};
pub use hearing::prompts_played;
pub use input::{
    Actor, Command, CommandError, CommandReply, Destination, DispatchReport, Finding, Input,
    InputKind, LineData, LineStatus, Location, LocationSource, MediaEvent, NetworkCell,
    RecordingEvent, Role, SealedRecording, SealedTrack, SeatLink, Shape, TrunkChange,
};
pub use policy::{
    CallBackRules, Centre, Desks, Policy, QueuePolicy, Relief, ReliefKind, SeatPolicy, Timers,
    TrunkPolicy,
};
pub use screening::marks_of;
pub use self_test::{ROBOT, SelfTestRules};
pub use self_test_report::{SelfTestFailure, SelfTestReport, TrunkReport, month_of};
pub use self_test_steps::{SelfTestStep, StepTime};
pub use snapshot::SnapshotError;
pub use star::{STAR_CODES, StarCode, StarResult};
pub use view::{
    AlarmView, AssistView, BurstView, CallBackView, CallMark, CallState, CallView, CrewOfView,
    HoldView, LegView, MarkView, NearView, PhoneView, QueueListenerView, ScoreView, ScreenView,
    SeatState, SeatView, SelfTestResult, SelfTestView, ShelfView, SilentView, TransferView,
    TrunkView, View,
};

use call_backs::CallBack;
use complaint::Complaints;
use crew::Crews;
use ending::EndingLeg;
use form::Sheets;
use group_call::GroupCalls;
use handover::Handovers;
use ledger::Alarm;
use listen_queue::QueueListener;
use overlong::Overlong;
use screening::Screening;
use self_test::SelfTests;
use timers::TimerTable;
use trunks::Trunk;

/// All calls, the queue and all seats of one centre.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Switch {
    now: Timestamp,
    ids: IdSource,
    chance: u64,
    policy: Policy,
    serial_day: String,
    serial: u32,
    calls: BTreeMap<CallId, Call>,
    /// Live legs.
    legs: BTreeMap<LegId, CallId>,
    /// Legs that were told to end and have not reported it.
    ending: BTreeMap<LegId, EndingLeg>,
    /// Settled calls and their last callseq.
    past: BTreeMap<CallId, u64>,
    past_order: VecDeque<CallId>,
    /// How they and the closing ones ended.
    #[serde(default)]
    ends: BTreeMap<CallId, CallEnd>,
    /// Settled calls that a restart ended, while their INVITE is remembered: should it come again, they go on.
    #[serde(default)]
    restarted: BTreeMap<CallId, Call>,
    recent: BTreeMap<String, CallId>,
    recent_order: VecDeque<(Timestamp, String, CallId)>,
    queue: acd::Queue,
    callers: acd::Callers,
    #[serde(default)]
    crews: Crews,
    /// What was last said to hold free seats back, by kind of need.
    held: Vec<routing::Told>,
    seats: BTreeMap<SeatId, acd::Seat>,
    trunks: BTreeMap<TrunkId, Trunk>,
    call_backs: BTreeMap<CallBackId, CallBack>,
    /// Star codes that seats are keying.
    #[serde(default)]
    stars: BTreeMap<LegId, star::Dialled>,
    /// Phones that are on the line for a star code that they dialled.
    #[serde(default)]
    codes: BTreeMap<LegId, codes::CodeCall>,
    /// Registered phones.
    #[serde(default)]
    phones: BTreeMap<PhoneId, acd::Binding>,
    #[serde(default)]
    wrong_pins: BTreeMap<SeatId, phones::WrongPins>,
    /// Calls whose seats ask for a supervisor.
    #[serde(default)]
    assists: BTreeSet<CallId>,
    /// Supervisors' phones that listen to a queue.
    #[serde(default)]
    queue_listeners: BTreeMap<SeatId, QueueListener>,
    #[serde(default)]
    screening: Screening,
    #[serde(default)]
    sheets: Sheets,
    #[serde(default)]
    complaints: Complaints,
    #[serde(default)]
    handovers: Handovers,
    #[serde(default)]
    group_calls: GroupCalls,
    #[serde(default)]
    overlong: Overlong,
    #[serde(default)]
    self_tests: SelfTests,
    alarms: Vec<Alarm>,
    /// Calls put aside.
    #[serde(default)]
    shelf: BTreeSet<CallId>,
    /// Numbers of people outside that are not free.
    #[serde(default)]
    outside: BTreeMap<String, relief::Outside>,
    timers: TimerTable,
    totals: Totals,
    /// Calls answered since start, by the queue where they waited.
    #[serde(default)]
    handled: BTreeMap<QueueId, u64>,
    /// Events that did not fit their state, by name. Never a reason to stop.
    unexpected: BTreeMap<String, u64>,
    #[serde(skip)]
    effects: VecDeque<Effect>,
    #[serde(skip)]
    events: Vec<Event>,
    /// Calls whose caller may have to hear something else.
    #[serde(skip)]
    stirred: BTreeSet<CallId>,
    /// Transferred calls whose named seat rings no more.
    #[serde(skip)]
    untaken: BTreeSet<CallId>,
    /// The queue's order or length changed.
    #[serde(skip)]
    queue_moved: bool,
}

/// Calls since start.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Totals {
    arrived: u64,
    answered: u64,
    abandoned: u64,
    lost: u64,
    refused: u64,
}

impl Switch {
    /// An empty switch: no call, every configured seat signed out.
    #[must_use]
    pub fn new(seed: u64, policy: Policy) -> Self {
        let mut switch = Self {
            now: Timestamp::default(),
            ids: IdSource::new(seed),
            chance: seed,
            policy: policy.clone(),
            serial_day: String::new(),
            serial: 0,
            calls: BTreeMap::new(),
            legs: BTreeMap::new(),
            ending: BTreeMap::new(),
            past: BTreeMap::new(),
            past_order: VecDeque::new(),
            ends: BTreeMap::new(),
            restarted: BTreeMap::new(),
            recent: BTreeMap::new(),
            recent_order: VecDeque::new(),
            queue: acd::Queue::default(),
            callers: acd::Callers::default(),
            crews: Crews::default(),
            held: Vec::new(),
            seats: BTreeMap::new(),
            trunks: BTreeMap::new(),
            call_backs: BTreeMap::new(),
            stars: BTreeMap::new(),
            codes: BTreeMap::new(),
            phones: BTreeMap::new(),
            wrong_pins: BTreeMap::new(),
            assists: BTreeSet::new(),
            queue_listeners: BTreeMap::new(),
            screening: Screening::default(),
            sheets: Sheets::default(),
            complaints: Complaints::default(),
            handovers: Handovers::default(),
            group_calls: GroupCalls::default(),
            overlong: Overlong::default(),
            self_tests: SelfTests::default(),
            alarms: Vec::new(),
            shelf: BTreeSet::new(),
            outside: BTreeMap::new(),
            timers: TimerTable::default(),
            totals: Totals::default(),
            handled: BTreeMap::new(),
            unexpected: BTreeMap::new(),
            effects: VecDeque::new(),
            events: Vec::new(),
            stirred: BTreeSet::new(),
            untaken: BTreeSet::new(),
            queue_moved: false,
        };
        switch.adopt_policy(policy);
        switch
    }

    /// Takes one Input in: due timers first (in order), then what happened. Within a process time never goes back:
    /// an older `at` counts as now. A start takes the new process's clock as it is.
    pub fn handle(&mut self, input: &Input) {
        if let InputKind::Started {
            seed,
            build,
            policy,
        } = &input.kind
        {
            self.now = input.at;
            self.started(*seed, build, policy);
        }
        self.now = self.now.max(input.at);
        self.fire_due_timers();
        self.take_in(&input.kind);
        self.follow_up();
    }

    /// The next thing to do, in order.
    pub fn poll_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// What became true since the last call, in order.
    pub fn take_events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }

    /// When the switch must be woken by a [`InputKind::Tick`] at the latest, and what for.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<(Timestamp, &'static str)> {
        self.timers.next().map(|(at, key)| (at, key.name()))
    }

    /// Registered phones, so that a restarted registrar knows them: account, contact URI, end of the registration.
    #[must_use]
    pub fn seat_bindings(&self) -> Vec<(SeatId, String, Timestamp)> {
        let phones = self.phones.iter();
        phones
            .map(|(phone, at)| (SeatId(phone.0.clone()), at.contact.clone(), at.until))
            .collect()
    }

    /// What every seat does, as Events name it, with its reason.
    pub fn seat_states(&self) -> impl Iterator<Item = (SeatId, String, Option<String>)> + '_ {
        self.seats.iter().map(|(id, seat)| {
            let reason = seat.duty.reason().map(str::to_owned);
            (id.clone(), seat.duty.name().to_owned(), reason)
        })
    }

    /// Recordings that the recorder has not completed: call, recording, arrival of the call.
    #[must_use]
    pub fn unsealed(&self) -> Vec<(CallId, RecordingId, Timestamp)> {
        let of = |call: &Call| {
            let (id, received_at) = (call.id, call.received_at);
            let open = |(recording, capture): (RecordingId, Capture)| {
                capture.is_open().then_some((id, recording, received_at))
            };
            call.recordings().filter_map(open).collect::<Vec<_>>()
        };
        self.calls.values().flat_map(of).collect()
    }

    /// The call that an INVITE of this identity belongs to, while it is remembered (10 minutes).
    #[must_use]
    pub fn call_of_invite(&self, invite_key: &str) -> Option<CallId> {
        self.recent.get(invite_key).copied()
    }

    /// How often which event did not fit its state. A name that begins with `flaw.` is a contradiction inside the
    /// switch, a fault to be reported; the others are what networks and people do.
    #[must_use]
    pub const fn unexpected(&self) -> &BTreeMap<String, u64> {
        &self.unexpected
    }

    /// The call that a live leg belongs to.
    #[must_use]
    pub fn call_of_leg(&self, leg: LegId) -> Option<CallId> {
        self.legs.get(&leg).copied()
    }

    fn take_in(&mut self, kind: &InputKind) {
        match kind {
            InputKind::Started { .. } | InputKind::Tick => {}
            InputKind::PolicyChanged { policy } => self.adopt_policy((**policy).clone()),
            InputKind::Arrived { arrival } => self.arrived(arrival),
            InputKind::ArrivedAgain { invite_key } => self.arrived_again(invite_key),
            InputKind::Leg { leg, event } => self.leg_event(*leg, event),
            InputKind::Media { leg, event } => self.media_event(*leg, event),
            InputKind::Recording { call, event } => self.recording_event(*call, event),
            InputKind::Found { call, finding } => {
                // However late: what is learned after the end is a new revision of the record.
                if self.calls.contains_key(call) || self.past.contains_key(call) {
                    let told = (**finding).clone();
                    self.say(*call, EventKind::CallFound { finding: told });
                    self.screen_found(*call, finding);
                    if let Some(open) = self.calls.get_mut(call) {
                        open.findings += 1;
                    }
                } else {
                    self.misfit("found.unknown_call");
                }
            }
            InputKind::Seat { seat, link } => self.phone_link(seat, link),
            InputKind::Pin { leg, right } => self.pin_keyed(*leg, *right),
            InputKind::Trunk { trunk, change } => self.trunk_changed(trunk, change),
            InputKind::UnknownSource { address, count } => self.unknown_source(address, *count),
            InputKind::Command { id, by, command } => {
                let result = self.command(by, command);
                self.effects.push_back(Effect::Reply { id: *id, result });
            }
            InputKind::Alarm {
                code,
                subject,
                detail,
                raised,
            } => self.alarm_told(*code, subject, detail, *raised),
            InputKind::Skipped { call, reason } => self.input_skipped(*call, reason),
            InputKind::Remembered { marks, complaints } => {
                self.remember_marks(marks);
                self.complaints.remember(complaints);
            }
        }
    }

    fn leg_event(&mut self, leg: LegId, event: &LegEvent) {
        if self.ending.contains_key(&leg) {
            return self.ending_leg_event(leg, event);
        }
        if self.codes.contains_key(&leg) {
            return self.code_leg_event(leg, event);
        }
        if self.group_calls.has_line(leg) {
            return self.group_leg_event(leg, event);
        }
        let Some(call) = self.legs.get(&leg).copied() else {
            return self.home_leg_event(leg, event);
        };
        let Some(state) = self.leg_mut(call, leg) else {
            return self.misfit("flaw.leg_without_call");
        };
        let fact = state.on_event(event);
        let party = state.party.clone();
        let has_answered = fact == LegFact::Answered;
        match fact {
            LegFact::Noted => {}
            LegFact::Misfit { what } => self.misfit(what),
            LegFact::Digit { digit } => self.digit(call, leg, digit, KeyPath::Signalling),
            LegFact::Trying
            | LegFact::Progressed { .. }
            | LegFact::Answered
            | LegFact::Confirmed
            | LegFact::Failed { .. }
            | LegFact::Ended { .. }
            | LegFact::Held { .. } => match party {
                Party::Caller => self.caller_fact(call, leg, fact),
                Party::Seat(seat) => self.seat_fact(call, leg, &seat, fact),
                Party::Third { .. } => self.third_fact(call, leg, fact),
                Party::Relief(relief) => self.relief_fact(call, leg, &relief, fact),
                Party::Listener(seat) => self.listener_fact(call, leg, &seat, fact),
            },
        }
        if has_answered {
            self.watch_star_codes(leg);
        }
    }

    fn media_event(&mut self, leg: LegId, event: &MediaEvent) {
        if self.codes.contains_key(&leg) {
            return self.code_media_event(leg, event);
        }
        if self.group_calls.has_line(leg) {
            return self.group_media_event(leg, event);
        }
        let Some(call) = self.legs.get(&leg).copied() else {
            return self.home_media_event(leg, event);
        };
        match event {
            MediaEvent::RtpStarted => {
                self.caller_heard(call, leg);
                self.seat_heard(call, leg);
            }
            MediaEvent::PlayEnded { play } => self.play_ended(call, leg, *play),
            MediaEvent::Digit { digit, .. } => {
                self.self_test_hears(leg, *digit, false);
                self.digit(call, leg, *digit, KeyPath::Media);
            }
            MediaEvent::Tone { digit } => self.self_test_hears(leg, *digit, true),
            // Silence of the network alone ends nothing: the far side is asked in its dialog (invariant 1).
            MediaEvent::RtpLost { lost: true } => self.command_leg(leg, LegCommand::Probe),
            MediaEvent::RtpLost { lost: false } => {}
        }
    }

    /// After each Input: free seats get calls, callers hear what is true now, standing alarms are settled.
    fn follow_up(&mut self) {
        self.settle_self_test();
        self.settle_transfers();
        self.empty_shelf();
        self.route();
        self.call_relief();
        self.give_colleagues_back();
        self.refresh_hearing();
        self.settle_assists();
        self.settle_queue_listeners();
        self.settle_seats_none();
        self.ring_group_targets();
    }

    fn call_mut(&mut self, call: CallId) -> Option<&mut Call> {
        self.calls.get_mut(&call)
    }

    fn leg_mut(&mut self, call: CallId, leg: LegId) -> Option<&mut crate::call::Leg> {
        self.calls.get_mut(&call)?.legs.get_mut(&leg)
    }

    fn command_leg(&mut self, leg: LegId, command: LegCommand) {
        self.effects.push_back(Effect::Leg { leg, command });
    }

    fn command_media(&mut self, call: CallId, command: MediaCommand) {
        self.effects.push_back(Effect::Media { call, command });
    }

    /// An event of a call, open or past.
    fn say(&mut self, call: CallId, kind: EventKind) {
        let callseq = if let Some(open) = self.calls.get_mut(&call) {
            open.callseq += 1;
            open.callseq
        } else if let Some(last) = self.past.get_mut(&call) {
            *last += 1;
            *last
        } else {
            return self.misfit("flaw.event_unknown_call");
        };
        self.push_event(Some(call), callseq, kind);
    }

    /// An event of no call.
    fn note(&mut self, kind: EventKind) {
        self.push_event(None, 0, kind);
    }

    fn push_event(&mut self, call: Option<CallId>, callseq: u64, kind: EventKind) {
        let id = EventId(self.ids.next_uuid(self.now));
        self.events.push(Event {
            id,
            at: self.now,
            call,
            callseq,
            kind,
        });
    }

    fn misfit(&mut self, what: &'static str) {
        if let Some(count) = self.unexpected.get_mut(what) {
            *count += 1;
        } else {
            self.unexpected.insert(what.to_owned(), 1);
        }
    }

    fn new_leg_id(&mut self) -> LegId {
        LegId(self.ids.next_uuid(self.now))
    }
}

/// SplitMix64 (Steele, Lea, Flood 2014): chance that a replay repeats.
const fn draw_from(chance: &mut u64) -> u64 {
    *chance = chance.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut z = *chance;
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}
