//! A supervisor listens to a queue (队列监听): he hears the call that has waited longest, and is moved to the next by
//! itself. docs/adr/0009-routing.md, point 6.
//!
//! ```text
//! his phone rings -picked up-> home --somebody waits--> call --waits there no more, 5 s over--> next call | home
//!                               ^------ the call ends ----'
//! he hangs up, is told to stop, takes a call over, listens to another call: over
//! ```
//! Home is a place in media with an id of its own and nobody else in it: no call, so it has no record and no end, and
//! he hears silence in packets there. In a call he is a listener like any other (`listen`), and is said as one.

use serde::{Deserialize, Serialize};

use super::talk::HUSH;
use super::timers::TimerKey;
use super::{
    Actor, CommandError, CommandReply, EventKind, MediaCommand, MediaEvent, QueueListenerView,
    Sound, Switch,
};
use crate::call::{
    Arrival, Cause, Invite, Leg, LegCommand, LegEvent, LegFact, LegState, Mode, Party,
};
use crate::id::{CallId, LegId, PlayId, QueueId, SeatId};
use crate::time::{Millis, Timestamp};

/// Shown on the supervisor's phone.
const LISTEN_NAME: &str = "队列监听";
const LISTEN_NUMBER: &str = "120";
/// So long he hears a call at least, although it waits no more; who hears each for a second understands none.
const LISTEN_SPAN: Millis = Millis::from_secs(5);

/// A supervisor's phone that listens to a queue.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct QueueListener {
    /// Absent: all queues.
    queue: Option<QueueId>,
    leg: LegId,
    /// Where media keeps the leg while nobody waits. Never the id of a call.
    home: CallId,
    /// Since when he is where he is.
    since: Timestamp,
    /// Playbacks at home.
    plays: u32,
    at: Place,
}

/// Where his leg is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Place {
    Home(Box<Leg>),
    /// Among the legs of that call.
    Call(CallId),
}

/// His leg on its way from one place in media to another.
struct Taken {
    id: LegId,
    leg: Leg,
    from: CallId,
}

impl QueueListener {
    fn call(&self) -> Option<CallId> {
        match self.at {
            Place::Home(_) => None,
            Place::Call(call) => Some(call),
        }
    }

    /// His phone is up.
    fn is_up(&self) -> bool {
        match &self.at {
            Place::Home(leg) => leg.state.is_up(),
            Place::Call(_) => true,
        }
    }
}

impl Switch {
    /// `ListenQueue`.
    pub(super) fn listen_queue(
        &mut self,
        by: &Actor,
        seat: &SeatId,
        queue: Option<&QueueId>,
    ) -> Result<CommandReply, CommandError> {
        self.check_supervisor_seat(by, seat)?;
        if let Some(queue) = queue.filter(|queue| !self.policy.queues.contains_key(*queue)) {
            return Err(CommandError::Unknown {
                what: String::from("queue"),
                id: queue.to_string(),
            });
        }
        if self.queue_listeners.contains_key(seat) {
            return Err(self.wrong_seat_state(seat, "it listens to a queue; stop that first"));
        }
        let home = CallId(self.ids.next_uuid(self.now));
        if let Some((call, leg)) = self.hears_a_call(seat) {
            // His phone is up already: from this call he is moved on.
            self.given(by, None, "listen_queue");
            self.begin_queue_listening(seat, queue, home, leg, Place::Call(call));
            self.arm(TimerKey::ListenOn(seat.clone()), LISTEN_SPAN);
            self.say_queue_listening(seat);
            return Ok(CommandReply::Leg { leg });
        }
        let Some(invite) = self.home_invite(home, seat) else {
            return Err(self.wrong_seat_state(seat, "register its phone first"));
        };
        let (leg, now) = (self.new_leg_id(), self.now);
        if !self.try_seat_step(seat, |duty| duty.listening(home, leg, now)) {
            return Err(self.wrong_seat_state(seat, "end what it does first"));
        }
        self.given(by, None, "listen_queue");
        let rung = Leg::outbound(Party::Listener(seat.clone()), None);
        self.begin_queue_listening(seat, queue, home, leg, Place::Home(Box::new(rung)));
        self.command_leg(leg, LegCommand::Invite(Box::new(invite)));
        self.arm(TimerKey::Ring(leg), self.policy.timers.ring);
        Ok(CommandReply::Leg { leg })
    }

