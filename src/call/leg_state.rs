//! One leg's state, and what an event of its dialog means in that state ([`LegFact`]).
//!
//! Owns the order of a dialog's events as the core sees them (RFC 3261 sections 12 to 15, told in [`LegEvent`]s).
//! Refuses to know who the leg is for: the switch reads the facts by party.
//!
//! ```text
//! inbound:   Arrived -> [EarlyMedia] -> Answering -> Up{held}
//! outbound:  Inviting -> Ringing{early_media} -> Up{held}
//! ```
//! A leg that ended or was told to end has no state: it is out of its call.

use serde::{Deserialize, Serialize};

use super::{Cause, DialogState, LegEvent, Mode, Party};
use crate::id::{LegId, SeatId, TrunkId};

/// Where a leg stands.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "leg", rename_all = "snake_case")]
pub enum LegState {
    /// Inbound, nothing sent yet.
    Arrived,
    /// Inbound, 183 sent.
    EarlyMedia,
    /// Inbound, 200 sent, its ACK not seen.
    Answering,
    /// Outbound, INVITE sent.
    Inviting,
    /// Outbound, a provisional response came.
    Ringing { early_media: bool },
    /// Both ways.
    Up { held: bool },
}

impl LegState {
    /// Its party can talk.
    #[must_use]
    pub const fn is_up(self) -> bool {
        match self {
            Self::Answering | Self::Up { .. } => true,
            Self::Arrived | Self::EarlyMedia | Self::Inviting | Self::Ringing { .. } => false,
        }
    }

    /// The name people see.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Arrived | Self::Inviting | Self::Ringing { early_media: false } => "ringing",
            Self::EarlyMedia | Self::Ringing { early_media: true } => "early_media",
            Self::Answering | Self::Up { held: false } => "up",
            Self::Up { held: true } => "held",
        }
    }
}

/// What an event of a leg means.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum LegFact {
    /// 100: the far side has it.
    Trying,
    /// It rings, or its early media began.
    Progressed {
        early_media: bool,
    },
    Answered,
    Confirmed,
    /// It ended without an answer.
    Failed {
        cause: Cause,
    },
    /// An answered or inbound leg ended.
    Ended {
        cause: Cause,
        by_far_side: bool,
    },
    Held {
        held: bool,
    },
    Digit {
        digit: char,
    },
    /// Kept, nothing to do.
    Noted,
    /// Does not fit its state; the name says how.
    Misfit {
        what: &'static str,
    },
}

/// One live leg of a call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Leg {
    pub party: Party,
    pub state: LegState,
    /// As last journaled; a restart closes the dialog from it.
    pub dialog: Option<DialogState>,
    /// The number people see.
    pub number: Option<String>,
    /// Media was told its party.
    pub tracked: bool,
    /// How a third party is being looked for.
    pub hunt: Option<Hunt>,
    /// What a supervisor does here; of no meaning for others.
    #[serde(default)]
    pub mode: Mode,
}

/// The search for a third party over the outbound trunks, or at a seat.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hunt {
    /// The leg id that the command was answered with.
    pub first: LegId,
    pub role: String,
    /// The trunk that is being tried; absent when a seat is rung.
    pub trunk: Option<TrunkId>,
    /// The seat whose phone is rung.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seat: Option<SeatId>,
    /// Trunks not yet tried.
    pub rest: Vec<TrunkId>,
    /// This trunk said that the far side rings.
    pub rang: bool,
}

impl Leg {
    /// An outbound leg whose INVITE is about to go out.
    #[must_use]
    pub const fn outbound(party: Party, number: Option<String>) -> Self {
        Self {
            party,
            state: LegState::Inviting,
            dialog: None,
            number,
            tracked: false,
            hunt: None,
            mode: Mode::Listen,
        }
    }

    /// Takes an event in and says what it means.
    pub fn on_event(&mut self, event: &LegEvent) -> LegFact {
        let (state, fact) = match event {
            LegEvent::Progress {
                status,
                early_media,
            } => on_progress(self.state, *status, *early_media),
            LegEvent::Answered => on_answered(self.state),
            LegEvent::Confirmed => on_confirmed(self.state),
            LegEvent::Failed { cause, .. } => on_end(self.state, *cause, false),
            LegEvent::FarHold { held } => on_hold(self.state, *held),
            LegEvent::Digit { digit } => (self.state, LegFact::Digit { digit: *digit }),
            LegEvent::Ended { cause, by_far_side } => on_end(self.state, *cause, *by_far_side),
            LegEvent::Dialog { state } => {
                self.dialog = Some(state.clone());
                (self.state, LegFact::Noted)
            }
        };
        self.state = state;
        fact
    }
}

