//! `firstring serve`: the engine under its supervisor. SIGTERM drains and ends, SIGHUP reloads, systemd's watchdog is fed only
//! while the owner beats.

use std::path::{Path, PathBuf};
use std::time::Duration;

use sd_notify::NotifyState;
use tokio::signal::unix::{SignalKind, signal};

use super::{Engine, StartError, start};
use crate::config::{self, Config};

/// An owner whose last beat is older is stuck: the watchdog goes unfed and systemd starts the process again.
const BEAT_MAX: Duration = Duration::from_secs(3);
/// Between two looks at the owner's beat.
const WATCHDOG_EVERY: Duration = Duration::from_secs(1);

/// Why serving ended badly.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    #[error(transparent)]
    Start(#[from] StartError),
    #[error("the operating system refuses a runtime or its signals: {0}")]
    System(#[from] std::io::Error),
    #[error("the ready file {path} cannot be written: {source}")]
    ReadyFile {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error(
        "a part of the engine ended by itself (see the log); the process ends so that it is started again"
    )]
    PartEnded,
    #[error(
        "the owner of the switch ended by itself (see the log), so nobody decides about calls; the process ends so that it is started again"
    )]
    OwnerEnded,
}

/// How serving is done.
#[derive(Clone, Debug)]
pub struct Options {
    /// The configuration's file, read again at SIGHUP.
    pub config: PathBuf,
    /// Written (JSON, addresses) when everything listens.
    pub ready_file: Option<PathBuf>,
    /// After SIGTERM open calls may go on for this long.
    pub drain: Duration,
}

/// Run until SIGTERM or SIGINT; returns the hash of the final state.
///
/// # Errors
/// [`ServeError`]: the engine did not start, or a part of it died.
pub async fn serve(config: Config, options: Options) -> Result<String, ServeError> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    let engine = start(config).await?;
    tell_ready(&engine, options.ready_file.as_deref())?;
    let part_ended = engine.part_ended();
    let mut watchdog = tokio::time::interval(WATCHDOG_EVERY);
    let outcome = loop {
        tokio::select! {
            _ = terminate.recv() => break Ok(()),
            _ = interrupt.recv() => break Ok(()),
            _ = hang_up.recv() => reload(&engine, &options.config).await,
            () = part_ended.notified() => break Err(ServeError::PartEnded),
            _ = watchdog.tick() => {
                if engine.owner_ended() {
                    break Err(ServeError::OwnerEnded);
                }
                if engine.beat_age() < BEAT_MAX {
                    drop(sd_notify::notify(&[NotifyState::Watchdog]));
                }
            }
        }
    };
    drop(sd_notify::notify(&[NotifyState::Stopping]));
    tracing::info!("ending: no new calls; open calls may go on");
    // A second signal ends the waiting.
    let drain = if outcome.is_ok() {
        options.drain
    } else {
        Duration::ZERO
    };
    let stopping = engine.stop(drain);
    tokio::pin!(stopping);
    let ended = tokio::select! {
        ended = &mut stopping => ended,
        _ = terminate.recv() => return outcome.map(|()| String::new()),
        _ = interrupt.recv() => return outcome.map(|()| String::new()),
    };
    // An owner that dies takes its readers along: theirs is not the end to tell.
    outcome.map_err(|error| match ended {
        Some(_) => error,
        None => ServeError::OwnerEnded,
    })?;
    let ended = ended.map(|ended| (ended.last_seq, ended.state_hash));
    tracing::info!(
        last_seq = ended.as_ref().map_or(0, |(seq, _)| *seq),
        "ended"
    );
    Ok(ended.map_or_else(String::new, |(_, hash)| hash))
}

fn tell_ready(engine: &Engine, file: Option<&Path>) -> Result<(), ServeError> {
    let addresses = engine.addresses();
    tracing::info!(api = %addresses.api, sip = ?addresses.sip, "ready");
    drop(sd_notify::notify(&[NotifyState::Ready]));
    let Some(path) = file else { return Ok(()) };
    let text = serde_json::json!(addresses).to_string();
    // Whoever waits for the file must never read half of it.
    let fresh = path.with_extension("fresh");
    let written = std::fs::write(&fresh, text).and_then(|()| std::fs::rename(&fresh, path));
    written.map_err(|source| ServeError::ReadyFile {
        path: path.to_owned(),
        source,
    })
}

/// A bad configuration is refused whole: the old one keeps running and an alarm says why.
async fn reload(engine: &Engine, path: &Path) {
    match config::load(path) {
        Ok((config, _)) => {
            engine.reload(&config).await;
            tracing::info!(
                "the configuration was read again; listeners, ports, directories and database need a restart"
            );
        }
        Err(faults) => {
            // Warnings refuse nothing.
            let mut errors = faults
                .iter()
                .filter(|fault| fault.severity == config::Severity::Error);
            let first = errors.next().map(ToString::to_string).unwrap_or_default();
            let count = errors.count() + 1;
            tracing::warn!(
                errors = count,
                first,
                "the new configuration is refused; the old one keeps running"
            );
            engine
                .config_refused(true, format!("{count} errors; the first: {first}"))
                .await;
        }
    }
}
