//! From sections to seats and phones: `[seats.*]`, `[phones.*]`, their secrets and PINs.

use std::collections::BTreeMap;

use super::build::{check_length, need_secret, secret_called};
use super::build_queues::{self, Queues};
use super::checked::{SeatAccount, Secret};
use super::raw::Origin;
use super::section::{At, Section};
use crate::id::{PhoneId, SeatId};
use crate::switch::{Desks, SeatPolicy};

pub(super) type Seats = BTreeMap<SeatId, SeatPolicy>;

/// Shorter ones are guessed, longer ones written on the desk.
const PIN_DIGITS: std::ops::RangeInclusive<usize> = 4..=12;

/// Seats, their phones and where else they may sit.
pub(super) struct People {
    pub(super) seats: Seats,
    pub(super) accounts: Vec<SeatAccount>,
    pub(super) desks: Desks,
    pub(super) pins: BTreeMap<SeatId, Secret>,
}

pub(super) fn people(root: &Section<'_>, queues: &Queues) -> People {
    let mut all = People {
        seats: Seats::new(),
        accounts: Vec::new(),
        desks: Desks::default(),
        pins: BTreeMap::new(),
    };
    let phones = root.named("phones");
    let has_phones = !phones.is_empty();
    for (name, section) in root.named("seats") {
        seat(&mut all, name, &section, queues, has_phones);
        section.close();
    }
    for (name, section) in phones {
        phone(&mut all, name, &section);
        section.close();
    }
    if all.seats.is_empty() {
        root.missing(
            "seats",
            "with no seat every caller would wait for ever",
            "[seats.801] and below it secret_file = \"...\"",
        );
    } else if !all.seats.values().any(SeatPolicy::is_supervisor) {
        root.reader.warn(
            &Origin::Default,
            "seats",
            "has no supervisor: nobody can listen and nobody sees alarms by role",
            "write supervisor = true at one of them",
        );
    }
    all
}

fn seat(all: &mut People, name: String, section: &Section<'_>, queues: &Queues, phones: bool) {
    let policy = build_queues::seat_policy(section, queues);
    let written = section.has("secret") || section.has("secret_file");
    // Without one it has no phone of its own and signs in where others stand.
    let secret = if written || !phones {
        need_secret(section, "its phone registers with it")
    } else {
        None
    };
    let seat = SeatId(name);
    all.seats.insert(seat.clone(), policy);
    if let Some(pin) = secret_called(section, "pin").and_then(|pin| checked(section, pin)) {
        all.desks.pins.insert(seat.clone());
        all.pins.insert(seat.clone(), pin);
    }
    if let Some(secret) = secret {
        check_length(section, &secret);
        all.accounts.push(SeatAccount {
            seat,
            secret: secret.value,
        });
    }
}

fn phone(all: &mut People, name: String, section: &Section<'_>) {
    let secret = need_secret(section, "the phone registers with it");
    if all.seats.contains_key(&SeatId(name.clone())) {
        section.reader.fault(
            &section.origin,
            &section.path,
            "has the name of a seat, and a seat's own phone has that already",
            "give the phone a name of its own, such as desk-1",
        );
    }
    if let Some(secret) = secret {
        check_length(section, &secret);
        all.desks.phones.insert(PhoneId(name.clone()));
        all.accounts.push(SeatAccount {
            seat: SeatId(name),
            secret: secret.value,
        });
    }
}

/// Digits, not too few, not one again and again.
fn checked(section: &Section<'_>, pin: At<Secret>) -> Option<Secret> {
    let digits = pin.value.0.as_bytes();
    let only_digits = digits.iter().all(u8::is_ascii_digit);
    let same = digits.windows(2).all(|pair| pair.first() == pair.last());
    if PIN_DIGITS.contains(&digits.len()) && only_digits && !same {
        return Some(pin.value);
    }
    section.reader.fault(
        &pin.origin,
        &pin.key,
        "is no PIN",
        "4 to 12 digits, not the same one again and again",
    );
    None
}
