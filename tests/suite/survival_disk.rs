//! Disks that are late, full or gone: calls ring, talk and close; the alarm comes within 5 s; what waited is written
//! after relief.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use crate::support::scene::{self, Raw, alarm, carrier, closed_record_of, recording};
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
async fn twenty_calls_in_a_row_are_answered_as_fast_with_a_dead_disk_as_with_a_good_one() {
    let mut server = server().await;
    let at = server.sip("udp");
    let switch = server.centre.dir.join("journal/faults");
    std::fs::write(&switch, "stall").unwrap();
    let mut carriers = Vec::new();
    let mut setups_ms = Vec::new();
    for n in 0..20 {
        let raw = Raw::at(Ipv4Addr::LOCALHOST, at);
        let invite = raw.request("INVITE", &format!("139001390{n:02}"), &format!("row-{n}"));
        let sent = Instant::now();
        let answer = raw.ask(&invite);
        setups_ms.push(sent.elapsed().as_millis());
        assert!(answer.starts_with("SIP/2.0 200"), "{answer}");
        carriers.push((raw, answer));
    }
    println!("ms from INVITE to 200 with the disk stalled: {setups_ms:?}");
    let view = server.get("/api/v1/view").await;
    let late = |alarm: &&serde_json::Value| alarm["code"] == "journal.late";
    let alarms = view["alarms"].as_array().unwrap();
    assert_eq!(alarms.iter().filter(late).count(), 1, "{alarms:#?}");
    // The first may meet the deadline; nobody after it. (The median of the last ten, as others use the machine too.)
    let mut last: Vec<_> = setups_ms[10..].to_vec();
    last.sort_unstable();
    assert!(last[5] <= 30 && setups_ms[19] <= 60, "{setups_ms:?} ms");
    for (raw, answer) in &carriers {
        assert!(raw.hang_up(answer).starts_with("SIP/2.0 200"));
    }
    std::fs::remove_file(&switch).unwrap();
    alarm(&mut server, "journal.late", false).await;
    for n in 0..20 {
        let number = format!("139001390{n:02}");
        let record = closed_record_of(&mut server, &number, true).await;
        assert_eq!(record["end"]["result"], "abandoned");
    }
    let raised = server.get("/api/v1/events?after=0&limit=1000").await;
    let count = |what: &str| {
        let all = raised.as_array().unwrap().iter();
        all.filter(|entry| {
            entry["event"]["type"] == what && entry["event"]["data"]["code"] == "journal.late"
        })
        .count()
    };
    assert_eq!((count("alarm.raised"), count("alarm.cleared")), (1, 1));
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
