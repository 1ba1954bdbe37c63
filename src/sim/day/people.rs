//! Callers, dispatchers, supervisors, modules and the parts of the shell: what they do on their own and in answer to
//! what the switch says.

use uuid::Uuid;

use super::Violation;
use super::network::{End, FarAct};
use super::world::{Happening, MENU_NUMBER, World};
use crate::call::{Arrival, DialogState, Ingress, KeyPath};
use crate::id::{CallBackId, CallId, CommandId, DestinationId, LegId, MarkId, SeatId, TrunkId};
use crate::switch::{
    Actor, AlarmCode, Command, CommandReply, DispatchReport, Effect, Event, EventKind, Finding,
    Input, InputKind, MediaCommand, MediaEvent, RecordingEvent, STAR_CODES, SealedRecording,
    SeatLink, Strategy, TrunkChange,
};
use crate::time::Millis;

/// A registration is good for this long; phones refresh it well before.
const REGISTRATION: Millis = Millis::from_secs(700);
const REFRESH: Millis = Millis::from_secs(300);
/// All ways to choose a seat.
pub(super) const STRATEGIES: [Strategy; 5] = [
    Strategy::LongestIdle,
    Strategy::Random,
    Strategy::FewestCalls,
    Strategy::RoundRobin,
    Strategy::RingAll,
];
/// What seats dial on their phones beside numbers of the centre.
pub(super) const OUTWARD: &str = "13911112222";
/// Steps at which the journal is replayed, beside kills and the end.
const REPLAYS: u32 = 3;
/// No caller stays longer.
const PATIENCE_MAX: Millis = Millis::from_secs(300);

/// What a person or a part of the shell does.
#[derive(Clone, Debug)]
pub(super) enum PersonAct {
    Dials {
        number: String,
    },
    Registers {
        seat: SeatId,
        keeps: bool,
    },
    Commands {
        by: Actor,
        command: Command,
    },
    /// The policy's strategy is changed while running.
    Reconfigures,
}

impl World {
    /// What is known in the morning.
    pub(super) fn plan_day(&mut self) {
        let day = self.day.0;
        let seats: Vec<_> = self.policy.seats.keys().cloned().collect();
        for seat in &seats {
            let after = self.chance.span(0, 5_000);
            self.registers(seat, after, true);
            self.plan_phone_trouble(seat);
        }
        let burst = self.chance.span(day / 15, day / 6 * 5);
        let calls = 34 + self.chance.below(26);
        for n in 0..(calls * (day / 60_000)).div_ceil(30) {
            let after = if n % 6 == 0 {
                Millis(burst.0 + self.chance.below(20_000))
            } else {
                self.chance.span(2_000, day)
            };
            let number = self.number();
            self.plan(after, Happening::Person(PersonAct::Dials { number }));
        }
        self.plan_shell_trouble();
        for _ in 0..REPLAYS {
            let at = self.chance.span(day / 20, day + 120_000);
            self.plan(at, Happening::Snapshot);
        }
        self.plan_faults();
    }

    fn plan_phone_trouble(&mut self, seat: &SeatId) {
        let day = self.day.0;
        for _ in 0..self.chance.below(4) {
            let at = self.chance.span(day / 90, day);
            let back = Millis(at.0 + self.chance.span(2_000, 60_000).0);
            if self.chance.percent(50) {
                self.links(seat, at, SeatLink::Unregistered);
                self.registers(seat, back, false);
            } else {
                self.links(seat, at, SeatLink::Reachable { reachable: false });
                self.links(seat, back, SeatLink::Reachable { reachable: true });
            }
        }
    }

    fn plan_shell_trouble(&mut self) {
        let day = self.day.0;
        for _ in 0..self.chance.below(4) {
            let at = self.chance.span(0, day);
            let back = Millis(at.0 + self.chance.below(120_000));
            let trunk = TrunkId::from(if self.chance.percent(50) {
                "ct"
            } else {
                "cmcc"
            });
            let down = TrunkChange::Down {
                reason: String::from("OPTIONS unanswered"),
            };
            for (at, change) in [(at, down), (back, TrunkChange::Up)] {
                let trunk = trunk.clone();
                self.reaches(at, InputKind::Trunk { trunk, change });
            }
        }
        for _ in 0..self.chance.below(3) {
            let at = self.chance.span(0, day);
            let back = Millis(at.0 + self.chance.below(60_000));
            for (at, raised) in [(at, true), (back, false)] {
                self.reaches(
                    at,
                    InputKind::Alarm {
                        code: AlarmCode::JournalLate,
                        subject: String::from("journal"),
                        detail: String::from("60 ms"),
                        raised,
                    },
                );
            }
            let address = format!("203.0.113.{}", self.chance.below(4));
            self.reaches(at, InputKind::UnknownSource { address, count: 1 });
            self.reaches(
                back,
                InputKind::Skipped {
                    call: None,
                    reason: String::from("planted"),
                },
            );
        }
        let at = self.chance.span(0, day);
        self.plan(at, Happening::Person(PersonAct::Reconfigures));
    }

