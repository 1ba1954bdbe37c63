//! The part of the configuration that the core decides by. Travels in the journal.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::call::AnswerPolicy;
use crate::id::{QueueId, SeatId, TrunkId};
use crate::ivr::Menus;
use crate::screen::Bounds;
use crate::time::Millis;

/// What the core decides by.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Policy {
    pub centre: Centre,
    pub queue: QueueId,
    pub strategy: Strategy,
    pub timers: Timers,
    pub seats: BTreeMap<SeatId, SeatPolicy>,
    pub trunks: BTreeMap<TrunkId, TrunkPolicy>,
    /// Numbers (E.164) that many people call from: they share nothing and inherit nothing.
    #[serde(default)]
    pub shared_numbers: Vec<String>,
    /// What screening counts by.
    #[serde(default)]
    pub screening: Bounds,
    #[serde(default)]
    pub menus: Menus,
    /// Language folder of the prompts, such as `zh-CN`.
    pub language: String,
    /// Admits commands that plant faults (tests only).
    pub allow_faults: bool,
    /// Calls are recorded; off only while the cost of recording is measured.
    #[serde(default = "always")]
    pub recording: bool,
}

/// What a journal of an older build meant.
const fn always() -> bool {
    true
}

/// The centre, as in `ecr/1`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Centre {
    pub id: String,
    pub name: String,
    /// `0755`.
    pub area_code: String,
    /// GB/T 2260, `440300`.
    pub division: String,
}

/// Which ready seat is offered a call.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    LongestIdle,
    /// 随机分配 (WS/T 451 7.2.1.1-d), drawn from the seeded source of the switch.
    Random,
}

/// Timers, with the defaults of the domain (each traced in docs/ws-t-451.md).
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timers {
    /// 200 -> greeting when no ACK came earlier.
    pub greeting_after: Millis,
    /// A seat rings this long, then the next.
    pub ring: Millis,
    /// Arrival -> `alert.wait_exceeded`.
    pub wait_alert: Millis,
    /// First still-waiting prompt, and its repetition.
    pub still_waiting: Millis,
    /// A third party rings this long.
    pub third_party_ring: Millis,
    /// Silence of a trunk on an outbound INVITE before the next trunk is tried.
    pub trunk_silence: Millis,
    /// After-call work before the seat is ready again.
    pub wrap_up: Millis,
    /// A lost seat's caller goes back to the queue's head at once; a released leg must report its end within this.
    pub release_guard: Millis,
}

impl Default for Timers {
    fn default() -> Self {
        Self {
            greeting_after: Millis(300),
            ring: Millis::from_secs(8),
            wait_alert: Millis::from_secs(10),
            still_waiting: Millis::from_secs(20),
            third_party_ring: Millis::from_secs(60),
            trunk_silence: Millis::from_secs(4),
            wrap_up: Millis::from_secs(15),
            release_guard: Millis::from_secs(40),
        }
    }
}

/// One configured seat.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeatPolicy {
    pub supervisor: bool,
    /// A registration makes the seat Ready; else it signs in NotReady.
    pub ready_on_register: bool,
}

/// One configured trunk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrunkPolicy {
    pub answer: AnswerPolicy,
    /// Area code that a bare local number of this trunk belongs to.
    pub area_code: String,
    /// Order in which outbound calls try the trunks; absent = inbound only.
    pub outbound: Option<u16>,
    /// Number shown on outbound calls, such as `120`.
    pub shown_number: String,
}
