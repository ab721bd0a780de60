//! Reads one value after the other out of what was merged, and sets aside each that cannot be taken, so that all that
//! is wrong is known at once. Never shows the value of a secret.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use figment::Figment;
use figment::value::{Dict, Value};

use crate::config::keys;
use crate::config::problem::{Notes, Problem, Wrong, quoted};
use crate::config::secret::{self, Secret};
use crate::config::sources::{Entry, Layer, Place};

/// What was said, merged, and what there is to say about it.
pub struct Reader {
    merged: Figment,
    places: BTreeMap<String, Place>,
    /// The file as it is shown, and the folder that its paths and the defaults are relative to.
    file: Option<(String, PathBuf)>,
    folder: PathBuf,
    /// Where a service may keep what it makes itself, where whoever started us says so.
    state: Option<PathBuf>,
    /// What is wrong so far, and what is worth a sentence.
    pub notes: Notes,
}

impl Reader {
    /// Merges `entries` by the weight of their layers. `file` is the file that was read and its folder, `folder` where
    /// other relative paths begin.
    pub fn new(mut entries: Vec<Entry>, file: Option<(String, PathBuf)>, folder: PathBuf, notes: Notes) -> Self {
        entries.sort_by_key(|entry| entry.place.layer);
        let places = entries.iter().map(|entry| (entry.key.clone(), entry.place.clone())).collect();
        let merged = entries.into_iter().fold(Figment::new(), |merged, entry| merged.merge(entry));
        Self { merged, places, file, folder, state: None, notes }
    }

    /// The same, keeping what we make ourselves in `state`.
    pub fn keeping_in(self, state: Option<PathBuf>) -> Self {
        Self { state, ..self }
    }

    /// Where `key` was said, if anywhere.
    pub fn place(&self, key: &str) -> Option<&Place> {
        self.places.get(key)
    }

    /// The weight of `key`: who said it.
    pub fn layer(&self, key: &str) -> Option<Layer> {
        self.place(key).map(|place| place.layer)
    }

    /// Whether anybody said `key`.
    pub fn is_said(&self, key: &str) -> bool {
        self.places.contains_key(key)
    }

    /// What was said for `key`, as it stands. May be a secret.
    pub fn value(&self, key: &str) -> Option<Value> {
        self.is_said(key).then(|| self.merged.find_value(key).ok()).flatten()
    }

    /// Where the winning value of `key` comes from, as figment remembers it: `config.toml:12`.
    pub fn origin(&self, key: &str) -> Option<String> {
        self.is_said(key).then(|| self.merged.find_metadata(key).map(|metadata| metadata.name.to_string())).flatten()
    }

    /// The names that were given in `section`, those of the providers for example, in alphabetical order.
    pub fn names(&self, section: &str) -> Vec<String> {
        let names = self.places.keys().filter_map(|key| key.strip_prefix(section)?.strip_prefix('.'));
        let mut names: Vec<_> = names.filter_map(|rest| rest.split('.').next()).map(str::to_owned).collect();
        names.dedup();
        names
    }

    /// Sets aside a problem with `key`; the place is the key's, else its section's, else the file's.
    pub fn refuse(&mut self, key: &str, wrong: Wrong) {
        self.refuse_beside(key, &[], wrong);
    }

    /// The same for a key that is missing beside one of `others`: the place is that of the first that was said.
    pub fn refuse_beside(&mut self, key: &str, others: &[&str], wrong: Wrong) {
        let section = key.rsplit_once('.').map_or("", |(section, _)| section);
        let beside = || others.iter().find_map(|other| self.place(other));
        let place = self.place(key).or_else(beside).or_else(|| self.place(section)).cloned();
        let (origin, line) = match (place, &self.file) {
            (Some(place), _) => (place.origin, place.line),
            (None, Some((file, _))) => (file.clone(), None),
            (None, None) => (String::new(), None),
        };
        let Wrong { what, remedy } = wrong;
        self.notes.problems.push(Problem { origin, line, key: key.to_owned(), what, remedy });
    }

    /// Whether a key that there is not was most likely meant to be `key`: that it is missing was said with that.
    pub fn is_misspelt(&self, key: &str) -> bool {
        self.notes.misspelt.iter().any(|meant| meant == key)
    }

    /// Text, taken by `parse`.
    pub fn parse<T>(&mut self, key: &str, parse: impl FnOnce(&str) -> Result<T, Wrong>) -> Option<T> {
        debug_assert!(keys::find(key).is_some(), "{key} is missing from the list of keys");
        let taken = match self.value(key)? {
            Value::String(_, text) => parse(&text),
            other => Err(Wrong::new(
                format!("is {}, not text", kind(&other)),
                format!("write it in double quotes: {} = \"…\"", last(key)),
            )),
        };
        self.settle(key, taken)
    }

