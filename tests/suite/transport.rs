//! The SIP sockets with real peers on loopback: whole messages in, whole messages out, and nobody can block them.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use firstring::config::checked::{Cidr, SipListener, TlsFiles, Transport};
use firstring::sip::net::{Incoming, Outgoing};
use firstring::sip::transport::{
    Fault, Options, TransportError, Transports, Trust, start, start_with,
};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout};

const SOON: Duration = Duration::from_secs(10);
const INVITE: &str = "INVITE sip:120@a SIP/2.0\r\nCall-ID: 1\r\nContent-Length: 5\r\n\r\nv=0\r\n";
const OK: &str = "SIP/2.0 200 OK\r\nCall-ID: 1\r\nContent-Length: 0\r\n\r\n";

fn listener(transport: Transport) -> SipListener {
    SipListener {
        id: String::from("main"),
        transport,
        bind: "127.0.0.1:0".parse().expect("an address"),
        advertised: None,
        tls: None,
        dscp: 24,
    }
}

struct Sockets {
    transports: Transports,
    incoming: mpsc::Receiver<Incoming>,
    faults: mpsc::Receiver<Fault>,
}

impl Sockets {
    fn open(listeners: &[SipListener], options: Options) -> Self {
        let (sender, incoming) = mpsc::channel(64);
        let transports = start_with(listeners, options, sender).expect("sockets");
        let faults = transports.faults().expect("given out once");
        Self {
            transports,
            incoming,
            faults,
        }
    }

    fn address(&self) -> SocketAddr {
        self.transports.listeners()[0].address
    }

    async fn next(&mut self) -> Incoming {
        let next = timeout(SOON, self.incoming.recv()).await;
        next.expect("a message in time").expect("open sockets")
    }

    async fn fault(&mut self) -> Fault {
        let next = timeout(SOON, self.faults.recv()).await;
        next.expect("a fault in time").expect("open sockets")
    }

    fn reply(&self, to: &Incoming, text: &str) {
        self.transports.send(Outgoing {
            listener: to.listener,
            transport: to.transport,
            peer: to.peer,
            connection: to.connection,
            bytes: text.into(),
        });
    }

    fn send(&self, transport: Transport, peer: SocketAddr, text: &str) {
        self.transports.send(Outgoing {
            listener: 0,
            transport,
            peer,
            connection: None,
            bytes: text.into(),
        });
    }

    async fn until(&self, what: &str, mut reached: impl FnMut(&Transports) -> bool) {
        let limit = Instant::now() + SOON;
        while !reached(&self.transports) {
            assert!(
                Instant::now() < limit,
                "{what}: {:?}",
                self.transports.sizes()
            );
            sleep(Duration::from_millis(5)).await;
        }
    }
}

fn quick() -> Options {
    Options {
        message_within: Duration::from_secs(1),
        connect_within: Duration::from_secs(2),
        certificate_check_every: Duration::from_millis(20),
        ..Options::default()
    }
}

async fn expect<S: AsyncRead + Unpin>(stream: &mut S, text: &str) {
    let mut bytes = vec![0; text.len()];
    let read = timeout(SOON, stream.read_exact(&mut bytes)).await;
    read.expect("bytes in time").expect("an open stream");
    assert_eq!(String::from_utf8_lossy(&bytes), text);
}

async fn closed<S: AsyncRead + Unpin>(stream: &mut S) -> bool {
    let mut byte = [0];
    match timeout(SOON, stream.read(&mut byte)).await {
        Ok(Ok(0) | Err(_)) => true,
        Ok(Ok(_)) | Err(_) => false,
    }
}

