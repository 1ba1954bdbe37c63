//! Crews: modules and seats name the numbers that were sent for a call, and the crews ring in or ask for its caller.

use super::people::PersonAct;
use super::plant::Plant;
use super::world::{Happening, World};
use crate::id::{CallId, DestinationId};
use crate::switch::{Actor, Command};
use crate::time::Millis;

/// Numbers of vehicles.
const VEHICLES: u32 = 6;

impl World {
    /// A crew is sent for some calls; it rings in, now and then again and again.
    pub(super) fn sends_crew(&mut self, call: CallId) {
        // What begins after the day would not end with it.
        let over = self.now.millis_since(self.start) >= u64::from(self.day.0);
        // The days of other planted faults stay as they are: on each its own fault is seen soon.
        let stays = self
            .plant
            .is_some_and(|p| !matches!(p, Plant::CrewSeatForgotten | Plant::CrewForgotten));
        if over || stays || !self.chance.percent(30) {
            return;
        }
        let by = if self.chance.percent(80) {
            Actor::Module(DestinationId::from("dispatch"))
        } else {
            self.any_supervisor()
        };
        let mut numbers = Vec::new();
        for _ in 0..1 + self.chance.below(2) {
            numbers.push(match self.chance.below(10) {
                // A volunteer whose number called before, and one that nobody can be known by.
                0 => format!("138001380{:02}", self.chance.below(40)),
                1 => String::from("075588880000"),
                _ => format!("139001390{:02}", self.chance.below(VEHICLES)),
            });
        }
        let mut after = self.chance.tail(10_000);
        for number in &numbers {
            for _ in 0..self.chance.below(3) {
                let rings = Millis(after.0 + self.chance.tail(120_000).0);
                let number = number.clone();
                self.plan(rings, Happening::Person(PersonAct::Dials { number }));
            }
        }
        for number in &numbers {
            if self.chance.percent(40) {
                let asks = Millis(after.0 + 20 + self.chance.tail(120_000).0);
                let number = number.clone();
                self.commands(asks, by.clone(), Command::Bridge { call, number });
            }
        }
        self.commands(after, by.clone(), Command::NameCrew { call, numbers });
        if self.chance.percent(20) {
            after = Millis(after.0 + self.chance.tail(120_000).0);
            let numbers = Vec::new();
            self.commands(after, by, Command::NameCrew { call, numbers });
        }
    }
}
