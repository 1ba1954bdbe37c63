//! `firstring seat`: what the screen shows, what keys do, and the program itself against a running server.

use std::io::Write as _;
use std::num::NonZero;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use firstring::sim::centre::Centre;
use firstring::terminal::{ACTS, GroupCall, Key, Language, Me, Page, Picture, Wish};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::text::Span;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::peers_stage::{CALLER_HZ, SEAT_HZ, call, scene, seat, seat_is, talking};
use crate::support::rtp_peer::{RtpPeer, Voice};
use crate::support::server::Server;
use crate::support::sipp::{Logged, Place};

const SECOND: i64 = 1_000_000;
const NOW: i64 = 1_763_771_400 * SECOND;
const ROWS: NonZero<u16> = NonZero::new(30).unwrap();
const COLUMNS: NonZero<u16> = NonZero::new(100).unwrap();

fn ago(seconds: i64) -> i64 {
    NOW - seconds * SECOND
}

/// A busy moment of a centre.
fn moment() -> Value {
    let leg = |party: &str, state: &str| json!({"leg": party, "party": party, "state": state});
    json!({
        "at_now": NOW, "arrived": 12, "answered": 9, "abandoned": 1, "lost": 0,
        "trunks": [{"trunk": "ct", "up": true}, {"trunk": "cmcc", "up": false}],
        "alarms": [{"code": "callback.overdue", "subject": "call_backs", "detail": "1 caller should have been called back by now"}],
        "seats": [
            {"seat": "801", "state": "talking", "since": ago(75), "registered": true},
            {"seat": "802", "state": "not_ready", "reason": "就餐", "since": ago(900), "registered": true},
            {"seat": "803", "state": "signed_out", "since": ago(9000)},
            {"seat": "800", "state": "ready", "since": ago(4000), "supervisor": true, "registered": true},
        ],
        "calls": [
            {"call": "a", "state": "held", "direction": "inbound", "caller": "13800138000", "called": "120", "received_at": ago(80),
             "answered_at": ago(75), "seat": "801", "hold": {"since": ago(61), "by": "command", "reminded": true},
             "medical_advice": true, "major": [1, 4], "call_type": {"code": "1", "zh": "急救", "en": "emergency"},
             "legs": [leg("caller", "up"), leg("seat-801", "up"), leg("doctor-1", "ringing")]},
            {"call": "b", "state": "waiting", "direction": "inbound", "trunk": "ct", "caller": "0755-8888 8888", "called": "120",
             "received_at": ago(12), "position": 0, "wait_exceeded": true, "screen": {"repeated": true, "repeat_calls": 3},
             "legs": [leg("caller", "up")]},
            {"call": "c", "state": "waiting", "direction": "inbound", "trunk": "ct", "caller": "", "called": "120", "received_at": ago(2),
             "position": 1, "legs": [leg("caller", "up")]},
        ],
        "call_backs": [{"call_back": "x", "number": "13900139000", "reason": "abandoned", "due_at": ago(200), "calls": 2,
            "state": "open", "overdue": true}],
    })
}

fn page_of(role: &str, seat: &str, language: Language) -> Page {
    let me = Me {
        role: role.to_owned(),
        seat: Some(seat.to_owned()),
    };
    let mut page = Page::new(me, None, language);
    let picture: Picture = serde_json::from_value(moment()).expect("a picture");
    page.see(picture, NOW);
    page
}

fn screen(page: &Page, width: u16, height: u16) -> String {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("a screen");
    terminal
        .draw(|frame| page.draw(frame, NOW + 300_000))
        .expect("drawn");
    let buffer = terminal.backend().buffer();
    let line = |y: u16| {
        let (mut text, mut x) = (String::new(), 0);
        while x < width {
            let symbol = buffer[(x, y)].symbol();
            text += symbol;
            // A wide sign stands in the place after it too.
            x += u16::try_from(Span::raw(symbol).width().max(1)).expect("narrow");
        }
        text.trim_end().to_owned() + "\n"
    };
    (0..height).map(line).collect()
}

fn keys(page: &mut Page, keys: &str) -> Wish {
    let mut last = Wish::Nothing;
    for key in keys.chars() {
        let key = match key {
            '⏎' => Key::Enter,
            '⎋' => Key::Esc,
            '⌫' => Key::Backspace,
            '↓' => Key::Down,
            '↑' => Key::Up,
            key => Key::Char(key),
        };
        last = page.on_key(key, NOW);
    }
    last
}

