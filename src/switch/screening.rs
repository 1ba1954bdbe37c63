//! Marks, repeat callers and bursts beside the calls. **Never a block**: a confirmed verdict chooses another prompt and
//! gives [`Switch::behind`]; everything else here is a label or a hint for people. WS/T 451-2014 7.2.1.1-g and -h.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::commands::{check_text, not_allowed};
use super::hearing::{EDUCATION, GREETING};
use super::party::unknown_call;
use super::timers::TimerKey;
use super::view::{BurstView, CallMark, MarkView, NearView, ScoreView, ScreenView};
use super::{
    Actor, AlarmCode, CommandError, CommandReply, Event, EventKind, Finding, NetworkCell, Outcome,
    Switch,
};
use crate::call::{Call, Ingress};
use crate::geo::{self, LatLon};
use crate::id::{CallBackId, CallId, LegId, MarkId};
use crate::limits::MARKS_MAX;
use crate::phone::{self, Number};
use crate::screen::{
    self, Behaviour, Bursts, Fate, Mark, Memory, Nearby, Neighbour, Proposal, Score, Verdict,
};
use crate::time::Millis;

/// A burst is over when no further call has been one too many for this long.
const BURST_SPAN: Millis = Millis::from_secs(300);
/// How far a caller under a confirmed verdict stands behind others of the same time, at most.
const BEHIND: Millis = Millis::from_secs(10);

/// What screening knows.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Screening {
    marks: BTreeMap<MarkId, Mark>,
    /// The open mark of a number.
    open: BTreeMap<String, MarkId>,
    memory: Memory,
    bursts: Bursts,
    nearby: Nearby,
    /// What stands beside the numbers of open calls.
    labels: BTreeMap<CallId, Label>,
    /// Call-backs of callers who were left unanswered again and again.
    urgent: BTreeSet<CallBackId>,
    /// Grows with each change of the marks.
    revision: u64,
    #[serde(skip)]
    shown: Option<Arc<Vec<MarkView>>>,
}

/// Beside one open call's number, as of its arrival; the neighbour may come later.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Label {
    repeat_calls: u32,
    score: Score,
    near: Option<Neighbour>,
}

/// The marks that `events` tell of: what a new build begins with when it cannot read the old state.
pub fn marks_of<'a>(events: impl IntoIterator<Item = &'a Event>) -> Vec<Mark> {
    let mut marks: BTreeMap<MarkId, Mark> = BTreeMap::new();
    for event in events {
        if let EventKind::HarassmentSuspected { mark } = &event.kind {
            marks.insert(mark.mark, Mark::clone(mark));
        } else if let EventKind::HarassmentConfirmed { mark, by, .. } = &event.kind {
            step(&mut marks, *mark, |verdict| verdict.confirm(by, event.at));
        } else if let EventKind::HarassmentCleared { mark, by, reason } = &event.kind {
            step(&mut marks, *mark, |verdict| match by {
                Some(by) => verdict.lift(by, event.at, reason),
                None => verdict.expire(event.at),
            });
        }
    }
    marks.into_values().collect()
}

/// Takes one step of a verdict; gives how it stands when the step does not fit.
fn step(
    marks: &mut BTreeMap<MarkId, Mark>,
    mark: MarkId,
    change: impl FnOnce(Verdict) -> Result<Verdict, Verdict>,
) -> Option<Result<(), Verdict>> {
    let mark = marks.get_mut(&mark)?;
    Some(change(mark.verdict.clone()).map(|verdict| mark.verdict = verdict))
}

impl Switch {
    /// How far a caller stands behind others of the same time. Bounded: it only decides who is first while no seat is free.
    #[must_use]
    pub fn behind(&self, caller: &Number) -> Millis {
        match self.mark_in_force(caller) {
            Some(_) => BEHIND,
            None => Millis(0),
        }
    }

