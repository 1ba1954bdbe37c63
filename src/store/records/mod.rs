//! Call records, cursors, the outbox and the audit list, in SQLite or PostgreSQL. The same statements run on both.
//!
//! All of it is a copy of what the journal says (the audit list excepted), so a database that is down loses nothing:
//! the projector goes on from its cursor when it is back. Opening never fails because a database is down.
//!
//! ```text
//! outbox row: pending -> delivered
//!                `-> (attempt failed) pending, later | (given up) dead -> (sent again by a person) pending
//! ```

mod audit;
mod calls;
mod open;
mod outbox;
mod project;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use sqlx::AnyPool;

pub use audit::AuditEntry;
pub use calls::NumberHistory;
pub(in crate::store) use outbox::NewDelivery;
pub use outbox::{Due, OutboxCount};
pub(in crate::store) use project::Projection;

/// What can go wrong with the database. Never carries its address, which may hold a password.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("the database address cannot be read: {0}")]
    Address(sqlx::Error),
    #[error("the database does not answer as wanted: {0}")]
    Database(#[from] sqlx::Error),
    #[error("the database cannot be brought to this build's tables: {0}")]
    Migrate(#[from] sqlx::migrate::MigrateError),
    #[error("call {call}: its stored record does not read: {source}")]
    Record {
        call: String,
        source: serde_json::Error,
    },
}

/// Which database stands behind a store.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Backend {
    Sqlite,
    Postgres,
}

/// The database. Cheap to clone; all clones share one small pool of connections.
#[derive(Clone, Debug)]
pub struct Store {
    pool: AnyPool,
    backend: Backend,
    /// The tables are there.
    ready: Arc<AtomicBool>,
}

/// Our numbers never reach the sign.
fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// PostgreSQL keeps no NUL in a text; one in a caller's name must not stop the records.
fn plain(text: &str) -> String {
    text.replace('\0', "")
}
