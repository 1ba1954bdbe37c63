//! A group call with real peers: three numbers of one carrier, rung together.

use serde_json::{Value, json};

use crate::peers_queue::{best_fit, clip};
use crate::peers_stage::{THIRD_HZ, event, quiet, scene, until};
use crate::support::rtp_peer::{RtpPeer, Voice};
use crate::support::server::Server;
use crate::support::sipp::Place;

/// The row of a number in the table.
fn row<'t>(table: &'t Value, number: &str) -> &'t Value {
    let rows = table["targets"].as_array().expect("a table");
    let row = rows.iter().find(|row| row["number"] == number);
    row.unwrap_or_else(|| panic!("{number} in {table}"))
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
    let to = |number: &'static str| {
        move |m: &crate::support::sipp::Logged| {
            m.received && m.starts("INVITE") && m.text.lines().next().unwrap().contains(number)
        }
    };
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
