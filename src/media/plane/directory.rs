//! Who is where: calls, their worker and recording; legs, their port and track. Pure state behind the plane's lock.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::id::{CallId, LegId, RecordingId};
use crate::limits::LEGS_PER_CALL_MAX;
use crate::media::player::Player;
use crate::media::tap::TapControl;

/// Words for the recorder kept while its channel is full.
pub(super) const UNTOLD_MAX: usize = 4096;

/// The directory.
pub(super) struct Directory {
    calls: BTreeMap<CallId, CallEntry>,
    legs: BTreeMap<LegId, LegPlace>,
    ssrcs: BTreeSet<u32>,
    /// Legs per worker.
    load: Vec<usize>,
    next_slot: u32,
    pub(super) untold: VecDeque<TapControl>,
}

#[derive(Default)]
struct CallEntry {
    worker: usize,
    recording: Option<RecordingId>,
    tracks: BTreeMap<LegId, Track>,
    /// The call in whose media its legs are, while it is joined to another.
    host: Option<CallId>,
    /// Calls whose legs are in its media.
    guests: BTreeSet<CallId>,
    /// Playbacks for legs that are not open yet.
    plays: BTreeMap<LegId, Player>,
    legs: usize,
    commanded: bool,
    closed: bool,
}

/// A leg's track in one call's recording.
struct Track {
    name: String,
    /// The recorder knows it.
    told: bool,
}

/// Where a leg is.
#[derive(Copy, Clone, Debug)]
pub(super) struct LegPlace {
    pub(super) call: CallId,
    pub(super) worker: usize,
    pub(super) port: u16,
    pub(super) ssrc: u32,
    pub(super) slot: Option<u32>,
}

impl Directory {
    pub(super) fn new(workers: usize) -> Self {
        Self {
            calls: BTreeMap::new(),
            legs: BTreeMap::new(),
            ssrcs: BTreeSet::new(),
            load: vec![0; workers],
            next_slot: 1,
            untold: VecDeque::new(),
        }
    }

    /// The call's worker; a call not seen before goes to the one with the fewest legs.
    pub(super) fn worker_of(&mut self, call: CallId) -> usize {
        self.entry(call).worker
    }

    /// The worker of a call that is not forgotten yet.
    pub(super) fn known_worker_of(&self, call: CallId) -> Option<usize> {
        Some(self.calls.get(&call)?.worker)
    }

    fn entry(&mut self, call: CallId) -> &mut CallEntry {
        let load = &self.load;
        self.calls.entry(call).or_insert_with(|| CallEntry {
            worker: (0..load.len())
                .min_by_key(|worker| load.get(*worker))
                .unwrap_or(0),
            ..CallEntry::default()
        })
    }

    pub(super) fn note_command(&mut self, call: CallId) {
        self.entry(call).commanded = true;
    }

    /// True when this starts a recording (a second word of the same changes nothing).
    pub(super) fn record(&mut self, call: CallId, recording: RecordingId) -> bool {
        self.entry(call).recording.replace(recording) != Some(recording)
    }

    pub(super) fn name_track(&mut self, call: CallId, leg: LegId, name: String) {
        let tracks = &mut self.entry(call).tracks;
        if tracks.get(&leg).is_some_and(|track| track.name == name) {
            return;
        }
        if tracks.len() < LEGS_PER_CALL_MAX * 4 || tracks.contains_key(&leg) {
            tracks.insert(leg, Track { name, told: false });
        }
    }

    /// The call in whose media the legs of `call` are: its own, unless it is joined to another.
    pub(super) fn host_of(&self, call: CallId) -> CallId {
        let host = self.calls.get(&call).and_then(|entry| entry.host);
        host.unwrap_or(call)
    }

    /// The calls in whose recordings a leg of `call` may have a track.
    pub(super) fn calls_tracking(&self, call: CallId) -> Vec<CallId> {
        let host = self.host_of(call);
        let guests = self.calls.get(&host).map(|entry| &entry.guests);
        let guests = guests.into_iter().flatten().copied();
        std::iter::once(host).chain(guests).collect()
    }

    /// The legs of `call`, present and to come, are in the media of `host`: those that move, and from which worker.
    pub(super) fn settle_at(&mut self, call: CallId, host: CallId) -> Vec<(LegId, usize)> {
        let before = self.entry(call).host.take();
        if let Some(entry) = before.and_then(|before| self.calls.get_mut(&before)) {
            entry.guests.remove(&call);
        }
        if host != call {
            self.entry(call).host = Some(host);
            self.entry(host).guests.insert(call);
        }
        if before.unwrap_or(call) == host {
            return Vec::new();
        }
        let worker = self.worker_of(host);
        let mut moved = Vec::new();
        for leg in self.legs_of(call) {
            if let Some(place) = self.legs.get_mut(&leg) {
                let from = std::mem::replace(&mut place.worker, worker);
                moved.push((leg, from));
                self.add_load(from, -1);
                self.add_load(worker, 1);
            }
        }
        moved
    }

