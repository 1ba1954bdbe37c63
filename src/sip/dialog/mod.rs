//! Dialogs (RFC 3261 section 12): what must be remembered of one leg to go on speaking, or to close it after a
//! restart. Fully serialisable; [`Dialog::to_state`] travels in the journal.
//!
//! Owns tags, sequence numbers, route set, targets, the session description's version and the session timer.
//! Knows nothing of transactions, timers and media ports: it makes drafts, the machine in [`super::ua`] sends them.
//!
//! ```text
//! inbound   Arriving    -> Established -> Ended         outbound   Calling -> Established -> Ended
//! ```

mod audio;
mod established;
mod inbound;
mod outbound;

pub use audio::Audio;
pub use established::{Established, Refresher, SessionTimer};
pub use inbound::{Arriving, identity, wants_reliable};
pub use outbound::{Calling, Outset};

use serde::{Deserialize, Serialize};

use super::address::{Address, Uri, bracketed};
use super::message::{Draft, Headers, Method};
use super::net::{Flow, via_name};
use crate::call::DialogState;
use crate::config::checked::Transport;

/// Our side of a listener, as far sides see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// Name in the configuration.
    pub id: String,
    pub transport: Transport,
    /// Advertised host, without brackets.
    pub host: String,
    pub port: u16,
}

impl Listener {
    /// Host and port as they stand in URIs and Via.
    #[must_use]
    pub fn host_port(&self) -> String {
        format!("{}:{}", bracketed(&self.host), self.port)
    }

    /// A Via with this branch.
    #[must_use]
    pub fn via(&self, branch: &str) -> String {
        format!(
            "SIP/2.0/{} {};rport;branch={branch}",
            via_name(self.transport),
            self.host_port()
        )
    }

    /// A Contact for this user part.
    #[must_use]
    pub fn contact(&self, user: &str) -> String {
        let transport = match self.transport {
            Transport::Udp => "",
            Transport::Tcp => ";transport=tcp",
            Transport::Tls => ";transport=tls",
        };
        format!("<sip:{user}@{}{transport}>", self.host_port())
    }
}

/// One leg's dialog.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Dialog {
    pub call_id: String,
    pub local_tag: String,
    /// Absent until the far side gave one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remote_tag: Option<String>,
    /// Our From (To in its requests), without tag.
    pub local: String,
    /// Its To (From in its requests), without tag.
    pub remote: String,
    pub local_cseq: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remote_cseq: Option<u32>,
    /// Request-URI of our requests.
    pub target: String,
    /// Route set in our order, each as `<uri>`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub routes: Vec<String>,
    /// Our Contact.
    pub contact: String,
    pub flow: Flow,
    /// Requests go where messages come from, whatever the target says.
    pub symmetric: bool,
    /// Whether its `Allow` names UPDATE.
    pub peer_updates: bool,
    pub audio: Audio,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionTimer>,
    pub state: State,
}

/// Where a dialog stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum State {
    /// An INVITE came and is not answered.
    Arriving(Arriving),
    /// Our INVITE is not answered.
    Calling(Calling),
    /// Answered with 2xx.
    Established(Established),
    /// Over.
    Ended,
}

/// Why a serialised dialog cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DialogError {
    /// Not what [`Dialog::to_state`] wrote.
    #[error("not a dialog of this build: {0}")]
    Unreadable(#[from] serde_json::Error),
}

impl Dialog {
    /// As the journal carries it.
    #[must_use]
    pub fn to_state(&self) -> DialogState {
        DialogState(serde_json::to_value(self).unwrap_or(serde_json::Value::Null))
    }

    /// From the journal.
    ///
    /// # Errors
    /// [`DialogError`] when the value is of another shape.
    pub fn from_state(state: &DialogState) -> Result<Self, DialogError> {
        Ok(Self::deserialize(&state.0)?)
    }

    /// Takes over target, and at the start of a dialog the route set, from a message of the far side.
    /// `reverse` for responses, whose Record-Route stands the other way round (RFC 3261 12.1).
    pub fn learn(&mut self, headers: &Headers, routes: bool, reverse: bool) {
        if let Some(contact) = headers.addresses("Contact").into_iter().next() {
            self.target = contact.uri;
        }
        if routes {
            let mut set: Vec<String> = headers
                .list("Record-Route")
                .into_iter()
                .filter_map(Address::parse)
                .map(|a| a.bare())
                .collect();
            if reverse {
                set.reverse();
            }
            self.routes = set;
        }
        if headers.first("Allow").is_some() {
            self.peer_updates = headers.has_token("Allow", "UPDATE");
        }
    }

    /// Where the next request goes. Names are not resolved: they mean the address we already talk to.
    #[must_use]
    pub fn next_hop(&self) -> Flow {
        if self.symmetric {
            return self.flow;
        }
        let hop = self
            .routes
            .first()
            .map_or(self.target.as_str(), |r| r.trim_matches(['<', '>']));
        let port = if self.flow.transport == Transport::Tls {
            5061
        } else {
            5060
        };
        Uri::parse(hop)
            .and_then(|uri| uri.socket(port))
            .map_or(self.flow, |peer| self.flow.to(peer))
    }

    /// A request inside the dialog with the next sequence number.
    pub fn request(&mut self, method: &Method, listener: &Listener, branch: &str) -> Draft {
        self.local_cseq = self.local_cseq.wrapping_add(1) & 0x7fff_ffff;
        self.draft(method, self.local_cseq, listener, branch)
    }

    /// A request inside the dialog with a given sequence number (ACK, PRACK's INVITE).
    #[must_use]
    pub fn draft(&self, method: &Method, cseq: u32, listener: &Listener, branch: &str) -> Draft {
        let mut routes = self.routes.clone();
        let mut uri = self.target.clone();
        if let Some(first) = routes
            .first()
            .map(|r| r.trim_matches(['<', '>']).to_owned())
        {
            let loose =
                Uri::parse(&first).is_none_or(|u| super::address::find(&u.params, "lr").is_some());
            if !loose {
                routes.remove(0);
                routes.push(format!("<{uri}>"));
                uri = first;
            }
        }
        let mut draft = Draft::request(method, &uri)
            .with("Via", listener.via(branch))
            .with("Max-Forwards", "70");
        for route in &routes {
            draft.headers.push("Route", route);
        }
        let to = match &self.remote_tag {
            Some(tag) => format!("{};tag={tag}", self.remote),
            None => self.remote.clone(),
        };
        draft
            .with("From", format!("{};tag={}", self.local, self.local_tag))
            .with("To", to)
            .with("Call-ID", &self.call_id)
            .with("CSeq", format!("{cseq} {method}"))
    }
}
