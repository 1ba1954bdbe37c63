//! The switch out of the journal: at start, and for `firstring replay`.

use std::path::Path;

use tokio::sync::mpsc;

use super::owner::replay_guarded;
use crate::call_record::{Because, Why};
use crate::id::CallId;
use crate::media::recorder::{self, Left};
use crate::store::journal::{self, EventReader, JournalError, Recovered};
use crate::switch::{
    Event, Input, InputKind, Policy, RecordingEvent, Switch, complaints_of, marks_of,
};

/// A switch as the last process left it, or an empty one. A snapshot that this build cannot read is passed over:
/// calls of the old process are then unknown to the switch, and their records stay open for a named person. True: a part
/// of the state is lost, see [`remember`].
pub(super) fn recover(recovered: Recovered, seed: u64, policy: &Policy) -> (Switch, bool) {
    let mut lost = recovered.truncated.is_some();
    let empty = || Switch::new(seed, policy.clone());
    let mut switch = match &recovered.snapshot {
        Some(snapshot) => Switch::restore(&snapshot.value).unwrap_or_else(|error| {
            tracing::error!(%error, build = %snapshot.build, "the journal's snapshot does not load in this build; starting empty");
            lost = true;
            empty()
        }),
        None => empty(),
    };
    if let Some(damage) = &recovered.truncated {
        tracing::warn!(%damage, "the journal's end was cut by the last stop");
    }
    let left_out = replay_guarded(&mut switch, recovered.tail);
    if left_out > 0 {
        tracing::error!(
            left_out,
            "inputs of the last process made the switch panic and were left out"
        );
    }
    (switch, lost)
}

/// What must outlive a state that cannot be read: people's verdicts on numbers and complaints with their holds, folded from
/// all Events of the journal. Calls are taken meanwhile; until then nobody is marked. Never ends, as every part of the engine.
pub(super) async fn remember(events: EventReader, inputs: mpsc::Sender<InputKind>) {
    let told = async {
        let verdicts = events.events_named("harassment.").await?;
        Ok::<_, JournalError>((verdicts, events.events_named("complaint.").await?))
    };
    match told.await {
        Ok((verdicts, complaints)) => {
            let (marks, complaints) = (marks_of(&verdicts), complaints_of(&complaints));
            tracing::info!(
                marks = marks.len(),
                complaints = complaints.len(),
                "verdicts and complaints read from the journal's events"
            );
            drop(
                inputs
                    .send(InputKind::Remembered { marks, complaints })
                    .await,
            );
        }
        Err(error) => {
            tracing::error!(%error, "verdicts and complaints cannot be read from the journal; people must give them anew");
        }
    }
    std::future::pending::<()>().await;
}

/// Recordings of the dead process that nobody will ever seal, so that their calls need not wait for them. To be
/// asked before the recorder starts, and to be told behind [`InputKind::Started`].
pub(super) fn missing_recordings(switch: &Switch, dir: &Path) -> Vec<InputKind> {
    let unsealed = switch.unsealed().into_iter();
    unsealed
        .filter_map(|(call, recording, received)| {
            let detail = match recorder::left_of(dir, call, recording, received) {
                Left::Capture => return None,
                Left::Nothing => {
                    "the process was killed before any sound of this call was on the disk".to_owned()
                }
                Left::Sealed(path) => format!(
                    "the process was killed before the finished recording was noted; its sound is in {path}"
                ),
            };
            let event = RecordingEvent::Failed { recording, detail };
            Some(InputKind::Recording { call, event })
        })
        .collect()
}

/// What a replay found.
#[derive(Debug)]
pub struct Replayed {
    pub inputs: u64,
    pub events: u64,
    pub state_hash: String,
}

/// Why a journal does not replay.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error("the snapshot at the beginning does not load in this build: {0}")]
    Snapshot(String),
    #[error(
        "input {seq}: replaying it gave other events than the journal holds; another build wrote it, or the switch is not deterministic"
    )]
    Differs { seq: u64 },
    #[error("input {seq} is the first, but no start of a process; replay the whole directory")]
    Headless { seq: u64 },
    #[error("the journal holds no input")]
    Empty,
}

/// Rebuild the state from a segment or a directory of segments, comparing every Event with the journaled one.
///
/// # Errors
/// [`ReplayError`]: the file is damaged (with its place), or the events differ.
pub fn replay(path: &Path) -> Result<Replayed, ReplayError> {
    let entries = journal::replay(path)?;
    let mut switch = match entries.start() {
        Some(snapshot) => Some(
            Switch::restore(&snapshot.value)
                .map_err(|error| ReplayError::Snapshot(error.to_string()))?,
        ),
        None => None,
    };
    let (mut inputs, mut events) = (0, 0);
    for entry in entries {
        let entry = entry?;
        if switch.is_none() {
            let policy =
                first_policy(&entry.input).ok_or(ReplayError::Headless { seq: entry.seq })?;
            switch = Some(Switch::new(0, policy));
        }
        let Some(switch) = switch.as_mut() else {
            return Err(ReplayError::Empty);
        };
        switch.handle(&entry.input);
        let made: Vec<Event> = switch.take_events();
        while switch.poll_effect().is_some() {}
        if made != entry.events {
            return Err(ReplayError::Differs { seq: entry.seq });
        }
        inputs += 1;
        events += u64::try_from(made.len()).unwrap_or(0);
    }
    let switch = switch.ok_or(ReplayError::Empty)?;
    Ok(Replayed {
        inputs,
        events,
        state_hash: switch.state_hash(),
    })
}

/// Why a call rang where it rang, from the Events of a segment or a directory of segments; empty when it is not there.
///
/// # Errors
/// [`ReplayError`]: the file is damaged (with its place).
pub fn why(path: &Path, call: CallId) -> Result<Vec<Because>, ReplayError> {
    let entries = journal::replay(path)?;
    let state = entries.start().map(|start| Switch::restore(&start.value));
    let state = state
        .transpose()
        .map_err(|error| ReplayError::Snapshot(error.to_string()))?;
    let mut why = Why::new(call, state.iter().flat_map(Switch::seat_states));
    for entry in entries {
        for event in &entry?.events {
            why.take(event);
        }
    }
    Ok(why.finish())
}

/// The policy that the first Input of a journal brings; a segment of its own begins with a snapshot instead.
fn first_policy(input: &Input) -> Option<Policy> {
    match &input.kind {
        InputKind::Started { policy, .. } => Some(Policy::clone(policy)),
        InputKind::PolicyChanged { .. }
        | InputKind::Arrived { .. }
        | InputKind::ArrivedAgain { .. }
        | InputKind::Leg { .. }
        | InputKind::Media { .. }
        | InputKind::Recording { .. }
        | InputKind::Found { .. }
        | InputKind::Seat { .. }
        | InputKind::Pin { .. }
        | InputKind::Trunk { .. }
        | InputKind::UnknownSource { .. }
        | InputKind::Command { .. }
        | InputKind::Alarm { .. }
        | InputKind::Tick
        | InputKind::Skipped { .. }
        | InputKind::Remembered { .. } => None,
    }
}
