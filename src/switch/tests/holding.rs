use super::*;

/// Seat 801 talks to its caller: call, caller's leg, seat's leg.
fn talk() -> (Rig, CallId, LegId, LegId) {
    let mut rig = Rig::new();
    let (call, caller, seat) = rig.talk("801");
    (rig, call, caller, seat)
}

fn held() -> (Rig, CallId, LegId, LegId) {
    let (mut rig, call, caller, seat) = talk();
    assert_eq!(rig.holds("801", call), Ok(CommandReply::Done));
    (rig, call, caller, seat)
}

impl Rig {
    fn holds(&mut self, seat: &str, call: CallId) -> Result<CommandReply, CommandError> {
        self.command(Actor::Seat(SeatId::from(seat)), Command::Hold { call })
    }

    fn resumes(&mut self, seat: &str, call: CallId) -> Result<CommandReply, CommandError> {
        self.command(Actor::Seat(SeatId::from(seat)), Command::Resume { call })
    }

    fn hold_of(&self, call: CallId) -> Option<HoldView> {
        let view = self.switch.view();
        view.calls.into_iter().find(|c| c.call == call)?.hold
    }
}

#[track_caller]
fn refused(reply: &Result<CommandReply, CommandError>, hint: &str) {
    let fits =
        matches!(reply, Err(CommandError::WrongState { hint: why, .. }) if why.contains(hint));
    assert!(fits, "{reply:?}");
}

#[test]
fn caller_on_hold_hears_music_and_nobody_and_is_heard_by_nobody_until_he_is_taken_back() {
    let (mut rig, call, caller, seat) = held();
    assert_eq!(rig.said(caller), ["Music"]);
    assert_eq!(rig.said(seat), ["Silence(1000)"], "packets go on");
    assert!(rig.hears(caller).is_empty() && rig.hears(seat).is_empty());
    assert_eq!(rig.state(call), Some(CallState::Held));
    assert_eq!(rig.hold_of(call).unwrap().by, "command");
    let said = rig.event("call.held");
    assert_eq!(
        (said["seat"].as_str(), said["how"].as_str()),
        (Some("801"), Some("command"))
    );
    rig.pass(5_000);
    assert_eq!(rig.resumes("801", call), Ok(CommandReply::Done));
    assert!(rig.plays(caller).is_none() && rig.plays(seat).is_none());
    assert_eq!(
        (rig.hears(caller), rig.hears(seat)),
        (vec![seat], vec![caller])
    );
    assert_eq!(rig.event("call.resumed")["held_ms"], 5_000);
    assert_eq!(rig.state(call), Some(CallState::Talking));
}

#[test]
fn hold_by_the_seats_phone_is_the_same_state_and_only_the_phone_takes_it_back() {
    let (mut rig, call, caller, seat) = talk();
    rig.leg(seat, LegEvent::FarHold { held: true });
    assert_eq!(rig.hold_of(call).unwrap().by, "phone");
    assert!(rig.hears(caller).is_empty());
    assert_eq!(rig.event("call.held")["how"], "phone");
    refused(&rig.resumes("801", call), "take it back there");
    rig.leg(seat, LegEvent::FarHold { held: false });
    assert_eq!(rig.event("call.resumed")["why"], "phone");
    assert_eq!(rig.hears(caller), [seat]);
    // A command on top of the phone's hold outlasts it.
    rig.leg(seat, LegEvent::FarHold { held: true });
    assert!(rig.holds("801", call).is_ok());
    rig.leg(seat, LegEvent::FarHold { held: false });
    assert_eq!(rig.said(caller), ["Music"]);
    assert!(rig.resumes("801", call).is_ok());
    assert_eq!(rig.count("call.held"), 2);
    assert_eq!(rig.count("call.resumed"), 2);
}

#[test]
fn seat_talks_with_a_third_party_while_its_caller_is_on_hold() {
    let (mut rig, call, caller, seat) = held();
    let doctor = rig.adds(call, "801", "doctor");
    rig.rings(doctor);
    assert_eq!(rig.said(seat), ["RingBack"]);
    rig.picks_up(doctor);
    assert!(rig.plays(seat).is_none());
    assert_eq!(
        (rig.hears(seat), rig.hears(doctor)),
        (vec![doctor], vec![seat])
    );
    assert!(rig.hears(caller).is_empty());
    assert_eq!(rig.said(caller), ["Music"]);
    assert!(rig.resumes("801", call).is_ok());
    assert_eq!(rig.matrix(), Matrix::everyone(&[caller, seat, doctor]));
}

#[test]
fn seat_that_leaves_gives_a_caller_on_hold_to_the_third_party() {
    let (mut rig, call, caller, seat) = held();
    let doctor = rig.adds(call, "801", "doctor");
    rig.picks_up(doctor);
    rig.hangs_up(seat);
    assert_eq!(rig.hears(caller), [doctor]);
    assert!(rig.plays(caller).is_none());
    assert_eq!(rig.event("call.resumed")["why"], "seat_left");
    assert!(rig.hold_of(call).is_none());
}

