//! How each Event changes a record.

use super::parts::{
    Abandoned, Acknowledgement, AlarmNote, CallBack, Civic, ConferenceParty, DispatchOrder, End,
    FailedLookup, History, JoinedCall, MenuKey, MenuStay, QueueStay, RecordedHandOver,
    RecordedLocation, RecordedRecording, RecordedTrack, SeatStay, Supervision,
};
use super::{CallRecord, Moment};
use crate::call::{Arrival, Cause, Ingress, Mode};
use crate::geo::{self, Datum};
use crate::id::{CallBackId, CallId, DestinationId, LegId, MenuId, QueueId, RecordingId, SeatId};
use crate::phone::Number;
use crate::switch::{
    Actor, AlarmCode, DispatchReport, Event, EventKind, Finding, Location, LocationSource, Outcome,
    SealedRecording,
};

/// Keys kept of one menu; nobody presses more in a minute on purpose.
const KEYS_MAX: usize = 64;
/// Positions kept in one record; more of them tell nothing new.
const LOCATIONS_MAX: usize = 64;
/// Role of a seat that joined this call to its own.
const JOINER: &str = "joiner";

impl CallRecord {
    /// Change the fields that `event` speaks of; `rev` is the caller's.
    #[expect(clippy::too_many_lines, reason = "a table: one short arm per event")]
    pub(super) fn take_in(&mut self, event: &Event) {
        let at = Moment::from(event.at);
        match &event.kind {
            EventKind::CallReceived {
                arrival,
                caller,
                serial_no,
                channel,
            } => self.received(at, arrival, caller, serial_no, channel),
            EventKind::CallDialled { .. } => self.dialled(at, &event.kind),
            EventKind::CallLinked {
                to,
                incident_id,
                by,
            } => self.linked(at, *to, incident_id.as_ref(), by),
            EventKind::CrewNamed { .. }
            | EventKind::CrewCalled { .. }
            | EventKind::CallBridged { .. } => self.crewed(at, &event.kind),
            EventKind::CallAnsweredBySystem {} => {
                self.times.answered_by_system.get_or_insert(at);
            }
            EventKind::CallFound { finding } => self.found(at, finding),
            EventKind::PromptStarted { .. } => {
                self.times.ivr_start.get_or_insert(at);
            }
            EventKind::MenuEntered { menu } => self.menu_entered(at, menu),
            EventKind::MenuDigit { node, digit, .. } => {
                let (node, digit) = (node.clone(), *digit);
                if let Some(stay) = self.menu.as_mut().filter(|m| m.keys.len() < KEYS_MAX) {
                    stay.keys.push(MenuKey { at, node, digit });
                }
            }
            EventKind::MenuLeft { reason, queue, .. } => {
                if let Some(stay) = &mut self.menu {
                    stay.end.get_or_insert(at);
                    stay.reason.get_or_insert_with(|| reason.clone());
                    stay.queue = stay.queue.take().or_else(|| queue.clone());
                }
            }
            EventKind::QueueEntered {
                queue, position, ..
            } => self.queue_entered(at, queue, *position),
            EventKind::QueueLeft { reason, .. } => self.queue_left(at, reason),
            EventKind::SeatRinging { seat, leg } => self.seat_ringing(at, seat, *leg),
            EventKind::SeatRingTimeout { leg, .. } => {
                self.seat_gave_up(at, *leg, "no_answer", Cause::NoAnswer);
            }
            EventKind::SeatRejected { leg, cause, .. } => {
                self.seat_gave_up(at, *leg, "rejected", *cause);
            }
            EventKind::SeatAnswered { seat, leg } => self.seat_answered(at, seat, *leg),
            EventKind::SeatReleased { leg, cause, .. } => self.seat_released(at, *leg, *cause),
            EventKind::PartyRinging {
                leg, role, number, ..
            } => self.party(*leg, role, number, |party| party.ring_at = Some(at)),
            EventKind::PartyJoined { leg, role, number } => {
                self.party(*leg, role, number, |party| {
                    party.join_at = Some(at);
                    "joined".clone_into(&mut party.result);
                });
                self.party_answered(at, role);
            }
            EventKind::PartyFailed {
                leg,
                role,
                number,
                cause,
            } => self.party(*leg, role, number, |party| {
                party.cause = Some(*cause);
                "failed".clone_into(&mut party.result);
            }),
            EventKind::PartyLeft { leg, role, cause } => self.party(*leg, role, "", |party| {
                party.leave_at = Some(at);
                party.cause = Some(*cause);
                "left".clone_into(&mut party.result);
            }),
            EventKind::MonitorStarted { seat, leg, mode }
            | EventKind::MonitorChanged { seat, leg, mode } => {
                self.supervised(at, seat, *leg, *mode);
            }
            EventKind::TookOver { seat, leg, .. } => {
                self.supervised(at, seat, *leg, Mode::TakeOver);
            }
            EventKind::MonitorEnded { leg, .. } => {
                self.supervision_ended(at, *leg);
            }
            EventKind::CallJoined {
                with,
                with_serial_no,
                into,
                seat,
                leg,
                by,
            } => {
                self.joined_calls.push(JoinedCall {
                    call_id: *with,
                    serial_no: with_serial_no.clone(),
                    into: *into,
                    by: by.clone(),
                    joined_at: at,
                    parted_at: None,
                });
                if *into != self.call_id {
                    self.seat_joined(at, seat, *leg);
                }
            }
            EventKind::CallParted { with, .. } => self.parted(at, *with),
            EventKind::CallHeld { .. }
            | EventKind::CallResumed { .. }
            | EventKind::CallShelved { .. }
            | EventKind::CallUnshelved { .. }
            | EventKind::ShelfHandedOver { .. }
            | EventKind::SilentAsked { .. }
            | EventKind::SilentAnswered { .. }
            | EventKind::TransferStarted { .. }
            | EventKind::CallTransferred { .. } => self.seat_step(at, &event.kind),
            EventKind::HandedOver { relief, number, .. } => {
                self.handed_over.get_or_insert_with(|| RecordedHandOver {
                    at,
                    relief: relief.clone(),
                    number: masked(number),
                });
            }
            EventKind::WaitExceeded { .. } => {
                self.times.wait_exceeded.get_or_insert(at);
            }
            EventKind::RecordingStarted { recording } => self.recording(*recording, at, |_| {}),
            EventKind::RecordingSealed { sealed } => self.recording_sealed(at, sealed),
            EventKind::RecordingFailed { recording, detail } => {
                self.recording(*recording, at, |recording| {
                    "failed".clone_into(&mut recording.state);
                    recording.failure = Some(detail.clone());
                });
            }
            EventKind::CallAbandoned { stage, .. } => self.gave_up(at, stage),
            EventKind::CallEnded { outcome, cause, by } => self.ended(at, *outcome, *cause, by),
            EventKind::CallReopened { .. } => self.reopened(),
            EventKind::CallSettled {} => {
                self.times.settled.get_or_insert(at);
            }
            EventKind::CallBackDue {
                call_back, reason, ..
            } => self.call_back_due(at, *call_back, reason),
            EventKind::CallBackAttempted { .. }
            | EventKind::CallBackConnected { .. }
            | EventKind::CallBackFailed { .. }
            | EventKind::CallBackPaused { .. } => self.called_back(at, &event.kind),
            EventKind::CallBackClosed {
                call_back,
                by,
                outcome,
            } => self.call_back_closed(at, *call_back, by, outcome),
            EventKind::CallerRepeated { .. }
            | EventKind::RepeatUnanswered { .. }
            | EventKind::HarassmentSuspected { .. }
            | EventKind::HarassmentConfirmed { .. }
            | EventKind::HarassmentCleared { .. }
            | EventKind::EducationPlayed { .. }
            | EventKind::IncidentNear { .. } => self.screened(at, &event.kind),
            EventKind::GroupCallStarted { .. }
            | EventKind::GroupAcknowledged { .. }
            | EventKind::GroupCallEnded { .. } => self.group_called(at, &event.kind),
            EventKind::HandlingExceeded { .. } | EventKind::AdviceGiven { .. } => {
                self.handled(at, &event.kind);
            }
            EventKind::FormChanged { .. }
            | EventKind::CallClassified { .. }
            | EventKind::NoteAdded { .. }
            | EventKind::MajorIncident { .. }
            | EventKind::StepTicked { .. }
            | EventKind::ComplaintOpened { .. }
            | EventKind::ComplaintClosed { .. }
            | EventKind::HoldLifted { .. } => self.written(at, &event.kind),
            EventKind::CallAcknowledged {
                destination,
                incident_id,
            } => self.acknowledged(at, destination, incident_id.as_deref()),
            EventKind::DispatchReported { by, report } => self.dispatched(at, by, report),
            EventKind::AlarmRaised { code, detail, .. } => self.alarmed(at, *code, detail),
            EventKind::AlarmCleared { code, .. } => {
                for note in self.alarms.iter_mut().filter(|note| note.code == *code) {
                    note.cleared_at.get_or_insert(at);
                }
            }
            EventKind::CallRejoined { .. }
            | EventKind::QueueMoved { .. }
            | EventKind::QueuePriority { .. }
            | EventKind::QueueMonitorStarted { .. }
            | EventKind::QueueMonitorEnded { .. }
            | EventKind::AssistRequested { .. }
            | EventKind::AssistAnswered { .. }
            | EventKind::AssistEnded { .. }
            | EventKind::OfferDecided { .. }
            | EventKind::ShiftHandover { .. }
            | EventKind::ShiftTakenOver { .. }
            | EventKind::SeatStateChanged { .. }
            | EventKind::DigitReceived { .. }
            | EventKind::StarCode { .. }
            | EventKind::SeatSignedIn { .. }
            | EventKind::HoldExceeded { .. }
            | EventKind::ShelfExceeded { .. }
            | EventKind::TransferConsulted { .. }
            | EventKind::ReliefRinging { .. }
            | EventKind::ReliefAsked { .. }
            | EventKind::ReliefEnded { .. }
            | EventKind::GroupRinging { .. }
            | EventKind::GroupAnswered { .. }
            | EventKind::GroupRetried { .. }
            | EventKind::GroupFailed { .. }
            | EventKind::CommandGiven { .. }
            | EventKind::SelfTestStarted { .. }
            | EventKind::SelfTestSuspected { .. }
            | EventKind::SelfTestRecognised { .. }
            | EventKind::SelfTestPassed { .. }
            | EventKind::SelfTestFailed { .. }
            | EventKind::SelfTestCancelled { .. }
            | EventKind::SelfTestCleared { .. }
            | EventKind::TrunkUp { .. }
            | EventKind::TrunkDown { .. }
            | EventKind::LegDropped { .. }
            | EventKind::EngineStarted { .. } => {}
        }
    }

