//! kill -9 in the middle of talks and waits, then the program again on the same directory.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::scene::{
    self, Raw, carrier, closed_record_of, fix_port, millis, recording, wall_millis,
};
use crate::support::server::{Server, centre};
use crate::support::tone::tone_span;

/// From the start of the new process to the BYE of each old dialog.
const BYE_WITHIN: Duration = Duration::from_secs(3);

/// Two calls talk, one rings, one waits, and one carrier has not seen its 200 yet.
#[tokio::test(flavor = "multi_thread")]
async fn after_kill_9_every_call_has_its_record_outcome_bye_recording_and_call_back_and_no_seat_is_busy()
 {
    let (dir, mut practice) = centre(3);
    practice.trunks.push(carrier("ct", "127.0.0.1"));
    fix_port(&mut practice);
    let mut server = Server::start((dir, practice)).await;
    let mut talks = Vec::new();
    for (n, id) in ["801", "802"].into_iter().enumerate() {
        let mut seat = scene::seat(&mut server, id).await;
        let mut caller = scene::caller(&server, &format!("1390013900{n}")).await;
        let (by_caller, by_seat) = scene::talk(&mut caller, &mut seat, (620, 1100)).await;
        talks.push((caller, by_caller, seat, by_seat));
    }
    // The third seat's phone rings and is not answered in time.
    let ringing_seat = scene::seat(&mut server, "803").await;
    let mut ringing = scene::caller(&server, "13900139002").await;
    let ringing_talk = scene::call(&mut ringing, 620).await;
    let mut waiting = scene::caller(&server, "13900139003").await;
    let waiting_talk = scene::call(&mut waiting, 620).await;
    // A carrier whose 200 gets lost: it will repeat its INVITE.
    let carrier_socket = Raw::at(Ipv4Addr::LOCALHOST, server.sip("udp"));
    let invite = carrier_socket.request("INVITE", "13900139004", "lost-200");
    assert!(carrier_socket.ask(&invite).starts_with("SIP/2.0 200"));
    server
        .wait_for(
            "/api/v1/calls",
            "five calls, one of them ringing",
            |calls| {
                let calls = calls.as_array()?;
                let rings = calls.iter().any(|call| call["state"] == "offered");
                (calls.len() == 5 && rings).then_some(())
            },
        )
        .await;
    tokio::time::sleep(Duration::from_millis(1500)).await; // something to lose
    let killed = wall_millis();
    server.kill();
    server.restart();
    let started = Instant::now();

    // Whoever was in a dialog is told; who speaks to a dead line hangs up.
    let (mut callers, mut lines) = (Vec::new(), Vec::new());
    for (caller, by_caller, seat, by_seat) in talks {
        callers.extend([caller, seat]);
        lines.extend([by_caller, by_seat]);
    }
    callers.extend([ringing, waiting]);
    lines.extend([ringing_talk, waiting_talk]);
    let byes = callers.iter_mut().map(|phone| phone.released(BYE_WITHIN));
    for (n, bye) in futures_util::future::join_all(byes)
        .await
        .into_iter()
        .enumerate()
    {
        bye.unwrap_or_else(|error| panic!("dialog {n}: {error}"));
    }
    let bye = carrier_socket.hear(BYE_WITHIN, |text| text.starts_with("BYE"));
    carrier_socket.accept(&bye.expect("a BYE for the call whose 200 was lost"));
    assert!(started.elapsed() < BYE_WITHIN, "{:?}", started.elapsed());
    drop((lines, ringing_seat));

    // The carrier repeats its INVITE: its old call goes on.
    let first = record_of(&mut server, "13900139004", |record| {
        record["end"]["result"] == "lost"
    })
    .await;
    let again = carrier_socket.ask(&invite);
    assert!(again.starts_with("SIP/2.0 200"), "{again}");
    let went_on = server
        .open_call("the call of the repeated INVITE", |call| {
            call["state"] != "closing"
        })
        .await;
    assert_eq!(went_on["call"], first["call_id"]);
    let open = record_of(&mut server, "13900139004", |record| record["end"].is_null()).await;
    assert!(open["rev"].as_u64() > first["rev"].as_u64());
    assert_eq!(open["times"]["received"], first["times"]["received"]);
    assert_eq!(open["serial_no"], first["serial_no"]);
    assert!(open["call_backs"][0]["closed_at"].is_string(), "withdrawn");

    for n in 0..2 {
        let record = closed_record_of(&mut server, &format!("1390013900{n}"), true).await;
        assert_eq!(record["end"]["result"], "answered", "{:#}", record["end"]);
        assert_eq!(record["end"]["cause"], "restarted");
        plays_until(&server, &record, killed, 2);
    }
    for n in 2..4 {
        let record = closed_record_of(&mut server, &format!("1390013900{n}"), true).await;
        assert_eq!(record["end"]["result"], "lost", "{:#}", record["end"]);
        plays_until(&server, &record, killed, 1);
    }
    let view = server.get("/api/v1/view").await;
    for n in 0..4 {
        let number = format!("1390013900{n}");
        let listed = view["call_backs"].as_array().unwrap().iter().any(|entry| {
            entry["number"]
                .as_str()
                .is_some_and(|listed| listed.contains(&number))
        });
        assert!(
            listed,
            "{number} is not on the call-back list: {:#}",
            view["call_backs"]
        );
    }
    for seat in view["seats"].as_array().unwrap() {
        assert!(
            [
                "ready",
                "signed_out",
                "not_ready",
                "wrap_up",
                "reserved",
                "ringing"
            ]
            .contains(&seat["state"].as_str().unwrap()),
            "{seat:#}"
        );
        let call = &seat["call"];
        let open = view["calls"].as_array().unwrap();
        assert!(
            call.is_null() || open.iter().any(|known| known["call"] == *call),
            "seat {} is with a call of the old process",
            seat["seat"]
        );
    }
    assert_eq!(
        view["calls"].as_array().unwrap().len(),
        1,
        "only the new one"
    );
    // Its caller hangs up: one record, one outcome, both recordings.
    let bye = carrier_socket.hang_up(&again);
    assert!(bye.starts_with("SIP/2.0 200"), "{bye}");
    let whole = record_of(&mut server, "13900139004", |record| {
        record["times"]["settled"].is_string() && record["end"].is_object()
    })
    .await;
    assert_eq!(whole["end"]["result"], "abandoned", "{whole:#}");
    let recordings = whole["recordings"].as_array().unwrap();
    assert_eq!(recordings.len(), 2, "{recordings:#?}");
    let call = whole["call_id"].as_str().unwrap();
    let newest = server.get(&format!("/api/v1/recordings/{call}")).await;
    assert_eq!(newest["id"], recordings[1]["id"]);
    for recording in recordings {
        assert_eq!(recording["state"], "sealed", "{recordings:#?}");
        let id = recording["id"].as_str().unwrap();
        let one = server
            .get(&format!("/api/v1/recordings/{call}?recording={id}"))
            .await;
        assert_eq!(one["sha256"], recording["sha256"]);
        let file = server.centre.dir.join("recordings");
        assert!(file.join(one["uri"].as_str().unwrap()).is_file());
    }
    let said = server.terminate();
    let replayed = firstring::engine::replay(&server.centre.dir.join("journal")).unwrap();
    assert_eq!(said.trim(), format!("state {}", replayed.state_hash));
}