/// Method, path and body of what the keys asked for.
fn asked(page: &mut Page, typed: &str) -> (String, Value) {
    match keys(page, typed) {
        Wish::Ask(request) => (
            format!("{} {}", request.method, request.path),
            request.body.unwrap_or_default(),
        ),
        other => panic!("{typed} gave {other:?}"),
    }
}

#[test]
fn the_screen_shows_seat_call_queue_and_alarms_with_running_timers() {
    let page = page_of("seat", "801", Language::Zh);
    insta::assert_snapshot!("terminal_zh", screen(&page, 100, 28));
    let page = page_of("supervisor", "800", Language::En);
    insta::assert_snapshot!("terminal_en_wide", screen(&page, 140, 24));
}

#[test]
fn a_question_and_the_help_stand_in_the_middle() {
    let mut page = page_of("seat", "801", Language::Zh);
    keys(&mut page, "t110");
    insta::assert_snapshot!("terminal_question", screen(&page, 80, 16));
    keys(&mut page, "⎋?");
    insta::assert_snapshot!("terminal_help", screen(&page, 80, 30));
}

#[test]
fn text_for_scripts_has_the_same_rows() {
    let page = page_of("seat", "801", Language::En);
    insta::assert_snapshot!("terminal_once", page.text(NOW));
}

#[test]
fn a_screen_too_small_for_anything_is_drawn_all_the_same() {
    let mut page = page_of("seat", "801", Language::Zh);
    for (width, height) in [(1, 1), (3, 2), (20, 3), (0, 0)] {
        screen(&page, width, height);
        keys(&mut page, "?");
        screen(&page, width, height);
        keys(&mut page, "⎋t");
        screen(&page, width, height);
        keys(&mut page, "⎋");
    }
}

#[test]
fn a_number_with_control_characters_writes_nothing_of_its_own_on_the_screen() {
    let mut evil = moment();
    evil["calls"][1]["caller"] = json!("1\u{1b}[2J\u{7}38\n00");
    let mut page = page_of("seat", "801", Language::En);
    page.see(serde_json::from_value(evil).expect("a picture"), NOW);
    let text = page.text(NOW);
    assert!(text.contains("1[2J3800"), "{text}");
    assert!(!screen(&page, 100, 28).contains('\u{1b}'));
}

#[test]
fn keys_of_a_seat_become_requests_of_the_api() {
    let page = || page_of("seat", "801", Language::Zh);
    for (typed, request, body) in [
        ("r", "POST /seats/801/ready", Value::Null),
        ("n⏎", "POST /seats/801/not_ready", json!({"reason": "离席"})),
        (
            "n⌫⌫培训⏎",
            "POST /seats/801/not_ready",
            json!({"reason": "培训"}),
        ),
        ("o⏎", "POST /seats/801/sign_out", Value::Null),
        (
            "0desk-1⏎",
            "POST /seats/801/sign_in",
            json!({"phone": "desk-1"}),
        ),
        ("b", "POST /calls/a/resume", Value::Null),
        ("s", "POST /calls/a/shelve", Value::Null),
        (
            "t110⏎⌫⌫⌫⌫⌫⌫110⏎",
            "POST /calls/a/parties",
            json!({"number": "110", "role": "110"}),
        ),
        ("x", "DELETE /calls/a/parties/doctor-1", Value::Null),
        ("↓j⏎", "POST /calls/a/join", json!({"with": "b"})),
        (
            "z802⏎⏎",
            "POST /calls/a/transfer",
            json!({"seat": "802", "kind": "blind"}),
        ),
        (
            "w139⏎⌫2⏎",
            "POST /calls/a/transfer",
            json!({"number": "139", "kind": "attended"}),
        ),
        ("a", "POST /calls/a/assist", Value::Null),
        ("i", "PUT /calls/a/advice", json!({"on": false})),
        (
            "f张三⏎胸痛⏎⏎⏎⏎",
            "PATCH /calls/a/form",
            json!({"chief_complaint": "胸痛", "patient_name": "张三"}),
        ),
        ("p1⏎", "PUT /calls/a/type", json!({"code": "1"})),
        ("e话⏎", "POST /calls/a/notes", json!({"text": "话"})),
        (
            "m无声⏎",
            "POST /marks",
            json!({"call": "a", "reason": "无声"}),
        ),
        ("h⏎", "POST /calls/a/hang_up", Value::Null),
        (
            "+volunteers⏎⏎",
            "POST /group_calls",
            json!({"group": "volunteers", "first_wins": false, "call": "a"}),
        ),
        (
            "+13900139001，+8613900139002⏎⌫2⏎",
            "POST /group_calls",
            json!({"numbers": ["13900139001", "+8613900139002"], "first_wins": true, "call": "a"}),
        ),
        ("c", "POST /call_backs/x/dial", json!({"seat": "801"})),
        (
            "k已到院⏎",
            "POST /call_backs/x/close",
            json!({"outcome": "已到院"}),
        ),
    ] {
        assert_eq!(
            asked(&mut page(), typed),
            (request.to_owned(), body),
            "{typed}"
        );
    }
}

