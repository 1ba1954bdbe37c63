//! A set of deadlines, one per key, in order of time. Pure: the time is handed in.

use std::collections::{BTreeMap, BTreeSet};

use crate::time::Timestamp;

/// Deadlines by key; setting one again moves it.
#[derive(Clone, Debug)]
pub struct Wheel<K: Ord + Clone> {
    order: BTreeSet<(Timestamp, K)>,
    at: BTreeMap<K, Timestamp>,
}

impl<K: Ord + Clone> Default for Wheel<K> {
    fn default() -> Self {
        Self {
            order: BTreeSet::new(),
            at: BTreeMap::new(),
        }
    }
}

impl<K: Ord + Clone> Wheel<K> {
    /// Sets or moves the deadline of `key`.
    pub fn set(&mut self, key: K, at: Timestamp) {
        self.clear(&key);
        self.order.insert((at, key.clone()));
        self.at.insert(key, at);
    }

    /// Forgets the deadline of `key`.
    pub fn clear(&mut self, key: &K) {
        if let Some(at) = self.at.remove(key) {
            self.order.remove(&(at, key.clone()));
        }
    }

    /// The earliest deadline.
    #[must_use]
    pub fn next(&self) -> Option<Timestamp> {
        self.order.first().map(|(at, _)| *at)
    }

    /// Takes the earliest key that is due.
    pub fn pop_due(&mut self, now: Timestamp) -> Option<K> {
        if self.next()? > now {
            return None;
        }
        let (_, key) = self.order.pop_first()?;
        self.at.remove(&key);
        Some(key)
    }

    /// How many deadlines stand.
    #[must_use]
    pub fn len(&self) -> usize {
        self.at.len()
    }

    /// Whether none stands.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.at.is_empty()
    }
}
