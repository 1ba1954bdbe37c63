//! Refusals in the audit list: who was refused what, and why (403, 409, 422). The answer never waits for the database.
//!
//! ```text
//! refused command -> bounded channel -> writer -> audit list
//!                          |               `-> database down: again in a second
//!                          `-> full: counted in firstring_refusals_unlisted_total
//! ```

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{Method, StatusCode, Uri};
use axum::middleware::Next;
use axum::response::Response;
use tokio::sync::mpsc;

use super::App;
use super::problem::Problem;
use crate::clock::Clock;
use crate::store::records::Store;
use crate::time::{Millis, Timestamp};

/// Refusals that wait for the database.
const WAITING_MAX: usize = 1000;
/// Entries of one person in [`SPAN`]: a program that asks in a loop must not fill the disk.
const ENTRIES_MAX: u32 = 60;
const SPAN: Millis = Millis::from_secs(60);
const TRY_AGAIN: Duration = Duration::from_secs(1);
/// Characters of a subject and of a reason.
const SUBJECT_CHARS_MAX: usize = 64;
const REASON_CHARS_MAX: usize = 300;

/// Takes refusals.
pub struct Trail(mpsc::Sender<Refusal>);

/// Writes them down.
pub struct TrailWriter {
    refusals: mpsc::Receiver<Refusal>,
    store: Store,
    /// Entries of each person since a time.
    listed: BTreeMap<String, (Timestamp, u32)>,
}

struct Refusal {
    at: Timestamp,
    actor: String,
    /// `refused POST /api/v1/calls/{call}/hang_up`
    action: String,
    /// What the path names: a call, a seat.
    subject: String,
    reason: String,
}

impl Trail {
    /// A trail into `store`, and the task that writes it.
    #[must_use]
    pub fn new(store: Store) -> (Self, TrailWriter) {
        let (sender, refusals) = mpsc::channel(WAITING_MAX);
        let writer = TrailWriter {
            refusals,
            store,
            listed: BTreeMap::new(),
        };
        (Self(sender), writer)
    }
}

impl TrailWriter {
    /// Write until the API is gone.
    pub async fn run(mut self) {
        while let Some(refusal) = self.refusals.recv().await {
            if self.is_one_too_many(&refusal) {
                unlisted();
                continue;
            }
            while let Err(error) = self.write(&refusal).await {
                tracing::debug!(%error, "a refusal waits for the audit list");
                tokio::time::sleep(TRY_AGAIN).await;
            }
        }
        std::future::pending().await // the engine ends
    }

    fn is_one_too_many(&mut self, refusal: &Refusal) -> bool {
        self.listed
            .retain(|_, (since, _)| *since + SPAN > refusal.at);
        let (_, count) = self
            .listed
            .entry(refusal.actor.clone())
            .or_insert((refusal.at, 0));
        *count += 1;
        *count > ENTRIES_MAX
    }

    async fn write(&self, refusal: &Refusal) -> Result<(), crate::store::records::StoreError> {
        let Refusal {
            at,
            actor,
            action,
            subject,
            reason,
        } = refusal;
        self.store
            .audit_refused(*at, actor, action, subject, reason)
            .await
    }
}

fn unlisted() {
    metrics::counter!("firstring_refusals_unlisted_total").increment(1);
}

/// Notes a refusal on its way out: any command's, and of looks only what the role may not see.
pub(super) async fn note_refusal(
    State(app): State<Arc<App>>,
    request: Request,
    next: Next,
) -> Response {
    let is_look = matches!(*request.method(), Method::GET | Method::HEAD);
    let Some(caller) = app.gatekeeper.identify(request.headers()) else {
        return next.run(request).await;
    };
    let Some(route) = request.extensions().get::<MatchedPath>().cloned() else {
        return next.run(request).await;
    };
    let (method, uri) = (request.method().clone(), request.uri().clone());
    let response = next.run(request).await;
    let is_refusal = match response.status() {
        StatusCode::FORBIDDEN => true,
        StatusCode::CONFLICT | StatusCode::UNPROCESSABLE_ENTITY => !is_look,
        _ => false,
    };
    if let Some(problem) = response.extensions().get::<Problem>()
        && is_refusal
    {
        let refusal = Refusal {
            at: Clock::process().now(),
            actor: caller.name,
            action: format!("refused {method} {}", route.as_str()),
            subject: subject(route.as_str(), &uri),
            reason: cut(
                &format!("{} {}: {}", problem.status, problem.code, problem.detail),
                REASON_CHARS_MAX,
            ),
        };
        tracing::info!(action = refusal.action, code = problem.code, "refused");
        if app.trail.0.try_send(refusal).is_err() {
            unlisted();
        }
    }
    response
}

/// The first thing that the path names, such as the call; empty when it names none.
fn subject(route: &str, uri: &Uri) -> String {
    let named = route
        .split('/')
        .zip(uri.path().split('/'))
        .find(|(pattern, _)| pattern.starts_with('{'))
        .map_or("", |(_, name)| name);
    cut(named, SUBJECT_CHARS_MAX)
}

fn cut(text: &str, chars: usize) -> String {
    text.chars().take(chars).collect()
}
