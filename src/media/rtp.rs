//! RTP headers (RFC 3550 section 5.1): checking what came, writing what goes. The only file that names `rtp-rs`.
//!
//! Owns: bytes <-> [`Head`]. Refuses to know: who sent it, what the payload means.

use std::ops::Range;

/// Bytes of the fixed header, all that we ever send.
pub const HEADER_BYTES: usize = 12;

/// The fixed header.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Head {
    pub payload_type: u8,
    pub marker: bool,
    pub sequence: u16,
    pub timestamp: u32,
    pub ssrc: u32,
}

/// A checked packet: its header and where its payload lies, without CSRCs, extension and padding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    pub head: Head,
    pub payload: Range<usize>,
}

/// The bytes are no RTP packet (too short, wrong version, truncated header, impossible padding).
#[derive(Copy, Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{bytes} bytes are no RTP packet (RFC 3550 section 5.1)")]
pub struct NotRtp {
    /// Bytes received.
    pub bytes: usize,
}

impl Packet {
    /// Check one datagram.
    ///
    /// # Errors
    /// [`NotRtp`] for anything that is not a whole RTP version 2 packet.
    pub fn parse(datagram: &[u8]) -> Result<Self, NotRtp> {
        let bytes = datagram.len();
        let reader = rtp_rs::RtpReader::new(datagram).map_err(|_| NotRtp { bytes })?;
        let start = reader.payload_offset();
        let end = start + reader.payload().len();
        Ok(Self {
            head: Head {
                payload_type: reader.payload_type(),
                marker: reader.mark(),
                sequence: reader.sequence_number().into(),
                timestamp: reader.timestamp(),
                ssrc: reader.ssrc(),
            },
            payload: start..end,
        })
    }
}

impl Head {
    /// The 12 bytes on the wire.
    #[must_use]
    pub fn to_bytes(self) -> [u8; HEADER_BYTES] {
        let [s0, s1] = self.sequence.to_be_bytes();
        let [t0, t1, t2, t3] = self.timestamp.to_be_bytes();
        let [c0, c1, c2, c3] = self.ssrc.to_be_bytes();
        let marker = if self.marker { 0x80 } else { 0 };
        let payload_type = marker | (self.payload_type & 0x7F);
        [0x80, payload_type, s0, s1, t0, t1, t2, t3, c0, c1, c2, c3]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_written_is_read_back(
            payload_type in 0_u8..128, marker: bool, sequence: u16, timestamp: u32, ssrc: u32,
            payload in proptest::collection::vec(any::<u8>(), 0..480),
        ) {
            let head = Head { payload_type, marker, sequence, timestamp, ssrc };
            let mut bytes = head.to_bytes().to_vec();
            bytes.extend_from_slice(&payload);
            let packet = Packet::parse(&bytes).unwrap();
            prop_assert_eq!(packet.head, head);
            prop_assert_eq!(&bytes[packet.payload], payload.as_slice());
        }

        #[test]
        fn any_bytes_are_refused_or_give_a_payload_inside_them(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(packet) = Packet::parse(&bytes) {
                prop_assert!(packet.payload.start >= HEADER_BYTES);
                prop_assert!(packet.payload.end <= bytes.len());
                prop_assert!(packet.payload.start <= packet.payload.end);
            }
        }
    }

    #[test]
    fn csrcs_extension_and_padding_are_not_payload() {
        let mut bytes = vec![0xB1, 8, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3];
        bytes.extend([9, 9, 9, 9]); // one CSRC
        bytes.extend([0xBE, 0xDE, 0, 1, 1, 2, 3, 4]); // extension of one word
        bytes.extend([7; 20]);
        bytes.extend([0, 0, 3]); // padding
        let packet = Packet::parse(&bytes).unwrap();
        assert_eq!(packet.payload, 24..44);
    }
}
