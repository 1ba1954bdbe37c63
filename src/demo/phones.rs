//! Real phones on the network: listeners for them, a throw-away certificate, and a page with what a person scans or types.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use axum::Router;
use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use qrcode::render::{svg, unicode::Dense1x2};
use qrcode::{EcLevel, QrCode};

use super::world::World;
use super::{Addresses, DemoError, people, say};
use crate::engine::Engine;
use crate::sim::centre::Centre;

/// Seat, what it is for in Chinese and English. The first one's code is shown in the terminal.
const ACCOUNTS: [(&str, &str, &str); 3] = [
    (
        people::DIALS_120,
        "拨打 120 的话机，来电不在此振铃",
        "dial 120 from this one; calls never ring here",
    ),
    (
        "802",
        "坐席：来电在此振铃，模拟坐席让位",
        "a seat: calls ring here, the simulated seats stand back",
    ),
    (
        "800",
        "班长话机，监听用",
        "the supervisor's phone, for listening",
    ),
];
const PAGE: &str = include_str!("phones.html");
const MISSING: &str = "no such page";

/// Passwords that a person can type, for the accounts of real phones.
pub(super) fn accounts(centre: &mut Centre) {
    for (seat, ..) in ACCOUNTS {
        centre.readable_secret(&format!("seat-{seat}"));
    }
}

/// Listeners at `host` for real phones: UDP, TCP and, with a certificate of a throw-away CA, TLS. They have their usual ports when
/// these are free, and any when the demo was told to take any.
pub(super) fn open_to(
    host: IpAddr,
    any_port: bool,
    centre: &mut Centre,
    addresses: &mut Addresses,
) -> Result<(), DemoError> {
    let wanted = |port| if any_port { 0 } else { port };
    let sip = addresses.take(host, wanted(5060))?;
    centre.listeners.push(("network".to_owned(), "udp", sip));
    centre
        .listeners
        .push(("network-tcp".to_owned(), "tcp", sip));
    let [certificate, key] = certificate(host, centre)?;
    let tls = addresses.take(host, wanted(5061))?;
    centre.more.push_str(&format!(
        "\n[sip.listeners.network-tls]\ntransport = \"tls\"\nbind = \"{tls}\"\ncertificate = \"{}\"\nkey = \"{}\"\n",
        certificate.display(),
        key.display(),
    ));
    // Media of real phones comes to this machine's address, that of the demo's own telephones too.
    centre
        .lines
        .insert("media", vec![format!("advertised = \"{host}\"")]);
    centre.media = IpAddr::from([0, 0, 0, 0]);
    Ok(())
}

