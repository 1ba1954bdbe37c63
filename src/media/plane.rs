//! The media plane (SHELL): what signalling and the switch reach media by.
//!
//! ```text
//! signalling --MediaGate: open, connect, close--+
//! switch ------command(call, MediaCommand)------+--> directory (who is where) --orders--> workers
//! recorder <---TapControl, then frames by ring--+        watch thread: alarms, orders kept for the recorder
//! ```
//! Owns the directory of calls and legs, the ports and the workers' threads. All entries take one short lock on the
//! control path, none waits, none is on the packet path. Names of sounds are resolved here, not in a worker.
//! Refuses to know: SIP, why anybody hears anybody, files.

mod directory;
mod watch;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::thread::JoinHandle;

use tokio::sync::mpsc::Sender;

use super::line::Line;
use super::player::Player;
use super::port::Ports;
use super::prompt::Prompts;
use super::session::Session;
use super::stats::{Stats, WorkerStats};
use super::tap::{TapControl, TapSender};
pub use super::worker::Tuning;
use super::worker::{self, Leg, Mailbox, Order, Worker};
use super::{MediaGate, OpenError};
use crate::clock::Clock;
use crate::config::checked::Media;
use crate::id::{CallId, LegId, PlayId};
use crate::switch::{InputKind, MediaCommand, Sound};
use directory::{Directory, LegPlace};

/// Why the plane cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The range holds no even port with its odd neighbour.
    #[error(
        "media ports {first}-{last} hold no RTP/RTCP pair; widen the range (4 ports per call at least)"
    )]
    NoPorts { first: u16, last: u16 },
    /// One ring per worker is needed.
    #[error("{got} rings to the recorder for {expected} media workers")]
    Taps { expected: usize, got: usize },
    /// A thread or its epoll could not be made.
    #[error("media worker {worker} cannot start: {source}")]
    Worker {
        worker: usize,
        source: std::io::Error,
    },
}

/// The plane. Clones are the same plane; when the last is dropped the workers stop.
#[derive(Clone)]
pub struct Plane {
    inner: Arc<Inner>,
}

struct Inner {
    advertised: std::net::IpAddr,
    prompts: RwLock<Arc<Prompts>>,
    ports: Arc<Ports>,
    directory: Mutex<Directory>,
    tap_control: SyncSender<TapControl>,
    events: Sender<InputKind>,
    workers: Vec<WorkerHandle>,
    stopping: AtomicBool,
}

