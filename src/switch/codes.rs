//! Star codes that a seat's phone dials outside a talk, `*10` instead of a number: the phone is answered, the command
//! obeyed or refused as from anywhere else, a word said to it, and it is released. No call, no record, and never a number
//! for a trunk.
//!
//! ```text
//! dialled -> Answered --ACK or 300 ms--> Told --prompt over, or 8 s--> Released --its end, or 2 s--> rung for calls again
//!    `- call back, call a supervisor, listen: its leg goes on in that call
//! ```
//! Sign-in asks for a PIN meanwhile: `pin.rs`. A phone where no seat sits does nothing else.

use serde::{Deserialize, Serialize};

use super::commands::not_allowed;
use super::listen::mode_command;
use super::outbound::{Wish, direction_of};
use super::star::{REFUSED, STAR_CODES, StarResult, UNKNOWN};
use super::timers::TimerKey;
use super::{Actor, Command, CommandError, EventKind, MediaCommand, MediaEvent, Sound, Switch};
use crate::acd::Duty;
use crate::call::{
    Arrival, Callee, Cause, DialogState, Ingress, Leg, LegCommand, LegEvent, LegState, Mode, Party,
    Phase,
};
use crate::id::{CallId, LegId, PhoneId, PlayId, PromptId, SeatId};
use crate::limits::CALLS_MAX;
use crate::time::Millis;

/// Media that reports no end of the words by then is taken to have said them.
const TOLD_SPAN: Millis = Millis::from_secs(8);
/// A phone that does not confirm its release is rung again after this.
const FREE_SPAN: Millis = Millis::from_secs(2);
/// Whoever keys no PIN within this is released.
const KEYS_SPAN: Millis = Millis::from_secs(15);

const READY: &str = "star_ready";
const AWAY: &str = "star_away";
const SIGNED_OUT: &str = "star_signed_out";
const AFTER_TALK: &str = "star_after_talk";
const IN_TALK: &str = "star_in_talk";
const NONE_TO_CALL: &str = "star_none_to_call";
const NO_SUPERVISOR: &str = "star_no_supervisor";
const NONE_SHELVED: &str = "star_none_shelved";
const RINGS: &str = "star_rings";
const NO_SEAT: &str = "star_no_seat";
/// What phones that dial codes are told, beside the hints of a talk.
pub(super) const CODE_PROMPTS: [&str; 10] = [
    READY,
    AWAY,
    SIGNED_OUT,
    AFTER_TALK,
    IN_TALK,
    NONE_TO_CALL,
    NO_SUPERVISOR,
    NONE_SHELVED,
    RINGS,
    NO_SEAT,
];

/// One code of the second table in docs/star-codes.md.
pub struct DialledCode {
    /// Two digits after `*`.
    pub code: &'static str,
    /// What is dialled behind them.
    pub argument: Option<&'static str>,
    does: Does,
}

