//! What a seat does with its talking call.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::App;
use super::auth::Caller;
use super::calls::id;
use super::problem::Problem;
use crate::switch::{Command, CommandReply};

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(hold))
        .routes(routes!(resume))
}

/// Put the caller on hold (保持): he hears music and nobody, and nobody hears him; third parties and the seat go on.
///
/// The same state as a hold by the seat's phone. Reminded of after a minute, and again. Roles: seat (its own call), supervisor.
#[utoipa::path(post, path = "/calls/{call}/hold", tag = "calls", params(("call" = String, Path)),
    responses((status = 200, body = CommandReply), (status = 404, body = Problem, content_type = "application/problem+json"), (status = 409, body = Problem, content_type = "application/problem+json")))]
async fn hold(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(call): Path<String>,
) -> Result<Json<CommandReply>, Problem> {
    let call = app.call_of(&caller, id("call", &call)?)?;
    app.command(&caller, Command::Hold { call }).await
}

/// Take the caller back from hold (取回). A hold that the seat's phone began is taken back there.
///
/// Roles: seat (its own call), supervisor.
#[utoipa::path(post, path = "/calls/{call}/resume", tag = "calls", params(("call" = String, Path)),
    responses((status = 200, body = CommandReply), (status = 404, body = Problem, content_type = "application/problem+json"), (status = 409, body = Problem, content_type = "application/problem+json")))]
async fn resume(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(call): Path<String>,
) -> Result<Json<CommandReply>, Problem> {
    let call = app.call_of(&caller, id("call", &call)?)?;
    app.command(&caller, Command::Resume { call }).await
}
