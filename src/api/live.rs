//! What changes, as it changes: the live view over server-sent events, and the pull feed of journal Events.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::response::sse::{Event as ServerEvent, KeepAlive, Sse};
use futures_util::{Stream, StreamExt as _};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::App;
use super::auth::Caller;
use super::problem::{Asked, Problem};
use crate::clock::Clock;
use crate::id::QueueId;
use crate::switch::{Counts, Event, Role, View};
use crate::time::Timestamp;

/// Views are sent at most this often; timers run in the page by the server's clock.
const VIEW_EVERY: Duration = Duration::from_millis(100);
/// Events of one answer of the feed.
const FEED_MAX: u32 = 1000;

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(live))
        .routes(routes!(events))
        .routes(routes!(counters))
}

/// A view and the server's clock when it was sent.
#[derive(Serialize)]
struct Sent<'a> {
    at_now: Timestamp,
    #[serde(flatten)]
    view: &'a View,
}

/// The live view as server-sent events: one whole view at once, then one per change (10 a second at most). It ends when the
/// caller's token is taken back.
///
/// Roles: seat, supervisor.
#[utoipa::path(get, path = "/live", tag = "live", responses((status = 200, description = "text/event-stream of views", body = View)))]
async fn live(
    State(app): State<Arc<App>>,
    caller: Caller,
) -> Result<Sse<impl Stream<Item = Result<ServerEvent, Infallible>>>, Problem> {
    caller.require(&[Role::Seat, Role::Supervisor])?;
    let mut views = app.view.clone();
    views.mark_changed();
    let stream = futures_util::stream::unfold(views, |mut views| async move {
        views.changed().await.ok()?;
        tokio::time::sleep(VIEW_EVERY).await; // one view for a burst of changes
        let view = Arc::clone(&views.borrow_and_update());
        let sent = Sent {
            at_now: Clock::process().now(),
            view: &view,
        };
        let event = ServerEvent::default().json_data(sent).unwrap_or_default();
        Some((Ok(event), views))
    });
    let stream = stream.take_until(app.gatekeeper.revoked(&caller));
    Ok(Sse::new(stream).keep_alive(KeepAlive::default()))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Feed {
    /// Cursor of the last event already seen; 0 = from the oldest kept.
    #[serde(default)]
    after: u64,
    /// Events wanted, 1-1000.
    #[serde(default = "feed_limit")]
    limit: u32,
    /// Seconds to wait for the first new event, 0-30.
    #[serde(default)]
    wait: u64,
}

const fn feed_limit() -> u32 {
    100
}

/// One event and the cursor to ask for what follows it.
#[derive(Serialize, ToSchema)]
struct FeedEvent {
    cursor: u64,
    #[schema(value_type = Object)]
    event: Event,
}

/// The pull twin of the deliveries: every journal Event after a cursor, in order.
///
/// Roles: module, supervisor.
#[utoipa::path(get, path = "/events", tag = "records", params(Feed), responses((status = 200, body = [FeedEvent]), (status = 403, body = Problem, content_type = "application/problem+json")))]
async fn events(
    State(app): State<Arc<App>>,
    caller: Caller,
    Asked(feed): Asked<Feed>,
) -> Result<Json<Vec<FeedEvent>>, Problem> {
    caller.require(&[Role::Module, Role::Supervisor])?;
    let limit = feed.limit.clamp(1, FEED_MAX);
    let reader = app.events.clone();
    // Nothing new by then is an answer too.
    let news = tokio::time::timeout(
        Duration::from_secs(feed.wait.min(30)),
        reader.wait_after(feed.after),
    );
    tokio::select! {
        _ = news => {}
        () = app.gatekeeper.revoked(&caller) => return Err(Problem::unauthenticated()),
    }
    let found = reader
        .events_after(feed.after, limit)
        .await
        .map_err(|error| Problem::store(&error))?;
    Ok(Json(
        found
            .into_iter()
            .map(|(cursor, event)| FeedEvent { cursor, event })
            .collect(),
    ))
}

/// Counters and the wait of the call that waits longest.
#[derive(Serialize, ToSchema)]
struct Counted {
    #[serde(flatten)]
    counts: Counts,
    /// 0 while nobody waits.
    oldest_wait_ms: u64,
}

/// The counters of one queue.
#[derive(Serialize, ToSchema)]
struct CountedQueue {
    queue: QueueId,
    #[serde(flatten)]
    counted: Counted,
}

/// What goes on now, in numbers.
#[derive(Serialize, ToSchema)]
struct LiveCounters {
    at: Timestamp,
    centre: Counted,
    queues: Vec<CountedQueue>,
}

impl Counted {
    fn at(now: Timestamp, counts: &Counts) -> Self {
        Self {
            counts: counts.clone(),
            oldest_wait_ms: counts.oldest_wait_ms(now),
        }
    }
}

/// Live counters of the centre and of each queue: calls handled and waiting, seats serving, idle, away and off.
///
/// Every seat is in one of the four groups; one that serves two queues is counted in both. Roles: seat, supervisor.
#[utoipa::path(get, path = "/counters", tag = "live", responses((status = 200, body = LiveCounters)))]
async fn counters(
    State(app): State<Arc<App>>,
    caller: Caller,
) -> Result<Json<LiveCounters>, Problem> {
    caller.require(&[Role::Seat, Role::Supervisor])?;
    let (at, view) = (Clock::process().now(), Arc::clone(&app.view.borrow()));
    let queues = view.counters.queues.iter().map(|one| CountedQueue {
        queue: one.queue.clone(),
        counted: Counted::at(at, &one.counts),
    });
    Ok(Json(LiveCounters {
        at,
        centre: Counted::at(at, &view.counters.centre),
        queues: queues.collect(),
    }))
}
