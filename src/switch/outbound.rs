//! Calls that we make: a seat calls a number or another seat, from its page or on its phone.
//!
//! ```text
//! Dial: the seat's phone is rung -picks up-> Talking, its callee is rung -answers-> they talk, like any talk
//! its phone dials: answered at once ---------^          |- busy, no such number, no answer -> a tone each, end
//! ```
//! Callers come first: the last circuits of a trunk are theirs, a seat that is offered a call does not dial, and a seat
//! that only rings for a colleague is given back to the list as soon as a caller has nobody.

use super::arrival::caller_leg;
use super::commands::check_text;
use super::party::{bad_field, check_number};
use super::timers::TimerKey;
use super::{Actor, CommandError, CommandReply, EventKind, MediaCommand, Outcome, Switch};
use crate::acd::{Duty, Standby};
use crate::call::{
    Arrival, Call, Callee, Capture, Cause, Dialling, Direction, Ingress, Leg, LegCommand, LegFact,
    LegState, Outbound, Party, Phase, Talking,
};
use crate::id::{CallId, LegId, RecordingId, SeatId};
use crate::limits::CALLS_MAX;
use crate::matrix::Matrix;
use crate::phone::{self, Number};
use crate::time::Millis;

/// Names the callee's track.
pub(super) const CALLEE: &str = "callee";
/// The tone of a failure is over by then, whatever media says.
const TOLD_SPAN: Millis = Millis::from_secs(6);

/// What a seat wants to be made.
pub(super) struct Wish<'a> {
    pub(super) by: &'a Actor,
    pub(super) seat: &'a SeatId,
    pub(super) direction: Direction,
    pub(super) callee: Callee,
    pub(super) number: Number,
}

/// A call that we make, as it begins.
pub(super) struct Made {
    pub(super) call: CallId,
    pub(super) ingress: Ingress,
    /// The seat that made it.
    pub(super) seat: Option<SeatId>,
    /// Whom it is for.
    pub(super) number: Number,
    pub(super) invite_key: String,
    pub(super) phase: Phase,
    pub(super) outbound: Outbound,
}

impl Switch {
    /// `Dial`.
    pub(super) fn dial(
        &mut self,
        by: &Actor,
        seat: &SeatId,
        number: &str,
    ) -> Result<CommandReply, CommandError> {
        self.check_own_seat(by, seat)?;
        check_number(number)?;
        let callee = self.callee_of(number);
        self.check_callee(seat, &callee)?;
        let wish = Wish {
            by,
            seat,
            direction: direction_of(&callee),
            callee,
            number: self.callee_number(number),
        };
        let (call, leg) = self.make_call(wish)?;
        self.given(by, Some(call), "dial");
        Ok(CommandReply::Call { call, leg })
    }

    /// `Link`.
    pub(super) fn link(
        &mut self,
        by: &Actor,
        call: CallId,
        to: Option<CallId>,
        incident_id: Option<&str>,
    ) -> Result<CommandReply, CommandError> {
        self.check_person(by)?;
        self.check_known_call(call)?;
        if to.is_none() && incident_id.is_none() {
            return Err(bad_field("to", "name a call, an incident, or both"));
        }
        if to == Some(call) {
            return Err(bad_field("to", "name another call than this one"));
        }
        if let Some(to) = to {
            self.check_known_call(to)?;
        }
        check_text("incident_id", incident_id.unwrap_or("-"))?;
        self.given(by, Some(call), "link");
        let incident_id = incident_id.map(str::to_owned);
        if let (Some(open), Some(id)) = (self.calls.get_mut(&call), &incident_id) {
            open.incident_id = Some(id.clone());
        }
        if let Some(id) = &incident_id {
            self.crew_incident(call, id);
        }
        self.say_linked(call, to, incident_id, by);
        Ok(CommandReply::Done)
    }

    /// Said on both calls.
    pub(super) fn say_linked(
        &mut self,
        call: CallId,
        to: Option<CallId>,
        incident_id: Option<String>,
        by: &Actor,
    ) {
        let linked = |to, incident_id| EventKind::CallLinked {
            to,
            incident_id,
            by: by.clone(),
        };
        if let Some(to) = to {
            self.say(to, linked(Some(call), None));
        }
        self.say(call, linked(to, incident_id));
    }

    fn callee_of(&self, number: &str) -> Callee {
        let seat = SeatId(number.to_owned());
        if self.policy.seats.contains_key(&seat) {
            Callee::Seat(seat)
        } else {
            Callee::Number(number.to_owned())
        }
    }

