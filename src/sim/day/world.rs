//! The world around one switch: an agenda in virtual time, far ends and people that act, and the loop that feeds the
//! switch, takes its words and has them checked.

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::sync::Arc;

use super::chance::Chance;
use super::check::Checker;
use super::delivery::Delivery;
use super::faults::{Cut, Fault, Faults};
use super::network::{Dialog, FarAct, Stage};
use super::people::{PersonAct, STRATEGIES};
use super::plant::{People, Plant, Step};
use super::restart::{Journal, Taken};
use super::{Summary, Violation};
use crate::call::{AnswerPolicy, Arrival, LegEvent};
use crate::id::{CallId, LegId, MenuId, PromptId, QueueId, RecordingId, ReliefId, SeatId, TrunkId};
use crate::ivr::{Entry, Goal, Menu, Menus, Node};
use crate::switch::{
    CallBackRules, Centre, Effect, Event, Input, InputKind, Policy, QueuePolicy, Relief,
    ReliefKind, SeatPolicy, SeatRole, Strategy, Switch, Timers, TrunkPolicy,
};
use crate::time::{Millis, Timestamp};

/// Nobody stays longer on the shelf: shorter than callers' patience.
pub(super) const SHELF_STAY_MAX: Millis = Millis::from_secs(60);
/// 2025-11-22 08:30 in China.
const START_MICROS: i64 = 1_763_771_400_000_000;
/// Answered by a menu.
pub(super) const MENU_NUMBER: &str = "88886666";
/// The longest talk that may still be going on when the day ends, and then what is left must settle by itself.
const EVENING: Millis = Millis::from_secs(15 * 60);
/// At most: a call-back that is tried once more late in the evening needs another one.
const EVENINGS: u32 = 3;
/// Longest day.
const MINUTES_MAX: u32 = 24 * 60;
/// Inputs kept for a violation's trail.
const TRAIL: usize = 40;

/// What will happen.
#[derive(Clone, Debug)]
pub(super) enum Happening {
    /// An Input that belongs to no dialog reaches the shell.
    Reaches(Box<InputKind>),
    /// An event of a dialog reaches the shell.
    FromLeg {
        leg: LegId,
        event: LegEvent,
    },
    /// A far end acts.
    Far {
        leg: LegId,
        act: FarAct,
    },
    /// A person acts.
    Person(PersonAct),
    /// The process writes a snapshot, and the journal is replayed.
    Snapshot,
    Strikes(Fault),
    /// A killed process is started again.
    Start,
}

impl Happening {
    /// Whether a process that stands still keeps it waiting.
    const fn needs_process(&self) -> bool {
        match self {
            Self::Reaches(_)
            | Self::FromLeg { .. }
            | Self::Snapshot
            | Self::Person(PersonAct::Commands { .. } | PersonAct::Reconfigures) => true,
            Self::Person(PersonAct::Dials { .. } | PersonAct::Registers { .. })
            | Self::Far { .. }
            | Self::Strikes(_)
            | Self::Start => false,
        }
    }
}

/// One seed's world.
pub(super) struct World {
    pub(super) seed: u64,
    pub(super) chance: Chance,
    pub(super) now: Timestamp,
    pub(super) start: Timestamp,
    /// New calls come in for this long.
    pub(super) day: Millis,
    pub(super) switch: Switch,
    pub(super) policy: Policy,
    pub(super) agenda: BTreeMap<(Timestamp, u64), Happening>,
    planned: u64,
    /// Nobody listens on our ports.
    pub(super) down: bool,
    pub(super) faults: Faults,
    pub(super) dialogs: BTreeMap<LegId, Dialog>,
    /// Recordings not yet sealed.
    pub(super) recordings: BTreeMap<CallId, RecordingId>,
    /// INVITEs as their callers' carriers sent them.
    pub(super) invites: BTreeMap<LegId, Arrival>,
    pub(super) journal: Journal,
    pub(super) delivery: Delivery,
    pub(super) checker: Checker,
    pub(super) plant: Option<Plant>,
    planted: bool,
    pub(super) summary: Summary,
    trail: VecDeque<Rc<Taken>>,
    trail_max: usize,
}

