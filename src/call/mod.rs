//! Calls and legs as pure state. Speaks no SIP: a protocol shell turns its messages into [`LegEvent`]s and
//! runs [`LegCommand`]s.

mod cause;
mod leg;

pub use cause::Cause;
pub use leg::{
    AnswerPolicy, Arrival, DialogState, Ingress, Invite, LegCommand, LegEvent, Party, Target,
};
