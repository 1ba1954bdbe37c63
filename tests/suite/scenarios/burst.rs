//! A burst of calls: SIPp is the carrier, each caller's sound is our own (its port stands in SIPp's SDP), seats are
//! registered telephones, both modules are processes. Every call is then looked for in everything it leaves behind.

use std::collections::BTreeMap;
use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use firstring::sim::phone::{Phone, Speech};
use serde_json::Value;

use crate::support::scene::{self, Module, carrier, in_order_once, millis, recording};
use crate::support::server::{Server, centre};
use crate::support::tone::{alaw_decode, alaw_tone, rms, tone_share, tone_span};

struct Size {
    calls: usize,
    at_once: usize,
    seats: usize,
    talk: Duration,
}

const LONG: Size = Size {
    calls: 200,
    at_once: 40,
    seats: 10,
    talk: Duration::from_secs(5),
};
const SHORT: Size = Size {
    calls: 24,
    at_once: 8,
    seats: 4,
    talk: Duration::from_secs(2),
};

/// Callers are told apart by tone: 24 of them, 40 Hz apart.
fn caller_hz(n: usize) -> f64 {
    500.0 + 40.0 * (n % 24) as f64
}

/// Seats lie above all callers.
fn seat_hz(n: usize) -> u32 {
    2000 + 100 * u32::try_from(n).unwrap()
}

fn number(n: usize) -> String {
    format!("139001{n:05}")
}

/// One caller's ear and mouth: says its tone to whoever sends it sound first.
struct Voice {
    socket: UdpSocket,
    heard: Mutex<Vec<u8>>,
}

/// All callers' sound, on one thread: 20 ms beats, each voice speaks once it has been spoken to.
fn speak(voices: &[Voice], stop: &AtomicBool) {
    let payloads: Vec<Vec<u8>> = (0..24).map(|n| alaw_tone(caller_hz(n), 0, 8000)).collect();
    let mut state: Vec<(Option<SocketAddr>, u32)> = vec![(None, 0); voices.len()];
    let (start, mut beats) = (Instant::now(), 0_u32);
    let mut buffer = [0; 2048];
    while !stop.load(Ordering::Relaxed) {
        for (n, voice) in voices.iter().enumerate() {
            while let Ok((length, from)) = voice.socket.recv_from(&mut buffer) {
                if length > 12 && buffer[1] & 0x7F == 8 {
                    state[n].0 = Some(from);
                    voice
                        .heard
                        .lock()
                        .unwrap()
                        .extend_from_slice(&buffer[12..length]);
                }
            }
            if let (Some(to), sent) = &mut state[n] {
                let mut packet = vec![0x80, 8];
                packet.extend_from_slice(&(*sent as u16).to_be_bytes());
                packet.extend_from_slice(&(*sent * 160).to_be_bytes());
                packet.extend_from_slice(&(n as u32 + 1).to_be_bytes());
                let at = *sent as usize % 50 * 160;
                packet.extend_from_slice(&payloads[n % 24][at..at + 160]);
                drop(voice.socket.send_to(&packet, *to));
                *sent += 1;
            }
        }
        beats += 1;
        let next = start + Duration::from_millis(20) * beats;
        std::thread::sleep(next.saturating_duration_since(Instant::now()));
    }
}

const SCENARIO: &str = r#"<?xml version="1.0" encoding="UTF-8" ?>
<scenario name="caller">
<send retrans="500"><![CDATA[
INVITE sip:120@[remote_ip]:[remote_port] SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
From: <sip:[field0]@[local_ip]:[local_port]>;tag=c[call_number]
To: <sip:120@[remote_ip]:[remote_port]>
Call-ID: [call_id]
CSeq: 1 INVITE
Contact: <sip:[field0]@[local_ip]:[local_port]>
Max-Forwards: 70
Content-Type: application/sdp
Content-Length: [len]

v=0
o=- 1 1 IN IP4 [local_ip]
s=-
c=IN IP4 [local_ip]
t=0 0
m=audio [field1] RTP/AVP 8
a=rtpmap:8 PCMA/8000
a=ptime:20
]]></send>
<recv response="100" optional="true"/>
<recv response="180" optional="true"/>
<recv response="183" optional="true"/>
<recv response="200" rrs="true"/>
<send><![CDATA[
ACK [next_url] SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
[last_From:]
[last_To:]
Call-ID: [call_id]
CSeq: 1 ACK
Max-Forwards: 70
Content-Length: 0

]]></send>
<recv request="BYE"/>
<send><![CDATA[
SIP/2.0 200 OK
[last_Via:]
[last_From:]
[last_To:]
[last_Call-ID:]
[last_CSeq:]
Content-Length: 0

]]></send>
</scenario>
"#;

