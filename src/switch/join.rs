//! Two calls become one conversation (合并通话): the same incident reported twice, a crew that rings in, a redial.
//!
//! ```text
//! guest waits | talks --Join by the host's seat--> everybody hears everybody; each call keeps record and recording
//! guest's caller or seat leaves      only the guest's legs end, the others go on while there are two
//! host's seat leaves, host ends      each guest talks on with its own seat; without one: the queue's head
//! host's seat hangs up on the last   that one's call ends, as a talk of two does
//! ```
//! The host is the call whose seat gave the command; its matrix holds the legs of all. A guest has one host and no
//! guests. docs/adr/0008-joined-calls.md.

use std::collections::BTreeSet;

use super::party::unknown_call;
use super::{Actor, CommandError, CommandReply, EventKind, MediaCommand, Switch};
use crate::call::{Call, Cause, Join, Phase, Talking};
use crate::id::{CallId, LegId, SeatId};
use crate::limits::LEGS_PER_CALL_MAX;
use crate::matrix::Matrix;

impl Switch {
    /// `Join`.
    pub(super) fn join(
        &mut self,
        by: &Actor,
        call: CallId,
        with: CallId,
    ) -> Result<CommandReply, CommandError> {
        self.check_handles(by, call)?;
        let (seat, leg) = self.check_host(call)?;
        self.check_guest(call, with)?;
        self.given(by, Some(call), "join");
        self.answer_guest(with, &seat);
        self.bind(call, with);
        self.command_media(with, MediaCommand::Join { host: call });
        self.share_tracks(with);
        self.set_matrix(with, Matrix::silent());
        self.end_hold(call, "joined");
        self.end_hold(with, "joined");
        self.say_joined(call, with, (&seat, leg), by);
        self.refresh_tones(with);
        self.refresh_audio(call);
        Ok(CommandReply::Done)
    }

    fn check_host(&self, call: CallId) -> Result<(SeatId, LegId), CommandError> {
        let talking = self.calls.get(&call).and_then(Call::talking);
        if let Some(Talking {
            join: Join::Guest { host },
            ..
        }) = talking
        {
            let hint = format!("it is joined to call {host}; join to that one");
            return Err(self.wrong_call_state(call, &hint));
        }
        if talking.is_some_and(|t| t.transfer.is_some()) {
            return Err(self.wrong_call_state(call, "complete or cancel its transfer first"));
        }
        talking.and_then(|t| t.seat.clone()).ok_or_else(|| {
            self.wrong_call_state(call, "a seat must be talking in it to join another")
        })
    }

    fn check_guest(&self, call: CallId, with: CallId) -> Result<(), CommandError> {
        if call == with {
            return Err(CommandError::BadField {
                field: String::from("with"),
                reason: String::from("name another call than the one it is joined to"),
            });
        }
        let Some(guest) = self.calls.get(&with) else {
            return Err(unknown_call(with));
        };
        let joined = match &guest.phase {
            Phase::Dialling(_) => {
                let hint = "its seat is still dialling";
                return Err(self.wrong_call_state(with, hint));
            }
            Phase::InMenu(_) => {
                let hint = "wait for the queue, its caller still chooses in a menu";
                return Err(self.wrong_call_state(with, hint));
            }
            Phase::Unanswered(_) => Join::Apart,
            Phase::Shelved(_) => {
                return Err(self.wrong_call_state(with, "take it back from the shelf first"));
            }
            Phase::Talking(talking) if talking.transfer.is_some() => {
                return Err(self.wrong_call_state(with, "it is being transferred"));
            }
            Phase::Talking(talking) => talking.join.clone(),
            Phase::Closing(_) => return Err(self.ended_call(with)),
        };
        if let Join::Guest { host } = joined {
            let hint = format!("it is joined to call {host} already");
            return Err(self.wrong_call_state(with, &hint));
        }
        if let Join::Host { .. } = joined {
            let hint = "other calls are joined to it already; join this one to it instead";
            return Err(self.wrong_call_state(with, hint));
        }
        if guest.caller_leg.is_none() {
            return Err(self.wrong_call_state(with, "its caller has left"));
        }
        if self.conversation_legs(call) + guest.legs.len() > LEGS_PER_CALL_MAX {
            return Err(self.wrong_call_state(call, "release a party first, the call is full"));
        }
        Ok(())
    }