    pub(super) fn reaches(&mut self, after: Millis, kind: InputKind) {
        if self.is_doubled() {
            let again = Millis(after.0 + self.chance.below(1_000));
            self.plan(again, Happening::Reaches(Box::new(kind.clone())));
        }
        self.plan(after, Happening::Reaches(Box::new(kind)));
    }

    pub(super) fn links(&mut self, seat: &SeatId, after: Millis, link: SeatLink) {
        let seat = seat.clone();
        self.reaches(after, InputKind::Seat { seat, link });
    }

    pub(super) fn registers(&mut self, seat: &SeatId, after: Millis, keeps: bool) {
        let seat = seat.clone();
        self.plan(
            after,
            Happening::Person(PersonAct::Registers { seat, keeps }),
        );
    }

    pub(super) fn redials(&mut self, number: String) {
        if self.chance.percent(70) {
            let after = self.chance.span(1_000, 20_000);
            self.plan(after, Happening::Person(PersonAct::Dials { number }));
        }
    }

    fn number(&mut self) -> String {
        match self.chance.below(10) {
            0 => String::new(),
            1 => String::from("075588880000"),
            _ => format!("138001380{:02}", self.chance.below(40)),
        }
    }

    pub(super) fn person(&mut self, act: PersonAct) -> Result<(), Box<Violation>> {
        match act {
            PersonAct::Dials { number } => self.dials(number),
            PersonAct::Registers { seat, keeps } => {
                let until = self.clock() + REGISTRATION;
                let contact = format!("sip:{seat}@phone.invalid");
                let link = SeatLink::Registered { contact, until };
                let after = self.chance.span(5, 60);
                self.links(&seat, after, link);
                // Now and then a phone forgets to refresh.
                if keeps && !self.chance.percent(3) {
                    self.registers(&seat, REFRESH, true);
                }
            }
            PersonAct::Commands { by, command } => {
                if !self.down {
                    let id = CommandId(self.uuid());
                    self.feed(InputKind::Command { id, by, command })?;
                }
            }
            PersonAct::Reconfigures => {
                if !self.down {
                    self.reconfigures();
                    let policy = Box::new(self.policy.clone());
                    self.feed(InputKind::PolicyChanged { policy })?;
                }
            }
        }
        Ok(())
    }

    /// The strategy changes, and sometimes a queue is no more.
    fn reconfigures(&mut self) {
        let strategy = *self.chance.pick(&STRATEGIES).unwrap_or(&Strategy::Random);
        let main = self.policy.queue.clone();
        if let Some(rules) = self.policy.queues.get_mut(&main) {
            rules.strategy = strategy;
        }
        if self.chance.percent(50) {
            self.policy.queues.retain(|id, _| *id == main);
        }
    }

    pub(super) fn uuid(&mut self) -> Uuid {
        Uuid::from_u64_pair(self.chance.next(), self.chance.next())
    }

