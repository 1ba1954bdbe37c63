//! A marked caller with real peers: the seat rings at once, he hears the education prompt until the answer, and after the
//! mark is lifted the greeting again.

use std::path::Path;

use serde_json::{Value, json};

use crate::peers_queue::best_fit;
use crate::peers_stage::{
    CALLER_HZ, SEAT_HZ, at_ms, call, event, events, quiet, scene, seat, talking, until,
};
use crate::support::rtp_peer::{RtpPeer, Voice};
use crate::support::server::Server;
use crate::support::sipp::Place;
use crate::support::tone::{alaw_decode, alaw_encode, read_wav};

/// Samples of a prompt's beginning that are looked for.
const BEGINNING: usize = 8000 * 3;

fn beginning(prompts: &Path, name: &str) -> Vec<i16> {
    let wav = read_wav(&prompts.join(format!("{name}.wav")));
    assert_eq!((wav.hz, wav.channels.len()), (8000, 1));
    let coded = wav.channels[0].iter().map(|s| alaw_decode(alaw_encode(*s)));
    coded.take(BEGINNING).collect()
}

async fn done(server: &mut Server, path: &str, body: Value) -> Value {
    let (status, answer) = server.post(path, body).await;
    assert_eq!(status, 200, "{path}: {answer}");
    answer
}

/// Milliseconds from the last call's arrival to the ringing of a seat.
async fn ringing_after(server: &mut Server) -> i64 {
    let all = events(server).await;
    let last = |kind: &str| all.iter().rev().find(|e| e["type"] == kind).map(at_ms);
    last("seat.ringing").expect("a ringing seat") - last("call.received").expect("a call")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_confirmed_number_rings_a_free_seat_at_once_and_hears_the_education_prompt_until_the_answer()
 {
    let carrier = Place::new();
    let (dir, practice) = scene(1, &carrier);
    let prompts = practice.prompts().join("zh-CN");
    let (education, greeting) = (
        beginning(&prompts, "education"),
        beginning(&prompts, "greeting"),
    );
    let mut server = Server::start((dir, practice)).await;
    let mut phone = seat(&mut server, "801", SEAT_HZ).await;
    let sip = server.sip("udp");

    let mut rung = 0;
    let mut mark = String::new();
    for (heard_well, not_heard, next) in [
        (&greeting, &education, "confirm"),
        (&education, &greeting, "lift"),
        (&greeting, &education, ""),
    ] {
        let voice = RtpPeer::start(Voice::tone(CALLER_HZ));
        let mut caller = call(carrier.scenario("caller"), sip, &voice).await;
        rung += 1;
        phone.rings(rung).await;
        until("the prompt has been heard for four seconds", || {
            voice.audio_from(0).len() > 8000 * 4
        })
        .await;
        let heard = voice.audio_from(0);
        let (fit, _) = best_fit(&heard, heard_well);
        assert!(
            fit > 0.95,
            "before {next}: the right prompt fits with {fit:.3}"
        );
        let (fit, _) = best_fit(&heard, not_heard);
        assert!(fit < 0.8, "before {next}: the other one fits with {fit:.3}");
        let span = ringing_after(&mut server).await;
        assert!(
            (0..=200).contains(&span),
            "the seat rang {span} ms after the arrival"
        );
        phone.accept().await;
        let id = talking(&mut server, "801").await;
        until("the answer cuts the prompt", || voice.hears_only(SEAT_HZ)).await;
        if next == "confirm" {
            let reason = json!({"call": id, "reason": "多次无故拨打并辱骂"});
            let reply = done(&mut server, "/api/v1/marks", reason).await;
            mark = reply["mark"].as_str().expect("a mark").to_owned();
        }
        if !next.is_empty() {
            done(
                &mut server,
                &format!("/api/v1/marks/{mark}/{next}"),
                json!({}),
            )
            .await;
        }
        caller.go_on();
        caller.finished().await;
        quiet(&mut server).await;
    }
    let played = event(&mut server, "education.played", |_| true).await;
    assert_eq!(played["data"]["mark"], json!(mark));
    let marks = server.get("/api/v1/marks").await;
    assert_eq!(marks[0]["state"], json!("lifted"), "{marks}");
}
