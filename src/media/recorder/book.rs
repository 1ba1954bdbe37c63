//! The open recordings and their memory: which slot is whose track, what waits to be written, what was lost.
//!
//! Owns buffers and their bound. Refuses to know threads, rings and files: [`super::drain`] brings frames in and
//! takes [`Job`]s out, so everything here is tested without a disk.
//!
//! ```text
//! call:    Live --Close--> Closing (late frames still count, 1 pass) --> Ended --all on disk--> gone, to be sealed
//! buffer:  Home --job--> Away --written--> Home;   refused: Back, tried again as it is; meanwhile and
//!          while Away new records wait in `pending`: the spool, bounded over all calls. Full: audio is lost, noted
//! ```

use std::collections::BTreeMap;

use super::pieces::Pieces;
use crate::id::{CallId, RecordingId};
use crate::limits::CALLS_MAX;
use crate::media::capture::{self, Audio, Header, Record, TRACKS_MAX};
use crate::media::tap::TapFrame;

/// A buffer's room in quiet times: 0.1 s of four tracks.
const BUFFER_BYTES: usize = 8 * 1024;
/// A buffer that grew past this while the disk was away is given back.
const BUFFER_KEEP_BYTES: usize = 256 * 1024;
/// A silent call leaves a mark this often, so that its length survives a kill.
const MARK_US: i64 = 150_000;
/// Passes between a Close and the end of the capture.
const CLOSING_PASSES: u8 = 1;

/// Bytes to write for one call, there and back.
#[derive(Debug)]
pub(super) struct Job {
    /// The recording's own as long as it is open.
    pub(super) place: usize,
    pub(super) call: CallId,
    pub(super) recording: RecordingId,
    /// Where `bytes` go in the file.
    pub(super) offset: u64,
    pub(super) bytes: Vec<u8>,
    /// The disk has them: in the log or in the file.
    pub(super) written: bool,
    /// The file is not needed any more after this.
    pub(super) last: bool,
    /// With the last: what of the capture lies in logs.
    pub(super) pieces: Pieces,
    pub(super) error: Option<std::io::Error>,
}

#[cfg(test)]
impl Job {
    /// A job as [`Book::due`] would give it.
    pub(super) fn of(
        place: usize,
        ids: (CallId, RecordingId),
        offset: u64,
        bytes: Vec<u8>,
        last: bool,
    ) -> Self {
        Self {
            place,
            call: ids.0,
            recording: ids.1,
            offset,
            bytes,
            written: false,
            last,
            pieces: Pieces::default(),
            error: None,
        }
    }
}

/// Something to tell about a call.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Notice {
    /// The first bytes are on disk.
    Started(Header),
    /// Audio was lost in `[from_us, to_us]`.
    Lost {
        header: Header,
        from_us: i64,
        to_us: i64,
        frames: u64,
    },
    /// More parties than tracks; this one is not recorded.
    TooManyTracks { header: Header, party: String },
    /// All of it is on disk, in these pieces of logs or its file: seal it.
    Complete(Header, Pieces),
}

/// What became of a frame.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Kept,
    /// The spool is full.
    Lost,
    /// No call has this slot (any more).
    Unknown,
}

#[derive(Debug)]
enum Buffer {
    Home(Vec<u8>),
    Away,
    Back(Vec<u8>),
}

#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Life {
    Live,
    Closing { at_us: i64, passes: u8 },
    Ended,
}

#[derive(Copy, Clone, Debug)]
struct Loss {
    from_us: i64,
    to_us: i64,
    frames: u64,
}

#[derive(Debug)]
struct Call {
    header: Header,
    life: Life,
    tracks: Vec<String>,
    slots: Vec<u32>,
    pending: Vec<u8>,
    buffer: Buffer,
    /// Where the next buffer goes in the file.
    offset: u64,
    /// When the capture last got anything.
    entry_us: i64,
    loss: Option<Loss>,
    started: bool,
}

/// All open recordings.
#[derive(Debug)]
pub(super) struct Book {
    calls: Vec<Option<Call>>,
    by_id: BTreeMap<CallId, usize>,
    /// Where each slot is recorded: call and track. A leg of joined calls stands in the recordings of all.
    slots: BTreeMap<u32, Vec<(usize, u8)>>,
    spool_bytes: usize,
    spool_bytes_max: usize,
    pub(super) notices: Vec<Notice>,
}

