//! A person signs in on the page with the token of the configuration; the browser keeps a session, never the token.

use axum::body::Body;
use axum::http::Request;
use serde_json::json;

use crate::support::chromium::Chromium;
use crate::support::desk::{Answer, Desk, ROLES, secret, token};

async fn sign_in(desk: &Desk, token: &str, headers: &[(&str, &str)]) -> Answer {
    let mut request = Request::post("/login")
        .header("host", "120.example")
        .header("content-type", "application/json");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let body = json!({ "token": token }).to_string();
    desk.answer(request.body(Body::from(body)).unwrap()).await
}

async fn with_cookie(desk: &Desk, method: &str, path: &str, cookie: &str) -> Answer {
    let request = Request::builder().method(method).uri(path);
    let request = request.header("cookie", cookie.split(';').next().unwrap());
    desk.answer(request.body(Body::empty()).unwrap()).await
}

#[tokio::test]
async fn a_token_opens_a_session_that_ends_at_sign_out_and_with_the_token() {
    let desk = Desk::new().await;
    let wrong = sign_in(&desk, "no token of this centre", &[]).await;
    assert_eq!(wrong.status, 401);
    assert_eq!(wrong.json()["code"], "token_unknown");
    let foreign = sign_in(
        &desk,
        &secret("seat"),
        &[("origin", "https://evil.example")],
    )
    .await;
    assert_eq!(foreign.status, 403, "no foreign page signs anybody in");

    let first = sign_in(&desk, &secret("seat"), &[]).await;
    let second = sign_in(&desk, &secret("seat"), &[]).await;
    assert_eq!((first.status, second.status), (204, 204));
    let cookie = first.header("set-cookie").to_owned();
    for attribute in ["HttpOnly", "SameSite=Strict", "Secure", "Path=/"] {
        assert!(cookie.split("; ").any(|one| one == attribute), "{cookie}");
    }
    assert!(!cookie.contains(&secret("seat")), "the token is not kept");
    let me = with_cookie(&desk, "GET", "/api/v1/me", &cookie).await;
    assert_eq!(me.json()["seat"], "801");
    let audit = with_cookie(&desk, "GET", "/api/v1/audit", &cookie).await;
    assert_eq!(audit.status, 403, "the rights of the token and no more");

    let left = with_cookie(&desk, "POST", "/logout", &cookie).await;
    assert_eq!(left.status, 204);
    assert!(left.header("set-cookie").contains("Max-Age=0"));
    let me = with_cookie(&desk, "GET", "/api/v1/me", &cookie).await;
    assert_eq!(me.status, 401);

    let other = second.header("set-cookie").to_owned();
    let me = with_cookie(&desk, "GET", "/api/v1/me", &other).await;
    assert_eq!(me.status, 200, "the other screen stays");
    let rest = ROLES.iter().filter(|role| **role != "seat");
    desk.app
        .gatekeeper
        .replace_tokens(rest.map(|role| token(role)).collect());
    let me = with_cookie(&desk, "GET", "/api/v1/me", &other).await;
    assert_eq!(me.status, 401, "a token taken back takes its sessions");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_asks_for_the_token_tells_a_wrong_one_and_asks_again_after_sign_out() {
    if !Chromium::is_there() {
        println!("skipped: no chromium on this machine; `tools/need.sh test` installs it");
        return;
    }
    let desk = Desk::new().await;
    let (base, server) = desk.serve().await;
    let mut page = Chromium::start("zh-CN,zh").await;
    page.open(&base).await;
    page.until("document.querySelector('#ask[open] input[type=password][name=token]')")
        .await;
    page.write("wrong").await;
    page.press("#ask-yes").await;
    page.until("document.querySelector('#ask-error').textContent.includes('[api.tokens.*]')")
        .await;
    page.look("document.querySelector('#ask [name=token]').value = ''; document.querySelector('#ask [name=token]').focus(); 0").await;
    page.write(&secret("seat")).await;
    page.press("#ask-yes").await;
    page.until("document.querySelector('#seats .seat') && document.querySelector('#me').textContent === '坐席 801'")
        .await;
    let kept = "JSON.stringify([localStorage, sessionStorage]) + document.cookie";
    assert_eq!(page.look(kept).await, "[{},{}]");
    page.press("#session").await;
    page.until("document.querySelector('#ask[open] input[type=password][name=token]')")
        .await;
    assert_eq!(
        page.look("document.querySelectorAll('#seats .seat').length")
            .await,
        0
    );
    server.abort();
}
