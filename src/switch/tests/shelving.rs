use super::*;

/// Seat 801 has put its caller aside: call, caller's leg, seat's leg.
fn shelved() -> (Rig, CallId, LegId, LegId) {
    let mut rig = Rig::new();
    let (call, caller, seat) = rig.talk("801");
    assert_eq!(rig.shelves("801", call), Ok(CommandReply::Done));
    (rig, call, caller, seat)
}

/// And has taken another caller since.
fn shelved_and_busy() -> (Rig, CallId, LegId) {
    let (mut rig, call, caller, _) = shelved();
    let (other, other_caller) = rig.arrives();
    rig.acks(other_caller);
    let leg = rig.rung_seat("801").unwrap();
    rig.picks_up(leg);
    assert_eq!(rig.state(other), Some(CallState::Talking));
    (rig, call, caller)
}

impl Rig {
    fn shelves(&mut self, seat: &str, call: CallId) -> Result<CommandReply, CommandError> {
        self.command(Actor::Seat(SeatId::from(seat)), Command::Shelve { call })
    }

    fn takes_back(
        &mut self,
        by: Actor,
        call: CallId,
        seat: &str,
    ) -> Result<CommandReply, CommandError> {
        let seat = SeatId::from(seat);
        self.command(by, Command::Unshelve { call, seat })
    }

    fn presses(&mut self, leg: LegId, digit: char) {
        let duration_ms = 120;
        let event = MediaEvent::Digit { digit, duration_ms };
        self.input(InputKind::Media { leg, event });
    }
}

#[track_caller]
fn refused(reply: &Result<CommandReply, CommandError>, hint: &str) {
    let fits =
        matches!(reply, Err(CommandError::WrongState { hint: why, .. }) if why.contains(hint));
    assert!(fits, "{reply:?}");
}

#[test]
fn caller_put_aside_hears_the_prompt_and_music_stands_in_no_queue_and_his_seat_is_free_at_once() {
    let (mut rig, call, caller, seat) = shelved();
    assert_eq!(rig.said(caller), ["shelved"]);
    assert_eq!(rig.state(call), Some(CallState::Shelved));
    assert_eq!(rig.switch.position(call), None);
    assert_eq!(rig.released(seat), Some(Cause::SeatReleased));
    assert_eq!(rig.seat("801").0, SeatState::Ready);
    assert!(rig.hears(caller).is_empty());
    let said = rig.event("call.shelved");
    assert_eq!(said["seat"], "801");
    rig.prompt_ends(caller);
    assert_eq!(rig.said(caller), ["Music"]);
    let (other, _) = rig.arrives();
    let rung = rig.rung_seat("801").unwrap();
    assert_eq!(rig.switch.legs[&rung], other);
}

#[test]
fn his_key_1_makes_him_the_next_in_the_queue_and_another_key_does_nothing() {
    let (mut rig, call, caller) = shelved_and_busy();
    let (first, _) = rig.arrives();
    rig.presses(caller, '2');
    assert_eq!(rig.state(call), Some(CallState::Shelved));
    rig.presses(caller, '1');
    assert_eq!(rig.event("call.unshelved")["why"], "key");
    assert_eq!(rig.event("queue.entered")["again"], true);
    assert_eq!(
        (rig.switch.position(call), rig.switch.position(first)),
        (Some(0), Some(1))
    );
    assert!(rig.plays(caller).is_some(), "never silence");
    rig.registers("802");
    let rung = rig.rung_seat("802").unwrap();
    assert_eq!(rig.switch.legs[&rung], call);
}

#[test]
fn after_the_longest_stay_he_is_the_next_in_the_queue() {
    let (mut rig, call, caller) = shelved_and_busy();
    rig.pass(241_000);
    assert_eq!(rig.count("alert.shelf_exceeded"), 4);
    assert_eq!(rig.said(caller), ["shelved"], "he hears it each minute");
    rig.pass(58_000);
    assert_eq!(rig.state(call), Some(CallState::Shelved));
    rig.pass(1_000);
    assert_eq!(rig.event("call.unshelved")["why"], "time_up");
    assert_eq!(rig.event("call.unshelved")["shelved_ms"], 300_000);
    assert_eq!(rig.switch.position(call), Some(0));
}

#[test]
fn he_comes_back_by_himself_when_a_seat_has_nothing_to_do_and_nobody_waits() {
    let (mut rig, call, caller) = shelved_and_busy();
    rig.pass(30_000);
    let (waiting, waiting_leg) = rig.arrives();
    rig.acks(waiting_leg);
    rig.registers("802");
    let rung = rig.rung_seat("802").unwrap();
    assert_eq!(rig.switch.legs[&rung], waiting, "who waits comes first");
    rig.picks_up(rung);
    rig.registers("803");
    rig.pass(9_000);
    assert_eq!(rig.state(call), Some(CallState::Shelved));
    rig.pass(1_000);
    assert_eq!(rig.event("call.unshelved")["why"], "idle");
    let rung = rig.rung_seat("803").unwrap();
    assert_eq!(rig.switch.legs[&rung], call);
    assert_eq!(rig.said(caller), ["RingBack"]);
    rig.picks_up(rung);
    assert_eq!(rig.hears(caller), [rung]);
    assert_eq!(rig.state(call), Some(CallState::Talking));
}

