//! The self-test (自检呼入): a trunk on which nobody has called for a time is called over, so that a deaf one is found
//! before a caller finds it. WS/T 451-2014 5.3-e, docs/adr/0010-self-test.md.
//!
//! ```text
//! quiet for N minutes -> the number is dialled -> it comes back in -> tones heard here -> the robot seat answers
//!   -> its tones heard there -> hung up -> both recordings sealed with sound -> modules acknowledged -> passed
//!        `- a step that does not come in its time -> failed: an alarm names it
//! ```
//! What comes in is a call like any other until the tones of the test are heard on it; all that is done for one that may be
//! ours is to ring no seat for the first [`HOLD`]. Callers come first: no test begins while somebody waits, ports run low or
//! the circuits that are kept for callers would be touched.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::commands::not_allowed;
use super::outbound::{CALLEE, Wish};
use super::self_test_steps::{Came, Heard, SelfTestStep, StepTime};
use super::timers::TimerKey;
use super::view::{SelfTestResult, SelfTestView};
use super::{Actor, AlarmCode, Command, CommandError, CommandReply, EventKind, Switch};
use crate::call::{Callee, Cause, Direction, Party, Phase, Talking};
use crate::id::{CallId, DestinationId, LegId, SeatId, TrunkId};
use crate::ivr::Hours;
use crate::limits::CALLS_MAX;
use crate::time::{Millis, Timestamp};

/// The seat that answers self-tests: the engine itself. No phone may have its name.
pub const ROBOT: &str = "robot";
/// A call that may be our own rings no seat for so long.
pub(super) const HOLD: Millis = Millis::from_secs(2);
/// A test that cannot begin now looks again after this.
const LOOK_AGAIN: Millis = Millis::from_secs(2);
/// Calls that a test leaves room for.
const CALLS_LEFT: usize = CALLS_MAX / 10;
/// By day or by night it may be switched off; and a policy's hours begin and end.
const LOOK_AT_HOURS: Millis = Millis::from_secs(60);
/// After a restart a trunk that was deaf is tested again so soon.
const AFTER_RESTART: Millis = Millis::from_secs(60);
/// Digits of one direction.
const DIGITS: usize = 4;

/// What self-tests go by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SelfTestRules {
    /// A trunk is tested when nobody has called on it for so long by day; 0: never.
    pub day: Millis,
    /// The same by night.
    pub night: Millis,
    pub night_hours: Hours,
    /// What is dialled to test a trunk; a trunk without a number is not tested.
    pub numbers: BTreeMap<TrunkId, String>,
    /// Modules that must acknowledge a test's call.
    pub destinations: Vec<DestinationId>,
}

impl Default for SelfTestRules {
    fn default() -> Self {
        Self {
            day: Millis::from_secs(600),
            night: Millis::from_secs(1800),
            night_hours: Hours {
                from: 22 * 60,
                to: 6 * 60,
            },
            numbers: BTreeMap::new(),
            destinations: Vec::new(),
        }
    }
}

impl SelfTestRules {
    /// How long a trunk may be quiet at this hour; absent: it is not tested now.
    fn quiet_at(&self, now: Timestamp) -> Option<Millis> {
        let quiet = if self.night_hours.holds(now) {
            self.night
        } else {
            self.day
        };
        (quiet > Millis(0)).then_some(quiet)
    }
}

/// All trunks that are tested, and the test under way: one at a time in the whole centre.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct SelfTests {
    watches: BTreeMap<TrunkId, Watch>,
    pub(super) running: Option<Box<Running>>,
}

impl SelfTests {
    /// No trunk is tested.
    pub(super) fn is_empty(&self) -> bool {
        self.watches.is_empty()
    }

    fn is_under_way(&self, trunk: &TrunkId) -> bool {
        self.running.as_ref().is_some_and(|r| r.trunk == *trunk)
    }
}

/// One trunk that is tested.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Watch {
    number: String,
    /// Somebody last called on it, or it was tested last.
    quiet_since: Timestamp,
    /// Sooner than that, after a restart.
    again_at: Option<Timestamp>,
    deaf: Option<Deaf>,
    /// Its number was answered elsewhere: nobody is to be rung by us every ten minutes.
    paused: bool,
    last: Option<SelfTestResult>,
}

