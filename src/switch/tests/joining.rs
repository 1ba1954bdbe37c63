use super::*;

/// Seat 801 talks to its caller, another caller waits.
struct Scene {
    rig: Rig,
    host: CallId,
    host_caller: LegId,
    seat: LegId,
    guest: CallId,
    guest_caller: LegId,
}

fn one_talks_one_waits() -> Scene {
    let mut rig = Rig::new();
    let (host, host_caller, seat) = rig.talk("801");
    rig.pass(1_000);
    let (guest, guest_caller) = rig.arrives();
    rig.acks(guest_caller);
    Scene {
        rig,
        host,
        host_caller,
        seat,
        guest,
        guest_caller,
    }
}

fn joined() -> Scene {
    let mut scene = one_talks_one_waits();
    assert_eq!(
        scene.rig.joins("801", scene.host, scene.guest),
        Ok(CommandReply::Done)
    );
    scene
}

/// The guest talks to seat 802.
fn joined_with_a_seat_each() -> (Scene, LegId) {
    let mut scene = one_talks_one_waits();
    scene.rig.registers("802");
    let second = scene.rig.rung_seat("802").unwrap();
    scene.rig.picks_up(second);
    assert!(scene.rig.joins("801", scene.host, scene.guest).is_ok());
    (scene, second)
}

impl Rig {
    fn joins(
        &mut self,
        seat: &str,
        call: CallId,
        with: CallId,
    ) -> Result<CommandReply, CommandError> {
        let by = Actor::Seat(SeatId::from(seat));
        self.command(by, Command::Join { call, with })
    }

    fn matrix_of(&self, of: CallId) -> Matrix {
        let mut matrices = self.effects.iter().filter_map(|effect| match effect {
            Effect::Media {
                call,
                command: MediaCommand::Matrix { matrix },
            } if *call == of => Some(matrix.clone()),
            _ => None,
        });
        matrices.next_back().unwrap_or_default()
    }

    fn media_of(&self, of: CallId) -> Vec<MediaCommand> {
        let commands = self.effects.iter().filter_map(|effect| match effect {
            Effect::Media { call, command } if *call == of => Some(command.clone()),
            _ => None,
        });
        commands.collect()
    }

    fn ended(&self, call: CallId) -> Option<String> {
        self.events.iter().find_map(|event| match &event.kind {
            EventKind::CallEnded { outcome, by, .. } if event.call == Some(call) => {
                Some(format!("{outcome:?} by {by}"))
            }
            _ => None,
        })
    }

    fn events_of(&self, call: CallId, name: &str) -> Vec<serde_json::Value> {
        let own = self.events.iter().filter(|e| e.call == Some(call));
        own.filter(|e| name_of(&e.kind) == name)
            .map(|e| serde_json::to_value(&e.kind).unwrap()["data"].clone())
            .collect()
    }
}

fn is_wrong_state(reply: &Result<CommandReply, CommandError>, hint: &str) -> bool {
    matches!(reply, Err(CommandError::WrongState { hint: why, .. }) if why.contains(hint))
}

#[test]
fn waiting_caller_joined_to_a_talk_hears_both_and_both_hear_him() {
    let Scene {
        rig,
        host,
        host_caller,
        seat,
        guest,
        guest_caller,
    } = joined();
    let all = Matrix::everyone(&[host_caller, seat, guest_caller]);
    assert_eq!(rig.matrix_of(host), all);
    assert_eq!(rig.matrix_of(guest), Matrix::silent());
    assert!(rig.plays(guest_caller).is_none(), "music stopped");
    assert_eq!(rig.switch.position(guest), None);
    assert_eq!(rig.events_of(guest, "queue.left")[0]["reason"], "joined");
    assert_eq!(rig.state(host), Some(CallState::Conferencing));
    assert_eq!(rig.state(guest), Some(CallState::Conferencing));
    for (call, with) in [(host, guest), (guest, host)] {
        let said = rig.events_of(call, "call.joined");
        assert_eq!(said[0]["with"], with.to_string());
        assert_eq!(said[0]["into"], host.to_string());
        assert_eq!(said[0]["by"]["seat"], "801");
    }
    let view = rig.switch.view();
    let shown = view.calls.iter().find(|c| c.call == guest).unwrap();
    assert_eq!(shown.seat, Some(SeatId::from("801")));
    assert_eq!(shown.joined_with, [host]);
    assert_eq!(view.answered, 2);
}

