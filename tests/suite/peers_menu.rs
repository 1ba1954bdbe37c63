//! Menus with real peers: what is heard, keys in RFC 4733, silence and wrong keys, the 120 line beside it, and reload.

use rustix::process::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::peers_queue::{best_fit, clip};
use crate::peers_stage::{
    CALLER_HZ, SEAT_HZ, both_hear, call, event, events, quiet, scene, seat, talking, until,
};
use crate::support::rtp_peer::{RtpPeer, Voice};
use crate::support::server::Server;
use crate::support::sipp::Place;

const INFO: &str = "88886666";
/// Short prompts that are there; what they say does not matter here.
const MENU: &str = r#"
called = ["88886666"]
queue = "120"
[nodes.main]
prompts = ["third_party"]
keys = { 1 = "more", 2 = "queue:120" }
key_wait_ms = 2000
[nodes.more]
prompts = ["line_fault_caller"]
keys = { 2 = "queue:120" }
"#;

/// A centre of one seat with one menu, in a file of its own.
fn menu_scene(carrier: &Place) -> (TempDir, firstring::sim::centre::Centre) {
    let (dir, mut practice) = scene(1, carrier);
    practice.more.push_str("\n[ivr]\ndir = \"menus\"\n");
    write_menu(&practice.dir, MENU);
    (dir, practice)
}

fn write_menu(dir: &std::path::Path, text: &str) {
    std::fs::create_dir_all(dir.join("menus")).expect("a folder");
    std::fs::write(dir.join("menus/info.toml"), text).expect("written");
}

/// The prompt was said to the caller from its beginning to its end.
async fn hears(voice: &RtpPeer, server: &Server, name: &str) {
    let clip = clip(&server.centre.prompts().join("zh-CN"), name);
    until(&format!("{name} is heard"), || {
        let heard = voice.audio_from(0);
        heard.len() > clip.len() + 800 && best_fit(&heard, &clip).0 > 0.95
    })
    .await;
}

