//! Who hears whom, with real peers: SIPp callers, baresip seats, third parties and a supervisor.

use std::net::UdpSocket;
use std::time::{Duration, Instant};

use firstring::sim::phone::{Phone, sdp};
use serde_json::json;

use crate::peers_stage::{
    CALLER_HZ, LOOPBACK, SEAT_HZ, SUPERVISOR_HZ, THIRD_HZ, Talk, add_party, call, event, events,
    hears_exactly, listen, quiet, registered, scene, seat, seat_is, talk, talking, until,
};
use crate::support::rtp_peer::{RtpPeer, Voice, assert_unbroken};
use crate::support::server::Server;
use crate::support::sipp::{Logged, Place};
use crate::support::tone::{read_wav, tone_share, tone_span};

#[tokio::test(flavor = "multi_thread")]
async fn two_three_and_a_listener_hear_whom_they_should_and_nobody_else() {
    let (carrier, other) = (Place::new(), Place::new());
    let mut centre = scene(1, &carrier);
    centre.1.trunks.push(other.outbound_trunk("other", 1));
    let doctor = RtpPeer::start(Voice::tone(THIRD_HZ));
    let mut callee = other.scenario("callee").voice(&doctor).wait_for_calls();
    let mut talk = talk(centre, &carrier).await;
    talk.both_hear().await;

    let leg = add_party(&mut talk.server, &talk.call, "13900139000").await;
    doctor.talk_to(callee.media().await);
    event(&mut talk.server, "conference.party_joined", |_| true).await;
    until("all three hear both others", || {
        hears_exactly(&talk.voice.last_audio(300), &[SEAT_HZ, THIRD_HZ])
            && hears_exactly(&talk.seat.heard(), &[CALLER_HZ, THIRD_HZ])
            && hears_exactly(&doctor.last_audio(300), &[CALLER_HZ, SEAT_HZ])
    })
    .await;

    let mut supervisor = seat(&mut talk.server, "800", SUPERVISOR_HZ).await;
    listen(&mut talk.server, &talk.call, &mut supervisor).await;
    until("the supervisor hears all three", || {
        hears_exactly(&supervisor.heard(), &[CALLER_HZ, SEAT_HZ, THIRD_HZ])
    })
    .await;
    let (status, reply) = talk
        .server
        .ask(
            reqwest::Method::DELETE,
            &format!("/api/v1/calls/{}/parties/{leg}", talk.call),
            None,
        )
        .await;
    assert_eq!(status, 200, "{reply}");
    callee
        .message("the third party's BYE", |m| m.received && m.starts("BYE "))
        .await;
    talk.both_hear().await;
    until("the supervisor hears both who are left", || {
        hears_exactly(&supervisor.heard(), &[CALLER_HZ, SEAT_HZ])
    })
    .await;
    for peer in [&talk.voice, &doctor] {
        assert!(
            peer.share(SUPERVISOR_HZ) < 0.01,
            "the supervisor is inaudible"
        );
        assert_unbroken(&peer.heard());
    }
    talk.end().await;
    supervisor.event("CALL_CLOSED", 1).await;
}

