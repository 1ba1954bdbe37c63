//! The switch as people see it.

use std::sync::Arc;

use super::{
    AlarmView, AssistView, CallBackView, CallState, CallView, HoldView, LegView, PhoneView,
    SeatPolicy, SeatState, SeatView, ShelfView, Switch, TrunkView, View,
};
use crate::acd::{Duty, Seat};
use crate::call::{
    Announcement, Call, Direction, Hearing, Hold, HoldBy, Ingress, Join, Party, Phase, Talking,
};
use crate::id::SeatId;

impl Switch {
    /// The whole picture, as of the last Input.
    #[must_use]
    pub fn view(&self) -> View {
        let (marks, marks_revision) = self.marks_shown();
        View {
            at: self.now,
            calls: self.calls_view(),
            seats: self
                .seats
                .iter()
                .map(|(id, seat)| self.seat_view(id, seat))
                .collect(),
            phones: self
                .phones
                .keys()
                .map(|phone| PhoneView {
                    phone: phone.clone(),
                    seat: self.seat_at(phone),
                })
                .collect(),
            trunks: self
                .trunks
                .iter()
                .map(|(id, trunk)| TrunkView {
                    trunk: id.clone(),
                    up: trunk.up,
                    since: trunk.since,
                    detail: trunk.detail.clone(),
                })
                .collect(),
            queue_listeners: self.queue_listeners_view(),
            call_backs: self.call_backs_view(),
            alarms: self
                .alarms
                .iter()
                .map(|alarm| AlarmView {
                    code: alarm.code,
                    subject: alarm.subject.clone(),
                    detail: alarm.detail.clone(),
                    since: alarm.since,
                })
                .collect(),
            arrived: self.totals.arrived,
            answered: self.totals.answered,
            abandoned: self.totals.abandoned,
            lost: self.totals.lost,
            refused: self.totals.refused,
            counters: self.counters(),
            self_tests: self.self_tests_view(),
            bursts: self.bursts_view(),
            marks_revision,
            marks,
            sheets: self.sheets.shown(),
            complaints: self.complaints.shown(),
            handovers: self.handovers.shown(),
            group_calls: self.group_calls.shown(),
            group_calls_revision: self.group_calls.revision,
            language: self.policy.language.clone(),
            groups: Arc::clone(&self.policy.groups),
            duty_revision: self.complaints.revision + self.handovers.revision,
            lists: Arc::clone(&self.policy.forms),
        }
    }

    fn calls_view(&self) -> Vec<CallView> {
        let positions: std::collections::BTreeMap<_, _> =
            self.waiting_order().into_iter().zip(0_u32..).collect();
        let mut calls: Vec<_> = self
            .calls
            .values()
            .map(|call| self.call_view(call, positions.get(&call.id).copied()))
            .collect();
        calls.sort_by_key(|view| (view.received_at, view.call));
        calls
    }

    fn seat_view(&self, id: &SeatId, seat: &Seat) -> SeatView {
        SeatView {
            seat: id.clone(),
            supervisor: self
                .policy
                .seats
                .get(id)
                .is_some_and(SeatPolicy::is_supervisor),
            state: match &seat.duty {
                Duty::SignedOut => SeatState::SignedOut,
                Duty::NotReady { .. } => SeatState::NotReady,
                Duty::Ready { .. } => SeatState::Ready,
                Duty::Reserved { .. } => SeatState::Reserved,
                Duty::Ringing { .. } => SeatState::Ringing,
                Duty::Talking { .. } | Duty::Dialling { .. } => SeatState::Talking,
                Duty::WrapUp { .. } => SeatState::WrapUp,
                Duty::Listening { .. } => SeatState::Listening,
                Duty::Unreachable { .. } => SeatState::Unreachable,
            },
            reason: seat.duty.reason().map(str::to_owned),
            since: seat.since,
            call: seat
                .duty
                .engaged()
                .map(|(call, _)| call)
                .filter(|call| self.calls.contains_key(call)),
            phone: seat.phone.clone(),
            registered: seat.binding.is_some(),
        }
    }

    /// A joined call without a seat of its own is with the seat that joined it.
    fn seat_of<'a>(&'a self, call: &'a Call) -> Option<&'a SeatId> {
        call.seat()
            .or_else(|| self.calls.get(&self.host_of(call.id))?.seat())
    }

