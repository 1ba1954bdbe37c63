//! What the wire tests stand on: one or two signalling machines, virtual time, a network that loses, doubles and
//! reorders, and a media gate that only takes notes.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use firstring::call::{DialogState, LegCommand, LegEvent};
use firstring::config::checked::{Cidr, SeatAccount, Secret, Transport, Trunk};
use firstring::id::{CallId, LegId, SeatId};
use firstring::media::session::Session;
use firstring::media::{MediaGate, OpenError};
use firstring::sip::dialog::Listener;
use firstring::sip::net::{Incoming, Outgoing};
use firstring::sip::profile::Profile;
use firstring::sip::ua::{Output, Setup, Tell, Ua};
use firstring::time::Timestamp;

pub const START: i64 = 1_763_778_000_000_000;

/// Takes notes; refuses once `ports` are used up.
pub struct Gate {
    pub ports: usize,
    pub open: Mutex<Vec<LegId>>,
    pub sessions: Mutex<Vec<(LegId, Session)>>,
    pub next_port: Mutex<u16>,
}

impl Gate {
    pub fn new(ports: usize) -> Arc<Self> {
        Arc::new(Self {
            ports,
            open: Mutex::new(Vec::new()),
            sessions: Mutex::new(Vec::new()),
            next_port: Mutex::new(20_000),
        })
    }

    pub fn open_count(&self) -> usize {
        self.open.lock().unwrap().len()
    }

    pub fn last_session(&self, leg: LegId) -> Option<Session> {
        let sessions = self.sessions.lock().unwrap();
        sessions
            .iter()
            .rev()
            .find(|(l, _)| *l == leg)
            .map(|(_, s)| s.clone())
    }
}

impl MediaGate for Gate {
    fn open(&self, _: CallId, leg: LegId) -> Result<SocketAddr, OpenError> {
        let mut open = self.open.lock().unwrap();
        if open.len() >= self.ports {
            return Err(OpenError::NoPort);
        }
        open.push(leg);
        let mut port = self.next_port.lock().unwrap();
        *port += 2;
        Ok(SocketAddr::from(([192, 0, 2, 1], *port)))
    }

    fn connect(&self, leg: LegId, session: Session) {
        self.sessions.lock().unwrap().push((leg, session));
    }

    fn close(&self, leg: LegId) {
        self.open.lock().unwrap().retain(|l| *l != leg);
    }
}

/// One machine and everything it said.
pub struct Node {
    pub ua: Ua,
    pub gate: Arc<Gate>,
    pub address: SocketAddr,
    pub told: Vec<Tell>,
    pub sent: Vec<Outgoing>,
}

impl Node {
    pub fn new(now: Timestamp, address: &str, setup: Setup) -> Self {
        let gate = Gate::new(100);
        Self {
            ua: Ua::new(now, setup, gate.clone(), Vec::new()),
            gate,
            address: address.parse().unwrap(),
            told: Vec::new(),
            sent: Vec::new(),
        }
    }

    /// Takes what the machine wants done.
    pub fn drain(&mut self) {
        while let Some(output) = self.ua.poll() {
            match output {
                Output::Send(outgoing) => self.sent.push(outgoing),
                Output::Tell(tell) => self.told.push(tell),
            }
        }
    }

    /// One datagram from `peer`; returns what was sent because of it.
    pub fn hear(&mut self, now: Timestamp, peer: &str, bytes: &[u8]) -> Vec<String> {
        self.drain();
        self.sent.clear();
        let incoming = Incoming {
            listener: 0,
            transport: Transport::Udp,
            peer: peer.parse().unwrap(),
            local: self.address,
            connection: None,
            bytes: bytes.to_vec(),
        };
        self.ua.receive(now, &incoming, true);
        self.take_sent()
    }

    pub fn take_sent(&mut self) -> Vec<String> {
        self.drain();
        self.sent
            .drain(..)
            .map(|o| String::from_utf8_lossy(&o.bytes).into_owned())
            .collect()
    }

    pub fn command(&mut self, now: Timestamp, leg: LegId, command: LegCommand) -> Vec<String> {
        self.ua.command(now, leg, command);
        self.take_sent()
    }

    pub fn fire(&mut self, now: Timestamp) -> Vec<String> {
        self.ua.fire(now);
        self.take_sent()
    }

