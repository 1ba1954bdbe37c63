//! Who asks: bearer tokens with roles, and what a browser turns into a session cookie: its person's token, or a one-time link.
//! Only SHA-256 of secrets is held; comparisons take constant time.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use tokio::sync::watch;
use uuid::Uuid;

use super::App;
use super::problem::{Asked, Body, Problem};
use crate::clock::Clock;
use crate::config::checked::Token;
use crate::id::{DestinationId, SeatId};
use crate::switch::{Actor, Role};
use crate::time::{Millis, Timestamp};

/// Sessions held at once; the oldest goes first.
const SESSIONS_MAX: usize = 1000;
/// A session ends this long after its link was opened: a day, so that no shift is cut.
const SESSION: Millis = Millis::from_secs(24 * 60 * 60);
/// One-time links that wait to be opened.
const LINKS_MAX: usize = 100;
pub(super) const COOKIE: &str = "firstring_session";

/// Who asks, after authentication.
#[derive(Clone, Debug)]
pub struct Caller {
    pub name: String,
    pub role: Role,
    pub seat: Option<SeatId>,
    /// SHA-256 of the token shown, also of the one that opened a session; none for a one-time link.
    token: Option<[u8; 32]>,
}

impl Caller {
    /// A person who comes by a one-time link.
    #[must_use]
    pub fn new(name: String, role: Role, seat: Option<SeatId>) -> Self {
        Self {
            name,
            role,
            seat,
            token: None,
        }
    }

    /// The token that this caller came with is still his.
    fn is_admitted(&self, tokens: &[Token]) -> bool {
        tokens.iter().any(|token| {
            Some(token.sha256) == self.token
                && (&token.name, token.role, &token.seat) == (&self.name, self.role, &self.seat)
        })
    }

    /// The actor of commands that this caller gives.
    #[must_use]
    pub fn actor(&self) -> Actor {
        match (self.role, &self.seat) {
            (Role::Seat, Some(seat)) => Actor::Seat(seat.clone()),
            (Role::Supervisor, Some(seat)) => Actor::Supervisor(seat.clone()),
            (Role::Module, _) => Actor::Module(DestinationId(self.name.clone())),
            (Role::Seat | Role::Supervisor, None) | (Role::Admin, _) => {
                Actor::User(self.name.clone())
            }
        }
    }

    /// 403 unless the role is one of `roles`; admins may do what any role may.
    ///
    /// # Errors
    /// The 403 problem.
    pub fn require(&self, roles: &[Role]) -> Result<(), Problem> {
        if self.role == Role::Admin || roles.contains(&self.role) {
            return Ok(());
        }
        let wanted: Vec<_> = roles
            .iter()
            .map(|role| format!("{role:?}").to_lowercase())
            .collect();
        let detail = format!(
            "{} has role {:?}; this needs {}",
            self.name,
            self.role,
            wanted.join(" or ")
        )
        .to_lowercase();
        Err(Problem::new(StatusCode::FORBIDDEN, "not_allowed", detail))
    }

    /// 403 unless the caller may speak for `seat`: its own seat, a supervisor or an admin.
    ///
    /// # Errors
    /// The 403 problem.
    pub fn require_seat(&self, seat: &SeatId) -> Result<(), Problem> {
        self.require(&[Role::Seat, Role::Supervisor])?;
        if self.role == Role::Seat && self.seat.as_ref() != Some(seat) {
            let detail = format!(
                "{} speaks for another seat than {seat}; ask a supervisor",
                self.name
            );
            return Err(Problem::new(StatusCode::FORBIDDEN, "not_allowed", detail));
        }
        Ok(())
    }
}

/// Tokens, one-time links and sessions. Tokens are replaced as a whole when the configuration is read again.
pub struct Gatekeeper {
    tokens: watch::Sender<Vec<Token>>,
    state: Mutex<Sessions>,
}

#[derive(Default)]
struct Sessions {
    /// One-time links not yet used, by hash of their secret.
    links: BTreeMap<[u8; 32], Caller>,
    /// Open sessions, by hash of the cookie, with when each was opened.
    open: BTreeMap<[u8; 32], (Timestamp, Caller)>,
}

