//! Group calls (群呼): many numbers are rung at once, told a sentence, and asked for a key; a table says what came of each.
//! WS/T 451-2014 7.2.2-h and -m.
//!
//! ```text
//! target: Waiting --a circuit is spare--> Ringing --200--> Listening --key--> Done{acknowledged}
//!            ^--- busy, no answer: retries ---+                 `-- no key, hung up, another was first --> Done{..}
//! ```
//! A number here is a line of its own (`group_line`), in no call: nobody hears it, so it has no record and no recording;
//! what happens is said on the call that the group call is about. Callers come first: circuits kept for them are never
//! taken, one more is left to seats that dial, INVITEs go out a few at a time after each Input has been dealt with, and
//! none while media ports are scarce.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::commands::not_allowed;
use super::group_line::Line;
use super::party::{bad_field, check_number};
use super::timers::TimerKey;
use super::{Actor, AlarmCode, CommandError, CommandReply, EventKind, Switch};
use crate::call::{Cause, GroupCall, GroupResult, GroupState, GroupTarget, GroupWish};
use crate::id::{CallId, GroupCallId, LegId, PromptId, SeatId, TrunkId};
use crate::limits::{
    GROUP_CALLS_KEPT, GROUP_CALLS_MAX, GROUP_LINES_MAX, GROUP_RETRIES_MAX, GROUP_TARGETS_MAX,
};
use crate::time::{Millis, Timestamp};

/// What a group hears unless another sentence is named.
pub const GROUP_ALERT: &str = "group_alert";
/// Who pressed a key hears that it was noted.
pub(super) const GROUP_THANKS: &str = "group_thanks";
/// Who listens hears that somebody else was first.
const GROUP_TAKEN: &str = "group_taken";
const GROUP_CANCELLED: &str = "group_cancelled";
pub(super) const GROUP_PROMPTS: [&str; 4] =
    [GROUP_ALERT, GROUP_THANKS, GROUP_TAKEN, GROUP_CANCELLED];
/// INVITEs at once, and the pause to the next: offers to seats come between.
const BURST: usize = 5;
const BURST_PAUSE: Millis = Millis(50);
/// Without a spare circuit it is looked again so often.
const LOOK_AGAIN: Millis = Millis(1_000);
/// Who was not reached is rung again after this.
const RETRY_PAUSE: Millis = Millis::from_secs(30);
/// Nobody is rung any more after this.
const SPAN: Millis = Millis::from_secs(600);
/// Left to seats that dial, beside what is kept for callers.
const CIRCUITS_LEFT: usize = 1;
/// Bad numbers named in a refusal.
const NAMED_MAX: usize = 20;

/// All group calls that are known.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct GroupCalls {
    tables: BTreeMap<GroupCallId, Arc<GroupCall>>,
    /// Numbers on the line.
    pub(super) lines: BTreeMap<LegId, Line>,
    /// Targets to be rung, in order.
    waiting: VecDeque<Wait>,
    /// No INVITE before this.
    next_at: Timestamp,
    /// Grows with each change.
    pub(super) revision: u64,
}

/// One target: of which group call, and its place there.
pub(super) type TargetKey = (GroupCallId, usize);

/// A target to be rung.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Wait {
    group_call: GroupCallId,
    target: usize,
    not_before: Timestamp,
    /// Why it was not reached before.
    last: Option<GroupResult>,
}

impl GroupCalls {
    pub(super) fn has_line(&self, leg: LegId) -> bool {
        self.lines.contains_key(&leg)
    }

    pub(super) fn circuits_used(&self, trunk: &TrunkId) -> usize {
        let own = self.lines.values().filter(|line| line.is_on(trunk));
        own.count()
    }

    pub(super) fn shown(&self) -> Vec<Arc<GroupCall>> {
        self.tables.values().rev().cloned().collect()
    }

    pub(super) fn table(&self, id: GroupCallId) -> Option<&GroupCall> {
        self.tables.get(&id).map(Arc::as_ref)
    }