#[tokio::test]
async fn udp_datagrams_come_in_whole_and_leave_from_the_listeners_port() {
    let theirs = UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
    let mut ours = Sockets::open(&[listener(Transport::Udp)], quick());
    let to = theirs.local_addr().expect("bound");
    ours.send(Transport::Udp, to, "the first at once");
    let mut bytes = [0; 2000];
    let (len, _) = timeout(SOON, theirs.recv_from(&mut bytes))
        .await
        .expect("in time")
        .expect("received");
    assert_eq!(&bytes[..len], b"the first at once");
    theirs
        .send_to(b"\r\n\r\n", ours.address())
        .await
        .expect("sent");
    theirs
        .send_to(INVITE.as_bytes(), ours.address())
        .await
        .expect("sent");
    let message = ours.next().await;
    assert_eq!(
        message.bytes,
        INVITE.as_bytes(),
        "the keep-alive is no message"
    );
    assert_eq!(message.peer, theirs.local_addr().expect("bound"));
    assert_eq!((message.local, message.connection), (ours.address(), None));
    ours.reply(&message, OK);
    let (len, from) = timeout(SOON, theirs.recv_from(&mut bytes))
        .await
        .expect("in time")
        .expect("received");
    assert_eq!((&bytes[..len], from), (OK.as_bytes(), ours.address()));
    let sizes = ours.transports.sizes();
    assert_eq!((sizes.received, sizes.sent, sizes.keep_alives), (1, 2, 1));
}

#[tokio::test]
async fn ipv4_and_ipv6_share_a_port_and_ipv6_hosts_are_bracketed() {
    let (sender, mut incoming) = mpsc::channel(8);
    let mut six = listener(Transport::Udp);
    six.bind = "[::1]:0".parse().expect("an address");
    let transports = match start(&[six], sender) {
        Ok(transports) => transports,
        Err(TransportError::Bind { source, .. })
            if source.kind() == std::io::ErrorKind::AddrNotAvailable =>
        {
            eprintln!("skipped: this machine has no IPv6 loopback");
            return;
        }
        Err(other) => panic!("{other}"),
    };
    let bound = &transports.listeners()[0];
    assert_eq!(bound.host, "[::1]");
    let beside = std::net::UdpSocket::bind(("127.0.0.1", bound.address.port()));
    assert!(beside.is_ok(), "{beside:?}");
    let theirs = UdpSocket::bind("[::1]:0").await.expect("a socket");
    theirs
        .send_to(INVITE.as_bytes(), bound.address)
        .await
        .expect("sent");
    let message = timeout(SOON, incoming.recv()).await.expect("in time");
    assert!(message.expect("open").peer.is_ipv6());
}

#[tokio::test]
async fn tcp_bytes_in_any_pieces_become_whole_messages_and_replies_use_their_connection() {
    let mut ours = Sockets::open(&[listener(Transport::Tcp)], Options::default());
    let mut theirs = TcpStream::connect(ours.address()).await.expect("connected");
    theirs.set_nodelay(true).expect("an option");
    for byte in INVITE.as_bytes() {
        theirs.write_all(&[*byte]).await.expect("written");
        tokio::task::yield_now().await;
    }
    let first = ours.next().await;
    assert_eq!(first.bytes, INVITE.as_bytes());
    assert_eq!(
        (first.transport, first.local),
        (Transport::Tcp, ours.address())
    );
    // Three at once, a ping between them, and half of a fourth.
    let burst = format!("{OK}{INVITE}\r\n\r\n{OK}{}", &INVITE[..30]);
    theirs.write_all(burst.as_bytes()).await.expect("written");
    for text in [OK, INVITE, OK] {
        let message = ours.next().await;
        assert_eq!(String::from_utf8_lossy(&message.bytes), text);
        assert_eq!(message.connection, first.connection);
    }
    ours.reply(&first, OK);
    expect(&mut theirs, "\r\n").await;
    expect(&mut theirs, OK).await;
    theirs
        .write_all(&INVITE.as_bytes()[30..])
        .await
        .expect("written");
    assert_eq!(ours.next().await.bytes, INVITE.as_bytes());
    drop(theirs);
    ours.until("the table empties", |t| t.sizes().connections == 0)
        .await;
}

