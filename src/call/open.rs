//! One open call: who called, its legs and its phase.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    CREW, Cause, Dialling, Direction, Hold, InMenu, Ingress, Leg, LegState, Offer, Outbound, Party,
    Phase, Talking, Unanswered,
};
use crate::id::{CallId, LegId, PlayId, QueueId, RecordingId, SeatId};
use crate::matrix::Matrix;
use crate::phone::Number;
use crate::time::{Millis, Timestamp};

/// One caller's contact, from arrival until nothing more will change by itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Call {
    pub id: CallId,
    pub serial_no: String,
    pub invite_key: String,
    pub ingress: Ingress,
    /// Where it waits, or waited.
    pub queue: QueueId,
    pub caller: Number,
    pub called: String,
    pub received_at: Timestamp,
    /// Of its last event.
    pub callseq: u64,
    /// Playbacks started.
    pub plays: u32,
    pub recording: RecordingId,
    pub capture: Capture,
    /// Recordings of processes that were killed while it was open.
    #[serde(default)]
    pub earlier: Vec<(RecordingId, Capture)>,
    /// It waited too long, this time in the queue.
    pub wait_exceeded: bool,
    /// When a seat answered first.
    pub answered_at: Option<Timestamp>,
    /// The seat that handled it last.
    pub last_seat: Option<SeatId>,
    pub incident_id: Option<String>,
    /// A crew's call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crew: Option<CrewOf>,
    /// An order was issued for it.
    #[serde(default)]
    pub dispatched: bool,
    /// Its seat asks for a supervisor.
    #[serde(default)]
    pub assist: Option<Assist>,
    /// Stands so much earlier in the list, by a supervisor's order.
    #[serde(default)]
    pub ahead: Millis,
    /// What was found out about it so far: places, line data, history.
    #[serde(default)]
    pub findings: u32,
    /// Chosen in a menu; absent: the centre's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// Its seat heard nothing of the caller and had him asked for a key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub silent: Option<SilentCheck>,
    /// Absent once the caller is gone.
    pub caller_leg: Option<LegId>,
    /// Why the carrier lost the caller while others went on talking.
    pub caller_lost: Option<Cause>,
    /// Third parties rung so far, by role.
    pub thirds: BTreeMap<String, u8>,
    /// Live legs. One that was told to end is no longer here.
    pub legs: BTreeMap<LegId, Leg>,
    /// Seats that ring on although another one has answered, until that one's first sound.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub losing: Vec<Offer>,
    /// As media was told last.
    pub matrix: Matrix,
    pub phase: Phase,
    /// One of ours that tests a line: in no statistics, and nobody is called back for it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub test: bool,
    /// Absent: it came in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outbound: Option<Outbound>,
}

/// What a crew's call is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CrewOf {
    /// The call of the incident that it was sent for.
    pub call: CallId,
}

/// A seat's open request for a supervisor (呼叫班长).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assist {
    pub seat: SeatId,
    pub at: Timestamp,
    /// The supervisor who accepted it; his phone is being rung.
    pub taken: Option<SeatId>,
}

/// A caller who was asked to press a key because he could not be heard.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SilentCheck {
    pub asked_at: Timestamp,
    /// His last key since.
    pub key: Option<(char, Timestamp)>,
}

/// How the recording of a call stands.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Capture {
    /// Media was told; the recorder has not spoken.
    Asked,
    Started,
    /// Audio is being lost.
    Failed,
    Sealed,
    /// There is nothing to record.
    None,
}

impl Capture {
    /// The recorder still owes the last word on it.
    #[must_use]
    pub const fn is_open(self) -> bool {
        match self {
            Self::Asked | Self::Started => true,
            Self::Failed | Self::Sealed | Self::None => false,
        }
    }
}

impl Call {
    /// The next playback number.
    pub const fn next_play(&mut self) -> PlayId {
        self.plays = self.plays.wrapping_add(1);
        PlayId(self.plays)
    }

    /// How a recording of this call stands. What is none of the earlier ones is the present one.
    pub fn capture_mut(&mut self, recording: RecordingId) -> &mut Capture {
        let earlier = self.earlier.iter_mut().find(|(id, _)| *id == recording);
        earlier.map_or(&mut self.capture, |(_, capture)| capture)
    }