/// Runs SIPp to its end, off the runtime.
fn sipp(size: &Size, server: SocketAddr, dir: &Path, voices: &[Voice]) -> Result<(), String> {
    let mut callers = String::from("SEQUENTIAL\n");
    for (n, voice) in voices.iter().enumerate() {
        let port = voice.socket.local_addr().unwrap().port();
        callers.push_str(&format!("{};{port};\n", number(n)));
    }
    std::fs::write(dir.join("callers.csv"), callers).unwrap();
    std::fs::write(dir.join("caller.xml"), SCENARIO).unwrap();
    let output = Command::new("sipp")
        .current_dir(dir)
        .args([
            "-sf",
            "caller.xml",
            "-inf",
            "callers.csv",
            "-i",
            "127.0.0.1",
            "-nostdin",
        ])
        .args([
            "-m",
            &size.calls.to_string(),
            "-l",
            &size.at_once.to_string(),
            "-r",
            "20",
        ])
        .args([
            "-timeout",
            "400",
            "-timeout_error",
            "-trace_err",
            "-error_file",
            "sipp.errors",
        ])
        .arg(server.to_string())
        .stdin(std::process::Stdio::null())
        .output()
        .expect("sipp is installed");
    if output.status.success() {
        return Ok(());
    }
    let errors = std::fs::read_to_string(dir.join("sipp.errors")).unwrap_or_default();
    Err(format!(
        "SIPp ended with {}: {}",
        output.status,
        errors.get(..4000).unwrap_or(&errors)
    ))
}

/// One seat at work until all calls are served: answers, talks, hangs up.
async fn work(mut phone: Phone, n: usize, talk: Duration, left: Arc<AtomicUsize>) -> Vec<f64> {
    let mut heard = Vec::new();
    while left.load(Ordering::Relaxed) > 0 {
        let rung = phone
            .answer(
                Duration::from_millis(100),
                Speech::tone(seat_hz(n)),
                Duration::from_secs(1),
            )
            .await;
        let Ok(Some(call)) = rung else { continue };
        tokio::time::sleep(talk + Duration::from_millis(100)).await;
        let samples = phone.hang_up(call).await.expect("BYE answered");
        let last = &samples[samples.len().saturating_sub(8000)..];
        let hz = (0..24)
            .map(caller_hz)
            .find(|hz| tone_share(last, *hz) > 0.8);
        heard.push(hz.unwrap_or_else(|| panic!("seat {n} heard no caller")));
        left.fetch_sub(1, Ordering::Relaxed);
    }
    heard
}

/// A track holds its party's tone for the whole talk.
fn check_track(samples: &[i16], hz: f64, talk: (i64, i64), who: &str) {
    let (first, last, _) = tone_span(samples, hz).unwrap_or_else(|| panic!("{who}: no tone"));
    let (first, last) = (i64::try_from(first).unwrap(), i64::try_from(last).unwrap());
    assert!(
        first <= talk.0 + 200 && last >= talk.1 - 200,
        "{who}: {hz} Hz from {first} to {last} ms, talk from {} to {} ms",
        talk.0,
        talk.1
    );
    let within = &samples[usize::try_from(talk.0.max(0)).unwrap() * 8..];
    let (_, _, without) = tone_span(within, hz).unwrap();
    assert!(
        without <= 10,
        "{who}: {without} frames of the talk without {hz} Hz"
    );
}

