//! Which deliveries a revision makes.

use serde::{Deserialize, Serialize};

use super::CallRecord;
use crate::switch::EventKind;

/// What a destination is told. Prints as it stands in the delivery's `type`.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum DeliveryType {
    /// The first revision.
    #[serde(rename = "call.arrived")]
    Arrived,
    /// Any later one.
    #[serde(rename = "call.enriched")]
    Enriched,
    /// Nothing more will change by itself; the recording's metadata is in it.
    #[serde(rename = "call.closed")]
    Closed,
}

impl DeliveryType {
    /// All of them, in the order they come in a call's life.
    pub const ALL: [Self; 3] = [Self::Arrived, Self::Enriched, Self::Closed];

    /// The public name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Arrived => "call.arrived",
            Self::Enriched => "call.enriched",
            Self::Closed => "call.closed",
        }
    }

    /// The type of a public name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

/// The delivery that the step from `before` to `after` makes; `None` when the Event changed nothing.
#[must_use]
pub fn publish(
    kind: &EventKind,
    before: Option<&CallRecord>,
    after: &CallRecord,
) -> Option<DeliveryType> {
    let rev_before = before.map_or(0, |record| record.rev);
    if rev_before == after.rev {
        None
    } else if matches!(kind, EventKind::CallSettled {}) {
        Some(DeliveryType::Closed)
    } else if rev_before == 0 {
        // Whatever it was: a call whose first Event was lost with a full spool still arrives.
        Some(DeliveryType::Arrived)
    } else {
        Some(DeliveryType::Enriched)
    }
}
