//! From sections to checked signalling and media: listeners, trunks, profiles, RTP ports.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use super::build::{check_area_code, complain, shipped};
use super::build_edge::{clash, tls};
use super::build_queues::{self, Queues};
use super::build_self_test::{self, Numbers};
use super::checked::{Cidr, Media, Sip, SipListener, TlsTrust, Transport, Trunk};
use super::disk;
use super::raw::Origin;
use super::section::{At, Section, hint, quoted};
use crate::call::AnswerPolicy;
use crate::id::TrunkId;
use crate::sip::auth::Algorithm;
use crate::sip::profile::Profile;
use crate::switch::TrunkPolicy;
use crate::time::Millis;

/// Ports from here on are handed out by the kernel for outgoing connections.
const EPHEMERAL_FIRST: i64 = 32_768;

type Policies = BTreeMap<TrunkId, TrunkPolicy>;

/// `[sip]` and `[trunks.*]`; the seats are filled in by the caller.
pub(super) fn sip(
    root: &Section<'_>,
    area_code: &str,
    queues: &Queues,
) -> (Sip, Policies, Numbers) {
    let section = root.section("sip");
    let realm = section.text_or("realm", "firstring");
    let digests = digests(&section);
    let options_every = section.integer("options_every_s", 5..=300, 30, "seconds");
    let tls_trust = tls_trust(&section);
    let profiles = profiles(&section);
    let listeners = listeners(&section);
    section.close();
    let (trunks, policies, tested) = trunks(root, area_code, queues, &listeners, &profiles);
    let sip = Sip {
        listeners: listeners
            .into_iter()
            .map(|listener| listener.value)
            .collect(),
        trunks,
        seats: Vec::new(),
        realm: realm.value,
        digests,
        tls_trust,
        options_every: Duration::from_secs(u64::try_from(options_every.value).unwrap_or(30)),
        profiles,
    };
    (sip, policies, tested)
}

/// MD5 alone by default: every phone knows it, and some give up when they are offered SHA-256 beside it.
fn digests(section: &Section<'_>) -> Vec<Algorithm> {
    const MD5: &[Algorithm] = &[Algorithm::Md5];
    const SHA256: &[Algorithm] = &[Algorithm::Sha256];
    let words = [("md5", MD5), ("sha256", SHA256), ("both", &Algorithm::ALL)];
    section.choice("digest", &words, MD5).value.to_vec()
}

/// Whose certificates are good on connections to trunks. Trunks are configured by address, so names are not compared.
fn tls_trust(section: &Section<'_>) -> TlsTrust {
    let authorities = section.path("tls_authorities");
    let anybody = section.flag("tls_any_certificate", false);
    match authorities {
        Some(file) => {
            if let Err(complaint) = disk::certificate(&file.value) {
                complain(section.reader, &file, complaint);
            }
            TlsTrust::Authorities(file.value)
        }
        None if anybody.value => {
            section.reader.warn(
                &anybody.origin,
                &anybody.key,
                "takes any certificate, so anyone may be at the other end of a trunk",
                "name the carrier's authority: tls_authorities = \"carrier-ca.pem\"",
            );
            TlsTrust::Anybody
        }
        None => TlsTrust::Nobody,
    }
}

fn profiles(section: &Section<'_>) -> BTreeMap<String, Profile> {
    let folder = section.path_or("profiles", &shipped(section, "sip-profiles"));
    match disk::profiles(&folder.value) {
        Ok((good, bad)) => {
            for (path, complaint) in bad {
                section.reader.fault(
                    &folder.origin,
                    &folder.key,
                    format!("holds {}: {}", path.display(), complaint.reason),
                    complaint.fix,
                );
            }
            good
        }
        Err(complaint) => {
            complain(section.reader, &folder, complaint);
            BTreeMap::new()
        }
    }
}

fn transport(section: &Section<'_>, default: Transport) -> At<Transport> {
    let words = [
        ("udp", Transport::Udp),
        ("tcp", Transport::Tcp),
        ("tls", Transport::Tls),
    ];
    section.choice("transport", &words, default)
}

fn dscp(section: &Section<'_>, default: i64) -> u8 {
    let found = section.integer("dscp", 0..=63, default, "a code point");
    u8::try_from(found.value).unwrap_or(0)
}

