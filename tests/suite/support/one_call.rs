//! The Events of whole calls, as the switch makes them, for tests of what reads Events.

use firstring::call::{Arrival, Cause, DialogState, Ingress};
use firstring::geo::{Datum, LatLon};
use firstring::id::{CallBackId, CallId, DestinationId, IdSource, LegId, QueueId, RecordingId};
use firstring::phone::{Number, NumberKind};
use firstring::store::journal::Entry;
use firstring::switch::{
    Actor, Centre, DispatchReport, Event, EventKind, Finding, Input, InputKind, LineData,
    LineStatus, Location, LocationSource, NetworkCell, Outcome, SealedRecording, SealedTrack,
    Shape,
};
use firstring::time::Timestamp;

/// 2026-11-22T00:30:00Z.
pub const START_US: i64 = 1_795_307_400_000_000;

pub fn centre() -> Centre {
    Centre {
        id: "sz120".to_owned(),
        name: "深圳市急救中心".to_owned(),
        area_code: "0755".to_owned(),
        division: "440300".to_owned(),
    }
}

pub fn number(raw: &str) -> Number {
    Number {
        raw: raw.to_owned(),
        e164: Some(format!("+86{raw}")),
        display: raw.to_owned(),
        anonymous: false,
        callable: true,
        kind: NumberKind::Mobile,
    }
}

/// Writes one call's Events at given offsets.
pub struct Script {
    ids: IdSource,
    pub call: CallId,
    pub events: Vec<Event>,
    start_us: i64,
}

impl Script {
    /// Call number `n` of a test, arriving at `START_US` + `n` minutes.
    pub fn new(n: u64) -> Self {
        let start_us = START_US + i64::try_from(n).unwrap() * 60_000_000;
        let mut ids = IdSource::new(n + 1);
        let call = CallId(ids.next_uuid(Timestamp::from_micros(start_us)));
        Self {
            ids,
            call,
            events: Vec::new(),
            start_us,
        }
    }

    pub fn leg(&mut self) -> LegId {
        LegId(self.ids.next_uuid(Timestamp::from_micros(self.start_us)))
    }

    pub fn at(&self, offset_ms: i64) -> Timestamp {
        Timestamp::from_micros(self.start_us + offset_ms * 1000)
    }

    pub fn push(&mut self, offset_ms: i64, kind: EventKind) -> &mut Self {
        let at = self.at(offset_ms);
        let id = self.ids.next_uuid(at).into();
        self.events.push(Event {
            id,
            at,
            call: Some(self.call),
            callseq: self.events.len() as u64 + 1,
            kind,
        });
        self
    }

    fn received(&mut self, raw: &str) {
        let arrival = Arrival {
            call: self.call,
            leg: self.leg(),
            ingress: Ingress::Trunk("ct".into()),
            invite_key: format!("{}@carrier;from-tag;1", self.call),
            called: "0755120".to_owned(),
            caller: raw.to_owned(),
            caller_name: None,
            anonymous: false,
            access_network: Vec::new(),
            geolocation: Vec::new(),
            pidf: Vec::new(),
            diverted_from: Vec::new(),
            source: "192.0.2.10:5060".to_owned(),
            dialog: DialogState(serde_json::json!({ "call_id": "x" })),
            refused_capacity: false,
        };
        self.push(
            0,
            EventKind::CallReceived {
                arrival: Box::new(arrival),
                caller: number(raw),
                serial_no: "20261122000123".to_owned(),
                channel: "mobile".to_owned(),
            },
        );
    }
}

fn findings() -> Vec<(i64, Finding)> {
    vec![
        (
            20,
            Finding::Network(NetworkCell {
                access: "3GPP-E-UTRAN-TDD".to_owned(),
                mcc: "460".to_owned(),
                mnc: "00".to_owned(),
                tac: "102D".to_owned(),
                cell_id: "108F00D".to_owned(),
                trust: "network".to_owned(),
            }),
        ),
        (
            21,
            Finding::History {
                window_days: 365,
                count: 2,
                last_calls: vec![serde_json::json!({ "outcome": "answered" })],
            },
        ),
        (
            600,
            Finding::Line(LineData {
                status: LineStatus::Found,
                elapsed_ms: 580,
                carrier: Some("中国电信".to_owned()),
                owner: Some("张三".to_owned()),
                number: Some("13800138000".to_owned()),
                install_address: Some("深圳市福田区深南大道1号".to_owned()),
                box_address: None,
            }),
        ),
        (
            601,
            Finding::Location(Location {
                source: LocationSource::Cell,
                datum: Datum::Gcj02,
                point: Some(LatLon {
                    lat: 22.5404,
                    lon: 114.063,
                }),
                shape: Shape::Circle,
                radius_m: Some(350.0),
                confidence_pct: Some(67),
                civic: None,
                measured_at: Some("2026-11-22T00:29:58Z".to_owned()),
            }),
        ),
        (
            650,
            Finding::Failed {
                source: "pidf".to_owned(),
                reason: "no location by reference at this stage".to_owned(),
            },
        ),
    ]
}

