//! Errors as RFC 9457 problem documents: what, why, what to do.

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{FromRequest, FromRequestParts, Query, Request};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::commands::SubmitError;
use crate::id::CallId;
use crate::switch::CommandError;

/// `application/problem+json`.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// Stable code to search for, such as `wrong_state`.
    pub code: String,
    /// HTTP status.
    pub status: u16,
    /// What is wrong, for people.
    pub title: String,
    /// Why, and what to do.
    pub detail: String,
    /// Where the record of the ended call is (410).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub record: Option<Box<str>>,
    /// The field of the body that is wrong (422).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
}

impl Problem {
    /// A problem of `status` with a stable `code`.
    #[must_use]
    pub fn new(status: StatusCode, code: &str, detail: impl Into<String>) -> Self {
        Self {
            code: code.to_owned(),
            status: status.as_u16(),
            title: status.canonical_reason().unwrap_or("error").to_owned(),
            detail: detail.into(),
            record: None,
            field: None,
        }
    }

    /// 401: no token, or one that is not admitted (any more).
    #[must_use]
    pub fn unauthenticated() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "unauthenticated",
            "send `Authorization: Bearer <token>`, or sign in on the page with it",
        )
    }

    /// 404 for `what` with this id.
    #[must_use]
    pub fn unknown(what: &str, id: impl std::fmt::Display) -> Self {
        Self::new(StatusCode::NOT_FOUND, "unknown", format!("no {what} {id}"))
    }

    /// 410: the call has ended; how and when is in `detail`, all of it in its record.
    #[must_use]
    pub fn ended(call: CallId, detail: &str) -> Self {
        let record = format!("/api/v1/records/{call}");
        Self {
            record: Some(record.clone().into_boxed_str()),
            ..Self::new(
                StatusCode::GONE,
                "ended",
                format!("{detail}; its record is at {record}"),
            )
        }
    }

    /// 422 naming the field.
    #[must_use]
    pub fn bad_field(field: &str, reason: impl Into<String>) -> Self {
        Self {
            field: Some(field.to_owned()),
            ..Self::new(StatusCode::UNPROCESSABLE_ENTITY, "bad_field", reason)
        }
    }

    /// 503: a store or a disk cannot answer now.
    #[must_use]
    pub fn store(error: &dyn std::fmt::Display) -> Self {
        tracing::warn!(%error, "the store did not answer a request");
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "store_unavailable",
            "the database does not answer now; calls go on, try again",
        )
    }
}

/// A JSON body; a bad one is 422 with field and reason, an oversized one 413. Read after the caller is known to be allowed.
pub(super) struct Body<T>(pub(super) Result<T, Problem>);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = std::convert::Infallible;

    async fn from_request(request: Request, state: &S) -> Result<Self, Self::Rejection> {
        let parsed = Json::<T>::from_request(request, state).await;
        Ok(Self(
            parsed
                .map(|Json(body)| body)
                .map_err(|rejection| bad_body(&rejection)),
        ))
    }
}

fn bad_body(rejection: &JsonRejection) -> Problem {
    if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
        return Problem::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "body_too_large",
            "a body may have 256 KiB",
        );
    }
    let text = rejection.body_text();
    let reason = text
        .strip_prefix("Failed to deserialize the JSON body into the target type: ")
        .unwrap_or(&text);
    Problem::bad_field(&field_of(reason), reason)
}

/// The field that a deserialiser's message speaks of: the path before it, or the name it says is missing or unknown.
fn field_of(reason: &str) -> String {
    for start in ["missing field `", "unknown field `", "duplicate field `"] {
        if let Some(name) = reason
            .split_once(start)
            .and_then(|(_, rest)| rest.split_once('`'))
        {
            return name.0.chars().take(64).collect();
        }
    }
    let is_path = |c: char| c.is_ascii_alphanumeric() || "_.[]".contains(c);
    match reason.split_once(": ") {
        Some((path, _)) if !path.is_empty() && path.len() <= 64 && path.chars().all(is_path) => {
            path.to_owned()
        }
        _ => "body".to_owned(),
    }
}

/// Query parameters; bad ones are 422 with field and reason.
pub(super) struct Asked<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Asked<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Query::<T>::try_from_uri(&parts.uri)
            .map(|Query(asked)| Self(asked))
            .map_err(|rejection| {
                let text = rejection.body_text();
                let reason = text
                    .strip_prefix("Failed to deserialize query string: ")
                    .unwrap_or(&text);
                let field = field_of(reason);
                let field = if field == "body" { "query" } else { &field };
                Problem::bad_field(field, reason)
            })
    }
}

impl From<SubmitError> for Problem {
    fn from(error: SubmitError) -> Self {
        let detail = error.to_string();
        match error {
            SubmitError::Refused(refusal) => match refusal {
                CommandError::Ended { call, .. } => Self::ended(call, &detail),
                CommandError::Unknown { .. } => Self::new(StatusCode::NOT_FOUND, "unknown", detail),
                CommandError::WrongState { .. } => {
                    Self::new(StatusCode::CONFLICT, "wrong_state", detail)
                }
                CommandError::BadField { field, reason } => Self::bad_field(&field, reason),
                CommandError::NotAllowed { .. } => {
                    Self::new(StatusCode::FORBIDDEN, "not_allowed", detail)
                }
            },
            SubmitError::Busy => Self::new(StatusCode::TOO_MANY_REQUESTS, "busy", detail),
            SubmitError::Late => Self::new(StatusCode::GATEWAY_TIMEOUT, "late", detail),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, Json(&self)).into_response();
        response.headers_mut().insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        // For the audit list, which notes refusals.
        response.extensions_mut().insert(self);
        response
    }
}
