//! A bench for the switch with virtual time: what happens goes in, what it says and wants is kept.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a test looks for one thing among all"
)]

mod bridge;
mod call_backs;
mod codes;
mod commands;
mod complaint;
mod counters;
mod crew;
mod exhaustive;
mod form;
mod group_calls;
mod handover;
mod holding;
mod joining;
mod ledger;
mod listening;
mod listening_queue;
mod losing;
mod major;
mod menus;
mod offering;
mod orders;
mod outbound;
mod overlong;
mod parties;
mod phones;
mod relief;
mod restart;
mod routing;
mod screening;
mod seats;
mod self_test;
mod shelving;
mod silent;
mod star;
mod supervising;
mod talking;
mod transferring;
mod waiting;

use std::collections::BTreeMap;

use uuid::Uuid;

use super::*;
use crate::call::{AnswerPolicy, Arrival, Cause, DialogState, Ingress, Mode, Party, Target};
use crate::id::{CommandId, MarkId, PlayId, QueueId};
use crate::matrix::Matrix;
use crate::time::Millis;

pub(super) const START_MICROS: i64 = 1_763_771_400_000_000;

pub(super) fn policy() -> Policy {
    let seat = |role| SeatPolicy {
        role,
        queues: Vec::new(),
        skills: Vec::new(),
        ready_on_register: role != SeatRole::Supervisor,
    };
    let (dispatcher, supervisor) = (SeatRole::Dispatcher, SeatRole::Supervisor);
    let trunk = |outbound, answer| TrunkPolicy {
        queue: None,
        answer,
        area_code: String::from("0755"),
        outbound,
        shown_number: String::from("120"),
        circuits: None,
        circuits_kept: 0,
        peer: false,
    };
    Policy {
        centre: Centre {
            id: String::from("c1"),
            name: String::from("centre"),
            area_code: String::from("0755"),
            division: String::from("440300"),
        },
        queue: QueueId::from("main"),
        queues: [(QueueId::from("main"), QueuePolicy::PLAIN)].into(),
        timers: Timers::default(),
        seats: [
            (SeatId::from("801"), seat(dispatcher)),
            (SeatId::from("802"), seat(dispatcher)),
            (SeatId::from("803"), seat(dispatcher)),
            (SeatId::from("901"), seat(supervisor)),
        ]
        .into(),
        trunks: [
            (TrunkId::from("ct"), trunk(Some(1), AnswerPolicy::AtOnce)),
            (
                TrunkId::from("cmcc"),
                trunk(
                    Some(2),
                    AnswerPolicy::EarlyMedia {
                        limit_ms: Millis::from_secs(20),
                    },
                ),
            ),
            (TrunkId::from("in"), trunk(None, AnswerPolicy::AtOnce)),
        ]
        .into(),
        shared_numbers: vec![String::from("+8675588880000")],
        screening: crate::screen::Bounds::default(),
        call_backs: CallBackRules::default(),
        desks: Default::default(),
        menus: crate::ivr::Menus::default(),
        relief: std::sync::Arc::default(),
        groups: std::sync::Arc::default(),
        forms: std::sync::Arc::default(),
        language: String::from("zh-CN"),
        self_tests: crate::switch::SelfTestRules::default(),
        allow_faults: false,
        recording: true,
    }
}

/// The switch under test and all that came out of it.
pub(super) struct Rig {
    pub(super) switch: Switch,
    pub(super) now: Timestamp,
    pub(super) events: Vec<Event>,
    pub(super) effects: Vec<Effect>,
    ids: u128,
    inputs: u32,
    seqs: BTreeMap<CallId, u64>,
}

impl Rig {
    pub(super) fn new() -> Self {
        Self::with(policy())
    }