fn listeners(sip: &Section<'_>) -> Vec<At<SipListener>> {
    let mut all: Vec<At<SipListener>> = Vec::new();
    let named = sip.named("listeners");
    if named.is_empty() {
        sip.missing(
            "listeners",
            "no call can come in",
            "[sip.listeners.udp] and below it bind = \"192.0.2.10:5060\"",
        );
    }
    for (id, section) in named {
        if let Some(listener) = listener(id, &section) {
            for other in &all {
                let same_kind = (other.value.transport == Transport::Udp)
                    == (listener.transport == Transport::Udp);
                if clash(other.value.bind, listener.bind) && same_kind {
                    section.reader.fault(
                        &section.origin,
                        &section.path,
                        format!(
                            "listens on {}, which {} has taken ({})",
                            listener.bind, other.key, other.value.bind
                        ),
                        "give it another port or address",
                    );
                }
            }
            all.push(At {
                value: listener,
                origin: section.origin.clone(),
                key: section.path.clone(),
            });
        }
        section.close();
    }
    all
}

fn listener(id: String, section: &Section<'_>) -> Option<SipListener> {
    let transport = transport(section, Transport::Udp);
    let bind = section.socket("bind");
    if !section.has("bind") {
        section.missing(
            "bind",
            "a listener needs an address and port",
            "\"192.0.2.10:5060\"",
        );
    }
    let advertised = section.text("advertised").filter(|host| {
        let fits = !host.value.is_empty()
            && host
                .value
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b".-:[]".contains(&b))
            && (host.value.parse::<std::net::SocketAddrV4>().is_err());
        if !fits {
            section.reader.fault(
                &host.origin,
                &host.key,
                format!("is {}", quoted(&host.value)),
                "it must be a host or an address without port, such as \"203.0.113.7\"",
            );
        }
        fits
    });
    let files = tls(section);
    let dscp = dscp(section, 24);
    match (transport.value, &files) {
        (Transport::Tls, None) if !section.has("certificate") && !section.has("key") => {
            section.missing(
                "certificate",
                "TLS needs a certificate and its key",
                "\"/etc/firstring/tls/chain.pem\"",
            );
        }
        (Transport::Udp | Transport::Tcp, Some(_)) => section.reader.fault(
            &section.origin,
            &section.path,
            "has a certificate but does not speak TLS",
            "write transport = \"tls\", or remove certificate and key",
        ),
        (Transport::Tls | Transport::Udp | Transport::Tcp, Some(_) | None) => {}
    }
    let bind = bind?;
    if bind.value.ip().is_unspecified() && advertised.is_none() && !section.has("advertised") {
        section.missing(
            "advertised",
            "far sides cannot answer to every-address; they need one",
            "\"203.0.113.7\"",
        );
    }
    Some(SipListener {
        id,
        transport: transport.value,
        bind: bind.value,
        advertised: advertised.map(|host| host.value),
        tls: files,
        dscp,
    })
}

fn trunks(
    root: &Section<'_>,
    area_code: &str,
    queues: &Queues,
    listeners: &[At<SipListener>],
    profiles: &BTreeMap<String, Profile>,
) -> (Vec<Trunk>, Policies, Numbers) {
    let mut all = Vec::new();
    let mut tested = Numbers::new();
    let mut policies = Policies::new();
    let mut ranges: Vec<(At<Cidr>, String)> = Vec::new();
    for (name, section) in root.named("trunks") {
        let sources = sources(&section, &name, &mut ranges);
        let policy = trunk_policy(&section, area_code, queues);
        let number = build_self_test::number(&section, &policy);
        let profile = profile(&section, profiles);
        let trunk = trunk_way(&section, listeners);
        if policy.outbound.is_some() && !section.has("remote") {
            section.missing(
                "remote",
                "outbound calls need an address to go to",
                "\"192.0.2.1:5060\"",
            );
        }
        section.close();
        let id = TrunkId(name);
        tested.extend(number.map(|number| (id.clone(), number)));
        policies.insert(id.clone(), policy);
        if let (Some((listener, transport, remote)), Some(profile)) = (trunk, profile) {
            all.push(Trunk {
                id,
                sources,
                remote,
                transport,
                listener,
                profile,
            });
        }
    }
    if policies.is_empty() {
        root.reader.warn(
            &Origin::Default,
            "trunks",
            "is empty: only registered phones can call",
            "write [trunks.NAME] with sources, remote and profile, as in firstring.example.toml",
        );
    }
    (all, policies, tested)
}

