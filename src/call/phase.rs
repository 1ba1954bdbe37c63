//! The states of a call, data inside the variant.
//!
//! ```text
//! InMenu --key, silence, fault, time up--> Unanswered
//! Unanswered(hearing, offers) -seat answers--> Talking --seat's line lost--> Unanswered (queue's head)
//!      ^--- key, time up, idle seat, taken back --- Shelved <--- seat puts it aside ---+
//!      |  people see: Arriving, Greeting, Waiting, Offered   |  people see: Talking, Conferencing
//!      +--- caller leaves, carrier fails ---> Closing <------+--- caller or seat hangs up
//! Dialling -the seat that dialled picks up--> Talking, its callee being rung
//! ```
//! What the caller hears ([`Hearing`]) and which seats are being rung ([`Offer`]) go on side by side, because a seat
//! rings while the greeting plays.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{Cause, Dialling};
use crate::id::{CallId, LegId, MenuId, PlayId, PromptId, QueueId, SeatId};
use crate::ivr::Walk;
use crate::time::{Millis, Timestamp};

/// The same key by the other path within this is the same press.
const SAME_PRESS_SPAN: Millis = Millis(1000);

/// Where a call stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "phase", rename_all = "snake_case")]
pub enum Phase {
    InMenu(Box<InMenu>),
    Unanswered(Unanswered),
    /// A call that we make: the seat that dialled is being rung.
    Dialling(Dialling),
    Talking(Talking),
    Shelved(Shelved),
    Closing(Closing),
}

/// The caller chooses in a menu, before any queue. A deadline that leads to a queue is armed at all times.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InMenu {
    pub menu: MenuId,
    pub walk: Walk,
    /// Nobody stays longer than until here.
    pub until: Timestamp,
    pub since: Timestamp,
    pub heard: MenuHearing,
    /// The last key: the same one by the other path is the same press.
    pub key: Option<KeyPress>,
}

/// What a caller in a menu hears.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "hears", rename_all = "snake_case")]
pub enum MenuHearing {
    /// The 200 is on its way; these prompts come first.
    Nothing {
        prompts: Vec<PromptId>,
    },
    Prompts {
        play: PlayId,
    },
    /// A key is being waited for.
    Quiet,
}

/// One press of a key.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyPress {
    pub digit: char,
    pub path: KeyPath,
    pub at: Timestamp,
}

impl KeyPress {
    /// The same key by the other path at nearly the same time: a phone that sends each key both ways.
    #[must_use]
    pub fn is_echo_of(self, before: Self) -> bool {
        self.digit == before.digit
            && self.path != before.path
            && self.at < before.at + SAME_PRESS_SPAN
    }
}

/// How a key reached us.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyPath {
    /// RFC 4733, in the media.
    Media,
    /// SIP INFO.
    Signalling,
}

/// No seat has it: it stands in the queue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unanswered {
    /// Since when in the queue this time.
    pub since: Timestamp,
    pub hearing: Hearing,
    /// Seats that are being rung for it: the first is its own, the others ring beside and are taken back when another
    /// call needs them.
    pub offers: Vec<Offer>,
    /// The last position told to the caller.
    pub spoken: Option<Spoken>,
    /// The still-waiting prompt is due as soon as nothing else is being said.
    pub still_waiting_due: bool,
    /// A person named the seat that rings; no other rings beside it meanwhile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked: Option<SeatId>,
    /// That seat is rung because another one transfers the call to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transfer: Option<Box<Transfer>>,
    /// The seat whose line was lost, and until when it gets the call back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub back: Option<(SeatId, Timestamp)>,
}

/// What an unanswered caller hears.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "hears", rename_all = "snake_case")]
pub enum Hearing {
    /// Nothing yet: the 200 is on its way.
    Nothing,
    /// An announcement that is not cut.
    Prompt {
        prompt: Announcement,
        play: PlayId,
    },
    /// An announcement just ended.
    Between,
    RingBack,
    Music,
    /// Other people: a third party stayed when the seat's line was lost.
    People,
}

/// Announcements to a waiting caller.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Announcement {
    Greeting,
    AllBusy,
    StillWaiting,
    LineFault,
    Shelved,
}

/// A position as told to the caller.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spoken {
    /// Calls before it.
    pub position: u32,
    pub at: Timestamp,
}

/// A seat asked to take the call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offer {
    pub seat: SeatId,
    pub leg: LegId,
    /// The phone gave any sign of life.
    pub alive: bool,
    /// The phone said that it rings.
    pub rang: bool,
    /// No other seat was rung for the call all the while.
    pub sole: bool,
}

