//! The composition root: builds the parts, joins them with bounded channels, watches them, ends them in order.
//!
//! ```text
//! start:  prompts -> recordings repaired -> journal recovered -> store -> media -> sip -> enrich -> owner -> readers -> api
//! stop:   no new calls -> calls end (drain) -> sip, media -> owner flushes -> readers -> exit
//! ```

mod certificate;
mod follow;
mod history;
mod outlet;
mod owner;
mod pins;
mod recovery;
mod serve;
mod site;
mod tasks;
mod vitals;
mod watch;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use serde::Serialize;
use tokio::sync::{Notify, mpsc, watch as channel};

pub use owner::Ended;
pub use recovery::{ReplayError, Replayed, replay, why};
pub use serve::{Options as ServeOptions, ServeError, serve};
pub use site::look as look_at_site;

use crate::api::{self, App, Caller, Commands, Gatekeeper};
use crate::clock::Clock;
use crate::config::checked::Config;
use crate::deliver::{ClientError, Delivery};
use crate::enrich::Enrichment;
use crate::limits::INPUTS_MAX;
use crate::media::plane::Plane;
use crate::media::prompt::Prompts;
use crate::media::recorder::Recorder;
use crate::sip::endpoint::{self, Endpoint};
use crate::store::journal::{Faults, Journal, JournalOptions};
use crate::store::projector::{Projector, ProjectorStatus};
use crate::store::records::Store;
use crate::switch::{AlarmCode, InputKind, Policy, Switch, View};
use crate::time::Timestamp;
use outlet::Outlet;
use owner::Owner;
use pins::{PinPad, Pins};
use tasks::Tasks;

/// Version and build, as journaled.
pub const BUILD: &str = concat!(env!("CARGO_PKG_NAME"), " ", env!("CARGO_PKG_VERSION"));

/// At the end the readers may take this long to take in the last Events.
const PROJECT_WITHIN: Duration = Duration::from_secs(3);

