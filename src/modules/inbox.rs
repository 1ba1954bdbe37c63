//! A module's HTTP side: the signed hook, the page, and the orders that go back to the engine.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use rust_embed::RustEmbed;
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::ledger::{Order, Received};
use super::{Kind, Module};

/// Records are a few kilobytes; anything larger is not ours.
const BODY_BYTES_MAX: usize = 1024 * 1024;

pub(super) fn routes(module: Arc<Module>) -> Router {
    let router = Router::new()
        .route("/hook", post(hook))
        .route("/", get(page))
        .route("/{file}", get(asset))
        .route("/api/calls", get(calls))
        .route("/api/events", get(events));
    let router = match module.kind {
        Kind::Dispatch => router
            .route("/api/calls/{call}/orders", post(issue))
            .route("/api/calls/{call}/orders/{order}/reassign", post(reassign))
            .route("/api/calls/{call}/orders/{order}/cancel", post(cancel)),
        Kind::Emr => router,
    };
    router
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(module)
}

/// The parts of a CloudEvent (1.0) that a module needs.
#[derive(Deserialize)]
struct CloudEvent {
    id: String,
    #[serde(rename = "type")]
    kind: String,
    subject: String,
    /// CloudEvents sequence extension: text.
    #[serde(default)]
    sequence: Option<String>,
    data: Value,
}

fn problem(status: StatusCode, detail: impl std::fmt::Display) -> Response {
    (
        status,
        Json(json!({ "status": status.as_u16(), "detail": detail.to_string() })),
    )
        .into_response()
}

/// Verify, keep, acknowledge. A repeat is acknowledged like the first time.
async fn hook(State(module): State<Arc<Module>>, headers: HeaderMap, body: Bytes) -> Response {
    if let Err(error) = module.verifier.verify(&body, &headers) {
        return problem(
            StatusCode::UNAUTHORIZED,
            format!("signature refused: {error}"),
        );
    }
    let Ok(text) = std::str::from_utf8(&body) else {
        return problem(StatusCode::BAD_REQUEST, "the body is not UTF-8");
    };
    let event: CloudEvent = match serde_json::from_str(text) {
        Ok(event) => event,
        Err(error) => {
            return problem(
                StatusCode::BAD_REQUEST,
                format!("not a CloudEvent: {error}"),
            );
        }
    };
    let signed_id = headers
        .get("webhook-id")
        .and_then(|value| value.to_str().ok());
    if signed_id != Some(event.id.as_str()) {
        return problem(
            StatusCode::BAD_REQUEST,
            "webhook-id and the event's id differ",
        );
    }
    let incident = format!("{}-{}", module.kind.name(), event.subject);
    let received = Received {
        id: &event.id,
        kind: &event.kind,
        call: &event.subject,
        sequence: event
            .sequence
            .as_deref()
            .and_then(|text| text.parse().ok())
            .unwrap_or(0),
        rev: event.data.get("rev").and_then(Value::as_i64).unwrap_or(0),
        body: text,
        record: &event.data,
    };
    match module.ledger.receive(&received, &incident).await {
        Ok(_) => match module.kind {
            Kind::Dispatch => Json(json!({ "incident_id": incident })).into_response(),
            Kind::Emr => Json(json!({})).into_response(),
        },
        Err(error) => problem(StatusCode::SERVICE_UNAVAILABLE, error),
    }
}

/// The pages' files; read from disk in debug builds, inside the binary in release builds.
#[derive(RustEmbed)]
#[folder = "src/modules/pages/"]
struct Pages;

/// A page loads and runs only its own files: text of callers can never become a script.
const CONTENT_SECURITY_POLICY: &str = "default-src 'self'; img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'; form-action 'self'";

async fn page(State(module): State<Arc<Module>>) -> Response {
    file(&format!("{}.html", module.kind.name()))
}

async fn asset(Path(name): Path<String>) -> Response {
    file(&name)
}

fn file(name: &str) -> Response {
    let Some(found) = Pages::get(name) else {
        return problem(StatusCode::NOT_FOUND, "no such page");
    };
    let kind = mime_guess::from_path(name).first_or_octet_stream();
    let headers = [
        (header::CONTENT_TYPE, kind.to_string()),
        (
            header::CONTENT_SECURITY_POLICY,
            CONTENT_SECURITY_POLICY.to_owned(),
        ),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
        (header::REFERRER_POLICY, "no-referrer".to_owned()),
        (header::CACHE_CONTROL, "no-cache".to_owned()),
    ];
    (headers, found.data.into_owned()).into_response()
}

