//! Checks of crews' calls: each call from a number that was sent for an incident is known as one, and rings at the seat
//! that had the incident's call when that seat is free.

use std::collections::{BTreeMap, BTreeSet};

use super::check::{CallTruth, Checker, Verdict};
use crate::call::TransferTo;
use crate::id::{CallId, SeatId};
use crate::switch::{DispatchReport, Event, EventKind, Rule, SeatState, View};
use crate::time::Timestamp;

/// Twelve hours in microseconds.
const LONGEST: i64 = 12 * 3_600_000_000;

/// Crews, as Events tell them.
#[derive(Debug, Default)]
pub(super) struct Crews {
    /// Numbers sent for a call, and when.
    named: BTreeMap<CallId, (Timestamp, Vec<String>)>,
    /// The seat that had a call last.
    had: BTreeMap<CallId, SeatId>,
    /// Calls that waited and are being joined to another.
    joining: BTreeSet<CallId>,
    /// Who calls, by call; absent when the number is withheld.
    numbers: BTreeMap<CallId, String>,
    /// Calls of crews that must be known before they wait, and their incidents' calls.
    due: BTreeMap<CallId, CallId>,
    /// Calls of crews.
    of: BTreeMap<CallId, CallId>,
    /// Seats chosen for crews' calls in this step.
    chosen: Vec<(CallId, SeatId)>,
    /// Seats that were ready before this step.
    free: BTreeSet<SeatId>,
}

impl Crews {
    pub(super) fn is_crew(&self, call: CallId) -> bool {
        self.of.contains_key(&call)
    }

    fn sent_for(&self, number: &str, now: Timestamp) -> Option<CallId> {
        let live = |at: Timestamp| now.as_micros() - at.as_micros() <= LONGEST;
        let named = self.named.iter();
        let mut sent: Vec<_> = named
            .filter(|(_, (at, numbers))| live(*at) && numbers.iter().any(|n| n == number))
            .map(|(call, (at, _))| (*at, *call))
            .collect();
        sent.sort();
        sent.last().map(|(_, call)| *call)
    }

    /// A call comes, also again after a restart: a crew that was named meanwhile counts.
    fn comes(&mut self, call: CallId, now: Timestamp) {
        let number = self.numbers.get(&call).filter(|_| !self.is_crew(call));
        let sent = number.and_then(|number| self.sent_for(number, now));
        self.due.extend(sent.map(|of| (call, of)));
    }

    pub(super) fn take(&mut self, event: &Event) -> Verdict {
        let Some(call) = event.call else {
            return Ok(());
        };
        if let EventKind::CrewNamed { numbers, .. } = &event.kind {
            let numbers = numbers.iter().filter_map(|n| n.e164.clone()).collect();
            self.named.insert(call, (event.at, numbers));
        } else if let EventKind::DispatchReported {
            report: DispatchReport::Cancelled { .. },
            ..
        } = &event.kind
        {
            self.named.remove(&call);
        } else if let EventKind::SeatAnswered { seat, .. } | EventKind::CallDialled { seat, .. } =
            &event.kind
        {
            self.had.insert(call, seat.clone());
        } else if let EventKind::QueueLeft { reason, .. } = &event.kind {
            if reason == "joined" {
                self.joining.insert(call);
            }
        } else if let EventKind::CallJoined { seat, into, .. } = &event.kind {
            // Who waited is answered by the seat that joins him; who talked keeps his own.
            if *into != call && self.joining.remove(&call) {
                self.had.insert(call, seat.clone());
            }
        } else if let EventKind::CallTransferred {
            from,
            to: TransferTo::Seat(to),
            outcome,
            ..
        } = &event.kind
        {
            if outcome == "answered" {
                self.had.insert(call, to.clone());
            } else if self.had.get(&call) == Some(to) {
                // They talked, all three, and the one that sent the caller kept him.
                self.had.insert(call, from.clone());
            }
        } else if let EventKind::CallReceived {
            arrival, caller, ..
        } = &event.kind
        {
            let number = caller.e164.clone().filter(|_| !arrival.anonymous);
            self.numbers.extend(number.map(|number| (call, number)));
            self.comes(call, event.at);
        } else if let EventKind::CallReopened { .. } = &event.kind {
            self.comes(call, event.at);
        } else if let EventKind::CrewCalled { of, .. } = &event.kind {
            if self.due.remove(&call) != Some(*of) {
                return Err((4, format!("call {call} is no crew's of {of}")));
            }
            self.of.insert(call, *of);
        } else if let EventKind::QueueEntered { .. } | EventKind::MenuEntered { .. } = &event.kind {
            if let Some(of) = self.due.remove(&call) {
                return Err((
                    4,
                    format!("call {call} of {of}'s crew waits like a stranger"),
                ));
            }
        } else if let EventKind::OfferDecided {
            rule,
            chosen: Some(seat),
            ..
        } = &event.kind
        {
            // A seat that is back after its line was lost had this very call.
            let free_choice =
                !matches!(rule, Rule::Ordered | Rule::Asked | Rule::Spare | Rule::Back);
            if free_choice && self.is_crew(call) {
                self.chosen.push((call, seat.clone()));
            }
        }
        Ok(())
    }
}

impl Checker {
    /// `call.bridged` begins a call, by a command and to a crew of that incident.
    pub(super) fn bridged(&mut self, call: CallId, event: &Event) -> Verdict {
        let EventKind::CallBridged {
            of, crew, callee, ..
        } = &event.kind
        else {
            return Ok(());
        };
        let number = crew.e164.as_deref().unwrap_or_default();
        let named = self.crews.named.get(of);
        if !named.is_some_and(|(_, numbers)| numbers.iter().any(|n| n == number)) {
            return Err((4, format!("bridge {call} rings who is no crew of {of}")));
        }
        if self.calls.contains_key(&call) || callee.anonymous {
            return Err((2, format!("bridge {call} is for nobody")));
        }
        let truth = CallTruth {
            made: true,
            called: callee.raw.clone(),
            ..CallTruth::begun(event.at)
        };
        self.calls.insert(call, truth);
        Ok(())
    }

    /// The seat of the incident was free before and after the step, and another one was chosen in it.
    pub(super) fn check_crews(&mut self, view: &View) -> Verdict {
        let free: BTreeSet<_> = view
            .seats
            .iter()
            .filter(|s| s.state == SeatState::Ready && s.registered)
            .map(|s| s.seat.clone())
            .collect();
        let before = std::mem::replace(&mut self.crews.free, free);
        for (call, chosen) in std::mem::take(&mut self.crews.chosen) {
            let own = self.crews.of.get(&call);
            let Some(own) = own.and_then(|of| self.crews.had.get(of)) else {
                continue;
            };
            let dialled = self.calls.get(&call).and_then(|c| c.dialled_by.as_ref());
            let stands = before.contains(own) && self.crews.free.contains(own);
            let fit = self.routes.may_take(own, call, self.now) && dialled != Some(own);
            if *own != chosen && stands && fit {
                return Err((
                    4,
                    format!(
                        "crew's call {call} rings {chosen}; {own} had its incident and is free"
                    ),
                ));
            }
        }
        Ok(())
    }
}