    pub(super) fn target(&self, (id, place): TargetKey) -> Option<&GroupTarget> {
        self.table(id)?.targets.get(place)
    }

    pub(super) fn target_mut(&mut self, (id, place): TargetKey) -> Option<&mut GroupTarget> {
        self.revision += 1;
        let table = Arc::make_mut(self.tables.get_mut(&id)?);
        table.targets.get_mut(place)
    }

    /// The lines of a group call, with their targets.
    fn lines_of(&self, id: GroupCallId) -> Vec<(LegId, TargetKey)> {
        let own = self.lines.iter().filter(|(_, line)| line.key.0 == id);
        own.map(|(leg, line)| (*leg, line.key)).collect()
    }

    fn running(&self) -> usize {
        let tables = self.tables.values();
        tables.filter(|table| table.ended_at.is_none()).count()
    }

    /// Ended ones give way, the oldest first.
    fn make_room(&mut self) {
        while self.tables.len() >= GROUP_CALLS_KEPT {
            let ended = self.tables.values().find(|t| t.ended_at.is_some());
            let Some(oldest) = ended.map(|t| t.group_call) else {
                return;
            };
            self.tables.remove(&oldest);
        }
    }
}

impl Switch {
    /// `StartGroupCall`.
    pub(super) fn start_group_call(
        &mut self,
        by: &Actor,
        wish: &GroupWish,
    ) -> Result<CommandReply, CommandError> {
        let numbers = self.group_numbers(wish)?;
        check_wish(wish)?;
        if let Some(call) = wish.call {
            self.check_known_call(call)?;
        }
        if self.outbound_trunks().is_empty() {
            self.check_spare_trunk()?;
        }
        if self.group_calls.running() >= GROUP_CALLS_MAX {
            return Err(CommandError::WrongState {
                what: String::from("the list of group calls"),
                state: format!("full with {GROUP_CALLS_MAX} that go on"),
                hint: String::from("cancel one, or wait for its end"),
            });
        }
        self.given(by, wish.call, "start_group_call");
        let id = GroupCallId(self.ids.next_uuid(self.now));
        self.keep_group_call(id, by, wish, numbers);
        Ok(CommandReply::GroupCall { group_call: id })
    }

    fn keep_group_call(
        &mut self,
        id: GroupCallId,
        by: &Actor,
        wish: &GroupWish,
        numbers: Vec<String>,
    ) {
        let (now, calls) = (self.now, &mut self.group_calls);
        calls.make_room();
        calls.revision += 1;
        let targets = 0..numbers.len();
        calls.waiting.extend(targets.map(|target| Wait {
            group_call: id,
            target,
            not_before: now,
            last: None,
        }));
        let table = GroupCall {
            group_call: id,
            by: by.to_string(),
            group: wish.group.clone(),
            prompt: wish.prompt.clone(),
            digit: wish.digit,
            first_wins: wish.first_wins,
            retries: wish.retries,
            call: wish.call,
            started_at: now,
            ended_at: None,
            ended_why: None,
            targets: numbers.iter().cloned().map(GroupTarget::new).collect(),
        };
        calls.tables.insert(id, Arc::new(table));
        let mut wish = Box::new(wish.clone());
        wish.numbers = numbers;
        let by = by.clone();
        let group_call = id;
        self.say_of_group(
            id,
            EventKind::GroupCallStarted {
                group_call,
                wish,
                by,
            },
        );
        self.arm(TimerKey::GroupCallEnd(id), SPAN);
    }

    /// Whom it rings, as they are dialled.
    fn group_numbers(&self, wish: &GroupWish) -> Result<Vec<String>, CommandError> {
        let Some(group) = &wish.group else {
            return self.check_group_numbers(&wish.numbers);
        };
        if !wish.numbers.is_empty() {
            return Err(bad_field("group", "name a group or numbers, not both"));
        }
        let found = self.policy.groups.get(group).cloned();
        found.ok_or_else(|| CommandError::Unknown {
            what: String::from("group"),
            id: group.to_string(),
        })
    }

