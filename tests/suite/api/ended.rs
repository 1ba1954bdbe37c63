//! A command on a call that has ended: 410 with how it ended and where its record is, on every route; 404 only when there never was one.

use firstring::api;
use firstring::call::Cause;
use firstring::id::CallId;
use firstring::switch::{CallEnd, CommandError, Outcome};
use firstring::time::Timestamp;
use serde_json::{Value, json};

use crate::support::desk::{Answer, Desk, request};
use crate::support::one_call;

/// Every command on an open call: method, role, path, body.
fn commands(call: CallId) -> Vec<(&'static str, String, Option<Value>)> {
    let path = |rest: &str| format!("/api/v1/calls/{call}/{rest}");
    let leg = uuid::Uuid::now_v7();
    vec![
        ("POST", path("hang_up"), None),
        (
            "POST",
            path("parties"),
            Some(json!({ "number": "110", "role": "110" })),
        ),
        ("DELETE", path(&format!("parties/{leg}")), None),
        ("POST", path("join"), Some(json!({ "with": leg }))),
        ("POST", path("listen"), Some(json!({ "seat": "800" }))),
        ("DELETE", path("listen/800"), None),
        ("POST", path("hold"), None),
        ("POST", path("resume"), None),
        ("POST", path("shelve"), None),
        ("POST", path("unshelve"), Some(json!({ "seat": "801" }))),
        ("POST", path("ask_silent"), None),
        (
            "POST",
            path("transfer"),
            Some(json!({ "seat": "802", "kind": "blind" })),
        ),
        ("POST", path("transfer/complete"), None),
        ("DELETE", path("transfer"), None),
        ("PUT", path("advice"), Some(json!({ "on": true }))),
        ("POST", path("assist"), None),
        ("DELETE", path("assist"), None),
        (
            "POST",
            path("assist/accept"),
            Some(json!({ "seat": "800", "mode": "listen" })),
        ),
        (
            "POST",
            path("reassign"),
            Some(json!({ "to": { "queue": "main" } })),
        ),
        ("POST", path("priority"), Some(json!({ "ahead_s": 60 }))),
    ]
}

/// What may come after the end of a call.
const AFTER_THE_END: [&str; 9] = [
    "dispatch",
    "link",
    "crew",
    "bridge",
    "form",
    "type",
    "notes",
    "major",
    "steps/{step}",
];

async fn send(desk: &Desk, command: &(&'static str, String, Option<Value>)) -> Answer {
    let (method, path, body) = command;
    let body = body.as_ref().map(Value::to_string);
    desk.answer(request(method, path, "supervisor", body)).await
}

#[track_caller]
fn gone(answer: &Answer, call: CallId, words: &str) {
    let told = answer.json();
    assert_eq!(answer.status, 410, "{told}");
    assert_eq!(answer.header("content-type"), "application/problem+json");
    assert_eq!(told["code"], "ended");
    assert_eq!(told["record"], format!("/api/v1/records/{call}"));
    let detail = told["detail"].as_str().unwrap_or_default();
    assert!(detail.contains(words), "{detail}");
}

#[tokio::test]
async fn every_command_on_an_ended_call_is_410_with_its_end_and_its_record() {
    let desk = Desk::new().await;
    let script = one_call::answered(1, "13800138000");
    desk.happened(&script.events).await;
    let old = script.call;
    for command in commands(desk.waiting) {
        // The switch remembers it.
        let end = CallEnd {
            at: Timestamp::from_micros(1_763_771_400_000_000),
            outcome: Outcome::Answered,
            cause: Cause::Normal,
            by: String::from("caller"),
        };
        desk.refusals.lock().unwrap().push(CommandError::Ended {
            call: desk.waiting,
            end: Some(Box::new(end)),
        });
        let words = "at 2025-11-22T00:30:00.000Z (answered; by the caller)";
        gone(&send(&desk, &command).await, desk.waiting, words);
    }
    for known in [true, false] {
        let call = if known {
            old
        } else {
            CallId(uuid::Uuid::now_v7())
        };
        for command in commands(call) {
            // The switch has forgotten it, or never knew it.
            desk.refusals.lock().unwrap().push(CommandError::Unknown {
                what: String::from("call"),
                id: call.to_string(),
            });
            let answer = send(&desk, &command).await;
            if known {
                gone(&answer, call, "(answered; by the ");
            } else {
                assert_eq!(answer.status, 404, "{command:?}: {}", answer.text());
            }
        }
    }
}

#[test]
fn no_command_of_a_call_is_missing_in_the_table() {
    let call = CallId(uuid::Uuid::nil());
    let tested = commands(call);
    let document = api::openapi();
    for (path, item) in document["paths"].as_object().expect("paths") {
        let Some(rest) = path.strip_prefix("/api/v1/calls/{call}/") else {
            continue;
        };
        for method in ["post", "put", "delete"] {
            if item.get(method).is_none() || AFTER_THE_END.contains(&rest) {
                continue;
            }
            let stem = rest.split("/{").next().unwrap_or(rest);
            let there = tested.iter().any(|(of, path, _)| {
                of.eq_ignore_ascii_case(method) && path.split('/').nth(5) == stem.split('/').next()
            });
            assert!(there, "{method} {path} is not tested on an ended call");
            let told = &item[method]["responses"]["410"];
            assert!(told.is_object(), "{method} {path} does not tell of it");
        }
    }
}
