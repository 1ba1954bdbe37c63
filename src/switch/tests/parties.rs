use super::*;

fn sounds(rig: &Rig, seat: LegId, tone: &str) -> bool {
    rig.said(seat).iter().all(|s| s == tone) && !rig.said(seat).is_empty()
}

#[test]
fn third_party_rings_with_ring_back_to_the_seat_while_caller_and_seat_go_on_talking() {
    let mut rig = Rig::new();
    let (call, caller, seat) = rig.talk("801");
    let third = rig.adds(call, "801", "doctor");
    assert_eq!(rig.rung_number(), Some((String::from("ct"), third)));
    rig.rings(third);
    assert_eq!(rig.event("conference.party_ringing")["role"], "doctor");
    assert_eq!(rig.said(seat), ["RingBack"]);
    assert_eq!(rig.hears(caller), [seat]);
    assert_eq!(rig.hears(seat), [caller]);
}

#[test]
fn third_party_joins_and_everybody_hears_everybody() {
    let mut rig = Rig::new();
    let (call, caller, seat) = rig.talk("801");
    let third = rig.adds(call, "801", "doctor");
    rig.rings(third);
    rig.picks_up(third);
    assert!(rig.plays(seat).is_none(), "ring-back stopped");
    assert_eq!(rig.matrix(), Matrix::everyone(&[caller, seat, third]));
    assert_eq!(rig.count("conference.party_joined"), 1);
    assert_eq!(rig.state(call), Some(CallState::Conferencing));
    let track = MediaCommand::Track {
        leg: third,
        party: Party::Third {
            role: String::from("doctor"),
            n: 1,
        },
        of: None,
    };
    assert_eq!(rig.media().iter().filter(|m| **m == track).count(), 1);
}

#[test]
fn early_media_of_a_third_party_goes_to_the_seat_and_not_to_the_caller() {
    let mut rig = Rig::new();
    let (call, caller, seat) = rig.talk("801");
    let third = rig.adds(call, "801", "doctor");
    rig.rings(third);
    rig.progress(third, 183, true);
    assert!(rig.plays(seat).is_none(), "its own tones instead of ours");
    let mut heard = rig.hears(seat);
    heard.sort();
    let mut both = vec![caller, third];
    both.sort();
    assert_eq!(heard, both);
    assert_eq!(rig.hears(caller), [seat]);
    assert!(rig.hears(third).is_empty());
}

#[test]
fn busy_no_answer_and_no_such_number_are_told_apart_with_a_tone_to_the_seat() {
    for (cause, tone) in [
        (Cause::Busy, "Busy"),
        (Cause::NoAnswer, "Congestion"),
        (Cause::Unallocated, "NoSuchNumber"),
    ] {
        let mut rig = Rig::new();
        let (call, caller, seat) = rig.talk("801");
        let third = rig.adds(call, "801", "doctor");
        rig.rings(third);
        rig.fails(third, cause);
        let failed = rig.event("conference.party_failed");
        assert_eq!(failed["cause"], serde_json::to_value(cause).unwrap());
        assert!(sounds(&rig, seat, tone));
        assert_eq!(rig.hears(caller), [seat]);
        assert_eq!(rig.state(call), Some(CallState::Talking));
        assert_eq!(rig.rung().len(), 2, "no second trunk for a person's answer");
    }
}

#[test]
fn trunk_that_answers_503_gives_way_to_the_next() {
    for cause in [Cause::Unavailable, Cause::Unreachable] {
        let mut rig = Rig::new();
        let (call, _, _) = rig.talk("801");
        let third = rig.adds(call, "801", "doctor");
        rig.fails(third, cause);
        let (trunk, second) = rig.rung_number().unwrap();
        assert_eq!(trunk, "cmcc");
        assert_eq!(rig.count("conference.party_failed"), 0);
        rig.fails(second, cause);
        assert_eq!(rig.count("conference.party_failed"), 1);
    }
}

#[test]
fn trunk_silent_for_4_s_gives_way_to_the_next() {
    let mut rig = Rig::new();
    let (call, _, seat) = rig.talk("801");
    let third = rig.adds(call, "801", "doctor");
    rig.pass(3_999);
    assert_eq!(rig.released(third), None);
    rig.pass(1);
    assert_eq!(rig.released(third), Some(Cause::Withdrawn));
    let (trunk, second) = rig.rung_number().unwrap();
    assert_eq!(trunk, "cmcc");
    rig.pass(4_000);
    assert_eq!(rig.released(second), Some(Cause::Withdrawn));
    assert_eq!(rig.event("conference.party_failed")["cause"], "unreachable");
    assert!(sounds(&rig, seat, "Congestion"));
}

