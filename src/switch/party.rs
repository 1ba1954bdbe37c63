//! Third parties by number: a doctor, 110, a crew. Rung over the outbound trunks in order, joined on answer.
//!
//! ```text
//! ring trunk 1 --503, no answer of any kind, 4 s of silence--> ring trunk 2 --...--> failed (unreachable)
//!      |--180--> ring-back to the seat   |--183 + media--> its early media to the seat
//!      |--busy, no answer, no such number--> failed, told apart        |--200--> everybody hears everybody
//! ```
//! All the while caller and seat keep hearing each other.

use super::timers::TimerKey;
use super::{Actor, CommandError, CommandReply, EventKind, Sound, Switch};
use crate::call::{
    Call, Cause, Direction, Hunt, Invite, Leg, LegCommand, LegFact, Party, SeatTone, Target,
};
use crate::id::{CallId, LegId, SeatId, TrunkId};
use crate::limits::{COMMAND_TEXT_BYTES_MAX, LEGS_PER_CALL_MAX, NUMBER_DIGITS_MAX};
use crate::time::Millis;

/// Whom we call back is rung no longer.
const CALL_BACK_RING: Millis = Millis::from_secs(30);

impl Switch {
    /// `AddParty`.
    pub(super) fn add_party(
        &mut self,
        by: &Actor,
        call: CallId,
        number: &str,
        role: &str,
    ) -> Result<CommandReply, CommandError> {
        check_number(number)?;
        check_role(role)?;
        self.check_handles(by, call)?;
        let Some(open) = self.calls.get(&call) else {
            return Err(unknown_call(call));
        };
        if open.talking().is_none_or(|t| t.seat.is_none()) {
            return Err(self.wrong_call_state(call, "a seat must be talking to add a party"));
        }
        if self.conversation_legs(call) >= LEGS_PER_CALL_MAX {
            return Err(self.wrong_call_state(call, "release a party first, the call is full"));
        }
        let trunks = self.outbound_trunks();
        if trunks.is_empty() {
            return Err(CommandError::WrongState {
                what: String::from("outbound trunks"),
                state: String::from("none configured"),
                hint: String::from("set `outbound` on a trunk"),
            });
        }
        let Some(n) = self.next_third(call, role) else {
            return Err(self.wrong_call_state(call, "too many parties of this role were rung"));
        };
        self.given(by, Some(call), "add_party");
        let party = Party::Third {
            role: role.to_owned(),
            n,
        };
        match self.ring_third(call, number, role, party, None, trunks) {
            Some(leg) => Ok(CommandReply::Leg { leg }),
            None => Err(unknown_call(call)),
        }
    }

    /// `RemoveParty`: cancels a ringing third party or releases a joined one.
    pub(super) fn remove_party(
        &mut self,
        by: &Actor,
        call: CallId,
        leg: LegId,
    ) -> Result<CommandReply, CommandError> {
        self.check_handles(by, call)?;
        let Some(open) = self.calls.get(&call) else {
            return Err(unknown_call(call));
        };
        let found = open
            .legs
            .iter()
            .find(|(id, l)| **id == leg || l.hunt.as_ref().is_some_and(|hunt| hunt.first == leg));
        let Some((leg, first, role, up)) = found.and_then(|(id, l)| {
            let hunt = l.hunt.as_ref()?;
            Some((*id, hunt.first, hunt.role.clone(), l.state.is_up()))
        }) else {
            return Err(CommandError::Unknown {
                what: String::from("third party"),
                id: leg.to_string(),
            });
        };
        let number = open.legs.get(&leg).and_then(|l| l.number.clone());
        self.given(by, Some(call), "remove_party");
        let cause = Cause::Withdrawn;
        self.release(call, leg, cause);
        if up {
            self.say(call, EventKind::PartyLeft { leg, role, cause });
            self.outside_gone(call, first, "taken_back");
            self.after_third_left(call, true);
        } else {
            let number = number.unwrap_or_default();
            self.say(
                call,
                EventKind::PartyFailed {
                    leg,
                    role,
                    number,
                    cause,
                },
            );
            self.outside_gone(call, first, "taken_back");
            self.refresh_audio(call);
            self.settle_bridge(call, cause);
        }
        Ok(CommandReply::Done)
    }

