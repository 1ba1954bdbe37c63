use super::*;

fn restart(rig: &mut Rig, after_ms: u32) {
    // What a restarted process has: the snapshot and the journal after it.
    let bytes = rig.switch.snapshot().unwrap();
    rig.switch = Switch::restore(&bytes).unwrap();
    rig.forget();
    rig.now = rig.now + Millis(after_ms);
    rig.input(InputKind::Started {
        seed: 99,
        build: String::from("next"),
        policy: Box::new(policy()),
    });
}

fn orphans(rig: &Rig) -> Vec<LegId> {
    rig.effects
        .iter()
        .map(|effect| match effect {
            Effect::Leg {
                leg,
                command: LegCommand::ReleaseOrphan { .. },
            } => *leg,
            other => panic!("a new process wants {other:?}"),
        })
        .collect()
}

#[test]
fn talking_call_of_a_dead_process_is_answered_and_called_back() {
    let mut rig = Rig::new();
    let (call, caller, seat) = rig.talk("801");
    let dialog = DialogState(serde_json::json!({"seat": true}));
    rig.leg(seat, LegEvent::Dialog { state: dialog });
    restart(&mut rig, 3_000);
    assert_eq!(rig.event("engine.started")["orphaned_calls"], 1);
    assert_eq!(rig.event("call.ended")["outcome"], "answered");
    assert_eq!(rig.event("call.ended")["cause"], "restarted");
    assert_eq!(rig.event("callback.due")["reason"], "interrupted");
    let mut closed = orphans(&rig);
    closed.sort();
    let mut both = vec![caller, seat];
    both.sort();
    assert_eq!(closed, both, "every dialog gets a BYE");
    assert_eq!(rig.seat("801").0, SeatState::Ready);
    assert_eq!(rig.state(call), Some(CallState::Closing));
}

#[test]
fn waiting_and_ringing_calls_of_a_dead_process_are_lost_and_called_back() {
    let mut rig = Rig::new();
    rig.registers("801");
    rig.arrives();
    rig.arrives();
    let leg = rig.rung_seat("801").unwrap();
    rig.rings(leg);
    restart(&mut rig, 3_000);
    assert_eq!(rig.count("call.ended"), 2);
    assert_eq!(rig.event("call.ended")["outcome"], "lost");
    assert_eq!(rig.event("callback.due")["reason"], "lost_in_restart");
    assert_eq!(rig.switch.view().call_backs.len(), 2);
    assert_eq!(rig.seat("801").0, SeatState::Ready);
    assert!(rig.switch.queue.is_empty());
}

#[test]
fn old_ring_timers_do_not_run_in_the_new_process() {
    let mut rig = Rig::new();
    rig.registers("801");
    rig.arrives();
    restart(&mut rig, 60_000);
    assert_eq!(rig.count("seat.ring_timeout"), 0);
    assert_eq!(rig.count("alert.wait_exceeded"), 0);
    assert_eq!(rig.seat("801").0, SeatState::Ready);
}

#[test]
fn registration_that_ran_out_meanwhile_is_gone_after_the_restart() {
    let mut rig = Rig::new();
    rig.registers("801");
    restart(&mut rig, 3_700_000);
    assert_eq!(rig.seat("801").0, SeatState::SignedOut);
}

/// The same INVITE as the next process sees it.
fn repeated(rig: &mut Rig, arrival: &Arrival) -> (CallId, LegId) {
    let mut again = arrival.clone();
    again.call = CallId(rig.id());
    again.leg = LegId(rig.id());
    rig.arrives_as(again)
}

