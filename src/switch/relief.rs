//! People outside (peer centre, mobile group): a waiting call is offered to them beside the queue, and one key takes it.
//!
//! ```text
//! free --a call waited long enough | no seat serves--> rung --200--> asked: who waits, press 1
//!   ^                                                    |             |-- 1 --> handed over: caller and they talk
//!   `--- 30 s --- rests <--- failed, rang out -----------+             |
//!                   ^------- another key, 15 s without one, hung up ---'
//! ```
//! The call keeps its place, and seats go on being rung for it, until the key: a mailbox answers with 200 too (ADR 0009, 4).

use serde::{Deserialize, Serialize};

use super::timers::TimerKey;
use super::{EventKind, Relief, ReliefKind, Sound, Switch};
use crate::acd::Duty;
use crate::call::{Call, Cause, Ingress, Leg, LegFact, Party, Phase, Talking};
use crate::id::{CallId, LegId, PromptId, ReliefId};
use crate::time::{Millis, Timestamp};

/// What they hear, twice.
pub(super) const RELIEF_OFFER: &str = "relief_offer";
/// Who takes the call presses it.
const TAKE_KEY: char = '1';
/// Twelve seconds of prompt, and time to press.
pub(super) const KEY_SPAN: Millis = Millis::from_secs(15);
/// Who did not take one call is not rung again at once.
const REST_SPAN: Millis = Millis::from_secs(30);
/// Between the prompt and its repetition, in packets.
pub(super) const PAUSE: Sound = Sound::Silence(50);

/// A number outside that is not free.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Outside {
    /// Rung for a call, asked, or in talk with its caller.
    Engaged {
        call: CallId,
    },
    Rests {
        until: Timestamp,
    },
}

/// A number to ring.
struct Rung {
    call: CallId,
    relief: ReliefId,
    number: String,
}

impl Switch {
    /// After each Input, once seats have been offered what they can take.
    pub(super) fn call_relief(&mut self) {
        if self.policy.relief.is_empty() {
            return;
        }
        let now = self.now;
        self.outside
            .retain(|_, state| !matches!(state, Outside::Rests { until } if *until <= now));
        for rung in self.relief_wanted() {
            self.ring_relief(rung);
        }
        match self.relief_due() {
            Some(at) => self.timers.arm(TimerKey::Relief, at),
            None => self.timers.disarm(&TimerKey::Relief),
        }
    }

    /// One call per free number, in the list's order; when there are more numbers than calls, they ring together.
    fn relief_wanted(&self) -> Vec<Rung> {
        let mut wanted: Vec<Rung> = Vec::new();
        if self.queue.is_empty() || self.spare_trunks().is_empty() {
            return wanted;
        }
        let free = |relief: &Relief| {
            let mut numbers = relief.numbers.iter();
            numbers.any(|number| !self.outside.contains_key(number))
        };
        let reliefs = || self.policy.relief.iter().filter(|relief| free(relief));
        let mut entries = self.queue.entries().iter();
        if !entries.any(|entry| reliefs().any(|one| self.may_be_relieved(entry.call, one))) {
            return wanted;
        }
        let order = self.waiting_order();
        for relief in self.policy.relief.iter() {
            for number in &relief.numbers {
                if self.outside.contains_key(number) {
                    continue;
                }
                let rings = |call: &CallId| {
                    let own = wanted.iter().filter(|rung| rung.call == *call);
                    self.relief_legs(*call, Some(&relief.id)).count() + own.count()
                };
                let fit = order.iter().filter(|call| match relief.kind {
                    ReliefKind::Peer => rings(call) == 0,
                    ReliefKind::Group => true,
                });
                let fit = fit.filter(|call| self.may_be_relieved(**call, relief));
                let Some(call) = fit.min_by_key(|call| rings(call)).copied() else {
                    continue;
                };
                wanted.push(Rung {
                    call,
                    relief: relief.id.clone(),
                    number: number.clone(),
                });
            }
        }
        wanted
    }

    fn may_be_relieved(&self, call: CallId, relief: &Relief) -> bool {
        let due = self
            .relieved_at(call, relief)
            .is_some_and(|at| at <= self.now)
            && !self.is_held_for_test(call);
        due && (relief.kind == ReliefKind::Peer || !self.some_seat_serves())
    }

    /// Who only listens is not about to answer anybody.
    fn some_seat_serves(&self) -> bool {
        let serves = |duty: &Duty| duty.serves() && !matches!(duty, Duty::Listening { .. });
        self.seats.values().any(|seat| serves(&seat.duty))
    }