    pub fn arrived(&self) -> Option<&firstring::call::Arrival> {
        self.told.iter().rev().find_map(|t| match t {
            Tell::Arrived(arrival) => Some(&**arrival),
            _ => None,
        })
    }

    /// Events of a leg without its dialog states.
    pub fn events(&self, leg: LegId) -> Vec<LegEvent> {
        self.told
            .iter()
            .filter_map(|t| match t {
                Tell::Leg { leg: l, event }
                    if *l == leg && !matches!(event, LegEvent::Dialog { .. }) =>
                {
                    Some(event.clone())
                }
                _ => None,
            })
            .collect()
    }

    /// The last state of a leg's dialog as the journal would hold it.
    pub fn dialog(&self, leg: LegId) -> DialogState {
        self.told
            .iter()
            .rev()
            .find_map(|t| match t {
                Tell::Leg {
                    leg: l,
                    event: LegEvent::Dialog { state },
                } if *l == leg => Some(state.clone()),
                Tell::Arrived(a) if a.leg == leg => Some(a.dialog.clone()),
                _ => None,
            })
            .unwrap()
    }
}

/// A machine at `address` with trunk `t` towards `remote`, admitting its host.
pub fn setup(address: &str, remote: Option<&str>, network: &str, seed: u8) -> Setup {
    let address: SocketAddr = address.parse().unwrap();
    let mut profiles = std::collections::BTreeMap::new();
    profiles.insert(String::from("ims"), Profile::default());
    Setup {
        listeners: vec![Listener {
            id: "udp".into(),
            transport: Transport::Udp,
            host: address.ip().to_string(),
            port: address.port(),
        }],
        trunks: vec![Trunk {
            id: "t".into(),
            sources: vec![network.parse::<Cidr>().unwrap()],
            remote: remote.map(|r| r.parse().unwrap()),
            transport: Transport::Udp,
            listener: "udp".into(),
            profile: "ims".into(),
        }],
        seats: vec![
            SeatAccount {
                seat: SeatId::from("801"),
                secret: Secret("s801".into()),
            },
            SeatAccount {
                seat: SeatId::from("802"),
                secret: Secret("s802".into()),
            },
        ],
        realm: "120".into(),
        digests: firstring::sip::auth::Algorithm::ALL.to_vec(),
        options_every: Duration::from_secs(30),
        profiles,
        seed: [seed; 32],
    }
}

/// A lone machine at 192.0.2.1 whose trunk admits 10.0.0.0/8 and is not probed.
pub fn lone() -> Node {
    Node::new(
        at(0),
        "192.0.2.1:5060",
        setup("192.0.2.1:5060", None, "10.0.0.0/8", 9),
    )
}

/// Milliseconds after the start.
pub fn at(millis: i64) -> Timestamp {
    Timestamp::from_micros(START + millis * 1000)
}

/// The value of a header in a message.
pub fn header<'a>(message: &'a str, name: &str) -> Option<&'a str> {
    message.lines().take_while(|l| !l.is_empty()).find_map(|l| {
        l.split_once(": ")
            .filter(|(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, v)| v)
    })
}

/// The message of `messages` that starts like this.
pub fn starting<'a>(messages: &'a [String], start: &str) -> &'a str {
    messages
        .iter()
        .find(|m| m.starts_with(start))
        .unwrap_or_else(|| panic!("no {start} among {messages:#?}"))
}

pub const OFFER: &str = "v=0\r\no=- 1 1 IN IP4 10.0.0.9\r\ns=-\r\nc=IN IP4 10.0.0.9\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8 101\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:101 telephone-event/8000\r\na=sendrecv\r\n";

