//! One seat with several screens (一机多屏): each shows the same, each commands the same call, and one that goes harms none.

use std::sync::{Arc, Mutex};

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::peers_stage::{Talk, scene, talk, until};
use crate::support::server::Server;
use crate::support::sipp::Place;

/// The token that all screens of seat 801 have.
const TOKEN: &str = "a-token-of-all-screens-of-seat-801-0123456789";

/// A live page, as far as it was told.
struct Screen {
    view: Arc<Mutex<Value>>,
    http: reqwest::Client,
    api: String,
    reads: tokio::task::JoinHandle<()>,
}

impl Drop for Screen {
    fn drop(&mut self) {
        self.reads.abort();
    }
}

impl Screen {
    async fn open(server: &Server) -> Self {
        let http = server.client();
        let api = format!("http://{}/api/v1", server.addresses.api);
        let mut live = http
            .get(format!("{api}/live"))
            .bearer_auth(TOKEN)
            .send()
            .await
            .expect("the live view");
        assert_eq!(live.status(), 200);
        let view = Arc::new(Mutex::new(Value::Null));
        let seen = Arc::clone(&view);
        let reads = tokio::spawn(async move {
            let mut text = Vec::new();
            while let Ok(Some(bytes)) = live.chunk().await {
                text.extend_from_slice(&bytes);
                while let Some(end) = text.windows(2).position(|two| two == b"\n\n") {
                    let event: Vec<u8> = text.drain(..end + 2).collect();
                    if let Some(json) = event.strip_prefix(b"data:") {
                        *seen.lock().unwrap() = serde_json::from_slice(json).expect("a view");
                    }
                }
            }
        });
        Self {
            view,
            http,
            api,
            reads,
        }
    }

    fn shows(&self, path: &str) -> Value {
        let view = self.view.lock().unwrap();
        view.pointer(path).cloned().unwrap_or_default()
    }

    async fn presses(&self, path: &str) -> (u16, Value) {
        let request = self.http.post(format!("{}{path}", self.api));
        let answer = request.bearer_auth(TOKEN).send().await.expect("an answer");
        let status = answer.status().as_u16();
        (status, answer.json().await.unwrap_or_default())
    }
}

/// All show the same there, and it is what is wanted.
async fn all_show(screens: &[&Screen], path: &str, what: &str, good: impl Fn(&Value) -> bool) {
    until(what, || {
        let first = screens.first().map(|screen| screen.shows(path));
        first.is_some_and(|first| {
            good(&first) && screens.iter().all(|screen| screen.shows(path) == first)
        })
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn three_screens_of_one_seat_show_the_same_and_command_the_same_call() {
    let carrier = Place::new();
    let mut centre = scene(1, &carrier);
    let hash: [u8; 32] = Sha256::digest(TOKEN.as_bytes()).into();
    let hash: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    centre.1.more += &format!(
        "\n[api.tokens.screens-801]\nrole = \"seat\"\nseat = \"801\"\nsha256 = \"{hash}\"\n"
    );
    let talk: Talk = talk(centre, &carrier).await;
    let one = Screen::open(&talk.server).await;
    let two = Screen::open(&talk.server).await;
    let three = Screen::open(&talk.server).await;
    all_show(&[&one, &two, &three], "/calls", "the talk", |calls| {
        calls[0]["call"] == *talk.call && calls[0]["state"] == "talking"
    })
    .await;

    let (hold, resume) = (
        format!("/calls/{}/hold", talk.call),
        format!("/calls/{}/resume", talk.call),
    );
    assert_eq!(one.presses(&hold).await.0, 200);
    all_show(&[&one, &two, &three], "/calls/0/hold", "the hold", |hold| {
        hold["since"].is_i64()
    })
    .await;
    // Two at once: one order, and the second is told what happened.
    let (first, second) = tokio::join!(two.presses(&resume), three.presses(&resume));
    let (done, late) = if first.0 == 200 {
        (first, second)
    } else {
        (second, first)
    };
    assert_eq!((done.0, late.0), (200, 409), "{late:?}");
    assert!(late.1["detail"].is_string(), "{late:?}");
    all_show(
        &[&one, &two, &three],
        "/calls/0/hold",
        "the end of it",
        Value::is_null,
    )
    .await;
    talk.both_hear().await;

    drop(two);
    let four = Screen::open(&talk.server).await;
    all_show(
        &[&one, &three, &four],
        "/calls/0/state",
        "the talk goes on",
        |state| state == "talking",
    )
    .await;
    let _server = talk.end().await;
    let screens = [&one, &three, &four];
    all_show(&screens, "/calls", "no call", |calls| {
        *calls == Value::Array(Vec::new())
    })
    .await;
    all_show(&screens, "/seats", "the seat free", |seats| {
        let seats = seats.as_array().into_iter().flatten();
        let own = |seat: &&Value| seat["seat"] == "801";
        seats.filter(own).any(|seat| seat["state"] == "ready")
    })
    .await;
}
