//! The configuration: what is accepted, what is refused, and whether people are told where and why.

use std::path::{Path, PathBuf};

use firstring::config::{Config, Fault, Origin, Origins, Severity, load_with};

/// A folder with everything a good configuration names.
pub struct Site {
    dir: tempfile::TempDir,
}

impl Site {
    pub fn new() -> Self {
        let site = Self {
            dir: tempfile::tempdir().unwrap(),
        };
        site.put("sip-profiles/ct.toml", "");
        site.put("sip-profiles/generic-ims.toml", "");
        for id in ["greeting", "all_busy_position.1", "still_waiting"] {
            site.put(&format!("prompts/zh-CN/{id}.wav"), "");
        }
        for secret in [
            "seats-801",
            "seats-809",
            "token-801",
            "token-dispatch",
            "token-operator",
            "line-data",
            "phone-desk-1",
        ] {
            site.secret(secret, &format!("{secret}-0123456789"));
        }
        site.secret("pin-801", "470815");
        for secret in ["destination-dispatch", "destination-emr"] {
            site.secret(secret, "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=");
        }
        site
    }

    pub fn put(&self, name: &str, text: &str) -> PathBuf {
        let path = self.dir.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    }

    fn secret(&self, name: &str, text: &str) {
        use std::os::unix::fs::PermissionsExt;
        let path = self.put(&format!("secrets/{name}"), text);
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
    }

    pub fn load(
        &self,
        text: &str,
        variables: &[(&str, &str)],
    ) -> Result<(Config, Origins), Vec<Fault>> {
        let text = text
            .replace("/etc/firstring", "@")
            .replace("/var/lib/firstring", "@")
            .replace("/usr/local/share/firstring", "@")
            .replace("@/", &format!("{}/", self.dir.path().display()));
        let path = self.put("firstring.toml", &text);
        let variables = variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        load_with(&path, variables)
    }

    pub fn faults(&self, text: &str) -> Vec<Fault> {
        match self.load(text, &[]) {
            Ok((_, origins)) => origins.warnings,
            Err(faults) => faults,
        }
    }

    /// The certificate and key of a throw-away authority.
    fn certificate(&self) {
        let made = rcgen::generate_simple_self_signed(vec![String::from("localhost")]).unwrap();
        self.put("tls/chain.pem", &made.cert.pem());
        self.put("tls/key.pem", &made.signing_key.serialize_pem());
        self.put("secrets/evidence.pem", &made.signing_key.serialize_pem());
    }
}

pub const GOOD: &str = r#"
[centre]
id = "sz120"
name = "深圳市急救中心"
area_code = "0755"
division = "440300"
[sip.listeners.udp]
bind = "127.0.0.1:5060"
[trunks.ct]
sources = ["127.0.0.2"]
remote = "127.0.0.2:5060"
profile = "ct"
[seats.801]
secret_file = "@/secrets/seats-801"
[seats.809]
secret_file = "@/secrets/seats-809"
supervisor = true
[recording]
dir = "@/recordings"
[store]
journal = "@/journal"
database = "sqlite:@/firstring.db"
"#;

pub fn find<'f>(faults: &'f [Fault], key: &str) -> &'f Fault {
    faults
        .iter()
        .find(|fault| fault.key == key)
        .unwrap_or_else(|| panic!("no fault at {key}: {faults:#?}"))
}

fn line_of(text: &str, needle: &str) -> Origin {
    let line = text.lines().position(|line| line.contains(needle)).unwrap() + 1;
    Origin::File { line }
}

#[test]
fn the_annotated_example_is_a_good_configuration() {
    let site = Site::new();
    let example = include_str!("../../firstring.example.toml");
    let (config, origins) = site
        .load(example, &[])
        .unwrap_or_else(|faults| panic!("{faults:#?}"));
    assert_eq!(config.policy.centre.name, "深圳市急救中心");
    assert_eq!(config.sip.trunks.len(), 1);
    assert_eq!(config.sip.trunks[0].sources.len(), 2);
    assert_eq!(config.sip.seats.len(), 2);
    assert_eq!(config.destinations.len(), 2);
    assert_eq!(config.api.tokens.len(), 3);
    assert_eq!(config.media.bind.to_string(), "192.0.2.10");
    assert!(
        config
            .policy
            .seats
            .values()
            .any(|seat| seat.is_supervisor())
    );
    let keys: Vec<&str> = origins
        .warnings
        .iter()
        .map(|fault| fault.key.as_str())
        .collect();
    assert_eq!(
        keys,
        ["prompts.dir"],
        "only the prompts this test did not lay out"
    );
}