/// Whether the payloads heard stand in one piece in those sent.
fn is_one_piece(heard: &[Vec<u8>], sent: &[(u16, Vec<u8>)]) -> bool {
    sent.windows(heard.len()).any(|run| {
        run.iter()
            .zip(heard)
            .all(|((_, sent), heard)| sent == heard)
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listener_changes_no_payload_no_sequence_and_no_timestamp_of_the_two_who_talk() {
    let carrier = Place::new();
    let mut server = Server::start(scene(1, &carrier)).await;
    let sip = server.sip("udp");
    let secret = server.centre.secret("seat-801");
    let mut phone = Phone::new(LOOPBACK, sip, "801", &secret)
        .await
        .expect("a phone");
    phone.register(60).await.expect("registered");
    let mut supervisor = seat(&mut server, "800", SUPERVISOR_HZ).await;
    // Tones whose waves do not fit into a packet, so that no two packets near each other are alike.
    let voice = RtpPeer::start(Voice::tone(617.0));
    let dispatcher = RtpPeer::start(Voice::tone(1103.0));
    let answer = sdp(dispatcher.address());
    let (mut caller, line) = tokio::join!(
        call(carrier.scenario("caller"), sip, &voice),
        phone.accept(Duration::from_millis(300), &answer, Duration::from_secs(10)),
    );
    let line = line.expect("rung").expect("not cancelled");
    dispatcher.talk_to(line.remote);
    let id = talking(&mut server, "801").await;
    until("both hear each other", || {
        voice.hears_only(1103.0) && dispatcher.hears_only(617.0)
    })
    .await;
    let (from_voice, from_dispatcher) = (voice.heard_count(), dispatcher.heard_count());
    listen(&mut server, &id, &mut supervisor).await;
    until("the supervisor hears both", || {
        hears_exactly(&supervisor.heard(), &[617.0, 1103.0])
    })
    .await;
    until("a second more", || {
        voice.heard_count() > from_voice + 75 && dispatcher.heard_count() > from_dispatcher + 75
    })
    .await;
    for (hearer, speaker, from) in [
        (&voice, &dispatcher, from_voice),
        (&dispatcher, &voice, from_dispatcher),
    ] {
        let packets = hearer.heard();
        let heard: Vec<Vec<u8>> = packets[from..].iter().map(|p| p.payload.clone()).collect();
        assert!(
            is_one_piece(&heard, &speaker.sent()),
            "{} packets are not what the other sent",
            heard.len()
        );
        assert_unbroken(&packets);
    }
    supervisor.hang_up();
    seat_is(&mut server, "800", "free", |seat| seat["call"].is_null()).await;
    caller.go_on();
    phone
        .released(Duration::from_secs(5))
        .await
        .expect("released");
    caller.finished().await;
    quiet(&mut server).await;
}

/// The tones of the tone plan (450 Hz) are some 4 dB softer than the parties here.
fn hears_tone_beside_the_caller(talk: &Talk) -> bool {
    let (tone, caller) = (talk.seat.share(450.0), talk.seat.share(CALLER_HZ));
    tone > 0.2 && caller > 0.6 && tone + caller > 0.9
}

#[tokio::test(flavor = "multi_thread")]
async fn a_busy_third_party_is_heard_in_early_media_and_the_talk_goes_on() {
    let (carrier, other) = (Place::new(), Place::new());
    let mut centre = scene(1, &carrier);
    centre.1.trunks.push(other.outbound_trunk("other", 1));
    let network = RtpPeer::start(Voice::tone(THIRD_HZ));
    let mut callee = other
        .scenario("callee_busy")
        .voice(&network)
        .wait_for_calls();
    let mut talk = talk(centre, &carrier).await;
    talk.both_hear().await;
    add_party(&mut talk.server, &talk.call, "13900139000").await;
    network.talk_to(callee.media().await);
    until(
        "the seat hears the network's announcement beside the caller",
        || hears_exactly(&talk.seat.heard(), &[CALLER_HZ, THIRD_HZ]),
    )
    .await;
    assert!(
        talk.voice.hears_only(SEAT_HZ),
        "the caller hears his dispatcher and no announcement: {}",
        talk.voice.share(THIRD_HZ)
    );
    let failed = event(&mut talk.server, "conference.party_failed", |_| true).await;
    assert_eq!(failed["data"]["cause"], json!("busy"));
    until("the seat hears busy tone beside the caller", || {
        hears_tone_beside_the_caller(&talk)
    })
    .await;
    // About three seconds of it, then only the caller.
    talk.both_hear().await;
    talk.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_third_party_is_cancelled_while_it_rings_and_the_caller_is_never_on_a_dead_line() {
    let (carrier, other) = (Place::new(), Place::new());
    let mut centre = scene(1, &carrier);
    centre.1.trunks.push(other.outbound_trunk("other", 1));
    let mut callee = other.scenario("callee_rings").wait_for_calls();
    let mut talk = talk(centre, &carrier).await;
    talk.both_hear().await;
    let from = talk.voice.audio_from(0).len();
    let leg = add_party(&mut talk.server, &talk.call, "13900139000").await;
    event(&mut talk.server, "conference.party_ringing", |_| true).await;
    until("the seat hears ring-back beside the caller", || {
        hears_tone_beside_the_caller(&talk)
    })
    .await;
    let path = format!("/api/v1/calls/{}/parties/{leg}", talk.call);
    let delete = reqwest::Method::DELETE;
    let (status, reply) = talk.server.ask(delete, &path, None).await;
    assert_eq!(status, 200, "{reply}");
    let end = |m: &Logged| m.received && m.starts("CANCEL ");
    callee.message("the CANCEL", end).await;
    let failed = event(&mut talk.server, "conference.party_failed", |_| true).await;
    assert_eq!(failed["data"]["cause"], json!("withdrawn"));
    talk.both_hear().await;
    // Without an interruption, from before the ringing to after the CANCEL.
    for part in talk.voice.audio_from(0)[from..].chunks_exact(800) {
        assert!(tone_share(part, SEAT_HZ) > 0.9, "the caller hears his seat");
    }
    assert_unbroken(&talk.voice.heard());
    talk.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trunk_that_refuses_or_is_silent_gives_way_to_the_next_and_an_unknown_number_does_not() {
    let (carrier, refusing, silent, good) =
        (Place::new(), Place::new(), Place::new(), Place::new());
    let mut centre = scene(1, &carrier);
    for (place, id, order) in [(&refusing, "a", 1), (&silent, "b", 2), (&good, "c", 3)] {
        centre.1.trunks.push(place.outbound_trunk(id, order));
    }
    let doctor = RtpPeer::start(Voice::tone(THIRD_HZ));
    let mut unavailable = refusing.scenario("callee_unavailable").wait_for_calls();
    let _dead = UdpSocket::bind(silent.sip()).expect("a socket that never answers");
    let mut callee = good.scenario("callee").voice(&doctor).wait_for_calls();
    let mut talk = talk(centre, &carrier).await;
    let asked = Instant::now();
    add_party(&mut talk.server, &talk.call, "13900139000").await;
    let refused = unavailable
        .message("an INVITE", |m| m.received && m.starts("INVITE "))
        .await;
    let reached = callee
        .message("an INVITE", |m| m.received && m.starts("INVITE "))
        .await;
    let span = reached.at_s - refused.at_s;
    assert!(
        (4.0..4.4).contains(&span),
        "{span:.2} s from the 503 over 4 s of silence to the next trunk"
    );
    assert!(asked.elapsed() < Duration::from_secs(6));
    doctor.talk_to(callee.media().await);
    event(&mut talk.server, "conference.party_joined", |_| true).await;
    until("all three hear both others", || {
        hears_exactly(&talk.voice.last_audio(300), &[SEAT_HZ, THIRD_HZ])
            && hears_exactly(&talk.seat.heard(), &[CALLER_HZ, THIRD_HZ])
            && hears_exactly(&doctor.last_audio(300), &[CALLER_HZ, SEAT_HZ])
    })
    .await;
    assert!(
        events(&mut talk.server)
            .await
            .iter()
            .all(|event| event["type"] != "conference.party_failed"),
        "a trunk that gave way is no failure of the party"
    );
    // The same first trunk now says that there is no such number: that is an answer, and no other trunk is asked.
    drop(unavailable);
    let _unknown = refusing.scenario("callee_unknown").wait_for_calls();
    add_party(&mut talk.server, &talk.call, "13900139001").await;
    let failed = event(&mut talk.server, "conference.party_failed", |_| true).await;
    assert_eq!(failed["data"]["cause"], json!("unallocated"));
    assert_eq!(failed["data"]["number"], json!("13900139001"));
    let invites = callee
        .messages()
        .iter()
        .filter(|m| m.received && m.starts("INVITE "))
        .count();
    assert_eq!(invites, 1);
    let (status, reply) = talk
        .server
        .post(&format!("/api/v1/calls/{}/hang_up", talk.call), json!({}))
        .await;
    assert_eq!(status, 200, "{reply}");
    talk.caller.finished().await;
    quiet(&mut talk.server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_whose_rtp_moves_is_heard_on_and_a_stranger_on_his_port_is_not() {
    let carrier = Place::new();
    let talk = talk(scene(1, &carrier), &carrier).await;
    talk.both_hear().await;
    let port = talk.voice.heard()[0].from;
    let stray = RtpPeer::start(Voice::tone(THIRD_HZ));
    stray.talk_to(port);
    until("a hundred stray packets are sent", || {
        stray.sent().len() > 100
    })
    .await;
    assert!(talk.seat.share(CALLER_HZ) > 0.9, "only the caller is heard");
    assert_eq!(stray.heard_count(), 0, "a stranger gets no audio");
    drop(stray);
    let (before, moved) = (talk.voice.heard_count(), talk.voice.address());
    talk.voice.change_address();
    assert_ne!(talk.voice.address(), moved);
    let since = Instant::now();
    until("audio comes to the new address", || {
        talk.voice.heard_count() > before + 50
    })
    .await;
    assert!(since.elapsed() < Duration::from_secs(4));
    talk.both_hear().await;
    talk.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tone_sent_only_while_waiting_is_heard_by_the_supervisor_and_stands_in_the_recording() {
    let carrier = Place::new();
    let mut server = Server::start(scene(1, &carrier)).await;
    let mut supervisor = seat(&mut server, "800", SUPERVISOR_HZ).await;
    let voice = RtpPeer::start(Voice::tone(CALLER_HZ));
    let mut caller = call(carrier.scenario("caller"), server.sip("udp"), &voice).await;
    let waiting = server
        .open_call("a waiting call", |call| call["state"] == "waiting")
        .await;
    let id = waiting["call"].as_str().expect("an id").to_owned();
    listen(&mut server, &id, &mut supervisor).await;
    until("the supervisor hears the waiting caller", || {
        supervisor.share(CALLER_HZ) > 0.9
    })
    .await;
    voice.mute(true);
    let mut dispatcher = seat(&mut server, "801", SEAT_HZ).await;
    dispatcher.rings(1).await;
    dispatcher.accept().await;
    talking(&mut server, "801").await;
    until("the caller hears the seat", || voice.hears_only(SEAT_HZ)).await;
    assert!(dispatcher.share(CALLER_HZ) < 0.01);
    caller.go_on();
    caller.finished().await;
    supervisor.event("CALL_CLOSED", 1).await;
    let record = server.closed_record().await;
    let recording = &record["recordings"][0];
    let path = recording["uri"].as_str().expect("a path");
    let wav = read_wav(&server.centre.dir.join("recordings").join(path));
    let tracks = recording["tracks"].as_array().expect("tracks");
    assert_eq!(wav.channels.len(), tracks.len());
    let of = |party: &str| {
        let at = tracks.iter().position(|track| track["party"] == party);
        &wav.channels[at.unwrap_or_else(|| panic!("no track of {party}"))]
    };
    let (from, to, without) = tone_span(of("caller"), CALLER_HZ).expect("the caller's tone");
    assert!(from < 500, "from the first second on: {from} ms");
    assert!(to - from > 1000 && without < 5, "{from}-{to} ms");
    let answered = tone_span(of("seat-801"), SEAT_HZ).expect("the seat's tone");
    assert!(answered.0 >= to, "the tone stands before the answer");
    assert!(tone_share(of("seat-801"), CALLER_HZ) < 0.01);
    registered(&mut server, "801").await;
    quiet(&mut server).await;
}
