//! Requests: what is answered without remembering it, what starts something, and what belongs to a leg.

use super::{Tell, Ua};
use crate::id::{LegId, SeatId};
use crate::sip::address::Uri;
use crate::sip::message::{ALLOW, Method, Request};
use crate::sip::net::Flow;
use crate::sip::transaction::{Received, ServerKey};
use crate::sip::{trunk, wire};
use crate::time::Timestamp;

/// Whose request it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// Index of the trunk.
    Trunk(usize),
    Seat(SeatId),
    Stranger,
}

/// Option tags we understand in `Require` outside of INVITE.
const KNOWN_OPTIONS: [&str; 6] = [
    "100rel",
    "timer",
    "precondition",
    "path",
    "outbound",
    "gruu",
];

impl Ua {
    pub(super) fn request(
        &mut self,
        now: Timestamp,
        request: Request,
        flow: Flow,
        accepting: bool,
    ) {
        let leg = self.leg_of(&request);
        let to_tag = request.is.to.tag().is_some();
        match &request.method {
            Method::Ack => {
                if let Received::AckOfSuccess = self.tx.receive(now, &request, flow, true)
                    && let Some(leg) = leg
                {
                    self.ack(now, leg, &request);
                }
            }
            // A To tag of a call that nobody here knows: a dialog from before a restart. Taken as a new call
            // (RFC 3261 12.2.2); a known Call-ID with wrong tags is no such thing.
            Method::Invite if !to_tag || (leg.is_none() && !self.knows(&request.is.call_id)) => {
                self.first_invite(now, request, flow, accepting);
            }
            Method::Cancel => self.cancel(now, &request, flow),
            Method::Register if !to_tag => self.register(now, &request, flow),
            Method::Invite
            | Method::Bye
            | Method::Register
            | Method::Options
            | Method::Info
            | Method::Prack
            | Method::Update
            | Method::Subscribe
            | Method::Notify
            | Method::Refer
            | Method::Message
            | Method::Publish
            | Method::Other(_) => match leg {
                None => self.stray(&request, flow, to_tag),
                Some(leg) => {
                    if let Some(key) = self.admit(now, &request, flow, true) {
                        self.in_dialog(now, leg, &key, request, flow);
                    }
                }
            },
        }
    }

    /// The leg whose dialog a request belongs to: Call-ID and both tags.
    fn leg_of(&self, request: &Request) -> Option<LegId> {
        let tag = request.is.to.tag()?;
        let id = self
            .by_dialog
            .get(&(request.is.call_id.clone(), tag.to_owned()))?;
        let leg = self.legs.get(id)?;
        let same = match &leg.dialog.remote_tag {
            Some(remote) => request.is.from.tag() == Some(remote.as_str()),
            // Not answered yet: any branch of a fork may speak (UPDATE, BYE), our random tag names the dialog.
            None => leg.opening.is_none() || request.is.from.tag().is_none(),
        };
        same.then_some(*id)
    }

    /// Whether any dialog has this Call-ID.
    fn knows(&self, call_id: &str) -> bool {
        let first = (call_id.to_owned(), String::new());
        self.by_dialog
            .range(first..)
            .next()
            .is_some_and(|((id, _), _)| id == call_id)
    }

    /// A transaction for a request; absorbed repetitions and a full table give none.
    pub(super) fn admit(
        &mut self,
        now: Timestamp,
        request: &Request,
        flow: Flow,
        known: bool,
    ) -> Option<ServerKey> {
        match self
            .tx
            .receive(now, request, Self::way_back(request, flow), known)
        {
            Received::New(key) => Some(key),
            Received::Absorbed | Received::AckOfSuccess => None,
            Received::Full => {
                self.refused += 1;
                self.reply_once(request, flow, 503, &[("Retry-After", String::from("5"))]);
                None
            }
        }
    }

    /// Whose a request outside of dialogs is: a registered phone's flow first, then trunks by network.
    pub(super) fn source(&self, request: &Request, flow: Flow) -> Source {
        let user = Uri::parse(&request.is.from.uri)
            .and_then(|u| u.user)
            .unwrap_or_default();
        let listener = self.listener(flow.listener);
        let trunk = trunk::of_source(&self.setup.trunks, flow.peer, &listener.id);
        match (self.registrar.seat_of(flow, &user), trunk) {
            (Some(seat), trunk) => {
                let exact = self
                    .registrar
                    .binding(seat)
                    .is_some_and(|b| b.flow.peer == flow.peer);
                match trunk {
                    Some(index) if !exact => Source::Trunk(index),
                    Some(_) | None => Source::Seat(seat.clone()),
                }
            }
            (None, Some(index)) => Source::Trunk(index),
            (None, None) => Source::Stranger,
        }
    }

