//! The month's self-tests, folded from their Events: 自检 n 次, 失败 m 次, 最长失聪 t.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::self_test_steps::SelfTestStep;
use super::{Event, EventKind};
use crate::id::{CallId, TrunkId};
use crate::time::{Millis, Timestamp};

/// China has one time zone, UTC+8, without summer time.
const LOCAL_OFFSET: Millis = Millis::from_secs(8 * 3600);
/// Failures listed one by one, the last ones.
const FAILURES_MAX: usize = 500;

/// A month of self-tests.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct SelfTestReport {
    /// `2026-11`, in the centre's time.
    pub month: String,
    /// Tests that came to a verdict.
    pub tests: u64,
    /// Of them failed.
    pub failed: u64,
    /// The longest time in this month in which a trunk was deaf: from the begin of the first test that failed to the one that
    /// passed, or to the call that came in.
    pub longest_deaf_ms: u64,
    /// In the order of their names.
    pub trunks: Vec<TrunkReport>,
    /// The last 500 failures, oldest first.
    pub failures: Vec<SelfTestFailure>,
}

/// One trunk of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct TrunkReport {
    pub trunk: TrunkId,
    pub tests: u64,
    pub failed: u64,
    pub longest_deaf_ms: u64,
    /// It was not heard to work again by the end of the month, or by now.
    pub deaf: bool,
}

/// A test that failed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct SelfTestFailure {
    pub at: Timestamp,
    pub trunk: TrunkId,
    /// The trunk that dialled.
    pub via: TrunkId,
    pub step: SelfTestStep,
    pub cause: String,
    pub ms: u64,
    /// The call that was made for it, when it is known.
    pub call: Option<CallId>,
}

/// `2026-11`, the month of the centre's calendar.
#[must_use]
pub fn month_of(at: Timestamp) -> String {
    let mut text = (at + LOCAL_OFFSET).rfc3339();
    text.truncate(7);
    text
}

impl SelfTestReport {
    /// The report of `month` from all `selftest.` events, oldest first. `now`: until then deafness lasts that has not ended.
    pub fn of<'a>(
        month: &str,
        events: impl IntoIterator<Item = &'a Event>,
        now: Timestamp,
    ) -> Self {
        let mut report = Self {
            month: month.to_owned(),
            ..Self::default()
        };
        let mut trunks: BTreeMap<TrunkId, TrunkReport> = BTreeMap::new();
        let mut deaf: BTreeMap<TrunkId, Timestamp> = BTreeMap::new();
        for event in events {
            let inside = month_of(event.at) == month;
            if let EventKind::SelfTestPassed { trunk, .. } = &event.kind {
                if inside {
                    row(&mut trunks, trunk).tests += 1;
                }
                ends(&mut trunks, &mut deaf, trunk, month, event.at);
            } else if let EventKind::SelfTestCleared { trunk, .. } = &event.kind {
                ends(&mut trunks, &mut deaf, trunk, month, event.at);
            } else if let EventKind::SelfTestFailed {
                trunk,
                via,
                step,
                cause,
                ms,
                deaf_since,
                ..
            } = &event.kind
            {
                deaf.entry(trunk.clone()).or_insert(*deaf_since);
                if inside {
                    let row = row(&mut trunks, trunk);
                    row.tests += 1;
                    row.failed += 1;
                    report.failures.push(SelfTestFailure {
                        at: event.at,
                        trunk: trunk.clone(),
                        via: via.clone(),
                        step: *step,
                        cause: cause.clone(),
                        ms: *ms,
                        call: event.call,
                    });
                }
            }
        }
        for (trunk, since) in deaf.clone() {
            ends(&mut trunks, &mut deaf, &trunk, month, now);
            if month_of(since).as_str() <= month && month_of(now).as_str() >= month {
                row(&mut trunks, &trunk).deaf = true;
            }
        }
        report.trunks = trunks.into_values().collect();
        report.tests = report.trunks.iter().map(|t| t.tests).sum();
        report.failed = report.trunks.iter().map(|t| t.failed).sum();
        let longest = report.trunks.iter().map(|t| t.longest_deaf_ms).max();
        report.longest_deaf_ms = longest.unwrap_or(0);
        let more = report.failures.len().saturating_sub(FAILURES_MAX);
        report.failures.drain(..more);
        report
    }
}

fn row<'r>(trunks: &'r mut BTreeMap<TrunkId, TrunkReport>, trunk: &TrunkId) -> &'r mut TrunkReport {
    trunks.entry(trunk.clone()).or_insert_with(|| TrunkReport {
        trunk: trunk.clone(),
        tests: 0,
        failed: 0,
        longest_deaf_ms: 0,
        deaf: false,
    })
}

