//! The live view and the feed of events.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use firstring::switch::View;
use http_body_util::BodyExt as _;
use serde_json::Value;

use crate::support::desk::{self, Desk, ROLES, request};
use crate::support::one_call;

const PATIENCE: Duration = Duration::from_secs(5);

/// The next view of a stream.
async fn next_view(body: &mut Body) -> Value {
    loop {
        let frame = tokio::time::timeout(PATIENCE, body.frame())
            .await
            .expect("a view in time")
            .expect("the stream goes on")
            .unwrap();
        let bytes = frame.into_data().unwrap();
        let text = std::str::from_utf8(&bytes).unwrap();
        if let Some(json) = text.strip_prefix("data:") {
            return serde_json::from_str(json.trim()).unwrap();
        }
    }
}

#[tokio::test]
async fn live_view_comes_at_once_and_after_each_change() {
    let desk = Desk::new().await;
    let response = desk
        .send(request("GET", "/api/v1/live", "seat", None))
        .await;
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let mut body = response.into_body();
    let first = next_view(&mut body).await;
    assert_eq!(first["arrived"], 2);
    assert!(
        first["at_now"].is_i64(),
        "the server's clock: {}",
        first["at_now"]
    );
    desk.view.send_modify(|view| {
        *view = Arc::new(View {
            arrived: 3,
            ..View::clone(view)
        });
    });
    assert_eq!(next_view(&mut body).await["arrived"], 3);
}

#[tokio::test]
async fn feed_gives_every_event_once_in_order_from_any_cursor() {
    let desk = Desk::new().await;
    let script = one_call::answered(1, "13800138000");
    desk.happened(&script.events).await;
    let mut cursor = 0;
    let mut seen = Vec::new();
    loop {
        let page = desk
            .get("module", &format!("/api/v1/events?after={cursor}&limit=7"))
            .await
            .json();
        let page = page.as_array().unwrap().clone();
        assert!(page.len() <= 7);
        let Some(last) = page.last() else { break };
        cursor = last["cursor"].as_u64().unwrap();
        seen.extend(
            page.iter()
                .map(|one| one["event"]["id"].as_str().unwrap().to_owned()),
        );
    }
    let made: Vec<_> = script
        .events
        .iter()
        .map(|event| event.id.to_string())
        .collect();
    assert_eq!(seen, made);
    let all = desk.get("module", "/api/v1/events?limit=1000").await.json();
    assert_eq!(all[0]["event"]["type"], "call.received");
}

#[tokio::test]
async fn feed_waits_for_the_next_event_and_no_longer() {
    let desk = Desk::new().await;
    let asked = tokio::time::Instant::now();
    let empty = desk.get("module", "/api/v1/events?wait=1").await.json();
    assert_eq!(empty, serde_json::json!([]));
    assert!(asked.elapsed() >= Duration::from_secs(1));
    let script = one_call::abandoned(1, "13800138000");
    let waiting = desk.get("module", "/api/v1/events?wait=30");
    let happening = desk.happened(&script.events);
    let (found, ()) = tokio::time::timeout(PATIENCE, async { tokio::join!(waiting, happening) })
        .await
        .expect("answered as soon as something happened");
    assert!(!found.json().as_array().unwrap().is_empty());
}

#[tokio::test]
async fn a_revoked_token_is_refused_at_once_and_its_streams_end_while_others_go_on() {
    let desk = Desk::new().await;
    let live = async |role| {
        let mut body = desk
            .send(request("GET", "/api/v1/live", role, None))
            .await
            .into_body();
        next_view(&mut body).await;
        body
    };
    let (mut of_seat, mut of_supervisor) = (live("seat").await, live("supervisor").await);
    let feed = desk.get("module", "/api/v1/events?wait=30");
    let revoke = async {
        tokio::task::yield_now().await; // the feed waits
        let tokens = ROLES
            .iter()
            .filter(|role| **role != "module")
            .map(|role| desk::token(role))
            .map(|mut token| {
                if token.name == "seat-person" {
                    token.seat = Some("802".into()); // the same secret means another seat now
                }
                token
            });
        desk.app.gatekeeper.replace_tokens(tokens.collect());
    };
    let (feed, ()) = tokio::time::timeout(PATIENCE, async { tokio::join!(feed, revoke) })
        .await
        .expect("the feed does not wait for its 30 s");
    assert_eq!(
        (feed.status, feed.json()["code"].as_str()),
        (401, Some("unauthenticated"))
    );
    assert_eq!(desk.get("module", "/api/v1/records").await.status, 401);
    let ended = tokio::time::timeout(PATIENCE, of_seat.frame()).await;
    assert!(
        ended.expect("ended").is_none(),
        "the stream of seat 801 ends"
    );
    assert_eq!(
        desk.get("seat", "/api/v1/me").await.json()["seat"],
        "802",
        "the token is good for what it means now"
    );
    desk.view.send_modify(|view| {
        *view = Arc::new(View {
            arrived: 3,
            ..View::clone(view)
        });
    });
    assert_eq!(next_view(&mut of_supervisor).await["arrived"], 3);
}
