//! The HTTP API: looks at the view and the store, commands through [`Commands`], streams what changes. It owns no
//! state of calls and never waits for one. `fn app(App) -> Router`; OpenAPI 3.1 at `/api/openapi.json`.

mod auth;
mod calls;
mod commands;
mod complaint;
mod crew;
mod evidence;
mod form;
mod group_calls;
mod handling;
mod handover;
mod live;
mod marks;
mod ops;
mod outbound;
mod problem;
mod prompts;
mod recordings;
mod records;
mod self_tests;
mod serve;
mod supervise;
mod testing;
mod trail;
mod why;

use std::path::PathBuf;
use std::sync::Arc;

use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::sync::watch;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;

pub use auth::{Caller, Gatekeeper};
pub use commands::{Commands, SubmitError};
pub use evidence::{EvidenceError, Signer};
pub use ops::{ClockState, Health, Vitals};
pub use problem::Problem;
pub use recordings::Playbacks;
pub use serve::{ServeError, Served, serve};
pub use trail::{Trail, TrailWriter};

use crate::clock::Clock;
use crate::id::{CallId, PromptId};
use crate::store::journal::EventReader;
use crate::store::records::Store;
use crate::switch::{CallState, Command, CommandReply, Role, View};

/// Bytes of a request body.
const BODY_BYTES_MAX: usize = 256 * 1024;

/// What the handlers work with.
pub struct App {
    pub gatekeeper: Gatekeeper,
    pub commands: Commands,
    pub view: watch::Receiver<Arc<View>>,
    pub store: Store,
    pub events: EventReader,
    /// Directory of recordings.
    pub recordings: PathBuf,
    /// Directory of prompts, a folder per language.
    pub prompts: PathBuf,
    /// Figures of the parts, for health and metrics.
    pub vitals: Arc<dyn Vitals>,
    /// Served over TLS.
    pub secure: bool,
    /// Signs the evidence of marks, when there is a key.
    pub evidence: Option<Arc<Signer>>,
    /// Who plays which recording now.
    pub playbacks: Playbacks,
    /// Takes what was refused to whom.
    pub trail: Trail,
}

impl App {
    /// Submit a command in the caller's name. A call that the switch has forgotten has ended all the same while there is a
    /// record of it.
    async fn command(
        &self,
        caller: &Caller,
        command: Command,
    ) -> Result<Json<CommandReply>, Problem> {
        let calls = command.open_calls();
        let problem = match self.commands.submit(caller.actor(), command).await {
            Ok(reply) => return Ok(Json(reply)),
            Err(error) => Problem::from(error),
        };
        if problem.code == "unknown" {
            for call in calls {
                if let Some(ended) = self.ended_long_ago(call).await {
                    return Err(ended);
                }
            }
        }
        Err(problem)
    }

    /// What the record says of a call's end.
    async fn ended_long_ago(&self, call: CallId) -> Option<Problem> {
        let record = self.store.record(call).await.ok().flatten()?;
        let text = |path: &str| record.pointer(path).and_then(Value::as_str);
        let (at, result, by) = (text("/end/at")?, text("/end/result")?, text("/end/by")?);
        let detail = format!("call {call} has ended at {at} ({result}; by the {by})");
        Some(Problem::ended(call, &detail))
    }

    /// There is such a sentence in the centre's own language.
    async fn has_prompt(&self, prompt: &PromptId) -> bool {
        let language = self.view.borrow().language.clone();
        if !prompts::is_name(&language) || !prompts::is_name(prompt.as_str()) {
            return false;
        }
        let file = self.prompts.join(language).join(format!("{prompt}.wav"));
        tokio::fs::metadata(file).await.is_ok_and(|it| it.is_file())
    }

    /// A line in the audit list. The journal holds the command already, so a database that is down costs only the line.
    async fn note(&self, caller: &Caller, action: &str, subject: &str) {
        let now = Clock::process().now();
        if let Err(error) = self.store.audit(now, &caller.name, action, subject).await {
            tracing::warn!(%error, action, "the audit list lacks an entry; the journal has it");
        }
    }

    /// `call` when the caller may handle it: the seat that talks to it, a supervisor or an admin.
    fn call_of(&self, caller: &Caller, call: CallId) -> Result<CallId, Problem> {
        caller.require(&[Role::Seat, Role::Supervisor])?;
        if caller.role == Role::Seat {
            let view = self.view.borrow();
            let open = view.calls.iter().find(|open| open.call == call);
            let open = open.filter(|open| open.state != CallState::Closing);
            // The switch says whether another one has ended or never was.
            if let Some(open) = open
                && open.seat != caller.seat
            {
                let detail = format!(
                    "call {call} is not with {}; a supervisor may handle any call",
                    caller.name
                );
                return Err(Problem::new(StatusCode::FORBIDDEN, "not_allowed", detail));
            }
        }
        Ok(call)
    }
}