/// Parties talk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Talking {
    /// The seat and its leg; absent after the seat left the caller with a third party.
    pub seat: Option<(SeatId, LegId)>,
    /// The caller is on hold and hears music.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<Hold>,
    /// What the seat hears of a third party being rung.
    pub tone: SeatTone,
    /// It is being given to somebody else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transfer: Option<Box<Transfer>>,
    /// Other calls that talk with it as one.
    #[serde(default, skip_serializing_if = "Join::is_apart")]
    pub join: Join,
}

/// A caller on hold (保持): he hears music and nobody, and nobody hears him.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    pub since: Timestamp,
    pub by: HoldBy,
    /// It has lasted so long that people were told.
    pub reminded: bool,
}

/// What put a caller on hold.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HoldBy {
    Command,
    /// The seat's phone, by a re-INVITE (RFC 3264 8.4). Only the phone takes it back.
    Phone,
}

/// A transfer under way (转移).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transfer {
    pub from: SeatId,
    pub to: TransferTo,
    pub kind: TransferKind,
    /// The target's leg while the call is in talk; of a number, the first that was rung.
    pub leg: Option<LegId>,
}

/// Whom a call is transferred to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TransferTo {
    Seat(SeatId),
    Queue(QueueId),
    /// Through the outbound trunks.
    Number(String),
}

impl TransferTo {
    /// The seat, the queue or the number.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Seat(seat) => seat.as_str(),
            Self::Queue(queue) => queue.as_str(),
            Self::Number(number) => number,
        }
    }
}

/// How a call is transferred.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TransferKind {
    /// The seat leaves at once.
    Blind,
    /// The caller is on hold while the two speak.
    Attended,
    /// All three talk first.
    Conference,
}

/// How a talk stands to the other calls of one conversation (合并通话). Both sides name each other.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "join", rename_all = "snake_case")]
pub enum Join {
    #[default]
    Apart,
    /// Its seat joined these calls to it.
    Host { guests: BTreeSet<CallId> },
    /// Its parties talk in the conversation of that call.
    Guest { host: CallId },
}

impl Join {
    const fn is_apart(&self) -> bool {
        matches!(self, Self::Apart)
    }
}

/// Call-progress tone in the seat's ear.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "tone", rename_all = "snake_case")]
pub enum SeatTone {
    Quiet,
    /// Silence in packets, while its caller is on hold and nobody else talks: phones end calls that bring none.
    Hush,
    RingBack,
    /// One that ends by itself: the third party could not be reached, or a star code was heard.
    #[serde(alias = "failed")]
    Once {
        play: PlayId,
    },
}

/// A seat put it aside (受理搁置): in no queue. A deadline that leads to one is armed at all times.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shelved {
    /// The seat that takes it back; absent once that seat takes no calls any more: anybody.
    pub owner: Option<SeatId>,
    pub since: Timestamp,
    /// Nobody stays longer than until here.
    pub until: Timestamp,
    pub hearing: Hearing,
}

/// Signalling is over; the recording is being sealed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Closing {
    pub cause: Cause,
    pub at: Timestamp,
}

impl Unanswered {
    /// Enters the queue now, having heard nothing yet.
    #[must_use]
    pub const fn entered(now: Timestamp) -> Self {
        Self {
            since: now,
            hearing: Hearing::Nothing,
            offers: Vec::new(),
            spoken: None,
            still_waiting_due: false,
            asked: None,
            transfer: None,
            back: None,
        }
    }
}

impl Talking {
    /// A seat picked up.
    #[must_use]
    pub const fn with_seat(seat: SeatId, leg: LegId) -> Self {
        Self {
            seat: Some((seat, leg)),
            hold: None,
            tone: SeatTone::Quiet,
            transfer: None,
            join: Join::Apart,
        }
    }

    /// The seat has left the others to themselves.
    #[must_use]
    pub const fn without_seat() -> Self {
        Self {
            seat: None,
            hold: None,
            tone: SeatTone::Quiet,
            transfer: None,
            join: Join::Apart,
        }
    }

    /// The seat's line was lost: back to the queue. `with_people`: a third party is still there to talk to.
    #[must_use]
    pub fn seat_lost(self, now: Timestamp, with_people: bool) -> Unanswered {
        let mut unanswered = Unanswered::entered(now);
        unanswered.hearing = if with_people {
            Hearing::People
        } else {
            Hearing::Between
        };
        unanswered
    }
}

impl Hearing {
    /// Something is being played to the caller.
    #[must_use]
    pub const fn plays(self) -> bool {
        match self {
            Self::Prompt { .. } | Self::RingBack | Self::Music => true,
            Self::Nothing | Self::Between | Self::People => false,
        }
    }
}
