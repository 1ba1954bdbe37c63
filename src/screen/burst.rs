//! Many calls at once from one trunk, cell or area, and calls that probably speak of the same thing.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};

use crate::geo::{self, LatLon};
use crate::id::CallId;
use crate::limits::{BURST_CALLS_MAX, BURST_PLACES_MAX};
use crate::time::{Millis, Timestamp};

/// Calls this close to each other, in place and time, are probably about the same incident.
const NEAR_M: f64 = 300.0;
const NEAR_SPAN: Millis = Millis::from_secs(300);

/// The last calls by place: `trunk ct`, `area 0755`, `cell 460-00-102D-108F00D`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bursts {
    places: BTreeMap<String, VecDeque<(Timestamp, CallId)>>,
}

impl Bursts {
    /// A call of `place`. Gives how many there were within `window`, this one included.
    pub fn came(&mut self, place: &str, call: CallId, now: Timestamp, window: Millis) -> u32 {
        if !self.places.contains_key(place) && self.places.len() >= BURST_PLACES_MAX {
            self.places
                .retain(|_, calls| calls.back().is_some_and(|(at, _)| *at + window >= now));
            if self.places.len() >= BURST_PLACES_MAX {
                self.places.pop_first();
            }
        }
        let calls = self.places.entry(place.to_owned()).or_default();
        while calls.len() >= BURST_CALLS_MAX
            || calls.front().is_some_and(|(at, _)| *at + window < now)
        {
            calls.pop_front();
        }
        calls.push_back((now, call));
        u32::try_from(calls.len()).unwrap_or(u32::MAX)
    }

    /// The last calls of a place, oldest first.
    pub fn calls(&self, place: &str) -> impl Iterator<Item = CallId> + '_ {
        let calls = self.places.get(place).into_iter().flatten();
        calls.map(|(_, call)| *call)
    }
}

/// The last positions of calls.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Nearby {
    points: VecDeque<(Timestamp, CallId, LatLon)>,
}

/// An earlier call close by.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Neighbour {
    pub call: CallId,
    pub metres: u32,
}

impl Nearby {
    /// A call's position, WGS-84. Gives the nearest other call of the last five minutes within 300 m.
    pub fn place(&mut self, call: CallId, point: LatLon, now: Timestamp) -> Option<Neighbour> {
        while self.points.len() >= BURST_CALLS_MAX
            || self
                .points
                .front()
                .is_some_and(|(at, ..)| *at + NEAR_SPAN < now)
        {
            self.points.pop_front();
        }
        let near = self
            .points
            .iter()
            .filter(|(_, of, _)| *of != call)
            .map(|(_, of, other)| (geo::distance_m(point, *other), *of))
            .filter(|(metres, _)| *metres <= NEAR_M)
            .min_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        self.points.retain(|(_, of, _)| *of != call);
        self.points.push_back((now, call, point));
        near.map(|(metres, call)| Neighbour {
            call,
            metres: whole(metres),
        })
    }

    /// The calls whose position is known, and still remembered.
    #[must_use]
    pub fn placed(&self) -> BTreeSet<CallId> {
        self.points.iter().map(|(_, call, _)| *call).collect()
    }
}

/// Whole metres of a distance of at most 300 m.
fn whole(metres: f64) -> u32 {
    (0..=300)
        .find(|n| f64::from(*n) + 0.5 > metres)
        .unwrap_or(300)
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn call(n: u128) -> CallId {
        CallId(Uuid::from_u128(n))
    }

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_micros(secs * 1_000_000)
    }

    #[test]
    fn calls_of_one_place_add_up_within_the_window_only() {
        let (mut bursts, window) = (Bursts::default(), Millis::from_secs(60));
        assert_eq!(bursts.came("trunk ct", call(1), at(0), window), 1);
        assert_eq!(bursts.came("trunk ct", call(2), at(60), window), 2);
        assert_eq!(bursts.came("trunk cmcc", call(3), at(60), window), 1);
        assert_eq!(bursts.came("trunk ct", call(4), at(61), window), 2);
        assert_eq!(
            bursts.calls("trunk ct").collect::<Vec<_>>(),
            [call(2), call(4)]
        );
    }

    #[test]
    fn a_flood_of_places_and_calls_stays_bounded() {
        let (mut bursts, window) = (Bursts::default(), Millis::from_secs(60));
        for n in 0..2_000_u128 {
            bursts.came(&format!("cell {n}"), call(n), at(1), window);
            bursts.came("trunk ct", call(n), at(1), window);
        }
        assert!(bursts.places.len() <= BURST_PLACES_MAX);
        assert!(bursts.calls("trunk ct").count() <= BURST_CALLS_MAX);
    }

    #[test]
    fn three_hundred_metres_and_five_minutes_are_near_and_no_more() {
        let here = LatLon::new(22.543_1, 114.057_9).unwrap();
        // 0.0026 degrees of latitude are 289 m, 0.0028 are 311 m.
        let near = LatLon::new(22.545_7, 114.057_9).unwrap();
        let far = LatLon::new(22.540_3, 114.057_9).unwrap();
        let mut nearby = Nearby::default();
        assert_eq!(nearby.place(call(1), here, at(0)), None);
        let found = nearby.place(call(2), near, at(300)).unwrap();
        assert_eq!(found.call, call(1));
        assert!((280..300).contains(&found.metres), "{found:?}");
        assert_eq!(nearby.place(call(3), far, at(300)), None);
        assert_eq!(nearby.place(call(4), here, at(601)).map(|n| n.call), None);
        assert!(nearby.placed().contains(&call(4)) && !nearby.placed().contains(&call(1)));
    }
}