/// A trunk whose last test failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Deaf {
    /// When the first test that failed began.
    since: Timestamp,
    step: SelfTestStep,
    /// The call of the last one.
    call: CallId,
}

/// The test under way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Running {
    pub(super) trunk: TrunkId,
    /// The trunk that dials.
    pub(super) via: TrunkId,
    by: Actor,
    pub(super) began: Timestamp,
    /// The call that we make, and its leg.
    pub(super) call: CallId,
    pub(super) leg: LegId,
    /// Heard where it comes in, heard where it went out.
    pub(super) forth: Heard,
    pub(super) back: Heard,
    /// Steps of this test, in their order.
    pub(super) plan: Vec<SelfTestStep>,
    pub(super) reached: BTreeMap<SelfTestStep, u32>,
    /// A call that may be ours; ours once `known`.
    pub(super) came: Option<Came>,
    pub(super) known: bool,
    pub(super) sealed: BTreeSet<CallId>,
    pub(super) acknowledged: BTreeSet<DestinationId>,
}

impl Running {
    /// The step that is waited for; absent: all were reached.
    pub(super) fn awaits(&self) -> Option<SelfTestStep> {
        let mut steps = self.plan.iter();
        steps.find(|s| !self.reached.contains_key(s)).copied()
    }

    fn steps(&self) -> Vec<StepTime> {
        let reached = self.reached.iter();
        reached
            .map(|(step, ms)| StepTime {
                step: *step,
                ms: *ms,
            })
            .collect()
    }
}

impl Switch {
    /// After a change of the policy: trunks to test, each from now on.
    pub(super) fn adopt_self_tests(&mut self) {
        let numbers = self.policy.self_tests.numbers.clone();
        let trunks = self.policy.trunks.clone();
        let known = |trunk: &TrunkId| trunks.contains_key(trunk);
        let gone: Vec<_> = self
            .self_tests
            .watches
            .iter()
            .filter(|(trunk, watch)| !known(trunk) || numbers.get(*trunk) != Some(&watch.number))
            .map(|(trunk, _)| trunk.clone())
            .collect();
        for trunk in gone {
            if self.self_tests.is_under_way(&trunk)
                && let Some(running) = self.end_self_test()
            {
                let (trunk, reason) = (trunk.clone(), String::from("reconfigured"));
                self.say_of(running.call, EventKind::SelfTestCancelled { trunk, reason });
            }
            self.self_tests.watches.remove(&trunk);
            self.timers.disarm(&TimerKey::SelfTest(trunk.clone()));
            self.clear_alarm(AlarmCode::SelfTestFailed, trunk.as_str());
        }
        for (trunk, number) in numbers.iter().filter(|(trunk, _)| known(trunk)) {
            let watch = Watch {
                number: number.clone(),
                quiet_since: self.now,
                again_at: None,
                deaf: None,
                paused: false,
                last: None,
            };
            let watches = &mut self.self_tests.watches;
            watches.entry(trunk.clone()).or_insert(watch);
        }
        self.arm_self_tests();
    }

    /// Each trunk that is not under test looks when its own is due.
    pub(super) fn arm_self_tests(&mut self) {
        let tests = &self.self_tests;
        let trunks = tests.watches.keys().filter(|id| !tests.is_under_way(id));
        for trunk in trunks.cloned().collect::<Vec<_>>() {
            self.arm_self_test(&trunk);
        }
    }

    /// A new process: what the old one tested is no verdict, what was deaf is looked at soon.
    pub(super) fn restart_self_tests(&mut self) {
        if let Some(running) = self.self_tests.running.take() {
            self.unmask(&running);
            let reason = String::from("restarted");
            let trunk = running.trunk.clone();
            self.say_of(running.call, EventKind::SelfTestCancelled { trunk, reason });
        }
        let now = self.now;
        for watch in self.self_tests.watches.values_mut() {
            watch.quiet_since = now;
            watch.again_at = watch.deaf.as_ref().map(|_| now + AFTER_RESTART);
        }
    }

