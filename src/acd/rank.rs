//! The order of waiting calls ([`Rank`]) and what it is made of: who calls ([`Identity`]), how often lately
//! ([`Callers`]), which number redials.
//!
//! Seconds, not classes: every rule moves a call by a span, so nothing waits for ever. Read anew at each decision,
//! never stored. An identity is a full number that the network gave; a withheld one counts for the share and is never
//! merged with anybody.
//!
//! ```text
//! rank = restored first, then since + behind - ahead, then who entered first
//! since    arrival, or that of the identity's first unanswered call within 5 minutes (one heir at a time)
//! behind   90 s for an identity over its fair share, of which only the oldest leg competes
//! ```

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::id::{CallId, SeatId};
use crate::limits::CALLERS_MAX;
use crate::phone::{Number, NumberKind};
use crate::time::{Millis, Timestamp};

/// A redial inherits the place of an unanswered call that came within this.
const REDIAL_SPAN: Millis = Millis::from_secs(300);
/// Answered calls without an incident count for the share this long.
const SHARE_SPAN: Millis = Millis::from_secs(600);
/// Arrivals count for the share this long.
const BURST_SPAN: Millis = Millis::from_secs(60);
/// An incident whose end nobody reported is taken for closed after this.
const INCIDENT_SPAN: Millis = Millis::from_secs(12 * 3600);
/// How far a call of an identity over its fair share stands behind.
pub const BEHIND_SHARE: Millis = Millis::from_secs(90);
/// Kept of each list of one identity.
const KEPT_MAX: usize = 16;
const UNEXPLAINED_MANY: usize = 3;
const LEGS_MANY: usize = 3;
const ARRIVALS_MANY: usize = 6;

/// A full number that the network gave: the digits of its E.164 form. Written as `+8613800138000`.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", from = "String")]
pub struct Identity(u64);

impl From<Identity> for String {
    fn from(identity: Identity) -> Self {
        format!("+{}", identity.0)
    }
}

impl From<String> for Identity {
    fn from(e164: String) -> Self {
        Self(digits_of(&e164).unwrap_or_default())
    }
}

fn digits_of(e164: &str) -> Option<u64> {
    e164.strip_prefix('+')?.parse().ok()
}

impl Identity {
    /// Absent when the number is not full, or is shared by many people.
    #[must_use]
    pub fn of(number: &Number, shared: &[String]) -> Option<Self> {
        let own = match number.kind {
            NumberKind::Landline | NumberKind::Mobile | NumberKind::MachineToMachine => true,
            NumberKind::Service | NumberKind::Foreign | NumberKind::Unknown => false,
        };
        let e164 = number.e164.as_ref().filter(|_| own)?;
        let digits = digits_of(e164)?;
        (!shared.contains(e164)).then_some(Self(digits))
    }
}

/// Smaller is served first.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rank {
    /// False for a call that came back from a lost seat.
    pub ordinary: bool,
    /// Queue time with what is ahead and behind.
    pub at: Timestamp,
    /// Who entered first among equals.
    pub entered: u64,
}

/// What is known of those who called lately.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Callers {
    known: BTreeMap<Identity, Caller>,
}

/// One identity.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Caller {
    seen: Timestamp,
    /// Calls since the last answer, as long as a redial may inherit.
    tried: Vec<Timestamp>,
    /// The open call that stands in an earlier call's place.
    heir: Option<CallId>,
    arrivals: Vec<Timestamp>,
    /// Answered calls that no incident explains.
    unexplained: Vec<(Timestamp, CallId)>,
    /// Open calls.
    live: Vec<CallId>,
    /// When a seat answered it last.
    turn: Option<Timestamp>,
    handled: Option<Handled>,
    /// It came last as the crew of an open incident: that explains its calls.
    #[serde(default)]
    crew: bool,
}

/// The last call of an identity that a seat answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Handled {
    call: CallId,
    seat: SeatId,
    at: Timestamp,
    /// A module has opened an incident for it and not closed it.
    incident: bool,
}

