//! SIPp as carrier against the endpoint on real sockets, with a media gate that only takes notes and a switch that
//! answers at once.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use firstring::call::{LegCommand, LegEvent};
use firstring::config::checked::{Sip, SipListener, Transport, Trunk};
use firstring::sip::endpoint;
use firstring::switch::InputKind;
use tokio::sync::mpsc;

use super::wire_bench::Gate;

fn config(transport: Transport) -> Sip {
    Sip {
        listeners: vec![SipListener {
            id: "main".into(),
            transport,
            bind: "127.0.0.1:0".parse().unwrap(),
            advertised: None,
            tls: None,
            dscp: 0,
        }],
        trunks: vec![Trunk {
            id: "carrier".into(),
            sources: vec!["127.0.0.0/8".parse().unwrap()],
            remote: None,
            transport,
            listener: "main".into(),
            profile: "ims".into(),
        }],
        seats: Vec::new(),
        realm: "120".into(),
        digests: firstring::sip::auth::Algorithm::ALL.to_vec(),
        tls_trust: firstring::config::checked::TlsTrust::Nobody,
        options_every: Duration::from_secs(30),
        profiles: BTreeMap::new(),
    }
}

/// Answers every call; counts what it was told.
async fn answering(
    server: Arc<endpoint::Endpoint>,
    mut inputs: mpsc::Receiver<InputKind>,
    seen: Arc<Mutex<(u32, u32, u32)>>,
) {
    while let Some(input) = inputs.recv().await {
        match input {
            InputKind::Arrived { arrival } => {
                seen.lock().unwrap().0 += 1;
                server
                    .command(arrival.leg, LegCommand::Answer)
                    .await
                    .unwrap();
            }
            InputKind::Leg {
                event: LegEvent::Confirmed,
                ..
            } => seen.lock().unwrap().1 += 1,
            InputKind::Leg {
                event: LegEvent::Ended {
                    by_far_side: true, ..
                },
                ..
            } => seen.lock().unwrap().2 += 1,
            _ => {}
        }
    }
}

/// Runs SIPp to its end; `Err` is what it has to say.
async fn sipp(server: SocketAddr, arguments: &[&str]) -> Result<(), String> {
    let folder = tempfile::tempdir().unwrap();
    let child = tokio::process::Command::new("sipp")
        .current_dir(folder.path())
        .args([
            "-sn",
            "uac",
            "-s",
            "120",
            "-i",
            "127.0.0.1",
            "-nostdin",
            "-timeout",
            "30",
            "-timeout_error",
            "-trace_err",
            "-error_file",
            "errors",
        ])
        .args(arguments)
        .arg(server.to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn();
    let status = child.expect("sipp is installed").wait().await.unwrap();
    let errors = std::fs::read_to_string(folder.path().join("errors")).unwrap_or_default();
    if status.success() {
        Ok(())
    } else {
        Err(format!("{status}: {errors}"))
    }
}

async fn sixty_calls(transport: Transport, arguments: &[&str]) {
    let gate = Gate::new(100);
    let (sender, inputs) = mpsc::channel(1024);
    let server =
        Arc::new(endpoint::start(&config(transport), gate.clone(), sender, Vec::new()).unwrap());
    let address = server.listeners()[0].address;
    let seen = Arc::new(Mutex::new((0, 0, 0)));
    let switch = tokio::spawn(answering(Arc::clone(&server), inputs, Arc::clone(&seen)));
    if let Err(errors) = sipp(address, arguments).await {
        panic!("SIPp: {errors}");
    }
    let deadline = tokio::time::Instant::now() + Duration::from_secs(5);
    while *seen.lock().unwrap() != (60, 60, 60) || gate.open_count() > 0 {
        assert!(
            tokio::time::Instant::now() < deadline,
            "{:?}",
            seen.lock().unwrap()
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(server.sizes().dialogs, 0);
    switch.abort();
}

#[tokio::test]
async fn sipp_sets_up_and_ends_sixty_calls_over_udp() {
    sixty_calls(
        Transport::Udp,
        &["-m", "60", "-r", "60", "-d", "200", "-t", "u1"],
    )
    .await;
}

#[tokio::test]
async fn sipp_sets_up_and_ends_sixty_calls_over_tcp() {
    sixty_calls(
        Transport::Tcp,
        &["-m", "60", "-r", "60", "-d", "200", "-t", "t1"],
    )
    .await;
}
