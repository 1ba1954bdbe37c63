//! The writer: the only thread that writes logs and captures. It takes one batch at a time and gives it back with what
//! became of each job; when the disk stalls it stalls, and the recorder goes on collecting.
//!
//! ```text
//! batch -> all of it in one write to the log, and held per call;  held full, or the call's last: into its capture
//! log of LOG_BYTES, or no call left: the next log; what is held of the old one goes into captures, a few per batch
//! old log without anything held: retired;  the sealer removes it after its next sync
//! ```
//! A log that cannot be written is left, and the batch goes into the captures themselves.

use std::collections::BTreeMap;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, SyncSender};

use super::book::Job;
use super::disk::{Disk, DiskFile, OpenMode, write_all_at};
use super::log::{self, PIECE_BYTES_MAX, Place};
use super::{Shared, capture_dir};
use crate::clock::Clock;
use crate::id::CallId;

/// Held per call before it goes into its capture: 3.4 s of two parties.
const HELD_BYTES: usize = PIECE_BYTES_MAX;
/// Memory for it: the pass that fills it comes on top.
const HELD_CAPACITY: usize = HELD_BYTES + HELD_BYTES / 4;
/// Calls fill their room at different times, so that not all are written in the same pass.
const STEPS: usize = 16;
/// A log is left for the next at this size: 14 s of 120 two-party calls, half an hour of one.
const LOG_BYTES: u64 = 32 * 1024 * 1024;
/// Captures brought up to date per batch so that an old log can go.
const STRAGGLERS: usize = 4;

pub(super) struct Writer {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    shared: Arc<Shared>,
    batches: Receiver<Vec<Job>>,
    replies: SyncSender<Vec<Job>>,
    captures: BTreeMap<CallId, Capture>,
    log: Option<Log>,
    /// Left logs, with their number, of which something may still be held.
    old: Vec<(u64, PathBuf)>,
    /// Number of the next log.
    next: u64,
    /// See [`LOG_BYTES`].
    log_bytes: u64,
    /// What goes into the log in this pass.
    out: Vec<u8>,
    opened: usize,
}

/// The log that is being written.
struct Log {
    number: u64,
    path: PathBuf,
    file: Box<dyn DiskFile>,
    end: u64,
}

/// An open capture.
struct Capture {
    file: Box<dyn DiskFile>,
    /// Where `held` goes in the file.
    offset: u64,
    held: Vec<u8>,
    /// `held` goes into the file before it is longer than this.
    room: usize,
    /// Number of the log that has the first of `held`.
    log: u64,
}

impl Capture {
    /// Write what is held, and `more` behind it.
    fn settle(&mut self, more: &[u8]) -> io::Result<()> {
        let held = self.held.len();
        self.held.extend_from_slice(more);
        let written = write_all_at(&*self.file, &self.held, self.offset);
        if written.is_ok() {
            self.offset += self.held.len() as u64;
            self.held.clear();
            self.held.shrink_to(HELD_CAPACITY);
            self.room = HELD_BYTES;
        } else {
            self.held.truncate(held);
        }
        written
    }
}

impl Writer {
    pub(super) fn new(
        disk: Arc<dyn Disk>,
        dir: PathBuf,
        shared: Arc<Shared>,
        batches: Receiver<Vec<Job>>,
        replies: SyncSender<Vec<Job>>,
    ) -> Self {
        Self {
            disk,
            dir,
            shared,
            batches,
            replies,
            captures: BTreeMap::new(),
            log: None,
            old: Vec::new(),
            next: 0,
            log_bytes: LOG_BYTES,
            out: Vec::new(),
            opened: 0,
        }
    }

    /// Run until the recorder is gone.
    pub(super) fn run(mut self) {
        while let Ok(mut batch) = self.batches.recv() {
            self.write(&mut batch);
            self.turn();
            if self.replies.send(batch).is_err() {
                return;
            }
        }
    }

    fn write(&mut self, batch: &mut [Job]) {
        self.out.clear();
        let mut logged = Vec::with_capacity(batch.len());
        for (n, job) in batch.iter_mut().enumerate() {
            let end = self.out.len();
            match guarded(|| self.take(job)) {
                Ok(true) => self.note(job),
                Ok(false) => logged.push(n),
                Err(error) => {
                    self.out.truncate(end);
                    job.error = Some(error);
                }
            }
        }
        if logged.is_empty() {
            return;
        }
        let log = guarded(|| self.write_log());
        if log.is_err() {
            self.leave_log();
        }
        for n in logged {
            let Some(job) = batch.get_mut(n) else {
                continue;
            };
            let done = guarded(|| self.keep(job, log.as_ref().ok().copied()));
            match done {
                Ok(()) => self.note(job),
                Err(error) => job.error = Some(error),
            }
        }
    }

