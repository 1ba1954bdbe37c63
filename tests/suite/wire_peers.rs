//! One machine against hand-written far sides: what carriers and phones do beyond the plain call.

use firstring::call::{Cause, Ingress, Invite, LegCommand, LegEvent, Target};
use firstring::id::{CallId, LegId, SeatId};
use firstring::media::session::Direction;
use firstring::sip::ua::Tell;
use md5::Md5;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::wire_bench::{
    CARRIER, Gate, Node, OFFER, at, header, lone, request, setup, starting, to_tag,
};

const PHONE: &str = "172.16.0.5:5062";

/// An answered and acknowledged inbound call; gives its leg and our tag.
fn talking(node: &mut Node) -> (LegId, String) {
    node.hear(
        at(0),
        CARRIER,
        request("INVITE", "sip:120@192.0.2.1", "", 1, "inv", "", OFFER).as_bytes(),
    );
    let leg = node.arrived().unwrap().leg;
    let sent = node.command(at(10), leg, LegCommand::Answer);
    let tag = to_tag(starting(&sent, "SIP/2.0 200"));
    node.hear(
        at(20),
        CARRIER,
        request("ACK", "sip:120@192.0.2.1", &tag, 1, "ack", "", "").as_bytes(),
    );
    assert_eq!(node.events(leg), [LegEvent::Confirmed]);
    (leg, tag)
}

#[test]
fn an_invite_that_nothing_answers_gets_100_after_200_ms_and_repeated_gives_one_call() {
    let mut node = lone();
    let invite = request("INVITE", "sip:120@192.0.2.1", "", 1, "a", "", OFFER);
    let sent = node.hear(at(0), CARRIER, invite.as_bytes());
    // Until the call is in the journal, the far side's repetition is what saves it from a crash.
    assert!(sent.is_empty(), "{sent:?}");
    assert!(node.fire(at(199)).is_empty());
    assert!(starting(&node.fire(at(200)), "SIP/2.0 100").contains("rport=5060"));
    for n in 1..5 {
        assert_eq!(node.hear(at(n * 500), CARRIER, invite.as_bytes()).len(), 1);
    }
    // The same call over another path (RFC 3261 8.2.2.2).
    let merged = request("INVITE", "sip:120@192.0.2.1", "", 1, "b", "", OFFER);
    starting(
        &node.hear(at(2500), CARRIER, merged.as_bytes()),
        "SIP/2.0 482",
    );
    assert_eq!(
        node.told
            .iter()
            .filter(|t| matches!(t, Tell::Arrived(_)))
            .count(),
        1
    );
}

#[test]
fn the_200_is_repeated_until_its_ack_and_a_missing_ack_does_not_end_the_call() {
    let mut node = lone();
    node.hear(
        at(0),
        CARRIER,
        request("INVITE", "sip:120@192.0.2.1", "", 1, "a", "", OFFER).as_bytes(),
    );
    let leg = node.arrived().unwrap().leg;
    starting(&node.command(at(0), leg, LegCommand::Answer), "SIP/2.0 200");
    let mut repeats = 0;
    for n in 1..200 {
        repeats += node
            .fire(at(n * 250))
            .iter()
            .filter(|m| m.starts_with("SIP/2.0 200"))
            .count();
    }
    assert!((9..=11).contains(&repeats), "{repeats}");
    assert_eq!(node.events(leg), []);
    assert_eq!(node.ua.sizes().dialogs, 1);
    // Released without an ACK: the BYE goes out all the same.
    node.command(
        at(60_000),
        leg,
        LegCommand::Release {
            cause: Cause::SeatReleased,
        },
    );
    starting(&node.fire(at(93_000)), "BYE ");
}

#[test]
fn a_late_offer_is_answered_with_ours_and_media_follows_the_ack() {
    let mut node = lone();
    node.hear(
        at(0),
        CARRIER,
        request("INVITE", "sip:120@192.0.2.1", "", 1, "a", "", "").as_bytes(),
    );
    let leg = node.arrived().unwrap().leg;
    let sent = node.command(at(0), leg, LegCommand::Answer);
    let ok = starting(&sent, "SIP/2.0 200");
    assert!(ok.contains("m=audio 20002 RTP/AVP 8 0 101"), "{ok}");
    assert!(node.gate.last_session(leg).is_none());
    node.hear(
        at(20),
        CARRIER,
        request("ACK", "sip:120@192.0.2.1", &to_tag(ok), 1, "b", "", OFFER).as_bytes(),
    );
    let session = node.gate.last_session(leg).unwrap();
    assert_eq!(session.remote, "10.0.0.9:4000".parse().unwrap());
}