/// What a code does.
enum Does {
    /// Gives that command; then this is said.
    Gives(fn(&SeatId) -> Command, &'static str),
    /// Signs that seat in on this phone (签入).
    SignsIn,
    /// Dials the most urgent call-back (回拨).
    CallsBack,
    /// Has the caller whom the seat put aside longest ago rung to it again (取回).
    TakesBack,
    /// Calls a supervisor who is at rest (呼叫班长).
    CallsSupervisor,
    /// Comes to the seat that asks for a supervisor first.
    Helps,
    /// Takes part in the call of the seat that is named.
    Supervises(Mode),
    /// Hears who waits, one after the other (队列监听).
    ListensToQueues,
}

/// All codes that can be dialled.
pub const DIALLED_CODES: &[DialledCode] = &[
    dialled("10", Does::Gives(ready, READY)),
    dialled("11", Does::Gives(|seat| away(seat, "离席"), AWAY)),
    dialled("12", Does::Gives(|seat| away(seat, "就餐"), AWAY)),
    dialled("13", Does::Gives(|seat| away(seat, "培训"), AWAY)),
    dialled("14", Does::Gives(sign_out, SIGNED_OUT)),
    DialledCode {
        code: "15",
        argument: Some("seat"),
        does: Does::SignsIn,
    },
    dialled("50", Does::CallsBack),
    dialled("51", Does::TakesBack),
    dialled("70", Does::CallsSupervisor),
    dialled("72", Does::Helps),
    of_seat("80", Mode::Listen),
    of_seat("81", Mode::Whisper),
    of_seat("82", Mode::Barge),
    of_seat("83", Mode::TakeOver),
    dialled("84", Does::ListensToQueues),
];

const fn dialled(code: &'static str, does: Does) -> DialledCode {
    DialledCode {
        code,
        argument: None,
        does,
    }
}

const fn of_seat(code: &'static str, mode: Mode) -> DialledCode {
    DialledCode {
        code,
        argument: Some("seat"),
        does: Does::Supervises(mode),
    }
}

fn ready(seat: &SeatId) -> Command {
    Command::SeatReady { seat: seat.clone() }
}

fn away(seat: &SeatId, reason: &str) -> Command {
    Command::SeatNotReady {
        seat: seat.clone(),
        reason: reason.to_owned(),
    }
}

fn sign_out(seat: &SeatId) -> Command {
    Command::SignOut { seat: seat.clone() }
}

/// A phone on the line for a code.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct CodeCall {
    /// Its media.
    pub(super) call: CallId,
    pub(super) phone: PhoneId,
    /// Who sits there.
    pub(super) seat: Option<SeatId>,
    dialog: DialogState,
    pub(super) sounds: Vec<Sound>,
    plays: u32,
    pub(super) stage: Stage,
    /// Given when the phone is off the line: it rings then.
    then: Option<Command>,
    /// The seat whose PIN is asked for.
    pub(super) pin: Option<SeatId>,
}

#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Stage {
    /// The 200 is on its way.
    Answered,
    /// It hears what came of its code, or what is asked of it.
    Told,
    /// It was asked for a PIN and keys it.
    Keys,
    /// Told to end.
    Released,
}

/// What came of a code.
pub(super) enum Upshot {
    /// The leg goes on in a call.
    GoesOn(Command),
    /// This is said, and the phone released.
    Says(StarResult, Option<Command>, &'static str),
    /// The phone is released, then this is given.
    Rings(Command),
    /// The PIN of this seat is asked for first.
    AsksPin(SeatId),
}

/// What a phone is told.
pub(super) struct Told {
    pub(super) result: StarResult,
    pub(super) said: &'static str,
    pub(super) then: Option<Command>,
    pub(super) pin: Option<SeatId>,
}

/// A phone of ours dialled a code.
pub(super) fn dials_code(arrival: &Arrival) -> bool {
    match arrival.ingress {
        Ingress::Seat(_) => arrival.called.starts_with('*'),
        Ingress::Trunk(_) => false,
    }
}

/// A tone that says how it went, and words.
pub(super) fn sounds_of(result: StarResult, said: &str) -> Vec<Sound> {
    let tone = match result {
        StarResult::Done => Sound::Entry,
        StarResult::Refused | StarResult::Unknown => Sound::Soft,
    };
    vec![tone, Sound::Prompt(PromptId::from(said))]
}

/// `*80801`, `*80*801#` and `*80801%23` are one.
fn read(called: &str) -> (&str, &str) {
    let digits = called.trim_start_matches('*');
    let digits = digits.trim_end_matches("%23").trim_end_matches('#');
    let (code, argument) = digits.split_at_checked(2).unwrap_or((digits, ""));
    (code, argument.trim_start_matches('*'))
}

impl Switch {
    /// A phone dialled a star and what follows.
    pub(super) fn code_dialled(&mut self, arrival: &Arrival, phone: &PhoneId) {
        if !self.may_be_told(arrival, phone) {
            return;
        }
        let seat = self.seat_dialling(phone);
        if let Some(seat) = &seat {
            self.phone_dials(seat);
        }
        let (code, argument) = read(&arrival.called);
        let upshot = self.upshot_of(arrival, phone, seat.as_ref(), (code, argument));
        let (result, command, said, then) = match upshot {
            Upshot::GoesOn(command) => (StarResult::Done, Some(command), None, None),
            Upshot::Says(result, command, said) => (result, command, Some(said), None),
            Upshot::Rings(command) => {
                let then = Some(command.clone());
                (StarResult::Done, Some(command), Some(RINGS), then)
            }
            Upshot::AsksPin(of) => return self.ask_pin(arrival, phone, seat, of),
        };
        self.say_code(phone, seat.as_ref(), code, result, command);
        if let Some(said) = said {
            let told = Told {
                result,
                said,
                then,
                pin: None,
            };
            self.answer_code(arrival, phone, seat, told);
        }
    }

