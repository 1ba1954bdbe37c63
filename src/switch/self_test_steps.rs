//! The steps of one self-test: what was reached when, what is waited for and how long, and what a step that does not come
//! means. Looked at after each Input, so that no event of a leg, a recorder or a module has to know of tests.

use serde::{Deserialize, Serialize};

use super::self_test::HOLD;
use super::timers::TimerKey;
use super::{Actor, EventKind, MediaCommand, RecordingEvent, SealedRecording, Sound, Switch};
use crate::call::{Arrival, CallType, Cause, Ingress, LegState, Phase, Talking};
use crate::id::{CallId, DestinationId, LegId, SeatId, TrunkId};
use crate::time::{Millis, Timestamp};

/// What is recorded of each side lasts at least so long: half of the digits.
const SOUND_MS_MIN: u64 = 400;
/// A number that is answered and does not come in within this is not ours.
const COMES_AFTER_ANSWER: Millis = Millis::from_secs(2);

/// A step of a self-test, in the order in which they are waited for.
#[derive(
    Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum SelfTestStep {
    /// The carrier took the call.
    Dialled,
    /// It came back in.
    Arrived,
    /// Our answer reached its other end.
    Answered,
    /// The tones of its other end were heard where it came in; the robot seat has it.
    HeardIn,
    /// The robot's tones were heard where it went out.
    HeardOut,
    /// The hang-up came back too.
    HungUp,
    /// Both recordings are sealed and have sound of both ends.
    Recorded,
    /// Each module acknowledged the call's record.
    Delivered,
}

/// A step that was reached, in ms since the test began.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct StepTime {
    pub step: SelfTestStep,
    pub ms: u32,
}

impl SelfTestStep {
    /// In the order in which they are waited for.
    pub const ALL: [Self; 8] = [
        Self::Dialled,
        Self::Arrived,
        Self::Answered,
        Self::HeardIn,
        Self::HeardOut,
        Self::HungUp,
        Self::Recorded,
        Self::Delivered,
    ];

    /// How long it is waited for; together less than a minute.
    const fn patience(self) -> Millis {
        match self {
            Self::Arrived | Self::Recorded => Millis::from_secs(10),
            Self::Answered | Self::Delivered => Millis::from_secs(8),
            Self::HeardIn | Self::HeardOut => Millis::from_secs(6),
            Self::Dialled | Self::HungUp => Millis::from_secs(5),
        }
    }

    /// A call that comes in shows that what failed here works again.
    pub(super) const fn is_proven_by_a_call(self) -> bool {
        match self {
            Self::Dialled | Self::Arrived | Self::Answered | Self::HungUp => true,
            Self::HeardIn | Self::HeardOut | Self::Recorded | Self::Delivered => false,
        }
    }

    /// What its absence means, when nothing more is known.
    const fn cause(self) -> &'static str {
        match self {
            Self::Dialled => "the carrier says nothing to our INVITE",
            Self::Arrived => "the call went out and did not come in",
            Self::Answered => {
                "it came in and was answered here, and the answer did not reach its other end"
            }
            Self::HeardIn => "the tones that its other end sends are not heard where it came in",
            Self::HeardOut => "the tones that we send into it are not heard at its other end",
            Self::HungUp => "its other end hung up, and the hang-up did not come in",
            Self::Recorded => "its recordings were not completed",
            Self::Delivered => "its record was not acknowledged by every module",
        }
    }

    /// What a person does about it.
    const fn advice(self) -> &'static str {
        match self {
            Self::Dialled => {
                "ask the carrier whether the trunk is up; check the address, the credentials and the firewall"
            }
            Self::Arrived => {
                "callers may hear \"no answer\" now: call the number from a mobile phone at once; if that fails too, have the carrier route it to the spare trunk"
            }
            Self::Answered => {
                "check that SIP answers pass the firewall and the address in our Contact"
            }
            Self::HeardIn => {
                "callers may not be heard: check that RTP reaches our media ports from this carrier"
            }
            Self::HeardOut => {
                "callers may hear nothing: check that our RTP leaves, and the media address that we advertise"
            }
            Self::HungUp => "ended calls may hold circuits: check that BYE passes the firewall",
            Self::Recorded => "check the disk of the recordings and the alarm recording.failed",
            Self::Delivered => "look at the module and at GET /api/v1/deliveries",
        }
    }

    /// The alarm's words.
    pub(super) fn alarm(self, via: &TrunkId, cause: &str, elsewhere: bool) -> String {
        let name = self.name();
        let advice = if elsewhere {
            "is self_test of the trunk a number of this centre? No test is made by itself until it is changed, a person starts one, or somebody calls"
        } else {
            self.advice()
        };
        format!("self-test over {via} failed at step {name}: {cause}; {advice}")
    }

    /// The public name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Dialled => "dialled",
            Self::Arrived => "arrived",
            Self::Answered => "answered",
            Self::HeardIn => "heard_in",
            Self::HeardOut => "heard_out",
            Self::HungUp => "hung_up",
            Self::Recorded => "recorded",
            Self::Delivered => "delivered",
        }
    }
}

