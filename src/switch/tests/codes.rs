use super::*;
use crate::call::LegEvent;

impl Rig {
    /// A seat's phone dials: call and leg of it.
    fn dials_code(&mut self, seat: &str, called: &str) -> (CallId, LegId) {
        let mut arrival = self.arrival("ct");
        arrival.ingress = Ingress::Seat(SeatId::from(seat));
        arrival.called = called.to_owned();
        self.arrives_as(arrival)
    }

    /// It hears this, is released, and is gone.
    fn is_told(&mut self, leg: LegId, said: [&str; 2]) {
        assert!(self.answers(leg), "the phone is answered");
        assert!(self.plays(leg).is_none(), "it is told when it is up");
        self.acks(leg);
        assert_eq!(self.said(leg), said);
        assert_eq!(self.released(leg), None);
        self.prompt_ends(leg);
        assert_eq!(self.released(leg), Some(Cause::Normal));
        self.leg(
            leg,
            LegEvent::Ended {
                cause: Cause::Normal,
                by_far_side: false,
            },
        );
        assert!(self.switch.codes.is_empty() && self.switch.ending.is_empty());
        assert_eq!(self.switch.timers.next().map(|(_, key)| key.name()), None);
    }

    fn answers(&self, leg: LegId) -> bool {
        self.effects.iter().any(|effect| {
            matches!(effect, Effect::Leg { leg: of, command: LegCommand::Answer } if *of == leg)
        })
    }

    fn no_trunk_is_rung(&self) {
        assert_eq!(self.rung_number(), None);
        assert_eq!(self.count("call.received") + self.count("call.dialled"), 0);
        assert!(self.switch.view().calls.is_empty());
    }
}

/// Without registrations that run out some day, so that no timer is left.
fn at_desk(seats: &[&str]) -> Rig {
    let mut rig = Rig::new();
    for seat in seats {
        rig.registers(seat);
        let key = super::super::timers::TimerKey::Registration(SeatId::from(*seat));
        rig.switch.timers.disarm(&key);
    }
    rig.forget();
    rig
}

#[test]
fn a_seat_is_ready_away_and_signed_out_by_codes_that_it_dials() {
    let mut rig = at_desk(&["801"]);
    for (code, said, state, reason) in [
        ("*11", "star_away", SeatState::NotReady, Some("离席")),
        ("*12", "star_away", SeatState::NotReady, Some("就餐")),
        ("*13", "star_away", SeatState::NotReady, Some("培训")),
        ("*10", "star_ready", SeatState::Ready, None),
        ("*14", "star_signed_out", SeatState::SignedOut, None),
        ("*10", "star_ready", SeatState::Ready, None),
    ] {
        let (_, leg) = rig.dials_code("801", code);
        assert_eq!(
            rig.seat("801"),
            (state, reason.map(str::to_owned)),
            "{code}"
        );
        let event = rig.event("seat.star_code");
        assert_eq!(event["result"], "done", "{code}");
        assert_eq!(event["code"], code[1..]);
        assert_eq!(rig.count("command.given"), 1, "audited");
        rig.is_told(leg, ["Entry", said]);
        rig.no_trunk_is_rung();
        rig.forget();
    }
}

#[test]
fn a_wrap_up_ends_by_the_dialled_code() {
    let mut rig = Rig::new();
    let (_, caller, _) = rig.talk("801");
    rig.hangs_up(caller);
    assert_eq!(rig.seat("801").0, SeatState::WrapUp);
    let (_, leg) = rig.dials_code("801", "*10");
    assert_eq!(rig.seat("801").0, SeatState::Ready);
    rig.acks(leg);
    assert_eq!(rig.said(leg), ["Entry", "star_ready"]);
}