    fn dials(&mut self, number: String) {
        let (call, leg) = (CallId(self.uuid()), LegId(self.uuid()));
        let seats: Vec<_> = self.policy.seats.keys().cloned().collect();
        let ingress = match self.chance.below(40) {
            0 => match self.chance.pick(&seats) {
                Some(seat) => Ingress::Seat(seat.clone()),
                None => return,
            },
            1..16 => Ingress::Trunk(TrunkId::from("cmcc")),
            16..20 => Ingress::Trunk(TrunkId::from("unheard-of")),
            _ => Ingress::Trunk(TrunkId::from("ct")),
        };
        let called = if matches!(ingress, Ingress::Seat(_)) && self.chance.percent(50) {
            OUTWARD
        } else if self.chance.percent(15) {
            MENU_NUMBER
        } else {
            "120"
        };
        let arrival = Arrival {
            call,
            leg,
            ingress,
            invite_key: format!("{leg}"),
            called: called.to_owned(),
            caller: number.clone(),
            caller_name: None,
            anonymous: number.is_empty(),
            access_network: Vec::new(),
            geolocation: Vec::new(),
            pidf: Vec::new(),
            diverted_from: Vec::new(),
            source: String::from("192.0.2.1:5060"),
            dialog: DialogState(serde_json::json!({ "leg": leg })),
            refused_capacity: self.chance.percent(2),
        };
        let again = InputKind::ArrivedAgain {
            invite_key: arrival.invite_key.clone(),
        };
        if !arrival.refused_capacity {
            self.open_dialog(leg, End::Caller { number });
            self.invites.insert(leg, arrival.clone());
            self.plan_patience(leg, Millis(0));
            if called == MENU_NUMBER {
                self.plan_keys(leg);
            }
        }
        if self.chance.percent(3) {
            let after = self.chance.span(500, 4_000);
            self.plan(after, Happening::Reaches(Box::new(again)));
        }
        let after = self.chance.span(5, 200);
        let arrival = Box::new(arrival);
        self.reaches(after, InputKind::Arrived { arrival });
    }

    /// Some give up early, some are cut off, none stays for ever.
    pub(super) fn plan_patience(&mut self, leg: LegId, from: Millis) {
        let (act, after) = match self.chance.below(100) {
            0..18 => (FarAct::HangUp, self.chance.tail(12_000)),
            18..22 => (FarAct::Break, self.chance.tail(60_000)),
            22..25 => (FarAct::Vanish, self.chance.tail(60_000)),
            _ => (FarAct::HangUp, PATIENCE_MAX),
        };
        // Nothing of a caller can overtake his INVITE.
        self.plan_far(Millis(from.0 + after.0.max(400)), leg, act);
        if self.chance.percent(10) {
            let press = FarAct::Press('1', KeyPath::Signalling);
            self.plan_far(Millis(from.0 + 3_000), leg, press);
            self.plan_far(Millis(from.0 + 5_000), leg, FarAct::Mute);
        }
    }

    /// Right keys, wrong ones, or none; some phones send each both ways.
    fn plan_keys(&mut self, leg: LegId) {
        let paths: &[KeyPath] = match self.chance.below(3) {
            0 => &[KeyPath::Signalling],
            1 => &[KeyPath::Media],
            _ => &[KeyPath::Media, KeyPath::Signalling],
        };
        let mut at = Millis(500);
        for _ in 0..self.chance.below(5) {
            at = Millis(at.0 + self.chance.tail(4_000).0);
            let key = self.chance.pick(&['1', '1', '2', '8', '9', '#']).copied();
            for path in paths {
                let act = FarAct::Press(key.unwrap_or('1'), *path);
                self.plan_far(at, leg, act);
            }
        }
    }

    /// Everybody acts on what the switch said and wants.
    pub(super) fn act_on(&mut self, input: &Input, events: &[Event], effects: &[Effect]) {
        for effect in effects {
            match effect {
                Effect::Leg { leg, command } => self.run_command(*leg, command),
                Effect::Media { call, command } => self.media(*call, command),
                Effect::Ask { call, .. } => self.asked(*call),
                Effect::AskPin { .. } => {}
                Effect::Reply { result, .. } => self.replied(input, result.as_ref().ok()),
            }
        }
        for event in events {
            self.heard(event);
        }
    }

    fn media(&mut self, call: CallId, command: &MediaCommand) {
        match command {
            MediaCommand::Record { recording } => {
                let recording = *recording;
                self.recordings.insert(call, recording);
                let after = self.chance.span(10, 100);
                let event = RecordingEvent::Started {
                    recording,
                    at: self.clock(),
                };
                self.reaches(after, InputKind::Recording { call, event });
            }
            MediaCommand::Play {
                leg,
                play,
                repeat: false,
                ..
            } => {
                if !self.chance.percent(2) {
                    let after = self.chance.span(1_000, 7_000);
                    let event = MediaEvent::PlayEnded { play: *play };
                    self.reaches(after, InputKind::Media { leg: *leg, event });
                }
            }
            MediaCommand::Close => self.seals(call),
            MediaCommand::Play { repeat: true, .. }
            | MediaCommand::Track { .. }
            | MediaCommand::Untrack { .. }
            | MediaCommand::Matrix { .. }
            | MediaCommand::Stop { .. }
            | MediaCommand::StarCodes { .. }
            | MediaCommand::Hear { .. }
            | MediaCommand::Move { .. }
            | MediaCommand::Join { .. }
            | MediaCommand::Part => {}
        }
    }

