//! The answer as a picture (SVG 1.1): on the left how many callers are answered in time by the number of seats, on the right
//! calls and seats needed by the hour. Readable in print and in black and white: shapes differ, not only colours.

use super::answer::Answer;
use super::{Language, seconds};

const WIDTH: f64 = 960.0;
const HEIGHT: f64 = 420.0;
const TOP: f64 = 70.0;
const BOTTOM: f64 = 350.0;
const LEFT: (f64, f64) = (70.0, 440.0);
const RIGHT: (f64, f64) = (540.0, 910.0);
const FONT: &str = "'Noto Sans CJK SC', 'Source Han Sans SC', 'Microsoft YaHei', sans-serif";
const INK: &str = "#1a1a1a";
const GRID: &str = "#d0d0d0";
const BLUE: &str = "#0b5cad";
const ORANGE: &str = "#c25500";
const GREY: &str = "#9fb4c7";

struct Words {
    title: String,
    seats: &'static str,
    soon: String,
    gave_up: &'static str,
    goal: String,
    hour: &'static str,
    calls: &'static str,
    needed: &'static str,
}

fn words(answer: &Answer, language: Language) -> Words {
    let (wanted, within) = (answer.goal.percent, seconds(answer.goal.within));
    let enough = answer.enough().map(|row| row.seats);
    match language {
        Language::En => Words {
            title: match enough {
                Some(seats) => format!("{wanted} % answered within {within} s takes {seats} seats"),
                None => format!("{wanted} % answered within {within} s is not reached"),
            },
            seats: "seats",
            soon: format!("answered within {within} s, %"),
            gave_up: "gave up, %",
            goal: format!("goal {wanted} %"),
            hour: "hour of the day",
            calls: "calls an hour",
            needed: "seats needed",
        },
        Language::Zh => Words {
            title: match enough {
                Some(seats) => format!("{within} 秒内接听 {wanted} % 需 {seats} 个坐席"),
                None => format!("{within} 秒内接听 {wanted} % 未达到"),
            },
            seats: "坐席数",
            soon: format!("{within} 秒内接听率 %"),
            gave_up: "放弃率 %",
            goal: format!("目标 {wanted} %"),
            hour: "时段",
            calls: "每小时来电",
            needed: "所需坐席",
        },
    }
}

/// The picture. The same answer gives the same bytes.
#[must_use]
pub fn plot(answer: &Answer, language: Language) -> String {
    let words = words(answer, language);
    let mut svg = Svg::new(&words.title);
    svg.text(WIDTH / 2.0, 32.0, "middle", 20, INK, &words.title);
    by_seats(&mut svg, answer, &words);
    by_hours(&mut svg, answer, &words);
    svg.text.push_str("</svg>\n");
    svg.text
}

fn by_seats(svg: &mut Svg, answer: &Answer, words: &Words) {
    let (from, to) = LEFT;
    let count = answer.rows.len().max(1);
    let x = |at: usize| {
        let step = (to - from) / count as f64;
        from + step * (at as f64 + 0.5)
    };
    let y = |percent: f64| scaled(percent, 100.0);
    for percent in [0, 20, 40, 60, 80, 100] {
        svg.grid(LEFT, y(f64::from(percent)), &percent.to_string());
    }
    svg.dashes(from, to, y(f64::from(answer.goal.percent)));
    let goal = y(f64::from(answer.goal.percent));
    svg.text(from + 4.0, goal + 15.0, "start", 12, ORANGE, &words.goal);
    // No more numbers than fit.
    let every = count.div_ceil(15);
    for (at, row) in answer
        .rows
        .iter()
        .enumerate()
        .filter(|(at, _)| at % every == 0)
    {
        svg.text(
            x(at),
            BOTTOM + 18.0,
            "middle",
            12,
            INK,
            &row.seats.to_string(),
        );
    }
    let line = |of: fn(&super::Row) -> f64| -> Vec<(f64, f64)> {
        let rows = answer.rows.iter().enumerate();
        rows.map(|(at, row)| (x(at), y(of(row)))).collect()
    };
    let (soon, gave_up) = (line(|row| row.soon), line(|row| row.gave_up));
    svg.line(&soon, BLUE, "");
    for (x, y) in soon {
        svg.dot(x, y, BLUE);
    }
    svg.line(&gave_up, INK, "2 4");
    for (x, y) in gave_up {
        svg.square(x, y, INK);
    }
    svg.text(
        (from + to) / 2.0,
        BOTTOM + 40.0,
        "middle",
        13,
        INK,
        words.seats,
    );
    svg.dot(from + 6.0, TOP - 14.0, BLUE);
    svg.text(from + 16.0, TOP - 10.0, "start", 13, BLUE, &words.soon);
    svg.square(from + 236.0, TOP - 14.0, INK);
    svg.text(from + 246.0, TOP - 10.0, "start", 13, INK, words.gave_up);
}

