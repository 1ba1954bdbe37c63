//! Group calls (群呼) on the page: what came of each number of those that go on and of the last that ended, and the words
//! that start one.
//!
//! The live picture tells only that something changed; the tables are asked for apart.

use serde::Deserialize;
use serde_json::{Value, json};

use super::acts::Request;
use super::draw::{Row, Section, Tone, clean, span};
use super::page::Page;

/// An ended one is shown for so long.
const SHOWN_S: f64 = 600.0;
/// Rows of one table; its head counts all.
const ROWS_MAX: usize = 20;

/// One group call, as `GET /api/v1/group_calls` tells it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct GroupCall {
    pub group_call: String,
    /// Who started it: `seat 801`.
    pub by: String,
    /// A configured group.
    pub group: Option<String>,
    pub first_wins: bool,
    pub started_at: i64,
    pub ended_at: Option<i64>,
    pub ended_why: Option<String>,
    pub targets: Vec<GroupTarget>,
}

/// One number.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct GroupTarget {
    pub number: String,
    /// `waiting`, `ringing`, `listening`, `done`.
    pub state: String,
    /// docs/group-calls.md.
    pub result: Option<String>,
    pub attempts: u32,
}

impl Page {
    /// The tables have changed since they were seen: to which revision.
    pub(super) fn wants_groups(&self) -> Option<u64> {
        let now = self.picture.group_calls_revision;
        (self.known && self.groups_seen != Some(now)).then_some(now)
    }

    /// The tables, newest first, at a revision of the picture.
    pub fn see_groups(&mut self, revision: u64, all: Vec<GroupCall>) {
        self.groups_seen = Some(revision);
        self.group_calls = all;
    }

    /// The newest one that goes on and is the person's to stop.
    pub(super) fn stoppable_group(&self) -> Option<&GroupCall> {
        let own = self.me.seat.as_ref().map(|seat| format!("seat {seat}"));
        let mine = |one: &&GroupCall| self.leads() || Some(&one.by) == own.as_ref();
        let mut open = self.group_calls.iter().filter(|g| g.ended_at.is_none());
        open.find(mine)
    }

    /// `to` is numbers when it has nothing but digits, else the name of a group; about the call that keys act on.
    pub(super) fn starts_group(&self, to: &str, first_wins: bool) -> Request {
        let words = to.split([' ', ',', ';', '，', '；', '、']);
        let words: Vec<_> = words.filter(|word| !word.is_empty()).collect();
        let dialled = |c: char| c.is_ascii_digit() || "+-*#".contains(c);
        let mut body = json!({ "first_wins": first_wins });
        if words.iter().all(|word| word.chars().all(dialled)) {
            body["numbers"] = json!(words);
        } else {
            body["group"] = json!(to);
        }
        if let Some(call) = self.sight().call {
            body["call"] = Value::from(call.call.as_str());
        }
        Request {
            method: "POST",
            path: String::from("/group_calls"),
            body: Some(body),
        }
    }

    /// Those that go on, and the last that ended.
    pub(super) fn groups_section(&self, now: i64) -> Option<Section> {
        let (open, ended): (Vec<_>, Vec<_>) = self
            .group_calls
            .iter()
            .partition(|one| one.ended_at.is_none());
        let just = |one: &&GroupCall| one.ended_at.is_some_and(|at| self.since(at, now) < SHOWN_S);
        let last = ended.into_iter().take(1).filter(just);
        let shown: Vec<_> = open.into_iter().chain(last).collect();
        let rows: Vec<_> = shown
            .iter()
            .flat_map(|one| self.group_rows(one, now))
            .collect();
        (!rows.is_empty()).then(|| Section {
            title: format!(
                "{} {}",
                self.language.of("群呼", "Group calls"),
                shown.len()
            ),
            rows,
        })
    }

    fn group_rows(&self, one: &GroupCall, now: i64) -> Vec<Row> {
        let of = |zh, en| self.language.of(zh, en);
        let count = |good: fn(&GroupTarget) -> bool| one.targets.iter().filter(|t| good(t)).count();
        let acknowledged = count(|t| t.result.as_deref() == Some("acknowledged"));
        let failed = count(|t| t.result.as_deref().is_some_and(|r| r != "acknowledged"));
        let all = one.targets.len();
        let numbers = || format!("{all} {}", of("个号码", "numbers"));
        let mut parts = vec![
            span(self.since(one.started_at, now)),
            one.group.as_deref().map_or_else(numbers, clean),
            format!("{} {acknowledged}/{all}", of("已确认", "acknowledged")),
        ];
        if failed > 0 {
            parts.push(format!("{} {failed}", of("未确认", "failed")));
        }
        if one.first_wins {
            parts.push(of("先确认者得", "first one wins").to_owned());
        }
        parts.extend(one.ended_why.as_deref().map(|why| self.group_word(why)));
        parts.push(clean(&one.by));
        let tone = if acknowledged > 0 {
            Tone::Good
        } else {
            Tone::Plain
        };
        let mut rows = vec![row(parts.join("  "), tone)];
        let shown = one.targets.iter().take(ROWS_MAX);
        rows.extend(shown.map(|target| self.target_row(target)));
        if all > ROWS_MAX {
            rows.push(row(format!("  +{}", all - ROWS_MAX), Tone::Plain));
        }
        rows
    }

    fn target_row(&self, target: &GroupTarget) -> Row {
        let came = target.result.as_deref().unwrap_or(&target.state);
        let mut text = format!("  {}  {}", clean(&target.number), self.group_word(came));
        if target.attempts > 1 {
            text += &format!("  ×{}", target.attempts);
        }
        let tone = match target.result.as_deref() {
            Some("acknowledged") => Tone::Good,
            Some(_) => Tone::Warm,
            None => Tone::Plain,
        };
        row(text, tone)
    }

    /// A state or result, as the table of docs/group-calls.md calls it.
    fn group_word(&self, name: &str) -> String {
        let found = WORDS.iter().find(|(of, ..)| *of == name);
        found.map_or_else(
            || clean(name),
            |(_, zh, en)| self.language.of(zh, en).to_owned(),
        )
    }
}

fn row(text: String, tone: Tone) -> Row {
    Row {
        text,
        tone,
        id: None,
    }
}

/// States, results and ends: the API's name, 中文, English.
const WORDS: &[(&str, &str, &str)] = &[
    ("waiting", "待呼", "waiting"),
    ("ringing", "振铃", "ringing"),
    ("listening", "正在听", "listening"),
    ("acknowledged", "已确认", "acknowledged"),
    ("declined", "不能参加", "declined"),
    ("no_key", "未按键", "no key"),
    ("left", "未按键挂断", "hung up"),
    ("lost", "线路中断", "line lost"),
    ("busy", "占线", "busy"),
    ("no_answer", "无人接听", "no answer"),
    ("unallocated", "空号", "no such number"),
    ("rejected", "拒接", "rejected"),
    ("unreachable", "未接通", "unreachable"),
    ("no_circuit", "没有线路", "no circuit"),
    ("taken", "已有人接受", "taken"),
    ("cancelled", "已停止", "stopped"),
    ("restarted", "系统重启", "restarted"),
    ("complete", "完成", "complete"),
];
