//! The process started: what an old process left open is settled. Every call gets its outcome and, when the caller
//! was still there, a call-back; every dialog is closed from its journaled state; no seat stays busy.

use super::timers::{TimerKey, TimerTable};
use super::{EventKind, Outcome, Policy, Switch, Totals};
use crate::call::{Cause, LegCommand};
use crate::id::{CallId, IdSource};
use crate::time::Millis;

impl Switch {
    pub(super) fn started(&mut self, seed: u64, build: &str, policy: &Policy) {
        self.ids = IdSource::new(seed);
        self.chance = seed;
        self.totals = Totals::default();
        self.timers = TimerTable::default();
        let open: Vec<CallId> = self
            .calls
            .values()
            .filter(|c| !c.is_closing())
            .map(|c| c.id)
            .collect();
        self.note(EventKind::EngineStarted {
            build: build.to_owned(),
            orphaned_calls: u32::try_from(open.len()).unwrap_or(u32::MAX),
        });
        self.clear_all_alarms();
        for call in open {
            self.orphan(call);
        }
        // What the old process still wanted done means nothing to the new one; only its dialogs do.
        self.effects.clear();
        self.close_old_dialogs();
        self.totals = Totals::default();
        self.rearm();
        self.adopt_policy(policy.clone());
        self.restart_seats();
        self.restart_trunks();
    }

    fn orphan(&mut self, call: CallId) {
        let Some(open) = self.calls.get(&call) else {
            return;
        };
        let cause = Cause::Restarted;
        let answered = open.answered_at.is_some();
        if open.caller_leg.is_some() {
            let reason = if answered {
                "interrupted"
            } else {
                "lost_in_restart"
            };
            self.call_back_due(call, reason);
        }
        if answered {
            self.end_answered(call, cause, "system");
        } else {
            self.end_call(call, Outcome::Lost, cause, "system");
        }
    }

    fn close_old_dialogs(&mut self) {
        let legs: Vec<_> = self
            .ending
            .iter()
            .map(|(leg, ending)| (*leg, ending.dialog.clone()))
            .collect();
        for (leg, dialog) in legs {
            let cause = Cause::Restarted;
            if let Some(dialog) = dialog {
                self.command_leg(leg, LegCommand::ReleaseOrphan { dialog, cause });
            } else {
                // Nothing was ever sent for it.
                self.ending.remove(&leg);
            }
        }
    }

    /// Only what outlives a process is waited for again.
    fn rearm(&mut self) {
        self.timers = TimerTable::default();
        let guard = self.policy.timers.release_guard;
        let legs: Vec<_> = self.ending.keys().copied().collect();
        for leg in legs {
            self.arm(TimerKey::ReleaseGuard(leg), guard);
        }
        let calls: Vec<_> = self.calls.keys().copied().collect();
        for call in calls {
            self.arm(TimerKey::Settle(call), Millis::from_secs(60));
        }
        for (id, seat) in &self.seats {
            if let Some(binding) = &seat.binding {
                self.timers
                    .arm(TimerKey::Registration(id.clone()), binding.until);
            }
        }
    }

    fn restart_seats(&mut self) {
        let seats: Vec<_> = self.seats.keys().cloned().collect();
        let now = self.now;
        for id in seats {
            self.try_seat_step(&id, |duty| Ok(duty.restarted(now)));
        }
    }

    fn restart_trunks(&mut self) {
        let now = self.now;
        for trunk in self.trunks.values_mut() {
            trunk.up = None;
            trunk.since = now;
            trunk.detail.clear();
        }
    }
}
