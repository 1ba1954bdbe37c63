//! The one owner of the [`Switch`]: drains a batch of Inputs, handles each, has Inputs and Events committed, then
//! releases the Effects. Nothing else in the process touches the switch, so calls, seats and commands have one order.
//!
//! ```text
//! inbox -> handle (guarded) -> journal.append -> commit or 50 ms -> effects in order -> view
//! ```
//! A panic in the switch costs one Input: the state is rebuilt from the last snapshot and the Inputs since,
//! without it, and the call it named is marked.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};

use super::outlet::Outlet;
use super::pins::PinPad;
use crate::call::{Arrival, Cause, LegCommand};
use crate::clock::Clock;
use crate::id::CallId;
use crate::limits::BATCH_MAX;
use crate::store::journal::{Entry, Journal};
use crate::switch::{AlarmCode, Command, Effect, Input, InputKind, Switch, View};
use crate::time::Timestamp;

/// The owner waits this long for a commit; then calls go on and only module deliveries wait for the disk.
const COMMIT_DEADLINE: Duration = Duration::from_millis(50);
/// So long after the last late entry the disk counts as well again, and batches wait for it.
const JOURNAL_WELL_FOR: Duration = Duration::from_secs(1);
/// A snapshot bounds replay after a crash and the rebuild after a panic.
const SNAPSHOT_EVERY: Duration = Duration::from_secs(60);
/// Inputs kept for a rebuild before a snapshot is forced.
const SINCE_SNAPSHOT_MAX: usize = 20_000;

/// What the owner's end tells.
#[derive(Debug)]
pub struct Ended {
    /// Hash of the final state, as `firstring replay` prints it.
    pub state_hash: String,
    /// Last journaled Input.
    pub last_seq: u64,
}

/// State that can be rebuilt: the switch, and how to get it again.
struct Rebuildable {
    switch: Switch,
    /// As [`Switch::snapshot`] wrote it.
    snapshot: serde_json::Value,
    since: Vec<Input>,
}

/// The task that owns the switch.
pub(super) struct Owner {
    state: Rebuildable,
    inbox: mpsc::Receiver<InputKind>,
    journal: Journal,
    outlet: Outlet,
    pins: PinPad,
    view: watch::Sender<Arc<View>>,
    clock: Clock,
    last_at: Timestamp,
    /// None until the start is settled: the first snapshot follows it, so that no later start replays earlier ones.
    last_snapshot: Option<tokio::time::Instant>,
    /// A commit missed its deadline and the writer has not caught up yet: no batch waits.
    journal_late: bool,
    /// Since when no entry has waited longer than it should, while `journal_late` stands.
    journal_well: Option<tokio::time::Instant>,
    beat: watch::Sender<Timestamp>,
}

impl Owner {
    /// An owner over a recovered switch. `view` and `beat` are read by the API and the watchdog.
    #[must_use]
    pub(super) fn new(
        switch: Switch,
        inbox: mpsc::Receiver<InputKind>,
        journal: Journal,
        outlet: Outlet,
        pins: PinPad,
        view: watch::Sender<Arc<View>>,
        beat: watch::Sender<Timestamp>,
    ) -> Self {
        let mut state = Rebuildable {
            switch,
            snapshot: serde_json::Value::Null,
            since: Vec::new(),
        };
        state.remember();
        Self {
            state,
            inbox,
            journal,
            outlet,
            pins,
            view,
            clock: Clock::process(),
            last_at: Timestamp::default(),
            last_snapshot: None,
            journal_late: false,
            journal_well: None,
            beat,
        }
    }

