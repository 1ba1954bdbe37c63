//! The signalling machine: bytes, commands and the time in, bytes and news out (RFC 3261 sections 8-17).
//!
//! Owns transactions, dialogs, registrations and probes of this process. Pure: the time, the random seed and media
//! ports ([`MediaGate`]) are handed in; nothing here waits. The shell around it is [`super::endpoint`]. It decides
//! nothing about calls: it reports [`Tell`]s and obeys [`LegCommand`](crate::call::LegCommand)s.
//!
//! ```text
//! Incoming  -> receive() -+                       +-> Output::Send(Outgoing)
//! LegCommand-> command() -+-> transactions, legs -+-> Output::Tell(Tell)
//! time      -> fire()    -+                       +-> MediaGate open, connect, close
//! ```

mod command;
mod in_dialog;
mod inbound;
mod leg;
mod outbound;
mod probe;
mod register;
mod release;
mod request;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use super::auth::Digest;
use super::dialog::Listener;
use super::message::{Draft, Message, Request};
use super::net::{Flow, Incoming, Outgoing};
use super::profile::Profile;
use super::random::Random;
use super::registrar::Registrar;
use super::timers::Wheel;
use super::transaction::{ClientKey, Notice, ServerKey, Transactions};
use super::wire::{self, WireError};
use crate::call::{Arrival, LegEvent};
use crate::config::checked::{SeatAccount, Trunk};
use crate::id::{LegId, SeatId, TrunkId};
use crate::limits::SIP_TRANSACTIONS_MAX;
use crate::media::MediaGate;
use crate::time::Timestamp;
use leg::Leg;
use probe::Target;

/// Finished INVITEs whose repetition is still recognised.
const FINISHED_MAX: usize = 8192;
/// Unknown addresses that are counted one by one.
const STRANGERS_MAX: usize = 1024;

/// Everything the machine is told at its start or at a reload.
pub struct Setup {
    pub listeners: Vec<Listener>,
    pub trunks: Vec<Trunk>,
    pub seats: Vec<SeatAccount>,
    pub realm: String,
    /// Digest algorithms that challenges name, best first.
    pub digests: Vec<crate::sip::auth::Algorithm>,
    pub options_every: Duration,
    /// By name; a trunk whose profile is missing uses the defaults. `seat-softphone` is that of the seats, if there.
    pub profiles: BTreeMap<String, Profile>,
    /// Secret; makes every token of this process.
    pub seed: [u8; 32],
}

/// What the machine wants done, in order.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// Bytes to a far side.
    Send(Outgoing),
    /// News for the core.
    Tell(Tell),
}

/// News for the core.
#[derive(Clone, Debug, PartialEq)]
pub enum Tell {
    Arrived(Box<Arrival>),
    ArrivedAgain {
        invite_key: String,
    },
    Leg {
        leg: LegId,
        event: LegEvent,
    },
    SeatRegistered {
        seat: SeatId,
        contact: String,
        until: Timestamp,
    },
    SeatUnregistered {
        seat: SeatId,
    },
    SeatReachable {
        seat: SeatId,
        reachable: bool,
    },
    TrunkUp {
        trunk: TrunkId,
    },
    TrunkDown {
        trunk: TrunkId,
        reason: String,
    },
    UnknownSource {
        address: String,
        count: u64,
    },
}

/// Sizes of the tables and counts since start, for the metrics.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct Sizes {
    pub client_transactions: usize,
    pub server_transactions: usize,
    pub dialogs: usize,
    pub registrations: usize,
    pub timers: usize,
    /// Messages that were answered 400 or 505.
    pub malformed: u64,
    /// Messages that could not even be answered.
    pub dropped: u64,
    /// INVITEs refused for want of a port, descriptor or place.
    pub refused: u64,
}

/// What a client transaction of ours is for.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Purpose {
    Invite(LegId),
    /// UPDATE or re-INVITE that keeps the session alive.
    Refresh(LegId),
    Probe(Target),
    /// CANCEL, BYE, PRACK: the answer changes nothing.
    Closing,
    /// An INVITE of an earlier process, cancelled by this one.
    Orphan(LegId),
}

/// What a deadline is for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    Session(LegId),
    /// The 100 of an INVITE that nothing answered yet.
    Trying(LegId),
    /// The next repetition of a reliable 183.
    Reliable(LegId),
    /// A released leg waited long enough for its ACK.
    Forget(LegId),
    Probe(Target),
    ProbeMissed(Target),
    SeatExpiry(SeatId),
}

