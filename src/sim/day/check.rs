//! What must be true, kept without the switch's own code: a naive model fed by Inputs, Events and Effects only.
//!
//! Legs, calls and the queue here are the checker's own; the switch's picture is compared with them, never copied.

use std::collections::{BTreeMap, BTreeSet};

use super::check_counters::Tally;
use super::check_crew::Crews;
use super::check_forms::Forms;
use super::check_groups::Groups;
use super::check_listen_queue::Ears;
use super::check_made::dials_out;
use super::check_marks::Marks;
use super::check_overlong::Overlong;
use super::check_route::Routes;
use crate::call::{Arrival, Cause, Ingress, LegEvent, Mode, TransferTo};
use crate::id::{CallBackId, CallId, CommandId, EventId, LegId, PlayId, ReliefId, SeatId, TrunkId};
use crate::matrix::Matrix;
use crate::switch::{
    Actor, AlarmCode, CallState, Effect, Event, EventKind, Input, InputKind, MediaEvent, Outcome,
    Policy, StarResult, Switch, TrunkChange, View,
};
use crate::time::Timestamp;

/// What a check says: the number of the invariant and what is wrong.
pub(super) type Verdict = Result<(), (u8, String)>;

/// Who a leg is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Who {
    Caller,
    Seat(SeatId),
    Third,
    /// Asked whether they take the call.
    Relief(ReliefId),
    Listener(SeatId),
}

/// How far a live leg is.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Reach {
    Ringing,
    Announcing,
    Up,
}

/// A live leg, as Inputs and Effects make it.
#[derive(Clone, Debug)]
pub(super) struct LegTruth {
    pub(super) call: CallId,
    pub(super) who: Who,
    pub(super) reach: Reach,
    /// What a supervisor does, as Events say.
    pub(super) mode: Mode,
}

/// A call, as Inputs and Events make it.
#[derive(Clone, Debug)]
pub(super) struct CallTruth {
    pub(super) received_at: Timestamp,
    pub(super) dialled_by: Option<SeatId>,
    /// A call that we make, and the colleague it is for.
    pub(super) made: bool,
    pub(super) callee_seat: Option<SeatId>,
    pub(super) seq: u64,
    pub(super) outcome: Option<Outcome>,
    pub(super) settled: bool,
    /// Our restart ended it: should its INVITE come again, it goes on.
    pub(super) restarted: bool,
    pub(super) call_back: bool,
    pub(super) answered: bool,
    /// A seat ended its part of it.
    pub(super) seat_left: bool,
    pub(super) matrix: Matrix,
    pub(super) called: String,
    /// Until when its caller may be in a menu.
    pub(super) menu_until: Option<Timestamp>,
    /// Who transfers it to whom; the seats stay those until it is answered again.
    pub(super) transfer: Option<(SeatId, TransferTo)>,
    /// It is being transferred.
    pub(super) transferring: bool,
    /// Until when its caller may be on the shelf.
    pub(super) shelf_until: Option<Timestamp>,
    /// Its caller is on hold.
    pub(super) held: bool,
    /// The caller's last playback, while it sounds; absent before the first.
    pub(super) playing: Option<Option<PlayId>>,
}

impl CallTruth {
    pub(super) fn begun(received_at: Timestamp) -> Self {
        Self {
            received_at,
            dialled_by: None,
            made: false,
            callee_seat: None,
            seq: 0,
            outcome: None,
            settled: false,
            restarted: false,
            call_back: false,
            answered: false,
            seat_left: false,
            matrix: Matrix::silent(),
            called: String::new(),
            menu_until: None,
            transfer: None,
            transferring: false,
            shelf_until: None,
            held: false,
            playing: None,
        }
    }
}

/// The leg whose end this step is about.
#[derive(Clone, Debug)]
pub(super) struct Ended {
    pub(super) leg: LegTruth,
    /// By its own hang-up, not by a broken line.
    pub(super) by_choice: bool,
    /// How many talked in its call before.
    pub(super) own_before: usize,
    /// The calls joined with it before, and how many talked in them.
    pub(super) others: Vec<CallId>,
    pub(super) others_before: usize,
    /// Its call had been joined to another.
    pub(super) guest: bool,
}

