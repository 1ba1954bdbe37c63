//! Two modules that receive every revision of every record over a network that loses requests and answers. What they
//! see proves invariant 8: each revision, in order per call, the same id on a repeat.

use std::collections::{BTreeMap, VecDeque};

use super::chance::Chance;
use super::plant::Plant;
use crate::call_record::CallRecord;
use crate::id::{CallId, EventId, IdSource};
use crate::switch::{Centre, Event};
use crate::time::Timestamp;

/// A revision of a call's record and the Event that made it.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
struct Revision {
    rev: u64,
    id: EventId,
}

/// One module and what is still owed to it.
#[derive(Clone, Debug, Default)]
struct Destination {
    owed: BTreeMap<CallId, VecDeque<Revision>>,
    got: BTreeMap<CallId, Vec<Revision>>,
    /// Whose turn it was last.
    turn: Option<CallId>,
}

/// Records folded from Events, and their way to the modules.
#[derive(Clone, Debug)]
pub(super) struct Delivery {
    centre: Centre,
    records: BTreeMap<CallId, CallRecord>,
    published: BTreeMap<CallId, Vec<Revision>>,
    destinations: [Destination; 2],
}

impl Delivery {
    pub(super) fn new(centre: Centre) -> Self {
        Self {
            centre,
            records: BTreeMap::new(),
            published: BTreeMap::new(),
            destinations: [Destination::default(), Destination::default()],
        }
    }

    /// Folds Events into records; every change is a revision that is owed to each destination.
    pub(super) fn take(&mut self, events: &[Event], _now: Timestamp, plant: Option<Plant>) {
        for event in events {
            let Some(call) = event.call else {
                continue;
            };
            let record = self
                .records
                .entry(call)
                .or_insert_with(|| CallRecord::new(call, &self.centre));
            if !record.apply(event) {
                continue;
            }
            let revision = Revision {
                rev: record.rev,
                id: event.id,
            };
            self.published.entry(call).or_default().push(revision);
            if plant == Some(Plant::RevisionLost) && record.rev % 5 == 3 {
                continue;
            }
            for destination in &mut self.destinations {
                destination
                    .owed
                    .entry(call)
                    .or_default()
                    .push_back(revision);
            }
        }
    }

    /// One attempt per destination.
    pub(super) fn turn(
        &mut self,
        now: Timestamp,
        chance: &mut Chance,
        plant: Option<Plant>,
    ) -> Result<(), (u8, String)> {
        for destination in &mut self.destinations {
            let Some((call, mut revision)) = destination.next() else {
                continue;
            };
            let luck = chance.below(10);
            if luck < 2 {
                continue;
            }
            if plant == Some(Plant::RepeatGetsNewId) && destination.has(call, revision.rev) {
                revision.id = EventId(IdSource::new(chance.next()).next_uuid(now));
            }
            destination.receive(call, revision)?;
            // Else the answer is lost and the same revision is sent again.
            if luck >= 3 {
                destination.acknowledged(call);
            }
        }
        Ok(())
    }

    /// A restarted reader goes on from its cursor, which may lie one revision back.
    pub(super) fn restart(&mut self) {
        for destination in &mut self.destinations {
            destination.turn = None;
            for (call, got) in &destination.got {
                let owed = destination.owed.entry(*call).or_default();
                if let Some(last) = got.last()
                    && owed.front() != Some(last)
                {
                    owed.push_front(*last);
                }
            }
        }
    }

    /// Everything that is owed arrives in the end, and each record knows its call's outcome.
    pub(super) fn at_end(&mut self) -> Result<(), (u8, String)> {
        for destination in &mut self.destinations {
            while let Some((call, revision)) = destination.next() {
                destination.receive(call, revision)?;
                destination.acknowledged(call);
            }
            for (call, published) in &self.published {
                if destination.got.get(call) != Some(published) {
                    return Err((8, format!("a revision of call {call} never arrived")));
                }
            }
        }
        for (call, record) in &self.records {
            if record.outcome().is_none() {
                return Err((2, format!("the record of call {call} has no outcome")));
            }
        }
        Ok(())
    }
}

impl Destination {
    fn next(&mut self) -> Option<(CallId, Revision)> {
        use std::ops::Bound::{Excluded, Unbounded};
        let after = self.turn.map_or(Unbounded, Excluded);
        let found = self
            .owed
            .range((after, Unbounded))
            .next()
            .or_else(|| self.owed.first_key_value());
        let (call, revision) = found.map(|(call, owed)| (*call, owed.front().copied()))?;
        self.turn = Some(call);
        let Some(revision) = revision else {
            self.owed.remove(&call);
            return self.next();
        };
        Some((call, revision))
    }

    fn has(&self, call: CallId, rev: u64) -> bool {
        let last = self.got.get(&call).and_then(|got| got.last());
        last.is_some_and(|last| last.rev >= rev)
    }

    fn receive(&mut self, call: CallId, revision: Revision) -> Result<(), (u8, String)> {
        let got = self.got.entry(call).or_default();
        let last = got.last().copied();
        let expected = last.map_or(1, |last| last.rev + 1);
        if last == Some(revision) {
            return Ok(());
        }
        if revision.rev == expected {
            got.push(revision);
            return Ok(());
        }
        Err((
            8,
            format!("call {call}: revision {revision:?} came after {last:?}"),
        ))
    }

    fn acknowledged(&mut self, call: CallId) {
        if let Some(owed) = self.owed.get_mut(&call) {
            owed.pop_front();
            if owed.is_empty() {
                self.owed.remove(&call);
            }
        }
    }
}
