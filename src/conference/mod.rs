//! Membership of a call's audio -> who hears whom. Pure; knows legs and voices, neither calls nor seats.
//!
//! ```text
//! hearer \ source   Guest  Host  Announcing  Listener  Whisperer
//! Guest              yes   yes      -           -         -
//! Host               yes   yes     yes          -        yes
//! Announcing          -     -       -           -         -
//! Listener           yes   yes     yes          -         -
//! Whisperer          yes   yes     yes          -         -
//! ```
//! Nobody ever hears himself, a listener is heard by nobody, a whisperer by hosts only. A supervisor's mode is one of
//! the last two, or Host: a change is another matrix, never another leg.

use serde::{Deserialize, Serialize};

use crate::id::LegId;
use crate::matrix::Matrix;

/// What a leg is in the audio of its call.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Voice {
    /// Talks and hears: a caller, a joined third party.
    Guest,
    /// Talks and hears, also what a ringing third party announces and a supervisor whispers: a seat.
    Host,
    /// A third party before its answer: its early media is for hosts only, so the caller never hears a dead or
    /// strange line.
    Announcing,
    /// Hears everything, inaudibly.
    Listener,
    /// Hears everything and is heard by hosts only.
    Whisperer,
}

impl Voice {
    /// A party of the talk.
    #[must_use]
    pub const fn talks(self) -> bool {
        matches!(self, Self::Guest | Self::Host)
    }

    const fn hears(self, source: Self) -> bool {
        match self {
            Self::Guest => source.talks(),
            Self::Host => match source {
                Self::Guest | Self::Host | Self::Announcing | Self::Whisperer => true,
                Self::Listener => false,
            },
            Self::Listener | Self::Whisperer => match source {
                Self::Guest | Self::Host | Self::Announcing => true,
                Self::Listener | Self::Whisperer => false,
            },
            Self::Announcing => false,
        }
    }
}

/// Who hears whom among `members`.
#[must_use]
pub fn matrix(members: &[(LegId, Voice)]) -> Matrix {
    let mut matrix = Matrix::silent();
    for (hearer, ear) in members {
        for (source, voice) in members {
            if ear.hears(*voice) {
                matrix.hear(*hearer, *source);
            }
        }
    }
    matrix
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn leg(n: u128) -> LegId {
        LegId(Uuid::from_u128(n))
    }
    fn heard(matrix: &Matrix, hearer: u128) -> Vec<LegId> {
        matrix.sources(leg(hearer)).collect()
    }

    #[test]
    fn three_parties_hear_each_other_and_never_themselves() {
        let members = [
            (leg(1), Voice::Guest),
            (leg(2), Voice::Host),
            (leg(3), Voice::Guest),
        ];
        assert_eq!(
            matrix(&members),
            Matrix::everyone(&[leg(1), leg(2), leg(3)])
        );
    }

    #[test]
    fn early_media_of_a_third_party_is_heard_by_the_seat_only() {
        let members = [
            (leg(1), Voice::Guest),
            (leg(2), Voice::Host),
            (leg(3), Voice::Announcing),
        ];
        let matrix = matrix(&members);
        assert_eq!(heard(&matrix, 1), [leg(2)]);
        assert_eq!(heard(&matrix, 2), [leg(1), leg(3)]);
        assert!(heard(&matrix, 3).is_empty());
    }

    #[test]
    fn whisper_reaches_the_seats_and_nobody_else_in_a_talk_of_three() {
        let members = [
            (leg(1), Voice::Guest),
            (leg(2), Voice::Host),
            (leg(3), Voice::Guest),
            (leg(8), Voice::Listener),
            (leg(9), Voice::Whisperer),
        ];
        let matrix = matrix(&members);
        assert_eq!(heard(&matrix, 1), [leg(2), leg(3)]);
        assert_eq!(heard(&matrix, 2), [leg(1), leg(3), leg(9)]);
        assert_eq!(heard(&matrix, 3), [leg(1), leg(2)]);
        assert_eq!(heard(&matrix, 8), [leg(1), leg(2), leg(3)]);
        assert_eq!(heard(&matrix, 9), [leg(1), leg(2), leg(3)]);
    }

    #[test]
    fn listener_hears_all_and_is_heard_by_nobody() {
        let members = [
            (leg(1), Voice::Guest),
            (leg(2), Voice::Host),
            (leg(9), Voice::Listener),
            (leg(8), Voice::Listener),
        ];
        let matrix = matrix(&members);
        assert_eq!(heard(&matrix, 9), [leg(1), leg(2)]);
        for hearer in matrix.hearers() {
            assert!(!matrix.sources(hearer).any(|s| s == leg(9) || s == leg(8)));
        }
    }
}