    /// A phone where no seat sits dialled a number outside.
    pub(super) fn seatless_dialled(&mut self, arrival: &Arrival, phone: &PhoneId) {
        if !self.may_be_told(arrival, phone) {
            return;
        }
        let told = Told {
            result: StarResult::Refused,
            said: NO_SEAT,
            then: None,
            pin: None,
        };
        self.answer_code(arrival, phone, None, told);
    }

    /// One such call of a phone at a time, and none that had no port: it was told 503, there is nothing to keep of it.
    fn may_be_told(&mut self, arrival: &Arrival, phone: &PhoneId) -> bool {
        if arrival.refused_capacity {
            return false;
        }
        let busy = self.codes.values().any(|coded| coded.phone == *phone);
        if busy {
            self.release_stray(arrival, Cause::Busy);
        }
        !busy
    }

    fn upshot_of(
        &mut self,
        arrival: &Arrival,
        phone: &PhoneId,
        seat: Option<&SeatId>,
        (code, argument): (&str, &str),
    ) -> Upshot {
        let known = DIALLED_CODES.iter().find(|c| c.code == code);
        let whole = |c: &DialledCode| c.argument.is_some() != argument.is_empty();
        match (known, seat) {
            (Some(known), _) if !whole(known) => Upshot::Says(StarResult::Unknown, None, UNKNOWN),
            (
                Some(DialledCode {
                    does: Does::SignsIn,
                    ..
                }),
                _,
            ) => self.code_signs_in(phone, argument),
            (Some(known), Some(seat)) => self.do_code(arrival, seat, known, argument),
            (Some(_), None) => Upshot::Says(StarResult::Refused, None, NO_SEAT),
            (None, _) if STAR_CODES.iter().any(|c| c.code == code) => {
                Upshot::Says(StarResult::Refused, None, IN_TALK)
            }
            (None, _) => Upshot::Says(StarResult::Unknown, None, UNKNOWN),
        }
    }

    /// Of no call. A phone without a seat is named instead.
    pub(super) fn say_code(
        &mut self,
        phone: &PhoneId,
        seat: Option<&SeatId>,
        code: &str,
        result: StarResult,
        command: Option<Command>,
    ) {
        let seat = seat.cloned().unwrap_or_else(|| SeatId(phone.0.clone()));
        self.note(EventKind::StarCode {
            seat,
            code: code.to_owned(),
            result,
            command: command.map(Box::new),
        });
    }

    /// A phone that dials is there, whatever its probes said.
    fn phone_dials(&mut self, seat: &SeatId) {
        self.phone_proven(seat);
        if self.seats.get(seat).is_some_and(|s| s.binding.is_some()) {
            self.phone_came(seat, true);
        }
    }

    fn do_code(
        &mut self,
        arrival: &Arrival,
        seat: &SeatId,
        code: &DialledCode,
        argument: &str,
    ) -> Upshot {
        let by = self.actor_at(seat);
        match &code.does {
            Does::Gives(command, said) => {
                let command = command(seat);
                match self.command(&by, &command) {
                    Ok(_) if self.is_in_call(seat) => {
                        Upshot::Says(StarResult::Done, Some(command), AFTER_TALK)
                    }
                    Ok(_) => Upshot::Says(StarResult::Done, Some(command), said),
                    Err(_) => Upshot::Says(StarResult::Refused, Some(command), REFUSED),
                }
            }
            Does::CallsBack => self.code_calls_back(&by, arrival, seat),
            Does::TakesBack => self.code_takes_back(seat),
            Does::CallsSupervisor => self.code_calls_supervisor(&by, arrival, seat),
            Does::Helps => self.code_helps(&by, arrival, seat),
            Does::ListensToQueues => {
                let command = Command::ListenQueue {
                    seat: seat.clone(),
                    queue: None,
                };
                match self.listen_queue_on(&by, arrival, seat) {
                    Ok(()) => Upshot::GoesOn(command),
                    Err(_) => Upshot::Says(StarResult::Refused, Some(command), REFUSED),
                }
            }
            Does::Supervises(mode) => {
                let of = self.seats.get(&SeatId::from(argument));
                let call = of.and_then(|s| s.duty.engaged()).map(|(call, _)| call);
                self.code_supervises(&by, arrival, seat, call, *mode)
            }
            // Asked before.
            Does::SignsIn => Upshot::Says(StarResult::Refused, None, REFUSED),
        }
    }

