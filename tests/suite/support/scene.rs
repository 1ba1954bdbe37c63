//! What scenes with the whole program share: carriers, seats' phones, raw SIP, module processes, alarms.

use std::io::{BufRead as _, BufReader};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use firstring::sim::centre::{CarrierTrunk, Centre};
use firstring::sim::phone::{Dial, Phone, Speech, Talk};
use serde_json::Value;
use sqlx::Row as _;

use super::server::Server;
use super::tone::{Wav, read_wav};

pub const LOOPBACK: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// A carrier that calls from `source`.
pub fn carrier(id: &str, source: &str) -> CarrierTrunk {
    CarrierTrunk {
        id: id.to_owned(),
        source: source.to_owned(),
        remote: None,
        profile: "generic-ims",
        outbound: None,
        lines: Vec::new(),
    }
}

/// Give the UDP listener a port of its own that it keeps over a restart.
pub fn fix_port(centre: &mut Centre) {
    let probe = UdpSocket::bind(LOOPBACK).expect("a port");
    centre.listeners[0].2 = probe.local_addr().expect("its address");
}

/// A registered seat's phone.
pub async fn seat(server: &mut Server, id: &str) -> Phone {
    let (sip, secret) = (
        server.sip("udp"),
        server.centre.secret(&format!("seat-{id}")),
    );
    let mut phone = Phone::new(LOOPBACK, sip, id, &secret)
        .await
        .expect("a phone");
    phone.register(600).await.expect("registered");
    phone
}

/// A caller's phone at loopback.
pub async fn caller(server: &Server, number: &str) -> Phone {
    Phone::new(LOOPBACK, server.sip("udp"), number, "")
        .await
        .expect("a phone")
}

pub fn dial_120() -> Dial {
    Dial {
        number: "120".to_owned(),
        ..Dial::default()
    }
}

/// Call 120 and say a tone.
pub async fn call(phone: &mut Phone, hz: u32) -> Talk {
    phone
        .call(&dial_120(), Speech::tone(hz), Duration::from_secs(10))
        .await
        .expect("answered at once")
}

/// A caller and a seat talk; gives the talks of both.
pub async fn talk(caller: &mut Phone, seat: &mut Phone, hz: (u32, u32)) -> (Talk, Talk) {
    let (by_caller, by_seat) = tokio::join!(
        call(caller, hz.0),
        seat.answer(
            Duration::from_millis(100),
            Speech::tone(hz.1),
            Duration::from_secs(10)
        ),
    );
    (by_caller, by_seat.expect("rung").expect("not cancelled"))
}

/// Caller hangs up; the seat sees it.
pub async fn end(caller: (&mut Phone, Talk), seat: (&mut Phone, Talk)) {
    let (by_caller, by_seat) = tokio::join!(
        caller.0.hang_up(caller.1),
        seat.0.hung_up(seat.1, Duration::from_secs(10)),
    );
    by_caller.expect("BYE answered");
    by_seat.expect("BYE came");
}

/// Wait for a standing alarm (`raised`) or for its end; its detail.
pub async fn alarm(server: &mut Server, code: &str, raised: bool) -> String {
    let what = format!(
        "the alarm {code} to be {}",
        if raised { "raised" } else { "over" }
    );
    server
        .wait_for("/api/v1/view", &what, |view| {
            let found = view["alarms"]
                .as_array()?
                .iter()
                .find(|alarm| alarm["code"] == code);
            match (found, raised) {
                (Some(alarm), true) => Some(alarm["detail"].as_str()?.to_owned()),
                (None, false) => Some(String::new()),
                _ => None,
            }
        })
        .await
}

/// The record of the call from `number`, once it is closed; with its sealed recording when `sealed`.
pub async fn closed_record_of(server: &mut Server, number: &str, sealed: bool) -> Value {
    let what = format!("the closed record of {number}");
    server
        .wait_for("/api/v1/records?limit=500", &what, |records| {
            records
                .as_array()?
                .iter()
                .find(|record| {
                    record["caller"]["number"]["raw"] == number
                        && record["end"].is_object()
                        && (!sealed || record["recordings"][0]["sha256"].is_string())
                })
                .cloned()
        })
        .await
}

/// The sealed file of a record.
pub fn recording(server: &Server, record: &Value) -> Wav {
    let uri = record["recordings"][0]["uri"].as_str().expect("a file");
    read_wav(&server.files().join("recordings").join(uri))
}

/// Milliseconds since 1970 of an RFC 3339 time.
pub fn millis(time: &Value) -> i64 {
    let text = time.as_str().unwrap_or_else(|| panic!("no time: {time}"));
    chrono_millis(text).unwrap_or_else(|| panic!("no time: {text}"))
}