    pub(super) fn with(policy: Policy) -> Self {
        let mut rig = Self {
            switch: Switch::new(7, policy.clone()),
            now: Timestamp::from_micros(START_MICROS),
            events: Vec::new(),
            effects: Vec::new(),
            ids: 0,
            inputs: 0,
            seqs: BTreeMap::new(),
        };
        rig.input(InputKind::Started {
            seed: 7,
            build: String::from("test"),
            policy: Box::new(policy),
        });
        rig.forget();
        rig
    }

    pub(super) fn input(&mut self, kind: InputKind) {
        self.switch.handle(&Input { at: self.now, kind });
        while let Some(effect) = self.switch.poll_effect() {
            self.effects.push(effect);
        }
        for event in self.switch.take_events() {
            if let Some(call) = event.call {
                let seq = self.seqs.entry(call).or_default();
                *seq += 1;
                assert_eq!(event.callseq, *seq, "gapless per call");
            }
            self.events.push(event);
        }
        self.inputs += 1;
        if self.inputs.is_multiple_of(4) {
            let written = self.switch.snapshot().unwrap();
            let copy = Switch::restore(&written).unwrap();
            assert_eq!(copy.state_hash(), self.switch.state_hash());
        }
    }

    /// Lets time pass; the switch is woken exactly when it asks for it.
    pub(super) fn pass(&mut self, ms: u32) {
        let end = self.now + Millis(ms);
        while let Some((due, _)) = self.switch.poll_timeout() {
            if due > end {
                break;
            }
            self.now = due.max(self.now);
            self.input(InputKind::Tick);
        }
        self.now = end;
        self.input(InputKind::Tick);
    }

    /// Lets time pass in one piece, as a stalled process sees it.
    pub(super) fn stall(&mut self, ms: u32) {
        self.now = self.now + Millis(ms);
        self.input(InputKind::Tick);
    }

    pub(super) fn forget(&mut self) {
        self.events.clear();
        self.effects.clear();
    }

    pub(super) fn id(&mut self) -> Uuid {
        self.ids += 1;
        Uuid::from_u128(self.ids)
    }

    pub(super) fn registers(&mut self, seat: &str) {
        let until = self.now + Millis::from_secs(3600);
        self.link(
            seat,
            SeatLink::Registered {
                contact: format!("sip:{seat}@phone"),
                until,
            },
        );
    }

    pub(super) fn link(&mut self, seat: &str, link: SeatLink) {
        let seat = SeatId::from(seat);
        self.input(InputKind::Seat { seat, link });
    }

    pub(super) fn arrival(&mut self, trunk: &str) -> Arrival {
        let (call, leg) = (CallId(self.id()), LegId(self.id()));
        Arrival {
            call,
            leg,
            ingress: Ingress::Trunk(TrunkId::from(trunk)),
            invite_key: format!("key-{leg}"),
            called: String::from("120"),
            caller: format!("1380013{:04}", self.ids % 10_000),
            caller_name: None,
            anonymous: false,
            access_network: Vec::new(),
            geolocation: Vec::new(),
            pidf: Vec::new(),
            diverted_from: Vec::new(),
            source: String::from("192.0.2.1:5060"),
            dialog: DialogState(serde_json::json!({"leg": leg.to_string()})),
            refused_capacity: false,
        }
    }

    pub(super) fn arrives_as(&mut self, arrival: Arrival) -> (CallId, LegId) {
        let ids = (arrival.call, arrival.leg);
        self.input(InputKind::Arrived {
            arrival: Box::new(arrival),
        });
        ids
    }

    pub(super) fn arrives(&mut self) -> (CallId, LegId) {
        let arrival = self.arrival("ct");
        self.arrives_as(arrival)
    }

    pub(super) fn leg(&mut self, leg: LegId, event: LegEvent) {
        self.input(InputKind::Leg { leg, event });
    }

    pub(super) fn acks(&mut self, leg: LegId) {
        self.leg(leg, LegEvent::Confirmed);
    }

    pub(super) fn rings(&mut self, leg: LegId) {
        self.progress(leg, 180, false);
    }

