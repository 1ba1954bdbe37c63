//! Chance that a seed repeats (SplitMix64, Steele, Lea, Flood 2014).

use crate::time::Millis;

/// A seeded source of chance.
#[derive(Clone, Debug)]
pub(in crate::sim) struct Chance(u64);

impl Chance {
    pub(in crate::sim) const fn new(seed: u64) -> Self {
        Self(seed ^ 0x5EED_0120_0120_5EED)
    }

    pub(in crate::sim) const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `bound`; 0 when `bound` is 0.
    pub(in crate::sim) fn below(&mut self, bound: u32) -> u32 {
        let drawn = self.next() % u64::from(bound.max(1));
        u32::try_from(drawn).unwrap_or(0)
    }

    /// True in `percent` of 100 draws.
    pub(in crate::sim) fn percent(&mut self, percent: u32) -> bool {
        self.below(100) < percent
    }

    /// A span from `from` up to and without `to`, in ms.
    pub(in crate::sim) fn span(&mut self, from_ms: u32, to_ms: u32) -> Millis {
        Millis(from_ms + self.below(to_ms.saturating_sub(from_ms)))
    }

    /// A span with many short and few long ones around `mean_ms`, at most 8 times it.
    pub(in crate::sim) fn tail(&mut self, mean_ms: u32) -> Millis {
        let mut span = self.below(mean_ms);
        while self.percent(40) && span < mean_ms.saturating_mul(7) {
            span += self.below(mean_ms) + mean_ms / 2;
        }
        Millis(span)
    }

    /// One of `items`, if there is any.
    pub(in crate::sim) fn pick<'a, T>(&mut self, items: &'a [T]) -> Option<&'a T> {
        let count = u32::try_from(items.len()).unwrap_or(u32::MAX);
        items.get(usize::try_from(self.below(count)).unwrap_or(0))
    }
}
