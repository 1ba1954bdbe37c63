//! Reading committed Events over all segments, for the projector and the events feed.

use std::sync::{Arc, PoisonError};

use sqlx::{Row as _, SqliteConnection};
use tokio::sync::{Mutex, watch};

use super::replay::signed;
use super::segment::{self, SegmentInfo};
use super::{JournalError, JournalStatus, Shared};
use crate::switch::Event;

/// A reader with connections of its own. It only reads, and stops nobody.
#[derive(Debug)]
pub struct EventReader {
    shared: Arc<Shared>,
    committed: watch::Receiver<u64>,
    /// The connection used last; one query at a time.
    open: Mutex<Option<(u32, SqliteConnection)>>,
}

impl Clone for EventReader {
    fn clone(&self) -> Self {
        Self::new(Arc::clone(&self.shared))
    }
}

impl EventReader {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self {
            committed: shared.committed_event.clone(),
            shared,
            open: Mutex::new(None),
        }
    }

    /// Number of the last committed Event, over all segments.
    #[must_use]
    pub fn last(&self) -> u64 {
        *self.committed.borrow()
    }

    /// Number of the last committed Event, watched.
    #[must_use]
    pub fn committed(&self) -> watch::Receiver<u64> {
        self.committed.clone()
    }

    /// Tells this journal from any other one, so that a cursor is never used on the wrong one.
    #[must_use]
    pub fn journal_id(&self) -> &str {
        &self.shared.id
    }

    /// How far the disk is.
    #[must_use]
    pub fn status(&self) -> JournalStatus {
        let committed = *self.shared.committed_input.borrow();
        self.shared.spool.status(committed)
    }

    /// Wait until an Event after `cursor` is committed; false when the journal has closed and none will come.
    pub async fn wait_after(&self, cursor: u64) -> bool {
        self.committed()
            .wait_for(|last| *last > cursor)
            .await
            .is_ok()
    }

    /// At most `limit` Events after number `cursor`, with their numbers. Events that this build cannot read are
    /// passed over and reported as an error in the log.
    ///
    /// # Errors
    /// [`JournalError`] when a segment cannot be read now. A broken segment that is closed is passed over.
    pub async fn events_after(
        &self,
        cursor: u64,
        limit: u32,
    ) -> Result<Vec<(u64, Event)>, JournalError> {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let mut events = Vec::new();
        let mut cursor = cursor;
        while events.len() < limit && cursor < self.last() {
            let Some((segment, end)) = self.segment_after(cursor) else {
                break;
            };
            // Numbers leap after damage: begin where the segment begins.
            cursor = cursor.max(segment.first_event_seq - 1);
            let wanted = limit - events.len();
            let rows = match self.rows(&segment, cursor, wanted).await {
                Ok(rows) => rows,
                Err(error) if error.is_corruption() && end.is_some() => {
                    tracing::error!(%error, "a segment cannot be read; its events are passed over");
                    Vec::new()
                }
                Err(error) => return Err(error),
            };
            match (rows.last(), end) {
                (Some((seq, _)), _) => cursor = *seq,
                (None, Some(next)) => cursor = next - 1,
                (None, None) => break,
            }
            events.extend(
                rows.into_iter()
                    .filter_map(|(seq, json)| decode(&segment, seq, &json)),
            );
        }
        Ok(events)
    }

    /// All committed Events whose name begins with `prefix`, oldest first. Reads every segment: for a start, not for a call.
    ///
    /// # Errors
    /// [`JournalError`] when the open segment cannot be read. A broken one that is closed is passed over.
    pub async fn events_named(&self, prefix: &str) -> Result<Vec<Event>, JournalError> {
        let segments = self.shared.segments.read();
        let segments = segments.unwrap_or_else(PoisonError::into_inner).clone();
        let mut events = Vec::new();
        for (left, segment) in segments
            .iter()
            .enumerate()
            .map(|(n, s)| (segments.len() - n, s))
        {
            match named(segment, prefix).await {
                Ok(found) => events.extend(found),
                Err(error) if error.is_corruption() && left > 1 => {
                    tracing::error!(%error, "a segment cannot be read; its events are passed over");
                }
                Err(error) => return Err(error),
            }
        }
        Ok(events)
    }

    /// The segment that holds the first Event after `cursor`, and the first Event of the one behind it.
    fn segment_after(&self, cursor: u64) -> Option<(SegmentInfo, Option<u64>)> {
        let segments = self
            .shared
            .segments
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        let behind = segments.partition_point(|segment| segment.first_event_seq <= cursor + 1);
        let index = behind.saturating_sub(1);
        let segment = segments.get(index)?.clone();
        Some((
            segment,
            segments.get(index + 1).map(|next| next.first_event_seq),
        ))
    }

    async fn rows(
        &self,
        segment: &SegmentInfo,
        cursor: u64,
        limit: usize,
    ) -> Result<Vec<(u64, String)>, JournalError> {
        // Taken out while it works: after an error, or when the caller gives up waiting, a new one is made.
        let mut open = self.open.lock().await;
        let mut connection = match open.take() {
            Some((ordinal, connection)) if ordinal == segment.ordinal => connection,
            _ => segment::open_read_only(&segment.path).await?,
        };
        let failed = || JournalError::database(&segment.path);
        let rows = sqlx::query("SELECT seq, json FROM events WHERE seq > $1 ORDER BY seq LIMIT $2")
            .bind(signed(cursor))
            .bind(i64::try_from(limit).unwrap_or(i64::MAX))
            .fetch_all(&mut connection)
            .await
            .map_err(failed())?;
        let mut found = Vec::with_capacity(rows.len());
        for row in rows {
            let seq: i64 = row.try_get(0).map_err(failed())?;
            let json: String = row.try_get(1).map_err(failed())?;
            found.push((seq.unsigned_abs(), json));
        }
        *open = Some((segment.ordinal, connection));
        Ok(found)
    }
}

async fn named(segment: &SegmentInfo, prefix: &str) -> Result<Vec<Event>, JournalError> {
    let mut connection = segment::open_read_only(&segment.path).await?;
    let failed = || JournalError::database(&segment.path);
    // A name cannot hold what LIKE takes for a pattern; a text in an event has its quotes escaped.
    let rows = sqlx::query("SELECT seq, json FROM events WHERE json LIKE $1 ORDER BY seq")
        .bind(format!("%\"type\":\"{prefix}%"))
        .fetch_all(&mut connection)
        .await
        .map_err(failed())?;
    let mut found = Vec::with_capacity(rows.len());
    for row in rows {
        let seq: i64 = row.try_get(0).map_err(failed())?;
        let json: String = row.try_get(1).map_err(failed())?;
        found.extend(decode(segment, seq.unsigned_abs(), &json).map(|(_, event)| event));
    }
    Ok(found)
}

fn decode(segment: &SegmentInfo, seq: u64, json: &str) -> Option<(u64, Event)> {
    match serde_json::from_str(json) {
        Ok(event) => Some((seq, event)),
        Err(error) => {
            tracing::error!(segment = %segment.path.display(), seq, %error, "this build cannot read an event; it is passed over");
            None
        }
    }
}
