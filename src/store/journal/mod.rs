//! The journal (流水): every Input and the Events it produced, in one order, on the local disk.
//!
//! ```text
//! append -> RAM spool -> writer thread: one transaction per batch, fsync -> committed
//!              |              `-> disk full, read-only, stalled: the spool holds on, in order; status() tells
//!              `-> spool full (10 min at the rated load): the new entry is dropped, counted, marked in the next row
//! segment: open -> (a day or 1 GiB, or the process ends) -> sealed;  process died -> left as it is, never written again
//! ```
//! Segments are SQLite files (WAL, synchronous=FULL) in one directory; each process starts a new one. Rows carry a
//! running BLAKE3 hash, a sealed file also a hash of every 16 KiB block. Refuses to know: what an Input means.

mod chain;
mod error;
mod faults;
mod log;
mod reader;
mod recover;
mod replay;
mod seal;
mod segment;
mod spool;
mod wal;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::{Arc, RwLock};
use std::time::Duration;

use tokio::sync::watch;

pub use error::JournalError;
pub use faults::{Fault, Faults};
pub use reader::EventReader;
pub use recover::{Recovered, Snapshot};
pub use replay::{Replay, ReplayedEntry, replay};
pub use spool::JournalStatus;

use crate::switch::{Event, Input};
use segment::SegmentInfo;
use spool::Spool;

/// A closing journal is waited for 10 s: its last entries, the folding of the log, the seal.
const CLOSE_POLLS: u32 = 2000;
const CLOSE_POLL: Duration = Duration::from_millis(5);

/// One Input and the Events it produced.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    pub input: Input,
    pub events: Vec<Event>,
}

/// How a journal is kept. [`JournalOptions::new`] has the values for a centre.
#[derive(Clone, Debug)]
pub struct JournalOptions {
    /// Build that writes, kept in each segment and snapshot.
    pub build: String,
    /// Entries held in memory while the disk is late: 10 minutes at the rated load.
    pub spool_entries_max: usize,
    /// Bytes of JSON held in memory while the disk is late.
    pub spool_bytes_max: usize,
    /// A segment that reaches this size is sealed and the next one begun.
    pub segment_bytes_max: u64,
    /// So is one of this age.
    pub segment_age_max: Duration,
    /// Planted disk faults (tests only).
    pub faults: Faults,
}

impl JournalOptions {
    /// The usual bounds.
    #[must_use]
    pub fn new(build: &str) -> Self {
        Self {
            build: build.to_owned(),
            spool_entries_max: 200_000,
            spool_bytes_max: 256 * 1024 * 1024,
            segment_bytes_max: 1024 * 1024 * 1024,
            segment_age_max: Duration::from_secs(24 * 60 * 60),
            faults: Faults::default(),
        }
    }
}

/// The journal of this process. Dropping it writes what is left, seals the segment and ends the thread
/// (blocks for 10 s at most).
#[derive(Debug)]
pub struct Journal {
    shared: Arc<Shared>,
    writer: Option<std::thread::JoinHandle<()>>,
}

/// What the journal's handle, its writer and its readers share.
#[derive(Debug)]
struct Shared {
    dir: PathBuf,
    id: String,
    options: JournalOptions,
    spool: Spool,
    /// Oldest first. The last one may be the open one.
    segments: RwLock<Vec<SegmentInfo>>,
    committed_input: watch::Receiver<u64>,
    committed_event: watch::Receiver<u64>,
}

