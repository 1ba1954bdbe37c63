//! The writer: one thread, one connection, one transaction per batch.
//!
//! ```text
//! idle -> batch -> write -> committed -> (log long? fold it in, beside) -> (segment full? seal it) -> idle
//!                    `-> failed: keep the batch, pause, look what is on the disk, write the rest -> ...
//! ```

use std::fs::File;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use sqlx::{Connection as _, SqliteConnection};
use tokio::sync::watch;

use super::chain::Chain;
use super::recover::{self, End, snapshot_hash};
use super::replay::signed;
use super::segment::{self, Meta, SegmentInfo, Tip};
use super::spool::{Batch, Row, SnapshotRow};
use super::{JournalError, Shared, log, seal};
use crate::clock::Clock;
use crate::time::Timestamp;

/// Pause between attempts while the disk fails.
const RETRY_EVERY: Duration = Duration::from_millis(200);
/// A closing journal tries this long to get its last entries to the disk.
const CLOSE_WITHIN: Duration = Duration::from_secs(5);
/// Pages that a commit touches beside those its own bytes fill (measured: 8 with them).
const PAGES_PER_COMMIT: u64 = 7;
const PAGE_BYTES: u64 = 4096;
/// Snapshots kept per segment beside its first one.
const SNAPSHOTS_KEPT: i64 = 2;

/// What the writer begins with.
pub(super) struct Start {
    /// Held as long as the writer lives.
    pub(super) lock: File,
    pub(super) end: End,
    pub(super) committed_input: watch::Sender<u64>,
    pub(super) committed_event: watch::Sender<u64>,
}

pub(super) fn start(
    shared: Arc<Shared>,
    start: Start,
) -> Result<std::thread::JoinHandle<()>, JournalError> {
    let runtime = recover::runtime()?;
    let tip = Tip {
        seq: *start.committed_input.borrow(),
        event_seq: *start.committed_event.borrow(),
        chain: start.end.chain,
    };
    let dir = shared.dir.clone();
    let mut writer = Writer {
        shared,
        start,
        segment: None,
        tip,
        sealing: None,
    };
    std::thread::Builder::new()
        .name("journal".to_owned())
        .spawn(move || {
            while let Some(batch) = writer.shared.spool.take() {
                if !writer.put(&runtime, &batch) {
                    break;
                }
            }
            writer.finish(&runtime);
        })
        .map_err(JournalError::io(dir))
}

/// The segment being written.
struct Open {
    info: SegmentInfo,
    connection: Option<SqliteConnection>,
    opened_at: Timestamp,
    /// Pages in the log since it was folded in last, estimated. (Its size on the disk tells nothing: it is written over
    /// from its beginning and never shrinks.)
    log_pages: u64,
    folding: log::Folding,
    room: log::Room,
    /// A write failed since the log was folded in last: it may hold frames that never became valid.
    uncertain: bool,
}

struct Writer {
    shared: Arc<Shared>,
    start: Start,
    segment: Option<Open>,
    /// What is on the disk for certain.
    tip: Tip,
    /// The sealing of the segment before runs beside the writing.
    sealing: Option<std::thread::JoinHandle<()>>,
}

impl Writer {
    /// Get a batch to the disk, however long it takes; false when the journal was closed before it got there.
    fn put(&mut self, runtime: &tokio::runtime::Runtime, batch: &Batch) -> bool {
        let mut closing_since = None;
        loop {
            match runtime.block_on(self.write(batch)) {
                Ok(tip) => {
                    self.committed(batch, tip);
                    runtime.block_on(self.tidy());
                    return true;
                }
                Err(error) => self.failed(&error),
            }
            if self.shared.spool.is_closing() {
                let now = Clock::process().now();
                let since = *closing_since.get_or_insert(now);
                if now.since(since) > CLOSE_WITHIN {
                    let entries = self.shared.spool.status(self.tip.seq).spooled;
                    tracing::error!(
                        entries,
                        "the journal was closed before its last entries got to the disk"
                    );
                    return false;
                }
                std::thread::sleep(RETRY_EVERY / 4);
            } else {
                self.shared.spool.pause(RETRY_EVERY);
            }
        }
    }

