//! Screening (骚扰识别), pure: human verdicts on numbers (`verdict`), what a number's behaviour looks like (`score`),
//! who calls again and again (`repeat`), and many calls at once (`burst`).
//!
//! Its output is a mark, a label, a hint or a number of seconds, never a hang-up and never a refusal: there is no word
//! for either here. Only a verdict that a person confirmed has any effect. Refuses to know: queue, seats, legs.
//! WS/T 451-2014 7.2.1.1-g (骚扰电话识别、引导教育、记录) and -h (反复呼入).
//!
//! ```text
//! Proposed (a seat, with reason and evidence) -> Confirmed (a supervisor) -> Expired (30 days) | Lifted (one key)
//!     \-> Lifted | Expired (nobody confirmed it in 7 days)
//! ```

mod burst;
mod repeat;
mod score;
mod verdict;

use serde::{Deserialize, Serialize};

use crate::phone::{Number, NumberKind};
use crate::time::Millis;

pub use burst::{Bursts, Nearby, Neighbour};
pub use repeat::{Fate, Memory, Repeat, Seen};
pub use score::{Behaviour, Reason, Score};
pub use verdict::{Confirmation, Mark, Proposal, REVIEW_AFTER, Verdict};

/// What screening counts by. Nothing here can cost a caller the seat.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Bounds {
    /// A number that calls again within this time calls repeatedly.
    pub repeat_window: Millis,
    /// So many calls in the window are repeated calls.
    pub repeat_calls: u32,
    /// Calls of one trunk in [`Self::burst_window`] that make a burst.
    pub burst_trunk_calls: u32,
    /// Calls of one radio cell or one area code in [`Self::burst_window`] that make a burst.
    pub burst_area_calls: u32,
    pub burst_window: Millis,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            repeat_window: Millis::from_secs(300),
            repeat_calls: 2,
            burst_trunk_calls: 20,
            burst_area_calls: 6,
            burst_window: Millis::from_secs(60),
        }
    }
}

/// The number as one person's: full, given by the network, not withheld, not shared by many. Absent otherwise.
#[must_use]
pub fn person<'a>(caller: &'a Number, shared: &[String]) -> Option<&'a str> {
    let own = match caller.kind {
        NumberKind::Landline | NumberKind::Mobile | NumberKind::MachineToMachine => true,
        NumberKind::Service | NumberKind::Foreign | NumberKind::Unknown => false,
    };
    let number = caller
        .e164
        .as_deref()
        .filter(|_| own && !caller.anonymous)?;
    (!shared.iter().any(|one| one == number)).then_some(number)
}
