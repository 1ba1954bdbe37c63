//! Earlier calls of a number, out of the store of records.

use crate::clock::Clock;
use crate::enrich::{History, HistoryError, HistoryFuture, HistorySource};
use crate::id::CallId;
use crate::store::records::Store;
use crate::time::Timestamp;

/// Days looked back.
const WINDOW_DAYS: u32 = 365;
/// Calls listed.
const LAST: u32 = 20;

/// The store as a source of history.
pub(super) struct StoreHistory {
    store: Store,
}

impl StoreHistory {
    /// Over `store`.
    pub(super) fn new(store: Store) -> Self {
        Self { store }
    }
}

impl HistorySource for StoreHistory {
    fn last_calls<'a>(&'a self, call: CallId, e164: &'a str) -> HistoryFuture<'a> {
        Box::pin(async move {
            let since =
                Clock::process().now().as_micros() - i64::from(WINDOW_DAYS) * 86_400_000_000;
            let found = self
                .store
                .history(e164, call, Timestamp::from_micros(since), LAST)
                .await;
            let found = found.map_err(|error| HistoryError::Unavailable {
                reason: error.to_string(),
            })?;
            Ok(History {
                window_days: WINDOW_DAYS,
                count: found.count,
                last_calls: found.last_calls,
            })
        })
    }
}
