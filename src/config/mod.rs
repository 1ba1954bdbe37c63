//! Configuration: one TOML file, the profiles it names, the environment; checked whole before anything uses it.
//!
//! ```text
//! file -> raw (tree with lines) -> overlay of FIRSTRING__A__B -> section (asked key by key) -> checked::Config
//!                                                                  \-> every fault, every origin
//! ```
//!
//! Owns: keys, defaults, limits, and the words for what is wrong. Nothing outside sees an unchecked value. Refuses to
//! know what the values are used for. Secrets come from files or the environment only, and print as `***`.
//! The public words are [`load`], [`Fault`] and [`Origins`].

mod build;
mod build_edge;
mod build_forms;
mod build_menu;
mod build_queues;
mod build_relief;
mod build_seats;
mod build_self_test;
mod build_sip;
pub mod checked;
mod disk;
mod raw;
mod section;

use std::fmt;
use std::path::Path;

pub use checked::Config;
pub use raw::Origin;
pub use section::{Effective, Fault, Severity};

/// Where each effective value comes from, and what a person should look at.
#[derive(Clone, Debug, Default)]
pub struct Origins {
    pub values: Vec<Effective>,
    pub warnings: Vec<Fault>,
}

impl fmt::Display for Origins {
    /// One `key = value  # origin` per line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for value in &self.values {
            writeln!(f, "{} = {}  # {}", value.key, value.value, value.origin)?;
        }
        Ok(())
    }
}

/// Reads and checks the configuration at `path`, with this process's environment over it.
///
/// # Errors
/// Every fault found, warnings included; at least one is an error.
pub fn load(path: &Path) -> Result<(Config, Origins), Vec<Fault>> {
    let variables = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    load_with(path, variables)
}

/// As [`load`], with the environment given.
///
/// # Errors
/// As [`load`].
pub fn load_with(
    path: &Path,
    variables: impl IntoIterator<Item = (String, String)>,
) -> Result<(Config, Origins), Vec<Fault>> {
    let reader = section::Reader::new(path);
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) => {
            reader.fault(
                &Origin::Default,
                "",
                format!("cannot be read: {error}"),
                "name the file with --config, or begin with a copy of firstring.example.toml",
            );
            return Err(reader.finish().0);
        }
    };
    let (mut table, unreadable) = raw::read(&text);
    let unreached = raw::overlay(&mut table, variables);
    for fault in unreadable.iter().chain(&unreached) {
        let fix = match &fault.origin {
            Origin::File { .. } | Origin::Default => {
                "correct the line (TOML 1.1: key = \"text\", key = 1, [section])"
            }
            Origin::Environment { .. } => "unset it, or write FIRSTRING__SECTION__KEY",
        };
        reader.fault(&fault.origin, "", fault.reason.clone(), fix);
    }
    let config = build::config(&reader, &table);
    let (faults, values) = reader.finish();
    let refused = faults.iter().any(|fault| fault.severity == Severity::Error);
    match config {
        Some(config) if !refused => Ok((
            config,
            Origins {
                values,
                warnings: faults,
            },
        )),
        Some(_) | None => Err(faults),
    }
}
