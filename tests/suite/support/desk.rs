//! The HTTP API in this process, over a written view, a real store and a real journal; commands are noted and answered as the
//! test says. Every role has a token.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::http::{Request, Response};
use base64::Engine as _;
use firstring::api::{self, App, Caller, ClockState, Commands, Gatekeeper, Health, Vitals};
use firstring::config::checked::{Database, Token};
use firstring::id::{CallBackId, CallId, LegId, MarkId, SeatId};
use firstring::media::wav;
use firstring::store::journal::{Journal, JournalOptions};
use firstring::store::projector::{Projector, Wanted};
use firstring::store::records::Store;
use firstring::switch::{
    Actor, CallBackView, CallState, CallView, Command, CommandError, CommandReply, Event,
    InputKind, LegView, MarkView, Role, ScoreView, SeatState, SeatView, View,
};
use firstring::time::Timestamp;
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::sync::{Notify, mpsc, watch};
use tower::ServiceExt as _;
use uuid::Uuid;

use super::one_call;

pub const ROLES: [&str; 4] = ["seat", "supervisor", "module", "admin"];
/// A name that a caller chose to do harm.
pub const HOSTILE: &str = "<img src=x onerror=alert(1)>";

struct Still;

impl Vitals for Still {
    fn health(&self) -> Health {
        Health {
            ok: true,
            version: "test".to_owned(),
            uptime_s: 1,
            journal_spooled: 0,
            owner_beat_ms: 1,
            records_lag: 0,
            records_failing_ms: 0,
            alarms: 0,
            clock: ClockState::read(),
            workers: 1,
        }
    }

    fn metrics(&self) -> String {
        "firstring_test 1\n".to_owned()
    }
}

/// The API and what it works on.
pub struct Desk {
    pub router: Router,
    pub app: Arc<App>,
    pub dir: tempfile::TempDir,
    pub store: Store,
    pub journal: Journal,
    pub view: watch::Sender<Arc<View>>,
    /// Commands taken, and by whom.
    pub taken: Arc<Mutex<Vec<(Actor, Command)>>>,
    /// The switch's next answers; `Done` when none is written.
    pub refusals: Arc<Mutex<Vec<CommandError>>>,
    /// A call that seat 801 talks in, one that nobody has, and a call-back.
    pub talking: CallId,
    pub waiting: CallId,
    pub call_back: CallBackId,
}

/// An answer, read whole.
pub struct Answer {
    pub status: u16,
    pub headers: axum::http::HeaderMap,
    pub bytes: Vec<u8>,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap_or_else(|_| json!(self.text()))
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }
}

impl Desk {
    /// The one mark.
    pub fn mark(&self) -> MarkId {
        self.view.borrow().marks[0].mark
    }

