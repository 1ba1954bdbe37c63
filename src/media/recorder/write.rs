//! The writer: the only thread that writes logs and captures. It takes one batch at a time and gives it back with what
//! became of each job; when the disk stalls it stalls, and the recorder goes on collecting.
//!
//! ```text
//! batch -> all of it in one write to the log; per call it is noted where
//! log of LOG_BYTES, or no call left: the next log
//! more than LOGS_LEFT: what open captures have in older ones goes into their files, twice what a batch brings
//! old log that nobody needs (ledger): the sealer removes it after its next sync
//! ```
//! A log that cannot be written is left, and the batch goes into the captures themselves.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, SyncSender};

use super::book::Job;
use super::disk::{Disk, DiskFile, OpenMode, write_all_at};
use super::log::{self, LogId, PIECE_BYTES_MAX, Place};
use super::pieces::{Piece, Pieces};
use super::{Shared, capture_dir, capture_name};
use crate::clock::Clock;

/// A log is left for the next at this size: 14 s of 120 two-party calls, half an hour of one.
const LOG_BYTES: u64 = 32 * 1024 * 1024;
/// So many logs wait for the end of the calls they have pieces of: with the one being written 110 s of 120 calls.
const LOGS_LEFT: usize = 7;
/// Brought into captures per batch so that older logs can go; or twice what the batch has, so that it keeps up.
const SETTLED_BYTES: usize = 256 * 1024;

/// What may be refused beside the audio itself.
const LOG: &str = "write the log in";
const SETTLE: &str = "bring captures up to date from";

