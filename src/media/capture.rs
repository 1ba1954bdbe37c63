//! The capture: a call's audio as it lies on disk while the call lives. Append-only, self-checking, so whatever
//! a kill or a power cut leaves is readable up to the last whole record.
//!
//! Owns the bytes. Refuses to know files, threads and where a packet belongs in time (that is [`super::track`]):
//! an audio record holds what the network gave (arrival, SSRC, timestamp, sequence, payload) and nothing derived.
//!
//! ```text
//! file   = header record*
//! header = "FSCAP\0\0\x02" call[16] recording[16] start_us:i64 check          (little endian throughout)
//! record = len:u16 kind:u8 body[len - 1] check(len kind body)
//! kind     1 track{index:u8 name:utf8}  2 audio{track:u8 codec:u8 0:u8 sequence:u16 arrived_us:i64 ssrc:u32 timestamp:u32 payload}
//!           3 mark{at_us}  4 lost{from_us to_us}  5 closed{at_us}
//! ```
//! Times are microseconds since 1970 on the process clock. The check is 32 bits of a multiplying hash: it has to find
//! torn and rotten records, not forgeries, at a tenth of a nanosecond a byte in the recorder's hottest loop.

use super::session::Codec;
use super::tap::TAP_PAYLOAD_MAX;
use crate::id::{CallId, RecordingId};

const MAGIC: [u8; 8] = *b"FSCAP\0\0\x02";
/// Bytes of the header.
pub const HEADER_BYTES: usize = 8 + 16 + 16 + 8 + 4;
/// Longest `len` of a record: an audio record with a full payload.
const LEN_MAX: usize = 1 + AUDIO_FIXED + TAP_PAYLOAD_MAX;
/// Longest record on disk.
pub const RECORD_BYTES_MAX: usize = 2 + LEN_MAX + 4;
/// Bytes of an audio record's body before the payload.
const AUDIO_FIXED: usize = 1 + 1 + 1 + 2 + 8 + 4 + 4;
/// Tracks of one recording; a channel of the WAV each.
pub const TRACKS_MAX: usize = 32;
/// Bytes kept of a track's name.
pub const TRACK_NAME_BYTES_MAX: usize = 128;

/// Whose capture it is.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Header {
    pub call: CallId,
    pub recording: RecordingId,
    /// Second 0 of the recording.
    pub start_us: i64,
}

/// One entry of a capture.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Record<'a> {
    /// Track `index` is the party called `name`; indices grow from 0 in the order the parties came.
    Track { index: u8, name: &'a str },
    /// One received packet.
    Audio(Audio<'a>),
    /// Nothing was received, but the call was there at this time.
    Mark { at_us: i64 },
    /// The recorder itself lost audio in this span (its memory was full while the disk took no writes).
    Lost { from_us: i64, to_us: i64 },
    /// The call ended; nothing follows.
    Closed { at_us: i64 },
}

/// One received packet of one track.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Audio<'a> {
    pub track: u8,
    pub arrived_us: i64,
    pub ssrc: u32,
    pub rtp_timestamp: u32,
    pub sequence: u16,
    pub codec: Codec,
    /// At most [`TAP_PAYLOAD_MAX`] bytes; one byte is one sample.
    pub payload: &'a [u8],
}

/// Why bytes are not a capture.
#[derive(Copy, Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CaptureError {
    /// Killed before the header was whole: nothing was recorded yet.
    #[error("capture header is {got} of {expected} bytes")]
    Short { expected: usize, got: usize },
    #[error("no capture: the file begins with {got:02x?}")]
    Magic { got: [u8; 8] },
    #[error("capture header is damaged: checksum {got:08x}, expected {expected:08x}")]
    Checksum { expected: u32, got: u32 },
}

/// What [`take`] found at the start of its bytes.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Taken<'a> {
    /// A whole record of `used` bytes.
    Record { record: Record<'a>, used: usize },
    /// It may be the start of a record; more bytes are needed to say.
    Short,
    /// No record starts here. Step one byte on to find the next.
    Damaged,
}

/// Append the header.
pub fn put_header(out: &mut Vec<u8>, header: &Header) {
    let from = out.len();
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(header.call.0.as_bytes());
    out.extend_from_slice(header.recording.0.as_bytes());
    out.extend_from_slice(&header.start_us.to_le_bytes());
    seal(out, from);
}