#[test]
fn every_commented_key_of_the_example_exists_and_shows_its_default() {
    let site = Site::new();
    site.certificate();
    let example = include_str!("../../firstring.example.toml");
    // `#sha256` and `#database_password_file` stand for alternatives of another key.
    let uncommented: String = example
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(rest) if rest.starts_with("sha256") || rest.starts_with("database_password") => {
                String::new()
            }
            Some(rest) if rest.starts_with(|c: char| c.is_ascii_lowercase() || c == '[') => {
                rest.to_owned()
            }
            _ => line.to_owned(),
        })
        .map(|line| line + "\n")
        .collect();
    // A listener whose transport is UDP has no certificate, but the API may have one.
    let (all, all_origins) = site
        .load(&uncommented, &[])
        .unwrap_or_else(|faults| panic!("{faults:#?}"));
    let (plain, plain_origins) = site.load(example, &[]).unwrap();
    assert_eq!(all.policy.timers, plain.policy.timers);
    assert_eq!(all.media.port_last, plain.media.port_last);
    assert_eq!(all.enrich.line_data.unwrap().timeout.as_millis(), 800);
    let dir = site.dir.path().display().to_string();
    for value in plain_origins
        .values
        .iter()
        .filter(|value| value.origin == Origin::Default)
    {
        let written = all_origins
            .values
            .iter()
            .find(|other| other.key == value.key)
            .unwrap();
        assert!(
            written.origin != Origin::Default || is_no_need(&value.key),
            "{} is not in the example",
            value.key
        );
        if written.origin != Origin::Default {
            let default = value.value.replace("/var/lib/firstring", &dir);
            assert_eq!(
                written.value, default,
                "{}: the example shows another default",
                value.key
            );
        }
    }
}

/// Keys with an example elsewhere in the file, or that nobody should be led to.
fn is_no_need(key: &str) -> bool {
    key.starts_with("testing.")
        || key.starts_with("seats.809.")
        || key.starts_with("destinations.emr.")
        || key.starts_with("sip.listeners.tls.")
}

#[test]
fn every_fault_is_reported_at_once_with_line_reason_and_fix() {
    let site = Site::new();
    let text = r#"[centre]
id = "sz120"
name = "x"
area_code = 755
division = "4403"
[sip]
relam = "x"
[sip.listeners.udp]
bind = "localhost:5060"
[trunks.ct]
profile = "cct"
[seats.801]
secret = "in-the-file-0123"
[media]
port_first = 20001
port_last = 20004
[timers]
ring_ms = "8s"
wait_alert_ms = 10
[api]
bind = "0.0.0.0:8120"
[nonsense]
[store]
journal = "/proc/journal"
"#;
    let faults = site.faults(text);
    for (key, needle, reason, fix) in [
        ("centre.area_code", "area_code", "a whole number", "quotes"),
        ("centre.division", "division", "4403", "six digits"),
        ("sip.relam", "relam", "not a key", "did you mean realm?"),
        (
            "sip.listeners.udp.bind",
            "localhost",
            "localhost:5060",
            "IP address and port",
        ),
        (
            "trunks.ct.sources",
            "[trunks.ct]",
            "a trunk without a source rule",
            "sources = [",
        ),
        (
            "trunks.ct.profile",
            "cct",
            "no usable cct.toml",
            "did you mean ct?",
        ),
        (
            "seats.801.secret",
            "in-the-file",
            "stands in the configuration file",
            "FIRSTRING__SEATS__801__SECRET",
        ),
        ("media.port_first", "port_first", "20001", "even"),
        ("media.port_last", "port_last", "2 pairs", "at least 16"),
        ("timers.ring_ms", "ring_ms", "a text", "without quotes"),
        (
            "timers.wait_alert_ms",
            "wait_alert_ms",
            "is 10",
            "3000 to 60000",
        ),
        ("api.bind", "0.0.0.0:8120", "without TLS", "certificate"),
        ("nonsense", "[nonsense]", "not a key", "known here"),
        (
            "store.journal",
            "/proc/journal",
            "cannot be written",
            "chown",
        ),
    ] {
        if key == "store.journal" && rustix::process::geteuid().is_root() {
            continue; // root may write anywhere
        }
        let fault = find(&faults, key);
        assert_eq!(fault.origin, line_of(text, needle), "{fault}");
        assert!(fault.reason.contains(reason), "{fault}");
        assert!(fault.fix.contains(fix), "{fault}");
        assert_eq!(fault.severity, Severity::Error, "{fault}");
    }
    let shown = find(&faults, "sip.relam").to_string();
    assert!(
        shown.contains("firstring.toml:7: error: sip.relam"),
        "{shown}"
    );
    assert!(
        !faults
            .iter()
            .any(|fault| fault.to_string().contains("in-the-file")),
        "a secret is never repeated"
    );
}