#[test]
fn the_far_side_holds_moves_and_resumes() {
    let mut node = lone();
    let (leg, tag) = talking(&mut node);
    let hold = OFFER.replace("sendrecv", "sendonly");
    let sent = node.hear(
        at(100),
        CARRIER,
        request("INVITE", "sip:120@192.0.2.1", &tag, 2, "h", "", &hold).as_bytes(),
    );
    let ok = starting(&sent, "SIP/2.0 200");
    assert!(ok.contains("a=recvonly"), "{ok}");
    node.hear(
        at(110),
        CARRIER,
        request("ACK", "sip:120@192.0.2.1", &tag, 2, "h2", "", "").as_bytes(),
    );
    let moved = OFFER
        .replace("10.0.0.9", "10.0.0.10")
        .replace("4000", "4400");
    node.hear(
        at(200),
        CARRIER,
        request("UPDATE", "sip:120@192.0.2.1", &tag, 3, "u", "", &moved).as_bytes(),
    );
    let session = node.gate.last_session(leg).unwrap();
    assert_eq!(
        (session.remote, session.direction),
        ("10.0.0.10:4400".parse().unwrap(), Direction::SendRecv)
    );
    // A re-INVITE without an offer: ours in the 200, theirs in the ACK.
    let sent = node.hear(
        at(300),
        CARRIER,
        request("INVITE", "sip:120@192.0.2.1", &tag, 4, "l", "", "").as_bytes(),
    );
    assert!(starting(&sent, "SIP/2.0 200").contains("m=audio"));
    node.hear(
        at(310),
        CARRIER,
        request("ACK", "sip:120@192.0.2.1", &tag, 4, "l2", "", OFFER).as_bytes(),
    );
    assert_eq!(
        node.gate.last_session(leg).unwrap().remote,
        "10.0.0.9:4000".parse().unwrap()
    );
    let held = |held| LegEvent::FarHold { held };
    assert_eq!(
        node.events(leg),
        [LegEvent::Confirmed, held(true), held(false)]
    );
}

#[test]
fn a_hold_that_stops_our_hearing_is_told_and_its_end_too() {
    let mut node = lone();
    let (leg, tag) = talking(&mut node);
    let hold = OFFER.replace("sendrecv", "inactive");
    node.hear(
        at(100),
        CARRIER,
        request("INVITE", "sip:120@192.0.2.1", &tag, 2, "h", "", &hold).as_bytes(),
    );
    node.hear(
        at(200),
        CARRIER,
        request("INVITE", "sip:120@192.0.2.1", &tag, 3, "r", "", OFFER).as_bytes(),
    );
    let held = |held| LegEvent::FarHold { held };
    assert_eq!(
        node.events(leg),
        [LegEvent::Confirmed, held(true), held(false)]
    );
}

#[test]
fn guessed_tags_end_nothing() {
    let mut node = lone();
    let (leg, tag) = talking(&mut node);
    for (n, method) in ["BYE", "INVITE", "UPDATE", "INFO", "REFER", "NOTIFY"]
        .into_iter()
        .enumerate()
    {
        let n = u32::try_from(n).unwrap();
        let guess = request(
            method,
            "sip:120@192.0.2.1",
            "0000000000000000",
            10 + n,
            &format!("g{n}"),
            "",
            "",
        );
        let sent = node.hear(at(100), "203.0.113.9:5060", guess.as_bytes());
        starting(&sent, "SIP/2.0 481");
        let wrong_from = request(
            method,
            "sip:120@192.0.2.1",
            &tag,
            20 + n,
            &format!("w{n}"),
            "",
            "",
        )
        .replace("tag=far", "tag=near");
        starting(
            &node.hear(at(100), CARRIER, wrong_from.as_bytes()),
            "SIP/2.0 481",
        );
    }
    let cancel = request("CANCEL", "sip:120@192.0.2.1", "", 1, "guess", "", "");
    starting(
        &node.hear(at(100), CARRIER, cancel.as_bytes()),
        "SIP/2.0 481",
    );
    assert_eq!(node.events(leg), [LegEvent::Confirmed]);
    assert_eq!(node.ua.sizes().dialogs, 1);
}

