//! Media: RTP in, RTP out, prompts, mixing and the tap for the recorder.
//!
//! Pure parts know nothing of calls; the shell parts (`worker`, recorder, port) own sockets and threads.
//! Signalling owns legs and SDP and reaches media only through [`MediaGate`]; the switch reaches it only through
//! [`MediaCommand`](crate::switch::MediaCommand)s.

pub mod capture;
pub mod codec;
pub mod conceal;
pub mod dtmf;
pub mod jitter;
pub mod line;
pub mod mixer;
pub mod plan;
pub mod plane;
pub mod player;
pub mod port;
pub mod prompt;
pub mod recorder;
pub mod rtcp;
pub mod rtp;
pub mod sdp;
pub mod session;
pub mod source;
pub mod stats;
pub mod tap;
pub mod tone;
pub mod touch;
pub mod track;
pub mod wav;
mod worker;

use std::net::SocketAddr;

use crate::id::{CallId, LegId};
use session::Session;

/// What signalling asks of media. Never blocks longer than a lock on the control path.
pub trait MediaGate: Send + Sync {
    /// Reserve a port for a leg of `call` and return the address to write into SDP.
    ///
    /// # Errors
    /// [`OpenError`] when no port or descriptor is left; the caller answers 503.
    fn open(&self, call: CallId, leg: LegId) -> Result<SocketAddr, OpenError>;

    /// The far side's half is known or has changed (answer, ACK with answer, re-INVITE). Nothing is restarted.
    fn connect(&self, leg: LegId, session: Session);

    /// The leg's dialog is over: free its port (not reused for 2 s).
    fn close(&self, leg: LegId);
}

/// Why a leg cannot have media.
#[derive(Copy, Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// Every port of the range is in use or resting.
    #[error("no free RTP port in the configured range")]
    NoPort,
    /// The process is out of file descriptors or the address cannot be bound.
    #[error("no socket for RTP: {0:?}")]
    NoSocket(std::io::ErrorKind),
}