/// A call that came in and may be ours.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Came {
    pub(super) call: CallId,
    pub(super) leg: LegId,
    pub(super) at: Timestamp,
    pub(super) trunk: TrunkId,
}

/// Digits that one end waits for, and the last ones it heard by either path: a carrier may turn a tone into an event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Heard {
    pub(super) awaited: String,
    tones: String,
    events: String,
}

impl Heard {
    pub(super) const fn waiting_for(awaited: String) -> Self {
        Self {
            awaited,
            tones: String::new(),
            events: String::new(),
        }
    }

    /// True when that was the last of them.
    fn hears(&mut self, digit: char, as_tone: bool) -> bool {
        let heard = if as_tone {
            &mut self.tones
        } else {
            &mut self.events
        };
        if heard.len() >= self.awaited.len() {
            heard.remove(0);
        }
        if digit.is_ascii() {
            heard.push(digit);
        }
        *heard == self.awaited
    }
}

impl Switch {
    pub(super) fn self_test_plan(&self) -> Vec<SelfTestStep> {
        let (recording, rules) = (self.policy.recording, &self.policy.self_tests);
        let applies = |step: &SelfTestStep| match step {
            SelfTestStep::Recorded => recording,
            SelfTestStep::Delivered => !rules.destinations.is_empty(),
            SelfTestStep::Dialled
            | SelfTestStep::Arrived
            | SelfTestStep::Answered
            | SelfTestStep::HeardIn
            | SelfTestStep::HeardOut
            | SelfTestStep::HungUp => true,
        };
        SelfTestStep::ALL.into_iter().filter(applies).collect()
    }

    pub(super) fn arm_self_test_step(&mut self) {
        let Some(running) = &self.self_tests.running else {
            return;
        };
        let Some(step) = running.awaits() else {
            return;
        };
        let answered = running.reached.contains_key(&SelfTestStep::Answered);
        let patience = match step {
            SelfTestStep::Arrived if answered => COMES_AFTER_ANSWER,
            SelfTestStep::Dialled
            | SelfTestStep::Arrived
            | SelfTestStep::Answered
            | SelfTestStep::HeardIn
            | SelfTestStep::HeardOut
            | SelfTestStep::HungUp
            | SelfTestStep::Recorded
            | SelfTestStep::Delivered => step.patience(),
        };
        self.arm(TimerKey::SelfTestStep, patience);
    }

    fn self_test_reached(&mut self, step: SelfTestStep) {
        let now = self.now;
        let Some(running) = &mut self.self_tests.running else {
            return;
        };
        let ms = u32::try_from(now.millis_since(running.began)).unwrap_or(u32::MAX);
        if running.reached.contains_key(&step) || !running.plan.contains(&step) {
            return;
        }
        let before = running.awaits();
        running.reached.insert(step, ms);
        let moves_on = running.awaits() != before;
        if moves_on || step == SelfTestStep::Answered {
            self.arm_self_test_step();
        }
    }