    fn actor_at(&self, seat: &SeatId) -> Actor {
        if self.is_supervisor(seat) {
            Actor::Supervisor(seat.clone())
        } else {
            Actor::Seat(seat.clone())
        }
    }

    /// It talks on its other line: what it asked for comes after that.
    fn is_in_call(&self, seat: &SeatId) -> bool {
        self.seats.get(seat).is_some_and(|s| match &s.duty {
            Duty::Talking { .. } | Duty::Listening { .. } => true,
            Duty::SignedOut
            | Duty::NotReady { .. }
            | Duty::Ready { .. }
            | Duty::Reserved { .. }
            | Duty::Ringing { .. }
            | Duty::WrapUp { .. }
            | Duty::Dialling { .. }
            | Duty::Unreachable { .. } => false,
        })
    }

    /// Its leg may become that of a call that we make.
    fn may_make_call(&self, seat: &SeatId) -> bool {
        self.is_at_rest(seat) && self.calls.len() < CALLS_MAX
    }

    fn code_calls_back(&mut self, by: &Actor, arrival: &Arrival, seat: &SeatId) -> Upshot {
        let Some(call_back) = self.next_call_back() else {
            return Upshot::Says(StarResult::Refused, None, NONE_TO_CALL);
        };
        let command = Command::CallBackNow {
            call_back,
            seat: seat.clone(),
        };
        if self.may_make_call(seat) && self.call_back_on(by, call_back, seat, arrival).is_ok() {
            return Upshot::GoesOn(command);
        }
        Upshot::Says(StarResult::Refused, Some(command), REFUSED)
    }

    /// Its own, the oldest first; then what is anybody's.
    fn code_takes_back(&self, seat: &SeatId) -> Upshot {
        let shelved = self.shelf.iter().filter_map(|call| {
            let Phase::Shelved(shelved) = &self.calls.get(call)?.phase else {
                return None;
            };
            let others = shelved.owner.as_ref().is_some_and(|owner| owner != seat);
            (!others).then_some((shelved.owner.is_none(), shelved.since, *call))
        });
        let Some((_, _, call)) = shelved.min() else {
            return Upshot::Says(StarResult::Refused, None, NONE_SHELVED);
        };
        let command = Command::Unshelve {
            call,
            seat: seat.clone(),
        };
        if self.can_be_asked(seat) {
            return Upshot::Rings(command);
        }
        Upshot::Says(StarResult::Refused, Some(command), REFUSED)
    }

    fn code_calls_supervisor(&mut self, by: &Actor, arrival: &Arrival, seat: &SeatId) -> Upshot {
        let ready = |id: &SeatId| {
            let duty = self.seats.get(id).map(|s| &s.duty);
            matches!(duty, Some(Duty::Ready { .. }))
        };
        let others = self.policy.seats.keys().filter(|id| *id != seat);
        let free = others.filter(|id| self.is_supervisor(id) && self.is_at_rest(id));
        let Some(supervisor) = free.min_by_key(|id| !ready(id)).cloned() else {
            return Upshot::Says(StarResult::Refused, None, NO_SUPERVISOR);
        };
        let command = Command::Dial {
            seat: seat.clone(),
            number: supervisor.0.clone(),
        };
        if !self.may_make_call(seat) {
            return Upshot::Says(StarResult::Refused, Some(command), REFUSED);
        }
        let number = self.callee_number(supervisor.as_str());
        let callee = Callee::Seat(supervisor);
        let wish = Wish {
            by,
            seat,
            direction: direction_of(&callee),
            callee,
            number,
        };
        self.phone_made(arrival, wish);
        Upshot::GoesOn(command)
    }

