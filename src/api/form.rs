//! What people write on a call, open or ended: the form (受理单), the type of the call (来电类型), notes. Every change is audited.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::App;
use super::auth::Caller;
use super::problem::{Body, Problem};
use crate::call::{CallType, Form, FormChange, Lists, Major, Note, Sheet, Step};
use crate::call_record::{CallRecord, RecordedStep};
use crate::id::CallId;
use crate::switch::{Command, CommandReply, Role};

/// Who reads and writes forms.
const WRITERS: [Role; 3] = [Role::Seat, Role::Supervisor, Role::Module];

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(form_lists))
        .routes(routes!(form, fill_form))
        .routes(routes!(classify))
        .routes(routes!(add_note))
        .routes(routes!(give_advice))
        .routes(routes!(mark_major))
        .routes(routes!(tick_step))
}

/// The lists that a form chooses from: 呼救原因, 呼救区域, 来电类型.
///
/// Roles: seat, supervisor, module.
#[utoipa::path(get, path = "/form_lists", tag = "forms", responses((status = 200, body = Lists)))]
async fn form_lists(
    State(app): State<Arc<App>>,
    caller: Caller,
) -> Result<Json<Arc<Lists>>, Problem> {
    caller.require(&WRITERS)?;
    Ok(Json(Arc::clone(&app.view.borrow().lists)))
}

/// What people wrote on a call, open or ended: form, type, notes. `ETag` is the form's revision.
///
/// Roles: seat, supervisor, module.
#[utoipa::path(get, path = "/calls/{call}/form", tag = "forms", params(("call" = String, Path)),
    responses((status = 200, body = Sheet), (status = 404, body = Problem, content_type = "application/problem+json"), (status = 503, description = "an older call, and the database does not answer", body = Problem, content_type = "application/problem+json")))]
async fn form(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(call): Path<String>,
) -> Result<Response, Problem> {
    caller.require(&WRITERS)?;
    let sheet = app.sheet(call_id(&call)?).await?;
    let tag = [(header::ETAG, format!("\"{}\"", sheet.revision))];
    Ok((tag, Json(sheet)).into_response())
}

/// Write fields of the form: a JSON merge patch (RFC 7396), a value sets, `null` clears, what is absent stays.
///
/// With `If-Match: "<revision>"` the change counts only when nobody has written since; else 412 says who wrote what. Also after
/// the call has ended: the record gets a new revision. Roles: seat (its own open call, any ended one), supervisor, module.
#[utoipa::path(patch, path = "/calls/{call}/form", tag = "forms", params(("call" = String, Path), ("If-Match" = Option<String>, Header, description = "the revision that was read")), request_body = Form,
    responses((status = 200, body = CommandReply), (status = 404, body = Problem, content_type = "application/problem+json"), (status = 412, description = "somebody wrote meanwhile", body = Problem, content_type = "application/problem+json"), (status = 422, body = Problem, content_type = "application/problem+json")))]
async fn fill_form(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(text): Path<String>,
    headers: HeaderMap,
    Body(parsed): Body<Map<String, Value>>,
) -> Result<Json<CommandReply>, Problem> {
    caller.require(&WRITERS)?;
    let call = call_id(&text)?;
    let revision = revision_read(&headers)?;
    let change = FormChange::from_patch(parsed?)
        .map_err(|(field, reason)| Problem::bad_field(&field, reason))?;
    let change = Box::new(change);
    let command = Command::FillForm {
        call,
        revision,
        change,
    };
    let reply = app.command(&caller, command).await.map_err(precondition)?;
    app.note(&caller, "form.changed", &text).await;
    Ok(reply)
}

/// The only state that a form can be wrong in is another revision.
fn precondition(problem: Problem) -> Problem {
    if problem.status != StatusCode::CONFLICT.as_u16() {
        return problem;
    }
    Problem::new(
        StatusCode::PRECONDITION_FAILED,
        "changed_meanwhile",
        problem.detail,
    )
}

