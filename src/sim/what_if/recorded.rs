//! The calls of a journal, as its Events tell them: who came to the queue when, how long he stayed or was talked to, how
//! soon phones were picked up and seats were ready again.
//!
//! How long an answered caller would have stayed nobody has seen. It is drawn from those who gave up, by the share of
//! callers still on the line that they leave at each moment (Kaplan and Meier 1958); whom that does not end stays.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::draw::unit;
use super::{Caller, Comes, Source, Stretch, Traffic};
use crate::call::Cause;
use crate::id::{CallId, QueueId, SeatId};
use crate::sim::day::chance::Chance;
use crate::store::journal::{self, JournalError};
use crate::switch::{Event, EventKind, Input, InputKind, Policy};
use crate::time::{Millis, Timestamp};

/// Who rings again within this has not been helped (as in the queue's own rule for redials).
const AGAIN_WITHIN: Millis = Millis::from_secs(300);
/// How far a call that is added by growth may lie from the one it is like.
const LIKE_WITHIN_MS: u32 = 600_000;

/// Why a journal gives no calls to live through.
#[derive(Debug, thiserror::Error)]
pub enum RecordedError {
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error(
        "{}: no call in it came to the queue and ended ({left_out} others); name a journal of some hours at least, or leave --journal out for generated days",
        path.display()
    )]
    NoCalls { path: PathBuf, left_out: u64 },
    #[error(
        "{}: it begins in the middle of a process and no start or snapshot says how the centre is configured; name the whole folder",
        path.display()
    )]
    NoPolicy { path: PathBuf },
}

