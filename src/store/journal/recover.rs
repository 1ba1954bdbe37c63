//! What an earlier process left: the newest whole snapshot and the Inputs after it.

use std::future::Future;
use std::path::Path;

use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, SqliteConnection};

use super::chain::Chain;
use super::replay::{Rows, signed};
use super::segment::{self, Meta, SegmentInfo, Tip};
use super::{JournalError, wal};
use crate::switch::Input;

/// After a damaged segment the numbers leap, so that no cursor ever meets a number twice.
const LEAP: u64 = 1_000_000;

/// The state of the switch after entry `seq`, as the given build wrote it.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot {
    pub seq: u64,
    pub build: String,
    pub value: serde_json::Value,
}

/// What an earlier process left.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Recovered {
    pub snapshot: Option<Snapshot>,
    /// The Inputs after the snapshot, oldest first.
    pub tail: Vec<Input>,
    /// Number of the last entry; 0 in an empty journal.
    pub last_seq: u64,
    /// Number of the last Event; 0 in an empty journal.
    pub last_event_seq: u64,
    /// What could not be read, and where; the tail then ends or has a hole there.
    pub truncated: Option<String>,
}

/// Recovered, and what the writer needs to go on.
pub(super) struct Found {
    pub(super) recovered: Recovered,
    pub(super) segments: Vec<SegmentInfo>,
    pub(super) end: End,
}

/// Where the next segment joins on.
#[derive(Clone, Debug)]
pub(super) struct End {
    pub(super) previous: String,
    pub(super) chain: Chain,
    pub(super) ordinal: u32,
}

/// Run `work` on a runtime and thread of its own, so that callers may be inside a runtime or not.
pub(super) fn blocking<T, F, W>(work: W) -> Result<T, JournalError>
where
    T: Send,
    F: Future<Output = Result<T, JournalError>>,
    W: FnOnce() -> F + Send,
{
    std::thread::scope(|scope| {
        scope
            .spawn(|| runtime()?.block_on(work()))
            .join()
            .unwrap_or_else(|_| {
                Err(JournalError::Io {
                    path: "journal".into(),
                    source: std::io::Error::other("the reading thread panicked"),
                })
            })
    })
}

pub(super) fn runtime() -> Result<tokio::runtime::Runtime, JournalError> {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .map_err(JournalError::io("journal"))
}

/// Read what is in `dir`; changes nothing there.
pub(super) fn recover(dir: &Path) -> Result<Found, JournalError> {
    blocking(|| async { Recovery::default().run(dir).await })
}

#[derive(Default)]
struct Recovery {
    segments: Vec<SegmentInfo>,
    metas: Vec<Meta>,
    notes: Vec<String>,
    damaged: bool,
}

impl Recovery {
    async fn run(mut self, dir: &Path) -> Result<Found, JournalError> {
        let files = segment::list(dir)?;
        let ordinal = files.last().map_or(0, |(ordinal, _)| *ordinal);
        for (ordinal, path) in files {
            match facts(&path).await {
                Ok(meta) => {
                    self.segments.push(SegmentInfo {
                        ordinal,
                        path,
                        first_seq: meta.first_seq,
                        first_event_seq: meta.first_event_seq,
                    });
                    self.metas.push(meta);
                }
                Err(error) => self.note(&error),
            }
        }
        let (first, placed) = self.newest_snapshot().await;
        let (snapshot, from) = placed.unzip();
        let mut recovered = Recovered {
            snapshot,
            ..Recovered::default()
        };
        let tip = self.read_tail(first, from, &mut recovered.tail).await;
        recovered.last_seq = tip.seq;
        recovered.last_event_seq = tip.event_seq;
        if self.damaged {
            recovered.last_seq += LEAP;
            recovered.last_event_seq += LEAP;
        }
        recovered.truncated = (!self.notes.is_empty()).then(|| self.notes.join("; "));
        let previous = self.segments.last().and_then(|s| s.path.file_name());
        let end = End {
            previous: previous.map_or_else(String::new, |name| name.to_string_lossy().into_owned()),
            chain: tip.chain,
            ordinal,
        };
        Ok(Found {
            recovered,
            segments: self.segments,
            end,
        })
    }

    fn note(&mut self, error: &JournalError) {
        tracing::error!(%error, "a part of the journal cannot be read");
        self.damaged = true;
        self.notes.push(error.to_string());
    }

    /// The newest whole snapshot and the index of the segment that holds it.
    async fn newest_snapshot(&mut self) -> (usize, Option<Placed>) {
        for index in (0..self.segments.len()).rev() {
            let Some(info) = self.segments.get(index) else {
                continue;
            };
            match snapshot_of(&info.path).await {
                Ok(Some(placed)) => return (index, Some(placed)),
                Ok(None) => {}
                Err(error) => self.note(&error),
            }
        }
        (0, None)
    }

