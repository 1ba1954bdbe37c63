//! Reading call records.

use serde_json::{Value, json};
use sqlx::Row as _;
use sqlx::any::AnyRow;

use super::{Store, StoreError};
use crate::id::CallId;
use crate::time::Timestamp;

/// Earlier calls of a number.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NumberHistory {
    /// In the window.
    pub count: u32,
    /// Newest first: `call_id`, `at`, `outcome`, `seat`, `incident_id`; unknown is absent.
    pub last_calls: Vec<Value>,
}

impl Store {
    /// The newest revision of a call's record (`ecr/1`).
    ///
    /// # Errors
    /// [`StoreError`] when the database does not answer or the record does not read.
    pub async fn record(&self, call: CallId) -> Result<Option<Value>, StoreError> {
        let row = sqlx::query("SELECT call_id, json FROM call_records WHERE call_id = $1")
            .bind(call.to_string())
            .fetch_optional(&self.pool)
            .await?;
        row.as_ref().map(json_of).transpose()
    }

    /// The newest `limit` records, of all callers or of one number in E.164 form.
    ///
    /// # Errors
    /// [`StoreError`] when the database does not answer or a record does not read.
    pub async fn records(&self, e164: Option<&str>, limit: u32) -> Result<Vec<Value>, StoreError> {
        let query = match e164 {
            Some(e164) => sqlx::query(
                "SELECT call_id, json FROM call_records WHERE caller_e164 = $1 \
                 ORDER BY received_at DESC LIMIT $2",
            )
            .bind(e164),
            None => sqlx::query(
                "SELECT call_id, json FROM call_records WHERE $1 = '' ORDER BY received_at DESC LIMIT $2",
            )
            .bind(""),
        };
        let rows = query.bind(i64::from(limit)).fetch_all(&self.pool).await?;
        rows.iter().map(json_of).collect()
    }

    /// Calls of a number since `since`, other than `except`: how many, and the last `last` of them.
    ///
    /// # Errors
    /// [`StoreError`] when the database does not answer or a record does not read.
    pub async fn history(
        &self,
        e164: &str,
        except: CallId,
        since: Timestamp,
        last: u32,
    ) -> Result<NumberHistory, StoreError> {
        let count: i64 = sqlx::query(
            "SELECT count(*) FROM call_records \
             WHERE caller_e164 = $1 AND received_at >= $2 AND call_id <> $3",
        )
        .bind(e164)
        .bind(since.as_micros())
        .bind(except.to_string())
        .fetch_one(&self.pool)
        .await?
        .try_get(0)?;
        let rows = sqlx::query(
            "SELECT call_id, json FROM call_records \
             WHERE caller_e164 = $1 AND received_at >= $2 AND call_id <> $3 \
             ORDER BY received_at DESC LIMIT $4",
        )
        .bind(e164)
        .bind(since.as_micros())
        .bind(except.to_string())
        .bind(i64::from(last))
        .fetch_all(&self.pool)
        .await?;
        let last_calls = rows
            .iter()
            .map(|row| json_of(row).map(|record| in_short(&record)))
            .collect::<Result<_, _>>()?;
        Ok(NumberHistory {
            count: u32::try_from(count).unwrap_or(u32::MAX),
            last_calls,
        })
    }
}

fn json_of(row: &AnyRow) -> Result<Value, StoreError> {
    let json: String = row.try_get(1)?;
    serde_json::from_str(&json).map_err(|source| StoreError::Record {
        call: row.try_get(0).unwrap_or_default(),
        source,
    })
}

/// What a seat needs of an earlier call.
fn in_short(record: &Value) -> Value {
    let seat = record["seats"].as_array().and_then(|seats| {
        let answered = seats.iter().find(|seat| seat["result"] == "answered");
        answered.map(|seat| seat["seat_id"].clone())
    });
    let mut short = json!({
        "call_id": record["call_id"],
        "at": record["times"]["received"],
        "outcome": record["end"]["result"],
        "seat": seat,
        "incident_id": record["incident_id"],
        "direction": Some(&record["direction"]).filter(|d| **d != "inbound"),
    });
    if let Some(fields) = short.as_object_mut() {
        fields.retain(|_, value| !value.is_null());
    }
    short
}
