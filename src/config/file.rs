//! The configuration file: found, read, and taken apart into entries with their lines.

use std::io::ErrorKind;
use std::ops::Range;
use std::path::{Path, PathBuf};

use figment::value::{Dict, Value};
use toml_edit::{ImDocument, Item, TableLike};

use crate::config::keys;
use crate::config::problem::{Notes, Problem, in_words};
use crate::config::secret::read_up_to;
use crate::config::sources::{Entry, Layer, Place, Sources};

/// What `doorward` reads without being asked for.
const USUAL: &str = "config.toml";

/// A file larger than this is no configuration.
const LARGEST: u64 = 1024 * 1024;

/// The file and what it says. A file that was not asked for may be missing.
pub fn read(sources: &Sources, notes: &mut Notes) -> Option<(PathBuf, Vec<Entry>)> {
    let path = sources.file.clone().unwrap_or_else(|| sources.folder.join(USUAL));
    let origin = path.display().to_string();
    let mut refuse = |line, what: String, remedy: &str| {
        let (key, remedy) = (String::new(), remedy.to_owned());
        notes.problems.push(Problem { origin: origin.clone(), line, key, what, remedy });
    };
    let bytes = match read_up_to(&path, LARGEST) {
        Ok(Some(bytes)) => bytes,
        Ok(None) => {
            refuse(None, "is larger than a megabyte".to_owned(), "name a configuration file");
            return None;
        }
        Err(error) if error.kind() == ErrorKind::NotFound && sources.file.is_none() => return None,
        Err(error) => {
            refuse(None, format!("cannot be read: {}", in_words(&error)), "name a file that exists and may be read");
            return None;
        }
    };
    let Ok(text) = String::from_utf8(bytes) else {
        refuse(None, "is not UTF-8 text".to_owned(), "save it again as UTF-8");
        return None;
    };
    // Some editors begin a file with a byte order mark.
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    match ImDocument::parse(text) {
        Ok(document) => {
            let mut walk = Walk { text, origin: &origin, entries: Vec::new(), notes };
            walk.section("", document.as_table());
            let entries = walk.entries;
            Some((path, entries))
        }
        Err(error) => {
            // The error's own text repeats the line, which may hold a secret.
            let (line, column) = position(text, error.span().unwrap_or_default().start);
            let (what, remedy) = syntax(error.message(), text, error.span().unwrap_or_default().start);
            notes.problems.push(Problem {
                origin: format!("{origin}:{line}:{column}"),
                line: None,
                key: String::new(),
                what,
                remedy,
            });
            None
        }
    }
}

/// A sentence for a syntax error of the TOML reader, which stumbled at this byte of `text`.
fn syntax(message: &str, text: &str, byte: usize) -> (String, String) {
    // The reader takes the second one for the beginning of a text.
    let (before, after) = text.split_at_checked(byte).unwrap_or((text, ""));
    if before.trim_end_matches([' ', '\t']).ends_with('=') && after.starts_with('=') {
        return ("is not TOML: two = follow each other".to_owned(), "take one of them out".to_owned());
    }
    if let Some(twice) = message.split("duplicate key `").nth(1).and_then(|rest| rest.split('`').next()) {
        let what = format!("says {twice} twice");
        return (
            what,
            format!("keep one of them; what a section holds stands below one [section] line, or as {twice}.…"),
        );
    }
    let lines: Vec<_> = message.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let remedy = if message.contains("string") || message.contains("quote") {
        "text stands in double quotes: key = \"value\""
    } else {
        "a line is key = value, a [section] or a # comment, and each stands in a file once"
    };
    (format!("is not TOML: {}", lines.join(", ")), remedy.to_owned())
}

/// Line and column of a byte, counted from 1, the column in characters.
fn position(text: &str, byte: usize) -> (usize, usize) {
    let before = text.get(..byte.min(text.len())).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

struct Walk<'a> {
    text: &'a str,
    origin: &'a str,
    entries: Vec<Entry>,
    notes: &'a mut Notes,
}

