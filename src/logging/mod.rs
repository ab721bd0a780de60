//! What is written down while running: one line for each event, on standard error, as text for people or JSON for
//! programs.
//!
//! A line is a line: control characters, which could forge a second one or steer a terminal, are written as escapes in
//! both formats. A log that cannot be written (a closed pipe, a full disk) is lost, and nothing else.

mod json;
pub mod paper;

use std::io::{self, IsTerminal, Write};
use std::sync::{Arc, OnceLock};

use tracing::{Level, Metadata};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::log::{self, Format, Log};
use crate::logging::json::Json;
use crate::logging::paper::Paper;

/// Our own events; everything else comes from crates we build on.
const OURS: &str = "doorward";

/// Where requests are written down, which under load are very many.
const REQUESTS: &str = "doorward::web";

/// What [`init`] writes on.
static PAPER: OnceLock<Arc<Paper>> = OnceLock::new();

/// Writes down from now on what `[log]` asks for. Only the first call in a process has an effect.
pub fn init(log: &Log) {
    let is_text = match log.format {
        Format::Text => true,
        Format::Json => false,
        Format::Auto => io::stderr().is_terminal(),
    };
    let paper = PAPER.get_or_init(|| Paper::on(io::stderr()));
    let subscriber = tracing_subscriber::registry().with(filter(&log.level));
    let _ = if is_text {
        // Colours would need escape sequences, and none may pass.
        let layer = tracing_subscriber::fmt::layer().with_ansi(false).log_internal_errors(false);
        subscriber.with(layer.with_writer(Texts(Arc::clone(paper)))).try_init()
    } else {
        subscriber.with(Json(Arc::clone(paper))).try_init()
    };
}

/// Writes out what is still under way; for the end of the process.
pub fn flush() {
    if let Some(paper) = PAPER.get() {
        paper.flush();
    }
}

/// Whether the line must be out before anything else happens: all but those of requests, which a crash may take.
fn is_pressing(event: &Metadata<'_>) -> bool {
    *event.level() < Level::INFO || event.target() != REQUESTS
}

/// Which events are written down.
///
/// A level without a target is about our own events; other crates then speak of trouble only. Whatever is asked for,
/// they never come below `info`: at `debug` HTTP crates write down headers, cookies and credentials among them.
pub fn filter(level: &str) -> Targets {
    let directives = log::directives(level).unwrap_or_else(|_| vec![(None, LevelFilter::INFO)]);
    let mut targets = Targets::new().with_default(LevelFilter::WARN).with_target(OURS, LevelFilter::INFO);
    for (target, level) in directives {
        targets = match target {
            None => targets.with_default(level.min(LevelFilter::WARN)).with_target(OURS, level),
            Some(target) if is_ours(&target) => targets.with_target(target, level),
            Some(target) => targets.with_target(target, level.min(LevelFilter::INFO)),
        };
    }
    targets
}

fn is_ours(target: &str) -> bool {
    target.strip_prefix(OURS).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

/// Text on paper, one whole line at a time.
struct Texts(Arc<Paper>);

impl<'a> MakeWriter<'a> for Texts {
    type Writer = Lines<Sheet<'a>>;

    fn make_writer(&'a self) -> Self::Writer {
        Lines::new(Sheet { paper: &self.0, wait: true })
    }

    fn make_writer_for(&'a self, event: &Metadata<'_>) -> Self::Writer {
        Lines::new(Sheet { paper: &self.0, wait: is_pressing(event) })
    }
}

/// A place for one line.
struct Sheet<'a> {
    paper: &'a Paper,
    wait: bool,
}

impl Write for Sheet<'_> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.paper.put(line, self.wait);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes each event, which comes in one piece, as one line without control characters; never fails.
pub struct Lines<W>(W);

impl<W: Write> Lines<W> {
    /// Writes to `inner`.
    pub const fn new(inner: W) -> Self {
        Self(inner)
    }
}

impl<W: Write> Write for Lines<W> {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(event);
        let mut line = harmless(text.strip_suffix('\n').unwrap_or(&text));
        line.push('\n');
        let _ = self.0.write_all(line.as_bytes());
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let _ = self.0.flush();
        Ok(())
    }
}

/// Whether a terminal or a reader of lines would obey it: control characters, line and paragraph separators, changes of
/// direction.
fn is_harmful(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}' | '\u{61c}')
}

/// `text` with everything harmful as an escape of JSON's, `\u001b`.
fn harmless(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        if is_harmful(c) {
            safe.push_str(&format!("\\u{:04x}", u32::from(c)));
        } else {
            safe.push(c);
        }
    }
    safe
}
