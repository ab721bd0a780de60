//! What is wrong with a configuration: every problem at once, each with its place, its key and its remedy.

use std::fmt;

/// One thing that is wrong. Holds no secret; it is printed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where it was said: `config.toml`, `DOORWARD_SESSIONS__IDLE`, `--listen`; empty where nothing was said.
    pub origin: String,
    /// The line in the file, counted from 1.
    pub line: Option<usize>,
    /// The key, `sessions.idle`; empty where the whole file is meant.
    pub key: String,
    /// What is so, a sentence without a full stop.
    pub what: String,
    /// What to do, likewise.
    pub remedy: String,
}

/// `config.toml:12: sessions.idle: "7 dayz" is not a duration; write 12h or 7d`
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.origin.as_str(), self.line) {
            ("", _) => {}
            (origin, Some(line)) => write!(f, "{origin}:{line}: ")?,
            (origin, None) => write!(f, "{origin}: ")?,
        }
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        write!(f, "{}; {}", self.what, self.remedy)
    }
}

/// Everything that is wrong, in the order of the keys; never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

/// A line for each problem under a heading.
impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.len() {
            1 => f.write_str("the configuration has a problem")?,
            several => write!(f, "the configuration has {several} problems")?,
        }
        self.0.iter().try_for_each(|problem| write!(f, "\n  {problem}"))
    }
}

impl std::error::Error for Problems {}

/// Why a value cannot be taken; the reader adds where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    /// What is so.
    pub what: String,
    /// What to do.
    pub remedy: String,
}

impl Wrong {
    /// What is so, and what to do about it.
    pub fn new(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { what: what.into(), remedy: remedy.into() }
    }
}

/// What there is to say about a configuration so far.
#[derive(Default)]
pub struct Notes {
    /// What stops us.
    pub problems: Vec<Problem>,
    /// What does not.
    pub warnings: Vec<String>,
    /// Keys that were most likely meant by others that there are not.
    pub misspelt: Vec<String>,
    /// Variables of ours that are no settings and look like one: no problem by themselves, and perhaps why there is another.
    pub strangers: Vec<Problem>,
}

impl Notes {
    /// Adds a sentence that the operator should read.
    pub fn warn(&mut self, sentence: impl Into<String>) {
        self.warnings.push(sentence.into());
    }
}

/// What an error of the system or of a library says, without the system's number for it: nobody looks that up.
pub fn in_words(error: &(impl ToString + ?Sized)) -> String {
    let text = error.to_string();
    let mut words = text.as_str();
    let mut plain = String::new();
    while let Some((before, after)) = words.split_once(" (os error ") {
        plain.push_str(before);
        words = after.split_once(')').map_or("", |(_, rest)| rest);
    }
    plain + words
}

/// `text` in quotes, its control characters made visible and its length bounded. Never for a secret.
pub fn quoted(text: &str) -> String {
    const LONGEST: usize = 80;
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{:?} …", &text[..end]),
        None => format!("{text:?}"),
    }
}
