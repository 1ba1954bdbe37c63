//! The switch's timers: at most one per key, fired in order of time, then of key.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::Switch;
use super::event::AlarmCode;
use crate::id::{CallBackId, CallId, GroupCallId, LegId, MarkId, SeatId, TrunkId};
use crate::time::{Millis, Timestamp};

/// What a timer is for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum TimerKey {
    /// No ACK came: the greeting starts without it.
    Greeting(CallId),
    /// A caller in a menu pressed nothing, or has been there long enough.
    Menu(CallId),
    /// The carrier's limit for early media.
    AnswerLimit(CallId),
    WaitAlert(CallId),
    /// A need of its queue falls away.
    Relax(CallId),
    StillWaiting(CallId),
    /// A better position may be told again.
    Position(CallId),
    /// The handling lasts.
    Handling(CallId),
    /// Media never reported the end of a prompt.
    PlayGuard(CallId),
    /// The recorder never reported the end of a recording.
    Settle(CallId),
    /// A seat or listener does not pick up.
    Ring(LegId),
    /// The seat that answered sends no sound: the others are released without it.
    Elsewhere(CallId),
    /// A trunk says nothing to an INVITE.
    TrunkSilence(LegId),
    /// A third party does not answer.
    ThirdRing(LegId),
    /// The seat that dialled has been told why nobody is there.
    CalleeTold(CallId),
    /// A call-back is overdue, or may be dialled again.
    CallBack(CallBackId),
    /// A released leg never reported its end.
    ReleaseGuard(LegId),
    /// A seat keys nothing more.
    StarCode(LegId),
    /// A phone that dialled a star code is told, was told, or should be gone.
    DialledCode(LegId),
    /// A caller on hold may be forgotten.
    HoldReminder(CallId),
    /// The longest stay on the shelf.
    Shelf(CallId),
    ShelfReminder(CallId),
    /// A seat has had nothing to do for so long that the shelf is looked at.
    ShelfIdle,
    /// People outside may be rung.
    Relief,
    /// They press no key.
    ReliefKey(LegId),
    /// Numbers of group calls may be rung.
    GroupCalls,
    /// A group call rings nobody more.
    GroupCallEnd(GroupCallId),
    /// A number of a group call rang, was asked or was told long enough.
    GroupLine(LegId),
    /// Who listens to a queue has heard this call long enough.
    ListenOn(SeatId),
    WrapUp(SeatId),
    /// A phone's registration runs out; it is named by its account.
    Registration(SeatId),
    /// A mark on a number ends by itself.
    VerdictEnd(MarkId),
    /// A trunk has been quiet for so long that it is tested.
    SelfTest(TrunkId),
    /// A step of the test under way does not come.
    SelfTestStep,
    /// A call that may be the test's rings seats from now on.
    SelfTestHold,
    /// What raised the alarm has not happened again.
    AlarmEnd {
        code: AlarmCode,
        subject: String,
    },
}

impl TimerKey {
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::Greeting(_) => "greeting",
            Self::Menu(_) => "menu",
            Self::AnswerLimit(_) => "answer limit",
            Self::WaitAlert(_) => "wait alert",
            Self::Relax(_) => "relax",
            Self::StillWaiting(_) => "still waiting",
            Self::Position(_) => "position",
            Self::Handling(_) => "handling",
            Self::PlayGuard(_) => "end of prompt",
            Self::Settle(_) => "end of recording",
            Self::Ring(_) => "ring",
            Self::Elsewhere(_) => "answered elsewhere",
            Self::TrunkSilence(_) => "trunk silence",
            Self::ThirdRing(_) => "third party ring",
            Self::CalleeTold(_) => "callee told",
            Self::CallBack(_) => "call-back",
            Self::ReleaseGuard(_) => "release guard",
            Self::StarCode(_) => "star code",
            Self::DialledCode(_) => "dialled star code",
            Self::HoldReminder(_) => "hold reminder",
            Self::Shelf(_) => "shelf",
            Self::ShelfReminder(_) => "shelf reminder",
            Self::ShelfIdle => "idle beside the shelf",
            Self::Relief => "people outside",
            Self::ReliefKey(_) => "key of people outside",
            Self::GroupCalls => "numbers of group calls",
            Self::GroupCallEnd(_) => "end of group call",
            Self::GroupLine(_) => "number of a group call",
            Self::ListenOn(_) => "listen on",
            Self::WrapUp(_) => "wrap-up",
            Self::Registration(_) => "registration",
            Self::VerdictEnd(_) => "end of a verdict",
            Self::SelfTest(_) => "self-test",
            Self::SelfTestStep => "step of a self-test",
            Self::SelfTestHold => "hold of a self-test",
            Self::AlarmEnd { .. } => "end of alarm",
        }
    }
}