struct WorkerHandle {
    mailbox: Mailbox,
    shared: Arc<worker::Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Plane {
    /// How many workers a configuration means; the engine makes one tap ring for each.
    #[must_use]
    pub fn worker_count(config: &Media) -> usize {
        match config.workers {
            0 => std::thread::available_parallelism()
                .map_or(1, |cores| cores.get().saturating_sub(1).max(1)),
            count => count,
        }
    }

    /// Sounds that are played from now on; what plays goes on as it is.
    pub fn replace_prompts(&self, prompts: Prompts) {
        *self
            .inner
            .prompts
            .write()
            .unwrap_or_else(PoisonError::into_inner) = Arc::new(prompts);
    }

    /// Start the workers.
    ///
    /// # Errors
    /// [`StartError`] when the configuration or the machine does not allow it; nothing keeps running then.
    pub fn start(
        config: &Media,
        prompts: Arc<Prompts>,
        taps: Vec<TapSender>,
        tap_control: SyncSender<TapControl>,
        events: Sender<InputKind>,
    ) -> Result<Self, StartError> {
        Self::start_tuned(
            config,
            prompts,
            taps,
            tap_control,
            events,
            Tuning::default(),
        )
    }

    /// [`Plane::start`] with other spans (tests).
    ///
    /// # Errors
    /// As [`Plane::start`].
    pub fn start_tuned(
        config: &Media,
        prompts: Arc<Prompts>,
        taps: Vec<TapSender>,
        tap_control: SyncSender<TapControl>,
        events: Sender<InputKind>,
        tuning: Tuning,
    ) -> Result<Self, StartError> {
        let expected = Self::worker_count(config);
        if taps.len() != expected {
            return Err(StartError::Taps {
                expected,
                got: taps.len(),
            });
        }
        let ports = Arc::new(Ports::new(config, rand::random::<u16>().into()));
        if ports.usage().1 == 0 {
            return Err(StartError::NoPorts {
                first: config.port_first,
                last: config.port_last,
            });
        }
        let workers = start_workers(taps, &events, tuning)?;
        let inner = Arc::new(Inner {
            advertised: config.advertised.unwrap_or(config.bind),
            prompts: RwLock::new(prompts),
            ports,
            directory: Mutex::new(Directory::new(workers.len())),
            tap_control,
            events,
            workers,
            stopping: AtomicBool::new(false),
        });
        watch::start(&inner).map_err(|source| StartError::Worker {
            worker: expected,
            source,
        })?;
        Ok(Self { inner })
    }

    /// What the switch wants of a call's media. Never waits. Orders for legs that are not open yet are kept.
    pub fn command(&self, call: CallId, command: MediaCommand) {
        let inner = &self.inner;
        let mut directory = inner.lock();
        match command {
            MediaCommand::Record { recording } => {
                directory.note_command(call);
                let at_us = now_us();
                if directory.record(call, recording) {
                    inner.tell_recorder(
                        &mut directory,
                        TapControl::Start {
                            call,
                            recording,
                            at_us,
                        },
                    );
                }
                for leg in directory.legs_of(call) {
                    inner.track(&mut directory, call, leg);
                }
            }
            MediaCommand::Track { leg, party, of } => {
                directory.note_command(call);
                let name = match of {
                    Some(serial_no) => format!("{party}@{serial_no}"),
                    None => party.to_string(),
                };
                directory.name_track(call, leg, name);
                inner.track(&mut directory, call, leg);
            }
            MediaCommand::Untrack { leg } => inner.untrack(&mut directory, leg),
            MediaCommand::Matrix { matrix } => {
                directory.note_command(call);
                let worker = directory.worker_of(call);
                inner.order(worker, Order::Matrix { call, matrix });
            }
            MediaCommand::Play {
                leg,
                play,
                sounds,
                repeat,
            } => {
                directory.note_command(call);
                let player = inner.player(play, &sounds, repeat);
                match directory.place_of(leg) {
                    Some(place) => inner.order(place.worker, Order::Play { leg, player }),
                    None => directory.keep_play(call, leg, player),
                }
            }
            MediaCommand::Stop { leg } => match directory.place_of(leg) {
                Some(place) => inner.order(place.worker, Order::Stop { leg }),
                None => directory.drop_play(call, leg),
            },
            MediaCommand::StarCodes { leg } => {
                if let Some(place) = directory.place_of(leg) {
                    inner.order(place.worker, Order::StarCodes { leg });
                }
            }
            MediaCommand::Hear { leg } => {
                if let Some(place) = directory.place_of(leg) {
                    inner.order(place.worker, Order::Hear { leg });
                }
            }
            MediaCommand::Move { leg, to } => inner.move_leg(&mut directory, leg, to),
            MediaCommand::Join { host } => {
                directory.note_command(host);
                inner.move_legs(&mut directory, call, host);
            }
            MediaCommand::Part => inner.part(&mut directory, call),
            MediaCommand::Close => inner.close(&mut directory, call),
        }
    }

    /// Figures, at most half a second old.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let (ports_used, ports_total) = self.inner.ports.usage();
        let copy = |worker: &WorkerHandle| -> WorkerStats {
            worker
                .shared
                .published
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .clone()
        };
        Stats {
            ports_used,
            ports_total,
            workers: self.inner.workers.iter().map(copy).collect(),
        }
    }

    /// Say BYE on every leg's RTCP, stop the workers and wait for them (milliseconds).
    pub fn shutdown(&self) {
        self.inner.stop();
        for worker in &self.inner.workers {
            let thread = worker
                .thread
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take();
            if let Some(thread) = thread {
                // A worker that panicked for good has been alarmed already.
                let _ = thread.join();
            }
        }
    }

    /// Make the worker of `call` panic (tests only).
    #[doc(hidden)]
    pub fn plant_fault(&self, call: CallId) {
        let worker = self.inner.lock().worker_of(call);
        self.inner.order(worker, Order::Fault { call });
    }

