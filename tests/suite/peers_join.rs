//! Two calls joined into one conversation, with real peers: two SIPp callers on two media workers, a baresip seat.

use std::collections::BTreeSet;
use std::time::Duration;

use firstring::media::session::Codec;
use serde_json::{Value, json};

use crate::peers_stage::{
    CALLER_HZ, SEAT_HZ, THIRD_HZ, both_hear, call, event, hears_exactly, quiet, scene, seat,
    talking, until,
};
use crate::support::baresip::Baresip;
use crate::support::rtp_peer::{HeardPacket, RtpPeer, Voice, assert_unbroken, longest_gap, played};
use crate::support::scene::{closed_record_of, recording};
use crate::support::server::Server;
use crate::support::sipp::{Place, Sipp};
use crate::support::tone::{rms, tone_share, tone_span};

const FIRST: &str = "13800138001";
const SECOND: &str = "13800138002";
const OTHER_HZ: f64 = THIRD_HZ;
/// The join costs a hearer at most this: two packets, until the first of each new source is due in the mix.
const SILENCE_MAX_MS: usize = 40;
/// Packets may come late by what jitter buffers bridge: a busy machine is no fault of the join.
const BUFFERED: Duration = Duration::from_millis(200);

/// A caller who talks to seat 801, another who waits, and a server of two media workers.
struct Two {
    server: Server,
    seat: Baresip,
    first: (Sipp, RtpPeer, String),
    second: (Sipp, RtpPeer, String),
}

async fn one_talks_one_waits() -> Two {
    let (carrier, other) = (Place::new(), Place::new());
    let mut centre = scene(1, &carrier);
    centre.1.trunks.push(other.trunk("other"));
    let workers = vec![String::from("workers = 2")];
    centre.1.lines.insert("media", workers);
    let mut server = Server::start(centre).await;
    let mut phone = seat(&mut server, "801", SEAT_HZ).await;
    let sip = server.sip("udp");
    let voice = RtpPeer::start(Voice::tone(CALLER_HZ));
    let caller = call(carrier.scenario("caller").key("caller", FIRST), sip, &voice).await;
    phone.rings(1).await;
    phone.accept().await;
    let host = talking(&mut server, "801").await;
    both_hear(&voice, &phone, CALLER_HZ).await;
    let late = RtpPeer::start(Voice::tone(OTHER_HZ));
    let waiter = call(other.scenario("caller").key("caller", SECOND), sip, &late).await;
    let waiting = server
        .open_call("the waiting call", |call| call["state"] == "waiting")
        .await;
    until("the second caller hears something", || {
        late.heard_count() > 50
    })
    .await;
    let guest = waiting["call"].as_str().expect("an id").to_owned();
    Two {
        server,
        seat: phone,
        first: (caller, voice, host),
        second: (waiter, late, guest),
    }
}

async fn join(server: &mut Server, call: &str, with: &str) -> (u16, Value) {
    let path = format!("/api/v1/calls/{call}/join");
    server.post(&path, json!({ "with": with })).await
}

/// The UDP ports that each epoll of the process waits for: a media worker has one of its own.
fn ports_by_epoll(pid: u32) -> Vec<BTreeSet<u16>> {
    let table = std::fs::read_to_string(format!("/proc/{pid}/net/udp")).expect("the ports");
    let port_of = |socket: &str| {
        let inode = socket.strip_prefix("socket:[")?.strip_suffix(']')?;
        let row = table
            .lines()
            .find(|row| row.split_whitespace().nth(9) == Some(inode))?;
        let (_, port) = row.split_whitespace().nth(1)?.split_once(':')?;
        u16::from_str_radix(port, 16).ok()
    };
    let link = |fd: &str| {
        let link = std::fs::read_link(format!("/proc/{pid}/fd/{fd}")).ok()?;
        Some(link.to_string_lossy().into_owned())
    };
    let fds = std::fs::read_dir(format!("/proc/{pid}/fd")).expect("descriptors");
    fds.filter_map(|fd| Some(fd.ok()?.file_name().to_string_lossy().into_owned()))
        .filter(|fd| link(fd).is_some_and(|link| link.contains("eventpoll")))
        .map(|fd| {
            let info = std::fs::read_to_string(format!("/proc/{pid}/fdinfo/{fd}"));
            let info = info.unwrap_or_default();
            let watched = info.lines().filter_map(|line| line.strip_prefix("tfd:"));
            let watched = watched.filter_map(|rest| rest.split_whitespace().next());
            watched.filter_map(|fd| port_of(&link(fd)?)).collect()
        })
        .collect()
}