    fn arm_self_test(&mut self, trunk: &TrunkId) {
        let rules = &self.policy.self_tests;
        let Some(watch) = self.self_tests.watches.get(trunk).filter(|w| !w.paused) else {
            return self.timers.disarm(&TimerKey::SelfTest(trunk.clone()));
        };
        let quiet = rules.quiet_at(self.now);
        let due = match (watch.again_at, quiet) {
            (Some(at), _) => at,
            (None, Some(quiet)) => watch.quiet_since + quiet,
            (None, None) if rules.day == rules.night => {
                return self.timers.disarm(&TimerKey::SelfTest(trunk.clone()));
            }
            (None, None) => self.now + LOOK_AT_HOURS,
        };
        // A shorter time may begin meanwhile.
        let soonest = [rules.day, rules.night].into_iter();
        let soonest = soonest.filter(|q| *q > Millis(0)).min();
        let look = soonest.map_or(due, |q| {
            due.min((watch.quiet_since + q).max(self.now + LOOK_AT_HOURS))
        });
        let at = look.max(self.now + Millis(1));
        self.timers.arm(TimerKey::SelfTest(trunk.clone()), at);
    }

    /// Its time has come, or it is looked at again.
    pub(super) fn self_test_due(&mut self, trunk: &TrunkId) {
        let Some(watch) = self.self_tests.watches.get(trunk) else {
            return self.misfit("flaw.timer_self_test_unknown");
        };
        let quiet = self.policy.self_tests.quiet_at(self.now);
        let due = watch
            .again_at
            .or(quiet.map(|quiet| watch.quiet_since + quiet));
        if due.is_none_or(|due| due > self.now) {
            return self.arm_self_test(trunk);
        }
        match self.way_to_test(trunk) {
            Ok(via) => drop(self.begin_self_test(&Actor::Engine, trunk, via)),
            // Until it is up again.
            Err(Hindrance::Down) => self.timers.disarm(&TimerKey::SelfTest(trunk.clone())),
            Err(_) => self.arm(TimerKey::SelfTest(trunk.clone()), LOOK_AGAIN),
        }
    }

    /// `SelfTest`.
    pub(super) fn self_test_now(
        &mut self,
        by: &Actor,
        trunk: &TrunkId,
    ) -> Result<CommandReply, CommandError> {
        check_supervises(by)?;
        if !self.policy.trunks.contains_key(trunk) {
            return Err(CommandError::Unknown {
                what: String::from("trunk"),
                id: trunk.to_string(),
            });
        }
        let via = self.way_to_test(trunk).map_err(|why| why.refusal(trunk))?;
        self.given(by, None, "self_test");
        match self.begin_self_test(by, trunk, via) {
            Some((call, leg)) => Ok(CommandReply::Call { call, leg }),
            None => Err(Hindrance::Full.refusal(trunk)),
        }
    }

    /// The trunk that a test of `trunk` is dialled over, if it may begin now.
    fn way_to_test(&self, trunk: &TrunkId) -> Result<TrunkId, Hindrance> {
        if !self.self_tests.watches.contains_key(trunk) {
            return Err(Hindrance::NoNumber);
        }
        if let Some(running) = &self.self_tests.running {
            return Err(Hindrance::Running(running.trunk.clone()));
        }
        let is_down = |id: &TrunkId| self.trunks.get(id).is_some_and(|t| t.up == Some(false));
        if is_down(trunk) {
            return Err(Hindrance::Down);
        }
        if !self.queue.is_empty() {
            return Err(Hindrance::CallersWait);
        }
        let short = [
            AlarmCode::PortsLow,
            AlarmCode::DescriptorsLow,
            AlarmCode::CapacityRefused,
        ];
        if self.calls.len() + 2 + CALLS_LEFT > CALLS_MAX
            || self.alarms.iter().any(|a| short.contains(&a.code))
        {
            return Err(Hindrance::Full);
        }
        let dials = self.outbound_trunks();
        let own = dials.contains(trunk);
        let mut ways = dials.iter().filter(|via| !own || *via == trunk);
        let spare = |via: &&TrunkId| {
            let both = usize::from(*via == trunk);
            !is_down(via) && self.spares(via, 1 + both) && self.spares(trunk, 1 + both)
        };
        match ways.find(spare) {
            Some(via) => Ok(via.clone()),
            None if dials.is_empty() => Err(Hindrance::NobodyDials),
            None if dials.iter().all(is_down) => Err(Hindrance::Down),
            None => Err(Hindrance::Circuits),
        }
    }

