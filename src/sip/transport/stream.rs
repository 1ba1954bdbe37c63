//! TCP and TLS: accepting, connecting, and the life of one connection.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rustls::pki_types::ServerName;
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::connections::{Full, Place, Queued};
use super::counters::Counted;
use super::framing::{Frame, Framer};
use super::tls::Identity;
use super::{Fault, Hub, Socket, lock};
use crate::config::checked::{SipListener, Transport};
use crate::limits::SIP_MESSAGE_BYTES_MAX;
use crate::sip::net::{Incoming, Outgoing};

/// Connections the kernel holds until we accept them.
const BACKLOG: i32 = 1024;
/// Bytes read at once.
const READ_BYTES: usize = 8192;
/// Silent connections closed when the process is out of descriptors.
const EVICTED_AT_ONCE: usize = 32;
/// How long replies may still go out after the far side has stopped sending.
const LINGER: Duration = Duration::from_secs(1);

pub(super) fn bind(listener: &SipListener) -> io::Result<(TcpListener, SocketAddr)> {
    let socket = super::socket(listener.bind, socket2::Type::STREAM, listener.dscp)?;
    // A restart binds again while connections of the old process are in TIME_WAIT.
    socket.set_reuse_address(true)?;
    socket.bind(&listener.bind.into())?;
    socket.listen(BACKLOG)?;
    let socket = TcpListener::from_std(socket.into())?;
    let address = socket.local_addr()?;
    Ok((socket, address))
}

/// Accepts for ever.
pub(super) async fn accept(
    hub: Arc<Hub>,
    listener: u16,
    socket: Arc<TcpListener>,
    identity: Option<Arc<Identity>>,
) {
    loop {
        match socket.accept().await {
            Ok((stream, peer)) => admit(&hub, listener, stream, peer, identity.as_ref()),
            Err(error) if is_passing(&error) => {}
            Err(error) => {
                hub.report(Fault::AcceptFailed {
                    listener,
                    kind: error.kind(),
                });
                // Out of descriptors: silent ones go first, many at once so that who waits in the backlog gets in.
                for _ in 0..EVICTED_AT_ONCE {
                    if lock(&hub.table).evict_silent() {
                        hub.counters.add(Counted::Evicted);
                    }
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }
}

/// The far side gave up between SYN and accept: no fault of ours.
fn is_passing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::Interrupted
    )
}

fn admit(
    hub: &Arc<Hub>,
    listener: u16,
    stream: TcpStream,
    peer: SocketAddr,
    identity: Option<&Arc<Identity>>,
) {
    let mut table = lock(&hub.table);
    let place = match table.admit(listener, peer) {
        Ok(place) => place,
        Err(full) => {
            drop(table);
            return refuse(hub, listener, &full);
        }
    };
    if place.evicted {
        hub.counters.add(Counted::Evicted);
    }
    let dscp = table.dscp(listener);
    let id = place.id;
    let (link, outbox) = Link::new(hub, listener, peer, place);
    let acceptor = identity.map(|identity| TlsAcceptor::from(identity.server()));
    let task = async move {
        let deadline = Instant::now() + link.hub.options.message_within;
        prepare(&stream, peer, dscp);
        match acceptor {
            None => link.run(stream, outbox, Some(deadline)).await,
            Some(acceptor) => match timeout_at(deadline, acceptor.accept(stream)).await {
                Ok(Ok(stream)) => link.run(stream, outbox, Some(deadline)).await,
                Ok(Err(error)) => {
                    link.hub.counters.add(Counted::HandshakeFailed);
                    tracing::debug!(listener, %peer, %error, "TLS handshake failed");
                }
                Err(_) => link.hub.counters.add(Counted::TooSlow),
            },
        }
    };
    drop(table);
    start(hub, id, task);
}

fn refuse(hub: &Hub, listener: u16, full: &Full) {
    hub.counters.add(Counted::Refused);
    if full.first {
        let max = hub.options.connections_max;
        hub.report(Fault::ConnectionsFull { listener, max });
    }
}

/// Queues a message on the right connection, opening one if there is none.
pub(super) fn send(hub: &Arc<Hub>, outgoing: Outgoing) {
    let Outgoing {
        listener,
        peer,
        connection,
        bytes,
        ..
    } = outgoing;
    let mut table = lock(&hub.table);
    let bytes = match table.queue(connection, listener, peer, bytes) {
        Queued::Yes => return,
        Queued::Dropped => return hub.counters.add(Counted::Dropped),
        Queued::NoConnection(bytes) => bytes,
    };
    let place = match table.call_out(listener, peer) {
        Ok(place) => place,
        Err(full) => {
            drop(table);
            hub.counters.add(Counted::Dropped);
            return refuse(hub, listener, &full);
        }
    };
    if place.evicted {
        hub.counters.add(Counted::Evicted);
    }
    let dscp = table.dscp(listener);
    let id = place.id;
    let (link, outbox) = Link::new(hub, listener, peer, place);
    // The queue is new and holds at least one.
    let _ = table.queue(Some(id), listener, peer, bytes);
    drop(table);
    start(hub, id, call_out(link, outbox, dscp));
}

/// Never called with the table locked: a runtime that is going down drops the task, and its link, on the spot.
fn start(hub: &Hub, id: u64, task: impl Future<Output = ()> + Send + 'static) {
    let handle = lock(&hub.tasks).spawn_on(task, &hub.runtime);
    lock(&hub.table).runs_as(id, handle);
}

/// Connects, then lives like any other connection.
async fn call_out(link: Link, outbox: Outbox, dscp: u8) {
    let socket = link.hub.sockets.get(usize::from(link.listener)).cloned();
    let within = link.hub.options.connect_within;
    let failed = match socket {
        Some(Socket::Tcp(listener)) => {
            match timeout(within, connect(&listener, link.peer, dscp)).await {
                Ok(Ok(stream)) => return link.run(stream, outbox, None).await,
                Ok(Err(error)) => error.to_string(),
                Err(_) => format!("no answer in {within:?}"),
            }
        }
        Some(Socket::Tls(listener, identity)) => match identity.client() {
            None => String::from(
                "no certificate authority is trusted for outbound TLS: configure one for this trunk",
            ),
            Some(config) => {
                let name = ServerName::IpAddress(link.peer.ip().into());
                let handshake = async {
                    let stream = connect(&listener, link.peer, dscp).await?;
                    TlsConnector::from(config).connect(name, stream).await
                };
                match timeout(within, handshake).await {
                    Ok(Ok(stream)) => return link.run(stream, outbox, None).await,
                    Ok(Err(error)) => error.to_string(),
                    Err(_) => format!("no answer in {within:?}"),
                }
            }
        },
        Some(Socket::Udp(_)) | None => return,
    };
    link.hub.counters.add(Counted::ConnectFailed);
    link.hub.report(Fault::PeerUnreachable {
        listener: link.listener,
        peer: link.peer,
        reason: failed,
        lost: outbox.queue.len(),
    });
}

/// From the listener's own address, so that the far side's source rule knows us.
async fn connect(listener: &TcpListener, peer: SocketAddr, dscp: u8) -> io::Result<TcpStream> {
    let socket = if peer.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    let mut local = listener.local_addr()?;
    if !local.ip().is_unspecified() && local.is_ipv4() == peer.is_ipv4() {
        local.set_port(0);
        socket.bind(local)?;
    }
    let stream = socket.connect(peer).await?;
    prepare(&stream, peer, dscp);
    Ok(stream)
}

/// Small messages at once, dead far sides noticed: within 2 minutes when idle, 30 s when something is unacknowledged.
fn prepare(stream: &TcpStream, peer: SocketAddr, dscp: u8) {
    let socket = SockRef::from(stream);
    let keepalive = TcpKeepalive::new()
        .with_time(Duration::from_mins(1))
        .with_interval(Duration::from_secs(15))
        .with_retries(4);
    let set = stream
        .set_nodelay(true)
        .and_then(|()| socket.set_tcp_keepalive(&keepalive))
        .and_then(|()| socket.set_tcp_user_timeout(Some(Duration::from_secs(30))))
        .and_then(|()| super::mark(socket, peer, dscp));
    if let Err(error) = set {
        tracing::debug!(%peer, %error, "socket options");
    }
}

/// One connection's task: its place in the table goes with it, however it ends.
struct Link {
    hub: Arc<Hub>,
    id: u64,
    listener: u16,
    peer: SocketAddr,
}

/// Why a connection was closed.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Closed {
    ByFarSide,
    Broken(io::ErrorKind),
    TooSlow,
    Unframed(super::framing::FrameError),
    SignallingGone,
}

