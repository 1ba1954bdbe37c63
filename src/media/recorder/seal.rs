//! The sealer: a thread of low priority that turns finished captures into WAVs, one at a time, and makes the live
//! captures durable once a second. It may block on the disk for as long as the disk likes; nobody waits for it.
//!
//! ```text
//! start --logs of an earlier process: their audio into its captures--> idle
//! idle --job--> rendering (steps, a sync between two of them when due) --sealed--> idle
//!                  disk refuses: the job rests RETRY_US and starts over; not a capture: set aside as `.bad`
//! ```

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::time::Duration;

use super::disk::{Disk, SystemDisk};
use super::log::{self, LogId};
use super::pieces::PiecedCapture;
use super::render::{Render, SealError, Step};
use super::{Closed, Shared, capture_dir};
use crate::clock::Clock;
use crate::id::{CallId, RecordingId};
use crate::switch::SealedRecording;

/// Written audio is made durable this often.
const SYNC_US: i64 = 1_000_000;
/// A capture that could not be sealed is tried again after this.
const RETRY_US: i64 = 2_000_000;
const NICE: i32 = 10;

/// What comes of one capture.
#[derive(Debug)]
pub(super) enum Sealing {
    Done(CallId, SealedRecording),
    /// The disk refused; it will be tried again.
    Delayed(SealError),
    /// Nothing can be made of it. The ids are known when at least its header was.
    Broken(Option<(CallId, RecordingId)>, SealError),
}

/// The state of the thread.
pub(super) struct Sealer {
    pub(super) disk: Arc<dyn Disk>,
    pub(super) dir: PathBuf,
    pub(super) shared: Arc<Shared>,
    pub(super) jobs: Receiver<Closed>,
    pub(super) results: SyncSender<Sealing>,
    /// Captures left by an earlier process, and those the disk refused; with the time from which to try.
    pub(super) waiting: VecDeque<(i64, Closed)>,
    /// Logs left by an earlier process; its captures wait until they have what these hold of them.
    pub(super) logs: Vec<PathBuf>,
    /// From when to try that.
    pub(super) logs_from_us: i64,
}

impl Sealer {
    /// Run until the recorder is gone.
    pub(super) fn run(mut self) {
        be_nice();
        let mut synced_us = 0;
        let mut synced_bytes = 0;
        let mut current: Option<(Closed, Render)> = None;
        loop {
            let now = Clock::process().now().as_micros();
            let written = self.shared.bytes_written.load(Ordering::Relaxed);
            let dirty = written != synced_bytes
                || self.shared.probe_wanted.load(Ordering::Relaxed)
                || self.shared.ledger().waits();
            if dirty && now - synced_us >= SYNC_US {
                self.sync();
                synced_bytes = written;
                synced_us = Clock::process().now().as_micros();
            }
            let told = match current.take() {
                Some((closed, render)) => self.step(closed, render, &mut current),
                None if !self.logs.is_empty() && now >= self.logs_from_us => self.say_logs(now),
                None => match self.next(now) {
                    Ok(Some(closed)) => self.open(closed, &mut current),
                    Ok(None) => None,
                    Err(RecorderGone) => return,
                },
            };
            if let Some(told) = told
                && self.results.send(told).is_err()
            {
                return;
            }
        }
    }

    /// The next capture to seal, after waiting a little for one.
    fn next(&mut self, now: i64) -> Result<Option<Closed>, RecorderGone> {
        if self.logs.is_empty()
            && let Some(at) = self.waiting.iter().position(|(from, _)| *from <= now)
        {
            return Ok(self.waiting.remove(at).map(|(_, closed)| closed));
        }
        match self.jobs.recv_timeout(Duration::from_millis(250)) {
            Ok(closed) => Ok(Some(closed)),
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => Err(RecorderGone),
        }
    }

    /// Give the captures of an earlier process what its logs hold of them.
    fn say_logs(&mut self, now: i64) -> Option<Sealing> {
        let said = self.guarded(|s| log::say_again(&*s.disk, &s.dir, &s.logs));
        match said {
            Ok(()) => {
                self.logs.clear();
                None
            }
            Err(source) => {
                self.logs_from_us = now + RETRY_US;
                Some(Sealing::Delayed(log_error(&self.dir, source)))
            }
        }
    }

    fn open(&mut self, closed: Closed, current: &mut Option<(Closed, Render)>) -> Option<Sealing> {
        let opened = self.guarded(|s| Render::open(&*s.disk, &s.dir, &closed));
        match opened {
            Ok(render) => {
                *current = Some((closed, render));
                None
            }
            Err(e) => Some(self.refused(closed, None, e)),
        }
    }

    fn step(
        &mut self,
        closed: Closed,
        mut render: Render,
        current: &mut Option<(Closed, Render)>,
    ) -> Option<Sealing> {
        let step = self.guarded(|s| {
            catch_unwind(AssertUnwindSafe(|| render.step(&*s.disk))).unwrap_or_else(|_| {
                let path = closed.path.clone();
                Err(SealError::Fault { path })
            })
        });
        match step {
            Ok(Step::More) => {
                *current = Some((closed, render));
                None
            }
            Ok(Step::Sealed(call, sealed)) => Some(Sealing::Done(call, sealed)),
            Err(e) => {
                let header = render.header();
                Some(self.refused(closed, Some((header.call, header.recording)), e))
            }
        }
    }

