//! Menus: `[ivr]`, `[menus.NAME]` and the files of `ivr.dir`, each a menu by its file's name. A menu is refused when a way in
//! it ends nowhere, when it names what is not there, or when it stands before the emergency line.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::build::complain;
use super::disk;
use super::raw::{self, Origin};
use super::section::{At, Fault, Reader, Section, hint, quoted};
use crate::id::{MenuId, PromptId, QueueId, TrunkId};
use crate::ivr::{Entry, Flaw, Goal, Hours, Menu, Menus, Node};
use crate::time::Millis;

/// Menus of a centre, nodes of a menu, prompts of a node.
const MENUS_MAX: usize = 64;
const NODES_MAX: usize = 64;
const PROMPTS_MAX: usize = 8;
/// What a telephone has.
const KEYS: &str = "0123456789*#";
const NOTICE: &str = "recorded_notice";

/// What menus may name.
pub(super) struct Around<'a> {
    pub(super) queues: &'a [QueueId],
    pub(super) trunks: Vec<TrunkId>,
    pub(super) area_code: &'a str,
    /// Folder of all languages, and the centre's own.
    pub(super) prompts: &'a Path,
    pub(super) language: &'a str,
}

/// A menu as read, with the place it stands at.
struct Written {
    entry: Entry,
    tree: Menu,
    file: PathBuf,
    origin: Origin,
}

pub(super) fn menus(root: &Section<'_>, around: &Around<'_>) -> Menus {
    let ivr = root.section("ivr");
    let dir = ivr.path("dir");
    let notice = notice(&ivr, around);
    let listed = ivr.texts("emergency_numbers");
    let mut emergency: Vec<String> = listed.into_iter().map(|number| number.value).collect();
    if emergency.is_empty() {
        emergency.push(String::from("120"));
    }
    let allowed = ivr.flag("allow_menu_on_emergency", false);
    ivr.close();
    let mut menus = Menus {
        notice,
        emergency,
        on_emergency: allowed.value,
        ..Menus::default()
    };
    let mut written = Vec::new();
    for (name, section) in root.named("menus") {
        written.extend(menu(&name, section, around, &menus));
    }
    if let Some(dir) = dir {
        for file in files(root.reader, &dir) {
            written.extend(menu_file(root.reader, &file, around, &menus));
        }
    }
    check_apart(root.reader, &written);
    for one in written.into_iter().take(MENUS_MAX) {
        menus.trees.insert(one.entry.menu.clone(), one.tree);
        menus.entries.push(one.entry);
    }
    menus
}

fn notice(ivr: &Section<'_>, around: &Around<'_>) -> Option<PromptId> {
    let notice = ivr.flag(NOTICE, false);
    if !notice.value {
        return None;
    }
    let prompt = At {
        value: String::from(NOTICE),
        origin: notice.origin,
        key: notice.key,
    };
    has_prompt(ivr.reader, &prompt, around, around.language);
    Some(PromptId::from(NOTICE))
}

fn files(reader: &Reader, dir: &At<PathBuf>) -> Vec<PathBuf> {
    match disk::toml_files(&dir.value, "name the folder of the menus") {
        Ok(files) => files,
        Err(complaint) => {
            complain(reader, dir, complaint);
            Vec::new()
        }
    }
}

/// One file of the folder: its faults name it, with its own lines.
fn menu_file(main: &Reader, file: &Path, around: &Around<'_>, menus: &Menus) -> Option<Written> {
    let reader = Reader::new(file);
    let name = file.file_stem().and_then(|stem| stem.to_str());
    let read = match (name, std::fs::read_to_string(file)) {
        (Some(name), Ok(text)) => {
            let (table, unreadable) = raw::read(&text);
            for fault in unreadable {
                let fix = "correct the line (TOML 1.1: key = \"text\", key = 1, [section])";
                reader.fault(&fault.origin, "", fault.reason, fix);
            }
            let mut section = Section::root(&reader, &table);
            section.path = format!("menus.{name}");
            menu(name, section, around, menus)
        }
        (_, read) => {
            let why = read.err().map_or_else(
                || String::from("has no usable name"),
                |error| format!("cannot be read: {error}"),
            );
            reader.fault(&Origin::Default, "", why, "correct it or take it away");
            None
        }
    };
    main.absorb(reader);
    read
}

