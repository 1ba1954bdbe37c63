//! Disk faults planted by tests, so that late, full and failing disks are tested on every machine.

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
}

/// A switch for faults, shared with the writer. The default one plants none.
#[derive(Clone, Debug, Default)]
pub struct Faults(Arc<AtomicU8>);

impl Faults {
    /// Plant or lift a fault.
    pub fn set(&self, fault: Fault) {
        self.0.store(fault as u8, Ordering::Release);
    }

    fn fault(&self) -> Fault {
        match self.0.load(Ordering::Acquire) {
            1 => Fault::Fail,
            2 => Fault::Stall,
            3 => Fault::Full,
            _ => Fault::None,
        }
    }

    /// Called by the writer before a commit; true when SQLite shall find no room.
    pub(super) fn before_commit(&self) -> Result<bool, JournalError> {
        loop {
            match self.fault() {
                Fault::None => return Ok(false),
                Fault::Full => return Ok(true),
                Fault::Fail => return Err(JournalError::Planted(std::io::ErrorKind::Other)),
                Fault::Stall => std::thread::sleep(Duration::from_millis(5)),
            }
        }
    }
}