    pub(super) fn callee_number(&self, number: &str) -> Number {
        phone::parse(number, &self.policy.centre.area_code, false)
    }

    fn check_callee(&self, seat: &SeatId, callee: &Callee) -> Result<(), CommandError> {
        match callee {
            Callee::Seat(other) if other == seat => {
                Err(bad_field("number", "call another seat than this one"))
            }
            Callee::Seat(other) if !self.is_at_rest(other) => {
                Err(self.wrong_seat_state(other, "it cannot be called now"))
            }
            Callee::Seat(_) => Ok(()),
            Callee::Number(_) => self.check_spare_trunk(),
        }
    }

    /// A trunk has a circuit that callers can spare.
    pub(super) fn check_spare_trunk(&self) -> Result<(), CommandError> {
        if !self.spare_trunks().is_empty() {
            return Ok(());
        }
        let none = self.outbound_trunks().is_empty();
        let (state, hint) = if none {
            ("none configured", "set `outbound` on a trunk")
        } else {
            (
                "down to the circuits that are kept for callers",
                "dial again when a call has ended",
            )
        };
        Err(CommandError::WrongState {
            what: String::from("outbound trunks"),
            state: state.to_owned(),
            hint: hint.to_owned(),
        })
    }

    /// In no call, with a phone.
    pub(super) fn is_at_rest(&self, seat: &SeatId) -> bool {
        self.seats.get(seat).is_some_and(|s| {
            s.binding.is_some()
                && s.keying.is_none()
                && match &s.duty {
                    Duty::Ready { .. } | Duty::NotReady { .. } | Duty::WrapUp { .. } => true,
                    Duty::SignedOut
                    | Duty::Reserved { .. }
                    | Duty::Ringing { .. }
                    | Duty::Talking { .. }
                    | Duty::Listening { .. }
                    | Duty::Dialling { .. }
                    | Duty::Unreachable { .. } => false,
                }
        })
    }

    /// Rings the seat's phone; its callee comes after it.
    pub(super) fn make_call(&mut self, wish: Wish<'_>) -> Result<(CallId, LegId), CommandError> {
        let seat = wish.seat.clone();
        if self.calls.len() >= CALLS_MAX {
            return Err(CommandError::WrongState {
                what: String::from("the centre"),
                state: String::from("full"),
                hint: String::from("dial again when a call has ended"),
            });
        }
        if !self.is_at_rest(&seat) {
            return Err(self.wrong_seat_state(
                &seat,
                "answer what rings or end what it does, then dial; its phone must be registered",
            ));
        }
        let call = CallId(self.ids.next_uuid(self.now));
        let leg = self.new_leg_id();
        let phase = Phase::Dialling(Dialling {
            seat: seat.clone(),
            leg,
            alive: false,
            rang: false,
        });
        let state = Leg::outbound(Party::Seat(seat.clone()), None);
        self.open_made(call, wish, Some((leg, state)), phase, None);
        let now = self.now;
        self.seat_step(&seat, "flaw.dialled_busy_seat", |duty| {
            duty.dialling(call, leg, now)
        });
        if let Some(mut invite) = self.seat_invite(call, &seat, None) {
            invite.picks_up = true;
            self.command_leg(leg, LegCommand::Invite(Box::new(invite)));
        }
        self.arm(TimerKey::Ring(leg), self.policy.timers.ring);
        Ok((call, leg))
    }

    /// Opens a call that we make, with the leg of its seat if that has one.
    pub(super) fn open_made(
        &mut self,
        call: CallId,
        wish: Wish<'_>,
        own: Option<(LegId, Leg)>,
        phase: Phase,
        arrival: Option<&Arrival>,
    ) {
        let serial_no = self.enter_made(Made {
            call,
            ingress: Ingress::Seat(wish.seat.clone()),
            seat: Some(wish.seat.clone()),
            number: wish.number.clone(),
            invite_key: arrival.map_or_else(String::new, |a| a.invite_key.clone()),
            phase,
            outbound: Outbound {
                direction: wish.direction,
                callee: wish.callee.clone(),
                failed: None,
            },
        });
        if let Some((leg, state)) = own {
            self.add_leg(call, leg, state);
        }
        let callee_seat = match wish.callee {
            Callee::Seat(seat) => Some(seat),
            Callee::Number(_) => None,
        };
        self.say(
            call,
            EventKind::CallDialled {
                seat: wish.seat.clone(),
                callee: wish.number,
                callee_seat,
                direction: wish.direction,
                serial_no,
                by: wish.by.clone(),
                arrival: arrival.cloned().map(Box::new),
            },
        );
    }

