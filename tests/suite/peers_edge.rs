//! A carrier that speaks TLS or TCP: SIPp behind Kamailio. Calls in both directions of media, OPTIONS up and down, whose certificate counts.

use std::path::PathBuf;

use firstring::sim::centre::Centre;
use serde_json::Value;
use tempfile::TempDir;

use crate::peers_stage::{
    CALLER_HZ, LOOPBACK, SEAT_HZ, both_hear, call, quiet, seat, talking, until,
};
use crate::support::kamailio::Edge;
use crate::support::rtp_peer::{RtpPeer, Voice};
use crate::support::server::{Server, centre};
use crate::support::sipp::Place;

/// A centre with a listener of that transport and `edge` as its only trunk; and the listener's certificate.
fn behind(edge: &Edge, transport: &'static str) -> (TempDir, Centre, PathBuf) {
    let (dir, mut practice) = centre(1);
    practice.trunks.push(edge.trunk("carrier"));
    practice
        .lines
        .insert("timers", vec!["wrap_up_ms = 0".to_owned()]);
    let mut sip = vec!["options_every_s = 5".to_owned()];
    let certificate = dir.path().join("chain.pem");
    if transport == "tls" {
        let issued =
            rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).expect("made");
        let key = dir.path().join("key.pem");
        std::fs::write(&certificate, issued.cert.pem()).expect("written");
        std::fs::write(&key, issued.signing_key.serialize_pem()).expect("written");
        practice.more = format!(
            "\n[sip.listeners.tls]\ntransport = \"tls\"\nbind = \"127.0.0.1:0\"\ncertificate = \"{}\"\nkey = \"{}\"\n",
            certificate.display(),
            key.display()
        );
        sip.push(format!(
            "tls_authorities = \"{}\"",
            edge.certificate().display()
        ));
    } else {
        practice
            .listeners
            .push((transport.to_owned(), transport, LOOPBACK));
    }
    practice.lines.insert("sip", sip);
    (dir, practice, certificate)
}

async fn trunk_is(server: &mut Server, up: bool) {
    let what = format!("the trunk to be {}", if up { "up" } else { "down" });
    server
        .wait_for("/api/v1/view", &what, |view| {
            let trunk = view["trunks"].as_array()?.first()?;
            (trunk["up"] == Value::Bool(up)).then_some(())
        })
        .await;
}

/// A caller behind the edge and the seat hear each other; `seat_ends`, or the caller does.
async fn talk_over(server: &mut Server, edge: &Edge, seat_ends: bool) {
    let phones = Place::new();
    let mut dispatcher = seat(server, "801", SEAT_HZ).await;
    let voice = RtpPeer::start(Voice::tone(CALLER_HZ));
    let mut caller = call(phones.scenario("caller"), edge.inside(), &voice).await;
    dispatcher.rings(1).await;
    dispatcher.accept().await;
    talking(server, "801").await;
    both_hear(&voice, &dispatcher, CALLER_HZ).await;
    if seat_ends {
        dispatcher.hang_up();
    } else {
        caller.go_on();
    }
    caller.finished().await;
    quiet(server).await;
}

async fn a_day_with(transport: &'static str) {
    let mut edge = Edge::new(transport);
    let (dir, practice, certificate) = behind(&edge, transport);
    let mut server = Server::start((dir, practice)).await;
    trunk_is(&mut server, false).await; // nobody is there yet
    edge.start(server.sip(transport), &certificate);
    trunk_is(&mut server, true).await;
    talk_over(&mut server, &edge, false).await;
    let record = server.closed_record().await;
    assert_eq!(record["trunk"], "carrier");
    assert_eq!(record["end"]["result"], "answered");
    edge.stop();
    trunk_is(&mut server, false).await;
    edge.start(server.sip(transport), &certificate);
    trunk_is(&mut server, true).await;
    talk_over(&mut server, &edge, true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tls_carrier_goes_up_calls_in_with_sound_both_ways_goes_down_and_comes_back() {
    a_day_with("tls").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tcp_carrier_goes_up_calls_in_with_sound_both_ways_goes_down_and_comes_back() {
    a_day_with("tcp").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tls_carrier_with_a_certificate_of_another_authority_stays_down() {
    let (mut edge, stranger) = (Edge::new("tls"), Edge::new("tls"));
    let (dir, mut practice, certificate) = behind(&edge, "tls");
    practice.lines.insert(
        "sip",
        vec![
            "options_every_s = 5".to_owned(),
            format!("tls_authorities = \"{}\"", stranger.certificate().display()),
        ],
    );
    let mut server = Server::start((dir, practice)).await;
    trunk_is(&mut server, false).await;
    edge.start(server.sip("tls"), &certificate);
    let log = server.centre.dir.join("serve.log");
    let said = || std::fs::read_to_string(&log).unwrap_or_default();
    let before = said().len();
    until("the log says that the certificate is not good", || {
        said()[before..].to_lowercase().contains("certificate")
    })
    .await;
    trunk_is(&mut server, false).await;
    assert!(!edge.log().contains("OPTIONS"), "nothing was sent to it");
}
