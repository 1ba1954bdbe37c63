//! Why a leg or a call ended (释放原因): one table for SIP status, Q.850 and our own reasons.

use serde::{Deserialize, Serialize};

/// Why a leg or call ended.
#[derive(
    Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// The other side hung up after talking (BYE).
    Normal,
    /// The caller gave up before the answer (CANCEL).
    Cancelled,
    /// 486, 600.
    Busy,
    /// 480, 408 after ringing, or our own ring time-out.
    NoAnswer,
    /// 404, 604, 484: the number does not exist.
    Unallocated,
    /// 403, 603 and other refusals by the far side.
    Rejected,
    /// 500-599: the far network cannot take it now.
    Unavailable,
    /// No answer of any kind from the far side.
    Unreachable,
    /// 488, 606, 415: no common codec.
    MediaRefused,
    /// 60 s without RTP and three unanswered OPTIONS, or the session timer ran out.
    Lost,
    /// We had no port, descriptor or channel (503 + Retry-After).
    Capacity,
    /// A seat's command or hang-up ended it.
    SeatReleased,
    /// The party is no longer wanted.
    Withdrawn,
    /// Another phone that rang beside answered first.
    AnsweredElsewhere,
    /// This process was restarted and the old dialog is being closed.
    Restarted,
    /// A fault of ours on this call.
    InternalFault,
}

impl Cause {
    /// The final SIP status that means this on an unanswered leg (RFC 3261 section 21).
    #[must_use]
    pub const fn sip_status(self) -> u16 {
        match self {
            Self::Normal | Self::SeatReleased | Self::Withdrawn | Self::AnsweredElsewhere => 480,
            Self::Cancelled => 487,
            Self::Busy => 486,
            Self::NoAnswer | Self::Lost => 480,
            Self::Unallocated => 404,
            Self::Rejected => 403,
            Self::Unavailable | Self::Capacity | Self::Restarted => 503,
            Self::Unreachable => 408,
            Self::MediaRefused => 488,
            Self::InternalFault => 500,
        }
    }

    /// The Q.850 cause value carried in `Reason` (RFC 3326) and in the record.
    #[must_use]
    pub const fn q850(self) -> u8 {
        match self {
            Self::Normal | Self::Cancelled | Self::SeatReleased | Self::Withdrawn => 16,
            // Non-selected user clearing.
            Self::AnsweredElsewhere => 26,
            Self::Busy => 17,
            Self::NoAnswer => 19,
            Self::Unallocated => 1,
            Self::Rejected => 21,
            Self::Unavailable => 38,
            Self::Unreachable => 18,
            Self::MediaRefused => 88,
            Self::Lost => 31,
            Self::Capacity => 34,
            Self::Restarted => 41,
            Self::InternalFault => 127,
        }
    }

    /// Something broke, as opposed to somebody deciding: a far network, a line or a fault of ours. A leg that ends
    /// so was lost, not hung up.
    #[must_use]
    pub const fn is_failure(self) -> bool {
        match self {
            Self::Unavailable
            | Self::Unreachable
            | Self::MediaRefused
            | Self::Lost
            | Self::Capacity
            | Self::Restarted
            | Self::InternalFault => true,
            Self::Normal
            | Self::Cancelled
            | Self::Busy
            | Self::NoAnswer
            | Self::Unallocated
            | Self::Rejected
            | Self::SeatReleased
            | Self::Withdrawn
            | Self::AnsweredElsewhere => false,
        }
    }

    /// The cause that a final SIP failure status means (RFC 3398 section 8.2.6, shortened).
    #[must_use]
    pub const fn from_sip_status(status: u16) -> Self {
        match status {
            486 | 600 => Self::Busy,
            408 | 480 => Self::NoAnswer,
            404 | 484 | 604 | 410 => Self::Unallocated,
            487 => Self::Cancelled,
            415 | 488 | 606 => Self::MediaRefused,
            500..=599 => Self::Unavailable,
            _ => Self::Rejected,
        }
    }
}
