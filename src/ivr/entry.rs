//! Who is led into which menu: by the number he dialled, the trunk he came in on, and the hour.
//!
//! A number of the emergency line has no menu, unless the centre says so; then its longest stay is 3 s.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::menu::Menu;
use crate::id::{MenuId, PromptId, TrunkId};
use crate::phone;
use crate::time::{Millis, Timestamp};

/// Longest stay in a menu on an emergency number.
pub const EMERGENCY_STAY: Millis = Millis::from_secs(3);
/// China has one time zone, UTC+8, without summer time.
const LOCAL_OFFSET: Millis = Millis::from_secs(8 * 3600);
/// Minutes of a day.
const DAY_MINUTES: i64 = 24 * 60;

/// All menus of a centre. Empty: there is none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Menus {
    pub trees: BTreeMap<MenuId, Menu>,
    pub entries: Vec<Entry>,
    /// Said before every menu: that the line is recorded.
    pub notice: Option<PromptId>,
    /// Numbers of the emergency line, as dialled.
    pub emergency: Vec<String>,
    /// An emergency number may have a menu.
    pub on_emergency: bool,
}

/// Who enters a menu. What is empty or absent fits all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    pub menu: MenuId,
    /// Dialled numbers.
    pub called: Vec<String>,
    pub trunks: Vec<TrunkId>,
    pub hours: Option<Hours>,
}

/// A part of every day, in minutes of the local day, the end not included. `from` after `to` goes over midnight.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hours {
    pub from: u16,
    pub to: u16,
}

/// The way into a menu.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Way {
    pub id: MenuId,
    pub menu: Menu,
    /// Nobody stays longer.
    pub stay: Millis,
}

impl Menus {
    /// The menu for a call that came in on `trunk` (area code `area`), dialled `called`, at `now`. The entry that says
    /// most decides: number before trunk before hours.
    #[must_use]
    pub fn way(&self, trunk: &TrunkId, called: &str, area: &str, now: Timestamp) -> Option<Way> {
        let emergency = self.is_emergency(called, area);
        if emergency && !self.on_emergency {
            return None;
        }
        let fits = |entry: &&Entry| {
            // An emergency number has a menu only when it is named.
            (entry.called.is_empty() && !emergency || entry.answers(called, area))
                && (entry.trunks.is_empty() || entry.trunks.contains(trunk))
                && entry.hours.is_none_or(|hours| hours.holds(now))
        };
        let entry = self
            .entries
            .iter()
            .filter(fits)
            .min_by_key(|entry| std::cmp::Reverse(entry.weight()))?;
        let menu = self.trees.get(&entry.menu)?.clone();
        let stay = if emergency {
            menu.stay.min(EMERGENCY_STAY)
        } else {
            menu.stay
        };
        Some(Way {
            id: entry.menu.clone(),
            menu,
            stay,
        })
    }

    /// Whether `called` is a number of the centre: an emergency number, or one with a menu.
    #[must_use]
    pub fn is_ours(&self, called: &str, area: &str) -> bool {
        let mut entries = self.entries.iter();
        self.is_emergency(called, area) || entries.any(|entry| entry.answers(called, area))
    }

    /// Languages that nodes choose.
    #[must_use]
    pub fn languages(&self) -> BTreeSet<&str> {
        let nodes = self.trees.values().flat_map(|tree| tree.nodes.values());
        nodes.filter_map(|node| node.language.as_deref()).collect()
    }

    /// Whether `called` is a number of the emergency line: as listed, or a listed short code behind any area code.
    #[must_use]
    pub fn is_emergency(&self, called: &str, area: &str) -> bool {
        let short = phone::parse(called, area, false);
        let code = short.display.rsplit('-').next().unwrap_or_default();
        self.emergency.iter().any(|number| {
            (number.len() <= 3 && number == code) || same_number(number, called, area)
        })
    }
}

impl Entry {
    /// How much it says: the number counts more than the trunk, the trunk more than the hours.
    #[must_use]
    pub fn weight(&self) -> (bool, bool, bool) {
        let trunk = !self.trunks.is_empty();
        (!self.called.is_empty(), trunk, self.hours.is_some())
    }

    fn answers(&self, called: &str, area: &str) -> bool {
        self.called
            .iter()
            .any(|number| same_number(number, called, area))
    }
}

impl Hours {
    /// Whether `now` lies in it.
    #[must_use]
    pub fn holds(self, now: Timestamp) -> bool {
        let seconds = (now + LOCAL_OFFSET).as_micros().div_euclid(1_000_000);
        let minute = seconds.div_euclid(60).rem_euclid(DAY_MINUTES);
        self.holds_minute(u16::try_from(minute).unwrap_or(0))
    }

    /// Whether the two have a minute in common.
    #[must_use]
    pub fn overlaps(self, other: Self) -> bool {
        self.holds_minute(other.from) || other.holds_minute(self.from)
    }

    const fn holds_minute(self, minute: u16) -> bool {
        if self.from <= self.to {
            self.from <= minute && minute < self.to
        } else {
            self.from <= minute || minute < self.to
        }
    }
}

