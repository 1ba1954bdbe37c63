//! The recorder: takes the media workers' taps and leaves one WAV per call, whatever happens in between.
//!
//! Owns three threads, their number the same for one call or a thousand, the open captures and the memory that waits
//! for the disk. Refuses to know legs, sockets and journals; it never makes a worker wait, and no worker ever wakes
//! it. Format: [`super::capture`] while the call lives, A-law WAV ([`super::wav`]) after it. See
//! docs/adr/0006-recording.md.
//!
//! ```text
//! workers --ring each--> recorder (every 96 ms) --batch--> recorder-disk    appends <dir>/log/<us>.log, makes and for
//!                           |                                                 long calls fills <dir>/open/<call>_<recording>.cap
//! plane --TapControl-->     |   ^------done------'
//!                           +--closed calls--> recorder-seal   writes <dir>/yyyy/mm/dd/<call>_<recording>.wav, syncs
//!                           '--events: Recording{Started | Sealed | Failed}, Alarm{recording.late | recording.failed}
//! ```

mod book;
pub mod disk;
mod drain;
mod health;
mod ledger;
mod log;
mod pieces;
mod render;
mod seal;
mod write;

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::tap::{TAP_RING_BYTES, TapControl, TapSender, tap};
use super::wav::{self, WavError, WavInfo};
use crate::clock::Clock;
use crate::id::{CallId, RecordingId};
use crate::switch::{InputKind, SealedRecording};
use crate::time::{Millis, Timestamp};
use disk::{Disk, SystemDisk};
use ledger::Ledger;
use pieces::Pieces;
pub use render::SealError;
pub use seal::{RepairReport, repair};

/// Audio that may wait in memory while the disk takes no writes: 10 minutes of 26 recorded two-party calls, 2 of
/// 120. Taken only when needed. Past it audio is lost, noted and alarmed.
pub const SPOOL_BYTES_MAX: usize = 256 * 1024 * 1024;
/// Controls waiting for the recorder, which reads them every 96 ms.
const CONTROLS_MAX: usize = 8192;

/// Why the recorder does not run. A bad disk is no reason: it starts and alarms.
#[derive(Debug, thiserror::Error)]
pub enum RecorderError {
    #[error("cannot start the thread {name}: {source}. Raise the limit of threads (ulimit -u)")]
    Thread {
        name: &'static str,
        source: std::io::Error,
    },
}

/// What a running recorder is made of, beside its directory.
#[derive(Copy, Clone, Debug)]
pub struct RecorderOptions {
    /// Media workers; a ring for each.
    pub workers: usize,
    /// See [`SPOOL_BYTES_MAX`].
    pub spool_bytes_max: usize,
}

/// Counters of the recorder. Frames and bytes are totals since the start.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct RecorderStats {
    pub frames: u64,
    /// Lost because [`RecorderOptions::spool_bytes_max`] was reached.
    pub frames_lost: u64,
    /// Of slots that no open recording has.
    pub frames_unknown: u64,
    /// Controls of calls that are not open, or are open already.
    pub controls_unknown: u64,
    pub bytes_written: u64,
    /// Waiting in memory now.
    pub spool_bytes: u64,
    /// Recordings not yet wholly on disk.
    pub calls_open: u64,
    /// Captures waiting to become WAVs.
    pub sealing: u64,
    pub sealed: u64,
    /// When the recorder last looked at its rings, microseconds since 1970. Older than a second: the thread is gone.
    pub last_pass_us: i64,
}

/// What the threads share: counters, and what one has to see of another that may be stuck.
#[derive(Debug, Default)]
struct Shared {
    frames: AtomicU64,
    frames_lost: AtomicU64,
    frames_unknown: AtomicU64,
    controls_unknown: AtomicU64,
    bytes_written: AtomicU64,
    spool_bytes: AtomicU64,
    calls_open: AtomicU64,
    sealing: AtomicU64,
    sealed: AtomicU64,
    last_pass_us: AtomicI64,
    /// The sealer is in a disk operation since; 0 = it is not.
    sealer_busy_us: AtomicI64,
    /// The recorder is late: the sealer should see whether the disk is well.
    probe_wanted: AtomicBool,
    sync_error: Mutex<Option<String>>,
    /// What the writer is refused beside the audio itself.
    trouble: Mutex<Option<String>>,
    ledger: Mutex<Ledger>,
    /// Microseconds since 1970 by which to be gone; 0 = run.
    stop_by_us: AtomicI64,
}