impl Walk<'_> {
    /// Takes in every key of a section and of the sections in it.
    fn section(&mut self, path: &str, table: &dyn TableLike) {
        for (name, _) in table.iter() {
            let Some((key, item)) = table.get_key_value(name) else { continue };
            let here = if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
            let place = self.place(key.span().or_else(|| item.span()));
            // A dot in a quoted key would pass for a section.
            if name.contains('.') || name.is_empty() {
                self.refuse(here, place, "there is no such key".to_owned(), "see config.toml.example".to_owned());
                continue;
            }
            match item.as_table_like() {
                Some(inner) => {
                    if path == "providers" {
                        // Said even where nothing stands in it: an empty section is a provider without a client.
                        self.entries.push(Entry { key: here.clone(), value: Value::from(Dict::new()), place });
                    }
                    self.section(&here, inner);
                }
                None => self.leaf(here, item, place),
            }
        }
    }

    fn leaf(&mut self, key: String, item: &Item, place: Place) {
        if keys::find(&key).is_some() {
            let rows = item.as_array_of_tables().into_iter().flat_map(|tables| tables.iter());
            let rows = rows.filter_map(|table| self.place(table.span()).line).collect();
            let place = Place { rows, ..place };
            let tables = item.as_array_of_tables().map(|tables| tables.iter().map(|table| self::table(table)));
            let value = match tables {
                Some(tables) => Value::from(tables.collect::<Vec<_>>()),
                None => item.as_value().map_or_else(|| Value::from(Dict::new()), value),
            };
            self.entries.push(Entry { key, value, place });
        } else if keys::is_section(&key) {
            let remedy = format!("write [{key}] on a line of its own and its keys below");
            self.refuse(key, place, "is a section, not a value".to_owned(), remedy);
        } else if let Some(above) = keys::above(&key) {
            let (what, remedy) = (format!("{} is a value, not a section", above.name), "see config.toml.example");
            self.refuse(key, place, what, remedy.to_owned());
        } else {
            let meant = keys::nearest(&key);
            self.notes.misspelt.extend(meant.iter().map(ToString::to_string));
            let remedy = match meant {
                Some(meant) if !meant.contains('.') => format!("did you mean {meant}? It stands above all [sections]"),
                Some(meant) => format!("did you mean {meant}?"),
                None => "take it out; config.toml.example holds every key there is".to_owned(),
            };
            self.refuse(key, place, "there is no such key".to_owned(), remedy);
        }
    }

    fn refuse(&mut self, key: String, place: Place, what: String, remedy: String) {
        self.notes.problems.push(Problem { origin: place.origin, line: place.line, key, what, remedy });
    }

    fn place(&self, span: Option<Range<usize>>) -> Place {
        let line = span.map(|span| position(self.text, span.start).0);
        Place { layer: Layer::File, origin: self.origin.to_owned(), line, rows: Vec::new() }
    }
}

/// The same table in figment's shape.
fn table(table: &dyn TableLike) -> Value {
    let fields = table.iter().map(|(name, item)| {
        let field = item.as_value().map_or_else(|| Value::from(Dict::new()), value);
        (name.to_owned(), field)
    });
    Value::from(fields.collect::<Dict>())
}

/// The same value in figment's shape. Dates, which no key takes, become an empty table.
fn value(value: &toml_edit::Value) -> Value {
    match value {
        toml_edit::Value::String(text) => Value::from(text.value().as_str()),
        toml_edit::Value::Integer(number) => Value::from(*number.value()),
        toml_edit::Value::Float(number) => Value::from(*number.value()),
        toml_edit::Value::Boolean(flag) => Value::from(*flag.value()),
        toml_edit::Value::Array(list) => Value::from(list.iter().map(self::value).collect::<Vec<_>>()),
        toml_edit::Value::InlineTable(table) => self::table(table),
        toml_edit::Value::Datetime(_) => Value::from(Dict::new()),
    }
}

/// The folder that paths in the file are relative to.
pub fn folder_of(path: &Path) -> PathBuf {
    path.parent().map(Path::to_owned).unwrap_or_default()
}
