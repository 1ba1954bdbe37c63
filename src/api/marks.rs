//! Marks on numbers (骚扰标记): who is on the list and until when, propose, confirm, lift, and the evidence for the police.
//! Every step is audited. No route of this page can hold a caller up.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::App;
use super::auth::Caller;
use super::evidence::{self, Bundle};
use super::problem::{Body, Problem};
use crate::clock::Clock;
use crate::id::{CallId, MarkId};
use crate::switch::{Command, CommandReply, MarkView, Role};

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(marks, propose))
        .routes(routes!(confirm))
        .routes(routes!(lift))
        .routes(routes!(evidence_of))
}

/// Marks on numbers, newest first: what was said, by whom, until when; ended ones included.
///
/// Roles: seat, supervisor.
#[utoipa::path(get, path = "/marks", tag = "marks", responses((status = 200, body = [MarkView])))]
async fn marks(
    State(app): State<Arc<App>>,
    caller: Caller,
) -> Result<Json<Vec<MarkView>>, Problem> {
    caller.require(&[Role::Seat, Role::Supervisor])?;
    let marks = Arc::clone(&app.view.borrow().marks);
    Ok(Json(Vec::clone(&marks)))
}

/// What a number did.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Proposed {
    /// The call that gave cause: open, or of the last day.
    call: CallId,
    /// What the caller did, in words.
    reason: String,
}

/// 标记骚扰: propose a verdict on a call's number. A label, without effect until a supervisor confirms it.
///
/// Roles: seat (its own call), supervisor.
#[utoipa::path(post, path = "/marks", tag = "marks", request_body = Proposed,
    responses((status = 200, body = CommandReply), (status = 404, body = Problem, content_type = "application/problem+json"), (status = 409, body = Problem, content_type = "application/problem+json"), (status = 422, body = Problem, content_type = "application/problem+json")))]
async fn propose(
    State(app): State<Arc<App>>,
    caller: Caller,
    Body(parsed): Body<Proposed>,
) -> Result<Json<CommandReply>, Problem> {
    caller.require(&[Role::Seat, Role::Supervisor])?;
    let Proposed { call, reason } = parsed?;
    let reply = app
        .command(&caller, Command::ProposeVerdict { call, reason })
        .await?;
    app.note(&caller, "mark.proposed", &call.to_string()).await;
    Ok(reply)
}

/// Confirm a proposed mark: for 30 days its number hears the education prompt and stands at most 10 s behind while no seat is free.
///
/// Roles: supervisor.
#[utoipa::path(post, path = "/marks/{mark}/confirm", tag = "marks", params(("mark" = String, Path)),
    responses((status = 200, body = CommandReply), (status = 404, body = Problem, content_type = "application/problem+json"), (status = 409, body = Problem, content_type = "application/problem+json")))]
async fn confirm(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(text): Path<String>,
) -> Result<Json<CommandReply>, Problem> {
    caller.require(&[Role::Supervisor])?;
    let mark = mark_id(&text)?;
    let reply = app
        .command(&caller, Command::ConfirmVerdict { mark })
        .await?;
    app.note(&caller, "mark.confirmed", &text).await;
    Ok(reply)
}

/// Why a mark is taken back.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Lifted {
    /// In words, if there is something to say.
    #[serde(default)]
    reason: String,
}

/// Lift a mark, or turn a proposal down; at once without effect.
///
/// Roles: supervisor.
#[utoipa::path(post, path = "/marks/{mark}/lift", tag = "marks", params(("mark" = String, Path)), request_body = Lifted,
    responses((status = 200, body = CommandReply), (status = 404, body = Problem, content_type = "application/problem+json"), (status = 409, body = Problem, content_type = "application/problem+json")))]
async fn lift(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(text): Path<String>,
    Body(parsed): Body<Lifted>,
) -> Result<Json<CommandReply>, Problem> {
    caller.require(&[Role::Supervisor])?;
    let mark = mark_id(&text)?;
    let reason = parsed?.reason;
    let reply = app
        .command(&caller, Command::LiftVerdict { mark, reason })
        .await?;
    app.note(&caller, "mark.lifted", &text).await;
    Ok(reply)
}

/// The evidence of a mark: a ZIP with the calls, verdicts, prompts and recordings, their hashes, and an Ed25519 signature.
///
/// Each export is an entry of the audit list. Needs `[evidence] key_file`.
///
/// Roles: supervisor.
#[utoipa::path(get, path = "/marks/{mark}/evidence", tag = "marks", params(("mark" = String, Path)),
    responses((status = 200, description = "application/zip"), (status = 404, body = Problem, content_type = "application/problem+json"), (status = 409, description = "no signing key", body = Problem, content_type = "application/problem+json"), (status = 503, description = "it cannot be audited or read now", body = Problem, content_type = "application/problem+json")))]
async fn evidence_of(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(text): Path<String>,
) -> Result<Response, Problem> {
    caller.require(&[Role::Supervisor])?;
    let id = mark_id(&text)?;
    let marks = Arc::clone(&app.view.borrow().marks);
    let mark = marks.iter().find(|mark| mark.mark == id).cloned();
    let mark = mark.ok_or_else(|| Problem::unknown("mark", id))?;
    let signer = app.evidence.clone().ok_or_else(|| {
        Problem::new(
            StatusCode::CONFLICT,
            "no_evidence_key",
            "evidence is signed: openssl genpkey -algorithm ed25519 -out evidence.pem, then [evidence] key_file = \"...\" and start again",
        )
    })?;
    let now = Clock::process().now();
    let audited = app
        .store
        .audit(now, &caller.name, "evidence.exported", &text)
        .await;
    audited.map_err(|error| Problem::store(&error))?; // no export without its trace
    let bundle = Bundle {
        made_by: caller.name.clone(),
        made_at: now,
        calls: evidence::calls_of(&app, &mark).await?,
        mark,
    };
    let dir = app.recordings.clone();
    let written = tokio::task::spawn_blocking(move || bundle.write(&dir, &signer)).await;
    let file = written
        .map_err(|error| Problem::store(&error))?
        .map_err(|error| Problem::store(&error))?;
    let name = format!("attachment; filename=\"evidence-{id}.zip\"");
    let headers = [
        (header::CONTENT_TYPE, "application/zip".to_owned()),
        (header::CONTENT_DISPOSITION, name),
    ];
    Ok((headers, evidence::stream(file)).into_response())
}

fn mark_id(text: &str) -> Result<MarkId, Problem> {
    text.parse().map_err(|_| Problem::unknown("mark", text))
}
