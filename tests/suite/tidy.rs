//! The house kept tidy: who may import whom, what pure code may not name, which module owns which crate, sizes, words,
//! and documents that speak of things that exist. Reads the tree as text; no compiler, no network.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Lowest layer: words and numbers.
const L0: &[&str] = &["id", "time", "limits", "phone", "matrix", "geo"];
/// Everything, for the roots.
const ALL: &[&str] = &["*"];

/// Path under `src/` (the longest that fits counts), which groups it may import, which modules besides.
/// `call` holds the words between core and shells (`LegEvent`, `LegCommand`, `Party`), `config` only checked values, so
/// the protocol code may name both.
const TABLE: &[(&str, &[&[&str]])] = &[
    ("id.rs", &[L0]),
    ("time.rs", &[L0]),
    ("limits.rs", &[L0]),
    ("phone.rs", &[L0]),
    ("matrix.rs", &[L0]),
    ("geo.rs", &[L0]),
    ("clock.rs", &[L0]),
    ("call/", &[L0, &["ivr"]]),
    ("acd/", &[L0, &["call"]]),
    ("ivr/", &[L0]),
    ("conference/", &[L0, &["call"]]),
    ("screen/", &[L0, &["call"]]),
    (
        "switch/",
        &[L0, &["call", "acd", "ivr", "conference", "screen"]],
    ),
    ("call_record/", &[L0, &["call", "screen", "switch"]]),
    ("sip/", &[L0, &["call", "config", "media"]]),
    (
        "sip/transport/",
        &[L0, &["call", "config", "switch", "clock"]],
    ),
    (
        "sip/endpoint",
        &[L0, &["call", "config", "media", "switch", "clock"]],
    ),
    ("media/", &[L0, &["call"]]),
    ("media/plane", &[L0, &["call", "config", "switch", "clock"]]),
    ("media/port.rs", &[L0, &["config", "clock"]]),
    ("media/prompt.rs", &[L0, &["config", "switch"]]),
    (
        "media/recorder/",
        &[L0, &["call", "config", "switch", "clock"]],
    ),
    (
        "media/worker/",
        &[L0, &["call", "config", "switch", "clock"]],
    ),
    (
        "config/",
        &[L0, &["call", "ivr", "screen", "switch", "sip"]],
    ),
    ("enrich/", &[L0, &["call", "switch", "config", "clock"]]),
    (
        "store/",
        &[L0, &["call", "switch", "call_record", "config", "clock"]],
    ),
    (
        "deliver/",
        &[L0, &["switch", "call_record", "config", "clock", "store"]],
    ),
    (
        "api/",
        &[
            L0,
            &[
                "call",
                "switch",
                "call_record",
                "config",
                "clock",
                "store",
                "media",
                "console",
            ],
        ],
    ),
    ("console/", &[]),
    ("terminal/", &[L0, &["clock"]]),
    ("modules/", &[]),
    ("engine/", &[ALL]),
    ("sim/", &[ALL]),
    ("demo/", &[ALL]),
    ("cli.rs", &[ALL]),
    ("cli/", &[ALL]),
    ("main.rs", &[ALL]),
    ("lib.rs", &[ALL]),
];

/// Paths of pure code, less those behind them.
const PURE: &[(&str, &[&str])] = &[
    ("id.rs", &[]),
    ("time.rs", &[]),
    ("limits.rs", &[]),
    ("phone.rs", &[]),
    ("matrix.rs", &[]),
    ("geo.rs", &[]),
    ("call/", &[]),
    ("acd/", &[]),
    ("ivr/", &[]),
    ("conference/", &[]),
    ("screen/", &[]),
    ("switch/", &[]),
    ("call_record/", &[]),
    ("sip/", &["sip/transport/", "sip/endpoint"]),
    (
        "media/",
        &[
            "media/plane",
            "media/port.rs",
            "media/prompt.rs",
            "media/recorder/",
            "media/tap.rs",
            "media/worker/",
        ],
    ),
    ("enrich/pani.rs", &[]),
    ("enrich/pidf.rs", &[]),
];

