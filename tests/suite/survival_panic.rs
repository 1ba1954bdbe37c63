//! A panic inside the switch costs one Input; the calls go on.

use std::net::Ipv4Addr;
use std::time::Duration;

use serde_json::json;

use crate::support::scene::{self, alarm, carrier, closed_record_of};
use crate::support::server::{Server, centre};
use crate::support::tone::tone_share;

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_on_one_input_marks_its_call_and_all_calls_go_on_and_a_restart_does_not_meet_it_again()
 {
    let (dir, mut practice) = centre(2);
    practice.trunks.push(carrier("ct", "127.0.0.1"));
    practice
        .lines
        .insert("testing", vec!["allow_faults = true".to_owned()]);
    let mut server = Server::start((dir, practice)).await;
    let mut calls = Vec::new();
    for (n, seat) in ["801", "802"].into_iter().enumerate() {
        let mut seat = scene::seat(&mut server, seat).await;
        let mut caller = scene::caller(&server, &format!("1390013900{n}")).await;
        let (by_caller, by_seat) = scene::talk(&mut caller, &mut seat, (620, 1100)).await;
        calls.push((caller, by_caller, seat, by_seat));
    }
    let open = server.get("/api/v1/calls").await;
    let ids: Vec<String> = open
        .as_array()
        .unwrap()
        .iter()
        .map(|call| call["call"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(ids.len(), 2);
    for (n, id) in ids.iter().enumerate() {
        let heard: Vec<usize> = calls.iter().map(|call| call.1.heard().len()).collect();
        // Nobody answers for a command that was lost; that it was is seen below.
        let (status, _) = server
            .post(&format!("/api/v1/testing/panic/{id}"), json!({}))
            .await;
        assert!(status >= 500, "{status}");
        let view = server.get("/api/v1/view").await;
        let marked: Vec<_> = view["alarms"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|alarm| alarm["code"] == "switch.input_skipped")
            .collect();
        assert_eq!(marked.len(), n + 1, "{view:#}");
        assert!(
            marked
                .iter()
                .any(|alarm| alarm["subject"].to_string().contains(id)),
            "{marked:?}"
        );
        assert_eq!(view["calls"].as_array().unwrap().len(), 2);
        for (call, before) in calls.iter().zip(heard) {
            let now = call.1.heard();
            assert!(
                now.len() >= before + 2 * 8000,
                "{} samples in the 3 s",
                now.len() - before
            );
            assert!(
                tone_share(&now[now.len() - 8000..], 1100.0) > 0.8,
                "the talk goes on"
            );
        }
    }
    // The rebuilt switch still handles what follows.
    for (mut caller, by_caller, mut seat, by_seat) in calls {
        scene::end((&mut caller, by_caller), (&mut seat, by_seat)).await;
    }
    for number in ["13900139000", "13900139001"] {
        let record = closed_record_of(&mut server, number, true).await;
        assert_eq!(record["end"]["result"], "answered");
    }
    alarm(&mut server, "switch.input_skipped", false).await;
    server.kill();
    server.restart();
    tokio::time::sleep(Duration::from_millis(300)).await;
    let view = server.get("/api/v1/view").await;
    assert!(
        !view["alarms"].to_string().contains("input_skipped"),
        "{:#}",
        view["alarms"]
    );
    let log = std::fs::read_to_string(server.centre.dir.join("serve.log")).unwrap();
    assert_eq!(log.matches("planted by a command").count(), 2, "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_on_whom_the_switch_panics_is_re_routed_recorded_and_called_back_and_the_next_call_goes_through()
 {
    let (dir, mut practice) = centre(1);
    practice.trunks.push(carrier("ct", "127.0.0.1"));
    practice
        .lines
        .insert("testing", vec!["allow_faults = true".to_owned()]);
    let mut server = Server::start((dir, practice)).await;
    let raw = scene::Raw::at(Ipv4Addr::LOCALHOST, server.sip("udp"));
    let invite = raw.request("INVITE", "13900139000", "unlucky");
    let planted = invite.replacen("INVITE sip:120@", "INVITE sip:planted-panic@", 1);
    let refused = raw.ask(&planted);
    assert!(refused.starts_with("SIP/2.0 503"), "{refused}");
    assert!(refused.contains("\r\nRetry-After: "), "{refused}");
    let record = closed_record_of(&mut server, "13900139000", false).await;
    assert_eq!(record["end"]["result"], "refused_capacity", "{record:#}");
    assert_eq!(record["call_backs"][0]["reason"], "refused_capacity");
    let view = server.get("/api/v1/view").await;
    assert_eq!(view["call_backs"].as_array().unwrap().len(), 1, "{view:#}");
    alarm(&mut server, "switch.input_skipped", true).await;
    let next = raw.ask(&raw.request("INVITE", "13900139001", "lucky"));
    assert!(next.starts_with("SIP/2.0 200"), "{next}");
    assert!(raw.hang_up(&next).starts_with("SIP/2.0 200"));
    let record = closed_record_of(&mut server, "13900139001", true).await;
    assert_eq!(record["end"]["result"], "abandoned");
    let said = server.terminate();
    let replayed = firstring::engine::replay(&server.centre.dir.join("journal")).unwrap();
    assert_eq!(said.trim(), format!("state {}", replayed.state_hash));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_that_ends_by_itself_ends_the_process_with_a_reason_and_the_next_start_takes_calls()
 {
    let (dir, mut practice) = centre(1);
    practice.trunks.push(carrier("ct", "127.0.0.1"));
    practice
        .lines
        .insert("testing", vec!["allow_faults = true".to_owned()]);
    let mut server = Server::start((dir, practice)).await;
    let fault = server.centre.dir.join("journal/faults");
    std::fs::write(&fault, "panic").unwrap();
    let raw = scene::Raw::at(Ipv4Addr::LOCALHOST, server.sip("udp"));
    raw.send(&raw.request("INVITE", "13900139000", "last"));
    let (code, log) = server.ended_by_itself(Duration::from_secs(15));
    assert_eq!(code, Some(1), "{log}");
    let last_words = log.lines().last().unwrap_or_default();
    assert!(
        last_words.contains("the owner of the switch ended by itself")
            && last_words.contains("the process ends so that it is started again"),
        "{log}"
    );
    std::fs::remove_file(&fault).unwrap();
    server.restart();
    let raw = scene::Raw::at(Ipv4Addr::LOCALHOST, server.sip("udp"));
    let answer = raw.ask(&raw.request("INVITE", "13900139000", "again"));
    assert!(answer.starts_with("SIP/2.0 200"), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fault_cannot_be_planted_unless_the_configuration_admits_it() {
    let (dir, mut practice) = centre(1);
    practice.trunks.push(carrier("ct", "127.0.0.1"));
    let mut server = Server::start((dir, practice)).await;
    let id = uuid::Uuid::now_v7();
    let (status, body) = server
        .post(&format!("/api/v1/testing/panic/{id}"), json!({}))
        .await;
    assert_eq!(status, 403, "{body}");
}