/// A call with everything: found positions, a seat that does not answer, one that does, a third party, a listener, a
/// recording, an order, acknowledgements.
pub fn answered(n: u64, caller: &str) -> Script {
    let mut script = Script::new(n);
    let (seat_a, seat_b) = (script.leg(), script.leg());
    let (doctor, listener) = (script.leg(), script.leg());
    let recording = RecordingId(script.leg().0);
    script.received(caller);
    script.push(3, EventKind::CallAnsweredBySystem {});
    script.push(4, EventKind::RecordingStarted { recording });
    for (offset_ms, finding) in findings() {
        script.push(offset_ms, EventKind::CallFound { finding });
    }
    script
        .push(
            700,
            EventKind::PromptStarted {
                prompt: "greeting".into(),
                position: None,
            },
        )
        .push(
            700,
            EventKind::QueueEntered {
                queue: QueueId::from("120"),
                position: 0,
                again: false,
                behind: None,
            },
        )
        .push(
            701,
            EventKind::SeatRinging {
                seat: "801".into(),
                leg: seat_a,
            },
        )
        .push(
            8_701,
            EventKind::SeatRingTimeout {
                seat: "801".into(),
                leg: seat_a,
            },
        )
        .push(
            8_702,
            EventKind::SeatRinging {
                seat: "802".into(),
                leg: seat_b,
            },
        )
        .push(10_000, EventKind::WaitExceeded { waited_ms: 10_000 })
        .push(
            11_250,
            EventKind::SeatAnswered {
                seat: "802".into(),
                leg: seat_b,
            },
        )
        .push(
            11_250,
            EventKind::QueueLeft {
                queue: QueueId::from("120"),
                reason: "answered".to_owned(),
                waited_ms: 10_550,
            },
        );
    talk(&mut script, seat_b, doctor, listener);
    finish(&mut script, seat_b, recording);
    script
}

fn talk(script: &mut Script, seat: LegId, doctor: LegId, listener: LegId) {
    let role = "doctor".to_owned();
    let number = "13900139000".to_owned();
    script
        .push(
            12_000,
            EventKind::MonitorStarted {
                seat: "899".into(),
                leg: listener,
                mode: firstring::call::Mode::Listen,
            },
        )
        .push(
            15_000,
            EventKind::PartyRinging {
                leg: doctor,
                role: role.clone(),
                number: number.clone(),
                trunk: Some("ct".into()),
            },
        )
        .push(
            18_000,
            EventKind::PartyJoined {
                leg: doctor,
                role: role.clone(),
                number,
            },
        )
        .push(
            25_000,
            EventKind::DigitReceived {
                leg: seat,
                digit: '1',
            },
        )
        .push(
            26_000,
            EventKind::DispatchReported {
                by: Actor::Module("dispatch".into()),
                report: DispatchReport::OrderIssued {
                    order_id: "o1".to_owned(),
                    station: Some("福田站".to_owned()),
                    vehicle: "粤B120".to_owned(),
                },
            },
        )
        .push(
            30_000,
            EventKind::DispatchReported {
                by: Actor::Module("dispatch".into()),
                report: DispatchReport::Reassigned {
                    order_id: "o1".to_owned(),
                    vehicle: "粤B121".to_owned(),
                    reason: "前车故障".to_owned(),
                },
            },
        )
        .push(
            40_000,
            EventKind::PartyLeft {
                leg: doctor,
                role,
                cause: Cause::Normal,
            },
        )
        .push(
            41_000,
            EventKind::MonitorEnded {
                seat: "899".into(),
                leg: listener,
            },
        );
}