/// All armed timers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    from = "Vec<(Timestamp, TimerKey)>",
    into = "Vec<(Timestamp, TimerKey)>"
)]
pub(super) struct TimerTable {
    due: BTreeSet<(Timestamp, TimerKey)>,
    at: BTreeMap<TimerKey, Timestamp>,
}

impl From<Vec<(Timestamp, TimerKey)>> for TimerTable {
    fn from(list: Vec<(Timestamp, TimerKey)>) -> Self {
        let mut table = Self::default();
        for (at, key) in list {
            table.arm(key, at);
        }
        table
    }
}

impl From<TimerTable> for Vec<(Timestamp, TimerKey)> {
    fn from(table: TimerTable) -> Self {
        table.due.into_iter().collect()
    }
}

impl TimerTable {
    /// Sets a timer; an earlier setting of the same key is forgotten.
    pub(super) fn arm(&mut self, key: TimerKey, at: Timestamp) {
        if let Some(before) = self.at.insert(key.clone(), at) {
            self.due.remove(&(before, key.clone()));
        }
        self.due.insert((at, key));
    }

    pub(super) fn disarm(&mut self, key: &TimerKey) {
        if let Some((key, at)) = self.at.remove_entry(key) {
            self.due.remove(&(at, key));
        }
    }

    pub(super) fn is_armed(&self, key: &TimerKey) -> bool {
        self.at.contains_key(key)
    }

    pub(super) fn at(&self, key: &TimerKey) -> Option<Timestamp> {
        self.at.get(key).copied()
    }

    pub(super) fn next(&self) -> Option<(Timestamp, &TimerKey)> {
        self.due.first().map(|(at, key)| (*at, key))
    }

    fn pop_due(&mut self, now: Timestamp) -> Option<TimerKey> {
        if self.due.first()?.0 > now {
            return None;
        }
        let (_, key) = self.due.pop_first()?;
        self.at.remove(&key);
        Some(key)
    }
}

impl Switch {
    /// Sets a timer `span` from now, but never at once: a zero in a configuration must not spin.
    pub(super) fn arm(&mut self, key: TimerKey, span: Millis) {
        let at = (self.now + span).max(self.now + Millis(1));
        self.timers.arm(key, at);
    }

    pub(super) fn fire_due_timers(&mut self) {
        while let Some(key) = self.timers.pop_due(self.now) {
            self.fire(key);
        }
    }