fn revision_read(headers: &HeaderMap) -> Result<Option<u32>, Problem> {
    let Some(value) = headers.get(header::IF_MATCH) else {
        return Ok(None);
    };
    let text = value.to_str().unwrap_or_default().trim();
    if text == "*" {
        return Ok(None);
    }
    let number = text.strip_prefix('"').and_then(|t| t.strip_suffix('"'));
    let revision = number.and_then(|number| number.parse().ok());
    revision
        .map(Some)
        .ok_or_else(|| Problem::bad_field("If-Match", "must be the ETag of the form, like \"3\""))
}

/// What a call was.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Classified {
    /// A code of `call_types` in `/form_lists`.
    code: String,
}

/// 来电类型: say what the call was. The last word counts; every one is kept in the journal.
///
/// Roles: seat (its own open call, any ended one), supervisor, module.
#[utoipa::path(put, path = "/calls/{call}/type", tag = "forms", params(("call" = String, Path)), request_body = Classified,
    responses((status = 200, body = CommandReply), (status = 404, body = Problem, content_type = "application/problem+json"), (status = 422, body = Problem, content_type = "application/problem+json")))]
async fn classify(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(text): Path<String>,
    Body(parsed): Body<Classified>,
) -> Result<Json<CommandReply>, Problem> {
    caller.require(&WRITERS)?;
    let call = call_id(&text)?;
    let code = parsed?.code;
    let reply = app
        .command(&caller, Command::Classify { call, code })
        .await?;
    app.note(&caller, "call.classified", &text).await;
    Ok(reply)
}

/// What to note.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Noted {
    /// Up to 2,000 bytes.
    text: String,
}

/// 备注: add a note. It is never changed and never taken away.
///
/// Roles: seat (its own open call, any ended one), supervisor, module.
#[utoipa::path(post, path = "/calls/{call}/notes", tag = "forms", params(("call" = String, Path)), request_body = Noted,
    responses((status = 200, body = CommandReply), (status = 404, body = Problem, content_type = "application/problem+json"), (status = 409, description = "50 notes are there", body = Problem, content_type = "application/problem+json"), (status = 422, body = Problem, content_type = "application/problem+json")))]
async fn add_note(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(text): Path<String>,
    Body(parsed): Body<Noted>,
) -> Result<Json<CommandReply>, Problem> {
    caller.require(&WRITERS)?;
    let call = call_id(&text)?;
    let note = parsed?.text;
    let reply = app
        .command(&caller, Command::AddNote { call, text: note })
        .await?;
    app.note(&caller, "note.added", &text).await;
    Ok(reply)
}

/// 突发事件: say that it is a major incident. The checklist begins; three casualties on the form do the same.
///
/// Roles: seat (its own open call, any ended one), supervisor, module.
#[utoipa::path(post, path = "/calls/{call}/major", tag = "forms", params(("call" = String, Path)),
    responses((status = 200, body = CommandReply), (status = 404, body = Problem, content_type = "application/problem+json"), (status = 409, description = "it is one already, or ended long ago", body = Problem, content_type = "application/problem+json")))]
async fn mark_major(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(text): Path<String>,
) -> Result<Json<CommandReply>, Problem> {
    caller.require(&WRITERS)?;
    let call = call_id(&text)?;
    let reply = app.command(&caller, Command::MarkMajor { call }).await?;
    app.note(&caller, "incident.major", &text).await;
    Ok(reply)
}

/// Whether medical advice goes on.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Advised {
    on: bool,
}

/// 医学指导: the seat guides somebody's hands over the telephone; no prompt about long handling disturbs it.
///
/// Roles: seat (its own call), supervisor.
#[utoipa::path(put, path = "/calls/{call}/advice", tag = "forms", params(("call" = String, Path)), request_body = Advised,
    responses((status = 200, body = CommandReply), (status = 404, body = Problem, content_type = "application/problem+json"), (status = 409, description = "nobody talks", body = Problem, content_type = "application/problem+json"), (status = 422, body = Problem, content_type = "application/problem+json")))]