/// The model.
#[derive(Debug, Default)]
pub(super) struct Checker {
    pub(super) calls: BTreeMap<CallId, CallTruth>,
    pub(super) legs: BTreeMap<LegId, LegTruth>,
    pub(super) legs_seen: BTreeMap<LegId, CallId>,
    pub(super) routes: Routes,
    /// Joined calls: whose conversation each talks in.
    pub(super) hosts: BTreeMap<CallId, CallId>,
    pub(super) invite_keys: BTreeMap<String, CallId>,
    /// The call that must be received in this step.
    pub(super) expected: Option<CallId>,
    /// The call that must go on in this step, and the arrival that continues it.
    pub(super) reopening: Option<CallId>,
    pub(super) ended: Option<Ended>,
    pub(super) event_ids: BTreeSet<EventId>,
    pub(super) alarms: BTreeSet<(AlarmCode, String)>,
    pub(super) trunks_down: BTreeSet<TrunkId>,
    pub(super) call_backs: BTreeSet<CallBackId>,
    /// Seats ready for a call after the last step.
    pub(super) ready: BTreeSet<SeatId>,
    /// Since when a caller waits although a fit seat is free.
    pub(super) idle_since: Option<Timestamp>,
    /// Phones that were rung for a waiting call, and since when another seat has answered it.
    pub(super) losing: BTreeMap<LegId, Option<Timestamp>>,
    pub(super) now: Timestamp,
    /// The time of the step before this one.
    pub(super) last: Timestamp,
    /// The process stood still until this step: what fell due since the last one could not be done earlier.
    pub(super) stood_still: bool,
    pub(super) marks: Marks,
    /// What supervisors' commands asked for: the one of this step, and those that were accepted.
    pub(super) asking: Option<(CallId, SeatId, Mode)>,
    pub(super) asked: BTreeMap<(CallId, SeatId), Mode>,
    pub(super) tally: Tally,
    pub(super) ears: Ears,
    pub(super) forms: Forms,
    pub(super) groups: Groups,
    pub(super) overlong: Overlong,
    pub(super) crews: Crews,
    /// Numbers of people outside, by the legs that reach them.
    pub(super) outside: BTreeMap<LegId, String>,
}

/// A star code's last key is the command that it stood for.
fn as_commanded(input: &Input, events: &[Event]) -> Input {
    let obeyed = events.iter().find_map(|event| {
        let EventKind::StarCode {
            seat,
            result: StarResult::Done,
            command: Some(command),
            ..
        } = &event.kind
        else {
            return None;
        };
        Some(InputKind::Command {
            id: CommandId(event.id.0),
            by: Actor::Seat(seat.clone()),
            command: (**command).clone(),
        })
    });
    Input {
        at: input.at,
        kind: obeyed.unwrap_or_else(|| input.kind.clone()),
    }
}

impl Checker {
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// Callers that wait.
    pub(super) fn waiting(&self) -> usize {
        let places = self.routes.places.iter();
        places.filter(|p| self.rung_seat(p.call).is_none()).count()
    }

    /// Calls without an outcome.
    pub(super) fn open_calls(&self) -> Vec<CallId> {
        let open = self.calls.iter().filter(|(_, call)| call.outcome.is_none());
        open.map(|(id, _)| *id).collect()
    }

    pub(super) fn callers(&self) -> Vec<(CallId, LegId)> {
        self.legs_of(|leg| leg.who == Who::Caller)
    }

    pub(super) fn talking_seats(&self) -> Vec<(CallId, LegId, SeatId)> {
        self.legs
            .iter()
            .filter_map(|(id, leg)| match &leg.who {
                Who::Seat(seat) if leg.reach == Reach::Up => Some((leg.call, *id, seat.clone())),
                Who::Seat(_) | Who::Caller | Who::Third | Who::Relief(_) | Who::Listener(_) => None,
            })
            .collect()
    }