/// Whether one media worker has the sockets of both.
fn share_a_worker(server: &Server, one: &RtpPeer, other: &RtpPeer) -> bool {
    let port = |peer: &RtpPeer| peer.heard()[0].from.port();
    let (one, other) = (port(one), port(other));
    let epolls = ports_by_epoll(server.pid());
    let of = |port| epolls.iter().position(|ports| ports.contains(&port));
    assert!(of(one).is_some() && of(other).is_some(), "{epolls:?}");
    of(one) == of(other)
}

/// The longest stretch of 20 ms frames without sound, in milliseconds.
fn longest_silence_ms(audio: &[i16]) -> usize {
    let frames = audio.chunks_exact(160).map(|frame| rms(frame) < 500.0);
    let (mut longest, mut run) = (0, 0);
    for silent in frames {
        run = if silent { run + 1 } else { 0 };
        longest = longest.max(run);
    }
    longest * 20
}

/// The longest silence that a hearer's jitter buffer plays in the second after the server gave him another sound than
/// before, from the end of the last packet before. In the stream's own time: packets that come late count for nothing.
fn silence_at_switch_ms(heard: &[HeardPacket]) -> usize {
    let marked = heard.iter().rposition(|packet| packet.marker);
    let first = marked.expect("a switch bears the marker");
    let before = heard[first - 1].payload.len();
    let played = played(&heard[first - 1..first + 50], Codec::Pcma);
    longest_silence_ms(&played[before..])
}

/// How long the media workers have waited for a processor so far, in milliseconds.
fn waited_ms(server: &Server) -> usize {
    let tasks = format!("/proc/{}/task", server.pid());
    let waited = std::fs::read_dir(tasks).expect("threads").map(|task| {
        let task = task.expect("a thread").path();
        let read = |name: &str| std::fs::read_to_string(task.join(name)).unwrap_or_default();
        if !read("comm").starts_with("media-") {
            return 0;
        }
        let nanos = read("schedstat");
        nanos
            .split_whitespace()
            .nth(1)
            .map_or(0, |n| n.parse().unwrap_or(0))
    });
    waited.sum::<usize>() / 1_000_000
}

/// What a switch may cost: its own, and what the machine withheld from the workers meanwhile, in whole packets.
fn silence_allowed_ms(waited_ms: usize) -> usize {
    SILENCE_MAX_MS + (waited_ms + 10) / 20 * 20
}

fn is_switched(peer: &RtpPeer, from: usize) -> bool {
    let heard = peer.heard();
    let marked = heard[from..].iter().position(|packet| packet.marker);
    marked.is_some_and(|n| heard.len() > from + n + 10)
}

/// The longest stretch of the stream's own time that no packet covers.
fn longest_skip_ms(heard: &[HeardPacket]) -> usize {
    let skips = heard.windows(2).map(|pair| {
        let moved = pair[1].timestamp.wrapping_sub(pair[0].timestamp);
        (moved as usize).saturating_sub(pair[0].payload.len()) / 8
    });
    skips.max().unwrap_or_default()
}