    /// All its recordings, the present one last.
    pub fn recordings(&self) -> impl Iterator<Item = (RecordingId, Capture)> + '_ {
        let present = (self.recording, self.capture);
        self.earlier.iter().copied().chain([present])
    }

    /// The menu part, while he is in one.
    pub const fn in_menu_mut(&mut self) -> Option<&mut InMenu> {
        match &mut self.phase {
            Phase::InMenu(menu) => Some(menu),
            Phase::Unanswered(_)
            | Phase::Dialling(_)
            | Phase::Talking(_)
            | Phase::Shelved(_)
            | Phase::Closing(_) => None,
        }
    }

    /// Who made it.
    #[must_use]
    pub fn direction(&self) -> Direction {
        self.outbound
            .as_ref()
            .map_or(Direction::Inbound, |outbound| outbound.direction)
    }

    /// The dialling part, while the seat that dialled is being rung.
    pub const fn dialling_mut(&mut self) -> Option<&mut Dialling> {
        match &mut self.phase {
            Phase::Dialling(dialling) => Some(dialling),
            Phase::InMenu(_)
            | Phase::Unanswered(_)
            | Phase::Talking(_)
            | Phase::Shelved(_)
            | Phase::Closing(_) => None,
        }
    }

    /// The queue part, while no seat has it.
    #[must_use]
    pub const fn unanswered(&self) -> Option<&Unanswered> {
        match &self.phase {
            Phase::Unanswered(unanswered) => Some(unanswered),
            Phase::InMenu(_)
            | Phase::Dialling(_)
            | Phase::Talking(_)
            | Phase::Shelved(_)
            | Phase::Closing(_) => None,
        }
    }

    /// The queue part, while no seat has it.
    pub const fn unanswered_mut(&mut self) -> Option<&mut Unanswered> {
        match &mut self.phase {
            Phase::Unanswered(unanswered) => Some(unanswered),
            Phase::InMenu(_)
            | Phase::Dialling(_)
            | Phase::Talking(_)
            | Phase::Shelved(_)
            | Phase::Closing(_) => None,
        }
    }

    /// The talk, while there is one.
    #[must_use]
    pub const fn talking(&self) -> Option<&Talking> {
        match &self.phase {
            Phase::Talking(talking) => Some(talking),
            Phase::InMenu(_)
            | Phase::Unanswered(_)
            | Phase::Dialling(_)
            | Phase::Shelved(_)
            | Phase::Closing(_) => None,
        }
    }

    /// The talk, while there is one.
    pub const fn talking_mut(&mut self) -> Option<&mut Talking> {
        match &mut self.phase {
            Phase::Talking(talking) => Some(talking),
            Phase::InMenu(_)
            | Phase::Unanswered(_)
            | Phase::Dialling(_)
            | Phase::Shelved(_)
            | Phase::Closing(_) => None,
        }
    }

    /// How its caller is on hold.
    #[must_use]
    pub fn hold(&self) -> Option<Hold> {
        self.talking().and_then(|talking| talking.hold)
    }

    /// A seat that is being rung for it, by its leg.
    pub fn offer_mut(&mut self, leg: LegId) -> Option<&mut Offer> {
        let offers = match &mut self.phase {
            Phase::Unanswered(unanswered) => unanswered.offers.as_mut_slice(),
            Phase::InMenu(_)
            | Phase::Dialling(_)
            | Phase::Talking(_)
            | Phase::Shelved(_)
            | Phase::Closing(_) => &mut [],
        };
        let mut rung = offers.iter_mut().chain(&mut self.losing);
        rung.find(|offer| offer.leg == leg)
    }

    /// Signalling is over.
    #[must_use]
    pub const fn is_closing(&self) -> bool {
        matches!(self.phase, Phase::Closing(_))
    }

    /// It came in, and ended because our process did.
    #[must_use]
    pub const fn cut_by_restart(&self) -> bool {
        match &self.phase {
            Phase::Closing(closing) => {
                self.outbound.is_none() && matches!(closing.cause, Cause::Restarted)
            }
            Phase::InMenu(_)
            | Phase::Unanswered(_)
            | Phase::Dialling(_)
            | Phase::Talking(_)
            | Phase::Shelved(_) => false,
        }
    }

    /// The seat that rings for it, talks in it, or owns it on the shelf.
    #[must_use]
    pub fn seat(&self) -> Option<&SeatId> {
        match &self.phase {
            Phase::Unanswered(unanswered) => unanswered.offers.first().map(|offer| &offer.seat),
            Phase::Dialling(dialling) => Some(&dialling.seat),
            Phase::Talking(talking) => talking.seat.as_ref().map(|(seat, _)| seat),
            Phase::Shelved(shelved) => shelved.owner.as_ref(),
            Phase::InMenu(_) | Phase::Closing(_) => None,
        }
    }

    /// Parties that talk or can: the caller, an answered seat, joined third parties.
    #[must_use]
    pub fn talkers(&self) -> usize {
        self.legs
            .values()
            .filter(|leg| match leg.party {
                Party::Caller => true,
                Party::Seat(_) | Party::Third { .. } => leg.state.is_up(),
                Party::Relief(_) | Party::Listener(_) => false,
            })
            .count()
    }

    /// A third party has joined.
    #[must_use]
    pub fn third_is_up(&self) -> bool {
        self.legs
            .values()
            .any(|leg| matches!(leg.party, Party::Third { .. }) && leg.state.is_up())
    }

    /// More than two talk, or could: in a call that we make the callee is the second.
    #[must_use]
    pub fn is_conference(&self) -> bool {
        self.third_is_up() && (self.outbound.is_none() || self.talkers() > 2)
    }

    /// A third party is being rung.
    #[must_use]
    pub fn third_is_rung(&self) -> bool {
        self.legs
            .values()
            .any(|leg| matches!(leg.party, Party::Third { .. }) && !leg.state.is_up())
    }

    /// Who hears how a ringing goes: the seat, or the crew of a bridge once it is up.
    #[must_use]
    pub fn tone_leg(&self) -> Option<LegId> {
        if let Some((_, leg)) = self.talking()?.seat.as_ref() {
            return Some(*leg);
        }
        let mut legs = self.legs.iter();
        let crew = legs.find(|(_, leg)| {
            leg.state.is_up() && matches!(&leg.party, Party::Third { role, .. } if role == CREW)
        });
        crew.filter(|_| self.direction() == Direction::Bridge)
            .map(|(id, _)| *id)
    }

    /// A third party rings and sends no audio of its own.
    #[must_use]
    pub fn third_rings_silently(&self) -> bool {
        self.legs.values().any(|leg| {
            matches!(leg.party, Party::Third { .. })
                && leg.state == LegState::Ringing { early_media: false }
        })
    }
}
