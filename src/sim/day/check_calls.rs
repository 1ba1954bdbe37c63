//! Checks of calls: who may end a caller, one outcome each, who hears whom.

use super::check::{CallTruth, Checker, LegTruth, Reach, Verdict, Who};
use super::check_made::dials_out;
use super::world::SHELF_STAY_MAX;
use crate::call::{Cause, LegCommand, Mode, Target, TransferTo};
use crate::id::{CallId, LegId};
use crate::matrix::Matrix;
use crate::switch::{Command, Effect, Event, EventKind, Input, InputKind, MediaCommand, Outcome};
use crate::time::Millis;

/// Nobody stays longer in a menu.
const MENU_STAY_MAX: Millis = Millis::from_secs(60);

impl Checker {
    /// Invariant 1: a caller's leg is ended by the caller, a seat's command or the carrier, never by us.
    pub(super) fn check_ended_by_right(
        &self,
        input: &Input,
        events: &[Event],
        effects: &[Effect],
    ) -> Verdict {
        for effect in effects {
            let Effect::Leg {
                leg,
                command: LegCommand::Release { .. },
            } = effect
            else {
                continue;
            };
            let Some(call) = self
                .legs
                .get(leg)
                .filter(|truth| truth.who == Who::Caller)
                .map(|truth| truth.call)
            else {
                continue;
            };
            if !self.may_end_caller(input, call) {
                return Err((
                    1,
                    format!("the caller of {call} was released by {:?}", input.kind),
                ));
            }
        }
        for event in events {
            if let (EventKind::CallEnded { .. }, Some(call)) = (&event.kind, event.call)
                && !self.may_end_call(input, call)
                && !self.is_taken_over(call, events)
            {
                return Err((1, format!("call {call} was ended by {:?}", input.kind)));
            }
        }
        Ok(())
    }

    fn may_end_caller(&self, input: &Input, call: CallId) -> bool {
        if let InputKind::Command {
            command: Command::HangUp { call: of },
            ..
        } = &input.kind
        {
            return *of == call;
        }
        let Some(ended) = &self.ended else {
            return false;
        };
        if ended.leg.call != call {
            // The seat that joined him to its own call hung up, and he was the only one it still talked to.
            return self.hosts.get(&call) == Some(&ended.leg.call)
                && matches!(ended.leg.who, Who::Seat(_))
                && ended.by_choice
                && ended.own_before + ended.others_before == 2;
        }
        match ended.leg.who {
            Who::Seat(_) => ended.by_choice && ended.leg.reach == Reach::Up,
            Who::Third => {
                let left = self.calls.get(&call).is_some_and(|c| c.seat_left);
                ended.by_choice && ended.leg.reach == Reach::Up && left
            }
            Who::Caller | Who::Relief(_) | Who::Listener(_) => false,
        }
    }

    /// Two seats spoke of a caller who had left, and a supervisor takes over: they are released, and he has nobody.
    fn is_taken_over(&self, call: CallId, events: &[Event]) -> bool {
        let takes =
            |e: &Event| e.call == Some(call) && matches!(e.kind, EventKind::TookOver { .. });
        self.caller_of(call).is_none() && events.iter().any(takes)
    }

    fn may_end_call(&self, input: &Input, call: CallId) -> bool {
        // No caller is in it: the seat that made it, its callee, or a tone's end may end it.
        if self.calls.get(&call).is_some_and(|c| c.made) {
            return true;
        }
        let caller_gone = self.caller_of(call).is_none();
        if caller_gone && self.is_made(self.host_of(call)) {
            // A seat alone in it, joined to such a call.
            return true;
        }
        let own = self
            .ended
            .as_ref()
            .is_some_and(|e| self.together(e.leg.call, call));
        match &input.kind {
            InputKind::Started { .. } => true,
            InputKind::Arrived { arrival } => {
                // Whom a seat calls back rings himself: that call is over, and with it the talk that others had joined.
                let host = self.hosts.get(&call);
                let left = caller_gone && host.is_some_and(|host| self.is_made(*host));
                left || (arrival.call == call && (arrival.refused_capacity || dials_out(arrival)))
            }
            InputKind::Command {
                command:
                    Command::RemoveParty { call: of, .. }
                    | Command::HangUp { call: of }
                    | Command::CompleteTransfer { call: of }
                    | Command::CancelTransfer { call: of },
                ..
            } => (caller_gone && self.together(*of, call)) || self.may_end_caller(input, call),
            InputKind::Command { .. }
            | InputKind::Leg { .. }
            | InputKind::PolicyChanged { .. }
            | InputKind::ArrivedAgain { .. }
            | InputKind::Media { .. }
            | InputKind::Recording { .. }
            | InputKind::Found { .. }
            | InputKind::Seat { .. }
            | InputKind::Trunk { .. }
            | InputKind::UnknownSource { .. }
            | InputKind::Alarm { .. }
            | InputKind::Pin { .. }
            | InputKind::Tick
            | InputKind::Remembered { .. }
            | InputKind::Skipped { .. } => (caller_gone && own) || self.may_end_caller(input, call),
        }
    }

