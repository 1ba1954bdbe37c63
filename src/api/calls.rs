//! Open calls and seats: look and command.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::App;
use super::auth::Caller;
use super::problem::{Body, Problem};
use crate::call::Mode;
use crate::id::{CallBackId, CallId, LegId, SeatId};
use crate::switch::{
    CallBackView, CallView, Command, CommandReply, DispatchReport, Role, SeatView, View,
};

/// Roles that work with calls.
pub(super) const DESK: [Role; 2] = [Role::Seat, Role::Supervisor];

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(me))
        .routes(routes!(view))
        .routes(routes!(seats))
        .routes(routes!(seat_ready))
        .routes(routes!(seat_not_ready))
        .routes(routes!(calls))
        .routes(routes!(call))
        .routes(routes!(hang_up))
        .routes(routes!(add_party))
        .routes(routes!(remove_party))
        .routes(routes!(join))
        .routes(routes!(listen))
        .routes(routes!(stop_listening))
        .routes(routes!(dispatch))
        .routes(routes!(call_backs))
        .routes(routes!(close_call_back))
}

pub(super) fn id<T: std::str::FromStr>(what: &str, text: &str) -> Result<T, Problem> {
    text.parse().map_err(|_| Problem::unknown(what, text))
}

/// Who asks.
#[derive(Serialize, ToSchema)]
struct Me {
    name: String,
    /// `seat`, `supervisor`, `module` or `admin`.
    role: String,
    /// The seat it speaks for.
    seat: Option<SeatId>,
}

/// Whom the server takes you for: name, role, seat.
///
/// Roles: seat, supervisor, module.
#[utoipa::path(get, path = "/me", tag = "live", responses((status = 200, body = Me)))]
async fn me(caller: Caller) -> Json<Me> {
    Json(Me {
        role: format!("{:?}", caller.role).to_lowercase(),
        name: caller.name,
        seat: caller.seat,
    })
}

/// The whole live picture: open calls, seats, trunks, call-backs, alarms.
///
/// Roles: seat, supervisor.
#[utoipa::path(get, path = "/view", tag = "live", responses((status = 200, body = View), (status = 401, body = Problem, content_type = "application/problem+json")))]
async fn view(State(app): State<Arc<App>>, caller: Caller) -> Result<Json<View>, Problem> {
    caller.require(&DESK)?;
    Ok(Json(View::clone(&app.view.borrow())))
}

/// All seats and their states.
///
/// Roles: seat, supervisor.
#[utoipa::path(get, path = "/seats", tag = "seats", responses((status = 200, body = [SeatView])))]
async fn seats(
    State(app): State<Arc<App>>,
    caller: Caller,
) -> Result<Json<Vec<SeatView>>, Problem> {
    caller.require(&DESK)?;
    Ok(Json(app.view.borrow().seats.clone()))
}

/// 示闲: the seat takes calls.
///
/// Roles: seat (its own), supervisor.
#[utoipa::path(post, path = "/seats/{seat}/ready", tag = "seats", params(("seat" = String, Path)),
    responses((status = 200, body = CommandReply), (status = 403, body = Problem, content_type = "application/problem+json"), (status = 404, body = Problem, content_type = "application/problem+json"), (status = 409, body = Problem, content_type = "application/problem+json")))]
async fn seat_ready(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(seat): Path<String>,
) -> Result<Json<CommandReply>, Problem> {
    let seat = SeatId(seat);
    caller.require_seat(&seat)?;
    app.command(&caller, Command::SeatReady { seat }).await
}

/// Why a seat takes no calls.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NotReady {
    /// Such as 离席 or 培训.
    reason: String,
}

/// 示忙: the seat takes no calls.
///
/// Roles: seat (its own), supervisor.
#[utoipa::path(post, path = "/seats/{seat}/not_ready", tag = "seats", params(("seat" = String, Path)), request_body = NotReady,
    responses((status = 200, body = CommandReply), (status = 422, body = Problem, content_type = "application/problem+json")))]
async fn seat_not_ready(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(seat): Path<String>,
    Body(parsed): Body<NotReady>,
) -> Result<Json<CommandReply>, Problem> {
    let seat = SeatId(seat);
    caller.require_seat(&seat)?;
    let reason = parsed?.reason;
    app.command(&caller, Command::SeatNotReady { seat, reason })
        .await
}

