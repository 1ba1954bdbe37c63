//! A group call (群呼): many numbers rung at once, told a sentence, asked for a key. WS/T 451-2014 7.2.2-h and -m.

use serde::{Deserialize, Serialize};

use crate::id::{CallId, GroupCallId, GroupId, PromptId};
use crate::time::Timestamp;

/// What somebody wants rung.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupWish {
    /// Dialled as written, but for `-` and blanks; empty when a group is named.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub numbers: Vec<String>,
    /// A configured group instead of numbers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<GroupId>,
    /// What they hear.
    pub prompt: PromptId,
    /// The key that acknowledges.
    pub digit: char,
    /// The call that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call: Option<CallId>,
    /// Who acknowledges first has it; the others are rung no more.
    pub first_wins: bool,
    /// How often who was busy, did not answer or was not reached is rung again.
    pub retries: u8,
}

/// A group call and its table, as people see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct GroupCall {
    pub group_call: GroupCallId,
    /// Who started it.
    pub by: String,
    /// The configured group; absent: a list of numbers.
    pub group: Option<GroupId>,
    pub prompt: PromptId,
    #[schema(value_type = String)]
    pub digit: char,
    pub first_wins: bool,
    pub retries: u8,
    /// The call that it is about; its record tells of it.
    pub call: Option<CallId>,
    pub started_at: Timestamp,
    pub ended_at: Option<Timestamp>,
    /// `complete`, `taken` (`first_wins`), `cancelled`.
    pub ended_why: Option<String>,
    pub targets: Vec<GroupTarget>,
}

/// One number of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct GroupTarget {
    pub number: String,
    pub state: GroupState,
    /// How it ended, once.
    pub result: Option<GroupResult>,
    /// How often it was rung.
    pub attempts: u8,
    /// When it was rung first.
    pub rung_at: Option<Timestamp>,
    /// When it was picked up.
    pub answered_at: Option<Timestamp>,
    /// When it had its result; of `acknowledged`, when the key came.
    pub ended_at: Option<Timestamp>,
}

/// Where a target stands.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum GroupState {
    /// For a free circuit, or to be rung again.
    Waiting,
    Ringing,
    /// Picked up, and hears the sentence.
    Listening,
    Done,
}

/// How a target ended.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum GroupResult {
    /// Pressed the key.
    Acknowledged,
    /// Pressed the key that says no.
    Declined,
    /// Picked up and pressed nothing in time; a mailbox does so.
    NoKey,
    /// Picked up and hung up without a key.
    Left,
    /// Picked up, and the line broke.
    Lost,
    /// Somebody else was first.
    Taken,
    Busy,
    NoAnswer,
    /// There is no such number.
    Unallocated,
    Rejected,
    /// No trunk led there.
    Unreachable,
    /// No circuit was free in time.
    NoCircuit,
    Cancelled,
    /// The engine was restarted while it was rung or listened.
    Restarted,
}

impl GroupResult {
    /// The public name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Acknowledged => "acknowledged",
            Self::Declined => "declined",
            Self::NoKey => "no_key",
            Self::Left => "left",
            Self::Lost => "lost",
            Self::Taken => "taken",
            Self::Busy => "busy",
            Self::NoAnswer => "no_answer",
            Self::Unallocated => "unallocated",
            Self::Rejected => "rejected",
            Self::Unreachable => "unreachable",
            Self::NoCircuit => "no_circuit",
            Self::Cancelled => "cancelled",
            Self::Restarted => "restarted",
        }
    }

    /// Another try may reach him.
    #[must_use]
    pub const fn may_be_retried(self) -> bool {
        match self {
            Self::Busy | Self::NoAnswer | Self::Unreachable => true,
            Self::Acknowledged
            | Self::Declined
            | Self::NoKey
            | Self::Left
            | Self::Lost
            | Self::Taken
            | Self::Unallocated
            | Self::Rejected
            | Self::NoCircuit
            | Self::Cancelled
            | Self::Restarted => false,
        }
    }
}

impl GroupTarget {
    /// Not rung yet.
    #[must_use]
    pub const fn new(number: String) -> Self {
        Self {
            number,
            state: GroupState::Waiting,
            result: None,
            attempts: 0,
            rung_at: None,
            answered_at: None,
            ended_at: None,
        }
    }
}
