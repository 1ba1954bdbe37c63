//! Every interleaving of a small centre: three seats, four calls, and all that can happen to them one after the other, in any
//! order: a call comes, its caller hangs up, a phone is picked up, rejects, loses its line, dies, comes back, time passes.
//!
//! States that look the same to people (who is where, in which order, what is awaited next) are one state, so the walk
//! ends by itself; what differs only in how long ago it was is not told apart. A state that breaks an invariant is told
//! with the way to it.

use std::collections::BTreeSet;
use std::fmt;

use uuid::Uuid;

use super::parallel;
use crate::acd::Strategy;
use crate::call::{Cause, LegCommand, LegEvent, Target};
use crate::id::{CallId, CommandId, LegId, SeatId, TrunkId};
use crate::switch::{
    Actor, CallState, Command, Effect, Input, InputKind, MediaEvent, Policy, SeatLink, SeatState,
    Switch, View,
};
use crate::time::{Millis, Timestamp};

/// No way is longer.
pub const DEPTH_MAX: u32 = 60;
const SEATS: usize = 3;
const CALLS: usize = 4;
/// 2025-11-22 08:30 in China.
const START_MICROS: i64 = 1_763_771_400_000_000;

/// What can happen next.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Move {
    Arrives,
    HangsUp(usize),
    /// The phone that rings at this seat.
    PicksUp(usize),
    /// It is heard.
    Speaks(usize),
    Rejects(usize),
    /// Its line breaks.
    Breaks(usize),
    /// Its phone answers no more.
    Dies(usize),
    /// It answers again, or its seat says that it is ready.
    Returns(usize),
    /// Until something is due.
    Time,
}

/// A state and the way to it.
#[derive(Clone)]
struct State {
    switch: Switch,
    now: Timestamp,
    came: usize,
    /// By seat: the leg of its phone, whether it was picked up, whether it was heard.
    legs: [Option<(LegId, bool, bool)>; SEATS],
    path: Vec<Move>,
}

/// What the walk found.
#[derive(Clone, Debug, Default)]
pub struct Walk {
    pub states: u64,
    pub steps: u64,
    /// Longest way on which something new was found.
    pub depth: u32,
    /// Nothing new is left.
    pub complete: bool,
    /// What is broken, and the way to it.
    pub violations: Vec<String>,
}

impl Walk {
    /// Everything was seen, and nothing is broken.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.complete && self.violations.is_empty()
    }
}

impl fmt::Display for Walk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "small model: {SEATS} seats, {CALLS} calls: {} states, {} steps, {} deep, {}, {} violations",
            self.states,
            self.steps,
            self.depth,
            if self.complete {
                "complete"
            } else {
                "not complete"
            },
            self.violations.len()
        )
    }
}

/// Walks through every interleaving of at most `depth` things that happen; stops at the first depth with a violation.
#[must_use]
pub fn walk(depth: u32) -> Walk {
    let mut walk = Walk::default();
    let first = State::new();
    let mut seen = BTreeSet::from([first.shape(&first.switch.view())]);
    let mut front = vec![first];
    for deep in 1..=depth {
        let mut next = Vec::new();
        let (from, steps) = (&front, &mut walk.steps);
        let violations = &mut walk.violations;
        parallel::in_order(
            0..front.len() as u64,
            |at| from.get(at as usize).map_or_else(Vec::new, State::all_next),
            |_, after| {
                for (state, shape, flaw) in after {
                    *steps += 1;
                    violations.extend(flaw.map(|flaw| format!("{flaw}: {:?}", state.path)));
                    if seen.insert(shape) {
                        next.push(state);
                    }
                }
            },
        );
        walk.complete = next.is_empty();
        if walk.complete || !walk.violations.is_empty() {
            break;
        }
        walk.depth = deep;
        front = next;
    }
    walk.states = seen.len() as u64;
    walk
}

fn policy() -> Policy {
    let mut policy = super::plain_policy("small", SEATS);
    for queue in policy.queues.values_mut() {
        queue.strategy = Strategy::LongestIdle;
    }
    policy
}

fn seat_of(n: usize) -> SeatId {
    SeatId(format!("80{n}"))
}

fn call_of(n: usize) -> CallId {
    CallId(Uuid::from_u64_pair(1, n as u64))
}

fn leg_of(n: usize) -> LegId {
    LegId(Uuid::from_u64_pair(2, n as u64))
}

