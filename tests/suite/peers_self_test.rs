//! 自检呼入 over a carrier that brings the call back, with sound: and over ones that swallow it or are deaf in one direction.

use serde_json::{Value, json};

use crate::peers_stage::{quiet, scene};
use crate::support::loop_carrier::{Fault, LoopCarrier};
use crate::support::scene::alarm;
use crate::support::server::Server;
use crate::support::sipp::Place;

/// A centre with one trunk that is tested, and the carrier of it.
async fn centre(fault: Fault) -> (Server, LoopCarrier, Place) {
    let (callers, place) = (Place::new(), Place::new());
    let mut centre = scene(1, &callers);
    let mut trunk = place.outbound_trunk("loop", 1);
    trunk
        .lines
        .push(String::from("self_test = \"075588880001\""));
    centre.1.trunks.push(trunk);
    let server = Server::start(centre).await;
    let carrier = LoopCarrier::start(&place, server.sip("udp"), fault);
    (server, carrier, place)
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