#[test]
fn what_each_party_says_is_recorded_in_both_calls() {
    let mut scene = joined();
    let of = |call| Some(scene.rig.switch.calls[&call].serial_no.clone());
    let track = |leg, party, of| MediaCommand::Track { leg, party, of };
    let (host_serial, guest_serial) = (of(scene.host), of(scene.guest));
    let in_guest = scene.rig.media_of(scene.guest);
    let in_host = scene.rig.media_of(scene.host);
    let seat = Party::Seat(SeatId::from("801"));
    assert!(in_guest.contains(&track(scene.guest_caller, Party::Caller, None)));
    assert!(in_guest.contains(&track(
        scene.host_caller,
        Party::Caller,
        host_serial.clone()
    )));
    assert!(in_guest.contains(&track(scene.seat, seat, host_serial.clone())));
    assert!(in_host.contains(&track(scene.guest_caller, Party::Caller, guest_serial)));
    let third = scene.rig.adds(scene.host, "801", "crew");
    scene.rig.picks_up(third);
    let party = Party::Third {
        role: String::from("crew"),
        n: 1,
    };
    let in_guest = scene.rig.media_of(scene.guest);
    assert!(in_guest.contains(&track(third, party, host_serial)));
}

#[test]
fn phone_that_rings_for_a_joined_caller_is_freed_and_gets_the_next() {
    let mut scene = one_talks_one_waits();
    scene.rig.registers("802");
    let ringing = scene.rig.rung_seat("802").unwrap();
    scene.rig.rings(ringing);
    assert!(scene.rig.joins("801", scene.host, scene.guest).is_ok());
    assert_eq!(scene.rig.released(ringing), Some(Cause::Withdrawn));
    assert_eq!(scene.rig.seat("802").0, SeatState::Ready);
    let (next, _) = scene.rig.arrives();
    let leg = scene.rig.rung_seat("802").unwrap();
    assert_eq!(scene.rig.switch.legs[&leg], next);
}

#[test]
fn seat_of_the_other_call_stays_and_everybody_hears_everybody() {
    let (scene, second) = joined_with_a_seat_each();
    let all = [scene.host_caller, scene.seat, scene.guest_caller, second];
    assert_eq!(scene.rig.matrix_of(scene.host), Matrix::everyone(&all));
    assert_eq!(scene.rig.seat("802").0, SeatState::Talking);
    assert_eq!(scene.rig.released(second), None);
}

#[test]
fn guests_caller_who_hangs_up_ends_his_call_only() {
    let mut scene = joined();
    scene.rig.hangs_up(scene.guest_caller);
    let ended = scene.rig.ended(scene.guest);
    assert_eq!(ended.as_deref(), Some("Answered by caller"));
    assert_eq!(scene.rig.ended(scene.host), None);
    let two = Matrix::everyone(&[scene.host_caller, scene.seat]);
    assert_eq!(scene.rig.matrix_of(scene.host), two);
    assert_eq!(scene.rig.state(scene.host), Some(CallState::Talking));
    for call in [scene.host, scene.guest] {
        assert_eq!(scene.rig.events_of(call, "call.parted").len(), 1);
    }
}

#[test]
fn hosts_caller_who_hangs_up_leaves_the_seat_with_the_other() {
    let mut scene = joined();
    scene.rig.hangs_up(scene.host_caller);
    assert_eq!(scene.rig.ended(scene.host), None);
    assert_eq!(scene.rig.released(scene.seat), None);
    let two = Matrix::everyone(&[scene.seat, scene.guest_caller]);
    assert_eq!(scene.rig.matrix_of(scene.host), two);
    scene.rig.hangs_up(scene.guest_caller);
    assert_eq!(
        scene.rig.ended(scene.guest).as_deref(),
        Some("Answered by caller")
    );
    assert_eq!(
        scene.rig.ended(scene.host).as_deref(),
        Some("Answered by caller")
    );
    assert_eq!(scene.rig.seat("801").0, SeatState::WrapUp);
}

#[test]
fn seat_that_hangs_up_on_the_only_caller_left_ends_both_calls() {
    let mut scene = joined();
    scene.rig.hangs_up(scene.host_caller);
    scene.rig.hangs_up(scene.seat);
    assert_eq!(
        scene.rig.released(scene.guest_caller),
        Some(Cause::SeatReleased)
    );
    for call in [scene.host, scene.guest] {
        assert_eq!(
            scene.rig.ended(call).as_deref(),
            Some("Answered by seat"),
            "{call}"
        );
    }
}

