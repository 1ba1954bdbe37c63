//! What is refused, and that each refusal is a problem document (RFC 9457) which says what, why and which field.

use axum::body::Body;
use axum::http::Request;
use firstring::switch::CommandError;
use serde_json::json;

use crate::support::desk::{Answer, Desk, request, secret};

#[track_caller]
fn problem(answer: &Answer, status: u16, code: &str) {
    assert_eq!(answer.status, status, "{}", answer.text());
    assert_eq!(answer.header("content-type"), "application/problem+json");
    let body = answer.json();
    assert_eq!(
        (body["status"].as_u64(), body["code"].as_str()),
        (Some(status.into()), Some(code)),
        "{body}"
    );
    assert!(
        body["title"].is_string() && body["detail"].as_str().is_some_and(|text| text.len() > 5),
        "{body}"
    );
}

#[tokio::test]
async fn bad_body_is_422_with_field_and_reason_on_every_post() {
    let desk = Desk::new().await;
    let call = desk.talking;
    let posts = [
        (
            "supervisor",
            "/api/v1/seats/801/not_ready".to_owned(),
            "reason",
            json!({ "reason": "离席" }),
        ),
        (
            "supervisor",
            format!("/api/v1/calls/{call}/parties"),
            "role",
            json!({ "number": "110", "role": "110" }),
        ),
        (
            "supervisor",
            format!("/api/v1/calls/{call}/listen"),
            "seat",
            json!({ "seat": "800" }),
        ),
        (
            "module",
            format!("/api/v1/calls/{call}/dispatch"),
            "reason",
            json!({ "report": "cancelled", "order_id": "1", "reason": "x" }),
        ),
        (
            "supervisor",
            format!("/api/v1/call_backs/{}/close", desk.call_back),
            "outcome",
            json!({ "outcome": "误拨" }),
        ),
    ];
    for (role, path, field, good) in posts {
        assert_eq!(
            desk.post(role, &path, good.clone()).await.status,
            200,
            "{path} {good}"
        );
        let mut missing = good.clone();
        missing.as_object_mut().unwrap().shift_remove(field);
        let answer = desk.post(role, &path, missing).await;
        problem(&answer, 422, "bad_field");
        assert_eq!(answer.json()["field"], field, "{path}: {}", answer.text());
        let mut wrong = good.clone();
        wrong[field] = json!(7);
        let answer = desk.post(role, &path, wrong).await;
        problem(&answer, 422, "bad_field");
        // A report is read by its tag first, so its field is named in the reason only.
        let expected = if role == "module" { "body" } else { field };
        assert_eq!(
            answer.json()["field"],
            expected,
            "{path}: {}",
            answer.text()
        );
        for text in ["", "null", "[]", "{", "\"x\"", "{\"a\":1}{}", "\u{feff}{}"] {
            problem(
                &desk
                    .answer(request("POST", &path, role, Some(text.to_owned())))
                    .await,
                422,
                "bad_field",
            );
        }
        let bare = Request::post(&path)
            .header("authorization", format!("Bearer {}", secret(role)))
            .body(Body::from(good.to_string()))
            .unwrap();
        problem(&desk.answer(bare).await, 422, "bad_field"); // no content-type
    }
}

#[tokio::test]
async fn a_key_that_is_not_known_is_named() {
    let desk = Desk::new().await;
    let answer = desk
        .post(
            "seat",
            "/api/v1/seats/801/not_ready",
            json!({ "reason": "x", "raeson": 1 }),
        )
        .await;
    problem(&answer, 422, "bad_field");
    assert_eq!(answer.json()["field"], "raeson");
}

#[tokio::test]
async fn json_extremes_are_refused_and_hurt_nobody() {
    let desk = Desk::new().await;
    let path = "/api/v1/seats/801/not_ready";
    let send = async |bytes: Vec<u8>| {
        let request = Request::post(path)
            .header("authorization", format!("Bearer {}", secret("seat")))
            .header("content-type", "application/json")
            .body(Body::from(bytes))
            .unwrap();
        desk.answer(request).await
    };
    let deep = format!(
        "{{\"reason\":{}{}}}",
        "[".repeat(100_000),
        "]".repeat(100_000)
    );
    problem(&send(deep.into_bytes()).await, 422, "bad_field");
    problem(
        &send(b"{\"reason\":\"\xff\xfe\"}".to_vec()).await,
        422,
        "bad_field",
    );
    problem(
        &send(b"{\"reason\":\"\\ud800\"}".to_vec()).await,
        422,
        "bad_field",
    );
    problem(
        &send(format!("{{\"reason\":1e{}}}", "9".repeat(1000)).into_bytes()).await,
        422,
        "bad_field",
    );
    problem(&send(vec![b' '; 300 * 1024]).await, 413, "body_too_large");
    assert!(
        desk.taken.lock().unwrap().is_empty(),
        "none of it reached the switch"
    );
    assert_eq!(
        desk.post("seat", path, json!({ "reason": "离席" }))
            .await
            .status,
        200
    );
}

