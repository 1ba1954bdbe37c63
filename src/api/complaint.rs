//! 投诉: who complained of which calls, what came of it, and the legal hold. Every step is audited.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::App;
use super::auth::Caller;
use super::problem::{Asked, Body, Problem};
use crate::call::Complaint;
use crate::id::{CallId, ComplaintId};
use crate::switch::{Command, CommandReply, Grievance, Role};

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(complaints, open_complaint))
        .routes(routes!(close_complaint))
        .routes(routes!(lift_hold))
}

#[derive(Deserialize, IntoParams)]
struct Wanted {
    /// `open`, `closed` or `held`; absent: all.
    #[serde(default)]
    state: Option<String>,
}

/// Complaints, newest first: text, calls, state, outcome, hold. The last 500; older ones are in their calls' records.
///
/// Roles: seat, supervisor.
#[utoipa::path(get, path = "/complaints", tag = "complaints", params(Wanted), responses((status = 200, body = [Complaint]), (status = 422, body = Problem, content_type = "application/problem+json")))]
async fn complaints(
    State(app): State<Arc<App>>,
    caller: Caller,
    Asked(wanted): Asked<Wanted>,
) -> Result<Json<Vec<Complaint>>, Problem> {
    caller.require(&[Role::Seat, Role::Supervisor])?;
    let keep: fn(&Complaint) -> bool = match wanted.state.as_deref() {
        None => |_| true,
        Some("open") => |one| one.closed.is_none(),
        Some("closed") => |one| one.closed.is_some(),
        Some("held") => |one| one.held,
        Some(_) => return Err(Problem::bad_field("state", "must be open, closed or held")),
    };
    let all = app.view.borrow().complaints.clone();
    let found = all.iter().filter(|one| keep(one));
    Ok(Json(found.map(|one| Complaint::clone(one)).collect()))
}

/// What somebody complains of.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Complained {
    /// The call on which it was made, or that it is about: open, or one of the last 10,000.
    call: CallId,
    /// Other calls that it is about, however old; up to 20.
    #[serde(default)]
    about: Vec<CallId>,
    /// Who complains.
    #[serde(default)]
    person: Option<String>,
    #[serde(default)]
    number: Option<String>,
    /// Up to 2,000 bytes.
    text: String,
}

/// Write a complaint down. Its calls are held from now on (封存): neither record nor recording may be deleted.
///
/// Roles: seat (its own open call, any ended one), supervisor.
#[utoipa::path(post, path = "/complaints", tag = "complaints", request_body = Complained,
    responses((status = 200, body = CommandReply), (status = 404, body = Problem, content_type = "application/problem+json"), (status = 409, description = "500 are there and none can go", body = Problem, content_type = "application/problem+json"), (status = 422, body = Problem, content_type = "application/problem+json")))]
async fn open_complaint(
    State(app): State<Arc<App>>,
    caller: Caller,
    Body(parsed): Body<Complained>,
) -> Result<Json<CommandReply>, Problem> {
    caller.require(&[Role::Seat, Role::Supervisor])?;
    let told = parsed?;
    let call = told.call;
    let grievance = Box::new(Grievance {
        call,
        about: told.about,
        person: told.person,
        number: told.number,
        text: told.text,
    });
    let reply = app
        .command(&caller, Command::OpenComplaint { grievance })
        .await?;
    app.note(&caller, "complaint.opened", &call.to_string())
        .await;
    Ok(reply)
}

/// What came of a complaint.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Outcome {
    /// In words.
    outcome: String,
}

/// Close a complaint. Its hold stays until it is lifted.
///
/// Roles: supervisor.
#[utoipa::path(post, path = "/complaints/{complaint}/close", tag = "complaints", params(("complaint" = String, Path)), request_body = Outcome,
    responses((status = 200, body = CommandReply), (status = 404, body = Problem, content_type = "application/problem+json"), (status = 409, body = Problem, content_type = "application/problem+json"), (status = 422, body = Problem, content_type = "application/problem+json")))]
async fn close_complaint(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(text): Path<String>,
    Body(parsed): Body<Outcome>,
) -> Result<Json<CommandReply>, Problem> {
    caller.require(&[Role::Supervisor])?;
    let complaint = complaint_id(&text)?;
    let outcome = parsed?.outcome;
    let reply = app
        .command(&caller, Command::CloseComplaint { complaint, outcome })
        .await?;
    app.note(&caller, "complaint.closed", &text).await;
    Ok(reply)
}

/// Lift the hold of a closed complaint: what its calls left may go when its time has come.
///
/// Roles: supervisor.
#[utoipa::path(post, path = "/complaints/{complaint}/lift_hold", tag = "complaints", params(("complaint" = String, Path)),
    responses((status = 200, body = CommandReply), (status = 404, body = Problem, content_type = "application/problem+json"), (status = 409, body = Problem, content_type = "application/problem+json")))]
async fn lift_hold(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(text): Path<String>,
) -> Result<Json<CommandReply>, Problem> {
    caller.require(&[Role::Supervisor])?;
    let complaint = complaint_id(&text)?;
    let reply = app
        .command(&caller, Command::LiftHold { complaint })
        .await?;
    app.note(&caller, "complaint.hold_lifted", &text).await;
    Ok(reply)
}

fn complaint_id(text: &str) -> Result<ComplaintId, Problem> {
    text.parse()
        .map_err(|_| Problem::unknown("complaint", text))
}
