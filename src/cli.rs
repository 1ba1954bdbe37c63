//! The command line: what can be asked of the program, and which exit code means what.
//!
//! Owns: the words of `firstring --help`, reading the configuration for those commands that need one, exit codes.
//! Refuses to know: how anything works; every command is one call into the module that does. Output for people goes to
//! stdout, faults and logs to stderr.

mod simulate;

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::config::{self, Config, Fault, Origins, Severity};
use crate::id::CallId;
use crate::store::records::Store;
use crate::{demo, engine, modules, terminal};

pub use simulate::{Simulate, WhatIf};

/// It worked.
const DONE: u8 = 0;
/// It was tried and failed.
const FAILED: u8 = 1;
/// Nothing was tried: the command line or the configuration is wrong.
const USAGE: u8 = 2;

const AFTER_HELP: &str = "\
Examples:
  firstring demo                          a whole centre on this machine, with a page to look at
  firstring check                         is the configuration good? every fault with line, reason and fix
  firstring serve                         run the centre (systemd does this)
  firstring config show --origin          every value in force and where it comes from
  firstring replay /var/lib/firstring/journal
  firstring module dispatch --database dispatch.db --secret-file /etc/firstring/secrets/destination-dispatch

Exit codes:
  0  it worked
  1  it was tried and failed; stderr says what and why
  2  nothing was tried: the command line or the configuration is wrong";

/// Firstring: the call engine of a 120 medical emergency centre. No call is ever lost.
#[derive(Debug, Parser)]
#[command(name = "firstring", version, about, after_help = AFTER_HELP, arg_required_else_help = true)]
pub struct CommandLine {
    #[command(subcommand)]
    pub command: Command,
    /// What is logged: a level (error, warn, info, debug, trace), or levels per module (info,firstring::sip=debug).
    /// Numbers and names of people appear at debug and below only.
    #[arg(
        long,
        global = true,
        env = "FIRSTRING_LOG",
        default_value = "info",
        value_name = "LEVEL"
    )]
    pub log: String,
    /// How it is logged: text for people, json for machines.
    #[arg(long, global = true, env = "FIRSTRING_LOG_FORMAT", value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,
}

/// How lines of the log look.
#[derive(Copy, Clone, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    Text,
    Json,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// A whole centre on this machine: carriers, callers, seats and both modules, on embedded parts
    Demo(Demo),
    /// Run the centre until SIGTERM: then no new calls, calls end, everything is flushed
    Serve(Serve),
    /// Check the configuration and what it needs of this machine; report every fault with file, line, reason and fix
    Check(Check),
    /// Look at the configuration
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Read a journal, rebuild the state and print its hash; a changed byte is reported with its place
    Replay(Replay),
    /// Run a reference module: a process of its own that receives signed call records
    #[command(subcommand)]
    Module(ModuleCommand),
    /// The live page in a terminal: a seat, its call, the queue, and the seat's commands by keys
    Seat(SeatPage),
    /// Say why a call rang where it rang, and why other seats did not
    Why(WhyCall),
    /// Run simulated centres in virtual time and check the invariants after every step
    Simulate(Simulate),
    /// Bring the database to this version's tables (serve does it by itself)
    Migrate(Migrate),
    /// 自检呼入: call ourselves over each trunk now and say which step fails, or print a month's report
    Selftest(SelfTest),
    /// Place one call, as a carrier would, and say what was heard
    Ring(Ring),
}

/// Which configuration.
#[derive(Clone, Debug, Args)]
pub struct ConfigFile {
    /// The configuration file
    #[arg(
        long,
        short,
        env = "FIRSTRING_CONFIG",
        default_value = "/etc/firstring/firstring.toml",
        value_name = "FILE"
    )]
    pub config: PathBuf,
}

