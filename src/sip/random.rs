//! Unguessable tokens from a secret seed: tags, branches, Call-IDs, ids. The shell hands in the seed, so tests and
//! the simulator get the same tokens from the same seed (RFC 3261 sections 8.1.1.7 and 19.3: at least 32 random
//! bits; 64 here and more).

use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::time::Timestamp;

/// SHA-256 over seed and counter.
pub struct Random {
    seed: [u8; 32],
    made: u64,
}

impl Random {
    /// A source for one seed.
    #[must_use]
    pub const fn new(seed: [u8; 32]) -> Self {
        Self { seed, made: 0 }
    }

    fn block(&mut self) -> [u8; 32] {
        self.made += 1;
        let mut hash = Sha256::new();
        hash.update(self.seed);
        hash.update(self.made.to_be_bytes());
        hash.finalize().into()
    }

    /// 64 random bits in hex.
    pub fn tag(&mut self) -> String {
        hex(self.block().get(..8).unwrap_or_default())
    }

    /// 128 random bits in hex.
    pub fn call_id(&mut self) -> String {
        hex(self.block().get(..16).unwrap_or_default())
    }

    /// A branch (RFC 3261 8.1.1.7) that [`Self::is_own_branch`] recognises.
    pub fn branch(&mut self) -> String {
        let token = hex(self.block().get(..8).unwrap_or_default());
        format!("z9hG4bK{token}{}", self.seal(&token))
    }

    /// Whether this process (or one with its seed) made the branch.
    #[must_use]
    pub fn is_own_branch(&self, branch: &str) -> bool {
        let token = branch
            .strip_prefix("z9hG4bK")
            .and_then(|b| b.split_at_checked(16));
        token.is_some_and(|(token, seal)| seal == self.seal(token))
    }

    /// The same short token for the same text: To tags of answers that no transaction remembers.
    #[must_use]
    pub fn seal(&self, text: &str) -> String {
        let mut hash = Sha256::new();
        hash.update(self.seed);
        hash.update(b"seal");
        hash.update(text.as_bytes());
        hex(hash.finalize().get(..8).unwrap_or_default())
    }

    /// A number below 2^31, for SDP session ids and CSeq.
    pub fn number(&mut self) -> u32 {
        let block = self.block();
        let four = block.first_chunk::<4>().copied().unwrap_or_default();
        u32::from_be_bytes(four) >> 1
    }

    /// A UUIDv7 for something that starts `now`.
    pub fn uuid(&mut self, now: Timestamp) -> Uuid {
        let block = self.block();
        let ten = block.first_chunk::<10>().copied().unwrap_or_default();
        let millis = u64::try_from(now.as_micros() / 1000).unwrap_or(0);
        uuid::Builder::from_unix_timestamp_millis(millis, &ten).into_uuid()
    }
}

/// Lower-case hex.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut out, b| {
            let _ = write!(out, "{b:02x}");
            out
        })
}
