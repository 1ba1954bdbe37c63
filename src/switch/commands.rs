//! Commands of people and modules. Each is checked first: a refusal changes nothing, an accepted one is said as an
//! event with who gave it (WS/T 451-2014 5.3-c).

use super::party::unknown_call;
use super::{Actor, Command, CommandError, CommandReply, DispatchReport, EventKind, Switch};
use crate::acd::Seat;
use crate::call::{Cause, Phase};
use crate::id::{CallId, DestinationId, SeatId};
use crate::limits::COMMAND_TEXT_BYTES_MAX;

impl Switch {
    #[expect(clippy::too_many_lines, reason = "a table: one arm per command")]
    pub(super) fn command(
        &mut self,
        by: &Actor,
        command: &Command,
    ) -> Result<CommandReply, CommandError> {
        for call in command.open_calls() {
            self.check_open(call)?;
            self.check_no_self_test(call, command)?;
        }
        match command {
            Command::SeatReady { seat } => self.seat_ready(by, seat),
            Command::SeatNotReady { seat, reason } => self.seat_not_ready(by, seat, reason),
            Command::HangUp { call } => self.hang_up(by, *call),
            Command::Dial { seat, number } => self.dial(by, seat, number),
            Command::Link {
                call,
                to,
                incident_id,
            } => self.link(by, *call, *to, incident_id.as_deref()),
            Command::NameCrew { call, numbers } => self.name_crew(by, *call, numbers),
            Command::Bridge { call, number } => self.bridge(by, *call, number),
            Command::AddParty { call, number, role } => self.add_party(by, *call, number, role),
            Command::RemoveParty { call, leg } => self.remove_party(by, *call, *leg),
            Command::Join { call, with } => self.join(by, *call, *with),
            Command::Hold { call } => self.hold(by, *call),
            Command::Resume { call } => self.resume(by, *call),
            Command::AskSilent { call } => self.ask_silent(by, *call),
            Command::Transfer { call, to, kind } => self.transfer(by, *call, to, *kind),
            Command::CompleteTransfer { call } => self.complete_transfer(by, *call),
            Command::CancelTransfer { call } => self.cancel_transfer(by, *call),
            Command::Shelve { call } => self.shelve(by, *call),
            Command::Unshelve { call, seat } => self.take_from_shelf(by, *call, seat),
            Command::Listen { call, seat, mode } => self.listen(by, *call, seat, *mode),
            Command::StopListening { call, seat } => self.stop_listening(by, *call, seat),
            Command::ListenQueue { seat, queue } => self.listen_queue(by, seat, queue.as_ref()),
            Command::StopListeningQueue { seat } => self.stop_listening_queue(by, seat),
            Command::CallBackNow { call_back, seat } => self.call_back_now(by, *call_back, seat),
            Command::SignIn { seat, phone } => self.sign_in(by, seat, phone),
            Command::StartGroupCall { wish } => self.start_group_call(by, wish),
            Command::CancelGroupCall { group_call } => self.cancel_group_call(by, *group_call),
            Command::SignOut { seat } => self.sign_out(by, seat),
            Command::RequestAssist { call } => self.request_assist(by, *call),
            Command::CancelAssist { call } => self.cancel_assist(by, *call),
            Command::AcceptAssist { call, seat, mode } => {
                self.accept_assist(by, *call, seat, *mode)
            }
            Command::Reassign { call, to } => self.reassign(by, *call, to),
            Command::Prioritise { call, ahead } => self.prioritise(by, *call, *ahead),
            Command::CloseCallBack { call_back, outcome } => {
                self.check_person(by)?;
                self.close_call_back(by, *call_back, outcome)
            }
            Command::Acknowledge {
                call,
                destination,
                incident_id,
            } => self.acknowledge(by, *call, destination, incident_id.as_deref()),
            Command::Dispatch { call, report } => self.dispatch(by, *call, report),
            Command::ProposeVerdict { call, reason } => self.propose_verdict(by, *call, reason),
            Command::ConfirmVerdict { mark } => self.confirm_verdict(by, *mark),
            Command::LiftVerdict { mark, reason } => self.lift_verdict(by, *mark, reason),
            Command::FillForm {
                call,
                revision,
                change,
            } => self.fill_form(by, *call, *revision, change),
            Command::Classify { call, code } => self.classify(by, *call, code),
            Command::AddNote { call, text } => self.add_note(by, *call, text),
            Command::GiveAdvice { call, on } => self.give_advice(by, *call, *on),
            Command::MarkMajor { call } => self.mark_major(by, *call),
            Command::TickStep { call, step, done } => self.tick_step(by, *call, step, *done),
            Command::OpenComplaint { grievance } => self.open_complaint(by, grievance),
            Command::CloseComplaint { complaint, outcome } => {
                self.close_complaint(by, *complaint, outcome)
            }
            Command::LiftHold { complaint } => self.lift_hold(by, *complaint),
            Command::HandOver { to, note } => self.hand_over(by, to, note),
            Command::TakeOverShift { handover } => self.take_over_shift(by, *handover),
            Command::SelfTest { trunk } => self.self_test_now(by, trunk),
            Command::PlantPanic { call } => self.plant_panic(by, *call),
        }
    }

