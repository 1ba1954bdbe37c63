//! Marks over HTTP: who may do what is in the matrix; here, the evidence is opened and checked as the police would.

use std::io::{Cursor, Read as _};

use firstring::switch::{Actor, Command};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use zip::ZipArchive;

use crate::support::desk::{Answer, Desk, request};
use crate::support::one_call;

type Zip = ZipArchive<Cursor<Vec<u8>>>;

async fn marked() -> (Desk, String, String) {
    let desk = Desk::new().await;
    let script = one_call::answered(1, "13800138000");
    desk.happened(&script.events).await;
    desk.record_audio();
    let mark = desk.mark().to_string();
    (desk, script.call.to_string(), mark)
}

async fn export(desk: &Desk, role: &str, mark: &str) -> Answer {
    let path = format!("/api/v1/marks/{mark}/evidence");
    desk.answer(request("GET", &path, role, None)).await
}

fn file(zip: &mut Zip, name: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut file = zip
        .by_name(name)
        .unwrap_or_else(|error| panic!("{name}: {error}"));
    file.read_to_end(&mut bytes).unwrap();
    bytes
}

fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect()
}

/// The raw key in a SubjectPublicKeyInfo.
fn public_key(pem: &[u8]) -> Vec<u8> {
    use base64::Engine as _;
    let text = String::from_utf8(pem.to_vec()).unwrap();
    let body: String = text.lines().filter(|l| !l.starts_with('-')).collect();
    let der = base64::engine::general_purpose::STANDARD
        .decode(body)
        .unwrap();
    der[der.len() - 32..].to_vec()
}

fn verifies(manifest: &[u8], signature: &[u8], key: &[u8]) -> bool {
    ring::signature::UnparsedPublicKey::new(&ring::signature::ED25519, key)
        .verify(manifest, signature)
        .is_ok()
}

#[tokio::test]
async fn evidence_holds_calls_verdicts_and_recordings_and_its_signature_and_hashes_verify() {
    let (desk, call, mark) = marked().await;
    let answer = export(&desk, "supervisor", &mark).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.header("content-type"), "application/zip");
    let mut zip = ZipArchive::new(Cursor::new(answer.bytes)).expect("a ZIP");
    let manifest = file(&mut zip, "manifest.json");
    let signature = file(&mut zip, "manifest.sig");
    let key = public_key(&file(&mut zip, "public-key.pem"));
    assert!(verifies(&manifest, &signature, &key), "the signature fits");
    let mut other = manifest.clone();
    other[100] ^= 1;
    assert!(!verifies(&other, &signature, &key), "and fits nothing else");
    let told: Value = serde_json::from_slice(&manifest).unwrap();
    assert_eq!(told["number"], "+8613800138000");
    let said: Vec<_> = told["verdicts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|v| (&v["verdict"], &v["by"]))
        .collect();
    assert_eq!(
        said,
        [
            (&json!("proposed"), &json!("seat 801")),
            (&json!("confirmed"), &json!("supervisor 800"))
        ]
    );
    let one = &told["calls"][0];
    assert_eq!(one["call_id"], json!(call));
    assert!(
        one["received"].is_string() && one["answered"].is_string() && one["result"] == "answered"
    );
    let recording = &one["recordings"][0];
    let wav = file(&mut zip, recording["file"].as_str().unwrap());
    assert_eq!(recording["sha256"], json!(hex(&wav)));
    assert!(wav.starts_with(b"RIFF"));
    let files = told["files"].as_array().unwrap();
    assert_eq!(files.len(), 3, "record, recording, README: {files:?}");
    for listed in files {
        let bytes = file(&mut zip, listed["name"].as_str().unwrap());
        assert_eq!(listed["sha256"], json!(hex(&bytes)), "{listed}");
        assert_eq!(listed["bytes"], json!(bytes.len()));
    }
    let left: Vec<_> = std::fs::read_dir(&desk.app.recordings)
        .unwrap()
        .filter(|e| {
            e.as_ref()
                .unwrap()
                .file_name()
                .to_string_lossy()
                .contains("evidence")
        })
        .collect();
    assert!(left.is_empty(), "nothing stays on the disk: {left:?}");
}

#[tokio::test]
async fn each_export_and_each_step_of_a_verdict_is_an_audit_entry() {
    let (desk, _, mark) = marked().await;
    assert_eq!(export(&desk, "seat", &mark).await.status, 403);
    assert_eq!(
        export(&desk, "supervisor", &uuid::Uuid::nil().to_string())
            .await
            .status,
        404
    );
    export(&desk, "supervisor", &mark).await;
    export(&desk, "admin", &mark).await;
    for (step, body) in [
        ("confirm", None),
        ("lift", Some(String::from(r#"{"reason":"家属说明"}"#))),
    ] {
        let path = format!("/api/v1/marks/{mark}/{step}");
        let done = desk
            .answer(request("POST", &path, "supervisor", body))
            .await;
        assert_eq!(done.status, 200, "{}", done.text());
    }
    let list = desk
        .get("admin", &format!("/api/v1/audit?subject={mark}"))
        .await
        .json();
    let list: Vec<_> = list
        .as_array()
        .unwrap()
        .iter()
        .rev()
        .filter(|e| !e["action"].as_str().unwrap().starts_with("refused"))
        .map(|e| {
            format!(
                "{} {}",
                e["actor"].as_str().unwrap(),
                e["action"].as_str().unwrap()
            )
        })
        .collect();
    assert_eq!(
        list,
        [
            "supervisor-person evidence.exported",
            "admin-person evidence.exported",
            "supervisor-person mark.confirmed",
            "supervisor-person mark.lifted",
        ]
    );
    let taken = desk.taken.lock().unwrap();
    assert!(
        matches!(&taken[..], [
        (Actor::Supervisor(_), Command::ConfirmVerdict { .. }),
        (Actor::Supervisor(_), Command::LiftVerdict { reason, .. }),
    ] if reason == "家属说明"),
        "{taken:?}"
    );
}