    pub(super) fn progress(&mut self, leg: LegId, status: u16, early_media: bool) {
        self.leg(
            leg,
            LegEvent::Progress {
                status,
                early_media,
            },
        );
    }

    pub(super) fn picks_up(&mut self, leg: LegId) {
        self.leg(leg, LegEvent::Answered);
    }

    pub(super) fn fails(&mut self, leg: LegId, cause: Cause) {
        let status = Some(cause.sip_status());
        self.leg(leg, LegEvent::Failed { cause, status });
    }

    /// BYE or CANCEL by the far side.
    pub(super) fn hangs_up(&mut self, leg: LegId) {
        self.leg(
            leg,
            LegEvent::Ended {
                cause: Cause::Normal,
                by_far_side: true,
            },
        );
    }

    /// The dialog died without a BYE.
    pub(super) fn is_lost(&mut self, leg: LegId) {
        self.leg(
            leg,
            LegEvent::Ended {
                cause: Cause::Lost,
                by_far_side: false,
            },
        );
    }

    pub(super) fn command(
        &mut self,
        by: Actor,
        command: Command,
    ) -> Result<CommandReply, CommandError> {
        let id = CommandId(self.id());
        self.input(InputKind::Command { id, by, command });
        self.effects
            .iter()
            .find_map(|effect| match effect {
                Effect::Reply { id: to, result } if *to == id => Some(result.clone()),
                _ => None,
            })
            .expect("every command is answered")
    }

    /// Everything that was ever rung, latest last.
    pub(super) fn rung(&self) -> Vec<(LegId, Target)> {
        self.effects
            .iter()
            .filter_map(|effect| match effect {
                Effect::Leg {
                    leg,
                    command: LegCommand::Invite(invite),
                } => Some((*leg, invite.target.clone())),
                _ => None,
            })
            .collect()
    }

    /// The leg of the last INVITE to that seat.
    pub(super) fn rung_seat(&self, seat: &str) -> Option<LegId> {
        self.rung()
            .into_iter()
            .rev()
            .find_map(|(leg, target)| match target {
                Target::Seat { seat: to, .. } if to == SeatId::from(seat) => Some(leg),
                _ => None,
            })
    }

    /// The trunk and leg of the last INVITE to a number.
    pub(super) fn rung_number(&self) -> Option<(String, LegId)> {
        self.rung()
            .into_iter()
            .rev()
            .find_map(|(leg, target)| match target {
                Target::Number { trunk, .. } => Some((trunk.0, leg)),
                Target::Seat { .. } => None,
            })
    }

    /// How a leg was told to end.
    pub(super) fn released(&self, leg: LegId) -> Option<Cause> {
        self.effects.iter().find_map(|effect| match effect {
            Effect::Leg {
                leg: of,
                command: LegCommand::Release { cause },
            } if *of == leg => Some(*cause),
            _ => None,
        })
    }

    pub(super) fn media(&self) -> Vec<MediaCommand> {
        self.effects
            .iter()
            .filter_map(|effect| match effect {
                Effect::Media { command, .. } => Some(command.clone()),
                _ => None,
            })
            .collect()
    }

    pub(super) fn matrix(&self) -> Matrix {
        self.media()
            .into_iter()
            .rev()
            .find_map(|command| match command {
                MediaCommand::Matrix { matrix } => Some(matrix),
                _ => None,
            })
            .unwrap_or_default()
    }

    pub(super) fn hears(&self, leg: LegId) -> Vec<LegId> {
        self.matrix().sources(leg).collect()
    }

    /// The last playback on a leg: its number and sounds; absent when it was stopped.
    pub(super) fn plays(&self, leg: LegId) -> Option<(PlayId, Vec<Sound>)> {
        self.media()
            .into_iter()
            .rev()
            .find_map(|command| match command {
                MediaCommand::Play {
                    leg: on,
                    play,
                    sounds,
                    ..
                } if on == leg => Some(Some((play, sounds))),
                MediaCommand::Stop { leg: on } if on == leg => Some(None),
                _ => None,
            })
            .flatten()
    }

