//! SIPp as a carrier: one process per call or per far side, each at a loopback address of its own.
//!
//! SIPp speaks SIP only; its SDP names an [`super::rtp_peer::RtpPeer`], which speaks and hears. A scenario that waits for an INFO
//! goes on when [`Sipp::go_on`] sends one, so that tests move by conditions and not by pauses.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use firstring::sim::centre::CarrierTrunk;
use tempfile::TempDir;

use super::rtp_peer::RtpPeer;

/// A loopback address that nobody else on this machine uses while it lives: its last two bytes are a port that it holds.
pub struct Place {
    pub ip: Ipv4Addr,
    _hold: UdpSocket,
}

impl Place {
    pub fn new() -> Self {
        let hold = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let [high, low] = hold.local_addr().expect("bound").port().to_be_bytes();
        Self {
            ip: Ipv4Addr::new(127, 77, high, low),
            _hold: hold,
        }
    }

    /// Where its SIPp listens.
    pub fn sip(&self) -> SocketAddr {
        (self.ip, 5062).into()
    }

    /// A trunk whose callers are here.
    pub fn trunk(&self, id: &str) -> CarrierTrunk {
        CarrierTrunk {
            id: id.to_owned(),
            source: self.ip.to_string(),
            remote: None,
            profile: "generic-ims",
            outbound: None,
            lines: Vec::new(),
        }
    }

    /// A trunk that also takes calls here, `order`-th of the outbound ones.
    pub fn outbound_trunk(&self, id: &str, order: u16) -> CarrierTrunk {
        CarrierTrunk {
            remote: Some(self.sip()),
            outbound: Some(order),
            ..self.trunk(id)
        }
    }

    /// A scenario of `tests/sipp/` to be run here.
    pub fn scenario(&self, name: &str) -> Scenario {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/sipp/{name}.xml"));
        assert!(file.is_file(), "no scenario {}", file.display());
        let mut command = Command::new("sipp");
        command
            .arg("-sf")
            .arg(file)
            .args(["-nostdin", "-p", "5062"]);
        command.args(["-i", &self.ip.to_string(), "-mi", &self.ip.to_string()]);
        Scenario {
            name: name.to_owned(),
            at: self.sip(),
            keys: [
                "codec PCMA",
                "pt 8",
                "ptime 20",
                "caller 13800138000",
                "rtp_ip 127.0.0.1",
                "user b",
            ]
            .map(|pair| pair.split_once(' ').expect("a pair"))
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .to_vec(),
            called: String::from("0755120"),
            command,
        }
    }
}

/// A SIPp about to start.
pub struct Scenario {
    name: String,
    at: SocketAddr,
    keys: Vec<(String, String)>,
    called: String,
    command: Command,
}

impl Scenario {
    /// What `[key]` in the scenario becomes.
    pub fn key(mut self, key: &str, value: impl ToString) -> Self {
        self.keys.retain(|(known, _)| known != key);
        self.keys.push((key.to_owned(), value.to_string()));
        self
    }

    /// Whose sound it is: what its SDP says.
    pub fn voice(self, peer: &RtpPeer) -> Self {
        let address = peer.address();
        self.key("rtp_ip", address.ip()).key("rtp", address.port())
    }

    /// Another number than 120.
    pub fn dials(mut self, called: &str) -> Self {
        called.clone_into(&mut self.called);
        self
    }

    /// Over TCP, one connection.
    pub fn tcp(mut self) -> Self {
        self.command.args(["-t", "t1"]);
        self
    }

    /// Call at `server`, once.
    pub fn call(mut self, server: SocketAddr) -> Sipp {
        self.command
            .args(["-m", "1", "-s", &self.called, "-cid_str", "only-%p@sipp"])
            .arg(server.to_string());
        self.start()
    }

    /// Wait for calls until dropped.
    pub fn wait_for_calls(mut self) -> Sipp {
        self.command.arg("127.0.0.1");
        self.start()
    }

    fn start(mut self) -> Sipp {
        let dir = tempfile::tempdir().expect("a directory");
        for (key, value) in &self.keys {
            self.command.args(["-key", key, value]);
        }
        let messages = dir.path().join("messages");
        let output = std::fs::File::create(dir.path().join("output")).expect("a file");
        let child = self
            .command
            .args(["-trace_msg", "-message_file"])
            .arg(&messages)
            .args(["-trace_err", "-error_file"])
            .arg(dir.path().join("errors"))
            .current_dir(dir.path())
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| {
                panic!("SIPp does not start ({error}): install the package sip-tester")
            });
        Sipp {
            name: self.name,
            at: self.at,
            child,
            messages,
            infos: 0,
            dir,
        }
    }
}