    pub async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&Database::Sqlite(dir.path().join("records.db")))
            .await
            .unwrap();
        store.ensure_ready().await.unwrap();
        let (journal, _) =
            Journal::open(&dir.path().join("journal"), JournalOptions::new("test")).unwrap();
        let (talking, waiting) = (CallId(Uuid::now_v7()), CallId(Uuid::now_v7()));
        let call_back = CallBackId(Uuid::now_v7());
        let (view, _) = watch::channel(Arc::new(written_view(talking, waiting, call_back)));
        let (inbox, commands) = mpsc::channel(64);
        let commands_out = Commands::new(inbox);
        let (taken, refusals) = (Arc::default(), Arc::default());
        tokio::spawn(answer(
            commands,
            commands_out.clone(),
            Arc::clone(&taken),
            Arc::clone(&refusals),
        ));
        let (trail, trail_writer) = api::Trail::new(store.clone());
        tokio::spawn(trail_writer.run());
        let app = Arc::new(App {
            gatekeeper: Gatekeeper::new(ROLES.iter().map(|role| token(role)).collect()),
            commands: commands_out,
            view: view.subscribe(),
            store: store.clone(),
            events: journal.reader(),
            recordings: dir.path().join("recordings"),
            prompts: concat!(env!("CARGO_MANIFEST_DIR"), "/prompts").into(),
            vitals: Arc::new(Still),
            secure: true,
            evidence: Some(Arc::new(evidence_key(dir.path()))),
            playbacks: api::Playbacks::default(),
            trail,
        });
        Self {
            router: api::app(Arc::clone(&app)),
            app,
            dir,
            store,
            journal,
            view,
            taken,
            refusals,
            talking,
            waiting,
            call_back,
        }
    }

    /// Journal `events` and fold them into records and deliveries.
    pub async fn happened(&self, events: &[Event]) {
        self.journal.append(one_call::entries(events));
        self.journal.flush().await;
        let projector = Projector::for_centre(
            self.journal.reader(),
            self.store.clone(),
            one_call::centre(),
            vec![Wanted::new("dispatch".into(), &[])],
            Arc::new(Notify::new()),
        );
        let (mut status, last) = (projector.status(), self.journal.reader().last());
        let task = tokio::spawn(projector.run());
        status
            .wait_for(|status| status.cursor >= last)
            .await
            .unwrap();
        task.abort();
    }

    /// The recorder's file of [`one_call::answered`]: two tracks, one second, the second one silent.
    pub fn record_audio(&self) -> Vec<u8> {
        let path = self.dir.path().join("recordings/2026/11/22/call.wav");
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let mut bytes = wav::header(2, 8000).to_vec();
        bytes.extend([0x2A, wav::SILENCE].repeat(8000)); // 0x2A: near full scale
        std::fs::write(&path, &bytes).unwrap();
        bytes
    }

    pub async fn send(&self, request: Request<Body>) -> Response<Body> {
        self.router.clone().oneshot(request).await.unwrap()
    }

    pub async fn answer(&self, request: Request<Body>) -> Answer {
        let response = self.send(request).await;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let bytes = response
            .into_body()
            .collect()
            .await
            .unwrap()
            .to_bytes()
            .to_vec();
        Answer {
            status,
            headers,
            bytes,
        }
    }

    pub async fn get(&self, role: &str, path: &str) -> Answer {
        self.answer(request("GET", path, role, None)).await
    }

    /// Served on a port of its own, for a browser: its address, and the task to abort.
    pub async fn serve(&self) -> (String, tokio::task::JoinHandle<std::io::Result<()>>) {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0))
            .await
            .unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let serving = axum::serve(listener, self.router.clone()).into_future();
        (base, tokio::spawn(serving))
    }

    pub async fn post(&self, role: &str, path: &str, body: Value) -> Answer {
        self.answer(request("POST", path, role, Some(body.to_string())))
            .await
    }
}

/// A request with the token of `role`; `nobody` has none.
pub fn request(method: &str, path: &str, role: &str, body: Option<String>) -> Request<Body> {
    let mut request = Request::builder().method(method).uri(path);
    if role != "nobody" {
        request = request.header("authorization", format!("Bearer {}", secret(role)));
    }
    if body.is_some() {
        request = request.header("content-type", "application/json");
    }
    request
        .body(body.map_or_else(Body::empty, Body::from))
        .unwrap()
}

pub fn secret(role: &str) -> String {
    format!("the secret of {role}")
}

/// Whom a token of `role` stands for.
pub fn caller(role: &str) -> Caller {
    let token = token(role);
    Caller::new(token.name, token.role, token.seat)
}

pub fn token(role: &str) -> Token {
    let (role_of, seat) = match role {
        "seat" => (Role::Seat, Some("801")),
        "supervisor" => (Role::Supervisor, Some("800")),
        "module" => (Role::Module, None),
        "admin" => (Role::Admin, None),
        other => panic!("no role {other}"),
    };
    Token {
        name: format!("{role}-person"),
        role: role_of,
        seat: seat.map(SeatId::from),
        sha256: Sha256::digest(secret(role)).into(),
    }
}

async fn answer(
    mut commands: mpsc::Receiver<InputKind>,
    answers: Commands,
    taken: Arc<Mutex<Vec<(Actor, Command)>>>,
    refusals: Arc<Mutex<Vec<CommandError>>>,
) {
    while let Some(input) = commands.recv().await {
        if let InputKind::Command { id, by, command } = input {
            taken.lock().unwrap().push((by, command));
            let refusal = refusals.lock().unwrap().pop();
            answers.answer(id, refusal.map_or(Ok(CommandReply::Done), Err));
        }
    }
}

