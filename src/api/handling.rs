//! What a seat does with its talking call.

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
use crate::call::{TransferKind, TransferTo};
use crate::id::{CallId, QueueId, SeatId};
use crate::switch::{Command, CommandReply};

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(hold))
        .routes(routes!(resume))
        .routes(routes!(ask_silent))
        .routes(routes!(transfer))
        .routes(routes!(complete_transfer))
        .routes(routes!(cancel_transfer))
        .routes(routes!(shelve))
        .routes(routes!(unshelve))
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

/// Ask a caller who cannot be heard to speak, press a key or knock (静默呼叫). His key is shown; the line stays open.
///
/// Roles: seat (its own call), supervisor.
#[utoipa::path(post, path = "/calls/{call}/ask_silent", tag = "calls", params(("call" = String, Path)),
    responses((status = 200, body = CommandReply), (status = 404, body = Problem, content_type = "application/problem+json"), (status = 409, body = Problem, content_type = "application/problem+json")))]
async fn ask_silent(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(call): Path<String>,
) -> Result<Json<CommandReply>, Problem> {
    let call = app.call_of(&caller, id("call", &call)?)?;
    app.command(&caller, Command::AskSilent { call }).await
}

/// Put the caller aside (受理搁置), with a prompt and music; the seat is free at once.
///
/// In no queue until the caller presses 1, the seat takes him back, a seat has nothing to do, or the longest stay is over: then he is
/// the next. Roles: seat (its own call), supervisor.
#[utoipa::path(post, path = "/calls/{call}/shelve", tag = "calls", params(("call" = String, Path)),
    responses((status = 200, body = CommandReply), (status = 404, body = Problem, content_type = "application/problem+json"), (status = 409, body = Problem, content_type = "application/problem+json")))]
async fn shelve(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(call): Path<String>,
) -> Result<Json<CommandReply>, Problem> {
    let call = app.call_of(&caller, id("call", &call)?)?;
    app.command(&caller, Command::Shelve { call }).await
}

/// Who takes the caller back.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Taker {
    /// A free seat; its phone rings.
    seat: SeatId,
}

/// Take a caller back from the shelf (取回): the seat's phone rings, and he is the next in the queue should it not answer.
///
/// Roles: seat (for itself, what it put aside or what is anybody's), supervisor.
#[utoipa::path(post, path = "/calls/{call}/unshelve", tag = "calls", params(("call" = String, Path)), request_body = Taker,
    responses((status = 200, body = CommandReply), (status = 403, body = Problem, content_type = "application/problem+json"), (status = 404, body = Problem, content_type = "application/problem+json"), (status = 409, body = Problem, content_type = "application/problem+json"), (status = 422, body = Problem, content_type = "application/problem+json")))]
async fn unshelve(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(call): Path<String>,
    Body(parsed): Body<Taker>,
) -> Result<Json<CommandReply>, Problem> {
    let seat = match &parsed {
        Ok(taker) => taker.seat.clone(),
        Err(_) => caller.seat.clone().unwrap_or_else(|| SeatId::from("-")),
    };
    caller.require_seat(&seat)?;
    let call: CallId = id("call", &call)?;
    let seat = parsed?.seat;
    app.command(&caller, Command::Unshelve { call, seat }).await
}

/// Whom a call is transferred to: one of `seat`, `queue`, `number`.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct TransferOrder {
    /// A free seat.
    seat: Option<SeatId>,
    queue: Option<QueueId>,
    /// Dialled as given, shaped by the trunk's profile.
    number: Option<String>,
    #[schema(value_type = String)]
    /// `blind` (the seat leaves at once), `attended` (the caller is on hold while the two speak), `conference` (all three talk).
    kind: TransferKind,
}

impl TransferOrder {
    fn target(self) -> Result<TransferTo, Problem> {
        match (self.seat, self.queue, self.number) {
            (Some(seat), None, None) => Ok(TransferTo::Seat(seat)),
            (None, Some(queue), None) => Ok(TransferTo::Queue(queue)),
            (None, None, Some(number)) => Ok(TransferTo::Number(number)),
            _ => Err(Problem::bad_field(
                "seat",
                "name one of seat, queue, number",
            )),
        }
    }
}

/// Transfer a call (转移): to a free seat, a queue or a number outside.
///
/// Blind: the seat is free at once, the caller hears ring-back; not answered, he is the queue's head and the seat that sent him is asked
/// first. Attended and conference end by `complete` (or when the seat hangs up) or by cancelling. Roles: seat (its own call), supervisor.
#[utoipa::path(post, path = "/calls/{call}/transfer", tag = "calls", params(("call" = String, Path)), request_body = TransferOrder,
    responses((status = 200, body = CommandReply), (status = 404, body = Problem, content_type = "application/problem+json"), (status = 409, body = Problem, content_type = "application/problem+json"), (status = 422, body = Problem, content_type = "application/problem+json")))]
async fn transfer(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(call): Path<String>,
    Body(parsed): Body<TransferOrder>,
) -> Result<Json<CommandReply>, Problem> {
    let call = app.call_of(&caller, id("call", &call)?)?;
    let order = parsed?;
    let kind = order.kind;
    let to = order.target()?;
    app.command(&caller, Command::Transfer { call, to, kind })
        .await
}

/// The seat leaves, and the target of its transfer has the call.
///
/// Roles: seat (its own call), supervisor.
#[utoipa::path(post, path = "/calls/{call}/transfer/complete", tag = "calls", params(("call" = String, Path)),
    responses((status = 200, body = CommandReply), (status = 404, body = Problem, content_type = "application/problem+json"), (status = 409, body = Problem, content_type = "application/problem+json")))]
async fn complete_transfer(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(call): Path<String>,
) -> Result<Json<CommandReply>, Problem> {
    let call = app.call_of(&caller, id("call", &call)?)?;
    app.command(&caller, Command::CompleteTransfer { call })
        .await
}

/// Release the target of a transfer; the seat has its caller as before.
///
/// Roles: seat (its own call), supervisor.
#[utoipa::path(delete, path = "/calls/{call}/transfer", tag = "calls", params(("call" = String, Path)),
    responses((status = 200, body = CommandReply), (status = 404, body = Problem, content_type = "application/problem+json"), (status = 409, body = Problem, content_type = "application/problem+json")))]
async fn cancel_transfer(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(call): Path<String>,
) -> Result<Json<CommandReply>, Problem> {
    let call = app.call_of(&caller, id("call", &call)?)?;
    app.command(&caller, Command::CancelTransfer { call }).await
}
