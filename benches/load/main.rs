//! `make bench`: what one recorded queue call costs, as a ratio to a forwarding probe in the same run.
//!
//! The servers (core 0) and this generator (core 1) are processes of their own. Each round measures, by turns of a
//! second, the probe (a bare UDP relay at the same packet rate), a server with recording and one without; ratios are
//! taken inside a round, and the verdict is the median of the rounds. A limit is broken only when at least 4 of 5
//! rounds break it; a recording that is missing or lacks packets breaks its limit at once. CPU is the scheduler's run
//! time of the process, not wall time. A round that the machine disturbed is measured again. `docs/benchmarks.md`.
//!
//! Environment: CALLS=120 ROUNDS=5 WINDOW=8 (seconds).

#![expect(
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a bench may end where it stands, and has a clock and tasks of its own"
)]

mod probe;
mod server;
mod slices;
mod traffic;

use std::time::Duration;

use traffic::Disturbance;

/// What one steady window showed.
#[derive(Clone, Debug)]
pub(crate) struct Window {
    /// CPU seconds of the measured process per call and minute.
    pub(crate) cpu_per_call_minute: f64,
    pub(crate) sent: u64,
    pub(crate) received: u64,
    /// 50th and 99th percentile of the one-way delay, ms.
    pub(crate) delay_p50_ms: f64,
    pub(crate) delay_p99_ms: f64,
    /// What kept the generator from being on time.
    pub(crate) disturbance: Disturbance,
    /// CPU seconds by name of thread, most first.
    pub(crate) threads_ran: Vec<(String, f64)>,
    /// What only the server has.
    pub(crate) server: Option<OfServer>,
}

/// What a window through the server shows beside its packets.
#[derive(Clone, Debug)]
pub(crate) struct OfServer {
    /// 99th percentile of INVITE -> 200, ms.
    pub(crate) setup_p99_ms: f64,
    /// 99th percentile of the caller's INVITE -> the INVITE that rings a seat, ms.
    pub(crate) offer_p99_ms: f64,
    pub(crate) threads: usize,
    /// System calls and futex calls per forwarded packet, or why they could not be counted.
    pub(crate) calls_per_packet: Result<(f64, f64), String>,
    /// Recordings that are missing, or in which one of a party's packets is missing.
    pub(crate) bad_recordings: usize,
}

/// Between two turns the phones answer what they are asked.
const PAUSE: Duration = Duration::from_millis(10);

struct Round {
    /// What the disk alone took, ms: median and 99th percentile.
    disk_ms: (f64, f64),
    probe: Window,
    recorded: Window,
    plain: Window,
}

impl Round {
    fn measure(calls: usize, window: Duration) -> Self {
        let disk_ms = server::disk_ms();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let (relay, mut probe) = probe::start(calls);
        let (with, mut recorded) = server::start(&runtime, calls, true);
        let (without, mut plain) = server::start(&runtime, calls, false);
        let mut turns = [&mut probe, &mut recorded, &mut plain];
        for subject in &mut turns {
            subject.warm_up();
        }
        for _ in 0..window.as_secs() {
            for subject in &mut turns {
                subject.slice();
                runtime.block_on(async { tokio::time::sleep(PAUSE).await });
            }
            // There and back, so that no one always follows the same one.
            turns.reverse();
        }
        drop(relay);
        Self {
            disk_ms,
            probe: probe.window(calls).0,
            recorded: server::finish(&runtime, with, recorded, calls),
            plain: server::finish(&runtime, without, plain, calls),
        }
    }

    /// Why the round does not count, if it does not.
    fn disturbed(&self) -> Option<String> {
        [
            ("probe", &self.probe),
            ("recorded", &self.recorded),
            ("plain", &self.plain),
        ]
        .iter()
        .find_map(|(name, window)| Some(format!("{name}: {}", window.disturbance.verdict()?)))
    }

    /// A figure of the recorded run that only the server has.
    fn of_server(&self, value: impl Fn(&OfServer) -> f64) -> f64 {
        self.recorded.server.as_ref().map_or(f64::NAN, value)
    }

    fn lost(&self) -> u64 {
        self.recorded.sent.saturating_sub(self.recorded.received)
    }

    fn print(&self, name: &str) {
        println!(
            "{name}: CPU-s/call-min probe {:.4}, recorded {:.4}, plain {:.4}; delay p50/p99 ms probe {:.2}/{:.2}, recorded {:.2}/{:.2}; \
             setup p99 {:.1} ms (a commit of the disk alone {:.1}/{:.1}); {} packets, {} lost; {} bad recordings",
            self.probe.cpu_per_call_minute,
            self.recorded.cpu_per_call_minute,
            self.plain.cpu_per_call_minute,
            self.probe.delay_p50_ms,
            self.probe.delay_p99_ms,
            self.recorded.delay_p50_ms,
            self.recorded.delay_p99_ms,
            self.of_server(|s| s.setup_p99_ms),
            self.disk_ms.0,
            self.disk_ms.1,
            self.recorded.sent,
            self.lost(),
            self.of_server(|s| s.bad_recordings as f64),
        );
        for (name, window) in [("recorded", &self.recorded), ("plain", &self.plain)] {
            let list: Vec<String> = window
                .threads_ran
                .iter()
                .take(5)
                .map(|(name, seconds)| format!("{name} {:.0} ms", seconds * 1000.0))
                .collect();
            println!("         {name} by thread: {}", list.join(", "));
        }
    }
}

