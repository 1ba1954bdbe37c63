//! The enriched call record: a fold of one call's Events, valid against the published schema.

use firstring::call::{Complaint, FormChange, GroupResult, GroupTarget, GroupWish};
use firstring::call_record::{CallRecord, DeliveryType, publish};
use firstring::id::{
    CallId, DestinationId, GroupCallId, GroupId, LegId, MenuId, PromptId, QueueId, SeatId,
};
use firstring::switch::{Actor, Event, EventKind};
use firstring::time::Timestamp;
use uuid::Uuid;

use crate::support::one_call;

fn schema() -> jsonschema::Validator {
    let text = include_str!("../../schema/call-record.schema.json");
    jsonschema::validator_for(&serde_json::from_str(text).unwrap()).unwrap()
}

fn fold(events: &[Event]) -> CallRecord {
    CallRecord::fold(&one_call::centre(), events).unwrap()
}

#[track_caller]
fn assert_valid(record: &CallRecord) {
    let value = serde_json::to_value(record).unwrap();
    let faults: Vec<_> = schema()
        .iter_errors(&value)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert!(faults.is_empty(), "{faults:#?}\n{value:#}");
}

#[test]
fn whole_call_folds_into_the_golden_record() {
    let script = one_call::answered(0, "13800138000");
    let record = fold(&script.events);
    assert_valid(&record);
    insta::assert_json_snapshot!("whole_call", record);
}

#[test]
fn abandoned_call_has_its_wait_and_its_call_back() {
    let record = fold(&one_call::abandoned(1, "13800138001").events);
    assert_valid(&record);
    assert_eq!(record.outcome(), Some("abandoned"));
    assert_eq!(record.metrics.wait_ms, Some(6_000));
    assert_eq!(record.metrics.queue_ms, Some(5_700));
    assert_eq!(record.metrics.offhook_ms, None);
    assert_eq!(record.call_backs[0].outcome.as_deref(), Some("called_back"));
    insta::assert_json_snapshot!("abandoned_call", record);
}

#[test]
fn reopened_record_loses_the_outcome_of_the_restart_and_lists_both_recordings() {
    let script = one_call::reopened(2, "13800138002");
    let at_reopening = script
        .events
        .iter()
        .position(|event| matches!(event.kind, EventKind::CallReopened { .. }))
        .unwrap();
    let lost = fold(&script.events[..at_reopening]);
    assert_eq!(lost.outcome(), Some("lost"));
    let open = fold(&script.events[..=at_reopening]);
    assert_valid(&open);
    assert_eq!(open.outcome(), None);
    assert!(open.rev > lost.rev && open.times.settled.is_none());
    let record = fold(&script.events);
    assert_valid(&record);
    assert_eq!(record.outcome(), Some("answered"));
    assert_eq!(
        record.metrics.wait_ms,
        Some(9_000),
        "from the first arrival"
    );
    let states: Vec<_> = record.recordings.iter().map(|r| r.state.as_str()).collect();
    assert_eq!(states, ["failed", "recording"]);
    assert!(record.call_backs[0].closed_at.is_some());
}

#[test]
fn a_caller_joined_to_another_call_is_answered_then_and_each_record_names_the_other() {
    let with = CallId(Uuid::now_v7());
    let waiting = || {
        let mut script = one_call::answered(0, "13800138000");
        let ringing = |event: &Event| matches!(event.kind, EventKind::SeatRinging { .. });
        let cut = script.events.iter().position(ringing).unwrap();
        script.events.truncate(cut);
        script
    };
    let own = waiting().call;
    let leg = LegId(Uuid::now_v7());
    let joined = |into| EventKind::CallJoined {
        with,
        with_serial_no: "20261122000077".to_owned(),
        into,
        seat: "801".into(),
        leg,
        by: Actor::Seat("801".into()),
    };
    for (into, seats) in [(with, 1), (own, 0)] {
        let mut script = waiting();
        script.push(7_000, joined(into));
        script.push(37_000, EventKind::CallParted { with, into });
        let record = fold(&script.events);
        assert_valid(&record);
        let link = &record.joined_calls[0];
        assert_eq!((link.call_id, link.into), (with, into));
        assert_eq!(link.serial_no, "20261122000077");
        let parted = link.parted_at.unwrap();
        assert_eq!(parted.millis_since(link.joined_at), 30_000);
        assert_eq!(record.seats.len(), seats);
    }
    let mut script = waiting();
    script.push(7_000, joined(with));
    script.push(37_000, EventKind::CallParted { with, into: with });
    let guest = fold(&script.events);
    assert_eq!(guest.metrics.wait_ms, Some(7_000));
    assert_eq!(guest.metrics.offhook_ms, None, "nothing was rung");
    assert_eq!(guest.metrics.talk_ms, Some(30_000));
    assert_eq!(guest.seats[0].role, "joiner");
    assert_eq!(guest.seats[0].result, "answered");
}