#[test]
fn keys_of_a_supervisor_act_on_the_call_that_he_chose() {
    let page = || page_of("supervisor", "800", Language::En);
    let listen = |mode: &str| json!({"seat": "800", "mode": mode});
    // Two wait, one talks.
    for (typed, request, body) in [
        ("↓↓↓1", "POST /calls/a/listen", listen("listen")),
        ("↓↓↓2", "POST /calls/a/listen", listen("whisper")),
        ("↓↓↓3", "POST /calls/a/listen", listen("barge")),
        ("↓↓↓4⏎", "POST /calls/a/listen", listen("take_over")),
        (
            "↓7803⏎",
            "POST /calls/b/reassign",
            json!({"to": {"seat": "803"}}),
        ),
        ("↓↓8⏎", "POST /calls/c/priority", json!({"ahead_s": 60})),
        ("9", "POST /seats/800/listen_queue", json!({})),
    ] {
        assert_eq!(
            asked(&mut page(), typed),
            (request.to_owned(), body),
            "{typed}"
        );
    }
}

/// Seat 802's goes on, seat 801's too, and one ended five minutes ago, another yesterday.
fn group_calls() -> Vec<GroupCall> {
    let target = |number: &str, state: &str, result: Option<&str>| json!({"number": number, "state": state, "result": result, "attempts": 1});
    let ended = |id: &str, at: i64| {
        json!({"group_call": id, "by": "admin", "started_at": at - SECOND, "ended_at": at, "ended_why": "complete",
            "targets": [target("13900139009", "done", Some("no_key"))]})
    };
    let many: Vec<_> = (0..25)
        .map(|n| target(&format!("139001390{n:02}"), "waiting", None))
        .collect();
    let all = json!([
        {"group_call": "g2", "by": "seat 802", "group": "stations", "started_at": ago(3), "targets": many},
        {"group_call": "g1", "by": "seat 801", "group": null, "first_wins": true, "started_at": ago(20), "targets": [
            target("13900139001", "done", Some("acknowledged")), target("13900139002", "done", Some("busy")),
            target("13900139003", "listening", None),
        ]},
        ended("g0", ago(300)),
        ended("g-1", ago(80_000)),
    ]);
    serde_json::from_value(all).expect("group calls")
}

#[test]
fn group_calls_are_shown_with_each_number_and_stopped_by_who_started_them() {
    let mut page = page_of("seat", "801", Language::En);
    assert_eq!(keys(&mut page, "-⏎"), Wish::Nothing, "there is none");
    page.see_groups(7, group_calls());
    let text = page.text(NOW);
    for row in [
        "Group calls 3",
        "3.0 s  stations  acknowledged 0/25  seat 802",
        "20.0 s  3 numbers  acknowledged 1/3  failed 1  first one wins  seat 801",
        "13900139002  busy",
        "13900139003  listening",
        "13900139019  waiting\n    +5\n",
        "13900139009  no key",
    ] {
        assert!(text.contains(row), "{row} is not in\n{text}");
    }
    let stops = |id: &str| (format!("POST /group_calls/{id}/cancel"), Value::Null);
    assert_eq!(asked(&mut page, "-⏎"), stops("g1"));
    let mut page = page_of("supervisor", "800", Language::En);
    page.see_groups(7, group_calls());
    assert_eq!(asked(&mut page, "-⏎"), stops("g2"), "the newest");
}

