//! Which role may call which route, in one table; and the document of all routes, kept in `schema/openapi.json`.

use firstring::api::openapi;
use serde_json::{Value, json};

use crate::support::desk::{Desk, ROLES, request};
use crate::support::one_call;

/// Method, path as in the document, a good body, the roles that may (admins may all).
const TABLE: &[(&str, &str, &str, &str)] = &[
    ("GET", "/api/v1/me", "", "seat supervisor module"),
    ("GET", "/api/v1/view", "", "seat supervisor"),
    ("GET", "/api/v1/live", "", "seat supervisor"),
    ("GET", "/api/v1/events", "", "module supervisor"),
    ("GET", "/api/v1/counters", "", "seat supervisor"),
    (
        "GET",
        "/api/v1/prompts/{language}/{prompt}",
        "",
        "seat supervisor",
    ),
    ("GET", "/api/v1/seats", "", "seat supervisor"),
    ("POST", "/api/v1/seats/{seat}/ready", "", "seat supervisor"),
    (
        "POST",
        "/api/v1/seats/{seat}/not_ready",
        r#"{"reason":"离席"}"#,
        "seat supervisor",
    ),
    (
        "POST",
        "/api/v1/seats/{seat}/dial",
        r#"{"number":"13900139000"}"#,
        "seat supervisor",
    ),
    (
        "POST",
        "/api/v1/calls/{call}/link",
        r#"{"incident_id":"I-1"}"#,
        "seat supervisor",
    ),
    (
        "PUT",
        "/api/v1/calls/{call}/crew",
        r#"{"numbers":["13911112222"]}"#,
        "seat supervisor module",
    ),
    (
        "POST",
        "/api/v1/calls/{call}/bridge",
        r#"{"number":"13911112222"}"#,
        "seat supervisor module",
    ),
    ("GET", "/api/v1/calls", "", "seat supervisor"),
    ("GET", "/api/v1/calls/{call}", "", "seat supervisor"),
    (
        "POST",
        "/api/v1/calls/{call}/hang_up",
        "",
        "seat supervisor",
    ),
    (
        "POST",
        "/api/v1/calls/{call}/parties",
        r#"{"number":"110","role":"110"}"#,
        "seat supervisor",
    ),
    (
        "DELETE",
        "/api/v1/calls/{call}/parties/{leg}",
        "",
        "seat supervisor",
    ),
    (
        "POST",
        "/api/v1/calls/{call}/join",
        r#"{"with":"0199e3c0-0000-7000-8000-000000000001"}"#,
        "seat supervisor",
    ),
    ("POST", "/api/v1/calls/{call}/hold", "", "seat supervisor"),
    ("POST", "/api/v1/calls/{call}/resume", "", "seat supervisor"),
    (
        "POST",
        "/api/v1/calls/{call}/ask_silent",
        "",
        "seat supervisor",
    ),
    (
        "POST",
        "/api/v1/calls/{call}/transfer",
        r#"{"seat":"802","kind":"blind"}"#,
        "seat supervisor",
    ),
    (
        "POST",
        "/api/v1/calls/{call}/transfer/complete",
        "",
        "seat supervisor",
    ),
    (
        "DELETE",
        "/api/v1/calls/{call}/transfer",
        "",
        "seat supervisor",
    ),
    ("POST", "/api/v1/calls/{call}/shelve", "", "seat supervisor"),
    (
        "POST",
        "/api/v1/calls/{call}/unshelve",
        r#"{"seat":"801"}"#,
        "seat supervisor",
    ),
    (
        "POST",
        "/api/v1/calls/{call}/listen",
        r#"{"seat":"800"}"#,
        "supervisor",
    ),
    (
        "POST",
        "/api/v1/seats/{seat}/sign_in",
        r#"{"phone":"801"}"#,
        "seat supervisor",
    ),
    (
        "POST",
        "/api/v1/seats/{seat}/sign_out",
        "",
        "seat supervisor",
    ),
    ("POST", "/api/v1/calls/{call}/assist", "", "seat supervisor"),
    (
        "DELETE",
        "/api/v1/calls/{call}/assist",
        "",
        "seat supervisor",
    ),
    (
        "POST",
        "/api/v1/calls/{call}/assist/accept",
        r#"{"seat":"800","mode":"barge"}"#,
        "supervisor",
    ),
    (
        "POST",
        "/api/v1/calls/{call}/reassign",
        r#"{"to":{"seat":"801"}}"#,
        "supervisor",
    ),
    (
        "POST",
        "/api/v1/calls/{call}/priority",
        r#"{"ahead_s":30}"#,
        "supervisor",
    ),
    (
        "POST",
        "/api/v1/seats/{seat}/listen_queue",
        r#"{"queue":"main"}"#,
        "supervisor",
    ),
    (
        "DELETE",
        "/api/v1/seats/{seat}/listen_queue",
        "",
        "supervisor",
    ),
    (
        "DELETE",
        "/api/v1/calls/{call}/listen/{seat}",
        "",
        "supervisor",
    ),
    (
        "POST",
        "/api/v1/calls/{call}/dispatch",
        r#"{"report":"cancelled","order_id":"1","reason":"无人"}"#,
        "module",
    ),
    ("GET", "/api/v1/calls/{call}/why", "", "seat supervisor"),
    ("GET", "/api/v1/seats/{seat}/why", "", "seat supervisor"),
    ("GET", "/api/v1/call_backs", "", "seat supervisor"),
    (
        "POST",
        "/api/v1/call_backs/{call_back}/dial",
        r#"{"seat":"801"}"#,
        "seat supervisor",
    ),
    (
        "POST",
        "/api/v1/call_backs/{call_back}/close",
        r#"{"outcome":"误拨"}"#,
        "seat supervisor",
    ),
    ("GET", "/api/v1/groups", "", "seat supervisor module"),
    ("GET", "/api/v1/group_calls", "", "seat supervisor module"),
    (
        "POST",
        "/api/v1/group_calls",
        r#"{"numbers":["13900139001"],"first_wins":true}"#,
        "seat supervisor module",
    ),
    (
        "GET",
        "/api/v1/group_calls/{group_call}",
        "",
        "seat supervisor module",
    ),
    (
        "POST",
        "/api/v1/group_calls/{group_call}/cancel",
        "",
        "seat supervisor module",
    ),
    ("GET", "/api/v1/form_lists", "", "seat supervisor module"),
    (
        "GET",
        "/api/v1/calls/{call}/form",
        "",
        "seat supervisor module",
    ),
    (
        "PATCH",
        "/api/v1/calls/{call}/form",
        r#"{"casualties":2,"scene":null}"#,
        "seat supervisor module",
    ),
    (
        "PUT",
        "/api/v1/calls/{call}/type",
        r#"{"code":"urge"}"#,
        "seat supervisor module",
    ),
    (
        "POST",
        "/api/v1/calls/{call}/notes",
        r#"{"text":"家属在路口等"}"#,
        "seat supervisor module",
    ),
    (
        "PUT",
        "/api/v1/calls/{call}/advice",
        r#"{"on":true}"#,
        "seat supervisor",
    ),
    (
        "POST",
        "/api/v1/calls/{call}/major",
        "",
        "seat supervisor module",
    ),
    (
        "PUT",
        "/api/v1/calls/{call}/steps/{step}",
        r#"{"done":true}"#,
        "seat supervisor",
    ),
    ("GET", "/api/v1/complaints", "", "seat supervisor"),
    (
        "POST",
        "/api/v1/complaints",
        r#"{"call":"{call}","text":"迟到","person":"李某"}"#,
        "seat supervisor",
    ),
    (
        "POST",
        "/api/v1/complaints/{complaint}/close",
        r#"{"outcome":"已解释"}"#,
        "supervisor",
    ),
    (
        "POST",
        "/api/v1/complaints/{complaint}/lift_hold",
        "",
        "supervisor",
    ),
    ("GET", "/api/v1/handovers", "", "seat supervisor"),
    (
        "POST",
        "/api/v1/handovers",
        r#"{"to":"802","note":"一切正常"}"#,
        "seat supervisor",
    ),
    ("GET", "/api/v1/self_tests", "", "supervisor"),
    (
        "POST",
        "/api/v1/self_tests",
        r#"{"trunk":"ct"}"#,
        "supervisor",
    ),
    (
        "POST",
        "/api/v1/handovers/{handover}/take_over",
        "",
        "seat supervisor",
    ),
    ("GET", "/api/v1/marks", "", "seat supervisor"),
    (
        "POST",
        "/api/v1/marks",
        r#"{"call":"{call}","reason":"辱骂"}"#,
        "seat supervisor",
    ),
    ("POST", "/api/v1/marks/{mark}/confirm", "", "supervisor"),
    ("POST", "/api/v1/marks/{mark}/lift", "{}", "supervisor"),
    ("GET", "/api/v1/marks/{mark}/evidence", "", "supervisor"),
    ("GET", "/api/v1/records", "", "seat supervisor module"),
    (
        "GET",
        "/api/v1/records/{call}",
        "",
        "seat supervisor module",
    ),
    ("GET", "/api/v1/deliveries", "", "seat supervisor"),
    (
        "POST",
        "/api/v1/deliveries/{id}/send_again",
        "",
        "supervisor",
    ),
    ("GET", "/api/v1/audit", "", ""),
    ("GET", "/api/v1/recordings/{call}", "", "seat supervisor"),
    (
        "GET",
        "/api/v1/recordings/{call}/audio",
        "",
        "seat supervisor",
    ),
    (
        "GET",
        "/api/v1/recordings/{call}/peaks",
        "",
        "seat supervisor",
    ),
];
/// Routes that need no token.
const OPEN: &[&str] = &["/health", "/metrics"];