fn on_progress(state: LegState, status: u16, early_media: bool) -> (LegState, LegFact) {
    match state {
        LegState::Inviting if status < 180 => (state, LegFact::Trying),
        LegState::Inviting => (
            LegState::Ringing { early_media },
            LegFact::Progressed { early_media },
        ),
        LegState::Ringing {
            early_media: before,
        } => {
            let after = before || early_media;
            let fact = if after == before {
                LegFact::Noted
            } else {
                LegFact::Progressed { early_media: after }
            };
            (LegState::Ringing { early_media: after }, fact)
        }
        LegState::Arrived | LegState::EarlyMedia | LegState::Answering => {
            misfit(state, "leg.progress_inbound")
        }
        LegState::Up { .. } => misfit(state, "leg.progress_after_answer"),
    }
}

const fn on_answered(state: LegState) -> (LegState, LegFact) {
    match state {
        LegState::Inviting | LegState::Ringing { .. } => {
            (LegState::Up { held: false }, LegFact::Answered)
        }
        LegState::Arrived | LegState::EarlyMedia | LegState::Answering => {
            misfit(state, "leg.answered_inbound")
        }
        LegState::Up { .. } => misfit(state, "leg.answered_twice"),
    }
}

const fn on_confirmed(state: LegState) -> (LegState, LegFact) {
    match state {
        LegState::Answering => (LegState::Up { held: false }, LegFact::Confirmed),
        LegState::Arrived | LegState::EarlyMedia => misfit(state, "leg.confirmed_unanswered"),
        LegState::Inviting | LegState::Ringing { .. } => misfit(state, "leg.confirmed_outbound"),
        LegState::Up { .. } => misfit(state, "leg.confirmed_twice"),
    }
}

const fn on_hold(state: LegState, held: bool) -> (LegState, LegFact) {
    match state {
        LegState::Answering | LegState::Up { .. } => {
            (LegState::Up { held }, LegFact::Held { held })
        }
        LegState::Arrived
        | LegState::EarlyMedia
        | LegState::Inviting
        | LegState::Ringing { .. } => misfit(state, "leg.hold_before_answer"),
    }
}

const fn on_end(state: LegState, cause: Cause, by_far_side: bool) -> (LegState, LegFact) {
    match state {
        LegState::Inviting | LegState::Ringing { .. } => (state, LegFact::Failed { cause }),
        LegState::Arrived | LegState::EarlyMedia | LegState::Answering | LegState::Up { .. } => {
            (state, LegFact::Ended { cause, by_far_side })
        }
    }
}

const fn misfit(state: LegState, what: &'static str) -> (LegState, LegFact) {
    (state, LegFact::Misfit { what })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leg() -> Leg {
        Leg::outbound(Party::Caller, None)
    }
    const fn progress(status: u16, early_media: bool) -> LegEvent {
        LegEvent::Progress {
            status,
            early_media,
        }
    }

    #[test]
    fn outbound_leg_rings_then_announces_then_answers_once() {
        let mut leg = leg();
        assert_eq!(leg.on_event(&progress(100, false)), LegFact::Trying);
        assert_eq!(
            leg.on_event(&progress(180, false)),
            LegFact::Progressed { early_media: false }
        );
        assert_eq!(leg.on_event(&progress(180, false)), LegFact::Noted);
        assert_eq!(
            leg.on_event(&progress(183, true)),
            LegFact::Progressed { early_media: true }
        );
        assert_eq!(leg.on_event(&LegEvent::Answered), LegFact::Answered);
        assert!(matches!(
            leg.on_event(&LegEvent::Answered),
            LegFact::Misfit { .. }
        ));
        assert!(matches!(
            leg.on_event(&progress(180, false)),
            LegFact::Misfit { .. }
        ));
    }

    #[test]
    fn end_before_the_answer_is_a_failure_and_after_it_an_end() {
        let ended = LegEvent::Ended {
            cause: Cause::Normal,
            by_far_side: true,
        };
        let mut ringing = leg();
        assert_eq!(
            ringing.on_event(&ended),
            LegFact::Failed {
                cause: Cause::Normal
            }
        );
        let mut up = leg();
        up.on_event(&LegEvent::Answered);
        assert_eq!(
            up.on_event(&ended),
            LegFact::Ended {
                cause: Cause::Normal,
                by_far_side: true
            }
        );
    }

    #[test]
    fn hold_before_the_ack_proves_the_answer() {
        let mut leg = leg();
        leg.state = LegState::Answering;
        leg.on_event(&LegEvent::FarHold { held: true });
        assert_eq!(leg.state, LegState::Up { held: true });
        assert_eq!(leg.state.name(), "held");
    }
}
