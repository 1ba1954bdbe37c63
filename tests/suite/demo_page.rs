//! The page in a browser: what a person at the demo sees, presses and hears, in both languages and on a narrow screen.

use std::path::PathBuf;
use std::time::Duration;

use firstring::sim::phone::{Phone, Speech};
use serde_json::Value;

use crate::support::chromium::Chromium;
use crate::support::demo::Demo;

/// Answers whatever rings, until it is hung up; ends with the test.
async fn answers_all(demo: &Demo, account: &str, hz: u32) {
    let (sip, secret) = demo.account(account).await;
    let local = ([127, 0, 0, 1], 0).into();
    let mut phone = Phone::new(local, sip, account, &secret)
        .await
        .expect("bound");
    phone.register(600).await.expect("registered");
    let hour = Duration::from_secs(3600);
    tokio::spawn(async move {
        loop {
            let answered = phone.answer(Duration::from_secs(1), Speech::tone(hz), hour);
            if let Ok(Some(talk)) = answered.await {
                drop(phone.hung_up(talk, hour).await);
            }
        }
    });
}

fn seat<'a>(seats: &'a Value, seat: &str) -> &'a Value {
    let seats = seats.as_array().expect("a list");
    seats.iter().find(|one| one["seat"] == seat).expect("there")
}

/// The state that the API gives a seat becomes this.
async fn seat_is(demo: &Demo, id: &str, state: &str) {
    demo.until("/seats", state, |seats| {
        (seat(seats, id)["state"] == state).then_some(())
    })
    .await;
}

/// The page's card of a seat.
fn card(seat: &str) -> String {
    format!("#seats [data-key='{seat}']")
}

/// The page's row of a talk.
fn row(call: &Value) -> String {
    format!("#talking [data-key='{}']", call["call"].as_str().unwrap())
}

/// Pictures go to `FIRSTRING_PICTURES`, else nowhere that stays.
fn pictures() -> (PathBuf, Option<tempfile::TempDir>) {
    match std::env::var_os("FIRSTRING_PICTURES") {
        Some(folder) => (folder.into(), None),
        None => {
            let folder = tempfile::tempdir().expect("a directory");
            (folder.path().to_owned(), Some(folder))
        }
    }
}

/// Nothing may stick out at the side, on a telephone's screen and on a desk's.
async fn fits_and_is_drawn(page: &mut Chromium, folder: &std::path::Path, language: &str) {
    for (width, height) in [(360, 780), (1280, 900)] {
        page.size(width, height).await;
        let over = page
            .look("document.documentElement.scrollWidth - document.documentElement.clientWidth")
            .await;
        page.picture(&folder.join(format!("page-{language}-{width}.png")))
            .await;
        assert_eq!(over, 0, "{language}: wider than {width} px");
    }
}

/// The timer of that talk runs.
async fn timer_runs(page: &mut Chromium, call: &Value) {
    let timer = format!("document.querySelector(`{} .timer`).textContent", row(call));
    let before = page.until(&timer).await;
    page.until(&format!("{timer} !== {before}")).await;
}

async fn ends_by_button(demo: &Demo, page: &mut Chromium, call: &Value) {
    page.press(&format!("{} [data-act=hang_up]", row(call)))
        .await;
    page.press("#ask-yes").await;
    demo.until("/calls", "end of the call", |calls| {
        let open = calls
            .as_array()?
            .iter()
            .any(|one| one["call"] == call["call"]);
        (!open).then_some(())
    })
    .await;
}

/// A complaint about the call from its record's panel, closed in the list; a handover that waits for the next shift.
async fn keeps_an_eye(demo: &Demo, page: &mut Chromium, id: &str) {
    page.press("#record [data-act=complain]").await;
    page.write("车来得太晚").await;
    page.press("#ask-yes").await;
    page.press("#duty [data-act=close]").await;
    page.write("已向家属解释").await;
    page.press("#ask-yes").await;
    demo.until("/complaints?state=closed", "closed complaint", |list| {
        (list[0]["call"] == id && list[0]["held"] == true).then_some(())
    })
    .await;
    page.press("#duty [data-act=lift_hold]").await;
    page.press("#hand-over").await;
    page.look("document.querySelector('#ask [name=to]').value = '802'; 0")
        .await;
    page.press("#ask-yes").await;
    page.until("document.querySelector('#duty [data-act=take_over]')")
        .await;
    demo.until("/handovers", "handover for 802", |shifts| {
        (shifts["handovers"][0]["to"] == "802").then_some(())
    })
    .await;
}

