//! A seat signs in on a phone by its PIN: `*15` and its number, then the PIN by keys. The keys of that leg reach nobody
//! ([`Effect::AskPin`]): the core is told whether they were right.
//!
//! ```text
//! asked --right--> signed in, told, released      --wrong--> asked again; the third time: alarm, pause, released
//!   `--15 s without a whole PIN--> released
//! ```

use super::codes::{CodeCall, Stage, Told, Upshot, sounds_of};
use super::star::{REFUSED, StarResult};
use super::{Actor, Command, Effect, Switch};
use crate::call::Arrival;
use crate::id::{LegId, PhoneId, SeatId};

/// Its code.
const CODE: &str = "15";
const SIGNED_IN: &str = "star_signed_in";
const ASKED: &str = "star_pin";
const WRONG: &str = "star_pin_wrong";
const PAUSED: &str = "star_pin_paused";
const IN_CALL: &str = "star_seat_in_call";
pub(super) const PIN_PROMPTS: [&str; 5] = [SIGNED_IN, ASKED, WRONG, PAUSED, IN_CALL];

impl Switch {
    /// `*15` and a seat's number. At its own phone the account is the proof.
    pub(super) fn code_signs_in(&mut self, phone: &PhoneId, argument: &str) -> Upshot {
        let seat = SeatId::from(argument);
        let refused = |said| Upshot::Says(StarResult::Refused, None, said);
        if !self.seats.contains_key(&seat) {
            return refused(REFUSED);
        }
        if !self.may_sign_in(&seat, phone) {
            return refused(IN_CALL);
        }
        if phone.as_str() == seat.as_str() {
            let (command, done) = self.sign_in_at(&seat, phone);
            return if done {
                Upshot::Says(StarResult::Done, Some(command), SIGNED_IN)
            } else {
                Upshot::Says(StarResult::Refused, Some(command), REFUSED)
            };
        }
        if !self.policy.desks.pins.contains(&seat) {
            return refused(REFUSED);
        }
        if self.is_paused(&seat) {
            return refused(PAUSED);
        }
        Upshot::AsksPin(seat)
    }

    fn sign_in_at(&mut self, seat: &SeatId, phone: &PhoneId) -> (Command, bool) {
        let command = Command::SignIn {
            seat: seat.clone(),
            phone: phone.clone(),
        };
        let done = self.command(&Actor::Seat(seat.clone()), &command).is_ok();
        (command, done)
    }

    /// Before its 200, so that no key of it can be heard by anybody else.
    pub(super) fn ask_pin(
        &mut self,
        arrival: &Arrival,
        phone: &PhoneId,
        seat: Option<SeatId>,
        of: SeatId,
    ) {
        let leg = arrival.leg;
        self.effects.push_back(Effect::AskPin {
            leg,
            seat: of.clone(),
        });
        let told = Told {
            result: StarResult::Done,
            said: ASKED,
            then: None,
            pin: Some(of),
        };
        self.answer_code(arrival, phone, seat, told);
    }

    /// A whole PIN was keyed.
    pub(super) fn pin_keyed(&mut self, leg: LegId, right: bool) {
        let asked = self.codes.get(&leg).and_then(|coded| {
            let up = matches!(coded.stage, Stage::Told | Stage::Keys);
            Some((coded.pin.clone().filter(|_| up)?, coded.phone.clone()))
        });
        let Some((seat, phone)) = asked else {
            return self.misfit("pin.not_asked");
        };
        if !right {
            return self.pin_refused(leg, &seat, &phone);
        }
        self.pin_right(&seat);
        let (command, done) = self.sign_in_at(&seat, &phone);
        let (result, said) = if done {
            (StarResult::Done, SIGNED_IN)
        } else {
            (StarResult::Refused, IN_CALL)
        };
        self.say_code(&phone, Some(&seat), CODE, result, Some(command));
        if done {
            // Its phone is still on the line.
            if let Some(state) = self.seats.get_mut(&seat) {
                state.keying = Some(leg);
            }
            self.with_code(leg, |coded| coded.seat = Some(seat));
        }
        self.with_code(leg, |coded| coded.pin = None);
        self.tell_anew(leg, result, said);
    }

    fn pin_refused(&mut self, leg: LegId, seat: &SeatId, phone: &PhoneId) {
        let paused = self.pin_wrong(seat);
        if paused {
            self.with_code(leg, |coded| coded.pin = None);
            self.say_code(phone, Some(seat), CODE, StarResult::Refused, None);
        }
        let said = if paused { PAUSED } else { WRONG };
        self.tell_anew(leg, StarResult::Refused, said);
    }

    /// Nobody keyed a whole PIN.
    pub(super) fn pin_missing(&mut self, leg: LegId) {
        let coded = self.codes.get(&leg);
        if let Some((seat, phone)) = coded.and_then(|c| Some((c.pin.clone()?, c.phone.clone()))) {
            self.say_code(&phone, Some(&seat), CODE, StarResult::Refused, None);
        }
        self.release_code(leg);
    }

    fn with_code(&mut self, leg: LegId, change: impl FnOnce(&mut CodeCall)) {
        if let Some(coded) = self.codes.get_mut(&leg) {
            change(coded);
        }
    }

    fn tell_anew(&mut self, leg: LegId, result: StarResult, said: &str) {
        self.with_code(leg, |coded| coded.sounds = sounds_of(result, said));
        self.tell_code(leg);
    }
}
