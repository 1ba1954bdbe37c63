//! The measured server: a release build of `firstring serve` on core 0, with its callers and seats here.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use firstring::media::wav;
use firstring::sim::centre::{CarrierTrunk, Centre};
use firstring::sim::phone::{Dial, Line, Phone, sdp};

use tokio::task::JoinHandle;

use super::slices::Subject;
use super::traffic::{Traffic, packets_in, percentile};
use super::{OfServer, Window};

/// Calls set up one after the other, this far apart.
const RAMP: Duration = Duration::from_millis(25);
const PATIENCE: Duration = Duration::from_secs(20);
/// Sealing syncs each file; a disk that others use takes long over 120 of them, and that is not what is measured.
const SEALED_WITHIN: Duration = Duration::from_secs(120);

/// Keep this process on one core.
pub(crate) fn pin_to(core: usize) {
    let mut set = rustix::thread::CpuSet::new();
    set.set(core);
    if rustix::thread::sched_setaffinity(None, &set).is_err() {
        println!("skipped: pinning to core {core}: not allowed here");
    }
}

/// Run this process, and what it starts, before everything else on the machine (SCHED_RR); says so when it may not.
pub(crate) fn raise_priority() {
    let pid = std::process::id().to_string();
    let raised = Command::new("chrt")
        .args(["--rr", "--pid", "10", &pid])
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if raised {
        println!("scheduling: SCHED_RR 10 for server, probe and generator, before all else here");
    } else {
        println!(
            "skipped: SCHED_RR: needs root and chrt; other work on this machine disturbs the figures"
        );
    }
}

/// The machine in a few words: processor, cores, kernel.
pub(crate) fn machine() -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let cpuinfo = read("/proc/cpuinfo");
    let model = cpuinfo
        .lines()
        .find_map(|line| line.strip_prefix("model name"))
        .map_or("processor unknown", |rest| {
            rest.trim_start_matches(['\t', ' ', ':'])
        });
    let cores = cpuinfo
        .lines()
        .filter(|line| line.starts_with("processor"))
        .count();
    let kernel = read("/proc/sys/kernel/osrelease");
    format!("{cores} cores of {model}, Linux {}", kernel.trim())
}

/// The load averages of 1, 5 and 15 minutes.
pub(crate) fn load_average() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').take(3).collect::<Vec<_>>().join(" ")
}

/// 50th and 99th percentile of making 32 KiB durable where a run keeps its journal, over blocks that the file has
/// already, ms: a commit of the journal does the same, and INVITE -> 200 holds one.
pub(crate) fn disk_ms() -> (f64, f64) {
    const COMMIT: usize = 32 * 1024;
    const COMMITS: usize = 100;
    let file = tempfile::tempfile().expect("a file");
    file.write_all_at(&vec![0; COMMIT * COMMITS], 0)
        .expect("written");
    file.sync_all().expect("synced");
    let mut took: Vec<f64> = (0..COMMITS)
        .map(|n| {
            let start = Instant::now();
            file.write_all_at(&[1; COMMIT], (n * COMMIT) as u64)
                .expect("written");
            file.sync_data().expect("synced");
            start.elapsed().as_secs_f64() * 1000.0
        })
        .collect();
    (percentile(&mut took, 0.5), percentile(&mut took, 0.99))
}

/// CPU seconds that each thread of a process has run, by the scheduler's own count; threads of one name together.
pub(crate) fn cpu_seconds(pid: u32) -> BTreeMap<String, f64> {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).expect("the process lives");
    let mut seconds = BTreeMap::new();
    for task in tasks.flatten() {
        let read = |name| std::fs::read_to_string(task.path().join(name)).unwrap_or_default();
        let nanos: f64 = read("schedstat")
            .split(' ')
            .next()
            .and_then(|text| text.parse().ok())
            .unwrap_or(0.0);
        *seconds.entry(read("comm").trim().to_owned()).or_default() += nanos / 1e9;
    }
    seconds
}

