//! `[relief.*]`: people outside who may take a waiting call, a peer centre or our own phones; `[group.*]`: numbers that a
//! group call rings.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::section::{At, Section, quoted};
use crate::id::{GroupId, ReliefId, SeatId, TrunkId};
use crate::limits::{GROUP_TARGETS_MAX, NUMBER_DIGITS_MAX};
use crate::switch::{Relief, ReliefKind, SeatPolicy, TrunkPolicy};
use crate::time::Millis;

/// Numbers outside: who may take a waiting call, and groups.
pub(super) fn outside(
    root: &Section<'_>,
    trunks: &BTreeMap<TrunkId, TrunkPolicy>,
    seats: &BTreeMap<SeatId, SeatPolicy>,
) -> (Arc<Vec<Relief>>, Groups) {
    (relief(root, trunks), groups(root, trunks, seats))
}

type Groups = Arc<BTreeMap<GroupId, Vec<String>>>;

/// In the order of their names; peers wait 30 s, a group is rung at once when no seat serves.
fn relief(root: &Section<'_>, trunks: &BTreeMap<TrunkId, TrunkPolicy>) -> Arc<Vec<Relief>> {
    let named = root.named("relief");
    let dials_out = trunks.values().any(|trunk| trunk.outbound.is_some());
    let mut all: Vec<Relief> = Vec::new();
    for (name, section) in named {
        let words = [("peer", ReliefKind::Peer), ("group", ReliefKind::Group)];
        let kind = section.choice("kind", &words, ReliefKind::Peer).value;
        let usual = match kind {
            ReliefKind::Peer => 30,
            ReliefKind::Group => 0,
        };
        let after = section.integer("after_s", 0..=600, usual, "seconds");
        let numbers = section.texts("numbers");
        check_rung(&section, &format!("relief.{name}"), dials_out, &numbers);
        let dialled = dialled(&section, &numbers, |digits| {
            let own = trunks.values().any(|trunk| trunk.shown_number == digits);
            let twice = all.iter().any(|r| r.numbers.iter().any(|n| n == digits));
            if own {
                let what = "our own number: the call would come back to this centre";
                Some((what, "name another centre's or person's number"))
            } else {
                twice.then_some(TWICE)
            }
        });
        section.close();
        all.push(Relief {
            id: ReliefId(name),
            kind,
            numbers: dialled,
            after: Millis(u32::try_from(after.value.saturating_mul(1000)).unwrap_or(0)),
        });
    }
    Arc::new(all)
}

/// A fault and what to do about it.
type Fault = (&'static str, &'static str);
const TWICE: Fault = ("which is there twice", "remove one of both");

/// Somebody is rung, and a trunk leads there.
fn check_rung(section: &Section<'_>, key: &str, dials_out: bool, numbers: &[At<String>]) {
    if !dials_out {
        section.reader.fault(
            &section.origin,
            key,
            "cannot be rung: no trunk dials out",
            "write outbound = 1 at a trunk, or remove the section",
        );
    }
    if numbers.is_empty() {
        section.reader.fault(
            &section.origin,
            key,
            "has no number: nobody would be rung",
            "write numbers = [\"0755-25120120\"], as your carrier wants them dialled",
        );
    }
}

/// The numbers as they are dialled; what is none, there twice or wrong otherwise is a fault.
fn dialled(
    section: &Section<'_>,
    numbers: &[At<String>],
    wrong: impl Fn(&str) -> Option<Fault>,
) -> Vec<String> {
    let mut dialled = Vec::new();
    for number in numbers {
        let digits: String = number.value.chars().filter(|c| *c != '-').collect();
        let bare = digits.strip_prefix('+').unwrap_or(&digits);
        let is_number = !bare.is_empty()
            && bare.len() <= NUMBER_DIGITS_MAX
            && bare.bytes().all(|b| b.is_ascii_digit());
        let fault = if is_number {
            let twice = dialled.contains(&digits).then_some(TWICE);
            wrong(&digits).or(twice)
        } else {
            Some(("which is no number", "digits, with + in front if you like"))
        };
        let Some((what, fix)) = fault else {
            dialled.push(digits);
            continue;
        };
        section.reader.fault(
            &number.origin,
            &number.key,
            format!("lists {}, {what}", quoted(&number.value)),
            fix,
        );
    }
    dialled
}

/// `[group.NAME] numbers = [..]`, up to 200 each.
fn groups(
    root: &Section<'_>,
    trunks: &BTreeMap<TrunkId, TrunkPolicy>,
    seats: &BTreeMap<SeatId, SeatPolicy>,
) -> Groups {
    let dials_out = trunks.values().any(|trunk| trunk.outbound.is_some());
    let mut all = BTreeMap::new();
    for (name, section) in root.named("group") {
        let numbers = section.texts("numbers");
        let key = format!("group.{name}");
        check_rung(&section, &key, dials_out, &numbers);
        if numbers.len() > GROUP_TARGETS_MAX {
            section.reader.fault(
                &section.origin,
                &key,
                format!("has {} numbers", numbers.len()),
                format!("a group may have {GROUP_TARGETS_MAX}; make two of it"),
            );
        }
        let dialled = dialled(&section, &numbers, |digits| {
            let own = digits == "120" || trunks.values().any(|t| t.shown_number == digits);
            if own {
                let what = "our own number: the call would come back to this centre";
                Some((what, "name a person's or a station's number"))
            } else {
                let seat = seats.contains_key(&SeatId::from(digits));
                seat.then_some(("which is a seat", "name numbers outside; a seat is dialled"))
            }
        });
        section.close();
        all.insert(GroupId(name), dialled);
    }
    Arc::new(all)
}