#[test]
fn invite_repeated_after_the_restart_goes_on_in_its_old_call_and_place() {
    let mut rig = Rig::new();
    let arrival = rig.arrival("ct");
    let (call, _) = rig.arrives_as(arrival.clone());
    rig.pass(4_000);
    let old = rig.switch.calls[&call].recording;
    restart(&mut rig, 1_000);
    let (other, _) = rig.arrives();
    rig.forget();
    let (made, leg) = repeated(&mut rig, &arrival);
    assert_eq!(rig.count("call.received"), 0, "no second record");
    assert_eq!(rig.count("call.reopened"), 1);
    assert_eq!(
        rig.event("callback.closed")["by"],
        serde_json::json!("engine")
    );
    assert!(rig.switch.view().call_backs.is_empty());
    assert_eq!(rig.event("queue.entered")["position"], 0, "before {other}");
    assert_eq!(rig.state(call), Some(CallState::Arriving));
    assert_eq!(rig.state(made), None);
    assert_eq!(rig.switch.call_of_leg(leg), Some(call));
    let media: Vec<_> = rig
        .effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Media { call, command } => Some((*call, command.clone())),
            Effect::Leg { .. }
            | Effect::Ask { .. }
            | Effect::AskPin { .. }
            | Effect::Reply { .. } => None,
        })
        .collect();
    assert_eq!(media[0], (made, MediaCommand::Move { leg, to: call }));
    assert_eq!(media[1], (made, MediaCommand::Close));
    let recording = rig.switch.calls[&call].recording;
    assert_ne!(recording, old, "recorded again");
    assert_eq!(media[2], (call, MediaCommand::Record { recording }));
    // 5 s of the 10 are gone.
    rig.pass(4_900);
    assert_eq!(rig.count("alert.wait_exceeded"), 0);
    rig.pass(200);
    assert_eq!(rig.event("alert.wait_exceeded")["waited_ms"], 10_000);
}

#[test]
fn reopened_call_keeps_its_place_although_the_clock_was_set_back_an_hour() {
    let mut rig = Rig::new();
    let arrival = rig.arrival("ct");
    let (call, _) = rig.arrives_as(arrival.clone());
    rig.now = Timestamp::from_micros(rig.now.as_micros() - 3_600_000_000);
    restart(&mut rig, 1_000);
    let (_, leg) = repeated(&mut rig, &arrival);
    rig.pass(2_000);
    let (later, _) = rig.arrives();
    let order = rig.switch.waiting_order();
    assert_eq!(order, [call, later], "who came first is first");
    // And nothing of the hour is waited out.
    rig.pass(8_100);
    assert_eq!(rig.count("alert.wait_exceeded"), 1);
    assert_eq!(rig.switch.call_of_leg(leg), Some(call));
}

#[test]
fn invite_repeated_after_the_restart_is_known_although_the_clock_leapt_an_hour() {
    let mut rig = Rig::new();
    let arrival = rig.arrival("ct");
    let (call, _) = rig.arrives_as(arrival.clone());
    restart(&mut rig, 3_600_000);
    rig.arrives();
    rig.forget();
    let (_, leg) = repeated(&mut rig, &arrival);
    assert_eq!(rig.count("call.received"), 0, "no second record");
    assert_eq!(rig.switch.call_of_leg(leg), Some(call));
}

#[test]
fn reopened_call_settles_when_both_its_recordings_are_sealed() {
    let mut rig = Rig::new();
    let arrival = rig.arrival("ct");
    let (call, _) = rig.arrives_as(arrival.clone());
    let old = rig.switch.calls[&call].recording;
    restart(&mut rig, 1_000);
    let (_, leg) = repeated(&mut rig, &arrival);
    rig.hangs_up(leg);
    assert_eq!(rig.event("call.ended")["outcome"], "abandoned");
    rig.seals(call);
    assert_eq!(
        rig.count("call.settled"),
        0,
        "the first one is being sealed"
    );
    let first = RecordingEvent::Sealed(sealed(old, rig.now));
    rig.input(InputKind::Recording { call, event: first });
    assert_eq!(rig.count("call.settled"), 1);
}