    /// Run until `stopped` is told; what is in the inbox then is still handled.
    pub(super) async fn run(mut self, mut stopped: oneshot::Receiver<()>) -> Ended {
        let mut batch = Vec::with_capacity(BATCH_MAX);
        while self.wait(&mut batch, &mut stopped).await {
            self.handle_batch(&mut batch).await;
            self.look_at_journal().await;
            if self
                .last_snapshot
                .is_none_or(|at| at.elapsed() >= SNAPSHOT_EVERY)
                || self.state.since.len() >= SINCE_SNAPSHOT_MAX
            {
                self.take_snapshot();
            }
            self.beat.send_replace(self.clock.now());
        }
        self.take_snapshot();
        let last_seq = self.journal.flush().await;
        Ended {
            state_hash: self.state.switch.state_hash(),
            last_seq,
        }
    }

    /// Wait for the next batch; false when the owner is to stop and the inbox is empty.
    async fn wait(
        &mut self,
        batch: &mut Vec<InputKind>,
        stopped: &mut oneshot::Receiver<()>,
    ) -> bool {
        let wake = self
            .state
            .switch
            .poll_timeout()
            .map(|(at, _)| self.clock.instant_of(at));
        // A beat at least every second, so that the watchdog can tell idle from stuck.
        let beat = tokio::time::Instant::now() + Duration::from_secs(1);
        let until = wake.map_or(beat, |at| tokio::time::Instant::from_std(at).min(beat));
        tokio::select! {
            biased;
            got = self.inbox.recv_many(batch, BATCH_MAX) => got > 0,
            _ = stopped => false,
            () = tokio::time::sleep_until(until) => {
                if wake.is_some_and(|at| tokio::time::Instant::from_std(at) <= tokio::time::Instant::now()) {
                    batch.push(InputKind::Tick);
                }
                true
            }
        }
    }

    async fn handle_batch(&mut self, batch: &mut Vec<InputKind>) {
        if batch.is_empty() {
            return;
        }
        let mut entries = Vec::with_capacity(batch.len() + 1);
        let mut effects = Vec::new();
        for kind in batch.drain(..) {
            if let Some(kind) = self.pins.pass(kind, self.clock.now()) {
                self.handle_one(kind, &mut entries, &mut effects);
            }
        }
        self.commit(entries, &mut effects).await;
        for effect in effects {
            self.outlet.run(effect).await;
        }
        self.view.send_replace(Arc::new(self.state.switch.view()));
    }

    fn handle_one(&mut self, kind: InputKind, entries: &mut Vec<Entry>, effects: &mut Vec<Effect>) {
        // Inputs of one process never run backwards, whatever happens to the clock.
        self.last_at = self.clock.now().max(self.last_at);
        let input = Input {
            at: self.last_at,
            kind,
        };
        let caller = unrefused_arrival(&input.kind);
        let input = match self.state.handle(input) {
            Ok(input) => input,
            Err(skipped) => {
                if let Some(arrival) = caller {
                    self.turn_away(arrival, entries, effects);
                }
                tracing::error!(call = ?skipped.call, "an input made the switch panic; it is left out and its call marked");
                let input = Input {
                    at: self.last_at,
                    kind: InputKind::Skipped {
                        call: skipped.call,
                        reason: skipped.reason,
                    },
                };
                match self.state.handle(input) {
                    Ok(input) => input,
                    Err(_) => return, // the mark itself failed: the state stands as before the input
                }
            }
        };
        entries.push(Entry {
            input,
            events: self.state.switch.take_events(),
        });
        while let Some(effect) = self.state.switch.poll_effect() {
            if let Effect::AskPin { leg, seat } = &effect {
                self.pins.ask(*leg, seat.clone());
            }
            effects.push(effect);
        }
    }

    /// The switch cannot take this call: its carrier is told to try elsewhere (503), and its caller gets a record and a
    /// call-back like one for whom there was no port.
    fn turn_away(
        &mut self,
        mut arrival: Box<Arrival>,
        entries: &mut Vec<Entry>,
        effects: &mut Vec<Effect>,
    ) {
        effects.push(Effect::Leg {
            leg: arrival.leg,
            command: LegCommand::Release {
                cause: Cause::Capacity,
            },
        });
        arrival.refused_capacity = true;
        self.handle_one(InputKind::Arrived { arrival }, entries, effects);
    }

