//! A call comes in: it is accepted, answered by the engine, recorded and queued before anything is asked about it.

use super::codes::dials_code;
use super::timers::TimerKey;
use super::{AlarmCode, Effect, EventKind, MediaCommand, Outcome, Question, Switch};
use crate::acd::{Duty, Entry, Identity};
use crate::call::{
    AnswerPolicy, Arrival, Call, Capture, Cause, Ingress, Leg, LegCommand, LegState, Party, Phase,
    Unanswered,
};
use crate::id::{CallId, LegId, QueueId, RecordingId};
use crate::limits::{CALLS_MAX, RECENT_INVITES_MAX};
use crate::matrix::Matrix;
use crate::phone::{self, Number, NumberKind};
use crate::time::{Millis, Timestamp};

/// How long an INVITE's identity is remembered.
const RECENT_SPAN: Millis = Millis::from_secs(600);
/// Without a further refusal for this long the capacity alarm ends.
const CAPACITY_ALARM_SPAN: Millis = Millis::from_secs(60);
/// Where faults are admitted, a call to this number makes the switch panic: tests hear what its caller hears.
const PANIC_NUMBER: &str = "planted-panic";
/// China has one time zone, UTC+8, without summer time.
const LOCAL_OFFSET: Millis = Millis::from_secs(8 * 3600);

impl Switch {
    pub(super) fn arrived(&mut self, arrival: &Arrival) {
        if self.knows(arrival.call, arrival.leg) {
            return self.misfit("arrival.twice");
        }
        self.plant_panic_on_arrival(arrival);
        let known = self.call_of_invite(&arrival.invite_key);
        if let Some(open) = known.filter(|call| self.is_open(*call)) {
            // A fork of it.
            self.rejoin(open, &arrival.invite_key);
            if !arrival.refused_capacity {
                self.release_stray(arrival, Cause::Withdrawn);
            }
            return;
        }
        let placed = match Self::phone_of(arrival) {
            None => None,
            Some(phone) if dials_code(arrival) => return self.code_dialled(arrival, &phone),
            Some(phone) => match self.seat_dialling(&phone) {
                // What it dials belongs to the seat that sits there.
                Some(seat) => Some(Arrival {
                    ingress: Ingress::Seat(seat),
                    ..arrival.clone()
                }),
                None if !self.is_ours(&arrival.called) => {
                    return self.seatless_dialled(arrival, &phone);
                }
                None => None,
            },
        };
        let arrival = placed.as_ref().unwrap_or(arrival);
        if let Some(seat) = self.dials_out(arrival) {
            self.remember_invite(&arrival.invite_key, arrival.call);
            return self.phone_dialled(arrival, &seat);
        }
        // A call that ended for any other reason than our restart had its end: whoever calls now is taken anew.
        let restarted = known.filter(|call| self.was_cut_by_restart(*call));
        self.totals.arrived += 1;
        let refused = arrival.refused_capacity;
        if refused || self.is_full() {
            if !refused {
                self.release_stray(arrival, Cause::Capacity);
            }
            return match restarted {
                // It has its record and its call-back already.
                Some(_) => self.capacity_refused(),
                None => self.refuse(arrival),
            };
        }
        match restarted {
            Some(call) => self.reopen(call, arrival),
            None => {
                self.remember_invite(&arrival.invite_key, arrival.call);
                let ours = self.may_be_our_test(arrival);
                self.open(arrival, self.capture_asked());
                if ours {
                    self.perhaps_our_test(arrival);
                } else {
                    self.screen_arrival(arrival.call);
                    self.called_on(arrival);
                }
                self.accept(arrival, false);
            }
        }
    }

