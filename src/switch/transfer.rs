//! Transfer (转移): the call goes to another seat, a queue or a number outside, with its record and recording. WS/T 451-2014
//! 7.2.1.2-m.
//!
//! ```text
//! blind        seat free at once; caller hears ring-back: the named seat | the queue | the number
//!                 not answered --> the queue's head, and the seat that sent him away is asked first
//! attended     caller on hold, the seats speak --complete | the seat hangs up--> target and caller
//! conference   all three talk                  --complete | the seat hangs up--> target and caller
//!                 cancel, the target refuses or leaves --> the seat has its caller as before
//! ```
//! Said at the beginning (`call.transfer_started`) and once at its end (`call.transferred` with an outcome).

use super::party::{check_number, unknown_call};
use super::timers::TimerKey;
use super::{Actor, CommandError, CommandReply, EventKind, Sound, Switch, TransferView};
use crate::acd::Duty;
use crate::call::{
    Call, Cause, Hearing, HoldBy, Ingress, Join, Leg, LegCommand, LegFact, Party, Phase, Transfer,
    TransferKind, TransferTo, Unanswered,
};
use crate::id::{CallId, LegId, SeatId};
use crate::limits::LEGS_PER_CALL_MAX;
use crate::time::Millis;

/// Role of a party outside whom a call is transferred to.
const ROLE: &str = "transfer";

impl Switch {
    /// `Transfer`.
    pub(super) fn transfer(
        &mut self,
        by: &Actor,
        call: CallId,
        to: &TransferTo,
        kind: TransferKind,
    ) -> Result<CommandReply, CommandError> {
        let (from, leg) = self.check_transfers(by, call)?;
        self.check_target(&from, to, kind)?;
        self.given(by, Some(call), "transfer");
        self.say(
            call,
            EventKind::TransferStarted {
                from: from.clone(),
                to: to.clone(),
                kind,
                by: by.clone(),
            },
        );
        let transfer = Transfer {
            from,
            to: to.clone(),
            kind,
            leg: None,
        };
        match kind {
            TransferKind::Blind => self.send_away(call, leg, transfer),
            TransferKind::Attended | TransferKind::Conference => self.consult(call, transfer),
        }
        Ok(CommandReply::Done)
    }

    /// The seat and leg that may transfer now.
    fn check_transfers(&self, by: &Actor, call: CallId) -> Result<(SeatId, LegId), CommandError> {
        self.check_handles(by, call)?;
        let open = self.calls.get(&call).ok_or_else(|| unknown_call(call))?;
        let third = |leg: &Leg| matches!(leg.party, Party::Third { .. });
        let Some(talking) = open.talking() else {
            return Err(self.wrong_call_state(call, "only a talking call is transferred"));
        };
        let hint = if talking.transfer.is_some() {
            "it is being transferred already; complete or cancel that"
        } else if open.caller_leg.is_none() {
            "its caller has left"
        } else if talking.join != Join::Apart {
            "it is joined to another call"
        } else if open.legs.values().any(third) {
            "release the third party first, or leave the caller to it"
        } else if open.outbound.is_some() || matches!(open.ingress, Ingress::Seat(_)) {
            "the centre made it"
        } else if open.legs.len() >= LEGS_PER_CALL_MAX {
            "release a party first, the call is full"
        } else {
            match &talking.seat {
                Some(seat) => return Ok(seat.clone()),
                None => "no seat talks in it any more",
            }
        };
        Err(self.wrong_call_state(call, hint))
    }

    fn check_target(
        &self,
        from: &SeatId,
        to: &TransferTo,
        kind: TransferKind,
    ) -> Result<(), CommandError> {
        match to {
            TransferTo::Seat(seat) if !self.seats.contains_key(seat) => {
                Err(unknown("seat", seat.as_str()))
            }
            TransferTo::Seat(seat) if seat == from => Err(bad_field(
                "seat",
                "name another seat than the one that talks",
            )),
            TransferTo::Seat(seat) if !self.can_be_asked(seat) => {
                Err(self.wrong_seat_state(seat, "choose a free seat, or transfer to a queue"))
            }
            TransferTo::Queue(queue) if !self.policy.queues.contains_key(queue) => {
                Err(unknown("queue", queue.as_str()))
            }
            TransferTo::Queue(_) if kind != TransferKind::Blind => {
                Err(bad_field("kind", "to a queue a call goes blind only"))
            }
            TransferTo::Number(number) => {
                check_number(number)?;
                self.check_outbound()
            }
            TransferTo::Seat(_) | TransferTo::Queue(_) => Ok(()),
        }
    }