#[test]
fn seat_that_hangs_up_on_two_ends_its_own_call_and_the_joined_caller_is_next_in_the_queue() {
    let mut scene = joined();
    let (other, _) = scene.rig.arrives();
    scene.rig.hangs_up(scene.seat);
    assert_eq!(
        scene.rig.ended(scene.host).as_deref(),
        Some("Answered by seat")
    );
    assert_eq!(scene.rig.ended(scene.guest), None);
    assert_eq!(scene.rig.released(scene.guest_caller), None);
    assert_eq!(scene.rig.switch.position(scene.guest), Some(0));
    assert_eq!(scene.rig.switch.position(other), Some(1));
    assert!(scene.rig.plays(scene.guest_caller).is_some(), "no silence");
}

#[test]
fn hang_up_command_ends_the_call_it_names_and_no_other() {
    let by = Actor::Seat(SeatId::from("801"));
    let mut scene = joined();
    let call = scene.host;
    assert!(
        scene
            .rig
            .command(by.clone(), Command::HangUp { call })
            .is_ok()
    );
    assert!(scene.rig.ended(scene.host).is_some());
    assert_eq!(scene.rig.released(scene.guest_caller), None);
    assert_eq!(scene.rig.switch.position(scene.guest), Some(0));
    let mut scene = joined();
    let call = scene.guest;
    assert!(scene.rig.command(by, Command::HangUp { call }).is_ok());
    assert!(scene.rig.ended(scene.guest).is_some());
    assert_eq!(scene.rig.ended(scene.host), None);
    assert_eq!(scene.rig.state(scene.host), Some(CallState::Talking));
}

#[test]
fn lost_line_of_the_seat_sends_both_callers_to_the_queues_head() {
    let mut scene = joined();
    scene.rig.is_lost(scene.seat);
    for (call, place) in [(scene.host, 0), (scene.guest, 1)] {
        assert_eq!(scene.rig.ended(call), None);
        assert_eq!(scene.rig.switch.position(call), Some(place));
    }
    assert_eq!(scene.rig.matrix_of(scene.host), Matrix::silent());
}

#[test]
fn joined_call_with_a_seat_of_its_own_talks_on_when_the_other_seat_leaves() {
    let (mut scene, second) = joined_with_a_seat_each();
    scene.rig.hangs_up(scene.seat);
    assert!(scene.rig.ended(scene.host).is_some());
    assert_eq!(scene.rig.ended(scene.guest), None);
    let two = Matrix::everyone(&[scene.guest_caller, second]);
    assert_eq!(scene.rig.matrix_of(scene.guest), two);
    assert!(
        scene
            .rig
            .media_of(scene.guest)
            .contains(&MediaCommand::Part)
    );
    assert_eq!(scene.rig.state(scene.guest), Some(CallState::Talking));
}

#[test]
fn joined_calls_own_seat_leaves_or_is_lost_and_its_caller_stays_in_the_talk() {
    for lost in [false, true] {
        let (mut scene, second) = joined_with_a_seat_each();
        if lost {
            scene.rig.is_lost(second);
        } else {
            scene.rig.hangs_up(second);
        }
        assert_eq!(scene.rig.ended(scene.guest), None);
        assert_eq!(scene.rig.switch.position(scene.guest), None);
        let three = [scene.host_caller, scene.seat, scene.guest_caller];
        assert_eq!(scene.rig.matrix_of(scene.host), Matrix::everyone(&three));
    }
}

#[test]
fn joined_calls_caller_leaves_its_seat_in_the_talk() {
    let (mut scene, second) = joined_with_a_seat_each();
    scene.rig.hangs_up(scene.guest_caller);
    assert_eq!(scene.rig.ended(scene.guest), None);
    assert_eq!(scene.rig.released(second), None);
    scene.rig.hangs_up(second);
    assert!(scene.rig.ended(scene.guest).is_some());
    assert_eq!(scene.rig.state(scene.host), Some(CallState::Talking));
}

#[test]
fn three_calls_are_one_conversation_and_each_leaves_alone() {
    let mut scene = joined();
    let (third, third_caller) = scene.rig.arrives();
    assert!(scene.rig.joins("801", scene.host, third).is_ok());
    let all = [
        scene.host_caller,
        scene.seat,
        scene.guest_caller,
        third_caller,
    ];
    assert_eq!(scene.rig.matrix_of(scene.host), Matrix::everyone(&all));
    scene.rig.hangs_up(scene.guest_caller);
    let rest = [scene.host_caller, scene.seat, third_caller];
    assert_eq!(scene.rig.matrix_of(scene.host), Matrix::everyone(&rest));
    scene.rig.hangs_up(scene.seat);
    assert_eq!(scene.rig.switch.position(third), Some(0));
}

