//! When the recorder is ill: signs in, alarms out. Pure, so that every threshold is tested.
//!
//! `recording.late`: audio waits in memory or finished calls wait to be sealed; nothing is lost. Raised at the first
//! error or [`STALL_US`] into a stall, cleared when writes and seals have gone well for [`WELL_US`].
//! `recording.failed`: audio is being lost, or a capture is beyond repair. Cleared [`CALM_US`] after the last loss.

use crate::switch::{AlarmCode, InputKind};

/// A write, a seal step or a sync under way for longer than this is a stall.
const STALL_US: i64 = 3_500_000;
const WELL_US: i64 = 1_000_000;
const CALM_US: i64 = 10_000_000;
/// The subject of both alarms.
const SUBJECT: &str = "recordings";

/// What one pass saw.
#[derive(Debug, Default)]
pub(super) struct Signs {
    /// The last writes failed.
    pub(super) write_error: Option<String>,
    /// A batch of writes is under way since then.
    pub(super) writing_since_us: Option<i64>,
    /// The sealer is in one disk operation since then.
    pub(super) sealing_since_us: Option<i64>,
    /// The last sync or seal failed.
    pub(super) seal_error: Option<String>,
    pub(super) spool_bytes: usize,
    pub(super) spool_bytes_max: usize,
    /// Audio is being lost now, or something was lost in this pass.
    pub(super) loss: Option<String>,
    pub(super) dir: String,
}

/// The two alarms.
#[derive(Debug, Default)]
pub(super) struct Health {
    late: bool,
    ill_us: i64,
    failed: bool,
    loss_us: i64,
}

impl Health {
    /// Whether the recorder knows itself to be behind.
    pub(super) fn late(&self) -> bool {
        self.late
    }

    /// Judge a pass; alarms that change go to `tell`.
    pub(super) fn judge(&mut self, now: i64, signs: &Signs, mut tell: impl FnMut(InputKind)) {
        if let Some(why) = trouble(now, signs) {
            self.ill_us = now;
            if !self.late {
                self.late = true;
                tell(alarm(AlarmCode::RecordingLate, why, true));
            }
        } else if self.late && now - self.ill_us >= WELL_US {
            self.late = false;
            let why = String::from("recordings are written again");
            tell(alarm(AlarmCode::RecordingLate, why, false));
        }
        if let Some(what) = &signs.loss {
            self.loss_us = now;
            if !self.failed {
                self.failed = true;
                tell(alarm(AlarmCode::RecordingFailed, what.clone(), true));
            }
        } else if self.failed && now - self.loss_us >= CALM_US {
            self.failed = false;
            let why = String::from("no audio is being lost any more");
            tell(alarm(AlarmCode::RecordingFailed, why, false));
        }
    }
}

fn trouble(now: i64, signs: &Signs) -> Option<String> {
    let stalled = |since: Option<i64>| since.filter(|s| now - s >= STALL_US);
    let what = if let Some(error) = &signs.write_error {
        format!("cannot be written: {error}")
    } else if let Some(since) = stalled(signs.writing_since_us) {
        format!("takes no writes for {} s", (now - since) / 1_000_000)
    } else if let Some(error) = &signs.seal_error {
        format!("cannot be completed: {error}")
    } else if let Some(since) = stalled(signs.sealing_since_us) {
        format!("does not answer for {} s", (now - since) / 1_000_000)
    } else {
        return None;
    };
    Some(format!(
        "recordings directory {} {what}. {} KiB of audio wait in memory, room for {} MiB; calls go on. \
         Free space or repair the disk; what waits is written then.",
        signs.dir,
        signs.spool_bytes / 1024,
        signs.spool_bytes_max / 1024 / 1024
    ))
}

fn alarm(code: AlarmCode, detail: String, raised: bool) -> InputKind {
    InputKind::Alarm {
        code,
        subject: SUBJECT.to_owned(),
        detail,
        raised,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(health: &mut Health, now_ms: i64, signs: &Signs) -> Vec<(AlarmCode, bool)> {
        let mut told = Vec::new();
        health.judge(now_ms * 1000, signs, |input| {
            if let InputKind::Alarm { code, raised, .. } = input {
                told.push((code, raised));
            }
        });
        told
    }

    #[test]
    fn a_stalled_write_is_alarmed_within_five_seconds_and_cleared_after_relief() {
        let mut health = Health::default();
        let stalled = Signs {
            writing_since_us: Some(1_000_000),
            ..Signs::default()
        };
        assert_eq!(step(&mut health, 4000, &stalled), []);
        let raised = [(AlarmCode::RecordingLate, true)];
        assert_eq!(step(&mut health, 4500, &stalled), raised);
        assert_eq!(step(&mut health, 30_000, &stalled), [], "raised once");
        assert_eq!(step(&mut health, 30_900, &Signs::default()), []);
        let cleared = [(AlarmCode::RecordingLate, false)];
        assert_eq!(step(&mut health, 31_000, &Signs::default()), cleared);
        assert_eq!(step(&mut health, 60_000, &Signs::default()), []);
    }

    #[test]
    fn lost_audio_is_alarmed_at_once_and_cleared_when_no_more_is_lost() {
        let mut health = Health::default();
        let losing = Signs {
            write_error: Some("No space left on device".into()),
            loss: Some("lost".into()),
            ..Signs::default()
        };
        let raised = [
            (AlarmCode::RecordingLate, true),
            (AlarmCode::RecordingFailed, true),
        ];
        assert_eq!(step(&mut health, 1000, &losing), raised);
        assert_eq!(step(&mut health, 5000, &losing), []);
        let late = [(AlarmCode::RecordingLate, false)];
        assert_eq!(step(&mut health, 6000, &Signs::default()), late);
        let failed = [(AlarmCode::RecordingFailed, false)];
        assert_eq!(step(&mut health, 15_000, &Signs::default()), failed);
    }
}
