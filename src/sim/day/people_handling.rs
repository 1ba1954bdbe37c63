//! What dispatchers do with their talking calls, at random.

use super::network::FarAct;
use super::world::World;
use crate::call::{KeyPath, TransferKind, TransferTo};
use crate::id::{CallId, LegId, SeatId};
use crate::switch::{Actor, Command};
use crate::time::Millis;

impl World {
    /// Hold, silent caller, transfer, shelf: each now and then, also when the talk is over already.
    pub(super) fn handles(&mut self, call: CallId, seat: &SeatId, caller: Option<LegId>) {
        let by = Actor::Seat(seat.clone());
        if self.chance.percent(20) {
            self.holds(call, &by);
        }
        if self.chance.percent(10) {
            let after = self.chance.tail(9_000);
            self.commands(after, by.clone(), Command::AskSilent { call });
            if let Some(caller) = caller {
                let after = Millis(after.0 + self.chance.tail(9_000).0);
                self.plan_far(after, caller, FarAct::Press('5', KeyPath::Media));
            }
        }
        if self.chance.percent(20) {
            self.transfers(call, &by);
        }
        if self.chance.percent(15) {
            self.shelves(call, seat, caller);
        }
    }

    /// The seat gives its call to somebody, and completes, cancels, or lets it be.
    fn transfers(&mut self, call: CallId, by: &Actor) {
        let seats: Vec<_> = self.policy.seats.keys().cloned().collect();
        let queues: Vec<_> = self.policy.queues.keys().cloned().collect();
        let to = match self.chance.below(10) {
            0..6 => self.chance.pick(&seats).cloned().map(TransferTo::Seat),
            6..7 => self.chance.pick(&queues).cloned().map(TransferTo::Queue),
            _ => Some(TransferTo::Number(String::from("13900000001"))),
        };
        let kinds = [
            TransferKind::Blind,
            TransferKind::Attended,
            TransferKind::Conference,
        ];
        let (Some(to), Some(kind)) = (to, self.chance.pick(&kinds).copied()) else {
            return;
        };
        let mut after = self.chance.tail(8_000);
        self.commands(after, by.clone(), Command::Transfer { call, to, kind });
        after = Millis(after.0 + self.chance.tail(12_000).0);
        match self.chance.below(10) {
            0..5 => self.commands(after, by.clone(), Command::CompleteTransfer { call }),
            5..8 => self.commands(after, by.clone(), Command::CancelTransfer { call }),
            _ => {}
        }
    }

    /// The seat puts its caller aside; he may press his key, and somebody may take him back.
    fn shelves(&mut self, call: CallId, seat: &SeatId, caller: Option<LegId>) {
        let by = Actor::Seat(seat.clone());
        let mut after = self.chance.tail(8_000);
        self.commands(after, by.clone(), Command::Shelve { call });
        after = Millis(after.0 + self.chance.tail(40_000).0);
        match (self.chance.below(10), caller) {
            (0..2, Some(caller)) => {
                self.plan_far(after, caller, FarAct::Press('1', KeyPath::Media));
            }
            (2..6, _) => {
                let seat = seat.clone();
                self.commands(after, by, Command::Unshelve { call, seat });
            }
            (6, _) => {
                let seats: Vec<_> = self.policy.seats.keys().cloned().collect();
                if let Some(seat) = self.chance.pick(&seats).cloned() {
                    let by = self.any_supervisor();
                    self.commands(after, by, Command::Unshelve { call, seat });
                }
            }
            _ => {}
        }
    }

    /// The seat puts its caller on hold, perhaps twice, and often forgets him.
    fn holds(&mut self, call: CallId, by: &Actor) {
        let mut after = self.chance.tail(8_000);
        for _ in 0..1 + self.chance.below(2) {
            self.commands(after, by.clone(), Command::Hold { call });
            after = Millis(after.0 + self.chance.tail(20_000).0);
            if self.chance.percent(70) {
                self.commands(after, by.clone(), Command::Resume { call });
            }
        }
    }
}