    fn person<'a>(&self, caller: &'a Number) -> Option<&'a str> {
        screen::person(caller, &self.policy.shared_numbers)
    }

    fn open_mark(&self, caller: &Number) -> Option<&Mark> {
        let number = self.person(caller)?;
        let mark = self.screening.open.get(number)?;
        self.screening.marks.get(mark)
    }

    fn mark_in_force(&self, caller: &Number) -> Option<MarkId> {
        let mark = self.open_mark(caller)?;
        mark.verdict.in_force().then_some(mark.mark)
    }

    /// What a new caller is greeted with: the education prompt under a confirmed verdict.
    pub(super) fn greeting_of(&mut self, call: CallId) -> &'static str {
        let mark = self.calls.get(&call).map(|c| &c.caller);
        let Some(mark) = mark.and_then(|caller| self.mark_in_force(caller)) else {
            return GREETING;
        };
        self.say(call, EventKind::EducationPlayed { mark });
        EDUCATION
    }

    /// A call came in: counted, labelled, never held up.
    pub(super) fn screen_arrival(&mut self, call: CallId) {
        let Some(open) = self.calls.get(&call) else {
            return;
        };
        let Ingress::Trunk(trunk) = open.ingress.clone() else {
            return;
        };
        let bounds = &self.policy.screening;
        let own_area = self.policy.trunks.get(&trunk).map(|t| t.area_code.as_str());
        let area = open.caller.display.split_once('-').map(|(area, _)| area);
        let area = area
            .filter(|area| Some(*area) != own_area)
            .map(|area| format!("area {area}"));
        let (of_trunk, of_area) = (bounds.burst_trunk_calls, bounds.burst_area_calls);
        if let Some(person) = self.person(&open.caller).map(str::to_owned) {
            self.screening.memory.came(&person, call, self.now);
            self.label(call, &person);
        }
        self.count_burst(call, &format!("trunk {trunk}"), of_trunk);
        if let Some(area) = area {
            self.count_burst(call, &area, of_area);
        }
    }

    fn label(&mut self, call: CallId, person: &str) {
        let bounds = &self.policy.screening;
        let window = bounds.repeat_window;
        let enough = bounds.repeat_calls;
        let repeat = self.screening.memory.repeat(person, window, self.now);
        let label = Label {
            repeat_calls: repeat.calls,
            score: self.score_of(person),
            near: None,
        };
        self.screening.labels.insert(call, label);
        if repeat.calls >= enough {
            let (calls, unanswered) = (repeat.calls, repeat.unanswered);
            self.say(call, EventKind::CallerRepeated { calls, unanswered });
        }
    }

    fn count_burst(&mut self, call: CallId, place: &str, enough: u32) {
        let window = self.policy.screening.burst_window;
        let calls = self.screening.bursts.came(place, call, self.now, window);
        if calls < enough {
            return;
        }
        let seconds = window.0 / 1000;
        let detail = format!(
            "{calls} calls within {seconds} s; probably one incident: ask new callers whether they speak of the same, and take those whose place is unknown first"
        );
        let code = AlarmCode::Burst;
        self.raise_alarm(code, place, &detail);
        let subject = place.to_owned();
        self.arm(TimerKey::AlarmEnd { code, subject }, BURST_SPAN);
    }

    /// The caller's first sound.
    pub(super) fn caller_heard(&mut self, call: CallId, leg: LegId) {
        let Some(open) = self.calls.get(&call).filter(|c| c.caller_leg == Some(leg)) else {
            return;
        };
        if let Some(person) = screen::person(&open.caller, &self.policy.shared_numbers)
            && let Some(seen) = self.screening.memory.call_mut(person, call)
        {
            seen.heard = true;
        }
    }

    /// Where a caller is: a cell counts for bursts, a point may lie near another call's.
    pub(super) fn screen_found(&mut self, call: CallId, finding: &Finding) {
        if self.calls.get(&call).is_none_or(Call::is_closing) {
            return;
        }
        match finding {
            Finding::Network(cell) => {
                let enough = self.policy.screening.burst_area_calls;
                self.count_burst(call, &cell_name(cell), enough);
            }
            Finding::Location(location) => {
                let point = location.point.map(|p| geo::to_wgs84(location.datum, p));
                if let Some(point) = point.filter(|p| p.lat.is_finite() && p.lon.is_finite()) {
                    self.screen_point(call, point);
                }
            }
            Finding::Line(_) | Finding::History { .. } | Finding::Failed { .. } => {}
        }
    }

    fn screen_point(&mut self, call: CallId, point: LatLon) {
        let Some(near) = self.screening.nearby.place(call, point, self.now) else {
            return;
        };
        let label = self.screening.labels.entry(call).or_default();
        if label.near.replace(near) != Some(near) {
            let (other, metres) = (near.call, near.metres);
            self.say(call, EventKind::IncidentNear { other, metres });
        }
    }

    /// An ambulance was sent for it: no word of harassment.
    pub(super) fn screen_helped(&mut self, call: CallId) {
        let found = self.screening.memory.find(call);
        let Some(number) = found.map(|(number, _)| number.to_owned()) else {
            return;
        };
        if let Some(seen) = self.screening.memory.call_mut(&number, call) {
            seen.helped = true;
        }
    }

    /// Said before the call's end: how it was, and whether its caller was left unanswered once too often.
    pub(super) fn screen_end(&mut self, call: CallId, outcome: Outcome) {
        self.screening.labels.remove(&call);
        let Some(open) = self.calls.get(&call) else {
            return;
        };
        let Some(person) = self.person(&open.caller) else {
            return;
        };
        let person = person.to_owned();
        let (seat, answered) = (open.last_seat.clone(), open.answered_at);
        let Some(seen) = self.screening.memory.call_mut(&person, call) else {
            return;
        };
        seen.seat = seat;
        seen.fate = match answered {
            Some(at) => Fate::Answered(self.now.millis_since(at)),
            None => Fate::Unanswered,
        };
        match outcome {
            Outcome::Abandoned | Outcome::Lost | Outcome::RefusedCapacity if answered.is_none() => {
                self.tell_unanswered(call, &person);
            }
            Outcome::Answered
            | Outcome::Abandoned
            | Outcome::Lost
            | Outcome::RefusedCapacity
            | Outcome::NotReached => {}
        }
    }

    /// 反复呼入: nobody answered again; the call-back stands before all others.
    fn tell_unanswered(&mut self, call: CallId, person: &str) {
        let bounds = &self.policy.screening;
        let window = bounds.repeat_window;
        let unanswered = self
            .screening
            .memory
            .repeat(person, window, self.now)
            .unanswered;
        if unanswered < bounds.repeat_calls {
            return;
        }
        let entry = self.call_backs.iter().find(|(_, entry)| entry.call == call);
        let call_back = entry.map(|(id, _)| *id);
        let listed = &self.call_backs;
        self.screening.urgent.retain(|id| listed.contains_key(id));
        self.screening.urgent.extend(call_back);
        self.say(
            call,
            EventKind::RepeatUnanswered {
                unanswered,
                call_back,
            },
        );
    }

    pub(super) fn is_urgent(&self, call_back: CallBackId) -> bool {
        self.screening.urgent.contains(&call_back)
    }

    fn score_of(&self, number: &str) -> Score {
        let window = self.policy.screening.repeat_window;
        let mut behaviour: Behaviour = self.screening.memory.behaviour(number, window);
        for mark in self.screening.marks.values().filter(|m| m.number == number) {
            match &mark.verdict {
                Verdict::Expired {
                    confirmed: Some(_), ..
                } => behaviour.verdicts += 1,
                Verdict::Lifted { .. } => behaviour.lifted += 1,
                Verdict::Proposed | Verdict::Confirmed(_) | Verdict::Expired { .. } => {}
            }
        }
        Score::of(&behaviour)
    }

    /// `ProposeVerdict`: a label from now on, no effect.
    pub(super) fn propose_verdict(
        &mut self,
        by: &Actor,
        call: CallId,
        reason: &str,
    ) -> Result<CommandReply, CommandError> {
        let number = self.number_to_mark(by, call)?;
        check_text("reason", reason)?;
        if let Some(open) = self.screening.open.get(&number) {
            let hint = "a number has one mark; confirm or lift that one";
            return Err(self.wrong_mark_state(*open, hint));
        }
        self.room_for_mark()?;
        let id = MarkId(self.ids.next_uuid(self.now));
        let mark = Mark {
            mark: id,
            display: phone::parse(&number, &self.policy.centre.area_code, false).display,
            proposal: Proposal {
                call,
                by: by.to_string(),
                at: self.now,
                reason: reason.to_owned(),
                evidence: self.screening.memory.calls(&number),
                score: self.score_of(&number),
            },
            verdict: Verdict::Proposed,
            number,
        };
        self.given(by, self.known(call), "propose_verdict");
        let kind = EventKind::HarassmentSuspected {
            mark: Box::new(mark.clone()),
        };
        self.say_of_mark(call, kind);
        self.keep_mark(mark);
        Ok(CommandReply::Mark { mark: id })
    }

    /// The number of a call that `by` may mark.
    fn number_to_mark(&self, by: &Actor, call: CallId) -> Result<String, CommandError> {
        self.check_person(by)?;
        let nobody = || CommandError::BadField {
            field: String::from("call"),
            reason: String::from(
                "the network gave no full number of one person (withheld, shared or unknown); there is nothing to mark",
            ),
        };
        if let Some(open) = self.calls.get(&call) {
            self.check_handles(by, call)?;
            let person = self.person(&open.caller);
            return person.map(str::to_owned).ok_or_else(nobody);
        }
        let Some((number, seen)) = self.screening.memory.find(call) else {
            let known = self.past.contains_key(&call);
            return Err(if known { nobody() } else { unknown_call(call) });
        };
        if let Actor::Seat(seat) = by
            && seen.seat.as_ref() != Some(seat)
        {
            return Err(not_allowed(by, "the call was not this seat's"));
        }
        Ok(number.to_owned())
    }

    /// `ConfirmVerdict`: a supervisor's word; from now on it has its effect.
    pub(super) fn confirm_verdict(
        &mut self,
        by: &Actor,
        mark: MarkId,
    ) -> Result<CommandReply, CommandError> {
        check_supervisor(by)?;
        let who = by.to_string();
        let now = self.now;
        self.mark_step(mark, "only a proposed mark can be confirmed", |verdict| {
            verdict.confirm(&who, now)
        })?;
        let kept = self.screening.marks.get(&mark);
        if let Some((call, until)) = kept.and_then(|m| Some((m.proposal.call, m.until()?))) {
            self.given(by, self.known(call), "confirm_verdict");
            let kind = EventKind::HarassmentConfirmed {
                mark,
                by: by.to_string(),
                until,
            };
            self.say_of_mark(call, kind);
            self.arm_mark(mark);
        }
        Ok(CommandReply::Done)
    }

    /// `LiftVerdict`: one key; at once without effect.
    pub(super) fn lift_verdict(
        &mut self,
        by: &Actor,
        mark: MarkId,
        reason: &str,
    ) -> Result<CommandReply, CommandError> {
        check_supervisor(by)?;
        if !reason.is_empty() {
            check_text("reason", reason)?;
        }
        let who = by.to_string();
        let now = self.now;
        self.mark_step(mark, "it has ended already", |verdict| {
            verdict.lift(&who, now, reason)
        })?;
        if let Some(call) = self.mark_over(mark) {
            self.given(by, self.known(call), "lift_verdict");
            let (by, reason) = (Some(by.to_string()), reason.to_owned());
            self.say_of_mark(call, EventKind::HarassmentCleared { mark, by, reason });
        }
        Ok(CommandReply::Done)
    }

    /// The time of a proposal or a verdict is over.
    pub(super) fn verdict_ends(&mut self, mark: MarkId) {
        let now = self.now;
        let ended = step(&mut self.screening.marks, mark, |verdict| {
            verdict.expire(now)
        });
        if !matches!(ended, Some(Ok(()))) {
            return self.misfit("flaw.timer_verdict_ended");
        }
        if let Some(call) = self.mark_over(mark) {
            let (by, reason) = (None, String::from("expired"));
            self.say_of_mark(call, EventKind::HarassmentCleared { mark, by, reason });
        }
    }

    fn mark_step(
        &mut self,
        mark: MarkId,
        hint: &str,
        change: impl FnOnce(Verdict) -> Result<Verdict, Verdict>,
    ) -> Result<(), CommandError> {
        match step(&mut self.screening.marks, mark, change) {
            None => Err(CommandError::Unknown {
                what: String::from("mark"),
                id: mark.to_string(),
            }),
            Some(Err(_)) => Err(self.wrong_mark_state(mark, hint)),
            Some(Ok(())) => {
                self.marks_changed();
                Ok(())
            }
        }
    }

    fn wrong_mark_state(&self, mark: MarkId, hint: &str) -> CommandError {
        let state = self.screening.marks.get(&mark);
        CommandError::WrongState {
            what: format!("mark {mark}"),
            state: state.map_or("gone", |m| m.verdict.name()).to_owned(),
            hint: hint.to_owned(),
        }
    }

    /// A mark has ended; gives the call that it began with.
    fn mark_over(&mut self, mark: MarkId) -> Option<CallId> {
        self.timers.disarm(&TimerKey::VerdictEnd(mark));
        let ended = self.screening.marks.get(&mark)?;
        self.screening.open.remove(&ended.number);
        let call = ended.proposal.call;
        self.marks_changed();
        Some(call)
    }

    fn keep_mark(&mut self, mark: Mark) {
        let id = mark.mark;
        if mark.verdict.is_open() {
            self.screening.open.insert(mark.number.clone(), id);
        }
        self.screening.marks.insert(id, mark);
        self.arm_mark(id);
        self.marks_changed();
    }

    /// Ended marks give way, then the oldest proposals. A verdict in force never does.
    fn room_for_mark(&mut self) -> Result<(), CommandError> {
        while self.screening.marks.len() >= MARKS_MAX {
            let marks = &self.screening.marks;
            let ended = marks.values().find(|m| !m.verdict.is_open());
            let oldest = ended.or_else(|| marks.values().find(|m| !m.verdict.in_force()));
            let Some(gone) = oldest.map(|m| (m.mark, m.verdict.is_open())) else {
                return Err(CommandError::WrongState {
                    what: String::from("the list of marks"),
                    state: format!("full with {MARKS_MAX} confirmed verdicts"),
                    hint: String::from("lift some first"),
                });
            };
            if gone.1 {
                self.verdict_ends(gone.0);
            }
            self.screening.marks.remove(&gone.0);
        }
        Ok(())
    }

    fn marks_changed(&mut self) {
        self.screening.revision += 1;
        self.screening.shown = Some(Arc::new(self.marks_view()));
    }

    fn arm_mark(&mut self, mark: MarkId) {
        let until = self.screening.marks.get(&mark).and_then(Mark::until);
        if let Some(until) = until {
            let at = until.max(self.now + Millis(1));
            self.timers.arm(TimerKey::VerdictEnd(mark), at);
        }
    }

    /// After a start: verdicts outlive a process.
    pub(super) fn rearm_marks(&mut self) {
        let marks: Vec<_> = self.screening.marks.keys().copied().collect();
        for mark in marks {
            self.arm_mark(mark);
        }
    }

    /// Marks that only the journal's Events knew.
    pub(super) fn remember_marks(&mut self, marks: &[Mark]) {
        for mark in marks.iter().take(MARKS_MAX) {
            if !self.screening.marks.contains_key(&mark.mark) {
                self.keep_mark(mark.clone());
            }
        }
    }

    pub(super) fn known(&self, call: CallId) -> Option<CallId> {
        (self.calls.contains_key(&call) || self.past.contains_key(&call)).then_some(call)
    }

    fn say_of_mark(&mut self, call: CallId, kind: EventKind) {
        match self.known(call) {
            Some(call) => self.say(call, kind),
            None => self.note(kind),
        }
    }

    /// Every mark, the newest first, and how often they have changed.
    pub(super) fn marks_shown(&self) -> (Arc<Vec<MarkView>>, u64) {
        let shown = self.screening.shown.clone();
        let marks = shown.unwrap_or_else(|| Arc::new(self.marks_view()));
        (marks, self.screening.revision)
    }

    fn marks_view(&self) -> Vec<MarkView> {
        let mut marks: Vec<_> = self.screening.marks.values().map(mark_view).collect();
        marks.sort_by_key(|m| (std::cmp::Reverse(m.proposed_at), m.mark));
        marks
    }

    /// What people see beside a call's number.
    pub(super) fn screen_view(&self, call: &Call) -> ScreenView {
        let mark = self.open_mark(&call.caller).map(|mark| CallMark {
            mark: mark.mark,
            state: mark.verdict.name().to_owned(),
            reason: mark.proposal.reason.clone(),
            until: mark.until(),
        });
        let markable = self.person(&call.caller).is_some();
        let Some(label) = self.screening.labels.get(&call.id) else {
            return ScreenView {
                markable,
                mark,
                ..ScreenView::default()
            };
        };
        ScreenView {
            repeated: label.repeat_calls >= self.policy.screening.repeat_calls,
            repeat_calls: label.repeat_calls,
            markable,
            mark,
            score: (label.score.points > 0).then(|| score_view(&label.score)),
            near: label.near.map(|near| NearView {
                call: near.call,
                metres: near.metres,
            }),
        }
    }

    /// Standing bursts: who of them still waits, those whose place is unknown first.
    pub(super) fn bursts_view(&self) -> Vec<BurstView> {
        let placed = self.screening.nearby.placed();
        let standing = self.alarms.iter().filter(|a| a.code == AlarmCode::Burst);
        standing
            .map(|alarm| {
                let waits = |call: &CallId| {
                    self.calls
                        .get(call)
                        .is_some_and(|c| c.unanswered().is_some())
                };
                let mut calls: Vec<_> = self
                    .screening
                    .bursts
                    .calls(&alarm.subject)
                    .filter(waits)
                    .collect();
                calls.sort_by_key(|call| placed.contains(call));
                BurstView {
                    place: alarm.subject.clone(),
                    since: alarm.since,
                    calls,
                }
            })
            .collect()
    }
}

