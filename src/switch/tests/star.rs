use super::*;
use crate::call::LegEvent;

impl Rig {
    pub(super) fn keys(&mut self, leg: LegId, keys: &str) {
        for digit in keys.chars() {
            self.input(InputKind::Media {
                leg,
                event: MediaEvent::Digit {
                    digit,
                    duration_ms: 100,
                },
            });
            self.pass(200);
        }
    }

    fn watches(&self, leg: LegId) -> usize {
        let watched = |m: &&MediaCommand| **m == MediaCommand::StarCodes { leg };
        self.media().iter().filter(watched).count()
    }
}

#[test]
fn a_seat_rings_a_doctor_by_star_code_and_nobody_else_gets_its_keys() {
    let mut rig = Rig::new();
    let (call, caller, seat) = rig.talk("801");
    assert_eq!(rig.watches(seat), 1, "from the answer on");
    assert_eq!(rig.watches(caller), 0);
    rig.keys(seat, "*3113900001111#");
    assert_eq!(rig.event("command.given")["name"], "add_party");
    let (_, third) = rig.rung_number().unwrap();
    assert_eq!(rig.event("seat.star_code")["result"], "done");
    assert_eq!(rig.event("seat.star_code")["code"], "31");
    assert_eq!(
        rig.count("dtmf.received"),
        0,
        "no key of a code is a key of the talk"
    );
    assert_eq!(rig.watches(seat), 2, "ready for the next");
    rig.rings(third);
    assert_eq!(rig.said(seat), ["Entry"], "its tone first");
    rig.prompt_ends(seat);
    assert_eq!(rig.said(seat), ["RingBack"]);
    rig.picks_up(third);
    rig.keys(seat, "5");
    assert_eq!(
        rig.count("dtmf.received"),
        1,
        "a key alone is for the others"
    );
    rig.keys(seat, "*39");
    assert!(rig.released(third).is_some());
    assert_eq!(rig.state(call), Some(CallState::Talking));
}

#[test]
fn an_unknown_code_and_a_refused_one_are_told_to_the_seat_alone() {
    for (keys, result, hint) in [
        ("*77", "unknown", "star_unknown"),
        ("*#", "unknown", "star_unknown"),
        ("*39", "refused", "star_refused"),
        ("*30#", "refused", "star_refused"),
    ] {
        let mut rig = Rig::new();
        let (call, caller, seat) = rig.talk("801");
        rig.keys(seat, keys);
        assert_eq!(rig.event("seat.star_code")["result"], result, "{keys}");
        assert_eq!(rig.said(seat), [hint]);
        assert!(rig.plays(caller).is_none());
        assert_eq!(rig.hears(caller), [seat]);
        assert_eq!(rig.state(call), Some(CallState::Talking));
    }
}

#[test]
fn a_code_left_half_way_is_forgotten_and_a_second_star_begins_anew() {
    let mut rig = Rig::new();
    let (_, _, seat) = rig.talk("801");
    rig.keys(seat, "*3");
    rig.pass(5_000);
    rig.keys(seat, "9");
    assert_eq!(rig.count("seat.star_code"), 0);
    rig.keys(seat, "*3*11");
    assert_eq!(rig.event("seat.star_code")["code"], "11");
    assert_eq!(rig.event("seat.star_code")["result"], "done");
}

#[test]
fn a_key_sent_both_ways_counts_once_in_a_code() {
    let mut rig = Rig::new();
    let (_, _, seat) = rig.talk("801");
    for digit in "*60".chars() {
        rig.leg(seat, LegEvent::Digit { digit });
        rig.keys(seat, &digit.to_string());
    }
    assert_eq!(rig.count("harassment.suspected"), 1);
    assert_eq!(rig.event("seat.star_code")["result"], "done");
}

#[test]
fn a_callers_star_is_a_key_like_any() {
    let mut rig = Rig::new();
    let (_, caller, _) = rig.talk("801");
    rig.keys(caller, "*99");
    assert_eq!(rig.count("seat.star_code"), 0);
    assert_eq!(rig.count("dtmf.received"), 3);
}

#[test]
fn each_code_has_its_own_two_digits_and_a_row_in_the_seat_guide() {
    let guide = include_str!("../../../docs/star-codes.md");
    for (n, code) in STAR_CODES.iter().enumerate() {
        assert_eq!(code.code.len(), 2);
        let later = STAR_CODES.iter().skip(n + 1);
        assert!(
            later.clone().all(|other| other.code != code.code),
            "{}",
            code.code
        );
        let key = match code.argument {
            Some(argument) => format!("`*{} {argument} #`", code.code),
            None => format!("`*{}`", code.code),
        };
        assert!(guide.contains(&key), "docs/star-codes.md has no {key}");
    }
}

#[test]
fn a_listening_supervisor_changes_his_mode_by_star_code() {
    let mut rig = Rig::new();
    let (call, caller, seat) = rig.talk("801");
    rig.registers("901");
    let listener = SeatId::from("901");
    let listens = Command::Listen {
        call,
        seat: listener.clone(),
        mode: crate::call::Mode::Listen,
    };
    let Ok(CommandReply::Leg { leg }) = rig.command(Actor::Supervisor(listener), listens) else {
        panic!("he may listen");
    };
    rig.rings(leg);
    rig.picks_up(leg);
    assert_eq!(rig.watches(leg), 1);
    rig.keys(leg, "*81");
    assert_eq!(rig.event("seat.star_code")["result"], "done");
    assert!(rig.hears(seat).contains(&leg) && !rig.hears(caller).contains(&leg));
    rig.keys(leg, "*83");
    assert!(rig.hears(caller).contains(&leg), "the call is his");
    assert_eq!(rig.state(call), Some(CallState::Talking));
}

#[test]
fn a_seat_says_by_star_code_what_a_call_was_and_joins_the_one_that_waits_next() {
    let mut rig = Rig::new();
    let (call, _, seat) = rig.talk("801");
    let second = rig.switch.policy.forms.call_types[1].l1.clone();
    rig.keys(seat, "*642#");
    assert_eq!(rig.event("call.classified")["code"], second.as_str());
    for keys in ["*640#", "*64999#", "*64#", "*32"] {
        rig.keys(seat, keys);
        assert_eq!(rig.event("seat.star_code")["result"], "refused", "{keys}");
    }
    let (next, _) = rig.arrives();
    rig.pass(1_000);
    rig.arrives();
    rig.keys(seat, "*32");
    assert_eq!(rig.event("seat.star_code")["result"], "done");
    let view = rig.switch.view();
    let joined = view.calls.iter().find(|c| c.call == call);
    assert_eq!(joined.map(|c| c.joined_with.clone()), Some(vec![next]));
}