fn listed(rows: Result<Vec<Value>, sqlx::Error>) -> Response {
    rows.map_or_else(
        |error| problem(StatusCode::SERVICE_UNAVAILABLE, error),
        |rows| Json(rows).into_response(),
    )
}

async fn calls(State(module): State<Arc<Module>>) -> Response {
    listed(module.ledger.calls(50).await)
}

async fn events(State(module): State<Arc<Module>>) -> Response {
    listed(module.ledger.events(500).await)
}

#[derive(Deserialize)]
struct NewOrder {
    vehicle: String,
    #[serde(default)]
    station: Option<String>,
}

#[derive(Deserialize)]
struct Reassignment {
    vehicle: String,
    reason: String,
}

#[derive(Deserialize)]
struct Cancellation {
    reason: String,
}

/// 派车
async fn issue(
    State(module): State<Arc<Module>>,
    Path(call): Path<String>,
    Json(order): Json<NewOrder>,
) -> Response {
    if order.vehicle.trim().is_empty() {
        return problem(StatusCode::UNPROCESSABLE_ENTITY, "vehicle: say which one");
    }
    let id = Uuid::now_v7().to_string();
    let report = json!({ "report": "order_issued", "order_id": id, "station": order.station, "vehicle": order.vehicle });
    let kept = Order {
        id: &id,
        call: &call,
        vehicle: &order.vehicle,
        state: "issued",
        reason: "",
    };
    report_and_keep(&module, &report, &kept).await
}

/// 改派
async fn reassign(
    State(module): State<Arc<Module>>,
    Path((call, id)): Path<(String, String)>,
    Json(change): Json<Reassignment>,
) -> Response {
    let report = json!({ "report": "reassigned", "order_id": id, "vehicle": change.vehicle, "reason": change.reason });
    let kept = Order {
        id: &id,
        call: &call,
        vehicle: &change.vehicle,
        state: "reassigned",
        reason: &change.reason,
    };
    change_order(&module, &report, &kept).await
}

/// 取消
async fn cancel(
    State(module): State<Arc<Module>>,
    Path((call, id)): Path<(String, String)>,
    Json(change): Json<Cancellation>,
) -> Response {
    let vehicle = match module.ledger.vehicle(&call, &id).await {
        Ok(Some(vehicle)) => vehicle,
        Ok(None) => return problem(StatusCode::NOT_FOUND, format!("no order {id} of this call")),
        Err(error) => return problem(StatusCode::SERVICE_UNAVAILABLE, error),
    };
    let report = json!({ "report": "cancelled", "order_id": id, "reason": change.reason });
    let kept = Order {
        id: &id,
        call: &call,
        vehicle: &vehicle,
        state: "cancelled",
        reason: &change.reason,
    };
    change_order(&module, &report, &kept).await
}

async fn change_order(module: &Module, report: &Value, order: &Order<'_>) -> Response {
    if order.reason.trim().is_empty() {
        return problem(
            StatusCode::UNPROCESSABLE_ENTITY,
            "reason: required for a change or a cancellation (WS/T 451 7.2.2)",
        );
    }
    match module.ledger.vehicle(order.call, order.id).await {
        Ok(Some(_)) => report_and_keep(module, report, order).await,
        Ok(None) => problem(
            StatusCode::NOT_FOUND,
            format!("no order {} of this call", order.id),
        ),
        Err(error) => problem(StatusCode::SERVICE_UNAVAILABLE, error),
    }
}

/// The engine hears of it first: what it refuses is not kept.
async fn report_and_keep(module: &Module, report: &Value, order: &Order<'_>) -> Response {
    let (Some(engine), Some(token)) = (&module.engine, &module.token) else {
        return problem(
            StatusCode::CONFLICT,
            "started without --engine and --token-file: orders cannot be reported",
        );
    };
    let url = format!("{engine}/api/v1/calls/{}/dispatch", order.call);
    match module
        .http
        .post(url)
        .bearer_auth(token)
        .json(report)
        .send()
        .await
    {
        Ok(answer) if answer.status().is_success() => {}
        Ok(answer) => {
            let status =
                StatusCode::from_u16(answer.status().as_u16()).unwrap_or(StatusCode::BAD_GATEWAY);
            return problem(status, answer.text().await.unwrap_or_default());
        }
        Err(error) => {
            return problem(
                StatusCode::BAD_GATEWAY,
                format!("the engine does not answer: {}", error.without_url()),
            );
        }
    }
    match module.ledger.order(order).await {
        Ok(()) => Json(json!({ "order_id": order.id, "state": order.state })).into_response(),
        Err(error) => problem(StatusCode::SERVICE_UNAVAILABLE, error),
    }
}
