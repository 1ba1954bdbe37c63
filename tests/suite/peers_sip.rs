//! Signalling with real peers: transports, late offer, far-end hold, codecs and packet times, digests, CANCEL, early media.

use std::net::SocketAddr;
use std::time::Duration;

use firstring::media::session::Codec;
use firstring::sim::phone::{Phone, PhoneError};
use md5::Digest as _;
use serde_json::json;
use tokio::net::UdpSocket;

use crate::peers_stage::{
    CALLER_HZ, LOOPBACK, SEAT_HZ, both_hear, call, event, events, metric_falls_to_zero, quiet,
    scene, seat, seat_is, seat_with, talking, until,
};
use crate::support::rtp_peer::{RtpPeer, Voice, assert_unbroken};
use crate::support::server::{Server, centre};
use crate::support::sipp::Place;

#[tokio::test(flavor = "multi_thread")]
async fn a_late_offer_is_answered_with_an_offer_of_ours_and_both_hear_each_other() {
    let carrier = Place::new();
    let mut server = Server::start(scene(1, &carrier)).await;
    let mut dispatcher = seat(&mut server, "801", SEAT_HZ).await;
    let voice = RtpPeer::start(Voice::tone(CALLER_HZ));
    let late = carrier.scenario("caller_late");
    let mut caller = call(late, server.sip("udp"), &voice).await;
    let invite = caller.messages().remove(0);
    assert!(invite.media().is_none(), "the INVITE has no SDP");
    dispatcher.rings(1).await;
    dispatcher.accept().await;
    talking(&mut server, "801").await;
    both_hear(&voice, &dispatcher, CALLER_HZ).await;
    caller.go_on();
    caller.finished().await;
    quiet(&mut server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn over_tcp_carrier_and_seat_talk_and_the_seat_hangs_up() {
    let carrier = Place::new();
    let (dir, mut practice) = scene(1, &carrier);
    practice.listeners.push(("tcp".to_owned(), "tcp", LOOPBACK));
    let mut server = Server::start((dir, practice)).await;
    let mut dispatcher = seat_with(&mut server, "801", SEAT_HZ, "tcp", "PCMA", None).await;
    let voice = RtpPeer::start(Voice::tone(CALLER_HZ));
    let tcp = carrier.scenario("caller").tcp();
    let mut caller = call(tcp, server.sip("tcp"), &voice).await;
    dispatcher.rings(1).await;
    dispatcher.accept().await;
    talking(&mut server, "801").await;
    both_hear(&voice, &dispatcher, CALLER_HZ).await;
    dispatcher.hang_up();
    caller.finished().await;
    quiet(&mut server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn over_tls_a_seat_registers_is_rung_talks_and_hangs_up() {
    let carrier = Place::new();
    let (dir, mut practice) = scene(1, &carrier);
    let issued = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).expect("made");
    let (certificate, key) = (dir.path().join("chain.pem"), dir.path().join("key.pem"));
    std::fs::write(&certificate, issued.cert.pem()).expect("written");
    std::fs::write(&key, issued.signing_key.serialize_pem()).expect("written");
    practice.more = format!(
        "\n[sip.listeners.tls]\ntransport = \"tls\"\nbind = \"127.0.0.1:0\"\ncertificate = \"{}\"\nkey = \"{}\"\n",
        certificate.display(),
        key.display()
    );
    let mut server = Server::start((dir, practice)).await;
    let mut dispatcher = seat_with(
        &mut server,
        "801",
        SEAT_HZ,
        "tls",
        "PCMA",
        Some(&certificate),
    )
    .await;
    let voice = RtpPeer::start(Voice::tone(CALLER_HZ));
    let udp = carrier.scenario("caller");
    let mut caller = call(udp, server.sip("udp"), &voice).await;
    dispatcher.rings(1).await;
    dispatcher.accept().await;
    talking(&mut server, "801").await;
    both_hear(&voice, &dispatcher, CALLER_HZ).await;
    dispatcher.hang_up();
    caller.finished().await;
    quiet(&mut server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_carrier_may_hold_and_come_back_with_another_codec_at_another_port() {
    let carrier = Place::new();
    let mut server = Server::start(scene(1, &carrier)).await;
    let mut dispatcher = seat(&mut server, "801", SEAT_HZ).await;
    let voice = RtpPeer::start(Voice::tone(CALLER_HZ));
    let after = RtpPeer::start(Voice {
        codec: Codec::Pcmu,
        ..Voice::tone(CALLER_HZ)
    });
    let changes = carrier
        .scenario("caller_changes")
        .key("rtp_after_ip", after.address().ip())
        .key("rtp_after", after.address().port());
    let mut caller = call(changes, server.sip("udp"), &voice).await;
    dispatcher.rings(1).await;
    dispatcher.accept().await;
    talking(&mut server, "801").await;
    both_hear(&voice, &dispatcher, CALLER_HZ).await;
    for (cseq, answer) in [(2, "a=recvonly"), (3, "a=inactive")] {
        caller.go_on();
        caller
            .message("the answer to a hold", |m| {
                m.received
                    && m.starts("SIP/2.0 200")
                    && m.text.contains(&format!("CSeq: {cseq} INVITE"))
                    && m.text.contains(answer)
            })
            .await;
        // Packets that were under way may still come; then none.
        tokio::time::sleep(Duration::from_millis(100)).await;
        let count = voice.heard_count();
        if cseq == 2 {
            until("the seat still hears who holds it", || {
                dispatcher.share(CALLER_HZ) > 0.9
            })
            .await;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert_eq!(voice.heard_count(), count, "a party on hold gets no audio");
    }
    voice.mute(true);
    caller.go_on();
    let back = caller
        .message("the answer to the new codec", |m| {
            m.received && m.starts("SIP/2.0 200") && m.text.contains("CSeq: 4 INVITE")
        })
        .await;
    assert!(back.text.contains("RTP/AVP 0 101"), "{}", back.text);
    after.talk_to(back.media().expect("an SDP"));
    both_hear(&after, &dispatcher, CALLER_HZ).await;
    assert!(after.heard().iter().all(|p| p.payload_type == 0));
    caller.go_on();
    caller.finished().await;
    quiet(&mut server).await;
}

/// Digits pressed on both sides come once each; tones go both ways.
async fn tones_and_digits(ptime_ms: u16, seat_codec: &str) {
    let carrier = Place::new();
    let mut server = Server::start(scene(1, &carrier)).await;
    let mut dispatcher = seat_with(&mut server, "801", SEAT_HZ, "udp", seat_codec, None).await;
    let voice = RtpPeer::start(Voice {
        ptime_ms,
        ..Voice::tone(CALLER_HZ)
    });
    let scenario = carrier.scenario("caller").key("ptime", ptime_ms);
    let mut caller = call(scenario, server.sip("udp"), &voice).await;
    dispatcher.rings(1).await;
    dispatcher.accept().await;
    talking(&mut server, "801").await;
    both_hear(&voice, &dispatcher, CALLER_HZ).await;
    let samples = usize::from(ptime_ms) * 8;
    let last = voice
        .heard()
        .into_iter()
        .rev()
        .find(|p| p.payload_type == 8);
    assert_eq!(last.expect("audio").payload.len(), samples, "{ptime_ms} ms");
    for key in "1205".chars() {
        voice.press(key, 120);
    }
    let pressed = dispatcher.count("CALL_DTMF_START");
    assert_eq!(pressed, 0);
    until("the seat's phone has had four digits", || {
        dispatcher.count("CALL_DTMF_START") >= 4
    })
    .await;
    for key in "97".chars() {
        dispatcher.press(key);
        tokio::time::sleep(Duration::from_millis(600)).await; // a person's pace
    }
    until("the carrier has had both digits", || {
        voice.keys_heard() == "97"
    })
    .await;
    both_hear(&voice, &dispatcher, CALLER_HZ).await;
    let keys: Vec<String> = dispatcher
        .said()
        .iter()
        .filter(|m| m["type"] == "CALL_DTMF_START")
        .map(|m| m["param"].as_str().unwrap_or_default().to_owned())
        .collect();
    assert_eq!(keys.concat(), "1205", "each digit once at the seat");
    assert_eq!(voice.keys_heard(), "97", "each digit once at the carrier");
    caller.go_on();
    caller.finished().await;
    let digits: Vec<String> = events(&mut server)
        .await
        .iter()
        .filter(|e| e["type"] == "dtmf.received")
        .map(|e| e["data"]["digit"].as_str().unwrap_or_default().to_owned())
        .collect();
    assert_eq!(digits.concat(), "120597", "each digit once in the record");
    quiet(&mut server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pcma_carrier_and_a_pcmu_seat_hear_each_other_and_each_digit_comes_once() {
    tones_and_digits(20, "PCMU").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_30_ms_carrier_and_a_20_ms_seat_hear_each_other_and_each_digit_comes_once() {
    tones_and_digits(30, "PCMA").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_early_media_the_carrier_gets_183_first_and_200_when_the_seat_answers() {
    let carrier = Place::new();
    let (dir, mut practice) = centre(1);
    let mut trunk = carrier.trunk("carrier");
    trunk.lines.push("answer = \"early_media\"".to_owned());
    practice.trunks.push(trunk);
    let mut server = Server::start((dir, practice)).await;
    let mut dispatcher = seat(&mut server, "801", SEAT_HZ).await;
    let voice = RtpPeer::start(Voice::tone(CALLER_HZ));
    let scenario = carrier.scenario("caller");
    let mut caller = call(scenario, server.sip("udp"), &voice).await;
    dispatcher.rings(1).await;
    until("the caller hears the greeting before the answer", || {
        crate::support::tone::rms(&voice.last_audio(300)) > 300.0
    })
    .await;
    let finals = |caller: &crate::support::sipp::Sipp, start: &str| {
        caller
            .messages()
            .into_iter()
            .find(|m| m.received && m.starts(start))
    };
    assert!(finals(&caller, "SIP/2.0 183").is_some());
    assert!(finals(&caller, "SIP/2.0 200").is_none(), "nobody answered");
    dispatcher.accept().await;
    caller
        .message("the 200", |m| m.received && m.starts("SIP/2.0 200"))
        .await;
    talking(&mut server, "801").await;
    both_hear(&voice, &dispatcher, CALLER_HZ).await;
    caller.go_on();
    caller.finished().await;
    let record = server.closed_record().await;
    assert_eq!(record["end"]["result"], json!("answered"));
}

#[tokio::test(flavor = "multi_thread")]
async fn with_early_media_and_nobody_free_the_200_comes_at_the_limit_and_the_sound_goes_on_unbroken()
 {
    let carrier = Place::new();
    let (dir, mut practice) = scene(1, &carrier);
    practice.trunks[0].lines = vec![
        "answer = \"early_media\"".to_owned(),
        "early_media_limit_ms = 2000".to_owned(),
    ];
    let mut server = Server::start((dir, practice)).await;
    let voice = RtpPeer::start(Voice::tone(CALLER_HZ));
    let mut caller = call(carrier.scenario("caller"), server.sip("udp"), &voice).await;
    let early = caller
        .message("the 183", |m| m.received && m.starts("SIP/2.0 183"))
        .await;
    until("the caller hears the greeting before the answer", || {
        crate::support::tone::rms(&voice.last_audio(300)) > 300.0
    })
    .await;
    let before = caller.messages();
    assert!(
        !before.iter().any(|m| m.starts("SIP/2.0 200")),
        "nobody answered yet"
    );
    let answered = caller
        .message("the 200", |m| m.received && m.starts("SIP/2.0 200"))
        .await;
    let heard_before_200 = voice.heard_count();
    let after = (answered.at_s - early.at_s).rem_euclid(86_400.0);
    assert!((1.9..2.2).contains(&after), "200 came {after} s after 183");
    assert_eq!(
        answered.media(),
        early.media(),
        "the same port before and after"
    );
    // Somebody comes, takes the call, and the caller's line has been one all the time.
    until("the caller goes on hearing", || {
        voice.heard_count() > heard_before_200 + 100
    })
    .await;
    let mut dispatcher = seat(&mut server, "801", SEAT_HZ).await;
    dispatcher.rings(1).await;
    dispatcher.accept().await;
    talking(&mut server, "801").await;
    both_hear(&voice, &dispatcher, CALLER_HZ).await;
    let heard = voice.heard();
    assert_unbroken(&heard);
    let change = &heard[heard_before_200 - 25..heard_before_200 + 25];
    let longest = change
        .windows(2)
        .map(|pair| pair[1].at - pair[0].at)
        .max()
        .expect("packets");
    assert!(
        longest < Duration::from_millis(100),
        "{longest:?} of silence"
    );
    caller.go_on();
    caller.finished().await;
    let record = server.closed_record().await;
    assert_eq!(record["end"]["result"], json!("answered"));
    quiet(&mut server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_who_cancels_while_the_seat_rings_frees_the_seat() {
    let carrier = Place::new();
    let (dir, mut practice) = centre(1);
    let mut trunk = carrier.trunk("carrier");
    trunk.lines.push("answer = \"early_media\"".to_owned());
    practice.trunks.push(trunk);
    let mut server = Server::start((dir, practice)).await;
    let dispatcher = seat(&mut server, "801", SEAT_HZ).await;
    let voice = RtpPeer::start(Voice::tone(CALLER_HZ));
    let scenario = carrier.scenario("caller_cancels");
    let mut caller = call(scenario, server.sip("udp"), &voice).await;
    dispatcher.rings(1).await;
    caller.go_on();
    caller.finished().await;
    dispatcher.event("CALL_CLOSED", 1).await;
    seat_is(&mut server, "801", "ready again", |seat| {
        seat["state"] == "ready" && seat["call"].is_null()
    })
    .await;
    let left = event(&mut server, "call.abandoned", |_| true).await;
    assert_eq!(left["data"]["stage"], json!("ringing"));
    event(&mut server, "callback.due", |due| {
        due["reason"] == "abandoned"
    })
    .await;
    assert_eq!(dispatcher.count("CALL_ESTABLISHED"), 0);
    quiet(&mut server).await;
    // Nothing is left behind: RFC 3261 timers end the transactions within 32 s.
    let within = Duration::from_secs(40);
    metric_falls_to_zero(&mut server, "firstring_sip_transactions", within).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_who_hangs_up_while_the_seat_rings_frees_the_seat_for_the_next() {
    let (carrier, other) = (Place::new(), Place::new());
    let (dir, mut practice) = scene(1, &carrier);
    practice.trunks.push(other.trunk("other"));
    let mut server = Server::start((dir, practice)).await;
    let sip = server.sip("udp");
    let mut dispatcher = seat(&mut server, "801", SEAT_HZ).await;
    let gone = RtpPeer::start(Voice::tone(700.0));
    let mut first = call(carrier.scenario("caller"), sip, &gone).await;
    dispatcher.rings(1).await;
    let voice = RtpPeer::start(Voice::tone(CALLER_HZ));
    let scenario = other.scenario("caller").key("caller", "13900139000");
    let mut second = call(scenario, sip, &voice).await;
    first.go_on();
    first.finished().await;
    dispatcher.event("CALL_CLOSED", 1).await;
    dispatcher.rings(2).await;
    dispatcher.accept().await;
    talking(&mut server, "801").await;
    both_hear(&voice, &dispatcher, CALLER_HZ).await;
    let left = event(&mut server, "call.abandoned", |_| true).await;
    assert_eq!(left["data"]["stage"], json!("ringing"));
    second.go_on();
    second.finished().await;
    quiet(&mut server).await;
}

/// REGISTER with the algorithm of `wanted`, by hand: the status of each answer, and what was offered.
async fn register_by_hand(server: SocketAddr, user: &str, secret: &str) -> (Vec<u16>, String) {
    let socket = UdpSocket::bind(LOOPBACK).await.expect("a socket");
    let local = socket.local_addr().expect("bound");
    let (mut statuses, mut offered, mut authorization) = (Vec::new(), String::new(), String::new());
    for cseq in 1..=2 {
        let request = format!(
            "REGISTER sip:{server} SIP/2.0\r\nVia: SIP/2.0/UDP {local};branch=z9hG4bKr{cseq};rport\r\nMax-Forwards: 70\r\nFrom: <sip:{user}@{server}>;tag=r\r\n\
             To: <sip:{user}@{server}>\r\nCall-ID: r@{local}\r\nCSeq: {cseq} REGISTER\r\nContact: <sip:{user}@{local}>\r\nExpires: 60\r\n{authorization}Content-Length: 0\r\n\r\n"
        );
        let mut bytes = [0; 4096];
        socket
            .send_to(request.as_bytes(), server)
            .await
            .expect("sent");
        let wait = Duration::from_secs(5);
        let length = loop {
            let got = tokio::time::timeout(wait, socket.recv(&mut bytes)).await;
            let length = got.expect("an answer within 5 s").expect("received");
            if bytes.starts_with(b"SIP/2.0") {
                break length;
            }
        };
        let text = String::from_utf8_lossy(&bytes[..length]).into_owned();
        statuses.push(text[8..11].parse().expect("a status"));
        let challenge = text
            .lines()
            .filter(|line| line.starts_with("WWW-Authenticate:"))
            .find(|line| line.contains("SHA-256"));
        let Some(challenge) = challenge else { break };
        offered = text.clone();
        let value = |name: &str| {
            let rest = challenge.split(&format!("{name}=\"")).nth(1);
            rest.and_then(|rest| rest.split('"').next())
                .unwrap_or_default()
        };
        let hash = |text: String| {
            sha2::Sha256::digest(text.as_bytes())
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect::<String>()
        };
        let (realm, nonce, uri) = (value("realm"), value("nonce"), format!("sip:{server}"));
        let secret_hash = hash(format!("{user}:{realm}:{secret}"));
        let request_hash = hash(format!("REGISTER:{uri}"));
        let response = hash(format!(
            "{secret_hash}:{nonce}:00000001:abc:auth:{request_hash}"
        ));
        authorization = format!(
            "Authorization: Digest username=\"{user}\", realm=\"{realm}\", nonce=\"{nonce}\", uri=\"{uri}\", algorithm=SHA-256, \
             qop=auth, nc=00000001, cnonce=\"abc\", response=\"{response}\"\r\n"
        );
    }
    (statuses, offered)
}

#[tokio::test(flavor = "multi_thread")]
async fn both_digests_register_and_a_wrong_secret_is_refused() {
    let carrier = Place::new();
    let (dir, mut practice) = scene(3, &carrier);
    practice
        .lines
        .insert("sip", vec!["digest = \"both\"".to_owned()]);
    let mut server = Server::start((dir, practice)).await;
    let sip = server.sip("udp");
    let secret = server.centre.secret("seat-801");
    let (statuses, offered) = register_by_hand(sip, "801", &secret).await;
    assert_eq!(statuses, [401, 200]);
    assert!(offered.contains("algorithm=MD5"), "both are offered");
    let (statuses, _) = register_by_hand(sip, "802", "not the secret").await;
    assert_eq!(statuses, [401, 403]);
    let (statuses, _) = register_by_hand(sip, "nobody", &secret).await;
    assert_eq!(statuses, [401, 403], "a stranger learns nothing");
    let secret = server.centre.secret("seat-803");
    for (secret, good) in [("wrong", false), (secret.as_str(), true)] {
        let mut phone = Phone::new(LOOPBACK, sip, "803", secret)
            .await
            .expect("a phone");
        let outcome = phone.register(60).await;
        match outcome {
            Ok(()) => assert!(good),
            Err(PhoneError::Refused { status, .. }) => {
                assert!(!good && [401, 403].contains(&status), "{status}");
            }
            Err(other) => panic!("{other}"),
        }
    }
    seat_is(&mut server, "801", "registered", |s| s["state"] == "ready").await;
    seat_is(&mut server, "803", "registered", |s| s["state"] == "ready").await;
    seat_is(&mut server, "802", "unknown", |s| s["registered"] == false).await;
}
