use super::*;

fn main_queue(policy: &mut Policy) -> &mut QueuePolicy {
    policy.queues.get_mut(&QueueId::from("main")).unwrap()
}

fn seat_of<'p>(policy: &'p mut Policy, seat: &str) -> &'p mut SeatPolicy {
    policy.seats.get_mut(&SeatId::from(seat)).unwrap()
}

/// A second queue behind trunk `in` that asks for a skill and relaxes after 5 s.
fn with_child_queue() -> Policy {
    let mut policy = policy();
    let rules = QueuePolicy {
        needs: vec![String::from("child")],
        relax: Millis(5_000),
        ahead: Millis(12_000),
        fallback: Some(QueueId::from("main")),
        ..QueuePolicy::PLAIN
    };
    policy.queues.insert(QueueId::from("child"), rules);
    policy.trunks.get_mut(&TrunkId::from("in")).unwrap().queue = Some(QueueId::from("child"));
    policy
}

fn call_from(rig: &mut Rig, trunk: &str, number: &str) -> (CallId, LegId) {
    let mut arrival = rig.arrival(trunk);
    arrival.caller = number.to_owned();
    rig.arrives_as(arrival)
}

fn order(rig: &Rig) -> Vec<CallId> {
    rig.switch.waiting_order()
}

fn held(rig: &Rig) -> String {
    rig.event("offer.decided")["held"].to_string()
}

