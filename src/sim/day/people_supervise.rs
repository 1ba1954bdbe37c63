//! Supervisors: they listen, whisper, speak and take over at random, now and then at the wrong moment.

use super::world::World;
use crate::call::Mode;
use crate::id::{CallId, SeatId};
use crate::switch::{Actor, Command};

impl World {
    fn supervisor_seat(&mut self) -> Option<SeatId> {
        let seats: Vec<_> = self
            .policy
            .seats
            .iter()
            .filter(|(_, seat)| seat.is_supervisor())
            .map(|(id, _)| id.clone())
            .collect();
        self.chance.pick(&seats).cloned()
    }

    fn mode(&mut self) -> Mode {
        match self.chance.below(10) {
            0..4 => Mode::Listen,
            4..6 => Mode::Whisper,
            6..8 => Mode::Barge,
            _ => Mode::TakeOver,
        }
    }

    pub(super) fn supervisor_listens(&mut self, call: CallId, percent: u32) {
        if !self.chance.percent(percent) {
            return;
        }
        if let Some(seat) = self.supervisor_seat() {
            let (after, mode) = (self.chance.tail(6_000), self.mode());
            let by = Actor::Supervisor(seat.clone());
            self.commands(after, by, Command::Listen { call, seat, mode });
        }
    }

    /// His phone is being rung, or his mode has changed: he changes it again, leaves, or stays.
    pub(super) fn supervisor_goes_on(&mut self, call: CallId, seat: &SeatId, by: Actor) {
        let after = self.chance.tail(15_000);
        let seat = seat.clone();
        if self.chance.percent(40) {
            self.commands(after, by, Command::StopListening { call, seat });
        } else if self.chance.percent(70) {
            let mode = self.mode();
            self.commands(after, by, Command::Listen { call, seat, mode });
        }
    }
}
