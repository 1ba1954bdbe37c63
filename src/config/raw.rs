//! What is written: one TOML file and the environment as a tree in which every value knows its place.
//!
//! Owns: syntax, lines, and the overlay of `FIRSTRING__SECTION__KEY` variables. Refuses to know which keys exist or
//! what they mean: that is asked through [`super::section`]. A broken line is reported and the rest still read, so
//! that one run shows every fault.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Origin {
    /// A line of the configuration file, counted from 1.
    File { line: usize },
    /// An environment variable.
    Environment { variable: String },
    /// Nobody wrote it.
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { line } => write!(f, "line {line}"),
            Self::Environment { variable } => write!(f, "environment {variable}"),
            Self::Default => f.write_str("default"),
        }
    }
}

/// One written value.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) value: Written,
    pub(super) origin: Origin,
}

/// Tables keep their keys sorted, so that faults and `config show` have one order.
pub(super) type Table = BTreeMap<String, Node>;

#[derive(Clone, Debug)]
pub(super) enum Written {
    Text(String),
    Integer(i64),
    Flag(bool),
    List(Vec<Node>),
    Table(Table),
    /// Untyped: whoever asks says what it must be.
    Variable(String),
    /// A kind of value that no key takes (float, date).
    Odd(&'static str),
}

impl Written {
    /// What people call this kind of value.
    pub(super) const fn kind(&self) -> &'static str {
        match self {
            Self::Text(_) => "a text",
            Self::Integer(_) => "a whole number",
            Self::Flag(_) => "true or false",
            Self::List(_) => "a list",
            Self::Table(_) => "a table",
            Self::Variable(_) => "an environment variable",
            Self::Odd(kind) => kind,
        }
    }
}

/// A line that is no TOML, or a variable that reaches nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unreadable {
    pub(super) origin: Origin,
    pub(super) reason: String,
}

/// Prefix of variables that set a key.
pub(super) const VARIABLE_PREFIX: &str = "FIRSTRING__";

/// Reads the file's text; what could be read is returned beside what could not.
pub(super) fn read(text: &str) -> (Table, Vec<Unreadable>) {
    let (document, errors) = DeTable::parse_recoverable(text);
    let lines = Lines::of(text);
    let faults = errors
        .iter()
        .map(|error| Unreadable {
            origin: Origin::File {
                line: lines.line_of(error.span().map_or(0, |span| span.start)),
            },
            reason: error.message().trim().to_owned(),
        })
        .collect();
    (table(document.get_ref(), &lines), faults)
}

/// Lays `FIRSTRING__A__B=value` over `a.b`. Names match without case, `-` and `_` alike, so that `FIRSTRING__SEATS__801__SECRET`
/// and `FIRSTRING__TRUNKS__CT_A__REMOTE` reach `[seats.801]` and `[trunks.ct-a]`.
pub(super) fn overlay(
    root: &mut Table,
    variables: impl IntoIterator<Item = (String, String)>,
) -> Vec<Unreadable> {
    let mut faults = Vec::new();
    let sorted: BTreeMap<String, String> = variables.into_iter().collect();
    for (variable, value) in sorted {
        let Some(path) = variable.strip_prefix(VARIABLE_PREFIX) else {
            continue;
        };
        let path = path.to_ascii_lowercase();
        let steps: Vec<&str> = path.split("__").collect();
        let origin = Origin::Environment {
            variable: variable.clone(),
        };
        if !set(root, &steps, &value, &origin) {
            faults.push(Unreadable {
                origin,
                reason: String::from(
                    "reaches no key: a part of its name is empty or names a value, not a section",
                ),
            });
        }
    }
    faults
}

fn set(table: &mut Table, steps: &[&str], value: &str, origin: &Origin) -> bool {
    let Some((step, rest)) = steps.split_first() else {
        return false;
    };
    if step.is_empty() {
        return false;
    }
    let name = table
        .keys()
        .find(|key| key.to_ascii_lowercase().replace('-', "_") == *step)
        .cloned()
        .unwrap_or_else(|| (*step).to_owned());
    if rest.is_empty() {
        let node = Node {
            value: Written::Variable(value.to_owned()),
            origin: origin.clone(),
        };
        table.insert(name, node);
        return true;
    }
    let inner = table.entry(name).or_insert_with(|| Node {
        value: Written::Table(Table::new()),
        origin: origin.clone(),
    });
    match &mut inner.value {
        Written::Table(inner) => set(inner, rest, value, origin),
        Written::Text(_)
        | Written::Integer(_)
        | Written::Flag(_)
        | Written::List(_)
        | Written::Variable(_)
        | Written::Odd(_) => false,
    }
}

