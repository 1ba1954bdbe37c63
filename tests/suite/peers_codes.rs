//! Star codes that a real softphone dials: it is told and released by us, and no code reaches a carrier.

use crate::peers_stage::{
    CALLER_HZ, SEAT_HZ, SUPERVISOR_HZ, THIRD_HZ, call, event, events, hears_exactly, quiet, scene,
    seat, seat_is, talk, until,
};
use crate::support::baresip::Baresip;
use crate::support::rtp_peer::{RtpPeer, Voice};
use crate::support::server::Server;
use crate::support::sipp::Place;
use crate::support::tone::{rms, tone_share};

/// The phone dials, hears something and is released by us: all that it heard.
async fn dials(server: &Server, phone: &mut Baresip, code: &str) -> Vec<i16> {
    let before = phone.count("CALL_CLOSED");
    phone.dial(code, server.sip("udp"));
    phone.event("CALL_CLOSED", before + 1).await;
    phone.heard()
}

/// A tone of `hz` somewhere, and afterwards a second at least of sound that is no tone.
fn tone_then_words(heard: &[i16], hz: f64) -> bool {
    let parts: Vec<_> = heard.chunks_exact(400).collect();
    let Some(tone) = parts.iter().position(|part| tone_share(part, hz) > 0.8) else {
        return false;
    };
    let words = parts.iter().skip(tone + 8);
    let spoken = |part: &&&[i16]| rms(part) > 300.0 && tone_share(part, hz) < 0.5;
    words.filter(spoken).count() >= 8
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_dials_away_and_ready_is_told_and_released_and_a_waiting_caller_rings_there() {
    let carrier = Place::new();
    let mut server = Server::start(scene(1, &carrier)).await;
    let mut phone = seat(&mut server, "801", SEAT_HZ).await;
    let heard = dials(&server, &mut phone, "*11").await;
    assert!(tone_then_words(&heard, 660.0), "{} samples", heard.len());
    seat_is(&mut server, "801", "away", |seat| {
        seat["state"] == "not_ready" && seat["reason"] == "离席"
    })
    .await;
    let voice = RtpPeer::start(Voice::tone(CALLER_HZ));
    let mut caller = call(carrier.scenario("caller"), server.sip("udp"), &voice).await;
    server
        .open_call("a waiting call", |call| call["state"] == "waiting")
        .await;
    let heard = dials(&server, &mut phone, "*10").await;
    assert!(tone_then_words(&heard, 660.0), "{} samples", heard.len());
    phone.rings(1).await;
    phone.accept().await;
    until("both hear each other", || {
        voice.hears_only(SEAT_HZ) && hears_exactly(&phone.heard(), &[CALLER_HZ])
    })
    .await;
    caller.go_on();
    caller.finished().await;
    quiet(&mut server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_code_is_told_to_the_phone_and_rung_out_to_no_carrier() {
    let (carrier, other) = (Place::new(), Place::new());
    let mut centre = scene(1, &carrier);
    centre.1.trunks.push(other.outbound_trunk("other", 1));
    let mut server = Server::start(centre).await;
    let callee = other.scenario("callee").key("rtp", 9).wait_for_calls();
    let mut phone = seat(&mut server, "801", SEAT_HZ).await;
    let heard = dials(&server, &mut phone, "*77").await;
    assert!(tone_then_words(&heard, 330.0), "{} samples", heard.len());
    let said = event(&mut server, "seat.star_code", |_| true).await;
    assert_eq!(said["data"]["result"], "unknown", "{said}");
    let invited = callee.messages().iter().any(|m| m.starts("INVITE "));
    assert!(!invited, "no code reaches a carrier");
    let calls = events(&mut server).await;
    let made = ["call.received", "call.dialled"];
    let of_calls = |e: &&serde_json::Value| made.contains(&e["type"].as_str().unwrap_or(""));
    assert_eq!(calls.iter().filter(of_calls).count(), 0);
    quiet(&mut server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_dials_the_call_back_of_a_caller_who_gave_up() {
    let (carrier, other) = (Place::new(), Place::new());
    let mut centre = scene(1, &carrier);
    centre.1.trunks.push(other.outbound_trunk("other", 1));
    let mut server = Server::start(centre).await;
    let waits = RtpPeer::start(Voice::tone(CALLER_HZ));
    let mut gone = call(carrier.scenario("caller"), server.sip("udp"), &waits).await;
    gone.go_on();
    gone.finished().await;
    event(&mut server, "callback.due", |_| true).await;
    let mut phone = seat(&mut server, "801", SEAT_HZ).await;
    let voice = RtpPeer::start(Voice::tone(THIRD_HZ));
    let mut callee = other
        .scenario("callee")
        .key("rtp", voice.address().port())
        .wait_for_calls();
    phone.dial("*50", server.sip("udp"));
    voice.talk_to(callee.media().await);
    event(&mut server, "callback.connected", |_| true).await;
    until("both hear each other and nothing else", || {
        voice.hears_only(SEAT_HZ) && hears_exactly(&phone.heard(), &[THIRD_HZ])
    })
    .await;
    phone.hang_up();
    callee
        .message("the callee's BYE", |m| m.received && m.starts("BYE "))
        .await;
    quiet(&mut server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_supervisor_dials_into_a_seats_call_hears_both_and_is_heard_when_he_barges_in() {
    let carrier = Place::new();
    let mut talk = talk(scene(1, &carrier), &carrier).await;
    talk.both_hear().await;
    let mut supervisor = seat(&mut talk.server, "800", SUPERVISOR_HZ).await;
    supervisor.dial("*80801", talk.server.sip("udp"));
    until("he hears both, and nobody hears him", || {
        hears_exactly(&supervisor.heard(), &[CALLER_HZ, SEAT_HZ])
            && talk.voice.hears_only(SEAT_HZ)
            && hears_exactly(&talk.seat.heard(), &[CALLER_HZ])
    })
    .await;
    for key in "*82".chars() {
        supervisor.press(key);
        tokio::time::sleep(std::time::Duration::from_millis(450)).await;
    }
    until("he is heard by both", || {
        hears_exactly(&talk.voice.last_audio(300), &[SEAT_HZ, SUPERVISOR_HZ])
            && hears_exactly(&talk.seat.heard(), &[CALLER_HZ, SUPERVISOR_HZ])
    })
    .await;
    supervisor.hang_up();
    talk.both_hear().await;
    talk.end().await;
}
