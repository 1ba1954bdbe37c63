//! What the switch wants done. The shell runs Effects in order, after their Inputs are committed; whatever comes
//! of one returns as an Input.

use serde::{Deserialize, Serialize};

use super::input::{CommandError, CommandReply};
use crate::call::{Arrival, LegCommand, Party};
use crate::id::{CallId, CommandId, LegId, PlayId, PromptId, RecordingId, SeatId};
use crate::matrix::Matrix;

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "effect", rename_all = "snake_case")]
pub enum Effect {
    /// Signalling of one leg.
    Leg { leg: LegId, command: LegCommand },
    /// Media of one call.
    Media { call: CallId, command: MediaCommand },
    /// The keys of this leg are told to nobody from now on until it ends: up to each `#` they are this seat's PIN, and
    /// [`InputKind::Pin`](super::InputKind::Pin) says whether it was right.
    AskPin { leg: LegId, seat: SeatId },
    /// Ask the enrichment about a call. Answers come as `Found`, or never.
    Ask { call: CallId, question: Question },
    /// Answer a command.
    Reply {
        id: CommandId,
        result: Result<CommandReply, CommandError>,
    },
}

/// What media is told. Legs are opened and closed by the signalling shell, which owns ports and SDP.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "media", rename_all = "snake_case")]
pub enum MediaCommand {
    /// Record the call from now on: every leg that has or gets a track.
    Record { recording: RecordingId },
    /// The leg is this party and has a track of that name in this call's recording. A leg without a track is not
    /// recorded. `of`: the serial number of its own call, when it is a leg of another call that is joined to this one.
    Track {
        leg: LegId,
        party: Party,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        of: Option<String>,
    },
    /// What the leg says is recorded no longer, in no call. A later `Track` goes on in the same track.
    Untrack { leg: LegId },
    /// Who hears whom from now on; legs not yet open are taken in when they open.
    Matrix { matrix: Matrix },
    /// Play `sounds` in order to one leg, mixed over what it hears, instead of its earlier playback. With `repeat`
    /// the last sound goes on until `Stop` and no end is reported.
    Play {
        leg: LegId,
        play: PlayId,
        sounds: Vec<Sound>,
        repeat: bool,
    },
    /// Stop the leg's playback.
    Stop { leg: LegId },
    /// A `*` of this leg begins a star code from now on, and one under way is complete: its keys are told to the switch
    /// and heard by nobody.
    StarCodes { leg: LegId },
    /// Keys in the sound of this leg are told from now on ([`MediaEvent::Tone`](super::MediaEvent)), as long as it lives.
    Hear { leg: LegId },
    /// The leg belongs to another call from now on (gap <= 40 ms); its tracks end here.
    Move { leg: LegId, to: CallId },
    /// The call's legs, present and to come, are in the media of `host` from now on (gap <= 40 ms): its matrix names
    /// them. Their tracks and playbacks go on.
    Join { host: CallId },
    /// They are back in their own call's media. Tracks of the other calls' legs end here, and theirs there.
    Part,
    /// The call is over: seal its recording, forget it.
    Close,
}

/// Something to hear.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sound {
    Prompt(PromptId),
    /// 450 Hz, 1 s on, 4 s off (YD/T national tone plan).
    RingBack,
    /// 450 Hz, 0.35 s on, 0.35 s off.
    Busy,
    /// 450 Hz, 0.7 s on, 0.7 s off: the way there is blocked.
    Congestion,
    /// 450 Hz, three times 0.1 s, then 0.4 s: no such number (空号音).
    NoSuchNumber,
    /// The short tone at entry (接入提示音).
    Entry,
    Music,
    /// Two low short notes for a seat's ear alone (受理时间提示).
    Soft,
    /// Telephone keys as sound (ITU-T Q.23), 0.2 s each.
    Keys(String),
    /// Milliseconds of silence.
    Silence(u32),
}

impl Sound {
    /// The same in another language: `greeting` becomes `en/greeting`. Media plays the centre's own where that one misses.
    #[must_use]
    pub fn spoken_in(self, language: &str) -> Self {
        match self {
            Self::Prompt(prompt) => Self::Prompt(PromptId(format!("{language}/{prompt}"))),
            Self::RingBack
            | Self::Busy
            | Self::Congestion
            | Self::NoSuchNumber
            | Self::Entry
            | Self::Music
            | Self::Soft
            | Self::Keys(_)
            | Self::Silence(_) => self,
        }
    }
}

/// What the switch wants to know about a call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "question", rename_all = "snake_case")]
pub enum Question {
    /// All sources, in parallel, each with its own budget.
    WhoAndWhere {
        arrival: Box<Arrival>,
        e164: Option<String>,
    },
}
