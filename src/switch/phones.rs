//! Phones (话机) and the seats that sit at them: a phone is an account that registers, a seat is whom calls are offered to
//! (docs/adr/0011-hot-desk.md). At most one phone per seat, and one seat per phone.
//!
//! ```text
//! phone registers --its own seat sits nowhere--> that seat sits there
//! SignIn --> the seat sits there; it leaves its phone, and who sat there is signed out
//! SignOut at another phone than its own --> it sits nowhere; the phone takes no calls
//! ```
//! A seat in a call, and the seat of a phone in a call, are not moved. PINs are checked outside: here they are right or wrong.

use serde::{Deserialize, Serialize};

use super::timers::TimerKey;
use super::{Actor, AlarmCode, CommandError, CommandReply, EventKind, Policy, SeatLink, Switch};
use crate::acd::Binding;
use crate::call::{Arrival, Ingress};
use crate::id::{PhoneId, SeatId};
use crate::time::{Millis, Timestamp};

/// So many wrong PINs in a row, on whatever phones.
const WRONG_PINS_MAX: u8 = 3;
/// Then the seat signs in by PIN nowhere for this long.
const PIN_PAUSE: Millis = Millis::from_secs(300);

/// Wrong PINs of a seat.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct WrongPins {
    count: u8,
    paused_until: Option<Timestamp>,
}

fn own_seat(phone: &PhoneId) -> SeatId {
    SeatId(phone.0.clone())
}

fn own_phone(seat: &SeatId) -> PhoneId {
    PhoneId(seat.0.clone())
}

impl Switch {
    /// A phone registered, left or stopped answering; it is named by its account.
    pub(super) fn phone_link(&mut self, name: &SeatId, link: &SeatLink) {
        let phone = own_phone(name);
        if !self.is_phone(&phone) {
            return self.misfit("seat.unknown");
        }
        match link {
            SeatLink::Registered { contact, until } => {
                let binding = Binding {
                    contact: contact.clone(),
                    until: *until,
                };
                self.timers
                    .arm(TimerKey::Registration(name.clone()), *until);
                self.phones.insert(phone.clone(), binding.clone());
                if let Some(seat) = self.seat_dialling(&phone) {
                    self.seat_bound(&seat, &phone, binding);
                }
            }
            SeatLink::Unregistered => self.phone_gone(&phone),
            SeatLink::Reachable { reachable } => {
                let known = self.phones.contains_key(&phone);
                match self.seat_at(&phone) {
                    Some(seat) if *reachable && known => self.phone_came(&seat, true),
                    Some(seat) if !*reachable => self.phone_died(&seat),
                    Some(_) => self.misfit("seat.reachable_unregistered"),
                    None => {}
                }
            }
        }
    }

    /// A registration's time is up.
    pub(super) fn registration_ran_out(&mut self, name: &SeatId) {
        self.phone_gone(&own_phone(name));
    }

    fn phone_gone(&mut self, phone: &PhoneId) {
        self.timers.disarm(&TimerKey::Registration(own_seat(phone)));
        self.phones.remove(phone);
        if let Some(seat) = self.seat_at(phone) {
            self.phone_left(&seat);
        }
    }

    fn is_phone(&self, phone: &PhoneId) -> bool {
        self.policy.desks.phones.contains(phone) || self.seats.contains_key(&own_seat(phone))
    }

    /// The seat that sits at a phone.
    pub(super) fn seat_at(&self, phone: &PhoneId) -> Option<SeatId> {
        let at = self
            .seats
            .iter()
            .find(|(_, s)| s.phone.as_ref() == Some(phone));
        at.map(|(id, _)| id.clone())
    }

    /// The seat whose phone dials: also one that was never seen to register.
    pub(super) fn seat_dialling(&self, phone: &PhoneId) -> Option<SeatId> {
        let own = own_seat(phone);
        let nowhere = self.seats.get(&own).is_some_and(|s| s.phone.is_none());
        self.seat_at(phone).or(nowhere.then_some(own))
    }

    /// The phone of a call that a seat's phone makes.
    pub(super) fn phone_of(arrival: &Arrival) -> Option<PhoneId> {
        match &arrival.ingress {
            Ingress::Seat(name) => Some(own_phone(name)),
            Ingress::Trunk(_) => None,
        }
    }

    /// The phone of a seat registered, now or again.
    fn seat_bound(&mut self, seat: &SeatId, phone: &PhoneId, binding: Binding) {
        let Some(state) = self.seats.get_mut(seat) else {
            return;
        };
        state.phone = Some(phone.clone());
        let known = state.binding.replace(binding).is_some();
        self.phone_came(seat, known);
    }

    /// A free phone takes its own seat back when that sits nowhere; signed out as it is.
    fn settle_own(&mut self, phone: &PhoneId) {
        let Some(binding) = self.phones.get(phone).cloned() else {
            return;
        };
        let taken = self.seat_at(phone).is_some();
        let own = self.seats.get_mut(&own_seat(phone));
        if let Some(own) = own.filter(|own| own.phone.is_none() && !taken) {
            own.phone = Some(phone.clone());
            own.binding = Some(binding);
        }
    }