fn finish(script: &mut Script, seat: LegId, recording: RecordingId) {
    let start = script.at(4);
    script
        .push(
            61_250,
            EventKind::SeatReleased {
                seat: "802".into(),
                leg: seat,
                cause: Cause::Normal,
            },
        )
        .push(
            61_250,
            EventKind::CallEnded {
                outcome: Outcome::Answered,
                cause: Cause::Normal,
                by: "caller".to_owned(),
            },
        )
        .push(
            61_400,
            EventKind::RecordingSealed {
                sealed: SealedRecording {
                    recording,
                    path: "2026/11/22/call.wav".to_owned(),
                    start,
                    duration_ms: 61_246,
                    size_bytes: 1_959_916,
                    sha256: "a".repeat(64),
                    tracks: vec![
                        track("caller", vec![]),
                        track("seat-802", vec![(0, 11_246)]),
                    ],
                },
            },
        )
        .push(61_401, EventKind::CallSettled {});
    for (offset_ms, destination) in [(61_500, "dispatch"), (61_510, "emr"), (61_600, "dispatch")] {
        let incident = (destination == "dispatch").then(|| "INC-7".to_owned());
        script.push(
            offset_ms,
            EventKind::CallAcknowledged {
                destination: DestinationId::from(destination),
                incident_id: incident,
            },
        );
    }
}

fn track(party: &str, gaps: Vec<(u64, u64)>) -> SealedTrack {
    SealedTrack {
        party: party.to_owned(),
        codec: "pcma".to_owned(),
        hz: 8000,
        heard_ms: 50_000,
        gaps,
    }
}

/// A caller who gives up after 6 s in the queue, with a call-back that somebody closes.
pub fn abandoned(n: u64, caller: &str) -> Script {
    let mut script = Script::new(n);
    let call_back = CallBackId(script.leg().0);
    script.received(caller);
    script
        .push(2, EventKind::CallAnsweredBySystem {})
        .push(
            300,
            EventKind::QueueEntered {
                queue: QueueId::from("120"),
                position: 3,
                again: false,
                behind: None,
            },
        )
        .push(
            6_000,
            EventKind::QueueLeft {
                queue: QueueId::from("120"),
                reason: "abandoned".to_owned(),
                waited_ms: 5_700,
            },
        )
        .push(
            6_000,
            EventKind::CallAbandoned {
                stage: "queue".to_owned(),
                waited_ms: 6_000,
            },
        )
        .push(
            6_000,
            EventKind::CallEnded {
                outcome: Outcome::Abandoned,
                cause: Cause::Normal,
                by: "caller".to_owned(),
            },
        )
        .push(
            6_001,
            EventKind::CallBackDue {
                call_back,
                number: number(caller),
                reason: "abandoned".to_owned(),
            },
        )
        .push(6_002, EventKind::CallSettled {})
        .push(
            90_000,
            EventKind::CallBackClosed {
                call_back,
                by: Actor::Seat("801".into()),
                outcome: "called_back".to_owned(),
            },
        );
    script
}

/// A caller whom a restart cut off while he waited, whose INVITE came again, and who was answered then.
pub fn reopened(n: u64, caller: &str) -> Script {
    let mut script = abandoned(n, caller);
    let received = script.events.swap_remove(0);
    script.events = vec![received];
    let mut id = || script.leg();
    let (leg, seat_leg) = (id(), id());
    let (first, second) = (RecordingId(id().0), RecordingId(id().0));
    let call_back = CallBackId(id().0);
    let (seat, cause) = ("801".into(), Cause::Restarted);
    let by = || "system".to_owned();
    let steps = [
        (100, EventKind::RecordingStarted { recording: first }),
        (
            2_000,
            EventKind::CallBackDue {
                call_back,
                number: number(caller),
                reason: "lost_in_restart".to_owned(),
            },
        ),
        (
            2_000,
            EventKind::CallEnded {
                outcome: Outcome::Lost,
                cause,
                by: by(),
            },
        ),
        (
            2_100,
            EventKind::RecordingFailed {
                recording: first,
                detail: "killed".to_owned(),
            },
        ),
        (2_100, EventKind::CallSettled {}),
        (3_000, EventKind::CallReopened { leg }),
        (
            3_000,
            EventKind::CallBackClosed {
                call_back,
                by: Actor::Engine,
                outcome: "withdrawn".to_owned(),
            },
        ),
        (3_100, EventKind::RecordingStarted { recording: second }),
        (
            9_000,
            EventKind::SeatAnswered {
                seat,
                leg: seat_leg,
            },
        ),
        (
            20_000,
            EventKind::CallEnded {
                outcome: Outcome::Answered,
                cause: Cause::Normal,
                by: by(),
            },
        ),
    ];
    for (at, kind) in steps {
        script.push(at, kind);
    }
    script
}

/// One entry per Event, as a journal would hold them.
pub fn entries(events: &[Event]) -> Vec<Entry> {
    events
        .iter()
        .map(|event| Entry {
            input: Input {
                at: event.at,
                kind: InputKind::Tick,
            },
            events: vec![event.clone()],
        })
        .collect()
}