#[test]
fn invite_repeated_after_the_old_call_settled_still_goes_on_in_it() {
    let mut rig = Rig::new();
    let arrival = rig.arrival("ct");
    let (call, _) = rig.arrives_as(arrival.clone());
    restart(&mut rig, 1_000);
    rig.seals(call);
    assert_eq!(rig.count("call.settled"), 1);
    restart(&mut rig, 1_000);
    let (_, leg) = repeated(&mut rig, &arrival);
    assert_eq!(rig.count("call.reopened"), 1);
    assert_eq!(rig.count("call.received"), 0);
    rig.hangs_up(leg);
    rig.seals(call);
    assert_eq!(rig.count("call.settled"), 1);
    // It has had an end of its own now: whoever calls with this INVITE is a new caller.
    let (third, _) = repeated(&mut rig, &arrival);
    assert_eq!(rig.count("call.received"), 1);
    assert_eq!(rig.count("call.rejoined"), 0);
    assert_eq!(rig.state(third), Some(CallState::Arriving));
}

#[test]
fn caller_cut_off_in_a_talk_whose_invite_is_repeated_comes_before_all_others() {
    let mut rig = Rig::new();
    rig.registers("801");
    let arrival = rig.arrival("ct");
    let (call, _) = rig.arrives_as(arrival.clone());
    let seat = rig.rung_seat("801").unwrap();
    rig.leg(seat, LegEvent::Answered);
    restart(&mut rig, 1_000);
    assert_eq!(rig.event("callback.due")["reason"], "interrupted");
    repeated(&mut rig, &arrival);
    assert_eq!(rig.event("queue.entered")["again"], true);
    assert_eq!(rig.event("callback.closed")["by"], "engine");
    assert!(rig.rung_seat("801").is_some(), "{call} rings again");
}

#[test]
fn call_back_that_an_earlier_call_of_the_number_shares_stays_on_the_list() {
    let mut rig = Rig::new();
    let mut first = rig.arrival("ct");
    first.caller = String::from("13800138000");
    let mut second = rig.arrival("ct");
    second.caller.clone_from(&first.caller);
    let (_, leg) = rig.arrives_as(first);
    rig.hangs_up(leg);
    rig.arrives_as(second.clone());
    restart(&mut rig, 1_000);
    assert_eq!(rig.switch.view().call_backs[0].calls, 2);
    repeated(&mut rig, &second);
    assert_eq!(rig.switch.view().call_backs[0].calls, 1);
    assert_eq!(rig.count("callback.closed"), 0);
}

#[test]
fn invite_repeated_when_there_is_no_port_leaves_the_old_outcome_and_makes_no_record() {
    let mut rig = Rig::new();
    let mut arrival = rig.arrival("ct");
    rig.arrives_as(arrival.clone());
    restart(&mut rig, 1_000);
    arrival.refused_capacity = true;
    repeated(&mut rig, &arrival);
    assert_eq!(rig.count("call.received") + rig.count("call.reopened"), 0);
    assert_eq!(rig.switch.view().call_backs.len(), 1);
    assert!(rig.has_alarm(AlarmCode::CapacityRefused, "calls"));
}

#[test]
fn recovered_recording_settles_the_call_of_the_dead_process() {
    let mut rig = Rig::new();
    let (call, _, _) = rig.talk("801");
    restart(&mut rig, 3_000);
    rig.seals(call);
    assert_eq!(rig.count("call.settled"), 1);
}

#[test]
fn second_restart_closes_the_dialogs_again_that_never_reported_their_end() {
    let mut rig = Rig::new();
    rig.arrives();
    restart(&mut rig, 1_000);
    assert_eq!(orphans(&rig).len(), 1);
    restart(&mut rig, 1_000);
    assert_eq!(orphans(&rig).len(), 1);
    assert_eq!(rig.count("call.ended"), 0, "one outcome per call");
    assert_eq!(rig.event("engine.started")["orphaned_calls"], 0);
    rig.pass(40_000);
    restart(&mut rig, 1_000);
    assert_eq!(orphans(&rig).len(), 0);
}

