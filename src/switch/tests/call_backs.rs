use super::*;

const MINUTE: u32 = 60_000;

fn entry(rig: &Rig) -> CallBackView {
    let mut list = rig.switch.view().call_backs;
    assert_eq!(list.len(), 1, "{list:?}");
    list.remove(0)
}

/// A caller who gave up in the queue: his entry.
fn left(rig: &mut Rig) -> CallBackView {
    let (_, caller) = rig.arrives();
    rig.hangs_up(caller);
    entry(rig)
}

fn dials(rig: &mut Rig, seat: &str) -> Result<(CallId, LegId), CommandError> {
    let (call_back, seat) = (entry(rig).call_back, SeatId::from(seat));
    let by = Actor::Seat(seat.clone());
    match rig.command(by, Command::CallBackNow { call_back, seat })? {
        CommandReply::Call { call, leg } => Ok((call, leg)),
        other => panic!("call_back_now gave {other:?}"),
    }
}

/// Seat 801 dials the entry: the made call, its own leg, the caller's leg.
fn rings_back(rig: &mut Rig) -> (CallId, LegId, LegId) {
    rig.registers("801");
    let (call, seat) = dials(rig, "801").unwrap();
    rig.picks_up(seat);
    let (_, callee) = rig.rung_number().expect("the caller is rung");
    (call, seat, callee)
}

/// The same caller rings again.
fn rings_again(rig: &mut Rig, number: &str) -> (CallId, LegId) {
    let mut arrival = rig.arrival("ct");
    arrival.caller = number.to_owned();
    rig.arrives_as(arrival)
}

fn with_rules(rules: CallBackRules) -> Rig {
    let mut policy = policy();
    policy.call_backs = rules;
    Rig::with(policy)
}

#[test]
fn a_seat_calls_back_and_a_talk_of_ten_seconds_closes_it() {
    let mut rig = Rig::new();
    let number = left(&mut rig).number;
    let (call, _, callee) = rings_back(&mut rig);
    assert_eq!(rig.event("call.dialled")["direction"], "callback");
    assert_eq!(rig.count("callback.attempted"), 1);
    assert_eq!(entry(&rig).state, "dialling");
    assert_eq!(entry(&rig).with, Some(call));
    let dialled = rig.rung().into_iter().find_map(|(_, target)| match target {
        Target::Number { number, .. } => Some(number),
        Target::Seat { .. } => None,
    });
    assert_eq!(dialled, Some(number));
    rig.rings(callee);
    rig.picks_up(callee);
    assert_eq!(rig.count("callback.connected"), 1);
    rig.pass(10_000);
    rig.hangs_up(callee);
    assert!(rig.switch.view().call_backs.is_empty());
    assert_eq!(rig.event("callback.closed")["outcome"], "talked");
    assert_eq!(rig.event("call.ended")["outcome"], "answered");
}

#[test]
fn nobody_there_is_tried_again_after_one_and_three_minutes_then_it_is_a_persons() {
    let mut rig = Rig::new();
    left(&mut rig);
    for (attempt, pause) in [(1, Some(MINUTE)), (2, Some(3 * MINUTE)), (3, None)] {
        let (_, seat, callee) = rings_back(&mut rig);
        rig.rings(callee);
        rig.pass(29_999);
        assert_eq!(rig.released(callee), None);
        rig.pass(1);
        assert_eq!(rig.released(callee), Some(Cause::NoAnswer), "rings 30 s");
        rig.prompt_ends(seat);
        let entry = entry(&rig);
        assert_eq!((entry.state.as_str(), entry.attempts), ("open", attempt));
        assert_eq!(entry.failed, Some(Cause::NoAnswer));
        assert_eq!(entry.next_at, pause.map(|ms| rig.now + Millis(ms)));
        rig.forget();
    }
}

#[test]
fn a_talk_that_is_too_short_leaves_it_open() {
    let mut rig = Rig::new();
    left(&mut rig);
    let (_, _, callee) = rings_back(&mut rig);
    rig.picks_up(callee);
    rig.pass(9_999);
    rig.hangs_up(callee);
    assert_eq!(entry(&rig).state, "open");
    assert_eq!(rig.event("callback.failed")["cause"], "normal");
}

#[test]
fn one_seat_dials_it_and_the_other_hears_who() {
    let mut rig = Rig::new();
    left(&mut rig);
    rings_back(&mut rig);
    rig.registers("802");
    let refused = dials(&mut rig, "802").unwrap_err().to_string();
    assert!(refused.contains("801"), "{refused}");
    assert_eq!(rig.count("callback.attempted"), 1);
}

#[test]
fn a_caller_who_rings_again_releases_the_seat_that_rings_him() {
    let mut rig = Rig::new();
    let number = left(&mut rig).number;
    let (made, seat, callee) = rings_back(&mut rig);
    rig.rings(callee);
    let (call, caller) = rings_again(&mut rig, &number);
    assert_eq!(rig.released(callee), Some(Cause::Withdrawn));
    assert_eq!(rig.released(seat), Some(Cause::Withdrawn));
    assert_eq!(rig.state(made), Some(CallState::Closing));
    assert_eq!(
        (entry(&rig).state.as_str(), entry(&rig).with),
        ("on_line", Some(call))
    );
    assert_eq!(rig.count("callback.paused"), 1);
    let leg = rig.rung_seat("801").expect("and is offered his call");
    assert_ne!(leg, seat);
    rig.picks_up(leg);
    rig.pass(10_000);
    rig.hangs_up(caller);
    assert!(rig.switch.view().call_backs.is_empty(), "he was helped");
}