/// What pure code may not name. Addresses as data are fine.
const IMPURE: &[&str] = &[
    "tokio",
    "Instant",
    "SystemTime",
    "rand",
    "sqlx",
    "redis",
    "axum",
    "mio",
    "socket2",
    "rtrb",
    "rustix",
    "reqwest",
    "UdpSocket",
    "TcpStream",
    "TcpListener",
    "HashMap",
    "HashSet",
];

/// Each of these crates is named in one place only.
const OWNED: &[(&str, &[&str])] = &[
    ("sipx_sip", &["sip/wire"]),
    // `sim` holds peers that must not share our faults.
    ("rtp_rs", &["media/rtp.rs", "sim/"]),
    ("rtcp_types", &["media/rtcp.rs"]),
    ("rtrb", &["media/tap.rs"]),
    ("quick_xml", &["enrich/pidf.rs"]),
    ("coordtransform", &["geo.rs"]),
    ("redis", &["store/"]),
    ("webrtc", &["media/webrtc"]),
    ("md5", &["sip/auth.rs", "sim/"]),
    ("zip", &["api/evidence.rs"]),
    ("ratatui", &["terminal/"]),
    ("clap", &["cli.rs", "cli/", "main.rs"]),
    // The reference modules are what another vendor would write, with a store of their own.
    ("sqlx", &["store/", "modules/"]),
    ("standardwebhooks", &["deliver/", "modules/"]),
    // The oracle of the tests.
    ("rsip", &[]),
];

const FILE_LINES_MAX: usize = 800;

const DOCUMENTS: &[&str] = &[
    "LICENSE",
    "CHANGELOG.md",
    "firstring.example.toml",
    "packaging/firstring.service",
    "docs/alarms.md",
    "docs/glossary.md",
    "docs/install.md",
    "docs/ws-t-451.md",
];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Files below `folder` with one of `ends`, as paths from the root of the repository, sorted.
fn files(folder: &str, ends: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    let mut open = vec![root().join(folder)];
    while let Some(folder) = open.pop() {
        let Ok(entries) = std::fs::read_dir(&folder) else {
            continue;
        };
        for entry in entries {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            let is_link = path.is_symlink();
            if path.is_dir()
                && !is_link
                && !name.starts_with('.')
                && !["target", "data", "snapshots"].contains(&name.as_str())
            {
                open.push(path);
            } else if ends.iter().any(|end| name.ends_with(end)) {
                found.push(
                    path.strip_prefix(root())
                        .unwrap()
                        .to_str()
                        .unwrap()
                        .to_owned(),
                );
            }
        }
    }
    found.sort();
    found
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Sources that ship, by path under `src/`, without comments, texts and inline tests.
fn sources() -> BTreeMap<String, String> {
    files("src", &[".rs"])
        .into_iter()
        .map(|path| {
            (
                path.strip_prefix("src/").unwrap().to_owned(),
                code(&read(&path)),
            )
        })
        .filter(|(path, _)| {
            !path
                .split('/')
                .any(|part| part == "tests" || part == "tests.rs")
        })
        .collect()
}

/// Code without its inline test module, line comments and the contents of plain texts.
fn code(text: &str) -> String {
    let mut kept = String::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        if line == "#[cfg(test)]"
            && lines
                .peek()
                .is_some_and(|next| next.starts_with("mod ") && next.ends_with('{'))
        {
            break;
        }
        let mut quoted = false;
        let mut before = ' ';
        let mut rest = line.chars().peekable();
        while let Some(c) = rest.next() {
            if c == '/' && rest.peek() == Some(&'/') && !quoted {
                break;
            }
            if c == '"' && before != '\\' && before != '\'' {
                quoted = !quoted;
            } else if !quoted {
                kept.push(c);
            }
            before = c;
        }
        kept.push('\n');
    }
    kept
}