/// `yyyy-mm-ddThh:mm:ss[.fff]Z`, by hand (days of the civil calendar after Howard Hinnant's formula).
fn chrono_millis(text: &str) -> Option<i64> {
    let number = |from: usize, to: usize| text.get(from..to)?.parse::<i64>().ok();
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year / 400, year % 400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let days = era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468;
    let seconds = days * 86_400 + number(11, 13)? * 3600 + number(14, 16)? * 60 + number(17, 19)?;
    let fraction: String = text
        .get(20..)?
        .chars()
        .filter(char::is_ascii_digit)
        .collect();
    let millis = format!("{fraction:0<3}").get(..3)?.parse::<i64>().ok()?;
    Some(seconds * 1000 + if fraction.is_empty() { 0 } else { millis })
}

/// The wall clock, milliseconds since 1970.
pub fn wall_millis() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    i64::try_from(now.expect("after 1970").as_millis()).expect("fits")
}

/// A bare UDP socket that speaks SIP as it is told.
pub struct Raw {
    pub socket: UdpSocket,
    server: SocketAddr,
}

impl Raw {
    pub fn at(local: Ipv4Addr, server: SocketAddr) -> Self {
        let socket = UdpSocket::bind((local, 0)).expect("a socket");
        socket
            .set_read_timeout(Some(Duration::from_millis(100)))
            .expect("a timeout");
        Self { socket, server }
    }

    pub fn send(&self, text: &str) {
        self.socket
            .send_to(text.as_bytes(), self.server)
            .expect("sent");
    }

    /// The next message of which `good` is true, within `within`.
    pub fn hear(&self, within: Duration, good: impl Fn(&str) -> bool) -> Option<String> {
        let deadline = std::time::Instant::now() + within;
        let mut buffer = [0; 65_536];
        while std::time::Instant::now() < deadline {
            if let Ok((length, _)) = self.socket.recv_from(&mut buffer) {
                let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
                if good(&text) {
                    return Some(text);
                }
            }
        }
        None
    }

    /// Send a request and give its final answer's text; empty when none came in 2 s. A refused INVITE is acknowledged.
    pub fn ask(&self, request: &str) -> String {
        self.send(request);
        let branch = request
            .split("branch=")
            .nth(1)
            .and_then(|rest| rest.split(';').next());
        let branch = branch.expect("a branch");
        let answer = self
            .hear(Duration::from_secs(2), |text| {
                text.starts_with("SIP/2.0 ")
                    && !text.starts_with("SIP/2.0 1")
                    && text.contains(&format!("branch={branch};"))
            })
            .unwrap_or_default();
        if request.starts_with("INVITE") && !answer.starts_with("SIP/2.0 2") {
            let head = request.split("Contact:").next().unwrap_or_default();
            let to = answer.split("\r\n").find(|line| line.starts_with("To:"));
            let ack: String = head
                .trim_end()
                .split("\r\n")
                .map(|line| match to {
                    Some(to) if line.starts_with("To:") => format!("{to}\r\n"),
                    _ => format!(
                        "{}\r\n",
                        line.replace("INVITE", "ACK")
                            .replace(&branch.replace("INVITE", "ACK"), branch)
                    ),
                })
                .collect();
            self.send(&format!("{ack}Content-Length: 0\r\n\r\n"));
        }
        answer
    }

    /// A request out of a dialog, with SDP when it is an INVITE.
    pub fn request(&self, method: &str, user: &str, call_id: &str) -> String {
        let local = self.socket.local_addr().expect("its address");
        let body = if method == "INVITE" {
            firstring::sim::phone::sdp(SocketAddr::new(local.ip(), local.port() ^ 1))
        } else {
            String::new()
        };
        let kind = if body.is_empty() {
            ""
        } else {
            "Content-Type: application/sdp\r\n"
        };
        format!(
            "{method} sip:120@{server} SIP/2.0\r\nVia: SIP/2.0/UDP {local};branch=z9hG4bK-{call_id}-{method};rport\r\nMax-Forwards: 70\r\n\
             From: <sip:{user}@{local}>;tag=raw-{call_id}\r\nTo: <sip:120@{server}>\r\nCall-ID: {call_id}\r\nCSeq: 1 {method}\r\n\
             Contact: <sip:{user}@{local}>\r\n{kind}Content-Length: {length}\r\n\r\n{body}",
            server = self.server,
            length = body.len(),
        )
    }

    /// BYE in the dialog of an INVITE's 200; gives its answer.
    pub fn hang_up(&self, accepted: &str) -> String {
        let copied: String = accepted
            .split("\r\n")
            .filter(|line| {
                ["From:", "To:", "Call-ID:"]
                    .iter()
                    .any(|name| line.starts_with(name))
            })
            .map(|line| format!("{line}\r\n"))
            .collect();
        let local = self.socket.local_addr().expect("its address");
        self.ask(&format!(
            "BYE sip:120@{} SIP/2.0\r\nVia: SIP/2.0/UDP {local};branch=z9hG4bK-hang-up;rport\r\nMax-Forwards: 70\r\n\
             {copied}CSeq: 2 BYE\r\nContent-Length: 0\r\n\r\n",
            self.server
        ))
    }

