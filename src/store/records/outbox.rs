//! The outbox: one row per delivery, one order per destination and call.

use serde_json::{Value, json};
use sqlx::Row as _;
use sqlx::any::AnyRow;

use super::{Store, StoreError, plain, signed};
use crate::id::{CallId, DestinationId, EventId};
use crate::time::Timestamp;

/// A delivery whose turn it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    pub id: i64,
    pub destination: DestinationId,
    pub call: CallId,
    /// Gapless per destination and call, from 1.
    pub sequence: u64,
    /// The same on each attempt.
    pub event_id: EventId,
    /// `call.arrived`, `call.enriched`, `call.closed`.
    pub kind: String,
    /// Exactly what is to be signed and sent.
    pub body: String,
    /// Attempts that failed.
    pub attempts: u32,
    pub created_at: Timestamp,
}

/// Rows of one destination by state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutboxCount {
    pub destination: DestinationId,
    pub pending: u64,
    pub delivered: u64,
    pub dead: u64,
    /// When the oldest pending one was made.
    pub oldest_pending: Option<Timestamp>,
}

impl Store {
    /// Up to `limit` deliveries to `destination` that are due at `now`, oldest first. Of each call only the oldest
    /// undelivered one is looked at: while it waits for its next attempt, the call waits, and no other call does.
    ///
    /// # Errors
    /// [`StoreError`] when the database does not answer.
    pub async fn outbox_due(
        &self,
        destination: &DestinationId,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<Due>, StoreError> {
        let rows = sqlx::query(
            "SELECT o.id, o.destination, o.call_id, o.sequence, o.event_id, o.type, o.body, o.attempts, o.created_at \
             FROM (SELECT min(id) AS id FROM outbox WHERE destination = $1 AND state = 'pending' GROUP BY call_id) head \
             JOIN outbox o ON o.id = head.id WHERE o.next_at <= $2 ORDER BY o.id LIMIT $3",
        )
        .bind(destination.as_str())
        .bind(now.as_micros())
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(|row| Ok(due(row)?)).collect()
    }

    /// When the next delivery to `destination` is due; `None` when nothing waits.
    ///
    /// # Errors
    /// [`StoreError`] when the database does not answer.
    pub async fn outbox_next_at(
        &self,
        destination: &DestinationId,
    ) -> Result<Option<Timestamp>, StoreError> {
        let row = sqlx::query(
            "SELECT min(o.next_at) \
             FROM (SELECT min(id) AS id FROM outbox WHERE destination = $1 AND state = 'pending' GROUP BY call_id) head \
             JOIN outbox o ON o.id = head.id",
        )
        .bind(destination.as_str())
        .fetch_one(&self.pool)
        .await?;
        let at: Option<i64> = row.try_get(0)?;
        Ok(at.map(Timestamp::from_micros))
    }

    /// The destination took it.
    ///
    /// # Errors
    /// [`StoreError`] when it is not noted; the delivery is then repeated under the same id.
    pub async fn outbox_delivered(&self, id: i64, at: Timestamp) -> Result<(), StoreError> {
        sqlx::query(
            "UPDATE outbox SET state = 'delivered', delivered_at = $2, attempts = attempts + 1, last_error = NULL \
             WHERE id = $1",
        )
        .bind(id)
        .bind(at.as_micros())
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// An attempt failed: try again at `next`, or give up (`None`): a dead letter, listed until a person acts. The
    /// call's next delivery then goes out; its record is complete, so nothing but a step is missing.
    ///
    /// # Errors
    /// [`StoreError`] when it is not noted.
    pub async fn outbox_failed(
        &self,
        id: i64,
        next: Option<Timestamp>,
        reason: &str,
    ) -> Result<(), StoreError> {
        sqlx::query(
            "UPDATE outbox SET state = $2, next_at = $3, attempts = attempts + 1, last_error = $4 WHERE id = $1",
        )
        .bind(id)
        .bind(if next.is_some() { "pending" } else { "dead" })
        .bind(next.map_or(0, Timestamp::as_micros))
        .bind(plain(reason))
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Send a delivery again, under its own id; false when it is not there.
    ///
    /// # Errors
    /// [`StoreError`] when the database does not answer.
    pub async fn send_again(&self, id: i64, now: Timestamp) -> Result<bool, StoreError> {
        let done = sqlx::query(
            "UPDATE outbox SET state = 'pending', attempts = 0, next_at = $2, delivered_at = NULL WHERE id = $1",
        )
        .bind(id)
        .bind(now.as_micros())
        .execute(&self.pool)
        .await?;
        Ok(done.rows_affected() > 0)
    }

    /// Deliveries for people, newest first: `id`, `destination`, `call`, `sequence`, `event_id`, `type`, `state`,
    /// `attempts`, `created_at`, `next_at`, `delivered_at`, `last_error`.
    ///
    /// # Errors
    /// [`StoreError`] when the database does not answer.
    pub async fn deliveries(
        &self,
        call: Option<CallId>,
        limit: u32,
    ) -> Result<Vec<Value>, StoreError> {
        let rows = sqlx::query(
            "SELECT id, destination, call_id, sequence, event_id, type, state, attempts, created_at, next_at, \
             delivered_at, last_error FROM outbox WHERE call_id = $1 OR $2 = 1 ORDER BY id DESC LIMIT $3",
        )
        .bind(call.map(|call| call.to_string()).unwrap_or_default())
        .bind(i32::from(call.is_none()))
        .bind(i64::from(limit))
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(|row| Ok(for_people(row)?)).collect()
    }

    /// Deliveries that were given up, newest first; shape as [`Store::deliveries`].
    ///
    /// # Errors
    /// [`StoreError`] when the database does not answer.
    pub async fn dead_letters(&self, limit: u32) -> Result<Vec<Value>, StoreError> {
        let rows = sqlx::query(
            "SELECT id, destination, call_id, sequence, event_id, type, state, attempts, created_at, next_at, \
             delivered_at, last_error FROM outbox WHERE state = 'dead' ORDER BY id DESC LIMIT $1",
        )
        .bind(i64::from(limit))
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(|row| Ok(for_people(row)?)).collect()
    }

    /// How many rows each destination has, by state.
    ///
    /// # Errors
    /// [`StoreError`] when the database does not answer.
    pub async fn outbox_counts(&self) -> Result<Vec<OutboxCount>, StoreError> {
        let rows = sqlx::query(
            "SELECT destination, \
             CAST(sum(CASE WHEN state = 'pending' THEN 1 ELSE 0 END) AS BIGINT), \
             CAST(sum(CASE WHEN state = 'delivered' THEN 1 ELSE 0 END) AS BIGINT), \
             CAST(sum(CASE WHEN state = 'dead' THEN 1 ELSE 0 END) AS BIGINT), \
             min(CASE WHEN state = 'pending' THEN created_at END) \
             FROM outbox GROUP BY destination ORDER BY destination",
        )
        .fetch_all(&self.pool)
        .await?;
        let mut counts = Vec::with_capacity(rows.len());
        for row in rows {
            let count = |index: usize| row.try_get::<i64, _>(index).map(i64::unsigned_abs);
            counts.push(OutboxCount {
                destination: DestinationId(row.try_get(0)?),
                pending: count(1)?,
                delivered: count(2)?,
                dead: count(3)?,
                oldest_pending: row
                    .try_get::<Option<i64>, _>(4)?
                    .map(Timestamp::from_micros),
            });
        }
        Ok(counts)
    }

    /// Drop rows delivered before `before`, except each call's last one, which keeps the sequence. Returns how many.
    ///
    /// # Errors
    /// [`StoreError`] when the database does not answer.
    pub async fn drop_delivered(&self, before: Timestamp) -> Result<u64, StoreError> {
        let done = sqlx::query(
            "DELETE FROM outbox WHERE state = 'delivered' AND delivered_at < $1 AND EXISTS \
             (SELECT 1 FROM outbox later WHERE later.destination = outbox.destination \
              AND later.call_id = outbox.call_id AND later.sequence > outbox.sequence)",
        )
        .bind(before.as_micros())
        .execute(&self.pool)
        .await?;
        Ok(done.rows_affected())
    }
}

fn due(row: &AnyRow) -> Result<Due, sqlx::Error> {
    let call: String = row.try_get(2)?;
    let event: String = row.try_get(4)?;
    let not_an_id = |error: uuid::Error| sqlx::Error::Decode(Box::new(error));
    Ok(Due {
        id: row.try_get(0)?,
        destination: DestinationId(row.try_get(1)?),
        call: call.parse().map_err(not_an_id)?,
        sequence: row.try_get::<i64, _>(3)?.unsigned_abs(),
        event_id: event.parse().map_err(not_an_id)?,
        kind: row.try_get(5)?,
        body: row.try_get(6)?,
        attempts: u32::try_from(row.try_get::<i64, _>(7)?).unwrap_or(u32::MAX),
        created_at: Timestamp::from_micros(row.try_get(8)?),
    })
}

fn for_people(row: &AnyRow) -> Result<Value, sqlx::Error> {
    let time = |index: usize| {
        row.try_get::<Option<i64>, _>(index)
            .map(|at| at.map(|at| Timestamp::from_micros(at).rfc3339()))
    };
    let state: String = row.try_get(6)?;
    let next_at = if state == "pending" { time(9)? } else { None };
    Ok(json!({
        "id": row.try_get::<i64, _>(0)?,
        "destination": row.try_get::<String, _>(1)?,
        "call": row.try_get::<String, _>(2)?,
        "sequence": row.try_get::<i64, _>(3)?,
        "event_id": row.try_get::<String, _>(4)?,
        "type": row.try_get::<String, _>(5)?,
        "state": state,
        "attempts": row.try_get::<i64, _>(7)?,
        "created_at": time(8)?,
        "next_at": next_at,
        "delivered_at": time(10)?,
        "last_error": row.try_get::<Option<String>, _>(11)?,
    }))
}

/// One row to be.
pub(in crate::store) struct NewDelivery<'a> {
    pub(in crate::store) destination: &'a DestinationId,
    pub(in crate::store) call: CallId,
    pub(in crate::store) sequence: u64,
    pub(in crate::store) event_id: EventId,
    pub(in crate::store) kind: &'static str,
    pub(in crate::store) body: String,
    pub(in crate::store) at: Timestamp,
}

/// False when this destination has the event already.
pub(super) async fn insert(
    connection: &mut sqlx::AnyConnection,
    new: &NewDelivery<'_>,
) -> Result<bool, sqlx::Error> {
    let done = sqlx::query(
        "INSERT INTO outbox (destination, call_id, sequence, event_id, type, body, state, attempts, next_at, created_at) \
         VALUES ($1, $2, $3, $4, $5, $6, 'pending', 0, $7, $8) ON CONFLICT (destination, event_id) DO NOTHING",
    )
    .bind(new.destination.as_str())
    .bind(new.call.to_string())
    .bind(signed(new.sequence))
    .bind(new.event_id.to_string())
    .bind(new.kind)
    .bind(new.body.as_str())
    .bind(new.at.as_micros())
    .bind(new.at.as_micros())
    .execute(connection)
    .await?;
    Ok(done.rows_affected() > 0)
}

/// The last sequence given to a call's deliveries to `destination`; 0 when there was none.
pub(super) async fn last_sequence(
    connection: &mut sqlx::AnyConnection,
    destination: &DestinationId,
    call: CallId,
) -> Result<u64, sqlx::Error> {
    let last: Option<i64> =
        sqlx::query("SELECT max(sequence) FROM outbox WHERE destination = $1 AND call_id = $2")
            .bind(destination.as_str())
            .bind(call.to_string())
            .fetch_one(connection)
            .await?
            .try_get(0)?;
    Ok(last.unwrap_or(0).unsigned_abs())
}
