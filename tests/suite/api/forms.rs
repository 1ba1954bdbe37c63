//! The form over HTTP: revisions in headers, fields named, an older call's form out of its record.

use std::sync::Arc;

use axum::body::Body;
use axum::http::Request;
use firstring::call::{Closed, Complaint, FormChange};
use firstring::switch::{Actor, Command, CommandError, EventKind};
use serde_json::json;

use crate::support::desk::{Answer, Desk, request};
use crate::support::one_call;

async fn patch(desk: &Desk, if_match: Option<&str>, body: &str) -> Answer {
    let path = format!("/api/v1/calls/{}/form", desk.talking);
    let plain = request("PATCH", &path, "seat", Some(body.to_owned()));
    let (mut parts, body): (_, Body) = plain.into_parts();
    if let Some(tag) = if_match {
        parts.headers.insert("if-match", tag.parse().unwrap());
    }
    desk.answer(Request::from_parts(parts, body)).await
}

#[tokio::test]
async fn patch_becomes_a_command_with_the_revision_that_was_read() {
    let desk = Desk::new().await;
    let body = r#"{"patient_name":"王某","pickup":null,"reason":{"l1":"trauma","l2":"traffic"}}"#;
    let answer = patch(&desk, Some("\"4\""), body).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let taken = desk.taken.lock().unwrap().clone();
    let [
        (
            Actor::Seat(seat),
            Command::FillForm {
                call,
                revision,
                change,
            },
        ),
    ] = taken.as_slice()
    else {
        panic!("{taken:?}");
    };
    assert_eq!(
        (seat.as_str(), *call, *revision),
        ("801", desk.talking, Some(4))
    );
    let names: Vec<_> = change.fields().iter().map(|field| field.name()).collect();
    assert_eq!(names, ["patient_name", "reason", "pickup"]);
    assert!(change.set.pickup.is_none());
}

#[tokio::test]
async fn change_on_an_older_revision_is_412_with_who_wrote_and_a_wrong_field_422_with_its_name() {
    let desk = Desk::new().await;
    desk.refusals
        .lock()
        .unwrap()
        .push(CommandError::WrongState {
            what: String::from("the form"),
            state: String::from("at revision 5"),
            hint: String::from("seat 802 wrote scene at 08:30; read it again"),
        });
    let answer = patch(&desk, Some("\"4\""), r#"{"scene":"南门"}"#).await;
    assert_eq!(answer.status, 412, "{}", answer.text());
    assert_eq!(answer.json()["code"], "changed_meanwhile");
    assert!(
        answer.text().contains("seat 802 wrote scene"),
        "{}",
        answer.text()
    );
    for (tag, body, field) in [
        (None, r#"{"colour":"red"}"#, "colour"),
        (None, r#"{"age_years":"old"}"#, "age_years"),
        (None, r#"{"reason":{"level":"x"}}"#, "reason"),
        (Some("5"), r#"{"sex":1}"#, "If-Match"),
    ] {
        let answer = patch(&desk, tag, body).await;
        assert_eq!(answer.status, 422, "{}", answer.text());
        assert_eq!(answer.json()["field"], field, "{}", answer.text());
    }
}

#[tokio::test]
async fn form_of_an_older_call_is_read_from_its_record_with_its_revision() {
    let desk = Desk::new().await;
    let open = format!("/api/v1/calls/{}/form", desk.talking);
    let empty = desk.get("seat", &open).await;
    assert_eq!((empty.status, empty.header("etag")), (200, "\"0\""));
    let mut script = one_call::answered(1, "13800138000");
    let by = Actor::Seat("802".into());
    let text = r#"{"patient_name":"王某","contact_number":"0755-88886666","scene":"南门"}"#;
    let change = FormChange::from_patch(serde_json::from_str(text).unwrap()).unwrap();
    let change = Box::new(change);
    script.push(
        40_000,
        EventKind::FormChanged {
            by: by.clone(),
            revision: 1,
            change,
        },
    );
    let (code, zh, en) = ("urge".to_owned(), "催车".to_owned(), "Urging".to_owned());
    script.push(
        40_001,
        EventKind::CallClassified {
            by: by.clone(),
            code,
            zh,
            en,
        },
    );
    let text = String::from("家属在路口");
    script.push(40_002, EventKind::NoteAdded { by, text });
    desk.happened(&script.events).await;
    let path = format!("/api/v1/calls/{}/form", script.call);
    let answer = desk.get("module", &path).await;
    assert_eq!((answer.status, answer.header("etag")), (200, "\"1\""));
    let told = answer.json();
    assert_eq!(told["form"]["patient_name"], "王某");
    assert_eq!(told["form"]["contact_number"], "0755-88886666");
    assert_eq!(
        told["changed"],
        json!(["patient_name", "scene", "contact_number"])
    );
    assert_eq!(
        (&told["call_type"]["code"], &told["notes"][0]["text"]),
        (&json!("urge"), &json!("家属在路口"))
    );
    let nobody = format!("/api/v1/calls/{}/form", uuid::Uuid::nil());
    assert_eq!(desk.get("seat", &nobody).await.status, 404);
}

#[tokio::test]
async fn lists_of_the_centre_are_told_in_both_languages() {
    let desk = Desk::new().await;
    let lists = desk.get("seat", "/api/v1/form_lists").await.json();
    let types = lists["call_types"].as_array().unwrap();
    assert!(
        types
            .iter()
            .any(|t| t["l1"] == "urge" && t["zh"] == "催车" && t["en"] == "Urging")
    );
}

#[tokio::test]
async fn complaints_are_listed_by_state() {
    let desk = Desk::new().await;
    let at = firstring::time::Timestamp::from_micros(one_call::START_US);
    let one = |closed: bool, held: bool| {
        let closed = closed.then(|| Closed {
            by: String::from("supervisor 800"),
            at,
            outcome: String::from("已解释"),
        });
        Arc::new(Complaint {
            complaint: uuid::Uuid::now_v7().into(),
            call: desk.talking,
            about: Vec::new(),
            person: None,
            number: None,
            text: String::from("车来得太晚"),
            by: String::from("seat 801"),
            at,
            held,
            closed,
        })
    };
    desk.view.send_modify(|view| {
        let complaints = vec![one(false, true), one(true, true), one(true, false)];
        Arc::make_mut(view).complaints = complaints;
    });
    for (state, found) in [
        ("", 3),
        ("?state=open", 1),
        ("?state=closed", 2),
        ("?state=held", 2),
    ] {
        let path = format!("/api/v1/complaints{state}");
        let list = desk.get("seat", &path).await.json();
        assert_eq!(list.as_array().unwrap().len(), found, "{state}");
    }
    let wrong = desk.get("seat", "/api/v1/complaints?state=lost").await;
    assert_eq!(
        (wrong.status, wrong.json()["field"].clone()),
        (422, json!("state"))
    );
    let open = desk.get("seat", "/api/v1/handovers").await.json();
    assert_eq!(open["open"]["complaints"].as_array().unwrap().len(), 1);
    assert_eq!(open["open"]["calls"], json!([desk.talking]));
}