    /// Tracks end of the call's legs in the other calls of its conversation, and of theirs in it: call and number.
    pub(super) fn untrack_strangers(&mut self, call: CallId) -> Vec<(CallId, u32)> {
        let mut ended = Vec::new();
        for of in self.calls_tracking(call) {
            let legs = &self.legs;
            let Some(entry) = self.calls.get_mut(&of) else {
                continue;
            };
            entry.tracks.retain(|leg, track| {
                let Some(place) = legs.get(leg) else {
                    return true;
                };
                let stranger = place.call != of && (place.call == call || of == call);
                if stranger && track.told {
                    ended.extend(place.slot.map(|slot| (of, slot)));
                }
                !stranger
            });
        }
        ended
    }

    /// All tracks of a leg end: in which calls, under which number. Its next track has another.
    pub(super) fn untrack_leg(&mut self, leg: LegId) -> Vec<(CallId, u32)> {
        let slot = self.legs.get_mut(&leg).and_then(|place| place.slot.take());
        let ended = self.calls.iter_mut().filter_map(|(call, entry)| {
            let track = entry.tracks.remove(&leg)?;
            track.told.then_some((*call, slot?))
        });
        ended.collect()
    }

    pub(super) fn legs_of(&self, call: CallId) -> Vec<LegId> {
        let is_here = |(leg, place): (&LegId, &LegPlace)| (place.call == call).then_some(*leg);
        self.legs.iter().filter_map(is_here).collect()
    }

    pub(super) fn place_of(&self, leg: LegId) -> Option<LegPlace> {
        self.legs.get(&leg).copied()
    }

    /// A number for the leg's track in `call`, if it should have one there and has none: its worker, the number, the
    /// name. A leg keeps its number in all recordings.
    pub(super) fn new_track(&mut self, call: CallId, leg: LegId) -> Option<(usize, u32, String)> {
        let entry = self.calls.get_mut(&call)?;
        entry.recording?;
        let place = self.legs.get_mut(&leg)?;
        let track = entry.tracks.get_mut(&leg).filter(|track| !track.told)?;
        track.told = true;
        let slot = *place.slot.get_or_insert_with(|| {
            let slot = self.next_slot;
            self.next_slot = slot.wrapping_add(1).max(1);
            slot
        });
        Some((place.worker, slot, track.name.clone()))
    }

    pub(super) fn keep_play(&mut self, call: CallId, leg: LegId, player: Player) {
        let plays = &mut self.entry(call).plays;
        if plays.len() < LEGS_PER_CALL_MAX || plays.contains_key(&leg) {
            plays.insert(leg, player);
        }
    }

    pub(super) fn drop_play(&mut self, call: CallId, leg: LegId) {
        self.take_play(call, leg);
    }

    pub(super) fn take_play(&mut self, call: CallId, leg: LegId) -> Option<Player> {
        self.calls.get_mut(&call)?.plays.remove(&leg)
    }

    /// A number that no open leg has (RFC 3550 section 8).
    pub(super) fn new_ssrc(&mut self) -> u32 {
        loop {
            let ssrc = rand::random();
            if self.ssrcs.insert(ssrc) {
                return ssrc;
            }
        }
    }

    pub(super) fn add_leg(&mut self, leg: LegId, place: LegPlace) {
        self.entry(place.call).legs += 1;
        self.add_load(place.worker, 1);
        self.legs.insert(leg, place);
    }

    pub(super) fn remove_leg(&mut self, leg: LegId) -> Option<LegPlace> {
        let place = self.legs.remove(&leg)?;
        self.ssrcs.remove(&place.ssrc);
        self.add_load(place.worker, -1);
        if let Some(entry) = self.calls.get_mut(&place.call) {
            entry.legs = entry.legs.saturating_sub(1);
        }
        Some(place)
    }

    /// The leg's place before it moved.
    pub(super) fn move_leg(&mut self, leg: LegId, to: CallId, worker: usize) -> Option<LegPlace> {
        let before = self.remove_leg(leg)?;
        self.ssrcs.insert(before.ssrc);
        self.add_leg(
            leg,
            LegPlace {
                call: to,
                worker,
                slot: None,
                ..before
            },
        );
        Some(before)
    }

    fn add_load(&mut self, worker: usize, change: isize) {
        if let Some(load) = self.load.get_mut(worker) {
            *load = load.saturating_add_signed(change);
        }
    }

    /// Nobody commanded it and its last leg is gone.
    pub(super) fn is_abandoned(&self, call: CallId) -> bool {
        self.calls
            .get(&call)
            .is_some_and(|entry| !entry.commanded && entry.legs == 0)
    }