    /// Outbound trunks in the configured order; those known to be down come last.
    pub(super) fn outbound_trunks(&self) -> Vec<TrunkId> {
        let mut trunks: Vec<_> = self
            .policy
            .trunks
            .iter()
            .filter_map(|(id, trunk)| {
                let down = self.trunks.get(id).is_some_and(|t| t.up == Some(false));
                Some((down, trunk.outbound?, id.clone()))
            })
            .collect();
        trunks.sort();
        trunks.into_iter().map(|(_, _, id)| id).collect()
    }

    pub(super) fn next_third(&mut self, call: CallId, role: &str) -> Option<u8> {
        let thirds = &mut self.call_mut(call)?.thirds;
        let n = thirds.get(role).copied().unwrap_or(0).checked_add(1)?;
        thirds.insert(role.to_owned(), n);
        Some(n)
    }

    pub(super) fn ring_third(
        &mut self,
        call: CallId,
        number: &str,
        role: &str,
        party: Party,
        first: Option<LegId>,
        mut trunks: Vec<TrunkId>,
    ) -> Option<LegId> {
        if trunks.is_empty() || !self.calls.contains_key(&call) {
            return None;
        }
        let trunk = trunks.remove(0);
        let leg = self.new_leg_id();
        self.outside_engaged(call, &party, number);
        let mut state = Leg::outbound(party, Some(number.to_owned()));
        state.hunt = Some(Hunt {
            first: first.unwrap_or(leg),
            role: role.to_owned(),
            trunk: Some(trunk.clone()),
            seat: None,
            rest: trunks,
            rang: false,
        });
        self.add_leg(call, leg, state);
        self.arm_third(call, leg);
        self.invite_number(call, leg, trunk, number);
        Some(leg)
    }

    /// Rings a number over a trunk, whose own number it sees; `call` is where media keeps the leg.
    pub(super) fn invite_number(&mut self, call: CallId, leg: LegId, trunk: TrunkId, number: &str) {
        let shown = self.policy.trunks.get(&trunk);
        let invite = Invite {
            call,
            from_number: shown.map_or_else(String::new, |t| t.shown_number.clone()),
            target: Target::Number {
                trunk,
                number: number.to_owned(),
            },
            from_name: None,
            picks_up: false,
        };
        self.command_leg(leg, LegCommand::Invite(Box::new(invite)));
    }

    /// A seat's phone is rung as a third party's is.
    pub(super) fn ring_seat_as_third(
        &mut self,
        call: CallId,
        leg: LegId,
        seat: &SeatId,
        party: Party,
        invite: Invite,
    ) {
        let Party::Third { role, .. } = party.clone() else {
            return self.misfit("flaw.third_without_role");
        };
        let mut state = Leg::outbound(party, Some(seat.0.clone()));
        state.hunt = Some(Hunt {
            first: leg,
            role,
            trunk: None,
            seat: Some(seat.clone()),
            rest: Vec::new(),
            rang: false,
        });
        self.add_leg(call, leg, state);
        self.arm_third(call, leg);
        self.command_leg(leg, LegCommand::Invite(Box::new(invite)));
    }

    fn arm_third(&mut self, call: CallId, leg: LegId) {
        let timers = self.policy.timers;
        let open = self.calls.get(&call);
        let called_back = open.is_some_and(|c| c.direction() == Direction::CallBack);
        let ring = if called_back {
            timers.third_party_ring.min(CALL_BACK_RING)
        } else {
            timers.third_party_ring
        };
        self.arm(TimerKey::TrunkSilence(leg), timers.trunk_silence);
        self.arm(TimerKey::ThirdRing(leg), ring);
    }

    /// A fact of a third party's leg.
    pub(super) fn third_fact(&mut self, call: CallId, leg: LegId, fact: LegFact) {
        match fact {
            LegFact::Trying => self.timers.disarm(&TimerKey::TrunkSilence(leg)),
            LegFact::Progressed { early_media } => self.third_rings(call, leg, early_media),
            LegFact::Answered => self.third_joined(call, leg),
            LegFact::Failed { cause } => {
                let removed = self.forget_leg(call, leg);
                self.third_failed(call, leg, removed, cause);
            }
            LegFact::Ended { cause, by_far_side } => self.third_left(call, leg, cause, by_far_side),
            LegFact::Held { .. } => {}
            LegFact::Confirmed => self.misfit("third.confirmed"),
            LegFact::Digit { .. } | LegFact::Noted | LegFact::Misfit { .. } => {}
        }
    }

