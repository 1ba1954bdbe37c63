//! The sockets of signalling: UDP, TCP and TLS listeners, connections both ways, queues. SHELL.
//!
//! Owns: binding, DSCP and buffers, accepting and connecting, cutting streams into messages, certificates and their
//! reload, limits against slow and too many peers. Refuses to know: what a message says (beyond Content-Length),
//! transactions, trunks, retransmission. RFC 3261 18, RFC 5626 4.4.1 (keep-alive).
//!
//! ```text
//! accepted: Silent --first message--> Open --partial for 30 s | bad framing | far side closed--> gone
//!           Silent --30 s | place needed--> gone          called out: Connecting --4 s | error--> gone + Fault
//! ```
//! Sending never waits: a full UDP socket or connection queue drops the message and counts it (SIP's timers repeat
//! it). Receiving waits for the signalling: the kernel's buffers hold meanwhile, and `stalled` counts it.
//!
//! Tasks: one per socket, one per connection, one supervisor. A listener task that dies is started again on the same
//! socket and reported as [`Fault::ListenerDied`]; connections live in a set of their own and outlast it. Dropping
//! [`Transports`] ends them all.

mod connections;
mod counters;
pub mod framing;
mod stream;
mod tls;
mod udp;

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::net::{TcpListener, UdpSocket};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::net::{Incoming, Outgoing};
use crate::config::checked::{Cidr, SipListener, Transport};
use crate::limits;
use connections::Table;
pub use counters::Sizes;
use counters::{Counted, Counters};
pub use tls::{TlsError, Trust};

/// Limits and waits of the sockets.
#[derive(Clone, Debug)]
pub struct Options {
    /// A connection must bring its first message (TLS handshake included), and each begun message its end, within this.
    pub message_within: Duration,
    /// A connection of ours must be up (TLS included) within this; the message is written within `message_within`.
    pub connect_within: Duration,
    /// Connections at once; never more than half of the descriptors this process may have, for calls need the rest.
    pub connections_max: usize,
    /// Of these, kept free for `reserved_for` and for connections of ours.
    pub connections_reserved: usize,
    /// Sources whose connections may use the reserve and are never closed to make place: the trunks'.
    pub reserved_for: Vec<Cidr>,
    /// Messages waiting per connection.
    pub queue_messages_max: usize,
    /// Whose certificates are accepted on connections of ours.
    pub trust: Trust,
    /// How often certificate files are looked at.
    pub certificate_check_every: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            message_within: Duration::from_secs(30),
            connect_within: Duration::from_secs(4),
            connections_max: limits::SIP_CONNECTIONS_MAX,
            connections_reserved: limits::SIP_CONNECTIONS_RESERVED,
            reserved_for: Vec::new(),
            queue_messages_max: limits::SIP_CONNECTION_QUEUE_MAX,
            trust: Trust::Nobody,
            certificate_check_every: Duration::from_secs(2),
        }
    }
}

/// A listener as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bound {
    /// Its configured name.
    pub id: String,
    /// The address really bound (the port is never 0).
    pub address: SocketAddr,
    /// Host for Via and Contact, as configured, else the bound address; IPv6 in brackets.
    pub host: String,
    /// Of all its traffic.
    pub transport: Transport,
}

/// Why the sockets could not be opened. Nothing stays open then.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    /// Port in use, address not on this machine, no right to a low port.
    #[error("listener {listener}: cannot bind {address}: {source}")]
    Bind {
        /// Its name.
        listener: String,
        /// As configured.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// `transport = "tls"` needs certificate and key.
    #[error("listener {listener}: tls needs a certificate and a key")]
    NoCertificate {
        /// Its name.
        listener: String,
    },
    /// The PEM files are not usable.
    #[error("listener {listener}: {source}")]
    Tls {
        /// Its name.
        listener: String,
        /// Which file, and what is wrong with it.
        source: TlsError,
    },
    /// Beyond what an index can name.
    #[error("{got} listeners, at most {}", u16::MAX)]
    TooManyListeners {
        /// Listeners configured.
        got: usize,
    },
    /// Called outside of a tokio runtime.
    #[error("no tokio runtime to run the sockets on")]
    NoRuntime,
}

