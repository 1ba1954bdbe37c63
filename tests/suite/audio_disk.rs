//! The recorder on disks that fill, break and stall: alarmed, and nothing lost that memory can hold.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use firstring::call::Party;
use firstring::media::recorder::disk::{Disk, DiskFile, OpenMode, SystemDisk};
use firstring::media::recorder::drop_capture;
use firstring::switch::{AlarmCode, InputKind, RecordingEvent};

use crate::support::recorder::{FRAME_US, Rig, call, frame, now_us, pure, seat};
use crate::support::tone::read_wav;

/// A disk that can be broken while it is used.
#[derive(Default)]
struct SickDisk {
    state: Arc<Sickness>,
}

#[derive(Default)]
struct Sickness {
    /// The errno of every write and create.
    error: Mutex<Option<i32>>,
    stalled: Mutex<bool>,
    well: Condvar,
    /// Only reading of captures (the sealer) stalls.
    reads_only: AtomicBool,
}

impl Sickness {
    fn stall(&self, stalled: bool) {
        *self.stalled.lock().unwrap() = stalled;
        self.well.notify_all();
    }

    fn fail(&self, errno: Option<i32>) {
        *self.error.lock().unwrap() = errno;
    }

    fn suffer(&self, reading: bool) -> io::Result<()> {
        if reading || !self.reads_only.load(Ordering::Relaxed) {
            let guard = self.stalled.lock().unwrap();
            drop(self.well.wait_while(guard, |stalled| *stalled).unwrap());
        }
        match *self.error.lock().unwrap() {
            Some(errno) if !reading => Err(io::Error::from_raw_os_error(errno)),
            _ => Ok(()),
        }
    }
}

struct SickFile {
    inner: Box<dyn DiskFile>,
    state: Arc<Sickness>,
}

impl Disk for SickDisk {
    fn create_dirs(&self, dir: &Path) -> io::Result<()> {
        SystemDisk.create_dirs(dir)
    }
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Box<dyn DiskFile>> {
        self.state.suffer(mode == OpenMode::Read)?;
        let inner = SystemDisk.open(path, mode)?;
        let state = Arc::clone(&self.state);
        Ok(Box::new(SickFile { inner, state }))
    }
    fn list(&self, dir: &Path) -> io::Result<Vec<PathBuf>> {
        SystemDisk.list(dir)
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.state.suffer(false)?;
        SystemDisk.rename(from, to)
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        self.state.suffer(false)?;
        SystemDisk.remove(path)
    }
    fn sync(&self, _: &Path) -> io::Result<()> {
        self.state.suffer(false)
    }
}

impl DiskFile for SickFile {
    fn size(&self) -> io::Result<u64> {
        self.inner.size()
    }
    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize> {
        self.state.suffer(true)?;
        self.inner.read_at(into, offset)
    }
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        // A disk that fills takes a part first.
        if let Err(e) = self.state.suffer(false) {
            let part = &bytes[..bytes.len() / 3];
            return match part.len() {
                0..1000 => Err(e),
                _ => self.inner.write_at(part, offset),
            };
        }
        self.inner.write_at(bytes, offset)
    }
    fn sync(&self) -> io::Result<()> {
        self.state.suffer(false)
    }
}

fn sick_rig(spool_bytes_max: usize) -> (Rig, Arc<Sickness>) {
    let disk = SickDisk::default();
    let state = Arc::clone(&disk.state);
    (Rig::on(Arc::new(disk), spool_bytes_max), state)
}

const ENOSPC: i32 = 28;
const EROFS: i32 = 30;
const EIO: i32 = 5;

