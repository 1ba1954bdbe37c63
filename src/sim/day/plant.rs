//! Faults put in on purpose, one or more per invariant. A check that does not catch its own is dead.

use super::chance::Chance;
use super::check_marks::is_offer_of;
use crate::call::{Cause, LegCommand, LegEvent, Target};
use crate::id::{CallId, EventId, IdSource, LegId, SeatId};
use crate::matrix::Matrix;
use crate::switch::{Effect, Event, EventKind, Input, InputKind, MediaCommand, Switch, View};

/// A fault put in on purpose.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Plant {
    /// 1: a timer hangs up on a caller.
    TimerHangsUp,
    /// 1: a seat's lost line takes the caller along.
    LostSeatEndsCaller,
    /// 1: a seat that leaves takes the callers of other calls along, which it joined to its own.
    LeavingSeatEndsJoinedCaller,
    /// 2: a call gets a second outcome.
    SecondOutcome,
    /// 2: an abandoned call is on nobody's list.
    CallBackForgotten,
    /// 2: an entry of the call-back list waits for a call that is over.
    CallBackHangs,
    /// 2: a call never gets an outcome.
    OutcomeForgotten,
    /// 2: a number of a group call never gets its result.
    GroupResultForgotten,
    /// 2: an INVITE that is repeated after the restart gets a second record.
    SecondRecord,
    /// 2: a call that the restart ended is not taken up when its INVITE is repeated.
    ReopeningForgotten,
    /// 3: a seat's phone is rung for a second call.
    SeatBookedTwice,
    /// 4: a waiting call is taken for offered and nobody rings for it.
    OfferForgotten,
    /// 4: the queue's order is turned around.
    QueueTurned,
    /// 4: the call of a marked number is answered and offered to no seat.
    MarkedNotOffered,
    /// 4: nobody knows which seat had a crew's incident.
    CrewSeatForgotten,
    /// 4: nobody knows the numbers of crews.
    CrewForgotten,
    /// 4: who redials stands at the end, and shares are forgotten.
    RedialForgotten,
    /// 3: a phone rings on although another one has answered.
    LoserRingsOn,
    /// 3: phones ring on for a call whose winner is never heard.
    LosersForgotten,
    /// 3: nobody knows any more which people outside are engaged.
    OutsideForgotten,
    /// 3: a seat that rang beside the winner is said to have missed the call.
    LoserPunished,
    /// 4: a seat that rings beside another is not given to a call that needs it.
    SpareKept,
    /// 4: a seat without the skill is rung.
    SkillIgnored,
    /// 4: a seat of another queue is rung.
    QueueIgnored,
    /// 4: a supervisor is rung while dispatchers serve.
    SupervisorNotHeldBack,
    /// 6: a seat is rung only after the enrichment has answered.
    OfferWaitsForEnrichment,
    /// 7: an Input misses in the journal.
    JournalLosesInput,
    /// 7: the picture shows another state than the Events tell.
    StateDriftsFromEvents,
    /// 7: what people wrote on a call is gone.
    WordsLost,
    /// 7: a call that was answered is not taken off the counter of those that wait.
    CounterKeepsCall,
    /// 7: a seat that becomes free is still counted as serving.
    CounterKeepsSeat,
    /// 8: a repeated delivery gets a new id.
    RepeatGetsNewId,
    /// 8: an Event is passed over by the delivery.
    RevisionLost,
    /// 9: a leg appears in another call's audio.
    LegInTwoCalls,
    /// 9: an alarm that is over stands on.
    AlarmForgotten,
    /// 9: a number of a group call stays on the line.
    GroupLineStays,
    /// 9: nobody is told that a talk lasts.
    LongTalkUntold,
    /// 10: one party of a talk does not hear another.
    DeafParty,
    /// 10: a caller hears a supervisor who listens or whispers.
    SupervisorHeard,
    /// 10: a caller on hold is still heard by the seat.
    HeldCallerHeard,
    /// 10: a third party that leaves ends the talk of the others.
    LeavingEndsRest,
    /// 10: who listens to a queue stays with a call that waits no more.
    QueueListenerStays,
    /// 10: a caller's sound ends because somebody listens.
    ListenerDisturbs,
    /// 12: nothing wakes the switch for a caller in a menu.
    MenuDeadlineForgotten,
    /// 12: nothing takes a caller off the shelf.
    ShelfDeadlineForgotten,
    /// 12: a caller who leaves a menu is in no queue.
    MenuEndsNowhere,
    /// 0: a waiting caller's music is never started.
    SilentQueue,
}