impl Shared {
    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note_trouble(&self, trouble: Option<String>) {
        let mut slot = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        *slot = trouble;
    }

    fn trouble(&self) -> Option<String> {
        let slot = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        slot.clone()
    }

    fn note_sync(&self, error: Option<std::io::Error>) {
        let mut slot = self
            .sync_error
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *slot = error.map(|e| e.to_string());
    }

    fn sync_error(&self) -> Option<String> {
        let slot = self
            .sync_error
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        slot.clone()
    }
}

/// What the workers and the plane get of a started recorder.
pub type RecorderParts = (Recorder, Vec<TapSender>, SyncSender<TapControl>);

/// The running recorder. Dropping it ends the threads and leaves open captures for the next start.
#[derive(Debug)]
pub struct Recorder {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Recorder {
    /// Start recording into `dir`, with a ring for each of `workers`. Captures that an earlier process left are
    /// sealed in the background and told like all others, so `events` must not be read before the switch has its
    /// `Started`. Order for the plane: `Start`, `Track`, and only then let the worker push frames of that slot.
    ///
    /// # Errors
    /// [`RecorderError`] when a thread cannot be started. A missing or broken directory is an alarm, not an error.
    pub fn start(
        dir: &Path,
        workers: usize,
        events: tokio::sync::mpsc::Sender<InputKind>,
    ) -> Result<RecorderParts, RecorderError> {
        let options = RecorderOptions {
            workers,
            spool_bytes_max: SPOOL_BYTES_MAX,
        };
        Self::start_on(Arc::new(SystemDisk), dir, options, events)
    }

    /// As [`Recorder::start`], on any disk.
    ///
    /// # Errors
    /// As [`Recorder::start`].
    pub fn start_on(
        disk: Arc<dyn Disk>,
        dir: &Path,
        options: RecorderOptions,
        events: tokio::sync::mpsc::Sender<InputKind>,
    ) -> Result<RecorderParts, RecorderError> {
        let shared = Arc::new(Shared::default());
        let (producers, rings) = (0..options.workers).map(|_| tap(TAP_RING_BYTES)).unzip();
        let (control, controls) = sync_channel(CONTROLS_MAX);
        let (batches_in, batches) = sync_channel(1);
        let (replies_in, replies) = sync_channel(1);
        let (jobs_in, jobs) = sync_channel(64);
        let (results_in, results) = sync_channel(64);
        let now = Clock::process().now().as_micros();
        shared.last_pass_us.store(now, Ordering::Relaxed);
        let left = disk
            .create_dirs(&capture_dir(dir))
            .and_then(|()| Ok((seal::unsealed(&*disk, dir)?, log::left(&*disk, dir)?)));
        let (captures, logs) = left.unwrap_or_else(|e| {
            shared.note_sync(Some(e));
            (Vec::new(), Vec::new())
        });
        let waiting: VecDeque<_> = captures
            .into_iter()
            .map(|path| (0, Closed::whole(path)))
            .collect();
        let writer = write::Writer::new(
            Arc::clone(&disk),
            dir.to_owned(),
            Arc::clone(&shared),
            batches,
            replies_in,
        );
        let drain = drain::Drain::new(drain::Parts {
            shared: Arc::clone(&shared),
            options,
            dir: dir.to_owned(),
            rings,
            controls,
            batches: batches_in,
            replies,
            jobs: jobs_in,
            results,
            sealing: waiting.len(),
            events,
        });
        let sealer = seal::Sealer {
            disk,
            dir: dir.to_owned(),
            shared: Arc::clone(&shared),
            jobs,
            results: results_in,
            waiting,
            logs,
            logs_from_us: 0,
            log_tries: 0,
        };
        // These two end when the recorder's ends of their channels are gone.
        spawn("recorder-disk", move || writer.run())?;
        spawn("recorder-seal", move || sealer.run())?;
        let thread = Some(spawn("recorder", move || drain.run())?);
        Ok((Self { shared, thread }, producers, control))
    }

    /// The counters now.
    #[must_use]
    pub fn stats(&self) -> RecorderStats {
        let shared = &self.shared;
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        RecorderStats {
            frames: read(&shared.frames),
            frames_lost: read(&shared.frames_lost),
            frames_unknown: read(&shared.frames_unknown),
            controls_unknown: read(&shared.controls_unknown),
            bytes_written: read(&shared.bytes_written),
            spool_bytes: read(&shared.spool_bytes),
            calls_open: read(&shared.calls_open),
            sealing: read(&shared.sealing),
            sealed: read(&shared.sealed),
            last_pass_us: shared.last_pass_us.load(Ordering::Relaxed),
        }
    }

