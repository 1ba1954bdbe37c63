//! Checks of marks: only people mark, only a supervisor's word counts, and a marked caller reaches a seat like any other.

use std::collections::{BTreeMap, BTreeSet};

use super::check::{Checker, Verdict};
use crate::call::{LegCommand, Target};
use crate::id::{CallId, MarkId};
use crate::switch::{Actor, Command, Effect, Event, EventKind, Input, InputKind, View};

/// Marks, as Events tell them.
#[derive(Debug, Default)]
pub(super) struct Marks {
    proposed: BTreeMap<MarkId, String>,
    in_force: BTreeMap<MarkId, String>,
    /// Calls that came from a number under a verdict.
    marked: BTreeSet<CallId>,
    /// A supervisor or a user commands in this step.
    may_confirm: bool,
}

impl Marks {
    pub(super) fn before(&mut self, input: &Input) {
        self.may_confirm = matches!(
            &input.kind,
            InputKind::Command {
                by: Actor::Supervisor(_) | Actor::User(_),
                command: Command::ConfirmVerdict { .. },
                ..
            }
        );
    }

    pub(super) fn take(&mut self, event: &Event) -> Verdict {
        if let EventKind::HarassmentSuspected { mark } = &event.kind {
            self.proposed.insert(mark.mark, mark.number.clone());
        } else if let EventKind::HarassmentConfirmed { mark, .. } = &event.kind {
            let number = self.proposed.remove(mark).filter(|_| self.may_confirm);
            let Some(number) = number else {
                return Err((4, format!("mark {mark} was confirmed by nobody")));
            };
            self.in_force.insert(*mark, number);
        } else if let EventKind::HarassmentCleared { mark, .. } = &event.kind {
            self.proposed.remove(mark);
            self.in_force.remove(mark);
        } else if let EventKind::CallReceived { caller, .. } = &event.kind {
            let marked = self
                .in_force
                .values()
                .any(|n| Some(n) == caller.e164.as_ref());
            self.marked.extend(event.call.filter(|_| marked));
        } else if let EventKind::EducationPlayed { mark } = &event.kind
            && !self.in_force.contains_key(mark)
        {
            return Err((4, format!("{mark} is not in force and educated a caller")));
        }
        Ok(())
    }

    pub(super) fn check_view(&self, view: &View) -> Verdict {
        let shown = view.marks.iter().filter(|m| m.state == "confirmed");
        let shown: BTreeSet<_> = shown.map(|m| m.mark).collect();
        if shown.iter().ne(self.in_force.keys()) {
            return Err((7, format!("in force {:?}, shown {shown:?}", self.in_force)));
        }
        Ok(())
    }

    pub(super) fn numbers(&self) -> Vec<String> {
        self.in_force.values().cloned().collect()
    }

    pub(super) fn has(&self, call: CallId) -> bool {
        self.marked.contains(&call)
    }
}

impl Checker {
    /// Invariant 4 for a marked caller: with a free seat and an empty queue it is rung in the very step of the arrival.
    pub(super) fn check_marked_rings(&self, input: &Input, effects: &[Effect]) -> Verdict {
        let InputKind::Arrived { arrival } = &input.kind else {
            return Ok(());
        };
        let call = arrival.call;
        let own = self.calls.get(&call).and_then(|c| c.dialled_by.as_ref());
        let alone = self.expected == Some(call)
            && self.waiting() <= 1
            && own.is_none()
            && self.in_queue(call);
        let free = self.ready.iter().any(|seat| self.may_take(seat, call));
        if !self.marks.has(call) || !alone || arrival.refused_capacity || !free {
            return Ok(());
        }
        if effects.iter().any(|effect| is_offer_of(effect, call)) {
            return Ok(());
        }
        Err((
            4,
            format!("{call} is marked and was not offered to a free seat"),
        ))
    }
}

/// A seat's phone is rung for the call.
pub(super) fn is_offer_of(effect: &Effect, call: CallId) -> bool {
    matches!(
        effect,
        Effect::Leg { command: LegCommand::Invite(invite), .. }
            if invite.call == call && matches!(invite.target, Target::Seat { .. })
    )
}
