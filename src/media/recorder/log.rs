//! The audio log: what the captures get, one after the other in one file, so that audio is with the operating system
//! within 0.1 s for one write a pass, however many calls. A call of some minutes is sealed from the logs that have its
//! pieces; after a kill they say what its capture lacks.
//!
//! Owns the bytes of the log and what is made of them. Refuses to know calls' lives, threads and memory.
//!
//! ```text
//! file  = piece*                                                            <dir>/log/<microseconds since 1970>.log
//! piece = "FSLG" len:u32 call[16] recording[16] offset:u64 check bytes[len]       (little endian; check of the head)
//! ```
//! `bytes` are whole records of [`capture`], each with a check of its own, and belong at `offset` of that capture.
//! Saying them again changes nothing. A capture that is gone was sealed and is not made anew.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use super::capture_dir;
use super::disk::{Disk, DiskFile, OpenMode, write_all_at};
use crate::id::{CallId, RecordingId};
use crate::media::capture::{self, Taken};
use uuid::Uuid;

const MAGIC: [u8; 4] = *b"FSLG";
/// Bytes of a piece before its `bytes`.
const HEAD_BYTES: usize = 4 + 4 + 16 + 16 + 8 + 4;
/// Longest `bytes` of a piece.
pub(super) const PIECE_BYTES_MAX: usize = 64 * 1024;
/// Read at once when the log is said again.
const READ_BYTES: usize = 256 * 1024;
/// Read at once, and left out when it cannot be, once a log has been refused [`TRIES`] times.
const SALVAGE_BYTES: usize = 4096;
/// A log that the disk refuses so often is salvaged.
pub(super) const TRIES: u32 = 3;

/// A log, by its name: microseconds since 1970 when it was begun. A later one is greater.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct LogId(pub(super) i64);

/// Where a piece belongs.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) call: CallId,
    pub(super) recording: RecordingId,
    pub(super) offset: u64,
}

/// Append one piece; `bytes` are at most [`PIECE_BYTES_MAX`].
pub(super) fn put(out: &mut Vec<u8>, place: &Place, bytes: &[u8]) {
    let len = u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_le_bytes();
    let fields: [&[u8]; 5] = [
        &MAGIC,
        &len,
        place.call.0.as_bytes(),
        place.recording.0.as_bytes(),
        &place.offset.to_le_bytes(),
    ];
    // Checked where the processor has it at hand, as an audio record is.
    let mut head = [0; HEAD_BYTES - 4];
    for (place, byte) in head.iter_mut().zip(fields.into_iter().flatten()) {
        *place = *byte;
    }
    out.extend_from_slice(&head);
    out.extend_from_slice(&capture::check(&head).to_le_bytes());
    out.extend_from_slice(bytes);
}

enum Found<'a> {
    Piece {
        place: Place,
        bytes: &'a [u8],
    },
    /// It may be the start of a piece; more bytes are needed to say.
    Short,
    Damaged,
}

fn take(bytes: &[u8]) -> Found<'_> {
    let Some((head, rest)) = bytes.split_first_chunk::<HEAD_BYTES>() else {
        return Found::Short;
    };
    let Some((head, check)) = head.split_last_chunk::<4>() else {
        return Found::Damaged;
    };
    let field = |from: usize| head.get(from..).unwrap_or_default();
    let (Some(magic), Some(len), Some(call), Some(recording), Some(offset)) = (
        field(0).first_chunk::<4>(),
        field(4).first_chunk::<4>(),
        field(8).first_chunk::<16>(),
        field(24).first_chunk::<16>(),
        field(40).first_chunk::<8>(),
    ) else {
        return Found::Damaged;
    };
    let len = usize::try_from(u32::from_le_bytes(*len)).unwrap_or(usize::MAX);
    if *magic != MAGIC
        || len > PIECE_BYTES_MAX
        || capture::check(head) != u32::from_le_bytes(*check)
    {
        return Found::Damaged;
    }
    let Some(bytes) = rest.get(..len) else {
        return Found::Short;
    };
    let place = Place {
        call: CallId(Uuid::from_bytes(*call)),
        recording: RecordingId(Uuid::from_bytes(*recording)),
        offset: u64::from_le_bytes(*offset),
    };
    Found::Piece { place, bytes }
}

/// The whole records at the start of a piece: a torn one must not go over what its capture has already.
fn sound(place: &Place, bytes: &[u8]) -> usize {
    let mut used = 0;
    if place.offset == 0 {
        match capture::take_header(bytes) {
            Ok(_) => used = capture::HEADER_BYTES,
            Err(_) => return 0,
        }
    }
    while let Some(rest) = bytes.get(used..)
        && let Taken::Record { used: more, .. } = capture::take(rest)
    {
        used += more;
    }
    used
}

/// Where the logs live.
pub(super) fn log_dir(dir: &Path) -> PathBuf {
    dir.join("log")
}

