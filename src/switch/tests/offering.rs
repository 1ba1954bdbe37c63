use super::*;

fn missed() -> (SeatState, Option<String>) {
    (SeatState::NotReady, Some(String::from("未接")))
}

#[test]
fn ready_seat_rings_at_once_while_the_greeting_plays() {
    let mut rig = Rig::new();
    rig.registers("801");
    let (call, caller) = rig.arrives();
    let seat = rig.rung_seat("801").expect("rung with the arrival");
    assert_eq!(rig.seat("801").0, SeatState::Reserved);
    rig.acks(caller);
    rig.rings(seat);
    assert_eq!(rig.seat("801").0, SeatState::Ringing);
    assert_eq!(rig.event("seat.ringing")["seat"], "801");
    assert_eq!(rig.state(call), Some(CallState::Offered));
}

#[test]
fn longest_idle_seat_is_rung() {
    let mut rig = Rig::new();
    rig.registers("802");
    rig.pass(1000);
    rig.registers("801");
    rig.arrives();
    assert!(rig.rung_seat("802").is_some());
    assert!(rig.rung_seat("801").is_none());
}

#[test]
fn random_strategy_rings_all_seats_and_repeats_with_the_same_seed() {
    let run = || {
        let mut policy = policy();
        policy
            .queues
            .get_mut(&QueueId::from("main"))
            .unwrap()
            .strategy = Strategy::Random;
        let mut rig = Rig::with(policy);
        for seat in ["801", "802", "803"] {
            rig.registers(seat);
        }
        let mut rung = Vec::new();
        for _ in 0..60 {
            let (_, leg) = rig.arrives();
            let (_, target) = rig.rung().pop().unwrap();
            if let Target::Seat { seat, .. } = target {
                rung.push(seat);
            }
            rig.hangs_up(leg);
        }
        rung
    };
    let rung = run();
    for seat in ["801", "802", "803"] {
        let times = rung.iter().filter(|s| s.as_str() == seat).count();
        assert!(
            (10..=32).contains(&times),
            "{seat} rung {times} of 60 times"
        );
    }
    assert_eq!(rung, run());
}

#[test]
fn silent_seat_gives_way_to_the_next_after_8_s_and_the_call_keeps_its_place() {
    let mut rig = Rig::new();
    // Not the last seat that serves.
    rig.talk("803");
    rig.forget();
    rig.registers("801");
    let (first, _) = rig.arrives();
    let (second, _) = rig.arrives();
    let leg = rig.rung_seat("801").unwrap();
    rig.rings(leg);
    rig.pass(7_999);
    assert_eq!(rig.released(leg), None);
    rig.pass(1);
    assert_eq!(rig.released(leg), Some(Cause::NoAnswer));
    assert_eq!(rig.count("seat.ring_timeout"), 1);
    assert_eq!(rig.seat("801"), missed());
    assert_eq!(rig.switch.position(first), Some(0));
    rig.registers("802");
    let next = rig.rung_seat("802").expect("the next seat");
    assert_eq!(rig.switch.legs[&next], first);
    assert_eq!(rig.switch.position(second), Some(1));
}

#[test]
fn phone_without_any_sign_of_life_is_unreachable_after_8_s() {
    let mut rig = Rig::new();
    rig.registers("801");
    rig.arrives();
    rig.pass(8_000);
    assert_eq!(rig.count("seat.ring_timeout"), 1);
    assert_eq!(rig.seat("801").0, SeatState::Unreachable);
    assert!(rig.has_alarm(AlarmCode::SeatUnreachable, "801"));
}

#[test]
fn seat_that_answers_after_its_ring_time_out_is_released() {
    let mut rig = Rig::new();
    // Not the last seat that serves.
    rig.talk("803");
    rig.forget();
    rig.registers("801");
    let (call, _) = rig.arrives();
    let leg = rig.rung_seat("801").unwrap();
    rig.rings(leg);
    rig.pass(8_000);
    rig.forget();
    rig.picks_up(leg);
    assert_eq!(rig.released(leg), Some(Cause::NoAnswer));
    assert_eq!(rig.count("seat.answered"), 0);
    assert_ne!(rig.state(call), Some(CallState::Talking));
    assert_eq!(rig.seat("801"), missed());
}

