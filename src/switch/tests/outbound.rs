use super::*;
use crate::call::Direction;

const NUMBER: &str = "13911112222";

fn dials(rig: &mut Rig, seat: &str, number: &str) -> Result<(CallId, LegId), CommandError> {
    let by = Actor::Seat(SeatId::from(seat));
    let command = Command::Dial {
        seat: SeatId::from(seat),
        number: number.to_owned(),
    };
    match rig.command(by, command)? {
        CommandReply::Call { call, leg } => Ok((call, leg)),
        other => panic!("dial gave {other:?}"),
    }
}

/// Seat 801 has picked up its phone, and its callee is being rung: call, seat's leg, callee's leg.
fn dialled(rig: &mut Rig) -> (CallId, LegId, LegId) {
    rig.registers("801");
    let (call, seat) = dials(rig, "801", NUMBER).unwrap();
    rig.rings(seat);
    rig.picks_up(seat);
    let (_, callee) = rig.rung_number().expect("the callee is rung");
    (call, seat, callee)
}

fn code(error: CommandError) -> &'static str {
    match error {
        CommandError::Unknown { .. } => "unknown",
        CommandError::Ended { .. } => "ended",
        CommandError::WrongState { .. } => "wrong_state",
        CommandError::BadField { .. } => "bad_field",
        CommandError::NotAllowed { .. } => "not_allowed",
    }
}

#[test]
fn a_seat_dials_its_own_phone_rings_first_and_may_pick_up_by_itself() {
    let mut rig = Rig::new();
    rig.registers("801");
    let (call, leg) = dials(&mut rig, "801", NUMBER).unwrap();
    assert_eq!(rig.rung_seat("801"), Some(leg));
    assert_eq!(rig.rung_number(), None, "the callee waits for the seat");
    let asked = rig.effects.iter().any(|effect| {
        matches!(effect, Effect::Leg { command: LegCommand::Invite(invite), .. } if invite.picks_up && invite.from_number == NUMBER)
    });
    assert!(asked, "its phone shows whom it calls");
    assert_eq!(rig.state(call), Some(CallState::Dialling));
    assert_eq!(rig.seat("801").0, SeatState::Talking);
    let view = rig.switch.view();
    assert_eq!(view.calls[0].direction, Direction::Outbound);
    assert_eq!(rig.event("call.dialled")["direction"], "outbound");
    assert!(
        !rig.media()
            .iter()
            .any(|m| matches!(m, MediaCommand::Record { .. }))
    );
}

#[test]
fn the_callee_is_rung_then_both_talk_and_are_recorded_on_two_tracks() {
    let mut rig = Rig::new();
    let (call, seat, callee) = dialled(&mut rig);
    rig.rings(callee);
    assert_eq!(rig.said(seat), ["RingBack"]);
    rig.picks_up(callee);
    assert!(rig.plays(seat).is_none(), "ring-back stopped");
    assert_eq!(rig.matrix(), Matrix::everyone(&[seat, callee]));
    assert_eq!(rig.state(call), Some(CallState::Talking));
    let tracks: Vec<_> = rig
        .media()
        .into_iter()
        .filter_map(|command| match command {
            MediaCommand::Track { party, .. } => Some(party.to_string()),
            _ => None,
        })
        .collect();
    assert_eq!(tracks, ["seat-801", "callee-1"]);
    let record = MediaCommand::Record {
        recording: rig.switch.calls[&call].recording,
    };
    assert_eq!(rig.media().iter().filter(|m| **m == record).count(), 1);
    rig.hangs_up(callee);
    assert_eq!(rig.event("call.ended")["outcome"], "answered");
    assert!(rig.released(seat).is_some());
    assert_eq!(rig.seat("801").0, SeatState::Ready, "no after-call work");
    assert!(rig.switch.view().call_backs.is_empty());
    assert_eq!(rig.switch.view().arrived, 0, "no caller came in");
}

