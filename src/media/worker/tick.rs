//! What happens by time: mixing and playing on the 20 ms tick, and care of everything each 100 ms.
//!
//! The tick is cut into four steps of 5 ms; a call is served in one of them. So a hundred waiting callers who hear
//! a prompt do not hold up the packets of those who talk.

use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use super::{CARE_US, PUBLISH_EVERY, WAITING_US, Worker};
use crate::media::codec::TICK_SAMPLES;
use crate::media::plan::Plan;
use crate::switch::MediaEvent;

/// Steps of one tick.
pub(super) const PHASES: usize = 4;
const STEP_US: i64 = 5_000;
/// Steps made up after a stall; more are given up (the hearers' lines go on from now).
const BEHIND_MAX: i64 = 40;

impl Worker {
    pub(super) fn is_ticking(&self) -> bool {
        self.ticking.iter().any(|phase| !phase.is_empty())
    }

    /// Do the steps that are due.
    pub(super) fn run_ticks(&mut self, now_us: i64) {
        if !self.is_ticking() {
            self.next_tick_us = now_us;
            return;
        }
        let behind = (now_us - self.next_tick_us) / STEP_US;
        if behind > BEHIND_MAX {
            let skipped = behind / 4 * 4;
            self.next_tick_us += skipped * STEP_US;
            self.counts.ticks_skipped += skipped.unsigned_abs();
            // Own lines were to follow the tick: let them catch up with the clock.
            for place in 0..self.legs.places() {
                if let Some(leg) = self.legs.get_mut(place)
                    && leg.needs_tick()
                {
                    leg.line.switch();
                }
            }
        }
        while self.next_tick_us <= now_us {
            let at_us = self.next_tick_us;
            self.next_tick_us += STEP_US;
            self.counts.ticks += 1;
            let late_us = (now_us - at_us).unsigned_abs();
            self.counts.ticks_late += u64::from(late_us > STEP_US.unsigned_abs());
            self.counts.tick_late_us_max = self.counts.tick_late_us_max.max(late_us);
            let phase = self.tick_number % PHASES;
            self.tick_number = self.tick_number.wrapping_add(1);
            self.run_phase(phase, at_us);
        }
    }

    fn run_phase(&mut self, phase: usize, at_us: i64) {
        let mut n = 0;
        while let Some(place) = self
            .ticking
            .get(phase)
            .and_then(|list| list.get(n))
            .copied()
        {
            let ticks = match self.calls.get_mut(place) {
                Some(call) => {
                    call.listed = call.ticks;
                    call.ticks
                }
                None => false,
            };
            if ticks {
                self.tick_call(place, at_us);
                n += 1;
            } else if let Some(list) = self.ticking.get_mut(phase) {
                list.swap_remove(n);
            }
        }
    }

    /// 20 ms of one call: read every source that is mixed, then make what each hearer gets.
    fn tick_call(&mut self, place: usize, at_us: i64) {
        self.at = Some(place);
        let mut n = 0;
        while let Some(leg) = self.leg_of(place, n) {
            if let Some(leg) = self.legs.get_mut(leg) {
                leg.read_frame(at_us);
            }
            n += 1;
        }
        let mut has_ended = false;
        let mut n = 0;
        while let Some(hearer) = self.leg_of(place, n) {
            n += 1;
            let mut frame = [0_i16; TICK_SAMPLES];
            let mixed = match self.legs.get(hearer).map(|leg| &leg.plan) {
                None | Some(Plan::Nothing | Plan::Forward(_)) => continue,
                Some(Plan::Play) => None,
                Some(Plan::Mix(sources)) => {
                    self.mix.clear();
                    for source in sources {
                        if let Some(source) = self.legs.get(*source) {
                            self.mix.add(&source.incoming.frame.0);
                        }
                    }
                    self.mix.finish(&mut frame);
                    Some(&frame)
                }
            };
            let Some(leg) = self.legs.get_mut(hearer) else {
                continue;
            };
            if let Some(play) = leg.make(at_us, mixed, &mut self.counts) {
                let id = leg.id;
                has_ended = true;
                self.tell(id, MediaEvent::PlayEnded { play });
            }
        }
        if has_ended {
            self.compile(place);
        }
    }

    fn leg_of(&self, call: usize, n: usize) -> Option<usize> {
        self.calls.get(call)?.legs.get(n).copied()
    }

    /// Reports, lost sources, keys without an end, news not told yet, figures.
    pub(super) fn take_care(&mut self, now_us: i64) {
        self.next_care_us = now_us + CARE_US;
        for place in 0..self.legs.places() {
            let Some(leg) = self.legs.get_mut(place) else {
                continue;
            };
            self.at = Some(leg.call);
            leg.report(now_us, self.tuning.report_us, false);
            let key = leg.incoming.keys.on_time(now_us);
            let (id, lost) = (leg.id, leg.unheard(now_us, self.tuning.lost_us));
            if let Some(key) = key {
                self.on_key(place, key);
            }
            if let Some(lost) = lost {
                self.tell(id, lost);
            }
        }
        self.at = None;
        self.tell_untold();
        self.send_stuck();
        while self
            .waiting
            .front()
            .is_some_and(|(since, _)| now_us - since > WAITING_US)
        {
            self.waiting.pop_front();
        }
        self.care_rounds = self.care_rounds.wrapping_add(1);
        self.shared.beat_us.store(now_us, Ordering::Relaxed);
        self.shared
            .tap_dropped
            .store(self.counts.tap_dropped, Ordering::Relaxed);
        if self.care_rounds.is_multiple_of(PUBLISH_EVERY) {
            self.publish(now_us);
        }
    }

    /// Copy the figures out. Never waits: if somebody reads just now, the next round will do.
    fn publish(&mut self, now_us: i64) {
        let mut published = match self.shared.published.try_lock() {
            Ok(published) => published,
            Err(std::sync::TryLockError::Poisoned(poisoned)) => PoisonError::into_inner(poisoned),
            Err(std::sync::TryLockError::WouldBlock) => return,
        };
        published.counts = self.counts;
        published.legs.clear();
        published
            .legs
            .extend(self.legs.iter().map(|leg| leg.stats(now_us)));
    }
}