    /// Blind: the seat is released, the caller is led on.
    fn send_away(&mut self, call: CallId, leg: LegId, transfer: Transfer) {
        self.end_hold(call, "transferred");
        let from = transfer.from.clone();
        self.release(call, leg, Cause::SeatReleased);
        self.say_seat_released(call, leg, &from, Cause::SeatReleased);
        if let Some(talking) = self.call_mut(call).and_then(Call::talking_mut) {
            talking.seat = None;
        }
        self.seat_hung_up(&from);
        self.lead_on(call, transfer);
        self.refresh_matrix(call);
    }

    /// The caller is alone: to the seat, the queue, or the number.
    fn lead_on(&mut self, call: CallId, mut transfer: Transfer) {
        transfer.kind = TransferKind::Blind;
        match transfer.to.clone() {
            TransferTo::Seat(seat) => {
                let shown = Some(format!("转移 {}", transfer.from));
                self.queue_again(call, Some(Box::new(transfer)));
                self.ask_seat(call, &seat, shown);
            }
            TransferTo::Queue(queue) => {
                if let Some(open) = self.call_mut(call) {
                    open.queue = queue;
                }
                self.queue_again(call, None);
                self.say_transferred(call, &transfer, "queued");
            }
            TransferTo::Number(number) => {
                self.play_to_caller(call, vec![Sound::RingBack], true);
                self.ring_outside(call, &number, transfer);
            }
        }
    }

    fn queue_again(&mut self, call: CallId, transfer: Option<Box<Transfer>>) {
        let now = self.now;
        // Who still rings beside the seat that gives it away was not asked for.
        self.release_losers(call);
        if let Some(open) = self.call_mut(call) {
            let mut unanswered = Unanswered::entered(now);
            unanswered.hearing = Hearing::Between;
            unanswered.transfer = transfer;
            open.phase = Phase::Unanswered(unanswered);
        }
        self.enter_queue(call, true);
        self.refresh_matrix(call);
    }

    fn ring_outside(&mut self, call: CallId, number: &str, transfer: Transfer) {
        let trunks = self.outbound_trunks();
        let n = self.next_third(call, ROLE).unwrap_or(u8::MAX);
        let party = Party::Third {
            role: ROLE.to_owned(),
            n,
        };
        let leg = self.ring_third(call, number, ROLE, party, None, trunks);
        if let Some(talking) = self.call_mut(call).and_then(Call::talking_mut) {
            talking.transfer = Some(Box::new(Transfer { leg, ..transfer }));
        }
        if leg.is_none() {
            self.outside_failed(call, "unreachable");
        }
    }

    /// Attended or conference: the target is rung into the talk.
    fn consult(&mut self, call: CallId, transfer: Transfer) {
        if transfer.kind == TransferKind::Attended {
            self.begin_hold(call, HoldBy::Command, None);
        }
        match transfer.to.clone() {
            TransferTo::Seat(seat) => self.ring_target_seat(call, &seat, transfer),
            TransferTo::Number(number) => self.ring_outside(call, &number, transfer),
            TransferTo::Queue(_) => return self.misfit("flaw.consulted_queue"),
        }
        self.refresh_tones(call);
    }

    fn ring_target_seat(&mut self, call: CallId, seat: &SeatId, transfer: Transfer) {
        let shown = Some(format!("转移 {}", transfer.from));
        let leg = self.new_leg_id();
        let Some(invite) = self.seat_invite(call, seat, shown) else {
            return self.misfit("flaw.consulted_unregistered_seat");
        };
        if !self.seat_step(seat, "flaw.consulted_busy_seat", |duty| {
            duty.reserved(call, leg)
        }) {
            return;
        }
        self.add_leg(call, leg, Leg::outbound(Party::Seat(seat.clone()), None));
        if let Some(talking) = self.call_mut(call).and_then(Call::talking_mut) {
            talking.transfer = Some(Box::new(Transfer {
                leg: Some(leg),
                ..transfer
            }));
        }
        self.command_leg(leg, LegCommand::Invite(Box::new(invite)));
        self.arm(TimerKey::Ring(leg), self.policy.timers.ring);
    }

