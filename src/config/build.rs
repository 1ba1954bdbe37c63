//! From sections to the checked [`Config`]: centre, queue, timers, seats, secrets, storage, prompts. Every key's unit,
//! default and limit stands here; signalling and media in [`super::build_sip`], the rest in [`super::build_edge`].
//!
//! A value that is wrong is reported and replaced by something harmless so that the reading goes on; the result
//! counts only when no error was reported.

use std::path::{Path, PathBuf};

use super::build_queues;
use super::build_relief;
use super::build_seats;
use super::checked::{Config, Database, Recording, Secret, Store};
use super::disk::{self, Complaint};
use super::raw::{Origin, Table};
use super::section::{At, Reader, Section, quoted};
use super::{build_edge, build_forms, build_menu, build_self_test, build_sip};
use crate::screen::Bounds;
use crate::switch::{CallBackRules, Centre, Policy, Timers, prompts_played};
use crate::time::Millis;

/// Characters of a token or digest password; shorter ones can be guessed.
const SECRET_CHARS_MIN: usize = 12;

/// Reads the whole document.
#[expect(clippy::too_many_lines, reason = "a table: one line per section")]
pub(super) fn config(reader: &Reader, table: &Table) -> Option<Config> {
    let root = Section::root(reader, table);
    let centre = centre(&root.section("centre"));
    let queues = build_queues::queues(&root);
    let mut timers = timers(root.section("timers"));
    let screening = screening(root.section("screening"));
    let call_backs = call_backs(root.section("call_backs"));
    let evidence_key = evidence(root.section("evidence"));
    let (allow_faults, recorded) = testing(root.section("testing"));
    let (prompts, language) = prompts(root.section("prompts"));
    let people = build_seats::people(&root, &queues);
    queues.check_served(&root, &people.seats);
    let area_code = centre
        .as_ref()
        .map_or("", |centre| centre.area_code.as_str());
    let (mut sip, trunks, tested) = build_sip::sip(&root, area_code, &queues);
    let (shared_numbers, affinity) = build_queues::callers(root.section("callers"), area_code);
    timers.affinity = affinity;
    sip.seats = people.accounts;
    let menus = build_menu::menus(
        &root,
        &build_menu::Around {
            queues: &queues.names(),
            trunks: trunks.keys().cloned().collect(),
            area_code,
            prompts: &prompts,
            language: &language,
        },
    );
    let (relief, groups) = build_relief::outside(&root, &trunks, &people.seats);
    let forms = build_forms::lists(root.section("forms"));
    let media = build_sip::media(&root, &sip.listeners);
    let recording = root.section("recording");
    let recordings = folder(&recording, "dir", "/var/lib/firstring/recordings");
    recording.close();
    let store = store(root.section("store"));
    let (destinations, names) = build_edge::destinations(&root);
    let self_tests = build_self_test::rules(&root, tested, &trunks, &people.seats, &destinations);
    let api = build_edge::api(root.section("api"), &people.seats, &names, &sip.listeners);
    let enrich = build_edge::enrich(root.section("enrich"));
    root.close();
    Some(Config {
        policy: Policy {
            centre: centre?,
            queue: queues.default,
            queues: queues.rules,
            shared_numbers,
            timers,
            seats: people.seats,
            trunks,
            screening,
            call_backs,
            menus,
            relief,
            desks: people.desks,
            groups,
            self_tests,
            forms: forms.into(),
            language,
            allow_faults,
            recording: recorded,
        },
        sip,
        pins: people.pins,
        media: media?,
        recording: Recording { dir: recordings },
        store,
        api: api?,
        destinations,
        enrich,
        evidence_key,
        prompts,
    })
}

/// Whether commands may plant faults, and whether calls are recorded.
fn testing(testing: Section<'_>) -> (bool, bool) {
    let allow_faults = testing.flag("allow_faults", false);
    if allow_faults.value {
        testing.reader.warn(
            &allow_faults.origin,
            &allow_faults.key,
            "lets commands plant faults",
            "remove it outside of tests",
        );
    }
    let recorded = testing.flag("recording", true);
    if !recorded.value {
        testing.reader.warn(
            &recorded.origin,
            &recorded.key,
            "records no call",
            "remove it; it is for measuring what recording costs",
        );
    }
    testing.close();
    (allow_faults.value, recorded.value)
}

