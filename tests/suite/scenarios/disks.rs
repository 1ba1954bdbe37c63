//! Disks that stand still, refuse or are full for half a minute while the evening goes on: calls ring, talk and close,
//! the alarm comes within 5 s, and after relief everything that waited is written.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use firstring::sim::phone::Phone;
use serde_json::json;

use crate::support::scene::{self, alarm, carrier, closed_record_of, recording};
use crate::support::server::{Mounts, Server, centre};
use crate::support::tone::tone_span;

/// From the fault to its alarm.
const ALARM_WITHIN: Duration = Duration::from_secs(5);
/// From an INVITE to a talk, the seat's 100 ms of ringing included.
const TALK_WITHIN: Duration = Duration::from_secs(4);

fn fault_lasts() -> Duration {
    Duration::from_secs(if super::long() { 30 } else { 1 })
}

/// One seat whose phone answers, and how many callers it has had.
struct Evening {
    server: Server,
    seat: Phone,
    callers: usize,
}

impl Evening {
    async fn begin(mounts: impl FnOnce(&Path) -> Option<Mounts>) -> Option<Self> {
        let (dir, mut practice) = centre(1);
        practice.trunks.push(carrier("ct", "127.0.0.1"));
        practice
            .lines
            .insert("testing", vec!["allow_faults = true".to_owned()]);
        practice
            .lines
            .insert("timers", vec!["wrap_up_ms = 0".to_owned()]);
        let mounts = mounts(dir.path())?;
        Some(Self::on((dir, practice), Some(mounts)).await)
    }

    async fn on(
        practice: (tempfile::TempDir, firstring::sim::centre::Centre),
        mounts: Option<Mounts>,
    ) -> Self {
        let mut server = Server::start_with(practice, mounts).await;
        let seat = scene::seat(&mut server, "801").await;
        Self {
            server,
            seat,
            callers: 0,
        }
    }

    /// Call after call for `span`, one at least; each rings, talks for a second and closes. Gives the numbers.
    async fn calls_go_on(&mut self, span: Duration) -> Vec<String> {
        let until = Instant::now() + span;
        let mut numbers = Vec::new();
        while numbers.is_empty() || Instant::now() < until {
            let number = format!("139001{:05}", self.callers);
            self.callers += 1;
            let begun = Instant::now();
            let mut caller = scene::caller(&self.server, &number).await;
            let (talk, answered) = scene::talk(&mut caller, &mut self.seat, (620, 1100)).await;
            assert!(begun.elapsed() < TALK_WITHIN, "{:?}", begun.elapsed());
            tokio::time::sleep(Duration::from_secs(1)).await; // the talk
            scene::end((&mut caller, talk), (&mut self.seat, answered)).await;
            self.server
                .wait_for("/api/v1/calls", "the call to close", |calls| {
                    let closed = |call: &serde_json::Value| call["state"] == "closing";
                    calls.as_array()?.iter().all(closed).then_some(())
                })
                .await;
            numbers.push(number);
        }
        numbers
    }

    /// The alarm is there within 5 s of `planted`, and calls go on meanwhile and until `fault_lasts` is over.
    async fn suffers(&mut self, planted: Instant, codes: &[&str]) -> Vec<String> {
        let mut numbers = self.calls_go_on(Duration::ZERO).await;
        for code in codes {
            alarm(&mut self.server, code, true).await;
            let after = planted.elapsed();
            assert!(after < ALARM_WITHIN, "{code} after {after:?}");
        }
        let rest = fault_lasts().saturating_sub(planted.elapsed());
        if !rest.is_zero() {
            numbers.extend(self.calls_go_on(rest).await);
        }
        numbers
    }

    /// The journal's log has room of its own on a full disk. Refused commands fill it too: each is an Input.
    async fn uses_up_what_the_journal_set_aside(&mut self) {
        let until = Instant::now() + Duration::from_secs(30);
        loop {
            let (status, _) = self.server.post("/api/v1/seats/800/ready", json!({})).await;
            assert_eq!(status, 409, "800 is not signed in");
            let view = self.server.get("/api/v1/view").await;
            let alarms = view["alarms"].as_array().unwrap();
            if alarms.iter().any(|alarm| alarm["code"] == "journal.late") {
                return;
            }
            assert!(Instant::now() < until, "the journal still finds room");
        }
    }