    /// True when a recording has to be sealed.
    pub(super) fn close_call(&mut self, call: CallId) -> bool {
        let Some(entry) = self.calls.get_mut(&call) else {
            return false;
        };
        entry.closed = true;
        entry.plays.clear();
        entry.recording.take().is_some()
    }

    pub(super) fn forget_if_done(&mut self, call: CallId) {
        let is_done = self
            .calls
            .get(&call)
            .is_some_and(|entry| entry.closed && entry.legs == 0);
        if is_done {
            self.calls.remove(&call);
        }
    }

    /// Calls and legs known (tests, soak figures).
    #[cfg(test)]
    fn sizes(&self) -> (usize, usize, usize) {
        (self.calls.len(), self.legs.len(), self.ssrcs.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn call(n: u128) -> CallId {
        CallId(Uuid::from_u128(n))
    }

    fn leg(n: u128) -> LegId {
        LegId(Uuid::from_u128(n))
    }

    fn open(directory: &mut Directory, call: CallId, leg: LegId) {
        let worker = directory.worker_of(call);
        let ssrc = directory.new_ssrc();
        directory.add_leg(
            leg,
            LegPlace {
                call,
                worker,
                port: 4000,
                ssrc,
                slot: None,
            },
        );
    }

    #[test]
    fn a_track_starts_once_recording_party_and_leg_are_all_there_in_any_order() {
        let recording = RecordingId(Uuid::from_u128(9));
        for order in [
            [0, 1, 2],
            [0, 2, 1],
            [1, 0, 2],
            [1, 2, 0],
            [2, 0, 1],
            [2, 1, 0],
        ] {
            let mut directory = Directory::new(1);
            let mut tracks = Vec::new();
            for step in order {
                match step {
                    0 => assert!(directory.record(call(1), recording)),
                    1 => directory.name_track(call(1), leg(1), String::from("caller")),
                    _ => open(&mut directory, call(1), leg(1)),
                }
                tracks.extend(directory.new_track(call(1), leg(1)));
            }
            assert_eq!(tracks, [(0, 1, String::from("caller"))]);
        }
    }

    #[test]
    fn legs_of_joined_calls_share_a_worker_and_their_tracks_until_they_part() {
        let mut directory = Directory::new(2);
        for n in 1..=2 {
            directory.record(call(n), RecordingId(Uuid::from_u128(n)));
            directory.name_track(call(n), leg(n), String::from("caller"));
            open(&mut directory, call(n), leg(n));
            let slot = directory.new_track(call(n), leg(n)).map(|track| track.1);
            assert_eq!(slot, u32::try_from(n).ok());
        }
        assert_eq!(directory.load, [1, 1]);
        let from = directory.place_of(leg(2)).map(|place| place.worker);
        let moved = directory.settle_at(call(2), call(1));
        assert_eq!(moved, [(leg(2), from.unwrap())]);
        assert_eq!(directory.settle_at(call(2), call(1)), [], "it is there");
        assert_eq!(directory.load, [2, 0]);
        directory.name_track(call(1), leg(2), String::from("caller@2"));
        let track = directory.new_track(call(1), leg(2));
        assert_eq!(track, Some((0, 2, String::from("caller@2"))));
        assert_eq!(directory.new_track(call(1), leg(2)), None, "told once");
        assert_eq!(directory.untrack_strangers(call(2)), [(call(1), 2)]);
        assert_eq!(directory.settle_at(call(2), call(2)), [(leg(2), 0)]);
        assert_eq!(directory.load, [1, 1]);
        assert_eq!(directory.untrack_strangers(call(2)), []);
    }

    #[test]
    fn a_leg_without_a_track_any_more_gets_a_new_one_when_it_is_named_again() {
        let mut directory = Directory::new(1);
        directory.record(call(1), RecordingId(Uuid::from_u128(1)));
        open(&mut directory, call(1), leg(1));
        assert_eq!(directory.untrack_leg(leg(1)), [], "it has none");
        for slot in 1..=2 {
            directory.name_track(call(1), leg(1), String::from("supervisor-800"));
            let track = directory.new_track(call(1), leg(1));
            assert_eq!(track, Some((0, slot, String::from("supervisor-800"))));
            assert_eq!(directory.untrack_leg(leg(1)), [(call(1), slot)]);
        }
        assert_eq!(directory.new_track(call(1), leg(1)), None);
    }

    #[test]
    fn calls_spread_over_the_workers_and_nothing_is_left_of_them() {
        let mut directory = Directory::new(2);
        for n in 0..10 {
            open(&mut directory, call(n), leg(n));
        }
        assert_eq!(directory.load, [5, 5]);
        for n in 0..10 {
            assert!(!directory.is_abandoned(call(n)));
            directory.remove_leg(leg(n));
            assert!(directory.is_abandoned(call(n)));
            directory.close_call(call(n));
            directory.forget_if_done(call(n));
        }
        assert_eq!(directory.sizes(), (0, 0, 0));
        assert_eq!(directory.load, [0, 0]);
    }
}
