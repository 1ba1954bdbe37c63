//! The one place that reads clocks. Wall time is read once at start; after that only the monotonic clock moves
//! it, so a step of the system clock changes no timer, no order and no duration.

use std::sync::OnceLock;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::time::Timestamp;

/// The process clock: wall time at start + monotonic time since.
#[derive(Copy, Clone, Debug)]
pub struct Clock {
    wall: i64,
    start: Instant,
}

impl Clock {
    /// The clock of this process; every caller gets the same one.
    #[must_use]
    #[expect(
        clippy::disallowed_methods,
        reason = "this file is where clocks are read"
    )]
    pub fn process() -> Self {
        static CLOCK: OnceLock<Clock> = OnceLock::new();
        *CLOCK.get_or_init(|| Self {
            wall: SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .map_or(0, |d| i64::try_from(d.as_micros()).unwrap_or(0)),
            start: Instant::now(),
        })
    }

    /// Now.
    #[must_use]
    pub fn now(self) -> Timestamp {
        Timestamp::from_micros(
            self.wall + i64::try_from(self.start.elapsed().as_micros()).unwrap_or(i64::MAX),
        )
    }

    /// The monotonic instant of `at`, for sleeping until it.
    #[must_use]
    pub fn instant_of(self, at: Timestamp) -> Instant {
        let micros = u64::try_from(at.as_micros().saturating_sub(self.wall)).unwrap_or(0);
        self.start + std::time::Duration::from_micros(micros)
    }

    /// How far the system's wall clock has moved away from this clock, in microseconds (positive: system is ahead).
    #[must_use]
    #[expect(
        clippy::disallowed_methods,
        reason = "this file is where clocks are read"
    )]
    pub fn wall_drift_micros(self) -> i64 {
        let wall = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |d| i64::try_from(d.as_micros()).unwrap_or(0));
        wall - self.now().as_micros()
    }
}