#[test]
fn keys_by_info_are_told_and_foreign_methods_are_refused_politely() {
    let mut node = lone();
    let (leg, tag) = talking(&mut node);
    let info = |body: &str, cseq, branch: &str| {
        request("INFO", "sip:120@192.0.2.1", &tag, cseq, branch, "", body)
            .replace("application/sdp", "application/dtmf-relay")
    };
    starting(
        &node.hear(
            at(1),
            CARRIER,
            info("Signal=5\r\nDuration=160\r\n", 2, "i1").as_bytes(),
        ),
        "SIP/2.0 200",
    );
    starting(
        &node.hear(at(2), CARRIER, info("Signal= #\r\n", 3, "i2").as_bytes()),
        "SIP/2.0 200",
    );
    let digit = |digit| LegEvent::Digit { digit };
    assert_eq!(
        node.events(leg),
        [LegEvent::Confirmed, digit('5'), digit('#')]
    );
    for (n, (method, status)) in [
        ("REFER", "405"),
        ("MESSAGE", "405"),
        ("SUBSCRIBE", "489"),
        ("OPTIONS", "200"),
        ("FOO", "501"),
    ]
    .into_iter()
    .enumerate()
    {
        let n = u32::try_from(n).unwrap();
        let inside = request(
            method,
            "sip:120@192.0.2.1",
            &tag,
            10 + n,
            &format!("m{n}"),
            "",
            "",
        );
        starting(
            &node.hear(at(10), CARRIER, inside.as_bytes()),
            &format!("SIP/2.0 {status}"),
        );
    }
    for (n, (method, status)) in [
        ("REFER", "405"),
        ("MESSAGE", "405"),
        ("SUBSCRIBE", "489"),
        ("PUBLISH", "489"),
        ("NOTIFY", "481"),
        ("BYE", "481"),
        ("FOO", "501"),
    ]
    .into_iter()
    .enumerate()
    {
        let outside = request(
            method,
            "sip:120@192.0.2.1",
            "",
            10,
            &format!("o{n}"),
            "",
            "",
        )
        .replace("call-1@", "call-2@");
        starting(
            &node.hear(at(20), "203.0.113.9:5060", outside.as_bytes()),
            &format!("SIP/2.0 {status}"),
        );
    }
}

#[test]
fn an_unknown_address_gets_403_and_is_told_with_its_count() {
    let mut node = lone();
    for n in 0..5 {
        let invite = request(
            "INVITE",
            "sip:120@192.0.2.1",
            "",
            1,
            &format!("s{n}"),
            "",
            OFFER,
        );
        let sent = node.hear(at(n), "203.0.113.9:5060", invite.as_bytes());
        starting(&sent, "SIP/2.0 403");
    }
    let counts: Vec<u64> = node
        .told
        .iter()
        .filter_map(|t| {
            if let Tell::UnknownSource { count, .. } = t {
                Some(*count)
            } else {
                None
            }
        })
        .collect();
    assert_eq!(counts, [1, 2, 4]);
    let sizes = node.ua.sizes();
    assert_eq!((sizes.server_transactions, sizes.dialogs), (0, 0));
}

#[test]
fn without_a_port_the_call_is_refused_503_and_still_recorded() {
    let mut node = lone();
    let gate = Gate::new(0);
    node.ua = firstring::sip::ua::Ua::new(
        at(0),
        setup("192.0.2.1:5060", None, "10.0.0.0/8", 9),
        gate,
        Vec::new(),
    );
    let sent = node.hear(
        at(0),
        CARRIER,
        request("INVITE", "sip:120@192.0.2.1", "", 1, "a", "", OFFER).as_bytes(),
    );
    assert_eq!(
        header(starting(&sent, "SIP/2.0 503"), "Retry-After"),
        Some("5")
    );
    assert!(node.arrived().unwrap().refused_capacity);
    assert_eq!(node.ua.sizes().dialogs, 0);
}

