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

#[test]
fn invite_retransmitted_over_the_restart_joins_its_old_record() {
    let mut rig = Rig::new();
    let arrival = rig.arrival("ct");
    let invite_key = arrival.invite_key.clone();
    rig.arrives_as(arrival);
    restart(&mut rig, 1_000);
    rig.input(InputKind::ArrivedAgain { invite_key });
    assert_eq!(rig.count("call.rejoined"), 1);
    assert_eq!(rig.switch.view().arrived, 0);
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
    let damaged = serde_json::json!({"schema": 1, "switch": {"now": "x"}});
    assert!(matches!(
        Switch::restore(&damaged),
        Err(SnapshotError::Damaged(_))
    ));
}
