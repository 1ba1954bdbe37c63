//! Recordings: metadata, peaks for a picture, and the audio. Each playback is an audit entry.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read as _};
use std::path::{Path as FilePath, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use axum::Json;
use axum::extract::{Path, Request, State};
use axum::http::{Method, StatusCode};
use axum::response::Response;
use futures_util::StreamExt as _;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tower_http::services::ServeFile;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::App;
use super::auth::Caller;
use super::problem::{Asked, Problem};
use crate::clock::Clock;
use crate::media::session::Codec;
use crate::media::wav;
use crate::switch::Role;
use crate::time::{Millis, Timestamp};

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(recording))
        .routes(routes!(audio))
        .routes(routes!(peaks))
}

/// Ranges asked within this time of each other belong to one playback.
const PLAYBACK: Millis = Millis::from_secs(600);
/// Playbacks remembered at once.
const PLAYBACKS_MAX: usize = 1000;

/// Who may hear recordings.
const LISTENERS: [Role; 2] = [Role::Seat, Role::Supervisor];

/// A call's sealed recording: tracks, duration, gaps, SHA-256.
///
/// Roles: seat, supervisor.
#[utoipa::path(get, path = "/recordings/{call}", tag = "recordings", params(("call" = String, Path), Which),
    responses((status = 200, body = Object), (status = 404, body = Problem, content_type = "application/problem+json")))]
async fn recording(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(call): Path<String>,
    Asked(which): Asked<Which>,
) -> Result<Json<Value>, Problem> {
    caller.require(&LISTENERS)?;
    app.sealed(&call, &which)
        .await
        .map(|(metadata, _)| Json(metadata))
}

/// The audio: a WAV (A-law, 8 kHz) with one channel per party; ranges are served.
///
/// Each playback is an entry of the audit list: a request from the beginning, or from anywhere when the caller has not
/// played this call in the last ten minutes.
///
/// Roles: seat, supervisor.
#[utoipa::path(get, path = "/recordings/{call}/audio", tag = "recordings", params(("call" = String, Path), Which),
    responses((status = 200, description = "audio/wav"), (status = 206, description = "a range of it"), (status = 404, body = Problem, content_type = "application/problem+json"), (status = 503, description = "the playback cannot be audited now", body = Problem, content_type = "application/problem+json")))]
async fn audio(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(call): Path<String>,
    Asked(which): Asked<Which>,
    request: Request,
) -> Result<Response, Problem> {
    caller.require(&LISTENERS)?;
    let (_, path) = app.sealed(&call, &which).await?;
    // A link in place of the recorder's file could lead anywhere.
    let is_file = tokio::fs::symlink_metadata(&path)
        .await
        .is_ok_and(|found| found.is_file());
    if !is_file {
        return Err(missing("it is not where the recorder put it"));
    }
    let range = request.headers().get("range");
    let from_start = range.is_none_or(|range| range.as_bytes().starts_with(b"bytes=0-"));
    let now = Clock::process().now();
    if request.method() == Method::GET && app.playbacks.begins(&caller.name, &call, from_start, now)
    {
        let audited = app
            .store
            .audit(now, &caller.name, "recording.played", &call)
            .await;
        audited.map_err(|error| {
            app.playbacks.forget(&caller.name, &call);
            Problem::store(&error)
        })?; // no playback without its trace
    }
    match ServeFile::new(path).try_call(request).await {
        // Sound stops in the middle when the token is taken back.
        Ok(response) => Ok(response.map(|file| {
            let bytes = axum::body::Body::new(file).into_data_stream();
            axum::body::Body::from_stream(bytes.take_until(app.gatekeeper.revoked(&caller)))
        })),
        Err(error) => Err(missing(&format!("it cannot be read: {error}"))),
    }
}

fn missing(why: &str) -> Problem {
    Problem::new(
        StatusCode::NOT_FOUND,
        "audio_missing",
        format!("the recording's file is missing: {why}"),
    )
}

/// Who plays what: tells a new playback from the further ranges of one.
#[derive(Default)]
pub struct Playbacks(Mutex<BTreeMap<(String, String), Timestamp>>);

impl Playbacks {
    /// Whether this request begins a playback.
    fn begins(&self, who: &str, call: &str, from_start: bool, now: Timestamp) -> bool {
        let mut playing = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        playing.retain(|_, at| *at + PLAYBACK > now);
        if playing.len() >= PLAYBACKS_MAX {
            playing.clear(); // one entry too many is better than one missing
        }
        let known = playing.insert((who.to_owned(), call.to_owned()), now);
        from_start || known.is_none()
    }

