//! The recorder on real files: a channel per party on one time line, gaps where nothing came.

use std::time::Duration;

use firstring::call::Party;
use firstring::media::recorder::{drop_capture, wav_info};
use firstring::media::session::Codec;
use firstring::switch::{InputKind, RecordingEvent};
use sha2::Digest;

use crate::support::recorder::{Rig, call, doctor, frame, now_us, pure, seat};
use crate::support::tone::{read_wav, rms, tone_span};

#[test]
fn each_party_has_its_own_channel_on_one_time_line() {
    let mut rig = Rig::new();
    let (id, start) = (call(1), now_us() - 10_000_000);
    rig.start(id, start, &[(1, Party::Caller)]);
    for n in 0..490 {
        rig.push(frame(1, 440.0, start, n));
        // The seat answers after 3 s, the doctor joins from 5 s to 7 s.
        if n == 150 {
            rig.track(id, 2, &seat());
        }
        if n >= 150 {
            rig.push(frame(2, 1000.0, start, n));
        }
        if n == 250 {
            rig.track(id, 3, &doctor());
        }
        if (250..350).contains(&n) {
            rig.push(frame(3, 1700.0, start, n));
        }
    }
    rig.close(id, start + 9_900_000);
    let sealed = rig.sealed(id);
    let names: Vec<_> = sealed.tracks.iter().map(|t| t.party.as_str()).collect();
    assert_eq!(names, ["caller", "seat-801", "doctor-1"]);
    assert!((9890..=9920).contains(&sealed.duration_ms), "{sealed:?}");
    assert_eq!(sealed.start.as_micros(), start);

    let path = rig.wav(&sealed);
    let bytes = std::fs::read(&path).unwrap();
    let hash: String = sha2::Sha256::digest(&bytes)
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect();
    assert_eq!(
        (sealed.size_bytes, sealed.sha256.clone()),
        (bytes.len() as u64, hash)
    );
    let info = wav_info(&path).unwrap();
    assert_eq!((info.format_tag, info.channels, info.hz), (6, 3, 8000));
    assert_eq!(info.duration_ms(), sealed.duration_ms);

    let wav = read_wav(&path);
    assert_eq!(pure(&wav.channels[0], 440.0, 0, 9800), 1.0);
    assert_eq!(pure(&wav.channels[1], 1000.0, 3000, 9800), 1.0);
    assert_eq!(pure(&wav.channels[2], 1700.0, 5000, 7000), 1.0);
    assert_eq!(tone_span(&wav.channels[2], 1700.0), Some((5000, 7000, 0)));
    assert!(
        rms(&wav.channels[1][..3000 * 8]) < 10.0,
        "silent before it came"
    );
    assert_eq!(sealed.tracks[0].gaps, [(9800, sealed.duration_ms)]);
    assert_eq!(sealed.tracks[1].gaps[0], (0, 3000));
    assert_eq!(sealed.tracks[1].heard_ms, 6800);
    assert_eq!(
        sealed.tracks[2].gaps,
        [(0, 5000), (7000, sealed.duration_ms)]
    );

    let open = || std::fs::read_dir(rig.dir.path().join("open")).unwrap();
    assert_eq!(open().count(), 1, "the capture waits for the journal");
    drop_capture(rig.dir.path(), &sealed).unwrap();
    assert_eq!(open().count(), 0, "the capture is gone");
    drop_capture(rig.dir.path(), &sealed).expect("a second word changes nothing");
    let started = |e: &InputKind| matches!(e, InputKind::Recording { call, event: RecordingEvent::Started { .. } } if *call == id);
    assert!(started(&rig.told[0].1), "{:?}", rig.told);
    assert_eq!(rig.alarms(), 0);
    assert_eq!(rig.recorder.stats().frames_unknown, 0);
}

#[test]
fn a_mu_law_party_is_recorded_as_a_law_of_the_same_loudness() {
    let mut rig = Rig::new();
    let (id, start) = (call(1), now_us() - 2_000_000);
    rig.start(id, start, &[(1, Party::Caller), (2, seat())]);
    for n in 0..100 {
        rig.push(frame(1, 700.0, start, n));
        let mut mu = frame(2, 700.0, start, n);
        // mu-law of the same tone, by the formula of ITU-T G.711 table 2a.
        let samples = crate::support::tone::tone(700.0, n as usize * 160, 160);
        for (place, sample) in mu.payload.iter_mut().zip(samples) {
            *place = mu_law(sample);
        }
        mu.codec = Codec::Pcmu;
        rig.push(mu);
    }
    rig.close(id, start + 2_000_000);
    let sealed = rig.sealed(id);
    let wav = read_wav(&rig.wav(&sealed));
    assert_eq!(pure(&wav.channels[1], 700.0, 0, 1900), 1.0);
    let (a, mu) = (rms(&wav.channels[0]), rms(&wav.channels[1]));
    assert!((a - mu).abs() / a < 0.02, "{a} {mu}");
}

