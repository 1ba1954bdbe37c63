//! An INVITE of the far side that is not answered yet.

use serde::{Deserialize, Serialize};

use super::{Audio, Dialog, Listener, State};
use crate::sip::address::Address;
use crate::sip::message::{ALLOW, Draft, Request};
use crate::sip::net::Flow;

/// Data of an unanswered inbound dialog.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Arriving {
    /// A 183 with media was sent.
    pub early: bool,
    /// The last reliable provisional response (RFC 3262); 0 = none yet.
    pub rseq: u32,
}

impl Dialog {
    /// The dialog of an INVITE that came in.
    #[must_use]
    pub fn arriving(
        request: &Request,
        local_tag: String,
        listener: &Listener,
        flow: Flow,
        audio: Audio,
        symmetric: bool,
    ) -> Self {
        let is = &request.is;
        let mut dialog = Self {
            call_id: is.call_id.clone(),
            local_tag,
            remote_tag: is.from.tag().map(str::to_owned),
            local: is.to.bare(),
            remote: is.from.bare(),
            local_cseq: 0,
            remote_cseq: Some(is.cseq),
            target: is.from.uri.clone(),
            routes: Vec::new(),
            contact: listener.contact("120"),
            flow,
            symmetric,
            peer_updates: false,
            audio,
            session: None,
            state: State::Arriving(Arriving::default()),
        };
        dialog.learn(&request.headers, true, false);
        dialog
    }

    /// A response to `request` that belongs to this dialog.
    #[must_use]
    pub fn response(&self, request: &Request, status: u16) -> Draft {
        let draft = Draft::response(request, status, Some(&self.local_tag));
        if (101..300).contains(&status) {
            draft.with("Contact", &self.contact).with("Allow", ALLOW)
        } else {
            draft
        }
    }
}

/// Whether an INVITE asks for reliable provisional responses: `Some(true)` when it insists.
#[must_use]
pub fn wants_reliable(request: &Request) -> Option<bool> {
    if request.headers.has_token("Require", "100rel") {
        Some(true)
    } else {
        request
            .headers
            .has_token("Supported", "100rel")
            .then_some(false)
    }
}

/// The number and name a request shows: P-Asserted-Identity first, else From.
#[must_use]
pub fn identity(request: &Request) -> Address {
    let asserted = request.headers.addresses("P-Asserted-Identity");
    let number = |a: &&Address| a.uri.starts_with("tel:");
    asserted
        .iter()
        .find(number)
        .or_else(|| asserted.first())
        .cloned()
        .unwrap_or_else(|| request.is.from.clone())
}
