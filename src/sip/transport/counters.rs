//! What the sockets count. Every drop has a line here, so that none is silent.

use std::sync::atomic::{AtomicU64, Ordering};

/// What can be counted.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Counted {
    Received,
    Sent,
    KeepAlive,
    Stalled,
    Dropped,
    ReceiveFailed,
    Refused,
    Evicted,
    TooSlow,
    Unframed,
    HandshakeFailed,
    ConnectFailed,
    Restarted,
}

#[derive(Default)]
pub(super) struct Counters {
    received: AtomicU64,
    sent: AtomicU64,
    keep_alives: AtomicU64,
    stalled: AtomicU64,
    dropped: AtomicU64,
    receive_failed: AtomicU64,
    refused: AtomicU64,
    evicted: AtomicU64,
    too_slow: AtomicU64,
    unframed: AtomicU64,
    handshake_failed: AtomicU64,
    connect_failed: AtomicU64,
    restarted: AtomicU64,
}

impl Counters {
    pub(super) fn add(&self, what: Counted) {
        self.add_many(what, 1);
    }

    pub(super) fn add_many(&self, what: Counted, n: u64) {
        let counter = match what {
            Counted::Received => &self.received,
            Counted::Sent => &self.sent,
            Counted::KeepAlive => &self.keep_alives,
            Counted::Stalled => &self.stalled,
            Counted::Dropped => &self.dropped,
            Counted::ReceiveFailed => &self.receive_failed,
            Counted::Refused => &self.refused,
            Counted::Evicted => &self.evicted,
            Counted::TooSlow => &self.too_slow,
            Counted::Unframed => &self.unframed,
            Counted::HandshakeFailed => &self.handshake_failed,
            Counted::ConnectFailed => &self.connect_failed,
            Counted::Restarted => &self.restarted,
        };
        counter.fetch_add(n, Ordering::Relaxed);
    }

    pub(super) fn sizes(&self, connections: usize, silent: usize, queued: usize) -> Sizes {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Sizes {
            connections,
            silent,
            queued,
            received: of(&self.received),
            sent: of(&self.sent),
            keep_alives: of(&self.keep_alives),
            stalled: of(&self.stalled),
            dropped: of(&self.dropped),
            receive_failed: of(&self.receive_failed),
            refused: of(&self.refused),
            evicted: of(&self.evicted),
            too_slow: of(&self.too_slow),
            unframed: of(&self.unframed),
            handshake_failed: of(&self.handshake_failed),
            connect_failed: of(&self.connect_failed),
            restarted: of(&self.restarted),
        }
    }
}

/// How much the sockets hold now, and what they have counted since the start.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct Sizes {
    /// TCP and TLS connections open now, both ways.
    pub connections: usize,
    /// Of these, inbound ones that have not yet sent a message.
    pub silent: usize,
    /// Messages waiting to be written to connections now.
    pub queued: usize,
    /// Messages handed to the signalling.
    pub received: u64,
    /// Messages given to the kernel.
    pub sent: u64,
    /// Keep-alives of phones.
    pub keep_alives: u64,
    /// Times the signalling was so busy that a socket had to wait for it.
    pub stalled: u64,
    /// Messages that could not be sent: full socket, full queue, lost or refused connection.
    pub dropped: u64,
    /// Errors of UDP sockets while reading.
    pub receive_failed: u64,
    /// Connections turned away because all places were taken.
    pub refused: u64,
    /// Silent connections closed to make place for a new one.
    pub evicted: u64,
    /// Connections closed because a message took too long to come or to go.
    pub too_slow: u64,
    /// Connections closed because their stream could not be cut into messages.
    pub unframed: u64,
    /// TLS handshakes of others that failed.
    pub handshake_failed: u64,
    /// Connections of ours that did not come up.
    pub connect_failed: u64,
    /// Listener tasks that died and were started again.
    pub restarted: u64,
}