#[test]
fn seat_that_refuses_is_not_ready_and_the_next_is_rung() {
    for cause in [Cause::Busy, Cause::NoAnswer, Cause::Rejected] {
        let mut rig = Rig::new();
        rig.registers("801");
        rig.pass(10);
        rig.registers("802");
        rig.arrives();
        let leg = rig.rung_seat("801").unwrap();
        rig.fails(leg, cause);
        assert_eq!(
            rig.seat("801"),
            (SeatState::NotReady, Some(String::from("拒接")))
        );
        assert_eq!(rig.count("seat.rejected"), 1);
        assert!(rig.rung_seat("802").is_some());
    }
}

#[test]
fn seat_whose_phone_cannot_be_reached_is_unreachable_with_an_alarm() {
    let mut rig = Rig::new();
    rig.registers("801");
    let (call, _) = rig.arrives();
    let leg = rig.rung_seat("801").unwrap();
    rig.fails(leg, Cause::Unreachable);
    assert_eq!(rig.seat("801").0, SeatState::Unreachable);
    assert!(rig.has_alarm(AlarmCode::SeatUnreachable, "801"));
    assert_eq!(rig.switch.position(call), Some(0));
}

#[test]
fn seat_that_a_fault_of_ours_could_not_ring_is_back_by_itself() {
    let mut rig = Rig::new();
    rig.registers("801");
    rig.arrives();
    let leg = rig.rung_seat("801").unwrap();
    rig.fails(leg, Cause::Capacity);
    assert_eq!(rig.seat("801").0, SeatState::WrapUp);
    rig.forget();
    rig.pass(2_000);
    assert!(rig.rung_seat("801").is_some(), "rung again");
}

#[test]
fn caller_who_hangs_up_while_seat_rings_frees_the_seat() {
    let mut rig = Rig::new();
    rig.registers("801");
    rig.pass(5_000);
    rig.registers("802");
    rig.pass(5_000);
    let (_, caller) = rig.arrives();
    let leg = rig.rung_seat("801").unwrap();
    rig.rings(leg);
    rig.hangs_up(caller);
    assert_eq!(rig.released(leg), Some(Cause::Withdrawn));
    assert_eq!(rig.seat("801").0, SeatState::Ready);
    assert_eq!(rig.event("call.abandoned")["stage"], "ringing");
    rig.forget();
    rig.arrives();
    assert!(
        rig.rung_seat("801").is_some(),
        "its idle time was kept, so it is first again"
    );
}

#[test]
fn seat_that_answers_a_caller_who_just_left_is_released() {
    let mut rig = Rig::new();
    rig.registers("801");
    let (_, caller) = rig.arrives();
    let leg = rig.rung_seat("801").unwrap();
    rig.hangs_up(caller);
    rig.forget();
    rig.picks_up(leg);
    assert_eq!(rig.released(leg), Some(Cause::Withdrawn));
    assert_eq!(rig.count("seat.answered"), 0);
    assert_eq!(rig.seat("801").0, SeatState::Ready);
}

#[test]
fn seats_answer_joins_caller_and_seat_and_stops_the_greeting() {
    let mut rig = Rig::new();
    rig.registers("801");
    let (call, caller) = rig.arrives();
    rig.acks(caller);
    let leg = rig.rung_seat("801").unwrap();
    rig.rings(leg);
    rig.pass(3_000);
    rig.forget();
    rig.picks_up(leg);
    assert_eq!(
        rig.media(),
        [
            MediaCommand::Stop { leg: caller },
            MediaCommand::Track {
                leg,
                party: Party::Seat(SeatId::from("801")),
                of: None,
            },
            MediaCommand::Matrix {
                matrix: Matrix::everyone(&[caller, leg])
            },
            MediaCommand::StarCodes { leg },
        ]
    );
    assert_eq!(rig.event("queue.left")["reason"], "answered");
    assert_eq!(rig.event("queue.left")["waited_ms"], 3_000);
    assert_eq!(rig.count("seat.answered"), 1);
    assert_eq!(rig.state(call), Some(CallState::Talking));
    assert_eq!(rig.seat("801").0, SeatState::Talking);
    assert_eq!(rig.switch.view().answered, 1);
}

