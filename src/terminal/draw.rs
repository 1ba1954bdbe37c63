//! What the page shows: sections of rows, once as plain text, once on a screen. Numbers and names that came over the line
//! are cleaned of control characters, so that no caller can write on the screen.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Clear, Paragraph, Wrap};

use super::acts::ACTS;
use super::page::{Page, Question};
use super::picture::{Call, CallBack, Seat};

/// Columns from which the page has two halves.
const WIDE: u16 = 110;

/// How a row stands out.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Tone {
    Plain,
    Good,
    Warm,
    Hot,
}

/// One line of a section.
pub(super) struct Row {
    pub(super) text: String,
    pub(super) tone: Tone,
    /// The call or call-back that it is about.
    pub(super) id: Option<String>,
}

/// A heading and its rows.
pub(super) struct Section {
    pub(super) title: String,
    pub(super) rows: Vec<Row>,
}

/// `12.3 s`, `1:05`, `1:02:09`.
pub(super) fn span(seconds: f64) -> String {
    if seconds < 60.0 {
        return format!("{seconds:.1} s");
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "never negative, and centuries fit"
    )]
    let whole = seconds as u64;
    let (hours, minutes, seconds) = (whole / 3600, whole % 3600 / 60, whole % 60);
    if hours > 0 {
        format!("{hours}:{minutes:02}:{seconds:02}")
    } else {
        format!("{minutes}:{seconds:02}")
    }
}

pub(super) fn clean(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).collect()
}

impl Page {
    /// First line: whose page, what the day was like, whether it is live.
    fn head(&self) -> String {
        let word = |name| self.language.word(name);
        let who = [Some(word(&self.me.role)), self.seat.as_deref()];
        let who: Vec<_> = who.into_iter().flatten().collect();
        let p = &self.picture;
        let counts = [
            ("arrived", p.arrived),
            ("answered", p.answered),
            ("abandoned", p.abandoned),
            ("lost", p.lost),
        ];
        let counts = counts.map(|(name, count)| format!("{} {count}", word(name)));
        let trunks = p.trunks.iter().map(|trunk| {
            let mark = match trunk.up {
                Some(true) => "✓",
                Some(false) => "✕",
                None => "?",
            };
            format!("{} {mark}", clean(&trunk.trunk))
        });
        let trunks: Vec<_> = trunks.collect();
        let up = word(if self.up { "up" } else { "down" });
        let parts = [who.join(" "), counts.join("  "), trunks.join("  ")];
        let parts = parts.into_iter().filter(|part| !part.is_empty());
        let parts: Vec<_> = parts.chain([up.to_owned()]).collect();
        format!("Firstring 120  {}", parts.join(" | "))
    }

    /// Everything, top to bottom.
    pub(super) fn sections(&self, now: i64) -> Vec<Section> {
        let word = |name| self.language.word(name);
        let counted = |name, rows: Vec<Row>| Section {
            title: format!("{} {}", word(name), rows.len()),
            rows,
        };
        let p = &self.picture;
        let alarms = p.alarms.iter().map(|alarm| Row {
            text: format!(
                "! {} {}: {}",
                alarm.code,
                clean(&alarm.subject),
                clean(&alarm.detail)
            ),
            tone: Tone::Hot,
            id: None,
        });
        let alarms: Vec<_> = alarms.collect();
        let mut all = Vec::new();
        if !alarms.is_empty() {
            all.push(counted("alarms", alarms));
        }
        if let Some(seat) = self.own_seat() {
            let mut rows = vec![self.seat_row(seat, now)];
            rows.extend(self.own_call().map(|call| self.talk_row(call, now)));
            all.push(Section {
                title: word("own").to_owned(),
                rows,
            });
        }
        let waiting = self.waiting().into_iter();
        all.push(counted(
            "waiting_calls",
            waiting.map(|call| self.waiting_row(call, now)).collect(),
        ));
        let talks = self.talks().into_iter();
        all.push(counted(
            "talks",
            talks.map(|call| self.talk_row(call, now)).collect(),
        ));
        all.extend(self.groups_section(now));
        let entries = p.call_backs.iter();
        all.push(counted(
            "call_backs",
            entries
                .map(|entry| self.call_back_row(entry, now))
                .collect(),
        ));
        let seats = p.seats.iter().map(|seat| self.seat_row(seat, now));
        all.push(counted("seats", seats.collect()));
        all
    }