    #[expect(
        clippy::panic,
        reason = "a planted fault is its purpose; the policy admits it in tests only"
    )]
    fn plant_panic_on_arrival(&self, arrival: &Arrival) {
        let planted = self.policy.allow_faults && arrival.called == PANIC_NUMBER;
        if planted && !arrival.refused_capacity {
            panic!("planted by the arrival of call {}", arrival.call);
        }
    }

    fn is_open(&self, call: CallId) -> bool {
        self.calls.get(&call).is_some_and(|c| !c.is_closing())
    }

    /// The same INVITE again: it joins its old record and makes no new call.
    pub(super) fn arrived_again(&mut self, invite_key: &str) {
        match self.call_of_invite(invite_key) {
            Some(call) => self.rejoin(call, invite_key),
            None => self.misfit("arrival.again_unknown"),
        }
    }

    fn rejoin(&mut self, call: CallId, invite_key: &str) {
        let invite_key = invite_key.to_owned();
        self.say(call, EventKind::CallRejoined { invite_key });
    }

    fn knows(&self, call: CallId, leg: LegId) -> bool {
        self.calls.contains_key(&call)
            || self.past.contains_key(&call)
            || self.legs.contains_key(&leg)
            || self.codes.contains_key(&leg)
            || self.at_home(leg).is_some()
            || self.ending.contains_key(&leg)
    }

    /// Closing calls are on their way out within a minute; twice the maximum bounds them too.
    fn is_full(&self) -> bool {
        self.calls.len() >= CALLS_MAX
            && (self.calls.len() >= 2 * CALLS_MAX
                || self.calls.values().filter(|c| !c.is_closing()).count() >= CALLS_MAX)
    }

    /// What a call's recording begins with.
    pub(super) fn capture_asked(&self) -> Capture {
        if self.policy.recording {
            Capture::Asked
        } else {
            Capture::None
        }
    }

    /// Answers, records and queues an opened call. `again`: before all others.
    pub(super) fn accept(&mut self, arrival: &Arrival, again: bool) {
        let (call, leg) = (arrival.call, arrival.leg);
        self.crew_arrived(call);
        // One who comes back after a crash has been here long enough: his old place in the queue.
        let is_new = self.calls.get(&call).is_some_and(|c| c.earlier.is_empty());
        let held = self.is_held_for_test(call);
        let asks = is_new && !held;
        let way = asks.then(|| self.way_into_menu(arrival)).flatten();
        let answer = match way {
            // Keys are heard in an answered call only.
            Some(_) => AnswerPolicy::AtOnce,
            None if held => AnswerPolicy::AtOnce,
            None => self.answer_policy(&arrival.ingress),
        };
        match answer {
            AnswerPolicy::AtOnce => self.answer_caller(call),
            AnswerPolicy::EarlyMedia { limit_ms } => {
                if let Some(leg) = self.leg_mut(call, leg) {
                    leg.state = LegState::EarlyMedia;
                }
                self.command_leg(leg, LegCommand::EarlyMedia);
                self.arm(TimerKey::AnswerLimit(call), limit_ms);
            }
        }
        if let Some(recording) = self.calls.get(&call).map(|c| c.recording)
            && self.policy.recording
        {
            self.command_media(call, MediaCommand::Record { recording });
        }
        self.track(call, leg);
        match way {
            Some(way) => self.enter_menu(call, way),
            None => self.enter_queue(call, again),
        }
        self.engage_dialling_seat(arrival);
        self.caller_is_back(call);
        match answer {
            AnswerPolicy::AtOnce => {
                self.arm(TimerKey::Greeting(call), self.policy.timers.greeting_after);
            }
            AnswerPolicy::EarlyMedia { .. } => self.greet(call),
        }
        self.route();
        // Asked last, answered whenever: nothing about the caller delays a ringing seat (invariant 6).
        let e164 = self.calls.get(&call).and_then(|c| c.caller.e164.clone());
        self.effects.push_back(Effect::Ask {
            call,
            question: Question::WhoAndWhere {
                arrival: Box::new(arrival.clone()),
                e164,
            },
        });
    }

    /// The shell had no port, descriptor or channel: only a record and a call-back are left to make.
    fn refuse(&mut self, arrival: &Arrival) {
        let call = arrival.call;
        self.open(arrival, Capture::None);
        self.screen_arrival(call);
        if let Some(open) = self.call_mut(call) {
            open.legs.clear();
            open.caller_leg = None;
        }
        self.legs.remove(&arrival.leg);
        self.call_back_due(call, "refused_capacity");
        self.capacity_refused();
        self.end_call(call, Outcome::RefusedCapacity, Cause::Capacity, "system");
    }

    fn capacity_refused(&mut self) {
        self.raise_alarm(
            AlarmCode::CapacityRefused,
            "calls",
            "a call was refused for lack of a port, descriptor or channel; the carrier re-routes it",
        );
        self.arm(
            TimerKey::AlarmEnd {
                code: AlarmCode::CapacityRefused,
                subject: String::from("calls"),
            },
            CAPACITY_ALARM_SPAN,
        );
    }

    fn open(&mut self, arrival: &Arrival, capture: Capture) {
        let caller = self.parse_number(arrival);
        let serial_no = self.next_serial();
        let recording = RecordingId(self.ids.next_uuid(self.now));
        let leg = caller_leg(arrival, &caller);
        let call = Call {
            id: arrival.call,
            serial_no: serial_no.clone(),
            invite_key: arrival.invite_key.clone(),
            ingress: arrival.ingress.clone(),
            queue: self.entry_queue(&arrival.ingress),
            caller: caller.clone(),
            called: arrival.called.clone(),
            received_at: self.now,
            callseq: 0,
            plays: 0,
            recording,
            capture,
            earlier: Vec::new(),
            wait_exceeded: false,
            answered_at: None,
            last_seat: None,
            incident_id: None,
            crew: None,
            dispatched: false,
            assist: None,
            ahead: Millis(0),
            findings: 0,
            language: None,
            silent: None,
            caller_leg: Some(arrival.leg),
            caller_lost: None,
            thirds: std::collections::BTreeMap::new(),
            legs: std::iter::once((arrival.leg, leg)).collect(),
            losing: Vec::new(),
            matrix: Matrix::silent(),
            phase: Phase::Unanswered(Unanswered::entered(self.now)),
            test: false,
            outbound: None,
        };
        self.calls.insert(arrival.call, call);
        self.legs.insert(arrival.leg, arrival.call);
        let channel = channel_of(&caller, &arrival.ingress).to_owned();
        self.say(
            arrival.call,
            EventKind::CallReceived {
                arrival: Box::new(arrival.clone()),
                caller,
                serial_no,
                channel,
            },
        );
    }

    /// Puts a call into the queue and arms what a waiting caller is owed.
    pub(super) fn enter_queue(&mut self, call: CallId, again: bool) {
        let Some(open) = self.calls.get(&call) else {
            return self.misfit("flaw.queue_unknown_call");
        };
        // A process whose clock was set back meanwhile finds arrivals that lie ahead.
        let (queue, arrived) = (open.queue.clone(), open.received_at.min(self.now));
        let merges = !open.caller.anonymous;
        let identity = Identity::of(&open.caller, &self.policy.shared_numbers);
        let is_crew = open.crew.is_some();
        if let Some(identity) = identity.as_ref().filter(|_| !again) {
            self.callers.comes_as_crew(identity, is_crew);
        }
        let since = match &identity {
            Some(identity) if !again => self
                .callers
                .arrived(identity, call, merges, self.now)
                .min(arrived),
            Some(_) | None => arrived,
        };
        self.queue.enter(Entry {
            call,
            queue: queue.clone(),
            identity,
            arrived,
            since,
            restored: again,
            entered: 0,
        });
        let behind = if again {
            None
        } else {
            self.stands_behind(call)
        };
        let position = self.position(call).unwrap_or(0);
        // At the end it moves nobody.
        let last = usize::try_from(position).is_ok_and(|p| p + 1 == self.queue.entries().len());
        self.queue_moved |= !last;
        self.stirred.insert(call);
        self.say(
            call,
            EventKind::QueueEntered {
                queue,
                position,
                again,
                behind,
            },
        );
        self.arm_relax(call);
        let timers = self.policy.timers;
        self.arm(TimerKey::WaitAlert(call), timers.wait_alert);
        self.arm(TimerKey::StillWaiting(call), timers.still_waiting);
    }

    pub(super) fn entry_queue(&self, ingress: &Ingress) -> QueueId {
        let named = match ingress {
            Ingress::Trunk(trunk) => self.policy.trunks.get(trunk).and_then(|t| t.queue.clone()),
            Ingress::Seat(_) => None,
        };
        named
            .filter(|queue| self.policy.queues.contains_key(queue))
            .unwrap_or_else(|| self.policy.queue.clone())
    }

    /// A seat that dials is in a call of its own and is offered no other.
    fn engage_dialling_seat(&mut self, arrival: &Arrival) {
        if let Ingress::Seat(seat) = &arrival.ingress {
            let (call, leg, now) = (arrival.call, arrival.leg, self.now);
            self.seat_step(seat, "seat.dialled_while_busy", |duty: Duty| {
                duty.dialling(call, leg, now)
            });
        }
    }

    /// Sends the 200 once. Later calls change nothing.
    pub(super) fn answer_caller(&mut self, call: CallId) {
        self.timers.disarm(&TimerKey::AnswerLimit(call));
        let Some(leg) = self.calls.get(&call).and_then(|c| c.caller_leg) else {
            return;
        };
        let Some(state) = self.leg_mut(call, leg).map(|l| &mut l.state) else {
            return;
        };
        match state {
            LegState::Arrived | LegState::EarlyMedia => {
                *state = LegState::Answering;
                self.command_leg(leg, LegCommand::Answer);
                self.say(call, EventKind::CallAnsweredBySystem {});
            }
            LegState::Answering
            | LegState::Up { .. }
            | LegState::Inviting
            | LegState::Ringing { .. } => {}
        }
    }

    /// Tells media once whose track a leg is.
    pub(super) fn track(&mut self, call: CallId, leg: LegId) {
        let Some(party) = self.leg_mut(call, leg).and_then(|l| {
            let first = !std::mem::replace(&mut l.tracked, true);
            first.then(|| l.party.clone())
        }) else {
            return;
        };
        self.command_media(
            call,
            MediaCommand::Track {
                leg,
                party,
                of: None,
            },
        );
        self.share_track(call, leg);
    }

    pub(super) fn remember_invite(&mut self, key: &str, call: CallId) {
        let oldest = Timestamp::from_micros(
            self.now
                .as_micros()
                .saturating_sub(i64::from(RECENT_SPAN.0) * 1000),
        );
        while let Some((at, _, _)) = self.recent_order.front() {
            if *at >= oldest && self.recent_order.len() < RECENT_INVITES_MAX {
                break;
            }
            if let Some((_, old, of)) = self.recent_order.pop_front()
                && self.recent.get(&old) == Some(&of)
            {
                self.recent.remove(&old);
                self.restarted.remove(&of);
            }
        }
        self.recent.insert(key.to_owned(), call);
        self.recent_order
            .push_back((self.now, key.to_owned(), call));
    }

    fn answer_policy(&self, ingress: &Ingress) -> AnswerPolicy {
        match ingress {
            Ingress::Trunk(trunk) => self
                .policy
                .trunks
                .get(trunk)
                .map_or(AnswerPolicy::AtOnce, |t| t.answer),
            Ingress::Seat(_) => AnswerPolicy::AtOnce,
        }
    }

    fn parse_number(&self, arrival: &Arrival) -> Number {
        let area_code = match &arrival.ingress {
            Ingress::Trunk(trunk) => self.policy.trunks.get(trunk).map(|t| t.area_code.as_str()),
            Ingress::Seat(_) => None,
        }
        .unwrap_or(&self.policy.centre.area_code);
        phone::parse(&arrival.caller, area_code, arrival.anonymous)
    }

    /// `yyyymmdd` + 6 digits, local day.
    pub(super) fn next_serial(&mut self) -> String {
        let mut day = (self.now + LOCAL_OFFSET).rfc3339();
        day.truncate(10);
        day.retain(|c| c.is_ascii_digit());
        if self.serial_day != day {
            self.serial_day = day;
            self.serial = 0;
        }
        self.serial += 1;
        format!("{}{:06}", self.serial_day, self.serial)
    }
}

/// The leg that an INVITE makes.
pub(super) fn caller_leg(arrival: &Arrival, caller: &Number) -> Leg {
    let mut leg = Leg::outbound(Party::Caller, Some(caller.display.clone()));
    leg.state = LegState::Arrived;
    leg.dialog = Some(arrival.dialog.clone());
    leg
}

/// Where the call came from, as in `ecr/1`.
const fn channel_of(caller: &Number, ingress: &Ingress) -> &'static str {
    match ingress {
        Ingress::Seat(_) => "sip",
        Ingress::Trunk(_) => match caller.kind {
            NumberKind::Landline => "landline",
            NumberKind::Mobile => "mobile",
            NumberKind::MachineToMachine => "device",
            NumberKind::Service | NumberKind::Foreign | NumberKind::Unknown => "sip",
        },
    }
}
