//! A crew rings in over a trunk, with real peers: SIPp is the incident's caller and the crew's phone, baresip sits at the seats.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::peers_stage::{
    CALLER_HZ, SEAT_HZ, THIRD_HZ, at_ms, both_hear, call, event, events, quiet, scene, seat,
    talking, until,
};
use crate::support::baresip::Baresip;
use crate::support::rtp_peer::{RtpPeer, Voice};
use crate::support::scene::closed_record_of;
use crate::support::server::Server;
use crate::support::sipp::{Place, Sipp};

const CREW: &str = "13900139001";
/// The tone of the seat that has nothing to do with the incident.
const OTHER_HZ: f64 = 2100.0;

/// Seat 802 talks with a caller whose call is the incident I-7, for which the crew was sent; seat 801 is idle, and for longer than
/// 802 ever will be.
struct Incident {
    server: Server,
    call: String,
    caller: Sipp,
    voice: RtpPeer,
    /// 801.
    other: Baresip,
    /// 802.
    own: Baresip,
}

async fn incident(carrier: &Place, crews: &Place) -> Incident {
    let mut centre = scene(2, carrier);
    centre.1.trunks.push(crews.trunk("crews"));
    let longest_idle = vec![String::from("strategy = \"longest_idle\"")];
    centre.1.lines.insert("queue", longest_idle);
    let mut server = Server::start(centre).await;
    let mut own = seat(&mut server, "802", SEAT_HZ).await;
    let voice = RtpPeer::start(Voice::tone(CALLER_HZ));
    let caller = call(carrier.scenario("caller"), server.sip("udp"), &voice).await;
    own.rings(1).await;
    own.accept().await;
    let call = talking(&mut server, "802").await;
    let other = seat(&mut server, "801", OTHER_HZ).await;
    let path = format!("/api/v1/calls/{call}/crew");
    let numbers = json!({ "numbers": [CREW] });
    let (status, reply) = server.ask(reqwest::Method::PUT, &path, Some(numbers)).await;
    assert_eq!(status, 200, "{reply}");
    let path = format!("/api/v1/calls/{call}/link");
    let (status, reply) = server.post(&path, json!({ "incident_id": "I-7" })).await;
    assert_eq!(status, 200, "{reply}");
    Incident {
        server,
        call,
        caller,
        voice,
        other,
        own,
    }
}

/// The crew calls: its phone, its voice, and the call as the API shows it.
async fn crew_calls(server: &mut Server, crews: &Place) -> (Sipp, RtpPeer, Value) {
    let voice = RtpPeer::start(Voice::tone(THIRD_HZ));
    let scenario = crews.scenario("caller").key("caller", CREW);
    let phone = call(scenario, server.sip("udp"), &voice).await;
    let shown = server
        .open_call("the crew's call", |call| !call["crew_of"].is_null())
        .await;
    (phone, voice, shown)
}

/// Its call is about the incident, on the API and in its record, which is closed; so is that of the incident.
async fn linked(server: &mut Server, shown: &Value, incident: &str) {
    let (of, own) = (json!({"call": incident, "seat": "802"}), &shown["call"]);
    assert_eq!(shown["crew_of"], of, "{shown}");
    assert_eq!(shown["incident_id"], "I-7");
    let record = closed_record_of(server, CREW, true).await;
    assert_eq!(record["call_id"], *own);
    assert_eq!(record["crew"]["of_call_id"], incident);
    assert_eq!(record["incident_id"], "I-7");
    assert_eq!(record["links"][0]["call_id"], incident);
    assert_eq!(record["end"]["result"], "answered");
    let links = |record: &Value| {
        let links = record["links"].as_array().into_iter().flatten();
        links
            .filter_map(|link| link["call_id"].as_str().map(str::to_owned))
            .collect::<BTreeSet<_>>()
    };
    let incident = server.get(&format!("/api/v1/records/{incident}")).await;
    let back = own.as_str().expect("an id");
    assert!(links(&incident).contains(back), "{}", incident["links"]);
}

/// Milliseconds from the crew's arrival to the first ringing of that seat for it.
async fn rung_after(server: &mut Server, crew: &Value, seat: &str) -> i64 {
    let events = events(server).await;
    let of = |kind: &str, seat: Option<&str>| {
        let is = |e: &&Value| {
            e["type"] == kind
                && e["call"] == crew["call"]
                && seat.is_none_or(|s| e["data"]["seat"] == s)
        };
        events.iter().find(is).map(at_ms).expect("such an event")
    };
    of("seat.ringing", Some(seat)) - of("call.received", None)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crew_rings_the_free_seat_of_its_incident_first_and_its_call_is_linked() {
    let (carrier, crews) = (Place::new(), Place::new());
    let mut scene = incident(&carrier, &crews).await;
    scene.caller.go_on();
    scene.caller.finished().await;
    quiet(&mut scene.server).await;
    let server = &mut scene.server;
    let (mut phone, voice, shown) = crew_calls(server, &crews).await;
    scene.own.rings(2).await;
    scene.own.accept().await;
    talking(server, "802").await;
    both_hear(&voice, &scene.own, THIRD_HZ).await;
    let rung = rung_after(server, &shown, "802").await;
    assert!((0..=500).contains(&rung), "rung {rung} ms after the call");
    assert_eq!(
        scene.other.count("CALL_INCOMING"),
        0,
        "801 is idle for longer"
    );
    let offer = event(server, "offer.decided", |data| data["rule"] == "affinity").await;
    assert_eq!(offer["call"], shown["call"], "{offer}");
    phone.go_on();
    phone.finished().await;
    linked(server, &shown, &scene.call).await;
    quiet(server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crew_whose_seat_talks_rings_another_at_once_and_its_call_is_linked() {
    let (carrier, crews) = (Place::new(), Place::new());
    let mut scene = incident(&carrier, &crews).await;
    let server = &mut scene.server;
    let (mut phone, voice, shown) = crew_calls(server, &crews).await;
    scene.other.rings(1).await;
    scene.other.accept().await;
    talking(server, "801").await;
    let rung = rung_after(server, &shown, "801").await;
    assert!((0..=500).contains(&rung), "rung {rung} ms after the call");
    assert_eq!(scene.own.count("CALL_INCOMING"), 1, "its caller only");
    // Two talks beside each other, and neither is heard in the other.
    both_hear(&scene.voice, &scene.own, CALLER_HZ).await;
    until("crew and seat hear each other and nobody else", || {
        voice.hears_only(OTHER_HZ) && scene.other.share(THIRD_HZ) > 0.9
    })
    .await;
    phone.go_on();
    phone.finished().await;
    scene.caller.go_on();
    scene.caller.finished().await;
    linked(server, &shown, &scene.call).await;
    quiet(server).await;
}