/// The same line, however it is written: `88886666`, `0755-88886666`, `+8675588886666`.
#[must_use]
pub fn same_number(a: &str, b: &str, area: &str) -> bool {
    let (a, b) = (phone::parse(a, area, false), phone::parse(b, area, false));
    match (&a.e164, &b.e164) {
        (Some(a), Some(b)) => a == b,
        (None, None) => !a.display.is_empty() && a.display == b.display,
        (Some(_), None) | (None, Some(_)) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::super::menu::tests::{menu, node};
    use super::*;

    fn entry(menu: &str, called: &[&str], trunks: &[&str], hours: Option<(u16, u16)>) -> Entry {
        Entry {
            menu: MenuId::from(menu),
            called: called.iter().map(|n| (*n).to_owned()).collect(),
            trunks: trunks.iter().map(|t| TrunkId::from(*t)).collect(),
            hours: hours.map(|(from, to)| Hours { from, to }),
        }
    }

    fn menus(entries: &[Entry]) -> Menus {
        let tree = menu(&[("top", node("top", "1=@all", "@all"))]);
        Menus {
            trees: entries
                .iter()
                .map(|e| (e.menu.clone(), tree.clone()))
                .collect(),
            entries: entries.to_vec(),
            notice: None,
            emergency: vec![String::from("120")],
            on_emergency: false,
        }
    }

    /// 2025-11-22, hours and minutes in China.
    fn at(hour: i64, minute: i64) -> Timestamp {
        let midnight = 1_763_740_800_000_000;
        Timestamp::from_micros(midnight + (hour * 60 + minute) * 60_000_000)
    }

    fn way(menus: &Menus, trunk: &str, called: &str, now: Timestamp) -> Option<String> {
        let way = menus.way(&TrunkId::from(trunk), called, "0755", now);
        way.map(|way| way.id.0)
    }

    #[test]
    fn number_is_known_however_the_trunk_writes_it() {
        let menus = menus(&[entry("info", &["88886666"], &[], None)]);
        for called in [
            "88886666",
            "075588886666",
            "+8675588886666",
            "8675588886666",
        ] {
            let found = way(&menus, "ct", called, at(12, 0));
            assert_eq!(found.as_deref(), Some("info"), "{called}");
        }
        for called in ["88886667", "02088886666", "120", ""] {
            assert_eq!(way(&menus, "ct", called, at(12, 0)), None, "{called}");
        }
    }

    #[test]
    fn emergency_number_has_no_menu_however_it_is_written() {
        let mut menus = menus(&[
            entry("trunk", &[], &["ct"], None),
            entry("number", &["120"], &[], None),
        ]);
        for called in ["120", "0755120", "+86755120", "0086755120", "tel:120"] {
            assert_eq!(way(&menus, "ct", called, at(12, 0)), None, "{called}");
        }
        menus.emergency.push(String::from("88880120"));
        assert_eq!(way(&menus, "ct", "075588880120", at(12, 0)), None);
        assert!(way(&menus, "ct", "88881120", at(12, 0)).is_some());
    }

    #[test]
    fn allowed_menu_on_an_emergency_number_must_name_it_and_lasts_three_seconds() {
        let mut menus = menus(&[entry("trunk", &[], &["ct"], None)]);
        menus.on_emergency = true;
        assert_eq!(way(&menus, "ct", "120", at(12, 0)), None);
        menus.entries.push(entry("trunk", &["120"], &[], None));
        let found = menus.way(&TrunkId::from("ct"), "120", "0755", at(12, 0));
        assert_eq!(found.map(|way| way.stay), Some(EMERGENCY_STAY));
    }

    #[test]
    fn entry_that_says_most_decides() {
        let menus = menus(&[
            entry("any-hour", &["88886666"], &[], None),
            entry("night", &["88886666"], &[], Some((18 * 60, 8 * 60))),
            entry("trunk", &[], &["ct"], Some((0, 1439))),
        ]);
        assert_eq!(
            way(&menus, "ct", "88886666", at(12, 0)).unwrap(),
            "any-hour"
        );
        assert_eq!(way(&menus, "ct", "88886666", at(18, 0)).unwrap(), "night");
        assert_eq!(way(&menus, "ct", "88886666", at(7, 59)).unwrap(), "night");
        assert_eq!(way(&menus, "ct", "88886666", at(8, 0)).unwrap(), "any-hour");
        assert_eq!(way(&menus, "ct", "88887777", at(8, 0)).unwrap(), "trunk");
        assert_eq!(way(&menus, "cmcc", "88887777", at(8, 0)), None);
    }

    #[test]
    fn hours_that_share_a_minute_overlap() {
        let hours = |from, to| Hours { from, to };
        assert!(hours(1080, 480).overlaps(hours(0, 60)));
        assert!(hours(0, 60).overlaps(hours(1080, 480)));
        assert!(!hours(480, 1080).overlaps(hours(1080, 480)));
    }
}