/// One line of the report: a figure per round and the limit it is held to.
struct Row {
    name: &'static str,
    limit: f64,
    values: Vec<f64>,
    /// Rounds of 5 that have to exceed the limit.
    of_five: usize,
}

impl Row {
    fn broken(&self) -> bool {
        let over = self
            .values
            .iter()
            .filter(|value| value.is_nan() || **value > self.limit)
            .count();
        over > 0 && over * 5 >= self.values.len() * self.of_five
    }

    fn print(&self) {
        let mut sorted = self.values.clone();
        sorted.sort_by(f64::total_cmp);
        let median = sorted[sorted.len() / 2];
        let (low, high) = (sorted[0], sorted[sorted.len() - 1]);
        let mark = if self.broken() { "FAIL" } else { "ok" };
        let (mark, limit) = if self.limit.is_finite() {
            (mark, format!("limit {}", self.limit))
        } else {
            ("", "no limit".to_owned())
        };
        println!(
            "{mark:<5}{:<44}{median:>8.3}  ({low:.3}..{high:.3})  {limit}",
            self.name
        );
    }
}

fn main() {
    if std::env::var_os("FIRSTRING_PROBE").is_some() {
        probe::run();
    }
    let setting = |name: &str, default: u64| {
        std::env::var(name)
            .ok()
            .and_then(|text| text.parse().ok())
            .unwrap_or(default)
            .max(1)
    };
    let (calls, rounds) = (
        setting("CALLS", 120) as usize,
        setting("ROUNDS", 5) as usize,
    );
    let window = Duration::from_secs(setting("WINDOW", 8));
    server::raise_priority();
    server::pin_to(1);
    println!(
        "bench: {calls} calls, {} packets/s, {rounds} rounds of {window:?}, {}, load average {}",
        calls * 100,
        server::machine(),
        server::load_average()
    );
    let (mut done, mut disturbed) = (Vec::new(), Vec::new());
    while done.len() < rounds && disturbed.len() <= rounds {
        let round = Round::measure(calls, window);
        if let Some(why) = round.disturbed() {
            round.print("dropped");
            println!("         {why}; load average {}", server::load_average());
            disturbed.push(round);
        } else {
            done.push(round);
            if let Some(round) = done.last() {
                round.print(&format!("round {}", done.len()));
            }
        }
    }
    if done.len() < rounds {
        println!(
            "bench: the machine is too busy to measure; the disturbed rounds are judged as well"
        );
        done.append(&mut disturbed);
    }
    std::process::exit(i32::from(!report(&done)));
}

fn report(rounds: &[Round]) -> bool {
    let row = |name, limit, value: &dyn Fn(&Round) -> f64| Row {
        name,
        limit,
        values: rounds.iter().map(value).collect(),
        of_five: 4,
    };
    let mut rows = vec![
        row("CPU per recorded call-minute / probe", 2.5, &|r| {
            r.recorded.cpu_per_call_minute / r.probe.cpu_per_call_minute
        }),
        row("CPU recorded / not recorded", 1.15, &|r| {
            r.recorded.cpu_per_call_minute / r.plain.cpu_per_call_minute
        }),
        row("threads", 16.0, &|r| r.of_server(|s| s.threads as f64)),
        row("added one-way delay p99, ms", 1.5, &|r| {
            (r.recorded.delay_p99_ms - r.probe.delay_p99_ms).max(0.0)
        }),
        row("packets lost", 0.0, &|r| r.lost() as f64),
        row("INVITE -> 200 p99, ms", 10.0, &|r| {
            r.of_server(|s| s.setup_p99_ms)
        }),
        row("INVITE -> INVITE of a seat p99, ms", 20.0, &|r| {
            r.of_server(|s| s.offer_p99_ms)
        }),
        // What others do to the disk is no fault of the server's; it stands beside the row it explains.
        row(
            "  the disk alone, one commit, p99, ms",
            f64::INFINITY,
            &|r| r.disk_ms.1,
        ),
    ];
    rows.push(Row {
        name: "recordings lost or incomplete",
        limit: 0.0,
        values: rounds
            .iter()
            .map(|r| r.of_server(|s| s.bad_recordings as f64))
            .collect(),
        of_five: 0,
    });
    rows.extend(counter_rows(rounds));
    for row in &rows {
        row.print();
    }
    let failed = rows.iter().filter(|row| row.broken()).count();
    let judged = rows.iter().filter(|row| row.limit.is_finite()).count();
    println!("bench: {} passed, {failed} failed", judged - failed);
    failed == 0
}

/// System calls and futex per packet, or a line that says why there are none.
fn counter_rows(rounds: &[Round]) -> Vec<Row> {
    let counts = || {
        rounds
            .iter()
            .filter_map(|r| r.recorded.server.as_ref())
            .map(|s| &s.calls_per_packet)
    };
    let counted: Vec<_> = counts().filter_map(|c| c.as_ref().ok()).collect();
    if counted.is_empty() {
        let why = counts().find_map(|c| c.as_ref().err());
        println!(
            "skipped: system calls and futex per packet: {}",
            why.map_or("no round", String::as_str)
        );
        return Vec::new();
    }
    let row = |name, limit, values| Row {
        name,
        limit,
        values,
        of_five: 4,
    };
    vec![
        row(
            "system calls per forwarded packet",
            3.0,
            counted.iter().map(|c| c.0).collect(),
        ),
        row(
            "futex calls per forwarded packet",
            0.1,
            counted.iter().map(|c| c.1).collect(),
        ),
    ]
}
