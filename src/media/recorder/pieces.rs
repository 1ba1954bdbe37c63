//! Where the bytes of a capture lie: in pieces of logs, and in its own file those that went there.
//!
//! Owns the index of a capture and the reading by it. Refuses to know when a log may go ([`super::ledger`]).

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::path::Path;

use super::disk::{Disk, DiskFile, OpenMode, write_all_at};
use super::log::{LogId, log_path};

/// Written at once when pieces go into their capture.
const RUN_BYTES: usize = 256 * 1024;

/// A run of a capture's bytes in a log.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) log: LogId,
    /// Where its bytes begin in the log.
    pub(super) at: u64,
    /// Where they belong in the capture.
    pub(super) offset: u64,
    pub(super) len: usize,
}

impl Piece {
    fn end(&self) -> u64 {
        self.offset + self.len as u64
    }
}

/// The pieces of one capture, in its order; so their logs are in order too.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Pieces(VecDeque<Piece>);

impl Pieces {
    pub(super) fn push(&mut self, piece: Piece) {
        self.0.push_back(piece);
    }

    /// The oldest log that has one of them.
    pub(super) fn oldest(&self) -> Option<LogId> {
        self.0.front().map(|piece| piece.log)
    }

    /// The newest log that has one of them.
    pub(super) fn newest(&self) -> Option<LogId> {
        self.0.back().map(|piece| piece.log)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Write what `from`, the oldest log, has of them into the capture's own `file`, at least `least` bytes if there
    /// are so many; make it durable and forget where it was. Gives the bytes.
    pub(super) fn settle(
        &mut self,
        from: &dyn DiskFile,
        file: &dyn DiskFile,
        least: usize,
    ) -> io::Result<usize> {
        let (mut run, mut begin, mut count, mut done) = (Vec::new(), 0, 0, 0);
        let oldest = self.oldest();
        for piece in self.0.iter().take_while(|piece| Some(piece.log) == oldest) {
            if done >= least {
                break;
            }
            // What went into the file itself lies between two pieces.
            if begin + run.len() as u64 != piece.offset || run.len() >= RUN_BYTES {
                write_all_at(file, &run, begin)?;
                run.clear();
                begin = piece.offset;
            }
            let kept = run.len();
            run.resize(kept + piece.len, 0);
            let room = run.get_mut(kept..).unwrap_or_default();
            if read_all_at(from, room, piece.at)? < piece.len {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            count += 1;
            done += piece.len;
        }
        write_all_at(file, &run, begin)?;
        file.sync()?;
        self.0.drain(..count);
        Ok(done)
    }
}

/// A capture that is read where it lies.
pub(super) struct PiecedCapture {
    file: Box<dyn DiskFile>,
    logs: BTreeMap<LogId, Box<dyn DiskFile>>,
    pieces: Vec<Piece>,
    /// Bytes of pieces that were read as zeros since the last [`PiecedCapture::rewind`]: their log has them no more.
    missing: u64,
}

impl PiecedCapture {
    /// Open the capture at `path`, and the logs of the recordings directory `dir` that have pieces of it. One that is
    /// gone reads as zeros, and is counted: what else there is of the call is kept.
    pub(super) fn open(
        disk: &dyn Disk,
        dir: &Path,
        path: &Path,
        pieces: &Pieces,
    ) -> io::Result<Self> {
        let file = disk.open(path, OpenMode::Read)?;
        let mut logs = BTreeMap::new();
        for Piece { log, .. } in &pieces.0 {
            if logs.contains_key(log) {
                continue;
            }
            match disk.open(&log_path(dir, *log), OpenMode::Read) {
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                opened => drop(logs.insert(*log, opened?)),
            }
        }
        let pieces = pieces.0.iter().copied().collect();
        Ok(Self {
            file,
            logs,
            pieces,
            missing: 0,
        })
    }

    /// Begin to count anew.
    pub(super) fn rewind(&mut self) {
        self.missing = 0;
    }

    pub(super) fn missing(&self) -> u64 {
        self.missing
    }

    /// Read some bytes at `offset`; 0 at the end.
    pub(super) fn read_at(&mut self, into: &mut [u8], offset: u64) -> io::Result<usize> {
        let at = self.pieces.partition_point(|piece| piece.end() <= offset);
        let Some(piece) = self.pieces.get(at) else {
            return self.file.read_at(into, offset);
        };
        let (file, from, until) = if piece.offset <= offset {
            let from = piece.at + (offset - piece.offset);
            (self.logs.get(&piece.log), from, piece.end())
        } else {
            (Some(&self.file), offset, piece.offset)
        };
        let until = usize::try_from(until - offset).unwrap_or(usize::MAX);
        let len = until.min(into.len());
        let into = into.get_mut(..len).unwrap_or_default();
        let read = file.map_or(Ok(0), |file| file.read_at(into, from))?;
        if read == 0 {
            // More of the capture follows: what is missing here must not end it.
            into.fill(0);
            self.missing += len as u64;
            return Ok(len);
        }
        Ok(read)
    }

    /// Write all that logs have of it into the capture's own file at `path`, durable when it returns.
    pub(super) fn settle(&self, disk: &dyn Disk, path: &Path) -> io::Result<()> {
        let file = disk.open(path, OpenMode::Existing)?;
        let mut bytes = Vec::new();
        for piece in &self.pieces {
            let Some(log) = self.logs.get(&piece.log) else {
                continue;
            };
            bytes.resize(piece.len, 0);
            let read = read_all_at(&**log, &mut bytes, piece.at)?;
            write_all_at(&*file, bytes.get(..read).unwrap_or_default(), piece.offset)?;
        }
        file.sync()
    }
}

/// Fill `into`; gives the bytes, fewer at the end of the file.
fn read_all_at(file: &dyn DiskFile, into: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut done = 0;
    while let Some(room) = into.get_mut(done..).filter(|r| !r.is_empty()) {
        match file.read_at(room, offset + done as u64) {
            Ok(0) => break,
            Ok(n) => done += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(done)
}

#[cfg(test)]
mod tests {
    use super::super::disk::SystemDisk;
    use super::super::log::log_dir;
    use super::*;

    const FIRST: LogId = LogId(1);
    const SECOND: LogId = LogId(2);

    /// A capture "abcdefghij" of which "ab" and "gh" lie in its file, "cdef" in the first log, "ij" in the second.
    fn scattered(dir: &Path) -> (std::path::PathBuf, Pieces) {
        let path = dir.join("call.cap");
        std::fs::create_dir_all(log_dir(dir)).unwrap();
        std::fs::write(&path, b"ab\0\0\0\0gh").unwrap();
        std::fs::write(log_path(dir, FIRST), b"xxcdyyyef").unwrap();
        std::fs::write(log_path(dir, SECOND), b"ij").unwrap();
        let mut pieces = Pieces::default();
        for (log, at, offset) in [(FIRST, 2, 2), (FIRST, 7, 4), (SECOND, 0, 8)] {
            let len = 2;
            pieces.push(Piece {
                log,
                at,
                offset,
                len,
            });
        }
        (path, pieces)
    }

    fn read(dir: &Path, path: &Path, pieces: &Pieces, step: usize) -> Vec<u8> {
        let mut capture = PiecedCapture::open(&SystemDisk, dir, path, pieces).unwrap();
        let (mut all, mut room) = (Vec::new(), vec![0; step]);
        loop {
            let n = capture.read_at(&mut room, all.len() as u64).unwrap();
            if n == 0 {
                return all;
            }
            all.extend_from_slice(&room[..n]);
        }
    }

    #[test]
    fn capture_reads_as_one_wherever_its_bytes_lie() {
        let dir = tempfile::tempdir().unwrap();
        let (path, pieces) = scattered(dir.path());
        for step in [1, 3, 100] {
            assert_eq!(read(dir.path(), &path, &pieces, step), b"abcdefghij");
        }
    }

    #[test]
    fn settling_the_older_log_or_all_changes_nothing_that_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let (path, mut pieces) = scattered(dir.path());
        let open = |path: &Path, mode| SystemDisk.open(path, mode).unwrap();
        let log = open(&log_path(dir.path(), FIRST), OpenMode::Read);
        let file = open(&path, OpenMode::Existing);
        assert_eq!(pieces.settle(&*log, &*file, 1).unwrap(), 2, "a piece");
        assert_eq!(read(dir.path(), &path, &pieces, 4), b"abcdefghij");
        assert_eq!(pieces.settle(&*log, &*file, 100).unwrap(), 2, "of this log");
        assert_eq!(pieces.oldest(), Some(SECOND));
        assert_eq!(std::fs::read(&path).unwrap(), b"abcdefgh");
        std::fs::remove_file(log_path(dir.path(), FIRST)).unwrap();
        assert_eq!(read(dir.path(), &path, &pieces, 4), b"abcdefghij");
        let capture = PiecedCapture::open(&SystemDisk, dir.path(), &path, &pieces).unwrap();
        capture.settle(&SystemDisk, &path).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"abcdefghij");
    }

    #[test]
    fn log_that_is_gone_or_cut_short_costs_its_bytes_only() {
        let dir = tempfile::tempdir().unwrap();
        let (path, pieces) = scattered(dir.path());
        std::fs::write(log_path(dir.path(), FIRST), b"xxcdyyye").unwrap();
        assert_eq!(read(dir.path(), &path, &pieces, 100), b"abcde\0ghij");
        std::fs::remove_file(log_path(dir.path(), FIRST)).unwrap();
        assert_eq!(read(dir.path(), &path, &pieces, 100), b"ab\0\0\0\0ghij");
        let mut capture = PiecedCapture::open(&SystemDisk, dir.path(), &path, &pieces).unwrap();
        capture.read_at(&mut [0; 9], 2).unwrap();
        assert_eq!(capture.missing(), 2);
        // Kept for a person: what is missing is not written over.
        std::fs::write(&path, b"abCDEFgh").unwrap();
        capture.settle(&SystemDisk, &path).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"abCDEFghij");
    }
}