/// Reports a complaint of the disk at `at`.
pub(super) fn complain<T>(reader: &Reader, at: &At<T>, complaint: Complaint) {
    reader.fault(&at.origin, &at.key, complaint.reason, complaint.fix);
}

fn centre(section: &Section<'_>) -> Option<Centre> {
    let id = section.need_text("id", "records carry the centre's id", "sz120");
    let name = section.need_text(
        "name",
        "records and pages show the centre's name",
        "深圳市急救中心",
    );
    let area_code = section.need_text(
        "area_code",
        "numbers without area code belong to it",
        "0755",
    );
    let division = section.need_text(
        "division",
        "records carry the GB/T 2260 code of the place",
        "440300",
    );
    if let Some(code) = &area_code {
        check_area_code(section.reader, code);
    }
    if let Some(code) = &division {
        let fits = code.value.len() == 6 && code.value.bytes().all(|b| b.is_ascii_digit());
        if !fits {
            section.reader.fault(
                &code.origin,
                &code.key,
                format!("is {}", quoted(&code.value)),
                "it must be the six digits of GB/T 2260, such as \"440300\"",
            );
        }
    }
    Some(Centre {
        id: id?.value,
        name: name?.value,
        area_code: area_code?.value,
        division: division?.value,
    })
}

/// 0 and two or three digits; an unknown one is only worth a look.
pub(super) fn check_area_code(reader: &Reader, code: &At<String>) {
    let digits = code.value.strip_prefix('0').unwrap_or("");
    let fits = (2..=3).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
    if !fits {
        reader.fault(
            &code.origin,
            &code.key,
            format!("is {}", quoted(&code.value)),
            "it must be an area code with its 0, such as \"0755\" or \"010\"",
        );
    } else if crate::phone::place(&code.value).is_none() {
        reader.warn(
            &code.origin,
            &code.key,
            format!(
                "is {}, which is not in the table of area codes",
                quoted(&code.value)
            ),
            "check the digits; if they are right, nothing needs to be done",
        );
    }
}

fn timers(section: Section<'_>) -> Timers {
    let standard = Timers::default();
    let millis = |name: &str, min: i64, max: i64, default: Millis| {
        let found = section.integer(name, min..=max, i64::from(default.0), "milliseconds");
        Millis(u32::try_from(found.value).unwrap_or(default.0))
    };
    let timers = Timers {
        greeting_after: millis("greeting_after_ms", 0, 2000, standard.greeting_after),
        ring: millis("ring_ms", 4000, 15_000, standard.ring),
        wait_alert: millis("wait_alert_ms", 3000, 60_000, standard.wait_alert),
        still_waiting: millis("still_waiting_ms", 5000, 120_000, standard.still_waiting),
        third_party_ring: millis(
            "third_party_ring_ms",
            10_000,
            180_000,
            standard.third_party_ring,
        ),
        trunk_silence: millis("trunk_silence_ms", 1000, 15_000, standard.trunk_silence),
        wrap_up: millis("wrap_up_ms", 0, 600_000, standard.wrap_up),
        handling_first: millis(
            "handling_first_ms",
            10_000,
            3_600_000,
            standard.handling_first,
        ),
        handling_second: millis(
            "handling_second_ms",
            10_000,
            3_600_000,
            standard.handling_second,
        ),
        affinity: standard.affinity,
        hold_reminder: millis("hold_reminder_ms", 10_000, 600_000, standard.hold_reminder),
        shelf_reminder: millis(
            "shelf_reminder_ms",
            20_000,
            600_000,
            standard.shelf_reminder,
        ),
        shelf_max: millis("shelf_max_ms", 30_000, 1_800_000, standard.shelf_max),
        shelf_idle: millis("shelf_idle_ms", 1000, 60_000, standard.shelf_idle),
        seat_back: millis("seat_back_ms", 0, 60_000, standard.seat_back),
        group_ring: millis("group_ring_ms", 10_000, 60_000, standard.group_ring),
        release_guard: millis("release_guard_ms", 5000, 120_000, standard.release_guard),
    };
    section.close();
    timers
}

/// Who is to be called back, and who dials.
fn call_backs(section: Section<'_>) -> CallBackRules {
    let within = section.integer("dropped_within_ms", 0..=60_000, 10_000, "milliseconds");
    let rules = CallBackRules {
        automatic: section.flag("automatic", false).value,
        dropped_within: Millis(u32::try_from(within.value).unwrap_or(10_000)),
        before_dispatch: section.flag("before_dispatch", false).value,
    };
    section.close();
    rules
}

