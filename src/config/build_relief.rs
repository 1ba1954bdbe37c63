//! `[relief.*]`: people outside who may take a waiting call, a peer centre or our own phones.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::section::{Section, quoted};
use crate::id::{ReliefId, TrunkId};
use crate::limits::NUMBER_DIGITS_MAX;
use crate::switch::{Relief, ReliefKind, TrunkPolicy};
use crate::time::Millis;

/// In the order of their names; peers wait 30 s, a group is rung at once when no seat serves.
pub(super) fn relief(
    root: &Section<'_>,
    trunks: &BTreeMap<TrunkId, TrunkPolicy>,
) -> Arc<Vec<Relief>> {
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
        if !dials_out {
            section.reader.fault(
                &section.origin,
                &format!("relief.{name}"),
                "cannot be rung: no trunk dials out",
                "write outbound = 1 at a trunk, or remove the section",
            );
        }
        if numbers.is_empty() {
            section.reader.fault(
                &section.origin,
                &format!("relief.{name}"),
                "has no number: nobody would be rung",
                "write numbers = [\"0755-25120120\"], as your carrier wants them dialled",
            );
        }
        let mut dialled = Vec::new();
        for number in &numbers {
            let digits: String = number.value.chars().filter(|c| *c != '-').collect();
            let bare = digits.strip_prefix('+').unwrap_or(&digits);
            let is_number = !bare.is_empty()
                && bare.len() <= NUMBER_DIGITS_MAX
                && bare.bytes().all(|b| b.is_ascii_digit());
            let own = trunks.values().any(|trunk| trunk.shown_number == digits);
            let twice =
                dialled.contains(&digits) || all.iter().any(|r| r.numbers.contains(&digits));
            let (what, fix) = if !is_number {
                ("which is no number", "digits, with + in front if you like")
            } else if own {
                (
                    "our own number: the call would come back to this centre",
                    "name another centre's or person's number",
                )
            } else if twice {
                ("which is there twice", "remove one of both")
            } else {
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