/// Identifiers in order, with `::` and braces kept as their own words.
fn words(code: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut start = None;
    for (at, c) in code.char_indices() {
        let is_word = c.is_alphanumeric() || c == '_';
        match (start, is_word) {
            (None, true) => start = Some(at),
            (Some(from), false) => {
                found.push(&code[from..at]);
                start = None;
            }
            (Some(_), true) | (None, false) => {}
        }
        if c == ':' || c == '{' || c == '}' || c == ',' {
            found.push(&code[at..at + 1]);
        }
    }
    found
}

/// Modules named behind `crate::`, also in braces.
fn imports(code: &str) -> BTreeSet<String> {
    let words = words(code);
    let mut found = BTreeSet::new();
    for (at, word) in words.iter().enumerate() {
        if *word != "crate" || words.get(at + 1..at + 3) != Some(&[":", ":"]) {
            continue;
        }
        match words.get(at + 3) {
            Some(&"{") => {
                let mut depth = 0;
                let mut expects = false;
                for word in words.iter().skip(at + 3) {
                    match *word {
                        "{" => {
                            depth += 1;
                            expects = depth == 1;
                        }
                        "}" => depth -= 1,
                        "," => expects = depth == 1,
                        ":" => {}
                        name if expects => {
                            found.insert(name.to_owned());
                            expects = false;
                        }
                        _ => {}
                    }
                    if depth == 0 {
                        break;
                    }
                }
            }
            Some(name) => {
                found.insert((*name).to_owned());
            }
            None => {}
        }
    }
    found
}

/// The entry of the longest path that `path` begins with.
fn longest<'t, T>(table: &'t [(&str, T)], path: &str) -> Option<&'t (&'t str, T)> {
    table
        .iter()
        .filter(|(prefix, _)| path.starts_with(prefix))
        .max_by_key(|(prefix, _)| prefix.len())
}

fn own_module(path: &str) -> &str {
    path.split('/')
        .next()
        .unwrap_or(path)
        .trim_end_matches(".rs")
}

fn assert_none(breaches: &[String], advice: &str) {
    assert!(breaches.is_empty(), "{advice}\n  {}", breaches.join("\n  "));
}

#[test]
fn every_import_goes_the_way_of_the_dependency_table() {
    let mut breaches = Vec::new();
    for (path, code) in sources() {
        let Some((_, groups)) = longest(TABLE, &path) else {
            breaches.push(format!("src/{path} is in no line of the table"));
            continue;
        };
        let allowed: Vec<&str> = groups
            .iter()
            .flat_map(|group| group.iter().copied())
            .collect();
        for import in imports(&code) {
            let is_module = TABLE.iter().any(|(prefix, _)| own_module(prefix) == import);
            let fits = allowed.contains(&"*")
                || allowed.contains(&import.as_str())
                || import == own_module(&path);
            if is_module && !fits {
                breaches.push(format!("src/{path} imports crate::{import}"));
            }
        }
    }
    assert_none(
        &breaches,
        "Layers point one way (TABLE in tests/suite/tidy.rs). Move the code, or change the table with an ADR:",
    );
}

#[test]
fn pure_code_names_no_clock_no_chance_no_socket_and_no_file() {
    let mut breaches = Vec::new();
    for (path, code) in sources() {
        let Some((_, shells)) = longest(PURE, &path) else {
            continue;
        };
        if shells.iter().any(|shell| path.starts_with(shell)) {
            continue;
        }
        let words = words(&code);
        for word in IMPURE.iter().filter(|word| words.contains(word)) {
            breaches.push(format!("src/{path} names {word}"));
        }
        for (at, word) in words.iter().enumerate() {
            let path_of = words.get(at + 1..at + 3) == Some(&[":", ":"]);
            if *word == "std"
                && path_of
                && matches!(
                    words.get(at + 3),
                    Some(&("fs" | "thread" | "process" | "env"))
                )
            {
                breaches.push(format!("src/{path} names std::{}", words[at + 3]));
            }
        }
    }
    assert_none(
        &breaches,
        "Pure code is handed what it needs; the shell beside it touches the world:",
    );
}

