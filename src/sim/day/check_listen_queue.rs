//! Checks of supervisors who listen to a queue: whom each hears, for how long, and that no call notices. Invariant 10.

use std::collections::BTreeMap;

use super::check::{Checker, Reach, Verdict, Who};
use crate::call::{LegEvent, Mode};
use crate::id::{CallId, LegId, QueueId, SeatId};
use crate::switch::{Command, Effect, Event, EventKind, Input, InputKind, MediaCommand, View};
use crate::time::{Millis, Timestamp};

/// He hears each call so long at least, and no longer once it waits no more.
const LISTEN_SPAN: Millis = Millis::from_secs(5);

/// One of them.
#[derive(Clone, Debug)]
pub(super) struct Ear {
    leg: LegId,
    queue: Option<QueueId>,
    /// Since when he is where he is.
    since: Timestamp,
    /// Since when nothing but the span keeps him there.
    free: Option<Timestamp>,
}

/// All of them, as commands and Events tell.
#[derive(Debug, Default)]
pub(super) struct Ears {
    by_seat: BTreeMap<SeatId, Ear>,
}

impl Checker {
    /// A phone is rung to listen to a queue.
    pub(super) fn rings_to_listen(input: &Input, seat: &SeatId) -> bool {
        matches!(
            &input.kind,
            InputKind::Command { command: Command::ListenQueue { seat: of, .. }, .. } if of == seat
        )
    }

    /// Supervisors who listen to a queue may begin to hear any call.
    pub(super) fn hears_queue(&self, seat: &SeatId) -> bool {
        self.ears.by_seat.contains_key(seat)
    }

    pub(super) fn take_queue_listening(&mut self, event: &Event) -> Verdict {
        if let EventKind::QueueMonitorStarted { seat, leg, queue } = &event.kind {
            let own = self
                .legs
                .get(leg)
                .is_some_and(|l| l.who == Who::Listener(seat.clone()) && l.reach == Reach::Up);
            let ear = Ear {
                leg: *leg,
                queue: queue.clone(),
                since: event.at,
                free: None,
            };
            let before = self.ears.by_seat.insert(seat.clone(), ear);
            if !own || before.is_some() {
                return Err((
                    10,
                    format!("{seat} listens to a queue twice or with no phone"),
                ));
            }
        } else if let EventKind::QueueMonitorEnded { seat, leg } = &event.kind {
            let ear = self.ears.by_seat.remove(seat);
            if ear.is_none_or(|ear| ear.leg != *leg) {
                return Err((10, format!("{seat} ends a listening that never began")));
            }
        }
        Ok(())
    }

    /// Media takes a leg to another place.
    pub(super) fn take_move(&mut self, leg: LegId, to: CallId) -> Verdict {
        let Some(truth) = self.legs.get(&leg) else {
            return Err((9, format!("leg {leg} is moved and is not there")));
        };
        let (from, who) = (truth.call, truth.who.clone());
        let called = |seat: &SeatId| {
            let asking = self.asking.as_ref();
            asking.is_some_and(|(call, by, _)| (*call, by) == (to, seat))
        };
        let seat = match who {
            Who::Listener(seat) | Who::Seat(seat) if called(&seat) => seat,
            Who::Listener(seat) => {
                self.check_moves_on(&seat, leg, from, to)?;
                seat
            }
            // A caller goes on in his old call after a restart.
            Who::Caller if from == to => return Ok(()),
            Who::Caller | Who::Seat(_) | Who::Third | Who::Relief(_) => {
                return Err((9, format!("leg {leg} of {from} is moved to {to}")));
            }
        };
        if let Some(truth) = self.legs.get_mut(&leg) {
            truth.call = to;
        }
        self.legs_seen.insert(leg, to);
        let now = self.now;
        if let Some(ear) = self.ears.by_seat.get_mut(&seat) {
            (ear.since, ear.free) = (now, None);
        }
        Ok(())
    }

    fn check_moves_on(&self, seat: &SeatId, leg: LegId, from: CallId, to: CallId) -> Verdict {
        let Some(ear) = self.ears.by_seat.get(seat).filter(|ear| ear.leg == leg) else {
            return Err((
                10,
                format!("{seat} listens to no queue and is moved to {to}"),
            ));
        };
        let left = self.calls.get(&from);
        if left.is_some_and(|call| call.outcome.is_none()) {
            let due = (ear.since + LISTEN_SPAN).max(ear.free.unwrap_or(self.now));
            // What fell due while the process stood still is done at its next step.
            let late = self.stood_still && self.last < due && due < self.now;
            let in_time = self.now == due || late;
            if self.waits_for(ear, from) || !in_time {
                return Err((
                    10,
                    format!("{seat} leaves {from}, due at {}: {ear:?}", due.rfc3339()),
                ));
            }
        }
        let next = self.first_waiting(ear);
        if self.calls.contains_key(&to) && next != Some(to) {
            return Err((10, format!("{seat} hears {to}; {next:?} came first")));
        }
        Ok(())
    }

