//! The plane's watch: looks at ports, rings and workers four times a second and raises or clears alarms.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError, Weak};
use std::time::Duration;

use super::{Inner, WorkerHandle, now_us};
use crate::switch::{AlarmCode, InputKind};

const EVERY: Duration = Duration::from_millis(250);
/// Ports in use, in percent, that raise and clear the alarm.
const PORTS_HIGH: usize = 80;
const PORTS_LOW: usize = 70;
/// A worker without a sign of life for this long stands still.
const STILL_US: i64 = 5_000_000;
/// Calm that clears an alarm about something that happened.
const CALM_US: i64 = 60_000_000;

/// Start the watch; it ends with the plane.
pub(super) fn start(inner: &Arc<Inner>) -> std::io::Result<()> {
    let plane = Arc::downgrade(inner);
    std::thread::Builder::new()
        .name("media-watch".to_owned())
        .spawn(move || run(&plane))?;
    Ok(())
}

#[derive(Default)]
struct Watch {
    ports_low: Lamp,
    recorder_full: Lamp,
    taps: Vec<(u64, i64, Lamp)>,
    workers: Vec<(u64, i64, Lamp)>,
}

/// An alarm as last told. Told again until the switch took it.
#[derive(Copy, Clone, Default)]
struct Lamp {
    lit: bool,
}

impl Lamp {
    fn set(&mut self, inner: &Inner, lit: bool, code: AlarmCode, subject: &str, detail: String) {
        if self.lit == lit {
            return;
        }
        let news = InputKind::Alarm {
            code,
            subject: subject.to_owned(),
            detail,
            raised: lit,
        };
        if inner.events.try_send(news).is_ok() {
            self.lit = lit;
        }
    }
}

fn run(plane: &Weak<Inner>) {
    let mut watch = Watch::default();
    loop {
        std::thread::park_timeout(EVERY);
        let Some(inner) = plane.upgrade() else { return };
        if inner.stopping.load(Ordering::Relaxed) {
            return;
        }
        watch.look(&inner, now_us());
    }
}

impl Watch {
    fn look(&mut self, inner: &Inner, now_us: i64) {
        let (used, total) = inner.ports.usage();
        let percent = used * 100 / total.max(1);
        let limit = if self.ports_low.lit {
            PORTS_LOW
        } else {
            PORTS_HIGH
        };
        self.ports_low.set(
            inner,
            percent >= limit,
            AlarmCode::PortsLow,
            "media",
            format!("{used} of {total} RTP ports in use; widen media.port_first..port_last"),
        );
        let told = {
            let mut directory = inner.lock();
            inner.flush_recorder(&mut directory)
        };
        self.recorder_full.set(
            inner,
            !told,
            AlarmCode::RecordingLate,
            "recorder",
            "the recorder takes no orders; check the recordings' disk".to_owned(),
        );
        self.taps.resize_with(inner.workers.len(), Default::default);
        self.workers
            .resize_with(inner.workers.len(), Default::default);
        for (number, worker) in inner.workers.iter().enumerate() {
            if let Some(state) = self.taps.get_mut(number) {
                look_at_tap(inner, number, worker, state, now_us);
            }
            if let Some(state) = self.workers.get_mut(number) {
                look_at_worker(inner, number, worker, state, now_us);
            }
        }
    }
}

fn look_at_tap(
    inner: &Inner,
    number: usize,
    worker: &WorkerHandle,
    (seen, since, lamp): &mut (u64, i64, Lamp),
    now_us: i64,
) {
    let dropped = worker.shared.tap_dropped.load(Ordering::Relaxed);
    if dropped != *seen {
        *seen = dropped;
        *since = now_us;
    }
    let is_recent = dropped > 0 && now_us - *since < CALM_US;
    lamp.set(
        inner,
        is_recent,
        AlarmCode::RecordingLate,
        &format!("media-{number}"),
        format!("{dropped} packets were not recorded since start: the recorder is behind; check its disk"),
    );
}

fn look_at_worker(
    inner: &Inner,
    number: usize,
    worker: &WorkerHandle,
    (seen, since, lamp): &mut (u64, i64, Lamp),
    now_us: i64,
) {
    let panics = worker.shared.panics.load(Ordering::Relaxed);
    if panics != *seen {
        *seen = panics;
        *since = now_us;
    }
    let has_ended = worker
        .thread
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .as_ref()
        .is_some_and(std::thread::JoinHandle::is_finished);
    let stands_still = now_us - worker.shared.beat_us.load(Ordering::Relaxed) > STILL_US;
    let detail = if has_ended {
        "the worker has ended: its calls are mute; restart the service when calls allow"
    } else if stands_still {
        "the worker stands still: its calls are mute; check the machine's load"
    } else {
        "a fault of ours cost a call its media; keep the journal and report it"
    };
    let is_recent = panics > 0 && now_us - *since < CALM_US;
    lamp.set(
        inner,
        has_ended || stands_still || is_recent,
        AlarmCode::MediaFault,
        &format!("media-{number}"),
        detail.to_owned(),
    );
}
