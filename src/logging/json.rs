//! Events as JSON, one object a line, written straight into one buffer: an event is a matter of every request.

use std::cell::RefCell;
use std::fmt::{self, Write};
use std::sync::Arc;

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::{LookupSpan, SpanRef};

use crate::logging::paper::Paper;
use crate::logging::{is_harmful, is_pressing};

thread_local! {
    static LINE: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Writes events on paper.
pub struct Json(pub Arc<Paper>);

/// The fields of a span as JSON, each with a comma before it.
struct SpanFields(String);

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Json {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let mut text = String::new();
        attributes.record(&mut Fields { line: &mut text, target: None });
        span.extensions_mut().insert(SpanFields(text));
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        if let Some(SpanFields(text)) = span.extensions_mut().get_mut() {
            values.record(&mut Fields { line: text, target: None });
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let pressing = is_pressing(event.metadata());
        LINE.with(|line| match line.try_borrow_mut() {
            Ok(mut line) => {
                line.clear();
                write_event(&mut line, event, &context);
                self.0.put(line.as_bytes(), pressing);
            }
            // An event while another is written: a value speaks of itself by one.
            Err(_) => {
                let mut line = String::new();
                write_event(&mut line, event, &context);
                self.0.put(line.as_bytes(), pressing);
            }
        });
    }
}

fn write_event<S>(line: &mut String, event: &Event<'_>, context: &Context<'_, S>)
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    line.push_str("{\"timestamp\":\"");
    // Writing to a string does not fail.
    let _ = SystemTime.format_time(&mut Writer::new(line));
    line.push_str("\",\"level\":\"");
    line.push_str(event.metadata().level().as_str());
    line.push('"');
    let mut fields = Fields { line, target: None };
    event.record(&mut fields);
    let target = fields.target;
    line.push_str(",\"target\":\"");
    escape(line, target.as_deref().unwrap_or(event.metadata().target()));
    line.push('"');
    if let Some(innermost) = context.event_span(event) {
        line.push_str(",\"span\":");
        write_span(line, &innermost);
        line.push_str(",\"spans\":[");
        for (place, span) in innermost.scope().from_root().enumerate() {
            if place > 0 {
                line.push(',');
            }
            write_span(line, &span);
        }
        line.push(']');
    }
    line.push_str("}\n");
}

fn write_span<'a, S: LookupSpan<'a>>(line: &mut String, span: &SpanRef<'a, S>) {
    line.push_str("{\"name\":\"");
    escape(line, span.name());
    line.push('"');
    if let Some(SpanFields(text)) = span.extensions().get() {
        line.push_str(text);
    }
    line.push('}');
}

/// Writes `,"name":value` for each field.
struct Fields<'a> {
    line: &'a mut String,
    /// Where an event really comes from that was made with the `log` crate.
    target: Option<String>,
}

impl Fields<'_> {
    /// Begins the field. `false`: it is about the event's origin, which is not a field of ours.
    fn name(&mut self, field: &Field) -> bool {
        if field.name().starts_with("log.") {
            return false;
        }
        self.line.push_str(",\"");
        // `r#type` is the word `type` in Rust's disguise.
        escape(self.line, field.name().trim_start_matches("r#"));
        self.line.push_str("\":");
        true
    }

    fn number(&mut self, field: &Field, value: impl fmt::Display) {
        if self.name(field) {
            let _ = write!(self.line, "{value}");
        }
    }
}

impl Visit for Fields<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "log.target" {
            self.target = Some(value.to_owned());
        }
        if self.name(field) {
            self.line.push('"');
            escape(self.line, value);
            self.line.push('"');
        }
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.number(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.number(field, value);
    }

    fn record_u128(&mut self, field: &Field, value: u128) {
        self.number(field, value);
    }

    fn record_i128(&mut self, field: &Field, value: i128) {
        self.number(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.number(field, value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        if value.is_finite() {
            self.number(field, value);
        } else {
            self.number(field, "null");
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if self.name(field) {
            self.line.push('"');
            let _ = write!(Escaped(self.line), "{value:?}");
            self.line.push('"');
        }
    }
}

/// Escapes whatever is written through it.
struct Escaped<'a>(&'a mut String);

impl Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        escape(self.0, text);
        Ok(())
    }
}

/// `text` as the inside of a string of JSON, harmless characters as they are.
fn escape(line: &mut String, text: &str) {
    let is_plain = |byte: u8| matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\';
    if text.bytes().all(is_plain) {
        return line.push_str(text);
    }
    for c in text.chars() {
        match c {
            '"' => line.push_str("\\\""),
            '\\' => line.push_str("\\\\"),
            '\n' => line.push_str("\\n"),
            harmful if is_harmful(harmful) => {
                let _ = write!(line, "\\u{:04x}", u32::from(harmful));
            }
            other => line.push(other),
        }
    }
}