/// Open calls, oldest first.
///
/// Roles: seat, supervisor.
#[utoipa::path(get, path = "/calls", tag = "calls", responses((status = 200, body = [CallView])))]
async fn calls(
    State(app): State<Arc<App>>,
    caller: Caller,
) -> Result<Json<Vec<CallView>>, Problem> {
    caller.require(&DESK)?;
    Ok(Json(app.view.borrow().calls.clone()))
}

/// One open call, as the live view shows it.
///
/// Roles: seat, supervisor.
#[utoipa::path(get, path = "/calls/{call}", tag = "calls", params(("call" = String, Path)),
    responses((status = 200, body = CallView), (status = 404, body = Problem, content_type = "application/problem+json")))]
async fn call(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(call): Path<String>,
) -> Result<Json<CallView>, Problem> {
    caller.require(&DESK)?;
    let wanted: CallId = id("call", &call)?;
    let view = app.view.borrow();
    let found = view.calls.iter().find(|open| open.call == wanted).cloned();
    found
        .map(Json)
        .ok_or_else(|| Problem::unknown("open call", wanted))
}

/// End a call: every leg is released.
///
/// Roles: seat (its own call), supervisor.
#[utoipa::path(post, path = "/calls/{call}/hang_up", tag = "calls", params(("call" = String, Path)),
    responses((status = 200, body = CommandReply), (status = 404, body = Problem, content_type = "application/problem+json")))]
async fn hang_up(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(call): Path<String>,
) -> Result<Json<CommandReply>, Problem> {
    let call = app.call_of(&caller, id("call", &call)?)?;
    app.command(&caller, Command::HangUp { call }).await
}

/// Whom to add to a call.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Party {
    /// Dialled as given, shaped by the trunk's profile.
    number: String,
    /// doctor, 110, 119, 122, crew, interpreter, ...
    role: String,
}

/// Ring a third party by number and join it when it answers.
///
/// Roles: seat (its own call), supervisor.
#[utoipa::path(post, path = "/calls/{call}/parties", tag = "calls", params(("call" = String, Path)), request_body = Party,
    responses((status = 200, body = CommandReply), (status = 409, body = Problem, content_type = "application/problem+json"), (status = 422, body = Problem, content_type = "application/problem+json")))]
async fn add_party(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(call): Path<String>,
    Body(parsed): Body<Party>,
) -> Result<Json<CommandReply>, Problem> {
    let call = app.call_of(&caller, id("call", &call)?)?;
    let Party { number, role } = parsed?;
    app.command(&caller, Command::AddParty { call, number, role })
        .await
}

/// Cancel a ringing third party, or release a joined one.
///
/// Roles: seat (its own call), supervisor.
#[utoipa::path(delete, path = "/calls/{call}/parties/{leg}", tag = "calls", params(("call" = String, Path), ("leg" = String, Path)),
    responses((status = 200, body = CommandReply), (status = 404, body = Problem, content_type = "application/problem+json")))]
async fn remove_party(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path((call, leg)): Path<(String, String)>,
) -> Result<Json<CommandReply>, Problem> {
    let call = app.call_of(&caller, id("call", &call)?)?;
    let leg: LegId = id("leg", &leg)?;
    app.command(&caller, Command::RemoveParty { call, leg })
        .await
}

/// Which call joins.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Joined {
    /// A call that waits, or that talks with another seat.
    with: CallId,
}

/// Join another call to the talk of this call's seat: everybody hears everybody (合并通话).
///
/// Both calls keep their records and recordings, which name each other. A hang-up ends the call it names; when this call's
/// seat leaves, a joined caller without a seat is the next in the queue. Roles: seat (its own call), supervisor.
#[utoipa::path(post, path = "/calls/{call}/join", tag = "calls", params(("call" = String, Path)), request_body = Joined,
    responses((status = 200, body = CommandReply), (status = 403, body = Problem, content_type = "application/problem+json"), (status = 404, body = Problem, content_type = "application/problem+json"), (status = 409, body = Problem, content_type = "application/problem+json"), (status = 422, body = Problem, content_type = "application/problem+json")))]
