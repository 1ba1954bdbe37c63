//! `firstring check`, the program: what it says of the machine that a configuration is for.

use std::net::{TcpListener, UdpSocket};
use std::path::Path;
use std::process::Command;

use firstring::sim::centre::Centre;

use crate::support::scene;
use crate::support::server::{Server, centre};

/// Exit code, and what was said on both outputs.
fn check(config: &Path, more: &[&str]) -> (i32, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_firstring"))
        .args(["check", "--config"])
        .arg(config)
        .args(more)
        .output()
        .expect("the program runs");
    let said = [output.stdout, output.stderr].concat();
    (
        output.status.code().expect("an exit code"),
        String::from_utf8_lossy(&said).into_owned(),
    )
}

/// The line of `key` in the file, as it is reported.
fn place(config: &Path, needle: &str) -> String {
    let text = std::fs::read_to_string(config).expect("the configuration");
    let line = text.lines().position(|line| line.contains(needle));
    format!(
        "{}:{}: ",
        config.display(),
        line.unwrap_or_else(|| panic!("no {needle} in\n{text}")) + 1
    )
}

/// One report: its first line and its fix.
#[track_caller]
fn reported<'s>(said: &'s str, start: &str, words: &[&str]) -> &'s str {
    let from = said
        .find(start)
        .unwrap_or_else(|| panic!("nothing begins with {start:?}:\n{said}"));
    let report = said[from..].splitn(3, '\n').take(2).collect::<Vec<_>>();
    for word in words {
        assert!(
            report.iter().any(|line| line.contains(word)),
            "{word:?} is not in {report:?}"
        );
    }
    assert!(report[1].starts_with("    fix: "), "{report:?}");
    report[0]
}