/// `{}` filled with things that exist and that seat 801 may touch.
fn filled(path: &str, desk: &Desk, recorded: &str) -> String {
    let call = if path.contains("record") || path.ends_with("/calls/{call}/why") {
        recorded.to_owned()
    } else {
        desk.talking.to_string()
    };
    path.replace("{seat}", "801")
        .replace("{call}", &call)
        .replace("{leg}", &uuid::Uuid::nil().to_string())
        .replace("{call_back}", &desk.call_back.to_string())
        .replace("{mark}", &desk.mark().to_string())
        .replace("{complaint}", &uuid::Uuid::nil().to_string())
        .replace("{group_call}", &uuid::Uuid::nil().to_string())
        .replace("{handover}", &uuid::Uuid::nil().to_string())
        .replace("{step}", "place")
        .replace("{language}", "zh-CN")
        .replace("{prompt}", "wait_alert")
        .replace("{id}", "1")
}

fn allowed(roles: &str, role: &str) -> bool {
    role == "admin" || roles.split(' ').any(|one| one == role)
}

#[tokio::test]
async fn each_role_may_do_exactly_what_the_table_says_and_nobody_without_a_token_anything() {
    let desk = Desk::new().await;
    let script = one_call::answered(1, "13800138000");
    desk.happened(&script.events).await;
    desk.record_audio();
    let recorded = script.call.to_string();
    for (method, path, body, roles) in TABLE {
        let path_filled = filled(path, &desk, &recorded);
        let body = (!body.is_empty()).then(|| filled(body, &desk, &recorded));
        let nobody = desk
            .answer(request(method, &path_filled, "nobody", body.clone()))
            .await;
        assert_eq!(
            nobody.status,
            401,
            "{method} {path} without a token: {}",
            nobody.text()
        );
        assert_eq!(nobody.json()["code"], "unauthenticated");
        for role in ROLES {
            let before = desk.taken.lock().unwrap().len();
            // Not read whole: one of them never ends.
            let status = desk
                .send(request(method, &path_filled, role, body.clone()))
                .await
                .status();
            if allowed(roles, role) {
                assert!(status.is_success(), "{method} {path} as {role}: {status}");
            } else {
                assert_eq!(status, 403, "{method} {path} as {role}");
                assert_eq!(
                    desk.taken.lock().unwrap().len(),
                    before,
                    "{method} {path} as {role} reached the switch"
                );
            }
        }
    }
}