impl Book {
    pub(super) fn new(spool_bytes_max: usize) -> Self {
        Self {
            calls: Vec::new(),
            by_id: BTreeMap::new(),
            slots: BTreeMap::new(),
            spool_bytes: 0,
            spool_bytes_max,
            notices: Vec::new(),
        }
    }

    /// Recordings not yet wholly on disk.
    pub(super) fn open_calls(&self) -> usize {
        self.by_id.len()
    }

    /// Bytes taken in and not yet written.
    pub(super) fn spool_bytes(&self) -> usize {
        self.spool_bytes
    }

    /// Recordings that lose audio now.
    pub(super) fn losing(&self) -> bool {
        self.calls.iter().flatten().any(|c| c.loss.is_some())
    }

    /// A recording begins. False when the call has one already or no more fit.
    pub(super) fn start(&mut self, header: Header, now: i64) -> bool {
        if self.by_id.contains_key(&header.call) || self.by_id.len() >= CALLS_MAX {
            return false;
        }
        let mut call = Call {
            header,
            life: Life::Live,
            tracks: Vec::new(),
            slots: Vec::new(),
            pending: Vec::with_capacity(BUFFER_BYTES),
            buffer: Buffer::Home(Vec::with_capacity(BUFFER_BYTES)),
            offset: 0,
            entry_us: now,
            loss: None,
            started: false,
        };
        capture::put_header(&mut call.pending, &header);
        self.spool_bytes += call.pending.len();
        let free = self.calls.iter().position(Option::is_none);
        let place = free.unwrap_or(self.calls.len());
        match self.calls.get_mut(place) {
            Some(empty) => *empty = Some(call),
            None => self.calls.push(Some(call)),
        }
        self.by_id.insert(header.call, place);
        true
    }

    /// `slot` is the track of that name from now on. A party that comes back goes on in its old track. False when the
    /// call is unknown.
    pub(super) fn track(&mut self, id: CallId, slot: u32, name: &str) -> bool {
        let Some(place) = self.by_id.get(&id).copied() else {
            return false;
        };
        let Some(call) = self.calls.get_mut(place).and_then(Option::as_mut) else {
            return false;
        };
        let index = match call.tracks.iter().position(|t| t == name) {
            Some(index) => index,
            None if call.tracks.len() >= TRACKS_MAX => {
                self.notices.push(Notice::TooManyTracks {
                    header: call.header,
                    party: name.to_owned(),
                });
                return true;
            }
            None => {
                call.tracks.push(name.to_owned());
                call.tracks.len() - 1
            }
        };
        let index = u8::try_from(index).unwrap_or(u8::MAX);
        let record = Record::Track { index, name };
        self.spool_bytes += append(&mut call.pending, &record);
        call.slots.push(slot);
        let tracks = self.slots.entry(slot).or_default();
        tracks.retain(|(of, _)| *of != place);
        tracks.push((place, index));
        true
    }

    /// `slot` is no longer recorded in this call. False when the call is unknown.
    pub(super) fn untrack(&mut self, id: CallId, slot: u32) -> bool {
        let Some(place) = self.by_id.get(&id).copied() else {
            return false;
        };
        if let Some(call) = self.calls.get_mut(place).and_then(Option::as_mut) {
            call.slots.retain(|own| *own != slot);
        }
        self.free_slot(slot, place);
        true
    }

    fn free_slot(&mut self, slot: u32, place: usize) {
        if let Some(tracks) = self.slots.get_mut(&slot) {
            tracks.retain(|(of, _)| *of != place);
            if tracks.is_empty() {
                self.slots.remove(&slot);
            }
        }
    }

    /// The call ended. False when it is unknown.
    pub(super) fn close(&mut self, id: CallId, at_us: i64) -> bool {
        let place = self.by_id.get(&id).copied();
        let call = place.and_then(|p| self.calls.get_mut(p)?.as_mut());
        match call {
            Some(call) if call.life == Life::Live => {
                call.life = Life::Closing { at_us, passes: 0 };
                true
            }
            Some(_) => true,
            None => false,
        }
    }

    /// Everything still open ends now.
    pub(super) fn close_all(&mut self, at_us: i64) {
        for call in self.calls.iter_mut().flatten() {
            if call.life == Life::Live {
                call.life = Life::Closing { at_us, passes: 0 };
            }
        }
    }

