//! Keys that are a PIN: taken out of the owner's inbox before anything is journaled. The core is told whether they were right.
//!
//! From [`Effect::AskPin`](crate::switch::Effect::AskPin) until the end of the leg no key of it passes; each `#` ends a PIN,
//! a `*` begins it anew. PINs are those of the configuration and are held nowhere else.

use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use subtle::ConstantTimeEq as _;

use crate::call::{KeyPath, KeyPress, LegEvent};
use crate::config::checked::Secret;
use crate::id::{LegId, SeatId};
use crate::switch::{InputKind, MediaEvent};
use crate::time::Timestamp;

/// No PIN is longer; what is keyed beyond makes it wrong.
const KEYS_MAX: usize = 16;
/// Legs that key a PIN at once; each phone has one.
const LEGS_MAX: usize = 1024;

/// The seats' PINs, replaced as a whole when the configuration is read again.
pub(super) type Pins = Arc<ArcSwap<BTreeMap<SeatId, Secret>>>;

/// Who keys what.
pub(super) struct PinPad {
    pins: Pins,
    asked: BTreeMap<LegId, Asked>,
}

struct Asked {
    seat: SeatId,
    keys: String,
    last: Option<KeyPress>,
}

impl PinPad {
    pub(super) const fn new(pins: Pins) -> Self {
        Self {
            pins,
            asked: BTreeMap::new(),
        }
    }

    /// The keys of this leg are that seat's PIN from now on.
    pub(super) fn ask(&mut self, leg: LegId, seat: SeatId) {
        while self.asked.len() >= LEGS_MAX {
            self.asked.pop_first();
        }
        let asked = Asked {
            seat,
            keys: String::new(),
            last: None,
        };
        self.asked.insert(leg, asked);
    }

    /// What the core may know of an Input: all of it, nothing, or whether the PIN was right.
    pub(super) fn pass(&mut self, kind: InputKind, now: Timestamp) -> Option<InputKind> {
        let key = match &kind {
            InputKind::Media {
                leg,
                event: MediaEvent::Digit { digit, .. },
            } => Some((*leg, *digit, KeyPath::Media)),
            InputKind::Leg {
                leg,
                event: LegEvent::Digit { digit },
            } => Some((*leg, *digit, KeyPath::Signalling)),
            InputKind::Leg {
                leg,
                event: LegEvent::Ended { .. } | LegEvent::Failed { .. },
            } => {
                self.asked.remove(leg);
                None
            }
            InputKind::Started { .. }
            | InputKind::PolicyChanged { .. }
            | InputKind::Arrived { .. }
            | InputKind::ArrivedAgain { .. }
            | InputKind::Leg { .. }
            | InputKind::Media { .. }
            | InputKind::Recording { .. }
            | InputKind::Found { .. }
            | InputKind::Seat { .. }
            | InputKind::Pin { .. }
            | InputKind::Trunk { .. }
            | InputKind::UnknownSource { .. }
            | InputKind::Command { .. }
            | InputKind::Alarm { .. }
            | InputKind::Tick
            | InputKind::Skipped { .. }
            | InputKind::Remembered { .. } => None,
        };
        let Some((leg, digit, path)) = key else {
            return Some(kind);
        };
        let at = now;
        let Some(asked) = self.asked.get_mut(&leg) else {
            return Some(kind);
        };
        let right = asked.press(KeyPress { digit, path, at }, &self.pins.load())?;
        Some(InputKind::Pin { leg, right })
    }
}

impl Asked {
    /// Whether the PIN that this key ends was right.
    fn press(&mut self, key: KeyPress, pins: &BTreeMap<SeatId, Secret>) -> Option<bool> {
        if self.last.is_some_and(|last| key.is_echo_of(last)) {
            return None;
        }
        self.last = Some(key);
        match key.digit {
            '#' => {
                let keyed = std::mem::take(&mut self.keys);
                let pin = pins.get(&self.seat).map_or("", |pin| pin.0.as_str());
                let equal: bool = keyed.as_bytes().ct_eq(pin.as_bytes()).into();
                Some(equal && !pin.is_empty())
            }
            '*' => {
                self.keys.clear();
                None
            }
            digit => {
                if self.keys.len() < KEYS_MAX {
                    self.keys.push(digit);
                }
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::Cause;
    use uuid::Uuid;

    fn leg(n: u128) -> LegId {
        LegId(Uuid::from_u128(n))
    }

    fn key(leg: LegId, digit: char) -> InputKind {
        let event = MediaEvent::Digit {
            digit,
            duration_ms: 100,
        };
        InputKind::Media { leg, event }
    }

    fn pad() -> (PinPad, Pins) {
        let seat = SeatId::from("801");
        let pins = BTreeMap::from([(seat.clone(), Secret(String::from("4711")))]);
        let pins: Pins = Arc::new(ArcSwap::from_pointee(pins));
        let mut pad = PinPad::new(Arc::clone(&pins));
        pad.ask(leg(1), seat);
        (pad, pins)
    }

    /// What passes of these keys.
    fn keys(pad: &mut PinPad, of: LegId, keys: &str) -> Vec<InputKind> {
        let pressed = keys.chars().enumerate();
        pressed
            .filter_map(|(n, digit)| {
                let at = Timestamp::from_micros(i64::try_from(n).unwrap() * 1_000_000);
                pad.pass(key(of, digit), at)
            })
            .collect()
    }

    #[test]
    fn keys_of_a_pin_pass_only_as_right_or_wrong_until_the_leg_ends() {
        let (mut pad, _) = pad();
        let of = leg(1);
        let told = |right| vec![InputKind::Pin { leg: of, right }];
        assert_eq!(keys(&mut pad, of, "4711#"), told(true));
        assert_eq!(keys(&mut pad, of, "471#"), told(false));
        assert_eq!(keys(&mut pad, of, "47114711471147114711#"), told(false));
        assert_eq!(
            keys(&mut pad, of, "99*4711#"),
            told(true),
            "a star begins anew"
        );
        assert_eq!(keys(&mut pad, of, "#"), told(false));
        assert_eq!(keys(&mut pad, of, "12"), [], "what comes after it too");
        let ended = InputKind::Leg {
            leg: of,
            event: LegEvent::Ended {
                cause: Cause::Normal,
                by_far_side: true,
            },
        };
        assert_eq!(pad.pass(ended.clone(), Timestamp::default()), Some(ended));
        assert_eq!(keys(&mut pad, of, "1"), [key(of, '1')]);
    }

    #[test]
    fn a_key_sent_both_ways_counts_once_and_other_legs_keep_their_keys() {
        let (mut pad, _) = pad();
        for digit in "4711#".chars() {
            let twin = InputKind::Leg {
                leg: leg(1),
                event: LegEvent::Digit { digit },
            };
            let at = Timestamp::from_micros(i64::from(u32::from(digit)) * 1_000_000);
            let first = pad.pass(key(leg(1), digit), at);
            assert_eq!(first.is_some(), digit == '#');
            assert_eq!(pad.pass(twin, at), None);
        }
        assert_eq!(keys(&mut pad, leg(2), "4"), [key(leg(2), '4')]);
    }

    #[test]
    fn a_seat_without_a_pin_has_no_right_one() {
        let (mut pad, pins) = pad();
        pins.store(Arc::new(BTreeMap::new()));
        let wrong = InputKind::Pin {
            leg: leg(1),
            right: false,
        };
        assert_eq!(keys(&mut pad, leg(1), "#"), std::slice::from_ref(&wrong));
        assert_eq!(keys(&mut pad, leg(1), "4711#"), [wrong]);
    }
}