#[test]
fn what_cannot_be_done_now_is_said_and_asked_of_nobody() {
    let mut page = page_of("seat", "801", Language::En);
    for typed in ["d", "1", "7", "g", "5", "v"] {
        assert_eq!(keys(&mut page, typed), Wish::Nothing, "{typed}");
        assert!(
            screen(&page, 100, 28).contains("nothing that this can be done to"),
            "{typed}"
        );
    }
    assert_eq!(
        keys(&mut page, "t⏎⏎⏎"),
        Wish::Nothing,
        "a number is missing"
    );
    assert_eq!(
        keys(&mut page, "⎋h⎋"),
        Wish::Nothing,
        "nobody is hung up on by a reflex"
    );
    assert_eq!(keys(&mut page, "q"), Wish::Quit);
}

#[test]
fn a_question_goes_away_with_the_call_that_it_is_about() {
    let mut page = page_of("seat", "801", Language::En);
    keys(&mut page, "h");
    let mut later = moment();
    later["calls"].as_array_mut().expect("calls").remove(0);
    page.see(serde_json::from_value(later).expect("a picture"), NOW);
    assert!(screen(&page, 100, 28).contains("the call has ended"));
    assert_eq!(keys(&mut page, "⏎"), Wish::Nothing);
}

#[test]
fn a_page_that_lost_its_server_says_so() {
    let mut page = page_of("seat", "801", Language::En);
    page.lose();
    assert!(screen(&page, 120, 28).contains("disconnected"));
}

#[test]
fn each_key_is_its_own_and_has_a_row_in_the_guide() {
    let guide = std::fs::read_to_string("docs/terminal.md").expect("the guide");
    for (n, act) in ACTS.iter().enumerate() {
        let mut later = ACTS.iter().skip(n + 1);
        assert!(later.all(|other| other.key != act.key), "{}", act.key);
        assert!(!['q', 'l', '?'].contains(&act.key), "{}", act.key);
        let row = format!(
            "| {} | {} {} |",
            act.key.to_ascii_uppercase(),
            act.name.0,
            act.name.1
        );
        assert!(guide.contains(&row), "docs/terminal.md has no {row}");
    }
}

/// A server with one seat, whose token is `TOKEN`.
const TOKEN: &str = "a-token-of-seat-801-for-tests-only-0123456789";

async fn started(carrier: &Place) -> Server {
    started_from(scene(1, carrier)).await
}

async fn started_from(mut centre: (tempfile::TempDir, Centre)) -> Server {
    let hash: [u8; 32] = Sha256::digest(TOKEN.as_bytes()).into();
    let hash: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    centre.1.more += &format!(
        "\n[api.tokens.console-801]\nrole = \"seat\"\nseat = \"801\"\nsha256 = \"{hash}\"\n"
    );
    Server::start(centre).await
}

fn seat_page(server: &Server) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_firstring"));
    let url = format!("http://{}", server.addresses.api);
    command.args(["seat", "--lang", "en", "--url", &url]);
    command
        .env("FIRSTRING_TOKEN", TOKEN)
        .env_remove("FIRSTRING_TOKEN_FILE");
    command
}

