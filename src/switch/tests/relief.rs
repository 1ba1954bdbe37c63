use super::*;
use crate::id::ReliefId;

const PEER: &str = "075525120120";
const PHONES: [&str; 2] = ["13900139001", "13900139002"];

/// A peer centre after 30 s, two phones of the mobile group while no seat serves; `in` leads to the peer.
fn rig() -> Rig {
    let relief = |id: &str, kind, numbers: &[&str], after| Relief {
        id: ReliefId::from(id),
        kind,
        numbers: numbers.iter().map(|n| (*n).to_owned()).collect(),
        after: Millis::from_secs(after),
    };
    let mut policy = policy();
    policy.relief = std::sync::Arc::new(vec![
        relief("mobile", ReliefKind::Group, &PHONES, 0),
        relief("nanshan", ReliefKind::Peer, &[PEER], 30),
    ]);
    if let Some(trunk) = policy.trunks.get_mut(&TrunkId::from("in")) {
        trunk.peer = true;
    }
    Rig::with(policy)
}

impl Rig {
    /// Legs that were rung to a number, oldest first.
    fn rung_at(&self, number: &str) -> Vec<LegId> {
        let rung = self.rung().into_iter();
        rung.filter_map(|(leg, target)| match target {
            Target::Number { number: to, .. } if to == number => Some(leg),
            _ => None,
        })
        .collect()
    }

    /// A call that waits beside a seat that talks.
    fn waits_behind(&mut self) -> (CallId, LegId) {
        self.talk("801");
        let (call, caller) = self.arrives();
        self.acks(caller);
        (call, caller)
    }
}

#[test]
fn peer_centre_is_rung_after_30_s_of_waiting_and_the_call_keeps_its_place_until_the_key() {
    let mut rig = rig();
    let (call, caller) = rig.waits_behind();
    rig.pass(29_900);
    assert_eq!(rig.rung_at(PEER), []);
    rig.pass(200);
    let [leg] = rig.rung_at(PEER)[..] else {
        panic!("rung once");
    };
    rig.rings(leg);
    assert_eq!(rig.event("relief.ringing")["relief"], "nanshan");
    rig.picks_up(leg);
    assert_eq!(rig.event("relief.asked")["relief"], "nanshan");
    assert_eq!(rig.said(leg)[0], "relief_offer");
    assert!(!rig.hears(leg).contains(&caller), "a 200 is no answer");
    assert_eq!(rig.state(call), Some(CallState::Waiting));
    rig.forget();
    rig.keys(leg, "1");
    let told = rig.event("call.handed_over");
    assert_eq!(
        (&told["relief"], &told["number"]),
        (&"nanshan".into(), &PEER.into())
    );
    assert_eq!(rig.matrix(), Matrix::everyone(&[caller, leg]));
    assert_eq!(rig.event("queue.left")["reason"], "handed_over");
    assert_eq!(rig.event("conference.party_joined")["role"], "peer");
    rig.hangs_up(leg);
    assert_eq!(rig.event("call.ended")["outcome"], "answered");
    assert_eq!(rig.released(caller), Some(Cause::Normal));
}

#[test]
fn a_200_without_the_key_is_released_after_15_s_and_rung_again_later() {
    let mut rig = rig();
    let (call, caller) = rig.waits_behind();
    rig.pass(30_000);
    let leg = rig.rung_at(PEER)[0];
    rig.picks_up(leg);
    rig.pass(14_900);
    assert_eq!(rig.released(leg), None);
    rig.pass(200);
    assert_eq!(rig.released(leg), Some(Cause::Withdrawn));
    assert_eq!(rig.event("relief.ended")["why"], "no_key");
    assert_eq!(rig.state(call), Some(CallState::Waiting));
    assert_eq!(rig.released(caller), None);
    rig.pass(29_000);
    assert_eq!(rig.rung_at(PEER).len(), 1, "it rests");
    rig.pass(1_100);
    assert_eq!(rig.rung_at(PEER).len(), 2);
}

#[test]
fn seat_that_answers_first_has_the_call_and_people_outside_are_released() {
    let mut rig = rig();
    let (call, caller) = rig.waits_behind();
    rig.pass(30_000);
    let leg = rig.rung_at(PEER)[0];
    rig.picks_up(leg);
    rig.registers("802");
    let seat = rig.rung_seat("802").unwrap();
    rig.picks_up(seat);
    assert_eq!(rig.released(leg), Some(Cause::AnsweredElsewhere));
    assert_eq!(rig.event("relief.ended")["why"], "withdrawn");
    assert_eq!(rig.hears(caller), [seat]);
    // The key crossed.
    rig.keys(leg, "1");
    assert_eq!(rig.state(call), Some(CallState::Talking));
    assert_eq!(rig.count("call.handed_over"), 0);
}