    fn number(&self, number: &str) -> String {
        if number.is_empty() {
            return self.language.word("unknown").to_owned();
        }
        clean(number)
    }

    fn seat_row(&self, seat: &Seat, now: i64) -> Row {
        let word = |name| self.language.word(name);
        let mut parts = vec![clean(&seat.seat), word(&seat.state).to_owned()];
        if let Some(reason) = seat.reason.as_ref().filter(|_| seat.state != "signed_out") {
            parts.push(format!("({})", clean(reason)));
        }
        if seat.state != "signed_out" {
            parts.push(span(self.since(seat.since, now)));
        }
        if seat.supervisor {
            parts.push(word("supervisor").to_owned());
        }
        let tone = match seat.state.as_str() {
            "ready" => Tone::Good,
            "not_ready" | "wrap_up" => Tone::Warm,
            "unreachable" => Tone::Hot,
            _ => Tone::Plain,
        };
        Row {
            text: parts.join(" "),
            tone,
            id: None,
        }
    }

    fn waiting_row(&self, call: &Call, now: i64) -> Row {
        let word = |name| self.language.word(name);
        let waited = self.since(call.received_at, now);
        let mut parts = vec![span(waited), self.number(&call.caller), clean(&call.called)];
        parts.extend(call.trunk.as_deref().map(clean));
        parts.extend(call.position.map(|n| match n {
            0 => word("next").to_owned(),
            n => format!("+{n}"),
        }));
        parts.push(word(&call.state).to_owned());
        parts.extend(call.seat.as_deref().map(clean));
        parts.extend(self.labels(call));
        if call.wait_exceeded {
            parts.push(word("exceeded").to_owned());
        }
        let tone = match waited {
            _ if call.wait_exceeded => Tone::Hot,
            s if s >= 8.0 => Tone::Warm,
            _ => Tone::Plain,
        };
        Row {
            text: parts.join("  "),
            tone,
            id: Some(call.call.clone()),
        }
    }

    /// What is said beside a number.
    fn labels(&self, call: &Call) -> Vec<String> {
        let word = |name| self.language.word(name);
        let mut labels = Vec::new();
        if call.crew_of.is_some() {
            labels.push(word("crew").to_owned());
        }
        if call.screen.repeated {
            labels.push(format!(
                "{} ×{}",
                word("repeated"),
                call.screen.repeat_calls
            ));
        }
        if let Some(mark) = &call.screen.mark {
            let known = if mark.state == "confirmed" {
                "marked"
            } else {
                "suspected"
            };
            labels.push(word(known).to_owned());
        }
        labels
    }

    fn talk_row(&self, call: &Call, now: i64) -> Row {
        let word = |name| self.language.word(name);
        let since = call.answered_at.unwrap_or(call.received_at);
        let mut parts = vec![span(self.since(since, now))];
        if call.direction != "inbound" {
            parts.push(word(&call.direction).to_owned());
        }
        parts.push(self.number(&call.caller));
        parts.push(word(&call.state).to_owned());
        let others = call.legs.iter().filter(|leg| leg.party != "caller");
        parts.extend(others.map(|leg| match leg.state.as_str() {
            "up" => self.language.party(&leg.party),
            state => format!("{} {}", self.language.party(&leg.party), word(state)),
        }));
        parts.extend(self.marks_of_talk(call, now));
        let urgent = call.assist.is_some() || call.hold.as_ref().is_some_and(|h| h.reminded);
        let tone = if urgent || call.handling_level > 1 {
            Tone::Hot
        } else if call.hold.is_some() || call.shelf.is_some() || call.handling_level > 0 {
            Tone::Warm
        } else {
            Tone::Plain
        };
        Row {
            text: parts.join("  "),
            tone,
            id: Some(call.call.clone()),
        }
    }

