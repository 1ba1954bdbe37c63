//! An INVITE of ours that is not answered yet.

use serde::{Deserialize, Serialize};

use super::{Audio, Dialog, Listener, State};
use crate::sip::message::{ALLOW, Draft, Method};
use crate::sip::net::Flow;

/// Data of an unanswered outbound dialog: enough to cancel it after a restart.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Calling {
    /// Branch of the INVITE.
    pub branch: String,
    /// Its sequence number.
    pub cseq: u32,
    /// Its Request-URI.
    pub uri: String,
    /// A provisional response came: a CANCEL may be sent (RFC 3261 9.1).
    pub heard: bool,
    /// We gave it up.
    pub cancelled: bool,
    /// Another phone answered first: the CANCEL says so (RFC 3326 section 3.1), and no missed call is shown.
    #[serde(default)]
    pub elsewhere: bool,
}

/// What an outbound INVITE says.
pub struct Outset {
    pub uri: String,
    /// From without tag, with display name.
    pub from: String,
    pub to: String,
    pub call_id: String,
    pub tag: String,
    pub branch: String,
    pub contact: String,
    pub symmetric: bool,
}

impl Dialog {
    /// The dialog of an INVITE to be sent.
    #[must_use]
    pub fn calling(outset: Outset, flow: Flow, audio: Audio) -> Self {
        let calling = Calling {
            branch: outset.branch,
            cseq: 1,
            uri: outset.uri.clone(),
            heard: false,
            cancelled: false,
            elsewhere: false,
        };
        Self {
            call_id: outset.call_id,
            local_tag: outset.tag,
            remote_tag: None,
            local: outset.from,
            remote: outset.to,
            local_cseq: 1,
            remote_cseq: None,
            target: outset.uri,
            routes: Vec::new(),
            contact: outset.contact,
            flow,
            symmetric: outset.symmetric,
            peer_updates: false,
            audio,
            session: None,
            state: State::Calling(calling),
        }
    }

    /// The INVITE itself, without body.
    #[must_use]
    pub fn invite(&self, calling: &Calling, listener: &Listener) -> Draft {
        self.draft(&Method::Invite, calling.cseq, listener, &calling.branch)
            .with("Contact", &self.contact)
            .with("Allow", ALLOW)
    }

    /// Its CANCEL.
    #[must_use]
    pub fn cancel(&self, calling: &Calling, listener: &Listener) -> Draft {
        let mut plain = self.clone();
        plain.remote_tag = None;
        plain.routes.clear();
        plain.target.clone_from(&calling.uri);
        let draft = plain.draft(&Method::Cancel, calling.cseq, listener, &calling.branch);
        if calling.elsewhere {
            let why = "SIP;cause=200;text=\"Call completed elsewhere\"";
            return draft.with("Reason", why);
        }
        draft
    }

    /// The ACK of a refusal of it, still without To.
    #[must_use]
    pub fn refusal_ack(&self, calling: &Calling, listener: &Listener) -> Draft {
        Draft::request(&Method::Ack, &calling.uri)
            .with("Via", listener.via(&calling.branch))
            .with("Max-Forwards", "70")
            .with("From", format!("{};tag={}", self.local, self.local_tag))
            .with("Call-ID", &self.call_id)
            .with("CSeq", format!("{} ACK", calling.cseq))
    }
}
