//! `firstring simulate --what-if`, the program: the same question gives the same bytes, a journal's own calls are lived
//! through, and bad input is refused with what to do.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use firstring::call::{AnswerPolicy, Cause, LegCommand, LegEvent, Target};
use firstring::id::{CallId, LegId, QueueId, SeatId, TrunkId};
use firstring::sim::arrival;
use firstring::store::journal::{Entry, Journal, JournalOptions};
use firstring::switch::{
    CallBackRules, Centre, Effect, Input, InputKind, Policy, QueuePolicy, SeatLink, SeatPolicy,
    SeatRole, Switch, Timers, TrunkPolicy,
};
use firstring::time::{Millis, Timestamp};
use uuid::Uuid;

/// Exit code, stdout, stderr.
fn asked(more: &[&str]) -> (i32, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_firstring"))
        .args(["simulate", "--what-if"])
        .args(more)
        .output()
        .expect("the program runs");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    (
        output.status.code().expect("an exit code"),
        text(output.stdout),
        text(output.stderr),
    )
}

fn policy() -> Policy {
    let queue = QueueId::from("120");
    let trunk = TrunkPolicy {
        queue: None,
        answer: AnswerPolicy::AtOnce,
        area_code: String::from("0755"),
        outbound: None,
        shown_number: String::from("120"),
        circuits: None,
        circuits_kept: 0,
        peer: false,
    };
    let seat = SeatPolicy {
        role: SeatRole::Dispatcher,
        queues: Vec::new(),
        skills: Vec::new(),
        ready_on_register: true,
    };
    Policy {
        centre: Centre {
            id: String::from("c"),
            name: String::from("c"),
            area_code: String::from("0755"),
            division: String::from("440300"),
        },
        queue: queue.clone(),
        queues: [(queue, QueuePolicy::PLAIN)].into(),
        timers: Timers::default(),
        seats: [(SeatId::from("801"), seat)].into(),
        trunks: [(TrunkId::from("ct"), trunk)].into(),
        shared_numbers: Vec::new(),
        screening: Default::default(),
        call_backs: CallBackRules::default(),
        desks: Default::default(),
        menus: Default::default(),
        relief: std::sync::Arc::default(),
        groups: std::sync::Arc::default(),
        forms: Default::default(),
        language: String::from("zh-CN"),
        self_tests: firstring::switch::SelfTestRules::default(),
        allow_faults: false,
        recording: false,
    }
}

/// A centre of one seat, and what its journal holds.
struct Centre1 {
    switch: Switch,
    now: Timestamp,
    entries: Vec<Entry>,
    rung: Option<LegId>,
    /// Callers that wait or talk.
    legs: BTreeMap<u128, LegId>,
}

impl Centre1 {
    fn new() -> Self {
        let mut centre = Self {
            switch: Switch::new(1, policy()),
            now: Timestamp::from_micros(1_763_771_400_000_000),
            entries: Vec::new(),
            rung: None,
            legs: BTreeMap::new(),
        };
        centre.feed(InputKind::Started {
            seed: 1,
            build: String::from("test"),
            policy: Box::new(policy()),
        });
        let until = centre.now + Millis::from_secs(100_000);
        let contact = String::from("sip:801@phone.invalid");
        let (seat, link) = (SeatId::from("801"), SeatLink::Registered { contact, until });
        centre.feed(InputKind::Seat { seat, link });
        centre
    }

    fn feed(&mut self, kind: InputKind) {
        let input = Input { at: self.now, kind };
        self.switch.handle(&input);
        let events = self.switch.take_events();
        while let Some(effect) = self.switch.poll_effect() {
            if let Effect::Leg {
                leg,
                command: LegCommand::Invite(invite),
            } = effect
                && let Target::Seat { .. } = &invite.target
            {
                self.rung = Some(leg);
            }
        }
        self.entries.push(Entry { input, events });
    }

    fn pass(&mut self, span: Millis) {
        let until = self.now + span;
        while let Some((at, _)) = self.switch.poll_timeout().filter(|(at, _)| *at <= until) {
            self.now = self.now.max(at);
            self.feed(InputKind::Tick);
        }
        self.now = until;
    }

    fn calls(&mut self, n: u128) {
        let leg = LegId(Uuid::from_u128(n + (1 << 64)));
        self.legs.insert(n, leg);
        self.feed(InputKind::Arrived {
            arrival: Box::new(arrival(
                CallId(Uuid::from_u128(n)),
                leg,
                TrunkId::from("ct"),
                format!("138{n:08}"),
            )),
        });
    }

    fn picks_up(&mut self) {
        let leg = self.rung.take().expect("it rings");
        let event = LegEvent::Answered;
        self.feed(InputKind::Leg { leg, event });
    }

