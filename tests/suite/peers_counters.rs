//! The live counters with real peers: what the API and the metrics tell is what callers and seats do.

use serde_json::{Value, json};

use crate::peers_stage::{CALLER_HZ, SEAT_HZ, call, quiet, scene, seat, talking};
use crate::support::rtp_peer::{RtpPeer, Voice};
use crate::support::server::Server;
use crate::support::sipp::Place;

/// `handled serving idle away off waiting`.
fn figures(counts: &Value) -> [u64; 6] {
    ["handled", "serving", "idle", "away", "off", "waiting"]
        .map(|key| counts[key].as_u64().expect("a number"))
}

/// The counters become these, of the centre and of its one queue.
async fn count(server: &mut Server, due: [u64; 6]) -> Value {
    let what = format!("counters {due:?}");
    server
        .wait_for("/api/v1/counters", &what, |counters| {
            let one = counters["queues"].as_array()?.first()?;
            (figures(&counters["centre"]) == due && figures(one) == due).then(|| counters.clone())
        })
        .await
}

/// The metric of that name and labels.
async fn metric(server: &mut Server, name: &str) -> f64 {
    let text = server.get("/metrics").await;
    let mut lines = text.as_str().expect("a text").lines();
    let value = lines.find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
    value.unwrap_or_else(|| panic!("no {name} in {text}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_counters_of_api_and_metrics_are_what_callers_and_seats_do() {
    let places = [Place::new(), Place::new(), Place::new()];
    let mut centre = scene(2, &places[0]);
    for (place, id) in places[1..].iter().zip(["second", "third"]) {
        centre.1.trunks.push(place.trunk(id));
    }
    let mut server = Server::start(centre).await;
    count(&mut server, [0, 0, 0, 0, 3, 0]).await;
    let mut phone = seat(&mut server, "801", SEAT_HZ).await;
    let _away = seat(&mut server, "800", 2500.0).await;
    let free = server.get("/api/v1/seats").await;
    let away = free.as_array().expect("seats").iter();
    let away = away.filter(|seat| seat["state"] == "not_ready").count() as u64;
    count(&mut server, [0, 0, 2 - away, away, 1, 0]).await;
    let voices: Vec<_> = (0..3)
        .map(|_| RtpPeer::start(Voice::tone(CALLER_HZ)))
        .collect();
    let sip = server.sip("udp");
    let dial = |n: usize| {
        let number = format!("1380013800{n}");
        places[n].scenario("caller").key("caller", number)
    };
    let mut callers = vec![call(dial(0), sip, &voices[0]).await];
    phone.rings(1).await;
    count(&mut server, [0, 1, 1 - away, away, 1, 1]).await;
    phone.accept().await;
    talking(&mut server, "801").await;
    let busy = [1, 1, 1 - away, away, 1, 0];
    count(&mut server, busy).await;
    let (status, _) = server
        .post("/api/v1/seats/800/not_ready", json!({ "reason": "离席" }))
        .await;
    assert_eq!(status, 200);
    for (n, voice) in voices.iter().enumerate().skip(1) {
        callers.push(call(dial(n), sip, voice).await);
    }
    let counters = count(&mut server, [1, 1, 0, 1, 1, 2]).await;
    let oldest = counters["centre"]["oldest_wait_ms"].as_u64().expect("ms");
    let since = counters["centre"]["oldest_since"].as_i64().expect("a time");
    let at = counters["at"].as_i64().expect("a time");
    assert_eq!(oldest, u64::try_from((at - since) / 1000).expect("later"));
    let queue = counters["queues"][0]["queue"].as_str().expect("a name");
    for (name, due) in [
        (String::from("firstring_centre_handled_total"), 1.0),
        (String::from("firstring_centre_waiting"), 2.0),
        (
            String::from("firstring_centre_seats{group=\"serving\"}"),
            1.0,
        ),
        (String::from("firstring_centre_seats{group=\"away\"}"), 1.0),
        (format!("firstring_queue_waiting{{queue=\"{queue}\"}}"), 2.0),
    ] {
        assert!(
            (metric(&mut server, &name).await - due).abs() < 0.1,
            "{name}"
        );
    }
    let told = metric(&mut server, "firstring_centre_oldest_wait_seconds").await;
    assert!(told * 1000.0 >= oldest as f64, "{told} s, then {oldest} ms");
    for caller in callers.iter_mut().rev() {
        caller.go_on();
        caller.finished().await;
    }
    count(&mut server, [1, 0, 1, 1, 1, 0]).await;
    quiet(&mut server).await;
}
