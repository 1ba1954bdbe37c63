//! Star codes: what a seat commands on a bare softphone. In a talk or while listening: `*`, two digits, and for some an
//! argument that ends with `#`. The keys of a code are told to us and to nobody else ([`MediaCommand::StarCodes`]).
//!
//! ```text
//! none --*--> Dialled("") --digit--> Dialled("3") --digit--> done | Dialled("30") --digits, #--> done
//!             5 s without a key, or a second *: none
//! ```
//! A code that does not exist or cannot be obeyed now gives the seat a spoken hint; nobody else hears it.

use serde::{Deserialize, Serialize};

use super::timers::TimerKey;
use super::{Actor, Command, EventKind, MediaCommand, Sound, Switch};
use crate::call::{KeyPress, Mode, Party, SeatTone, TransferKind, TransferTo};
use crate::id::{CallId, LegId, PromptId, SeatId};
use crate::time::Millis;

/// A code without a further key is forgotten after this; media stops hiding its keys then too.
const CODE_SPAN: Millis = Millis::from_secs(5);
/// No argument is longer (E.164 and a prefix).
const ARGUMENT_MAX: usize = 24;
pub(super) const UNKNOWN: &str = "star_unknown";
pub(super) const REFUSED: &str = "star_refused";
pub(super) const STAR_HINTS: [&str; 2] = [UNKNOWN, REFUSED];

/// One code of the table in docs/star-codes.md.
pub struct StarCode {
    /// Two digits, dialled after `*`.
    pub code: &'static str,
    /// What follows the code before `#`.
    pub argument: Option<&'static str>,
    command: fn(&Switch, &Keyed<'_>) -> Option<Command>,
}

/// All codes.
pub const STAR_CODES: &[StarCode] = &[
    code("10", None, |_, by| {
        Some(Command::SeatReady { seat: by.seat() })
    }),
    code("11", None, |_, by| by.away("离席")),
    code("12", None, |_, by| by.away("就餐")),
    code("13", None, |_, by| by.away("培训")),
    code("14", None, |_, by| {
        Some(Command::SignOut { seat: by.seat() })
    }),
    code("20", None, |_, by| Some(Command::Hold { call: by.call })),
    code("21", None, |_, by| Some(Command::Resume { call: by.call })),
    code("22", None, |_, by| Some(Command::Shelve { call: by.call })),
    code("30", Some("number"), |_, by| by.party("other")),
    code("31", Some("number"), |_, by| by.party("doctor")),
    code("32", None, |switch, by| {
        let with = switch.waiting_order().first().copied()?;
        Some(Command::Join {
            call: by.call,
            with,
        })
    }),
    code("39", None, |switch, by| {
        let leg = switch.newest_third(by.call)?;
        Some(Command::RemoveParty { call: by.call, leg })
    }),
    code("40", Some("seat"), |_, by| {
        by.transfers(by.other_seat(), TransferKind::Blind)
    }),
    code("41", Some("seat"), |_, by| {
        by.transfers(by.other_seat(), TransferKind::Attended)
    }),
    code("42", Some("seat"), |_, by| {
        by.transfers(by.other_seat(), TransferKind::Conference)
    }),
    code("43", None, |_, by| {
        Some(Command::CompleteTransfer { call: by.call })
    }),
    code("44", None, |_, by| {
        Some(Command::CancelTransfer { call: by.call })
    }),
    code("45", Some("number"), |_, by| {
        by.transfers(by.number(), TransferKind::Blind)
    }),
    code("46", Some("number"), |_, by| {
        by.transfers(by.number(), TransferKind::Attended)
    }),
    code("60", None, |_, by| {
        Some(Command::ProposeVerdict {
            call: by.call,
            reason: String::from("按键标记"),
        })
    }),
    code("61", None, |_, by| {
        Some(Command::AskSilent { call: by.call })
    }),
    code("62", None, |_, by| by.advises(true)),
    code("63", None, |_, by| by.advises(false)),
    code("64", Some("number"), |switch, by| {
        let place = by.argument.parse::<usize>().ok()?.checked_sub(1)?;
        let code = switch.policy.forms.call_types.get(place)?.l1.clone();
        Some(Command::Classify {
            call: by.call,
            code,
        })
    }),
    code("70", None, |_, by| {
        Some(Command::RequestAssist { call: by.call })
    }),
    code("71", None, |_, by| {
        Some(Command::CancelAssist { call: by.call })
    }),
    code("80", None, |_, by| by.listens(Mode::Listen)),
    code("81", None, |_, by| by.listens(Mode::Whisper)),
    code("82", None, |_, by| by.listens(Mode::Barge)),
    code("83", None, |_, by| by.listens(Mode::TakeOver)),
    code("84", None, |_, by| {
        Some(Command::ListenQueue {
            seat: by.seat(),
            queue: None,
        })
    }),
    code("99", None, |_, by| Some(Command::HangUp { call: by.call })),
];

const fn code(
    code: &'static str,
    argument: Option<&'static str>,
    command: fn(&Switch, &Keyed<'_>) -> Option<Command>,
) -> StarCode {
    StarCode {
        code,
        argument,
        command,
    }
}

/// A whole code and who keyed it.
struct Keyed<'a> {
    call: CallId,
    seat: &'a SeatId,
    argument: &'a str,
}

impl Keyed<'_> {
    fn seat(&self) -> SeatId {
        self.seat.clone()
    }