    /// A timer means now, not the moment it was due: after a stall of the process no chain of time-outs runs off.
    fn fire(&mut self, key: TimerKey) {
        match key {
            TimerKey::Greeting(call) => self.greet(call),
            TimerKey::Menu(call) => self.menu_due(call),
            TimerKey::AnswerLimit(call) => self.answer_caller(call),
            TimerKey::WaitAlert(call) => self.wait_exceeded(call),
            TimerKey::Relax(call) => self.arm_relax(call),
            TimerKey::StillWaiting(call) => self.still_waiting(call),
            TimerKey::Position(call) => {
                self.stirred.insert(call);
            }
            TimerKey::Handling(call) => self.handling_due(call),
            TimerKey::PlayGuard(call) => self.prompt_overdue(call),
            TimerKey::Settle(call) => self.settle(call),
            TimerKey::Ring(leg) => self.ring_timed_out(leg),
            TimerKey::Elsewhere(call) => self.release_losers(call),
            TimerKey::TrunkSilence(leg) => self.trunk_silent(leg),
            TimerKey::ThirdRing(leg) => self.third_rang_out(leg),
            TimerKey::CalleeTold(call) => self.callee_told(call),
            TimerKey::CallBack(id) => self.call_back_woken(id),
            TimerKey::ReleaseGuard(leg) => self.drop_ending_leg(leg),
            TimerKey::StarCode(leg) => self.star_code_over(leg),
            TimerKey::DialledCode(leg) => self.code_due(leg),
            TimerKey::HoldReminder(call) => self.hold_exceeded(call),
            TimerKey::Shelf(call) => self.unshelve(call, "time_up", None),
            TimerKey::ShelfReminder(call) => self.shelf_exceeded(call),
            // What follows every Input looks at these.
            TimerKey::ShelfIdle
            | TimerKey::Relief
            | TimerKey::GroupCalls
            | TimerKey::ListenOn(_) => {}
            TimerKey::SelfTestHold => self.self_test_hold_over(),
            TimerKey::GroupCallEnd(id) => self.group_call_overdue(id),
            TimerKey::GroupLine(leg) => self.group_line_due(leg),
            TimerKey::SelfTest(trunk) => self.self_test_due(&trunk),
            TimerKey::SelfTestStep => self.self_test_overdue(),
            TimerKey::ReliefKey(leg) => self.relief_key_overdue(leg),
            TimerKey::WrapUp(seat) => self.wrap_up_over(&seat),
            TimerKey::Registration(seat) => self.registration_ran_out(&seat),
            TimerKey::VerdictEnd(mark) => self.verdict_ends(mark),
            TimerKey::AlarmEnd { code, subject } => self.clear_alarm(code, &subject),
        }
    }

    /// Disarms all that belongs to an unanswered caller.
    pub(super) fn disarm_waiting(&mut self, call: CallId) {
        for key in [
            TimerKey::Greeting(call),
            TimerKey::Menu(call),
            TimerKey::AnswerLimit(call),
            TimerKey::WaitAlert(call),
            TimerKey::Relax(call),
            TimerKey::StillWaiting(call),
            TimerKey::Position(call),
            TimerKey::PlayGuard(call),
        ] {
            self.timers.disarm(&key);
        }
    }

    /// Disarms all that belongs to a live leg.
    pub(super) fn disarm_leg(&mut self, leg: LegId) {
        for key in [
            TimerKey::Ring(leg),
            TimerKey::TrunkSilence(leg),
            TimerKey::ThirdRing(leg),
            TimerKey::ReliefKey(leg),
            TimerKey::GroupLine(leg),
        ] {
            self.timers.disarm(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn setting_a_timer_again_moves_it() {
        let mut table = TimerTable::default();
        let key = TimerKey::Greeting(CallId(Uuid::from_u128(1)));
        let at = Timestamp::from_micros;
        table.arm(key.clone(), at(10));
        table.arm(key.clone(), at(20));
        assert_eq!(table.pop_due(at(15)), None);
        assert_eq!(table.next(), Some((at(20), &key)));
        assert_eq!(table.pop_due(at(20)), Some(key.clone()));
        assert!(!table.is_armed(&key));
        assert_eq!(table.next(), None);
    }

    #[test]
    fn timers_survive_a_snapshot() {
        let mut table = TimerTable::default();
        for n in 0..5 {
            table.arm(
                TimerKey::Ring(LegId(Uuid::from_u128(n))),
                Timestamp::from_micros(100 - i64::try_from(n).unwrap()),
            );
        }
        let text = serde_json::to_string(&table).unwrap();
        assert_eq!(serde_json::from_str::<TimerTable>(&text).unwrap(), table);
    }
}
