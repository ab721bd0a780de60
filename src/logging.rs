//! What is written down while running: one line for each event, on standard error, as text for people or JSON for
//! programs.
//!
//! A line is a line: control characters, which could forge a second one or steer a terminal, are written as escapes in
//! both formats. A log that cannot be written (a closed pipe, a full disk) is lost, and nothing else.

use std::io::{self, IsTerminal, Write};

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::log::{self, Format, Log};

/// Our own events; everything else comes from crates we build on.
const OURS: &str = "doorward";

/// Writes down from now on what `[log]` asks for. Only the first call in a process has an effect.
pub fn init(log: &Log) {
    let is_text = match log.format {
        Format::Text => true,
        Format::Json => false,
        Format::Auto => io::stderr().is_terminal(),
    };
    // Colours would need escape sequences, and none may pass.
    let layer = tracing_subscriber::fmt::layer().with_ansi(false).log_internal_errors(false).with_writer(StandardError);
    let subscriber = tracing_subscriber::registry().with(filter(&log.level));
    let _ = if is_text {
        subscriber.with(layer).try_init()
    } else {
        subscriber.with(layer.json().flatten_event(true)).try_init()
    };
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

/// Standard error, one whole line at a time.
struct StandardError;

impl<'a> MakeWriter<'a> for StandardError {
    type Writer = Lines<io::Stderr>;

    fn make_writer(&'a self) -> Self::Writer {
        Lines::new(io::stderr())
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

/// `text` with everything that a terminal or a reader of lines would obey as an escape of JSON's, `\u001b`: control
/// characters, line and paragraph separators, changes of direction.
fn harmless(text: &str) -> String {
    let is_harmful = |c: char| {
        c.is_control()
            || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}' | '\u{61c}')
    };
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
