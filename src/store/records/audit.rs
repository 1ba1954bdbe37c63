//! The audit list: who heard which recording, who sent what again, who was refused what and why.

use sqlx::Row as _;

use super::{Backend, Store, StoreError, plain};
use crate::time::Timestamp;

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct AuditEntry {
    pub seq: i64,
    pub at: String,
    pub actor: String,
    pub action: String,
    pub subject: String,
    /// Why it was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl Store {
    /// Add an entry; when this returns, a power cut cannot take it away.
    ///
    /// # Errors
    /// [`StoreError`] when it is not written; the action must then not happen.
    pub async fn audit(
        &self,
        at: Timestamp,
        actor: &str,
        action: &str,
        subject: &str,
    ) -> Result<(), StoreError> {
        self.audit_with(at, actor, action, subject, None).await
    }

    /// As [`Store::audit`], for what was refused: `reason` says why.
    ///
    /// # Errors
    /// [`StoreError`] when it is not written.
    pub async fn audit_refused(
        &self,
        at: Timestamp,
        actor: &str,
        action: &str,
        subject: &str,
        reason: &str,
    ) -> Result<(), StoreError> {
        self.audit_with(at, actor, action, subject, Some(reason))
            .await
    }

    async fn audit_with(
        &self,
        at: Timestamp,
        actor: &str,
        action: &str,
        subject: &str,
        reason: Option<&str>,
    ) -> Result<(), StoreError> {
        let mut connection = self.pool.acquire().await?;
        if self.backend == Backend::Sqlite {
            sqlx::query("PRAGMA synchronous = FULL")
                .execute(&mut *connection)
                .await?;
        }
        let written = sqlx::query(
            "INSERT INTO audit (at, actor, action, subject, reason) VALUES ($1, $2, $3, $4, $5)",
        )
        .bind(at.as_micros())
        .bind(plain(actor))
        .bind(plain(action))
        .bind(plain(subject))
        .bind(reason.map(plain))
        .execute(&mut *connection)
        .await;
        if self.backend == Backend::Sqlite {
            sqlx::query("PRAGMA synchronous = NORMAL")
                .execute(&mut *connection)
                .await?;
        }
        written?;
        Ok(())
    }

    /// The newest `limit` entries, of all subjects or of one.
    ///
    /// # Errors
    /// [`StoreError`] when the database does not answer.
    pub async fn audit_entries(
        &self,
        subject: Option<&str>,
        limit: u32,
    ) -> Result<Vec<AuditEntry>, StoreError> {
        let rows = sqlx::query(
            "SELECT seq, at, actor, action, subject, reason FROM audit \
             WHERE subject = $1 OR $2 = 1 ORDER BY seq DESC LIMIT $3",
        )
        .bind(subject.unwrap_or_default())
        .bind(i32::from(subject.is_none()))
        .bind(i64::from(limit))
        .fetch_all(&self.pool)
        .await?;
        let mut entries = Vec::with_capacity(rows.len());
        for row in rows {
            entries.push(AuditEntry {
                seq: row.try_get(0)?,
                at: Timestamp::from_micros(row.try_get(1)?).rfc3339(),
                actor: row.try_get(2)?,
                action: row.try_get(3)?,
                subject: row.try_get(4)?,
                reason: row.try_get(5)?,
            });
        }
        Ok(entries)
    }
}