    /// A call that we make is there, without a leg; its serial number.
    pub(super) fn enter_made(&mut self, made: Made) -> String {
        let serial_no = self.next_serial();
        let recording = RecordingId(self.ids.next_uuid(self.now));
        let call = Call {
            id: made.call,
            serial_no: serial_no.clone(),
            invite_key: made.invite_key,
            ingress: made.ingress,
            queue: self.policy.queue.clone(),
            called: made.number.raw.clone(),
            caller: made.number,
            received_at: self.now,
            callseq: 0,
            plays: 0,
            recording,
            capture: Capture::None,
            earlier: Vec::new(),
            wait_exceeded: false,
            answered_at: None,
            last_seat: made.seat,
            incident_id: None,
            crew: None,
            dispatched: false,
            assist: None,
            ahead: Millis(0),
            findings: 0,
            language: None,
            silent: None,
            caller_leg: None,
            caller_lost: None,
            thirds: std::collections::BTreeMap::new(),
            legs: std::collections::BTreeMap::new(),
            losing: Vec::new(),
            matrix: Matrix::silent(),
            phase: made.phase,
            test: false,
            outbound: Some(made.outbound),
        };
        self.calls.insert(made.call, call);
        serial_no
    }

    /// The seat whose phone dials a number by itself, other than one of ours.
    pub(super) fn dials_out(&self, arrival: &Arrival) -> Option<SeatId> {
        let Ingress::Seat(seat) = &arrival.ingress else {
            return None;
        };
        let number = arrival.called.as_str();
        let trunks = &self.policy.trunks;
        // A star is a code of ours, never a number outside.
        let outside = number.starts_with(|c: char| c == '+' || c.is_ascii_digit());
        let known = self.seats.contains_key(seat) && outside && check_number(number).is_ok();
        if self.is_ours(number) || !known {
            return None;
        }
        let to_seat = matches!(self.callee_of(number), Callee::Seat(_));
        (to_seat || trunks.values().any(|t| t.outbound.is_some())).then(|| seat.clone())
    }

    /// Who dials it is a caller of the centre.
    pub(super) fn is_ours(&self, number: &str) -> bool {
        let area = &self.policy.centre.area_code;
        let mut trunks = self.policy.trunks.values();
        number == "120"
            || self.policy.menus.is_ours(number, area)
            || trunks.any(|trunk| trunk.shown_number == number)
    }

    /// A seat's phone dialled: the same path, with its own leg. Answered at once, so that it hears our tones.
    pub(super) fn phone_dialled(&mut self, arrival: &Arrival, seat: &SeatId) {
        let callee = self.callee_of(&arrival.called);
        let number = self.callee_number(&arrival.called);
        let by = Actor::Seat(seat.clone());
        self.phone_made(
            arrival,
            Wish {
                by: &by,
                seat,
                direction: direction_of(&callee),
                callee,
                number,
            },
        );
    }

    /// The leg of a phone that dialled is its seat's in a call that we make.
    pub(super) fn phone_made(&mut self, arrival: &Arrival, wish: Wish<'_>) {
        let (call, leg, seat) = (arrival.call, arrival.leg, wish.seat);
        let mut state = caller_leg(arrival, &wish.number);
        state.party = Party::Seat(seat.clone());
        state.number = None;
        let phase = Phase::Dialling(Dialling {
            seat: seat.clone(),
            leg,
            alive: true,
            rang: true,
        });
        self.open_made(call, wish, Some((leg, state)), phase, Some(arrival));
        let full = self.calls.len() > CALLS_MAX;
        if arrival.refused_capacity || full {
            if arrival.refused_capacity {
                self.forget_leg(call, leg);
            }
            return self.end_call(call, Outcome::NotReached, Cause::Capacity, "system");
        }
        let now = self.now;
        if !self.try_seat_step(seat, |duty| duty.dialling(call, leg, now)) {
            return self.end_call(call, Outcome::NotReached, Cause::Busy, "system");
        }
        self.phone_proven(seat);
        if let Some(leg) = self.leg_mut(call, leg) {
            leg.state = LegState::Answering;
        }
        self.command_leg(leg, LegCommand::Answer);
        self.made_picked_up(call, leg, seat);
    }

