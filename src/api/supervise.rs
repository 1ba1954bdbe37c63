//! What a supervisor orders and a seat asks of him: sign-out, help, where a waiting call stands.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::App;
use super::auth::Caller;
use super::problem::{Body, Problem};
use crate::call::Mode;
use crate::id::{CallId, PhoneId, QueueId, SeatId};
use crate::switch::{Command, CommandReply, Destination, Role};
use crate::time::Millis;

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(sign_in))
        .routes(routes!(sign_out))
        .routes(routes!(request_assist, cancel_assist))
        .routes(routes!(accept_assist))
        .routes(routes!(reassign))
        .routes(routes!(prioritise))
        .routes(routes!(listen_queue, stop_listening_queue))
}

fn call_id(text: &str) -> Result<CallId, Problem> {
    text.parse().map_err(|_| Problem::unknown("call", text))
}

/// Where a seat sits.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Desk {
    /// A registered phone, by its account; a seat's own phone has the seat's name.
    phone: PhoneId,
}

/// 签入: the seat sits at this phone from now on, and its calls ring there; who sat there is signed out.
///
/// 409 while the seat, or the one that sits there, is in a call, and when the phone is not registered. Roles: seat (its own),
/// supervisor.
#[utoipa::path(post, path = "/seats/{seat}/sign_in", tag = "seats", params(("seat" = String, Path)), request_body = Desk,
    responses((status = 200, body = CommandReply), (status = 403, body = Problem, content_type = "application/problem+json"), (status = 404, body = Problem, content_type = "application/problem+json"), (status = 409, body = Problem, content_type = "application/problem+json"), (status = 422, body = Problem, content_type = "application/problem+json")))]
async fn sign_in(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(seat): Path<String>,
    Body(parsed): Body<Desk>,
) -> Result<Json<CommandReply>, Problem> {
    let seat = SeatId(seat);
    caller.require_seat(&seat)?;
    let phone = parsed?.phone;
    app.command(&caller, Command::SignIn { seat, phone }).await
}

/// 签出: the seat takes no calls until it says 示闲 or its phone registers anew; a talking seat leaves after its call.
///
/// Roles: seat (its own), supervisor.
#[utoipa::path(post, path = "/seats/{seat}/sign_out", tag = "seats", params(("seat" = String, Path)),
    responses((status = 200, body = CommandReply), (status = 403, body = Problem, content_type = "application/problem+json"), (status = 404, body = Problem, content_type = "application/problem+json"), (status = 409, body = Problem, content_type = "application/problem+json")))]
async fn sign_out(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(seat): Path<String>,
) -> Result<Json<CommandReply>, Problem> {
    let seat = SeatId(seat);
    caller.require_seat(&seat)?;
    app.command(&caller, Command::SignOut { seat }).await
}

/// 呼叫班长: the seat that talks in the call asks for a supervisor.
///
/// Roles: seat (its own call), supervisor.
#[utoipa::path(post, path = "/calls/{call}/assist", tag = "supervision", params(("call" = String, Path)),
    responses((status = 200, body = CommandReply), (status = 403, body = Problem, content_type = "application/problem+json"), (status = 404, body = Problem, content_type = "application/problem+json"), (status = 409, body = Problem, content_type = "application/problem+json")))]
async fn request_assist(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(call): Path<String>,
) -> Result<Json<CommandReply>, Problem> {
    let call = app.call_of(&caller, call_id(&call)?)?;
    app.command(&caller, Command::RequestAssist { call }).await
}

/// The seat needs no supervisor any more.
///
/// Roles: seat (its own call), supervisor.
#[utoipa::path(delete, path = "/calls/{call}/assist", tag = "supervision", params(("call" = String, Path)),
    responses((status = 200, body = CommandReply), (status = 403, body = Problem, content_type = "application/problem+json"), (status = 404, body = Problem, content_type = "application/problem+json"), (status = 409, body = Problem, content_type = "application/problem+json")))]
async fn cancel_assist(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(call): Path<String>,
) -> Result<Json<CommandReply>, Problem> {
    let call = app.call_of(&caller, call_id(&call)?)?;
    app.command(&caller, Command::CancelAssist { call }).await
}

/// Which supervisor comes, and how.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Accepted {
    /// His seat; its phone rings.
    seat: SeatId,
    mode: Mode,
}

/// A supervisor accepts a seat's request: his phone rings and joins in that mode. The second one is told who comes.
///
/// Roles: supervisor.
#[utoipa::path(post, path = "/calls/{call}/assist/accept", tag = "supervision", params(("call" = String, Path)), request_body = Accepted,
    responses((status = 200, body = CommandReply), (status = 403, body = Problem, content_type = "application/problem+json"), (status = 404, body = Problem, content_type = "application/problem+json"), (status = 409, body = Problem, content_type = "application/problem+json"), (status = 422, body = Problem, content_type = "application/problem+json")))]