    /// The call whose seat has asked for a supervisor longest, and nobody comes yet.
    fn code_helps(&mut self, by: &Actor, arrival: &Arrival, seat: &SeatId) -> Upshot {
        let asked = self.assists.iter().filter_map(|call| {
            let assist = self.calls.get(call)?.assist.as_ref()?;
            assist.taken.is_none().then_some((assist.at, *call))
        });
        let Some((_, call)) = asked.min() else {
            return Upshot::Says(StarResult::Refused, None, REFUSED);
        };
        let mode = Mode::Barge;
        let upshot = self.code_supervises(by, arrival, seat, Some(call), mode);
        match upshot {
            Upshot::GoesOn(_) => {}
            refused @ (Upshot::Says(..) | Upshot::Rings(_) | Upshot::AsksPin(_)) => {
                return refused;
            }
        }
        if let Some(assist) = self.call_mut(call).and_then(|c| c.assist.as_mut()) {
            assist.taken = Some(seat.clone());
        }
        self.assist_came(call, seat);
        let seat = seat.clone();
        Upshot::GoesOn(Command::AcceptAssist { call, seat, mode })
    }

    fn code_supervises(
        &mut self,
        by: &Actor,
        arrival: &Arrival,
        seat: &SeatId,
        call: Option<CallId>,
        mode: Mode,
    ) -> Upshot {
        let Some(call) = call else {
            return Upshot::Says(StarResult::Refused, None, REFUSED);
        };
        let command = Command::Listen {
            call,
            seat: seat.clone(),
            mode,
        };
        match self.supervise_on(by, arrival, seat, call, mode) {
            Ok(()) => Upshot::GoesOn(command),
            Err(_) => Upshot::Says(StarResult::Refused, Some(command), REFUSED),
        }
    }

    /// `Listen` with the leg of a phone that dialled.
    fn supervise_on(
        &mut self,
        by: &Actor,
        arrival: &Arrival,
        seat: &SeatId,
        call: CallId,
        mode: Mode,
    ) -> Result<(), CommandError> {
        self.check_supervisor_seat(by, seat)?;
        self.check_open(call)?;
        self.check_mode(call, mode)?;
        if self.listener_leg(call, seat).is_some() {
            return Err(not_allowed(by, "its phone is in that call already"));
        }
        let (leg, now) = (arrival.leg, self.now);
        if !self.try_seat_step(seat, |duty| duty.listening(call, leg, now)) {
            return Err(self.wrong_seat_state(seat, "end what it does first"));
        }
        self.given(by, Some(call), mode_command(mode));
        let mut listener = Leg::outbound(Party::Listener(seat.clone()), None);
        listener.state = LegState::Answering;
        listener.dialog = Some(arrival.dialog.clone());
        listener.mode = mode;
        self.add_leg(call, leg, listener);
        self.command_media(arrival.call, MediaCommand::Move { leg, to: call });
        self.command_media(arrival.call, MediaCommand::Close);
        self.command_leg(leg, LegCommand::Answer);
        self.listener_acts(call, leg, seat, mode, true);
        self.watch_star_codes(leg);
        Ok(())
    }

    /// A tone and words, then the phone is released or keys its PIN.
    pub(super) fn answer_code(
        &mut self,
        arrival: &Arrival,
        phone: &PhoneId,
        seat: Option<SeatId>,
        told: Told,
    ) {
        let leg = arrival.leg;
        if let Some(at) = seat.as_ref().and_then(|seat| self.seats.get_mut(seat)) {
            at.keying = Some(leg);
        }
        let coded = CodeCall {
            call: arrival.call,
            phone: phone.clone(),
            seat,
            dialog: arrival.dialog.clone(),
            sounds: sounds_of(told.result, told.said),
            plays: 0,
            stage: Stage::Answered,
            then: told.then,
            pin: told.pin,
        };
        self.codes.insert(leg, coded);
        self.command_leg(leg, LegCommand::Answer);
        let span = self.policy.timers.greeting_after;
        self.arm(TimerKey::DialledCode(leg), span);
    }

