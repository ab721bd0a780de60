//! `[log]`: what is written down while running.

use tracing_subscriber::filter::LevelFilter;

use crate::config::problem::{Wrong, quoted};
use crate::config::reader::Reader;

/// `[log]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// A level, or several with targets: `info`, `info,doorward::login=debug`. See [`directives`].
    pub level: String,
    /// How a line looks.
    pub format: Format,
}

impl Default for Log {
    fn default() -> Self {
        Self { level: "info".to_owned(), format: Format::Auto }
    }
}

/// How a line of the log looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// Text on a terminal, JSON elsewhere.
    #[default]
    Auto,
    /// For people.
    Text,
    /// One object a line.
    Json,
}

impl Log {
    /// Takes the section from what was said.
    pub fn read(reader: &mut Reader) -> Self {
        let mut log = Self::default();
        let level = reader.parse("log.level", |text| directives(text).map(|_| text.to_owned()));
        log.level = level.unwrap_or(log.level);
        let words = [("auto", Format::Auto), ("text", Format::Text), ("json", Format::Json)];
        log.format = reader.word("log.format", &words).unwrap_or(log.format);
        log
    }
}

/// A level for a target, and for everything where there is no target.
pub type Directive = (Option<String>, LevelFilter);

/// What a text such as `info` or `info,doorward::login=debug` asks for.
pub fn directives(text: &str) -> Result<Vec<Directive>, Wrong> {
    let level = |word: &str| match word.to_ascii_lowercase().as_str() {
        "off" => Ok(LevelFilter::OFF),
        "error" => Ok(LevelFilter::ERROR),
        "warn" => Ok(LevelFilter::WARN),
        "info" => Ok(LevelFilter::INFO),
        "debug" => Ok(LevelFilter::DEBUG),
        "trace" => Ok(LevelFilter::TRACE),
        _ => Err(Wrong::new(
            format!("{} is not a level", quoted(word)),
            "write off, error, warn, info, debug or trace, and for one part of the program doorward::login=debug",
        )),
    };
    let directive = |text: &str| match text.split_once('=') {
        Some((target, word)) => Ok((Some(target.trim().to_owned()), level(word.trim())?)),
        None => Ok((None, level(text)?)),
    };
    text.split(',').map(|text| directive(text.trim())).collect()
}
