//! Watches what runs out: disk, ports, descriptors. Each raises its alarm at 80 % and clears it at 75 %. Watches also whether
//! the records follow the journal: a database that takes nothing is an alarm; and whether
//! somebody moved the system's clock.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use tokio::sync::{mpsc, watch};

use crate::clock::Clock;
use crate::media::plane::Plane;
use crate::store::projector::ProjectorStatus;
use crate::store::records::Store;
use crate::switch::{AlarmCode, InputKind};

const LOOK_EVERY: Duration = Duration::from_secs(2);
const RAISE_AT: f64 = 0.80;
const CLEAR_AT: f64 = 0.75;
/// The system's clock was set when it is this far from the engine's, and agrees again below the second one.
const CLOCK_STEPPED_US: u64 = 1_000_000;
const CLOCK_AGREES_US: u64 = 500_000;
/// A database that has failed for this long (after waiting 3 s for it) is down, not busy.
const STORE_DOWN_MS: u64 = 1000;

/// What is watched.
pub(super) struct Watch {
    pub plane: Plane,
    /// Directories whose file systems must have room.
    pub dirs: Vec<PathBuf>,
    pub projector: watch::Receiver<ProjectorStatus>,
    pub store: Store,
    pub inputs: mpsc::Sender<InputKind>,
}

