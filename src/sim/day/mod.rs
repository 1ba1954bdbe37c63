//! A seeded simulator of a whole centre in virtual time. It drives the real [`Switch`](crate::switch::Switch) with
//! carriers, callers, seats, supervisors, a recorder, enrichment and modules over a network that loses, delays, doubles
//! and reorders, through the faults of `faults`, and checks the invariants of the design after every step.
//!
//! ```text
//! agenda (time-ordered) -> Input -> Switch -> Events, Effects -> far ends and people act -> agenda
//!                            |                    |
//!                        journal              Checker: what must be true, built without the switch's own code
//! ```
//! Owns: the world and the checks. Refuses to know: sockets, real time. One seed is one hour that can be repeated exactly,
//! by `firstring simulate --seed SEED`. That each check is alive is proved by [`Plant`]: a fault put in on purpose that
//! it must catch.

mod campaign;
pub(super) mod chance;
mod check;
mod check_call_backs;
mod check_calls;
mod check_counters;
mod check_crew;
mod check_forms;
mod check_groups;
mod check_listen_queue;
mod check_made;
mod check_marks;
mod check_overlong;
mod check_relief;
mod check_route;
mod check_seats;
mod check_supervise;
mod delivery;
mod faults;
mod network;
mod people;
mod people_crew;
mod people_forms;
mod people_groups;
mod people_handling;
mod people_supervise;
mod plant;
mod restart;
mod world;

#[cfg(test)]
mod tests;

use std::fmt;

pub use campaign::{Campaign, campaign};
pub use plant::Plant;

use crate::time::Timestamp;

/// What one seed went through.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Initial INVITEs that reached the shell.
    pub calls: u64,
    pub answered: u64,
    pub abandoned: u64,
    pub lost: u64,
    pub refused: u64,
    /// Callers who were led into a menu.
    pub in_menu: u64,
    /// Times a seat was rung.
    pub offers: u64,
    /// Third parties that joined.
    pub joined: u64,
    /// Callers under a confirmed verdict who were greeted.
    pub educated: u64,
    /// Times a supervisor heard a call.
    pub listened: u64,
    /// Times a supervisor listened to a queue.
    pub queues_listened: u64,
    /// Numbers of group calls that had a result, and those of them that acknowledged.
    pub group_targets: u64,
    pub group_acks: u64,
    /// Modes of supervisors that changed while they listened.
    pub modes: u64,
    /// Calls that a supervisor took over.
    pub taken_over: u64,
    /// Calls that were joined to another.
    pub joins: u64,
    /// Times a caller was put on hold.
    pub held: u64,
    /// Calls that seats made, and those of them that reached nobody.
    pub dialled: u64,
    pub not_reached: u64,
    /// Callers whom a seat reached again.
    pub called_back: u64,
    /// Calls of crews.
    pub crews: u64,
    /// Crews and callers whom we rang both.
    pub bridges: u64,
    /// Times a caller was put aside.
    pub shelved: u64,
    /// Calls that somebody took who was named for it.
    pub transferred: u64,
    /// Calls that people outside took from the queue.
    pub handed_over: u64,
    /// Callers put back to the queue's head after a seat's line was lost.
    pub requeued: u64,
    pub restarts: u64,
    /// Faults that struck: restarts and those of the next five lines.
    pub faults: u64,
    /// Times that seats vanished together, and that a trunk flapped.
    pub vanished: u64,
    pub flapped: u64,
    /// Times that the process stood still, or its clock was stepped, forward or back.
    pub jumps: u64,
    /// Times that the network lost, or doubled, much of what was sent for a while.
    pub storms: u64,
    /// Messages lost for good or at first, and doubled.
    pub lost_messages: u64,
    pub doubled_messages: u64,
    /// Times that the journal was replayed and gave the live state.
    pub replays: u64,
    /// Calls that went on after a restart because their INVITE came again.
    pub reopened: u64,
    /// Inputs taken in, timer wake-ups included.
    pub inputs: u64,
    pub events: u64,
    /// Events that did not fit their state.
    pub misfits: u64,
    /// Configured seats.
    pub seats: u64,
    pub virtual_s: u64,
}

impl Summary {
    /// Sums up.
    fn add(&mut self, other: &Self) {
        self.calls += other.calls;
        self.answered += other.answered;
        self.abandoned += other.abandoned;
        self.lost += other.lost;
        self.refused += other.refused;
        self.in_menu += other.in_menu;
        self.offers += other.offers;
        self.joined += other.joined;
        self.educated += other.educated;
        self.listened += other.listened;
        self.queues_listened += other.queues_listened;
        self.group_targets += other.group_targets;
        self.group_acks += other.group_acks;
        self.modes += other.modes;
        self.taken_over += other.taken_over;
        self.joins += other.joins;
        self.held += other.held;
        self.dialled += other.dialled;
        self.not_reached += other.not_reached;
        self.called_back += other.called_back;
        self.crews += other.crews;
        self.bridges += other.bridges;
        self.shelved += other.shelved;
        self.transferred += other.transferred;
        self.handed_over += other.handed_over;
        self.requeued += other.requeued;
        self.restarts += other.restarts;
        self.faults += other.faults;
        self.vanished += other.vanished;
        self.flapped += other.flapped;
        self.jumps += other.jumps;
        self.storms += other.storms;
        self.lost_messages += other.lost_messages;
        self.doubled_messages += other.doubled_messages;
        self.replays += other.replays;
        self.reopened += other.reopened;
        self.inputs += other.inputs;
        self.events += other.events;
        self.misfits += other.misfits;
        self.seats += other.seats;
        self.virtual_s += other.virtual_s;
    }
}

/// An invariant that did not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    pub seed: u64,
    /// Number of the invariant in the design; 0: a waiting caller heard nothing.
    pub invariant: u8,
    pub at: Timestamp,
    pub detail: String,
    /// The last Inputs before it, oldest first.
    pub trail: Vec<String>,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "seed {}: invariant {} broken at {}: {}",
            self.seed,
            self.invariant,
            self.at.rfc3339(),
            self.detail
        )?;
        for line in &self.trail {
            writeln!(f, "    {line}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Violation {}

/// Virtual minutes of a seed, unless said otherwise.
pub const MINUTES: u32 = 60;
/// With a planted fault: enough for each to show.
const PLANTED_MINUTES: u32 = 30;

/// Runs one seed: a virtual hour and the time until everybody has hung up.
///
/// # Errors
/// The first [`Violation`].
pub fn run(seed: u64) -> Result<Summary, Box<Violation>> {
    run_for(seed, MINUTES)
}

/// Runs one seed for so many virtual minutes.
///
/// # Errors
/// The first [`Violation`].
pub fn run_for(seed: u64, minutes: u32) -> Result<Summary, Box<Violation>> {
    world::World::new(seed, minutes, None).run()
}

/// Runs one seed and gives every Input with what came of it, for reading.
pub fn trace(seed: u64, minutes: u32) -> (Result<Summary, Box<Violation>>, Vec<String>) {
    let mut world = world::World::new(seed, minutes, None);
    world.keep_trail();
    let result = world.run();
    (result, world.into_trail())
}

/// Runs one seed with a fault put in on purpose.
///
/// # Errors
/// The first [`Violation`]: what the check is there for.
pub fn run_with(seed: u64, plant: Plant) -> Result<Summary, Box<Violation>> {
    world::World::new(seed, PLANTED_MINUTES, Some(plant)).run()
}