/// What each kind of thread ran between two looks, most first.
pub(crate) fn ran(
    before: &BTreeMap<String, f64>,
    after: &BTreeMap<String, f64>,
) -> Vec<(String, f64)> {
    let mut ran: Vec<_> = after
        .iter()
        .map(|(name, seconds)| (name.clone(), seconds - before.get(name).unwrap_or(&0.0)))
        .collect();
    ran.sort_by(|a, b| b.1.total_cmp(&a.1));
    ran
}

/// Lines of a child's output before the one that is `last`.
pub(crate) fn lines_until(output: impl std::io::Read, last: &str) -> Vec<String> {
    BufReader::new(output)
        .lines()
        .map_while(Result::ok)
        .take_while(|line| line != last)
        .collect()
}

struct Server {
    child: Child,
    sip: SocketAddr,
    centre: Centre,
}

impl Server {
    fn start(dir: &Path, calls: usize, recorded: bool) -> Self {
        let mut centre = Centre::new(dir, calls);
        centre.trunks.push(CarrierTrunk {
            id: "carrier".to_owned(),
            source: "127.0.0.1".to_owned(),
            remote: None,
            profile: "generic-ims",
            outbound: None,
            lines: Vec::new(),
        });
        // Two servers run at once, below the ephemeral range.
        let ports = calls * 8 + 64;
        let first = if recorded { 20_000 } else { 20_000 + ports + 2 };
        centre.lines.insert(
            "media",
            vec![
                format!("port_first = {first}"),
                format!("port_last = {}", first + ports),
            ],
        );
        if !recorded {
            centre
                .lines
                .insert("testing", vec!["recording = false".to_owned()]);
        }
        let config = centre.write().expect("a configuration");
        let ready = dir.join("ready.json");
        let mut command = Command::new("taskset");
        command
            .args([
                "-c",
                "0",
                env!("CARGO_BIN_EXE_firstring"),
                "--log",
                "warn",
                "serve",
                "--drain-s",
                "2",
                "--config",
            ])
            .arg(&config)
            .arg("--ready-file")
            .arg(&ready);
        let log = dir.join("server.log");
        let output = std::fs::File::create(&log).expect("a log");
        command.stdout(Stdio::null()).stderr(output);
        let child = command.spawn().expect("the server starts");
        let deadline = Instant::now() + PATIENCE;
        let addresses = loop {
            if let Ok(text) = std::fs::read_to_string(&ready) {
                break serde_json::from_str::<serde_json::Value>(&text).expect("addresses");
            }
            assert!(
                Instant::now() < deadline,
                "the server did not become ready: {}",
                std::fs::read_to_string(&log).unwrap_or_default()
            );
            std::thread::sleep(Duration::from_millis(20));
        };
        let sip = addresses["sip"][0][2]
            .as_str()
            .and_then(|text| text.parse().ok())
            .expect("a SIP address");
        Self { child, sip, centre }
    }

    fn stop(mut self) {
        let pid = rustix::process::Pid::from_raw(self.child.id().cast_signed()).expect("a pid");
        // A server that has ended already is waited for as well.
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        drop(self.child.wait());
    }
}

