//! From sections to the checked edges: API and its tokens, destinations of deliveries, enrichment sources.

use std::net::SocketAddr;
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::build::{check_length, complain, need_secret, secret};
use super::build_seats::Seats;
use super::checked::{
    Api, Destination, Enrich, LineDataSource, Secret, SipListener, TlsFiles, Token, Transport,
};
use super::disk;
use super::raw::Origin;
use super::section::{At, Section, hint, quoted};
use crate::id::{DestinationId, SeatId};
use crate::switch::Role;

/// What a destination can be sent.
const DELIVERED: [&str; 3] = ["call.arrived", "call.enriched", "call.closed"];

/// Certificate and key of a listening socket: both or none.
pub(super) fn tls(section: &Section<'_>) -> Option<TlsFiles> {
    let certificate = section.path("certificate");
    let key = section.path("key");
    let mut readable = true;
    if let Some(file) = &certificate
        && let Err(complaint) = disk::certificate(&file.value)
    {
        readable = false;
        complain(section.reader, file, complaint);
    }
    if let Some(file) = &key
        && let Err(complaint) = disk::private_key(&file.value)
    {
        readable = false;
        complain(section.reader, file, complaint);
    }
    match (certificate, key) {
        (Some(certificate), Some(key)) => {
            if readable && let Err(complaint) = disk::pair(&certificate.value, &key.value) {
                complain(section.reader, &key, complaint);
            }
            Some(TlsFiles {
                certificate: certificate.value,
                key: key.value,
            })
        }
        (Some(_), None) => {
            section.missing(
                "key",
                "a certificate needs its private key",
                "\"/etc/firstring/tls/key.pem\"",
            );
            None
        }
        (None, Some(_)) => {
            section.missing(
                "certificate",
                "a private key needs its certificate",
                "\"/etc/firstring/tls/chain.pem\"",
            );
            None
        }
        (None, None) => None,
    }
}

pub(super) fn api(
    section: Section<'_>,
    seats: &Seats,
    destinations: &[String],
    listeners: &[SipListener],
) -> Option<Api> {
    let bind = if section.has("bind") {
        section.socket("bind")
    } else {
        section.show("bind", "\"127.0.0.1:8120\"", &Origin::Default);
        Some(At {
            value: SocketAddr::from(([127, 0, 0, 1], 8120)),
            origin: Origin::Default,
            key: section.key("bind"),
        })
    };
    let tls = tls(&section);
    if let Some(bind) = &bind
        && !bind.value.ip().is_loopback()
        && tls.is_none()
    {
        section.reader.fault(
            &bind.origin,
            &bind.key,
            format!(
                "is {}, which others can reach, without TLS: tokens and patients' data would go in clear",
                bind.value
            ),
            "write certificate = and key =, or bind to 127.0.0.1 and put a TLS proxy before it",
        );
    }
    if let Some(bind) = &bind {
        check_api_port(&section, bind, listeners);
    }
    let tokens = tokens(&section, seats, destinations);
    section.close();
    Some(Api {
        bind: bind?.value,
        tls,
        tokens,
    })
}

fn check_api_port(section: &Section<'_>, bind: &At<SocketAddr>, listeners: &[SipListener]) {
    let taken = listeners
        .iter()
        .find(|listener| listener.transport != Transport::Udp && clash(listener.bind, bind.value));
    if let Some(listener) = taken {
        section.reader.fault(
            &bind.origin,
            &bind.key,
            format!(
                "is {}, where sip.listeners.{} listens",
                bind.value, listener.id
            ),
            "give it another port or address",
        );
    }
}

/// Whether two sockets of one kind cannot be bound at once.
pub(super) fn clash(one: SocketAddr, other: SocketAddr) -> bool {
    let meet = one.ip() == other.ip() || one.ip().is_unspecified() || other.ip().is_unspecified();
    one.port() == other.port() && one.port() != 0 && meet
}