/// The record's tracks and what each holds: from, to, frames without, of its party's tone; and the file's length.
fn check_tracks(server: &Server, record: &Value, expected: &[(String, f64)]) {
    let wav = recording(server, record);
    let tracks = record["recordings"][0]["tracks"]
        .as_array()
        .expect("tracks");
    let parties: Vec<_> = tracks.iter().map(|track| track["party"].clone()).collect();
    let names: Vec<_> = expected.iter().map(|(name, _)| json!(name)).collect();
    assert_eq!(parties, names);
    for ((name, hz), audio) in expected.iter().zip(&wav.channels) {
        let (from, to, without) = tone_span(audio, *hz).expect("its tone");
        assert!(without <= 3, "{name}: {without} frames without {hz} Hz");
        assert!(to - from > 1_500, "{name}: {from}-{to} ms");
        for (other, foreign) in expected.iter().filter(|(other, _)| other != name) {
            assert!(tone_share(audio, *foreign) < 0.05, "{other} in {name}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_calls_on_two_media_workers_are_joined_and_each_hears_the_other_two_without_a_gap() {
    let mut two = one_talks_one_waits().await;
    let (host, guest) = (two.first.2.clone(), two.second.2.clone());
    let (voice, late) = (&two.first.1, &two.second.1);
    assert!(!share_a_worker(&two.server, voice, late), "two workers");
    let from = (voice.heard_count(), late.heard_count());
    let seat_from = two.seat.heard().len();
    let waited = waited_ms(&two.server);
    let (status, reply) = join(&mut two.server, &host, &guest).await;
    assert_eq!(status, 200, "{reply}");
    until("both hear another sound", || {
        is_switched(voice, from.0) && is_switched(late, from.1)
    })
    .await;
    let waited = waited_ms(&two.server) - waited;
    let allowed = silence_allowed_ms(waited);
    until("each hears both others and not himself", || {
        hears_exactly(&voice.last_audio(300), &[SEAT_HZ, OTHER_HZ])
            && hears_exactly(&late.last_audio(300), &[CALLER_HZ, SEAT_HZ])
            && hears_exactly(&two.seat.heard(), &[CALLER_HZ, OTHER_HZ])
    })
    .await;
    assert!(share_a_worker(&two.server, voice, late), "one worker now");
    let longer = voice.heard_count() + 100;
    until("two seconds of talk", || voice.heard_count() > longer).await;
    let heard = [voice.heard(), late.heard()];
    heard.iter().for_each(|heard| assert_unbroken(heard));
    let [first, second] = heard.each_ref().map(|heard| silence_at_switch_ms(heard));
    let seat = longest_silence_ms(&two.seat.heard()[seat_from..]);
    let gaps = [&heard[0][from.0 - 1..], &heard[1][from.1 - 1..]].map(longest_gap);
    println!(
        "silence {first}, {second}, seat {seat} ms; gaps {gaps:?}; workers waited {waited} ms"
    );
    assert!(first.max(second).max(seat) <= allowed, "{allowed} ms");
    assert!(gaps.iter().all(|gap| *gap <= BUFFERED), "{gaps:?}");

    two.second.0.go_on();
    let parted = event(&mut two.server, "call.parted", |_| true).await;
    assert_eq!(parted["data"]["into"], json!(host));
    both_hear(voice, &two.seat, CALLER_HZ).await;
    assert_unbroken(&voice.heard());
    two.first.0.go_on();
    two.first.0.finished().await;
    two.second.0.finished().await;
    quiet(&mut two.server).await;

    let record = closed_record_of(&mut two.server, FIRST, true).await;
    let other = closed_record_of(&mut two.server, SECOND, true).await;
    for (record, with) in [(&record, &other), (&other, &record)] {
        let joined = &record["joined_calls"][0];
        assert_eq!(joined["call_id"], with["call_id"]);
        assert_eq!(joined["serial_no"], with["serial_no"]);
        assert_eq!(joined["into"], json!(host));
        assert!(joined["parted_at"].is_string(), "{joined}");
        assert_eq!(record["end"]["result"], "answered");
        assert_eq!(record["end"]["by"], "caller");
        assert_eq!(record["seats"][0]["seat_id"], "801");
    }
    let of = |party: &str, record: &Value| {
        let serial_no = record["serial_no"].as_str().expect("a serial number");
        format!("{party}@{serial_no}")
    };
    let own = |party: &str| party.to_owned();
    check_tracks(
        &two.server,
        &record,
        &[
            (own("caller"), CALLER_HZ),
            (own("seat-801"), SEAT_HZ),
            (of("caller", &other), OTHER_HZ),
        ],
    );
    check_tracks(
        &two.server,
        &other,
        &[
            (own("caller"), OTHER_HZ),
            (of("caller", &record), CALLER_HZ),
            (of("seat-801", &record), SEAT_HZ),
        ],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn joined_caller_whose_seat_hangs_up_rings_again_and_a_join_with_an_ended_call_is_refused() {
    let mut two = one_talks_one_waits().await;
    let (host, guest) = (two.first.2.clone(), two.second.2.clone());
    let late = &two.second.1;
    let (status, _) = join(&mut two.server, &host, "no-call").await;
    assert_eq!(status, 422);
    let (status, reply) = join(&mut two.server, &host, &guest).await;
    assert_eq!(status, 200, "{reply}");
    until("the second caller hears both", || {
        hears_exactly(&late.last_audio(300), &[CALLER_HZ, SEAT_HZ])
    })
    .await;
    let (from, waited) = (late.heard_count(), waited_ms(&two.server));
    two.seat.hang_up();
    two.first.0.finished().await;
    two.seat.rings(2).await;
    until("he hears the queue", || is_switched(late, from)).await;
    let waited = waited_ms(&two.server) - waited;
    let skip = longest_skip_ms(&late.heard()[from - 1..]);
    println!("parted: {skip} ms without a packet; workers waited {waited} ms");
    assert!(skip <= silence_allowed_ms(waited), "{skip} ms");
    two.seat.accept().await;
    assert_eq!(talking(&mut two.server, "801").await, guest);
    both_hear(late, &two.seat, OTHER_HZ).await;
    assert_unbroken(&late.heard());
    let (status, reply) = join(&mut two.server, &guest, &host).await;
    assert_eq!((status, &reply["code"]), (410, &json!("ended")));
    two.second.0.go_on();
    two.second.0.finished().await;
    quiet(&mut two.server).await;
}
