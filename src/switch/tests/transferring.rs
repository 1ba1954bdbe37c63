use super::*;
use crate::call::{TransferKind, TransferTo};

fn seat_of(seat: &str) -> TransferTo {
    TransferTo::Seat(SeatId::from(seat))
}

fn number() -> TransferTo {
    TransferTo::Number(String::from("13900139000"))
}

/// Seat 801 talks to its caller, 802 is free: call, caller's leg, seat's leg.
fn talk() -> (Rig, CallId, LegId, LegId) {
    let mut rig = Rig::new();
    let (call, caller, seat) = rig.talk("801");
    rig.registers("802");
    (rig, call, caller, seat)
}

/// And 802 speaks with 801, the caller is on hold.
fn consulted(kind: TransferKind) -> (Rig, CallId, LegId, LegId, LegId) {
    let (mut rig, call, caller, seat) = talk();
    assert_eq!(
        rig.transfers(call, seat_of("802"), kind),
        Ok(CommandReply::Done)
    );
    let colleague = rig.rung_seat("802").unwrap();
    rig.rings(colleague);
    rig.picks_up(colleague);
    (rig, call, caller, seat, colleague)
}

impl Rig {
    fn transfers(
        &mut self,
        call: CallId,
        to: TransferTo,
        kind: TransferKind,
    ) -> Result<CommandReply, CommandError> {
        let by = Actor::Seat(SeatId::from("801"));
        self.command(by, Command::Transfer { call, to, kind })
    }

    fn completes(&mut self, call: CallId) -> Result<CommandReply, CommandError> {
        let by = Actor::Seat(SeatId::from("801"));
        self.command(by, Command::CompleteTransfer { call })
    }

    fn cancels(&mut self, call: CallId) -> Result<CommandReply, CommandError> {
        let by = Actor::Seat(SeatId::from("801"));
        self.command(by, Command::CancelTransfer { call })
    }

    fn outcome(&self) -> String {
        let said = self.event("call.transferred");
        said["outcome"].as_str().unwrap().to_owned()
    }

    fn shown_to(&self, leg: LegId) -> Option<String> {
        self.effects.iter().find_map(|effect| match effect {
            Effect::Leg {
                leg: of,
                command: LegCommand::Invite(invite),
            } if *of == leg => invite.from_name.clone(),
            _ => None,
        })
    }
}

#[track_caller]
fn refused(reply: &Result<CommandReply, CommandError>, hint: &str) {
    let fits =
        matches!(reply, Err(CommandError::WrongState { hint: why, .. }) if why.contains(hint));
    assert!(fits, "{reply:?}");
}

#[test]
fn blind_transfer_frees_the_seat_and_rings_the_named_one_alone_with_ring_back_to_the_caller() {
    let (mut rig, call, caller, seat) = talk();
    rig.registers("803");
    let reply = rig.transfers(call, seat_of("802"), TransferKind::Blind);
    assert_eq!(reply, Ok(CommandReply::Done));
    assert_eq!(rig.released(seat), Some(Cause::SeatReleased));
    assert_eq!(rig.seat("801").0, SeatState::WrapUp);
    assert_eq!(rig.said(caller), ["RingBack"]);
    let rung = rig.rung_seat("802").unwrap();
    assert_eq!(rig.shown_to(rung).as_deref(), Some("转移 801"));
    assert!(rig.rung_seat("803").is_none(), "nobody else rings");
    rig.rings(rung);
    rig.picks_up(rung);
    assert_eq!(
        (rig.outcome().as_str(), rig.hears(caller)),
        ("answered", vec![rung])
    );
    assert_eq!(rig.event("call.transferred")["to"]["seat"], "802");
    assert_eq!(rig.switch.calls[&call].last_seat, Some(SeatId::from("802")));
    assert_eq!(rig.state(call), Some(CallState::Talking));
}

#[test]
fn blind_transfer_that_nobody_takes_comes_back_to_the_seat_that_sent_it_and_its_phone_says_why() {
    let (mut rig, call, caller, _) = talk();
    assert!(
        rig.transfers(call, seat_of("802"), TransferKind::Blind)
            .is_ok()
    );
    let rung = rig.rung_seat("802").unwrap();
    rig.rings(rung);
    rig.pass(8_000);
    assert_eq!(rig.outcome(), "no_answer");
    assert_eq!(rig.switch.position(call), Some(0));
    let back = rig.rung_seat("801").unwrap();
    assert_eq!(rig.switch.legs[&back], call);
    assert_eq!(rig.shown_to(back).as_deref(), Some("转移未接 802"));
    assert_eq!(rig.said(caller), ["RingBack"], "never silence");
    rig.picks_up(back);
    assert_eq!(rig.hears(caller), [back]);
    assert_eq!(rig.count("call.transferred"), 1);
}

