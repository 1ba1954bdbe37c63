//! Enrichment beside the call, against line-data services that answer, lie, are slow or dead.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use firstring::call::{Arrival, DialogState, Ingress};
use firstring::config::checked::{Enrich, LineDataSource, Secret};
use firstring::enrich::{Enrichment, History, HistoryError, HistoryFuture, HistorySource};
use firstring::id::{CallId, LegId};
use firstring::switch::{
    AlarmCode, Finding, InputKind, LineData, LineStatus, LocationSource, Question,
};
use tokio::sync::mpsc;
use uuid::Uuid;

/// A line-data service that answers with `status` and counts questions.
struct Service {
    status: AtomicU16,
    asked: AtomicUsize,
    body: Vec<u8>,
    delay: Duration,
}

impl Service {
    fn new(body: impl Into<Vec<u8>>) -> Self {
        Self {
            status: AtomicU16::new(200),
            asked: AtomicUsize::new(0),
            body: body.into(),
            delay: Duration::ZERO,
        }
    }

    /// Serves on an ephemeral port; the source to ask it with a budget of `millis`.
    async fn serve(self: &Arc<Self>, millis: u64) -> LineDataSource {
        let app = Router::new()
            .route("/line/{number}", get(answer))
            .with_state(Arc::clone(self));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        LineDataSource {
            url: format!("http://{address}/line/{{number}}"),
            timeout: Duration::from_millis(millis),
            bearer: Some(Secret(String::from("open-sesame"))),
        }
    }
}

async fn answer(
    State(service): State<Arc<Service>>,
    Path(number): Path<String>,
    headers: HeaderMap,
) -> Response {
    service.asked.fetch_add(1, Ordering::Relaxed);
    tokio::time::sleep(service.delay).await;
    if headers
        .get("authorization")
        .is_none_or(|value| value != "Bearer open-sesame")
    {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    if number != "13800138000" && number != "075588888888" {
        return StatusCode::BAD_REQUEST.into_response();
    }
    let status = StatusCode::from_u16(service.status.load(Ordering::Relaxed)).unwrap();
    let mut response = (status, Body::from(service.body.clone())).into_response();
    if status.is_redirection() {
        response
            .headers_mut()
            .insert("location", "/line/075588888888".parse().unwrap());
    }
    response
}

enum Past {
    Calls,
    Silent,
    Broken,
}

impl HistorySource for Past {
    fn last_calls<'a>(&'a self, _call: firstring::id::CallId, e164: &'a str) -> HistoryFuture<'a> {
        Box::pin(async move {
            match self {
                Self::Calls => Ok(History {
                    window_days: 365,
                    count: 2,
                    last_calls: vec![serde_json::json!({ "call_id": e164 })],
                }),
                Self::Silent => std::future::pending().await,
                Self::Broken => Err(HistoryError::Unavailable {
                    reason: String::from("locked"),
                }),
            }
        })
    }
}

fn start(line_data: Option<LineDataSource>, past: Past) -> (Enrichment, mpsc::Receiver<InputKind>) {
    // Whoever comes first installs it.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let (inputs, inbox) = mpsc::channel(64);
    let enrichment = Enrichment::start(&Enrich { line_data }, Arc::new(past), inputs).unwrap();
    (enrichment, inbox)
}

fn call(n: u128) -> CallId {
    CallId(Uuid::from_u128(n))
}

fn question(e164: Option<&str>) -> Question {
    Question::WhoAndWhere {
        arrival: Box::new(Arrival {
            call: call(1),
            leg: LegId(Uuid::from_u128(2)),
            ingress: Ingress::Trunk("ct".into()),
            invite_key: String::from("k"),
            called: String::from("120"),
            caller: String::from("013800138000"),
            caller_name: None,
            anonymous: false,
            access_network: vec![String::from(
                "3GPP-E-UTRAN-TDD;utran-cell-id-3gpp=46000102D108F00D;network-provided",
            )],
            geolocation: Vec::new(),
            pidf: vec![
                String::from(
                    "<p><location-info><Point srsName='urn:ogc:def:crs:EPSG::4326'><pos>22.5 114</pos></Point></location-info></p>",
                ),
                String::from("<!DOCTYPE x><p/>"),
            ],
            diverted_from: Vec::new(),
            source: String::from("127.0.0.2:5060"),
            dialog: DialogState(serde_json::Value::Null),
            refused_capacity: false,
        }),
        e164: e164.map(str::to_owned),
    }
}

async fn next(inbox: &mut mpsc::Receiver<InputKind>) -> InputKind {
    tokio::time::timeout(Duration::from_secs(10), inbox.recv())
        .await
        .expect("an input within 10 s")
        .unwrap()
}

/// The next line-data answer, with other findings passed over; alarms are collected.
async fn next_line(inbox: &mut mpsc::Receiver<InputKind>, alarms: &mut Vec<bool>) -> LineData {
    loop {
        match next(inbox).await {
            InputKind::Found { finding, .. } => {
                if let Finding::Line(line) = *finding {
                    return line;
                }
            }
            InputKind::Alarm {
                code,
                raised,
                detail,
                ..
            } => {
                assert_eq!(code, AlarmCode::LineDataFailing);
                assert!(
                    !detail.contains("13800138000"),
                    "an alarm names no caller: {detail}"
                );
                alarms.push(raised);
            }
            other => panic!("{other:?}"),
        }
    }
}

const FULL: &str = r#"{"owner":"王某","number":"075588888888","install_address":"深圳市福田区深南大道1006号",
    "box_address":"福田A-17","carrier":"ct","more":{"x":1}}"#;

