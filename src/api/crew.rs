//! Crews (车组): the numbers that were sent for a call, and a crew's talk with its caller.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::App;
use super::auth::Caller;
use super::calls::id;
use super::problem::{Body, Problem};
use crate::id::CallId;
use crate::switch::{Command, CommandReply, Role};

/// Who sends crews.
const SENDERS: [Role; 3] = [Role::Seat, Role::Supervisor, Role::Module];

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(name_crew))
        .routes(routes!(bridge))
}

/// The crews of a call.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Crew {
    /// Full numbers that only the crews call from, at most 8; none: there is no crew any more.
    numbers: Vec<String>,
}

/// Name the numbers of the crews that were sent for a call, open or past (车组); they replace those named before.
///
/// Who calls from one of them within 12 hours is shown as a crew, linked to the call and its incident, and offered first to the seat
/// that had the call; any other free seat takes it at once when that one is not. A cancelled order ends it. Roles: seat,
/// supervisor, module.
#[utoipa::path(put, path = "/calls/{call}/crew", tag = "calls", params(("call" = String, Path)), request_body = Crew,
    responses((status = 200, body = CommandReply), (status = 404, body = Problem, content_type = "application/problem+json"), (status = 422, body = Problem, content_type = "application/problem+json")))]
async fn name_crew(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(call): Path<String>,
    Body(parsed): Body<Crew>,
) -> Result<Json<CommandReply>, Problem> {
    caller.require(&SENDERS)?;
    let call: CallId = id("call", &call)?;
    let numbers = parsed?.numbers;
    app.command(&caller, Command::NameCrew { call, numbers })
        .await
}

/// Which crew.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Bridged {
    /// One of the numbers that were named as crews of the call.
    number: String,
}

/// Let a crew speak with the caller of its incident's call, open or past (隐号通话): the crew is rung, then the caller, and both talk and are
/// recorded.
///
/// Both phones show the centre's own number, and the answer does not name the caller's. The new call is linked to that call and its
/// incident. 422 when the number is no crew's of the call or the caller withheld his; 409 while the caller is in another bridge, when he
/// is no longer remembered, or when the trunks are down to the circuits that are kept for callers. Roles: seat, supervisor, module.
#[utoipa::path(post, path = "/calls/{call}/bridge", tag = "calls", params(("call" = String, Path)), request_body = Bridged,
    responses((status = 200, body = CommandReply), (status = 404, body = Problem, content_type = "application/problem+json"), (status = 409, body = Problem, content_type = "application/problem+json"), (status = 422, body = Problem, content_type = "application/problem+json")))]
async fn bridge(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(call): Path<String>,
    Body(parsed): Body<Bridged>,
) -> Result<Json<CommandReply>, Problem> {
    caller.require(&SENDERS)?;
    let call: CallId = id("call", &call)?;
    let number = parsed?.number;
    app.command(&caller, Command::Bridge { call, number }).await
}
