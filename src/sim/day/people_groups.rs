//! Somebody rings a group now and then: a seat in its talk, a supervisor, a module; and people who are rung so press a key,
//! another one or none, or hang up.

use super::check_groups::is_target;
use super::network::FarAct;
use super::world::World;
use crate::call::{GroupWish, Invite, KeyPath, Target};
use crate::id::{CallId, DestinationId, GroupCallId, LegId, PromptId, SeatId};
use crate::switch::{Actor, Command};
use crate::time::Millis;

impl World {
    /// A seat is in a talk: a group is rung about its call, or about nothing.
    pub(super) fn rings_group(&mut self, call: CallId, seat: &SeatId) {
        if !self.chance.percent(5) {
            return;
        }
        let by = match self.chance.below(4) {
            0 => Actor::Module(DestinationId::from("dispatch")),
            1 => self.any_supervisor(),
            _ => Actor::Seat(seat.clone()),
        };
        let count = 2 + self.chance.below(24);
        let at = self.now.millis_since(self.start);
        let numbers = (0..count).map(|n| format!("1371{at:09}{n:03}")).collect();
        let wish = Box::new(GroupWish {
            numbers,
            group: None,
            prompt: PromptId::from("group_alert"),
            digit: '1',
            call: self.chance.percent(70).then_some(call),
            first_wins: self.chance.percent(30),
            retries: u8::from(self.chance.percent(20)),
        });
        let after = self.chance.tail(5_000);
        self.commands(after, by, Command::StartGroupCall { wish });
    }

    /// Now and then it is stopped; somebody else may try that.
    pub(super) fn group_goes_on(&mut self, by: &Actor, group_call: GroupCallId) {
        if self.chance.percent(20) {
            let after = self.chance.tail(30_000);
            let by = if self.chance.percent(70) {
                by.clone()
            } else {
                Actor::Seat(SeatId::from("800"))
            };
            self.commands(after, by, Command::CancelGroupCall { group_call });
        }
    }

    /// Who is rung by a group call presses what he presses, whether he picked up or not.
    pub(super) fn target_reacts(&mut self, leg: LegId, invite: &Invite) {
        let own = match &invite.target {
            Target::Number { number, .. } => is_target(number),
            Target::Seat { .. } => false,
        };
        if !own {
            return;
        }
        let after = self.chance.span(2_000, 40_000);
        match self.chance.below(10) {
            0..5 => {
                self.plan_far(after, leg, FarAct::Press('1', KeyPath::Media));
                if self.chance.percent(20) {
                    // Some phones send it both ways.
                    self.plan_far(after, leg, FarAct::Press('1', KeyPath::Signalling));
                }
            }
            5 => self.plan_far(after, leg, FarAct::Press('2', KeyPath::Media)),
            6 => self.plan_far(after, leg, FarAct::Press('7', KeyPath::Media)),
            7 => self.plan_far(after, leg, FarAct::HangUp),
            8 => self.plan_far(Millis(after.0 / 2), leg, FarAct::Break),
            _ => {}
        }
    }
}