impl Drop for Server {
    /// A bench that fails leaves no server behind that holds the ports of the next.
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A server whose calls are up.
pub(crate) struct Talking {
    server: Server,
    dir: tempfile::TempDir,
    people: People,
    setup: Setup,
    recorded: bool,
}

/// What each call waited for, ms.
#[derive(Default)]
struct Setup {
    /// From the caller's INVITE to the 200.
    answer: Vec<f64>,
    /// From the caller's INVITE to the one that rings a seat: the offer is made in between.
    offer: Vec<f64>,
}

/// Start a server and set `calls` calls up.
pub(crate) fn start(
    runtime: &tokio::runtime::Runtime,
    calls: usize,
    recorded: bool,
) -> (Talking, Subject) {
    let dir = tempfile::tempdir().expect("a directory");
    let mut server = Server::start(dir.path(), calls, recorded);
    let mut traffic = Traffic::new();
    let (people, setup) = runtime.block_on(set_up(&mut server, calls, &mut traffic));
    let subject = Subject::new(server.child.id(), traffic);
    let talking = Talking {
        server,
        dir,
        people,
        setup,
        recorded,
    };
    (talking, subject)
}

/// End its calls and say what all of it showed.
pub(crate) fn finish(
    runtime: &tokio::runtime::Runtime,
    talking: Talking,
    subject: Subject,
    calls: usize,
) -> Window {
    let pid = subject.pid;
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).map_or(0, Iterator::count);
    let (mut window, mut traffic) = subject.window(calls);
    let calls_per_packet = if talking.recorded {
        count_calls(pid, &mut traffic)
    } else {
        Err("counted with recording only".to_owned())
    };
    runtime.block_on(hang_up(talking.people));
    let bad_recordings = if talking.recorded {
        bad_recordings(talking.dir.path(), calls, &traffic)
    } else {
        0
    };
    talking.server.stop();
    let mut setup = talking.setup;
    window.server = Some(OfServer {
        setup_p99_ms: percentile(&mut setup.answer, 0.99),
        offer_p99_ms: percentile(&mut setup.offer, 0.99),
        threads,
        calls_per_packet,
        bad_recordings,
    });
    window
}

/// The people of a run: callers whose calls are up, and the tasks of the seats' phones.
struct People {
    callers: Vec<(Phone, Line)>,
    seats: Vec<JoinHandle<()>>,
}

/// Register a seat per call, then place the calls one by one; each is answered at once.
async fn set_up(server: &mut Server, calls: usize, traffic: &mut Traffic) -> (People, Setup) {
    let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
    let seats_at = traffic.seats_at();
    let mut seats = Vec::new();
    for n in 1..=calls {
        let user = format!("{}", 800 + n);
        let secret = server.centre.secret(&format!("seat-{user}"));
        let mut phone = Phone::new(loopback, server.sip, &user, &secret)
            .await
            .expect("a phone");
        phone.register(3600).await.expect("registered");
        seats.push(tokio::spawn(async move {
            let line = phone
                .accept(Duration::ZERO, &sdp(seats_at), Duration::from_secs(120))
                .await
                .expect("answered")
                .expect("not cancelled");
            (phone, line, Instant::now())
        }));
    }
    let (mut callers, mut setup) = (Vec::new(), Setup::default());
    let (mut asked_at, mut rung_at) = (Vec::new(), Vec::new());
    for n in 0..calls {
        let mut phone = Phone::new(
            loopback,
            server.sip,
            &format!("138{:08}", 10_000_000 + n),
            "",
        )
        .await
        .expect("a phone");
        let asked = Instant::now();
        let dial = Dial {
            number: "120".to_owned(),
            ..Dial::default()
        };
        let line = phone
            .invite(&dial, &sdp(traffic.callers_at()), PATIENCE)
            .await
            .expect("the call is answered");
        setup.answer.push(asked.elapsed().as_secs_f64() * 1000.0);
        asked_at.push(asked);
        traffic.add(line.remote, true);
        callers.push((phone, line));
        tokio::time::sleep(RAMP).await;
    }
    let mut talking = Vec::new();
    for seat in seats {
        let (phone, line, rung) = seat.await.expect("a seat's task");
        rung_at.push(rung);
        traffic.add(line.remote, false);
        // The seat's phone goes on answering OPTIONS and the BYE by itself at the end of the call.
        talking.push(tokio::spawn(async move {
            let mut phone = phone;
            drop(phone.released(Duration::from_secs(300)).await);
        }));
    }
    // Calls come one by one and each rings one seat: the first asked for the first rung.
    rung_at.sort();
    let spans = asked_at.iter().zip(&rung_at);
    setup.offer = spans
        .map(|(asked, rung)| rung.duration_since(*asked).as_secs_f64() * 1000.0)
        .collect();
    let people = People {
        callers,
        seats: talking,
    };
    (people, setup)
}