    /// The queue, the outcome and the call-backs as Events tell them.
    pub(super) fn take_call_event(&mut self, call: CallId, event: &Event) -> Verdict {
        self.take_supervision(call, event)?;
        self.handed_over(call, event)?;
        let Some(truth) = self.calls.get_mut(&call) else {
            return Ok(());
        };
        take_handling(truth, call, event)?;
        if let EventKind::MenuEntered { .. } = &event.kind {
            if truth.called == "120" {
                return Err((12, format!("call {call} dialled 120 and got a menu")));
            }
            truth.menu_until = Some(event.at + MENU_STAY_MAX);
        } else if let EventKind::MenuLeft { .. } = &event.kind {
            truth.menu_until = None;
        } else if let EventKind::SeatAnswered { .. } | EventKind::HandedOver { .. } = &event.kind {
            truth.answered = true;
        } else if let EventKind::PartyJoined { role, .. } = &event.kind {
            // In a call that we make.
            truth.answered |= role == "callee";
        } else if let EventKind::CallJoined { with, into, .. } = &event.kind {
            truth.answered = true;
            return self.take_join(call, *with, *into);
        } else if let EventKind::CallParted { .. } = &event.kind {
            self.hosts.remove(&call);
        } else if let EventKind::CallBackDue { call_back, .. } = &event.kind {
            truth.call_back = true;
            self.call_backs.insert(*call_back);
        } else if let EventKind::CallBackClosed { call_back, .. } = &event.kind {
            self.call_backs.remove(call_back);
        } else if let EventKind::CallReopened { .. } = &event.kind {
            if self.reopening != Some(call) || truth.outcome.is_none() {
                return Err((2, format!("call {call} was reopened out of turn")));
            }
            (truth.outcome, truth.settled) = (None, false);
            (truth.restarted, truth.call_back) = (false, false);
            (truth.matrix, truth.playing) = (Matrix::silent(), None);
            (truth.held, truth.shelf_until) = (false, None);
            (truth.transfer, truth.transferring) = (None, false);
        } else if let EventKind::CallEnded { outcome, cause, .. } = &event.kind {
            truth.restarted = *cause == Cause::Restarted && !truth.made;
            if let Some(before) = truth.outcome.replace(*outcome) {
                return Err((2, format!("call {call} ended {outcome:?} after {before:?}")));
            }
            let open_work = match outcome {
                Outcome::Abandoned | Outcome::Lost | Outcome::RefusedCapacity => true,
                Outcome::Answered => false,
                Outcome::NotReached if truth.made => false,
                Outcome::NotReached => {
                    return Err((2, format!("call {call} came in and was not reached")));
                }
            };
            if open_work && !truth.call_back {
                return Err((
                    2,
                    format!("call {call} ended {outcome:?} without a call-back"),
                ));
            }
        } else if let EventKind::CallSettled {} = &event.kind {
            if truth.outcome.is_none() || truth.settled {
                return Err((2, format!("call {call} settled out of turn")));
            }
            truth.settled = true;
        }
        Ok(())
    }

    /// A joined call has one host, and hosts none itself.
    fn take_join(&mut self, call: CallId, with: CallId, into: CallId) -> Verdict {
        let guest = if into == call { with } else { call };
        let hosts = self.hosts.values().any(|host| *host == guest);
        let second = into != call && self.hosts.insert(call, into).is_some();
        if hosts || second || self.hosts.contains_key(&into) {
            return Err((
                3,
                format!("call {call} was joined to {with} beside another"),
            ));
        }
        Ok(())
    }

