//! One call through the real program, with telephones over UDP: the shortest proof that the house stands.

use std::net::SocketAddr;
use std::time::Duration;

use firstring::sim::centre::CarrierTrunk;
use firstring::sim::phone::{Dial, Phone, Speech};
use serde_json::json;

use crate::support::server::{Server, centre};
use crate::support::tone::tone_share;

const LOOPBACK: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

fn carrier() -> CarrierTrunk {
    CarrierTrunk {
        id: "carrier".to_owned(),
        source: "127.0.0.1".to_owned(),
        remote: None,
        profile: "generic-ims",
        outbound: None,
        lines: Vec::new(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_answered_heard_on_both_sides_recorded_and_its_journal_replays_to_the_same_state()
{
    let (dir, mut practice) = centre(1);
    practice.trunks.push(carrier());
    let mut server = Server::start((dir, practice)).await;
    let sip = server.sip("udp");
    let mut seat = Phone::new(LOOPBACK, sip, "801", &server.centre.secret("seat-801"))
        .await
        .expect("a phone");
    seat.register(60).await.expect("registered");
    let mut caller = Phone::new(LOOPBACK, sip, "13800138000", "")
        .await
        .expect("a phone");
    let dial = Dial {
        number: "0755120".to_owned(),
        ..Dial::default()
    };
    let (talk, answered) = tokio::join!(
        caller.call(&dial, Speech::tone(620), Duration::from_secs(10)),
        seat.answer(
            Duration::from_millis(200),
            Speech::tone(1100),
            Duration::from_secs(10)
        ),
    );
    let (talk, answered) = (
        talk.expect("answered at once"),
        answered.expect("rung").expect("not cancelled"),
    );
    server
        .open_call("the talk", |call| {
            call["state"] == "talking" && call["seat"] == "801"
        })
        .await;
    tokio::time::sleep(Duration::from_secs(2)).await; // the talk itself
    let (by_caller, by_seat) = tokio::join!(
        caller.hang_up(talk),
        seat.hung_up(answered, Duration::from_secs(5))
    );
    for (who, heard, hz) in [
        ("caller", by_caller.expect("BYE answered"), 1100.0),
        ("seat", by_seat.expect("hung up"), 620.0),
    ] {
        let last = &heard[heard.len() - 8000..];
        assert!(
            tone_share(last, hz) > 0.8,
            "the {who} heard {:.2} of {hz} Hz",
            tone_share(last, hz)
        );
    }
    let record = server.closed_record().await;
    assert_eq!(record["end"]["result"], json!("answered"));
    assert_eq!(record["caller"]["number"]["e164"], json!("+8613800138000"));
    assert_eq!(
        record["recordings"][0]["tracks"].as_array().map(Vec::len),
        Some(2)
    );
    let said = server.terminate();
    let replayed =
        firstring::engine::replay(&server.centre.dir.join("journal")).expect("the journal replays");
    assert_eq!(said.trim(), format!("state {}", replayed.state_hash));
}
