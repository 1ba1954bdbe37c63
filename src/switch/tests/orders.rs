use super::*;

fn boss() -> Actor {
    Actor::Supervisor(SeatId::from("901"))
}

fn refused(reply: Result<CommandReply, CommandError>) -> String {
    match reply {
        Err(error @ CommandError::WrongState { .. }) => error.to_string(),
        other => panic!("{other:?}"),
    }
}

/// A seat 801 that talks, and calls that wait behind it.
fn with_waiting(n: usize) -> (Rig, Vec<CallId>) {
    let mut rig = Rig::with(two_queues());
    rig.talk("801");
    let calls = (0..n)
        .map(|_| {
            rig.pass(1_000);
            rig.arrives().0
        })
        .collect();
    (rig, calls)
}

fn two_queues() -> Policy {
    let mut policy = policy();
    let queue = QueueId::from("child");
    policy.queues.insert(queue.clone(), QueuePolicy::PLAIN);
    let own = policy.seats.get_mut(&SeatId::from("803")).expect("a seat");
    own.queues = vec![queue];
    policy
}

#[test]
fn waiting_call_given_to_a_seat_rings_there_and_keeps_its_place_when_nobody_answers() {
    let (mut rig, calls) = with_waiting(2);
    rig.registers("803");
    assert!(rig.rung_seat("803").is_none(), "it serves another queue");
    let to = Destination::Seat(SeatId::from("803"));
    let call = calls[1];
    let order = Command::Reassign { call, to };
    assert_eq!(rig.command(boss(), order.clone()), Ok(CommandReply::Done));
    let leg = rig.rung_seat("803").expect("it rings");
    assert_eq!(rig.event("offer.decided")["rule"], "ordered");
    let again = refused(rig.command(boss(), order));
    assert!(again.contains("already"), "{again}");
    rig.rings(leg);
    rig.pass(8_000);
    assert_eq!(rig.released(leg), Some(Cause::NoAnswer));
    assert_eq!(rig.switch.waiting_order(), calls);
}

#[test]
fn seat_that_is_not_free_is_given_no_call() {
    let (mut rig, calls) = with_waiting(1);
    for seat in ["801", "802"] {
        let to = Destination::Seat(SeatId::from(seat));
        let reply = rig.command(boss(), Command::Reassign { call: calls[0], to });
        assert!(refused(reply).contains("choose a free one"), "{seat}");
    }
}

#[test]
fn waiting_call_sent_to_another_queue_keeps_its_time_and_rings_that_queues_seat() {
    let (mut rig, calls) = with_waiting(1);
    rig.registers("803");
    let to = Destination::Queue(QueueId::from("child"));
    let order = Command::Reassign { call: calls[0], to };
    assert_eq!(rig.command(boss(), order.clone()), Ok(CommandReply::Done));
    assert_eq!(rig.event("queue.moved")["to"], "child");
    assert!(rig.rung_seat("803").is_some());
    assert!(refused(rig.command(boss(), order)).contains("already"));
    let to = Destination::Queue(QueueId::from("nowhere"));
    let reply = rig.command(boss(), Command::Reassign { call: calls[0], to });
    assert!(matches!(reply, Err(CommandError::Unknown { .. })));
}

#[test]
fn priority_in_seconds_moves_a_waiting_call_and_is_taken_back() {
    let (mut rig, calls) = with_waiting(3);
    let order = |rig: &mut Rig, ahead_s| {
        let (call, ahead) = (calls[2], Millis::from_secs(ahead_s));
        rig.command(boss(), Command::Prioritise { call, ahead })
    };
    assert!(order(&mut rig, 60).is_ok());
    assert_eq!(rig.switch.waiting_order(), [calls[2], calls[0], calls[1]]);
    assert_eq!(rig.event("queue.priority")["ahead_ms"], 60_000);
    assert!(refused(order(&mut rig, 60)).contains("already"));
    assert!(matches!(
        order(&mut rig, 3_601),
        Err(CommandError::BadField { .. })
    ));
    assert!(order(&mut rig, 0).is_ok());
    assert_eq!(rig.switch.waiting_order(), calls);
}

#[test]
fn only_a_supervisor_orders_the_list_and_only_about_calls_that_wait() {
    let (mut rig, calls) = with_waiting(1);
    let ahead = Millis::from_secs(1);
    let by = Actor::Seat(SeatId::from("801"));
    let call = calls[0];
    let reply = rig.command(by, Command::Prioritise { call, ahead });
    assert!(matches!(reply, Err(CommandError::NotAllowed { .. })));
    let view = rig.switch.view();
    let talk = view.calls.iter().find(|c| c.answered_at.is_some());
    let call = talk.expect("a talk").call;
    let reply = rig.command(boss(), Command::Prioritise { call, ahead });
    assert!(refused(reply).contains("only a waiting call"));
    let call = CallId(rig.id());
    let reply = rig.command(boss(), Command::Prioritise { call, ahead });
    assert!(matches!(reply, Err(CommandError::Unknown { .. })));
}

