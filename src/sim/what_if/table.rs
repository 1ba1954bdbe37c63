//! The answer as a table that people read and documents hold (Markdown), in Chinese or English.

use super::answer::{Answer, Row};
use super::{Goal, Language, Source, seconds};
use crate::time::{Millis, Timestamp};

/// Column: head and cells.
type Column = (String, Vec<String>);

/// The table, what it was made from above it and the answer below it.
#[must_use]
pub fn table(answer: &Answer, language: Language) -> String {
    let mut text = said_of(answer.source, language);
    text.push_str("\n\n");
    text.push_str(&rows(answer, language));
    text.push('\n');
    text.push_str(&hours(answer, language));
    text.push('\n');
    text.push_str(&conclusion(answer, language));
    text
}

/// One sentence about where the calls come from.
fn said_of(source: Source, language: Language) -> String {
    match (source, language) {
        (
            Source::Generated {
                seed,
                days,
                calls_a_day,
            },
            Language::En,
        ) => format!(
            "{days} generated days of about {calls_a_day} calls (seed {seed}): Ningbo's published mix, Beijing's published hours"
        ),
        (
            Source::Generated {
                seed,
                days,
                calls_a_day,
            },
            Language::Zh,
        ) => format!(
            "生成 {days} 天,每天约 {calls_a_day} 个来电(种子 {seed}):来电构成按宁波公布数据,时段分布按北京公布数据"
        ),
        (
            Source::Recorded {
                from,
                to,
                calls,
                unanswered,
                left_out,
                growth_percent,
            },
            Language::En,
        ) => format!(
            "{calls} recorded calls, {unanswered} of them unanswered, {} to {}{}; {left_out} left out",
            local(from),
            local(to),
            grown(growth_percent)
        ),
        (
            Source::Recorded {
                from,
                to,
                calls,
                unanswered,
                left_out,
                growth_percent,
            },
            Language::Zh,
        ) => format!(
            "实际记录 {calls} 个来电(其中未接 {unanswered} 个),{} 至 {}{};另有 {left_out} 个未计入",
            local(from),
            local(to),
            grown(growth_percent)
        ),
    }
}

/// `, +20 %`, or nothing.
fn grown(percent: i32) -> String {
    if percent == 0 {
        String::new()
    } else {
        format!(", {percent:+} %")
    }
}

fn rows(answer: &Answer, language: Language) -> String {
    let within = seconds(answer.goal.within);
    let zh = language == Language::Zh;
    let head = |of_zh: &str, of_en: &str| String::from(if zh { of_zh } else { of_en });
    let column = |head: String, cell: &dyn Fn(&Row) -> String| {
        (head, answer.rows.iter().map(cell).collect::<Vec<_>>())
    };
    let hour = |row: &Row| match row.worst_hour() {
        Some((hour, soon)) => format!("{soon:.1} % ({hour:02}:00)"),
        None => String::from("-"),
    };
    written(&[
        column(head("坐席", "seats"), &|row| row.seats.to_string()),
        column(head("来电", "calls"), &|row| row.calls.to_string()),
        column(
            head(&format!("{within} 秒内接听"), &format!("within {within} s")),
            &|row| percent(row.soon),
        ),
        column(head("等待中位数", "median wait"), &|row| {
            wait(row.median)
        }),
        column(head("等待 95 分位", "p95 wait"), &|row| wait(row.p95)),
        column(head("坐席占用", "occupied"), &|row| {
            percent(row.occupied)
        }),
        column(head("放弃", "gave up"), &|row| percent(row.gave_up)),
        column(head("5 秒内挂机", "gone in 5 s"), &|row| {
            row.short.to_string()
        }),
        column(head("最差时段", "worst hour"), &hour),
    ])
}

/// Hours with calls, two columns of them.
fn hours(answer: &Answer, language: Language) -> String {
    let zh = language == Language::Zh;
    let head = |of_zh: &str, of_en: &str| String::from(if zh { of_zh } else { of_en });
    let seats = |hour: &super::Hour| hour.seats.map_or(String::from("-"), |n| n.to_string());
    let half = |from: usize| -> [Column; 3] {
        let hours = || answer.hours.iter().enumerate().skip(from).take(12);
        [
            (
                head("时段", "hour"),
                hours().map(|(at, _)| format!("{at:02}:00")).collect(),
            ),
            (
                head("来电/小时", "calls/h"),
                hours()
                    .map(|(_, hour)| format!("{:.1}", hour.calls_an_hour))
                    .collect(),
            ),
            (
                head("需坐席", "seats"),
                hours().map(|(_, hour)| seats(hour)).collect(),
            ),
        ]
    };
    let columns: Vec<Column> = half(0).into_iter().chain(half(12)).collect();
    written(&columns)
}

