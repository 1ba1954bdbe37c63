use super::*;

fn supervises(rig: &mut Rig, call: CallId, mode: Mode) -> Result<CommandReply, CommandError> {
    let seat = SeatId::from("901");
    rig.command(
        Actor::Supervisor(seat.clone()),
        Command::Listen { call, seat, mode },
    )
}

/// The supervisor's phone is rung and picked up in that mode.
fn joins(rig: &mut Rig, call: CallId, mode: Mode) -> LegId {
    rig.registers("901");
    let Ok(CommandReply::Leg { leg }) = supervises(rig, call, mode) else {
        panic!("refused");
    };
    rig.picks_up(leg);
    leg
}

fn refused(reply: Result<CommandReply, CommandError>) -> String {
    match reply {
        Err(error @ CommandError::WrongState { .. }) => error.to_string(),
        other => panic!("{other:?}"),
    }
}

fn tracks(rig: &Rig) -> Vec<String> {
    rig.media()
        .into_iter()
        .filter_map(|command| match command {
            MediaCommand::Track { party, .. } => Some(party.to_string()),
            _ => None,
        })
        .collect()
}

#[test]
fn whisper_is_heard_by_the_seat_and_by_no_caller_and_no_third_party() {
    let mut rig = Rig::new();
    let (call, caller, seat) = rig.talk("801");
    let third = rig.adds(call, "801", "doctor");
    rig.picks_up(third);
    let leg = joins(&mut rig, call, Mode::Whisper);
    assert_eq!(rig.event("supervisor.monitor_started")["mode"], "whisper");
    assert!(rig.hears(seat).contains(&leg));
    assert!(!rig.hears(caller).contains(&leg) && !rig.hears(third).contains(&leg));
    assert_eq!(rig.hears(leg).len(), 3);
    assert!(tracks(&rig).contains(&String::from("supervisor-901")));
}

#[test]
fn change_of_mode_is_a_matrix_and_rings_and_ends_nothing() {
    let mut rig = Rig::new();
    let (call, caller, seat) = rig.talk("801");
    let leg = joins(&mut rig, call, Mode::Listen);
    assert!(!tracks(&rig).contains(&String::from("supervisor-901")));
    for (mode, caller_hears, seat_hears) in [
        (Mode::Whisper, false, true),
        (Mode::Barge, true, true),
        (Mode::Listen, false, false),
        (Mode::Barge, true, true),
        (Mode::Whisper, false, true),
    ] {
        rig.forget();
        let reply = supervises(&mut rig, call, mode);
        assert_eq!(reply, Ok(CommandReply::Leg { leg }));
        assert_eq!(rig.hears(caller).contains(&leg), caller_hears, "{mode:?}");
        assert_eq!(rig.hears(seat).contains(&leg), seat_hears, "{mode:?}");
        assert!(rig.hears(caller).contains(&seat) && rig.hears(seat).contains(&caller));
        assert_eq!(rig.count("supervisor.mode_changed"), 1);
        let signals = rig
            .effects
            .iter()
            .filter(|effect| matches!(effect, Effect::Leg { .. }));
        assert_eq!(signals.count(), 0);
    }
    assert!(refused(supervises(&mut rig, call, Mode::Whisper)).contains("already"));
    assert_eq!(rig.seat("901").0, SeatState::Listening);
}

#[test]
fn who_is_silent_again_is_recorded_no_longer_until_he_speaks_again() {
    let mut rig = Rig::new();
    let (call, _, _) = rig.talk("801");
    let leg = joins(&mut rig, call, Mode::Whisper);
    let untracked = MediaCommand::Untrack { leg };
    for (mode, tracked, ended) in [
        (Mode::Barge, false, false),
        (Mode::Listen, false, true),
        (Mode::Barge, true, false),
        (Mode::Listen, false, true),
    ] {
        rig.forget();
        assert!(supervises(&mut rig, call, mode).is_ok());
        assert_eq!(tracks(&rig).len(), usize::from(tracked), "{mode:?}");
        assert_eq!(rig.media().contains(&untracked), ended, "{mode:?}");
    }
}

#[test]
fn take_over_gives_the_supervisor_the_seats_part_and_the_seat_its_wrap_up() {
    let mut rig = Rig::new();
    let (call, caller, seat) = rig.talk("801");
    let third = rig.adds(call, "801", "doctor");
    rig.picks_up(third);
    let leg = joins(&mut rig, call, Mode::Listen);
    rig.forget();
    assert!(supervises(&mut rig, call, Mode::TakeOver).is_ok());
    assert_eq!(rig.event("supervisor.took_over")["from"], "801");
    assert_eq!(rig.matrix(), Matrix::everyone(&[caller, third, leg]));
    assert_eq!(rig.released(seat), Some(Cause::Withdrawn));
    assert!(rig.released(caller).is_none() && rig.released(third).is_none());
    assert_eq!(rig.seat("801").0, SeatState::WrapUp);
    assert_eq!(rig.seat("901").0, SeatState::Talking);
    assert_eq!(tracks(&rig), ["seat-901"]);
    rig.hangs_up(third);
    rig.hangs_up(leg);
    assert_eq!(rig.event("call.ended")["outcome"], "answered");
    assert_eq!(rig.released(caller), Some(Cause::SeatReleased));
}

#[test]
fn long_talk_that_a_supervisor_takes_over_when_its_seat_has_left_is_told_to_him() {
    let mut rig = Rig::new();
    let (call, _, seat) = rig.talk("801");
    let third = rig.adds(call, "801", "doctor");
    rig.picks_up(third);
    joins(&mut rig, call, Mode::Listen);
    rig.hangs_up(seat);
    rig.pass(70_000);
    assert_eq!(rig.count("alert.handling_exceeded"), 0, "no seat is in it");
    assert!(supervises(&mut rig, call, Mode::TakeOver).is_ok());
    rig.pass(10);
    assert_eq!(rig.count("alert.handling_exceeded"), 1);
}