    /// What is awaited has not come in its time.
    pub(super) fn self_test_overdue(&mut self) {
        self.settle_self_test();
        let awaited = self.self_tests.running.as_ref().map(|r| r.awaits());
        let Some(Some(step)) = awaited else {
            return;
        };
        let answered = self
            .self_tests
            .running
            .as_ref()
            .is_some_and(|r| r.reached.contains_key(&SelfTestStep::Answered));
        let cause = if step == SelfTestStep::Arrived && answered {
            "the number was answered, and not by us"
        } else {
            step.cause()
        };
        self.self_test_failed(step, cause);
    }

    /// After each Input: what of the test under way is true now.
    pub(super) fn settle_self_test(&mut self) {
        let Some(running) = &self.self_tests.running else {
            return;
        };
        let (call, leg) = (running.call, running.leg);
        let open = self.calls.get(&call).filter(|c| !c.is_closing());
        let state = open.and_then(|c| c.legs.get(&leg)).map(|l| l.state);
        let silent = self.timers.is_armed(&TimerKey::TrunkSilence(leg));
        match state {
            Some(LegState::Inviting) if silent => {}
            Some(LegState::Inviting | LegState::Ringing { .. }) => {
                self.self_test_reached(SelfTestStep::Dialled);
            }
            Some(LegState::Up { .. }) => self.self_test_is_up(call, leg),
            // Of calls that came in.
            Some(LegState::Arrived | LegState::EarlyMedia | LegState::Answering) => {
                self.misfit("flaw.self_test_leg_inbound");
            }
            None => return self.self_test_leg_over(call),
        }
        self.settle_self_test_end();
    }

    /// The far end is there: it is told the digits until it has told its own.
    fn self_test_is_up(&mut self, call: CallId, leg: LegId) {
        let up = |r: &&mut Box<super::self_test::Running>| {
            !r.reached.contains_key(&SelfTestStep::Answered)
        };
        let Some(running) = self.self_tests.running.as_mut().filter(up) else {
            return;
        };
        let digits = running.forth.awaited.clone();
        self.self_test_reached(SelfTestStep::Dialled);
        self.self_test_reached(SelfTestStep::Answered);
        self.command_media(call, MediaCommand::Hear { leg });
        self.play_to(call, leg, vec![Sound::Keys(digits)], true);
    }

    /// The leg that went out is gone: by our hang-up, or too soon.
    fn self_test_leg_over(&mut self, call: CallId) {
        let Some(step) = self.self_tests.running.as_ref().map(|r| r.awaits()) else {
            return;
        };
        let Some(step) = step.filter(|step| *step < SelfTestStep::HungUp) else {
            return self.settle_self_test_end();
        };
        let failed = self.calls.get(&call).and_then(|c| c.outbound.as_ref());
        let cause = match failed.and_then(|made| made.failed) {
            Some(cause) => format!(
                "the carrier refused the call or gave it up ({})",
                super::party::failure(cause)
            ),
            None => String::from("its other end hung up before the test was over"),
        };
        self.self_test_failed(step, &cause);
    }

    /// The steps after the talk, in whichever order they come.
    fn settle_self_test_end(&mut self) {
        let Some(running) = &self.self_tests.running else {
            return;
        };
        let came = running.came.as_ref().filter(|_| running.known);
        let Some(came) = came.map(|came| came.call) else {
            return;
        };
        let talked = running.reached.contains_key(&SelfTestStep::HeardOut);
        let recorded = running.sealed.contains(&came) && running.sealed.contains(&running.call);
        let wanted = &self.policy.self_tests.destinations;
        let delivered = wanted.iter().all(|d| running.acknowledged.contains(d));
        let closing = self.calls.get(&came).is_none_or(|c| c.is_closing());
        if closing && !talked {
            let step = running.awaits().unwrap_or(SelfTestStep::HeardOut);
            return self.self_test_failed(step, "the call was ended before the test was over");
        }
        if closing {
            self.self_test_reached(SelfTestStep::HungUp);
        }
        if recorded {
            self.self_test_reached(SelfTestStep::Recorded);
        }
        if delivered {
            self.self_test_reached(SelfTestStep::Delivered);
        }
        let running = self.self_tests.running.as_ref();
        if running.is_some_and(|r| r.awaits().is_none()) {
            self.self_test_passed();
        }
    }