impl World {
    pub(super) fn new(seed: u64, minutes: u32, plant: Option<Plant>) -> Self {
        let mut chance = Chance::new(seed);
        let policy = policy(&mut chance);
        let start = Timestamp::from_micros(START_MICROS);
        let switch = Switch::new(seed, policy.clone());
        Self {
            seed,
            now: start,
            start,
            day: Millis::from_secs(60 * minutes.clamp(1, MINUTES_MAX)),
            journal: Journal::begin(&switch),
            switch,
            agenda: BTreeMap::new(),
            planned: 0,
            down: false,
            faults: Faults::default(),
            dialogs: BTreeMap::new(),
            recordings: BTreeMap::new(),
            invites: BTreeMap::new(),
            delivery: Delivery::new(policy.centre.clone()),
            checker: Checker::new(),
            plant,
            planted: false,
            summary: Summary {
                seats: u64::try_from(policy.seats.len()).unwrap_or(0),
                ..Summary::default()
            },
            trail: VecDeque::new(),
            trail_max: TRAIL,
            chance,
            policy,
        }
    }

    /// Keeps every Input in the trail, not only the last ones.
    pub(super) fn keep_trail(&mut self) {
        self.trail_max = usize::MAX;
    }

    pub(super) fn into_trail(self) -> Vec<String> {
        let mut lines = Vec::new();
        for step in &self.trail {
            lines.push(self.told(&step.input));
            let events = step.events.iter();
            lines.extend(events.map(|event| format!("    -> {:?}", event.kind)));
        }
        lines
    }

    /// Lives the day.
    pub(super) fn run(&mut self) -> Result<Summary, Box<Violation>> {
        let started = self.started_input();
        self.feed(started)?;
        self.plan_day();
        let mut end = self.start + self.day;
        for _ in 0..EVENINGS {
            end = end + EVENING;
            self.live_until(end)?;
            if self.checker.at_end(&self.switch).is_ok() {
                break;
            }
        }
        self.feed(InputKind::Tick)?;
        self.verify_journal()?;
        self.check(|world| world.checker.at_end(&world.switch))?;
        self.check(|world| world.delivery.at_end())?;
        self.summary.virtual_s = (self.now.millis_since(self.start)) / 1000;
        self.summary.misfits = self.switch.unexpected().values().sum();
        Ok(self.summary)
    }

    fn live_until(&mut self, end: Timestamp) -> Result<(), Box<Violation>> {
        loop {
            let agenda = self.agenda.first_key_value().map(|((at, _), _)| *at);
            let timer = self.switch.poll_timeout().map(|(at, _)| at);
            let timer = timer.filter(|_| !self.down);
            let timer = timer.map(|at| self.true_time(at).max(self.faults.still_until));
            let next = [agenda, timer].into_iter().flatten().min();
            let Some(next) = next.filter(|at| *at <= end) else {
                self.now = end;
                return Ok(());
            };
            self.now = self.now.max(next);
            if timer.is_some_and(|timer| timer <= next) {
                self.feed(InputKind::Tick)?;
            } else if let Some((_, happening)) = self.agenda.pop_first() {
                self.happens(happening)?;
            }
        }
    }

    fn happens(&mut self, happening: Happening) -> Result<(), Box<Violation>> {
        if self.now < self.faults.still_until && happening.needs_process() {
            // In the order in which they came.
            self.plan_at(self.faults.still_until, happening);
            return Ok(());
        }
        match happening {
            Happening::Reaches(kind) => {
                let invite = if let InputKind::Arrived { arrival } = &*kind {
                    Some(arrival.leg)
                } else {
                    None
                };
                if invite.is_some_and(|leg| !self.still_calls(leg)) {
                    return Ok(());
                }
                if !self.down {
                    self.feed(*kind)?;
                } else if invite.is_some() {
                    // An INVITE that nobody answers is repeated.
                    self.plan(Millis(1_500), Happening::Reaches(kind));
                }
            }
            Happening::FromLeg { leg, event } => {
                // A new process knows only those old dialogs that it was told to close.
                if !self.down && self.dialogs.get(&leg).is_some_and(|d| !d.orphan) {
                    self.feed(InputKind::Leg { leg, event })?;
                }
            }
            Happening::Far { leg, act } => self.far(leg, act),
            Happening::Person(act) => self.person(act)?,
            Happening::Snapshot => self.snapshot()?,
            Happening::Strikes(fault) => self.strikes(fault)?,
            Happening::Start => self.start_again()?,
        }
        Ok(())
    }

