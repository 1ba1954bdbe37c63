//! What is counted of the days that were lived through, and which number of seats is enough.

use super::run::{Fate, Lived, live};
use super::{Goal, SEATS_MAX, SHORT, Seats, Source, Traffic};
use crate::sim::parallel;
use crate::time::{Millis, Timestamp};

/// Numbers of seats that are tried at once when none is given: always the same ones, whatever the machine.
const BATCH: u32 = 4;
/// Calls of an hour that say something about it.
const HOUR_CALLS_MIN: u64 = 20;
/// China has one time zone, UTC+8, without summer time.
const LOCAL_OFFSET_MICROS: i64 = 8 * 3_600_000_000;

/// How it goes with so many seats.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    pub seats: u32,
    /// Who came and was answered, or stayed for 5 s and more.
    pub calls: u64,
    /// Of 100 calls, those answered within the goal's time of their arrival.
    pub soon: f64,
    /// Arrival to answer: half are answered sooner, 95 of 100.
    pub median: Millis,
    pub p95: Millis,
    /// Of 100 seconds of all seats, those in which they ring, talk or finish a call.
    pub occupied: f64,
    /// Of 100 calls, those whose caller gave up.
    pub gave_up: f64,
    /// Callers who hung up within 5 s; in none of the other figures.
    pub short: u64,
    /// By hour of the day: calls, answered soon.
    hours: [(u64, u64); 24],
}

/// An hour of the day.
#[derive(Copy, Clone, Debug, PartialEq)]
pub struct Hour {
    pub calls_an_hour: f64,
    /// Fewest seats of those tried that reach the goal in it; absent: none, or too few calls to tell.
    pub seats: Option<u32>,
}

/// Everything that was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    pub goal: Goal,
    pub source: Source,
    pub rows: Vec<Row>,
    pub hours: [Hour; 24],
}

impl Answer {
    /// Fewest seats of those tried that reach the goal.
    #[must_use]
    pub fn enough(&self) -> Option<&Row> {
        self.rows.iter().find(|row| row.reaches(self.goal))
    }
}

impl Row {
    /// Whether so many seats reach the goal.
    #[must_use]
    pub fn reaches(&self, goal: Goal) -> bool {
        self.soon >= f64::from(goal.percent)
    }

    /// Of 100 calls of an hour, those answered in time; absent when it has too few.
    fn soon_in(&self, hour: usize) -> Option<f64> {
        let (calls, soon) = *self.hours.get(hour)?;
        (calls >= HOUR_CALLS_MIN).then(|| share(soon, calls))
    }

    /// The hour in which fewest are answered in time.
    #[must_use]
    pub fn worst_hour(&self) -> Option<(usize, f64)> {
        let told = (0..24).filter_map(|hour| Some((hour, self.soon_in(hour)?)));
        told.min_by(|a, b| a.1.total_cmp(&b.1))
    }
}

/// Lives through `traffic` with each number of seats; without one from the load up to the first number that reaches the
/// goal, and one more.
#[must_use]
pub fn ask(traffic: &Traffic, seats: Option<&Seats>, goal: Goal) -> Answer {
    let rows = match seats {
        Some(Seats(range)) => lived(traffic, *range.start(), *range.end(), goal),
        None => until_reached(traffic, goal),
    };
    let hours = std::array::from_fn(|hour| in_hour(traffic, &rows, hour, goal));
    Answer {
        goal,
        source: traffic.source,
        rows,
        hours,
    }
}

fn until_reached(traffic: &Traffic, goal: Goal) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    let mut from = (traffic.load() as u32).clamp(1, SEATS_MAX);
    while from <= SEATS_MAX {
        let to = (from + BATCH - 1).min(SEATS_MAX);
        rows.extend(lived(traffic, from, to, goal));
        if let Some(enough) = rows.iter().position(|row| row.reaches(goal))
            && (enough + 1 < rows.len() || to == SEATS_MAX)
        {
            rows.truncate(enough + 2);
            return rows;
        }
        from = to + 1;
    }
    rows
}

fn lived(traffic: &Traffic, from: u32, to: u32, goal: Goal) -> Vec<Row> {
    let days = traffic.stretches.len().max(1) as u64;
    let runs = days * u64::from(to - from + 1);
    let mut rows: Vec<Counted> = Vec::new();
    parallel::in_order(
        0..runs,
        |run| {
            let seats = from + u32::try_from(run / days).unwrap_or(0);
            let stretch = traffic.stretches.get((run % days) as usize);
            let lived = stretch.map(|stretch| live(&traffic.policy, stretch, seats));
            (seats, lived)
        },
        |run, (seats, lived)| {
            if run % days == 0 {
                rows.push(Counted::new(seats));
            }
            if let (Some(row), Some(lived)) = (rows.last_mut(), lived) {
                row.count(&lived, goal);
            }
        },
    );
    let span: u64 = traffic.stretches.iter().map(|s| s.span_ms()).sum();
    rows.into_iter().map(|row| row.row(span)).collect()
}