pub(super) struct Writer {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    shared: Arc<Shared>,
    batches: Receiver<Vec<Job>>,
    replies: SyncSender<Vec<Job>>,
    /// The open captures, each at its job's place.
    captures: Vec<Option<Capture>>,
    log: Option<Log>,
    /// See [`LOG_BYTES`].
    log_bytes: u64,
    /// What goes into the log in this pass, and of which job what begins where in it.
    out: Vec<u8>,
    logged: Vec<(usize, u64)>,
    /// Bytes of all jobs that are on the disk.
    written: u64,
    /// Where to go on with settling.
    settle_from: usize,
    /// What [`Writer::say`] said last.
    trouble: Option<(&'static str, String)>,
    /// Whether the ledger knows which logs the open captures need.
    told: bool,
}

/// The log that is being written.
struct Log {
    id: LogId,
    file: Box<dyn DiskFile>,
    end: u64,
}

/// An open capture.
struct Capture {
    file: Box<dyn DiskFile>,
    pieces: Pieces,
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
            captures: Vec::new(),
            log: None,
            log_bytes: LOG_BYTES,
            out: Vec::new(),
            logged: Vec::new(),
            written: 0,
            settle_from: 0,
            trouble: None,
            told: true,
        }
    }

    /// Run until the recorder is gone.
    pub(super) fn run(mut self) {
        while let Ok(mut batch) = self.batches.recv() {
            self.write(&mut batch);
            self.turn();
            let shared = &self.shared;
            shared.bytes_written.store(self.written, Ordering::Relaxed);
            if self.replies.send(batch).is_err() {
                return;
            }
        }
    }

    fn write(&mut self, batch: &mut [Job]) {
        self.out.clear();
        self.logged.clear();
        for (n, job) in batch.iter_mut().enumerate() {
            let end = self.out.len();
            match guarded(|| self.take(job)) {
                Ok(true) => self.note(job),
                Ok(false) => {
                    let at = self.out.len() - job.bytes.len();
                    self.logged.push((n, at as u64));
                }
                Err(error) => {
                    self.out.truncate(end);
                    job.error = Some(error);
                }
            }
        }
        if self.logged.is_empty() {
            return;
        }
        let log = guarded(|| self.write_log());
        if log.is_err() {
            self.leave_log();
        }
        self.say(LOG, log.as_ref().err());
        let logged = std::mem::take(&mut self.logged);
        for (n, at) in &logged {
            let Some(job) = batch.get_mut(*n) else {
                continue;
            };
            let done = match &log {
                Ok((log, from)) => {
                    self.keep(job, *log, from + at);
                    Ok(())
                }
                Err(_) => guarded(|| self.write_capture(job)),
            };
            match done {
                Ok(()) => self.note(job),
                Err(error) => job.error = Some(error),
            }
        }
        self.logged = logged;
    }

    fn note(&mut self, job: &mut Job) {
        job.written = true;
        self.written += job.bytes.len() as u64;
        if !job.last {
            return;
        }
        let Some(capture) = self.captures.get_mut(job.place).and_then(Option::take) else {
            return;
        };
        if let (Some(from), Some(to)) = (capture.pieces.oldest(), capture.pieces.newest()) {
            let name = capture_name(job.call, job.recording);
            let path = capture_dir(&self.dir).join(name);
            self.shared.ledger().close(path, from..=to);
        }
        job.pieces = capture.pieces;
        self.told = false;
    }

    /// Open the capture of a job that is its first. One too long for a piece is written into it (true); others are put
    /// with what goes into the log.
    fn take(&mut self, job: &Job) -> io::Result<bool> {
        if self.captures.len() <= job.place {
            self.captures.resize_with(job.place + 1, || None);
        }
        if self.captures.get(job.place).is_none_or(Option::is_none) {
            let capture = self.open(job)?;
            if let Some(place) = self.captures.get_mut(job.place) {
                *place = Some(capture);
            }
        }
        if job.bytes.len() > PIECE_BYTES_MAX {
            self.write_capture(job)?;
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

    /// Note where the log has a job's bytes.
    fn keep(&mut self, job: &Job, log: LogId, at: u64) {
        let Some(capture) = self.captures.get_mut(job.place).and_then(Option::as_mut) else {
            return;
        };
        self.told &= capture.pieces.oldest().is_some();
        capture.pieces.push(Piece {
            log,
            at,
            offset: job.offset,
            len: job.bytes.len(),
        });
    }

    fn write_capture(&self, job: &Job) -> io::Result<()> {
        match self.captures.get(job.place) {
            Some(Some(capture)) => write_all_at(&*capture.file, &job.bytes, job.offset),
            _ => Err(io::ErrorKind::NotFound.into()),
        }
    }

    /// Append the pass to the log; gives the log and where in it the pass begins.
    fn write_log(&mut self) -> io::Result<(LogId, u64)> {
        if self.log.is_none() {
            self.log = Some(self.open_log()?);
        }
        let Some(log) = &mut self.log else {
            return Err(io::ErrorKind::NotFound.into());
        };
        // Where the last write that the disk refused may have begun: what it left is written over.
        let from = log.end;
        write_all_at(&*log.file, &self.out, from)?;
        log.end += self.out.len() as u64;
        Ok((log.id, from))
    }

    fn open_log(&self) -> io::Result<Log> {
        let dir = log::log_dir(&self.dir);
        let mut id = LogId(Clock::process().now().as_micros());
        loop {
            let file = self.open_in(&dir, &log::log_path(&self.dir, id))?;
            // A clock that was set back: an earlier process may have had this name.
            if file.size()? == 0 {
                return Ok(Log { id, file, end: 0 });
            }
            id.0 += 1;
        }
    }

    fn open(&self, job: &Job) -> io::Result<Capture> {
        let dir = capture_dir(&self.dir);
        let path = dir.join(capture_name(job.call, job.recording));
        Ok(Capture {
            file: self.open_in(&dir, &path)?,
            pieces: Pieces::default(),
        })
    }

    fn open_in(&self, dir: &Path, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        match self.disk.open(path, OpenMode::Append) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                self.disk.create_dirs(dir)?;
                self.disk.open(path, OpenMode::Append)
            }
            other => other,
        }
    }

    /// The next pass begins another log. One that has nothing goes on, so that a disk which refuses every pass gets no
    /// file for each.
    fn leave_log(&mut self) {
        if let Some(log) = self.log.take_if(|log| log.end > 0) {
            self.shared.ledger().leave(log.id);
        }
    }

    /// Let old logs go, and go on to the next when it is time. The ledger knows what open captures need before a log
    /// is left to it.
    fn turn(&mut self) {
        let beyond = self.shared.ledger().beyond(LOGS_LEFT);
        match beyond {
            Some(until) => self.settle(until),
            None => self.say(SETTLE, None),
        }
        if !self.told {
            let open = self.captures.iter().flatten();
            let oldest = open.filter_map(|capture| capture.pieces.oldest()).min();
            self.shared.ledger().open_from(oldest);
            self.told = true;
        }
        let idle = !self.captures.iter().any(Option::is_some);
        let is_full = |log: &Log| log.end >= self.log_bytes || idle;
        if self.log.as_ref().is_some_and(is_full) {
            self.leave_log();
        }
    }

    /// Write what open captures have in logs up to `until` into their files. One that is refused is tried again at the
    /// next turn, behind the others.
    fn settle(&mut self, until: LogId) {
        let mut left = SETTLED_BYTES.max(2 * self.out.len());
        let places = self.captures.len();
        let (mut refused, from) = (None, self.settle_from);
        for n in 0..places {
            let place = (from + n) % places;
            let Some(Some(capture)) = self.captures.get_mut(place) else {
                continue;
            };
            let Some(oldest) = capture.pieces.oldest().filter(|log| *log <= until) else {
                continue;
            };
            let path = log::log_path(&self.dir, oldest);
            let done = guarded(|| {
                let log = self.disk.open(&path, OpenMode::Read)?;
                capture.pieces.settle(&*log, &*capture.file, left)
            });
            self.told = false;
            self.settle_from = place + 1;
            let bytes = done.unwrap_or_else(|error| {
                refused = Some(error);
                0
            });
            // Each costs a sync, however little it has.
            left = left.saturating_sub(bytes.max(SETTLED_BYTES / 4));
            if left == 0 {
                break;
            }
        }
        self.say(SETTLE, refused.as_ref());
    }

    /// Tell an operator what is refused but costs nothing yet, and when it is no more.
    fn say(&mut self, what: &'static str, error: Option<&io::Error>) {
        let of_what = self.trouble.as_ref().is_some_and(|(of, _)| *of == what);
        match error {
            Some(error) => self.trouble = Some((what, error.to_string())),
            None if of_what => self.trouble = None,
            None => return,
        }
        let dir = log::log_dir(&self.dir);
        let text =
            |(what, error): &(_, String)| format!("cannot {what} {}: {error}", dir.display());
        self.shared.note_trouble(self.trouble.as_ref().map(text));
    }
}