    /// Every number that cannot be rung is named, so that a list is mended at once.
    fn check_group_numbers(&self, given: &[String]) -> Result<Vec<String>, CommandError> {
        if given.is_empty() || given.len() > GROUP_TARGETS_MAX {
            let why = format!(
                "must be 1 to {GROUP_TARGETS_MAX} numbers and are {}; divide a longer list",
                given.len()
            );
            return Err(bad_field("numbers", &why));
        }
        let (mut numbers, mut bad): (Vec<String>, Vec<String>) = Default::default();
        for one in given {
            let number: String = one
                .chars()
                .filter(|c| *c != '-' && !c.is_whitespace())
                .collect();
            let seat = SeatId(number.clone());
            let why = if check_number(&number).is_err() {
                "is no number"
            } else if self.is_ours(&number) {
                "is this centre's own"
            } else if self.policy.seats.contains_key(&seat) {
                "is a seat; dial it"
            } else if numbers.contains(&number) {
                "is there twice"
            } else {
                numbers.push(number);
                continue;
            };
            let shown: String = one.chars().take(40).collect();
            bad.push(format!("{shown:?} {why}"));
        }
        if bad.is_empty() {
            return Ok(numbers);
        }
        let more = bad.len().saturating_sub(NAMED_MAX);
        bad.truncate(NAMED_MAX);
        if more > 0 {
            bad.push(format!("and {more} more"));
        }
        Err(bad_field("numbers", &bad.join("; ")))
    }

    /// `CancelGroupCall`.
    pub(super) fn cancel_group_call(
        &mut self,
        by: &Actor,
        id: GroupCallId,
    ) -> Result<CommandReply, CommandError> {
        let Some(table) = self.group_calls.table(id) else {
            return Err(CommandError::Unknown {
                what: String::from("group call"),
                id: id.to_string(),
            });
        };
        let own = table.by == by.to_string();
        match by {
            Actor::Seat(_) | Actor::Module(_) if !own => {
                return Err(not_allowed(
                    by,
                    "somebody else started it; ask a supervisor",
                ));
            }
            Actor::Seat(_)
            | Actor::Module(_)
            | Actor::Supervisor(_)
            | Actor::User(_)
            | Actor::Engine => {}
        }
        if let Some(at) = table.ended_at {
            return Err(CommandError::WrongState {
                what: format!("group call {id}"),
                state: format!("over since {}", at.rfc3339()),
                hint: String::from("its table tells what came of each number"),
            });
        }
        let call = table.call.and_then(|call| self.known(call));
        self.given(by, call, "cancel_group_call");
        self.stop_group(
            id,
            GroupResult::Cancelled,
            GROUP_CANCELLED,
            Cause::Withdrawn,
        );
        Ok(CommandReply::Done)
    }

    /// Somebody has it: the others are not needed.
    pub(super) fn group_taken(&mut self, id: GroupCallId) {
        self.stop_group(
            id,
            GroupResult::Taken,
            GROUP_TAKEN,
            Cause::AnsweredElsewhere,
        );
    }

    /// Whoever has no result gets this one: who waits or rings is left in peace, who listens is told why.
    fn stop_group(&mut self, id: GroupCallId, result: GroupResult, told: &str, cause: Cause) {
        self.group_calls.waiting.retain(|w| w.group_call != id);
        for (leg, key) in self.group_calls.lines_of(id) {
            match self.group_calls.target(key).map(|target| target.state) {
                Some(GroupState::Listening) => self.tell_group_line(leg, told),
                Some(GroupState::Ringing) => {
                    self.release_group_line(leg, cause);
                }
                Some(GroupState::Waiting | GroupState::Done) | None => {}
            }
        }
        let targets = self.group_calls.table(id).map_or(0, |t| t.targets.len());
        for place in 0..targets {
            self.finish_target((id, place), result);
        }
    }

