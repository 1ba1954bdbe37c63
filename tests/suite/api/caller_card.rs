//! Who calls this seat (来电弹屏), in a browser: number, place, line and earlier calls from the first ring, and what is found later.

use std::sync::Arc;

use firstring::id::SeatId;
use firstring::switch::{CallState, CallView, EventKind};

use crate::support::chromium::Chromium;
use crate::support::desk::{Desk, caller};
use crate::support::one_call;

const NUMBER: &str = "13800138000";

/// The call rings at seat 801 instead of what the desk had.
fn shown(desk: &Desk, change: impl FnOnce(&mut CallView)) {
    let waiting = desk.waiting;
    desk.view.send_modify(|view| {
        let view = Arc::make_mut(view);
        view.calls.retain(|call| call.call == waiting);
        change(view.calls.first_mut().expect("the desk's waiting call"));
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn the_seats_page_shows_who_rings_with_place_line_and_earlier_calls_and_what_is_found_later()
{
    if !Chromium::is_there() {
        println!("skipped: no chromium on this machine; `tools/need.sh test` installs it");
        return;
    }
    let desk = Desk::new().await;
    let before = one_call::abandoned(1, NUMBER);
    desk.happened(&before.events).await;
    let now = one_call::answered(2, NUMBER);
    let is_found = |kind: &EventKind| matches!(kind, EventKind::CallFound { .. });
    let first_found = now.events.iter().position(|event| is_found(&event.kind));
    let (ringing, rest) = now.events.split_at(first_found.expect("findings"));
    desk.happened(ringing).await;

    let (base, server) = desk.serve().await;
    let mut page = Chromium::start("zh-CN,zh").await;
    let link = desk.app.gatekeeper.one_time_link(caller("seat"));
    page.open(&format!("{base}/login?t={link}")).await;
    page.until("document.querySelector('#seats .seat')").await;
    shown(&desk, |_| ());
    page.until("document.querySelector('.caller').hidden").await;

    shown(&desk, |call| {
        call.call = now.call;
        call.caller = NUMBER.to_owned();
        (call.state, call.seat) = (CallState::Offered, Some(SeatId::from("801")));
    });
    page.until("!document.querySelector('.caller').hidden && document.querySelector('#caller .number').textContent === '13800138000'").await;
    page.until("[...document.querySelectorAll('#caller .row .tag')].map((tag) => tag.textContent).join() === '放弃'").await;
    assert_eq!(
        page.look("document.querySelectorAll('#caller dd').length")
            .await,
        0
    );

    // Eight seconds after the answer a place is found: shown without a hand's turn.
    let found = rest
        .iter()
        .take_while(|event| is_found(&event.kind))
        .count();
    desk.happened(&rest[..found]).await;
    desk.view.send_modify(|view| {
        let view = Arc::make_mut(view);
        let call = view.calls.first_mut().expect("the call");
        (call.state, call.findings) = (CallState::Talking, u32::try_from(found).unwrap());
    });
    page.until("document.querySelectorAll('#caller dd').length > 2")
        .await;
    let facts = page
        .look(
            "[...document.querySelectorAll('#caller dd')].map((dd) => dd.textContent).join('\\n')",
        )
        .await;
    for fact in ["张三", "深圳市福田区深南大道1号", "22.54"] {
        assert!(facts.as_str().unwrap().contains(fact), "{facts}");
    }

    page.press("#caller [data-act=record]").await;
    page.until("document.querySelector('#record dd')").await;
    desk.view
        .send_modify(|view| Arc::make_mut(view).calls.clear());
    page.until("document.querySelector('.caller').hidden").await;
    assert_eq!(page.complaints(), [] as [String; 0]);
    server.abort();
}
