//! Reading a journal again, row by row, with the chain checked.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, SqliteConnection};

use super::chain::Chain;
use super::recover::Snapshot;
use super::segment::{self, Meta, Tip};
use super::{JournalError, recover, seal, wal};
use crate::switch::{Event, Input};

/// Rows fetched at once.
const PAGE: i64 = 500;
/// Entries read ahead of the consumer.
const AHEAD: usize = 256;

/// One entry as it was journaled.
#[derive(Clone, Debug, PartialEq)]
pub struct ReplayedEntry {
    pub seq: u64,
    pub input: Input,
    pub events: Vec<Event>,
}

/// The entries of one segment file or of a whole directory, in order. After [`JournalError::Lost`] it goes on, after
/// any other error it has ended.
#[derive(Debug)]
pub struct Replay {
    start: Option<Snapshot>,
    entries: Option<Receiver<Result<ReplayedEntry, JournalError>>>,
    reader: Option<std::thread::JoinHandle<()>>,
}

impl Replay {
    /// The state to begin with: `None` for the empty one. The first entry yielded is the one after it.
    #[must_use]
    pub fn start(&self) -> Option<&Snapshot> {
        self.start.as_ref()
    }
}

impl Iterator for Replay {
    type Item = Result<ReplayedEntry, JournalError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.entries.as_ref()?.recv().ok()
    }
}

impl Drop for Replay {
    fn drop(&mut self) {
        // The reader ends at its next entry when nobody takes it.
        self.entries = None;
        if let Some(reader) = self.reader.take() {
            drop(reader.join());
        }
    }
}

/// Read the journal at `path`, a directory or one segment file, from its first entry on. Every row is verified
/// against the chain, and a sealed file against its seal. A journal whose first entry is not number 1 begins at its
/// first snapshot; the entries before that are verified, not yielded. Nothing is written.
///
/// # Errors
/// [`JournalError::NoSegment`] when nothing is there; later errors come as items and name file, entry and what.
pub fn replay(path: &Path) -> Result<Replay, JournalError> {
    let files = if path.is_dir() {
        segment::list(path)?
            .into_iter()
            .map(|(_, path)| path)
            .collect()
    } else {
        vec![path.to_owned()]
    };
    let first = files
        .first()
        .cloned()
        .ok_or_else(|| JournalError::NoSegment {
            path: path.to_owned(),
        })?;
    if !first.exists() {
        return Err(JournalError::NoSegment { path: first });
    }
    let start = match recover::blocking(|| async { first_snapshot(&first).await }) {
        Ok(start) => start,
        Err(error) => return Err(with_seal(&first, error)),
    };
    let from = start.as_ref().map_or(0, |snapshot| snapshot.seq);
    let (sender, entries) = sync_channel(AHEAD);
    let reader = std::thread::Builder::new()
        .name("journal-replay".to_owned())
        .spawn(move || run(&files, from, &sender))
        .map_err(JournalError::io(path))?;
    Ok(Replay {
        start,
        entries: Some(entries),
        reader: Some(reader),
    })
}

/// `error`, with the bytes that the seal of `path` finds changed.
fn with_seal(path: &Path, error: JournalError) -> JournalError {
    match seal::check(path) {
        Ok(seal::Verdict::Damaged { what }) => JournalError::Damaged {
            path: path.to_owned(),
            seq: 0,
            what: format!("{what}; {error}"),
        },
        Ok(seal::Verdict::Sound { .. } | seal::Verdict::Unsealed) | Err(_) => error,
    }
}

/// The snapshot to begin with when the first file is not the journal's beginning.
async fn first_snapshot(path: &Path) -> Result<Option<Snapshot>, JournalError> {
    let mut connection = segment::open_read_only(path).await?;
    let meta = segment::read_meta(&mut connection, path).await?;
    if meta.first_seq == 1 {
        return Ok(None);
    }
    let placed = recover::whole_snapshot(&mut connection, path, true).await?;
    Ok(placed.map(|(snapshot, _)| snapshot))
}