#[tokio::test]
async fn what_was_asked_before_the_far_side_stopped_sending_is_still_answered() {
    let mut ours = Sockets::open(&[listener(Transport::Tcp)], quick());
    let mut theirs = TcpStream::connect(ours.address()).await.expect("connected");
    theirs.write_all(INVITE.as_bytes()).await.expect("written");
    theirs.shutdown().await.expect("half closed");
    let message = ours.next().await;
    ours.reply(&message, OK);
    expect(&mut theirs, OK).await;
    assert!(closed(&mut theirs).await);
}

#[tokio::test]
async fn a_message_for_a_lost_connection_opens_one_to_the_peer_and_reuses_it() {
    let mut ours = Sockets::open(&[listener(Transport::Tcp)], quick());
    let far = TcpListener::bind("127.0.0.1:0").await.expect("a listener");
    let peer = far.local_addr().expect("bound");
    ours.transports.send(Outgoing {
        listener: 0,
        transport: Transport::Tcp,
        peer,
        connection: Some(4711),
        bytes: OK.into(),
    });
    ours.send(Transport::Tcp, peer, INVITE);
    let (mut theirs, from) = timeout(SOON, far.accept())
        .await
        .expect("in time")
        .expect("accepted");
    assert_eq!(
        from.ip(),
        ours.address().ip(),
        "from the listener's address"
    );
    expect(&mut theirs, OK).await;
    expect(&mut theirs, INVITE).await;
    theirs.write_all(OK.as_bytes()).await.expect("written");
    let reply = ours.next().await;
    assert_eq!((reply.peer, reply.bytes.as_slice()), (peer, OK.as_bytes()));
    ours.reply(&reply, INVITE);
    expect(&mut theirs, INVITE).await;
    let none = timeout(Duration::from_millis(50), far.accept()).await;
    assert!(none.is_err(), "one connection serves both ways");
    assert!(ours.transports.flush(SOON).await);
}

#[tokio::test]
async fn a_peer_that_cannot_be_reached_is_reported_with_what_was_lost() {
    let mut ours = Sockets::open(&[listener(Transport::Tcp)], quick());
    let nobody = {
        let gone = TcpListener::bind("127.0.0.1:0").await.expect("a listener");
        gone.local_addr().expect("bound")
    };
    ours.send(Transport::Tcp, nobody, INVITE);
    match ours.fault().await {
        Fault::PeerUnreachable { peer, lost, .. } => assert_eq!((peer, lost), (nobody, 1)),
        other => panic!("{other:?}"),
    }
    ours.until("all is given back", |t| t.sizes().connections == 0)
        .await;
    let sizes = ours.transports.sizes();
    assert_eq!(
        (sizes.connect_failed, sizes.dropped, sizes.queued),
        (1, 1, 0)
    );
}

#[tokio::test]
async fn slow_and_silent_connections_are_closed_and_quiet_phones_are_not() {
    let mut ours = Sockets::open(&[listener(Transport::Tcp)], quick());
    let mut phone = TcpStream::connect(ours.address()).await.expect("connected");
    phone.write_all(INVITE.as_bytes()).await.expect("written");
    let registered = ours.next().await;
    let mut silent = TcpStream::connect(ours.address()).await.expect("connected");
    let mut pinging = TcpStream::connect(ours.address()).await.expect("connected");
    let mut dripping = TcpStream::connect(ours.address()).await.expect("connected");
    dripping.write_all(OK.as_bytes()).await.expect("written");
    ours.next().await;
    let started = Instant::now();
    let drip = async {
        // Each byte is new, the message is old.
        for byte in INVITE.as_bytes().iter().cycle() {
            let _ = pinging.write_all(b"\r\n").await;
            if dripping.write_all(&[*byte][..1]).await.is_err() {
                break;
            }
            if dripping.try_read(&mut [0; 8]).is_ok_and(|len| len == 0) {
                break;
            }
            sleep(Duration::from_millis(60)).await;
        }
    };
    // INVITE would be complete only after 3.7 s.
    timeout(SOON, drip).await.expect("the dripping one is cut");
    assert!(started.elapsed() < Duration::from_secs(3), "{started:?}");
    assert!(closed(&mut silent).await);
    ours.until("three are closed", |t| t.sizes().too_slow == 3)
        .await;
    ours.reply(&registered, OK);
    expect(&mut phone, OK).await;
    assert_eq!(ours.transports.sizes().connections, 1);
}