#[test]
fn call_that_asks_for_a_skill_rings_the_seat_that_has_it_and_the_others_are_named() {
    let mut policy = with_child_queue();
    seat_of(&mut policy, "802").skills = vec![String::from("child")];
    let mut rig = Rig::with(policy);
    rig.registers("801");
    rig.pass(10);
    rig.registers("802");
    let arrival = rig.arrival("in");
    rig.arrives_as(arrival);
    assert!(rig.rung_seat("802").is_some() && rig.rung_seat("801").is_none());
    assert_eq!(held(&rig), r#"[{"seat":"801","reason":"skill"}]"#);
    assert_eq!(rig.event("offer.decided")["rule"], "only_fit");
    assert_eq!(rig.event("queue.entered")["queue"], "child");
}

#[test]
fn need_falls_away_after_its_time_and_the_choice_is_made_again() {
    let mut policy = with_child_queue();
    seat_of(&mut policy, "802").skills = vec![String::from("child")];
    let mut rig = Rig::with(policy);
    rig.registers("801");
    let arrival = rig.arrival("in");
    rig.arrives_as(arrival);
    assert_eq!(rig.event("offer.decided")["rule"], "nobody_fits");
    rig.pass(4_999);
    assert!(rig.rung().is_empty());
    rig.pass(1);
    assert!(rig.rung_seat("801").is_some());
    assert_eq!(rig.event("offer.decided")["relaxed"][0], "child");
    assert_eq!(rig.count("offer.decided"), 2, "said once each");
}

#[test]
fn call_that_nobody_fits_blocks_nobody() {
    let mut rig = Rig::with(with_child_queue());
    let arrival = rig.arrival("in");
    rig.arrives_as(arrival);
    let (plain, _) = rig.arrives();
    rig.registers("801");
    let leg = rig.rung_seat("801").expect("the plain call rings");
    assert_eq!(rig.switch.legs[&leg], plain);
}

#[test]
fn seat_of_another_queue_is_held_until_the_fallback() {
    let mut policy = with_child_queue();
    seat_of(&mut policy, "801").queues = vec![QueueId::from("main")];
    policy
        .queues
        .get_mut(&QueueId::from("child"))
        .unwrap()
        .needs
        .clear();
    let mut rig = Rig::with(policy);
    rig.registers("801");
    let arrival = rig.arrival("in");
    rig.arrives_as(arrival);
    assert_eq!(held(&rig), r#"[{"seat":"801","reason":"queue"}]"#);
    rig.pass(5_000);
    assert!(rig.rung_seat("801").is_some());
}

#[test]
fn call_of_a_queue_that_is_ahead_overtakes_by_its_seconds_only() {
    let mut rig = Rig::with(with_child_queue());
    let (early, _) = rig.arrives();
    rig.pass(5_000);
    let (late, _) = rig.arrives();
    rig.pass(9_000);
    let arrival = rig.arrival("in");
    let (child, _) = rig.arrives_as(arrival);
    assert_eq!(order(&rig), [early, child, late]);
}

#[test]
fn callers_of_a_removed_queue_move_to_the_default_one() {
    let mut rig = Rig::with(with_child_queue());
    rig.registers("801");
    let arrival = rig.arrival("in");
    let (call, _) = rig.arrives_as(arrival);
    assert!(rig.rung().is_empty());
    let policy = Box::new(policy());
    rig.input(InputKind::PolicyChanged { policy });
    assert_eq!(rig.event("queue.moved")["to"], "main");
    let leg = rig.rung_seat("801").expect("nothing is asked for any more");
    assert_eq!(rig.switch.legs[&leg], call);
}

#[test]
fn supervisor_is_held_back_while_a_dispatcher_serves_until_somebody_waits_too_long() {
    let mut rig = Rig::new();
    rig.registers("901");
    let by = Actor::Supervisor(SeatId::from("901"));
    let seat = SeatId::from("901");
    rig.command(by, Command::SeatReady { seat }).unwrap();
    rig.talk("801");
    rig.arrives();
    assert!(rig.rung_seat("901").is_none());
    assert_eq!(held(&rig), r#"[{"seat":"901","reason":"role"}]"#);
    rig.pass(10_000);
    assert!(rig.rung_seat("901").is_some());
}

#[test]
fn supervisor_takes_calls_at_once_when_no_dispatcher_serves() {
    let mut rig = Rig::new();
    rig.registers("901");
    let by = Actor::Supervisor(SeatId::from("901"));
    let seat = SeatId::from("901");
    rig.command(by, Command::SeatReady { seat }).unwrap();
    rig.arrives();
    assert!(rig.rung_seat("901").is_some());
}

#[test]
fn doctor_takes_the_calls_of_his_queues_only() {
    let mut policy = with_child_queue();
    let doctor = seat_of(&mut policy, "801");
    doctor.role = SeatRole::Doctor;
    doctor.skills = vec![String::from("child")];
    doctor.queues = vec![QueueId::from("child")];
    let mut rig = Rig::with(policy);
    rig.registers("801");
    rig.arrives();
    assert!(rig.rung().is_empty());
    let arrival = rig.arrival("in");
    let (call, _) = rig.arrives_as(arrival);
    let leg = rig.rung_seat("801").unwrap();
    assert_eq!(rig.switch.legs[&leg], call);
}

#[test]
fn least_skilled_fit_seat_is_rung_first() {
    let mut policy = policy();
    seat_of(&mut policy, "801").skills = vec![String::from("english")];
    let mut rig = Rig::with(policy);
    rig.registers("801");
    rig.pass(1_000);
    rig.registers("802");
    rig.arrives();
    assert!(
        rig.rung_seat("802").is_some(),
        "801 has been idle for longer"
    );
}

#[test]
fn fewest_calls_and_round_robin_spread_calls_their_own_way() {
    for (strategy, second) in [
        (Strategy::FewestCalls, "801"),
        (Strategy::RoundRobin, "802"),
    ] {
        let mut policy = policy();
        main_queue(&mut policy).strategy = strategy;
        let mut rig = Rig::with(policy);
        rig.registers("801");
        rig.pass(1);
        rig.registers("802");
        // 801 is offered a call and nobody answers it.
        let (_, caller) = rig.arrives();
        assert!(rig.rung_seat("801").is_some(), "{strategy:?}");
        rig.hangs_up(caller);
        rig.forget();
        rig.arrives();
        assert!(rig.rung_seat(second).is_some(), "{strategy:?}");
    }
}

#[test]
fn phone_without_a_sign_of_life_since_the_start_comes_last_but_is_rung() {
    let mut rig = Rig::new();
    rig.registers("801");
    rig.pass(1_000);
    rig.registers("802");
    let policy = Box::new(policy());
    rig.input(InputKind::Started {
        seed: 8,
        build: String::from("test"),
        policy,
    });
    rig.link("802", SeatLink::Reachable { reachable: true });
    rig.forget();
    rig.arrives();
    assert!(rig.rung_seat("802").is_some(), "proven");
    assert_eq!(held(&rig), r#"[{"seat":"801","reason":"proof"}]"#);
    rig.arrives();
    assert!(rig.rung_seat("801").is_some(), "the last candidate");
}

#[test]
fn who_redials_has_the_place_of_the_first_call() {
    let mut rig = Rig::new();
    let (_, leg) = call_from(&mut rig, "ct", "13800138000");
    rig.pass(10_000);
    let (other, _) = rig.arrives();
    rig.hangs_up(leg);
    rig.pass(5_000);
    let (again, _) = call_from(&mut rig, "ct", "13800138000");
    assert_eq!(order(&rig), [again, other]);
    let (third, _) = call_from(&mut rig, "ct", "13800138000");
    assert_eq!(order(&rig), [again, other, third], "one heir at a time");
}

#[test]
fn shared_and_withheld_numbers_inherit_nothing() {
    let mut policy = policy();
    policy.shared_numbers = vec![String::from("+8613800138000")];
    let mut rig = Rig::with(policy);
    let (_, leg) = call_from(&mut rig, "ct", "13800138000");
    let mut arrival = rig.arrival("ct");
    (arrival.caller, arrival.anonymous) = (String::from("13900139000"), true);
    let (_, hidden) = rig.arrives_as(arrival.clone());
    rig.pass(10_000);
    let (other, _) = rig.arrives();
    rig.hangs_up(leg);
    rig.hangs_up(hidden);
    let (again, _) = call_from(&mut rig, "ct", "13800138000");
    arrival.call = CallId(rig.id());
    arrival.leg = LegId(rig.id());
    arrival.invite_key = String::from("again");
    let (hidden, _) = rig.arrives_as(arrival);
    assert_eq!(order(&rig), [other, again, hidden]);
}

#[test]
fn number_over_its_share_stands_90_s_behind_and_an_incident_clears_it() {
    let mut rig = Rig::new();
    rig.registers("801");
    let (first, caller) = call_from(&mut rig, "ct", "13800138000");
    let leg = rig.rung_seat("801").unwrap();
    rig.picks_up(leg);
    rig.hangs_up(caller);
    let by = Actor::Seat(SeatId::from("801"));
    let (seat, reason) = (SeatId::from("801"), String::from("离席"));
    rig.command(by, Command::SeatNotReady { seat, reason })
        .unwrap();
    let flood: Vec<_> = (0..5)
        .map(|_| call_from(&mut rig, "ct", "13800138000").0)
        .collect();
    rig.pass(20_000);
    let (genuine, _) = rig.arrives();
    assert_eq!(order(&rig)[0], genuine);
    let dispatch = crate::id::DestinationId::from("dispatch");
    let acknowledged = Command::Acknowledge {
        call: first,
        destination: dispatch.clone(),
        incident_id: Some(String::from("I-1")),
    };
    rig.command(Actor::Module(dispatch), acknowledged).unwrap();
    assert_eq!(order(&rig)[..5], flood[..], "explained: in order again");
}

#[test]
fn caller_is_offered_first_to_the_seat_that_handled_him() {
    let mut rig = Rig::new();
    rig.registers("802");
    let (_, caller) = call_from(&mut rig, "ct", "13800138000");
    let leg = rig.rung_seat("802").unwrap();
    rig.picks_up(leg);
    rig.hangs_up(caller);
    rig.registers("801");
    rig.pass(60_000);
    rig.forget();
    call_from(&mut rig, "ct", "13800138000");
    assert!(rig.rung_seat("802").is_some(), "801 is idle for longer");
    assert_eq!(rig.event("offer.decided")["rule"], "affinity");
    call_from(&mut rig, "ct", "13800138000");
    assert!(rig.rung_seat("801").is_some(), "its seat is busy: anybody");
}

#[test]
fn after_an_hour_a_caller_belongs_to_nobody_unless_his_incident_is_open() {
    for incident in [false, true] {
        let mut rig = Rig::new();
        rig.registers("802");
        let (call, caller) = call_from(&mut rig, "ct", "13800138000");
        let leg = rig.rung_seat("802").unwrap();
        rig.picks_up(leg);
        rig.hangs_up(caller);
        if incident {
            let destination = crate::id::DestinationId::from("dispatch");
            let by = Actor::Module(destination.clone());
            let incident_id = Some(String::from("I-1"));
            let command = Command::Acknowledge {
                call,
                destination,
                incident_id,
            };
            rig.command(by, command).unwrap();
        }
        rig.pass(3_500_000);
        rig.registers("802");
        rig.registers("801");
        rig.pass(200_000);
        let by = Actor::Seat(SeatId::from("802"));
        let (seat, reason) = (SeatId::from("802"), String::from("离席"));
        rig.command(by.clone(), Command::SeatNotReady { seat, reason })
            .unwrap();
        let seat = SeatId::from("802");
        rig.command(by, Command::SeatReady { seat }).unwrap();
        rig.forget();
        call_from(&mut rig, "ct", "13800138000");
        let rung = if incident { "802" } else { "801" };
        assert!(rig.rung_seat(rung).is_some(), "incident: {incident}");
    }
}

fn ring_all() -> Policy {
    let mut policy = policy();
    main_queue(&mut policy).strategy = Strategy::RingAll;
    policy
}

#[test]
fn all_seats_ring_and_the_first_answer_wins() {
    let mut rig = Rig::with(ring_all());
    for seat in ["801", "802", "803"] {
        rig.registers(seat);
        rig.pass(1);
    }
    let (call, _) = rig.arrives();
    let legs = ["801", "802", "803"].map(|seat| rig.rung_seat(seat).expect("it rings"));
    for leg in legs {
        rig.rings(leg);
    }
    assert_eq!(rig.state(call), Some(CallState::Offered));
    rig.picks_up(legs[1]);
    assert_eq!(rig.state(call), Some(CallState::Talking));
    assert_eq!(rig.seat("802").0, SeatState::Talking);
}

#[test]
fn spare_seat_is_taken_back_for_a_call_that_needs_it() {
    let mut rig = Rig::with(ring_all());
    rig.registers("801");
    rig.pass(1);
    rig.registers("802");
    let (first, _) = rig.arrives();
    let spare = rig.rung_seat("802").unwrap();
    assert_eq!(rig.event("offer.decided")["rule"], "spare");
    let (second, _) = rig.arrives();
    assert_eq!(rig.released(spare), Some(Cause::Withdrawn));
    let leg = rig.rung_seat("802").unwrap();
    assert_eq!(rig.switch.legs[&leg], second);
    let own = rig.rung_seat("801").unwrap();
    assert_eq!(rig.switch.legs[&own], first, "its own seat stays");
}

#[test]
fn seat_that_rang_beside_another_has_missed_nothing() {
    let mut rig = Rig::with(ring_all());
    for seat in ["801", "802"] {
        rig.registers(seat);
        rig.pass(1);
    }
    rig.arrives();
    for seat in ["801", "802"] {
        let leg = rig.rung_seat(seat).unwrap();
        rig.rings(leg);
    }
    rig.forget();
    rig.pass(8_000);
    assert_eq!(rig.count("seat.ring_timeout"), 2);
    assert!(rig.rung_seat("801").is_some() && rig.rung_seat("802").is_some());
}

#[test]
fn last_seat_that_serves_rings_again_instead_of_having_missed_the_call() {
    let mut rig = Rig::new();
    rig.registers("801");
    rig.arrives();
    let leg = rig.rung_seat("801").unwrap();
    rig.rings(leg);
    rig.forget();
    rig.pass(8_000);
    assert_eq!(rig.count("seat.ring_timeout"), 1);
    assert!(rig.rung_seat("801").is_some_and(|again| again != leg));
}

#[test]
fn after_ten_seconds_free_seats_ring_together_and_after_call_work_is_interrupted() {
    let mut rig = Rig::new();
    let (_, _, talk) = rig.talk("801");
    let (_, caller) = rig.arrives();
    rig.pass(5_000);
    rig.hangs_up(talk);
    assert_eq!(rig.seat("801").0, SeatState::WrapUp);
    rig.forget();
    rig.pass(4_999);
    assert!(rig.rung().is_empty());
    rig.pass(1);
    let leg = rig.rung_seat("801").expect("the alert opens it");
    rig.rings(leg);
    rig.registers("802");
    assert!(rig.rung_seat("802").is_some(), "rings beside");
    rig.hangs_up(caller);
    assert_eq!(rig.seat("801").0, SeatState::WrapUp, "what it was");
    rig.pass(10_000);
    assert_eq!(rig.seat("801").0, SeatState::Ready, "its own end");
}

#[test]
fn next_seat_in_line_is_the_calls_own_when_the_first_refuses() {
    let mut rig = Rig::with(ring_all());
    for seat in ["801", "802"] {
        rig.registers(seat);
        rig.pass(1);
    }
    let (call, _) = rig.arrives();
    let first = rig.rung_seat("801").unwrap();
    let second = rig.rung_seat("802").unwrap();
    rig.fails(first, Cause::Busy);
    rig.arrives();
    assert_eq!(rig.released(second), None, "it is needed now");
    rig.picks_up(second);
    assert_eq!(rig.state(call), Some(CallState::Talking));
}

#[test]
fn seat_that_cannot_be_rung_is_not_taken_from_the_call_it_rings_beside_for() {
    let mut rig = Rig::with(ring_all());
    for seat in ["801", "802"] {
        rig.registers(seat);
    }
    let (call, _) = rig.arrives();
    let beside = SeatId::from("802");
    rig.switch.seats.get_mut(&beside).unwrap().binding = None;
    let (other, _) = rig.arrives();
    rig.switch.offer(other, &beside);
    assert!(rig.switch.effects.is_empty(), "nobody is released");
    assert_eq!(rig.switch.offered_to(&beside).unwrap().0, call);
    assert_eq!(
        rig.switch.calls[&call].unanswered().unwrap().offers.len(),
        2
    );
}
