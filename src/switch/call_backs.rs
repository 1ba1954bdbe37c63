//! The call-back list: callers who left or were lost before they were helped stay open work until a person, or a talk
//! of 10 s, closes it. WS/T 451-2014 7.2.1.1-h.
//!
//! ```text
//! due -CallBackNow-> a seat dials -talk of 10 s-> closed       Open -the caller rings again-> on the line -talk-> closed
//!  ^                     |- nobody: again after 1 and 3 min,            ^                          |
//!  +---------------------+  then a person closes it                     +------- no talk ----------+
//! ```
//! One entry per caller. An alarm stands while one is overdue. Automatic dialling, where the centre wants it, comes
//! after people had their time.

use serde::{Deserialize, Serialize};

use super::outbound::Wish;
use super::timers::TimerKey;
use super::{Actor, AlarmCode, CommandError, CommandReply, EventKind, Switch};
use crate::acd::Duty;
use crate::call::{Arrival, Callee, Cause, Direction};
use crate::id::{CallBackId, CallId, SeatId};
use crate::limits::CALL_BACKS_MAX;
use crate::phone::{DialForm, Number};
use crate::time::{Millis, Timestamp};

/// A talk of this length helps.
const TALK_MIN: Millis = Millis::from_secs(10);
/// Nobody has tried for this long although it was time.
const OVERDUE_AFTER: Millis = Millis::from_secs(60);
/// Tried often enough, and no person has closed it.
const CLOSE_WITHIN: Millis = Millis::from_secs(300);
/// From each failed attempt to the next; after the last it is a person's.
const PAUSES: [Millis; 2] = [Millis::from_secs(60), Millis::from_secs(180)];
/// Automatic dialling leaves a person so much time first.
const PEOPLE_FIRST: Millis = Millis::from_secs(30);
/// Automatic dialling looks for a free seat so often.
const LOOK_AGAIN: Millis = Millis::from_secs(5);
/// Attempts kept of one entry.
const ATTEMPTS_MAX: usize = 16;
/// Subject of the alarm.
const SUBJECT: &str = "call_backs";

/// One open entry.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct CallBack {
    /// The last call merged into it.
    pub(super) call: CallId,
    pub(super) number: Number,
    pub(super) reason: String,
    pub(super) due_at: Timestamp,
    /// Calls merged into it.
    pub(super) calls: u32,
    #[serde(default)]
    pub(super) standing: Standing,
    /// Since it became due last.
    #[serde(default)]
    pub(super) attempts: Vec<Attempt>,
    /// When to try again.
    #[serde(default)]
    pub(super) next_at: Option<Timestamp>,
    #[serde(default)]
    pub(super) overdue: bool,
}

/// What is being done about it.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "standing", rename_all = "snake_case")]
pub(super) enum Standing {
    #[default]
    Open,
    /// A seat dials.
    Dialling { call: CallId },
    /// The caller rang again.
    OnLine { call: CallId },
}

impl Standing {
    /// The name people see.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Dialling { .. } => "dialling",
            Self::OnLine { .. } => "on_line",
        }
    }

    /// The call that is about it now.
    pub(super) const fn call(self) -> Option<CallId> {
        match self {
            Self::Open => None,
            Self::Dialling { call } | Self::OnLine { call } => Some(call),
        }
    }
}

/// One try to reach the caller.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Attempt {
    pub(super) at: Timestamp,
    pub(super) seat: SeatId,
    pub(super) call: CallId,
    pub(super) failed: Option<Cause>,
}

impl CallBack {
    fn new(call: CallId, number: Number, reason: &str, due_at: Timestamp) -> Self {
        Self {
            call,
            number,
            reason: reason.to_owned(),
            due_at,
            calls: 1,
            standing: Standing::Open,
            attempts: Vec::new(),
            next_at: None,
            overdue: false,
        }
    }

    /// When somebody should have done something; absent while it is being done.
    fn overdue_at(&self) -> Option<Timestamp> {
        if self.standing != Standing::Open {
            return None;
        }
        Some(match (self.next_at, self.attempts.last()) {
            (Some(next), _) => next + OVERDUE_AFTER,
            (None, None) => self.due_at + OVERDUE_AFTER,
            (None, Some(last)) => last.at + CLOSE_WITHIN,
        })
    }

