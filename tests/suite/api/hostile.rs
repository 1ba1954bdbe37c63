//! Bodies that are made to hurt a JSON reader (the shapes of JSONTestSuite and more), sent to every command that takes one: always a
//! problem of 4xx with field and reason, never a panic, never a command to the switch.

use axum::body::Body;
use axum::http::Request;
use serde_json::json;

use crate::support::desk::{Answer, Desk, secret};

/// Every route with a body: role, path, its first field, what stands beside that field.
fn routes(desk: &Desk) -> Vec<(&'static str, String, &'static str, &'static str)> {
    let (call, back) = (desk.talking, desk.call_back);
    vec![
        (
            "seat",
            "/api/v1/seats/801/not_ready".to_owned(),
            "reason",
            "",
        ),
        (
            "supervisor",
            format!("/api/v1/calls/{call}/parties"),
            "number",
            r#","role":"110""#,
        ),
        (
            "supervisor",
            format!("/api/v1/calls/{call}/listen"),
            "seat",
            "",
        ),
        (
            "supervisor",
            format!("/api/v1/call_backs/{back}/close"),
            "outcome",
            "",
        ),
        (
            "module",
            format!("/api/v1/calls/{call}/dispatch"),
            "order_id",
            r#","report":"cancelled","reason":"x""#,
        ),
    ]
}

async fn send(desk: &Desk, role: &str, path: &str, body: Vec<u8>) -> Answer {
    let request = Request::post(path)
        .header("authorization", format!("Bearer {}", secret(role)))
        .header("content-type", "application/json")
        .body(Body::from(body))
        .unwrap();
    desk.answer(request).await
}

#[track_caller]
fn refused(answer: &Answer, what: &str) {
    assert!(
        (400..500).contains(&answer.status),
        "{what}: {} {}",
        answer.status,
        answer.text()
    );
    assert_eq!(
        answer.header("content-type"),
        "application/problem+json",
        "{what}"
    );
    let body = answer.json();
    assert_eq!(body["status"], answer.status, "{what}: {body}");
    assert!(
        body["detail"].as_str().is_some_and(|said| said.len() > 5),
        "{what}: {body}"
    );
    if answer.status == 422 {
        assert!(
            body["field"]
                .as_str()
                .is_some_and(|field| !field.is_empty() && field.len() <= 64),
            "{what}: {body}"
        );
    }
}