    /// The worker that `leg` lives on (tests only).
    #[doc(hidden)]
    #[must_use]
    pub fn worker_of(&self, leg: LegId) -> Option<usize> {
        self.inner.lock().place_of(leg).map(|place| place.worker)
    }
}

impl MediaGate for Plane {
    fn open(&self, call: CallId, leg: LegId) -> Result<SocketAddr, OpenError> {
        let inner = &self.inner;
        let mut directory = inner.lock();
        if let Some(place) = directory.place_of(leg) {
            return Ok(SocketAddr::new(inner.advertised, place.port));
        }
        let port = inner.ports.open()?;
        let number = port.number();
        let ssrc = directory.new_ssrc();
        let line = Line::new(ssrc, rand::random(), rand::random());
        let cname = format!("{:016x}", rand::random::<u64>());
        let new = Box::new(Leg::new(leg, port, line, cname, now_us()));
        let host = directory.host_of(call);
        let worker = directory.worker_of(host);
        directory.add_leg(
            leg,
            LegPlace {
                call,
                worker,
                port: number,
                ssrc,
                slot: None,
            },
        );
        let order = Order::Open {
            call: host,
            leg: new,
        };
        inner.order(worker, order);
        for recorded_in in directory.calls_tracking(call) {
            inner.track(&mut directory, recorded_in, leg);
        }
        if let Some(player) = directory.take_play(call, leg) {
            inner.order(worker, Order::Play { leg, player });
        }
        Ok(SocketAddr::new(inner.advertised, number))
    }

    fn connect(&self, leg: LegId, session: Session) {
        let directory = self.inner.lock();
        if let Some(place) = directory.place_of(leg) {
            let worker = place.worker;
            self.inner.order(worker, Order::Connect { leg, session });
        }
    }