    /// The leg of a seat that is rung into the talk, or speaks in it, to take it over.
    pub(super) fn is_colleague(&self, call: CallId, leg: LegId) -> bool {
        self.transfer_of(call).is_some_and(|transfer| {
            transfer.leg == Some(leg) && matches!(transfer.to, TransferTo::Seat(_))
        })
    }

    fn transfer_of(&self, call: CallId) -> Option<&Transfer> {
        self.calls.get(&call)?.talking()?.transfer.as_deref()
    }

    fn take_transfer(&mut self, call: CallId) -> Option<Box<Transfer>> {
        match &mut self.call_mut(call)?.phase {
            Phase::Talking(talking) => talking.transfer.take(),
            Phase::Unanswered(unanswered) => unanswered.transfer.take(),
            Phase::InMenu(_) | Phase::Dialling(_) | Phase::Shelved(_) | Phase::Closing(_) => None,
        }
    }

    /// A fact of a colleague's leg.
    pub(super) fn colleague_fact(
        &mut self,
        call: CallId,
        leg: LegId,
        seat: &SeatId,
        fact: LegFact,
    ) {
        match fact {
            LegFact::Trying => self.phone_proven(seat),
            LegFact::Progressed { .. } => self.colleague_rings(call, leg, seat),
            LegFact::Answered => self.colleague_answers(call, leg, seat),
            LegFact::Failed { cause } => {
                self.forget_leg(call, leg);
                let seat_id = seat.clone();
                self.say(
                    call,
                    EventKind::SeatRejected {
                        seat: seat_id,
                        leg,
                        cause,
                    },
                );
                self.offer_over(seat, super::offer::miss_of(cause), false);
                self.consult_failed(call, "rejected");
            }
            LegFact::Ended { cause, by_far_side } => {
                self.forget_leg(call, leg);
                self.say_seat_released(call, leg, seat, cause);
                if cause.is_failure() || !by_far_side {
                    let now = self.now;
                    self.seat_step(seat, "flaw.seat_lost_twice", |duty| duty.phone_died(now));
                } else {
                    self.seat_hung_up(seat);
                }
                self.consult_failed(call, "left");
            }
            LegFact::Held { .. } => {}
            LegFact::Confirmed => self.misfit("seat.confirmed"),
            LegFact::Digit { .. } | LegFact::Noted | LegFact::Misfit { .. } => {}
        }
    }

    fn colleague_rings(&mut self, call: CallId, leg: LegId, seat: &SeatId) {
        self.phone_proven(seat);
        if self.try_seat_step(seat, Duty::rang) {
            let seat = seat.clone();
            self.say(call, EventKind::SeatRinging { seat, leg });
            self.refresh_tones(call);
        }
    }

    fn colleague_answers(&mut self, call: CallId, leg: LegId, seat: &SeatId) {
        self.colleague_rings(call, leg, seat);
        self.timers.disarm(&TimerKey::Ring(leg));
        self.seat_step(seat, "flaw.colleague_picked_up_unrung", Duty::picked_up);
        self.track(call, leg);
        let kind = self.transfer_of(call).map(|transfer| transfer.kind);
        if kind == Some(TransferKind::Conference) {
            self.colleague_has_answered(call, leg, seat);
        } else {
            let seat = seat.clone();
            self.say(call, EventKind::TransferConsulted { seat, leg });
        }
        self.refresh_audio(call);
    }

    /// It talks to the caller from now on.
    fn colleague_has_answered(&mut self, call: CallId, leg: LegId, seat: &SeatId) {
        let answered = seat.clone();
        self.say(
            call,
            EventKind::SeatAnswered {
                seat: answered,
                leg,
            },
        );
        self.caller_answered(call, seat);
        self.handling_runs(call, Millis(1));
    }