impl Gatekeeper {
    /// Admits `tokens`.
    #[must_use]
    pub fn new(tokens: Vec<Token>) -> Self {
        Self {
            tokens: watch::Sender::new(tokens),
            state: Mutex::default(),
        }
    }

    /// From now on admits `tokens` and no others; streams of those that are gone or mean another person end.
    pub fn replace_tokens(&self, tokens: Vec<Token>) {
        self.tokens.send_replace(tokens);
    }

    /// Ends when the token that `caller` came with is taken back; never for a one-time link.
    pub(super) fn revoked(&self, caller: &Caller) -> impl Future<Output = ()> + Send + use<> {
        let mut tokens = self.tokens.subscribe();
        let caller = caller.clone();
        async move {
            if caller.token.is_none() {
                return std::future::pending().await;
            }
            // A gatekeeper that is gone admits nobody either.
            drop(tokens.wait_for(|tokens| !caller.is_admitted(tokens)).await);
        }
    }

    /// A secret that opens one session as `caller`, once.
    #[must_use]
    pub fn one_time_link(&self, caller: Caller) -> String {
        let secret = fresh_secret();
        let mut sessions = self.sessions();
        if sessions.links.len() >= LINKS_MAX {
            sessions.links.clear();
        }
        sessions.links.insert(hash(&secret), caller);
        secret
    }

    fn redeem(&self, secret: &str) -> Option<String> {
        let caller = self.sessions().links.remove(&hash(secret))?;
        Some(self.open_session(caller))
    }

    /// The cookie of a new session.
    fn open_session(&self, caller: Caller) -> String {
        let mut sessions = self.sessions();
        let cookie = fresh_secret();
        if sessions.open.len() >= SESSIONS_MAX
            && let Some(oldest) = sessions
                .open
                .iter()
                .min_by_key(|(_, (at, _))| *at)
                .map(|(key, _)| *key)
        {
            sessions.open.remove(&oldest);
        }
        sessions
            .open
            .insert(hash(&cookie), (Clock::process().now(), caller));
        cookie
    }

    fn close_session(&self, headers: &HeaderMap) {
        if let Some(cookie) = session_cookie(headers) {
            self.sessions().open.remove(&hash(cookie));
        }
    }

    fn by_token(&self, secret: &str) -> Option<Caller> {
        let offered = hash(secret);
        // Every token is compared, so the time tells nothing.
        self.tokens.borrow().iter().fold(None, |found, token| {
            if bool::from(token.sha256.ct_eq(&offered)) {
                Some(Caller {
                    name: token.name.clone(),
                    role: token.role,
                    seat: token.seat.clone(),
                    token: Some(token.sha256),
                })
            } else {
                found
            }
        })
    }

    fn by_cookie(&self, cookie: &str) -> Option<Caller> {
        let now = Clock::process().now();
        let mut sessions = self.sessions();
        let tokens = self.tokens.borrow();
        let stands = |at: Timestamp, caller: &Caller| {
            at + SESSION > now && (caller.token.is_none() || caller.is_admitted(&tokens))
        };
        sessions.open.retain(|_, (at, caller)| stands(*at, caller));
        sessions
            .open
            .get(&hash(cookie))
            .map(|(_, caller)| caller.clone())
    }

    pub(super) fn identify(&self, headers: &HeaderMap) -> Option<Caller> {
        if let Some(bearer) =
            text(headers, header::AUTHORIZATION).and_then(|value| value.strip_prefix("Bearer "))
        {
            return self.by_token(bearer.trim());
        }
        self.by_cookie(session_cookie(headers)?)
    }

