//! The sealer: a thread of low priority that turns finished captures into WAVs, one at a time, and makes the live
//! captures durable once a second. It may block on the disk for as long as the disk likes; nobody waits for it.
//!
//! ```text
//! start --logs of an earlier process: their audio into its captures--> idle
//!                  disk refuses: again after RETRY_US; the third time what can be read counts, the log stays as `.bad`
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
use super::log::{self, LogId, Reading};
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
    /// Part of a log cannot be read; it is kept as `.bad`.
    Scratched(SealError),
    /// So many bytes of it are gone; what is left will be sealed.
    Incomplete((CallId, RecordingId), u64),
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
    /// How often the disk refused the first of them.
    pub(super) log_tries: u32,
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
            if now - synced_us >= SYNC_US {
                let dirty =
                    written != synced_bytes || self.shared.probe_wanted.load(Ordering::Relaxed);
                self.sync(dirty);
                synced_bytes = written;
                synced_us = Clock::process().now().as_micros();
            }
            let told = match current.take() {
                Some((closed, render)) => self.step(closed, render, &mut current),
                None if !self.logs.is_empty() && now >= self.logs_from_us => self.say_log(now),
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
        // Captures of an earlier process wait until they have what its logs hold.
        let whole = self.logs.is_empty();
        let ready =
            |(from, closed): &(i64, Closed)| *from <= now && (whole || !closed.pieces.is_empty());
        if let Some(at) = self.waiting.iter().position(ready) {
            return Ok(self.waiting.remove(at).map(|(_, closed)| closed));
        }
        match self.jobs.recv_timeout(Duration::from_millis(250)) {
            Ok(closed) => Ok(Some(closed)),
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => Err(RecorderGone),
        }
    }

    /// Give the captures of an earlier process what the oldest of its logs holds of them.
    fn say_log(&mut self, now: i64) -> Option<Sealing> {
        let log = self.logs.first()?.clone();
        let reading = match self.log_tries {
            0..log::TRIES => Reading::Whole,
            _ => Reading::Salvage,
        };
        match self.guarded(|s| log::say_again(&*s.disk, &s.dir, &log, reading)) {
            Ok(damaged) => {
                self.logs.remove(0);
                self.log_tries = 0;
                (damaged > 0).then(|| Sealing::Scratched(unreadable(log, damaged)))
            }
            Err(source) => {
                self.log_tries += 1;
                self.logs_from_us = now + RETRY_US;
                Some(Sealing::Delayed(log_error(log, source)))
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
            Ok(Step::Sealed(call, sealed)) => {
                if render.missing() > 0 {
                    let ids = (call, sealed.recording);
                    let told = Sealing::Incomplete(ids, render.missing());
                    // Without a recorder nobody is told of the rest either.
                    drop(self.results.send(told));
                }
                Some(Sealing::Done(call, sealed))
            }
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
                self.wait(closed);
                Sealing::Delayed(error)
            }
            SealError::Capture { .. } | SealError::Fault { .. } => {
                match self.guarded(|s| set_aside(&*s.disk, &s.dir, &closed)) {
                    Ok(()) => Sealing::Broken(whose, error),
                    Err(source) => {
                        let path = closed.path.clone();
                        let step = "set aside";
                        self.wait(closed);
                        Sealing::Delayed(SealError::Disk { step, path, source })
                    }
                }
            }
        }
    }

    /// Try it again later.
    fn wait(&mut self, closed: Closed) {
        let from = Clock::process().now().as_micros() + RETRY_US;
        self.waiting.push_back((from, closed));
    }

    /// Make what was written durable; then logs that no capture needs can go. Also finds out whether a broken disk is
    /// well again.
    fn sync(&mut self, dirty: bool) {
        let (free, listed) = match self.guarded(|s| s.free_logs()) {
            Ok(free) => (free, None),
            Err(e) => (Vec::new(), Some(e)),
        };
        if !dirty && free.is_empty() && listed.is_none() {
            return;
        }
        let done = self.guarded(|s| {
            let synced = (s.disk.create_dirs(&capture_dir(&s.dir)))
                .and_then(|()| s.disk.sync(&s.dir))
                .and_then(|()| {
                    let mut logs = free.iter().map(|log| log::log_path(&s.dir, *log));
                    logs.try_for_each(|log| s.disk.remove(&log))
                });
            if synced.is_err() {
                s.shared.ledger().keep(free);
            }
            synced
        });
        self.shared.note_sync(done.err().or(listed));
    }

    /// Take the logs out of the ledger that nobody needs any more.
    fn free_logs(&self) -> std::io::Result<Vec<LogId>> {
        if !self.shared.ledger().waits() {
            return Ok(Vec::new());
        }
        // Asked before the directory is read: a capture closed meanwhile is not taken for gone.
        let mut gone = self.shared.ledger().closed();
        for there in unsealed(&*self.disk, &self.dir)? {
            gone.remove(&there);
        }
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

fn log_error(path: PathBuf, source: std::io::Error) -> SealError {
    let step = "take audio out of the log";
    SealError::Disk { step, path, source }
}

fn unreadable(path: PathBuf, bytes: u64) -> SealError {
    log_error(
        path,
        std::io::Error::other(format!("{bytes} bytes cannot be read")),
    )
}

/// A file that is no capture keeps nobody from starting; a person may look at it, with all that logs have of it.
fn set_aside(disk: &dyn Disk, dir: &Path, closed: &Closed) -> std::io::Result<()> {
    let path = closed.path.as_path();
    PiecedCapture::open(disk, dir, path, &closed.pieces)?.settle(disk, path)?;
    disk.rename(path, &path.with_extension("bad"))
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
    if let Err(error) = repair_logs(&disk, dir, &mut report) {
        report.failed.push(error);
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
                if matches!(error, SealError::Capture { .. })
                    && let Err(e) = set_aside(&disk, dir, &closed)
                {
                    tracing::warn!(path = %closed.path.display(), error = %e, "broken capture cannot be set aside");
                }
                report.failed.push(error);
            }
        }
    }
    report
}

/// Give the captures what the logs hold of them. Without that none may be sealed.
fn repair_logs(disk: &dyn Disk, dir: &Path, report: &mut RepairReport) -> Result<(), SealError> {
    let logs = log::left(disk, dir).map_err(|e| log_error(log::log_dir(dir), e))?;
    for path in logs {
        let damaged = log::say_again(disk, dir, &path, Reading::Whole)
            .or_else(|_| log::say_again(disk, dir, &path, Reading::Salvage))
            .map_err(|e| log_error(path.clone(), e))?;
        if damaged > 0 {
            report.failed.push(unreadable(path, damaged));
        }
    }
    Ok(())
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