    /// Commit `entries`; past the deadline the calls go on and the alarm says so. While it stands nothing waits: a
    /// deadline per batch would add up to a queue in front of a dead disk.
    async fn commit(&mut self, entries: Vec<Entry>, effects: &mut Vec<Effect>) {
        let ticket = self.journal.append(entries);
        if !self.journal_late && !ticket.committed_within(COMMIT_DEADLINE).await {
            self.journal_turned(true, effects);
        }
    }

    /// The writer has caught up when no entry waited too long for a second; also while nobody calls.
    async fn look_at_journal(&mut self) {
        if !self.journal_late {
            return;
        }
        if self.journal.status().late_since.is_some() {
            self.journal_well = None;
            return;
        }
        let well = *self
            .journal_well
            .get_or_insert_with(tokio::time::Instant::now);
        if well.elapsed() < JOURNAL_WELL_FOR {
            return;
        }
        let mut effects = Vec::new();
        self.journal_turned(false, &mut effects);
        for effect in effects {
            self.outlet.run(effect).await;
        }
        self.view.send_replace(Arc::new(self.state.switch.view()));
    }

    fn journal_turned(&mut self, late: bool, effects: &mut Vec<Effect>) {
        self.journal_late = late;
        self.journal_well = None;
        let status = self.journal.status();
        let mut entries = Vec::new();
        let alarm = InputKind::Alarm {
            code: AlarmCode::JournalLate,
            subject: "journal".to_owned(),
            detail: format!(
                "{} entries wait in memory for the disk: {}",
                status.spooled,
                status.last_error.unwrap_or_default()
            ),
            raised: late,
        };
        self.handle_one(alarm, &mut entries, effects);
        drop(self.journal.append(entries));
    }

    fn take_snapshot(&mut self) {
        self.last_snapshot = Some(tokio::time::Instant::now());
        self.state.remember();
        self.journal.snapshot(&self.state.snapshot);
    }
}

/// An Input that the switch could not handle.
struct SkippedInput {
    call: Option<CallId>,
    reason: String,
}

impl Rebuildable {
    /// Take the state as it is for the point to rebuild from.
    fn remember(&mut self) {
        match self.switch.snapshot() {
            Ok(snapshot) => {
                self.snapshot = snapshot;
                self.since.clear();
            }
            Err(error) => {
                tracing::error!(%error, "the state cannot be written down; keeping the older snapshot")
            }
        }
    }

    /// Handle one Input under guard; on a panic the state is rebuilt without it.
    fn handle(&mut self, input: Input) -> Result<Input, SkippedInput> {
        let handled = catch_unwind(AssertUnwindSafe(|| self.switch.handle(&input)));
        match handled {
            Ok(()) => {
                self.since.push(input.clone());
                Ok(input)
            }
            Err(panic) => {
                let reason = panic_text(panic.as_ref());
                let call = call_of(&input.kind, &self.switch);
                self.rebuild();
                Err(SkippedInput { call, reason })
            }
        }
    }

    fn rebuild(&mut self) {
        match Switch::restore(&self.snapshot) {
            Ok(switch) => self.switch = switch,
            Err(error) => {
                // The snapshot was made by this very build a minute ago; without it the half-changed state is the best there is.
                tracing::error!(%error, "the last snapshot does not load; going on with the state as it is");
                return;
            }
        }
        let since = std::mem::take(&mut self.since);
        for input in since {
            if catch_unwind(AssertUnwindSafe(|| self.switch.handle(&input))).is_ok() {
                self.since.push(input);
            }
        }
        // Their Events are journaled and their Effects were run long ago.
        drop(self.switch.take_events());
        while self.switch.poll_effect().is_some() {}
    }
}