#[test]
fn an_unknown_code_is_told_to_the_seat_and_rung_out_to_nobody() {
    for (called, result, said) in [
        ("*77", "unknown", "star_unknown"),
        ("*", "unknown", "star_unknown"),
        ("*1", "unknown", "star_unknown"),
        ("*101", "unknown", "star_unknown"),
        ("*80", "unknown", "star_unknown"),
        ("*13900001111", "unknown", "star_unknown"),
        ("*20", "refused", "star_in_talk"),
        ("*3013900001111#", "refused", "star_in_talk"),
        ("*80802", "refused", "star_refused"),
        ("*50", "refused", "star_none_to_call"),
        ("*51", "refused", "star_none_shelved"),
        ("*70", "refused", "star_no_supervisor"),
        ("*72", "refused", "star_refused"),
    ] {
        let mut rig = at_desk(&["801"]);
        let (_, leg) = rig.dials_code("801", called);
        assert_eq!(rig.event("seat.star_code")["result"], result, "{called}");
        rig.is_told(leg, ["Soft", said]);
        rig.no_trunk_is_rung();
        assert_eq!(rig.seat("801").0, SeatState::Ready);
    }
}

#[test]
fn a_code_is_rung_out_to_no_trunk_by_the_page_either() {
    let mut rig = Rig::new();
    rig.registers("801");
    let seat = SeatId::from("801");
    for number in ["*10", "+*10", "*"] {
        let number = number.to_owned();
        let seat = seat.clone();
        let refused = rig.command(Actor::Seat(seat.clone()), Command::Dial { seat, number });
        assert!(matches!(refused, Err(CommandError::BadField { .. })));
    }
    rig.no_trunk_is_rung();
}

#[test]
fn a_star_from_a_trunk_is_a_caller_like_any() {
    let mut rig = Rig::new();
    let mut arrival = rig.arrival("ct");
    arrival.called = String::from("*10");
    rig.arrives_as(arrival);
    assert_eq!(rig.count("call.received"), 1);
    assert_eq!(rig.count("seat.star_code"), 0);
}

#[test]
fn a_phone_on_the_line_for_a_code_is_offered_nothing_and_then_at_once() {
    let mut rig = Rig::new();
    rig.registers("801");
    let (_, leg) = rig.dials_code("801", "*10");
    let (call, _) = rig.arrives();
    assert_eq!(rig.rung_seat("801"), None);
    let decided = rig.event("offer.decided");
    assert_eq!(decided["rule"], "nobody_fits");
    assert_eq!(decided["held"][0]["reason"], "keying");
    rig.acks(leg);
    rig.prompt_ends(leg);
    assert_eq!(rig.rung_seat("801"), None, "its BYE is on the way");
    rig.leg(
        leg,
        LegEvent::Ended {
            cause: Cause::Normal,
            by_far_side: false,
        },
    );
    assert!(rig.rung_seat("801").is_some());
    assert_eq!(rig.state(call), Some(CallState::Offered));
}

#[test]
fn a_phone_that_hangs_up_on_its_word_is_offered_a_call_at_once() {
    let mut rig = Rig::new();
    rig.registers("801");
    let (media, leg) = rig.dials_code("801", "*10");
    rig.arrives();
    rig.acks(leg);
    rig.hangs_up(leg);
    assert!(rig.rung_seat("801").is_some());
    assert!(rig.effects.iter().any(|effect| matches!(effect,
        Effect::Media { call, command: MediaCommand::Close } if *call == media)));
}

#[test]
fn a_phone_that_never_answers_and_media_that_never_ends_hold_no_seat() {
    let mut rig = Rig::new();
    rig.registers("801");
    let (_, leg) = rig.dials_code("801", "*10");
    rig.arrives();
    rig.pass(300);
    assert_eq!(rig.said(leg), ["Entry", "star_ready"], "no ACK came");
    rig.pass(7_999);
    assert_eq!(rig.released(leg), None);
    rig.pass(1);
    assert_eq!(rig.released(leg), Some(Cause::Normal));
    assert_eq!(rig.rung_seat("801"), None);
    rig.pass(2_000);
    assert!(rig.rung_seat("801").is_some(), "it never confirmed its end");
    rig.hangs_up(leg);
    assert!(
        rig.switch
            .unexpected()
            .keys()
            .all(|k| !k.starts_with("flaw"))
    );
}

#[test]
fn a_second_code_at_once_hears_busy() {
    let mut rig = Rig::new();
    rig.registers("801");
    let (_, first) = rig.dials_code("801", "*11");
    let (_, second) = rig.dials_code("801", "*10");
    assert_eq!(rig.released(second), Some(Cause::Busy));
    assert_eq!(rig.released(first), None);
    assert_eq!(rig.seat("801").0, SeatState::NotReady);
}

