//! 受理时间超长提示: a talk that lasts and has brought no vehicle is told to its seat, by a soft tone in its ear alone and on
//! its page; at the second step to the supervisors too. Never to the caller, and never while the seat guides somebody's
//! hands (医学指导). WS/T 451-2014 7.2.1.1-f.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::commands::not_allowed;
use super::timers::TimerKey;
use super::{Actor, CommandError, CommandReply, DispatchReport, EventKind, Sound, Switch};
use crate::call::{Direction, Phase, SeatTone};
use crate::id::CallId;
use crate::time::Millis;

/// Steps of the prompt.
const LEVELS: u8 = 2;

/// How far open calls are.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Overlong {
    told: BTreeMap<CallId, u8>,
    /// A vehicle is on its way.
    dispatched: BTreeSet<CallId>,
    /// The seat gives medical advice.
    advising: BTreeSet<CallId>,
}

impl Overlong {
    pub(super) fn level(&self, call: CallId) -> u8 {
        self.told.get(&call).copied().unwrap_or(0)
    }

    pub(super) fn advises(&self, call: CallId) -> bool {
        self.advising.contains(&call)
    }
}

impl Switch {
    /// A seat has answered: the next step is due so long after the first answer. `rest`: not before that from now.
    pub(super) fn handling_runs(&mut self, call: CallId, rest: Millis) {
        let level = self.overlong.level(call);
        let left_alone = self.overlong.dispatched.contains(&call) || self.overlong.advises(call);
        let open = self.calls.get(&call);
        let open = open.filter(|open| open.direction() == Direction::Inbound);
        let answered = open.and_then(|open| open.answered_at);
        let Some(answered) = answered.filter(|_| level < LEVELS && !left_alone) else {
            return;
        };
        let timers = &self.policy.timers;
        let span = if level == 0 {
            timers.handling_first
        } else {
            timers.handling_second
        };
        let at = (answered + span).max(self.now + rest.max(Millis(1)));
        self.timers.arm(TimerKey::Handling(call), at);
    }

    /// The talk lasts. Without a seat in it nothing is said; the next answer counts on.
    pub(super) fn handling_due(&mut self, call: CallId) {
        let Some(open) = self.calls.get(&call) else {
            return self.misfit("flaw.timer_handling_unknown");
        };
        let Phase::Talking(talking) = &open.phase else {
            return;
        };
        let Some((_, leg)) = talking.seat.clone() else {
            return;
        };
        let is_quiet = talking.tone == SeatTone::Quiet;
        let since = open.answered_at.unwrap_or(self.now);
        let handled_ms = self.now.millis_since(since);
        let level = self.overlong.level(call).saturating_add(1);
        self.overlong.told.insert(call, level);
        self.say(call, EventKind::HandlingExceeded { level, handled_ms });
        if is_quiet {
            self.play_to(call, leg, vec![Sound::Soft], false);
        }
        self.handling_runs(call, Millis(1));
    }

    /// A vehicle is on its way, or is no more.
    pub(super) fn handling_dispatched(&mut self, call: CallId, report: &DispatchReport) {
        if self.calls.get(&call).is_none_or(|open| open.is_closing()) {
            return;
        }
        match report {
            DispatchReport::OrderIssued { .. } => {
                self.overlong.dispatched.insert(call);
                self.timers.disarm(&TimerKey::Handling(call));
            }
            DispatchReport::Cancelled { .. } => {
                if self.overlong.dispatched.remove(&call) {
                    self.handling_runs(call, self.policy.timers.handling_first);
                }
            }
            DispatchReport::Reassigned { .. } => {}
        }
    }

    /// `GiveAdvice`: nothing disturbs the seat while it lasts.
    pub(super) fn give_advice(
        &mut self,
        by: &Actor,
        call: CallId,
        on: bool,
    ) -> Result<CommandReply, CommandError> {
        if matches!(by, Actor::Module(_) | Actor::Engine) {
            return Err(not_allowed(by, "the person who talks says so"));
        }
        self.check_handles(by, call)?;
        if self
            .calls
            .get(&call)
            .is_none_or(|open| open.talking().is_none())
        {
            return Err(self.wrong_call_state(call, "medical advice is given in a talk"));
        }
        if self.overlong.advises(call) == on {
            return Ok(CommandReply::Done);
        }
        self.given(by, Some(call), "give_advice");
        let by = by.clone();
        self.say(call, EventKind::AdviceGiven { by, on });
        if on {
            self.overlong.advising.insert(call);
            self.timers.disarm(&TimerKey::Handling(call));
        } else {
            self.overlong.advising.remove(&call);
            self.handling_runs(call, self.policy.timers.handling_first);
        }
        Ok(CommandReply::Done)
    }

    /// The call has ended.
    pub(super) fn handling_over(&mut self, call: CallId) {
        self.timers.disarm(&TimerKey::Handling(call));
        self.overlong.told.remove(&call);
        self.overlong.dispatched.remove(&call);
        self.overlong.advising.remove(&call);
    }
}
