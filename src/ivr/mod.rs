//! Menus (语音菜单), pure: checked trees ([`menu`]), who is led into which ([`entry`]), and one caller's way through one
//! ([`walk`]). WS/T 451-2014 7.2.1.1-c, -d.
//!
//! Owns keys, repeats and time-outs. Refuses to know queues beyond their name, seats, legs and how a prompt sounds.
//! Every way ends in a queue: a fault, silence, wrong keys and the longest stay lead there, and no way leads to a
//! hang-up.
//!
//! ```text
//! enter -> Play(prompts) -played-> Await(key) -right key-> Play(next node) | Leave(queue)
//!             ^  key cuts             | silence, wrong key
//!             +------- again ---------+ too often, or the time is up -> Leave(queue)
//! ```

pub mod entry;
pub mod menu;
pub mod walk;

pub use entry::{Entry, Hours, Menus, Way};
pub use menu::{Flaw, Goal, Menu, Node};
pub use walk::{Exit, Step, Walk};
