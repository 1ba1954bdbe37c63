//! G.711 A-law and mu-law at 8 kHz (ITU-T G.711, bit-exact with the reference of G.191).
//!
//! Owns: byte <-> linear sample, whole payloads, silence bytes, a cheap level. Knows nothing of packets.
//! Linear samples are 16 bit, full scale as in G.191: A-law peaks at +-32256, mu-law at +-32124.

use super::session::Codec;

/// Samples per second of every codec of this stage.
pub const SAMPLES_PER_SECOND: u32 = 8000;
/// Samples of one mixing tick (20 ms).
pub const TICK_SAMPLES: usize = 160;

const ALAW: [i16; 256] = table(Codec::Pcma);
const ULAW: [i16; 256] = table(Codec::Pcmu);

const fn table(codec: Codec) -> [i16; 256] {
    let mut table = [0_i16; 256];
    let mut byte = 0_usize;
    while byte < 256 {
        #[expect(clippy::cast_possible_truncation, reason = "byte < 256")]
        let code = byte as u8;
        table[byte] = match codec {
            Codec::Pcma => expand_alaw(code),
            Codec::Pcmu => expand_ulaw(code),
        };
        byte += 1;
    }
    table
}

/// G.711 table 1a/1b: even bits inverted, 3 bits of segment, 4 bits of step, bit 7 set for positive.
const fn expand_alaw(code: u8) -> i16 {
    let code = code ^ 0x55;
    let segment = (code >> 4) & 7;
    let step = ((code & 15) as i16) << 4;
    let magnitude = match segment {
        0 => step + 8,
        _ => (step + 0x108) << (segment - 1),
    };
    if code & 0x80 == 0 {
        -magnitude
    } else {
        magnitude
    }
}

/// G.711 table 2a/2b: all bits inverted, bias 33 (132 at 16 bit).
const fn expand_ulaw(code: u8) -> i16 {
    let code = !code;
    let segment = (code >> 4) & 7;
    let step = ((code & 15) as i16) << 3;
    let magnitude = ((step + 0x84) << segment) - 0x84;
    if code & 0x80 == 0 {
        magnitude
    } else {
        -magnitude
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "12-bit magnitude, 4-bit fields"
)]
const fn compress_alaw(sample: i16) -> u8 {
    let sign = if sample < 0 { 0 } else { 0x80 };
    let magnitude = ((if sample < 0 { !sample } else { sample }) >> 4) as u16;
    let code = if magnitude < 32 {
        magnitude as u8
    } else {
        // Position of the leading one: 5..=10 for magnitudes 32..=2047.
        let lead = 15 - magnitude.leading_zeros() as u8;
        ((lead - 3) << 4) | ((magnitude >> (lead - 4)) & 15) as u8
    };
    (code | sign) ^ 0x55
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "13-bit magnitude, 4-bit fields"
)]
const fn compress_ulaw(sample: i16) -> u8 {
    let sign = if sample < 0 { 0 } else { 0x80 };
    let mut magnitude = ((if sample < 0 { !sample } else { sample }) >> 2) as u16 + 33;
    if magnitude > 0x1FFF {
        magnitude = 0x1FFF;
    }
    // Position of the leading one: 5..=12.
    let segment = 10 - magnitude.leading_zeros() as u8;
    let step = ((magnitude >> (segment + 1)) & 15) as u8;
    (((7 - segment) << 4) | (15 - step)) | sign
}

impl Codec {
    /// The byte that means silence.
    #[must_use]
    pub const fn silence(self) -> u8 {
        match self {
            Self::Pcma => 0xD5,
            Self::Pcmu => 0xFF,
        }
    }

    /// One byte to one linear sample.
    #[must_use]
    pub const fn decode(self, byte: u8) -> i16 {
        match self {
            Self::Pcma => ALAW[byte as usize],
            Self::Pcmu => ULAW[byte as usize],
        }
    }

    /// One linear sample to one byte.
    #[must_use]
    pub const fn encode(self, sample: i16) -> u8 {
        match self {
            Self::Pcma => compress_alaw(sample),
            Self::Pcmu => compress_ulaw(sample),
        }
    }

    /// A payload to samples; stops at the shorter of the two and returns the samples written.
    pub fn decode_into(self, payload: &[u8], samples: &mut [i16]) -> usize {
        for (sample, byte) in samples.iter_mut().zip(payload) {
            *sample = self.decode(*byte);
        }
        payload.len().min(samples.len())
    }