    fn failed(&mut self, error: &JournalError) {
        tracing::error!(%error, "the journal cannot be written; entries wait in memory");
        self.shared.spool.failed(error.to_string());
        let give_up = error.is_corruption();
        if let Some(open) = &mut self.segment {
            open.connection = None;
            open.uncertain = true;
        }
        if give_up {
            // What is in it can still be read by whoever repairs it; the entries in hand go to a new segment.
            self.segment = None;
        }
    }

    fn committed(&mut self, batch: &Batch, tip: Tip) {
        self.tip = tip;
        let bytes = self.shared.spool.done(batch);
        if let Some(open) = &mut self.segment {
            open.log_pages += PAGES_PER_COMMIT + bytes / (PAGE_BYTES / 2);
        }
        self.start.committed_event.send_replace(tip.event_seq);
        self.start.committed_input.send_replace(tip.seq);
    }

    /// Write `batch` in one transaction; returns where the journal ends then.
    async fn write(&mut self, batch: &Batch) -> Result<Tip, JournalError> {
        let full = self.shared.options.faults.before_commit()?;
        let build = self.shared.options.build.clone();
        let before = self.tip;
        let on_disk = self.connect(batch).await?;
        let Some(open) = &mut self.segment else {
            return Ok(before);
        };
        let path = open.info.path.clone();
        open.log_pages = open.folding.pages_left(open.log_pages);
        let Some(connection) = &mut open.connection else {
            return Ok(before);
        };
        limit_pages(connection, full)
            .await
            .map_err(JournalError::database(&path))?;
        let written = async {
            let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
            let mut tip = on_disk;
            let mut rows = batch
                .rows
                .iter()
                .filter(|row| row.seq > on_disk.seq)
                .peekable();
            // A snapshot stands directly behind the entry it includes.
            if let Some(snapshot) = &batch.snapshot {
                while let Some(row) = rows.next_if(|row| row.seq <= snapshot.seq) {
                    tip = insert(&mut transaction, tip, row).await?;
                }
                if tip.seq == snapshot.seq {
                    insert_snapshot(&mut transaction, tip, &build, snapshot).await?;
                }
            }
            for row in rows {
                tip = insert(&mut transaction, tip, row).await?;
            }
            transaction.commit().await?;
            Ok(tip)
        };
        written.await.map_err(JournalError::database(&path))
    }

    /// Have a connection; returns what is on the disk, which after a failed commit may be more than was known.
    async fn connect(&mut self, batch: &Batch) -> Result<Tip, JournalError> {
        match &mut self.segment {
            Some(open) if open.connection.is_some() => Ok(self.tip),
            Some(open) => {
                let path = open.info.path.clone();
                let mut connection = segment::open_for_writing(&path, false).await?;
                let tip = segment::read_tip(&mut connection, &path).await?;
                let last = batch.rows.last().map_or(self.tip.seq, |row| row.seq);
                if tip != self.tip && tip.seq != last {
                    return Err(JournalError::Damaged {
                        path,
                        seq: tip.seq,
                        what: format!("the last entry was {} a moment ago", self.tip.seq),
                    });
                }
                open.connection = Some(connection);
                Ok(tip)
            }
            None => self.begin_segment().await,
        }
    }

