//! What a supervisor does on a talk, with real peers: who hears him in each mode, and that nobody's sound breaks.

use serde_json::json;

use crate::peers_stage::{
    CALLER_HZ, SEAT_HZ, SUPERVISOR_HZ, THIRD_HZ, Talk, add_party, event, hears_exactly, listen,
    quiet, scene, seat, seat_is, talk, until,
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
    let call = talk.call.clone();
    listen(&mut talk.server, &call, &mut supervisor).await;
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
    let path = format!("/api/v1/calls/{call}/hang_up");
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
        let heard = tone_span(sound, SUPERVISOR_HZ).is_some();
        assert_eq!(heard, of_supervisor, "{track}");
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
    let call = talk.call.clone();
    listen(&mut talk.server, &call, &mut supervisor).await;
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
    // Never a tenth of a second without either of the two.
    for part in talk.voice.audio_from(0)[from..].chunks_exact(800) {
        let voices = tone_share(part, SEAT_HZ) + tone_share(part, SUPERVISOR_HZ);
        assert!(voices > 0.8, "the caller hears somebody: {voices}");
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
