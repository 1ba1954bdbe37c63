//! A carrier that brings each call back to where it came from: a small back-to-back user agent that rewrites what passes
//! through it, so that both dialogs are the server's own. Sound passes through it as well.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use super::sipp::Place;

/// Ends the Call-ID of the dialog that comes back in.
const BACK: &str = "-back";

/// What the carrier does with calls.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    None,
    /// It rings for ever and brings nothing back.
    Swallows,
    /// What the dialling end sends never comes in.
    DeafIn,
    /// What the answering end sends never goes out.
    DeafOut,
}

/// The carrier while it runs.
pub struct LoopCarrier {
    fault: Arc<Mutex<Fault>>,
    over: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

struct Loop {
    socket: UdpSocket,
    server: SocketAddr,
    /// The server's own Via lines, by our branch.
    vias: BTreeMap<String, Vec<String>>,
    relay: Arc<Relay>,
}

/// Two ends of sound: what comes to the one goes on from the other.
struct Relay {
    /// Towards the end that dials, and towards the one that answers.
    sockets: [UdpSocket; 2],
    to: Mutex<[Option<SocketAddr>; 2]>,
}

impl Relay {
    fn new() -> Self {
        let socket = || {
            let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
            let span = Some(Duration::from_millis(50));
            socket.set_read_timeout(span).expect("a timeout");
            socket
        };
        Self {
            sockets: [socket(), socket()],
            to: Mutex::new([None; 2]),
        }
    }

    fn run(&self, from: usize, fault: &Mutex<Fault>, over: &AtomicBool) {
        let mut bytes = [0; 2048];
        while !over.load(Ordering::Relaxed) {
            let Ok((length, _)) = self.sockets[from].recv_from(&mut bytes) else {
                continue;
            };
            let cut = match *fault.lock().expect("not poisoned") {
                Fault::None | Fault::Swallows => false,
                Fault::DeafIn => from == 0,
                Fault::DeafOut => from == 1,
            };
            let to = self.to.lock().expect("not poisoned")[1 - from];
            if let Some(to) = to.filter(|_| !cut) {
                // A far end that is gone is no matter.
                drop(self.sockets[1 - from].send_to(&bytes[..length], to));
            }
        }
    }

    /// `end` describes itself; the other end is told of us instead.
    fn describe(&self, end: usize, body: &str) -> String {
        let ours = self.sockets[1 - end].local_addr().expect("bound").port();
        let lines = body.split("\r\n").map(|line| {
            let mut words: Vec<_> = line.split(' ').map(str::to_owned).collect();
            if line.starts_with("m=audio") {
                let port: u16 = words[1].parse().expect("a port");
                let to = (Ipv4Addr::LOCALHOST, port).into();
                self.to.lock().expect("not poisoned")[end] = Some(to);
                words[1] = ours.to_string();
            }
            words.join(" ")
        });
        let lines: Vec<_> = lines.filter(|line| !line.starts_with("a=rtcp:")).collect();
        lines.join("\r\n")
    }
}

impl LoopCarrier {
    pub fn start(place: &Place, server: SocketAddr, fault: Fault) -> Self {
        let socket = UdpSocket::bind(place.sip()).expect("the carrier's address");
        socket
            .set_read_timeout(Some(Duration::from_millis(50)))
            .expect("a timeout");
        let mut carrier = Loop {
            socket,
            server,
            vias: BTreeMap::new(),
            relay: Arc::new(Relay::new()),
        };
        let relay = Arc::clone(&carrier.relay);
        let (fault, over) = (
            Arc::new(Mutex::new(fault)),
            Arc::new(AtomicBool::new(false)),
        );
        let (how, stop) = (Arc::clone(&fault), Arc::clone(&over));
        let thread = std::thread::spawn(move || {
            let mut bytes = [0; 8192];
            while !stop.load(Ordering::Relaxed) {
                let Ok((length, _)) = carrier.socket.recv_from(&mut bytes) else {
                    continue;
                };
                let text = String::from_utf8_lossy(&bytes[..length]).into_owned();
                let fault = *how.lock().expect("not poisoned");
                carrier.pass(&text, fault);
            }
        });
        let mut threads = vec![thread];
        for from in [0, 1] {
            let (relay, how, stop) = (Arc::clone(&relay), Arc::clone(&fault), Arc::clone(&over));
            threads.push(std::thread::spawn(move || relay.run(from, &how, &stop)));
        }
        Self {
            fault,
            over,
            threads,
        }
    }