    /// `SignIn`.
    pub(super) fn sign_in(
        &mut self,
        by: &Actor,
        seat: &SeatId,
        phone: &PhoneId,
    ) -> Result<CommandReply, CommandError> {
        self.check_own_seat(by, seat)?;
        if !self.is_phone(phone) {
            return Err(CommandError::Unknown {
                what: String::from("phone"),
                id: phone.to_string(),
            });
        }
        let Some(binding) = self.phones.get(phone).cloned() else {
            return Err(CommandError::WrongState {
                what: format!("phone {phone}"),
                state: String::from("not registered"),
                hint: String::from("register it first"),
            });
        };
        self.check_may_move(seat, "end its call first, then sign in")?;
        let other = self.seat_at(phone).filter(|other| other != seat);
        if let Some(other) = &other {
            self.check_may_move(other, "it sits at that phone; wait for the end of its call")?;
        }
        self.given(by, None, "sign_in");
        if let Some(other) = &other {
            self.leave_phone(other);
        }
        let from = self.seats.get(seat).and_then(|s| s.phone.clone());
        let from = from.filter(|from| from != phone);
        self.note(EventKind::SeatSignedIn {
            seat: seat.clone(),
            phone: phone.clone(),
            from: from.clone(),
            displaced: other.clone(),
            by: by.clone(),
        });
        self.move_to(seat, phone, binding);
        for free in from.into_iter().chain(other.as_ref().map(own_phone)) {
            self.settle_own(&free);
        }
        Ok(CommandReply::Done)
    }

    /// In no call; what only rings is given back.
    fn check_may_move(&self, seat: &SeatId, hint: &str) -> Result<(), CommandError> {
        let engaged = self.seats.get(seat).is_some_and(|s| s.duty.is_on_line());
        if engaged {
            return Err(self.wrong_seat_state(seat, hint));
        }
        Ok(())
    }

    /// Whether a sign-in there would be taken, were its PIN right.
    pub(super) fn may_sign_in(&self, seat: &SeatId, phone: &PhoneId) -> bool {
        let other = self.seat_at(phone);
        let mut both = [Some(seat), other.as_ref()].into_iter().flatten();
        both.all(|seat| self.check_may_move(seat, "").is_ok())
    }

    fn move_to(&mut self, seat: &SeatId, phone: &PhoneId, binding: Binding) {
        let now = self.now;
        if self.offered_to(seat).is_some() {
            self.withdraw_offer_of(seat);
            self.try_seat_step(seat, |duty| duty.freed(now));
        }
        if let Some(state) = self.seats.get_mut(seat) {
            state.phone = Some(phone.clone());
            state.binding = Some(binding);
        }
        self.phone_came(seat, false);
    }

    /// The seat sits nowhere from now on and is signed out.
    fn leave_phone(&mut self, seat: &SeatId) {
        let Some(state) = self.seats.get_mut(seat) else {
            return;
        };
        state.phone = None;
        self.phone_left(seat);
    }

    /// It signed out. At another phone than its own it leaves that phone.
    pub(super) fn left_desk(&mut self, seat: &SeatId) {
        let Some(state) = self.seats.get_mut(seat) else {
            return;
        };
        if state.binding.is_none() {
            // Its phone is gone; where it registers anew the seat is back.
            return;
        }
        let own = own_phone(seat);
        let Some(phone) = state.phone.take_if(|phone| *phone != own) else {
            return;
        };
        state.binding = None;
        self.settle_own(&own);
        self.settle_own(&phone);
    }

    /// Of an older state: a binding at the seat is that of a phone of its name.
    pub(super) fn place_old_bindings(&mut self) {
        for (id, seat) in &mut self.seats {
            let unplaced = seat.binding.as_ref().filter(|_| seat.phone.is_none());
            if let Some(binding) = unplaced {
                self.phones.insert(own_phone(id), binding.clone());
                seat.phone = Some(own_phone(id));
            }
        }
    }

    /// Phones that are configured no more are forgotten, and who sat there has none.
    pub(super) fn adopt_phones(&mut self, policy: &Policy) {
        let stays = |phone: &PhoneId| {
            policy.desks.phones.contains(phone) || policy.seats.contains_key(&own_seat(phone))
        };
        let gone: Vec<_> = self.phones.keys().filter(|p| !stays(p)).cloned().collect();
        for phone in gone {
            let seat = self.seat_at(&phone);
            self.phone_gone(&phone);
            if let Some(seat) = seat {
                self.leave_phone(&seat);
                self.settle_own(&own_phone(&seat));
            }
        }
    }

    /// By PIN, for a while.
    pub(super) fn is_paused(&self, seat: &SeatId) -> bool {
        let until = self.wrong_pins.get(seat).and_then(|w| w.paused_until);
        until.is_some_and(|until| until > self.now)
    }

    pub(super) fn pin_right(&mut self, seat: &SeatId) {
        self.wrong_pins.remove(seat);
    }

    /// True when it was once too often.
    pub(super) fn pin_wrong(&mut self, seat: &SeatId) -> bool {
        let until = self.now + PIN_PAUSE;
        let wrong = self.wrong_pins.entry(seat.clone()).or_default();
        wrong.count += 1;
        if wrong.count < WRONG_PINS_MAX {
            return false;
        }
        *wrong = WrongPins {
            count: 0,
            paused_until: Some(until),
        };
        let detail = format!(
            "seat {seat} was signed in with a wrong PIN {WRONG_PINS_MAX} times; it signs in by PIN nowhere for 5 minutes. Ask who it was; the page works meanwhile"
        );
        self.raise_alarm(AlarmCode::SeatPinWrong, seat.as_str(), &detail);
        let key = TimerKey::AlarmEnd {
            code: AlarmCode::SeatPinWrong,
            subject: seat.to_string(),
        };
        self.arm(key, PIN_PAUSE);
        true
    }
}