    /// `ListenQueue` with the leg of a phone that dialled: where media has it already is home.
    pub(super) fn listen_queue_on(
        &mut self,
        by: &Actor,
        arrival: &Arrival,
        seat: &SeatId,
    ) -> Result<(), CommandError> {
        self.check_supervisor_seat(by, seat)?;
        let (home, leg, now) = (arrival.call, arrival.leg, self.now);
        if !self.try_seat_step(seat, |duty| duty.listening(home, leg, now)) {
            return Err(self.wrong_seat_state(seat, "end what it does first"));
        }
        self.given(by, None, "listen_queue");
        let mut dialled = Leg::outbound(Party::Listener(seat.clone()), None);
        dialled.state = LegState::Answering;
        dialled.dialog = Some(arrival.dialog.clone());
        self.begin_queue_listening(seat, None, home, leg, Place::Home(Box::new(dialled)));
        self.command_leg(leg, LegCommand::Answer);
        self.say_queue_listening(seat);
        self.hush_at_home(seat);
        Ok(())
    }

    fn begin_queue_listening(
        &mut self,
        seat: &SeatId,
        queue: Option<&QueueId>,
        home: CallId,
        leg: LegId,
        at: Place,
    ) {
        let listener = QueueListener {
            queue: queue.cloned(),
            leg,
            home,
            since: self.now,
            plays: 0,
            at,
        };
        self.queue_listeners.insert(seat.clone(), listener);
    }

    /// `StopListeningQueue`.
    pub(super) fn stop_listening_queue(
        &mut self,
        by: &Actor,
        seat: &SeatId,
    ) -> Result<CommandReply, CommandError> {
        self.check_supervisor_seat(by, seat)?;
        if !self.queue_listeners.contains_key(seat) {
            return Err(self.wrong_seat_state(seat, "it listens to no queue"));
        }
        self.given(by, None, "stop_listening_queue");
        self.dismiss_queue_listener(seat, Cause::Withdrawn);
        Ok(CommandReply::Done)
    }

    /// The call that he listens to with nothing but his ear.
    fn hears_a_call(&self, seat: &SeatId) -> Option<(CallId, LegId)> {
        let (call, leg) = self.seats.get(seat)?.duty.engaged()?;
        let own = self.calls.get(&call)?.legs.get(&leg)?;
        let listens = matches!(own.party, Party::Listener(_)) && own.mode == Mode::Listen;
        (listens && own.state.is_up()).then_some((call, leg))
    }

    fn home_invite(&self, home: CallId, seat: &SeatId) -> Option<Invite> {
        Some(Invite {
            call: home,
            target: self.seat_target(seat)?,
            from_number: LISTEN_NUMBER.to_owned(),
            from_name: Some(LISTEN_NAME.to_owned()),
            picks_up: false,
        })
    }

    /// Releases his phone, wherever it is.
    fn dismiss_queue_listener(&mut self, seat: &SeatId, cause: Cause) {
        let Some(listener) = self.queue_listeners.get(seat) else {
            return;
        };
        let (leg, home) = (listener.leg, listener.home);
        match &listener.at {
            Place::Call(call) => {
                let call = *call;
                self.dismiss_listener(call, leg, seat);
                self.refresh_matrix(call);
            }
            Place::Home(state) => {
                let (party, dialog) = (state.party.clone(), state.dialog.clone());
                self.disarm_leg(leg);
                self.release_dialog(leg, home, party, cause, dialog);
                self.queue_listening_ends(seat, leg);
                self.seat_returned(seat);
            }
        }
    }