    /// Whether what comes in may be the test under way: the first call that shows the number which the test shows.
    pub(super) fn may_be_our_test(&self, arrival: &Arrival) -> bool {
        let Some(running) = self
            .self_tests
            .running
            .as_ref()
            .filter(|r| r.came.is_none())
        else {
            return false;
        };
        let Ingress::Trunk(trunk) = &arrival.ingress else {
            return false;
        };
        let waits = running.awaits().is_some_and(|s| s <= SelfTestStep::Arrived);
        waits && self.shows_number_of(arrival, trunk, &running.via)
    }

    /// Whether a call that came in on `trunk` shows the number that calls of ours over `via` show.
    fn shows_number_of(&self, arrival: &Arrival, trunk: &TrunkId, via: &TrunkId) -> bool {
        let shown = self.policy.trunks.get(via);
        let area = self.policy.trunks.get(trunk).map(|t| t.area_code.as_str());
        let (Some(shown), Some(area)) = (shown, area) else {
            return false;
        };
        let same = arrival.caller == shown.shown_number || {
            let ours = crate::phone::parse(&shown.shown_number, &shown.area_code, false);
            let theirs = crate::phone::parse(&arrival.caller, area, false);
            ours.e164.is_some() && ours.e164 == theirs.e164
        };
        same && !arrival.anonymous
    }

    /// A call came in: its trunk is not quiet. One that shows a number of ours may be a test that comes too late, and
    /// proves nothing.
    pub(super) fn called_on(&mut self, arrival: &Arrival) {
        if self.self_tests.is_empty() {
            return;
        }
        let Ingress::Trunk(trunk) = &arrival.ingress else {
            return;
        };
        let ours = self
            .outbound_trunks()
            .iter()
            .any(|via| self.shows_number_of(arrival, trunk, via));
        if !ours {
            self.trunk_was_called_on(trunk);
        }
    }

    /// It is answered and listened to; no seat is rung for it during [`HOLD`].
    pub(super) fn perhaps_our_test(&mut self, arrival: &Arrival) {
        let Ingress::Trunk(trunk) = arrival.ingress.clone() else {
            return;
        };
        let (call, leg, now) = (arrival.call, arrival.leg, self.now);
        if let Some(running) = &mut self.self_tests.running {
            running.came = Some(Came {
                call,
                leg,
                at: now,
                trunk: trunk.clone(),
            });
        }
        self.say(
            call,
            EventKind::SelfTestSuspected {
                trunk,
                until: now + HOLD,
            },
        );
        self.command_media(call, MediaCommand::Hear { leg });
        self.self_test_reached(SelfTestStep::Dialled);
        self.self_test_reached(SelfTestStep::Arrived);
        self.arm(TimerKey::SelfTestHold, HOLD);
    }

    /// No seat is rung for it yet.
    pub(super) fn is_held_for_test(&self, call: CallId) -> bool {
        let running = self.self_tests.running.as_ref();
        let came = running.and_then(|r| r.came.as_ref().filter(|_| !r.known));
        came.is_some_and(|came| came.call == call && self.now < came.at + HOLD)
    }

    /// A key in the sound or the events of a leg.
    pub(super) fn self_test_hears(&mut self, leg: LegId, digit: char, as_tone: bool) {
        let Some(running) = &mut self.self_tests.running else {
            return;
        };
        if running.leg == leg {
            let all = running.back.hears(digit, as_tone);
            if all && running.known {
                self.self_test_heard_out();
            }
            return;
        }
        let Some(came) = running.came.clone().filter(|came| came.leg == leg) else {
            return;
        };
        if running.forth.hears(digit, as_tone) && !std::mem::replace(&mut running.known, true) {
            self.robot_answers(came.call, leg);
        }
    }