/// What labels and hints count by. Nothing here can cost a caller the seat.
fn screening(section: Section<'_>) -> Bounds {
    let standard = Bounds::default();
    let whole = |name: &str, min: i64, max: i64, default: u32, unit: &str| {
        let found = section.integer(name, min..=max, i64::from(default), unit);
        u32::try_from(found.value).unwrap_or(default)
    };
    let bounds = Bounds {
        repeat_window: Millis(whole(
            "repeat_window_ms",
            10_000,
            3_600_000,
            standard.repeat_window.0,
            "milliseconds",
        )),
        repeat_calls: whole("repeat_calls", 2, 20, standard.repeat_calls, "calls"),
        burst_window: Millis(whole(
            "burst_window_ms",
            10_000,
            600_000,
            standard.burst_window.0,
            "milliseconds",
        )),
        burst_trunk_calls: whole(
            "burst_trunk_calls",
            3,
            500,
            standard.burst_trunk_calls,
            "calls",
        ),
        burst_area_calls: whole(
            "burst_area_calls",
            3,
            500,
            standard.burst_area_calls,
            "calls",
        ),
    };
    section.close();
    bounds
}

/// The key that signs the evidence of marks. Without it there are no bundles, and calls go on.
fn evidence(section: Section<'_>) -> Option<PathBuf> {
    let key = section.path("key_file");
    if let Some(key) = &key
        && let Err(complaint) = disk::private_key(&key.value)
    {
        complain(section.reader, key, complaint);
    }
    section.close();
    key.map(|key| key.value)
}

/// The folder beside the configuration file, else in the working directory, else the installed one.
pub(super) fn shipped(section: &Section<'_>, folder: &str) -> PathBuf {
    let beside = section.resolve(folder);
    let here = std::env::current_dir().unwrap_or_default().join(folder);
    let installed = ["/usr/local/share/firstring", "/usr/share/firstring"];
    [beside, here]
        .into_iter()
        .chain(installed.iter().map(|base| Path::new(base).join(folder)))
        .find(|path| path.is_dir())
        .unwrap_or_else(|| Path::new("/usr/local/share/firstring").join(folder))
}

fn prompts(section: Section<'_>) -> (PathBuf, String) {
    let dir = section.path_or("dir", &shipped(&section, "prompts"));
    let language = section.text_or("language", "zh-CN");
    let folder = dir.value.join(&language.value);
    let music = dir.value.join("music");
    let missing: Vec<String> = prompts_played()
        .into_iter()
        .map(|id| (&folder, id.0))
        .chain([(&music, String::from("hold"))])
        .map(|(folder, id)| folder.join(format!("{id}.wav")))
        .filter(|path| !path.is_file())
        .map(|path| path.display().to_string())
        .collect();
    if !missing.is_empty() {
        section.reader.warn(
            &dir.origin,
            &dir.key,
            format!("lacks {}", missing.join(", ")),
            "callers hear silence in their place; copy the files from the prompts folder that came with firstring, or record them (docs/prompts.md)",
        );
    }
    section.close();
    (dir.value, language.value)
}

/// The secret of a section: `secret_file`, or `secret` from the environment. In the file itself it is refused.
pub(super) fn secret(section: &Section<'_>) -> Option<At<Secret>> {
    secret_called(section, "secret")
}

/// The same under another name: `pin_file`, `pin`.
pub(super) fn secret_called(section: &Section<'_>, name: &str) -> Option<At<Secret>> {
    let file_key = format!("{name}_file");
    let literal = section.quiet_text(name);
    let file = section.path(&file_key);
    if let Some(literal) = literal {
        return match &literal.origin {
            Origin::File { .. } | Origin::Default => {
                section.reader.fault(
                    &literal.origin,
                    &literal.key,
                    "stands in the configuration file, which is copied, mailed and shown",
                    format!(
                        "move it to a file (mode 0600) and write {file_key} = \"/etc/firstring/secrets/{}\", or set {}",
                        section.path.replace('.', "-"),
                        variable(&literal.key)
                    ),
                );
                None
            }
            Origin::Environment { .. } => {
                section.show(name, "\"***\"", &literal.origin);
                Some(At {
                    value: Secret(literal.value.trim().to_owned()),
                    origin: literal.origin,
                    key: literal.key,
                })
            }
        };
    }
    let file = file?;
    match disk::secret(&file.value) {
        Ok((secret, world_readable)) => {
            if world_readable {
                section.reader.warn(
                    &file.origin,
                    &file.key,
                    format!(
                        "names {}, which everybody on this machine can read",
                        file.value.display()
                    ),
                    format!("chmod 0600 {}", file.value.display()),
                );
            }
            section.show(name, "\"***\"", &file.origin);
            Some(At {
                value: secret,
                origin: file.origin,
                key: file.key,
            })
        }
        Err(complaint) => {
            complain(section.reader, &file, complaint);
            None
        }
    }
}