#[tokio::test]
async fn streams_that_cannot_be_framed_are_closed_and_leave_nothing() {
    let ours = Sockets::open(&[listener(Transport::Tcp)], Options::default());
    let endless = format!("INVITE sip:a SIP/2.0\r\nX: {}", "y".repeat(70_000));
    let bad = [
        "INVITE sip:a SIP/2.0\r\nContent-Length: 4294967296\r\n\r\n",
        "INVITE sip:a SIP/2.0\r\nContent-Length: many\r\n\r\n",
        "INVITE sip:a SIP/2.0\r\nl: 1\r\nContent-Length: 2\r\n\r\nab",
        endless.as_str(),
    ];
    for text in bad {
        let mut theirs = TcpStream::connect(ours.address()).await.expect("connected");
        let _ = theirs.write_all(text.as_bytes()).await;
        assert!(closed(&mut theirs).await, "{}", &text[..40]);
    }
    ours.until("the table empties", |t| t.sizes().connections == 0)
        .await;
    let sizes = ours.transports.sizes();
    assert_eq!((sizes.unframed, sizes.received, sizes.silent), (4, 0, 0));
}

#[tokio::test]
async fn idle_strangers_never_keep_a_newcomer_or_a_trunk_out() {
    let options = Options {
        connections_max: 40,
        connections_reserved: 8,
        ..Options::default()
    };
    let mut ours = Sockets::open(&[listener(Transport::Tcp)], options);
    let mut idle = Vec::new();
    for _ in 0..200 {
        idle.push(TcpStream::connect(ours.address()).await.expect("connected"));
    }
    let started = Instant::now();
    let mut theirs = TcpStream::connect(ours.address()).await.expect("connected");
    theirs.write_all(INVITE.as_bytes()).await.expect("written");
    let message = ours.next().await;
    ours.reply(&message, OK);
    expect(&mut theirs, OK).await;
    assert!(started.elapsed() < Duration::from_secs(1));
    let sizes = ours.transports.sizes();
    assert_eq!((sizes.connections, sizes.evicted), (32, 169));
    assert_eq!(sizes.refused, 0);
}

#[tokio::test]
async fn talkers_fill_the_common_places_and_the_reserve_stays_for_trunks() {
    let trunk: SocketAddr = "127.0.0.2:0".parse().expect("an address");
    let options = Options {
        connections_max: 4,
        connections_reserved: 2,
        reserved_for: vec![Cidr {
            network: trunk.ip(),
            prefix: 32,
        }],
        ..Options::default()
    };
    let mut ours = Sockets::open(&[listener(Transport::Tcp)], options);
    let mut talkers = Vec::new();
    for _ in 0..2 {
        let mut theirs = TcpStream::connect(ours.address()).await.expect("connected");
        theirs.write_all(INVITE.as_bytes()).await.expect("written");
        ours.next().await;
        talkers.push(theirs);
    }
    let mut late = TcpStream::connect(ours.address()).await.expect("connected");
    assert!(closed(&mut late).await);
    assert_eq!(
        ours.fault().await,
        Fault::ConnectionsFull {
            listener: 0,
            max: 4
        }
    );
    let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
    socket.bind(trunk).expect("bound");
    let mut theirs = socket.connect(ours.address()).await.expect("connected");
    theirs.write_all(INVITE.as_bytes()).await.expect("written");
    assert_eq!(ours.next().await.peer.ip(), trunk.ip());
}