    pub(super) fn seals(&mut self, call: CallId) {
        let Some(recording) = self.recordings.get(&call).copied() else {
            return;
        };
        let after = self.chance.span(50, 3_000);
        let event = match self.chance.below(20) {
            // The recorder never speaks again.
            0 => return,
            1 => RecordingEvent::Failed {
                recording,
                detail: String::from("disk full"),
            },
            _ => RecordingEvent::Sealed(SealedRecording {
                recording,
                path: format!("{recording}.wav"),
                start: self.clock(),
                duration_ms: 1,
                size_bytes: 1,
                sha256: String::new(),
                tracks: Vec::new(),
            }),
        };
        self.reaches(after, InputKind::Recording { call, event });
    }

    fn asked(&mut self, call: CallId) {
        for _ in 0..self.chance.below(3) {
            let after = self.chance.tail(6_000);
            let finding = Box::new(Finding::Failed {
                source: String::from("line"),
                reason: String::from("timeout"),
            });
            self.reaches(after, InputKind::Found { call, finding });
        }
    }

    fn replied(&mut self, input: &Input, reply: Option<&CommandReply>) {
        let InputKind::Command { by, command, .. } = &input.kind else {
            return;
        };
        if let Some(CommandReply::GroupCall { group_call }) = reply {
            return self.group_goes_on(by, *group_call);
        }
        let Some(CommandReply::Leg { leg }) = reply else {
            return;
        };
        let (by, leg) = (by.clone(), *leg);
        if let Command::AddParty { call, .. } = command
            && self.chance.percent(30)
        {
            let after = self.chance.tail(8_000);
            self.commands(after, by, Command::RemoveParty { call: *call, leg });
        } else if let Command::Listen { call, seat, .. }
        | Command::AcceptAssist { call, seat, .. } = command
        {
            self.supervisor_goes_on(*call, seat, by);
        } else if let Command::ListenQueue { seat, .. } = command {
            self.queue_listener_goes_on(seat, leg, &by);
        }
    }

    pub(super) fn commands(&mut self, after: Millis, by: Actor, command: Command) {
        self.plan(
            after,
            Happening::Person(PersonAct::Commands { by, command }),
        );
    }

    fn heard(&mut self, event: &Event) {
        if let EventKind::SeatAnswered { seat, leg } = &event.kind
            && let Some(call) = event.call
        {
            self.talk(call, seat, *leg);
            self.rings_group(call, seat);
        } else if let EventKind::SeatStateChanged { seat, state, .. } = &event.kind {
            self.seat_changed(seat, state);
        } else if let EventKind::PartyJoined { leg, .. } = &event.kind {
            let act = if self.chance.percent(15) {
                FarAct::Break
            } else {
                FarAct::HangUp
            };
            let after = self.chance.tail(30_000);
            self.plan_far(after, *leg, act);
        } else if let EventKind::CallJoined { into, leg, .. } = &event.kind
            && event.call == Some(*into)
        {
            // Two seats whose callers have left do not talk for ever.
            let after = Millis(20_000 + self.chance.tail(60_000).0);
            self.plan_far(after, *leg, FarAct::HangUp);
        } else if let EventKind::CallReceived { .. } = &event.kind
            && let Some(call) = event.call
        {
            self.supervisor_listens(call, 5);
            self.supervisor_listens_to_queue(4);
            self.supervisors_order(call);
        } else if let EventKind::AssistRequested { .. } = &event.kind
            && let Some(call) = event.call
        {
            self.supervisors_help(call);
        } else if let EventKind::TookOver { leg, .. } = &event.kind {
            // Who was left in the call may be nobody who would end it.
            let after = Millis(20_000 + self.chance.tail(60_000).0);
            self.plan_far(after, *leg, FarAct::HangUp);
        } else if let EventKind::HarassmentSuspected { mark } = &event.kind {
            self.supervisor_judges(mark.mark);
        } else if let EventKind::HarassmentConfirmed { mark, .. } = &event.kind {
            self.supervisor_lifts(*mark);
        } else if let EventKind::ComplaintOpened { complaint } = &event.kind {
            self.settles_complaint(complaint.complaint);
        } else if let EventKind::ShiftHandover { handover } = &event.kind {
            let (by, handover) = (Actor::Seat(handover.to.clone()), handover.handover);
            let after = self.chance.tail(60_000);
            self.commands(after, by, Command::TakeOverShift { handover });
        } else if let EventKind::CallBackDue { call_back, .. } = &event.kind {
            self.dials_call_back(*call_back);
            self.closes_call_back(*call_back);
        } else if let EventKind::CallSettled {} = &event.kind
            && let Some(call) = event.call
        {
            self.modules_report(call);
            self.sends_crew(call);
        }
    }

