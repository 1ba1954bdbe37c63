use super::*;

#[test]
fn trunk_call_is_answered_recorded_and_queued_before_anything_is_asked() {
    let mut rig = Rig::new();
    rig.registers("801");
    let (call, caller) = rig.arrives();
    assert_eq!(rig.count("call.received"), 1);
    assert_eq!(rig.count("call.answered_by_system"), 1);
    assert_eq!(rig.event("queue.entered")["position"], 0);
    let kinds: Vec<_> = rig
        .effects
        .iter()
        .map(|effect| match effect {
            Effect::Leg {
                command: LegCommand::Answer,
                leg,
            } if *leg == caller => "answer",
            Effect::Leg {
                command: LegCommand::Invite(_),
                ..
            } => "invite",
            Effect::Media {
                command: MediaCommand::Record { .. },
                ..
            } => "record",
            Effect::Media {
                command: MediaCommand::Track { .. },
                ..
            } => "track",
            Effect::Ask { .. } => "ask",
            Effect::AskPin { .. } => "ask_pin",
            other => panic!("unexpected {other:?}"),
        })
        .collect();
    assert_eq!(kinds, ["answer", "record", "track", "invite", "ask"]);
    assert_eq!(rig.state(call), Some(CallState::Offered));
}

#[test]
fn greeting_starts_at_the_ack() {
    let mut rig = Rig::new();
    let (call, caller) = rig.arrives();
    assert_eq!(rig.state(call), Some(CallState::Arriving));
    assert!(rig.plays(caller).is_none());
    rig.pass(100);
    rig.acks(caller);
    assert_eq!(rig.said(caller), ["Entry", "greeting"]);
    assert_eq!(rig.state(call), Some(CallState::Greeting));
    rig.pass(1000);
    assert_eq!(rig.count("prompt.started"), 1, "the timer starts no second");
}

#[test]
fn greeting_starts_after_300_ms_without_an_ack() {
    let mut rig = Rig::new();
    let (_, caller) = rig.arrives();
    rig.pass(299);
    assert!(rig.plays(caller).is_none());
    rig.pass(1);
    assert_eq!(rig.said(caller), ["Entry", "greeting"]);
    rig.acks(caller);
    assert_eq!(rig.count("prompt.started"), 1);
}

#[test]
fn early_media_trunk_greets_at_once_and_is_answered_when_a_seat_picks_up() {
    let mut rig = Rig::new();
    rig.registers("801");
    let arrival = rig.arrival("cmcc");
    let (_, caller) = rig.arrives_as(arrival);
    assert_eq!(rig.said(caller), ["Entry", "greeting"]);
    assert_eq!(rig.count("call.answered_by_system"), 0);
    let seat = rig.rung_seat("801").unwrap();
    rig.forget();
    rig.pass(2000);
    rig.picks_up(seat);
    let answer = Effect::Leg {
        leg: caller,
        command: LegCommand::Answer,
    };
    assert_eq!(rig.effects.first(), Some(&answer));
    assert_eq!(rig.count("call.answered_by_system"), 1);
    assert_eq!(rig.hears(caller), [seat]);
}

#[test]
fn early_media_trunk_is_answered_at_its_limit() {
    let mut rig = Rig::new();
    let arrival = rig.arrival("cmcc");
    let (call, _) = rig.arrives_as(arrival);
    rig.pass(19_999);
    assert_eq!(rig.count("call.answered_by_system"), 0);
    rig.pass(1);
    assert_eq!(rig.count("call.answered_by_system"), 1);
    assert!(rig.state(call).is_some(), "and goes on waiting");
}

#[test]
fn wait_of_ten_seconds_is_alerted_exactly_then_and_once() {
    let mut rig = Rig::new();
    let (call, _) = rig.arrives();
    rig.pass(9_999);
    assert_eq!(rig.count("alert.wait_exceeded"), 0);
    rig.pass(1);
    assert_eq!(rig.event("alert.wait_exceeded")["waited_ms"], 10_000);
    assert!(rig.switch.view().calls[0].wait_exceeded);
    rig.pass(60_000);
    assert_eq!(rig.count("alert.wait_exceeded"), 1);
    rig.registers("801");
    let seat = rig.rung_seat("801").unwrap();
    rig.picks_up(seat);
    assert!(!rig.switch.view().calls[0].wait_exceeded);
    assert_eq!(rig.state(call), Some(CallState::Talking));
}

