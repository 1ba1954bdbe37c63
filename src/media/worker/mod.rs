//! A media worker (SHELL): one OS thread that owns its legs' sockets and its calls, plain `&mut`, no lock, no
//! allocation and no lookup by name on the packet path.
//!
//! ```text
//! epoll_wait --RTP readable--> recvfrom -> check -> lock -> rewrite 12 bytes -> sendto      (3 system calls)
//!            --mailbox-------> orders of the plane: open, connect, matrix, play, move, close
//!            --time----------> a 5 ms step while something is mixed or played (each call each fourth), care each 100 ms
//! ```
//! Level-triggered: one read per readiness, so no read that finds nothing. A panic costs the call it happened in its
//! media (told, counted, alarmed by the plane); all others go on.
//! Refuses to know: SIP, seats, queues, why anybody hears anybody.

mod control;
mod leg;
mod order;
mod packet;
mod slab;
mod tick;

use std::collections::{BTreeMap, VecDeque};
use std::os::fd::OwnedFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex, mpsc};

use rustix::event::{EventfdFlags, epoll, eventfd};
use rustix::time::Timespec;
use tokio::sync::mpsc::Sender;
use tokio::sync::mpsc::error::TrySendError;

use crate::clock::Clock;
use crate::id::{CallId, LegId};
use crate::matrix::Matrix;
use crate::media::mixer::Mix;
use crate::media::stats::{Counts, WorkerStats};
use crate::media::tap::TapSender;
use crate::switch::{InputKind, MediaEvent};
pub(crate) use leg::Leg;
use order::ORDERS_MAX;
pub(crate) use order::{Mailbox, Order};
use slab::Slab;

/// Largest datagram looked at; RTP of this stage is at most 492 bytes.
const DATAGRAM_MAX: usize = 2048;
/// Readiness taken per wait: about a millisecond of packets, so that ticks stay on time.
const EVENTS_MAX: usize = 64;
/// News kept for the switch while its channel is full.
const UNTOLD_MAX: usize = 1024;
/// Orders kept for legs that are on their way from another worker, and for how long.
const WAITING_MAX: usize = 256;
const WAITING_US: i64 = 5_000_000;
/// Mark of the mailbox among the sockets.
const WAKE: u64 = u64::MAX;
/// Interval of care: reports, lost sources, keys without an end.
const CARE_US: i64 = 100_000;
/// Faults after which one that belongs to no call ends the worker.
const FAULTS_MAX: u64 = 100;
/// Interval of publication, in rounds of care.
const PUBLISH_EVERY: u32 = 5;

/// Spans that tests shorten.
#[derive(Copy, Clone, Debug)]
pub struct Tuning {
    /// No RTP for this long is told.
    pub lost_us: i64,
    /// Interval of RTCP reports.
    pub report_us: i64,
}

impl Default for Tuning {
    fn default() -> Self {
        Self {
            lost_us: 60_000_000,
            report_us: 5_000_000,
        }
    }
}

/// What the plane reads of a worker.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    pub(crate) published: Mutex<WorkerStats>,
    /// Last round of care, microseconds since 1970.
    pub(crate) beat_us: AtomicI64,
    pub(crate) tap_dropped: AtomicU64,
    pub(crate) panics: AtomicU64,
}

/// One call on this worker.
#[derive(Debug)]
struct Call {
    id: CallId,
    legs: Vec<usize>,
    matrix: Matrix,
    closed: bool,
    /// Something is mixed or played in it; it stands in its phase's list.
    ticks: bool,
    listed: bool,
}

/// The thread's state.
pub(crate) struct Worker {
    number: usize,
    clock: Clock,
    tuning: Tuning,
    epoll: OwnedFd,
    wake: Arc<OwnedFd>,
    orders: Receiver<Order>,
    peers: Vec<Mailbox>,
    tap: TapSender,
    events: Sender<InputKind>,
    untold: VecDeque<InputKind>,
    shared: Arc<Shared>,
    legs: Slab<Box<Leg>>,
    calls: Slab<Call>,
    by_leg: BTreeMap<LegId, usize>,
    by_call: BTreeMap<CallId, usize>,
    /// Calls with a tick, by phase.
    ticking: [Vec<usize>; tick::PHASES],
    tick_number: usize,
    next_tick_us: i64,
    next_care_us: i64,
    care_rounds: u32,
    /// Orders for legs that are not here yet, and moves that another worker's mailbox had no room for.
    waiting: VecDeque<(i64, Order)>,
    stuck: VecDeque<(usize, Order)>,
    counts: Counts,
    buffer: Box<[u8; DATAGRAM_MAX]>,
    ready: Vec<epoll::Event>,
    mix: Mix,
    /// Place of the call being worked for: the one that pays for a panic.
    at: Option<usize>,
}

/// The parts of a worker that is not started yet.
pub(crate) struct Seed {
    orders: Receiver<Order>,
    wake: Arc<OwnedFd>,
    epoll: OwnedFd,
}

/// Make a worker's mailbox and what the worker needs to read it.
pub(crate) fn prepare() -> std::io::Result<(Mailbox, Seed)> {
    let (sender, orders) = mpsc::sync_channel(ORDERS_MAX);
    let wake = Arc::new(eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)?);
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    epoll::add(
        &epoll,
        &wake,
        epoll::EventData::new_u64(WAKE),
        epoll::EventFlags::IN,
    )?;
    let mailbox = Mailbox::new(sender, Arc::clone(&wake));
    Ok((
        mailbox,
        Seed {
            orders,
            wake,
            epoll,
        },
    ))
}