    /// A fact of the phone of the seat that dialled, before it talks. False: the call is none of these.
    pub(super) fn dialling_fact(
        &mut self,
        call: CallId,
        leg: LegId,
        seat: &SeatId,
        fact: LegFact,
    ) -> bool {
        let Some(dialling) = self.call_mut(call).and_then(Call::dialling_mut) else {
            return false;
        };
        match fact {
            LegFact::Trying => {
                dialling.alive = true;
                self.phone_proven(seat);
            }
            LegFact::Progressed { .. } => {
                dialling.alive = true;
                if !std::mem::replace(&mut dialling.rang, true) {
                    self.phone_proven(seat);
                    let seat = seat.clone();
                    self.say(call, EventKind::SeatRinging { seat, leg });
                }
            }
            LegFact::Answered => self.made_picked_up(call, leg, seat),
            LegFact::Failed { cause } | LegFact::Ended { cause, .. } => {
                self.forget_leg(call, leg);
                self.say(
                    call,
                    EventKind::SeatRejected {
                        seat: seat.clone(),
                        leg,
                        cause,
                    },
                );
                if cause.is_failure() && cause != Cause::Capacity {
                    self.dialling_phone_died(seat);
                }
                self.end_answered(call, cause, "seat");
            }
            LegFact::Confirmed
            | LegFact::Held { .. }
            | LegFact::Digit { .. }
            | LegFact::Noted
            | LegFact::Misfit { .. } => {}
        }
        true
    }

    fn dialling_phone_died(&mut self, seat: &SeatId) {
        let now = self.now;
        self.seat_step(seat, "flaw.dialling_phone_died_twice", |duty| {
            duty.phone_died(now)
        });
    }

    /// The seat that dialled did not pick up its own phone. False: the leg is none of these.
    pub(super) fn dialling_rang_out(&mut self, call: CallId, leg: LegId) -> bool {
        let Some(dialling) = self.call_mut(call).and_then(Call::dialling_mut) else {
            return false;
        };
        if dialling.leg != leg {
            return false;
        }
        let (seat, alive) = (dialling.seat.clone(), dialling.alive);
        self.release(call, leg, Cause::NoAnswer);
        let told = seat.clone();
        self.say(call, EventKind::SeatRingTimeout { seat: told, leg });
        if !alive {
            self.dialling_phone_died(&seat);
        }
        self.end_answered(call, Cause::NoAnswer, "seat");
        true
    }

    /// Recorded from here on; now the callee is rung.
    fn made_picked_up(&mut self, call: CallId, leg: LegId, seat: &SeatId) {
        self.timers.disarm(&TimerKey::Ring(leg));
        self.phone_proven(seat);
        let Some(open) = self.call_mut(call) else {
            return;
        };
        let mut talking = Talking::without_seat();
        talking.seat = Some((seat.clone(), leg));
        open.phase = Phase::Talking(talking);
        self.record_made(call);
        self.track(call, leg);
        let seat = seat.clone();
        self.say(call, EventKind::SeatAnswered { seat, leg });
        self.refresh_matrix(call);
        self.ring_callee(call);
    }

    /// A call that we make is recorded from here on.
    pub(super) fn record_made(&mut self, call: CallId) {
        let capture = self.capture_asked();
        let Some(open) = self.call_mut(call) else {
            return;
        };
        open.capture = capture;
        let recording = open.recording;
        if capture.is_open() {
            self.command_media(call, MediaCommand::Record { recording });
        }
    }

    pub(super) fn ring_callee(&mut self, call: CallId) {
        let made = self.calls.get(&call).and_then(|c| c.outbound.clone());
        let Some(Outbound { callee, .. }) = made else {
            return self.misfit("flaw.ring_callee_of_none");
        };
        let party = self.next_third(call, CALLEE).map(|n| Party::Third {
            role: CALLEE.to_owned(),
            n,
        });
        let Some(party) = party else {
            return;
        };
        let rung = match &callee {
            Callee::Number(number) => {
                let trunks = self.spare_trunks();
                let leg = self.ring_third(call, number, CALLEE, party, None, trunks);
                leg.ok_or(Cause::Capacity)
            }
            Callee::Seat(seat) => self.ring_colleague(call, seat, party),
        };
        match rung {
            Ok(_) => self.refresh_audio(call),
            Err(cause) => {
                self.callee_failed(call, cause);
                self.tell_seat_of_failure(call, cause);
            }
        }
    }

