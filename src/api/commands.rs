//! The way in for commands: each becomes an Input, and its answer finds the asker again.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

use crate::id::CommandId;
use crate::switch::{Actor, Command, CommandError, CommandReply, InputKind};

/// A command that was not answered in this time says so; it may still take effect.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);

type Answer = Result<CommandReply, CommandError>;
type Pending = BTreeMap<CommandId, oneshot::Sender<Answer>>;

/// Why a command brought nothing.
#[derive(Debug, thiserror::Error)]
pub enum SubmitError {
    /// The switch refused it; nothing changed.
    #[error(transparent)]
    Refused(#[from] CommandError),
    /// The inbox is full or closed; nothing was taken in.
    #[error("the engine takes no commands now; try again in a second")]
    Busy,
    /// No answer in time; it may still take effect.
    #[error("no answer within 3 s; look at the call before you try again")]
    Late,
}

/// Gives commands to the switch and hands back its answers.
#[derive(Clone)]
pub struct Commands {
    inbox: mpsc::Sender<InputKind>,
    pending: Arc<Mutex<Pending>>,
}

impl Commands {
    /// Commands go into `inbox`.
    #[must_use]
    pub fn new(inbox: mpsc::Sender<InputKind>) -> Self {
        Self {
            inbox,
            pending: Arc::default(),
        }
    }

    /// Give a command and wait for its answer, 3 s at most.
    ///
    /// # Errors
    /// [`SubmitError`]: refused by the switch, not taken in, or late.
    pub async fn submit(&self, by: Actor, command: Command) -> Result<CommandReply, SubmitError> {
        let id = CommandId(Uuid::now_v7());
        let (sender, receiver) = oneshot::channel();
        self.pending().insert(id, sender);
        let taken = self
            .inbox
            .try_send(InputKind::Command { id, by, command })
            .is_ok();
        let answer = if taken {
            tokio::time::timeout(ANSWER_WITHIN, receiver)
                .await
                .ok()
                .and_then(Result::ok)
        } else {
            None
        };
        self.pending().remove(&id);
        match answer {
            Some(result) => Ok(result?),
            None if taken => Err(SubmitError::Late),
            None => Err(SubmitError::Busy),
        }
    }

    /// The switch has answered `id`. Whoever asked may have gone; the command stands all the same.
    pub fn answer(&self, id: CommandId, result: Answer) {
        if let Some(asker) = self.pending().remove(&id) {
            drop(asker.send(result));
        }
    }

    fn pending(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