    /// Signalling of a phone that dialled a code.
    pub(super) fn code_leg_event(&mut self, leg: LegId, event: &LegEvent) {
        let Some(coded) = self.codes.get_mut(&leg) else {
            return;
        };
        match event {
            LegEvent::Confirmed if coded.stage == Stage::Answered => self.tell_code(leg),
            LegEvent::Dialog { state } => coded.dialog = state.clone(),
            LegEvent::Failed { .. } | LegEvent::Ended { .. } => {
                let call = coded.call;
                self.command_media(call, MediaCommand::Close);
                self.code_over(leg);
            }
            LegEvent::Confirmed | LegEvent::Digit { .. } | LegEvent::FarHold { .. } => {}
            LegEvent::Progress { .. } | LegEvent::Answered => self.misfit("code.outbound_event"),
        }
    }

    pub(super) fn code_media_event(&mut self, leg: LegId, event: &MediaEvent) {
        match event {
            MediaEvent::PlayEnded { play } => {
                let coded = self.codes.get(&leg);
                if coded.is_some_and(|c| c.stage == Stage::Told && PlayId(c.plays) == *play) {
                    self.code_told(leg);
                }
            }
            MediaEvent::RtpStarted
            | MediaEvent::Digit { .. }
            | MediaEvent::Tone { .. }
            | MediaEvent::RtpLost { .. } => {}
        }
    }

    /// Its time is up.
    pub(super) fn code_due(&mut self, leg: LegId) {
        match self.codes.get(&leg).map(|coded| coded.stage) {
            Some(Stage::Answered) => self.tell_code(leg),
            Some(Stage::Told) => self.code_told(leg),
            Some(Stage::Keys) => self.pin_missing(leg),
            Some(Stage::Released) => self.code_over(leg),
            None => self.misfit("flaw.timer_code_unknown"),
        }
    }

    /// The words are over.
    fn code_told(&mut self, leg: LegId) {
        let Some(coded) = self.codes.get_mut(&leg) else {
            return;
        };
        if coded.pin.is_none() {
            return self.release_code(leg);
        }
        coded.stage = Stage::Keys;
        self.arm(TimerKey::DialledCode(leg), KEYS_SPAN);
    }

    pub(super) fn tell_code(&mut self, leg: LegId) {
        let Some(coded) = self.codes.get_mut(&leg) else {
            return;
        };
        coded.stage = Stage::Told;
        coded.plays += 1;
        let (call, play, sounds) = (coded.call, PlayId(coded.plays), coded.sounds.clone());
        let told = MediaCommand::Play {
            leg,
            play,
            sounds,
            repeat: false,
        };
        self.command_media(call, told);
        self.arm(TimerKey::DialledCode(leg), TOLD_SPAN);
    }

    pub(super) fn release_code(&mut self, leg: LegId) {
        let Some(coded) = self.codes.get_mut(&leg) else {
            return;
        };
        if coded.stage == Stage::Released {
            return;
        }
        coded.stage = Stage::Released;
        let (call, dialog) = (coded.call, coded.dialog.clone());
        let party = Party::Seat(SeatId(coded.phone.0.clone()));
        self.release_dialog(leg, call, party, Cause::Normal, Some(dialog));
        self.command_media(call, MediaCommand::Close);
        self.arm(TimerKey::DialledCode(leg), FREE_SPAN);
    }

    /// The phone is off the line: it may be rung again.
    pub(super) fn code_over(&mut self, leg: LegId) {
        let Some(coded) = self.codes.remove(&leg) else {
            return;
        };
        self.timers.disarm(&TimerKey::DialledCode(leg));
        for seat in self.seats.values_mut().filter(|s| s.keying == Some(leg)) {
            seat.keying = None;
        }
        if let (Some(command), Some(seat)) = (coded.then, coded.seat) {
            let by = self.actor_at(&seat);
            if self.command(&by, &command).is_err() {
                self.misfit("code.refused_after_release");
            }
        }
    }

    /// After a restart: their dialogs are closed like those of calls.
    pub(super) fn close_codes(&mut self) {
        for (leg, coded) in std::mem::take(&mut self.codes) {
            let ending = super::ending::EndingLeg {
                call: coded.call,
                party: Party::Seat(SeatId(coded.phone.0)),
                cause: Cause::Restarted,
                dialog: Some(coded.dialog),
            };
            self.ending.entry(leg).or_insert(ending);
        }
    }
}