    fn begin_self_test(
        &mut self,
        by: &Actor,
        trunk: &TrunkId,
        via: TrunkId,
    ) -> Option<(CallId, LegId)> {
        let number = self.self_tests.watches.get(trunk)?.number.clone();
        let call = CallId(self.ids.next_uuid(self.now));
        let robot = SeatId::from(ROBOT);
        let wish = Wish {
            by,
            seat: &robot,
            direction: Direction::Outbound,
            callee: Callee::Number(number.clone()),
            number: self.callee_number(&number),
        };
        self.open_made(
            call,
            wish,
            None,
            Phase::Talking(Talking::without_seat()),
            None,
        );
        self.mark_as_test(call);
        self.record_made(call);
        // The first party of a new call.
        let party = Party::Third {
            role: CALLEE.to_owned(),
            n: self.next_third(call, CALLEE).unwrap_or(1),
        };
        let rung = self.ring_third(call, &number, CALLEE, party, None, vec![via.clone()]);
        let Some(leg) = rung else {
            self.end_answered(call, Cause::Capacity, "system");
            return None;
        };
        let forth = self.draw_digits();
        let back = self.draw_digits();
        self.self_tests.running = Some(Box::new(Running {
            trunk: trunk.clone(),
            via: via.clone(),
            by: by.clone(),
            began: self.now,
            call,
            leg,
            forth,
            back,
            plan: self.self_test_plan(),
            reached: BTreeMap::new(),
            came: None,
            known: false,
            sealed: BTreeSet::new(),
            acknowledged: BTreeSet::new(),
        }));
        self.timers.disarm(&TimerKey::SelfTest(trunk.clone()));
        if let Some(watch) = self.self_tests.watches.get_mut(trunk) {
            watch.again_at = None;
        }
        let (trunk, by) = (trunk.clone(), by.clone());
        self.say(call, EventKind::SelfTestStarted { trunk, via, by });
        self.arm_self_test_step();
        Some((call, leg))
    }

    /// No two neighbours alike, so that a lost or doubled key makes another number.
    fn draw_digits(&mut self) -> Heard {
        let mut digits = String::new();
        let mut before = None;
        while digits.len() < DIGITS {
            let drawn = u8::try_from(super::draw_from(&mut self.chance) % 10).unwrap_or(0);
            if before.replace(drawn) != Some(drawn) {
                digits.push(char::from(b'0' + drawn));
            }
        }
        Heard::waiting_for(digits)
    }

    /// A call of ours that tests something: in no statistics, nobody is called back for it.
    pub(super) fn mark_as_test(&mut self, call: CallId) {
        if let Some(open) = self.call_mut(call) {
            open.test = true;
        }
        self.classify_test(call);
    }

    pub(super) fn is_test(&self, call: CallId) -> bool {
        self.calls.get(&call).is_some_and(|c| c.test)
    }

    /// Nobody joins a test: he may only end it, or go.
    pub(super) fn check_no_self_test(
        &self,
        call: CallId,
        command: &Command,
    ) -> Result<(), CommandError> {
        let running = self.self_tests.running.as_ref();
        let own = running.is_some_and(|running| {
            let came = running.came.as_ref().filter(|_| running.known);
            running.call == call || came.is_some_and(|came| came.call == call)
        });
        let ends = matches!(
            command,
            Command::HangUp { .. } | Command::StopListening { .. }
        );
        if !own || ends {
            return Ok(());
        }
        Err(CommandError::WrongState {
            what: format!("call {call}"),
            state: String::from("a self-test"),
            hint: String::from("nobody speaks in it; it ends by itself within a minute"),
        })
    }

