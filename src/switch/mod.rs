//! The deterministic core: calls, queue, seats and conference composed into one [`Switch`].
//!
//! `handle(input)` takes one [`Input`], `poll_effect()` hands out what the shell must do, `take_events()` what
//! became true, `poll_timeout()` when it must be woken. No clock, no randomness, no IO, no map with random order:
//! the same Inputs give the same state, byte by byte.

mod effect;
mod event;
mod input;
mod policy;
mod view;

pub use effect::{Effect, MediaCommand, Question, Sound};
pub use event::{AlarmCode, Event, EventKind, Outcome};
pub use input::{
    Actor, Command, CommandError, CommandReply, DispatchReport, Finding, Input, InputKind,
    LineData, LineStatus, Location, LocationSource, MediaEvent, NetworkCell, RecordingEvent, Role,
    SealedRecording, SealedTrack, SeatLink, Shape, TrunkChange,
};
pub use policy::{Centre, Policy, SeatPolicy, Strategy, Timers, TrunkPolicy};
pub use view::{
    AlarmView, CallBackView, CallState, CallView, LegView, SeatState, SeatView, TrunkView, View,
};
