//! Where seats' phones are: one binding per seat (RFC 3261 section 10), kept with the way it came (RFC 5626: what is
//! sent to a phone goes back over the flow its REGISTER used). The way is written into the contact that the core
//! carries, so a restart still reaches phones on UDP.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use super::address::Address;
use super::message::Request;
use super::net::{Flow, via_name};
use crate::config::checked::Transport;
use crate::id::SeatId;
use crate::time::{Millis, Timestamp};

/// Shortest registration we take, seconds; a shorter wish is answered 423.
pub const EXPIRES_MIN_S: u32 = 60;
/// Longest registration we give, seconds; also the default.
pub const EXPIRES_MAX_S: u32 = 3600;

/// One phone's place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    /// Contact URI as the phone gave it.
    pub uri: String,
    pub flow: Flow,
    pub until: Timestamp,
    call_id: String,
    cseq: u32,
}

impl Binding {
    /// As the core carries it: the URI and the way, in one text.
    #[must_use]
    pub fn contact(&self) -> String {
        let flow = self.flow;
        format!(
            "{} {}/{}/{}",
            self.uri,
            flow.listener,
            via_name(flow.transport),
            flow.peer
        )
    }
}

/// URI and way of a contact that [`Binding::contact`] wrote.
#[must_use]
pub fn read_contact(contact: &str) -> Option<(String, Flow)> {
    let (uri, way) = contact.rsplit_once(' ')?;
    let mut parts = way.splitn(3, '/');
    let listener = parts.next()?.parse().ok()?;
    let transport = match parts.next()? {
        "UDP" => Transport::Udp,
        "TCP" => Transport::Tcp,
        "TLS" => Transport::Tls,
        _ => return None,
    };
    let peer: SocketAddr = parts.next()?.parse().ok()?;
    Some((
        uri.to_owned(),
        Flow {
            listener,
            transport,
            peer,
            connection: None,
        },
    ))
}

/// What a REGISTER did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Registered {
    /// Bound for this many seconds.
    Bound { seconds: u32 },
    /// The binding is gone.
    Removed,
    /// Nothing changed (a query, or the removal of a contact that is not bound).
    Unchanged,
    /// 423: the wish was shorter than [`EXPIRES_MIN_S`].
    TooBrief,
    /// 400: nothing to bind.
    NoContact,
    /// 500: older than what is bound (RFC 3261 10.3 step 7).
    OutOfOrder,
}

/// All bindings.
#[derive(Default)]
pub struct Registrar {
    seats: BTreeMap<SeatId, Binding>,
}

impl Registrar {
    /// Where a seat's phone is.
    #[must_use]
    pub fn binding(&self, seat: &SeatId) -> Option<&Binding> {
        self.seats.get(seat)
    }

    /// The seat whose phone sent this: same flow, or same host and the From of a seat bound there.
    #[must_use]
    pub fn seat_of(&self, flow: Flow, user: &str) -> Option<&SeatId> {
        let exact = |b: &Binding| b.flow.peer == flow.peer && b.flow.listener == flow.listener;
        let by_user = |seat: &SeatId, b: &Binding| {
            seat.as_str() == user && b.flow.peer.ip() == flow.peer.ip()
        };
        self.seats
            .iter()
            .find(|(seat, b)| by_user(seat, b) && exact(b))
            .or_else(|| self.seats.iter().find(|(_, b)| exact(b)))
            .or_else(|| self.seats.iter().find(|(seat, b)| by_user(seat, b)))
            .map(|(seat, _)| seat)
    }

    /// How many seats are bound.
    #[must_use]
    pub fn len(&self) -> usize {
        self.seats.len()
    }

    /// Whether no seat is bound.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.seats.is_empty()
    }

    /// Takes an authenticated REGISTER.
    pub fn register(
        &mut self,
        now: Timestamp,
        seat: &SeatId,
        request: &Request,
        flow: Flow,
    ) -> Registered {
        if let Some(bound) = self.seats.get(seat)
            && bound.call_id == request.is.call_id
            && request.is.cseq <= bound.cseq
        {
            return Registered::OutOfOrder;
        }
        let header = request.headers.number("Expires");
        if request
            .headers
            .list("Contact")
            .first()
            .is_some_and(|c| *c == b"*")
        {
            let gone = header == Some(0) && self.seats.remove(seat).is_some();
            return if gone {
                Registered::Removed
            } else {
                Registered::Unchanged
            };
        }
        let contacts = request.headers.addresses("Contact");
        if contacts.is_empty() {
            let asked = request.headers.first("Contact").is_some();
            return if asked {
                Registered::NoContact
            } else {
                Registered::Unchanged
            };
        }
        let wish = |c: &Address| {
            let own = c
                .param("expires")
                .map(|e| e.parse().unwrap_or(EXPIRES_MAX_S));
            own.or(header).unwrap_or(EXPIRES_MAX_S)
        };
        // A phone that moves sends the old contact with 0 and the new one in one request.
        let Some(contact) = contacts.iter().find(|c| wish(c) > 0) else {
            let bound = self
                .seats
                .get(seat)
                .is_some_and(|b| contacts.iter().any(|c| c.uri == b.uri));
            return if bound && self.seats.remove(seat).is_some() {
                Registered::Removed
            } else {
                Registered::Unchanged
            };
        };
        let seconds = wish(contact);
        if seconds < EXPIRES_MIN_S {
            return Registered::TooBrief;
        }
        let seconds = seconds.min(EXPIRES_MAX_S);
        let binding = Binding {
            uri: contact.uri.replace([' ', '<', '>'], ""),
            flow,
            until: now + Millis::from_secs(seconds),
            call_id: request.is.call_id.clone(),
            cseq: request.is.cseq,
        };
        self.seats.insert(seat.clone(), binding);
        Registered::Bound { seconds }
    }

    /// A binding of an earlier process.
    pub fn restore(&mut self, seat: SeatId, contact: &str, until: Timestamp) -> bool {
        let Some((uri, flow)) = read_contact(contact) else {
            return false;
        };
        let binding = Binding {
            uri,
            flow,
            until,
            call_id: String::new(),
            cseq: 0,
        };
        self.seats.insert(seat, binding);
        true
    }

    /// Forgets a seat whose time is up. `Some(until)` when it was renewed meanwhile.
    pub fn expire(&mut self, now: Timestamp, seat: &SeatId) -> Option<Timestamp> {
        let until = self.seats.get(seat)?.until;
        if until > now {
            return Some(until);
        }
        self.seats.remove(seat);
        None
    }
}
