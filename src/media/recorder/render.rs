//! A capture becomes a WAV: first pass learns the clocks, the tracks and the length, the second writes the file from
//! front to back. Works in steps of [`READ_BYTES`], holds some seconds of audio whatever the length of the call.
//!
//! ```text
//! Survey --end of capture--> Draw --end of capture--> sealed: part file synced and renamed
//! ```
//! Owns the order of passes and the window. Where a packet belongs is [`super::super::track`]'s to say. The same
//! capture always gives the same bytes, so a render cut short by a kill is simply done again.

use std::io;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::Closed;
use super::disk::{Disk, DiskFile, OpenMode, write_all_at};
use super::pieces::PiecedCapture;
use crate::id::{CallId, RecordingId};
use crate::media::capture::{self, Audio, CaptureError, Header, Record, TRACKS_MAX, Taken};
use crate::media::session::Codec;
use crate::media::track::{Lane, PacketTime, Survey, TrackClock};
use crate::media::wav;
use crate::switch::{SealedRecording, SealedTrack};
use crate::time::Timestamp;

/// Bytes of capture read in one step.
pub(super) const READ_BYTES: usize = 256 * 1024;
/// Frames held for late packets; older ones are written out.
const LATE_FRAMES: i64 = 4 * wav::HZ as i64;
/// Frames written at once.
const EMIT_FRAMES: i64 = 2 * wav::HZ as i64;
/// Frames in memory.
const WINDOW_FRAMES: i64 = LATE_FRAMES + 2 * EMIT_FRAMES;

/// Why a capture is not sealed.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// The disk refused; the capture is kept and sealed later.
    #[error("{step} {}: {source}", path.display())]
    Disk {
        step: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    /// A fault of ours while rendering; the capture is set aside for a person.
    #[error("{}: the renderer met a fault of its own", path.display())]
    Fault { path: PathBuf },
    /// The file holds no capture; nothing can be made of it.
    #[error("{}: {source}", path.display())]
    Capture { path: PathBuf, source: CaptureError },
}

/// One capture being sealed.
pub(super) struct Render {
    dir: PathBuf,
    capture: PathBuf,
    records: Records,
    header: Header,
    phase: Phase,
}

enum Phase {
    Survey(SurveyPass),
    Draw(Box<DrawPass>),
}

/// What a step came to.
#[derive(Debug)]
pub(super) enum Step {
    More,
    Sealed(CallId, SealedRecording),
}

impl Render {
    /// Open a capture of the recordings directory `dir`.
    pub(super) fn open(disk: &dyn Disk, dir: &Path, closed: &Closed) -> Result<Self, SealError> {
        let capture = closed.path.as_path();
        let file = PiecedCapture::open(disk, dir, capture, &closed.pieces)
            .map_err(|e| failed("open", capture, e))?;
        let mut records = Records::new(file);
        records.fill().map_err(|e| failed("read", capture, e))?;
        let header =
            capture::take_header(records.bytes()).map_err(|source| SealError::Capture {
                path: capture.to_owned(),
                source,
            })?;
        records.skip(capture::HEADER_BYTES);
        Ok(Self {
            dir: dir.to_owned(),
            capture: capture.to_owned(),
            records,
            header,
            phase: Phase::Survey(SurveyPass::new(header.start_us)),
        })
    }

    /// Whose capture it is.
    pub(super) fn header(&self) -> Header {
        self.header
    }

    /// Bytes that the logs have no more.
    pub(super) fn missing(&self) -> u64 {
        self.records.file.missing()
    }

    /// Go on for one step.
    pub(super) fn step(&mut self, disk: &dyn Disk) -> Result<Step, SealError> {
        let more = self
            .records
            .fill()
            .map_err(|e| failed("read", &self.capture, e))?;
        match &mut self.phase {
            Phase::Survey(pass) => {
                self.records.each(more, |record| pass.note(&record));
                if !more {
                    let part = self.target().with_extension("wav.part");
                    let Phase::Survey(pass) = &mut self.phase else {
                        return Ok(Step::More);
                    };
                    let pass = std::mem::take(pass);
                    self.phase = Phase::Draw(Box::new(DrawPass::open(disk, part, pass)?));
                    self.records.rewind(capture::HEADER_BYTES);
                }
                Ok(Step::More)
            }
            Phase::Draw(pass) => {
                self.records.each(more, |record| pass.draw(&record));
                pass.write_out()?;
                if more {
                    return Ok(Step::More);
                }
                self.seal(disk)
            }
        }
    }

