//! What watches the server from inside: the database of records, the answer times.

use std::time::Duration;

use sqlx::Connection as _;

use crate::support::scene::{self, alarm, carrier, closed_record_of};
use crate::support::server::{Server, centre};

async fn server() -> Server {
    let (dir, mut practice) = centre(1);
    practice.trunks.push(carrier("ct", "127.0.0.1"));
    Server::start((dir, practice)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_takes_nothing_is_an_alarm_and_calls_go_on_and_the_records_follow_after_it()
{
    let mut server = server().await;
    let mut seat = scene::seat(&mut server, "801").await;
    let path = server.centre.dir.join("records.db");
    let url = format!("sqlite://{}", path.display());
    let mut other = sqlx::SqliteConnection::connect(&url).await.unwrap();
    sqlx::query("BEGIN EXCLUSIVE")
        .execute(&mut other)
        .await
        .unwrap();
    let mut caller = scene::caller(&server, "13900139000").await;
    let (by_caller, by_seat) = scene::talk(&mut caller, &mut seat, (620, 1100)).await;
    let detail = alarm(&mut server, "store.down", true).await;
    assert!(detail.contains("everything is journaled"), "{detail}");
    scene::end((&mut caller, by_caller), (&mut seat, by_seat)).await;
    sqlx::query("ROLLBACK").execute(&mut other).await.unwrap();
    other.close().await.unwrap();
    alarm(&mut server, "store.down", false).await;
    let record = closed_record_of(&mut server, "13900139000", true).await;
    assert_eq!(record["end"]["result"], "answered");
}

#[tokio::test(flavor = "multi_thread")]
async fn answer_times_are_in_the_metrics_by_buckets_counted_from_the_callers_arrival() {
    let mut server = server().await;
    // He waits for more than a second before a seat is there at all.
    let mut caller = scene::caller(&server, "13900139000").await;
    let by_caller = scene::call(&mut caller, 620).await;
    tokio::time::sleep(Duration::from_millis(1200)).await; // his wait
    let mut seat = scene::seat(&mut server, "801").await;
    let by_seat = seat
        .answer(
            Duration::from_millis(100),
            firstring::sim::phone::Speech::tone(1100),
            Duration::from_secs(10),
        )
        .await
        .expect("rung")
        .expect("not cancelled");
    scene::end((&mut caller, by_caller), (&mut seat, by_seat)).await;
    let record = closed_record_of(&mut server, "13900139000", true).await;
    let waited_s = record["metrics"]["wait_ms"].as_f64().unwrap() / 1000.0;
    assert!(waited_s > 1.2, "{waited_s} s");
    let text = server
        .wait_for("/metrics", "the answer to be counted", |text| {
            let text = text.as_str()?;
            text.contains("firstring_answer_seconds_count 1")
                .then(|| text.to_owned())
        })
        .await;
    let figure = |name: &str| -> f64 {
        let line = text.lines().find(|line| line.starts_with(name));
        let value = line.and_then(|line| line.rsplit(' ').next()?.parse().ok());
        value.unwrap_or_else(|| panic!("no {name} in {text}"))
    };
    assert_eq!(figure("firstring_answer_seconds_bucket{le=\"1\"}"), 0.0);
    assert_eq!(figure("firstring_answer_seconds_bucket{le=\"60\"}"), 1.0);
    let sum = figure("firstring_answer_seconds_sum");
    assert!((sum - waited_s).abs() < 0.002, "{sum} s, not {waited_s} s");
}
