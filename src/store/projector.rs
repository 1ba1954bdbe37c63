//! Folds committed Events into call records and outbox rows.
//!
//! ```text
//! wait for a commit -> page of Events -> fold per call -> records + rows + cursor, one transaction -> wake deliver
//!                                           `-> database down: again in a moment, from the cursor; nobody else waits
//! ```
//! A crash at any point changes nothing: the cursor moves with what it made. Folding everything again (a new
//! database) makes the same revisions and the same ids. One row per destination and wanted type; its body is a
//! CloudEvents 1.0 document in structured JSON form with the `sequence` extension and the record as `data`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, watch};

use super::journal::{EventReader, JournalError};
use super::records::{NewDelivery, Projection, Store, StoreError};
use crate::call_record::{CallRecord, DeliveryType, MEDIA_TYPE, publish};
use crate::clock::Clock;
use crate::config::checked::Config;
use crate::id::{CallId, DestinationId};
use crate::switch::{Centre, Event, EventKind};
use crate::time::{Millis, Timestamp};

/// Events taken in by one transaction.
const PAGE: u32 = 256;
/// Pause after a failure, doubled up to the longer one.
const PAUSE: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(5);
/// Delivered rows are kept this long for people to look at.
const KEEP_DELIVERED: Millis = Millis::from_secs(3 * 24 * 60 * 60);
const DROP_EVERY: Duration = Duration::from_secs(60 * 60);

/// What a destination wants to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    pub destination: DestinationId,
    pub types: Vec<DeliveryType>,
}

impl Wanted {
    /// `events` as configured; none means all.
    #[must_use]
    pub fn new(destination: DestinationId, events: &[String]) -> Self {
        let types: Vec<_> = if events.is_empty() {
            DeliveryType::ALL.to_vec()
        } else {
            events
                .iter()
                .filter_map(|name| DeliveryType::from_name(name))
                .collect()
        };
        Self { destination, types }
    }
}

/// How far the projector is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProjectorStatus {
    /// The last Event taken in.
    pub cursor: u64,
    /// Since when it fails.
    pub failing_since: Option<Timestamp>,
    pub last_error: Option<String>,
}

#[derive(Debug, thiserror::Error)]
enum ProjectorError {
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The task that keeps the records in step with the journal.
#[derive(Debug)]
pub struct Projector {
    reader: EventReader,
    store: Store,
    centre: Centre,
    wanted: Vec<Wanted>,
    wake: Arc<Notify>,
    status: watch::Sender<ProjectorStatus>,
}

impl Projector {
    /// For the destinations and the centre of a configuration. `wake` is told after each transaction with rows.
    #[must_use]
    pub fn new(reader: EventReader, store: Store, config: &Config, wake: Arc<Notify>) -> Self {
        let wanted = config
            .destinations
            .iter()
            .map(|destination| Wanted::new(destination.id.clone(), &destination.events))
            .collect();
        Self::for_centre(reader, store, config.policy.centre.clone(), wanted, wake)
    }

    /// For one centre and a list of wants.
    #[must_use]
    pub fn for_centre(
        reader: EventReader,
        store: Store,
        centre: Centre,
        wanted: Vec<Wanted>,
        wake: Arc<Notify>,
    ) -> Self {
        Self {
            reader,
            store,
            centre,
            wanted,
            wake,
            status: watch::Sender::new(ProjectorStatus::default()),
        }
    }

    /// How far it is, from now on.
    #[must_use]
    pub fn status(&self) -> watch::Receiver<ProjectorStatus> {
        self.status.subscribe()
    }

