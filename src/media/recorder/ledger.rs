//! Which logs are still needed: by captures that are being written, and by those that wait to become recordings.
//!
//! ```text
//! log:  written --full--> left --no open capture has pieces in it, and the files of all closed ones that have are gone--> free
//! ```
//! A capture's file goes when its seal is in the journal ([`super::drop_capture`]); until then a start after a kill
//! needs the log to make it whole.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::path::PathBuf;

use super::log::LogId;

/// The logs that nobody writes any more, and who needs them.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    left: Vec<LogId>,
    /// The oldest log that a capture being written has pieces in.
    open_from: Option<LogId>,
    /// Captures given to the sealer, with the first and last log that have pieces of each.
    closed: Vec<(PathBuf, RangeInclusive<LogId>)>,
}

impl Ledger {
    /// `log` is not written any more.
    pub(super) fn leave(&mut self, log: LogId) {
        self.left.push(log);
    }

    /// `capture` is not written any more.
    pub(super) fn close(&mut self, capture: PathBuf, logs: RangeInclusive<LogId>) {
        self.closed.push((capture, logs));
    }

    /// The captures being written have pieces in logs from this one on.
    pub(super) fn open_from(&mut self, oldest: Option<LogId>) {
        self.open_from = oldest;
    }

    /// The newest of the logs left that `count` more follow.
    pub(super) fn beyond(&self, count: usize) -> Option<LogId> {
        self.left.iter().nth_back(count).copied()
    }

    /// Whether a log waits for closed captures only.
    pub(super) fn waits(&self) -> bool {
        let free = |log: &LogId| self.open_from.is_none_or(|from| *log < from);
        self.left.first().is_some_and(free)
    }

    /// The captures whose files have to be gone.
    pub(super) fn closed(&self) -> BTreeSet<PathBuf> {
        let paths = self.closed.iter().map(|(capture, _)| capture.clone());
        paths.collect()
    }

    /// Take out the logs that nobody needs, now that these closed captures are `gone`.
    pub(super) fn free(&mut self, gone: &BTreeSet<PathBuf>) -> Vec<LogId> {
        self.closed.retain(|(capture, _)| !gone.contains(capture));
        let needed = |log: &LogId| {
            let by_open = self.open_from.is_some_and(|from| from <= *log);
            by_open || self.closed.iter().any(|(_, logs)| logs.contains(log))
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
        let none = BTreeSet::new();
        let mut ledger = Ledger::default();
        for log in 1..=4 {
            ledger.leave(LogId(log));
        }
        ledger.open_from(Some(LogId(1)));
        assert!(!ledger.waits());
        assert_eq!(
            ledger.free(&none),
            [],
            "an open call has pieces in the first"
        );
        ledger.close(path("a"), LogId(2)..=LogId(3));
        ledger.open_from(Some(LogId(4)));
        assert!(ledger.waits());
        assert_eq!(ledger.free(&none), [LogId(1)]);
        assert_eq!(ledger.closed(), BTreeSet::from([path("a")]));
        let gone = ledger.closed();
        assert_eq!(ledger.free(&gone), [LogId(2), LogId(3)]);
        assert!(!ledger.waits());
        ledger.open_from(None);
        ledger.keep(vec![LogId(3)]);
        assert_eq!(ledger.free(&none), [LogId(3), LogId(4)], "no call at all");
        assert!(!ledger.waits());
    }

    #[test]
    fn capture_that_never_goes_keeps_its_own_logs_only() {
        let mut ledger = Ledger::default();
        for log in 1..=4 {
            ledger.leave(LogId(log));
        }
        ledger.close(path("stuck"), LogId(2)..=LogId(2));
        let none = BTreeSet::new();
        assert_eq!(ledger.free(&none), [LogId(1), LogId(3), LogId(4)]);
        assert_eq!((ledger.beyond(0), ledger.beyond(1)), (Some(LogId(2)), None));
    }
}
