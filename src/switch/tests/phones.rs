use super::*;
use crate::call::LegEvent;

fn desks() -> Policy {
    let mut policy = policy();
    policy.desks = Desks {
        phones: ["desk-1", "desk-2"].map(PhoneId::from).into(),
        pins: ["801", "802"].map(SeatId::from).into(),
    };
    policy
}

impl Rig {
    /// As the page of the seat does.
    fn signs_in(&mut self, seat: &str, phone: &str) -> Result<CommandReply, CommandError> {
        let seat = SeatId::from(seat);
        let command = Command::SignIn {
            seat: seat.clone(),
            phone: PhoneId::from(phone),
        };
        self.command(Actor::Seat(seat), command)
    }

    /// Where a seat sits, and whether its phone is registered.
    fn sits(&self, seat: &str) -> (Option<String>, bool) {
        let view = self.switch.view();
        let seat = view.seats.iter().find(|s| s.seat == SeatId::from(seat));
        let seat = seat.expect("a configured seat");
        (seat.phone.as_ref().map(|p| p.0.clone()), seat.registered)
    }

    /// The contact that was rung last.
    fn rung_contact(&self) -> Option<String> {
        self.rung()
            .into_iter()
            .rev()
            .find_map(|(_, target)| match target {
                Target::Seat { contact, .. } => Some(contact),
                Target::Number { .. } => None,
            })
    }

    fn phone_dials(&mut self, phone: &str, called: &str) -> (CallId, LegId) {
        let mut arrival = self.arrival("ct");
        arrival.ingress = Ingress::Seat(SeatId::from(phone));
        arrival.called = called.to_owned();
        self.arrives_as(arrival)
    }

    fn pin(&mut self, leg: LegId, right: bool) {
        self.input(InputKind::Pin { leg, right });
    }

    fn gone(&mut self, leg: LegId) {
        self.leg(
            leg,
            LegEvent::Ended {
                cause: Cause::Normal,
                by_far_side: false,
            },
        );
    }
}

fn at(phone: &str) -> (Option<String>, bool) {
    (Some(phone.to_owned()), true)
}

const NOWHERE: (Option<String>, bool) = (None, false);

#[test]
fn a_seat_that_signs_in_on_another_phone_is_rung_there() {
    let mut rig = Rig::with(desks());
    rig.registers("801");
    rig.registers("desk-1");
    assert_eq!(rig.sits("801"), at("801"));
    rig.signs_in("801", "desk-1").unwrap();
    assert_eq!(rig.sits("801"), at("desk-1"));
    assert_eq!(rig.seat("801").0, SeatState::Ready, "as it was");
    let said = rig.event("seat.signed_in");
    assert_eq!(
        (&said["phone"], &said["from"]),
        (&"desk-1".into(), &"801".into())
    );
    rig.arrives();
    assert_eq!(rig.rung_contact().as_deref(), Some("sip:desk-1@phone"));
    let target = rig.rung().pop().unwrap().1;
    assert!(matches!(target, Target::Seat { phone: Some(phone), .. } if phone.0 == "desk-1"));
    rig.registers("801");
    assert_eq!(
        rig.sits("801"),
        at("desk-1"),
        "its own phone takes nothing back"
    );
}

#[test]
fn a_phone_where_no_seat_sits_is_offered_nothing_and_dials_nothing_outside() {
    let mut rig = Rig::with(desks());
    rig.registers("desk-1");
    let (call, _) = rig.arrives();
    assert_eq!(rig.rung(), []);
    assert_eq!(rig.state(call), Some(CallState::Arriving));
    rig.forget();
    for (dialled, said) in [
        ("13900001111", "star_no_seat"),
        ("801", "star_no_seat"),
        ("*10", "star_no_seat"),
        ("*50", "star_no_seat"),
        ("*77", "star_unknown"),
    ] {
        let (_, leg) = rig.phone_dials("desk-1", dialled);
        rig.acks(leg);
        assert_eq!(rig.said(leg), ["Soft", said], "{dialled}");
        rig.prompt_ends(leg);
        rig.gone(leg);
    }
    assert_eq!(rig.count("call.received") + rig.count("call.dialled"), 0);
    assert_eq!(rig.rung_number(), None);
    rig.phone_dials("desk-1", "120");
    assert_eq!(rig.count("call.received"), 1, "nobody is turned away");
}