#[tokio::test]
async fn a_group_call_with_a_sentence_that_is_not_there_is_404_and_reaches_no_switch() {
    let desk = Desk::new().await;
    for prompt in ["nobody_said_it", "../callers/prank", ""] {
        let wish = json!({ "numbers": ["13900139001"], "prompt": prompt });
        let answer = desk.post("seat", "/api/v1/group_calls", wish).await;
        problem(&answer, 404, "unknown");
    }
    let wish = json!({ "numbers": ["13900139001"], "digit": "12" });
    let answer = desk.post("seat", "/api/v1/group_calls", wish).await;
    problem(&answer, 422, "bad_field");
    let path = format!("/api/v1/group_calls/{}", uuid::Uuid::now_v7());
    problem(&desk.get("seat", &path).await, 404, "unknown");
    assert!(desk.taken.lock().unwrap().is_empty());
}

#[tokio::test]
async fn unknown_things_are_404_whatever_their_ids_look_like() {
    let desk = Desk::new().await;
    let unknown = uuid::Uuid::now_v7();
    let long = "9".repeat(5000);
    for id in [
        unknown.to_string(),
        "7".to_owned(),
        "..%2F..%2Fetc%2Fpasswd".to_owned(),
        "%00".to_owned(),
        long,
        "%27%20OR%201%3D1".to_owned(),
    ] {
        for path in [
            "calls/ID",
            "records/ID",
            "recordings/ID",
            "recordings/ID/audio",
            "recordings/ID/peaks",
        ] {
            let path = format!("/api/v1/{}", path.replace("ID", &id));
            problem(&desk.get("supervisor", &path).await, 404, "unknown");
        }
        problem(
            &desk
                .post(
                    "supervisor",
                    &format!("/api/v1/deliveries/{id}/send_again"),
                    json!({}),
                )
                .await,
            404,
            "unknown",
        );
        if id != unknown.to_string() {
            problem(
                &desk
                    .post(
                        "supervisor",
                        &format!("/api/v1/calls/{id}/hang_up"),
                        json!({}),
                    )
                    .await,
                404,
                "unknown",
            );
            problem(
                &desk
                    .post(
                        "supervisor",
                        &format!("/api/v1/call_backs/{id}/close"),
                        json!({ "outcome": "x" }),
                    )
                    .await,
                404,
                "unknown",
            );
        }
    }
    problem(&desk.get("seat", "/api/v1/nothing").await, 404, "unknown");
    problem(
        &desk
            .answer(request("PUT", "/api/v1/calls", "seat", None))
            .await,
        405,
        "wrong_method",
    );
    assert!(desk.taken.lock().unwrap().is_empty());
}

#[tokio::test]
async fn what_the_switch_refuses_comes_back_with_its_words() {
    let desk = Desk::new().await;
    let path = format!("/api/v1/calls/{}/hang_up", desk.talking);
    let text = |text: &str| text.to_owned();
    for (refusal, status, code) in [
        (
            CommandError::Unknown {
                what: text("call"),
                id: text("x"),
            },
            404,
            "unknown",
        ),
        (
            CommandError::WrongState {
                what: text("call x"),
                state: text("waiting"),
                hint: text("answer it"),
            },
            409,
            "wrong_state",
        ),
        (
            CommandError::BadField {
                field: text("number"),
                reason: text("no digits"),
            },
            422,
            "bad_field",
        ),
        (
            CommandError::NotAllowed {
                who: text("seat 801"),
                reason: text("not its call"),
            },
            403,
            "not_allowed",
        ),
    ] {
        let said = refusal.to_string();
        desk.refusals.lock().unwrap().push(refusal);
        let answer = desk.post("seat", &path, json!({})).await;
        problem(&answer, status, code);
        if code != "bad_field" {
            assert_eq!(answer.json()["detail"], said);
        }
    }
}