fn of_type<'e>(events: &'e [Value], kind: &str) -> Vec<&'e Value> {
    events.iter().filter(|e| e["type"] == kind).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn caller_hears_the_menu_presses_his_way_to_the_queue_and_a_seat_rings() {
    let carrier = Place::new();
    let mut server = Server::start(menu_scene(&carrier)).await;
    let mut dispatcher = seat(&mut server, "801", SEAT_HZ).await;
    let voice = RtpPeer::start(Voice::tone(CALLER_HZ));
    let scenario = carrier.scenario("caller").dials(INFO);
    let mut caller = call(scenario, server.sip("udp"), &voice).await;
    let open = server
        .open_call("the menu", |call| call["state"] == "in_menu")
        .await;
    assert_eq!(open["called"], json!(INFO));
    hears(&voice, &server, "third_party").await;
    assert!(of_type(&events(&mut server).await, "queue.entered").is_empty());
    voice.press('1', 120);
    event(&mut server, "ivr.digit", |data| data["digit"] == "1").await;
    event(&mut server, "prompt.started", |data| {
        data["prompt"] == "line_fault_caller"
    })
    .await;
    hears(&voice, &server, "line_fault_caller").await;
    voice.press('2', 120);
    dispatcher.rings(1).await;
    let all = events(&mut server).await;
    let (ended, entered) = (of_type(&all, "ivr.ended"), of_type(&all, "queue.entered"));
    assert_eq!(ended[0]["data"]["reason"], json!("chosen"));
    assert_eq!(ended[0]["at"], entered[0]["at"], "0 ms between them");
    dispatcher.accept().await;
    talking(&mut server, "801").await;
    both_hear(&voice, &dispatcher, CALLER_HZ).await;
    caller.go_on();
    caller.finished().await;
    let record = server.closed_record().await;
    let keys: Vec<&Value> = record["menu"]["keys"]
        .as_array()
        .expect("keys")
        .iter()
        .flat_map(|key| [&key["node"], &key["digit"]])
        .collect();
    assert_eq!(keys, ["main", "1", "more", "2"]);
    let heard_ms = record["recordings"][0]["tracks"][0]["heard_ms"].as_u64();
    assert!(
        heard_ms.is_some_and(|ms| ms > 9_000),
        "recorded from the answer on: {record:#}"
    );
    quiet(&mut server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn silent_caller_of_a_menu_reaches_the_queue_and_a_seat_rings() {
    let carrier = Place::new();
    let mut server = Server::start(menu_scene(&carrier)).await;
    let dispatcher = seat(&mut server, "801", SEAT_HZ).await;
    let voice = RtpPeer::start(Voice::tone(CALLER_HZ));
    let scenario = carrier.scenario("caller").dials(INFO);
    let mut caller = call(scenario, server.sip("udp"), &voice).await;
    let ended = event(&mut server, "ivr.ended", |_| true).await;
    assert_eq!(ended["data"]["reason"], json!("silence"));
    let all = events(&mut server).await;
    let said = of_type(&all, "prompt.started");
    let prompts: Vec<&Value> = said.iter().map(|e| &e["data"]["prompt"]).collect();
    assert_eq!(
        prompts[..2],
        ["third_party", "third_party"],
        "said again once"
    );
    dispatcher.rings(1).await;
    hears(&voice, &server, "greeting").await;
    caller.go_on();
    caller.finished().await;
    quiet(&mut server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_keys_lead_to_the_queue_and_120_has_no_menu() {
    let carrier = Place::new();
    let mut server = Server::start(menu_scene(&carrier)).await;
    let sip = server.sip("udp");
    let voice = RtpPeer::start(Voice::tone(CALLER_HZ));
    let scenario = carrier.scenario("caller").dials("0755-88886666");
    let mut caller = call(scenario, sip, &voice).await;
    event(&mut server, "ivr.started", |_| true).await;
    for n in 1..=2 {
        voice.press('9', 120);
        server
            .wait_for("/api/v1/events?after=0&limit=1000", "the key", |feed| {
                let digits = feed.as_array()?.iter();
                let pressed = digits.filter(|row| row["event"]["type"] == "ivr.digit");
                (pressed.count() == n).then_some(())
            })
            .await;
    }
    let ended = event(&mut server, "ivr.ended", |_| true).await;
    assert_eq!(ended["data"]["reason"], json!("wrong_key"));
    event(&mut server, "queue.entered", |_| true).await;
    caller.go_on();
    caller.finished().await;
    quiet(&mut server).await;

    let before = events(&mut server).await.len();
    let voice = RtpPeer::start(Voice::tone(CALLER_HZ));
    let mut caller = call(carrier.scenario("caller"), sip, &voice).await;
    hears(&voice, &server, "greeting").await;
    voice.press('1', 120);
    event(&mut server, "dtmf.received", |data| data["digit"] == "1").await;
    let all = events(&mut server).await;
    let now = &all[before..];
    assert!(of_type(now, "ivr.started").is_empty(), "{now:#?}");
    let (received, entered) = (of_type(now, "call.received"), of_type(now, "queue.entered"));
    assert_eq!(received[0]["at"], entered[0]["at"], "at once");
    caller.go_on();
    caller.finished().await;
    quiet(&mut server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_menu_file_keeps_the_old_menu_and_a_good_one_is_heard_by_the_next_caller() {
    let carrier = Place::new();
    let mut server = Server::start(menu_scene(&carrier)).await;
    let sip = server.sip("udp");
    write_menu(
        &server.centre.dir,
        &MENU.replace("1 = \"more\"", "1 = \"mor\""),
    );
    server.signal(Signal::HUP);
    let refused = event(&mut server, "alarm.raised", |data| {
        data["code"] == "config.refused"
    })
    .await;
    let detail = refused["data"]["detail"].as_str().expect("a text");
    assert!(
        detail.contains("menus/info.toml:6") && detail.contains("did you mean more?"),
        "{detail}"
    );
    let voice = RtpPeer::start(Voice::tone(CALLER_HZ));
    let scenario = carrier.scenario("caller").dials(INFO);
    let mut caller = call(scenario, sip, &voice).await;
    hears(&voice, &server, "third_party").await;
    caller.go_on();
    caller.finished().await;
    let left = event(&mut server, "call.abandoned", |_| true).await;
    assert_eq!(left["data"]["stage"], json!("menu"));
    event(&mut server, "callback.due", |data| {
        data["reason"] == "abandoned"
    })
    .await;

    write_menu(
        &server.centre.dir,
        &MENU.replace("third_party", "wait_alert"),
    );
    server.signal(Signal::HUP);
    event(&mut server, "alarm.cleared", |data| {
        data["code"] == "config.refused"
    })
    .await;
    let voice = RtpPeer::start(Voice::tone(CALLER_HZ));
    let scenario = carrier.scenario("caller").dials(INFO);
    let mut caller = call(scenario, sip, &voice).await;
    hears(&voice, &server, "wait_alert").await;
    caller.go_on();
    caller.finished().await;
    quiet(&mut server).await;
}