#[test]
fn identity_location_and_diversion_of_an_ims_invite_reach_the_arrival() {
    let body = format!(
        "--b1\r\nContent-Type: application/sdp\r\n\r\n{OFFER}\r\n--b1\r\nContent-Type: application/pidf+xml\r\nContent-ID: <t@x>\r\n\r\n<presence>x</presence>\r\n--b1--\r\n"
    );
    let extra = "P-Asserted-Identity: \"\u{5f20}\u{4e09}\" <sip:+8613912345678@gd.ims.mnc000.mcc460.3gppnetwork.org;user=phone>, <tel:+8613912345678>\r\nP-Access-Network-Info: 3GPP-E-UTRAN-FDD;utran-cell-id-3gpp=460001234ABCDEF0;network-provided\r\nGeolocation: <cid:t@x>\r\nPrivacy: id\r\nDiversion: <tel:+8675512345>;reason=unconditional\r\nHistory-Info: <sip:120@x>;index=1\r\n";
    let invite = request(
        "INVITE",
        "urn:service:sos.ambulance",
        "",
        1,
        "a",
        extra,
        &body,
    )
    .replace(
        "Content-Type: application/sdp\r\nContent-Length",
        "Content-Type: multipart/mixed; boundary=b1\r\nContent-Length",
    );
    let mut node = lone();
    node.hear(at(0), CARRIER, invite.as_bytes());
    let arrival = node.arrived().unwrap();
    assert_eq!(
        (arrival.caller.as_str(), arrival.called.as_str()),
        ("+8613912345678", "urn:service:sos.ambulance")
    );
    assert!(arrival.anonymous);
    assert_eq!(arrival.pidf, ["<presence>x</presence>"]);
    assert_eq!(arrival.access_network.len(), 1);
    assert_eq!(arrival.geolocation, ["<cid:t@x>"]);
    assert_eq!(arrival.diverted_from.len(), 2);
    assert_eq!(arrival.source, CARRIER);
    assert_eq!(arrival.ingress, Ingress::Trunk("t".into()));
}

fn outbound() -> (Node, LegId, String) {
    let mut node = Node::new(
        at(0),
        "192.0.2.1:5060",
        setup("192.0.2.1:5060", Some(CARRIER), "10.0.0.0/8", 3),
    );
    node.fire(at(0));
    let leg = LegId(Uuid::from_u128(5));
    let invite = Invite {
        call: CallId(Uuid::from_u128(6)),
        target: Target::Number {
            trunk: "t".into(),
            number: "110".into(),
        },
        from_number: "120".into(),
        from_name: None,
        picks_up: false,
    };
    let sent = node.command(at(1), leg, LegCommand::Invite(Box::new(invite)));
    let invite = starting(&sent, "INVITE sip:110@").to_owned();
    (node, leg, invite)
}

fn answer(request: &str, status: &str, tag: &str, extra: &str, body: &str) -> String {
    let h = |n| header(request, n).unwrap();
    let kind = if body.is_empty() {
        ""
    } else {
        "Content-Type: application/sdp\r\n"
    };
    format!(
        "SIP/2.0 {status} X\r\nVia: {}\r\nFrom: {}\r\nTo: {};tag={tag}\r\nCall-ID: {}\r\nCSeq: {}\r\nContact: <sip:{tag}@10.0.0.9:5060>\r\n{extra}{kind}Content-Length: {}\r\n\r\n{body}",
        h("Via"),
        h("From"),
        h("To"),
        h("Call-ID"),
        h("CSeq"),
        body.len()
    )
}

#[test]
fn the_second_answer_of_a_fork_is_acknowledged_and_hung_up() {
    let (mut node, leg, invite) = outbound();
    let routes = "Record-Route: <sip:p2@10.0.0.2;lr>, <sip:p1@10.0.0.1:5070;lr>\r\n";
    let sent = node.hear(
        at(50),
        CARRIER,
        answer(&invite, "200", "one", routes, OFFER).as_bytes(),
    );
    let ack = starting(&sent, "ACK sip:one@10.0.0.9:5060");
    assert!(
        ack.contains("Route: <sip:p1@10.0.0.1:5070;lr>\r\nRoute: <sip:p2@10.0.0.2;lr>"),
        "{ack}"
    );
    let sent = node.hear(
        at(60),
        CARRIER,
        answer(&invite, "200", "two", "", OFFER).as_bytes(),
    );
    starting(&sent, "ACK sip:two@");
    let bye = starting(&sent, "BYE sip:two@");
    assert!(header(bye, "To").unwrap().ends_with(";tag=two"));
    // A repetition of the first gets its ACK again.
    let again = node.hear(
        at(70),
        CARRIER,
        answer(&invite, "200", "one", routes, OFFER).as_bytes(),
    );
    assert_eq!(again.len(), 1);
    starting(&again, "ACK sip:one@");
    assert_eq!(node.events(leg), [LegEvent::Answered]);
}