    pub(super) fn joined_thirds(&self) -> Vec<(CallId, LegId)> {
        self.legs_of(|leg| leg.who == Who::Third && leg.reach == Reach::Up)
    }

    fn legs_of(&self, wanted: impl Fn(&LegTruth) -> bool) -> Vec<(CallId, LegId)> {
        self.legs
            .iter()
            .filter(|(_, leg)| wanted(leg))
            .map(|(id, leg)| (leg.call, *id))
            .collect()
    }

    pub(super) fn live_legs(&self) -> Vec<LegId> {
        self.legs.keys().copied().collect()
    }

    pub(super) fn caller_of(&self, call: CallId) -> Option<LegId> {
        self.legs
            .iter()
            .find_map(|(id, leg)| (leg.call == call && leg.who == Who::Caller).then_some(*id))
    }

    pub(super) fn is_closing(&self, call: CallId) -> bool {
        self.calls
            .get(&call)
            .is_some_and(|c| c.outcome.is_some() && !c.settled)
    }

    /// The seat that is being rung for a waiting call.
    pub(super) fn rung_seat(&self, call: CallId) -> Option<&SeatId> {
        self.legs.values().find_map(|leg| match &leg.who {
            Who::Seat(seat) if leg.call == call => Some(seat),
            Who::Seat(_) | Who::Caller | Who::Third | Who::Relief(_) | Who::Listener(_) => None,
        })
    }

    /// The call whose conversation a call talks in.
    pub(super) fn host_of(&self, call: CallId) -> CallId {
        self.hosts.get(&call).copied().unwrap_or(call)
    }

    pub(super) fn together(&self, one: CallId, other: CallId) -> bool {
        self.host_of(one) == self.host_of(other)
    }

    /// A seat is up in the conversation of a call.
    pub(super) fn seat_talks_with(&self, call: CallId) -> bool {
        self.legs.values().any(|leg| {
            matches!(leg.who, Who::Seat(_))
                && leg.reach == Reach::Up
                && self.together(leg.call, call)
        })
    }

    /// Who talks in a call and in those joined to it.
    pub(super) fn talkers_with(&self, call: CallId) -> usize {
        let calls = self.calls.keys().filter(|of| self.together(**of, call));
        calls.map(|of| self.talkers(*of)).sum()
    }

    pub(super) fn talkers(&self, call: CallId) -> usize {
        self.legs
            .values()
            .filter(|leg| leg.call == call)
            .filter(|leg| match leg.who {
                Who::Caller => true,
                Who::Seat(_) | Who::Third => leg.reach == Reach::Up,
                Who::Relief(_) | Who::Listener(_) => false,
            })
            .count()
    }

    /// What an Input says by itself, before the switch has seen it.
    pub(super) fn before(&mut self, input: &Input) {
        self.last = self.now;
        if let InputKind::Started { .. } = &input.kind {
            // A new process may find its clock stepped back; within one, time does not go back.
            self.now = input.at;
            self.idle_since = None;
        }
        self.now = self.now.max(input.at);
        self.marks.before(input);
        self.forms.before(input);
        self.groups.before(self.now, input);
        self.expected = None;
        self.reopening = None;
        self.ended = None;
        self.supervisor_asks(input);
        match &input.kind {
            InputKind::Started { .. } => {
                self.legs.clear();
                self.trunks_down.clear();
            }
            InputKind::Arrived { arrival } => self.invite_comes(arrival),
            InputKind::Leg { leg, event } => self.leg_moves(*leg, event),
            InputKind::Media { leg, event } => {
                if let MediaEvent::PlayEnded { play } = event {
                    self.play_ended(*leg, *play);
                }
            }
            InputKind::Trunk { trunk, change } => {
                match change {
                    TrunkChange::Up => self.trunks_down.remove(trunk),
                    TrunkChange::Down { .. } => self.trunks_down.insert(trunk.clone()),
                };
            }
            InputKind::PolicyChanged { .. }
            | InputKind::ArrivedAgain { .. }
            | InputKind::Recording { .. }
            | InputKind::Found { .. }
            | InputKind::Seat { .. }
            | InputKind::UnknownSource { .. }
            | InputKind::Command { .. }
            | InputKind::Alarm { .. }
            | InputKind::Pin { .. }
            | InputKind::Tick
            | InputKind::Remembered { .. }
            | InputKind::Skipped { .. } => {}
        }
    }