    pub(super) fn take_effect(&mut self, input: &Input, effect: &Effect) -> Verdict {
        if self.take_group_leg(effect)? {
            return Ok(());
        }
        match effect {
            Effect::Leg { leg, command } => self.take_leg_command(input, *leg, command),
            Effect::Media { call, command } => self.take_media(*call, command),
            Effect::Reply { result, .. } => {
                self.supervisor_answered(result.is_ok());
                Ok(())
            }
            Effect::Ask { .. } | Effect::AskPin { .. } => Ok(()),
        }
    }

    fn take_leg_command(&mut self, input: &Input, leg: LegId, command: &LegCommand) -> Verdict {
        match command {
            LegCommand::Release { .. } => {
                self.legs.remove(&leg);
                Ok(())
            }
            LegCommand::Invite(invite) => {
                if self.legs_seen.insert(leg, invite.call).is_some() {
                    return Err((9, format!("leg {leg} was used before")));
                }
                let who = match &invite.target {
                    Target::Number { number, .. } => self.rung_outside(invite.call, leg, number)?,
                    Target::Seat { seat, .. } if Self::rings_to_listen(input, seat) => {
                        self.check_phone_is_free(seat)?;
                        Who::Listener(seat.clone())
                    }
                    Target::Seat { seat, .. }
                        if self.is_made(invite.call) && Self::is_offer(input, invite.call) =>
                    {
                        self.check_phone_is_free(seat)?;
                        self.made_leg_of(invite.call, seat)
                    }
                    Target::Seat { seat, .. } if Self::is_consulted(input, invite.call, seat) => {
                        self.check_phone_is_free(seat)?;
                        Who::Seat(seat.clone())
                    }
                    Target::Seat { seat, .. } if Self::is_offer(input, invite.call) => {
                        self.check_offer(input, invite.call, seat)?;
                        Who::Seat(seat.clone())
                    }
                    Target::Seat { seat, .. } => {
                        self.check_phone_is_free(seat)?;
                        Who::Listener(seat.clone())
                    }
                };
                self.legs.insert(
                    leg,
                    super::check::LegTruth {
                        call: invite.call,
                        who,
                        reach: Reach::Ringing,
                        mode: Mode::Listen,
                    },
                );
                Ok(())
            }
            LegCommand::EarlyMedia
            | LegCommand::Answer
            | LegCommand::Probe
            | LegCommand::ReleaseOrphan { .. } => Ok(()),
        }
    }

    fn take_media(&mut self, call: CallId, command: &MediaCommand) -> Verdict {
        let caller = self.caller_of(call);
        match command {
            MediaCommand::Matrix { matrix } => {
                for hearer in matrix.hearers() {
                    for leg in matrix.sources(hearer).chain([hearer]) {
                        let of = self.legs_seen.get(&leg);
                        if of.is_none_or(|of| self.host_of(*of) != call) {
                            return Err((9, format!("leg {leg} is heard in call {call}")));
                        }
                    }
                }
                if let Some(truth) = self.calls.get_mut(&call) {
                    truth.matrix = matrix.clone();
                }
            }
            MediaCommand::Play { leg, play, .. } if Some(*leg) == caller => {
                if let Some(truth) = self.calls.get_mut(&call) {
                    truth.playing = Some(Some(*play));
                }
            }
            MediaCommand::Stop { leg } if Some(*leg) == caller => {
                if let Some(truth) = self.calls.get_mut(&call) {
                    truth.playing = Some(None);
                }
            }
            MediaCommand::Move { leg, to } => return self.take_move(*leg, *to),
            MediaCommand::Record { .. }
            | MediaCommand::Track { .. }
            | MediaCommand::Untrack { .. }
            | MediaCommand::Play { .. }
            | MediaCommand::Stop { .. }
            | MediaCommand::StarCodes { .. }
            | MediaCommand::Hear { .. }
            | MediaCommand::Join { .. }
            | MediaCommand::Part
            | MediaCommand::Close => {}
        }
        Ok(())
    }

