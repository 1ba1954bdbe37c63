//! `firstring demo`: a whole practice centre in one command. The engine runs in this process as in production; both modules are
//! child processes; carriers, callers and a seat are telephones of [`crate::sim::phone`] over real UDP on loopback addresses.
//!
//! ```text
//! modules (children) -> configuration written -> engine -> carriers, seat -> callers -> [once: check and end]
//! ```

mod check;
mod people;
mod world;

use std::net::{IpAddr, SocketAddr};
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

/// How a demo is run.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// One call to its end, checked; then exit.
    pub once: bool,
    /// Callers at once on a busy evening.
    pub load: Option<u16>,
    /// An address of this machine at which a real phone on the network may dial 120.
    pub host: Option<IpAddr>,
    /// Port of the page, if it is free.
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
    let seats = people::simulated_seats(options.load);
    for seat in seats
        .iter()
        .filter(|seat| !centre.seats.iter().any(|(id, _)| id == *seat))
        .cloned()
        .collect::<Vec<_>>()
    {
        centre.seats.push((seat, false));
    }
    centre.api = free_address(options.port)?;
    if options.host.is_some() {
        for seat in ["800", "802", people::DIALS_120] {
            centre.readable_secret(&format!("seat-{seat}"));
        }
    }
    say("starting the modules, two carriers and their callers");
    let mut world = World::start(&mut centre).await?;
    if let Some(host) = options.host {
        open_to(host, &mut centre)?;
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
    let engine = engine::start(config).await?;
    let outcome = if options.once {
        check::one_call(&engine, &mut centre, &mut world).await
    } else {
        play(&engine, &mut centre, &mut world, &options, stop).await
    };
    drop(engine.stop(Duration::from_secs(2)).await);
    world.stop().await;
    outcome
}

/// The living demo: prints where to look, then people call until it is stopped.
async fn play(
    engine: &Engine,
    centre: &mut Centre,
    world: &mut World,
    options: &Options,
    stop: impl Future<Output = ()>,
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
        phone_card(engine, centre, host);
    }
    say("a simulated seat answers when no real one does; Ctrl-C ends the demo");
    let callers = options.load.map_or(1, u32::from);
    let seats = people::simulated_seats(options.load);
    tokio::select! {
        result = people::live(engine, centre, world, callers, &seats) => result,
        () = stop => { say("ending: no new calls, open calls are released"); Ok(()) }
    }
}

/// Listeners at `host` for real phones: UDP, TCP and, with a certificate of a throw-away CA, TLS.
fn open_to(host: IpAddr, centre: &mut Centre) -> Result<(), DemoError> {
    let sip = free_address_at(host, 5060)?;
    centre.listeners.push(("network".to_owned(), "udp", sip));
    centre
        .listeners
        .push(("network-tcp".to_owned(), "tcp", sip));
    let [certificate, key] = certificate(host, centre)?;
    let tls = free_address_at(host, 5061)?;
    centre.more.push_str(&format!(
        "\n[sip.listeners.network-tls]\ntransport = \"tls\"\nbind = \"{tls}\"\ncertificate = \"{}\"\nkey = \"{}\"\n",
        certificate.display(),
        key.display(),
    ));
    // Media of real phones comes to this machine's address, that of the demo's own telephones too.
    centre
        .lines
        .insert("media", vec![format!("advertised = \"{host}\"")]);
    centre.media = IpAddr::from([0, 0, 0, 0]);
    Ok(())
}

/// A certificate for `host` under a CA that nobody trusts until a person installs `ca.pem`.
fn certificate(host: IpAddr, centre: &Centre) -> Result<[PathBuf; 2], DemoError> {
    use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
    let key = KeyPair::generate()?;
    let mut authority = CertificateParams::new(Vec::new())?;
    authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    authority
        .distinguished_name
        .push(DnType::CommonName, "Firstring demo (throw-away)");
    let root = authority.self_signed(&key)?;
    let issuer = Issuer::new(authority, key);
    let own_key = KeyPair::generate()?;
    let own = CertificateParams::new(vec![host.to_string()])?.signed_by(&own_key, &issuer)?;
    let path = |name: &str| centre.dir.join(name);
    std::fs::create_dir_all(&centre.dir)?;
    std::fs::write(path("ca.pem"), root.pem())?;
    std::fs::write(path("network.pem"), own.pem())?;
    let secret = path("network.key");
    std::fs::write(&secret, own_key.serialize_pem())?;
    std::fs::set_permissions(&secret, std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
    Ok([path("network.pem"), secret])
}

/// What to type into a softphone, and a QR of it.
fn phone_card(engine: &Engine, centre: &mut Centre, host: IpAddr) {
    let port = |name: &str| {
        let bound = engine.addresses().sip.iter().find(|(id, ..)| id == name);
        bound.map_or(5060, |(_, _, address)| address.port())
    };
    let (plain, tls) = (port("network"), port("network-tls"));
    say("");
    say("phones on this network (Linphone, MicroSIP, Zoiper, a desk phone):");
    say(&format!(
        "  server  {host}:{plain} (UDP or TCP), {host}:{tls} (TLS, trust {}/ca.pem)",
        centre.dir.display()
    ));
    say("  codec   PCMA (G.711 A-law); DTMF as RFC 2833/4733");
    for (seat, role) in [
        (
            "802",
            "a seat: calls ring here, the simulated seats stand back",
        ),
        (
            people::DIALS_120,
            "dial 120 from this one; calls never ring here",
        ),
        ("800", "the supervisor's phone, for listening"),
    ] {
        let secret = centre.secret(&format!("seat-{seat}"));
        say(&format!("  user    {seat}   password {secret}   {role}"));
    }
    say("  scan to dial 120 from a phone that is signed in:");
    let text = format!("sip:120@{host}:{plain}");
    if let Ok(code) =
        qrcode::QrCode::with_error_correction_level(text.as_bytes(), qrcode::EcLevel::L)
    {
        // Two modules per character: as small as a terminal can show it.
        let picture = code
            .render::<qrcode::render::unicode::Dense1x2>()
            .quiet_zone(true)
            .dark_color(qrcode::render::unicode::Dense1x2::Light)
            .light_color(qrcode::render::unicode::Dense1x2::Dark)
            .build();
        say(&picture);
    }
}

/// An address on loopback: `port` if it is free, else any.
fn free_address(port: u16) -> std::io::Result<SocketAddr> {
    free_address_at(IpAddr::from([127, 0, 0, 1]), port)
}

fn free_address_at(ip: IpAddr, port: u16) -> std::io::Result<SocketAddr> {
    let listener = std::net::TcpListener::bind((ip, port))
        .or_else(|_| std::net::TcpListener::bind((ip, 0)))?;
    listener.local_addr()
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
