//! Modules and sources that are gone: nobody else waits for them.

use std::time::Duration;

use crate::support::scene::{self, Module, carrier, closed_record_of, in_order_once, millis};
use crate::support::server::{Server, centre};

/// A call of which only the record matters.
async fn short_call(server: &mut Server, number: &str, seat: &mut firstring::sim::phone::Phone) {
    let mut caller = scene::caller(server, number).await;
    let (talk, answered) = scene::talk(&mut caller, seat, (620, 1100)).await;
    scene::end((&mut caller, talk), (seat, answered)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_module_that_was_down_gets_everything_once_and_in_order_and_the_other_never_waited() {
    let down = Duration::from_secs(if super::long() { 60 } else { 5 });
    let (dir, mut practice) = centre(1);
    practice.trunks.push(carrier("ct", "127.0.0.1"));
    practice
        .lines
        .insert("timers", vec!["wrap_up_ms = 0".to_owned()]);
    let mut dispatch = Module::join(&mut practice, "dispatch");
    let emr = Module::join(&mut practice, "emr");
    let mut server = Server::start((dir, practice)).await;
    let mut seat = scene::seat(&mut server, "801").await;
    dispatch.kill();
    let until = tokio::time::Instant::now() + down;
    let mut calls = 0;
    while tokio::time::Instant::now() < until {
        short_call(
            &mut server,
            &format!("139001{:05}", 39_000 + calls),
            &mut seat,
        )
        .await;
        calls += 1;
        tokio::time::sleep(down / 8).await; // the centre's evening goes on
    }
    scene::alarm(&mut server, "destination.failing", true).await;
    let meanwhile = emr.closed(calls, Duration::from_secs(10)).await;
    let slowest = meanwhile
        .iter()
        .map(|event| event.received_ms - event.time_ms)
        .max();
    assert!(
        slowest < Some(2000),
        "the other module waited {slowest:?} ms"
    );
    dispatch.restart();
    let patience = Duration::from_secs(if super::long() { 120 } else { 20 });
    let (late, other) = (
        dispatch.closed(calls, patience).await,
        emr.delivered().await,
    );
    in_order_once(&late);
    in_order_once(&other);
    scene::alarm(&mut server, "destination.failing", false).await;
    println!(
        "{calls} calls while dispatch was down {down:?}; emr's slowest event took {slowest:?} ms"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_line_data_source_adds_nothing_to_ringing() {
    // It takes connections and never says a word.
    let dead = tokio::net::TcpListener::bind(scene::LOOPBACK)
        .await
        .unwrap();
    let (dir, mut practice) = centre(1);
    practice.trunks.push(carrier("ct", "127.0.0.1"));
    practice
        .lines
        .insert("timers", vec!["wrap_up_ms = 0".to_owned()]);
    practice.line_data = Some(format!(
        "http://{}/line?n={{number}}",
        dead.local_addr().unwrap()
    ));
    let mut server = Server::start((dir, practice)).await;
    let mut seat = scene::seat(&mut server, "801").await;
    for n in 0..3 {
        let number = format!("1390013900{n}");
        short_call(&mut server, &number, &mut seat).await;
        let record = closed_record_of(&mut server, &number, false).await;
        let times = &record["times"];
        // The phone's own 180 is in this figure; a query that were waited for would cost 800 ms.
        let ms = millis(&times["first_ring"]) - millis(&times["received"]);
        assert!(ms < 200, "rang after {ms} ms: {times:#}");
    }
    let record = server
        .wait_for(
            "/api/v1/records?limit=10",
            "the failed query in the record",
            |records| {
                let record = records.as_array()?.last()?;
                record["caller"]["line"]["status"]
                    .is_string()
                    .then(|| record.clone())
            },
        )
        .await;
    assert_eq!(record["caller"]["line"]["status"], "timeout");
}