#[test]
fn record_is_valid_after_every_single_event() {
    let script = one_call::answered(0, "13800138000");
    let schema = schema();
    for end in 1..=script.events.len() {
        let value = serde_json::to_value(fold(&script.events[..end])).unwrap();
        assert!(schema.is_valid(&value), "after event {end}: {value:#}");
    }
}

#[test]
fn stored_record_folds_on_as_if_it_had_never_been_stored() {
    let script = one_call::answered(0, "13800138000");
    let whole = fold(&script.events);
    for cut in 1..script.events.len() {
        let stored = serde_json::to_string(&fold(&script.events[..cut])).unwrap();
        let mut record: CallRecord = serde_json::from_str(&stored).unwrap();
        for event in &script.events[cut..] {
            record.apply(event);
        }
        assert_eq!(record, whole, "cut after event {cut}");
    }
}

#[test]
fn deliveries_are_arrived_then_enriched_then_closed_with_the_recording() {
    let script = one_call::answered(0, "13800138000");
    let mut record = CallRecord::new(script.call, &one_call::centre());
    let mut made = Vec::new();
    for event in &script.events {
        let before = record.clone();
        record.apply(event);
        if let Some(delivery) = publish(&event.kind, Some(&before), &record) {
            made.push((record.rev, delivery, record.clone()));
        }
    }
    let revs: Vec<_> = made.iter().map(|(rev, ..)| *rev).collect();
    assert_eq!(
        revs,
        (1..=record.rev).collect::<Vec<_>>(),
        "each revision once"
    );
    assert_eq!(made[0].1, DeliveryType::Arrived);
    let closed: Vec<_> = made
        .iter()
        .filter(|(_, delivery, _)| *delivery == DeliveryType::Closed)
        .collect();
    assert_eq!(closed.len(), 1);
    assert_eq!(closed[0].2.recordings[0].state, "sealed");
}

#[test]
fn repeated_acknowledgement_makes_no_revision_so_that_it_is_not_delivered_again() {
    let script = one_call::answered(0, "13800138000");
    let (last, earlier) = script.events.split_last().unwrap();
    let mut record = fold(earlier);
    let before = record.clone();
    assert!(!record.apply(last));
    assert_eq!(record, before);
    assert_eq!(record.incident_id.as_deref(), Some("INC-7"));
    assert_eq!(record.acknowledgements.len(), 2);
}

#[test]
fn schema_refuses_a_record_with_an_unknown_field_or_a_number_that_is_no_text() {
    let schema = schema();
    let whole = serde_json::to_value(fold(&one_call::answered(0, "13800138000").events)).unwrap();
    let mut unknown = whole.clone();
    unknown["surprise"] = serde_json::json!(1);
    assert!(!schema.is_valid(&unknown));
    let mut numeric = whole;
    numeric["caller"]["number"]["raw"] = serde_json::json!(13_800_138_000_u64);
    assert!(!schema.is_valid(&numeric));
}

#[test]
fn way_through_a_menu_stands_in_the_record() {
    let mut script = one_call::answered(0, "13800138000");
    let menu = MenuId::from("info");
    let digit = |node: &str, digit| EventKind::MenuDigit {
        menu: menu.clone(),
        node: node.to_owned(),
        digit,
    };
    let kinds = [
        EventKind::MenuEntered { menu: menu.clone() },
        digit("main", '1'),
        digit("more", '*'),
        EventKind::MenuLeft {
            menu: menu.clone(),
            node: String::from("more"),
            reason: String::from("chosen"),
            queue: Some(QueueId::from("120")),
        },
    ];
    let received = script.events[0].clone();
    for (n, kind) in kinds.into_iter().enumerate() {
        let event = Event {
            kind,
            ..received.clone()
        };
        script.events.insert(1 + n, event);
        assert_valid(&fold(&script.events[..2 + n]));
    }
    let stay = fold(&script.events).menu.unwrap();
    let keys: String = stay.keys.iter().map(|key| key.digit).collect();
    assert_eq!((stay.id, keys.as_str()), (menu, "1*"));
    assert_eq!(stay.reason.as_deref(), Some("chosen"));
    assert_eq!(stay.queue, Some(QueueId::from("120")));
    assert!(stay.end.is_some());
}