#[test]
fn sign_out_at_a_desk_leaves_it_and_the_own_phone_has_the_seat_again() {
    let mut rig = Rig::with(desks());
    rig.registers("801");
    rig.registers("desk-1");
    rig.signs_in("801", "desk-1").unwrap();
    let seat = SeatId::from("801");
    let by = || Actor::Seat(SeatId::from("801"));
    rig.command(by(), Command::SignOut { seat: seat.clone() })
        .unwrap();
    assert_eq!(rig.sits("801"), at("801"));
    assert_eq!(rig.seat("801").0, SeatState::SignedOut);
    rig.registers("801");
    assert_eq!(
        rig.seat("801").0,
        SeatState::SignedOut,
        "a refresh is no sign-in"
    );
    rig.registers("desk-1");
    assert_eq!(rig.switch.view().phones[1].seat, None);
    rig.command(by(), Command::SeatReady { seat }).unwrap();
    rig.arrives();
    assert_eq!(rig.rung_contact().as_deref(), Some("sip:801@phone"));
}

#[test]
fn a_seat_that_talks_at_a_desk_and_signs_out_leaves_it_after_the_talk() {
    let mut rig = Rig::with(desks());
    rig.registers("desk-1");
    rig.signs_in("801", "desk-1").unwrap();
    let (call, caller) = rig.arrives();
    let leg = rig.rung_seat("801").unwrap();
    rig.picks_up(leg);
    assert_eq!(rig.state(call), Some(CallState::Talking));
    let seat = SeatId::from("801");
    let by = Actor::Seat(seat.clone());
    rig.command(by, Command::SignOut { seat }).unwrap();
    assert_eq!(rig.sits("801"), at("desk-1"));
    rig.hangs_up(caller);
    assert_eq!(rig.sits("801"), NOWHERE);
}

#[test]
fn who_sits_at_a_phone_is_signed_out_when_another_seat_signs_in_there() {
    let mut rig = Rig::with(desks());
    rig.registers("801");
    rig.registers("802");
    rig.signs_in("801", "802").unwrap();
    assert_eq!(rig.event("seat.signed_in")["displaced"], "802");
    assert_eq!(rig.sits("801"), at("802"));
    assert_eq!(rig.sits("802"), NOWHERE);
    assert_eq!(rig.seat("802").0, SeatState::SignedOut);
    rig.arrives();
    assert_eq!(rig.rung_contact().as_deref(), Some("sip:802@phone"));
    let (leg, _) = rig.rung().pop().unwrap();
    rig.fails(leg, Cause::Busy);
    let seat = SeatId::from("801");
    let by = Actor::Seat(seat.clone());
    rig.command(by, Command::SignOut { seat }).unwrap();
    assert_eq!(rig.sits("802"), at("802"), "its phone is its own again");
    assert_eq!(rig.seat("802").0, SeatState::SignedOut, "until it says so");
    assert_eq!(rig.sits("801"), at("801"));
}

#[test]
fn a_seat_in_a_talk_is_not_signed_in_elsewhere_nor_is_its_phone_taken() {
    let mut rig = Rig::with(desks());
    let (call, caller, seat) = rig.talk("801");
    rig.registers("desk-1");
    rig.registers("802");
    let refused = rig.signs_in("801", "desk-1");
    assert!(matches!(refused, Err(CommandError::WrongState { state, .. }) if state == "talking"));
    let refused = rig.signs_in("802", "801");
    assert!(matches!(refused, Err(CommandError::WrongState { what, .. }) if what == "seat 801"));
    assert_eq!(rig.sits("801"), at("801"));
    assert_eq!(rig.sits("802"), at("802"));
    assert_eq!(rig.hears(caller), [seat]);
    assert_eq!(rig.state(call), Some(CallState::Talking));
    assert_eq!(rig.count("seat.signed_in"), 0);
    let (_, leg) = rig.phone_dials("desk-1", "*15801");
    rig.acks(leg);
    assert_eq!(rig.said(leg), ["Soft", "star_seat_in_call"]);
}

#[test]
fn a_call_that_only_rings_at_the_old_phone_rings_at_the_new_one() {
    let mut rig = Rig::with(desks());
    rig.registers("801");
    rig.registers("desk-1");
    let (call, _) = rig.arrives();
    let old = rig.rung_seat("801").unwrap();
    rig.rings(old);
    rig.signs_in("801", "desk-1").unwrap();
    assert!(rig.released(old).is_some());
    assert_eq!(rig.rung_contact().as_deref(), Some("sip:desk-1@phone"));
    assert_eq!(rig.state(call), Some(CallState::Offered));
}

#[test]
fn only_a_registered_phone_of_the_centre_takes_a_seat_and_only_its_own() {
    let mut rig = Rig::with(desks());
    let refused = rig.signs_in("801", "desk-1");
    assert!(
        matches!(refused, Err(CommandError::WrongState { state, .. }) if state == "not registered")
    );
    let refused = rig.signs_in("801", "desk-9");
    assert!(matches!(refused, Err(CommandError::Unknown { what, .. }) if what == "phone"));
    let refused = rig.signs_in("899", "desk-1");
    assert!(matches!(refused, Err(CommandError::Unknown { what, .. }) if what == "seat"));
    rig.registers("desk-1");
    let command = Command::SignIn {
        seat: SeatId::from("802"),
        phone: PhoneId::from("desk-1"),
    };
    let refused = rig.command(Actor::Seat(SeatId::from("801")), command);
    assert!(matches!(refused, Err(CommandError::NotAllowed { .. })));
}