    /// When its wait is long enough. Absent: it does not wait, or a peer sent it.
    fn relieved_at(&self, call: CallId, relief: &Relief) -> Option<Timestamp> {
        let open = self.calls.get(&call)?;
        let from_peer = match &open.ingress {
            Ingress::Trunk(trunk) => self.policy.trunks.get(trunk).is_some_and(|t| t.peer),
            Ingress::Seat(_) => false,
        };
        let since = open.unanswered()?.since;
        (!from_peer).then(|| since + relief.after)
    }

    /// When time alone may change what is wanted.
    fn relief_due(&self) -> Option<Timestamp> {
        let waits = self.queue.entries().iter().flat_map(|entry| {
            let reliefs = self.policy.relief.iter();
            reliefs.filter_map(|relief| self.relieved_at(entry.call, relief))
        });
        let rests = self.outside.values().filter_map(|state| match state {
            Outside::Rests { until } => Some(*until),
            Outside::Engaged { .. } => None,
        });
        waits.chain(rests).filter(|at| *at > self.now).min()
    }

    fn ring_relief(&mut self, rung: Rung) {
        let Rung {
            call,
            relief,
            number,
        } = rung;
        let trunks = self.spare_trunks();
        let party = Party::Relief(relief.clone());
        self.ring_third(call, &number, relief.as_str(), party, None, trunks);
    }

    /// A leg of theirs begins, on the first trunk or a later one.
    pub(super) fn outside_engaged(&mut self, call: CallId, party: &Party, number: &str) {
        if let Party::Relief(_) = party {
            self.outside
                .insert(number.to_owned(), Outside::Engaged { call });
        }
    }

