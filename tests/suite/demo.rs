//! The demo that lives until Ctrl-C, as the person at its terminal has it.

use std::path::Path;
use std::time::Duration;

use firstring::sim::phone::{Dial, Phone, Speech};

use crate::support::demo::Demo;

fn runs(pid: u32) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}

fn ended_within_five_seconds(demo: &mut Demo) {
    let children = demo.children();
    assert_eq!(children.len(), 2, "both modules are processes of their own");
    let (status, took) = demo.interrupt();
    assert!(status.success(), "{status}");
    assert!(took < Duration::from_secs(5), "it took {took:?}");
    assert!(!children.iter().any(|pid| runs(*pid)), "a module remains");
    assert!(demo.leftovers().is_empty(), "{:?}", demo.leftovers());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_living_demo_answers_its_callers_gives_a_real_seat_the_next_and_leaves_nothing_behind() {
    let mut demo = Demo::start(&[]).await;
    let link = demo.told("open").await;
    let (status, cookie) = demo.open(&link).await;
    assert_eq!(status, 303);
    assert_eq!(demo.open(&link).await.0, 401, "a link opens once");
    demo.sign_in(&cookie);
    assert_eq!(demo.get("/me").await["role"], "admin");
    let first = demo
        .call("call at the simulated seat", |call| {
            call["state"] == "talking" && call["seat"] == "801"
        })
        .await;

    let (sip, secret) = demo.account("802").await;
    let loopback = |last: u8| ([127, 0, 0, last], 0).into();
    let seat = Phone::new(loopback(1), sip, "802", &secret).await;
    let mut seat = seat.expect("bound");
    seat.register(60).await.expect("registered");
    let first = first["call"].as_str().expect("an id");
    demo.post(&format!("/calls/{first}/hang_up")).await;
    demo.until("/seats", "simulated seat that stands back", |seats| {
        let seats = seats.as_array()?;
        let simulated = seats.iter().find(|seat| seat["seat"] == "801")?;
        (simulated["state"] == "not_ready").then_some(())
    })
    .await;
    // A caller of the demo's first carrier.
    let caller = Phone::new(loopback(2), sip, "13912345678", "").await;
    let mut caller = caller.expect("bound");
    let patience = Duration::from_secs(20);
    let dial = Dial {
        number: "120".to_owned(),
        ..Dial::default()
    };
    let (talk, answered) = tokio::join!(
        caller.call(&dial, Speech::tone(620), patience),
        seat.answer(Duration::ZERO, Speech::tone(1100), patience)
    );
    let (talk, answered) = (talk.expect("taken"), answered.expect("rung"));
    demo.call("call at the real seat", |call| {
        call["state"] == "talking" && call["seat"] == "802"
    })
    .await;
    drop(caller.hang_up(talk).await);
    drop(
        seat.hung_up(answered.expect("not cancelled"), patience)
            .await,
    );
    ended_within_five_seconds(&mut demo);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_busy_evening_of_twenty_callers_loses_and_refuses_none() {
    let mut demo = Demo::start(&["--load", "20"]).await;
    let talks = |calls: &serde_json::Value| {
        let calls = calls.as_array()?;
        let talks = calls.iter().filter(|call| call["state"] == "talking");
        (talks.count() >= 10).then_some(())
    };
    demo.until("/calls", "ten talks at once", talks).await;
    let view = demo
        .until("/view", "twenty calls", |view| {
            (view["arrived"].as_u64()? >= 20).then(|| view.clone())
        })
        .await;
    assert_eq!((&view["lost"], &view["refused"]), (&0.into(), &0.into()));
    let said = demo.said();
    assert!(
        !said.iter().any(|line| line.contains("was not taken")),
        "{}",
        said.join("\n")
    );
    ended_within_five_seconds(&mut demo);
}