    /// Run until the journal has closed and all of it is taken in.
    pub async fn run(self) {
        let mut pause = PAUSE;
        loop {
            match self.follow(&mut pause).await {
                Ok(()) => return,
                Err(error) => self.failed(&error),
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    fn failed(&self, error: &ProjectorError) {
        let now = Clock::process().now();
        self.status.send_modify(|status| {
            if status.failing_since.is_none() {
                tracing::warn!(%error, "call records wait for the database; calls go on");
            }
            status.failing_since.get_or_insert(now);
            status.last_error = Some(error.to_string());
        });
    }

    fn took_in(&self, cursor: u64) {
        self.status.send_modify(|status| {
            if status.failing_since.take().is_some() {
                tracing::info!("call records follow the journal again");
            }
            status.last_error = None;
            status.cursor = cursor;
        });
    }

    /// Ends well only with the journal.
    async fn follow(&self, pause: &mut Duration) -> Result<(), ProjectorError> {
        self.store.ensure_ready().await?;
        let name = format!("projector {}", self.reader.journal_id());
        let mut cursor = self.store.cursor(&name).await?;
        let mut dropped_at = tokio::time::Instant::now();
        loop {
            let committed = self.reader.last();
            let events = self.reader.events_after(cursor, PAGE).await?;
            let Some((last, _)) = events.last() else {
                // Events that this build cannot read are passed over.
                cursor = cursor.max(committed);
                self.took_in(cursor);
                if !self.reader.wait_after(cursor).await {
                    return Ok(());
                }
                continue;
            };
            let last = *last;
            let rows = self.take_in(&name, &events, last).await?;
            cursor = last;
            *pause = PAUSE;
            self.took_in(cursor);
            if rows > 0 {
                self.wake.notify_waiters();
            }
            if dropped_at.elapsed() >= DROP_EVERY {
                dropped_at = tokio::time::Instant::now();
                self.drop_delivered().await?;
            }
        }
    }

    async fn drop_delivered(&self) -> Result<(), ProjectorError> {
        let age_us = i64::from(KEEP_DELIVERED.0) * 1000;
        let before = Timestamp::from_micros(Clock::process().now().as_micros() - age_us);
        self.store.drop_delivered(before).await?;
        Ok(())
    }

    /// One transaction; returns how many rows it made.
    async fn take_in(
        &self,
        name: &str,
        events: &[(u64, Event)],
        last: u64,
    ) -> Result<usize, ProjectorError> {
        let mut page = Page {
            projection: self.store.projection().await?,
            records: BTreeMap::new(),
            sequences: BTreeMap::new(),
            rows: 0,
        };
        for (_, event) in events {
            if let Some(call) = event.call {
                self.take_in_one(&mut page, call, event).await?;
            }
        }
        for record in page.records.values() {
            page.projection.save(record).await?;
        }
        page.projection.commit(name, last).await?;
        Ok(page.rows)
    }

    async fn take_in_one(
        &self,
        page: &mut Page,
        call: CallId,
        event: &Event,
    ) -> Result<(), ProjectorError> {
        let before = match page.record(call, event).await {
            Ok(before) => before,
            Err(ProjectorError::Store(error @ StoreError::Record { .. })) => {
                // One record that does not read must not hold up all others.
                tracing::error!(%error, event = %event.id, "the event is not taken into its record");
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        let mut after = before
            .clone()
            .unwrap_or_else(|| CallRecord::new(call, &self.centre));
        if !after.apply(event) {
            return Ok(());
        }
        if let Some(kind) = publish(&event.kind, before.as_ref(), &after) {
            for wanted in self
                .wanted
                .iter()
                .filter(|wanted| wanted.types.contains(&kind))
            {
                let delivery = Delivery {
                    centre: &self.centre,
                    kind,
                    event,
                    record: &after,
                };
                page.enqueue(&wanted.destination, &delivery).await?;
            }
        }
        page.records.insert(call, after);
        Ok(())
    }
}

/// What one transaction has read and changed so far.
struct Page {
    projection: Projection,
    records: BTreeMap<CallId, CallRecord>,
    sequences: BTreeMap<(DestinationId, CallId), u64>,
    rows: usize,
}

impl Page {
    /// The call's record before `event`.
    async fn record(
        &mut self,
        call: CallId,
        event: &Event,
    ) -> Result<Option<CallRecord>, ProjectorError> {
        // Folding the journal again begins each call from nothing, whatever the database holds of it.
        let begins = matches!(
            event.kind,
            EventKind::CallReceived { .. }
                | EventKind::CallDialled { .. }
                | EventKind::CallBridged { .. }
        );
        if begins {
            return Ok(None);
        }
        if let Some(record) = self.records.get(&call) {
            return Ok(Some(record.clone()));
        }
        Ok(self.projection.load(call).await?)
    }

    async fn enqueue(
        &mut self,
        destination: &DestinationId,
        delivery: &Delivery<'_>,
    ) -> Result<(), ProjectorError> {
        let call = delivery.record.call_id;
        let key = (destination.clone(), call);
        let last = match self.sequences.get(&key) {
            Some(last) => *last,
            None => self.projection.last_sequence(destination, call).await?,
        };
        let new = NewDelivery {
            destination,
            call,
            sequence: last + 1,
            event_id: delivery.event.id,
            kind: delivery.kind.as_str(),
            body: delivery.body(last + 1),
            at: delivery.event.at,
        };
        let made = self.projection.enqueue(&new).await?;
        self.rows += usize::from(made);
        self.sequences
            .insert(key, if made { last + 1 } else { last });
        Ok(())
    }
}

/// One revision on its way to a destination.
struct Delivery<'a> {
    centre: &'a Centre,
    kind: DeliveryType,
    event: &'a Event,
    record: &'a CallRecord,
}

impl Delivery<'_> {
    /// CloudEvents 1.0, JSON event format, structured mode.
    fn body(&self, sequence: u64) -> String {
        serde_json::json!({
            "specversion": "1.0",
            "id": self.event.id,
            "source": format!("/centre/{}", self.centre.id),
            "type": self.kind.as_str(),
            "subject": self.record.call_id,
            "time": self.event.at.rfc3339(),
            "datacontenttype": MEDIA_TYPE,
            "sequence": sequence.to_string(),
            "data": self.record,
        })
        .to_string()
    }
}
