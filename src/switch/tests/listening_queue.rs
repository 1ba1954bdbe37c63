use super::*;

fn commands(rig: &mut Rig, command: Command) -> Result<CommandReply, CommandError> {
    rig.command(Actor::Supervisor(SeatId::from("901")), command)
}

fn asks(rig: &mut Rig, queue: Option<&str>) -> Result<CommandReply, CommandError> {
    let (seat, queue) = (SeatId::from("901"), queue.map(QueueId::from));
    commands(rig, Command::ListenQueue { seat, queue })
}

/// The supervisor's phone is rung and picked up.
fn listens(rig: &mut Rig, queue: Option<&str>) -> LegId {
    rig.registers("901");
    let reply = asks(rig, queue);
    let Ok(CommandReply::Leg { leg }) = reply else {
        panic!("listen_queue gave {reply:?}");
    };
    assert_eq!(rig.rung_seat("901"), Some(leg));
    rig.rings(leg);
    rig.picks_up(leg);
    leg
}

/// Whom he hears, as people see it.
fn hears_call(rig: &Rig) -> Option<CallId> {
    let view = rig.switch.view();
    view.queue_listeners.first().and_then(|one| one.call)
}

fn mode(rig: &mut Rig, call: CallId, mode: Mode) -> Result<CommandReply, CommandError> {
    let seat = SeatId::from("901");
    commands(rig, Command::Listen { call, seat, mode })
}

/// Seat 801 answers the call that rings there.
fn answers(rig: &mut Rig) -> LegId {
    rig.registers("801");
    let leg = rig.rung_seat("801").expect("the seat is rung");
    rig.picks_up(leg);
    leg
}

fn moves(rig: &Rig, leg: LegId) -> usize {
    let moved = |m: &MediaCommand| matches!(m, MediaCommand::Move { leg: of, .. } if *of == leg);
    rig.media().iter().filter(|m| moved(m)).count()
}

#[test]
fn he_hears_the_longest_waiting_caller_and_is_moved_to_the_next_when_that_one_is_answered() {
    let mut rig = Rig::new();
    let (first, caller) = rig.arrives();
    rig.pass(1_000);
    let (second, other) = rig.arrives();
    let leg = listens(&mut rig, None);
    assert_eq!(rig.count("supervisor.queue_started"), 1);
    assert_eq!(rig.hears(leg), [caller]);
    assert_eq!(hears_call(&rig), Some(first));
    assert_eq!(rig.seat("901").0, SeatState::Listening);
    rig.pass(6_000);
    rig.forget();
    let seat = answers(&mut rig);
    assert_eq!(hears_call(&rig), Some(second));
    assert_eq!(rig.hears(leg), [other]);
    assert_eq!(moves(&rig, leg), 1);
    for (name, call) in [
        ("supervisor.monitor_ended", first),
        ("supervisor.monitor_started", second),
    ] {
        let of = rig.events.iter().find(|e| name_of(&e.kind) == name);
        assert_eq!(of.and_then(|e| e.call), Some(call), "{name}");
    }
    // Nobody ever hears him, and those who talk hear each other all the while.
    for command in rig.media() {
        if let MediaCommand::Matrix { matrix } = command {
            for hearer in matrix.hearers() {
                assert!(!matrix.sources(hearer).any(|source| source == leg));
            }
        }
    }
    assert_eq!(rig.state(first), Some(CallState::Talking));
    assert!(rig.released(seat).is_none() && rig.released(leg).is_none());
    let tracked = rig
        .media()
        .into_iter()
        .any(|m| matches!(m, MediaCommand::Track { leg: of, .. } if of == leg));
    assert!(!tracked, "a listener is not recorded");
}