/// Read the header at the start of a capture.
///
/// # Errors
/// [`CaptureError`] when there is none or it is damaged.
pub fn take_header(bytes: &[u8]) -> Result<Header, CaptureError> {
    let mut at = Cursor(bytes);
    let short = CaptureError::Short {
        expected: HEADER_BYTES,
        got: bytes.len(),
    };
    let magic = at.array::<8>().ok_or(short)?;
    if magic != MAGIC {
        return Err(CaptureError::Magic { got: magic });
    }
    let call = at.array::<16>().ok_or(short)?;
    let recording = at.array::<16>().ok_or(short)?;
    let start_us = at.i64().ok_or(short)?;
    let got = at.u32().ok_or(short)?;
    let expected = bytes.get(..HEADER_BYTES - 4).map(check).ok_or(short)?;
    if got != expected {
        return Err(CaptureError::Checksum { expected, got });
    }
    Ok(Header {
        call: CallId(uuid::Uuid::from_bytes(call)),
        recording: RecordingId(uuid::Uuid::from_bytes(recording)),
        start_us,
    })
}

/// Append one record. Payloads and names are cut at their maximum.
pub fn put(out: &mut Vec<u8>, record: &Record<'_>) {
    let from = out.len();
    out.extend_from_slice(&[0, 0]);
    match record {
        Record::Track { index, name } => {
            out.extend_from_slice(&[1, *index]);
            let mut end = name.len().min(TRACK_NAME_BYTES_MAX);
            while !name.is_char_boundary(end) {
                end -= 1;
            }
            out.extend(name.bytes().take(end));
        }
        Record::Audio(audio) => {
            out.truncate(from);
            return put_audio(out, audio);
        }
        Record::Mark { at_us } => {
            out.push(3);
            out.extend_from_slice(&at_us.to_le_bytes());
        }
        Record::Lost { from_us, to_us } => {
            out.push(4);
            out.extend_from_slice(&from_us.to_le_bytes());
            out.extend_from_slice(&to_us.to_le_bytes());
        }
        Record::Closed { at_us } => {
            out.push(5);
            out.extend_from_slice(&at_us.to_le_bytes());
        }
    }
    let len = u16::try_from(out.len() - from - 2).unwrap_or(u16::MAX);
    if let Some(place) = out.get_mut(from..from + 2) {
        place.copy_from_slice(&len.to_le_bytes());
    }
    seal(out, from);
}

/// Read the record at the start of `bytes`. Never panics, whatever the bytes.
#[must_use]
pub fn take(bytes: &[u8]) -> Taken<'_> {
    let mut at = Cursor(bytes);
    let Some(len) = at.u16().map(usize::from) else {
        return Taken::Short;
    };
    if len == 0 || len > LEN_MAX {
        return Taken::Damaged;
    }
    match bytes.get(2) {
        None => return Taken::Short,
        Some(1..=5) => {}
        Some(_) => return Taken::Damaged,
    }
    let (Some(body), Some(expected)) = (at.bytes(len), at.u32()) else {
        return Taken::Short;
    };
    if bytes.get(..2 + len).map(check) != Some(expected) {
        return Taken::Damaged;
    }
    match body_record(body) {
        Some(record) => Taken::Record {
            record,
            used: 2 + len + 4,
        },
        None => Taken::Damaged,
    }
}

fn body_record(body: &[u8]) -> Option<Record<'_>> {
    let mut at = Cursor(body);
    match at.u8()? {
        1 => Some(Record::Track {
            index: at.u8()?,
            name: std::str::from_utf8(at.0).ok()?,
        }),
        2 => {
            let (track, codec, _) = (at.u8()?, byte_codec(at.u8()?)?, at.u8()?);
            Some(Record::Audio(Audio {
                track,
                codec,
                sequence: at.u16()?,
                arrived_us: at.i64()?,
                ssrc: at.u32()?,
                rtp_timestamp: at.u32()?,
                payload: at.0,
            }))
        }
        3 => Some(Record::Mark { at_us: at.i64()? }),
        4 => Some(Record::Lost {
            from_us: at.i64()?,
            to_us: at.i64()?,
        }),
        5 => Some(Record::Closed { at_us: at.i64()? }),
        _ => None,
    }
}