    /// Text as it stands.
    pub fn text(&mut self, key: &str) -> Option<String> {
        self.parse(key, |text| Ok(text.to_owned()))
    }

    /// One of a few words.
    pub fn word<T: Copy>(&mut self, key: &str, words: &[(&str, T)]) -> Option<T> {
        self.parse(key, |text| {
            let all: Vec<_> = words.iter().map(|(word, _)| format!("{word:?}")).collect();
            let found = words.iter().find(|(word, _)| *word == text);
            found.map(|(_, meaning)| *meaning).ok_or_else(|| {
                Wrong::new(format!("{} is not one of its words", quoted(text)), format!("write {}", all.join(" or ")))
            })
        })
    }

    /// A length of time: `12h`, `7d`, `1h 30m`.
    pub fn duration(&mut self, key: &str) -> Option<Duration> {
        if let Some(Value::Num(..)) = self.value(key) {
            let wrong = Wrong::new("is a number without a unit", "write 12h or 7d, in double quotes");
            return self.settle(key, Err(wrong));
        }
        self.parse(key, |text| {
            let wrong = |_| Wrong::new(format!("{} is not a duration", quoted(text)), "write 12h or 7d");
            humantime::parse_duration(text.trim()).map_err(wrong)
        })
    }

    /// Yes or no. From environment and command line the words `true` and `false`.
    pub fn flag(&mut self, key: &str) -> Option<bool> {
        let taken = match self.value(key)? {
            Value::Bool(_, flag) => Ok(flag),
            Value::String(_, text) if !self.is_from_file(key) && text == "true" => Ok(true),
            Value::String(_, text) if !self.is_from_file(key) && text == "false" => Ok(false),
            Value::String(_, text) => Err(Wrong::new(
                format!("{} is neither true nor false", quoted(&text)),
                "write true or false, without quotes",
            )),
            other => Err(Wrong::new(format!("is {}", kind(&other)), "write true or false")),
        };
        self.settle(key, taken)
    }

    /// A whole number within bounds.
    pub fn number(&mut self, key: &str, least: usize, most: usize) -> Option<usize> {
        let range = || format!("write a whole number from {least} to {most}");
        let value = self.value(key)?;
        let shown = match &value {
            Value::Num(_, number) => number.to_i128().map(|number| number.to_string()),
            Value::String(_, text) => Some(quoted(text)),
            _ => None,
        };
        let number = match value {
            Value::Num(_, number) => Ok(number.to_i128()),
            Value::String(_, text) if !self.is_from_file(key) => Ok(text.trim().parse().ok()),
            Value::String(_, text) if text.trim().parse::<u64>().is_ok() => {
                Err(Wrong::new("is text, not a number", "write it without quotes"))
            }
            Value::String(..) => Err(Wrong::new("is text, not a number", range())),
            other => Err(Wrong::new(format!("is {}", kind(&other)), "write a number")),
        };
        let taken = number.and_then(|number| {
            let number = number.and_then(|number| usize::try_from(number).ok());
            number.filter(|number| (least..=most).contains(number)).ok_or_else(|| {
                let shown = shown.map_or_else(|| "is".to_owned(), |shown| format!("{shown} is"));
                Wrong::new(format!("{shown} not a number that fits"), range())
            })
        });
        self.settle(key, taken)
    }

    /// A list of texts, each taken by `parse`. From environment and command line: separated by commas.
    pub fn list<T>(&mut self, key: &str, parse: impl Fn(&str) -> Result<T, Wrong>) -> Option<Vec<T>> {
        debug_assert!(keys::find(key).is_some(), "{key} is missing from the list of keys");
        let entries: Vec<Value> = match self.value(key)? {
            Value::Array(_, entries) => entries,
            // An empty variable is one empty entry, which is refused: `${UNSET}` must not open an access list to all.
            Value::String(_, text) if !self.is_from_file(key) => {
                text.split(',').map(|entry| Value::from(entry.trim())).collect()
            }
            other => {
                let remedy = format!("write {} = [\"…\", \"…\"]", last(key));
                let wrong = Wrong::new(format!("is {}, not a list", kind(&other)), remedy);
                return self.settle(key, Err(wrong));
            }
        };
        let mut taken = Vec::new();
        let mut is_whole = true;
        for entry in &entries {
            let entry = entry.as_str().ok_or_else(|| {
                Wrong::new(format!("holds {}, not text", kind(entry)), "write each entry in double quotes")
            });
            match self.settle(key, entry.and_then(&parse)) {
                Some(entry) => taken.push(entry),
                None => is_whole = false,
            }
        }
        is_whole.then_some(taken)
    }