#[test]
fn he_hears_each_call_for_five_seconds_at_least() {
    let mut rig = Rig::new();
    let (first, _) = rig.arrives();
    let (second, other) = rig.arrives();
    let leg = listens(&mut rig, None);
    rig.pass(2_000);
    answers(&mut rig);
    rig.pass(2_999);
    assert_eq!(hears_call(&rig), Some(first), "he hears the talk begin");
    assert_eq!(rig.hears(leg).len(), 2);
    rig.pass(1);
    assert_eq!(hears_call(&rig), Some(second));
    assert_eq!(rig.hears(leg), [other]);
}

#[test]
fn with_nobody_waiting_he_stays_up_in_silence_and_hears_the_next_caller_in_the_step_he_comes() {
    let mut rig = Rig::new();
    let leg = listens(&mut rig, None);
    assert_eq!(hears_call(&rig), None);
    assert_eq!(
        rig.plays(leg).map(|p| p.1),
        Some(vec![Sound::Silence(1000)])
    );
    rig.pass(600_000);
    assert!(rig.released(leg).is_none());
    let (call, caller) = rig.arrives();
    assert_eq!(hears_call(&rig), Some(call));
    assert_eq!(rig.hears(leg), [caller]);
    assert_eq!(rig.plays(leg).map(|p| p.1), Some(vec![Sound::Entry]));
    rig.hangs_up(caller);
    assert_eq!(rig.event("call.ended")["outcome"], "abandoned");
    assert_eq!(hears_call(&rig), None);
    assert!(rig.released(leg).is_none());
    assert_eq!(
        rig.plays(leg).map(|p| p.1),
        Some(vec![Sound::Silence(1000)])
    );
    let (next, _) = rig.arrives();
    assert_eq!(hears_call(&rig), Some(next));
}

#[test]
fn a_call_that_ends_takes_him_to_the_next_at_once() {
    let mut rig = Rig::new();
    let (_, caller) = rig.arrives();
    let (second, other) = rig.arrives();
    let leg = listens(&mut rig, None);
    rig.pass(500);
    rig.hangs_up(caller);
    assert_eq!(hears_call(&rig), Some(second));
    assert_eq!(rig.hears(leg), [other]);
}

#[test]
fn he_hears_the_callers_of_his_queue_only_and_goes_with_them_when_it_is_no_more() {
    let mut policy = policy();
    let child = QueueId::from("child");
    policy.queues.insert(child.clone(), QueuePolicy::PLAIN);
    if let Some(trunk) = policy.trunks.get_mut(&TrunkId::from("in")) {
        trunk.queue = Some(child.clone());
    }
    let mut rig = Rig::with(policy.clone());
    let (main, _) = rig.arrives();
    let leg = listens(&mut rig, Some("child"));
    assert_eq!(hears_call(&rig), None);
    let arrival = rig.arrival("in");
    let (call, caller) = rig.arrives_as(arrival);
    assert_eq!(rig.hears(leg), [caller]);
    // Sent to another queue it is no longer his.
    rig.pass(5_000);
    let to = Destination::Queue(QueueId::from("main"));
    assert!(commands(&mut rig, Command::Reassign { call, to }).is_ok());
    assert_eq!(hears_call(&rig), None);
    policy.queues.remove(&child);
    for trunk in policy.trunks.values_mut() {
        trunk.queue = None;
    }
    let policy = Box::new(policy);
    rig.input(InputKind::PolicyChanged { policy });
    assert_eq!(
        hears_call(&rig),
        Some(main),
        "the first of the default queue"
    );
}

#[test]
fn who_whispers_or_takes_over_is_not_moved_on() {
    let mut rig = Rig::new();
    let (first, caller) = rig.arrives();
    rig.arrives();
    let leg = listens(&mut rig, None);
    answers(&mut rig);
    assert!(mode(&mut rig, first, Mode::Whisper).is_ok());
    rig.pass(20_000);
    assert_eq!(hears_call(&rig), Some(first));
    assert!(mode(&mut rig, first, Mode::TakeOver).is_ok());
    assert_eq!(rig.count("supervisor.queue_ended"), 1);
    assert!(rig.switch.view().queue_listeners.is_empty());
    assert_eq!(rig.matrix(), Matrix::everyone(&[caller, leg]));
    assert_eq!(rig.seat("901").0, SeatState::Talking);
    rig.pass(20_000);
    assert_eq!(rig.state(first), Some(CallState::Talking));
}

