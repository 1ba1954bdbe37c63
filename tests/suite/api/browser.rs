//! Sessions, cookies, foreign pages, and what a page may load.

use axum::body::Body;
use axum::http::Request;
use serde_json::json;

use crate::support::desk::{Desk, HOSTILE, caller, secret};

async fn sign_in(desk: &Desk, role: &str) -> String {
    let link = desk.app.gatekeeper.one_time_link(caller(role));
    let answer = desk.get("nobody", &format!("/login?t={link}")).await;
    assert_eq!(answer.status, 303);
    let cookie = answer.header("set-cookie").to_owned();
    assert_eq!(
        desk.get("nobody", &format!("/login?t={link}")).await.status,
        401,
        "a link opens once"
    );
    cookie
}

fn ready(cookie: &str, headers: &[(&str, &str)]) -> Request<Body> {
    let mut request = Request::post("/api/v1/seats/801/ready")
        .header("host", "120.example")
        .header("cookie", cookie.split(';').next().unwrap());
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(Body::empty()).unwrap()
}

#[tokio::test]
async fn one_time_link_becomes_a_cookie_that_no_script_and_no_other_site_can_use() {
    let desk = Desk::new().await;
    let cookie = sign_in(&desk, "seat").await;
    for attribute in ["HttpOnly", "SameSite=Strict", "Secure", "Path=/"] {
        assert!(
            cookie.split("; ").any(|one| one == attribute),
            "{attribute}: {cookie}"
        );
    }
    assert_eq!(desk.answer(ready(&cookie, &[])).await.status, 200);
    assert_eq!(
        desk.answer(ready("firstring_session=guess", &[]))
            .await
            .status,
        401
    );
    assert_eq!(desk.get("nobody", "/login?t=guess").await.status, 401);
    assert_eq!(desk.get("nobody", "/login").await.status, 422);
}

#[tokio::test]
async fn a_foreign_page_cannot_command_with_the_browsers_cookie() {
    let desk = Desk::new().await;
    let cookie = sign_in(&desk, "seat").await;
    for headers in [
        [("sec-fetch-site", "cross-site")],
        [("sec-fetch-site", "same-site")],
        [("origin", "https://evil.example")],
        [("origin", "null")],
    ] {
        let answer = desk.answer(ready(&cookie, &headers)).await;
        assert_eq!(
            (answer.status, answer.json()["code"].as_str()),
            (403, Some("cross_site")),
            "{headers:?}"
        );
    }
    assert!(desk.taken.lock().unwrap().is_empty());
    let own = [
        ("sec-fetch-site", "same-origin"),
        ("origin", "https://120.example"),
    ];
    assert_eq!(desk.answer(ready(&cookie, &own)).await.status, 200);
    // A program with a token is no browser.
    let bearer = format!("Bearer {}", secret("seat"));
    let program = [
        ("authorization", bearer.as_str()),
        ("origin", "https://cad.example"),
    ];
    assert_eq!(desk.answer(ready("a=b", &program)).await.status, 200);
}

#[tokio::test]
async fn a_session_has_the_rights_of_its_link_and_no_more() {
    let desk = Desk::new().await;
    let cookie = sign_in(&desk, "seat").await;
    let request = Request::get("/api/v1/audit")
        .header("cookie", cookie.split(';').next().unwrap())
        .body(Body::empty())
        .unwrap();
    assert_eq!(desk.answer(request).await.status, 403);
}

#[tokio::test]
async fn pages_run_only_their_own_scripts_and_answers_are_kept_by_nobody() {
    let desk = Desk::new().await;
    let page = desk.get("nobody", "/").await;
    let policy = page.header("content-security-policy");
    assert!(
        policy.contains("script-src 'self'") && policy.contains("style-src 'self'"),
        "{policy}"
    );
    assert!(
        !policy.contains("unsafe") && policy.contains("frame-ancestors 'none'"),
        "{policy}"
    );
    let html = page.text();
    for bad in [
        "<script>",
        "onclick=",
        "style=",
        "http://",
        "https://",
        "javascript:",
    ] {
        assert!(!html.contains(bad), "the page has {bad}");
    }
    for file in html
        .split('"')
        .filter(|part| part.starts_with('/') && part.contains('.'))
    {
        assert_eq!(desk.get("nobody", file).await.status, 200, "{file}");
    }
    assert_eq!(desk.get("nobody", "/../Cargo.toml").await.status, 404);
    assert_eq!(desk.get("nobody", "/%2e%2e/Cargo.toml").await.status, 404);
    let view = desk.get("seat", "/api/v1/view").await;
    assert_eq!(view.header("cache-control"), "no-store");
    assert_eq!(view.header("x-content-type-options"), "nosniff");
    // A caller's text travels as JSON text; the page puts it into text nodes only.
    assert_eq!(view.json()["calls"][1]["caller"], json!(HOSTILE));
    assert_eq!(view.header("content-type"), "application/json");
}

/// Text of callers becomes text: no page has a way to make markup of it.
#[test]
fn no_page_makes_markup_of_text() {
    let root = env!("CARGO_MANIFEST_DIR");
    for folder in ["src/console/web", "src/modules/pages"] {
        for file in std::fs::read_dir(format!("{root}/{folder}")).unwrap() {
            let path = file.unwrap().path();
            let text = std::fs::read_to_string(&path).unwrap();
            for bad in [
                "innerHTML",
                "outerHTML",
                "insertAdjacentHTML",
                "document.write",
                "eval(",
                "new Function",
                "DOMParser",
                "setAttribute('on",
            ] {
                assert!(!text.contains(bad), "{} has {bad}", path.display());
            }
        }
    }
}
