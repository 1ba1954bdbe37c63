//! `firstring selftest`: asks the server to test its trunks now and tells each step as it comes, or prints a month's report.
//! Uses only the public API; the server decides what a step means.

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use super::acts::Request;
use super::link::{Link, LinkError};
use super::words::Language;
use crate::time::{Millis, Timestamp};

/// Steps are looked for so often.
const LOOK_EVERY: Duration = Duration::from_millis(300);
/// The server gives its verdict within a minute; later it is not there any more.
const PATIENCE: Duration = Duration::from_secs(75);

/// China has one time zone, UTC+8, without summer time.
const LOCAL_OFFSET: Millis = Millis::from_secs(8 * 3600);

/// What `firstring selftest` was told.
pub struct SelfTestOptions {
    /// `http://127.0.0.1:8120`
    pub server: String,
    pub token: String,
    pub language: Language,
    /// These trunks; none: every one that has a number.
    pub trunks: Vec<String>,
    /// Print the report of this month instead; empty: of the present one.
    pub report: Option<String>,
    /// A PEM file of authorities that are good besides the public ones.
    pub authority: Option<PathBuf>,
}

/// Why there is no verdict.
#[derive(Debug, thiserror::Error)]
pub enum SelfTestError {
    #[error(transparent)]
    Link(#[from] LinkError),
    #[error(
        "no trunk is tested: write self_test = \"NUMBER\" at a trunk, a number of yours that its carrier brings back to you"
    )]
    NoTrunk,
    #[error("no runtime: {0}")]
    Runtime(#[from] std::io::Error),
    #[error("{failed} of {all} trunks failed")]
    Failed { failed: usize, all: usize },
    #[error("trunk {trunk}: no verdict within {} s: is the server alive?", PATIENCE.as_secs())]
    NoVerdict { trunk: String },
}

#[derive(Deserialize)]
struct Answer {
    trunks: Vec<Trunk>,
    report: Report,
}

#[derive(Deserialize)]
struct Trunk {
    trunk: String,
    running: Option<Test>,
    last: Option<Test>,
}

#[derive(Clone, Deserialize)]
struct Test {
    call: String,
    failed: Option<String>,
    cause: Option<String>,
    ms: u64,
    steps: Vec<Step>,
}

#[derive(Clone, Deserialize)]
struct Step {
    step: String,
    ms: u64,
}

#[derive(Deserialize)]
struct Report {
    month: String,
    tests: u64,
    failed: u64,
    longest_deaf_ms: u64,
    trunks: Vec<Row>,
    failures: Vec<Failure>,
}

#[derive(Deserialize)]
struct Row {
    trunk: String,
    tests: u64,
    failed: u64,
    longest_deaf_ms: u64,
    deaf: bool,
}

#[derive(Deserialize)]
struct Failure {
    /// Microseconds.
    at: i64,
    trunk: String,
    step: String,
    cause: String,
}

#[derive(Deserialize)]
struct Begun {
    call: String,
}

/// Tests the trunks one after the other, or prints the report.
///
/// # Errors
/// [`SelfTestError`]: the server refuses or is not there, or a trunk failed.
pub async fn self_test(options: SelfTestOptions) -> Result<(), SelfTestError> {
    let link = Link::new(&options.server, options.token, options.authority)?;
    let words = options.language;
    if let Some(month) = &options.report {
        let query = if month.is_empty() {
            String::new()
        } else {
            format!("?month={month}")
        };
        let answer: Answer = link.read(&format!("/self_tests{query}")).await?;
        print!("{}", told(&answer.report, words));
        return Ok(());
    }
    let answer: Answer = link.read("/self_tests").await?;
    let mut trunks = options.trunks;
    if trunks.is_empty() {
        trunks = answer.trunks.into_iter().map(|t| t.trunk).collect();
    }
    if trunks.is_empty() {
        return Err(SelfTestError::NoTrunk);
    }
    let mut failed = 0;
    for trunk in &trunks {
        failed += usize::from(!test(&link, trunk, words).await?);
    }
    if failed > 0 {
        let all = trunks.len();
        return Err(SelfTestError::Failed { failed, all });
    }
    Ok(())
}