#[test]
fn a_line_that_is_no_toml_is_reported_beside_the_other_faults() {
    let site = Site::new();
    let faults = site.faults("[centre\nid = \"x\"\n[sip]\nrealm = = \"x\"\n[nonsense]\n");
    assert!(
        faults
            .iter()
            .any(|fault| fault.key.is_empty() && fault.origin == Origin::File { line: 1 })
    );
    assert!(
        faults
            .iter()
            .any(|fault| fault.key.is_empty() && fault.origin == Origin::File { line: 4 })
    );
    find(&faults, "nonsense");
}

#[test]
fn a_trunk_without_a_source_rule_is_refused() {
    let site = Site::new();
    for sources in [
        "",
        "sources = []",
        "sources = [\"0.0.0.0/0\"]",
        "sources = [\"10.0.0.0/33\"]",
    ] {
        let text = GOOD.replace("sources = [\"127.0.0.2\"]", sources);
        let fault = site.load(&text, &[]).map(|_| ()).unwrap_err();
        assert_eq!(
            find(&fault, "trunks.ct.sources").severity,
            Severity::Error,
            "{sources}"
        );
    }
}

#[test]
fn overlapping_sources_are_a_warning() {
    let site = Site::new();
    let text = format!("{GOOD}\n[trunks.cmcc]\nsources = [\"127.0.0.0/29\"]\nprofile = \"ct\"\n");
    let (_, origins) = site
        .load(&text, &[])
        .unwrap_or_else(|faults| panic!("{faults:#?}"));
    let fault = find(&origins.warnings, "trunks.ct.sources");
    assert!(
        fault.reason.contains("overlaps 127.0.0.0/29 of cmcc"),
        "{fault}"
    );
}

#[test]
fn the_environment_overrides_the_file_and_carries_secrets() {
    let site = Site::new();
    let text = GOOD.replace("secret_file = \"@/secrets/seats-801\"", "");
    let (config, origins) = site
        .load(
            &text,
            &[
                ("FIRSTRING__SEATS__801__SECRET", "from-the-environment"),
                ("FIRSTRING__SIP__REALM", "sz"),
                ("FIRSTRING__TRUNKS__CT__SOURCES", "127.0.0.3, 127.0.0.4/31"),
                ("FIRSTRING__TIMERS__RING_MS", "9000"),
                ("FIRSTRING_LOG", "debug"),
            ],
        )
        .unwrap_or_else(|faults| panic!("{faults:#?}"));
    assert_eq!(config.sip.seats[0].secret.0, "from-the-environment");
    assert_eq!(config.sip.realm, "sz");
    assert_eq!(config.sip.trunks[0].sources.len(), 2);
    assert_eq!(config.policy.timers.ring.0, 9000);
    let shown = origins.to_string();
    assert!(
        shown.contains("sip.realm = \"sz\"  # environment FIRSTRING__SIP__REALM"),
        "{shown}"
    );
    assert!(
        shown.contains("timers.wrap_up_ms = 15000  # default"),
        "{shown}"
    );
    assert!(shown.contains("centre.id = \"sz120\"  # line 3"), "{shown}");
    assert!(
        shown.contains("seats.801.secret = \"***\"  # environment"),
        "{shown}"
    );
    assert!(
        !shown.contains("from-the-environment") && !shown.contains("seats-809-0123456789"),
        "{shown}"
    );
    assert!(
        !format!("{config:?}").contains("from-the-environment"),
        "secrets print as ***"
    );
}

#[test]
fn a_misspelt_variable_is_refused_by_name() {
    let site = Site::new();
    let faults = site
        .load(GOOD, &[("FIRSTRING__SIP__RELAM", "x")])
        .map(|_| ())
        .unwrap_err();
    let fault = find(&faults, "sip.relam");
    assert!(
        fault
            .to_string()
            .starts_with("FIRSTRING__SIP__RELAM: error"),
        "{fault}"
    );
}

