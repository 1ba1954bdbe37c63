//! The few things the recorder asks of a file system, behind a trait so that tests can fill it, break it and stall
//! it. Every call may block for as long as the disk likes: only the writer and the sealer thread make them.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// How a file is opened.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum OpenMode {
    /// For reading.
    Read,
    /// For writing; made when missing, kept when there.
    Append,
    /// For writing; refused when missing.
    Existing,
    /// For writing; emptied when there.
    Replace,
}

/// A file system. Errors are those of the operating system.
#[expect(
    clippy::missing_errors_doc,
    reason = "said once for the whole trait: errors are those of the operating system"
)]
pub trait Disk: Send + Sync + 'static {
    /// Make a directory and its parents.
    fn create_dirs(&self, dir: &Path) -> io::Result<()>;
    /// Open a file.
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Box<dyn DiskFile>>;
    /// The files directly in `dir`, sorted; none when it does not exist.
    fn list(&self, dir: &Path) -> io::Result<Vec<PathBuf>>;
    /// Rename, durable when it returns.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Remove a file; one that is gone already is no error.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Make everything written so far to the file system of `dir` durable.
    fn sync(&self, dir: &Path) -> io::Result<()>;
}

/// An open file.
#[expect(
    clippy::missing_errors_doc,
    reason = "said once for the whole trait: errors are those of the operating system"
)]
pub trait DiskFile: Send {
    /// Its length in bytes.
    fn size(&self) -> io::Result<u64>;
    /// Read some bytes at `offset`; 0 at the end.
    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize>;
    /// Write some bytes at `offset`.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize>;
    /// Make its content durable.
    fn sync(&self) -> io::Result<()>;
}

/// The file system of this machine.
#[derive(Copy, Clone, Debug, Default)]
pub struct SystemDisk;

impl Disk for SystemDisk {
    fn create_dirs(&self, dir: &Path) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o750).create(dir)
    }

    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Box<dyn DiskFile>> {
        let (write, create) = match mode {
            OpenMode::Read => (false, false),
            OpenMode::Existing => (true, false),
            OpenMode::Append | OpenMode::Replace => (true, true),
        };
        let file = OpenOptions::new()
            .read(true)
            .write(write)
            .create(create)
            .truncate(mode == OpenMode::Replace)
            .mode(0o640)
            .open(path)?;
        Ok(Box::new(file))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<PathBuf>> {
        let entries = match std::fs::read_dir(dir) {
            Ok(entries) => entries,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) => return Err(e),
        };
        let mut paths = entries
            .map(|entry| entry.map(|e| e.path()))
            .collect::<io::Result<Vec<_>>>()?;
        paths.sort();
        Ok(paths)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(from, to)?;
        match to.parent() {
            Some(dir) => File::open(dir)?.sync_all(),
            None => Ok(()),
        }
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        match std::fs::remove_file(path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        }
    }

    fn sync(&self, dir: &Path) -> io::Result<()> {
        Ok(rustix::fs::syncfs(File::open(dir)?)?)
    }
}

impl DiskFile for File {
    fn size(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize> {
        FileExt::read_at(self, into, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        FileExt::write_at(self, bytes, offset)
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }
}

/// Write all of `bytes` at `offset`.
pub(super) fn write_all_at(file: &dyn DiskFile, bytes: &[u8], offset: u64) -> io::Result<()> {
    let mut done = 0;
    while let Some(rest) = bytes.get(done..).filter(|r| !r.is_empty()) {
        match file.write_at(rest, offset + done as u64) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(n) => done += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}
