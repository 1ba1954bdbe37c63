//! Ten situations in which a seat rang or did not: `firstring why` names the true reason from the Events alone.

use std::collections::BTreeMap;

use firstring::call::{AnswerPolicy, Arrival, Cause, Ingress, LegCommand, LegEvent, Target};
use firstring::call_record::{What, Why, WhySeat};
use firstring::id::{CallId, CommandId, LegId, QueueId, SeatId, TrunkId};
use firstring::sim::arrival;
use firstring::switch::{
    Actor, Behind, CallBackRules, Centre, Command, Effect, Event, Held, Input, InputKind, Policy,
    QueuePolicy, Rule, SeatLink, SeatPolicy, SeatRole, Strategy, Switch, Timers, TrunkPolicy,
};
use firstring::time::{Millis, Timestamp};
use uuid::Uuid;

struct Bench {
    switch: Switch,
    now: Timestamp,
    made: u128,
    events: Vec<Event>,
    rung: BTreeMap<SeatId, LegId>,
}

fn policy() -> Policy {
    let seat = |id: &str, role, skills: &[&str]| {
        let policy = SeatPolicy {
            role,
            queues: Vec::new(),
            skills: skills.iter().map(|s| (*s).to_owned()).collect(),
            ready_on_register: true,
        };
        (SeatId::from(id), policy)
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
        relax: Millis(5_000),
        ..QueuePolicy::PLAIN
    };
    let all = QueuePolicy {
        strategy: Strategy::RingAll,
        ..QueuePolicy::PLAIN
    };
    let dispatcher = SeatRole::Dispatcher;
    Policy {
        centre: Centre {
            id: String::from("c"),
            name: String::from("c"),
            area_code: String::from("0755"),
            division: String::from("440300"),
        },
        queue: QueueId::from("main"),
        queues: [
            (QueueId::from("main"), QueuePolicy::PLAIN),
            (QueueId::from("child"), child),
            (QueueId::from("all"), all),
        ]
        .into(),
        timers: Timers::default(),
        seats: [
            seat("801", dispatcher, &[]),
            seat("802", dispatcher, &["child"]),
            seat("901", SeatRole::Supervisor, &[]),
        ]
        .into(),
        trunks: ["main", "child", "all"]
            .map(|queue| (TrunkId::from(queue), trunk(queue)))
            .into(),
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

impl Bench {
    fn new() -> Self {
        let mut bench = Self {
            switch: Switch::new(1, policy()),
            now: Timestamp::from_micros(1_763_771_400_000_000),
            made: 0,
            events: Vec::new(),
            rung: BTreeMap::new(),
        };
        bench.feed(InputKind::Started {
            seed: 1,
            build: String::from("test"),
            policy: Box::new(policy()),
        });
        bench
    }

    fn feed(&mut self, kind: InputKind) {
        self.switch.handle(&Input { at: self.now, kind });
        self.events.extend(self.switch.take_events());
        while let Some(effect) = self.switch.poll_effect() {
            if let Effect::Leg {
                leg,
                command: LegCommand::Invite(invite),
            } = effect
                && let Target::Seat { seat, .. } = &invite.target
            {
                self.rung.insert(seat.clone(), leg);
            }
        }
    }

    fn registers(&mut self, seat: &str) {
        self.now = self.now + Millis(1);
        let (contact, until) = (format!("sip:{seat}@phone"), self.now + Millis(3_600_000));
        self.link(seat, SeatLink::Registered { contact, until });
    }

    fn link(&mut self, seat: &str, link: SeatLink) {
        let seat = SeatId::from(seat);
        self.feed(InputKind::Seat { seat, link });
    }

    fn calls_from(&mut self, ingress: Ingress, number: &str) -> (CallId, LegId) {
        self.made += 1;
        let call = CallId(Uuid::from_u128(self.made));
        let leg = LegId(Uuid::from_u128(self.made + 1_000));
        let arrival = Arrival {
            ingress,
            ..arrival(call, leg, TrunkId::from("ct"), number.to_owned())
        };
        self.feed(InputKind::Arrived {
            arrival: Box::new(arrival),
        });
        (call, leg)
    }

    fn calls(&mut self, queue: &str) -> (CallId, LegId) {
        let number = format!("138001380{:02}", self.made);
        self.calls_from(Ingress::Trunk(TrunkId::from(queue)), &number)
    }

    fn passes(&mut self, ms: u32) {
        let end = self.now + Millis(ms);
        while let Some((due, _)) = self.switch.poll_timeout().filter(|(due, _)| *due <= end) {
            self.now = self.now.max(due);
            self.feed(InputKind::Tick);
        }
        self.now = end;
    }

    fn picks_up(&mut self, seat: &str) {
        let leg = self.rung[&SeatId::from(seat)];
        let event = LegEvent::Answered;
        self.feed(InputKind::Leg { leg, event });
    }

    fn hangs_up(&mut self, leg: LegId) {
        let event = LegEvent::Ended {
            cause: Cause::Normal,
            by_far_side: true,
        };
        self.feed(InputKind::Leg { leg, event });
    }

    fn why(&self, call: CallId) -> Vec<What> {
        let mut why = Why::new(call, []);
        self.events.iter().for_each(|event| why.take(event));
        why.finish().into_iter().map(|b| b.what).collect()
    }

    fn says(&self, call: CallId, what: &What) {
        let told = self.why(call);
        assert!(told.contains(what), "{what:?} is not in {told:#?}");
    }
}

fn rung(seat: &str, rule: Rule) -> What {
    let seat = SeatId::from(seat);
    What::Rung { seat, rule }
}

fn held(seat: &str, reason: Held) -> What {
    let seat = SeatId::from(seat);
    What::Held { seat, reason }
}

fn off(seat: &str, state: &str, reason: Option<&str>) -> What {
    What::Off {
        seat: SeatId::from(seat),
        state: state.to_owned(),
        reason: reason.map(str::to_owned),
    }
}

#[test]
fn seat_without_the_skill_is_named_and_so_is_the_one_that_rang() {
    let mut bench = Bench::new();
    bench.registers("801");
    bench.registers("802");
    let (call, _) = bench.calls("child");
    bench.says(call, &rung("802", Rule::OnlyFit));
    bench.says(call, &held("801", Held::Skill));
    let told = bench.why(call);
    assert_eq!(told[1].zh(), "坐席 801 空闲而未被呼叫：缺少所需技能");
    assert_eq!(told[0].en(), "seat 802 was rung: nobody else was fit");
}

#[test]
fn caller_who_came_back_to_his_seat_is_told_so() {
    let mut bench = Bench::new();
    bench.registers("802");
    let trunk = Ingress::Trunk(TrunkId::from("main"));
    let (_, leg) = bench.calls_from(trunk.clone(), "13900139000");
    bench.picks_up("802");
    bench.hangs_up(leg);
    bench.registers("801");
    bench.passes(20_000);
    let (call, _) = bench.calls_from(trunk, "13900139000");
    bench.says(call, &rung("802", Rule::Affinity));
}

#[test]
fn crew_that_calls_is_told_with_the_seat_that_had_its_incident() {
    let mut bench = Bench::new();
    bench.registers("802");
    let (incident, leg) = bench.calls("main");
    bench.picks_up("802");
    bench.hangs_up(leg);
    bench.registers("801");
    bench.passes(20_000);
    bench.feed(InputKind::Command {
        id: CommandId(Uuid::nil()),
        by: Actor::Seat(SeatId::from("802")),
        command: Command::NameCrew {
            call: incident,
            numbers: vec![String::from("13900139000")],
        },
    });
    let trunk = Ingress::Trunk(TrunkId::from("main"));
    let (call, _) = bench.calls_from(trunk, "13900139000");
    bench.says(call, &rung("802", Rule::Affinity));
    let told = bench.why(call);
    assert_eq!(told[0].zh(), "车组来电：优先分配给受理该事件的坐席 802");
    assert!(told[0].en().starts_with("a crew calls: seat 802"));
}

#[test]
fn seats_that_are_away_or_in_after_call_work_or_talking_are_named_with_it() {
    let mut bench = Bench::new();
    bench.registers("801");
    let (_, leg) = bench.calls("main");
    bench.picks_up("801");
    bench.hangs_up(leg);
    bench.registers("802");
    let seat = SeatId::from("802");
    bench.feed(InputKind::Command {
        id: CommandId(Uuid::nil()),
        by: Actor::Seat(seat.clone()),
        command: Command::SeatNotReady {
            seat,
            reason: String::from("离席"),
        },
    });
    let (call, _) = bench.calls("main");
    bench.says(call, &What::NobodyFree);
    bench.says(call, &off("801", "wrap_up", None));
    bench.says(call, &off("802", "not_ready", Some("离席")));
}

#[test]
fn seats_whose_phones_are_dead_or_gone_are_named_with_it() {
    let mut bench = Bench::new();
    bench.registers("801");
    bench.registers("802");
    bench.link("801", SeatLink::Reachable { reachable: false });
    bench.link("802", SeatLink::Unregistered);
    let (call, _) = bench.calls("main");
    bench.says(call, &What::NobodyFree);
    bench.says(call, &off("801", "unreachable", None));
    bench.says(call, &off("802", "signed_out", None));
}

#[test]
fn supervisor_who_is_kept_back_is_told_until_the_wait_is_too_long() {
    let mut bench = Bench::new();
    bench.registers("801");
    bench.registers("901");
    bench.calls("main");
    bench.picks_up("801");
    let (call, _) = bench.calls("main");
    bench.says(call, &held("901", Held::Role));
    bench.passes(10_000);
    bench.says(call, &rung("901", Rule::OnlyFit));
}

#[test]
fn seat_that_made_the_call_itself_is_told() {
    let mut bench = Bench::new();
    bench.registers("801");
    bench.registers("802");
    let (call, _) = bench.calls_from(Ingress::Seat(SeatId::from("801")), "801");
    bench.says(call, &rung("802", Rule::OnlyFit));
    bench.says(call, &off("801", "talking", None));
}

#[test]
fn need_that_fell_away_is_told_with_the_seat_that_rang_then() {
    let mut bench = Bench::new();
    bench.registers("801");
    let (call, _) = bench.calls("child");
    bench.says(call, &What::NobodyFits);
    bench.says(call, &held("801", Held::Skill));
    bench.passes(5_000);
    let skill = String::from("child");
    bench.says(call, &What::Relaxed { skill });
    bench.says(call, &rung("801", Rule::OnlyFit));
}

#[test]
fn call_for_which_nobody_serves_is_told_so() {
    let mut bench = Bench::new();
    let (call, _) = bench.calls("main");
    assert_eq!(bench.why(call), [What::NobodyFree]);
}

#[test]
fn seat_that_rings_beside_another_is_told() {
    let mut bench = Bench::new();
    bench.registers("801");
    bench.registers("802");
    let (call, _) = bench.calls("all");
    bench.says(call, &rung("801", Rule::RingAll));
    bench.says(call, &rung("802", Rule::Spare));
    bench.picks_up("802");
    let seat = SeatId::from("802");
    bench.says(call, &What::Answered { seat });
}

#[test]
fn call_of_a_number_over_its_share_is_told_that_it_stands_behind() {
    let mut bench = Bench::new();
    bench.registers("801");
    let trunk = Ingress::Trunk(TrunkId::from("main"));
    bench.calls_from(trunk.clone(), "13900139000");
    bench.picks_up("801");
    let mut call = None;
    for _ in 0..5 {
        call = Some(bench.calls_from(trunk.clone(), "13900139000").0);
    }
    let what = What::Behind { why: Behind::Share };
    bench.says(call.unwrap(), &what);
    assert!(what.zh().contains("后移 90 秒") && what.en().contains("90 s"));
}

impl Bench {
    fn why_seat(&self, seat: &str, waits: bool) -> Vec<What> {
        let state = String::from("signed_out");
        let mut why = WhySeat::new(SeatId::from(seat), state, None);
        self.events.iter().for_each(|event| why.take(event));
        let told = why.finish(waits, self.now);
        told.into_iter().map(|(_, because)| because.what).collect()
    }
}

#[test]
fn free_seat_is_told_what_held_it_back_and_who_came_first() {
    let mut bench = Bench::new();
    bench.registers("802");
    bench.registers("801");
    assert_eq!(bench.why_seat("801", false), [What::NobodyWaits]);
    bench.calls("child");
    bench.calls("main");
    bench.picks_up("802");
    assert_eq!(
        bench.why_seat("801", true)[..2],
        [held("801", Held::Skill), rung("801", Rule::OnlyFit)]
    );
    let mut bench = Bench::new();
    bench.registers("802");
    bench.registers("801");
    bench.registers("901");
    bench.calls("all");
    let told = bench.why_seat("901", true);
    assert_eq!(told[0], held("901", Held::Role), "{told:?}");
    assert_eq!(
        told[0].zh(),
        "坐席 901 空闲而未被呼叫：班长在有调度员当班时后备"
    );
}

#[test]
fn seat_that_is_not_free_is_told_what_it_does() {
    let bench = Bench::new();
    assert_eq!(
        bench.why_seat("801", true),
        [off("801", "signed_out", None)]
    );
}
