//! Spans as people's are spread: many near the middle, few long ones.

use crate::sim::day::chance::Chance;
use crate::time::Millis;

/// A number between 0 and 1, both left out.
pub(super) fn unit(chance: &mut Chance) -> f64 {
    // 53 bits are what an f64 holds.
    ((chance.next() >> 11) as f64 + 0.5) / 9_007_199_254_740_992.0
}

/// A span of log-normal spread: half are shorter than `median`; `spread` is the standard deviation of its logarithm.
pub(super) fn span(chance: &mut Chance, median: Millis, spread: f64) -> Millis {
    let radius = (-2.0 * unit(chance).ln()).sqrt();
    let normal = radius * (std::f64::consts::TAU * unit(chance)).cos();
    let drawn = f64::from(median.0) * (spread * normal).exp();
    // No talk lasts a day.
    Millis(drawn.clamp(1.0, 86_400_000.0) as u32)
}

/// How many things happen where `mean` are expected, for small means (Knuth).
pub(super) fn count(chance: &mut Chance, mean: f64) -> u32 {
    let floor = (-mean).exp();
    let mut product = unit(chance);
    let mut count = 0;
    while product > floor {
        product *= unit(chance);
        count += 1;
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_all_spans_are_shorter_than_the_median() {
        let mut chance = Chance::new(1);
        let spans: Vec<_> = (0..4_000)
            .map(|_| span(&mut chance, Millis(30_000), 0.5).0)
            .collect();
        let shorter = spans.iter().filter(|ms| **ms < 30_000).count();
        assert!((1_850..2_150).contains(&shorter), "{shorter} of 4000");
        assert!(spans.iter().any(|ms| *ms > 90_000));
    }

    #[test]
    fn counts_have_their_mean() {
        let mut chance = Chance::new(2);
        let sum: u32 = (0..4_000).map(|_| count(&mut chance, 2.1)).sum();
        assert!((8_000..8_800).contains(&sum), "{sum}");
        assert_eq!(count(&mut chance, 0.0), 0);
    }
}
