//! Supervisors: they listen, whisper, speak and take over at random, now and then at the wrong moment.

use super::network::FarAct;
use super::world::World;
use crate::call::Mode;
use crate::id::{CallId, LegId, SeatId};
use crate::switch::{Actor, Command, Destination};
use crate::time::Millis;

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

    /// To one queue or to all.
    pub(super) fn supervisor_listens_to_queue(&mut self, percent: u32) {
        if !self.chance.percent(percent) {
            return;
        }
        let queues: Vec<_> = self.policy.queues.keys().cloned().collect();
        let one = self.chance.pick(&queues).cloned();
        let queue = one.filter(|_| self.chance.percent(40));
        if let Some(seat) = self.supervisor_seat() {
            let after = self.chance.tail(6_000);
            let by = Actor::Supervisor(seat.clone());
            self.commands(after, by, Command::ListenQueue { seat, queue });
        }
    }

    /// He takes part in what he hears or in another call, stops, hangs up, or his line breaks.
    pub(super) fn queue_listener_goes_on(&mut self, seat: &SeatId, leg: LegId, by: &Actor) {
        let open = self.checker.open_calls();
        for _ in 0..self.chance.below(3) {
            let Some(call) = self.chance.pick(&open).copied() else {
                break;
            };
            let (after, mode) = (self.chance.tail(30_000), self.mode());
            let seat = seat.clone();
            self.commands(after, by.clone(), Command::Listen { call, seat, mode });
        }
        if self.chance.percent(30) {
            let (after, seat) = (self.chance.tail(60_000), seat.clone());
            self.commands(after, by.clone(), Command::StopListeningQueue { seat });
        }
        let act = match self.chance.below(10) {
            0 => FarAct::Break,
            1 => FarAct::Vanish,
            _ => FarAct::HangUp,
        };
        // He has picked up by then, or it rings no more.
        let after = Millis(10_000 + self.chance.tail(120_000).0);
        self.plan_far(after, leg, act);
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

    /// Two supervisors may order about the same waiting call at once.
    pub(super) fn supervisors_order(&mut self, call: CallId) {
        for _ in 0..2 {
            if !self.chance.percent(10) {
                continue;
            }
            let Some(by) = self.supervisor_seat().map(Actor::Supervisor) else {
                return;
            };
            let after = self.chance.tail(10_000);
            let command = match self.chance.below(3) {
                0 => {
                    let ahead = Millis::from_secs(self.chance.below(120));
                    Command::Prioritise { call, ahead }
                }
                1 => {
                    let seats: Vec<_> = self.policy.seats.keys().cloned().collect();
                    let Some(seat) = self.chance.pick(&seats).cloned() else {
                        return;
                    };
                    let to = Destination::Seat(seat);
                    Command::Reassign { call, to }
                }
                _ => {
                    let queues: Vec<_> = self.policy.queues.keys().cloned().collect();
                    let Some(queue) = self.chance.pick(&queues).cloned() else {
                        return;
                    };
                    let to = Destination::Queue(queue);
                    Command::Reassign { call, to }
                }
            };
            self.commands(after, by, command);
        }
    }

    /// A talking seat asks for help; it may be too late for it, or two may come.
    pub(super) fn asks_for_help(&mut self, call: CallId, by: &Actor) {
        if self.chance.percent(15) {
            let after = self.chance.tail(10_000);
            self.commands(after, by.clone(), Command::RequestAssist { call });
            if self.chance.percent(20) {
                let after = Millis(after.0 + self.chance.below(8_000));
                self.commands(after, by.clone(), Command::CancelAssist { call });
            }
        }
    }

    pub(super) fn supervisors_help(&mut self, call: CallId) {
        for _ in 0..2 {
            if let Some(seat) = self.supervisor_seat() {
                let (after, mode) = (self.chance.tail(5_000), self.mode());
                let by = Actor::Supervisor(seat.clone());
                self.commands(after, by, Command::AcceptAssist { call, seat, mode });
            }
        }
    }

    /// A seat leaves for good by its own key or a supervisor's, and comes back some time later.
    pub(super) fn signs_out(&mut self, seat: &SeatId) {
        if !self.chance.percent(2) {
            return;
        }
        let by = if self.chance.percent(50) {
            Actor::Seat(seat.clone())
        } else {
            self.any_supervisor()
        };
        let (after, seat) = (self.chance.tail(10_000), seat.clone());
        let back = Millis(after.0 + self.chance.tail(40_000).0);
        self.commands(after, by.clone(), Command::SignOut { seat: seat.clone() });
        self.commands(back, by, Command::SeatReady { seat });
    }
}
