//! `[self_test]`, and `self_test` of a trunk: which trunks are tested by calls of ours, and after how long a quiet.

use std::collections::BTreeMap;

use super::build_menu::hours;
use super::build_seats::Seats;
use super::checked::Destination;
use super::section::{Section, quoted};
use crate::id::{SeatId, TrunkId};
use crate::limits::NUMBER_DIGITS_MAX;
use crate::switch::{ROBOT, SelfTestRules, TrunkPolicy};
use crate::time::Millis;

/// Numbers to be dialled, by the trunk that each one tests.
pub(super) type Numbers = BTreeMap<TrunkId, String>;

/// `self_test` of one trunk.
pub(super) fn number(section: &Section<'_>, policy: &TrunkPolicy) -> Option<String> {
    let text = section.text("self_test")?;
    let digits: String = text.value.chars().filter(|c| *c != '-').collect();
    let bare = digits.strip_prefix('+').unwrap_or(&digits);
    let is_number =
        (1..=NUMBER_DIGITS_MAX).contains(&bare.len()) && bare.bytes().all(|b| b.is_ascii_digit());
    if !is_number {
        section.reader.fault(
            &text.origin,
            &text.key,
            format!("is {}, which is no number", quoted(&text.value)),
            "write a number of this centre as the carrier wants it dialled, such as \"0755-88886666\"",
        );
        return None;
    }
    // It goes out and comes in again.
    let needed = if policy.outbound.is_some() { 2 } else { 1 };
    if let Some(circuits) = policy.circuits
        && circuits.saturating_sub(policy.circuits_kept) < needed
    {
        let kept = policy.circuits_kept;
        section.reader.fault(
            &text.origin,
            &text.key,
            format!("is never dialled: a test takes {needed} circuits, and of {circuits} {kept} are kept for callers"),
            "keep fewer circuits for callers, or leave self_test out",
        );
    }
    Some(digits)
}

/// `[self_test]`.
pub(super) fn rules(
    root: &Section<'_>,
    numbers: Numbers,
    trunks: &BTreeMap<TrunkId, TrunkPolicy>,
    seats: &Seats,
    destinations: &[Destination],
) -> SelfTestRules {
    let section = root.section("self_test");
    let usual = SelfTestRules::default();
    let minutes = |name: &str, usual: i64| {
        let written = section.integer(name, 0..=1440, usual, "minutes");
        Millis(u32::try_from(written.value.saturating_mul(60_000)).unwrap_or(0))
    };
    let (day, night) = (minutes("day_minutes", 10), minutes("night_minutes", 30));
    let night_hours = hours(&section, "night_hours").unwrap_or(usual.night_hours);
    let dials = trunks.values().any(|trunk| trunk.outbound.is_some());
    if !numbers.is_empty() && !dials {
        root.reader.fault(
            &section.origin,
            "self_test",
            "cannot be made: no trunk dials out",
            "write outbound = 1 at a trunk, or remove self_test at the trunks",
        );
    }
    if seats.contains_key(&SeatId::from(ROBOT)) {
        root.reader.fault(
            &section.origin,
            &format!("seats.{ROBOT}"),
            "is the name of the seat that answers self-tests",
            "give the seat another name",
        );
    }
    section.close();
    SelfTestRules {
        day,
        night,
        night_hours,
        numbers,
        destinations: destinations.iter().map(|d| d.id.clone()).collect(),
    }
}