    fn seal(&mut self, disk: &dyn Disk) -> Result<Step, SealError> {
        let target = self.target();
        let Phase::Draw(pass) = &mut self.phase else {
            return Ok(Step::More);
        };
        let drawn = pass.finish()?;
        disk.rename(&pass.part, &target)
            .map_err(|e| failed("rename to", &target, e))?;
        if self.records.damaged > 0 {
            tracing::warn!(call = %self.header.call, bytes = self.records.damaged, "capture had damaged bytes; they were left out");
        }
        let sealed = SealedRecording {
            recording: self.header.recording,
            path: relative_path(&self.header),
            start: Timestamp::from_micros(self.header.start_us),
            duration_ms: drawn.duration_ms,
            size_bytes: drawn.size_bytes,
            sha256: drawn.sha256,
            tracks: drawn.tracks,
        };
        Ok(Step::Sealed(self.header.call, sealed))
    }

    fn target(&self) -> PathBuf {
        self.dir.join(relative_path(&self.header))
    }
}

fn relative_path(header: &Header) -> String {
    let start = Timestamp::from_micros(header.start_us);
    path_of(header.call, header.recording, start)
}

/// `2026/11/22/<call>_<recording>.wav`; the day is that of the start, in UTC.
pub(super) fn path_of(call: CallId, recording: RecordingId, start: Timestamp) -> String {
    let start = start.rfc3339();
    let day = start.get(..10).unwrap_or("1970-01-01").replace('-', "/");
    format!("{day}/{}.wav", super::stem(call, recording))
}

fn failed(step: &'static str, path: &Path, source: io::Error) -> SealError {
    SealError::Disk {
        step,
        path: path.to_owned(),
        source,
    }
}

/// Reads records off a capture, a piece at a time.
struct Records {
    file: PiecedCapture,
    /// Offset in the capture of the end of `buffer`.
    offset: u64,
    buffer: Vec<u8>,
    used: usize,
    damaged: u64,
}

impl Records {
    fn new(file: PiecedCapture) -> Self {
        Self {
            file,
            offset: 0,
            buffer: Vec::with_capacity(READ_BYTES + capture::RECORD_BYTES_MAX),
            used: 0,
            damaged: 0,
        }
    }

    fn rewind(&mut self, offset: usize) {
        self.file.rewind();
        self.offset = offset as u64;
        self.buffer.clear();
        self.used = 0;
        self.damaged = 0;
    }

    fn bytes(&self) -> &[u8] {
        self.buffer.get(self.used..).unwrap_or_default()
    }

    fn skip(&mut self, bytes: usize) {
        self.used = (self.used + bytes).min(self.buffer.len());
    }