/// Append an audio record. Its check is made of what the processor has at hand: `out` is seldom in its cache, and
/// reading back what was just written there would wait for it.
fn put_audio(out: &mut Vec<u8>, audio: &Audio<'_>) {
    let whole = audio.payload;
    let payload = whole.get(..TAP_PAYLOAD_MAX).unwrap_or(whole);
    let (begin, rest) = payload.split_at(payload.len().min(8));
    let [seq_low, seq_high] = audio.sequence.to_le_bytes();
    let codec = codec_byte(audio.codec);
    let [len_low, len_high] = audio_len(payload).to_le_bytes();
    let source = u64::from(audio.ssrc) | u64::from(audio.rtp_timestamp) << 32;
    let mut begun = [0; 8];
    for (place, byte) in begun.iter_mut().zip(begin) {
        *place = *byte;
    }
    let words = [
        [
            len_low,
            len_high,
            2,
            audio.track,
            codec,
            0,
            seq_low,
            seq_high,
        ],
        audio.arrived_us.to_le_bytes(),
        source.to_le_bytes(),
        begun,
    ];
    let mut first = [0; 32];
    for (place, word) in first.as_chunks_mut::<8>().0.iter_mut().zip(words) {
        *place = word;
    }
    // A payload of less than 8 bytes is all in `first`, whose last ones stay out.
    let used = first.len() - (8 - begin.len());
    let first_bytes = first.get(..used).unwrap_or(&first);
    let sum = match rest {
        [] => check(first_bytes),
        rest => check_behind(&first, rest),
    };
    out.extend_from_slice(first_bytes);
    out.extend_from_slice(rest);
    out.extend_from_slice(&sum.to_le_bytes());
}

fn seal(out: &mut Vec<u8>, from: usize) {
    let check = out.get(from..).map_or(0, check);
    out.extend_from_slice(&check.to_le_bytes());
}

/// The check of some bytes (little endian, the last ones filled with zeros): sixteen at a time go into a state by one
/// multiplication whose halves are folded. Two states side by side, as a multiplication waits for the one before it.
pub(super) fn check(bytes: &[u8]) -> u32 {
    let mut check = Check::new(bytes.len());
    check.end(bytes)
}

/// The check of `first` and `rest` as if they stood one behind the other.
fn check_behind(first: &[u8; 32], rest: &[u8]) -> u32 {
    let mut check = Check::new(first.len() + rest.len());
    if let ([one, two], _) = first.as_chunks::<16>() {
        check.add(one, two);
    }
    check.end(rest)
}

struct Check {
    left: u64,
    right: u64,
}

impl Check {
    const SEED: u64 = 0x9E37_79B9_7F4A_7C15;
    const LEFT: u64 = 0x9FB2_1C65_1E98_DF25;
    const RIGHT: u64 = 0xD6E8_FEB8_6659_FD93;

    fn new(len: usize) -> Self {
        Self {
            left: Self::SEED ^ len as u64,
            right: !Self::SEED,
        }
    }

    fn add(&mut self, one: &[u8; 16], two: &[u8; 16]) {
        let ([a, b], [c, d]) = (halves(one), halves(two));
        self.left = fold(self.left ^ a, b ^ Self::LEFT);
        self.right = fold(self.right ^ c, d ^ Self::RIGHT);
    }

    fn end(&mut self, bytes: &[u8]) -> u32 {
        let (pairs, rest) = bytes.as_chunks::<16>();
        let (quads, odd) = pairs.as_chunks::<2>();
        for [one, two] in quads {
            self.add(one, two);
        }
        let mut last = [0_u8; 16];
        for (place, byte) in last.iter_mut().zip(rest) {
            *place = *byte;
        }
        for [a, b] in odd.iter().chain([&last]).map(halves) {
            self.left = fold(self.left ^ a, b ^ Self::LEFT);
        }
        let all = fold(self.left ^ Self::RIGHT, self.right ^ Self::LEFT);
        ((all ^ all >> 32) & 0xFFFF_FFFF) as u32
    }
}

fn fold(a: u64, b: u64) -> u64 {
    let [low, high] = halves(&(u128::from(a) * u128::from(b)).to_le_bytes());
    low ^ high
}

fn halves(bytes: &[u8; 16]) -> [u64; 2] {
    let whole = u128::from_le_bytes(*bytes);
    let low = whole & u128::from(u64::MAX);
    [low, whole >> 64].map(|half| u64::try_from(half).unwrap_or(0))
}

/// The `len` of an audio record.
fn audio_len(payload: &[u8]) -> u16 {
    u16::try_from(1 + AUDIO_FIXED + payload.len()).unwrap_or(u16::MAX)
}

