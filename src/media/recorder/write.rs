//! The writer: the only thread that writes captures. It takes one batch at a time and gives it back with what became
//! of each job; when the disk stalls it stalls, and the recorder goes on collecting.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, SyncSender};

use super::book::Job;
use super::disk::{Disk, DiskFile, OpenMode};
use super::{Shared, capture_dir};
use crate::id::{CallId, RecordingId};

pub(super) struct Writer {
    pub(super) disk: Arc<dyn Disk>,
    pub(super) dir: PathBuf,
    pub(super) shared: Arc<Shared>,
    pub(super) batches: Receiver<Vec<Job>>,
    pub(super) replies: SyncSender<Vec<Job>>,
}

impl Writer {
    /// Run until the recorder is gone.
    pub(super) fn run(self) {
        let mut files = BTreeMap::new();
        while let Ok(mut batch) = self.batches.recv() {
            for job in &mut batch {
                let written = catch_unwind(AssertUnwindSafe(|| self.write(&mut files, job)));
                job.error = match written {
                    Ok(result) => result.err(),
                    Err(_) => Some(io::Error::other("a fault of the recorder's own")),
                };
            }
            if self.replies.send(batch).is_err() {
                return;
            }
        }
    }

    fn write(
        &self,
        files: &mut BTreeMap<CallId, Box<dyn DiskFile>>,
        job: &mut Job,
    ) -> io::Result<()> {
        let file = match files.entry(job.call) {
            Entry::Occupied(open) => open.into_mut(),
            Entry::Vacant(free) => free.insert(self.open(job.call, job.recording)?),
        };
        while let Some(rest) = job.bytes.get(job.done..).filter(|r| !r.is_empty()) {
            match file.write_at(rest, job.offset + job.done as u64) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(n) => {
                    job.done += n;
                    let counter = &self.shared.bytes_written;
                    counter.fetch_add(n as u64, Ordering::Relaxed);
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        if job.last {
            files.remove(&job.call);
        }
        Ok(())
    }

    fn open(&self, call: CallId, recording: RecordingId) -> io::Result<Box<dyn DiskFile>> {
        let dir = capture_dir(&self.dir);
        let path = dir.join(super::capture_name(call, recording));
        match self.disk.open(&path, OpenMode::Append) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                self.disk.create_dirs(&dir)?;
                self.disk.open(&path, OpenMode::Append)
            }
            other => other,
        }
    }
}
