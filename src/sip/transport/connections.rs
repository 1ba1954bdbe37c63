//! The table of open TCP and TLS connections: who may come in, who has to go, which one leads to a peer.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use super::Options;
use crate::config::checked::Cidr;

/// One connection as the table knows it.
struct Connection {
    listener: u16,
    peer: SocketAddr,
    queue: mpsc::Sender<Vec<u8>>,
    reserved: bool,
    task: Option<AbortHandle>,
}

pub(super) struct Table {
    max: usize,
    reserved_max: usize,
    queue_max: usize,
    reserved_for: Vec<Cidr>,
    /// Per listener.
    dscp: Vec<u8>,
    next: u64,
    open: BTreeMap<u64, Connection>,
    /// Connections without the right to the reserve.
    common: usize,
    /// Inbound, not reserved, nothing said yet; the lowest id is the oldest.
    evictable: BTreeSet<u64>,
    /// Inbound, nothing said yet.
    silent: BTreeSet<u64>,
    by_peer: BTreeMap<(u16, SocketAddr), u64>,
    /// Whether the last one that asked was turned away.
    full: bool,
}

/// A new connection's number and the messages it has to write.
pub(super) struct Place {
    pub(super) id: u64,
    pub(super) queue: mpsc::Receiver<Vec<u8>>,
    /// A silent connection was closed for it.
    pub(super) evicted: bool,
}

/// All places are taken by connections that talk. `first`: nobody was told yet.
pub(super) struct Full {
    pub(super) first: bool,
}

/// What became of a message for a connection.
pub(super) enum Queued {
    Yes,
    /// The queue is full.
    Dropped,
    /// No connection leads there.
    NoConnection(Vec<u8>),
}