#[test]
fn blind_transfer_to_a_seat_whose_phone_goes_is_offered_to_whoever_is_free() {
    let (mut rig, call, _, _) = talk();
    assert!(
        rig.transfers(call, seat_of("802"), TransferKind::Blind)
            .is_ok()
    );
    let not_ready = Command::SeatNotReady {
        seat: SeatId::from("801"),
        reason: String::from("离席"),
    };
    assert!(
        rig.command(Actor::Seat(SeatId::from("801")), not_ready)
            .is_ok()
    );
    rig.link("802", SeatLink::Unregistered);
    assert_eq!(rig.outcome(), "no_answer");
    assert_eq!(rig.switch.position(call), Some(0));
    rig.registers("803");
    let rung = rig.rung_seat("803").unwrap();
    assert_eq!(rig.switch.legs[&rung], call);
}

#[test]
fn transfer_to_a_queue_stands_at_its_head() {
    let (mut rig, call, _, _) = talk();
    rig.link("802", SeatLink::Unregistered);
    let to = TransferTo::Queue(QueueId::from("main"));
    assert!(rig.transfers(call, to, TransferKind::Blind).is_ok());
    assert_eq!(rig.outcome(), "queued");
    assert_eq!(rig.switch.position(call), Some(0));
    assert_eq!(rig.event("queue.entered")["again"], true);
}

#[test]
fn blind_transfer_to_a_number_has_ring_back_then_the_two_talk_without_a_seat() {
    let (mut rig, call, caller, _) = talk();
    rig.link("802", SeatLink::Unregistered);
    assert!(rig.transfers(call, number(), TransferKind::Blind).is_ok());
    let (_, outside) = rig.rung_number().unwrap();
    assert_eq!(rig.said(caller), ["RingBack"]);
    rig.rings(outside);
    rig.pass(15_000);
    assert_eq!(rig.released(caller), None);
    rig.picks_up(outside);
    assert!(rig.plays(caller).is_none());
    assert_eq!(
        (rig.hears(caller), rig.outcome().as_str()),
        (vec![outside], "answered")
    );
}

#[test]
fn number_that_is_busy_gives_the_caller_back() {
    let (mut rig, call, caller, _) = talk();
    rig.link("802", SeatLink::Unregistered);
    assert!(rig.transfers(call, number(), TransferKind::Blind).is_ok());
    let (_, outside) = rig.rung_number().unwrap();
    rig.fails(outside, Cause::Busy);
    assert_eq!(rig.outcome(), "busy");
    let back = rig.rung_seat("801").unwrap();
    assert_eq!(rig.shown_to(back).as_deref(), Some("转移未接 13900139000"));
    assert_eq!(rig.said(caller), ["RingBack"]);
    assert_eq!(rig.switch.position(call), Some(0));
}

#[test]
fn attended_transfer_lets_the_seats_speak_while_the_caller_hears_music_and_hands_over() {
    let (mut rig, call, caller, seat, colleague) = consulted(TransferKind::Attended);
    assert_eq!(rig.said(caller), ["Music"]);
    assert_eq!(
        (rig.hears(seat), rig.hears(colleague)),
        (vec![colleague], vec![seat])
    );
    assert_eq!(rig.event("call.transfer_consulted")["seat"], "802");
    assert_eq!(rig.count("seat.answered"), 1, "not the caller's yet");
    assert_eq!(rig.completes(call), Ok(CommandReply::Done));
    assert_eq!(
        (rig.hears(caller), rig.hears(colleague)),
        (vec![colleague], vec![caller])
    );
    assert!(rig.plays(caller).is_none());
    assert_eq!(rig.released(seat), Some(Cause::SeatReleased));
    assert_eq!(
        (rig.seat("801").0, rig.seat("802").0),
        (SeatState::WrapUp, SeatState::Talking)
    );
    assert_eq!(
        (rig.outcome().as_str(), rig.count("seat.answered")),
        ("answered", 2)
    );
    assert_eq!(rig.switch.calls[&call].last_seat, Some(SeatId::from("802")));
    rig.hangs_up(colleague);
    assert_eq!(rig.event("call.ended")["by"], "seat");
}