    fn third_rings(&mut self, call: CallId, leg: LegId, early_media: bool) {
        self.timers.disarm(&TimerKey::TrunkSilence(leg));
        let Some(state) = self.leg_mut(call, leg) else {
            return;
        };
        let number = state.number.clone().unwrap_or_default();
        let Some(hunt) = &mut state.hunt else {
            return self.misfit("flaw.third_without_hunt");
        };
        if !std::mem::replace(&mut hunt.rang, true) {
            let (role, trunk) = (hunt.role.clone(), hunt.trunk.clone());
            self.say(
                call,
                EventKind::PartyRinging {
                    leg,
                    role,
                    number,
                    trunk,
                },
            );
        }
        // A bridge is recorded from the first answer on.
        if early_media && !self.is_bridge(call) {
            self.track(call, leg);
        }
        self.refresh_audio(call);
    }

    fn third_joined(&mut self, call: CallId, leg: LegId) {
        self.disarm_leg(leg);
        let waits = self.crew_picks_up(call, leg);
        self.track(call, leg);
        let Some(state) = self.leg_mut(call, leg) else {
            return;
        };
        let number = state.number.clone().unwrap_or_default();
        let role = state
            .hunt
            .as_ref()
            .map_or_else(String::new, |h| h.role.clone());
        let first = state.hunt.as_ref().map_or(leg, |hunt| hunt.first);
        if !waits {
            self.callee_joined(call);
        }
        self.say(call, EventKind::PartyJoined { leg, role, number });
        self.outside_answered(call, first);
        self.people_joined(call);
        self.refresh_audio(call);
        if waits {
            self.ring_callee(call);
        }
    }

    fn third_left(&mut self, call: CallId, leg: LegId, cause: Cause, by_far_side: bool) {
        let removed = self.forget_leg(call, leg);
        let (role, first) = removed
            .and_then(|l| l.hunt)
            .map_or_else(|| (String::new(), leg), |h| (h.role, h.first));
        self.say(call, EventKind::PartyLeft { leg, role, cause });
        self.outside_gone(call, first, "left");
        self.after_third_left(call, cause.is_failure() || !by_far_side);
    }

    /// A trunk has said nothing at all: the next one.
    pub(super) fn trunk_silent(&mut self, leg: LegId) {
        if self.group_trunk_silent(leg) {
            return;
        }
        let Some(call) = self.legs.get(&leg).copied() else {
            return self.misfit("flaw.timer_trunk_silence_unknown_leg");
        };
        let removed = self.release(call, leg, Cause::Withdrawn);
        self.third_failed(call, leg, removed, Cause::Unreachable);
    }

    pub(super) fn third_rang_out(&mut self, leg: LegId) {
        let Some(call) = self.legs.get(&leg).copied() else {
            return self.misfit("flaw.timer_third_ring_unknown_leg");
        };
        let removed = self.release(call, leg, Cause::NoAnswer);
        self.third_failed(call, leg, removed, Cause::NoAnswer);
    }

    pub(super) fn third_failed(
        &mut self,
        call: CallId,
        leg: LegId,
        removed: Option<Leg>,
        cause: Cause,
    ) {
        let Some(Leg {
            party,
            number,
            hunt: Some(hunt),
            ..
        }) = removed
        else {
            return self.misfit("flaw.third_failed_unknown");
        };
        let number = number.unwrap_or_default();
        if tries_next_trunk(cause) && !hunt.rest.is_empty() {
            let first = Some(hunt.first);
            self.ring_third(call, &number, &hunt.role, party, first, hunt.rest);
            return self.refresh_audio(call);
        }
        if let Party::Relief(relief) = party {
            return self.relief_over(call, leg, relief, Some(number), failure(cause));
        }
        let role = hunt.role;
        self.callee_failed(call, cause);
        self.say(
            call,
            EventKind::PartyFailed {
                leg,
                role,
                number,
                cause,
            },
        );
        if self.outside_gone(call, hunt.first, failure(cause)) {
            return;
        }
        self.refresh_audio(call);
        self.tell_seat_of_failure(call, cause);
    }