impl Watch {
    /// Look every 2 s, for ever.
    pub(super) async fn run(self) {
        let mut raised: BTreeMap<(AlarmCode, String), bool> = BTreeMap::new();
        let mut store_down = false;
        let mut clock_stepped = false;
        loop {
            self.look_at_store(&mut store_down).await;
            self.look_at_clock(&mut clock_stepped).await;
            for (code, subject, share, advice) in self.shares() {
                let standing = raised.entry((code, subject.clone())).or_insert(false);
                let turns = if *standing {
                    share < CLEAR_AT
                } else {
                    share >= RAISE_AT
                };
                if turns {
                    *standing = !*standing;
                    let detail = format!("{:.0} % in use; {advice}", share * 100.0);
                    drop(
                        self.inputs
                            .send(InputKind::Alarm {
                                code,
                                subject,
                                detail,
                                raised: *standing,
                            })
                            .await,
                    );
                }
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    async fn look_at_clock(&self, standing: &mut bool) {
        let drift_us = Clock::process().wall_drift_micros();
        if let Some(alarm) = clock_alarm(drift_us, standing) {
            drop(self.inputs.send(alarm).await);
        }
    }

    async fn look_at_store(&self, standing: &mut bool) {
        let status = self.projector.borrow().clone();
        let down_ms = status
            .failing_since
            .map_or(0, |since| Clock::process().now().millis_since(since));
        let turns = if *standing {
            status.failing_since.is_none()
        } else {
            down_ms >= STORE_DOWN_MS
        };
        if turns {
            *standing = !*standing;
            let reason = status.last_error.unwrap_or_default();
            let alarm = InputKind::Alarm {
                code: AlarmCode::StoreDown,
                subject: "records".to_owned(),
                detail: format!(
                    "{reason}. Calls go on and everything is journaled; look at the database"
                ),
                raised: *standing,
            };
            drop(self.inputs.send(alarm).await);
        }
        if down_ms == 0 {
            self.count_outbox().await;
        }
    }

    /// Rows of the outbox by destination and state, for the metrics.
    async fn count_outbox(&self) {
        let Ok(counts) = self.store.outbox_counts().await else {
            return; // the projector will tell
        };
        let now = Clock::process().now();
        for count in counts {
            let oldest_ms = count.oldest_pending.map_or(0, |at| now.millis_since(at));
            let destination = count.destination.to_string();
            for (state, rows) in [
                ("pending", count.pending),
                ("delivered", count.delivered),
                ("dead", count.dead),
            ] {
                #[expect(clippy::cast_precision_loss, reason = "gauges are floating point")]
                metrics::gauge!("firstring_outbox_rows", "destination" => destination.clone(), "state" => state)
                    .set(rows as f64);
            }
            #[expect(clippy::cast_precision_loss, reason = "gauges are floating point")]
            metrics::gauge!("firstring_outbox_oldest_pending_seconds", "destination" => destination)
                .set(oldest_ms as f64 / 1000.0);
        }
    }

    fn shares(&self) -> Vec<(AlarmCode, String, f64, &'static str)> {
        let mut shares = Vec::new();
        for dir in &self.dirs {
            if let Ok(disk) = rustix::fs::statvfs(dir) {
                shares.push((
                    AlarmCode::DiskLow,
                    dir.display().to_string(),
                    disk_share(disk.f_blocks, disk.f_bfree, disk.f_bavail),
                    "make room, or move the directory to a larger disk",
                ));
            }
        }
        let media = self.plane.stats();
        if media.ports_total > 0 {
            #[expect(clippy::cast_precision_loss, reason = "a share of the ports")]
            let share = media.ports_used as f64 / media.ports_total as f64;
            shares.push((
                AlarmCode::PortsLow,
                "rtp".to_owned(),
                share,
                "widen [media] port_first..port_last",
            ));
        }
        if let Some(share) = descriptors() {
            shares.push((
                AlarmCode::DescriptorsLow,
                "process".to_owned(),
                share,
                "raise LimitNOFILE in the unit",
            ));
        }
        shares
    }
}

/// Share in use of what we may use, as `df` counts it: blocks kept for root are neither.
#[expect(clippy::cast_precision_loss, reason = "a share of the disk")]
fn disk_share(blocks: u64, free: u64, available: u64) -> f64 {
    let used = blocks.saturating_sub(free);
    used as f64 / used.saturating_add(available).max(1) as f64
}

/// The word about a system's clock that is so far from the engine's, when there is something new to say.
fn clock_alarm(drift_us: i64, standing: &mut bool) -> Option<InputKind> {
    let drift_us = drift_us.unsigned_abs();
    let turns = if *standing {
        drift_us < CLOCK_AGREES_US
    } else {
        drift_us >= CLOCK_STEPPED_US
    };
    if !turns {
        return None;
    }
    *standing = !*standing;
    Some(InputKind::Alarm {
        code: AlarmCode::ClockStepped,
        subject: "system".to_owned(),
        detail: format!(
            "the system's clock was moved by {} ms; times of records follow the engine's until its next start",
            drift_us / 1000
        ),
        raised: *standing,
    })
}

/// Share of the process's descriptors in use.
fn descriptors() -> Option<f64> {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current?;
    let used = std::fs::read_dir("/proc/self/fd").ok()?.count();
    #[expect(clippy::cast_precision_loss, reason = "a share of the descriptors")]
    Some(used as f64 / limit.max(1) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_kept_for_root_do_not_count_as_used() {
        assert!((disk_share(252, 237, 76) - 15.0 / 91.0).abs() < 1e-9);
        assert!((disk_share(100, 0, 0) - 1.0).abs() < 1e-9);
        assert!(disk_share(0, 0, 0) < 1e-9);
    }

    #[test]
    fn clock_that_was_moved_either_way_is_told_once_and_its_return_once() {
        let mut standing = false;
        let mut told = |drift_ms: i64| match clock_alarm(drift_ms * 1000, &mut standing) {
            Some(InputKind::Alarm {
                code: AlarmCode::ClockStepped,
                detail,
                raised,
                ..
            }) => Some((raised, detail)),
            None => None,
            Some(other) => panic!("{other:?}"),
        };
        assert_eq!(told(999), None, "as clocks drift");
        let (raised, detail) = told(-3_600_000).unwrap();
        assert!(raised && detail.contains("3600000 ms"), "{detail}");
        assert_eq!(told(-3_600_001), None);
        assert_eq!(told(600), None, "not yet well");
        assert!(matches!(told(-499), Some((false, _))));
        assert!(matches!(told(1000), Some((true, _))));
    }
}