/// What a worker is connected to.
pub(crate) struct Wiring {
    pub(crate) number: usize,
    pub(crate) peers: Vec<Mailbox>,
    pub(crate) tap: TapSender,
    pub(crate) events: Sender<InputKind>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) tuning: Tuning,
}

impl Worker {
    pub(crate) fn new(seed: Seed, wiring: Wiring) -> Self {
        let clock = Clock::process();
        let now_us = clock.now().as_micros();
        Self {
            number: wiring.number,
            clock,
            tuning: wiring.tuning,
            epoll: seed.epoll,
            wake: seed.wake,
            orders: seed.orders,
            peers: wiring.peers,
            tap: wiring.tap,
            events: wiring.events,
            untold: VecDeque::new(),
            shared: wiring.shared,
            legs: Slab::default(),
            calls: Slab::default(),
            by_leg: BTreeMap::new(),
            by_call: BTreeMap::new(),
            ticking: Default::default(),
            tick_number: 0,
            next_tick_us: now_us,
            next_care_us: now_us,
            care_rounds: 0,
            waiting: VecDeque::new(),
            stuck: VecDeque::new(),
            counts: Counts::default(),
            buffer: Box::new([0; DATAGRAM_MAX]),
            ready: Vec::new(),
            mix: Mix::default(),
            at: None,
        }
    }

    /// The thread's body: until told to stop, or the kernel refuses to wait.
    pub(crate) fn run(mut self) {
        loop {
            match catch_unwind(AssertUnwindSafe(|| self.work())) {
                Ok(Ok(())) => return,
                Ok(Err(error)) => {
                    tracing::error!(worker = self.number, %error, "media worker cannot wait for packets");
                    return;
                }
                Err(_) => {
                    let is_of_a_call = self.at.is_some();
                    self.after_panic();
                    // A fault that no call pays for comes again: end, so that the plane alarms it.
                    if !is_of_a_call && self.counts.panics > FAULTS_MAX {
                        return;
                    }
                }
            }
        }
    }

    fn work(&mut self) -> std::io::Result<()> {
        loop {
            let timeout = self.timeout();
            self.ready.clear();
            self.ready.reserve(EVENTS_MAX);
            let room = rustix::buffer::spare_capacity(&mut self.ready);
            match epoll::wait(&self.epoll, room, Some(&timeout)) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            let ready = std::mem::take(&mut self.ready);
            let mut is_told = false;
            for event in &ready {
                let mark = event.data.u64();
                if mark == WAKE {
                    is_told = true;
                } else {
                    self.on_ready(mark);
                }
            }
            self.ready = ready;
            if is_told && !self.take_orders() {
                return Ok(());
            }
            let now_us = self.clock.now().as_micros();
            self.run_ticks(now_us);
            if now_us >= self.next_care_us {
                self.take_care(now_us);
            }
            self.at = None;
        }
    }

    fn on_ready(&mut self, mark: u64) {
        let Ok(place) = usize::try_from(mark >> 1) else {
            return;
        };
        if mark & 1 == 0 {
            self.on_rtp(place);
        } else {
            self.on_rtcp(place);
        }
    }

    fn timeout(&self) -> Timespec {
        let now_us = self.clock.now().as_micros();
        let mut until = self.next_care_us;
        if self.is_ticking() {
            until = until.min(self.next_tick_us);
        }
        let micros = (until - now_us).clamp(0, CARE_US);
        Timespec {
            tv_sec: 0,
            tv_nsec: micros * 1000,
        }
    }

    /// Tell the switch something of a leg; kept for later when its channel is full.
    fn tell(&mut self, leg: LegId, event: MediaEvent) {
        let news = InputKind::Media { leg, event };
        if self.untold.is_empty() {
            match self.events.try_send(news) {
                Ok(()) | Err(TrySendError::Closed(_)) => {}
                Err(TrySendError::Full(news)) => self.untold.push_back(news),
            }
        } else if self.untold.len() < UNTOLD_MAX {
            self.untold.push_back(news);
        } else {
            self.counts.events_dropped += 1;
        }
    }

    fn tell_untold(&mut self) {
        while let Some(news) = self.untold.pop_front() {
            match self.events.try_send(news) {
                Ok(()) | Err(TrySendError::Closed(_)) => {}
                Err(TrySendError::Full(news)) => {
                    self.untold.push_front(news);
                    return;
                }
            }
        }
    }

    /// Drop the call that the panic happened in; its legs are told as lost.
    fn after_panic(&mut self) {
        self.counts.panics += 1;
        self.shared.panics.fetch_add(1, Ordering::Relaxed);
        let Some(call) = self.at.take() else { return };
        let legs = self.calls.get(call).map(|call| call.legs.clone());
        for place in legs.unwrap_or_default() {
            if let Some(leg) = self.take_out(place) {
                let id = leg.id;
                drop(leg);
                self.tell(id, MediaEvent::RtpLost { lost: true });
            }
        }
        self.forget_call(call);
    }
}