    /// Busy, no such number and all else sound different.
    pub(super) fn tell_seat_of_failure(&mut self, call: CallId, cause: Cause) {
        let Some(talking) = self.calls.get(&call).and_then(|c| c.talking()) else {
            return;
        };
        if talking.tone == SeatTone::RingBack {
            return;
        }
        let Some(leg) = self.calls.get(&call).and_then(Call::tone_leg) else {
            return self.settle_bridge(call, cause);
        };
        if let Some(play) = self.play_to(call, leg, tone_of(cause), false) {
            self.set_seat_tone(call, SeatTone::Once { play });
        }
        self.arm_callee_told(call);
    }
}

/// What the seat hears of a failure: about three seconds.
fn tone_of(cause: Cause) -> Vec<Sound> {
    match cause {
        Cause::Unallocated => vec![Sound::NoSuchNumber; 3],
        Cause::NoAnswer
        | Cause::Unavailable
        | Cause::Unreachable
        | Cause::Capacity
        | Cause::InternalFault
        | Cause::MediaRefused
        | Cause::Lost
        | Cause::Restarted => vec![Sound::Congestion; 2],
        Cause::Busy
        | Cause::Rejected
        | Cause::Normal
        | Cause::Cancelled
        | Cause::SeatReleased
        | Cause::Withdrawn
        | Cause::AnsweredElsewhere => vec![Sound::Busy; 4],
    }
}

pub(super) fn unknown_call(call: CallId) -> CommandError {
    CommandError::Unknown {
        what: String::from("call"),
        id: call.to_string(),
    }
}

pub(super) fn bad_field(field: &str, reason: &str) -> CommandError {
    CommandError::BadField {
        field: field.to_owned(),
        reason: reason.to_owned(),
    }
}

pub(super) fn check_number(number: &str) -> Result<(), CommandError> {
    let digits = number.strip_prefix('+').unwrap_or(number);
    let known = digits
        .bytes()
        .all(|b| b.is_ascii_digit() || b == b'*' || b == b'#');
    if digits.is_empty() || digits.len() > NUMBER_DIGITS_MAX || !known {
        return Err(bad_field(
            "number",
            "1 to 32 of the digits 0-9, * and #, with + in front if you like",
        ));
    }
    // A star code mistyped must not reach a carrier.
    if digits.starts_with('*') {
        return Err(bad_field(
            "number",
            "what begins with * is a star code of ours, no number outside",
        ));
    }
    Ok(())
}

/// The trunk failed, not the number.
pub(super) fn tries_next_trunk(cause: Cause) -> bool {
    cause == Cause::Unavailable || cause == Cause::Unreachable
}

/// Why a number was not reached, in one word.
pub(super) const fn failure(cause: Cause) -> &'static str {
    match cause {
        Cause::Busy => "busy",
        Cause::NoAnswer => "no_answer",
        Cause::Unallocated => "unallocated",
        Cause::Rejected => "rejected",
        Cause::Normal
        | Cause::Cancelled
        | Cause::Unavailable
        | Cause::Unreachable
        | Cause::MediaRefused
        | Cause::Lost
        | Cause::Capacity
        | Cause::SeatReleased
        | Cause::Withdrawn
        | Cause::AnsweredElsewhere
        | Cause::Restarted
        | Cause::InternalFault => "unreachable",
    }
}

/// The role names the party's track, so it must be a plain word.
fn check_role(role: &str) -> Result<(), CommandError> {
    let plain = role
        .chars()
        .all(|c| c.is_alphanumeric() || c == '_' || c == '-');
    let reserved = ["caller", "seat", "listener", "supervisor"].contains(&role);
    if role.is_empty() || role.len() > COMMAND_TEXT_BYTES_MAX / 8 || !plain || reserved {
        return Err(bad_field(
            "role",
            "a plain word such as doctor, 110 or crew; not caller, seat or supervisor",
        ));
    }
    Ok(())
}
