//! What a supervisor does on a talk, with real peers: who hears him in each mode, and that nobody's sound breaks.

use serde_json::json;

use crate::peers_stage::{
    CALLER_HZ, SEAT_HZ, SUPERVISOR_HZ, THIRD_HZ, Talk, add_party, call, event, hears_exactly,
    listen, quiet, scene, seat, seat_is, talk, until,
};
use crate::support::rtp_peer::{RtpPeer, Voice, assert_unbroken};
use crate::support::sipp::Place;
use crate::support::tone::{read_wav, tone_share, tone_span};

/// The supervisor of seat 800 does something else from now on.
async fn does(talk: &mut Talk, mode: &str) {
    let path = format!("/api/v1/calls/{}/listen", talk.call);
    let (status, reply) = talk
        .server
        .post(&path, json!({ "seat": "800", "mode": mode }))
        .await;
    assert_eq!(status, 200, "{reply}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whisper_reaches_the_seat_alone_a_barge_all_and_each_change_breaks_nobodys_sound() {
    let (carrier, other) = (Place::new(), Place::new());
    let mut centre = scene(1, &carrier);
    centre.1.trunks.push(other.outbound_trunk("other", 1));
    let doctor = RtpPeer::start(Voice::tone(THIRD_HZ));
    let mut callee = other
        .scenario("callee")
        .key("rtp", doctor.address().port())
        .wait_for_calls();
    let mut talk = talk(centre, &carrier).await;
    talk.both_hear().await;
    add_party(&mut talk.server, &talk.call, "13900139000").await;
    doctor.talk_to(callee.media().await);
    event(&mut talk.server, "conference.party_joined", |_| true).await;
    let mut supervisor = seat(&mut talk.server, "800", SUPERVISOR_HZ).await;
    let id = talk.call.clone();
    listen(&mut talk.server, &id, &mut supervisor).await;
    let all = [CALLER_HZ, SEAT_HZ, THIRD_HZ];
    until("the supervisor hears all three", || {
        hears_exactly(&supervisor.heard(), &all)
    })
    .await;
    for (mode, seat_hears, others_hear) in [
        ("whisper", true, false),
        ("barge", true, true),
        ("whisper", true, false),
        ("listen", false, false),
    ] {
        does(&mut talk, mode).await;
        let with = |tones: &[f64], heard: bool| {
            let supervisor = heard.then_some(SUPERVISOR_HZ);
            tones.iter().copied().chain(supervisor).collect::<Vec<_>>()
        };
        until(mode, || {
            hears_exactly(
                &talk.seat.heard(),
                &with(&[CALLER_HZ, THIRD_HZ], seat_hears),
            ) && hears_exactly(
                &talk.voice.last_audio(300),
                &with(&[SEAT_HZ, THIRD_HZ], others_hear),
            ) && hears_exactly(
                &doctor.last_audio(300),
                &with(&[CALLER_HZ, SEAT_HZ], others_hear),
            ) && hears_exactly(&supervisor.heard(), &all)
        })
        .await;
    }
    // From the first packet to the last each change kept one line of numbers and time stamps.
    for peer in [&talk.voice, &doctor] {
        assert_unbroken(&peer.heard());
    }
    talk.caller.go_on();
    talk.caller.finished().await;
    let path = format!("/api/v1/calls/{id}/hang_up");
    talk.server.post(&path, json!({})).await;
    supervisor.event("CALL_CLOSED", 1).await;
    let record = talk.server.closed_record().await;
    let modes: Vec<_> = record["supervision"]
        .as_array()
        .expect("entries")
        .iter()
        .map(|entry| entry["mode"].as_str().expect("a mode"))
        .collect();
    assert_eq!(modes, ["listen", "whisper", "barge", "whisper", "listen"]);
    let recording = &record["recordings"][0];
    let path = recording["uri"].as_str().expect("a path");
    let wav = read_wav(&talk.server.centre.dir.join("recordings").join(path));
    let tracks = recording["tracks"].as_array().expect("tracks");
    for (track, sound) in tracks.iter().zip(&wav.channels) {
        let of_supervisor = track["party"] == "supervisor-800";
        let heard = tone_span(sound, SUPERVISOR_HZ);
        assert_eq!(heard.is_some(), of_supervisor, "{track}");
        if let Some((_, end, _)) = heard {
            // His phone sends on after he has gone back to listening; the last 300 ms at least are of that time.
            assert!(end + 200 <= wav.duration_ms(), "{end} ms: {track}");
        }
    }
    assert!(
        tracks
            .iter()
            .any(|track| track["party"] == "supervisor-800")
    );
    quiet(&mut talk.server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_is_taken_over_goes_on_without_a_gap_and_its_seat_is_free() {
    let carrier = Place::new();
    let mut talk = talk(scene(1, &carrier), &carrier).await;
    talk.both_hear().await;
    let mut supervisor = seat(&mut talk.server, "800", SUPERVISOR_HZ).await;
    let id = talk.call.clone();
    listen(&mut talk.server, &id, &mut supervisor).await;
    until("the supervisor hears both", || {
        hears_exactly(&supervisor.heard(), &[CALLER_HZ, SEAT_HZ])
    })
    .await;
    let from = talk.voice.audio_from(0).len();
    does(&mut talk, "take_over").await;
    until("caller and supervisor hear each other only", || {
        talk.voice.hears_only(SUPERVISOR_HZ) && supervisor.share(CALLER_HZ) > 0.9
    })
    .await;
    // Never a tenth of a second without either of the two: by packets, because one voice follows the other.
    let mut without = 0;
    for part in talk.voice.audio_from(0)[from..].chunks_exact(160) {
        let voices = tone_share(part, SEAT_HZ) + tone_share(part, SUPERVISOR_HZ);
        without = if voices > 0.8 { 0 } else { without + 1 };
        assert!(without < 5, "the caller hears nobody: {voices}");
    }
    assert_unbroken(&talk.voice.heard());
    talk.seat.event("CALL_CLOSED", 1).await;
    seat_is(&mut talk.server, "801", "ready", |seat| {
        seat["state"] == "ready"
    })
    .await;
    let took = event(&mut talk.server, "supervisor.took_over", |_| true).await;
    assert_eq!(took["data"]["from"], "801");
    talk.end().await;
}

/// The status of an order, and what was said.
async fn orders(talk: &mut Talk, path: &str, body: serde_json::Value) -> (u16, String) {
    let path = format!("/api/v1/calls/{}/{path}", talk.call);
    let (status, reply) = talk.server.post(&path, body).await;
    (
        status,
        reply["detail"].as_str().unwrap_or_default().to_owned(),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_seat_calls_for_a_supervisor_who_is_heard_by_all_and_the_second_is_told_who_came() {
    let carrier = Place::new();
    let mut talk = talk(scene(1, &carrier), &carrier).await;
    talk.both_hear().await;
    let mut supervisor = seat(&mut talk.server, "800", SUPERVISOR_HZ).await;
    let accept = json!({ "seat": "800", "mode": "barge" });
    let (status, said) = orders(&mut talk, "assist/accept", accept.clone()).await;
    assert_eq!((status, said.contains("asked for")), (409, true), "{said}");
    assert_eq!(orders(&mut talk, "assist", json!({})).await.0, 200);
    assert_eq!(orders(&mut talk, "assist", json!({})).await.0, 409);
    let wrong = json!({ "seat": "800", "mode": "shout" });
    assert_eq!(orders(&mut talk, "assist/accept", wrong).await.0, 422);
    assert_eq!(
        orders(&mut talk, "assist/accept", accept.clone()).await.0,
        200
    );
    let (status, said) = orders(&mut talk, "assist/accept", accept).await;
    assert_eq!((status, said.contains("800")), (409, true), "{said}");
    supervisor.rings(1).await;
    supervisor.accept().await;
    event(&mut talk.server, "assist.answered", |data| {
        data["by"] == "800"
    })
    .await;
    until("all hear the supervisor", || {
        hears_exactly(&talk.voice.last_audio(300), &[SEAT_HZ, SUPERVISOR_HZ])
            && hears_exactly(&talk.seat.heard(), &[CALLER_HZ, SUPERVISOR_HZ])
    })
    .await;
    for (order, body) in [
        ("reassign", json!({ "to": { "seat": "801" } })),
        ("priority", json!({ "ahead_s": 10 })),
    ] {
        let (status, said) = orders(&mut talk, order, body).await;
        assert_eq!((status, said.contains("talking")), (409, true), "{said}");
    }
    let unknown = "/api/v1/calls/0199e3c0-0000-7000-8000-000000000001/assist";
    assert_eq!(talk.server.post(unknown, json!({})).await.0, 404);
    assert_unbroken(&talk.voice.heard());
    talk.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_waiting_call_is_given_to_a_seat_in_its_wrap_up_and_a_signed_out_one_is_out_after_its_call()
 {
    let carrier = Place::new();
    let mut centre = scene(1, &carrier);
    let timers = vec![String::from("wrap_up_ms = 60000")];
    centre.1.lines.insert("timers", timers);
    let mut talk = talk(centre, &carrier).await;
    talk.both_hear().await;
    talk.caller.go_on();
    talk.caller.finished().await;
    let in_wrap_up = |seat: &serde_json::Value| seat["state"] == "wrap_up";
    seat_is(&mut talk.server, "801", "wrap-up", in_wrap_up).await;
    let mut caller = call(
        carrier.scenario("caller"),
        talk.server.sip("udp"),
        &talk.voice,
    )
    .await;
    let waits = |call: &serde_json::Value| call["position"] == 0;
    let waiting = talk.server.open_call("a waiting call", waits).await;
    talk.call = waiting["call"].as_str().expect("an id").to_owned();
    let to = json!({ "to": { "seat": "801" } });
    assert_eq!(orders(&mut talk, "reassign", to).await.0, 200);
    talk.seat.rings(2).await;
    talk.seat.accept().await;
    talk.both_hear().await;
    let out = "/api/v1/seats/801/sign_out";
    assert_eq!(talk.server.post(out, json!({})).await.0, 200);
    assert_eq!(talk.server.post(out, json!({})).await.0, 409);
    talk.both_hear().await;
    caller.go_on();
    caller.finished().await;
    let is_out = |seat: &serde_json::Value| seat["state"] == "signed_out";
    seat_is(&mut talk.server, "801", "signed out", is_out).await;
    quiet(&mut talk.server).await;
}
