//! What passes between the sockets and the signalling: whole SIP messages with where they came from or go to.
//! Pure data. Framing, connections, TLS and queues are [`super::transport`]'s; meaning is everyone else's.

use std::net::SocketAddr;

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
