//! What if there were other seats: the calls of a centre, recorded or generated, lived through by the real switch with so
//! many seats and so many more, and how soon they are answered each time.
//!
//! ```text
//! journal | published mix -> Traffic (who comes when, stays how long, talks how long)
//!                               | for each number of seats: the switch in virtual time -> waits, busy seats
//!                               v
//!                            Answer -> table, plot
//! ```
//! Owns: traffic, the people who live it, what is counted. Refuses to know: files, except the journal that
//! [`recorded`] reads. The same traffic, seed and seats give the same answer to the last byte, on any number of cores.
//! A day that no one answers at all tells nothing, so at least one seat is asked for. What is simplified stands in
//! docs/what-if.md.

mod answer;
mod draw;
mod generated;
mod plot;
mod recorded;
mod run;
mod table;

#[cfg(test)]
mod tests;

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

pub use answer::{Answer, Hour, Row, ask};
pub use generated::{CALLS_A_DAY, generated};
pub use plot::plot;
pub use recorded::{RecordedError, recorded};
pub use table::table;

use crate::id::QueueId;
use crate::switch::Policy;
use crate::time::{Millis, Timestamp};

/// Most seats that are tried.
pub const SEATS_MAX: u32 = 500;
/// Who hangs up sooner had not begun to wait (短放弃).
const SHORT: Millis = Millis::from_secs(5);

/// Language of table and plot.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Language {
    Zh,
    En,
}

/// What is to be reached: `percent` of all callers answered `within` their arrival.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Goal {
    pub percent: u32,
    pub within: Millis,
}

/// How many seats are tried, such as `4` or `3..9`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seats(pub RangeInclusive<u32>);

/// Why a number of seats is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SeatsError {
    #[error("`{0}` is no number of seats; write 4, or 3..9 for each from 3 to 9")]
    Unreadable(String),
    #[error("nobody answers at {got} seats; 1 to {SEATS_MAX} can be tried")]
    Range { got: u32 },
    #[error("{from}..{to} begins behind its end; write {to}..{from}")]
    Backwards { from: u32, to: u32 },
}

impl FromStr for Seats {
    type Err = SeatsError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let unreadable = || SeatsError::Unreadable(text.to_owned());
        let number = |part: &str| part.trim().parse::<u32>().map_err(|_| unreadable());
        let (from, to) = match text.split_once("..") {
            Some((from, to)) => (number(from)?, number(to.trim_start_matches('='))?),
            None => (number(text)?, number(text)?),
        };
        if let Some(got) = [from, to]
            .into_iter()
            .find(|n| !(1..=SEATS_MAX).contains(n))
        {
            return Err(SeatsError::Range { got });
        }
        if from > to {
            return Err(SeatsError::Backwards { from, to });
        }
        Ok(Self(from..=to))
    }
}

/// Calls to live through, and by which rules.
#[derive(Clone, Debug)]
pub struct Traffic {
    source: Source,
    policy: Policy,
    stretches: Vec<Stretch>,
}

/// Where the calls come from.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Source {
    Generated {
        seed: u64,
        days: u32,
        /// On the mean.
        calls_a_day: u32,
    },
    Recorded {
        from: Timestamp,
        to: Timestamp,
        /// Calls that came to the queue and ended.
        calls: u64,
        /// Of them, those that no seat answered.
        unanswered: u64,
        /// Calls that could not be taken over: still open, refused, or lost with the engine before they waited.
        left_out: u64,
        growth_percent: i32,
    },
}

/// Some time without a break, lived through in one piece.
#[derive(Clone, Debug)]
struct Stretch {
    seed: u64,
    begins: Timestamp,
    ends: Timestamp,
    callers: Vec<Caller>,
}

/// A caller, whom it takes so long to help however many seats there are.
#[derive(Clone, Debug)]
struct Caller {
    comes: Comes,
    /// As the carrier gives it; empty: none.
    number: String,
    /// He withholds it.
    anonymous: bool,
    queue: QueueId,
    /// Hangs up unanswered after this; absent: never.
    patience: Option<Millis>,
    /// The seat that is rung picks up after this.
    off_hook: Millis,
    /// Answer to the end of the talk.
    talk: Millis,
    /// The seat says that it is ready so long after the talk; absent: it lets the centre's after-call time run.
    wrap_up: Option<Millis>,
    /// A module opens an incident so long after the answer.
    incident: Option<Millis>,
}

/// When a caller comes.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Comes {
    At(Timestamp),
    /// So long after that one gave up; not at all when it was answered.
    Again {
        after: usize,
        gap: Millis,
    },
}

impl Traffic {
    /// Seats busy at once on the mean, if all were answered at once: below this no number of seats can do.
    fn load(&self) -> f64 {
        let wrap_up = self.policy.timers.wrap_up;
        let busy = |caller: &Caller| {
            let after = caller.wrap_up.map_or(wrap_up, |own| own.min(wrap_up));
            u64::from(caller.off_hook.0) + u64::from(caller.talk.0) + u64::from(after.0)
        };
        let comes = |caller: &&Caller| matches!(caller.comes, Comes::At(_));
        let callers = self.stretches.iter().flat_map(|s| &s.callers);
        let busy: u64 = callers.filter(comes).map(busy).sum();
        let span = self.stretches.iter().map(Stretch::span_ms).sum::<u64>();
        busy as f64 / span.max(1) as f64
    }
}

impl Stretch {
    fn span_ms(&self) -> u64 {
        self.ends.millis_since(self.begins)
    }
}

impl fmt::Display for Goal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} % / {} s", self.percent, seconds(self.within))
    }
}

/// `10` or `7.5`.
fn seconds(span: Millis) -> String {
    if span.0.is_multiple_of(1000) {
        (span.0 / 1000).to_string()
    } else {
        format!("{:.1}", f64::from(span.0) / 1000.0)
    }
}