    /// Invariant 10, second half: who leaves takes nobody along. A seat that joined calls to its own takes the
    /// conversation with it that it made; what becomes of their callers is invariant 1.
    pub(super) fn check_rest_goes_on(&self, events: &[Event]) -> Verdict {
        let Some(ended) = &self.ended else {
            return Ok(());
        };
        let call = ended.leg.call;
        let over = events
            .iter()
            .any(|e| e.call == Some(call) && matches!(e.kind, EventKind::CallEnded { .. }));
        let own_left = self.talkers(call);
        let others_left: usize = ended.others.iter().map(|of| self.talkers(*of)).sum();
        let own_goes_on = !over && own_left + 1 >= ended.own_before;
        let others_go_on = others_left >= ended.others_before;
        let up = ended.leg.reach == Reach::Up;
        let many = ended.own_before + ended.others_before >= 3;
        let fits = match ended.leg.who {
            Who::Listener(_) if ended.own_before + ended.others_before >= 2 => {
                !over && own_left >= ended.own_before && others_go_on
            }
            Who::Seat(_) if !ended.guest => !up || ended.own_before < 3 || own_goes_on,
            Who::Caller | Who::Seat(_) | Who::Third if up && many => {
                (ended.own_before < 2 || own_goes_on) && others_go_on
            }
            Who::Relief(_) => own_goes_on && others_go_on,
            Who::Listener(_) | Who::Caller | Who::Seat(_) | Who::Third => true,
        };
        if fits {
            return Ok(());
        }
        Err((
            10,
            format!("{:?} left call {call} and ended the rest", ended.leg),
        ))
    }

    /// Invariant 12: a caller who is there, and stays, stands in the queue, talks, or is in a menu or on a shelf that ends in time.
    pub(super) fn check_led_on(&self, effects: &[Effect]) -> Verdict {
        let released = |caller: LegId| {
            let release = |effect: &Effect| matches!(effect, Effect::Leg { leg, command: LegCommand::Release { .. } } if *leg == caller);
            effects.iter().any(release)
        };
        for (call, truth) in &self.calls {
            let in_menu = truth.menu_until.is_some_and(|until| self.now < until);
            let shelved = truth.shelf_until.is_some_and(|until| self.now < until);
            let rings = self
                .legs
                .values()
                .any(|leg| leg.call == *call && leg.who == Who::Third);
            // One trunk refused and the next is tried: that leg begins in this very step.
            let led_outside = truth.transferring && (rings || rings_outside(effects, *call));
            let kept = truth.held && !self.seat_talks_with(*call);
            if truth.outcome.is_none() && kept && self.caller_of(*call).is_some() {
                return Err((12, format!("no seat keeps the caller on hold of {call}")));
            }
            let there = self.caller_of(*call).is_some_and(|leg| !released(leg));
            if truth.outcome.is_none()
                && there
                && !in_menu
                && !shelved
                && !led_outside
                && !self.in_queue(*call)
                && self.talkers_with(*call) < 2
            {
                return Err((
                    12,
                    format!("nothing leads call {call} to a seat: {truth:?}"),
                ));
            }
        }
        Ok(())
    }

    /// Invariant 2, first half: a call in which nobody is left to talk has its outcome in the same step.
    pub(super) fn check_outcome_is_due(&self) -> Verdict {
        let open = self.calls.iter().filter(|(_, c)| c.outcome.is_none());
        for (call, truth) in open {
            let nobody = !self.legs.values().any(|leg| leg.call == *call);
            let few = self.talkers(*call) == 0 || self.talkers_with(*call) < 2;
            let alone = if truth.made { nobody } else { few };
            if alone && self.caller_of(*call).is_none() {
                return Err((2, format!("call {call} is over and has no outcome")));
            }
        }
        Ok(())
    }

