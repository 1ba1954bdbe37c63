//! Asking for keys: typed, with defaults and limits, remembering what was asked.
//!
//! Owns: the list of faults, the list of effective values with their origin, and "did you mean". A [`Section`] reports
//! every key that nobody asked for when it is closed. Refuses to know what the keys are for.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::raw::{Node, Origin, Table, Written};

/// Whether a fault stops the configuration.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The configuration is refused whole.
    Error,
    /// It works; a person should look.
    Warning,
}

/// One thing wrong: where, what, why, what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    pub severity: Severity,
    pub file: PathBuf,
    pub origin: Origin,
    /// `trunks.ct.sources`; empty for a line that is no TOML.
    pub key: String,
    pub reason: String,
    pub fix: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.origin {
            Origin::File { line } => write!(f, "{}:{line}: ", self.file.display())?,
            Origin::Environment { variable } => write!(f, "{variable}: ")?,
            Origin::Default => write!(f, "{}: ", self.file.display())?,
        }
        f.write_str(match self.severity {
            Severity::Error => "error: ",
            Severity::Warning => "warning: ",
        })?;
        if !self.key.is_empty() {
            write!(f, "{} ", self.key)?;
        }
        write!(f, "{}\n    fix: {}", self.reason, self.fix)
    }
}

/// One effective value, for `config show`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effective {
    pub key: String,
    /// As it would be written in TOML; secrets as `"***"`.
    pub value: String,
    pub origin: Origin,
}

/// Gathers faults and effective values while a document is read.
pub(super) struct Reader {
    file: PathBuf,
    faults: RefCell<Vec<Fault>>,
    effective: RefCell<Vec<Effective>>,
}

impl Reader {
    pub(super) fn new(file: &Path) -> Self {
        Self {
            file: file.to_owned(),
            faults: RefCell::default(),
            effective: RefCell::default(),
        }
    }

    pub(super) fn fault(
        &self,
        origin: &Origin,
        key: &str,
        reason: impl Into<String>,
        fix: impl Into<String>,
    ) {
        self.place(Severity::Error, origin, key, reason.into(), fix.into());
    }

    pub(super) fn warn(
        &self,
        origin: &Origin,
        key: &str,
        reason: impl Into<String>,
        fix: impl Into<String>,
    ) {
        self.place(Severity::Warning, origin, key, reason.into(), fix.into());
    }

    pub(super) fn file(&self) -> &Path {
        &self.file
    }

    /// A fault whose file may be another one.
    pub(super) fn put(&self, fault: Fault) {
        self.faults.borrow_mut().push(fault);
    }

    /// The faults of another file that this one names.
    pub(super) fn absorb(&self, other: Self) {
        let (faults, _) = other.finish();
        self.faults.borrow_mut().extend(faults);
    }

    fn place(&self, severity: Severity, origin: &Origin, key: &str, reason: String, fix: String) {
        self.put(Fault {
            severity,
            file: self.file.clone(),
            origin: origin.clone(),
            key: key.to_owned(),
            reason,
            fix,
        });
    }

    fn record(&self, key: String, value: String, origin: &Origin) {
        self.effective.borrow_mut().push(Effective {
            key,
            value,
            origin: origin.clone(),
        });
    }

    /// Faults by file and line, then effective values in the order they were asked for.
    pub(super) fn finish(self) -> (Vec<Fault>, Vec<Effective>) {
        let mut faults = self.faults.into_inner();
        faults.sort_by_key(|fault| {
            let place = match &fault.origin {
                Origin::File { line } => (*line, String::new()),
                Origin::Environment { variable } => (usize::MAX - 1, variable.clone()),
                Origin::Default => (usize::MAX, fault.key.clone()),
            };
            let other = (fault.file != self.file).then(|| fault.file.clone());
            (other, place)
        });
        (faults, self.effective.into_inner())
    }
}

/// A value and where it stands.
#[derive(Clone, Debug)]
pub(super) struct At<T> {
    pub(super) value: T,
    pub(super) origin: Origin,
    pub(super) key: String,
}

/// One table of the document while it is being read.
pub(super) struct Section<'a> {
    pub(super) reader: &'a Reader,
    pub(super) path: String,
    pub(super) origin: Origin,
    table: Option<&'a Table>,
    asked: RefCell<BTreeSet<String>>,
}

impl<'a> Section<'a> {
    pub(super) fn root(reader: &'a Reader, table: &'a Table) -> Self {
        Self {
            reader,
            path: String::new(),
            origin: Origin::File { line: 1 },
            table: Some(table),
            asked: RefCell::default(),
        }
    }

