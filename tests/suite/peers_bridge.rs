//! A crew speaks with the caller of its incident, with real peers: SIPp is the crew's phone and the caller's, and each is asked what
//! number it was shown.

use serde_json::json;

use crate::peers_stage::{CALLER_HZ, THIRD_HZ, quiet, scene, talk, until};
use crate::support::rtp_peer::{RtpPeer, Voice, assert_unbroken};
use crate::support::scene::recording;
use crate::support::sipp::{Place, Sipp};
use crate::support::tone::tone_span;

/// As tests/sipp/caller.xml calls.
const CALLER: &str = "13800138000";
const CREW: &str = "13900139001";

/// In all that the phone was told, SIP and SDP from the INVITE to the BYE, is its own number and nowhere the other's; whom it was shown.
async fn shown(phone: &mut Sipp, own: &str, other: &str) -> Vec<String> {
    phone
        .message("its BYE", |m| m.received && m.starts("BYE "))
        .await;
    let told: Vec<_> = phone.messages();
    let told: Vec<_> = told.iter().filter(|m| m.received).collect();
    for message in &told {
        assert!(!message.text.contains(other), "{}", message.text);
    }
    let invite = told.iter().find(|m| m.starts("INVITE "));
    let invite = &invite.expect("an INVITE").text;
    assert!(invite.contains(own), "{invite}");
    let header = |name: &str| invite.lines().find(|line| line.starts_with(name));
    ["From:", "P-Asserted-Identity:"]
        .map(|name| header(name).unwrap_or_else(|| panic!("no {name} in {invite}")))
        .map(str::to_owned)
        .to_vec()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crew_and_its_caller_hear_each_other_and_see_the_centres_number_only() {
    let (carrier, crews, callers) = (Place::new(), Place::new(), Place::new());
    let mut centre = scene(1, &carrier);
    let mut first = crews.outbound_trunk("crews", 1);
    // The second leg finds its one circuit for our calls in use.
    first.lines = [
        "circuits = 2",
        "circuits_kept = 1",
        "shown_number = \"075588120001\"",
    ]
    .map(str::to_owned)
    .to_vec();
    let mut second = callers.outbound_trunk("callers", 2);
    second.lines = vec![String::from("shown_number = \"075588120002\"")];
    centre.1.trunks.extend([first, second]);
    let incident = talk(centre, &carrier).await;
    let call = incident.call.clone();
    let mut server = incident.end().await;

    let path = format!("/api/v1/calls/{call}/crew");
    let numbers = json!({ "numbers": [CREW] });
    let (status, reply) = server.ask(reqwest::Method::PUT, &path, Some(numbers)).await;
    assert_eq!(status, 200, "{reply}");
    let crew = RtpPeer::start(Voice::tone(THIRD_HZ));
    let mut crews_phone = crews
        .scenario("callee")
        .key("rtp", crew.address().port())
        .key("user", CREW)
        .wait_for_calls();
    let voice = RtpPeer::start(Voice::tone(CALLER_HZ));
    let mut callers_phone = callers
        .scenario("callee")
        .key("rtp", voice.address().port())
        .key("user", CALLER)
        .wait_for_calls();
    let path = format!("/api/v1/calls/{call}/bridge");
    let (status, reply) = server.post(&path, json!({ "number": CREW })).await;
    assert_eq!(status, 200, "{reply}");
    assert!(!reply.to_string().contains(CALLER), "{reply}");
    let bridge = reply["call"].as_str().expect("a call").to_owned();
    crew.talk_to(crews_phone.media().await);
    voice.talk_to(callers_phone.media().await);
    until("each hears the other and nothing else", || {
        crew.hears_only(CALLER_HZ) && voice.hears_only(THIRD_HZ)
    })
    .await;
    let from = voice.heard_count();
    until("a second of talk", || voice.heard_count() > from + 50).await;
    for party in [&crew, &voice] {
        assert_unbroken(&party.heard());
    }

    let path = format!("/api/v1/calls/{bridge}/hang_up");
    let (status, reply) = server.post(&path, json!({})).await;
    assert_eq!(status, 200, "{reply}");
    let seen = shown(&mut crews_phone, CREW, CALLER).await;
    assert!(
        seen.iter().all(|of| of.contains("+8675588120001")),
        "{seen:?}"
    );
    let seen = shown(&mut callers_phone, CALLER, CREW).await;
    assert!(
        seen.iter().all(|of| of.contains("+8675588120002")),
        "{seen:?}"
    );
    let record = server
        .wait_for(
            &format!("/api/v1/records/{bridge}"),
            "its record",
            |record| {
                let sealed = record["recordings"][0]["sha256"].is_string();
                (sealed && record["end"].is_object()).then(|| record.clone())
            },
        )
        .await;
    assert_eq!(record["direction"], "bridge", "{record}");
    assert_eq!(record["crew"]["of_call_id"], json!(call));
    assert_eq!(record["links"][0]["call_id"], json!(call));
    assert_eq!(record["end"]["result"], "answered");
    let wav = recording(&server, &record);
    for (party, hz) in [("crew-1", THIRD_HZ), ("callee-1", CALLER_HZ)] {
        let tracks = record["recordings"][0]["tracks"]
            .as_array()
            .expect("tracks");
        let at = tracks.iter().position(|track| track["party"] == party);
        let track = &wav.channels[at.unwrap_or_else(|| panic!("no track of {party}"))];
        let (from, to, without) = tone_span(track, hz).expect("its tone");
        assert!(to - from > 1000 && without < 5, "{party}: {from}-{to} ms");
    }
    quiet(&mut server).await;
}