#[test]
fn who_only_listens_again_is_moved_on() {
    let mut rig = Rig::new();
    let (first, _) = rig.arrives();
    let (second, _) = rig.arrives();
    listens(&mut rig, None);
    answers(&mut rig);
    assert!(mode(&mut rig, first, Mode::Barge).is_ok());
    rig.pass(7_000);
    assert_eq!(hears_call(&rig), Some(first));
    assert!(mode(&mut rig, first, Mode::Listen).is_ok());
    assert_eq!(hears_call(&rig), Some(second));
}

#[test]
fn a_waiting_call_is_taken_over_from_the_queue_he_listens_to() {
    let mut rig = Rig::new();
    let (call, caller) = rig.arrives();
    let leg = listens(&mut rig, None);
    assert!(mode(&mut rig, call, Mode::TakeOver).is_ok());
    assert_eq!(rig.state(call), Some(CallState::Talking));
    assert_eq!(rig.matrix(), Matrix::everyone(&[caller, leg]));
    assert!(rig.switch.view().queue_listeners.is_empty());
}

#[test]
fn from_a_queue_he_goes_to_one_call_and_from_one_call_to_a_queue_without_another_ring() {
    let mut rig = Rig::new();
    let (talk, _, _) = rig.talk("802");
    let (call, caller) = rig.arrives();
    let leg = listens(&mut rig, None);
    rig.forget();
    assert_eq!(
        mode(&mut rig, talk, Mode::Whisper),
        Ok(CommandReply::Leg { leg })
    );
    assert!(rig.rung().is_empty() && rig.released(leg).is_none());
    assert_eq!(rig.hears(leg).len(), 2);
    assert_eq!(rig.event("supervisor.monitor_started")["mode"], "whisper");
    assert_eq!(rig.count("supervisor.queue_ended"), 1);
    assert!(matches!(
        asks(&mut rig, None),
        Err(CommandError::WrongState { .. })
    ));
    assert!(mode(&mut rig, talk, Mode::Listen).is_ok());
    assert_eq!(asks(&mut rig, None), Ok(CommandReply::Leg { leg }));
    assert!(rig.rung().is_empty());
    rig.pass(4_999);
    assert_eq!(hears_call(&rig), Some(talk));
    rig.pass(1);
    assert_eq!(hears_call(&rig), Some(call));
    assert_eq!(rig.hears(leg), [caller]);
}

#[test]
fn stopped_hung_up_or_lost_he_is_what_he_was_and_no_call_notices() {
    for (end, state) in [
        ("stop", SeatState::NotReady),
        ("stop_here", SeatState::NotReady),
        ("hang_up", SeatState::NotReady),
        ("lost", SeatState::Unreachable),
    ] {
        for waits in [true, false] {
            let mut rig = Rig::new();
            let arrived = waits.then(|| rig.arrives());
            let leg = listens(&mut rig, None);
            rig.forget();
            let seat = SeatId::from("901");
            match (end, arrived) {
                ("stop_here", Some((call, _))) => {
                    let stop = Command::StopListening { call, seat };
                    assert_eq!(commands(&mut rig, stop), Ok(CommandReply::Done));
                }
                ("stop" | "stop_here", _) => {
                    let stop = Command::StopListeningQueue { seat };
                    assert_eq!(commands(&mut rig, stop), Ok(CommandReply::Done));
                    assert_eq!(rig.released(leg), Some(Cause::Withdrawn));
                }
                ("hang_up", _) => rig.hangs_up(leg),
                _ => rig.is_lost(leg),
            }
            assert_eq!(rig.seat("901").0, state, "{end} {waits}");
            assert_eq!(rig.count("supervisor.queue_ended"), 1, "{end} {waits}");
            assert!(rig.switch.view().queue_listeners.is_empty());
            assert!(
                rig.media().contains(&MediaCommand::Close),
                "home is given up"
            );
            if let Some((call, caller)) = arrived {
                assert_eq!(rig.count("supervisor.monitor_ended"), 1);
                assert!(rig.hears(caller).is_empty() && rig.released(caller).is_none());
                assert!(rig.switch.calls[&call].legs.len() == 1, "{end}");
            }
        }
    }
}