    /// What goes on in a talk beside the talking.
    fn marks_of_talk(&self, call: &Call, now: i64) -> Vec<String> {
        let word = |name| self.language.word(name);
        let mut parts = self.labels(call);
        if let Some(hold) = &call.hold {
            parts.push(format!(
                "{} {}",
                word("on_hold"),
                span(self.since(hold.since, now))
            ));
        }
        if let Some(shelf) = &call.shelf {
            parts.push(format!(
                "{} {}",
                word("on_shelf"),
                span(self.since(shelf.since, now))
            ));
        }
        if let Some(transfer) = &call.transfer {
            parts.push(format!("→ {}", clean(&transfer.to)));
        }
        if let Some(silent) = &call.silent {
            let key = silent.key.as_deref().map(clean).unwrap_or_default();
            parts.push(format!("{} {key}", word("silent")));
        }
        if let Some(assist) = &call.assist {
            parts.push(match &assist.taken {
                Some(by) => format!("{} {}", clean(by), word("comes")),
                None => format!("{} {}", clean(&assist.seat), word("asks")),
            });
        }
        if !call.joined_with.is_empty() {
            parts.push(format!("{} {}", word("joined"), call.joined_with.len()));
        }
        let flags = [
            (call.medical_advice, "advice"),
            (call.handling_level > 0, "overlong"),
        ];
        let flags = flags.into_iter().filter(|(on, _)| *on);
        parts.extend(flags.map(|(_, name)| word(name).to_owned()));
        parts.extend(
            call.major
                .map(|(done, of)| format!("{} {done}/{of}", word("major"))),
        );
        let entry = call.call_type.as_ref();
        parts.extend(entry.map(|entry| clean(self.language.of(&entry.zh, &entry.en))));
        parts.extend(call.incident_id.as_deref().map(clean));
        parts
    }

    fn call_back_row(&self, entry: &CallBack, now: i64) -> Row {
        let word = |name| self.language.word(name);
        let mut parts = vec![
            span(self.since(entry.due_at, now)),
            self.number(&entry.number),
            word(&entry.reason).to_owned(),
        ];
        if entry.state != "open" {
            parts.push(word(&entry.state).to_owned());
            parts.extend(entry.seat.as_deref().map(clean));
        }
        if entry.calls > 1 {
            parts.push(format!("×{}", entry.calls));
        }
        if entry.overdue {
            parts.push(word("overdue").to_owned());
        }
        Row {
            text: parts.join("  "),
            tone: if entry.overdue || entry.urgent {
                Tone::Hot
            } else {
                Tone::Plain
            },
            id: Some(entry.call_back.clone()),
        }
    }

    /// The whole page as text: a head, then sections of indented rows.
    #[must_use]
    pub fn text(&self, now: i64) -> String {
        let mut text = self.head() + "\n";
        for section in self.sections(now) {
            text += &format!("{}\n", section.title);
            for row in section.rows {
                text += &format!("  {}\n", row.text);
            }
        }
        text
    }

    /// Draws the page.
    pub fn draw(&self, frame: &mut Frame<'_>, now: i64) {
        let area = frame.area();
        let [head, body, keys, told] = Layout::vertical([
            Constraint::Length(1),
            Constraint::Min(1),
            Constraint::Length(2),
            Constraint::Length(1),
        ])
        .areas(area);
        let style = if self.up {
            Style::new()
        } else {
            tone_style(Tone::Hot)
        };
        let style = style.add_modifier(Modifier::REVERSED);
        frame.render_widget(Paragraph::new(self.head()).style(style), head);
        self.draw_body(frame, body, now);
        let offered = self.offered().into_iter().map(|act| {
            let (zh, en) = act.name;
            format!(
                "{} {}",
                act.key.to_ascii_uppercase(),
                self.language.of(zh, en)
            )
        });
        let offered: Vec<_> = offered.collect();
        let line = format!("{}  {}", offered.join("  "), self.language.word("more"));
        frame.render_widget(Paragraph::new(line).wrap(Wrap { trim: true }), keys);
        if let Some((text, bad)) = self.told(now) {
            let tone = if bad { Tone::Hot } else { Tone::Good };
            frame.render_widget(Paragraph::new(clean(text)).style(tone_style(tone)), told);
        }
        if let Some(question) = &self.question {
            self.draw_question(frame, question);
        } else if self.help {
            self.draw_help(frame);
        }
    }

