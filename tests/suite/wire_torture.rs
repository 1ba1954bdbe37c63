//! The torture messages of RFC 4475 and RFC 5118 against the machine, as a carrier's and as a stranger's; a dead
//! parser crate as oracle; and mutated bytes.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::wire_bench::{CARRIER, Gate, Node, OFFER, at, lone, request};

fn corpus(folder: &str) -> BTreeMap<String, Vec<u8>> {
    let path = format!("{}/tests/corpus/{folder}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_dir(path)
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.file_name() != "SOURCE.txt")
        .map(|entry| {
            let name = entry.file_name().into_string().unwrap();
            (
                name.trim_end_matches(".dat").to_owned(),
                std::fs::read(entry.path()).unwrap(),
            )
        })
        .collect()
}

/// The status of the last answer; 0 when there was none.
fn verdict(node: &mut Node, bytes: &[u8]) -> u16 {
    let mut answers = node.hear(at(0), CARRIER, bytes);
    if answers.is_empty() {
        // A call taken in gets its 100 when nothing else came in 200 ms.
        answers = node.fire(at(200));
    }
    answers
        .iter()
        .filter_map(|a| a.strip_prefix("SIP/2.0 "))
        .filter_map(|a| a.get(..3)?.parse().ok())
        .next_back()
        .unwrap_or(0)
}

/// What a carrier gets for each message of RFC 4475. 100 is a call taken in; 0 is silence, as for responses.
const RFC_4475: &[(&str, u16)] = &[
    // Must be accepted.
    ("wsinv", 100),
    ("intmeth", 501),
    ("esc01", 100),
    ("escnull", 401),
    ("esc02", 501),
    ("lwsdisp", 200),
    ("longreq", 100),
    ("dblreq", 401),
    ("semiuri", 200),
    ("transports", 200),
    ("mpart01", 405),
    ("unreason", 0),
    ("noreason", 0),
    // The RFC's verdict, or the lenient one it allows.
    ("badinv01", 400),
    ("clerr", 100),
    ("ncl", 400),
    ("scalar02", 400),
    ("scalarlg", 0),
    ("quotbal", 400),
    ("ltgtruri", 400),
    ("lwsruri", 400),
    ("lwsstart", 400),
    ("trws", 400),
    ("escruri", 100),
    ("baddate", 100),
    ("regbadct", 401),
    ("badaspec", 200),
    ("baddn", 200),
    ("badvers", 505),
    ("mismatch01", 400),
    ("mismatch02", 400),
    ("bigcode", 0),
    ("badbranch", 200),
    ("insuf", 400),
    ("unkscm", 416),
    ("novelsc", 416),
    ("unksm2", 401),
    ("bext01", 420),
    ("invut", 415),
    ("regaut01", 403),
    ("multi01", 400),
    ("mcl01", 400),
    ("bcast", 0),
    ("zeromf", 483),
    ("cparam01", 401),
    ("cparam02", 401),
    ("regescrt", 401),
    ("sdp01", 100),
    ("inv2543", 100),
    ("test", 0),
];