    fn sessions(&self) -> std::sync::MutexGuard<'_, Sessions> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn text(headers: &HeaderMap, name: header::HeaderName) -> Option<&str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

fn session_cookie(headers: &HeaderMap) -> Option<&str> {
    let cookies = text(headers, header::COOKIE)?;
    let pairs = cookies.split(';');
    let mut named = pairs.filter_map(|pair| pair.trim().split_once('='));
    named
        .find(|(name, _)| *name == COOKIE)
        .map(|(_, value)| value)
}

fn hash(secret: &str) -> [u8; 32] {
    Sha256::digest(secret.as_bytes()).into()
}

/// 256 random bits in hex.
fn fresh_secret() -> String {
    format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple())
}

impl FromRequestParts<Arc<App>> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        let caller = app
            .gatekeeper
            .identify(&parts.headers)
            .ok_or_else(Problem::unauthenticated)?;
        let changes = !matches!(parts.method.as_str(), "GET" | "HEAD");
        let by_cookie = !parts.headers.contains_key(header::AUTHORIZATION);
        if changes && by_cookie {
            from_own_page(&parts.headers)?;
        }
        Ok(caller)
    }
}

fn from_own_page(headers: &HeaderMap) -> Result<(), Problem> {
    if crosses_sites(headers) {
        return Err(Problem::new(
            StatusCode::FORBIDDEN,
            "cross_site",
            "commands are taken from our own pages or with a bearer token",
        ));
    }
    Ok(())
}

/// A browser tells where a request comes from; a command from a foreign page is refused (CSRF).
pub(super) fn crosses_sites(headers: &HeaderMap) -> bool {
    let fetched_from = text(headers, header::HeaderName::from_static("sec-fetch-site"));
    if matches!(fetched_from, Some("cross-site" | "same-site")) {
        return true;
    }
    // Browsers without that header send at least the page's origin.
    let origin = text(headers, header::ORIGIN).map(|origin| {
        origin
            .split_once("://")
            .map_or(origin, |(_, authority)| authority)
    });
    origin.is_some() && origin != text(headers, header::HOST)
}

#[derive(Deserialize)]
pub(super) struct Link {
    t: String,
}

/// `/login?t=SECRET`: a one-time link becomes a session cookie.
pub(super) async fn login(State(app): State<Arc<App>>, Asked(link): Asked<Link>) -> Response {
    let Some(cookie) = app.gatekeeper.redeem(&link.t) else {
        return Problem::new(
            StatusCode::UNAUTHORIZED,
            "link_used",
            "this link was used or is not ours; each start prints a fresh one",
        )
        .into_response();
    };
    with_cookie(&app, &cookie, Redirect::to("/").into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SignIn {
    token: String,
}

/// `POST /login`: a person's token becomes a session cookie, so that no page keeps the token. The session ends with the token.
pub(super) async fn sign_in(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Body(body): Body<SignIn>,
) -> Result<Response, Problem> {
    from_own_page(&headers)?;
    let caller = app.gatekeeper.by_token(body?.token.trim()).ok_or_else(|| {
        let detail = "no such token; ask who runs this centre for yours (`[api.tokens.*]` of the configuration)";
        Problem::new(StatusCode::UNAUTHORIZED, "token_unknown", detail)
    })?;
    let cookie = app.gatekeeper.open_session(caller);
    Ok(with_cookie(
        &app,
        &cookie,
        StatusCode::NO_CONTENT.into_response(),
    ))
}

/// `POST /logout`: the session of this browser ends.
pub(super) async fn sign_out(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    from_own_page(&headers)?;
    app.gatekeeper.close_session(&headers);
    Ok(with_cookie(
        &app,
        "",
        StatusCode::NO_CONTENT.into_response(),
    ))
}

/// Hands `cookie` to the browser until that is closed; an empty one takes the old one away.
fn with_cookie(app: &App, cookie: &str, mut response: Response) -> Response {
    let secure = if app.secure { "; Secure" } else { "" };
    let gone = if cookie.is_empty() { "; Max-Age=0" } else { "" };
    if let Ok(value) = HeaderValue::from_str(&format!(
        "{COOKIE}={cookie}; HttpOnly; SameSite=Strict; Path=/{gone}{secure}"
    )) {
        response.headers_mut().insert(header::SET_COOKIE, value);
    }
    response
}
