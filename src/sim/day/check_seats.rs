//! Checks of seats, queue and alarms: one call per seat, nobody waits for nothing, the ledger is true.

use std::collections::{BTreeMap, BTreeSet};

use super::check::{Checker, LegTruth, Reach, Verdict, Who};
use crate::call::{LegCommand, Target, TransferKind, TransferTo};
use crate::id::{CallId, SeatId};
use crate::switch::{
    AlarmCode, Command, Effect, Event, EventKind, Input, InputKind, Policy, SeatState, SeatView,
    View,
};
use crate::time::{Millis, Timestamp};

/// How long a phone may ring on after another one's answer.
const RING_ON_MAX: Millis = Millis::from_secs(1);
/// How long a caller may wait beside a free seat.
const BESIDE_FREE_SEAT_MAX: Millis = Millis::from_secs(1);

impl Checker {
    /// Whether a phone is rung to take a call, not to listen to it.
    pub(super) fn is_offer(input: &Input, call: CallId) -> bool {
        let listens = matches!(
            &input.kind,
            InputKind::Command {
                command: Command::Listen { call: of, .. } | Command::AcceptAssist { call: of, .. },
                ..
            } if *of == call
        );
        !listens
    }

    /// Invariants 3 and 4 at the moment a seat is rung: its phone is free, and nobody with more right waits.
    pub(super) fn check_offer(&self, input: &Input, call: CallId, seat: &SeatId) -> Verdict {
        self.check_phone_is_free(seat)?;
        if Self::is_ordered(input, call, seat) {
            return Ok(());
        }
        if !self.routes.places.iter().any(|p| p.call == call) {
            return Err((
                3,
                format!("seat {seat} was rung for {call}, which does not wait"),
            ));
        }
        if self.routes.asked.contains(&(call, seat.clone())) {
            return self.check_asked(input, call, seat);
        }
        if !self.may_take(seat, call) {
            return Err((4, format!("seat {seat} was rung for {call} and is not fit")));
        }
        let beside = self.rung_seat(call).is_some();
        if beside && !self.routes.may_ring_more(seat, call, self.now) {
            return Err((3, format!("{seat} was rung beside another for {call}")));
        }
        let order = self.routes.order(self.now);
        let before = order.iter().take_while(|p| beside || p.call != call);
        let before = before.filter(|p| self.routes.was_there(p, call, seat));
        for place in before {
            if self.rung_seat(place.call).is_none() && self.may_take(seat, place.call) {
                let of = place.call;
                return Err((
                    4,
                    format!("seat {seat} was rung for {call} while {of} is before it"),
                ));
            }
        }
        Ok(())
    }

    /// Whether a phone is rung into a talk, to take the call over.
    pub(super) fn is_consulted(input: &Input, call: CallId, seat: &SeatId) -> bool {
        matches!(
            &input.kind,
            InputKind::Command {
                command: Command::Transfer {
                    call: of,
                    to: TransferTo::Seat(to),
                    kind: TransferKind::Attended | TransferKind::Conference,
                },
                ..
            } if *of == call && to == seat
        )
    }

    /// A seat is asked out of turn when a person named it for this call.
    fn check_asked(&self, input: &Input, call: CallId, seat: &SeatId) -> Verdict {
        if let InputKind::Command {
            command: Command::Unshelve { call: of, seat: by },
            ..
        } = &input.kind
            && (*of, by) == (call, seat)
        {
            return Ok(());
        }
        let transfer = self.calls.get(&call).and_then(|c| c.transfer.as_ref());
        let named = transfer
            .is_some_and(|(from, to)| from == seat || *to == TransferTo::Seat(seat.clone()));
        if named {
            return Ok(());
        }
        Err((4, format!("nobody asked seat {seat} to take {call}")))
    }

    /// Whether a free seat may take the call.
    pub(super) fn may_take(&self, seat: &SeatId, call: CallId) -> bool {
        let own = self.calls.get(&call).and_then(|c| c.dialled_by.as_ref());
        own != Some(seat) && self.routes.may_take(seat, call, self.now)
    }

    /// Some call has two seats ringing, both of this kind: one of them can be spared.
    fn rings_for_fun(&self, kind: impl Fn(&SeatId) -> bool) -> bool {
        self.routes.places.iter().any(|place| {
            let rings = self.legs.values().filter(|leg| match &leg.who {
                Who::Seat(seat) => leg.call == place.call && kind(seat),
                Who::Caller | Who::Third | Who::Relief(_) | Who::Listener(_) => false,
            });
            rings.count() >= 2
        })
    }