#[test]
fn trunk_that_says_trying_is_not_silent() {
    let mut rig = Rig::new();
    let (call, _, _) = rig.talk("801");
    let third = rig.adds(call, "801", "doctor");
    rig.progress(third, 100, false);
    rig.pass(59_999);
    assert_eq!(rig.released(third), None);
    rig.pass(1);
    assert_eq!(rig.released(third), Some(Cause::NoAnswer));
    assert_eq!(rig.event("conference.party_failed")["cause"], "no_answer");
}

#[test]
fn trunk_known_to_be_down_is_tried_last() {
    let mut rig = Rig::new();
    rig.input(InputKind::Trunk {
        trunk: TrunkId::from("ct"),
        change: TrunkChange::Down {
            reason: String::from("no answer to OPTIONS"),
        },
    });
    let (call, _, _) = rig.talk("801");
    rig.adds(call, "801", "doctor");
    assert_eq!(rig.rung_number().unwrap().0, "cmcc");
}

#[test]
fn ringing_third_party_is_cancelled_by_the_id_the_command_was_answered_with() {
    let mut rig = Rig::new();
    let (call, caller, seat) = rig.talk("801");
    let first = rig.adds(call, "801", "doctor");
    rig.fails(first, Cause::Unavailable);
    let (_, second) = rig.rung_number().unwrap();
    rig.rings(second);
    let by = Actor::Seat(SeatId::from("801"));
    let reply = rig.command(by, Command::RemoveParty { call, leg: first });
    assert_eq!(reply, Ok(CommandReply::Done));
    assert_eq!(rig.released(second), Some(Cause::Withdrawn));
    assert!(rig.plays(seat).is_none(), "ring-back stopped");
    assert_eq!(rig.hears(caller), [seat]);
}

#[test]
fn third_party_that_answers_its_cancel_is_released() {
    let mut rig = Rig::new();
    let (call, caller, seat) = rig.talk("801");
    let third = rig.adds(call, "801", "doctor");
    rig.rings(third);
    let by = Actor::Seat(SeatId::from("801"));
    rig.command(by, Command::RemoveParty { call, leg: third })
        .unwrap();
    rig.forget();
    rig.picks_up(third);
    assert_eq!(rig.released(third), Some(Cause::Withdrawn));
    assert_eq!(rig.count("conference.party_joined"), 0);
    let _ = (caller, seat);
}

#[test]
fn joined_third_party_that_is_removed_or_leaves_ends_nobody_else() {
    for removed in [true, false] {
        let mut rig = Rig::new();
        let (call, caller, seat) = rig.talk("801");
        let third = rig.adds(call, "801", "doctor");
        rig.picks_up(third);
        if removed {
            let by = Actor::Seat(SeatId::from("801"));
            rig.command(by, Command::RemoveParty { call, leg: third })
                .unwrap();
            assert_eq!(rig.released(third), Some(Cause::Withdrawn));
        } else {
            rig.hangs_up(third);
        }
        assert_eq!(rig.count("conference.party_left"), 1);
        assert_eq!(rig.matrix(), Matrix::everyone(&[caller, seat]));
        assert_eq!(rig.state(call), Some(CallState::Talking));
        assert_eq!(rig.released(caller), None);
    }
}

#[test]
fn caller_leaves_and_seat_and_third_party_go_on_until_one_leaves() {
    let mut rig = Rig::new();
    let (call, caller, seat) = rig.talk("801");
    let third = rig.adds(call, "801", "doctor");
    rig.picks_up(third);
    rig.hangs_up(caller);
    assert_eq!(rig.event("conference.party_left")["role"], "caller");
    assert_eq!(rig.matrix(), Matrix::everyone(&[seat, third]));
    assert_eq!(rig.count("call.ended"), 0);
    rig.hangs_up(third);
    assert_eq!(rig.released(seat), Some(Cause::Normal));
    assert_eq!(rig.event("call.ended")["outcome"], "answered");
    let _ = call;
}

#[test]
fn seat_leaves_and_caller_and_third_party_go_on() {
    let mut rig = Rig::new();
    let (call, caller, seat) = rig.talk("801");
    let third = rig.adds(call, "801", "doctor");
    rig.picks_up(third);
    rig.hangs_up(seat);
    assert_eq!(rig.released(caller), None);
    assert_eq!(rig.matrix(), Matrix::everyone(&[caller, third]));
    assert_eq!(rig.seat("801").0, SeatState::WrapUp);
    rig.hangs_up(third);
    assert_eq!(rig.count("call.ended"), 1, "the seat had ended its part");
    assert_eq!(rig.released(caller), Some(Cause::Normal));
    let _ = call;
}

#[test]
fn caller_left_alone_by_a_lost_third_party_goes_back_to_the_queue() {
    let mut rig = Rig::new();
    let (call, caller, seat) = rig.talk("801");
    let third = rig.adds(call, "801", "doctor");
    rig.picks_up(third);
    rig.hangs_up(seat);
    rig.is_lost(third);
    assert_eq!(rig.released(caller), None);
    assert_eq!(rig.switch.position(call), Some(0));
}