    /// Whether the caller of an INVITE that the killed process never saw is still there.
    fn still_calls(&mut self, leg: LegId) -> bool {
        let Some(dialog) = self.dialogs.get_mut(&leg) else {
            return true;
        };
        let gone = dialog.orphan && dialog.stage == Stage::Over;
        dialog.orphan = self.down;
        !gone
    }

    /// Puts something on the agenda.
    pub(super) fn plan(&mut self, after: Millis, happening: Happening) {
        self.plan_at(self.now + after, happening);
    }

    pub(super) fn plan_at(&mut self, at: Timestamp, happening: Happening) {
        self.planned += 1;
        self.agenda.insert((at, self.planned), happening);
    }

    /// One Input through the switch, the checker and the world.
    pub(super) fn feed(&mut self, kind: InputKind) -> Result<(), Box<Violation>> {
        let cut = self.is_killed_at(&kind);
        if cut == Some(Cut::Before) {
            return self.kill();
        }
        let at = self.clock();
        let input = Input { at, kind };
        self.plant_state();
        self.summary.inputs += 1;
        let people = self.people();
        self.checker.stood_still = self.now == self.faults.still_until;
        self.checker.before(&input);
        self.switch.handle(&input);
        let mut events = self.switch.take_events();
        let mut effects = Vec::new();
        while let Some(effect) = self.switch.poll_effect() {
            effects.push(effect);
        }
        self.spoil(&input, &mut events, &mut effects, &people);
        self.summary.events += u64::try_from(events.len()).unwrap_or(0);
        let step = Rc::new(Taken { input, events });
        let (input, events) = (&step.input, &step.events);
        self.remember(&step);
        let mut view = self.switch.view();
        if let Some(plant) = self.plant {
            plant.spoil_view(&mut view);
        }
        self.check(|world| {
            world
                .checker
                .after(input, events, &effects, &view, &world.policy)
        })?;
        self.summary.count(events);
        let spoils = self.plant.filter(|_| self.is_late());
        let now = self.now;
        self.delivery.take(events, now, spoils);
        let delivered = self.delivery.turn(now, &mut self.chance, spoils);
        self.check(|_| delivered)?;
        if let Some(Cut::Amid(percent)) = cut {
            let run = effects.len() * usize::try_from(percent).unwrap_or(0) / 100;
            self.act_on(input, &[], effects.get(..run).unwrap_or(&[]));
            return self.kill();
        }
        self.act_on(input, events, &effects);
        Ok(())
    }

    /// Into the journal and the trail.
    fn remember(&mut self, step: &Rc<Taken>) {
        let kind = &step.input.kind;
        let lose = self.plant == Some(Plant::JournalLosesInput)
            && matches!(kind, InputKind::Arrived { .. });
        if !lose {
            self.journal.append(step);
        }
        if let InputKind::Arrived { arrival } = kind {
            self.journaled(arrival.leg);
        } else if let InputKind::Leg {
            leg,
            event: LegEvent::Dialog { .. },
        } = kind
        {
            self.journaled(*leg);
        }
        if self.trail.len() >= self.trail_max {
            self.trail.pop_front();
        }
        self.trail.push_back(Rc::clone(step));
    }

    fn journaled(&mut self, leg: LegId) {
        if let Some(dialog) = self.dialogs.get_mut(&leg) {
            dialog.journaled = true;
        }
    }