#[test]
fn answer_in_time_raises_no_wait_alert() {
    let mut rig = Rig::new();
    rig.talk("801");
    rig.pass(60_000);
    assert_eq!(rig.count("alert.wait_exceeded"), 0);
    assert_eq!(
        rig.switch
            .unexpected()
            .get("flaw.timer_wait_alert_answered"),
        None
    );
}

#[test]
fn all_busy_prompt_tells_the_position_and_then_music_plays() {
    let mut rig = Rig::new();
    let (_, first) = rig.arrives();
    let (_, second) = rig.arrives();
    for leg in [first, second] {
        rig.acks(leg);
        rig.prompt_ends(leg);
    }
    assert_eq!(rig.said(first), ["all_busy_next"]);
    assert_eq!(
        rig.said(second),
        ["all_busy_position.1", "number_1", "all_busy_position.2"]
    );
    assert_eq!(rig.event("prompt.started")["position"], 1);
    rig.prompt_ends(second);
    assert_eq!(rig.said(second), ["Music"]);
}

#[test]
fn from_the_tenth_position_no_number_is_told() {
    let mut rig = Rig::new();
    let legs: Vec<_> = (0..12).map(|_| rig.arrives().1).collect();
    for leg in &legs {
        rig.acks(*leg);
        rig.prompt_ends(*leg);
    }
    assert_eq!(
        rig.said(legs[9]),
        ["all_busy_position.1", "number_9", "all_busy_position.2"]
    );
    assert_eq!(rig.said(legs[10]), ["all_busy_many"]);
    assert_eq!(rig.said(legs[11]), ["all_busy_many"]);
    rig.prompt_ends(legs[11]);
    rig.pass(16_000);
    rig.hangs_up(legs[0]);
    assert_eq!(
        rig.said(legs[11]),
        ["Music"],
        "from 11 to 10: still many, nothing new to tell"
    );
}

#[test]
fn better_position_is_told_again_but_not_within_fifteen_seconds() {
    let mut rig = Rig::new();
    let (_, first) = rig.arrives();
    let (_, second) = rig.arrives();
    let (_, third) = rig.arrives();
    for leg in [first, second, third] {
        rig.acks(leg);
        rig.prompt_ends(leg);
        rig.prompt_ends(leg);
    }
    assert_eq!(rig.said(third), ["Music"]);
    rig.pass(4_000);
    rig.hangs_up(first);
    assert_eq!(rig.said(third), ["Music"], "told 4 s ago");
    rig.pass(10_999);
    assert_eq!(rig.said(third), ["Music"]);
    rig.pass(1);
    assert_eq!(
        rig.said(third),
        ["all_busy_position.1", "number_1", "all_busy_position.2"]
    );
}

#[test]
fn worse_position_is_never_told() {
    let mut rig = Rig::new();
    let (_, caller, seat) = rig.talk("801");
    let (_, waiting) = rig.arrives();
    rig.acks(waiting);
    rig.prompt_ends(waiting);
    rig.prompt_ends(waiting);
    assert_eq!(rig.said(waiting), ["Music"]);
    rig.pass(16_000);
    rig.forget();
    rig.is_lost(seat);
    assert_eq!(rig.said(caller), ["line_fault_caller"]);
    assert!(rig.plays(waiting).is_none(), "now second, told nothing");
    rig.pass(19_000);
    assert_ne!(
        rig.said(waiting),
        ["all_busy_position.1", "number_1", "all_busy_position.2"]
    );
}

#[test]
fn still_waiting_is_told_at_20_s_and_every_20_s_with_music_between() {
    let mut rig = Rig::new();
    let (_, caller) = rig.arrives();
    rig.acks(caller);
    rig.prompt_ends(caller);
    rig.prompt_ends(caller);
    rig.pass(19_999);
    assert_eq!(rig.said(caller), ["Music"]);
    rig.pass(1);
    assert_eq!(rig.said(caller), ["still_waiting"]);
    rig.prompt_ends(caller);
    assert_eq!(rig.said(caller), ["Music"]);
    rig.pass(20_000);
    assert_eq!(rig.said(caller), ["still_waiting"]);
}

