use super::*;

#[test]
fn callers_bye_ends_the_call_and_the_seat_wraps_up_15_s() {
    let mut rig = Rig::new();
    let (call, caller, seat) = rig.talk("801");
    rig.pass(30_000);
    rig.hangs_up(caller);
    assert_eq!(rig.released(seat), Some(Cause::Normal));
    assert_eq!(rig.event("call.ended")["outcome"], "answered");
    assert_eq!(rig.event("call.ended")["by"], "caller");
    assert_eq!(rig.seat("801").0, SeatState::WrapUp);
    assert_eq!(rig.state(call), Some(CallState::Closing));
    rig.pass(14_999);
    assert_eq!(rig.seat("801").0, SeatState::WrapUp);
    rig.pass(1);
    assert_eq!(rig.seat("801").0, SeatState::Ready);
    assert!(rig.switch.view().call_backs.is_empty());
}

#[test]
fn call_ended_is_the_last_word_of_its_signalling() {
    let mut rig = Rig::new();
    let (call, caller, _) = rig.talk("801");
    rig.hangs_up(caller);
    rig.seals(call);
    let names: Vec<_> = rig
        .events
        .iter()
        .filter(|e| e.call == Some(call))
        .map(|e| name_of(&e.kind))
        .collect();
    let end = names.iter().position(|n| n == "call.ended").unwrap();
    assert_eq!(names[end + 1..], ["recording.sealed", "call.settled"]);
    assert_eq!(rig.count("call.ended"), 1);
}

#[test]
fn a_call_that_is_not_recorded_leaves_as_soon_as_it_has_ended() {
    let mut rig = Rig::with(Policy {
        recording: false,
        ..policy()
    });
    let (call, caller, seat) = rig.talk("801");
    rig.hangs_up(caller);
    assert_eq!(rig.released(seat), Some(Cause::Normal));
    assert_eq!(rig.state(call), None, "nothing is awaited");
    assert_eq!(rig.count("call.settled"), 1);
    let media = |wanted: fn(&MediaCommand) -> bool| {
        let of_call = |effect: &&Effect| matches!(effect, Effect::Media { call: c, command } if *c == call && wanted(command));
        rig.effects.iter().filter(of_call).count()
    };
    assert_eq!(media(|c| matches!(c, MediaCommand::Record { .. })), 0);
    assert_eq!(media(|c| *c == MediaCommand::Close), 1, "media forgets it");
}

#[test]
fn seats_bye_ends_the_call() {
    let mut rig = Rig::new();
    let (_, caller, seat) = rig.talk("801");
    rig.hangs_up(seat);
    assert_eq!(rig.released(caller), Some(Cause::SeatReleased));
    assert_eq!(rig.event("call.ended")["by"], "seat");
    assert_eq!(rig.seat("801").0, SeatState::WrapUp);
}

#[test]
fn caller_of_a_lost_seat_goes_to_the_queues_head_and_hears_why() {
    let mut rig = Rig::new();
    let (call, caller, seat) = rig.talk("801");
    let (other, _) = rig.arrives();
    rig.is_lost(seat);
    assert_eq!(rig.released(caller), None, "never ended");
    assert_eq!(rig.said(caller), ["line_fault_caller"]);
    assert_eq!(rig.switch.position(call), Some(0));
    assert_eq!(rig.switch.position(other), Some(1));
    assert_eq!(rig.event("queue.entered")["again"], true);
    assert_eq!(rig.seat("801").0, SeatState::Unreachable);
    assert!(rig.has_alarm(AlarmCode::SeatUnreachable, "801"));
    rig.registers("802");
    let next = rig.rung_seat("802").unwrap();
    assert_eq!(rig.switch.legs[&next], call);
    rig.picks_up(next);
    assert_eq!(rig.hears(caller), [next]);
    assert_eq!(rig.switch.view().answered, 1, "one call, counted once");
}

#[test]
fn seat_whose_line_is_back_within_ten_seconds_gets_its_caller_back() {
    let mut rig = Rig::new();
    let (call, _, seat) = rig.talk("801");
    let (other, _) = rig.arrives();
    rig.is_lost(seat);
    rig.pass(9_000);
    rig.registers("801");
    let again = rig.rung_seat("801").unwrap();
    assert_ne!(again, seat);
    assert_eq!(rig.switch.legs[&again], call);
    assert_ne!(call, other);
    let decided = rig.event("offer.decided");
    assert_eq!(
        (&decided["rule"], &decided["chosen"]),
        (&"back".into(), &"801".into())
    );
}

