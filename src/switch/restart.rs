//! The process started: what an old process left open is settled. Every call gets its outcome and, when the caller
//! was still there, a call-back; every dialog is closed from its journaled state; no seat stays busy. A caller whose
//! INVITE comes again goes on in his old call.

use super::arrival::caller_leg;
use super::timers::{TimerKey, TimerTable};
use super::{EventKind, MediaCommand, Outcome, Policy, Switch, Totals};
use crate::call::{Arrival, Call, Cause, LegCommand, Phase, Unanswered};
use crate::id::{CallId, IdSource, RecordingId, SeatId};
use crate::matrix::Matrix;
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
        self.restart_self_tests();
        self.dismiss_queue_listeners();
        // Each call is settled for itself, as if it had never been joined.
        for call in &open {
            self.part(*call);
        }
        for call in open {
            self.orphan(call);
        }
        // What the old process still wanted done means nothing to the new one; only its dialogs do.
        self.effects.clear();
        self.close_codes();
        self.close_group_lines();
        self.close_old_dialogs();
        self.totals = Totals::default();
        self.handled.clear();
        self.place_old_bindings();
        self.rearm();
        self.adopt_policy(policy.clone());
        self.restart_seats();
        self.restart_trunks();
        self.callers.restarted();
        self.held.clear();
        self.outside.clear();
        // Remembered from now on: the clock may have leapt ahead while nobody ran.
        for (at, _, _) in &mut self.recent_order {
            *at = self.now;
        }
    }

    fn orphan(&mut self, call: CallId) {
        let Some(open) = self.calls.get(&call) else {
            return;
        };
        let cause = Cause::Restarted;
        let answered = open.answered_at.is_some();
        let made = open.outbound.is_some();
        if open.caller_leg.is_some() {
            let reason = if answered {
                "interrupted"
            } else {
                "lost_in_restart"
            };
            self.call_back_due(call, reason);
        }
        if answered || made {
            self.end_answered(call, cause, "system");
        } else {
            self.end_call(call, Outcome::Lost, cause, "system");
        }
    }

    /// A call that the last restart ended and whose INVITE may still be repeated.
    pub(super) fn was_cut_by_restart(&self, call: CallId) -> bool {
        let closing = self.calls.get(&call).is_some_and(Call::cut_by_restart);
        closing || self.restarted.contains_key(&call)
    }

    /// The INVITE of a call that the restart had ended came again, so its caller never hung up: the call goes on under
    /// its own id and record, in its old place, and is recorded anew.
    pub(super) fn reopen(&mut self, call: CallId, arrival: &Arrival) {
        let Some(mut open) = self.calls.remove(&call).or_else(|| {
            let mut settled = self.restarted.remove(&call)?;
            settled.callseq = self.past.remove(&call).unwrap_or(settled.callseq);
            self.past_order.retain(|past| *past != call);
            Some(settled)
        }) else {
            return self.misfit("flaw.reopened_unknown_call");
        };
        self.ends.remove(&call);
        // Media and modules know the leg by the id that the shell made.
        let made = arrival.call;
        let arrival = Arrival {
            call,
            ..arrival.clone()
        };
        let leg = arrival.leg;
        let received_at = open.received_at.min(self.now);
        let was_answered = open.answered_at.is_some();
        open.answered_at = open.answered_at.map(|at| at.min(self.now));
        let recording = RecordingId(self.ids.next_uuid(self.now));
        let before = std::mem::replace(&mut open.recording, recording);
        open.earlier.push((before, open.capture));
        open.capture = self.capture_asked();
        open.ingress = arrival.ingress.clone();
        open.queue = self.entry_queue(&arrival.ingress);
        open.caller_leg = Some(leg);
        open.caller_lost = None;
        open.legs.clear();
        open.legs.insert(leg, caller_leg(&arrival, &open.caller));
        open.matrix = Matrix::silent();
        open.phase = Phase::Unanswered(Unanswered::entered(received_at));
        let told = open.wait_exceeded;
        self.calls.insert(call, open);
        self.legs.insert(leg, call);
        self.timers.disarm(&TimerKey::Settle(call));
        self.say(call, EventKind::CallReopened { leg });
        self.withdraw_call_back(call);
        self.command_media(made, MediaCommand::Move { leg, to: call });
        self.command_media(made, MediaCommand::Close);
        self.accept(&arrival, was_answered);
        // He has waited since his first arrival.
        if told {
            self.timers.disarm(&TimerKey::WaitAlert(call));
        } else if self.timers.is_armed(&TimerKey::WaitAlert(call)) {
            let due = received_at + self.policy.timers.wait_alert;
            self.timers
                .arm(TimerKey::WaitAlert(call), due.max(self.now + Millis(1)));
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
        for (phone, binding) in &self.phones {
            let name = SeatId(phone.0.clone());
            self.timers.arm(TimerKey::Registration(name), binding.until);
        }
        self.rearm_marks();
        self.rearm_call_backs();
        self.rearm_group_calls();
    }

    fn restart_seats(&mut self) {
        let seats: Vec<_> = self.seats.keys().cloned().collect();
        let now = self.now;
        for id in seats {
            self.try_seat_step(&id, |duty| Ok(duty.restarted(now)));
            if let Some(seat) = self.seats.get_mut(&id) {
                seat.proven = false;
                seat.keying = None;
            }
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