    /// Turns what a check says into a violation with the trail.
    pub(super) fn check(
        &mut self,
        check: impl FnOnce(&mut Self) -> Result<(), (u8, String)>,
    ) -> Result<(), Box<Violation>> {
        check(self).map_err(|(invariant, detail)| {
            Box::new(Violation {
                seed: self.seed,
                invariant,
                at: self.now,
                detail,
                trail: self.last_inputs(),
            })
        })
    }

    fn last_inputs(&self) -> Vec<String> {
        let skip = self.trail.len().saturating_sub(TRAIL);
        let last = self.trail.iter().skip(skip);
        last.map(|step| self.told(&step.input)).collect()
    }

    fn told(&self, input: &Input) -> String {
        let text = if let InputKind::Arrived { arrival } = &input.kind {
            format!("Arrived {} leg {}", arrival.call, arrival.leg)
        } else if let InputKind::Started { .. } = &input.kind {
            String::from("Started")
        } else if let InputKind::PolicyChanged { .. } = &input.kind {
            String::from("PolicyChanged")
        } else {
            format!("{:?}", input.kind)
        };
        let at = (input.at.as_micros() - self.start.as_micros()) / 1000;
        format!("+{at} ms {text}")
    }

    /// Faults begin some minutes into the day, when there is something to break.
    fn is_late(&self) -> bool {
        self.now.millis_since(self.start) > 4 * 60 * 1000
    }

    fn plant_state(&mut self) {
        let repeats = matches!(
            self.plant,
            Some(
                Plant::MenuDeadlineForgotten
                    | Plant::LosersForgotten
                    | Plant::OutsideForgotten
                    | Plant::ShelfDeadlineForgotten
                    | Plant::SpareKept
                    | Plant::CrewSeatForgotten
                    | Plant::CrewForgotten
                    | Plant::QueueListenerStays
                    | Plant::GroupLineStays
            )
        );
        // Breaking the state costs much; a timer is taken away just before it would fire.
        let next = self.switch.poll_timeout().map(|(_, name)| name);
        let fires = |plant: Plant| plant.timer().is_none_or(|name| next == Some(name));
        if let Some(plant) = self.plant
            && (repeats || (!self.planted && self.checker.waiting() >= 2))
            && self.is_late()
            && fires(plant)
        {
            let before = self.switch.state_hash();
            plant.spoil_state(&mut self.switch);
            let spoiled = self.switch.state_hash() != before;
            self.planted |= spoiled;
            if spoiled {
                self.journal = Journal::begin(&self.switch);
            }
        }
    }

    fn people(&self) -> People {
        if self.plant.is_none() {
            return People::default();
        }
        People {
            marked: self.checker.marks.numbers(),
            callers: self.checker.callers(),
            talking_seats: self.checker.talking_seats(),
            thirds: self.checker.joined_thirds(),
            listeners: self.checker.listeners(),
        }
    }

    fn spoil(
        &mut self,
        input: &Input,
        events: &mut Vec<Event>,
        effects: &mut Vec<Effect>,
        people: &People,
    ) {
        let Some(plant) = self.plant.filter(|_| self.is_late()) else {
            return;
        };
        plant.spoil(&mut Step {
            input,
            events,
            effects,
            people,
            chance: &mut self.chance,
        });
    }

    pub(super) fn started_input(&mut self) -> InputKind {
        InputKind::Started {
            seed: self.chance.next(),
            build: String::from("sim"),
            policy: Box::new(self.policy.clone()),
        }
    }
}