#[tokio::test]
async fn a_busy_signalling_loses_nothing_of_a_stream() {
    let (sender, mut incoming) = mpsc::channel(1);
    let transports = start(&[listener(Transport::Tcp)], sender).expect("sockets");
    let address = transports.listeners()[0].address;
    let mut theirs = TcpStream::connect(address).await.expect("connected");
    theirs
        .write_all(INVITE.repeat(50).as_bytes())
        .await
        .expect("written");
    let limit = Instant::now() + SOON;
    while transports.sizes().stalled == 0 {
        assert!(Instant::now() < limit);
        sleep(Duration::from_millis(5)).await;
    }
    for _ in 0..50 {
        let message = timeout(SOON, incoming.recv()).await.expect("in time");
        assert_eq!(message.expect("open").bytes, INVITE.as_bytes());
    }
}

#[tokio::test]
async fn a_peer_that_reads_nothing_costs_its_own_messages_only() {
    let mut ours = Sockets::open(&[listener(Transport::Tcp)], quick());
    let mut deaf = TcpStream::connect(ours.address()).await.expect("connected");
    deaf.write_all(INVITE.as_bytes()).await.expect("written");
    let message = ours.next().await;
    let big = format!("{OK}{}", " ".repeat(60_000));
    let started = Instant::now();
    for _ in 0..2000 {
        ours.reply(&message, &big);
    }
    assert!(
        started.elapsed() < Duration::from_secs(2),
        "sending never waits"
    );
    assert!(ours.transports.sizes().dropped > 0);
    let mut other = TcpStream::connect(ours.address()).await.expect("connected");
    other.write_all(INVITE.as_bytes()).await.expect("written");
    let message = ours.next().await;
    ours.reply(&message, OK);
    expect(&mut other, OK).await;
    ours.until("the deaf one is closed", |t| t.sizes().too_slow == 1)
        .await;
}

#[tokio::test]
async fn dropping_the_sockets_frees_their_ports_and_closes_connections() {
    let ours = Sockets::open(&[listener(Transport::Tcp)], quick());
    let address = ours.address();
    let mut theirs = TcpStream::connect(address).await.expect("connected");
    ours.until("one connection", |t| t.sizes().connections == 1)
        .await;
    drop(ours);
    assert!(closed(&mut theirs).await);
    let limit = Instant::now() + SOON;
    let mut again = listener(Transport::Tcp);
    again.bind = address;
    loop {
        let (sender, _incoming) = mpsc::channel(1);
        match start(std::slice::from_ref(&again), sender) {
            Ok(_) => break,
            Err(error) => assert!(Instant::now() < limit, "{error}"),
        }
        sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_port_in_use_is_named_in_the_error() {
    let taken = UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
    let mut udp = listener(Transport::Udp);
    udp.bind = taken.local_addr().expect("bound");
    let (sender, _incoming) = mpsc::channel(1);
    let error = start(&[udp.clone()], sender).err().expect("an error");
    let text = error.to_string();
    assert!(
        text.contains("main") && text.contains(&udp.bind.to_string()),
        "{text}"
    );
}

// ---- TLS

struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("parameters");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        Self(CertifiedIssuer::self_signed(params, key).expect("an authority"))
    }

    /// Writes a fresh certificate for `name` and its key; gives the certificate.
    fn issue(&self, name: &str, files: &TlsFiles) -> CertificateDer<'static> {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(vec![name.to_owned()]).expect("parameters");
        let certificate = params.signed_by(&key, &self.0).expect("a certificate");
        std::fs::write(&files.key, key.serialize_pem()).expect("written");
        std::fs::write(&files.certificate, certificate.pem()).expect("written");
        certificate.der().clone()
    }

    fn write(&self, path: &Path) {
        std::fs::write(path, self.0.pem()).expect("written");
    }

    fn client(&self) -> tokio_rustls::TlsConnector {
        let mut roots = rustls::RootCertStore::empty();
        let pem = self.0.pem();
        let root = CertificateDer::from_pem_slice(pem.as_bytes()).expect("a certificate");
        roots.add(root).expect("a root");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        Arc::new(config).into()
    }
}