    /// Collect the Inputs from segment `first` on, after `from`; returns where the journal ends.
    async fn read_tail(&mut self, first: usize, from: Option<Tip>, tail: &mut Vec<Input>) -> Tip {
        let mut from = from;
        let mut tip = Tip {
            seq: 0,
            event_seq: 0,
            chain: Chain::START,
        };
        for index in first..self.segments.len() {
            let (Some(info), Some(meta)) = (
                self.segments.get(index).cloned(),
                self.metas.get(index).cloned(),
            ) else {
                continue;
            };
            let start = from.take().unwrap_or_else(|| meta.before_first_row());
            match self.read_segment(&info, start, tail).await {
                Ok(end) => tip = end,
                Err((end, error)) => {
                    tip = end;
                    self.note(&error);
                }
            }
            match wal::damage(&info.path) {
                Ok(None) => {}
                Ok(Some(what)) => self.note(&JournalError::Damaged {
                    path: info.path.clone(),
                    seq: tip.seq + 1,
                    what,
                }),
                Err(error) => self.note(&error),
            }
        }
        tip
    }

    async fn read_segment(
        &mut self,
        info: &SegmentInfo,
        start: Tip,
        tail: &mut Vec<Input>,
    ) -> Result<Tip, (Tip, JournalError)> {
        let mut connection = segment::open_read_only(&info.path)
            .await
            .map_err(|error| (start, error))?;
        let mut rows = Rows::new(&info.path, &mut connection, start);
        loop {
            let before = rows.tip;
            let entry = match rows.next().await {
                Ok(Some(entry)) => entry,
                Ok(None) => return Ok(rows.tip),
                Err(error) => return Err((before, error)),
            };
            if entry.lost_before > 0 {
                self.notes.push(
                    JournalError::Lost {
                        path: info.path.clone(),
                        seq: entry.seq,
                        entries: entry.lost_before,
                    }
                    .to_string(),
                );
            }
            match entry.decode(&info.path) {
                Ok(entry) => tail.push(entry.input),
                // Another build's words; the numbers and the chain go on.
                Err(error) => self.notes.push(error.to_string()),
            }
        }
    }
}

async fn facts(path: &Path) -> Result<Meta, JournalError> {
    let mut connection = segment::open_read_only(path).await?;
    segment::read_meta(&mut connection, path).await
}

async fn snapshot_of(path: &Path) -> Result<Option<Placed>, JournalError> {
    let mut connection = segment::open_read_only(path).await?;
    whole_snapshot(&mut connection, path, false).await
}

/// A whole snapshot and where the rows behind it join on.
pub(super) type Placed = (Snapshot, Tip);

/// The hash that a snapshot row carries.
pub(super) fn snapshot_hash(tip: Tip, build: &str, json: &[u8]) -> Chain {
    tip.chain.link(
        b'S',
        &[signed(tip.seq), signed(tip.event_seq)],
        &[build.as_bytes(), json],
    )
}

/// The first whole snapshot of a segment (`first`), or the newest whole one.
pub(super) async fn whole_snapshot(
    connection: &mut SqliteConnection,
    path: &Path,
    first: bool,
) -> Result<Option<Placed>, JournalError> {
    let sql = if first {
        "SELECT seq, event_seq, chain, build, json, hash FROM snapshots ORDER BY seq"
    } else {
        "SELECT seq, event_seq, chain, build, json, hash FROM snapshots ORDER BY seq DESC"
    };
    let rows = sqlx::query(sql)
        .fetch_all(&mut *connection)
        .await
        .map_err(JournalError::database(path))?;
    for row in rows {
        if let Some(found) = read_snapshot(&row) {
            return Ok(Some(found));
        }
        tracing::error!(segment = %path.display(), "a snapshot is damaged; another one is used");
    }
    Ok(None)
}

/// `None` when it does not fit its hash.
fn read_snapshot(row: &SqliteRow) -> Option<Placed> {
    let seq: i64 = row.try_get(0).ok()?;
    let event_seq: i64 = row.try_get(1).ok()?;
    let chain: Vec<u8> = row.try_get(2).ok()?;
    let build: String = row.try_get(3).ok()?;
    let json: Vec<u8> = row.try_get(4).ok()?;
    let hash: Vec<u8> = row.try_get(5).ok()?;
    let tip = Tip {
        seq: seq.unsigned_abs(),
        event_seq: event_seq.unsigned_abs(),
        chain: Chain::from_slice(&chain)?,
    };
    if snapshot_hash(tip, &build, &json).0.as_slice() != hash {
        return None;
    }
    let value = serde_json::from_slice(&json).ok()?;
    let seq = tip.seq;
    Some((Snapshot { seq, build, value }, tip))
}