#[test]
fn a_code_on_the_other_line_of_a_phone_that_talks_holds_after_the_talk() {
    let mut rig = Rig::new();
    let (call, caller, seat) = rig.talk("801");
    let (_, leg) = rig.dials_code("801", "*11");
    rig.acks(leg);
    assert_eq!(rig.said(leg), ["Entry", "star_after_talk"]);
    assert_eq!(rig.hears(caller), [seat], "the talk goes on");
    rig.prompt_ends(leg);
    rig.hangs_up(caller);
    assert_eq!(rig.seat("801"), (SeatState::NotReady, Some("离席".into())));
    assert_eq!(rig.state(call), Some(CallState::Closing));
}

#[test]
fn the_most_urgent_call_back_is_dialled_and_the_phone_goes_on_in_its_call() {
    let mut rig = Rig::new();
    let (_, caller) = rig.arrives();
    rig.hangs_up(caller);
    rig.registers("801");
    let entry = rig.switch.view().call_backs[0].clone();
    let (call, leg) = rig.dials_code("801", "*50");
    assert!(rig.answers(leg));
    let event = rig.event("seat.star_code");
    assert_eq!(event["result"], "done");
    assert_eq!(event["command"]["command"], "call_back_now");
    let (_, callee) = rig.rung_number().expect("the caller is rung");
    assert_eq!(rig.event("call.dialled")["direction"], "callback");
    assert_eq!(rig.event("command.given")["name"], "call_back");
    let now = rig.switch.view().call_backs[0].clone();
    assert_eq!(
        (now.call_back, now.state.as_str()),
        (entry.call_back, "dialling")
    );
    assert_eq!(now.with, Some(call));
    rig.acks(leg);
    rig.rings(callee);
    assert_eq!(rig.said(leg), ["RingBack"]);
    rig.picks_up(callee);
    assert_eq!(rig.matrix(), Matrix::everyone(&[leg, callee]));
    assert_eq!(rig.count("callback.connected"), 1);
    rig.registers("802");
    let (_, second) = rig.dials_code("802", "*50");
    rig.acks(second);
    assert_eq!(
        rig.said(second),
        ["Soft", "star_none_to_call"],
        "it is being dialled"
    );
}

#[test]
fn a_call_back_that_was_tried_just_now_comes_after_the_others() {
    let mut rig = Rig::new();
    for _ in 0..2 {
        let (_, caller) = rig.arrives();
        rig.hangs_up(caller);
        rig.pass(1_000);
    }
    rig.registers("801");
    let mut dialled = Vec::new();
    for _ in 0..2 {
        let (_, leg) = rig.dials_code("801", "*50");
        rig.acks(leg);
        let (_, callee) = rig.rung_number().unwrap();
        let target = rig.rung().pop().map(|(_, target)| target);
        dialled.push(target);
        rig.fails(callee, Cause::Busy);
        rig.hangs_up(leg);
    }
    assert_ne!(dialled[0], dialled[1]);
}

#[test]
fn the_caller_whom_a_seat_put_aside_rings_there_when_its_phone_is_off_the_line() {
    let mut rig = Rig::new();
    let (call, ..) = rig.talk("801");
    let by = Actor::Seat(SeatId::from("801"));
    rig.command(by.clone(), Command::Shelve { call }).unwrap();
    let away = Command::SeatNotReady {
        seat: SeatId::from("801"),
        reason: String::from("离席"),
    };
    rig.command(by, away).unwrap();
    let (_, leg) = rig.dials_code("801", "*51");
    assert_eq!(
        rig.event("seat.star_code")["result"],
        "refused",
        "not ready"
    );
    rig.hangs_up(leg);
    rig.registers("802");
    let (_, leg) = rig.dials_code("802", "*51");
    rig.acks(leg);
    assert_eq!(rig.said(leg), ["Soft", "star_none_shelved"], "it is 801's");
    rig.hangs_up(leg);
    let (_, leg) = rig.dials_code("801", "*10");
    rig.hangs_up(leg);
    let rung = rig.rung_seat("801");
    let (_, leg) = rig.dials_code("801", "*51");
    rig.acks(leg);
    assert_eq!(rig.said(leg), ["Entry", "star_rings"]);
    assert_eq!(rig.state(call), Some(CallState::Shelved));
    rig.prompt_ends(leg);
    assert_eq!(rig.rung_seat("801"), rung, "its phone is not free yet");
    rig.hangs_up(leg);
    let leg = rig.rung_seat("801");
    assert_ne!(leg, rung);
    rig.picks_up(leg.unwrap());
    assert_eq!(rig.state(call), Some(CallState::Talking));
}