#[test]
fn a_desk_that_registers_anew_keeps_its_seat_and_one_that_is_gone_takes_no_calls() {
    let mut rig = Rig::with(desks());
    rig.registers("desk-1");
    rig.signs_in("801", "desk-1").unwrap();
    rig.link("desk-1", SeatLink::Unregistered);
    assert_eq!(rig.sits("801"), (Some("desk-1".into()), false));
    assert_eq!(rig.seat("801").0, SeatState::SignedOut);
    rig.registers("desk-1");
    assert_eq!(rig.sits("801"), at("desk-1"));
    assert_eq!(rig.seat("801").0, SeatState::Ready);
    rig.link("desk-1", SeatLink::Reachable { reachable: false });
    assert_eq!(rig.seat("801").0, SeatState::Unreachable);
    rig.link("desk-1", SeatLink::Reachable { reachable: true });
    assert_eq!(rig.seat("801").0, SeatState::Ready);
    rig.pass(3_600_000);
    assert_eq!(
        rig.sits("801"),
        (Some("desk-1".into()), false),
        "its time ran out"
    );
}

#[test]
fn a_restart_and_a_reload_leave_every_seat_where_it_sits() {
    let mut rig = Rig::with(desks());
    rig.registers("desk-1");
    rig.registers("802");
    rig.signs_in("801", "desk-1").unwrap();
    rig.input(InputKind::Started {
        seed: 8,
        build: String::from("test"),
        policy: Box::new(desks()),
    });
    assert_eq!(rig.sits("801"), at("desk-1"));
    assert_eq!(rig.sits("802"), at("802"));
    let known: Vec<_> = rig
        .switch
        .seat_bindings()
        .into_iter()
        .map(|b| b.0.0)
        .collect();
    assert_eq!(known, ["802", "desk-1"], "for the registrar");
    let policy = Box::new(policy());
    rig.input(InputKind::PolicyChanged { policy });
    assert_eq!(rig.sits("801"), NOWHERE, "that phone is no more");
    assert_eq!(rig.sits("802"), at("802"));
}

#[test]
fn a_state_of_before_has_each_seat_at_its_own_phone() {
    let mut rig = Rig::new();
    rig.registers("801");
    let mut written = rig.switch.snapshot().unwrap();
    let text = written.to_string();
    assert!(text.contains("\"phones\""));
    fn strip(value: &mut serde_json::Value) {
        if let Some(object) = value.as_object_mut() {
            object.remove("phones");
            object.remove("phone");
            object.values_mut().for_each(strip);
        } else if let Some(list) = value.as_array_mut() {
            list.iter_mut().for_each(strip);
        }
    }
    strip(&mut written);
    rig.switch = Switch::restore(&written).unwrap();
    rig.input(InputKind::Started {
        seed: 8,
        build: String::from("test"),
        policy: Box::new(policy()),
    });
    assert_eq!(rig.sits("801"), at("801"));
    assert_eq!(rig.switch.seat_bindings().len(), 1);
    rig.arrives();
    assert!(rig.rung_seat("801").is_some());
}

#[test]
fn a_seat_signs_in_by_code_and_pin_and_is_rung_when_its_phone_is_off_the_line() {
    let mut rig = Rig::with(desks());
    rig.registers("desk-1");
    rig.arrives();
    let (_, leg) = rig.phone_dials("desk-1", "*15801");
    let asked = rig.effects.iter().position(|e| {
        *e == Effect::AskPin {
            leg,
            seat: SeatId::from("801"),
        }
    });
    let answered = rig.effects.iter().position(
        |e| matches!(e, Effect::Leg { leg: of, command: LegCommand::Answer } if *of == leg),
    );
    assert!(
        asked.is_some() && asked < answered,
        "before any key can come"
    );
    rig.acks(leg);
    assert_eq!(rig.said(leg), ["Entry", "star_pin"]);
    rig.prompt_ends(leg);
    assert_eq!(rig.released(leg), None);
    rig.pin(leg, true);
    assert_eq!(rig.said(leg), ["Entry", "star_signed_in"]);
    assert_eq!(rig.sits("801"), at("desk-1"));
    assert_eq!(rig.event("seat.star_code")["result"], "done");
    assert_eq!(rig.event("seat.star_code")["command"]["command"], "sign_in");
    assert_eq!(rig.rung(), [], "its phone is still on the line");
    rig.prompt_ends(leg);
    rig.gone(leg);
    assert_eq!(rig.rung_contact().as_deref(), Some("sip:desk-1@phone"));
    assert_eq!(rig.count("dtmf.received"), 0);
}

