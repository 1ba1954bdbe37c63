//! kill -9 again and again, at moments that nobody chose, while calls arrive, ring and talk.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use firstring::sim::phone::{Phone, Speech};
use tokio::task::JoinSet;

use crate::support::scene::{self, carrier, fix_port};
use crate::support::server::{Server, centre};

const CALLS: usize = 6;

/// Answers whatever rings, talks for a moment, hangs up; a dead server is somebody else's matter.
async fn work(mut phone: Phone, over: Arc<AtomicBool>) {
    while !over.load(Ordering::Relaxed) {
        let second = Duration::from_secs(1);
        let rung = phone
            .answer(Duration::from_millis(50), Speech::tone(1100), second)
            .await;
        if let Ok(Some(talk)) = rung {
            tokio::time::sleep(Duration::from_millis(300)).await;
            drop(tokio::time::timeout(second, phone.hang_up(talk)).await);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_caller_who_was_answered_has_a_record_with_an_outcome_however_often_the_process_is_killed()
 {
    let cycles = if super::long() { 20 } else { 3 };
    let (dir, mut practice) = centre(2);
    practice.trunks.push(carrier("ct", "127.0.0.1"));
    practice
        .lines
        .insert("timers", vec!["wrap_up_ms = 0".to_owned()]);
    fix_port(&mut practice);
    let mut server = Server::start((dir, practice)).await;
    let over = Arc::new(AtomicBool::new(false));
    let mut seats = JoinSet::new();
    for id in ["801", "802"] {
        let phone = scene::seat(&mut server, id).await;
        seats.spawn(work(phone, Arc::clone(&over)));
    }
    let (mut answered, mut unanswered, mut down) = (Vec::new(), Vec::new(), Vec::new());
    for cycle in 0..cycles {
        let mut callers = JoinSet::new();
        for n in 0..CALLS {
            let number = format!("138{:03}{n:05}", cycle);
            let mut phone = scene::caller(&server, &number).await;
            callers.spawn(async move {
                tokio::time::sleep(Duration::from_millis(90 * n as u64)).await;
                let got = phone
                    .call(
                        &scene::dial_120(),
                        Speech::tone(620),
                        Duration::from_secs(8),
                    )
                    .await;
                let refused = got.as_ref().err().map(ToString::to_string);
                tokio::time::sleep(Duration::from_millis(300)).await;
                if let Ok(talk) = got {
                    // Whoever was cut off has been told by a BYE; his own meets nobody.
                    drop(tokio::time::timeout(Duration::from_secs(1), phone.hang_up(talk)).await);
                }
                (number, refused)
            });
        }
        // 40 ms to 640 ms into the cycle, spread by a stride that meets no rhythm of ours.
        tokio::time::sleep(Duration::from_millis(40 + cycle * 137 % 600)).await;
        server.kill();
        let killed = std::time::Instant::now();
        server.restart();
        down.push(killed.elapsed().as_millis());
        while let Some(caller) = callers.join_next().await {
            let (number, refused) = caller.unwrap();
            if let Some(why) = refused {
                unanswered.push(format!("{number}: {why}"));
                continue;
            }
            answered.push(number);
        }
    }
    // An INVITE that the killed process had not journaled was not answered either, so its caller repeated it.
    assert!(unanswered.is_empty(), "{unanswered:?}");
    over.store(true, Ordering::Relaxed);
    server
        .wait_for("/api/v1/calls", "all calls to be over", |calls| {
            calls.as_array()?.is_empty().then_some(())
        })
        .await;
    let records = server
        .wait_for(
            "/api/v1/records?limit=500",
            "every record to have its outcome",
            |records| {
                let records = records.as_array()?;
                records
                    .iter()
                    .all(|record| record["end"].is_object())
                    .then(|| records.clone())
            },
        )
        .await;
    let mut of: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for record in &records {
        let number = record["caller"]["number"]["raw"]
            .as_str()
            .expect("a number");
        of.entry(number)
            .or_default()
            .push(record["end"]["result"].as_str().expect("a result"));
    }
    for number in &answered {
        let results = of
            .get(number.as_str())
            .unwrap_or_else(|| panic!("{number} has no record"));
        // Also one whose INVITE was repeated to the new process.
        assert_eq!(results.len(), 1, "{number}: {results:?}");
    }
    let view = server.get("/api/v1/view").await;
    for seat in view["seats"].as_array().unwrap() {
        assert!(seat["call"].is_null(), "{seat:#}");
    }
    while seats.join_next().await.is_some() {}
    let said = server.terminate();
    let replayed = firstring::engine::replay(&server.centre.dir.join("journal")).unwrap();
    assert_eq!(said.trim(), format!("state {}", replayed.state_hash));
    println!(
        "{cycles} kills, {} callers answered ({unanswered:?} not), {} records, ms from kill to ready: {down:?}",
        answered.len(),
        records.len()
    );
}