/// One trunk: true when it passed.
async fn test(link: &Link, trunk: &str, words: Language) -> Result<bool, SelfTestError> {
    println!("{} {trunk}", words.of("自检中继", "testing trunk"));
    let wish = Request {
        method: "POST",
        path: String::from("/self_tests"),
        body: Some(serde_json::json!({ "trunk": trunk })),
    };
    let begun: Begun = match link.asked(wish).await {
        Ok(begun) => begun,
        Err(LinkError::Refused(why)) => {
            println!("  ✕ {} {why}", words.of("未能开始:", "not begun:"));
            return Ok(false);
        }
        Err(error) => return Err(error.into()),
    };
    let mut shown = 0;
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while tokio::time::Instant::now() < deadline {
        tokio::time::sleep(LOOK_EVERY).await;
        let answer: Answer = link.read("/self_tests").await?;
        let Some(seen) = answer.trunks.into_iter().find(|t| t.trunk == trunk) else {
            continue;
        };
        let own = |test: &Test| test.call == begun.call;
        let over = seen.last.filter(own);
        let Some(test) = seen.running.filter(own).or_else(|| over.clone()) else {
            continue;
        };
        for step in test.steps.iter().skip(shown) {
            println!("  ✓ {:<28} {:>6} ms", words.step(&step.step), step.ms);
        }
        shown = shown.max(test.steps.len());
        if let Some(test) = over {
            return Ok(verdict(&test, words));
        }
    }
    Err(SelfTestError::NoVerdict {
        trunk: trunk.to_owned(),
    })
}

fn verdict(test: &Test, words: Language) -> bool {
    let Some(step) = &test.failed else {
        println!("  {} ({} ms)", words.of("通过", "passed"), test.ms);
        return true;
    };
    println!("  ✕ {:<28} {:>6} ms", words.step(step), test.ms);
    let cause = test.cause.as_deref().unwrap_or_default();
    println!("    {} {cause}", words.of("原因:", "why:"));
    println!(
        "    {} {}",
        words.of("处理:", "what to do:"),
        words.advice(step)
    );
    false
}

/// The report as text.
fn told(report: &Report, words: Language) -> String {
    let mut text = match words {
        Language::Zh => format!(
            "{} 自检 {} 次, 失败 {} 次, 最长失聪 {}\n",
            report.month,
            report.tests,
            report.failed,
            span(report.longest_deaf_ms, words)
        ),
        Language::En => format!(
            "{}: {} self-tests, {} failed, deaf for {} at the longest\n",
            report.month,
            report.tests,
            report.failed,
            span(report.longest_deaf_ms, words)
        ),
    };
    for row in &report.trunks {
        let deaf = if row.deaf {
            words.of("  仍失聪", "  still deaf")
        } else {
            ""
        };
        let longest = span(row.longest_deaf_ms, words);
        text += &format!(
            "  {:<16} {:>6} {:>6}  {longest}{deaf}\n",
            row.trunk, row.tests, row.failed
        );
    }
    for failure in &report.failures {
        text += &format!(
            "  ✕ {} {} {}: {}\n",
            local(failure.at),
            failure.trunk,
            words.step(&failure.step),
            failure.cause
        );
    }
    text
}

/// `2026-11-03 10:00:00`, in the centre's time.
fn local(at: i64) -> String {
    let mut text = (Timestamp::from_micros(at) + LOCAL_OFFSET).rfc3339();
    text.truncate(19);
    text.replace('T', " ")
}