    pub fn set(&self, fault: Fault) {
        *self.fault.lock().expect("not poisoned") = fault;
    }
}

impl Drop for LoopCarrier {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            drop(thread.join());
        }
    }
}

impl Loop {
    fn pass(&mut self, text: &str, fault: Fault) {
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((text, ""));
        let mut lines: Vec<String> = head.split("\r\n").map(str::to_owned).collect();
        let first = lines.remove(0);
        let is_response = first.starts_with("SIP/2.0");
        if first.starts_with("OPTIONS") {
            return self.answer(&lines, "200 OK");
        }
        let call_id = value(&lines, "Call-ID");
        let comes_back = call_id.ends_with(BACK);
        if fault == Fault::Swallows && !is_response {
            if first.starts_with("INVITE") {
                self.answer(&lines, "180 Ringing");
            } else if first.starts_with("CANCEL") {
                self.answer(&lines, "200 OK");
            }
            return;
        }
        let other = match call_id.strip_suffix(BACK) {
            Some(own) => own.to_owned(),
            None => format!("{call_id}{BACK}"),
        };
        set(&mut lines, "Call-ID", &other);
        if lines.iter().any(|line| is(line, "Contact")) {
            let own = self.socket.local_addr().expect("bound");
            set(&mut lines, "Contact", &format!("<sip:loop@{own}>"));
        }
        let first = if is_response {
            if !self.give_back(&mut lines) {
                return;
            }
            first
        } else {
            self.take_over(&mut lines);
            self.aim(&first)
        };
        let end = usize::from(comes_back);
        let body = if body.contains("m=audio") {
            self.relay.describe(end, body)
        } else {
            body.to_owned()
        };
        set(&mut lines, "Content-Length", &body.len().to_string());
        let text = format!("{first}\r\n{}\r\n\r\n{body}", lines.join("\r\n"));
        self.send(&text);
    }

    fn send(&self, text: &str) {
        self.socket
            .send_to(text.as_bytes(), self.server)
            .expect("sent");
    }

    /// The server's dialogs know each other by our address; what is asked of that is meant for the server.
    fn aim(&self, first: &str) -> String {
        let mut words = first.split(' ');
        let (method, uri) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
        let user = uri
            .trim_start_matches("sip:")
            .split_once('@')
            .map_or("loop", |(user, _)| user);
        format!("{method} sip:{user}@{} SIP/2.0", self.server)
    }

    fn take_over(&mut self, lines: &mut Vec<String>) {
        let vias: Vec<String> = lines.iter().filter(|l| is(l, "Via")).cloned().collect();
        let branch = format!("{}L", branch_of(&vias[0]));
        lines.retain(|line| !is(line, "Via"));
        let own = self.socket.local_addr().expect("bound");
        lines.insert(0, format!("Via: SIP/2.0/UDP {own};branch={branch}"));
        self.vias.insert(branch, vias);
    }

    fn give_back(&self, lines: &mut Vec<String>) -> bool {
        let Some(via) = lines.iter().find(|line| is(line, "Via")) else {
            return false;
        };
        let Some(vias) = self.vias.get(&branch_of(via)) else {
            return false;
        };
        lines.retain(|line| !is(line, "Via"));
        lines.splice(0..0, vias.iter().cloned());
        true
    }

    fn answer(&self, lines: &[String], status: &str) {
        let kept = ["Via", "From", "To", "Call-ID", "CSeq"];
        let mut answer = vec![format!("SIP/2.0 {status}")];
        for line in lines {
            if kept.iter().any(|name| is(line, name)) {
                let tagless = is(line, "To") && !line.contains("tag=");
                let tag = if tagless { ";tag=loop" } else { "" };
                answer.push(format!("{line}{tag}"));
            }
        }
        answer.push(String::from("Content-Length: 0\r\n\r\n"));
        self.send(&answer.join("\r\n"));
    }
}

fn is(line: &str, name: &str) -> bool {
    line.split_once(':')
        .is_some_and(|(own, _)| own.trim().eq_ignore_ascii_case(name))
}

fn value(lines: &[String], name: &str) -> String {
    let line = lines.iter().find(|line| is(line, name));
    line.and_then(|line| line.split_once(':'))
        .map_or_else(String::new, |(_, value)| value.trim().to_owned())
}

fn set(lines: &mut Vec<String>, name: &str, value: &str) {
    lines.retain(|line| !is(line, name));
    lines.push(format!("{name}: {value}"));
}

fn branch_of(via: &str) -> String {
    let rest = via.split_once("branch=").map_or("", |(_, rest)| rest);
    rest.split([';', ',', ' ']).next().unwrap_or("").to_owned()
}