/// A caller who came in and was not refused by the shell: should the switch fail on it, somebody must answer it.
fn unrefused_arrival(kind: &InputKind) -> Option<Box<Arrival>> {
    if let InputKind::Arrived { arrival } = kind
        && !arrival.refused_capacity
    {
        return Some(arrival.clone());
    }
    None
}

/// Replay recovered Inputs under the same guard; returns how many had to be left out.
pub(super) fn replay_guarded(switch: &mut Switch, inputs: impl IntoIterator<Item = Input>) -> u32 {
    let mut left_out = 0;
    for input in inputs {
        if catch_unwind(AssertUnwindSafe(|| switch.handle(&input))).is_err() {
            left_out += 1;
        }
        drop(switch.take_events());
        while switch.poll_effect().is_some() {}
    }
    left_out
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "panic without a text".to_owned())
}

/// The call that an Input names, so that it can be marked.
fn call_of(kind: &InputKind, switch: &Switch) -> Option<CallId> {
    match kind {
        InputKind::Arrived { arrival } => Some(arrival.call),
        InputKind::Leg { leg, .. } | InputKind::Media { leg, .. } | InputKind::Pin { leg, .. } => {
            switch.call_of_leg(*leg)
        }
        InputKind::Recording { call, .. } | InputKind::Found { call, .. } => Some(*call),
        InputKind::Command { command, .. } => match command {
            Command::HangUp { call }
            | Command::AddParty { call, .. }
            | Command::RemoveParty { call, .. }
            | Command::Join { call, .. }
            | Command::Hold { call }
            | Command::Resume { call }
            | Command::Link { call, .. }
            | Command::NameCrew { call, .. }
            | Command::Bridge { call, .. }
            | Command::AskSilent { call }
            | Command::Transfer { call, .. }
            | Command::CompleteTransfer { call }
            | Command::CancelTransfer { call }
            | Command::Shelve { call }
            | Command::Unshelve { call, .. }
            | Command::Listen { call, .. }
            | Command::StopListening { call, .. }
            | Command::RequestAssist { call }
            | Command::CancelAssist { call }
            | Command::AcceptAssist { call, .. }
            | Command::Reassign { call, .. }
            | Command::Prioritise { call, .. }
            | Command::Acknowledge { call, .. }
            | Command::Dispatch { call, .. }
            | Command::ProposeVerdict { call, .. }
            | Command::FillForm { call, .. }
            | Command::Classify { call, .. }
            | Command::AddNote { call, .. }
            | Command::MarkMajor { call }
            | Command::GiveAdvice { call, .. }
            | Command::TickStep { call, .. }
            | Command::PlantPanic { call } => Some(*call),
            Command::OpenComplaint { grievance } => Some(grievance.call),
            Command::StartGroupCall { wish } => wish.call,
            Command::Dial { .. }
            | Command::CancelGroupCall { .. }
            | Command::SeatReady { .. }
            | Command::CloseComplaint { .. }
            | Command::LiftHold { .. }
            | Command::HandOver { .. }
            | Command::TakeOverShift { .. }
            | Command::SelfTest { .. }
            | Command::SeatNotReady { .. }
            | Command::CallBackNow { .. }
            | Command::SignIn { .. }
            | Command::SignOut { .. }
            | Command::ListenQueue { .. }
            | Command::StopListeningQueue { .. }
            | Command::CloseCallBack { .. }
            | Command::ConfirmVerdict { .. }
            | Command::LiftVerdict { .. } => None,
        },
        InputKind::Skipped { call, .. } => *call,
        InputKind::Started { .. }
        | InputKind::PolicyChanged { .. }
        | InputKind::ArrivedAgain { .. }
        | InputKind::Seat { .. }
        | InputKind::Trunk { .. }
        | InputKind::UnknownSource { .. }
        | InputKind::Alarm { .. }
        | InputKind::Remembered { .. }
        | InputKind::Tick => None,
    }
}