#[test]
fn ring_back_plays_after_the_greeting_while_a_seat_rings() {
    let mut rig = Rig::new();
    rig.registers("801");
    let (_, caller) = rig.arrives();
    rig.acks(caller);
    assert_eq!(rig.said(caller), ["Entry", "greeting"]);
    let seat = rig.rung_seat("801").unwrap();
    rig.rings(seat);
    assert_eq!(
        rig.said(caller),
        ["Entry", "greeting"],
        "not cut by the ringing"
    );
    rig.prompt_ends(caller);
    assert_eq!(rig.said(caller), ["RingBack"]);
}

#[test]
fn music_gives_way_to_ring_back_when_a_seat_becomes_free() {
    let mut rig = Rig::new();
    rig.talk("803");
    let (_, caller) = rig.arrives();
    rig.acks(caller);
    rig.prompt_ends(caller);
    rig.prompt_ends(caller);
    rig.registers("801");
    assert_eq!(rig.said(caller), ["RingBack"]);
    rig.pass(8_000);
    assert_eq!(rig.said(caller), ["Music"], "told its position before");
}

#[test]
fn prompt_whose_end_is_never_reported_does_not_leave_the_caller_in_silence() {
    let mut rig = Rig::new();
    let (_, caller) = rig.arrives();
    rig.acks(caller);
    rig.pass(30_000);
    assert_ne!(rig.said(caller), ["Entry", "greeting"]);
}

#[test]
fn end_of_an_older_playback_changes_nothing() {
    let mut rig = Rig::new();
    let (_, caller) = rig.arrives();
    rig.acks(caller);
    rig.input(InputKind::Media {
        leg: caller,
        event: MediaEvent::PlayEnded { play: PlayId(0) },
    });
    assert_eq!(rig.said(caller), ["Entry", "greeting"]);
}

#[test]
fn caller_gone_before_the_answer_is_abandoned_with_a_call_back() {
    let mut rig = Rig::new();
    let (call, caller) = rig.arrives();
    rig.acks(caller);
    rig.pass(5_000);
    rig.hangs_up(caller);
    assert_eq!(rig.event("call.abandoned")["waited_ms"], 5_000);
    assert_eq!(rig.event("callback.due")["reason"], "abandoned");
    assert_eq!(rig.event("call.ended")["outcome"], "abandoned");
    assert_eq!(rig.event("call.ended")["by"], "caller");
    assert_eq!(rig.state(call), Some(CallState::Closing));
    assert!(rig.media().contains(&MediaCommand::Close));
    let view = rig.switch.view();
    assert_eq!((view.abandoned, view.call_backs.len()), (1, 1));
}

#[test]
fn second_abandoned_call_of_a_number_grows_its_open_call_back() {
    let mut rig = Rig::new();
    for _ in 0..2 {
        let mut arrival = rig.arrival("ct");
        arrival.caller = String::from("13800138000");
        let (_, leg) = rig.arrives_as(arrival);
        rig.hangs_up(leg);
    }
    assert_eq!(rig.count("callback.due"), 2, "each record knows its entry");
    let view = rig.switch.view();
    assert_eq!(view.call_backs.len(), 1);
    assert_eq!(view.call_backs[0].calls, 2);
}

#[test]
fn withheld_numbers_get_call_back_entries_of_their_own() {
    let mut rig = Rig::new();
    for _ in 0..2 {
        let mut arrival = rig.arrival("ct");
        arrival.caller = String::new();
        arrival.anonymous = true;
        let (_, leg) = rig.arrives_as(arrival);
        rig.hangs_up(leg);
    }
    assert_eq!(rig.switch.view().call_backs.len(), 2);
}

#[test]
fn caller_who_withholds_the_number_is_never_merged_even_when_the_network_tells_it() {
    let mut rig = Rig::new();
    for _ in 0..2 {
        let mut arrival = rig.arrival("ct");
        arrival.caller = String::from("13800138000");
        arrival.anonymous = true;
        let (_, leg) = rig.arrives_as(arrival);
        rig.hangs_up(leg);
    }
    assert_eq!(rig.switch.view().call_backs.len(), 2);
}

