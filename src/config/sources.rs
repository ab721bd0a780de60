//! Where settings come from, and how each source is read into the same shape: one entry for one key.

use std::path::PathBuf;

use figment::value::{Dict, Map, Value};
use figment::{Metadata, Profile, Provider};

use crate::config::keys;
use crate::config::problem::{Notes, Problem};

/// How our own environment variables begin.
pub const PREFIX: &str = "DOORWARD_";

/// How the variables begin by which `tests/run` tells our own tests what there is: no settings, and no mistakes.
const OF_TESTS: &str = "DOORWARD_TEST_";

/// Everything that may say something, handed in by whoever starts us.
#[derive(Clone, Default)]
pub struct Sources {
    /// The file that was asked for. `None`: `config.toml` in `folder`, where there is one.
    pub file: Option<PathBuf>,
    /// Where to look for `config.toml`; empty is the current folder.
    pub folder: PathBuf,
    /// What the command line says.
    pub flags: Vec<Flag>,
    /// The environment, names and values. May hold secrets.
    pub environment: Vec<(String, String)>,
    /// The names of variables of ours whose values are not text.
    pub garbled: Vec<String>,
    /// Whether the tutorials' variables (`MYSQL_HOST` …) fill what is not said otherwise.
    pub takes_tutorial_variables: bool,
}

/// A setting on the command line.
#[derive(Clone)]
pub struct Flag {
    /// The key it sets, `server.listen`.
    pub key: String,
    /// What was typed, `--listen`.
    pub flag: String,
    /// The value. May be a secret.
    pub value: String,
}

/// Who outweighs whom: what comes later wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Layer {
    /// A variable that the tutorials use.
    Tutorial,
    /// The configuration file.
    File,
    /// A variable of our own.
    Environment,
    /// The command line.
    Flag,
}

/// Where a thing was said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// What kind of place.
    pub layer: Layer,
    /// `config.toml`, `DOORWARD_SESSIONS__IDLE`, `--listen`
    pub origin: String,
    /// The line in the file, counted from 1.
    pub line: Option<usize>,
    /// Of a list of tables the line where each begins.
    pub rows: Vec<usize>,
}

/// One thing said in one place. No `Debug`: the value may be a secret.
#[derive(Clone)]
pub struct Entry {
    /// The key, `sessions.idle`.
    pub key: String,
    /// What was said. Text from environment and command line stays the very text: `00123` is no number, `[x]` no list.
    pub value: Value,
    /// Where it was said.
    pub place: Place,
}

impl Entry {
    /// An entry whose value is text.
    pub fn text(key: impl Into<String>, text: &str, layer: Layer, origin: impl Into<String>) -> Self {
        Self {
            key: key.into(),
            value: Value::from(text),
            place: Place { layer, origin: origin.into(), line: None, rows: Vec::new() },
        }
    }
}

/// Each entry is a provider of its own, so that figment knows for each value where it comes from.
impl Provider for Entry {
    fn metadata(&self) -> Metadata {
        match self.place.line {
            Some(line) => Metadata::named(format!("{}:{line}", self.place.origin)),
            None => Metadata::named(self.place.origin.clone()),
        }
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        let mut segments = self.key.rsplit('.');
        let last = segments.next().unwrap_or(&self.key).to_owned();
        let leaf = Dict::from([(last, self.value.clone())]);
        let dict = segments.fold(leaf, |inner, segment| Dict::from([(segment.to_owned(), Value::from(inner))]));
        Ok(Map::from([(Profile::Default, dict)]))
    }
}

/// What our own variables say: `DOORWARD_SESSIONS__IDLE` is `sessions.idle`.
///
/// An unknown one is only worth a warning: Kubernetes invents some for a service that is called doorward.
pub fn environment(variables: &[(String, String)], notes: &mut Notes) -> Vec<Entry> {
    let mut entries = Vec::new();
    for (name, value) in variables {
        let Some(rest) = name.strip_prefix(PREFIX) else { continue };
        let key = rest.to_ascii_lowercase().replace("__", ".");
        if keys::find(&key).is_some() {
            entries.push(Entry::text(key, value, Layer::Environment, name));
        } else if !name.starts_with(OF_TESTS) {
            let meant = keys::nearest(&key).map(|key| format!("did you mean {}?", variable(&key)));
            let said = meant.as_ref().map(|meant| format!("; {meant}")).unwrap_or_default();
            notes.warn(format!("the environment variable {name} is no setting{said}"));
            notes.strangers.extend(meant.map(|remedy| Problem {
                origin: name.clone(),
                line: None,
                key: String::new(),
                what: "is no setting".to_owned(),
                remedy,
            }));
        }
    }
    entries
}

/// A problem for each variable of ours whose value is no text: to guess at its letters could make a different secret of it.
pub fn garbled(names: &[String]) -> impl Iterator<Item = Problem> + '_ {
    names.iter().map(|name| Problem {
        origin: name.clone(),
        line: None,
        key: String::new(),
        what: "is not UTF-8 text".to_owned(),
        remedy: "set the variable again, or use the configuration file".to_owned(),
    })
}

/// What the command line says.
pub fn flags(flags: &[Flag], notes: &mut Notes) -> Vec<Entry> {
    let mut entries = Vec::new();
    for Flag { key, flag, value } in flags {
        if keys::find(key).is_some() {
            entries.push(Entry::text(key, value, Layer::Flag, flag));
        } else {
            notes.problems.push(Problem {
                origin: flag.clone(),
                line: None,
                key: key.clone(),
                what: "there is no such key".to_owned(),
                remedy: "see config.toml.example".to_owned(),
            });
        }
    }
    entries
}

/// Where systemd lets a service write (`StateDirectory=`, systemd.exec(5)): the first of them, if there is one.
pub fn state_directory(variables: &[(String, String)]) -> Option<PathBuf> {
    let (_, folders) = variables.iter().find(|(name, _)| name == "STATE_DIRECTORY")?;
    folders.split(':').next().filter(|folder| !folder.is_empty()).map(PathBuf::from)
}

/// The variable that sets `key`.
pub fn variable(key: &str) -> String {
    format!("{PREFIX}{}", key.replace('.', "__").to_ascii_uppercase())
}