fn check_call(server: &Server, record: &Value, talk: Duration, voices: &[Voice]) -> (String, f64) {
    let raw = record["caller"]["number"]["raw"]
        .as_str()
        .expect("a number");
    let n: usize = raw
        .strip_prefix("139001")
        .and_then(|n| n.parse().ok())
        .expect("ours");
    assert_eq!(
        record["end"]["result"], "answered",
        "{raw}: {:#}",
        record["end"]
    );
    assert_eq!(
        record["acknowledgements"].as_array().map(Vec::len),
        Some(2),
        "{raw}"
    );
    let seats = record["seats"].as_array().expect("seats");
    let taker = seats
        .iter()
        .find(|seat| seat["result"] == "answered")
        .expect("a taker");
    let seat = taker["seat_id"].as_str().unwrap().to_owned();
    let hz_of_seat = f64::from(seat_hz(seat.parse::<usize>().unwrap() - 801));
    let start = millis(&record["recordings"][0]["start"]);
    let span = (
        millis(&record["times"]["answered"]) - start,
        millis(&record["times"]["ended"]) - start,
    );
    assert!(
        span.1 - span.0 >= i64::try_from(talk.as_millis()).unwrap() - 200,
        "{raw}: {span:?}"
    );
    let wav = recording(server, record);
    for (n_track, track) in record["recordings"][0]["tracks"]
        .as_array()
        .unwrap()
        .iter()
        .enumerate()
    {
        let party = track["party"].as_str().unwrap();
        if party == "caller" {
            check_track(
                &wav.channels[n_track],
                caller_hz(n),
                span,
                &format!("{raw} caller"),
            );
        } else if party == format!("seat-{seat}") {
            check_track(
                &wav.channels[n_track],
                hz_of_seat,
                span,
                &format!("{raw} {party}"),
            );
        }
    }
    assert!(wav.channels.len() >= 2);
    // What the caller heard: a prompt first, the seat at the end.
    let heard: Vec<i16> = voices[n]
        .heard
        .lock()
        .unwrap()
        .iter()
        .map(|byte| alaw_decode(*byte))
        .collect();
    let waited = usize::try_from(
        millis(&record["times"]["answered"]) - millis(&record["times"]["received"]),
    )
    .unwrap();
    let early = &heard[..heard.len().min(waited * 8)];
    if waited >= 1500 {
        assert!(
            rms(early) > 200.0,
            "{raw} waited {waited} ms and heard {:.0}",
            rms(early)
        );
    }
    let last = &heard[heard.len().saturating_sub(8800)..heard.len().saturating_sub(800)];
    assert!(
        tone_share(last, hz_of_seat) > 0.8,
        "{raw} heard its seat {:.2}",
        tone_share(last, hz_of_seat)
    );
    (seat, caller_hz(n))
}

/// The newest `limit` records, closed, sealed and acknowledged by both modules.
async fn records(server: &mut Server, count: usize) -> Vec<Value> {
    server
        .wait_for(
            "/api/v1/records?limit=500",
            "all records closed and sealed",
            |records| {
                let records = records.as_array()?;
                let done = records.iter().filter(|record| {
                    record["end"].is_object()
                        && record["recordings"][0]["sha256"].is_string()
                        && record["acknowledgements"].as_array().map_or(0, Vec::len) == 2
                });
                (done.count() == count).then(|| records.clone())
            },
        )
        .await
}

