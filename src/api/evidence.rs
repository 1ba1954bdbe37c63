//! The evidence of a mark as one signed ZIP, for the police: what was said, by whom, and what was heard.
//!
//! ```text
//! manifest.json        the mark and its verdicts, each call with times, prompts and hashes, every file's SHA-256
//! manifest.sig         Ed25519 (RFC 8032) over manifest.json, 64 bytes
//! public-key.pem       the key to check with; compare it with the one that the centre gave you
//! records/CALL.json    the call record
//! recordings/*.wav     the audio, unchanged
//! README.txt           how to check, with openssl
//! ```

use std::fs::File;
use std::io::{Read as _, Seek as _, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use axum::body::{Body, Bytes};
use base64::Engine as _;
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::io::AsyncReadExt as _;
use uuid::Uuid;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use super::App;
use super::problem::Problem;
use crate::switch::MarkView;
use crate::time::Timestamp;

/// Calls in one bundle; the newest are kept, and the manifest says how many were left out.
const CALLS_MAX: usize = 100;
/// Calls of the number looked through.
const SEARCHED: u32 = 500;
const PIECE_BYTES: usize = 64 * 1024;
/// DER of a SubjectPublicKeyInfo for Ed25519 (RFC 8410) up to the key itself.
const SPKI: [u8; 12] = [
    0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
];
const README: &str = "\
本文件包为 120 中心标记骚扰呼叫的证据。This is the evidence of a mark on a number.

验证 To check it (OpenSSL 3):
  openssl pkeyutl -verify -pubin -inkey public-key.pem -rawin -in manifest.json -sigfile manifest.sig
  sha256sum recordings/*.wav records/*.json     # 与 manifest.json 中 files 比对 compare with files in manifest.json
public-key.pem 须与中心另行公布的公钥一致。Compare public-key.pem with the key that the centre has published.
";

/// Why no bundle came to be.
#[derive(Debug, thiserror::Error)]
pub enum EvidenceError {
    #[error("{path}: {source}")]
    File {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("the ZIP cannot be written: {0}")]
    Zip(#[from] zip::result::ZipError),
    #[error("the ZIP cannot be written: {0}")]
    Write(#[from] std::io::Error),
    #[error("the manifest cannot be written: {0}")]
    Manifest(#[from] serde_json::Error),
    /// Not an Ed25519 key.
    #[error(
        "{path} holds no Ed25519 private key in PEM; make one: openssl genpkey -algorithm ed25519 -out {path}"
    )]
    Key { path: PathBuf },
}

/// Signs bundles.
#[derive(Debug)]
pub struct Signer(Ed25519KeyPair);

impl Signer {
    /// The key in a PKCS#8 PEM file, as `openssl genpkey -algorithm ed25519` writes it.
    ///
    /// # Errors
    /// [`EvidenceError`]: the file cannot be read or is no such key.
    pub fn load(path: &Path) -> Result<Self, EvidenceError> {
        let text = std::fs::read_to_string(path).map_err(file_error(path))?;
        let body: String = text.lines().filter(|line| !line.starts_with('-')).collect();
        let key = base64::engine::general_purpose::STANDARD
            .decode(body.trim())
            .ok()
            .and_then(|der| Ed25519KeyPair::from_pkcs8_maybe_unchecked(&der).ok());
        key.map(Self).ok_or_else(|| EvidenceError::Key {
            path: path.to_owned(),
        })
    }

    fn public_pem(&self) -> String {
        let der: Vec<u8> = SPKI
            .iter()
            .chain(self.0.public_key().as_ref())
            .copied()
            .collect();
        let body = base64::engine::general_purpose::STANDARD.encode(der);
        format!("-----BEGIN PUBLIC KEY-----\n{body}\n-----END PUBLIC KEY-----\n")
    }
}

/// What goes into one ZIP.
pub(super) struct Bundle {
    pub(super) made_by: String,
    pub(super) made_at: Timestamp,
    pub(super) mark: MarkView,
    pub(super) calls: Calls,
}

/// The calls that speak for a mark.
pub(super) struct Calls {
    /// Record, and its sealed recordings with their files.
    found: Vec<(Value, Vec<(Value, PathBuf)>)>,
    left_out: usize,
}

/// The calls of the number from the day before the proposal on, and those that were named in it, oldest first.
pub(super) async fn calls_of(app: &App, mark: &MarkView) -> Result<Calls, Problem> {
    let records = app.store.records(Some(&mark.e164), SEARCHED).await;
    let mut records = records.map_err(|error| Problem::store(&error))?;
    let day = 24 * 60 * 60 * 1_000_000;
    let from = Timestamp::from_micros(mark.proposed_at.as_micros() - day).rfc3339();
    let named: Vec<String> = mark
        .evidence
        .iter()
        .chain([&mark.call])
        .map(ToString::to_string)
        .collect();
    records.retain(|record| {
        let received = record["times"]["received"].as_str().unwrap_or_default();
        let id = record["call_id"].as_str().unwrap_or_default();
        received >= from.as_str() || named.iter().any(|one| one == id)
    });
    let left_out = records.len().saturating_sub(CALLS_MAX);
    records.truncate(CALLS_MAX);
    records.reverse();
    let found = records
        .into_iter()
        .map(|record| {
            let all = record["recordings"].as_array().into_iter().flatten();
            let sealed = all
                .filter(|one| one["sha256"].is_string())
                .filter_map(|one| Some((one.clone(), app.file_of(one)?)))
                .collect();
            (record, sealed)
        })
        .collect();
    Ok(Calls { found, left_out })
}

impl Bundle {
    /// Writes the ZIP into a file without a name in `dir` and hands it back from its beginning.
    pub(super) fn write(&self, dir: &Path, signer: &Signer) -> Result<File, EvidenceError> {
        std::fs::create_dir_all(dir).map_err(file_error(dir))?;
        let path = dir.join(format!(".evidence-{}.zip", Uuid::new_v4()));
        let file = File::options()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .map_err(file_error(&path))?;
        // Whatever happens from here on, nothing of it stays on the disk.
        std::fs::remove_file(&path).map_err(file_error(&path))?;
        let mut pack = Pack {
            zip: ZipWriter::new(file),
            files: Vec::new(),
        };
        let calls = self
            .calls
            .found
            .iter()
            .map(|(record, sealed)| pack.call(record, sealed))
            .collect::<Result<Vec<_>, _>>()?;
        pack.text("README.txt", README)?;
        let manifest = json!({
            "schema": "firstring-evidence/1",
            "made_at": self.made_at.rfc3339(),
            "made_by": self.made_by,
            "number": self.mark.e164,
            "mark": self.mark.mark,
            "state": self.mark.state,
            "verdicts": verdicts(&self.mark),
            "score": self.mark.score,
            "calls": calls,
            "calls_left_out": self.calls.left_out,
            "files": pack.files,
        });
        let manifest = serde_json::to_string_pretty(&manifest)?;
        let signature = signer.0.sign(manifest.as_bytes());
        pack.add("manifest.json", manifest.as_bytes())?;
        pack.add("manifest.sig", signature.as_ref())?;
        pack.add("public-key.pem", signer.public_pem().as_bytes())?;
        let mut file = pack.zip.finish()?;
        file.rewind()?;
        Ok(file)
    }
}

/// What people said of the number, in order.
fn verdicts(mark: &MarkView) -> Vec<Value> {
    let mut said = vec![json!({
        "verdict": "proposed", "at": mark.proposed_at.rfc3339(), "by": mark.proposed_by,
        "reason": mark.reason, "call": mark.call,
    })];
    if let (Some(by), Some(at)) = (&mark.confirmed_by, mark.confirmed_at) {
        said.push(json!({"verdict": "confirmed", "at": at.rfc3339(), "by": by}));
    }
    if let Some(at) = mark.ended_at {
        said.push(json!({
            "verdict": mark.state, "at": at.rfc3339(), "by": mark.ended_by, "reason": mark.ended_why,
        }));
    }
    said
}

/// A ZIP on its way, and the hash of each file in it.
struct Pack {
    zip: ZipWriter<File>,
    files: Vec<Value>,
}

impl Pack {
    fn begin(&mut self, name: &str) -> Result<(), EvidenceError> {
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Stored)
            .large_file(true);
        Ok(self.zip.start_file(name, options)?)
    }

    /// A file that the manifest does not speak of: it, its signature, its key.
    fn add(&mut self, name: &str, bytes: &[u8]) -> Result<(), EvidenceError> {
        self.begin(name)?;
        Ok(self.zip.write_all(bytes)?)
    }

    fn text(&mut self, name: &str, text: &str) -> Result<String, EvidenceError> {
        self.add(name, text.as_bytes())?;
        Ok(self.note(name, text.len(), Sha256::digest(text.as_bytes()).as_ref()))
    }

    /// Copies a file as it is; gives its SHA-256.
    fn copy(&mut self, name: &str, path: &Path) -> Result<String, EvidenceError> {
        let mut from = File::open(path).map_err(file_error(path))?;
        self.begin(name)?;
        let (mut hash, mut bytes) = (Sha256::new(), 0);
        let mut piece = vec![0; PIECE_BYTES];
        loop {
            let got = from.read(&mut piece).map_err(file_error(path))?;
            let Some(part) = piece.get(..got).filter(|part| !part.is_empty()) else {
                break;
            };
            hash.update(part);
            self.zip.write_all(part)?;
            bytes += got;
        }
        Ok(self.note(name, bytes, hash.finalize().as_ref()))
    }

    fn note(&mut self, name: &str, bytes: usize, hash: &[u8]) -> String {
        let sha256: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        self.files
            .push(json!({"name": name, "bytes": bytes, "sha256": sha256}));
        sha256
    }

    /// One call: its record, its audio, and what the manifest says of it.
    fn call(
        &mut self,
        record: &Value,
        sealed: &[(Value, PathBuf)],
    ) -> Result<Value, EvidenceError> {
        let id = record["call_id"].as_str().unwrap_or("unknown");
        self.text(
            &format!("records/{id}.json"),
            &serde_json::to_string_pretty(record)?,
        )?;
        let recordings = sealed
            .iter()
            .map(|(one, path)| self.recording(id, one, path))
            .collect::<Result<Vec<_>, _>>()?;
        let seats = record["seats"].as_array().map_or_else(Vec::new, |seats| {
            seats.iter().map(|seat| seat["seat_id"].clone()).collect()
        });
        Ok(json!({
            "call_id": id,
            "serial_no": record["serial_no"],
            "received": record["times"]["received"],
            "answered": record["times"]["answered"],
            "ended": record["end"]["at"],
            "result": record["end"]["result"],
            "talk_ms": record["metrics"]["talk_ms"],
            "seats": seats,
            "prompts": prompts(record),
            "recordings": recordings,
        }))
    }

    /// One recording, unchanged; a missing file is said, not passed over.
    fn recording(
        &mut self,
        call: &str,
        sealed: &Value,
        path: &Path,
    ) -> Result<Value, EvidenceError> {
        // A link in place of the recorder's file could lead anywhere.
        if !std::fs::symlink_metadata(path).is_ok_and(|found| found.is_file()) {
            return Ok(json!({"sha256_when_sealed": sealed["sha256"], "missing": true}));
        }
        let id = sealed["id"].as_str().unwrap_or("1");
        let name = format!("recordings/{call}-{id}.wav");
        let sha256 = self.copy(&name, path)?;
        let unchanged = sealed["sha256"] == json!(sha256);
        Ok(json!({
            "file": name, "sha256": sha256, "sha256_when_sealed": sealed["sha256"], "unchanged": unchanged,
        }))
    }
}

/// What the caller was greeted with, and when.
fn prompts(record: &Value) -> Vec<Value> {
    let education = &record["screening"]["education_at"];
    let (prompt, at) = if education.is_string() {
        ("education", education)
    } else {
        ("greeting", &record["times"]["ivr_start"])
    };
    let at = at.as_str().map(|at| json!({"prompt": prompt, "at": at}));
    at.into_iter().collect()
}

fn file_error(path: &Path) -> impl Fn(std::io::Error) -> EvidenceError + '_ {
    move |source| EvidenceError::File {
        path: path.to_owned(),
        source,
    }
}

/// A file as a body, piece by piece.
pub(super) fn stream(file: File) -> Body {
    let file = tokio::fs::File::from_std(file);
    Body::from_stream(futures_util::stream::try_unfold(file, |mut file| async {
        let mut piece = vec![0; PIECE_BYTES];
        let got = file.read(&mut piece).await?;
        piece.truncate(got);
        Ok::<_, std::io::Error>((got > 0).then(|| (Bytes::from(piece), file)))
    }))
}