/// A request with the usual headers; `extra` are whole lines with CRLF.
pub fn request(
    method: &str,
    uri: &str,
    to_tag: &str,
    cseq: u32,
    branch: &str,
    extra: &str,
    body: &str,
) -> String {
    let to = if to_tag.is_empty() {
        String::new()
    } else {
        format!(";tag={to_tag}")
    };
    let kind = if body.is_empty() {
        ""
    } else {
        "Content-Type: application/sdp\r\n"
    };
    format!(
        "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.9:5060;branch=z9hG4bK{branch};rport\r\nMax-Forwards: 70\r\nFrom: <sip:13800138000@10.0.0.9>;tag=far\r\nTo: <sip:120@192.0.2.1>{to}\r\nCall-ID: call-1@10.0.0.9\r\nCSeq: {cseq} {method}\r\nContact: <sip:c@10.0.0.9:5060>\r\n{extra}{kind}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// The To tag of a response.
pub fn to_tag(response: &str) -> String {
    header(response, "To")
        .and_then(|t| t.split_once(";tag="))
        .map(|(_, t)| t.to_owned())
        .unwrap()
}

pub const CARRIER: &str = "10.0.0.9:5060";

/// A small generator for the network's moods (SplitMix64).
pub struct Dice(pub u64);

impl Dice {
    pub fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub fn percent(&mut self, chance: u64) -> bool {
        self.roll() % 100 < chance
    }
}

/// Two machines and the network between them.
pub struct Pair {
    pub now: Timestamp,
    pub a: Node,
    pub b: Node,
    wire: Vec<(Timestamp, u64, bool, Vec<u8>)>,
    dice: Dice,
    pub loss_percent: u64,
    sequence: u64,
}

impl Pair {
    pub fn new(seed: u64) -> Self {
        let now = at(0);
        let (a, b) = ("10.0.0.1:5060", "10.0.0.2:5060");
        Self {
            now,
            a: Node::new(now, a, setup(a, Some(b), "10.0.0.2", 1)),
            b: Node::new(now, b, setup(b, Some(a), "10.0.0.1", 2)),
            wire: Vec::new(),
            dice: Dice(seed),
            loss_percent: 0,
            sequence: 0,
        }
    }

    /// Moves what was sent onto the wire.
    fn post(&mut self) {
        for to_b in [true, false] {
            let node = if to_b { &mut self.a } else { &mut self.b };
            node.drain();
            let target = if to_b { self.b.address } else { self.a.address };
            let node = if to_b { &mut self.a } else { &mut self.b };
            for outgoing in node.sent.drain(..) {
                assert_eq!(
                    outgoing.peer,
                    target,
                    "sent astray: {}",
                    String::from_utf8_lossy(&outgoing.bytes)
                );
                if self.dice.percent(self.loss_percent) {
                    continue;
                }
                let copies = if self.loss_percent > 0 && self.dice.percent(5) {
                    2
                } else {
                    1
                };
                for _ in 0..copies {
                    let delay = 5 + if self.loss_percent > 0 {
                        self.dice.roll() % 60
                    } else {
                        0
                    };
                    self.sequence += 1;
                    let at = self.now + Duration::from_millis(delay);
                    self.wire
                        .push((at, self.sequence, to_b, outgoing.bytes.clone()));
                }
            }
        }
    }

    /// One step: the next message or deadline. False when nothing happens before `until`.
    fn step(&mut self, until: Timestamp) -> bool {
        self.post();
        self.wire.sort_by_key(|(at, n, _, _)| (*at, *n));
        let message = self.wire.first().map(|(at, ..)| *at);
        let timer = [self.a.ua.next_timeout(), self.b.ua.next_timeout()]
            .into_iter()
            .flatten()
            .min();
        let Some(next) = [message, timer]
            .into_iter()
            .flatten()
            .min()
            .filter(|at| *at <= until)
        else {
            self.now = until;
            return false;
        };
        self.now = self.now.max(next);
        if message == Some(next) {
            let (_, _, to_b, bytes) = self.wire.remove(0);
            let peer = if to_b { self.a.address } else { self.b.address };
            let node = if to_b { &mut self.b } else { &mut self.a };
            let incoming = Incoming {
                listener: 0,
                transport: Transport::Udp,
                peer,
                local: node.address,
                connection: None,
                bytes,
            };
            node.ua.receive(self.now, &incoming, true);
        }
        for node in [&mut self.a, &mut self.b] {
            if node.ua.next_timeout().is_some_and(|at| at <= self.now) {
                node.ua.fire(self.now);
            }
        }
        true
    }

    /// Runs for a span of virtual time.
    pub fn run(&mut self, span: Duration) {
        let until = self.now + span;
        while self.step(until) {}
        self.post();
    }

    /// Runs until something holds, at most `span`.
    pub fn until(&mut self, span: Duration, holds: impl Fn(&Self) -> bool) -> bool {
        let end = self.now + span;
        loop {
            self.post();
            if holds(self) {
                return true;
            }
            if !self.step(end) {
                self.post();
                return holds(self);
            }
        }
    }
}
