//! One person's word on a number, and how long it counts. A proposal is a label; only a confirmed verdict has an effect.

use serde::{Deserialize, Serialize};

use super::Score;
use crate::id::{CallId, MarkId};
use crate::time::{Millis, Timestamp};

/// A confirmed verdict ends by itself after this.
const LIFE: Millis = Millis::from_secs(30 * 24 * 60 * 60);
/// A confirmed verdict is to be looked at again after this; a proposal that nobody has looked at by then ends.
pub const REVIEW_AFTER: Millis = Millis::from_secs(7 * 24 * 60 * 60);

/// A mark on a number (骚扰标记).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Mark {
    pub mark: MarkId,
    /// E.164.
    pub number: String,
    /// As people write it.
    pub display: String,
    pub proposal: Proposal,
    pub verdict: Verdict,
}

/// Who said so first, and on what ground.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Proposal {
    /// The call that gave cause.
    pub call: CallId,
    pub by: String,
    pub at: Timestamp,
    pub reason: String,
    /// The number's calls of the last day, oldest first.
    pub evidence: Vec<CallId>,
    /// What its behaviour looked like then.
    pub score: Score,
}

/// Where a mark stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Verdict {
    Proposed,
    Confirmed(Confirmation),
    /// Taken back by a person; `confirmed` tells what it had been.
    Lifted {
        confirmed: Option<Confirmation>,
        by: String,
        at: Timestamp,
        reason: String,
    },
    Expired {
        confirmed: Option<Confirmation>,
        at: Timestamp,
    },
}

/// A supervisor's word.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confirmation {
    pub by: String,
    pub at: Timestamp,
    pub until: Timestamp,
}

impl Verdict {
    /// A supervisor confirms a proposal. Anything else is given back as it was.
    ///
    /// # Errors
    /// The verdict as it stands.
    pub fn confirm(self, by: &str, now: Timestamp) -> Result<Self, Self> {
        match self {
            Self::Proposed => Ok(Self::Confirmed(Confirmation {
                by: by.to_owned(),
                at: now,
                until: now + LIFE,
            })),
            Self::Confirmed(_) | Self::Lifted { .. } | Self::Expired { .. } => Err(self),
        }
    }

    /// A supervisor takes it back, or turns a proposal down.
    ///
    /// # Errors
    /// The verdict as it stands, when it has ended.
    pub fn lift(self, by: &str, now: Timestamp, reason: &str) -> Result<Self, Self> {
        let confirmed = self.open()?;
        Ok(Self::Lifted {
            confirmed,
            by: by.to_owned(),
            at: now,
            reason: reason.to_owned(),
        })
    }

    /// Its time is over.
    ///
    /// # Errors
    /// The verdict as it stands, when it has ended before.
    pub fn expire(self, now: Timestamp) -> Result<Self, Self> {
        let confirmed = self.open()?;
        Ok(Self::Expired { confirmed, at: now })
    }

    fn open(self) -> Result<Option<Confirmation>, Self> {
        match self {
            Self::Proposed => Ok(None),
            Self::Confirmed(confirmation) => Ok(Some(confirmation)),
            Self::Lifted { .. } | Self::Expired { .. } => Err(self),
        }
    }

    /// Proposed or confirmed.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        match self {
            Self::Proposed | Self::Confirmed(_) => true,
            Self::Lifted { .. } | Self::Expired { .. } => false,
        }
    }

    /// Confirmed by a person and neither lifted nor expired: the only state that has an effect.
    #[must_use]
    pub const fn in_force(&self) -> bool {
        match self {
            Self::Confirmed(_) => true,
            Self::Proposed | Self::Lifted { .. } | Self::Expired { .. } => false,
        }
    }

    /// The supervisor's word that it has or had.
    #[must_use]
    pub const fn confirmation(&self) -> Option<&Confirmation> {
        match self {
            Self::Confirmed(confirmation) => Some(confirmation),
            Self::Lifted { confirmed, .. } | Self::Expired { confirmed, .. } => confirmed.as_ref(),
            Self::Proposed => None,
        }
    }

    /// As people read it.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Proposed => "proposed",
            Self::Confirmed(_) => "confirmed",
            Self::Lifted { .. } => "lifted",
            Self::Expired { .. } => "expired",
        }
    }
}

impl Mark {
    /// When it ends by itself; absent once it has ended.
    #[must_use]
    pub fn until(&self) -> Option<Timestamp> {
        match &self.verdict {
            Verdict::Proposed => Some(self.proposal.at + REVIEW_AFTER),
            Verdict::Confirmed(confirmation) => Some(confirmation.until),
            Verdict::Lifted { .. } | Verdict::Expired { .. } => None,
        }
    }

    /// When a person should look at it (again) at the latest; absent once it has ended.
    #[must_use]
    pub fn review_at(&self) -> Option<Timestamp> {
        match &self.verdict {
            Verdict::Proposed => Some(self.proposal.at + REVIEW_AFTER),
            Verdict::Confirmed(confirmation) => Some(confirmation.at + REVIEW_AFTER),
            Verdict::Lifted { .. } | Verdict::Expired { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY_US: i64 = 86_400_000_000;

    fn at(days: i64) -> Timestamp {
        Timestamp::from_micros(days * DAY_US)
    }

    #[test]
    fn only_a_confirmed_verdict_is_in_force_and_it_ends_after_thirty_days() {
        assert!(!Verdict::Proposed.in_force());
        let confirmed = Verdict::Proposed.confirm("supervisor 800", at(1)).unwrap();
        assert!(confirmed.in_force());
        assert_eq!(confirmed.confirmation().unwrap().until, at(31));
        let expired = confirmed.expire(at(31)).unwrap();
        assert!(!expired.in_force() && !expired.is_open());
        assert_eq!(expired.confirmation().unwrap().by, "supervisor 800");
    }

    #[test]
    fn what_has_ended_is_neither_confirmed_nor_lifted_again() {
        let lifted = Verdict::Proposed.lift("supervisor 800", at(1), "").unwrap();
        assert_eq!(lifted.clone().confirm("a", at(2)), Err(lifted.clone()));
        assert_eq!(lifted.clone().lift("a", at(2), ""), Err(lifted.clone()));
        assert_eq!(lifted.clone().expire(at(2)), Err(lifted));
        let confirmed = Verdict::Proposed.confirm("a", at(1)).unwrap();
        assert_eq!(confirmed.clone().confirm("b", at(2)), Err(confirmed));
    }
}