impl Plant {
    /// The invariant whose check must catch it.
    #[must_use]
    pub const fn invariant(self) -> u8 {
        match self {
            Self::SilentQueue => 0,
            Self::TimerHangsUp | Self::LostSeatEndsCaller | Self::LeavingSeatEndsJoinedCaller => 1,
            Self::SecondOutcome
            | Self::CallBackForgotten
            | Self::CallBackHangs
            | Self::OutcomeForgotten
            | Self::GroupResultForgotten
            | Self::SecondRecord
            | Self::ReopeningForgotten => 2,
            Self::SeatBookedTwice
            | Self::LoserRingsOn
            | Self::LosersForgotten
            | Self::OutsideForgotten
            | Self::LoserPunished => 3,
            Self::OfferForgotten
            | Self::QueueTurned
            | Self::RedialForgotten
            | Self::CrewSeatForgotten
            | Self::CrewForgotten
            | Self::MarkedNotOffered
            | Self::SpareKept
            | Self::SkillIgnored
            | Self::QueueIgnored
            | Self::SupervisorNotHeldBack => 4,
            Self::OfferWaitsForEnrichment => 6,
            Self::JournalLosesInput
            | Self::StateDriftsFromEvents
            | Self::WordsLost
            | Self::CounterKeepsCall
            | Self::CounterKeepsSeat => 7,
            Self::RepeatGetsNewId | Self::RevisionLost => 8,
            Self::LegInTwoCalls
            | Self::AlarmForgotten
            | Self::GroupLineStays
            | Self::LongTalkUntold => 9,
            Self::DeafParty
            | Self::SupervisorHeard
            | Self::HeldCallerHeard
            | Self::QueueListenerStays
            | Self::ListenerDisturbs
            | Self::LeavingEndsRest => 10,
            Self::MenuDeadlineForgotten | Self::ShelfDeadlineForgotten | Self::MenuEndsNowhere => {
                12
            }
        }
    }

    /// All of them.
    pub const ALL: &[Self] = &[
        Self::MarkedNotOffered,
        Self::LoserRingsOn,
        Self::LosersForgotten,
        Self::OutsideForgotten,
        Self::LoserPunished,
        Self::SpareKept,
        Self::RedialForgotten,
        Self::CrewSeatForgotten,
        Self::CrewForgotten,
        Self::SkillIgnored,
        Self::QueueIgnored,
        Self::SupervisorNotHeldBack,
        Self::SilentQueue,
        Self::TimerHangsUp,
        Self::LostSeatEndsCaller,
        Self::LeavingSeatEndsJoinedCaller,
        Self::SecondOutcome,
        Self::CallBackForgotten,
        Self::CallBackHangs,
        Self::OutcomeForgotten,
        Self::GroupResultForgotten,
        Self::GroupLineStays,
        Self::SecondRecord,
        Self::ReopeningForgotten,
        Self::SeatBookedTwice,
        Self::OfferForgotten,
        Self::QueueTurned,
        Self::OfferWaitsForEnrichment,
        Self::JournalLosesInput,
        Self::StateDriftsFromEvents,
        Self::WordsLost,
        Self::CounterKeepsCall,
        Self::CounterKeepsSeat,
        Self::RepeatGetsNewId,
        Self::RevisionLost,
        Self::LegInTwoCalls,
        Self::AlarmForgotten,
        Self::LongTalkUntold,
        Self::DeafParty,
        Self::SupervisorHeard,
        Self::HeldCallerHeard,
        Self::LeavingEndsRest,
        Self::QueueListenerStays,
        Self::ListenerDisturbs,
        Self::MenuDeadlineForgotten,
        Self::ShelfDeadlineForgotten,
        Self::MenuEndsNowhere,
    ];
}