fn check_supervisor(by: &Actor) -> Result<(), CommandError> {
    match by {
        Actor::Supervisor(_) | Actor::User(_) => Ok(()),
        Actor::Seat(_) | Actor::Module(_) | Actor::Engine => Err(not_allowed(
            by,
            "a seat proposes; only a supervisor confirms or lifts",
        )),
    }
}

fn cell_name(cell: &NetworkCell) -> String {
    format!(
        "cell {}-{}-{}-{}",
        cell.mcc, cell.mnc, cell.tac, cell.cell_id
    )
}

fn score_view(score: &Score) -> ScoreView {
    ScoreView {
        points: score.points,
        proposes: score.proposes(),
        zh: score.reasons.iter().map(|r| r.zh()).collect(),
        en: score.reasons.iter().map(|r| r.en()).collect(),
    }
}

fn mark_view(mark: &Mark) -> MarkView {
    let confirmation = mark.verdict.confirmation();
    let (ended_at, ended_by, ended_why) = match &mark.verdict {
        Verdict::Proposed | Verdict::Confirmed(_) => (None, None, None),
        Verdict::Lifted { by, at, reason, .. } => {
            (Some(*at), Some(by.clone()), Some(reason.clone()))
        }
        Verdict::Expired { at, .. } => (Some(*at), None, None),
    };
    MarkView {
        mark: mark.mark,
        number: mark.display.clone(),
        e164: mark.number.clone(),
        state: mark.verdict.name().to_owned(),
        reason: mark.proposal.reason.clone(),
        call: mark.proposal.call,
        evidence: mark.proposal.evidence.clone(),
        score: score_view(&mark.proposal.score),
        proposed_by: mark.proposal.by.clone(),
        proposed_at: mark.proposal.at,
        confirmed_by: confirmation.map(|c| c.by.clone()),
        confirmed_at: confirmation.map(|c| c.at),
        review_at: mark.review_at(),
        until: mark.until(),
        ended_at,
        ended_by,
        ended_why,
    }
}