#[derive(OpenApi)]
#[openapi(
    info(title = "Firstring", description = "The call engine of a 120 centre: seats, calls, records, recordings, events.\n\nErrors are problem documents (RFC 9457). Admins may do what any role may.", license(name = "Apache-2.0", identifier = "Apache-2.0")),
    tags(
        (name = "live", description = "The whole picture, as it changes"),
        (name = "seats", description = "Working positions and whether they take calls"),
        (name = "calls", description = "Open calls: look and command"),
        (name = "forms", description = "What people write on a call: form (受理单), type, notes; also after its end"),
        (name = "complaints", description = "投诉 and the legal hold of their calls"),
        (name = "shifts", description = "交接班: what is open, handed over, taken over"),
        (name = "supervision", description = "A supervisor on calls, and his orders about those that wait"),
        (name = "call_backs", description = "Callers to be called back"),
        (name = "group_calls", description = "群呼: many numbers rung at once and asked for a key"),
        (name = "marks", description = "Human verdicts on numbers (骚扰标记), and their evidence; nothing is ever blocked"),
        (name = "records", description = "Call records, their deliveries, and the feed of events"),
        (name = "recordings", description = "Audio and its picture; each playback is audited"),
        (name = "modules", description = "Reports of dispatch modules"),
        (name = "operation", description = "Health, metrics, audit"),
    )
)]
struct Documented;

/// The OpenAPI 3.1 document, as served at `/api/openapi.json` and kept in `schema/openapi.json`.
#[must_use]
pub fn openapi() -> Value {
    let (_, document) = versioned().split_for_parts();
    let mut document = serde_json::to_value(document).unwrap_or_default();
    document["components"]["securitySchemes"] = json!({
        "token": { "type": "http", "scheme": "bearer", "description": "A token of the configuration, `Authorization: Bearer <secret>`" },
        "session": { "type": "apiKey", "in": "cookie", "name": auth::COOKIE, "description": "What a token (`POST /login`) or a one-time link becomes in a browser" },
    });
    let Some(paths) = document["paths"].as_object_mut() else {
        return document;
    };
    for (path, item) in paths {
        let open = !path.starts_with("/api/v1/");
        for (method, operation) in item.as_object_mut().into_iter().flatten() {
            if open {
                operation["security"] = json!([]);
                continue;
            }
            operation["security"] = json!([{ "token": [] }, { "session": [] }]);
            let mut refusals = vec![
                ("401", "no token or session, or not a known one"),
                (
                    "403",
                    "the role may not do this, or the request comes from another site",
                ),
            ];
            if needs_open_call(path, method) {
                refusals.push((
                    "410",
                    "the call has ended: when, how, and where its record is",
                ));
            }
            for (status, why) in refusals {
                operation["responses"][status] = json!({
                    "description": why,
                    "content": { "application/problem+json": { "schema": { "$ref": "#/components/schemas/Problem" } } },
                });
            }
        }
    }
    document
}

/// Whether it commands a call that has not ended; what people write of it and modules report may come later.
fn needs_open_call(path: &str, method: &str) -> bool {
    let later = [
        "dispatch",
        "link",
        "crew",
        "bridge",
        "form",
        "type",
        "notes",
        "major",
        "steps/{step}",
    ];
    let rest = path.strip_prefix("/api/v1/calls/{call}/");
    rest.is_some_and(|rest| !later.contains(&rest)) && ["post", "put", "delete"].contains(&method)
}

fn versioned() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::with_openapi(Documented::openapi())
        .nest(
            "/api/v1",
            calls::routes()
                .merge(handling::routes())
                .merge(outbound::routes())
                .merge(crew::routes())
                .merge(group_calls::routes())
                .merge(records::routes())
                .merge(recordings::routes())
                .merge(marks::routes())
                .merge(form::routes())
                .merge(supervise::routes())
                .merge(complaint::routes())
                .merge(handover::routes())
                .merge(self_tests::routes())
                .merge(why::routes())
                .merge(prompts::routes())
                .merge(live::routes()),
        )
        .merge(ops::routes())
}

/// All routes: the API, the document, health, metrics, login and the page.
pub fn app(app: Arc<App>) -> Router {
    let (router, _) = versioned().split_for_parts();
    let document = Arc::new(openapi());
    router
        .route(
            "/api/openapi.json",
            get(move || {
                let document = Arc::clone(&document);
                async move { Json(Value::clone(&document)) }
            }),
        )
        .route("/login", get(auth::login).post(auth::sign_in))
        .route("/logout", post(auth::sign_out))
        .merge(testing::routes())
        .fallback(elsewhere)
        .method_not_allowed_fallback(wrong_method)
        .layer(axum::middleware::from_fn_with_state(
            Arc::clone(&app),
            trail::note_refusal,
        ))
        .layer(axum::middleware::map_response(guarded))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(app)
}

/// A page, or a problem when a program asks.
async fn elsewhere(uri: Uri) -> Response {
    if uri.path().starts_with("/api/") {
        return Problem::new(
            StatusCode::NOT_FOUND,
            "unknown",
            "no such route; /api/openapi.json lists them",
        )
        .into_response();
    }
    crate::console::page(uri).await
}

async fn wrong_method() -> Problem {
    Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "wrong_method",
        "this route knows other methods; /api/openapi.json lists them",
    )
}

/// Nothing of the API is kept by a browser or taken for something else.
async fn guarded(mut response: Response) -> Response {
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
    ] {
        headers
            .entry(name)
            .or_insert(HeaderValue::from_static(value));
    }
    response
}