    /// When automatic dialling may try it.
    fn try_at(&self) -> Option<Timestamp> {
        let tries = self.attempts.len() <= PAUSES.len() && self.number.callable;
        let at = match (self.next_at, self.attempts.is_empty()) {
            (Some(next), _) => next,
            (None, true) => self.due_at + PEOPLE_FIRST,
            (None, false) => return None,
        };
        (tries && self.standing == Standing::Open).then_some(at)
    }
}

impl Switch {
    /// Puts a call's number on the list. Another open call-back of the same number grows instead; a call counts once.
    pub(super) fn call_back_due(&mut self, call: CallId, reason: &str) {
        if self.is_test(call) {
            return;
        }
        let Some(number) = self.calls.get(&call).map(|c| c.caller.clone()) else {
            return self.misfit("flaw.call_back_unknown_call");
        };
        let same = self
            .call_backs
            .iter_mut()
            .find(|(_, entry)| entry.call == call || same_caller(&entry.number, &number));
        let call_back = if let Some((id, entry)) = same {
            if entry.call != call {
                entry.calls = entry.calls.saturating_add(1);
                // He was on the line again and still was not helped: a round of its own.
                entry.attempts.clear();
                entry.next_at = None;
            }
            entry.call = call;
            reason.clone_into(&mut entry.reason);
            if let Standing::OnLine { .. } = entry.standing {
                entry.standing = Standing::Open;
            }
            *id
        } else {
            self.make_room();
            let id = CallBackId(self.ids.next_uuid(self.now));
            let entry = CallBack::new(call, number.clone(), reason, self.now);
            self.call_backs.insert(id, entry);
            id
        };
        self.say(
            call,
            EventKind::CallBackDue {
                call_back,
                number,
                reason: reason.to_owned(),
            },
        );
        self.arm_call_back(call_back);
    }

    /// `CallBackNow`.
    pub(super) fn call_back_now(
        &mut self,
        by: &Actor,
        call_back: CallBackId,
        seat: &SeatId,
    ) -> Result<CommandReply, CommandError> {
        self.check_own_seat(by, seat)?;
        let wish = self.call_back_wish(by, call_back, seat)?;
        let (call, leg) = self.make_call(wish)?;
        self.call_back_begins(by, call_back, seat, call);
        Ok(CommandReply::Call { call, leg })
    }

    /// The same, on the phone that dialled the code for it.
    pub(super) fn call_back_on(
        &mut self,
        by: &Actor,
        call_back: CallBackId,
        seat: &SeatId,
        arrival: &Arrival,
    ) -> Result<(), CommandError> {
        let wish = self.call_back_wish(by, call_back, seat)?;
        self.phone_made(arrival, wish);
        self.call_back_begins(by, call_back, seat, arrival.call);
        Ok(())
    }