    /// A seat has missed a call only when it was rung alone and others serve.
    pub(super) fn check_missed(&self, events: &[Event], view: &View) -> Verdict {
        for event in events {
            let EventKind::SeatStateChanged { seat, reason, .. } = &event.kind else {
                continue;
            };
            if reason.as_deref() != Some("未接") {
                continue;
            }
            let own = |leg: &&LegTruth| {
                let rung = leg.reach < Reach::Up && !self.is_made(leg.call);
                rung && leg.who == Who::Seat(seat.clone())
            };
            // Else it was not rung: back from a call that it made, listened to or took over, it is what it was before.
            let Some(call) = self.legs.values().find(own).map(|leg| leg.call) else {
                continue;
            };
            let beside = self
                .legs
                .values()
                .any(|leg| leg.call == call && matches!(&leg.who, Who::Seat(of) if of != seat));
            // In the same step another seat may have left after it.
            let other_left = events.iter().any(
                |e| matches!(&e.kind, EventKind::SeatStateChanged { seat: of, .. } if of != seat),
            );
            let nobody = !other_left && !view.seats.iter().any(|s| serves(s.state));
            if beside || nobody {
                return Err((
                    3,
                    format!("{seat} is said to have missed a call: {beside} {nobody}"),
                ));
            }
        }
        Ok(())
    }

    pub(super) fn check_phone_is_free(&self, seat: &SeatId) -> Verdict {
        let busy = self.legs.iter().find(|(_, leg)| match &leg.who {
            Who::Seat(of) | Who::Listener(of) => of == seat,
            Who::Caller | Who::Third | Who::Relief(_) => false,
        });
        busy.map_or(Ok(()), |(id, leg)| {
            Err((3, format!("seat {seat} was rung while in leg {id} {leg:?}")))
        })
    }

    /// Invariant 6: with a free seat and an empty queue a call rings in the very step it arrives in, before anything is
    /// asked about it.
    pub(super) fn check_arrival_rings(&self, input: &Input, effects: &[Effect]) -> Verdict {
        let InputKind::Arrived { arrival } = &input.kind else {
            return Ok(());
        };
        let call = self.reopening.unwrap_or(arrival.call);
        let free = self.ready.iter().any(|seat| self.may_take(seat, call));
        let in_menu = self
            .calls
            .get(&call)
            .is_some_and(|c| c.menu_until.is_some());
        let begins =
            (self.expected == Some(call) && !self.is_made(call)) || self.reopening == Some(call);
        if !begins || arrival.refused_capacity || !free || in_menu {
            return Ok(());
        }
        if self.waiting() > 1 {
            return Ok(());
        }
        let rung = effects.iter().position(|effect| {
            matches!(
                effect,
                Effect::Leg { command: LegCommand::Invite(invite), .. }
                    if invite.call == call && matches!(invite.target, Target::Seat { .. })
            )
        });
        let asked = effects
            .iter()
            .position(|effect| matches!(effect, Effect::Ask { .. }));
        match (rung, asked) {
            (Some(rung), Some(asked)) if rung < asked => Ok(()),
            (Some(_), None) => Ok(()),
            (Some(_), Some(_)) => Err((6, format!("{call} was asked about first"))),
            (None, _) => Err((6, format!("{call} did not ring at once"))),
        }
    }

    /// Invariant 3: what the seats show fits the live legs of their phones.
    pub(super) fn check_seats(&self, view: &View) -> Verdict {
        for seat in &view.seats {
            let legs: Vec<_> = self
                .legs
                .values()
                .filter(|leg| match &leg.who {
                    Who::Seat(of) | Who::Listener(of) => *of == seat.seat,
                    Who::Caller | Who::Third | Who::Relief(_) => false,
                })
                .collect();
            let dials = self.dials(&seat.seat, seat.call);
            let fits = match (seat.state, legs.as_slice()) {
                (SeatState::Reserved | SeatState::Ringing, [leg]) => {
                    matches!(leg.who, Who::Seat(_))
                        && leg.reach < Reach::Up
                        && Some(leg.call) == seat.call
                }
                (SeatState::Talking, [leg]) => {
                    matches!(leg.who, Who::Seat(_))
                        && (leg.reach == Reach::Up || dials)
                        && Some(leg.call) == seat.call
                }
                (SeatState::Talking, []) => dials,
                (SeatState::Listening, [leg]) => {
                    // He who listens to a queue is in no call while nobody waits.
                    let call = self.calls.contains_key(&leg.call).then_some(leg.call);
                    matches!(leg.who, Who::Listener(_)) && call == seat.call
                }
                (
                    SeatState::SignedOut
                    | SeatState::NotReady
                    | SeatState::Ready
                    | SeatState::WrapUp
                    | SeatState::Unreachable,
                    [],
                ) => seat.call.is_none(),
                (
                    SeatState::Reserved
                    | SeatState::Ringing
                    | SeatState::Talking
                    | SeatState::Listening
                    | SeatState::SignedOut
                    | SeatState::NotReady
                    | SeatState::Ready
                    | SeatState::WrapUp
                    | SeatState::Unreachable,
                    _,
                ) => false,
            };
            let without_phone = seat.state == SeatState::Ready && !seat.registered;
            if !fits || without_phone {
                return Err((3, format!("{seat:?} does not fit its legs {legs:?}")));
            }
        }
        Ok(())
    }

