use super::*;

#[test]
fn registration_signs_a_seat_in_as_its_policy_says() {
    let mut rig = Rig::new();
    rig.registers("801");
    assert_eq!(rig.seat("801").0, SeatState::Ready);
    rig.registers("901");
    assert_eq!(rig.seat("901").0, SeatState::NotReady);
    rig.forget();
    rig.registers("801");
    assert!(rig.events.is_empty(), "a refresh is nothing new");
}

#[test]
fn registration_that_runs_out_signs_the_seat_out() {
    let mut rig = Rig::new();
    rig.registers("801");
    rig.pass(3_599_999);
    assert_eq!(rig.seat("801").0, SeatState::Ready);
    rig.pass(1);
    assert_eq!(rig.seat("801").0, SeatState::SignedOut);
    assert!(rig.switch.seat_bindings().is_empty());
}

#[test]
fn seat_that_unregisters_in_a_call_keeps_the_call_and_is_unreachable_after_it() {
    let mut rig = Rig::new();
    let (call, caller, _) = rig.talk("801");
    rig.link("801", SeatLink::Unregistered);
    assert_eq!(rig.state(call), Some(CallState::Talking));
    assert!(rig.has_alarm(AlarmCode::SeatUnreachable, "801"));
    rig.hangs_up(caller);
    assert_eq!(rig.seat("801").0, SeatState::Unreachable);
    rig.registers("801");
    assert_eq!(rig.seat("801").0, SeatState::Ready);
    assert!(!rig.has_alarm(AlarmCode::SeatUnreachable, "801"));
}

#[test]
fn seat_that_stops_answering_is_unreachable_until_it_answers() {
    let mut rig = Rig::new();
    rig.registers("801");
    rig.link("801", SeatLink::Reachable { reachable: false });
    assert_eq!(rig.seat("801").0, SeatState::Unreachable);
    assert!(rig.has_alarm(AlarmCode::SeatUnreachable, "801"));
    rig.link("801", SeatLink::Reachable { reachable: true });
    assert_eq!(rig.seat("801").0, SeatState::Ready);
    assert!(!rig.has_alarm(AlarmCode::SeatUnreachable, "801"));
}

#[test]
fn seat_that_was_away_is_still_away_when_its_phone_comes_back() {
    let mut rig = Rig::new();
    rig.registers("801");
    let seat = SeatId::from("801");
    rig.command(
        Actor::Seat(seat.clone()),
        Command::SeatNotReady {
            seat,
            reason: String::from("离席"),
        },
    )
    .unwrap();
    rig.link("801", SeatLink::Reachable { reachable: false });
    rig.link("801", SeatLink::Reachable { reachable: true });
    assert_eq!(
        rig.seat("801"),
        (SeatState::NotReady, Some(String::from("离席")))
    );
}

#[test]
fn ringing_seat_that_stops_answering_loses_the_offer_to_the_next() {
    let mut rig = Rig::new();
    rig.registers("801");
    rig.pass(1);
    rig.registers("802");
    rig.arrives();
    rig.link("801", SeatLink::Reachable { reachable: false });
    assert!(rig.rung_seat("802").is_some());
    assert_eq!(rig.seat("801").0, SeatState::Unreachable);
}

#[test]
fn ready_command_ends_the_wrap_up_early() {
    let mut rig = Rig::new();
    let (_, caller, _) = rig.talk("801");
    rig.hangs_up(caller);
    let seat = SeatId::from("801");
    let ready = Command::SeatReady { seat: seat.clone() };
    rig.command(Actor::Seat(seat), ready).unwrap();
    assert_eq!(rig.seat("801").0, SeatState::Ready);
    rig.forget();
    rig.pass(60_000);
    assert_eq!(rig.count("seat.state"), 0, "its timer is gone");
}

#[test]
fn seat_that_asks_for_a_pause_while_talking_gets_it_after_the_call() {
    let mut rig = Rig::new();
    let (_, caller, _) = rig.talk("801");
    let seat = SeatId::from("801");
    rig.command(
        Actor::Seat(seat.clone()),
        Command::SeatNotReady {
            seat,
            reason: String::from("培训"),
        },
    )
    .unwrap();
    assert_eq!(rig.seat("801").0, SeatState::Talking);
    rig.hangs_up(caller);
    assert_eq!(
        rig.seat("801"),
        (SeatState::NotReady, Some(String::from("培训")))
    );
}

#[test]
fn unknown_seat_changes_nothing() {
    let mut rig = Rig::new();
    rig.registers("999");
    assert_eq!(rig.switch.unexpected()["seat.unknown"], 1);
    assert!(rig.events.is_empty());
}

#[test]
fn seat_taken_out_of_the_configuration_leaves_after_its_call() {
    let mut rig = Rig::new();
    let (call, caller, _) = rig.talk("801");
    rig.registers("802");
    let mut policy = policy();
    policy.seats.remove(&SeatId::from("801"));
    policy.seats.remove(&SeatId::from("802"));
    rig.input(InputKind::PolicyChanged {
        policy: Box::new(policy),
    });
    assert_eq!(rig.state(call), Some(CallState::Talking));
    let ids = |rig: &Rig| {
        let view = rig.switch.view();
        view.seats
            .iter()
            .map(|s| s.seat.0.clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(ids(&rig), ["801", "803", "901"]);
    rig.hangs_up(caller);
    assert_eq!(ids(&rig), ["803", "901"]);
    rig.pass(4_000_000);
    assert_eq!(ids(&rig), ["803", "901"]);
}

#[test]
fn restarted_registrar_learns_the_phones_from_the_switch() {
    let mut rig = Rig::new();
    rig.registers("801");
    let until = rig.now + Millis::from_secs(3600);
    assert_eq!(
        rig.switch.seat_bindings(),
        [(SeatId::from("801"), String::from("sip:801@phone"), until)]
    );
}