    /// The call is ours: its tones say so. The robot seat answers instead of any person.
    fn robot_answers(&mut self, call: CallId, leg: LegId) {
        if self.calls.get(&call).and_then(|c| c.unanswered()).is_none() {
            // He hears the carrier hang up.
            self.mark_as_test(call);
            if let Some(running) = &mut self.self_tests.running {
                running.known = false;
            }
            let cause = "a person had answered it before its tones were heard";
            return self.self_test_failed(SelfTestStep::HeardIn, cause);
        }
        let offers = self.calls.get(&call).and_then(|c| c.unanswered());
        for offer in offers.map_or_else(Vec::new, |u| u.offers.clone()) {
            self.free_offered_seat(call, offer.leg, &offer.seat, Cause::Withdrawn);
            self.clear_offer(call, offer.leg);
        }
        self.release_losers(call);
        self.disarm_waiting(call);
        self.answer_caller(call);
        self.stop_caller(call);
        self.leave_queue(call, "self_test");
        self.caller_served(call);
        self.mark_as_test(call);
        self.totals.arrived = self.totals.arrived.saturating_sub(1);
        let now = self.now;
        if let Some(open) = self.call_mut(call) {
            open.phase = Phase::Talking(Talking::without_seat());
            open.answered_at.get_or_insert(now);
            open.wait_exceeded = false;
        }
        self.timers.disarm(&TimerKey::SelfTestHold);
        self.say(
            call,
            EventKind::SelfTestRecognised {
                seat: SeatId::from(super::ROBOT),
            },
        );
        self.refresh_matrix(call);
        self.self_test_reached(SelfTestStep::HeardIn);
        let back = self
            .self_tests
            .running
            .as_ref()
            .map(|r| r.back.awaited.clone());
        if let Some(digits) = back {
            self.play_to(call, leg, vec![Sound::Keys(digits)], true);
        }
    }

    /// Both directions carry sound: its other end hangs up.
    fn self_test_heard_out(&mut self) {
        self.self_test_reached(SelfTestStep::HeardOut);
        let Some(call) = self.self_tests.running.as_ref().map(|r| r.call) else {
            return;
        };
        if self.calls.get(&call).is_some_and(|c| !c.is_closing()) {
            self.end_answered(call, Cause::Normal, "system");
        }
    }

    /// The recorder speaks of one of its calls.
    pub(super) fn self_test_recording(&mut self, call: CallId, event: &RecordingEvent) {
        let Some(running) = &mut self.self_tests.running else {
            return;
        };
        let came = running.came.as_ref().filter(|_| running.known);
        if call != running.call && came.map(|came| came.call) != Some(call) {
            return;
        }
        match event {
            RecordingEvent::Started { .. } => {}
            RecordingEvent::Sealed(sealed) if has_sound(sealed) => {
                running.sealed.insert(call);
            }
            RecordingEvent::Sealed(_) => {
                let cause = "a recording has no sound of one end, although it was heard";
                self.self_test_failed(SelfTestStep::Recorded, cause);
            }
            RecordingEvent::Failed { .. } => {
                self.self_test_failed(SelfTestStep::Recorded, "a recording failed");
            }
        }
    }

    /// A module acknowledged a call.
    pub(super) fn self_test_acknowledged(&mut self, call: CallId, by: &DestinationId) {
        if let Some(running) = &mut self.self_tests.running
            && running.came.as_ref().is_some_and(|came| came.call == call)
        {
            running.acknowledged.insert(by.clone());
        }
    }

    /// 来电类型 of a test, so that whoever counts calls leaves it out.
    pub(super) fn classify_test(&mut self, call: CallId) {
        let by = Actor::Engine;
        let chosen = CallType {
            code: String::from("test"),
            zh: String::from("自检"),
            en: String::from("self-test"),
            by: by.to_string(),
            at: self.now,
        };
        let kind = EventKind::CallClassified {
            by,
            code: chosen.code.clone(),
            zh: chosen.zh.clone(),
            en: chosen.en.clone(),
        };
        self.sheets.classified(call, chosen);
        self.say(call, kind);
    }
}

/// Each of its tracks has sound from the network.
fn has_sound(sealed: &SealedRecording) -> bool {
    let heard = |track: &super::SealedTrack| track.heard_ms >= SOUND_MS_MIN;
    !sealed.tracks.is_empty() && sealed.tracks.iter().all(heard)
}