#[test]
fn seat_that_hangs_up_while_it_consults_has_handed_over() {
    let (mut rig, _, caller, seat, colleague) = consulted(TransferKind::Attended);
    rig.hangs_up(seat);
    assert_eq!(
        (rig.hears(caller), rig.outcome().as_str()),
        (vec![colleague], "answered")
    );
    let (mut rig, call, caller, seat) = talk();
    assert!(
        rig.transfers(call, seat_of("802"), TransferKind::Attended)
            .is_ok()
    );
    let first = rig.rung_seat("802").unwrap();
    rig.hangs_up(seat);
    let again = rig.rung_seat("802").unwrap();
    assert_ne!(first, again, "before the answer: as a blind one");
    assert_eq!(rig.said(caller), ["RingBack"]);
    rig.picks_up(again);
    assert_eq!(
        (rig.hears(caller), rig.outcome().as_str()),
        (vec![again], "answered")
    );
}

#[test]
fn line_of_the_seat_lost_while_it_consults_leaves_the_caller_with_the_colleague() {
    let (mut rig, _, caller, seat, colleague) = consulted(TransferKind::Conference);
    rig.is_lost(seat);
    assert_eq!(rig.hears(caller), [colleague]);
    assert_eq!(rig.released(caller), None);
}

#[test]
fn seat_takes_its_caller_back_from_a_transfer() {
    let (mut rig, call, caller, seat, colleague) = consulted(TransferKind::Attended);
    assert_eq!(rig.cancels(call), Ok(CommandReply::Done));
    assert_eq!(rig.released(colleague), Some(Cause::Withdrawn));
    assert_eq!(
        (rig.hears(caller), rig.outcome().as_str()),
        (vec![seat], "taken_back")
    );
    assert_eq!(rig.seat("802").0, SeatState::WrapUp);
    let (mut rig, call, caller, seat) = talk();
    assert!(
        rig.transfers(call, seat_of("802"), TransferKind::Attended)
            .is_ok()
    );
    assert!(rig.cancels(call).is_ok());
    assert_eq!(
        (rig.hears(caller), rig.seat("802").0),
        (vec![seat], SeatState::Ready)
    );
}

#[test]
fn colleague_who_does_not_answer_is_not_blamed_and_the_caller_stays_with_his_seat() {
    let (mut rig, call, caller, _) = talk();
    assert!(
        rig.transfers(call, seat_of("802"), TransferKind::Attended)
            .is_ok()
    );
    let colleague = rig.rung_seat("802").unwrap();
    rig.rings(colleague);
    rig.pass(8_000);
    assert_eq!(
        (rig.outcome().as_str(), rig.seat("802").0),
        ("no_answer", SeatState::Ready)
    );
    assert_eq!(
        (rig.said(caller), rig.state(call)),
        (vec![String::from("Music")], Some(CallState::Held))
    );
    let (mut rig, _, _, seat, colleague) = consulted(TransferKind::Attended);
    rig.hangs_up(colleague);
    assert_eq!((rig.outcome().as_str(), rig.released(seat)), ("left", None));
}

#[test]
fn in_a_conference_transfer_all_three_talk_and_then_the_seat_leaves() {
    let (mut rig, call, caller, seat, colleague) = consulted(TransferKind::Conference);
    assert_eq!(rig.matrix(), Matrix::everyone(&[caller, seat, colleague]));
    assert_eq!(rig.state(call), Some(CallState::Conferencing));
    assert!(rig.completes(call).is_ok());
    assert_eq!(rig.matrix(), Matrix::everyone(&[caller, colleague]));
}

#[test]
fn attended_transfer_to_a_number_leaves_the_caller_with_it() {
    let (mut rig, call, caller, seat) = talk();
    assert!(
        rig.transfers(call, number(), TransferKind::Attended)
            .is_ok()
    );
    let (_, outside) = rig.rung_number().unwrap();
    rig.rings(outside);
    assert_eq!(
        (rig.said(seat), rig.said(caller)),
        (vec![String::from("RingBack")], vec![String::from("Music")])
    );
    refused(&rig.completes(call), "until the other side answers");
    rig.picks_up(outside);
    assert_eq!(rig.hears(seat), [outside]);
    assert!(rig.completes(call).is_ok());
    assert_eq!(
        (rig.hears(caller), rig.outcome().as_str()),
        (vec![outside], "answered")
    );
}

