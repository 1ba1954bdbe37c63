//! Checks of group calls: each number ends with one result, told once, and no leg of it stays. Invariants 2 and 9.

use std::collections::BTreeMap;

use super::check::{Checker, Verdict};
use crate::call::{GroupResult, LegCommand, LegEvent, Target};
use crate::id::{GroupCallId, LegId};
use crate::switch::{Effect, Event, EventKind, Input, InputKind, View};
use crate::time::{Millis, Timestamp};

/// Rings so long at most.
const RING: Millis = Millis::from_secs(30);
/// Picked up, it is asked and told no longer than this, whatever media reports.
const ON_THE_LINE: Millis = Millis::from_secs(150);
/// With its result it hears a sentence, no more.
const TOLD: Millis = Millis::from_secs(8);
/// Ten minutes to be rung, then what is on the line comes to its end.
const LASTS: Millis = Millis::from_secs(900);

/// Numbers that only group calls ring.
pub(super) fn is_target(number: &str) -> bool {
    number.starts_with("1371")
}

/// A number of a group call, as Events tell.
#[derive(Clone, Debug)]
struct Wanted {
    group_call: GroupCallId,
    since: Timestamp,
    result: Option<(GroupResult, Timestamp)>,
}

/// A leg to one, as Effects and Inputs tell.
#[derive(Clone, Debug)]
struct Rung {
    number: String,
    at: Timestamp,
    up: Option<Timestamp>,
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Groups {
    /// When the process began.
    started_at: Timestamp,
    targets: BTreeMap<String, Wanted>,
    legs: BTreeMap<LegId, Rung>,
}

impl Groups {
    pub(super) fn is_empty(&self) -> bool {
        self.legs.is_empty() && self.targets.values().all(|t| t.result.is_some())
    }

    /// Before the switch has seen it.
    pub(super) fn before(&mut self, now: Timestamp, input: &Input) {
        if let InputKind::Started { .. } = &input.kind {
            self.legs.clear();
            for target in self.targets.values_mut() {
                target.since = target.since.min(now);
            }
        }
        let InputKind::Leg { leg, event } = &input.kind else {
            return;
        };
        match event {
            LegEvent::Answered => {
                if let Some(rung) = self.legs.get_mut(leg) {
                    rung.up.get_or_insert(now);
                }
            }
            LegEvent::Failed { .. } | LegEvent::Ended { .. } => {
                self.legs.remove(leg);
            }
            LegEvent::Progress { .. }
            | LegEvent::Confirmed
            | LegEvent::FarHold { .. }
            | LegEvent::Digit { .. }
            | LegEvent::Dialog { .. } => {}
        }
    }

    fn result(&mut self, number: &str, result: GroupResult, at: Timestamp) -> Verdict {
        let Some(target) = self.targets.get_mut(number) else {
            return Err((2, format!("{number} of no group call is {result:?}")));
        };
        if let Some((before, _)) = target.result {
            return Err((2, format!("{number} was {before:?} and is {result:?}")));
        }
        target.result = Some((result, at));
        Ok(())
    }

    pub(super) fn take(&mut self, event: &Event) -> Verdict {
        if let EventKind::EngineStarted { .. } = &event.kind {
            self.started_at = event.at;
        } else if let EventKind::GroupCallStarted {
            group_call, wish, ..
        } = &event.kind
        {
            for number in &wish.numbers {
                let target = Wanted {
                    group_call: *group_call,
                    since: event.at,
                    result: None,
                };
                self.targets.insert(number.clone(), target);
            }
        } else if let EventKind::GroupAcknowledged { number, leg, .. } = &event.kind {
            let up = self.legs.get(leg).is_some_and(|rung| rung.up.is_some());
            if !up {
                return Err((2, format!("{number} acknowledged without having answered")));
            }
            self.result(number, GroupResult::Acknowledged, event.at)?;
        } else if let EventKind::GroupFailed { number, why, .. } = &event.kind {
            self.result(number, *why, event.at)?;
        } else if let EventKind::GroupCallEnded {
            group_call,
            targets,
            ..
        } = &event.kind
        {
            for target in targets {
                let told = self.targets.get(&target.number);
                let told = told.filter(|t| t.group_call == *group_call);
                if told.is_some_and(|t| t.result.map(|(result, _)| result) != target.result) {
                    return Err((2, format!("{target:?} was told as {told:?}")));
                }
            }
        }
        Ok(())
    }

    /// True: the leg is one of a group call.
    pub(super) fn takes(
        &mut self,
        now: Timestamp,
        leg: LegId,
        command: &LegCommand,
    ) -> Result<bool, (u8, String)> {
        match command {
            LegCommand::Invite(invite) => {
                let Target::Number { number, .. } = &invite.target else {
                    return Ok(false);
                };
                if !is_target(number) {
                    return Ok(false);
                }
                let over = self.targets.get(number).is_none_or(|t| t.result.is_some());
                if over || self.legs.values().any(|rung| rung.number == *number) {
                    return Err((9, format!("{number} is rung twice or after its end")));
                }
                let (number, at, up) = (number.clone(), now, None);
                self.legs.insert(leg, Rung { number, at, up });
                Ok(true)
            }
            LegCommand::Release { .. } => Ok(self.legs.remove(&leg).is_some()),
            LegCommand::EarlyMedia
            | LegCommand::Answer
            | LegCommand::Probe
            | LegCommand::ReleaseOrphan { .. } => Ok(false),
        }
    }

    /// After a step.
    pub(super) fn check(&self, now: Timestamp, view: &View) -> Verdict {
        for (leg, rung) in &self.legs {
            let result = self.targets.get(&rung.number).and_then(|t| t.result);
            let until = match (result, rung.up) {
                (Some((_, at)), Some(_)) => at + TOLD,
                (Some((_, at)), None) => at,
                (None, Some(up)) => up + ON_THE_LINE,
                (None, None) => rung.at + RING,
            };
            if now > until {
                return Err((9, format!("leg {leg} to {rung:?} stays, {result:?}")));
            }
        }
        for (number, target) in &self.targets {
            // What became due while the process was down is told right after its start.
            let due = (target.since + LASTS).max(self.started_at);
            if target.result.is_none() && now > due {
                return Err((2, format!("{number} hangs: {target:?}")));
            }
        }
        for table in &view.group_calls {
            for shown in &table.targets {
                let told = self.targets.get(&shown.number);
                let told = told.filter(|t| t.group_call == table.group_call);
                if told.is_some_and(|t| t.result.map(|(result, _)| result) != shown.result) {
                    return Err((2, format!("{shown:?} was told as {told:?}")));
                }
            }
        }
        Ok(())
    }
}

impl Checker {
    /// Legs of group calls are in no call.
    pub(super) fn take_group_leg(&mut self, effect: &Effect) -> Result<bool, (u8, String)> {
        let Effect::Leg { leg, command } = effect else {
            return Ok(false);
        };
        let now = self.now;
        let own = self.groups.takes(now, *leg, command)?;
        if let (true, LegCommand::Invite(invite)) = (own, command)
            && self.legs_seen.insert(*leg, invite.call).is_some()
        {
            return Err((9, format!("leg {leg} was used before")));
        }
        Ok(own)
    }
}