/// `firstring replay` prints the hash of the end, and finds one flipped byte with its place.
fn replays(server: &Server, said: &str) {
    let journal = server.centre.dir.join("journal");
    let replay = || {
        Command::new(env!("CARGO_BIN_EXE_firstring"))
            .arg("replay")
            .arg(&journal)
            .output()
            .unwrap()
    };
    let good = replay();
    let (out, hash) = (
        String::from_utf8_lossy(&good.stdout).into_owned(),
        said.trim().trim_start_matches("state ").to_owned(),
    );
    assert!(
        good.status.success() && !hash.is_empty() && out.contains(&hash),
        "{out} {said}"
    );
    let largest = std::fs::read_dir(&journal)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .max_by_key(|path| path.metadata().unwrap().len())
        .unwrap();
    let mut bytes = std::fs::read(&largest).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    let mut mode = std::fs::metadata(&largest).unwrap().permissions();
    #[expect(clippy::permissions_set_readonly_false, reason = "a file of this test")]
    mode.set_readonly(false);
    std::fs::set_permissions(&largest, mode).unwrap();
    std::fs::write(&largest, bytes).unwrap();
    let bad = replay();
    let complaint = String::from_utf8_lossy(&bad.stderr).into_owned();
    let name = largest.file_name().unwrap().to_string_lossy().into_owned();
    assert!(
        !bad.status.success() && complaint.contains(&name),
        "{complaint}"
    );
    println!(
        "a flipped byte at {middle} of {}: {}",
        name,
        complaint.trim()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_burst_is_answered_recorded_delivered_and_its_journal_replays() {
    let size = if super::long() { LONG } else { SHORT };
    let (dir, mut practice) = centre(size.seats);
    practice.trunks.push(carrier("ct", "127.0.0.1"));
    practice
        .lines
        .insert("timers", vec!["wrap_up_ms = 0".to_owned()]);
    let modules = [
        Module::join(&mut practice, "dispatch"),
        Module::join(&mut practice, "emr"),
    ];
    let work_dir = tempfile::tempdir().unwrap();
    let mut server = Server::start((dir, practice)).await;
    let left = Arc::new(AtomicUsize::new(size.calls));
    let mut seats = tokio::task::JoinSet::new();
    for n in 0..size.seats {
        let phone = scene::seat(&mut server, &format!("{}", 801 + n)).await;
        seats.spawn(work(phone, n, size.talk, Arc::clone(&left)));
    }
    let voices: Arc<Vec<Voice>> = Arc::new((0..size.calls).map(|_| voice()).collect());
    let stop = Arc::new(AtomicBool::new(false));
    let mouths = {
        let (voices, stop) = (Arc::clone(&voices), Arc::clone(&stop));
        std::thread::spawn(move || speak(&voices, &stop))
    };
    let (begun, address) = (Instant::now(), server.sip("udp"));
    let called = {
        let (voices, folder) = (Arc::clone(&voices), work_dir.path().to_owned());
        let size = if super::long() { LONG } else { SHORT };
        tokio::task::spawn_blocking(move || sipp(&size, address, &folder, &voices))
            .await
            .unwrap()
    };
    stop.store(true, Ordering::Relaxed);
    mouths.join().unwrap();
    if let Err(errors) = called {
        panic!("{errors}");
    }
    let took = begun.elapsed();
    let mut by_seat = 0;
    while let Some(heard) = seats.join_next().await {
        by_seat += heard.unwrap().len();
    }
    assert_eq!(by_seat, size.calls);
    let all = records(&mut server, size.calls).await;
    let mut taken: BTreeMap<String, usize> = BTreeMap::new();
    let mut longest = 0;
    for record in &all {
        let (seat, _) = check_call(&server, record, size.talk, &voices);
        *taken.entry(seat).or_default() += 1;
        longest = longest.max(record["metrics"]["wait_ms"].as_i64().unwrap_or(0));
    }
    let mut events = 0;
    for module in &modules {
        let delivered = module.closed(size.calls, Duration::from_secs(20)).await;
        in_order_once(&delivered);
        events += delivered.len();
    }
    for record in &all {
        let path = format!(
            "/api/v1/deliveries?limit=500&call={}",
            record["call_id"].as_str().unwrap()
        );
        server
            .wait_for(&path, "every event delivered", |rows| {
                let rows = rows.as_array()?;
                rows.iter()
                    .all(|row| row["state"] == "delivered")
                    .then_some(())
            })
            .await;
    }
    let said = server.terminate();
    replays(&server, &said);
    println!(
        "{} calls, {} at once, {} seats in {took:?}: longest wait {longest} ms, {events} events acknowledged, calls per seat {taken:?}",
        size.calls, size.at_once, size.seats
    );
}

fn voice() -> Voice {
    // An even port, as RTP wants; the odd one above is left alone.
    let socket = (0..100)
        .map(|_| UdpSocket::bind(scene::LOOPBACK).expect("a socket"))
        .find(|socket| socket.local_addr().unwrap().port() % 2 == 0)
        .expect("an even port");
    socket.set_nonblocking(true).expect("a mode");
    Voice {
        socket,
        heard: Mutex::default(),
    }
}
