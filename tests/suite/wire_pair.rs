//! Two machines against each other in virtual time: calls, loss, restarts, session timers, full teardown.

use std::time::Duration;

use firstring::call::{Cause, DialogState, Invite, LegCommand, LegEvent, Target};
use firstring::id::{CallId, LegId};
use firstring::media::session::Codec;
use firstring::sip::dialog::{Dialog, State};
use firstring::sip::ua::Tell;
use uuid::Uuid;

use super::wire_bench::{Node, Pair, setup};

const OUT: LegId = LegId(Uuid::from_u128(1));

fn invite() -> LegCommand {
    LegCommand::Invite(Box::new(Invite {
        call: CallId(Uuid::from_u128(7)),
        target: Target::Number {
            trunk: "t".into(),
            number: "120".into(),
        },
        from_number: "13800138000".into(),
        from_name: Some("南山区".into()),
        picks_up: false,
    }))
}

/// A dials, B sees the call arrive.
fn ringing(seed: u64, loss: u64) -> (Pair, LegId) {
    let mut pair = Pair::new(seed);
    pair.loss_percent = loss;
    pair.a.ua.command(pair.now, OUT, invite());
    assert!(pair.until(Duration::from_secs(32), |p| p.b.arrived().is_some()));
    let leg = pair.b.arrived().unwrap().leg;
    (pair, leg)
}

/// As `ringing`, then B answers and both know.
fn talking(seed: u64, loss: u64) -> (Pair, LegId) {
    let (mut pair, leg) = ringing(seed, loss);
    pair.b.ua.command(pair.now, leg, LegCommand::Answer);
    assert!(pair.until(Duration::from_secs(32), |p| {
        p.a.events(OUT).contains(&LegEvent::Answered)
            && p.b.events(leg).contains(&LegEvent::Confirmed)
    }));
    (pair, leg)
}

fn assert_empty(pair: &mut Pair) {
    pair.loss_percent = 0;
    pair.run(Duration::from_secs(70));
    for node in [&pair.a, &pair.b] {
        let sizes = node.ua.sizes();
        assert_eq!(
            (sizes.dialogs, sizes.server_transactions),
            (0, 0),
            "{sizes:?}"
        );
        assert!(
            sizes.client_transactions <= 1,
            "only a probe may be under way: {sizes:?}"
        );
        assert_eq!(node.gate.open_count(), 0);
    }
}

#[test]
fn a_call_is_set_up_talked_and_ended_and_every_table_is_empty_again() {
    let (mut pair, leg) = talking(1, 0);
    let arrival = pair.b.arrived().unwrap().clone();
    assert_eq!(
        (arrival.called.as_str(), arrival.caller.as_str()),
        ("120", "13800138000")
    );
    assert_eq!(arrival.caller_name.as_deref(), Some("南山区"));
    let session = pair.a.gate.last_session(OUT).unwrap();
    assert_eq!((session.codec, session.dtmf), (Codec::Pcma, Some(101)));
    assert!(pair.b.gate.last_session(leg).is_some());
    pair.a.ua.command(
        pair.now,
        OUT,
        LegCommand::Release {
            cause: Cause::SeatReleased,
        },
    );
    pair.run(Duration::from_secs(1));
    assert_eq!(
        pair.a.events(OUT).last(),
        Some(&LegEvent::Ended {
            cause: Cause::SeatReleased,
            by_far_side: false
        })
    );
    assert_eq!(
        pair.b.events(leg).last(),
        Some(&LegEvent::Ended {
            cause: Cause::Normal,
            by_far_side: true
        })
    );
    assert_empty(&mut pair);
}

#[test]
fn calls_survive_a_network_that_loses_doubles_and_reorders() {
    for seed in 0..200 {
        let (mut pair, leg) = talking(seed, 25);
        let (ends, other) = if seed % 2 == 0 {
            (OUT, leg)
        } else {
            (leg, OUT)
        };
        let release = LegCommand::Release {
            cause: Cause::Normal,
        };
        if seed % 2 == 0 {
            pair.a.ua.command(pair.now, ends, release);
        } else {
            pair.b.ua.command(pair.now, ends, release);
        }
        let heard = pair.until(Duration::from_secs(40), |p| {
            let events = if seed % 2 == 0 {
                p.b.events(other)
            } else {
                p.a.events(other)
            };
            matches!(
                events.last(),
                Some(LegEvent::Ended {
                    by_far_side: true,
                    ..
                })
            )
        });
        assert!(heard, "seed {seed}");
        assert_eq!(
            pair.b
                .told
                .iter()
                .filter(|t| matches!(t, Tell::Arrived(_)))
                .count(),
            1,
            "seed {seed}"
        );
        for events in [pair.a.events(OUT), pair.b.events(leg)] {
            let ends = events
                .iter()
                .filter(|e| matches!(e, LegEvent::Ended { .. } | LegEvent::Failed { .. }))
                .count();
            assert_eq!(ends, 1, "seed {seed}: {events:?}");
        }
        assert_empty(&mut pair);
    }
}