    /// A target was not reached: perhaps it is rung again.
    pub(super) fn target_not_reached(&mut self, key: TargetKey, why: GroupResult) {
        let (Some(table), Some(target)) =
            (self.group_calls.table(key.0), self.group_calls.target(key))
        else {
            return;
        };
        let again = why.may_be_retried() && target.attempts <= table.retries;
        if !again || !self.timers.is_armed(&TimerKey::GroupCallEnd(key.0)) {
            return self.finish_target(key, why);
        }
        let (number, next_at) = (target.number.clone(), self.now + RETRY_PAUSE);
        self.target_waits(key, next_at, Some(why));
        self.say_of_group(
            key.0,
            EventKind::GroupRetried {
                group_call: key.0,
                number,
                why,
                next_at,
            },
        );
    }

    /// It is rung as soon as it may.
    pub(super) fn target_waits(
        &mut self,
        key: TargetKey,
        not_before: Timestamp,
        last: Option<GroupResult>,
    ) {
        let wait = Wait {
            group_call: key.0,
            target: key.1,
            not_before,
            last,
        };
        if last.is_some() {
            self.group_calls.waiting.push_back(wait);
        } else {
            self.group_calls.waiting.push_front(wait);
        }
        if let Some(target) = self.group_calls.target_mut(key) {
            target.state = GroupState::Waiting;
        }
    }

    /// Its one result, said once; with the last one the group call is over.
    pub(super) fn finish_target(&mut self, key: TargetKey, result: GroupResult) {
        let now = self.now;
        let open = self.group_calls.target(key);
        if open.is_none_or(|target| target.result.is_some()) {
            return;
        }
        let Some(target) = self.group_calls.target_mut(key) else {
            return;
        };
        target.state = GroupState::Done;
        target.result = Some(result);
        target.ended_at = Some(now);
        let (group_call, number) = (key.0, target.number.clone());
        let after_ms = target.answered_at.map_or(0, |at| now.millis_since(at));
        let leg = self.group_calls.lines.iter().find(|(_, l)| l.key == key);
        let kind = match (result, leg) {
            (GroupResult::Acknowledged, Some((leg, _))) => EventKind::GroupAcknowledged {
                group_call,
                number,
                leg: *leg,
                after_ms,
            },
            (why, _) => EventKind::GroupFailed {
                group_call,
                number,
                why,
            },
        };
        self.say_of_group(group_call, kind);
        self.group_may_be_over(group_call, result);
    }

    fn group_may_be_over(&mut self, id: GroupCallId, last: GroupResult) {
        let Some(table) = self.group_calls.tables.get_mut(&id) else {
            return;
        };
        if table.ended_at.is_some() || table.targets.iter().any(|t| t.result.is_none()) {
            return;
        }
        let has = |result| table.targets.iter().any(|t| t.result == Some(result));
        let why = if last == GroupResult::Cancelled {
            "cancelled"
        } else if table.first_wins && has(GroupResult::Acknowledged) {
            "taken"
        } else {
            "complete"
        };
        let (now, targets) = (self.now, table.targets.clone());
        let table = Arc::make_mut(table);
        table.ended_at = Some(now);
        table.ended_why = Some(why.to_owned());
        self.group_calls.revision += 1;
        self.timers.disarm(&TimerKey::GroupCallEnd(id));
        let why = why.to_owned();
        self.say_of_group(
            id,
            EventKind::GroupCallEnded {
                group_call: id,
                why,
                targets,
            },
        );
    }

    /// Its time is over: nobody more is rung; who is on the line comes to his own end.
    pub(super) fn group_call_overdue(&mut self, id: GroupCallId) {
        let (over, rest) = std::mem::take(&mut self.group_calls.waiting)
            .into_iter()
            .partition(|wait| wait.group_call == id);
        self.group_calls.waiting = rest;
        let over: VecDeque<Wait> = over;
        for wait in over {
            let result = wait.last.unwrap_or(GroupResult::NoCircuit);
            self.finish_target((id, wait.target), result);
        }
    }