fn sources(section: &Section<'_>, name: &str, seen: &mut Vec<(At<Cidr>, String)>) -> Vec<Cidr> {
    let written = section.texts("sources");
    if written.is_empty() {
        section.missing(
            "sources",
            "a trunk without a source rule is not started, since it would admit nobody or everybody",
            "[\"192.0.2.1\", \"198.51.100.0/28\"]",
        );
    }
    let mut ranges = Vec::new();
    for text in written {
        let range = match text.value.parse::<Cidr>() {
            Ok(range) => range,
            Err(error) => {
                section.reader.fault(
                    &text.origin,
                    &text.key,
                    format!("lists {}: {error}", quoted(&text.value)),
                    "write addresses or ranges such as \"192.0.2.1\" or \"198.51.100.0/28\"",
                );
                continue;
            }
        };
        if range.prefix == 0 {
            section.reader.fault(
                &text.origin,
                &text.key,
                format!("lists {range}, which admits the whole world"),
                "list the addresses that the carrier gave you",
            );
        }
        for (other, owner) in seen
            .iter()
            .filter(|(other, owner)| owner != name && other.value.overlaps(&range))
        {
            section.reader.warn(
                &text.origin,
                &text.key,
                format!("lists {range}, which overlaps {} of {owner}: such a call belongs to the narrower range, then to the trunk that sorts first", other.value),
                "give each trunk its own addresses",
            );
        }
        let at = At {
            value: range,
            origin: text.origin,
            key: text.key,
        };
        seen.push((at, name.to_owned()));
        ranges.push(range);
    }
    ranges
}

fn trunk_policy(section: &Section<'_>, area_code: &str, queues: &Queues) -> TrunkPolicy {
    let words = [("at_once", false), ("early_media", true)];
    let early = section.choice("answer", &words, false);
    let limit = section.integer(
        "early_media_limit_ms",
        1000..=60_000,
        20_000,
        "milliseconds",
    );
    let answer = if early.value {
        AnswerPolicy::EarlyMedia {
            limit_ms: Millis(u32::try_from(limit.value).unwrap_or(20_000)),
        }
    } else {
        AnswerPolicy::AtOnce
    };
    let area = section.text_or("area_code", area_code);
    if area.origin != Origin::Default {
        check_area_code(section.reader, &area);
    }
    let outbound = section.optional_integer("outbound", 1..=99, "an order");
    let shown_number = section.text_or("shown_number", "120");
    let digits = shown_number.value.trim_start_matches('+');
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        section.reader.fault(
            &shown_number.origin,
            &shown_number.key,
            format!("is {}", quoted(&shown_number.value)),
            "it must be the number that called people see, such as \"120\"",
        );
    }
    let (circuits, circuits_kept) = circuits(section);
    TrunkPolicy {
        queue: build_queues::trunk_queue(section, queues),
        answer,
        area_code: area.value,
        outbound: outbound.and_then(|order| u16::try_from(order.value).ok()),
        shown_number: shown_number.value,
        circuits,
        circuits_kept,
        peer: section.flag("peer", false).value,
    }
}

/// How many calls the trunk carries, and how many of them no call of ours may take.
fn circuits(section: &Section<'_>) -> (Option<u16>, u16) {
    let circuits = section.optional_integer("circuits", 1..=9_999, "calls at once");
    let kept = section.integer("circuits_kept", 1..=9_999, 2, "calls at once");
    if let Some(circuits) = &circuits
        && kept.value >= circuits.value
    {
        section.reader.warn(
            &kept.origin,
            &kept.key,
            format!(
                "is {}, and the trunk has {} circuits: nothing is ever dialled over it",
                kept.value, circuits.value
            ),
            "keep fewer circuits for callers, or leave `outbound` out",
        );
    }
    (
        circuits.and_then(|circuits| u16::try_from(circuits.value).ok()),
        u16::try_from(kept.value).unwrap_or(2),
    )
}

fn profile(section: &Section<'_>, profiles: &BTreeMap<String, Profile>) -> Option<String> {
    let names: Vec<&str> = profiles.keys().map(String::as_str).collect();
    let name = section.need_text(
        "profile",
        "it says how this carrier wants its SIP",
        names.first().unwrap_or(&"generic-ims"),
    )?;
    if !profiles.contains_key(&name.value) {
        section.reader.fault(
            &name.origin,
            &name.key,
            format!(
                "is {}, and sip.profiles has no usable {}.toml",
                quoted(&name.value),
                name.value
            ),
            format!(
                "choose from: {}{}",
                names.join(", "),
                hint(&name.value, names.iter().copied())
            ),
        );
    }
    Some(name.value)
}

type Way = (String, Transport, Option<std::net::SocketAddr>);

