//! Talks that last.

use super::*;
use crate::id::DestinationId;

fn seat(id: &str) -> Actor {
    Actor::Seat(SeatId::from(id))
}

/// Legs that heard the soft tone.
fn soft(rig: &Rig) -> Vec<LegId> {
    let plays = rig.effects.iter().filter_map(|effect| match effect {
        Effect::Media {
            command: MediaCommand::Play { leg, sounds, .. },
            ..
        } => (sounds == &[Sound::Soft]).then_some(*leg),
        _ => None,
    });
    plays.collect()
}

fn levels(rig: &Rig) -> Vec<u8> {
    let told = rig.events.iter().filter_map(|event| match event.kind {
        EventKind::HandlingExceeded { level, .. } => Some(level),
        _ => None,
    });
    told.collect()
}

fn reports(rig: &mut Rig, call: CallId, report: DispatchReport) {
    let by = Actor::Module(DestinationId::from("dispatch"));
    rig.command(by, Command::Dispatch { call, report }).unwrap();
}

fn sent() -> DispatchReport {
    DispatchReport::OrderIssued {
        order_id: String::from("1"),
        station: None,
        vehicle: String::from("V1"),
    }
}

#[test]
fn long_handling_is_told_after_60_and_120_s_to_the_seat_alone_and_once_each() {
    let mut rig = Rig::new();
    let (call, _, leg) = rig.talk("801");
    rig.pass(59_900);
    assert_eq!(levels(&rig), [] as [u8; 0]);
    rig.pass(100);
    assert_eq!((levels(&rig), soft(&rig)), (vec![1], vec![leg]));
    assert_eq!(rig.event("alert.handling_exceeded")["handled_ms"], 60_000);
    assert_eq!(rig.switch.view().calls[0].handling_level, 1);
    rig.pass(60_000);
    assert_eq!((levels(&rig), soft(&rig)), (vec![1, 2], vec![leg, leg]));
    rig.pass(600_000);
    assert_eq!(levels(&rig), [1, 2]);
    rig.command(seat("801"), Command::HangUp { call }).unwrap();
    assert_eq!(rig.switch.overlong, Default::default());
}

#[test]
fn nothing_is_told_once_a_vehicle_is_sent_and_again_a_minute_after_it_was_cancelled() {
    let mut rig = Rig::new();
    let (call, ..) = rig.talk("801");
    rig.pass(30_000);
    reports(&mut rig, call, sent());
    rig.pass(300_000);
    assert_eq!(levels(&rig), [] as [u8; 0]);
    let (order_id, reason) = (String::from("1"), String::from("走错"));
    reports(
        &mut rig,
        call,
        DispatchReport::Cancelled { order_id, reason },
    );
    rig.pass(59_000);
    assert_eq!(levels(&rig), [] as [u8; 0]);
    rig.pass(2_000);
    assert_eq!(levels(&rig)[0], 1);
}

#[test]
fn medical_advice_is_not_disturbed() {
    let mut rig = Rig::new();
    let (call, ..) = rig.talk("801");
    let advice = |on| Command::GiveAdvice { call, on };
    let other = rig.command(seat("802"), advice(true));
    assert!(matches!(other, Err(CommandError::NotAllowed { .. })));
    rig.command(seat("801"), advice(true)).unwrap();
    rig.pass(300_000);
    assert_eq!(levels(&rig), [] as [u8; 0]);
    assert!(rig.switch.view().calls[0].medical_advice);
    rig.command(seat("801"), advice(false)).unwrap();
    rig.command(seat("801"), advice(false)).unwrap();
    rig.pass(60_000);
    assert_eq!(levels(&rig)[0], 1);
    assert_eq!(rig.count("handling.advice"), 2, "said once each");
}

#[test]
fn tone_of_a_third_party_being_rung_is_not_cut_by_the_soft_one() {
    let mut rig = Rig::new();
    let (call, ..) = rig.talk("801");
    rig.pass(40_000);
    let third = rig.adds(call, "801", "doctor");
    rig.rings(third);
    rig.pass(21_000);
    assert_eq!((levels(&rig), soft(&rig).len()), (vec![1], 0));
}

#[test]
fn waiting_caller_hears_nothing_of_it_and_the_next_seat_counts_on() {
    let mut rig = Rig::new();
    let (_, _, leg) = rig.talk("801");
    rig.pass(50_000);
    rig.is_lost(leg);
    rig.pass(30_000);
    assert_eq!(levels(&rig), [] as [u8; 0], "nobody handles it");
    rig.registers("802");
    let next = rig.rung_seat("802").expect("rung");
    rig.picks_up(next);
    rig.pass(1_000);
    assert_eq!((levels(&rig), soft(&rig)), (vec![1], vec![next]));
}