impl Summary {
    fn count(&mut self, events: &[Event]) {
        use crate::switch::{EventKind, Outcome};
        for event in events {
            if let EventKind::CallBackConnected { .. } = &event.kind {
                self.called_back += 1;
            } else if let EventKind::CallDialled { .. } = &event.kind {
                self.dialled += 1;
            } else if let EventKind::CallReceived { .. } = &event.kind {
                self.calls += 1;
            } else if let EventKind::CallEnded { outcome, .. } = &event.kind {
                match outcome {
                    Outcome::Answered => self.answered += 1,
                    Outcome::Abandoned => self.abandoned += 1,
                    Outcome::Lost => self.lost += 1,
                    Outcome::RefusedCapacity => self.refused += 1,
                    Outcome::NotReached => self.not_reached += 1,
                }
            } else if let EventKind::CrewCalled { .. } = &event.kind {
                self.crews += 1;
            } else if let EventKind::CallBridged { .. } = &event.kind {
                self.bridges += 1;
            } else if let EventKind::CallReopened { .. } = &event.kind {
                self.reopened += 1;
            } else if let EventKind::MenuEntered { .. } = &event.kind {
                self.in_menu += 1;
            } else if let EventKind::SeatRinging { .. } = &event.kind {
                self.offers += 1;
            } else if let EventKind::PartyJoined { .. } = &event.kind {
                self.joined += 1;
            } else if let EventKind::EducationPlayed { .. } = &event.kind {
                self.educated += 1;
            } else if let EventKind::MonitorStarted { .. } = &event.kind {
                self.listened += 1;
            } else if let EventKind::QueueMonitorStarted { .. } = &event.kind {
                self.queues_listened += 1;
            } else if let EventKind::GroupAcknowledged { .. } = &event.kind {
                self.group_targets += 1;
                self.group_acks += 1;
            } else if let EventKind::GroupFailed { .. } = &event.kind {
                self.group_targets += 1;
            } else if let EventKind::MonitorChanged { .. } = &event.kind {
                self.modes += 1;
            } else if let EventKind::TookOver { .. } = &event.kind {
                self.taken_over += 1;
            } else if let EventKind::CallJoined { into, .. } = &event.kind
                && event.call == Some(*into)
            {
                self.joins += 1;
            } else if let EventKind::CallHeld { .. } = &event.kind {
                self.held += 1;
            } else if let EventKind::CallTransferred { outcome, .. } = &event.kind {
                self.transferred += u64::from(outcome == "answered");
            } else if let EventKind::HandedOver { .. } = &event.kind {
                self.handed_over += 1;
            } else if let EventKind::CallShelved { .. } = &event.kind {
                self.shelved += 1;
            } else if let EventKind::QueueEntered { again: true, .. } = &event.kind {
                self.requeued += 1;
            }
        }
    }
}

/// One menu of two levels; its second node speaks another language.
fn menus() -> Menus {
    let node = |name: &str, keys: &[(char, Goal)], language: Option<&str>, then: Goal| Node {
        prompts: vec![PromptId::from(name)],
        keys: keys.iter().cloned().collect(),
        key_wait: Millis::from_secs(5),
        repeats: 1,
        then,
        language: language.map(str::to_owned),
    };
    let queue = || Goal::Queue(QueueId::from("main"));
    let to = |name: &str| Goal::Node(name.to_owned());
    let top = node("top", &[('1', to("more")), ('2', queue())], None, queue());
    let more = node(
        "more",
        &[('1', to("top")), ('8', queue())],
        Some("en"),
        to("top"),
    );
    let tree = Menu {
        start: String::from("top"),
        queue: QueueId::from("main"),
        stay: Millis::from_secs(60),
        nodes: [(String::from("top"), top), (String::from("more"), more)].into(),
    };
    Menus {
        trees: [(MenuId::from("info"), tree)].into(),
        entries: vec![Entry {
            menu: MenuId::from("info"),
            called: vec![MENU_NUMBER.to_owned(), String::from("120")],
            trunks: Vec::new(),
            hours: None,
        }],
        notice: None,
        emergency: vec![String::from("120")],
        on_emergency: false,
    }
}

