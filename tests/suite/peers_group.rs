//! A group call with real peers: numbers of one carrier, rung together; and what is left of one after kill -9.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::peers_queue::{best_fit, clip};
use crate::peers_stage::{THIRD_HZ, event, events, quiet, scene, talk, until};
use crate::support::rtp_peer::{RtpPeer, Voice};
use crate::support::scene::fix_port;
use crate::support::server::Server;
use crate::support::sipp::{Logged, Place};

/// The row of a number in the table.
fn row<'t>(table: &'t Value, number: &str) -> &'t Value {
    let rows = table["targets"].as_array().expect("a table");
    let row = rows.iter().find(|row| row["number"] == number);
    row.unwrap_or_else(|| panic!("{number} in {table}"))
}

/// The INVITE that rings a number.
fn to(number: &str) -> impl Fn(&Logged) -> bool {
    move |m| m.received && m.starts("INVITE") && m.text.lines().next().unwrap().contains(number)
}

#[tokio::test(flavor = "multi_thread")]
async fn of_three_phones_one_acknowledges_one_is_busy_and_one_never_answers() {
    let (carrier, other) = (Place::new(), Place::new());
    let mut centre = scene(1, &carrier);
    centre.1.trunks.push(other.outbound_trunk("other", 1));
    let timers = centre.1.lines.entry("timers").or_default();
    timers.push(String::from("group_ring_ms = 10000"));
    centre.1.more.push_str(
        "\n[group.volunteers]\nnumbers = [\"13900139001\", \"13900139002\", \"13900139003\"]\n",
    );
    let person = RtpPeer::start(Voice::tone(THIRD_HZ));
    let mut callees = other
        .scenario("callee_group")
        .voice(&person)
        .wait_for_calls();
    let mut server = Server::start(centre).await;
    let wish = json!({ "group": "volunteers" });
    let (status, reply) = server.post("/api/v1/group_calls", wish).await;
    assert_eq!(status, 200, "{reply}");
    let path = format!(
        "/api/v1/group_calls/{}",
        reply["group_call"].as_str().expect("an id")
    );
    let invite = callees.message("INVITE", to("13900139001")).await;
    callees.message("INVITE", to("13900139002")).await;
    callees.message("INVITE", to("13900139003")).await;
    person.talk_to(invite.media().expect("an SDP"));
    let prompts = server.centre.prompts().join("zh-CN");
    let sentence = clip(&prompts, "group_alert");
    until("the sentence is heard", || {
        let heard = person.audio_from(0);
        heard.len() > sentence.len() + 4_000 && best_fit(&heard, &sentence).0 > 0.95
    })
    .await;
    person.press('1', 120);
    let told = event(&mut server, "group_call.acknowledged", |_| true).await;
    assert_eq!(told["data"]["number"], "13900139001");
    assert!(told["data"]["after_ms"].as_u64() > Some(3_000), "{told}");
    callees
        .message("BYE", |m| m.received && m.starts("BYE"))
        .await;
    let (thanks, heard) = (clip(&prompts, "group_thanks"), person.audio_from(0));
    let (fit, place) = best_fit(&heard, &thanks);
    assert!(
        fit > 0.9 && place > sentence.len(),
        "{fit} at {place} of {}",
        heard.len()
    );
    callees
        .message("CANCEL", |m| m.received && m.starts("CANCEL"))
        .await;
    let table = server
        .wait_for(&path, "its end", |table| {
            (!table["ended_at"].is_null()).then(|| table.clone())
        })
        .await;
    for (number, result) in [
        ("13900139001", "acknowledged"),
        ("13900139002", "busy"),
        ("13900139003", "no_answer"),
    ] {
        let row = row(&table, number);
        assert_eq!(row["result"], result, "{table}");
        assert_eq!(row["attempts"], 1, "{table}");
        assert_eq!(row["answered_at"].is_null(), result != "acknowledged");
    }
    let span = |row: &Value| row["ended_at"].as_i64().unwrap() - row["rung_at"].as_i64().unwrap();
    let rang = span(row(&table, "13900139003")) / 1000;
    assert!((9_900..11_500).contains(&rang), "{rang} ms");
    assert_eq!(table["ended_why"], "complete");
    quiet(&mut server).await;
}