    /// A colleague's phone was not picked up in time; false when the leg is none.
    pub(super) fn colleague_rang_out(&mut self, call: CallId, leg: LegId) -> bool {
        if !self.is_colleague(call, leg) {
            return false;
        }
        let Some(Party::Seat(seat)) = self.leg_mut(call, leg).map(|l| l.party.clone()) else {
            return false;
        };
        self.release(call, leg, Cause::NoAnswer);
        let rung = seat.clone();
        self.say(call, EventKind::SeatRingTimeout { seat: rung, leg });
        let rang = self
            .seats
            .get(&seat)
            .is_some_and(|s| matches!(s.duty, Duty::Ringing { .. }));
        let miss = if rang {
            super::offer::Miss::RangOut
        } else {
            super::offer::Miss::PhoneDead
        };
        // Nobody is blamed for not taking a colleague's call.
        self.offer_over(&seat, miss, false);
        self.consult_failed(call, "no_answer");
        true
    }

    /// The target of an attended or conference transfer is out of it: the seat has its caller as before.
    pub(super) fn consult_failed(&mut self, call: CallId, outcome: &str) {
        let Some(transfer) = self.take_transfer(call) else {
            return;
        };
        self.say_transferred(call, &transfer, outcome);
        self.end_unless_two_talk(call);
        self.refresh_audio(call);
        self.tell_seat_of_failure(call, Cause::Busy);
    }

    /// Its caller had left before.
    pub(super) fn end_unless_two_talk(&mut self, call: CallId) {
        let open = self.calls.get(&call).is_some_and(|c| c.talking().is_some());
        if open && !self.goes_on(call) {
            self.end_answered(call, Cause::SeatReleased, "seat");
        }
    }

    /// A supervisor has the call instead of the seat that transfers it. False when nothing is being transferred.
    pub(super) fn cut_transfer(&mut self, call: CallId) -> bool {
        let Some(transfer) = self.transfer_of(call).cloned() else {
            return false;
        };
        let up = self.target_is_up(call);
        if let (TransferTo::Seat(seat), Some(leg)) = (&transfer.to, transfer.leg) {
            self.dismiss_colleague(call, leg, seat, up);
        }
        self.drop_transfer(call, "taken_over");
        true
    }

    /// A number outside that a call was transferred to has answered.
    pub(super) fn outside_answered(&mut self, call: CallId, first: LegId) {
        let blind = self
            .transfer_of(call)
            .is_some_and(|t| t.leg == Some(first) && t.kind == TransferKind::Blind);
        if blind && let Some(transfer) = self.take_transfer(call) {
            self.stop_caller(call);
            self.say_transferred(call, &transfer, "answered");
        }
    }

    /// It is not reached or has left. False when the call is not being transferred to it.
    pub(super) fn outside_gone(&mut self, call: CallId, first: LegId, outcome: &str) -> bool {
        let own = self.transfer_of(call).is_some_and(|t| t.leg == Some(first));
        if own {
            self.outside_failed(call, outcome);
        }
        own
    }

    fn outside_failed(&mut self, call: CallId, outcome: &str) {
        let blind = self
            .transfer_of(call)
            .is_some_and(|t| t.kind == TransferKind::Blind);
        if !blind {
            return self.consult_failed(call, outcome);
        }
        let Some(transfer) = self.take_transfer(call) else {
            return;
        };
        if self
            .calls
            .get(&call)
            .is_some_and(|c| c.caller_leg.is_some())
        {
            self.queue_again(call, None);
            self.give_back(call, &transfer, outcome);
        }
    }

    /// Nobody took a caller who was sent away: he is the queue's head, and who sent him is asked first.
    fn give_back(&mut self, call: CallId, transfer: &Transfer, outcome: &str) {
        self.say_transferred(call, transfer, outcome);
        if self.can_be_asked(&transfer.from) {
            let shown = format!("转移未接 {}", transfer.to.name());
            self.ask_seat(call, &transfer.from, Some(shown));
        }
    }

    /// Before free seats are offered calls: who was asked by name and did not answer gives his caller back.
    pub(super) fn settle_transfers(&mut self) {
        for call in std::mem::take(&mut self.untaken) {
            let Some(unanswered) = self.call_mut(call).and_then(Call::unanswered_mut) else {
                continue;
            };
            if let Some(transfer) = unanswered.transfer.take() {
                self.give_back(call, &transfer, "no_answer");
            }
        }
    }

    /// A waiting call was answered.
    pub(super) fn transfer_taken(&mut self, call: CallId, seat: &SeatId) {
        if let Some(transfer) = self.take_transfer(call) {
            let own = transfer.to == TransferTo::Seat(seat.clone());
            let outcome = if own { "answered" } else { "other_seat" };
            self.say_transferred(call, &transfer, outcome);
        }
    }

