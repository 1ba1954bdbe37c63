use super::*;

fn listens(rig: &mut Rig, call: CallId) -> LegId {
    rig.registers("901");
    let reply = rig.command(
        Actor::Supervisor(SeatId::from("901")),
        Command::Listen {
            call,
            seat: SeatId::from("901"),
            mode: Mode::Listen,
        },
    );
    match reply {
        Ok(CommandReply::Leg { leg }) => leg,
        other => panic!("listen gave {other:?}"),
    }
}

#[test]
fn supervisor_hears_both_parties_and_nobody_hears_him() {
    let mut rig = Rig::new();
    let (call, caller, seat) = rig.talk("801");
    let leg = listens(&mut rig, call);
    assert_eq!(rig.rung_seat("901"), Some(leg));
    assert_eq!(rig.seat("901").0, SeatState::Listening);
    rig.rings(leg);
    rig.picks_up(leg);
    assert_eq!(rig.count("supervisor.monitor_started"), 1);
    assert_eq!(rig.hears(leg).len(), 2);
    assert_eq!(rig.hears(caller), [seat]);
    assert_eq!(rig.hears(seat), [caller]);
    let tracked = rig
        .media()
        .into_iter()
        .any(|m| matches!(m, MediaCommand::Track { leg: of, .. } if of == leg));
    assert!(!tracked, "a listener is not recorded");
}

#[test]
fn supervisor_on_a_waiting_call_hears_the_caller_and_follows_into_the_talk() {
    let mut rig = Rig::new();
    let (call, caller) = rig.arrives();
    let leg = listens(&mut rig, call);
    rig.picks_up(leg);
    assert_eq!(rig.hears(leg), [caller]);
    assert!(rig.hears(caller).is_empty());
    rig.registers("801");
    let seat = rig.rung_seat("801").unwrap();
    rig.picks_up(seat);
    assert_eq!(rig.hears(leg).len(), 2);
    assert_eq!(rig.hears(caller), [seat]);
}

#[test]
fn supervisor_who_hangs_up_touches_nobody_else() {
    let mut rig = Rig::new();
    let (call, caller, seat) = rig.talk("801");
    let leg = listens(&mut rig, call);
    rig.picks_up(leg);
    rig.forget();
    rig.hangs_up(leg);
    assert_eq!(rig.count("supervisor.monitor_ended"), 1);
    assert_eq!(rig.matrix(), Matrix::everyone(&[caller, seat]));
    assert_eq!(rig.seat("901").0, SeatState::NotReady, "as before");
    assert_eq!(rig.state(call), Some(CallState::Talking));
    assert!(rig.released(caller).is_none() && rig.released(seat).is_none());
}

#[test]
fn lost_phone_of_a_listener_touches_nobody_else() {
    let mut rig = Rig::new();
    let (call, _, _) = rig.talk("801");
    let leg = listens(&mut rig, call);
    rig.picks_up(leg);
    rig.is_lost(leg);
    assert_eq!(rig.seat("901").0, SeatState::Unreachable);
    assert_eq!(rig.state(call), Some(CallState::Talking));
}

#[test]
fn stop_listening_releases_the_supervisors_phone() {
    let mut rig = Rig::new();
    let (call, _, _) = rig.talk("801");
    let leg = listens(&mut rig, call);
    rig.picks_up(leg);
    let seat = SeatId::from("901");
    let reply = rig.command(
        Actor::Supervisor(seat.clone()),
        Command::StopListening { call, seat },
    );
    assert_eq!(reply, Ok(CommandReply::Done));
    assert_eq!(rig.released(leg), Some(Cause::Withdrawn));
    assert_eq!(rig.count("supervisor.monitor_ended"), 1);
}

#[test]
fn end_of_the_call_ends_the_listening() {
    let mut rig = Rig::new();
    let (call, caller, _) = rig.talk("801");
    let leg = listens(&mut rig, call);
    rig.picks_up(leg);
    rig.hangs_up(caller);
    assert_eq!(rig.released(leg), Some(Cause::Withdrawn));
    assert_eq!(rig.seat("901").0, SeatState::NotReady);
}

#[test]
fn listener_does_not_keep_a_call_alive() {
    let mut rig = Rig::new();
    let (call, caller) = rig.arrives();
    let leg = listens(&mut rig, call);
    rig.picks_up(leg);
    rig.hangs_up(caller);
    assert_eq!(rig.event("call.ended")["outcome"], "abandoned");
    assert!(rig.released(leg).is_some());
}

#[test]
fn supervisor_who_does_not_pick_up_is_released_and_is_what_he_was() {
    let mut rig = Rig::new();
    let (call, _, _) = rig.talk("801");
    let leg = listens(&mut rig, call);
    rig.rings(leg);
    rig.pass(8_000);
    assert_eq!(rig.released(leg), Some(Cause::Withdrawn));
    assert_eq!(rig.seat("901").0, SeatState::NotReady);
    assert_eq!(rig.count("supervisor.monitor_ended"), 0, "it never started");
}

#[test]
fn ordinary_seat_may_not_listen() {
    let mut rig = Rig::new();
    let (call, _, _) = rig.talk("801");
    rig.registers("802");
    let seat = SeatId::from("802");
    for by in [
        Actor::Seat(seat.clone()),
        Actor::Supervisor(SeatId::from("901")),
    ] {
        let seat = seat.clone();
        let reply = rig.command(
            by,
            Command::Listen {
                call,
                seat,
                mode: Mode::Listen,
            },
        );
        assert!(
            matches!(reply, Err(CommandError::NotAllowed { .. })),
            "{reply:?}"
        );
    }
}

#[test]
fn supervisor_without_a_phone_or_already_listening_is_told_why_not() {
    let mut rig = Rig::new();
    let (call, _, _) = rig.talk("801");
    let seat = SeatId::from("901");
    let by = Actor::Supervisor(seat.clone());
    let listen = Command::Listen {
        call,
        seat,
        mode: Mode::Listen,
    };
    let reply = rig.command(by.clone(), listen.clone());
    assert!(matches!(reply, Err(CommandError::WrongState { .. })));
    listens(&mut rig, call);
    let reply = rig.command(by, listen);
    assert!(matches!(reply, Err(CommandError::WrongState { .. })));
}
