//! Checks of calls that seats make: no caller is in them, and callers come before them.

use super::check::{CallTruth, Checker, Verdict, Who};
use super::people::OUTWARD;
use crate::call::{Arrival, Ingress};
use crate::id::{CallId, SeatId};
use crate::switch::{Event, EventKind};

/// A seat's phone dials somebody outside.
pub(super) fn dials_out(arrival: &Arrival) -> bool {
    matches!(arrival.ingress, Ingress::Seat(_)) && arrival.called == OUTWARD
}

impl Checker {
    pub(super) fn is_made(&self, call: CallId) -> bool {
        self.calls.get(&call).is_some_and(|c| c.made)
    }

    /// The phone of the seat that dialled, or of the colleague whom it calls.
    pub(super) fn made_leg_of(&self, call: CallId, seat: &SeatId) -> Who {
        let truth = self.calls.get(&call);
        if truth.and_then(|c| c.callee_seat.as_ref()) == Some(seat) {
            Who::Third
        } else {
            Who::Seat(seat.clone())
        }
    }

    /// The seat is in a call that it made, or that was made to it.
    pub(super) fn dials(&self, seat: &SeatId, call: Option<CallId>) -> bool {
        let truth = call.and_then(|call| self.calls.get(&call));
        truth.is_some_and(|c| {
            c.dialled_by.as_ref() == Some(seat) || c.callee_seat.as_ref() == Some(seat)
        })
    }

    /// `call.dialled` begins a call, by a command or by a seat's own phone.
    pub(super) fn dialled(&mut self, call: CallId, event: &Event) -> Verdict {
        let EventKind::CallDialled {
            seat,
            callee,
            callee_seat,
            arrival,
            ..
        } = &event.kind
        else {
            return Ok(());
        };
        let asked = arrival.is_none() || self.expected == Some(call);
        if !asked || self.calls.contains_key(&call) {
            return Err((2, format!("call {call} was dialled by nobody")));
        }
        if callee_seat.as_ref() == Some(seat) {
            return Err((3, format!("seat {seat} calls itself in {call}")));
        }
        self.calls.insert(
            call,
            CallTruth {
                dialled_by: Some(seat.clone()),
                made: true,
                callee_seat: callee_seat.clone(),
                called: callee.raw.clone(),
                ..CallTruth::begun(event.at)
            },
        );
        Ok(())
    }
}
