//! What a call that we make is for.

use serde::{Deserialize, Serialize};

use super::Cause;
use crate::id::{LegId, SeatId};

/// Role of the crew in a bridge.
pub const CREW: &str = "crew";

/// Who made a call, as in `ecr/1`.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// Somebody called us.
    #[default]
    Inbound,
    /// A seat called a number.
    Outbound,
    /// A seat called a seat.
    Internal,
    /// A seat rang somebody back (回拨).
    #[serde(rename = "callback")]
    CallBack,
    /// A crew and the caller of its incident, whom we rang both.
    Bridge,
}

impl Direction {
    /// The public name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Inbound => "inbound",
            Self::Outbound => "outbound",
            Self::Internal => "internal",
            Self::CallBack => "callback",
            Self::Bridge => "bridge",
        }
    }
}

/// Whom a seat called.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Callee {
    /// As dialled.
    Number(String),
    Seat(SeatId),
}

/// The made part of a call that we make. Its seat is its ingress; a bridge has a crew in its place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outbound {
    pub direction: Direction,
    pub callee: Callee,
    /// Why the callee was not reached.
    pub failed: Option<Cause>,
}

/// The seat that dialled is being rung; the callee comes after it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dialling {
    pub seat: SeatId,
    pub leg: LegId,
    /// Its phone gave any sign of life.
    pub alive: bool,
    /// Its phone said that it rings.
    pub rang: bool,
}