#[test]
fn caller_of_a_lost_seat_goes_on_talking_to_the_third_party_while_a_new_seat_is_rung() {
    let mut rig = Rig::new();
    let (call, caller, seat) = rig.talk("801");
    let third = rig.adds(call, "801", "doctor");
    rig.picks_up(third);
    rig.forget();
    rig.is_lost(seat);
    assert_eq!(rig.matrix(), Matrix::everyone(&[caller, third]));
    assert!(rig.plays(caller).is_none(), "no prompt over the talk");
    rig.registers("802");
    let next = rig.rung_seat("802").unwrap();
    rig.picks_up(next);
    assert_eq!(rig.matrix(), Matrix::everyone(&[caller, third, next]));
    let _ = call;
}

#[test]
fn requeued_caller_whose_third_party_leaves_hears_the_queue_again() {
    let mut rig = Rig::new();
    let (call, caller, seat) = rig.talk("801");
    let third = rig.adds(call, "801", "doctor");
    rig.picks_up(third);
    rig.is_lost(seat);
    rig.hangs_up(third);
    assert_eq!(rig.said(caller), ["all_busy_next"]);
    assert_eq!(rig.count("call.ended"), 0);
    let _ = call;
}

#[test]
fn third_party_that_answers_a_requeued_caller_is_heard_at_once() {
    let mut rig = Rig::new();
    let (_, caller, seat) = {
        let talk = rig.talk("801");
        (talk.0, talk.1, talk.2)
    };
    let call = rig.switch.legs[&caller];
    let third = rig.adds(call, "801", "doctor");
    rig.rings(third);
    rig.is_lost(seat);
    assert_eq!(rig.said(caller), ["line_fault_caller"]);
    rig.picks_up(third);
    assert!(rig.plays(caller).is_none());
    assert_eq!(rig.hears(caller), [third]);
}

#[test]
fn seats_bye_while_a_third_party_only_rings_ends_the_call_and_cancels_it() {
    let mut rig = Rig::new();
    let (call, caller, seat) = rig.talk("801");
    let third = rig.adds(call, "801", "doctor");
    rig.rings(third);
    rig.hangs_up(seat);
    assert_eq!(rig.released(third), Some(Cause::Withdrawn));
    assert_eq!(rig.released(caller), Some(Cause::SeatReleased));
    let _ = call;
}

#[test]
fn parties_of_one_role_are_numbered() {
    let mut rig = Rig::new();
    let (call, _, _) = rig.talk("801");
    for _ in 0..2 {
        let leg = rig.adds(call, "801", "doctor");
        rig.picks_up(leg);
    }
    let view = rig.switch.view();
    let names: Vec<_> = view.calls[0]
        .legs
        .iter()
        .map(|l| l.party.as_str())
        .collect();
    assert!(
        names.contains(&"doctor-1") && names.contains(&"doctor-2"),
        "{names:?}"
    );
}

#[test]
fn end_of_the_busy_tone_lets_the_next_ring_back_sound() {
    let mut rig = Rig::new();
    let (call, _, seat) = rig.talk("801");
    let third = rig.adds(call, "801", "doctor");
    rig.fails(third, Cause::Busy);
    let again = rig.adds(call, "801", "doctor");
    rig.rings(again);
    assert!(sounds(&rig, seat, "Busy"));
    rig.prompt_ends(seat);
    assert_eq!(rig.said(seat), ["RingBack"]);
}

#[test]
fn two_third_parties_go_on_when_caller_and_seat_have_left() {
    for seat_lost in [true, false] {
        let mut rig = Rig::new();
        let (call, caller, seat) = rig.talk("801");
        let thirds = [
            rig.adds(call, "801", "doctor"),
            rig.adds(call, "801", "crew"),
        ];
        for third in thirds {
            rig.picks_up(third);
        }
        if seat_lost {
            rig.is_lost(seat);
            rig.registers("802");
            let offered = rig.rung_seat("802").unwrap();
            rig.hangs_up(caller);
            assert_eq!(rig.released(offered), Some(Cause::Withdrawn));
            assert_eq!(rig.seat("802").0, SeatState::Ready);
            assert_eq!(rig.event("callback.due")["reason"], "interrupted");
        } else {
            rig.hangs_up(caller);
            rig.hangs_up(seat);
        }
        assert_eq!(rig.count("call.ended"), 0);
        assert_eq!(rig.matrix(), Matrix::everyone(&thirds));
        assert!(rig.switch.queue.is_empty());
        rig.hangs_up(thirds[0]);
        assert_eq!(rig.released(thirds[1]), Some(Cause::Normal));
        assert_eq!(rig.event("call.ended")["outcome"], "answered");
    }
}
