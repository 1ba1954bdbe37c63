//! Tones of our own: ring-back, busy, congestion and no such number of the Chinese tone plan (YD/T 729, GB/T 3380: 450 Hz), the entry tone
//! (接入提示音). Linear samples at 8 kHz; edges are ramped over 5 ms so that nothing clicks.
//!
//! Refuses to know: when they are played.

const HZ: f64 = 8000.0;
/// -10 dBm0 for a sine, the level of the tone plan (0 dBm0 peaks at about 22 000 in G.711).
const PEAK: f64 = 7000.0;
const RAMP: usize = 40;

/// 450 Hz for 1 s, then 4 s of silence.
#[must_use]
pub fn ring_back() -> Vec<i16> {
    let mut samples = sine(450.0, 1000);
    samples.resize(5 * 8000, 0);
    samples
}

/// 450 Hz for 0.35 s, then 0.35 s of silence.
#[must_use]
pub fn busy() -> Vec<i16> {
    let mut samples = sine(450.0, 350);
    samples.resize(700 * 8, 0);
    samples
}

/// 450 Hz for 0.7 s, then 0.7 s of silence.
#[must_use]
pub fn congestion() -> Vec<i16> {
    let mut samples = sine(450.0, 700);
    samples.resize(1400 * 8, 0);
    samples
}

/// 450 Hz: three times 0.1 s on and off, then 0.4 s on and off (空号音).
#[must_use]
pub fn no_such_number() -> Vec<i16> {
    let mut samples = Vec::new();
    for ms in [100, 100, 100, 400] {
        samples.extend(sine(450.0, ms));
        samples.resize(samples.len() + usize::try_from(ms * 8).unwrap_or(0), 0);
    }
    samples
}

/// Two short rising notes, 0.4 s with the pause after them.
#[must_use]
pub fn entry() -> Vec<i16> {
    let mut samples = sine(660.0, 140);
    samples.extend(sine(880.0, 160));
    samples.resize(400 * 8, 0);
    samples
}

/// Two low notes of 0.12 s, 16 dB below the other tones: a hint in an ear that listens to somebody else.
#[must_use]
pub fn soft() -> Vec<i16> {
    let mut samples = sine(330.0, 120);
    samples.resize(200 * 8, 0);
    samples.extend(sine(330.0, 120));
    samples.resize(400 * 8, 0);
    samples.iter().map(|sample| sample / 6).collect()
}

/// A sine of `ms` at the tone plan's level, ramped at both ends.
#[must_use]
#[expect(clippy::cast_possible_truncation, reason = "the peak is 7000")]
pub fn sine(hz: f64, ms: u32) -> Vec<i16> {
    let count = usize::try_from(ms * 8).unwrap_or(0);
    (0..count)
        .map(|n| {
            let edge = n.min(count - 1 - n).min(RAMP);
            let ramp = as_f64(edge) / as_f64(RAMP);
            let angle = std::f64::consts::TAU * hz * as_f64(n) / HZ;
            (angle.sin() * PEAK * ramp) as i16
        })
        .collect()
}

fn as_f64(n: usize) -> f64 {
    f64::from(u32::try_from(n).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn crossings_per_second(samples: &[i16]) -> usize {
        let ups = samples.windows(2).filter(|p| p[0] < 0 && p[1] >= 0).count();
        ups * 8000 / samples.len()
    }

    #[test]
    fn ring_back_and_busy_have_the_cadence_of_the_tone_plan() {
        let ring = ring_back();
        assert_eq!(ring.len(), 40_000);
        assert!((445..=452).contains(&crossings_per_second(&ring[..8000])));
        assert!(ring[8000..].iter().all(|sample| *sample == 0));
        let busy = busy();
        assert_eq!(busy.len(), 5600);
        assert!((440..=452).contains(&crossings_per_second(&busy[..2800])));
        assert!(busy[2800..].iter().all(|sample| *sample == 0));
    }

    #[test]
    fn failures_sound_different_for_more_than_a_second() {
        assert_eq!(congestion().len(), 1400 * 8);
        let none = no_such_number();
        assert_eq!(none.len(), 1400 * 8);
        assert!(none[800..1600].iter().all(|sample| *sample == 0));
        assert!(none[4800..8000].iter().any(|sample| *sample > 6000));
    }

    #[test]
    fn tones_start_and_end_without_a_click() {
        for tone in [
            ring_back(),
            busy(),
            congestion(),
            no_such_number(),
            entry(),
            soft(),
        ] {
            let step = tone
                .windows(2)
                .map(|p| (i32::from(p[1]) - i32::from(p[0])).abs())
                .max();
            assert!(step < Some(6000), "{step:?}");
            assert_eq!(tone.first(), Some(&0));
            assert_eq!(tone.last(), Some(&0));
        }
    }
}