fn span(ms: u64, words: Language) -> String {
    let (hours, minutes, seconds) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1000 % 60);
    match words {
        Language::Zh if hours > 0 => format!("{hours} 小时 {minutes} 分"),
        Language::Zh if minutes > 0 => format!("{minutes} 分 {seconds} 秒"),
        Language::Zh => format!("{seconds} 秒"),
        Language::En if hours > 0 => format!("{hours} h {minutes} min"),
        Language::En if minutes > 0 => format!("{minutes} min {seconds} s"),
        Language::En => format!("{seconds} s"),
    }
}

impl Language {
    /// What a step is called; one that this program does not know by the server's name.
    fn step(self, step: &str) -> &str {
        match step {
            "dialled" => self.of("运营商接受呼叫", "the carrier takes the call"),
            "arrived" => self.of("呼叫返回本中心", "it comes back in"),
            "answered" => self.of("应答到达对端", "our answer reaches the far end"),
            "heard_in" => self.of("听到来话音频", "sound comes in"),
            "heard_out" => self.of("对端听到本端音频", "sound goes out"),
            "hung_up" => self.of("挂机信令返回", "the hang-up comes back"),
            "recorded" => self.of("双方录音完整", "both ends are recorded"),
            "delivered" => self.of("模块已确认", "every module acknowledged"),
            other => other,
        }
    }

    fn advice(self, step: &str) -> &'static str {
        match step {
            "dialled" => self.of(
                "向运营商确认中继状态; 核对地址, 口令与防火墙",
                "ask the carrier whether the trunk is up; check address, credentials and firewall",
            ),
            "arrived" => self.of(
                "立即用手机拨打该号码; 若也不通, 请运营商改路由到备用中继",
                "call the number from a mobile phone at once; if that fails too, have the carrier route it to the spare trunk",
            ),
            "answered" | "hung_up" => self.of(
                "核对防火墙是否放行 SIP 应答与 BYE, 以及 Contact 中的地址",
                "check that SIP answers and BYE pass the firewall, and the address in our Contact",
            ),
            "heard_in" => self.of(
                "主叫声音可能进不来: 核对运营商 RTP 能否到达媒体端口",
                "callers may not be heard: check that the carrier's RTP reaches our media ports",
            ),
            "heard_out" => self.of(
                "主叫可能听不到: 核对本端 RTP 能否送出, 以及对外公布的媒体地址",
                "callers may hear nothing: check that our RTP leaves, and the media address that we advertise",
            ),
            "recorded" => self.of(
                "检查录音磁盘与告警 recording.failed",
                "check the disk of the recordings and the alarm recording.failed",
            ),
            "delivered" => self.of(
                "检查模块, 并查看 GET /api/v1/deliveries",
                "look at the module and at GET /api/v1/deliveries",
            ),
            _ => self.of("见 docs/self-test.md", "see docs/self-test.md"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        let json = serde_json::json!({
            "month": "2026-11", "tests": 4000, "failed": 2, "longest_deaf_ms": 754_000,
            "trunks": [{ "trunk": "ct", "tests": 4000, "failed": 2, "longest_deaf_ms": 754_000, "deaf": true }],
            "failures": [{ "at": 1_793_671_200_000_000_i64, "trunk": "ct", "step": "heard_in", "cause": "no tones", "ms": 9000 }],
        });
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn a_report_counts_tests_failures_and_the_longest_deafness_in_both_languages() {
        let zh = told(&report(), Language::Zh);
        assert!(zh.starts_with("2026-11 自检 4000 次, 失败 2 次, 最长失聪 12 分 34 秒\n"));
        assert!(
            zh.contains("✕ 2026-11-03 10:00:00 ct")
                && zh.contains("仍失聪")
                && zh.contains("听到来话音频: no tones")
        );
        let en = told(&report(), Language::En);
        assert!(en.starts_with("2026-11: 4000 self-tests, 2 failed, deaf for 12 min 34 s"));
        assert!(en.contains("still deaf") && en.contains("sound comes in"));
    }
}
