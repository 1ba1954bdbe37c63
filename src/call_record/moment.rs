//! A time as the record shows it.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::time::Timestamp;

/// A time cut to whole milliseconds: what is printed is what spans are computed from, so that they always agree.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(Timestamp);

impl Moment {
    /// The time itself.
    #[must_use]
    pub const fn timestamp(self) -> Timestamp {
        self.0
    }

    /// Whole milliseconds from `earlier` to here; 0 when `earlier` is later.
    #[must_use]
    pub fn millis_since(self, earlier: Self) -> u64 {
        self.0.millis_since(earlier.0)
    }
}

impl From<Timestamp> for Moment {
    fn from(at: Timestamp) -> Self {
        Self(Timestamp::from_micros(
            at.as_micros().div_euclid(1000) * 1000,
        ))
    }
}

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0.rfc3339())
    }
}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let at: jiff::Timestamp = text.parse().map_err(serde::de::Error::custom)?;
        Ok(Timestamp::from_micros(at.as_microsecond()).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moment_reads_back_what_it_printed() {
        let moment = Moment::from(Timestamp::from_micros(1_763_771_400_150_999));
        let text = serde_json::to_string(&moment).unwrap();
        assert_eq!(text, "\"2025-11-22T00:30:00.150Z\"");
        assert_eq!(serde_json::from_str::<Moment>(&text).unwrap(), moment);
    }
}