#[test]
fn seat_takes_its_caller_back_and_its_own_phone_rings_also_after_call_work() {
    let (mut rig, call, caller, _) = shelved();
    rig.registers("802");
    let own = Actor::Seat(SeatId::from("801"));
    assert_eq!(rig.takes_back(own, call, "801"), Ok(CommandReply::Done));
    let rung = rig.rung_seat("801").unwrap();
    assert_eq!(rig.switch.legs[&rung], call);
    assert_eq!(rig.event("offer.decided")["rule"], "asked");
    assert!(rig.rung_seat("802").is_none(), "nobody else rings");
    assert_eq!(rig.said(caller), ["RingBack"]);
    rig.rings(rung);
    rig.picks_up(rung);
    assert_eq!(rig.hears(caller), [rung]);
}

#[test]
fn caller_who_was_to_be_taken_back_and_was_not_is_offered_to_all() {
    let (mut rig, call, _, _) = shelved();
    let by = Actor::Supervisor(SeatId::from("901"));
    rig.registers("802");
    assert!(rig.takes_back(by, call, "802").is_ok());
    let rung = rig.rung_seat("802").unwrap();
    rig.rings(rung);
    rig.pass(8_000);
    assert_eq!(rig.released(rung), Some(Cause::NoAnswer));
    let next = rig.rung_seat("801").unwrap();
    assert_eq!(rig.switch.legs[&next], call);
}

#[test]
fn caller_who_hangs_up_on_the_shelf_is_called_back() {
    let (mut rig, call, caller, _) = shelved();
    rig.hangs_up(caller);
    assert_eq!(rig.event("callback.due")["reason"], "shelved");
    assert_eq!(rig.event("call.ended")["outcome"], "answered");
    assert_eq!(rig.state(call), Some(CallState::Closing));
    rig.pass(400_000);
    assert_eq!(rig.count("alert.shelf_exceeded"), 0);
    assert_eq!(rig.count("call.unshelved"), 0);
}

#[test]
fn what_a_seat_that_signs_out_put_aside_is_anybodys() {
    let (mut rig, call, _, _) = shelved();
    rig.link("801", SeatLink::Unregistered);
    assert_eq!(rig.event("call.shelf_handed_over")["from"], "801");
    let view = rig.switch.view();
    assert_eq!(view.calls[0].seat, None);
    rig.registers("802");
    let other = Actor::Seat(SeatId::from("802"));
    assert!(rig.takes_back(other, call, "802").is_ok());
    let rung = rig.rung_seat("802").unwrap();
    assert_eq!(rig.switch.legs[&rung], call);
}

#[test]
fn shelf_is_refused_with_what_is_so() {
    let mut rig = Rig::new();
    let (call, _, _) = rig.talk("801");
    let third = rig.adds(call, "801", "doctor");
    refused(&rig.shelves("801", call), "third party");
    rig.fails(third, Cause::Busy);
    let own = Actor::Seat(SeatId::from("801"));
    refused(
        &rig.takes_back(own.clone(), call, "801"),
        "not on the shelf",
    );
    assert!(rig.shelves("801", call).is_ok());
    refused(&rig.shelves("801", call), "a seat talks in");
    let hang_up = rig.command(own, Command::HangUp { call });
    refused(&hang_up, "never ended");
    rig.registers("802");
    let other = rig.takes_back(Actor::Seat(SeatId::from("802")), call, "802");
    assert!(
        matches!(other, Err(CommandError::NotAllowed { .. })),
        "{other:?}"
    );
    let by = Actor::Supervisor(SeatId::from("901"));
    refused(&rig.takes_back(by, call, "803"), "make it ready");
    let unknown = CallId(rig.id());
    let other = rig.shelves("801", unknown);
    assert!(
        matches!(other, Err(CommandError::Unknown { .. })),
        "{other:?}"
    );
}

#[test]
fn caller_on_hold_is_put_aside_too() {
    let mut rig = Rig::new();
    let (call, caller, _) = rig.talk("801");
    let by = Actor::Seat(SeatId::from("801"));
    assert!(rig.command(by, Command::Hold { call }).is_ok());
    assert!(rig.shelves("801", call).is_ok());
    assert_eq!(rig.event("call.resumed")["why"], "shelved");
    assert_eq!(rig.said(caller), ["shelved"]);
}

#[test]
fn after_a_kill_a_caller_put_aside_is_settled_and_called_back() {
    let (mut rig, _, _, _) = shelved();
    rig.input(InputKind::Started {
        seed: 9,
        build: String::from("next"),
        policy: Box::new(policy()),
    });
    assert_eq!(rig.event("callback.due")["reason"], "interrupted");
    rig.pass(400_000);
    assert_eq!(rig.count("call.unshelved"), 0);
}
