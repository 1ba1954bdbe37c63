//! An answered dialog, and its session timer (RFC 4028).

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::sip::address;
use crate::sip::message::Headers;

/// Shortest session interval (RFC 4028 section 5).
pub(super) const INTERVAL_MIN_S: u32 = 90;

/// Data of an answered dialog.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Established {
    /// Sequence number of the INVITE that made it; its ACK has the same.
    pub invite_cseq: u32,
    /// The ACK was seen (inbound) or sent (outbound).
    pub confirmed: bool,
}

/// Who keeps a session alive.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Refresher {
    We,
    FarSide,
}

/// An agreed session timer.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionTimer {
    pub interval_s: u32,
    pub refresher: Refresher,
}

impl SessionTimer {
    /// What we agree to when the far side sends a request (INVITE, UPDATE) and we answer 2xx. The far side refreshes
    /// unless it asks us to. A too short interval is raised, never refused.
    #[must_use]
    pub fn for_request(headers: &Headers) -> Option<Self> {
        let (interval_s, wish) = read(headers)?;
        let supported =
            headers.has_token("Supported", "timer") || headers.has_token("Require", "timer");
        let refresher = match (supported, wish.as_deref()) {
            (true, Some("uas")) | (false, _) => Refresher::We,
            (true, Some(_) | None) => Refresher::FarSide,
        };
        Some(Self {
            interval_s,
            refresher,
        })
    }

    /// What a 2xx to our request agreed to.
    #[must_use]
    pub fn for_response(headers: &Headers) -> Option<Self> {
        let (interval_s, wish) = read(headers)?;
        let refresher = if wish.as_deref() == Some("uas") {
            Refresher::FarSide
        } else {
            Refresher::We
        };
        Some(Self {
            interval_s,
            refresher,
        })
    }

    /// `Session-Expires` of our 2xx: the far side's request made it the UAC.
    #[must_use]
    pub fn response_value(self) -> String {
        let refresher = match self.refresher {
            Refresher::We => "uas",
            Refresher::FarSide => "uac",
        };
        format!("{};refresher={refresher}", self.interval_s)
    }

    /// `Session-Expires` of a request of ours.
    #[must_use]
    pub fn request_value(self) -> String {
        let refresher = match self.refresher {
            Refresher::We => "uac",
            Refresher::FarSide => "uas",
        };
        format!("{};refresher={refresher}", self.interval_s)
    }

    /// How long after a refresh we act: refresh at half time, or give the session up shortly before it ends.
    #[must_use]
    pub fn act_after(self) -> Duration {
        let seconds = match self.refresher {
            Refresher::We => self.interval_s / 2,
            Refresher::FarSide => self.interval_s - (self.interval_s / 3).min(32),
        };
        Duration::from_secs(u64::from(seconds))
    }
}

fn read(headers: &Headers) -> Option<(u32, Option<String>)> {
    let value = headers
        .first("Session-Expires")
        .or_else(|| headers.first("x"))?;
    let params = address::params(value);
    let seconds: u32 = params.first()?.0.parse().ok()?;
    let refresher = address::find(&params, "refresher").cloned().flatten();
    Some((
        seconds.clamp(INTERVAL_MIN_S, 86_400),
        refresher.map(|r| r.to_ascii_lowercase()),
    ))
}
