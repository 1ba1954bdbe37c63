//! Calls that seats make: dial, and say what a call belongs to.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::App;
use super::auth::Caller;
use super::calls::{DESK, id};
use super::problem::{Body, Problem};
use crate::id::{CallBackId, CallId, SeatId};
use crate::switch::{Command, CommandReply};

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(dial))
        .routes(routes!(link))
        .routes(routes!(call_back_now))
}

/// Whom to call.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Dialled {
    /// A seat of the centre, or any number, shaped by the trunk's profile.
    number: String,
}

/// Ring the seat's phone, then the number; both talk and are recorded (拨打).
///
/// 409 when the seat is offered a call or in one, when the called seat is, or when the trunks are down to the circuits that are
/// kept for callers. Roles: seat (its own), supervisor.
#[utoipa::path(post, path = "/seats/{seat}/dial", tag = "calls", params(("seat" = String, Path)), request_body = Dialled,
    responses((status = 200, body = CommandReply), (status = 403, body = Problem, content_type = "application/problem+json"), (status = 404, body = Problem, content_type = "application/problem+json"), (status = 409, body = Problem, content_type = "application/problem+json"), (status = 422, body = Problem, content_type = "application/problem+json")))]
async fn dial(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(seat): Path<String>,
    Body(parsed): Body<Dialled>,
) -> Result<Json<CommandReply>, Problem> {
    let seat = SeatId(seat);
    caller.require_seat(&seat)?;
    let number = parsed?.number;
    app.command(&caller, Command::Dial { seat, number }).await
}

/// What a call belongs to: a call, an incident, or both.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Linked {
    /// Another call, open or past.
    #[serde(default)]
    to: Option<CallId>,
    /// The dispatch module's own id.
    #[serde(default)]
    incident_id: Option<String>,
}

/// Link a call, open or past, to another call or to an incident (关联). Both records tell of it.
///
/// Roles: seat, supervisor.
#[utoipa::path(post, path = "/calls/{call}/link", tag = "calls", params(("call" = String, Path)), request_body = Linked,
    responses((status = 200, body = CommandReply), (status = 404, body = Problem, content_type = "application/problem+json"), (status = 422, body = Problem, content_type = "application/problem+json")))]
async fn link(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(call): Path<String>,
    Body(parsed): Body<Linked>,
) -> Result<Json<CommandReply>, Problem> {
    caller.require(&DESK)?;
    let call: CallId = id("call", &call)?;
    let Linked { to, incident_id } = parsed?;
    app.command(
        &caller,
        Command::Link {
            call,
            to,
            incident_id,
        },
    )
    .await
}

/// Who dials.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct DialledBy {
    /// Its phone rings first.
    seat: SeatId,
}

/// Dial a call-back at a seat (回拨): its phone rings, then the caller, for 30 s.
///
/// A talk of 10 s closes it; else it is due again after 1 and 3 minutes, then a person closes it. 409 when another seat dials it or
/// its caller rang again. Roles: seat (its own), supervisor.
#[utoipa::path(post, path = "/call_backs/{call_back}/dial", tag = "call_backs", params(("call_back" = String, Path)), request_body = DialledBy,
    responses((status = 200, body = CommandReply), (status = 403, body = Problem, content_type = "application/problem+json"), (status = 404, body = Problem, content_type = "application/problem+json"), (status = 409, body = Problem, content_type = "application/problem+json"), (status = 422, body = Problem, content_type = "application/problem+json")))]
async fn call_back_now(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(call_back): Path<String>,
    Body(parsed): Body<DialledBy>,
) -> Result<Json<CommandReply>, Problem> {
    caller.require(&DESK)?;
    let call_back: CallBackId = id("call-back", &call_back)?;
    let seat = parsed?.seat;
    caller.require_seat(&seat)?;
    app.command(&caller, Command::CallBackNow { call_back, seat })
        .await
}
