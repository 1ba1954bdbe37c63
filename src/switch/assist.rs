//! A seat calls for a supervisor (呼叫班长), one accepts and joins. WS/T 451-2014 7.2.1.2-h.
//!
//! ```text
//! requested --accepted--> his phone rings --picked up--> answered
//!     ^                        |  not picked up: requested again
//!     +------------------------+          seat leaves, cancels, is taken over: ended
//! ```

use super::party::unknown_call;
use super::{Actor, CommandError, CommandReply, EventKind, Switch};
use crate::call::{Assist, Mode};
use crate::id::{CallId, SeatId};

impl Switch {
    /// `RequestAssist`.
    pub(super) fn request_assist(
        &mut self,
        by: &Actor,
        call: CallId,
    ) -> Result<CommandReply, CommandError> {
        self.check_handles(by, call)?;
        let Some(open) = self.calls.get(&call) else {
            return Err(unknown_call(call));
        };
        let Some((seat, _)) = open.talking().and_then(|t| t.seat.clone()) else {
            return Err(self.wrong_call_state(call, "a seat must be talking in it to ask"));
        };
        if open.assist.is_some() {
            return Err(self.wrong_call_state(call, "a supervisor is asked for already"));
        }
        self.given(by, Some(call), "request_assist");
        let at = self.now;
        self.assists.insert(call);
        if let Some(open) = self.call_mut(call) {
            open.assist = Some(Assist {
                seat: seat.clone(),
                at,
                taken: None,
            });
        }
        self.say(call, EventKind::AssistRequested { seat });
        Ok(CommandReply::Done)
    }

    /// `CancelAssist`.
    pub(super) fn cancel_assist(
        &mut self,
        by: &Actor,
        call: CallId,
    ) -> Result<CommandReply, CommandError> {
        self.check_handles(by, call)?;
        if self.calls.get(&call).is_none_or(|c| c.assist.is_none()) {
            return Err(self.wrong_call_state(call, "no supervisor is asked for any more"));
        }
        self.given(by, Some(call), "cancel_assist");
        self.end_assist(call);
        Ok(CommandReply::Done)
    }

    /// `AcceptAssist`: the first one comes, the next is told who does.
    pub(super) fn accept_assist(
        &mut self,
        by: &Actor,
        call: CallId,
        seat: &SeatId,
        mode: Mode,
    ) -> Result<CommandReply, CommandError> {
        self.check_supervisor_seat(by, seat)?;
        let Some(open) = self.calls.get(&call) else {
            return Err(unknown_call(call));
        };
        match &open.assist {
            None => {
                return Err(self.wrong_call_state(call, "no supervisor is asked for any more"));
            }
            Some(Assist {
                taken: Some(other), ..
            }) => {
                let hint = format!("supervisor {other} has accepted already");
                return Err(self.wrong_call_state(call, &hint));
            }
            Some(Assist { taken: None, .. }) => {}
        }
        let reply = self.listen(by, call, seat, mode)?;
        if let Some(assist) = self.call_mut(call).and_then(|c| c.assist.as_mut()) {
            assist.taken = Some(seat.clone());
        }
        // He may have been in the call already.
        self.assist_came(call, seat);
        Ok(reply)
    }

    /// A supervisor's phone is up in the call.
    pub(super) fn assist_came(&mut self, call: CallId, by: &SeatId) {
        let up = self.supervises(call, by);
        let taken = |assist: &Assist| assist.taken.as_ref() == Some(by);
        let open = self.call_mut(call).filter(|_| up);
        let came = open.and_then(|open| open.assist.take_if(|assist| taken(assist)));
        if let Some(Assist { seat, .. }) = came {
            self.assists.remove(&call);
            let by = by.clone();
            self.say(call, EventKind::AssistAnswered { seat, by });
        }
    }

    /// The supervisor who accepted did not come.
    pub(super) fn assist_missed(&mut self, call: CallId, by: &SeatId) {
        let assist = self.call_mut(call).and_then(|open| open.assist.as_mut());
        if let Some(assist) = assist.filter(|a| a.taken.as_ref() == Some(by)) {
            assist.taken = None;
            let seat = assist.seat.clone();
            self.say(call, EventKind::AssistRequested { seat });
        }
    }

    /// Nobody is needed any more.
    pub(super) fn end_assist(&mut self, call: CallId) {
        self.assists.remove(&call);
        if let Some(Assist { seat, .. }) = self.call_mut(call).and_then(|c| c.assist.take()) {
            self.say(call, EventKind::AssistEnded { seat });
        }
    }

    /// After each Input: a request ends with its seat's part in the call.
    pub(super) fn settle_assists(&mut self) {
        let over = |call: &&CallId| {
            let Some(call) = self.calls.get(call) else {
                return true;
            };
            let talks = call.talking().and_then(|t| t.seat.as_ref());
            let asks = call.assist.as_ref().map(|assist| &assist.seat);
            asks.is_some() && asks != talks.map(|(seat, _)| seat)
        };
        let over: Vec<_> = self.assists.iter().filter(over).copied().collect();
        for call in over {
            self.end_assist(call);
        }
    }
}
