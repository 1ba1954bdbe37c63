//! The reference modules: what they refuse, what they keep, and a dispatch order that travels back into the record.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use firstring::modules::{self, Kind, Options};
use firstring::sim::centre::CarrierTrunk;
use firstring::sim::phone::{Dial, Phone, Speech};
use serde_json::{Value, json};
use standardwebhooks::Webhook;

use crate::support::server::{PATIENCE, Server, centre};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

struct Module {
    address: SocketAddr,
    http: reqwest::Client,
    dir: tempfile::TempDir,
}

fn client() -> reqwest::Client {
    drop(rustls::crypto::ring::default_provider().install_default());
    reqwest::Client::builder()
        .timeout(PATIENCE)
        .build()
        .unwrap()
}

fn options(kind: Kind, database: PathBuf, secret: &str) -> Options {
    Options {
        kind,
        listen: ([127, 0, 0, 1], 0).into(),
        database,
        secret: secret.to_owned(),
        engine: None,
        token: None,
    }
}

async fn start(options: Options) -> SocketAddr {
    let (ready, address) = tokio::sync::oneshot::channel();
    tokio::spawn(modules::run(options, |address| {
        ready.send(address).unwrap()
    }));
    address.await.expect("the module starts")
}

impl Module {
    async fn new(kind: Kind) -> Self {
        let http = client();
        let dir = tempfile::tempdir().unwrap();
        let address = start(options(kind, dir.path().join("module.db"), SECRET)).await;
        Self { address, http, dir }
    }

    /// Send `event`, signed `ago` seconds ago under `id`; status and answer.
    async fn hook(&self, id: &str, event: &Value, ago: i64, secret: &str) -> (u16, Value) {
        let body = event.to_string();
        let at = jiff::Timestamp::now().as_second() - ago;
        let signature = Webhook::new(secret)
            .unwrap()
            .sign(id, at, body.as_bytes())
            .unwrap();
        let answer = self
            .http
            .post(format!("http://{}/hook", self.address))
            .header("webhook-id", id)
            .header("webhook-timestamp", at)
            .header("webhook-signature", signature)
            .body(body)
            .send()
            .await
            .unwrap();
        (
            answer.status().as_u16(),
            answer.json().await.unwrap_or_default(),
        )
    }

    async fn list(&self, what: &str) -> Vec<Value> {
        self.http
            .get(format!("http://{}/api/{what}", self.address))
            .send()
            .await
            .unwrap()
            .json()
            .await
            .unwrap()
    }

    async fn post(&self, path: &str, body: Value) -> (u16, Value) {
        let answer = self
            .http
            .post(format!("http://{}{path}", self.address))
            .json(&body)
            .send()
            .await
            .unwrap();
        (
            answer.status().as_u16(),
            answer.json().await.unwrap_or_default(),
        )
    }
}

fn event(id: &str, kind: &str, sequence: u64, rev: u64) -> Value {
    json!({ "specversion": "1.0", "id": id, "type": kind, "source": "/sz120", "subject": "call-1", "sequence": sequence.to_string(),
            "data": { "rev": rev, "serial_no": "20261122000001" } })
}

#[tokio::test]
async fn forged_old_and_garbled_messages_are_refused_and_not_kept() {
    let module = Module::new(Kind::Dispatch).await;
    let good = event("e1", "call.arrived", 1, 1);
    assert_eq!(
        module
            .hook("e1", &good, 0, "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")
            .await
            .0,
        401
    );
    assert_eq!(
        module.hook("e1", &good, 301, SECRET).await.0,
        401,
        "older than 5 minutes"
    );
    assert_eq!(
        module.hook("e1", &good, -301, SECRET).await.0,
        401,
        "from the future"
    );
    assert_eq!(
        module.hook("e2", &good, 0, SECRET).await.0,
        400,
        "signed under another id"
    );
    assert_eq!(
        module.hook("e1", &json!({ "id": "e1" }), 0, SECRET).await.0,
        400
    );
    assert_eq!(module.hook("e1", &json!([1, 2]), 0, SECRET).await.0, 400);
    let unsigned = module.post("/hook", good).await;
    assert_eq!(unsigned.0, 401);
    assert!(module.list("events").await.is_empty() && module.list("calls").await.is_empty());
}

