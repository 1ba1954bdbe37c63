//! Figures of all parts in one place, for health and metrics. Read on demand; nothing is counted twice.

use std::sync::Arc;

use metrics::{counter, gauge};
use metrics_exporter_prometheus::{BuildError, PrometheusBuilder, PrometheusHandle};
use tokio::sync::watch;

use crate::api::{Health, Vitals};
use crate::clock::Clock;
use crate::media::plane::Plane;
use crate::sip::endpoint::Endpoint;
use crate::store::journal::{EventReader, Journal};
use crate::switch::View;
use crate::time::Timestamp;

/// An owner that has not beaten for this long is stuck: it beats every second.
const BEAT_MAX_MS: u64 = 5000;
/// Buckets of `firstring_answer_seconds`.
const ANSWER_BUCKETS: [f64; 11] = [1.0, 2.0, 3.0, 5.0, 8.0, 10.0, 12.0, 15.0, 20.0, 30.0, 60.0];

/// The process's metrics, installed once.
///
/// # Errors
/// Another recorder is installed already.
pub fn exporter() -> Result<PrometheusHandle, BuildError> {
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
pub struct Figures {
    journal: EventReader,
    endpoint: Arc<Endpoint>,
    plane: Plane,
    view: watch::Receiver<Arc<View>>,
    beat: watch::Receiver<Timestamp>,
    exporter: PrometheusHandle,
    started: Timestamp,
}

impl Figures {
    /// Over running parts.
    pub fn new(
        journal: &Journal,
        endpoint: &Arc<Endpoint>,
        plane: &Plane,
        view: watch::Receiver<Arc<View>>,
        beat: watch::Receiver<Timestamp>,
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
        let waiting = view.calls.iter().filter(|call| call.answered_at.is_none());
        let oldest = waiting
            .clone()
            .map(|call| view.at.millis_since(call.received_at))
            .max()
            .unwrap_or(0);
        gauge!("firstring_queue_waiting").set(waiting.count() as f64);
        gauge!("firstring_queue_oldest_wait_seconds").set(oldest as f64 / 1000.0);
        gauge!("firstring_alarms").set(view.alarms.len() as f64);
        for trunk in &view.trunks {
            gauge!("firstring_trunk_up", "trunk" => trunk.trunk.to_string())
                .set(if trunk.up == Some(true) { 1.0 } else { 0.0 });
        }
        let journal = self.journal.status();
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

impl Vitals for Figures {
    fn health(&self) -> Health {
        let now = Clock::process().now();
        let status = self.journal.status();
        let owner_beat_ms = now.millis_since(*self.beat.borrow());
        let workers = self.plane.stats().workers.len();
        Health {
            ok: owner_beat_ms < BEAT_MAX_MS,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            uptime_s: now.millis_since(self.started) / 1000,
            journal_spooled: u64::try_from(status.spooled).unwrap_or(u64::MAX),
            owner_beat_ms,
            clock_drift_ms: 0,
            workers,
        }
    }

    fn metrics(&self) -> String {
        self.publish();
        self.exporter.render()
    }
}