fn menu(name: &str, section: Section<'_>, around: &Around<'_>, menus: &Menus) -> Option<Written> {
    let called = called(&section, around, menus);
    let trunks = trunks(&section, around);
    let hours = hours(&section, "hours");
    if called.is_empty() && trunks.is_empty() {
        section.reader.warn(
            &section.origin,
            &section.path,
            "answers no call",
            "write called = [\"...\"] (dialled numbers) or trunks = [\"...\"]",
        );
    }
    let queue = section.need_text(
        "queue",
        "without it the menu has no exit for silence and faults",
        around.queues.first().map_or("120", QueueId::as_str),
    );
    let queue = queue.and_then(|queue| known_queue(section.reader, &queue, &queue.value, around));
    let mut start = section.text_or("start", "main");
    if start.origin == Origin::Default {
        // What is missing is told where the menu begins.
        start.origin = section.origin.clone();
    }
    let stay = section.integer("stay_ms", 3000..=60_000, 60_000, "milliseconds");
    let places = Places::default();
    let nodes = nodes(&section, around, queue.as_ref(), &places);
    let origin = section.origin.clone();
    let file = section.reader.file().to_owned();
    let tree = Menu {
        start: start.value.clone(),
        queue: queue?,
        stay: millis(&stay),
        nodes,
    };
    check_shape(&section, &tree, &start, &places);
    section.close();
    Some(Written {
        entry: Entry {
            menu: MenuId::from(name),
            called,
            trunks,
            hours,
        },
        tree,
        file,
        origin,
    })
}

fn millis(found: &At<i64>) -> Millis {
    Millis(u32::try_from(found.value).unwrap_or(0))
}

fn called(section: &Section<'_>, around: &Around<'_>, menus: &Menus) -> Vec<String> {
    let numbers = section.texts("called");
    for number in &numbers {
        if !menus.on_emergency && menus.is_emergency(&number.value, around.area_code) {
            section.reader.fault(
                &number.origin,
                &number.key,
                format!(
                    "names {}, a number of the emergency line: nobody in need presses keys first",
                    quoted(&number.value)
                ),
                "take it out; or, if your centre has decided so, write allow_menu_on_emergency = true below [ivr] (then it lasts 3 s at most)",
            );
        }
    }
    numbers.into_iter().map(|number| number.value).collect()
}

fn trunks(section: &Section<'_>, around: &Around<'_>) -> Vec<TrunkId> {
    let names = section.texts("trunks");
    for name in &names {
        if !around.trunks.iter().any(|trunk| trunk.0 == name.value) {
            let near = hint(&name.value, around.trunks.iter().map(TrunkId::as_str));
            section.reader.fault(
                &name.origin,
                &name.key,
                format!("names {}, which is no trunk", quoted(&name.value)),
                format!("name a [trunks.NAME]{near}"),
            );
        }
    }
    names.into_iter().map(|name| TrunkId(name.value)).collect()
}

/// `18:00-08:00`, local time.
pub(super) fn hours(section: &Section<'_>, name: &str) -> Option<Hours> {
    let text = section.text(name)?;
    let minute = |text: &str| -> Option<u16> {
        let (hour, minute) = text.trim().split_once(':')?;
        let (hour, minute): (u16, u16) = (hour.parse().ok()?, minute.parse().ok()?);
        (minute < 60 && (hour < 24 || (hour, minute) == (24, 0))).then_some(hour * 60 + minute)
    };
    let span = text
        .value
        .split_once('-')
        .and_then(|(from, to)| Some((minute(from)? % (24 * 60), minute(to)?)));
    match span {
        Some((from, to)) if from != to => Some(Hours { from, to }),
        Some(_) | None => {
            section.reader.fault(
                &text.origin,
                &text.key,
                format!("is {}", quoted(&text.value)),
                "it must be a part of the day in local time, such as \"18:00-08:00\"",
            );
            None
        }
    }
}

/// Line and key.
type Place = (Origin, String);

/// Where the ways of the nodes are written.
#[derive(Default)]
struct Places {
    nodes: RefCell<BTreeMap<String, Place>>,
    goals: RefCell<BTreeMap<(String, Option<char>), Place>>,
}