pub(super) fn log_path(dir: &Path, log: LogId) -> PathBuf {
    log_dir(dir).join(format!("{:020}.log", log.0))
}

/// The logs that a process left behind, oldest first.
pub(super) fn left(disk: &dyn Disk, dir: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths = disk.list(&log_dir(dir))?;
    paths.retain(|path| path.extension().is_some_and(|e| e == "log"));
    Ok(paths)
}

/// How a log is read.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Reading {
    /// A refusal of the disk ends it.
    Whole,
    /// What cannot be read is left out.
    Salvage,
}

/// Give the captures of `dir` what this log holds of them, make it durable and remove the log; one that could not be
/// read throughout is kept as `.bad`. Gives the bytes that could not. Doing it again after a failure half way is the
/// same as doing it once.
pub(super) fn say_again(
    disk: &dyn Disk,
    dir: &Path,
    log: &Path,
    reading: Reading,
) -> io::Result<u64> {
    let file = match disk.open(log, OpenMode::Read) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(0),
        other => other?,
    };
    let mut captures = BTreeMap::new();
    let damaged = read(&*file, reading, |place, bytes| {
        let name = super::capture_name(place.call, place.recording);
        if !captures.contains_key(&name) {
            let path = capture_dir(dir).join(&name);
            let opened = match disk.open(&path, OpenMode::Existing) {
                Err(e) if e.kind() == io::ErrorKind::NotFound => None,
                other => Some(other?),
            };
            captures.insert(name.clone(), opened);
        }
        let whole = bytes.get(..sound(&place, bytes)).unwrap_or_default();
        match captures.get(&name) {
            Some(Some(capture)) => write_all_at(&**capture, whole, place.offset),
            Some(None) | None => Ok(()),
        }
    })?;
    disk.sync(dir)?;
    match damaged {
        0 => disk.remove(log)?,
        _ => disk.rename(log, &log.with_extension("bad"))?,
    }
    Ok(damaged)
}

/// Hand every piece of a log to `f`; what is no piece is passed over. Gives the bytes that could not be read.
fn read(
    file: &dyn DiskFile,
    reading: Reading,
    mut f: impl FnMut(Place, &[u8]) -> io::Result<()>,
) -> io::Result<u64> {
    let (step, size) = match reading {
        Reading::Whole => (READ_BYTES, 0),
        Reading::Salvage => (SALVAGE_BYTES, file.size()?),
    };
    let (mut buffer, mut offset, mut damaged, mut more) = (Vec::new(), 0, 0, true);
    while more {
        let kept = buffer.len();
        buffer.resize(kept + step, 0);
        let room = buffer.get_mut(kept..).unwrap_or_default();
        let filled = match file.read_at(room, offset) {
            Ok(n) => n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {
                buffer.truncate(kept);
                continue;
            }
            Err(_) if offset < size => {
                room.fill(0);
                damaged += step as u64;
                step
            }
            Err(e) => return Err(e),
        };
        more = filled > 0;
        offset += filled as u64;
        buffer.truncate(kept + filled);
        let mut used = 0;
        while let Some(bytes) = buffer.get(used..).filter(|b| !b.is_empty()) {
            match take(bytes) {
                Found::Piece { place, bytes } => {
                    f(place, bytes)?;
                    used += HEAD_BYTES + bytes.len();
                }
                Found::Short if more => break,
                Found::Short | Found::Damaged => used += 1,
            }
        }
        buffer.drain(..used);
    }
    Ok(damaged)
}

#[cfg(test)]
mod tests {
    use super::super::disk::SystemDisk;
    use super::*;
    use crate::media::capture::{Header, Record};

    /// A capture of `marks` marks in `dir`, of which the file has `written` bytes; gives its place and all its bytes.
    fn capture_of(dir: &Path, n: u128, marks: i64, written: usize) -> (Place, Vec<u8>) {
        let place = Place {
            call: CallId(Uuid::from_u128(n)),
            recording: RecordingId(Uuid::from_u128(n + 1)),
            offset: 0,
        };
        let mut bytes = Vec::new();
        let header = Header {
            call: place.call,
            recording: place.recording,
            start_us: 5,
        };
        capture::put_header(&mut bytes, &header);
        for at_us in 0..marks {
            capture::put(&mut bytes, &Record::Mark { at_us });
        }
        std::fs::create_dir_all(capture_dir(dir)).unwrap();
        std::fs::write(path_of(dir, &place), &bytes[..written]).unwrap();
        (place, bytes)
    }

    fn path_of(dir: &Path, place: &Place) -> PathBuf {
        capture_dir(dir).join(super::super::capture_name(place.call, place.recording))
    }

    /// Pieces of `step` bytes of a capture, from `from` on.
    fn pieces(out: &mut Vec<u8>, place: &Place, bytes: &[u8], from: usize, records: usize) {
        let mark = 15;
        let mut at = from;
        for piece in bytes[from..].chunks(if from == 0 {
            52 + mark * records
        } else {
            mark * records
        }) {
            let offset = at as u64;
            put(out, &Place { offset, ..*place }, piece);
            at += piece.len();
        }
    }

