//! The one-way tap from a media worker to the recorder: a lock-free ring of bytes per worker.
//! The worker copies a payload and goes on; a full ring loses the packet for the recording (counted, alarmed),
//! never for the people who talk. A packet takes the room that it needs, so the ring stays small enough for the
//! processor's cache.
//!
//! ```text
//! packet = arrived_us:i64 slot:u32 ssrc:u32 timestamp:u32 sequence:u16 len:u16 codec:u8 payload[len]      (little endian)
//! ```

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::capture::{byte_codec, codec_byte};
use super::session::Codec;

/// Longest payload: 60 ms of G.711.
pub const TAP_PAYLOAD_MAX: usize = 480;

/// Bytes of a packet in the ring before its payload.
const HEAD_BYTES: usize = 8 + 4 + 4 + 4 + 2 + 2 + 1;

/// Bytes one worker's ring holds: 120 recorded calls of two 20 ms parties for 0.68 s.
pub const TAP_RING_BYTES: usize = 8192 * (HEAD_BYTES + 160);

/// One received packet of one track, as it came.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct TapFrame<'a> {
    /// The track, numbered by the plane when the switch named it ([`crate::switch::MediaCommand::Track`]).
    pub slot: u32,
    /// Arrival on the process clock, microseconds since 1970.
    pub arrived_us: i64,
    pub ssrc: u32,
    pub rtp_timestamp: u32,
    pub sequence: u16,
    pub codec: Codec,
    /// At most [`TAP_PAYLOAD_MAX`] bytes.
    pub payload: &'a [u8],
}

/// What the plane tells the recorder, over a bounded channel beside the rings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TapControl {
    /// A recording starts for a call.
    Start {
        call: crate::id::CallId,
        recording: crate::id::RecordingId,
        at_us: i64,
    },
    /// `slot` is the track of that name in that call's recording, from now on; in others it stays what it was.
    Track {
        call: crate::id::CallId,
        slot: u32,
        name: String,
    },
    /// `slot` is no longer recorded in that call.
    Untrack { call: crate::id::CallId, slot: u32 },
    /// Nothing more will come for this call: seal it.
    Close { call: crate::id::CallId, at_us: i64 },
}

/// The worker's end of a tap.
#[derive(Debug)]
pub struct TapSender(rtrb::Producer<u8>);

/// The recorder's end of a tap.
#[derive(Debug)]
pub struct TapReceiver(rtrb::Consumer<u8>);

/// The ring has no room, or the payload is too long: the packet is not recorded.
#[derive(Copy, Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the tap takes no packet: the recorder is behind")]
pub struct TapFull;

/// A tap whose ring holds `bytes`, [`TAP_RING_BYTES`] in a running server.
#[must_use]
pub fn tap(bytes: usize) -> (TapSender, TapReceiver) {
    let (sender, receiver) = rtrb::RingBuffer::new(bytes);
    (TapSender(sender), TapReceiver(receiver))
}

impl TapSender {
    /// Copy a packet into the ring. Never waits, allocates or wakes anybody.
    ///
    /// # Errors
    /// [`TapFull`].
    pub fn push(&mut self, frame: &TapFrame<'_>) -> Result<(), TapFull> {
        let len = frame.payload.len();
        if len > TAP_PAYLOAD_MAX || self.0.slots() < HEAD_BYTES + len {
            return Err(TapFull);
        }
        let source = u64::from(frame.slot) | u64::from(frame.ssrc) << 32;
        let length = u64::try_from(len).unwrap_or(0) << 48;
        let number = u64::from(frame.rtp_timestamp) | u64::from(frame.sequence) << 32 | length;
        let words = [
            frame.arrived_us.to_le_bytes(),
            source.to_le_bytes(),
            number.to_le_bytes(),
        ];
        let mut head = [codec_byte(frame.codec); HEAD_BYTES];
        for (place, word) in head.as_chunks_mut::<8>().0.iter_mut().zip(words) {
            *place = word;
        }
        // There is room for both.
        self.0.push_entire_slice(&head).map_err(|_| TapFull)?;
        self.0.push_entire_slice(frame.payload).map_err(|_| TapFull)
    }
}