/// A fault in one call's job costs that job at most a try.
fn guarded<T>(f: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    catch_unwind(AssertUnwindSafe(f))
        .unwrap_or_else(|_| Err(io::Error::other("a fault of the recorder's own")))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::mpsc::sync_channel;

    use uuid::Uuid;

    use super::super::disk::SystemDisk;
    use super::*;
    use crate::id::{CallId, RecordingId};
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
        writer.log_bytes = 20_000;
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
        fn job(&mut self, n: usize, marks: i64, last: bool) -> Job {
            let (call, recording) = (
                CallId(Uuid::from_u128(n as u128)),
                RecordingId(Uuid::from_u128(9)),
            );
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
            Job::of(n, (call, recording), offset, bytes, last)
        }

        fn pass(&mut self, mut batch: Vec<Job>) {
            self.writer.write(&mut batch);
            self.writer.turn();
            assert!(batch.iter().all(|job| job.written && job.error.is_none()));
            let mut ledger = self.writer.shared.ledger();
            let mut gone = ledger.closed();
            gone.retain(|capture| !capture.exists());
            let free = ledger.free(&gone);
            let paths = free.iter().map(|log| log::log_path(self.dir.path(), *log));
            self.retired.extend(paths);
        }

        /// Its seal is in the journal.
        fn drop_capture(&mut self, n: usize) {
            let call = CallId(Uuid::from_u128(n as u128));
            std::fs::remove_file(capture_dir(self.dir.path()).join(name(call))).unwrap();
            self.given.remove(&call);
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
            for log in &logs {
                log::say_again(&SystemDisk, after.path(), log, log::Reading::Whole).unwrap();
            }
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
            assert!(rig.logs() <= LOGS_LEFT + 2, "the oldest log is gone");
        }
        assert!(rig.retired.len() > 20);
        for n in 1..12 {
            let last = rig.job(n, 1, true);
            rig.pass(vec![last]);
            rig.survives();
        }
        assert!(rig.logs() > LOGS_LEFT, "nothing is sealed yet");
        for n in 1..12 {
            rig.drop_capture(n);
            rig.pass(Vec::new());
            rig.survives();
        }
        assert_eq!(rig.logs(), 0, "no capture, no log");
        assert!(rig.writer.captures.iter().all(Option::is_none));
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