    fn received(
        &mut self,
        at: Moment,
        arrival: &Arrival,
        caller: &Number,
        serial_no: &str,
        channel: &str,
    ) {
        self.times.received.get_or_insert(at);
        self.serial_no = Some(serial_no.to_owned());
        self.channel = Some(channel.to_owned());
        self.trunk = match &arrival.ingress {
            Ingress::Trunk(trunk) => Some(trunk.clone()),
            Ingress::Seat(_) => None,
        };
        self.caller.number = Some(caller.clone());
        self.caller.name.clone_from(&arrival.caller_name);
        self.caller.called_number = Some(arrival.called.clone());
        self.caller.diverted_from.clone_from(&arrival.diverted_from);
    }

    fn found(&mut self, at: Moment, finding: &Finding) {
        match finding {
            Finding::Location(location) => self.located(at, location),
            Finding::Line(line) => self.caller.line = Some(line.clone()),
            Finding::Network(cell) => self.caller.network = Some(cell.clone()),
            Finding::History {
                window_days,
                count,
                last_calls,
            } => {
                self.history = Some(History {
                    window_days: *window_days,
                    count: *count,
                    last_calls: last_calls.clone(),
                });
            }
            Finding::Failed { source, reason } => self.failed_lookups.push(FailedLookup {
                source: source.clone(),
                reason: reason.clone(),
                at,
            }),
        }
    }

