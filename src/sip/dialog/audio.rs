//! Our half of a dialog's session description, kept so that its version grows only when it changes (RFC 3264 8).

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::media::sdp::{self, Local, SdpError};
use crate::media::session::{Direction, Session};
use crate::sip::profile::{CodecName, Profile};

/// Our half.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Audio {
    /// Our RTP address.
    pub address: SocketAddr,
    pub session_id: u64,
    pub version: u64,
    pub codecs: Vec<CodecName>,
    pub ptime_ms: u16,
    /// The last description we sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sent: Option<String>,
}

impl Audio {
    /// For a port of ours and the wishes of a profile.
    #[must_use]
    pub fn new(address: SocketAddr, session_id: u64, profile: &Profile) -> Self {
        Self {
            address,
            session_id,
            version: session_id,
            codecs: profile.codecs.clone(),
            ptime_ms: profile.ptime_ms,
            sent: None,
        }
    }

    fn local(&self) -> Local {
        Local {
            address: self.address,
            session_id: self.session_id,
            version: self.version,
            codecs: self.codecs.iter().map(|c| (*c).into()).collect(),
            ptime_ms: self.ptime_ms,
            direction: Direction::SendRecv,
        }
    }

    /// An offer of everything we have.
    pub fn offer(&mut self) -> String {
        let text = sdp::offer(&self.local());
        self.settle(text, |audio| Ok(sdp::offer(&audio.local())))
            .unwrap_or_default()
    }

    /// The answer to an offer, and the session it makes.
    ///
    /// # Errors
    /// [`SdpError`]: nothing in the offer can carry this call.
    pub fn answer(&mut self, offer: &str) -> Result<(String, Session), SdpError> {
        let (text, session) = sdp::answer(offer, &self.local())?;
        let text = self.settle(text, |audio| Ok(sdp::answer(offer, &audio.local())?.0))?;
        Ok((text, session))
    }

    /// The session that an answer to our offer makes.
    ///
    /// # Errors
    /// [`SdpError`]: the far side refused the audio or chose what we did not offer.
    pub fn accept(&self, answer: &str) -> Result<Session, SdpError> {
        sdp::accept(answer, &self.local())
    }

    /// Raises the version when `text` says something new.
    fn settle(
        &mut self,
        text: String,
        again: impl Fn(&Self) -> Result<String, SdpError>,
    ) -> Result<String, SdpError> {
        let text = match &self.sent {
            Some(sent) if *sent != text => {
                self.version += 1;
                again(self)?
            }
            Some(_) | None => text,
        };
        self.sent = Some(text.clone());
        Ok(text)
    }
}
