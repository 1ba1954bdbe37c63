//! The live picture as the public API tells it (`GET /api/v1/live`), as far as the terminal page shows it.

use serde::Deserialize;

/// The whole picture. Times are microseconds of the server's clock since 1970.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Picture {
    /// The server's clock when it was sent.
    pub at_now: i64,
    pub calls: Vec<Call>,
    pub seats: Vec<Seat>,
    pub trunks: Vec<Trunk>,
    pub call_backs: Vec<CallBack>,
    pub alarms: Vec<Alarm>,
    pub queue_listeners: Vec<QueueListener>,
    /// Grows with each change of a group call.
    pub group_calls_revision: u64,
    pub arrived: u64,
    pub answered: u64,
    pub abandoned: u64,
    pub lost: u64,
}

/// One open call.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Call {
    pub call: String,
    pub state: String,
    pub direction: String,
    pub trunk: Option<String>,
    pub caller: String,
    pub called: String,
    pub received_at: i64,
    /// Calls before it; absent when it does not wait.
    pub position: Option<u32>,
    pub wait_exceeded: bool,
    pub answered_at: Option<i64>,
    pub seat: Option<String>,
    pub joined_with: Vec<String>,
    pub hold: Option<Hold>,
    pub shelf: Option<Shelf>,
    pub silent: Option<Silent>,
    pub transfer: Option<Transfer>,
    pub incident_id: Option<String>,
    pub crew_of: Option<CrewOf>,
    pub assist: Option<Assist>,
    pub screen: Screen,
    pub call_type: Option<Entry>,
    pub handling_level: u8,
    pub medical_advice: bool,
    /// Steps done and all steps.
    pub major: Option<(u32, u32)>,
    pub legs: Vec<Leg>,
}

/// The incident of a crew's call.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct CrewOf {
    pub call: String,
}

/// A caller on hold.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Hold {
    pub since: i64,
    /// `command` or `phone`.
    pub by: String,
    pub reminded: bool,
}

/// A caller put aside.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Shelf {
    pub since: i64,
}

/// A caller who was asked for a key.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Silent {
    pub key: Option<String>,
}

/// A transfer under way.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Transfer {
    pub to: String,
    pub up: bool,
}

/// Its seat asks for a supervisor.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Assist {
    pub seat: String,
    pub taken: Option<String>,
}

/// Labels of the number.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Screen {
    pub repeated: bool,
    pub repeat_calls: u32,
    pub mark: Option<Mark>,
}

/// `proposed` or `confirmed`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Mark {
    pub state: String,
}

/// A word of the centre's lists.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Entry {
    pub code: String,
    pub zh: String,
    pub en: String,
}

/// One leg.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Leg {
    pub leg: String,
    /// `caller`, `seat-801`, `doctor-1`, `supervisor-800`.
    pub party: String,
    pub state: String,
}

/// One seat.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Seat {
    pub seat: String,
    pub supervisor: bool,
    pub state: String,
    pub reason: Option<String>,
    pub since: i64,
    pub registered: bool,
}

/// One trunk.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Trunk {
    pub trunk: String,
    pub up: Option<bool>,
}

/// One open call-back.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct CallBack {
    pub call_back: String,
    pub number: String,
    pub reason: String,
    pub due_at: i64,
    pub calls: u32,
    pub urgent: bool,
    /// `open`, `dialling`, `on_line`.
    pub state: String,
    pub seat: Option<String>,
    pub attempts: u32,
    pub overdue: bool,
}

/// One standing alarm.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Alarm {
    pub code: String,
    pub subject: String,
    pub detail: String,
}

/// A supervisor's phone that listens to a queue.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct QueueListener {
    pub seat: String,
}

/// Whom the server takes us for.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Me {
    /// `seat`, `supervisor`, `admin`.
    pub role: String,
    pub seat: Option<String>,
}

impl Picture {
    /// The seat's phone listens to a queue.
    #[must_use]
    pub fn listens_to_queue(&self, seat: &str) -> bool {
        self.queue_listeners.iter().any(|own| own.seat == seat)
    }
}

impl Call {
    /// Nobody has answered it yet; calls that we make never wait.
    #[must_use]
    pub fn waits(&self) -> bool {
        self.answered_at.is_none() && self.direction == "inbound"
    }

    /// It has ended for everybody.
    #[must_use]
    pub fn closes(&self) -> bool {
        self.state == "closing"
    }

    /// A seat of its own talks in it.
    #[must_use]
    pub fn seated(&self) -> bool {
        self.legs.iter().any(|leg| leg.party.starts_with("seat-"))
    }

    /// A supervisor's leg of that seat.
    #[must_use]
    pub fn has_listener(&self, seat: &str) -> bool {
        let party = format!("supervisor-{seat}");
        self.legs.iter().any(|leg| leg.party == party)
    }

    /// The third party that was rung last.
    #[must_use]
    pub fn newest_third(&self) -> Option<&Leg> {
        let known = ["caller", "seat-", "supervisor-"];
        let third = |leg: &&Leg| !known.iter().any(|party| leg.party.starts_with(party));
        self.legs.iter().filter(third).max_by_key(|leg| &leg.leg)
    }
}
