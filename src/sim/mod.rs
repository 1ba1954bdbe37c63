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

use crate::call::{Arrival, DialogState, Ingress};
use crate::id::{CallId, LegId, TrunkId};

/// A caller of 120 on a trunk, of whom only the number is known.
fn arrival(call: CallId, leg: LegId, trunk: TrunkId, caller: String) -> Arrival {
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