#[tokio::test]
async fn bad_query_is_422_and_large_limits_are_cut() {
    let desk = Desk::new().await;
    for path in [
        "events?after=x",
        "events?limit=-1",
        "records?limit=many",
        "deliveries?limit=1.5",
    ] {
        let answer = desk.get("supervisor", &format!("/api/v1/{path}")).await;
        problem(&answer, 422, "bad_field");
        assert_eq!(
            answer.json()["field"],
            path.split(['?', '=']).nth(1).unwrap()
        );
    }
    assert_eq!(
        desk.get("supervisor", "/api/v1/records?limit=4000000000")
            .await
            .status,
        200
    );
    assert_eq!(
        desk.get("supervisor", "/api/v1/records?number='%20OR%201=1--")
            .await
            .json(),
        json!([])
    );
}

#[tokio::test]
async fn a_refused_command_is_in_the_audit_list_with_who_what_and_why() {
    let desk = Desk::new().await;
    let hang_up = |call| format!("/api/v1/calls/{call}/hang_up");
    // Not its call; the switch says no; a field is wrong; not its role; a look that is not for modules.
    problem(
        &desk.post("seat", &hang_up(desk.waiting), json!({})).await,
        403,
        "not_allowed",
    );
    desk.refusals
        .lock()
        .unwrap()
        .push(CommandError::WrongState {
            what: "the call".to_owned(),
            state: "closing".to_owned(),
            hint: "wait".to_owned(),
        });
    problem(
        &desk.post("seat", &hang_up(desk.talking), json!({})).await,
        409,
        "wrong_state",
    );
    let parties = format!("/api/v1/calls/{}/parties", desk.talking);
    problem(
        &desk.post("seat", &parties, json!({ "role": "110" })).await,
        422,
        "bad_field",
    );
    let listen = format!("/api/v1/calls/{}/listen", desk.waiting);
    problem(
        &desk.post("seat", &listen, json!({ "seat": "801" })).await,
        403,
        "not_allowed",
    );
    problem(
        &desk.get("module", "/api/v1/calls").await,
        403,
        "not_allowed",
    );
    // What was done, what nobody may know the path of, and a bad question are no refusals.
    assert_eq!(
        desk.post("seat", "/api/v1/seats/801/ready", json!({}))
            .await
            .status,
        200
    );
    desk.post("nobody", &hang_up(desk.talking), json!({})).await;
    desk.get("seat", "/api/v1/records?limit=x").await;
    let wanted = [
        (
            "module-person",
            "refused GET /api/v1/calls",
            String::new(),
            "403 not_allowed: module-person",
        ),
        (
            "seat-person",
            "refused POST /api/v1/calls/{call}/listen",
            desk.waiting.to_string(),
            "403 not_allowed: seat-person",
        ),
        (
            "seat-person",
            "refused POST /api/v1/calls/{call}/parties",
            desk.talking.to_string(),
            "422 bad_field: missing field `number`",
        ),
        (
            "seat-person",
            "refused POST /api/v1/calls/{call}/hang_up",
            desk.talking.to_string(),
            "409 wrong_state: the call",
        ),
        (
            "seat-person",
            "refused POST /api/v1/calls/{call}/hang_up",
            desk.waiting.to_string(),
            "403 not_allowed: call",
        ),
    ];
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
    let listed = loop {
        let listed = desk.get("admin", "/api/v1/audit").await.json();
        if listed.as_array().unwrap().len() >= wanted.len() {
            break listed;
        }
        assert!(std::time::Instant::now() < deadline, "{listed}");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    };
    assert_eq!(listed.as_array().unwrap().len(), wanted.len(), "{listed:#}");
    for (entry, (actor, action, subject, reason)) in listed.as_array().unwrap().iter().zip(wanted) {
        assert_eq!(
            (&entry["actor"], &entry["action"], &entry["subject"]),
            (&json!(actor), &json!(action), &json!(subject)),
            "{entry}"
        );
        let said = entry["reason"].as_str().unwrap();
        assert!(said.starts_with(reason), "{said}");
    }
}

#[tokio::test]
async fn a_program_that_is_refused_in_a_loop_does_not_fill_the_audit_list() {
    let desk = Desk::new().await;
    for _ in 0..90 {
        desk.get("module", "/api/v1/calls").await;
    }
    desk.get("seat", "/api/v1/audit").await; // another person, after all of them
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
    loop {
        let listed = desk.get("admin", "/api/v1/audit?limit=500").await.json();
        let of = |actor: &str| {
            let entries = listed.as_array().unwrap().iter();
            entries.filter(|entry| entry["actor"] == actor).count()
        };
        if of("seat-person") == 1 {
            assert_eq!(of("module-person"), 60);
            return;
        }
        assert!(std::time::Instant::now() < deadline, "{listed}");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}