#[test]
fn new_calls_work_after_a_restart_even_if_the_clock_went_back() {
    let mut rig = Rig::new();
    rig.talk("801");
    rig.pass(500_000);
    rig.now = Timestamp::from_micros(START_MICROS - 1_000_000);
    restart(&mut rig, 0);
    let (_, caller) = rig.arrives();
    rig.pass(300);
    assert_eq!(rig.said(caller), ["Entry", "greeting"]);
    rig.pass(9_700);
    assert_eq!(rig.count("alert.wait_exceeded"), 1);
}

#[test]
fn ids_of_the_new_process_never_repeat_those_of_the_old() {
    let mut rig = Rig::new();
    rig.arrives();
    let mut ids: Vec<_> = rig.events.iter().map(|e| e.id).collect();
    restart(&mut rig, 0);
    rig.arrives();
    ids.extend(rig.events.iter().map(|e| e.id));
    let count = ids.len();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), count);
}

#[test]
fn standing_alarms_end_with_the_process_and_true_ones_are_raised_again() {
    let mut rig = Rig::new();
    rig.registers("801");
    rig.link("801", SeatLink::Reachable { reachable: false });
    rig.input(InputKind::Alarm {
        code: AlarmCode::DiskLow,
        subject: String::from("/rec"),
        detail: String::from("82 %"),
        raised: true,
    });
    restart(&mut rig, 1_000);
    assert!(!rig.has_alarm(AlarmCode::DiskLow, "/rec"));
    assert!(rig.has_alarm(AlarmCode::SeatUnreachable, "801"));
}

#[test]
fn skipped_input_marks_its_call_until_it_settles_and_the_call_goes_on() {
    let mut rig = Rig::new();
    let (call, caller, _) = rig.talk("801");
    rig.input(InputKind::Skipped {
        call: Some(call),
        reason: String::from("panicked"),
    });
    let subject = call.to_string();
    assert!(rig.has_alarm(AlarmCode::SwitchInputSkipped, &subject));
    assert_eq!(rig.state(call), Some(CallState::Talking));
    rig.hangs_up(caller);
    rig.seals(call);
    assert!(!rig.has_alarm(AlarmCode::SwitchInputSkipped, &subject));
    rig.input(InputKind::Skipped {
        call: None,
        reason: String::from("panicked"),
    });
    assert!(rig.has_alarm(AlarmCode::SwitchInputSkipped, "switch"));
    rig.pass(600_000);
    assert!(!rig.has_alarm(AlarmCode::SwitchInputSkipped, "switch"));
}

#[test]
fn replay_of_the_same_inputs_gives_the_same_state_and_words() {
    let run = || {
        let mut rig = Rig::new();
        let (call, caller, _) = rig.talk("801");
        let third = rig.adds(call, "801", "doctor");
        rig.rings(third);
        rig.pass(70_000);
        rig.hangs_up(caller);
        (rig.switch.state_hash(), rig.events, rig.effects)
    };
    let (a, b) = (run(), run());
    assert_eq!(a.0, b.0);
    assert_eq!(a.1, b.1);
    assert_eq!(a.2, b.2);
    assert_eq!(a.0.len(), 64);
}

#[test]
fn snapshot_of_another_schema_or_damaged_is_refused() {
    let other = serde_json::json!({"schema": 99, "switch": {}});
    assert!(matches!(
        Switch::restore(&other),
        Err(SnapshotError::Schema { got: 99, .. })
    ));
    let damaged = serde_json::json!({"schema": 2, "switch": {"now": "x"}});
    assert!(matches!(
        Switch::restore(&damaged),
        Err(SnapshotError::Damaged(_))
    ));
}

#[test]
fn a_seats_tone_by_its_earlier_name_is_read() {
    let before = serde_json::json!({ "tone": "failed", "play": 3 });
    let tone: crate::call::SeatTone = serde_json::from_value(before).unwrap();
    assert_eq!(tone, crate::call::SeatTone::Once { play: PlayId(3) });
}