async fn join(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(call): Path<String>,
    Body(parsed): Body<Joined>,
) -> Result<Json<CommandReply>, Problem> {
    let call = app.call_of(&caller, id("call", &call)?)?;
    let with = parsed?.with;
    app.command(&caller, Command::Join { call, with }).await
}

/// Which phone listens, and what is heard of it.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Listener {
    /// A supervisor's seat; its phone rings and then hears the call.
    seat: SeatId,
    /// `listen` when absent.
    #[serde(default)]
    mode: Mode,
}

/// Ring a supervisor's phone and let it hear a waiting or talking call; or change what a phone that does so is.
///
/// `listen`: heard by nobody. `whisper`: by the seats only. `barge`: by all, beside a talking seat. `take_over`: it has the
/// seat's part, the seat is free for its after-call work; a waiting call is answered. A change rings nothing, ends no leg and
/// interrupts nobody's sound. Roles: supervisor.
#[utoipa::path(post, path = "/calls/{call}/listen", tag = "supervision", params(("call" = String, Path)), request_body = Listener,
    responses((status = 200, body = CommandReply), (status = 403, body = Problem, content_type = "application/problem+json"), (status = 409, body = Problem, content_type = "application/problem+json")))]
async fn listen(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(call): Path<String>,
    Body(parsed): Body<Listener>,
) -> Result<Json<CommandReply>, Problem> {
    caller.require(&[Role::Supervisor])?;
    let call: CallId = id("call", &call)?;
    let Listener { seat, mode } = parsed?;
    app.command(&caller, Command::Listen { call, seat, mode })
        .await
}

/// End a supervisor's listening.
///
/// Roles: supervisor.
#[utoipa::path(delete, path = "/calls/{call}/listen/{seat}", tag = "supervision", params(("call" = String, Path), ("seat" = String, Path)),
    responses((status = 200, body = CommandReply), (status = 404, body = Problem, content_type = "application/problem+json")))]
async fn stop_listening(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path((call, seat)): Path<(String, String)>,
) -> Result<Json<CommandReply>, Problem> {
    caller.require(&[Role::Supervisor])?;
    let call: CallId = id("call", &call)?;
    app.command(
        &caller,
        Command::StopListening {
            call,
            seat: SeatId(seat),
        },
    )
    .await
}

/// A dispatch module reports an order, its change or its cancellation (reason required).
///
/// Roles: module.
#[utoipa::path(post, path = "/calls/{call}/dispatch", tag = "modules", params(("call" = String, Path)), request_body = DispatchReport,
    responses((status = 200, body = CommandReply), (status = 422, body = Problem, content_type = "application/problem+json")))]
async fn dispatch(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(call): Path<String>,
    Body(parsed): Body<DispatchReport>,
) -> Result<Json<CommandReply>, Problem> {
    caller.require(&[Role::Module])?;
    let call: CallId = id("call", &call)?;
    let report = parsed?;
    app.command(&caller, Command::Dispatch { call, report })
        .await
}

/// Open call-backs (回拨), most urgent first.
///
/// Roles: seat, supervisor.
#[utoipa::path(get, path = "/call_backs", tag = "call_backs", responses((status = 200, body = [CallBackView])))]
async fn call_backs(
    State(app): State<Arc<App>>,
    caller: Caller,
) -> Result<Json<Vec<CallBackView>>, Problem> {
    caller.require(&DESK)?;
    Ok(Json(app.view.borrow().call_backs.clone()))
}

/// How a call-back ended.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Outcome {
    /// What was found out, in words.
    outcome: String,
}

/// A named person closes a call-back.
///
/// Roles: seat, supervisor.
#[utoipa::path(post, path = "/call_backs/{call_back}/close", tag = "call_backs", params(("call_back" = String, Path)), request_body = Outcome,
    responses((status = 200, body = CommandReply), (status = 404, body = Problem, content_type = "application/problem+json"), (status = 422, body = Problem, content_type = "application/problem+json")))]
async fn close_call_back(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(call_back): Path<String>,
    Body(parsed): Body<Outcome>,
) -> Result<Json<CommandReply>, Problem> {
    caller.require(&DESK)?;
    let call_back: CallBackId = id("call-back", &call_back)?;
    let outcome = parsed?.outcome;
    app.command(&caller, Command::CloseCallBack { call_back, outcome })
        .await
}
