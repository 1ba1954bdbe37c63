use super::*;
use crate::id::DestinationId;

const NUMBER: &str = "075588880001";

/// Trunk `ct` is tested after a minute without a call.
fn rules(trunks: &[&str]) -> SelfTestRules {
    SelfTestRules {
        day: Millis::from_secs(60),
        night: Millis::from_secs(60),
        numbers: trunks
            .iter()
            .map(|trunk| (TrunkId::from(*trunk), String::from(NUMBER)))
            .collect(),
        ..SelfTestRules::default()
    }
}

fn rig_of(change: impl FnOnce(&mut Policy)) -> Rig {
    let mut policy = policy();
    policy.self_tests = rules(&["ct"]);
    change(&mut policy);
    Rig::with(policy)
}

fn quiet() -> Rig {
    rig_of(|_| {})
}

/// The test under way: its call, and the leg that went out.
fn made(rig: &Rig) -> (CallId, LegId) {
    let running = rig.switch.self_tests.running.as_ref();
    let running = running.expect("a test is under way");
    (running.call, running.leg)
}

fn runs(rig: &Rig) -> bool {
    rig.switch.self_tests.running.is_some()
}

/// Passes time until a test begins.
fn until_it_begins(rig: &mut Rig, seconds: u32) -> (CallId, LegId) {
    for _ in 0..seconds {
        rig.pass(1000);
        if runs(rig) {
            return made(rig);
        }
    }
    panic!("no test within {seconds} s");
}

fn ours(rig: &mut Rig, trunk: &str) -> Arrival {
    let mut arrival = rig.arrival(trunk);
    arrival.caller = String::from("120");
    arrival
}

/// The carrier brings it back: the call that came in and its leg.
fn comes_back(rig: &mut Rig, out: LegId) -> (CallId, LegId) {
    rig.progress(out, 100, false);
    let running = rig.switch.self_tests.running.as_ref().unwrap();
    let trunk = running.trunk.clone();
    let arrival = ours(rig, trunk.as_str());
    let ids = rig.arrives_as(arrival);
    rig.picks_up(out);
    rig.acks(ids.1);
    ids
}

fn tones(rig: &mut Rig, leg: LegId, digits: &str) {
    for digit in digits.chars() {
        let event = MediaEvent::Tone { digit };
        rig.input(InputKind::Media { leg, event });
    }
}

fn digits_to(rig: &Rig, leg: LegId) -> String {
    match rig.plays(leg).expect("digits are played").1.as_slice() {
        [Sound::Keys(digits)] => digits.clone(),
        other => panic!("played {other:?}"),
    }
}

/// What one end is told the other end hears.
fn carries(rig: &mut Rig, from: LegId, to: LegId) {
    let digits = digits_to(rig, from);
    tones(rig, to, &digits);
}

fn seals_with(rig: &mut Rig, call: CallId, heard_ms: u64) {
    let recording = rig.switch.calls[&call].recording;
    let mut sealed = sealed(recording, rig.now);
    sealed.tracks = vec![SealedTrack {
        party: String::from("caller"),
        codec: String::from("pcma"),
        hz: 8000,
        heard_ms,
        gaps: Vec::new(),
    }];
    let event = RecordingEvent::Sealed(sealed);
    rig.input(InputKind::Recording { call, event });
}

/// A whole test over a healthy line.
fn passes(rig: &mut Rig, out: (CallId, LegId)) -> (CallId, LegId) {
    let came = comes_back(rig, out.1);
    carries(rig, out.1, came.1);
    carries(rig, came.1, out.1);
    rig.hangs_up(came.1);
    seals_with(rig, out.0, 1500);
    seals_with(rig, came.0, 1500);
    came
}

fn test_now(rig: &mut Rig, by: Actor, trunk: &str) -> Result<CommandReply, CommandError> {
    let trunk = TrunkId::from(trunk);
    rig.command(by, Command::SelfTest { trunk })
}

fn supervisor() -> Actor {
    Actor::Supervisor(SeatId::from("901"))
}

