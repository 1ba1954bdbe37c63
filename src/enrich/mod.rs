//! Enrichment: who is calling and where from, found beside the call. Nothing waits for it.
//!
//! Owns: one adapter per source, each with its own budget: what the INVITE itself carries ([`pani`], [`pidf`]), line
//! data over HTTP, earlier calls of the number. Answers go back to the switch as `Found` Inputs whenever they come;
//! a late one is a new revision of the record. Refuses to know: queues, seats, whether the call still lives.
//!
//! ```text
//! ask (never blocks) -> bounded list -> a bounded number of parts at once -> [own texts | line data | history] -> Found*
//! list full -> Found(Failed) at once
//! ```

mod line;
pub mod pani;
pub mod pidf;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};

use crate::call::Arrival;
use crate::config::checked::Enrich;
use crate::id::CallId;
use crate::phone::DialForm;
use crate::switch::{
    AlarmCode, Finding, InputKind, LineData, LineStatus, Location, LocationSource, Question, Shape,
};

/// Questions waiting for a free place; past it a question is answered "failed" at once.
const QUESTIONS_MAX: usize = 1024;
/// Parts of questions (own texts, line data, history) worked on at once.
const PARTS_MAX: usize = 192;
/// Earlier calls are looked up within this.
const HISTORY_BUDGET: Duration = Duration::from_secs(2);
/// An answer that the switch does not take in within this is dropped and logged.
const HAND_OVER_BUDGET: Duration = Duration::from_secs(5);

/// Earlier calls of one number.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct History {
    /// Days looked back.
    pub window_days: u32,
    /// Calls in them, the present one not counted.
    pub count: u32,
    /// The last ones, newest first, at most 20, as `history.last_calls` of `ecr/1`.
    pub last_calls: Vec<serde_json::Value>,
}

/// Why earlier calls could not be looked up.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HistoryError {
    /// The store did not answer.
    #[error("the store of records did not answer: {reason}")]
    Unavailable { reason: String },
}

/// A boxed future, so that the trait can be used behind a pointer.
pub type HistoryFuture<'a> =
    Pin<Box<dyn Future<Output = Result<History, HistoryError>> + Send + 'a>>;

/// Whoever knows earlier calls.
pub trait HistorySource: Send + Sync {
    /// Earlier calls from `e164` (`+8613800138000`), `call` itself not counted.
    fn last_calls<'a>(&'a self, call: CallId, e164: &'a str) -> HistoryFuture<'a>;
}

/// Why enrichment could not start.
#[derive(Debug, thiserror::Error)]
pub enum EnrichError {
    /// The HTTP client could not be made.
    #[error("cannot make the HTTP client for line data: {0}")]
    Client(#[source] reqwest::Error),
}

/// The running enrichment. Dropping it ends its tasks.
pub struct Enrichment {
    questions: mpsc::Sender<(CallId, Question)>,
    inputs: mpsc::Sender<InputKind>,
    worker: AbortHandle,
}

impl Drop for Enrichment {
    fn drop(&mut self) {
        self.worker.abort();
    }
}

struct Sources {
    line: Option<line::Source>,
    history: Arc<dyn HistorySource>,
    inputs: mpsc::Sender<InputKind>,
}

impl Enrichment {
    /// Starts it on the present tokio runtime.
    ///
    /// # Errors
    /// [`EnrichError`] when the HTTP client cannot be made.
    pub fn start(
        config: &Enrich,
        history: Arc<dyn HistorySource>,
        inputs: mpsc::Sender<InputKind>,
    ) -> Result<Self, EnrichError> {
        let sources = Arc::new(Sources {
            line: config
                .line_data
                .clone()
                .map(line::Source::new)
                .transpose()?,
            history,
            inputs: inputs.clone(),
        });
        let (questions, asked) = mpsc::channel(QUESTIONS_MAX);
        #[expect(
            clippy::disallowed_methods,
            reason = "the handle is kept; if the task dies the list of questions closes and `ask` says so"
        )]
        let worker = tokio::spawn(work(sources, asked)).abort_handle();
        Ok(Self {
            questions,
            inputs,
            worker,
        })
    }

    /// Asks; answers come as `Found` Inputs, or never. Returns at once. When too many questions wait, the call gets a
    /// `Failed` finding instead.
    pub fn ask(&self, call: CallId, question: Question) {
        let Err(refused) = self.questions.try_send((call, question)) else {
            return;
        };
        let reason = match refused {
            mpsc::error::TrySendError::Full(_) => "too many questions are waiting",
            mpsc::error::TrySendError::Closed(_) => "enrichment is not running",
        };
        tracing::warn!(%call, reason, "enrichment did not take a question");
        let finding = failed("enrichment", reason);
        let input = InputKind::Found {
            call,
            finding: Box::new(finding),
        };
        if self.inputs.try_send(input).is_err() {
            tracing::error!(%call, "the switch takes no inputs: an enrichment failure is not in the record");
        }
    }
}

