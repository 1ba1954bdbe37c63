//! Client and server transactions (RFC 3261 section 17, RFC 6026) in one bounded table.
//!
//! Owns retransmission, absorption and time-outs; knows messages only as bytes, a key and a status. Bytes to send
//! and what the user of the transaction must know are queued and taken by the caller; the time is handed in.
//!
//! ```text
//! INVITE server  Proceeding -> Completed (3xx-6xx, until ACK) -> Confirmed -> gone
//!                           -> Accepted  (2xx, repeated until ACK or 64*T1) -> gone
//! other server   Proceeding -> Completed (64*T1) -> gone
//! INVITE client  Calling -> Proceeding -> Completed (ACKs repeats) | Accepted (hands up repeats) -> gone
//! other client   Trying -> Proceeding -> Completed -> gone
//! ```

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::message::{Draft, Method, Request, Response};
use super::net::{Flow, Outgoing};
use super::timers::Wheel;
use crate::time::Timestamp;

/// Round-trip estimate (RFC 3261 17.1.1.1).
pub const T1: Duration = Duration::from_millis(500);
/// Longest retransmission interval.
pub const T2: Duration = Duration::from_secs(4);
/// How long a message stays in the network.
pub const T4: Duration = Duration::from_secs(5);
/// Time-out of every transaction: 64 * T1.
pub const TIMEOUT: Duration = Duration::from_secs(32);
/// A proceeding INVITE of ours is given up after this (the role of Timer C).
pub const INVITE_PROCEEDING_MAX: Duration = Duration::from_secs(300);
/// Places that requests out of the blue may not take: kept for open calls.
const RESERVE: usize = 1024;

/// Names a server transaction (RFC 3261 17.2.3, with the older rules for a branch without the cookie).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ServerKey(String);

/// Names a client transaction: our branch and the method.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ClientKey {
    /// Our branch.
    pub branch: String,
    /// Method of the request.
    pub method: Method,
}

/// What a request is to the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Received {
    /// Seen for the first time; a transaction stands now.
    New(ServerKey),
    /// A repetition or the ACK of a refusal: dealt with.
    Absorbed,
    /// An ACK that belongs to no refusal: the ACK of a 2xx.
    AckOfSuccess,
    /// No place left; nothing stands.
    Full,
}

/// What the user of a transaction must know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// No final response came in time.
    TimedOut(ClientKey),
    /// Our 2xx was repeated for 64*T1 and never acknowledged.
    NeverAcked(ServerKey),
}

#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum ServerState {
    Proceeding,
    Completed,
    Confirmed,
    Accepted,
}

#[derive(Clone, Debug)]
struct Server {
    invite: bool,
    flow: Flow,
    state: ServerState,
    last: Option<Vec<u8>>,
    repeat: Option<(Timestamp, Duration)>,
    ends: Option<Timestamp>,
}

#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum ClientState {
    Calling,
    Proceeding,
    Completed,
    Accepted,
}

struct Client {
    flow: Flow,
    state: ClientState,
    bytes: Vec<u8>,
    /// The ACK of a refusal without To; INVITE only.
    ack: Option<Draft>,
    acked: Option<Vec<u8>>,
    repeat: Option<(Timestamp, Duration)>,
    ends: Timestamp,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Server(ServerKey),
    Client(ClientKey),
}

/// The table.
pub struct Transactions {
    limit: usize,
    servers: BTreeMap<ServerKey, Server>,
    clients: BTreeMap<ClientKey, Client>,
    wheel: Wheel<Key>,
    out: VecDeque<Outgoing>,
    notices: VecDeque<Notice>,
}

impl ServerKey {
    /// The key of a request; an ACK has that of its INVITE.
    #[must_use]
    pub fn of(request: &Request) -> Self {
        let method = if request.method == Method::Ack {
            &Method::Invite
        } else {
            &request.method
        };
        Self::with_method(request, method)
    }

    /// The key of the INVITE that a CANCEL cancels.
    #[must_use]
    pub fn cancelled_by(cancel: &Request) -> Self {
        Self::with_method(cancel, &Method::Invite)
    }