fn nodes(
    section: &Section<'_>,
    around: &Around<'_>,
    queue: Option<&QueueId>,
    places: &Places,
) -> BTreeMap<String, Node> {
    let mut nodes = BTreeMap::new();
    for (name, node) in section.named("nodes") {
        let place = (node.origin.clone(), node.path.clone());
        places.nodes.borrow_mut().insert(name.clone(), place);
        if nodes.len() == NODES_MAX {
            let reason = format!("is one of more than {NODES_MAX}");
            let fix = "divide the menu, or make it simpler: nobody listens to so many";
            node.reader.fault(&node.origin, &node.path, reason, fix);
            break;
        }
        if let Some(read) = self::node(&name, node, around, queue, places) {
            nodes.insert(name, read);
        }
    }
    nodes
}

fn node(
    name: &str,
    section: Section<'_>,
    around: &Around<'_>,
    queue: Option<&QueueId>,
    places: &Places,
) -> Option<Node> {
    let language = section.text("language");
    let spoken = language
        .as_ref()
        .map_or(around.language, |language| language.value.as_str());
    let prompts = section.texts("prompts");
    if prompts.is_empty() || prompts.len() > PROMPTS_MAX {
        section.missing(
            "prompts",
            "the caller would hear nothing and not know what to press",
            "[\"menu_main\"] (1 to 8 of them)",
        );
    }
    for prompt in &prompts {
        has_prompt(section.reader, prompt, around, spoken);
    }
    let keys = keys(name, &section.section("keys"), around, places);
    let key_wait = section.integer("key_wait_ms", 2000..=15_000, 5000, "milliseconds");
    let repeats = section.integer("repeats", 0..=3, 1, "times");
    let then = section.text("then");
    if let Some(then) = &then {
        let place = (then.origin.clone(), then.key.clone());
        places
            .goals
            .borrow_mut()
            .insert((name.to_owned(), None), place);
    }
    let then = match then {
        Some(then) => goal(section.reader, &then, around),
        None => queue.cloned().map(Goal::Queue),
    };
    section.close();
    Some(Node {
        prompts: prompts.into_iter().map(|p| PromptId(p.value)).collect(),
        keys,
        key_wait: millis(&key_wait),
        repeats: u8::try_from(repeats.value).unwrap_or(1),
        then: then?,
        language: language.map(|language| language.value),
    })
}

fn keys(
    node: &str,
    section: &Section<'_>,
    around: &Around<'_>,
    places: &Places,
) -> BTreeMap<char, Goal> {
    let mut keys = BTreeMap::new();
    for name in section.names() {
        let Some(text) = section.text(&name) else {
            continue;
        };
        let mut letters = name.chars();
        let key = letters.next().filter(|key| KEYS.contains(*key));
        let (Some(key), None) = (key, letters.next()) else {
            let fix = "a telephone has the keys 0 to 9, \"*\" and \"#\"";
            let reason = "is no key";
            section.reader.fault(&text.origin, &text.key, reason, fix);
            continue;
        };
        let place = (text.origin.clone(), text.key.clone());
        places
            .goals
            .borrow_mut()
            .insert((node.to_owned(), Some(key)), place);
        if let Some(goal) = goal(section.reader, &text, around) {
            keys.insert(key, goal);
        }
    }
    keys
}

/// `queue:NAME`, or a node's name.
fn goal(reader: &Reader, text: &At<String>, around: &Around<'_>) -> Option<Goal> {
    match text.value.split_once(':') {
        Some(("queue", queue)) => known_queue(reader, text, queue.trim(), around).map(Goal::Queue),
        Some(_) => {
            let reason = format!("is {}", quoted(&text.value));
            let fix = "it must be a node of this menu or \"queue:NAME\"";
            reader.fault(&text.origin, &text.key, reason, fix);
            None
        }
        None => Some(Goal::Node(text.value.trim().to_owned())),
    }
}

fn known_queue(
    reader: &Reader,
    at: &At<String>,
    queue: &str,
    around: &Around<'_>,
) -> Option<QueueId> {
    let found = around.queues.iter().find(|known| known.0 == queue);
    if found.is_none() {
        let known: Vec<&str> = around.queues.iter().map(QueueId::as_str).collect();
        let near = hint(queue, known.iter().copied());
        reader.fault(
            &at.origin,
            &at.key,
            format!("names {}, which is no queue", quoted(queue)),
            format!("it must be one of: {}{near}", known.join(", ")),
        );
    }
    found.cloned()
}