    fn located(&mut self, at: Moment, found: &Location) {
        if self.locations.len() >= LOCATIONS_MAX {
            return;
        }
        let (kind, source) = match found.source {
            LocationSource::Pidf => ("caller", "pidf"),
            LocationSource::Line => ("install", "ali"),
            LocationSource::Cell => ("caller", "lbs"),
            LocationSource::Seat => ("scene", "seat"),
        };
        // A number that is none would make the record unreadable, so such a point counts as not told.
        let original = found
            .point
            .filter(|point| point.lat.is_finite() && point.lon.is_finite());
        let point = original.map(|point| geo::to_wgs84(found.datum, point));
        self.locations.push(RecordedLocation {
            id: format!("l{}", self.found_locations() + 1),
            kind: kind.to_owned(),
            lat: point.map(|p| seven_digits(p.lat)),
            lon: point.map(|p| seven_digits(p.lon)),
            crs: point.map(|_| Datum::Wgs84),
            crs_source: original.map(|_| found.datum),
            original,
            shape: found.shape,
            radius_m: found.radius_m.filter(|radius| radius.is_finite()),
            confidence_pct: found.confidence_pct,
            civic: found.civic.clone().map(|detail| Civic { detail }),
            source: source.to_owned(),
            at: found.measured_at.clone(),
            received_at: at,
        });
    }