    /// A waiting guest is answered by the host's seat: it leaves the queue, and the phones that ring for it are freed.
    fn answer_guest(&mut self, call: CallId, seat: &SeatId) {
        let Some(unanswered) = self.calls.get(&call).and_then(|c| c.unanswered()).cloned() else {
            return;
        };
        for offer in &unanswered.offers {
            self.free_offered_seat(call, offer.leg, &offer.seat, Cause::Withdrawn);
        }
        self.become_answered(call, seat, Talking::without_seat(), "joined");
    }

    fn bind(&mut self, host: CallId, guest: CallId) {
        if let Some(talking) = self.call_mut(guest).and_then(Call::talking_mut) {
            talking.join = Join::Guest { host };
        }
        if let Some(talking) = self.call_mut(host).and_then(Call::talking_mut) {
            match &mut talking.join {
                Join::Host { guests } => {
                    guests.insert(guest);
                }
                Join::Apart => {
                    talking.join = Join::Host {
                        guests: BTreeSet::from([guest]),
                    };
                }
                Join::Guest { .. } => self.misfit("flaw.guest_became_host"),
            }
        }
    }

    fn say_joined(&mut self, host: CallId, guest: CallId, seat: (&SeatId, LegId), by: &Actor) {
        for (call, with) in [(host, guest), (guest, host)] {
            let with_serial_no = self.serial_of(with);
            self.say(
                call,
                EventKind::CallJoined {
                    with,
                    with_serial_no,
                    into: host,
                    seat: seat.0.clone(),
                    leg: seat.1,
                    by: by.clone(),
                },
            );
        }
    }

    fn serial_of(&self, call: CallId) -> String {
        let open = self.calls.get(&call);
        open.map(|c| c.serial_no.clone()).unwrap_or_default()
    }

    /// The call whose matrix this call's legs are in: its own, or its host's.
    pub(super) fn host_of(&self, call: CallId) -> CallId {
        match self.calls.get(&call).and_then(Call::talking) {
            Some(Talking {
                join: Join::Guest { host },
                ..
            }) => *host,
            Some(_) | None => call,
        }
    }

    /// All calls of a call's conversation, its host first; the call alone when it is joined to none.
    pub(super) fn conversation(&self, call: CallId) -> Vec<CallId> {
        let host = self.host_of(call);
        let mut calls = vec![host];
        if let Some(Talking {
            join: Join::Host { guests },
            ..
        }) = self.calls.get(&host).and_then(Call::talking)
        {
            calls.extend(guests);
        }
        calls
    }

    pub(super) fn conversation_legs(&self, call: CallId) -> usize {
        let calls = self.conversation(call);
        calls
            .iter()
            .filter_map(|call| self.calls.get(call))
            .map(|open| open.legs.len())
            .sum()
    }

    fn conversation_talkers(&self, call: CallId) -> usize {
        let calls = self.conversation(call);
        calls
            .iter()
            .filter_map(|call| self.calls.get(call))
            .map(Call::talkers)
            .sum()
    }

    /// A talk goes on while somebody of the call's own is in it and two talk in all.
    pub(super) fn goes_on(&self, call: CallId) -> bool {
        let own = self.calls.get(&call).map_or(0, Call::talkers);
        own >= 1 && self.conversation_talkers(call) >= 2
    }

    /// What a leg says stands in the recording of every call it is heard in.
    pub(super) fn share_track(&mut self, call: CallId, leg: LegId) {
        for other in self.conversation(call) {
            if other != call {
                self.track_in(other, call, leg);
            }
        }
    }