    fn away(&self, reason: &str) -> Option<Command> {
        Some(Command::SeatNotReady {
            seat: self.seat(),
            reason: reason.to_owned(),
        })
    }

    fn listens(&self, mode: Mode) -> Option<Command> {
        Some(Command::Listen {
            call: self.call,
            seat: self.seat(),
            mode,
        })
    }

    fn other_seat(&self) -> TransferTo {
        TransferTo::Seat(SeatId::from(self.argument))
    }

    fn number(&self) -> TransferTo {
        TransferTo::Number(self.argument.to_owned())
    }

    fn transfers(&self, to: TransferTo, kind: TransferKind) -> Option<Command> {
        let call = self.call;
        Some(Command::Transfer { call, to, kind })
    }

    fn advises(&self, on: bool) -> Option<Command> {
        let call = self.call;
        Some(Command::GiveAdvice { call, on })
    }

    fn party(&self, role: &str) -> Option<Command> {
        Some(Command::AddParty {
            call: self.call,
            number: self.argument.to_owned(),
            role: role.to_owned(),
        })
    }
}

/// What came of a code.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StarResult {
    Done,
    /// The command was refused as it would be by the API.
    Refused,
    /// There is no such code.
    Unknown,
}

/// A code under way at one leg.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Dialled {
    digits: String,
    last: KeyPress,
}

/// What a key makes of a code.
enum Step {
    More,
    Done(&'static StarCode),
    Unknown,
}

impl Dialled {
    fn begun(press: KeyPress) -> Self {
        Self {
            digits: String::new(),
            last: press,
        }
    }

    fn step(&mut self, press: KeyPress) -> Step {
        let is_end = press.digit == '#';
        if !is_end {
            self.digits.push(press.digit);
        }
        self.last = press;
        let Some((head, _)) = self.digits.split_at_checked(2) else {
            return if is_end { Step::Unknown } else { Step::More };
        };
        let Some(code) = STAR_CODES.iter().find(|c| c.code == head) else {
            return Step::Unknown;
        };
        match code.argument {
            None => Step::Done(code),
            Some(_) if is_end => Step::Done(code),
            Some(_) if self.digits.len() > 2 + ARGUMENT_MAX => Step::Unknown,
            Some(_) => Step::More,
        }
    }

    fn argument(&self) -> &str {
        self.digits.get(2..).unwrap_or_default()
    }
}

impl Switch {
    /// A leg is up. A seat's or listener's codes are for us alone from now on.
    pub(super) fn watch_star_codes(&mut self, leg: LegId) {
        let Some(call) = self.legs.get(&leg).copied() else {
            return;
        };
        if self.keys_codes(call, leg).is_some() {
            self.command_media(call, MediaCommand::StarCodes { leg });
        }
    }

