//! The jitter buffer of one source that is mixed: decoded audio lies in a ring at its RTP timestamp, so any packet
//! time, reordering, doubles and late packets are a matter of place; it is read in steps of 20 ms.
//!
//! ```text
//! Idle --insert--> Running (delay 20-200 ms, follows the worst lateness of the last 4-8 s) --0.5 s nothing--> Idle
//! ```
//! The delay is corrected by 10 ms at a time, blended, or silently in a gap. Missing audio is concealed
//! ([`super::conceal`]). Refuses to know: codecs, sequence numbers, sockets.

use super::codec::{SAMPLES_PER_SECOND, TICK_SAMPLES};
use super::conceal::{Conceal, FRAME};

/// Longest and shortest play-out delay, in samples (200 ms, 20 ms).
const DELAY_MAX: i64 = 1600;
const DELAY_MIN: i64 = 160;
/// Audio that the ring holds (512 ms).
const RING: usize = 4096;
const RING_I64: i64 = 4096;
/// Span of one of the two windows in which lateness is watched (4 s).
const WINDOW: i64 = 32_000;
/// A place in the ring without audio. No G.711 sample has this value.
const MISSING: i16 = i16::MIN;
/// Ticks without audio until the stream counts as stopped (0.5 s).
const STOP_TICKS: u32 = 25;
/// Late packets in a row until the stream is anchored anew.
const LATE_MAX: u32 = 5;
/// Ticks between two corrections of the delay.
const CORRECT_TICKS: u32 = 5;

/// What a tick gave.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// Audio that came.
    Audio,
    /// Made up, wholly or in part.
    Concealed,
    /// Nothing to hear.
    Silence,
}

/// Counters of a buffer.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub late: u64,
    pub concealed: u64,
    pub corrected: u64,
    pub anchored: u64,
}

/// The buffer of one source.
#[derive(Clone, Debug)]
pub struct Jitter {
    ring: Box<[i16; RING]>,
    running: bool,
    /// Next sample to read and the one after the newest, as unwrapped timestamps.
    read: i64,
    end: i64,
    last_timestamp: u32,
    last_unwrapped: i64,
    lateness: Lateness,
    conceal: Conceal,
    late_run: u32,
    missing_ticks: u32,
    since_correction: u32,
    counts: Counts,
}

/// Least transit and worst lateness over it, each over the current and the previous window.
#[derive(Copy, Clone, Debug, Default)]
struct Lateness {
    started: i64,
    least: (i64, i64),
    worst: (i64, i64),
    known: bool,
    last: i64,
}

impl Default for Jitter {
    fn default() -> Self {
        Self {
            ring: Box::new([MISSING; RING]),
            running: false,
            read: 0,
            end: 0,
            last_timestamp: 0,
            last_unwrapped: 0,
            lateness: Lateness::default(),
            conceal: Conceal::default(),
            late_run: 0,
            missing_ticks: 0,
            since_correction: 0,
            counts: Counts::default(),
        }
    }
}

impl Jitter {
    /// What happened so far.
    #[must_use]
    pub const fn counts(&self) -> Counts {
        self.counts
    }

    /// The play-out delay aimed at, in samples.
    #[must_use]
    pub fn delay(&self) -> i64 {
        self.lateness.delay()
    }

    /// Another source speaks from now on (SSRC or codec changed).
    pub fn restart(&mut self) {
        let counts = self.counts;
        *self = Self::default();
        self.counts = counts;
    }

    /// The source said it pauses (comfort noise): the gap that follows is no loss.
    pub fn pause(&mut self) {
        if self.end <= self.read {
            self.conceal.reset();
        }
    }

    /// Decoded audio of one packet, at most 60 ms.
    pub fn insert(&mut self, timestamp: u32, arrived_us: i64, samples: &[i16]) {
        let at = self.unwrap(timestamp);
        let arrived = samples_of(arrived_us);
        let jumped = self.lateness.note(arrived, arrived - at);
        let length = i64::try_from(samples.len()).unwrap_or(0);
        let ahead = at - self.read;
        if jumped || !self.running || ahead + length > RING_I64 || ahead < -RING_I64 {
            self.anchor(at);
        } else if ahead + length <= 0 {
            self.counts.late += 1;
            self.late_run += 1;
            if self.late_run < LATE_MAX {
                return;
            }
            self.anchor(at);
        }
        self.late_run = 0;
        let read = self.read;
        for (place, sample) in (at..).zip(samples) {
            if place >= read
                && let Some(slot) = self.ring.get_mut(slot_of(place))
            {
                *slot = *sample;
            }
        }
        self.end = self.end.max(at + length);
    }