#[test]
fn a_phone_that_is_not_picked_up_or_refuses_is_released_and_its_seat_is_what_it_was() {
    let mut rig = Rig::new();
    rig.registers("901");
    let Ok(CommandReply::Leg { leg }) = asks(&mut rig, None) else {
        panic!("refused");
    };
    rig.rings(leg);
    rig.arrives();
    assert_eq!(hears_call(&rig), None, "not before he picks up");
    rig.pass(8_000);
    assert_eq!(rig.released(leg), Some(Cause::Withdrawn));
    assert_eq!(rig.seat("901").0, SeatState::NotReady);
    assert_eq!(rig.count("supervisor.queue_ended"), 0, "it never started");
    let Ok(CommandReply::Leg { leg }) = asks(&mut rig, None) else {
        panic!("refused");
    };
    rig.fails(leg, Cause::Rejected);
    assert_eq!(rig.seat("901").0, SeatState::NotReady);
    assert!(rig.switch.view().queue_listeners.is_empty());
}

#[test]
fn what_cannot_be_done_is_refused_and_says_why() {
    let mut rig = Rig::new();
    let stop = Command::StopListeningQueue {
        seat: SeatId::from("901"),
    };
    let wrong = |reply| matches!(reply, Err(CommandError::WrongState { .. }));
    assert!(wrong(asks(&mut rig, None)), "no phone");
    assert!(wrong(commands(&mut rig, stop)));
    listens(&mut rig, Some("main"));
    assert!(wrong(asks(&mut rig, None)), "it does that already");
    assert!(matches!(
        asks(&mut rig, Some("child")),
        Err(CommandError::Unknown { .. })
    ));
    rig.registers("801");
    let seat = SeatId::from("801");
    for by in [Actor::Seat(seat.clone()), Actor::Supervisor(seat.clone())] {
        let (seat, queue) = (seat.clone(), None);
        let reply = rig.command(by, Command::ListenQueue { seat, queue });
        assert!(matches!(reply, Err(CommandError::NotAllowed { .. })));
    }
    let given: Vec<_> = rig
        .events
        .iter()
        .filter(|e| name_of(&e.kind) == "command.given")
        .collect();
    assert_eq!(given.len(), 1, "refusals change nothing");
}

#[test]
fn after_a_restart_no_phone_of_his_is_left_up() {
    let mut rig = Rig::new();
    let leg = listens(&mut rig, None);
    let dialog = DialogState(serde_json::json!({"leg": leg.to_string()}));
    let state = dialog.clone();
    rig.leg(leg, LegEvent::Dialog { state });
    rig.forget();
    rig.input(InputKind::Started {
        seed: 8,
        build: String::from("test"),
        policy: Box::new(policy()),
    });
    let cause = Cause::Restarted;
    assert!(rig.effects.contains(&Effect::Leg {
        leg,
        command: LegCommand::ReleaseOrphan { dialog, cause },
    }));
    assert!(rig.switch.view().queue_listeners.is_empty());
    assert_eq!(rig.seat("901").0, SeatState::NotReady);
}

#[test]
fn a_silent_line_of_his_is_asked_for_at_home_too() {
    let mut rig = Rig::new();
    let leg = listens(&mut rig, None);
    rig.forget();
    let event = MediaEvent::RtpLost { lost: true };
    rig.input(InputKind::Media { leg, event });
    assert!(rig.effects.contains(&Effect::Leg {
        leg,
        command: LegCommand::Probe,
    }));
}