/// The trunk is heard again at `end`: what of its deafness lies in the month counts there.
fn ends(
    trunks: &mut BTreeMap<TrunkId, TrunkReport>,
    deaf: &mut BTreeMap<TrunkId, Timestamp>,
    trunk: &TrunkId,
    month: &str,
    end: Timestamp,
) {
    let Some(since) = deaf.remove(trunk) else {
        return;
    };
    let from = later_of(since, |at| month_of(at).as_str() < month, end);
    let until = later_of(from, |at| month_of(at).as_str() <= month, end);
    if month_of(from) == month {
        let row = row(trunks, trunk);
        row.longest_deaf_ms = row.longest_deaf_ms.max(until.millis_since(from));
    }
}

/// The first moment from `from` on at which `before` holds no longer, at most `end`. Found by halving: the calendar's
/// months need no other code than the one that names them.
fn later_of(from: Timestamp, before: impl Fn(Timestamp) -> bool, end: Timestamp) -> Timestamp {
    if !before(from) {
        return from;
    }
    if before(end) {
        return end;
    }
    let (mut low, mut high) = (from.as_micros(), end.as_micros());
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if before(Timestamp::from_micros(middle)) {
            low = middle;
        } else {
            high = middle;
        }
    }
    Timestamp::from_micros(high)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::EventId;
    use uuid::Uuid;

    const DAY_US: i64 = 24 * 3600 * 1_000_000;
    /// 2026-11-01 00:00 at the centre.
    const NOVEMBER: i64 = 1_793_462_400_000_000;

    fn at(us: i64) -> Timestamp {
        Timestamp::from_micros(NOVEMBER + us)
    }

    fn event(us: i64, kind: EventKind) -> Event {
        Event {
            id: EventId(Uuid::nil()),
            at: at(us),
            call: None,
            callseq: 0,
            kind,
        }
    }

    fn failed(us: i64, trunk: &str, since: i64) -> Event {
        let trunk = TrunkId::from(trunk);
        let kind = EventKind::SelfTestFailed {
            via: trunk.clone(),
            trunk,
            step: SelfTestStep::HeardIn,
            cause: String::from("deaf"),
            ms: 9_000,
            steps: Vec::new(),
            deaf_since: at(since),
        };
        event(us, kind)
    }

    fn passed(us: i64, trunk: &str) -> Event {
        let trunk = TrunkId::from(trunk);
        let kind = EventKind::SelfTestPassed {
            via: trunk.clone(),
            trunk,
            came: None,
            ms: 3_000,
            steps: Vec::new(),
            deaf_ms: None,
        };
        event(us, kind)
    }

    #[test]
    fn a_month_counts_its_tests_its_failures_and_the_part_of_deafness_that_lies_in_it() {
        assert_eq!(month_of(at(0)), "2026-11");
        assert_eq!(month_of(at(-1)), "2026-10");
        let hour = DAY_US / 24;
        let events = [
            passed(-3 * hour, "ct"),
            failed(-2 * hour, "ct", -2 * hour),
            failed(hour, "ct", -2 * hour),
            passed(3 * hour, "ct"),
            passed(5 * hour, "cmcc"),
            failed(29 * DAY_US, "cmcc", 29 * DAY_US),
        ];
        let report = SelfTestReport::of("2026-11", &events, at(40 * DAY_US));
        assert_eq!((report.tests, report.failed), (4, 2));
        let of = |report: &SelfTestReport, name: &str| {
            let mut trunks = report.trunks.iter();
            let row = trunks.find(|t| t.trunk.as_str() == name);
            row.map(|t| (t.tests, t.failed, t.longest_deaf_ms / 3_600_000, t.deaf))
        };
        assert_eq!(
            of(&report, "ct"),
            Some((2, 1, 3, false)),
            "from midnight on"
        );
        assert_eq!(
            of(&report, "cmcc"),
            Some((2, 1, 24, true)),
            "to the month's end"
        );
        assert_eq!(report.longest_deaf_ms, 24 * 3_600_000);
        assert_eq!(report.failures.len(), 2);
        let before = SelfTestReport::of("2026-10", &events, at(40 * DAY_US));
        assert_eq!(of(&before, "ct"), Some((2, 1, 2, false)));
        let none = SelfTestReport::of("2026-09", &events, at(40 * DAY_US));
        assert_eq!((none.tests, none.trunks.len()), (0, 0));
    }
}