#[tokio::test]
async fn repeats_are_acknowledged_alike_and_kept_once() {
    let module = Module::new(Kind::Dispatch).await;
    let arrived = event("e1", "call.arrived", 1, 1);
    for _ in 0..3 {
        let (status, answer) = module.hook("e1", &arrived, 0, SECRET).await;
        assert_eq!(
            (status, &answer["incident_id"]),
            (200, &json!("dispatch-call-1"))
        );
    }
    let events = module.list("events").await;
    assert_eq!(events.len(), 1);
    assert_eq!(events[0]["times"], 3);
}

#[tokio::test]
async fn lower_revision_never_overwrites_and_an_end_is_never_forgotten() {
    let module = Module::new(Kind::Emr).await;
    for (id, kind, rev) in [
        ("e1", "call.arrived", 1),
        ("e3", "call.enriched", 9),
        ("e2", "call.closed", 4),
        ("e4", "call.enriched", 9),
    ] {
        let (status, answer) = module.hook(id, &event(id, kind, rev, rev), 0, SECRET).await;
        assert_eq!(
            (status, answer),
            (200, json!({})),
            "an EMR opens no incident"
        );
    }
    let calls = module.list("calls").await;
    assert_eq!(calls.len(), 1);
    assert_eq!(
        (
            &calls[0]["rev"],
            &calls[0]["record"]["rev"],
            &calls[0]["closed"]
        ),
        (&json!(9), &json!(9), &json!(true))
    );
    assert_eq!(module.list("events").await.len(), 4);
    // Kept over a restart.
    let again = start(options(
        Kind::Emr,
        module.dir.path().join("module.db"),
        SECRET,
    ))
    .await;
    let kept: Vec<Value> = module
        .http
        .get(format!("http://{again}/api/calls"))
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(kept, calls);
}

#[tokio::test]
async fn orders_need_a_vehicle_a_reason_and_an_engine() {
    let module = Module::new(Kind::Dispatch).await;
    assert_eq!(
        module
            .post("/api/calls/c/orders", json!({ "vehicle": " " }))
            .await
            .0,
        422
    );
    assert_eq!(
        module
            .post(
                "/api/calls/c/orders/o/reassign",
                json!({ "vehicle": "v", "reason": "" })
            )
            .await
            .0,
        422
    );
    assert_eq!(
        module
            .post("/api/calls/c/orders/o/cancel", json!({ "reason": "误报" }))
            .await
            .0,
        404
    );
    let (status, answer) = module
        .post("/api/calls/c/orders", json!({ "vehicle": "粤B120" }))
        .await;
    assert_eq!(status, 409, "{answer}");
    let emr = Module::new(Kind::Emr).await;
    assert_eq!(
        emr.post("/api/calls/c/orders", json!({ "vehicle": "粤B120" }))
            .await
            .0,
        404,
        "an EMR sends no vehicles"
    );
}

#[tokio::test]
async fn pages_run_only_their_own_scripts() {
    for kind in [Kind::Dispatch, Kind::Emr] {
        let module = Module::new(kind).await;
        let answer = module
            .http
            .get(format!("http://{}/", module.address))
            .send()
            .await
            .unwrap();
        let policy = answer.headers()["content-security-policy"]
            .to_str()
            .unwrap()
            .to_owned();
        assert!(
            policy.contains("default-src 'self'") && !policy.contains("unsafe"),
            "{policy}"
        );
        let html = answer.text().await.unwrap();
        for bad in ["<script>", "<style", "onclick=", "style=", "http"] {
            assert!(!html.contains(bad), "{kind:?}: the page has {bad}");
        }
        for file in html
            .split('"')
            .filter(|part| part.starts_with('/') && part.contains('.'))
        {
            let found = module
                .http
                .get(format!("http://{}{file}", module.address))
                .send()
                .await
                .unwrap();
            assert_eq!(found.status(), 200, "{file}");
        }
    }
}

fn carrier() -> CarrierTrunk {
    CarrierTrunk {
        id: "carrier".to_owned(),
        source: "127.0.0.1".to_owned(),
        remote: None,
        profile: "generic-ims",
        outbound: None,
        lines: Vec::new(),
    }
}