/// All that callers and seats are told, hear and see, with its time; nothing of the supervisor.
fn told_to_callers(rig: &Rig, start: Timestamp, own: LegId, log: &mut Vec<String>) {
    let at = rig.now.millis_since(start);
    let name = |leg: &LegId| {
        let view = rig.switch.view();
        let mut legs = view.calls.iter().enumerate().flat_map(|(n, call)| {
            let named = move |l: &LegView| (l.leg, format!("{n}:{}", l.party));
            call.legs.iter().map(named).collect::<Vec<_>>()
        });
        let found = legs.find(|(id, _)| id == leg);
        found.map_or_else(|| String::from("gone"), |(_, name)| name)
    };
    for effect in &rig.effects {
        let line = match effect {
            Effect::Leg { leg, .. } if *leg == own => continue,
            Effect::Leg { leg, command } => {
                let kind = serde_json::to_value(command).unwrap();
                format!("{} {}", name(leg), kind["command"])
            }
            Effect::Media { command, .. } => match command {
                MediaCommand::Play { leg, .. }
                | MediaCommand::Stop { leg }
                | MediaCommand::Move { leg, .. }
                | MediaCommand::StarCodes { leg }
                    if *leg == own =>
                {
                    continue;
                }
                MediaCommand::Matrix { .. } | MediaCommand::Close => continue,
                MediaCommand::Play { leg, sounds, .. } => format!("{} {sounds:?}", name(leg)),
                other => format!("{:?}", serde_json::to_value(other).unwrap()["media"]),
            },
            Effect::AskPin { .. } | Effect::Reply { .. } | Effect::Ask { .. } => continue,
        };
        log.push(format!("{at} {line}"));
    }
    // What they hear now, whatever orders brought it about.
    for (n, call) in rig.switch.calls.values().enumerate() {
        for leg in call.legs.keys().filter(|leg| **leg != own) {
            let heard: Vec<_> = call.matrix.sources(*leg).map(|leg| name(&leg)).collect();
            log.push(format!("{at} {n} {} hears {heard:?}", name(leg)));
        }
    }
    for event in rig.events.iter().filter(|e| e.call.is_some()) {
        let name = name_of(&event.kind);
        if !name.starts_with("supervisor.") {
            log.push(format!("{at} {name}"));
        }
    }
}

#[test]
fn callers_are_answered_and_hear_the_same_at_the_same_time_whether_somebody_listens_or_not() {
    let day = |listened: bool| {
        let mut rig = Rig::new();
        let start = rig.now;
        let mut log = Vec::new();
        rig.registers("901");
        let leg = if listened {
            listens(&mut rig, None)
        } else {
            LegId(Uuid::nil())
        };
        rig.forget();
        let mut look = |rig: &mut Rig| {
            told_to_callers(rig, start, leg, &mut log);
            rig.forget();
        };
        let (_, first) = rig.arrives();
        rig.acks(first);
        let (_, second) = rig.arrives();
        rig.acks(second);
        let (_, third) = rig.arrives();
        rig.acks(third);
        rig.prompt_ends(first);
        look(&mut rig);
        for _ in 0..40 {
            rig.pass(500);
            look(&mut rig);
        }
        rig.registers("801");
        let rung = rig.rung_seat("801").expect("rung");
        rig.rings(rung);
        rig.pass(300);
        rig.picks_up(rung);
        look(&mut rig);
        rig.pass(6_000);
        look(&mut rig);
        rig.hangs_up(second);
        look(&mut rig);
        rig.hangs_up(first);
        for _ in 0..30 {
            rig.pass(1_000);
            look(&mut rig);
        }
        rig.hangs_up(third);
        look(&mut rig);
        log
    };
    let (alone, listened) = (day(false), day(true));
    for (n, (a, b)) in alone.iter().zip(&listened).enumerate() {
        assert_eq!(a, b, "line {n}");
    }
    assert_eq!(alone.len(), listened.len());
    assert!(alone.len() > 100);
}