impl TapReceiver {
    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Hand every packet that waits to `f`, once. A panic of `f` costs the packet it was given; gives how often.
    pub fn each(&mut self, mut f: impl FnMut(&TapFrame<'_>)) -> usize {
        let Ok(chunk) = self.0.read_chunk(self.0.slots()) else {
            return 0;
        };
        let (first, second) = chunk.as_slices();
        let there = first.len() + second.len();
        let (mut used, mut faults) = (0, 0);
        let mut across = Vec::new();
        // `used` is beyond a packet before `f` sees it.
        while catch_unwind(AssertUnwindSafe(|| {
            while let Some((frame, bytes)) = frame_at(first, second, used, &mut across) {
                used += bytes;
                f(&frame);
            }
        }))
        .is_err()
        {
            faults += 1;
        }
        if there - used >= HEAD_BYTES + TAP_PAYLOAD_MAX {
            // No packet although there must be one: better lost than stuck.
            used = there;
            faults += 1;
        }
        chunk.commit(used);
        faults
    }
}

/// The packet at `used`, and its length in the ring; one that lies across the ring's end is put together in `across`.
fn frame_at<'a>(
    first: &'a [u8],
    second: &'a [u8],
    used: usize,
    across: &'a mut Vec<u8>,
) -> Option<(TapFrame<'a>, usize)> {
    let whole = match first.get(used..) {
        None => second.get(used - first.len()..)?,
        Some(rest) => match frame_of(rest) {
            Some(found) => return Some(found),
            None => {
                across.clear();
                across.extend_from_slice(rest);
                let more = second.len().min(HEAD_BYTES + TAP_PAYLOAD_MAX);
                across.extend_from_slice(second.get(..more)?);
                across
            }
        },
    };
    frame_of(whole)
}

/// The packet at the start of `bytes`, if all of it is there.
fn frame_of(bytes: &[u8]) -> Option<(TapFrame<'_>, usize)> {
    let (arrived_us, rest) = bytes.split_first_chunk()?;
    let (slot, rest) = rest.split_first_chunk()?;
    let (ssrc, rest) = rest.split_first_chunk()?;
    let (rtp_timestamp, rest) = rest.split_first_chunk()?;
    let (sequence, rest) = rest.split_first_chunk()?;
    let (len, rest) = rest.split_first_chunk()?;
    let ([codec], rest) = rest.split_first_chunk()?;
    let len = usize::from(u16::from_le_bytes(*len));
    let frame = TapFrame {
        slot: u32::from_le_bytes(*slot),
        arrived_us: i64::from_le_bytes(*arrived_us),
        ssrc: u32::from_le_bytes(*ssrc),
        rtp_timestamp: u32::from_le_bytes(*rtp_timestamp),
        sequence: u16::from_le_bytes(*sequence),
        codec: byte_codec(*codec)?,
        payload: rest.get(..len)?,
    };
    Some((frame, HEAD_BYTES + len))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(slot: u32, payload: &[u8]) -> TapFrame<'_> {
        TapFrame {
            slot,
            arrived_us: i64::from(slot) * 20_000 - 7,
            ssrc: !slot,
            rtp_timestamp: slot * 160,
            sequence: slot as u16,
            codec: if slot.is_multiple_of(2) {
                Codec::Pcma
            } else {
                Codec::Pcmu
            },
            payload,
        }
    }

    #[test]
    fn packets_of_all_lengths_come_out_as_they_went_in_wherever_the_ring_ends() {
        let (mut sender, mut receiver) = tap(2000);
        let bytes: Vec<u8> = (0..TAP_PAYLOAD_MAX).map(|n| n as u8).collect();
        let payload = |slot: u32| &bytes[..slot as usize * 37 % (TAP_PAYLOAD_MAX + 1)];
        let mut next = 0;
        for slot in 0..5000 {
            while sender.push(&frame(slot, payload(slot))).is_err() {
                let faults = receiver.each(|found| {
                    assert_eq!(*found, frame(next, payload(next)));
                    next += 1;
                });
                assert_eq!(faults, 0, "every packet is as it was");
            }
        }
        assert!(next > 4900);
        let long = [0; TAP_PAYLOAD_MAX + 1];
        assert_eq!(sender.push(&frame(1, &long)), Err(TapFull));
    }

    #[test]
    fn a_fault_in_one_packet_costs_that_packet_and_it_never_comes_again() {
        let (mut sender, mut receiver) = tap(TAP_RING_BYTES);
        for slot in 0..10 {
            sender.push(&frame(slot, &[1; 160])).unwrap();
        }
        let mut seen = Vec::new();
        let faults = receiver.each(|found| {
            assert!(found.slot % 5 != 3, "planted");
            seen.push(found.slot);
        });
        assert_eq!((faults, seen), (2, vec![0, 1, 2, 4, 5, 6, 7, 9]));
        assert!(receiver.is_empty());
    }
}