fn free_address() -> SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
}

/// The whole way: a caller's record reaches the module, its orders reach the record, and the log knows no number and no secret.
#[tokio::test(flavor = "multi_thread")]
async fn orders_of_the_dispatch_page_appear_in_the_call_record() {
    let (dir, mut practice) = centre(1);
    practice.trunks.push(carrier());
    practice.api = free_address();
    let token = practice.secret("token-module");
    let secret = practice.secret("destination-dispatch");
    let mut wanted = options(Kind::Dispatch, dir.path().join("dispatch.db"), &secret);
    wanted.engine = Some(format!("http://{}", practice.api));
    wanted.token = Some(token.clone());
    let http = client();
    let module = Module {
        address: start(wanted).await,
        http,
        dir: tempfile::tempdir().unwrap(),
    };
    practice.destinations.push((
        "dispatch".to_owned(),
        format!("http://{}/hook", module.address),
    ));
    let mut server = Server::start((dir, practice)).await;

    let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
    let mut caller = Phone::new(loopback, server.sip("udp"), "13800138000", "")
        .await
        .unwrap();
    let dial = Dial {
        number: "120".to_owned(),
        ..Dial::default()
    };
    let talk = caller
        .call(&dial, Speech::tone(620), Duration::from_secs(10))
        .await
        .unwrap();
    let open = server
        .open_call("the module's incident", |call| {
            call["incident_id"].is_string()
        })
        .await;
    let call = open["call"].as_str().unwrap().to_owned();
    // A waiting caller is never ended by a button.
    let (status, answer) = server
        .post(&format!("/api/v1/calls/{call}/hang_up"), json!({}))
        .await;
    assert_eq!(
        (status, &answer["code"]),
        (409, &json!("wrong_state")),
        "{answer}"
    );
    let (status, answer) = server.post("/api/v1/seats/999/ready", json!({})).await;
    assert_eq!(
        (status, &answer["code"]),
        (404, &json!("unknown")),
        "{answer}"
    );

    let (status, issued) = module
        .post(
            &format!("/api/calls/{call}/orders"),
            json!({ "vehicle": "粤B·120急01", "station": "福田站" }),
        )
        .await;
    assert_eq!(status, 200, "{issued}");
    let order = issued["order_id"].as_str().unwrap().to_owned();
    let base = format!("/api/calls/{call}/orders/{order}");
    assert_eq!(
        module
            .post(
                &format!("{base}/reassign"),
                json!({ "vehicle": "粤B·120急02", "reason": "前车故障" })
            )
            .await
            .0,
        200
    );
    assert_eq!(
        module
            .post(
                &format!("{base}/cancel"),
                json!({ "reason": "患者自行就医" })
            )
            .await
            .0,
        200
    );
    let (status, _) = module
        .post(
            &format!("/api/calls/{}/orders", uuid::Uuid::now_v7()),
            json!({ "vehicle": "v" }),
        )
        .await;
    assert_eq!(status, 404, "the engine knows no such call");
    drop(caller.hang_up(talk).await);

    let record = server.closed_record().await;
    let text = record.to_string();
    for part in [
        "粤B·120急01",
        "粤B·120急02",
        "患者自行就医",
        "福田站",
        &order,
    ] {
        assert!(text.contains(part), "{part} in {record:#}");
    }
    let deadline = std::time::Instant::now() + PATIENCE;
    loop {
        let calls = module.list("calls").await;
        if calls[0]["closed"] == true && calls[0]["record"].to_string().contains("患者自行就医")
        {
            assert_eq!(calls[0]["orders"][0]["state"], "cancelled");
            break;
        }
        assert!(
            std::time::Instant::now() < deadline,
            "the module holds {}",
            calls[0]
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    server.terminate();
    let log = std::fs::read_to_string(server.centre.dir.join("serve.log")).unwrap();
    for private in [
        "13800138000",
        &token,
        &secret,
        &server.centre.secret("token-admin"),
    ] {
        assert!(!log.contains(private), "the log has {private}");
    }
    assert!(
        !log.contains('\u{1b}'),
        "no raw control characters in the log"
    );
}