/// What a person or the signalling should hear of. Lost when nobody takes them ([`Transports::faults`]): the log and
/// the counters still tell.
#[derive(Clone, Debug, PartialEq)]
pub enum Fault {
    /// A listener's task ended and was started again.
    ListenerDied {
        /// Its index.
        listener: u16,
        /// A panic's words, or that it ended.
        reason: String,
    },
    /// A changed certificate is in force.
    CertificateLoaded {
        /// Its index.
        listener: u16,
    },
    /// A changed certificate is not usable; the old one stays.
    CertificateRefused {
        /// Its index.
        listener: u16,
        /// Which file, and what is wrong with it.
        error: TlsError,
    },
    /// No place for a new connection; told once until there is place again.
    ConnectionsFull {
        /// Where the one turned away came in.
        listener: u16,
        /// Places there are.
        max: usize,
    },
    /// The process is out of descriptors or memory for sockets.
    AcceptFailed {
        /// Its index.
        listener: u16,
        /// What the system said.
        kind: io::ErrorKind,
    },
    /// A connection of ours did not come up; `lost` messages were waiting for it. The transactions of that peer
    /// need not wait for their timers (RFC 3261 8.1.3.1).
    PeerUnreachable {
        /// Its index.
        listener: u16,
        /// Where to.
        peer: SocketAddr,
        /// Refused, no answer, certificate.
        reason: String,
        /// Messages.
        lost: usize,
    },
}

/// The open sockets. Cheap to share behind an `Arc`; dropping it closes everything at once.
pub struct Transports {
    hub: Arc<Hub>,
    faults: Mutex<Option<mpsc::Receiver<Fault>>>,
    /// The supervisor; ends with `self`.
    _supervisor: JoinSet<()>,
}

/// Shared by all tasks.
struct Hub {
    runtime: Handle,
    options: Options,
    bound: Vec<Bound>,
    sockets: Vec<Socket>,
    incoming: mpsc::Sender<Incoming>,
    faults: mpsc::Sender<Fault>,
    table: Mutex<Table>,
    /// Tasks of connections; ended ones are reaped by the supervisor.
    tasks: Mutex<JoinSet<()>>,
    counters: Counters,
    /// Messages taken from a queue and not yet written.
    writing: AtomicUsize,
}

/// The socket of one listener.
#[derive(Clone)]
enum Socket {
    Udp(Arc<UdpSocket>),
    Tcp(Arc<TcpListener>),
    Tls(Arc<TcpListener>, Arc<tls::Identity>),
}

/// Binds all `listeners` with the default [`Options`] and starts receiving into `incoming`.
///
/// # Errors
/// [`TransportError`] of the first listener that cannot be opened.
pub fn start(
    listeners: &[SipListener],
    incoming: mpsc::Sender<Incoming>,
) -> Result<Transports, TransportError> {
    start_with(listeners, Options::default(), incoming)
}