    fn ring_colleague(
        &mut self,
        call: CallId,
        seat: &SeatId,
        party: Party,
    ) -> Result<LegId, Cause> {
        if !self.is_at_rest(seat) {
            return Err(Cause::Busy);
        }
        let from = self.calls.get(&call).map(|c| c.ingress.clone());
        let Some(mut invite) = self.seat_invite(call, seat, None) else {
            return Err(Cause::Unreachable);
        };
        if let Some(Ingress::Seat(from)) = from {
            invite.from_number = from.0;
        }
        let leg = self.new_leg_id();
        let now = self.now;
        self.seat_step(seat, "flaw.colleague_not_at_rest", |duty| {
            duty.dialling(call, leg, now)
        });
        self.ring_seat_as_third(call, leg, seat, party, invite);
        Ok(leg)
    }

    /// Why nobody is there, for the record's end.
    pub(super) fn callee_failed(&mut self, call: CallId, cause: Cause) {
        if let Some(made) = self.call_mut(call).and_then(|c| c.outbound.as_mut()) {
            made.failed = Some(cause);
        }
    }

    /// A callee that was a seat is out of the call: what it was before.
    pub(super) fn colleague_left(&mut self, leg: &Leg) {
        if let Some(seat) = leg.hunt.as_ref().and_then(|hunt| hunt.seat.clone()) {
            self.seat_returned(&seat);
        }
    }

    /// The callee is there: the call is answered.
    pub(super) fn callee_joined(&mut self, call: CallId) {
        let now = self.now;
        if let Some(open) = self.call_mut(call)
            && let Some(made) = &mut open.outbound
        {
            made.failed = None;
            open.answered_at.get_or_insert(now);
            self.call_back_connected(call);
        }
    }

    /// The seat is told by a tone; when that is over, so is the call.
    pub(super) fn arm_callee_told(&mut self, call: CallId) {
        if self.calls.get(&call).is_some_and(|c| c.outbound.is_some()) {
            self.arm(TimerKey::CalleeTold(call), TOLD_SPAN);
        }
    }

    /// Nobody is there and nobody is being rung any more: a call that we made ends.
    pub(super) fn callee_told(&mut self, call: CallId) {
        let Some(open) = self.calls.get(&call) else {
            return;
        };
        let Some(made) = &open.outbound else {
            return;
        };
        let cause = made.failed.unwrap_or(Cause::Normal);
        let rung = open.third_is_rung();
        self.timers.disarm(&TimerKey::CalleeTold(call));
        let talks = self.calls.get(&call).is_some_and(|c| c.talking().is_some());
        if talks && !rung && !self.goes_on(call) {
            self.end_answered(call, cause, CALLEE);
        }
    }

    /// A caller whom nobody is rung for comes before a colleague who only rings.
    pub(super) fn give_colleagues_back(&mut self) {
        if self.queue.is_empty() {
            return;
        }
        let rung: Vec<_> = self
            .seats
            .values()
            .filter_map(|seat| match &seat.duty {
                Duty::Dialling {
                    call,
                    leg,
                    back: Standby::Ready { .. },
                } => Some((*call, *leg)),
                Duty::Dialling { .. }
                | Duty::SignedOut
                | Duty::NotReady { .. }
                | Duty::Ready { .. }
                | Duty::Reserved { .. }
                | Duty::Ringing { .. }
                | Duty::Talking { .. }
                | Duty::WrapUp { .. }
                | Duty::Listening { .. }
                | Duty::Unreachable { .. } => None,
            })
            .filter(|(call, leg)| {
                let leg = self.calls.get(call).and_then(|c| c.legs.get(leg));
                leg.is_some_and(|l| matches!(l.party, Party::Third { .. }) && !l.state.is_up())
            })
            .collect();
        for (call, leg) in rung {
            if !self.somebody_has_nobody() {
                return;
            }
            let removed = self.release(call, leg, Cause::Withdrawn);
            self.third_failed(call, leg, removed, Cause::Busy);
            self.route();
        }
    }

    fn somebody_has_nobody(&self) -> bool {
        let waiting = self.queue.entries().iter();
        waiting
            .filter(|entry| !self.is_held_for_test(entry.call))
            .filter_map(|entry| self.calls.get(&entry.call)?.unanswered())
            .any(|unanswered| unanswered.offers.is_empty())
    }
}

pub(super) const fn direction_of(callee: &Callee) -> Direction {
    match callee {
        Callee::Number(_) => Direction::Outbound,
        Callee::Seat(_) => Direction::Internal,
    }
}
