//! Which logs are still needed: by captures that are being written, and by those that wait to become recordings.
//!
//! ```text
//! log:  written --full--> left --no open capture has pieces in it, and the files of all closed ones that have are gone--> free
//! ```
//! A capture's file goes when its seal is in the journal ([`super::drop_capture`]); until then a start after a kill
//! needs the log to make it whole.

use std::path::PathBuf;

use super::log::LogId;

/// The logs that nobody writes any more, and who needs them.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    left: Vec<LogId>,
    /// The oldest log that a capture being written has pieces in.
    open_from: Option<LogId>,
    /// Captures given to the sealer, with the oldest log that has pieces of each.
    closed: Vec<(PathBuf, LogId)>,
}

impl Ledger {
    /// `log` is not written any more.
    pub(super) fn leave(&mut self, log: LogId) {
        self.left.push(log);
    }

    /// `capture` is not written any more.
    pub(super) fn close(&mut self, capture: PathBuf, oldest: LogId) {
        self.closed.push((capture, oldest));
    }

    /// The captures being written have pieces in logs from this one on.
    pub(super) fn open_from(&mut self, oldest: Option<LogId>) {
        self.open_from = oldest;
    }

    /// The oldest log left, when there are more than `count`.
    pub(super) fn beyond(&self, count: usize) -> Option<LogId> {
        self.left
            .first()
            .filter(|_| self.left.len() > count)
            .copied()
    }

    /// Whether a log waits for closed captures only.
    pub(super) fn waits(&self) -> bool {
        let free = |log: &LogId| self.open_from.is_none_or(|from| *log < from);
        self.left.first().is_some_and(free)
    }

    /// The captures whose files have to be gone.
    pub(super) fn closed(&self) -> Vec<PathBuf> {
        let paths = self.closed.iter().map(|(capture, _)| capture.clone());
        paths.collect()
    }

    /// Take out the logs that nobody needs, now that these closed captures are `gone`.
    pub(super) fn free(&mut self, gone: &[PathBuf]) -> Vec<LogId> {
        self.closed.retain(|(capture, _)| !gone.contains(capture));
        let closed_from = self.closed.iter().map(|(_, oldest)| *oldest).min();
        let needed = |log: &LogId| {
            let by = |from: Option<LogId>| from.is_some_and(|from| from <= *log);
            by(self.open_from) || by(closed_from)
        };
        self.left.extract_if(.., |log| !needed(log)).collect()
    }

    /// These could not be removed.
    pub(super) fn keep(&mut self, logs: Vec<LogId>) {
        self.left.extend(logs);
        self.left.sort_unstable();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(name: &str) -> PathBuf {
        PathBuf::from(name)
    }

    #[test]
    fn log_goes_when_neither_an_open_capture_nor_the_file_of_a_closed_one_needs_it() {
        let mut ledger = Ledger::default();
        for log in 1..=4 {
            ledger.leave(LogId(log));
        }
        ledger.open_from(Some(LogId(1)));
        assert!(!ledger.waits());
        assert_eq!(ledger.free(&[]), [], "an open call has pieces in the first");
        ledger.close(path("a"), LogId(2));
        ledger.open_from(Some(LogId(4)));
        assert!(ledger.waits());
        assert_eq!(ledger.free(&[]), [LogId(1)]);
        assert_eq!(ledger.closed(), [path("a")]);
        assert_eq!(ledger.free(&ledger.closed()), [LogId(2), LogId(3)]);
        assert!(!ledger.waits());
        ledger.open_from(None);
        ledger.keep(vec![LogId(3)]);
        assert_eq!((ledger.beyond(2), ledger.beyond(1)), (None, Some(LogId(3))));
        assert_eq!(ledger.free(&[]), [LogId(3), LogId(4)], "no call at all");
        assert!(!ledger.waits());
    }
}