    fn note(&mut self, job: &mut Job) {
        job.written = true;
        let bytes = job.bytes.len() as u64;
        self.shared
            .bytes_written
            .fetch_add(bytes, Ordering::Relaxed);
        if job.last {
            self.captures.remove(&job.call);
        }
    }

    /// Write a job into its capture when it fills the call's room or is the last (true); else put it with what goes
    /// into the log.
    fn take(&mut self, job: &Job) -> io::Result<bool> {
        if !self.captures.contains_key(&job.call) {
            let capture = self.open(job)?;
            self.captures.insert(job.call, capture);
        }
        let Some(capture) = self.captures.get_mut(&job.call) else {
            return Ok(false);
        };
        if job.last || capture.held.len() + job.bytes.len() > capture.room {
            capture.settle(&job.bytes)?;
            return Ok(true);
        }
        let place = Place {
            call: job.call,
            recording: job.recording,
            offset: job.offset,
        };
        log::put(&mut self.out, &place, &job.bytes);
        Ok(false)
    }

    /// Hold a job that is in the log; without a log write it into its capture.
    fn keep(&mut self, job: &Job, log: Option<u64>) -> io::Result<()> {
        let Some(capture) = self.captures.get_mut(&job.call) else {
            return Ok(());
        };
        let Some(log) = log else {
            return capture.settle(&job.bytes);
        };
        if capture.held.is_empty() {
            capture.log = log;
        }
        capture.held.extend_from_slice(&job.bytes);
        Ok(())
    }

    /// Append the pass to the log; gives the log's number.
    fn write_log(&mut self) -> io::Result<u64> {
        if self.log.is_none() {
            self.log = Some(self.open_log()?);
            self.next += 1;
        }
        let Some(log) = &mut self.log else {
            return Err(io::ErrorKind::NotFound.into());
        };
        // Where the last write that the disk refused may have begun: what it left is written over.
        write_all_at(&*log.file, &self.out, log.end)?;
        log.end += self.out.len() as u64;
        Ok(log.number)
    }

    fn open_log(&self) -> io::Result<Log> {
        let path = log::log_path(&self.dir, Clock::process().now().as_micros());
        Ok(Log {
            number: self.next,
            file: self.open_in(&log::log_dir(&self.dir), &path)?,
            path,
            end: 0,
        })
    }

    fn open(&mut self, job: &Job) -> io::Result<Capture> {
        let dir = capture_dir(&self.dir);
        let path = dir.join(super::capture_name(job.call, job.recording));
        let file = self.open_in(&dir, &path)?;
        self.opened += 1;
        Ok(Capture {
            file,
            offset: job.offset,
            held: Vec::with_capacity(HELD_CAPACITY),
            room: HELD_BYTES / 2 + HELD_BYTES / 2 / STEPS * (self.opened % STEPS),
            log: 0,
        })
    }

    fn open_in(
        &self,
        dir: &std::path::Path,
        path: &std::path::Path,
    ) -> io::Result<Box<dyn DiskFile>> {
        match self.disk.open(path, OpenMode::Append) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                self.disk.create_dirs(dir)?;
                self.disk.open(path, OpenMode::Append)
            }
            other => other,
        }
    }

    fn leave_log(&mut self) {
        if let Some(log) = self.log.take() {
            self.old.push((log.number, log.path));
        }
    }

    /// Go on to the next log when it is time, and let old ones go.
    fn turn(&mut self) {
        let is_full = |log: &Log| log.end >= self.log_bytes || self.captures.is_empty();
        if self.log.as_ref().is_some_and(is_full) {
            self.leave_log();
        }
        if self.old.is_empty() {
            return;
        }
        let current = self.log.as_ref().map_or(self.next, |log| log.number);
        let behind = |c: &&mut Capture| !c.held.is_empty() && c.log < current;
        for capture in self.captures.values_mut().filter(behind).take(STRAGGLERS) {
            // A refusal is told when the call's room is full; until then the old log stays.
            drop(guarded(|| capture.settle(&[])));
        }
        let held = |c: &Capture| (!c.held.is_empty()).then_some(c.log);
        let oldest = self.captures.values().filter_map(held).min();
        let gone = self
            .old
            .extract_if(.., |(number, _)| oldest.is_none_or(|o| *number < o));
        self.shared.retire(gone.map(|(_, path)| path));
    }
}