    /// Positions that sources told; the form's places have names instead.
    fn found_locations(&self) -> usize {
        let own = |l: &&RecordedLocation| l.id != "scene" && l.id != "pickup";
        self.locations.iter().filter(own).count()
    }

    fn menu_entered(&mut self, at: Moment, menu: &MenuId) {
        self.menu.get_or_insert_with(|| MenuStay {
            id: menu.clone(),
            start: at,
            end: None,
            keys: Vec::new(),
            reason: None,
            queue: None,
        });
    }

    fn queue_entered(&mut self, at: Moment, queue: &QueueId, position: u32) {
        self.times.queue_enter.get_or_insert(at);
        let stay = self.queue.get_or_insert_with(|| QueueStay {
            id: queue.clone(),
            enter_at: at,
            waiting_since: None,
            leave_at: None,
            leave_reason: None,
            position_at_enter: position,
            passes: 0,
            wait_ms: 0,
        });
        if stay.waiting_since.is_none() {
            stay.waiting_since = Some(at);
            stay.leave_at = None;
            stay.leave_reason = None;
            stay.passes += 1;
        }
    }

    fn queue_left(&mut self, at: Moment, reason: &str) {
        let Some(stay) = &mut self.queue else { return };
        let Some(since) = stay.waiting_since.take() else {
            return;
        };
        stay.leave_at = Some(at);
        stay.leave_reason = Some(reason.to_owned());
        stay.wait_ms += at.millis_since(since);
        self.metrics.queue_ms = Some(stay.wait_ms);
    }

    fn seat_ringing(&mut self, at: Moment, seat: &SeatId, leg: LegId) {
        self.times.first_ring.get_or_insert(at);
        if self.seats.iter().any(|stay| stay.leg_id == leg) {
            return;
        }
        self.seats.push(SeatStay {
            seat_id: seat.clone(),
            role: "taker".to_owned(),
            leg_id: leg,
            ring_at: at,
            answer_at: None,
            release_at: None,
            ring_ms: None,
            talk_ms: None,
            hold_ms: None,
            held_since: None,
            result: "ringing".to_owned(),
            cause: None,
        });
    }

    fn seat_gave_up(&mut self, at: Moment, leg: LegId, result: &str, cause: Cause) {
        let ringing = |stay: &&mut SeatStay| stay.leg_id == leg && stay.release_at.is_none();
        if let Some(stay) = self.seats.iter_mut().find(ringing) {
            stay.release_at = Some(at);
            stay.ring_ms = Some(at.millis_since(stay.ring_at));
            result.clone_into(&mut stay.result);
            stay.cause = Some(cause);
        }
    }