/// Who is there before a step.
#[derive(Clone, Debug, Default)]
pub(super) struct People {
    /// E.164 numbers under a confirmed verdict.
    pub(super) marked: Vec<String>,
    /// Callers that wait or talk, and their calls.
    pub(super) callers: Vec<(CallId, LegId)>,
    /// Seats that talk, with their legs.
    pub(super) talking_seats: Vec<(CallId, LegId, SeatId)>,
    /// Third parties that have joined.
    pub(super) thirds: Vec<(CallId, LegId)>,
    /// Supervisors whose phones are up.
    pub(super) listeners: Vec<(CallId, LegId)>,
}

/// What a planted fault sees of a step.
pub(super) struct Step<'a> {
    pub(super) input: &'a Input,
    pub(super) events: &'a mut Vec<Event>,
    pub(super) effects: &'a mut Vec<Effect>,
    pub(super) people: &'a People,
    pub(super) chance: &'a mut Chance,
}

impl Plant {
    /// Breaks what came out of one step, if it can.
    #[expect(clippy::too_many_lines, reason = "a table: one short arm per fault")]
    pub(super) fn spoil(self, step: &mut Step<'_>) {
        match self {
            Self::TimerHangsUp => {
                if step.input.kind == InputKind::Tick
                    && let Some((_, leg)) = step.chance.pick(&step.people.callers)
                {
                    step.effects.push(release(*leg));
                }
            }
            Self::LostSeatEndsCaller => step.end_caller_of_lost_seat(),
            Self::LeavingSeatEndsJoinedCaller => step.end_parted_callers(),
            Self::SecondOutcome => step.say_end_twice(),
            Self::MenuEndsNowhere => {
                let left = |e: &Event| matches!(e.kind, EventKind::MenuLeft { .. });
                if step.events.iter().any(left) {
                    step.silence(|kind| matches!(kind, EventKind::QueueEntered { .. }));
                }
            }
            Self::CallBackForgotten => {
                step.silence(|kind| matches!(kind, EventKind::CallBackDue { .. }));
            }
            Self::OutcomeForgotten => {
                step.silence(|kind| matches!(kind, EventKind::CallEnded { .. }));
            }
            Self::GroupResultForgotten => {
                step.silence(|kind| matches!(kind, EventKind::GroupFailed { .. }));
            }
            Self::LongTalkUntold => {
                step.silence(|kind| matches!(kind, EventKind::HandlingExceeded { .. }));
            }
            Self::SecondRecord => step.record_twice(),
            Self::ReopeningForgotten => {
                step.silence(|kind| matches!(kind, EventKind::CallReopened { .. }));
            }
            Self::SeatBookedTwice => step.ring_twice(),
            Self::LoserRingsOn => step.effects.retain(|e| {
                !matches!(
                    e,
                    Effect::Leg {
                        command: LegCommand::Release {
                            cause: Cause::AnsweredElsewhere
                        },
                        ..
                    }
                )
            }),
            Self::LoserPunished => step.punish_loser(),
            Self::AlarmForgotten => {
                step.events
                    .retain(|e| !matches!(e.kind, EventKind::AlarmCleared { .. }));
            }
            Self::LegInTwoCalls => step.cross_audio(),
            Self::DeafParty => step.deafen(),
            Self::SupervisorHeard => step.leak_supervisor(),
            Self::HeldCallerHeard => {
                let held = |e: &Event| matches!(e.kind, EventKind::CallHeld { .. });
                let matrix = |e: &Effect| {
                    matches!(
                        e,
                        Effect::Media {
                            command: MediaCommand::Matrix { .. },
                            ..
                        }
                    )
                };
                if step.events.iter().any(held) {
                    step.effects.retain(|e| !matrix(e));
                }
            }
            Self::LeavingEndsRest => step.end_rest(),
            Self::ListenerDisturbs => step.disturb_caller(),
            Self::SilentQueue => step.effects.retain(|e| {
                !matches!(
                    e,
                    Effect::Media {
                        command: MediaCommand::Play { repeat: true, .. },
                        ..
                    }
                )
            }),
            Self::MarkedNotOffered => step.pass_marked_over(),
            Self::OfferWaitsForEnrichment => {
                let asks = |e: &Effect| matches!(e, Effect::Ask { .. });
                if step.effects.iter().any(asks) {
                    step.effects.retain(|e| {
                        !matches!(
                            e,
                            Effect::Leg {
                                command: LegCommand::Invite(_),
                                ..
                            }
                        )
                    });
                }
            }
            // These break the state, the journal or the delivery, not a step's output.
            Self::OfferForgotten
            | Self::QueueTurned
            | Self::MenuDeadlineForgotten
            | Self::QueueListenerStays
            | Self::GroupLineStays
            | Self::LosersForgotten
            | Self::OutsideForgotten
            | Self::ShelfDeadlineForgotten
            | Self::RedialForgotten
            | Self::CrewSeatForgotten
            | Self::CrewForgotten
            | Self::SpareKept
            | Self::SkillIgnored
            | Self::QueueIgnored
            | Self::SupervisorNotHeldBack
            | Self::JournalLosesInput
            | Self::CallBackHangs
            | Self::StateDriftsFromEvents
            | Self::WordsLost
            | Self::CounterKeepsCall
            | Self::CounterKeepsSeat
            | Self::RepeatGetsNewId
            | Self::RevisionLost => {}
        }
    }