#[test]
fn take_over_may_be_asked_for_before_the_supervisors_phone_is_picked_up() {
    let mut rig = Rig::new();
    let (call, caller, seat) = rig.talk("801");
    rig.registers("901");
    let Ok(CommandReply::Leg { leg }) = supervises(&mut rig, call, Mode::TakeOver) else {
        panic!("refused");
    };
    assert_eq!(rig.hears(seat), [caller], "nothing changes before");
    rig.picks_up(leg);
    assert_eq!(rig.matrix(), Matrix::everyone(&[caller, leg]));
    assert_eq!(rig.released(seat), Some(Cause::Withdrawn));
}

#[test]
fn take_over_that_became_impossible_while_his_phone_rang_leaves_him_listening() {
    let mut rig = Rig::new();
    let (call, caller, seat) = rig.talk("801");
    rig.registers("901");
    let Ok(CommandReply::Leg { leg }) = supervises(&mut rig, call, Mode::TakeOver) else {
        panic!("refused");
    };
    let mut policy = policy();
    if let Some(own) = policy.seats.get_mut(&SeatId::from("801")) {
        own.role = SeatRole::Supervisor;
    }
    let policy = Box::new(policy);
    rig.input(InputKind::PolicyChanged { policy });
    rig.picks_up(leg);
    assert_eq!(rig.event("supervisor.monitor_started")["mode"], "listen");
    assert_eq!(rig.hears(caller), [seat]);
}

#[test]
fn waiting_call_that_is_taken_over_is_answered_and_the_phones_that_ring_for_it_are_freed() {
    let mut rig = Rig::new();
    let (call, caller) = rig.arrives();
    rig.acks(caller);
    let leg = joins(&mut rig, call, Mode::Listen);
    rig.registers("801");
    let rung = rig.rung_seat("801").expect("the seat is rung");
    rig.rings(rung);
    assert!(supervises(&mut rig, call, Mode::TakeOver).is_ok());
    assert_eq!(rig.state(call), Some(CallState::Talking));
    assert_eq!(rig.matrix(), Matrix::everyone(&[caller, leg]));
    assert!(rig.released(rung).is_some());
    assert_eq!(rig.seat("801").0, SeatState::Ready);
    assert_eq!(rig.event("queue.left")["reason"], "answered");
    assert!(rig.plays(caller).is_none());
}

#[test]
fn supervisor_who_speaks_when_the_seat_leaves_has_the_call() {
    for lost in [false, true] {
        let mut rig = Rig::new();
        let (call, caller, seat) = rig.talk("801");
        let leg = joins(&mut rig, call, Mode::Barge);
        if lost {
            rig.is_lost(seat);
        } else {
            rig.hangs_up(seat);
        }
        assert_eq!(rig.state(call), Some(CallState::Talking), "lost: {lost}");
        assert_eq!(rig.matrix(), Matrix::everyone(&[caller, leg]));
        assert_eq!(rig.count("queue.entered"), 1, "only at the arrival");
        assert_eq!(rig.seat("901").0, SeatState::Talking);
        assert!(rig.released(caller).is_none());
    }
}

#[test]
fn supervisor_who_only_whispers_keeps_no_call_alive_when_the_seat_leaves() {
    let mut rig = Rig::new();
    let (call, caller, seat) = rig.talk("801");
    let leg = joins(&mut rig, call, Mode::Whisper);
    rig.hangs_up(seat);
    assert_eq!(rig.released(caller), Some(Cause::SeatReleased));
    assert_eq!(rig.released(leg), Some(Cause::Withdrawn));
}

#[test]
fn second_supervisor_is_told_who_has_taken_the_call_over() {
    let mut policy = policy();
    let role = policy.seats[&SeatId::from("901")].clone();
    policy.seats.insert(SeatId::from("902"), role);
    let mut rig = Rig::with(policy);
    let (call, _, _) = rig.talk("801");
    joins(&mut rig, call, Mode::TakeOver);
    rig.registers("902");
    let seat = SeatId::from("902");
    let (by, mode) = (Actor::Supervisor(seat.clone()), Mode::TakeOver);
    let reply = rig.command(by, Command::Listen { call, seat, mode });
    assert!(refused(reply).contains("supervisor 901 has it"));
}

#[test]
fn nobody_speaks_to_a_waiting_caller_beside_the_queue() {
    let mut rig = Rig::new();
    let (call, caller) = rig.arrives();
    let leg = joins(&mut rig, call, Mode::Listen);
    assert!(refused(supervises(&mut rig, call, Mode::Barge)).contains("take it over"));
    assert!(supervises(&mut rig, call, Mode::Whisper).is_ok());
    assert!(!rig.hears(caller).contains(&leg));
}

#[test]
fn taken_over_host_of_joined_calls_keeps_its_guests() {
    let mut rig = Rig::new();
    let (call, caller, _) = rig.talk("801");
    let (other, second) = rig.arrives();
    let join = Command::Join { call, with: other };
    let joined = rig.command(Actor::Seat(SeatId::from("801")), join);
    assert_eq!(joined, Ok(CommandReply::Done));
    let leg = joins(&mut rig, call, Mode::TakeOver);
    assert_eq!(rig.matrix(), Matrix::everyone(&[caller, second, leg]));
    assert_eq!(rig.count("call.parted"), 0);
}