fn certificate(centre: &Centre, from: (i32, u8, u8), until: (i32, u8, u8)) -> [String; 2] {
    let mut params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    params.not_before = rcgen::date_time_ymd(from.0, from.1, from.2);
    params.not_after = rcgen::date_time_ymd(until.0, until.1, until.2);
    let key = rcgen::KeyPair::generate().unwrap();
    let name = format!("{}-{}", from.0, until.0);
    let write = |end: &str, text: String| {
        let path = centre.dir.join(format!("{name}.{end}.pem"));
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    [
        write("cert", params.self_signed(&key).unwrap().pem()),
        write("key", key.serialize_pem()),
    ]
}

#[test]
fn addresses_that_a_program_holds_are_warnings_with_the_line_and_a_good_site_is_exit_0() {
    let (_dir, mut centre) = centre(1);
    let config = centre.write().unwrap();
    let (code, said) = check(&config, &[]);
    assert_eq!(code, 0, "{said}");
    // Tests beside this one may hold ports of the media range.
    let ours = said
        .lines()
        .filter(|line| !line.contains("media.port_first"));
    assert!(
        ours.into_iter().all(|line| !line.contains("taken")),
        "{said}"
    );
    let held = UdpSocket::bind("127.0.0.1:0").unwrap();
    let web = TcpListener::bind("127.0.0.1:0").unwrap();
    centre.listeners[0].2 = held.local_addr().unwrap();
    centre.api = web.local_addr().unwrap();
    let config = centre.write().unwrap();
    let (code, said) = check(&config, &[]);
    assert_eq!(code, 0, "{said}");
    for address in [centre.listeners[0].2, centre.api] {
        let start = place(&config, &format!("\"{address}\""));
        let fix = format!("sport = :{}", address.port());
        reported(
            &said,
            &start,
            &["warning", "taken", "firstring itself", &fix],
        );
    }
    assert_eq!(check(&config, &["--strict"]).0, 1);
    let (_, said) = check(&config, &["--offline"]);
    assert!(!said.contains("taken"), "{said}");
}

#[test]
fn an_address_of_another_machine_is_an_error() {
    let (_dir, mut centre) = centre(1);
    centre.listeners[0].2 = "192.0.2.77:5060".parse().unwrap();
    let config = centre.write().unwrap();
    let (code, said) = check(&config, &[]);
    assert_eq!(code, 1, "{said}");
    let start = place(&config, "192.0.2.77:5060");
    reported(&said, &start, &["error", "no address of this machine"]);
    assert_eq!(check(&config, &["--offline"]).0, 0);
}

#[test]
fn certificates_out_of_date_are_warnings_with_the_date() {
    let (_dir, mut centre) = centre(1);
    let mut wanted = Vec::new();
    for (id, from, until, word) in [
        (
            "old",
            (2020, 1, 1),
            (2021, 2, 3),
            "has expired at 2021-02-03",
        ),
        (
            "young",
            (2090, 1, 1),
            (2091, 1, 1),
            "not valid before 2090-01-01",
        ),
        ("good", (2020, 1, 1), (2090, 1, 1), ""),
    ] {
        let [chain, key] = certificate(&centre, from, until);
        centre.more.push_str(&format!(
            "\n[sip.listeners.{id}]\ntransport = \"tls\"\nbind = \"127.0.0.1:0\"\ncertificate = \"{chain}\"\nkey = \"{key}\"\n"
        ));
        wanted.push((chain, word));
    }
    let config = centre.write().unwrap();
    let (code, said) = check(&config, &["--offline"]);
    assert_eq!(code, 0, "{said}");
    for (chain, word) in wanted {
        let start = place(&config, &chain);
        if word.is_empty() {
            assert!(!said.contains(&start), "{said}");
        } else {
            reported(
                &said,
                &start,
                &["warning", word, "renew it"][..if word.starts_with("not") { 2 } else { 3 }],
            );
        }
    }
}

#[test]
fn missing_folders_and_a_database_that_is_none_or_does_not_answer_are_warnings() {
    let (_dir, mut centre) = centre(1);
    let config = centre.write().unwrap();
    std::fs::remove_dir_all(centre.dir.join("journal")).unwrap();
    std::fs::remove_dir_all(centre.dir.join("recordings")).unwrap();
    let text = std::fs::read_to_string(&config).unwrap();
    let line = text
        .lines()
        .find(|line| line.starts_with("database = \"sqlite:"))
        .expect("a database");
    let file = line
        .trim_start_matches("database = \"sqlite:")
        .trim_end_matches('"');
    std::fs::write(
        file,
        "this is no database at all, but long enough to be read as one",
    )
    .unwrap();
    let (code, said) = check(&config, &[]);
    assert_eq!(code, 0, "{said}");
    for needle in ["journal = ", "dir = \"", "database = "] {
        let start = place(&config, needle);
        let word = if needle == "database = " {
            "cannot be used"
        } else {
            "does not exist"
        };
        reported(&said, &start, &["warning", word]);
    }
    assert!(!centre.dir.join("journal").exists(), "nothing is made");
    if !cfg!(feature = "postgres") {
        return;
    }
    // It listens and never says a word.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap();
    std::fs::write(
        &config,
        text.replace(line, &format!("database = \"postgres://x@{address}/x\"")),
    )
    .unwrap();
    let began = std::time::Instant::now();
    let (code, said) = check(&config, &[]);
    let took = began.elapsed();
    assert_eq!(code, 0, "{said}");
    let start = place(&config, "database = ");
    reported(&said, &start, &["warning", "no answer within 3 s"]);
    assert!((3..10).contains(&took.as_secs()), "{took:?}");
    let (_, said) = check(&config, &["--offline"]);
    assert!(!said.contains("no answer"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_centre_without_its_announcements_takes_calls_and_an_alarm_names_the_files() {
    let (dir, mut practice) = centre(1);
    practice.trunks.push(scene::carrier("ct", "127.0.0.1"));
    practice
        .lines
        .insert("prompts", vec!["language = \"xx\"".to_owned()]);
    let mut server = Server::start((dir, practice)).await;
    let detail = scene::alarm(&mut server, "prompts.missing", true).await;
    for name in ["xx/greeting.wav", "xx/still_waiting.wav"] {
        assert!(detail.contains(name), "{detail}");
    }
    let mut seat = scene::seat(&mut server, "801").await;
    let mut caller = scene::caller(&server, "13900139000").await;
    let (talk, answered) = scene::talk(&mut caller, &mut seat, (620, 1100)).await;
    scene::end((&mut caller, talk), (&mut seat, answered)).await;
    let record = scene::closed_record_of(&mut server, "13900139000", false).await;
    assert_eq!(record["end"]["result"], "answered");
}