fn tokens(api: &Section<'_>, seats: &Seats, destinations: &[String]) -> Vec<Token> {
    let words = [
        ("seat", Role::Seat),
        ("supervisor", Role::Supervisor),
        ("module", Role::Module),
        ("admin", Role::Admin),
    ];
    let mut tokens: Vec<Token> = Vec::new();
    for (name, section) in api.named("tokens") {
        if !section.has("role") {
            section.missing(
                "role",
                "a token may do what its role may",
                "\"seat\" (or supervisor, module, admin)",
            );
        }
        let role = section.choice("role", &words, Role::Seat);
        let seat = section.text("seat");
        check_token_seat(&section, &role, seat.as_ref(), seats);
        if role.value == Role::Module && !destinations.contains(&name) {
            section.reader.warn(
                &section.origin,
                &section.path,
                "is a module's token whose name is no destination, so what it acknowledges belongs to nobody",
                "name the token as the module's [destinations.NAME]",
            );
        }
        if let Some(sha256) = token_hash(&section) {
            if tokens.iter().any(|other| other.sha256 == sha256) {
                section.reader.fault(
                    &section.origin,
                    &section.path,
                    "has the same secret as another token, so nobody could tell them apart",
                    "give each its own: openssl rand -base64 24",
                );
            }
            tokens.push(Token {
                name,
                role: role.value,
                seat: seat.map(|seat| SeatId(seat.value)),
                sha256,
            });
        }
        section.close();
    }
    tokens
}

fn check_token_seat(
    section: &Section<'_>,
    role: &At<Role>,
    seat: Option<&At<String>>,
    seats: &Seats,
) {
    let needs_seat = matches!(role.value, Role::Seat | Role::Supervisor);
    let Some(seat) = seat else {
        if needs_seat && section.has("role") {
            section.missing("seat", "this role speaks for one seat", "\"801\"");
        }
        return;
    };
    let policy = seats.get(&SeatId(seat.value.clone()));
    match policy {
        None => section.reader.fault(
            &seat.origin,
            &seat.key,
            format!("is {}, which is no configured seat", quoted(&seat.value)),
            format!(
                "write [seats.{}] or name another{}",
                seat.value,
                hint(&seat.value, seats.keys().map(SeatId::as_str))
            ),
        ),
        Some(policy) if role.value == Role::Supervisor && !policy.is_supervisor() => {
            section.reader.fault(
                &seat.origin,
                &seat.key,
                format!(
                    "is {}, an ordinary seat, but the role is supervisor",
                    quoted(&seat.value)
                ),
                format!(
                    "write supervisor = true in [seats.{}], or role = \"seat\"",
                    seat.value
                ),
            )
        }
        Some(_) if !needs_seat => section.reader.fault(
            &seat.origin,
            &seat.key,
            "has no meaning for this role",
            "remove it: only seat and supervisor speak for a seat",
        ),
        Some(_) => {}
    }
}

/// SHA-256 of the token: written as hex in `sha256`, or made from the secret.
fn token_hash(section: &Section<'_>) -> Option<[u8; 32]> {
    let Some(written) = section.text("sha256") else {
        let written = section.has("secret") || section.has("secret_file");
        let secret = secret(section);
        if !written {
            section.missing(
                "secret_file",
                "a token is a secret; or write sha256 = its hash in hex",
                "\"/etc/firstring/secrets/token\"",
            );
        }
        let secret = secret?;
        check_length(section, &secret);
        return Some(Sha256::digest(secret.value.0.as_bytes()).into());
    };
    let hash = from_hex(&written.value);
    if hash.is_none() {
        section.reader.fault(
            &written.origin,
            &written.key,
            "is no SHA-256",
            "write its 64 hex digits: printf %s \"$TOKEN\" | sha256sum",
        );
    }
    hash
}

fn from_hex(text: &str) -> Option<[u8; 32]> {
    let mut hash = [0_u8; 32];
    let text = text.trim();
    if text.len() != 64 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    for (at, byte) in hash.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(at * 2..at * 2 + 2)?, 16).ok()?;
    }
    Some(hash)
}