    /// A list of tables, as `[[section.key]]` makes one, each taken by `parse`, which gives all that is wrong with it.
    pub fn tables<T>(&mut self, key: &str, parse: impl Fn(&Dict) -> Result<T, Vec<Wrong>>) -> Option<Vec<T>> {
        debug_assert!(keys::find(key).is_some(), "{key} is missing from the list of keys");
        let Value::Array(_, entries) = self.value(key)? else {
            let remedy = format!("write [[{key}]] on a line of its own in the file, and its fields below");
            return self.settle(key, Err(Wrong::new("is not a list of tables", remedy)));
        };
        let mut taken = Vec::new();
        let mut is_whole = true;
        for (number, entry) in (1..).zip(&entries) {
            let entry = match entry {
                Value::Dict(_, table) => parse(table),
                other => {
                    let remedy = format!("write [[{key}]] on a line of its own, and its fields below");
                    Err(vec![Wrong::new(format!("is {}, not a table", kind(other)), remedy)])
                }
            };
            match entry {
                Ok(entry) => taken.push(entry),
                Err(wrongs) => {
                    is_whole = false;
                    let line = self.place(key).and_then(|place| place.rows.get(number - 1).copied());
                    for Wrong { what, remedy } in wrongs {
                        self.refuse(key, Wrong::new(format!("number {number} {what}"), remedy));
                        self.notes
                            .problems
                            .last_mut()
                            .into_iter()
                            .for_each(|problem| problem.line = line.or(problem.line));
                    }
                }
            }
        }
        is_whole.then_some(taken)
    }

    /// A path, relative to the file where it was said there.
    pub fn path(&mut self, key: &str) -> Option<PathBuf> {
        let path = self.parse(key, |text| match text {
            "" => Err(Wrong::new("is empty", "name a file, or take the line out")),
            text => Ok(PathBuf::from(text)),
        })?;
        Some(self.resolved(key, &path))
    }

    /// `path` from where `key` was said: the file's folder for the file and for defaults, else the current folder.
    pub fn resolved(&self, key: &str, path: &Path) -> PathBuf {
        match (self.layer(key), &self.file) {
            (None | Some(Layer::File), Some((_, folder))) => folder.join(path),
            _ => self.folder.join(path),
        }
    }

    /// Where a file is kept that we make because `key` asks for it: beside what says `key`, where it is already or nobody knows
    /// a better place.
    pub fn kept(&self, key: &str, name: &str) -> PathBuf {
        let beside = self.resolved(key, Path::new(name));
        match &self.state {
            Some(state) if !beside.exists() => state.join(name),
            _ => beside,
        }
    }

    /// The secret that stands in the file named by `key`.
    pub fn secret_file(&mut self, key: &str) -> Option<Secret> {
        let path = self.path(key)?;
        let read = secret::read(&path);
        if read.is_ok() && secret::is_world_readable(&path) {
            self.notes.warn(secret::exposed(&path));
        }
        self.settle(key, read)
    }

    /// Which of several ways to say one thing counts: the one from the heaviest layer. Two in one layer: a problem.
    pub fn one_of(&mut self, keys: &[&str]) -> Option<usize> {
        let said = keys.iter().enumerate().filter_map(|(index, key)| Some((self.layer(key)?, index)));
        let heaviest = said.clone().map(|(layer, _)| layer).max()?;
        let indexes: Vec<_> = said.filter(|(layer, _)| *layer == heaviest).map(|(_, index)| index).collect();
        if let [first, second, ..] = indexes[..] {
            let what = format!("is set beside {}", last(keys[first]));
            self.refuse(keys[second], Wrong::new(what, "keep one of them"));
        }
        indexes.first().copied()
    }

    fn is_from_file(&self, key: &str) -> bool {
        self.layer(key) == Some(Layer::File)
    }

    fn settle<T>(&mut self, key: &str, taken: Result<T, Wrong>) -> Option<T> {
        taken.map_err(|wrong| self.refuse(key, wrong)).ok()
    }
}

/// The name of a key without its section.
pub fn last(key: &str) -> &str {
    key.rsplit('.').next().unwrap_or(key)
}

/// What kind of value it is, in words.
pub fn kind(value: &Value) -> &'static str {
    match value {
        Value::String(..) | Value::Char(..) => "text",
        Value::Bool(..) => "true or false",
        Value::Num(..) => "a number",
        Value::Array(..) => "a list",
        Value::Dict(..) | Value::Empty(..) => "a date or a table",
    }
}
