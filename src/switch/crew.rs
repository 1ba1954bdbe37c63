//! Crews (车组): a module names the numbers that were sent to a call's incident. Who calls from one of them is a caller like
//! any other, who is offered first to the seat that had that call and has no share to exceed. WS/T 451-2014 7.2.3.2-b.
//!
//! ```text
//! NameCrew -> numbers of a call, open or past -order cancelled, no number, 12 h-> none
//! a call from one of them -> crew.called, linked to the call -> its seat first, any other free one at once
//! ```
//! It is never merged with the caller of the incident: its number is its own.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::commands::not_allowed;
use super::party::{bad_field, check_number};
use super::{Actor, CommandError, CommandReply, CrewOfView, EventKind, Switch};
use crate::acd::Identity;
use crate::call::{Call, CrewOf, Direction};
use crate::id::{CallId, SeatId};
use crate::limits::{CREW_CALLS_MAX, CREW_NUMBERS_MAX};
use crate::phone::Number;
use crate::time::{Millis, Timestamp};

/// An incident whose end nobody reported is over after this.
const KEPT_SPAN: Millis = Millis::from_secs(12 * 3600);

/// Calls that crews may be sent for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Crews {
    calls: BTreeMap<CallId, Incident>,
}

/// What crews need of one call, open or past.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Incident {
    /// Its end, or when its crew was named last.
    at: Timestamp,
    /// The seat that had it last; of an open call that one counts.
    seat: Option<SeatId>,
    /// The caller's own number; absent when the call had gone before a crew was named.
    caller: Option<Number>,
    incident_id: Option<String>,
    crew: Vec<Number>,
}

impl Incident {
    fn of(call: &Call, at: Timestamp) -> Self {
        Self {
            at,
            seat: call.last_seat.clone(),
            caller: Some(call.caller.clone()),
            incident_id: call.incident_id.clone(),
            crew: Vec::new(),
        }
    }

    fn is_kept(&self, now: Timestamp) -> bool {
        self.at + KEPT_SPAN >= now
    }
}

impl Crews {
    fn enter(&mut self, call: CallId, incident: Incident, now: Timestamp) {
        if self.calls.len() >= CREW_CALLS_MAX && !self.calls.contains_key(&call) {
            self.calls.retain(|_, kept| kept.is_kept(now));
            while self.calls.len() >= CREW_CALLS_MAX {
                let order = |of: &Incident| (!of.crew.is_empty(), of.at);
                let oldest = self.calls.iter().min_by_key(|(id, of)| (order(of), **id));
                let Some(oldest) = oldest.map(|(id, _)| *id) else {
                    break;
                };
                self.calls.remove(&oldest);
            }
        }
        self.calls.insert(call, incident);
    }

    /// The call that this number was named for, the one named last.
    fn sent_for(&self, e164: &str, now: Timestamp) -> Option<CallId> {
        let named = |of: &Incident| of.crew.iter().any(|n| n.e164.as_deref() == Some(e164));
        let live = self.calls.iter().filter(|(_, of)| of.is_kept(now));
        live.filter(|(_, of)| named(of))
            .max_by_key(|(id, of)| (of.at, **id))
            .map(|(id, _)| *id)
    }

    /// Numbers named for a call.
    pub(super) fn of(&self, call: CallId, now: Timestamp) -> &[Number] {
        let incident = self.calls.get(&call).filter(|of| of.is_kept(now));
        incident.map_or(&[], |of| &of.crew)
    }

    pub(super) fn forget(&mut self, call: CallId) {
        self.calls.remove(&call);
    }
}

impl Switch {
    /// `NameCrew`.
    pub(super) fn name_crew(
        &mut self,
        by: &Actor,
        call: CallId,
        numbers: &[String],
    ) -> Result<CommandReply, CommandError> {
        if *by == Actor::Engine {
            return Err(not_allowed(by, "a module or a person names a crew"));
        }
        let crew = self.crew_numbers(numbers)?;
        self.check_known_call(call)?;
        let now = self.now;
        let mut incident = match self.calls.get(&call) {
            Some(open) => Incident::of(open, now),
            None => self.crews.calls.get(&call).cloned().unwrap_or(Incident {
                at: now,
                seat: None,
                caller: None,
                incident_id: None,
                crew: Vec::new(),
            }),
        };
        let own = incident.caller.as_ref().and_then(|n| n.e164.as_ref());
        if own.is_some() && crew.iter().any(|n| n.e164.as_ref() == own) {
            let reason = "a crew's number is its own, not that of the call's caller";
            return Err(bad_field("numbers", reason));
        }
        self.given(by, Some(call), "name_crew");
        incident.at = now;
        incident.crew.clone_from(&crew);
        self.crews.enter(call, incident, now);
        let by = by.clone();
        self.say(call, EventKind::CrewNamed { numbers: crew, by });
        Ok(CommandReply::Done)
    }