fn conclusion(answer: &Answer, language: Language) -> String {
    let goal = answer.goal;
    let Goal {
        percent: wanted, ..
    } = goal;
    let within = seconds(goal.within);
    let enough = answer.enough();
    let best = answer
        .rows
        .iter()
        .max_by(|a, b| a.soon.total_cmp(&b.soon))
        .map_or((0, 0.0), |row| (row.seats, row.soon));
    let before = enough.and_then(|enough| {
        let before = enough.seats.checked_sub(1)?;
        answer.rows.iter().find(|row| row.seats == before)
    });
    match (enough, before, language) {
        (Some(row), Some(before), Language::En) => format!(
            "{wanted} % within {within} s: {} ({}); {} {}.",
            many(row.seats),
            percent(row.soon),
            gives(before.seats),
            percent(before.soon)
        ),
        (Some(row), None, Language::En) => format!(
            "{wanted} % within {within} s: {} ({}), the fewest tried.",
            many(row.seats),
            percent(row.soon)
        ),
        (None, _, Language::En) => format!(
            "{wanted} % within {within} s is not reached; {} {}. Try more with --seats.",
            gives(best.0),
            percent(best.1)
        ),
        (Some(row), Some(before), Language::Zh) => format!(
            "{within} 秒内接听 {wanted} %:需 {} 个坐席({});{} 个坐席为 {}。",
            row.seats,
            percent(row.soon),
            before.seats,
            percent(before.soon)
        ),
        (Some(row), None, Language::Zh) => format!(
            "{within} 秒内接听 {wanted} %:{} 个坐席即可({}),为所试最少。",
            row.seats,
            percent(row.soon)
        ),
        (None, _, Language::Zh) => format!(
            "{within} 秒内接听 {wanted} % 未达到:{} 个坐席为 {}。可用 --seats 试更多坐席。",
            best.0,
            percent(best.1)
        ),
    }
}

fn many(seats: u32) -> String {
    format!("{seats} seat{}", if seats == 1 { "" } else { "s" })
}

fn gives(seats: u32) -> String {
    let verb = if seats == 1 { "gives" } else { "give" };
    format!("{} {verb}", many(seats))
}

/// Cells on the right of their columns, as wide as they look.
fn written(columns: &[Column]) -> String {
    let widths: Vec<_> = columns
        .iter()
        .map(|(head, cells)| {
            let cells = cells.iter().chain([head]).map(|cell| width(cell));
            cells.max().unwrap_or(0)
        })
        .collect();
    let lines = columns.iter().map(|(_, cells)| cells.len()).max();
    let mut text = line(columns.iter().map(|(head, _)| head.as_str()), &widths);
    let rules: Vec<_> = widths.iter().map(|w| "-".repeat(*w - 1) + ":").collect();
    text.push_str(&line(rules.iter().map(String::as_str), &widths));
    for at in 0..lines.unwrap_or(0) {
        let cells = columns.iter().map(|(_, cells)| cells.get(at));
        text.push_str(&line(
            cells.map(|cell| cell.map_or("", String::as_str)),
            &widths,
        ));
    }
    text
}

fn line<'c>(cells: impl Iterator<Item = &'c str>, widths: &[usize]) -> String {
    let mut text = String::from("|");
    for (cell, room) in cells.zip(widths) {
        let gap = room.saturating_sub(width(cell));
        text.push_str(&format!(" {}{cell} |", " ".repeat(gap)));
    }
    text.push('\n');
    text
}

/// Columns of a terminal: Chinese characters take two.
fn width(text: &str) -> usize {
    text.chars()
        .map(|c| if c >= '\u{2e80}' { 2 } else { 1 })
        .sum()
}

fn percent(of: f64) -> String {
    format!("{of:.1} %")
}

fn wait(span: Millis) -> String {
    format!("{:.1} s", f64::from(span.0) / 1000.0)
}

/// Time of day in China, to the minute.
fn local(at: Timestamp) -> String {
    let local = at + Millis::from_secs(8 * 3600);
    let text = local.rfc3339();
    text.get(..16)
        .map_or_else(|| text.clone(), |minute| minute.replace('T', " "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_under_each_other_in_both_languages() {
        let column =
            |head: &str, cells: [&str; 2]| (String::from(head), cells.map(String::from).to_vec());
        let text = written(&[column("坐席", ["3", "12"]), column("wait", ["1.0 s", "-"])]);
        assert_eq!(
            text,
            "| 坐席 |  wait |\n| ---: | ----: |\n|    3 | 1.0 s |\n|   12 |     - |\n"
        );
    }
}
