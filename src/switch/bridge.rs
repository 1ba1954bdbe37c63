//! A crew speaks with the caller of its incident (车组 ↔ 来电者) and neither sees the other's number: we ring the crew, then
//! the caller, both from the centre's own number. The crew has the part that a seat has in a call that it dials.
//!
//! ```text
//! Bridge -> the crew is rung -picks up-> recorded, the caller is rung -answers-> they talk
//!                |- busy, no answer, refused -> end       |- the same: the crew is told by a tone, end
//! ```
//! Whoever asks names the call and the crew's number; the caller's own is in no answer and on no phone.

use super::commands::not_allowed;
use super::outbound::Made;
use super::party::{bad_field, check_number};
use super::{Actor, CommandError, CommandReply, EventKind, Switch};
use crate::call::{CREW, Callee, Cause, Direction, Ingress, Outbound, Party, Phase, Talking};
use crate::id::{CallId, LegId};
use crate::limits::CALLS_MAX;
use crate::phone::{DialForm, Number};

impl Switch {
    /// `Bridge`.
    pub(super) fn bridge(
        &mut self,
        by: &Actor,
        of: CallId,
        number: &str,
    ) -> Result<CommandReply, CommandError> {
        if *by == Actor::Engine {
            return Err(not_allowed(by, "a module or a person asks for a bridge"));
        }
        check_number(number)?;
        self.check_known_call(of)?;
        let crew = self.crew_named(of, number)?;
        let caller = self.caller_to_reach(of)?;
        self.check_spare_trunk()?;
        self.check_room_for_bridge(of)?;
        let area = self.policy.centre.area_code.clone();
        let dial = |number: &Number| number.dial(DialForm::National, &area);
        let (Some(crew_digits), Some(caller_digits)) = (dial(&crew), dial(&caller)) else {
            return Err(no_number());
        };
        let Some(trunk) = self.spare_trunks().first().cloned() else {
            return Err(no_number());
        };
        let call = CallId(self.ids.next_uuid(self.now));
        let incident_id = self.incident_of(of);
        let serial_no = self.enter_made(Made {
            call,
            ingress: Ingress::Trunk(trunk),
            seat: None,
            number: caller.clone(),
            invite_key: String::new(),
            phase: Phase::Talking(Talking::without_seat()),
            outbound: Outbound {
                direction: Direction::Bridge,
                callee: Callee::Number(caller_digits),
                failed: None,
            },
        });
        if let Some(made) = self.call_mut(call) {
            made.incident_id.clone_from(&incident_id);
        }
        self.say(
            call,
            EventKind::CallBridged {
                of,
                crew,
                callee: caller,
                serial_no,
                by: by.clone(),
            },
        );
        self.given(by, Some(call), "bridge");
        self.say_linked(call, Some(of), incident_id, by);
        match self.ring_crew(call, &crew_digits) {
            Some(leg) => Ok(CommandReply::Call { call, leg }),
            None => {
                self.end_answered(call, Cause::Capacity, "system");
                Err(no_number())
            }
        }
    }

    fn ring_crew(&mut self, call: CallId, digits: &str) -> Option<LegId> {
        let n = self.next_third(call, CREW)?;
        let role = CREW.to_owned();
        let trunks = self.spare_trunks();
        self.ring_third(call, digits, CREW, Party::Third { role, n }, None, trunks)
    }

    fn crew_named(&self, of: CallId, number: &str) -> Result<Number, CommandError> {
        let e164 = self.callee_number(number).e164;
        let mut crew = self.crews.of(of, self.now).iter();
        let found = crew.find(|n| n.e164.is_some() && n.e164 == e164);
        let reason = "not one of the numbers that were named as crews of this call";
        found.cloned().ok_or_else(|| bad_field("number", reason))
    }

    fn caller_to_reach(&self, of: CallId) -> Result<Number, CommandError> {
        let Some(caller) = self.caller_of_incident(of).cloned() else {
            return Err(CommandError::WrongState {
                what: format!("the caller of call {of}"),
                state: String::from("no longer remembered"),
                hint: String::from("have a seat dial him from the record"),
            });
        };
        let reachable = caller.callable && !caller.anonymous;
        reachable.then_some(caller).ok_or_else(no_number)
    }

    /// One bridge of a call at a time, and not in a full centre.
    fn check_room_for_bridge(&self, of: CallId) -> Result<(), CommandError> {
        if self.calls.len() >= CALLS_MAX {
            return Err(CommandError::WrongState {
                what: String::from("the centre"),
                state: String::from("full"),
                hint: String::from("ask again when a call has ended"),
            });
        }
        let caller = self.caller_of_incident(of).and_then(|n| n.e164.as_deref());
        let busy = self.calls.values().find(|c| {
            let bridged = c.direction() == Direction::Bridge && !c.is_closing();
            bridged && caller.is_some() && c.caller.e164.as_deref() == caller
        });
        match busy {
            Some(busy) => Err(CommandError::WrongState {
                what: format!("the caller of call {of}"),
                state: format!("in the bridge {} already", busy.id),
                hint: String::from("wait for its end"),
            }),
            None => Ok(()),
        }
    }

    pub(super) fn is_bridge(&self, call: CallId) -> bool {
        let open = self.calls.get(&call);
        open.is_some_and(|c| c.direction() == Direction::Bridge)
    }

    /// The crew of a bridge picks up, and the caller is to be rung: recorded from here on.
    pub(super) fn crew_picks_up(&mut self, call: CallId, leg: LegId) -> bool {
        let open = self.calls.get(&call);
        let party = open.and_then(|c| c.legs.get(&leg)).map(|l| &l.party);
        let first = matches!(party, Some(Party::Third { role, n: 1 }) if role == CREW);
        if !self.is_bridge(call) || !first {
            return false;
        }
        self.record_made(call);
        true
    }

    /// Nobody of a bridge is up who could be told, or nobody is rung any more: it ends.
    pub(super) fn settle_bridge(&mut self, call: CallId, cause: Cause) {
        let Some(open) = self.calls.get(&call) else {
            return;
        };
        let alone = !open.is_closing() && !open.third_is_rung() && !self.goes_on(call);
        if self.is_bridge(call) && alone {
            self.end_answered(call, cause, CREW);
        }
    }
}

fn no_number() -> CommandError {
    let reason = "its caller withheld his number, or has none that can be called";
    bad_field("call", reason)
}
