//! Tasks that must not end: each is kept, and the end of one while the engine runs is told.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::task::JoinHandle;

/// The tasks beside the owner.
#[derive(Default)]
pub(super) struct Tasks {
    running: Vec<JoinHandle<()>>,
    stopping: Arc<AtomicBool>,
    ended: Arc<tokio::sync::Notify>,
}

impl Tasks {
    /// Run `task`; its end before [`Tasks::stop`] is logged and wakes [`Tasks::one_ended`].
    #[expect(
        clippy::disallowed_methods,
        reason = "this is where tasks are kept and watched"
    )]
    pub(super) fn spawn(
        &mut self,
        name: &'static str,
        task: impl Future<Output = ()> + Send + 'static,
    ) {
        let inner = tokio::spawn(task);
        let (stopping, ended) = (Arc::clone(&self.stopping), Arc::clone(&self.ended));
        let abort = inner.abort_handle();
        let watched = tokio::spawn(async move {
            let _guard = AbortOnDrop(abort);
            let result = inner.await;
            if !stopping.load(Ordering::Relaxed) {
                tracing::error!(
                    task = name,
                    panicked = result.is_err_and(|error| error.is_panic()),
                    "a part of the engine ended by itself"
                );
                ended.notify_one();
            }
        });
        self.running.push(watched);
    }

    /// A handle that waits until a task has ended by itself.
    #[must_use]
    pub(super) fn one_ended(&self) -> Arc<tokio::sync::Notify> {
        Arc::clone(&self.ended)
    }

    /// From now on the end of a task is no fault.
    pub(super) fn expect_ends(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    /// End all tasks now.
    pub(super) async fn stop(self) {
        self.expect_ends();
        for task in &self.running {
            task.abort();
        }
        for task in self.running {
            drop(task.await);
        }
    }
}

struct AbortOnDrop(tokio::task::AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Run the owner; its handle is kept by the engine.
#[expect(clippy::disallowed_methods, reason = "the engine keeps the handle")]
pub(super) fn spawn_owner<T: Send + 'static>(
    owner: impl Future<Output = T> + Send + 'static,
) -> JoinHandle<T> {
    tokio::spawn(owner)
}
