//! Telephone keys as sound (DTMF in band, ITU-T Q.23): made for a call that tests a line, and heard again at its end.
//!
//! ```text
//! Ear: Quiet --a pair in two blocks of 25.6 ms--> Heard (digit told once) --a block without it--> Quiet
//! ```
//! Only a leg that is listened to has an ear; speech on other legs costs nothing and presses nothing. Refuses to know:
//! RTP events ([`super::dtmf`]), what a digit means.

use super::tone;

const ROWS: [f32; 4] = [697.0, 770.0, 852.0, 941.0];
const COLUMNS: [f32; 4] = [1209.0, 1336.0, 1477.0, 1633.0];
const DIGITS: [[char; 4]; 4] = [
    ['1', '2', '3', 'A'],
    ['4', '5', '6', 'B'],
    ['7', '8', '9', 'C'],
    ['*', '0', '#', 'D'],
];
/// Samples of a block: rows 73 Hz apart are told apart.
const BLOCK: usize = 205;
const BLOCK_F: f32 = 205.0;
/// A pair this loud at least: -36 dBm0 for each of the two.
const POWER_MIN: f32 = 40_000.0;
/// How far the strongest of a group stands out of the others (8 dB).
const CLEAR: f32 = 6.0;
/// One of the two may be this much louder (ITU-T Q.24: 8 dB and more).
const TWIST: f32 = 10.0;
/// Share of a block's power that is the pair's. Speech has less.
const SHARE: f32 = 0.6;
const ON_MS: u32 = 100;
const OFF_MS: usize = 100;

/// The sounds of `digits` in order: 0.1 s each, and 0.1 s of silence after each. What is no key is left out.
#[must_use]
pub fn keys(digits: &str) -> Vec<i16> {
    let mut samples = Vec::new();
    for digit in digits.chars() {
        let found = DIGITS.iter().zip(ROWS).find_map(|(row, low)| {
            let (_, high) = row.iter().zip(COLUMNS).find(|(key, _)| **key == digit)?;
            Some((low, high))
        });
        let Some((low, high)) = found else { continue };
        let low = tone::sine(f64::from(low), ON_MS);
        let high = tone::sine(f64::from(high), ON_MS);
        // Together as loud as one tone of the plan.
        samples.extend(low.iter().zip(high).map(|(a, b)| a / 2 + b / 2));
        samples.resize(samples.len() + OFF_MS * 8, 0);
    }
    samples
}

/// Hears keys in one leg's audio.
#[derive(Clone, Debug)]
pub struct Ear {
    block: Vec<i16>,
    /// What the last block was, and whether it was told.
    last: Option<(char, bool)>,
}

impl Default for Ear {
    /// With room for a block, so that listening takes none.
    fn default() -> Self {
        Self {
            block: Vec::with_capacity(BLOCK),
            last: None,
        }
    }
}

impl Ear {
    /// Takes audio in; the digits that became certain by it, in order.
    pub fn hear(&mut self, samples: &[i16]) -> Vec<char> {
        let mut heard = Vec::new();
        for sample in samples {
            self.block.push(*sample);
            if self.block.len() < BLOCK {
                continue;
            }
            let digit = digit_of(&self.block);
            self.block.clear();
            self.last = match (digit, self.last) {
                (Some(digit), Some((before, told))) if digit == before => {
                    if !told {
                        heard.push(digit);
                    }
                    Some((digit, true))
                }
                (Some(digit), _) => Some((digit, false)),
                (None, _) => None,
            };
        }
        heard
    }
}

/// The key that a block is.
fn digit_of(block: &[i16]) -> Option<char> {
    let total: f32 = block.iter().map(|s| f32::from(*s) * f32::from(*s)).sum();
    let (row, low) = strongest(block, ROWS)?;
    let (column, high) = strongest(block, COLUMNS)?;
    let even = low < high * TWIST && high < low * TWIST;
    // A sine of power p has p * n / 2 in n samples' squares of its amplitude; `power` gives its amplitude squared.
    let pair = (low + high) * BLOCK_F / 2.0;
    if !even || pair < total * SHARE {
        return None;
    }
    DIGITS.get(row)?.get(column).copied()
}

fn strongest(block: &[i16], tones: [f32; 4]) -> Option<(usize, f32)> {
    let powers = tones.map(|hz| power(block, hz));
    let best = powers.iter().copied().fold(0.0_f32, f32::max);
    let place = powers.iter().position(|p| *p >= best)?;
    let mut others = powers.iter().enumerate().filter(|(n, _)| *n != place);
    let clear = others.all(|(_, p)| p * CLEAR < best);
    (best > POWER_MIN && clear).then_some((place, best))
}

/// Square of the amplitude of `hz` in the block (Goertzel 1958).
fn power(block: &[i16], hz: f32) -> f32 {
    let step = 2.0 * (std::f32::consts::TAU * hz / 8000.0).cos();
    let (mut last, mut before) = (0.0_f32, 0.0_f32);
    for sample in block {
        let now = step.mul_add(last, f32::from(*sample)) - before;
        before = last;
        last = now;
    }
    let squared = last.mul_add(last, before * before) - step * last * before;
    4.0 * squared / (BLOCK_F * BLOCK_F)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::session::Codec;

    fn through(codec: Codec, samples: &[i16]) -> Vec<i16> {
        let coded = samples.iter().map(|s| codec.encode(*s));
        coded.map(|byte| codec.decode(byte)).collect()
    }

    #[test]
    fn every_key_is_heard_once_through_either_codec_at_any_offset() {
        let all = "1234567890*#ABCD";
        for codec in [Codec::Pcma, Codec::Pcmu] {
            for offset in [0, 37, 111, 204] {
                let mut samples = vec![0; offset];
                samples.extend(through(codec, &keys(all)));
                let mut ear = Ear::default();
                let heard: String = samples.chunks(160).flat_map(|c| ear.hear(c)).collect();
                assert_eq!(heard, all, "offset {offset}");
            }
        }
    }

    #[test]
    fn keys_are_heard_20_db_weaker_and_between_noise() {
        let mut seed = 7_u32;
        let noisy: Vec<_> = keys("4071")
            .iter()
            .map(|sample| {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let noise = i16::try_from(seed >> 24).unwrap_or(0) - 128;
                sample / 10 + noise / 4
            })
            .collect();
        let mut ear = Ear::default();
        assert_eq!(ear.hear(&noisy), ['4', '0', '7', '1']);
    }

    #[test]
    fn silence_tones_of_the_plan_and_a_single_sine_press_nothing() {
        for sound in [
            vec![0; 16_000],
            tone::ring_back(),
            tone::busy(),
            tone::entry(),
            tone::sine(697.0, 1000),
            tone::sine(1209.0, 1000),
        ] {
            assert!(Ear::default().hear(&sound).is_empty());
        }
    }
}
