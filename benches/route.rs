//! How long the choice takes: 1,000 calls wait, 500 seats are there; the CPU time of the one Input that makes the offer,
//! and of those that come between. `cargo bench --bench route`. CPU time, because other work on a machine is no fault of
//! the choice; wall time is printed beside it. Fails when a 99th percentile is above 1 ms.
#![expect(clippy::print_stdout, reason = "a bench prints its result")]

use std::collections::{BTreeMap, VecDeque};

use firstring::call::{AnswerPolicy, Cause, LegCommand, LegEvent, Target};
use firstring::id::{CallId, LegId, PlayId, QueueId, SeatId, TrunkId};
use firstring::sim::arrival;
use firstring::switch::{
    CallBackRules, Centre, Effect, Input, InputKind, MediaCommand, MediaEvent, Policy, QueuePolicy,
    SeatLink, SeatPolicy, SeatRole, Strategy, Switch, Timers, TrunkPolicy,
};
use firstring::time::{Millis, Timestamp};
use rustix::time::{ClockId, clock_gettime};
use uuid::Uuid;

const SEATS: u128 = 500;
const WAITING: u128 = 1_000;
const ROUNDS: u32 = 1_000;
const P99_MAX_US: f64 = 1_000.0;
/// Free seats of a queue for which nobody waits.
const SPECIALISTS: u128 = 10;

fn policy(strategy: Strategy, specialists: u128) -> Policy {
    let seat = |n: u128| {
        let skilled = n.is_multiple_of(3);
        let special = n >= SEATS;
        let policy = SeatPolicy {
            role: if n.is_multiple_of(50) {
                SeatRole::Supervisor
            } else {
                SeatRole::Dispatcher
            },
            queues: vec![QueueId::from("poison"); usize::from(special)],
            skills: vec![String::from("child"); usize::from(skilled)],
            ready_on_register: true,
        };
        (SeatId(format!("s{n}")), policy)
    };
    let trunk = |queue: &str| TrunkPolicy {
        queue: Some(QueueId::from(queue)),
        answer: AnswerPolicy::AtOnce,
        area_code: String::from("0755"),
        outbound: None,
        shown_number: String::from("120"),
        circuits: None,
        circuits_kept: 0,
        peer: false,
    };
    let child = QueuePolicy {
        needs: vec![String::from("child")],
        fallback: Some(QueueId::from("main")),
        strategy,
        ..QueuePolicy::PLAIN
    };
    let main = QueuePolicy {
        strategy,
        ..QueuePolicy::PLAIN
    };
    let queues = [("main", main.clone()), ("child", child), ("poison", main)];
    let queues: BTreeMap<_, _> = queues.map(|(id, q)| (QueueId::from(id), q)).into();
    let trunks = ["main", "child"].map(|queue| (TrunkId::from(queue), trunk(queue)));
    Policy {
        centre: Centre {
            id: String::from("bench"),
            name: String::from("bench"),
            area_code: String::from("0755"),
            division: String::from("440300"),
        },
        queue: QueueId::from("main"),
        queues,
        timers: Timers {
            wrap_up: Millis(1),
            ..Timers::default()
        },
        seats: (0..SEATS + specialists).map(seat).collect(),
        trunks: trunks.into(),
        shared_numbers: Vec::new(),
        screening: Default::default(),
        call_backs: CallBackRules::default(),
        desks: Default::default(),
        menus: Default::default(),
        relief: std::sync::Arc::default(),
        groups: std::sync::Arc::default(),
        forms: Default::default(),
        language: String::from("zh-CN"),
        self_tests: firstring::switch::SelfTestRules::default(),
        allow_faults: false,
        recording: false,
    }
}

struct Bench {
    switch: Switch,
    now: Timestamp,
    calls: u128,
    /// Callers' legs by call, and seats' legs that ring.
    legs: BTreeMap<CallId, LegId>,
    rung: VecDeque<(CallId, LegId)>,
    talking: VecDeque<CallId>,
    /// Prompts that play: each ends at once.
    plays: VecDeque<(LegId, PlayId)>,
    row: Row,
}

/// What Inputs of one kind took.
#[derive(Default)]
struct Row {
    cpu_us: Vec<f64>,
    wall_us: Vec<f64>,
}

impl Row {
    /// Median, 99th percentile and longest.
    fn of(spans: &mut [f64]) -> [f64; 3] {
        spans.sort_by(f64::total_cmp);
        let last = spans.len().saturating_sub(1);
        [last / 2, last * 99 / 100, last].map(|at| spans.get(at).copied().unwrap_or(f64::NAN))
    }
}

fn micros(clock: ClockId) -> f64 {
    let at = clock_gettime(clock);
    at.tv_sec as f64 * 1e6 + at.tv_nsec as f64 / 1e3
}