/// A certificate for `host` under a CA that nobody trusts until a person installs `ca.pem`. The address stands in it as a name too:
/// phones with mbed TLS 2 (Linphone) look only there.
fn certificate(host: IpAddr, centre: &Centre) -> Result<[PathBuf; 2], DemoError> {
    use rcgen::{
        BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
        KeyPair, SanType,
    };
    let key = KeyPair::generate()?;
    let mut authority = CertificateParams::new(Vec::new())?;
    authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    authority
        .distinguished_name
        .push(DnType::CommonName, "Firstring demo (throw-away)");
    let root = authority.self_signed(&key)?;
    let issuer = Issuer::new(authority, key);
    let own_key = KeyPair::generate()?;
    let mut own = CertificateParams::new(vec![host.to_string()])?;
    own.subject_alt_names
        .push(SanType::DnsName(host.to_string().try_into()?));
    own.distinguished_name
        .push(DnType::CommonName, host.to_string());
    own.extended_key_usages
        .push(ExtendedKeyUsagePurpose::ServerAuth);
    let own = own.signed_by(&own_key, &issuer)?;
    let path = |name: &str| centre.dir.join(name);
    std::fs::create_dir_all(&centre.dir)?;
    std::fs::write(path("ca.pem"), root.pem())?;
    std::fs::write(path("network.pem"), own.pem())?;
    let secret = path("network.key");
    std::fs::write(&secret, own_key.serialize_pem())?;
    std::fs::set_permissions(&secret, std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
    Ok([path("network.pem"), secret])
}

/// Serve the settings at an address that cannot be guessed, and say in the terminal what to scan or type.
pub(super) async fn invite(
    engine: &Engine,
    centre: &mut Centre,
    world: &mut World,
    host: IpAddr,
    port: u16,
) -> Result<(), DemoError> {
    let bound = |name: &str| {
        let found = engine.addresses().sip.iter().find(|(id, ..)| id == name);
        found
            .map(|(_, _, address)| *address)
            .ok_or_else(|| DemoError::Config(format!("no listener {name}")))
    };
    let (plain, tls) = (bound("network")?, bound("network-tls")?);
    let page = match tokio::net::TcpListener::bind((host, port)).await {
        Err(_) => tokio::net::TcpListener::bind((host, 0)).await,
        found => found,
    };
    let listener = page.map_err(|source| DemoError::Address { ip: host, source })?;
    let key = uuid::Uuid::new_v4().simple().to_string();
    let base = format!("http://{}/{key}", listener.local_addr()?);
    let mut files = BTreeMap::from([(
        format!("/{key}/ca.pem"),
        (
            "application/x-pem-file",
            std::fs::read_to_string(centre.dir.join("ca.pem"))?,
        ),
    )]);
    let mut cards = String::new();
    say("");
    say("phones on this network (Linphone, MicroSIP, Zoiper, a desk phone):");
    say(&format!(
        "  page    {base}   (open it on the phone: settings, certificate, a code to scan for each account)"
    ));
    say(&format!(
        "  server  {plain} (UDP or TCP), {tls} (TLS, trust {}/ca.pem)",
        centre.dir.display()
    ));
    say("  codec   PCMA (G.711 A-law); DTMF as RFC 2833/4733");
    for (seat, zh, en) in ACCOUNTS {
        let secret = centre.secret(&format!("seat-{seat}"));
        say(&format!("  user    {seat}   password {secret}   {en}"));
        let settings = format!("{base}/{seat}.xml");
        cards.push_str(&format!(
            "<section>{}<div><h2><small>用户 user</small> {seat}</h2><p>{zh}</p><p lang=\"en\">{en}</p><p>密码 password <code>{secret}</code></p></div></section>\n",
            picture(&settings)?
        ));
        files.insert(
            format!("/{key}/{seat}.xml"),
            ("application/xml", settings_of(seat, &secret, plain)),
        );
    }
    let page = PAGE
        .replace("{cards}", &cards)
        .replace("{plain}", &plain.to_string())
        .replace("{tls}", &tls.to_string())
        .replace("{ca}", &format!("/{key}/ca.pem"));
    files.insert(format!("/{key}"), ("text/html; charset=utf-8", page));
    say("  scan with Linphone (\"Scan QR code\"): it signs in as 803; then dial 120:");
    say(&code(&format!("{base}/{}.xml", people::DIALS_120))?
        // Two modules per character: as small as a terminal can show it.
        .render::<Dense1x2>()
        .quiet_zone(true)
        .dark_color(Dense1x2::Light)
        .light_color(Dense1x2::Dark)
        .build());
    let files = Arc::new(files);
    let app = Router::new().fallback(get(move |uri: Uri| {
        std::future::ready(file(&files, uri.path()))
    }));
    world.keep(async move { drop(axum::serve(listener, app).await) });
    Ok(())
}

fn file(files: &BTreeMap<String, (&'static str, String)>, path: &str) -> Response {
    let Some((kind, body)) = files.get(path) else {
        return (StatusCode::NOT_FOUND, MISSING).into_response();
    };
    let headers = [
        (header::CONTENT_TYPE, *kind),
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'",
        ),
        (header::CACHE_CONTROL, "no-store"),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    (headers, body.clone()).into_response()
}

/// Linphone's remote configuration: the whole account, so that nothing is typed. TCP carries its long INVITE in one piece.
fn settings_of(seat: &str, secret: &str, server: SocketAddr) -> String {
    let host = match server.ip() {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => format!("[{ip}]"),
    };
    let section = |name: &str, entries: &[(&str, &str)]| {
        let entries: String = entries
            .iter()
            .map(|(key, value)| {
                format!("    <entry name=\"{key}\" overwrite=\"true\">{value}</entry>\n")
            })
            .collect();
        format!("  <section name=\"{name}\">\n{entries}  </section>\n")
    };
    let proxy = format!("&lt;sip:{server};transport=tcp&gt;");
    let identity = format!("sip:{seat}@{host}");
    [
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<config xmlns=\"http://www.linphone.org/xsds/lpconfig.xsd\">\n".to_owned(),
        section("sip", &[("default_proxy", "0"), ("media_encryption", "none")]),
        section("auth_info_0", &[("username", seat), ("passwd", secret), ("domain", &host)]),
        section(
            "proxy_0",
            &[
                ("reg_proxy", &proxy),
                ("reg_identity", &identity),
                ("reg_expires", "60"),
                ("reg_sendregister", "1"),
                ("publish", "0"),
            ],
        ),
        "</config>\n".to_owned(),
    ]
    .concat()
}

fn code(text: &str) -> Result<QrCode, DemoError> {
    Ok(QrCode::with_error_correction_level(text, EcLevel::L)?)
}

/// The same for a page.
fn picture(text: &str) -> Result<String, DemoError> {
    let picture = code(text)?
        .render::<svg::Color<'_>>()
        .min_dimensions(180, 180)
        .build();
    // Inside a page it has no XML declaration.
    Ok(match picture.find("<svg") {
        Some(at) => picture.get(at..).unwrap_or_default().to_owned(),
        None => picture,
    })
}