pub(super) const fn codec_byte(codec: Codec) -> u8 {
    match codec {
        Codec::Pcmu => 0,
        Codec::Pcma => 8,
    }
}

pub(super) const fn byte_codec(byte: u8) -> Option<Codec> {
    match byte {
        0 => Some(Codec::Pcmu),
        8 => Some(Codec::Pcma),
        _ => None,
    }
}

/// Reads little-endian fields off the front of a slice.
struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn bytes(&mut self, n: usize) -> Option<&'a [u8]> {
        let (head, tail) = self.0.split_at_checked(n)?;
        self.0 = tail;
        Some(head)
    }
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.bytes(N)?.try_into().ok()
    }
    fn u8(&mut self) -> Option<u8> {
        self.array::<1>().map(|[b]| b)
    }
    fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }
    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }
    fn i64(&mut self) -> Option<i64> {
        self.array().map(i64::from_le_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use uuid::Uuid;

    fn header() -> Header {
        Header {
            call: CallId(Uuid::from_u128(7)),
            recording: RecordingId(Uuid::from_u128(8)),
            start_us: 1_763_771_400_150_999,
        }
    }

    fn sample(payload: &[u8]) -> Vec<Record<'_>> {
        vec![
            Record::Track {
                index: 0,
                name: "caller",
            },
            Record::Audio(Audio {
                track: 0,
                arrived_us: -5,
                ssrc: 0xDEAD_BEEF,
                rtp_timestamp: u32::MAX,
                sequence: 65_535,
                codec: Codec::Pcmu,
                payload,
            }),
            Record::Mark { at_us: i64::MAX },
            Record::Lost {
                from_us: 1,
                to_us: 2,
            },
            Record::Closed { at_us: 9 },
        ]
    }

    fn read_all(mut bytes: &[u8]) -> Vec<Record<'_>> {
        let mut found = Vec::new();
        while !bytes.is_empty() {
            match take(bytes) {
                Taken::Record { record, used } => {
                    found.push(record);
                    bytes = &bytes[used..];
                }
                Taken::Short | Taken::Damaged => bytes = &bytes[1..],
            }
        }
        found
    }

    #[test]
    fn a_capture_reads_back_as_it_was_written() {
        let mut out = Vec::new();
        put_header(&mut out, &header());
        assert_eq!(out.len(), HEADER_BYTES);
        let payload = [0x55; TAP_PAYLOAD_MAX];
        for record in sample(&payload) {
            let before = out.len();
            put(&mut out, &record);
            assert!(out.len() - before <= RECORD_BYTES_MAX);
        }
        assert_eq!(take_header(&out), Ok(header()));
        assert_eq!(read_all(&out[HEADER_BYTES..]), sample(&payload));
    }

    #[test]
    fn a_header_with_one_flipped_bit_is_refused() {
        let mut out = Vec::new();
        put_header(&mut out, &header());
        for bit in 0..out.len() * 8 {
            let mut bad = out.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(take_header(&bad).is_err(), "bit {bit}");
        }
        for len in 0..HEADER_BYTES {
            assert!(matches!(
                take_header(&out[..len]),
                Err(CaptureError::Short { .. })
            ));
        }
    }

    proptest! {
        #[test]
        fn a_torn_tail_loses_only_the_torn_record(cut in 1_usize..40, payload in prop::collection::vec(any::<u8>(), 0..TAP_PAYLOAD_MAX)) {
            let records = sample(&payload);
            let mut out = Vec::new();
            let mut ends = Vec::new();
            for record in &records {
                put(&mut out, record);
                ends.push(out.len());
            }
            let kept = out.len() - cut.min(out.len());
            let whole = ends.iter().filter(|end| **end <= kept).count();
            prop_assert_eq!(read_all(&out[..kept]), records[..whole].to_vec());
        }

        #[test]
        fn one_flipped_bit_loses_one_record_and_invents_none(bit in any::<prop::sample::Index>(), payload in prop::collection::vec(any::<u8>(), 0..TAP_PAYLOAD_MAX)) {
            let records = sample(&payload);
            let mut out = Vec::new();
            for record in &records {
                put(&mut out, record);
            }
            let bit = bit.index(out.len() * 8);
            out[bit / 8] ^= 1 << (bit % 8);
            let found = read_all(&out);
            prop_assert_eq!(found.len(), records.len() - 1);
            prop_assert!(found.iter().all(|r| records.contains(r)));
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
            let _ = read_all(&bytes);
            let _ = take_header(&bytes);
        }
    }
}