#[test]
fn a_trunk_that_is_quiet_for_a_minute_is_tested_within_five_seconds_of_it() {
    let mut rig = quiet();
    rig.pass(59_900);
    assert!(!runs(&rig));
    let (call, _) = until_it_begins(&mut rig, 5);
    assert_eq!(rig.rung_number().unwrap().0, "ct");
    let started = rig.event("selftest.started");
    assert_eq!(started["trunk"], "ct");
    assert_eq!(rig.event("call.dialled")["seat"], "robot");
    assert_eq!(rig.event("call.classified")["code"], "test");
    assert!(rig.switch.calls[&call].test);
}

#[test]
fn a_call_on_the_trunk_moves_its_test_and_one_on_another_does_not() {
    let mut rig = quiet();
    rig.pass(50_000);
    let (_, leg) = rig.arrives();
    rig.hangs_up(leg);
    rig.pass(58_000);
    assert!(!runs(&rig));
    let other = rig.arrival("in");
    let (_, leg) = rig.arrives_as(other);
    rig.hangs_up(leg);
    until_it_begins(&mut rig, 5);
}

#[test]
fn a_whole_test_rings_no_seat_is_recorded_and_stands_in_no_statistics() {
    let mut rig = quiet();
    rig.registers("801");
    let out = until_it_begins(&mut rig, 61);
    let came = passes(&mut rig, out);
    assert!(!runs(&rig));
    assert_eq!(rig.rung_seat("801"), None, "no phone rings for a machine");
    assert_eq!(rig.seat("801").0, SeatState::Ready);
    let passed = rig.event("selftest.passed");
    let steps: Vec<_> = passed["steps"].as_array().unwrap().iter().collect();
    let names: Vec<_> = steps.iter().map(|s| s["step"].as_str().unwrap()).collect();
    assert_eq!(
        names,
        [
            "dialled",
            "arrived",
            "answered",
            "heard_in",
            "heard_out",
            "hung_up",
            "recorded"
        ]
    );
    assert_eq!(passed["came"], "ct");
    assert_eq!(rig.event("selftest.recognised")["seat"], "robot");
    assert_eq!(rig.count("call.classified"), 2, "both of its calls");
    let view = rig.switch.view();
    assert_eq!((view.arrived, view.answered, view.abandoned), (0, 0, 0));
    assert_eq!(view.counters.centre.handled, 0);
    assert!(view.call_backs.is_empty() && view.alarms.is_empty());
    assert_eq!(rig.count("caller.repeated"), 0);
    assert!(rig.released(out.1).is_some());
    let settled = rig.count("call.settled");
    assert_eq!(settled, 2, "both calls have their one outcome");
    assert!(!rig.switch.calls.contains_key(&came.0));
    // And again, after the next quiet minute.
    rig.forget();
    until_it_begins(&mut rig, 65);
}

#[test]
fn digits_that_a_carrier_turned_into_events_count_as_well() {
    let mut rig = quiet();
    let (_, out) = until_it_begins(&mut rig, 61);
    let (_, came) = comes_back(&mut rig, out);
    let digits = digits_to(&rig, out);
    for digit in digits.chars() {
        let event = MediaEvent::Digit {
            digit,
            duration_ms: 100,
        };
        rig.input(InputKind::Media { leg: came, event });
    }
    assert_eq!(rig.count("selftest.recognised"), 1);
}

#[test]
fn a_stranger_with_our_number_is_held_two_seconds_and_then_rings_a_seat_as_anybody() {
    let mut rig = quiet();
    rig.registers("801");
    let (_, out) = until_it_begins(&mut rig, 61);
    let arrival = ours(&mut rig, "ct");
    let (call, leg) = rig.arrives_as(arrival);
    rig.acks(leg);
    tones(&mut rig, leg, "12345678901234");
    assert_eq!(rig.rung_seat("801"), None);
    rig.pass(1_990);
    assert_eq!(rig.rung_seat("801"), None);
    rig.pass(20);
    let seat = rig.rung_seat("801").expect("he is a caller");
    rig.picks_up(seat);
    rig.pass(60_000);
    assert_eq!(
        rig.state(call),
        Some(CallState::Talking),
        "never ended by us"
    );
    assert!(!rig.switch.calls[&call].test);
    assert_eq!(rig.switch.view().arrived, 1);
    assert!(rig.released(out).is_some());
    assert!(rig.has_alarm(AlarmCode::SelfTestFailed, "ct"));
}

