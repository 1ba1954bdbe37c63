use super::*;
use crate::call::{TransferKind, TransferTo};
use crate::id::DestinationId;

fn by(seat: &str) -> Actor {
    Actor::Seat(SeatId::from(seat))
}

#[test]
fn hang_up_ends_every_leg() {
    let mut rig = Rig::new();
    let (call, caller, seat) = rig.talk("801");
    let third = rig.adds(call, "801", "doctor");
    rig.picks_up(third);
    rig.command(by("801"), Command::HangUp { call }).unwrap();
    for leg in [caller, seat, third] {
        assert_eq!(rig.released(leg), Some(Cause::SeatReleased));
    }
    assert_eq!(rig.event("call.ended")["by"], "seat");
    let names = rig.names();
    let given = names.iter().position(|n| n == "command.given");
    let ended = names.iter().position(|n| n == "call.ended");
    assert!(given < ended, "who commanded it comes first");
}

#[test]
fn waiting_caller_cannot_be_hung_up_by_anybody() {
    let mut rig = Rig::new();
    let (call, caller) = rig.arrives();
    let reply = rig.command(Actor::User(String::from("admin")), Command::HangUp { call });
    assert!(matches!(reply, Err(CommandError::WrongState { .. })));
    assert_eq!(rig.released(caller), None);
}

#[test]
fn seat_may_not_hang_up_another_seats_call_but_a_supervisor_may() {
    let mut rig = Rig::new();
    let (call, _, _) = rig.talk("801");
    let reply = rig.command(by("802"), Command::HangUp { call });
    assert!(matches!(reply, Err(CommandError::NotAllowed { .. })));
    let supervisor = Actor::Supervisor(SeatId::from("901"));
    rig.command(supervisor, Command::HangUp { call }).unwrap();
    assert_eq!(rig.count("call.ended"), 1);
}

#[test]
fn commands_on_unknown_things_say_so_and_change_nothing() {
    let mut rig = Rig::new();
    let call = CallId(rig.id());
    let leg = LegId(rig.id());
    let seat = SeatId::from("777");
    let admin = Actor::User(String::from("admin"));
    let hash = rig.switch.state_hash();
    for command in [
        Command::HangUp { call },
        Command::RemoveParty { call, leg },
        Command::AddParty {
            call,
            number: String::from("110"),
            role: String::from("110"),
        },
        Command::SeatReady { seat: seat.clone() },
        Command::Listen {
            call,
            seat,
            mode: Mode::Listen,
        },
        Command::CloseCallBack {
            call_back: CallBackId(rig.id()),
            outcome: String::from("reached"),
        },
        Command::Dispatch {
            call,
            report: DispatchReport::Cancelled {
                order_id: String::from("1"),
                reason: String::from("false alarm"),
            },
        },
    ] {
        let reply = rig.command(admin.clone(), command.clone());
        assert!(
            matches!(reply, Err(CommandError::Unknown { .. })),
            "{command:?} gave {reply:?}"
        );
    }
    assert_eq!(rig.switch.state_hash(), hash);
    assert!(rig.events.is_empty());
}

#[test]
fn bad_numbers_and_roles_are_refused_by_field() {
    let mut rig = Rig::new();
    let (call, _, _) = rig.talk("801");
    let mut field = |number: &str, role: &str| {
        let reply = rig.command(
            by("801"),
            Command::AddParty {
                call,
                number: number.to_owned(),
                role: role.to_owned(),
            },
        );
        match reply {
            Err(CommandError::BadField { field, .. }) => field,
            other => panic!("{number} {role} gave {other:?}"),
        }
    };
    for number in ["", "+", "12a", "sip:x@y", &"1".repeat(33)] {
        assert_eq!(field(number, "doctor"), "number");
    }
    for role in ["", "a b", "../x", "caller"] {
        assert_eq!(field("110", role), "role");
    }
}

#[test]
fn full_call_takes_no_further_party() {
    let mut rig = Rig::new();
    let (call, _, _) = rig.talk("801");
    for _ in 0..14 {
        rig.adds(call, "801", "crew");
    }
    let reply = rig.command(
        by("801"),
        Command::AddParty {
            call,
            number: String::from("110"),
            role: String::from("crew"),
        },
    );
    assert!(matches!(reply, Err(CommandError::WrongState { .. })));
}

#[test]
fn caller_and_seat_cannot_be_removed_as_parties() {
    let mut rig = Rig::new();
    let (call, caller, seat) = rig.talk("801");
    for leg in [caller, seat] {
        let reply = rig.command(by("801"), Command::RemoveParty { call, leg });
        assert!(matches!(reply, Err(CommandError::Unknown { .. })));
    }
}