    /// After each Input, when everybody else has been served.
    pub(super) fn ring_group_targets(&mut self) {
        if self.group_calls.waiting.is_empty() {
            return self.timers.disarm(&TimerKey::GroupCalls);
        }
        let now = self.now;
        if now < self.group_calls.next_at && self.timers.is_armed(&TimerKey::GroupCalls) {
            return;
        }
        let mut rung = 0;
        while rung < BURST && self.ring_next_target() {
            rung += 1;
        }
        self.group_calls.next_at = now + BURST_PAUSE;
        let waiting = self.group_calls.waiting.iter();
        let Some(first) = waiting.map(|wait| wait.not_before).min() else {
            return self.timers.disarm(&TimerKey::GroupCalls);
        };
        let pause = if rung == BURST {
            BURST_PAUSE
        } else {
            LOOK_AGAIN
        };
        let next = first.max(now + pause);
        self.timers.arm(TimerKey::GroupCalls, next);
    }

    /// The first one that may be rung now. False: none.
    fn ring_next_target(&mut self) -> bool {
        let now = self.now;
        let mut waiting = self.group_calls.waiting.iter();
        let Some(place) = waiting.position(|wait| wait.not_before <= now) else {
            return false;
        };
        let scarce = self.alarms.iter().any(|a| a.code == AlarmCode::PortsLow);
        if scarce || self.group_calls.lines.len() >= GROUP_LINES_MAX {
            return false;
        }
        let trunks = self.group_trunks();
        if trunks.is_empty() {
            return false;
        }
        let Some(wait) = self.group_calls.waiting.remove(place) else {
            return false;
        };
        let key = (wait.group_call, wait.target);
        if let Some(target) = self.group_calls.target_mut(key) {
            target.attempts = target.attempts.saturating_add(1);
            target.rung_at.get_or_insert(now);
            target.state = GroupState::Ringing;
        }
        self.ring_group_line(key, trunks);
        true
    }

    /// Best first.
    pub(super) fn group_trunks(&self) -> Vec<TrunkId> {
        self.trunks_with_spare(CIRCUITS_LEFT)
    }

    /// On the record of the call that it is about, while that is known.
    pub(super) fn say_of_group(&mut self, id: GroupCallId, kind: EventKind) {
        let call: Option<CallId> = self.group_calls.table(id).and_then(|table| table.call);
        match call.and_then(|call| self.known(call)) {
            Some(call) => self.say(call, kind),
            None => self.note(kind),
        }
    }

    /// After a restart: who is still to be rung is rung on, unless its time is over.
    pub(super) fn rearm_group_calls(&mut self) {
        let now = self.now;
        self.group_calls.next_at = Timestamp::default();
        for wait in &mut self.group_calls.waiting {
            let pause = wait.last.map_or(Millis(0), |_| RETRY_PAUSE);
            wait.not_before = wait.not_before.min(now + pause);
        }
        let open = self.group_calls.tables.values();
        let open: Vec<_> = open
            .filter(|table| table.ended_at.is_none())
            .map(|table| (table.group_call, table.started_at + SPAN))
            .collect();
        for (id, end) in open {
            if end <= now {
                self.group_call_overdue(id);
                continue;
            }
            // A clock that was set back must not prolong it.
            self.timers
                .arm(TimerKey::GroupCallEnd(id), end.min(now + SPAN));
        }
    }
}

fn check_wish(wish: &GroupWish) -> Result<(), CommandError> {
    let PromptId(prompt) = &wish.prompt;
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    if prompt.is_empty() || prompt.len() > 64 || !prompt.chars().all(plain) {
        return Err(bad_field("prompt", "must be the name of a stored sentence"));
    }
    if !(wish.digit.is_ascii_digit() || matches!(wish.digit, '*' | '#')) {
        return Err(bad_field("digit", "must be one key: 0 to 9, * or #"));
    }
    if wish.retries > GROUP_RETRIES_MAX {
        let why = format!("must be 0 to {GROUP_RETRIES_MAX}");
        return Err(bad_field("retries", &why));
    }
    Ok(())
}