    /// The process started anew: no phone is up any more.
    pub(super) fn dismiss_queue_listeners(&mut self) {
        let seats: Vec<_> = self.queue_listeners.keys().cloned().collect();
        for seat in seats {
            self.dismiss_queue_listener(&seat, Cause::Restarted);
        }
    }

    /// His leg is gone or is something else now.
    pub(super) fn queue_listening_ends(&mut self, seat: &SeatId, leg: LegId) {
        let own = |listener: &QueueListener| listener.leg == leg;
        if !self.queue_listeners.get(seat).is_some_and(own) {
            return;
        }
        let Some(listener) = self.queue_listeners.remove(seat) else {
            return;
        };
        self.timers.disarm(&TimerKey::ListenOn(seat.clone()));
        self.command_media(listener.home, MediaCommand::Close);
        if listener.is_up() {
            let seat = seat.clone();
            self.note(EventKind::QueueMonitorEnded { seat, leg });
        }
    }

    fn say_queue_listening(&mut self, seat: &SeatId) {
        let Some(listener) = self.queue_listeners.get(seat) else {
            return;
        };
        let (leg, queue) = (listener.leg, listener.queue.clone());
        let seat = seat.clone();
        self.note(EventKind::QueueMonitorStarted { seat, leg, queue });
    }

    /// The supervisor whose leg is at home.
    pub(super) fn at_home(&self, leg: LegId) -> Option<SeatId> {
        let at_home =
            |listener: &QueueListener| listener.leg == leg && matches!(listener.at, Place::Home(_));
        let mut listeners = self.queue_listeners.iter();
        listeners.find_map(|(seat, listener)| at_home(listener).then(|| seat.clone()))
    }

    /// A leg of no call speaks.
    pub(super) fn home_leg_event(&mut self, leg: LegId, event: &LegEvent) {
        let Some(seat) = self.at_home(leg) else {
            return self.misfit("leg.unknown");
        };
        let listener = self.queue_listeners.get_mut(&seat);
        let Some(Place::Home(state)) = listener.map(|own| &mut own.at) else {
            return;
        };
        match state.on_event(event) {
            LegFact::Answered => {
                self.timers.disarm(&TimerKey::Ring(leg));
                self.say_queue_listening(&seat);
                self.hush_at_home(&seat);
            }
            LegFact::Failed { cause } => self.home_leg_ended(&seat, leg, cause.is_failure()),
            LegFact::Ended { cause, by_far_side } => {
                self.home_leg_ended(&seat, leg, cause.is_failure() || !by_far_side);
            }
            LegFact::Misfit { what } => self.misfit(what),
            LegFact::Trying
            | LegFact::Confirmed
            | LegFact::Progressed { .. }
            | LegFact::Held { .. }
            | LegFact::Digit { .. }
            | LegFact::Noted => {}
        }
    }

    /// Media of a leg of no call.
    pub(super) fn home_media_event(&mut self, leg: LegId, event: &MediaEvent) {
        if self.at_home(leg).is_none() {
            return self.misfit("media.unknown_leg");
        }
        match event {
            MediaEvent::RtpLost { lost: true } => self.command_leg(leg, LegCommand::Probe),
            MediaEvent::RtpLost { lost: false }
            | MediaEvent::RtpStarted
            | MediaEvent::PlayEnded { .. }
            | MediaEvent::Digit { .. }
            | MediaEvent::Tone { .. } => {}
        }
    }

    fn home_leg_ended(&mut self, seat: &SeatId, leg: LegId, lost: bool) {
        self.disarm_leg(leg);
        self.queue_listening_ends(seat, leg);
        if lost {
            let now = self.now;
            self.seat_step(seat, "flaw.listener_lost_twice", |duty| {
                duty.phone_died(now)
            });
        } else {
            self.seat_returned(seat);
        }
    }