/// Why the engine did not start. Each says what to do in its own words.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("recordings: {0}")]
    Recorder(#[from] crate::media::recorder::RecorderError),
    #[error("journal: {0}")]
    Journal(#[from] crate::store::journal::JournalError),
    #[error("store: {0}")]
    Store(#[from] crate::store::records::StoreError),
    #[error("media: {0}")]
    Media(#[from] crate::media::plane::StartError),
    #[error("SIP: {0}")]
    Sip(#[from] crate::sip::endpoint::SipError),
    #[error("enrichment: {0}")]
    Enrich(#[from] crate::enrich::EnrichError),
    #[error(transparent)]
    Destination(#[from] ClientError),
    #[error(transparent)]
    Api(#[from] api::ServeError),
    #[error("metrics: {0}")]
    Metrics(#[from] metrics_exporter_prometheus::BuildError),
}

/// Where a running engine can be reached.
#[derive(Clone, Debug, Serialize, serde::Deserialize)]
pub struct Addresses {
    pub api: SocketAddr,
    /// Listener id, transport, address.
    pub sip: Vec<(String, String, SocketAddr)>,
}

/// A running engine.
pub struct Engine {
    addresses: Addresses,
    app: Arc<App>,
    endpoint: Arc<Endpoint>,
    plane: Plane,
    recorder: Recorder,
    served: api::Served,
    owner: tokio::task::JoinHandle<Ended>,
    stop_owner: tokio::sync::oneshot::Sender<()>,
    readers: Tasks,
    progress: Progress,
    inputs: mpsc::Sender<InputKind>,
    pins: Pins,
}

/// How far those readers are whose last work an ordered end waits for.
struct Progress {
    projected: channel::Receiver<ProjectorStatus>,
    captures: channel::Receiver<u64>,
}

impl Progress {
    async fn reaches(&mut self, last: u64) {
        drop(
            self.projected
                .wait_for(|status| status.cursor >= last)
                .await,
        );
        drop(self.captures.wait_for(|cursor| *cursor >= last).await);
    }
}

/// What joins the parts: made first, handed to all.
struct Channels {
    inputs: mpsc::Sender<InputKind>,
    inbox: mpsc::Receiver<InputKind>,
    view: channel::Sender<Arc<View>>,
    beat: channel::Sender<Timestamp>,
    /// The projector has written; deliveries may look.
    wake: Arc<Notify>,
}

impl Channels {
    fn new(policy: &Policy) -> Self {
        // What a request may find before the first Input.
        let first = View {
            language: policy.language.clone(),
            groups: Arc::clone(&policy.groups),
            ..View::default()
        };
        let (inputs, inbox) = mpsc::channel(INPUTS_MAX);
        let (view, _) = channel::channel(Arc::new(first));
        let (beat, _) = channel::channel(Clock::process().now());
        Self {
            inputs,
            inbox,
            view,
            beat,
            wake: Arc::default(),
        }
    }
}

/// What outlives a process: the journal, the records, and the switch as the journal tells it.
struct Memory {
    journal: Journal,
    store: Store,
    switch: Switch,
    /// The journal's state could not be read whole; what must outlive it is folded from its Events.
    state_lost: bool,
    /// Random beginning of this process's ids.
    seed: u64,
}

impl Memory {
    async fn open(config: &Config) -> Result<Self, StartError> {
        let mut options = JournalOptions::new(BUILD);
        if config.policy.allow_faults {
            options.faults = Faults::from_file(config.store.journal.join("faults"));
        }
        let (journal, recovered) = Journal::open(&config.store.journal, options)?;
        let store = Store::open(&config.store.database).await?;
        let seed = Clock::process().now().as_micros().unsigned_abs();
        let (switch, state_lost) = recovery::recover(recovered, seed, &config.policy);
        Ok(Self {
            journal,
            store,
            switch,
            state_lost,
            seed,
        })
    }

    /// The first Inputs: whatever else comes is of this process.
    async fn say_started(&self, config: &Config, inputs: &mpsc::Sender<InputKind>) {
        let started = InputKind::Started {
            seed: self.seed,
            build: BUILD.to_owned(),
            policy: Box::new(config.policy.clone()),
        };
        drop(inputs.send(started).await);
        for missing in recovery::missing_recordings(&self.switch, &config.recording.dir) {
            // Nobody reads the inbox yet: what has no place in it is settled by the switch's own timer.
            if inputs.try_send(missing).is_err() {
                break;
            }
        }
    }
}

/// What touches callers and seats.
struct Hands {
    recorder: Recorder,
    plane: Plane,
    endpoint: Arc<Endpoint>,
    enrichment: Enrichment,
}

impl Hands {
    fn start(
        config: &Config,
        prompts: Prompts,
        memory: &Memory,
        inputs: &mpsc::Sender<InputKind>,
    ) -> Result<Self, StartError> {
        let workers = Plane::worker_count(&config.media);
        let (recorder, taps, tap_control) =
            Recorder::start(&config.recording.dir, workers, inputs.clone())?;
        let plane = Plane::start(
            &config.media,
            Arc::new(prompts),
            taps,
            tap_control,
            inputs.clone(),
        )?;
        let endpoint = endpoint::start(
            &config.sip,
            Arc::new(plane.clone()),
            inputs.clone(),
            memory.switch.seat_bindings(),
        )?;
        let history = Arc::new(history::StoreHistory::new(memory.store.clone()));
        let enrichment = Enrichment::start(&config.enrich, history, inputs.clone())?;
        Ok(Self {
            recorder,
            plane,
            endpoint: Arc::new(endpoint),
            enrichment,
        })
    }
}

/// What reads the journal and watches the machine. None of it is on a call's path.
fn start_readers(
    config: &Config,
    memory: &Memory,
    hands: &Hands,
    channels: &Channels,
) -> Result<(Tasks, Progress), StartError> {
    let (inputs, store, wake) = (&channels.inputs, &memory.store, &channels.wake);
    let events = memory.journal.reader();
    let projector = Projector::new(events.clone(), store.clone(), config, Arc::clone(wake));
    let projected = projector.status();
    let mut readers = Tasks::default();
    readers.spawn("projector", projector.run());
    let (done, captures) = channel::channel(events.last());
    let recordings = config.recording.dir.clone();
    readers.spawn(
        "captures",
        follow::drop_captures(events.clone(), recordings, done),
    );
    readers.spawn("answers", vitals::measure_answers(events));
    for destination in &config.destinations {
        let delivery = Delivery::new(destination, store.clone(), Arc::clone(wake), inputs.clone())?;
        readers.spawn("delivery", delivery.run());
    }
    let watch = watch::Watch {
        plane: hands.plane.clone(),
        dirs: vec![config.store.journal.clone(), config.recording.dir.clone()],
        projector: projected.clone(),
        store: store.clone(),
        inputs: inputs.clone(),
    };
    readers.spawn("watch", watch.run());
    if memory.state_lost {
        let remembered = recovery::remember(memory.journal.reader(), inputs.clone());
        readers.spawn("marks", remembered);
    }
    if let Some(task) = hands.endpoint.take_task() {
        readers.spawn("sip", async move { drop(task.await) });
    }
    let progress = Progress {
        projected,
        captures,
    };
    Ok((readers, progress))
}

/// The sounds there are; what is missing is an alarm, never a reason to take no calls.
fn load_prompts(config: &Config) -> (Prompts, InputKind) {
    let others = config.policy.menus.languages();
    let (prompts, mut faults) = Prompts::load(&config.prompts, &config.policy.language, others);
    faults.extend(prompts.require(crate::switch::prompts_played()).err());
    let detail: Vec<String> = faults.iter().map(ToString::to_string).collect();
    for fault in &detail {
        tracing::error!(%fault, "callers do not hear all announcements");
    }
    let alarm = InputKind::Alarm {
        code: AlarmCode::PromptsMissing,
        subject: "prompts".to_owned(),
        raised: !detail.is_empty(),
        detail: detail.join(". "),
    };
    (prompts, alarm)
}

/// The key that signs evidence; a bad one is told and costs only the bundles.
fn evidence_signer(config: &Config) -> Option<Arc<api::Signer>> {
    let loaded = api::Signer::load(config.evidence_key.as_ref()?);
    loaded
        .inspect_err(|error| tracing::error!(%error, "evidence of marks cannot be signed"))
        .ok()
        .map(Arc::new)
}

/// Start everything.
///
/// # Errors
/// [`StartError`]: the first part that could not start, and why. Nothing is left running.
pub async fn start(config: Config) -> Result<Engine, StartError> {
    let metrics = vitals::exporter()?;
    let memory = Memory::open(&config).await?;
    let channels = Channels::new(&config.policy);
    memory.say_started(&config, &channels.inputs).await;
    let (prompts, alarm) = load_prompts(&config);
    drop(channels.inputs.send(alarm).await);
    let hands = Hands::start(&config, prompts, &memory, &channels.inputs)?;
    let (mut readers, progress) = start_readers(&config, &memory, &hands, &channels)?;

    let commands = Commands::new(channels.inputs.clone());
    let vitals = vitals::Figures::new(
        &memory.journal,
        &hands.endpoint,
        &hands.plane,
        channels.view.subscribe(),
        channels.beat.subscribe(),
        progress.projected.clone(),
        metrics,
    );
    let (trail, trail_writer) = api::Trail::new(memory.store.clone());
    readers.spawn("audit", trail_writer.run());
    let app = Arc::new(App {
        gatekeeper: Gatekeeper::new(config.api.tokens.clone()),
        commands: commands.clone(),
        view: channels.view.subscribe(),
        store: memory.store,
        events: memory.journal.reader(),
        recordings: config.recording.dir.clone(),
        prompts: config.prompts.clone(),
        vitals: Arc::new(vitals),
        secure: config.api.tls.is_some(),
        evidence: evidence_signer(&config),
        playbacks: api::Playbacks::default(),
        trail,
    });
    let (served, serving) = api::serve(&config.api, api::app(Arc::clone(&app))).await?;
    readers.spawn("api", async move { drop(serving.await) });

    let outlet = Outlet {
        endpoint: Arc::clone(&hands.endpoint),
        plane: hands.plane.clone(),
        enrichment: hands.enrichment,
        commands,
    };
    let pins: Pins = Arc::new(ArcSwap::from_pointee(config.pins));
    let owner = Owner::new(
        memory.switch,
        channels.inbox,
        memory.journal,
        outlet,
        PinPad::new(Arc::clone(&pins)),
        channels.view,
        channels.beat,
    );
    let (stop_owner, stopped) = tokio::sync::oneshot::channel();
    Ok(Engine {
        addresses: addresses(served.address, &hands.endpoint),
        app,
        endpoint: hands.endpoint,
        plane: hands.plane,
        recorder: hands.recorder,
        served,
        owner: tasks::spawn_owner(owner.run(stopped)),
        stop_owner,
        readers,
        progress,
        inputs: channels.inputs,
        pins,
    })
}

fn addresses(api: SocketAddr, endpoint: &Endpoint) -> Addresses {
    let listeners = endpoint.listeners().iter().map(|bound| {
        let transport = format!("{:?}", bound.transport).to_lowercase();
        (bound.id.clone(), transport, bound.address)
    });
    let sip = listeners.collect();
    Addresses { api, sip }
}

impl Engine {
    /// Where it listens.
    #[must_use]
    pub fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// The way in for commands.
    #[must_use]
    pub fn commands(&self) -> Commands {
        self.app.commands.clone()
    }

    /// The live picture.
    #[must_use]
    pub fn view(&self) -> channel::Receiver<Arc<View>> {
        self.app.view.clone()
    }

    /// A path that opens one session as `caller`, once.
    #[must_use]
    pub fn one_time_path(&self, caller: Caller) -> String {
        format!("/login?t={}", self.app.gatekeeper.one_time_link(caller))
    }

    /// Told when a part of the engine has ended by itself: the process should end and be started again.
    #[must_use]
    pub fn part_ended(&self) -> Arc<Notify> {
        self.readers.one_ended()
    }

    /// Whether the owner has ended by itself: nobody decides about calls any more.
    #[must_use]
    pub fn owner_ended(&self) -> bool {
        self.owner.is_finished()
    }

    /// Age of the owner's last beat: the watchdog is fed only while it is young.
    #[must_use]
    pub fn beat_age(&self) -> Duration {
        Duration::from_millis(self.app.vitals.health().owner_beat_ms)
    }

    /// Take over a new configuration while running: policy, menus and their prompts, trunks, seats, profiles, API tokens. What needs a restart
    /// (listeners, media ports, directories, database, the API's address) stays as it is.
    pub async fn reload(&self, config: &Config) {
        // First: whoever was dismissed is out before anything can wait.
        self.app
            .gatekeeper
            .replace_tokens(config.api.tokens.clone());
        self.pins.store(Arc::new(config.pins.clone()));
        // Before the menus that name them.
        let read = config.clone();
        if let Ok((prompts, alarm)) = tokio::task::spawn_blocking(move || load_prompts(&read)).await
        {
            self.plane.replace_prompts(prompts);
            drop(self.inputs.send(alarm).await);
        }
        drop(
            self.inputs
                .send(InputKind::PolicyChanged {
                    policy: Box::new(config.policy.clone()),
                })
                .await,
        );
        drop(self.endpoint.reload(Arc::new(config.sip.clone())).await);
        self.config_refused(false, String::new()).await;
    }

    /// Raise or clear the alarm of a configuration that was refused while the old one runs.
    pub async fn config_refused(&self, raised: bool, detail: String) {
        let alarm = InputKind::Alarm {
            code: AlarmCode::ConfigRefused,
            subject: "config".to_owned(),
            detail,
            raised,
        };
        drop(self.inputs.send(alarm).await);
    }

    /// Take no new calls, let open calls end for `drain` at most, then stop everything in order.
    pub async fn stop(self, drain: Duration) -> Option<Ended> {
        drop(self.endpoint.set_accepting(false).await);
        let mut view = self.view();
        let drained = tokio::time::timeout(drain, view.wait_for(|view| view.calls.is_empty()))
            .await
            .is_ok();
        if !drained {
            tracing::warn!("calls are still open; the next start settles them");
        }
        self.endpoint.flush(Duration::from_secs(2)).await;
        self.readers.expect_ends();
        self.served.stop();
        let recorder = self.recorder;
        let plane = self.plane;
        // Media and recorder wait for threads; the runtime must not.
        let sealed = tokio::task::spawn_blocking(move || {
            plane.shutdown();
            recorder.shutdown(Duration::from_secs(10))
        });
        if !sealed.await.unwrap_or(false) {
            tracing::warn!("recordings were still being sealed; the next start finishes them");
        }
        // An owner that is gone already needs no word.
        let _ = self.stop_owner.send(());
        let ended = self.owner.await.ok();
        // What the last Inputs changed still goes into the records; a database that is down is not waited for.
        let last = self.app.events.last();
        let mut progress = self.progress;
        drop(tokio::time::timeout(PROJECT_WITHIN, progress.reaches(last)).await);
        self.readers.stop().await;
        ended
    }
}