/// A centre of seven to ten seats and one or two supervisors, some with skills, and often a second queue.
fn policy(chance: &mut Chance) -> Policy {
    let (main, child) = (QueueId::from("main"), QueueId::from("child"));
    let mut seats = BTreeMap::new();
    for n in 0..7 + chance.below(4) {
        let skilled = chance.percent(40);
        let queues = match chance.below(10) {
            0 => vec![main.clone()],
            1 => vec![child.clone()],
            2 => vec![child.clone(), main.clone()],
            _ => Vec::new(),
        };
        seats.insert(
            SeatId(format!("8{n:02}")),
            SeatPolicy {
                role: SeatRole::Dispatcher,
                queues,
                skills: vec![String::from("child"); usize::from(skilled)],
                ready_on_register: chance.percent(80),
            },
        );
    }
    for n in 0..1 + chance.below(2) {
        seats.insert(
            SeatId(format!("90{n}")),
            SeatPolicy {
                role: SeatRole::Supervisor,
                queues: Vec::new(),
                skills: Vec::new(),
                ready_on_register: chance.percent(30),
            },
        );
    }
    let centre = Centre {
        id: String::from("sim"),
        name: String::from("sim"),
        area_code: String::from("0755"),
        division: String::from("440300"),
    };
    let queues = queues(chance, &main, &child);
    Policy {
        centre,
        queue: main,
        trunks: trunks(chance.percent(60).then_some(child)),
        queues,
        shared_numbers: vec![String::from("+8675588880000")],
        screening: crate::screen::Bounds::default(),
        call_backs: CallBackRules {
            automatic: true,
            dropped_within: Millis::from_secs(10),
            before_dispatch: false,
        },
        desks: Default::default(),
        menus: menus(),
        relief: relief(chance),
        groups: Arc::default(),
        forms: std::sync::Arc::default(),
        timers: Timers {
            shelf_max: SHELF_STAY_MAX,
            shelf_idle: Millis::from_secs(30),
            ..Timers::default()
        },
        seats,
        language: String::from("zh-CN"),
        self_tests: crate::switch::SelfTestRules::default(),
        allow_faults: false,
        recording: true,
    }
}

/// Half of the centres know a peer and have a mobile group.
fn relief(chance: &mut Chance) -> Arc<Vec<Relief>> {
    let relief = |id: &str, kind, numbers: &[&str], after| Relief {
        id: ReliefId::from(id),
        kind,
        numbers: numbers.iter().map(|n| (*n).to_owned()).collect(),
        after,
    };
    let all = vec![
        relief(
            "mobile",
            ReliefKind::Group,
            &["13900000003", "13900000004"],
            Millis(0),
        ),
        relief(
            "peer",
            ReliefKind::Peer,
            &["13900000002"],
            Millis::from_secs(30),
        ),
    ];
    Arc::new(if chance.percent(50) { all } else { Vec::new() })
}

fn queues(chance: &mut Chance, main: &QueueId, child: &QueueId) -> BTreeMap<QueueId, QueuePolicy> {
    let mut strategy = || *chance.pick(&STRATEGIES).unwrap_or(&Strategy::LongestIdle);
    let plain = QueuePolicy {
        strategy: strategy(),
        ..QueuePolicy::PLAIN
    };
    let skilled = QueuePolicy {
        strategy: strategy(),
        needs: vec![String::from("child")],
        relax: Millis(7_000),
        ahead: Millis(12_000),
        fallback: Some(main.clone()),
    };
    [(main.clone(), plain), (child.clone(), skilled)].into()
}

fn trunks(queue: Option<QueueId>) -> BTreeMap<TrunkId, TrunkPolicy> {
    let trunk = |answer, outbound, queue| TrunkPolicy {
        queue,
        answer,
        area_code: String::from("0755"),
        outbound,
        shown_number: String::from("120"),
        circuits: None,
        circuits_kept: 0,
        peer: false,
    };
    let early = AnswerPolicy::EarlyMedia {
        limit_ms: Millis::from_secs(20),
    };
    let at_once = AnswerPolicy::AtOnce;
    [
        (TrunkId::from("ct"), trunk(at_once, Some(1), None)),
        (TrunkId::from("cmcc"), trunk(early, Some(2), queue)),
        (TrunkId::from("cucc"), trunk(at_once, None, None)),
    ]
    .into()
}