    /// The seat whose leg it is.
    fn keys_codes(&self, call: CallId, leg: LegId) -> Option<SeatId> {
        match &self.calls.get(&call)?.legs.get(&leg)?.party {
            Party::Seat(seat) | Party::Listener(seat) => Some(seat.clone()),
            Party::Caller | Party::Third { .. } | Party::Relief(_) => None,
        }
    }

    /// True when the key belongs to a star code.
    pub(super) fn star_key(&mut self, call: CallId, leg: LegId, press: KeyPress) -> bool {
        let Some(seat) = self.keys_codes(call, leg) else {
            return false;
        };
        if let Some(dialled) = self.stars.get_mut(&leg) {
            if press.is_echo_of(dialled.last) {
                return true;
            }
            if press.digit == '*' {
                *dialled = Dialled::begun(press);
            } else {
                let step = dialled.step(press);
                self.star_step(call, leg, &seat, step);
                return true;
            }
        } else if press.digit == '*' {
            self.stars.insert(leg, Dialled::begun(press));
        } else {
            return false;
        }
        self.arm(TimerKey::StarCode(leg), CODE_SPAN);
        true
    }

    fn star_step(&mut self, call: CallId, leg: LegId, seat: &SeatId, step: Step) {
        let code = match step {
            Step::More => return self.arm(TimerKey::StarCode(leg), CODE_SPAN),
            Step::Done(code) => Some(code),
            Step::Unknown => None,
        };
        let Some(dialled) = self.stars.remove(&leg) else {
            return;
        };
        self.timers.disarm(&TimerKey::StarCode(leg));
        let digits = dialled.digits.get(..2).unwrap_or(&dialled.digits);
        let keyed = Keyed {
            call,
            seat,
            argument: dialled.argument(),
        };
        let command = code.and_then(|code| (code.command)(self, &keyed));
        let result = match (code, &command) {
            (None, _) => StarResult::Unknown,
            (Some(_), Some(command)) => self.obey_star(seat, command),
            (Some(_), None) => StarResult::Refused,
        };
        let said = EventKind::StarCode {
            seat: seat.clone(),
            code: digits.to_owned(),
            result,
            command: command.map(Box::new),
        };
        self.say(call, said);
        self.hint(call, leg, result);
        self.watch_star_codes(leg);
    }

    fn obey_star(&mut self, seat: &SeatId, command: &Command) -> StarResult {
        let by = if self.is_supervisor(seat) {
            Actor::Supervisor(seat.clone())
        } else {
            Actor::Seat(seat.clone())
        };
        match self.command(&by, command) {
            Ok(_) => StarResult::Done,
            Err(_) => StarResult::Refused,
        }
    }

    /// A short tone when it was done, words when not; in the seat's ear alone.
    fn hint(&mut self, call: CallId, leg: LegId, result: StarResult) {
        if self.leg_mut(call, leg).is_none_or(|l| !l.state.is_up()) {
            return;
        }
        let sound = match result {
            StarResult::Done => Sound::Entry,
            StarResult::Refused => Sound::Prompt(PromptId::from(REFUSED)),
            StarResult::Unknown => Sound::Prompt(PromptId::from(UNKNOWN)),
        };
        let seat_leg = self
            .calls
            .get(&call)
            .and_then(|c| c.talking()?.seat.clone());
        let Some(play) = self.play_to(call, leg, vec![sound], false) else {
            return;
        };
        if seat_leg.is_some_and(|(_, own)| own == leg) {
            self.set_seat_tone(call, SeatTone::Once { play });
        }
    }

    /// Time is up: what was keyed is forgotten.
    pub(super) fn star_code_over(&mut self, leg: LegId) {
        self.stars.remove(&leg);
    }

    /// The third party that was rung last.
    fn newest_third(&self, call: CallId) -> Option<LegId> {
        let legs = &self.calls.get(&call)?.legs;
        let is_third = |leg: &crate::call::Leg| matches!(leg.party, Party::Third { .. });
        legs.iter()
            .filter(|(_, leg)| is_third(leg))
            .map(|(id, _)| *id)
            .max()
    }
}
