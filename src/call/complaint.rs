//! 投诉 and 突发事件: what people keep an eye on beyond the talk (WS/T 451-2014 7.2.1.2-f and -l).

use serde::{Deserialize, Serialize};

use crate::id::{CallId, ComplaintId};
use crate::time::Timestamp;

/// A complaint. While it is open, and until a supervisor lifts the hold, nothing of its calls may be deleted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Complaint {
    pub complaint: ComplaintId,
    /// The call on which it was made, or that it is about.
    pub call: CallId,
    /// Other calls that it is about, however old.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub about: Vec<CallId>,
    /// Who complains.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub person: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<String>,
    pub text: String,
    pub by: String,
    pub at: Timestamp,
    /// Legal hold (封存): recordings and record are kept beyond their time.
    pub held: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed: Option<Closed>,
}

/// How a complaint ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Closed {
    pub by: String,
    pub at: Timestamp,
    pub outcome: String,
}

impl Complaint {
    /// The calls that it is about.
    pub fn calls(&self) -> impl Iterator<Item = CallId> + '_ {
        std::iter::once(self.call).chain(self.about.iter().copied())
    }
}

/// A major incident (突发事件) and its checklist.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Major {
    pub by: String,
    pub at: Timestamp,
    /// `casualties`: three or more; `marked`: a person says so.
    pub reason: String,
    pub steps: Vec<Step>,
}

/// One step of the checklist.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Step {
    pub code: String,
    pub zh: String,
    pub en: String,
    /// Who ticked it, and when; absent: to be done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
}