fn run(files: &[PathBuf], from: u64, sender: &SyncSender<Result<ReplayedEntry, JournalError>>) {
    let runtime = match recover::runtime() {
        Ok(runtime) => runtime,
        Err(error) => return drop(sender.send(Err(error))),
    };
    let mut tip = None;
    for file in files {
        let mut walk = Walk::new(file, sender, from);
        match runtime.block_on(walk.segment(tip)) {
            Ok(Some(end)) => tip = Some(end),
            Ok(None) => return,
            Err(error) => return drop(sender.send(Err(walk.name_the_seal(error)))),
        }
    }
}

/// One pass over one segment.
struct Walk<'a> {
    path: &'a Path,
    sender: &'a SyncSender<Result<ReplayedEntry, JournalError>>,
    from: u64,
    /// What the seal found wrong.
    broken_seal: Option<String>,
}

impl<'a> Walk<'a> {
    fn new(
        path: &'a Path,
        sender: &'a SyncSender<Result<ReplayedEntry, JournalError>>,
        from: u64,
    ) -> Self {
        Self {
            path,
            sender,
            from,
            broken_seal: None,
        }
    }

    fn damaged(&self, seq: u64, what: impl Into<String>) -> JournalError {
        JournalError::Damaged {
            path: self.path.to_owned(),
            seq,
            what: what.into(),
        }
    }

    /// Add the bytes that the seal found to the row at which they show.
    fn name_the_seal(&self, error: JournalError) -> JournalError {
        let Some(bytes) = &self.broken_seal else {
            return error;
        };
        match error {
            JournalError::Damaged { path, seq, what } => JournalError::Damaged {
                path,
                seq,
                what: format!("{what} ({bytes})"),
            },
            other @ (JournalError::Locked { .. }
            | JournalError::Io { .. }
            | JournalError::Database { .. }
            | JournalError::Planted(_)
            | JournalError::NoSegment { .. }
            | JournalError::Lost { .. }) => self.damaged(0, format!("{bytes}; {other}")),
        }
    }

    /// `None` when the consumer is gone.
    async fn segment(&mut self, before: Option<Tip>) -> Result<Option<Tip>, JournalError> {
        let verdict = seal::check(self.path)?;
        if let seal::Verdict::Damaged { what } = &verdict {
            self.broken_seal = Some(what.clone());
        }
        let mut connection = segment::open_read_only(self.path).await?;
        let meta = segment::read_meta(&mut connection, self.path).await?;
        if let Some(before) = before {
            self.follows(&meta, before)?;
        }
        let mut rows = Rows::new(self.path, &mut connection, meta.before_first_row());
        let mut tip = rows.tip;
        while let Some(entry) = rows.next().await? {
            tip = rows.tip;
            if entry.lost_before > 0 && !self.send(Err(self.lost(&entry))) {
                return Ok(None);
            }
            let decoded = entry.decode(self.path)?;
            if decoded.seq > self.from && !self.send(Ok(decoded)) {
                return Ok(None);
            }
        }
        self.ends_whole(&verdict, tip)?;
        Ok(Some(tip))
    }

    fn send(&self, item: Result<ReplayedEntry, JournalError>) -> bool {
        self.sender.send(item).is_ok()
    }

    fn lost(&self, entry: &RawEntry) -> JournalError {
        JournalError::Lost {
            path: self.path.to_owned(),
            seq: entry.seq,
            entries: entry.lost_before,
        }
    }

    fn follows(&self, meta: &Meta, before: Tip) -> Result<(), JournalError> {
        if meta.previous_chain != before.chain {
            return Err(self.damaged(0, "the segment before it does not end as this one found it"));
        }
        if meta.first_seq != before.seq + 1 {
            let expected = before.seq + 1;
            return Err(self.damaged(
                meta.first_seq,
                format!("the segment begins here where entry {expected} was expected"),
            ));
        }
        Ok(())
    }