    /// He does not pick up. False: the leg is none of these.
    pub(super) fn home_rang_out(&mut self, leg: LegId) -> bool {
        let Some(seat) = self.at_home(leg) else {
            return false;
        };
        self.dismiss_queue_listener(&seat, Cause::Withdrawn);
        true
    }

    /// After each Input: everybody who listens to a queue hears whom he should.
    pub(super) fn settle_queue_listeners(&mut self) {
        if self.queue_listeners.is_empty() {
            return;
        }
        let seats: Vec<_> = self.queue_listeners.keys().cloned().collect();
        for seat in seats {
            if let Some(to) = self.moves_on(&seat) {
                self.hear_next(&seat, to);
            }
        }
    }

    /// Where he goes now, home if nobody waits; absent: he stays.
    fn moves_on(&self, seat: &SeatId) -> Option<Option<CallId>> {
        let listener = self.queue_listeners.get(seat)?;
        let next = self.longest_waiting(listener.queue.as_ref());
        match &listener.at {
            Place::Home(leg) => (leg.state.is_up() && next.is_some()).then_some(next),
            Place::Call(call) => (!self.stays(listener, *call)).then_some(next),
        }
    }

    /// It still waits in his queue, he takes part in it, or he has not heard it long enough.
    fn stays(&self, listener: &QueueListener, call: CallId) -> bool {
        let waits = self
            .queue
            .entry(call)
            .is_some_and(|entry| listener.queue.as_ref().is_none_or(|q| *q == entry.queue));
        let leg = self
            .calls
            .get(&call)
            .and_then(|c| c.legs.get(&listener.leg));
        let speaks = leg.is_some_and(|leg| leg.mode != Mode::Listen);
        waits || speaks || self.now < listener.since + LISTEN_SPAN
    }

    /// The call of that queue, or of all, that came first.
    fn longest_waiting(&self, queue: Option<&QueueId>) -> Option<CallId> {
        let entries = self.queue.entries().iter();
        entries
            .filter(|entry| queue.is_none_or(|queue| *queue == entry.queue))
            .filter(|entry| !self.is_held_for_test(entry.call))
            .min_by_key(|entry| (entry.arrived, entry.entered))
            .map(|entry| entry.call)
    }

    fn hear_next(&mut self, seat: &SeatId, to: Option<CallId>) {
        let Some(taken) = self.take_listener_out(seat) else {
            return self.misfit("flaw.queue_listener_without_leg");
        };
        let (leg, from) = (taken.id, taken.from);
        let Some(call) = to else {
            self.keep_at_home(seat, taken);
            return self.refresh_matrix(from);
        };
        self.bring_listener(seat, taken, call);
        self.refresh_matrix(from);
        self.listener_acts(call, leg, seat, Mode::Listen, true);
        // Another caller: he knows by the tone, which ends the silence too.
        self.play_to(call, leg, vec![Sound::Entry], false);
        self.watch_star_codes(leg);
        self.arm(TimerKey::ListenOn(seat.clone()), LISTEN_SPAN);
    }

    /// His call ends: he goes home from it. False: he listens to no queue there.
    pub(super) fn goes_home(&mut self, call: CallId, leg: LegId, seat: &SeatId) -> bool {
        let own = |listener: &QueueListener| listener.leg == leg && listener.call() == Some(call);
        if !self.queue_listeners.get(seat).is_some_and(own) {
            return false;
        }
        if let Some(taken) = self.take_listener_out(seat) {
            self.keep_at_home(seat, taken);
        }
        true
    }

