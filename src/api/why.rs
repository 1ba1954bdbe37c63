//! Why a call rang where it rang, and why a seat got nothing: the journal's Events, folded when somebody asks.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::App;
use super::auth::Caller;
use super::problem::{Asked, Problem};
use crate::call_record::{Because, What, Why, WhySeat};
use crate::id::{CallId, SeatId};
use crate::switch::{Event, EventKind, Role, SeatView};
use crate::time::Timestamp;

/// Events read before a call, so that it is known what each seat did when it came.
const EVENTS_BEFORE: u64 = 20_000;
/// Events read for one answer; later ones are left out.
const EVENTS_MAX: u64 = 200_000;
/// Events of one read.
const EVENTS_AT_ONCE: u32 = 1_000;

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(call_why))
        .routes(routes!(seat_why))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Language {
    /// `zh` (default) or `en`.
    #[serde(default)]
    lang: Option<String>,
}

/// One reason.
#[derive(Serialize, ToSchema)]
struct Reason {
    at: Timestamp,
    /// The call it is about, of a seat's reasons.
    #[serde(skip_serializing_if = "Option::is_none")]
    call: Option<CallId>,
    text: String,
}

impl Language {
    fn check(&self) -> Result<(), Problem> {
        match self.lang.as_deref() {
            None | Some("zh" | "en") => Ok(()),
            Some(_) => Err(Problem::bad_field("lang", "zh or en")),
        }
    }

    fn reason(&self, call: Option<CallId>, because: &Because) -> Reason {
        let say = if self.lang.as_deref() == Some("en") {
            What::en
        } else {
            What::zh
        };
        Reason {
            at: because.at,
            call,
            text: say(&because.what),
        }
    }
}

/// Why a call rang where it rang and why other seats did not, in order of time, as `firstring why CALL` says it.
///
/// Roles: seat, supervisor.
#[utoipa::path(get, path = "/calls/{call}/why", tag = "calls", params(("call" = String, Path), Language),
    responses((status = 200, body = [Reason]), (status = 404, body = Problem, content_type = "application/problem+json"), (status = 422, body = Problem, content_type = "application/problem+json")))]
async fn call_why(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(call): Path<String>,
    Asked(language): Asked<Language>,
) -> Result<Json<Vec<Reason>>, Problem> {
    caller.require(&[Role::Seat, Role::Supervisor])?;
    language.check()?;
    let call: CallId = call
        .parse()
        .map_err(|_| Problem::unknown("call", call.as_str()))?;
    let came = call
        .made_at()
        .ok_or_else(|| Problem::unknown("call", call))?;
    let seats = app.view.borrow().seats.clone();
    let from = app.event_at(came).await?.saturating_sub(EVENTS_BEFORE);
    let mut why: Option<Why> = None;
    let mut seen = false;
    app.read_events(from, |event| {
        let why = why.get_or_insert_with(|| Why::new(call, unchanged(&seats, event.at)));
        why.take(event);
        seen |= event.call == Some(call);
        event.call != Some(call) || !matches!(event.kind, EventKind::CallSettled {})
    })
    .await?;
    let reasons = why.filter(|_| seen).map(Why::finish);
    let reasons = reasons.ok_or_else(|| Problem::unknown("call in the journal:", call))?;
    let told = reasons.iter().map(|because| language.reason(None, because));
    Ok(Json(told.collect()))
}

/// Why a seat got nothing: what was decided since it does what it does, each decision with its call, the newest 50.
///
/// Roles: seat, supervisor.
#[utoipa::path(get, path = "/seats/{seat}/why", tag = "seats", params(("seat" = String, Path), Language),
    responses((status = 200, body = [Reason]), (status = 404, body = Problem, content_type = "application/problem+json"), (status = 422, body = Problem, content_type = "application/problem+json")))]
async fn seat_why(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(seat): Path<String>,
    Asked(language): Asked<Language>,
) -> Result<Json<Vec<Reason>>, Problem> {
    caller.require(&[Role::Seat, Role::Supervisor])?;
    language.check()?;
    let seat = SeatId(seat);
    let view = Arc::clone(&app.view.borrow());
    let found = view.seats.iter().find(|s| s.seat == seat);
    let found = found.ok_or_else(|| Problem::unknown("seat", &seat))?;
    let newest = app.events.last().saturating_sub(EVENTS_BEFORE);
    let from = app.event_at(found.since).await?.max(newest);
    let mut why = WhySeat::new(seat, found.state.name().to_owned(), found.reason.clone());
    app.read_events(from, |event| {
        why.take(event);
        true
    })
    .await?;
    let told = why.finish(
        view.calls.iter().any(|call| call.position.is_some()),
        view.at,
    );
    let told = told
        .iter()
        .map(|(call, because)| language.reason(*call, because));
    Ok(Json(told.collect()))
}

/// Seats that have done the same since before `at`, and what.
fn unchanged(seats: &[SeatView], at: Timestamp) -> Vec<(SeatId, String, Option<String>)> {
    let same = seats.iter().filter(|seat| seat.since < at);
    same.map(|seat| {
        (
            seat.seat.clone(),
            seat.state.name().to_owned(),
            seat.reason.clone(),
        )
    })
    .collect()
}

impl App {
    /// Number of the last Event before `at`.
    async fn event_at(&self, at: Timestamp) -> Result<u64, Problem> {
        let (mut low, mut high) = (0, self.events.last());
        while low < high {
            let middle = low + (high - low) / 2;
            match self.events_after(middle, 1).await?.first() {
                Some((number, event)) if event.at < at => low = (*number).max(middle + 1),
                Some(_) | None => high = middle,
            }
        }
        Ok(low)
    }

    /// Hands on Events after a number, until `more` says no.
    async fn read_events(
        &self,
        from: u64,
        mut more: impl FnMut(&Event) -> bool,
    ) -> Result<(), Problem> {
        let mut cursor = from;
        while cursor < from + EVENTS_MAX {
            let events = self.events_after(cursor, EVENTS_AT_ONCE).await?;
            let Some((last, _)) = events.last() else {
                break;
            };
            cursor = *last;
            if !events.iter().all(|(_, event)| more(event)) {
                break;
            }
        }
        Ok(())
    }

    async fn events_after(&self, cursor: u64, limit: u32) -> Result<Vec<(u64, Event)>, Problem> {
        let events = self.events.events_after(cursor, limit).await;
        events.map_err(|error| Problem::store(&error))
    }
}
