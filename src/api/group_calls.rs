//! 群呼: many numbers rung at once, told a sentence, asked for a key; and what came of each.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::App;
use super::auth::Caller;
use super::calls::id;
use super::problem::{Body, Problem};
use crate::call::{GroupCall, GroupWish};
use crate::id::{CallId, GroupCallId, GroupId, PromptId};
use crate::switch::{Command, CommandReply, GROUP_ALERT, Role};

/// Who rings groups.
const ROLES: [Role; 3] = [Role::Seat, Role::Supervisor, Role::Module];

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(group_calls, start_group_call))
        .routes(routes!(group_call))
        .routes(routes!(cancel_group_call))
        .routes(routes!(groups))
}

/// Group calls with their tables, newest first: those that go on, and the last 40.
///
/// Roles: seat, supervisor, module.
#[utoipa::path(get, path = "/group_calls", tag = "group_calls", responses((status = 200, body = [GroupCall])))]
async fn group_calls(
    State(app): State<Arc<App>>,
    caller: Caller,
) -> Result<Json<Vec<GroupCall>>, Problem> {
    caller.require(&ROLES)?;
    let all = app.view.borrow().group_calls.clone();
    Ok(Json(all.iter().map(|one| GroupCall::clone(one)).collect()))
}

/// One group call: each number with its state, result and times.
///
/// Roles: seat, supervisor, module.
#[utoipa::path(get, path = "/group_calls/{group_call}", tag = "group_calls", params(("group_call" = String, Path)),
    responses((status = 200, body = GroupCall), (status = 404, body = Problem, content_type = "application/problem+json")))]
async fn group_call(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(text): Path<String>,
) -> Result<Json<GroupCall>, Problem> {
    caller.require(&ROLES)?;
    let wanted: GroupCallId = id("group call", &text)?;
    let view = app.view.borrow();
    let found = view.group_calls.iter().find(|g| g.group_call == wanted);
    let found = found.ok_or_else(|| Problem::unknown("group call", wanted))?;
    Ok(Json(GroupCall::clone(found)))
}

/// Whom to ring, and what to say.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Started {
    /// 1 to 200 numbers, as the carrier wants them dialled; `-` and blanks are left out.
    #[serde(default)]
    numbers: Vec<String>,
    /// A configured group (`[group.NAME]`) instead of numbers.
    #[serde(default)]
    group: Option<GroupId>,
    /// A stored sentence (docs/prompts.md); `group_alert` when absent.
    #[serde(default)]
    prompt: Option<PromptId>,
    /// The key that acknowledges: `1` when absent. `2` says no (`1`, when `2` acknowledges).
    #[serde(default = "one")]
    #[schema(value_type = String)]
    digit: char,
    /// The call that it is about, open or past: its record tells of it.
    #[serde(default)]
    call: Option<CallId>,
    /// The first who acknowledges has it: the others' phones stop ringing.
    #[serde(default)]
    first_wins: bool,
    /// How often who was busy, did not answer or was not reached is rung again, after 30 s: 0 to 3.
    #[serde(default)]
    retries: u8,
}

const fn one() -> char {
    '1'
}

/// Ring many numbers at once, say a sentence to who picks up, take a key for an acknowledgement (群呼).
///
/// Each rings 30 s at most, hears the sentence twice at most and has 15 s for the key. Circuits kept for callers are never
/// taken: who finds none waits in order, 10 minutes at most. 404 for a group, call or sentence that is not there; 422 names
/// every number that is none; 409 when eight go on, or no trunk dials out. Roles: seat, supervisor, module.
#[utoipa::path(post, path = "/group_calls", tag = "group_calls", request_body = Started,
    responses((status = 200, body = CommandReply), (status = 404, body = Problem, content_type = "application/problem+json"), (status = 409, body = Problem, content_type = "application/problem+json"), (status = 422, body = Problem, content_type = "application/problem+json")))]
async fn start_group_call(
    State(app): State<Arc<App>>,
    caller: Caller,
    Body(parsed): Body<Started>,
) -> Result<Json<CommandReply>, Problem> {
    caller.require(&ROLES)?;
    let told = parsed?;
    let prompt = told.prompt.unwrap_or_else(|| PromptId::from(GROUP_ALERT));
    if !app.has_prompt(&prompt).await {
        return Err(Problem::unknown("prompt", prompt));
    }
    let wish = Box::new(GroupWish {
        numbers: told.numbers,
        group: told.group,
        prompt,
        digit: told.digit,
        call: told.call,
        first_wins: told.first_wins,
        retries: told.retries,
    });
    app.command(&caller, Command::StartGroupCall { wish }).await
}

/// Stop a group call: nobody more is rung, who rings is left in peace, who listens is told.
///
/// 403 when another seat or module started it; 409 when it is over. Roles: seat (its own), supervisor, module (its own).
#[utoipa::path(post, path = "/group_calls/{group_call}/cancel", tag = "group_calls", params(("group_call" = String, Path)),
    responses((status = 200, body = CommandReply), (status = 404, body = Problem, content_type = "application/problem+json"), (status = 409, body = Problem, content_type = "application/problem+json")))]
async fn cancel_group_call(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(text): Path<String>,
) -> Result<Json<CommandReply>, Problem> {
    caller.require(&ROLES)?;
    let group_call: GroupCallId = id("group call", &text)?;
    app.command(&caller, Command::CancelGroupCall { group_call })
        .await
}

/// A configured group.
#[derive(Serialize, ToSchema)]
struct Group {
    group: GroupId,
    numbers: Vec<String>,
}

/// Configured groups and their numbers (`[group.*]`).
///
/// Roles: seat, supervisor, module.
#[utoipa::path(get, path = "/groups", tag = "group_calls", responses((status = 200, body = [Group])))]
async fn groups(State(app): State<Arc<App>>, caller: Caller) -> Result<Json<Vec<Group>>, Problem> {
    caller.require(&ROLES)?;
    let groups = Arc::clone(&app.view.borrow().groups);
    let listed = groups.iter().map(|(group, numbers)| Group {
        group: group.clone(),
        numbers: numbers.clone(),
    });
    Ok(Json(listed.collect()))
}
