//! Recorded sentences for the pages: an alarm is spoken by the browser, because a dead phone cannot speak.

use std::sync::Arc;

use axum::extract::{Path, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use tower_http::services::ServeFile;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::App;
use super::auth::Caller;
use super::problem::Problem;
use crate::switch::Role;

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(prompt))
}

/// A page may keep them for so long, in seconds: an alarm must not wait for a file that it has had before.
const KEPT: &str = "private, max-age=3600";

/// A recorded sentence or a part of one, as callers and seats hear it: `seat_fault.1`, `digit_8`, `wait_alert`.
///
/// From the centre's own folder of prompts (docs/prompts.md). Roles: seat, supervisor.
#[utoipa::path(get, path = "/prompts/{language}/{prompt}", tag = "live", params(("language" = String, Path), ("prompt" = String, Path)),
    responses((status = 200, description = "audio/wav"), (status = 404, body = Problem, content_type = "application/problem+json")))]
async fn prompt(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path((language, prompt)): Path<(String, String)>,
    request: Request,
) -> Result<Response, Problem> {
    caller.require(&[Role::Seat, Role::Supervisor])?;
    let unknown = || Problem::unknown("prompt", format!("{language}/{prompt}"));
    if !is_name(&language) || !is_name(&prompt) {
        return Err(unknown());
    }
    let path = app.prompts.join(&language).join(format!("{prompt}.wav"));
    let served = ServeFile::new(path).try_call(request).await;
    let mut response = served.map_err(|_| unknown())?.into_response();
    if response.status() == StatusCode::NOT_FOUND {
        return Err(unknown());
    }
    let kept = HeaderValue::from_static(KEPT);
    response.headers_mut().insert(header::CACHE_CONTROL, kept);
    Ok(response)
}

/// One plain name of a folder or file, with no way out of it.
pub(super) fn is_name(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    !text.is_empty() && text.len() <= 64 && !text.starts_with('.') && text.chars().all(plain)
}
