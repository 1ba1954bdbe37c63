//! China's number plan: one caller's number in raw, E.164 and display form. Pure; never refuses a number.

use serde::{Deserialize, Serialize};

/// A telephone number as it arrived and as people and systems want it. Shape: `caller.number` of `ecr/1`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Number {
    /// As the trunk sent it.
    pub raw: String,
    /// `+8613800138000`; absent when the plan cannot tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub e164: Option<String>,
    /// As people write it here: `13800138000`, `0755-88888888`, or the raw text.
    pub display: String,
    /// Withheld or unavailable.
    pub anonymous: bool,
    /// Whether we can ring back.
    pub callable: bool,
    /// What the plan says it is.
    pub kind: NumberKind,
}

/// What the number plan says a number is.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NumberKind {
    Landline,
    Mobile,
    MachineToMachine,
    Service,
    Foreign,
    Unknown,
}
