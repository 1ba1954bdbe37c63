//! 自检呼入 over a carrier that brings the call back, with sound: and over ones that swallow it or are deaf in one direction.

use std::time::{Duration, Instant};

use firstring::sim::centre::Centre;
use serde_json::{Value, json};

use crate::peers_stage::{quiet, scene};
use crate::support::chromium::Chromium;
use crate::support::loop_carrier::{Fault, LoopCarrier};
use crate::support::scene::{Module, alarm};
use crate::support::server::Server;
use crate::support::sipp::Place;

/// A centre with one trunk that is tested, and the carrier of it.
async fn centre(fault: Fault) -> (Server, LoopCarrier, Place) {
    centre_with(fault, |_| ()).await.0
}

/// The same, and what joined the centre before it began.
async fn centre_with<J>(
    fault: Fault,
    join: impl FnOnce(&mut Centre) -> J,
) -> ((Server, LoopCarrier, Place), J) {
    let (callers, place) = (Place::new(), Place::new());
    let mut centre = scene(1, &callers);
    let mut trunk = place.outbound_trunk("loop", 1);
    trunk
        .lines
        .push(String::from("self_test = \"075588880001\""));
    centre.1.trunks.push(trunk);
    let joined = join(&mut centre.1);
    let server = Server::start(centre).await;
    let carrier = LoopCarrier::start(&place, server.sip("udp"), fault);
    ((server, carrier, place), joined)
}

/// `firstring selftest` in English: whether it ended with 0, and what it printed.
async fn command(server: &Server, words: &[&str]) -> (bool, String) {
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_firstring"));
    let url = format!("http://{}", server.addresses.api);
    let token = server.centre.secret_file("token-admin");
    command.args(["selftest", "--lang", "en", "--url", &url, "--token-file"]);
    let output = command.arg(token).args(words).output().await;
    let output = output.expect("it runs");
    let text = String::from_utf8_lossy(&output.stdout);
    let faults = String::from_utf8_lossy(&output.stderr);
    (output.status.success(), format!("{text}{faults}"))
}

