use super::*;
use crate::id::DestinationId;

const CREW: &str = "13911112222";

fn module() -> Actor {
    Actor::Module(DestinationId::from("dispatch"))
}

fn names(rig: &mut Rig, call: CallId, numbers: &[&str]) -> Result<CommandReply, CommandError> {
    let numbers = numbers.iter().map(|n| (*n).to_owned()).collect();
    rig.command(module(), Command::NameCrew { call, numbers })
}

fn opens_incident(rig: &mut Rig, call: CallId) {
    let acknowledged = Command::Acknowledge {
        call,
        destination: DestinationId::from("dispatch"),
        incident_id: Some(String::from("I-1")),
    };
    rig.command(module(), acknowledged).unwrap();
}

fn calls(rig: &mut Rig, number: &str) -> (CallId, LegId) {
    let mut arrival = rig.arrival("ct");
    arrival.caller = number.to_owned();
    rig.arrives_as(arrival)
}

/// Seat 802 had a call, and 801 is idle for longer: the call, which is over.
fn had_a_call(rig: &mut Rig) -> CallId {
    let (call, caller, _) = rig.talk("802");
    rig.registers("801");
    rig.hangs_up(caller);
    rig.seals(call);
    rig.pass(60_000);
    assert_eq!(rig.seat("802").0, SeatState::Ready);
    call
}

#[test]
fn a_crews_call_is_offered_first_to_the_seat_of_its_incident_and_linked() {
    let mut rig = Rig::new();
    let call = had_a_call(&mut rig);
    opens_incident(&mut rig, call);
    names(&mut rig, call, &[CREW]).unwrap();
    assert_eq!(
        rig.event("crew.named")["numbers"][0]["e164"],
        "+8613911112222"
    );
    rig.forget();
    let (crew, _) = calls(&mut rig, CREW);
    assert!(rig.rung_seat("802").is_some(), "801 is idle for longer");
    assert_eq!(rig.event("offer.decided")["rule"], "affinity");
    let told = rig.event("crew.called");
    assert_eq!(told["of"], call.to_string());
    assert_eq!(
        (&told["incident_id"], &told["seat"]),
        (&"I-1".into(), &"802".into())
    );
    assert_eq!(rig.count("call.linked"), 2, "said on both");
    assert_eq!(rig.event("call.linked")["to"], call.to_string());
    let view = rig.switch.view();
    let shown = view.calls.iter().find(|c| c.call == crew).unwrap();
    assert_eq!(shown.incident_id.as_deref(), Some("I-1"));
    let of = shown.crew_of.as_ref().unwrap();
    assert_eq!(
        (of.call, of.seat.as_ref()),
        (call, Some(&SeatId::from("802")))
    );
}

#[test]
fn a_crew_never_waits_for_its_seat_while_another_is_free() {
    let mut rig = Rig::new();
    let call = had_a_call(&mut rig);
    names(&mut rig, call, &[CREW]).unwrap();
    let by = Actor::Seat(SeatId::from("802"));
    let (seat, reason) = (SeatId::from("802"), String::from("离席"));
    rig.command(by, Command::SeatNotReady { seat, reason })
        .unwrap();
    rig.forget();
    calls(&mut rig, CREW);
    assert!(rig.rung_seat("801").is_some());
    assert_eq!(rig.rung_seat("802"), None);
}

#[test]
fn a_crew_of_a_call_that_goes_on_reaches_the_seat_that_has_it_by_then() {
    let mut rig = Rig::new();
    let (call, _, _) = rig.talk("802");
    let numbers = vec![String::from(CREW)];
    let by = Actor::Seat(SeatId::from("802"));
    rig.command(by, Command::NameCrew { call, numbers })
        .unwrap();
    let view = rig.switch.view();
    assert_eq!(view.calls[0].crew.len(), 1, "its page shows them");
    rig.forget();
    let (crew, caller) = calls(&mut rig, CREW);
    assert_eq!(rig.rung_seat("802"), None, "it talks to its caller");
    assert_eq!(rig.event("crew.called")["seat"], "802");
    rig.hangs_up(caller);
    assert_eq!(rig.state(crew), Some(CallState::Closing));
    assert_eq!(rig.count("call.abandoned"), 1, "a call like any other");
}