    /// Breaks the picture, where that is the fault.
    pub(super) fn spoil_view(self, view: &mut View) {
        if self == Self::StateDriftsFromEvents {
            view.calls.pop();
        }
        let centre = &mut view.counters.centre;
        if self == Self::CounterKeepsCall && centre.handled > 0 {
            centre.waiting = centre.waiting.max(1);
        }
        if self == Self::CounterKeepsSeat && centre.handled > 0 && centre.serving == 0 {
            centre.serving = 1;
        }
        if self == Self::CallBackHangs
            && let Some(entry) = view.call_backs.first_mut()
        {
            "dialling".clone_into(&mut entry.state);
            entry.with = Some(CallId(uuid::Uuid::nil()));
        }
    }

    /// The timer that it takes away, by its name.
    pub(super) fn timer(self) -> Option<&'static str> {
        let timers = [
            (Self::MenuDeadlineForgotten, "menu"),
            (Self::LosersForgotten, "answered elsewhere"),
            (Self::ShelfDeadlineForgotten, "shelf"),
            (Self::QueueListenerStays, "listen on"),
        ];
        let own = timers.into_iter().find(|(plant, _)| *plant == self);
        own.map(|(_, name)| name)
    }

    /// Breaks the state itself, where that is the fault.
    pub(super) fn spoil_state(self, switch: &mut Switch) {
        let change: fn(&mut serde_json::Value) = match self {
            Self::MenuDeadlineForgotten => |state| disarm(state, "/1/menu"),
            Self::LosersForgotten => |state| disarm(state, "/1/elsewhere"),
            Self::OutsideForgotten => |state| state["outside"] = serde_json::json!({}),
            Self::ShelfDeadlineForgotten => |state| disarm(state, "/1/shelf"),
            Self::QueueListenerStays => |state| disarm(state, "/1/listen_on"),
            Self::GroupLineStays => |state| disarm(state, "/1/group_line"),
            Self::OfferForgotten => forget_offers,
            Self::QueueTurned => turn_queue,
            Self::RedialForgotten => forget_redials,
            Self::CrewSeatForgotten => forget_crew_seats,
            Self::CrewForgotten => |state| state["crews"] = serde_json::json!({}),
            Self::SpareKept => keep_spares,
            Self::SkillIgnored => |state| seats_get(state, "skills", &serde_json::json!(["child"])),
            Self::QueueIgnored => |state| seats_get(state, "queues", &serde_json::json!([])),
            Self::SupervisorNotHeldBack => {
                |state| seats_get(state, "role", &serde_json::json!("dispatcher"))
            }
            Self::WordsLost => |state| state["sheets"] = serde_json::json!({}),
            Self::TimerHangsUp
            | Self::MenuEndsNowhere
            | Self::LoserRingsOn
            | Self::LoserPunished
            | Self::LostSeatEndsCaller
            | Self::MarkedNotOffered
            | Self::LeavingSeatEndsJoinedCaller
            | Self::SecondOutcome
            | Self::CallBackForgotten
            | Self::OutcomeForgotten
            | Self::GroupResultForgotten
            | Self::SecondRecord
            | Self::ReopeningForgotten
            | Self::SeatBookedTwice
            | Self::OfferWaitsForEnrichment
            | Self::JournalLosesInput
            | Self::CallBackHangs
            | Self::StateDriftsFromEvents
            | Self::CounterKeepsCall
            | Self::CounterKeepsSeat
            | Self::RepeatGetsNewId
            | Self::RevisionLost
            | Self::LegInTwoCalls
            | Self::AlarmForgotten
            | Self::LongTalkUntold
            | Self::DeafParty
            | Self::SupervisorHeard
            | Self::HeldCallerHeard
            | Self::LeavingEndsRest
            | Self::ListenerDisturbs
            | Self::SilentQueue => return,
        };
        if let Ok(mut written) = switch.snapshot()
            && let Some(state) = written.pointer_mut("/switch")
        {
            change(state);
            if let Ok(spoiled) = Switch::restore(&written) {
                *switch = spoiled;
            }
        }
    }
}