    /// Invariant 2: an INVITE is one call, open or cut by our restart; only after an end of its own it is another.
    fn invite_comes(&mut self, arrival: &Arrival) {
        if self.legs_seen.contains_key(&arrival.leg) {
            return;
        }
        let known = self.invite_keys.get(&arrival.invite_key).copied();
        let truth = known.and_then(|call| self.calls.get(&call));
        let open = truth.is_some_and(|call| call.outcome.is_none());
        let restarted = known.filter(|_| truth.is_some_and(|call| call.restarted));
        let call = restarted.unwrap_or(arrival.call);
        self.legs_seen.insert(arrival.leg, call);
        if open || (restarted.is_some() && arrival.refused_capacity) {
            return;
        }
        if restarted.is_some() {
            self.reopening = restarted;
        } else {
            self.expected = Some(call);
        }
        if !arrival.refused_capacity {
            self.invite_keys.insert(arrival.invite_key.clone(), call);
            let who = match &arrival.ingress {
                Ingress::Seat(seat) if dials_out(arrival) => Who::Seat(seat.clone()),
                Ingress::Seat(_) | Ingress::Trunk(_) => Who::Caller,
            };
            let (reach, mode) = (Reach::Up, Mode::Listen);
            let truth = LegTruth {
                call,
                who,
                reach,
                mode,
            };
            self.legs.insert(arrival.leg, truth);
        }
    }

    fn leg_moves(&mut self, id: LegId, event: &LegEvent) {
        let Some(leg) = self.legs.get_mut(&id) else {
            return;
        };
        match event {
            LegEvent::Progress {
                early_media: true, ..
            } => leg.reach = leg.reach.max(Reach::Announcing),
            LegEvent::Answered => leg.reach = Reach::Up,
            LegEvent::Failed { cause, .. } => self.leg_ends(id, *cause, false),
            LegEvent::Ended { cause, by_far_side } => self.leg_ends(id, *cause, *by_far_side),
            LegEvent::Progress { .. }
            | LegEvent::Confirmed
            | LegEvent::FarHold { .. }
            | LegEvent::Digit { .. }
            | LegEvent::Dialog { .. } => {}
        }
    }

    fn leg_ends(&mut self, id: LegId, cause: Cause, by_far_side: bool) {
        let Some(call) = self.legs.get(&id).map(|leg| leg.call) else {
            return;
        };
        let joined = |of: &CallId| *of != call && self.together(*of, call);
        let others: Vec<_> = self.calls.keys().copied().filter(joined).collect();
        let others_before = others.iter().map(|of| self.talkers(*of)).sum();
        let guest = self.hosts.contains_key(&call);
        let own_before = self.talkers(call);
        let Some(leg) = self.legs.remove(&id) else {
            return;
        };
        let broken = matches!(cause, Cause::Lost | Cause::Unreachable | Cause::Unavailable);
        let by_choice = by_far_side && !broken;
        if by_choice
            && leg.reach == Reach::Up
            && matches!(leg.who, Who::Seat(_))
            && let Some(truth) = self.calls.get_mut(&call)
        {
            truth.seat_left = true;
        }
        self.ended = Some(Ended {
            leg,
            by_choice,
            own_before,
            others,
            others_before,
            guest,
        });
    }

    fn play_ended(&mut self, leg: LegId, play: PlayId) {
        let Some(leg) = self.legs.get(&leg).filter(|l| l.who == Who::Caller) else {
            return;
        };
        if let Some(call) = self.calls.get_mut(&leg.call)
            && call.playing == Some(Some(play))
        {
            call.playing = Some(None);
        }
    }