/// A fault in one call's job costs that job at most a try.
fn guarded<T>(f: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    catch_unwind(AssertUnwindSafe(f))
        .unwrap_or_else(|_| Err(io::Error::other("a fault of the recorder's own")))
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::mpsc::sync_channel;

    use uuid::Uuid;

    use super::super::disk::SystemDisk;
    use super::*;
    use crate::id::RecordingId;
    use crate::media::capture::{self, Header, Record};

    /// A writer with small logs, and what was given to it, by call.
    struct Rig {
        dir: tempfile::TempDir,
        writer: Writer,
        given: BTreeMap<CallId, Vec<u8>>,
        retired: Vec<PathBuf>,
    }

    fn rig() -> Rig {
        let dir = tempfile::tempdir().unwrap();
        let (_, batches) = sync_channel(1);
        let (replies, _) = sync_channel(1);
        let (disk, shared) = (Arc::new(SystemDisk), Arc::new(Shared::default()));
        let mut writer = Writer::new(disk, dir.path().to_owned(), shared, batches, replies);
        writer.log_bytes = 100_000;
        Rig {
            dir,
            writer,
            given: BTreeMap::new(),
            retired: Vec::new(),
        }
    }

    fn name(call: CallId) -> String {
        super::super::capture_name(call, RecordingId(Uuid::from_u128(9)))
    }

    impl Rig {
        fn job(&mut self, n: u128, marks: i64, last: bool) -> Job {
            let (call, recording) = (CallId(Uuid::from_u128(n)), RecordingId(Uuid::from_u128(9)));
            let given = self.given.entry(call).or_default();
            let mut bytes = Vec::new();
            if given.is_empty() {
                let start_us = 0;
                let header = Header {
                    call,
                    recording,
                    start_us,
                };
                capture::put_header(&mut bytes, &header);
            }
            for at_us in 0..marks {
                capture::put(&mut bytes, &Record::Mark { at_us });
            }
            let offset = given.len() as u64;
            given.extend_from_slice(&bytes);
            Job::of((call, recording), offset, bytes, last)
        }

        fn pass(&mut self, mut batch: Vec<Job>) {
            self.writer.write(&mut batch);
            self.writer.turn();
            assert!(batch.iter().all(|job| job.written && job.error.is_none()));
            self.retired.extend(self.writer.shared.retired());
        }

        /// What a kill at this moment would leave is all that was given, the retired logs gone or not.
        fn survives(&self) {
            let after = tempfile::tempdir().unwrap();
            for part in ["open", "log"] {
                let Ok(files) = std::fs::read_dir(self.dir.path().join(part)) else {
                    continue;
                };
                std::fs::create_dir_all(after.path().join(part)).unwrap();
                for file in files.flatten() {
                    if !self.retired.contains(&file.path()) {
                        let copy = after.path().join(part).join(file.file_name());
                        std::fs::copy(file.path(), copy).unwrap();
                    }
                }
            }
            let logs = log::left(&SystemDisk, after.path()).unwrap();
            log::say_again(&SystemDisk, after.path(), &logs).unwrap();
            for (call, bytes) in &self.given {
                let found = std::fs::read(capture_dir(after.path()).join(name(*call))).unwrap();
                assert!(found == *bytes, "{} of {} bytes", found.len(), bytes.len());
            }
        }

        fn logs(&self) -> usize {
            let all = log::left(&SystemDisk, self.dir.path()).unwrap();
            all.iter().filter(|log| !self.retired.contains(log)).count()
        }
    }

    #[test]
    fn a_kill_after_any_pass_finds_all_in_captures_and_logs_and_old_logs_go() {
        let mut rig = rig();
        for pass in 0..300 {
            // One loud call, nine that say little, one that says something once.
            let mut batch = vec![rig.job(1, 130, false)];
            for n in 2..11 {
                batch.push(rig.job(n, 1 + i64::from(pass % 3 == 0), false));
            }
            if pass == 7 {
                batch.push(rig.job(11, 1, false));
            }
            rig.pass(batch);
            if pass % 10 == 0 {
                rig.survives();
            }
            assert!(rig.logs() <= 2, "the log before the last is gone");
        }
        assert!(rig.retired.len() >= 4);
        for n in 1..12 {
            let last = rig.job(n, 1, true);
            rig.pass(vec![last]);
            rig.survives();
        }
        assert_eq!(rig.logs(), 0, "no call, no log");
        assert!(rig.writer.captures.is_empty() && rig.writer.old.is_empty());
    }

    #[test]
    fn without_a_log_everything_goes_into_the_captures() {
        let mut rig = rig();
        std::fs::write(log::log_dir(rig.dir.path()), "no directory").unwrap();
        let read = |dir: &Path, call: &CallId| std::fs::read(capture_dir(dir).join(name(*call)));
        for _ in 0..5 {
            let batch = vec![rig.job(1, 10, false), rig.job(2, 1, false)];
            rig.pass(batch);
            for (call, bytes) in &rig.given {
                assert_eq!(&read(rig.dir.path(), call).unwrap(), bytes);
            }
        }
        // The log comes back: what follows is in it.
        std::fs::remove_file(log::log_dir(rig.dir.path())).unwrap();
        let batch = vec![rig.job(1, 10, false), rig.job(2, 1, false)];
        rig.pass(batch);
        assert_eq!(rig.logs(), 1);
        rig.survives();
    }
}