    fn seat_answered(&mut self, at: Moment, seat: &SeatId, leg: LegId) {
        self.seat_ringing(at, seat, leg);
        if let Some(stay) = self.seats.iter_mut().find(|stay| stay.leg_id == leg) {
            stay.answer_at = Some(at);
            stay.ring_ms = Some(at.millis_since(stay.ring_at));
            "answered".clone_into(&mut stay.result);
        }
        if self.times.answered.is_none() && !self.is_made() {
            self.times.answered = Some(at);
            self.metrics.wait_ms = self.times.received.map(|t| at.millis_since(t));
            self.metrics.offhook_ms = self.times.first_ring.map(|t| at.millis_since(t));
        }
    }

    /// The seat of another call joined this one to its own: it has answered, without having been rung.
    fn seat_joined(&mut self, at: Moment, seat: &SeatId, leg: LegId) {
        self.seats.push(SeatStay {
            seat_id: seat.clone(),
            role: JOINER.to_owned(),
            leg_id: leg,
            ring_at: at,
            answer_at: Some(at),
            release_at: None,
            ring_ms: None,
            talk_ms: None,
            hold_ms: None,
            held_since: None,
            result: "answered".to_owned(),
            cause: None,
        });
        if self.times.answered.is_none() {
            self.times.answered = Some(at);
            self.metrics.wait_ms = self.times.received.map(|t| at.millis_since(t));
        }
    }

    fn parted(&mut self, at: Moment, with: CallId) {
        let open = |joined: &&mut JoinedCall| joined.call_id == with && joined.parted_at.is_none();
        let Some(joined) = self.joined_calls.iter_mut().find(open) else {
            return;
        };
        joined.parted_at = Some(at);
        if joined.into == self.call_id {
            return;
        }
        let staying = |stay: &&SeatStay| stay.role == JOINER && stay.release_at.is_none();
        if let Some(leg) = self.seats.iter().find(staying).map(|stay| stay.leg_id) {
            self.seat_released(at, leg, Cause::Normal);
        }
    }

    fn seat_released(&mut self, at: Moment, leg: LegId, cause: Cause) {
        self.supervision_ended(at, leg);
        let on_leg = |stay: &&mut SeatStay| stay.leg_id == leg;
        let Some(stay) = self.seats.iter_mut().rev().find(on_leg) else {
            return;
        };
        match stay.answer_at {
            Some(answered) if stay.release_at.is_none() => {
                let talk_ms = at.millis_since(answered);
                stay.resume(at);
                stay.release_at = Some(at);
                stay.talk_ms = Some(talk_ms);
                stay.cause = Some(cause);
                self.metrics.talk_ms = Some(self.metrics.talk_ms.unwrap_or(0) + talk_ms);
            }
            Some(_) => {}
            None => self.seat_gave_up(at, leg, "withdrawn", cause),
        }
    }

    /// Change the third party on `leg`, made when it is new.
    fn party(
        &mut self,
        leg: LegId,
        role: &str,
        number: &str,
        change: impl FnOnce(&mut ConferenceParty),
    ) {
        let parties = &mut self.conference.get_or_insert_default().parties;
        if let Some(party) = parties.iter_mut().find(|party| party.leg_id == leg) {
            return change(party);
        }
        let mut party = ConferenceParty {
            leg_id: leg,
            role: role.to_owned(),
            uri_masked: masked(number),
            ring_at: None,
            join_at: None,
            leave_at: None,
            result: "ringing".to_owned(),
            cause: None,
        };
        change(&mut party);
        parties.push(party);
    }

    /// One entry per mode, so that who was heard by whom, and when, can be told apart.
    fn supervised(&mut self, at: Moment, seat: &SeatId, leg: LegId, mode: Mode) {
        let mode = match mode {
            Mode::Listen => "listen",
            Mode::Whisper => "whisper",
            Mode::Barge => "barge",
            Mode::TakeOver => "takeover",
        };
        self.supervision_ended(at, leg);
        self.supervision.push(Supervision {
            who: seat.clone(),
            mode: mode.to_owned(),
            leg_id: leg,
            start: at,
            end: None,
        });
    }

