//! Session descriptions as carriers, phones and intercoms send them (`tests/data/sdp`), and what we make of them.

use std::net::SocketAddr;

use firstring::media::sdp::{Local, SdpError, accept, answer, offer};
use firstring::media::session::{Codec, Direction};
use proptest::prelude::*;

/// What a case must give: codec, payload type, dtmf, ptime, direction, remote, media of the answer's m-lines
/// (`-` before a refused one).
type Expected = (
    Codec,
    u8,
    Option<u8>,
    u16,
    Direction,
    &'static str,
    &'static str,
);

const A: Codec = Codec::Pcma;
const U: Codec = Codec::Pcmu;
const BOTH: Direction = Direction::SendRecv;

#[rustfmt::skip]
const CASES: &[(&str, Expected)] = &[
    ("01-huawei-ims-mgcf", (A, 8, Some(97), 20, BOTH, "10.184.83.71:36724", "audio")),
    ("02-huawei-volte-precondition", (A, 8, Some(100), 20, BOTH, "10.60.2.14:50010", "audio")),
    ("03-zte-ims-video", (A, 8, Some(101), 20, BOTH, "172.20.9.130:20480", "audio -video")),
    ("04-zte-missing-session-name", (A, 8, None, 20, BOTH, "172.20.9.131:20500", "audio")),
    ("05-connection-per-media", (A, 8, Some(98), 20, BOTH, "192.168.10.9:6000", "audio")),
    ("06-audio-port-zero-then-audio", (A, 8, Some(101), 20, BOTH, "10.1.1.1:7000", "-audio audio")),
    ("07-two-ptimes", (A, 8, None, 30, BOTH, "10.1.1.2:7002", "audio")),
    ("08-savp-first-avp-second", (A, 8, Some(101), 20, BOTH, "10.1.1.3:7006", "-audio audio")),
    ("09-avpf", (A, 8, Some(101), 20, BOTH, "10.1.1.4:7008", "audio")),
    ("10-dynamic-pcma", (A, 96, Some(97), 20, BOTH, "10.1.1.5:7010", "audio")),
    ("11-hold-sendonly", (A, 8, Some(101), 20, Direction::RecvOnly, "10.1.1.6:7012", "audio")),
    ("12-hold-inactive-session-level", (A, 8, None, 20, Direction::Inactive, "10.1.1.7:7014", "audio")),
    ("13-hold-rfc2543", (A, 8, None, 20, Direction::RecvOnly, "0.0.0.0:7016", "audio")),
    ("14-recvonly", (A, 8, None, 20, Direction::SendOnly, "10.1.1.9:7018", "audio")),
    ("15-rtcp-attribute", (A, 8, None, 20, BOTH, "10.1.1.10:7020", "audio")),
    ("16-ipv6", (A, 8, Some(97), 20, BOTH, "[2409:8057:2003::12]:7022", "audio")),
    ("17-t38-second", (A, 8, None, 20, BOTH, "10.1.1.12:7024", "audio -image")),
    ("18-video-first", (U, 0, None, 20, BOTH, "10.1.1.13:7028", "-video audio")),
    ("19-comfort-noise", (A, 8, None, 20, BOTH, "10.1.1.14:16388", "audio")),
    ("20-origin-without-numbers", (A, 8, None, 20, BOTH, "10.1.1.15:7032", "audio")),
    ("21-no-origin", (A, 8, None, 20, BOTH, "10.1.1.16:7034", "audio")),
    ("22-no-connection-but-origin", (A, 8, None, 20, BOTH, "10.1.1.17:7036", "audio")),
    ("23-host-name", (A, 8, None, 20, BOTH, "0.0.0.0:7038", "audio")),
    ("24-spaces-and-stray-lines", (A, 8, Some(101), 20, BOTH, "10.1.1.18:7040", "audio")),
    ("25-ptime-60-maxptime-40", (A, 8, None, 40, BOTH, "10.1.1.19:7042", "audio")),
    ("26-odd-ptime", (A, 8, None, 20, BOTH, "10.1.1.20:7044", "audio")),
    ("27-one-button-intercom", (A, 8, Some(101), 20, BOTH, "192.168.1.64:8000", "audio -text")),
    ("28-event-listed-twice", (A, 8, Some(98), 20, BOTH, "10.1.1.22:7048", "audio")),
    ("29-event-mapped-but-not-listed", (A, 8, None, 20, BOTH, "10.1.1.23:7050", "audio")),
    ("30-baresip-seat", (A, 8, Some(101), 20, BOTH, "127.0.0.1:10002", "audio")),
    ("31-stream-without-formats", (A, 8, None, 20, BOTH, "10.1.1.24:7052", "-application audio")),
    ("32-bridge-with-media-origin-only", (A, 8, Some(116), 20, BOTH, "10.1.1.26:7054", "audio")),
];

fn local(codecs: &[Codec]) -> Local {
    Local {
        address: "192.0.2.9:4000".parse().expect("an address"),
        session_id: 7,
        version: 1,
        codecs: codecs.to_vec(),
        ptime_ms: 20,
        direction: BOTH,
    }
}

