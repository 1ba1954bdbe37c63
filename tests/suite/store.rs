//! What lasts: the journal under faults, and records on every database.

mod journal;
mod records;