impl Journal {
    /// Open the journal in `dir` (made when missing) and recover what earlier processes left. Blocks; call it at start.
    ///
    /// # Errors
    /// [`JournalError::Locked`] when another process keeps this journal, [`JournalError::Io`] when the directory
    /// cannot be made or read. A damaged or full disk is no error: `Recovered::truncated` and `status` tell.
    pub fn open(dir: &Path, options: JournalOptions) -> Result<(Self, Recovered), JournalError> {
        let lock = segment::lock_dir(dir)?;
        let found = recover::recover(dir)?;
        let (input_tx, input_rx) = watch::channel(found.recovered.last_seq);
        let (event_tx, event_rx) = watch::channel(found.recovered.last_event_seq);
        let shared = Arc::new(Shared {
            dir: dir.to_owned(),
            id: segment::journal_id(dir)?,
            spool: Spool::new(
                found.recovered.last_seq + 1,
                found.recovered.last_event_seq + 1,
                options.spool_entries_max,
                options.spool_bytes_max,
            ),
            options,
            segments: RwLock::new(found.segments),
            committed_input: input_rx,
            committed_event: event_rx,
        });
        let writer = writer::start(
            Arc::clone(&shared),
            writer::Start {
                lock,
                end: found.end,
                committed_input: input_tx,
                committed_event: event_tx,
            },
        )?;
        let journal = Self {
            shared,
            writer: Some(writer),
        };
        Ok((journal, found.recovered))
    }

    /// Hand entries over, in order. Never blocks on the disk and never fails; see [`Journal::status`].
    pub fn append(&self, entries: Vec<Entry>) -> Ticket {
        self.shared.options.faults.before_append();
        Ticket {
            seq: self.shared.spool.append(entries),
            committed: self.shared.committed_input.clone(),
        }
    }

    /// Keep `value` as the state after everything appended so far. Only the newest waiting snapshot is written.
    pub fn snapshot(&self, value: &serde_json::Value) {
        self.shared.spool.snapshot(value);
    }

    /// Number of the last appended entry.
    #[must_use]
    pub fn last_seq(&self) -> u64 {
        self.shared.spool.last_seq()
    }

    /// How far the disk is.
    #[must_use]
    pub fn status(&self) -> JournalStatus {
        let mut status = self
            .shared
            .spool
            .status(*self.shared.committed_input.borrow());
        if self
            .writer
            .as_ref()
            .is_none_or(std::thread::JoinHandle::is_finished)
        {
            status.last_error = Some("the journal's writer thread has ended".to_owned());
        }
        status
    }

    /// A reader of the committed Events of all segments, with connections of its own.
    #[must_use]
    pub fn reader(&self) -> EventReader {
        EventReader::new(Arc::clone(&self.shared))
    }

    /// Wait until everything appended so far is on the disk; returns its number. Waits as long as the disk fails.
    pub async fn flush(&self) -> u64 {
        let seq = self.last_seq();
        Ticket {
            seq,
            committed: self.shared.committed_input.clone(),
        }
        .committed()
        .await;
        seq
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.shared.spool.close();
        let Some(writer) = self.writer.take() else {
            return;
        };
        // A disk that hangs must not keep the process from ending.
        for _ in 0..CLOSE_POLLS {
            if writer.is_finished() {
                break;
            }
            std::thread::sleep(CLOSE_POLL);
        }
        if !writer.is_finished() {
            let entries = self.shared.spool.status(0).spooled;
            tracing::error!(
                entries,
                "the disk hangs; the last entries of the journal are given up"
            );
        } else if writer.join().is_err() {
            tracing::error!("the journal's writer thread panicked");
        }
    }
}

/// The receipt of an append.
#[derive(Clone, Debug)]
pub struct Ticket {
    seq: u64,
    committed: watch::Receiver<u64>,
}

impl Ticket {
    /// Number of the last entry appended up to this receipt.
    #[must_use]
    pub fn seq(&self) -> u64 {
        self.seq
    }

    /// Done when the entries are on the disk; never, when they cannot get there any more.
    pub async fn committed(mut self) {
        let seq = self.seq;
        if self.committed.wait_for(|done| *done >= seq).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// True when the entries were on the disk within `span`.
    pub async fn committed_within(self, span: Duration) -> bool {
        tokio::time::timeout(span, self.committed()).await.is_ok()
    }

    /// Whether the entries are on the disk now.
    #[must_use]
    pub fn is_committed(&self) -> bool {
        *self.committed.borrow() >= self.seq
    }
}