fn case(name: &str) -> String {
    let path = format!("{}/tests/data/sdp/{name}.sdp", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{path}: {e}"))
}

/// The m-lines of an answer as in [`Expected`].
fn streams(text: &str) -> String {
    let lines = text.lines().filter_map(|l| l.strip_prefix("m="));
    let words: Vec<String> = lines
        .map(|line| {
            let mut words = line.split(' ');
            let media = words.next().expect("a media type");
            let refused = words.next() == Some("0");
            format!("{}{media}", if refused { "-" } else { "" })
        })
        .collect();
    words.join(" ")
}

#[test]
fn every_carrier_offer_is_answered_whatever_its_line_ends() {
    for (name, (codec, payload_type, dtmf, ptime_ms, direction, remote, media)) in CASES {
        let text = case(name);
        for text in [
            text.clone(),
            text.replace('\n', "\r\n"),
            text.replace('\n', "\r"),
            text.trim_end().to_owned(),
        ] {
            let (reply, session) = answer(&text, &local(&[A, U])).expect(name);
            assert_eq!(session.codec, *codec, "{name}");
            assert_eq!(session.payload_type, *payload_type, "{name}");
            assert_eq!(session.dtmf, *dtmf, "{name}");
            assert_eq!(session.ptime_ms, *ptime_ms, "{name}");
            assert_eq!(session.direction, *direction, "{name}");
            assert_eq!(session.remote.to_string(), *remote, "{name}");
            assert_eq!(streams(&reply), *media, "{name}");
        }
    }
}

#[test]
fn our_preference_decides_among_the_codecs_offered() {
    let (reply, session) = answer(&case("01-huawei-ims-mgcf"), &local(&[U, A])).expect("answer");
    assert_eq!((session.codec, session.payload_type), (U, 0));
    assert_eq!(
        reply,
        "v=0\r\no=- 7 1 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\n\
         m=audio 4000 RTP/AVP 0 97\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:97 telephone-event/8000\r\n\
         a=fmtp:97 0-15\r\na=ptime:20\r\na=sendrecv\r\n"
    );
}

#[test]
fn preconditions_are_answered_as_met_on_our_side() {
    let (reply, _) = answer(&case("02-huawei-volte-precondition"), &local(&[A])).expect("answer");
    for line in [
        "a=curr:qos local sendrecv\r\n",
        "a=curr:qos remote none\r\n",
        "a=des:qos mandatory local sendrecv\r\n",
        "a=conf:qos remote sendrecv\r\n",
    ] {
        assert!(reply.contains(line), "{line:?} is missing in {reply}");
    }
    let (reply, _) = answer(&case("01-huawei-ims-mgcf"), &local(&[A])).expect("answer");
    assert!(!reply.contains("qos"));
}

#[test]
fn rtcp_goes_where_the_far_side_says() {
    let (_, session) = answer(&case("15-rtcp-attribute"), &local(&[A])).expect("answer");
    assert_eq!(session.remote_rtcp.to_string(), "10.1.1.11:9021");
    let (_, session) = answer(&case("01-huawei-ims-mgcf"), &local(&[A])).expect("answer");
    assert_eq!(session.remote_rtcp.port(), session.remote.port() + 1);
}

#[test]
fn comfort_noise_is_known_but_never_invited() {
    let (reply, session) = answer(&case("19-comfort-noise"), &local(&[A])).expect("answer");
    assert_eq!(session.comfort_noise, Some(13));
    assert!(!reply.contains("CN") && !reply.contains(" 13"));
    assert!(!offer(&local(&[A])).contains("CN"));
}

#[test]
fn what_cannot_carry_a_call_is_refused_with_what_was_offered() {
    let refused = |name| answer(&case(name), &local(&[A, U])).expect_err(name);
    assert_eq!(
        refused("80-only-amr").to_string(),
        "no common audio codec among: AMR-WB/16000, AMR/8000, 18, TELEPHONE-EVENT/8000"
    );
    assert_eq!(
        refused("81-only-savp").to_string(),
        "no plain RTP audio stream among: audio 7102 RTP/SAVP"
    );
    assert!(matches!(
        refused("82-audio-refused"),
        SdpError::NoAudio { .. }
    ));
    assert!(matches!(
        refused("83-no-stream"),
        SdpError::NoStream { bytes: 40 }
    ));
    assert!(matches!(
        refused("84-payload-8-is-not-pcma"),
        SdpError::NoCommonCodec { .. }
    ));
    let many = "m=audio 4000 RTP/AVP 8\n".repeat(33);
    assert_eq!(
        answer(&many, &local(&[A])),
        Err(SdpError::TooManyStreams { got: 33 })
    );
}

#[test]
fn the_far_sides_answer_to_our_offer_makes_the_session() {
    let ours = local(&[A, U]);
    assert!(offer(&ours).contains("m=audio 4000 RTP/AVP 8 0 101\r\n"));
    let reply = "v=0\r\no=x 1 1 IN IP4 10.2.2.2\r\ns=-\r\nc=IN IP4 10.2.2.2\r\nt=0 0\r\n\
                 m=audio 5000 RTP/AVP 0 8 101\r\na=rtpmap:101 telephone-event/8000\r\na=ptime:30\r\n";
    let session = accept(reply, &ours).expect("a session");
    assert_eq!(
        (session.codec, session.payload_type),
        (U, 0),
        "its first, not ours"
    );
    assert_eq!((session.ptime_ms, session.dtmf), (30, Some(101)));
    let refused = reply.replace("audio 5000", "audio 0");
    assert!(matches!(
        accept(&refused, &ours),
        Err(SdpError::NoAudio { .. })
    ));
    let other = reply.replace("0 8 101", "18 101");
    assert!(matches!(
        accept(&other, &ours),
        Err(SdpError::NoCommonCodec { .. })
    ));
}

fn any_direction() -> impl Strategy<Value = Direction> {
    prop_oneof![
        Just(Direction::SendRecv),
        Just(Direction::SendOnly),
        Just(Direction::RecvOnly),
        Just(Direction::Inactive)
    ]
}

fn any_local() -> impl Strategy<Value = Local> {
    let codecs = prop_oneof![
        Just(vec![A]),
        Just(vec![U]),
        Just(vec![A, U]),
        Just(vec![U, A])
    ];
    let ptime = prop_oneof![Just(10_u16), Just(20), Just(30), Just(40), Just(60)];
    let address = prop_oneof![
        Just("192.0.2.1".parse().expect("v4")),
        Just("2001:db8::1".parse().expect("v6")),
    ];
    let port = 1_u16..=u16::MAX;
    (address, port, any::<u64>(), codecs, ptime, any_direction()).prop_map(
        |(ip, port, session_id, codecs, ptime_ms, direction)| Local {
            address: SocketAddr::new(ip, port),
            session_id,
            version: 1,
            codecs,
            ptime_ms,
            direction,
        },
    )
}

/// Lines near enough to SDP to get deep into the reader.
fn any_description() -> impl Strategy<Value = String> {
    let line = prop_oneof![
        Just(String::from("m=audio 4000 RTP/AVP 8 0 101")),
        Just(String::from("c=IN IP4 1.2.3.4")),
        "m=(audio|video|[a-z]{0,4}) ?[0-9/]{0,7} ?(RTP/S?AVPF?|[A-Z/]{0,6})( [0-9]{0,4}){0,6}",
        "[a-z]=[ -~]{0,40}",
        "a=(rtpmap|fmtp|ptime|maxptime|rtcp|curr|des|sendonly|inactive)[: ][ -~]{0,24}",
        "\\PC{0,40}",
    ];
    proptest::collection::vec(line, 0..24).prop_map(|lines| lines.join("\r\n"))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn both_sides_of_an_offer_and_its_answer_agree(ours in any_local(), theirs in any_local()) {
        match answer(&offer(&ours), &theirs) {
            Ok((text, theirs_session)) => {
                let session = accept(&text, &ours).expect("what they answered");
                prop_assert_eq!(session.codec, theirs_session.codec);
                prop_assert_eq!(session.payload_type, theirs_session.payload_type);
                prop_assert_eq!(session.dtmf, theirs_session.dtmf);
                prop_assert_eq!(session.ptime_ms, theirs_session.ptime_ms);
                prop_assert_eq!(session.remote, theirs.address);
                prop_assert_eq!(theirs_session.remote, ours.address);
                let sends = |d| matches!(d, Direction::SendRecv | Direction::SendOnly);
                let receives = |d| matches!(d, Direction::SendRecv | Direction::RecvOnly);
                prop_assert_eq!(sends(session.direction), receives(theirs_session.direction));
                prop_assert_eq!(receives(session.direction), sends(theirs_session.direction));
            }
            Err(error) => {
                let no_common = matches!(error, SdpError::NoCommonCodec { .. });
                prop_assert!(no_common);
                prop_assert!(ours.codecs.iter().all(|c| !theirs.codecs.contains(c)));
            }
        }
    }

    #[test]
    fn no_text_panics_and_every_answer_mirrors_its_streams(text in any_description()) {
        let _ = accept(&text, &local(&[A, U]));
        if let Ok((reply, session)) = answer(&text, &local(&[A, U])) {
            let count = |t: &str| t.lines().filter(|l| l.starts_with("m=")).count();
            prop_assert!(count(&reply) >= 1);
            prop_assert!([10, 20, 30, 40, 60].contains(&session.ptime_ms));
            prop_assert!(session.payload_type < 128 && session.remote.port() != 0);
            let (_, again) = answer(&reply, &local(&[A, U])).map_err(|e| {
                TestCaseError::fail(format!("our own answer is not readable: {e}\n{reply}"))
            })?;
            prop_assert_eq!(again.codec, session.codec);
        }
    }

    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let text = String::from_utf8_lossy(&bytes);
        let _ = answer(&text, &local(&[A]));
        let _ = accept(&text, &local(&[A]));
    }
}
