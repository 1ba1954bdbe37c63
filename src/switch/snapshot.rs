//! The whole state as JSON, and back. A journal starts at one and goes on from there.

use serde::{Deserialize, Serialize};

use super::Switch;

/// Grows when the state's shape changes; an older snapshot is then not read, the journal's Events still are.
const SCHEMA: u32 = 2;

/// Why a snapshot could not be read.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// Written by another build's state shape.
    #[error("snapshot has schema {got}, this build reads {expected}; start from Events instead")]
    Schema { expected: u32, got: u32 },
    /// Not a snapshot, or damaged.
    #[error("snapshot cannot be read: {0}")]
    Damaged(#[from] serde_json::Error),
}

#[derive(Serialize)]
struct Written<'a> {
    schema: u32,
    switch: &'a Switch,
}

#[derive(Deserialize)]
struct Head {
    schema: u32,
}

#[derive(Deserialize)]
struct Read {
    switch: Switch,
}

impl Switch {
    /// The state as JSON, for the journal. Effects and Events not yet taken are not part of it.
    ///
    /// # Errors
    /// None is known; the type of the serialiser allows for one.
    pub fn snapshot(&self) -> Result<serde_json::Value, SnapshotError> {
        Ok(serde_json::to_value(Written {
            schema: SCHEMA,
            switch: self,
        })?)
    }

    /// The state that [`Switch::snapshot`] wrote.
    ///
    /// # Errors
    /// [`SnapshotError`] when it is damaged or of another schema.
    pub fn restore(snapshot: &serde_json::Value) -> Result<Self, SnapshotError> {
        let head = Head::deserialize(snapshot)?;
        if head.schema != SCHEMA {
            return Err(SnapshotError::Schema {
                expected: SCHEMA,
                got: head.schema,
            });
        }
        Ok(Read::deserialize(snapshot)?.switch)
    }

    /// BLAKE3 of the state, 64 hex digits. Equal states have equal hashes, on every machine.
    #[must_use]
    pub fn state_hash(&self) -> String {
        let mut hasher = blake3::Hasher::new();
        match serde_json::to_writer(&mut hasher, self) {
            Ok(()) => hasher.finalize().to_hex().to_string(),
            // Says what is wrong where the hash would stand; equal to no hash.
            Err(error) => format!("unhashable: {error}"),
        }
    }
}