impl Bench {
    /// All seats registered and in a talk, the specialists free, all calls waiting and past their greeting.
    fn new(strategy: Strategy, specialists: u128) -> Self {
        let policy = policy(strategy, specialists);
        let mut bench = Self {
            switch: Switch::new(1, policy.clone()),
            now: Timestamp::from_micros(1_763_771_400_000_000),
            calls: 0,
            legs: BTreeMap::new(),
            rung: VecDeque::new(),
            talking: VecDeque::new(),
            plays: VecDeque::new(),
            row: Row::default(),
        };
        bench.feed(InputKind::Started {
            seed: 1,
            build: String::from("bench"),
            policy: Box::new(policy),
        });
        for n in 0..SEATS + specialists {
            let (seat, contact) = (SeatId(format!("s{n}")), format!("sip:s{n}@phone.invalid"));
            let until = bench.now + Millis::from_secs(36_000);
            let link = SeatLink::Registered { contact, until };
            bench.feed(InputKind::Seat { seat, link });
        }
        for _ in 0..SEATS + WAITING {
            bench.call_comes();
            bench.settle();
        }
        bench.pass(Millis::from_secs(1));
        bench.row = Row::default();
        bench
    }

    fn feed(&mut self, kind: InputKind) {
        let input = Input { at: self.now, kind };
        let (cpu, wall) = (ClockId::ThreadCPUTime, ClockId::Monotonic);
        let began = (micros(cpu), micros(wall));
        self.switch.handle(&input);
        self.row.cpu_us.push(micros(cpu) - began.0);
        self.row.wall_us.push(micros(wall) - began.1);
        self.switch.take_events();
        while let Some(effect) = self.switch.poll_effect() {
            if let Effect::Leg {
                leg,
                command: LegCommand::Invite(invite),
            } = &effect
                && let Target::Seat { .. } = &invite.target
            {
                self.rung.push_back((invite.call, *leg));
            } else if let Effect::Media {
                command:
                    MediaCommand::Play {
                        leg,
                        play,
                        repeat: false,
                        ..
                    },
                ..
            } = effect
            {
                self.plays.push_back((leg, play));
            }
        }
    }

    /// Only this Input counts.
    fn counted(&mut self, row: &mut Row, kind: InputKind) {
        self.row = Row::default();
        self.feed(kind);
        row.cpu_us.append(&mut self.row.cpu_us);
        row.wall_us.append(&mut self.row.wall_us);
    }

    /// Prompts end and phones that ring are picked up, until nothing is awaited.
    fn settle(&mut self) {
        loop {
            if let Some((leg, play)) = self.plays.pop_front() {
                let event = MediaEvent::PlayEnded { play };
                self.feed(InputKind::Media { leg, event });
            } else if let Some((call, leg)) = self.rung.pop_front() {
                let event = LegEvent::Answered;
                self.feed(InputKind::Leg { leg, event });
                let event = MediaEvent::RtpStarted;
                self.feed(InputKind::Media { leg, event });
                if !self.talking.contains(&call) {
                    self.talking.push_back(call);
                }
            } else {
                return;
            }
        }
    }

    /// Time passes; whatever is due happens when it is due.
    fn pass(&mut self, span: Millis) {
        let until = self.now + span;
        while let Some(at) = self.due(until) {
            self.now = at;
            self.feed(InputKind::Tick);
            self.settle();
        }
        self.now = until;
    }

    fn due(&self, until: Timestamp) -> Option<Timestamp> {
        let (at, _) = self.switch.poll_timeout()?;
        (at <= until).then_some(at.max(self.now))
    }

    fn arrival(&mut self) -> InputKind {
        self.calls += 1;
        let call = CallId(Uuid::from_u128(self.calls));
        let leg = LegId(Uuid::from_u128(self.calls + (1 << 64)));
        let trunk = if self.calls.is_multiple_of(4) {
            "child"
        } else {
            "main"
        };
        self.legs.insert(call, leg);
        InputKind::Arrived {
            arrival: Box::new(arrival(
                call,
                leg,
                TrunkId::from(trunk),
                format!("138{:08}", self.calls),
            )),
        }
    }

    fn call_comes(&mut self) {
        let arrival = self.arrival();
        self.feed(arrival);
        let leg = LegId(Uuid::from_u128(self.calls + (1 << 64)));
        let event = LegEvent::Confirmed;
        self.feed(InputKind::Leg { leg, event });
    }

    fn ended(leg: LegId) -> InputKind {
        let event = LegEvent::Ended {
            cause: Cause::Normal,
            by_far_side: true,
        };
        InputKind::Leg { leg, event }
    }

    /// A talk ends; a seat is free after its after-call work, 1 ms later.
    fn talk_ends(&mut self) {
        let leg = self.talking.pop_front().and_then(|c| self.legs.remove(&c));
        if let Some(leg) = leg {
            self.feed(Self::ended(leg));
        }
    }

    /// A seat becomes free: the Input that finds it free rings it.
    fn seat_frees(&mut self, row: &mut Row) {
        let mut first = Row::default();
        let leg = self.talking.pop_front().and_then(|c| self.legs.remove(&c));
        let Some(leg) = leg else { return };
        self.counted(&mut first, Self::ended(leg));
        // After-call work, unless a call has waited 10 s.
        if self.rung.is_empty() {
            self.now = self.now + Millis(1);
            self.counted(row, InputKind::Tick);
        } else {
            row.cpu_us.append(&mut first.cpu_us);
            row.wall_us.append(&mut first.wall_us);
        }
        assert!(!self.rung.is_empty(), "a free seat and nobody rings");
    }
}

