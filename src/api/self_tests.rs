//! 自检呼入: what is tested, how it stands, a test now, and the month's report.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::App;
use super::auth::Caller;
use super::problem::{Asked, Body, Problem};
use crate::clock::Clock;
use crate::id::TrunkId;
use crate::switch::{Command, CommandReply, Role, SelfTestReport, SelfTestView, month_of};

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(self_tests, self_test))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Month {
    /// Such as `2026-11`, of the centre's calendar; this one by default.
    #[serde(default)]
    month: Option<String>,
}

/// The trunks that are tested, and a month of it.
#[derive(Serialize, ToSchema)]
struct SelfTests {
    trunks: Vec<SelfTestView>,
    report: SelfTestReport,
}

/// The trunks that are tested by calls of ours (自检呼入), the test under way step by step, and the month's report: tests, failures,
/// the longest time a trunk was deaf.
///
/// Roles: supervisor.
#[utoipa::path(get, path = "/self_tests", tag = "operation", params(Month),
    responses((status = 200, body = SelfTests), (status = 422, body = Problem, content_type = "application/problem+json")))]
async fn self_tests(
    State(app): State<Arc<App>>,
    caller: Caller,
    Asked(asked): Asked<Month>,
) -> Result<Json<SelfTests>, Problem> {
    caller.require(&[Role::Supervisor])?;
    let now = Clock::process().now();
    let month = asked.month.unwrap_or_else(|| month_of(now));
    if !is_month(&month) {
        return Err(Problem::bad_field("month", "a month like 2026-11"));
    }
    let events = app
        .events
        .events_named("selftest.")
        .await
        .map_err(|error| Problem::store(&error))?;
    let trunks = app.view.borrow().self_tests.clone();
    let report = SelfTestReport::of(&month, &events, now);
    Ok(Json(SelfTests { trunks, report }))
}

fn is_month(text: &str) -> bool {
    let Some((year, month)) = text.split_once('-') else {
        return false;
    };
    let number = |text: &str, digits: usize| {
        let plain = text.len() == digits && text.bytes().all(|b| b.is_ascii_digit());
        plain.then(|| text.parse::<u16>().ok()).flatten()
    };
    number(year, 4).is_some() && number(month, 2).is_some_and(|m| (1..=12).contains(&m))
}

/// What is tested.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Tested {
    trunk: TrunkId,
}

/// Test a trunk now: a call goes out and must come back in, be heard both ways, be recorded and be acknowledged. Its steps are
/// in `GET /self_tests`, its verdict within a minute.
///
/// Roles: supervisor.
#[utoipa::path(post, path = "/self_tests", tag = "operation", request_body = Tested,
    responses((status = 200, body = CommandReply), (status = 404, body = Problem, content_type = "application/problem+json"), (status = 409, description = "not now: why, and what to do", body = Problem, content_type = "application/problem+json"), (status = 422, body = Problem, content_type = "application/problem+json")))]
async fn self_test(
    State(app): State<Arc<App>>,
    caller: Caller,
    Body(parsed): Body<Tested>,
) -> Result<Json<CommandReply>, Problem> {
    caller.require(&[Role::Supervisor])?;
    let Tested { trunk } = parsed?;
    let subject = trunk.to_string();
    let reply = app.command(&caller, Command::SelfTest { trunk }).await?;
    app.note(&caller, "selftest.started", &subject).await;
    Ok(reply)
}