/// Which listener a trunk's requests leave by, with what transport and where to.
fn trunk_way(section: &Section<'_>, listeners: &[At<SipListener>]) -> Option<Way> {
    let remote = section.socket("remote");
    let first = listeners
        .first()
        .map_or("udp", |listener| listener.value.id.as_str());
    let id = section.text_or("listener", first);
    let Some(listener) = listeners
        .iter()
        .find(|listener| listener.value.id == id.value)
    else {
        if !listeners.is_empty() {
            let names: Vec<&str> = listeners
                .iter()
                .map(|listener| listener.value.id.as_str())
                .collect();
            section.reader.fault(
                &id.origin,
                &id.key,
                format!("is {}, which is no listener", quoted(&id.value)),
                format!(
                    "choose from: {}{}",
                    names.join(", "),
                    hint(&id.value, names.iter().copied())
                ),
            );
        }
        return None;
    };
    let transport = transport(section, listener.value.transport);
    if transport.value != listener.value.transport {
        section.reader.fault(
            &transport.origin,
            &transport.key,
            format!("differs from that of its listener {}", listener.key),
            "name a listener of that transport, or remove this key",
        );
    }
    if let Some(remote) = &remote
        && remote.value.is_ipv4() != listener.value.bind.is_ipv4()
    {
        section.reader.fault(
            &remote.origin,
            &remote.key,
            format!(
                "is {}, which {} at {} cannot reach",
                remote.value, listener.key, listener.value.bind
            ),
            "use a listener of the same IP version",
        );
    }
    Some((
        listener.value.id.clone(),
        transport.value,
        remote.map(|remote| remote.value),
    ))
}

/// `[media]`. Addresses follow the first SIP listener unless written.
pub(super) fn media(root: &Section<'_>, listeners: &[SipListener]) -> Option<Media> {
    let section = root.section("media");
    let first = listeners.first();
    let bind = if section.has("bind") {
        section.ip("bind")?.value
    } else {
        let bind = first.map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |listener| {
            listener.bind.ip()
        });
        section.show("bind", &quoted(&bind.to_string()), &Origin::Default);
        bind
    };
    let advertised = if section.has("advertised") {
        section.ip("advertised").map(|address| address.value)
    } else {
        first
            .and_then(|listener| listener.advertised.as_deref())
            .and_then(|host| host.parse().ok())
            .inspect(|address: &IpAddr| {
                section.show(
                    "advertised",
                    &quoted(&address.to_string()),
                    &Origin::Default,
                )
            })
    };
    if bind.is_unspecified() && advertised.is_none() && !section.has("advertised") {
        section.missing(
            "advertised",
            "far sides cannot send media to every-address; they need one",
            "\"203.0.113.7\"",
        );
    }
    let (port_first, port_last) = ports(&section, listeners);
    let workers = section.integer("workers", 0..=64, 0, "threads (0: one less than cores)");
    let dscp = dscp(&section, 46);
    section.close();
    Some(Media {
        bind,
        advertised,
        port_first,
        port_last,
        workers: usize::try_from(workers.value).unwrap_or(0),
        dscp,
    })
}

fn ports(section: &Section<'_>, listeners: &[SipListener]) -> (u16, u16) {
    let first = section.integer("port_first", 1024..=65_500, 20_000, "a port");
    let last = section.integer("port_last", 1025..=65_535, 27_999, "a port");
    let pairs = (last.value - first.value + 1) / 2;
    if pairs < 8 {
        section.reader.fault(
            &last.origin,
            &last.key,
            format!(
                "leaves {} pairs of RTP ports from {} to {}",
                pairs.max(0),
                first.value,
                last.value
            ),
            "every leg takes two ports; give at least 16, and two pairs for each call expected at once",
        );
    }
    if first.value % 2 != 0 {
        section.reader.fault(
            &first.origin,
            &first.key,
            format!("is {}", first.value),
            "RTP takes even ports: begin at an even one",
        );
    }
    if last.value >= EPHEMERAL_FIRST {
        section.reader.warn(
            &last.origin,
            &last.key,
            format!(
                "reaches {}, where the kernel takes ports for other programs (net.ipv4.ip_local_port_range)",
                last.value
            ),
            "stay below 32768, or reserve the range with net.ipv4.ip_local_reserved_ports",
        );
    }
    let taken = listeners
        .iter()
        .filter(|listener| listener.transport == Transport::Udp)
        .find(|listener| (first.value..=last.value).contains(&i64::from(listener.bind.port())));
    if let Some(listener) = taken {
        section.reader.fault(
            &first.origin,
            &first.key,
            format!(
                "and port_last take in {}, the port of sip.listeners.{}",
                listener.bind.port(),
                listener.id
            ),
            "move the range",
        );
    }
    (
        u16::try_from(first.value).unwrap_or(0),
        u16::try_from(last.value).unwrap_or(0),
    )
}