/// Signs as `openssl genpkey -algorithm ed25519` would have it.
fn evidence_key(dir: &std::path::Path) -> api::Signer {
    let random = ring::rand::SystemRandom::new();
    let der = ring::signature::Ed25519KeyPair::generate_pkcs8(&random).unwrap();
    let body = base64::engine::general_purpose::STANDARD.encode(der);
    let path = dir.join("evidence.pem");
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----\n");
    std::fs::write(&path, pem).unwrap();
    api::Signer::load(&path).unwrap()
}

/// A confirmed mark on 13800138000.
fn mark(call: CallId) -> MarkView {
    let at = Timestamp::from_micros(one_call::START_US);
    MarkView {
        mark: MarkId(Uuid::now_v7()),
        number: "13800138000".to_owned(),
        e164: "+8613800138000".to_owned(),
        state: "confirmed".to_owned(),
        reason: "辱骂".to_owned(),
        call,
        evidence: vec![call],
        score: ScoreView {
            points: 64,
            proposes: true,
            zh: vec!["3 次接通后没有声音".to_owned()],
            en: vec!["3 answered without any sound".to_owned()],
        },
        proposed_by: "seat 801".to_owned(),
        proposed_at: at,
        confirmed_by: Some("supervisor 800".to_owned()),
        confirmed_at: Some(at),
        review_at: Some(at),
        until: Some(at),
        ended_at: None,
        ended_by: None,
        ended_why: None,
    }
}

fn written_view(talking: CallId, waiting: CallId, call_back: CallBackId) -> View {
    let at = Timestamp::from_micros(one_call::START_US);
    let call = |call, seat: Option<&str>, caller: &str| CallView {
        call,
        serial_no: "20261122000001".to_owned(),
        state: if seat.is_some() {
            CallState::Talking
        } else {
            CallState::Waiting
        },
        direction: firstring::call::Direction::Inbound,
        trunk: Some("ct".into()),
        caller: caller.to_owned(),
        called: "120".to_owned(),
        received_at: at,
        position: seat.is_none().then_some(0),
        wait_exceeded: false,
        answered_at: seat.map(|_| at),
        seat: seat.map(SeatId::from),
        joined_with: Vec::new(),
        hold: None,
        shelf: None,
        silent: None,
        transfer: None,
        screen: firstring::switch::ScreenView::default(),
        findings: 0,
        form_revision: 0,
        call_type: None,
        major: None,
        handling_level: 0,
        medical_advice: false,
        incident_id: None,
        crew_of: None,
        crew: Vec::new(),
        assist: None,
        queue: firstring::id::QueueId::from("main"),
        ahead_s: 0,
        legs: vec![LegView {
            leg: LegId(Uuid::now_v7()),
            party: "caller".to_owned(),
            state: "up".to_owned(),
            number: None,
            mode: None,
        }],
    };
    let seat = |id: &str, supervisor| SeatView {
        phone: None,
        seat: SeatId::from(id),
        supervisor,
        state: SeatState::Ready,
        reason: None,
        since: at,
        call: None,
        registered: true,
    };
    View {
        at,
        calls: vec![
            call(talking, Some("801"), "13800138000"),
            call(waiting, None, HOSTILE),
        ],
        seats: vec![seat("800", true), seat("801", false), seat("802", false)],
        call_backs: vec![CallBackView {
            call_back,
            call: waiting,
            number: "13800138000".to_owned(),
            reason: "abandoned".to_owned(),
            due_at: at,
            urgent: false,
            state: "open".to_owned(),
            with: None,
            seat: None,
            attempts: 0,
            failed: None,
            next_at: None,
            overdue: false,
            calls: 1,
        }],
        arrived: 2,
        language: String::from("zh-CN"),
        group_calls: vec![Arc::new(group_call())],
        marks: Arc::new(vec![mark(talking)]),
        marks_revision: 1,
        ..View::default()
    }
}

/// One that goes on.
fn group_call() -> firstring::call::GroupCall {
    firstring::call::GroupCall {
        group_call: firstring::id::GroupCallId(Uuid::nil()),
        by: String::from("seat 801"),
        group: None,
        prompt: firstring::id::PromptId::from("group_alert"),
        digit: '1',
        first_wins: false,
        retries: 0,
        call: None,
        started_at: Timestamp::from_micros(1_763_771_400_000_000),
        ended_at: None,
        ended_why: None,
        targets: vec![firstring::call::GroupTarget::new(String::from(
            "13900139001",
        ))],
    }
}