    /// Answer a request with 200.
    pub fn accept(&self, request: &str) {
        let copied: String = request
            .split("\r\n")
            .filter(|line| {
                ["Via:", "From:", "To:", "Call-ID:", "CSeq:"]
                    .iter()
                    .any(|name| line.starts_with(name))
            })
            .map(|line| format!("{line}\r\n"))
            .collect();
        self.send(&format!(
            "SIP/2.0 200 OK\r\n{copied}Content-Length: 0\r\n\r\n"
        ));
    }
}

/// One event in a module's database.
#[derive(Clone, Debug)]
pub struct Delivered {
    pub id: String,
    pub kind: String,
    pub call: String,
    pub sequence: i64,
    pub times: i64,
    pub received_ms: i64,
    pub time_ms: i64,
}

/// A reference module as a process of its own.
pub struct Module {
    kind: &'static str,
    pub address: SocketAddr,
    database: PathBuf,
    secret_file: PathBuf,
    child: Child,
}

impl Module {
    /// Start `kind` (`dispatch`, `emr`) beside a centre that is not written yet, and name it as a destination.
    pub fn join(centre: &mut Centre, kind: &'static str) -> Self {
        let secret = centre.secret(&format!("destination-{kind}"));
        let secret_file = centre.dir.join(format!("module-{kind}.secret"));
        std::fs::write(&secret_file, secret).expect("a secret");
        let database = centre.dir.join(format!("module-{kind}.db"));
        let (child, address) = launch(kind, LOOPBACK, &database, &secret_file);
        centre
            .destinations
            .push((kind.to_owned(), format!("http://{address}/hook")));
        Self {
            kind,
            address,
            database,
            secret_file,
            child,
        }
    }

    pub fn kill(&mut self) {
        self.child.kill().expect("killed");
        self.child.wait().expect("ended");
    }

    /// Start again at the same address with the same database.
    pub fn restart(&mut self) {
        (self.child, _) = launch(self.kind, self.address, &self.database, &self.secret_file);
    }

    /// Everything it holds, in the order it came.
    pub async fn delivered(&self) -> Vec<Delivered> {
        let url = format!("sqlite://{}?mode=ro", self.database.display());
        let pool = sqlx::SqlitePool::connect(&url)
            .await
            .expect("the module's database");
        let rows = sqlx::query(
            "select id, type, call, sequence, times, received_at, json_extract(body, '$.time') as time from events order by rowid",
        )
        .fetch_all(&pool)
        .await
        .expect("its events");
        pool.close().await;
        rows.iter()
            .map(|row| Delivered {
                id: row.get("id"),
                kind: row.get("type"),
                call: row.get("call"),
                sequence: row.get("sequence"),
                times: row.get("times"),
                received_ms: chrono_millis(row.get("received_at")).expect("a time"),
                time_ms: chrono_millis(&row.get::<Option<String>, _>("time").unwrap_or_default())
                    .unwrap_or(0),
            })
            .collect()
    }

    /// Wait until it holds `count` calls' `call.closed`.
    pub async fn closed(&self, count: usize, patience: Duration) -> Vec<Delivered> {
        let deadline = std::time::Instant::now() + patience;
        loop {
            let all = self.delivered().await;
            let closed: std::collections::BTreeSet<&str> = all
                .iter()
                .filter(|event| event.kind == "call.closed")
                .map(|event| event.call.as_str())
                .collect();
            if closed.len() >= count {
                return all;
            }
            assert!(
                std::time::Instant::now() < deadline,
                "{} holds {} of {count} closed calls after {patience:?}",
                self.kind,
                closed.len()
            );
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

/// Each id came once, and each call's events in their order.
pub fn in_order_once(events: &[Delivered]) {
    let mut last = std::collections::BTreeMap::new();
    for event in events {
        assert_eq!(event.times, 1, "{} came {} times", event.id, event.times);
        let before = last.insert(event.call.clone(), event.sequence);
        assert!(
            before.is_none_or(|before| before < event.sequence),
            "call {}: {} after {before:?}",
            event.call,
            event.sequence
        );
    }
}

impl Drop for Module {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn launch(kind: &str, listen: SocketAddr, database: &Path, secret: &Path) -> (Child, SocketAddr) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_firstring"))
        .args([
            "--log",
            "warn",
            "module",
            kind,
            "--listen",
            &listen.to_string(),
            "--database",
        ])
        .arg(database)
        .arg("--secret-file")
        .arg(secret)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the module starts");
    let mut line = String::new();
    let mut output = BufReader::new(child.stdout.take().expect("its output"));
    output.read_line(&mut line).expect("its first line");
    let address = line
        .trim()
        .rsplit("http://")
        .next()
        .and_then(|text| text.parse().ok());
    (
        child,
        address.unwrap_or_else(|| panic!("the module said {line:?}")),
    )
}