/// `firstring demo`
#[derive(Clone, Debug, Args)]
pub struct Demo {
    /// One call from ring to record, checked in sound and signatures, then the end
    #[arg(long)]
    pub once: bool,
    /// Keep so many calls going: a busy evening
    #[arg(long, value_name = "CALLS", value_parser = clap::value_parser!(u16).range(1..=200))]
    pub load: Option<u16>,
    /// This machine's address in the network, so that a real phone can dial 120
    #[arg(long, value_name = "ADDRESS")]
    pub host: Option<IpAddr>,
    /// Port of the page, if it is free; 0 takes any free ports, for telephones too
    #[arg(long, default_value_t = 8120, value_name = "PORT")]
    pub port: u16,
    /// Keep everything in this folder instead of a throw-away one
    #[arg(long, value_name = "FOLDER")]
    pub dir: Option<PathBuf>,
}

/// `firstring serve`
#[derive(Clone, Debug, Args)]
pub struct Serve {
    #[command(flatten)]
    pub file: ConfigFile,
    /// Write the bound addresses here (JSON) when everything listens
    #[arg(long, value_name = "FILE")]
    pub ready_file: Option<PathBuf>,
    /// Seconds that open calls may go on after SIGTERM; a second SIGTERM ends the waiting
    #[arg(long, default_value_t = 300, value_name = "SECONDS")]
    pub drain_s: u64,
}

/// `firstring check`
#[derive(Clone, Debug, Args)]
pub struct Check {
    #[command(flatten)]
    pub file: ConfigFile,
    /// Count warnings as faults
    #[arg(long)]
    pub strict: bool,
    /// Look at files only: not at addresses, database and clock, so that it can be asked on another machine or at start
    #[arg(long)]
    pub offline: bool,
}

/// `firstring config ...`
#[derive(Clone, Debug, Subcommand)]
pub enum ConfigCommand {
    /// Print every value in force; secrets as ***
    Show(ConfigShow),
}

/// `firstring config show`
#[derive(Clone, Debug, Args)]
pub struct ConfigShow {
    #[command(flatten)]
    pub file: ConfigFile,
    /// Say of each value where it comes from: a line of the file, a variable, or the default
    #[arg(long)]
    pub origin: bool,
}

/// `firstring replay`
#[derive(Clone, Debug, Args)]
pub struct Replay {
    /// A journal segment, or the folder of a journal
    pub journal: PathBuf,
}

/// `firstring module ...`
#[derive(Clone, Debug, Subcommand)]
pub enum ModuleCommand {
    /// 派车: an incident per call, vehicles sent, changed and cancelled from its page
    Dispatch(Module),
    /// 病历: every record kept for the patient's file
    Emr(Module),
}

/// `firstring module dispatch|emr`
#[derive(Clone, Debug, Args)]
pub struct Module {
    /// Where it listens for deliveries (/hook) and shows its page (/)
    #[arg(long, default_value = "127.0.0.1:0", value_name = "ADDRESS:PORT")]
    pub listen: SocketAddr,
    /// Its own database, made if missing
    #[arg(long, value_name = "FILE")]
    pub database: PathBuf,
    /// File with the secret it shares with the engine (whsec_...)
    #[arg(long, value_name = "FILE")]
    pub secret_file: PathBuf,
    /// The engine's address, for reports back
    #[arg(long, value_name = "URL", requires = "token_file")]
    pub engine: Option<String>,
    /// File with its API token of role module
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
}

/// A running server, and who asks it.
#[derive(Clone, Debug, Args)]
pub struct Server {
    /// The server
    #[arg(
        long,
        env = "FIRSTRING_URL",
        default_value = "http://127.0.0.1:8120",
        value_name = "URL"
    )]
    pub url: String,
    /// File with the API token; without it the token is taken from the variable FIRSTRING_TOKEN
    #[arg(long, env = "FIRSTRING_TOKEN_FILE", value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// File with certificates (PEM) that are good besides the public ones
    #[arg(long, value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
}

/// `firstring seat`
#[derive(Clone, Debug, Args)]
pub struct SeatPage {
    #[command(flatten)]
    pub server: Server,
    /// Another seat than the token's own (supervisors and admins)
    #[arg(long, value_name = "SEAT")]
    pub seat: Option<String>,
    /// Language of the page; L changes it
    #[arg(long, default_value = "zh", value_parser = ["zh", "en"])]
    pub lang: String,
    /// Print what there is as plain text, and end
    #[arg(long)]
    pub once: bool,
}

