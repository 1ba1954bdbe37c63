//! How long a match takes: 1,000 calls wait, 500 seats are busy, one becomes free; from that Input to the offer's INVITE.
//! `cargo bench --bench route`. Prints the 50th and 99th percentile and fails when p99 is above 1 ms.
#![expect(clippy::print_stdout, reason = "a bench prints its result")]

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use firstring::call::{
    AnswerPolicy, Arrival, Cause, DialogState, Ingress, LegCommand, LegEvent, Target,
};
use firstring::id::{CallId, LegId, QueueId, SeatId, TrunkId};
use firstring::switch::{
    CallBackRules, Centre, Effect, Input, InputKind, Policy, QueuePolicy, SeatLink, SeatPolicy,
    SeatRole, Switch, Timers, TrunkPolicy,
};
use firstring::time::{Millis, Timestamp};
use uuid::Uuid;

const SEATS: u128 = 500;
const WAITING: u128 = 1_000;
const ROUNDS: u32 = 2_000;
const P99_MAX_US: u128 = 1_000;

fn policy() -> Policy {
    let seat = |n: u128| {
        let skilled = n.is_multiple_of(3);
        let policy = SeatPolicy {
            role: SeatRole::Dispatcher,
            queues: Vec::new(),
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
        ..QueuePolicy::PLAIN
    };
    let queues = [("main", QueuePolicy::PLAIN), ("child", child)];
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
        seats: (0..SEATS).map(seat).collect(),
        trunks: trunks.into(),
        shared_numbers: Vec::new(),
        screening: Default::default(),
        call_backs: CallBackRules::default(),
        desks: Default::default(),
        menus: Default::default(),
        relief: std::sync::Arc::default(),
        forms: Default::default(),
        language: String::from("zh-CN"),
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
}

impl Bench {
    fn feed(&mut self, kind: InputKind) {
        self.switch.handle(&Input { at: self.now, kind });
        self.switch.take_events();
        while let Some(effect) = self.switch.poll_effect() {
            if let Effect::Leg {
                leg,
                command: LegCommand::Invite(invite),
            } = effect
                && let Target::Seat { .. } = &invite.target
            {
                self.rung.push_back((invite.call, leg));
            }
        }
    }

    fn call_comes(&mut self) {
        self.calls += 1;
        let call = CallId(Uuid::from_u128(self.calls));
        let leg = LegId(Uuid::from_u128(self.calls + (1 << 64)));
        let trunk = if self.calls.is_multiple_of(4) {
            "child"
        } else {
            "main"
        };
        self.legs.insert(call, leg);
        self.feed(InputKind::Arrived {
            arrival: Box::new(Arrival {
                call,
                leg,
                ingress: Ingress::Trunk(TrunkId::from(trunk)),
                invite_key: leg.to_string(),
                called: String::from("120"),
                caller: format!("138{:08}", self.calls),
                caller_name: None,
                anonymous: false,
                access_network: Vec::new(),
                geolocation: Vec::new(),
                pidf: Vec::new(),
                diverted_from: Vec::new(),
                source: String::from("192.0.2.1:5060"),
                dialog: DialogState(serde_json::Value::Null),
                refused_capacity: false,
            }),
        });
    }

    fn seats_answer(&mut self) {
        while let Some((call, leg)) = self.rung.pop_front() {
            self.feed(InputKind::Leg {
                leg,
                event: LegEvent::Answered,
            });
            self.talking.push_back(call);
        }
    }

    fn caller_hangs_up(&mut self) {
        let leg = self.talking.pop_front().and_then(|c| self.legs.remove(&c));
        let Some(leg) = leg else { return };
        let event = LegEvent::Ended {
            cause: Cause::Normal,
            by_far_side: true,
        };
        self.feed(InputKind::Leg { leg, event });
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a bench measures by the machine's own clock"
)]
fn main() {
    let policy = policy();
    let mut bench = Bench {
        switch: Switch::new(1, policy.clone()),
        now: Timestamp::from_micros(1_763_771_400_000_000),
        calls: 0,
        legs: BTreeMap::new(),
        rung: VecDeque::new(),
        talking: VecDeque::new(),
    };
    bench.feed(InputKind::Started {
        seed: 1,
        build: String::from("bench"),
        policy: Box::new(policy),
    });
    for n in 0..SEATS {
        let (seat, contact) = (SeatId(format!("s{n}")), format!("sip:s{n}@phone.invalid"));
        let until = bench.now + Millis::from_secs(36_000);
        let link = SeatLink::Registered { contact, until };
        bench.feed(InputKind::Seat { seat, link });
    }
    for _ in 0..SEATS + WAITING {
        bench.call_comes();
        bench.seats_answer();
    }
    let mut spans = Vec::new();
    for _ in 0..ROUNDS {
        bench.now = bench.now + Millis(1);
        bench.caller_hangs_up();
        bench.now = bench.now + Millis(2);
        let began = Instant::now();
        let input = Input {
            at: bench.now,
            kind: InputKind::Tick,
        };
        bench.switch.handle(&input);
        let span = began.elapsed().as_micros();
        bench.feed(InputKind::Tick);
        assert!(!bench.rung.is_empty(), "a free seat and nobody rings");
        spans.push(span);
        bench.seats_answer();
        bench.call_comes();
    }
    spans.sort_unstable();
    let at = |percent: usize| spans[(spans.len() - 1) * percent / 100];
    let (half, p99) = (at(50), at(99));
    println!("route: {WAITING} waiting, {SEATS} seats: p50 {half} us, p99 {p99} us");
    if p99 > P99_MAX_US {
        println!("route: p99 is above {P99_MAX_US} us");
        std::process::exit(1);
    }
}
