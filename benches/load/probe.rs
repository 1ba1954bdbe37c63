//! The limit that the server is held against: a relay that only receives and sends, one socket per leg, epoll, one thread.

use std::net::{SocketAddr, UdpSocket};
use std::process::{Child, Command, Stdio};

use mio::{Events, Interest, Poll, Token};

use super::server;
use super::slices::Subject;
use super::traffic::Traffic;

/// The child: bind a pair of sockets per call, print their ports, relay until killed.
pub(crate) fn run() -> ! {
    let setting = |name: &str| std::env::var(name).unwrap_or_default();
    let calls: usize = setting("CALLS").parse().expect("CALLS");
    let callers: SocketAddr = setting("CALLERS_AT").parse().expect("CALLERS_AT");
    let seats: SocketAddr = setting("SEATS_AT").parse().expect("SEATS_AT");
    let mut poll = Poll::new().expect("epoll");
    let mut sockets = Vec::new();
    for index in 0..calls * 2 {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        socket.set_nonblocking(true).expect("non-blocking");
        println!("{}", socket.local_addr().expect("bound").port());
        let mut socket = mio::net::UdpSocket::from_std(socket);
        poll.registry()
            .register(&mut socket, Token(index), Interest::READABLE)
            .expect("registered");
        sockets.push(socket);
    }
    println!("ready");
    let mut events = Events::with_capacity(1024);
    let mut buffer = [0_u8; 2048];
    loop {
        if poll.poll(&mut events, None).is_err() {
            continue;
        }
        for event in &events {
            let Token(index) = event.token();
            // Even sockets face callers, odd ones seats; what comes in on one goes out by its twin.
            let to = if index % 2 == 0 { seats } else { callers };
            while let Ok((length, _)) = sockets[index].recv_from(&mut buffer) {
                let _ = sockets[index ^ 1].send_to(&buffer[..length], to);
            }
        }
    }
}

/// A running relay; it ends with this.
pub(crate) struct Probe {
    child: Child,
}

impl Drop for Probe {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Start a relay for `calls` calls.
pub(crate) fn start(calls: usize) -> (Probe, Subject) {
    let mut traffic = Traffic::new();
    let mut command = Command::new("taskset");
    command
        .args(["-c", "0"])
        .arg(std::env::current_exe().expect("this program"));
    command
        .env("FIRSTRING_PROBE", "1")
        .env("CALLS", calls.to_string());
    command
        .env("CALLERS_AT", traffic.callers_at().to_string())
        .env("SEATS_AT", traffic.seats_at().to_string());
    let mut child = command
        .stdout(Stdio::piped())
        .spawn()
        .expect("the probe starts");
    let ports = server::lines_until(child.stdout.take().expect("piped"), "ready");
    for (index, port) in ports.iter().enumerate() {
        let to: SocketAddr = format!("127.0.0.1:{port}").parse().expect("a port");
        traffic.add(to, index % 2 == 0);
    }
    let subject = Subject::new(child.id(), traffic);
    (Probe { child }, subject)
}