    /// `Listen` to one call, by somebody who listens to a queue: his phone is up, so it is moved there. Absent: he does
    /// not.
    pub(super) fn leaves_queue_for(
        &mut self,
        by: &Actor,
        call: CallId,
        seat: &SeatId,
        mode: Mode,
    ) -> Option<LegId> {
        if !self.queue_listeners.get(seat)?.is_up() {
            return None;
        }
        self.given(by, Some(call), super::listen::mode_command(mode));
        let taken = self.take_listener_out(seat)?;
        let (leg, from) = (taken.id, taken.from);
        self.bring_listener(seat, taken, call);
        self.refresh_matrix(from);
        self.command_media(call, MediaCommand::Stop { leg });
        self.queue_listening_ends(seat, leg);
        self.watch_star_codes(leg);
        self.listener_acts(call, leg, seat, mode, true);
        Some(leg)
    }

    /// His leg, out of where it is.
    fn take_listener_out(&mut self, seat: &SeatId) -> Option<Taken> {
        let listener = self.queue_listeners.get(seat)?;
        let (id, home) = (listener.leg, listener.home);
        let (leg, from) = match &listener.at {
            Place::Home(leg) => (Leg::clone(leg), home),
            Place::Call(call) => {
                let call = *call;
                let leg = self.forget_leg(call, id)?;
                self.assist_missed(call, seat);
                let seat = seat.clone();
                self.say(call, EventKind::MonitorEnded { seat, leg: id });
                (leg, call)
            }
        };
        Some(Taken { id, leg, from })
    }

    /// His leg is in that call from now on; nobody there notices.
    fn bring_listener(&mut self, seat: &SeatId, taken: Taken, call: CallId) {
        let Taken { id, mut leg, from } = taken;
        (leg.mode, leg.tracked) = (Mode::Listen, false);
        self.add_leg(call, id, leg);
        self.place_listener(seat, Place::Call(call));
        self.command_media(from, MediaCommand::Move { leg: id, to: call });
        self.seat_step(seat, "flaw.queue_listener_at_rest", |duty| duty.hears(call));
    }

    fn keep_at_home(&mut self, seat: &SeatId, taken: Taken) {
        let Taken { id, mut leg, from } = taken;
        let Some(home) = self.queue_listeners.get(seat).map(|own| own.home) else {
            return;
        };
        (leg.mode, leg.tracked) = (Mode::Listen, false);
        self.place_listener(seat, Place::Home(Box::new(leg)));
        self.timers.disarm(&TimerKey::ListenOn(seat.clone()));
        self.command_media(from, MediaCommand::Move { leg: id, to: home });
        self.seat_step(seat, "flaw.queue_listener_at_rest", |duty| duty.hears(home));
        self.hush_at_home(seat);
    }

    fn place_listener(&mut self, seat: &SeatId, at: Place) {
        let now = self.now;
        if let Some(listener) = self.queue_listeners.get_mut(seat) {
            (listener.at, listener.since) = (at, now);
        }
    }

    /// Silence in packets: phones end calls that bring none.
    fn hush_at_home(&mut self, seat: &SeatId) {
        let Some(listener) = self.queue_listeners.get_mut(seat) else {
            return;
        };
        listener.plays = listener.plays.wrapping_add(1);
        let (leg, home, play) = (listener.leg, listener.home, PlayId(listener.plays));
        self.command_media(
            home,
            MediaCommand::Play {
                leg,
                play,
                sounds: vec![HUSH],
                repeat: true,
            },
        );
    }

    /// After a change of the policy: who listens to a queue that is no more goes with its callers.
    pub(super) fn rehome_queue_listeners(&mut self) {
        let (queues, to) = (&self.policy.queues, &self.policy.queue);
        for listener in self.queue_listeners.values_mut() {
            if let Some(queue) = listener.queue.as_mut().filter(|q| !queues.contains_key(*q)) {
                *queue = to.clone();
            }
        }
    }

    pub(super) fn queue_listeners_view(&self) -> Vec<QueueListenerView> {
        let listeners = self.queue_listeners.iter();
        listeners
            .map(|(seat, listener)| QueueListenerView {
                seat: seat.clone(),
                queue: listener.queue.clone(),
                call: listener.call(),
                up: listener.is_up(),
                since: listener.since,
            })
            .collect()
    }
}