#[test]
fn a_second_call_with_our_number_is_not_held_at_all() {
    let mut rig = quiet();
    rig.registers("801");
    until_it_begins(&mut rig, 61);
    let first = ours(&mut rig, "ct");
    rig.arrives_as(first);
    assert_eq!(rig.rung_seat("801"), None);
    let second = ours(&mut rig, "in");
    rig.arrives_as(second);
    assert!(rig.rung_seat("801").is_some());
}

#[test]
fn nobody_stands_behind_a_test_and_no_counter_shows_it() {
    let mut rig = quiet();
    let (_, out) = until_it_begins(&mut rig, 61);
    let (test, came) = comes_back(&mut rig, out);
    assert_eq!(rig.switch.position(test), None);
    assert_eq!(rig.switch.view().counters.centre.waiting, 0);
    let other = rig.arrival("in");
    let (call, _) = rig.arrives_as(other);
    assert_eq!(rig.switch.position(call), Some(0));
    let counts = rig.switch.view().counters.centre;
    assert_eq!((counts.waiting, counts.oldest_since), (1, Some(rig.now)));
    carries(&mut rig, out, came);
    assert_eq!(rig.switch.position(call), Some(0));
    // One that is not known in time is a caller like any other, and came first.
    let mut rig = quiet();
    until_it_begins(&mut rig, 61);
    let arrival = ours(&mut rig, "ct");
    let (stranger, _) = rig.arrives_as(arrival);
    rig.pass(2_000);
    assert_eq!(rig.switch.position(stranger), Some(0));
    assert_eq!(rig.switch.view().counters.centre.waiting, 1);
}

#[test]
fn a_test_without_seats_raises_no_alarm_of_waiting_callers_and_nobody_joins_it() {
    let mut rig = quiet();
    let (call, out) = until_it_begins(&mut rig, 61);
    let (came, leg) = comes_back(&mut rig, out);
    assert!(rig.switch.view().alarms.is_empty(), "nobody waits");
    rig.registers("901");
    carries(&mut rig, out, leg);
    for of in [call, came] {
        let listen = Command::Listen {
            call: of,
            seat: SeatId::from("901"),
            mode: Mode::Listen,
        };
        let refused = rig.command(supervisor(), listen);
        assert!(
            matches!(&refused, Err(CommandError::WrongState { state, .. }) if state == "a self-test"),
            "{refused:?}"
        );
    }
    assert_eq!(rig.rung_seat("901"), None);
    carries(&mut rig, leg, out);
    assert!(rig.released(out).is_some());
}

#[test]
fn another_caller_during_a_test_is_offered_at_once() {
    let mut rig = quiet();
    rig.registers("801");
    let (_, out) = until_it_begins(&mut rig, 61);
    let (_, came) = comes_back(&mut rig, out);
    let (call, _) = rig.arrives();
    assert!(rig.rung_seat("801").is_some(), "the last free seat is his");
    assert_eq!(rig.state(call), Some(CallState::Offered));
    carries(&mut rig, out, came);
    carries(&mut rig, came, out);
    assert_eq!(rig.state(call), Some(CallState::Offered));
}

#[test]
fn no_test_takes_circuits_that_are_kept_for_callers_or_ports_that_run_low() {
    let mut rig = rig_of(|policy| {
        let ct = policy.trunks.get_mut(&TrunkId::from("ct")).unwrap();
        (ct.circuits, ct.circuits_kept) = (Some(4), 2);
    });
    let (_, caller) = rig.arrives();
    rig.registers("801");
    let seat = rig.rung_seat("801").unwrap();
    rig.picks_up(seat);
    rig.pass(70_000);
    assert!(!runs(&rig), "out and in again would be one too many");
    rig.hangs_up(caller);
    until_it_begins(&mut rig, 61);
    let mut rig = quiet();
    let low = |raised| InputKind::Alarm {
        code: AlarmCode::PortsLow,
        subject: String::from("media"),
        detail: String::new(),
        raised,
    };
    rig.input(low(true));
    rig.pass(90_000);
    assert!(!runs(&rig));
    rig.input(low(false));
    rig.pass(3_000);
    assert!(runs(&rig));
}