/// The form of the ended call, from its record's button: two fields, a reason and the type; the record shows them.
async fn writes_the_form(demo: &Demo, page: &mut Chromium, call: &Value) {
    let id = call["call"].as_str().unwrap();
    page.press(&format!("#records [data-key='{id}']")).await;
    page.until(&format!(
        "document.querySelector(\"#records [data-key='{id}'][aria-current=true]\") && document.querySelector('#record [data-act=form]')"
    ))
    .await;
    page.press("#record [data-act=form]").await;
    page.until("document.querySelector('#ask.wide[open] [name=patient_name]')")
        .await;
    page.look("const set = (name, value) => { document.querySelector(`#ask [name=${name}]`).value = value; }; set('patient_name', '王某'); set('casualties', '2'); set('reason', 'trauma/traffic'); set('call_type', 'emergency'); set('scene', '深南大道<b>1</b>号'); 0").await;
    page.press("#ask-yes").await;
    let sheet = demo
        .until(&format!("/calls/{id}/form"), "the form", |sheet| {
            (sheet["revision"] == 1 && sheet["call_type"].is_object()).then(|| sheet.clone())
        })
        .await;
    assert_eq!(sheet["form"]["patient_name"], "王某");
    assert_eq!(sheet["form"]["casualties"], 2);
    assert_eq!(sheet["form"]["reason"]["zh"], "创伤 / 交通伤");
    assert_eq!(sheet["call_type"]["code"], "emergency");
    keeps_an_eye(demo, page, id).await;
    page.until("['王某 · 2 人', '创伤 / 交通伤', '急救', '深南大道<b>1</b>号'].every((text) => [...document.querySelectorAll('#record dd')].some((e) => e.textContent === text))")
        .await;
}

async fn plays_with_two_lanes(page: &mut Chromium) {
    page.until("document.querySelectorAll('#record .lanes canvas').length === 2")
        .await;
    let drawn = "[...document.querySelectorAll('#record canvas')].every((c) => new Uint32Array(c.getContext('2d').getImageData(0, 0, c.width, c.height).data.buffer).some((p) => p))";
    page.until(drawn).await;
    page.look("document.querySelector('#record audio').play()")
        .await;
    page.until("document.querySelector('#record audio').currentTime > 0.2")
        .await;
    page.until("[...document.querySelectorAll('#deliveries tbody tr')].some((row) => row.querySelector('.tag.good'))")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_shows_calls_live_obeys_its_buttons_and_plays_the_recording_in_both_languages() {
    if !Chromium::is_there() {
        println!("skipped: no chromium on this machine; `tools/need.sh test` installs it");
        return;
    }
    let demo = Demo::start(&["--load", "8"]).await;
    answers_all(&demo, "802", 1100).await;
    answers_all(&demo, "800", 1500).await;
    let (folder, _kept) = pictures();
    let mut page = Chromium::start("zh-CN,zh").await;
    page.size(1280, 900).await;
    page.open(&demo.told("open").await).await;
    page.look("window.seen = new Set(); setInterval(() => document.querySelectorAll('.seat .word').forEach((w) => seen.add(w.textContent.split(' ')[0])), 50); 0").await;
    page.until("document.querySelector('#waiting .row .number')")
        .await;

    // One call, ended by its button: two parties, two lanes.
    let talks = |call: &Value| call["state"] == "talking" && call["seat"] == "802";
    let call = demo.call("call at the seat", talks).await;
    timer_runs(&mut page, &call).await;
    page.until(
        "[...document.querySelectorAll('#waiting .tag')].some((e) => /下一位/.test(e.textContent))",
    )
    .await;
    ends_by_button(&demo, &mut page, &call).await;
    page.press(&format!("{} [data-act=not_ready]", card("802")))
        .await;
    page.press("#ask-yes").await;
    seat_is(&demo, "802", "not_ready").await;
    plays_with_two_lanes(&mut page).await;
    page.press(&format!("{} [data-act=ready]", card("802")))
        .await;

    writes_the_form(&demo, &mut page, &call).await;

    // The next: a third party and the supervisor's ear.
    let call = demo.call("second call", talks).await;
    page.press(&format!("{} [data-act=add]", row(&call))).await;
    page.write("13900000000").await;
    page.press("#ask-yes").await;
    page.press(&format!("{} [data-act=listen]", row(&call)))
        .await;
    page.press("#ask-yes").await;
    demo.call("doctor and listener", |call| {
        let legs = call["legs"].as_array().unwrap();
        let up = |who: &str| {
            legs.iter()
                .any(|leg| leg["state"] == "up" && leg["party"].as_str().unwrap().starts_with(who))
        };
        up("doctor") && up("supervisor-800")
    })
    .await;
    page.until("document.querySelectorAll('#talking .legs .tag.good').length >= 3")
        .await;
    fits_and_is_drawn(&mut page, &folder, "zh").await;
    page.until("['振铃', '通话', '示忙', '监听'].every((state) => seen.has(state))")
        .await;
    page.speaks("en-GB,en").await;
    page.reload().await;
    page.until("[...document.querySelectorAll('#talking .tag')].some((e) => e.textContent === 'Listen 800')")
        .await;
    page.until("document.querySelector('#record audio') && document.querySelectorAll('#record canvas').length").await;
    fits_and_is_drawn(&mut page, &folder, "en").await;
    ends_by_button(&demo, &mut page, &call).await;
    assert_eq!(page.complaints(), [] as [String; 0]);
}