fn tls_files(dir: &Path, name: &str) -> TlsFiles {
    TlsFiles {
        certificate: dir.join(format!("{name}.crt")),
        key: dir.join(format!("{name}.key")),
    }
}

fn tls_listener(files: &TlsFiles) -> SipListener {
    SipListener {
        tls: Some(files.clone()),
        ..listener(Transport::Tls)
    }
}

async fn tls_connect(
    client: &tokio_rustls::TlsConnector,
    to: SocketAddr,
) -> std::io::Result<tokio_rustls::client::TlsStream<TcpStream>> {
    let stream = TcpStream::connect(to).await?;
    let name = ServerName::try_from("sip.example").expect("a name");
    timeout(SOON, client.connect(name, stream))
        .await
        .expect("a handshake in time")
}

async fn exchange<S: AsyncRead + AsyncWrite + Unpin>(ours: &mut Sockets, theirs: &mut S) {
    for byte in INVITE.as_bytes() {
        theirs.write_all(&[*byte]).await.expect("written");
        theirs.flush().await.expect("flushed");
    }
    let message = ours.next().await;
    assert_eq!(message.bytes, INVITE.as_bytes());
    assert_eq!(message.transport, Transport::Tls);
    ours.reply(&message, OK);
    expect(theirs, OK).await;
}

#[tokio::test]
async fn tls_messages_pass_and_half_open_handshakes_are_closed_without_harm() {
    let dir = tempfile::tempdir().expect("a folder");
    let authority = Authority::new();
    let files = tls_files(dir.path(), "sip");
    authority.issue("sip.example", &files);
    let mut ours = Sockets::open(&[tls_listener(&files)], quick());
    let mut half_open = Vec::new();
    for n in 0..20 {
        let mut stream = TcpStream::connect(ours.address()).await.expect("connected");
        // The first bytes of a ClientHello, or nothing at all.
        if n % 2 == 0 {
            stream
                .write_all(&[0x16, 3, 1, 0x02, 0])
                .await
                .expect("written");
        }
        half_open.push(stream);
    }
    let started = Instant::now();
    let mut theirs = tls_connect(&authority.client(), ours.address())
        .await
        .expect("a handshake");
    exchange(&mut ours, &mut theirs).await;
    assert!(started.elapsed() < Duration::from_secs(1), "{started:?}");
    for stream in &mut half_open {
        assert!(closed(stream).await);
    }
    let mut plain = TcpStream::connect(ours.address()).await.expect("connected");
    plain.write_all(INVITE.as_bytes()).await.expect("written");
    assert!(closed_after_alert(&mut plain).await);
    ours.until("only the good one is left", |t| t.sizes().connections == 1)
        .await;
    let sizes = ours.transports.sizes();
    assert_eq!((sizes.too_slow, sizes.handshake_failed), (20, 1));
}

/// A TLS server may say why before it closes.
async fn closed_after_alert(stream: &mut TcpStream) -> bool {
    let mut rest = Vec::new();
    timeout(SOON, stream.read_to_end(&mut rest)).await.is_ok()
}

