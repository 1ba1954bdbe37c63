//! Who hears whom: the gain matrix of one call. Every talk, hold, three-way, listen or whisper is an edit of it.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::id::LegId;

/// For each hearer the set of legs it hears, all at unity gain. A leg never hears itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Matrix {
    hears: BTreeMap<LegId, BTreeSet<LegId>>,
}

impl Matrix {
    /// Nobody hears anybody.
    #[must_use]
    pub fn silent() -> Self {
        Self::default()
    }

    /// Everyone in `legs` hears all others.
    #[must_use]
    pub fn everyone(legs: &[LegId]) -> Self {
        let mut matrix = Self::default();
        for hearer in legs {
            for source in legs {
                matrix.hear(*hearer, *source);
            }
        }
        matrix
    }

    /// `hearer` hears `source` from now on.
    pub fn hear(&mut self, hearer: LegId, source: LegId) {
        if hearer != source {
            self.hears.entry(hearer).or_default().insert(source);
        }
    }

    /// Whom `hearer` hears, in a fixed order.
    pub fn sources(&self, hearer: LegId) -> impl Iterator<Item = LegId> + '_ {
        self.hears.get(&hearer).into_iter().flatten().copied()
    }

    /// All hearers, in a fixed order.
    pub fn hearers(&self) -> impl Iterator<Item = LegId> + '_ {
        self.hears.keys().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn in_a_conference_each_hears_all_others_and_not_itself() {
        let legs: Vec<_> = (1..=3).map(|n| LegId(Uuid::from_u128(n))).collect();
        let matrix = Matrix::everyone(&legs);
        for leg in &legs {
            let heard: Vec<_> = matrix.sources(*leg).collect();
            assert_eq!(
                heard,
                legs.iter()
                    .copied()
                    .filter(|l| l != leg)
                    .collect::<Vec<_>>()
            );
        }
    }
}
