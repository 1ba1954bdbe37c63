//! Why a call waits and why a seat gets nothing, asked by HTTP: the sentences of `firstring why`, in both languages.

use firstring::id::{QueueId, SeatId};
use firstring::switch::{EventKind, Held, HeldSeat, Rule};
use serde_json::{Value, json};

use crate::support::desk::{Answer, Desk};
use crate::support::one_call::Script;

fn texts(answer: &Answer) -> Vec<String> {
    assert_eq!(answer.status, 200, "{}", answer.text());
    let reasons = answer.json();
    let reasons = reasons.as_array().expect("a list").iter();
    reasons
        .map(|reason| {
            assert!(
                reason["at"].is_i64() || reason["at"].is_string(),
                "{reason}"
            );
            reason["text"].as_str().expect("a text").to_owned()
        })
        .collect()
}

/// Seat 801 is free and held back, seat 802 rings.
fn decided() -> Script {
    let mut script = Script::new(1);
    let queue = QueueId::from("child");
    let seat = |seat: &str| SeatId::from(seat);
    script.push(
        0,
        EventKind::SeatStateChanged {
            seat: seat("801"),
            state: String::from("ready"),
            reason: None,
        },
    );
    script.push(
        10,
        EventKind::QueueEntered {
            queue: queue.clone(),
            position: 0,
            again: false,
            behind: None,
        },
    );
    script.push(
        10,
        EventKind::OfferDecided {
            rule: Rule::OnlyFit,
            chosen: Some(seat("802")),
            held: vec![HeldSeat {
                seat: seat("801"),
                reason: Held::Skill,
            }],
            queue,
            needs: vec![String::from("child")],
            relaxed: Vec::new(),
        },
    );
    script
}

#[tokio::test]
async fn why_a_call_rang_where_it_rang_is_told_in_both_languages() {
    let desk = Desk::new().await;
    let script = decided();
    desk.happened(&script.events).await;
    let path = format!("/api/v1/calls/{}/why", script.call);
    let zh = texts(&desk.get("seat", &path).await);
    assert!(
        zh.contains(&String::from("呼叫坐席 802：唯一适合的坐席")),
        "{zh:?}"
    );
    assert!(
        zh.contains(&String::from("坐席 801 空闲而未被呼叫：缺少所需技能")),
        "{zh:?}"
    );
    let en = texts(&desk.get("supervisor", &format!("{path}?lang=en")).await);
    assert!(
        en.contains(&String::from("seat 802 was rung: nobody else was fit")),
        "{en:?}"
    );
    assert_eq!(en.len(), zh.len());
    let other = format!("{path}?lang=fr");
    assert_eq!(desk.get("seat", &other).await.status, 422);
    let nowhere = format!("/api/v1/calls/{}/why", uuid::Uuid::now_v7());
    assert_eq!(desk.get("seat", &nowhere).await.status, 404);
}

#[tokio::test]
async fn why_a_free_seat_got_nothing_is_told_with_the_call_it_was_held_back_from() {
    let desk = Desk::new().await;
    let script = decided();
    desk.happened(&script.events).await;
    let since = script.events[0].at;
    let mut view = firstring::switch::View::clone(&desk.view.borrow());
    let seat = view
        .seats
        .iter_mut()
        .find(|s| s.seat == SeatId::from("801"));
    let seat = seat.expect("seat 801");
    (seat.state, seat.since) = (firstring::switch::SeatState::Ready, since);
    desk.view.send_replace(std::sync::Arc::new(view));
    let answer = desk
        .get("supervisor", "/api/v1/seats/801/why?lang=en")
        .await;
    let told = texts(&answer);
    let held = "seat 801 was free and not rung: it lacks a skill that is asked for";
    assert_eq!(told.first().map(String::as_str), Some(held), "{told:?}");
    let reasons: Value = answer.json();
    assert_eq!(reasons[0]["call"], json!(script.call));
    assert_eq!(
        desk.get("supervisor", "/api/v1/seats/7/why").await.status,
        404
    );
}