    /// Take in one packet, once for each call it is recorded in. It is lost if one of them loses it.
    pub(super) fn frame(&mut self, frame: &TapFrame<'_>) -> Fate {
        let Some(tracks) = self.slots.get(&frame.slot) else {
            return Fate::Unknown;
        };
        let (tracks, first) = (tracks.len(), tracks.first().copied());
        let Some((place, track)) = first else {
            return Fate::Unknown;
        };
        let mut fate = self.frame_of(frame, place, track);
        for n in 1..tracks {
            let joined = self.slots.get(&frame.slot).and_then(|t| t.get(n)).copied();
            let Some((place, track)) = joined else { break };
            fate = match (fate, self.frame_of(frame, place, track)) {
                (Fate::Lost, _) | (_, Fate::Lost) => Fate::Lost,
                (Fate::Kept, _) | (_, Fate::Kept) => Fate::Kept,
                (Fate::Unknown, Fate::Unknown) => Fate::Unknown,
            };
        }
        fate
    }

    fn frame_of(&mut self, frame: &TapFrame<'_>, place: usize, track: u8) -> Fate {
        let Some(call) = self.calls.get_mut(place).and_then(Option::as_mut) else {
            return Fate::Unknown;
        };
        if self.spool_bytes >= self.spool_bytes_max {
            let at = frame.arrived_us;
            let loss = call.loss.get_or_insert(Loss {
                from_us: at,
                to_us: at,
                frames: 0,
            });
            loss.to_us = loss.to_us.max(at);
            loss.frames += 1;
            return Fate::Lost;
        }
        if let Some(loss) = call.loss.take() {
            self.spool_bytes += call.tell_loss(loss, &mut self.notices);
        }
        let record = Record::Audio(Audio {
            track,
            arrived_us: frame.arrived_us,
            ssrc: frame.ssrc,
            rtp_timestamp: frame.rtp_timestamp,
            sequence: frame.sequence,
            codec: frame.codec,
            payload: frame.payload,
        });
        let at = frame.arrived_us;
        self.spool_bytes += append(&mut call.pending, &record);
        call.entry_us = call.entry_us.max(at);
        Fate::Kept
    }

    /// Once a pass, after the frames: marks for silent calls, ends of closing ones.
    pub(super) fn tick(&mut self, now: i64) {
        let full = self.spool_bytes >= self.spool_bytes_max;
        let mut ended = Vec::new();
        for (place, call) in self.calls.iter_mut().enumerate() {
            let Some(call) = call else { continue };
            match call.life {
                Life::Live if now - call.entry_us >= MARK_US && !full => {
                    let mark = Record::Mark { at_us: now };
                    self.spool_bytes += append(&mut call.pending, &mark);
                    call.entry_us = now;
                }
                Life::Live | Life::Ended => {}
                Life::Closing { at_us, passes } if passes < CLOSING_PASSES => {
                    let passes = passes + 1;
                    call.life = Life::Closing { at_us, passes };
                }
                Life::Closing { at_us, .. } => {
                    if let Some(loss) = call.loss.take() {
                        self.spool_bytes += call.tell_loss(loss, &mut self.notices);
                    }
                    let closed = Record::Closed { at_us };
                    self.spool_bytes += append(&mut call.pending, &closed);
                    call.life = Life::Ended;
                    ended.extend(call.slots.drain(..).map(|slot| (slot, place)));
                }
            }
        }
        for (slot, place) in ended {
            self.free_slot(slot, place);
        }
    }

    /// Take out what is to be written.
    pub(super) fn due(&mut self, batch: &mut Vec<Job>) {
        for (place, call) in self.calls.iter_mut().enumerate() {
            if let Some(call) = call {
                batch.extend(call.take(place));
            }
        }
    }

    /// A job came back from the writer. Its error, if it has one, is given on.
    pub(super) fn took(&mut self, job: Job) -> Option<std::io::Error> {
        let Some(slot) = self.calls.get_mut(job.place) else {
            return job.error;
        };
        let Some(call) = slot.as_mut() else {
            return job.error;
        };
        if !call.started && job.written {
            call.started = true;
            self.notices.push(Notice::Started(call.header));
        }
        if !job.written {
            call.buffer = Buffer::Back(job.bytes);
            return job.error;
        }
        self.spool_bytes = self.spool_bytes.saturating_sub(job.bytes.len());
        call.offset += job.bytes.len() as u64;
        let mut bytes = job.bytes;
        bytes.clear();
        if bytes.capacity() > BUFFER_KEEP_BYTES {
            bytes = Vec::with_capacity(BUFFER_BYTES);
        }
        // What was just written is in the processor's cache, the other is not.
        if call.pending.is_empty() {
            std::mem::swap(&mut call.pending, &mut bytes);
        }
        call.buffer = Buffer::Home(bytes);
        if job.last {
            let header = call.header;
            self.by_id.remove(&header.call);
            *slot = None;
            self.notices.push(Notice::Complete(header, job.pieces));
        }
        job.error
    }