#[test]
fn each_protocol_crate_is_named_in_its_own_module_only() {
    let mut breaches = Vec::new();
    for (path, code) in sources() {
        let words = words(&code);
        for (name, owners) in OWNED {
            let is_named = words.windows(3).any(|part| part == [*name, ":", ":"])
                || code.contains(&format!("use {name};"));
            if is_named && !owners.iter().any(|owner| path.starts_with(owner)) {
                breaches.push(format!("src/{path} names {name}"));
            }
        }
    }
    assert_none(
        &breaches,
        "A crate can be exchanged only where one module knows it:",
    );
}

#[test]
fn no_file_is_longer_than_800_lines() {
    let mut breaches = Vec::new();
    for folder in ["src", "tests", "benches", "examples", "tools"] {
        for path in files(folder, &[".rs", ".py", ".sh"]) {
            let lines = read(&path).lines().count();
            if lines > FILE_LINES_MAX {
                breaches.push(format!("{path} has {lines} lines"));
            }
        }
    }
    assert_none(&breaches, "Split it by state or by duty:");
}

#[test]
fn names_say_what_things_are() {
    let mut breaches = Vec::new();
    for (path, code) in sources() {
        let words = words(&code);
        for pair in words.windows(2) {
            let (kind, name) = (pair[0], pair[1]);
            // The standard collections' own names are fine.
            if kind == "fn" && name.starts_with("get_") && !name.starts_with("get_mut") {
                breaches.push(format!("src/{path}: fn {name} (no get_)"));
            }
            let vague = ["Manager", "Helper", "Util", "Utils"]
                .iter()
                .any(|end| name.ends_with(end));
            if matches!(kind, "struct" | "enum" | "trait" | "type") && vague {
                breaches.push(format!("src/{path}: {kind} {name} (say what it does)"));
            }
        }
    }
    assert_none(&breaches, "docs/glossary.md has the words:");
}

/// Texts that people of this project read.
fn texts() -> Vec<String> {
    let mut all = files(
        "",
        &[
            ".rs", ".md", ".toml", ".sh", ".py", ".service", ".html", ".js", ".css", ".sql",
            "Makefile",
        ],
    );
    all.retain(|path| path != "tests/suite/tidy.rs" && !path.starts_with("proptest-regressions"));
    all
}

/// `word` followed by a number, as in a tracker's or a diary's reference.
fn has_numbered(text: &str, word: &str) -> bool {
    text.match_indices(word).any(|(at, _)| {
        let rest = text[at + word.len()..].trim_start_matches([' ', '#']);
        let gap = text[at + word.len()..].len() - rest.len();
        let begins = !text[..at].ends_with(|c: char| c.is_alphanumeric());
        begins && gap > 0 && rest.starts_with(|c: char| c.is_ascii_digit())
    })
}

#[test]
fn no_text_speaks_of_where_it_was_written() {
    let mut breaches = Vec::new();
    for path in texts() {
        for (at, line) in read(&path).lines().enumerate() {
            let lower = line.to_lowercase();
            let place = ["issue", "session", "ticket"]
                .iter()
                .any(|word| has_numbered(&lower, word))
                || lower.contains("/work/")
                || lower.contains("/farm/")
                || ["TODO", "FIXME", "XXX:"]
                    .iter()
                    .any(|word| line.contains(word));
            if place {
                breaches.push(format!("{path}:{}: {}", at + 1, line.trim()));
            }
        }
    }
    assert_none(
        &breaches,
        "A reader has only this repository; say the reason itself:",
    );
}

/// The public names of `enum AlarmCode`.
fn alarm_codes() -> BTreeSet<String> {
    let text = read("src/switch/event.rs");
    let (_, rest) = text
        .split_once("pub enum AlarmCode {")
        .expect("the enum of alarms");
    let (body, _) = rest.split_once("\n}").expect("its end");
    body.split("#[serde(rename = \"")
        .skip(1)
        .map(|part| part.split('"').next().unwrap().to_owned())
        .collect()
}

