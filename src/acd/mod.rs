//! Automatic call distribution, pure: who waits ([`queue`]) in which order ([`rank`]), who can take a call ([`seat`])
//! and which seat is offered which call ([`routing`]).
//!
//! Owns the order of the queue and the states of a seat. Refuses to know what a call says, what a leg does and who
//! hears whom; the switch composes it with those. WS/T 451-2014 7.2.1.1-c, -d and 7.2.1.2-h.
//!
//! ```text
//! SignedOut -> NotReady <-> Ready -> Reserved -> Ringing -> Talking -> WrapUp -> Ready
//!                  ^                    |           |          |
//!                  +---- 未接, 拒接 -----+-----------+          +-> Unreachable (line lost) -> Ready | NotReady
//! ```

pub mod queue;
pub mod rank;
pub mod routing;
pub mod seat;

pub use queue::{Entry, Order, Queue, Shift};
pub use rank::{Callers, Identity};
pub use routing::{Candidate, Held, Need, Rule, SeatRole, Strategy, Table, Waiting, choose};
pub use seat::{After, Binding, Duty, Seat, Standby};
