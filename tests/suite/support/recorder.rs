//! A recorder with one ring, parties that speak tones into it, and what it told.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::{Duration, Instant};

use firstring::call::Party;
use firstring::clock::Clock;
use firstring::id::{CallId, RecordingId, SeatId};
use firstring::media::recorder::disk::{Disk, SystemDisk};
use firstring::media::recorder::{Recorder, RecorderOptions};
use firstring::media::session::Codec;
use firstring::media::tap::{TapControl, TapFrame, TapSender};
use firstring::switch::{AlarmCode, InputKind, RecordingEvent, SealedRecording};
use tokio::sync::mpsc::Receiver;
use uuid::Uuid;

use super::tone::{alaw_tone, tone_share};

pub const FRAME_US: i64 = 20_000;

pub fn now_us() -> i64 {
    Clock::process().now().as_micros()
}

/// A recorder, one ring, and what it told.
pub struct Rig {
    pub dir: tempfile::TempDir,
    pub recorder: Recorder,
    pub ring: TapSender,
    pub control: SyncSender<TapControl>,
    pub events: Receiver<InputKind>,
    pub told: Vec<(Instant, InputKind)>,
}

impl Rig {
    pub fn new() -> Self {
        Self::on(Arc::new(SystemDisk), 64 * 1024 * 1024)
    }

    pub fn on(disk: Arc<dyn Disk>, spool_bytes_max: usize) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let options = RecorderOptions {
            workers: 1,
            spool_bytes_max,
        };
        let (events_in, events) = tokio::sync::mpsc::channel(64);
        let (recorder, mut rings, control) =
            Recorder::start_on(disk, dir.path(), options, events_in).unwrap();
        Self {
            dir,
            recorder,
            ring: rings.remove(0),
            control,
            events,
            told: Vec::new(),
        }
    }

    pub fn start(&self, call: CallId, at_us: i64, parties: &[(u32, Party)]) {
        let recording = RecordingId(Uuid::from_u128(call.0.as_u128() + 1));
        let start = TapControl::Start {
            call,
            recording,
            at_us,
        };
        self.control.send(start).unwrap();
        for (slot, party) in parties {
            self.track(call, *slot, party);
        }
    }

    pub fn track(&self, call: CallId, slot: u32, party: &Party) {
        let name = party.to_string();
        let track = TapControl::Track { call, slot, name };
        self.control.send(track).unwrap();
    }

    pub fn close(&self, call: CallId, at_us: i64) {
        self.control
            .send(TapControl::Close { call, at_us })
            .unwrap();
    }

    /// Push, waiting for room as a fast test must; gives the longest single push.
    pub fn push(&mut self, frame: Frame) -> Duration {
        let mut took = Duration::ZERO;
        self.until("room in the ring", |rig| {
            let from = Instant::now();
            let pushed = rig.ring.push(&frame.tap());
            took = from.elapsed();
            pushed.is_ok()
        });
        took
    }

    pub fn listen(&mut self) {
        while let Ok(event) = self.events.try_recv() {
            self.told.push((Instant::now(), event));
        }
    }

    pub fn until(&mut self, what: &str, mut done: impl FnMut(&mut Self) -> bool) {
        let from = Instant::now();
        loop {
            self.listen();
            if done(self) {
                return;
            }
            assert!(
                from.elapsed() < Duration::from_secs(20),
                "no {what} in 20 s; {:?}; told {:?}",
                self.recorder.stats(),
                self.told
            );
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    pub fn sealed(&mut self, call: CallId) -> SealedRecording {
        let mut found = None;
        self.until("sealed recording", |rig| {
            found = rig.told.iter().find_map(|(_, event)| match event {
                InputKind::Recording {
                    call: c,
                    event: RecordingEvent::Sealed(sealed),
                } if *c == call => Some(sealed.clone()),
                _ => None,
            });
            found.is_some()
        });
        found.unwrap()
    }

    pub fn alarm(&mut self, code: AlarmCode, raised: bool) -> (Instant, String) {
        let mut found = None;
        self.until("alarm", |rig| {
            found = rig.told.iter().find_map(|(at, event)| match event {
                InputKind::Alarm {
                    code: c,
                    detail,
                    raised: r,
                    ..
                } if *c == code && *r == raised => Some((*at, detail.clone())),
                _ => None,
            });
            found.is_some()
        });
        found.unwrap()
    }

    pub fn failures(&self) -> Vec<String> {
        let detail = |event: &InputKind| match event {
            InputKind::Recording {
                event: RecordingEvent::Failed { detail, .. },
                ..
            } => Some(detail.clone()),
            _ => None,
        };
        self.told.iter().filter_map(|(_, e)| detail(e)).collect()
    }

    pub fn alarms(&self) -> usize {
        let alarm = |event: &InputKind| matches!(event, InputKind::Alarm { .. });
        self.told.iter().filter(|(_, e)| alarm(e)).count()
    }

    pub fn wav(&self, sealed: &SealedRecording) -> PathBuf {
        self.dir.path().join(&sealed.path)
    }
}

pub fn call(n: u128) -> CallId {
    CallId(Uuid::from_u128(n << 64))
}

pub fn seat() -> Party {
    Party::Seat(SeatId::from("801"))
}

pub fn doctor() -> Party {
    Party::Third {
        role: "doctor".into(),
        n: 1,
    }
}

/// A packet of a party, as a media worker would tap it.
#[derive(Clone, Debug)]
pub struct Frame {
    pub slot: u32,
    pub arrived_us: i64,
    pub ssrc: u32,
    pub rtp_timestamp: u32,
    pub sequence: u16,
    pub codec: Codec,
    pub payload: Vec<u8>,
}

impl Frame {
    pub fn tap(&self) -> TapFrame<'_> {
        TapFrame {
            slot: self.slot,
            arrived_us: self.arrived_us,
            ssrc: self.ssrc,
            rtp_timestamp: self.rtp_timestamp,
            sequence: self.sequence,
            codec: self.codec,
            payload: &self.payload,
        }
    }
}

/// Frame `n` of an endless tone that a sender with its own SSRC and clock started at `start_us`.
pub fn frame(slot: u32, hz: f64, start_us: i64, n: u32) -> Frame {
    Frame {
        slot,
        arrived_us: start_us + i64::from(n) * FRAME_US,
        ssrc: 1000 + slot,
        rtp_timestamp: (slot * 77_777).wrapping_add(n * 160),
        sequence: n as u16,
        codec: Codec::Pcma,
        payload: alaw_tone(hz, n as usize * 160, 160),
    }
}

/// Share of 100 ms windows of `samples[from_ms..to_ms]` that are the tone and nothing else.
pub fn pure(samples: &[i16], hz: f64, from_ms: usize, to_ms: usize) -> f64 {
    let windows: Vec<_> = samples[from_ms * 8..to_ms * 8].chunks_exact(800).collect();
    let good = windows.iter().filter(|w| tone_share(w, hz) > 0.95).count();
    good as f64 / windows.len() as f64
}