    /// After relief: alarms over, records closed, recordings complete: the memory for waiting audio is far from full.
    async fn all_is_written(&mut self, numbers: &[String], codes: &[&str]) {
        for code in codes {
            alarm(&mut self.server, code, false).await;
        }
        for number in numbers {
            let record = closed_record_of(&mut self.server, number, true).await;
            assert_eq!(record["end"]["result"], "answered", "{number}");
            let talk_ms = record["metrics"]["talk_ms"].as_u64().unwrap();
            let wav = recording(&self.server, &record);
            assert_eq!(wav.channels.len(), 2);
            for (channel, hz) in [(0, 620.0), (1, 1100.0)] {
                let heard = tone_span(&wav.channels[channel], hz);
                let whole = heard
                    .is_some_and(|(from, to, without)| to - from + 200 >= talk_ms && without <= 10);
                assert!(whole, "{number}: {hz} Hz is {heard:?} of {talk_ms} ms");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_ring_talk_and_close_while_the_journals_disk_stalls_refuses_or_is_full_and_nothing_is_lost()
 {
    let (dir, mut practice) = centre(1);
    practice.trunks.push(carrier("ct", "127.0.0.1"));
    practice
        .lines
        .insert("testing", vec!["allow_faults = true".to_owned()]);
    practice
        .lines
        .insert("timers", vec!["wrap_up_ms = 0".to_owned()]);
    let mut evening = Evening::on((dir, practice), None).await;
    let switch = evening.server.centre.dir.join("journal/faults");
    for fault in ["stall", "fail", "full"] {
        std::fs::write(&switch, fault).unwrap();
        let numbers = evening.suffers(Instant::now(), &["journal.late"]).await;
        std::fs::remove_file(&switch).unwrap();
        evening.all_is_written(&numbers, &["journal.late"]).await;
        println!("journal {fault}: {} calls", numbers.len());
    }
    let said = evening.server.terminate();
    let replayed = firstring::engine::replay(&evening.server.centre.dir.join("journal")).unwrap();
    assert_eq!(said.trim(), format!("state {}", replayed.state_hash));
}

/// Both directories on small memory disks of their own, filled to the last byte.
#[tokio::test(flavor = "multi_thread")]
async fn calls_ring_talk_and_close_on_full_file_systems_and_everything_is_written_after_room_is_made()
 {
    let tmpfs = |dir: &Path| {
        let mount = |name: &str| {
            let at = dir.join(name);
            format!("mount -t tmpfs -o size=24m none \"{}\"", at.display())
        };
        Mounts::new(format!("{} && {}", mount("journal"), mount("recordings")))
    };
    let Some(mut evening) = Evening::begin(tmpfs).await else {
        return;
    };
    evening.calls_go_on(Duration::ZERO).await;
    let fillers = ["journal", "recordings"].map(|name| evening.server.files().join(name));
    let fillers = fillers.map(|dir| fill(&dir));
    let codes = ["journal.late", "recording.late"];
    evening.uses_up_what_the_journal_set_aside().await;
    let numbers = evening.suffers(Instant::now(), &codes).await;
    for filler in fillers {
        std::fs::remove_file(filler).unwrap();
    }
    evening.all_is_written(&numbers, &codes).await;
    println!("full file systems: {} calls", numbers.len());
    evening.server.terminate();
}

/// A file that takes all the room there is.
fn fill(dir: &Path) -> PathBuf {
    let path = dir.join("filler");
    let mut file = std::fs::File::create(&path).unwrap();
    for size in [1 << 20, 4096, 1] {
        let zeros = vec![0; size];
        let refused = loop {
            if let Err(error) = file.write_all(&zeros) {
                break error;
            }
        };
        assert_eq!(refused.kind(), std::io::ErrorKind::StorageFull);
    }
    path
}

/// A real file system that the kernel freezes: every write to it waits.
#[tokio::test(flavor = "multi_thread")]
async fn calls_ring_talk_and_close_while_the_disk_of_journal_and_recordings_stands_still() {
    if !super::long() {
        println!("only in the long form: a frozen disk is alarmed after 3.5 s");
        return;
    }
    if !rustix::process::geteuid().is_root() {
        println!("skipped: only root can mount and freeze a disk image");
        return;
    }
    let ext4 = |dir: &Path| {
        let image = dir.join("disk.img");
        let file = std::fs::File::create(&image).unwrap();
        file.set_len(128 << 20).unwrap();
        let made = Command::new("mkfs.ext4").arg("-q").arg(&image).status();
        if !made.is_ok_and(|status| status.success()) {
            println!("skipped: no mkfs.ext4 here");
            return None;
        }
        let (image, dir) = (image.display(), dir.display());
        Mounts::new(format!(
            "mkdir \"{dir}/disk\" && mount -o loop \"{image}\" \"{dir}/disk\" && cd \"{dir}/disk\" \
             && mkdir journal recordings && mount --bind journal \"{dir}/journal\" \
             && mount --bind recordings \"{dir}/recordings\""
        ))
    };
    let Some(mut evening) = Evening::begin(ext4).await else {
        return;
    };
    evening.calls_go_on(Duration::ZERO).await;
    let disk = evening.server.files().join("disk");
    let frozen = Frozen::for_seconds(&disk, fault_lasts().as_secs());
    let codes = ["journal.late", "recording.late"];
    let numbers = evening.suffers(Instant::now(), &codes).await;
    frozen.thawed();
    evening.all_is_written(&numbers, &codes).await;
    println!("frozen disk: {} calls", numbers.len());
    evening.server.terminate();
}

/// A frozen file system. It thaws by itself, whatever becomes of the test: who writes to it cannot even be killed.
struct Frozen(Child);

impl Frozen {
    fn for_seconds(at: &Path, seconds: u64) -> Self {
        let frozen = Command::new("fsfreeze").arg("-f").arg(at).status();
        assert!(frozen.is_ok_and(|status| status.success()), "not frozen");
        let at = at.display();
        let script = format!("sleep {seconds}; fsfreeze -u \"{at}\"");
        let thaw = Command::new("sh").args(["-c", &script]).spawn();
        Self(thaw.expect("a shell"))
    }

    fn thawed(mut self) {
        let status = self.0.wait().expect("its end");
        assert!(status.success(), "it does not thaw: {status}");
    }
}
