//! Waiting and being found, with real peers: the 10 s alert, the caller who gives up, the seat that does not answer, the
//! position that is spoken, and where the caller is.

use std::sync::Arc;

use axum::Router;
use axum::extract::Path;
use axum::routing::get;
use serde_json::json;

use crate::peers_stage::{
    CALLER_HZ, SEAT_HZ, at_ms, both_hear, call, event, events, quiet, scene, seat, seat_is,
    talking, until,
};
use crate::support::rtp_peer::{RtpPeer, Voice};
use crate::support::server::Server;
use crate::support::sipp::Place;
use crate::support::tone::{alaw_decode, alaw_encode, read_wav};

#[tokio::test(flavor = "multi_thread")]
async fn after_ten_seconds_the_wait_is_exceeded_and_a_caller_who_then_leaves_is_to_be_called_back()
{
    let carrier = Place::new();
    let mut server = Server::start(scene(1, &carrier)).await;
    let voice = RtpPeer::start(Voice::tone(CALLER_HZ));
    let mut caller = call(carrier.scenario("caller"), server.sip("udp"), &voice).await;
    let exceeded = event(&mut server, "alert.wait_exceeded", |_| true).await;
    let received = event(&mut server, "call.received", |_| true).await;
    let span = at_ms(&exceeded) - at_ms(&received);
    assert!(
        (9_900..=10_100).contains(&span),
        "wait exceeded after {span} ms"
    );
    let open = server
        .open_call("the waiting call", |call| call["wait_exceeded"] == true)
        .await;
    assert_eq!(open["state"], json!("waiting"));
    caller.go_on();
    caller.finished().await;
    let left = event(&mut server, "call.abandoned", |_| true).await;
    assert_eq!(left["data"]["stage"], json!("waiting"));
    let due = event(&mut server, "callback.due", |_| true).await;
    assert_eq!(due["data"]["reason"], json!("abandoned"));
    server
        .wait_for("/api/v1/call_backs", "the call-back", |entries| {
            let entry = entries.as_array()?.first()?;
            (entry["number"] == "13800138000" && entry["call"] == open["call"]).then_some(())
        })
        .await;
    let record = server.closed_record().await;
    assert_eq!(record["end"]["result"], json!("abandoned"));
    quiet(&mut server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_seat_silent_for_eight_seconds_gives_way_and_the_caller_keeps_his_place() {
    let carrier = Place::new();
    let mut server = Server::start(scene(2, &carrier)).await;
    let first = seat(&mut server, "801", 1500.0).await;
    let voice = RtpPeer::start(Voice::tone(CALLER_HZ));
    let sip = server.sip("udp");
    let mut caller = call(carrier.scenario("caller"), sip, &voice).await;
    first.rings(1).await;
    // It rings on while another seat becomes free.
    let mut second = seat(&mut server, "802", SEAT_HZ).await;
    let timeout = event(&mut server, "seat.ring_timeout", |_| true).await;
    assert_eq!(timeout["data"]["seat"], json!("801"));
    let ringing = event(&mut server, "seat.ringing", |data| data["seat"] == "801").await;
    let span = at_ms(&timeout) - at_ms(&ringing);
    assert!((7_900..=8_200).contains(&span), "rang for {span} ms");
    first.event("CALL_CLOSED", 1).await;
    let idle = seat_is(&mut server, "801", "not ready", |s| {
        s["state"] == "not_ready"
    })
    .await;
    assert_eq!(idle["reason"], json!("未接"));
    second.rings(1).await;
    let next = event(&mut server, "seat.ringing", |data| data["seat"] == "802").await;
    let gap = at_ms(&next) - at_ms(&timeout);
    assert!(
        (0..=200).contains(&gap),
        "the next seat rang {gap} ms later"
    );
    let entered = events(&mut server)
        .await
        .iter()
        .filter(|e| e["type"] == "queue.entered")
        .count();
    assert_eq!(entered, 1, "his place is kept, not taken anew");
    second.accept().await;
    talking(&mut server, "802").await;
    both_hear(&voice, &second, CALLER_HZ).await;
    caller.go_on();
    caller.finished().await;
    let record = server.closed_record().await;
    let seats = record["seats"].as_array().expect("seats");
    assert_eq!(seats[0]["result"], json!("no_answer"));
    assert_eq!(seats[1]["result"], json!("answered"));
    quiet(&mut server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_ringing_seats_the_second_is_told_that_the_call_was_completed_elsewhere() {
    let carrier = Place::new();
    let (dir, mut practice) = scene(2, &carrier);
    practice
        .lines
        .insert("queue", vec![String::from("strategy = \"ring_all\"")]);
    let mut server = Server::start((dir, practice)).await;
    let loser = seat(&mut server, "801", 1500.0).await;
    let mut winner = seat(&mut server, "802", SEAT_HZ).await;
    let voice = RtpPeer::start(Voice::tone(CALLER_HZ));
    let mut caller = call(carrier.scenario("caller"), server.sip("udp"), &voice).await;
    loser.rings(1).await;
    winner.rings(1).await;
    winner.accept().await;
    talking(&mut server, "802").await;
    let released = event(&mut server, "seat.released", |data| data["seat"] == "801").await;
    assert_eq!(released["data"]["cause"], json!("answered_elsewhere"));
    let answered = event(&mut server, "seat.answered", |_| true).await;
    let span = at_ms(&released) - at_ms(&answered);
    assert!((0..=1_100).contains(&span), "released after {span} ms");
    loser.event("CALL_CLOSED", 1).await;
    let log = loser.log();
    let cancel = log.split("CANCEL sip:").nth(1).expect("a CANCEL");
    let cancel = cancel.split("\r\n\r\n").next().unwrap_or_default();
    assert!(
        cancel.contains("Reason: SIP;cause=200;text=\"Call completed elsewhere\""),
        "{cancel}"
    );
    let idle = seat_is(&mut server, "801", "ready", |s| s["state"] == "ready").await;
    assert_eq!(idle["reason"], json!(null), "nothing was missed");
    both_hear(&voice, &winner, CALLER_HZ).await;
    caller.go_on();
    caller.finished().await;
    let record = server.closed_record().await;
    assert_eq!(record["end"]["result"], json!("answered"));
    quiet(&mut server).await;
}

/// Normalised correlation of `clip` with the best-fitting place of `heard`, and that place. The place is found by the clip's
/// loudest 50 ms.
pub fn best_fit(heard: &[i16], clip: &[i16]) -> (f64, usize) {
    const ANCHOR: usize = 400;
    let energy = |part: &[i16]| part.iter().map(|s| f64::from(*s).powi(2)).sum::<f64>();
    let product = |a: &[i16], b: &[i16]| {
        let sum: i64 = a
            .iter()
            .zip(b)
            .map(|(a, b)| i64::from(*a) * i64::from(*b))
            .sum();
        sum as f64
    };
    let (at, anchor) = clip
        .chunks_exact(ANCHOR)
        .enumerate()
        .max_by(|a, b| energy(a.1).total_cmp(&energy(b.1)))
        .map(|(n, chunk)| (n * ANCHOR, chunk))
        .expect("a clip of at least 50 ms");
    let place = (at..heard.len().saturating_sub(clip.len() - at))
        .max_by(|a, b| {
            let fit = |from: usize| {
                let part = &heard[from..from + ANCHOR];
                product(part, anchor) / energy(part).max(1.0).sqrt()
            };
            fit(*a).total_cmp(&fit(*b))
        })
        .expect("enough was heard");
    let part = &heard[place - at..place - at + clip.len()];
    let fit = product(part, clip) / (energy(part) * energy(clip)).sqrt().max(1.0);
    (fit, place - at)
}

/// A prompt as it sounds over A-law.
pub fn clip(prompts: &std::path::Path, name: &str) -> Vec<i16> {
    let wav = read_wav(&prompts.join(format!("{name}.wav")));
    assert_eq!((wav.hz, wav.channels.len()), (8000, 1));
    let coded = wav.channels[0].iter().map(|s| alaw_decode(alaw_encode(*s)));
    coded.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_second_caller_hears_that_all_are_busy_and_how_many_wait_before_him() {
    let carrier = Place::new();
    let (one, two) = (Place::new(), Place::new());
    let (dir, mut practice) = scene(1, &carrier);
    for (place, id) in [(&one, "one"), (&two, "two")] {
        practice.trunks.push(place.trunk(id));
    }
    let prompts = practice.prompts().join("zh-CN");
    let mut server = Server::start((dir, practice)).await;
    let sip = server.sip("udp");
    let (first, second) = (
        RtpPeer::start(Voice::tone(0.0)),
        RtpPeer::start(Voice::tone(0.0)),
    );
    let mut before = call(one.scenario("caller"), sip, &first).await;
    let scenario = two.scenario("caller").key("caller", "13900139000");
    let mut after = call(scenario, sip, &second).await;
    for (prompt, position) in [("all_busy_next", 0), ("all_busy_position", 1)] {
        event(&mut server, "prompt.started", |data| {
            data["prompt"] == prompt && data["position"] == position
        })
        .await;
    }
    let open = server.get("/api/v1/calls").await;
    let from = second.audio_from(0).len();
    // The three clips last 5.4 s; music follows.
    until("the position is spoken to its end", || {
        second.audio_from(0).len() > from + 8000 * 6
    })
    .await;
    let clip = |name: &str| clip(&prompts, name);
    let heard = second.audio_from(0);
    // The word of it may have come late to a busy machine.
    let heard = &heard[from.saturating_sub(8000 * 4)..];
    let mut end = 0;
    for name in ["all_busy_position.1", "number_1", "all_busy_position.2"] {
        let clip = clip(name);
        let (fit, at) = best_fit(&heard[end..], &clip);
        assert!(fit > 0.95, "{name} fits with {fit:.3}");
        assert!(
            end == 0 || at < 1600,
            "{name} comes {} ms after the clip before it",
            at / 8
        );
        end += at + clip.len();
    }
    let (fit, _) = best_fit(heard, &clip("number_2"));
    assert!(fit < 0.8, "another number is not spoken: {fit:.3}");
    let (fit, _) = best_fit(&first.audio_from(0), &clip("all_busy_next"));
    assert!(fit > 0.95, "the first is told that he is next: {fit:.3}");
    assert_eq!(open.as_array().map(Vec::len), Some(2));
    for caller in [&mut before, &mut after] {
        caller.go_on();
        caller.finished().await;
    }
    quiet(&mut server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cell_position_and_line_data_of_a_mobile_caller_stand_in_one_record() {
    let asked = Arc::new(std::sync::Mutex::new(Vec::new()));
    let seen = Arc::clone(&asked);
    let app = Router::new().route(
        "/line/{number}",
        get(move |Path(number): Path<String>| async move {
            seen.lock().unwrap().push(number);
            axum::Json(json!({
                "owner": "张三", "number": "13800138000", "carrier": "中国移动",
                "install_address": "深圳市福田区深南大道1号", "box_address": "福田接线箱7号",
            }))
        }),
    );
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port");
    let address = listener.local_addr().expect("bound");
    let service = tokio::spawn(async move { axum::serve(listener, app).await });
    let carrier = Place::new();
    let (dir, mut practice) = scene(1, &carrier);
    practice.line_data = Some(format!("http://{address}/line/{{number}}"));
    let mut server = Server::start((dir, practice)).await;
    let mut dispatcher = seat(&mut server, "801", SEAT_HZ).await;
    let voice = RtpPeer::start(Voice::tone(CALLER_HZ));
    let scenario = carrier.scenario("caller_located");
    let mut caller = call(scenario, server.sip("udp"), &voice).await;
    dispatcher.rings(1).await;
    dispatcher.accept().await;
    talking(&mut server, "801").await;
    both_hear(&voice, &dispatcher, CALLER_HZ).await;
    caller.go_on();
    caller.finished().await;
    let record = server.closed_record().await;
    let network = &record["caller"]["network"];
    assert_eq!(
        [
            &network["mcc"],
            &network["mnc"],
            &network["tac"],
            &network["cell_id"]
        ],
        ["460", "00", "102D", "108F00D"]
    );
    let line = &record["caller"]["line"];
    assert_eq!(line["status"], json!("found"));
    assert_eq!(line["owner"], json!("张三"));
    assert_eq!(line["install_address"], json!("深圳市福田区深南大道1号"));
    assert_eq!(line["box_address"], json!("福田接线箱7号"));
    let place = record["locations"]
        .as_array()
        .and_then(|all| all.iter().find(|l| l["source"] == "pidf"))
        .unwrap_or_else(|| panic!("no PIDF position in {record:#}"));
    assert_eq!(place["crs"], json!("WGS84"));
    assert_eq!(place["radius_m"], json!(35.0));
    let degrees = |name: &str| place[name].as_f64().expect("degrees");
    assert!((degrees("lat") - 22.5431).abs() < 1e-6 && (degrees("lon") - 114.0579).abs() < 1e-6);
    assert_eq!(*asked.lock().unwrap(), ["13800138000"], "asked once");
    quiet(&mut server).await;
    service.abort();
}