#[test]
fn busy_no_answer_and_no_such_number_sound_different_and_then_the_call_ends() {
    for (cause, tone) in [
        (Cause::Busy, "Busy"),
        (Cause::NoAnswer, "Congestion"),
        (Cause::Unallocated, "NoSuchNumber"),
    ] {
        let mut rig = Rig::new();
        let (call, seat, callee) = dialled(&mut rig);
        rig.fails(callee, cause);
        assert!(rig.said(seat).iter().all(|s| s == tone), "{cause:?}");
        assert_eq!(
            rig.state(call),
            Some(CallState::Talking),
            "it is told first"
        );
        rig.prompt_ends(seat);
        assert_eq!(rig.released(seat), Some(cause));
        let ended = rig.event("call.ended");
        assert_eq!(ended["outcome"], "not_reached");
        assert_eq!(ended["cause"], serde_json::to_value(cause).unwrap());
        assert_eq!(rig.seat("801").0, SeatState::Ready);
    }
}

#[test]
fn a_tone_whose_end_media_never_tells_keeps_no_seat() {
    let mut rig = Rig::new();
    let (_, _, callee) = dialled(&mut rig);
    rig.fails(callee, Cause::Busy);
    rig.pass(5_999);
    assert_eq!(rig.count("call.ended"), 0);
    rig.pass(1);
    assert_eq!(rig.event("call.ended")["outcome"], "not_reached");
    assert_eq!(rig.seat("801").0, SeatState::Ready);
}

#[test]
fn a_seat_that_hangs_up_while_it_rings_takes_the_ringing_with_it() {
    let mut rig = Rig::new();
    let (_, seat, callee) = dialled(&mut rig);
    rig.rings(callee);
    rig.hangs_up(seat);
    assert_eq!(rig.released(callee), Some(Cause::Withdrawn));
    assert_eq!(rig.event("call.ended")["outcome"], "not_reached");
    assert_eq!(rig.seat("801").0, SeatState::Ready);
}

#[test]
fn a_seat_that_does_not_pick_up_its_own_phone_dials_nobody() {
    let mut rig = Rig::new();
    rig.registers("801");
    let (_, seat) = dials(&mut rig, "801", NUMBER).unwrap();
    rig.rings(seat);
    rig.pass(8_000);
    assert_eq!(rig.released(seat), Some(Cause::NoAnswer));
    assert_eq!(rig.rung_number(), None);
    assert_eq!(rig.event("call.ended")["outcome"], "not_reached");
    assert_eq!(rig.seat("801").0, SeatState::Ready);
    let (_, seat) = dials(&mut rig, "801", NUMBER).unwrap();
    rig.fails(seat, Cause::Unreachable);
    assert_eq!(rig.seat("801").0, SeatState::Unreachable);
}

#[test]
fn a_seat_calls_a_seat_and_both_are_what_they_were() {
    let mut rig = Rig::new();
    rig.registers("801");
    rig.registers("901");
    assert_eq!(rig.seat("901").0, SeatState::NotReady);
    let (call, seat) = dials(&mut rig, "801", "901").unwrap();
    rig.picks_up(seat);
    let colleague = rig.rung_seat("901").expect("its phone is rung");
    rig.rings(colleague);
    assert_eq!(rig.said(seat), ["RingBack"]);
    rig.picks_up(colleague);
    assert_eq!(rig.matrix(), Matrix::everyone(&[seat, colleague]));
    assert_eq!(rig.event("call.dialled")["direction"], "internal");
    assert_eq!(rig.seat("901").0, SeatState::Talking);
    let by = Actor::Seat(SeatId::from("801"));
    rig.command(by, Command::HangUp { call }).unwrap();
    assert_eq!(rig.seat("801").0, SeatState::Ready);
    assert_eq!(rig.seat("901").0, SeatState::NotReady);
}

#[test]
fn a_waiting_caller_comes_before_a_colleague_who_only_rings() {
    let mut rig = Rig::new();
    rig.registers("801");
    rig.registers("802");
    let (_, seat) = dials(&mut rig, "801", "802").unwrap();
    rig.picks_up(seat);
    let colleague = rig.rung_seat("802").unwrap();
    rig.rings(colleague);
    let (call, _) = rig.arrives();
    assert_eq!(rig.released(colleague), Some(Cause::Withdrawn));
    assert_eq!(rig.state(call), Some(CallState::Offered));
    assert_eq!(rig.event("conference.party_failed")["cause"], "busy");
    assert!(rig.said(seat).iter().all(|s| s == "Busy"));
    assert_eq!(rig.seat("802").0, SeatState::Reserved);
}

