//! The running hash over a segment's rows: one flipped byte in any of them is found and has a place.

use std::fmt::Write as _;

/// A BLAKE3 hash over everything up to a row.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) struct Chain(pub(super) [u8; 32]);

impl Chain {
    /// Before the first row of the first segment.
    pub(super) const START: Self = Self([0; 32]);

    /// The link after this one, over a row's kind, numbers and texts. Each text is preceded by its length, so that
    /// no two different rows read the same.
    pub(super) fn link(self, kind: u8, numbers: &[i64], texts: &[&[u8]]) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.0);
        hasher.update(&[kind]);
        for number in numbers {
            hasher.update(&number.to_le_bytes());
        }
        for text in texts {
            hasher.update(&(text.len() as u64).to_le_bytes());
            hasher.update(text);
        }
        Self(*hasher.finalize().as_bytes())
    }

    pub(super) fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    pub(super) fn to_hex(self) -> String {
        hex(&self.0)
    }

    pub(super) fn from_hex(text: &str) -> Option<Self> {
        blake3::Hash::from_hex(text)
            .ok()
            .map(|hash| Self(*hash.as_bytes()))
    }
}

/// Lower-case hexadecimal.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_that_differ_only_in_where_a_text_ends_have_different_links() {
        let a = Chain::START.link(b'E', &[1], &[b"ab", b"c"]);
        let b = Chain::START.link(b'E', &[1], &[b"a", b"bc"]);
        assert_ne!(a, b);
        assert_eq!(Chain::from_hex(&a.to_hex()), Some(a));
    }
}