#[test]
fn an_update_of_the_far_side_before_its_answer_moves_the_early_media() {
    let (mut node, leg, invite) = outbound();
    node.hear(
        at(50),
        CARRIER,
        answer(&invite, "183", "one", "", OFFER).as_bytes(),
    );
    let ours = header(&invite, "From")
        .unwrap()
        .split_once(";tag=")
        .unwrap()
        .1;
    let moved = OFFER.replace("4000", "4600");
    let update = request("UPDATE", "sip:120@192.0.2.1", ours, 1, "up", "", &moved)
        .replace("call-1@10.0.0.9", header(&invite, "Call-ID").unwrap())
        .replace("tag=far", "tag=one");
    let sent = node.hear(at(60), CARRIER, update.as_bytes());
    assert!(starting(&sent, "SIP/2.0 200").contains("m=audio"));
    let session = node.gate.last_session(leg).unwrap();
    assert_eq!(session.remote, "10.0.0.9:4600".parse().unwrap());
}

#[test]
fn a_reliable_provisional_is_acknowledged_once_and_its_media_heard() {
    let (mut node, leg, invite) = outbound();
    let early = answer(
        &invite,
        "183",
        "one",
        "Require: 100rel\r\nRSeq: 9\r\n",
        OFFER,
    );
    let sent = node.hear(at(50), CARRIER, early.as_bytes());
    let prack = starting(&sent, "PRACK sip:one@");
    assert_eq!(
        (header(prack, "RAck"), header(prack, "CSeq")),
        (Some("9 1 INVITE"), Some("2 PRACK"))
    );
    assert!(node.hear(at(550), CARRIER, early.as_bytes()).is_empty());
    assert_eq!(
        node.events(leg),
        [LegEvent::Progress {
            status: 183,
            early_media: true
        }]
    );
}

#[test]
fn a_challenge_or_redirection_of_a_trunk_is_a_refusal_and_tells_no_secret() {
    for status in ["401", "407", "302"] {
        let (mut node, leg, invite) = outbound();
        let challenge = "WWW-Authenticate: Digest realm=\"120\", nonce=\"x\"\r\nProxy-Authenticate: Digest realm=\"120\", nonce=\"x\"\r\n";
        let sent = node.hear(
            at(50),
            CARRIER,
            answer(&invite, status, "one", challenge, "").as_bytes(),
        );
        starting(&sent, "ACK sip:110@");
        assert!(sent.iter().all(|m| !m.contains("Authorization")));
        let status = status.parse().ok();
        assert_eq!(
            node.events(leg),
            [LegEvent::Failed {
                cause: Cause::Rejected,
                status
            }]
        );
    }
}

fn challenge_field(response: &str, algorithm: &str, field: &str) -> String {
    let line = response
        .lines()
        .find(|l| l.contains("-Authenticate:") && l.contains(algorithm))
        .unwrap();
    line.split_once(&format!("{field}=\""))
        .unwrap()
        .1
        .split('"')
        .next()
        .unwrap()
        .to_owned()
}