/// One test, to its verdict.
async fn tested(server: &mut Server) -> Value {
    let (status, begun) = server
        .post("/api/v1/self_tests", json!({ "trunk": "loop" }))
        .await;
    assert_eq!(status, 200, "{begun}");
    let call = begun["call"].as_str().expect("the call").to_owned();
    server
        .wait_for("/api/v1/self_tests", "the verdict", |seen| {
            let last = &seen["trunks"][0]["last"];
            (last["call"] == call.as_str()).then(|| last.clone())
        })
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_carrier_that_brings_the_call_back_passes_every_step_with_sound_and_recordings() {
    let (mut server, carrier, _place) = centre(Fault::None).await;
    let verdict = tested(&mut server).await;
    assert!(verdict["failed"].is_null(), "{verdict}");
    let steps = verdict["steps"].as_array().expect("steps");
    let names: Vec<_> = steps.iter().filter_map(|s| s["step"].as_str()).collect();
    let all = [
        "dialled",
        "arrived",
        "answered",
        "heard_in",
        "heard_out",
        "hung_up",
        "recorded",
    ];
    assert!(names.starts_with(&all), "{verdict}");
    let view = server.get("/api/v1/view").await;
    assert_eq!(view["arrived"], 0, "in no statistics");
    assert_eq!(view["call_backs"], json!([]));
    let records = server.get("/api/v1/records?limit=10").await;
    let records = records.as_array().expect("records").clone();
    assert_eq!(records.len(), 2);
    for record in records {
        assert_eq!(record["call_type"]["code"], "test", "{record}");
    }
    let month = server.get("/api/v1/self_tests").await;
    assert_eq!(month["report"]["tests"], 1);
    assert_eq!(month["report"]["failed"], 0);
    let (good, text) = command(&server, &["loop"]).await;
    assert!(good, "{text}");
    for part in [
        "testing trunk loop",
        "sound comes in",
        "both ends are recorded",
        "passed",
    ] {
        assert!(text.contains(part), "{text}");
    }
    let (good, text) = command(&server, &["--report"]).await;
    assert!(good && text.contains("2 self-tests, 0 failed"), "{text}");
    quiet(&mut server).await;
    drop(carrier);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_carrier_that_swallows_the_call_or_is_deaf_in_one_direction_is_named_by_the_alarm() {
    let (mut server, carrier, _place) = centre(Fault::DeafIn).await;
    let mut failed = 0;
    for (fault, step) in [
        (Fault::DeafIn, "heard_in"),
        (Fault::DeafOut, "heard_out"),
        (Fault::Swallows, "arrived"),
    ] {
        carrier.set(fault);
        let verdict = tested(&mut server).await;
        assert_eq!(verdict["failed"], step, "{verdict}");
        assert!(verdict["ms"].as_u64() < Some(60_000));
        let detail = alarm(&mut server, "selftest.failed", true).await;
        assert!(detail.contains(step), "{detail}");
        failed += 1;
        server
            .wait_for("/api/v1/view", "no call is left", |view| {
                view["calls"].as_array()?.is_empty().then_some(())
            })
            .await;
    }
    carrier.set(Fault::DeafIn);
    let (good, text) = command(&server, &["loop"]).await;
    failed += 1;
    assert!(!good, "{text}");
    for part in [
        "✕ sound comes in",
        "why:",
        "what to do: callers may not be heard",
        "1 of 1 trunks failed",
    ] {
        assert!(text.contains(part), "{text}");
    }
    carrier.set(Fault::None);
    let verdict = tested(&mut server).await;
    assert!(verdict["failed"].is_null(), "{verdict}");
    alarm(&mut server, "selftest.failed", false).await;
    let month = server.get("/api/v1/self_tests").await;
    assert_eq!(month["report"]["tests"], failed + 1);
    assert_eq!(month["report"]["failed"], failed);
    assert!(month["report"]["longest_deaf_ms"].as_u64() > Some(1_000));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_reference_modules_acknowledge_a_test_and_a_deaf_one_is_an_alarm_within_a_minute() {
    let join = |centre: &mut Centre| ["dispatch", "emr"].map(|kind| Module::join(centre, kind));
    let ((mut server, carrier, _place), [_dispatch, mut emr]) =
        centre_with(Fault::None, join).await;
    let verdict = tested(&mut server).await;
    assert!(verdict["failed"].is_null(), "{verdict}");
    let steps = verdict["steps"].as_array().expect("steps");
    let last = steps.last().expect("a step");
    assert_eq!(last["step"], "delivered", "{verdict}");
    alarm(&mut server, "selftest.failed", false).await;
    // One of the two takes nothing any more.
    emr.kill();
    let begun = Instant::now();
    let verdict = tested(&mut server).await;
    assert_eq!(verdict["failed"], "delivered", "{verdict}");
    let reached: Vec<_> = verdict["steps"].as_array().expect("steps").iter().collect();
    assert!(reached.iter().any(|s| s["step"] == "recorded"), "{verdict}");
    let detail = alarm(&mut server, "selftest.failed", true).await;
    assert!(begun.elapsed() < Duration::from_secs(60));
    assert!(detail.contains("delivered"), "{detail}");
    let trunk = &server.get("/api/v1/self_tests").await["trunks"][0];
    assert!(
        trunk["deaf_since"].is_string() || trunk["deaf_since"].is_number(),
        "{trunk}"
    );
    drop(carrier);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_button_beside_a_trunk_tests_it_and_the_page_names_the_step_that_is_deaf() {
    if !Chromium::is_there() {
        println!("skipped: no chromium on this machine; `tools/need.sh test` installs it");
        return;
    }
    let (mut server, carrier, _place) = centre(Fault::DeafIn).await;
    let mut page = Chromium::start("zh-CN,zh").await;
    page.open(&format!("http://{}/", server.addresses.api))
        .await;
    page.until("document.querySelector('#ask[open] input')")
        .await;
    page.write(&server.centre.secret("token-admin")).await;
    page.press("#ask-yes").await;
    page.press("[data-act=self_test-loop]").await;
    let verdict = server
        .wait_for("/api/v1/self_tests", "the verdict", |seen| {
            let last = &seen["trunks"][0]["last"];
            last.is_object().then(|| last.clone())
        })
        .await;
    assert_eq!(verdict["failed"], "heard_in", "{verdict}");
    page.until("[...document.querySelectorAll('#trunks .tag.hot')].some((tag) => tag.textContent === '自检 ✕ 来话音频')").await;
    carrier.set(Fault::None);
    page.press("[data-act=self_test-loop]").await;
    alarm(&mut server, "selftest.failed", false).await;
    page.until("![...document.querySelectorAll('#trunks .tag.hot')].some((tag) => /自检/.test(tag.textContent))").await;
}