    async fn begin_segment(&mut self) -> Result<Tip, JournalError> {
        let now = Clock::process().now();
        let ordinal = self.start.end.ordinal + 1;
        let path = self.shared.dir.join(segment::file_name(now, ordinal));
        let meta = Meta {
            build: self.shared.options.build.clone(),
            previous: self.start.end.previous.clone(),
            previous_chain: self.start.end.chain,
            first_seq: self.tip.seq + 1,
            first_event_seq: self.tip.event_seq + 1,
            created_at: now.as_micros(),
        };
        let connection = match segment::create(&path, &meta).await {
            Ok(connection) => connection,
            Err(error) => {
                // Half a segment holds no entry; the next attempt makes a whole one.
                for half in [segment::wal_path(&path), path.clone()] {
                    drop(std::fs::remove_file(half));
                }
                return Err(error);
            }
        };
        sync_dir(&self.shared.dir);
        self.start.end.ordinal = ordinal;
        self.tip.chain = meta.chain();
        let info = SegmentInfo {
            ordinal,
            path,
            first_seq: meta.first_seq,
            first_event_seq: meta.first_event_seq,
        };
        self.shared
            .segments
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .push(info.clone());
        self.segment = Some(Open {
            info,
            connection: Some(connection),
            opened_at: now,
            log_pages: 0,
            folding: log::Folding::default(),
            room: log::Room::default(),
            uncertain: false,
        });
        Ok(self.tip)
    }

    /// After a commit: keep the log short, and begin a new segment when this one is old or large.
    async fn tidy(&mut self) {
        let Some(open) = &mut self.segment else {
            return;
        };
        let Some(connection) = &mut open.connection else {
            return;
        };
        let path = &open.info.path;
        let here = match open.folding.due(open.log_pages) {
            _ if open.uncertain => Some("PRAGMA wal_checkpoint(TRUNCATE)"),
            log::Due::Not => None,
            log::Due::Beside => {
                open.folding.start(path, open.log_pages);
                None
            }
            log::Due::Here => Some("PRAGMA wal_checkpoint(PASSIVE)"),
        };
        if let Some(sql) = here {
            open.log_pages = 0;
            open.folding = log::Folding::Idle;
            match sqlx::query(sql).execute(connection).await {
                Ok(_) => open.uncertain = false,
                Err(error) => tracing::warn!(%error, "the journal's log is not folded in yet"),
            }
        }
        open.room.make(path);
        let age = Clock::process().now().since(open.opened_at);
        let options = &self.shared.options;
        let bytes = file_bytes(&open.info.path) + open.log_pages * PAGE_BYTES;
        if bytes >= options.segment_bytes_max || age >= options.segment_age_max {
            self.close_segment().await;
        }
    }

    /// Fold the log in, end the segment and seal it beside the writing.
    async fn close_segment(&mut self) {
        let Some(mut open) = self.segment.take() else {
            return;
        };
        open.folding.wait();
        let path = open.info.path;
        let file_name = path
            .file_name()
            .map(|name| name.to_string_lossy().into_owned());
        self.start.end.previous = file_name.unwrap_or_default();
        self.start.end.chain = self.tip.chain;
        let Some(connection) = open.connection else {
            return;
        };
        if let Err(error) = fold_in(connection).await {
            tracing::warn!(%error, segment = %path.display(), "the segment stays unsealed");
            return;
        }
        self.wait_for_seal();
        let tip = self.tip;
        let sealing = std::thread::Builder::new()
            .name("journal-seal".to_owned())
            .spawn(move || {
                if let Err(error) = seal::write(&path, tip) {
                    tracing::warn!(%error, "the segment stays unsealed");
                }
            });
        self.sealing = sealing.ok();
    }

    fn wait_for_seal(&mut self) {
        if let Some(sealing) = self.sealing.take()
            && sealing.join().is_err()
        {
            tracing::error!("sealing a segment panicked");
        }
    }

    fn finish(&mut self, runtime: &tokio::runtime::Runtime) {
        runtime.block_on(self.close_segment());
        self.wait_for_seal();
        drop(self.start.lock.unlock());
    }
}