    /// Everything that must hold after a step.
    pub(super) fn after(
        &mut self,
        input: &Input,
        events: &[Event],
        effects: &[Effect],
        view: &View,
        policy: &Policy,
    ) -> Verdict {
        let input = &as_commanded(input, events);
        self.check_ended_by_right(input, events, effects)?;
        self.routes.begin();
        let changed = matches!(
            input.kind,
            InputKind::Started { .. } | InputKind::PolicyChanged { .. }
        );
        if changed || self.routes.policy.is_none() {
            self.routes.policy = Some(policy.clone());
        }
        for event in events {
            self.take_queue_listening(event)?;
            self.take_event(event)?;
        }
        self.check_led_on(effects)?;
        self.check_listener_comes_unnoticed(input, events, effects)?;
        if let Some(call) = self.expected
            && !self.calls.contains_key(&call)
        {
            return Err((2, format!("the INVITE of call {call} has no record")));
        }
        if let Some(call) = self.reopening
            && self.calls.get(&call).is_none_or(|c| c.outcome.is_some())
        {
            let what = "came again after the restart and was not taken";
            return Err((2, format!("the INVITE of call {call} {what}")));
        }
        self.routes.marked = self.marks.numbers();
        self.routes.look(view);
        self.check_marked_rings(input, effects)?;
        self.check_missed(events, view)?;
        self.check_arrival_rings(input, effects)?;
        for effect in effects {
            self.take_effect(input, effect)?;
        }
        self.check_outcome_is_due()?;
        self.check_rest_goes_on(events)?;
        self.check_queue_listeners(view)?;
        self.check_audio()?;
        self.check_silence()?;
        self.check_view(view)?;
        self.marks.check_view(view)?;
        self.forms.check_view(view)?;
        self.groups.check(self.now, view)?;
        self.check_call_backs(view)?;
        self.check_counters(view)?;
        self.overlong.look(effects, view)?;
        self.check_order(view)?;
        self.check_crews(view)?;
        self.check_seats(view)?;
        self.check_losers()?;
        self.check_relief()?;
        self.check_alarms(view, policy)?;
        self.ready = view
            .seats
            .iter()
            .filter(|s| s.state == crate::switch::SeatState::Ready && s.registered)
            .map(|s| s.seat.clone())
            .collect();
        self.check_nobody_waits_for_nothing()
    }

    fn take_event(&mut self, event: &Event) -> Verdict {
        if !self.event_ids.insert(event.id) {
            return Err((8, format!("event id {} came twice", event.id)));
        }
        self.tally.take(event);
        self.marks.take(event)?;
        self.forms.take(event)?;
        self.groups.take(event)?;
        self.overlong.take(event)?;
        self.crews.take(event)?;
        let Some(call) = event.call else {
            self.routes.take(event, None, false);
            return self.take_event_of_no_call(event);
        };
        if let EventKind::CallReceived { arrival, .. } = &event.kind {
            self.receive(call, event, arrival)?;
            self.routes.received(arrival);
        } else if let EventKind::CallDialled { .. } = &event.kind {
            self.dialled(call, event)?;
        } else if let EventKind::CallBridged { .. } = &event.kind {
            self.bridged(call, event)?;
        }
        let Some(truth) = self.calls.get_mut(&call) else {
            return Err((2, format!("{call} speaks without having been received")));
        };
        truth.seq += 1;
        if event.callseq != truth.seq {
            return Err((
                8,
                format!(
                    "call {call}: event {} follows {}",
                    event.callseq,
                    truth.seq - 1
                ),
            ));
        }
        let (received_at, reopened) = (truth.received_at, self.reopening == Some(call));
        if self.crews.is_crew(call) {
            self.routes.crew.insert(call);
        }
        self.routes.take_order(call, &event.kind);
        self.routes.note_offer(event);
        self.routes.take(event, Some(received_at), reopened);
        self.take_call_event(call, event)
    }

    fn receive(&mut self, call: CallId, event: &Event, arrival: &Arrival) -> Verdict {
        if self.expected != Some(call) || self.calls.contains_key(&call) {
            return Err((2, format!("call {call} was received without an INVITE")));
        }
        let dialled_by = match &arrival.ingress {
            Ingress::Seat(seat) => Some(seat.clone()),
            Ingress::Trunk(_) => None,
        };
        self.calls.insert(
            call,
            CallTruth {
                dialled_by,
                called: arrival.called.clone(),
                ..CallTruth::begun(event.at)
            },
        );
        Ok(())
    }