#[derive(Default)]
struct Counted {
    seats: u32,
    waits: Vec<u32>,
    soon: u64,
    gave_up: u64,
    short: u64,
    busy_ms: u64,
    hours: [(u64, u64); 24],
}

impl Counted {
    fn new(seats: u32) -> Self {
        Self {
            seats,
            ..Self::default()
        }
    }

    fn count(&mut self, lived: &Lived, goal: Goal) {
        self.busy_ms += lived.busy_ms;
        for fate in &lived.fates {
            self.count_fate(fate, goal);
        }
    }

    fn count_fate(&mut self, fate: &Fate, goal: Goal) {
        let Some(came) = fate.came else {
            return;
        };
        let soon = fate.answered.is_some_and(|wait| wait <= goal.within);
        match (fate.answered, fate.gave_up) {
            (Some(wait), _) => self.waits.push(wait.0),
            (None, Some(after)) if after < SHORT => {
                self.short += 1;
                return;
            }
            // Still there when the day was over: not answered in time either.
            (None, Some(_) | None) => self.gave_up += 1,
        }
        self.soon += u64::from(soon);
        if let Some((calls, in_time)) = self.hours.get_mut(hour_of(came)) {
            *calls += 1;
            *in_time += u64::from(soon);
        }
    }

    fn row(mut self, span_ms: u64) -> Row {
        self.waits.sort_unstable();
        let calls = self.waits.len() as u64 + self.gave_up;
        Row {
            seats: self.seats,
            calls,
            soon: share(self.soon, calls),
            median: at_percent(&self.waits, 50),
            p95: at_percent(&self.waits, 95),
            occupied: share(self.busy_ms, span_ms * u64::from(self.seats)),
            gave_up: share(self.gave_up, calls),
            short: self.short,
            hours: self.hours,
        }
    }
}

fn in_hour(traffic: &Traffic, rows: &[Row], hour: usize, goal: Goal) -> Hour {
    let calls = rows.last().and_then(|row| row.hours.get(hour));
    let calls = calls.map_or(0, |(calls, _)| *calls);
    let reaches = |row: &&Row| {
        row.soon_in(hour)
            .is_some_and(|soon| soon >= f64::from(goal.percent))
    };
    Hour {
        calls_an_hour: calls as f64 / hours_lived(traffic, hour).max(1.0 / 60.0),
        seats: rows.iter().find(reaches).map(|row| row.seats),
    }
}

/// How many times this hour of the day was lived through, parts counted.
fn hours_lived(traffic: &Traffic, hour: usize) -> f64 {
    const HOUR: i64 = 3_600_000_000;
    let mut lived = 0;
    for stretch in &traffic.stretches {
        let (from, to) = (local(stretch.begins), local(stretch.ends));
        let mut at = from;
        while at < to {
            let next = (at.div_euclid(HOUR) + 1) * HOUR;
            if at.div_euclid(HOUR).rem_euclid(24) == hour as i64 {
                lived += next.min(to) - at;
            }
            at = next;
        }
    }
    lived as f64 / HOUR as f64
}

fn local(at: Timestamp) -> i64 {
    at.as_micros() + LOCAL_OFFSET_MICROS
}

fn hour_of(at: Timestamp) -> usize {
    usize::try_from(local(at).div_euclid(3_600_000_000).rem_euclid(24)).unwrap_or(0)
}

/// `part` of 100 of `whole`; 0 of nothing.
fn share(part: u64, whole: u64) -> f64 {
    100.0 * part as f64 / whole.max(1) as f64
}

/// Nearest rank.
fn at_percent(sorted: &[u32], percent: usize) -> Millis {
    let rank = (sorted.len() * percent).div_ceil(100).max(1) - 1;
    Millis(sorted.get(rank).copied().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_by_nearest_rank() {
        let waits: Vec<u32> = (1..=100).collect();
        assert_eq!(at_percent(&waits, 50), Millis(50));
        assert_eq!(at_percent(&waits, 95), Millis(95));
        assert_eq!(at_percent(&[7], 95), Millis(7));
        assert_eq!(at_percent(&[], 50), Millis(0));
    }

    #[test]
    fn who_hangs_up_at_once_is_counted_apart() {
        let goal = Goal {
            percent: 95,
            within: Millis::from_secs(10),
        };
        let came = Some(Timestamp::from_micros(0));
        let fate = |answered: Option<u32>, gave_up: Option<u32>| Fate {
            came,
            answered: answered.map(Millis),
            gave_up: gave_up.map(Millis),
        };
        let mut counted = Counted::new(2);
        for fate in [
            fate(Some(10_000), None),
            fate(Some(10_001), None),
            fate(None, Some(4_999)),
            fate(None, Some(5_000)),
            Fate::default(),
        ] {
            counted.count_fate(&fate, goal);
        }
        counted.busy_ms = 500;
        let row = counted.row(1_000);
        assert_eq!((row.calls, row.short), (3, 1));
        assert_eq!((row.soon.round(), row.gave_up.round()), (33.0, 33.0));
        assert_eq!(row.occupied, 25.0);
        assert_eq!(row.hours[8], (3, 1));
    }
}