#[test]
fn no_test_begins_while_somebody_waits_or_the_trunk_is_down() {
    let mut rig = quiet();
    let other = rig.arrival("in");
    let (_, leg) = rig.arrives_as(other);
    rig.pass(70_000);
    assert!(!runs(&rig));
    rig.hangs_up(leg);
    rig.input(InputKind::Trunk {
        trunk: TrunkId::from("ct"),
        change: TrunkChange::Down {
            reason: String::from("no answer to OPTIONS"),
        },
    });
    rig.pass(10_000);
    assert!(!runs(&rig), "trunk.down says it already");
    rig.input(InputKind::Trunk {
        trunk: TrunkId::from("ct"),
        change: TrunkChange::Up,
    });
    rig.pass(3_000);
    assert!(runs(&rig));
}

#[test]
fn two_quiet_trunks_are_tested_one_after_the_other_and_one_that_cannot_dial_by_another() {
    let mut rig = rig_of(|policy| policy.self_tests = rules(&["cmcc", "ct", "in"]));
    let mut tested = Vec::new();
    for _ in 0..3 {
        let out = until_it_begins(&mut rig, 65);
        let running = rig.switch.self_tests.running.as_ref().unwrap();
        tested.push((running.trunk.to_string(), running.via.to_string()));
        assert!(rig.count("selftest.started") - rig.count("selftest.passed") == 1);
        passes(&mut rig, out);
        rig.pass(1);
    }
    tested.sort();
    let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
    let all = [pair("cmcc", "cmcc"), pair("ct", "ct"), pair("in", "ct")];
    assert_eq!(tested, all);
}

/// Runs a test to its alarm: the step it names, and how long after its begin.
fn fails(mut rig: Rig, far: impl FnOnce(&mut Rig, (CallId, LegId))) -> (Rig, String, u64) {
    let out = until_it_begins(&mut rig, 61);
    let began = rig.switch.self_tests.running.as_ref().unwrap().began;
    far(&mut rig, out);
    for _ in 0..600 {
        if rig.has_alarm(AlarmCode::SelfTestFailed, "ct") {
            break;
        }
        rig.pass(100);
    }
    let step = rig.event("selftest.failed")["step"]
        .as_str()
        .unwrap()
        .to_owned();
    let view = rig.switch.view();
    let alarm = view.alarms.iter().find(|a| a.subject == "ct").unwrap();
    assert!(alarm.detail.contains(&step), "{}", alarm.detail);
    let after = rig.now.millis_since(began);
    assert!(after <= 60_000, "{step} took {after} ms");
    assert!(!runs(&rig));
    let left = rig
        .switch
        .calls
        .values()
        .filter(|c| c.test && !c.is_closing());
    assert_eq!(left.count(), 0, "nothing of it stays open");
    (rig, step, after)
}

#[test]
fn each_deaf_link_is_named_by_its_alarm_within_a_minute() {
    let (_, step, _) = fails(quiet(), |_, _| {});
    assert_eq!(step, "dialled", "no word from the carrier");
    let (_, step, _) = fails(quiet(), |rig, out| rig.fails(out.1, Cause::Unallocated));
    assert_eq!(step, "dialled", "refused");
    let (_, step, _) = fails(quiet(), |rig, out| rig.rings(out.1));
    assert_eq!(step, "arrived", "swallowed");
    let (_, step, _) = fails(quiet(), |rig, out| {
        rig.rings(out.1);
        rig.pass(12_000);
        let late = ours(rig, "ct");
        rig.arrives_as(late);
    });
    assert_eq!(step, "arrived", "too late");
    let (_, step, _) = fails(quiet(), |rig, out| {
        rig.rings(out.1);
        let arrival = ours(rig, "ct");
        rig.arrives_as(arrival);
    });
    assert_eq!(step, "answered");
    let (_, step, _) = fails(quiet(), |rig, out| {
        let _ = comes_back(rig, out.1);
    });
    assert_eq!(step, "heard_in", "its sound does not come in");
    let (_, step, _) = fails(quiet(), |rig, out| {
        let (_, came) = comes_back(rig, out.1);
        carries(rig, out.1, came);
    });
    assert_eq!(step, "heard_out", "our sound does not go out");
    let (_, step, _) = fails(quiet(), |rig, out| {
        let (_, came) = comes_back(rig, out.1);
        carries(rig, out.1, came);
        carries(rig, came, out.1);
    });
    assert_eq!(step, "hung_up");
}