/// Every caller hangs up; every seat has answered the BYE that follows.
async fn hang_up(people: People) {
    for (mut phone, line) in people.callers {
        phone.release(&line).await.expect("the BYE is answered");
    }
    for seat in people.seats {
        seat.await.expect("a seat's phone");
    }
}

/// Calls without a recording that holds every packet of both of its parties.
fn bad_recordings(dir: &Path, calls: usize, traffic: &Traffic) -> usize {
    let deadline = Instant::now() + SEALED_WITHIN;
    loop {
        let files = wavs(&dir.join("recordings"));
        if files.len() >= calls || Instant::now() > deadline {
            let whole: BTreeSet<u32> = files
                .iter()
                .filter_map(|file| whole(file, calls, traffic))
                .collect();
            return calls - whole.len().min(calls);
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// The caller's stream in a recording that is whole: a caller's packets in the first channel, a seat's in the
/// second, none missing and nobody else's.
fn whole(file: &Path, calls: usize, traffic: &Traffic) -> Option<u32> {
    let bytes = std::fs::read(file).ok()?;
    let info = wav::parse(&bytes).ok()?;
    let audio = bytes.get(wav::HEADER_BYTES..)?;
    if info.channels != 2 {
        return None;
    }
    let stream_in = |channel: usize| {
        let samples: Vec<u8> = audio.iter().skip(channel).step_by(2).copied().collect();
        let packets = packets_in(&samples);
        let (stream, _) = *packets.first()?;
        let is_whole = packets.len() == usize::from(traffic.sent_of(stream as usize))
            && packets.iter().all(|(other, _)| *other == stream);
        is_whole.then_some(stream)
    };
    let (caller, seat) = (stream_in(0)?, stream_in(1)?);
    ((caller as usize) < calls && (seat as usize) >= calls).then_some(caller)
}

fn wavs(dir: &Path) -> Vec<std::path::PathBuf> {
    let Ok(entries) = std::fs::read_dir(dir) else {
        return Vec::new();
    };
    entries
        .flatten()
        .flat_map(|entry| {
            let path = entry.path();
            if path.is_dir() {
                wavs(&path)
            } else if path.extension().is_some_and(|kind| kind == "wav") {
                vec![path]
            } else {
                Vec::new()
            }
        })
        .collect()
}

/// System calls and futex calls per forwarded packet over 3 s, by `perf stat`.
fn count_calls(pid: u32, traffic: &mut Traffic) -> Result<(f64, f64), String> {
    let events = "raw_syscalls:sys_enter,syscalls:sys_enter_futex";
    let perf = Command::new("perf")
        .args([
            "stat",
            "-x",
            ",",
            "-e",
            events,
            "-p",
            &pid.to_string(),
            "--",
            "sleep",
            "3",
        ])
        .stderr(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .map_err(|error| format!("perf does not start: {error}"))?;
    let counts = traffic.run(Duration::from_secs(3));
    let output = perf.wait_with_output().map_err(|error| error.to_string())?;
    let text = String::from_utf8_lossy(&output.stderr);
    let count = |name: &str| -> Option<f64> {
        text.lines()
            .find(|line| line.contains(name))?
            .split(',')
            .next()?
            .parse()
            .ok()
    };
    match (count("raw_syscalls"), count("sys_enter_futex")) {
        (Some(all), Some(futex)) => {
            Ok((all / counts.received as f64, futex / counts.received as f64))
        }
        (Some(_) | None, None) | (None, Some(_)) => Err(format!(
            "perf counts nothing here (needs root and tracefs): {}",
            text.lines().next().unwrap_or_default()
        )),
    }
}