    /// The next 20 ms.
    pub fn read(&mut self, now_us: i64, out: &mut [i16; TICK_SAMPLES]) -> Heard {
        if !self.running {
            out.fill(0);
            return Heard::Silence;
        }
        self.correct(samples_of(now_us));
        let mut taken = [MISSING; TICK_SAMPLES];
        self.take(&mut taken);
        self.play(&taken, out)
    }

    /// Bring the delay to its aim: jump when nothing is heard, else blend 10 ms in or out (see `shorten`, `stretch`).
    fn correct(&mut self, now: i64) {
        self.since_correction += 1;
        let aim = now - self.lateness.base() - self.lateness.delay();
        let behind = aim - self.read;
        let quiet = self.end <= self.read || self.conceal.is_losing();
        if behind.abs() < DELAY_MIN || self.since_correction < CORRECT_TICKS && !quiet {
            return;
        }
        if quiet || behind.abs() > DELAY_MAX {
            // Whole frames, so that packet and tick edges stay together.
            let step = behind / 80 * 80;
            if step > 0 {
                self.forget(step);
            }
            self.read += step;
        } else if behind > 0 {
            self.shorten();
        } else {
            self.stretch();
        }
        self.counts.corrected += 1;
        self.since_correction = 0;
    }

    /// Play 10 ms less: the next two frames of 10 ms become one, blended.
    fn shorten(&mut self) {
        for n in 0..80 {
            let (first, second) = (slot_of(self.read + n), slot_of(self.read + 80 + n));
            let [Some(a), Some(b)] = [first, second].map(|slot| self.ring.get(slot).copied())
            else {
                continue;
            };
            if a != MISSING && b != MISSING {
                let value = (i64::from(a) * (80 - n) + i64::from(b) * n) / 80;
                self.put(second, value);
            }
        }
        self.forget(80);
        self.read += 80;
    }

    /// Play 10 ms more: the next frame is heard twice, the second time blending out of what came before it.
    fn stretch(&mut self) {
        self.read -= 80;
        for n in 0..80 {
            let (new, old) = (slot_of(self.read + n), slot_of(self.read + 80 + n));
            let copy = self.ring.get(old).copied().unwrap_or(MISSING);
            self.put(new, i64::from(copy));
        }
        for n in 0..80 {
            let (here, next) = (slot_of(self.read + 80 + n), slot_of(self.read + 160 + n));
            let [Some(a), Some(b)] = [here, next].map(|slot| self.ring.get(slot).copied()) else {
                continue;
            };
            if a != MISSING && b != MISSING {
                // From what follows the first hearing back into the frame itself.
                let value = (i64::from(b) * (80 - n) + i64::from(a) * n) / 80;
                self.put(here, value);
            }
        }
    }

    fn put(&mut self, slot: usize, value: i64) {
        if let Some(place) = self.ring.get_mut(slot) {
            *place = i16::try_from(value).unwrap_or(0);
        }
    }

    fn forget(&mut self, count: i64) {
        for place in self.read..self.read + count.min(RING_I64) {
            if let Some(slot) = self.ring.get_mut(slot_of(place)) {
                *slot = MISSING;
            }
        }
    }

    fn take(&mut self, out: &mut [i16; TICK_SAMPLES]) {
        for (place, out) in (self.read..).zip(out.iter_mut()) {
            if let Some(slot) = self.ring.get_mut(slot_of(place)) {
                *out = std::mem::replace(slot, MISSING);
            }
        }
        self.read += 160;
    }

    fn play(&mut self, taken: &[i16; TICK_SAMPLES], out: &mut [i16; TICK_SAMPLES]) -> Heard {
        let mut heard = Heard::Audio;
        let mut missing_all = 0;
        let (frames, _) = taken.as_chunks::<FRAME>();
        let (outs, _) = out.as_chunks_mut::<FRAME>();
        for (frame, out) in frames.iter().zip(outs) {
            *out = *frame;
            let missing = frame.iter().filter(|sample| **sample == MISSING).count();
            missing_all += missing;
            if missing > FRAME / 2 {
                self.conceal.lost(out);
                self.counts.concealed += 1;
                heard = Heard::Concealed;
            } else {
                if missing > 0 {
                    hold(out);
                }
                self.conceal.good(out);
            }
        }
        if missing_all < TICK_SAMPLES {
            self.missing_ticks = 0;
        } else {
            self.missing_ticks += 1;
            if self.missing_ticks > 3 {
                heard = Heard::Silence;
            }
            if self.missing_ticks >= STOP_TICKS {
                self.running = false;
            }
        }
        heard
    }

    /// Start reading so that a packet at `at` is played after the delay aimed at.
    fn anchor(&mut self, at: i64) {
        self.ring.fill(MISSING);
        let late = self.lateness.last - self.lateness.base();
        self.read = at - (self.lateness.delay() - late).clamp(0, DELAY_MAX);
        self.end = self.read;
        self.running = true;
        self.late_run = 0;
        self.missing_ticks = 0;
        self.since_correction = 0;
        self.conceal.reset();
        self.counts.anchored += 1;
    }