fn table(written: &DeTable<'_>, lines: &Lines) -> Table {
    written
        .iter()
        .map(|(key, value)| {
            let line = lines.line_of(key.span().start);
            (key.get_ref().to_string(), node(value, line, lines))
        })
        .collect()
}

fn node(written: &Spanned<DeValue<'_>>, line: usize, lines: &Lines) -> Node {
    let value = match written.get_ref() {
        DeValue::String(text) => Written::Text(text.to_string()),
        DeValue::Integer(integer) => {
            let digits: Cow<'_, str> = Cow::Borrowed(integer.as_str());
            i64::from_str_radix(&digits, integer.radix())
                .map_or(Written::Odd("a number out of range"), Written::Integer)
        }
        DeValue::Boolean(flag) => Written::Flag(*flag),
        DeValue::Array(items) => Written::List(
            items
                .iter()
                .map(|item| node(item, lines.line_of(item.span().start), lines))
                .collect(),
        ),
        DeValue::Table(inner) => Written::Table(table(inner, lines)),
        DeValue::Float(_) => Written::Odd("a number with a fraction"),
        DeValue::Datetime(_) => Written::Odd("a date or time"),
    };
    Node {
        value,
        origin: Origin::File { line },
    }
}

/// Byte offsets of line starts.
struct Lines(Vec<usize>);

impl Lines {
    fn of(text: &str) -> Self {
        let ends = text.match_indices('\n').map(|(at, _)| at + 1);
        Self(std::iter::once(0).chain(ends).collect())
    }

    fn line_of(&self, offset: usize) -> usize {
        self.0.partition_point(|start| *start <= offset).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(table: &Table, key: &str) -> Origin {
        table[key].origin.clone()
    }

    #[test]
    fn every_value_knows_its_line() {
        let (root, faults) = read("# first\n[sip]\nrealm = \"x\"\nports = [\n 1,\n 2,\n]\n");
        assert!(faults.is_empty());
        let Written::Table(sip) = &root["sip"].value else {
            panic!("sip is a table")
        };
        assert_eq!(line(&root, "sip"), Origin::File { line: 2 });
        assert_eq!(line(sip, "realm"), Origin::File { line: 3 });
        let Written::List(ports) = &sip["ports"].value else {
            panic!("ports is a list")
        };
        assert_eq!(ports[1].origin, Origin::File { line: 6 });
    }

    #[test]
    fn a_broken_line_does_not_hide_the_lines_after_it() {
        let (root, faults) =
            read("[sip\nrealm = \"x\"\n[media]\nworkers = = 2\n[store]\njournal = \"j\"\n");
        let lines: Vec<_> = faults.iter().map(|fault| fault.origin.clone()).collect();
        assert!(lines.contains(&Origin::File { line: 1 }), "{faults:?}");
        assert!(lines.contains(&Origin::File { line: 4 }), "{faults:?}");
        assert!(root.contains_key("store"), "{root:?}");
    }

    #[test]
    fn a_variable_reaches_a_named_section_and_makes_missing_ones() {
        let (mut root, _) = read("[trunks.ct-a]\nremote = \"192.0.2.1:5060\"\n");
        let faults = overlay(
            &mut root,
            [
                ("FIRSTRING__TRUNKS__CT_A__REMOTE", "192.0.2.9:5060"),
                ("FIRSTRING__SEATS__801__SECRET", "s"),
                ("FIRSTRING__TRUNKS__CT_A__REMOTE__PORT", "1"),
                ("FIRSTRING____X", "1"),
                ("OTHER", "1"),
            ]
            .map(|(name, value)| (name.to_owned(), value.to_owned())),
        );
        assert_eq!(faults.len(), 2, "{faults:?}");
        let Written::Table(trunks) = &root["trunks"].value else {
            panic!("trunks is a table")
        };
        let Written::Table(ct) = &trunks["ct-a"].value else {
            panic!("ct-a is a table")
        };
        assert!(matches!(&ct["remote"].value, Written::Variable(v) if v == "192.0.2.9:5060"));
        assert!(root.contains_key("seats"));
    }
}
