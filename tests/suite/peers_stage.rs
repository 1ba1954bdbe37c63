//! The scene of the tests with real peers: a server, SIPp as carrier, baresip at the seats, and what they all must show at the end.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use firstring::sim::centre::Centre;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::baresip::{Baresip, Setup};
use crate::support::rtp_peer::{RtpPeer, Voice};
use crate::support::server::{Server, centre};
use crate::support::sipp::{Place, Scenario, Sipp};
use crate::support::tone::{loudest_tone, tone_share};

pub const LOOPBACK: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);
pub const CALLER_HZ: f64 = 620.0;
pub const SEAT_HZ: f64 = 1100.0;
pub const THIRD_HZ: f64 = 1730.0;
pub const SUPERVISOR_HZ: f64 = 2500.0;

/// A centre with `seats` seats whose callers come from `carrier`; seats are ready again at once.
pub fn scene(seats: usize, carrier: &Place) -> (TempDir, Centre) {
    let (dir, mut practice) = centre(seats);
    practice.trunks.push(carrier.trunk("carrier"));
    practice
        .lines
        .insert("timers", vec![String::from("wrap_up_ms = 0")]);
    (dir, practice)
}

/// baresip at seat `user`, registered.
pub async fn seat(server: &mut Server, user: &str, hz: f64) -> Baresip {
    seat_with(server, user, hz, "udp", "PCMA", None).await
}

/// baresip over any transport, with any codec.
pub async fn seat_with(
    server: &mut Server,
    user: &str,
    hz: f64,
    transport: &str,
    codec: &str,
    ca: Option<&std::path::Path>,
) -> Baresip {
    let phone = Baresip::start(&Setup {
        user,
        secret: &server.centre.secret(&format!("seat-{user}")),
        server: server.sip(transport),
        transport,
        codec,
        hz,
        ca,
    });
    registered(server, user).await;
    phone
}

/// Wait until the server knows the phone of `user`.
pub async fn registered(server: &mut Server, user: &str) {
    seat_is(server, user, "registered", |seat| {
        seat["registered"] == json!(true)
    })
    .await;
}

/// Wait for a seat of which `good` is true.
pub async fn seat_is(
    server: &mut Server,
    user: &str,
    what: &str,
    good: impl Fn(&Value) -> bool,
) -> Value {
    let what = format!("seat {user} {what}");
    server
        .wait_for("/api/v1/seats", &what, |seats| {
            let seats = seats.as_array()?;
            seats.iter().find(|s| s["seat"] == user && good(s)).cloned()
        })
        .await
}

/// A SIPp caller whose sound is `peer`: it calls, is answered, and the peer speaks to where the answer says.
pub async fn call(scenario: Scenario, server: SocketAddr, peer: &RtpPeer) -> Sipp {
    let mut caller = scenario.voice(peer).call(server);
    peer.talk_to(caller.media().await);
    caller
}

/// The call that the seat is talking to.
pub async fn talking(server: &mut Server, seat: &str) -> String {
    let call = server
        .open_call("the talk", |call| {
            call["state"] == "talking" && call["seat"] == seat
        })
        .await;
    call["call"].as_str().expect("an id").to_owned()
}

/// A caller of tone [`CALLER_HZ`] from `carrier` in talk with baresip of tone [`SEAT_HZ`] at seat 801.
pub struct Talk {
    pub server: Server,
    pub caller: Sipp,
    pub voice: RtpPeer,
    pub seat: Baresip,
    pub call: String,
}

/// Starts it all.
pub async fn talk(centre: (TempDir, Centre), carrier: &Place) -> Talk {
    let mut server = Server::start(centre).await;
    let mut seat = seat(&mut server, "801", SEAT_HZ).await;
    let voice = RtpPeer::start(Voice::tone(CALLER_HZ));
    let caller = call(carrier.scenario("caller"), server.sip("udp"), &voice).await;
    seat.rings(1).await;
    seat.accept().await;
    let call = talking(&mut server, "801").await;
    Talk {
        server,
        caller,
        voice,
        seat,
        call,
    }
}

impl Talk {
    /// Each hears the other's tone and nothing else.
    pub async fn both_hear(&self) {
        both_hear(&self.voice, &self.seat, CALLER_HZ).await;
    }

    /// The caller hangs up; everything is given back.
    pub async fn end(mut self) -> Server {
        self.caller.go_on();
        self.caller.finished().await;
        quiet(&mut self.server).await;
        self.server
    }
}