#[test]
fn every_documented_route_is_in_the_table_and_tells_its_roles_its_tag_and_its_errors() {
    let document = openapi();
    let mut documented = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let (method, name) = (method.to_uppercase(), format!("{method} {path}"));
            documented.push((method.clone(), path.clone()));
            assert!(
                operation["summary"]
                    .as_str()
                    .is_some_and(|text| text.len() > 15),
                "{name}: say what it does"
            );
            assert_eq!(
                operation["tags"].as_array().map(Vec::len),
                Some(1),
                "{name}: one tag"
            );
            assert!(operation["operationId"].is_string(), "{name}");
            for (status, response) in operation["responses"].as_object().unwrap() {
                if status.starts_with('4') {
                    assert!(
                        response["content"]["application/problem+json"].is_object(),
                        "{name}: {status} is a problem"
                    );
                }
            }
            let said = operation["description"].as_str().unwrap_or_default();
            let Some(said) = said.split("Roles: ").nth(1) else {
                panic!("{name}: say the roles")
            };
            if OPEN.contains(&path.as_str()) {
                assert_eq!(
                    (operation["security"].clone(), said.trim()),
                    (json!([]), "anybody."),
                    "{name}"
                );
                continue;
            }
            assert_eq!(
                operation["security"],
                json!([{ "token": [] }, { "session": [] }]),
                "{name}"
            );
            let (.., roles) = TABLE
                .iter()
                .find(|(m, p, ..)| *m == method && p == path)
                .unwrap_or_else(|| panic!("{name} is not in the table"));
            for role in ["seat", "supervisor", "module"] {
                assert_eq!(
                    said.contains(role),
                    allowed(roles, role),
                    "{name}: its description and the table disagree on {role}"
                );
            }
        }
    }
    for (method, path, ..) in TABLE {
        assert!(
            documented.contains(&((*method).to_owned(), (*path).to_owned())),
            "{method} {path} is not documented"
        );
    }
    assert_eq!(document["openapi"], "3.1.0");
    assert!(document["components"]["securitySchemes"]["token"].is_object());
}

