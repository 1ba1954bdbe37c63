//! A command given in one of three ways: by the API, by the buttons of the page, by the star codes of a real phone; and the
//! guide that says which ways there are.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::peers_stage::{event, seat, seat_is, talking};
use crate::support::baresip::Baresip;
use crate::support::chromium::Chromium;
use crate::support::rtp_peer::{RtpPeer, Voice};
use crate::support::server::{Server, centre};
use crate::support::sipp::{Place, Sipp};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    Api,
    Page,
    Star,
}

/// What a person does on a page.
pub enum Press {
    /// The element of that selector.
    On(String),
    /// Into that field of the question that is open.
    Write(&'static str, String),
    /// The question's own button, and it goes away.
    Yes,
    /// Nothing, until this is true there (JavaScript).
    Wait(String),
}

/// What a person keys.
pub enum Code {
    /// In a call.
    Keys(String),
    /// As a number.
    Dialled(String),
}

/// One command and how it is given each way. A way that the guide does not name is not used.
pub struct Order {
    /// As the guide writes it.
    pub command: &'static str,
    /// As `command.given` names it.
    pub said: &'static str,
    /// The seat whose person gives it.
    pub by: &'static str,
    pub api: (Method, String, Value),
    pub page: Vec<Press>,
    pub star: Option<Code>,
}

/// The tables of docs/seat.md: each row's commands, and whether it has a button and a code.
struct Row {
    commands: Vec<String>,
    button: bool,
    code: bool,
}

fn guide() -> Vec<Row> {
    let text = std::fs::read_to_string("docs/seat.md").expect("the guide");
    let rows = text.lines().filter_map(|line| {
        let cells: Vec<&str> = line.strip_prefix("| ")?.split(" | ").collect();
        let [_, commands, api, page, star] = cells.as_slice() else {
            return None;
        };
        let names = commands.split('`').skip(1).step_by(2);
        let is_row = api.contains("/api/v1/");
        is_row.then(|| Row {
            commands: names.map(str::to_owned).collect(),
            button: *page != "–",
            code: !star.starts_with('–'),
        })
    });
    rows.collect()
}

/// A caller whose sound is our own.
pub struct Caller {
    pub sipp: Sipp,
    pub voice: RtpPeer,
    pub call: String,
}

/// The centre: seats 801 and 802 and a supervisor 800 with real phones, carriers, subscribers, and a page each for who has one.
pub struct Stage {
    pub way: Way,
    pub server: Server,
    carriers: Vec<Place>,
    pages: BTreeMap<&'static str, Chromium>,
    phones: BTreeMap<&'static str, Baresip>,
    /// How often each phone was answered.
    answered: BTreeMap<&'static str, usize>,
    /// How many have called.
    callers: usize,
    /// How often each phone dialled.
    dialled: BTreeMap<&'static str, usize>,
    /// Commands that were given the stage's own way.
    done: BTreeSet<&'static str>,
    /// Of the feed of events: everything before was looked at.
    cursor: i64,
    pub subscriber: RtpPeer,
    callee: Sipp,
}

pub const PEOPLE: [(&str, &str, f64); 3] = [
    ("800", "supervisor", 2500.0),
    ("801", "seat", 1100.0),
    ("802", "seat", 1400.0),
];
pub const SUBSCRIBER_HZ: f64 = 1730.0;
/// Callers at most.
const CALLERS: usize = 8;

fn token(seat: &str) -> String {
    format!("a-token-of-the-person-at-{seat}-0123456789")
}

impl Stage {
    pub async fn begin(way: Way) -> Self {
        let (dir, mut practice) = centre(2);
        let carriers: Vec<Place> = (0..CALLERS).map(|_| Place::new()).collect();
        for (n, carrier) in carriers.iter().enumerate() {
            practice.trunks.push(carrier.trunk(&format!("carrier-{n}")));
        }
        let outside = Place::new();
        let mut outbound = outside.outbound_trunk("outside", 1);
        outbound
            .lines
            .push("self_test = \"0755-88886666\"".to_owned());
        practice.trunks.push(outbound);
        // Nothing happens by itself while people press their buttons.
        let timers = [
            "wrap_up_ms = 300000",
            "wait_alert_ms = 60000",
            "ring_ms = 15000",
            "shelf_idle_ms = 60000",
        ];
        practice
            .lines
            .insert("timers", timers.map(str::to_owned).to_vec());
        for (id, role, _) in PEOPLE {
            let hash = Sha256::digest(token(id).as_bytes());
            let hash: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
            practice.more += &format!(
                "\n[api.tokens.page-{id}]\nrole = \"{role}\"\nseat = \"{id}\"\nsha256 = \"{hash}\"\n"
            );
        }
        let mut server = Server::start((dir, practice)).await;
        let subscriber = RtpPeer::start(Voice::tone(SUBSCRIBER_HZ));
        let callee = outside
            .scenario("callee")
            .voice(&subscriber)
            .wait_for_calls();
        let mut phones = BTreeMap::new();
        for (id, _, hz) in PEOPLE {
            phones.insert(id, seat(&mut server, id, hz).await);
        }
        let mut stage = Self {
            way,
            server,
            carriers,
            pages: BTreeMap::new(),
            phones,
            answered: BTreeMap::new(),
            dialled: BTreeMap::new(),
            callers: 0,
            done: BTreeSet::new(),
            cursor: 0,
            subscriber,
            callee,
        };
        if way == Way::Page {
            for id in ["800", "801"] {
                let page = stage.page(id).await;
                stage.pages.insert(id, page);
            }
        }
        stage
    }