    fn close(&self, leg: LegId) {
        let mut directory = self.inner.lock();
        let Some(place) = directory.remove_leg(leg) else {
            return;
        };
        self.inner.order(place.worker, Order::CloseLeg { leg });
        if directory.is_abandoned(place.call) {
            // Nobody ever commanded this call (refused before it began): nobody will close it.
            let call = place.call;
            self.inner.order(place.worker, Order::CloseCall { call });
            directory.close_call(call);
        }
        directory.forget_if_done(place.call);
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, Directory> {
        self.directory
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn order(&self, worker: usize, order: Order) {
        let sent = match self.workers.get(worker) {
            Some(worker) => worker.mailbox.send(order).is_ok(),
            None => false,
        };
        if !sent && !self.stopping.load(Ordering::Relaxed) {
            // The watch thread alarms a worker that does not take its orders.
            tracing::error!(worker, "media worker takes no orders");
        }
    }

    fn close(&self, directory: &mut Directory, call: CallId) {
        if directory.close_call(call) {
            let at_us = now_us();
            self.tell_recorder(directory, TapControl::Close { call, at_us });
        }
        if let Some(worker) = directory.known_worker_of(call) {
            self.order(worker, Order::CloseCall { call });
        }
        directory.forget_if_done(call);
    }

    fn player(&self, play: PlayId, sounds: &[Sound], repeat: bool) -> Player {
        let prompts = Arc::clone(&self.prompts.read().unwrap_or_else(PoisonError::into_inner));
        let (items, unknown) = prompts.resolve(sounds);
        for prompt in unknown {
            tracing::error!(%prompt, "prompt does not exist, it is left out");
        }
        Player::new(play, items, repeat)
    }

    /// Tap a leg if its call is recorded, it has a party name and no track yet.
    fn track(&self, directory: &mut Directory, call: CallId, leg: LegId) {
        if let Some((worker, slot, name)) = directory.new_track(call, leg) {
            self.tell_recorder(directory, TapControl::Track { call, slot, name });
            let slot = Some(slot);
            self.order(worker, Order::Track { leg, slot });
        }
    }

    /// What the leg says goes to no recording any more.
    fn untrack(&self, directory: &mut Directory, leg: LegId) {
        let ended = directory.untrack_leg(leg);
        if let Some(place) = directory.place_of(leg) {
            self.order(place.worker, Order::Track { leg, slot: None });
        }
        for (call, slot) in ended {
            self.tell_recorder(directory, TapControl::Untrack { call, slot });
        }
    }

    fn move_leg(&self, directory: &mut Directory, leg: LegId, to: CallId) {
        directory.note_command(to);
        let host = directory.host_of(to);
        let worker = directory.worker_of(host);
        let Some(from) = directory.move_leg(leg, to, worker) else {
            tracing::warn!(%leg, "a leg without media was to be moved");
            return;
        };
        if from.slot.is_some() {
            self.order(from.worker, Order::Track { leg, slot: None });
        }
        let order = Order::Move {
            leg,
            to: host,
            worker,
        };
        self.order(from.worker, order);
        for recorded_in in directory.calls_tracking(to) {
            self.track(directory, recorded_in, leg);
        }
        if let Some(player) = directory.take_play(to, leg) {
            self.order(worker, Order::Play { leg, player });
        }
        directory.forget_if_done(from.call);
    }

    fn part(&self, directory: &mut Directory, call: CallId) {
        for (call, slot) in directory.untrack_strangers(call) {
            self.tell_recorder(directory, TapControl::Untrack { call, slot });
        }
        self.move_legs(directory, call, call);
    }

    /// The call's legs are in the media of `host` from now on; to their own call's they come back.
    fn move_legs(&self, directory: &mut Directory, call: CallId, host: CallId) {
        let worker = directory.worker_of(host);
        for (leg, from) in directory.settle_at(call, host) {
            let to = host;
            self.order(from, Order::Move { leg, to, worker });
        }
    }

    /// Tell the recorder, in order; kept when its channel is full (the watch thread alarms and goes on trying).
    fn tell_recorder(&self, directory: &mut Directory, control: TapControl) {
        directory.untold.push_back(control);
        self.flush_recorder(directory);
    }

    /// True when nothing waits any more.
    fn flush_recorder(&self, directory: &mut Directory) -> bool {
        use std::sync::mpsc::TrySendError;
        while let Some(control) = directory.untold.pop_front() {
            match self.tap_control.try_send(control) {
                Ok(()) => {}
                Err(TrySendError::Full(control)) => {
                    directory.untold.push_front(control);
                    directory.untold.truncate(directory::UNTOLD_MAX);
                    return false;
                }
                // The recorder is gone; it alarms its own death.
                Err(TrySendError::Disconnected(_)) => {}
            }
        }
        true
    }

    fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
        for worker in &self.workers {
            // A full mailbox belongs to a dead worker.
            let _ = worker.mailbox.send(Order::Shutdown);
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.stop();
    }
}

fn start_workers(
    taps: Vec<TapSender>,
    events: &Sender<InputKind>,
    tuning: Tuning,
) -> Result<Vec<WorkerHandle>, StartError> {
    let prepared: Vec<_> = (0..taps.len())
        .map(|worker| worker::prepare().map_err(|source| StartError::Worker { worker, source }))
        .collect::<Result<_, _>>()?;
    let peers: Vec<Mailbox> = prepared
        .iter()
        .map(|(mailbox, _)| mailbox.clone())
        .collect();
    let mut workers = Vec::with_capacity(taps.len());
    for (number, ((mailbox, seed), tap)) in prepared.into_iter().zip(taps).enumerate() {
        let shared = Arc::new(worker::Shared::default());
        shared.beat_us.store(now_us(), Ordering::Relaxed);
        let wiring = worker::Wiring {
            number,
            peers: peers.clone(),
            tap,
            events: events.clone(),
            shared: Arc::clone(&shared),
            tuning,
        };
        let thread = std::thread::Builder::new()
            .name(format!("media-{number}"))
            .spawn(move || Worker::new(seed, wiring).run());
        match thread {
            Ok(thread) => workers.push(WorkerHandle {
                mailbox,
                shared,
                thread: Mutex::new(Some(thread)),
            }),
            Err(source) => {
                for peer in &peers {
                    let _ = peer.send(Order::Shutdown);
                }
                return Err(StartError::Worker {
                    worker: number,
                    source,
                });
            }
        }
    }
    Ok(workers)
}

fn now_us() -> i64 {
    Clock::process().now().as_micros()
}
