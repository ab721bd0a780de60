//! Which trace a request belongs to (W3C Trace Context, level 1): taken from a proxy that we trust, begun here otherwise.
//!
//! What a stranger sends is not looked at: it would let them write into our log and lead our lines astray. Nothing is
//! recorded here, so that a trace that begins with us is marked as not sampled. `tracestate` goes no further: it is
//! about those before us.

use http::HeaderMap;

/// The header that carries it.
pub const TRACEPARENT: &str = "traceparent";

/// A trace and our place in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    /// The trace: 32 hexadecimal digits.
    pub id: String,
    is_sampled: bool,
}

impl Trace {
    /// The trace that `headers` name, if they do so once and well.
    pub fn taken(headers: &HeaderMap) -> Option<Self> {
        let mut values = headers.get_all(TRACEPARENT).iter();
        match (values.next(), values.next()) {
            (Some(value), None) => parse(value.to_str().ok()?),
            _ => None,
        }
    }

    /// A trace that begins here.
    pub const fn begun(id: String) -> Self {
        Self { id, is_sampled: false }
    }

    /// What whoever we ask is told: the trace, and `span`, 16 hexadecimal digits, as the one that asks.
    pub fn traceparent(&self, span: &str) -> String {
        format!("00-{}-{span}-0{}", self.id, u8::from(self.is_sampled))
    }
}

/// `00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01`, and longer ones of later versions (section 3.2).
fn parse(text: &str) -> Option<Trace> {
    let mut parts = text.splitn(5, '-');
    let (version, id, parent, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let rest = parts.next();
    let is_version = is_hex(version, 2) && version != "ff" && (version != "00" || rest.is_none());
    let is_named = |id: &str, length| is_hex(id, length) && id.bytes().any(|digit| digit != b'0');
    if !is_version || !is_named(id, 32) || !is_named(parent, 16) || !is_hex(flags, 2) {
        return None;
    }
    let flags = u8::from_str_radix(flags, 16).ok()?;
    Some(Trace { id: id.to_owned(), is_sampled: flags & 1 == 1 })
}

fn is_hex(text: &str, length: usize) -> bool {
    text.len() == length && text.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'))
}