/// As [`start`], with limits of your own. Must be called inside a tokio runtime.
///
/// # Errors
/// [`TransportError`] of the first listener that cannot be opened.
pub fn start_with(
    listeners: &[SipListener],
    mut options: Options,
    incoming: mpsc::Sender<Incoming>,
) -> Result<Transports, TransportError> {
    let runtime = Handle::try_current().map_err(|_| TransportError::NoRuntime)?;
    if u16::try_from(listeners.len()).is_err() {
        return Err(TransportError::TooManyListeners {
            got: listeners.len(),
        });
    }
    options.connections_max = options.connections_max.min(descriptors() / 2);
    let mut sockets = Vec::new();
    let mut bound = Vec::new();
    for listener in listeners {
        let (socket, address) = open(listener, &options)?;
        sockets.push(socket);
        bound.push(Bound {
            id: listener.id.clone(),
            address,
            host: listener
                .advertised
                .clone()
                .unwrap_or_else(|| host_of(address)),
            transport: listener.transport,
        });
    }
    let dscp = listeners.iter().map(|l| l.dscp).collect();
    let (faults, fault_receiver) = mpsc::channel(64);
    let hub = Arc::new(Hub {
        runtime,
        table: Mutex::new(Table::new(&options, dscp)),
        options,
        bound,
        sockets,
        incoming,
        faults,
        tasks: Mutex::new(JoinSet::new()),
        counters: Counters::default(),
        writing: AtomicUsize::new(0),
    });
    let mut supervisor = JoinSet::new();
    supervisor.spawn(supervise(Arc::clone(&hub)));
    Ok(Transports {
        hub,
        faults: Mutex::new(Some(fault_receiver)),
        _supervisor: supervisor,
    })
}

impl Transports {
    /// Sends one message. Never waits; what cannot be queued is dropped and counted.
    ///
    /// UDP goes out of the listener's socket. TCP and TLS use `connection` while it is open, else any open connection
    /// of the listener with `peer`, else a new one to `peer`: for a response that is the sent-by of its Via, not the
    /// port the request came from (RFC 3261 18.2.2).
    pub fn send(&self, outgoing: Outgoing) {
        let hub = &self.hub;
        match hub.sockets.get(usize::from(outgoing.listener)) {
            Some(Socket::Udp(socket)) => match udp::send(socket, &outgoing) {
                Ok(_) => hub.counters.add(Counted::Sent),
                Err(error) => {
                    hub.counters.add(Counted::Dropped);
                    tracing::debug!(listener = outgoing.listener, peer = %outgoing.peer, %error, "UDP message dropped");
                }
            },
            Some(Socket::Tcp(_) | Socket::Tls(..)) => stream::send(hub, outgoing),
            None => hub.counters.add(Counted::Dropped),
        }
    }

    /// The listeners in the order of the configuration; [`Incoming::listener`] is an index into it.
    #[must_use]
    pub fn listeners(&self) -> &[Bound] {
        &self.hub.bound
    }

    /// What is held now and what was counted.
    #[must_use]
    pub fn sizes(&self) -> Sizes {
        let table = lock(&self.hub.table);
        let queued = table.queued() + self.hub.writing.load(Ordering::Relaxed);
        self.hub.counters.sizes(table.len(), table.silent(), queued)
    }

    /// The faults, for the one who turns them into alarms and failed transactions. Given out once.
    pub fn faults(&self) -> Option<mpsc::Receiver<Fault>> {
        lock(&self.faults).take()
    }

    /// Waits until every queued message is written, at most `limit`; false when some are left. For an ordered stop.
    pub async fn flush(&self, limit: Duration) -> bool {
        let empty = async {
            while self.sizes().queued > 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(limit, empty).await.is_ok()
    }
}

impl Drop for Transports {
    fn drop(&mut self) {
        // Connection tasks hold the hub, and the hub holds their set: cut the circle.
        lock(&self.hub.tasks).abort_all();
    }
}

impl Hub {
    /// Hands a message to the signalling, waiting while it is busy. `Err`: it is gone.
    async fn deliver(&self, incoming: Incoming) -> Result<(), ()> {
        self.counters.add(Counted::Received);
        match self.incoming.try_send(incoming) {
            Ok(()) => Ok(()),
            Err(mpsc::error::TrySendError::Full(incoming)) => {
                self.counters.add(Counted::Stalled);
                self.incoming.send(incoming).await.map_err(|_| ())
            }
            Err(mpsc::error::TrySendError::Closed(_)) => Err(()),
        }
    }

    fn report(&self, fault: Fault) {
        tracing::warn!(?fault, "SIP sockets");
        // Nobody takes them, or not fast enough: it is logged.
        let _ = self.faults.try_send(fault);
    }

