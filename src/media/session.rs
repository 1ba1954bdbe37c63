//! One leg's media session as SDP agreed it (RFC 3264). Written by `sdp`, read by the worker.

use std::net::SocketAddr;

/// What both sides agreed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Where the far side says it receives RTP. The first valid packets may correct it, then it is locked.
    pub remote: SocketAddr,
    /// Where it receives RTCP; `remote` port + 1 unless `a=rtcp` (RFC 3605) said otherwise.
    pub remote_rtcp: SocketAddr,
    pub codec: Codec,
    /// Payload type of `codec` towards the far side and from it.
    pub payload_type: u8,
    /// Packet time we send, in ms: the far side's `a=ptime`, else 20. One of 10, 20, 30, 40, 60.
    pub ptime_ms: u16,
    /// Payload type of `telephone-event/8000`, when agreed.
    pub dtmf: Option<u8>,
    /// Payload type of comfort noise, when agreed (RFC 3389).
    pub comfort_noise: Option<u8>,
    pub direction: Direction,
}

/// Audio codecs a SIP leg speaks at this stage.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub enum Codec {
    /// G.711 A-law, 8 kHz.
    Pcma,
    /// G.711 mu-law, 8 kHz.
    Pcmu,
}

/// Direction from our side: what we do (RFC 3264 section 6.1).
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    SendRecv,
    /// The far side holds us: we send (music or silence), it does not.
    SendOnly,
    RecvOnly,
    Inactive,
}