    /// The page of that person, signed in with the token.
    async fn page(&self, id: &str) -> Chromium {
        let mut page = Chromium::start("zh-CN,zh").await;
        page.size(1280, 1000).await;
        page.open(&format!("http://{}/", self.server.addresses.api))
            .await;
        page.until("document.querySelector('#ask[open] [name=token]')")
            .await;
        page.write(&token(id)).await;
        page.press("#ask-yes").await;
        page.until("document.querySelector('#seats .seat')").await;
        page
    }

    pub fn phone(&mut self, id: &str) -> &mut Baresip {
        self.phones.get_mut(id).expect("a phone")
    }

    /// The phone rings and is picked up.
    pub async fn picks_up(&mut self, id: &'static str) {
        let times = self.answered.entry(id).or_default();
        *times += 1;
        let times = *times;
        let phone = self.phone(id);
        phone.rings(times).await;
        phone.accept().await;
    }

    /// The subscriber who was rung last is talked to.
    pub async fn subscriber_talks(&mut self) {
        let media = self.callee.media().await;
        self.subscriber.talk_to(media);
    }

    /// Somebody calls 120, and waits or rings.
    pub async fn calls(&mut self, hz: f64) -> Caller {
        self.callers += 1;
        let n = self.callers;
        let number = format!("1380013800{n}");
        let carrier = &self.carriers[n];
        let voice = RtpPeer::start(Voice::tone(hz));
        let scenario = carrier.scenario("caller").key("caller", &number);
        let sipp = crate::peers_stage::call(scenario, self.server.sip("udp"), &voice).await;
        let call = self
            .server
            .open_call("his call", |call| call["caller"] == number.as_str())
            .await;
        let call = call["call"].as_str().expect("an id").to_owned();
        Caller { sipp, voice, call }
    }

    /// Somebody calls 120 and talks to that seat.
    pub async fn talks(&mut self, id: &'static str, hz: f64) -> Caller {
        self.ready(id).await;
        let caller = self.calls(hz).await;
        self.picks_up(id).await;
        assert_eq!(talking(&mut self.server, id).await, caller.call);
        caller
    }

    /// The seat is ready, by nobody's doing that counts.
    pub async fn ready(&mut self, id: &str) {
        let path = format!("/api/v1/seats/{id}/ready");
        let (status, told) = self.server.post(&path, json!({})).await;
        assert!(status == 200, "{told}");
        seat_is(&mut self.server, id, "ready", |seat| {
            seat["state"] == "ready"
        })
        .await;
    }

    /// The seat is offered nothing.
    pub async fn away(&mut self, id: &str) {
        let path = format!("/api/v1/seats/{id}/not_ready");
        let (status, told) = self.server.post(&path, json!({ "reason": "离席" })).await;
        assert!(status == 200, "{told}");
    }

    /// Whether the guide has this way for the command.
    fn is_named(&self, command: &str) -> bool {
        let row = guide()
            .into_iter()
            .find(|row| row.commands.iter().any(|c| c == command));
        let row = row.unwrap_or_else(|| panic!("{command} is not in the guide"));
        match self.way {
            Way::Api => true,
            Way::Page => row.button,
            Way::Star => row.code,
        }
    }

