//! What a seat does with its talking call, with real peers: SIPp callers, baresip seats, third parties.

use serde_json::{Value, json};

use crate::peers_queue::{best_fit, clip};
use crate::peers_stage::{
    CALLER_HZ, SEAT_HZ, THIRD_HZ, Talk, add_party, event, hears_exactly, quiet, scene, seat_is,
    talk, until,
};
use crate::support::rtp_peer::{RtpPeer, Voice, assert_unbroken};
use crate::support::scene::{closed_record_of, recording};
use crate::support::server::Server;
use crate::support::sipp::Place;
use crate::support::tone::{rms, tone_share, tone_span};

/// As tests/sipp/caller.xml calls.
const CALLER: &str = "13800138000";

async fn order(server: &mut Server, call: &str, what: &str, body: Value) -> (u16, Value) {
    let path = format!("/api/v1/calls/{call}/{what}");
    server.post(&path, body).await
}

async fn ordered(server: &mut Server, call: &str, what: &str, body: Value) {
    let (status, reply) = order(server, call, what, body).await;
    assert_eq!(status, 200, "{what}: {reply}");
}

/// The music plays to him, from its beginning, and nothing else.
async fn hears_music(voice: &RtpPeer, server: &Server, from: usize) {
    let music = clip(&server.centre.prompts().join("music"), "hold");
    let music = &music[..8_000];
    until("the music is heard", || {
        let heard = voice.audio_from(0);
        heard.len() > from + 16_000 && best_fit(&heard[from.saturating_sub(800)..], music).0 > 0.95
    })
    .await;
}

/// The longest stretch without sound since the sample `from`, in milliseconds.
fn longest_silence_ms(voice: &RtpPeer, from: usize) -> usize {
    let (mut longest, mut run) = (0, 0);
    for frame in voice.audio_from(0)[from..].chunks_exact(160) {
        run = if rms(frame) < 200.0 { run + 1 } else { 0 };
        longest = longest.max(run);
    }
    longest * 20
}

#[tokio::test(flavor = "multi_thread")]
async fn caller_on_hold_hears_music_by_command_and_by_the_phone_and_the_seat_hears_nothing_of_him()
{
    let carrier = Place::new();
    let mut talk = talk(scene(1, &carrier), &carrier).await;
    talk.both_hear().await;
    let start = talk.voice.audio_from(0).len();
    let silent = |talk: &Talk| {
        let heard = talk.seat.heard();
        rms(&heard[heard.len() - 2400..]) < 50.0
    };
    for (by, how) in [("command", true), ("phone", false)] {
        let from = talk.voice.audio_from(0).len();
        if how {
            ordered(&mut talk.server, &talk.call, "hold", json!({})).await;
        } else {
            talk.seat.hold(true);
        }
        let held = event(&mut talk.server, "call.held", |data| data["how"] == by).await;
        assert_eq!(held["data"]["seat"], "801");
        let open = talk
            .server
            .open_call("held", |call| call["state"] == "held")
            .await;
        assert_eq!(open["hold"]["by"], json!(by));
        hears_music(&talk.voice, &talk.server, from).await;
        assert!(talk.voice.share(SEAT_HZ) < 0.01, "nothing of the seat");
        if how {
            until("the seat hears nothing of the caller", || silent(&talk)).await;
            let (status, reply) = order(&mut talk.server, &talk.call, "hold", json!({})).await;
            assert_eq!((status, reply["code"].as_str()), (409, Some("wrong_state")));
            ordered(&mut talk.server, &talk.call, "resume", json!({})).await;
        } else {
            let (status, _) = order(&mut talk.server, &talk.call, "resume", json!({})).await;
            assert_eq!(status, 409, "the phone takes back what it holds");
            talk.seat.hold(false);
        }
        event(&mut talk.server, "call.resumed", |data| data["why"] == by).await;
        talk.both_hear().await;
    }
    assert_unbroken(&talk.voice.heard());
    let silence = longest_silence_ms(&talk.voice, start);
    assert!(silence <= 200, "{silence} ms");
    let mut server = talk.end().await;
    let record = closed_record_of(&mut server, CALLER, true).await;
    assert!(
        record["seats"][0]["hold_ms"].as_u64() > Some(1_000),
        "{record}"
    );
    let wav = recording(&server, &record);
    let (from, to, without) = tone_span(&wav.channels[0], CALLER_HZ).expect("the caller's tone");
    assert!(
        without <= 5,
        "recorded on while on hold: {without} frames in {from}-{to} ms"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn seat_asks_a_doctor_while_its_caller_hears_music_and_leaves_the_two_to_talk() {
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
    let from = talk.voice.audio_from(0).len();
    ordered(&mut talk.server, &talk.call, "hold", json!({})).await;
    add_party(&mut talk.server, &talk.call, "13900139000").await;
    doctor.talk_to(callee.media().await);
    until("seat and doctor hear each other only", || {
        hears_exactly(&talk.seat.heard(), &[THIRD_HZ]) && doctor.hears_only(SEAT_HZ)
    })
    .await;
    hears_music(&talk.voice, &talk.server, from).await;
    talk.seat.hang_up();
    until("caller and doctor hear each other only", || {
        talk.voice.hears_only(THIRD_HZ) && doctor.hears_only(CALLER_HZ)
    })
    .await;
    seat_is(&mut talk.server, "801", "free", |seat| {
        seat["call"].is_null()
    })
    .await;
    let silence = longest_silence_ms(&talk.voice, from);
    assert!(silence <= 200, "{silence} ms");
    assert!(tone_share(&talk.voice.last_audio(300), SEAT_HZ) < 0.01);
    let mut server = talk.end().await;
    quiet(&mut server).await;
}
