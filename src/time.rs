//! Time as data: [`Timestamp`] (microseconds since 1970 UTC) and [`Millis`]. Pure code is handed the time;
//! only [`crate::clock`] reads a clock.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A moment in UTC, in microseconds since 1970. Steps of the system clock do not move it while a process runs.
#[derive(
    Copy,
    Clone,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    utoipa::ToSchema,
)]
#[serde(transparent)]
pub struct Timestamp(i64);

impl Timestamp {
    /// From microseconds since 1970 UTC.
    #[must_use]
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Microseconds since 1970 UTC.
    #[must_use]
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// Whole milliseconds from `earlier` to here; 0 when `earlier` is later.
    #[must_use]
    pub fn millis_since(self, earlier: Self) -> u64 {
        u64::try_from((self.0.saturating_sub(earlier.0)) / 1000).unwrap_or(0)
    }

    /// The span from `earlier` to here; zero when `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// RFC 3339 with milliseconds in UTC, as in `ecr/1`: `2026-11-22T00:30:00.150Z`.
    #[must_use]
    pub fn rfc3339(self) -> String {
        let millis = self.0.div_euclid(1000);
        jiff::Timestamp::from_millisecond(millis).map_or_else(
            |_| String::from("1970-01-01T00:00:00.000Z"),
            |t| format!("{t:.3}"),
        )
    }
}

impl std::ops::Add<Millis> for Timestamp {
    type Output = Self;
    #[expect(
        clippy::suspicious_arithmetic_impl,
        reason = "a millisecond is a thousand microseconds"
    )]
    fn add(self, span: Millis) -> Self {
        Self(self.0.saturating_add(i64::from(span.0) * 1000))
    }
}

impl std::ops::Add<Duration> for Timestamp {
    type Output = Self;
    fn add(self, span: Duration) -> Self {
        Self(
            self.0
                .saturating_add(i64::try_from(span.as_micros()).unwrap_or(i64::MAX)),
        )
    }
}

/// A configured span in milliseconds.
#[derive(
    Copy, Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Millis(pub u32);

impl Millis {
    /// From whole seconds.
    #[must_use]
    pub const fn from_secs(secs: u32) -> Self {
        Self(secs * 1000)
    }
}

impl From<Millis> for Duration {
    fn from(span: Millis) -> Self {
        Self::from_millis(u64::from(span.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_print_as_the_record_wants_them() {
        assert_eq!(
            Timestamp::from_micros(1_763_771_400_150_999).rfc3339(),
            "2025-11-22T00:30:00.150Z"
        );
        assert_eq!((Timestamp::from_micros(5) + Millis(2)).as_micros(), 2005);
        assert_eq!(
            Timestamp::from_micros(1).millis_since(Timestamp::from_micros(9_000_000)),
            0
        );
    }
}