    /// Every step was reached.
    pub(super) fn self_test_passed(&mut self) {
        let Some(running) = self.end_self_test() else {
            return;
        };
        let (now, trunk) = (self.now, running.trunk.clone());
        let Some(watch) = self.self_tests.watches.get_mut(&trunk) else {
            return;
        };
        watch.quiet_since = now;
        watch.paused = false;
        let deaf_ms = watch.deaf.take().map(|deaf| now.millis_since(deaf.since));
        let ms = now.millis_since(running.began);
        watch.last = Some(SelfTestResult {
            call: running.call,
            began: running.began,
            by: running.by.to_string(),
            failed: None,
            cause: None,
            ms,
            steps: running.steps(),
        });
        let came = running.came.as_ref().map(|came| came.trunk.clone());
        let (via, steps) = (running.via.clone(), running.steps());
        self.say_of(
            running.call,
            EventKind::SelfTestPassed {
                trunk: trunk.clone(),
                via,
                came: came.clone(),
                ms,
                steps,
                deaf_ms,
            },
        );
        self.clear_alarm(AlarmCode::SelfTestFailed, trunk.as_str());
        self.arm_self_test(&trunk);
        if let Some(came) = came.filter(|came| *came != trunk) {
            self.trunk_was_called_on(&came);
        }
    }

    /// A step did not come.
    pub(super) fn self_test_failed(&mut self, step: SelfTestStep, cause: &str) {
        let Some(running) = self.end_self_test() else {
            return;
        };
        let (now, trunk) = (self.now, running.trunk.clone());
        let elsewhere =
            step == SelfTestStep::Arrived && running.reached.contains_key(&SelfTestStep::Answered);
        let Some(watch) = self.self_tests.watches.get_mut(&trunk) else {
            return;
        };
        watch.quiet_since = now;
        watch.paused = elsewhere;
        let since = watch.deaf.as_ref().map_or(running.began, |d| d.since);
        watch.deaf = Some(Deaf {
            since,
            step,
            call: running.call,
        });
        let ms = now.millis_since(running.began);
        watch.last = Some(SelfTestResult {
            call: running.call,
            began: running.began,
            by: running.by.to_string(),
            failed: Some(step),
            cause: Some(cause.to_owned()),
            ms,
            steps: running.steps(),
        });
        let (via, steps) = (running.via.clone(), running.steps());
        self.say_of(
            running.call,
            EventKind::SelfTestFailed {
                trunk: trunk.clone(),
                via: via.clone(),
                step,
                cause: cause.to_owned(),
                ms,
                steps,
                deaf_since: since,
            },
        );
        let detail = step.alarm(&via, cause, elsewhere);
        self.raise_alarm(AlarmCode::SelfTestFailed, trunk.as_str(), &detail);
        self.arm_self_test(&trunk);
    }

    /// Both of its calls end; one that was never known to be ours goes on as anybody's.
    fn end_self_test(&mut self) -> Option<Running> {
        let running = *self.self_tests.running.take()?;
        self.timers.disarm(&TimerKey::SelfTestStep);
        self.unmask(&running);
        let came = running.came.as_ref().filter(|_| running.known);
        for call in [Some(running.call), came.map(|came| came.call)] {
            let open = call.filter(|c| self.calls.get(c).is_some_and(|c| !c.is_closing()));
            if let Some(call) = open {
                self.end_answered(call, Cause::Normal, "system");
            }
        }
        Some(running)
    }

    /// What came in was not known in time: it waits among the callers from now on.
    pub(super) fn self_test_hold_over(&mut self) {
        let running = self.self_tests.running.as_ref();
        if let Some(came) = running.and_then(|r| r.came.as_ref()) {
            self.stirred.insert(came.call);
        }
    }

    /// What came in and was not known by its tones is a caller: counted and labelled as one, if a little late.
    fn unmask(&mut self, running: &Running) {
        self.timers.disarm(&TimerKey::SelfTestHold);
        let came = running.came.as_ref().filter(|_| !running.known);
        if let Some(call) = came.map(|came| came.call)
            && self
                .calls
                .get(&call)
                .is_some_and(|c| !c.is_closing() && !c.test)
        {
            self.stirred.insert(call);
            self.screen_arrival(call);
        }
    }

