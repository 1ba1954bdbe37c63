//! 交接班: what is open, who handed it over to whom, who took it over. Every step is audited.

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
use crate::id::{HandoverId, SeatId};
use crate::switch::{Command, CommandReply, Handover, OpenItems, Role};

/// Who works in shifts.
const DESK: [Role; 2] = [Role::Seat, Role::Supervisor];

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(handovers, hand_over))
        .routes(routes!(take_over))
}

/// What is open now, and the last handovers.
#[derive(Serialize, ToSchema)]
struct Shifts {
    open: OpenItems,
    /// Newest first, at most 100.
    handovers: Vec<Handover>,
}

/// What is open now (answered calls, call-backs, complaints, handovers not taken over), and the last handovers.
///
/// Roles: seat, supervisor.
#[utoipa::path(get, path = "/handovers", tag = "shifts", responses((status = 200, body = Shifts)))]
async fn handovers(State(app): State<Arc<App>>, caller: Caller) -> Result<Json<Shifts>, Problem> {
    caller.require(&DESK)?;
    let view = Arc::clone(&app.view.borrow());
    Ok(Json(Shifts {
        open: view.open_items(),
        handovers: view.handovers.iter().map(|h| Handover::clone(h)).collect(),
    }))
}

/// To whom a shift goes.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct HandedOver {
    /// The seat of the person who takes over.
    to: SeatId,
    /// What he must know; up to 2,000 bytes.
    #[serde(default)]
    note: String,
}

/// 交班: hand what is open over to the person at another seat. He must take it over.
///
/// Roles: seat, supervisor.
#[utoipa::path(post, path = "/handovers", tag = "shifts", request_body = HandedOver,
    responses((status = 200, body = CommandReply), (status = 422, body = Problem, content_type = "application/problem+json")))]
async fn hand_over(
    State(app): State<Arc<App>>,
    caller: Caller,
    Body(parsed): Body<HandedOver>,
) -> Result<Json<CommandReply>, Problem> {
    caller.require(&DESK)?;
    let HandedOver { to, note } = parsed?;
    let subject = to.to_string();
    let reply = app.command(&caller, Command::HandOver { to, note }).await?;
    app.note(&caller, "shift.handover", &subject).await;
    Ok(reply)
}

/// 接班: take a handover over.
///
/// Roles: seat (the one it is for), supervisor.
#[utoipa::path(post, path = "/handovers/{handover}/take_over", tag = "shifts", params(("handover" = String, Path)),
    responses((status = 200, body = CommandReply), (status = 404, body = Problem, content_type = "application/problem+json"), (status = 409, description = "somebody has", body = Problem, content_type = "application/problem+json")))]
async fn take_over(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(text): Path<String>,
) -> Result<Json<CommandReply>, Problem> {
    caller.require(&DESK)?;
    let handover: HandoverId = text
        .parse()
        .map_err(|_| Problem::unknown("handover", &text))?;
    let reply = app
        .command(&caller, Command::TakeOverShift { handover })
        .await?;
    app.note(&caller, "shift.taken_over", &text).await;
    Ok(reply)
}