    fn supervision_ended(&mut self, at: Moment, leg: LegId) {
        if let Some(watch) = self.supervision.iter_mut().rfind(|s| s.leg_id == leg) {
            watch.end.get_or_insert(at);
        }
    }

    /// Change the recording `id`, made when it is new.
    fn recording(
        &mut self,
        id: RecordingId,
        start: Moment,
        change: impl FnOnce(&mut RecordedRecording),
    ) {
        if let Some(recording) = self.recordings.iter_mut().find(|known| known.id == id) {
            return change(recording);
        }
        let mut recording = RecordedRecording {
            id,
            state: "recording".to_owned(),
            uri: None,
            tracks: Vec::new(),
            start,
            end: None,
            duration_ms: None,
            size_bytes: None,
            sha256: None,
            sealed_at: None,
            failure: None,
        };
        change(&mut recording);
        self.recordings.push(recording);
    }

    fn recording_sealed(&mut self, at: Moment, sealed: &SealedRecording) {
        let known = |one: &&RecordedRecording| one.id == sealed.recording;
        let before = self.recordings.iter().find(known);
        if before.is_some_and(|one| one.sha256.as_ref() == Some(&sealed.sha256)) {
            return; // told again after a kill: the same bytes
        }
        let tracks = sealed
            .tracks
            .iter()
            .map(|track| RecordedTrack {
                party: track.party.clone(),
                codec: track.codec.clone(),
                hz: track.hz,
                heard_ms: track.heard_ms,
                gaps: track.gaps.clone(),
            })
            .collect();
        let length = std::time::Duration::from_millis(sealed.duration_ms);
        self.recording(sealed.recording, sealed.start.into(), |recording| {
            "sealed".clone_into(&mut recording.state);
            recording.uri = Some(sealed.path.clone());
            recording.start = sealed.start.into();
            recording.end = Some((sealed.start + length).into());
            recording.duration_ms = Some(sealed.duration_ms);
            recording.size_bytes = Some(sealed.size_bytes);
            recording.sha256 = Some(sealed.sha256.clone());
            recording.sealed_at = Some(at);
            recording.tracks = tracks;
        });
    }

    fn call_back_due(&mut self, at: Moment, id: CallBackId, reason: &str) {
        if !self.call_backs.iter().any(|entry| entry.id == id) {
            self.call_backs.push(CallBack {
                id,
                reason: reason.to_owned(),
                due_at: at,
                attempts: Vec::new(),
                closed_at: None,
                by: None,
                outcome: None,
            });
        }
    }

    fn call_back_closed(&mut self, at: Moment, id: CallBackId, by: &Actor, outcome: &str) {
        if let Some(entry) = self.call_backs.iter_mut().find(|entry| entry.id == id) {
            entry.closed_at = Some(at);
            entry.by = Some(by.clone());
            entry.outcome = Some(outcome.to_owned());
        }
    }

    fn alarmed(&mut self, at: Moment, code: AlarmCode, detail: &str) {
        let standing = |note: &AlarmNote| note.code == code && note.cleared_at.is_none();
        if !self.alarms.iter().any(standing) {
            self.alarms.push(AlarmNote {
                code,
                detail: detail.to_owned(),
                at,
                cleared_at: None,
            });
        }
    }

    fn gave_up(&mut self, at: Moment, stage: &str) {
        let waited_ms = self.times.received.map_or(0, |t| at.millis_since(t));
        self.metrics.wait_ms.get_or_insert(waited_ms);
        self.abandoned.get_or_insert_with(|| Abandoned {
            at,
            stage: stage.to_owned(),
            waited_ms,
        });
    }

    fn ended(&mut self, at: Moment, outcome: Outcome, cause: Cause, by: &str) {
        if self.end.is_some() {
            return;
        }
        self.times.ended.get_or_insert(at);
        self.off_the_shelf(at, "ended");
        let result = match outcome {
            Outcome::Answered => "answered",
            Outcome::Abandoned => "abandoned",
            Outcome::Lost => "lost",
            Outcome::RefusedCapacity => "refused_capacity",
            Outcome::NotReached => "not_reached",
        };
        self.end = Some(End {
            at,
            by: by.to_owned(),
            cause,
            cause_sip: if outcome == Outcome::Answered {
                200
            } else {
                cause.sip_status()
            },
            cause_q850: cause.q850(),
            result: result.to_owned(),
        });
    }