async fn accept_assist(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(call): Path<String>,
    Body(parsed): Body<Accepted>,
) -> Result<Json<CommandReply>, Problem> {
    caller.require(&[Role::Supervisor])?;
    let call = call_id(&call)?;
    let Accepted { seat, mode } = parsed?;
    app.command(&caller, Command::AcceptAssist { call, seat, mode })
        .await
}

/// Where a waiting call goes: one of both.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Sent {
    to: Destination,
}

/// A waiting call rings that seat now, or stands in that queue; it keeps its time. Unanswered, it goes on as before.
///
/// Roles: supervisor.
#[utoipa::path(post, path = "/calls/{call}/reassign", tag = "supervision", params(("call" = String, Path)), request_body = Sent,
    responses((status = 200, body = CommandReply), (status = 403, body = Problem, content_type = "application/problem+json"), (status = 404, body = Problem, content_type = "application/problem+json"), (status = 409, body = Problem, content_type = "application/problem+json"), (status = 422, body = Problem, content_type = "application/problem+json")))]
async fn reassign(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(call): Path<String>,
    Body(parsed): Body<Sent>,
) -> Result<Json<CommandReply>, Problem> {
    caller.require(&[Role::Supervisor])?;
    let call = call_id(&call)?;
    let to = parsed?.to;
    app.command(&caller, Command::Reassign { call, to }).await
}

/// How much earlier a call stands.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Ahead {
    /// Seconds, 0 to 3600; 0 takes the order back.
    ahead_s: u32,
}

/// A waiting call stands as if it had come so much earlier.
///
/// Roles: supervisor.
#[utoipa::path(post, path = "/calls/{call}/priority", tag = "supervision", params(("call" = String, Path)), request_body = Ahead,
    responses((status = 200, body = CommandReply), (status = 403, body = Problem, content_type = "application/problem+json"), (status = 404, body = Problem, content_type = "application/problem+json"), (status = 409, body = Problem, content_type = "application/problem+json"), (status = 422, body = Problem, content_type = "application/problem+json")))]
async fn prioritise(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(call): Path<String>,
    Body(parsed): Body<Ahead>,
) -> Result<Json<CommandReply>, Problem> {
    caller.require(&[Role::Supervisor])?;
    let call = call_id(&call)?;
    let ahead = Millis(parsed?.ahead_s.saturating_mul(1000));
    app.command(&caller, Command::Prioritise { call, ahead })
        .await
}

/// What a phone listens to.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Listened {
    /// All queues when absent.
    #[serde(default)]
    queue: Option<QueueId>,
}

/// 队列监听: ring a supervisor's phone and let it hear the call of a queue that has waited longest, then the next one.
///
/// It goes on by itself when that call waits no more, after 5 s at the earliest, and at once when it ends; while nobody waits
/// the phone stays up and hears silence. No caller and no seat hears him. A phone that listens to one call already is not rung;
/// whispering, barging in, taking over and listening to one call are commands on that call as ever. Roles: supervisor.
#[utoipa::path(post, path = "/seats/{seat}/listen_queue", tag = "supervision", params(("seat" = String, Path)), request_body = Listened,
    responses((status = 200, body = CommandReply), (status = 403, body = Problem, content_type = "application/problem+json"), (status = 404, body = Problem, content_type = "application/problem+json"), (status = 409, body = Problem, content_type = "application/problem+json"), (status = 422, body = Problem, content_type = "application/problem+json")))]
async fn listen_queue(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(seat): Path<String>,
    Body(parsed): Body<Listened>,
) -> Result<Json<CommandReply>, Problem> {
    caller.require(&[Role::Supervisor])?;
    let (seat, queue) = (SeatId(seat), parsed?.queue);
    app.command(&caller, Command::ListenQueue { seat, queue })
        .await
}

/// End a supervisor's listening to a queue.
///
/// Roles: supervisor.
#[utoipa::path(delete, path = "/seats/{seat}/listen_queue", tag = "supervision", params(("seat" = String, Path)),
    responses((status = 200, body = CommandReply), (status = 403, body = Problem, content_type = "application/problem+json"), (status = 404, body = Problem, content_type = "application/problem+json"), (status = 409, body = Problem, content_type = "application/problem+json")))]
async fn stop_listening_queue(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(seat): Path<String>,
) -> Result<Json<CommandReply>, Problem> {
    caller.require(&[Role::Supervisor])?;
    let seat = SeatId(seat);
    app.command(&caller, Command::StopListeningQueue { seat })
        .await
}