#[test]
fn a_deaf_recorder_or_module_is_named_too() {
    let talk = |rig: &mut Rig, out: (CallId, LegId)| {
        let came = comes_back(rig, out.1);
        carries(rig, out.1, came.1);
        carries(rig, came.1, out.1);
        rig.hangs_up(came.1);
        came
    };
    let (_, step, _) = fails(quiet(), |rig, out| {
        let _ = talk(rig, out);
    });
    assert_eq!(step, "recorded", "it never seals");
    let (_, step, _) = fails(quiet(), |rig, out| {
        let came = talk(rig, out);
        seals_with(rig, out.0, 1500);
        seals_with(rig, came.0, 20);
    });
    assert_eq!(step, "recorded", "one end is silent in it");
    let destination = DestinationId::from("dispatch");
    let with_module = || {
        let wanted = destination.clone();
        rig_of(|policy| policy.self_tests.destinations = vec![wanted])
    };
    let (_, step, _) = fails(with_module(), |rig, out| {
        let _ = passes(rig, out);
    });
    assert_eq!(step, "delivered");
    let mut rig = with_module();
    let out = until_it_begins(&mut rig, 61);
    let came = passes(&mut rig, out);
    let acknowledged = Command::Acknowledge {
        call: came.0,
        destination: destination.clone(),
        incident_id: None,
    };
    rig.command(Actor::Module(destination), acknowledged)
        .unwrap();
    assert_eq!(rig.count("selftest.passed"), 1);
}

#[test]
fn a_call_on_a_deaf_trunk_clears_what_it_proves_and_nothing_else() {
    let (mut rig, step, _) = fails(quiet(), |rig, out| rig.rings(out.1));
    assert_eq!(step, "arrived");
    let since = rig.switch.view().self_tests[0].deaf_since;
    assert!(since.is_some());
    let (_, leg) = rig.arrives();
    assert!(!rig.has_alarm(AlarmCode::SelfTestFailed, "ct"));
    assert!(rig.event("selftest.cleared")["deaf_ms"].as_u64() > Some(9_000));
    rig.hangs_up(leg);
    let (mut rig, step, _) = fails(quiet(), |rig, out| {
        let (_, came) = comes_back(rig, out.1);
        rig.pass(5_000);
        rig.hangs_up(came);
    });
    assert_eq!(step, "heard_in");
    let (_, leg) = rig.arrives();
    rig.hangs_up(leg);
    assert!(
        rig.has_alarm(AlarmCode::SelfTestFailed, "ct"),
        "heard or not: unknown"
    );
    rig.forget();
    let out = until_it_begins(&mut rig, 65);
    passes(&mut rig, out);
    assert!(!rig.has_alarm(AlarmCode::SelfTestFailed, "ct"));
    assert!(rig.event("selftest.passed")["deaf_ms"].as_u64() > Some(59_000));
}

#[test]
fn a_number_that_somebody_else_answers_is_not_dialled_by_itself_again() {
    let (mut rig, step, _) = fails(quiet(), |rig, out| {
        rig.rings(out.1);
        rig.picks_up(out.1);
    });
    assert_eq!(step, "arrived");
    assert!(rig.switch.view().self_tests[0].paused);
    rig.forget();
    rig.pass(600_000);
    assert!(rig.rung_number().is_none());
    let out = test_now(&mut rig, supervisor(), "ct")
        .map(|_| made(&rig))
        .unwrap();
    passes(&mut rig, out);
    until_it_begins(&mut rig, 65);
}

