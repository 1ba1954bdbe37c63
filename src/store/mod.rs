//! Everything that lasts, and the only place that names sqlx.
//!
//! [`journal`] is the truth: local SQLite segment files with every Input and Event, written before Effects run.
//! [`records`] are copies made from it (SQLite or PostgreSQL): call records, cursors, the outbox, the audit list.
//! [`projector`] folds the one into the other. If records and projector are down, calls still ring, talk, record
//! and get journaled; they catch up from their cursor.
//!
//! ```text
//! switch -> journal -> projector -> call_records + outbox (one transaction) -> deliver
//! ```

pub mod journal;
pub mod projector;
pub mod records;
