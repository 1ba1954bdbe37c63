//! Open calls and seats: look and command.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, State};
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::App;
use super::auth::Caller;
use super::problem::Problem;
use crate::id::{CallBackId, CallId, LegId, SeatId};
use crate::switch::{
    CallBackView, CallView, Command, CommandReply, DispatchReport, Role, SeatView, View,
};

/// Roles that work with calls.
const DESK: [Role; 2] = [Role::Seat, Role::Supervisor];

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(view))
        .routes(routes!(seats))
        .routes(routes!(seat_ready))
        .routes(routes!(seat_not_ready))
        .routes(routes!(calls))
        .routes(routes!(call))
        .routes(routes!(hang_up))
        .routes(routes!(add_party))
        .routes(routes!(remove_party))
        .routes(routes!(listen))
        .routes(routes!(stop_listening))
        .routes(routes!(dispatch))
        .routes(routes!(call_backs))
        .routes(routes!(close_call_back))
}

/// A JSON body, or 422 with the field and the reason.
pub(super) fn body<T>(parsed: Result<Json<T>, JsonRejection>) -> Result<T, Problem> {
    parsed.map(|Json(body)| body).map_err(|rejection| {
        let reason = rejection.body_text();
        let field = reason.split('`').nth(1).unwrap_or("body").to_owned();
        Problem::bad_field(&field, reason)
    })
}

fn id<T: std::str::FromStr>(what: &str, text: &str) -> Result<T, Problem> {
    text.parse().map_err(|_| Problem::unknown(what, text))
}

/// The whole live picture: open calls, seats, trunks, call-backs, alarms.
#[utoipa::path(get, path = "/view", tag = "live", responses((status = 200, body = View), (status = 401, body = Problem)))]
async fn view(State(app): State<Arc<App>>, caller: Caller) -> Result<Json<View>, Problem> {
    caller.require(&DESK)?;
    Ok(Json(View::clone(&app.view.borrow())))
}

/// All seats and their states.
#[utoipa::path(get, path = "/seats", tag = "seats", responses((status = 200, body = [SeatView])))]
async fn seats(
    State(app): State<Arc<App>>,
    caller: Caller,
) -> Result<Json<Vec<SeatView>>, Problem> {
    caller.require(&DESK)?;
    Ok(Json(app.view.borrow().seats.clone()))
}

/// 示闲: the seat takes calls.
#[utoipa::path(post, path = "/seats/{seat}/ready", tag = "seats", params(("seat" = String, Path)),
    responses((status = 200, body = CommandReply), (status = 403, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem)))]
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
#[utoipa::path(post, path = "/seats/{seat}/not_ready", tag = "seats", params(("seat" = String, Path)), request_body = NotReady,
    responses((status = 200, body = CommandReply), (status = 422, body = Problem)))]
async fn seat_not_ready(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(seat): Path<String>,
    parsed: Result<Json<NotReady>, JsonRejection>,
) -> Result<Json<CommandReply>, Problem> {
    let seat = SeatId(seat);
    caller.require_seat(&seat)?;
    let reason = body(parsed)?.reason;
    app.command(&caller, Command::SeatNotReady { seat, reason })
        .await
}

/// Open calls, oldest first.
#[utoipa::path(get, path = "/calls", tag = "calls", responses((status = 200, body = [CallView])))]
async fn calls(
    State(app): State<Arc<App>>,
    caller: Caller,
) -> Result<Json<Vec<CallView>>, Problem> {
    caller.require(&DESK)?;
    Ok(Json(app.view.borrow().calls.clone()))
}

/// One open call.
#[utoipa::path(get, path = "/calls/{call}", tag = "calls", params(("call" = String, Path)),
    responses((status = 200, body = CallView), (status = 404, body = Problem)))]
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
#[utoipa::path(post, path = "/calls/{call}/hang_up", tag = "calls", params(("call" = String, Path)),
    responses((status = 200, body = CommandReply), (status = 404, body = Problem)))]
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
#[utoipa::path(post, path = "/calls/{call}/parties", tag = "calls", params(("call" = String, Path)), request_body = Party,
    responses((status = 200, body = CommandReply), (status = 409, body = Problem), (status = 422, body = Problem)))]
async fn add_party(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(call): Path<String>,
    parsed: Result<Json<Party>, JsonRejection>,
) -> Result<Json<CommandReply>, Problem> {
    let call = app.call_of(&caller, id("call", &call)?)?;
    let Party { number, role } = body(parsed)?;
    app.command(&caller, Command::AddParty { call, number, role })
        .await
}

/// Cancel a ringing third party, or release a joined one.
#[utoipa::path(delete, path = "/calls/{call}/parties/{leg}", tag = "calls", params(("call" = String, Path), ("leg" = String, Path)),
    responses((status = 200, body = CommandReply), (status = 404, body = Problem)))]
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

/// Which phone listens.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Listener {
    /// A supervisor's seat; its phone rings and then hears the call, inaudibly.
    seat: SeatId,
}

/// Ring a supervisor's phone and let it hear a waiting or talking call.
#[utoipa::path(post, path = "/calls/{call}/listen", tag = "supervision", params(("call" = String, Path)), request_body = Listener,
    responses((status = 200, body = CommandReply), (status = 403, body = Problem), (status = 409, body = Problem)))]
async fn listen(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(call): Path<String>,
    parsed: Result<Json<Listener>, JsonRejection>,
) -> Result<Json<CommandReply>, Problem> {
    caller.require(&[Role::Supervisor])?;
    let call: CallId = id("call", &call)?;
    let seat = body(parsed)?.seat;
    app.command(&caller, Command::Listen { call, seat }).await
}

/// End a supervisor's listening.
#[utoipa::path(delete, path = "/calls/{call}/listen/{seat}", tag = "supervision", params(("call" = String, Path), ("seat" = String, Path)),
    responses((status = 200, body = CommandReply), (status = 404, body = Problem)))]
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
#[utoipa::path(post, path = "/calls/{call}/dispatch", tag = "modules", params(("call" = String, Path)), request_body = DispatchReport,
    responses((status = 200, body = CommandReply), (status = 422, body = Problem)))]
async fn dispatch(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(call): Path<String>,
    parsed: Result<Json<DispatchReport>, JsonRejection>,
) -> Result<Json<CommandReply>, Problem> {
    caller.require(&[Role::Module])?;
    let call: CallId = id("call", &call)?;
    let report = body(parsed)?;
    app.command(&caller, Command::Dispatch { call, report })
        .await
}

/// Open call-backs (回拨), most urgent first.
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
#[utoipa::path(post, path = "/call_backs/{call_back}/close", tag = "call_backs", params(("call_back" = String, Path)), request_body = Outcome,
    responses((status = 200, body = CommandReply), (status = 404, body = Problem), (status = 422, body = Problem)))]
async fn close_call_back(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(call_back): Path<String>,
    parsed: Result<Json<Outcome>, JsonRejection>,
) -> Result<Json<CommandReply>, Problem> {
    caller.require(&DESK)?;
    let call_back: CallBackId = id("call-back", &call_back)?;
    let outcome = body(parsed)?.outcome;
    app.command(&caller, Command::CloseCallBack { call_back, outcome })
        .await
}
