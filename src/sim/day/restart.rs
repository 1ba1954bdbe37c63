//! The journal as the switch sees it: a snapshot and the Inputs after it. The process is killed now and then; the new one
//! rebuilds the state from the journal, and both must agree to the last byte and word.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::Violation;
use super::network::{Dialog, End, Stage};
use super::world::{Happening, World};
use crate::id::{CallId, LegId};
use crate::switch::{Event, Input, InputKind, SeatLink, Switch};
use crate::time::Millis;

/// An Input and what the switch said to it.
#[derive(Debug)]
pub(super) struct Taken {
    pub(super) input: Input,
    pub(super) events: Vec<Event>,
}

/// A snapshot and what came after it.
#[derive(Clone, Debug)]
pub(super) struct Journal {
    snapshot: serde_json::Value,
    entries: Vec<Rc<Taken>>,
}

impl Journal {
    pub(super) fn begin(switch: &Switch) -> Self {
        Self {
            snapshot: switch.snapshot().unwrap_or_default(),
            entries: Vec::new(),
        }
    }

    pub(super) fn append(&mut self, step: &Rc<Taken>) {
        self.entries.push(Rc::clone(step));
    }
}

impl World {
    /// Invariant 7: what the journal rebuilds is what lives, and it says the same words again.
    fn rebuild(&mut self) -> Result<Switch, (u8, String)> {
        let mut rebuilt = Switch::restore(&self.journal.snapshot)
            .map_err(|error| (7, format!("snapshot: {error}")))?;
        for step in &self.journal.entries {
            rebuilt.handle(&step.input);
            while rebuilt.poll_effect().is_some() {}
            let events = rebuilt.take_events();
            if self.plant.is_none() && events != step.events {
                return Err((7, format!("replayed, {step:?} said {events:?}")));
            }
        }
        if rebuilt.state_hash() == self.switch.state_hash() {
            Ok(rebuilt)
        } else {
            Err((7, String::from("replayed state differs from the live one")))
        }
    }

    pub(super) fn verify_journal(&mut self) -> Result<(), Box<Violation>> {
        self.summary.replays += 1;
        self.check(|world| world.rebuild().map(drop))
    }

    pub(super) fn snapshot(&mut self) -> Result<(), Box<Violation>> {
        if !self.down {
            self.verify_journal()?;
            self.journal = Journal::begin(&self.switch);
        }
        Ok(())
    }

    /// The process dies: what was on the way to it is gone, and so is its memory.
    pub(super) fn kill(&mut self) -> Result<(), Box<Violation>> {
        self.summary.replays += 1;
        self.summary.faults += 1;
        self.check(|world| {
            world.switch = world.rebuild()?;
            Ok(())
        })?;
        self.down = true;
        self.agenda.retain(|_, happening| match happening {
            Happening::Reaches(_) | Happening::FromLeg { .. } => false,
            Happening::Far { .. }
            | Happening::Person(_)
            | Happening::Snapshot
            | Happening::Strikes(_)
            | Happening::Start => true,
        });
        for dialog in self.dialogs.values_mut() {
            dialog.orphan = true;
            // What it had just begun to ring nobody will ever stop: the telephone does so by itself.
            if !dialog.journaled && !matches!(dialog.end, End::Caller { .. }) {
                dialog.stage = Stage::Over;
            }
        }
        let after = self.chance.span(1_000, 12_000);
        self.plan(after, Happening::Start);
        self.repeat_invites(after);
        Ok(())
    }

    /// Callers whose answer was lost with the process: their carriers repeat the INVITE, and the next process gets it.
    fn repeat_invites(&mut self, down: Millis) {
        let early = |leg: &LegId, dialogs: &BTreeMap<LegId, Dialog>| {
            dialogs.get(leg).is_some_and(|d| d.stage == Stage::Early)
        };
        let invites: Vec<_> = self
            .invites
            .iter()
            .filter(|(leg, _)| early(leg, &self.dialogs))
            .map(|(leg, arrival)| (*leg, arrival.clone()))
            .collect();
        for (old, mut arrival) in invites {
            if self.chance.percent(20) {
                continue;
            }
            // For the shell it is another leg; the caller and his patience go with it.
            arrival.call = CallId(self.uuid());
            arrival.leg = LegId(self.uuid());
            let Some(end) = self.dialogs.get_mut(&old).map(|dialog| {
                dialog.stage = Stage::Over;
                dialog.end.clone()
            }) else {
                continue;
            };
            self.open_dialog(arrival.leg, end);
            let after = Millis(down.0 + self.chance.span(20, 4_000).0);
            self.plan_patience(arrival.leg, after);
            let arrival = Box::new(arrival);
            self.reaches(after, InputKind::Arrived { arrival });
        }
    }

    pub(super) fn start_again(&mut self) -> Result<(), Box<Violation>> {
        self.down = false;
        self.summary.restarts += 1;
        self.process_begins();
        let before = self.checker.live_legs();
        let started = self.started_input();
        self.feed(started)?;
        self.check(|world| {
            let left = before.iter().find(|leg| {
                world
                    .dialogs
                    .get(leg)
                    .is_some_and(|d| d.orphan && d.journaled)
            });
            match left {
                Some(leg) => Err((2, format!("the dialog of leg {leg} was not closed"))),
                None => Ok(()),
            }
        })?;
        self.delivery.restart();
        self.recover_recordings();
        self.reregister();
        Ok(())
    }

    fn recover_recordings(&mut self) {
        let calls: Vec<_> = self.recordings.keys().copied().collect();
        for call in calls {
            if self.checker.is_closing(call) {
                self.seals(call);
            }
        }
    }

    /// A restarted trunk probe speaks again; phones that the registrar still knows are probed.
    fn reregister(&mut self) {
        for (seat, _, _) in self.switch.seat_bindings() {
            let after = self.chance.span(500, 5_000);
            let link = SeatLink::Reachable { reachable: true };
            self.reaches(after, InputKind::Seat { seat, link });
        }
    }
}