    fn unwrap(&mut self, timestamp: u32) -> i64 {
        let step = timestamp.wrapping_sub(self.last_timestamp).cast_signed();
        self.last_unwrapped += i64::from(step);
        self.last_timestamp = timestamp;
        self.last_unwrapped
    }
}

impl Lateness {
    /// Note one packet; true when its time jumped by more than a second against the clock.
    fn note(&mut self, now: i64, transit: i64) -> bool {
        let jumped = self.known && (transit - self.last).abs() > i64::from(SAMPLES_PER_SECOND);
        if jumped || !self.known {
            *self = Self {
                started: now,
                least: (transit, transit),
                worst: (0, 0),
                known: true,
                last: transit,
            };
            return jumped;
        }
        if now - self.started > WINDOW {
            self.least = (transit, self.least.0);
            self.worst = (0, self.worst.0);
            self.started = now;
        }
        self.last = transit;
        self.least.0 = self.least.0.min(transit);
        self.worst.0 = self.worst.0.max(transit - self.base());
        false
    }

    fn base(&self) -> i64 {
        self.least.0.min(self.least.1)
    }

    fn delay(&self) -> i64 {
        (self.worst.0.max(self.worst.1) + DELAY_MIN).clamp(DELAY_MIN, DELAY_MAX)
    }
}

/// Fill single missing samples with their predecessor.
fn hold(frame: &mut [i16; FRAME]) {
    let mut last = 0;
    for sample in frame {
        if *sample == MISSING {
            *sample = last;
        }
        last = *sample;
    }
}

fn slot_of(place: i64) -> usize {
    usize::try_from(place.rem_euclid(RING_I64)).unwrap_or(0)
}