    /// Recordings whose audio is not wholly on disk, for the report when the recorder has to leave.
    pub(super) fn unwritten(&self) -> impl Iterator<Item = Header> + '_ {
        self.calls.iter().flatten().map(|call| call.header)
    }
}

impl Call {
    fn take(&mut self, place: usize) -> Option<Job> {
        let bytes = match std::mem::replace(&mut self.buffer, Buffer::Away) {
            Buffer::Away => return None,
            Buffer::Back(bytes) => bytes,
            Buffer::Home(spare) => {
                if self.pending.is_empty() {
                    self.buffer = Buffer::Home(spare);
                    return None;
                }
                std::mem::replace(&mut self.pending, spare)
            }
        };
        Some(Job {
            place,
            call: self.header.call,
            recording: self.header.recording,
            offset: self.offset,
            last: self.life == Life::Ended && self.pending.is_empty(),
            bytes,
            written: false,
            pieces: Pieces::default(),
            error: None,
        })
    }

    /// Note a loss in the capture and tell it; gives the bytes appended.
    fn tell_loss(&mut self, loss: Loss, notices: &mut Vec<Notice>) -> usize {
        notices.push(Notice::Lost {
            header: self.header,
            from_us: loss.from_us,
            to_us: loss.to_us,
            frames: loss.frames,
        });
        let record = Record::Lost {
            from_us: loss.from_us,
            to_us: loss.to_us,
        };
        append(&mut self.pending, &record)
    }
}

/// Append a record to what waits; gives the bytes it took.
fn append(pending: &mut Vec<u8>, record: &Record<'_>) -> usize {
    let before = pending.len();
    // While the disk is away the buffer grows by a quarter, not by doubling: the spool's bound is in bytes kept.
    if pending.capacity() - before < capture::RECORD_BYTES_MAX {
        pending.reserve_exact((before / 4).max(BUFFER_BYTES));
    }
    capture::put(pending, record);
    pending.len() - before
}

