//! One segment file: its name, its first page of facts, how it is made, read and written.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteRow, SqliteSynchronous};
use sqlx::{ConnectOptions, Row as _, SqliteConnection};

use super::JournalError;
use super::chain::Chain;
use super::seal;
use crate::time::Timestamp;

/// Version of the segment's tables.
const SCHEMA: &str = "1";
const LOCK_FILE: &str = "LOCK";
const ID_FILE: &str = "ID";

/// Which rows a segment begins with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SegmentInfo {
    /// Grows by one with each segment of the directory.
    pub(super) ordinal: u32,
    pub(super) path: PathBuf,
    pub(super) first_seq: u64,
    pub(super) first_event_seq: u64,
}

/// The facts in `meta`, which are the first link of the segment's chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Meta {
    pub(super) build: String,
    /// File name of the segment before; empty for the first one.
    pub(super) previous: String,
    /// That one's last link as its follower read it.
    pub(super) previous_chain: Chain,
    pub(super) first_seq: u64,
    pub(super) first_event_seq: u64,
    pub(super) created_at: i64,
}

impl Meta {
    fn facts(&self) -> [(&'static str, String); 7] {
        [
            ("schema", SCHEMA.to_owned()),
            ("build", self.build.clone()),
            ("previous", self.previous.clone()),
            ("previous_chain", self.previous_chain.to_hex()),
            ("first_seq", self.first_seq.to_string()),
            ("first_event_seq", self.first_event_seq.to_string()),
            ("created_at", self.created_at.to_string()),
        ]
    }

    /// The first link of the segment.
    pub(super) fn chain(&self) -> Chain {
        let facts = self.facts();
        let texts: Vec<&[u8]> = facts.iter().map(|(_, value)| value.as_bytes()).collect();
        self.previous_chain.link(b'M', &[], &texts)
    }

    /// Where the segment's rows begin.
    pub(super) fn before_first_row(&self) -> Tip {
        Tip {
            seq: self.first_seq.saturating_sub(1),
            event_seq: self.first_event_seq.saturating_sub(1),
            chain: self.chain(),
        }
    }
}

/// Keep other processes away from `dir` (made when missing) as long as the file is open.
pub(super) fn lock_dir(dir: &Path) -> Result<File, JournalError> {
    std::fs::create_dir_all(dir).map_err(JournalError::io(dir))?;
    let path = dir.join(LOCK_FILE);
    let file = File::options()
        .create(true)
        .append(true)
        .open(&path)
        .map_err(JournalError::io(&path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(JournalError::Locked {
            dir: dir.to_owned(),
        }),
        Err(TryLockError::Error(source)) => Err(JournalError::Io { path, source }),
    }
}

/// What tells the journal in `dir` from any other; made with it.
pub(super) fn journal_id(dir: &Path) -> Result<String, JournalError> {
    let path = dir.join(ID_FILE);
    match std::fs::read_to_string(&path) {
        Ok(id) if !id.trim().is_empty() => return Ok(id.trim().to_owned()),
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(JournalError::io(&path)(error)),
    }
    let id = uuid::Uuid::now_v7().to_string();
    if let Err(error) = std::fs::write(&path, &id) {
        // On a full disk each start takes the journal for a new one: records are folded again, none is lost.
        tracing::warn!(%error, "the journal's id cannot be written");
    }
    Ok(id)
}

/// Whether a process keeps the journal in `dir` now. Changes nothing.
pub(super) fn is_locked(dir: &Path) -> bool {
    File::open(dir.join(LOCK_FILE))
        .is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
}

/// `journal-20261122T003000-7.db`
pub(super) fn file_name(at: Timestamp, ordinal: u32) -> String {
    let time: String = at
        .rfc3339()
        .chars()
        .take(19)
        .filter(|c| *c != '-' && *c != ':')
        .collect();
    format!("journal-{time}-{ordinal}.db")
}

fn ordinal_of(path: &Path) -> Option<u32> {
    let name = path.file_name()?.to_str()?;
    let (_, ordinal) = name
        .strip_prefix("journal-")?
        .strip_suffix(".db")?
        .rsplit_once('-')?;
    ordinal.parse().ok()
}

/// The segment files of `dir`, oldest first.
pub(super) fn list(dir: &Path) -> Result<Vec<(u32, PathBuf)>, JournalError> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(JournalError::io(dir))? {
        let path = entry.map_err(JournalError::io(dir))?.path();
        if let Some(ordinal) = ordinal_of(&path) {
            found.push((ordinal, path));
        }
    }
    found.sort();
    Ok(found)
}

/// `journal.db` + `-wal`: the file that SQLite keeps beside it.
pub(super) fn wal_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push("-wal");
    PathBuf::from(name)
}

fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .busy_timeout(Duration::from_secs(5))
        .disable_statement_logging()
}

/// Open for reading. A file that nobody writes any more is read as it lies there, so that reading changes nothing.
pub(super) async fn open_read_only(path: &Path) -> Result<SqliteConnection, JournalError> {
    let no_wal = std::fs::metadata(wal_path(path)).map_or(true, |wal| wal.len() == 0);
    let options = options(path).read_only(true);
    let options = if no_wal && seal::path(path).exists() {
        options.immutable(true)
    } else {
        options
    };
    match options.connect().await {
        Ok(connection) => Ok(connection),
        // A copy on read-only ground: without a log beside it the file is whole.
        Err(_) if no_wal => options
            .immutable(true)
            .connect()
            .await
            .map_err(JournalError::database(path)),
        Err(error) => Err(JournalError::database(path)(error)),
    }
}

