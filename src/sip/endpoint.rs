//! The shell around [`Ua`]: one task that owns it, its sockets and its clock. Waits for messages, commands, faults
//! and deadlines; hands news to the switch.
//!
//! News is never dropped: what the switch's channel cannot take waits here in order, and while it waits (or its
//! channel is nearly full) new INVITEs are answered 503 + Retry-After so that the carrier re-routes. Messages of
//! open calls are always served. A panic on one message costs that message, not the task.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::dialog::Listener;
use super::net::Incoming;
use super::transport::{self, Bound, Fault, TransportError, Transports};
use super::ua::{Output, Setup, Sizes, Tell, Ua};
use crate::call::LegCommand;
use crate::clock::Clock;
use crate::config::checked::{Sip, SipListener, TlsTrust, Trunk};
use crate::id::{LegId, SeatId};
use crate::media::MediaGate;
use crate::switch::{InputKind, SeatLink, TrunkChange};
use crate::time::Timestamp;

/// Messages between sockets and machine.
const INCOMING_MAX: usize = 4096;
/// Commands between switch and machine.
const COMMANDS_MAX: usize = 8192;
/// Messages handled before news goes out.
const BATCH_MAX: usize = 64;
/// News that waits for the switch; only open calls add to it once it is not empty.
const BACKLOG_MAX: usize = 65_536;
/// Places of the switch's channel that new calls leave free.
const INPUTS_RESERVE: usize = 64;

/// Why signalling cannot start.
#[derive(Debug, thiserror::Error)]
pub enum SipError {
    /// A listener cannot be opened.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// The operating system gave no random seed.
    #[error("no random seed from the operating system: {0}")]
    Seed(String),
    /// The task ended.
    #[error("the signalling task has ended")]
    Ended,
}

/// What the engine asks beside leg commands.
enum Control {
    Reload(Arc<Sip>),
    Accepting(bool),
}

/// The running signalling.
pub struct Endpoint {
    commands: mpsc::Sender<(LegId, LegCommand)>,
    control: mpsc::Sender<Control>,
    sizes: Arc<Mutex<Sizes>>,
    transports: Arc<Transports>,
    task: Mutex<Option<JoinHandle<()>>>,
}

/// Opens the listeners and starts. `bindings` are the registrations that the journal knows (seat, contact, until).
///
/// # Errors
/// [`SipError`] when a listener cannot be opened.
pub fn start(
    config: &Sip,
    gate: Arc<dyn MediaGate>,
    inputs: mpsc::Sender<InputKind>,
    bindings: Vec<(SeatId, String, Timestamp)>,
) -> Result<Endpoint, SipError> {
    let (incoming_sender, incoming) = mpsc::channel(INCOMING_MAX);
    let options = transport::Options {
        reserved_for: config
            .trunks
            .iter()
            .flat_map(|t| t.sources.clone())
            .collect(),
        trust: match &config.tls_trust {
            TlsTrust::Nobody => transport::Trust::Nobody,
            TlsTrust::Authorities(file) => transport::Trust::Authorities(file.clone()),
            TlsTrust::Anybody => transport::Trust::AnyCertificate,
        },
        ..transport::Options::default()
    };
    let transports = Arc::new(transport::start_with(
        &config.listeners,
        options,
        incoming_sender,
    )?);
    let (commands, command_receiver) = mpsc::channel(COMMANDS_MAX);
    let (control, control_receiver) = mpsc::channel(16);
    let setup = Setup {
        listeners: transports.listeners().iter().map(listener).collect(),
        trunks: placed(&config.trunks, &config.listeners),
        seats: config.seats.clone(),
        realm: config.realm.clone(),
        digests: config.digests.clone(),
        options_every: config.options_every,
        profiles: config.profiles.clone(),
        seed: seed()?,
    };
    let sizes = Arc::new(Mutex::new(Sizes::default()));
    let shell = Shell {
        ua: Ua::new(Clock::process().now(), setup, gate, bindings),
        transports: Arc::clone(&transports),
        inputs,
        backlog: VecDeque::new(),
        accepting: true,
        lost: 0,
        sizes: Arc::clone(&sizes),
        listeners: config.listeners.clone(),
    };
    let faults = transports.faults();
    #[expect(
        clippy::disallowed_methods,
        reason = "the handle is given to the engine, which watches it (take_task)"
    )]
    let task = tokio::spawn(shell.run(incoming, command_receiver, control_receiver, faults));
    Ok(Endpoint {
        commands,
        control,
        sizes,
        transports,
        task: Mutex::new(Some(task)),
    })
}