    fn forget(&self, who: &str, call: &str) {
        let mut playing = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        playing.remove(&(who.to_owned(), call.to_owned()));
    }
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Which {
    /// One of the record's recordings; a call that went on after a restart has several. Else the newest.
    recording: Option<String>,
}

impl Which {
    fn is(&self, one: &Value) -> bool {
        let named = self.recording.as_ref().is_none_or(|id| one["id"] == **id);
        named && one["sha256"].is_string()
    }
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Wanted {
    /// Points per track, 10-4000.
    #[serde(default = "points")]
    points: u32,
}

const fn points() -> u32 {
    600
}

/// What a picture of a recording needs.
#[derive(Serialize, ToSchema)]
struct Peaks {
    duration_ms: u64,
    tracks: Vec<TrackPeaks>,
}

/// One lane.
#[derive(Serialize, ToSchema)]
struct TrackPeaks {
    party: String,
    /// Loudest sample of each span, 0-1.
    peaks: Vec<f32>,
}

/// Peaks per track, for a waveform with one lane per party.
///
/// Roles: seat, supervisor.
#[utoipa::path(get, path = "/recordings/{call}/peaks", tag = "recordings", params(("call" = String, Path), Which, Wanted),
    responses((status = 200, body = Peaks), (status = 404, body = Problem, content_type = "application/problem+json")))]
async fn peaks(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(call): Path<String>,
    Asked(which): Asked<Which>,
    Asked(wanted): Asked<Wanted>,
) -> Result<Json<Peaks>, Problem> {
    caller.require(&LISTENERS)?;
    let (metadata, path) = app.sealed(&call, &which).await?;
    let points = usize::try_from(wanted.points.clamp(10, 4000)).unwrap_or(600);
    let lanes = tokio::task::spawn_blocking(move || read_peaks(&path, points)).await;
    let lanes = lanes
        .map_err(|error| Problem::store(&error))?
        .map_err(|error| Problem::store(&error))?;
    let names = metadata["tracks"].as_array().cloned().unwrap_or_default();
    let tracks = lanes
        .into_iter()
        .enumerate()
        .map(|(n, peaks)| TrackPeaks {
            party: names
                .get(n)
                .and_then(|track| track["party"].as_str())
                .unwrap_or("?")
                .to_owned(),
            peaks,
        })
        .collect();
    Ok(Json(Peaks {
        duration_ms: metadata["duration_ms"].as_u64().unwrap_or(0),
        tracks,
    }))
}

impl App {
    /// Metadata and file of a call's sealed recording.
    async fn sealed(&self, call: &str, which: &Which) -> Result<(Value, PathBuf), Problem> {
        let record = self.record(call).await?;
        let sealed = record["recordings"]
            .as_array()
            .and_then(|all| all.iter().rev().find(|one| which.is(one)).cloned());
        let sealed = sealed.ok_or_else(|| Problem::unknown("sealed recording of call", call))?;
        let path = self.file_of(&sealed);
        let path = path.ok_or_else(|| Problem::unknown("recording of call", call))?;
        Ok((sealed, path))
    }

    /// The file of a sealed recording. Paths are made by the recorder; anything that could leave its directory is not one
    /// of them.
    pub(super) fn file_of(&self, sealed: &Value) -> Option<PathBuf> {
        let relative = FilePath::new(sealed["uri"].as_str().unwrap_or_default());
        let inside = relative
            .components()
            .all(|part| matches!(part, std::path::Component::Normal(_)));
        inside.then(|| self.recordings.join(relative))
    }
}

/// Loudest sample per span and channel of an A-law WAV, read once in order.
fn read_peaks(path: &FilePath, points: usize) -> std::io::Result<Vec<Vec<f32>>> {
    let mut file = BufReader::with_capacity(1 << 16, File::open(path)?);
    let mut head = [0_u8; wav::HEADER_BYTES];
    file.read_exact(&mut head)?;
    let info = wav::parse(&head)
        .map_err(|error| std::io::Error::new(std::io::ErrorKind::InvalidData, error.to_string()))?;
    let channels = usize::from(info.channels).max(1);
    let frames = usize::try_from(info.data_bytes).unwrap_or(usize::MAX) / channels;
    let span = frames.div_ceil(points).max(1);
    let mut lanes = vec![Vec::with_capacity(points); channels];
    let mut bytes = vec![0_u8; span * channels];
    let mut samples = vec![0_i16; span];
    let mut lane_bytes = vec![0_u8; span];
    for _ in 0..points {
        let got = read_up_to(&mut file, &mut bytes)?;
        if got < channels {
            break;
        }
        for (channel, lane) in lanes.iter_mut().enumerate() {
            let mut count = 0;
            for (to, from) in lane_bytes
                .iter_mut()
                .zip(bytes.iter().take(got).skip(channel).step_by(channels))
            {
                *to = *from;
                count += 1;
            }
            let payload = lane_bytes.get(..count).unwrap_or_default();
            let decoded = Codec::Pcma.decode_into(payload, &mut samples);
            let loudest = samples
                .iter()
                .take(decoded)
                .map(|sample| sample.unsigned_abs())
                .max()
                .unwrap_or(0);
            lane.push(f32::from(loudest) / 32768.0);
        }
    }
    Ok(lanes)
}

fn read_up_to(file: &mut impl std::io::Read, bytes: &mut [u8]) -> std::io::Result<usize> {
    let mut got = 0;
    while got < bytes.len() {
        match file.read(bytes.get_mut(got..).unwrap_or_default())? {
            0 => break,
            n => got += n,
        }
    }
    Ok(got)
}