fn hashed(algorithm: &str, text: &str) -> String {
    let bytes = if algorithm == "MD5" {
        Md5::digest(text).to_vec()
    } else {
        Sha256::digest(text).to_vec()
    };
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// The credential header for a challenge.
fn credentials(response: &str, algorithm: &str, method: &str, user: &str, secret: &str) -> String {
    let nonce = challenge_field(response, algorithm, "nonce");
    let a1 = hashed(algorithm, &format!("{user}:120:{secret}"));
    let a2 = hashed(algorithm, &format!("{method}:sip:192.0.2.1"));
    let answer = hashed(algorithm, &format!("{a1}:{nonce}:00000001:c:auth:{a2}"));
    let name = if response.contains("Proxy-Authenticate") {
        "Proxy-Authorization"
    } else {
        "Authorization"
    };
    format!(
        "{name}: Digest username=\"{user}\", realm=\"120\", nonce=\"{nonce}\", uri=\"sip:192.0.2.1\", response=\"{answer}\", algorithm={algorithm}, qop=auth, nc=00000001, cnonce=\"c\"\r\n"
    )
}

fn register(user: &str, cseq: u32, branch: &str, extra: &str) -> String {
    format!(
        "REGISTER sip:192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 172.16.0.5:5062;branch=z9hG4bK{branch};rport\r\nFrom: <sip:{user}@192.0.2.1>;tag=p\r\nTo: <sip:{user}@192.0.2.1>\r\nCall-ID: reg-{user}\r\nCSeq: {cseq} REGISTER\r\nContact: <sip:{user}@172.16.0.5:5062>\r\n{extra}Content-Length: 0\r\n\r\n"
    )
}

fn registered(node: &mut Node, algorithm: &str, extra: &str) -> String {
    let sent = node.hear(at(0), PHONE, register("801", 1, "r1", extra).as_bytes());
    let challenge = starting(&sent, "SIP/2.0 401").to_owned();
    let extra = format!(
        "{extra}{}",
        credentials(&challenge, algorithm, "REGISTER", "801", "s801")
    );
    let sent = node.hear(at(10), PHONE, register("801", 2, "r2", &extra).as_bytes());
    sent.first().cloned().unwrap()
}

#[test]
fn a_phone_registers_with_either_digest_is_rung_where_it_came_from_and_expires() {
    for algorithm in ["MD5", "SHA-256"] {
        let mut node = lone();
        let ok = registered(&mut node, algorithm, "Expires: 300\r\n");
        assert!(
            ok.starts_with("SIP/2.0 200") && ok.contains("<sip:801@172.16.0.5:5062>;expires=300"),
            "{ok}"
        );
        let Some(Tell::SeatRegistered { seat, contact, .. }) = node.told.last().cloned() else {
            panic!("{:?}", node.told)
        };
        assert_eq!(seat, SeatId::from("801"));
        let leg = LegId(Uuid::from_u128(5));
        let invite = Invite {
            call: CallId(Uuid::from_u128(6)),
            target: Target::Seat {
                seat,
                contact,
                phone: None,
            },
            from_number: "13800138000".into(),
            from_name: Some("南山区".into()),
            picks_up: false,
        };
        node.ua
            .command(at(20), leg, LegCommand::Invite(Box::new(invite)));
        node.drain();
        let sent = node
            .sent
            .iter()
            .find(|o| o.bytes.starts_with(b"INVITE sip:801@172.16.0.5:5062"))
            .unwrap();
        assert_eq!(sent.peer, PHONE.parse().unwrap());
        assert!(
            String::from_utf8_lossy(&sent.bytes)
                .contains("From: \"南山区\" <sip:13800138000@192.0.2.1>")
        );
        node.fire(at(300_011));
        assert!(node.told.contains(&Tell::SeatUnregistered {
            seat: SeatId::from("801")
        }));
        assert_eq!(node.ua.sizes().registrations, 0);
    }
}

#[test]
fn wrong_secrets_and_unknown_users_get_the_same_answer_and_short_wishes_423() {
    let mut node = lone();
    let sent = node.hear(at(0), PHONE, register("801", 1, "x", "").as_bytes());
    let challenge = starting(&sent, "SIP/2.0 401").to_owned();
    let mut answers = Vec::new();
    for (n, (user, secret)) in [("801", "guess"), ("899", "guess"), ("801", "")]
        .into_iter()
        .enumerate()
    {
        let extra = credentials(&challenge, "MD5", "REGISTER", user, secret);
        let sent = node.hear(
            at(1),
            PHONE,
            register(user, 2, &format!("w{n}"), &extra).as_bytes(),
        );
        answers.push(sent[0].lines().next().unwrap().to_owned());
    }
    assert!(
        answers.iter().all(|a| *a == "SIP/2.0 403 Forbidden"),
        "{answers:?}"
    );
    assert_eq!(node.ua.sizes().registrations, 0);
    let brief = registered(&mut lone(), "MD5", "Expires: 10\r\n");
    assert!(
        brief.starts_with("SIP/2.0 423") && brief.contains("Min-Expires: 60"),
        "{brief}"
    );
}

#[test]
fn a_registered_phone_dials_out_after_a_challenge_and_its_call_is_the_seats() {
    let mut node = lone();
    registered(&mut node, "SHA-256", "");
    let dial = |cseq, branch: &str, extra: &str| {
        request(
            "INVITE",
            "sip:110@192.0.2.1",
            "",
            cseq,
            branch,
            extra,
            OFFER,
        )
        .replace("13800138000@10.0.0.9", "801@192.0.2.1")
    };
    let sent = node.hear(at(20), PHONE, dial(1, "d1", "").as_bytes());
    let challenge = starting(&sent, "SIP/2.0 407").to_owned();
    assert!(node.arrived().is_none());
    let extra = credentials(&challenge, "SHA-256", "INVITE", "801", "s801");
    let sent = node.hear(at(30), PHONE, dial(2, "d2", &extra).as_bytes());
    assert!(sent.is_empty(), "{sent:?}");
    assert_eq!(node.arrived().unwrap().ingress, Ingress::Seat("801".into()));
    assert_eq!(node.arrived().unwrap().called, "110");
}

#[test]
fn a_phone_that_answers_no_options_three_times_is_unreachable_until_it_does() {
    let mut node = lone();
    registered(&mut node, "MD5", "");
    let reachable = |node: &mut Node, from: i64, to: i64| {
        for n in from..to {
            node.fire(at(n * 100));
        }
        node.told
            .iter()
            .filter_map(|t| {
                if let Tell::SeatReachable { reachable, .. } = t {
                    Some(*reachable)
                } else {
                    None
                }
            })
            .collect::<Vec<_>>()
    };
    assert_eq!(reachable(&mut node, 1, 130), [false]);
    let mut options = Vec::new();
    for n in 130..800 {
        options.extend(
            node.fire(at(n * 100))
                .into_iter()
                .filter(|m| m.starts_with("OPTIONS ")),
        );
        if !options.is_empty() {
            break;
        }
    }
    let ok = answer(&options[0], "200", "p", "", "");
    node.hear(at(80_000), PHONE, ok.as_bytes());
    assert_eq!(reachable(&mut node, 801, 802), [false, true]);
}

#[test]
fn an_invite_of_a_dialog_from_before_a_restart_is_a_call_and_not_481() {
    let mut node = lone();
    let sent = node.hear(
        at(0),
        CARRIER,
        request("INVITE", "sip:120@192.0.2.1", "oldtag", 7, "z", "", OFFER).as_bytes(),
    );
    assert!(sent.is_empty(), "{sent:?}");
    let leg = node.arrived().unwrap().leg;
    let sent = node.command(at(1), leg, LegCommand::Answer);
    assert_eq!(to_tag(starting(&sent, "SIP/2.0 200")), "oldtag");
    node.hear(
        at(2),
        CARRIER,
        request("BYE", "sip:120@192.0.2.1", "oldtag", 8, "y", "", "").as_bytes(),
    );
    assert_eq!(
        node.events(leg),
        [LegEvent::Ended {
            cause: Cause::Normal,
            by_far_side: true
        }]
    );
}

#[test]
fn a_flood_from_strangers_fills_no_table() {
    let mut node = lone();
    for n in 0..20_000_u32 {
        let peer = format!("203.0.{}.{}:5060", (n >> 8) & 0xff, n & 0xff);
        let method = ["INVITE", "OPTIONS", "REGISTER", "SUBSCRIBE"][n as usize % 4];
        let message = request(method, "sip:120@192.0.2.1", "", 1, &format!("f{n}"), "", "");
        node.hear(at(i64::from(n) / 5), &peer, message.as_bytes());
        node.told.clear();
    }
    let sizes = node.ua.sizes();
    assert_eq!(
        (
            sizes.server_transactions,
            sizes.client_transactions,
            sizes.dialogs
        ),
        (0, 0, 0)
    );
    let sent = node.hear(
        at(5000),
        CARRIER,
        request("INVITE", "sip:120@192.0.2.1", "", 1, "a", "", OFFER).as_bytes(),
    );
    assert!(sent.is_empty(), "{sent:?}");
}