fn has_prompt(reader: &Reader, prompt: &At<String>, around: &Around<'_>, language: &str) {
    let file = format!("{}.wav", prompt.value);
    let path = around.prompts.join(language).join(&file);
    let one_name = !prompt.value.contains(['/', '\\']);
    if one_name && path.is_file() {
        return;
    }
    reader.fault(
        &prompt.origin,
        &prompt.key,
        format!(
            "needs the prompt {}, which is missing",
            quoted(&prompt.value)
        ),
        format!("record it as {} (8 kHz, mono, 16-bit PCM)", path.display()),
    );
}

fn check_shape(section: &Section<'_>, tree: &Menu, start: &At<String>, places: &Places) {
    let reader = section.reader;
    let node_at = |node: &str| {
        let place = places.nodes.borrow().get(node).cloned();
        place.unwrap_or_else(|| (section.origin.clone(), section.path.clone()))
    };
    // A node that was refused for another reason is no unknown one.
    let is_written = |node: &str| places.nodes.borrow().contains_key(node);
    for flaw in tree.flaws() {
        match flaw {
            Flaw::NoStart if is_written(&tree.start) => {}
            Flaw::NoStart => reader.fault(
                &start.origin,
                &start.key,
                format!("is {}, which is no node of this menu", quoted(&tree.start)),
                format!(
                    "write [{}.nodes.{}] with its prompts and keys",
                    section.path, tree.start
                ),
            ),
            Flaw::UnknownNode { goal, .. } if is_written(&goal) => {}
            Flaw::UnknownNode { node, key, goal } => {
                let place = places.goals.borrow().get(&(node.clone(), key)).cloned();
                let (origin, at) = place.unwrap_or_else(|| node_at(&node));
                let near = hint(&goal, tree.nodes.keys().map(String::as_str));
                reader.fault(
                    &origin,
                    &at,
                    format!("leads to {}, which is no node of this menu", quoted(&goal)),
                    format!("name a node, or \"queue:NAME\"{near}"),
                );
            }
            Flaw::LoopWithoutKey { node } => {
                let place = places.goals.borrow().get(&(node.clone(), None)).cloned();
                let (origin, at) = place.unwrap_or_else(|| node_at(&node));
                reader.fault(
                    &origin,
                    &at,
                    "leads in a circle: who presses nothing finds no exit",
                    "let one of its nodes lead to \"queue:NAME\"",
                );
            }
            Flaw::Unreached { node } => {
                let (origin, at) = node_at(&node);
                let fix = "let a key lead to it, or take it away";
                reader.warn(&origin, &at, "is reached by no key", fix);
            }
        }
    }
}

/// Two menus never answer the same call with the same right.
fn check_apart(reader: &Reader, written: &[Written]) {
    for (n, one) in written.iter().enumerate() {
        if let Some(other) = written.iter().take(n).find(|other| clash(one, other)) {
            let (mine, theirs) = (&one.entry.menu, &other.entry.menu);
            let reason = if mine == theirs {
                String::from("is written twice")
            } else {
                format!("answers the same calls as menus.{theirs}")
            };
            reader.put(Fault {
                severity: super::Severity::Error,
                file: one.file.clone(),
                origin: one.origin.clone(),
                key: format!("menus.{mine}"),
                reason,
                fix: String::from("give each its own called numbers, trunks or hours"),
            });
        }
        if n == MENUS_MAX {
            let reason = format!("are more than {MENUS_MAX}");
            reader.fault(&one.origin, "menus", reason, "take some away");
        }
    }
}

fn clash(one: &Written, other: &Written) -> bool {
    let (a, b) = (&one.entry, &other.entry);
    let shares = |a: &[String], b: &[String]| a.is_empty() || a.iter().any(|n| b.contains(n));
    let trunks = a.trunks.is_empty() || a.trunks.iter().any(|t| b.trunks.contains(t));
    let hours = match (a.hours, b.hours) {
        (Some(a), Some(b)) => a.overlaps(b),
        (None, None) => true,
        (Some(_), None) | (None, Some(_)) => false,
    };
    a.menu == b.menu
        || (a.weight() == b.weight() && shares(&a.called, &b.called) && trunks && hours)
}
