//! The listener over TLS: certificates are changed while it runs, and a bad one changes nothing.

use std::path::Path;
use std::time::{Duration, Instant};

use axum::Router;
use axum::routing::get;
use firstring::api;
use firstring::config::checked::{Api, TlsFiles};

/// Writes a fresh self-signed certificate; gives back its PEM.
fn certificate(dir: &Path) -> String {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    std::fs::write(dir.join("key.pem"), made.signing_key.serialize_pem()).unwrap();
    std::fs::write(dir.join("cert.pem"), made.cert.pem()).unwrap();
    made.cert.pem()
}

/// Ask over a new connection, trusting `pem` only.
async fn asked(port: u16, pem: &str) -> Result<String, reqwest::Error> {
    let client = reqwest::Client::builder()
        .tls_certs_only([reqwest::Certificate::from_pem(pem.as_bytes()).unwrap()])
        .timeout(Duration::from_secs(5))
        .build()
        .unwrap();
    client
        .get(format!("https://localhost:{port}/"))
        .send()
        .await?
        .text()
        .await
}

#[tokio::test]
async fn a_new_certificate_is_used_without_restart_and_a_bad_one_is_not() {
    drop(rustls::crypto::ring::default_provider().install_default());
    let dir = tempfile::tempdir().unwrap();
    let first = certificate(dir.path());
    let config = Api {
        bind: ([127, 0, 0, 1], 0).into(),
        tls: Some(TlsFiles {
            certificate: dir.path().join("cert.pem"),
            key: dir.path().join("key.pem"),
        }),
        tokens: Vec::new(),
    };
    let router = Router::new().route("/", get(async || "well"));
    let (served, serving) = api::serve(&config, router).await.unwrap();
    let serving = tokio::spawn(serving);
    let port = served.address.port();
    assert_eq!(asked(port, &first).await.unwrap(), "well");
    let plain = reqwest::get(format!("http://localhost:{port}/")).await;
    assert!(
        plain.is_err_and(|error| !error.is_timeout()),
        "no plain HTTP on a TLS listener"
    );

    std::fs::write(dir.path().join("cert.pem"), "not a certificate").unwrap();
    tokio::time::sleep(Duration::from_millis(2500)).await; // longer than between two looks
    assert_eq!(
        asked(port, &first).await.unwrap(),
        "well",
        "the old one stays"
    );

    let second = certificate(dir.path());
    let deadline = Instant::now() + Duration::from_secs(15);
    while asked(port, &second).await.is_err() {
        assert!(
            Instant::now() < deadline,
            "the new certificate is never used"
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(asked(port, &first).await.is_err(), "the old one is gone");
    served.stop();
    serving.await.unwrap().unwrap();
}

#[tokio::test]
async fn an_address_in_use_is_told_with_its_address() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let config = Api {
        bind: taken.local_addr().unwrap(),
        tls: None,
        tokens: Vec::new(),
    };
    let Err(error) = api::serve(&config, Router::new()).await else {
        panic!("bound twice")
    };
    assert!(
        error
            .to_string()
            .contains(&taken.local_addr().unwrap().to_string()),
        "{error}"
    );
}