#[test]
fn dispatch_module_must_say_why_it_reassigns_or_cancels() {
    let mut rig = Rig::new();
    let (call, _, _) = rig.talk("801");
    let module = Actor::Module(DestinationId::from("dispatch"));
    let order_id = String::from("7");
    for report in [
        DispatchReport::Reassigned {
            order_id: order_id.clone(),
            vehicle: String::from("A2"),
            reason: String::from(" "),
        },
        DispatchReport::Cancelled {
            order_id: order_id.clone(),
            reason: String::new(),
        },
    ] {
        let reply = rig.command(module.clone(), Command::Dispatch { call, report });
        assert!(
            matches!(&reply, Err(CommandError::BadField { field, .. }) if field == "reason"),
            "{reply:?}"
        );
    }
    let report = DispatchReport::OrderIssued {
        order_id,
        station: None,
        vehicle: String::from("A1"),
    };
    rig.command(module, Command::Dispatch { call, report })
        .unwrap();
    assert_eq!(rig.count("dispatch.reported"), 1);
}

#[test]
fn module_reports_and_acknowledges_also_long_after_the_call() {
    let mut rig = Rig::new();
    let (call, caller, _) = rig.talk("801");
    rig.hangs_up(caller);
    rig.seals(call);
    rig.pass(600_000);
    let module = Actor::Module(DestinationId::from("dispatch"));
    rig.command(
        module.clone(),
        Command::Acknowledge {
            call,
            destination: DestinationId::from("dispatch"),
            incident_id: Some(String::from("I-1")),
        },
    )
    .unwrap();
    let report = DispatchReport::Cancelled {
        order_id: String::from("7"),
        reason: String::from("walked in"),
    };
    rig.command(module, Command::Dispatch { call, report })
        .unwrap();
    assert_eq!(rig.count("call.acknowledged"), 1);
    assert_eq!(rig.count("dispatch.reported"), 1);
}

#[test]
fn acknowledged_incident_id_is_shown_on_the_call() {
    let mut rig = Rig::new();
    let (call, _, _) = rig.talk("801");
    let dispatch = DestinationId::from("dispatch");
    let acknowledge = |destination: &str| Command::Acknowledge {
        call,
        destination: DestinationId::from(destination),
        incident_id: Some(String::from("I-1")),
    };
    let module = Actor::Module(dispatch);
    let reply = rig.command(module.clone(), acknowledge("emr"));
    assert!(matches!(reply, Err(CommandError::NotAllowed { .. })));
    rig.command(module, acknowledge("dispatch")).unwrap();
    assert_eq!(
        rig.switch.view().calls[0].incident_id.as_deref(),
        Some("I-1")
    );
}

#[test]
fn call_back_is_closed_by_a_named_person_with_an_outcome() {
    let mut rig = Rig::new();
    let (_, leg) = rig.arrives();
    rig.hangs_up(leg);
    let call_back = rig.switch.view().call_backs[0].call_back;
    let close = |outcome: &str| Command::CloseCallBack {
        call_back,
        outcome: outcome.to_owned(),
    };
    let reply = rig.command(by("801"), close(" "));
    assert!(matches!(reply, Err(CommandError::BadField { .. })));
    let module = Actor::Module(DestinationId::from("dispatch"));
    let reply = rig.command(module, close("reached"));
    assert!(matches!(reply, Err(CommandError::NotAllowed { .. })));
    rig.command(by("801"), close("reached")).unwrap();
    assert_eq!(rig.event("callback.closed")["outcome"], "reached");
    let reply = rig.command(by("801"), close("reached"));
    assert!(matches!(reply, Err(CommandError::Unknown { .. })));
    assert!(rig.switch.view().call_backs.is_empty());
}

#[test]
fn seat_commands_itself_only() {
    let mut rig = Rig::new();
    rig.registers("801");
    let command = Command::SeatNotReady {
        seat: SeatId::from("801"),
        reason: String::from("离席"),
    };
    let reply = rig.command(by("802"), command.clone());
    assert!(matches!(reply, Err(CommandError::NotAllowed { .. })));
    rig.command(Actor::Supervisor(SeatId::from("901")), command)
        .unwrap();
    let reply = rig.command(
        by("801"),
        Command::SeatNotReady {
            seat: SeatId::from("801"),
            reason: String::new(),
        },
    );
    assert!(matches!(reply, Err(CommandError::BadField { .. })));
}