#[test]
fn waiting_caller_lost_by_the_carrier_is_lost_with_a_call_back() {
    let mut rig = Rig::new();
    let (_, caller) = rig.arrives();
    rig.is_lost(caller);
    assert_eq!(rig.event("call.ended")["outcome"], "lost");
    assert_eq!(rig.event("call.ended")["by"], "network");
    assert_eq!(rig.event("callback.due")["reason"], "lost");
    assert_eq!(rig.count("call.abandoned"), 0);
}

#[test]
fn call_refused_for_capacity_leaves_a_record_a_call_back_and_an_alarm() {
    let mut rig = Rig::new();
    let mut arrival = rig.arrival("ct");
    arrival.refused_capacity = true;
    let (call, _) = rig.arrives_as(arrival);
    assert_eq!(
        rig.names(),
        [
            "call.received",
            "callback.due",
            "alarm.raised",
            "call.ended",
            "call.settled"
        ]
    );
    assert_eq!(rig.event("call.ended")["outcome"], "refused_capacity");
    assert!(rig.effects.is_empty(), "the shell has answered 503 already");
    assert_eq!(rig.state(call), None);
    assert!(rig.has_alarm(AlarmCode::CapacityRefused, "calls"));
    rig.pass(60_000);
    assert!(!rig.has_alarm(AlarmCode::CapacityRefused, "calls"));
}

#[test]
fn serial_numbers_count_per_local_day() {
    let mut rig = Rig::new();
    // 08:30 local on 2025-11-22.
    rig.arrives();
    rig.arrives();
    assert_eq!(rig.event("call.received")["serial_no"], "20251122000002");
    rig.pass(16 * 3600 * 1000);
    rig.arrives();
    assert_eq!(rig.event("call.received")["serial_no"], "20251123000001");
}

#[test]
fn repeated_invite_joins_its_record_and_makes_no_new_call() {
    let mut rig = Rig::new();
    let arrival = rig.arrival("ct");
    let key = arrival.invite_key.clone();
    let (call, leg) = rig.arrives_as(arrival.clone());
    rig.arrives_as(arrival.clone());
    assert_eq!(rig.count("call.received"), 1, "the very same Input twice");
    rig.input(InputKind::ArrivedAgain {
        invite_key: key.clone(),
    });
    assert_eq!(rig.count("call.rejoined"), 1);
    rig.hangs_up(leg);
    rig.seals(call);
    rig.input(InputKind::ArrivedAgain { invite_key: key });
    assert_eq!(rig.count("call.rejoined"), 2, "also after it settled");
    assert_eq!(rig.switch.view().arrived, 1);
}

#[test]
fn fork_of_an_open_call_joins_it_and_its_leg_is_released() {
    let mut rig = Rig::new();
    let arrival = rig.arrival("ct");
    rig.arrives_as(arrival.clone());
    let mut fork = arrival;
    fork.call = CallId(rig.id());
    fork.leg = LegId(rig.id());
    let (_, stray) = rig.arrives_as(fork);
    assert_eq!(rig.count("call.received"), 1);
    assert_eq!(rig.count("call.rejoined"), 1);
    assert_eq!(rig.released(stray), Some(Cause::Withdrawn));
}

#[test]
fn caller_whose_carrier_tries_again_after_the_call_ended_or_was_refused_is_taken() {
    for refused in [true, false] {
        let mut rig = Rig::new();
        let mut arrival = rig.arrival("ct");
        arrival.refused_capacity = refused;
        let (_, leg) = rig.arrives_as(arrival.clone());
        if !refused {
            rig.hangs_up(leg);
        }
        arrival.call = CallId(rig.id());
        arrival.leg = LegId(rig.id());
        arrival.refused_capacity = false;
        let (call, leg) = rig.arrives_as(arrival);
        assert_eq!(rig.released(leg), None);
        assert_eq!(rig.state(call), Some(CallState::Arriving));
    }
}