impl Endpoint {
    /// Hands a command over. Waits only while the task is busy; the task never waits for the switch.
    ///
    /// # Errors
    /// [`SipError::Ended`].
    pub async fn command(&self, leg: LegId, command: LegCommand) -> Result<(), SipError> {
        self.commands
            .send((leg, command))
            .await
            .map_err(|_| SipError::Ended)
    }

    /// Takes over trunks, seats, profiles and intervals of a new configuration. Listeners need a restart.
    ///
    /// # Errors
    /// [`SipError::Ended`].
    pub async fn reload(&self, config: Arc<Sip>) -> Result<(), SipError> {
        self.control
            .send(Control::Reload(config))
            .await
            .map_err(|_| SipError::Ended)
    }

    /// Whether new calls are taken; off while the process drains.
    ///
    /// # Errors
    /// [`SipError::Ended`].
    pub async fn set_accepting(&self, accepting: bool) -> Result<(), SipError> {
        self.control
            .send(Control::Accepting(accepting))
            .await
            .map_err(|_| SipError::Ended)
    }

    /// The listeners as they stand, with the ports really bound.
    #[must_use]
    pub fn listeners(&self) -> &[Bound] {
        self.transports.listeners()
    }

    /// Sizes of the tables and counts since start.
    #[must_use]
    pub fn sizes(&self) -> Sizes {
        *self.sizes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sizes and counts of the sockets.
    #[must_use]
    pub fn transport_sizes(&self) -> transport::Sizes {
        self.transports.sizes()
    }

    /// Waits until what was queued for sending is sent, at most `limit`.
    pub async fn flush(&self, limit: Duration) -> bool {
        self.transports.flush(limit).await
    }

    /// The task, for the one who watches it; given out once. It ends when the switch's channel closes.
    pub fn take_task(&self) -> Option<JoinHandle<()>> {
        self.task
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }
}

/// What the task owns.
struct Shell {
    ua: Ua,
    transports: Arc<Transports>,
    inputs: mpsc::Sender<InputKind>,
    backlog: VecDeque<InputKind>,
    accepting: bool,
    lost: u64,
    sizes: Arc<Mutex<Sizes>>,
    listeners: Vec<SipListener>,
}

impl Shell {
    async fn run(
        mut self,
        mut incoming: mpsc::Receiver<Incoming>,
        mut commands: mpsc::Receiver<(LegId, LegCommand)>,
        mut control: mpsc::Receiver<Control>,
        mut faults: Option<mpsc::Receiver<Fault>>,
    ) {
        let clock = Clock::process();
        let inputs = self.inputs.clone();
        loop {
            self.flush();
            if self.inputs.is_closed() {
                return;
            }
            let wake = self
                .ua
                .next_timeout()
                .map(|at| tokio::time::Instant::from_std(clock.instant_of(at)));
            let idle = tokio::time::Instant::now() + Duration::from_secs(60);
            tokio::select! {
                biased;
                Some(order) = control.recv() => self.order(&order),
                Some((leg, command)) = commands.recv() => {
                    self.obey(leg, command);
                    for _ in 1..BATCH_MAX {
                        let Ok((leg, command)) = commands.try_recv() else { break };
                        self.obey(leg, command);
                    }
                }
                Some(message) = incoming.recv() => {
                    self.take(&message);
                    for _ in 1..BATCH_MAX {
                        let Ok(message) = incoming.try_recv() else { break };
                        self.take(&message);
                    }
                }
                () = tokio::time::sleep_until(wake.unwrap_or(idle)) => self.fire(),
                Ok(permit) = inputs.reserve(), if !self.backlog.is_empty() => {
                    if let Some(kind) = self.backlog.pop_front() {
                        permit.send(kind);
                    }
                }
                Some(fault) = next_fault(&mut faults) => self.fault(&fault),
                else => return,
            }
            if self.ua.next_timeout().is_some_and(|at| at <= clock.now()) {
                self.fire();
            }
        }
    }

    fn take(&mut self, message: &Incoming) {
        // News of the messages before this one in the batch goes first: it is no sign of a slow switch.
        self.flush();
        let room = self.backlog.is_empty()
            && self.inputs.capacity() > INPUTS_RESERVE.min(self.inputs.max_capacity() / 2);
        let accepting = self.accepting && room;
        let now = Clock::process().now();
        self.guarded(|ua| ua.receive(now, message, accepting));
    }

    fn obey(&mut self, leg: LegId, command: LegCommand) {
        let now = Clock::process().now();
        self.guarded(|ua| ua.command(now, leg, command));
    }

    fn fire(&mut self) {
        let now = Clock::process().now();
        self.guarded(|ua| ua.fire(now));
    }