/// Every seat of the policy is told to be so.
fn seats_get(state: &mut serde_json::Value, key: &str, value: &serde_json::Value) {
    for seat in items(state, "/policy/seats") {
        seat[key] = value.clone();
    }
}

/// Every call stands by its own arrival, and nobody has called before.
fn forget_redials(state: &mut serde_json::Value) {
    for entry in items(state, "/queue/entries") {
        if let Some(arrived) = entry.get("arrived").cloned() {
            entry["since"] = arrived;
        }
    }
    if let Some(callers) = state.pointer_mut("/callers") {
        *callers = serde_json::json!({});
    }
}

/// No seat had a call for which a crew was sent.
fn forget_crew_seats(state: &mut serde_json::Value) {
    for incident in items(state, "/crews") {
        incident["seat"] = serde_json::Value::Null;
    }
}

/// No timer of this kind goes off.
fn disarm(state: &mut serde_json::Value, kind: &str) {
    let timers = state.pointer_mut("/timers");
    if let Some(timers) = timers.and_then(serde_json::Value::as_array_mut) {
        timers.retain(|timer| timer.pointer(kind).is_none());
    }
}

/// Every waiting call is taken for one that a seat rings for.
fn forget_offers(state: &mut serde_json::Value) {
    for call in items(state, "/calls") {
        if let Some(offers) = call.pointer_mut("/phase/offers") {
            *offers = serde_json::json!([taken_offer()]);
        }
    }
}

/// No seat that rings beside another is known as one.
fn keep_spares(state: &mut serde_json::Value) {
    let mut spares = Vec::new();
    for call in items(state, "/calls") {
        let beside = items(call, "/phase/offers").skip(1);
        spares.extend(beside.map(|offer| offer["leg"].clone()));
    }
    for seat in items(state, "/seats") {
        if spares.contains(&seat["duty"]["leg"]) {
            seat["duty"]["leg"] = serde_json::json!(LegId(uuid::Uuid::nil()));
        }
    }
}

/// The last has the first one's queue time.
fn turn_queue(state: &mut serde_json::Value) {
    let mut turned = items(state, "/queue/entries");
    let entered: Vec<_> = turned.by_ref().filter_map(|e| e.get_mut("since")).collect();
    let mut times: Vec<_> = entered.iter().map(|t| (**t).clone()).collect();
    times.reverse();
    for (entry, time) in entered.into_iter().zip(times) {
        *entry = time;
    }
}