async fn give_advice(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(text): Path<String>,
    Body(parsed): Body<Advised>,
) -> Result<Json<CommandReply>, Problem> {
    let call = app.call_of(&caller, call_id(&text)?)?;
    let on = parsed?.on;
    let reply = app
        .command(&caller, Command::GiveAdvice { call, on })
        .await?;
    app.note(&caller, "handling.advice", &text).await;
    Ok(reply)
}

/// Whether a step is done.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Ticked {
    /// `false` takes a mistaken tick back.
    done: bool,
}

/// Tick a step of the checklist of a major incident.
///
/// Roles: seat (its own open call, any ended one), supervisor.
#[utoipa::path(put, path = "/calls/{call}/steps/{step}", tag = "forms", params(("call" = String, Path), ("step" = String, Path)), request_body = Ticked,
    responses((status = 200, body = CommandReply), (status = 404, body = Problem, content_type = "application/problem+json"), (status = 409, description = "somebody did it already", body = Problem, content_type = "application/problem+json"), (status = 422, body = Problem, content_type = "application/problem+json")))]
async fn tick_step(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path((text, step)): Path<(String, String)>,
    Body(parsed): Body<Ticked>,
) -> Result<Json<CommandReply>, Problem> {
    caller.require(&[Role::Seat, Role::Supervisor])?;
    let call = call_id(&text)?;
    let done = parsed?.done;
    let command = Command::TickStep { call, step, done };
    let reply = app.command(&caller, command).await?;
    app.note(&caller, "incident.step", &text).await;
    Ok(reply)
}

fn call_id(text: &str) -> Result<CallId, Problem> {
    text.parse().map_err(|_| Problem::unknown("call", text))
}

impl App {
    /// The live sheet; of an older call, what its record says.
    async fn sheet(&self, call: CallId) -> Result<Sheet, Problem> {
        {
            let view = self.view.borrow();
            if let Some(sheet) = view.sheets.get(&call) {
                return Ok(Sheet::clone(sheet));
            }
            if view.calls.iter().any(|open| open.call == call) {
                return Ok(Sheet::default());
            }
        }
        let record = self.record(&call.to_string()).await?;
        let record: CallRecord =
            serde_json::from_value(record).map_err(|error| Problem::store(&error))?;
        Ok(sheet_of(&record))
    }
}

fn sheet_of(record: &CallRecord) -> Sheet {
    let form = record.form.as_ref();
    let notes = record.notes.iter().map(|note| Note {
        text: note.text.clone(),
        by: note.by.to_string(),
        at: note.at.timestamp(),
    });
    Sheet {
        revision: form.map_or(0, |f| f.revision),
        form: record.as_form(),
        changed_by: form.map(|f| f.by.to_string()),
        changed: form
            .and_then(|f| Some(f.changes.last()?.fields.clone()))
            .unwrap_or_default(),
        changed_at: form.map(|f| f.at.timestamp()),
        call_type: record.call_type.as_ref().map(|one| CallType {
            code: one.code.clone(),
            zh: one.zh.clone(),
            en: one.en.clone(),
            by: one.by.to_string(),
            at: one.at.timestamp(),
        }),
        notes: notes.collect(),
        major: record.major_incident.as_ref().map(|major| Major {
            by: major.by.to_string(),
            at: major.at.timestamp(),
            reason: major.reason.clone(),
            steps: major.steps.iter().map(step_of).collect(),
        }),
    }
}

fn step_of(step: &RecordedStep) -> Step {
    Step {
        code: step.code.clone(),
        zh: step.zh.clone(),
        en: step.en.clone(),
        by: step.by.as_ref().map(ToString::to_string),
        at: step.at.map(|at| at.timestamp()),
    }
}