#[test]
fn joining_is_refused_without_a_change_when_it_makes_no_sense() {
    let mut scene = one_talks_one_waits();
    let (host, guest) = (scene.host, scene.guest);
    let nobody = CallId(Uuid::from_u128(u128::MAX));
    let reply = scene.rig.joins("801", host, nobody);
    assert!(
        matches!(reply, Err(CommandError::Unknown { .. })),
        "{reply:?}"
    );
    let reply = scene.rig.joins("801", host, host);
    assert!(matches!(reply, Err(CommandError::BadField { ref field, .. }) if field == "with"));
    let reply = scene.rig.joins("802", host, guest);
    assert!(
        matches!(reply, Err(CommandError::NotAllowed { .. })),
        "{reply:?}"
    );
    let user = || Actor::User(String::from("chief"));
    let reversed = Command::Join {
        call: guest,
        with: host,
    };
    let reply = scene.rig.command(user(), reversed);
    assert!(
        is_wrong_state(&reply, "a seat must be talking"),
        "{reply:?}"
    );
    assert_eq!(scene.rig.switch.position(guest), Some(0));

    assert!(scene.rig.joins("801", host, guest).is_ok());
    let reply = scene.rig.joins("801", host, guest);
    assert!(
        is_wrong_state(&reply, &format!("joined to call {host} already")),
        "{reply:?}"
    );
    let (late, _) = scene.rig.arrives();
    let onto_guest = Command::Join {
        call: guest,
        with: late,
    };
    let reply = scene.rig.command(user(), onto_guest);
    assert!(is_wrong_state(&reply, "join to that one"), "{reply:?}");
    assert_eq!(scene.rig.count("call.joined"), 2);
}

#[test]
fn ended_settled_callerless_and_overfull_calls_are_not_joined() {
    let mut scene = one_talks_one_waits();
    let host = scene.host;
    let (gone, gone_caller) = scene.rig.arrives();
    scene.rig.hangs_up(gone_caller);
    let reply = scene.rig.joins("801", host, gone);
    assert!(matches!(reply, Err(CommandError::Ended { call, .. }) if call == gone));
    scene.rig.seals(gone);
    let reply = scene.rig.joins("801", host, gone);
    assert!(matches!(reply, Err(CommandError::Ended { call, .. }) if call == gone));

    scene.rig.registers("802");
    let second = scene.rig.rung_seat("802").unwrap();
    scene.rig.picks_up(second);
    let doctor = scene.rig.adds(scene.guest, "802", "doctor");
    scene.rig.picks_up(doctor);
    scene.rig.hangs_up(scene.guest_caller);
    let reply = scene.rig.joins("801", host, scene.guest);
    assert!(is_wrong_state(&reply, "its caller has left"), "{reply:?}");

    for _ in 2..crate::limits::LEGS_PER_CALL_MAX {
        scene.rig.adds(host, "801", "crew");
    }
    let (waiting, _) = scene.rig.arrives();
    let reply = scene.rig.joins("801", host, waiting);
    assert!(is_wrong_state(&reply, "the call is full"), "{reply:?}");
    assert_eq!(scene.rig.count("call.joined"), 0);
}

#[test]
fn held_caller_hears_the_other_and_no_music() {
    let mut scene = one_talks_one_waits();
    let hold = |held| LegEvent::FarHold { held };
    scene.rig.leg(scene.seat, hold(true));
    assert_eq!(scene.rig.said(scene.host_caller), ["Music"]);
    assert!(scene.rig.joins("801", scene.host, scene.guest).is_ok());
    assert!(scene.rig.plays(scene.host_caller).is_none());
}

#[test]
fn after_a_kill_each_joined_call_gets_its_own_end_and_call_back() {
    let mut scene = joined();
    let kind = InputKind::Started {
        seed: 9,
        build: String::from("next"),
        policy: Box::new(policy()),
    };
    scene.rig.input(kind);
    for call in [scene.host, scene.guest] {
        let ended = scene.rig.ended(call);
        assert_eq!(ended.as_deref(), Some("Answered by system"));
        let due = scene.rig.events_of(call, "callback.due");
        assert_eq!(due[0]["reason"], "interrupted");
        let entered = scene.rig.events_of(call, "queue.entered");
        assert_eq!(entered.len(), 1, "not once more");
    }
    assert!(scene.rig.switch.queue.is_empty());
    assert_eq!(scene.rig.seat("801").0, SeatState::Ready);
}
