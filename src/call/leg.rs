//! The words between the core and a signalling shell: what a leg tells ([`LegEvent`]) and what it is told
//! ([`LegCommand`]).
//!
//! ```text
//! inbound:   Arrived -> [EarlyMedia] -> Answer -> Confirmed -> ... -> Ended
//! outbound:  Invite -> Progress* -> Answered -> ... -> Ended        (or Invite -> Failed)
//! ```

use serde::{Deserialize, Serialize};

use super::Cause;
use crate::id::{CallId, LegId, PhoneId, ReliefId, SeatId, TrunkId};

/// A call came in on a trunk or from a registered phone. Raw texts are kept as they came (cut at the limits of
/// [`crate::limits`]); parsing them is enrichment's work and can never refuse the call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Arrival {
    /// Made by the shell.
    pub call: CallId,
    /// Made by the shell.
    pub leg: LegId,
    /// Where it came in.
    pub ingress: Ingress,
    /// Identity of the INVITE over retransmissions, forks and restarts: Call-ID, From tag and CSeq (RFC 3261 8.2.2.2).
    pub invite_key: String,
    /// The dialled number or URN as it stood in the Request-URI.
    pub called: String,
    /// The calling number: P-Asserted-Identity first, else From; empty when withheld.
    pub caller: String,
    /// Display name of the same header.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caller_name: Option<String>,
    /// Withheld: `Privacy: id`, `anonymous@...`.
    pub anonymous: bool,
    /// P-Access-Network-Info headers, raw.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub access_network: Vec<String>,
    /// Geolocation headers, raw.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub geolocation: Vec<String>,
    /// PIDF-LO bodies (`application/pidf+xml`), raw XML.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pidf: Vec<String>,
    /// History-Info and Diversion headers, raw, newest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub diverted_from: Vec<String>,
    /// `ip:port` the INVITE came from.
    pub source: String,
    /// The first serialised state of its dialog; a restart closes the dialog from it.
    pub dialog: DialogState,
    /// Set when no port, descriptor or channel was left: the shell has answered 503 and only a record is wanted.
    pub refused_capacity: bool,
}

/// Where a call came in.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ingress {
    /// A carrier's trunk.
    Trunk(TrunkId),
    /// A registered seat phone that dialled.
    Seat(SeatId),
}

/// A dialog as its protocol module serialised it. The core carries it, never reads it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DialogState(pub serde_json::Value);

/// When a trunk's call is answered with 200.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AnswerPolicy {
    /// At once, by the engine.
    AtOnce,
    /// 183 with media at once; 200 when a seat answers or at `limit_ms` (a carrier cuts unanswered calls).
    EarlyMedia { limit_ms: crate::time::Millis },
}

/// What a leg tells the core.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum LegEvent {
    /// Outbound: a provisional response; `early_media` when it carried SDP.
    Progress { status: u16, early_media: bool },
    /// Outbound: the far side answered with 200.
    Answered,
    /// Inbound: the ACK of our 200 arrived.
    Confirmed,
    /// Outbound: ended before an answer; `status` is the final SIP status, absent when nothing came.
    Failed { cause: Cause, status: Option<u16> },
    /// The far side put the dialog on hold (re-INVITE sendonly/inactive) or took it back.
    FarHold { held: bool },
    /// A telephone key by SIP INFO (RFC 4733 keys come as media events).
    Digit { digit: char },
    /// The dialog ended: BYE or CANCEL by the far side, session timer, or our own Release done.
    Ended { cause: Cause, by_far_side: bool },
    /// The dialog's serialised state changed (tags, CSeq, route set, target).
    Dialog { state: DialogState },
}

/// What the core tells a leg.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case")]
pub enum LegCommand {
    /// Inbound: 183 with SDP.
    EarlyMedia,
    /// Inbound: 200 with SDP. A no-op when already answered.
    Answer,
    /// Start an outbound leg under this leg id.
    Invite(Box<Invite>),
    /// End it: CANCEL, final response or BYE, whichever its state asks for. A no-op on an ended leg.
    Release { cause: Cause },
    /// No sound came for a minute: ask the far side whether it is still there (OPTIONS in the dialog). An answer brings
    /// no event; three unanswered ones, or an answer that it knows no such dialog, bring `Ended` with cause lost.
    Probe,
    /// After a restart: close a dialog of the old process from its journaled state.
    ReleaseOrphan { dialog: DialogState, cause: Cause },
}

/// An outbound leg to be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Invite {
    /// The call it belongs to.
    pub call: CallId,
    /// Whom to ring.
    pub target: Target,
    /// Calling number shown to the far side (display form).
    pub from_number: String,
    /// Calling name shown, such as the district of the caller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_name: Option<String>,
    /// The person at the phone asked for this call: it may pick up by itself.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub picks_up: bool,
}

/// Whom an outbound leg rings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// The softphone that a seat sits at; `phone` is its account when that is not the seat's own.
    Seat {
        seat: SeatId,
        contact: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        phone: Option<PhoneId>,
    },
    /// A number through a trunk.
    Number { trunk: TrunkId, number: String },
}

/// Who a leg is in its call. Its display form names the track: `caller`, `seat-801`, `doctor-1`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Party {
    Caller,
    Seat(SeatId),
    /// A third party by number; `role` as given by the seat: doctor, 110, crew, ...; `n` counts from 1.
    Third {
        role: String,
        n: u8,
    },
    /// People outside who are asked whether they take the call; no part of it until they do.
    Relief(ReliefId),
    /// A supervisor beside the talk; what is heard of him is the leg's [`Mode`].
    Listener(SeatId),
}

/// What a supervisor's leg does in a call (监听, 耳语, 强插, 强接). A change of it touches no leg.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Hears everything, inaudibly.
    #[default]
    Listen,
    /// Is heard by the seats only, never by a caller or a third party.
    Whisper,
    /// Is heard by all while a seat talks in the call.
    Barge,
    /// Has the seat's part, as soon as his phone is picked up.
    TakeOver,
}

impl std::fmt::Display for Party {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Caller => f.write_str("caller"),
            Self::Seat(seat) => write!(f, "seat-{seat}"),
            Self::Third { role, n } => write!(f, "{role}-{n}"),
            Self::Relief(relief) => write!(f, "relief-{relief}"),
            Self::Listener(seat) => write!(f, "supervisor-{seat}"),
        }
    }
}