#[test]
fn seat_that_hangs_up_on_a_caller_on_hold_gets_him_back_from_the_queues_head() {
    let (mut rig, call, caller, seat) = held();
    rig.hangs_up(seat);
    assert_eq!(rig.released(caller), None);
    assert_eq!(rig.switch.position(call), Some(0));
    assert_eq!(rig.event("queue.entered")["again"], true);
    assert!(rig.plays(caller).is_some(), "never silence");
    rig.pass(15_000);
    let again = rig.rung_seat("801").unwrap();
    assert_ne!(again, seat);
    rig.picks_up(again);
    assert_eq!(rig.hears(caller), [again]);
}

#[test]
fn lost_line_while_on_hold_requeues_with_the_line_fault_prompt() {
    let (mut rig, call, caller, seat) = held();
    rig.is_lost(seat);
    assert_eq!(rig.said(caller), ["line_fault_caller"]);
    assert_eq!(rig.switch.position(call), Some(0));
    rig.pass(120_000);
    assert_eq!(rig.count("alert.hold_exceeded"), 0);
}

#[test]
fn forgotten_hold_is_told_each_minute_with_a_tone_for_the_seat_and_an_alarm_until_it_ends() {
    let (mut rig, call, _, seat) = held();
    rig.pass(59_000);
    assert_eq!(rig.count("alert.hold_exceeded"), 0);
    rig.pass(1_000);
    assert_eq!(rig.said(seat), ["Entry", "Silence(1000)"]);
    assert_eq!(rig.event("alert.hold_exceeded")["seat"], "801");
    assert!(rig.has_alarm(AlarmCode::HoldForgotten, &call.to_string()));
    assert!(rig.hold_of(call).unwrap().reminded);
    rig.pass(120_000);
    assert_eq!(rig.count("alert.hold_exceeded"), 3);
    assert_eq!(rig.event("alert.hold_exceeded")["held_ms"], 180_000);
    assert!(rig.resumes("801", call).is_ok());
    assert!(!rig.has_alarm(AlarmCode::HoldForgotten, &call.to_string()));
    rig.pass(120_000);
    assert_eq!(rig.count("alert.hold_exceeded"), 3);
}

#[test]
fn caller_who_hangs_up_on_hold_ends_his_call_and_its_alarm() {
    let (mut rig, call, caller, seat) = held();
    rig.pass(60_000);
    rig.hangs_up(caller);
    assert_eq!(rig.released(seat), Some(Cause::Normal));
    assert_eq!(rig.event("call.ended")["outcome"], "answered");
    assert!(!rig.has_alarm(AlarmCode::HoldForgotten, &call.to_string()));
    rig.pass(120_000);
    assert_eq!(rig.count("alert.hold_exceeded"), 1);
}

#[test]
fn hold_is_refused_with_what_is_so() {
    let (mut rig, call, _, _) = talk();
    refused(&rig.resumes("801", call), "not on hold");
    assert!(rig.holds("801", call).is_ok());
    refused(&rig.holds("801", call), "on hold already");
    let (waiting, _) = rig.arrives();
    let by = Actor::Supervisor(SeatId::from("901"));
    refused(
        &rig.command(by, Command::Hold { call: waiting }),
        "only a talking call",
    );
    let other = rig.holds("802", call);
    assert!(
        matches!(other, Err(CommandError::NotAllowed { .. })),
        "{other:?}"
    );
    let unknown = CallId(rig.id());
    let other = rig.holds("801", unknown);
    assert!(
        matches!(other, Err(CommandError::Unknown { .. })),
        "{other:?}"
    );
}

#[test]
fn a_join_takes_everybody_off_hold() {
    let (mut rig, call, caller, _) = held();
    let (guest, _) = rig.arrives();
    let by = Actor::Seat(SeatId::from("801"));
    assert!(rig.command(by, Command::Join { call, with: guest }).is_ok());
    assert_eq!(rig.event("call.resumed")["why"], "joined");
    assert!(rig.plays(caller).is_none());
}

#[test]
fn after_a_kill_a_caller_on_hold_is_settled_like_any_other() {
    let (mut rig, call, _, _) = held();
    rig.pass(60_000);
    rig.input(InputKind::Started {
        seed: 9,
        build: String::from("next"),
        policy: Box::new(policy()),
    });
    assert_eq!(rig.event("callback.due")["reason"], "interrupted");
    assert!(!rig.has_alarm(AlarmCode::HoldForgotten, &call.to_string()));
    rig.pass(120_000);
    assert_eq!(rig.count("alert.hold_exceeded"), 1);
}