fn mu_law(sample: i16) -> u8 {
    let magnitude = (i32::from(sample).abs() + 0x84).min(0x7FFF);
    let exponent = (24 - magnitude.leading_zeros()) as i32;
    let mantissa = (magnitude >> (exponent + 3)) & 15;
    let sign = if sample < 0 { 0x80 } else { 0 };
    !(sign | (exponent << 4) as u8 | mantissa as u8)
}

#[test]
fn lost_late_and_doubled_packets_leave_only_the_true_gaps() {
    let mut rig = Rig::new();
    let (id, start) = (call(1), now_us() - 20_000_000);
    rig.start(id, start, &[(1, Party::Caller), (2, seat())]);
    let mut frames = Vec::new();
    for n in 0..1000_u32 {
        // 100 ms lost once a second; a hold without RTP from 8 s to 11 s; every tenth packet 45 ms late.
        if n % 50 < 5 && n >= 50 || (400..550).contains(&n) {
            continue;
        }
        for (slot, hz) in [(1, 440.0), (2, 1000.0)] {
            let mut one = frame(slot, hz, start, n);
            one.arrived_us += i64::from(n % 3) * 2000;
            if n % 10 == 7 {
                one.arrived_us += 45_000;
            }
            if n % 20 == 9 {
                let mut double = one.clone();
                double.arrived_us += 3000;
                frames.push(double);
            }
            frames.push(one);
        }
    }
    frames.sort_by_key(|f| f.arrived_us);
    for one in frames {
        rig.push(one);
    }
    rig.close(id, start + 20_000_000);
    let sealed = rig.sealed(id);
    let wav = read_wav(&rig.wav(&sealed));
    for (n, hz) in [(0, 440.0), (1, 1000.0)] {
        let track = &sealed.tracks[n];
        let mut expected: Vec<(u64, u64)> = (1..20)
            .filter(|s| !(8..11).contains(s))
            .map(|s| (s * 1000, s * 1000 + 100))
            .collect();
        expected.insert(7, (8000, 11_100));
        expected.retain(|gap| *gap != (11_000, 11_100));
        assert_eq!(track.gaps.len(), expected.len(), "{:?}", track.gaps);
        for (gap, want) in track.gaps.iter().zip(&expected) {
            assert!(
                gap.0.abs_diff(want.0) <= 6 && gap.1.abs_diff(want.1) <= 6,
                "{gap:?} {want:?}"
            );
        }
        assert_eq!(pure(&wav.channels[n], hz, 120, 980), 1.0);
        assert_eq!(pure(&wav.channels[n], hz, 14_120, 14_980), 1.0);
        assert!(rms(&wav.channels[n][8100 * 8..10_900 * 8]) < 10.0);
    }
}

#[test]
fn an_hour_of_silence_costs_no_memory_and_keeps_the_length() {
    let mut rig = Rig::new();
    let (id, start) = (call(1), now_us() - 3_600_000_000);
    rig.start(id, start, &[(1, Party::Caller)]);
    rig.push(frame(1, 440.0, start, 0));
    let mut back = frame(1, 440.0, start + 3_590_000_000, 0);
    for n in 0..100 {
        back = frame(1, 440.0, start + 3_590_000_000, n);
        back.rtp_timestamp = back.rtp_timestamp.wrapping_add(3590 * 8000);
        rig.push(back.clone());
    }
    rig.close(id, back.arrived_us);
    let sealed = rig.sealed(id);
    assert!(sealed.duration_ms.abs_diff(3_592_000) < 3000, "{sealed:?}");
    assert_eq!(sealed.tracks[0].gaps[0], (20, 3_590_000));
    let wav = read_wav(&rig.wav(&sealed));
    assert_eq!(pure(&wav.channels[0], 440.0, 3_590_000, 3_592_000), 1.0);
}

#[test]
fn shutdown_seals_what_is_open() {
    let mut rig = Rig::new();
    let start = now_us() - 1_000_000;
    for n in 1..=40_u32 {
        let id = call(n.into());
        rig.start(id, start, &[(2 * n, Party::Caller), (2 * n + 1, seat())]);
        for k in 0..50 {
            rig.push(frame(2 * n, 440.0, start, k));
            rig.push(frame(2 * n + 1, 1000.0, start, k));
        }
    }
    let Rig {
        dir,
        recorder,
        mut events,
        ..
    } = rig;
    let reader = std::thread::spawn(move || {
        let mut sealed = Vec::new();
        while let Some(event) = events.blocking_recv() {
            if let InputKind::Recording {
                event: RecordingEvent::Sealed(one),
                ..
            } = event
            {
                sealed.push(one);
            }
        }
        sealed
    });
    assert!(recorder.shutdown(Duration::from_secs(20)));
    let sealed = reader.join().unwrap();
    assert_eq!(sealed.len(), 40);
    for one in sealed {
        let wav = read_wav(&dir.path().join(&one.path));
        assert_eq!(pure(&wav.channels[0], 440.0, 0, 1000), 1.0);
        assert_eq!(pure(&wav.channels[1], 1000.0, 0, 1000), 1.0);
    }
}