#[test]
fn a_seat_calls_a_supervisor_who_is_free() {
    let mut rig = Rig::new();
    rig.registers("801");
    rig.registers("901");
    let (call, leg) = rig.dials_code("801", "*70");
    assert!(rig.answers(leg));
    let supervisor = rig.rung_seat("901").expect("his phone is rung");
    assert_eq!(rig.event("call.dialled")["direction"], "internal");
    rig.acks(leg);
    rig.rings(supervisor);
    rig.picks_up(supervisor);
    assert_eq!(rig.matrix(), Matrix::everyone(&[leg, supervisor]));
    assert_eq!(rig.state(call), Some(CallState::Talking));
    rig.hangs_up(leg);
    assert_eq!(rig.seat("901").0, SeatState::NotReady);
    assert_eq!(rig.seat("801").0, SeatState::Ready);
}

#[test]
fn a_supervisor_dials_into_the_call_of_a_seat_in_the_mode_of_the_code() {
    for (code, mode, caller_hears, seat_hears) in [
        ("*80801", "listen", false, false),
        ("*81*801#", "whisper", false, true),
        ("*82801%23", "barge", true, true),
    ] {
        let mut rig = Rig::new();
        let (call, caller, seat) = rig.talk("801");
        rig.registers("901");
        let (media, leg) = rig.dials_code("901", code);
        assert_eq!(rig.event("seat.star_code")["result"], "done", "{code}");
        assert_eq!(rig.event("supervisor.monitor_started")["mode"], mode);
        assert!(rig.answers(leg));
        let moved = MediaCommand::Move { leg, to: call };
        assert!(rig.effects.contains(&Effect::Media {
            call: media,
            command: moved
        }));
        assert_eq!(rig.hears(leg), {
            let mut both = vec![caller, seat];
            both.sort();
            both
        });
        assert_eq!(rig.hears(caller).contains(&leg), caller_hears, "{code}");
        assert_eq!(rig.hears(seat).contains(&leg), seat_hears, "{code}");
        assert_eq!(rig.seat("901").0, SeatState::Listening);
        rig.acks(leg);
        rig.hangs_up(leg);
        assert_eq!(rig.seat("901").0, SeatState::NotReady);
        assert_eq!(rig.state(call), Some(CallState::Talking));
    }
}

#[test]
fn a_supervisor_dials_to_hear_who_waits_one_after_the_other() {
    let mut rig = Rig::new();
    rig.registers("901");
    let (_, leg) = rig.dials_code("901", "*84");
    assert_eq!(rig.event("seat.star_code")["result"], "done");
    assert!(rig.answers(leg) && rig.rung().is_empty());
    rig.acks(leg);
    assert_eq!(rig.said(leg), ["Silence(1000)"]);
    let (_, caller) = rig.arrives();
    assert_eq!(rig.hears(leg), [caller]);
    rig.hangs_up(leg);
    assert_eq!(rig.seat("901").0, SeatState::NotReady);
    assert!(rig.switch.view().queue_listeners.is_empty());
    rig.forget();
    rig.registers("801");
    let (_, leg) = rig.dials_code("801", "*84");
    assert_eq!(rig.event("seat.star_code")["result"], "refused");
    rig.acks(leg);
    assert_eq!(rig.said(leg), ["Soft", "star_refused"]);
}

#[test]
fn a_supervisor_takes_a_seats_call_over_by_a_dialled_code() {
    let mut rig = Rig::new();
    let (call, caller, _) = rig.talk("801");
    rig.registers("901");
    let (_, leg) = rig.dials_code("901", "*83801");
    assert_eq!(rig.count("supervisor.took_over"), 1);
    assert_eq!(rig.hears(caller), [leg]);
    assert_eq!(rig.seat("801").0, SeatState::WrapUp);
    assert_eq!(rig.seat("901").0, SeatState::Talking);
    assert_eq!(rig.state(call), Some(CallState::Talking));
}