    /// The full name of one of its keys.
    pub(super) fn key(&self, name: &str) -> String {
        if self.path.is_empty() {
            name.to_owned()
        } else {
            format!("{}.{name}", self.path)
        }
    }

    fn node(&self, name: &str) -> Option<&'a Node> {
        self.asked.borrow_mut().insert(name.to_owned());
        self.table?.get(name)
    }

    /// Whether the key is written; asking makes it a known key.
    pub(super) fn has(&self, name: &str) -> bool {
        self.node(name).is_some()
    }

    /// An inner table; empty when it is not written.
    pub(super) fn section(&self, name: &str) -> Section<'a> {
        let node = self.node(name);
        let table = node.and_then(|node| self.table_of(name, node));
        Section {
            reader: self.reader,
            path: self.key(name),
            origin: node.map_or_else(|| self.origin.clone(), |node| node.origin.clone()),
            table,
            asked: RefCell::default(),
        }
    }

    /// Every written key.
    pub(super) fn names(&self) -> Vec<String> {
        self.table
            .map(|table| table.keys().cloned().collect())
            .unwrap_or_default()
    }

    /// The inner tables of a table of named things, such as `[trunks.ct]`, with their names.
    pub(super) fn named(&self, name: &str) -> Vec<(String, Section<'a>)> {
        let all = self.section(name);
        let Some(table) = all.table else {
            return Vec::new();
        };
        table
            .keys()
            .filter(|inner| all.is_name(inner))
            .map(|inner| (inner.clone(), all.section(inner)))
            .collect()
    }

    /// Names become ids, file names and metric labels.
    fn is_name(&self, name: &str) -> bool {
        let fits = (1..=32).contains(&name.len())
            && name
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
        if !fits {
            let origin = self
                .table
                .and_then(|table| table.get(name))
                .map_or(&self.origin, |node| &node.origin);
            self.reader.fault(
                origin,
                &self.key(name),
                "is no usable name",
                "use 1 to 32 letters, digits, '-', '_' or '.'",
            );
        }
        fits
    }

    fn table_of(&self, name: &str, node: &'a Node) -> Option<&'a Table> {
        match &node.value {
            Written::Table(table) => Some(table),
            Written::Text(_)
            | Written::Integer(_)
            | Written::Flag(_)
            | Written::List(_)
            | Written::Variable(_)
            | Written::Odd(_) => {
                let key = self.key(name);
                self.wrong_kind(
                    node,
                    &key,
                    &format!("a section: write [{key}] and its keys below"),
                );
                None
            }
        }
    }

    fn wrong_kind(&self, node: &Node, key: &str, wanted: &str) {
        self.reader.fault(
            &node.origin,
            key,
            format!("is {}", node.value.kind()),
            format!("it must be {wanted}"),
        );
    }

    /// A text, if written.
    pub(super) fn text(&self, name: &str) -> Option<At<String>> {
        let found = self.quiet_text(name)?;
        self.show(name, &quoted(&found.value), &found.origin);
        Some(found)
    }

    /// A text that `config show` must not see.
    pub(super) fn quiet_text(&self, name: &str) -> Option<At<String>> {
        let node = self.node(name)?;
        let value = self.text_of(node, &self.key(name))?;
        Some(self.at(name, value, node))
    }

    fn text_of(&self, node: &Node, key: &str) -> Option<String> {
        match &node.value {
            Written::Text(text) | Written::Variable(text) => Some(text.clone()),
            Written::Integer(number) => {
                self.wrong_kind(
                    node,
                    key,
                    &format!("a text: put it in quotes, \"{number}\""),
                );
                None
            }
            Written::Flag(_) | Written::List(_) | Written::Table(_) | Written::Odd(_) => {
                self.wrong_kind(node, key, "a text in quotes");
                None
            }
        }
    }

    fn at<T>(&self, name: &str, value: T, node: &Node) -> At<T> {
        At {
            value,
            origin: node.origin.clone(),
            key: self.key(name),
        }
    }

    fn defaulted<T>(&self, name: &str, value: T) -> At<T> {
        At {
            value,
            origin: Origin::Default,
            key: self.key(name),
        }
    }

    pub(super) fn show(&self, name: &str, value: &str, origin: &Origin) {
        self.reader.record(self.key(name), value.to_owned(), origin);
    }

    /// A text with a default.
    pub(super) fn text_or(&self, name: &str, default: &str) -> At<String> {
        match self.quiet_text(name) {
            Some(found) => {
                self.show(name, &quoted(&found.value), &found.origin);
                found
            }
            None => {
                self.show(name, &quoted(default), &Origin::Default);
                self.defaulted(name, default.to_owned())
            }
        }
    }

    /// A text that must be written. `example` is shown when it is not.
    pub(super) fn need_text(&self, name: &str, why: &str, example: &str) -> Option<At<String>> {
        if self.has(name) {
            return self.text(name);
        }
        self.missing(name, why, &quoted(example));
        None
    }

    pub(super) fn missing(&self, name: &str, why: &str, example: &str) {
        self.reader.fault(
            &self.origin,
            &self.key(name),
            format!("is missing: {why}"),
            format!("write for example {name} = {example}"),
        );
    }

    /// A text that parses as `T`, if written; `expected` names the form with an example.
    pub(super) fn parsed<T: FromStr>(&self, name: &str, expected: &str) -> Option<At<T>> {
        let found = self.text(name)?;
        match found.value.trim().parse::<T>() {
            Ok(value) => Some(At {
                value,
                origin: found.origin,
                key: found.key,
            }),
            Err(_) => {
                self.reader.fault(
                    &found.origin,
                    &found.key,
                    format!("is {}", quoted(&found.value)),
                    format!("it must be {expected}"),
                );
                None
            }
        }
    }

    /// An address without port, if written.
    pub(super) fn ip(&self, name: &str) -> Option<At<IpAddr>> {
        self.parsed(name, "an IP address such as \"192.0.2.10\"")
    }

    /// An address with port, if written.
    pub(super) fn socket(&self, name: &str) -> Option<At<SocketAddr>> {
        self.parsed(
            name,
            "an IP address and port such as \"192.0.2.10:5060\" (no host name)",
        )
    }

    /// A path; a relative one is taken from the configuration file's folder.
    pub(super) fn path(&self, name: &str) -> Option<At<PathBuf>> {
        let found = self.text(name)?;
        Some(At {
            value: self.resolve(&found.value),
            origin: found.origin,
            key: found.key,
        })
    }

    /// A path with a default.
    pub(super) fn path_or(&self, name: &str, default: &Path) -> At<PathBuf> {
        if self.has(name) {
            if let Some(found) = self.path(name) {
                return found;
            }
        } else {
            self.show(
                name,
                &quoted(&default.display().to_string()),
                &Origin::Default,
            );
        }
        self.defaulted(name, default.to_owned())
    }

    pub(super) fn resolve(&self, path: &str) -> PathBuf {
        let folder = self.reader.file.parent().unwrap_or(Path::new(""));
        folder.join(path)
    }

    /// A whole number within `range`, with a default. `unit` is for people.
    pub(super) fn integer(
        &self,
        name: &str,
        range: RangeInclusive<i64>,
        default: i64,
        unit: &str,
    ) -> At<i64> {
        let written = self.optional_integer(name, range, unit);
        written.unwrap_or_else(|| {
            if !self.has(name) {
                self.show(name, &default.to_string(), &Origin::Default);
            }
            self.defaulted(name, default)
        })
    }

    /// A whole number within `range`, if written.
    pub(super) fn optional_integer(
        &self,
        name: &str,
        range: RangeInclusive<i64>,
        unit: &str,
    ) -> Option<At<i64>> {
        let node = self.node(name)?;
        let key = self.key(name);
        let wanted = format!(
            "a whole number of {unit} from {} to {}, without quotes",
            range.start(),
            range.end()
        );
        let value = match &node.value {
            Written::Integer(value) => Some(*value),
            Written::Variable(text) => text.trim().parse().ok(),
            Written::Text(_)
            | Written::Flag(_)
            | Written::List(_)
            | Written::Table(_)
            | Written::Odd(_) => None,
        };
        let Some(value) = value else {
            self.wrong_kind(node, &key, &wanted);
            return None;
        };
        self.show(name, &value.to_string(), &node.origin);
        if !range.contains(&value) {
            self.reader.fault(
                &node.origin,
                &key,
                format!("is {value}"),
                format!("it must be {wanted}"),
            );
            return None;
        }
        Some(self.at(name, value, node))
    }

    /// True or false, with a default.
    pub(super) fn flag(&self, name: &str, default: bool) -> At<bool> {
        let Some(node) = self.node(name) else {
            self.show(name, &default.to_string(), &Origin::Default);
            return self.defaulted(name, default);
        };
        let value = match &node.value {
            Written::Flag(value) => Some(*value),
            Written::Variable(text) => text.trim().parse().ok(),
            Written::Text(_)
            | Written::Integer(_)
            | Written::List(_)
            | Written::Table(_)
            | Written::Odd(_) => None,
        };
        match value {
            Some(value) => {
                self.show(name, &value.to_string(), &node.origin);
                self.at(name, value, node)
            }
            None => {
                self.wrong_kind(node, &self.key(name), "true or false, without quotes");
                self.defaulted(name, default)
            }
        }
    }

    /// One of a few words, with a default.
    pub(super) fn choice<T: Copy + PartialEq>(
        &self,
        name: &str,
        choices: &[(&str, T)],
        default: T,
    ) -> At<T> {
        let Some(node) = self.node(name) else {
            let word = choices.iter().find(|(_, value)| *value == default);
            self.show(
                name,
                &quoted(word.map_or("", |(word, _)| word)),
                &Origin::Default,
            );
            return self.defaulted(name, default);
        };
        let Some(text) = self.text_of(node, &self.key(name)) else {
            return self.defaulted(name, default);
        };
        self.show(name, &quoted(&text), &node.origin);
        if let Some((_, value)) = choices.iter().find(|(word, _)| *word == text.trim()) {
            return self.at(name, *value, node);
        }
        let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
        let near = hint(&text, words.iter().copied());
        self.reader.fault(
            &node.origin,
            &self.key(name),
            format!("is {}", quoted(&text)),
            format!("it must be one of: {}{near}", words.join(", ")),
        );
        self.defaulted(name, default)
    }

    /// A list of texts, each with its place; empty when not written. From the environment: separated by commas.
    pub(super) fn texts(&self, name: &str) -> Vec<At<String>> {
        let Some(node) = self.node(name) else {
            return Vec::new();
        };
        let key = self.key(name);
        let items: Vec<At<String>> = match &node.value {
            Written::List(items) => items
                .iter()
                .filter_map(|item| Some(self.at(name, self.text_of(item, &key)?, item)))
                .collect(),
            Written::Variable(text) => text
                .split(',')
                .map(str::trim)
                .filter(|item| !item.is_empty())
                .map(|item| self.at(name, item.to_owned(), node))
                .collect(),
            Written::Text(_)
            | Written::Integer(_)
            | Written::Flag(_)
            | Written::Table(_)
            | Written::Odd(_) => {
                self.wrong_kind(node, &key, "a list of texts, [\"...\", \"...\"]");
                Vec::new()
            }
        };
        let shown: Vec<String> = items.iter().map(|item| quoted(&item.value)).collect();
        self.show(name, &format!("[{}]", shown.join(", ")), &node.origin);
        items
    }

    /// Reports every written key that nobody asked for.
    pub(super) fn close(self) {
        let Some(table) = self.table else { return };
        let asked = self.asked.into_inner();
        for (name, node) in table.iter().filter(|(name, _)| !asked.contains(*name)) {
            let key = if self.path.is_empty() {
                name.clone()
            } else {
                format!("{}.{name}", self.path)
            };
            let known: Vec<&str> = asked.iter().map(String::as_str).collect();
            let fix = match nearest(name, known.iter().copied()) {
                Some(near) => format!("did you mean {near}?"),
                None => format!("remove it; known here: {}", known.join(", ")),
            };
            self.reader
                .fault(&node.origin, &key, "is not a key that firstring knows", fix);
        }
    }
}

/// As a TOML text.
pub(super) fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// `; did you mean x?` when one of `known` is near, else nothing.
pub(super) fn hint<'k>(word: &str, known: impl Iterator<Item = &'k str>) -> String {
    nearest(word, known).map_or_else(String::new, |near| format!("; did you mean {near}?"))
}

/// The known word with the fewest edits, at most about a third of the length.
fn nearest<'k>(word: &str, known: impl Iterator<Item = &'k str>) -> Option<&'k str> {
    let limit = ((word.chars().count() + 1) / 3).max(1);
    known
        .map(|candidate| (edits(word, candidate), candidate))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Levenshtein distance.
fn edits(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (cell, y) in row.iter_mut().skip(1).zip(b.chars()) {
            let best = (diagonal + usize::from(x != y))
                .min(left + 1)
                .min(*cell + 1);
            diagonal = *cell;
            *cell = best;
            left = best;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_pen_is_guessed() {
        assert_eq!(edits("kitten", "sitting"), 3);
        assert_eq!(edits("", "abc"), 3);
        assert_eq!(
            nearest("relam", ["realm", "trunks"].into_iter()),
            Some("realm")
        );
        assert_eq!(nearest("bananas", ["realm", "trunks"].into_iter()), None);
    }
}