/// The calls of a journal folder or segment; `growth_percent` more of them, or fewer. The settings in force are those of
/// its end.
///
/// # Errors
/// [`RecordedError`]: nothing there, damaged (with its place), or no call in it.
pub fn recorded(path: &Path, seed: u64, growth_percent: i32) -> Result<Traffic, RecordedError> {
    let entries = journal::replay(path)?;
    let state = entries.start().map(|start| &start.value);
    let policy = state.and_then(|state| state.pointer("/switch/policy"));
    let mut log = Log {
        policy: policy.and_then(|policy| serde_json::from_value(policy.clone()).ok()),
        ..Log::default()
    };
    for entry in entries {
        match entry {
            Ok(entry) => log.take(&entry.input, &entry.events),
            // The disk was late and a part is missing: the calls of the rest count.
            Err(JournalError::Lost { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    log.traffic(path, seed, growth_percent)
}

/// What Events have told so far.
#[derive(Default)]
pub(super) struct Log {
    policy: Option<Policy>,
    calls: BTreeMap<CallId, Told>,
    rung: BTreeMap<SeatId, Timestamp>,
    desks: BTreeMap<SeatId, Desk>,
}

/// A call, as Events tell it.
#[derive(Clone, Debug)]
struct Told {
    number: String,
    anonymous: bool,
    entered: Option<(Timestamp, QueueId)>,
    off_hook: Millis,
    answered: Option<Timestamp>,
    talk: Option<Millis>,
    wrap_up: Option<Millis>,
    incident: Option<Millis>,
    ended: Option<Timestamp>,
    /// Nobody knows how long he would have stayed.
    cut: bool,
}

/// A seat and the call that it handles.
#[derive(Clone, Debug)]
struct Desk {
    call: CallId,
    wraps_since: Option<Timestamp>,
}

impl Log {
    pub(super) fn take(&mut self, input: &Input, events: &[Event]) {
        if let InputKind::Started { policy, .. } | InputKind::PolicyChanged { policy } = &input.kind
        {
            self.policy = Some(Policy::clone(policy));
        }
        for event in events {
            if let Some(call) = event.call {
                self.take_call_event(call, event);
            } else if let EventKind::SeatStateChanged { seat, state, .. } = &event.kind {
                self.seat_changed(seat, state, event.at);
            }
        }
    }

    fn take_call_event(&mut self, call: CallId, event: &Event) {
        let at = event.at;
        if let EventKind::CallReceived { arrival, .. } = &event.kind {
            self.calls.insert(
                call,
                Told {
                    number: arrival.caller.clone(),
                    anonymous: arrival.anonymous,
                    entered: None,
                    off_hook: Millis(0),
                    answered: None,
                    talk: None,
                    wrap_up: None,
                    incident: None,
                    ended: None,
                    cut: false,
                },
            );
        }
        if let EventKind::SelfTestRecognised { .. } = &event.kind {
            // One of ours, and nobody's work.
            self.calls.remove(&call);
        }
        let Some(told) = self.calls.get_mut(&call) else {
            return;
        };
        if let EventKind::QueueEntered { queue, .. } = &event.kind {
            told.entered.get_or_insert_with(|| (at, queue.clone()));
        } else if let EventKind::OfferDecided {
            chosen: Some(seat), ..
        } = &event.kind
        {
            // Before its phone rings: that takes its part of the wait.
            self.rung.insert(seat.clone(), at);
        } else if let EventKind::SeatAnswered { seat, .. } = &event.kind {
            if told.answered.is_none() {
                told.answered = Some(at);
                let from = self.rung.get(seat);
                told.off_hook = from.map_or(Millis(0), |from| span(*from, at));
            }
            let wraps_since = None;
            self.desks.insert(seat.clone(), Desk { call, wraps_since });
        } else if let EventKind::CallAcknowledged {
            incident_id: Some(_),
            ..
        } = &event.kind
        {
            told.incident = told.answered.map(|answered| span(answered, at));
        } else if let EventKind::CallEnded { cause, .. } = &event.kind {
            told.ended = Some(at);
            told.cut = *cause == Cause::Restarted;
        } else if let EventKind::CallReopened { .. } = &event.kind {
            (told.ended, told.cut) = (None, false);
        }
    }

    fn seat_changed(&mut self, seat: &SeatId, state: &str, at: Timestamp) {
        let Some(desk) = self.desks.get_mut(seat).filter(|_| state != "talking") else {
            return;
        };
        let Some(told) = self.calls.get_mut(&desk.call) else {
            return;
        };
        if let Some(since) = desk.wraps_since {
            told.wrap_up = Some(span(since, at));
            self.desks.remove(seat);
        } else {
            told.talk = told.answered.map(|answered| span(answered, at));
            if state == "wrap_up" {
                desk.wraps_since = Some(at);
            } else {
                told.wrap_up = Some(Millis(0));
                self.desks.remove(seat);
            }
        }
    }

    pub(super) fn traffic(
        self,
        path: &Path,
        seed: u64,
        growth_percent: i32,
    ) -> Result<Traffic, RecordedError> {
        let path = path.to_owned();
        let received = self.calls.len() as u64;
        let mut whole: Vec<Whole> = self.calls.into_values().filter_map(Whole::of).collect();
        whole.sort_by_key(|call| call.entered);
        let left_out = received - whole.len() as u64;
        let (Some(first), Some(last)) = (
            whole.first().map(|call| call.entered),
            whole.iter().map(|call| call.ended).max(),
        ) else {
            return Err(RecordedError::NoCalls { path, left_out });
        };
        let Some(policy) = self.policy else {
            return Err(RecordedError::NoPolicy { path });
        };
        let source = Source::Recorded {
            from: first,
            to: last,
            calls: whole.len() as u64,
            unanswered: whole.iter().filter(|c| c.told.answered.is_none()).count() as u64,
            left_out,
            growth_percent,
        };
        let mut chance = Chance::new(seed);
        let stretch = Stretch {
            seed,
            begins: first,
            ends: last.max(first + Millis::from_secs(1)),
            callers: callers(&whole, &policy, &mut chance, growth_percent),
        };
        Ok(Traffic {
            source,
            policy,
            stretches: vec![stretch],
        })
    }
}

/// A call that came to the queue and ended.
struct Whole {
    entered: Timestamp,
    ended: Timestamp,
    queue: QueueId,
    told: Told,
}

impl Whole {
    fn of(told: Told) -> Option<Self> {
        let (entered, queue) = told.entered.clone()?;
        let ended = told.ended?;
        Some(Self {
            entered,
            ended,
            queue,
            told,
        })
    }

    /// How long he stayed unanswered, and whether he gave up then.
    fn stayed(&self) -> (Millis, bool) {
        match self.told.answered {
            Some(answered) => (span(self.entered, answered), false),
            None => (span(self.entered, self.ended), !self.told.cut),
        }
    }

    fn caller(&self, patience: &Patience, policy: &Policy, chance: &mut Chance) -> Caller {
        let (stayed, gave_up) = self.stayed();
        let told = &self.told;
        let talk = told.answered.map(|answered| span(answered, self.ended));
        let queue = &self.queue;
        let known = policy.queues.contains_key(queue);
        Caller {
            comes: Comes::At(self.entered),
            number: told.number.clone(),
            anonymous: told.anonymous,
            queue: if known { queue } else { &policy.queue }.clone(),
            patience: if gave_up {
                Some(stayed)
            } else {
                patience.draw(stayed, chance)
            },
            off_hook: told.off_hook,
            talk: told.talk.or(talk).unwrap_or_default(),
            wrap_up: told.wrap_up,
            incident: told.incident,
        }
    }
}

fn callers(
    whole: &[Whole],
    policy: &Policy,
    chance: &mut Chance,
    growth_percent: i32,
) -> Vec<Caller> {
    let patience = Patience::of(whole);
    let answered = Answered::of(whole);
    let wanted = u32::try_from(100 + growth_percent).unwrap_or(0);
    let begins = whole
        .first()
        .map_or_else(Timestamp::default, |call| call.entered);
    let mut callers: Vec<Caller> = Vec::new();
    // The number's last caller who gave up, and when.
    let mut gave_up: BTreeMap<&str, (usize, Timestamp)> = BTreeMap::new();
    for call in whole {
        let copies = wanted / 100 + u32::from(chance.percent(wanted % 100));
        for copy in 0..copies {
            let mut caller = call.caller(&patience, policy, chance);
            if call.told.answered.is_none() {
                answered.lend(&mut caller, chance);
            }
            let place = callers.len();
            if copy > 0 {
                let earlier = chance.below(LIKE_WITHIN_MS);
                let at = call.entered.as_micros() - i64::from(earlier) * 1_000;
                caller.comes = Comes::At(Timestamp::from_micros(at).max(begins));
                caller.number = format!("13{:09}", chance.below(1_000_000_000));
                callers.push(caller);
                continue;
            }
            let number = call.told.number.as_str();
            let own = !number.is_empty() && !call.told.anonymous;
            if let Some((after, since)) = gave_up.remove(number).filter(|_| own)
                && call.entered >= since
                && call.entered <= since + AGAIN_WITHIN
            {
                let gap = span(since, call.entered);
                caller.comes = Comes::Again { after, gap };
            }
            if own && call.stayed().1 {
                gave_up.insert(number, (place, call.ended));
            }
            callers.push(caller);
        }
    }
    callers
}

/// How answered calls went on: lent to those that nobody answered, should somebody answer them now.
struct Answered<'w>(Vec<&'w Told>);

impl<'w> Answered<'w> {
    fn of(whole: &'w [Whole]) -> Self {
        let calls = whole.iter().map(|call| &call.told);
        Self(calls.filter(|told| told.answered.is_some()).collect())
    }

    fn lend(&self, caller: &mut Caller, chance: &mut Chance) {
        let Some(told) = chance.pick(&self.0) else {
            // Nobody was ever answered: what is usual.
            (caller.off_hook, caller.talk) = (Millis::from_secs(3), Millis::from_secs(30));
            return;
        };
        caller.off_hook = told.off_hook;
        caller.talk = told.talk.unwrap_or_default();
        caller.wrap_up = told.wrap_up;
    }
}

/// Which share of callers is still on the line after so many milliseconds without an answer.
struct Patience(Vec<(Millis, f64)>);

impl Patience {
    fn of(whole: &[Whole]) -> Self {
        let mut stayed: Vec<_> = whole.iter().map(Whole::stayed).collect();
        // At the same moment, who gave up was there before the other was answered.
        stayed.sort_by_key(|(span, gave_up)| (*span, !*gave_up));
        let mut share = 1.0;
        let mut steps = Vec::new();
        let mut there = stayed.len();
        for (span, gave_up) in stayed {
            if gave_up {
                share *= 1.0 - 1.0 / there as f64;
                steps.push((span, share));
            }
            there -= 1;
        }
        Self(steps)
    }

    /// How long somebody stays who has stayed so long; absent: longer than anybody is known to have given up.
    fn draw(&self, stayed: Millis, chance: &mut Chance) -> Option<Millis> {
        let before = self.0.iter().rev().find(|(span, _)| *span <= stayed);
        let left = unit(chance) * before.map_or(1.0, |(_, share)| *share);
        let later = self
            .0
            .iter()
            .find(|(span, share)| *span > stayed && *share <= left);
        later.map(|(span, _)| *span)
    }
}

fn span(from: Timestamp, to: Timestamp) -> Millis {
    Millis(u32::try_from(to.millis_since(from)).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(stayed_s: u32, gave_up: bool) -> Whole {
        let entered = Timestamp::from_micros(0);
        let later = entered + Millis::from_secs(stayed_s);
        Whole {
            entered,
            ended: later,
            queue: QueueId::from("main"),
            told: Told {
                number: String::from("13800138000"),
                anonymous: false,
                entered: Some((entered, QueueId::from("main"))),
                off_hook: Millis(0),
                answered: (!gave_up).then_some(later),
                talk: None,
                wrap_up: None,
                incident: None,
                ended: Some(later),
                cut: false,
            },
        }
    }

    #[test]
    fn patience_counts_those_who_were_answered_before_they_could_give_up() {
        let calls = [
            call(10, true),
            call(20, false),
            call(30, true),
            call(40, false),
        ];
        let Patience(steps) = Patience::of(&calls);
        let told: Vec<_> = steps
            .iter()
            .map(|(span, share)| (span.0, (share * 1000.0).round()))
            .collect();
        assert_eq!(told, [(10_000, 750.0), (30_000, 375.0)]);
        let patience = Patience(steps);
        let mut chance = Chance::new(1);
        let drawn: Vec<_> = (0..2_000)
            .map(|_| patience.draw(Millis(20_000), &mut chance))
            .collect();
        let half = drawn.iter().filter(|d| **d == Some(Millis(30_000))).count();
        assert!((930..1_070).contains(&half), "{half} of 2000");
        assert_eq!(drawn.iter().filter(|d| d.is_none()).count(), 2_000 - half);
        assert_eq!(patience.draw(Millis(30_000), &mut chance), None);
    }
}