#[test]
fn a_cancelled_call_ends_on_both_sides_whatever_the_network_does() {
    for seed in 0..100 {
        let (mut pair, leg) = ringing(seed, 20);
        if seed % 3 == 0 {
            // The answer crosses the CANCEL.
            pair.b.ua.command(pair.now, leg, LegCommand::Answer);
        }
        pair.a.ua.command(
            pair.now,
            OUT,
            LegCommand::Release {
                cause: Cause::Withdrawn,
            },
        );
        let ended = pair.until(Duration::from_secs(64), |p| {
            matches!(
                p.b.events(leg).last(),
                Some(LegEvent::Ended {
                    by_far_side: true,
                    ..
                })
            )
        });
        assert!(ended, "seed {seed}: {:?}", pair.b.events(leg));
        assert_eq!(
            pair.a.events(OUT).last(),
            Some(&LegEvent::Ended {
                cause: Cause::Withdrawn,
                by_far_side: false
            })
        );
        assert_empty(&mut pair);
    }
}

#[test]
fn a_refusal_reaches_the_caller_as_its_cause() {
    let (mut pair, leg) = ringing(3, 10);
    pair.b
        .ua
        .command(pair.now, leg, LegCommand::Release { cause: Cause::Busy });
    pair.run(Duration::from_secs(40));
    assert_eq!(
        pair.a.events(OUT).last(),
        Some(&LegEvent::Failed {
            cause: Cause::Busy,
            status: Some(486)
        })
    );
    assert_empty(&mut pair);
}

#[test]
fn early_media_is_reliable_and_the_answer_waits_for_its_prack() {
    for seed in 0..50 {
        let (mut pair, leg) = ringing(seed, 20);
        pair.b.ua.command(pair.now, leg, LegCommand::EarlyMedia);
        pair.b.ua.command(pair.now, leg, LegCommand::Answer);
        let answered = pair.until(Duration::from_secs(40), |p| {
            p.b.events(leg).contains(&LegEvent::Confirmed)
        });
        assert!(answered, "seed {seed}");
        let events = pair.a.events(OUT);
        let early = LegEvent::Progress {
            status: 183,
            early_media: true,
        };
        assert_eq!(
            events.iter().filter(|e| **e == early).count(),
            1,
            "seed {seed}: {events:?}"
        );
        assert!(pair.a.gate.last_session(OUT).is_some());
    }
}

#[test]
fn an_unreachable_trunk_is_told_after_the_timeout_and_down_after_three_probes() {
    let mut pair = Pair::new(4);
    pair.loss_percent = 100;
    pair.a.ua.command(pair.now, OUT, invite());
    pair.run(Duration::from_secs(13));
    let down = |t: &Tell| matches!(t, Tell::TrunkDown { .. });
    assert_eq!(pair.a.told.iter().filter(|t| down(t)).count(), 1);
    pair.run(Duration::from_secs(25));
    assert_eq!(
        pair.a.events(OUT),
        [LegEvent::Failed {
            cause: Cause::Unreachable,
            status: None
        }]
    );
    pair.loss_percent = 0;
    pair.run(Duration::from_secs(31));
    assert!(
        matches!(pair.a.told.last(), Some(Tell::TrunkUp { .. })),
        "{:?}",
        pair.a.told.last()
    );
}

#[test]
fn a_session_timer_keeps_a_call_for_hours_and_ends_a_dead_one_as_lost() {
    let (mut pair, leg) = talking(5, 0);
    pair.run(Duration::from_secs(4 * 3600));
    assert_eq!(pair.b.events(leg), [LegEvent::Confirmed]);
    pair.loss_percent = 100;
    pair.run(Duration::from_secs(3600));
    let lost = LegEvent::Ended {
        cause: Cause::Lost,
        by_far_side: true,
    };
    assert_eq!(pair.a.events(OUT).last(), Some(&lost));
    assert_eq!(pair.b.events(leg).last(), Some(&lost));
    assert_empty(&mut pair);
}

/// The journal's form of a dialog reads back as the same dialog.
fn restored(state: &DialogState) -> Dialog {
    let text = serde_json::to_string(state).unwrap();
    let again: DialogState = serde_json::from_str(&text).unwrap();
    let dialog = Dialog::from_state(&again).unwrap();
    assert_eq!(dialog.to_state(), *state);
    dialog
}

/// Replaces machine A by a fresh process at the same address.
fn restart(pair: &mut Pair) {
    let mut setup = setup("10.0.0.1:5060", Some("10.0.0.2:5060"), "10.0.0.2", 77);
    setup.seed = [77; 32];
    pair.a = Node::new(pair.now, "10.0.0.1:5060", setup);
}

