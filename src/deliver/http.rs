//! One attempt of one delivery: a signed POST (Standard Webhooks 1.0), no redirects, a bounded answer.

use std::time::Duration;

use serde::Deserialize;
use standardwebhooks::Webhook;

use super::schedule::Verdict;
use crate::config::checked::Destination;
use crate::time::Millis;

/// Bytes of an answer that are read; a module has nothing longer to say.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// Why a destination cannot be used at all.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The secret is not `whsec_` + base64.
    #[error("destination {destination}: its secret is not `whsec_` followed by base64: {reason}")]
    Secret { destination: String, reason: String },
    /// No HTTP client could be built.
    #[error("no HTTP client: {0}")]
    Client(#[from] reqwest::Error),
}

/// Sends to one destination.
pub(super) struct Client {
    url: String,
    signer: Webhook,
    http: reqwest::Client,
}

/// What a module may answer: its own id of the incident.
#[derive(Default, Deserialize)]
struct Acknowledgement {
    #[serde(default)]
    incident_id: Option<String>,
}

impl Client {
    /// A client for `destination`.
    ///
    /// # Errors
    /// [`ClientError`]: its secret cannot be read, or no client can be built.
    pub(super) fn new(destination: &Destination) -> Result<Self, ClientError> {
        let signer = Webhook::new(&destination.secret.0).map_err(|error| ClientError::Secret {
            destination: destination.id.to_string(),
            reason: error.to_string(),
        })?;
        let http = reqwest::Client::builder()
            .timeout(destination.timeout)
            .connect_timeout(destination.timeout.min(Duration::from_secs(2)))
            .redirect(reqwest::redirect::Policy::none())
            .build()?;
        Ok(Self {
            url: destination.url.clone(),
            signer,
            http,
        })
    }

    /// Send `body` under `id` once; `unix_seconds` is the time that is signed.
    pub(super) async fn attempt(&self, id: &str, unix_seconds: i64, body: &str) -> Verdict {
        let signature = match self.signer.sign(id, unix_seconds, body.as_bytes()) {
            Ok(signature) => signature,
            Err(error) => return failed(format!("not signed: {error}"), None),
        };
        let request = self
            .http
            .post(&self.url)
            .header(
                "content-type",
                "application/cloudevents+json; charset=utf-8",
            )
            .header("webhook-id", id)
            .header("webhook-timestamp", unix_seconds)
            .header("webhook-signature", signature)
            .body(body.to_owned());
        match request.send().await {
            Ok(response) => verdict(response).await,
            Err(error) if error.is_timeout() => failed("no answer in time".to_owned(), None),
            Err(error) => failed(without_url(error), None),
        }
    }
}

async fn verdict(mut response: reqwest::Response) -> Verdict {
    let status = response.status();
    if status.as_u16() == 410 {
        return Verdict::Gone;
    }
    if !status.is_success() {
        let seconds = response
            .headers()
            .get("retry-after")
            .and_then(|v| v.to_str().ok())
            .and_then(|v| v.trim().parse::<u32>().ok());
        return failed(
            format!("HTTP {}", status.as_u16()),
            seconds.map(|s| Millis(s.saturating_mul(1000))),
        );
    }
    let mut answer = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        if answer.len() + chunk.len() > ANSWER_BYTES_MAX {
            break; // accepted all the same; the rest is not read
        }
        answer.extend_from_slice(&chunk);
    }
    let acknowledgement: Acknowledgement = serde_json::from_slice(&answer).unwrap_or_default();
    Verdict::Accepted {
        incident_id: acknowledgement
            .incident_id
            .filter(|id| !id.is_empty() && id.len() <= 128),
    }
}

fn failed(reason: String, retry_after: Option<Millis>) -> Verdict {
    Verdict::Failed {
        reason,
        retry_after,
    }
}

/// A URL may hold a token; it never reaches a log or a page.
fn without_url(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(inner) = source {
        text = format!("{text}: {inner}");
        source = inner.source();
    }
    text
}
