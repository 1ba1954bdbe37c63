//! Watches what runs out: disk, ports, descriptors. Each raises its alarm at 80 % and clears it at 75 %.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use tokio::sync::mpsc;

use crate::media::plane::Plane;
use crate::switch::{AlarmCode, InputKind};

const LOOK_EVERY: Duration = Duration::from_secs(2);
const RAISE_AT: f64 = 0.80;
const CLEAR_AT: f64 = 0.75;

/// What is watched.
pub struct Watch {
    pub plane: Plane,
    /// Directories whose file systems must have room.
    pub dirs: Vec<PathBuf>,
    pub inputs: mpsc::Sender<InputKind>,
}

impl Watch {
    /// Look every 2 s, for ever.
    pub async fn run(self) {
        let mut raised: BTreeMap<(AlarmCode, String), bool> = BTreeMap::new();
        loop {
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

    fn shares(&self) -> Vec<(AlarmCode, String, f64, &'static str)> {
        let mut shares = Vec::new();
        for dir in &self.dirs {
            if let Ok(disk) = rustix::fs::statvfs(dir) {
                #[expect(clippy::cast_precision_loss, reason = "a share of the disk")]
                let used = 1.0 - disk.f_bavail as f64 / disk.f_blocks.max(1) as f64;
                shares.push((
                    AlarmCode::DiskLow,
                    dir.display().to_string(),
                    used,
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

/// Share of the process's descriptors in use.
fn descriptors() -> Option<f64> {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current?;
    let used = std::fs::read_dir("/proc/self/fd").ok()?.count();
    #[expect(clippy::cast_precision_loss, reason = "a share of the descriptors")]
    Some(used as f64 / limit.max(1) as f64)
}
