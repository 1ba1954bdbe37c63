//! What a seat does with its talking call, with real peers: SIPp callers, baresip seats, third parties.

use serde_json::{Value, json};

use crate::peers_queue::{best_fit, clip};
use crate::peers_stage::{
    CALLER_HZ, SEAT_HZ, SUPERVISOR_HZ, THIRD_HZ, Talk, add_party, event, hears_exactly, quiet,
    scene, seat, seat_is, talk, until,
};
use crate::support::rtp_peer::{RtpPeer, Voice, assert_unbroken};
use crate::support::scene::{closed_record_of, recording};
use crate::support::server::Server;
use crate::support::sipp::Place;
use crate::support::tone::{rms, tone_share, tone_span};

/// As tests/sipp/caller.xml calls.
const CALLER: &str = "13800138000";

/// A speaker's pause between two sentences of a prompt is no silence of ours.
const SPOKEN_PAUSE_MS: usize = 400;

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

/// How loud the clip is in what was heard; 1: as it is stored, whatever else sounds beside it.
fn part_of(heard: &[i16], clip: &[i16]) -> f64 {
    let product = |a: &[i16], b: &[i16]| -> f64 {
        let pairs = a.iter().zip(b);
        pairs.map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
    };
    product(heard, clip) / product(clip, clip)
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

#[tokio::test(flavor = "multi_thread")]
async fn caller_put_aside_hears_the_prompt_and_music_and_is_back_by_his_key_and_by_his_seat() {
    let carrier = Place::new();
    let mut centre = scene(1, &carrier);
    // Else his seat, idle from now on, is given him before the prompt is over.
    let timers = centre.1.lines.get_mut("timers").expect("set by the scene");
    timers.push(String::from("shelf_idle_ms = 60000"));
    let mut talk = talk(centre, &carrier).await;
    talk.both_hear().await;
    let start = talk.voice.audio_from(0).len();
    for (round, why) in [(2, "seat"), (3, "key")] {
        let from = talk.voice.audio_from(0).len();
        ordered(&mut talk.server, &talk.call, "shelve", json!({})).await;
        let open = talk
            .server
            .open_call("put aside", |call| call["state"] == "shelved")
            .await;
        assert_eq!(
            (&open["seat"], &open["position"]),
            (&json!("801"), &Value::Null)
        );
        seat_is(&mut talk.server, "801", "free", |seat| {
            seat["state"] == "ready" && seat["call"].is_null()
        })
        .await;
        let prompt = clip(&talk.server.centre.prompts().join("zh-CN"), "shelved");
        until("the prompt is heard", || {
            let heard = talk.voice.audio_from(0);
            heard.len() > from + prompt.len() + 4_000 && best_fit(&heard[from..], &prompt).0 > 0.95
        })
        .await;
        if round == 2 {
            hears_music(&talk.voice, &talk.server, from + prompt.len()).await;
            ordered(
                &mut talk.server,
                &talk.call,
                "unshelve",
                json!({ "seat": "801" }),
            )
            .await;
        } else {
            talk.voice.press('1', 120);
        }
        event(&mut talk.server, "call.unshelved", |data| {
            data["why"] == why
        })
        .await;
        talk.seat.rings(round).await;
        talk.seat.accept().await;
        talk.both_hear().await;
    }
    let silence = longest_silence_ms(&talk.voice, start);
    assert!(silence <= SPOKEN_PAUSE_MS, "{silence} ms");
    assert_unbroken(&talk.voice.heard());
    let mut server = talk.end().await;
    let record = closed_record_of(&mut server, CALLER, true).await;
    let stays: Vec<_> = record["shelves"]
        .as_array()
        .expect("stays")
        .iter()
        .collect();
    let reasons: Vec<_> = stays.iter().map(|stay| &stay["reason"]).collect();
    assert_eq!(reasons, [&json!("seat"), &json!("key")]);
    assert_eq!(record["seats"].as_array().map(Vec::len), Some(3));
    assert_eq!(record["end"]["result"], "answered");
}

#[tokio::test(flavor = "multi_thread")]
async fn silent_caller_is_asked_and_his_key_is_shown_to_the_seat() {
    let carrier = Place::new();
    let mut talk = talk(scene(1, &carrier), &carrier).await;
    talk.both_hear().await;
    talk.voice.mute(true);
    let from = talk.voice.audio_from(0).len();
    ordered(&mut talk.server, &talk.call, "ask_silent", json!({})).await;
    let open = talk
        .server
        .open_call("asked", |call| call["silent"].is_object())
        .await;
    assert_eq!(
        (&open["state"], &open["silent"]["key"]),
        (&json!("talking"), &Value::Null)
    );
    talk.voice.press('5', 120);
    let open = talk
        .server
        .open_call("the key", |call| call["silent"]["key"] == "5")
        .await;
    assert_eq!(open["state"], "talking");
    let prompt = clip(&talk.server.centre.prompts().join("zh-CN"), "silent_call");
    until("the prompt is over", || {
        talk.voice.audio_from(0).len() > from + prompt.len() + 8_000
    })
    .await;
    // The seat's tone lies over it, as it must: the prompt's own part of the sound is as loud as the prompt.
    let heard = &talk.voice.audio_from(0)[from..];
    let (_, at) = best_fit(heard, &prompt);
    let share = part_of(&heard[at..at + prompt.len()], &prompt);
    assert!((0.8..1.2).contains(&share), "{share:.2}");
    talk.voice.mute(false);
    talk.both_hear().await;
    let mut server = talk.end().await;
    let record = closed_record_of(&mut server, CALLER, true).await;
    assert_eq!(record["silent"]["key"], "5");
}

#[tokio::test(flavor = "multi_thread")]
async fn call_goes_blind_to_a_seat_and_after_a_word_between_the_seats_to_the_next_in_one_recording()
{
    let carrier = Place::new();
    let mut talk = talk(scene(3, &carrier), &carrier).await;
    talk.both_hear().await;
    let start = talk.voice.audio_from(0).len();
    let mut second = seat(&mut talk.server, "802", THIRD_HZ).await;
    let order_802 = json!({ "seat": "802", "kind": "blind" });
    ordered(&mut talk.server, &talk.call, "transfer", order_802).await;
    second.rings(1).await;
    until("the caller hears ring-back", || {
        talk.voice.share(450.0) > 0.9
    })
    .await;
    seat_is(&mut talk.server, "801", "free", |seat| {
        seat["call"].is_null()
    })
    .await;
    second.accept().await;
    until("caller and 802 hear each other only", || {
        talk.voice.hears_only(THIRD_HZ) && second.share(CALLER_HZ) > 0.9
    })
    .await;

    let mut third = seat(&mut talk.server, "803", SUPERVISOR_HZ).await;
    let from = talk.voice.audio_from(0).len();
    let order_803 = json!({ "seat": "803", "kind": "attended" });
    ordered(&mut talk.server, &talk.call, "transfer", order_803).await;
    third.rings(1).await;
    third.accept().await;
    until("the seats hear each other only", || {
        hears_exactly(&second.heard(), &[SUPERVISOR_HZ])
            && hears_exactly(&third.heard(), &[THIRD_HZ])
    })
    .await;
    hears_music(&talk.voice, &talk.server, from).await;
    let (status, reply) = order(&mut talk.server, &talk.call, "shelve", json!({})).await;
    assert_eq!(status, 409, "{reply}");
    ordered(&mut talk.server, &talk.call, "transfer/complete", json!({})).await;
    until("caller and 803 hear each other only", || {
        talk.voice.hears_only(SUPERVISOR_HZ) && third.share(CALLER_HZ) > 0.9
    })
    .await;
    seat_is(&mut talk.server, "802", "free", |seat| {
        seat["call"].is_null()
    })
    .await;
    let heard = &talk.voice.audio_from(0)[start..];
    // Ring-back is 1 s of tone and 4 s without; the rest has no hole.
    let silence = longest_silence_ms(&talk.voice, from);
    assert!(silence <= 200 && heard.len() > 16_000, "{silence} ms");
    assert_unbroken(&talk.voice.heard());
    let mut server = talk.end().await;
    let record = closed_record_of(&mut server, CALLER, true).await;
    let outcomes: Vec<_> = record["transfers"]
        .as_array()
        .expect("transfers")
        .iter()
        .map(|one| (one["to"]["seat"].clone(), one["outcome"].clone()))
        .collect();
    let answered = |seat: &str| (json!(seat), json!("answered"));
    assert_eq!(outcomes, [answered("802"), answered("803")]);
    assert_eq!(record["recordings"].as_array().map(Vec::len), Some(1));
    let tracks = record["recordings"][0]["tracks"]
        .as_array()
        .expect("tracks");
    let parties: Vec<_> = tracks.iter().map(|track| &track["party"]).collect();
    for party in ["caller", "seat-801", "seat-802", "seat-803"] {
        assert!(parties.contains(&&json!(party)), "{parties:?}");
    }
}
