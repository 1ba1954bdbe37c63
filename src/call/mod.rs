//! Calls and legs as pure state. Speaks no SIP: a protocol shell turns its messages into [`LegEvent`]s and
//! runs [`LegCommand`]s.

mod cause;
mod complaint;
mod form;
mod group_call;
mod leg;
mod leg_state;
mod open;
mod outbound;
mod phase;

pub use cause::Cause;
pub use complaint::{Closed, Complaint, Major, Step};
pub use form::{CallType, Chosen, Entry, Form, FormChange, FormField, Lists, Note, Sheet};
pub use group_call::{GroupCall, GroupResult, GroupState, GroupTarget, GroupWish};
pub use leg::{
    AnswerPolicy, Arrival, DialogState, Ingress, Invite, LegCommand, LegEvent, Mode, Party, Target,
};
pub use leg_state::{Hunt, Leg, LegFact, LegState};
pub use open::{Assist, Call, Capture, CrewOf, SilentCheck};
pub use outbound::{CREW, Callee, Dialling, Direction, Outbound};
pub use phase::{
    Announcement, Closing, Hearing, Hold, HoldBy, InMenu, Join, KeyPath, KeyPress, MenuHearing,
    Offer, Phase, SeatTone, Shelved, Spoken, Talking, Transfer, TransferKind, TransferTo,
    Unanswered,
};
