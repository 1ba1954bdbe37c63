//! Adding voices: 16-bit frames of 20 ms summed in 32 bits and saturated once, so that no order of adding matters.
//!
//! A hearer of a conference hears the sum of all others (N-1). Refuses to know: who they are.

use super::codec::TICK_SAMPLES;

/// A frame under construction.
#[derive(Clone, Debug)]
pub struct Mix {
    sum: [i32; TICK_SAMPLES],
}

impl Default for Mix {
    fn default() -> Self {
        Self {
            sum: [0; TICK_SAMPLES],
        }
    }
}

impl Mix {
    /// Add a voice at unity gain.
    pub fn add(&mut self, frame: &[i16; TICK_SAMPLES]) {
        for (sum, sample) in self.sum.iter_mut().zip(frame) {
            *sum += i32::from(*sample);
        }
    }

    /// Start again from silence.
    pub fn clear(&mut self) {
        self.sum.fill(0);
    }

    /// The result, limited to 16 bits.
    pub fn finish(&self, out: &mut [i16; TICK_SAMPLES]) {
        for (out, sum) in out.iter_mut().zip(&self.sum) {
            *out = saturate(*sum);
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "clamped just before")]
fn saturate(sum: i32) -> i16 {
    sum.clamp(i32::from(i16::MIN), i32::from(i16::MAX)) as i16
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn silence_plus_a_voice_is_the_voice() {
        let voice: [i16; TICK_SAMPLES] =
            std::array::from_fn(|n| i16::try_from(n).unwrap() * 200 - 16_000);
        let mut mix = Mix::default();
        mix.add(&[0; TICK_SAMPLES]);
        mix.add(&voice);
        let mut out = [0; TICK_SAMPLES];
        mix.finish(&mut out);
        assert_eq!(out, voice);
    }

    proptest! {
        #[test]
        fn the_sum_is_limited_and_its_order_does_not_matter(voices in proptest::collection::vec(any::<i16>(), 1..16)) {
            let mut forth = Mix::default();
            let mut back = Mix::default();
            voices.iter().for_each(|v| forth.add(&[*v; TICK_SAMPLES]));
            voices.iter().rev().for_each(|v| back.add(&[*v; TICK_SAMPLES]));
            let (mut a, mut b) = ([0; TICK_SAMPLES], [0; TICK_SAMPLES]);
            forth.finish(&mut a);
            back.finish(&mut b);
            prop_assert_eq!(a, b);
            let exact: i64 = voices.iter().map(|v| i64::from(*v)).sum();
            prop_assert_eq!(i64::from(a[0]), exact.clamp(i64::from(i16::MIN), i64::from(i16::MAX)));
        }
    }
}