/// The ids of a recording, for messages.
pub(super) fn ids(header: &Header) -> (CallId, RecordingId) {
    (header.call, header.recording)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::capture::{Taken, take};
    use crate::media::session::Codec;
    use uuid::Uuid;

    fn header(n: u128) -> Header {
        Header {
            call: CallId(Uuid::from_u128(n)),
            recording: RecordingId(Uuid::from_u128(n)),
            start_us: 0,
        }
    }

    fn frame(slot: u32, arrived_us: i64) -> TapFrame<'static> {
        const PAYLOADS: [[u8; 160]; 8] = {
            let mut all = [[0; 160]; 8];
            let mut n = 0;
            while n < all.len() {
                all[n] = [n as u8; 160];
                n += 1;
            }
            all
        };
        TapFrame {
            slot,
            arrived_us,
            ssrc: 1,
            rtp_timestamp: 0,
            sequence: 0,
            codec: Codec::Pcma,
            payload: &PAYLOADS[slot as usize % 8],
        }
    }

    /// A disk that takes everything, one file per call.
    #[derive(Default)]
    struct Files(BTreeMap<CallId, Vec<u8>>);

    impl Files {
        fn write(&mut self, book: &mut Book) {
            let mut batch = Vec::new();
            book.due(&mut batch);
            for mut job in batch {
                let file = self.0.entry(job.call).or_default();
                assert_eq!(file.len() as u64, job.offset, "no hole, nothing twice");
                file.extend_from_slice(&job.bytes);
                job.written = true;
                assert!(book.took(job).is_none());
            }
        }

        /// (track, first byte of payload) of every frame.
        fn frames(&self, call: CallId) -> Vec<(u8, u8)> {
            let mut bytes = &self.0[&call][capture::HEADER_BYTES..];
            let mut found = Vec::new();
            while let Taken::Record { record, used } = take(bytes) {
                if let Record::Audio(audio) = record {
                    found.push((audio.track, audio.payload[0]));
                }
                bytes = &bytes[used..];
            }
            assert!(bytes.is_empty());
            found
        }
    }

    #[test]
    fn a_leg_of_joined_calls_is_recorded_in_both_until_they_part() {
        let mut book = Book::new(1 << 20);
        let (a, b) = (header(1), header(2));
        for h in [a, b] {
            assert!(book.start(h, 0));
            assert!(!book.start(h, 0), "only once");
        }
        book.track(a.call, 5, "caller");
        book.track(b.call, 6, "caller");
        assert_eq!(book.frame(&frame(5, 10)), Fate::Kept);
        book.track(b.call, 5, "seat-801");
        assert_eq!(book.frame(&frame(5, 30)), Fate::Kept);
        assert_eq!(book.frame(&frame(6, 30)), Fate::Kept);
        book.track(a.call, 6, "caller@2");
        assert_eq!(book.frame(&frame(6, 36)), Fate::Kept);
        assert!(book.untrack(a.call, 6));
        assert_eq!(book.frame(&frame(6, 38)), Fate::Kept);
        // The end of one call does not take the slot from the other.
        book.close(a.call, 40);
        for now in 1..5 {
            book.tick(now);
        }
        assert_eq!(book.frame(&frame(5, 50)), Fate::Kept);
        let mut files = Files::default();
        files.write(&mut book);
        assert_eq!(files.frames(a.call), [(0, 5), (0, 5), (1, 6)]);
        assert_eq!(
            files.frames(b.call),
            [(1, 5), (0, 6), (0, 6), (0, 6), (1, 5)]
        );
        assert_eq!(book.open_calls(), 1);
        assert!(
            book.notices
                .contains(&Notice::Complete(a, Pieces::default()))
        );
    }

    #[test]
    fn a_party_that_comes_back_goes_on_in_its_old_track() {
        let mut book = Book::new(1 << 20);
        let h = header(1);
        book.start(h, 0);
        book.track(h.call, 1, "caller");
        book.track(h.call, 2, "seat-801");
        book.track(h.call, 3, "seat-802");
        book.track(h.call, 4, "seat-801");
        for slot in 1..=4 {
            book.frame(&frame(slot, 10));
        }
        let mut files = Files::default();
        files.write(&mut book);
        assert_eq!(files.frames(h.call), [(0, 1), (1, 2), (2, 3), (1, 4)]);
    }

    #[test]
    fn frames_after_the_end_are_unknown_and_slots_are_free_again() {
        let mut book = Book::new(1 << 20);
        let h = header(1);
        book.start(h, 0);
        book.track(h.call, 1, "caller");
        book.close(h.call, 5);
        book.tick(10);
        assert_eq!(book.frame(&frame(1, 10)), Fate::Kept, "late, but in time");
        book.tick(20);
        book.tick(30);
        assert_eq!(book.frame(&frame(1, 40)), Fate::Unknown);
        assert!(!book.close(header(2).call, 0));
        let mut files = Files::default();
        files.write(&mut book);
        assert_eq!((book.open_calls(), book.spool_bytes()), (0, 0));
        assert!(book.start(h, 50), "the same id may come again");
    }

    #[test]
    fn a_party_beyond_the_tracks_is_told_as_not_recorded() {
        let mut book = Book::new(1 << 20);
        let h = header(1);
        book.start(h, 0);
        for n in 0..=TRACKS_MAX {
            let role = format!("guest{n}");
            book.track(h.call, n as u32, &format!("{role}-1"));
        }
        let told = |n: &&Notice| matches!(n, Notice::TooManyTracks { .. });
        assert_eq!(book.notices.iter().filter(told).count(), 1);
        assert_eq!(book.frame(&frame(TRACKS_MAX as u32, 1)), Fate::Unknown);
    }

    #[test]
    fn what_is_away_waits_and_what_was_refused_is_tried_again_as_it_is() {
        let mut book = Book::new(1 << 20);
        let h = header(1);
        book.start(h, 0);
        book.track(h.call, 1, "caller");
        book.frame(&frame(1, 0));
        let mut batch = Vec::new();
        book.due(&mut batch);
        book.frame(&frame(1, 0));
        let mut more = Vec::new();
        book.due(&mut more);
        assert!(more.is_empty(), "one write at a time per call");
        let mut job = batch.remove(0);
        let whole = job.bytes.len();
        job.error = Some(std::io::ErrorKind::StorageFull.into());
        assert!(book.took(job).is_some());
        book.due(&mut more);
        assert_eq!((more[0].offset, more[0].bytes.len()), (0, whole));
        more[0].written = true;
        book.took(more.remove(0));
        book.due(&mut more);
        assert_eq!(more[0].offset, whole as u64);
    }
}