pub(super) fn need_secret(section: &Section<'_>, why: &str) -> Option<At<Secret>> {
    let written = section.has("secret") || section.has("secret_file");
    let found = secret(section);
    if !written {
        let example = format!(
            "\"/etc/firstring/secrets/{}\"",
            section.path.replace('.', "-")
        );
        section.missing("secret_file", why, &example);
    }
    found
}

pub(super) fn check_length(section: &Section<'_>, secret: &At<Secret>) {
    if secret.value.0.chars().count() < SECRET_CHARS_MIN {
        section.reader.fault(
            &secret.origin,
            &secret.key,
            format!("holds a secret of fewer than {SECRET_CHARS_MIN} characters"),
            "make a better one: openssl rand -base64 24",
        );
    }
}

/// The variable that sets `key`.
fn variable(key: &str) -> String {
    format!(
        "{}{}",
        super::raw::VARIABLE_PREFIX,
        key.to_ascii_uppercase()
            .replace('-', "_")
            .replace('.', "__")
    )
}

/// A folder that firstring writes to.
fn folder(section: &Section<'_>, name: &str, default: &str) -> PathBuf {
    let folder = section.path_or(name, Path::new(default));
    if let Err(complaint) = disk::writable(&folder.value) {
        complain(section.reader, &folder, complaint);
    }
    folder.value
}

fn store(section: Section<'_>) -> Store {
    let journal = folder(&section, "journal", "/var/lib/firstring/journal");
    let database = database(&section);
    section.close();
    Store { journal, database }
}

fn database(section: &Section<'_>) -> Database {
    let password = section.path("database_password_file");
    let written = section.quiet_text("database");
    let text = written.unwrap_or_else(|| At {
        value: String::from("sqlite:/var/lib/firstring/firstring.db"),
        origin: Origin::Default,
        key: section.key("database"),
    });
    if let Some(path) = text.value.strip_prefix("sqlite:") {
        section.show("database", &quoted(&text.value), &text.origin);
        // `sqlite:///abs/file` says the same as `sqlite:/abs/file`.
        let path = path.strip_prefix("//").unwrap_or(path);
        let path = section.resolve(path);
        if let Err(complaint) = disk::writable(path.parent().unwrap_or(Path::new("."))) {
            complain(section.reader, &text, complaint);
        }
        return Database::Sqlite(path);
    }
    let is_postgres = ["postgres://", "postgresql://"]
        .iter()
        .any(|scheme| text.value.starts_with(scheme));
    let url = reqwest::Url::parse(&text.value)
        .ok()
        .filter(|_| is_postgres);
    let Some(mut url) = url else {
        section.reader.fault(
            &text.origin,
            &text.key,
            "names no database that firstring knows",
            "write \"sqlite:/path/to/file.db\" or \"postgres://user@host/database\"",
        );
        return Database::Sqlite(PathBuf::new());
    };
    if url.password().is_some() && matches!(text.origin, Origin::File { .. }) {
        section.reader.fault(
            &text.origin,
            &text.key,
            "holds a password in the configuration file",
            "take it out and write database_password_file = \"/etc/firstring/secrets/database\"",
        );
    }
    if !cfg!(feature = "postgres") {
        section.reader.fault(
            &text.origin,
            &text.key,
            "asks for PostgreSQL, which this build does not have",
            "build with the feature postgres, or use sqlite",
        );
    }
    let mut shown = url.clone();
    if shown.password().is_some() {
        // A URL that has a password takes another one.
        let _ = shown.set_password(Some("***"));
    }
    section.show("database", &quoted(shown.as_str()), &text.origin);
    if let Some(file) = password {
        match disk::secret(&file.value) {
            Ok((secret, _)) => drop(url.set_password(Some(&secret.0))),
            Err(complaint) => complain(section.reader, &file, complaint),
        }
    }
    Database::Postgres(url.into())
}
