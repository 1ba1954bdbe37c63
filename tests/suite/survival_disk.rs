//! Disks that are late, full or gone: calls ring, talk and close; the alarm comes within 5 s; what waited is written
//! after relief.

use std::time::{Duration, Instant};

use crate::support::scene::{self, alarm, carrier, closed_record_of, recording};
use crate::support::server::{Server, centre};
use crate::support::tone::tone_span;

/// From the fault to its alarm.
const ALARM_WITHIN: Duration = Duration::from_secs(5);

async fn server() -> Server {
    let (dir, mut practice) = centre(1);
    practice.trunks.push(carrier("ct", "127.0.0.1"));
    practice
        .lines
        .insert("testing", vec!["allow_faults = true".to_owned()]);
    practice
        .lines
        .insert("timers", vec!["wrap_up_ms = 0".to_owned()]);
    Server::start((dir, practice)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_ring_talk_and_close_while_the_journals_disk_stalls_fails_or_is_full_and_nothing_is_lost()
 {
    let mut server = server().await;
    let switch = server.centre.dir.join("journal/faults");
    let mut seat = scene::seat(&mut server, "801").await;
    for (n, fault) in ["stall", "fail", "full"].into_iter().enumerate() {
        let number = format!("1390013900{n}");
        std::fs::write(&switch, fault).unwrap();
        let planted = Instant::now();
        let mut caller = scene::caller(&server, &number).await;
        let (talk, answered) = scene::talk(&mut caller, &mut seat, (620, 1100)).await;
        assert!(
            planted.elapsed() < Duration::from_secs(4),
            "{fault}: {:?}",
            planted.elapsed()
        );
        let detail = alarm(&mut server, "journal.late", true).await;
        assert!(
            planted.elapsed() < ALARM_WITHIN,
            "{fault}: alarm after {:?}",
            planted.elapsed()
        );
        assert!(detail.contains("wait in memory"), "{detail}");
        scene::end((&mut caller, talk), (&mut seat, answered)).await;
        server
            .wait_for("/api/v1/calls", "the call to close", |calls| {
                calls.as_array()?.is_empty().then_some(())
            })
            .await;
        // Deliveries and records wait for the disk; they get everything after relief.
        std::fs::remove_file(&switch).unwrap();
        alarm(&mut server, "journal.late", false).await;
        let record = closed_record_of(&mut server, &number, true).await;
        assert_eq!(record["end"]["result"], "answered", "{fault}");
    }
    let said = server.terminate();
    let replayed = firstring::engine::replay(&server.centre.dir.join("journal")).unwrap();
    assert_eq!(said.trim(), format!("state {}", replayed.state_hash));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_recorded_whole_though_the_recordings_directory_was_gone_while_it_lasted() {
    let mut server = server().await;
    let mut seat = scene::seat(&mut server, "801").await;
    let dir = server.centre.dir.join("recordings");
    let away = server.centre.dir.join("recordings.away");
    std::fs::rename(&dir, &away).unwrap();
    std::fs::write(&dir, "no directory").unwrap();
    let planted = Instant::now();
    let mut caller = scene::caller(&server, "13900139000").await;
    let (talk, answered) = scene::talk(&mut caller, &mut seat, (620, 1100)).await;
    let detail = alarm(&mut server, "recording.late", true).await;
    assert!(
        planted.elapsed() < ALARM_WITHIN,
        "alarm after {:?}",
        planted.elapsed()
    );
    assert!(detail.contains("calls go on"), "{detail}");
    tokio::time::sleep(Duration::from_secs(1)).await; // the talk
    scene::end((&mut caller, talk), (&mut seat, answered)).await;
    std::fs::remove_file(&dir).unwrap();
    std::fs::rename(&away, &dir).unwrap();
    alarm(&mut server, "recording.late", false).await;
    let record = closed_record_of(&mut server, "13900139000", true).await;
    let talk_ms = record["metrics"]["talk_ms"].as_u64().unwrap();
    let wav = recording(&server, &record);
    assert_eq!(wav.channels.len(), 2);
    for (channel, hz) in [(0, 620.0), (1, 1100.0)] {
        let (from, to, without) = tone_span(&wav.channels[channel], hz).expect("its tone");
        assert!(
            to - from + 200 >= talk_ms && without <= 10,
            "{hz} Hz from {from} to {to} ms with {without} frames missing, of a talk of {talk_ms} ms"
        );
    }
}
