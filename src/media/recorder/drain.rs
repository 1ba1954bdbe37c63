//! The recorder's own thread: empties the rings every 96 ms, hands the writer a batch, tells the switch. It touches
//! no file, so nothing that a disk does can keep it from the rings.
//!
//! ```text
//! pass: replies of the writer -> controls -> rings -> marks and ends -> next batch (when none is away)
//!       -> results of the sealer -> jobs for it -> alarms -> events;  then sleep, unless it shall stop
//! ```
//! A panic costs what the pass was doing, raises recording.failed, and the next pass goes on.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError};
use std::time::Duration;

use super::book::{Book, Fate, Job, Notice, ids};
use super::health::{Health, Signs};
use super::seal::Sealing;
use super::{Closed, RecorderOptions, Shared, capture_dir, capture_name};
use crate::clock::Clock;
use crate::id::{CallId, RecordingId};
use crate::limits::CALLS_MAX;
use crate::media::capture::Header;
use crate::media::tap::{TapControl, TapReceiver};
use crate::switch::{InputKind, RecordingEvent};
use crate::time::Timestamp;

/// So long audio waits at most before it is on its way to the disk.
const PASS: Duration = Duration::from_millis(96);
/// Pace of passes while stopping.
const PASS_STOPPING: Duration = Duration::from_millis(5);
/// Writes that the disk refused are tried again after this.
const RETRY_US: i64 = 500_000;
/// Events that wait because the switch's channel is full; past it the oldest is dropped and logged.
const OUTBOX_MAX: usize = 4 * CALLS_MAX;

/// What the thread is given.
pub(super) struct Parts {
    pub(super) shared: Arc<Shared>,
    pub(super) options: RecorderOptions,
    pub(super) dir: PathBuf,
    pub(super) rings: Vec<TapReceiver>,
    pub(super) controls: Receiver<TapControl>,
    pub(super) batches: SyncSender<Vec<Job>>,
    pub(super) replies: Receiver<Vec<Job>>,
    pub(super) jobs: SyncSender<Closed>,
    pub(super) results: Receiver<Sealing>,
    /// Captures that the sealer has already.
    pub(super) sealing: usize,
    pub(super) events: tokio::sync::mpsc::Sender<InputKind>,
}

pub(super) struct Drain {
    parts: Parts,
    book: Book,
    health: Health,
    /// The batch at home, empty.
    batch: Vec<Job>,
    /// Since when the batch is with the writer.
    batch_sent_us: Option<i64>,
    write_error: Option<String>,
    retry_us: i64,
    seal_error: Option<String>,
    /// What was lost in this pass.
    loss: Option<String>,
    to_seal: VecDeque<Closed>,
    outbox: VecDeque<InputKind>,
}

impl Drain {
    pub(super) fn new(parts: Parts) -> Self {
        Self {
            book: Book::new(parts.options.spool_bytes_max),
            parts,
            health: Health::default(),
            batch: Vec::new(),
            batch_sent_us: None,
            write_error: None,
            retry_us: 0,
            seal_error: None,
            loss: None,
            to_seal: VecDeque::new(),
            outbox: VecDeque::new(),
        }
    }

    /// Run until told to stop.
    pub(super) fn run(mut self) {
        loop {
            let now = now_us();
            if catch_unwind(AssertUnwindSafe(|| self.pass(now))).is_err() {
                self.loss = Some(String::from(
                    "the recorder met a fault of its own and goes on; audio may be missing. Report the log's panic",
                ));
            }
            let stop_by = self.parts.shared.stop_by_us.load(Ordering::Relaxed);
            if stop_by == 0 {
                std::thread::park_timeout(PASS);
                continue;
            }
            self.book.close_all(now);
            if self.finished() || now >= stop_by {
                break;
            }
            std::thread::park_timeout(PASS_STOPPING);
        }
        self.leave();
    }

    fn finished(&self) -> bool {
        self.book.open_calls() == 0
            && self.parts.sealing == 0
            && self.to_seal.is_empty()
            && self.outbox.is_empty()
    }

    fn pass(&mut self, now: i64) {
        self.take_replies(now);
        self.take_controls(now);
        self.take_frames(now);
        self.book.tick(now);
        self.send_batch(now);
        self.take_notices();
        self.take_sealings();
        self.send_seals();
        self.judge(now);
        self.send_events();
        let shared = &self.parts.shared;
        set(&shared.spool_bytes, self.book.spool_bytes());
        set(&shared.calls_open, self.book.open_calls());
        set(&shared.sealing, self.parts.sealing + self.to_seal.len());
        shared.last_pass_us.store(now, Ordering::Relaxed);
    }

