//! The projector's side of the database: records, outbox rows and cursor change in one transaction or not at all.

use sqlx::{Any, Row as _, Transaction};

use super::outbox::NewDelivery;
use super::{Store, StoreError, outbox, plain, signed};
use crate::call_record::CallRecord;
use crate::id::{CallId, DestinationId};

/// One transaction of the projector. Dropped without [`Projection::commit`], it changes nothing.
pub(in crate::store) struct Projection {
    transaction: Transaction<'static, Any>,
}

impl Store {
    pub(in crate::store) async fn projection(&self) -> Result<Projection, StoreError> {
        let transaction = self.pool.begin_with(self.begin_sql()).await?;
        Ok(Projection { transaction })
    }

    /// The last Event that `reader` has taken in; 0 when it has not begun.
    pub(in crate::store) async fn cursor(&self, reader: &str) -> Result<u64, StoreError> {
        let row = sqlx::query("SELECT seq FROM cursors WHERE name = $1")
            .bind(reader)
            .fetch_optional(&self.pool)
            .await?;
        let seq: Option<i64> = row.map(|row| row.try_get(0)).transpose()?;
        Ok(seq.unwrap_or(0).unsigned_abs())
    }
}

impl Projection {
    pub(in crate::store) async fn load(
        &mut self,
        call: CallId,
    ) -> Result<Option<CallRecord>, StoreError> {
        let row = sqlx::query("SELECT json FROM call_records WHERE call_id = $1")
            .bind(call.to_string())
            .fetch_optional(&mut *self.transaction)
            .await?;
        let Some(row) = row else { return Ok(None) };
        let json: String = row.try_get(0)?;
        let record = serde_json::from_str(&json).map_err(|source| StoreError::Record {
            call: call.to_string(),
            source,
        })?;
        Ok(Some(record))
    }

    pub(in crate::store) async fn save(&mut self, record: &CallRecord) -> Result<(), StoreError> {
        let failed = |source| StoreError::Record {
            call: record.call_id.to_string(),
            source,
        };
        let json = serde_json::to_string(record).map_err(failed)?;
        // A call that we made is found by the number that it was for.
        let callee = record.callee.as_ref().map(|callee| &callee.number);
        let number = record.caller.number.as_ref().or(callee);
        let received = record
            .times
            .received
            .map_or(0, |at| at.timestamp().as_micros());
        sqlx::query(
            "INSERT INTO call_records (call_id, rev, received_at, caller_e164, caller_display, outcome, seat, json) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8) \
             ON CONFLICT (call_id) DO UPDATE SET rev = excluded.rev, received_at = excluded.received_at, \
             caller_e164 = excluded.caller_e164, caller_display = excluded.caller_display, \
             outcome = excluded.outcome, seat = excluded.seat, json = excluded.json",
        )
        .bind(record.call_id.to_string())
        .bind(signed(record.rev))
        .bind(received)
        .bind(number.and_then(|number| number.e164.as_deref().map(plain)))
        .bind(number.map(|number| plain(&number.display)))
        .bind(record.outcome().map(str::to_owned))
        .bind(record.seat().map(|seat| plain(&seat.0)))
        .bind(json)
        .execute(&mut *self.transaction)
        .await?;
        Ok(())
    }

    pub(in crate::store) async fn last_sequence(
        &mut self,
        destination: &DestinationId,
        call: CallId,
    ) -> Result<u64, StoreError> {
        Ok(outbox::last_sequence(&mut self.transaction, destination, call).await?)
    }

    /// False when the destination has this event already.
    pub(in crate::store) async fn enqueue(
        &mut self,
        new: &NewDelivery<'_>,
    ) -> Result<bool, StoreError> {
        Ok(outbox::insert(&mut self.transaction, new).await?)
    }

    /// Commit everything, with `reader` having taken in Events up to `seq`.
    pub(in crate::store) async fn commit(
        mut self,
        reader: &str,
        seq: u64,
    ) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO cursors (name, seq) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET seq = excluded.seq",
        )
        .bind(reader)
        .bind(signed(seq))
        .execute(&mut *self.transaction)
        .await?;
        self.transaction.commit().await?;
        Ok(())
    }
}
