//! Packet loss concealment in the manner of ITU-T G.711 Appendix I: the last pitch periods are repeated, more of
//! them the longer the loss, fading to silence in 60 ms; the first good audio is blended in. Adds no delay: where
//! the appendix overlaps at the start of a loss with 3.75 ms kept back, the step is evened out instead.
//!
//! ```text
//! Good --lost--> Lost(10 ms, gain 1) --lost--> ... Lost(60 ms, silence) --good--> blended Good
//! ```
//! Works on frames of 10 ms at 8 kHz. Refuses to know: packets and time.

/// Samples of one frame (10 ms).
pub const FRAME: usize = 80;
const PITCH_MIN: usize = 40;
const PITCH_MAX: usize = 120;
/// Three longest periods and a quarter of one more.
const HISTORY: usize = 3 * PITCH_MAX + PITCH_MAX / 4;
/// Samples compared in the pitch search (20 ms).
const WINDOW: usize = 160;
/// Samples over which the step at the start of a loss is evened out.
const STEP: usize = 16;
/// Frames until silence.
const FADE_FRAMES: u32 = 6;

/// The state of one decoded stream.
#[derive(Clone, Debug)]
pub struct Conceal {
    history: [i16; HISTORY],
    /// Frames lost in a row.
    lost: u32,
    pitch: usize,
    /// What is repeated, and where in it we are.
    cycle: [i16; 3 * PITCH_MAX],
    length: usize,
    phase: usize,
    step: i32,
}

impl Default for Conceal {
    fn default() -> Self {
        Self {
            history: [0; HISTORY],
            lost: 0,
            pitch: PITCH_MIN,
            cycle: [0; 3 * PITCH_MAX],
            length: PITCH_MIN,
            phase: 0,
            step: 0,
        }
    }
}

impl Conceal {
    /// Nothing was heard lately: the next loss is silence, the next audio starts plainly.
    pub fn reset(&mut self) {
        *self = Self::default();
    }

    /// Whether the last frame was made up.
    #[must_use]
    pub const fn is_losing(&self) -> bool {
        self.lost > 0
    }

    /// A frame arrived. After a loss its start is blended with what would have been made up.
    pub fn good(&mut self, frame: &mut [i16; FRAME]) {
        if self.lost > 0 {
            let blend = usize::try_from(self.lost * 32).unwrap_or(FRAME).min(FRAME);
            let mut made = [0_i16; FRAME];
            self.repeat(&mut made);
            for (n, (sample, made)) in frame.iter_mut().zip(made).enumerate().take(blend) {
                *sample = blended(made, *sample, n, blend);
            }
            self.lost = 0;
        }
        self.remember(frame);
    }

    /// A frame is missing: make one up.
    pub fn lost(&mut self, frame: &mut [i16; FRAME]) {
        match self.lost {
            0 => {
                self.pitch = self.find_pitch();
                let [.., last] = self.history;
                let before = self.history.get(HISTORY - self.pitch - 1);
                self.step = i32::from(last) - i32::from(before.copied().unwrap_or(0));
                self.make_cycle(1);
                self.phase = 0;
                self.repeat(frame);
            }
            1 | 2 => {
                let mut old = [0_i16; FRAME];
                let mut before = self.clone();
                before.repeat(&mut old);
                let phase = self.phase % self.pitch;
                self.make_cycle(usize::try_from(self.lost).unwrap_or(0) + 1);
                self.phase = phase;
                self.repeat(frame);
                for (n, (sample, old)) in frame.iter_mut().zip(old).enumerate().take(32) {
                    *sample = blended(old, *sample, n, 32);
                }
            }
            3.. => self.repeat(frame),
        }
        self.lost = self.lost.saturating_add(1);
        // Made-up audio becomes history too: a second loss right after starts from what was heard.
        if self.lost < FADE_FRAMES {
            let made = *frame;
            self.keep_for_later(&made);
        }
    }

    /// One frame of the repeated cycle with the fade of the current place.
    fn repeat(&mut self, frame: &mut [i16; FRAME]) {
        for (n, sample) in frame.iter_mut().enumerate() {
            let value = self.cycle.get(self.phase).copied().unwrap_or(0);
            self.phase = (self.phase + 1) % self.length.max(1);
            let mut value = i32::from(value);
            if self.lost == 0 && n < STEP {
                value += self.step * i32::try_from(STEP - n).unwrap_or(0) / 16;
            }
            *sample = clip(value * self.gain(n) / 1000);
        }
    }

    /// Gain in thousandths: 1 for 10 ms, then down 0.2 each 10 ms.
    fn gain(&self, n: usize) -> i32 {
        let frames = i32::try_from(self.lost.min(FADE_FRAMES)).unwrap_or(0);
        let n = i32::try_from(n).unwrap_or(0);
        match frames {
            0 => 1000,
            _ => (1000 - (frames - 1) * 200 - n * 200 / 80).max(0),
        }
    }

    /// The last `periods` pitch periods, their end bent so that it runs on into their beginning.
    fn make_cycle(&mut self, periods: usize) {
        self.length = self.pitch * periods;
        let start = HISTORY - self.length;
        let quarter = self.pitch / 4;
        let Some(source) = self.history.get(start..) else {
            return;
        };
        for (to, from) in self.cycle.iter_mut().zip(source) {
            *to = *from;
        }
        for n in 0..quarter {
            let at = self.length - quarter + n;
            let lead = self.history.get(start - quarter + n).copied().unwrap_or(0);
            if let Some(sample) = self.cycle.get_mut(at) {
                *sample = blended(*sample, lead, n, quarter);
            }
        }
    }