#[test]
fn a_token_must_fit_its_seat_and_keeps_only_its_hash() {
    let site = Site::new();
    let token = |role: &str, seat: &str| {
        format!(
            "{GOOD}\n[api.tokens.x]\nrole = \"{role}\"\n{seat}\nsecret_file = \"@/secrets/token-801\"\n"
        )
    };
    let (config, _) = site
        .load(&token("supervisor", "seat = \"809\""), &[])
        .unwrap_or_else(|f| panic!("{f:#?}"));
    use sha2::Digest;
    let hash: [u8; 32] = sha2::Sha256::digest("token-801-0123456789").into();
    assert_eq!(config.api.tokens[0].sha256, hash);
    for (role, seat, key) in [
        ("supervisor", "seat = \"801\"", "api.tokens.x.seat"),
        ("seat", "", "api.tokens.x.seat"),
        ("seat", "seat = \"802\"", "api.tokens.x.seat"),
        ("admin", "seat = \"801\"", "api.tokens.x.seat"),
        ("boss", "seat = \"801\"", "api.tokens.x.role"),
    ] {
        let faults = site.load(&token(role, seat), &[]).map(|_| ()).unwrap_err();
        find(&faults, key);
    }
}

#[test]
fn two_tokens_with_one_secret_are_refused() {
    let site = Site::new();
    let text = format!(
        "{GOOD}\n[api.tokens.a]\nrole = \"admin\"\nsecret_file = \"@/secrets/token-801\"\n[api.tokens.b]\nrole = \"admin\"\nsecret_file = \"@/secrets/token-801\"\n"
    );
    let faults = site.load(&text, &[]).map(|_| ()).unwrap_err();
    find(&faults, "api.tokens.b");
}

#[test]
fn a_secret_everybody_can_read_is_a_warning() {
    use std::os::unix::fs::PermissionsExt;
    let site = Site::new();
    let path = site.dir.path().join("secrets/seats-801");
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o644)).unwrap();
    let (_, origins) = site
        .load(GOOD, &[])
        .unwrap_or_else(|faults| panic!("{faults:#?}"));
    assert!(
        find(&origins.warnings, "seats.801.secret_file")
            .fix
            .starts_with("chmod 0600")
    );
}

#[test]
fn a_database_password_in_the_file_is_refused_and_never_shown() {
    let site = Site::new();
    let text = GOOD.replace(
        "sqlite:@/firstring.db",
        "postgres://firstring:geheim@127.0.0.1/x",
    );
    let faults = site.load(&text, &[]).map(|_| ()).unwrap_err();
    find(&faults, "store.database");
    assert!(
        !faults
            .iter()
            .any(|fault| fault.to_string().contains("geheim"))
    );
    if cfg!(feature = "postgres") {
        let text = GOOD.replace(
            "database = \"sqlite:@/firstring.db\"",
            "database = \"postgres://firstring@127.0.0.1/x\"\ndatabase_password_file = \"@/secrets/line-data\"",
        );
        let (config, origins) = site
            .load(&text, &[])
            .unwrap_or_else(|faults| panic!("{faults:#?}"));
        let firstring::config::checked::Database::Postgres(url) = config.store.database else {
            panic!("PostgreSQL was asked for")
        };
        assert_eq!(url, "postgres://firstring:line-data-0123456789@127.0.0.1/x");
        assert!(!origins.to_string().contains("line-data-0123456789"));
    }
}

#[test]
fn a_certificate_that_is_none_is_refused() {
    let site = Site::new();
    site.certificate();
    let tls = |certificate: &str| {
        format!(
            "{GOOD}\n[api]\nbind = \"0.0.0.0:8443\"\ncertificate = \"@/tls/{certificate}\"\nkey = \"@/tls/key.pem\"\n"
        )
    };
    site.load(&tls("chain.pem"), &[])
        .unwrap_or_else(|faults| panic!("{faults:#?}"));
    let faults = site.load(&tls("key.pem"), &[]).map(|_| ()).unwrap_err();
    find(&faults, "api.certificate");
}

#[test]
fn a_key_of_another_certificate_is_refused() {
    let site = Site::new();
    site.certificate();
    let other = rcgen::generate_simple_self_signed(vec![String::from("localhost")]).unwrap();
    site.put("tls/other.pem", &other.signing_key.serialize_pem());
    let text = format!(
        "{GOOD}\n[api]\nbind = \"0.0.0.0:8443\"\ncertificate = \"@/tls/chain.pem\"\nkey = \"@/tls/other.pem\"\n"
    );
    let faults = site.load(&text, &[]).map(|_| ()).unwrap_err();
    let fault = find(&faults, "api.key");
    assert!(fault.reason.contains("not the key of"), "{fault}");
    assert_eq!(fault.origin, line_of(&text, "other.pem"));
}