    fn call_view(&self, call: &Call, position: Option<u32>) -> CallView {
        CallView {
            call: call.id,
            serial_no: call.serial_no.clone(),
            state: state_of(call),
            direction: call.direction(),
            trunk: match &call.ingress {
                Ingress::Trunk(trunk) => Some(trunk.clone()),
                Ingress::Seat(_) => None,
            },
            caller: call.caller.display.clone(),
            called: call.called.clone(),
            received_at: call.received_at,
            position,
            wait_exceeded: call.wait_exceeded,
            answered_at: call.answered_at,
            seat: self.seat_of(call).cloned(),
            joined_with: self
                .conversation(call.id)
                .into_iter()
                .filter(|other| *other != call.id)
                .collect(),
            hold: call.hold().map(hold_view),
            shelf: match &call.phase {
                Phase::Shelved(shelved) => Some(ShelfView {
                    since: shelved.since,
                    until: shelved.until,
                }),
                Phase::InMenu(_)
                | Phase::Dialling(_)
                | Phase::Unanswered(_)
                | Phase::Talking(_)
                | Phase::Closing(_) => None,
            },
            silent: Self::silent_view(call),
            transfer: self.transfer_view(call),
            incident_id: call.incident_id.clone(),
            crew_of: self.crew_of_view(call),
            crew: self.crew_view(call.id),
            assist: call.assist.as_ref().map(|assist| AssistView {
                seat: assist.seat.clone(),
                since: assist.at,
                taken: assist.taken.clone(),
            }),
            queue: call.queue.clone(),
            ahead_s: call.ahead.0 / 1000,
            screen: self.screen_view(call),
            findings: call.findings,
            form_revision: self.sheets.revision(call.id),
            call_type: self.sheets.call_type(call.id),
            handling_level: self.overlong.level(call.id),
            medical_advice: self.overlong.advises(call.id),
            major: self.sheets.steps(call.id),
            legs: call
                .legs
                .iter()
                .map(|(id, leg)| LegView {
                    leg: *id,
                    party: leg.party.to_string(),
                    state: leg.state.name().to_owned(),
                    number: leg.number.clone(),
                    mode: matches!(leg.party, Party::Listener(_)).then_some(leg.mode),
                })
                .collect(),
        }
    }

    /// Most urgent first: who was left unanswered in short order, who tried most often, then who waits longest.
    pub(super) fn call_backs_view(&self) -> Vec<CallBackView> {
        let mut views: Vec<_> = self
            .call_backs
            .iter()
            .map(|(id, entry)| CallBackView {
                call_back: *id,
                call: entry.call,
                number: entry.number.display.clone(),
                reason: entry.reason.clone(),
                due_at: entry.due_at,
                calls: entry.calls,
                urgent: self.is_urgent(*id),
                state: entry.standing.name().to_owned(),
                with: entry.standing.call(),
                seat: entry.attempts.last().map(|last| last.seat.clone()),
                attempts: u32::try_from(entry.attempts.len()).unwrap_or(u32::MAX),
                failed: entry.attempts.last().and_then(|last| last.failed),
                next_at: entry.next_at,
                overdue: entry.overdue,
            })
            .collect();
        views.sort_by(|a, b| {
            a.with
                .is_some()
                .cmp(&b.with.is_some())
                .then(b.urgent.cmp(&a.urgent))
                .then(b.calls.cmp(&a.calls))
                .then(a.due_at.cmp(&b.due_at))
                .then(a.call_back.cmp(&b.call_back))
        });
        views
    }
}

fn hold_view(hold: Hold) -> HoldView {
    HoldView {
        since: hold.since,
        by: String::from(match hold.by {
            HoldBy::Command => "command",
            HoldBy::Phone => "phone",
        }),
        reminded: hold.reminded,
    }
}

fn state_of(call: &Call) -> CallState {
    match &call.phase {
        Phase::InMenu(_) => CallState::InMenu,
        Phase::Dialling(_) => CallState::Dialling,
        Phase::Talking(Talking { seat: None, .. })
            if call.direction() == Direction::Bridge && call.answered_at.is_none() =>
        {
            CallState::Dialling
        }
        Phase::Unanswered(unanswered) if !unanswered.offers.is_empty() => CallState::Offered,
        Phase::Unanswered(unanswered) => match unanswered.hearing {
            Hearing::Nothing => CallState::Arriving,
            Hearing::Prompt {
                prompt: Announcement::Greeting,
                ..
            } => CallState::Greeting,
            Hearing::Prompt { .. }
            | Hearing::Between
            | Hearing::RingBack
            | Hearing::Music
            | Hearing::People => CallState::Waiting,
        },
        Phase::Talking(Talking { hold: Some(_), .. }) => CallState::Held,
        Phase::Talking(talking)
            if talking.join != Join::Apart || call.is_conference() || call.talkers() > 2 =>
        {
            CallState::Conferencing
        }
        Phase::Talking(_) => CallState::Talking,
        Phase::Shelved(_) => CallState::Shelved,
        Phase::Closing(_) => CallState::Closing,
    }
}