    fn ends_whole(&self, verdict: &seal::Verdict, tip: Tip) -> Result<(), JournalError> {
        match verdict {
            seal::Verdict::Sound { last_seq, chain } => {
                if *last_seq == tip.seq && *chain == tip.chain.to_hex() {
                    Ok(())
                } else {
                    Err(self.damaged(
                        tip.seq,
                        format!("the seal says entry {last_seq} is the last"),
                    ))
                }
            }
            seal::Verdict::Damaged { .. } => Err(self.damaged(
                tip.seq,
                "every row reads well, but the file is not as it was",
            )),
            seal::Verdict::Unsealed => match wal::damage(self.path)? {
                Some(what) if !is_being_written(self.path) => Err(self.damaged(tip.seq, what)),
                Some(_) | None => Ok(()),
            },
        }
    }
}

/// Whether a process keeps this journal now; then its log is in motion.
fn is_being_written(segment: &Path) -> bool {
    segment.parent().is_some_and(segment::is_locked)
}

/// An entry whose link was right, not yet decoded.
pub(super) struct RawEntry {
    pub(super) seq: u64,
    pub(super) lost_before: u64,
    json: Vec<u8>,
    events: Vec<(u64, Vec<u8>)>,
}

impl RawEntry {
    pub(super) fn decode(&self, path: &Path) -> Result<ReplayedEntry, JournalError> {
        let damaged = |what: String| JournalError::Damaged {
            path: path.to_owned(),
            seq: self.seq,
            what,
        };
        let input = serde_json::from_slice(&self.json)
            .map_err(|error| damaged(format!("this build cannot read the input: {error}")))?;
        let mut events = Vec::with_capacity(self.events.len());
        for (seq, json) in &self.events {
            events.push(serde_json::from_slice(json).map_err(|error| {
                damaged(format!("this build cannot read event {seq}: {error}"))
            })?);
        }
        Ok(ReplayedEntry {
            seq: self.seq,
            input,
            events,
        })
    }
}

/// The rows of a segment with their links checked, entry by entry.
pub(super) struct Rows<'a> {
    path: &'a Path,
    connection: &'a mut SqliteConnection,
    /// After the entry yielded last.
    pub(super) tip: Tip,
    inputs: VecDeque<SqliteRow>,
    events: VecDeque<SqliteRow>,
    last_event_fetched: u64,
    events_at_end: bool,
}

impl<'a> Rows<'a> {
    /// The rows after `tip`.
    pub(super) fn new(path: &'a Path, connection: &'a mut SqliteConnection, tip: Tip) -> Self {
        Self {
            path,
            connection,
            tip,
            inputs: VecDeque::new(),
            events: VecDeque::new(),
            last_event_fetched: tip.event_seq,
            events_at_end: false,
        }
    }

    fn damaged(&self, what: impl Into<String>) -> JournalError {
        JournalError::Damaged {
            path: self.path.to_owned(),
            seq: self.tip.seq + 1,
            what: what.into(),
        }
    }

    /// A row that SQLite itself cannot read any more is damage at this place.
    fn unreadable(&self, error: &sqlx::Error) -> JournalError {
        self.damaged(format!("cannot be read: {error}"))
    }

    async fn fetch(&mut self) -> Result<(), JournalError> {
        if self.inputs.is_empty() {
            self.inputs = sqlx::query(
                "SELECT seq, at, lost_before, json, chain FROM inputs WHERE seq > $1 ORDER BY seq LIMIT $2",
            )
            .bind(signed(self.tip.seq))
            .bind(PAGE)
            .fetch_all(&mut *self.connection)
            .await
            .map_err(|error| self.unreadable(&error))?
            .into();
        }
        if self.events.is_empty() && !self.events_at_end {
            self.fetch_events().await?;
        }
        Ok(())
    }

    async fn fetch_events(&mut self) -> Result<(), JournalError> {
        self.events = sqlx::query(
            "SELECT seq, input_seq, id, call, callseq, json, chain FROM events WHERE seq > $1 ORDER BY seq LIMIT $2",
        )
        .bind(signed(self.last_event_fetched))
        .bind(PAGE)
        .fetch_all(&mut *self.connection)
        .await
        .map_err(|error| self.unreadable(&error))?
        .into();
        match self.events.back() {
            Some(row) => {
                let seq: i64 = row.try_get(0).map_err(|error| self.unreadable(&error))?;
                self.last_event_fetched = seq.unsigned_abs();
            }
            None => self.events_at_end = true,
        }
        Ok(())
    }