    /// What the restart had ended goes on. Its parts stay: seats, times in the queue, recordings.
    fn reopened(&mut self) {
        self.end = None;
        self.times.ended = None;
        self.times.settled = None;
    }

    /// A repeated acknowledgement changes nothing: it would make a revision whose delivery is acknowledged again.
    fn acknowledged(&mut self, at: Moment, destination: &DestinationId, incident: Option<&str>) {
        let known = self
            .acknowledgements
            .iter_mut()
            .find(|ack| ack.destination == *destination);
        let Some(ack) = known else {
            self.acknowledgements.push(Acknowledgement {
                destination: destination.clone(),
                at,
                incident_id: incident.map(str::to_owned),
            });
            if self.incident_id.is_none() {
                self.incident_id = incident.map(str::to_owned);
            }
            return;
        };
        if let Some(incident) = incident
            && ack.incident_id.as_deref() != Some(incident)
        {
            // The destination that named the incident may rename it; another one's id stays beside.
            if self.incident_id.is_none() || self.incident_id == ack.incident_id {
                self.incident_id = Some(incident.to_owned());
            }
            ack.incident_id = Some(incident.to_owned());
        }
    }

    fn order(&mut self, id: &str) -> Option<&mut DispatchOrder> {
        let orders = &mut self.dispatch.as_mut()?.orders;
        orders.iter_mut().find(|order| order.id == id)
    }

    fn dispatched(&mut self, at: Moment, by: &Actor, report: &DispatchReport) {
        match report {
            DispatchReport::OrderIssued {
                order_id,
                station,
                vehicle,
            } => {
                let orders = &mut self.dispatch.get_or_insert_default().orders;
                if !orders.iter().any(|order| order.id == *order_id) {
                    orders.push(DispatchOrder {
                        id: order_id.clone(),
                        at,
                        station: station.clone(),
                        vehicle: vehicle.clone(),
                        by: by.clone(),
                        reason: None,
                        reassigned_from: Vec::new(),
                        cancelled_at: None,
                    });
                }
            }
            DispatchReport::Reassigned {
                order_id,
                vehicle,
                reason,
            } => {
                if let Some(order) = self.order(order_id) {
                    let before = std::mem::replace(&mut order.vehicle, vehicle.clone());
                    if before != *vehicle {
                        order.reassigned_from.push(before);
                    }
                    order.reason = Some(reason.clone());
                }
            }
            DispatchReport::Cancelled { order_id, reason } => {
                if let Some(order) = self.order(order_id) {
                    order.cancelled_at.get_or_insert(at);
                    order.reason = Some(reason.clone());
                }
            }
        }
    }
}

/// Degrees with 7 digits after the point (1 cm).
fn seven_digits(degrees: f64) -> f64 {
    (degrees * 1e7).round() / 1e7
}

/// `tel:138****8000`: the first three and the last four characters stay.
pub(super) fn masked(number: &str) -> String {
    let chars: Vec<char> = number.chars().collect();
    if chars.len() <= 6 {
        // Short numbers (110, 122) name a service, not a person.
        return format!("tel:{number}");
    }
    let shown_from = chars.len() - 4.min(chars.len() / 2);
    let mut text = String::from("tel:");
    for (index, digit) in chars.iter().enumerate() {
        text.push(if index < 3 || index >= shown_from {
            *digit
        } else {
            '*'
        });
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_third_parties_keep_only_their_ends() {
        assert_eq!(masked("13800138000"), "tel:138****8000");
        assert_eq!(masked("110"), "tel:110");
        assert_eq!(masked("88888888"), "tel:888*8888");
    }

    #[test]
    fn coordinates_keep_seven_digits() {
        assert!((seven_digits(22.543_099_96) - 22.543_1).abs() < 1e-12);
    }
}