/// Documents that are no JSON, or no object: whatever the route wants, they are not it.
fn documents() -> Vec<(&'static str, Vec<u8>)> {
    let mut all: Vec<(&str, Vec<u8>)> = [
        "",
        " ",
        "\0",
        "\u{feff}",
        "\u{feff}{}",
        "\u{2060}{}",
        "null",
        "true",
        "nul",
        "truth",
        "NaN",
        "Infinity",
        "-Infinity",
        "\"x\"",
        "'x'",
        "x",
        "[",
        "]",
        "[]",
        "[1,]",
        "[,1]",
        "[1 true]",
        "[\"a\",\n4\n,1,",
        "[][]",
        "[1]x",
        "[1]]",
        "{",
        "}",
        "{]",
        "{}}",
        "{},",
        "{}{}",
        "{}#",
        "{}//x",
        "{}/**/",
        "/**/{}",
        "{\"a\"",
        "{\"a\":",
        "{\"a\" 1}",
        "{\"a\"::1}",
        "{\"a\":1,}",
        "{\"a\":1,,}",
        "{,\"a\":1}",
        "{a:1}",
        "{'a':1}",
        "{\"a\":'b'}",
        "{1:1}",
        "{null:1}",
        "{[:\"x\"}",
        "{\"a\":1 \"b\":2}",
        "{\"a\":/**/1}",
        "{\"a\":tru}",
        "{\"a\":True}",
        "{\"a\":undefined}",
        "{\"a\":+1}",
        "{\"a\":.5}",
        "{\"a\":1.}",
        "{\"a\":01}",
        "{\"a\":-}",
        "{\"a\":-01}",
        "{\"a\":--1}",
        "{\"a\":0x1F}",
        "{\"a\":1e}",
        "{\"a\":1e+}",
        "{\"a\":1eE2}",
        "{\"a\":1_000}",
        "{\"a\":1 000}",
        "{\"a\":\u{ff11}}",
        "{\"a\":\"\t\"}",
        "{\"a\":\"\n\"}",
        "{\"a\":\"\0\"}",
        "{\"a\":\"\u{1f}\"}",
        "{\"a\":\"\\",
        "{\"a\":\"\\\"",
        "{\"a\":\"\\x00\"}",
        "{\"a\":\"\\a\"}",
        "{\"a\":\"\\u\"}",
        "{\"a\":\"\\u00\"}",
        "{\"a\":\"\\u00G0\"}",
        "{\"a\":\"\\U0041\"}",
        "{\"a\":\"\\\u{1f300}\"}",
        "{\"a\":\"x",
        "{\"a\":\"\\uD800\\uD800\\x\"}",
        "{\"\\uD800\":1}",
        "\u{c}{}",
        "\u{a0}{}",
        "{}\u{85}",
        "<x/>",
        "--",
        "a=1&b=2",
        "%7B%7D",
    ]
    .iter()
    .map(|text| ("a document", text.as_bytes().to_vec()))
    .collect();
    all.extend([
        ("UTF-16 with BOM", b"\xFE\xFF\0{\0}".to_vec()),
        ("UTF-16 little end first", b"{\0\"\0a\0\"\0".to_vec()),
        ("a lone 0xFF", b"\xFF".to_vec()),
        ("a BOM cut short", b"\xEF\xBB{}".to_vec()),
        ("a bad key", b"{\"\xB9\":\"0\",}".to_vec()),
        ("100,000 arrays", b"[".repeat(100_000)),
        ("100,000 objects", b"{\"a\":".repeat(40_000)),
        ("arrays and objects in turn", b"[{\"\":".repeat(50_000)),
        (
            "closed arrays",
            [b"[".repeat(100_000), b"]".repeat(100_000)].concat(),
        ),
        ("quotes", b"\"".repeat(100_000)),
        (
            "back strokes",
            [b"\"".to_vec(), b"\\".repeat(100_001)].concat(),
        ),
        (
            "100,000 keys",
            [
                b"{".to_vec(),
                b"\"a\":1,".repeat(40_000),
                b"\"a\":1}".to_vec(),
            ]
            .concat(),
        ),
    ]);
    all
}

/// Values that no text field takes.
fn values() -> Vec<(&'static str, Vec<u8>)> {
    let nested = |n: usize| [b"[".repeat(n), b"]".repeat(n)].concat();
    vec![
        ("null", b"null".to_vec()),
        ("a number", b"1".to_vec()),
        ("minus nothing", b"-0".to_vec()),
        ("beyond u64", b"18446744073709551616".to_vec()),
        ("beyond i64", b"-9223372036854775809".to_vec()),
        ("10,000 digits", b"9".repeat(10_000)),
        (
            "10,000 digits behind the point",
            [b"0.".to_vec(), b"3".repeat(10_000)].concat(),
        ),
        ("a huge exponent", b"1e999999999".to_vec()),
        ("a huge negative exponent", b"-1e-999999999".to_vec()),
        (
            "an exponent of 1,000 digits",
            [b"1e".to_vec(), b"9".repeat(1000)].concat(),
        ),
        ("true", b"true".to_vec()),
        ("an array", b"[\"x\"]".to_vec()),
        ("an object", b"{\"x\":\"y\"}".to_vec()),
        ("nested 127 times", nested(127)),
        ("nested 128 times", nested(128)),
        ("nested 50,000 times", nested(50_000)),
        ("a lone high surrogate", b"\"\\uD800\"".to_vec()),
        ("a lone low surrogate", b"\"\\uDC00\"".to_vec()),
        ("surrogates turned round", b"\"\\uDd1e\\uD834\"".to_vec()),
        ("half a pair, then text", b"\"\\uD800abc\"".to_vec()),
        ("half a pair, then an escape", b"\"\\uD800\\n\"".to_vec()),
        ("an invalid byte", b"\"\xFF\"".to_vec()),
        ("a lone continuation", b"\"\x81\"".to_vec()),
        ("an overlong slash", b"\"\xC0\xAF\"".to_vec()),
        (
            "an overlong six-byte form",
            b"\"\xFC\x83\xBF\xBF\xBF\xBF\"".to_vec(),
        ),
        ("an encoded surrogate", b"\"\xED\xA0\x80\"".to_vec()),
        ("beyond Unicode", b"\"\xF4\xBF\xBF\xBF\"".to_vec()),
        ("truncated UTF-8", b"\"\xE6\x80\"".to_vec()),
        ("ISO 8859-1", b"\"\xE9\"".to_vec()),
    ]
}

