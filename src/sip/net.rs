//! What passes between the sockets and the signalling: whole SIP messages with where they came from or go to.
//! Pure data. Framing, connections, TLS and queues are [`super::transport`]'s; meaning is everyone else's.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::config::checked::Transport;

/// One complete datagram (UDP) or one complete framed message (TCP, TLS) as it came.
#[derive(Clone, PartialEq, Eq)]
pub struct Incoming {
    /// Index into the configured listeners.
    pub listener: u16,
    /// Transport it came over.
    pub transport: Transport,
    /// The far side's address.
    pub peer: SocketAddr,
    /// Our address it came to.
    pub local: SocketAddr,
    /// The connection it came over; absent on UDP. Never reused while the process runs.
    pub connection: Option<u64>,
    /// The message.
    pub bytes: Vec<u8>,
}

/// One complete message to send.
#[derive(Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// Index into the configured listeners.
    pub listener: u16,
    /// Transport to use; that of the listener.
    pub transport: Transport,
    /// Where to.
    pub peer: SocketAddr,
    /// Reused while it is alive; else a connection to `peer` is opened. Absent on UDP.
    pub connection: Option<u64>,
    /// The message.
    pub bytes: Vec<u8>,
}

/// The way to and from one far side.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Flow {
    pub listener: u16,
    #[serde(with = "transport_name")]
    pub transport: Transport,
    pub peer: SocketAddr,
    /// Means nothing after a restart.
    #[serde(skip)]
    pub connection: Option<u64>,
}

impl Flow {
    /// The way back of a message.
    #[must_use]
    pub const fn of(incoming: &Incoming) -> Self {
        Self {
            listener: incoming.listener,
            transport: incoming.transport,
            peer: incoming.peer,
            connection: incoming.connection,
        }
    }

    /// A message on this way.
    #[must_use]
    pub const fn outgoing(self, bytes: Vec<u8>) -> Outgoing {
        Outgoing {
            listener: self.listener,
            transport: self.transport,
            peer: self.peer,
            connection: self.connection,
            bytes,
        }
    }

    /// The same way to another address. A connection is kept for the same host: the port a connection came from is
    /// not the one a new connection would go to.
    #[must_use]
    pub fn to(self, peer: SocketAddr) -> Self {
        let connection = self.connection.filter(|_| peer.ip() == self.peer.ip());
        Self {
            peer,
            connection,
            ..self
        }
    }

    /// Whether the transport delivers by itself (RFC 3261 17.1.1.2): no retransmissions of ours.
    #[must_use]
    pub fn is_reliable(self) -> bool {
        self.transport != Transport::Udp
    }
}

/// Name of a transport as it stands in Via.
#[must_use]
pub const fn via_name(transport: Transport) -> &'static str {
    match transport {
        Transport::Udp => "UDP",
        Transport::Tcp => "TCP",
        Transport::Tls => "TLS",
    }
}

mod transport_name {
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::config::checked::Transport;

    #[expect(
        clippy::trivially_copy_pass_by_ref,
        reason = "serde asks for a reference"
    )]
    pub(super) fn serialize<S: Serializer>(t: &Transport, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(super::via_name(*t))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Transport, D::Error> {
        match String::deserialize(d)?.as_str() {
            "UDP" => Ok(Transport::Udp),
            "TCP" => Ok(Transport::Tcp),
            "TLS" => Ok(Transport::Tls),
            other => Err(serde::de::Error::unknown_variant(
                other,
                &["UDP", "TCP", "TLS"],
            )),
        }
    }
}

// The bytes carry numbers and names of people: only their length is printed.
impl std::fmt::Debug for Incoming {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Incoming")
            .field("listener", &self.listener)
            .field("transport", &self.transport)
            .field("peer", &self.peer)
            .field("connection", &self.connection)
            .field("bytes", &self.bytes.len())
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Outgoing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outgoing")
            .field("listener", &self.listener)
            .field("transport", &self.transport)
            .field("peer", &self.peer)
            .field("connection", &self.connection)
            .field("bytes", &self.bytes.len())
            .finish()
    }
}
