//! The reference modules: what a dispatch or EMR vendor would write, as separate processes
//! (`firstring module dispatch`, `firstring module emr`). They know only the public contract: signed CloudEvents
//! come in, `dispatch.*` reports go back through the HTTP API. Nothing of the engine's inside is imported.
//!
//! ```text
//! POST /hook -> signature -> store (once per id, highest rev wins) -> 200 {incident_id}
//! ```

mod inbox;
mod ledger;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use axum::Router;
use ledger::Ledger;
use standardwebhooks::Webhook;

/// Which module a process is.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// 派车: opens an incident per call and sends vehicles.
    Dispatch,
    /// 病历: keeps the call's record for the patient's file.
    Emr,
}

impl Kind {
    /// As in the command line and on the page.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Dispatch => "dispatch",
            Self::Emr => "emr",
        }
    }
}

/// How a module is started.
#[derive(Clone, Debug)]
pub struct Options {
    pub kind: Kind,
    pub listen: SocketAddr,
    pub database: PathBuf,
    /// Standard Webhooks secret shared with the engine.
    pub secret: String,
    /// The engine's address, `http://127.0.0.1:8120`, for reports back.
    pub engine: Option<String>,
    /// Token with role module, for reports back.
    pub token: Option<String>,
}

/// Why a module could not run.
#[derive(Debug, thiserror::Error)]
pub enum ModuleError {
    #[error("the secret is not `whsec_` followed by base64: {0}")]
    Secret(String),
    #[error("the database {path} cannot be opened: {reason}")]
    Database { path: PathBuf, reason: String },
    #[error("cannot listen on {address}: {source}")]
    Listen {
        address: SocketAddr,
        source: std::io::Error,
    },
    #[error("the runtime does not start: {0}")]
    Runtime(#[from] std::io::Error),
    #[error("no HTTP client: {0}")]
    Client(#[from] reqwest::Error),
}

/// What every handler works with.
struct Module {
    kind: Kind,
    ledger: Ledger,
    verifier: Webhook,
    engine: Option<String>,
    token: Option<String>,
    http: reqwest::Client,
}

/// Run a module until the process ends; `ready` is told the bound address.
///
/// # Errors
/// [`ModuleError`]: a bad secret, database or address.
pub async fn run(options: Options, ready: impl FnOnce(SocketAddr)) -> Result<(), ModuleError> {
    let verifier =
        Webhook::new(&options.secret).map_err(|error| ModuleError::Secret(error.to_string()))?;
    let ledger = Ledger::open(&options.database)
        .await
        .map_err(|error| ModuleError::Database {
            path: options.database.clone(),
            reason: error.to_string(),
        })?;
    let http = reqwest::Client::builder()
        .timeout(std::time::Duration::from_secs(3))
        .build()?;
    let module = Arc::new(Module {
        kind: options.kind,
        ledger,
        verifier,
        engine: options.engine,
        token: options.token,
        http,
    });
    let listen = |source| ModuleError::Listen {
        address: options.listen,
        source,
    };
    let listener = tokio::net::TcpListener::bind(options.listen)
        .await
        .map_err(listen)?;
    ready(listener.local_addr().map_err(listen)?);
    let app: Router = inbox::routes(module);
    axum::serve(listener, app).await.map_err(listen)
}