#[test]
fn a_caller_who_rings_again_and_leaves_again_is_one_entry_that_is_open() {
    let mut rig = Rig::new();
    let number = left(&mut rig).number;
    let (_, caller) = rings_again(&mut rig, &number);
    assert_eq!(entry(&rig).state, "on_line");
    let refused = {
        rig.registers("802");
        dials(&mut rig, "802")
    };
    assert!(refused.is_err(), "he is on the line");
    rig.hangs_up(caller);
    let entry = entry(&rig);
    assert_eq!((entry.state.as_str(), entry.calls), ("open", 2));
}

#[test]
fn a_seat_that_talks_to_the_caller_is_not_disturbed_by_his_second_call() {
    let mut rig = Rig::new();
    let number = left(&mut rig).number;
    let (made, _, callee) = rings_back(&mut rig);
    rig.picks_up(callee);
    rings_again(&mut rig, &number);
    assert_eq!(rig.released(callee), None);
    assert_eq!(entry(&rig).with, Some(made));
}

#[test]
fn an_entry_that_nobody_dials_is_overdue_after_a_minute() {
    let mut rig = Rig::new();
    left(&mut rig);
    rig.pass(MINUTE - 1);
    assert!(!rig.has_alarm(AlarmCode::CallBackOverdue, "call_backs"));
    rig.pass(1);
    assert!(rig.has_alarm(AlarmCode::CallBackOverdue, "call_backs"));
    assert!(entry(&rig).overdue);
    let (_, seat, _) = rings_back(&mut rig);
    assert!(!rig.has_alarm(AlarmCode::CallBackOverdue, "call_backs"));
    // Its next attempt is due in a minute, and overdue a minute later.
    rig.hangs_up(seat);
    rig.pass(2 * MINUTE);
    assert!(rig.has_alarm(AlarmCode::CallBackOverdue, "call_backs"));
    let call_back = entry(&rig).call_back;
    let outcome = String::from("reached by a neighbour");
    let by = Actor::User(String::from("named person"));
    rig.command(by, Command::CloseCallBack { call_back, outcome })
        .unwrap();
    assert!(!rig.has_alarm(AlarmCode::CallBackOverdue, "call_backs"));
}

#[test]
fn dialling_by_itself_comes_after_people_and_takes_no_seat_from_a_caller() {
    let rules = CallBackRules {
        automatic: true,
        ..CallBackRules::default()
    };
    let mut rig = with_rules(rules);
    left(&mut rig);
    rig.pass(30_000);
    assert_eq!(rig.count("callback.attempted"), 0, "no seat is free");
    let (_, waiting) = rig.arrives();
    rig.registers("801");
    rig.pass(5_000);
    assert_eq!(
        rig.count("callback.attempted"),
        0,
        "the seat rings for a caller"
    );
    rig.hangs_up(waiting);
    rig.pass(5_000);
    assert_eq!(rig.count("callback.attempted"), 1);
    assert_eq!(rig.event("call.dialled")["by"], "engine");
}

#[test]
fn who_hangs_up_at_once_after_the_answer_is_called_back_once() {
    let rules = CallBackRules {
        dropped_within: Millis::from_secs(10),
        ..CallBackRules::default()
    };
    let mut rig = with_rules(rules);
    let (_, caller, _) = rig.talk("801");
    rig.pass(9_999);
    rig.hangs_up(caller);
    assert_eq!(entry(&rig).reason, "dropped");
    assert_eq!(rig.count("callback.due"), 1);
    let mut rig = with_rules(rules);
    let (_, caller, _) = rig.talk("801");
    rig.pass(10_000);
    rig.hangs_up(caller);
    assert!(rig.switch.view().call_backs.is_empty());
}

#[test]
fn who_leaves_before_dispatch_is_called_back_where_the_centre_wants_it() {
    let rules = CallBackRules {
        before_dispatch: true,
        ..CallBackRules::default()
    };
    for ordered in [false, true] {
        let mut rig = with_rules(rules);
        let (call, caller, _) = rig.talk("801");
        rig.pass(20_000);
        if ordered {
            let report = DispatchReport::OrderIssued {
                order_id: String::from("1"),
                station: None,
                vehicle: String::from("1"),
            };
            let by = Actor::Module(crate::id::DestinationId::from("dispatch"));
            rig.command(by, Command::Dispatch { call, report }).unwrap();
        }
        rig.hangs_up(caller);
        let due = !rig.switch.view().call_backs.is_empty();
        assert_eq!(due, !ordered);
    }
}

#[test]
fn a_caller_who_withheld_his_number_cannot_be_dialled_and_a_person_closes_it() {
    let mut rig = Rig::new();
    let mut arrival = rig.arrival("ct");
    (arrival.caller, arrival.anonymous) = (String::new(), true);
    let (_, caller) = rig.arrives_as(arrival);
    rig.hangs_up(caller);
    rig.registers("801");
    let refused = dials(&mut rig, "801").unwrap_err().to_string();
    assert!(refused.contains("close it"), "{refused}");
}

#[test]
fn a_restart_forgets_no_entry_and_lets_it_be_dialled_again() {
    let mut rig = Rig::new();
    left(&mut rig);
    rings_back(&mut rig);
    rig.input(InputKind::Started {
        seed: 8,
        build: String::from("test"),
        policy: Box::new(policy()),
    });
    assert_eq!(entry(&rig).state, "open");
    rig.registers("801");
    dials(&mut rig, "801").unwrap();
}