#[test]
fn seats_ring_on_beside_people_outside_and_are_freed_when_those_take_the_call() {
    let mut rig = rig();
    let (call, _) = rig.waits_behind();
    rig.pass(30_000);
    let leg = rig.rung_at(PEER)[0];
    rig.picks_up(leg);
    rig.registers("802");
    let seat = rig.rung_seat("802").unwrap();
    rig.rings(seat);
    rig.keys(leg, "1");
    assert_eq!(rig.count("call.handed_over"), 1);
    assert_eq!(rig.released(seat), Some(Cause::AnsweredElsewhere));
    assert_eq!(rig.seat("802").0, SeatState::Ready);
    assert_eq!(rig.state(call), Some(CallState::Conferencing));
}

#[test]
fn mobile_group_is_rung_at_once_when_no_seat_serves_one_phone_per_call_and_spare_phones_beside() {
    let mut rig = rig();
    let (first, caller) = rig.arrives();
    rig.acks(caller);
    let own: Vec<_> = PHONES.iter().map(|n| rig.rung_at(n)[0]).collect();
    let (second, _) = rig.arrives();
    rig.fails(own[1], Cause::Busy);
    assert_eq!(rig.event("relief.ended")["why"], "busy");
    rig.picks_up(own[0]);
    rig.keys(own[0], "1");
    assert_eq!(rig.event("call.handed_over")["relief"], "mobile");
    rig.pass(30_000);
    let again = rig.rung_at(PHONES[1]);
    assert_eq!(again.len(), 2, "rested, now for the second call");
    assert_eq!(rig.switch.call_of_leg(again[1]), Some(second));
    assert_eq!(rig.rung_at(PHONES[0]).len(), 1, "it talks");
    assert_eq!(rig.switch.call_of_leg(own[0]), Some(first));
}

#[test]
fn key_before_they_picked_up_is_none_and_a_silent_trunk_does_not_ring_their_phone_for_two_calls() {
    let mut rig = rig();
    let (call, _) = rig.waits_behind();
    rig.arrives();
    rig.pass(30_000);
    let leg = rig.rung_at(PEER)[0];
    rig.keys(leg, "1");
    assert_eq!(rig.state(call), Some(CallState::Waiting));
    rig.pass(4_000);
    assert_eq!(
        rig.rung_at(PEER).len(),
        2,
        "the next trunk, for the same call"
    );
    let next = rig.rung_at(PEER)[1];
    assert_eq!(rig.switch.call_of_leg(next), Some(call));
}

#[test]
fn mobile_group_is_left_in_peace_while_a_seat_serves() {
    let mut rig = rig();
    rig.waits_behind();
    rig.pass(60_000);
    assert!(PHONES.iter().all(|n| rig.rung_at(n).is_empty()));
}

#[test]
fn supervisor_who_only_listens_keeps_the_mobile_group_from_no_caller() {
    let mut rig = rig();
    let (_, _, seat) = rig.talk("801");
    let (call, _) = rig.arrives();
    rig.registers("901");
    let supervisor = SeatId::from("901");
    let listen = Command::Listen {
        call,
        seat: supervisor.clone(),
        mode: Mode::Listen,
    };
    assert!(rig.command(Actor::Supervisor(supervisor), listen).is_ok());
    assert_eq!(rig.seat("901").0, SeatState::Listening);
    assert_eq!(rig.rung_at(PHONES[0]), [], "801 serves");
    rig.is_lost(seat);
    assert_eq!(rig.rung_at(PHONES[0]).len(), 1);
}

#[test]
fn call_that_a_peer_sent_is_never_sent_on() {
    let mut rig = rig();
    rig.talk("801");
    let arrival = rig.arrival("in");
    rig.arrives_as(arrival);
    rig.pass(60_000);
    assert_eq!(rig.rung_at(PEER), []);
}

#[test]
fn busy_first_trunk_is_followed_by_the_next_and_lost_line_brings_the_caller_back() {
    let mut rig = rig();
    let (call, caller) = rig.waits_behind();
    rig.pass(30_000);
    let first = rig.rung_at(PEER)[0];
    rig.fails(first, Cause::Unavailable);
    let [_, leg] = rig.rung_at(PEER)[..] else {
        panic!("the next trunk");
    };
    assert_eq!(rig.count("relief.ended"), 0);
    rig.picks_up(leg);
    rig.keys(leg, "1");
    assert_eq!(rig.hears(caller), [leg]);
    rig.is_lost(leg);
    assert_eq!(rig.state(call), Some(CallState::Waiting));
    assert_eq!(rig.said(caller), ["line_fault_caller"]);
}

#[test]
fn caller_who_hangs_up_releases_whoever_is_rung_or_has_taken_him() {
    let mut rig = rig();
    let (_, caller) = rig.waits_behind();
    rig.pass(30_000);
    let leg = rig.rung_at(PEER)[0];
    rig.hangs_up(caller);
    assert!(rig.released(leg).is_some());
    assert_eq!(rig.event("call.ended")["outcome"], "abandoned");
    let (_, caller) = rig.arrives();
    rig.pass(30_000);
    let leg = rig.rung_at(PEER)[1];
    rig.picks_up(leg);
    rig.keys(leg, "1");
    rig.hangs_up(caller);
    assert!(rig.released(leg).is_some());
    assert_eq!(rig.event("call.ended")["outcome"], "answered");
}
