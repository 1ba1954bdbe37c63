//! `firstring demo`: a whole practice centre in one command. The engine runs in this process as in production; both modules are
//! child processes; carriers, callers and a seat are telephones of [`crate::sim::phone`] over real UDP on loopback addresses.
//!
//! ```text
//! modules (children) -> configuration written -> engine -> carriers, seat -> callers -> [once: check and end]
//! ```

mod check;
mod people;
mod phones;
mod world;

use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::path::PathBuf;
use std::time::Duration;

use crate::api::Caller;
use crate::config;
use crate::engine::{self, Engine};
use crate::id::SeatId;
use crate::sim::centre::{CarrierTrunk, Centre};
use crate::sim::phone::{Dial, Phone, Speech};
use crate::switch::Role;
use world::World;

const LOOPBACK: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

/// How a demo is run.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// One call to its end, checked; then exit.
    pub once: bool,
    /// Callers at once on a busy evening.
    pub load: Option<u16>,
    /// An address of this machine at which a real phone on the network may dial 120.
    pub host: Option<IpAddr>,
    /// Port of the page, if it is free; 0 = any, for the telephones' side too.
    pub port: u16,
    /// Where the centre's files lie; a fresh temporary directory when absent.
    pub dir: Option<PathBuf>,
}

/// Why a demo ended badly. Each text says what to do.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    #[error("cannot write the practice centre: {0}")]
    Files(#[from] std::io::Error),
    #[error("a module did not start: {0}")]
    Module(String),
    #[error("the written configuration is refused, which is a fault of the demo: {0}")]
    Config(String),
    #[error(transparent)]
    Engine(#[from] engine::StartError),
    #[error("a telephone of the demo failed: {0}")]
    Phone(#[from] crate::sim::phone::PhoneError),
    #[error("prompts: {0}")]
    Prompt(#[from] crate::media::prompt::PromptError),
    #[error("no certificate for real phones: {0}")]
    Certificate(#[from] rcgen::Error),
    #[error("no code to scan: {0}")]
    Code(#[from] qrcode::types::QrError),
    #[error(
        "{ip} is no address of this machine that can be listened at ({source}); `ip addr` lists them"
    )]
    Address { ip: IpAddr, source: std::io::Error },
    #[error("the call was made, but {0}")]
    Check(String),
}

/// Run the demo; returns when it is over (`once`) or `stop` resolves.
///
/// # Errors
/// [`DemoError`]: what could not be started, or what a check found wrong.
pub async fn run(options: Options, stop: impl Future<Output = ()>) -> Result<(), DemoError> {
    let scratch = tempdir()?;
    let dir = options.dir.clone().unwrap_or_else(|| scratch.path.clone());
    let mut centre = Centre::new(&dir, 3);
    // 802 and 803 are for real phones; a busy evening needs more people who answer.
    let seats = people::simulated_seats(options.load, options.host.is_some());
    for seat in seats {
        if !centre.seats.iter().any(|(id, _)| *id == seat) {
            centre.seats.push((seat, false));
        }
    }
    tokio::pin!(stop);
    // Children end with the world, also when it is stopped while it starts.
    let (mut world, engine) = tokio::select! {
        started = start(&mut centre, &options) => started?,
        () = &mut stop => return Ok(()),
    };
    let outcome = tokio::select! {
        outcome = lives(&engine, &mut centre, &mut world, &options) => outcome,
        () = stop => { say("ending: no new calls, open calls are released"); Ok(()) }
    };
    drop(engine.stop(Duration::from_secs(2)).await);
    world.stop().await;
    outcome
}

/// Resolves at Ctrl-C or SIGTERM.
pub async fn told_to_end() {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut interrupt), Ok(mut terminate)) = (
        signal(SignalKind::interrupt()),
        signal(SignalKind::terminate()),
    ) else {
        return std::future::pending().await; // without handlers, the signals themselves end the process
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}

/// The surroundings first: the engine's configuration names them.
async fn start(centre: &mut Centre, options: &Options) -> Result<(World, Engine), DemoError> {
    let any_port = options.port == 0;
    let mut addresses = Addresses::default();
    centre.api = addresses.take(LOOPBACK, options.port)?;
    if options.host.is_some() {
        phones::accounts(centre);
    }
    say("starting the modules, two carriers and their callers");
    let world = World::start(centre, &mut addresses, if any_port { 0 } else { 5060 }).await?;
    if let Some(host) = options.host {
        phones::open_to(host, any_port, centre, &mut addresses)?;
    }
    // A practice centre does not make people wait for wrap-up.
    let wrap_up_ms = if options.once { 1000 } else { 4000 };
    centre
        .lines
        .insert("timers", vec![format!("wrap_up_ms = {wrap_up_ms}")]);
    let path = centre.write()?;
    let (config, _) = config::load(&path).map_err(|faults| {
        DemoError::Config(
            faults
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join("; "),
        )
    })?;
    say("starting the engine: database, journal, prompts, media, SIP, page");
    drop(addresses);
    Ok((world, engine::start(config).await?))
}

async fn lives(
    engine: &Engine,
    centre: &mut Centre,
    world: &mut World,
    options: &Options,
) -> Result<(), DemoError> {
    if options.once {
        check::one_call(engine, centre, world).await
    } else {
        play(engine, centre, world, options).await
    }
}

/// The living demo: prints where to look, then people call until it is stopped.
async fn play(
    engine: &Engine,
    centre: &mut Centre,
    world: &mut World,
    options: &Options,
) -> Result<(), DemoError> {
    let person = Caller::new("demo".to_owned(), Role::Admin, Some(SeatId::from("800")));
    let base = format!("http://{}", engine.addresses().api);
    say(&format!(
        "open   {base}{}   (one-time link; the page in Chinese and English)",
        engine.one_time_path(person)
    ));
    for (name, address) in world.modules() {
        let what = match name {
            "dispatch" => "dispatch: what it received; send, change and cancel vehicles",
            _ => "EMR: the record of every call",
        };
        say(&format!("module http://{address}   {what}"));
    }
    say(&format!(
        "files  {}   (configuration, journal, recordings)",
        centre.dir.display()
    ));
    if let Some(host) = options.host {
        let port = if options.port == 0 { 0 } else { 8121 };
        phones::invite(engine, centre, world, host, port).await?;
    }
    say("a simulated seat answers when no real one does; Ctrl-C ends the demo");
    let callers = options.load.map_or(1, u32::from);
    let seats = people::simulated_seats(options.load, options.host.is_some());
    people::live(engine, centre, world, callers, &seats).await
}

/// Addresses for the engine to listen at, held until it starts: none is given twice or taken by the demo's own helpers.
#[derive(Default)]
struct Addresses {
    held: Vec<(TcpListener, UdpSocket)>,
}

impl Addresses {
    /// How often the kernel may give a TCP port that is taken for UDP.
    const TRIES: usize = 20;

    /// An address at `ip`: `port` if it is free for UDP and TCP, else any.
    fn take(&mut self, ip: IpAddr, port: u16) -> Result<SocketAddr, DemoError> {
        let both = |port: u16| {
            let tcp = TcpListener::bind((ip, port))?;
            let address = tcp.local_addr()?;
            Ok((address, (tcp, UdpSocket::bind(address)?)))
        };
        let mut found = both(port);
        for _ in 0..Self::TRIES {
            found = found.or_else(|_| both(0));
        }
        let (address, sockets) =
            found.map_err(|source: std::io::Error| DemoError::Address { ip, source })?;
        self.held.push(sockets);
        Ok(address)
    }
}

#[expect(
    clippy::print_stdout,
    reason = "the demo speaks to the person who started it"
)]
fn say(line: &str) {
    println!("{line}");
}