    fn say(dir: &Path, logs: &[PathBuf]) {
        for log in logs {
            assert_eq!(say_again(&SystemDisk, dir, log, Reading::Whole).unwrap(), 0);
        }
    }

    fn keep(dir: &Path, bytes: &[u8]) -> Vec<PathBuf> {
        std::fs::create_dir_all(log_dir(dir)).unwrap();
        std::fs::write(log_path(dir, LogId(7)), bytes).unwrap();
        left(&SystemDisk, dir).unwrap()
    }

    #[test]
    fn a_capture_gets_what_it_lacks_and_a_sealed_one_is_not_made_anew() {
        let dir = tempfile::tempdir().unwrap();
        let (a, a_bytes) = capture_of(dir.path(), 10, 40, 52 + 15 * 8);
        let (b, b_bytes) = capture_of(dir.path(), 20, 20, 0);
        let (gone, gone_bytes) = capture_of(dir.path(), 30, 20, 0);
        std::fs::remove_file(path_of(dir.path(), &gone)).unwrap();
        let mut log = Vec::new();
        // Part of it is in the file already.
        pieces(&mut log, &a, &a_bytes, 52 + 15 * 4, 3);
        pieces(&mut log, &gone, &gone_bytes, 0, 4);
        log.extend_from_slice(b"FSLG torn by a power cut, then overwritten");
        pieces(&mut log, &b, &b_bytes, 0, 10);
        let logs = keep(dir.path(), &log);
        assert_eq!(logs.len(), 1);
        say(dir.path(), &logs);
        assert_eq!(std::fs::read(path_of(dir.path(), &a)).unwrap(), a_bytes);
        assert_eq!(std::fs::read(path_of(dir.path(), &b)).unwrap(), b_bytes);
        assert!(!path_of(dir.path(), &gone).exists());
        assert!(!logs[0].exists());
        // A second time changes nothing.
        say(dir.path(), &logs);
    }

    #[test]
    fn a_torn_log_never_harms_what_a_capture_has() {
        let dir = tempfile::tempdir().unwrap();
        let (place, bytes) = capture_of(dir.path(), 10, 12, 0);
        let mut log = Vec::new();
        pieces(&mut log, &place, &bytes, 0, 4);
        for cut in 0..log.len() {
            // The capture was written and made durable before the log was.
            std::fs::write(path_of(dir.path(), &place), &bytes).unwrap();
            let mut torn = log.clone();
            torn[cut..].fill(0);
            let logs = keep(dir.path(), &torn);
            say(dir.path(), &logs);
            let found = std::fs::read(path_of(dir.path(), &place)).unwrap();
            assert_eq!(found, bytes, "cut at {cut}");
        }
    }

    #[test]
    fn a_long_log_is_read_in_parts() {
        let dir = tempfile::tempdir().unwrap();
        let (place, bytes) = capture_of(dir.path(), 10, 60_000, 52);
        let mut log = Vec::new();
        pieces(&mut log, &place, &bytes, 52, 300);
        assert!(log.len() > 3 * READ_BYTES);
        say(dir.path(), &keep(dir.path(), &log));
        assert_eq!(std::fs::read(path_of(dir.path(), &place)).unwrap(), bytes);
    }

    /// A log with a block that cannot be read.
    struct Scratched(std::fs::File, std::ops::Range<u64>);

    impl DiskFile for Scratched {
        fn size(&self) -> io::Result<u64> {
            DiskFile::size(&self.0)
        }
        fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize> {
            let end = offset + into.len() as u64;
            if offset < self.1.end && self.1.start < end {
                return Err(io::Error::from_raw_os_error(5));
            }
            DiskFile::read_at(&self.0, into, offset)
        }
        fn write_at(&self, _: &[u8], _: u64) -> io::Result<usize> {
            Err(io::ErrorKind::Unsupported.into())
        }
        fn sync(&self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn log_with_a_bad_block_gives_what_can_be_read() {
        let dir = tempfile::tempdir().unwrap();
        let (place, bytes) = capture_of(dir.path(), 10, 4000, 52);
        let mut log = Vec::new();
        pieces(&mut log, &place, &bytes, 52, 10);
        let path = keep(dir.path(), &log).remove(0);
        let scratched = || Scratched(std::fs::File::open(&path).unwrap(), 9000..9001);
        assert!(read(&scratched(), Reading::Whole, |_, _| Ok(())).is_err());
        let mut given = 52;
        let damaged = read(&scratched(), Reading::Salvage, |place, bytes| {
            given += sound(&place, bytes);
            Ok(())
        });
        assert_eq!(damaged.unwrap(), SALVAGE_BYTES as u64);
        let lost = bytes.len() - given;
        assert!((1..SALVAGE_BYTES + 500).contains(&lost), "{lost}");
    }
}