    /// What may come of a talk.
    fn talk(&mut self, call: CallId, seat: &SeatId, leg: LegId) {
        let by = Actor::Seat(seat.clone());
        let caller = self.checker.caller_of(call);
        let length = self.chance.tail(45_000);
        match self.chance.below(100) {
            0..45 => {
                if let Some(caller) = caller {
                    self.plan_far(length, caller, FarAct::HangUp);
                }
            }
            45..70 => self.plan_far(length, leg, FarAct::HangUp),
            70..85 => self.commands(length, by.clone(), Command::HangUp { call }),
            85..90 => self.plan_far(length, leg, FarAct::Break),
            90..95 => self.plan_far(length, leg, FarAct::Vanish),
            // The caller's patience ends it; where there is none, the seat's.
            _ => {
                let long = Millis(length.0 + PATIENCE_MAX.0);
                self.commands(long, by.clone(), Command::HangUp { call });
            }
        }
        // Seats whose callers have left do not talk for ever.
        self.plan_far(PATIENCE_MAX, leg, FarAct::HangUp);
        if self.chance.percent(35) {
            let after = self.chance.tail(10_000);
            self.add_party(after, &by, call, "doctor");
            if self.chance.percent(20) {
                self.add_party(after, &by, call, "110");
            }
        }
        if self.chance.percent(12) {
            self.joins(call, &by);
        }
        self.handles(call, seat, caller);
        if self.chance.percent(10) {
            let after = self.chance.span(1_000, 5_000);
            self.plan_far(after, leg, FarAct::Hold(true));
            self.plan_far(Millis(after.0 + 4_000), leg, FarAct::Hold(false));
        }
        if self.chance.percent(25) {
            // Now and then when the talk is over already.
            let after = self.chance.tail(60_000);
            let reason = String::from("骚扰");
            self.commands(after, by.clone(), Command::ProposeVerdict { call, reason });
        }
        self.writes(call, &by);
        self.asks_for_help(call, &Actor::Seat(seat.clone()));
        self.supervisor_listens(call, 15);
        if self.chance.percent(15) {
            self.keys_star_code(leg);
        }
    }

    /// Any code there is, one that is not, or one left half way.
    fn keys_star_code(&mut self, leg: LegId) {
        let codes = u32::try_from(STAR_CODES.len()).unwrap_or(0);
        let n = usize::try_from(self.chance.below(codes + 2)).unwrap_or(0);
        let mut keys = match STAR_CODES.get(n) {
            Some(code) => match code.argument {
                Some("seat") => format!("*{}80{}#", code.code, self.chance.below(5)),
                Some(_) => format!("*{}13900139000#", code.code),
                None => format!("*{}", code.code),
            },
            None => String::from("*77"),
        };
        if self.chance.percent(10) {
            keys.pop();
        }
        let mut after = self.chance.tail(10_000);
        for digit in keys.chars() {
            let event = MediaEvent::Digit {
                digit,
                duration_ms: 100,
            };
            self.reaches(after, InputKind::Media { leg, event });
            after = Millis(after.0 + 200);
        }
    }

    fn supervisor_judges(&mut self, mark: MarkId) {
        let after = self.chance.tail(30_000);
        let by = self.any_supervisor();
        match self.chance.below(10) {
            0 => self.commands(
                after,
                Actor::Seat(SeatId::from("800")),
                Command::ConfirmVerdict { mark },
            ),
            1..9 => self.commands(after, by, Command::ConfirmVerdict { mark }),
            _ => {
                let reason = String::new();
                self.commands(after, by, Command::LiftVerdict { mark, reason });
            }
        }
    }