#[test]
fn seat_whose_line_is_back_rings_beside_the_one_that_rings_for_its_caller_and_the_first_answer_wins()
 {
    let mut rig = Rig::new();
    let (call, caller, seat) = rig.talk("801");
    rig.registers("802");
    rig.is_lost(seat);
    let elsewhere = rig.rung_seat("802").unwrap();
    rig.pass(5_000);
    rig.registers("801");
    let again = rig.rung_seat("801").unwrap();
    assert_ne!(again, seat);
    assert_eq!(rig.switch.legs[&again], call);
    rig.picks_up(again);
    assert_eq!(rig.hears(caller), [again]);
    rig.pass(1_000);
    assert_eq!(rig.released(elsewhere), Some(Cause::AnsweredElsewhere));
    assert_eq!(rig.seat("802").0, SeatState::Ready, "unpunished");
}

#[test]
fn seat_whose_line_is_back_late_or_is_needed_by_another_caller_does_not_ring_beside() {
    let mut rules = policy();
    rules.timers.seat_back = Millis::from_secs(4);
    let mut rig = Rig::with(rules);
    let (_, _, seat) = rig.talk("801");
    rig.registers("802");
    rig.is_lost(seat);
    rig.pass(4_000);
    rig.registers("801");
    let last = rig.rung_seat("801");
    assert_eq!(last, Some(seat), "its time is over: it is free for others");
    assert_eq!(rig.seat("801").0, SeatState::Ready);

    let mut rig = Rig::new();
    let (_, _, seat) = rig.talk("801");
    rig.registers("802");
    rig.is_lost(seat);
    let (other, _) = rig.arrives();
    rig.pass(3_000);
    rig.registers("801");
    let rung = rig.rung_seat("801").unwrap();
    assert_eq!(
        rig.switch.legs[&rung], other,
        "nobody waits for the sake of habit"
    );
}

#[test]
fn caller_of_a_lost_seat_is_alerted_again_after_ten_seconds() {
    let mut rig = Rig::new();
    let (_, _, seat) = rig.talk("801");
    rig.pass(100_000);
    rig.is_lost(seat);
    rig.pass(10_000);
    assert_eq!(rig.event("alert.wait_exceeded")["waited_ms"], 10_000);
}

#[test]
fn requeued_caller_who_gives_up_is_called_back() {
    let mut rig = Rig::new();
    let (_, caller, seat) = rig.talk("801");
    rig.is_lost(seat);
    rig.hangs_up(caller);
    assert_eq!(rig.event("call.ended")["outcome"], "answered");
    assert_eq!(rig.event("callback.due")["reason"], "interrupted");
    assert_eq!(rig.count("call.abandoned"), 0);
}

#[test]
fn every_failure_of_a_seats_line_counts_as_lost_not_as_hung_up() {
    for (cause, by_far_side) in [
        (Cause::Lost, false),
        (Cause::Unreachable, false),
        (Cause::Unavailable, true),
        (Cause::Normal, false),
    ] {
        let mut rig = Rig::new();
        let (call, caller, seat) = rig.talk("801");
        rig.leg(seat, LegEvent::Ended { cause, by_far_side });
        assert_eq!(rig.released(caller), None, "{cause:?}");
        assert_eq!(rig.switch.position(call), Some(0), "{cause:?}");
    }
}

#[test]
fn caller_lost_by_the_carrier_while_talking_is_lost_with_a_call_back() {
    let mut rig = Rig::new();
    let (_, caller, seat) = rig.talk("801");
    rig.is_lost(caller);
    assert_eq!(rig.event("call.ended")["outcome"], "lost");
    assert_eq!(rig.event("callback.due")["reason"], "lost");
    assert!(rig.released(seat).is_some());
}

#[test]
fn no_timer_ever_ends_a_talk() {
    let mut rig = Rig::new();
    let (call, caller, seat) = rig.talk("801");
    rig.pass(3_590_000);
    rig.registers("801");
    rig.pass(3_590_000);
    assert_eq!(rig.state(call), Some(CallState::Talking));
    assert_eq!((rig.released(caller), rig.released(seat)), (None, None));
}

#[test]
fn caller_whom_the_seats_phone_holds_hears_music() {
    let mut rig = Rig::new();
    let (_, caller, seat) = rig.talk("801");
    rig.leg(seat, LegEvent::FarHold { held: true });
    assert_eq!(rig.said(caller), ["Music"]);
    rig.leg(seat, LegEvent::FarHold { held: false });
    assert!(rig.plays(caller).is_none());
    assert_eq!(rig.hears(caller), [seat]);
}

#[test]
fn seat_answers_twice_is_counted_and_changes_nothing() {
    let mut rig = Rig::new();
    let (_, _, seat) = rig.talk("801");
    rig.forget();
    rig.picks_up(seat);
    assert!(rig.effects.is_empty() && rig.events.is_empty());
    assert_eq!(rig.switch.unexpected()["leg.answered_twice"], 1);
}
