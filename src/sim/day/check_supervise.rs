//! Checks of supervisors: what is heard of them is what one of them asked for, and the caller hears none who does not
//! speak to him. Invariant 10.

use super::check::{Checker, LegTruth, Reach, Verdict, Who};
use crate::call::Mode;
use crate::id::{CallId, LegId, SeatId};
use crate::switch::{Actor, Command, Destination, Event, EventKind, Input, InputKind};

impl Checker {
    /// A supervisor gave the call to that seat: neither order nor fitness is asked.
    pub(super) fn is_ordered(input: &Input, call: CallId, seat: &SeatId) -> bool {
        let InputKind::Command {
            by: Actor::Supervisor(_),
            command: Command::Reassign { call: of, to },
            ..
        } = &input.kind
        else {
            return false;
        };
        *of == call && *to == Destination::Seat(seat.clone())
    }

    pub(super) fn supervisor_asks(&mut self, input: &Input) {
        self.asking = None;
        if let InputKind::Command {
            by: Actor::Supervisor(_),
            command:
                Command::Listen { call, seat, mode } | Command::AcceptAssist { call, seat, mode },
            ..
        } = &input.kind
        {
            self.asking = Some((*call, seat.clone(), *mode));
        }
    }

    pub(super) fn supervisor_answered(&mut self, accepted: bool) {
        if let Some((call, seat, mode)) = self.asking.take()
            && accepted
        {
            self.asked.insert((call, seat), mode);
        }
    }

    /// Supervisors whose phones are up.
    pub(super) fn listeners(&self) -> Vec<(CallId, LegId)> {
        let up = |leg: &LegTruth| matches!(leg.who, Who::Listener(_)) && leg.reach == Reach::Up;
        let legs = self.legs.iter().filter(|(_, leg)| up(leg));
        legs.map(|(id, leg)| (leg.call, *id)).collect()
    }

    fn wanted(&self, call: CallId, seat: &SeatId) -> Option<Mode> {
        match &self.asking {
            Some((of, by, mode)) if *of == call && by == seat => Some(*mode),
            Some(_) | None => self.asked.get(&(call, seat.clone())).copied(),
        }
    }

    pub(super) fn take_supervision(&mut self, call: CallId, event: &Event) -> Verdict {
        if let EventKind::MonitorStarted { seat, leg, mode }
        | EventKind::MonitorChanged { seat, leg, mode } = &event.kind
        {
            let wanted = self.wanted(call, seat);
            // A take-over that has become impossible meanwhile leaves him listening.
            let fits = wanted == Some(*mode)
                || (wanted == Some(Mode::TakeOver) && *mode == Mode::Listen)
                || (self.hears_queue(seat) && *mode == Mode::Listen);
            let who = Who::Listener(seat.clone());
            match self.legs.get_mut(leg).filter(|l| l.who == who && fits) {
                Some(leg) => leg.mode = *mode,
                None => {
                    return Err((
                        10,
                        format!("{seat} is said to {mode:?} in {call}; asked for: {wanted:?}"),
                    ));
                }
            }
        } else if let EventKind::TookOver { seat, leg, from } = &event.kind {
            return self.take_take_over(call, seat, *leg, from.as_ref());
        }
        Ok(())
    }

    fn take_take_over(
        &mut self,
        call: CallId,
        seat: &SeatId,
        leg: LegId,
        from: Option<&SeatId>,
    ) -> Verdict {
        let wanted = self.wanted(call, seat) == Some(Mode::TakeOver);
        let left = self
            .ended
            .as_ref()
            .is_some_and(|e| e.leg.call == call && matches!(e.leg.who, Who::Seat(_)));
        let talks = self.seat_talks(call);
        let who = Who::Listener(seat.clone());
        let Some(truth) = self.legs.get_mut(&leg).filter(|l| l.who == who) else {
            return Err((3, format!("{seat} took {call} over and was not in it")));
        };
        let by_right = wanted || (left && truth.mode == Mode::Barge);
        if !by_right || truth.reach != Reach::Up || from != talks.as_ref() {
            return Err((
                3,
                format!("{seat} took {call} over from {from:?}; it was with {talks:?}"),
            ));
        }
        // From a queue that he listened to he comes with the same leg.
        (truth.who, truth.call) = (Who::Seat(seat.clone()), call);
        Ok(())
    }

    fn seat_talks(&self, call: CallId) -> Option<SeatId> {
        self.legs.values().find_map(|leg| match &leg.who {
            Who::Seat(seat) if leg.call == call && leg.reach == Reach::Up => Some(seat.clone()),
            Who::Seat(_) | Who::Caller | Who::Third | Who::Relief(_) | Who::Listener(_) => None,
        })
    }

    /// Whether a supervisor is heard by somebody, written from the design and not from the code.
    pub(super) fn hears_supervisor(&self, ear: &LegTruth, voice: &LegTruth) -> bool {
        if !matches!(voice.who, Who::Listener(_)) || voice.reach != Reach::Up {
            return false;
        }
        let speaks = voice.mode == Mode::Barge && self.seat_talks(voice.call).is_some();
        let ear_speaks = ear.mode == Mode::Barge && self.seat_talks(ear.call).is_some();
        let up = ear.reach == Reach::Up;
        match ear.who {
            Who::Caller => speaks,
            Who::Third => up && speaks,
            Who::Relief(_) => false,
            Who::Seat(_) => up && (speaks || voice.mode == Mode::Whisper),
            Who::Listener(_) => up && (speaks || (voice.mode == Mode::Whisper && ear_speaks)),
        }
    }
}
