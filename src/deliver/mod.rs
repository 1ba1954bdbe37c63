//! Delivery of call records to modules: at least once, in order per call, one task per destination. A call that a
//! destination does not take blocks only itself; a destination that is down delays no other and no call.
//!
//! ```text
//! outbox row (due) -> signed POST -> 2xx: delivered, incident id to the switch | else: next attempt, alarm after 3
//! ```

mod http;
mod schedule;

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::sync::{Notify, mpsc};
use uuid::Uuid;

use http::Client;
pub use http::ClientError;
use schedule::{ALARM_AFTER, Verdict, next_attempt};

use crate::clock::Clock;
use crate::config::checked::Destination;
use crate::id::{CommandId, DestinationId};
use crate::store::records::{Due, Store};
use crate::switch::{Actor, AlarmCode, Command, InputKind};

/// Calls of one destination that are under way at once.
const AT_ONCE: usize = 16;
/// How long a destination's task sleeps when nothing tells it of new rows.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// Pause after the store did not answer.
const STORE_PAUSE: Duration = Duration::from_secs(1);

/// Delivers to one destination until the process ends.
pub struct Delivery {
    id: DestinationId,
    client: Client,
    store: Store,
    /// Told when the projector has written rows.
    wake: Arc<Notify>,
    inputs: mpsc::Sender<InputKind>,
    clock: Clock,
    failed_in_a_row: u32,
}

impl Delivery {
    /// A delivery to `destination`.
    ///
    /// # Errors
    /// [`ClientError`]: its secret cannot be read.
    pub fn new(
        destination: &Destination,
        store: Store,
        wake: Arc<Notify>,
        inputs: mpsc::Sender<InputKind>,
    ) -> Result<Self, ClientError> {
        Ok(Self {
            id: destination.id.clone(),
            client: Client::new(destination)?,
            store,
            wake,
            inputs,
            clock: Clock::process(),
            failed_in_a_row: 0,
        })
    }

    /// Deliver what is due, for ever.
    pub async fn run(mut self) {
        loop {
            match self
                .store
                .outbox_due(&self.id, self.clock.now(), AT_ONCE)
                .await
            {
                Ok(due) if due.is_empty() => {
                    drop(tokio::time::timeout(LOOK_EVERY, self.wake.notified()).await);
                }
                Ok(due) => self.deliver(due).await,
                Err(error) => {
                    tracing::warn!(destination = %self.id, %error, "the outbox cannot be read; trying again");
                    tokio::time::sleep(STORE_PAUSE).await;
                }
            }
        }
    }

    /// One row of each call that is due, side by side.
    async fn deliver(&mut self, due: Vec<Due>) {
        let clock = self.clock;
        let client = &self.client;
        let mut attempts: FuturesUnordered<_> = due
            .into_iter()
            .map(|row| async move {
                let unix_seconds = clock.now().as_micros() / 1_000_000;
                let verdict = client
                    .attempt(&row.event_id.to_string(), unix_seconds, &row.body)
                    .await;
                (row, verdict)
            })
            .collect();
        let mut done = Vec::new();
        while let Some((row, verdict)) = attempts.next().await {
            done.push((row, verdict));
        }
        drop(attempts);
        for (row, verdict) in done {
            self.settle(&row, verdict).await;
        }
    }

    async fn settle(&mut self, row: &Due, verdict: Verdict) {
        let now = self.clock.now();
        let kept = match verdict {
            Verdict::Accepted { incident_id } => {
                metrics::counter!("firstring_deliveries_total", "destination" => self.id.to_string(), "result" => "delivered").increment(1);
                self.succeeded().await;
                // Only the first delivery of a call is told to the switch: what it changes makes the next revision.
                if row.sequence == 1 {
                    self.acknowledge(row, incident_id).await;
                }
                self.store.outbox_delivered(row.id, now).await
            }
            Verdict::Failed {
                reason,
                retry_after,
            } => {
                metrics::counter!("firstring_deliveries_total", "destination" => self.id.to_string(), "result" => "failed").increment(1);
                self.failed(&reason).await;
                let next = next_attempt(row.created_at, now, row.attempts + 1, retry_after);
                self.store.outbox_failed(row.id, next, &reason).await
            }
        };
        if let Err(error) = kept {
            // The row stays due: it is sent again, under the same id.
            tracing::warn!(destination = %self.id, %error, "the outbox cannot be written; the delivery will repeat");
            tokio::time::sleep(STORE_PAUSE).await;
        }
    }

    async fn acknowledge(&self, row: &Due, incident_id: Option<String>) {
        let destination = self.id.clone();
        let command = Command::Acknowledge {
            call: row.call,
            destination: destination.clone(),
            incident_id,
        };
        let input = InputKind::Command {
            id: CommandId(Uuid::now_v7()),
            by: Actor::Module(destination),
            command,
        };
        drop(self.inputs.send(input).await); // closed only when the engine ends
    }

    async fn failed(&mut self, reason: &str) {
        self.failed_in_a_row = self.failed_in_a_row.saturating_add(1);
        if self.failed_in_a_row == ALARM_AFTER {
            let detail = format!(
                "{ALARM_AFTER} deliveries failed, the last with: {reason}. Calls are unaffected and everything is kept; look at the module"
            );
            self.alarm(true, detail).await;
        }
    }

    async fn succeeded(&mut self) {
        if std::mem::take(&mut self.failed_in_a_row) >= ALARM_AFTER {
            self.alarm(false, String::new()).await;
        }
    }

    async fn alarm(&self, raised: bool, detail: String) {
        let alarm = InputKind::Alarm {
            code: AlarmCode::DestinationFailing,
            subject: self.id.to_string(),
            detail,
            raised,
        };
        drop(self.inputs.send(alarm).await);
    }
}