    /// Said before the command's own events.
    pub(super) fn given(&mut self, by: &Actor, call: Option<CallId>, name: &str) {
        let kind = EventKind::CommandGiven {
            by: by.clone(),
            name: name.to_owned(),
        };
        match call {
            Some(call) => self.say(call, kind),
            None => self.note(kind),
        }
    }

    fn hang_up(&mut self, by: &Actor, call: CallId) -> Result<CommandReply, CommandError> {
        self.check_handles(by, call)?;
        let Some(open) = self.calls.get(&call) else {
            return Err(unknown_call(call));
        };
        match &open.phase {
            Phase::InMenu(_) | Phase::Unanswered(_) => {
                return Err(
                    self.wrong_call_state(call, "a waiting caller is never ended; answer it")
                );
            }
            Phase::Shelved(_) => {
                return Err(
                    self.wrong_call_state(call, "a caller put aside is never ended; take him back")
                );
            }
            Phase::Closing(_) => return Err(self.ended_call(call)),
            Phase::Dialling(_) | Phase::Talking(_) => {}
        }
        self.given(by, Some(call), "hang_up");
        self.end_answered(call, Cause::SeatReleased, "seat");
        Ok(CommandReply::Done)
    }

    fn acknowledge(
        &mut self,
        by: &Actor,
        call: CallId,
        destination: &DestinationId,
        incident_id: Option<&str>,
    ) -> Result<CommandReply, CommandError> {
        match by {
            Actor::Module(own) if own != destination => {
                return Err(not_allowed(by, "a module acknowledges for itself only"));
            }
            Actor::Module(_) | Actor::User(_) | Actor::Engine => {}
            Actor::Seat(_) | Actor::Supervisor(_) => {
                return Err(not_allowed(by, "only a module acknowledges a record"));
            }
        }
        self.check_known_call(call)?;
        check_text("incident_id", incident_id.unwrap_or("-"))?;
        let incident_id = incident_id.map(str::to_owned);
        if let (Some(open), Some(id)) = (self.calls.get_mut(&call), &incident_id) {
            open.incident_id = Some(id.clone());
        }
        if let Some(id) = &incident_id {
            self.callers.incident(call, true);
            self.crew_incident(call, id);
        }
        self.self_test_acknowledged(call, destination);
        let destination = destination.clone();
        self.say(
            call,
            EventKind::CallAcknowledged {
                destination,
                incident_id,
            },
        );
        Ok(CommandReply::Done)
    }

    fn dispatch(
        &mut self,
        by: &Actor,
        call: CallId,
        report: &DispatchReport,
    ) -> Result<CommandReply, CommandError> {
        match report {
            DispatchReport::OrderIssued {
                order_id, vehicle, ..
            } => {
                check_text("order_id", order_id)?;
                check_text("vehicle", vehicle)?;
            }
            DispatchReport::Reassigned {
                order_id,
                vehicle,
                reason,
            } => {
                check_text("order_id", order_id)?;
                check_text("vehicle", vehicle)?;
                check_text("reason", reason)?;
            }
            DispatchReport::Cancelled { order_id, reason } => {
                check_text("order_id", order_id)?;
                check_text("reason", reason)?;
            }
        }
        self.check_known_call(call)?;
        match report {
            DispatchReport::OrderIssued { .. } => {
                if let Some(open) = self.call_mut(call) {
                    open.dispatched = true;
                }
                self.screen_helped(call);
            }
            DispatchReport::Reassigned { .. } => {}
            DispatchReport::Cancelled { .. } => {
                self.callers.incident(call, false);
                self.dismiss_crew(call);
            }
        }
        let (by, report) = (by.clone(), report.clone());
        self.handling_dispatched(call, &report);
        self.say(call, EventKind::DispatchReported { by, report });
        Ok(CommandReply::Done)
    }