#[tokio::test]
async fn a_renewed_certificate_is_shown_without_restart_and_a_broken_one_is_not() {
    let dir = tempfile::tempdir().expect("a folder");
    let authority = Authority::new();
    let files = tls_files(dir.path(), "sip");
    let first = authority.issue("sip.example", &files);
    let mut ours = Sockets::open(&[tls_listener(&files)], quick());
    let client = authority.client();
    let shown = |stream: &tokio_rustls::client::TlsStream<TcpStream>| {
        let chain = stream.get_ref().1.peer_certificates();
        chain.expect("a chain").first().cloned().expect("a leaf")
    };
    let mut old = tls_connect(&client, ours.address())
        .await
        .expect("a handshake");
    assert_eq!(shown(&old), first);

    let good = std::fs::read(&files.certificate).expect("a certificate");
    std::fs::write(&files.certificate, "no certificate").expect("written");
    match ours.fault().await {
        Fault::CertificateRefused { listener: 0, error } => {
            assert!(error.to_string().contains("sip.crt"), "{error}");
        }
        other => panic!("{other:?}"),
    }
    let still = tls_connect(&client, ours.address())
        .await
        .expect("a handshake");
    assert_eq!(shown(&still), first);
    std::fs::write(&files.certificate, good).expect("written");
    assert_eq!(ours.fault().await, Fault::CertificateLoaded { listener: 0 });

    let second = authority.issue("sip.example", &files);
    assert_ne!(first, second);
    // Between the two writes the pair does not fit; that is said and mended.
    while ours.fault().await != (Fault::CertificateLoaded { listener: 0 }) {}
    let limit = Instant::now() + SOON;
    loop {
        let new = tls_connect(&client, ours.address())
            .await
            .expect("a handshake");
        if shown(&new) == second {
            break;
        }
        assert!(Instant::now() < limit, "the new certificate is never shown");
    }
    exchange(&mut ours, &mut old).await;
}

#[tokio::test]
async fn outbound_tls_trusts_whom_it_is_told_to_trust() {
    let dir = tempfile::tempdir().expect("a folder");
    let (ours_ca, theirs_ca) = (Authority::new(), Authority::new());
    let files = tls_files(dir.path(), "ours");
    ours_ca.issue("sip.example", &files);
    let far_files = tls_files(dir.path(), "theirs");
    theirs_ca.issue("carrier.example", &far_files);
    let trusted = dir.path().join("carrier-ca.pem");
    theirs_ca.write(&trusted);
    let wrong = dir.path().join("wrong-ca.pem");
    ours_ca.write(&wrong);

    let mut far = Sockets::open(&[tls_listener(&far_files)], quick());
    let peer = far.address();
    for (trust, reached) in [
        (Trust::Authorities(trusted), true),
        (Trust::AnyCertificate, true),
        (Trust::Authorities(wrong), false),
        (Trust::Nobody, false),
    ] {
        let options = Options {
            trust: trust.clone(),
            ..quick()
        };
        let mut ours = Sockets::open(&[tls_listener(&files)], options);
        ours.send(Transport::Tls, peer, INVITE);
        if reached {
            let message = far.next().await;
            assert_eq!(message.bytes, INVITE.as_bytes(), "{trust:?}");
            far.reply(&message, OK);
            assert_eq!(ours.next().await.bytes, OK.as_bytes(), "{trust:?}");
        } else {
            match ours.fault().await {
                Fault::PeerUnreachable { lost: 1, .. } => {}
                other => panic!("{trust:?}: {other:?}"),
            }
        }
    }
}

#[tokio::test]
async fn a_tls_listener_without_a_usable_pair_does_not_start_and_says_which_file() {
    let dir = tempfile::tempdir().expect("a folder");
    let refused = |listener: SipListener| {
        let (sender, _incoming) = mpsc::channel(1);
        let error = start(&[listener], sender).err().expect("refused");
        error.to_string()
    };
    let none = refused(listener(Transport::Tls));
    assert!(none.contains("certificate and a key"), "{none}");
    let files = tls_files(dir.path(), "sip");
    let missing = refused(tls_listener(&files));
    assert!(missing.contains("sip.crt"), "{missing}");
    Authority::new().issue("sip.example", &files);
    let other = KeyPair::generate().expect("a key");
    std::fs::write(&files.key, other.serialize_pem()).expect("written");
    let misfit = refused(tls_listener(&files));
    assert!(misfit.contains("cannot be used"), "{misfit}");
}