#[tokio::test]
async fn no_hostile_body_gets_past_the_reader_and_each_is_told_in_one_form() {
    let desk = Desk::new().await;
    for (role, path, field, beside) in routes(&desk) {
        for (what, body) in documents() {
            let shown = String::from_utf8_lossy(&body[..body.len().min(40)]).into_owned();
            refused(
                &send(&desk, role, &path, body).await,
                &format!("{path}: {what} {shown:?}"),
            );
        }
        for (what, value) in values() {
            let body = [
                format!("{{\"{field}\":").into_bytes(),
                value,
                format!("{beside}}}").into_bytes(),
            ]
            .concat();
            refused(
                &send(&desk, role, &path, body).await,
                &format!("{path}: {field} is {what}"),
            );
        }
        for text in [
            format!("{{\"{field}\":\"a\",\"{field}\":\"b\"{beside}}}"),
            format!("{{\"{field}\":\"a\"{beside},\"{field}\":\"a\"}}"),
        ] {
            let answer = send(&desk, role, &path, text.into_bytes()).await;
            refused(&answer, &format!("{path}: {field} twice"));
            if role != "module" {
                assert_eq!(answer.json()["field"], field, "{path}: {}", answer.text());
            }
        }
        for size in [256 * 1024, 1024 * 1024] {
            let body = format!("{{\"{field}\":\"{}\"{beside}}}", "a".repeat(size));
            let answer = send(&desk, role, &path, body.into_bytes()).await;
            refused(&answer, &format!("{path}: {size} bytes"));
            assert_eq!(answer.status, 413, "{path}");
        }
    }
    assert!(
        desk.taken.lock().unwrap().is_empty(),
        "none of it reached the switch"
    );
    assert_eq!(desk.get("seat", "/api/v1/me").await.status, 200);
}

#[tokio::test]
async fn json_as_it_may_be_is_read_as_what_it_says() {
    let desk = Desk::new().await;
    let path = "/api/v1/seats/801/not_ready";
    for (written, meant) in [
        (r#""\u0060\u012a\u12AB""#, "\u{60}\u{12a}\u{12ab}"),
        (r#""\uD801\udc37""#, "\u{10437}"),
        (r#""\ud83d\ude39\ud83d\udc8d""#, "\u{1f639}\u{1f48d}"),
        (r#""\"\\\/\b\f\n\r\t""#, "\"\\/\u{8}\u{c}\n\r\t"),
        (r#""a/*b*/c/*d//e""#, "a/*b*/c/*d//e"),
        (r#""\\u0000""#, "\\u0000"),
        (r#""\uFFFF\uFDD0\u200B""#, "\u{ffff}\u{fdd0}\u{200b}"),
        (
            "\"\u{2028}\u{2029}\u{7f}\u{feff}\u{10ffff}\"",
            "\u{2028}\u{2029}\u{7f}\u{feff}\u{10ffff}",
        ),
        ("\"离席\"", "离席"),
    ] {
        desk.taken.lock().unwrap().clear();
        let body = format!(" \t\r\n{{ \"reason\"\n:\t{written} }} \n");
        let answer = send(&desk, "seat", path, body.into_bytes()).await;
        assert_eq!(answer.status, 200, "{written}: {}", answer.text());
        let taken = desk.taken.lock().unwrap().clone();
        let command = json!(taken[0].1);
        assert!(
            command.to_string().contains(&json!(meant).to_string()),
            "{command}"
        );
    }
}