    /// The names of the prompts last played on a leg.
    pub(super) fn said(&self, leg: LegId) -> Vec<String> {
        let sounds = self.plays(leg).map(|(_, sounds)| sounds);
        sounds
            .unwrap_or_default()
            .into_iter()
            .map(|sound| match sound {
                Sound::Prompt(prompt) => prompt.0,
                other => format!("{other:?}"),
            })
            .collect()
    }

    /// The running prompt ends.
    pub(super) fn prompt_ends(&mut self, leg: LegId) {
        let (play, _) = self.plays(leg).expect("something plays");
        self.input(InputKind::Media {
            leg,
            event: MediaEvent::PlayEnded { play },
        });
    }

    pub(super) fn names(&self) -> Vec<String> {
        self.events.iter().map(|e| name_of(&e.kind)).collect()
    }

    pub(super) fn count(&self, name: &str) -> usize {
        self.names().iter().filter(|n| *n == name).count()
    }

    pub(super) fn event(&self, name: &str) -> serde_json::Value {
        let event = self.events.iter().rev().find(|e| name_of(&e.kind) == name);
        serde_json::to_value(
            &event
                .unwrap_or_else(|| panic!("no {name} in {:?}", self.names()))
                .kind,
        )
        .unwrap()["data"]
            .clone()
    }

    pub(super) fn seat(&self, seat: &str) -> (SeatState, Option<String>) {
        let view = self.switch.view();
        let seat = view
            .seats
            .iter()
            .find(|s| s.seat == SeatId::from(seat))
            .expect("a configured seat");
        (seat.state, seat.reason.clone())
    }

    pub(super) fn state(&self, call: CallId) -> Option<CallState> {
        let view = self.switch.view();
        view.calls.iter().find(|c| c.call == call).map(|c| c.state)
    }

    pub(super) fn has_alarm(&self, code: AlarmCode, subject: &str) -> bool {
        let view = self.switch.view();
        view.alarms
            .iter()
            .any(|a| a.code == code && a.subject == subject)
    }

    /// A seat that answered a call at once: call, caller's leg, seat's leg.
    pub(super) fn talk(&mut self, seat: &str) -> (CallId, LegId, LegId) {
        self.registers(seat);
        let (call, caller) = self.arrives();
        self.acks(caller);
        let leg = self.rung_seat(seat).expect("the seat is rung");
        self.rings(leg);
        self.picks_up(leg);
        assert_eq!(self.state(call), Some(CallState::Talking));
        (call, caller, leg)
    }

    /// A third party being rung on the call.
    pub(super) fn adds(&mut self, call: CallId, seat: &str, role: &str) -> LegId {
        let reply = self.command(
            Actor::Seat(SeatId::from(seat)),
            Command::AddParty {
                call,
                number: String::from("13900000000"),
                role: role.to_owned(),
            },
        );
        match reply {
            Ok(CommandReply::Leg { leg }) => leg,
            other => panic!("add_party gave {other:?}"),
        }
    }

    pub(super) fn seals(&mut self, call: CallId) {
        let recording = self.switch.calls[&call].recording;
        self.input(InputKind::Recording {
            call,
            event: RecordingEvent::Sealed(sealed(recording, self.now)),
        });
    }
}

pub(super) fn sealed(recording: crate::id::RecordingId, start: Timestamp) -> SealedRecording {
    SealedRecording {
        recording,
        path: String::from("r.wav"),
        start,
        duration_ms: 1000,
        size_bytes: 16_000,
        sha256: String::from("00"),
        tracks: Vec::new(),
    }
}

pub(super) fn name_of(kind: &EventKind) -> String {
    serde_json::to_value(kind).unwrap()["type"]
        .as_str()
        .unwrap()
        .to_owned()
}