    fn refused(
        &mut self,
        closed: Closed,
        whose: Option<(CallId, RecordingId)>,
        error: SealError,
    ) -> Sealing {
        match &error {
            SealError::Disk { .. } => {
                let from = Clock::process().now().as_micros() + RETRY_US;
                self.waiting.push_back((from, closed));
                Sealing::Delayed(error)
            }
            SealError::Capture { .. } | SealError::Fault { .. } => {
                self.guarded(|s| set_aside(&*s.disk, &s.dir, &closed));
                Sealing::Broken(whose, error)
            }
        }
    }

    /// Make what was written durable; then logs that no capture needs can go. Also finds out whether a broken disk is
    /// well again.
    fn sync(&mut self) {
        let done = self.guarded(|s| {
            s.disk.create_dirs(&capture_dir(&s.dir))?;
            let free = s.free_logs()?;
            let synced = (s.disk.sync(&s.dir)).and_then(|()| {
                let mut logs = free.iter().map(|log| log::log_path(&s.dir, *log));
                logs.try_for_each(|log| s.disk.remove(&log))
            });
            if synced.is_err() {
                s.shared.ledger().keep(free);
            }
            synced
        });
        self.shared.note_sync(done.err());
    }

    /// The logs that nobody needs any more.
    fn free_logs(&self) -> std::io::Result<Vec<LogId>> {
        if !self.shared.ledger().waits() {
            return Ok(Vec::new());
        }
        let mut gone = self.shared.ledger().closed();
        let there = unsealed(&*self.disk, &self.dir)?;
        gone.retain(|capture| !there.contains(capture));
        Ok(self.shared.ledger().free(&gone))
    }

    /// Run something that may block, so that the recorder sees when it does.
    fn guarded<T>(&mut self, f: impl FnOnce(&mut Self) -> T) -> T {
        let shared = Arc::clone(&self.shared);
        shared
            .sealer_busy_us
            .store(Clock::process().now().as_micros(), Ordering::Relaxed);
        let out = f(self);
        shared.sealer_busy_us.store(0, Ordering::Relaxed);
        out
    }
}

struct RecorderGone;

fn log_error(dir: &Path, source: std::io::Error) -> SealError {
    SealError::Disk {
        step: "read the log in",
        path: log::log_dir(dir),
        source,
    }
}

/// A file that is no capture keeps nobody from starting; a person may look at it, with all that logs have of it.
fn set_aside(disk: &dyn Disk, dir: &Path, closed: &Closed) {
    let path = closed.path.as_path();
    let done = PiecedCapture::open(disk, dir, path, &closed.pieces)
        .and_then(|capture| capture.settle(disk, path))
        .and_then(|()| disk.rename(path, &path.with_extension("bad")));
    if let Err(e) = done {
        tracing::warn!(path = %path.display(), error = %e, "broken capture cannot be set aside");
    }
}

/// Give way to media and signalling. Without the right to it nothing is lost.
fn be_nice() {
    let thread = rustix::thread::gettid();
    if let Err(e) = rustix::process::setpriority_process(Some(thread), NICE) {
        tracing::debug!(error = %e, "sealer runs at normal priority");
    }
}

/// Captures of `dir` that wait to be sealed.
pub(super) fn unsealed(disk: &dyn Disk, dir: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut paths = disk.list(&capture_dir(dir))?;
    paths.retain(|path| path.extension().is_some_and(|e| e == "cap"));
    Ok(paths)
}

/// What [`repair`] did.
#[derive(Debug, Default)]
pub struct RepairReport {
    /// Captures that became recordings.
    pub sealed: Vec<(CallId, SealedRecording)>,
    /// Captures that did not, and why. Those the disk refused stay for the next try.
    pub failed: Vec<SealError>,
}

/// Seal every capture in `dir`, now, on this thread; they stay until [`super::drop_capture`]. [`super::Recorder::start`] does the
/// same in the background; never call this on a directory that a running recorder uses.
#[must_use]
pub fn repair(dir: &Path) -> RepairReport {
    let disk = SystemDisk;
    let mut report = RepairReport::default();
    let said = log::left(&disk, dir).and_then(|logs| log::say_again(&disk, dir, &logs));
    if let Err(source) = said {
        report.failed.push(log_error(dir, source));
        return report;
    }
    let paths = match unsealed(&disk, dir) {
        Ok(paths) => paths,
        Err(source) => {
            report.failed.push(SealError::Disk {
                step: "list",
                path: capture_dir(dir),
                source,
            });
            return report;
        }
    };
    for path in paths {
        let closed = Closed::whole(path);
        match repair_one(&disk, dir, &closed) {
            Ok(sealed) => report.sealed.push(sealed),
            Err(error) => {
                if matches!(error, SealError::Capture { .. }) {
                    set_aside(&disk, dir, &closed);
                }
                report.failed.push(error);
            }
        }
    }
    report
}

fn repair_one(
    disk: &dyn Disk,
    dir: &Path,
    closed: &Closed,
) -> Result<(CallId, SealedRecording), SealError> {
    let mut render = Render::open(disk, dir, closed)?;
    loop {
        match render.step(disk)? {
            Step::More => {}
            Step::Sealed(call, sealed) => return Ok((call, sealed)),
        }
    }
}