#[test]
fn invite_identities_are_forgotten_after_ten_minutes() {
    let mut rig = Rig::new();
    let arrival = rig.arrival("ct");
    let key = arrival.invite_key.clone();
    rig.arrives_as(arrival);
    rig.pass(600_001);
    rig.arrives();
    assert_eq!(rig.switch.call_of_invite(&key), None);
}

#[test]
fn late_findings_are_said_also_after_the_call_has_settled() {
    let mut rig = Rig::new();
    let (call, leg) = rig.arrives();
    let finding = Box::new(Finding::Failed {
        source: String::from("line"),
        reason: String::from("timeout"),
    });
    let found = InputKind::Found { call, finding };
    rig.input(found.clone());
    rig.hangs_up(leg);
    rig.input(found.clone());
    assert_eq!(rig.count("call.found"), 2);
    rig.seals(call);
    rig.input(found);
    assert_eq!(rig.count("call.found"), 3);
}

#[test]
fn call_settles_when_its_recording_is_sealed() {
    let mut rig = Rig::new();
    let (call, leg) = rig.arrives();
    let recording = rig.switch.calls[&call].recording;
    rig.input(InputKind::Recording {
        call,
        event: RecordingEvent::Started {
            recording,
            at: rig.now,
        },
    });
    rig.hangs_up(leg);
    assert_eq!(rig.count("call.settled"), 0);
    rig.seals(call);
    assert_eq!(rig.count("recording.started"), 1);
    assert_eq!(rig.count("recording.sealed"), 1);
    assert_eq!(rig.count("call.settled"), 1);
    assert_eq!(rig.state(call), None);
    rig.pass(120_000);
    assert_eq!(rig.count("call.settled"), 1);
}

#[test]
fn silent_recorder_settles_the_call_after_a_minute_and_may_still_report_later() {
    let mut rig = Rig::new();
    let (call, leg) = rig.arrives();
    let recording = rig.switch.calls[&call].recording;
    rig.hangs_up(leg);
    rig.pass(59_999);
    assert_eq!(rig.count("call.settled"), 0);
    rig.pass(1);
    assert_eq!(rig.count("call.settled"), 1);
    rig.input(InputKind::Recording {
        call,
        event: RecordingEvent::Sealed(sealed(recording, rig.now)),
    });
    assert_eq!(rig.count("recording.sealed"), 1, "no audio is forgotten");
}

#[test]
fn failed_recording_alarms_and_the_call_goes_on() {
    let mut rig = Rig::new();
    let (call, caller, seat) = rig.talk("801");
    let recording = rig.switch.calls[&call].recording;
    rig.input(InputKind::Recording {
        call,
        event: RecordingEvent::Failed {
            recording,
            detail: String::from("disk full"),
        },
    });
    assert!(rig.has_alarm(AlarmCode::RecordingFailed, &call.to_string()));
    assert_eq!(rig.state(call), Some(CallState::Talking));
    assert_eq!(rig.hears(caller), [seat]);
    rig.hangs_up(caller);
    rig.seals(call);
    assert!(!rig.has_alarm(AlarmCode::RecordingFailed, &call.to_string()));
}

#[test]
fn digits_of_the_caller_are_said_wherever_they_come_from() {
    let mut rig = Rig::new();
    let (_, leg) = rig.arrives();
    rig.leg(leg, LegEvent::Digit { digit: '1' });
    rig.input(InputKind::Media {
        leg,
        event: MediaEvent::Digit {
            digit: '2',
            duration_ms: 100,
        },
    });
    assert_eq!(rig.count("dtmf.received"), 2);
    assert_eq!(rig.event("dtmf.received")["digit"], "2");
}

#[test]
fn network_silence_alone_never_ends_a_caller() {
    let mut rig = Rig::new();
    let (call, caller, _) = rig.talk("801");
    rig.input(InputKind::Media {
        leg: caller,
        event: MediaEvent::RtpLost { lost: true },
    });
    let asked = Effect::Leg {
        leg: caller,
        command: LegCommand::Probe,
    };
    assert!(
        rig.effects.contains(&asked),
        "the far side is asked whether it is still there"
    );
    rig.pass(3_600_000 - 1);
    assert_eq!(rig.state(call), Some(CallState::Talking));
}