#[test]
fn seat_without_a_phone_cannot_be_ready() {
    let mut rig = Rig::new();
    let seat = SeatId::from("801");
    let reply = rig.command(by("801"), Command::SeatReady { seat });
    assert!(matches!(reply, Err(CommandError::WrongState { .. })));
}

#[test]
fn planted_panic_is_refused_unless_faults_are_admitted() {
    let mut rig = Rig::new();
    let (call, _, _) = rig.talk("801");
    let plant = Command::PlantPanic { call };
    let reply = rig.command(by("801"), plant.clone());
    assert!(matches!(reply, Err(CommandError::NotAllowed { .. })));
    let mut policy = policy();
    policy.allow_faults = true;
    rig.input(InputKind::PolicyChanged {
        policy: Box::new(policy),
    });
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        rig.command(by("801"), plant)
    }));
    assert!(panicked.is_err());
}

/// Every command that needs an open call.
fn commands_on(call: CallId, open: CallId, leg: LegId) -> Vec<Command> {
    let seat = SeatId::from("901");
    vec![
        Command::HangUp { call },
        Command::AddParty {
            call,
            number: String::from("110"),
            role: String::from("110"),
        },
        Command::RemoveParty { call, leg },
        Command::Join { call, with: open },
        Command::Join {
            call: open,
            with: call,
        },
        Command::Listen {
            call,
            seat: seat.clone(),
            mode: Mode::Listen,
        },
        Command::StopListening {
            call,
            seat: seat.clone(),
        },
        Command::Hold { call },
        Command::Resume { call },
        Command::Shelve { call },
        Command::Unshelve {
            call,
            seat: SeatId::from("801"),
        },
        Command::AskSilent { call },
        Command::Transfer {
            call,
            to: TransferTo::Number(String::from("110")),
            kind: TransferKind::Blind,
        },
        Command::CompleteTransfer { call },
        Command::CancelTransfer { call },
        Command::GiveAdvice { call, on: true },
        Command::RequestAssist { call },
        Command::CancelAssist { call },
        Command::AcceptAssist {
            call,
            seat: seat.clone(),
            mode: Mode::Listen,
        },
        Command::Reassign {
            call,
            to: Destination::Seat(seat),
        },
        Command::Prioritise {
            call,
            ahead: Millis(60_000),
        },
    ]
}

#[test]
fn each_command_on_an_ended_call_is_told_how_it_ended_and_on_no_call_that_there_is_none() {
    let mut rig = Rig::new();
    rig.registers("901");
    let (open, _, leg) = rig.talk("801");
    let (call, _, second) = rig.talk("802");
    rig.pass(5_000);
    let at = rig.now;
    rig.hangs_up(second);
    let by = Actor::Supervisor(SeatId::from("901"));
    for settled in [false, true] {
        if settled {
            rig.seals(call);
        }
        for command in commands_on(call, open, leg) {
            let Err(CommandError::Ended {
                call: of,
                end: Some(end),
            }) = rig.command(by.clone(), command.clone())
            else {
                panic!("{command:?} is not told that the call has ended");
            };
            assert_eq!((of, end.at), (call, at));
            assert_eq!((end.outcome, end.by.as_str()), (Outcome::Answered, "seat"));
            let said = CommandError::Ended {
                call,
                end: Some(end),
            };
            let words = format!("at {} (answered; by the seat)", at.rfc3339());
            assert!(said.to_string().ends_with(&words), "{said}");
        }
    }
    let nowhere = CallId(rig.id());
    for command in commands_on(nowhere, open, leg) {
        let reply = rig.command(by.clone(), command.clone());
        assert!(
            matches!(reply, Err(CommandError::Unknown { .. })),
            "{command:?} gave {reply:?}"
        );
    }
}

#[test]
fn the_second_of_two_supervisors_is_told_what_the_first_has_done() {
    let mut rig = Rig::new();
    let (host, _, _) = rig.talk("801");
    let (other, _, _) = rig.talk("802");
    let (guest, _) = rig.arrives();
    let user = |name: &str| Actor::User(String::from(name));
    let join = |call, with| Command::Join { call, with };
    rig.command(user("wang"), join(host, guest)).unwrap();
    let reply = rig.command(user("li"), join(other, guest));
    let Err(CommandError::WrongState { hint, .. }) = reply else {
        panic!("{reply:?}");
    };
    assert_eq!(hint, format!("it is joined to call {host} already"));
    rig.command(user("wang"), Command::HangUp { call: other })
        .unwrap();
    let reply = rig.command(user("li"), Command::HangUp { call: other });
    assert!(matches!(
        reply,
        Err(CommandError::Ended { end: Some(_), .. })
    ));
}
