//! What a form may choose from: `[forms]`, or the file that it names with the same keys. A wrong line is told with its
//! place; without a list of its own a centre has the built-in one (areas: none).

use std::path::Path;

use super::raw;
use super::section::{At, Reader, Section};
use crate::call::{Entry, Lists};
use crate::limits::LIST_ENTRIES_MAX;

pub(super) fn lists(section: Section<'_>) -> Lists {
    let lists = match section.path("file") {
        None => read(&section),
        Some(file) => {
            let inside =
                ["reasons", "areas", "call_types", "incident_steps"].map(|name| section.has(name));
            if inside.contains(&true) {
                let why = "is set, and so is a list beside it";
                let fix = "write the lists here or in the file";
                section.reader.fault(&file.origin, &file.key, why, fix);
            }
            of_file(section.reader, &file)
        }
    };
    section.close();
    lists
}

/// The file's faults name it, with its own lines.
fn of_file(main: &Reader, file: &At<std::path::PathBuf>) -> Lists {
    let path: &Path = &file.value;
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) => {
            let why = format!("cannot be read: {error}");
            main.fault(
                &file.origin,
                &file.key,
                why,
                "name a TOML file with the lists",
            );
            return Lists::default();
        }
    };
    let reader = Reader::new(path);
    let (table, unreadable) = raw::read(&text);
    for fault in unreadable {
        let fix = "correct the line (TOML 1.1: key = \"text\", key = 1, [section])";
        reader.fault(&fault.origin, "", fault.reason, fix);
    }
    let section = Section::root(&reader, &table);
    let lists = read(&section);
    section.close();
    main.absorb(reader);
    lists
}

fn read(section: &Section<'_>) -> Lists {
    let standard = Lists::default();
    Lists {
        reasons: list(section, "reasons", 2, standard.reasons),
        areas: list(section, "areas", 2, standard.areas),
        call_types: list(section, "call_types", 1, standard.call_types),
        incident_steps: list(section, "incident_steps", 1, standard.incident_steps),
    }
}

fn list(section: &Section<'_>, name: &str, levels: u8, standard: Vec<Entry>) -> Vec<Entry> {
    if !section.has(name) {
        return standard;
    }
    let mut list: Vec<Entry> = Vec::new();
    for line in section.texts(name) {
        let fault =
            |why: String, fix: &str| section.reader.fault(&line.origin, &line.key, why, fix);
        let entry: Entry = match line.value.parse() {
            Ok(entry) => entry,
            Err(why) => {
                let fix = "write \"trauma | 创伤 | Trauma\", and below it \"trauma/traffic | 交通伤 | Traffic\"";
                fault(format!("{:?} {why}", line.value), fix);
                continue;
            }
        };
        let code = line.value.split('|').next().unwrap_or_default().trim();
        if list
            .iter()
            .any(|known| (&known.l1, &known.l2) == (&entry.l1, &entry.l2))
        {
            fault(format!("{code} stands twice"), "take one away");
        } else if entry.l2.is_some() && levels == 1 {
            fault(
                format!("{code} has two levels; this list has one"),
                "write the code without '/'",
            );
        } else if entry.l2.is_some() && !list.iter().any(|l| l.l1 == entry.l1 && l.l2.is_none()) {
            fault(
                format!("{code} stands below nothing"),
                "write its first level in a line before it",
            );
        } else if list.len() >= LIST_ENTRIES_MAX {
            fault(
                format!("is the {}th entry", LIST_ENTRIES_MAX + 1),
                "shorten the list",
            );
            break;
        } else {
            list.push(entry);
        }
    }
    list
}