impl Table {
    pub(super) fn new(options: &Options, dscp: Vec<u8>) -> Self {
        Self {
            max: options.connections_max,
            reserved_max: options.connections_reserved.min(options.connections_max),
            queue_max: options.queue_messages_max.max(1),
            reserved_for: options.reserved_for.clone(),
            dscp,
            next: 1,
            open: BTreeMap::new(),
            common: 0,
            evictable: BTreeSet::new(),
            silent: BTreeSet::new(),
            by_peer: BTreeMap::new(),
            full: false,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.open.len()
    }

    pub(super) fn silent(&self) -> usize {
        self.silent.len()
    }

    pub(super) fn queued(&self) -> usize {
        let queues = self.open.values().map(|c| &c.queue);
        queues.map(|q| q.max_capacity() - q.capacity()).sum()
    }

    pub(super) fn dscp(&self, listener: u16) -> u8 {
        self.dscp
            .get(usize::from(listener))
            .copied()
            .unwrap_or_default()
    }

    /// A place for a connection that came in.
    pub(super) fn admit(&mut self, listener: u16, peer: SocketAddr) -> Result<Place, Full> {
        let reserved = self.reserved_for.iter().any(|c| c.contains(peer.ip()));
        let place = self.place(listener, peer, reserved)?;
        self.silent.insert(place.id);
        if !reserved {
            self.evictable.insert(place.id);
        }
        Ok(place)
    }

    /// A place for a connection of ours.
    pub(super) fn call_out(&mut self, listener: u16, peer: SocketAddr) -> Result<Place, Full> {
        self.place(listener, peer, true)
    }

    fn place(&mut self, listener: u16, peer: SocketAddr, reserved: bool) -> Result<Place, Full> {
        let no_place = |table: &Self| {
            let common_full = table.common >= table.max - table.reserved_max;
            table.open.len() >= table.max || (!reserved && common_full)
        };
        let mut evicted = false;
        if no_place(self) {
            evicted = self.evict_silent();
            if !evicted || no_place(self) {
                let first = !self.full;
                self.full = true;
                return Err(Full { first });
            }
        } else {
            self.full = false;
        }
        let id = self.next;
        self.next += 1;
        let (sender, queue) = mpsc::channel(self.queue_max);
        self.common += usize::from(!reserved);
        self.by_peer.insert((listener, peer), id);
        self.open.insert(
            id,
            Connection {
                listener,
                peer,
                queue: sender,
                reserved,
                task: None,
            },
        );
        Ok(Place { id, queue, evicted })
    }

    /// The task of a connection, so that it can be ended. One that lost its place meanwhile is ended now.
    pub(super) fn runs_as(&mut self, id: u64, task: AbortHandle) {
        match self.open.get_mut(&id) {
            Some(connection) => connection.task = Some(task),
            None => task.abort(),
        }
    }

    /// It has brought its first message: it is not closed any more to make place.
    pub(super) fn spoke(&mut self, id: u64) {
        self.silent.remove(&id);
        self.evictable.remove(&id);
    }

    /// No new requests go to a connection whose far side has stopped sending.
    pub(super) fn retire(&mut self, id: u64) {
        if let Some(connection) = self.open.get(&id) {
            let key = (connection.listener, connection.peer);
            if self.by_peer.get(&key) == Some(&id) {
                self.by_peer.remove(&key);
            }
        }
    }

    /// Takes a connection out.
    pub(super) fn remove(&mut self, id: u64) {
        self.retire(id);
        self.spoke(id);
        if let Some(connection) = self.open.remove(&id) {
            self.common -= usize::from(!connection.reserved);
        }
    }

    /// Closes the oldest connection that has said nothing.
    pub(super) fn evict_silent(&mut self) -> bool {
        let Some(id) = self.evictable.pop_first() else {
            return false;
        };
        if let Some(task) = self.open.get(&id).and_then(|c| c.task.as_ref()) {
            task.abort();
        }
        self.remove(id);
        true
    }

    /// Queues a message on `connection`, else on any connection of the listener with `peer`.
    pub(super) fn queue(
        &self,
        connection: Option<u64>,
        listener: u16,
        peer: SocketAddr,
        bytes: Vec<u8>,
    ) -> Queued {
        let named = connection.and_then(|id| self.open.get(&id));
        let found = named.filter(|c| c.listener == listener).or_else(|| {
            let id = self.by_peer.get(&(listener, peer))?;
            self.open.get(id)
        });
        let Some(found) = found else {
            return Queued::NoConnection(bytes);
        };
        match found.queue.try_send(bytes) {
            Ok(()) => Queued::Yes,
            Err(mpsc::error::TrySendError::Full(_)) => Queued::Dropped,
            Err(mpsc::error::TrySendError::Closed(bytes)) => Queued::NoConnection(bytes),
        }
    }

    /// A sender into a connection's own queue, for keep-alive replies.
    pub(super) fn sender(&self, id: u64) -> Option<mpsc::Sender<Vec<u8>>> {
        self.open.get(&id).map(|c| c.queue.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(max: usize, reserved: usize) -> Table {
        let options = Options {
            connections_max: max,
            connections_reserved: reserved,
            reserved_for: vec![Cidr {
                network: [10, 0, 0, 0].into(),
                prefix: 8,
            }],
            ..Options::default()
        };
        Table::new(&options, vec![0])
    }

    fn peer(net: u8, port: u16) -> SocketAddr {
        ([net, 0, 0, 1], port).into()
    }

    #[test]
    fn silent_strangers_make_place_and_talkers_do_not() {
        let mut table = table(4, 2);
        let first = table.admit(0, peer(1, 1)).ok().expect("a place").id;
        let second = table.admit(0, peer(1, 2)).ok().expect("a place").id;
        table.spoke(first);
        let third = table.admit(0, peer(1, 3)).ok().expect("a place");
        assert!(third.evicted, "the silent second went");
        assert!(table.sender(second).is_none() && table.sender(first).is_some());
        table.spoke(third.id);
        let full = table.admit(0, peer(1, 4)).err().expect("full");
        assert!(full.first);
        assert!(!table.admit(0, peer(1, 5)).err().expect("full").first);
        assert_eq!(table.len(), 2);
    }

    #[test]
    fn the_reserve_is_for_trunks_and_for_us() {
        let mut table = table(4, 2);
        for port in 1..=2 {
            let id = table.admit(0, peer(1, port)).ok().expect("a place").id;
            table.spoke(id);
        }
        assert!(table.admit(0, peer(1, 3)).is_err());
        assert!(table.admit(0, peer(10, 1)).is_ok(), "a trunk");
        assert!(table.call_out(0, peer(1, 9)).is_ok(), "ours");
        assert!(table.admit(0, peer(10, 2)).is_err(), "all are taken");
        let mut silent = self::table(3, 2);
        assert!(silent.admit(0, peer(10, 1)).is_ok());
        assert!(silent.admit(0, peer(10, 2)).is_ok());
        assert!(silent.admit(0, peer(10, 3)).is_ok());
        assert!(
            silent.admit(0, peer(1, 1)).is_err(),
            "a silent trunk is not closed"
        );
    }

    #[test]
    fn a_removed_connection_leaves_nothing_behind() {
        let mut table = table(4, 0);
        let place = table.admit(0, peer(1, 1)).ok().expect("a place");
        let id = place.id;
        assert!(matches!(
            table.queue(None, 0, peer(1, 1), vec![1]),
            Queued::Yes
        ));
        assert_eq!(table.queued(), 1);
        table.remove(id);
        table.remove(id);
        assert_eq!((table.len(), table.silent(), table.common), (0, 0, 0));
        assert!(table.by_peer.is_empty() && table.evictable.is_empty());
        assert!(matches!(
            table.queue(Some(id), 0, peer(1, 1), vec![1]),
            Queued::NoConnection(_)
        ));
    }
}