    /// Requests outside of any dialog that are no call and no registration: answered, never remembered.
    fn stray(&mut self, request: &Request, flow: Flow, to_tag: bool) {
        let allow = ("Allow", ALLOW.to_owned());
        let unknown: Vec<String> = request
            .headers
            .list("Require")
            .iter()
            .map(|v| String::from_utf8_lossy(v).into_owned())
            .filter(|v| !KNOWN_OPTIONS.iter().any(|k| k.eq_ignore_ascii_case(v)))
            .collect();
        match &request.method {
            Method::Other(_) => self.reply_once(request, flow, 501, &[allow]),
            Method::Options if !to_tag => self.options(request, flow, &unknown),
            Method::Subscribe | Method::Publish => self.reply_once(request, flow, 489, &[]),
            Method::Message | Method::Refer if !to_tag => {
                self.reply_once(request, flow, 405, &[allow])
            }
            Method::Invite
            | Method::Ack
            | Method::Bye
            | Method::Cancel
            | Method::Register
            | Method::Options
            | Method::Info
            | Method::Prack
            | Method::Update
            | Method::Notify
            | Method::Refer
            | Method::Message => self.reply_once(request, flow, 481, &[]),
        }
    }

    /// OPTIONS outside of dialogs (RFC 3261 section 11). Strangers learn nothing and get no more than they sent.
    fn options(&mut self, request: &Request, flow: Flow, unknown: &[String]) {
        let scheme = Uri::parse(&request.uri)
            .map(|u| u.scheme)
            .unwrap_or_default();
        if !["sip", "sips", "tel", "urn"].contains(&scheme.as_str()) {
            self.reply_once(request, flow, 416, &[]);
        } else if request.headers.number("Max-Forwards") == Some(0) {
            self.reply_once(request, flow, 483, &[]);
        } else if !unknown.is_empty() {
            self.reply_once(request, flow, 420, &[("Unsupported", unknown.join(", "))]);
        } else if self.source(request, flow) == Source::Stranger {
            self.reply_once(request, flow, 200, &[]);
        } else {
            let accept = ("Accept", String::from("application/sdp"));
            self.reply_once(request, flow, 200, &[("Allow", ALLOW.to_owned()), accept]);
        }
    }

    /// An INVITE outside of dialogs.
    fn first_invite(&mut self, now: Timestamp, request: Request, flow: Flow, accepting: bool) {
        let source = self.source(&request, flow);
        if source == Source::Stranger {
            self.reply_once(&request, flow, 403, &[]);
            self.stranger(flow);
            return;
        }
        let Some(key) = self.admit(now, &request, flow, false) else {
            return;
        };
        let invite_key = request.key();
        let looped = wire::has_via_branch(&request.headers, |b| self.random.is_own_branch(b));
        let merged = self.open_keys.contains_key(&invite_key);
        if self.finished.contains(&invite_key) {
            self.tell(Tell::ArrivedAgain { invite_key });
            self.respond_plain(now, &key, &request, flow, 482);
        } else if looped || merged {
            self.respond_plain(now, &key, &request, flow, 482);
        } else if request.headers.number("Max-Forwards") == Some(0) {
            self.respond_plain(now, &key, &request, flow, 483);
        } else if self.is_admitted(now, &source, &key, &request, flow) {
            self.arrive(now, &source, key, request, flow, accepting);
        }
    }

    /// Counts an INVITE of an unknown address; tells the first, the second, the fourth, the eighth...
    fn stranger(&mut self, flow: Flow) {
        let address = flow.peer.ip();
        if self.strangers.len() >= super::STRANGERS_MAX && !self.strangers.contains_key(&address) {
            self.strangers.clear();
        }
        let count = self.strangers.entry(address).or_insert(0);
        *count += 1;
        let count = *count;
        if count.is_power_of_two() {
            self.tell(Tell::UnknownSource {
                address: address.to_string(),
                count,
            });
        }
    }

    /// CANCEL ends an INVITE that is not answered yet (RFC 3261 9.2).
    fn cancel(&mut self, now: Timestamp, request: &Request, flow: Flow) {
        let invite = ServerKey::cancelled_by(request);
        let Some(key) = self.admit(now, request, flow, true) else {
            return;
        };
        if !self.tx.stands(&invite) {
            self.respond_plain(now, &key, request, flow, 481);
            return;
        }
        self.respond_plain(now, &key, request, flow, 200);
        if let Some(leg) = self.by_server.get(&invite).copied() {
            self.with_leg(leg, |ua, leg| ua.cancelled(now, leg));
        }
    }
}
