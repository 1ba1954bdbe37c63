//! Figures of all parts in one place, for health and metrics. Read on demand; nothing is counted twice.

use std::collections::BTreeMap;
use std::sync::Arc;

use metrics::{counter, gauge, histogram};
use metrics_exporter_prometheus::{BuildError, PrometheusBuilder, PrometheusHandle};
use tokio::sync::watch;

use super::follow::next_page;
use crate::api::{ClockState, Health, Vitals};
use crate::clock::Clock;
use crate::id::CallId;
use crate::media::plane::Plane;
use crate::sip::endpoint::Endpoint;
use crate::store::journal::{EventReader, Journal};
use crate::store::projector::ProjectorStatus;
use crate::switch::{Counters, Counts, EventKind, SeatState, View};
use crate::time::Timestamp;

const SEAT_STATES: [SeatState; 9] = [
    SeatState::SignedOut,
    SeatState::NotReady,
    SeatState::Ready,
    SeatState::Reserved,
    SeatState::Ringing,
    SeatState::Talking,
    SeatState::WrapUp,
    SeatState::Listening,
    SeatState::Unreachable,
];
/// An owner that has not beaten for this long is stuck: it beats every second.
const BEAT_MAX_MS: u64 = 5000;
/// Calls whose answer is awaited, for the answer times.
const CALLS_MAX: usize = 10_000;
/// Buckets of `firstring_answer_seconds`.
const ANSWER_BUCKETS: [f64; 11] = [1.0, 2.0, 3.0, 5.0, 8.0, 10.0, 12.0, 15.0, 20.0, 30.0, 60.0];

/// The process's metrics, installed once.
///
/// # Errors
/// Another recorder is installed already.
pub(super) fn exporter() -> Result<PrometheusHandle, BuildError> {
    static HANDLE: std::sync::OnceLock<PrometheusHandle> = std::sync::OnceLock::new();
    if let Some(handle) = HANDLE.get() {
        return Ok(handle.clone());
    }
    let handle = PrometheusBuilder::new()
        .set_buckets(&ANSWER_BUCKETS)?
        .install_recorder()?;
    Ok(HANDLE.get_or_init(|| handle).clone())
}

/// Reads the parts.
pub(super) struct Figures {
    journal: EventReader,
    endpoint: Arc<Endpoint>,
    plane: Plane,
    view: watch::Receiver<Arc<View>>,
    beat: watch::Receiver<Timestamp>,
    exporter: PrometheusHandle,
    projector: watch::Receiver<ProjectorStatus>,
    started: Timestamp,
}

/// Feeds `firstring_answer_seconds` (arrival to the seat's answer) from the journal's Events of this process.
pub(super) async fn measure_answers(events: EventReader) {
    let mut cursor = events.last();
    let mut arrived: BTreeMap<CallId, Timestamp> = BTreeMap::new();
    while let Some(page) = next_page(&events, &mut cursor).await {
        for (call, at, kind) in page
            .into_iter()
            .filter_map(|event| Some((event.call?, event.at, event.kind)))
        {
            if matches!(kind, EventKind::CallReceived { .. }) {
                arrived.insert(call, at);
                if arrived.len() > CALLS_MAX {
                    arrived.pop_first();
                }
            } else if matches!(
                kind,
                EventKind::SeatAnswered { .. }
                    | EventKind::CallJoined { .. }
                    | EventKind::CallEnded { .. }
            ) && let Some(from) = arrived.remove(&call)
                && !matches!(kind, EventKind::CallEnded { .. })
            {
                #[expect(clippy::cast_precision_loss, reason = "a histogram is floating point")]
                histogram!("firstring_answer_seconds")
                    .record(at.millis_since(from) as f64 / 1000.0);
            }
        }
    }
    std::future::pending().await // the journal has closed: the engine ends
}