#[test]
fn a_seat_that_is_no_supervisor_dials_into_no_call() {
    let mut rig = Rig::new();
    let (_, caller, seat) = rig.talk("801");
    rig.registers("802");
    for code in ["*80801", "*81801", "*82801", "*83801"] {
        let (_, leg) = rig.dials_code("802", code);
        assert_eq!(rig.event("seat.star_code")["result"], "refused");
        rig.acks(leg);
        assert_eq!(rig.said(leg), ["Soft", "star_refused"]);
        rig.hangs_up(leg);
    }
    assert_eq!(rig.hears(caller), [seat]);
    assert_eq!(rig.count("supervisor.monitor_started"), 0);
}

#[test]
fn a_supervisor_comes_to_the_seat_that_has_asked_longest() {
    let mut rig = Rig::new();
    let (first, ..) = rig.talk("801");
    let (second, caller, _) = rig.talk("802");
    for (call, seat) in [(second, "802"), (first, "801")] {
        let by = Actor::Seat(SeatId::from(seat));
        rig.command(by, Command::RequestAssist { call }).unwrap();
        rig.pass(1_000);
    }
    rig.registers("901");
    let (_, leg) = rig.dials_code("901", "*72");
    let answered = rig.event("assist.answered");
    assert_eq!(
        (&answered["seat"], &answered["by"]),
        (&"802".into(), &"901".into())
    );
    assert!(rig.hears(caller).contains(&leg), "he is heard");
    rig.hangs_up(leg);
    rig.dials_code("901", "*72");
    assert_eq!(rig.event("assist.answered")["seat"], "801");
}

#[test]
fn an_unreachable_phone_that_dials_is_there_again() {
    let mut rig = Rig::new();
    rig.registers("801");
    rig.link("801", SeatLink::Reachable { reachable: false });
    assert_eq!(rig.seat("801").0, SeatState::Unreachable);
    let (_, leg) = rig.dials_code("801", "*11");
    assert_eq!(rig.seat("801").0, SeatState::NotReady);
    rig.acks(leg);
    assert_eq!(rig.said(leg), ["Entry", "star_away"]);
}

#[test]
fn a_restart_closes_the_dialog_of_a_phone_on_the_line_for_a_code() {
    let mut rig = Rig::new();
    rig.registers("801");
    let (_, leg) = rig.dials_code("801", "*11");
    rig.acks(leg);
    rig.forget();
    rig.input(InputKind::Started {
        seed: 8,
        build: String::from("test"),
        policy: Box::new(policy()),
    });
    let closed = rig.effects.iter().any(|effect| {
        matches!(effect, Effect::Leg { leg: of, command: LegCommand::ReleaseOrphan { .. } } if *of == leg)
    });
    assert!(closed);
    let ready = Command::SeatReady {
        seat: SeatId::from("801"),
    };
    rig.command(Actor::Seat(SeatId::from("801")), ready)
        .unwrap();
    rig.arrives();
    assert!(rig.rung_seat("801").is_some(), "it is rung again");
}

#[test]
fn a_code_for_which_no_port_was_left_does_nothing() {
    let mut rig = Rig::new();
    rig.registers("801");
    let mut arrival = rig.arrival("ct");
    arrival.ingress = Ingress::Seat(SeatId::from("801"));
    arrival.called = String::from("*11");
    arrival.refused_capacity = true;
    rig.forget();
    rig.arrives_as(arrival);
    assert!(rig.events.is_empty() && rig.effects.is_empty());
}

#[test]
fn each_dialled_code_has_its_own_two_digits_and_a_row_in_the_guide() {
    let guide = include_str!("../../../docs/star-codes.md");
    let dialled = guide.split_once("## Dialled outside").expect("its part").1;
    for (n, code) in DIALLED_CODES.iter().enumerate() {
        assert_eq!(code.code.len(), 2);
        let mut later = DIALLED_CODES.iter().skip(n + 1);
        assert!(later.all(|other| other.code != code.code), "{}", code.code);
        let key = match code.argument {
            Some(argument) => format!("`*{} {argument}`", code.code),
            None => format!("`*{}`", code.code),
        };
        assert!(dialled.contains(&key), "docs/star-codes.md has no {key}");
    }
}