    /// End every recording, write and seal everything, tell it, and stop. Blocks for at most `deadline`, so call it
    /// where blocking is allowed, while `events` is still being read. False when something had to be left: captures
    /// on disk are sealed by the next start, audio that the disk never took is told as failed.
    #[must_use]
    pub fn shutdown(mut self, deadline: Duration) -> bool {
        let by = Clock::process().now() + deadline;
        self.shared
            .stop_by_us
            .store(by.as_micros(), Ordering::Relaxed);
        let Some(thread) = self.thread.take() else {
            return false;
        };
        thread.thread().unpark();
        // The recorder's own thread never touches the disk, so it keeps its deadline.
        let ended = thread.join().is_ok();
        let left = self.stats();
        ended && left.calls_open == 0 && left.sealing == 0
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        if let Some(thread) = self.thread.take() {
            self.shared.stop_by_us.store(1, Ordering::Relaxed);
            thread.thread().unpark();
        }
    }
}

fn spawn(
    name: &'static str,
    run: impl FnOnce() + Send + 'static,
) -> Result<JoinHandle<()>, RecorderError> {
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(run)
        .map_err(|source| RecorderError::Thread { name, source })
}

/// A capture that nobody writes any more: the sealer's.
#[derive(Debug)]
struct Closed {
    path: PathBuf,
    /// What of it lies in logs.
    pieces: Pieces,
}

impl Closed {
    /// All of it is in its own file.
    fn whole(path: PathBuf) -> Self {
        let pieces = Pieces::default();
        Self { path, pieces }
    }
}

/// Where captures live. One flat directory, so that a start after a kill has one place to look.
fn capture_dir(dir: &Path) -> PathBuf {
    dir.join("open")
}

/// A call that goes on after a restart has a second recording: both names are needed.
fn stem(call: CallId, recording: RecordingId) -> String {
    format!("{call}_{recording}")
}

fn capture_name(call: CallId, recording: RecordingId) -> String {
    format!("{}.cap", stem(call, recording))
}

/// What a dead process left of a call's recording.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Left {
    /// A capture: the recorder's start seals it.
    Capture,
    /// The finished file, path under the recordings directory.
    Sealed(String),
    Nothing,
}

/// Look for what is left of a `recording` of `call`, which came in at `received`. For the time before
/// [`Recorder::start`]; blocks on the disk.
#[must_use]
pub fn left_of(dir: &Path, call: CallId, recording: RecordingId, received: Timestamp) -> Left {
    if capture_dir(dir)
        .join(capture_name(call, recording))
        .exists()
    {
        return Left::Capture;
    }
    // The file lies under the day on which the recording began: that of the arrival, or the next.
    let days = [received, received + Millis::from_secs(24 * 3600)];
    days.iter()
        .map(|at| render::path_of(call, recording, *at))
        .find(|path| dir.join(path).exists())
        .map_or(Left::Nothing, Left::Sealed)
}

/// Drop the capture of a sealed recording. Only once the seal is in the journal: a kill before it would leave a WAV of
/// which nobody knows parties, gaps and hash; with the capture the next start makes the same WAV and tells it again.
/// Blocks on the disk.
///
/// # Errors
/// The operating system's; a capture that is gone already is none.
pub fn drop_capture(dir: &Path, sealed: &SealedRecording) -> std::io::Result<()> {
    let Some(stem) = Path::new(&sealed.path).file_stem() else {
        return Ok(());
    };
    let capture = capture_dir(dir).join(stem).with_extension("cap");
    match std::fs::remove_file(capture) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// Why a recording cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum WavFileError {
    #[error("{}: {source}", path.display())]
    Disk {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("{}: {source}", path.display())]
    Wav { path: PathBuf, source: WavError },
}

/// Channels, length and place of the samples of a sealed recording.
///
/// # Errors
/// [`WavFileError`] when the file cannot be read or is no WAV.
pub fn wav_info(path: &Path) -> Result<WavInfo, WavFileError> {
    let disk = |source| WavFileError::Disk {
        path: path.to_owned(),
        source,
    };
    let mut head = Vec::with_capacity(4096);
    let file = std::fs::File::open(path).map_err(disk)?;
    std::io::Read::read_to_end(&mut std::io::Read::take(file, 4096), &mut head).map_err(disk)?;
    wav::parse(&head).map_err(|source| WavFileError::Wav {
        path: path.to_owned(),
        source,
    })
}