    fn take_event_of_no_call(&mut self, event: &Event) -> Verdict {
        if let EventKind::AlarmRaised { code, subject, .. } = &event.kind {
            if !self.alarms.insert((*code, subject.clone())) {
                return Err((9, format!("alarm {code:?} {subject} was raised twice")));
            }
        } else if let EventKind::AlarmCleared { code, subject } = &event.kind {
            if !self.alarms.remove(&(*code, subject.clone())) {
                return Err((
                    9,
                    format!("alarm {code:?} {subject} was cleared but not raised"),
                ));
            }
        } else if let EventKind::CallBackClosed { call_back, .. } = &event.kind {
            self.call_backs.remove(call_back);
        }
        Ok(())
    }

    pub(super) fn in_queue(&self, call: CallId) -> bool {
        self.routes.places.iter().any(|p| p.call == call)
    }

    /// The states people see, told by the Events alone.
    pub(super) fn check_view(&self, view: &View) -> Verdict {
        let open: Vec<_> = self
            .calls
            .iter()
            .filter(|(_, call)| !call.settled)
            .map(|(id, _)| *id)
            .collect();
        let mut shown: Vec<_> = view.calls.iter().map(|c| c.call).collect();
        shown.sort();
        if open != shown {
            return Err((
                7,
                format!("Events tell of {open:?}, the state shows {shown:?}"),
            ));
        }
        for call in &view.calls {
            let Some(truth) = self.calls.get(&call.call) else {
                continue;
            };
            let told = match call.state {
                CallState::InMenu => truth.outcome.is_none() && truth.menu_until.is_some(),
                CallState::Arriving
                | CallState::Greeting
                | CallState::Waiting
                | CallState::Offered => truth.outcome.is_none() && self.in_queue(call.call),
                CallState::Dialling => truth.outcome.is_none() && truth.made,
                CallState::Shelved => truth.outcome.is_none() && truth.shelf_until.is_some(),
                CallState::Held if !truth.held => false,
                CallState::Talking | CallState::Held | CallState::Conferencing => {
                    truth.outcome.is_none() && truth.answered && !self.in_queue(call.call)
                }
                CallState::Closing => truth.outcome.is_some() && !self.in_queue(call.call),
            };
            if !told {
                return Err((
                    3,
                    format!(
                        "call {} is shown {:?}, Events tell {truth:?}",
                        call.call, call.state
                    ),
                ));
            }
        }
        let mut shown: Vec<_> = view.call_backs.iter().map(|c| c.call_back).collect();
        shown.sort();
        if shown.iter().ne(self.call_backs.iter()) {
            return Err((
                2,
                String::from("the call-back list is not what the Events tell"),
            ));
        }
        Ok(())
    }

    /// When everybody has hung up.
    pub(super) fn at_end(&self, switch: &Switch) -> Verdict {
        for (id, call) in &self.calls {
            if call.outcome.is_none() {
                return Err((2, format!("call {id} never got an outcome")));
            }
            if !call.settled {
                return Err((2, format!("call {id} never settled")));
            }
        }
        if !self.routes.places.is_empty() || !self.legs.is_empty() {
            return Err((
                2,
                format!("left over: {:?} {:?}", self.routes.places, self.legs),
            ));
        }
        if !self.groups.is_empty() {
            return Err((2, format!("left over: {:?}", self.groups)));
        }
        let flaw = switch
            .unexpected()
            .keys()
            .find(|name| name.starts_with("flaw."));
        if let Some(flaw) = flaw {
            return Err((3, format!("the switch contradicts itself: {flaw}")));
        }
        let view = switch.view();
        if !view.calls.is_empty() {
            return Err((3, format!("left over: {:?}", view.calls)));
        }
        let busy = view.seats.iter().find(|s| s.call.is_some());
        busy.map_or(Ok(()), |seat| Err((3, format!("still busy: {seat:?}"))))
    }
}