#[test]
fn caller_who_hangs_up_in_a_transfer_ends_it() {
    let (mut rig, _, caller, _) = talk();
    let call = rig.switch.call_of_leg(caller).unwrap();
    assert!(
        rig.transfers(call, seat_of("802"), TransferKind::Blind)
            .is_ok()
    );
    let rung = rig.rung_seat("802").unwrap();
    rig.hangs_up(caller);
    assert_eq!(rig.outcome(), "ended");
    assert_eq!(rig.released(rung), Some(Cause::Withdrawn));
    assert_eq!(rig.event("callback.due")["reason"], "interrupted");
    let (mut rig, call, caller, seat, colleague) = consulted(TransferKind::Attended);
    rig.hangs_up(caller);
    assert_eq!(rig.hears(seat), [colleague], "the two may end their words");
    assert!(rig.completes(call).is_ok());
    assert_eq!(rig.event("call.ended")["outcome"], "answered");
}

#[test]
fn supervisor_who_takes_over_a_transferred_call_has_the_caller_or_ends_what_he_left() {
    for caller_stays in [true, false] {
        let (mut rig, call, caller, seat, colleague) = consulted(TransferKind::Attended);
        rig.registers("901");
        let by = SeatId::from("901");
        if !caller_stays {
            rig.hangs_up(caller);
        }
        let take = Command::Listen {
            call,
            seat: by.clone(),
            mode: crate::call::Mode::TakeOver,
        };
        let Ok(CommandReply::Leg { leg }) = rig.command(Actor::Supervisor(by), take) else {
            panic!("refused");
        };
        rig.picks_up(leg);
        assert_eq!(rig.outcome(), "taken_over");
        for left in [seat, colleague] {
            assert_eq!(rig.released(left), Some(Cause::Withdrawn));
        }
        if caller_stays {
            assert_eq!(rig.matrix(), Matrix::everyone(&[caller, leg]));
        } else {
            assert_eq!(rig.event("call.ended")["outcome"], "answered");
            assert_eq!(rig.released(leg), Some(Cause::SeatReleased));
        }
    }
}

#[test]
fn transfer_is_refused_with_what_is_so() {
    let (mut rig, call, _, _) = talk();
    refused(&rig.completes(call), "not being transferred");
    refused(&rig.cancels(call), "nothing is left");
    let own = rig.transfers(call, seat_of("801"), TransferKind::Blind);
    assert!(matches!(own, Err(CommandError::BadField { .. })), "{own:?}");
    let unknown = rig.transfers(call, seat_of("899"), TransferKind::Blind);
    assert!(
        matches!(unknown, Err(CommandError::Unknown { .. })),
        "{unknown:?}"
    );
    refused(
        &rig.transfers(call, seat_of("803"), TransferKind::Blind),
        "choose a free seat",
    );
    let wrong = TransferTo::Number(String::from("abc"));
    let wrong = rig.transfers(call, wrong, TransferKind::Blind);
    assert!(
        matches!(wrong, Err(CommandError::BadField { .. })),
        "{wrong:?}"
    );
    let queue = TransferTo::Queue(QueueId::from("main"));
    let queue = rig.transfers(call, queue, TransferKind::Attended);
    assert!(
        matches!(queue, Err(CommandError::BadField { .. })),
        "{queue:?}"
    );
    assert!(
        rig.transfers(call, seat_of("802"), TransferKind::Conference)
            .is_ok()
    );
    refused(
        &rig.transfers(call, number(), TransferKind::Blind),
        "already",
    );
    let shelve = rig.command(Actor::Seat(SeatId::from("801")), Command::Shelve { call });
    refused(&shelve, "being transferred");
}

#[test]
fn after_a_kill_a_call_in_transfer_is_settled_like_any_other() {
    let (mut rig, call, _, _, _) = consulted(TransferKind::Attended);
    rig.input(InputKind::Started {
        seed: 9,
        build: String::from("next"),
        policy: Box::new(policy()),
    });
    assert_eq!(rig.state(call), Some(CallState::Closing));
    assert_eq!(rig.event("callback.due")["reason"], "interrupted");
    assert_eq!(
        (rig.seat("801").0, rig.seat("802").0),
        (SeatState::Ready, SeatState::Ready)
    );
}
