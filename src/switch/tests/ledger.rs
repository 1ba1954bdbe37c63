use super::*;

fn alarm(rig: &mut Rig, raised: bool, detail: &str) {
    rig.input(InputKind::Alarm {
        code: AlarmCode::JournalLate,
        subject: String::from("journal"),
        detail: detail.to_owned(),
        raised,
    });
}

#[test]
fn alarm_raised_twice_is_one_event_with_the_latest_detail() {
    let mut rig = Rig::new();
    alarm(&mut rig, true, "60 ms");
    alarm(&mut rig, true, "90 ms");
    assert_eq!(rig.count("alarm.raised"), 1);
    assert_eq!(rig.switch.view().alarms[0].detail, "90 ms");
    alarm(&mut rig, false, "");
    alarm(&mut rig, false, "");
    assert_eq!(rig.count("alarm.cleared"), 1);
    assert!(rig.switch.view().alarms.is_empty());
}

#[test]
fn trunk_that_goes_down_alarms_until_it_is_up() {
    let mut rig = Rig::new();
    let trunk = TrunkId::from("ct");
    let down = TrunkChange::Down {
        reason: String::from("3 OPTIONS unanswered"),
    };
    for change in [down.clone(), down, TrunkChange::Up, TrunkChange::Up] {
        let trunk = trunk.clone();
        rig.input(InputKind::Trunk { trunk, change });
    }
    assert_eq!(rig.count("trunk.down"), 1);
    assert_eq!(rig.count("trunk.up"), 1);
    assert_eq!(rig.count("alarm.raised"), 1);
    assert_eq!(rig.count("alarm.cleared"), 1);
}

#[test]
fn unknown_source_alarm_says_the_line_that_would_admit_it_and_ends_by_itself() {
    let mut rig = Rig::new();
    for count in [1, 2] {
        rig.input(InputKind::UnknownSource {
            address: String::from("203.0.113.9"),
            count,
        });
    }
    assert_eq!(rig.count("alarm.raised"), 1);
    let detail = rig.switch.view().alarms[0].detail.clone();
    assert!(
        detail.contains("\"203.0.113.9/32\"") && detail.contains("2 INVITE"),
        "{detail}"
    );
    rig.pass(600_000);
    assert!(rig.switch.view().alarms.is_empty());
}

#[test]
fn scan_of_the_internet_does_not_fill_the_ledger() {
    let mut rig = Rig::new();
    for n in 0..500_u32 {
        rig.switch.handle(&Input {
            at: rig.now,
            kind: InputKind::UnknownSource {
                address: format!("198.51.{}.{}", n / 250, n % 250),
                count: 1,
            },
        });
    }
    assert!(rig.switch.view().alarms.len() <= 65);
}

#[test]
fn waiting_calls_without_any_seat_at_work_alarm_until_one_is_there() {
    let mut rig = Rig::new();
    rig.registers("901");
    assert!(!rig.has_alarm(AlarmCode::SeatsNone, "seats"));
    rig.arrives();
    assert!(
        rig.has_alarm(AlarmCode::SeatsNone, "seats"),
        "901 is not ready"
    );
    rig.registers("801");
    assert!(!rig.has_alarm(AlarmCode::SeatsNone, "seats"));
}

#[test]
fn trunk_taken_out_of_the_configuration_takes_its_alarm_along() {
    let mut rig = Rig::new();
    rig.input(InputKind::Trunk {
        trunk: TrunkId::from("ct"),
        change: TrunkChange::Down {
            reason: String::from("x"),
        },
    });
    let mut policy = policy();
    policy.trunks.remove(&TrunkId::from("ct"));
    rig.input(InputKind::PolicyChanged {
        policy: Box::new(policy),
    });
    assert!(rig.switch.view().alarms.is_empty());
    assert_eq!(rig.switch.view().trunks.len(), 2);
}

#[test]
fn calls_past_the_maximum_are_refused_with_a_record() {
    let mut rig = Rig::new();
    let mut last = None;
    for _ in 0..=crate::limits::CALLS_MAX {
        let arrival = Box::new(rig.arrival("ct"));
        last = Some(arrival.leg);
        rig.switch.handle(&Input {
            at: rig.now,
            kind: InputKind::Arrived { arrival },
        });
        while let Some(effect) = rig.switch.poll_effect() {
            rig.effects.push(effect);
        }
    }
    assert_eq!(rig.released(last.unwrap()), Some(Cause::Capacity));
    let view = rig.switch.view();
    assert_eq!(view.refused, 1);
    assert_eq!(view.calls.len(), crate::limits::CALLS_MAX);
    assert!(rig.has_alarm(AlarmCode::CapacityRefused, "calls"));
}