    fn relief_legs(
        &self,
        call: CallId,
        relief: Option<&ReliefId>,
    ) -> impl Iterator<Item = LegId> + '_ {
        let legs = self.calls.get(&call).map(|open| open.legs.iter());
        let relief = relief.cloned();
        legs.into_iter()
            .flatten()
            .filter(move |(_, leg)| match &leg.party {
                Party::Relief(of) => relief.as_ref().is_none_or(|relief| relief == of),
                Party::Caller | Party::Seat(_) | Party::Third { .. } | Party::Listener(_) => false,
            })
            .map(|(id, _)| *id)
    }

    /// A fact of their leg.
    pub(super) fn relief_fact(
        &mut self,
        call: CallId,
        leg: LegId,
        relief: &ReliefId,
        fact: LegFact,
    ) {
        match fact {
            LegFact::Trying => self.timers.disarm(&TimerKey::TrunkSilence(leg)),
            LegFact::Progressed { .. } => self.relief_rings(call, leg, relief),
            LegFact::Answered => self.relief_answers(call, leg, relief),
            LegFact::Failed { cause } => {
                let removed = self.forget_leg(call, leg);
                self.third_failed(call, leg, removed, cause);
            }
            LegFact::Ended { .. } => {
                let number = self.forget_leg(call, leg).and_then(|l| l.number);
                self.relief_over(call, leg, relief.clone(), number, "left");
            }
            LegFact::Confirmed => self.misfit("relief.confirmed"),
            LegFact::Held { .. } | LegFact::Digit { .. } => {}
            LegFact::Noted | LegFact::Misfit { .. } => {}
        }
    }

    fn relief_rings(&mut self, call: CallId, leg: LegId, relief: &ReliefId) {
        self.timers.disarm(&TimerKey::TrunkSilence(leg));
        let hunt = self.leg_mut(call, leg).and_then(|l| l.hunt.as_mut());
        let Some(hunt) = hunt else {
            return self.misfit("flaw.relief_without_hunt");
        };
        if !std::mem::replace(&mut hunt.rang, true) {
            let (relief, trunk) = (relief.clone(), hunt.trunk.clone());
            self.say(call, EventKind::ReliefRinging { relief, leg, trunk });
        }
    }

    fn relief_answers(&mut self, call: CallId, leg: LegId, relief: &ReliefId) {
        self.disarm_leg(leg);
        let relief = relief.clone();
        self.say(call, EventKind::ReliefAsked { relief, leg });
        let offer = Sound::Prompt(PromptId::from(RELIEF_OFFER));
        self.play_to(call, leg, vec![offer.clone(), PAUSE, offer], false);
        self.arm(TimerKey::ReliefKey(leg), KEY_SPAN);
    }

    /// A key of theirs. True when it was for us.
    pub(super) fn relief_digit(&mut self, call: CallId, leg: LegId, digit: char) -> bool {
        let own = self.leg_mut(call, leg);
        let Some((Party::Relief(relief), up)) = own.map(|l| (l.party.clone(), l.state.is_up()))
        else {
            return false;
        };
        if !up {
            // Whatever sounds like a key before they picked up is none of theirs.
            return true;
        }
        if digit == TAKE_KEY {
            self.hand_over_call(call, leg, relief);
        } else {
            self.end_relief(call, leg, relief, "refused");
        }
        true
    }

    /// They pressed nothing.
    pub(super) fn relief_key_overdue(&mut self, leg: LegId) {
        let call = self.legs.get(&leg).copied();
        let party = call.and_then(|call| Some((call, self.leg_mut(call, leg)?.party.clone())));
        let Some((call, Party::Relief(relief))) = party else {
            return self.misfit("flaw.timer_relief_key_unknown_leg");
        };
        self.end_relief(call, leg, relief, "no_key");
    }

    fn end_relief(&mut self, call: CallId, leg: LegId, relief: ReliefId, why: &str) {
        let removed = self.release(call, leg, Cause::Withdrawn);
        self.relief_over(call, leg, relief, removed.and_then(|l| l.number), why);
    }

    /// They did not take it: their number rests.
    pub(super) fn relief_over(
        &mut self,
        call: CallId,
        leg: LegId,
        relief: ReliefId,
        number: Option<String>,
        why: &str,
    ) {
        let why = why.to_owned();
        self.say(call, EventKind::ReliefEnded { relief, leg, why });
        if let Some(number) = number {
            let until = self.now + REST_SPAN;
            self.outside.insert(number, Outside::Rests { until });
        }
    }

    /// The call waits no more: they are not needed, and may be rung for the next one at once.
    pub(super) fn withdraw_relief(&mut self, call: CallId) {
        let legs: Vec<_> = self.relief_legs(call, None).collect();
        for leg in legs {
            let removed = self.release(call, leg, Cause::AnsweredElsewhere);
            let Some(Party::Relief(relief)) = removed.map(|l| l.party) else {
                continue;
            };
            let why = String::from("withdrawn");
            self.say(call, EventKind::ReliefEnded { relief, leg, why });
        }
    }

    /// A leg is gone: its number is free.
    pub(super) fn outside_free(&mut self, call: CallId, leg: &Leg) {
        if self.outside.is_empty() {
            return;
        }
        if let Some(number) = &leg.number
            && self.outside.get(number) == Some(&Outside::Engaged { call })
        {
            self.outside.remove(number);
        }
    }

    /// They take the call: a third party from now on, in talk with the caller.
    fn hand_over_call(&mut self, call: CallId, leg: LegId, relief: ReliefId) {
        let kind = self.policy.relief.iter().find(|r| r.id == relief);
        let kind = kind.map_or(ReliefKind::Group, |r| r.kind);
        let role = kind.role().to_owned();
        let n = self.next_third(call, &role).unwrap_or(u8::MAX);
        let Some(state) = self.leg_mut(call, leg) else {
            return;
        };
        state.party = Party::Third {
            role: role.clone(),
            n,
        };
        if let Some(hunt) = &mut state.hunt {
            hunt.role.clone_from(&role);
        }
        let number = state.number.clone().unwrap_or_default();
        self.timers.disarm(&TimerKey::ReliefKey(leg));
        if kind == ReliefKind::Peer {
            // A centre has more than one line.
            self.outside.remove(&number);
        }
        let shown = number.clone();
        self.say(
            call,
            EventKind::HandedOver {
                relief,
                leg,
                number: shown,
            },
        );
        self.caller_goes_outside(call);
        self.track(call, leg);
        self.say(call, EventKind::PartyJoined { leg, role, number });
        self.refresh_audio(call);
    }

    fn caller_goes_outside(&mut self, call: CallId) {
        self.drop_transfer(call, "handed_over");
        let Some(unanswered) = self.call_mut(call).and_then(Call::unanswered_mut) else {
            return self.misfit("flaw.handed_over_not_waiting");
        };
        let plays = unanswered.hearing.plays();
        for offer in std::mem::take(&mut unanswered.offers) {
            self.free_offered_seat(call, offer.leg, &offer.seat, Cause::AnsweredElsewhere);
        }
        self.disarm_waiting(call);
        self.answer_caller(call);
        if plays {
            self.stop_caller(call);
        }
        self.leave_queue(call, "handed_over");
        let now = self.now;
        let mut first = false;
        if let Some(open) = self.call_mut(call) {
            open.phase = Phase::Talking(Talking::without_seat());
            first = open.answered_at.is_none();
            open.answered_at.get_or_insert(now);
            open.wait_exceeded = false;
        }
        self.totals.answered += u64::from(first);
        self.turn_taken(call, None);
    }
}
