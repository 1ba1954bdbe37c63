//! People and carriers without people and carriers: a simulated centre in virtual time that checks the invariants
//! ([`day`], pure), a flood ([`flood`], pure), and a practice centre, telephones over real UDP.

pub mod centre;
pub mod day;
pub mod flood;
pub mod parallel;
pub mod phone;
pub mod reference;
pub mod small;
pub mod what_if;

use crate::call::{AnswerPolicy, Arrival, DialogState, Ingress};
use crate::id::{CallId, LegId, QueueId, SeatId, TrunkId};
use crate::switch::{
    CallBackRules, Centre, Policy, QueuePolicy, SeatPolicy, SeatRole, Timers, TrunkPolicy,
};

/// A caller of 120 on a trunk, of whom only the number is known.
#[must_use]
pub fn arrival(call: CallId, leg: LegId, trunk: TrunkId, caller: String) -> Arrival {
    Arrival {
        call,
        leg,
        ingress: Ingress::Trunk(trunk),
        invite_key: leg.to_string(),
        called: String::from("120"),
        caller,
        caller_name: None,
        anonymous: false,
        access_network: Vec::new(),
        geolocation: Vec::new(),
        pidf: Vec::new(),
        diverted_from: Vec::new(),
        source: String::from("192.0.2.1:5060"),
        dialog: DialogState(serde_json::Value::Null),
        refused_capacity: false,
    }
}

/// A centre of dispatchers 800, 801.. behind one trunk and one queue, which records nothing.
fn plain_policy(name: &str, seats: usize) -> Policy {
    let seat = |n| {
        let seat = SeatPolicy {
            role: SeatRole::Dispatcher,
            queues: Vec::new(),
            skills: Vec::new(),
            ready_on_register: true,
        };
        (SeatId(format!("80{n}")), seat)
    };
    let trunk = TrunkPolicy {
        queue: None,
        answer: AnswerPolicy::AtOnce,
        area_code: String::from("0755"),
        outbound: None,
        shown_number: String::from("120"),
        circuits: None,
        circuits_kept: 0,
        peer: false,
    };
    let queue = QueueId::from("120");
    Policy {
        centre: Centre {
            id: name.to_owned(),
            name: name.to_owned(),
            area_code: String::from("0755"),
            division: String::from("440300"),
        },
        queue: queue.clone(),
        queues: [(queue, QueuePolicy::PLAIN)].into(),
        timers: Timers::default(),
        seats: (0..seats).map(seat).collect(),
        trunks: [(TrunkId::from("ct"), trunk)].into(),
        shared_numbers: Vec::new(),
        screening: crate::screen::Bounds::default(),
        call_backs: CallBackRules::default(),
        desks: Default::default(),
        menus: Default::default(),
        relief: Default::default(),
        groups: Default::default(),
        forms: Default::default(),
        language: String::from("zh-CN"),
        self_tests: crate::switch::SelfTestRules::default(),
        allow_faults: false,
        recording: false,
    }
}