    /// Read the next piece behind what is left. False at the end of the file.
    fn fill(&mut self) -> io::Result<bool> {
        self.buffer.drain(..self.used);
        self.used = 0;
        let kept = self.buffer.len();
        self.buffer.resize(kept + READ_BYTES, 0);
        let mut filled = kept;
        let result = loop {
            let Some(room) = self.buffer.get_mut(filled..).filter(|r| !r.is_empty()) else {
                break Ok(true);
            };
            match self.file.read_at(room, self.offset) {
                Ok(0) => break Ok(false),
                Ok(n) => {
                    filled += n;
                    self.offset += n as u64;
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => break Err(e),
            }
        };
        self.buffer.truncate(filled);
        result
    }

    /// Hand every whole record in the buffer to `f`. Unless `more` follows, a rest that is no record is skipped.
    fn each(&mut self, more: bool, mut f: impl FnMut(Record<'_>)) {
        while let Some(bytes) = self.buffer.get(self.used..).filter(|b| !b.is_empty()) {
            match capture::take(bytes) {
                Taken::Record { record, used } => {
                    f(record);
                    self.used += used;
                }
                Taken::Short if more => break,
                Taken::Short | Taken::Damaged => {
                    self.used += 1;
                    self.damaged += 1;
                }
            }
        }
    }
}

/// What the first pass learns.
#[derive(Default)]
struct SurveyPass {
    start_us: i64,
    tracks: Vec<TrackBook>,
    /// End of the last audio, in frames.
    audio_end: i64,
    /// The last moment known of a capture that was never closed.
    seen_end: i64,
    closed: Option<i64>,
}

#[derive(Default)]
struct TrackBook {
    name: String,
    survey: Survey,
}

impl SurveyPass {
    fn new(start_us: i64) -> Self {
        Self {
            start_us,
            ..Self::default()
        }
    }

    fn track(&mut self, index: u8) -> Option<&mut TrackBook> {
        let index = usize::from(index);
        if index >= TRACKS_MAX {
            return None;
        }
        while self.tracks.len() <= index {
            // The record that names it may be damaged; its audio is kept all the same.
            let name = format!("track-{}", self.tracks.len());
            self.tracks.push(TrackBook {
                name,
                survey: Survey::default(),
            });
        }
        self.tracks.get_mut(index)
    }

    fn note(&mut self, record: &Record<'_>) {
        match record {
            Record::Track { index, name } => {
                if let Some(track) = self.track(*index) {
                    (*name).clone_into(&mut track.name);
                }
            }
            Record::Audio(audio) => {
                let time = packet_time(audio, self.start_us);
                if let Some(track) = self.track(audio.track) {
                    track.survey.note(&time);
                }
                let end = time.arrived + i64::from(time.samples);
                self.audio_end = self.audio_end.max(end);
            }
            Record::Mark { at_us } | Record::Lost { to_us: at_us, .. } => {
                self.seen_end = self.seen_end.max(frames(*at_us, self.start_us));
            }
            Record::Closed { at_us } => self.closed = Some(frames(*at_us, self.start_us)),
        }
    }

    /// Frames of the recording.
    fn end(&self) -> i64 {
        self.closed.unwrap_or(self.seen_end).max(self.audio_end)
    }
}

/// Microseconds on the process clock as frames from the start.
fn frames(at_us: i64, start_us: i64) -> i64 {
    at_us
        .saturating_sub(start_us)
        .saturating_mul(8)
        .div_euclid(1000)
}

fn packet_time(audio: &Audio<'_>, start_us: i64) -> PacketTime {
    PacketTime {
        arrived: frames(audio.arrived_us, start_us),
        ssrc: audio.ssrc,
        rtp_timestamp: audio.rtp_timestamp,
        sequence: audio.sequence,
        samples: u16::try_from(audio.payload.len()).unwrap_or(u16::MAX),
    }
}

/// The second pass: the window of audio that is being filled, and the file behind it.
struct DrawPass {
    start_us: i64,
    part: PathBuf,
    file: Box<dyn DiskFile>,
    written: u64,
    hash: Sha256,
    tracks: Vec<DrawTrack>,
    channels: usize,
    /// Frames of the recording.
    end: i64,
    /// First frame in `window`.
    base: i64,
    window: Vec<u8>,
    /// Bytes that left the window and are not yet in the file.
    out: Vec<u8>,
    fresh: Vec<(i64, i64)>,
    /// A write that failed while drawing; told at the end of the step.
    trouble: Option<SealError>,
}

struct DrawTrack {
    name: String,
    clock: TrackClock,
    lane: Lane,
}

struct Drawn {
    duration_ms: u64,
    size_bytes: u64,
    sha256: String,
    tracks: Vec<SealedTrack>,
}

impl DrawPass {
    fn open(disk: &dyn Disk, part: PathBuf, pass: SurveyPass) -> Result<Self, SealError> {
        if let Some(dir) = part.parent() {
            disk.create_dirs(dir)
                .map_err(|e| failed("make directory", dir, e))?;
        }
        let file = disk
            .open(&part, OpenMode::Replace)
            .map_err(|e| failed("create", &part, e))?;
        let channels = pass.tracks.len().max(1);
        let wav_channels = u16::try_from(channels).unwrap_or(1);
        let longest = i64::try_from(wav::frames_max(wav_channels)).unwrap_or(i64::MAX);
        let end = pass.end().min(longest);
        let header = wav::header(wav_channels, u64::try_from(end).unwrap_or(0));
        let window = usize::try_from(WINDOW_FRAMES).unwrap_or(0) * channels;
        let tracks = pass
            .tracks
            .into_iter()
            .map(|book| DrawTrack {
                name: book.name,
                clock: book.survey.into_clock(),
                lane: Lane::new(end),
            })
            .collect();
        Ok(Self {
            start_us: pass.start_us,
            part,
            file,
            written: 0,
            hash: Sha256::new(),
            tracks,
            channels,
            end,
            base: 0,
            window: vec![wav::SILENCE; window],
            out: header.to_vec(),
            fresh: Vec::new(),
            trouble: None,
        })
    }

    fn draw(&mut self, record: &Record<'_>) {
        let Record::Audio(audio) = record else {
            return;
        };
        let time = packet_time(audio, self.start_us);
        let channel = usize::from(audio.track);
        let Some(track) = self.tracks.get_mut(channel) else {
            return;
        };
        let at = track.clock.place(&time);
        let to = at.saturating_add(i64::from(time.samples));
        self.reach(to);
        let mut fresh = std::mem::take(&mut self.fresh);
        if let Some(track) = self.tracks.get_mut(channel) {
            track.lane.claim(at, to, &mut fresh);
        }
        for (from, to) in &fresh {
            for frame in *from..*to {
                let sample = usize::try_from(frame - at).unwrap_or(0);
                let last = audio.payload.len().saturating_sub(1);
                if let Some(byte) = audio.payload.get(sample.min(last)) {
                    self.put(frame, channel, audio.codec, *byte);
                }
            }
        }
        self.fresh = fresh;
    }

    fn put(&mut self, frame: i64, channel: usize, codec: Codec, byte: u8) {
        let Ok(at) = usize::try_from(frame - self.base) else {
            return;
        };
        if let Some(place) = self.window.get_mut(at * self.channels + channel) {
            *place = match codec {
                Codec::Pcma => byte,
                Codec::Pcmu => Codec::Pcma.encode(Codec::Pcmu.decode(byte)),
            };
        }
    }

    /// Make room up to frame `to`: what is too old leaves the window.
    fn reach(&mut self, to: i64) {
        let to = to.min(self.end);
        while to > self.base + LATE_FRAMES + EMIT_FRAMES && self.trouble.is_none() {
            self.emit(EMIT_FRAMES);
            // A long hold is written as it goes by.
            if self.out.len() >= READ_BYTES
                && let Err(trouble) = self.write_out()
            {
                self.trouble = Some(trouble);
            }
        }
    }

    /// Move the first `count` frames of the window out.
    fn emit(&mut self, count: i64) {
        let bytes = usize::try_from(count).unwrap_or(0) * self.channels;
        let bytes = bytes.min(self.window.len());
        self.out.extend(self.window.iter().take(bytes));
        self.window.copy_within(bytes.., 0);
        let rest = self.window.len() - bytes;
        for place in self.window.iter_mut().skip(rest) {
            *place = wav::SILENCE;
        }
        self.base += count;
        for track in &mut self.tracks {
            track.lane.settle(self.base);
        }
    }

    fn write_out(&mut self) -> Result<(), SealError> {
        if let Some(trouble) = self.trouble.take() {
            return Err(trouble);
        }
        self.hash.update(&self.out);
        write_all_at(&*self.file, &self.out, self.written)
            .map_err(|e| failed("write", &self.part, e))?;
        self.written += self.out.len() as u64;
        self.out.clear();
        Ok(())
    }

    fn finish(&mut self) -> Result<Drawn, SealError> {
        while self.base < self.end {
            self.emit(EMIT_FRAMES.min(self.end - self.base));
            self.write_out()?;
        }
        if (self.written - wav::HEADER_BYTES as u64) % 2 == 1 {
            self.out.push(0);
            self.write_out()?;
        }
        self.file
            .sync()
            .map_err(|e| failed("sync", &self.part, e))?;
        let hash = std::mem::take(&mut self.hash).finalize();
        let tracks = std::mem::take(&mut self.tracks);
        Ok(Drawn {
            duration_ms: millis(self.end),
            size_bytes: self.written,
            sha256: hex(&hash),
            tracks: tracks.into_iter().map(DrawTrack::sealed).collect(),
        })
    }
}

impl DrawTrack {
    fn sealed(self) -> SealedTrack {
        let heard = self.lane.finish();
        SealedTrack {
            party: self.name,
            codec: String::from("pcma"),
            hz: wav::HZ,
            heard_ms: millis(heard.samples),
            gaps: heard
                .gaps
                .iter()
                .map(|(from, to)| (millis(*from), millis(*to)))
                .collect(),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    let mut out = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        // Writing to a String cannot fail.
        let _ = write!(out, "{byte:02x}");
    }
    out
}

fn millis(frames: i64) -> u64 {
    u64::try_from(frames / 8).unwrap_or(0)
}
