//! Checks of long talks: each step is told once, in its time, to a seat alone, and never during medical advice or with a
//! vehicle on its way.

use std::collections::BTreeMap;

use super::check::Verdict;
use crate::call::Direction;
use crate::id::CallId;
use crate::switch::{DispatchReport, Effect, Event, EventKind, MediaCommand, Sound, Timers, View};
use crate::time::{Millis, Timestamp};

/// Steps are told at the latest so long after they are due.
const GRACE: Millis = Millis::from_secs(1);

/// Reasons to leave the queue without anybody's answer.
const NOT_ANSWERED: [&str; 4] = ["ended", "abandoned", "lost", "refused_capacity"];

/// Talks, as Events tell them.
#[derive(Debug, Default)]
pub(super) struct Overlong {
    talks: BTreeMap<CallId, Talk>,
    /// Calls that the restart ended: should one go on, it was answered then.
    answered: BTreeMap<CallId, Timestamp>,
}

#[derive(Debug, Default)]
struct Talk {
    answered_at: Option<Timestamp>,
    /// A seat is in it since; a step that would be late already may be told then.
    from: Timestamp,
    level: u8,
    dispatched: bool,
    advised: bool,
}

impl Overlong {
    pub(super) fn take(&mut self, event: &Event) -> Verdict {
        let Some(call) = event.call else {
            return Ok(());
        };
        let talk = self.talks.entry(call).or_default();
        if let EventKind::SeatAnswered { .. } = &event.kind {
            talk.answered_at.get_or_insert(event.at);
            talk.from = talk.from.max(event.at);
        } else if let EventKind::QueueLeft { reason, .. } = &event.kind {
            // A call that is joined to another, or taken over, is answered without a seat of its own.
            if !NOT_ANSWERED.contains(&reason.as_str()) {
                talk.answered_at.get_or_insert(event.at);
                talk.from = talk.from.max(event.at);
            }
        } else if let EventKind::HandlingExceeded { level, .. } = &event.kind {
            let spans = Timers::default();
            let due = [spans.handling_first, spans.handling_second];
            let due = due.get(usize::from(talk.level)).copied();
            let after = talk.answered_at.map(|at| event.at.millis_since(at));
            let early = due.is_none_or(|due| after.is_none_or(|ms| ms < u64::from(due.0)));
            if *level != talk.level + 1 || early || talk.dispatched || talk.advised {
                return Err((
                    9,
                    format!("{call}: step {level} told after {after:?} ms of {talk:?}"),
                ));
            }
            talk.level = *level;
        } else if let EventKind::DispatchReported { report, .. } = &event.kind {
            match report {
                DispatchReport::OrderIssued { .. } => talk.dispatched = true,
                DispatchReport::Cancelled { .. } => {
                    talk.dispatched = false;
                    talk.from = event.at + Timers::default().handling_first;
                }
                DispatchReport::Reassigned { .. } => {}
            }
        } else if let EventKind::AdviceGiven { on, .. } = &event.kind {
            talk.advised = *on;
            talk.from = event.at + Timers::default().handling_first;
        } else if let EventKind::CallReopened { .. } = &event.kind {
            let answered = self.answered.remove(&call);
            talk.answered_at = answered.map(|at| at.min(event.at));
        } else if let EventKind::CallEnded { .. } = &event.kind {
            let answered = self.talks.remove(&call).and_then(|talk| talk.answered_at);
            self.answered.extend(answered.map(|at| (call, at)));
        }
        Ok(())
    }

    pub(super) fn look(&self, effects: &[Effect], view: &View) -> Verdict {
        for effect in effects {
            if let Effect::Media {
                command: MediaCommand::Play { leg, sounds, .. },
                ..
            } = effect
                && sounds.contains(&Sound::Soft)
            {
                let mut legs = view.calls.iter().flat_map(|call| &call.legs);
                if !legs.any(|l| l.leg == *leg && l.party.starts_with("seat-")) {
                    return Err((9, format!("{leg} is no seat's and hears the seat's tone")));
                }
            }
        }
        let spans = Timers::default();
        for open in &view.calls {
            let seated = |l: &crate::switch::LegView| {
                l.party.starts_with("seat-") && (l.state == "up" || l.state == "held")
            };
            // Who is called by us is not handled.
            let talk = self.talks.get(&open.call);
            let Some(talk) = talk.filter(|_| open.direction == Direction::Inbound) else {
                continue;
            };
            let span = match talk.level {
                0 => spans.handling_first,
                1 => spans.handling_second,
                _ => continue,
            };
            let Some(answered) = talk.answered_at else {
                continue;
            };
            let due = (answered + span).max(talk.from) + GRACE;
            if open.legs.iter().any(seated) && !talk.dispatched && !talk.advised && view.at > due {
                return Err((9, format!("{}: nobody was told of {talk:?}", open.call)));
            }
        }
        Ok(())
    }
}