/// Make a new segment.
pub(super) async fn create(path: &Path, meta: &Meta) -> Result<SqliteConnection, JournalError> {
    let failed = || JournalError::database(path);
    let mut connection = open_for_writing(path, true).await?;
    let mut transaction = sqlx::Connection::begin(&mut connection)
        .await
        .map_err(failed())?;
    sqlx::raw_sql(include_str!("../../../schema/sql/journal/segment.sql"))
        .execute(&mut *transaction)
        .await
        .map_err(failed())?;
    for (key, value) in meta.facts() {
        sqlx::query("INSERT INTO meta (key, value) VALUES ($1, $2)")
            .bind(key)
            .bind(value)
            .execute(&mut *transaction)
            .await
            .map_err(failed())?;
    }
    transaction.commit().await.map_err(failed())?;
    Ok(connection)
}

/// Open a segment of this very process for writing.
pub(super) async fn open_for_writing(
    path: &Path,
    create: bool,
) -> Result<SqliteConnection, JournalError> {
    options(path)
        .create_if_missing(create)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        // The writer moves the log into the file itself, after it has told that the batch is committed.
        .pragma("wal_autocheckpoint", "0")
        .connect()
        .await
        .map_err(JournalError::database(path))
}

/// Read the facts.
pub(super) async fn read_meta(
    connection: &mut SqliteConnection,
    path: &Path,
) -> Result<Meta, JournalError> {
    let rows = sqlx::query("SELECT key, value FROM meta")
        .fetch_all(&mut *connection)
        .await
        .map_err(JournalError::database(path))?;
    let mut facts = std::collections::BTreeMap::new();
    for row in rows {
        let key: String = row.try_get(0).map_err(JournalError::database(path))?;
        let value: String = row.try_get(1).map_err(JournalError::database(path))?;
        facts.insert(key, value);
    }
    let damaged = |key: &str| JournalError::Damaged {
        path: path.to_owned(),
        seq: 0,
        what: format!("meta {key} is missing or unreadable"),
    };
    let text = |key: &str| facts.get(key).cloned().ok_or_else(|| damaged(key));
    let number = |key: &str| text(key)?.parse::<u64>().map_err(|_| damaged(key));
    if text("schema")? != SCHEMA {
        return Err(damaged("schema"));
    }
    Ok(Meta {
        build: text("build")?,
        previous: text("previous")?,
        previous_chain: Chain::from_hex(&text("previous_chain")?)
            .ok_or_else(|| damaged("previous_chain"))?,
        first_seq: number("first_seq")?,
        first_event_seq: number("first_event_seq")?,
        created_at: text("created_at")?
            .parse()
            .map_err(|_| damaged("created_at"))?,
    })
}

/// Where a segment's rows end.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) struct Tip {
    pub(super) seq: u64,
    pub(super) event_seq: u64,
    pub(super) chain: Chain,
}

/// The last rows as they stand, unverified.
pub(super) async fn read_tip(
    connection: &mut SqliteConnection,
    path: &Path,
) -> Result<Tip, JournalError> {
    let meta = read_meta(&mut *connection, path).await?;
    let last = |row: Option<SqliteRow>| -> Result<Option<(u64, u64, Chain)>, JournalError> {
        let Some(row) = row else { return Ok(None) };
        let failed = || JournalError::database(path);
        let seq: i64 = row.try_get(0).map_err(failed())?;
        let input: i64 = row.try_get(1).map_err(failed())?;
        let bytes: Vec<u8> = row.try_get(2).map_err(failed())?;
        let chain = Chain::from_slice(&bytes).ok_or_else(|| JournalError::Damaged {
            path: path.to_owned(),
            seq: input.unsigned_abs(),
            what: "its hash has not 32 bytes".to_owned(),
        })?;
        Ok(Some((seq.unsigned_abs(), input.unsigned_abs(), chain)))
    };
    let input = sqlx::query("SELECT seq, seq, chain FROM inputs ORDER BY seq DESC LIMIT 1")
        .fetch_optional(&mut *connection)
        .await
        .map_err(JournalError::database(path))?;
    let event = sqlx::query("SELECT seq, input_seq, chain FROM events ORDER BY seq DESC LIMIT 1")
        .fetch_optional(&mut *connection)
        .await
        .map_err(JournalError::database(path))?;
    let (input, event) = (last(input)?, last(event)?);
    let start = meta.before_first_row();
    let seq = input.map_or(start.seq, |(seq, _, _)| seq);
    let event_seq = event.map_or(start.event_seq, |(seq, _, _)| seq);
    // The chain runs input, its events, next input: the last link is the last event's if it belongs to the last input.
    let chain = match (input, event) {
        (Some(_), Some((_, of_input, chain))) if of_input == seq => chain,
        (Some((_, _, chain)), _) => chain,
        (None, _) => start.chain,
    };
    Ok(Tip {
        seq,
        event_seq,
        chain,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_are_named_by_time_and_sorted_by_number() {
        let name = file_name(Timestamp::from_micros(1_763_771_400_150_999), 12);
        assert_eq!(name, "journal-20251122T003000-12.db");
        assert_eq!(ordinal_of(Path::new(&name)), Some(12));
        assert_eq!(ordinal_of(Path::new("journal-x.db-wal")), None);
    }
}
