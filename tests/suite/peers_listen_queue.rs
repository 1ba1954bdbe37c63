//! A supervisor who listens to a queue, with real peers: SIPp callers who wait, baresip at the seat and at the supervisor's.

use serde_json::{Value, json};

use crate::peers_stage::{
    CALLER_HZ, SEAT_HZ, SUPERVISOR_HZ, THIRD_HZ, both_hear, call, event, hears_exactly, quiet,
    scene, seat, seat_is, talking, until,
};
use crate::support::baresip::Baresip;
use crate::support::rtp_peer::{RtpPeer, Voice, assert_unbroken};
use crate::support::scene::closed_record_of;
use crate::support::server::Server;
use crate::support::sipp::{Place, Sipp};
use crate::support::tone::{rms, tone_share, tone_span};

const FIRST: &str = "13800138001";
const SECOND: &str = "13800138002";
const THIRD: &str = "13800138003";
const LATE_HZ: f64 = 1430.0;
const PATH: &str = "/api/v1/seats/800/listen_queue";

/// A caller who waits, and the call.
async fn waits(
    server: &mut Server,
    place: &Place,
    number: &str,
    hz: f64,
) -> (Sipp, RtpPeer, String) {
    let voice = RtpPeer::start(Voice::tone(hz));
    let scenario = place.scenario("caller").key("caller", number);
    let caller = call(scenario, server.sip("udp"), &voice).await;
    let waiting = server
        .open_call("the waiting call", |call| {
            call["caller"] == number && call["position"].is_number()
        })
        .await;
    let id = waiting["call"].as_str().expect("an id").to_owned();
    (caller, voice, id)
}

/// The supervisor's phone hears that call, as everybody sees it.
async fn hears(server: &mut Server, call: Option<&str>) {
    let due = call.map_or(Value::Null, |call| json!(call));
    server
        .wait_for("/api/v1/view", "whom the supervisor hears", |view| {
            let one = view["queue_listeners"].as_array()?.first()?;
            (one["up"] == true && one["call"] == due).then_some(())
        })
        .await;
}

/// Milliseconds without either tone between the last of `before` and the first of `after`.
fn gap_ms(supervisor: &Baresip, before: f64, after: f64) -> u64 {
    let heard = supervisor.heard();
    let (_, end, _) = tone_span(&heard, before).expect("the one before");
    let (start, _, _) = tone_span(&heard, after).expect("the one after");
    start.saturating_sub(end)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_supervisor_hears_one_waiting_caller_after_the_other_and_none_of_them_hears_him() {
    let (carrier, other) = (Place::new(), Place::new());
    let mut centre = scene(1, &carrier);
    centre.1.trunks.push(other.trunk("other"));
    centre
        .1
        .lines
        .insert("media", vec![String::from("workers = 2")]);
    let mut server = Server::start(centre).await;
    let mut supervisor = seat(&mut server, "800", SUPERVISOR_HZ).await;
    let away = json!({ "reason": "监听" });
    server.post("/api/v1/seats/800/not_ready", away).await;
    let (mut first, voice, id) = waits(&mut server, &carrier, FIRST, CALLER_HZ).await;
    let (mut second, late, next) = waits(&mut server, &other, SECOND, THIRD_HZ).await;
    let (status, reply) = server.post(PATH, json!({})).await;
    assert_eq!(status, 200, "{reply}");
    let (status, reply) = server.post(PATH, json!({})).await;
    assert_eq!(status, 409, "{reply}");
    supervisor.rings(1).await;
    supervisor.accept().await;
    hears(&mut server, Some(&id)).await;
    until("the supervisor hears the first caller", || {
        hears_exactly(&supervisor.heard(), &[CALLER_HZ])
    })
    .await;
    tokio::time::sleep(std::time::Duration::from_secs(5)).await;
    // The first is answered: he is with the second within a second.
    let mut phone = seat(&mut server, "801", SEAT_HZ).await;
    phone.rings(1).await;
    phone.accept().await;
    assert_eq!(talking(&mut server, "801").await, id);
    hears(&mut server, Some(&next)).await;
    until("the supervisor hears the second caller", || {
        hears_exactly(&supervisor.heard(), &[THIRD_HZ])
    })
    .await;
    let gap = gap_ms(&supervisor, CALLER_HZ, THIRD_HZ);
    assert!(gap <= 1_000, "{gap} ms between the two");
    both_hear(&voice, &phone, CALLER_HZ).await;
    // Nobody waits: his phone stays up in silence, and hears the next one.
    second.go_on();
    second.finished().await;
    hears(&mut server, None).await;
    until("silence", || {
        let heard = supervisor.last_audio(300);
        heard.len() >= 2400 && rms(&heard) < 100.0
    })
    .await;
    let (mut third, last, _) = waits(&mut server, &other, THIRD, LATE_HZ).await;
    until("the supervisor hears the third caller", || {
        hears_exactly(&supervisor.heard(), &[LATE_HZ])
    })
    .await;
    assert_eq!(supervisor.count("CALL_INCOMING"), 1, "rung once");
    // In all that time nobody heard him, and nobody's line broke.
    for peer in [&voice, &late, &last] {
        assert_unbroken(&peer.heard());
        let heard = peer.audio_from(0);
        let mut parts = heard.chunks_exact(800);
        assert!(parts.all(|part| tone_share(part, SUPERVISOR_HZ) < 0.3));
    }
    assert!(tone_span(&phone.heard(), SUPERVISOR_HZ).is_none());
    let (status, reply) = server.ask(reqwest::Method::DELETE, PATH, None).await;
    assert_eq!(status, 200, "{reply}");
    supervisor.event("CALL_CLOSED", 1).await;
    seat_is(&mut server, "800", "not ready", |s| {
        s["state"] == "not_ready"
    })
    .await;
    third.go_on();
    third.finished().await;
    first.go_on();
    first.finished().await;
    for number in [FIRST, SECOND, THIRD] {
        let record = closed_record_of(&mut server, number, true).await;
        let heard = record["supervision"].as_array().expect("entries");
        assert_eq!(heard.len(), 1, "{record}");
        assert_eq!(
            (&heard[0]["who"], &heard[0]["mode"]),
            (&json!("800"), &json!("listen"))
        );
        assert!(heard[0]["end"].is_string(), "{record}");
        let tracks = record["recordings"][0]["tracks"]
            .as_array()
            .expect("tracks");
        assert!(!tracks.iter().any(|t| t["party"] == "supervisor-800"));
    }
    for kind in ["supervisor.queue_started", "supervisor.queue_ended"] {
        event(&mut server, kind, |data| data["seat"] == "800").await;
    }
    event(&mut server, "command.given", |data| {
        data["name"] == "listen_queue"
    })
    .await;
    quiet(&mut server).await;
}