    #[expect(
        clippy::panic,
        reason = "a planted fault is this command's purpose; the policy admits it in tests only"
    )]
    fn plant_panic(&self, by: &Actor, call: CallId) -> Result<CommandReply, CommandError> {
        if !self.policy.allow_faults {
            return Err(not_allowed(
                by,
                "faults are not admitted by this configuration",
            ));
        }
        panic!("planted by a command on call {call}");
    }

    /// It is open; or it has ended, and how; or it never was.
    pub(super) fn check_open(&self, call: CallId) -> Result<(), CommandError> {
        match self.calls.get(&call) {
            Some(open) if !open.is_closing() => Ok(()),
            None if !self.past.contains_key(&call) => Err(unknown_call(call)),
            Some(_) | None => Err(self.ended_call(call)),
        }
    }

    pub(super) fn ended_call(&self, call: CallId) -> CommandError {
        let end = self.ends.get(&call).cloned().map(Box::new);
        CommandError::Ended { call, end }
    }

    pub(super) fn check_known_call(&self, call: CallId) -> Result<(), CommandError> {
        if self.calls.contains_key(&call) || self.past.contains_key(&call) {
            Ok(())
        } else {
            Err(unknown_call(call))
        }
    }

    pub(super) fn check_person(&self, by: &Actor) -> Result<(), CommandError> {
        match by {
            Actor::Seat(_) | Actor::Supervisor(_) | Actor::User(_) => Ok(()),
            Actor::Module(_) | Actor::Engine => Err(not_allowed(by, "a named person must do this")),
        }
    }

    /// A seat commands the call it talks in or left; supervisors and users any.
    pub(super) fn check_handles(&self, by: &Actor, call: CallId) -> Result<(), CommandError> {
        let Some(open) = self.calls.get(&call) else {
            return Err(unknown_call(call));
        };
        match by {
            Actor::Seat(seat) => {
                if open.last_seat.as_ref() == Some(seat) {
                    Ok(())
                } else {
                    Err(not_allowed(by, "the call is not this seat's"))
                }
            }
            Actor::Supervisor(_) | Actor::User(_) | Actor::Engine => Ok(()),
            Actor::Module(_) => Err(not_allowed(by, "modules do not command calls")),
        }
    }

    pub(super) fn check_own_seat(&self, by: &Actor, seat: &SeatId) -> Result<(), CommandError> {
        self.check_known_seat(seat)?;
        match by {
            Actor::Seat(own) => {
                if own == seat {
                    Ok(())
                } else {
                    Err(not_allowed(by, "a seat commands itself only"))
                }
            }
            Actor::Supervisor(_) | Actor::User(_) | Actor::Engine => Ok(()),
            Actor::Module(_) => Err(not_allowed(by, "modules do not command seats")),
        }
    }

    pub(super) fn check_supervisor_seat(
        &self,
        by: &Actor,
        seat: &SeatId,
    ) -> Result<(), CommandError> {
        self.check_own_seat(by, seat)?;
        if self.is_supervisor(seat) {
            Ok(())
        } else {
            Err(not_allowed(by, "only a supervisor's seat may listen"))
        }
    }

    pub(super) fn check_known_seat(&self, seat: &SeatId) -> Result<(), CommandError> {
        if self.seats.contains_key(seat) {
            Ok(())
        } else {
            Err(CommandError::Unknown {
                what: String::from("seat"),
                id: seat.to_string(),
            })
        }
    }

    pub(super) fn wrong_call_state(&self, call: CallId, hint: &str) -> CommandError {
        let state = self.calls.get(&call).map_or("settled", |c| match &c.phase {
            Phase::InMenu(_) => "in a menu",
            Phase::Unanswered(_) => "waiting",
            Phase::Dialling(_) => "dialling",
            Phase::Talking(_) => "talking",
            Phase::Shelved(_) => "on the shelf",
            Phase::Closing(_) => "closing",
        });
        CommandError::WrongState {
            what: format!("call {call}"),
            state: state.to_owned(),
            hint: hint.to_owned(),
        }
    }

    pub(super) fn wrong_seat_state(&self, seat: &SeatId, hint: &str) -> CommandError {
        let state = self.seats.get(seat).map_or("unknown", duty_name);
        CommandError::WrongState {
            what: format!("seat {seat}"),
            state: state.to_owned(),
            hint: hint.to_owned(),
        }
    }
}

const fn duty_name(seat: &Seat) -> &'static str {
    seat.duty.name()
}

pub(super) fn not_allowed(by: &Actor, reason: &str) -> CommandError {
    CommandError::NotAllowed {
        who: by.to_string(),
        reason: reason.to_owned(),
    }
}

pub(super) fn check_text(field: &str, text: &str) -> Result<(), CommandError> {
    if text.trim().is_empty() || text.len() > COMMAND_TEXT_BYTES_MAX {
        return Err(CommandError::BadField {
            field: field.to_owned(),
            reason: String::from("must be 1 to 512 bytes of text"),
        });
    }
    Ok(())
}
