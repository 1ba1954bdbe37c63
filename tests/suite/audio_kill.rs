//! The recorder killed in the middle: the next start seals what was captured.

use std::io;
use std::path::Path;
use std::time::Duration;

use firstring::call::Party;
use firstring::id::RecordingId;
use firstring::media::recorder::{Recorder, drop_capture, repair};
use firstring::media::tap::TapControl;
use uuid::Uuid;

use crate::support::recorder::{FRAME_US, Rig, call, frame, now_us, seat};
use crate::support::tone::{read_wav, tone_span};

#[test]
fn captures_of_a_killed_process_are_sealed_at_the_next_start_and_rubbish_is_set_aside() {
    let mut rig = Rig::new();
    let start = now_us() - 10_000_000;
    rig.start(call(1), start, &[(1, Party::Caller)]);
    for n in 0..400 {
        rig.push(frame(1, 440.0, start, n));
    }
    let recording = RecordingId(Uuid::from_u128(call(1).0.as_u128() + 1));
    let name = format!("{}_{recording}.cap", call(1));
    // Its end is cut off below.
    rig.close(call(1), start + 8_000_000);
    rig.sealed(call(1));
    // Nothing is open any more; what lies in logs comes into the capture.
    assert_eq!(repair(rig.dir.path()).failed.len(), 0);
    let bytes = std::fs::read(rig.dir.path().join("open").join(&name)).unwrap();

    let next = tempfile::tempdir().unwrap();
    let open = next.path().join("open");
    std::fs::create_dir_all(&open).unwrap();
    // Torn in the middle of a record, and one byte damaged in the middle of the file.
    // (52 bytes of header, 14 of the track's record, 188 of each frame's.)
    let mut torn = bytes[..52 + 14 + 300 * 188 + 90].to_vec();
    torn[20_000] ^= 0x10;
    std::fs::write(open.join(&name), &torn).unwrap();
    std::fs::write(
        open.join("rubbish.cap"),
        b"not a capture at all, but long enough to hold a header of one",
    )
    .unwrap();
    std::fs::write(open.join("empty.cap"), b"").unwrap();

    let (events_in, events) = tokio::sync::mpsc::channel(64);
    let (recorder, rings, control) = Recorder::start(next.path(), 1, events_in).unwrap();
    assert_eq!(rings.len(), 1);
    let mut again = Rig {
        dir: next,
        recorder,
        ring: rig.ring,
        control,
        events,
        told: Vec::new(),
    };
    let sealed = again.sealed(call(1));
    assert_eq!(
        sealed.recording,
        RecordingId(Uuid::from_u128(call(1).0.as_u128() + 1))
    );
    let wav = read_wav(&again.wav(&sealed));
    let (from, to, holes) = tone_span(&wav.channels[0], 440.0).unwrap();
    assert_eq!((from, to, holes), (0, 6000, 1));
    let open = again.dir.path().join("open");
    again.until("rubbish set aside", |_| {
        open.join("rubbish.bad").exists() && open.join("empty.bad").exists()
    });
    // Killed before the journal had the seal: the same once more, to the last byte.
    let once_more = repair(again.dir.path()).sealed;
    assert_eq!(once_more, [(call(1), sealed.clone())]);
    drop_capture(again.dir.path(), &sealed).unwrap();
    assert_eq!(repair(again.dir.path()).sealed.len(), 0, "nothing is left");
}

/// Set for the child of the test below: the directory to record into.
const CHILD: &str = "FIRSTRING_TEST_RECORD_INTO";

#[test]
#[ignore = "runs as the child of a_killed_recorder_leaves_audio_up_to_the_kill"]
fn child_that_records_until_it_is_killed() {
    let dir = std::env::var(CHILD).expect("run by its parent only");
    let (events_in, _events) = tokio::sync::mpsc::channel(64);
    let (_recorder, mut rings, control) = Recorder::start(Path::new(&dir), 1, events_in).unwrap();
    let start = now_us();
    let parties = [Party::Caller, seat()];
    for n in 0..20_u32 {
        let call = call(u128::from(n) + 1);
        let recording = RecordingId(Uuid::from_u128(1));
        control
            .send(TapControl::Start {
                call,
                recording,
                at_us: start,
            })
            .unwrap();
        // The last call has only a caller who is silent: no RTP at all.
        for (k, party) in parties.iter().enumerate() {
            let (slot, name) = (2 * n + k as u32, party.to_string());
            control
                .send(TapControl::Track { call, slot, name })
                .unwrap();
        }
    }
    println!("started {start}");
    for n in 0.. {
        for slot in 0..38_u32 {
            let hz = if slot % 2 == 0 { 440.0 } else { 1000.0 };
            assert!(rings[0].push(&frame(slot, hz, start, n).tap()).is_ok());
        }
        while now_us() < start + i64::from(n + 1) * FRAME_US {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

#[test]
fn a_killed_recorder_leaves_audio_up_to_the_kill() {
    let dir = tempfile::tempdir().unwrap();
    let mut child = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["audio_kill::child_that_records_until_it_is_killed"])
        .args(["--exact", "--ignored", "--nocapture"])
        .env(CHILD, dir.path())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = io::BufRead::lines(io::BufReader::new(child.stdout.take().unwrap()));
    let start = loop {
        let line = lines.next().expect("the child speaks").unwrap();
        if let Some((_, start)) = line.split_once("started ") {
            break start.trim().parse::<i64>().unwrap();
        }
    };
    std::thread::sleep(Duration::from_millis(2530));
    let killed_us = now_us();
    child.kill().unwrap();
    child.wait().unwrap();
    let length_ms = u64::try_from((killed_us - start) / 1000).unwrap();

    let report = repair(dir.path());
    assert_eq!(
        (report.sealed.len(), report.failed.len()),
        (20, 0),
        "{:?}",
        report.failed
    );
    let mut worst_ms = 0;
    for (id, sealed) in &report.sealed {
        let path = dir.path().join(&sealed.path);
        let wav = read_wav(&path);
        let missing = length_ms.saturating_sub(wav.duration_ms());
        worst_ms = worst_ms.max(missing);
        assert!(
            missing <= 200,
            "{id}: {missing} ms before the kill are missing"
        );
        assert!(wav.duration_ms() <= length_ms + 100);
        if *id == call(20) {
            continue;
        }
        for (n, hz) in [(0, 440.0), (1, 1000.0)] {
            let (from, to, holes) = tone_span(&wav.channels[n], hz).unwrap();
            assert!(from <= 20 && holes == 0, "{id}: {from} {holes}");
            assert!(
                to + 200 >= length_ms,
                "{id}: plays to {to} of {length_ms} ms"
            );
        }
    }
    println!("the kill cost at most {worst_ms} ms of a call");
}