#[tokio::test]
async fn cell_position_line_data_and_history_of_one_call_are_all_found() {
    let service = Arc::new(Service::new(FULL));
    let (enrichment, mut inbox) = start(Some(service.serve(800).await), Past::Calls);
    enrichment.ask(call(7), question(Some("+8613800138000")));
    let mut found = Vec::new();
    while found.len() < 6 {
        match next(&mut inbox).await {
            InputKind::Found { call: of, finding } => {
                assert_eq!(of, call(7));
                found.push(*finding);
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(found.iter().any(
        |f| matches!(f, Finding::Network(cell) if cell.tac == "102D" && cell.trust == "network")
    ));
    assert!(found.iter().any(|f| matches!(f, Finding::Location(l) if l.source == LocationSource::Pidf && l.point.is_some())));
    assert!(found.iter().any(|f| matches!(f, Finding::Location(l) if l.source == LocationSource::Line && l.civic.as_deref() == Some("深圳市福田区深南大道1006号"))));
    assert!(found.iter().any(|f| matches!(f, Finding::Line(l) if l.status == LineStatus::Found && l.owner.as_deref() == Some("王某") && l.box_address.as_deref() == Some("福田A-17"))));
    assert!(found.iter().any(|f| matches!(
        f,
        Finding::History {
            count: 2,
            window_days: 365,
            ..
        }
    )));
    assert!(
        found
            .iter()
            .any(|f| matches!(f, Finding::Failed { source, .. } if source == "pidf")),
        "a bad body is said to be bad"
    );
}

#[tokio::test]
async fn a_caller_without_a_number_is_not_asked_about() {
    let service = Arc::new(Service::new(FULL));
    let (enrichment, mut inbox) = start(Some(service.serve(800).await), Past::Calls);
    enrichment.ask(call(1), question(None));
    for _ in 0..3 {
        let InputKind::Found { finding, .. } = next(&mut inbox).await else {
            panic!("findings only")
        };
        assert!(!matches!(
            *finding,
            Finding::Line(_) | Finding::History { .. }
        ));
    }
    // A second question with a number shows that the first one's would have come by now.
    enrichment.ask(call(2), question(Some("+8675588888888")));
    next_line(&mut inbox, &mut Vec::new()).await;
    assert_eq!(service.asked.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn each_kind_of_answer_has_its_status_and_three_failures_raise_one_alarm_until_success() {
    let service = Arc::new(Service::new(FULL));
    let (enrichment, mut inbox) = start(Some(service.serve(2000).await), Past::Broken);
    let mut alarms = Vec::new();
    for (status, wanted, raised) in [
        (404, LineStatus::NotFound, &[][..]),
        (500, LineStatus::Failed, &[]),
        (302, LineStatus::Failed, &[]),
        (204, LineStatus::NotFound, &[]),
        (500, LineStatus::Failed, &[]),
        (503, LineStatus::Failed, &[]),
        (500, LineStatus::Failed, &[true]),
        (500, LineStatus::Failed, &[true]),
        (200, LineStatus::Found, &[true, false]),
        (500, LineStatus::Failed, &[true, false]),
    ] {
        service.status.store(status, Ordering::Relaxed);
        enrichment.ask(call(1), question(Some("+8613800138000")));
        assert_eq!(
            next_line(&mut inbox, &mut alarms).await.status,
            wanted,
            "{status}"
        );
        assert_eq!(alarms, raised, "after {status}");
    }
}

#[tokio::test]
async fn an_answer_that_is_no_json_or_too_long_is_a_failure() {
    for body in [
        String::from("<html>"),
        String::from(r#"{"owner": 7}"#),
        format!("{{\"owner\":\"{}\"}}", "x".repeat(70_000)),
    ] {
        let service = Arc::new(Service::new(body));
        let (enrichment, mut inbox) = start(Some(service.serve(2000).await), Past::Calls);
        enrichment.ask(call(1), question(Some("+8613800138000")));
        assert_eq!(
            next_line(&mut inbox, &mut Vec::new()).await.status,
            LineStatus::Failed
        );
    }
}

#[tokio::test]
async fn a_slow_source_costs_its_budget_and_delays_no_other_answer() {
    let service = Arc::new(Service {
        delay: Duration::from_secs(30),
        ..Service::new(FULL)
    });
    let (enrichment, mut inbox) = start(Some(service.serve(600).await), Past::Silent);
    let asked = Instant::now();
    enrichment.ask(call(1), question(Some("+8613800138000")));
    assert!(
        asked.elapsed() < Duration::from_millis(50),
        "asking never blocks"
    );
    let InputKind::Found { finding, .. } = next(&mut inbox).await else {
        panic!("a finding first")
    };
    assert!(
        matches!(*finding, Finding::Network(_)),
        "what the INVITE carries comes at once: {finding:?}"
    );
    assert!(
        asked.elapsed() < Duration::from_millis(500),
        "before the slow source's budget is over"
    );
    let line = next_line(&mut inbox, &mut Vec::new()).await;
    assert_eq!(line.status, LineStatus::Timeout);
    assert!(
        (600..2000).contains(&line.elapsed_ms),
        "{}",
        line.elapsed_ms
    );
    loop {
        let InputKind::Found { finding, .. } = next(&mut inbox).await else {
            continue;
        };
        if let Finding::Failed { source, reason } = *finding
            && source == "history"
        {
            assert!(reason.contains("2 s"), "{reason}");
            break;
        }
    }
}

#[tokio::test]
async fn a_dead_source_fails_and_the_rest_of_the_record_is_there() {
    // A port that was free a moment ago and that nobody listens on.
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let source = LineDataSource {
        url: format!("http://127.0.0.1:{port}/line/{{number}}"),
        timeout: Duration::from_millis(800),
        bearer: None,
    };
    let (enrichment, mut inbox) = start(Some(source), Past::Broken);
    enrichment.ask(call(1), question(Some("+8613800138000")));
    let mut kinds = [false; 3];
    while kinds != [true; 3] {
        let InputKind::Found { finding, .. } = next(&mut inbox).await else {
            continue;
        };
        match *finding {
            Finding::Line(line) => kinds[0] = line.status == LineStatus::Failed,
            Finding::Network(_) => kinds[1] = true,
            Finding::Failed { source, reason } if source == "history" => {
                kinds[2] = reason.contains("locked")
            }
            Finding::Failed { .. } | Finding::Location(_) | Finding::History { .. } => {}
        }
    }
}

#[tokio::test]
async fn more_questions_than_can_wait_are_answered_at_once() {
    let service = Arc::new(Service {
        delay: Duration::from_secs(30),
        ..Service::new(FULL)
    });
    let source = service.serve(20_000).await;
    let (enrichment, mut inbox) = start(Some(source), Past::Silent);
    let asked = Instant::now();
    for n in 0..1200 {
        enrichment.ask(call(n), question(Some("+8613800138000")));
    }
    assert!(
        asked.elapsed() < Duration::from_secs(1),
        "asking never blocks: {:?}",
        asked.elapsed()
    );
    loop {
        if let InputKind::Found { finding, .. } = next(&mut inbox).await
            && let Finding::Failed { source, reason } = *finding
            && source == "enrichment"
        {
            assert!(reason.contains("too many"));
            break;
        }
    }
}