impl Drop for Link {
    fn drop(&mut self) {
        lock(&self.hub.table).remove(self.id);
    }
}

/// The messages a connection has to write; what is left at its end is counted as dropped.
struct Outbox {
    hub: Arc<Hub>,
    queue: mpsc::Receiver<Vec<u8>>,
}

impl Drop for Outbox {
    fn drop(&mut self) {
        self.queue.close();
        let lost = u64::try_from(self.queue.len()).unwrap_or(u64::MAX);
        self.hub.counters.add_many(Counted::Dropped, lost);
    }
}

impl Link {
    fn new(hub: &Arc<Hub>, listener: u16, peer: SocketAddr, place: Place) -> (Self, Outbox) {
        let link = Self {
            hub: Arc::clone(hub),
            id: place.id,
            listener,
            peer,
        };
        let outbox = Outbox {
            hub: Arc::clone(hub),
            queue: place.queue,
        };
        (link, outbox)
    }

    /// Reads and writes until either ends. `first_by`: when the first message is due.
    async fn run<S>(&self, stream: S, outbox: Outbox, first_by: Option<Instant>)
    where
        S: AsyncRead + AsyncWrite + Unpin + LocalAddress,
    {
        let local = stream.local_address();
        let (reader, writer) = tokio::io::split(stream);
        let mut writing = pin!(self.write(writer, outbox));
        let closed = tokio::select! {
            closed = self.read(reader, local, first_by) => closed,
            closed = &mut writing => closed,
        };
        lock(&self.hub.table).retire(self.id);
        match closed {
            // Replies to what it asked may still go out.
            Closed::ByFarSide => drop(timeout(LINGER, writing).await),
            Closed::TooSlow => self.hub.counters.add(Counted::TooSlow),
            Closed::Unframed(_) => self.hub.counters.add(Counted::Unframed),
            Closed::Broken(_) | Closed::SignallingGone => {}
        }
        let (listener, peer) = (self.listener, self.peer);
        tracing::debug!(listener, %peer, ?closed, "SIP connection closed");
    }

