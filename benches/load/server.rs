//! The measured server: a release build of `firstring serve` on core 0, with its callers and seats here.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use firstring::media::wav;
use firstring::sim::centre::{CarrierTrunk, Centre};
use firstring::sim::phone::{Dial, Line, Phone, sdp};

use super::Window;
use super::traffic::{Traffic, p99, packets_in};

/// Calls set up one after the other, this far apart.
const RAMP: Duration = Duration::from_millis(25);
const PATIENCE: Duration = Duration::from_secs(20);

/// Keep this process on one core.
pub fn pin_to(core: usize) {
    let mut set = rustix::thread::CpuSet::new();
    set.set(core);
    if rustix::thread::sched_setaffinity(None, &set).is_err() {
        println!("skipped: pinning to core {core}: not allowed here");
    }
}

/// CPU seconds that all threads of a process have run, by the scheduler's own count.
pub fn cpu_seconds(pid: u32) -> f64 {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).expect("the process lives");
    let run = |path: std::path::PathBuf| -> Option<u64> {
        std::fs::read_to_string(path.join("schedstat"))
            .ok()?
            .split(' ')
            .next()?
            .parse()
            .ok()
    };
    tasks
        .flatten()
        .filter_map(|task| run(task.path()))
        .sum::<u64>() as f64
        / 1e9
}

/// Lines of a child's output before the one that is `last`.
pub fn lines_until(output: impl std::io::Read, last: &str) -> Vec<String> {
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
        centre.lines.insert(
            "media",
            vec![
                "port_first = 30000".to_owned(),
                format!("port_last = {}", 30_000 + calls * 8 + 64),
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
                "serve",
                "--config",
            ])
            .arg(&config)
            .arg("--ready-file")
            .arg(&ready);
        command.env("RUST_LOG", "warn").stdout(Stdio::null());
        let child = command.spawn().expect("the server starts");
        let deadline = Instant::now() + PATIENCE;
        let addresses = loop {
            if let Ok(text) = std::fs::read_to_string(&ready) {
                break serde_json::from_str::<serde_json::Value>(&text).expect("addresses");
            }
            assert!(Instant::now() < deadline, "the server did not become ready");
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
        drop(rustix::process::kill_process(
            pid,
            rustix::process::Signal::TERM,
        ));
        drop(self.child.wait());
    }
}

/// One window of `calls` calls through the queue.
pub fn measure(calls: usize, window: Duration, recorded: bool) -> Window {
    let dir = tempfile::tempdir().expect("a directory");
    let mut server = Server::start(dir.path(), calls, recorded);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let mut traffic = Traffic::new();
    let (mut phones, mut setup_ms) = runtime.block_on(set_up(&mut server, calls, &mut traffic));
    traffic.run(Duration::from_secs(1));
    let pid = server.child.id();
    let before = cpu_seconds(pid);
    let mut counts = traffic.run(window);
    let cpu = cpu_seconds(pid) - before;
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).map_or(0, Iterator::count);
    let calls_per_packet = if recorded {
        count_calls(pid, &mut traffic)
    } else {
        Err("counted with recording only".to_owned())
    };
    runtime.block_on(hang_up(&mut phones));
    let bad_recordings = if recorded {
        bad_recordings(dir.path(), calls, window)
    } else {
        0
    };
    server.stop();
    Window {
        cpu_per_call_minute: cpu / window.as_secs_f64() * 60.0 / calls as f64,
        sent: counts.sent,
        received: counts.received,
        delay_p99_ms: p99(&mut counts.delays_ms),
        setup_p99_ms: p99(&mut setup_ms),
        threads,
        calls_per_packet,
        bad_recordings,
    }
}

type Callers = Vec<(Phone, Line)>;

/// Register a seat per call, then place the calls one by one; each is answered at once.
async fn set_up(server: &mut Server, calls: usize, traffic: &mut Traffic) -> (Callers, Vec<f64>) {
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
            (phone, line)
        }));
    }
    let (mut callers, mut setup_ms) = (Vec::new(), Vec::new());
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
        setup_ms.push(asked.elapsed().as_secs_f64() * 1000.0);
        traffic.add(line.remote, true);
        callers.push((phone, line));
        tokio::time::sleep(RAMP).await;
    }
    for seat in seats {
        let (phone, line) = seat.await.expect("a seat's task");
        traffic.add(line.remote, false);
        // The seat's phone goes on answering OPTIONS and the BYE by itself at the end of the call.
        tokio::spawn(async move {
            let mut phone = phone;
            drop(phone.released(Duration::from_secs(300)).await);
        });
    }
    (callers, setup_ms)
}

async fn hang_up(callers: &mut Callers) {
    for (phone, line) in callers {
        phone.release(line).await.expect("the BYE is answered");
    }
}

/// Recordings that are missing, or in which a party's packets of the window are not all there.
fn bad_recordings(dir: &Path, calls: usize, window: Duration) -> usize {
    let wanted = (window.as_millis() / 20) as usize;
    let deadline = Instant::now() + PATIENCE;
    loop {
        let files = wavs(&dir.join("recordings"));
        if files.len() >= calls || Instant::now() > deadline {
            let good = files.iter().filter(|file| whole(file, wanted)).count();
            return calls - good.min(calls);
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn whole(file: &Path, wanted: usize) -> bool {
    let Ok(bytes) = std::fs::read(file) else {
        return false;
    };
    let Ok(info) = wav::parse(&bytes) else {
        return false;
    };
    let channels = usize::from(info.channels);
    let Some(audio) = bytes.get(wav::HEADER_BYTES..) else {
        return false;
    };
    channels == 2
        && (0..channels).all(|channel| {
            let samples: Vec<u8> = audio
                .iter()
                .skip(channel)
                .step_by(channels)
                .copied()
                .collect();
            packets_in(&samples) >= wanted
        })
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
