//! `make bench`: what one recorded queue call costs, as a ratio to a forwarding probe in the same run.
//!
//! The server (core 0) and this generator (core 1) run as two processes. Each round measures, one after the other, the
//! probe (a bare UDP relay at the same packet rate), the server with recording and the server without; ratios are
//! taken inside a round, and the verdict is the median of the rounds. A limit is broken only when at least 4 of 5
//! rounds break it. CPU is the scheduler's run time of the process, not wall time.
//!
//! Environment: CALLS=120 ROUNDS=5 WINDOW=8 (seconds).

mod probe;
mod server;
mod traffic;

use std::time::Duration;

/// What one steady window showed.
#[derive(Clone, Debug, Default)]
pub struct Window {
    /// CPU seconds of the measured process per call and minute.
    pub cpu_per_call_minute: f64,
    pub sent: u64,
    pub received: u64,
    /// 99th percentile of the one-way delay, ms.
    pub delay_p99_ms: f64,
    /// 99th percentile of INVITE -> 200, ms.
    pub setup_p99_ms: f64,
    pub threads: usize,
    /// System calls and futex calls per forwarded packet, when they could be counted.
    pub calls_per_packet: Result<(f64, f64), String>,
    /// Recordings that are missing, too short or without a party's packets.
    pub bad_recordings: usize,
}

struct Round {
    probe: Window,
    recorded: Window,
    plain: Window,
}

/// One line of the report: a figure per round and the limit it is held to.
struct Row {
    name: &'static str,
    limit: f64,
    values: Vec<f64>,
}

impl Row {
    fn broken(&self) -> bool {
        let over = self
            .values
            .iter()
            .filter(|value| **value > self.limit)
            .count();
        over * 5 >= self.values.len() * 4
    }

    fn print(&self) {
        let mut sorted = self.values.clone();
        sorted.sort_by(f64::total_cmp);
        let median = sorted[sorted.len() / 2];
        let (low, high) = (sorted[0], sorted[sorted.len() - 1]);
        let mark = if self.broken() { "FAIL" } else { "ok" };
        println!(
            "{mark:<5}{:<48}{median:>9.3}  ({low:.3}..{high:.3})  limit {}",
            self.name, self.limit
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
    };
    let (calls, rounds) = (setting("CALLS", 120) as usize, setting("ROUNDS", 5));
    let window = Duration::from_secs(setting("WINDOW", 8));
    server::pin_to(1);
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    println!(
        "bench: {calls} calls, {} packets/s, {rounds} rounds of {window:?}, load average {}",
        calls * 100,
        load.trim()
    );
    let mut done = Vec::new();
    for n in 1..=rounds {
        let round = Round {
            probe: probe::measure(calls, window),
            recorded: server::measure(calls, window, true),
            plain: server::measure(calls, window, false),
        };
        println!(
            "round {n}: probe {:.4}, recorded {:.4}, plain {:.4} CPU-s/call-min; delay p99 {:.2} ms; setup p99 {:.1} ms; lost {}; bad recordings {}",
            round.probe.cpu_per_call_minute,
            round.recorded.cpu_per_call_minute,
            round.plain.cpu_per_call_minute,
            round.recorded.delay_p99_ms,
            round.recorded.setup_p99_ms,
            round.recorded.sent.saturating_sub(round.recorded.received),
            round.recorded.bad_recordings,
        );
        done.push(round);
    }
    std::process::exit(i32::from(!report(&done)));
}

fn report(rounds: &[Round]) -> bool {
    let row = |name, limit, value: &dyn Fn(&Round) -> f64| Row {
        name,
        limit,
        values: rounds.iter().map(value).collect(),
    };
    let mut rows = vec![
        row("CPU per recorded call-minute / probe", 2.5, &|r| {
            r.recorded.cpu_per_call_minute / r.probe.cpu_per_call_minute
        }),
        row("CPU recorded / not recorded", 1.15, &|r| {
            r.recorded.cpu_per_call_minute / r.plain.cpu_per_call_minute
        }),
        row("threads", 16.0, &|r| r.recorded.threads as f64),
        row("added one-way delay p99, ms", 1.5, &|r| {
            (r.recorded.delay_p99_ms - r.probe.delay_p99_ms).max(0.0)
        }),
        row("packets lost", 0.0, &|r| {
            r.recorded.sent.saturating_sub(r.recorded.received) as f64
        }),
        row("INVITE -> 200 p99, ms", 10.0, &|r| r.recorded.setup_p99_ms),
        row("recordings lost or short", 0.0, &|r| {
            r.recorded.bad_recordings as f64
        }),
    ];
    let counted: Vec<_> = rounds
        .iter()
        .filter_map(|r| r.recorded.calls_per_packet.clone().ok())
        .collect();
    if counted.is_empty() {
        let why = rounds
            .first()
            .and_then(|r| r.recorded.calls_per_packet.clone().err())
            .unwrap_or_default();
        println!("skipped: system calls and futex per packet: {why}");
    } else {
        rows.push(Row {
            name: "system calls per forwarded packet",
            limit: 3.0,
            values: counted.iter().map(|c| c.0).collect(),
        });
        rows.push(Row {
            name: "futex calls per forwarded packet",
            limit: 0.1,
            values: counted.iter().map(|c| c.1).collect(),
        });
    }
    for row in &rows {
        row.print();
    }
    let failed = rows.iter().filter(|row| row.broken()).count();
    println!("bench: {} passed, {failed} failed", rows.len() - failed);
    failed == 0
}