    fn take_controls(&mut self, now: i64) {
        while let Ok(control) = self.parts.controls.try_recv() {
            let known = match &control {
                TapControl::Start {
                    call,
                    recording,
                    at_us,
                } => self.book.start(
                    Header {
                        call: *call,
                        recording: *recording,
                        start_us: *at_us,
                    },
                    now,
                ),
                TapControl::Track { call, slot, name } => self.book.track(*call, *slot, name),
                TapControl::Untrack { call, slot } => self.book.untrack(*call, *slot),
                TapControl::Close { call, at_us } => self.book.close(*call, *at_us),
            };
            if !known {
                tracing::debug!(
                    ?control,
                    "the recorder has no such call, or has it already, or is full"
                );
                add(&self.parts.shared.controls_unknown, 1);
            }
        }
    }

    fn take_frames(&mut self, now: i64) {
        let (mut kept, mut lost, mut unknown) = (0, 0, 0);
        for n in 0..self.parts.rings.len() {
            // The controls of a frame were sent before it, but perhaps after we looked for controls.
            if self.parts.rings.get(n).is_none_or(TapReceiver::is_empty) {
                continue;
            }
            self.take_controls(now);
            let Some(ring) = self.parts.rings.get_mut(n) else {
                break;
            };
            let faults = ring.each(|frame| match self.book.frame(frame) {
                Fate::Kept => kept += 1,
                Fate::Lost => lost += 1,
                Fate::Unknown => unknown += 1,
            });
            if faults > 0 {
                self.loss = Some(format!(
                    "the recorder met a fault of its own in {faults} packets, which are lost, and goes on. Report \
                     the log's panic"
                ));
            }
        }
        add(&self.parts.shared.frames, kept);
        add(&self.parts.shared.frames_lost, lost);
        add(&self.parts.shared.frames_unknown, unknown);
    }

    fn take_replies(&mut self, now: i64) {
        let Ok(mut batch) = self.parts.replies.try_recv() else {
            return;
        };
        self.batch_sent_us = None;
        self.write_error = None;
        for job in batch.drain(..) {
            let (call, recording) = (job.call, job.recording);
            if let Some(error) = self.book.took(job) {
                let file = capture_name(call, recording);
                self.write_error = Some(format!("{file}: {error}"));
                self.retry_us = now + RETRY_US;
            }
        }
        self.batch = batch;
    }

    fn send_batch(&mut self, now: i64) {
        if self.write_error.is_some() && now < self.retry_us {
            return;
        }
        if self.batch_sent_us.is_some() {
            return;
        }
        let mut batch = std::mem::take(&mut self.batch);
        self.book.due(&mut batch);
        if batch.is_empty() {
            self.batch = batch;
            return;
        }
        match self.parts.batches.try_send(batch) {
            Ok(()) => self.batch_sent_us = Some(now),
            // The writer is gone: nothing is written any more, and the alarm says so.
            Err(TrySendError::Full(batch) | TrySendError::Disconnected(batch)) => {
                for job in batch {
                    self.book.took(job);
                }
                self.write_error = Some(String::from("the writing thread is gone; restart"));
                self.retry_us = now + RETRY_US;
            }
        }
    }

    fn take_notices(&mut self) {
        for notice in std::mem::take(&mut self.book.notices) {
            match notice {
                Notice::Started(header) => {
                    let at = Timestamp::from_micros(header.start_us);
                    let recording = header.recording;
                    self.tell(header.call, RecordingEvent::Started { recording, at });
                }
                Notice::Lost {
                    header,
                    from_us,
                    to_us,
                    frames,
                } => {
                    let detail = lost_text(&header, from_us, to_us, frames, self.spool_mib());
                    self.failed(ids(&header), detail);
                }
                Notice::TooManyTracks { header, party } => {
                    let detail = format!("{party} is not recorded: the call has no track left");
                    self.failed(ids(&header), detail);
                }
                Notice::Complete(header, pieces) => {
                    let name = capture_name(header.call, header.recording);
                    let path = capture_dir(&self.parts.dir).join(name);
                    self.to_seal.push_back(Closed { path, pieces });
                }
            }
        }
        if self.book.losing() {
            self.loss = Some(format!(
                "audio of calls is being lost: the recordings directory {} takes no writes and the memory for \
                 waiting audio ({} MiB) is full. Free space or repair the disk",
                self.parts.dir.display(),
                self.spool_mib()
            ));
        }
    }

