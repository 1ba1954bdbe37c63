//! The one-way tap from a media worker to the recorder: fixed-size frames over a lock-free ring per worker.
//! The worker copies a payload and goes on; a full ring loses the frame for the recording (counted, alarmed),
//! never for the people who talk.

use super::session::Codec;

/// Longest payload: 60 ms of G.711.
pub const TAP_PAYLOAD_MAX: usize = 480;

/// Frames one worker's ring holds: 120 recorded calls of two 20 ms parties for 0.68 s.
pub const TAP_RING_FRAMES: usize = 8192;

/// One received packet of one track, as it came.
#[derive(Clone)]
pub struct TapFrame {
    /// The track, numbered by the plane when the switch named it ([`crate::switch::MediaCommand::Track`]).
    pub slot: u32,
    /// Arrival on the process clock, microseconds since 1970.
    pub arrived_us: i64,
    pub ssrc: u32,
    pub rtp_timestamp: u32,
    pub sequence: u16,
    pub codec: Codec,
    /// Bytes of `payload` in use.
    pub len: u16,
    pub payload: [u8; TAP_PAYLOAD_MAX],
}

/// What the plane tells the recorder, over a bounded channel beside the rings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TapControl {
    /// A recording starts for a call.
    Start {
        call: crate::id::CallId,
        recording: crate::id::RecordingId,
        at_us: i64,
    },
    /// `slot` is the track of that name in that call's recording, from now on; in others it stays what it was.
    Track {
        call: crate::id::CallId,
        slot: u32,
        name: String,
    },
    /// `slot` is no longer recorded in that call.
    Untrack { call: crate::id::CallId, slot: u32 },
    /// Nothing more will come for this call: seal it.
    Close { call: crate::id::CallId, at_us: i64 },
}