/// The recording is finished and the switch knows; only the journal does not, because its disk stands still.
#[tokio::test(flavor = "multi_thread")]
async fn a_recording_that_was_sealed_but_not_journaled_at_the_kill_is_in_its_record_after_the_next_start()
 {
    let (dir, mut practice) = centre(1);
    practice.trunks.push(carrier("ct", "127.0.0.1"));
    practice
        .lines
        .insert("testing", vec!["allow_faults = true".to_owned()]);
    let mut server = Server::start((dir, practice)).await;
    let mut seat = scene::seat(&mut server, "801").await;
    let mut caller = scene::caller(&server, "13900139000").await;
    let (by_caller, by_seat) = scene::talk(&mut caller, &mut seat, (620, 1100)).await;
    tokio::time::sleep(Duration::from_secs(1)).await; // the talk
    let stall = server.centre.dir.join("journal/faults");
    std::fs::write(&stall, "stall").unwrap();
    scene::end((&mut caller, by_caller), (&mut seat, by_seat)).await;
    server
        .wait_for("/api/v1/calls", "the call to settle", |calls| {
            calls.as_array()?.is_empty().then_some(())
        })
        .await;
    let captures = || std::fs::read_dir(server.centre.dir.join("recordings/open")).unwrap();
    assert_eq!(captures().count(), 1, "kept until the journal has the seal");
    server.kill();
    std::fs::remove_file(&stall).unwrap();
    server.restart();
    let record = closed_record_of(&mut server, "13900139000", true).await;
    let recording = &record["recordings"][0];
    assert_eq!(recording["state"], "sealed", "{recording:#}");
    assert_eq!(recording["tracks"].as_array().unwrap().len(), 2);
    assert!(recording["failure"].is_null(), "{recording:#}");
    assert_eq!(tones(&server, &record), [true, true]);
    let dir = server.centre.dir.join("recordings/open");
    server
        .wait_for("/api/v1/view", "the capture to go", |_| {
            (std::fs::read_dir(&dir).unwrap().count() == 0).then_some(())
        })
        .await;
}

/// Whether both parties' tones are in the recording for 800 ms at least.
fn tones(server: &Server, record: &Value) -> [bool; 2] {
    let wav = recording(server, record);
    [(0, 620.0), (1, 1100.0)].map(|(channel, hz)| {
        tone_span(&wav.channels[channel], hz).is_some_and(|(from, to, _)| to - from >= 800)
    })
}

/// The one record of `number`, once it is as wanted.
async fn record_of(server: &mut Server, number: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    server
        .wait_for("/api/v1/records?limit=50", "the record", |records| {
            let mut of = records
                .as_array()?
                .iter()
                .filter(|record| record["caller"]["number"]["raw"] == number);
            let record = of.next()?;
            assert!(of.next().is_none(), "a second record of {number}");
            wanted(record).then(|| record.clone())
        })
        .await
}

/// The file plays to within 200 ms of the kill, and the caller's tone is in it up to there.
fn plays_until(server: &Server, record: &Value, killed: i64, tracks: usize) {
    let wav = recording(server, record);
    assert!(
        wav.channels.len() >= tracks,
        "{} tracks",
        wav.channels.len()
    );
    let start = millis(&record["recordings"][0]["start"]);
    for (channel, hz) in [(0, 620.0), (1, 1100.0)].into_iter().take(tracks) {
        let (_, last, without) = tone_span(&wav.channels[channel], hz).expect("its tone");
        let end = start + i64::try_from(last).unwrap();
        assert!(
            end >= killed - 200 && without <= 10,
            "{hz} Hz ends {} ms before the kill, {without} frames missing",
            killed - end
        );
    }
}