/// How often each number got a result, in all the events so far.
fn results(events: &[Value]) -> BTreeMap<String, usize> {
    let mut counted = BTreeMap::new();
    for event in events {
        let kind = event["type"].as_str().unwrap_or_default();
        if ["group_call.acknowledged", "group_call.failed"].contains(&kind) {
            let number = event["data"]["number"].as_str().expect("a number");
            *counted.entry(number.to_owned()).or_default() += 1;
        }
    }
    counted
}

/// Started about a call that is over: one number listens, one was busy, one rings, and for the last there is no circuit yet.
#[tokio::test(flavor = "multi_thread")]
async fn after_kill_9_each_number_has_one_result_no_leg_stays_and_who_was_not_rung_yet_is_rung() {
    const NUMBERS: [&str; 4] = ["13900139001", "13900139002", "13900139003", "13900139004"];
    let (carrier, other) = (Place::new(), Place::new());
    let mut centre = scene(1, &carrier);
    fix_port(&mut centre.1);
    let mut trunk = other.outbound_trunk("other", 1);
    // Two at a time: one circuit is kept for callers, one is left to seats that dial.
    trunk.lines = ["circuits = 4", "circuits_kept = 1"]
        .map(String::from)
        .to_vec();
    centre.1.trunks.push(trunk);
    let incident = talk(centre, &carrier).await;
    let call = incident.call.clone();
    let mut server = incident.end().await;
    let person = RtpPeer::start(Voice::tone(THIRD_HZ));
    let mut callees = other
        .scenario("callee_group")
        .voice(&person)
        .wait_for_calls();
    let wish = json!({ "numbers": NUMBERS, "call": call });
    let (status, reply) = server.post("/api/v1/group_calls", wish).await;
    assert_eq!(status, 200, "{reply}");
    let id = reply["group_call"].as_str().expect("an id").to_owned();
    let path = format!("/api/v1/group_calls/{id}");
    let states = ["listening", "done", "ringing", "waiting"];
    server
        .wait_for(&path, "one of each", |table| {
            let targets = table["targets"].as_array()?;
            let now = targets.iter().map(|t| t["state"].as_str().unwrap_or("?"));
            now.eq(states).then_some(())
        })
        .await;
    until("the first one is told", || person.heard_count() > 50).await;

    server.kill();
    let before = person.heard_count();
    server.restart();
    // Who listened is released, who rang is rung no more.
    callees
        .message("BYE", |m| m.received && m.starts("BYE"))
        .await;
    callees
        .message("CANCEL", |m| m.received && m.starts("CANCEL"))
        .await;
    let invite = callees.message("INVITE", to("13900139004")).await;
    person.talk_to(invite.media().expect("an SDP"));
    let sentence = clip(&server.centre.prompts().join("zh-CN"), "group_alert");
    until("the last one hears the sentence", || {
        let heard = person.audio_from(before);
        heard.len() > sentence.len() + 4_000 && best_fit(&heard, &sentence).0 > 0.95
    })
    .await;
    person.press('1', 120);
    let table = server
        .wait_for(&path, "its end", |table| {
            (!table["ended_at"].is_null()).then(|| table.clone())
        })
        .await;
    let wanted = ["restarted", "busy", "restarted", "acknowledged"];
    for (number, result) in NUMBERS.into_iter().zip(wanted) {
        assert_eq!(row(&table, number)["result"], result, "{table}");
    }
    assert_eq!(table["ended_why"], "complete");
    quiet(&mut server).await;
    let counted = results(&events(&mut server).await);
    let once = NUMBERS.map(|number| (number.to_owned(), 1));
    assert_eq!(counted, BTreeMap::from(once));

    // The record of the call tells the same, before and after the kill.
    let record = server
        .wait_for(&format!("/api/v1/records/{call}"), "its table", |record| {
            let table = &record["group_calls"][0];
            (!table["ended_at"].is_null()).then(|| record.clone())
        })
        .await;
    assert_eq!(record["group_calls"].as_array().map(Vec::len), Some(1));
    let told = &record["group_calls"][0];
    let told = told["targets"].as_array().expect("targets");
    let told: Vec<_> = told.iter().map(|t| t["result"].clone()).collect();
    assert_eq!(told, wanted.map(Value::from));
    let said = server.terminate();
    let replayed = firstring::engine::replay(&server.centre.dir.join("journal")).unwrap();
    assert_eq!(said.trim(), format!("state {}", replayed.state_hash));
}