#[test]
fn a_restart_in_the_middle_is_no_verdict_and_leaves_nothing_open() {
    let restart = |rig: &mut Rig| {
        let policy = rig.switch.policy.clone();
        rig.input(InputKind::Started {
            seed: 8,
            build: String::from("test"),
            policy: Box::new(policy),
        });
    };
    let mut rig = quiet();
    let out = until_it_begins(&mut rig, 61);
    let came = comes_back(&mut rig, out.1);
    carries(&mut rig, out.1, came.1);
    restart(&mut rig);
    assert_eq!(rig.event("selftest.cancelled")["reason"], "restarted");
    assert_eq!(rig.count("selftest.failed"), 0);
    assert!(
        rig.switch.view().call_backs.is_empty(),
        "nobody is called back"
    );
    assert!(rig.switch.calls.values().all(Call::is_closing));
    rig.pass(59_000);
    rig.forget();
    let out = until_it_begins(&mut rig, 10);
    // Deaf before a restart: looked at again soon.
    rig.fails(out.1, Cause::Unavailable);
    assert!(rig.has_alarm(AlarmCode::SelfTestFailed, "ct"));
    restart(&mut rig);
    let out = until_it_begins(&mut rig, 61);
    passes(&mut rig, out);
    assert!(rig.event("selftest.passed")["deaf_ms"].as_u64() > Some(59_000));
}

#[test]
fn a_test_of_a_trunk_that_is_tested_no_more_is_no_verdict() {
    let mut rig = quiet();
    let out = until_it_begins(&mut rig, 61);
    let mut policy = rig.switch.policy.clone();
    policy.self_tests.numbers.clear();
    rig.input(InputKind::PolicyChanged {
        policy: Box::new(policy),
    });
    assert_eq!(rig.event("selftest.cancelled")["reason"], "reconfigured");
    assert!(rig.released(out.1).is_some() && !runs(&rig));
    rig.pass(600_000);
    assert_eq!(
        (rig.count("selftest.failed"), rig.count("selftest.started")),
        (0, 1)
    );
}

#[test]
fn a_person_starts_one_and_a_refusal_says_what_to_do() {
    let mut rig = quiet();
    let seat = Actor::Seat(SeatId::from("801"));
    assert!(matches!(
        test_now(&mut rig, seat, "ct"),
        Err(CommandError::NotAllowed { .. })
    ));
    let hint = |result: Result<CommandReply, CommandError>| match result {
        Err(CommandError::WrongState { hint, .. }) => hint,
        other => panic!("{other:?}"),
    };
    assert!(hint(test_now(&mut rig, supervisor(), "cmcc")).contains("self_test ="));
    assert!(matches!(
        test_now(&mut rig, supervisor(), "nowhere"),
        Err(CommandError::Unknown { .. })
    ));
    let begun = test_now(&mut rig, supervisor(), "ct").unwrap();
    assert!(matches!(begun, CommandReply::Call { .. }));
    assert!(hint(test_now(&mut rig, supervisor(), "ct")).contains("again"));
    let out = made(&rig);
    assert_eq!(
        rig.switch.view().self_tests[0].awaits,
        Some(SelfTestStep::Dialled)
    );
    passes(&mut rig, out);
    let last = rig.switch.view().self_tests[0].last.clone().unwrap();
    assert_eq!((last.failed, last.by.as_str()), (None, "supervisor 901"));
}

#[test]
fn day_and_night_have_their_own_span_and_zero_is_off() {
    // START is 08:30 at the centre.
    let mut rig = rig_of(|policy| {
        policy.self_tests.night = Millis(0);
        policy.self_tests.night_hours = crate::ivr::Hours {
            from: 8 * 60,
            to: 9 * 60,
        };
    });
    rig.pass(29 * 60_000);
    assert!(!runs(&rig), "off by night");
    until_it_begins(&mut rig, 180);
    let mut rig = rig_of(|policy| {
        policy.self_tests.day = Millis(0);
        policy.self_tests.night = Millis(0);
    });
    rig.pass(3 * 3_600_000);
    assert!(!runs(&rig));
}
