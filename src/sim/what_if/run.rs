//! One stretch lived through with so many seats: the real switch, telephones that are picked up, callers who give up, talks
//! that end. Nothing fails here; that is what the simulated hours are for.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use super::{Caller, Comes, Stretch};
use crate::call::{AnswerPolicy, Arrival, Cause, LegCommand, LegEvent, Target};
use crate::id::{CallId, CommandId, DestinationId, LegId, QueueId, SeatId, TrunkId};
use crate::ivr::Menus;
use crate::sim::arrival;
use crate::switch::{
    Actor, Command, Effect, Event, EventKind, Input, InputKind, MediaEvent, Policy, SeatLink,
    SeatPolicy, SeatRole, Switch, TrunkPolicy,
};
use crate::time::{Millis, Timestamp};

/// A telephone is picked up before its ringing is over, however it was recorded.
const PICKED_UP_BEFORE: Millis = Millis(200);
/// What is lived through beyond the end, should it not settle by itself.
const LATE_MAX: Millis = Millis::from_secs(12 * 3600);

/// What became of a caller.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Fate {
    pub(super) came: Option<Timestamp>,
    /// Arrival to answer.
    pub(super) answered: Option<Millis>,
    /// Arrival to giving up.
    pub(super) gave_up: Option<Millis>,
}

/// A stretch as it went.
#[derive(Clone, Debug)]
pub(super) struct Lived {
    /// By caller.
    pub(super) fates: Vec<Fate>,
    /// Of all seats, until the stretch ends.
    pub(super) busy_ms: u64,
}

enum Act {
    Comes(usize),
    GivesUp(usize),
    PicksUp(LegId),
    IsHeard(LegId),
    HangsUp(usize),
    HasGone(LegId),
    IsReady(SeatId, usize),
    Opens(usize),
}

/// A seat, as Events tell.
#[derive(Default)]
struct Desk {
    busy_since: Option<Timestamp>,
    /// Whom it talks to, or talked to before its after-call time.
    with: Option<usize>,
    wraps_up: bool,
}

struct Run<'s> {
    stretch: &'s Stretch,
    /// Hears every Input and what came of it.
    told: &'s mut dyn FnMut(&Input, &[Event]),
    switch: Switch,
    ring: Millis,
    now: Timestamp,
    agenda: BTreeMap<(Timestamp, u64), Act>,
    planned: u64,
    /// Who rings again when this one gives up.
    again: BTreeMap<usize, Vec<(usize, Millis)>>,
    rung: BTreeMap<LegId, usize>,
    gone: BTreeSet<LegId>,
    desks: BTreeMap<SeatId, Desk>,
    /// Callers on the line.
    open: usize,
    lived: Lived,
}

/// Lives through `stretch` with `seats` seats of the centre that `policy` describes.
pub(super) fn live(policy: &Policy, stretch: &Stretch, seats: u32) -> Lived {
    live_told(policy, stretch, seats, &mut |_, _| {})
}

/// As [`live`]; `told` hears every Input and its Events, as a journal does.
pub(super) fn live_told(
    policy: &Policy,
    stretch: &Stretch,
    seats: u32,
    told: &mut dyn FnMut(&Input, &[Event]),
) -> Lived {
    let policy = staffed(policy, seats);
    let mut run = Run {
        stretch,
        told,
        switch: Switch::new(stretch.seed, policy.clone()),
        ring: policy.timers.ring,
        now: stretch.begins,
        agenda: BTreeMap::new(),
        planned: 0,
        again: BTreeMap::new(),
        rung: BTreeMap::new(),
        gone: BTreeSet::new(),
        desks: BTreeMap::new(),
        open: 0,
        lived: Lived {
            fates: vec![Fate::default(); stretch.callers.len()],
            busy_ms: 0,
        },
    };
    run.begins(policy);
    run.goes_on();
    run.lived
}

/// The centre's own dispatchers in order, and as many more like them as are asked for; whoever else takes calls is left
/// out. Every queue has its own way in, and there are no menus: callers come when they came to the queue.
fn staffed(policy: &Policy, seats: u32) -> Policy {
    let own: Vec<_> = policy
        .seats
        .values()
        .filter(|seat| seat.role == SeatRole::Dispatcher)
        .collect();
    let seat = |n: u32| {
        let like = usize::try_from(n)
            .ok()
            .and_then(|n| n.checked_rem(own.len()));
        let like = like.and_then(|at| own.get(at));
        let seat = SeatPolicy {
            role: SeatRole::Dispatcher,
            queues: like.map_or_else(Vec::new, |seat| seat.queues.clone()),
            skills: like.map_or_else(Vec::new, |seat| seat.skills.clone()),
            ready_on_register: true,
        };
        (SeatId(format!("{:03}", n + 1)), seat)
    };
    let trunk = |queue: &QueueId| {
        let trunk = TrunkPolicy {
            queue: Some(queue.clone()),
            answer: AnswerPolicy::AtOnce,
            area_code: policy.centre.area_code.clone(),
            outbound: None,
            shown_number: String::from("120"),
            circuits: None,
            circuits_kept: 0,
            peer: false,
        };
        (TrunkId(queue.0.clone()), trunk)
    };
    Policy {
        seats: (0..seats).map(seat).collect(),
        trunks: policy.queues.keys().map(trunk).collect(),
        desks: Default::default(),
        menus: Menus::default(),
        relief: std::sync::Arc::default(),
        groups: std::sync::Arc::default(),
        recording: false,
        ..policy.clone()
    }
}