/// Takes questions as places become free; a part that panics is a failed source, not the end of enrichment.
async fn work(sources: Arc<Sources>, mut asked: mpsc::Receiver<(CallId, Question)>) {
    let mut running: JoinSet<()> = JoinSet::new();
    loop {
        tokio::select! {
            Some(done) = running.join_next() => {
                if let Err(error) = done {
                    tracing::error!(%error, "an enrichment source broke down; its answer is missing from one record");
                }
            }
            question = asked.recv(), if running.len() < PARTS_MAX => {
                let Some((call, question)) = question else { break };
                begin(&sources, call, question, &mut running);
            }
        }
    }
    while running.join_next().await.is_some() {}
}

/// All sources of one question, side by side.
fn begin(sources: &Arc<Sources>, call: CallId, question: Question, running: &mut JoinSet<()>) {
    let Question::WhoAndWhere { arrival, e164 } = question;
    if let Some(e164) = e164 {
        if sources.line.is_some() {
            running.spawn(ask_line(Arc::clone(sources), call, e164.clone()));
        }
        running.spawn(ask_history(Arc::clone(sources), call, e164));
    }
    let sources = Arc::clone(sources);
    running.spawn(async move {
        for finding in carried(&arrival) {
            sources.found(call, finding).await;
        }
    });
}

/// What the INVITE itself carries.
fn carried(arrival: &Arrival) -> Vec<Finding> {
    let mut findings: Vec<Finding> = pani::cell(&arrival.access_network)
        .map(Finding::Network)
        .into_iter()
        .collect();
    for body in &arrival.pidf {
        match pidf::parse(body) {
            Ok(locations) => findings.extend(locations.into_iter().map(Finding::Location)),
            Err(error) => findings.push(failed("pidf", &error.to_string())),
        }
    }
    findings
}

async fn ask_line(sources: Arc<Sources>, call: CallId, e164: String) {
    let Some(line) = &sources.line else { return };
    let number = crate::phone::parse(&e164, "", false);
    let digits = number.dial(DialForm::National, "").unwrap_or(e164);
    let (answer, alarm) = line.ask(&digits).await;
    if let Some(change) = alarm {
        let (detail, raised) = match change {
            line::AlarmChange::Raise { detail } => (detail, true),
            line::AlarmChange::Clear => (String::from("the source answers again"), false),
        };
        sources
            .hand_over(InputKind::Alarm {
                code: AlarmCode::LineDataFailing,
                subject: String::from("line_data"),
                detail,
                raised,
            })
            .await;
    }
    let place = install_location(&answer);
    sources.found(call, Finding::Line(answer)).await;
    if let Some(place) = place {
        sources.found(call, Finding::Location(place)).await;
    }
}

/// The installation address is where a landline's caller is.
fn install_location(line: &LineData) -> Option<Location> {
    if line.status != LineStatus::Found {
        return None;
    }
    Some(Location {
        source: LocationSource::Line,
        datum: crate::geo::Datum::Wgs84,
        point: None,
        shape: Shape::Civic,
        radius_m: None,
        confidence_pct: None,
        civic: Some(line.install_address.clone()?),
        measured_at: None,
    })
}

async fn ask_history(sources: Arc<Sources>, call: CallId, e164: String) {
    let finding =
        match tokio::time::timeout(HISTORY_BUDGET, sources.history.last_calls(call, &e164)).await {
            Ok(Ok(history)) => Finding::History {
                window_days: history.window_days,
                count: history.count,
                last_calls: history.last_calls,
            },
            Ok(Err(error)) => failed("history", &error.to_string()),
            Err(_) => failed("history", "the store of records did not answer within 2 s"),
        };
    sources.found(call, finding).await;
}

fn failed(source: &str, reason: &str) -> Finding {
    Finding::Failed {
        source: source.to_owned(),
        reason: reason.to_owned(),
    }
}

impl Sources {
    async fn found(&self, call: CallId, finding: Finding) {
        let finding = Box::new(finding);
        self.hand_over(InputKind::Found { call, finding }).await;
    }

    async fn hand_over(&self, input: InputKind) {
        let sent = self.inputs.send_timeout(input, HAND_OVER_BUDGET).await;
        if sent.is_err() {
            tracing::error!("the switch takes no inputs: an enrichment answer is lost");
        }
    }
}
