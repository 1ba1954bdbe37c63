//! Line data (机主姓名、电话号码、装机地址、接线箱地址, WS/T 451 5.2-b) from a carrier's or centre's HTTP service.
//!
//! Owns: one GET per call, its budget, what an answer means, and the alarm when the source keeps failing. Refuses: redirects,
//! proxies, answers over 64 KiB, fields over 256 characters. The source is asked only for the number that is calling
//! (打一查一). Nobody waits for the answer.

use std::sync::Mutex;
use std::time::Duration;

use serde::Deserialize;
use tokio::time::Instant;

use super::EnrichError;
use crate::config::checked::LineDataSource;
use crate::switch::{LineData, LineStatus};

/// Bytes of an answer; more is refused.
const ANSWER_BYTES_MAX: usize = 64 * 1024;
/// Characters kept of one field.
const FIELD_CHARS_MAX: usize = 256;
/// Failures in a row until the alarm.
const FAILURES_MAX: u32 = 3;

/// A source and how it has been doing.
pub(super) struct Source {
    client: reqwest::Client,
    config: LineDataSource,
    failures: Mutex<u32>,
}

/// What the alarm `line_data.failing` should do now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum AlarmChange {
    Raise { detail: String },
    Clear,
}

/// Fields of an answer; others are ignored, absent and null are alike.
#[derive(Deserialize)]
struct Answer {
    owner: Option<String>,
    number: Option<String>,
    install_address: Option<String>,
    box_address: Option<String>,
    carrier: Option<String>,
}

/// Why an answer could not be had.
#[derive(Debug, thiserror::Error)]
enum AskError {
    #[error("no answer within {0} ms")]
    Timeout(u128),
    #[error("no connection: {0}")]
    Connection(#[source] reqwest::Error),
    #[error("answered {0}")]
    Status(reqwest::StatusCode),
    #[error("the answer is longer than {ANSWER_BYTES_MAX} bytes")]
    TooLong,
    #[error("the answer is no JSON object of texts: {0}")]
    NotJson(#[source] serde_json::Error),
}

impl Source {
    pub(super) fn new(config: LineDataSource) -> Result<Self, EnrichError> {
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .connect_timeout(config.timeout)
            .timeout(config.timeout)
            .pool_idle_timeout(Duration::from_secs(60))
            .user_agent(concat!("firstring/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(EnrichError::Client)?;
        Ok(Self {
            client,
            config,
            failures: Mutex::new(0),
        })
    }

    /// Asks for `number` (national digits). Ends within the configured budget, whatever the source does.
    pub(super) async fn ask(&self, number: &str) -> (LineData, Option<AlarmChange>) {
        let asked = Instant::now();
        let budget = self.config.timeout;
        let result = match tokio::time::timeout(budget, self.fetch(number)).await {
            Ok(result) => result,
            Err(_) => Err(AskError::Timeout(budget.as_millis())),
        };
        let elapsed_ms = u64::try_from(asked.elapsed().as_millis()).unwrap_or(u64::MAX);
        let alarm = self.count(result.as_ref().err());
        let mut line = match result {
            Ok(Some(answer)) => found(answer),
            Ok(None) => with_status(LineStatus::NotFound),
            Err(AskError::Timeout(_)) => with_status(LineStatus::Timeout),
            Err(_) => with_status(LineStatus::Failed),
        };
        line.elapsed_ms = elapsed_ms;
        (line, alarm)
    }

    async fn fetch(&self, number: &str) -> Result<Option<Answer>, AskError> {
        let url = self
            .config
            .url
            .replace("{number}", &percent_encoded(number));
        let mut request = self.client.get(url);
        if let Some(bearer) = &self.config.bearer {
            request = request.bearer_auth(&bearer.0);
        }
        let budget = self.config.timeout.as_millis();
        // The number stands in the URL, and errors go to logs and alarms.
        let failed = |error: reqwest::Error| {
            if error.is_timeout() {
                AskError::Timeout(budget)
            } else {
                AskError::Connection(error.without_url())
            }
        };
        let mut response = request.send().await.map_err(failed)?;
        match response.status() {
            reqwest::StatusCode::OK => {}
            reqwest::StatusCode::NOT_FOUND | reqwest::StatusCode::NO_CONTENT => return Ok(None),
            other => return Err(AskError::Status(other)),
        }
        let mut body = Vec::new();
        while let Some(part) = response.chunk().await.map_err(failed)? {
            if body.len() + part.len() > ANSWER_BYTES_MAX {
                return Err(AskError::TooLong);
            }
            body.extend_from_slice(&part);
        }
        serde_json::from_slice(&body)
            .map(Some)
            .map_err(AskError::NotJson)
    }

    /// Counts failures in a row; the third raises the alarm, the next answer clears it.
    fn count(&self, error: Option<&AskError>) -> Option<AlarmChange> {
        let mut failures = self
            .failures
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let before = *failures;
        match error {
            None => {
                *failures = 0;
                (before >= FAILURES_MAX).then_some(AlarmChange::Clear)
            }
            Some(error) => {
                *failures = before.saturating_add(1);
                (before + 1 == FAILURES_MAX).then(|| AlarmChange::Raise {
                    detail: format!("{FAILURES_MAX} questions in a row failed; the last: {error}"),
                })
            }
        }
    }
}

fn with_status(status: LineStatus) -> LineData {
    LineData {
        status,
        ..LineData::default()
    }
}

fn found(answer: Answer) -> LineData {
    let clean = |field: Option<String>| {
        let text: String = field?
            .trim()
            .chars()
            .filter(|c| !c.is_control())
            .take(FIELD_CHARS_MAX)
            .collect();
        (!text.is_empty()).then_some(text)
    };
    let mut line = LineData {
        status: LineStatus::Found,
        elapsed_ms: 0,
        carrier: clean(answer.carrier),
        owner: clean(answer.owner),
        number: clean(answer.number),
        install_address: clean(answer.install_address),
        box_address: clean(answer.box_address),
    };
    let says_something = [
        &line.owner,
        &line.number,
        &line.install_address,
        &line.box_address,
    ]
    .iter()
    .any(|field| field.is_some());
    if !says_something {
        line.status = LineStatus::NotFound;
    }
    line
}

/// RFC 3986 2.3: all but unreserved characters.
fn percent_encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                char::from(byte).to_string()
            }
            other => format!("%{other:02X}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_cannot_leave_its_place_in_the_address() {
        assert_eq!(
            percent_encoded("+86 1/../?x=1&号"),
            "%2B86%201%2F..%2F%3Fx%3D1%26%E5%8F%B7"
        );
    }

    #[test]
    fn an_empty_answer_is_no_line() {
        let answer = serde_json::from_str(r#"{"owner": " ", "carrier": "ct", "more": 1}"#).unwrap();
        let line = found(answer);
        assert_eq!((line.status, line.owner), (LineStatus::NotFound, None));
    }
}