    /// The seat takes one or two other calls into its talk; somebody may end one of them for itself.
    fn joins(&mut self, call: CallId, by: &Actor) {
        let open = self.checker.open_calls();
        for _ in 0..1 + self.chance.below(2) {
            let Some(with) = self.chance.pick(&open).copied() else {
                return;
            };
            let after = self.chance.tail(6_000);
            self.commands(after, by.clone(), Command::Join { call, with });
            if self.chance.percent(25) {
                let after = Millis(after.0 + self.chance.tail(20_000).0);
                self.commands(after, by.clone(), Command::HangUp { call: with });
            }
        }
    }

    fn supervisor_lifts(&mut self, mark: MarkId) {
        if self.chance.percent(30) {
            let after = self.chance.tail(300_000);
            let (by, reason) = (self.any_supervisor(), String::from("误标"));
            self.commands(after, by, Command::LiftVerdict { mark, reason });
        }
    }

    pub(super) fn any_supervisor(&self) -> Actor {
        let seats = self.policy.seats.iter();
        let mut own = seats
            .filter(|(_, seat)| seat.is_supervisor())
            .map(|(id, _)| id.clone());
        own.next_back()
            .map_or(Actor::User(String::from("班长")), Actor::Supervisor)
    }

    fn add_party(&mut self, after: Millis, by: &Actor, call: CallId, role: &str) {
        let command = Command::AddParty {
            call,
            number: String::from("13900000000"),
            role: role.to_owned(),
        };
        self.commands(after, by.clone(), command);
    }

    fn seat_changed(&mut self, seat: &SeatId, state: &str) {
        self.signs_out(seat);
        let by = Actor::Seat(seat.clone());
        let supervisor = self
            .policy
            .seats
            .get(seat)
            .is_some_and(|s| s.is_supervisor());
        if self.chance.percent(4) {
            self.seat_dials(seat);
        }
        let seat = seat.clone();
        if state == "not_ready" && (!supervisor || self.chance.percent(20)) {
            let after = self.chance.span(2_000, 25_000);
            self.commands(after, by, Command::SeatReady { seat });
        } else if state == "wrap_up" && self.chance.percent(30) {
            let after = self.chance.span(1_000, 14_000);
            self.commands(after, by, Command::SeatReady { seat });
        } else if self.chance.percent(4) {
            let after = self.chance.tail(20_000);
            let reason = String::from("离席");
            self.commands(after, by, Command::SeatNotReady { seat, reason });
        }
    }

    fn dials_call_back(&mut self, call_back: CallBackId) {
        let seats: Vec<_> = self.policy.seats.keys().cloned().collect();
        for _ in 0..self.chance.below(3) {
            if let Some(seat) = self.chance.pick(&seats).cloned() {
                let after = self.chance.tail(60_000);
                let by = Actor::Seat(seat.clone());
                self.commands(after, by, Command::CallBackNow { call_back, seat });
            }
        }
    }

    fn closes_call_back(&mut self, call_back: CallBackId) {
        if self.chance.percent(40) {
            let after = self.chance.tail(60_000);
            let by = Actor::User(String::from("named person"));
            let outcome = String::from("reached");
            self.commands(after, by, Command::CloseCallBack { call_back, outcome });
        }
    }

    /// A seat dials out, or calls a colleague; now and then while it is busy.
    fn seat_dials(&mut self, seat: &SeatId) {
        let by = Actor::Seat(seat.clone());
        let after = self.chance.tail(15_000);
        let seats: Vec<_> = self.policy.seats.keys().cloned().collect();
        let colleague = self.chance.pick(&seats).map(|seat| seat.0.clone());
        let number = match colleague {
            Some(colleague) if self.chance.percent(50) => colleague,
            Some(_) | None => String::from("13912345678"),
        };
        let seat = seat.clone();
        self.commands(after, by, Command::Dial { seat, number });
    }

    fn modules_report(&mut self, call: CallId) {
        let dispatch = DestinationId::from("dispatch");
        let by = Actor::Module(dispatch.clone());
        let after = self.chance.tail(5_000);
        let incident_id = Some(format!("I-{call}"));
        self.commands(
            after,
            by.clone(),
            Command::Acknowledge {
                call,
                destination: dispatch,
                incident_id,
            },
        );
        if self.chance.percent(30) {
            let report = DispatchReport::Cancelled {
                order_id: String::from("1"),
                reason: String::from("walked in"),
            };
            self.commands(after, by, Command::Dispatch { call, report });
        }
    }
}