impl Figures {
    /// Over running parts.
    pub(super) fn new(
        journal: &Journal,
        endpoint: &Arc<Endpoint>,
        plane: &Plane,
        view: watch::Receiver<Arc<View>>,
        beat: watch::Receiver<Timestamp>,
        projector: watch::Receiver<ProjectorStatus>,
        exporter: PrometheusHandle,
    ) -> Self {
        let started = Clock::process().now();
        Self {
            journal: journal.reader(),
            endpoint: Arc::clone(endpoint),
            plane: plane.clone(),
            view,
            beat,
            exporter,
            projector,
            started,
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "gauges are floating point")]
    fn publish(&self) {
        let view = Arc::clone(&self.view.borrow());
        for (result, count) in [
            ("answered", view.answered),
            ("abandoned", view.abandoned),
            ("lost", view.lost),
            ("refused", view.refused),
        ] {
            counter!("firstring_calls_total", "result" => result).absolute(count);
        }
        gauge!("firstring_calls_open").set(view.calls.len() as f64);
        publish_counters(&view.counters, Clock::process().now());
        gauge!("firstring_alarms").set(view.alarms.len() as f64);
        for trunk in &view.trunks {
            gauge!("firstring_trunk_up", "trunk" => trunk.trunk.to_string())
                .set(if trunk.up == Some(true) { 1.0 } else { 0.0 });
        }
        let journal = self.journal.status();
        for state in SEAT_STATES {
            let count = view.seats.iter().filter(|seat| seat.state == state).count();
            gauge!("firstring_seats", "state" => format!("{state:?}").to_lowercase())
                .set(count as f64);
        }
        let projector = self.projector.borrow().clone();
        gauge!("firstring_records_lag_events")
            .set(self.journal.last().saturating_sub(projector.cursor) as f64);
        gauge!("firstring_records_failing")
            .set(f64::from(u8::from(projector.failing_since.is_some())));
        gauge!("firstring_journal_spooled").set(journal.spooled as f64);
        let sip = self.endpoint.sizes();
        gauge!("firstring_sip_transactions")
            .set((sip.client_transactions + sip.server_transactions) as f64);
        gauge!("firstring_sip_dialogs").set(sip.dialogs as f64);
        gauge!("firstring_sip_registrations").set(sip.registrations as f64);
        counter!("firstring_sip_malformed_total").absolute(sip.malformed);
        counter!("firstring_sip_dropped_total").absolute(sip.dropped);
        let media = self.plane.stats();
        gauge!("firstring_rtp_ports_used").set(media.ports_used as f64);
        gauge!("firstring_rtp_ports_total").set(media.ports_total as f64);
        counter!("firstring_rtp_packets_in_total").absolute(media.sum(|counts| counts.packets_in));
        counter!("firstring_rtp_packets_out_total")
            .absolute(media.sum(|counts| counts.packets_out));
        counter!("firstring_rtp_strays_total").absolute(media.sum(|counts| counts.strays));
        counter!("firstring_recording_frames_dropped_total")
            .absolute(media.sum(|counts| counts.tap_dropped));
    }
}

/// The centre's counters, and each queue's with its name; bounded by the configuration.
#[expect(clippy::cast_precision_loss, reason = "gauges are floating point")]
fn publish_counters(counters: &Counters, now: Timestamp) {
    let seconds = |counts: &Counts| counts.oldest_wait_ms(now) as f64 / 1000.0;
    let seats = |counts: &Counts| {
        [
            ("serving", counts.serving),
            ("idle", counts.idle),
            ("away", counts.away),
            ("off", counts.off),
        ]
    };
    let centre = &counters.centre;
    counter!("firstring_centre_handled_total").absolute(centre.handled);
    gauge!("firstring_centre_waiting").set(f64::from(centre.waiting));
    gauge!("firstring_centre_oldest_wait_seconds").set(seconds(centre));
    for (group, count) in seats(centre) {
        gauge!("firstring_centre_seats", "group" => group).set(f64::from(count));
    }
    for one in &counters.queues {
        let (queue, counts) = (one.queue.to_string(), &one.counts);
        counter!("firstring_queue_handled_total", "queue" => queue.clone())
            .absolute(counts.handled);
        gauge!("firstring_queue_waiting", "queue" => queue.clone()).set(f64::from(counts.waiting));
        gauge!("firstring_queue_oldest_wait_seconds", "queue" => queue.clone())
            .set(seconds(counts));
        for (group, count) in seats(counts) {
            gauge!("firstring_queue_seats", "queue" => queue.clone(), "group" => group)
                .set(f64::from(count));
        }
    }
}

impl Vitals for Figures {
    fn health(&self) -> Health {
        let now = Clock::process().now();
        let status = self.journal.status();
        let owner_beat_ms = now.millis_since(*self.beat.borrow());
        let projector = self.projector.borrow().clone();
        let view = Arc::clone(&self.view.borrow());
        let workers = self.plane.stats().workers.len();
        Health {
            ok: owner_beat_ms < BEAT_MAX_MS,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            uptime_s: now.millis_since(self.started) / 1000,
            journal_spooled: u64::try_from(status.spooled).unwrap_or(u64::MAX),
            owner_beat_ms,
            records_lag: self.journal.last().saturating_sub(projector.cursor),
            records_failing_ms: projector
                .failing_since
                .map_or(0, |since| now.millis_since(since)),
            alarms: view.alarms.len(),
            clock: ClockState::read(),
            workers,
        }
    }

    fn metrics(&self) -> String {
        self.publish();
        self.exporter.render()
    }
}