    /// The next entry; `None` at the end of the segment.
    pub(super) async fn next(&mut self) -> Result<Option<RawEntry>, JournalError> {
        self.fetch().await?;
        let Some(row) = self.inputs.pop_front() else {
            if self.events.is_empty() {
                return Ok(None);
            }
            return Err(self.damaged("events without their input"));
        };
        let mut entry = self.input(&row)?;
        let (mut chain, mut event_seq) = (self.link_input(&row)?, self.tip.event_seq);
        loop {
            if self.events.is_empty() && !self.events_at_end {
                self.fetch_events().await?;
            }
            let Some(row) = self.events.front() else {
                break;
            };
            let of_input: i64 = row.try_get(1).map_err(|error| self.unreadable(&error))?;
            if of_input > signed(entry.seq) {
                break;
            }
            let (json, link) = self.link_event(row, chain, event_seq + 1, entry.seq)?;
            event_seq += 1;
            chain = link;
            entry.events.push((event_seq, json));
            self.events.pop_front();
        }
        self.tip = Tip {
            seq: entry.seq,
            event_seq,
            chain,
        };
        Ok(Some(entry))
    }

    fn input(&self, row: &SqliteRow) -> Result<RawEntry, JournalError> {
        let seq: i64 = row.try_get(0).map_err(|error| self.unreadable(&error))?;
        let lost: i64 = row.try_get(2).map_err(|error| self.unreadable(&error))?;
        if seq != signed(self.tip.seq + 1) {
            return Err(self.damaged(format!("missing; the next one is {seq}")));
        }
        Ok(RawEntry {
            seq: seq.unsigned_abs(),
            lost_before: lost.unsigned_abs(),
            json: row.try_get(3).map_err(|error| self.unreadable(&error))?,
            events: Vec::new(),
        })
    }

    fn link_input(&self, row: &SqliteRow) -> Result<Chain, JournalError> {
        let read = |index: usize| row.try_get::<i64, _>(index);
        let unreadable = |error: sqlx::Error| self.unreadable(&error);
        let numbers = [
            read(0).map_err(unreadable)?,
            read(1).map_err(unreadable)?,
            read(2).map_err(unreadable)?,
        ];
        let json: Vec<u8> = row.try_get(3).map_err(unreadable)?;
        let stored: Vec<u8> = row.try_get(4).map_err(unreadable)?;
        let link = self.tip.chain.link(b'I', &numbers, &[&json]);
        if stored == link.0 {
            Ok(link)
        } else {
            Err(self.damaged("the input does not fit its hash"))
        }
    }

    fn link_event(
        &self,
        row: &SqliteRow,
        before: Chain,
        expected: u64,
        input: u64,
    ) -> Result<(Vec<u8>, Chain), JournalError> {
        let unreadable = |error: sqlx::Error| self.unreadable(&error);
        let seq: i64 = row.try_get(0).map_err(unreadable)?;
        let of_input: i64 = row.try_get(1).map_err(unreadable)?;
        if seq != signed(expected) || of_input != signed(input) {
            return Err(self.damaged(format!(
                "event {seq} of entry {of_input} stands where event {expected} was expected"
            )));
        }
        let id: Vec<u8> = row.try_get(2).map_err(unreadable)?;
        let call: Option<Vec<u8>> = row.try_get(3).map_err(unreadable)?;
        let callseq: i64 = row.try_get(4).map_err(unreadable)?;
        let json: Vec<u8> = row.try_get(5).map_err(unreadable)?;
        let stored: Vec<u8> = row.try_get(6).map_err(unreadable)?;
        let call = call.unwrap_or_default();
        let link = before.link(b'E', &[seq, of_input, callseq], &[&id, &call, &json]);
        if stored == link.0 {
            Ok((json, link))
        } else {
            Err(self.damaged(format!("its event {seq} does not fit its hash")))
        }
    }
}

/// SQLite numbers are signed; ours never reach the sign.
pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
