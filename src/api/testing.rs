//! Planted faults, for tests of a whole server. The switch refuses them unless `[testing] allow_faults` is set, and
//! the OpenAPI document does not speak of them.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::routing::post;
use axum::{Json, Router};

use super::App;
use super::auth::Caller;
use super::problem::Problem;
use crate::id::CallId;
use crate::switch::{Command, CommandReply};

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new().route("/api/v1/testing/panic/{call}", post(panic))
}

/// The switch panics while it handles this command (admins only).
async fn panic(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(call): Path<String>,
) -> Result<Json<CommandReply>, Problem> {
    caller.require(&[])?;
    let call: CallId = call.parse().map_err(|_| Problem::unknown("call", &call))?;
    app.command(&caller, Command::PlantPanic { call }).await
}
