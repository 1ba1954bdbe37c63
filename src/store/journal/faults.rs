//! Disk faults planted by tests, so that late, full and failing disks are tested on every machine.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use super::JournalError;

/// What the disk does to the writer.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Works.
    None,
    /// Each commit fails at once with an input/output error.
    Fail,
    /// Commits hang until the fault is lifted.
    Stall,
    /// SQLite itself runs out of room (`SQLITE_FULL`).
    Full,
    /// Whoever appends panics: a fault of ours outside of every guard.
    Panic,
}

impl Fault {
    const ALL: [(Self, &'static str); 5] = [
        (Self::None, "none"),
        (Self::Fail, "fail"),
        (Self::Stall, "stall"),
        (Self::Full, "full"),
        (Self::Panic, "panic"),
    ];
}

/// A switch for faults, shared with the writer. The default one plants none.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    planted: Arc<AtomicU8>,
    file: Option<PathBuf>,
}

impl Faults {
    /// A switch that another process turns: the word in `file` (`fail`, `stall`, `full`, `panic`) is the fault while it is
    /// there. For tests of a whole server; looked at before each append and commit.
    #[must_use]
    pub fn from_file(file: PathBuf) -> Self {
        Self {
            planted: Arc::default(),
            file: Some(file),
        }
    }

    /// Plant or lift a fault.
    pub fn set(&self, fault: Fault) {
        self.planted.store(fault as u8, Ordering::Release);
    }

    fn fault(&self) -> Fault {
        let in_file = self
            .file
            .as_ref()
            .and_then(|file| std::fs::read_to_string(file).ok());
        let planted = self.planted.load(Ordering::Acquire);
        Fault::ALL
            .into_iter()
            .find(|(fault, word)| match &in_file {
                Some(text) => text.trim() == *word,
                None => *fault as u8 == planted,
            })
            .map_or(Fault::None, |(fault, _)| fault)
    }

    /// Called by whoever hands entries over.
    #[expect(
        clippy::panic,
        reason = "a planted fault is this one's purpose; only tests plant"
    )]
    pub(super) fn before_append(&self) {
        if self.fault() == Fault::Panic {
            panic!("planted in the journal");
        }
    }

    /// Called by the writer before a commit; true when SQLite shall find no room.
    pub(super) fn before_commit(&self) -> Result<bool, JournalError> {
        loop {
            match self.fault() {
                Fault::None | Fault::Panic => return Ok(false),
                Fault::Full => return Ok(true),
                Fault::Fail => return Err(JournalError::Planted(std::io::ErrorKind::Other)),
                Fault::Stall => std::thread::sleep(Duration::from_millis(5)),
            }
        }
    }
}