#[tokio::test(flavor = "multi_thread")]
async fn once_prints_what_a_running_server_shows() {
    let carrier = Place::new();
    let mut server = started(&carrier).await;
    let phone = seat(&mut server, "801", SEAT_HZ).await;
    let voice = RtpPeer::start(Voice::tone(CALLER_HZ));
    let mut caller = call(carrier.scenario("caller"), server.sip("udp"), &voice).await;
    let mut phone = phone;
    phone.rings(1).await;
    phone.accept().await;
    talking(&mut server, "801").await;
    let printed = seat_page(&server).arg("--once").output().expect("it runs");
    let text = String::from_utf8_lossy(&printed.stdout);
    assert!(printed.status.success(), "{printed:?}");
    for part in [
        "seat 801",
        "Own seat",
        "13800138000",
        "talking",
        "Calls 1",
        "Waiting 0",
    ] {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
    caller.go_on();
    caller.finished().await;
    let refused = seat_page(&server)
        .arg("--once")
        .env("FIRSTRING_TOKEN", "a-token-that-nobody-gave-out-0123456789")
        .output()
        .expect("it runs");
    assert_eq!(refused.status.code(), Some(1));
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(
        said.contains("unauthenticated") || said.contains("token"),
        "{said}"
    );
    let without = seat_page(&server).output().expect("it runs");
    assert_eq!(without.status.code(), Some(1), "no terminal here");
    assert!(String::from_utf8_lossy(&without.stderr).contains("--once"));
}

/// The program on a terminal of its own (`script`), which writes all that it shows to a file.
struct Typed {
    child: Child,
    shown: tempfile::NamedTempFile,
}

impl Typed {
    fn start(server: &Server) -> Self {
        let shown = tempfile::NamedTempFile::new().expect("a file");
        let program = env!("CARGO_BIN_EXE_firstring");
        let line = format!(
            "stty rows {ROWS} cols {COLUMNS}; exec {program} seat --lang en --url http://{}",
            server.addresses.api
        );
        let child = Command::new("script")
            .args(["-q", "-f", "-e", "-c", &line])
            .arg(shown.path())
            .env("FIRSTRING_TOKEN", TOKEN)
            .env("TERM", "xterm")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap_or_else(|e| {
                panic!("script does not start ({e}): install the package bsdutils")
            });
        Self { child, shown }
    }

    fn types(&mut self, keys: &str) {
        let stdin = self.child.stdin.as_mut().expect("its keyboard");
        stdin.write_all(keys.as_bytes()).expect("typed");
        stdin.flush().expect("typed");
    }

    async fn shows(&self, what: &str) {
        let deadline = Instant::now() + Duration::from_secs(15);
        loop {
            // Only what changes is written, so the bytes alone say little.
            let mut terminal = vt100::Parser::new(ROWS, COLUMNS, 0);
            terminal.process(&std::fs::read(self.shown.path()).unwrap_or_default());
            let screen = terminal.screen().contents();
            if screen.contains(what) {
                return;
            }
            assert!(Instant::now() < deadline, "{what} is not on\n{screen}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

impl Drop for Typed {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_at_a_terminal_sees_the_seat_live_and_commands_it_by_keys() {
    let carrier = Place::new();
    let mut server = started(&carrier).await;
    let _phone = seat(&mut server, "801", SEAT_HZ).await;
    let mut page = Typed::start(&server);
    page.shows("Own seat").await;
    page.types("n");
    page.shows("Reason").await;
    page.types("\r");
    seat_is(&mut server, "801", "away", |seat| {
        seat["state"] == "not_ready"
    })
    .await;
    page.types("r");
    seat_is(&mut server, "801", "ready", |seat| seat["state"] == "ready").await;
    page.shows("done").await;
    page.types("q");
    let deadline = Instant::now() + Duration::from_secs(10);
    let ended = loop {
        if let Some(status) = page.child.try_wait().expect("its state") {
            break status;
        }
        assert!(Instant::now() < deadline, "Q ends it");
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert!(ended.success(), "{ended:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_call_is_started_seen_and_stopped_at_a_terminal() {
    let (carrier, other) = (Place::new(), Place::new());
    let mut centre = scene(1, &carrier);
    centre.1.trunks.push(other.outbound_trunk("other", 1));
    let server = started_from(centre).await;
    let person = RtpPeer::start(Voice::tone(CALLER_HZ));
    let mut callees = other
        .scenario("callee_group")
        .voice(&person)
        .wait_for_calls();
    let mut page = Typed::start(&server);
    page.shows("Own seat").await;
    page.types("+");
    page.shows("Group or numbers").await;
    page.types("13900139001 13900139002 13900139003\r\r");
    page.shows("3 numbers").await;
    page.shows("13900139001  listening").await;
    page.shows("13900139002  busy").await;
    page.shows("13900139003  ringing").await;
    let answered = |m: &Logged| {
        let line = m.text.lines().next().unwrap_or_default();
        m.received && line.starts_with("INVITE") && line.contains("13900139001")
    };
    let invite = callees.message("its INVITE", answered).await;
    person.talk_to(invite.media().expect("an SDP"));
    person.press('1', 120);
    page.shows("13900139001  acknowledged").await;
    page.types("-\r");
    page.shows("13900139003  stopped").await;
    page.shows("acknowledged 1/3  failed 2").await;
    callees
        .message("CANCEL", |m| m.received && m.starts("CANCEL"))
        .await;
}