/// Seats become free one by one, calls come, callers give up.
fn busy_centre(strategy: Strategy, specialists: u128, name: &str) -> Vec<(String, Row)> {
    let mut bench = Bench::new(strategy, specialists);
    let mut rows = [
        "a seat is free",
        "a phone is picked up",
        "a call comes",
        "a caller gives up",
    ]
    .map(|what| (format!("{what}, {name}"), Row::default()));
    let [(_, free), (_, answered), (_, comes), (_, gives_up)] = &mut rows;
    for _ in 0..ROUNDS {
        bench.seat_frees(free);
        while let Some((call, leg)) = bench.rung.pop_front() {
            let event = LegEvent::Answered;
            bench.counted(answered, InputKind::Leg { leg, event });
            let event = MediaEvent::RtpStarted;
            bench.feed(InputKind::Media { leg, event });
            bench.talking.push_back(call);
            bench.settle();
        }
        let arrival = bench.arrival();
        bench.counted(comes, arrival);
        bench.settle();
        bench.call_comes();
        bench.settle();
        let newest = LegId(Uuid::from_u128(bench.calls + (1 << 64)));
        bench.counted(gives_up, Bench::ended(newest));
        bench.pass(Millis(2));
    }
    rows.into()
}

/// All waiting calls reach 10 s, 20 s, and go on waiting.
fn ladder() -> Vec<(String, Row)> {
    let mut bench = Bench::new(Strategy::LongestIdle, 0);
    let mut rows =
        ["a step of the wait", "a seat is free after 10 s"].map(|w| (w.to_owned(), Row::default()));
    let [(_, steps), (_, free)] = &mut rows;
    for _ in 0..WAITING / 2 {
        // Calls 10 ms apart, so that their steps are.
        let oldest = bench
            .switch
            .view()
            .calls
            .iter()
            .find(|c| c.position == Some(0))
            .map(|c| c.call);
        let leg = oldest.and_then(|call| bench.legs.remove(&call));
        if let Some(leg) = leg {
            bench.feed(Bench::ended(leg));
        }
        bench.call_comes();
        bench.settle();
        bench.pass(Millis(10));
    }
    let until = bench.now + Millis::from_secs(11);
    while let Some(at) = bench.due(until) {
        bench.now = at;
        bench.counted(steps, InputKind::Tick);
        bench.settle();
    }
    for _ in 0..ROUNDS / 2 {
        bench.seat_frees(free);
        bench.settle();
        bench.call_comes();
        bench.settle();
        bench.pass(Millis(1));
    }
    rows.into()
}

/// Nobody waits and all seats are free.
fn quiet_centre() -> Vec<(String, Row)> {
    let mut bench = Bench::new(Strategy::LongestIdle, 0);
    while !bench.talking.is_empty() {
        bench.talk_ends();
        bench.pass(Millis(2));
    }
    let mut rows = [(
        "a call comes, all seats are free".to_owned(),
        Row::default(),
    )];
    let [(_, comes)] = &mut rows;
    for _ in 0..ROUNDS {
        let arrival = bench.arrival();
        bench.counted(comes, arrival);
        assert!(!bench.rung.is_empty(), "free seats and nobody rings");
        bench.settle();
        bench.talk_ends();
        bench.pass(Millis(5));
    }
    rows.into()
}

fn main() {
    let mut rows = Vec::new();
    for strategy in [
        Strategy::LongestIdle,
        Strategy::Random,
        Strategy::FewestCalls,
        Strategy::RoundRobin,
        Strategy::RingAll,
    ] {
        rows.extend(busy_centre(strategy, 0, &format!("{strategy:?}")));
    }
    rows.extend(busy_centre(
        Strategy::LongestIdle,
        SPECIALISTS,
        "free specialists",
    ));
    rows.extend(ladder());
    rows.extend(quiet_centre());
    println!("route: {WAITING} waiting, {SEATS} seats; us a step, CPU p50 p99 most | wall p50 p99");
    let mut failed = 0;
    for (name, mut row) in rows {
        let steps = row.cpu_us.len();
        let [half, p99, most] = Row::of(&mut row.cpu_us);
        let [wall_half, wall_p99, _] = Row::of(&mut row.wall_us);
        let holds = p99 <= P99_MAX_US;
        failed += u32::from(!holds);
        println!(
            "{} {name:<38} {half:>6.0} {p99:>6.0} {most:>6.0} | {wall_half:>6.0} {wall_p99:>6.0}  ({steps} steps)",
            if holds { "ok  " } else { "FAIL" },
        );
    }
    println!("route: {failed} failed, limit {P99_MAX_US} us of CPU at p99");
    if failed > 0 {
        std::process::exit(1);
    }
}