    fn call_back_wish<'w>(
        &self,
        by: &'w Actor,
        call_back: CallBackId,
        seat: &'w SeatId,
    ) -> Result<Wish<'w>, CommandError> {
        let Some(entry) = self.call_backs.get(&call_back) else {
            return Err(unknown_call_back(call_back));
        };
        let number = self.check_call_back(entry)?;
        self.check_spare_trunk()?;
        Ok(Wish {
            by,
            seat,
            direction: Direction::CallBack,
            callee: Callee::Number(number),
            number: entry.number.clone(),
        })
    }

    /// The most urgent entry that can be dialled; one that was tried just now comes after the others.
    pub(super) fn next_call_back(&self) -> Option<CallBackId> {
        let ids = self
            .call_backs_view()
            .into_iter()
            .map(|view| view.call_back);
        let found: Vec<_> = ids
            .filter_map(|id| Some((id, self.call_backs.get(&id)?)))
            .filter(|(_, entry)| self.check_call_back(entry).is_ok())
            .collect();
        let due = |entry: &CallBack| {
            let tries = entry.attempts.len() <= PAUSES.len();
            tries && entry.next_at.is_none_or(|at| at <= self.now)
        };
        let next = found.iter().find(|(_, entry)| due(entry));
        next.or_else(|| found.first()).map(|(id, _)| *id)
    }

    fn call_back_begins(&mut self, by: &Actor, call_back: CallBackId, seat: &SeatId, call: CallId) {
        self.given(by, Some(call), "call_back");
        let at = self.now;
        let original = self.call_backs.get(&call_back).map_or(call, |e| e.call);
        if let Some(entry) = self.call_backs.get_mut(&call_back) {
            entry.standing = Standing::Dialling { call };
            entry.next_at = None;
            entry.overdue = false;
            if entry.attempts.len() >= ATTEMPTS_MAX {
                entry.attempts.remove(0);
            }
            entry.attempts.push(Attempt {
                at,
                seat: seat.clone(),
                call,
                failed: None,
            });
        }
        let seat = seat.clone();
        self.say_of_call_back(
            original,
            EventKind::CallBackAttempted {
                call_back,
                seat,
                call,
            },
        );
        if self.check_known_call(original).is_ok() {
            self.say_linked(call, Some(original), None, by);
        }
        self.arm_call_back(call_back);
        self.settle_overdue();
    }

    /// The digits to dial, or why nobody can be called now.
    fn check_call_back(&self, entry: &CallBack) -> Result<String, CommandError> {
        let refused = |state: &str, hint: String| CommandError::WrongState {
            what: String::from("the call-back"),
            state: state.to_owned(),
            hint,
        };
        match (entry.standing, entry.attempts.last()) {
            (Standing::Dialling { .. }, Some(Attempt { seat, .. })) => {
                return Err(refused("being dialled", format!("seat {seat} does it now")));
            }
            (Standing::Dialling { .. }, None) => {
                return Err(refused("being dialled", String::from("wait for its end")));
            }
            (Standing::OnLine { call }, _) => {
                let hint = format!("its caller rang again, in call {call}");
                return Err(refused("on the line", hint));
            }
            (Standing::Open, _) => {}
        }
        let area = &self.policy.centre.area_code;
        entry.number.dial(DialForm::National, area).ok_or_else(|| {
            let hint = String::from("close it with what you find out otherwise");
            refused("without a number that can be called", hint)
        })
    }

    /// The callee of a call-back is there.
    pub(super) fn call_back_connected(&mut self, call: CallId) {
        let found = self.call_backs.iter().find_map(|(id, entry)| {
            (entry.standing == Standing::Dialling { call }).then_some((*id, entry.call))
        });
        if let Some((call_back, original)) = found {
            self.say_of_call_back(original, EventKind::CallBackConnected { call_back, call });
        }
    }

    /// A caller is on the line: an open call-back of his waits, and the seat that rings him just then is released.
    pub(super) fn caller_is_back(&mut self, call: CallId) {
        let Some(number) = self.calls.get(&call).map(|c| c.caller.clone()) else {
            return;
        };
        let found = self
            .call_backs
            .iter()
            .find(|(_, entry)| same_caller(&entry.number, &number));
        let Some((id, standing)) = found.map(|(id, entry)| (*id, entry.standing)) else {
            return;
        };
        let made = match standing {
            Standing::Dialling { call: made } => {
                let talks = self.calls.get(&made).and_then(|c| c.answered_at).is_some();
                if talks {
                    return;
                }
                Some(made)
            }
            Standing::Open | Standing::OnLine { .. } => None,
        };
        if let Some(entry) = self.call_backs.get_mut(&id) {
            entry.standing = Standing::OnLine { call };
            entry.next_at = None;
            entry.overdue = false;
            if let (Some(_), Some(last)) = (made, entry.attempts.last_mut()) {
                last.failed = Some(Cause::Withdrawn);
            }
        }
        let call_back = id;
        self.say(call, EventKind::CallBackPaused { call_back });
        self.arm_call_back(id);
        self.settle_overdue();
        if let Some(made) = made {
            self.end_answered(made, Cause::Withdrawn, "caller");
        }
    }

    /// A call is over: did it help somebody who is to be called back?
    pub(super) fn call_back_over(&mut self, call: CallId, cause: Cause) {
        let Some(open) = self.calls.get(&call) else {
            return;
        };
        let talked = open.answered_at.is_some_and(|at| {
            self.now.millis_since(at) >= u64::from(TALK_MIN.0) && !cause.is_failure()
        });
        let number = open.caller.clone();
        let (made, seat) = (open.outbound.is_some(), open.last_seat.clone());
        let found = self.call_backs.iter().find(|(_, entry)| {
            let own = entry.standing == Standing::Dialling { call }
                || entry.standing == Standing::OnLine { call };
            // A second call of his may help as well; the one that it is about does not.
            own || (talked && !made && entry.call != call && same_caller(&entry.number, &number))
        });
        let Some((id, entry)) = found.map(|(id, entry)| (*id, entry.clone())) else {
            return;
        };
        if talked {
            let by = seat.map_or(Actor::Engine, Actor::Seat);
            self.remove_call_back(id);
            return self.say_call_back_closed(id, entry.call, by, String::from("talked"));
        }
        match entry.standing {
            Standing::Dialling { .. } => self.attempt_failed(id, &entry, cause),
            Standing::OnLine { .. } | Standing::Open => {
                if let Some(entry) = self.call_backs.get_mut(&id) {
                    entry.standing = Standing::Open;
                }
                self.arm_call_back(id);
            }
        }
    }

    fn attempt_failed(&mut self, call_back: CallBackId, entry: &CallBack, cause: Cause) {
        let pause = PAUSES.get(entry.attempts.len().saturating_sub(1)).copied();
        let next_at = pause.map(|pause| self.now + pause);
        if let Some(entry) = self.call_backs.get_mut(&call_back) {
            entry.standing = Standing::Open;
            entry.next_at = next_at;
            if let Some(last) = entry.attempts.last_mut() {
                last.failed = Some(cause);
            }
        }
        self.say_of_call_back(
            entry.call,
            EventKind::CallBackFailed {
                call_back,
                cause,
                next_at,
            },
        );
        self.arm_call_back(call_back);
    }

    /// Wakes for what is next: overdue, or time to dial by itself.
    fn arm_call_back(&mut self, id: CallBackId) {
        let Some(entry) = self.call_backs.get(&id) else {
            return;
        };
        let overdue = entry.overdue_at().filter(|_| !entry.overdue);
        let dials = entry.try_at().filter(|_| self.policy.call_backs.automatic);
        let dials = dials.map(|at| {
            if at > self.now {
                at
            } else {
                self.now + LOOK_AGAIN
            }
        });
        let next = [overdue, dials].into_iter().flatten().min();
        let key = TimerKey::CallBack(id);
        match next {
            Some(at) => self.timers.arm(key, at.max(self.now + Millis(1))),
            None => self.timers.disarm(&key),
        }
    }

    pub(super) fn call_back_woken(&mut self, id: CallBackId) {
        let now = self.now;
        let Some(entry) = self.call_backs.get_mut(&id) else {
            return self.misfit("flaw.timer_call_back_closed");
        };
        entry.overdue = entry.overdue_at().is_some_and(|at| at <= now);
        self.dial_by_itself(id);
        self.settle_overdue();
        self.arm_call_back(id);
    }

    /// With a free seat, and nobody waiting for it.
    fn dial_by_itself(&mut self, id: CallBackId) {
        let due = self.call_backs.get(&id).and_then(CallBack::try_at);
        let now = self.now;
        if !self.policy.call_backs.automatic
            || !self.queue.is_empty()
            || due.is_none_or(|at| at > now)
        {
            return;
        }
        let idle = self.seats.iter().filter_map(|(id, seat)| {
            let policy = self.policy.seats.get(id)?;
            match &seat.duty {
                Duty::Ready { idle_since } if seat.binding.is_some() && !policy.is_supervisor() => {
                    Some((*idle_since, id.clone()))
                }
                Duty::Ready { .. }
                | Duty::SignedOut
                | Duty::NotReady { .. }
                | Duty::Reserved { .. }
                | Duty::Ringing { .. }
                | Duty::Talking { .. }
                | Duty::WrapUp { .. }
                | Duty::Listening { .. }
                | Duty::Dialling { .. }
                | Duty::Unreachable { .. } => None,
            }
        });
        if let Some((_, seat)) = idle.min() {
            // Refused: the trunks are full of callers; it is tried again.
            drop(self.call_back_now(&Actor::Engine, id, &seat));
        }
    }

    /// The alarm stands while an entry is overdue.
    fn settle_overdue(&mut self) {
        let overdue = self.call_backs.values().filter(|e| e.overdue).count();
        if overdue == 0 {
            return self.clear_alarm(AlarmCode::CallBackOverdue, SUBJECT);
        }
        let detail = format!(
            "{overdue} callers should have been called back by now; dial them from the list, or close them with what you know"
        );
        self.raise_alarm(AlarmCode::CallBackOverdue, SUBJECT, &detail);
    }

    /// After a restart nothing is being done about any of them.
    pub(super) fn rearm_call_backs(&mut self) {
        let ids: Vec<_> = self.call_backs.keys().copied().collect();
        for id in ids {
            if let Some(entry) = self.call_backs.get_mut(&id) {
                entry.standing = Standing::Open;
                entry.overdue = false;
            }
            self.arm_call_back(id);
        }
    }

    fn remove_call_back(&mut self, id: CallBackId) {
        self.call_backs.remove(&id);
        self.timers.disarm(&TimerKey::CallBack(id));
        self.settle_overdue();
    }

    /// The caller is on the line again: what `call` put on the list comes off it. An entry that an earlier call of the
    /// same number shares stays.
    pub(super) fn withdraw_call_back(&mut self, call: CallId) {
        let Some((id, entry)) = self.call_backs.iter_mut().find(|(_, e)| e.call == call) else {
            return;
        };
        if entry.calls > 1 {
            entry.calls -= 1;
            return;
        }
        let id = *id;
        self.remove_call_back(id);
        let outcome = String::from("withdrawn: the caller's INVITE came again after the restart");
        self.say_call_back_closed(id, call, Actor::Engine, outcome);
    }

    /// One that cannot be dialled gives way first, then the oldest; its call's record says so.
    fn make_room(&mut self) {
        while self.call_backs.len() >= CALL_BACKS_MAX {
            let undialled = self.call_backs.iter().find(|(_, e)| !e.number.callable);
            let first = undialled.or_else(|| self.call_backs.first_key_value());
            let Some((id, call)) = first.map(|(id, entry)| (*id, entry.call)) else {
                return;
            };
            self.remove_call_back(id);
            let outcome = format!("dropped: more than {CALL_BACKS_MAX} open call-backs");
            self.say_call_back_closed(id, call, Actor::Engine, outcome);
        }
    }

    fn say_call_back_closed(
        &mut self,
        call_back: CallBackId,
        call: CallId,
        by: Actor,
        outcome: String,
    ) {
        self.say_of_call_back(
            call,
            EventKind::CallBackClosed {
                call_back,
                by,
                outcome,
            },
        );
    }

    /// On the record of the call that it is about, while that is known.
    fn say_of_call_back(&mut self, call: CallId, kind: EventKind) {
        if self.check_known_call(call).is_ok() {
            self.say(call, kind);
        } else {
            self.note(kind);
        }
    }

    /// `CloseCallBack`.
    pub(super) fn close_call_back(
        &mut self,
        by: &Actor,
        call_back: CallBackId,
        outcome: &str,
    ) -> Result<CommandReply, CommandError> {
        if outcome.trim().is_empty() {
            return Err(CommandError::BadField {
                field: String::from("outcome"),
                reason: String::from("say how the call-back ended"),
            });
        }
        let Some(call) = self.call_backs.get(&call_back).map(|entry| entry.call) else {
            return Err(unknown_call_back(call_back));
        };
        let known = self.check_known_call(call).is_ok();
        self.given(by, known.then_some(call), "close_call_back");
        self.remove_call_back(call_back);
        self.say_call_back_closed(call_back, call, by.clone(), outcome.to_owned());
        Ok(CommandReply::Done)
    }

    /// Whether a caller who hangs up now left before he can have been helped.
    pub(super) fn left_too_soon(&self, call: CallId) -> Option<&'static str> {
        let open = self.calls.get(&call)?;
        let answered = open.answered_at?;
        let rules = &self.policy.call_backs;
        if self.now.millis_since(answered) < u64::from(rules.dropped_within.0) {
            return Some("dropped");
        }
        let helped = open.dispatched || open.incident_id.is_some();
        (rules.before_dispatch && !helped).then_some("before_dispatch")
    }
}

fn unknown_call_back(id: CallBackId) -> CommandError {
    CommandError::Unknown {
        what: String::from("open call-back"),
        id: id.to_string(),
    }
}

/// The same full number is the same caller. Who withholds it is never merged with anybody.
fn same_caller(a: &Number, b: &Number) -> bool {
    !a.anonymous && !b.anonymous && a.e164.is_some() && a.e164 == b.e164
}