    fn crew_numbers(&self, numbers: &[String]) -> Result<Vec<Number>, CommandError> {
        if numbers.len() > CREW_NUMBERS_MAX {
            return Err(bad_field(
                "numbers",
                "at most 8 numbers of one call's crews",
            ));
        }
        let mut crew: Vec<Number> = Vec::new();
        for text in numbers {
            check_number(text)?;
            let number = self.callee_number(text);
            if Identity::of(&number, &self.policy.shared_numbers).is_none() {
                let reason =
                    "a full number that only the crew calls from; no shared and no service number";
                return Err(bad_field("numbers", reason));
            }
            if crew.iter().all(|known| known.e164 != number.e164) {
                crew.push(number);
            }
        }
        Ok(crew)
    }

    /// A call comes in: it may be a crew's. Said before it stands anywhere.
    pub(super) fn crew_arrived(&mut self, call: CallId) {
        let Some(open) = self.calls.get(&call) else {
            return;
        };
        if open.crew.is_some() || open.caller.anonymous {
            return;
        }
        let identity = Identity::of(&open.caller, &self.policy.shared_numbers);
        let e164 = open.caller.e164.as_deref().filter(|_| identity.is_some());
        let found = e164.and_then(|e164| self.crews.sent_for(e164, self.now));
        let Some(of) = found else {
            return;
        };
        if self.check_known_call(of).is_err() {
            return;
        }
        let incident_id = self.incident_of(of);
        if let Some(open) = self.call_mut(call) {
            open.crew = Some(CrewOf { call: of });
            open.incident_id.clone_from(&incident_id);
        }
        let seat = self.seat_of_incident(of).cloned();
        let told = incident_id.clone();
        self.say(
            call,
            EventKind::CrewCalled {
                of,
                incident_id: told,
                seat,
            },
        );
        self.say_linked(call, Some(of), incident_id, &Actor::Engine);
    }

    /// The seat that had the call last.
    fn seat_of_incident(&self, call: CallId) -> Option<&SeatId> {
        match self.calls.get(&call) {
            Some(open) => open.last_seat.as_ref(),
            None => self.crews.calls.get(&call)?.seat.as_ref(),
        }
    }

    /// The caller's own number.
    pub(super) fn caller_of_incident(&self, call: CallId) -> Option<&Number> {
        match self.calls.get(&call) {
            Some(open) => Some(&open.caller),
            None => self.crews.calls.get(&call)?.caller.as_ref(),
        }
    }

    pub(super) fn incident_of(&self, call: CallId) -> Option<String> {
        let open = self.calls.get(&call).and_then(|c| c.incident_id.clone());
        open.or_else(|| self.crews.calls.get(&call)?.incident_id.clone())
    }

    /// The seat that a crew's call belongs to.
    pub(super) fn crew_seat(&self, call: &Call) -> Option<&SeatId> {
        self.seat_of_incident(call.crew.as_ref()?.call)
    }

    pub(super) fn crew_of_view(&self, call: &Call) -> Option<CrewOfView> {
        Some(CrewOfView {
            call: call.crew.as_ref()?.call,
            seat: self.crew_seat(call).cloned(),
        })
    }

    pub(super) fn crew_view(&self, call: CallId) -> Vec<String> {
        let crew = self.crews.of(call, self.now);
        crew.iter().map(|n| n.display.clone()).collect()
    }

    /// A call is over: crews may be named for it all the same.
    pub(super) fn remember_for_crews(&mut self, call: CallId) {
        let now = self.now;
        let Some(open) = self.calls.get(&call) else {
            return;
        };
        let mut incident = Incident::of(open, now);
        let named = self.crews.calls.get(&call);
        if let Some(named) = named {
            (incident.at, incident.crew) = (named.at, named.crew.clone());
        }
        let had = open.answered_at.is_some() || open.last_seat.is_some();
        if named.is_some() || (had && open.direction() != Direction::Bridge) {
            self.crews.enter(call, incident, now);
        }
    }

    /// A module told its id of the incident.
    pub(super) fn crew_incident(&mut self, call: CallId, incident_id: &str) {
        if let Some(incident) = self.crews.calls.get_mut(&call) {
            incident.incident_id = Some(incident_id.to_owned());
        }
    }

    /// The incident is over: its crews are nobody's.
    pub(super) fn dismiss_crew(&mut self, call: CallId) {
        if let Some(incident) = self.crews.calls.get_mut(&call) {
            incident.crew.clear();
        }
    }
}
