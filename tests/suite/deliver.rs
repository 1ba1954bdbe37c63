//! Deliveries to modules that behave well, badly, and not at all: signed, in order per call, once per id, and no module
//! ever delays another one.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use firstring::clock::Clock;
use firstring::config::checked::{Database, Destination, Secret};
use firstring::deliver::Delivery;
use firstring::store::journal::{Journal, JournalOptions};
use firstring::store::projector::{Projector, Wanted};
use firstring::store::records::Store;
use firstring::switch::{AlarmCode, Command, InputKind};
use firstring::time::Timestamp;
use serde_json::{Value, json};
use standardwebhooks::Webhook;
use tokio::sync::{Notify, mpsc};

use crate::support::one_call::{self, Script};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const PATIENCE: Duration = Duration::from_secs(15);

/// What came: headers and body of each request, and when.
type Came = Arc<Mutex<Vec<(Instant, HeaderMap, Value)>>>;

/// A module of the test: notes what comes and answers as told, by how many requests came before and the event.
/// `None` = it hangs.
async fn module(
    answer: impl Fn(usize, &Value) -> Option<Response> + Clone + Send + Sync + 'static,
) -> (String, Came) {
    let came = Came::default();
    let noted = Arc::clone(&came);
    let hook = async move |headers: HeaderMap, body: Bytes| {
        Webhook::new(SECRET)
            .unwrap()
            .verify(&body, &headers)
            .expect("signed by Standard Webhooks");
        let event: Value = serde_json::from_slice(&body).unwrap();
        let before = {
            let mut came = noted.lock().unwrap();
            came.push((Instant::now(), headers, event.clone()));
            came.len() - 1
        };
        match answer(before, &event) {
            Some(response) => response,
            None => std::future::pending().await,
        }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    tokio::spawn(async { axum::serve(listener, Router::new().fallback(hook)).await });
    (url, came)
}

fn well(_: usize, _: &Value) -> Option<Response> {
    Some(axum::Json(json!({ "incident_id": "INC-7" })).into_response())
}

/// Store, journal and deliveries of a centre.
struct Post {
    _dir: tempfile::TempDir,
    journal: Journal,
    store: Store,
    wake: Arc<Notify>,
    inputs: mpsc::Sender<InputKind>,
    inbox: mpsc::Receiver<InputKind>,
    destinations: Vec<String>,
}

impl Post {
    async fn new() -> Self {
        drop(rustls::crypto::ring::default_provider().install_default());
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&Database::Sqlite(dir.path().join("records.db")))
            .await
            .unwrap();
        store.ensure_ready().await.unwrap();
        let (journal, _) =
            Journal::open(&dir.path().join("journal"), JournalOptions::new("test")).unwrap();
        let (inputs, inbox) = mpsc::channel(1000);
        Self {
            _dir: dir,
            journal,
            store,
            wake: Arc::default(),
            inputs,
            inbox,
            destinations: Vec::new(),
        }
    }

    /// Deliver to `url` as destination `id`.
    fn deliver_to(&mut self, id: &str, url: &str) {
        let destination = Destination {
            id: id.into(),
            url: url.to_owned(),
            secret: Secret(SECRET.to_owned()),
            events: Vec::new(),
            timeout: Duration::from_secs(1),
        };
        let delivery = Delivery::new(
            &destination,
            self.store.clone(),
            Arc::clone(&self.wake),
            self.inputs.clone(),
        )
        .unwrap();
        self.destinations.push(id.to_owned());
        tokio::spawn(delivery.run());
    }

    /// The calls happened just now; fold them into deliveries. Gives back how many there are for each destination.
    async fn happened(&self, calls: &mut [Script]) -> usize {
        let now = Clock::process().now();
        for event in calls.iter_mut().flat_map(|call| &mut call.events) {
            event.at = Timestamp::from_micros(
                now.as_micros() - 100_000_000
                    + (event.at.as_micros() - one_call::START_US) % 60_000_000,
            );
        }
        for call in calls {
            self.journal.append(one_call::entries(&call.events));
        }
        self.journal.flush().await;
        let wanted = self
            .destinations
            .iter()
            .map(|id| Wanted::new(id.as_str().into(), &[]))
            .collect();
        let projector = Projector::for_centre(
            self.journal.reader(),
            self.store.clone(),
            one_call::centre(),
            wanted,
            Arc::clone(&self.wake),
        );
        let (mut status, last) = (projector.status(), self.journal.reader().last());
        let task = tokio::spawn(projector.run());
        status
            .wait_for(|status| status.cursor >= last)
            .await
            .unwrap();
        task.abort();
        let rows = self.store.outbox_counts().await.unwrap();
        let row = rows
            .iter()
            .max_by_key(|row| row.pending + row.delivered)
            .unwrap();
        usize::try_from(row.pending + row.delivered).unwrap()
    }

    async fn pending(&self, destination: &str) -> u64 {
        let rows = self.store.outbox_counts().await.unwrap();
        rows.iter()
            .find(|row| row.destination.as_str() == destination)
            .map_or(0, |row| row.pending)
    }

    async fn all_delivered(&self, destination: &str) {
        let deadline = Instant::now() + PATIENCE;
        while self.pending(destination).await > 0 {
            assert!(
                Instant::now() < deadline,
                "{} pending to {destination}",
                self.pending(destination).await
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The next alarm of a destination: raised, detail.
    async fn alarm(&mut self, destination: &str) -> (bool, String) {
        loop {
            let input = tokio::time::timeout(PATIENCE, self.inbox.recv())
                .await
                .expect("an alarm in time")
                .unwrap();
            if let InputKind::Alarm {
                code: AlarmCode::DestinationFailing,
                subject,
                detail,
                raised,
            } = input
                && subject == destination
            {
                return (raised, detail);
            }
        }
    }
}

fn text<'a>(event: &'a Value, key: &str) -> &'a str {
    event[key]
        .as_str()
        .unwrap_or_else(|| panic!("{key} in {event}"))
}

/// Each call's sequences as they came; repeats of one id count once.
fn sequences(came: &Came) -> BTreeMap<String, Vec<u64>> {
    let mut calls: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for (_, _, event) in came.lock().unwrap().iter() {
        let of_call = calls.entry(text(event, "subject").to_owned()).or_default();
        let sequence = text(event, "sequence").parse().unwrap();
        if of_call.last() != Some(&sequence) {
            of_call.push(sequence);
        }
    }
    calls
}

#[tokio::test]
async fn every_delivery_is_signed_in_order_per_call_and_sent_once() {
    let mut post = Post::new().await;
    let (url, came) = module(well).await;
    post.deliver_to("dispatch", &url);
    let mut calls: Vec<_> = (0..20)
        .map(|n| one_call::answered(n, "13800138000"))
        .collect();
    let rows = post.happened(&mut calls).await;
    post.all_delivered("dispatch").await;
    {
        let came = came.lock().unwrap();
        assert_eq!(came.len(), rows, "once per id");
        for (_, headers, event) in came.iter() {
            assert_eq!(headers["webhook-id"], text(event, "id"));
            assert_eq!(
                headers["content-type"],
                "application/cloudevents+json; charset=utf-8"
            );
            assert_eq!(
                (
                    text(event, "specversion"),
                    text(event, "datacontenttype").contains("json")
                ),
                ("1.0", true)
            );
            let sent = headers["webhook-timestamp"]
                .to_str()
                .unwrap()
                .parse::<i64>()
                .unwrap();
            let now = Clock::process().now().as_micros() / 1_000_000;
            assert!(
                (now - sent).abs() < 60,
                "the time of this attempt is signed"
            );
            assert!(
                !format!("{headers:?}").contains("13800138000"),
                "no header is made of a caller's text"
            );
        }
    }
    let sequences = sequences(&came);
    assert_eq!(sequences.len(), 20);
    for (call, of_call) in sequences {
        assert!(
            of_call.iter().copied().eq(1..=of_call.len() as u64),
            "{call}: {of_call:?}"
        );
    }
    // Each call was acknowledged to the switch once, with the module's own id.
    let mut acknowledged = 0;
    while let Ok(input) = post.inbox.try_recv() {
        if let InputKind::Command {
            command: Command::Acknowledge { incident_id, .. },
            ..
        } = input
        {
            assert_eq!(incident_id.as_deref(), Some("INC-7"));
            acknowledged += 1;
        }
    }
    assert_eq!(acknowledged, 20);
}

#[tokio::test]
async fn failing_module_gets_the_same_id_again_until_it_takes_it_with_one_alarm_and_its_end() {
    let mut post = Post::new().await;
    let (url, came) = module(|before, event| match before {
        0 => Some(StatusCode::INTERNAL_SERVER_ERROR.into_response()),
        1 => Some((StatusCode::TOO_MANY_REQUESTS, [("retry-after", "2")]).into_response()),
        2 => Some(
            (
                StatusCode::TEMPORARY_REDIRECT,
                [("location", "http://127.0.0.1:1/")],
            )
                .into_response(),
        ),
        _ => well(before, event),
    })
    .await;
    post.deliver_to("emr", &url);
    let rows = post
        .happened(&mut [one_call::abandoned(1, "13800138000")])
        .await;
    let (raised, detail) = post.alarm("emr").await;
    assert!(
        raised && detail.contains("HTTP 307") && !detail.contains("127.0.0.1"),
        "{detail}"
    );
    let (raised, _) = post.alarm("emr").await;
    assert!(!raised, "cleared by the first success");
    post.all_delivered("emr").await;
    let came = came.lock().unwrap();
    assert_eq!(came.len(), rows + 3);
    let ids: Vec<_> = came
        .iter()
        .map(|(_, headers, _)| headers["webhook-id"].clone())
        .collect();
    assert!(
        ids[..4].iter().all(|id| *id == ids[0]),
        "a repeat has its first id: {ids:?}"
    );
    let pause = |n: usize| came[n + 1].0 - came[n].0;
    assert!(pause(0) >= Duration::from_millis(300), "{:?}", pause(0));
    assert!(
        pause(1) >= Duration::from_secs(2),
        "Retry-After is honoured: {:?}",
        pause(1)
    );
    assert!(
        came[0].1["webhook-timestamp"] != came[3].1["webhook-timestamp"],
        "each attempt is signed anew"
    );
}

#[tokio::test]
async fn module_that_lies_hangs_or_talks_too_much_takes_nothing_from_another_one() {
    let mut post = Post::new().await;
    let (hanging, _) = module(|_, _| None).await;
    let (talking, talked) = module(|_, _| Some(vec![b'x'; 10 << 20].into_response())).await;
    let (lying, lied) =
        module(|_, _| Some("{\"incident_id\":{\"a\":[1e999]}}".into_response())).await;
    let (good, came) = module(well).await;
    for (id, url) in [
        ("hanging", &hanging),
        ("talking", &talking),
        ("lying", &lying),
        ("good", &good),
    ] {
        post.deliver_to(id, url);
    }
    let begun = Instant::now();
    let mut calls: Vec<_> = (0..10)
        .map(|n| one_call::answered(n, "13800138000"))
        .collect();
    let rows = post.happened(&mut calls).await;
    post.all_delivered("good").await;
    let good_after = begun.elapsed();
    assert_eq!(came.lock().unwrap().len(), rows);
    // A 2xx is a 2xx, whatever follows it.
    post.all_delivered("lying").await;
    post.all_delivered("talking").await;
    assert_eq!(
        (talked.lock().unwrap().len(), lied.lock().unwrap().len()),
        (rows, rows)
    );
    let (raised, detail) = post.alarm("hanging").await;
    assert!(raised && detail.contains("no answer in time"), "{detail}");
    assert!(
        post.pending("hanging").await as usize == rows,
        "nothing is lost"
    );
    assert!(good_after < PATIENCE, "{good_after:?}");
}

#[tokio::test]
async fn call_that_hangs_holds_back_no_other_call_of_its_destination() {
    let mut post = Post::new().await;
    let mut calls: Vec<_> = (0..30)
        .map(|n| one_call::answered(n, "13800138000"))
        .collect();
    let stuck = calls[0].call.to_string();
    let hanging = stuck.clone();
    let (url, came) = module(move |_, event: &Value| {
        (event["subject"] != *hanging).then(|| StatusCode::OK.into_response())
    })
    .await;
    post.deliver_to("dispatch", &url);
    let rows = post.happened(&mut calls).await;
    let per_call = rows / 30;
    let deadline = Instant::now() + PATIENCE;
    loop {
        if post.pending("dispatch").await as usize <= per_call {
            break;
        }
        assert!(
            Instant::now() < deadline,
            "{} of {rows} pending",
            post.pending("dispatch").await
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let came = came.lock().unwrap();
    let times_stuck = came
        .iter()
        .filter(|(_, _, event)| event["subject"] == *stuck)
        .count();
    assert!(
        came.iter()
            .filter(|(_, _, event)| event["subject"] == *stuck)
            .all(|(_, _, event)| event["sequence"] == "1"),
        "its next one waits"
    );
    assert!(times_stuck >= 1);
}

#[tokio::test]
async fn module_that_is_gone_is_an_alarm_at_once_and_is_asked_again_a_minute_later() {
    let mut post = Post::new().await;
    let (url, came) = module(|_, _| Some(StatusCode::GONE.into_response())).await;
    post.deliver_to("dispatch", &url);
    let rows = post
        .happened(&mut [one_call::abandoned(1, "13800138000")])
        .await;
    let (raised, detail) = post.alarm("dispatch").await;
    assert!(raised && detail.contains("410"), "{detail}");
    let deadline = Instant::now() + PATIENCE;
    let row = loop {
        let listed = post.store.deliveries(None, 100).await.unwrap();
        if let Some(row) = listed.into_iter().find(|row| row["attempts"] == 1) {
            break row;
        }
        assert!(Instant::now() < deadline, "the attempt is never noted");
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert_eq!(
        (row["state"].as_str(), row["last_error"].as_str()),
        (Some("pending"), Some("HTTP 410"))
    );
    let next: jiff::Timestamp = row["next_at"].as_str().unwrap().parse().unwrap();
    let wait = next.as_millisecond() - Clock::process().now().as_micros() / 1000;
    assert!(
        (50_000..=60_000).contains(&wait),
        "asked again in {wait} ms"
    );
    assert_eq!(
        post.pending("dispatch").await as usize,
        rows,
        "nothing is dropped"
    );
    assert_eq!(
        came.lock().unwrap().len(),
        1,
        "the call's next delivery waits for it"
    );
}

#[tokio::test]
async fn module_that_is_down_and_comes_back_gets_everything_once_per_id_in_order() {
    let mut post = Post::new().await;
    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = closed.local_addr().unwrap();
    drop(closed);
    post.deliver_to("dispatch", &format!("http://{address}/hook"));
    let mut calls: Vec<_> = (0..5)
        .map(|n| one_call::answered(n, "13800138000"))
        .collect();
    let rows = post.happened(&mut calls).await;
    let (raised, detail) = post.alarm("dispatch").await;
    assert!(
        raised && !detail.contains(&address.to_string()),
        "no address, it may hold a token: {detail}"
    );
    let came = Came::default();
    let noted = Arc::clone(&came);
    let hook = async move |headers: HeaderMap, body: Bytes| {
        let event: Value = serde_json::from_slice(&body).unwrap();
        noted.lock().unwrap().push((Instant::now(), headers, event));
        StatusCode::NO_CONTENT
    };
    let listener = tokio::net::TcpListener::bind(address).await.unwrap();
    tokio::spawn(async { axum::serve(listener, Router::new().fallback(hook)).await });
    post.all_delivered("dispatch").await;
    assert_eq!(came.lock().unwrap().len(), rows);
    for (call, of_call) in sequences(&came) {
        assert!(
            of_call.iter().copied().eq(1..=of_call.len() as u64),
            "{call}: {of_call:?}"
        );
    }
    assert!(!post.alarm("dispatch").await.0, "cleared");
}