impl Run<'_> {
    fn begins(&mut self, policy: Policy) {
        let seats: Vec<_> = policy.seats.keys().cloned().collect();
        self.feed(InputKind::Started {
            seed: self.stretch.seed,
            build: String::from("what-if"),
            policy: Box::new(policy),
        });
        let until = self.stretch.ends + LATE_MAX + LATE_MAX;
        for seat in seats {
            let contact = format!("sip:{seat}@phone.invalid");
            let link = SeatLink::Registered { contact, until };
            self.feed(InputKind::Seat { seat, link });
        }
        for (n, caller) in self.stretch.callers.iter().enumerate() {
            match caller.comes {
                Comes::At(at) => self.plan_at(at, Act::Comes(n)),
                Comes::Again { after, gap } => {
                    self.again.entry(after).or_default().push((n, gap));
                }
            }
        }
    }

    fn goes_on(&mut self) {
        let latest = self.stretch.ends + LATE_MAX;
        while !self.agenda.is_empty() || self.open > 0 {
            let agenda = self.agenda.first_key_value().map(|((at, _), _)| *at);
            let timer = self.switch.poll_timeout().map(|(at, _)| at);
            let Some(next) = [agenda, timer].into_iter().flatten().min() else {
                break;
            };
            if next > latest {
                break;
            }
            self.now = self.now.max(next);
            if timer.is_some_and(|timer| timer <= next) {
                self.feed(InputKind::Tick);
            } else if let Some((_, act)) = self.agenda.pop_first() {
                self.act(act);
            }
        }
        for desk in std::mem::take(&mut self.desks).into_values() {
            self.count_busy(desk.busy_since);
        }
    }

    fn plan(&mut self, after: Millis, act: Act) {
        self.plan_at(self.now + after, act);
    }

    fn plan_at(&mut self, at: Timestamp, act: Act) {
        self.planned += 1;
        self.agenda.insert((at, self.planned), act);
    }

    fn caller(&self, n: usize) -> Option<&Caller> {
        self.stretch.callers.get(n)
    }

    fn act(&mut self, act: Act) {
        match act {
            Act::Comes(n) => self.comes(n),
            Act::GivesUp(n) => self.gives_up(n),
            Act::PicksUp(leg) => {
                if !self.gone.contains(&leg) {
                    let event = LegEvent::Answered;
                    self.feed(InputKind::Leg { leg, event });
                    self.plan(Millis(100), Act::IsHeard(leg));
                }
            }
            Act::IsHeard(leg) => {
                if !self.gone.contains(&leg) {
                    let event = MediaEvent::RtpStarted;
                    self.feed(InputKind::Media { leg, event });
                }
            }
            Act::HangsUp(n) => self.leaves(n),
            Act::HasGone(leg) => self.ends(leg, false),
            Act::IsReady(seat, with) => {
                let desk = self.desks.get(&seat);
                if desk.is_some_and(|desk| desk.wraps_up && desk.with == Some(with)) {
                    let by = Actor::Seat(seat.clone());
                    self.commands(by, Command::SeatReady { seat });
                }
            }
            Act::Opens(n) => {
                let destination = DestinationId::from("dispatch");
                let by = Actor::Module(destination.clone());
                let acknowledge = Command::Acknowledge {
                    call: call_of(n),
                    destination,
                    incident_id: Some(format!("I-{n}")),
                };
                self.commands(by, acknowledge);
            }
        }
    }

    fn commands(&mut self, by: Actor, command: Command) {
        self.planned += 1;
        let id = CommandId(Uuid::from_u128(u128::from(self.planned)));
        self.feed(InputKind::Command { id, by, command });
    }

    fn comes(&mut self, n: usize) {
        let Some(caller) = self.caller(n).cloned() else {
            return;
        };
        self.open += 1;
        if let Some(fate) = self.lived.fates.get_mut(n) {
            fate.came = Some(self.now);
        }
        if let Some(patience) = caller.patience {
            self.plan(patience, Act::GivesUp(n));
        }
        self.feed(InputKind::Arrived {
            arrival: Box::new(Arrival {
                anonymous: caller.anonymous,
                ..arrival(
                    call_of(n),
                    leg_of(n),
                    TrunkId(caller.queue.0),
                    caller.number,
                )
            }),
        });
    }

    fn gives_up(&mut self, n: usize) {
        let now = self.now;
        let Some(fate) = self.lived.fates.get_mut(n) else {
            return;
        };
        let (None, Some(came)) = (fate.answered, fate.came) else {
            return;
        };
        fate.gave_up = Some(since(now, came));
        self.leaves(n);
        for (again, gap) in self.again.remove(&n).unwrap_or_default() {
            self.plan(gap, Act::Comes(again));
        }
    }

    /// The caller hangs up.
    fn leaves(&mut self, n: usize) {
        self.open = self.open.saturating_sub(1);
        self.ends(leg_of(n), true);
    }

    fn ends(&mut self, leg: LegId, by_far_side: bool) {
        if self.gone.insert(leg) || !by_far_side {
            let cause = Cause::Normal;
            let event = LegEvent::Ended { cause, by_far_side };
            self.feed(InputKind::Leg { leg, event });
        }
    }

    fn feed(&mut self, kind: InputKind) {
        let input = Input { at: self.now, kind };
        self.switch.handle(&input);
        let events = self.switch.take_events();
        (self.told)(&input, &events);
        for event in &events {
            self.hears(event);
        }
        while let Some(effect) = self.switch.poll_effect() {
            let Effect::Leg { leg, command } = effect else {
                continue;
            };
            if let LegCommand::Invite(invite) = &command
                && let Target::Seat { .. } = &invite.target
            {
                let n = number_of(invite.call);
                let latest = Millis(self.ring.0.saturating_sub(PICKED_UP_BEFORE.0));
                let off_hook = self.caller(n).map_or(Millis(0), |c| c.off_hook);
                self.rung.insert(leg, n);
                self.plan(off_hook.min(latest), Act::PicksUp(leg));
            } else if let LegCommand::Release { .. } = &command
                && self.gone.insert(leg)
            {
                self.plan(Millis(20), Act::HasGone(leg));
            }
        }
    }

    fn hears(&mut self, event: &Event) {
        if let EventKind::SeatAnswered { seat, leg } = &event.kind {
            let n = self.rung.get(leg).copied();
            if let Some(n) = n {
                self.answered(n, seat);
            }
        } else if let EventKind::SeatStateChanged { seat, state, .. } = &event.kind {
            self.seat_changed(seat, state);
        }
    }

    fn answered(&mut self, n: usize, seat: &SeatId) {
        let now = self.now;
        self.desks.entry(seat.clone()).or_default().with = Some(n);
        let Some((fate, caller)) = self.lived.fates.get_mut(n).zip(self.stretch.callers.get(n))
        else {
            return;
        };
        if let (None, Some(came)) = (fate.answered, fate.came) {
            fate.answered = Some(since(now, came));
            self.plan(caller.talk, Act::HangsUp(n));
            if let Some(after) = caller.incident {
                self.plan(after, Act::Opens(n));
            }
        }
    }

    fn seat_changed(&mut self, seat: &SeatId, state: &str) {
        let now = self.now;
        let desk = self.desks.entry(seat.clone()).or_default();
        let busy = matches!(state, "reserved" | "ringing" | "talking" | "wrap_up");
        desk.wraps_up = state == "wrap_up";
        let before = desk.busy_since;
        desk.busy_since = busy.then(|| before.unwrap_or(now));
        let with = desk.with.filter(|_| desk.wraps_up);
        if !busy {
            self.count_busy(before);
        }
        if let Some(n) = with
            && let Some(after) = self.caller(n).and_then(|c| c.wrap_up)
        {
            self.plan(after, Act::IsReady(seat.clone(), n));
        }
    }

    fn count_busy(&mut self, since: Option<Timestamp>) {
        let until = self.now.min(self.stretch.ends);
        self.lived.busy_ms += since.map_or(0, |since| until.millis_since(since));
    }
}

fn since(now: Timestamp, then: Timestamp) -> Millis {
    Millis(u32::try_from(now.millis_since(then)).unwrap_or(u32::MAX))
}

fn call_of(n: usize) -> CallId {
    CallId(Uuid::from_u64_pair(1, n as u64))
}

fn leg_of(n: usize) -> LegId {
    LegId(Uuid::from_u64_pair(2, n as u64))
}

fn number_of(call: CallId) -> usize {
    usize::try_from(call.0.as_u64_pair().1).unwrap_or(usize::MAX)
}
