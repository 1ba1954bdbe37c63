//! Readers of the journal's committed Events that keep nothing: from now on, page by page.

use std::path::PathBuf;
use std::time::Duration;

use tokio::sync::watch;

use crate::media::recorder;
use crate::store::journal::EventReader;
use crate::switch::{Event, EventKind, SealedRecording};

/// Events of one look.
const PAGE: u32 = 256;

/// The Events committed after `cursor`, as soon as there are some; moves `cursor` on. None when the journal has closed.
pub(super) async fn next_page(events: &EventReader, cursor: &mut u64) -> Option<Vec<Event>> {
    loop {
        if !events.wait_after(*cursor).await {
            return None;
        }
        let committed = events.last();
        let Ok(page) = events.events_after(*cursor, PAGE).await else {
            tokio::time::sleep(Duration::from_secs(1)).await;
            continue;
        };
        // Without a page there is only what this build cannot read.
        *cursor = page
            .last()
            .map_or(committed.max(*cursor), |(last, _)| *last);
        if !page.is_empty() {
            return Some(page.into_iter().map(|(_, event)| event).collect());
        }
    }
}

/// Drops the capture of each recording whose seal is in the journal; `done` is the last Event
/// that was looked at.
pub(super) async fn drop_captures(events: EventReader, dir: PathBuf, done: watch::Sender<u64>) {
    let mut cursor = *done.borrow();
    while let Some(page) = next_page(&events, &mut cursor).await {
        let sealed: Vec<SealedRecording> = page.into_iter().filter_map(sealed_in).collect();
        if !sealed.is_empty() {
            let dir = dir.clone();
            let dropped = tokio::task::spawn_blocking(move || {
                for sealed in &sealed {
                    if let Err(error) = recorder::drop_capture(&dir, sealed) {
                        // The next start seals it again, to the same bytes, and drops it then.
                        tracing::warn!(%error, recording = %sealed.recording, "a capture stays beside its recording");
                    }
                }
            });
            drop(dropped.await);
        }
        done.send_replace(cursor);
    }
    std::future::pending().await // the journal has closed: the engine ends
}

fn sealed_in(event: Event) -> Option<SealedRecording> {
    if let EventKind::RecordingSealed { sealed } = event.kind {
        return Some(sealed);
    }
    None
}
