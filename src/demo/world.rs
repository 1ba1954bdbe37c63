//! The demo's surroundings: both modules as processes of their own, two carriers' exchanges, a line-data source.

use std::net::{IpAddr, SocketAddr};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::Path;
use axum::routing::get;
use axum::{Json, Router};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;

use super::{DemoError, trunk};
use crate::media::prompt;
use crate::sim::centre::Centre;
use crate::sim::phone::{Phone, Speech};

/// A carrier's address on loopback.
const CARRIERS: [(&str, [u8; 4], &str); 2] = [
    ("telecom", [127, 0, 0, 2], "ct"),
    ("mobile", [127, 0, 0, 3], "cmcc"),
];
/// A module that has not said where it listens by then is broken.
const MODULE_START: Duration = Duration::from_secs(15);
/// A doctor picks up after this.
const DOCTOR_RINGS: Duration = Duration::from_secs(3);

/// What stands around the engine.
pub(super) struct World {
    modules: Vec<(&'static str, SocketAddr, Child)>,
    tasks: Vec<JoinHandle<()>>,
    /// The carriers' addresses: callers come from there.
    pub carriers: Vec<IpAddr>,
}

impl World {
    /// Start it, and write into `centre` how it is reached. `sip` is the engine's port, if it is free.
    pub(super) async fn start(
        centre: &mut Centre,
        addresses: &mut super::Addresses,
        sip: u16,
    ) -> Result<Self, DemoError> {
        let mut world = Self {
            modules: Vec::new(),
            tasks: Vec::new(),
            carriers: Vec::new(),
        };
        for kind in ["dispatch", "emr"] {
            let (address, child) = module(kind, centre).await?;
            centre
                .destinations
                .push((kind.to_owned(), format!("http://{address}/hook")));
            world.modules.push((kind, address, child));
        }
        let sip = addresses.take(super::LOOPBACK, sip)?;
        centre.listeners = vec![("udp".to_owned(), "udp", sip)];
        for (order, (id, ip, profile)) in (1..).zip(CARRIERS) {
            let ip = IpAddr::from(ip);
            let exchange = Phone::new(SocketAddr::new(ip, 0), sip, id, "").await?;
            centre
                .trunks
                .push(trunk(id, ip, exchange.address()?, profile, order));
            world.carriers.push(ip);
            world.keep(exchange_lives(exchange));
        }
        let line_data = line_data(&mut world).await?;
        centre.line_data = Some(format!("http://{line_data}/line/{{number}}"));
        Ok(world)
    }

    /// Name and address of each module.
    pub(super) fn modules(&self) -> impl Iterator<Item = (&'static str, SocketAddr)> + '_ {
        self.modules
            .iter()
            .map(|(name, address, _)| (*name, *address))
    }

    /// Run `task` as long as the demo.
    #[expect(
        clippy::disallowed_methods,
        reason = "the handle is kept and ended by stop"
    )]
    pub(super) fn keep(&mut self, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.push(tokio::spawn(task));
    }

    /// End everything.
    pub(super) async fn stop(mut self) {
        for task in &self.tasks {
            task.abort();
        }
        for (_, _, child) in &mut self.modules {
            drop(child.kill().await);
        }
    }
}

/// Start a module of this very program; it says where it listens.
async fn module(kind: &'static str, centre: &mut Centre) -> Result<(SocketAddr, Child), DemoError> {
    centre.write()?; // its secrets must lie there
    let broken = |reason: String| DemoError::Module(format!("{kind}: {reason}"));
    let secret_name = format!("destination-{kind}");
    centre.secret(&secret_name);
    centre.secret("token-module");
    centre.write()?;
    let mut command = Command::new(std::env::current_exe()?);
    command
        .args(["module", kind, "--listen", "127.0.0.1:0", "--database"])
        .arg(centre.dir.join(format!("{kind}.db")));
    command
        .arg("--secret-file")
        .arg(centre.secret_file(&secret_name));
    if kind == "dispatch" {
        command
            .arg("--engine")
            .arg(format!("http://{}", centre.api))
            .arg("--token-file")
            .arg(centre.secret_file("token-module"));
    }
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let output = child
        .stdout
        .take()
        .ok_or_else(|| broken("no output".to_owned()))?;
    let mut lines = BufReader::new(output).lines();
    let said = tokio::time::timeout(MODULE_START, lines.next_line())
        .await
        .map_err(|_| broken("it says nothing".to_owned()))??;
    let said = said.ok_or_else(|| broken("it ended at once".to_owned()))?;
    let address = said
        .rsplit(' ')
        .next()
        .and_then(|text| text.trim_start_matches("http://").parse().ok());
    Ok((
        address.ok_or_else(|| broken(format!("it said {said:?}")))?,
        child,
    ))
}

/// A carrier's exchange: answers OPTIONS, and whoever is rung through it picks up and says a number of seconds of tone.
async fn exchange_lives(mut exchange: Phone) {
    loop {
        let answered = exchange
            .answer(DOCTOR_RINGS, Speech::tone(800), Duration::from_secs(3600))
            .await;
        if let Ok(Some(talk)) = answered {
            drop(exchange.hung_up(talk, Duration::from_secs(3600)).await);
        }
    }
}

/// A carrier's line-data service: landlines have an owner and an address, mobiles are not known.
async fn line_data(world: &mut World) -> Result<SocketAddr, DemoError> {
    async fn line(
        Path(number): Path<String>,
    ) -> Result<Json<serde_json::Value>, axum::http::StatusCode> {
        if !number.starts_with("0755") {
            return Err(axum::http::StatusCode::NOT_FOUND);
        }
        Ok(Json(serde_json::json!({
            "owner": "王建国", "number": number, "carrier": "中国电信", "install_address": "深圳市福田区莲花路 18 号 3 栋 502", "box_address": "莲花北村 7 号交接箱",
        })))
    }
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let app = Router::new().route("/line/{number}", get(line));
    world.keep(async move { drop(axum::serve(listener, app).await) });
    Ok(address)
}

/// Chinese callers' speeches, from `prompts/callers`.
pub(super) fn speeches(prompts: &std::path::Path) -> Result<Vec<Speech>, DemoError> {
    let mut paths: Vec<_> = std::fs::read_dir(prompts.join("callers"))?
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|kind| kind == "wav"))
        .collect();
    paths.sort();
    paths
        .iter()
        .map(|path| {
            Ok(Speech {
                samples: Arc::from(prompt::speech(path)?),
                repeat: false,
            })
        })
        .collect()
}