/// `firstring selftest`
#[derive(Clone, Debug, Args)]
pub struct SelfTest {
    /// These trunks; by default every one that has a number to be called
    #[arg(value_name = "TRUNK", conflicts_with = "report")]
    pub trunks: Vec<String>,
    /// Print the report of a month instead, such as 2026-11; this month by default
    #[arg(long, value_name = "MONTH", num_args = 0..=1, default_missing_value = "")]
    pub report: Option<String>,
    #[command(flatten)]
    pub server: Server,
    /// Language of what is printed
    #[arg(long, default_value = "zh", value_parser = ["zh", "en"])]
    pub lang: String,
}

/// `firstring why`
#[derive(Clone, Debug, Args)]
pub struct WhyCall {
    /// The call
    pub call: CallId,
    /// A journal segment, or the folder of a journal
    #[arg(
        long,
        default_value = "/var/lib/firstring/journal",
        value_name = "PATH"
    )]
    pub journal: PathBuf,
    /// Language of the sentences
    #[arg(long, default_value = "zh", value_parser = ["zh", "en"])]
    pub lang: String,
}

/// `firstring migrate`
#[derive(Clone, Debug, Args)]
pub struct Migrate {
    #[command(flatten)]
    pub file: ConfigFile,
}

/// `firstring ring`
#[derive(Clone, Debug, Args)]
pub struct Ring {
    /// Whom to call, such as sip:120@192.0.2.10:5060
    pub target: String,
    /// The calling number shown
    #[arg(long, default_value = "13800138000")]
    pub from: String,
    /// What the caller says (WAV, 8 kHz mono); a tone otherwise
    #[arg(long, value_name = "FILE")]
    pub say: Option<PathBuf>,
    /// Seconds until the caller hangs up
    #[arg(long, default_value_t = 15, value_parser = clap::value_parser!(u32).range(1..=3600))]
    pub seconds: u32,
}

/// Does what the command line says.
#[must_use]
pub fn run(line: CommandLine) -> ExitCode {
    let code = match line.command {
        Command::Check(check) => run_check(&check),
        Command::Config(ConfigCommand::Show(show)) => run_config_show(&show),
        Command::Demo(demo) => run_demo(&demo),
        Command::Serve(serve) => with_config(&serve.file, |config, _| run_serve(config, &serve)),
        Command::Replay(replay) => run_replay(&replay),
        Command::Module(ModuleCommand::Dispatch(module)) => {
            run_module(modules::Kind::Dispatch, &module)
        }
        Command::Module(ModuleCommand::Emr(module)) => run_module(modules::Kind::Emr, &module),
        Command::Simulate(simulate) => simulate::run_simulate(&simulate),
        Command::Seat(page) => run_seat(page),
        Command::Selftest(test) => run_self_test(test),
        Command::Why(why) => run_why(&why),
        Command::Migrate(migrate) => with_config(&migrate.file, |config, _| run_migrate(config)),
        Command::Ring(ring) => run_ring(&ring),
    };
    ExitCode::from(code)
}

/// Loads the configuration, says its warnings, and goes on when it is good.
fn with_config(file: &ConfigFile, go_on: impl FnOnce(Config, &Origins) -> u8) -> u8 {
    match config::load(&file.config) {
        Ok((config, origins)) => {
            report(&origins.warnings);
            go_on(config, &origins)
        }
        Err(faults) => {
            report(&faults);
            eprintln!("{}: refused, {}", file.config.display(), summary(&faults));
            USAGE
        }
    }
}

fn report(faults: &[Fault]) {
    for fault in faults {
        eprintln!("{fault}");
    }
}

/// `2 errors, 1 warning`
fn summary(faults: &[Fault]) -> String {
    let count = |severity, word: &str| {
        let n = faults
            .iter()
            .filter(|fault| fault.severity == severity)
            .count();
        format!("{n} {word}{}", if n == 1 { "" } else { "s" })
    };
    format!(
        "{}, {}",
        count(Severity::Error, "error"),
        count(Severity::Warning, "warning")
    )
}

