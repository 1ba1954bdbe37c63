//! The log (`-wal`) of the segment being written: kept long enough on the disk and short enough to read.
//!
//! A commit is fast when it writes over blocks that the file has already: a file that grows costs the file system a
//! commit of its own, which waits for what everybody else has written. So the file is written out ahead of the frames,
//! and what is in it is folded into the segment by another thread while commits go on.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::thread::JoinHandle;

use sqlx::Connection as _;

use super::{JournalError, recover, segment};

/// The log is folded in from this many pages on.
const FOLD_FROM_PAGES: u64 = 2048;
/// The log's file is made this long: what is in it when it is folded in, and a busy minute more.
const ROOM_BYTES: u64 = 12 * 1024 * 1024;
/// So much at once, after a commit is told: 1 ms here.
const ROOM_STEP: usize = 512 * 1024;

/// Whether the log is to be folded in now.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Due {
    Not,
    /// By a thread of its own.
    Beside,
    /// By the writer: only this ends with nothing left, so that the log begins anew.
    Here,
}

/// The folding of the log into its segment.
///
/// ```text
/// Idle --long--> Beside --no commit meanwhile--> Idle, log empty
///                  `-- overtaken, failed --> Overtaken --the writer folds in the rest, a few pages--> Idle, log empty
/// ```
#[derive(Debug, Default)]
pub(super) enum Folding {
    #[default]
    Idle,
    Beside {
        thread: JoinHandle<Result<(), JournalError>>,
        /// Pages in the log when it began.
        pages: u64,
    },
    Overtaken,
}

impl Folding {
    pub(super) fn due(&self, log_pages: u64) -> Due {
        match self {
            Self::Idle if log_pages >= FOLD_FROM_PAGES => Due::Beside,
            Self::Idle | Self::Beside { .. } => Due::Not,
            Self::Overtaken => Due::Here,
        }
    }

    /// Begin beside the writing a log of `pages`.
    pub(super) fn start(&mut self, segment: &Path, pages: u64) {
        let path = segment.to_owned();
        let thread = std::thread::Builder::new()
            .name("journal-fold".to_owned())
            .spawn(move || recover::runtime()?.block_on(fold_in(&path)));
        *self = match thread {
            Ok(thread) => Self::Beside { thread, pages },
            Err(_) => Self::Overtaken,
        };
    }

    /// Pages in the log before the next commit, where `log_pages` were written to it.
    pub(super) fn pages_left(&mut self, log_pages: u64) -> u64 {
        let is_done = matches!(self, Self::Beside { thread, .. } if thread.is_finished());
        if is_done && let Self::Beside { thread, pages } = std::mem::take(self) {
            if ended_well(thread) && log_pages == pages {
                return 0;
            }
            *self = Self::Overtaken;
        }
        log_pages
    }

    /// Let it end.
    pub(super) fn wait(&mut self) {
        if let Self::Beside { thread, .. } = std::mem::take(self) {
            ended_well(thread);
        }
    }
}

fn ended_well(thread: JoinHandle<Result<(), JournalError>>) -> bool {
    match thread.join() {
        Ok(Ok(())) => true,
        Ok(Err(error)) => {
            tracing::warn!(%error, "the journal's log is not folded in yet");
            false
        }
        Err(_) => {
            tracing::error!("folding the journal's log in panicked");
            false
        }
    }
}

async fn fold_in(segment: &Path) -> Result<(), JournalError> {
    let mut connection = segment::open_for_writing(segment, false).await?;
    let failed = || JournalError::database(segment);
    sqlx::query("PRAGMA wal_checkpoint(PASSIVE)")
        .execute(&mut connection)
        .await
        .map_err(failed())?;
    connection.close().await.map_err(failed())
}

/// The length of the log's file, made in steps so that no entry waits long for one.
#[derive(Debug, Default)]
pub(super) struct Room {
    refused: bool,
}

impl Room {
    /// A step towards the whole length. Only the writer's thread may do it, between two commits: SQLite writes to the
    /// same file. It takes the zeros for what an earlier round of the log left.
    pub(super) fn make(&mut self, segment: &Path) {
        if self.refused {
            return;
        }
        if let Err(error) = lengthen(&segment::wal_path(segment)) {
            // A commit that the disk refuses, too, raises the alarm.
            tracing::debug!(%error, "the journal's log gets no room ahead; commits take longer");
            self.refused = true;
        }
    }
}

fn lengthen(log: &Path) -> io::Result<()> {
    let length = std::fs::metadata(log)?.len();
    // An empty log has no header yet, and zeros are none.
    if length == 0 || length >= ROOM_BYTES {
        return Ok(());
    }
    let file = OpenOptions::new().write(true).open(log)?;
    file.write_all_at(&vec![0; ROOM_STEP], length)?;
    file.sync_data()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folded(pages: u64) -> Folding {
        let thread = std::thread::spawn(|| Ok(()));
        while !thread.is_finished() {
            std::thread::yield_now();
        }
        Folding::Beside { thread, pages }
    }

    #[test]
    fn a_long_log_is_folded_in_beside_the_writing_once_at_a_time() {
        assert_eq!(Folding::Idle.due(FOLD_FROM_PAGES - 1), Due::Not);
        assert_eq!(Folding::Idle.due(FOLD_FROM_PAGES), Due::Beside);
        assert_eq!(folded(3000).due(4000), Due::Not);
    }

    #[test]
    fn what_commits_wrote_while_the_log_was_folded_in_the_writer_folds_in_itself() {
        let mut alone = folded(3000);
        assert_eq!(alone.pages_left(3000), 0);
        assert_eq!(alone.due(0), Due::Not);
        let mut overtaken = folded(3000);
        assert_eq!(overtaken.pages_left(3010), 3010);
        assert_eq!(overtaken.due(3018), Due::Here);
    }

    #[test]
    fn a_log_gets_its_room_in_steps_and_an_empty_one_none() {
        let dir = tempfile::tempdir().unwrap();
        let segment = dir.path().join("journal.db");
        let log = segment::wal_path(&segment);
        let mut room = Room::default();
        std::fs::write(&log, []).unwrap();
        room.make(&segment);
        assert_eq!(std::fs::metadata(&log).unwrap().len(), 0);
        std::fs::write(&log, [7; 100]).unwrap();
        room.make(&segment);
        assert_eq!(
            std::fs::metadata(&log).unwrap().len(),
            100 + ROOM_STEP as u64
        );
        for _ in 0..50 {
            room.make(&segment);
        }
        let bytes = std::fs::read(&log).unwrap();
        assert!((ROOM_BYTES..ROOM_BYTES + ROOM_STEP as u64).contains(&(bytes.len() as u64)));
        assert_eq!(&bytes[..101], [&[7; 100][..], &[0]].concat());
    }
}
