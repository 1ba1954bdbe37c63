use super::*;

/// `handled serving idle away off waiting`.
fn centre(rig: &Rig) -> [u64; 6] {
    figures(&rig.switch.view().counters.centre)
}

fn queue(rig: &Rig, name: &str) -> [u64; 6] {
    let counters = rig.switch.view().counters;
    let found = counters.queues.iter().find(|q| q.queue == name.into());
    figures(&found.expect("a queue").counts)
}

fn figures(counts: &Counts) -> [u64; 6] {
    let [serving, idle, away, off, waiting] = [
        counts.serving,
        counts.idle,
        counts.away,
        counts.off,
        counts.waiting,
    ]
    .map(u64::from);
    [counts.handled, serving, idle, away, off, waiting]
}

#[test]
fn counters_tell_what_seats_and_calls_do_at_every_step() {
    let mut rig = Rig::new();
    assert_eq!(centre(&rig), [0, 0, 0, 0, 4, 0], "nobody has signed in");
    rig.registers("801");
    rig.registers("901");
    assert_eq!(centre(&rig), [0, 0, 1, 1, 2, 0], "the supervisor is away");
    let (_, caller) = rig.arrives();
    assert_eq!(centre(&rig), [0, 1, 0, 1, 2, 1], "rung: it still waits");
    let leg = rig.rung_seat("801").unwrap();
    rig.picks_up(leg);
    assert_eq!(centre(&rig), [1, 1, 0, 1, 2, 0]);
    let since = rig.now;
    rig.arrives();
    rig.pass(3_000);
    rig.arrives();
    let counts = rig.switch.view().counters.centre;
    assert_eq!((counts.waiting, counts.oldest_since), (2, Some(since)));
    assert_eq!(counts.oldest_wait_ms(rig.now), 3_000);
    rig.hangs_up(caller);
    assert_eq!(centre(&rig), [1, 1, 0, 1, 2, 2], "after-call work");
    let leg = rig.rung_seat("801");
    rig.pass(15_000);
    assert_ne!(rig.rung_seat("801"), leg, "the next call rings there");
    rig.link("801", SeatLink::Reachable { reachable: false });
    assert_eq!(
        centre(&rig),
        [1, 0, 0, 1, 3, 2],
        "a lost line serves nobody"
    );
}

#[test]
fn a_seat_counts_in_each_queue_that_it_serves_and_a_call_in_its_own() {
    let mut policy = policy();
    let child = QueueId::from("child");
    policy.queues.insert(child.clone(), QueuePolicy::PLAIN);
    if let Some(trunk) = policy.trunks.get_mut(&TrunkId::from("in")) {
        trunk.queue = Some(child.clone());
    }
    for (seat, queues, role) in [
        ("801", vec![QueueId::from("main")], SeatRole::Dispatcher),
        ("802", Vec::new(), SeatRole::Dispatcher),
        ("803", vec![child], SeatRole::Doctor),
        ("901", Vec::new(), SeatRole::Doctor),
    ] {
        let own = policy.seats.get_mut(&SeatId::from(seat)).unwrap();
        (own.queues, own.role) = (queues, role);
    }
    let mut rig = Rig::with(policy);
    assert_eq!(queue(&rig, "main"), [0, 0, 0, 0, 2, 0], "801, 802");
    assert_eq!(queue(&rig, "child"), [0, 0, 0, 0, 2, 0], "802, 803");
    assert_eq!(centre(&rig), [0, 0, 0, 0, 4, 0]);
    let arrival = rig.arrival("in");
    let (call, _) = rig.arrives_as(arrival);
    assert_eq!(queue(&rig, "child")[5], 1);
    assert_eq!(queue(&rig, "main")[5], 0);
    rig.registers("802");
    let leg = rig.rung_seat("802").unwrap();
    rig.picks_up(leg);
    assert_eq!(queue(&rig, "child"), [1, 1, 0, 0, 1, 0]);
    assert_eq!(queue(&rig, "main"), [0, 1, 0, 0, 1, 0]);
    // Answered once is handled once, whatever becomes of it.
    rig.is_lost(leg);
    assert_eq!(queue(&rig, "child"), [1, 0, 0, 0, 2, 1]);
    rig.registers("803");
    let leg = rig.rung_seat("803").unwrap();
    rig.picks_up(leg);
    assert_eq!(rig.state(call), Some(CallState::Talking));
    assert_eq!(queue(&rig, "child")[0], 1);
    assert_eq!(centre(&rig)[0], 1);
}

#[test]
fn counters_of_calls_begin_anew_at_a_start() {
    let mut rig = Rig::new();
    rig.talk("801");
    assert_eq!(centre(&rig)[0], 1);
    rig.input(InputKind::Started {
        seed: 8,
        build: String::from("test"),
        policy: Box::new(policy()),
    });
    assert_eq!(centre(&rig)[0], 0);
    assert_eq!(queue(&rig, "main")[0], 0);
}