    /// The call ends, or a supervisor has it.
    pub(super) fn drop_transfer(&mut self, call: CallId, outcome: &str) {
        if let Some(transfer) = self.take_transfer(call) {
            if transfer.kind == TransferKind::Blind {
                self.stop_caller(call);
            }
            self.say_transferred(call, &transfer, outcome);
        }
    }

    /// The target is up and can have the call.
    fn target_is_up(&self, call: CallId) -> bool {
        let Some(transfer) = self.transfer_of(call) else {
            return false;
        };
        let Some(open) = self.calls.get(&call) else {
            return false;
        };
        open.legs.iter().any(|(id, leg)| {
            let first = leg.hunt.as_ref().map_or(*id, |hunt| hunt.first);
            Some(first) == transfer.leg && leg.state.is_up()
        })
    }

    /// `CompleteTransfer`: the seat leaves, the target has the call.
    pub(super) fn complete_transfer(
        &mut self,
        by: &Actor,
        call: CallId,
    ) -> Result<CommandReply, CommandError> {
        self.check_handles(by, call)?;
        let seat = self.calls.get(&call).and_then(Call::talking);
        let Some((seat, leg)) = seat.and_then(|talking| talking.seat.clone()) else {
            return Err(self.wrong_call_state(call, "no seat talks in it"));
        };
        if self.transfer_of(call).is_none() {
            return Err(self.wrong_call_state(call, "it is not being transferred"));
        }
        if !self.target_is_up(call) {
            return Err(self.wrong_call_state(call, "wait until the other side answers, or cancel"));
        }
        self.given(by, Some(call), "complete_transfer");
        self.release(call, leg, Cause::SeatReleased);
        self.say_seat_released(call, leg, &seat, Cause::SeatReleased);
        self.seat_hung_up(&seat);
        self.target_has_call(call);
        Ok(CommandReply::Done)
    }

    fn target_has_call(&mut self, call: CallId) {
        let Some(transfer) = self.take_transfer(call) else {
            return;
        };
        let target = match (&transfer.to, transfer.leg) {
            (TransferTo::Seat(seat), Some(leg)) => Some((seat.clone(), leg)),
            (TransferTo::Seat(_) | TransferTo::Queue(_) | TransferTo::Number(_), _) => None,
        };
        if let Some(talking) = self.call_mut(call).and_then(Call::talking_mut) {
            talking.seat.clone_from(&target);
            talking.tone = crate::call::SeatTone::Quiet;
        }
        if let Some((seat, leg)) = target {
            self.handled_by(call, &seat);
            if transfer.kind == TransferKind::Attended {
                self.colleague_has_answered(call, leg, &seat);
            }
        }
        self.end_hold(call, "transferred");
        self.say_transferred(call, &transfer, "answered");
        self.refresh_audio(call);
        self.end_unless_two_talk(call);
    }

    /// The seat that transfers has left: the target has the call, or goes on being rung for the caller. False when
    /// nothing is being transferred.
    pub(super) fn transfer_goes_on(&mut self, call: CallId) -> bool {
        if self.transfer_of(call).is_none() {
            return false;
        }
        if self.target_is_up(call) {
            self.target_has_call(call);
            return true;
        }
        if self.calls.get(&call).is_none_or(|c| c.caller_leg.is_none()) {
            return false;
        }
        let Some(transfer) = self.take_transfer(call) else {
            return false;
        };
        self.end_hold(call, "transferred");
        match (&transfer.to, transfer.leg) {
            (TransferTo::Seat(seat), Some(leg)) => {
                self.free_offered_seat(call, leg, seat, Cause::Withdrawn);
                let free = self.can_be_asked(seat);
                if free {
                    self.lead_on(call, *transfer);
                } else {
                    self.queue_again(call, None);
                    self.say_transferred(call, &transfer, "unreachable");
                }
            }
            (TransferTo::Number(_), _) => {
                self.play_to_caller(call, vec![Sound::RingBack], true);
                if let Some(talking) = self.call_mut(call).and_then(Call::talking_mut) {
                    let kind = TransferKind::Blind;
                    talking.transfer = Some(Box::new(Transfer { kind, ..*transfer }));
                }
            }
            (TransferTo::Seat(_) | TransferTo::Queue(_), _) => {
                self.misfit("flaw.transfer_without_leg");
            }
        }
        self.refresh_matrix(call);
        true
    }