#[test]
fn a_full_disk_is_alarmed_at_once_and_nothing_is_lost_after_relief() {
    for (errno, words) in [
        (ENOSPC, "No space"),
        (EROFS, "Read-only"),
        (EIO, "Input/output"),
    ] {
        let (mut rig, disk) = sick_rig(64 * 1024 * 1024);
        let (id, start) = (call(1), now_us() - 60_000_000);
        rig.start(id, start, &[(1, Party::Caller)]);
        // Little enough for the log, however late the recorder takes it.
        for n in 0..100 {
            rig.push(frame(1, 440.0, start, n));
        }
        rig.until("first seconds on disk", |rig| {
            rig.recorder.stats().bytes_written > 0
        });
        disk.fail(Some(errno));
        let sick = Instant::now();
        for n in 100..2500 {
            rig.push(frame(1, 440.0, start, n));
        }
        // A call that begins and ends while the disk is sick.
        let other = call(2);
        rig.start(other, start + 30_000_000, &[(2, seat())]);
        for n in 0..100 {
            rig.push(frame(2, 1000.0, start + 30_000_000, n));
        }
        rig.close(other, start + 32_000_000);
        let (at, detail) = rig.alarm(AlarmCode::RecordingLate, true);
        assert!(at - sick < Duration::from_secs(5));
        assert!(detail.contains(words), "{detail}");
        let taken = |rig: &mut Rig| rig.recorder.stats().frames == 2600;
        rig.until("all frames taken", taken);
        let logs = |rig: &Rig| {
            std::fs::read_dir(rig.dir.path().join("log"))
                .unwrap()
                .count()
        };
        assert!(logs(&rig) <= 2, "no file for each refused write");
        disk.fail(None);
        rig.close(id, start + 50_000_000);
        let sealed = rig.sealed(id);
        let others = rig.sealed(other);
        rig.alarm(AlarmCode::RecordingLate, false);
        assert_eq!(rig.failures(), Vec::<String>::new());
        assert_eq!(rig.alarms(), 2, "raised once, cleared once");
        let wav = read_wav(&rig.wav(&sealed));
        assert_eq!(pure(&wav.channels[0], 440.0, 0, 50_000), 1.0);
        assert_eq!(rig.recorder.stats().spool_bytes, 0);
        // Both seals are in the journal: nothing needs the logs.
        assert!(logs(&rig) > 0);
        drop_capture(rig.dir.path(), &sealed).unwrap();
        drop_capture(rig.dir.path(), &others).unwrap();
        rig.until("empty log directory", |rig| logs(rig) == 0);
    }
}