#[test]
fn every_message_of_rfc_4475_gets_its_verdict() {
    let corpus = corpus("rfc4475");
    assert_eq!(corpus.len(), RFC_4475.len());
    let mut wrong = Vec::new();
    for (name, expected) in RFC_4475 {
        let got = verdict(&mut lone(), &corpus[*name]);
        if got != *expected {
            wrong.push(format!("{name}: expected {expected}, got {got}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_ipv6_message_of_rfc_5118_but_the_broken_one_is_taken() {
    let mut wrong = Vec::new();
    for (name, bytes) in corpus("rfc5118") {
        let got = verdict(&mut lone(), &bytes);
        let fine = if name == "ipv6-bad" {
            got == 400
        } else {
            got != 400
        };
        if !fine {
            wrong.push(format!("{name}: got {got}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn a_stranger_never_gets_a_call_in_and_is_never_sent_much_more_than_it_sent() {
    for folder in ["rfc4475", "rfc5118"] {
        for (name, bytes) in corpus(folder) {
            let mut node = lone();
            let sent: usize = node
                .hear(at(0), "203.0.113.5:5060", &bytes)
                .iter()
                .map(String::len)
                .sum();
            assert!(node.arrived().is_none(), "{name}");
            // A challenge names two algorithms; everything else stays within half again.
            let limit = if bytes.starts_with(b"REGISTER") {
                2.0
            } else {
                1.5
            };
            let factor = sent as f64 / bytes.len() as f64;
            assert!(factor <= limit, "{name}: {sent} bytes for {}", bytes.len());
        }
    }
}

/// The card's parser crate as an oracle: what it takes we take, and we take every message that must be taken, of
/// which it refuses many. The figures stand in the README.
#[test]
fn nothing_that_rsip_reads_is_refused_by_us_without_the_rfc_saying_so() {
    let must = [
        "wsinv",
        "intmeth",
        "esc01",
        "escnull",
        "esc02",
        "lwsdisp",
        "longreq",
        "dblreq",
        "semiuri",
        "transports",
        "mpart01",
        "unreason",
        "noreason",
    ];
    let (mut rsip_refused, mut ours_refused) = (Vec::new(), Vec::new());
    let all = corpus("rfc4475")
        .into_iter()
        .filter(|(n, _)| must.contains(&n.as_str()));
    let v6 = corpus("rfc5118")
        .into_iter()
        .filter(|(n, _)| n != "ipv6-bad");
    for (name, bytes) in all.chain(v6) {
        if rsip::SipMessage::try_from(bytes.as_slice()).is_err() {
            rsip_refused.push(name.clone());
        }
        if firstring::sip::wire::parse(&bytes).is_err() {
            ours_refused.push(name);
        }
    }
    assert_eq!(ours_refused, Vec::<String>::new());
    // 15 of these 24: six of RFC 4475, nine of RFC 5118.
    assert_eq!(rsip_refused.len(), 15, "rsip refuses {rsip_refused:?}");
}

#[test]
fn small_faults_of_an_invite_are_mended_and_the_call_is_taken() {
    let good = request("INVITE", "sip:120@192.0.2.1", "", 1, "a", "", OFFER);
    let length = format!("Content-Length: {}", OFFER.len());
    for (what, bytes) in [
        ("as it is", good.clone()),
        ("bare LF", good.replace("\r\n", "\n")),
        ("line ends before it", format!("\r\n\r\n{good}")),
        (
            "length too long",
            good.replace(&length, "Content-Length: 9999"),
        ),
        (
            "length doubled",
            good.replace(&length, &format!("{length}\r\n{length}")),
        ),
        (
            "two lengths",
            good.replace(&length, &format!("{length}\r\nl: 100000")),
        ),
        ("no length", good.replace(&format!("{length}\r\n"), "")),
        (
            "a line that is no header",
            good.replace("Max-Forwards: 70", "Max-Forwards: 70\r\n???\r\nnonsense"),
        ),
        ("no Max-Forwards", good.replace("Max-Forwards: 70\r\n", "")),
        (
            "unknown options required",
            good.replace(
                "Max-Forwards: 70",
                "Max-Forwards: 70\r\nRequire: 100rel, timer, precondition, x-secret",
            ),
        ),
    ] {
        let mut node = lone();
        assert_eq!(verdict(&mut node, bytes.as_bytes()), 100, "{what}");
        assert!(node.arrived().is_some(), "{what}");
        assert_eq!(node.gate.open_count(), 1, "{what}");
    }
    // Without the empty line behind the headers there is no offer, but there is a caller.
    let bare = request("INVITE", "sip:120@192.0.2.1", "", 1, "a", "", "");
    assert_eq!(verdict(&mut lone(), bare.trim_end().as_bytes()), 100);
}

#[test]
fn any_called_number_and_uri_of_a_trunk_is_a_call() {
    for (uri, called) in [
        ("sip:120@192.0.2.1", "120"),
        ("sip:0755120@192.0.2.1;user=phone", "0755120"),
        ("sip:+86755120@[2001:db8::1]:5060", "+86755120"),
        (
            "sip:120;phone-context=+86755@ims.example;user=phone",
            "120;phone-context=+86755",
        ),
        ("tel:120;phone-context=+86755", "120;phone-context=+86755"),
        ("tel:+86-755-120", "+86-755-120"),
        ("urn:service:sos.ambulance", "urn:service:sos.ambulance"),
        ("urn:service:sos", "urn:service:sos"),
        ("sip:85551234@192.0.2.1", "85551234"),
        ("sip:192.0.2.1", "sip:192.0.2.1"),
        ("sips:%E6%80%A5@x", "急"),
        ("x-carrier:whatever", "whatever"),
    ] {
        let mut node = lone();
        assert_eq!(
            verdict(
                &mut node,
                request("INVITE", uri, "", 1, "a", "", OFFER).as_bytes()
            ),
            100,
            "{uri}"
        );
        assert_eq!(node.arrived().unwrap().called, called);
    }
}

fn arb_bytes() -> impl Strategy<Value = Vec<u8>> {
    let seeds: Vec<Vec<u8>> = corpus("rfc4475")
        .into_values()
        .chain(corpus("rfc5118").into_values())
        .chain([request("INVITE", "sip:120@192.0.2.1", "", 1, "a", "", OFFER).into_bytes()])
        .collect();
    (
        proptest::sample::select(seeds),
        proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..4_u8), 0..24),
    )
        .prop_map(|(mut bytes, edits)| {
            for (index, byte, kind) in edits {
                if bytes.is_empty() {
                    break;
                }
                let at = index.index(bytes.len());
                match kind {
                    0 => bytes[at] = byte,
                    1 => bytes.insert(at, byte),
                    2 => drop(bytes.remove(at)),
                    _ => bytes.truncate(at),
                }
            }
            bytes
        })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn mutated_messages_never_panic_and_never_open_more_than_one_call(bytes in arb_bytes()) {
        let mut node = lone();
        let _ = node.hear(at(0), CARRIER, &bytes);
        let _ = node.hear(at(0), CARRIER, &bytes);
        let _ = node.fire(at(40_000));
        prop_assert!(node.gate.open_count() <= 1);
        let _ = Gate::new(0);
    }
}
