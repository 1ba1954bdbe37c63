//! The one ledger of standing alarms, by code and subject: raised twice is one event, and each is cleared or still
//! true (invariant 9).

use serde::{Deserialize, Serialize};

use super::timers::TimerKey;
use super::{AlarmCode, EventKind, Switch};
use crate::id::CallId;
use crate::time::{Millis, Timestamp};

/// A skipped Input that named no open call stays an alarm for this long.
const SKIPPED_SPAN: Millis = Millis::from_secs(600);
/// Subject of the alarm that nobody can take a call.
const SUBJECT_SEATS: &str = "seats";

/// A standing alarm.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Alarm {
    pub(super) code: AlarmCode,
    pub(super) subject: String,
    pub(super) detail: String,
    pub(super) since: Timestamp,
}

impl Switch {
    pub(super) fn alarm_stands(&self, code: AlarmCode, subject: &str) -> bool {
        self.alarms
            .iter()
            .any(|a| a.code == code && a.subject == subject)
    }

    pub(super) fn raise_alarm(&mut self, code: AlarmCode, subject: &str, detail: &str) {
        let standing = self
            .alarms
            .iter_mut()
            .find(|a| a.code == code && a.subject == subject);
        if let Some(alarm) = standing {
            detail.clone_into(&mut alarm.detail);
            return;
        }
        let (subject, detail) = (subject.to_owned(), detail.to_owned());
        self.alarms.push(Alarm {
            code,
            subject: subject.clone(),
            detail: detail.clone(),
            since: self.now,
        });
        self.note(EventKind::AlarmRaised {
            code,
            subject,
            detail,
        });
    }

    pub(super) fn clear_alarm(&mut self, code: AlarmCode, subject: &str) {
        let place = self
            .alarms
            .iter()
            .position(|a| a.code == code && a.subject == subject);
        let Some(place) = place else {
            return;
        };
        let Alarm { code, subject, .. } = self.alarms.remove(place);
        let timer = TimerKey::AlarmEnd {
            code,
            subject: subject.clone(),
        };
        self.timers.disarm(&timer);
        self.note(EventKind::AlarmCleared { code, subject });
    }

    /// A part of the shell speaks.
    pub(super) fn alarm_told(
        &mut self,
        code: AlarmCode,
        subject: &str,
        detail: &str,
        raised: bool,
    ) {
        if raised {
            self.raise_alarm(code, subject, detail);
        } else {
            self.clear_alarm(code, subject);
        }
    }

    /// After a restart the parts that are in trouble say so again.
    pub(super) fn clear_all_alarms(&mut self) {
        for alarm in std::mem::take(&mut self.alarms) {
            self.note(EventKind::AlarmCleared {
                code: alarm.code,
                subject: alarm.subject,
            });
        }
    }

    /// The shell rebuilt the switch without an Input that made it panic: the call it named goes on, marked.
    pub(super) fn input_skipped(&mut self, call: Option<CallId>, reason: &str) {
        let code = AlarmCode::SwitchInputSkipped;
        let subject = call.map_or_else(|| String::from("switch"), |c| c.to_string());
        self.raise_alarm(code, &subject, reason);
        if call.is_none_or(|c| !self.calls.contains_key(&c)) {
            self.arm(TimerKey::AlarmEnd { code, subject }, SKIPPED_SPAN);
        }
    }

    /// Calls wait and no seat is at work.
    pub(super) fn settle_seats_none(&mut self) {
        let mut waiting = self.queue.entries().iter();
        let somebody = waiting.any(|entry| !self.is_held_for_test(entry.call));
        if somebody && !self.seats.values().any(|s| s.duty.serves()) {
            self.raise_alarm(
                AlarmCode::SeatsNone,
                SUBJECT_SEATS,
                "calls wait and no seat is signed in and ready or busy; sign a seat in",
            );
        } else if !self.alarms.is_empty() {
            self.clear_alarm(AlarmCode::SeatsNone, SUBJECT_SEATS);
        }
    }
}