const fn samples_of(micros: i64) -> i64 {
    micros.wrapping_mul(SAMPLES_PER_SECOND as i64) / 1_000_000
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A stream whose every sample tells its place: reading shows what went where.
    fn ramp(n: u32, samples: usize) -> Vec<i16> {
        (0..samples)
            .map(|s| i16::try_from((usize::try_from(n).unwrap() * samples + s) % 20_000).unwrap())
            .collect()
    }

    struct Rig {
        jitter: Jitter,
        out: Vec<i16>,
        kinds: Vec<Heard>,
    }

    /// Sends packet `n` at `n * ptime + delay(n)` ms, reads each 20 ms.
    fn run(ms: u32, ptime_ms: u32, delay_ms: impl Fn(u32) -> Option<u32>) -> Rig {
        let mut arrivals: Vec<_> = (0..ms / ptime_ms)
            .filter_map(|n| delay_ms(n).map(|d| (n * ptime_ms + d, n)))
            .collect();
        arrivals.sort_unstable();
        let mut arrivals = arrivals.into_iter().peekable();
        let mut rig = Rig {
            jitter: Jitter::default(),
            out: Vec::new(),
            kinds: Vec::new(),
        };
        let samples = usize::try_from(ptime_ms).unwrap() * 8;
        for now in 0..ms {
            while let Some((_, n)) = arrivals.next_if(|(at, _)| *at <= now) {
                let ts = 0xFFFF_FF00_u32.wrapping_add(n * ptime_ms * 8);
                rig.jitter
                    .insert(ts, i64::from(now) * 1000, &ramp(n, samples));
            }
            if now % 20 == 7 {
                let mut out = [0; TICK_SAMPLES];
                rig.kinds
                    .push(rig.jitter.read(i64::from(now) * 1000, &mut out));
                rig.out.extend(out);
            }
        }
        rig
    }

    fn breaks(out: &[i16]) -> usize {
        out.windows(2)
            .filter(|pair| pair[1] != (pair[0] + 1) % 20_000)
            .count()
    }

    #[test]
    fn a_steady_stream_comes_out_as_it_went_in_for_every_packet_time() {
        for ptime in [10, 20, 30, 40, 60] {
            let rig = run(6000, ptime, |_| Some(5));
            let steady = &rig.out[160 * 20..];
            assert_eq!(breaks(steady), 0, "{ptime}");
            assert!(
                rig.kinds[20..].iter().all(|kind| *kind == Heard::Audio),
                "{ptime}"
            );
        }
    }

    #[test]
    fn reordering_and_doubles_do_not_change_what_is_heard() {
        let rig = run(8000, 20, |n| Some(if n % 5 == 0 { 45 } else { 0 }));
        assert_eq!(breaks(&rig.out[160 * 100..]), 0);
    }

    #[test]
    fn the_delay_follows_the_jitter_between_20_and_200_ms() {
        let calm = run(5000, 20, |_| Some(0));
        assert_eq!(calm.jitter.delay(), DELAY_MIN);
        let rough = run(5000, 20, |n| Some(n * 37 % 100));
        assert!(
            (700..=1000).contains(&rough.jitter.delay()),
            "{}",
            rough.jitter.delay()
        );
        let wild = run(5000, 20, |n| Some(n * 37 % 400));
        assert_eq!(wild.jitter.delay(), DELAY_MAX);
    }

    #[test]
    fn when_the_jitter_calms_down_the_delay_shrinks_again() {
        let rig = run(30_000, 20, |n| Some(if n < 200 { n * 37 % 100 } else { 0 }));
        assert_eq!(rig.jitter.delay(), DELAY_MIN);
        assert!(
            rig.jitter.end - rig.jitter.read < 480,
            "{}",
            rig.jitter.end - rig.jitter.read
        );
    }

    #[test]
    fn loss_is_concealed_and_the_place_of_the_rest_kept() {
        let rig = run(6000, 20, |n| (n % 10 != 9).then_some(0));
        assert!(
            rig.kinds[20..]
                .iter()
                .filter(|k| **k == Heard::Concealed)
                .count()
                > 20
        );
        let longest = rig.kinds[20..]
            .iter()
            .filter(|k| **k == Heard::Silence)
            .count();
        assert_eq!(longest, 0);
        // The last sample heard is the one due: nothing was squeezed out or in.
        let end = rig.jitter.read;
        let newest = 0xFFFF_FF00_u32.cast_signed();
        assert!((end - i64::from(newest) - 5987 * 8).abs() < 400);
    }

    #[test]
    fn a_pause_of_the_source_is_silence_and_it_is_heard_again_after() {
        let rig = run(6000, 20, |n| (!(100..200).contains(&n)).then_some(0));
        assert_eq!(rig.kinds[150], Heard::Silence);
        assert_eq!(*rig.kinds.last().unwrap(), Heard::Audio);
        assert!(
            rig.out[150 * 160..151 * 160]
                .iter()
                .all(|sample| *sample == 0)
        );
    }

    #[test]
    fn a_jump_of_the_source_timestamp_is_followed() {
        let mut jitter = Jitter::default();
        let mut out = [0; TICK_SAMPLES];
        let mut heard = Vec::new();
        for n in 0..100_u32 {
            let ts = n * 160 + if n >= 50 { 900_000_000 } else { 0 };
            jitter.insert(ts, i64::from(n) * 20_000, &[1000; 160]);
            heard.push(jitter.read(i64::from(n) * 20_000 + 5000, &mut out));
        }
        assert!(heard[55..].iter().all(|kind| *kind == Heard::Audio));
    }

    #[test]
    fn drift_of_100_ppm_over_an_hour_neither_starves_nor_floods() {
        let mut jitter = Jitter::default();
        let mut out = [0; TICK_SAMPLES];
        let mut bad = 0;
        for n in 0..180_000_u32 {
            // The source's clock is slow in the first half, fast in the second.
            let drift = if n < 90_000 {
                i64::from(n) * 2
            } else {
                i64::from(180_000 - n) * 2
            };
            jitter.insert(
                n.wrapping_mul(160),
                i64::from(n) * 20_000 + drift,
                &[1000; 160],
            );
            if jitter.read(i64::from(n) * 20_000 + drift / 2 + 9000, &mut out) != Heard::Audio {
                bad += 1;
            }
        }
        assert!(bad < 60, "{bad} of 180000 ticks concealed");
        assert!(jitter.end - jitter.read < 640);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn under_any_loss_delay_and_doubles_it_keeps_its_bounds(
            delays in proptest::collection::vec(proptest::option::weighted(0.9, 0_u32..300), 100..300),
            ptime in prop::sample::select(vec![10_u32, 20, 30, 40, 60]),
        ) {
            let count = u32::try_from(delays.len()).unwrap();
            let rig = run(count * ptime, ptime, |n| delays.get(usize::try_from(n).unwrap()).copied().flatten());
            prop_assert!((DELAY_MIN..=DELAY_MAX).contains(&rig.jitter.delay()));
            prop_assert!(rig.jitter.end - rig.jitter.read <= RING_I64);
            prop_assert!(rig.out.iter().all(|sample| *sample != MISSING));
        }

        #[test]
        fn any_timestamps_are_survived(packets in proptest::collection::vec((any::<u32>(), 0_i64..10_000_000, 1_usize..480), 0..100)) {
            let mut jitter = Jitter::default();
            let mut out = [0; TICK_SAMPLES];
            for (ts, at, len) in packets {
                jitter.insert(ts, at, &vec![5; len]);
                jitter.read(at, &mut out);
            }
        }
    }
}