    fn with_method(request: &Request, method: &Method) -> Self {
        let via = &request.is.via;
        let sent_by = format!(
            "{}:{}",
            via.host.to_ascii_lowercase(),
            via.port.unwrap_or(0)
        );
        match via.branch.as_deref() {
            Some(b)
                if b.len() > 7
                    && b.get(..7)
                        .is_some_and(|c| c.eq_ignore_ascii_case("z9hG4bK")) =>
            {
                Self(format!("{b}|{sent_by}|{method}"))
            }
            Some(_) | None => {
                let tag = request.is.from.tag().unwrap_or("");
                Self(format!(
                    "2543|{}|{tag}|{}|{sent_by}|{method}",
                    request.is.call_id, request.is.cseq
                ))
            }
        }
    }
}

impl Transactions {
    /// An empty table of at most `limit` transactions.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            servers: BTreeMap::new(),
            clients: BTreeMap::new(),
            wheel: Wheel::default(),
            out: VecDeque::new(),
            notices: VecDeque::new(),
        }
    }

    /// Client and server transactions that stand.
    #[must_use]
    pub fn sizes(&self) -> (usize, usize) {
        (self.clients.len(), self.servers.len())
    }

    /// The next moment at which [`Self::fire`] has something to do.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Timestamp> {
        self.wheel.next()
    }

    /// Bytes to send, in order.
    pub fn take_out(&mut self) -> Option<Outgoing> {
        self.out.pop_front()
    }

    /// What became of transactions, in order.
    pub fn take_notice(&mut self) -> Option<Notice> {
        self.notices.pop_front()
    }

    /// Whether a server transaction stands.
    #[must_use]
    pub fn stands(&self, key: &ServerKey) -> bool {
        self.servers.contains_key(key)
    }

    /// Takes a request in. `flow` is the way of its responses, `known` whether it belongs to an open call.
    pub fn receive(
        &mut self,
        now: Timestamp,
        request: &Request,
        flow: Flow,
        known: bool,
    ) -> Received {
        let key = ServerKey::of(request);
        if request.method == Method::Ack {
            return self.receive_ack(now, &key);
        }
        if let Some(server) = self.servers.get(&key) {
            if let (Some(last), false) = (&server.last, server.state == ServerState::Accepted) {
                self.out.push_back(flow.outgoing(last.clone()));
            }
            return Received::Absorbed;
        }
        let room = self.limit.saturating_sub(if known {
            0
        } else {
            RESERVE.min(self.limit / 4)
        });
        if self.servers.len() + self.clients.len() >= room {
            return Received::Full;
        }
        let invite = request.method == Method::Invite;
        let server = Server {
            invite,
            flow,
            state: ServerState::Proceeding,
            last: None,
            repeat: None,
            ends: (!invite).then(|| now + TIMEOUT),
        };
        self.servers.insert(key.clone(), server);
        self.arm_server(&key);
        Received::New(key)
    }

    fn receive_ack(&mut self, now: Timestamp, key: &ServerKey) -> Received {
        let Some(server) = self.servers.get_mut(key) else {
            return Received::AckOfSuccess;
        };
        match server.state {
            ServerState::Completed => {
                server.state = ServerState::Confirmed;
                server.repeat = None;
                let linger = if server.flow.is_reliable() {
                    Duration::ZERO
                } else {
                    T4
                };
                server.ends = Some(now + linger);
                self.arm_server(key);
                Received::Absorbed
            }
            ServerState::Confirmed => Received::Absorbed,
            ServerState::Accepted | ServerState::Proceeding => Received::AckOfSuccess,
        }
    }

    /// Whether a response of ours was sent in this transaction.
    #[must_use]
    pub fn has_responded(&self, key: &ServerKey) -> bool {
        self.servers
            .get(key)
            .is_some_and(|server| server.last.is_some())
    }

    /// Sends a response within a transaction. Without one (gone or never made) it is sent once.
    pub fn respond(
        &mut self,
        now: Timestamp,
        key: &ServerKey,
        status: u16,
        bytes: Vec<u8>,
        flow: Flow,
    ) {
        let Some(server) = self.servers.get_mut(key) else {
            self.out.push_back(flow.outgoing(bytes));
            return;
        };
        if server.state != ServerState::Proceeding {
            return;
        }
        self.out.push_back(server.flow.outgoing(bytes.clone()));
        server.last = Some(bytes);
        if status >= 200 {
            let reliable = server.flow.is_reliable();
            server.ends = Some(now + TIMEOUT);
            if server.invite && status < 300 {
                server.state = ServerState::Accepted;
                server.repeat = Some((now + T1, T1));
            } else {
                server.state = ServerState::Completed;
                server.repeat = (server.invite && !reliable).then(|| (now + T1, T1));
                if !server.invite && reliable {
                    server.ends = Some(now);
                }
            }
        }
        self.arm_server(key);
    }

    /// The ACK of a 2xx came: it is not repeated any more.
    pub fn stop_repeating(&mut self, key: &ServerKey) {
        if let Some(server) = self.servers.get_mut(key) {
            server.repeat = None;
            self.arm_server(key);
        }
    }

    /// Starts a client transaction. `ack` is the ACK of a refusal without its To, for INVITEs. When the table is
    /// full the request is sent once and not watched.
    pub fn send(
        &mut self,
        now: Timestamp,
        key: ClientKey,
        bytes: Vec<u8>,
        ack: Option<Draft>,
        flow: Flow,
    ) -> bool {
        self.out.push_back(flow.outgoing(bytes.clone()));
        if self.servers.len() + self.clients.len() >= self.limit {
            return false;
        }
        let client = Client {
            flow,
            state: ClientState::Calling,
            bytes,
            ack,
            acked: None,
            repeat: (!flow.is_reliable()).then(|| (now + T1, T1)),
            ends: now + TIMEOUT,
        };
        self.clients.insert(key.clone(), client);
        self.arm_client(&key);
        true
    }

    /// A proceeding INVITE of an earlier process whose answer must still be acknowledged.
    pub fn adopt(&mut self, now: Timestamp, key: ClientKey, ack: Draft, flow: Flow) {
        let client = Client {
            flow,
            state: ClientState::Proceeding,
            bytes: Vec::new(),
            ack: Some(ack),
            acked: None,
            repeat: None,
            ends: now + TIMEOUT,
        };
        self.clients.insert(key.clone(), client);
        self.arm_client(&key);
    }

    /// Forgets a client transaction: its answer is of no interest any more.
    pub fn abandon(&mut self, key: &ClientKey) {
        self.clients.remove(key);
        self.wheel.clear(&Key::Client(key.clone()));
    }

    /// An INVITE of ours was cancelled: it must end within 64*T1.
    pub fn shorten(&mut self, now: Timestamp, key: &ClientKey) {
        if let Some(client) = self.clients.get_mut(key) {
            client.ends = client.ends.min(now + TIMEOUT);
            self.arm_client(key);
        }
    }

    /// Takes a response in. `Some(key)`: it is for the user of that transaction (repeats only of a 2xx).
    pub fn receive_response(&mut self, now: Timestamp, response: &Response) -> Option<ClientKey> {
        let key = ClientKey {
            branch: response.is.via.branch.clone()?,
            method: response.is.cseq_method.clone(),
        };
        let client = self.clients.get_mut(&key)?;
        let invite = client.ack.is_some();
        let reliable = client.flow.is_reliable();
        let passed = match client.state {
            ClientState::Calling | ClientState::Proceeding if response.status < 200 => {
                client.state = ClientState::Proceeding;
                if invite {
                    client.repeat = None;
                    client.ends = client.ends.max(now + INVITE_PROCEEDING_MAX);
                } else if client.repeat.is_some() {
                    client.repeat = Some((now + T2, T2));
                }
                true
            }
            ClientState::Calling | ClientState::Proceeding => {
                client.repeat = None;
                let linger = match (invite, response.status < 300) {
                    (true, true) => TIMEOUT,
                    (true, false) if !reliable => TIMEOUT,
                    (false, _) if !reliable => T4,
                    (true | false, _) => Duration::ZERO,
                };
                client.ends = now + linger;
                client.state = ClientState::Completed;
                if invite && response.status < 300 {
                    client.state = ClientState::Accepted;
                } else if let Some(ack) = &client.ack {
                    let to = response.headers.first("To").unwrap_or_default();
                    let bytes = ack.clone().with("To", to).to_bytes();
                    self.out.push_back(client.flow.outgoing(bytes.clone()));
                    client.acked = Some(bytes);
                }
                true
            }
            ClientState::Completed => {
                if let (Some(ack), true) = (&client.acked, response.status >= 300) {
                    self.out.push_back(client.flow.outgoing(ack.clone()));
                }
                false
            }
            ClientState::Accepted => (200..300).contains(&response.status),
        };
        self.arm_client(&key);
        passed.then_some(key)
    }

    /// Times out every request that is still without any answer from `peer` (RFC 3261 8.1.3.1).
    pub fn fail_peer(&mut self, listener: u16, peer: std::net::SocketAddr) {
        let waiting = |c: &Client| {
            c.state == ClientState::Calling && c.flow.peer == peer && c.flow.listener == listener
        };
        let failed: Vec<ClientKey> = self
            .clients
            .iter()
            .filter(|(_, c)| waiting(c))
            .map(|(k, _)| k.clone())
            .collect();
        for key in failed {
            self.abandon(&key);
            self.notices.push_back(Notice::TimedOut(key));
        }
    }

    /// Does what is due.
    pub fn fire(&mut self, now: Timestamp) {
        while let Some(key) = self.wheel.pop_due(now) {
            match key {
                Key::Server(key) => self.fire_server(now, &key),
                Key::Client(key) => self.fire_client(now, &key),
            }
        }
    }

    fn fire_server(&mut self, now: Timestamp, key: &ServerKey) {
        let Some(server) = self.servers.get_mut(key) else {
            return;
        };
        if server.ends.is_some_and(|at| at <= now) {
            if server.state == ServerState::Accepted && server.repeat.is_some() {
                self.notices.push_back(Notice::NeverAcked(key.clone()));
            }
            self.servers.remove(key);
            return;
        }
        if let Some((at, interval)) = server.repeat.filter(|(at, _)| *at <= now) {
            if let Some(last) = &server.last {
                self.out.push_back(server.flow.outgoing(last.clone()));
            }
            let interval = (interval * 2).min(T2);
            server.repeat = Some((at.max(now) + interval, interval));
        }
        self.arm_server(key);
    }

    fn fire_client(&mut self, now: Timestamp, key: &ClientKey) {
        let Some(client) = self.clients.get_mut(key) else {
            return;
        };
        if client.ends <= now {
            if matches!(client.state, ClientState::Calling | ClientState::Proceeding) {
                self.notices.push_back(Notice::TimedOut(key.clone()));
            }
            self.clients.remove(key);
            return;
        }
        if let Some((at, interval)) = client.repeat.filter(|(at, _)| *at <= now) {
            self.out
                .push_back(client.flow.outgoing(client.bytes.clone()));
            let doubled = interval * 2;
            let interval = if client.ack.is_some() {
                doubled
            } else {
                doubled.min(T2)
            };
            client.repeat = Some((at.max(now) + interval, interval));
        }
        self.arm_client(key);
    }

    fn arm_server(&mut self, key: &ServerKey) {
        if let Some(server) = self.servers.get(key) {
            let repeat = server.repeat.map(|(at, _)| at);
            match [repeat, server.ends].into_iter().flatten().min() {
                Some(at) => self.wheel.set(Key::Server(key.clone()), at),
                None => self.wheel.clear(&Key::Server(key.clone())),
            }
        }
    }

    fn arm_client(&mut self, key: &ClientKey) {
        if let Some(client) = self.clients.get(key) {
            let repeat = client.repeat.map_or(client.ends, |(at, _)| at);
            self.wheel
                .set(Key::Client(key.clone()), repeat.min(client.ends));
        }
    }
}
