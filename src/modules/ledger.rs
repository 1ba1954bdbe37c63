//! A module's memory: every event once, every call at its highest revision, every order.

use std::path::Path;

use serde_json::Value;
use sqlx::Row;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions};

/// The SQLite file of one module.
pub(super) struct Ledger {
    pool: SqlitePool,
}

/// One event as it came.
pub(super) struct Received<'a> {
    pub(super) id: &'a str,
    pub(super) kind: &'a str,
    pub(super) call: &'a str,
    pub(super) sequence: i64,
    pub(super) rev: i64,
    pub(super) body: &'a str,
    pub(super) record: &'a Value,
}

/// One order of a vehicle.
pub(super) struct Order<'a> {
    pub(super) id: &'a str,
    pub(super) call: &'a str,
    pub(super) vehicle: &'a str,
    pub(super) state: &'a str,
    pub(super) reason: &'a str,
}

const TABLES: &str = "
create table if not exists events (
    id text primary key, type text not null, call text not null, sequence integer not null, rev integer not null,
    received_at text not null default (strftime('%Y-%m-%dT%H:%M:%fZ','now')), times integer not null default 1, body text not null);
create table if not exists calls (
    call text primary key, rev integer not null, incident text not null, closed integer not null default 0, record text not null);
create table if not exists orders (
    id text primary key, call text not null, vehicle text not null, state text not null, reason text not null default '',
    at text not null default (strftime('%Y-%m-%dT%H:%M:%fZ','now')));";

impl Ledger {
    /// Open or create the file.
    pub(super) async fn open(path: &Path) -> Result<Self, sqlx::Error> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal);
        let pool = SqlitePoolOptions::new()
            .max_connections(2)
            .connect_with(options)
            .await?;
        sqlx::raw_sql(TABLES).execute(&pool).await?;
        Ok(Self { pool })
    }

    /// Keep an event; false when this id was here before (a repeat is acknowledged again and changes nothing).
    pub(super) async fn receive(
        &self,
        event: &Received<'_>,
        incident: &str,
    ) -> Result<bool, sqlx::Error> {
        let mut tx = self.pool.begin().await?;
        let known = sqlx::query("update events set times = times + 1 where id = ?")
            .bind(event.id)
            .execute(&mut *tx)
            .await?;
        if known.rows_affected() > 0 {
            tx.commit().await?;
            return Ok(false);
        }
        sqlx::query(
            "insert into events (id, type, call, sequence, rev, body) values (?, ?, ?, ?, ?, ?)",
        )
        .bind(event.id)
        .bind(event.kind)
        .bind(event.call)
        .bind(event.sequence)
        .bind(event.rev)
        .bind(event.body)
        .execute(&mut *tx)
        .await?;
        let closed = i64::from(event.kind == "call.closed");
        sqlx::query(
            "insert into calls (call, rev, incident, closed, record) values (?, ?, ?, ?, ?)
             on conflict (call) do update set closed = max(closed, excluded.closed),
             record = case when excluded.rev > calls.rev then excluded.record else calls.record end,
             rev = max(calls.rev, excluded.rev)",
        )
        .bind(event.call)
        .bind(event.rev)
        .bind(incident)
        .bind(closed)
        .bind(event.record.to_string())
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(true)
    }

    /// The newest calls with their orders, as the page shows them.
    pub(super) async fn calls(&self, limit: i64) -> Result<Vec<Value>, sqlx::Error> {
        let rows = sqlx::query(
            "select call, rev, incident, closed, record from calls order by call desc limit ?",
        )
        .bind(limit)
        .fetch_all(&self.pool)
        .await?;
        let mut calls = Vec::with_capacity(rows.len());
        for row in rows {
            let call: String = row.get("call");
            let record: String = row.get("record");
            calls.push(serde_json::json!({
                "call": call, "rev": row.get::<i64, _>("rev"), "incident": row.get::<String, _>("incident"),
                "closed": row.get::<i64, _>("closed") != 0,
                "record": serde_json::from_str::<Value>(&record).unwrap_or(Value::Null),
                "orders": self.orders(&call).await?,
            }));
        }
        Ok(calls)
    }

    async fn orders(&self, call: &str) -> Result<Vec<Value>, sqlx::Error> {
        let rows = sqlx::query(
            "select id, vehicle, state, reason, at from orders where call = ? order by at",
        )
        .bind(call)
        .fetch_all(&self.pool)
        .await?;
        Ok(rows
            .iter()
            .map(|row| {
                serde_json::json!({
                    "id": row.get::<String, _>("id"), "vehicle": row.get::<String, _>("vehicle"), "state": row.get::<String, _>("state"),
                    "reason": row.get::<String, _>("reason"), "at": row.get::<String, _>("at"),
                })
            })
            .collect())
    }

    /// The newest events, without their bodies.
    pub(super) async fn events(&self, limit: i64) -> Result<Vec<Value>, sqlx::Error> {
        let rows = sqlx::query("select id, type, call, sequence, rev, received_at, times from events order by received_at desc limit ?")
            .bind(limit)
            .fetch_all(&self.pool)
            .await?;
        Ok(rows
            .iter()
            .map(|row| {
                serde_json::json!({
                    "id": row.get::<String, _>("id"), "type": row.get::<String, _>("type"), "call": row.get::<String, _>("call"),
                    "sequence": row.get::<i64, _>("sequence"), "rev": row.get::<i64, _>("rev"),
                    "received_at": row.get::<String, _>("received_at"), "times": row.get::<i64, _>("times"),
                })
            })
            .collect())
    }

    /// Keep an order or its new state.
    pub(super) async fn order(&self, order: &Order<'_>) -> Result<(), sqlx::Error> {
        sqlx::query(
            "insert into orders (id, call, vehicle, state, reason) values (?, ?, ?, ?, ?)
             on conflict (id) do update set vehicle = excluded.vehicle, state = excluded.state, reason = excluded.reason",
        )
        .bind(order.id)
        .bind(order.call)
        .bind(order.vehicle)
        .bind(order.state)
        .bind(order.reason)
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// The vehicle of an order of this call.
    pub(super) async fn vehicle(
        &self,
        call: &str,
        order: &str,
    ) -> Result<Option<String>, sqlx::Error> {
        let row = sqlx::query("select vehicle from orders where id = ? and call = ?")
            .bind(order)
            .bind(call)
            .fetch_optional(&self.pool)
            .await?;
        Ok(row.map(|row| row.get("vehicle")))
    }
}