fn run_check(check: &Check) -> u8 {
    with_config(&check.file, |config, origins| {
        let mut found = Vec::new();
        let looked = run_async(async {
            found = engine::look_at_site(&check.file.config, &config, origins, check.offline).await;
            Ok::<(), std::io::Error>(())
        });
        report(&found);
        let refused = found.iter().any(|fault| fault.severity == Severity::Error);
        found.extend(origins.warnings.iter().cloned());
        println!(
            "{}: {}, {}; {} trunks, {} seats, {} destinations",
            check.file.config.display(),
            if refused { "not good here" } else { "good" },
            summary(&found),
            config.sip.trunks.len(),
            config.sip.seats.len(),
            config.destinations.len()
        );
        if refused || (check.strict && !found.is_empty()) {
            FAILED
        } else {
            looked
        }
    })
}

fn run_config_show(show: &ConfigShow) -> u8 {
    with_config(&show.file, |_, origins| {
        if show.origin {
            print!("{origins}");
        } else {
            for value in &origins.values {
                println!("{} = {}", value.key, value.value);
            }
        }
        DONE
    })
}

fn run_demo(demo: &Demo) -> u8 {
    let options = demo::Options {
        once: demo.once,
        load: demo.load,
        host: demo.host,
        port: demo.port,
        dir: demo.dir.clone(),
    };
    run_async(demo::run(options, demo::told_to_end()))
}

fn run_serve(config: Config, serve: &Serve) -> u8 {
    let options = engine::ServeOptions {
        config: serve.file.config.clone(),
        ready_file: serve.ready_file.clone(),
        drain: Duration::from_secs(serve.drain_s),
    };
    run_async(async move {
        let hash = engine::serve(config, options).await?;
        println!("state {hash}");
        Ok::<(), engine::ServeError>(())
    })
}

fn run_replay(replay: &Replay) -> u8 {
    if let Some(code) = missing_path(&replay.journal) {
        return code;
    }
    match engine::replay(&replay.journal) {
        Ok(replayed) => {
            println!("{} inputs, {} events", replayed.inputs, replayed.events);
            println!("state {}", replayed.state_hash);
            DONE
        }
        Err(error) => failed(&error),
    }
}

fn run_module(kind: modules::Kind, module: &Module) -> u8 {
    let read = |path: &Path| std::fs::read_to_string(path).map(|text| text.trim().to_owned());
    if let Some(code) = missing_path(&module.secret_file) {
        return code;
    }
    let (secret, token) = match (
        read(&module.secret_file),
        module.token_file.as_deref().map(read).transpose(),
    ) {
        (Ok(secret), Ok(token)) => (secret, token),
        (Err(error), _) | (_, Err(error)) => return failed(&error),
    };
    let options = modules::Options {
        kind,
        listen: module.listen,
        database: module.database.clone(),
        secret,
        engine: module.engine.clone(),
        token,
    };
    run_async(modules::run(options, |address| {
        println!("{} module ready at http://{address}", kind.name())
    }))
}

/// The token of a server's client; says what is missing.
fn token_of(server: &Server) -> Option<String> {
    let token = match &server.token_file {
        Some(path) => match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) => {
                eprintln!("{}: {error}", path.display());
                return None;
            }
        },
        None => std::env::var("FIRSTRING_TOKEN").unwrap_or_default(),
    };
    if token.trim().is_empty() {
        eprintln!("no token: name its file with --token-file, or set FIRSTRING_TOKEN");
        return None;
    }
    Some(token.trim().to_owned())
}

fn language_of(lang: &str) -> terminal::Language {
    if lang == "en" {
        terminal::Language::En
    } else {
        terminal::Language::Zh
    }
}

fn run_seat(page: SeatPage) -> u8 {
    let Some(token) = token_of(&page.server) else {
        return USAGE;
    };
    run_async(terminal::run(terminal::Options {
        server: page.server.url,
        token,
        seat: page.seat,
        language: language_of(&page.lang),
        once: page.once,
        authority: page.server.ca_file,
    }))
}

fn run_self_test(test: SelfTest) -> u8 {
    let Some(token) = token_of(&test.server) else {
        return USAGE;
    };
    run_async(terminal::self_test(terminal::SelfTestOptions {
        server: test.server.url,
        token,
        language: language_of(&test.lang),
        trunks: test.trunks,
        report: test.report,
        authority: test.server.ca_file,
    }))
}