    fn share_tracks(&mut self, guest: CallId) {
        for call in self.conversation(guest) {
            if call != guest {
                for leg in self.tracked(call) {
                    self.track_in(guest, call, leg);
                }
                for leg in self.tracked(guest) {
                    self.track_in(call, guest, leg);
                }
            }
        }
    }

    /// By party, so that the tracks of every joined recording stand in one order.
    fn tracked(&self, call: CallId) -> Vec<LegId> {
        let legs = self.calls.get(&call).map(|c| &c.legs);
        let mut tracked: Vec<_> = legs
            .into_iter()
            .flatten()
            .filter(|(_, leg)| leg.tracked)
            .map(|(id, leg)| (&leg.party, *id))
            .collect();
        tracked.sort();
        tracked.into_iter().map(|(_, id)| id).collect()
    }

    fn track_in(&mut self, recorded_in: CallId, call: CallId, leg: LegId) {
        let of = Some(self.serial_of(call));
        if let Some(party) = self.leg_mut(call, leg).map(|l| l.party.clone()) {
            self.command_media(recorded_in, MediaCommand::Track { leg, party, of });
        }
    }

    /// A guest leaves its host's conversation: the host, or nothing when the call is no guest.
    pub(super) fn part(&mut self, guest: CallId) -> Option<CallId> {
        let host = self.unbind(guest)?;
        self.refresh_audio(host);
        self.refresh_audio(guest);
        Some(host)
    }

    fn unbind(&mut self, guest: CallId) -> Option<CallId> {
        let talking = self.call_mut(guest)?.talking_mut()?;
        let Join::Guest { host } = talking.join else {
            return None;
        };
        talking.join = Join::Apart;
        if let Some(talking) = self.call_mut(host).and_then(Call::talking_mut)
            && let Join::Host { guests } = &mut talking.join
        {
            guests.remove(&guest);
            if guests.is_empty() {
                talking.join = Join::Apart;
            }
        }
        for (call, with) in [(host, guest), (guest, host)] {
            self.say(call, EventKind::CallParted { with, into: host });
        }
        self.command_media(guest, MediaCommand::Part);
        Some(host)
    }

    /// The host's part of the conversation is over: nobody's caller is ended by that.
    pub(super) fn part_guests(&mut self, host: CallId) {
        let mut guests = self.conversation(host);
        guests.retain(|guest| self.unbind(*guest).is_some());
        if guests.is_empty() {
            return;
        }
        self.refresh_audio(host);
        for guest in guests {
            self.refresh_audio(guest);
            self.go_on_parted(guest);
        }
    }

    fn go_on_parted(&mut self, call: CallId) {
        let Some(open) = self.calls.get(&call) else {
            return;
        };
        let seatless = open.talking().is_some_and(|t| t.seat.is_none());
        if open.caller_leg.is_some() && seatless {
            self.requeue_parted(call);
        } else if !self.goes_on(call) {
            self.end_answered(call, Cause::Normal, "seat");
        }
    }

    /// A talking seat has left `call`. If it hosted: one who is left alone with it is hung up on, as in any talk of
    /// two; when there are more, or its line was lost, each guest goes on without it.
    pub(super) fn host_seat_left(&mut self, call: CallId, lost: bool, cause: Cause, by: &str) {
        let last = match self.conversation(call).as_slice() {
            [host, guest] if *host == call => Some(*guest),
            [] | [_] | [..] => None,
        };
        match last {
            Some(guest)
                if !lost
                    && self.conversation_talkers(call) == 1
                    && !self.is_left_on_hold(guest) =>
            {
                self.end_answered(guest, cause, by);
            }
            Some(_) | None if self.host_of(call) == call => self.part_guests(call),
            Some(_) | None => {}
        }
    }

    /// A guest has ended: a host whose own caller left before has nobody to talk to.
    pub(super) fn end_if_alone(&mut self, host: CallId, cause: Cause, by: &str) {
        let Some(open) = self.calls.get(&host) else {
            return;
        };
        let alone = open.talking().is_some() && open.caller_leg.is_none() && !self.goes_on(host);
        if alone {
            self.end_answered(host, cause, by);
        }
    }
}