    /// Samples to a payload; stops at the shorter of the two and returns the bytes written.
    pub fn encode_into(self, samples: &[i16], payload: &mut [u8]) -> usize {
        for (byte, sample) in payload.iter_mut().zip(samples) {
            *byte = self.encode(*sample);
        }
        payload.len().min(samples.len())
    }

    /// Mean magnitude of a payload, 0..=32256. Looks at every fourth sample: enough for a meter.
    #[must_use]
    pub fn level(self, payload: &[u8]) -> u16 {
        let mut sum = 0_u32;
        let mut count = 0_u32;
        for byte in payload.iter().step_by(4) {
            sum += u32::from(self.decode(*byte).unsigned_abs());
            count += 1;
        }
        u16::try_from(sum / count.max(1)).unwrap_or(u16::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn anchor_values_of_the_recommendation_hold() {
        for (codec, byte, sample) in [
            (Codec::Pcma, 0xD5, 8),
            (Codec::Pcma, 0x55, -8),
            (Codec::Pcma, 0xAA, 32256),
            (Codec::Pcma, 0x2A, -32256),
            (Codec::Pcma, 0x80, 5504),
            (Codec::Pcmu, 0x80, 32124),
            (Codec::Pcmu, 0x00, -32124),
            (Codec::Pcmu, 0xFF, 0),
            (Codec::Pcmu, 0x7E, -8),
        ] {
            assert_eq!(codec.decode(byte), sample, "{codec:?} {byte:#x}");
        }
    }

    #[test]
    fn every_byte_survives_the_round_trip() {
        for byte in 0..=255_u8 {
            let sample = Codec::Pcma.decode(byte);
            assert_eq!(Codec::Pcma.encode(sample), byte);
            // mu-law has a negative zero, which is silence as well.
            let expected = if byte == 0x7F { 0xFF } else { byte };
            assert_eq!(Codec::Pcmu.encode(Codec::Pcmu.decode(byte)), expected);
        }
    }

    /// The compression of G.191 (ITU-T software tool library), written as its text describes it.
    fn reference(codec: Codec, x: i16) -> u8 {
        match codec {
            Codec::Pcma => {
                let mut ix = if x < 0 { (!x) >> 4 } else { x >> 4 };
                if ix > 15 {
                    let mut exponent = 1;
                    while ix > 16 + 15 {
                        ix >>= 1;
                        exponent += 1;
                    }
                    ix = ix - 16 + (exponent << 4);
                }
                if x >= 0 {
                    ix |= 0x80;
                }
                u8::try_from(ix).unwrap() ^ 0x55
            }
            Codec::Pcmu => {
                let magnitude = ((if x < 0 { (!x) >> 2 } else { x >> 2 }) + 33).min(0x1FFF);
                let mut segment = 1;
                let mut rest = magnitude >> 6;
                while rest != 0 {
                    segment += 1;
                    rest >>= 1;
                }
                let low = 15 - ((magnitude >> segment) & 15);
                let code = ((8 - segment) << 4) | low;
                u8::try_from(if x >= 0 { code | 0x80 } else { code }).unwrap()
            }
        }
    }

    #[test]
    fn compression_equals_the_reference_for_every_sample() {
        for x in i16::MIN..=i16::MAX {
            for codec in [Codec::Pcma, Codec::Pcmu] {
                assert_eq!(codec.encode(x), reference(codec, x), "{codec:?} {x}");
            }
        }
    }

    proptest! {
        #[test]
        fn a_sample_comes_back_within_half_a_step(x in any::<i16>()) {
            for codec in [Codec::Pcma, Codec::Pcmu] {
                let back = i32::from(codec.decode(codec.encode(x)));
                // A step is 1/16 of its segment's start (mu-law: biased by 132); clipping adds the headroom above the peak.
                let allowed = ((i32::from(x).abs() + 132) / 32).max(16) + 644 * i32::from(i32::from(x).abs() > 32124);
                prop_assert!((back - i32::from(x)).abs() <= allowed, "{codec:?} {x} -> {back}");
            }
        }
    }

    #[test]
    fn level_tells_silence_from_speech() {
        assert!(Codec::Pcma.level(&[0xD5; 160]) <= 8);
        assert!(Codec::Pcmu.level(&[0x80; 160]) > 32_000);
        assert_eq!(Codec::Pcmu.level(&[]), 0);
    }
}
