//! A seat signs in with real keys on a phone that is nobody's: calls ring there, and its PIN is found nowhere.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use firstring::sim::centre::Centre;

use crate::peers_stage::{
    CALLER_HZ, SEAT_HZ, call, event, events, hears_exactly, quiet, scene, seat_is, until,
};
use crate::support::baresip::{Baresip, Setup};
use crate::support::rtp_peer::{RtpPeer, Voice};
use crate::support::server::Server;
use crate::support::sipp::Place;

const DESK_SECRET: &str = "the-secret-of-a-desk-phone";
const PIN: &str = "470815";

fn secret(dir: &Path, name: &str, text: &str) -> String {
    let path = dir.join(name);
    std::fs::write(&path, text).expect("written");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).expect("its own");
    path.display().to_string()
}

/// One phone that is nobody's, and a seat 805 that has none.
fn with_a_desk(centre: &mut Centre) {
    let desk = secret(&centre.dir, "phone-desk-1", DESK_SECRET);
    let pin = secret(&centre.dir, "pin-805", PIN);
    centre.more += &format!(
        "\n[phones.desk-1]\nsecret_file = \"{desk}\"\n\n[seats.805]\npin_file = \"{pin}\"\n"
    );
}

async fn desk_phone(server: &mut Server) -> Baresip {
    let phone = Baresip::start(&Setup {
        user: "desk-1",
        secret: DESK_SECRET,
        server: server.sip("udp"),
        transport: "udp",
        codec: "PCMA",
        hz: SEAT_HZ,
        ca: None,
    });
    server
        .wait_for("/api/v1/view", "the desk's registration", |view| {
            let phones = view["phones"].as_array()?;
            phones.iter().find(|p| p["phone"] == "desk-1").cloned()
        })
        .await;
    phone
}

async fn keys(phone: &mut Baresip, keys: &str) {
    for key in keys.chars() {
        phone.press(key);
        tokio::time::sleep(Duration::from_millis(450)).await;
    }
}

/// The journal as it lies on the disk.
fn journal(server: &Server) -> Vec<u8> {
    let mut bytes = Vec::new();
    for entry in std::fs::read_dir(server.centre.dir.join("journal")).expect("a journal") {
        bytes.extend(std::fs::read(entry.expect("a file").path()).unwrap_or_default());
    }
    bytes
}

fn holds(bytes: &[u8], what: &str) -> bool {
    bytes
        .windows(what.len())
        .any(|part| part == what.as_bytes())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_seat_signs_in_by_pin_on_a_desk_phone_talks_there_and_its_pin_is_nowhere() {
    let carrier = Place::new();
    let mut centre = scene(0, &carrier);
    with_a_desk(&mut centre.1);
    let mut server = Server::start(centre).await;
    let mut phone = desk_phone(&mut server).await;

    phone.dial("13900139000", server.sip("udp"));
    phone.event("CALL_CLOSED", 1).await;
    phone.dial("*15805", server.sip("udp"));
    phone.event("CALL_ESTABLISHED", 2).await;
    keys(&mut phone, "11#").await;
    keys(&mut phone, &format!("{PIN}#")).await;
    let signed_in = event(&mut server, "seat.signed_in", |_| true).await;
    assert_eq!(signed_in["data"]["phone"], "desk-1", "{signed_in}");
    phone.event("CALL_CLOSED", 2).await;
    seat_is(&mut server, "805", "ready at the desk", |seat| {
        seat["state"] == "ready" && seat["phone"] == "desk-1"
    })
    .await;

    let voice = RtpPeer::start(Voice::tone(CALLER_HZ));
    let mut caller = call(carrier.scenario("caller"), server.sip("udp"), &voice).await;
    phone.rings(1).await;
    phone.accept().await;
    until("both hear each other", || {
        voice.hears_only(SEAT_HZ) && hears_exactly(&phone.heard(), &[CALLER_HZ])
    })
    .await;
    caller.go_on();
    caller.finished().await;
    quiet(&mut server).await;

    let told = events(&mut server).await;
    let calls = ["call.dialled", "dtmf.received"];
    let of_desk = |e: &&serde_json::Value| calls.contains(&e["type"].as_str().unwrap_or(""));
    assert_eq!(told.iter().filter(of_desk).count(), 0);
    assert!(!serde_json::to_string(&told).expect("json").contains(PIN));
    let written = journal(&server);
    assert!(
        holds(&written, "\"input\":\"pin\""),
        "the journal can be searched"
    );
    assert!(!holds(&written, "\"event\":\"digit\""), "no key is in it");

    server.kill();
    server.restart();
    seat_is(&mut server, "805", "at its desk after a restart", |seat| {
        seat["phone"] == "desk-1" && seat["registered"] == true
    })
    .await;
}