#[test]
fn form_type_and_notes_are_in_the_record_with_what_stood_there_before() {
    let mut script = one_call::answered(0, "13800138000");
    let by = Actor::Seat("802".into());
    let mut wrote = |at_ms, revision, patch: &str| {
        let change = FormChange::from_patch(serde_json::from_str(patch).unwrap()).unwrap();
        let (by, change) = (by.clone(), Box::new(change));
        script.push(
            at_ms,
            EventKind::FormChanged {
                by,
                revision,
                change,
            },
        );
    };
    wrote(
        20_000,
        1,
        r#"{"patient_name":"王某","sex":1,"age_years":61,"casualties":3,"scene":"深南大道","reason":{"l1":"trauma","l2":"traffic","zh":"创伤 / 交通伤","en":"Trauma / Traffic accident"}}"#,
    );
    wrote(
        25_000,
        2,
        r#"{"scene":"深南大道 1 号","pickup":"北门","contact_number":"0755-88886666","age_years":null}"#,
    );
    wrote(
        600_000,
        3,
        r#"{"pickup":null,"chief_complaint":"胸痛半小时"}"#,
    );
    let (code, zh, en) = (
        "emergency".to_owned(),
        "急救".to_owned(),
        "Emergency".to_owned(),
    );
    script.push(
        600_001,
        EventKind::CallClassified {
            by: by.clone(),
            code,
            zh,
            en,
        },
    );
    let text = String::from("家属在路口");
    script.push(
        600_002,
        EventKind::NoteAdded {
            by: by.clone(),
            text,
        },
    );
    let record = fold(&script.events);
    assert_valid(&record);
    let person = record.person.clone().unwrap();
    assert_eq!(
        (person.name.as_deref(), person.age_years),
        (Some("王某"), None)
    );
    assert_eq!(
        record.reason.clone().unwrap().l2.as_deref(),
        Some("traffic")
    );
    let contact = record.contact.clone().unwrap();
    assert_eq!(
        (contact.number.as_deref(), &contact.by),
        (Some("0755-88886666"), &by)
    );
    let form = record.form.clone().unwrap();
    assert_eq!(
        (form.revision, form.scene.as_deref(), form.pickup),
        (3, Some("深南大道 1 号"), None)
    );
    // Backwards through the changes: the form as it stood first.
    let before: Vec<_> = form
        .changes
        .iter()
        .map(|c| c.replaced.scene.as_deref())
        .collect();
    assert_eq!(before, [None, Some("深南大道"), None]);
    assert_eq!(form.changes[1].replaced.age_years, Some(61));
    assert_eq!(form.changes[2].replaced.pickup.as_deref(), Some("北门"));
    let places: Vec<_> = record
        .locations
        .iter()
        .filter(|l| l.source == "seat")
        .map(|l| l.id.as_str())
        .collect();
    assert_eq!(places, ["scene"], "once each; what was cleared is gone");
    assert_eq!(record.call_type.clone().unwrap().code, "emergency");
    assert_eq!(record.notes[0].text, "家属在路口");
    let stored = serde_json::to_value(&record).unwrap();
    let read: CallRecord = serde_json::from_value(stored).unwrap();
    assert_eq!(read, record, "a stored record can be folded further");
}