impl State {
    fn new() -> Self {
        let policy = policy();
        let mut state = Self {
            switch: Switch::new(1, policy.clone()),
            now: Timestamp::from_micros(START_MICROS),
            came: 0,
            legs: [None; SEATS],
            path: Vec::new(),
        };
        state.takes(InputKind::Started {
            seed: 1,
            build: String::from("small"),
            policy: Box::new(policy),
        });
        for n in 0..SEATS {
            state.now = state.now + Millis(1);
            let contact = format!("sip:80{n}@phone.invalid");
            // Longer than any way.
            let until = state.now + Millis::from_secs(30 * 86_400);
            let link = SeatLink::Registered { contact, until };
            state.takes(InputKind::Seat {
                seat: seat_of(n),
                link,
            });
        }
        state
    }

    /// Every step from here: where it leads, how that looks, and what is wrong there.
    fn all_next(&self) -> Vec<(Self, String, Option<String>)> {
        let view = self.switch.view();
        let moves = self.moves(&view);
        let after = moves.into_iter().map(|step| {
            let next = self.does(step, &view);
            let view = next.switch.view();
            let (shape, flaw) = (next.shape(&view), next.flaw(&view));
            (next, shape, flaw)
        });
        after.collect()
    }

    fn lives(&self, leg: LegId) -> bool {
        self.switch.call_of_leg(leg).is_some()
    }

    fn moves(&self, view: &View) -> Vec<Move> {
        let mut moves = vec![Move::Time];
        if self.came < CALLS {
            moves.push(Move::Arrives);
        }
        moves.extend(
            (0..self.came)
                .filter(|n| self.lives(leg_of(*n)))
                .map(Move::HangsUp),
        );
        for (n, seat) in view.seats.iter().enumerate() {
            if let Some((_, up, heard)) = self.live_leg(n) {
                moves.push(Move::Breaks(n));
                if !up {
                    moves.extend([Move::PicksUp(n), Move::Rejects(n)]);
                } else if !heard {
                    moves.push(Move::Speaks(n));
                }
            }
            match seat.state {
                SeatState::NotReady | SeatState::Unreachable => moves.push(Move::Returns(n)),
                SeatState::Ready
                | SeatState::Reserved
                | SeatState::Ringing
                | SeatState::Talking
                | SeatState::WrapUp => moves.push(Move::Dies(n)),
                SeatState::SignedOut | SeatState::Listening => {}
            }
        }
        moves
    }

    fn live_leg(&self, seat: usize) -> Option<(LegId, bool, bool)> {
        let leg = self.legs.get(seat).copied().flatten();
        leg.filter(|(leg, _, _)| self.lives(*leg))
    }

    fn does(&self, step: Move, view: &View) -> Self {
        let mut next = self.clone();
        next.path.push(step);
        next.now = next.now + Millis(1);
        let of_phone = |seat: usize, event| {
            let leg = self.live_leg(seat).map(|(leg, _, _)| leg);
            leg.map_or(InputKind::Tick, |leg| InputKind::Leg { leg, event })
        };
        let kind = match step {
            Move::Arrives => {
                next.came += 1;
                arrival(self.came)
            }
            Move::HangsUp(n) => InputKind::Leg {
                leg: leg_of(n),
                event: ended(Cause::Normal, true),
            },
            Move::PicksUp(n) => of_phone(n, LegEvent::Answered),
            Move::Speaks(n) => match self.live_leg(n) {
                Some((leg, _, _)) => InputKind::Media {
                    leg,
                    event: MediaEvent::RtpStarted,
                },
                None => InputKind::Tick,
            },
            Move::Rejects(n) => {
                let (cause, status) = (Cause::Busy, Some(486));
                of_phone(n, LegEvent::Failed { cause, status })
            }
            Move::Breaks(n) => of_phone(n, ended(Cause::Lost, false)),
            Move::Dies(n) => reachable(n, false),
            Move::Returns(n) => match view.seats.get(n).map(|seat| seat.state) {
                Some(SeatState::Unreachable) => reachable(n, true),
                _ => InputKind::Command {
                    id: CommandId(Uuid::nil()),
                    by: Actor::Seat(seat_of(n)),
                    command: Command::SeatReady { seat: seat_of(n) },
                },
            },
            Move::Time => {
                if let Some((due, _)) = next.switch.poll_timeout() {
                    next.now = next.now.max(due);
                }
                InputKind::Tick
            }
        };
        match step {
            Move::PicksUp(n) => next.phone_is(n, |(leg, _, heard)| (leg, true, heard)),
            Move::Speaks(n) => next.phone_is(n, |(leg, up, _)| (leg, up, true)),
            Move::Arrives
            | Move::HangsUp(_)
            | Move::Rejects(_)
            | Move::Breaks(_)
            | Move::Dies(_)
            | Move::Returns(_)
            | Move::Time => {}
        }
        next.takes(kind);
        next
    }

