use super::*;

/// Three seats ring for a call: call, caller, their legs.
fn all_ring(rig: &mut Rig) -> (CallId, LegId, [LegId; 3]) {
    for seat in ["801", "802", "803"] {
        rig.registers(seat);
        rig.pass(1);
    }
    let (call, caller) = rig.arrives();
    rig.acks(caller);
    let legs = ["801", "802", "803"].map(|seat| rig.rung_seat(seat).expect("it rings"));
    for leg in legs {
        rig.rings(leg);
    }
    (call, caller, legs)
}

fn ring_all() -> Rig {
    let mut policy = policy();
    let main = policy.queues.get_mut(&QueueId::from("main")).unwrap();
    main.strategy = Strategy::RingAll;
    Rig::with(policy)
}

fn sounds(rig: &mut Rig, leg: LegId) {
    let event = MediaEvent::RtpStarted;
    rig.input(InputKind::Media { leg, event });
}

const READY: (SeatState, Option<String>) = (SeatState::Ready, None);

#[test]
fn the_others_ring_until_the_winner_is_heard_and_are_then_free_and_unpunished() {
    let mut rig = ring_all();
    let (call, caller, legs) = all_ring(&mut rig);
    rig.picks_up(legs[1]);
    assert_eq!(rig.state(call), Some(CallState::Talking));
    sounds(&mut rig, caller);
    assert_eq!(rig.released(legs[0]), None, "the caller is not the winner");
    assert_eq!(rig.seat("801").0, SeatState::Ringing);
    sounds(&mut rig, legs[1]);
    for (seat, leg) in [("801", legs[0]), ("803", legs[2])] {
        assert_eq!(rig.released(leg), Some(Cause::AnsweredElsewhere));
        assert_eq!(rig.seat(seat), READY, "unpunished");
    }
    rig.forget();
    rig.picks_up(legs[0]);
    assert_eq!(rig.released(legs[0]), Some(Cause::AnsweredElsewhere));
    assert_eq!(rig.seat("801"), READY, "its answer crossed the release");
    rig.pass(60_000);
    assert_eq!(
        rig.count("seat.answered") + rig.count("seat.ring_timeout"),
        0
    );
}

#[test]
fn a_winner_without_sound_has_the_others_released_after_one_second() {
    let mut rig = ring_all();
    let (_, _, legs) = all_ring(&mut rig);
    rig.picks_up(legs[0]);
    rig.pass(999);
    assert_eq!(rig.released(legs[1]), None);
    rig.pass(1);
    assert_eq!(rig.released(legs[1]), Some(Cause::AnsweredElsewhere));
    assert_eq!(rig.released(legs[2]), Some(Cause::AnsweredElsewhere));
    assert_eq!(rig.seat("802"), READY);
}

#[test]
fn an_answer_or_a_refusal_that_crosses_the_winners_is_released_unpunished() {
    let mut rig = ring_all();
    let (call, _, legs) = all_ring(&mut rig);
    rig.picks_up(legs[0]);
    rig.picks_up(legs[1]);
    assert_eq!(rig.released(legs[1]), Some(Cause::AnsweredElsewhere));
    assert_eq!(rig.seat("802"), READY);
    rig.fails(legs[2], Cause::Busy);
    assert_eq!(rig.seat("803"), READY);
    assert_eq!(rig.count("seat.answered"), 1);
    assert_eq!(rig.count("seat.rejected"), 0);
    assert_eq!(rig.state(call), Some(CallState::Talking));
    assert_eq!(rig.seat("801").0, SeatState::Talking);
}

#[test]
fn a_winner_whose_line_dies_unheard_hands_the_call_to_a_seat_that_still_rings() {
    let mut rig = ring_all();
    let (call, caller, legs) = all_ring(&mut rig);
    rig.picks_up(legs[0]);
    rig.pass(500);
    rig.forget();
    rig.is_lost(legs[0]);
    assert_eq!(rig.state(call), Some(CallState::Offered));
    assert!(rig.rung().is_empty(), "nobody is rung anew: they ring");
    rig.pass(7_999);
    assert_eq!(rig.released(legs[1]), None, "a whole ring time");
    rig.picks_up(legs[1]);
    sounds(&mut rig, legs[1]);
    assert_eq!(rig.state(call), Some(CallState::Talking));
    assert_eq!(rig.hears(caller), [legs[1]]);
    assert_eq!(rig.released(legs[2]), Some(Cause::AnsweredElsewhere));
    assert_eq!(rig.seat("801").0, SeatState::Unreachable);
    rig.hangs_up(legs[1]);
    assert_eq!(rig.event("call.ended")["outcome"], "answered");
}

#[test]
fn a_seat_that_rings_on_is_given_to_a_call_that_waits() {
    let mut rig = ring_all();
    let (_, _, legs) = all_ring(&mut rig);
    rig.picks_up(legs[0]);
    let (second, _) = rig.arrives();
    assert_eq!(rig.released(legs[1]), Some(Cause::AnsweredElsewhere));
    let leg = rig.rung_seat("802").unwrap();
    assert_eq!(rig.switch.legs[&leg], second);
    rig.pass(1_000);
    assert_eq!(
        rig.seat("802").0,
        SeatState::Reserved,
        "it keeps the second"
    );
}

#[test]
fn a_caller_who_leaves_before_the_winner_is_heard_frees_all() {
    let mut rig = ring_all();
    let (call, caller, legs) = all_ring(&mut rig);
    rig.picks_up(legs[0]);
    rig.hangs_up(caller);
    assert_eq!(rig.state(call), Some(CallState::Closing));
    for (seat, leg) in [("802", legs[1]), ("803", legs[2])] {
        assert_eq!(rig.released(leg), Some(Cause::AnsweredElsewhere));
        assert_eq!(rig.seat(seat), READY);
    }
    rig.pass(5_000);
    assert_eq!(
        rig.switch
            .unexpected()
            .keys()
            .find(|k| k.starts_with("flaw")),
        None
    );
}

#[test]
fn a_phone_that_leaves_while_it_rings_on_is_out() {
    let mut rig = ring_all();
    let (_, _, legs) = all_ring(&mut rig);
    rig.picks_up(legs[0]);
    rig.link("802", SeatLink::Unregistered);
    assert_eq!(rig.seat("802").0, SeatState::SignedOut);
    rig.fails(legs[2], Cause::Unreachable);
    assert_eq!(rig.seat("803").0, SeatState::Unreachable);
    rig.pass(1_000);
    assert_eq!(
        rig.switch
            .unexpected()
            .keys()
            .find(|k| k.starts_with("flaw")),
        None
    );
}

#[test]
fn winner_that_gives_the_call_to_a_queue_or_puts_it_aside_has_the_others_released_at_once() {
    let to_queue = |call| Command::Transfer {
        call,
        to: crate::call::TransferTo::Queue(QueueId::from("main")),
        kind: crate::call::TransferKind::Blind,
    };
    for command in [to_queue, |call| Command::Shelve { call }] {
        let mut rig = ring_all();
        let (call, _, legs) = all_ring(&mut rig);
        rig.picks_up(legs[1]);
        rig.forget();
        let by = Actor::Seat(SeatId::from("802"));
        assert_eq!(rig.command(by, command(call)), Ok(CommandReply::Done));
        for leg in [legs[0], legs[2]] {
            assert_eq!(rig.released(leg), Some(Cause::AnsweredElsewhere));
        }
    }
}
