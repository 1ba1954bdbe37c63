//! argv -> logging -> [`firstring::cli`] -> exit code.

use std::io::IsTerminal as _;
use std::process::ExitCode;

use clap::Parser as _;
use firstring::cli::{CommandLine, LogFormat};
use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    // Before anything can speak TLS. Nothing else in this process installs one, so this cannot fail.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let line = CommandLine::parse();
    let filter = match EnvFilter::try_new(&line.log) {
        Ok(filter) => filter,
        Err(error) => {
            eprintln!("--log {:?} is no level: {error}", line.log);
            return ExitCode::from(2);
        }
    };
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    match line.log_format {
        LogFormat::Json => log.json().flatten_event(true).init(),
        LogFormat::Text => log.with_ansi(std::io::stderr().is_terminal()).init(),
    }
    firstring::cli::run(line)
}
