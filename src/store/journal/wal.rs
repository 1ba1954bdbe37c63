//! Looks at the log of a segment whose process died. SQLite ends quietly at the first log frame that does not check;
//! frames of the same log behind it mean that a byte was flipped, not that the writing just stopped.
//!
//! Format: <https://www.sqlite.org/fileformat2.html#the_write_ahead_log>: a header of 32 bytes, then frames of 24 + page
//! size, each with the log's two salts and a running checksum.

use std::path::Path;

use super::JournalError;
use super::segment;

const HEADER: usize = 32;
const FRAME_HEADER: usize = 24;

/// What is wrong with the log of `segment`; `None` when each frame of it can be read.
pub(super) fn damage(segment: &Path) -> Result<Option<String>, JournalError> {
    let path = segment::wal_path(segment);
    match std::fs::read(&path) {
        Ok(bytes) => Ok(first_bad_frame(&bytes)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(JournalError::io(&path)(error)),
    }
}

fn word(bytes: &[u8], at: usize, big_endian: bool) -> Option<u32> {
    let four: [u8; 4] = bytes.get(at..at + 4)?.try_into().ok()?;
    Some(if big_endian {
        u32::from_be_bytes(four)
    } else {
        u32::from_le_bytes(four)
    })
}

fn checksum(bytes: &[u8], mut sums: (u32, u32), big_endian: bool) -> (u32, u32) {
    for at in (0..bytes.len()).step_by(8) {
        let first = word(bytes, at, big_endian).unwrap_or(0);
        let second = word(bytes, at + 4, big_endian).unwrap_or(0);
        sums.0 = sums.0.wrapping_add(first).wrapping_add(sums.1);
        sums.1 = sums.1.wrapping_add(second).wrapping_add(sums.0);
    }
    sums
}

fn first_bad_frame(log: &[u8]) -> Option<String> {
    let header = log.get(..HEADER)?;
    let big_endian = match word(header, 0, true)? {
        0x377f_0682 => false,
        0x377f_0683 => true,
        _ => return Some("the log's first bytes 0..4 are no SQLite log".to_owned()),
    };
    let mut sums = checksum(header.get(..24)?, (0, 0), big_endian);
    if (word(header, 24, true)?, word(header, 28, true)?) != sums {
        return Some("bytes 0..32 of the log do not check".to_owned());
    }
    let salts = header.get(16..24)?;
    let frame_bytes = FRAME_HEADER + word(header, 8, true)? as usize;
    let frames = log.get(HEADER..)?.chunks_exact(frame_bytes);
    for (index, frame) in frames.clone().enumerate() {
        sums = checksum(frame.get(..8)?, sums, big_endian);
        sums = checksum(frame.get(FRAME_HEADER..)?, sums, big_endian);
        let sound =
            frame.get(8..16)? == salts && (word(frame, 16, true)?, word(frame, 20, true)?) == sums;
        if sound {
            continue;
        }
        // Older frames of an earlier round of the log have other salts: that is its ordinary end.
        let behind = frames
            .clone()
            .skip(index + 1)
            .filter(|frame| frame.get(8..16) == Some(salts))
            .count();
        if behind == 0 {
            return None;
        }
        let from = HEADER + index * frame_bytes;
        return Some(format!(
            "bytes {from}..{} of the log do not check, and {behind} frames behind them cannot be read",
            from + frame_bytes
        ));
    }
    None
}
