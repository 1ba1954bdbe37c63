//! What several tests use.
#![allow(dead_code, reason = "each test uses its part")]

pub mod baresip;
pub mod chromium;
pub mod demo;
pub mod desk;
pub mod kamailio;
pub mod linphone;
pub mod loop_carrier;
pub mod one_call;
pub mod postgres;
pub mod recorder;
pub mod rtp_peer;
pub mod scene;
pub mod server;
pub mod sipp;
pub mod tone;