fn run_why(why: &WhyCall) -> u8 {
    if let Some(code) = missing_path(&why.journal) {
        return code;
    }
    match engine::why(&why.journal, why.call) {
        Ok(told) if told.is_empty() => {
            eprintln!("{}: the journal tells of no such call", why.call);
            FAILED
        }
        Ok(told) => {
            for because in told {
                let sentence = if why.lang == "en" {
                    because.what.en()
                } else {
                    because.what.zh()
                };
                println!("{} {sentence}", because.at.rfc3339());
            }
            DONE
        }
        Err(error) => failed(&error),
    }
}

fn run_migrate(config: Config) -> u8 {
    run_async(async move {
        let store = Store::open(&config.store.database)
            .await
            .map_err(std::io::Error::other)?;
        store.ensure_ready().await.map_err(std::io::Error::other)?;
        println!("the database has this version's tables");
        Ok::<(), std::io::Error>(())
    })
}

fn run_ring(ring: &Ring) -> u8 {
    run_async(demo::ring(
        ring.target.clone(),
        ring.from.clone(),
        ring.say.clone(),
        Duration::from_secs(ring.seconds.into()),
    ))
}

/// Runs one asynchronous command to its end.
fn run_async<E: std::fmt::Display + From<std::io::Error>>(
    command: impl Future<Output = Result<(), E>>,
) -> u8 {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    match runtime
        .map_err(E::from)
        .and_then(|runtime| runtime.block_on(command))
    {
        Ok(()) => DONE,
        Err(error) => failed(&error),
    }
}

fn failed(error: &dyn std::fmt::Display) -> u8 {
    eprintln!("{error}");
    FAILED
}

/// A file that must be there and is not.
fn missing_path(path: &Path) -> Option<u8> {
    if path.exists() {
        return None;
    }
    eprintln!("{} does not exist: name an existing file", path.display());
    Some(USAGE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_well_formed_and_its_help_has_examples_and_exit_codes() {
        CommandLine::command().debug_assert();
        let help = CommandLine::command().render_long_help().to_string();
        for part in [
            "Examples:",
            "Exit codes:",
            "demo",
            "serve",
            "check",
            "config",
            "replay",
            "module",
            "simulate",
            "seat",
            "migrate",
            "ring",
            "selftest",
        ] {
            assert!(help.contains(part), "{part} is not in the help:\n{help}");
        }
    }

    #[test]
    fn what_people_type_is_understood() {
        for line in [
            "firstring demo --once",
            "firstring demo --load 20 --host 192.0.2.7",
            "firstring serve -c x.toml",
            "firstring check --strict --offline --config x.toml",
            "firstring config show --origin",
            "firstring seat --once --lang en --url https://firstring.example --token-file t --seat 801",
            "firstring replay journal",
            "firstring selftest",
            "firstring selftest ct cmcc --lang en --token-file t",
            "firstring selftest --report",
            "firstring selftest --report 2026-11",
            "firstring module dispatch --database d.db --secret-file s --engine http://127.0.0.1:8120 --token-file t",
            "firstring simulate --seeds 1000",
            "firstring simulate --seed 4711 --trace",
            "firstring simulate --what-if --seats 3..9 --growth -20 --goal 90 --within 15 --plot x.svg --lang en",
            "firstring simulate --what-if --journal journal --seed 3",
            "firstring ring sip:120@127.0.0.1:5060 --seconds 5 --log debug --log-format json",
        ] {
            if let Err(error) = CommandLine::try_parse_from(line.split(' ')) {
                panic!("{line}: {error}");
            }
        }
        for line in [
            "firstring demo --load 0",
            "firstring simulate --seats 3",
            "firstring simulate --what-if --seats 0",
            "firstring simulate --what-if --seats 9..3",
            "firstring simulate --what-if --journal journal --days 3",
            "firstring simulate --what-if --flood",
            "firstring simulate --reference --small",
            "firstring simulate --seed 1 --first 2",
        ] {
            assert!(
                CommandLine::try_parse_from(line.split(' ')).is_err(),
                "{line}"
            );
        }
        assert!(CommandLine::try_parse_from(["firstring"]).is_err());
    }
}
