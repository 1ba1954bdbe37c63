//! The part of the configuration that the core decides by. Travels in the journal.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::SelfTestRules;
use crate::acd::{SeatRole, Strategy};
use crate::call::{AnswerPolicy, Lists};
use crate::id::{GroupId, PhoneId, QueueId, ReliefId, SeatId, TrunkId};
use crate::ivr::Menus;
use crate::screen::Bounds;
use crate::time::Millis;

/// What the core decides by.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Policy {
    pub centre: Centre,
    /// The queue of calls whose entry names none; always one of `queues`.
    pub queue: QueueId,
    pub queues: BTreeMap<QueueId, QueuePolicy>,
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
    pub call_backs: CallBackRules,
    #[serde(default)]
    pub menus: Menus,
    /// People outside, in the order in which they are rung.
    #[serde(default)]
    pub relief: Arc<Vec<Relief>>,
    /// Numbers that a group call may ring by one name.
    #[serde(default)]
    pub groups: Arc<BTreeMap<GroupId, Vec<String>>>,
    #[serde(default)]
    pub self_tests: SelfTestRules,
    /// What a form may choose from.
    #[serde(default)]
    pub forms: Arc<Lists>,
    #[serde(default)]
    pub desks: Desks,
    /// Language folder of the prompts, such as `zh-CN`.
    pub language: String,
    /// Admits commands that plant faults (tests only).
    pub allow_faults: bool,
    /// Calls are recorded; off only while the cost of recording is measured.
    #[serde(default = "always")]
    pub recording: bool,
}

/// Where seats may sign in beside their own phones.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Desks {
    /// Phones that are no seat's own.
    pub phones: BTreeSet<PhoneId>,
    /// Seats that have a PIN; what it is stays outside.
    pub pins: BTreeSet<SeatId>,
}

/// What a journal of an older build meant.
const fn always() -> bool {
    true
}

/// Who is to be called back, and who dials.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallBackRules {
    /// Free seats are rung for call-backs that no person took up.
    pub automatic: bool,
    /// A caller who hangs up so soon after the answer is called back; 0: only those left or lost.
    pub dropped_within: Millis,
    /// So is one who hangs up before anything was dispatched and no incident is known.
    pub before_dispatch: bool,
}

/// People outside who may take a waiting call by a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Relief {
    pub id: ReliefId,
    pub kind: ReliefKind,
    /// Dialled as written, through the outbound trunks.
    pub numbers: Vec<String>,
    /// So long a call has waited before they are rung for it.
    pub after: Millis,
}

/// Who they are.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReliefKind {
    /// Another centre (邻近中心): rung for each call that waits too long.
    Peer,
    /// Phones of our own people (移动组): rung while no seat serves.
    Group,
}

impl ReliefKind {
    /// Their role in the call they take.
    #[must_use]
    pub const fn role(self) -> &'static str {
        match self {
            Self::Peer => "peer",
            Self::Group => "group",
        }
    }
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

/// One queue behind the emergency number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueuePolicy {
    pub strategy: Strategy,
    /// Skills that a seat must have, the least important last.
    pub needs: Vec<String>,
    /// After each such span of waiting the last need falls away, and with the last one the queue itself.
    pub relax: Millis,
    /// Its calls stand as if they had come so much earlier.
    pub ahead: Millis,
    /// The queue whose seats are fit too once nothing is asked for any more.
    pub fallback: Option<QueueId>,
}

impl QueuePolicy {
    /// A queue that asks for nothing.
    pub const PLAIN: Self = Self {
        strategy: Strategy::LongestIdle,
        needs: Vec::new(),
        relax: Millis::from_secs(15),
        ahead: Millis(0),
        fallback: None,
    };

    /// What a call that has waited so long asks for: skills, and the fallback queue if its time has come.
    #[must_use]
    pub fn need_after(&self, waited_ms: u64) -> (&[String], Option<&QueueId>) {
        let steps = waited_ms / u64::from(self.relax.0.max(1));
        let fallen = usize::try_from(steps).unwrap_or(usize::MAX);
        let left = self.needs.len().saturating_sub(fallen);
        let fallback = self.fallback.as_ref().filter(|_| fallen > 0 && left == 0);
        (self.needs.get(..left).unwrap_or(&[]), fallback)
    }
}