#[test]
fn a_caller_is_offered_to_the_others_while_a_seat_dials() {
    let mut rig = Rig::new();
    let (_, _, callee) = dialled(&mut rig);
    rig.registers("802");
    let (call, _) = rig.arrives();
    assert!(rig.rung_seat("802").is_some());
    assert_eq!(rig.state(call), Some(CallState::Offered));
    assert_eq!(rig.released(callee), None);
}

#[test]
fn a_seat_that_is_offered_a_call_or_talks_does_not_dial() {
    let mut rig = Rig::new();
    rig.registers("801");
    rig.arrives();
    assert_eq!(
        dials(&mut rig, "801", NUMBER).map_err(code),
        Err("wrong_state")
    );
    let leg = rig.rung_seat("801").unwrap();
    rig.picks_up(leg);
    assert_eq!(
        dials(&mut rig, "801", NUMBER).map_err(code),
        Err("wrong_state")
    );
    assert_eq!(
        dials(&mut rig, "802", NUMBER).map_err(code),
        Err("wrong_state"),
        "no phone"
    );
    rig.registers("802");
    assert_eq!(
        dials(&mut rig, "802", "801").map_err(code),
        Err("wrong_state")
    );
    assert_eq!(
        dials(&mut rig, "802", "802").map_err(code),
        Err("bad_field")
    );
    assert_eq!(
        dials(&mut rig, "802", "12x").map_err(code),
        Err("bad_field")
    );
    assert_eq!(dials(&mut rig, "899", NUMBER).map_err(code), Err("unknown"));
    let command = Command::Dial {
        seat: SeatId::from("802"),
        number: NUMBER.to_owned(),
    };
    let by = Actor::Seat(SeatId::from("801"));
    assert_eq!(rig.command(by, command).map_err(code), Err("not_allowed"));
    assert_eq!(rig.count("call.dialled"), 0);
}

#[test]
fn the_last_circuits_of_a_trunk_are_the_callers() {
    let mut policy = policy();
    policy.trunks.remove(&TrunkId::from("cmcc"));
    let ct = policy.trunks.get_mut(&TrunkId::from("ct")).unwrap();
    (ct.circuits, ct.circuits_kept) = (Some(3), 1);
    let mut rig = Rig::with(policy);
    rig.registers("801");
    rig.registers("802");
    let (_, seat) = dials(&mut rig, "801", NUMBER).unwrap();
    rig.picks_up(seat);
    assert!(rig.rung_number().is_some(), "one of three");
    rig.arrives();
    let refused = dials(&mut rig, "801", NUMBER).map_err(|e| e.to_string());
    assert!(refused.is_err());
    rig.link("802", SeatLink::Unregistered);
    rig.registers("803");
    let refused = dials(&mut rig, "803", NUMBER);
    assert_eq!(refused.map_err(code), Err("wrong_state"), "two of three");
}

#[test]
fn a_seat_that_dials_on_its_phone_takes_the_same_path() {
    let mut rig = Rig::new();
    rig.registers("801");
    let mut arrival = rig.arrival("ct");
    arrival.ingress = Ingress::Seat(SeatId::from("801"));
    arrival.called = NUMBER.to_owned();
    let (call, seat) = rig.arrives_as(arrival);
    assert_eq!(rig.count("call.received"), 0);
    assert_eq!(rig.event("call.dialled")["seat"], "801");
    rig.acks(seat);
    let (_, callee) = rig.rung_number().expect("the callee is rung");
    rig.rings(callee);
    assert_eq!(rig.said(seat), ["RingBack"]);
    rig.picks_up(callee);
    assert_eq!(rig.matrix(), Matrix::everyone(&[seat, callee]));
    assert_eq!(rig.state(call), Some(CallState::Talking));
    rig.hangs_up(seat);
    assert!(rig.released(callee).is_some());
    assert_eq!(rig.event("call.ended")["outcome"], "answered");
    assert_eq!(rig.seat("801").0, SeatState::Ready);
}