    /// Invariant 3: a phone rings on after another one's answer until that one is heard, 1 s at most.
    pub(super) fn check_losers(&mut self) -> Verdict {
        let rings = |leg: &LegTruth| matches!(leg.who, Who::Seat(_)) && leg.reach < Reach::Up;
        let mut losing = BTreeMap::new();
        for (id, leg) in self.legs.iter().filter(|(_, leg)| rings(leg)) {
            if self.in_queue(leg.call) {
                losing.insert(*id, None);
            } else if let Some(since) = self.losing.get(id) {
                // A phone that never rang for a waiting call is rung by somebody who dials.
                losing.insert(*id, Some(since.unwrap_or(self.now)));
            }
        }
        self.losing = losing;
        let over = |since: &Option<Timestamp>| since.is_some_and(|at| self.now > at + RING_ON_MAX);
        let late = self.losing.iter().find(|(_, since)| over(since));
        late.map_or(Ok(()), |(leg, _)| {
            Err((3, format!("leg {leg} rings on after another's answer")))
        })
    }

    /// Invariant 4: no caller waits beside a seat that could take him.
    pub(super) fn check_nobody_waits_for_nothing(&mut self) -> Verdict {
        let waits = self.routes.places.iter().find(|place| {
            let may_take = |seat: &SeatId| self.may_take(seat, place.call);
            let rings_beside = |seat: &SeatId| self.may_take(seat, place.call);
            self.rung_seat(place.call).is_none()
                && (self.ready.iter().any(may_take) || self.rings_for_fun(rings_beside))
        });
        let Some(call) = waits.map(|place| place.call) else {
            self.idle_since = None;
            return Ok(());
        };
        let since = *self.idle_since.get_or_insert(self.now);
        if self.now > since + BESIDE_FREE_SEAT_MAX {
            return Err((
                4,
                format!("call {call} waits while {:?} are free", self.ready),
            ));
        }
        Ok(())
    }

    /// Invariant 9: the ledger is what was raised and not cleared, and what it says is true.
    pub(super) fn check_alarms(&self, view: &View, _policy: &Policy) -> Verdict {
        let shown: BTreeSet<_> = view
            .alarms
            .iter()
            .map(|a| (a.code, a.subject.clone()))
            .collect();
        if shown != self.alarms {
            return Err((
                9,
                format!(
                    "Events tell of {:?}, the state shows {shown:?}",
                    self.alarms
                ),
            ));
        }
        for seat in &view.seats {
            let key = (AlarmCode::SeatUnreachable, seat.seat.0.clone());
            if shown.contains(&key) != out_of_order(seat) {
                return Err((9, format!("{seat:?} and its alarm do not fit")));
            }
        }
        for trunk in &view.trunks {
            let key = (AlarmCode::TrunkDown, trunk.trunk.0.clone());
            if shown.contains(&key) != self.trunks_down.contains(&trunk.trunk) {
                return Err((9, format!("{trunk:?} and its alarm do not fit")));
            }
        }
        let serves = view.seats.iter().any(|seat| serves(seat.state));
        let nobody = !self.routes.places.is_empty() && !serves;
        let alarmed = shown.iter().any(|(code, _)| *code == AlarmCode::SeatsNone);
        if nobody != alarmed {
            return Err((
                9,
                String::from("calls wait without a seat, or the alarm is wrong"),
            ));
        }
        Ok(())
    }
}

/// Signed in and at work.
pub(super) const fn serves(state: SeatState) -> bool {
    match state {
        SeatState::Ready
        | SeatState::Reserved
        | SeatState::Ringing
        | SeatState::Talking
        | SeatState::WrapUp
        | SeatState::Listening => true,
        SeatState::SignedOut | SeatState::NotReady | SeatState::Unreachable => false,
    }
}

const fn out_of_order(seat: &SeatView) -> bool {
    match seat.state {
        SeatState::Unreachable => true,
        SeatState::Talking | SeatState::Listening => !seat.registered,
        SeatState::SignedOut
        | SeatState::NotReady
        | SeatState::Ready
        | SeatState::Reserved
        | SeatState::Ringing
        | SeatState::WrapUp => false,
    }
}