impl Policy {
    /// The rules of a queue; of the default one when it is no more.
    #[must_use]
    pub fn queue_of(&self, queue: &QueueId) -> &QueuePolicy {
        const PLAIN: &QueuePolicy = &QueuePolicy::PLAIN;
        let found = self.queues.get(queue);
        found
            .or_else(|| self.queues.get(&self.queue))
            .unwrap_or(PLAIN)
    }
}

/// Timers, with the defaults of the domain (each traced in docs/ws-t-451.md).
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
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
    /// First answer -> first and second `alert.handling_exceeded` while no vehicle is sent.
    pub handling_first: Millis,
    pub handling_second: Millis,
    /// A caller belongs to the seat that handled him within this.
    pub affinity: Millis,
    /// A caller on hold is reminded of after this, and again.
    #[serde(default = "hold_reminder")]
    pub hold_reminder: Millis,
    /// A caller on the shelf hears the prompt again, and people are told.
    #[serde(default = "shelf_reminder")]
    pub shelf_reminder: Millis,
    /// The longest stay on the shelf.
    #[serde(default = "shelf_max")]
    pub shelf_max: Millis,
    /// A seat that has had nothing to do for so long gets the oldest caller of the shelf.
    #[serde(default = "shelf_idle")]
    pub shelf_idle: Millis,
    /// A seat whose line was lost in a talk and is back within this gets its caller back, if nobody has answered him.
    #[serde(default = "seat_back")]
    pub seat_back: Millis,
    /// A number of a group call rings this long.
    #[serde(default = "group_ring")]
    pub group_ring: Millis,
    /// A lost seat's caller goes back to the queue's head at once; a released leg must report its end within this.
    pub release_guard: Millis,
}

const fn hold_reminder() -> Millis {
    Millis::from_secs(60)
}

const fn shelf_reminder() -> Millis {
    Millis::from_secs(60)
}

const fn shelf_max() -> Millis {
    Millis::from_secs(300)
}

const fn seat_back() -> Millis {
    Millis::from_secs(10)
}

const fn shelf_idle() -> Millis {
    Millis::from_secs(10)
}

const fn group_ring() -> Millis {
    Millis::from_secs(30)
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
            handling_first: Millis::from_secs(60),
            handling_second: Millis::from_secs(120),
            affinity: Millis::from_secs(3600),
            hold_reminder: hold_reminder(),
            shelf_reminder: shelf_reminder(),
            shelf_max: shelf_max(),
            shelf_idle: shelf_idle(),
            seat_back: seat_back(),
            group_ring: group_ring(),
            release_guard: Millis::from_secs(40),
        }
    }
}

/// One configured seat.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeatPolicy {
    pub role: SeatRole,
    /// Queues that it serves; empty: all.
    pub queues: Vec<QueueId>,
    pub skills: Vec<String>,
    /// A registration makes the seat Ready; else it signs in NotReady.
    pub ready_on_register: bool,
}

impl SeatPolicy {
    #[must_use]
    pub fn is_supervisor(&self) -> bool {
        self.role == SeatRole::Supervisor
    }
}

/// One configured trunk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrunkPolicy {
    /// Where its calls wait; absent: the default queue.
    pub queue: Option<QueueId>,
    pub answer: AnswerPolicy,
    /// Area code that a bare local number of this trunk belongs to.
    pub area_code: String,
    /// Order in which outbound calls try the trunks; absent = inbound only.
    pub outbound: Option<u16>,
    /// Number shown on outbound calls, such as `120`.
    pub shown_number: String,
    /// Calls that it carries at once; absent: not known.
    #[serde(default)]
    pub circuits: Option<u16>,
    /// So many of them are left to callers, whatever we dial.
    #[serde(default)]
    pub circuits_kept: u16,
    /// It leads to a peer centre: what comes from there is never sent on to people outside.
    #[serde(default)]
    pub peer: bool,
}