fn by_hours(svg: &mut Svg, answer: &Answer, words: &Words) {
    let (from, to) = RIGHT;
    let step = (to - from) / 24.0;
    let calls = answer.hours.iter().map(|hour| hour.calls_an_hour);
    let calls_top = ceiling(calls.fold(0.0, f64::max));
    let seats = answer.hours.iter().filter_map(|hour| hour.seats);
    let seats_top = ceiling(f64::from(seats.max().unwrap_or(0)) + 1.0);
    for part in 0..=4 {
        let share = f64::from(part) / 4.0;
        let y = scaled(share, 1.0);
        svg.grid(RIGHT, y, &short(calls_top * share));
        let seats = short(seats_top * share);
        svg.text(to + 8.0, y + 4.0, "start", 12, ORANGE, &seats);
    }
    let mut tops = Vec::new();
    for (at, hour) in answer.hours.iter().enumerate() {
        let x = from + step * at as f64;
        let y = scaled(hour.calls_an_hour, calls_top);
        svg.bar(x + 1.0, y, step - 2.0, BOTTOM - y);
        if at % 3 == 0 {
            svg.text(
                x + step / 2.0,
                BOTTOM + 18.0,
                "middle",
                12,
                INK,
                &at.to_string(),
            );
        }
        if let Some(seats) = hour.seats {
            let y = scaled(f64::from(seats), seats_top);
            tops.extend([(x, y), (x + step, y)]);
        } else {
            svg.line(&std::mem::take(&mut tops), ORANGE, "");
        }
    }
    svg.line(&tops, ORANGE, "");
    svg.text(
        (from + to) / 2.0,
        BOTTOM + 40.0,
        "middle",
        13,
        INK,
        words.hour,
    );
    svg.bar(from, TOP - 20.0, 12.0, 12.0);
    svg.text(from + 18.0, TOP - 10.0, "start", 13, INK, words.calls);
    svg.line(
        &[(from + 230.0, TOP - 14.0), (from + 254.0, TOP - 14.0)],
        ORANGE,
        "",
    );
    svg.text(from + 260.0, TOP - 10.0, "start", 13, ORANGE, words.needed);
}

/// Height of a value between 0 and `top`.
fn scaled(value: f64, top: f64) -> f64 {
    BOTTOM - (BOTTOM - TOP) * (value / top).clamp(0.0, 1.0)
}

/// The next number with few digits whose quarters have few too: 4, 8, 12, 20, 40...
fn ceiling(value: f64) -> f64 {
    let mut unit = 4.0;
    loop {
        for of in [1.0, 2.0, 3.0, 5.0] {
            if value <= unit * of {
                return unit * of;
            }
        }
        unit *= 10.0;
    }
}

/// Without decimals that say nothing.
fn short(value: f64) -> String {
    let text = format!("{value:.1}");
    text.strip_suffix(".0").map_or(text.clone(), str::to_owned)
}

struct Svg {
    text: String,
}

impl Svg {
    fn new(title: &str) -> Self {
        let text = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" width=\"{WIDTH}\" height=\"{HEIGHT}\" \
             role=\"img\" font-family=\"{FONT}\">\n<title>{title}</title>\n<rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"#ffffff\"/>\n"
        );
        Self { text }
    }

    fn put(&mut self, element: std::fmt::Arguments<'_>) {
        self.text.push_str(&element.to_string());
        self.text.push('\n');
    }

    fn text(&mut self, x: f64, y: f64, anchor: &str, size: u32, fill: &str, words: &str) {
        self.put(format_args!(
            "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" font-size=\"{size}\" fill=\"{fill}\">{words}</text>"
        ));
    }

    /// A line across with its value on the left.
    fn grid(&mut self, (from, to): (f64, f64), y: f64, value: &str) {
        self.put(format_args!(
            "<line x1=\"{from}\" y1=\"{y:.1}\" x2=\"{to}\" y2=\"{y:.1}\" stroke=\"{GRID}\"/>"
        ));
        self.text(from - 8.0, y + 4.0, "end", 12, INK, value);
    }

    fn dashes(&mut self, from: f64, to: f64, y: f64) {
        self.put(format_args!(
            "<line x1=\"{from}\" y1=\"{y:.1}\" x2=\"{to}\" y2=\"{y:.1}\" stroke=\"{ORANGE}\" stroke-width=\"1.5\" stroke-dasharray=\"6 4\"/>"
        ));
    }

    fn line(&mut self, points: &[(f64, f64)], stroke: &str, dashes: &str) {
        if points.is_empty() {
            return;
        }
        let points: Vec<_> = points
            .iter()
            .map(|(x, y)| format!("{x:.1},{y:.1}"))
            .collect();
        self.put(format_args!(
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{stroke}\" stroke-width=\"2\" stroke-dasharray=\"{dashes}\"/>",
            points.join(" ")
        ));
    }

    fn dot(&mut self, x: f64, y: f64, fill: &str) {
        self.put(format_args!(
            "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4\" fill=\"{fill}\"/>"
        ));
    }

    fn square(&mut self, x: f64, y: f64, fill: &str) {
        let (x, y) = (x - 3.5, y - 3.5);
        self.put(format_args!(
            "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"7\" height=\"7\" fill=\"{fill}\"/>"
        ));
    }

    fn bar(&mut self, x: f64, y: f64, width: f64, height: f64) {
        self.put(format_args!(
            "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" fill=\"{GREY}\"/>"
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_end_at_round_numbers() {
        let tops: Vec<_> = [0.0, 4.0, 4.1, 9.0, 13.0, 21.0, 330.0].map(ceiling).into();
        assert_eq!(tops, [4.0, 4.0, 8.0, 12.0, 20.0, 40.0, 400.0]);
        assert_eq!((short(2.5), short(10.0)), ("2.5".into(), "10".into()));
    }
}