#[test]
fn the_document_in_the_repository_is_what_the_program_serves() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/schema/openapi.json");
    let made = serde_json::to_string_pretty(&openapi()).unwrap() + "\n";
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(path, &made).unwrap();
    }
    let kept = std::fs::read_to_string(path).unwrap_or_default();
    let first = made.lines().zip(kept.lines()).position(|(a, b)| a != b);
    assert!(
        made == kept,
        "schema/openapi.json differs from the program (first at line {}); look at the change, then write it by\n  UPDATE_GOLDEN=1 cargo test --test suite api::matrix::the_document",
        first.map_or(kept.lines().count(), |n| n + 1)
    );
}

#[tokio::test]
async fn the_document_health_and_metrics_need_no_token_and_name_no_number() {
    let desk = Desk::new().await;
    for path in ["/api/openapi.json", "/health", "/metrics"] {
        let answer = desk.get("nobody", path).await;
        assert_eq!(answer.status, 200, "{path}");
        assert!(!answer.text().contains("13800138000"), "{path}");
    }
    let health = desk.get("nobody", "/health").await.json();
    for key in [
        "ok",
        "uptime_s",
        "journal_spooled",
        "records_lag",
        "records_failing_ms",
        "clock",
    ] {
        assert!(health.get(key).is_some(), "health tells {key}: {health}");
    }
    assert!(health["clock"]["drift_ms"].is_i64(), "{health}");
}

#[tokio::test]
async fn a_seat_commands_itself_and_its_own_call_only() {
    let desk = Desk::new().await;
    for (path, body) in [
        ("/api/v1/seats/802/ready".to_owned(), Value::Null),
        (
            "/api/v1/seats/802/not_ready".to_owned(),
            json!({ "reason": "离席" }),
        ),
        (
            format!("/api/v1/calls/{}/hang_up", desk.waiting),
            Value::Null,
        ),
        (
            format!("/api/v1/calls/{}/parties", desk.waiting),
            json!({ "number": "110", "role": "110" }),
        ),
        (
            format!("/api/v1/calls/{}/join", desk.waiting),
            json!({ "with": desk.talking }),
        ),
    ] {
        let seat = desk.post("seat", &path, body.clone()).await;
        assert_eq!(
            (seat.status, seat.json()["code"].as_str()),
            (403, Some("not_allowed")),
            "{path}"
        );
        assert_eq!(
            desk.post("supervisor", &path, body).await.status,
            200,
            "{path}"
        );
    }
    assert_eq!(
        desk.taken.lock().unwrap().len(),
        5,
        "only the supervisor's commands reached the switch"
    );
}