    /// Give it, and wait until the journal says that this person gave it.
    pub async fn give(&mut self, order: Order) -> Value {
        let own = self.is_named(order.command)
            && match self.way {
                Way::Api => true,
                Way::Page => !order.page.is_empty(),
                Way::Star => order.star.is_some(),
            };
        let (command, said, by) = (order.command, order.said, order.by);
        let reply = match (own, self.way) {
            (false, _) | (_, Way::Api) => self.ask(by, &order.api).await,
            (true, Way::Page) => {
                self.press(by, order.page).await;
                Value::Null
            }
            (true, Way::Star) => {
                self.key(by, order.star.expect("a code")).await;
                Value::Null
            }
        };
        self.told(said, by).await;
        if own {
            self.done.insert(command);
        }
        reply
    }

    async fn ask(&self, by: &str, (method, path, body): &(Method, String, Value)) -> Value {
        let url = format!("http://{}/api/v1{path}", self.server.addresses.api);
        let request = self.server.client().request(method.clone(), url);
        let request = request.bearer_auth(token(by));
        let request = if body.is_null() {
            request
        } else {
            request.json(body)
        };
        let answer = request.send().await.expect("the API answers");
        let (status, text) = (answer.status(), answer.text().await.unwrap_or_default());
        assert!(status.is_success(), "{method} {path}: {status} {text}");
        serde_json::from_str(&text).unwrap_or_default()
    }

    async fn press(&mut self, by: &str, presses: Vec<Press>) {
        let page = self.pages.get_mut(by).expect("a page");
        for press in presses {
            match press {
                Press::On(selector) => page.press(&selector).await,
                Press::Write(field, text) => {
                    page.until(&format!(
                        "document.querySelector('#ask[open] [name={field}]')"
                    ))
                    .await;
                    page.look(&format!(
                        "document.querySelector('#ask [name={field}]').value = {}; 0",
                        json!(text)
                    ))
                    .await;
                }
                Press::Wait(there) => {
                    page.until(&there).await;
                }
                Press::Yes => {
                    page.press("#ask-yes").await;
                    page.until("!document.querySelector('#ask[open]')").await;
                }
            }
        }
    }

    async fn key(&mut self, by: &'static str, code: Code) {
        let server = self.server.sip("udp");
        let answered = self.answered.get(by).copied().unwrap_or_default();
        let dialled = self.dialled.entry(by).or_default();
        let before = answered + *dialled;
        *dialled += usize::from(matches!(code, Code::Dialled(_)));
        let phone = self.phone(by);
        match code {
            Code::Dialled(number) => {
                // It was told of the last code to the end.
                phone.event("CALL_CLOSED", before).await;
                phone.dial(&number, server);
            }
            Code::Keys(keys) => {
                for key in keys.chars() {
                    phone.press(key);
                    tokio::time::sleep(Duration::from_millis(450)).await; // a person's pace
                }
            }
        }
    }

    /// The journal has a command of that name by that person, after all that were seen before.
    async fn told(&mut self, said: &str, by: &str) {
        let path = format!("/api/v1/events?after={}&limit=1000", self.cursor);
        let what = format!("{said} by {by}, after {}", self.cursor);
        let found = self
            .server
            .wait_for(&path, &what, |feed| {
                let row = feed.as_array()?.iter().find(|row| {
                    let event = &row["event"];
                    event["type"] == "command.given"
                        && event["data"]["name"] == said
                        && event["data"]["by"].to_string().contains(by)
                })?;
                row["cursor"].as_i64()
            })
            .await;
        self.cursor = found;
    }

    /// Wait for an event.
    pub async fn event(&mut self, kind: &str) -> Value {
        event(&mut self.server, kind, |_| true).await
    }

    /// Every command of the guide was given this way, if the guide names the way.
    pub fn all_were_given(&self) {
        let given = |command: &String| self.done.contains(command.as_str());
        for row in guide() {
            let missing: Vec<_> = row.commands.iter().filter(|c| !given(c)).collect();
            let good = match self.way {
                Way::Api => missing.is_empty(),
                Way::Page => !row.button || missing.is_empty(),
                Way::Star => !row.code || missing.len() < row.commands.len(),
            };
            assert!(good, "{:?}: the guide promises {missing:?}", self.way);
        }
    }
}