    /// Somebody called on the trunk: it is not quiet, and not deaf if that is what was wrong with it.
    pub(super) fn trunk_was_called_on(&mut self, trunk: &TrunkId) {
        let now = self.now;
        let Some(watch) = self.self_tests.watches.get_mut(trunk) else {
            return;
        };
        if let Some(deaf) = &watch.deaf
            && !deaf.step.is_proven_by_a_call()
        {
            // Its calls do come in. Whether they are heard and recorded only a test tells.
            return;
        }
        watch.quiet_since = now;
        watch.again_at = None;
        watch.paused = false;
        if let Some(deaf) = watch.deaf.take() {
            let deaf_ms = now.millis_since(deaf.since);
            let subject = trunk.clone();
            self.say_of(
                deaf.call,
                EventKind::SelfTestCleared {
                    trunk: subject,
                    deaf_ms,
                },
            );
            self.clear_alarm(AlarmCode::SelfTestFailed, trunk.as_str());
        }
        if !self.self_tests.is_under_way(trunk) {
            self.arm_self_test(trunk);
        }
    }

    /// An event of a call that may be long forgotten.
    fn say_of(&mut self, call: CallId, kind: EventKind) {
        if self.calls.contains_key(&call) || self.past.contains_key(&call) {
            self.say(call, kind);
        } else {
            self.note(kind);
        }
    }

    pub(super) fn self_tests_view(&self) -> Vec<SelfTestView> {
        let running = self.self_tests.running.as_deref();
        let watches = self.self_tests.watches.iter();
        watches
            .map(|(trunk, watch)| {
                let running = running.filter(|r| r.trunk == *trunk);
                let next_at = self.timers.at(&TimerKey::SelfTest(trunk.clone()));
                SelfTestView {
                    trunk: trunk.clone(),
                    next_at,
                    paused: watch.paused,
                    deaf_since: watch.deaf.as_ref().map(|deaf| deaf.since),
                    running: running.map(|r| SelfTestResult {
                        call: r.call,
                        began: r.began,
                        by: r.by.to_string(),
                        failed: None,
                        cause: None,
                        ms: self.now.millis_since(r.began),
                        steps: r.steps(),
                    }),
                    awaits: running.and_then(Running::awaits),
                    last: watch.last.clone(),
                }
            })
            .collect()
    }
}

fn check_supervises(by: &Actor) -> Result<(), CommandError> {
    match by {
        Actor::Supervisor(_) | Actor::User(_) => Ok(()),
        Actor::Seat(_) | Actor::Module(_) | Actor::Engine => {
            Err(not_allowed(by, "a supervisor tests trunks"))
        }
    }
}

/// Why no test may begin now.
enum Hindrance {
    NoNumber,
    Running(TrunkId),
    Down,
    CallersWait,
    Full,
    NobodyDials,
    Circuits,
}

impl Hindrance {
    fn refusal(self, trunk: &TrunkId) -> CommandError {
        let (state, hint) = match self {
            Self::NoNumber => (
                String::from("not tested"),
                "write self_test = \"NUMBER\" at the trunk: a number of yours that its carrier brings back to you",
            ),
            Self::Running(other) => (
                format!("waiting for the test of {other}"),
                "try again when that is over",
            ),
            Self::Down => (
                String::from("down"),
                "its carrier answers nothing at all: see the alarm trunk.down",
            ),
            Self::CallersWait => (
                String::from("needed"),
                "callers wait; test it when none does",
            ),
            Self::Full => (
                String::from("short of room"),
                "ports, descriptors or calls run low: what is left is the callers'",
            ),
            Self::NobodyDials => (
                String::from("out of reach"),
                "no trunk dials out: write outbound = 1 at one",
            ),
            Self::Circuits => (
                String::from("busy"),
                "the circuits that are left are kept for callers; try again when a call has ended",
            ),
        };
        CommandError::WrongState {
            what: format!("trunk {trunk}"),
            state,
            hint: hint.to_owned(),
        }
    }
}