/// What an array or an object holds.
fn items<'v>(
    state: &'v mut serde_json::Value,
    path: &str,
) -> Box<dyn Iterator<Item = &'v mut serde_json::Value> + 'v> {
    match state.pointer_mut(path) {
        Some(serde_json::Value::Array(list)) => Box::new(list.iter_mut()),
        Some(serde_json::Value::Object(map)) => Box::new(map.values_mut()),
        Some(_) | None => Box::new(std::iter::empty()),
    }
}

const fn release(leg: LegId) -> Effect {
    Effect::Leg {
        leg,
        command: LegCommand::Release {
            cause: Cause::NoAnswer,
        },
    }
}

impl Step<'_> {
    fn pass_marked_over(&mut self) {
        let received = self.events.iter().find_map(|event| {
            let EventKind::CallReceived { caller, .. } = &event.kind else {
                return None;
            };
            Some((event.call?, caller.e164.clone()?))
        });
        if let Some((call, number)) = received
            && self.people.marked.contains(&number)
        {
            self.effects.retain(|effect| !is_offer_of(effect, call));
        }
    }

    /// Says something without meaning instead.
    fn silence(&mut self, unwanted: impl Fn(&EventKind) -> bool) {
        for event in self.events.iter_mut() {
            if unwanted(&event.kind) {
                event.kind = EventKind::CallAnsweredBySystem {};
            }
        }
    }

    fn ended_leg(&self) -> Option<LegId> {
        if let InputKind::Leg {
            leg,
            event: LegEvent::Ended { .. },
        } = &self.input.kind
        {
            return Some(*leg);
        }
        None
    }

    fn caller_of(&self, call: CallId) -> Option<LegId> {
        self.people
            .callers
            .iter()
            .find_map(|(of, leg)| (*of == call).then_some(*leg))
    }

    fn end_caller_of_lost_seat(&mut self) {
        let InputKind::Leg {
            leg,
            event: LegEvent::Ended {
                cause: Cause::Lost, ..
            },
        } = &self.input.kind
        else {
            return;
        };
        let call = self.people.talking_seats.iter().find(|(_, l, _)| l == leg);
        if let Some(caller) = call.and_then(|(call, _, _)| self.caller_of(*call)) {
            self.effects.push(release(caller));
        }
    }

    fn end_parted_callers(&mut self) {
        let seat = self.ended_leg();
        let seats = &self.people.talking_seats;
        let Some((host, _, _)) = seats.iter().find(|(_, leg, _)| Some(*leg) == seat) else {
            return;
        };
        for event in self.events.iter() {
            if let EventKind::CallParted { into, .. } = &event.kind
                && into == host
                && let Some(guest) = event.call.filter(|call| call != host)
                && let Some(caller) = self.caller_of(guest)
            {
                self.effects.push(release(caller));
            }
        }
    }

    fn say_end_twice(&mut self) {
        let end = self
            .events
            .iter()
            .find(|e| matches!(e.kind, EventKind::CallEnded { .. }))
            .cloned();
        if let Some(mut again) = end {
            again.callseq += 1;
            again.id = EventId(IdSource::new(self.chance.next()).next_uuid(again.at));
            self.events.push(again);
        }
    }

    /// The repeated INVITE is received as if it were new.
    fn record_twice(&mut self) {
        let InputKind::Arrived { arrival } = &self.input.kind else {
            return;
        };
        for event in self.events.iter_mut() {
            if let EventKind::CallReopened { .. } = &event.kind {
                event.call = Some(arrival.call);
                event.callseq = 1;
                event.kind = EventKind::CallReceived {
                    arrival: arrival.clone(),
                    caller: crate::phone::parse(&arrival.caller, "0755", arrival.anonymous),
                    serial_no: String::from("1"),
                    channel: String::from("sip"),
                };
            }
        }
    }

    fn punish_loser(&mut self) {
        let loser = self.events.iter().find_map(|event| {
            if let EventKind::SeatReleased {
                seat,
                cause: Cause::AnsweredElsewhere,
                ..
            } = &event.kind
            {
                return Some((event.at, seat.clone()));
            }
            None
        });
        if let Some((at, seat)) = loser {
            self.events.push(Event {
                id: EventId(IdSource::new(self.chance.next()).next_uuid(at)),
                at,
                call: None,
                callseq: 0,
                kind: EventKind::SeatStateChanged {
                    seat,
                    state: String::from("not_ready"),
                    reason: Some(String::from("未接")),
                },
            });
        }
    }

    /// The next phone that is rung is one that talks already.
    fn ring_twice(&mut self) {
        let Some((_, _, busy)) = self.people.talking_seats.first() else {
            return;
        };
        for effect in self.effects.iter_mut() {
            if let Effect::Leg {
                command: LegCommand::Invite(invite),
                ..
            } = effect
                && let Target::Seat { seat, .. } = &mut invite.target
            {
                *seat = busy.clone();
            }
        }
    }

    fn cross_audio(&mut self) {
        let foreign = &self.people.callers;
        for effect in self.effects.iter_mut() {
            if let Effect::Media {
                call,
                command: MediaCommand::Matrix { matrix },
            } = effect
                && let Some((_, other)) = foreign.iter().find(|(of, _)| of != call)
            {
                let hearer = matrix.hearers().next();
                if let Some(hearer) = hearer {
                    matrix.hear(hearer, *other);
                }
            }
        }
    }

    fn deafen(&mut self) {
        for effect in self.effects.iter_mut() {
            if let Effect::Media {
                command: MediaCommand::Matrix { matrix },
                ..
            } = effect
            {
                let mut spoiled = Matrix::silent();
                for hearer in matrix.hearers().skip(1) {
                    for source in matrix.sources(hearer) {
                        spoiled.hear(hearer, source);
                    }
                }
                *matrix = spoiled;
            }
        }
    }

    /// Every caller hears the supervisor of his call, whatever his mode.
    fn leak_supervisor(&mut self) {
        for effect in self.effects.iter_mut() {
            if let Effect::Media {
                call,
                command: MediaCommand::Matrix { matrix },
            } = effect
                && let Some((_, listener)) = self.people.listeners.iter().find(|(of, _)| of == call)
                && let Some((_, caller)) = self.people.callers.iter().find(|(of, _)| of == call)
            {
                matrix.hear(*caller, *listener);
            }
        }
    }

    /// The caller whom a queue's listener begins to hear is played nothing any more.
    fn disturb_caller(&mut self) {
        let moved = self.effects.iter().find_map(|effect| match effect {
            Effect::Media {
                command: MediaCommand::Move { to, .. },
                ..
            } => Some(*to),
            Effect::Media { .. }
            | Effect::Leg { .. }
            | Effect::AskPin { .. }
            | Effect::Ask { .. }
            | Effect::Reply { .. } => None,
        });
        if let Some(call) = moved
            && let Some(leg) = self.caller_of(call)
        {
            let command = MediaCommand::Stop { leg };
            self.effects.push(Effect::Media { call, command });
        }
    }

    fn end_rest(&mut self) {
        let Some(leg) = self.ended_leg() else {
            return;
        };
        let Some((call, _)) = self.people.thirds.iter().find(|(_, l)| *l == leg) else {
            return;
        };
        let rest = self
            .people
            .talking_seats
            .iter()
            .find(|(of, _, _)| of == call);
        if let (Some((_, seat, _)), Some(_)) = (rest, self.caller_of(*call)) {
            self.effects.push(release(*seat));
        }
    }
}

/// An offer that nobody made.
fn taken_offer() -> serde_json::Value {
    serde_json::json!({
        "seat": "800", "leg": LegId(uuid::Uuid::nil()), "alive": true, "rang": true, "sole": true
    })
}
