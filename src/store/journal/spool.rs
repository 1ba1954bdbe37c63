//! The bounded memory between the owner of the switch and the disk.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::Entry;
use crate::clock::Clock;
use crate::switch::Event;
use crate::time::Timestamp;

/// Entries of one transaction.
const BATCH_ENTRIES_MAX: usize = 512;
/// JSON bytes of one transaction.
const BATCH_BYTES_MAX: usize = 4 * 1024 * 1024;
/// An entry that waits longer than this for the disk is late.
const LATE_AFTER: Duration = Duration::from_millis(50);

/// How far the disk is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JournalStatus {
    /// The last entry on the disk.
    pub committed_seq: u64,
    /// Entries in memory only.
    pub spooled: usize,
    /// JSON bytes in memory only.
    pub spooled_bytes: usize,
    /// Since when the oldest of them waits, when that is longer than 50 ms.
    pub late_since: Option<Timestamp>,
    /// Entries dropped since start because the spool was full.
    pub lost: u64,
    /// Why the last attempt failed; absent when it went well.
    pub last_error: Option<String>,
}

/// An entry as the writer wants it.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) seq: u64,
    pub(super) at: i64,
    pub(super) lost_before: u64,
    pub(super) json: String,
    pub(super) events: Vec<EventRow>,
    appended_at: Timestamp,
    bytes: usize,
}

#[derive(Debug)]
pub(super) struct EventRow {
    pub(super) seq: u64,
    pub(super) id: String,
    pub(super) call: Option<String>,
    pub(super) callseq: u64,
    pub(super) json: String,
}

/// A snapshot on its way to the disk.
#[derive(Debug)]
pub(super) struct SnapshotRow {
    pub(super) seq: u64,
    pub(super) at: i64,
    pub(super) json: String,
}

/// What the writer takes at once.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) rows: Vec<Row>,
    pub(super) snapshot: Option<SnapshotRow>,
}

#[derive(Debug)]
pub(super) struct Spool {
    state: Mutex<State>,
    wake: Condvar,
    entries_max: usize,
    bytes_max: usize,
}

#[derive(Debug)]
struct State {
    rows: VecDeque<Row>,
    /// Bytes of `rows` and of what the writer holds.
    bytes: usize,
    in_flight: usize,
    in_flight_since: Option<Timestamp>,
    snapshot: Option<SnapshotRow>,
    next_seq: u64,
    next_event_seq: u64,
    lost: u64,
    lost_before: u64,
    last_error: Option<String>,
    closing: bool,
}

