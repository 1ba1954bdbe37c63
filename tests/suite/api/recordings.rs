//! Recordings over HTTP: what is served, in which ranges, and the trace that each playback leaves.

use axum::body::Body;
use axum::http::Request;
use serde_json::json;

use crate::support::desk::{Answer, Desk, secret};
use crate::support::one_call;

async fn recorded() -> (Desk, String, Vec<u8>) {
    let desk = Desk::new().await;
    let script = one_call::answered(1, "13800138000");
    desk.happened(&script.events).await;
    let bytes = desk.record_audio();
    (desk, script.call.to_string(), bytes)
}

async fn play(desk: &Desk, method: &str, role: &str, call: &str, range: Option<&str>) -> Answer {
    let mut request = Request::builder()
        .method(method)
        .uri(format!("/api/v1/recordings/{call}/audio"))
        .header("authorization", format!("Bearer {}", secret(role)));
    if let Some(range) = range {
        request = request.header("range", range);
    }
    desk.answer(request.body(Body::empty()).unwrap()).await
}

async fn playbacks(desk: &Desk, call: &str) -> Vec<String> {
    let list = desk
        .get("admin", &format!("/api/v1/audit?subject={call}"))
        .await
        .json();
    let list = list.as_array().unwrap().clone();
    assert!(
        list.iter()
            .all(|entry| entry["action"] == "recording.played" && entry["at"].is_string())
    );
    list.iter()
        .map(|entry| entry["actor"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn audio_is_served_whole_and_in_ranges() {
    let (desk, call, bytes) = recorded().await;
    let whole = play(&desk, "GET", "seat", &call, None).await;
    assert_eq!((whole.status, whole.bytes.len()), (200, bytes.len()));
    assert!(whole.bytes == bytes && whole.header("accept-ranges") == "bytes");
    assert!(
        whole.header("content-type").contains("wav"),
        "{}",
        whole.header("content-type")
    );
    let part = play(&desk, "GET", "seat", &call, Some("bytes=100-199")).await;
    assert_eq!((part.status, &part.bytes[..]), (206, &bytes[100..200]));
    assert_eq!(
        part.header("content-range"),
        format!("bytes 100-199/{}", bytes.len())
    );
    assert_eq!(
        play(&desk, "GET", "seat", &call, Some("bytes=99999999-"))
            .await
            .status,
        416
    );
}

#[tokio::test]
async fn each_playback_is_one_audit_entry_and_no_playback_is_without_one() {
    let (desk, call, _) = recorded().await;
    play(&desk, "HEAD", "seat", &call, None).await;
    assert!(
        playbacks(&desk, &call).await.is_empty(),
        "nobody has heard anything"
    );
    play(&desk, "GET", "seat", &call, Some("bytes=0-")).await;
    play(&desk, "GET", "seat", &call, Some("bytes=4000-")).await;
    play(&desk, "GET", "seat", &call, Some("bytes=8000-9000")).await;
    assert_eq!(
        playbacks(&desk, &call).await,
        ["seat-person"],
        "jumping about is the same playback"
    );
    // Who begins in the middle has heard it as well.
    play(&desk, "GET", "supervisor", &call, Some("bytes=1-")).await;
    assert_eq!(
        playbacks(&desk, &call).await,
        ["supervisor-person", "seat-person"]
    );
    play(&desk, "GET", "seat", &call, None).await;
    assert_eq!(
        playbacks(&desk, &call).await.len(),
        3,
        "from the beginning again"
    );
    play(&desk, "GET", "module", &call, None).await;
    assert_eq!(
        playbacks(&desk, &call).await.len(),
        3,
        "a refused one heard nothing"
    );
}

#[tokio::test]
async fn a_link_in_place_of_the_file_is_not_followed() {
    let (desk, call, _) = recorded().await;
    let path = desk.dir.path().join("recordings/2026/11/22/call.wav");
    std::fs::remove_file(&path).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", &path).unwrap();
    let answer = play(&desk, "GET", "admin", &call, None).await;
    assert_eq!(
        (answer.status, answer.json()["code"].as_str()),
        (404, Some("audio_missing"))
    );
    assert!(playbacks(&desk, &call).await.is_empty());
}

#[tokio::test]
async fn metadata_and_peaks_have_one_lane_per_party() {
    let (desk, call, _) = recorded().await;
    let metadata = desk
        .get("seat", &format!("/api/v1/recordings/{call}"))
        .await
        .json();
    assert_eq!(metadata["sha256"], json!("a".repeat(64)));
    let peaks = desk
        .get(
            "seat",
            &format!("/api/v1/recordings/{call}/peaks?points=50"),
        )
        .await
        .json();
    let tracks = peaks["tracks"].as_array().unwrap();
    assert_eq!((tracks.len(), &tracks[0]["party"]), (2, &json!("caller")));
    let loudest = |lane: usize| {
        let lane = tracks[lane]["peaks"].as_array().unwrap();
        assert_eq!(lane.len(), 50);
        lane.iter()
            .map(|peak| peak.as_f64().unwrap())
            .fold(0.0, f64::max)
    };
    assert!(
        loudest(0) > 0.9 && loudest(1) < 0.01,
        "{} {}",
        loudest(0),
        loudest(1)
    );
}