#[test]
fn phone_that_answers_without_ringing_is_said_to_ring_first() {
    let mut rig = Rig::new();
    rig.registers("801");
    rig.arrives();
    let leg = rig.rung_seat("801").unwrap();
    rig.picks_up(leg);
    let names = rig.names();
    let ringing = names.iter().position(|n| n == "seat.ringing");
    let answered = names.iter().position(|n| n == "seat.answered");
    assert!(ringing < answered && ringing.is_some(), "{names:?}");
}

#[test]
fn callers_are_offered_in_the_order_they_came() {
    let mut rig = Rig::new();
    let calls: Vec<_> = (0..3)
        .map(|_| {
            rig.pass(100);
            rig.arrives().0
        })
        .collect();
    for (call, seat) in calls.iter().zip(["801", "802", "803"]) {
        rig.registers(seat);
        let leg = rig.rung_seat(seat).unwrap();
        assert_eq!(rig.switch.legs[&leg], *call);
    }
}

#[test]
fn two_waiting_callers_ring_two_seats_at_once() {
    let mut rig = Rig::new();
    rig.registers("801");
    rig.registers("802");
    rig.arrives();
    rig.arrives();
    assert!(rig.rung_seat("801").is_some() && rig.rung_seat("802").is_some());
}

#[test]
fn seat_whose_phone_leaves_while_it_rings_loses_the_offer_to_the_next() {
    let mut rig = Rig::new();
    rig.registers("801");
    rig.pass(1);
    rig.registers("802");
    let (call, _) = rig.arrives();
    let leg = rig.rung_seat("801").unwrap();
    rig.rings(leg);
    rig.link("801", SeatLink::Unregistered);
    assert_eq!(rig.released(leg), Some(Cause::Withdrawn));
    assert_eq!(rig.seat("801").0, SeatState::SignedOut);
    let next = rig.rung_seat("802").unwrap();
    assert_eq!(rig.switch.legs[&next], call);
}

#[test]
fn stalled_process_does_not_run_through_all_seats_at_once() {
    let mut rig = Rig::new();
    for seat in ["801", "802", "803"] {
        rig.registers(seat);
    }
    rig.arrives();
    let leg = rig.rung_seat("801").unwrap();
    rig.rings(leg);
    rig.stall(60_000);
    assert_eq!(rig.count("seat.ring_timeout"), 1);
    let leg = rig.rung_seat("802").unwrap();
    rig.rings(leg);
    rig.pass(7_999);
    assert_eq!(rig.count("seat.ring_timeout"), 1);
}

#[test]
fn released_leg_that_never_ends_is_dropped_with_an_event() {
    let mut rig = Rig::new();
    rig.talk("803");
    rig.registers("801");
    rig.arrives();
    let leg = rig.rung_seat("801").unwrap();
    rig.rings(leg);
    rig.pass(8_000);
    rig.pass(39_999);
    assert_eq!(rig.count("leg.dropped"), 0);
    rig.pass(1);
    assert_eq!(rig.event("leg.dropped")["party"], "seat-801");
    assert!(rig.switch.ending.is_empty());
}

#[test]
fn seat_that_dials_is_not_offered_its_own_call() {
    let mut rig = Rig::new();
    rig.registers("801");
    let mut arrival = rig.arrival("ct");
    arrival.ingress = Ingress::Seat(SeatId::from("801"));
    let (call, leg) = rig.arrives_as(arrival);
    assert!(rig.rung().is_empty());
    assert_eq!(rig.seat("801").0, SeatState::Talking);
    rig.registers("802");
    assert!(rig.rung_seat("802").is_some());
    rig.hangs_up(leg);
    assert_eq!(rig.seat("801").0, SeatState::Ready);
    assert_eq!(rig.state(call), Some(CallState::Closing));
}