    fn order(&mut self, order: &Control) {
        match order {
            Control::Accepting(accepting) => self.accepting = *accepting,
            Control::Reload(sip) => {
                let now = Clock::process().now();
                let trunks = placed(&sip.trunks, &self.listeners);
                let (seats, profiles, every) =
                    (sip.seats.clone(), sip.profiles.clone(), sip.options_every);
                self.guarded(|ua| ua.reload(now, trunks, seats, profiles, every));
            }
        }
    }

    fn fault(&mut self, fault: &Fault) {
        match fault {
            Fault::PeerUnreachable { listener, peer, .. } => {
                let (now, listener, peer) = (Clock::process().now(), *listener, *peer);
                self.guarded(|ua| ua.unreachable(now, listener, peer));
            }
            Fault::ListenerDied { .. }
            | Fault::CertificateRefused { .. }
            | Fault::ConnectionsFull { .. }
            | Fault::AcceptFailed { .. } => {
                tracing::warn!(?fault, "a SIP listener has a fault");
            }
            Fault::CertificateLoaded { listener } => {
                tracing::info!(listener, "a new certificate is in force")
            }
        }
    }

    /// Runs the machine and takes what it wants done. A panic is a fault of ours on one message: logged, survived.
    fn guarded(&mut self, f: impl FnOnce(&mut Ua)) {
        if catch_unwind(AssertUnwindSafe(|| f(&mut self.ua))).is_err() {
            tracing::error!("signalling panicked on one message or command; it was skipped");
        }
        while let Some(output) = self.ua.poll() {
            match output {
                Output::Send(outgoing) => self.transports.send(outgoing),
                Output::Tell(tell) if self.backlog.len() < BACKLOG_MAX => {
                    self.backlog.push_back(input(tell))
                }
                Output::Tell(_) => {
                    self.lost += 1;
                    tracing::error!(
                        lost = self.lost,
                        "the switch takes no news: calls are at risk"
                    );
                }
            }
        }
        *self.sizes.lock().unwrap_or_else(PoisonError::into_inner) = self.ua.sizes();
    }

    /// Hands waiting news over, as far as there is room.
    fn flush(&mut self) {
        while let Some(kind) = self.backlog.pop_front() {
            if let Err(error) = self.inputs.try_send(kind) {
                self.backlog.push_front(error.into_inner());
                return;
            }
        }
    }
}

async fn next_fault(faults: &mut Option<mpsc::Receiver<Fault>>) -> Option<Fault> {
    match faults {
        Some(receiver) => receiver.recv().await,
        None => None,
    }
}

/// News as the switch knows it.
fn input(tell: Tell) -> InputKind {
    match tell {
        Tell::Arrived(arrival) => InputKind::Arrived { arrival },
        Tell::ArrivedAgain { invite_key } => InputKind::ArrivedAgain { invite_key },
        Tell::Leg { leg, event } => InputKind::Leg { leg, event },
        Tell::SeatRegistered {
            seat,
            contact,
            until,
        } => InputKind::Seat {
            seat,
            link: SeatLink::Registered { contact, until },
        },
        Tell::SeatUnregistered { seat } => InputKind::Seat {
            seat,
            link: SeatLink::Unregistered,
        },
        Tell::SeatReachable { seat, reachable } => InputKind::Seat {
            seat,
            link: SeatLink::Reachable { reachable },
        },
        Tell::TrunkUp { trunk } => InputKind::Trunk {
            trunk,
            change: TrunkChange::Up,
        },
        Tell::TrunkDown { trunk, reason } => InputKind::Trunk {
            trunk,
            change: TrunkChange::Down { reason },
        },
        Tell::UnknownSource { address, count } => InputKind::UnknownSource { address, count },
    }
}

fn listener(bound: &Bound) -> Listener {
    Listener {
        id: bound.id.clone(),
        transport: bound.transport,
        host: bound.host.trim_matches(['[', ']']).to_owned(),
        port: bound.address.port(),
    }
}

/// Trunks whose transport is that of their listener, whatever was written.
fn placed(trunks: &[Trunk], listeners: &[SipListener]) -> Vec<Trunk> {
    let mut trunks = trunks.to_vec();
    for trunk in &mut trunks {
        if let Some(listener) = listeners.iter().find(|l| l.id == trunk.listener) {
            trunk.transport = listener.transport;
        }
    }
    trunks
}

fn seed() -> Result<[u8; 32], SipError> {
    use rand::TryRng as _;
    let mut seed = [0; 32];
    rand::rngs::SysRng
        .try_fill_bytes(&mut seed)
        .map_err(|e| SipError::Seed(e.to_string()))?;
    Ok(seed)
}
