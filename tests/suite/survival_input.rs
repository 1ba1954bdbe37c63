//! Bad input over the wire and bad configuration: refused, counted, told; calls are unaffected.

use std::net::Ipv4Addr;
use std::time::Duration;

use firstring::sim::phone::{Phone, PhoneError};
use rustix::process::Signal;

use crate::support::scene::{self, Raw, alarm, carrier, closed_record_of};
use crate::support::server::{Server, centre};
use crate::support::tone::tone_share;

const STRANGER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

async fn with_carrier(seats: usize) -> Server {
    let (dir, mut practice) = centre(seats);
    practice.trunks.push(carrier("ct", "127.0.0.1"));
    Server::start((dir, practice)).await
}

fn figure(metrics: &serde_json::Value, name: &str) -> f64 {
    let text = metrics.as_str().expect("metrics are text");
    let line = text.lines().find(|line| line.starts_with(name));
    line.and_then(|line| line.rsplit(' ').next()?.parse().ok())
        .unwrap_or(0.0)
}

fn status(answer: &str) -> &str {
    answer.get(8..11).unwrap_or("none")
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_sip_is_refused_or_dropped_and_counted_and_a_stranger_is_named_with_the_line_that_admits_him()
 {
    let mut server = with_carrier(1).await;
    let sip = server.sip("udp");
    let wire = Raw::at(Ipv4Addr::LOCALHOST, sip);
    let good = wire.request("INVITE", "13800138000", "bad-1");
    // No From, To or Call-ID: the Via alone is enough to say 400.
    let headless: String = good
        .split("\r\n")
        .filter(|line| {
            !["From:", "To:", "Call-ID:"]
                .iter()
                .any(|name| line.starts_with(name))
        })
        .map(|line| format!("{line}\r\n"))
        .collect();
    assert_eq!(status(&wire.ask(&headless)), "400");
    // Nobody can be answered here.
    wire.send("INVITE without anything\r\n\r\n");
    wire.send("\u{0}\u{1}\u{2}\r\n\r\n");
    assert_eq!(
        status(&wire.ask(&wire.request("FETCH", "13800138000", "bad-2"))),
        "501"
    );
    // Known methods without a place here.
    for (method, wanted) in [
        ("REFER", "405"),
        ("SUBSCRIBE", "489"),
        ("INFO", "481"),
        ("BYE", "481"),
    ] {
        let answer = wire.ask(&wire.request(method, "13800138000", "bad-3"));
        assert_eq!(status(&answer), wanted, "{answer}");
    }
    for (counter, count) in [
        ("firstring_sip_malformed_total", 1.0),
        ("firstring_sip_dropped_total", 2.0),
    ] {
        server
            .wait_for("/metrics", counter, |metrics| {
                (figure(metrics, counter) >= count).then_some(())
            })
            .await;
    }
    // A stranger, twice.
    let stranger = Raw::at(STRANGER, sip);
    for call_id in ["strange-1", "strange-2"] {
        let answer = stranger.ask(&stranger.request("INVITE", "13800138000", call_id));
        assert_eq!(status(&answer), "403", "{answer}");
    }
    let detail = server
        .wait_for("/api/v1/view", "the alarm with its count", |view| {
            let alarms = view["alarms"].as_array()?;
            let alarm = alarms
                .iter()
                .find(|alarm| alarm["code"] == "trunk.unknown_source")?;
            assert_eq!(alarm["subject"], "127.0.0.2");
            let detail = alarm["detail"].as_str()?;
            detail.starts_with("2 INVITE").then(|| detail.to_owned())
        })
        .await;
    assert!(detail.contains(r#"sources = ["127.0.0.2/32"]"#), "{detail}");
    // Wrong passwords, known and unknown users: the same answer.
    for user in ["801", "no-such-seat"] {
        let mut phone = Phone::new(scene::LOOPBACK, sip, user, "wrong")
            .await
            .unwrap();
        let refused = phone.register(60).await.unwrap_err();
        assert!(
            matches!(
                refused,
                PhoneError::Refused {
                    status: 401 | 403,
                    ..
                }
            ),
            "{user}: {refused}"
        );
    }
    // And somebody who needs help is served as ever.
    let mut seat = scene::seat(&mut server, "801").await;
    let mut caller = scene::caller(&server, "13900139000").await;
    let (talk, answered) = scene::talk(&mut caller, &mut seat, (620, 1100)).await;
    scene::end((&mut caller, talk), (&mut seat, answered)).await;
    closed_record_of(&mut server, "13900139000", false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_configuration_is_refused_whole_and_a_good_one_admits_a_new_seat_and_a_new_carrier() {
    let mut server = with_carrier(1).await;
    let sip = server.sip("udp");
    let config = server.centre.dir.join("firstring.toml");
    let good = std::fs::read_to_string(&config).unwrap();
    // The new carrier is in it, and so is a fault: nothing of it may take effect.
    let half =
        "\n[trunks.cmcc]\nsources = [\"127.0.0.2\"]\nprofile = \"generic-ims\"\nno_such_key = 1\n";
    std::fs::write(&config, format!("{good}{half}")).unwrap();
    server.signal(Signal::HUP);
    let detail = alarm(&mut server, "config.refused", true).await;
    assert!(detail.contains("no_such_key"), "{detail}");
    let newcomer = Raw::at(STRANGER, sip);
    assert_eq!(
        status(&newcomer.ask(&newcomer.request("INVITE", "075582000001", "new-1"))),
        "403"
    );
    let mut seat = scene::seat(&mut server, "801").await;
    let mut caller = scene::caller(&server, "13900139000").await;
    let (talk, answered) = scene::talk(&mut caller, &mut seat, (620, 1100)).await;
    scene::end((&mut caller, talk), (&mut seat, answered)).await;

    server.centre.seats.push(("802".to_owned(), false));
    server.centre.trunks.push(carrier("cmcc", "127.0.0.2"));
    server.centre.write().unwrap();
    server.signal(Signal::HUP);
    alarm(&mut server, "config.refused", false).await;
    let mut second = scene::seat(&mut server, "802").await;
    let mut newcomer = Phone::new((STRANGER, 0).into(), sip, "075582000002", "")
        .await
        .unwrap();
    let dial = scene::dial_120();
    let (talk, answered) = tokio::join!(
        newcomer.call(
            &dial,
            firstring::sim::phone::Speech::tone(700),
            Duration::from_secs(10)
        ),
        second.answer(
            Duration::from_millis(100),
            firstring::sim::phone::Speech::tone(900),
            Duration::from_secs(20)
        ),
    );
    let (talk, answered) = (
        talk.expect("admitted"),
        answered.expect("rung").expect("rung"),
    );
    scene::end((&mut newcomer, talk), (&mut second, answered)).await;
    let record = closed_record_of(&mut server, "075582000002", false).await;
    assert_eq!(record["trunk"], "cmcc");
    assert_eq!(record["end"]["result"], "answered");
}

#[tokio::test(flavor = "multi_thread")]
async fn at_sighup_a_token_whose_file_changed_is_refused_and_its_open_view_ends() {
    let server = with_carrier(1).await;
    let path = server.centre.secret_file("token-admin");
    let old = std::fs::read_to_string(&path).unwrap();
    let api = server.addresses.api;
    let ask = async |token: &str, path: &str| {
        reqwest::Client::new()
            .get(format!("http://{api}{path}"))
            .bearer_auth(token)
            .send()
            .await
            .expect("the API answers")
    };
    let mut live = ask(&old, "/api/v1/live").await;
    assert!(live.chunk().await.expect("a view").is_some());
    let new = format!("{old}-changed");
    std::fs::write(&path, &new).unwrap();
    server.signal(Signal::HUP);
    let to_the_end = async { while let Ok(Some(_)) = live.chunk().await {} };
    tokio::time::timeout(Duration::from_secs(10), to_the_end)
        .await
        .expect("the open view ends");
    assert_eq!(ask(&old, "/api/v1/me").await.status(), 401);
    assert_eq!(ask(&new, "/api/v1/me").await.status(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn at_sigterm_new_calls_are_refused_with_a_record_and_a_running_call_ends_in_its_own_time() {
    let mut server = with_carrier(1).await;
    let mut seat = scene::seat(&mut server, "801").await;
    let mut caller = scene::caller(&server, "13900139000").await;
    let (talk, answered) = scene::talk(&mut caller, &mut seat, (620, 1100)).await;
    let late = Raw::at(Ipv4Addr::LOCALHOST, server.sip("udp"));
    server.signal(Signal::TERM);
    // Until the signal is taken, a call is still a call: ask with new ones until one is refused.
    let mut refused = String::new();
    for n in 0..20 {
        let call_id = format!("late-{n}");
        refused = late.ask(&late.request("INVITE", "13700137000", &call_id));
        if status(&refused) == "503" {
            break;
        }
        assert_eq!(n, 0, "the drain had begun: {refused}");
    }
    assert!(refused.contains("Retry-After"), "{refused}");
    tokio::time::sleep(Duration::from_millis(500)).await; // the talk goes on
    let heard = talk.heard();
    assert!(tone_share(&heard[heard.len() - 2400..], 1100.0) > 0.8);
    scene::end((&mut caller, talk), (&mut seat, answered)).await;
    let said = server.ended();
    assert!(said.starts_with("state "), "{said}");
    server.restart();
    let record = closed_record_of(&mut server, "13700137000", false).await;
    assert_eq!(record["end"]["result"], "refused_capacity");
    closed_record_of(&mut server, "13900139000", true).await;
}

/// The smallest range that a configuration may have: eight pairs, free now, away from where other tests look.
fn eight_pairs() -> u16 {
    let start = u16::try_from(std::process::id() % 250).unwrap();
    (0..250_u16)
        .map(|n| 28_000 + (start + n) % 250 * 16)
        .find(|first| {
            (*first..first + 16)
                .all(|port| std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, port)).is_ok())
        })
        .expect("free ports")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_without_a_port_left_is_refused_for_the_carrier_to_reroute_and_still_has_record_and_call_back()
 {
    let (dir, mut practice) = centre(1);
    practice.trunks.push(carrier("ct", "127.0.0.1"));
    let first = eight_pairs();
    practice.lines.insert(
        "media",
        vec![
            format!("port_first = {first}"),
            format!("port_last = {}", first + 15),
        ],
    );
    let mut server = Server::start((dir, practice)).await;
    let mut callers = Vec::new();
    for n in 0..8 {
        let mut phone = scene::caller(&server, &format!("1380013800{n}")).await;
        let talk = scene::call(&mut phone, 620).await;
        callers.push((phone, talk));
    }
    let wire = Raw::at(Ipv4Addr::LOCALHOST, server.sip("udp"));
    let refused = wire.ask(&wire.request("INVITE", "13900139003", "full-1"));
    assert_eq!(status(&refused), "503", "{refused}");
    assert!(refused.contains("Retry-After"), "{refused}");
    let record = closed_record_of(&mut server, "13900139003", false).await;
    assert_eq!(record["end"]["result"], "refused_capacity");
    alarm(&mut server, "capacity.refused", true).await;
    server
        .wait_for("/api/v1/call_backs", "the call-back", |list| {
            list.as_array()?
                .iter()
                .find(|entry| entry["reason"] == "refused_capacity")
                .map(|_| ())
        })
        .await;
    // One leaves; when its port has rested, the next caller is let in.
    let (mut phone, talk) = callers.pop().unwrap();
    phone.hang_up(talk).await.unwrap();
    let mut taken = String::new();
    for n in 0..10 {
        taken = wire.ask(&wire.request("INVITE", "13900139004", &format!("again-{n}")));
        if status(&taken) == "200" {
            break;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    assert_eq!(status(&taken), "200", "{taken}");
}