    fn draw_body(&self, frame: &mut Frame<'_>, area: Rect, now: i64) {
        let mut left = self.sections(now);
        if area.width < WIDE {
            return self.draw_sections(frame, area, &left);
        }
        let right = left.split_off(left.len().saturating_sub(2));
        let halves = [Constraint::Percentage(62), Constraint::Percentage(38)];
        let [a, b] = Layout::horizontal(halves).areas(area);
        self.draw_sections(frame, a, &left);
        self.draw_sections(frame, b, &right);
    }

    fn draw_sections(&self, frame: &mut Frame<'_>, area: Rect, sections: &[Section]) {
        let target = self.sight().call.map(|call| call.call.clone());
        let mut lines = Vec::new();
        for section in sections {
            let title = Style::new().add_modifier(Modifier::BOLD | Modifier::UNDERLINED);
            lines.push(Line::styled(section.title.clone(), title));
            for row in &section.rows {
                let chosen = row.id.is_some() && row.id == self.picked;
                let acted = row.id.is_some() && row.id == target;
                let mark = if chosen || acted { "> " } else { "  " };
                let mut style = tone_style(row.tone);
                if chosen {
                    style = style.add_modifier(Modifier::REVERSED);
                }
                let text = Span::styled(row.text.clone(), style);
                lines.push(Line::from(vec![Span::raw(mark), text]));
            }
        }
        frame.render_widget(Paragraph::new(lines), area);
    }

    fn draw_question(&self, frame: &mut Frame<'_>, question: &Question) {
        let word = |name| self.language.word(name);
        let (zh, en) = question.act.name;
        let about = question.call.as_ref().and_then(|id| {
            let call = self.picture.calls.iter().find(|call| call.call == *id)?;
            Some(self.number(&call.caller))
        });
        let title = [Some(self.language.of(zh, en).to_owned()), about];
        let title: Vec<_> = title.into_iter().flatten().collect();
        let mut lines = Vec::new();
        let fields = question.act.fields.iter().zip(&question.answers);
        for (at, (field, answer)) in fields.enumerate() {
            let (zh, en) = field.label;
            let cursor = if at == question.at { "_" } else { "" };
            let text = format!("{}: {answer}{cursor}", self.language.of(zh, en));
            lines.push(Line::from(text));
        }
        lines.push(Line::from(word("confirm").to_owned()));
        draw_box(frame, &title.join(" "), lines);
    }

    fn draw_help(&self, frame: &mut Frame<'_>) {
        let rows = ACTS.chunks(2).map(|pair| {
            let cells = pair.iter().map(|act| {
                let (zh, en) = act.name;
                let name = self.language.of(zh, en);
                Span::raw(format!("{}  {name}    ", act.key.to_ascii_uppercase()))
            });
            Line::from(cells.collect::<Vec<_>>())
        });
        let mut lines: Vec<_> = rows.collect();
        let rest = self.language.of(
            "↑↓ 选择呼叫  Esc 不选  L English  Q 退出",
            "↑↓ choose a call  Esc none  L 中文  Q quit",
        );
        lines.push(Line::from(rest.to_owned()));
        draw_box(frame, self.language.word("keys"), lines);
    }
}

fn tone_style(tone: Tone) -> Style {
    match tone {
        Tone::Plain => Style::new(),
        Tone::Good => Style::new().fg(Color::Green),
        Tone::Warm => Style::new().fg(Color::Yellow),
        Tone::Hot => Style::new().fg(Color::Red).add_modifier(Modifier::BOLD),
    }
}

/// A box in the middle of the screen.
fn draw_box(frame: &mut Frame<'_>, title: &str, lines: Vec<Line<'_>>) {
    let area = frame.area();
    let widest = lines.iter().map(Line::width).max().unwrap_or(0);
    let fits = |n: usize, limit: u16| u16::try_from(n).unwrap_or(limit).min(limit);
    let width = fits(widest.max(title.len()) + 4, area.width);
    let height = fits(lines.len() + 2, area.height);
    let place = Rect {
        x: area.x + (area.width - width) / 2,
        y: area.y + (area.height - height) / 2,
        width,
        height,
    };
    let block = Block::bordered().title(title.to_owned());
    frame.render_widget(Clear, place);
    frame.render_widget(Paragraph::new(lines).block(block), place);
}