#[test]
fn at_its_own_phone_a_seat_signs_in_without_a_pin() {
    let mut rig = Rig::with(desks());
    rig.registers("801");
    rig.registers("desk-1");
    rig.signs_in("801", "desk-1").unwrap();
    let (_, leg) = rig.phone_dials("801", "*15801");
    rig.acks(leg);
    assert_eq!(rig.said(leg), ["Entry", "star_signed_in"]);
    assert_eq!(rig.sits("801"), at("801"));
}

#[test]
fn three_wrong_pins_raise_the_alarm_and_a_pause_of_five_minutes() {
    let mut rig = Rig::with(desks());
    rig.registers("desk-1");
    rig.registers("desk-2");
    let (_, leg) = rig.phone_dials("desk-1", "*15801");
    rig.acks(leg);
    for _ in 0..2 {
        rig.prompt_ends(leg);
        rig.pin(leg, false);
        assert_eq!(rig.said(leg), ["Soft", "star_pin_wrong"]);
    }
    assert!(!rig.has_alarm(AlarmCode::SeatPinWrong, "801"));
    rig.pin(leg, false);
    assert_eq!(rig.said(leg), ["Soft", "star_pin_paused"]);
    assert!(rig.has_alarm(AlarmCode::SeatPinWrong, "801"));
    rig.pin(leg, true);
    assert_eq!(rig.sits("801"), NOWHERE, "too late");
    rig.prompt_ends(leg);
    assert!(rig.released(leg).is_some());
    rig.gone(leg);
    let (_, leg) = rig.phone_dials("desk-2", "*15801");
    rig.acks(leg);
    assert_eq!(rig.said(leg), ["Soft", "star_pin_paused"], "on every phone");
    rig.gone(leg);
    rig.signs_in("801", "desk-2").unwrap();
    let (_, leg) = rig.phone_dials("desk-1", "*15802");
    rig.acks(leg);
    rig.pin(leg, true);
    assert_eq!(
        rig.sits("802"),
        at("desk-1"),
        "another seat's PIN is not paused"
    );
    rig.gone(leg);
    rig.pass(300_000);
    assert!(!rig.has_alarm(AlarmCode::SeatPinWrong, "801"));
    let (_, leg) = rig.phone_dials("desk-1", "*15801");
    rig.acks(leg);
    assert_eq!(rig.said(leg), ["Entry", "star_pin"]);
}

#[test]
fn a_right_pin_takes_the_wrong_ones_back() {
    let mut rig = Rig::with(desks());
    rig.registers("desk-1");
    for _ in 0..3 {
        let (_, leg) = rig.phone_dials("desk-1", "*15801");
        rig.acks(leg);
        rig.pin(leg, false);
        rig.pin(leg, false);
        rig.pin(leg, true);
        rig.gone(leg);
    }
    assert!(!rig.has_alarm(AlarmCode::SeatPinWrong, "801"));
}

#[test]
fn who_keys_no_pin_is_released_and_a_seat_without_a_pin_is_not_asked() {
    let mut rig = Rig::with(desks());
    rig.registers("desk-1");
    let (_, leg) = rig.phone_dials("desk-1", "*15801");
    rig.acks(leg);
    rig.prompt_ends(leg);
    rig.pass(14_999);
    assert_eq!(rig.released(leg), None);
    rig.pass(1);
    assert!(rig.released(leg).is_some());
    assert_eq!(rig.event("seat.star_code")["result"], "refused");
    rig.gone(leg);
    for code in ["*15803", "*15899"] {
        let (_, leg) = rig.phone_dials("desk-1", code);
        rig.acks(leg);
        assert_eq!(rig.said(leg), ["Soft", "star_refused"], "{code}");
        rig.gone(leg);
    }
    assert_eq!(rig.sits("801"), NOWHERE);
}

#[test]
fn what_a_desk_dials_belongs_to_the_seat_that_sits_there() {
    let mut rig = Rig::with(desks());
    rig.registers("desk-1");
    rig.signs_in("801", "desk-1").unwrap();
    let (_, leg) = rig.phone_dials("desk-1", "*11");
    assert_eq!(rig.seat("801"), (SeatState::NotReady, Some("离席".into())));
    rig.acks(leg);
    rig.prompt_ends(leg);
    rig.gone(leg);
    rig.phone_dials("desk-1", "13900001111");
    assert_eq!(rig.event("call.dialled")["seat"], "801");
    assert_eq!(rig.seat("801").0, SeatState::Talking);
}
