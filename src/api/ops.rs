//! Health and metrics. Health answers without a token and tells no numbers of people.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::App;
use crate::clock::Clock;

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(health))
        .routes(routes!(metrics))
}

/// Figures of the running parts.
pub trait Vitals: Send + Sync {
    /// The state of each part.
    fn health(&self) -> Health;
    /// All metrics in Prometheus text form.
    fn metrics(&self) -> String;
}

/// The state of the engine. `ok` is false only when calls are at risk.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Health {
    pub ok: bool,
    pub version: String,
    /// Seconds since start.
    pub uptime_s: u64,
    /// Entries that wait in memory for the journal's disk.
    pub journal_spooled: u64,
    /// Age of the owner's last beat, ms.
    pub owner_beat_ms: u64,
    /// Events that the call records are behind the journal.
    pub records_lag: u64,
    /// For how long the database of records has taken nothing, ms; 0 = it is well. Calls do not need it.
    pub records_failing_ms: u64,
    /// Standing alarms; what they are is in the view.
    pub alarms: usize,
    pub clock: ClockState,
    /// Media workers.
    pub workers: usize,
}

/// The clocks. The engine keeps the time it had at start, moved by a monotonic clock; a step of the system clock changes no timer.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ClockState {
    /// The engine's time, RFC 3339.
    pub now: String,
    /// How far the system's clock has moved away from it, ms.
    pub drift_ms: i64,
    /// Whether the system's time service says that its clock is synchronised; absent when none tells.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub synchronised: Option<bool>,
}

impl ClockState {
    /// As it is now.
    #[must_use]
    pub fn read() -> Self {
        let clock = Clock::process();
        let service = std::path::Path::new("/run/systemd/timesync");
        Self {
            now: clock.now().rfc3339(),
            drift_ms: clock.wall_drift_micros() / 1000,
            synchronised: service
                .is_dir()
                .then(|| service.join("synchronized").exists()),
        }
    }
}

/// Whether calls are safe: 200, or 503 when a part that calls need is not well.
///
/// Roles: anybody.
#[utoipa::path(get, path = "/health", tag = "operation", responses((status = 200, body = Health), (status = 503, body = Health)))]
async fn health(State(app): State<Arc<App>>) -> Response {
    let health = app.vitals.health();
    let status = if health.ok {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (status, Json(health)).into_response()
}

/// Prometheus metrics; labels are bounded, never a number or a call id.
///
/// Roles: anybody.
#[utoipa::path(get, path = "/metrics", tag = "operation", responses((status = 200, description = "Prometheus text format", body = String)))]
async fn metrics(State(app): State<Arc<App>>) -> String {
    app.vitals.metrics()
}
