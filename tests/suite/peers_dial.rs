//! Calls that seats make, with real peers: SIPp is the carrier that is called, the seat is baresip or dials by itself.

use serde_json::json;

use crate::peers_stage::{
    CALLER_HZ, SEAT_HZ, THIRD_HZ, call, event, hears_exactly, quiet, scene, seat, seat_is, until,
};
use crate::support::rtp_peer::{RtpPeer, Voice, assert_unbroken};
use crate::support::server::Server;
use crate::support::sipp::Place;
use crate::support::tone::{read_wav, tone_span};

const NUMBER: &str = "13900139000";

#[tokio::test(flavor = "multi_thread")]
async fn a_seat_dials_a_number_both_hear_each_other_and_stand_on_two_tracks() {
    let (carrier, other) = (Place::new(), Place::new());
    let mut centre = scene(1, &carrier);
    centre.1.trunks.push(other.outbound_trunk("other", 1));
    let mut server = Server::start(centre).await;
    let mut phone = seat(&mut server, "801", SEAT_HZ).await;
    let doctor = RtpPeer::start(Voice::tone(THIRD_HZ));
    let mut callee = other
        .scenario("callee")
        .key("rtp", doctor.address().port())
        .wait_for_calls();
    let dial = json!({ "number": NUMBER });
    let (status, reply) = server.post("/api/v1/seats/801/dial", dial.clone()).await;
    assert_eq!(status, 200, "{reply}");
    let call = reply["call"].as_str().expect("a call").to_owned();
    phone.rings(1).await;
    let (status, again) = server.post("/api/v1/seats/801/dial", dial).await;
    assert_eq!(status, 409, "{again}");
    phone.accept().await;
    doctor.talk_to(callee.media().await);
    event(&mut server, "conference.party_joined", |_| true).await;
    until("each hears the other and nothing else", || {
        doctor.hears_only(SEAT_HZ) && hears_exactly(&phone.heard(), &[THIRD_HZ])
    })
    .await;
    assert_unbroken(&doctor.heard());
    let path = format!("/api/v1/calls/{call}/hang_up");
    let (status, reply) = server.post(&path, json!({})).await;
    assert_eq!(status, 200, "{reply}");
    callee
        .message("the callee's BYE", |m| m.received && m.starts("BYE "))
        .await;
    phone.event("CALL_CLOSED", 1).await;
    let record = server.closed_record().await;
    assert_eq!(record["direction"], "outbound");
    assert_eq!(record["callee"]["number"]["e164"], "+8613900139000");
    assert_eq!(record["end"]["result"], "answered");
    let recording = &record["recordings"][0];
    let wav = read_wav(
        &server
            .centre
            .dir
            .join("recordings")
            .join(recording["uri"].as_str().expect("a path")),
    );
    for (party, hz) in [("seat-801", SEAT_HZ), ("callee-1", THIRD_HZ)] {
        let tracks = recording["tracks"].as_array().expect("tracks");
        let at = tracks.iter().position(|track| track["party"] == party);
        let track = &wav.channels[at.unwrap_or_else(|| panic!("no track of {party}"))];
        let (from, to, without) = tone_span(track, hz).expect("its tone");
        assert!(to - from > 300 && without < 5, "{party}: {from}-{to} ms");
    }
    seat_is(&mut server, "801", "ready", |seat| seat["state"] == "ready").await;
    quiet(&mut server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_who_gave_up_is_called_back_and_both_hear_each_other() {
    let (carrier, other) = (Place::new(), Place::new());
    let mut centre = scene(1, &carrier);
    centre.1.trunks.push(other.outbound_trunk("other", 1));
    let mut server = Server::start(centre).await;
    let waits = RtpPeer::start(Voice::tone(CALLER_HZ));
    let mut gone = call(carrier.scenario("caller"), server.sip("udp"), &waits).await;
    server
        .open_call("a waiting call", |call| call["state"] == "waiting")
        .await;
    gone.go_on();
    gone.finished().await;
    let left = event(&mut server, "call.abandoned", |_| true).await;
    let entry = server
        .wait_for("/api/v1/call_backs", "the call-back", |entries| {
            entries.as_array()?.first().cloned()
        })
        .await;
    let mut phone = seat(&mut server, "801", SEAT_HZ).await;
    let voice = RtpPeer::start(Voice::tone(THIRD_HZ));
    let mut callee = other
        .scenario("callee")
        .key("rtp", voice.address().port())
        .wait_for_calls();
    let path = format!(
        "/api/v1/call_backs/{}/dial",
        entry["call_back"].as_str().expect("an id")
    );
    let (status, reply) = server.post(&path, json!({ "seat": "801" })).await;
    assert_eq!(status, 200, "{reply}");
    let made = reply["call"].as_str().expect("a call").to_owned();
    phone.rings(1).await;
    phone.accept().await;
    let dialled = event(&mut server, "call.dialled", |_| true).await;
    let number = &dialled["data"]["callee"];
    assert_eq!(number["e164"], "+8613800138000", "his own number");
    voice.talk_to(callee.media().await);
    event(&mut server, "callback.connected", |_| true).await;
    until("both hear each other and nothing else", || {
        voice.hears_only(SEAT_HZ) && hears_exactly(&phone.heard(), &[THIRD_HZ])
    })
    .await;
    let dialling = server.get("/api/v1/call_backs").await;
    assert_eq!(dialling[0]["state"], "dialling", "{dialling}");
    let from = voice.heard_count();
    until("ten seconds of talk", || voice.heard_count() > from + 510).await;
    let path = format!("/api/v1/calls/{made}/hang_up");
    let (status, reply) = server.post(&path, json!({})).await;
    assert_eq!(status, 200, "{reply}");
    let closed = event(&mut server, "callback.closed", |_| true).await;
    assert_eq!(closed["data"]["outcome"], json!("talked"));
    assert_eq!(closed["call"], left["call"], "on the record of his call");
    phone.event("CALL_CLOSED", 1).await;
    quiet(&mut server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_seats_phone_dials_a_number_that_is_busy_hears_why_and_is_released() {
    let (carrier, other) = (Place::new(), Place::new());
    let mut centre = scene(1, &carrier);
    centre.1.trunks.push(other.outbound_trunk("other", 1));
    let mut server = Server::start(centre).await;
    let network = RtpPeer::start(Voice::tone(THIRD_HZ));
    let mut callee = other
        .scenario("callee_busy")
        .key("rtp", network.address().port())
        .wait_for_calls();
    let mut phone = seat(&mut server, "801", SEAT_HZ).await;
    phone.dial(NUMBER, server.sip("udp"));
    network.talk_to(callee.media().await);
    until("the seat hears the network's announcement", || {
        hears_exactly(&phone.heard(), &[THIRD_HZ])
    })
    .await;
    let failed = event(&mut server, "conference.party_failed", |_| true).await;
    assert_eq!(failed["data"]["cause"], json!("busy"));
    until("the seat hears busy tone and nothing else", || {
        phone.share(450.0) > 0.9
    })
    .await;
    phone.event("CALL_CLOSED", 1).await;
    let ended = event(&mut server, "call.ended", |_| true).await;
    assert_eq!(ended["data"]["outcome"], json!("not_reached"));
    let dialled = event(&mut server, "call.dialled", |_| true).await;
    assert_eq!(dialled["data"]["seat"], json!("801"));
    quiet(&mut server).await;
}