    fn waits_for(&self, ear: &Ear, call: CallId) -> bool {
        let place = self.routes.places.iter().find(|place| place.call == call);
        let wanted = self.queue_of(ear);
        place.is_some_and(|place| wanted.is_none_or(|q| *q == place.queue))
    }

    /// A queue that is no more leaves its calls, and who listens to them, to the default one.
    fn queue_of<'e>(&'e self, ear: &'e Ear) -> Option<&'e QueueId> {
        let policy = self.routes.policy.as_ref();
        let default = |queue: &QueueId| policy.filter(|p| !p.queues.contains_key(queue));
        let queue = ear.queue.as_ref()?;
        Some(default(queue).map_or(queue, |p| &p.queue))
    }

    fn first_waiting(&self, ear: &Ear) -> Option<CallId> {
        let places = self.routes.places.iter();
        let first = places
            .filter(|place| self.waits_for(ear, place.call))
            .min_by_key(|place| (place.arrived, place.entered));
        first.map(|place| place.call)
    }

    /// After a step: who listens to a queue hears somebody if somebody waits there, and what people see of it is true.
    pub(super) fn check_queue_listeners(&mut self, view: &View) -> Verdict {
        let (now, mut told) = (self.now, Vec::new());
        for (seat, ear) in &self.ears.by_seat {
            let Some(leg) = self.legs.get(&ear.leg) else {
                return Err((10, format!("{seat} listens to a queue without a phone")));
            };
            let call = self.calls.contains_key(&leg.call).then_some(leg.call);
            told.push((seat.clone(), call));
            if call.is_none() && self.first_waiting(ear).is_some() {
                return Err((10, format!("{seat} hears nobody while somebody waits")));
            }
        }
        let shown: Vec<_> = view
            .queue_listeners
            .iter()
            .filter(|one| one.up)
            .map(|one| (one.seat.clone(), one.call))
            .collect();
        if shown != told {
            return Err((
                7,
                format!("{shown:?} listen to queues, Events tell {told:?}"),
            ));
        }
        let free: Vec<_> = self
            .ears
            .by_seat
            .iter()
            .filter_map(|(seat, ear)| {
                let leg = self.legs.get(&ear.leg)?;
                let free = leg.mode == Mode::Listen && !self.waits_for(ear, leg.call);
                Some((seat.clone(), free))
            })
            .collect();
        for (seat, free) in free {
            if let Some(ear) = self.ears.by_seat.get_mut(&seat) {
                ear.free = free.then(|| ear.free.unwrap_or(now));
            }
        }
        Ok(())
    }

    /// His coming is a matter of his own phone: no call is told, offered or played anything by it.
    pub(super) fn check_listener_comes_unnoticed(
        &self,
        input: &Input,
        events: &[Event],
        effects: &[Effect],
    ) -> Verdict {
        let own = if let InputKind::Leg {
            leg,
            event: LegEvent::Answered,
        } = &input.kind
        {
            Some(*leg).filter(|leg| self.ears.by_seat.values().any(|ear| ear.leg == *leg))
        } else {
            None
        };
        let asks = matches!(
            &input.kind,
            InputKind::Command {
                command: Command::ListenQueue { .. },
                ..
            }
        );
        if !asks && own.is_none() {
            return Ok(());
        }
        let noticed = events.iter().find(|event| {
            event.call.is_some()
                && !matches!(
                    event.kind,
                    EventKind::MonitorStarted { .. }
                        | EventKind::MonitorEnded { .. }
                        // He is among the free seats no more: why nobody rings has another answer.
                        | EventKind::OfferDecided { chosen: None, .. }
                )
        });
        if let Some(event) = noticed {
            return Err((10, format!("a listener's coming brought {event:?}")));
        }
        let foreign = effects.iter().find(|effect| match effect {
            Effect::Leg { leg, .. }
            | Effect::Media {
                command: MediaCommand::Play { leg, .. } | MediaCommand::Stop { leg },
                ..
            }
            | Effect::AskPin { leg, .. } => own != Some(*leg) && self.legs.contains_key(leg),
            Effect::Media { .. } | Effect::Reply { .. } | Effect::Ask { .. } => false,
        });
        match foreign {
            Some(effect) => Err((10, format!("a listener's coming brought {effect:?}"))),
            None => Ok(()),
        }
    }
}