#[test]
fn a_crew_that_calls_often_has_no_share_to_exceed_and_is_not_its_caller() {
    for crew in [false, true] {
        let mut rig = Rig::new();
        let call = had_a_call(&mut rig);
        let named: &[&str] = if crew { &[CREW] } else { &[] };
        names(&mut rig, call, named).unwrap();
        for _ in 0..3 {
            let (_, caller) = calls(&mut rig, CREW);
            let leg = ["802", "801"].iter().find_map(|s| {
                let leg = rig.rung_seat(s)?;
                rig.switch.legs.contains_key(&leg).then_some(leg)
            });
            rig.picks_up(leg.unwrap());
            rig.hangs_up(caller);
            rig.pass(20_000);
        }
        for seat in ["801", "802"] {
            let by = Actor::Seat(SeatId::from(seat));
            let (seat, reason) = (SeatId::from(seat), String::from("离席"));
            rig.command(by, Command::SeatNotReady { seat, reason })
                .unwrap();
        }
        let (first, _) = calls(&mut rig, CREW);
        rig.pass(20_000);
        let (second, _) = rig.arrives();
        let order = rig.switch.waiting_order();
        let expected = if crew {
            [first, second]
        } else {
            [second, first]
        };
        assert_eq!(order, expected, "crew: {crew}");
    }
}

#[test]
fn a_crew_is_nobodys_after_the_cancelled_order_without_numbers_or_after_twelve_hours() {
    for end in 0..3 {
        let mut rig = Rig::new();
        let call = had_a_call(&mut rig);
        names(&mut rig, call, &[CREW]).unwrap();
        let known = if end == 0 {
            let report = DispatchReport::Cancelled {
                order_id: String::from("1"),
                reason: String::from("walked in"),
            };
            rig.command(module(), Command::Dispatch { call, report })
                .unwrap();
            0
        } else if end == 1 {
            names(&mut rig, call, &[]).unwrap();
            0
        } else {
            rig.stall(12 * 3_600_000);
            1
        };
        calls(&mut rig, CREW);
        assert_eq!(rig.count("crew.called"), known, "end {end}");
        rig.stall(1);
        calls(&mut rig, CREW);
        assert_eq!(rig.count("crew.called"), known, "end {end}");
    }
}

#[test]
fn the_incident_named_last_is_the_crews() {
    let mut rig = Rig::new();
    let first = had_a_call(&mut rig);
    names(&mut rig, first, &[CREW]).unwrap();
    rig.pass(1_000);
    let (second, _) = rig.arrives();
    names(&mut rig, second, &[CREW]).unwrap();
    calls(&mut rig, CREW);
    assert_eq!(rig.event("crew.called")["of"], second.to_string());
}

#[test]
fn numbers_that_are_no_crews_are_refused_in_words() {
    let mut rig = Rig::new();
    let (call, _) = calls(&mut rig, "13800138000");
    let many = ["13911112222"; 9];
    for numbers in [
        &["110"][..],
        &["075588880000"],
        &["13800138000"],
        &["x"],
        &[""],
        &many,
    ] {
        let refused = names(&mut rig, call, numbers);
        assert!(
            matches!(refused, Err(CommandError::BadField { .. })),
            "{numbers:?}: {refused:?}"
        );
    }
    let nobody = CallId(rig.id());
    let unknown = names(&mut rig, nobody, &[CREW]);
    assert!(matches!(unknown, Err(CommandError::Unknown { .. })));
    assert_eq!(rig.count("crew.named"), 0);
}

#[test]
fn a_crew_outlives_the_process() {
    let mut rig = Rig::new();
    let call = had_a_call(&mut rig);
    names(&mut rig, call, &[CREW]).unwrap();
    rig.input(InputKind::Started {
        seed: 8,
        build: String::from("test"),
        policy: Box::new(policy()),
    });
    rig.registers("801");
    rig.registers("802");
    rig.forget();
    calls(&mut rig, CREW);
    assert!(rig.rung_seat("802").is_some());
    assert_eq!(rig.event("crew.called")["of"], call.to_string());
}