#[test]
fn two_sockets_at_one_place_are_refused_also_behind_every_address() {
    let site = Site::new();
    let text = format!(
        "{GOOD}\n[sip.listeners.all]\nbind = \"0.0.0.0:5060\"\nadvertised = \"192.0.2.1\"\n\
         [sip.listeners.stream]\ntransport = \"tcp\"\nbind = \"127.0.0.1:5060\"\n[api]\nbind = \"127.0.0.1:5060\"\n"
    );
    let faults = site.faults(&text);
    let fault = find(&faults, "sip.listeners.udp");
    assert!(fault.reason.contains("sip.listeners.all"), "{fault}");
    let fault = find(&faults, "api.bind");
    assert!(fault.reason.contains("sip.listeners.stream"), "{fault}");
    assert!(
        !faults
            .iter()
            .any(|fault| fault.key == "sip.listeners.stream"),
        "TCP and UDP share a port number: {faults:#?}"
    );
    let range = "[media]\nport_first = 5000\nport_last = 5200\n";
    let faults = site.faults(&format!("{GOOD}\n{range}"));
    let fault = find(&faults, "media.port_first");
    assert!(fault.reason.contains("sip.listeners.udp"), "{fault}");
}

#[test]
fn a_missing_greeting_is_a_warning_that_names_the_file_and_refuses_nothing() {
    let site = Site::new();
    std::fs::remove_file(site.dir.path().join("prompts/zh-CN/greeting.wav")).unwrap();
    let text = format!("{GOOD}\n[prompts]\ndir = \"@/prompts\"\n");
    let (_, origins) = site
        .load(&text, &[])
        .unwrap_or_else(|faults| panic!("{faults:#?}"));
    let fault = find(&origins.warnings, "prompts.dir");
    for name in ["zh-CN/greeting.wav", "zh-CN/number_9.wav", "music/hold.wav"] {
        assert!(fault.reason.contains(name), "{fault}");
    }
    assert!(!fault.reason.contains("number_10"), "{fault}");
}

#[test]
fn a_missing_file_says_what_to_do() {
    let faults = load_with(Path::new("/nonexistent/firstring.toml"), [])
        .map(|_| ())
        .unwrap_err();
    assert_eq!(faults.len(), 1);
    assert!(
        faults[0].to_string().contains("firstring.example.toml"),
        "{}",
        faults[0]
    );
}

#[test]
fn queues_name_skills_and_seats_that_are_there() {
    let site = Site::new();
    let text = format!(
        "{}{}",
        GOOD.replace("profile = \"ct\"", "profile = \"ct\"\nqueue = \"child\"")
            .replace("[seats.809]", "skills = [\"child\"]\n[seats.809]"),
        r#"
[queues.child]
needs = ["child"]
relax_s = 8
ahead_s = 10
strategy = "fewest_calls"
fallback = "120"
[callers]
shared_numbers = ["0755-88880000"]
affinity_min = 30
"#
    );
    let (config, _) = site
        .load(&text, &[])
        .unwrap_or_else(|faults| panic!("{faults:#?}"));
    let child = firstring::id::QueueId::from("child");
    let rules = &config.policy.queues[&child];
    assert_eq!((rules.relax.0, rules.ahead.0), (8_000, 10_000));
    assert_eq!(config.policy.queues.len(), 2, "the default one is there");
    assert_eq!(config.policy.shared_numbers, ["+8675588880000"]);
    assert_eq!(config.policy.timers.affinity.0, 1_800_000);
    let trunk = config.policy.trunks.values().next().unwrap();
    assert_eq!(trunk.queue, Some(child));
}

#[test]
fn queue_that_nobody_serves_and_names_that_are_not_there_are_refused_with_a_fix() {
    let site = Site::new();
    let text = format!(
        "{}{}",
        GOOD.replace("profile = \"ct\"", "profile = \"ct\"\nqueue = \"chidl\"")
            .replace("[seats.809]", "queues = [\"120\"]\n[seats.809]")
            .replace("supervisor = true", "supervisor = true\nqueues = [\"120\"]"),
        r#"
[queues.child]
needs = ["paediatrics"]
[queues.night]
fallback = "120"
colour = "red"
[callers]
shared_numbers = ["12"]
"#
    );
    let faults = site.faults(&text);
    assert!(find(&faults, "trunks.ct.queue").fix.contains("child"));
    assert!(find(&faults, "queues.child").reason.contains("no seat"));
    assert!(
        find(&faults, "queues.child.needs")
            .reason
            .contains("no seat has")
    );
    assert!(
        find(&faults, "queues.night.colour")
            .reason
            .contains("not a key")
    );
    assert!(
        find(&faults, "callers.shared_numbers")
            .reason
            .contains("no full number")
    );
}