/// A directory that goes when the demo goes.
struct Scratch {
    path: PathBuf,
}

fn tempdir() -> std::io::Result<Scratch> {
    let path =
        std::env::temp_dir().join(format!("firstring-demo-{}", uuid::Uuid::now_v7().simple()));
    std::fs::create_dir_all(&path)?;
    Ok(Scratch { path })
}

impl Drop for Scratch {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.path));
    }
}

fn trunk(
    id: &str,
    source: IpAddr,
    remote: SocketAddr,
    profile: &'static str,
    order: u16,
) -> CarrierTrunk {
    CarrierTrunk {
        id: id.to_owned(),
        source: source.to_string(),
        remote: Some(remote),
        profile,
        outbound: Some(order),
        lines: Vec::new(),
    }
}

/// `firstring ring`: place one call as a caller would, and say what was heard.
///
/// # Errors
/// The call was refused, or nobody answered.
pub async fn ring(
    target: String,
    from: String,
    say_file: Option<PathBuf>,
    talk: Duration,
) -> Result<(), DemoError> {
    let bad = || {
        DemoError::Config(format!(
            "{target:?} is no target; write sip:120@192.0.2.10:5060"
        ))
    };
    let (number, host) = target
        .trim_start_matches("sip:")
        .split_once('@')
        .ok_or_else(bad)?;
    let server: SocketAddr = host
        .parse()
        .or_else(|_| format!("{host}:5060").parse())
        .map_err(|_| bad())?;
    let speech = match say_file {
        Some(path) => Speech {
            samples: crate::media::prompt::speech(&path)?.into(),
            repeat: false,
        },
        None => Speech::tone(620),
    };
    let local: IpAddr = if server.ip().is_loopback() {
        IpAddr::from([127, 0, 0, 1])
    } else {
        IpAddr::from([0, 0, 0, 0])
    };
    let mut phone = Phone::new(SocketAddr::new(local, 0), server, &from, "").await?;
    let dial = Dial {
        number: number.to_owned(),
        ..Dial::default()
    };
    let call = phone.call(&dial, speech, Duration::from_secs(30)).await?;
    say(&format!("answered; listening for {} s", talk.as_secs()));
    tokio::time::sleep(talk).await;
    let heard = phone.hang_up(call).await?;
    let loudest = heard
        .iter()
        .map(|sample| sample.unsigned_abs())
        .max()
        .unwrap_or(0);
    say(&format!(
        "heard {:.1} s of audio, loudest sample {loudest} of 32768",
        heard.len() as f64 / 8000.0
    ));
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_address_is_given_twice_and_each_is_free_when_the_engine_starts() {
        let mut addresses = Addresses::default();
        let first = addresses.take(LOOPBACK, 0).unwrap();
        let mut given = BTreeSet::from([first]);
        for _ in 0..50 {
            assert!(given.insert(addresses.take(LOOPBACK, first.port()).unwrap()));
        }
        drop(addresses);
        TcpListener::bind(first).unwrap();
        UdpSocket::bind(first).unwrap();
    }
}
