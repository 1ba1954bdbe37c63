//! Checks of people outside: rung for waiting calls only, for one at a time, and no part of a call before their key.

use super::check::{Checker, LegTruth, Reach, Verdict, Who};
use crate::id::{CallId, LegId, ReliefId};
use crate::switch::{Event, EventKind, Policy, Relief, ReliefKind};

/// The people whom a number reaches.
pub(super) fn relief_of<'p>(policy: &'p Policy, number: &str) -> Option<&'p Relief> {
    let mut all = policy.relief.iter();
    all.find(|relief| relief.numbers.iter().any(|of| of == number))
}

impl Checker {
    /// Invariant 3: a number outside is rung.
    pub(super) fn rung_outside(
        &mut self,
        call: CallId,
        leg: LegId,
        number: &str,
    ) -> Result<Who, (u8, String)> {
        let relief = self.routes.policy.as_ref();
        let Some((id, kind)) = relief
            .and_then(|policy| relief_of(policy, number))
            .map(|relief| (relief.id.clone(), relief.kind))
        else {
            return Ok(Who::Third);
        };
        if !self.in_queue(call) {
            let what = format!("{id} was rung for {call}, which does not wait");
            return Err((3, what));
        }
        let engaged = |of: &LegTruth| match of.who {
            Who::Relief(_) => true,
            Who::Third => kind == ReliefKind::Group,
            Who::Caller | Who::Seat(_) | Who::Listener(_) => false,
        };
        let mut same = self.outside.iter().filter(|(_, of)| *of == number);
        if let Some((other, _)) = same.find(|(leg, _)| self.legs.get(leg).is_some_and(engaged)) {
            return Err((3, format!("{id} was rung for {call} and is in leg {other}")));
        }
        self.outside.insert(leg, number.to_owned());
        Ok(Who::Relief(id))
    }

    /// `call.handed_over`: who was asked by phone and had picked up has a waiting call now.
    pub(super) fn handed_over(&mut self, call: CallId, event: &Event) -> Verdict {
        let EventKind::HandedOver { relief, leg, .. } = &event.kind else {
            return Ok(());
        };
        let waits = self.in_queue(call);
        let asked = |of: &&mut LegTruth| is_asked(of, call, relief);
        let Some(truth) = self.legs.get_mut(leg).filter(asked).filter(|_| waits) else {
            return Err((3, format!("{relief} was given {call} without being asked")));
        };
        truth.who = Who::Third;
        if let Some(truth) = self.calls.get_mut(&call) {
            // Who has it may end it.
            truth.seat_left = true;
        }
        Ok(())
    }

    /// Nobody outside is rung for a call that waits no more.
    pub(super) fn check_relief(&self) -> Verdict {
        let kept = self.legs.iter().find(|(_, leg)| match leg.who {
            Who::Relief(_) => !self.in_queue(leg.call),
            Who::Caller | Who::Seat(_) | Who::Third | Who::Listener(_) => false,
        });
        kept.map_or(Ok(()), |(leg, _)| {
            Err((3, format!("leg {leg} outside is kept for no waiting call")))
        })
    }
}

fn is_asked(leg: &LegTruth, call: CallId, relief: &ReliefId) -> bool {
    leg.call == call && leg.who == Who::Relief(relief.clone()) && leg.reach == Reach::Up
}
