//! Typed ids. A call, a leg and a seat can never be mixed up, and every id is serialisable.
//!
//! Ids of things that the outside starts (an INVITE, a command) are made by the shell; ids of things that the
//! [`Switch`](crate::switch::Switch) starts come from [`IdSource`], so a replay makes the same ones.

use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::time::Timestamp;

macro_rules! uuid_ids {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.hyphenated().fmt(f)
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.0.hyphenated())
            }
        }
        impl std::str::FromStr for $name {
            type Err = uuid::Error;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Uuid::parse_str(text).map(Self)
            }
        }
        impl From<Uuid> for $name {
            fn from(id: Uuid) -> Self {
                Self(id)
            }
        }
    )+};
}

macro_rules! name_ids {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema)]
        #[serde(transparent)]
        pub struct $name(pub String);

        impl $name {
            /// The name as configured.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.0)
            }
        }
        impl From<&str> for $name {
            fn from(name: &str) -> Self {
                Self(name.to_owned())
            }
        }
        impl From<String> for $name {
            fn from(name: String) -> Self {
                Self(name)
            }
        }
    )+};
}

uuid_ids! {
    /// One caller's contact, from arrival to end (呼叫). UUIDv7.
    CallId,
    /// One SIP dialog with its media (侧). UUIDv7.
    LegId,
    /// One journal Event. UUIDv7; the same id on every delivery of it.
    EventId,
    /// One API command, chosen by the shell to route the reply.
    CommandId,
    /// One recording (录音) of a call.
    RecordingId,
    /// One entry of the call-back list (回拨).
    CallBackId,
    /// One mark on a number (骚扰标记).
    MarkId,
    /// One complaint (投诉).
    ComplaintId,
    /// One handover of a shift (交接班).
    HandoverId,
    /// One group call (群呼).
    GroupCallId,
}

impl CallId {
    /// When it was made, to the millisecond, as its first bits say (RFC 9562, 5.7).
    #[must_use]
    pub fn made_at(self) -> Option<Timestamp> {
        let (seconds, nanos) = self.0.get_timestamp()?.to_unix();
        let micros = i64::try_from(seconds).ok()?.checked_mul(1_000_000)?;
        Some(Timestamp::from_micros(
            micros.checked_add(i64::from(nanos / 1_000))?,
        ))
    }
}

name_ids! {
    /// A configured carrier connection (中继).
    TrunkId,
    /// A configured working position (坐席), by its short number such as `801`.
    SeatId,
    /// A telephone (话机), by the account that it registers with.
    PhoneId,
    /// A configured queue (排队).
    QueueId,
    /// Configured people outside (邻近中心、移动组) who may take a waiting call.
    ReliefId,
    /// Configured numbers that are rung together (群组).
    GroupId,
    /// A stored announcement (提示音), such as `greeting`.
    PromptId,
    /// A configured menu (语音菜单).
    MenuId,
    /// A configured receiver of call records, such as `dispatch` or `emr`.
    DestinationId,
}

/// Number of one playback on a leg; grows per call so that a late end report of an older one is recognised.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PlayId(pub u32);

/// Makes UUIDv7 ids from a seed and a counter: no clock and no randomness inside the core.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct IdSource {
    seed: u64,
    made: u64,
}

impl IdSource {
    /// A source whose ids differ from those of every other seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { seed, made: 0 }
    }

    /// The next id, sortable by `now` (RFC 9562 section 5.7).
    pub fn next_uuid(&mut self, now: Timestamp) -> Uuid {
        self.made += 1;
        let high = split_mix(self.seed ^ self.made.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let low = split_mix(high ^ self.seed.rotate_left(32));
        let mut random = [0_u8; 10];
        random[..2].copy_from_slice(&high.to_be_bytes()[..2]);
        random[2..].copy_from_slice(&low.to_be_bytes());
        let millis = u64::try_from(now.as_micros() / 1000).unwrap_or(0);
        uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid()
    }
}

/// SplitMix64 finaliser (Steele, Lea, Flood 2014).
fn split_mix(mut z: u64) -> u64 {
    z = z.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_one_seed_repeat_and_never_collide() {
        let now = Timestamp::from_micros(1_763_778_000_000_000);
        let ids: Vec<_> = {
            let mut source = IdSource::new(7);
            (0..10_000).map(|_| source.next_uuid(now)).collect()
        };
        let mut again = IdSource::new(7);
        assert!(ids.iter().all(|id| *id == again.next_uuid(now)));
        let unique: std::collections::BTreeSet<_> = ids.iter().collect();
        assert_eq!(unique.len(), ids.len());
        assert_eq!(ids[0].get_version_num(), 7);
    }
}
