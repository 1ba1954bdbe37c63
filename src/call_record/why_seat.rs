//! Why a seat got nothing: what was decided while it was free, and what it did else. The same sentences as for a call.

use std::collections::VecDeque;

use super::why::{Because, What};
use crate::id::{CallId, SeatId};
use crate::switch::{Event, EventKind};
use crate::time::Timestamp;

/// Reasons kept, the newest.
const REASONS_MAX: usize = 50;

/// Folds the Events of a centre into the reasons of one seat.
#[derive(Debug)]
pub struct WhySeat {
    seat: SeatId,
    /// What it does, and its own reason.
    does: (String, Option<String>),
    told: VecDeque<(Option<CallId>, Because)>,
}

impl WhySeat {
    /// What the seat did before the first Event.
    #[must_use]
    pub const fn new(seat: SeatId, state: String, reason: Option<String>) -> Self {
        Self {
            seat,
            does: (state, reason),
            told: VecDeque::new(),
        }
    }

    fn is_ready(&self) -> bool {
        self.does.0 == "ready"
    }

    fn off(&self) -> What {
        let (state, reason) = self.does.clone();
        let seat = self.seat.clone();
        What::Off {
            seat,
            state,
            reason,
        }
    }

    /// Takes the next Event of the journal in.
    pub fn take(&mut self, event: &Event) {
        if let EventKind::SeatStateChanged {
            seat,
            state,
            reason,
        } = &event.kind
        {
            if *seat == self.seat {
                self.does = (state.clone(), reason.clone());
                if !self.is_ready() {
                    self.say(event, None, self.off());
                }
            }
        } else if let EventKind::OfferDecided {
            rule, chosen, held, ..
        } = &event.kind
            && self.is_ready()
        {
            let own = held.iter().find(|h| h.seat == self.seat);
            let what = match (own, chosen) {
                (Some(held), _) => What::Held {
                    seat: held.seat.clone(),
                    reason: held.reason,
                },
                (None, Some(seat)) => What::Rung {
                    seat: seat.clone(),
                    rule: *rule,
                },
                (None, None) => return,
            };
            self.say(event, event.call, what);
        }
    }

    /// The reasons, in order of time, each with the call it is about. `waits`: somebody waits now.
    #[must_use]
    pub fn finish(mut self, waits: bool, now: Timestamp) -> Vec<(Option<CallId>, Because)> {
        let what = match (self.is_ready(), waits) {
            (true, false) => Some(What::NobodyWaits),
            (false, _) if self.told.is_empty() => Some(self.off()),
            (true, true) | (false, _) => None,
        };
        let last = what.map(|what| (None, Because { at: now, what }));
        self.told.extend(last);
        self.told.into()
    }

    fn say(&mut self, event: &Event, call: Option<CallId>, what: What) {
        if self.told.len() >= REASONS_MAX {
            self.told.pop_front();
        }
        self.told.push_back((call, Because { at: event.at, what }));
    }
}