/// The good destinations, and the names of all written ones.
pub(super) fn destinations(root: &Section<'_>) -> (Vec<Destination>, Vec<String>) {
    let mut all = Vec::new();
    let mut names = Vec::new();
    for (name, section) in root.named("destinations") {
        names.push(name.clone());
        let url = section.need_text(
            "url",
            "calls are posted to it",
            "https://dispatch.example/hook",
        );
        let url = url.filter(|url| check_url(&section, url));
        let secret = need_secret(&section, "deliveries are signed with it");
        let secret = secret.filter(|secret| check_webhook_secret(&section, secret));
        let events = section.texts("events");
        for event in events
            .iter()
            .filter(|event| !DELIVERED.contains(&event.value.as_str()))
        {
            section.reader.fault(
                &event.origin,
                &event.key,
                format!("lists {}, which is never delivered", quoted(&event.value)),
                format!(
                    "choose from {}{}",
                    DELIVERED.join(", "),
                    hint(&event.value, DELIVERED.into_iter())
                ),
            );
        }
        let timeout = section.integer("timeout_ms", 500..=30_000, 3000, "milliseconds");
        if let (Some(url), Some(secret)) = (url, secret) {
            all.push(Destination {
                id: DestinationId(name),
                url: url.value,
                secret: secret.value,
                events: events.into_iter().map(|event| event.value).collect(),
                timeout: millis(timeout.value),
            });
        }
        section.close();
    }
    (all, names)
}

fn millis(value: i64) -> Duration {
    Duration::from_millis(u64::try_from(value).unwrap_or(0))
}

/// An http or https address; plain http beyond this machine is worth a warning.
fn check_url(section: &Section<'_>, url: &At<String>) -> bool {
    let parsed = reqwest::Url::parse(&url.value.replace("{number}", "0"))
        .ok()
        .filter(|parsed| matches!(parsed.scheme(), "http" | "https"));
    let Some(parsed) = parsed else {
        section.reader.fault(
            &url.origin,
            &url.key,
            format!("is {}", quoted(&url.value)),
            "it must be an address such as \"https://dispatch.example/hook\"",
        );
        return false;
    };
    let host = parsed.host_str().unwrap_or("");
    let here = host == "localhost"
        || host
            .trim_matches(['[', ']'])
            .parse::<std::net::IpAddr>()
            .is_ok_and(|ip| ip.is_loopback());
    if parsed.scheme() == "http" && !here {
        section.reader.warn(
            &url.origin,
            &url.key,
            "sends callers' data in clear over the network",
            "use https",
        );
    }
    if parsed.password().is_some() {
        section.reader.fault(
            &url.origin,
            &url.key,
            "holds a password",
            "take it out; requests are signed or carry a bearer token",
        );
    }
    true
}

/// Standard Webhooks: `whsec_` and the base64 of 24 to 64 bytes.
fn check_webhook_secret(section: &Section<'_>, secret: &At<Secret>) -> bool {
    use base64::Engine as _;
    let bytes = secret
        .value
        .0
        .strip_prefix("whsec_")
        .and_then(|text| base64::engine::general_purpose::STANDARD.decode(text).ok());
    let fits = bytes.is_some_and(|bytes| (24..=64).contains(&bytes.len()));
    if !fits {
        section.reader.fault(
            &secret.origin,
            &secret.key,
            "holds no Standard Webhooks secret",
            "make one: echo \"whsec_$(openssl rand -base64 32)\"",
        );
    }
    fits
}

pub(super) fn enrich(section: Section<'_>) -> Enrich {
    let line = section.section("line_data");
    let line_data = if section.has("line_data") {
        let url = line.need_text(
            "url",
            "line data is asked there",
            "https://ali.example/line?number={number}",
        );
        let url = url.filter(|url| check_url(&line, url));
        if let Some(url) = &url
            && !url.value.contains("{number}")
        {
            line.reader.fault(
                &url.origin,
                &url.key,
                "has no {number}, so every question would be the same",
                "put {number} where the caller's number belongs",
            );
        }
        let timeout = line.integer("timeout_ms", 100..=5000, 800, "milliseconds");
        let bearer = secret(&line);
        url.map(|url| LineDataSource {
            url: url.value,
            timeout: millis(timeout.value),
            bearer: bearer.map(|bearer| bearer.value),
        })
    } else {
        None
    };
    line.close();
    section.close();
    Enrich { line_data }
}
