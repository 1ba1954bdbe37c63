//! The HTTP API: looks at the view and the store, commands through [`Commands`], streams what changes. It owns no
//! state of calls and never waits for one. `fn app(App) -> Router`; OpenAPI 3.1 at `/api/openapi.json`.

mod auth;
mod calls;
mod commands;
mod live;
mod ops;
mod problem;
mod recordings;
mod records;
mod serve;
mod testing;

use std::path::PathBuf;
use std::sync::Arc;

use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use tokio::sync::watch;
use tower_http::limit::RequestBodyLimitLayer;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;

pub use auth::{Caller, Gatekeeper};
pub use commands::{Commands, SubmitError};
pub use ops::{Health, Vitals};
pub use problem::Problem;
pub use serve::{ServeError, Served, serve};

use crate::id::CallId;
use crate::store::journal::EventReader;
use crate::store::records::Store;
use crate::switch::{Command, CommandReply, Role, View};

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
    /// Figures of the parts, for health and metrics.
    pub vitals: Arc<dyn Vitals>,
    /// Served over TLS.
    pub secure: bool,
}

impl App {
    /// Submit a command in the caller's name.
    async fn command(
        &self,
        caller: &Caller,
        command: Command,
    ) -> Result<Json<CommandReply>, Problem> {
        Ok(Json(self.commands.submit(caller.actor(), command).await?))
    }

    /// `call` when the caller may handle it: the seat that talks to it, a supervisor or an admin.
    fn call_of(&self, caller: &Caller, call: CallId) -> Result<CallId, Problem> {
        caller.require(&[Role::Seat, Role::Supervisor])?;
        if caller.role == Role::Seat {
            let view = self.view.borrow();
            let open = view
                .calls
                .iter()
                .find(|open| open.call == call)
                .ok_or_else(|| Problem::unknown("open call", call))?;
            if open.seat != caller.seat {
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
    info(title = "Firstring", description = "The call engine of a 120 centre: seats, calls, records, recordings, events.", license(name = "Apache-2.0")),
    tags((name = "live"), (name = "seats"), (name = "calls"), (name = "supervision"), (name = "call_backs"), (name = "records"), (name = "recordings"), (name = "modules"), (name = "operation"))
)]
struct Documented;

/// The OpenAPI document.
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    let (_, mut document) = versioned().split_for_parts();
    document.merge(Documented::openapi());
    document
}

fn versioned() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::with_openapi(Documented::openapi())
        .nest(
            "/api/v1",
            calls::routes()
                .merge(records::routes())
                .merge(recordings::routes())
                .merge(live::routes()),
        )
        .merge(ops::routes())
}

/// All routes: the API, the document, health, metrics, login and the page.
pub fn app(app: Arc<App>) -> Router {
    let (router, document) = versioned().split_for_parts();
    let document = Arc::new(document);
    router
        .route(
            "/api/openapi.json",
            get(move || {
                let document = Arc::clone(&document);
                async move { Json(document.as_ref().clone()) }
            }),
        )
        .route("/login", get(auth::login))
        .merge(testing::routes())
        .fallback(crate::console::page)
        .layer(RequestBodyLimitLayer::new(BODY_BYTES_MAX))
        .with_state(app)
}