#[test]
fn every_alarm_has_its_entry_and_every_entry_its_alarm() {
    let codes = alarm_codes();
    assert!(codes.len() > 10, "{codes:?}");
    let page = read("docs/alarms.md");
    let entries: BTreeSet<String> = page
        .lines()
        .filter_map(|line| line.strip_prefix("## `")?.strip_suffix('`'))
        .map(str::to_owned)
        .collect();
    assert_eq!(codes, entries, "docs/alarms.md against AlarmCode");
    for section in page.split("\n## `").skip(1) {
        for part in ["**Means.**", "**Do.**", "**Clears.**"] {
            assert!(
                section.contains(part),
                "{part} is missing in {}",
                section.lines().next().unwrap()
            );
        }
    }
}

#[test]
fn the_documents_are_there_and_their_links_lead_somewhere() {
    let mut breaches: Vec<String> = DOCUMENTS
        .iter()
        .filter(|path| !root().join(path).is_file())
        .map(|path| format!("{path} is missing"))
        .collect();
    for path in files("", &[".md"]) {
        let folder = root().join(&path).parent().unwrap().to_owned();
        for link in read(&path).split("](").skip(1) {
            let target = link.split(')').next().unwrap().split('#').next().unwrap();
            let is_outside =
                target.is_empty() || target.contains("://") || target.starts_with("mailto:");
            if !is_outside && !Path::new(&folder.join(target)).exists() {
                breaches.push(format!("{path} links to {target}, which is not there"));
            }
        }
    }
    assert_none(&breaches, "Documents are part of the product:");
}

#[test]
fn every_test_named_in_the_standards_table_exists() {
    let tests: BTreeSet<String> = files("tests", &[".rs"])
        .into_iter()
        .chain(files("src", &[".rs"]))
        .flat_map(|path| {
            let text = read(&path);
            let names = text.lines().filter_map(|line| {
                let line = line.trim_start();
                let line = line.strip_prefix("async ").unwrap_or(line);
                let name = line.strip_prefix("fn ")?.split('(').next()?;
                Some(name.to_owned())
            });
            names.collect::<Vec<_>>()
        })
        .collect();
    let page = read("docs/ws-t-451.md");
    let named: Vec<&str> = page
        .split('`')
        .skip(1)
        .step_by(2)
        .filter(|word| {
            word.matches('_').count() >= 2
                && word.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        })
        .collect();
    assert!(named.len() >= 5, "the table names tests: {named:?}");
    let breaches: Vec<String> = named
        .iter()
        .filter(|name| !tests.contains(**name))
        .map(|name| format!("{name} is no test"))
        .collect();
    assert_none(&breaches, "docs/ws-t-451.md promises only what runs:");
}

#[test]
fn a_planted_breach_of_each_rule_is_seen() {
    let planted = "use crate::acd::Seat;\nuse crate::{call::Leg, switch::{Input, Effect}, id};\n// crate::comment\nlet x = \"crate::text\"; let y = crate::store::x();\n#[cfg(test)]\nmod tests {\n use crate::sim::Y;\n}";
    let found = imports(&code(planted));
    let wanted: BTreeSet<String> = ["acd", "call", "switch", "id", "store"]
        .map(str::to_owned)
        .into();
    assert_eq!(found, wanted);
    assert_eq!(
        longest(TABLE, "sip/transport/udp.rs").map(|line| line.0),
        Some("sip/transport/")
    );
    assert_eq!(
        longest(TABLE, "sip/ua/mod.rs").map(|line| line.0),
        Some("sip/")
    );
    assert!(words("let t = std::time::Instant::now();").contains(&"Instant"));
    assert!(has_numbered("see issue #12", "issue") && has_numbered("session 4", "session"));
    assert!(!has_numbered("a tissue 1", "issue") && !has_numbered("sessions", "session"));
}
