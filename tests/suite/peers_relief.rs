//! People outside with real peers: a phone of the mobile group is asked beside the queue and takes a waiting call by a key.

use crate::peers_queue::{best_fit, clip};
use crate::peers_stage::{CALLER_HZ, THIRD_HZ, call, event, quiet, scene, until};
use crate::support::rtp_peer::{RtpPeer, Voice};
use crate::support::scene::{closed_record_of, recording};
use crate::support::server::Server;
use crate::support::sipp::Place;
use crate::support::tone::tone_span;

/// As tests/sipp/caller.xml calls.
const CALLER: &str = "13800138000";

#[tokio::test(flavor = "multi_thread")]
async fn without_a_seat_the_mobile_group_hears_who_waits_and_has_the_caller_by_its_key_only() {
    let (carrier, other) = (Place::new(), Place::new());
    let mut centre = scene(1, &carrier);
    centre.1.trunks.push(other.outbound_trunk("other", 1));
    centre
        .1
        .more
        .push_str("\n[relief.mobile]\nkind = \"group\"\nnumbers = [\"13900139001\"]\n");
    let person = RtpPeer::start(Voice::tone(THIRD_HZ));
    let mut callee = other
        .scenario("callee")
        .key("rtp", person.address().port())
        .wait_for_calls();
    let mut server = Server::start(centre).await;
    let voice = RtpPeer::start(Voice::tone(CALLER_HZ));
    let mut caller = call(carrier.scenario("caller"), server.sip("udp"), &voice).await;
    person.talk_to(callee.media().await);
    event(&mut server, "relief.asked", |data| {
        data["relief"] == "mobile"
    })
    .await;
    let offer = clip(&server.centre.prompts().join("zh-CN"), "relief_offer");
    until("they are asked", || {
        let heard = person.audio_from(0);
        heard.len() > offer.len() + 4_000 && best_fit(&heard, &offer).0 > 0.95
    })
    .await;
    let open = server
        .open_call("goes on waiting", |call| call["state"] == "waiting")
        .await;
    assert!(open["position"].is_number(), "{open}");
    assert!(
        voice.share(THIRD_HZ) < 0.01,
        "no word of theirs before the key"
    );
    assert!(person.share(CALLER_HZ) < 0.01, "and none of his");
    person.press('1', 120);
    let told = event(&mut server, "call.handed_over", |_| true).await;
    assert_eq!(told["data"]["relief"], "mobile");
    until("both hear each other only", || {
        voice.hears_only(THIRD_HZ) && person.hears_only(CALLER_HZ)
    })
    .await;
    caller.go_on();
    caller.finished().await;
    let record = closed_record_of(&mut server, CALLER, true).await;
    assert_eq!(record["handed_over"]["relief"], "mobile", "{record}");
    assert_eq!(record["handed_over"]["number"], "tel:139****9001");
    assert_eq!(record["end"]["result"], "answered");
    let wav = recording(&server, &record);
    let heard = |hz| {
        wav.channels
            .iter()
            .any(|track| tone_span(track, hz).is_some())
    };
    assert!(heard(CALLER_HZ) && heard(THIRD_HZ), "both are recorded");
    quiet(&mut server).await;
}
