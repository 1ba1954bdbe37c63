//! Every interleaving of a small centre: three seats, four calls, up to a bounded number of things that happen.

use std::collections::BTreeSet;

use super::*;

/// Things that happen one after the other.
const DEPTH: u32 = 6;
const CALLS: usize = 4;

/// What can happen next.
#[derive(Copy, Clone, Debug)]
enum Move {
    Arrives,
    HangsUp(usize),
    PicksUp(LegId),
    Rejects(LegId),
    Dies(LegId),
    SeatBack(usize),
    Time,
}

#[derive(Clone)]
struct Small {
    switch: Switch,
    now: Timestamp,
    callers: Vec<(CallId, LegId)>,
    /// Legs of seats that live, as Effects tell.
    rung: Vec<(LegId, SeatId)>,
    up: BTreeSet<LegId>,
    path: Vec<Move>,
}

impl Small {
    fn new() -> Self {
        let mut rig = Rig::new();
        for seat in ["801", "802", "803"] {
            rig.registers(seat);
            rig.pass(1);
        }
        Self {
            switch: rig.switch,
            now: rig.now,
            callers: Vec::new(),
            rung: Vec::new(),
            up: BTreeSet::new(),
            path: Vec::new(),
        }
    }

    fn moves(&self) -> Vec<Move> {
        let mut moves = vec![Move::Time];
        if self.callers.len() < CALLS {
            moves.push(Move::Arrives);
        }
        let open = |leg: &LegId| self.switch.legs.contains_key(leg);
        for (n, (_, leg)) in self.callers.iter().enumerate() {
            if open(leg) {
                moves.push(Move::HangsUp(n));
            }
        }
        for (leg, _) in self.rung.iter().filter(|(leg, _)| open(leg)) {
            moves.push(Move::Dies(*leg));
            if !self.up.contains(leg) {
                moves.extend([Move::PicksUp(*leg), Move::Rejects(*leg)]);
            }
        }
        for (n, seat) in self.switch.view().seats.iter().enumerate() {
            let away = matches!(seat.state, SeatState::NotReady | SeatState::Unreachable);
            if away && seat.registered {
                moves.push(Move::SeatBack(n));
            }
        }
        moves
    }

    fn does(&self, step: Move) -> Self {
        let mut next = self.clone();
        next.path.push(step);
        next.now = next.now + Millis(1);
        let leg_event = |leg, event| InputKind::Leg { leg, event };
        let kind = match step {
            Move::Arrives => {
                let mut rig = Rig::new();
                let mut arrival = rig.arrival("ct");
                let n = u128::try_from(next.callers.len()).unwrap();
                arrival.call = CallId(Uuid::from_u128(1_000 + n));
                arrival.leg = LegId(Uuid::from_u128(2_000 + n));
                arrival.invite_key = format!("key-{n}");
                arrival.caller = format!("1380013800{n}");
                next.callers.push((arrival.call, arrival.leg));
                InputKind::Arrived {
                    arrival: Box::new(arrival),
                }
            }
            Move::HangsUp(n) => leg_event(next.callers[n].1, ended(Cause::Normal, true)),
            Move::PicksUp(leg) => {
                next.up.insert(leg);
                leg_event(leg, LegEvent::Answered)
            }
            Move::Rejects(leg) => {
                let (cause, status) = (Cause::Busy, Some(486));
                leg_event(leg, LegEvent::Failed { cause, status })
            }
            Move::Dies(leg) => leg_event(leg, ended(Cause::Lost, false)),
            Move::SeatBack(n) => {
                let seat = next.switch.view().seats[n].clone();
                if seat.state == SeatState::Unreachable {
                    let link = SeatLink::Reachable { reachable: true };
                    InputKind::Seat {
                        seat: seat.seat,
                        link,
                    }
                } else {
                    InputKind::Command {
                        id: CommandId(Uuid::nil()),
                        by: Actor::Seat(seat.seat.clone()),
                        command: Command::SeatReady { seat: seat.seat },
                    }
                }
            }
            Move::Time => {
                if let Some((due, _)) = next.switch.poll_timeout() {
                    next.now = next.now.max(due);
                }
                InputKind::Tick
            }
        };
        next.takes(kind);
        next
    }

    fn takes(&mut self, kind: InputKind) {
        self.switch.handle(&Input { at: self.now, kind });
        self.switch.take_events();
        while let Some(effect) = self.switch.poll_effect() {
            if let Effect::Leg { leg, command } = effect {
                match command {
                    LegCommand::Invite(invite) => {
                        if let Target::Seat { seat, .. } = invite.target {
                            self.rung.push((leg, seat));
                        }
                    }
                    LegCommand::Release { .. } => self.rung.retain(|(of, _)| *of != leg),
                    _ => {}
                }
            }
        }
    }

    /// What must hold in every state.
    fn check(&self) {
        let switch = &self.switch;
        let view = switch.view();
        let flaw = switch.unexpected().keys().find(|k| k.starts_with("flaw."));
        assert_eq!(flaw, None, "{:?}", self.path);
        let open = |(leg, _): &&(LegId, SeatId)| switch.legs.contains_key(leg);
        for seat in &view.seats {
            let legs = self
                .rung
                .iter()
                .filter(open)
                .filter(|(_, s)| *s == seat.seat);
            assert!(legs.count() <= 1, "{seat:?} {:?}", self.path);
        }
        for call in view.calls.iter().filter(|c| c.state != CallState::Closing) {
            let rings = call.legs.iter().any(|l| l.party.starts_with("seat-"));
            let free = view
                .seats
                .iter()
                .any(|s| s.state == SeatState::Ready && s.registered);
            assert!(
                rings || !free,
                "{} waits beside a free seat: {:?}",
                call.call,
                self.path
            );
        }
        for (call, leg) in &self.callers {
            let listed = switch.queue.entry(*call).is_some();
            let talks = switch
                .calls
                .get(call)
                .is_some_and(|c| c.talking().is_some());
            let lives = switch.legs.contains_key(leg);
            assert!(!lives || listed != talks, "{call} is lost: {:?}", self.path);
        }
    }

    /// The state without its times and ids.
    fn shape(&self) -> String {
        let view = self.switch.view();
        let calls: Vec<_> = self
            .callers
            .iter()
            .map(|(call, _)| {
                let shown = view.calls.iter().find(|c| c.call == *call);
                shown.map(|c| (c.state, c.position, c.seat.clone(), c.wait_exceeded))
            })
            .collect();
        let seats: Vec<_> = view
            .seats
            .iter()
            .map(|s| {
                (
                    s.state,
                    s.reason.clone(),
                    self.rung.iter().any(|(_, r)| *r == s.seat),
                )
            })
            .collect();
        format!("{calls:?} {seats:?}")
    }
}

const fn ended(cause: Cause, by_far_side: bool) -> LegEvent {
    LegEvent::Ended { cause, by_far_side }
}

#[test]
fn no_interleaving_of_three_seats_and_four_calls_loses_a_call_or_books_a_seat_twice() {
    let mut seen = BTreeSet::new();
    let mut front = vec![Small::new()];
    let mut steps = 0_u32;
    for _ in 0..DEPTH {
        let mut next = Vec::new();
        for state in &front {
            for step in state.moves() {
                let after = state.does(step);
                after.check();
                steps += 1;
                if seen.insert(after.shape()) {
                    next.push(after);
                }
            }
        }
        front = next;
    }
    assert!(
        seen.len() > 1_000 && steps > 3_000,
        "{} {steps}",
        seen.len()
    );
}
