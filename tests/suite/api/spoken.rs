//! Alarms that a page speaks, in a browser: each once, to whom it concerns; and the recorded sentences that it asks for.

use std::sync::Arc;

use firstring::id::SeatId;
use firstring::switch::{AlarmCode, AlarmView, SeatState, View};
use firstring::time::Timestamp;

use crate::support::chromium::Chromium;
use crate::support::desk::{Desk, caller};

/// The page of that role at this desk; every sentence that ends is noted.
async fn page(desk: &Desk, base: &str, role: &str) -> Chromium {
    let mut page = Chromium::start("zh-CN,zh").await;
    let link = desk.app.gatekeeper.one_time_link(caller(role));
    page.open(&format!("{base}/login?t={link}")).await;
    page.look("window.heard = []; document.addEventListener('ended', (e) => heard.push(e.target.currentSrc.split('/').pop()), true); 0").await;
    page.until("document.querySelector('#seats .seat')").await;
    page
}

/// The picture changes.
fn change(desk: &Desk, what: impl FnOnce(&mut View)) {
    desk.view.send_modify(|view| what(Arc::make_mut(view)));
}

fn lost(seat: &str) -> AlarmView {
    AlarmView {
        code: AlarmCode::SeatUnreachable,
        subject: seat.to_owned(),
        detail: "its phone does not answer".to_owned(),
        since: Timestamp::default(),
    }
}

/// The page has spoken exactly these, and after a further change no more.
async fn heard(desk: &Desk, page: &mut Chromium, due: &[&str]) {
    let (count, all) = (due.len(), due.join(" "));
    page.until(&format!(
        "heard.length >= {count} || (!{count} && document.getElementById('sound').src === '')"
    ))
    .await;
    change(desk, |view| view.arrived += 1);
    tokio::time::sleep(std::time::Duration::from_millis(600)).await;
    assert_eq!(page.look("heard.join(' ')").await, all);
    assert_eq!(
        page.look("document.getElementById('sound').paused").await,
        true
    );
    page.look("heard.length = 0; 0").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_line_and_a_caller_who_waits_too_long_are_spoken_once_on_the_pages_they_concern() {
    if !Chromium::is_there() {
        println!("skipped: no chromium on this machine; `tools/need.sh test` installs it");
        return;
    }
    let desk = Desk::new().await;
    let (base, server) = desk.serve().await;
    let mut supervisor = page(&desk, &base, "supervisor").await;
    let mut seat = page(&desk, &base, "seat").await;
    heard(&desk, &mut supervisor, &[]).await;

    change(&desk, |view| view.alarms.push(lost("802")));
    let fault = [
        "seat_fault.1",
        "digit_8",
        "digit_0",
        "digit_2",
        "seat_fault.2",
    ];
    heard(&desk, &mut supervisor, &fault).await;
    heard(&desk, &mut seat, &[]).await;

    let waiting = desk.waiting;
    change(&desk, |view| {
        let call = view.calls.iter_mut().find(|call| call.call == waiting);
        call.expect("it waits").wait_exceeded = true;
    });
    heard(&desk, &mut supervisor, &["wait_alert"]).await;
    heard(&desk, &mut seat, &["wait_alert"]).await;

    // While it talks its loudspeaker is silent; its own line is told all the same.
    change(&desk, |view| {
        let own = view
            .seats
            .iter_mut()
            .find(|seat| seat.seat == SeatId::from("801"));
        own.expect("a seat").state = SeatState::Talking;
        view.calls
            .iter_mut()
            .for_each(|call| call.wait_exceeded = false);
    });
    change(&desk, |view| {
        view.calls
            .iter_mut()
            .for_each(|call| call.wait_exceeded = true)
    });
    change(&desk, |view| view.alarms.push(lost("801")));
    let own = [
        "seat_fault.1",
        "digit_8",
        "digit_0",
        "digit_1",
        "seat_fault.2",
    ];
    heard(&desk, &mut seat, &own).await;

    change(&desk, |view| view.alarms.clear());
    let back = ["digit_8", "digit_0", "digit_1", "seat_recovered.2"];
    heard(&desk, &mut seat, &back).await;
    assert_eq!(seat.complaints(), [] as [String; 0]);
    assert_eq!(supervisor.complaints(), [] as [String; 0]);
    server.abort();
}

#[tokio::test]
async fn a_page_gets_the_centres_prompts_and_nothing_else_of_its_disk() {
    let desk = Desk::new().await;
    let good = desk.get("seat", "/api/v1/prompts/zh-CN/seat_fault.1").await;
    assert_eq!(
        (good.status, good.header("content-type")),
        (200, "audio/wav")
    );
    assert!(good.bytes.starts_with(b"RIFF"));
    assert!(good.header("cache-control").starts_with("private"));
    for path in [
        "zh-CN/nothing",
        "..%2Fprompts%2Fzh-CN/wait_alert",
        "zh-CN/..%2Fen%2Fwait_alert",
        "zh-CN/%2e%2e%2f%2e%2e%2fCargo",
        "./wait_alert",
        ".git/HEAD",
    ] {
        let answer = desk.get("seat", &format!("/api/v1/prompts/{path}")).await;
        assert_eq!(answer.status, 404, "{path}");
    }
}