#[test]
fn after_a_restart_each_state_of_a_dialog_is_closed_from_the_journal() {
    // Unanswered: CANCEL.
    let (mut pair, leg) = ringing(6, 0);
    pair.run(Duration::from_millis(100));
    let state = pair.a.dialog(OUT);
    assert!(matches!(restored(&state).state, State::Calling(_)));
    assert!(matches!(
        restored(&pair.b.dialog(leg)).state,
        State::Arriving(_)
    ));
    restart(&mut pair);
    pair.a.ua.command(
        pair.now,
        OUT,
        LegCommand::ReleaseOrphan {
            dialog: state,
            cause: Cause::Restarted,
        },
    );
    pair.run(Duration::from_secs(3));
    assert_eq!(
        pair.b.events(leg),
        [LegEvent::Ended {
            cause: Cause::Cancelled,
            by_far_side: true
        }]
    );
    assert_empty(&mut pair);

    // The answer crossed the restart: ACK and BYE.
    let (mut pair, leg) = ringing(7, 0);
    pair.run(Duration::from_millis(100));
    let state = pair.a.dialog(OUT);
    restart(&mut pair);
    pair.b.ua.command(pair.now, leg, LegCommand::Answer);
    pair.a.ua.command(
        pair.now,
        OUT,
        LegCommand::ReleaseOrphan {
            dialog: state,
            cause: Cause::Restarted,
        },
    );
    pair.run(Duration::from_secs(3));
    assert!(matches!(
        pair.b.events(leg).last(),
        Some(LegEvent::Ended {
            by_far_side: true,
            ..
        })
    ));
    assert_empty(&mut pair);

    // Talking: BYE.
    let (mut pair, leg) = talking(8, 0);
    pair.run(Duration::from_secs(1));
    let state = pair.a.dialog(OUT);
    assert!(matches!(restored(&state).state, State::Established(_)));
    assert!(matches!(
        restored(&pair.b.dialog(leg)).state,
        State::Established(_)
    ));
    restart(&mut pair);
    pair.a.ua.command(
        pair.now,
        OUT,
        LegCommand::ReleaseOrphan {
            dialog: state,
            cause: Cause::Restarted,
        },
    );
    pair.run(Duration::from_secs(3));
    assert_eq!(
        pair.a.events(OUT),
        [LegEvent::Ended {
            cause: Cause::Restarted,
            by_far_side: false
        }]
    );
    assert_eq!(
        pair.b.events(leg).last(),
        Some(&LegEvent::Ended {
            cause: Cause::Normal,
            by_far_side: true
        })
    );
    assert_empty(&mut pair);
}

#[test]
fn an_unreadable_orphan_is_reported_ended_and_harms_nothing() {
    let mut pair = Pair::new(9);
    let dialog = DialogState(serde_json::json!({"call_id": 5}));
    pair.a.ua.command(
        pair.now,
        OUT,
        LegCommand::ReleaseOrphan {
            dialog,
            cause: Cause::Restarted,
        },
    );
    pair.run(Duration::from_secs(1));
    assert_eq!(
        pair.a.events(OUT),
        [LegEvent::Ended {
            cause: Cause::Restarted,
            by_far_side: false
        }]
    );
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    let trace = |seed| {
        let (pair, leg) = talking(seed, 25);
        (pair.now, pair.a.dialog(OUT), pair.b.dialog(leg))
    };
    assert_eq!(trace(11), trace(11));
}

#[test]
fn a_silent_far_side_is_asked_in_the_dialog_and_only_a_dead_one_is_lost() {
    let (mut pair, leg) = talking(9, 0);
    let before = pair.a.events(OUT).len();
    pair.a.ua.command(pair.now, OUT, LegCommand::Probe);
    pair.run(Duration::from_secs(60));
    assert_eq!(pair.a.events(OUT).len(), before, "an answer is no event");
    pair.loss_percent = 100;
    pair.a.ua.command(pair.now, OUT, LegCommand::Probe);
    pair.run(Duration::from_secs(11));
    assert_eq!(pair.a.events(OUT).len(), before, "two missed are not three");
    pair.run(Duration::from_secs(2));
    let lost = LegEvent::Ended {
        cause: Cause::Lost,
        by_far_side: true,
    };
    assert_eq!(pair.a.events(OUT).last(), Some(&lost));
    assert_eq!(pair.b.events(leg), [LegEvent::Confirmed]);
}

#[test]
fn a_far_side_that_does_not_know_the_dialog_any_more_is_lost_at_once() {
    let (mut pair, _) = talking(10, 0);
    let mut setup = setup("10.0.0.2:5060", Some("10.0.0.1:5060"), "10.0.0.1", 78);
    setup.seed = [78; 32];
    pair.b = Node::new(pair.now, "10.0.0.2:5060", setup);
    pair.a.ua.command(pair.now, OUT, LegCommand::Probe);
    pair.run(Duration::from_secs(1));
    let lost = LegEvent::Ended {
        cause: Cause::Lost,
        by_far_side: true,
    };
    assert_eq!(pair.a.events(OUT).last(), Some(&lost));
}