    /// Looks at the certificate files of all TLS listeners.
    fn reload_certificates(&self) {
        for (listener, socket) in (0_u16..).zip(&self.sockets) {
            if let Socket::Tls(_, identity) = socket {
                match identity.reload() {
                    Ok(false) => {}
                    Ok(true) => self.report(Fault::CertificateLoaded { listener }),
                    Err(error) => self.report(Fault::CertificateRefused { listener, error }),
                }
            }
        }
    }

    /// Forgets tasks of connections that have ended; a panic in one is a bug worth a line.
    fn reap(&self) {
        let mut tasks = lock(&self.tasks);
        while let Some(ended) = tasks.try_join_next() {
            if let Err(error) = ended
                && error.is_panic()
            {
                tracing::error!(%error, "a SIP connection task died");
            }
        }
    }
}

/// Runs the listener tasks and the small regular work.
async fn supervise(hub: Arc<Hub>) {
    let listeners = keep_running(
        hub.sockets.len(),
        |index| listen(Arc::clone(&hub), index),
        |index, reason| {
            if hub.incoming.is_closed() {
                return false;
            }
            hub.counters.add(Counted::Restarted);
            let listener = u16::try_from(index).unwrap_or(u16::MAX);
            hub.report(Fault::ListenerDied { listener, reason });
            true
        },
    );
    let chores = async {
        let mut every = tokio::time::interval(hub.options.certificate_check_every);
        loop {
            every.tick().await;
            hub.reap();
            hub.reload_certificates();
        }
    };
    tokio::select! {
        () = listeners => {}
        () = chores => {}
    }
}

async fn listen(hub: Arc<Hub>, index: usize) {
    let listener = u16::try_from(index).unwrap_or(u16::MAX);
    let (Some(socket), Some(bound)) = (hub.sockets.get(index).cloned(), hub.bound.get(index))
    else {
        return;
    };
    let local = bound.address;
    match socket {
        Socket::Udp(socket) => udp::receive(hub, listener, socket, local).await,
        Socket::Tcp(socket) => stream::accept(hub, listener, socket, None).await,
        Socket::Tls(socket, identity) => {
            stream::accept(hub, listener, socket, Some(identity)).await;
        }
    }
}

/// Runs `count` tasks for ever: one that ends or panics is started again 100 ms later while `died` says so.
async fn keep_running<F>(
    count: usize,
    start: impl Fn(usize) -> F,
    died: impl Fn(usize, String) -> bool,
) where
    F: Future<Output = ()> + Send + 'static,
{
    let mut tasks = JoinSet::new();
    let mut names = std::collections::BTreeMap::new();
    for index in 0..count {
        names.insert(tasks.spawn(start(index)).id(), index);
    }
    while let Some(ended) = tasks.join_next_with_id().await {
        let (id, reason) = match ended {
            Ok((id, ())) => (id, String::from("it ended")),
            Err(error) => (error.id(), error.to_string()),
        };
        if let Some(index) = names.remove(&id)
            && died(index, reason)
        {
            tokio::time::sleep(Duration::from_millis(100)).await;
            names.insert(tasks.spawn(start(index)).id(), index);
        }
    }
}

fn open(listener: &SipListener, options: &Options) -> Result<(Socket, SocketAddr), TransportError> {
    let failed = |source| TransportError::Bind {
        listener: listener.id.clone(),
        address: listener.bind,
        source,
    };
    match listener.transport {
        Transport::Udp => {
            let socket = udp::bind(listener).map_err(failed)?;
            let address = socket.local_addr().map_err(failed)?;
            Ok((Socket::Udp(Arc::new(socket)), address))
        }
        Transport::Tcp => {
            let (socket, address) = stream::bind(listener).map_err(failed)?;
            Ok((Socket::Tcp(Arc::new(socket)), address))
        }
        Transport::Tls => {
            let files = listener.tls.as_ref();
            let files = files.ok_or_else(|| TransportError::NoCertificate {
                listener: listener.id.clone(),
            })?;
            let identity = tls::Identity::load(files, &options.trust).map_err(|source| {
                TransportError::Tls {
                    listener: listener.id.clone(),
                    source,
                }
            })?;
            let (socket, address) = stream::bind(listener).map_err(failed)?;
            Ok((Socket::Tls(Arc::new(socket), Arc::new(identity)), address))
        }
    }
}

/// Descriptors this process may have open (`ulimit -n`, `LimitNOFILE=`).
fn descriptors() -> usize {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    limit.map_or(usize::MAX, |limit| {
        usize::try_from(limit).unwrap_or(usize::MAX)
    })
}

/// A non-blocking socket of `address`' family with its DSCP set; not yet bound.
fn socket(address: SocketAddr, kind: socket2::Type, dscp: u8) -> io::Result<socket2::Socket> {
    let socket = socket2::Socket::new(socket2::Domain::for_address(address), kind, None)?;
    socket.set_nonblocking(true)?;
    if address.is_ipv6() {
        // A listener for IPv4 may stand beside it on the same port.
        socket.set_only_v6(true)?;
    }
    mark(&socket, address, dscp)?;
    Ok(socket)
}

/// DSCP of everything a socket sends (RFC 2474): the upper six bits of the TOS byte.
fn mark<S>(socket: S, address: SocketAddr, dscp: u8) -> io::Result<()>
where
    S: std::ops::Deref<Target = socket2::Socket>,
{
    let tos = u32::from(dscp) << 2;
    if address.is_ipv4() {
        socket.set_tos_v4(tos)
    } else {
        socket.set_tclass_v6(tos)
    }
}

fn host_of(address: SocketAddr) -> String {
    match address {
        SocketAddr::V4(address) => address.ip().to_string(),
        SocketAddr::V6(address) => format!("[{}]", address.ip()),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_task_that_dies_is_reported_and_started_again() {
        let starts = Arc::new(AtomicUsize::new(0));
        let stop = Arc::new(tokio::sync::Notify::new());
        let deaths = Mutex::new(Vec::new());
        let task = |index: usize| {
            let (starts, stop) = (Arc::clone(&starts), Arc::clone(&stop));
            async move {
                let before = starts.fetch_add(1, Ordering::SeqCst);
                assert!(before > 0 || index != 0, "planted");
                if index == 1 {
                    stop.notified().await;
                }
            }
        };
        let died = |index, reason: String| {
            let mut deaths = lock(&deaths);
            deaths.push((index, reason));
            if deaths.len() == 2 {
                stop.notify_one();
            }
            deaths.len() < 2
        };
        let running = keep_running(2, task, died);
        let ended = tokio::time::timeout(Duration::from_secs(10), running).await;
        assert!(ended.is_ok(), "nothing is left to run");
        let deaths = lock(&deaths);
        let ended = String::from("it ended");
        assert!(matches!(deaths.first(), Some((0, reason)) if reason.contains("panic")));
        assert_eq!(deaths[1..], [(0, ended.clone()), (1, ended)]);
        assert_eq!(
            starts.load(Ordering::SeqCst),
            3,
            "task 0 twice, task 1 once"
        );
    }

    #[tokio::test]
    async fn sockets_are_marked_with_the_configured_dscp() {
        let listener = SipListener {
            id: String::from("main"),
            transport: Transport::Udp,
            bind: ([127, 0, 0, 1], 0).into(),
            advertised: None,
            tls: None,
            dscp: 24,
        };
        let udp = udp::bind(&listener).expect("a socket");
        let (tcp, _) = stream::bind(&listener).expect("a socket");
        for tos in [
            socket2::SockRef::from(&udp).tos_v4(),
            socket2::SockRef::from(&tcp).tos_v4(),
        ] {
            assert_eq!(tos.expect("an option"), 24 << 2);
        }
    }
}
