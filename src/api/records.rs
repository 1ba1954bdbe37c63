//! Call records, the deliveries of them, and the numbers' history.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use serde::Deserialize;
use serde_json::Value;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::App;
use super::auth::Caller;
use super::calls::id;
use super::problem::{Asked, Problem};
use crate::clock::Clock;
use crate::id::CallId;
use crate::store::records::AuditEntry;
use crate::switch::Role;

const RECORDS_MAX: u32 = 500;

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(records))
        .routes(routes!(record))
        .routes(routes!(deliveries))
        .routes(routes!(send_again))
        .routes(routes!(audit))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Search {
    /// Only calls of this number, in E.164 form.
    #[serde(default)]
    number: Option<String>,
    /// Only this call: none while its record is not written yet.
    #[serde(default)]
    call: Option<String>,
    /// Records wanted, 1-500, newest first.
    #[serde(default = "some")]
    limit: u32,
}

const fn some() -> u32 {
    50
}

/// Call records (`ecr/1`), newest first.
///
/// Roles: seat, supervisor, module.
#[utoipa::path(get, path = "/records", tag = "records", params(Search), responses((status = 200, description = "schema/call-record.schema.json", body = [Object])))]
async fn records(
    State(app): State<Arc<App>>,
    caller: Caller,
    Asked(search): Asked<Search>,
) -> Result<Json<Vec<Value>>, Problem> {
    caller.require(&[Role::Seat, Role::Supervisor, Role::Module])?;
    if let Some(call) = &search.call {
        let call: CallId = id("call", call)?;
        let found = app.store.record(call).await;
        let found = found.map_err(|error| Problem::store(&error))?;
        return Ok(Json(found.into_iter().collect()));
    }
    let limit = search.limit.clamp(1, RECORDS_MAX);
    let found = app
        .store
        .records(search.number.as_deref(), limit)
        .await
        .map_err(|error| Problem::store(&error))?;
    Ok(Json(found))
}

/// One call record at its newest revision.
///
/// Roles: seat, supervisor, module.
#[utoipa::path(get, path = "/records/{call}", tag = "records", params(("call" = String, Path)),
    responses((status = 200, description = "schema/call-record.schema.json", body = Object), (status = 404, body = Problem, content_type = "application/problem+json")))]
async fn record(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(call): Path<String>,
) -> Result<Json<Value>, Problem> {
    caller.require(&[Role::Seat, Role::Supervisor, Role::Module])?;
    app.record(&call).await.map(Json)
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Deliveries {
    /// Only of this call.
    #[serde(default)]
    call: Option<String>,
    #[serde(default = "some")]
    limit: u32,
}

/// Deliveries to modules, newest first: type, sequence, state (pending, delivered, dead), attempts, last error.
///
/// Roles: seat, supervisor.
#[utoipa::path(get, path = "/deliveries", tag = "records", params(Deliveries), responses((status = 200, body = [Object])))]
async fn deliveries(
    State(app): State<Arc<App>>,
    caller: Caller,
    Asked(wanted): Asked<Deliveries>,
) -> Result<Json<Vec<Value>>, Problem> {
    caller.require(&[Role::Seat, Role::Supervisor])?;
    let call = wanted
        .call
        .as_deref()
        .map(|text| id::<CallId>("call", text))
        .transpose()?;
    let limit = wanted.limit.clamp(1, RECORDS_MAX);
    let found = app
        .store
        .deliveries(call, limit)
        .await
        .map_err(|error| Problem::store(&error))?;
    Ok(Json(found))
}

/// Send a delivery again, under its own id.
///
/// Roles: supervisor.
#[utoipa::path(post, path = "/deliveries/{id}/send_again", tag = "records", params(("id" = i64, Path)),
    responses((status = 204), (status = 404, body = Problem, content_type = "application/problem+json")))]
async fn send_again(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(text): Path<String>,
) -> Result<axum::http::StatusCode, Problem> {
    caller.require(&[Role::Supervisor])?;
    let id: i64 = text
        .parse()
        .map_err(|_| Problem::unknown("delivery", &text))?;
    let now = Clock::process().now();
    let noted = app
        .store
        .audit(now, &caller.name, "delivery.sent_again", &text)
        .await;
    noted.map_err(|error| Problem::store(&error))?;
    let found = app
        .store
        .send_again(id, now)
        .await
        .map_err(|error| Problem::store(&error))?;
    if found {
        Ok(axum::http::StatusCode::NO_CONTENT)
    } else {
        Err(Problem::unknown("delivery", id))
    }
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Audited {
    /// Only entries about this subject, such as a call's id.
    #[serde(default)]
    subject: Option<String>,
    /// Entries wanted, 1-500, newest first.
    #[serde(default = "some")]
    limit: u32,
}

/// The audit list, newest first: who heard which recording, who sent what again, who was refused what (`at`, `actor`, `action`,
/// `subject`, and for refusals `reason`).
///
/// Roles: none but admin.
#[utoipa::path(get, path = "/audit", tag = "operation", params(Audited), responses((status = 200, description = "entries", body = [Object]), (status = 503, description = "the database does not answer", body = Problem, content_type = "application/problem+json")))]
async fn audit(
    State(app): State<Arc<App>>,
    caller: Caller,
    Asked(wanted): Asked<Audited>,
) -> Result<Json<Vec<AuditEntry>>, Problem> {
    caller.require(&[])?;
    let limit = wanted.limit.clamp(1, RECORDS_MAX);
    let found = app
        .store
        .audit_entries(wanted.subject.as_deref(), limit)
        .await;
    found.map(Json).map_err(|error| Problem::store(&error))
}

impl App {
    /// The newest record of the call named by `text`.
    pub(super) async fn record(&self, text: &str) -> Result<Value, Problem> {
        let call: CallId = text.parse().map_err(|_| Problem::unknown("call", text))?;
        let found = self
            .store
            .record(call)
            .await
            .map_err(|error| Problem::store(&error))?;
        found.ok_or_else(|| Problem::unknown("record of call", call))
    }
}