    /// The lag whose normalised correlation over the last 20 ms is best (coarse at 4 kHz, then fine).
    fn find_pitch(&self) -> usize {
        let mut best = (i64::MIN, PITCH_MIN);
        for lag in (PITCH_MIN..=PITCH_MAX).step_by(2) {
            best = best.max((self.likeness(lag, 2), lag));
        }
        let coarse = best.1;
        let mut best = (i64::MIN, coarse);
        for lag in coarse.saturating_sub(1).max(PITCH_MIN)..=(coarse + 1).min(PITCH_MAX) {
            best = best.max((self.likeness(lag, 1), lag));
        }
        best.1
    }

    /// Signed square of the normalised correlation at `lag`, scaled.
    fn likeness(&self, lag: usize, step: usize) -> i64 {
        let now = self.history.get(HISTORY - WINDOW..).unwrap_or(&[]);
        let then = self
            .history
            .get(HISTORY - WINDOW - lag..HISTORY - lag)
            .unwrap_or(&[]);
        let mut product = 0_i64;
        let mut energy = 0_i64;
        for (a, b) in now.iter().zip(then).step_by(step) {
            product += i64::from(*a) * i64::from(*b);
            energy += i64::from(*b) * i64::from(*b);
        }
        // product^2 / energy would overflow: use product * (product / energy) in 2^-10.
        let ratio = (product << 10) / energy.max(1);
        product.abs() / 1024 * ratio
    }

    fn remember(&mut self, frame: &[i16; FRAME]) {
        self.history.copy_within(FRAME.., 0);
        if let Some(end) = self.history.last_chunk_mut::<FRAME>() {
            *end = *frame;
        }
    }

    fn keep_for_later(&mut self, frame: &[i16; FRAME]) {
        // The periods being repeated stay those of real audio until the cycle has grown to three.
        if self.lost >= 3 {
            self.remember(frame);
        }
    }
}

fn blended(from: i16, to: i16, n: usize, length: usize) -> i16 {
    let n = i32::try_from(n + 1).unwrap_or(1);
    let length = i32::try_from(length + 1).unwrap_or(1);
    clip((i32::from(from) * (length - n) + i32::from(to) * n) / length)
}

fn clip(value: i32) -> i16 {
    i16::try_from(value).unwrap_or(if value < 0 { i16::MIN } else { i16::MAX })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::cast_possible_truncation, reason = "a test tone")]
    fn tone(hz: f64, frames: usize) -> Vec<[i16; FRAME]> {
        let sample = |n: usize| {
            let t = f64::from(u32::try_from(n).unwrap()) / 8000.0;
            let sum = (t * hz * std::f64::consts::TAU).sin()
                + 0.5 * (t * hz * 2.0 * std::f64::consts::TAU).sin();
            (sum * 6000.0) as i16
        };
        (0..frames)
            .map(|f| std::array::from_fn(|n| sample(f * FRAME + n)))
            .collect()
    }

    fn error(a: &[[i16; FRAME]], b: &[[i16; FRAME]]) -> f64 {
        a.iter()
            .flatten()
            .zip(b.iter().flatten())
            .map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2))
            .sum()
    }

    #[test]
    fn a_lost_packet_of_a_voice_like_tone_is_replaced_closely() {
        for hz in [75.0, 110.0, 180.0, 199.0] {
            let clean = tone(hz, 60);
            let mut heard = clean.clone();
            let mut zeroed = clean.clone();
            let mut conceal = Conceal::default();
            for (n, frame) in heard.iter_mut().enumerate() {
                // Every tenth packet of 20 ms is lost.
                if n >= 20 && n % 20 < 2 {
                    *frame = [0; FRAME];
                    zeroed[n] = [0; FRAME];
                    conceal.lost(frame);
                } else {
                    conceal.good(frame);
                }
            }
            let ratio = error(&clean, &zeroed) / error(&clean, &heard);
            assert!(
                ratio > 8.0,
                "{hz} Hz: only {ratio} times better than silence"
            );
        }
    }

    #[test]
    fn a_long_loss_fades_to_silence_in_60_ms_and_stays_there() {
        let mut conceal = Conceal::default();
        for mut frame in tone(150.0, 10) {
            conceal.good(&mut frame);
        }
        let mut frames = [[0_i16; FRAME]; 12];
        frames.iter_mut().for_each(|frame| conceal.lost(frame));
        let peak = |frame: &[i16; FRAME]| frame.iter().map(|s| s.unsigned_abs()).max();
        assert!(peak(&frames[0]) > Some(5000));
        assert!(peak(&frames[3]) < peak(&frames[1]));
        assert!(frames[6..].iter().all(|frame| peak(frame) == Some(0)));
    }

    #[test]
    fn no_step_is_louder_than_the_tone_itself() {
        let clean = tone(123.0, 40);
        let mut all = Vec::new();
        let mut conceal = Conceal::default();
        for (n, frame) in clean.iter().enumerate() {
            let mut frame = *frame;
            if n % 7 == 6 || n % 7 == 5 {
                conceal.lost(&mut frame);
            } else {
                conceal.good(&mut frame);
            }
            all.extend(frame);
        }
        let step = |samples: &[i16]| {
            samples
                .windows(2)
                .map(|p| (i32::from(p[1]) - i32::from(p[0])).abs())
                .max()
                .unwrap()
        };
        let flat: Vec<_> = clean.into_iter().flatten().collect();
        assert!(
            step(&all) < step(&flat) * 3,
            "{} {}",
            step(&all),
            step(&flat)
        );
    }

    #[test]
    fn loss_without_history_is_silence() {
        let mut conceal = Conceal::default();
        let mut frame = [1; FRAME];
        conceal.lost(&mut frame);
        assert_eq!(frame, [0; FRAME]);
    }
}