    async fn read<R>(
        &self,
        mut reader: R,
        local: Option<SocketAddr>,
        first_by: Option<Instant>,
    ) -> Closed
    where
        R: AsyncRead + Unpin,
    {
        let mut framer = Framer::new(SIP_MESSAGE_BYTES_MAX);
        let mut buffer = vec![0_u8; READ_BYTES];
        let mut silent = first_by.is_some();
        let mut due = first_by;
        loop {
            let reading = reader.read(&mut buffer);
            let read = match due {
                Some(due) => match timeout_at(due, reading).await {
                    Ok(read) => read,
                    Err(_) => return Closed::TooSlow,
                },
                None => reading.await,
            };
            let bytes = match read {
                Ok(0) => return Closed::ByFarSide,
                Ok(len) => buffer.get(..len).unwrap_or_default(),
                Err(error) => return Closed::Broken(error.kind()),
            };
            framer.push(bytes);
            let whole = match self.deliver_frames(&mut framer, local).await {
                Ok(whole) => whole,
                Err(closed) => return closed,
            };
            silent &= !whole;
            if whole {
                lock(&self.hub.table).spoke(self.id);
            }
            // Before the first message its own deadline stands, whatever drips in.
            if !silent {
                let fresh = whole || due.is_none();
                due = match (framer.is_partial(), fresh) {
                    (true, true) => Some(Instant::now() + self.hub.options.message_within),
                    (true, false) => due,
                    (false, _) => None,
                };
            }
        }
    }

    /// Hands over every complete message; whether there was one.
    async fn deliver_frames(
        &self,
        framer: &mut Framer,
        local: Option<SocketAddr>,
    ) -> Result<bool, Closed> {
        let mut whole = false;
        loop {
            match framer.next_frame() {
                Ok(None) => return Ok(whole),
                Ok(Some(Frame::Ping)) => self.pong(),
                Ok(Some(Frame::Message(bytes))) => {
                    whole = true;
                    let bound = self.hub.bound.get(usize::from(self.listener));
                    let incoming = Incoming {
                        listener: self.listener,
                        transport: bound.map_or(Transport::Tcp, |b| b.transport),
                        peer: self.peer,
                        local: local.or(bound.map(|b| b.address)).unwrap_or(self.peer),
                        connection: Some(self.id),
                        bytes,
                    };
                    let delivered = self.hub.deliver(incoming).await;
                    delivered.map_err(|()| Closed::SignallingGone)?;
                }
                Err(error) => return Err(Closed::Unframed(error)),
            }
        }
    }

    fn pong(&self) {
        self.hub.counters.add(Counted::KeepAlive);
        let sender = lock(&self.hub.table).sender(self.id);
        if sender.is_none_or(|queue| queue.try_send(b"\r\n".to_vec()).is_err()) {
            self.hub.counters.add(Counted::Dropped);
        }
    }

    async fn write<W>(&self, mut writer: W, mut outbox: Outbox) -> Closed
    where
        W: AsyncWrite + Unpin,
    {
        let within = self.hub.options.message_within;
        while let Some(bytes) = outbox.queue.recv().await {
            let _busy = Busy::new(&self.hub);
            let write = async {
                writer.write_all(&bytes).await?;
                writer.flush().await
            };
            let failed = match timeout(within, write).await {
                Ok(Ok(())) => {
                    self.hub.counters.add(Counted::Sent);
                    continue;
                }
                Ok(Err(error)) => Closed::Broken(error.kind()),
                Err(_) => Closed::TooSlow,
            };
            self.hub.counters.add(Counted::Dropped);
            return failed;
        }
        Closed::SignallingGone
    }
}

/// Counts a message that is being written, even if the writing is cut off.
struct Busy<'a>(&'a Hub);

impl<'a> Busy<'a> {
    fn new(hub: &'a Hub) -> Self {
        hub.writing.fetch_add(1, Ordering::Relaxed);
        Self(hub)
    }
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.writing.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The address of ours that a connection came to.
trait LocalAddress {
    fn local_address(&self) -> Option<SocketAddr>;
}

impl LocalAddress for TcpStream {
    fn local_address(&self) -> Option<SocketAddr> {
        self.local_addr().ok()
    }
}

impl LocalAddress for tokio_rustls::server::TlsStream<TcpStream> {
    fn local_address(&self) -> Option<SocketAddr> {
        self.get_ref().0.local_addr().ok()
    }
}

impl LocalAddress for tokio_rustls::client::TlsStream<TcpStream> {
    fn local_address(&self) -> Option<SocketAddr> {
        self.get_ref().0.local_addr().ok()
    }
}