/// A running SIPp. Dropped, it is ended by its pid.
pub struct Sipp {
    name: String,
    at: SocketAddr,
    child: Child,
    messages: PathBuf,
    infos: u32,
    dir: TempDir,
}

/// One message as SIPp logged it.
#[derive(Clone, Debug)]
pub struct Logged {
    pub received: bool,
    /// Seconds of the day.
    pub at_s: f64,
    pub text: String,
}

impl Logged {
    pub fn starts(&self, start: &str) -> bool {
        self.text.starts_with(start)
    }

    /// `m=audio` and `c=` of its SDP.
    pub fn media(&self) -> Option<SocketAddr> {
        let port = self.text.split("m=audio ").nth(1)?.split(' ').next()?;
        let ip = self.text.split("c=IN IP4 ").nth(1)?.lines().next()?.trim();
        Some(SocketAddr::new(ip.parse().ok()?, port.parse().ok()?))
    }
}

impl Sipp {
    /// All messages so far, in order.
    pub fn messages(&self) -> Vec<Logged> {
        let text = std::fs::read_to_string(&self.messages).unwrap_or_default();
        let mut found = Vec::new();
        for part in text
            .split("----------------------------------------------- ")
            .skip(1)
        {
            let Some((head, rest)) = part.split_once('\n') else {
                continue;
            };
            let Some((kind, text)) = rest.split_once("\n\n") else {
                continue;
            };
            let clock: Vec<f64> = head
                .split(' ')
                .nth(1)
                .unwrap_or_default()
                .split(':')
                .filter_map(|n| n.trim().parse().ok())
                .collect();
            found.push(Logged {
                received: kind.contains("received"),
                at_s: clock.iter().fold(0.0, |sum, n| sum * 60.0 + n),
                text: text.to_owned(),
            });
        }
        found
    }

    /// Wait until a message is there that `good` takes.
    pub async fn message(&mut self, what: &str, good: impl Fn(&Logged) -> bool) -> Logged {
        let deadline = Instant::now() + Duration::from_secs(15);
        loop {
            if let Some(found) = self.messages().into_iter().find(|m| good(m)) {
                return found;
            }
            let ended = self.child.try_wait().ok().flatten();
            assert!(
                Instant::now() < deadline && ended.is_none_or(|status| status.success()),
                "SIPp {} waits for {what} ({ended:?}):\n{}",
                self.name,
                self.story()
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Where the server wants this side's RTP, by the newest SDP it sent; waits for the first.
    pub async fn media(&mut self) -> SocketAddr {
        self.message("SDP", |m| m.received && m.media().is_some())
            .await;
        self.messages()
            .iter()
            .rev()
            .find_map(|m| m.media().filter(|_| m.received))
            .expect("an SDP")
    }

    /// The scenario takes its next step: an INFO of its dialog, which it awaits.
    pub fn go_on(&mut self) {
        self.infos += 1;
        let call_id = self
            .messages()
            .iter()
            .find_map(|m| {
                Some(
                    m.text
                        .split("Call-ID: ")
                        .nth(1)?
                        .lines()
                        .next()?
                        .trim()
                        .to_owned(),
                )
            })
            .expect("a call");
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a socket");
        let info = format!(
            "INFO sip:go@on SIP/2.0\r\nVia: SIP/2.0/UDP {local};branch=z9hG4bKgo{n}\r\nFrom: <sip:test@test>;tag=t\r\nTo: <sip:go@on>\r\n\
             Call-ID: {call_id}\r\nCSeq: {n} INFO\r\nContent-Length: 0\r\n\r\n",
            local = socket.local_addr().expect("bound"),
            n = self.infos
        );
        socket.send_to(info.as_bytes(), self.at).expect("sent");
    }

    /// The scenario came to its end as written.
    pub async fn finished(&mut self) {
        let deadline = Instant::now() + Duration::from_secs(15);
        loop {
            if let Some(status) = self.child.try_wait().expect("a child") {
                assert!(
                    status.success(),
                    "SIPp {} failed ({status}):\n{}",
                    self.name,
                    self.story()
                );
                return;
            }
            assert!(
                Instant::now() < deadline,
                "SIPp {} does not end:\n{}",
                self.name,
                self.story()
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    fn story(&self) -> String {
        let read = |path: PathBuf| std::fs::read_to_string(path).unwrap_or_default();
        read(self.dir.path().join("errors")) + &read(self.messages.clone())
    }
}

impl Drop for Sipp {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