#[test]
fn a_phone_that_dials_while_its_seat_is_offered_a_call_hears_busy_and_the_offer_stands() {
    let mut rig = Rig::new();
    rig.registers("801");
    let (call, _) = rig.arrives();
    let mut arrival = rig.arrival("ct");
    arrival.ingress = Ingress::Seat(SeatId::from("801"));
    arrival.called = NUMBER.to_owned();
    let (_, leg) = rig.arrives_as(arrival);
    assert_eq!(rig.released(leg), Some(Cause::Busy));
    assert_eq!(rig.event("call.ended")["outcome"], "not_reached");
    assert_eq!(rig.state(call), Some(CallState::Offered));
    assert_eq!(rig.seat("801").0, SeatState::Reserved);
}

#[test]
fn a_seat_that_dials_120_is_a_caller_as_before() {
    let mut rig = Rig::new();
    rig.registers("801");
    let mut arrival = rig.arrival("ct");
    arrival.ingress = Ingress::Seat(SeatId::from("801"));
    rig.arrives_as(arrival);
    assert_eq!(rig.count("call.received"), 1);
}

#[test]
fn a_restart_ends_a_call_that_we_made_without_a_call_back() {
    let mut rig = Rig::new();
    let (call, _, _) = dialled(&mut rig);
    rig.input(InputKind::Started {
        seed: 8,
        build: String::from("test"),
        policy: Box::new(policy()),
    });
    assert_eq!(rig.event("call.ended")["outcome"], "not_reached");
    assert_eq!(rig.event("call.ended")["cause"], "restarted");
    assert!(rig.switch.view().call_backs.is_empty());
    assert_eq!(rig.seat("801").0, SeatState::Ready);
    rig.pass(60_000);
    assert_eq!(rig.state(call), None);
}

#[test]
fn a_call_is_linked_to_another_and_to_an_incident() {
    let mut rig = Rig::new();
    let (call, caller, _) = rig.talk("802");
    let (made, _, _) = dialled(&mut rig);
    let by = || Actor::Seat(SeatId::from("801"));
    let link = |to, incident: Option<&str>| Command::Link {
        call: made,
        to,
        incident_id: incident.map(str::to_owned),
    };
    rig.command(by(), link(Some(call), Some("I-1"))).unwrap();
    assert_eq!(rig.count("call.linked"), 2);
    assert_eq!(rig.switch.calls[&made].incident_id.as_deref(), Some("I-1"));
    assert_eq!(
        rig.command(by(), link(None, None)).map_err(code),
        Err("bad_field")
    );
    assert_eq!(
        rig.command(by(), link(Some(made), None)).map_err(code),
        Err("bad_field")
    );
    let nobody = CallId(rig.id());
    assert_eq!(
        rig.command(by(), link(Some(nobody), None)).map_err(code),
        Err("unknown")
    );
    // Also when it is over.
    rig.hangs_up(caller);
    rig.seals(call);
    rig.command(by(), link(Some(call), None)).unwrap();
}

#[test]
fn supervisor_who_takes_over_while_the_callee_is_rung_reaches_him() {
    let mut rig = Rig::new();
    let (call, seat, callee) = dialled(&mut rig);
    rig.rings(callee);
    rig.registers("901");
    let by = SeatId::from("901");
    let take = Command::Listen {
        call,
        seat: by.clone(),
        mode: Mode::TakeOver,
    };
    let Ok(CommandReply::Leg { leg }) = rig.command(Actor::Supervisor(by), take) else {
        panic!("refused");
    };
    rig.picks_up(leg);
    assert_eq!(rig.released(seat), Some(Cause::Withdrawn));
    assert_eq!(rig.released(callee), None, "he is rung on");
    assert_eq!(rig.count("call.ended"), 0);
    rig.picks_up(callee);
    assert_eq!(rig.matrix(), Matrix::everyone(&[callee, leg]));
}