impl Callers {
    /// A call came in. Its queue time: its own arrival, or the inherited one when `merges`.
    pub fn arrived(
        &mut self,
        identity: &Identity,
        call: CallId,
        merges: bool,
        now: Timestamp,
    ) -> Timestamp {
        self.make_room(identity);
        let caller = self.known.entry(*identity).or_default();
        caller.seen = now;
        keep_since(&mut caller.arrivals, now, BURST_SPAN);
        if caller.arrivals.len() >= KEPT_MAX {
            caller.arrivals.remove(0);
        }
        caller.arrivals.push(now);
        if caller.live.len() < KEPT_MAX {
            caller.live.push(call);
        }
        if !merges {
            return now;
        }
        keep_since(&mut caller.tried, now, REDIAL_SPAN);
        let first = caller.tried.first().copied();
        // The first stays: it is what is inherited. In between nothing is lost that could be.
        if caller.tried.len() >= KEPT_MAX {
            caller.tried.remove(1);
        }
        caller.tried.push(now);
        match first {
            Some(first) if first < now && caller.heir.is_none() => {
                caller.heir = Some(call);
                first
            }
            Some(_) | None => now,
        }
    }

    /// Said before [`Self::arrived`]: whether it calls as the crew of an incident.
    pub fn comes_as_crew(&mut self, identity: &Identity, crew: bool) {
        if crew {
            self.make_room(identity);
            self.known.entry(*identity).or_default().crew = true;
        } else if let Some(caller) = self.known.get_mut(identity) {
            caller.crew = false;
        }
    }

    /// A seat, or people outside, picked up: the chain of redials ends, and the identity had its turn. It belongs to the
    /// seat from now on.
    pub fn answered(
        &mut self,
        identity: &Identity,
        call: CallId,
        seat: Option<&SeatId>,
        now: Timestamp,
    ) {
        let caller = self.known.entry(*identity).or_default();
        caller.seen = now;
        caller.tried.clear();
        caller.heir = None;
        caller.turn = Some(now);
        let incident = caller.incident_open(now);
        if !incident && !caller.crew {
            caller
                .unexplained
                .retain(|(at, of)| within(*at, now, SHARE_SPAN) && *of != call);
            if caller.unexplained.len() >= KEPT_MAX {
                caller.unexplained.remove(0);
            }
            caller.unexplained.push((now, call));
        }
        if let Some(seat) = seat {
            caller.handled = Some(Handled {
                call,
                seat: seat.clone(),
                at: now,
                incident,
            });
        }
    }

    /// A call is over.
    pub fn ended(&mut self, identity: &Identity, call: CallId) {
        if let Some(caller) = self.known.get_mut(identity) {
            caller.live.retain(|of| *of != call);
            if caller.heir == Some(call) {
                caller.heir = None;
            }
        }
    }

    /// A module opened an incident for a call, or closed it.
    pub fn incident(&mut self, call: CallId, open: bool) {
        for caller in self.known.values_mut() {
            if open {
                caller.unexplained.retain(|(_, of)| *of != call);
            }
            if let Some(handled) = caller.handled.as_mut().filter(|h| h.call == call) {
                handled.incident = open;
            }
        }
    }

    /// The seat that the identity belongs to: it holds its open incident, or handled it within `span`.
    #[must_use]
    pub fn affinity(&self, identity: &Identity, span: Millis, now: Timestamp) -> Option<&SeatId> {
        let caller = self.known.get(identity)?;
        let handled = caller.handled.as_ref()?;
        (caller.incident_open(now) || within(handled.at, now, span)).then_some(&handled.seat)
    }

    /// Shares do not outlive the process; who redials and who has an incident does.
    pub fn restarted(&mut self) {
        for caller in self.known.values_mut() {
            caller.arrivals.clear();
            caller.unexplained.clear();
            caller.live.clear();
            caller.turn = None;
            caller.heir = None;
        }
    }

    /// When the identity had its last turn, if it is over its fair share.
    #[must_use]
    pub fn over_share(&self, identity: &Identity, now: Timestamp) -> Option<Timestamp> {
        let caller = self.known.get(identity)?;
        let answered = caller
            .unexplained
            .iter()
            .filter(|(at, _)| within(*at, now, SHARE_SPAN))
            .count();
        if answered == 0 || caller.crew || caller.incident_open(now) {
            return None;
        }
        let burst = caller
            .arrivals
            .iter()
            .filter(|at| within(**at, now, BURST_SPAN))
            .count();
        let over = answered >= UNEXPLAINED_MANY
            || caller.live.len() >= LEGS_MANY
            || burst >= ARRIVALS_MANY;
        caller.turn.filter(|_| over)
    }

    /// The one not seen for longest gives way.
    fn make_room(&mut self, newcomer: &Identity) {
        if self.known.len() < CALLERS_MAX || self.known.contains_key(newcomer) {
            return;
        }
        let oldest = self
            .known
            .iter()
            .min_by_key(|(_, caller)| (!caller.live.is_empty(), caller.seen))
            .map(|(identity, _)| *identity);
        if let Some(oldest) = oldest {
            self.known.remove(&oldest);
        }
    }
}