    /// `CancelTransfer`: the caller is the seat's as before.
    pub(super) fn cancel_transfer(
        &mut self,
        by: &Actor,
        call: CallId,
    ) -> Result<CommandReply, CommandError> {
        self.check_handles(by, call)?;
        let Some(transfer) = self.transfer_of(call).cloned() else {
            return Err(
                self.wrong_call_state(call, "nothing is left to cancel; it has been sent on")
            );
        };
        self.given(by, Some(call), "cancel_transfer");
        let up = self.target_is_up(call);
        match &transfer.to {
            TransferTo::Seat(seat) => {
                if let Some(leg) = transfer.leg {
                    self.dismiss_colleague(call, leg, seat, up);
                }
                self.consult_ends(call);
            }
            TransferTo::Number(_) | TransferTo::Queue(_) => {
                self.dismiss_outside(call, &transfer);
                self.outside_failed(call, "taken_back");
                self.end_hold(call, "command");
            }
        }
        self.refresh_audio(call);
        self.end_unless_two_talk(call);
        Ok(CommandReply::Done)
    }

    fn consult_ends(&mut self, call: CallId) {
        if let Some(transfer) = self.take_transfer(call) {
            self.say_transferred(call, &transfer, "taken_back");
        }
        self.end_hold(call, "command");
    }

    /// A colleague whose leg is no longer wanted.
    pub(super) fn dismiss_colleague(&mut self, call: CallId, leg: LegId, seat: &SeatId, up: bool) {
        if up {
            self.release(call, leg, Cause::Withdrawn);
            self.say_seat_released(call, leg, seat, Cause::Withdrawn);
            self.seat_hung_up(seat);
        } else {
            self.free_offered_seat(call, leg, seat, Cause::Withdrawn);
        }
    }

    fn dismiss_outside(&mut self, call: CallId, transfer: &Transfer) {
        let Some(open) = self.calls.get(&call) else {
            return;
        };
        let found = open.legs.iter().find(|(_, leg)| {
            let first = leg.hunt.as_ref().map(|hunt| hunt.first);
            first.is_some() && first == transfer.leg
        });
        if let Some((leg, state)) = found.map(|(id, leg)| (*id, leg.clone())) {
            self.dismiss_third(call, leg, &state, Cause::Withdrawn);
        }
    }

    /// A transfer under way, for people.
    pub(super) fn transfer_view(&self, call: &Call) -> Option<TransferView> {
        let transfer = match &call.phase {
            Phase::Talking(talking) => talking.transfer.as_deref()?,
            Phase::Unanswered(unanswered) => unanswered.transfer.as_deref()?,
            Phase::InMenu(_) | Phase::Dialling(_) | Phase::Shelved(_) | Phase::Closing(_) => {
                return None;
            }
        };
        Some(TransferView {
            from: transfer.from.clone(),
            to: transfer.to.name().to_owned(),
            kind: String::from(match transfer.kind {
                TransferKind::Blind => "blind",
                TransferKind::Attended => "attended",
                TransferKind::Conference => "conference",
            }),
            up: self.target_is_up(call.id),
        })
    }

    fn say_transferred(&mut self, call: CallId, transfer: &Transfer, outcome: &str) {
        self.say(
            call,
            EventKind::CallTransferred {
                from: transfer.from.clone(),
                to: transfer.to.clone(),
                kind: transfer.kind,
                outcome: outcome.to_owned(),
            },
        );
    }

    fn check_outbound(&self) -> Result<(), CommandError> {
        if self.outbound_trunks().is_empty() {
            return Err(CommandError::WrongState {
                what: String::from("outbound trunks"),
                state: String::from("none configured"),
                hint: String::from("set `outbound` on a trunk"),
            });
        }
        Ok(())
    }
}

fn unknown(what: &str, id: &str) -> CommandError {
    CommandError::Unknown {
        what: what.to_owned(),
        id: id.to_owned(),
    }
}

fn bad_field(field: &str, reason: &str) -> CommandError {
    CommandError::BadField {
        field: field.to_owned(),
        reason: reason.to_owned(),
    }
}
