//! Delivery of call records to modules: at least once, in order per call, one task per destination. A call that a
//! destination does not take blocks only itself; a destination that is down delays no other and no call.
//!
//! ```text
//! outbox row (due) -> signed POST -> 2xx: delivered, incident id to the switch
//!                              | 410: alarm at once, asked again every 60 s
//!                              | else: next attempt by the schedule, alarm after 3 in a row
//! ```

mod http;
mod schedule;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::sync::{Notify, mpsc};
use uuid::Uuid;

use http::Client;
pub use http::ClientError;
use schedule::{ALARM_AFTER, Verdict, next_attempt, next_probe};

use crate::clock::Clock;
use crate::config::checked::Destination;
use crate::id::{CallId, CommandId, DestinationId};
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
    client: Arc<Client>,
    store: Store,
    /// Told when the projector has written rows.
    wake: Arc<Notify>,
    inputs: mpsc::Sender<InputKind>,
    clock: Clock,
    failed_in_a_row: u32,
    /// `destination.failing` stands.
    alarmed: bool,
}

async fn attempt(client: &Client, clock: Clock, row: Due) -> (Due, Verdict) {
    // The module compares with the wall clock, which may have been set right since we started.
    let unix_seconds = (clock.now().as_micros() + clock.wall_drift_micros()) / 1_000_000;
    let verdict = client
        .attempt(&row.event_id.to_string(), unix_seconds, &row.body)
        .await;
    (row, verdict)
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
            client: Arc::new(Client::new(destination)?),
            store,
            wake,
            inputs,
            clock: Clock::process(),
            failed_in_a_row: 0,
            alarmed: false,
        })
    }

    /// Deliver what is due, for ever. A call has one attempt under way at a time, so its order holds; a call whose attempt
    /// hangs holds back no other.
    pub async fn run(mut self) {
        let client = Arc::clone(&self.client);
        let mut under_way = BTreeSet::new();
        let mut attempts = FuturesUnordered::new();
        loop {
            for row in self.due(&under_way).await {
                under_way.insert(row.call);
                attempts.push(attempt(&client, self.clock, row));
            }
            let wake = Arc::clone(&self.wake);
            let row_and_verdict = if attempts.len() < AT_ONCE {
                tokio::select! {
                    done = attempts.next(), if !attempts.is_empty() => done,
                    () = wake.notified() => None,
                    () = tokio::time::sleep(LOOK_EVERY) => None,
                }
            } else {
                attempts.next().await
            };
            if let Some((row, verdict)) = row_and_verdict {
                under_way.remove(&row.call);
                self.settle(&row, verdict).await;
            }
        }
    }

    /// Rows whose turn it is, of calls that have no attempt under way.
    async fn due(&self, under_way: &BTreeSet<CallId>) -> Vec<Due> {
        let room = AT_ONCE.saturating_sub(under_way.len());
        if room == 0 {
            return Vec::new();
        }
        let found = self
            .store
            .outbox_due(&self.id, self.clock.now(), AT_ONCE)
            .await;
        match found {
            Ok(mut due) => {
                due.retain(|row| !under_way.contains(&row.call));
                due.truncate(room);
                due
            }
            Err(error) => {
                tracing::warn!(destination = %self.id, %error, "the outbox cannot be read; trying again");
                tokio::time::sleep(STORE_PAUSE).await;
                Vec::new()
            }
        }
    }

    async fn settle(&mut self, row: &Due, verdict: Verdict) {
        let now = self.clock.now();
        let kept = match verdict {
            Verdict::Accepted { incident_id } => {
                self.count("delivered");
                self.succeeded().await;
                // Only the first delivery of a call is told to the switch: what it changes makes the next revision.
                if row.sequence == 1 {
                    self.acknowledge(row, incident_id).await;
                }
                self.store.outbox_delivered(row.id, now).await
            }
            Verdict::Gone => {
                self.count("gone");
                self.gone().await;
                let next = next_probe(row.created_at, now);
                self.store.outbox_failed(row.id, next, "HTTP 410").await
            }
            Verdict::Failed {
                reason,
                retry_after,
            } => {
                self.count("failed");
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

    fn count(&self, result: &'static str) {
        metrics::counter!("firstring_deliveries_total", "destination" => self.id.to_string(), "result" => result).increment(1);
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

    /// 410 is an alarm at once: nobody else would notice before an ambulance is missed.
    async fn gone(&mut self) {
        if !self.alarmed {
            let detail = "it answers 410: it takes nothing at this address any more. Everything is kept and it is asked again every minute; correct its address, or take it out of the configuration".to_owned();
            self.alarm(true, detail).await;
        }
        self.failed_in_a_row = self.failed_in_a_row.saturating_add(1);
    }

    async fn failed(&mut self, reason: &str) {
        self.failed_in_a_row = self.failed_in_a_row.saturating_add(1);
        if self.failed_in_a_row >= ALARM_AFTER && !self.alarmed {
            let detail = format!(
                "{ALARM_AFTER} deliveries failed, the last with: {reason}. Calls are unaffected and everything is kept; look at the module"
            );
            self.alarm(true, detail).await;
        }
    }

    async fn succeeded(&mut self) {
        self.failed_in_a_row = 0;
        if self.alarmed {
            self.alarm(false, String::new()).await;
        }
    }

    async fn alarm(&mut self, raised: bool, detail: String) {
        self.alarmed = raised;
        let alarm = InputKind::Alarm {
            code: AlarmCode::DestinationFailing,
            subject: self.id.to_string(),
            detail,
            raised,
        };
        drop(self.inputs.send(alarm).await);
    }
}