#[test]
fn a_complaint_holds_the_record_and_a_major_incident_shows_who_did_which_step() {
    let mut script = one_call::answered(0, "13800138000");
    let (by, complaint) = (Actor::Seat("802".into()), Uuid::now_v7().into());
    let told = Complaint {
        complaint,
        call: script.call,
        about: Vec::new(),
        person: Some(String::from("李某")),
        number: None,
        text: String::from("车来得太晚"),
        by: by.to_string(),
        at: Timestamp::from_micros(one_call::START_US),
        held: true,
        closed: None,
    };
    let steps = vec![
        "place | 地点 | Place".parse().unwrap(),
        "danger | 危险 | Danger".parse().unwrap(),
    ];
    let reason = String::from("casualties");
    script.push(
        20_000,
        EventKind::MajorIncident {
            by: by.clone(),
            reason,
            steps,
        },
    );
    let code = String::from("danger");
    script.push(
        21_000,
        EventKind::StepTicked {
            by: by.clone(),
            code,
            done: true,
        },
    );
    script.push(
        600_000,
        EventKind::ComplaintOpened {
            complaint: Box::new(told),
        },
    );
    let held = fold(&script.events);
    assert_valid(&held);
    assert!(held.legal_hold);
    let major = held.major_incident.clone().unwrap();
    let done: Vec<_> = major.steps.iter().map(|s| s.by.clone()).collect();
    assert_eq!(done, [None, Some(by.clone())]);
    let outcome = String::from("已解释");
    script.push(
        700_000,
        EventKind::ComplaintClosed {
            complaint,
            by: by.clone(),
            outcome,
        },
    );
    let closed = fold(&script.events);
    assert!(closed.legal_hold && closed.complaints[0].state == "closed");
    script.push(800_000, EventKind::HoldLifted { complaint, by });
    let lifted = fold(&script.events);
    assert_valid(&lifted);
    assert!(!lifted.legal_hold && !lifted.complaints[0].hold);
}

#[test]
fn crews_are_in_the_record_of_the_incident_masked_and_in_that_of_their_own_call() {
    let mut script = one_call::answered(0, "13800138000");
    let number = firstring::phone::parse("13911112222", "0755", false);
    let of = script.call;
    let received = script.events[0].clone();
    let kinds = [
        EventKind::CrewCalled {
            of,
            incident_id: Some(String::from("I-1")),
            seat: Some(SeatId::from("802")),
        },
        EventKind::CrewNamed {
            numbers: vec![number],
            by: Actor::User(String::from("a")),
        },
    ];
    for (n, kind) in kinds.into_iter().enumerate() {
        let event = Event {
            kind,
            ..received.clone()
        };
        script.events.insert(1 + n, event);
        assert_valid(&fold(&script.events[..2 + n]));
    }
    let crew = fold(&script.events).crew.unwrap();
    assert_eq!(crew.of_call_id, Some(of));
    assert_eq!(crew.numbers, ["tel:139****2222"]);
}

#[test]
fn group_call_about_a_call_is_in_its_record_with_every_number_and_no_revision_for_each_ring() {
    let mut script = one_call::answered(0, "13800138000");
    let (group_call, leg) = (GroupCallId(script.leg().0), script.leg());
    let numbers = ["13900139001", "13900139002"].map(str::to_owned);
    let wish = GroupWish {
        numbers: numbers.to_vec(),
        group: Some(GroupId::from("volunteers")),
        prompt: PromptId::from("group_alert"),
        digit: '1',
        call: Some(script.call),
        first_wins: true,
        retries: 0,
    };
    let by = Actor::Module(DestinationId::from("dispatch"));
    let wish = Box::new(wish);
    let before = fold(&script.events).rev;
    let started = EventKind::GroupCallStarted {
        group_call,
        wish,
        by,
    };
    script.push(90_000, started);
    let answered = EventKind::GroupAnswered {
        group_call,
        number: numbers[0].clone(),
        leg,
    };
    script.push(95_000, answered);
    let acknowledged = EventKind::GroupAcknowledged {
        group_call,
        number: numbers[0].clone(),
        leg,
        after_ms: 3_000,
    };
    script.push(98_000, acknowledged);
    let record = fold(&script.events);
    assert_eq!(record.rev, before + 2, "the start and the key");
    let shown = &record.group_calls[0].targets;
    assert_eq!(shown[0].number, "tel:139****9001");
    assert_eq!(shown[0].result, Some(GroupResult::Acknowledged));
    assert_eq!(shown[1].result, None);
    assert_valid(&record);
    let target = |n: usize, result| GroupTarget {
        result: Some(result),
        ended_at: Some(script.at(98_000)),
        ..GroupTarget::new(numbers[n].clone())
    };
    let targets = vec![
        target(0, GroupResult::Acknowledged),
        target(1, GroupResult::Taken),
    ];
    let why = String::from("taken");
    let ended = EventKind::GroupCallEnded {
        group_call,
        why,
        targets,
    };
    script.push(98_000, ended);
    let record = fold(&script.events);
    let group = &record.group_calls[0];
    assert_eq!(group.ended_why.as_deref(), Some("taken"));
    assert_eq!(group.targets[1].result, Some(GroupResult::Taken));
    assert_valid(&record);
}