impl Spool {
    pub(super) fn new(
        next_seq: u64,
        next_event_seq: u64,
        entries_max: usize,
        bytes_max: usize,
    ) -> Self {
        Self {
            state: Mutex::new(State {
                rows: VecDeque::new(),
                bytes: 0,
                in_flight: 0,
                in_flight_since: None,
                snapshot: None,
                next_seq,
                next_event_seq,
                lost: 0,
                lost_before: 0,
                last_error: None,
                closing: false,
            }),
            wake: Condvar::new(),
            entries_max,
            bytes_max,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the number of the last entry taken in.
    pub(super) fn append(&self, entries: Vec<Entry>) -> u64 {
        let now = Clock::process().now();
        let mut state = self.state();
        for entry in entries {
            state.push(&entry, now, self.entries_max, self.bytes_max);
        }
        let last = state.next_seq - 1;
        drop(state);
        self.wake.notify_one();
        last
    }

    pub(super) fn snapshot(&self, value: &serde_json::Value) {
        let json = value.to_string();
        let mut state = self.state();
        state.snapshot = Some(SnapshotRow {
            seq: state.next_seq - 1,
            at: Clock::process().now().as_micros(),
            json,
        });
        drop(state);
        self.wake.notify_one();
    }

    pub(super) fn last_seq(&self) -> u64 {
        self.state().next_seq - 1
    }

    pub(super) fn status(&self, committed_seq: u64) -> JournalStatus {
        let state = self.state();
        let oldest = state
            .in_flight_since
            .or_else(|| state.rows.front().map(|row| row.appended_at));
        JournalStatus {
            committed_seq,
            spooled: state.rows.len() + state.in_flight,
            spooled_bytes: state.bytes,
            late_since: oldest.filter(|at| Clock::process().now().since(*at) > LATE_AFTER),
            lost: state.lost,
            last_error: state.last_error.clone(),
        }
    }

    pub(super) fn close(&self) {
        self.state().closing = true;
        self.wake.notify_one();
    }

    pub(super) fn is_closing(&self) -> bool {
        self.state().closing
    }

    /// Wait for work; `None` when the journal is closing and nothing is left.
    pub(super) fn take(&self) -> Option<Batch> {
        let mut state = self.state();
        while state.rows.is_empty() && state.snapshot.is_none() {
            if state.closing {
                return None;
            }
            state = self
                .wake
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        Some(state.take_batch())
    }

    /// Wait `span`, or less when the journal is closing.
    pub(super) fn pause(&self, span: Duration) {
        let state = self.state();
        drop(
            self.wake
                .wait_timeout_while(state, span, |state| !state.closing)
                .unwrap_or_else(PoisonError::into_inner),
        );
    }

    /// The writer's batch is on the disk; returns its JSON bytes.
    pub(super) fn done(&self, batch: &Batch) -> u64 {
        let mut state = self.state();
        let bytes: usize = batch.rows.iter().map(|row| row.bytes).sum();
        state.bytes = state.bytes.saturating_sub(bytes);
        state.in_flight = 0;
        state.in_flight_since = None;
        state.last_error = None;
        u64::try_from(bytes).unwrap_or(u64::MAX)
    }

    pub(super) fn failed(&self, error: String) {
        self.state().last_error = Some(error);
    }
}

impl State {
    fn push(&mut self, entry: &Entry, now: Timestamp, entries_max: usize, bytes_max: usize) {
        let json = json_of(&entry.input);
        let events: Vec<_> = entry
            .events
            .iter()
            .map(|event| (event, json_of(event)))
            .collect();
        let bytes = json.len() + events.iter().map(|(_, json)| json.len()).sum::<usize>();
        if self.rows.len() + self.in_flight >= entries_max || self.bytes + bytes > bytes_max {
            self.lost += 1;
            self.lost_before += 1;
            return;
        }
        let seq = self.next_seq;
        self.next_seq += 1;
        let events = events
            .into_iter()
            .map(|(event, json)| self.event_row(event, json))
            .collect();
        self.bytes += bytes;
        self.rows.push_back(Row {
            seq,
            at: entry.input.at.as_micros(),
            lost_before: std::mem::take(&mut self.lost_before),
            json,
            events,
            appended_at: now,
            bytes,
        });
    }

    fn event_row(&mut self, event: &Event, json: String) -> EventRow {
        let seq = self.next_event_seq;
        self.next_event_seq += 1;
        EventRow {
            seq,
            id: event.id.to_string(),
            call: event.call.map(|call| call.to_string()),
            callseq: event.callseq,
            json,
        }
    }

    fn take_batch(&mut self) -> Batch {
        let mut rows = Vec::new();
        let mut bytes = 0;
        while rows.len() < BATCH_ENTRIES_MAX && bytes < BATCH_BYTES_MAX {
            let Some(row) = self.rows.pop_front() else {
                break;
            };
            bytes += row.bytes;
            rows.push(row);
        }
        self.in_flight = rows.len();
        self.in_flight_since = rows.first().map(|row| row.appended_at);
        // A snapshot goes with the rows it stands on, never before them.
        let next = self.rows.front().map_or(u64::MAX, |row| row.seq);
        let snapshot = self.snapshot.take_if(|snapshot| snapshot.seq < next);
        Batch { rows, snapshot }
    }
}

/// The words of the switch always serialise; if one ever did not, the entry must not be lost silently.
fn json_of<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_else(|error| {
        tracing::error!(%error, "an entry of the journal does not serialise; its place is kept");
        serde_json::json!({ "unserialisable": error.to_string() }).to_string()
    })
}
