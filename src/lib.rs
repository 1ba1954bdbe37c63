//! Firstring: the call engine of a 120 medical emergency centre.
//!
//! The map of the house (layers are held by the tidy test in `tests/suite/tidy`):
//!
//! ```text
//! L0, pure     id time limits phone matrix geo
//! core, pure   ivr call acd conference screen -> switch -> call_record
//! protocol     sip (wire dialog auth registrar trunk profile: pure | transport endpoint: shell)
//!              media (sdp rtp jitter dtmf conceal mixer tone codec: pure | port worker recorder prompt: shell)
//! shell        clock enrich deliver store api console terminal modules config cli
//! root         engine: builds the parts, wires bounded channels, ordered shutdown
//! sim          virtual time, network, callers, seats, carriers, faults
//! ```
//!
//! One loop runs everything: an [`switch::Input`] goes into the [`switch::Switch`], Events and Effects come
//! out, Inputs and Events are journaled, then the shell runs the Effects; whatever comes back is an Input again.
#![forbid(unsafe_code)]

pub mod acd;
pub mod api;
pub mod call;
pub mod call_record;
pub mod cli;
pub mod clock;
pub mod conference;
pub mod config;
pub mod console;
pub mod deliver;
pub mod demo;
pub mod engine;
pub mod enrich;
pub mod geo;
pub mod id;
pub mod ivr;
pub mod limits;
pub mod matrix;
pub mod media;
pub mod modules;
pub mod phone;
pub mod screen;
pub mod sim;
pub mod sip;
pub mod store;
pub mod switch;
pub mod terminal;
pub mod time;
