//! The header of an A-law WAV file: RIFF/WAVE with a `fmt ` chunk of tag 6 (WAVE_FORMAT_ALAW, RFC 2361 section
//! A.6), the `fact` chunk that every non-PCM format owes, then `data`. 8 kHz, 8 bits, one channel per track.
//!
//! Owns the 58 header bytes and reading them back. Refuses to know files and tracks.

/// Sampling rate of everything recorded.
pub const HZ: u32 = 8000;
/// Bytes before the first sample.
pub const HEADER_BYTES: usize = 58;
/// A-law silence (ITU-T G.711: the smallest positive value, even bits inverted).
pub const SILENCE: u8 = 0xD5;
const TAG_ALAW: u16 = 6;

/// What a WAV header says.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct WavInfo {
    /// 6 = A-law, 1 = PCM, 7 = mu-law.
    pub format_tag: u16,
    pub channels: u16,
    pub hz: u32,
    /// Bytes of one sample of all channels.
    pub block_align: u16,
    /// Where the samples start.
    pub data_offset: u64,
    /// Bytes of samples, as the header says.
    pub data_bytes: u64,
}

impl WavInfo {
    /// Length in ms.
    #[must_use]
    pub fn duration_ms(&self) -> u64 {
        let frames = self.data_bytes / u64::from(self.block_align.max(1));
        frames * 1000 / u64::from(self.hz.max(1))
    }
}

/// Why bytes are not a WAV file.
#[derive(Copy, Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WavError {
    #[error("not a RIFF/WAVE file")]
    NotWav,
    #[error("no {chunk} chunk in the first {searched} bytes")]
    Missing {
        chunk: &'static str,
        searched: usize,
    },
}

/// Most sample frames a file of `channels` can hold: RIFF sizes are 32 bits.
#[must_use]
pub fn frames_max(channels: u16) -> u64 {
    (u64::from(u32::MAX) - HEADER_BYTES as u64) / u64::from(channels.max(1))
}

/// The header of a file of `frames` sample frames (at most [`frames_max`]). An odd number of data bytes is
/// followed by one pad byte.
#[must_use]
pub fn header(channels: u16, frames: u64) -> [u8; HEADER_BYTES] {
    let frames = frames.min(frames_max(channels));
    let data = u32::try_from(frames * u64::from(channels)).unwrap_or(u32::MAX);
    let riff = data
        .saturating_add(data % 2)
        .saturating_add(HEADER_BYTES as u32 - 8);
    let mut out = [0_u8; HEADER_BYTES];
    let fields: [&[u8]; 16] = [
        b"RIFF",
        &riff.to_le_bytes(),
        b"WAVE",
        b"fmt ",
        &18_u32.to_le_bytes(),
        &TAG_ALAW.to_le_bytes(),
        &channels.to_le_bytes(),
        &HZ.to_le_bytes(),
        &(HZ * u32::from(channels)).to_le_bytes(),
        &channels.to_le_bytes(),
        &8_u16.to_le_bytes(),
        &0_u16.to_le_bytes(),
        b"fact\x04\0\0\0",
        &u32::try_from(frames).unwrap_or(u32::MAX).to_le_bytes(),
        b"data",
        &data.to_le_bytes(),
    ];
    for (place, byte) in out.iter_mut().zip(fields.into_iter().flatten()) {
        *place = *byte;
    }
    out
}

/// Read a header from the first bytes of a file (4 KiB are enough for files of this engine).
///
/// # Errors
/// [`WavError`] when it is no WAV file or its `fmt ` and `data` chunks do not start within `bytes`.
pub fn parse(bytes: &[u8]) -> Result<WavInfo, WavError> {
    if bytes.get(..4) != Some(b"RIFF") || bytes.get(8..12) != Some(b"WAVE") {
        return Err(WavError::NotWav);
    }
    let missing = |chunk| WavError::Missing {
        chunk,
        searched: bytes.len(),
    };
    let mut format = None;
    let mut at = 12_usize;
    loop {
        let name = bytes
            .get(at..at.saturating_add(4))
            .ok_or(missing(if format.is_none() { "fmt" } else { "data" }))?;
        let size = u32_at(bytes, at + 4).ok_or(missing("data"))?;
        if name == b"fmt " {
            format = Some((
                u16_at(bytes, at + 8).ok_or(missing("fmt"))?,
                u16_at(bytes, at + 10).ok_or(missing("fmt"))?,
                u32_at(bytes, at + 12).ok_or(missing("fmt"))?,
                u16_at(bytes, at + 20).ok_or(missing("fmt"))?,
            ));
        } else if name == b"data" {
            let (format_tag, channels, hz, block_align) = format.ok_or(missing("fmt"))?;
            return Ok(WavInfo {
                format_tag,
                channels,
                hz,
                block_align,
                data_offset: at as u64 + 8,
                data_bytes: u64::from(size),
            });
        }
        let padded = (size as usize).saturating_add(size as usize % 2);
        at = at.saturating_add(8).saturating_add(padded);
    }
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    let field = bytes.get(at..at.checked_add(2)?)?;
    field.try_into().ok().map(u16::from_le_bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let field = bytes.get(at..at.checked_add(4)?)?;
    field.try_into().ok().map(u32::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn header_says_channels_length_and_format() {
        let bytes = header(3, 8001);
        let info = parse(&bytes).expect("own header");
        assert_eq!(
            info,
            WavInfo {
                format_tag: 6,
                channels: 3,
                hz: 8000,
                block_align: 3,
                data_offset: 58,
                data_bytes: 24_003,
            }
        );
        assert_eq!(info.duration_ms(), 1000);
        // RIFF size counts everything after itself, the pad byte too.
        assert_eq!(u32_at(&bytes, 4), Some(24_003 + 1 + 50));
        assert_eq!(u32_at(&bytes, 46), Some(8001), "fact");
    }

    #[test]
    fn a_recording_longer_than_riff_allows_is_cut_not_wrapped() {
        let info = parse(&header(16, u64::MAX)).expect("own header");
        assert_eq!(info.data_bytes, frames_max(16) * 16);
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(mut bytes in prop::collection::vec(any::<u8>(), 12..300)) {
            let _ = parse(&bytes);
            bytes[..4].copy_from_slice(b"RIFF");
            bytes[8..12].copy_from_slice(b"WAVE");
            let _ = parse(&bytes);
        }
    }
}