/// `voice` hears the seat of [`SEAT_HZ`] and nothing else, and `seat` hears `hz`; 15 s, then what each heard instead.
pub async fn both_hear(voice: &RtpPeer, seat: &Baresip, hz: f64) {
    let deadline = Instant::now() + Duration::from_secs(15);
    while !(voice.hears_only(SEAT_HZ) && seat.share(hz) > 0.9) {
        assert!(
            Instant::now() < deadline,
            "waited 15 s in vain until both hear each other: the caller {}; the seat heard {} samples, loudest {:?} Hz, {hz} Hz has {:.2}",
            voice.told(),
            seat.heard().len(),
            loudest_tone(&seat.last_audio(300)),
            seat.share(hz),
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Poll until `good`; 15 s.
pub async fn until(what: &str, mut good: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(15);
    while !good() {
        assert!(
            Instant::now() < deadline,
            "waited 15 s in vain until {what}"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Each of these tones holds its part of the last 300 ms of `audio`, and together they are all of it.
pub fn hears_exactly(audio: &[i16], tones: &[f64]) -> bool {
    if audio.len() < 2400 {
        return false;
    }
    let last = &audio[audio.len() - 2400..];
    let shares: Vec<f64> = tones.iter().map(|hz| tone_share(last, *hz)).collect();
    shares.iter().all(|share| *share > 0.7 / tones.len() as f64) && shares.iter().sum::<f64>() > 0.9
}

/// No call, no busy seat, no dialog, no port. A trunk that never answered keeps its dialog for the 32 s of RFC 3261 timer B.
pub async fn quiet(server: &mut Server) {
    server
        .wait_for("/api/v1/calls", "no open call", |calls| {
            calls.as_array()?.is_empty().then_some(())
        })
        .await;
    server
        .wait_for("/api/v1/seats", "no busy seat", |seats| {
            seats
                .as_array()?
                .iter()
                .all(|seat| {
                    seat["call"].is_null()
                        && ["signed_out", "not_ready", "ready"]
                            .contains(&seat["state"].as_str().unwrap_or_default())
                })
                .then_some(())
        })
        .await;
    for name in ["firstring_sip_dialogs", "firstring_rtp_ports_used"] {
        metric_falls_to_zero(server, name, Duration::from_secs(40)).await;
    }
}

/// Wait until a gauge is 0.
pub async fn metric_falls_to_zero(server: &mut Server, name: &str, within: Duration) {
    let deadline = Instant::now() + within;
    loop {
        let text = server.get("/metrics").await;
        let value = text.as_str().expect("a text").lines().find_map(|line| {
            let rest = line.strip_prefix(name)?;
            rest.trim().parse::<f64>().ok()
        });
        if value == Some(0.0) {
            return;
        }
        assert!(Instant::now() < deadline, "{name} is {value:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// All events so far.
pub async fn events(server: &mut Server) -> Vec<Value> {
    let feed = server.get("/api/v1/events?after=0&limit=1000").await;
    let rows = feed.as_array().expect("a list");
    rows.iter().map(|row| row["event"].clone()).collect()
}

/// Wait for an event of that type of which `good` is true.
pub async fn event(server: &mut Server, kind: &str, good: impl Fn(&Value) -> bool) -> Value {
    server
        .wait_for("/api/v1/events?after=0&limit=1000", kind, |feed| {
            feed.as_array()?
                .iter()
                .map(|row| &row["event"])
                .find(|event| event["type"] == kind && good(&event["data"]))
                .cloned()
        })
        .await
}

/// When an event was, in milliseconds.
pub fn at_ms(event: &Value) -> i64 {
    event["at"].as_i64().expect("a time") / 1000
}

/// Ring a third party; its leg.
pub async fn add_party(server: &mut Server, call: &str, number: &str) -> String {
    let (status, reply) = server
        .post(
            &format!("/api/v1/calls/{call}/parties"),
            json!({ "number": number, "role": "doctor" }),
        )
        .await;
    assert_eq!(status, 200, "{reply}");
    reply["leg"].as_str().expect("a leg").to_owned()
}

/// The supervisor's phone is rung, picks up and listens.
pub async fn listen(server: &mut Server, call: &str, phone: &mut Baresip) {
    let (status, reply) = server
        .post(
            &format!("/api/v1/calls/{call}/listen"),
            json!({ "seat": "800" }),
        )
        .await;
    assert_eq!(status, 200, "{reply}");
    phone.rings(1).await;
    phone.accept().await;
}