    /// Invariant 10: each hears all others and not itself; a caller on hold hears nobody and is heard by nobody.
    pub(super) fn check_audio(&self) -> Verdict {
        let on_hold = |leg: &LegTruth| {
            leg.who == Who::Caller && self.calls.get(&leg.call).is_some_and(|c| c.held)
        };
        for (call, truth) in &self.calls {
            if truth.outcome.is_some() {
                continue;
            }
            let members: Vec<_> = self
                .legs
                .iter()
                .filter(|(_, leg)| self.host_of(leg.call) == *call)
                .collect();
            for (hearer, ear) in &members {
                let heard: Vec<_> = truth.matrix.sources(**hearer).collect();
                let due: Vec<_> = members
                    .iter()
                    .filter(|(source, voice)| {
                        let apart = on_hold(ear) || on_hold(voice);
                        source != hearer
                            && !apart
                            && (hears(&ear.who, ear.reach, &voice.who, voice.reach)
                                || self.hears_supervisor(ear, voice))
                    })
                    .map(|(source, _)| **source)
                    .collect();
                if heard != due {
                    return Err((
                        10,
                        format!("in call {call} {ear:?} hears {heard:?} and should hear {due:?}"),
                    ));
                }
            }
            let strangers = truth
                .matrix
                .hearers()
                .filter(|leg| !self.legs.contains_key(leg))
                .count();
            if strangers > 0 {
                return Err((10, format!("a leg that has gone still hears call {call}")));
            }
        }
        Ok(())
    }

    /// A caller who waits alone or is on hold always hears something, once the greeting has begun.
    pub(super) fn check_silence(&self) -> Verdict {
        let held = self.calls.iter().filter(|(_, truth)| {
            let aside = truth.held || truth.shelf_until.is_some() || truth.transferring;
            truth.outcome.is_none() && aside && truth.playing == Some(None)
        });
        for (call, truth) in held {
            let talks = !truth.held && self.talkers(*call) >= 2;
            if self.caller_of(*call).is_some() && !talks {
                return Err((0, format!("the caller put aside of {call} hears nothing")));
            }
        }
        for place in &self.routes.places {
            let call = place.call;
            let Some(truth) = self.calls.get(&call) else {
                continue;
            };
            if truth.playing == Some(None) && self.talkers(call) < 2 {
                return Err((0, format!("the waiting caller of {call} hears nothing")));
            }
        }
        Ok(())
    }
}

fn rings_outside(effects: &[Effect], call: CallId) -> bool {
    effects.iter().any(|effect| {
        matches!(
            effect,
            Effect::Leg { command: LegCommand::Invite(invite), .. }
                if invite.call == call && matches!(invite.target, Target::Number { .. })
        )
    })
}

/// Hold, shelf and transfer as Events tell them.
fn take_handling(truth: &mut CallTruth, call: CallId, event: &Event) -> Verdict {
    if let EventKind::TransferStarted { from, to, .. } = &event.kind {
        truth.transfer = Some((from.clone(), to.clone()));
        truth.transferring = true;
    } else if let EventKind::CallTransferred { to, outcome, .. } = &event.kind {
        if !std::mem::replace(&mut truth.transferring, false) {
            return Err((3, format!("a transfer of call {call} ended twice")));
        }
        truth.seat_left |= outcome == "answered" && matches!(to, TransferTo::Number(_));
    } else if let EventKind::CallShelved { .. } = &event.kind {
        truth.shelf_until = Some(event.at + SHELF_STAY_MAX);
    } else if let EventKind::CallUnshelved { .. } = &event.kind {
        truth.shelf_until = None;
    } else if let EventKind::CallHeld { .. } = &event.kind {
        if std::mem::replace(&mut truth.held, true) {
            return Err((3, format!("call {call} was put on hold twice")));
        }
    } else if let EventKind::CallResumed { .. } = &event.kind
        && !std::mem::replace(&mut truth.held, false)
    {
        return Err((3, format!("call {call} was resumed and was not on hold")));
    }
    Ok(())
}

/// The table of who hears whom, written from the design and not from the code.
const fn hears(ear: &Who, ear_reach: Reach, voice: &Who, voice_reach: Reach) -> bool {
    let talks = match voice {
        Who::Caller => true,
        Who::Seat(_) | Who::Third => matches!(voice_reach, Reach::Up),
        Who::Relief(_) | Who::Listener(_) => false,
    };
    let announces = matches!(voice, Who::Third) && matches!(voice_reach, Reach::Announcing);
    match ear {
        Who::Caller => talks,
        Who::Third => matches!(ear_reach, Reach::Up) && talks,
        Who::Relief(_) => false,
        Who::Seat(_) | Who::Listener(_) => matches!(ear_reach, Reach::Up) && (talks || announces),
    }
}