#[test]
fn a_stalled_disk_never_stops_the_taps_and_is_written_up_after_relief() {
    let (mut rig, disk) = sick_rig(64 * 1024 * 1024);
    let (id, start) = (call(1), now_us());
    rig.start(id, start, &[(1, Party::Caller), (2, seat())]);
    let mut sent = 0;
    let mut worst = Duration::ZERO;
    let mut relieved = None;
    let mut stalled = None;
    let from = Instant::now();
    // In real time: well for 0.5 s, stalled until 1 s after the alarm, then well again.
    while relieved.is_none_or(|at: Instant| at.elapsed() < Duration::from_millis(500)) {
        while i64::from(sent) * FRAME_US < now_us() - start {
            worst = worst.max(rig.push(frame(1, 440.0, start, sent)));
            worst = worst.max(rig.push(frame(2, 1000.0, start, sent)));
            sent += 1;
        }
        if stalled.is_none() && from.elapsed() > Duration::from_millis(500) {
            disk.stall(true);
            stalled = Some(Instant::now());
        }
        rig.listen();
        let raised = rig.alarms() > 0;
        if let Some(stalled) = stalled {
            let elapsed = stalled.elapsed();
            assert!(
                raised || elapsed < Duration::from_secs(5),
                "no alarm in 5 s"
            );
            if raised && relieved.is_none() && elapsed > Duration::from_secs(6) {
                disk.stall(false);
                relieved = Some(Instant::now());
            }
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    rig.close(id, now_us());
    let sealed = rig.sealed(id);
    rig.alarm(AlarmCode::RecordingLate, false);
    assert!(worst < Duration::from_millis(20), "a push took {worst:?}");
    let wav = read_wav(&rig.wav(&sealed));
    let whole = sent as usize * 20 / 100 * 100;
    assert_eq!(pure(&wav.channels[0], 440.0, 0, whole), 1.0);
    assert_eq!(pure(&wav.channels[1], 1000.0, 0, whole), 1.0);
    assert_eq!(rig.failures(), Vec::<String>::new());
}

#[test]
fn audio_beyond_the_memory_is_told_as_lost_with_its_span() {
    let (mut rig, disk) = sick_rig(200 * 1024);
    let (id, start) = (call(1), now_us() - 60_000_000);
    disk.fail(Some(ENOSPC));
    rig.start(id, start, &[(1, Party::Caller)]);
    for n in 0..2000 {
        rig.push(frame(1, 440.0, start, n));
    }
    rig.alarm(AlarmCode::RecordingFailed, true);
    rig.until("all frames looked at", |rig| {
        let stats = rig.recorder.stats();
        stats.frames + stats.frames_lost == 2000
    });
    let kept = rig.recorder.stats().frames as u32;
    assert!(rig.recorder.stats().spool_bytes < 210 * 1024);
    disk.fail(None);
    rig.until("written", |rig| rig.recorder.stats().spool_bytes == 0);
    for n in 2000..2500 {
        rig.push(frame(1, 440.0, start, n));
    }
    rig.close(id, start + 50_000_000);
    let sealed = rig.sealed(id);
    let failures = rig.failures();
    assert_eq!(failures.len(), 1, "{failures:?}");
    let span = format!("from {:.1} s to 40.0 s", f64::from(kept) * 0.02);
    assert!(failures[0].contains(&span), "{} {span}", failures[0]);
    let first = (u64::from(kept) * 20, 40_000);
    assert_eq!(sealed.tracks[0].gaps[0], first);
    let wav = read_wav(&rig.wav(&sealed));
    assert_eq!(pure(&wav.channels[0], 440.0, 0, kept as usize * 20), 1.0);
    assert_eq!(pure(&wav.channels[0], 440.0, 40_000, 50_000), 1.0);
}

#[test]
fn a_seal_that_the_disk_holds_up_delays_no_other_call() {
    let (mut rig, disk) = sick_rig(64 * 1024 * 1024);
    disk.reads_only.store(true, Ordering::Relaxed);
    disk.stall(true);
    let start = now_us() - 10_000_000;
    rig.start(call(1), start, &[(1, Party::Caller)]);
    rig.push(frame(1, 440.0, start, 0));
    rig.close(call(1), start + 1_000_000);
    rig.until("seal begun", |rig| rig.recorder.stats().sealing == 1);
    rig.start(call(2), start, &[(2, Party::Caller)]);
    let before = rig.recorder.stats().bytes_written;
    for n in 0..400 {
        rig.push(frame(2, 440.0, start, n));
    }
    rig.until("the other call on disk", |rig| {
        rig.recorder.stats().bytes_written > before + 400 * 160
    });
    assert_eq!(rig.recorder.stats().sealed, 0);
    disk.stall(false);
    rig.close(call(2), start + 9_000_000);
    rig.sealed(call(1));
    rig.sealed(call(2));
}

#[test]
fn a_recording_that_cannot_be_completed_is_alarmed_and_completed_after_relief() {
    let (mut rig, disk) = sick_rig(64 * 1024 * 1024);
    let start = now_us() - 10_000_000;
    // The capture is written, then the sealer waits at its first read while the disk fills.
    disk.reads_only.store(true, Ordering::Relaxed);
    disk.stall(true);
    rig.start(call(1), start, &[(1, Party::Caller)]);
    for n in 0..100 {
        rig.push(frame(1, 440.0, start, n));
    }
    rig.close(call(1), start + 2_000_000);
    rig.until("seal begun", |rig| rig.recorder.stats().sealing == 1);
    disk.fail(Some(ENOSPC));
    disk.stall(false);
    let (_, detail) = rig.alarm(AlarmCode::RecordingLate, true);
    assert!(detail.contains("No space"), "{detail}");
    disk.fail(None);
    let sealed = rig.sealed(call(1));
    rig.alarm(AlarmCode::RecordingLate, false);
    let wav = read_wav(&rig.wav(&sealed));
    assert_eq!(pure(&wav.channels[0], 440.0, 0, 2000), 1.0);
}

#[test]
fn a_recorder_with_a_dead_disk_still_stops_at_its_deadline() {
    let (mut rig, disk) = sick_rig(64 * 1024 * 1024);
    disk.stall(true);
    let start = now_us();
    rig.start(call(1), start, &[(1, Party::Caller)]);
    rig.push(frame(1, 440.0, start, 0));
    let from = Instant::now();
    assert!(!rig.recorder.shutdown(Duration::from_millis(300)));
    assert!(from.elapsed() < Duration::from_secs(2));
    let mut failed = 0;
    while let Ok(event) = rig.events.try_recv() {
        if matches!(
            event,
            InputKind::Recording {
                event: RecordingEvent::Failed { .. },
                ..
            }
        ) {
            failed += 1;
        }
    }
    assert_eq!(failed, 1, "what was never written is told");
    disk.stall(false);
}
