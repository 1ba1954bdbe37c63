//! What can go wrong with the journal.

use std::path::PathBuf;

/// What can go wrong with the journal. Every variant names the file; damage also names its place.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    #[error(
        "{}: another process keeps this journal; stop it or configure another [store] journal directory",
        dir.display()
    )]
    Locked { dir: PathBuf },
    #[error("{}: {source}", path.display())]
    Io {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("{}: {source}", path.display())]
    Database { path: PathBuf, source: sqlx::Error },
    /// A planted fault (tests only).
    #[error("planted fault: {0:?}")]
    Planted(std::io::ErrorKind),
    #[error("{}: no journal segment here (journal-<time>-<n>.db)", path.display())]
    NoSegment { path: PathBuf },
    #[error("{}: entry {seq}: {what}", path.display())]
    Damaged {
        path: PathBuf,
        /// The entry at which it shows; 0 = before the first one.
        seq: u64,
        what: String,
    },
    #[error(
        "{}: before entry {seq}, {entries} entries were dropped because the disk was late for longer than the spool could hold",
        path.display()
    )]
    Lost {
        path: PathBuf,
        seq: u64,
        entries: u64,
    },
}

impl JournalError {
    pub(super) fn io(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { path, source }
    }

    pub(super) fn database(path: impl Into<PathBuf>) -> impl FnOnce(sqlx::Error) -> Self {
        let path = path.into();
        move |source| Self::Database { path, source }
    }

    /// The file itself is broken (`SQLITE_CORRUPT`, `SQLITE_NOTADB`), so trying again cannot help.
    pub(super) fn is_corruption(&self) -> bool {
        let Self::Database {
            source: sqlx::Error::Database(error),
            ..
        } = self
        else {
            return false;
        };
        error
            .code()
            .and_then(|code| code.parse::<u32>().ok())
            .is_some_and(|code| matches!(code & 0xff, 11 | 26))
    }
}