    fn hangs_up(&mut self, n: u128) {
        let leg = self.legs.remove(&n).expect("on the line");
        let event = LegEvent::Ended {
            cause: Cause::Normal,
            by_far_side: true,
        };
        self.feed(InputKind::Leg { leg, event });
    }

    /// Two callers a minute for the one seat: it is with the first for 30 s and 15 s more, the second gives up after 25 s.
    fn lives(&mut self, minutes: u128) {
        for minute in 0..minutes {
            let (first, second) = (2 * minute + 1, 2 * minute + 2);
            self.calls(first);
            self.pass(Millis::from_secs(3));
            self.picks_up();
            self.pass(Millis::from_secs(2));
            self.calls(second);
            self.pass(Millis::from_secs(25));
            self.hangs_up(second);
            self.pass(Millis::from_secs(3));
            self.hangs_up(first);
            self.pass(Millis::from_secs(27));
        }
    }

    fn write(self, dir: &Path) {
        let (journal, _) = Journal::open(dir, JournalOptions::new("test")).expect("a journal");
        journal.append(self.entries);
    }
}

#[test]
fn same_question_gives_the_same_table_and_a_picture_that_is_xml() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("seats.svg");
    let plot = file.to_str().unwrap();
    let one = [
        "--seed", "3", "--days", "1", "--calls", "300", "--seats", "2..4", "--lang", "en",
        "--plot", plot,
    ];
    let (code, table, errors) = asked(&one);
    assert_eq!((code, errors.as_str()), (0, ""), "{table}");
    let picture = std::fs::read(&file).unwrap();
    assert_eq!(asked(&one), (code, table.clone(), errors));
    assert_eq!(std::fs::read(&file).unwrap(), picture);
    for seats in ["|     2 |", "|     3 |", "|     4 |"] {
        assert!(table.contains(seats), "{table}");
    }
    assert!(table.contains("1 generated days of about 300 calls (seed 3)"));
    let (_, chinese, _) = asked(&["--days", "1", "--seats", "2", "--plot", plot]);
    assert!(chinese.contains("坐席占用"), "{chinese}");
    let chinese = std::fs::read(&file).unwrap();
    for picture in [picture, chinese] {
        let mut reader = quick_xml::Reader::from_reader(picture.as_slice());
        let mut texts = 0;
        loop {
            match reader.read_event().expect("XML") {
                quick_xml::events::Event::Start(tag) => {
                    texts += u32::from(tag.name().as_ref() == "text");
                }
                quick_xml::events::Event::Eof => break,
                _ => {}
            }
        }
        assert!(texts > 20, "{texts}");
    }
}

#[test]
fn journal_is_lived_through_with_other_seats() {
    let dir = tempfile::tempdir().unwrap();
    let mut centre = Centre1::new();
    centre.lives(40);
    centre.write(dir.path());
    let journal = dir.path().to_str().unwrap();
    let (code, table, errors) = asked(&["--journal", journal, "--seats", "1..2", "--lang", "en"]);
    assert_eq!(code, 0, "{errors}");
    assert!(
        table.contains("80 recorded calls, 40 of them unanswered"),
        "{table}"
    );
    let cells = |seats: &str| -> Vec<String> {
        let row = table
            .lines()
            .find(|line| line.starts_with(&format!("|     {seats} |")));
        let row = row.unwrap_or_else(|| panic!("{table}"));
        row.split('|').map(|cell| cell.trim().to_owned()).collect()
    };
    let (one, two) = (cells("1"), cells("2"));
    assert_eq!(one[3..5], ["50.0 %", "3.0 s"], "{table}");
    assert_eq!(two[3..6], ["100.0 %", "3.0 s", "3.0 s"], "{table}");
    assert_eq!((one[7].as_str(), two[7].as_str()), ("50.0 %", "0.0 %"));
    assert!(table.contains("95 % within 10 s: 2 seats (100.0 %); 1 seat gives 50.0 %."));
}

#[test]
fn bad_input_is_refused_with_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let empty = dir.path().to_str().unwrap();
    let (code, _, said) = asked(&["--journal", "/nowhere/journal"]);
    assert_eq!(code, 2, "{said}");
    assert!(said.contains("/nowhere/journal does not exist"), "{said}");
    let (code, _, said) = asked(&["--journal", empty]);
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("no journal segment here"), "{said}");
    Centre1::new().write(dir.path());
    let (code, _, said) = asked(&["--journal", empty]);
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("no call in it came to the queue"), "{said}");
    for (more, part) in [
        (["--seats", "0"], "nobody answers at 0 seats"),
        (["--seats", "9..3"], "write 3..9"),
        (["--calls", "0"], "1..=50000"),
        (["--plot", "/nowhere/x.svg"], "/nowhere/x.svg"),
    ] {
        let (code, _, said) = asked(&[&more[..], &["--days", "1"]].concat());
        assert!(code > 0 && said.contains(part), "{more:?} {code}: {said}");
    }
}