impl Caller {
    fn incident_open(&self, now: Timestamp) -> bool {
        self.handled
            .as_ref()
            .is_some_and(|h| h.incident && within(h.at, now, INCIDENT_SPAN))
    }
}

/// `at` is not longer ago than `span`.
fn within(at: Timestamp, now: Timestamp, span: Millis) -> bool {
    at + span >= now
}

fn keep_since(times: &mut Vec<Timestamp>, now: Timestamp, span: Millis) {
    times.retain(|at| within(*at, now, span));
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn call(n: u128) -> CallId {
        CallId(Uuid::from_u128(n))
    }
    fn at(s: i64) -> Timestamp {
        Timestamp::from_micros(s * 1_000_000)
    }
    fn who() -> Identity {
        Identity(8_613_800_138_000)
    }

    #[test]
    fn redial_inherits_the_first_time_and_only_one_leg_at_a_time_does() {
        let mut callers = Callers::default();
        assert_eq!(callers.arrived(&who(), call(1), true, at(0)), at(0));
        assert_eq!(callers.arrived(&who(), call(2), true, at(10)), at(0));
        assert_eq!(callers.arrived(&who(), call(3), true, at(20)), at(20));
        callers.ended(&who(), call(2));
        assert_eq!(callers.arrived(&who(), call(4), true, at(30)), at(0));
        callers.answered(&who(), call(4), Some(&SeatId::from("801")), at(40));
        assert_eq!(callers.arrived(&who(), call(5), true, at(50)), at(50));
    }

    #[test]
    fn after_five_minutes_nothing_is_inherited() {
        let mut callers = Callers::default();
        callers.arrived(&who(), call(1), true, at(0));
        callers.ended(&who(), call(1));
        assert_eq!(callers.arrived(&who(), call(2), true, at(301)), at(301));
    }

    #[test]
    fn withheld_caller_inherits_nothing_and_still_has_a_share() {
        let mut callers = Callers::default();
        for n in 0..6 {
            let since = callers.arrived(&who(), call(n), false, at(1));
            assert_eq!(since, at(1));
        }
        assert_eq!(callers.over_share(&who(), at(2)), None, "none was answered");
        callers.answered(&who(), call(0), Some(&SeatId::from("801")), at(3));
        assert_eq!(callers.over_share(&who(), at(4)), Some(at(3)));
    }

    #[test]
    fn three_answered_calls_without_an_incident_are_over_the_share_for_ten_minutes() {
        let mut callers = Callers::default();
        for n in 0..3 {
            assert_eq!(callers.over_share(&who(), at(100 * n)), None);
            let id = call(u128::try_from(n).unwrap());
            callers.arrived(&who(), id, true, at(100 * n));
            callers.answered(&who(), id, Some(&SeatId::from("801")), at(100 * n));
            callers.ended(&who(), id);
        }
        assert!(callers.over_share(&who(), at(300)).is_some());
        assert_eq!(callers.over_share(&who(), at(601)), None);
    }

    #[test]
    fn caller_with_an_open_incident_has_no_share_to_exceed() {
        let mut callers = Callers::default();
        for n in 0..6 {
            callers.arrived(&who(), call(n), true, at(1));
        }
        callers.answered(&who(), call(0), Some(&SeatId::from("801")), at(2));
        assert!(callers.over_share(&who(), at(3)).is_some());
        callers.incident(call(0), true);
        assert_eq!(callers.over_share(&who(), at(3)), None);
        callers.incident(call(0), false);
        assert_eq!(
            callers.over_share(&who(), at(3)),
            None,
            "it was explained once"
        );
    }

    #[test]
    fn seat_is_remembered_for_the_span_and_longer_while_an_incident_is_open() {
        let mut callers = Callers::default();
        let (seat, hour) = (SeatId::from("801"), Millis::from_secs(3600));
        callers.arrived(&who(), call(1), true, at(0));
        callers.answered(&who(), call(1), Some(&seat), at(0));
        assert_eq!(callers.affinity(&who(), hour, at(3600)), Some(&seat));
        assert_eq!(callers.affinity(&who(), hour, at(3601)), None);
        callers.incident(call(1), true);
        assert_eq!(callers.affinity(&who(), hour, at(7200)), Some(&seat));
    }
}