fn asked() -> (Rig, CallId, LegId) {
    let mut policy = policy();
    let role = policy.seats[&SeatId::from("901")].clone();
    policy.seats.insert(SeatId::from("902"), role);
    let mut rig = Rig::with(policy);
    let (call, _, seat) = rig.talk("801");
    rig.registers("901");
    rig.registers("902");
    let by = Actor::Seat(SeatId::from("801"));
    let request = Command::RequestAssist { call };
    assert_eq!(
        rig.command(by.clone(), request.clone()),
        Ok(CommandReply::Done)
    );
    assert!(refused(rig.command(by, request)).contains("already"));
    (rig, call, seat)
}

fn accepts(rig: &mut Rig, call: CallId, seat: &str) -> Result<CommandReply, CommandError> {
    let (seat, mode) = (SeatId::from(seat), Mode::Barge);
    let by = Actor::Supervisor(seat.clone());
    rig.command(by, Command::AcceptAssist { call, seat, mode })
}

fn asks(rig: &Rig, call: CallId) -> Option<AssistView> {
    let view = rig.switch.view();
    let found = view.calls.iter().find(|c| c.call == call);
    found.and_then(|c| c.assist.clone())
}

#[test]
fn seat_asks_for_help_and_the_first_supervisor_comes_the_second_is_told_who() {
    let (mut rig, call, seat) = asked();
    let Ok(CommandReply::Leg { leg }) = accepts(&mut rig, call, "902") else {
        panic!("refused");
    };
    assert!(refused(accepts(&mut rig, call, "901")).contains("supervisor 902 has accepted"));
    assert!(asks(&rig, call).is_some_and(|a| a.taken.is_some()));
    rig.picks_up(leg);
    assert_eq!(rig.event("assist.answered")["by"], "902");
    assert!(rig.hears(seat).contains(&leg));
    assert!(asks(&rig, call).is_none());
    assert!(refused(accepts(&mut rig, call, "901")).contains("asked for any more"));
}

#[test]
fn request_stands_again_when_the_supervisor_does_not_pick_up() {
    let (mut rig, call, _) = asked();
    assert!(accepts(&mut rig, call, "902").is_ok());
    rig.pass(8_000);
    assert_eq!(rig.count("assist.requested"), 2);
    assert!(asks(&rig, call).is_some_and(|a| a.taken.is_none()));
    assert!(accepts(&mut rig, call, "901").is_ok());
}

#[test]
fn request_ends_with_the_seats_part_in_the_call_or_by_its_own_key() {
    let (mut rig, _, seat) = asked();
    rig.hangs_up(seat);
    assert_eq!(rig.count("assist.ended"), 1);
    let (mut rig, call, _) = asked();
    let by = Actor::Seat(SeatId::from("801"));
    let cancel = Command::CancelAssist { call };
    assert!(rig.command(by.clone(), cancel.clone()).is_ok());
    assert!(asks(&rig, call).is_none());
    assert!(refused(rig.command(by, cancel)).contains("any more"));
}

#[test]
fn talking_seat_that_signs_out_leaves_after_its_call_and_stays_out_while_its_phone_refreshes() {
    let mut rig = Rig::new();
    let (_, caller, _) = rig.talk("801");
    let seat = SeatId::from("801");
    let out = Command::SignOut { seat: seat.clone() };
    assert_eq!(rig.command(boss(), out.clone()), Ok(CommandReply::Done));
    assert_eq!(rig.seat("801").0, SeatState::Talking);
    assert!(refused(rig.command(boss(), out.clone())).contains("out already"));
    rig.hangs_up(caller);
    assert_eq!(rig.seat("801").0, SeatState::SignedOut);
    rig.registers("801");
    rig.link("801", SeatLink::Reachable { reachable: true });
    assert_eq!(rig.seat("801").0, SeatState::SignedOut, "a refresh");
    rig.arrives();
    assert!(refused(rig.command(boss(), out)).contains("signed_out"));
    let ready = Command::SeatReady { seat: seat.clone() };
    assert!(rig.command(Actor::Seat(seat), ready).is_ok());
    assert_eq!(rig.seat("801").0, SeatState::Reserved);
}

#[test]
fn seat_that_signed_out_is_in_again_when_its_phone_registers_anew() {
    let mut rig = Rig::new();
    rig.registers("801");
    let seat = SeatId::from("801");
    let by = Actor::Seat(seat.clone());
    assert!(
        rig.command(by.clone(), Command::SignOut { seat: seat.clone() })
            .is_ok()
    );
    rig.link("801", SeatLink::Unregistered);
    let reply = rig.command(by, Command::SeatReady { seat });
    assert!(
        matches!(reply, Err(CommandError::WrongState { .. })),
        "no phone"
    );
    rig.registers("801");
    assert_eq!(rig.seat("801").0, SeatState::Ready);
}