    fn phone_is(
        &mut self,
        seat: usize,
        change: impl FnOnce((LegId, bool, bool)) -> (LegId, bool, bool),
    ) {
        if let Some(leg) = self.legs.get_mut(seat) {
            *leg = leg.map(change);
        }
    }

    fn takes(&mut self, kind: InputKind) {
        self.switch.handle(&Input { at: self.now, kind });
        self.switch.take_events();
        while let Some(effect) = self.switch.poll_effect() {
            let Effect::Leg { leg, command } = effect else {
                continue;
            };
            if let LegCommand::Invite(invite) = &command
                && let Target::Seat { seat, .. } = &invite.target
            {
                let place = (0..SEATS).find(|n| seat_of(*n) == *seat);
                if let Some(phone) = place.and_then(|n| self.legs.get_mut(n)) {
                    *phone = Some((leg, false, false));
                }
            }
        }
    }

    /// What must hold in every state.
    fn flaw(&self, view: &View) -> Option<String> {
        let flaw = self
            .switch
            .unexpected()
            .keys()
            .find(|k| k.starts_with("flaw."));
        if let Some(flaw) = flaw {
            return Some(flaw.clone());
        }
        for (n, seat) in view.seats.iter().enumerate() {
            let own = seat_of(n).0;
            let party = format!("seat-{own}");
            let legs = view.calls.iter().flat_map(|call| &call.legs);
            let own = legs.filter(|leg| leg.party == party).count();
            let engaged = usize::from(seat.call.is_some());
            if own > 1 || own < engaged {
                return Some(format!("{seat:?} has {own} legs"));
            }
        }
        let free =
            |seat: &crate::switch::SeatView| seat.state == SeatState::Ready && seat.registered;
        for call in view.calls.iter().filter(|c| c.state != CallState::Closing) {
            let rings = call.legs.iter().any(|leg| leg.party.starts_with("seat-"));
            if !rings && view.seats.iter().any(free) {
                return Some(format!("{} waits beside a free seat", call.call));
            }
        }
        for n in 0..self.came {
            let call = view.calls.iter().find(|c| c.call == call_of(n));
            let led_on = call.is_some_and(|c| match c.state {
                CallState::Arriving
                | CallState::Greeting
                | CallState::Waiting
                | CallState::Offered => c.position.is_some(),
                CallState::Talking => c.seat.is_some() && c.position.is_none(),
                CallState::InMenu
                | CallState::Dialling
                | CallState::Shelved
                | CallState::Held
                | CallState::Conferencing
                | CallState::Closing => false,
            });
            if self.lives(leg_of(n)) && !led_on {
                return Some(format!("the caller of {call:?} is lost"));
            }
        }
        None
    }

    /// The state as people see it, with what is awaited next and without times and ids.
    fn shape(&self, view: &View) -> String {
        let calls: Vec<_> = (0..self.came)
            .map(|n| {
                let shown = view.calls.iter().find(|c| c.call == call_of(n));
                shown.map(|c| (c.state, c.position, c.seat.clone(), c.wait_exceeded))
            })
            .collect();
        let seats: Vec<_> = view
            .seats
            .iter()
            .enumerate()
            .map(|(n, s)| {
                let phone = self.live_leg(n).map(|(_, up, heard)| (up, heard));
                let call = s.call.map(|call| call.0.as_u64_pair().1);
                (s.state, s.reason.clone(), call, phone)
            })
            .collect();
        format!("{calls:?} {seats:?}")
    }
}

fn arrival(n: usize) -> InputKind {
    InputKind::Arrived {
        arrival: Box::new(super::arrival(
            call_of(n),
            leg_of(n),
            TrunkId::from("ct"),
            format!("1380013800{n}"),
        )),
    }
}

fn reachable(seat: usize, reachable: bool) -> InputKind {
    InputKind::Seat {
        seat: seat_of(seat),
        link: SeatLink::Reachable { reachable },
    }
}

const fn ended(cause: Cause, by_far_side: bool) -> LegEvent {
    LegEvent::Ended { cause, by_far_side }
}
