//! What seats did with their talking call: hold, shelf, transfer, the silent caller.

use super::fold::masked;
use super::{CallRecord, Moment, RecordedTransfer, ShelfStay, Silent};
use crate::call::TransferTo;
use crate::switch::EventKind;

impl CallRecord {
    /// Takes in what the events of handling say; other events say nothing of it.
    pub(super) fn seat_step(&mut self, at: Moment, kind: &EventKind) {
        if let EventKind::CallHeld { .. } = kind {
            if let Some(stay) = self.seats.iter_mut().rev().find(|stay| stay.talks()) {
                stay.held_since.get_or_insert(at);
            }
        } else if let EventKind::CallResumed { .. } = kind {
            for stay in &mut self.seats {
                stay.resume(at);
            }
        } else if let EventKind::CallShelved { seat, by, .. } = kind {
            self.shelves.push(ShelfStay {
                start: at,
                end: None,
                seat_id: seat.clone(),
                by: by.clone(),
                reason: None,
                handed_over_at: None,
            });
        } else if let EventKind::CallUnshelved { why, .. } = kind {
            self.off_the_shelf(at, why);
        } else if let EventKind::ShelfHandedOver { .. } = kind {
            if let Some(stay) = self.shelves.last_mut() {
                stay.handed_over_at.get_or_insert(at);
            }
        } else if let EventKind::SilentAsked { by } = kind {
            self.silent.get_or_insert_with(|| Silent {
                asked_at: at,
                by: by.clone(),
                key: None,
                key_at: None,
            });
        } else if let EventKind::SilentAnswered { digit } = kind {
            if let Some(silent) = self.silent.as_mut().filter(|s| s.key.is_none()) {
                (silent.key, silent.key_at) = (Some(*digit), Some(at));
            }
        } else if let EventKind::TransferStarted { from, to, kind, by } = kind {
            self.transfers.push(RecordedTransfer {
                at,
                from: from.clone(),
                to: shown(to),
                kind: *kind,
                by: by.clone(),
                ended_at: None,
                outcome: None,
            });
        } else if let EventKind::CallTransferred { outcome, .. } = kind
            && let Some(transfer) = self.transfers.last_mut()
        {
            transfer.ended_at.get_or_insert(at);
            transfer.outcome.get_or_insert_with(|| outcome.clone());
        }
    }

    pub(super) fn off_the_shelf(&mut self, at: Moment, why: &str) {
        if let Some(stay) = self.shelves.last_mut().filter(|stay| stay.end.is_none()) {
            stay.end = Some(at);
            stay.reason = Some(why.to_owned());
            let before = self.metrics.shelved_ms.unwrap_or(0);
            self.metrics.shelved_ms = Some(before + at.millis_since(stay.start));
        }
    }
}

fn shown(to: &TransferTo) -> TransferTo {
    match to {
        TransferTo::Seat(_) | TransferTo::Queue(_) => to.clone(),
        TransferTo::Number(number) => TransferTo::Number(masked(number)),
    }
}