/// The machine.
pub struct Ua {
    setup: Setup,
    gate: Arc<dyn MediaGate>,
    random: Random,
    digest: Digest,
    tx: Transactions,
    wheel: Wheel<Due>,
    out: VecDeque<Output>,
    legs: BTreeMap<LegId, Leg>,
    /// Call-ID and our tag.
    by_dialog: BTreeMap<(String, String), LegId>,
    by_server: BTreeMap<ServerKey, LegId>,
    by_client: BTreeMap<ClientKey, Purpose>,
    /// Open inbound legs by the identity of their INVITE.
    open_keys: BTreeMap<String, LegId>,
    finished: VecDeque<String>,
    registrar: Registrar,
    probes: BTreeMap<Target, probe::Watch>,
    strangers: BTreeMap<std::net::IpAddr, u64>,
    malformed: u64,
    dropped: u64,
    refused: u64,
}

impl Ua {
    /// A machine that has not yet spoken; `bindings` are registrations of an earlier process.
    #[must_use]
    pub fn new(
        now: Timestamp,
        setup: Setup,
        gate: Arc<dyn MediaGate>,
        bindings: Vec<(SeatId, String, Timestamp)>,
    ) -> Self {
        let mut ua = Self {
            random: Random::new(setup.seed),
            digest: Digest::new(&setup.realm, setup.seed, &setup.digests),
            tx: Transactions::new(SIP_TRANSACTIONS_MAX),
            wheel: Wheel::default(),
            out: VecDeque::new(),
            legs: BTreeMap::new(),
            by_dialog: BTreeMap::new(),
            by_server: BTreeMap::new(),
            by_client: BTreeMap::new(),
            open_keys: BTreeMap::new(),
            finished: VecDeque::new(),
            registrar: Registrar::default(),
            probes: BTreeMap::new(),
            strangers: BTreeMap::new(),
            malformed: 0,
            dropped: 0,
            refused: 0,
            setup,
            gate,
        };
        for (seat, contact, until) in bindings {
            let known = ua.setup.seats.iter().any(|s| s.seat == seat);
            if known && until > now && ua.registrar.restore(seat.clone(), &contact, until) {
                ua.wheel.set(Due::SeatExpiry(seat.clone()), until);
                ua.watch(now, Target::Seat(seat));
            }
        }
        ua.watch_trunks(now);
        ua
    }

    /// Takes over trunks, seats and profiles of a new configuration; listeners, open calls and bindings stay.
    pub fn reload(
        &mut self,
        now: Timestamp,
        trunks: Vec<Trunk>,
        seats: Vec<SeatAccount>,
        profiles: BTreeMap<String, Profile>,
        options_every: Duration,
    ) {
        self.setup.trunks = trunks;
        self.setup.seats = seats;
        self.setup.profiles = profiles;
        self.setup.options_every = options_every;
        self.watch_trunks(now);
    }

    /// Takes a message in. With `accepting` off, new INVITEs are answered 503 with a record.
    pub fn receive(&mut self, now: Timestamp, incoming: &Incoming, accepting: bool) {
        let flow = Flow::of(incoming);
        match wire::parse(&incoming.bytes) {
            Ok(Message::Request(mut request)) => {
                request.stamp_via(incoming.peer);
                self.request(now, *request, flow, accepting);
            }
            Ok(Message::Response(response)) => self.response(now, &response),
            Err(WireError::KeepAlive) => {}
            Err(WireError::Dropped { .. }) => self.dropped += 1,
            Err(WireError::Refused {
                status,
                mut request,
                ..
            }) => {
                self.malformed += 1;
                request.stamp_via(incoming.peer);
                self.reply_once(&request, flow, status, &[]);
            }
        }
        self.settle(now);
    }

    /// Does what is due.
    pub fn fire(&mut self, now: Timestamp) {
        self.tx.fire(now);
        self.settle(now);
        while let Some(due) = self.wheel.pop_due(now) {
            match due {
                Due::Session(leg) => self.session_due(now, leg),
                Due::Trying(leg) => self.trying_due(now, leg),
                Due::Reliable(leg) => self.repeat_reliable(now, leg),
                Due::Forget(leg) => self.acked_or_not(now, leg),
                Due::Probe(target) => self.probe(now, &target),
                Due::ProbeMissed(target) => self.probe_missed(now, &target),
                Due::SeatExpiry(seat) => self.seat_due(now, &seat),
            }
        }
        self.settle(now);
    }

    /// A connection to `peer` did not come up: requests that wait for its answer need not wait longer.
    pub fn unreachable(&mut self, now: Timestamp, listener: u16, peer: std::net::SocketAddr) {
        self.tx.fail_peer(listener, peer);
        self.settle(now);
    }