    fn take_sealings(&mut self) {
        while let Ok(sealing) = self.parts.results.try_recv() {
            match sealing {
                Sealing::Done(call, sealed) => {
                    self.parts.sealing = self.parts.sealing.saturating_sub(1);
                    self.seal_error = None;
                    add(&self.parts.shared.sealed, 1);
                    self.tell(call, RecordingEvent::Sealed(sealed));
                }
                Sealing::Scratched(error) => {
                    self.loss = Some(format!(
                        "{error}: audio of an earlier run may be missing. The log is kept as .bad"
                    ));
                }
                Sealing::Incomplete(ids, bytes) => {
                    let detail = format!(
                        "{bytes} bytes of the recording are gone: the log that had them was removed or cut short. \
                         The rest is sealed"
                    );
                    self.loss = Some(detail.clone());
                    self.failed(ids, detail);
                }
                Sealing::Delayed(error) => self.seal_error = Some(error.to_string()),
                Sealing::Broken(whose, error) => {
                    self.parts.sealing = self.parts.sealing.saturating_sub(1);
                    let detail = format!("{error}. The file is kept beside as .bad");
                    self.loss = Some(detail.clone());
                    if let Some(ids) = whose {
                        self.failed(ids, detail);
                    }
                }
            }
        }
    }

    fn send_seals(&mut self) {
        while let Some(closed) = self.to_seal.pop_front() {
            match self.parts.jobs.try_send(closed) {
                Ok(()) => self.parts.sealing += 1,
                Err(TrySendError::Full(closed)) => {
                    self.to_seal.push_front(closed);
                    return;
                }
                Err(TrySendError::Disconnected(closed)) => {
                    self.to_seal.push_front(closed);
                    self.seal_error = Some(String::from("the sealing thread is gone; restart"));
                    return;
                }
            }
        }
    }

    fn judge(&mut self, now: i64) {
        let shared = &self.parts.shared;
        let busy = shared.sealer_busy_us.load(Ordering::Relaxed);
        let signs = Signs {
            write_error: self.write_error.clone(),
            writing_since_us: self.batch_sent_us,
            sealing_since_us: (busy != 0).then_some(busy),
            seal_error: (self.seal_error.clone())
                .or_else(|| shared.sync_error())
                .or_else(|| shared.trouble()),
            spool_bytes: self.book.spool_bytes(),
            spool_bytes_max: self.parts.options.spool_bytes_max,
            loss: self.loss.take(),
            dir: self.parts.dir.display().to_string(),
        };
        let outbox = &mut self.outbox;
        self.health.judge(now, &signs, |alarm| {
            tracing::warn!(?alarm, "the recorder's state changed");
            push(outbox, alarm);
        });
        shared
            .probe_wanted
            .store(self.health.late(), Ordering::Relaxed);
    }

    fn send_events(&mut self) {
        while let Some(event) = self.outbox.pop_front() {
            match self.parts.events.try_send(event) {
                Ok(()) => {}
                Err(tokio::sync::mpsc::error::TrySendError::Full(event)) => {
                    self.outbox.push_front(event);
                    return;
                }
                // Nobody listens any more.
                Err(tokio::sync::mpsc::error::TrySendError::Closed(_)) => self.outbox.clear(),
            }
        }
    }

    /// The deadline came: say what stays behind.
    fn leave(mut self) {
        let left: Vec<Header> = self.book.unwritten().collect();
        for header in &left {
            let detail = String::from(
                "the last audio of this call was never taken by the disk; what is on it is sealed at the next start",
            );
            self.failed(ids(header), detail);
        }
        self.send_events();
        if !left.is_empty() || self.parts.sealing > 0 {
            tracing::warn!(
                unwritten = left.len(),
                unsealed = self.parts.sealing,
                "the recorder had to leave; the next start seals what is on disk"
            );
        }
    }

    fn failed(&mut self, (call, recording): (CallId, RecordingId), detail: String) {
        self.tell(call, RecordingEvent::Failed { recording, detail });
    }

    fn tell(&mut self, call: CallId, event: RecordingEvent) {
        push(&mut self.outbox, InputKind::Recording { call, event });
    }

    fn spool_mib(&self) -> usize {
        self.parts.options.spool_bytes_max / 1024 / 1024
    }
}

fn lost_text(header: &Header, from_us: i64, to_us: i64, frames: u64, mib: usize) -> String {
    let seconds = |at_us: i64| (at_us - header.start_us) as f64 / 1e6;
    format!(
        "no audio from {:.1} s to {:.1} s ({frames} packets): the disk took no writes and the memory for waiting \
         audio ({mib} MiB) was full",
        seconds(from_us),
        seconds(to_us)
    )
}

fn push(outbox: &mut VecDeque<InputKind>, event: InputKind) {
    if outbox.len() >= OUTBOX_MAX
        && let Some(dropped) = outbox.pop_front()
    {
        tracing::error!(
            ?dropped,
            "the switch takes no events of the recorder; one is dropped"
        );
    }
    outbox.push_back(event);
}

fn add(counter: &AtomicU64, n: u64) {
    if n > 0 {
        counter.fetch_add(n, Ordering::Relaxed);
    }
}

fn set(gauge: &AtomicU64, n: usize) {
    gauge.store(n as u64, Ordering::Relaxed);
}

fn now_us() -> i64 {
    Clock::process().now().as_micros()
}