async fn insert(
    connection: &mut SqliteConnection,
    tip: Tip,
    row: &Row,
) -> Result<Tip, sqlx::Error> {
    let (seq, lost) = (signed(row.seq), signed(row.lost_before));
    let mut chain = tip
        .chain
        .link(b'I', &[seq, row.at, lost], &[row.json.as_bytes()]);
    sqlx::query(
        "INSERT INTO inputs (seq, at, lost_before, json, chain) VALUES ($1, $2, $3, $4, $5)",
    )
    .bind(seq)
    .bind(row.at)
    .bind(lost)
    .bind(&row.json)
    .bind(chain.0.as_slice())
    .execute(&mut *connection)
    .await?;
    let mut event_seq = tip.event_seq;
    for event in &row.events {
        chain = link_event(chain, seq, event);
        sqlx::query(
            "INSERT INTO events (seq, input_seq, id, call, callseq, json, chain) VALUES ($1, $2, $3, $4, $5, $6, $7)",
        )
        .bind(signed(event.seq))
        .bind(seq)
        .bind(&event.id)
        .bind(event.call.as_deref())
        .bind(signed(event.callseq))
        .bind(&event.json)
        .bind(chain.0.as_slice())
        .execute(&mut *connection)
        .await?;
        event_seq = event.seq;
    }
    Ok(Tip {
        seq: row.seq,
        event_seq,
        chain,
    })
}

fn link_event(before: Chain, input_seq: i64, event: &super::spool::EventRow) -> Chain {
    before.link(
        b'E',
        &[signed(event.seq), input_seq, signed(event.callseq)],
        &[
            event.id.as_bytes(),
            event.call.as_deref().unwrap_or_default().as_bytes(),
            event.json.as_bytes(),
        ],
    )
}

async fn insert_snapshot(
    connection: &mut SqliteConnection,
    tip: Tip,
    build: &str,
    snapshot: &SnapshotRow,
) -> Result<(), sqlx::Error> {
    let hash = snapshot_hash(tip, build, snapshot.json.as_bytes());
    sqlx::query(
        "INSERT OR REPLACE INTO snapshots (seq, event_seq, chain, at, build, json, hash) \
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(signed(tip.seq))
    .bind(signed(tip.event_seq))
    .bind(tip.chain.0.as_slice())
    .bind(snapshot.at)
    .bind(build)
    .bind(&snapshot.json)
    .bind(hash.0.as_slice())
    .execute(&mut *connection)
    .await?;
    // The first one lets a segment be read alone; of the others the newest are enough.
    sqlx::query(
        "DELETE FROM snapshots WHERE seq NOT IN (SELECT min(seq) FROM snapshots) \
         AND seq NOT IN (SELECT seq FROM snapshots ORDER BY seq DESC LIMIT $1)",
    )
    .bind(SNAPSHOTS_KEPT)
    .execute(connection)
    .await?;
    Ok(())
}

/// A planted full disk: SQLite may not grow the file beyond what it has.
async fn limit_pages(connection: &mut SqliteConnection, full: bool) -> Result<(), sqlx::Error> {
    if full {
        sqlx::query("PRAGMA max_page_count = 1")
            .execute(connection)
            .await?;
    }
    Ok(())
}

async fn fold_in(mut connection: SqliteConnection) -> Result<(), sqlx::Error> {
    let row = sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)")
        .fetch_one(&mut connection)
        .await?;
    let busy: i64 = sqlx::Row::try_get(&row, 0)?;
    connection.close().await?;
    if busy == 0 {
        Ok(())
    } else {
        Err(sqlx::Error::Protocol(
            "a reader holds the log of the segment".to_owned(),
        ))
    }
}

fn file_bytes(path: &std::path::Path) -> u64 {
    std::fs::metadata(path).map_or(0, |meta| meta.len())
}

/// A new file's name must survive a power cut, too.
fn sync_dir(dir: &std::path::Path) {
    if let Err(error) = File::open(dir).and_then(|dir| dir.sync_all()) {
        tracing::warn!(%error, "the journal's directory cannot be synced");
    }
}