    /// When [`Self::fire`] is wanted next.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Timestamp> {
        [self.tx.next_timeout(), self.wheel.next()]
            .into_iter()
            .flatten()
            .min()
    }

    /// The next thing to do.
    pub fn poll(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    /// Sizes and counts.
    #[must_use]
    pub fn sizes(&self) -> Sizes {
        let (client_transactions, server_transactions) = self.tx.sizes();
        Sizes {
            client_transactions,
            server_transactions,
            dialogs: self.legs.len(),
            registrations: self.registrar.len(),
            timers: self.wheel.len(),
            malformed: self.malformed,
            dropped: self.dropped,
            refused: self.refused,
        }
    }

    /// Moves what the transactions did into the outputs.
    fn settle(&mut self, now: Timestamp) {
        loop {
            while let Some(outgoing) = self.tx.take_out() {
                self.out.push_back(Output::Send(outgoing));
            }
            match self.tx.take_notice() {
                Some(Notice::TimedOut(key)) => self.timed_out(now, &key),
                Some(Notice::NeverAcked(key)) => self.never_acked(now, &key),
                None => break,
            }
        }
    }

    fn tell(&mut self, tell: Tell) {
        self.out.push_back(Output::Tell(tell));
    }

    /// The way of responses to a request.
    fn way_back(request: &Request, flow: Flow) -> Flow {
        flow.to(request.reply_to(flow.peer, !flow.is_reliable()))
    }

    /// Answers without remembering: repeated, it gives the same bytes (RFC 3261 8.2.7).
    fn reply_once(
        &mut self,
        request: &Request,
        flow: Flow,
        status: u16,
        extra: &[(&'static str, String)],
    ) {
        let tag = self.random.seal(&request.key());
        let mut draft = Draft::response(request, status, Some(&tag));
        for (name, value) in extra {
            draft.headers.push(*name, value);
        }
        let outgoing = Self::way_back(request, flow).outgoing(draft.to_bytes());
        self.out.push_back(Output::Send(outgoing));
    }

    /// Answers within a transaction.
    fn respond(
        &mut self,
        now: Timestamp,
        key: &ServerKey,
        request: &Request,
        flow: Flow,
        status: u16,
        draft: &Draft,
    ) {
        let way = Self::way_back(request, flow);
        self.tx.respond(now, key, status, draft.to_bytes(), way);
    }

    /// Answers within a transaction, without anything special.
    fn respond_plain(
        &mut self,
        now: Timestamp,
        key: &ServerKey,
        request: &Request,
        flow: Flow,
        status: u16,
    ) {
        let tag = self.random.seal(&request.key());
        let draft = Draft::response(request, status, Some(&tag));
        self.respond(now, key, request, flow, status, &draft);
    }

    /// Sends a request of ours and remembers what it is for. With a full table it is sent once and not watched: false.
    fn ask(
        &mut self,
        now: Timestamp,
        key: ClientKey,
        purpose: Purpose,
        request: &Draft,
        refusal: Option<Draft>,
        way: Flow,
    ) -> bool {
        let watched = self
            .tx
            .send(now, key.clone(), request.to_bytes(), refusal, way);
        if watched {
            self.by_client.insert(key, purpose);
        }
        watched
    }

    /// Our side of a listener; listeners never go away while the process runs.
    fn listener(&self, index: u16) -> Listener {
        self.setup
            .listeners
            .get(usize::from(index))
            .cloned()
            .unwrap_or_else(|| Listener {
                id: String::new(),
                transport: crate::config::checked::Transport::Udp,
                host: String::from("127.0.0.1"),
                port: 5060,
            })
    }

    fn trunk_profile(&self, trunk: &Trunk) -> Profile {
        self.setup
            .profiles
            .get(&trunk.profile)
            .cloned()
            .unwrap_or_default()
    }

    fn seat_profile(&self) -> Profile {
        self.setup
            .profiles
            .get("seat-softphone")
            .cloned()
            .unwrap_or_else(Profile::softphone)
    }

    /// Runs `f` on a leg that is out of the table meanwhile; puts it back unless it is over.
    fn with_leg<R>(&mut self, id: LegId, f: impl FnOnce(&mut Self, &mut Leg) -> R) -> Option<R> {
        let mut leg = self.legs.remove(&id)?;
        let result = f(self, &mut leg);
        if leg.gone {
            self.forget(leg);
        } else {
            self.tell_dialog(&mut leg);
            self.legs.insert(id, leg);
        }
        Some(result)
    }
}
