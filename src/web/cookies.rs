//! Our two cookies: read byte by byte, written attribute by attribute.
//!
//! The general parsers decode names and trim Unicode spaces, so that a neighbour on a sibling host could plant
//! `%5F%5FHost-doorward` and have it taken for ours; and one byte beyond ASCII in a foreign cookie makes them see none
//! at all. Here a name is ours if its bytes are.

use std::time::Duration;

use http::header::COOKIE;
use http::{HeaderMap, HeaderValue};

use crate::config::public_url::PublicUrl;
use crate::credential::Plain;
use crate::login::SealedPendingLogin;

/// How long a pending login is kept by the browser.
const PENDING_MAX_AGE: Duration = Duration::from_secs(600);

/// How many pending logins one browser keeps, and how many bytes of header they may fill together.
const PENDING_MOST: usize = 5;
const PENDING_BYTES: usize = 4096;

/// How many pending logins of a request are looked at: more than a browser of ours ever holds.
const PENDING_READ: usize = 20;

/// How many cookies of the session's very name are tried; a neighbour may have planted one beside ours. What cannot be a
/// handle does not count, so that rubbish takes nobody's place.
const SESSIONS_TRIED: usize = 2;

/// How long a handle is: 256 bits in base64url.
const HANDLE_LENGTH: usize = 43;

/// The names and attributes of our cookies.
#[derive(Clone, Debug)]
pub struct Cookies {
    session: String,
    pending_prefix: String,
    is_https: bool,
    /// The domain whose hosts all get the session's cookie.
    domain: Option<String>,
    /// `None`: the session's cookie ends with the browser.
    max_age: Option<Duration>,
}

impl Cookies {
    /// Cookies for `public_url`: `__Host-doorward` over TLS (RFC 6265bis, section 4.1.3.2), `doorward_PORT` on this
    /// machine, since cookies know no ports. `max_age` is the session's lifetime, or `None` to end with the browser.
    pub fn new(public_url: &PublicUrl, max_age: Option<Duration>) -> Self {
        let is_https = public_url.is_https();
        let session = if is_https { "__Host-doorward".to_owned() } else { format!("doorward_{}", public_url.port()) };
        Self { pending_prefix: format!("{session}-login-"), session, is_https, domain: None, max_age }
    }

    /// The same with a session's cookie that every host of `domain` gets: `__Secure-doorward`, since `__Host-` binds to
    /// one host. Pending logins stay with ours alone. `None` changes nothing.
    pub fn shared_with(self, domain: Option<&str>) -> Self {
        match domain {
            Some(domain) => Self { session: "__Secure-doorward".to_owned(), domain: Some(domain.to_owned()), ..self },
            None => self,
        }
    }

    /// The name of the session's cookie.
    pub fn session_name(&self) -> &str {
        &self.session
    }

    /// The handles that the request presents, two at the most.
    pub fn sessions(&self, headers: &HeaderMap) -> Vec<Plain> {
        pairs(headers)
            .filter(|(name, _)| *name == self.session.as_bytes())
            .filter_map(|(_, value)| base64url(value).filter(|value| value.len() == HANDLE_LENGTH))
            .take(SESSIONS_TRIED)
            .map(Plain::presented)
            .collect()
    }

    /// The pending logins that the request brings, the oldest first as browsers order them.
    pub fn pending(&self, headers: &HeaderMap) -> Vec<SealedPendingLogin> {
        let ours = |(name, value): (&[u8], &[u8])| {
            let label = name.strip_prefix(self.pending_prefix.as_bytes())?;
            let label = std::str::from_utf8(label).ok().filter(|label| is_label(label))?;
            let value = base64url(value)?;
            Some(SealedPendingLogin { label: label.to_owned(), value: value.to_owned() })
        };
        pairs(headers).filter_map(ours).take(PENDING_READ).collect()
    }

    /// Which of `pending` must go so that one more, of `next` bytes, still fits: the oldest.
    pub fn overflow<'a>(&self, pending: &'a [SealedPendingLogin], next: usize) -> &'a [SealedPendingLogin] {
        let size = |one: &SealedPendingLogin| self.pending_prefix.len() + one.label.len() + one.value.len() + 3;
        let mut bytes = next + self.pending_prefix.len();
        let fitting = pending.iter().rev().take(PENDING_MOST - 1).take_while(|one| {
            bytes += size(one);
            bytes < PENDING_BYTES
        });
        let keep = fitting.count();
        &pending[..pending.len() - keep]
    }

    /// Sets the session's cookie.
    pub fn set_session(&self, session: &Plain) -> HeaderValue {
        self.set(&self.session, session.reveal(), self.domain.as_deref(), self.max_age)
    }

    /// Takes the session's cookie away.
    pub fn end_session(&self) -> HeaderValue {
        self.set(&self.session, "", self.domain.as_deref(), Some(Duration::ZERO))
    }

    /// Sets the cookie of a pending login.
    pub fn set_pending(&self, pending: &SealedPendingLogin) -> HeaderValue {
        let name = format!("{}{}", self.pending_prefix, pending.label);
        self.set(&name, &pending.value, None, Some(PENDING_MAX_AGE))
    }

    /// Takes the cookie of a pending login away.
    pub fn end_pending(&self, label: &str) -> HeaderValue {
        self.set(&format!("{}{label}", self.pending_prefix), "", None, Some(Duration::ZERO))
    }

    fn set(&self, name: &str, value: &str, domain: Option<&str>, max_age: Option<Duration>) -> HeaderValue {
        let secure = if self.is_https { "; Secure" } else { "" };
        let max_age = max_age.map(|age| format!("; Max-Age={}", age.as_secs())).unwrap_or_default();
        // Lax, not Strict: the first request after a sign-in comes on a redirect from the provider's site.
        let domain = domain.map(|domain| format!("; Domain={domain}")).unwrap_or_default();
        let cookie = format!("{name}={value}; Path=/{domain}{secure}; HttpOnly; SameSite=Lax{max_age}");
        HeaderValue::try_from(cookie).expect("names and values of ours are ASCII without control characters")
    }
}

/// The value, if it is made of what our values are made of.
fn base64url(value: &[u8]) -> Option<&str> {
    let is_ours = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    std::str::from_utf8(value).ok().filter(|_| value.iter().all(is_ours))
}

fn is_label(label: &str) -> bool {
    label.len() == 10 && label.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'2'..=b'7'))
}

/// The pairs of all `Cookie` headers as bytes: nothing decoded, nothing trimmed but spaces and tabs between pairs.
fn pairs(headers: &HeaderMap) -> impl Iterator<Item = (&[u8], &[u8])> {
    headers.get_all(COOKIE).iter().flat_map(|header| header.as_bytes().split(|byte| *byte == b';')).filter_map(|pair| {
        let start = pair.iter().position(|byte| !matches!(byte, b' ' | b'\t'))?;
        let pair = &pair[start..];
        let equals = pair.iter().position(|byte| *byte == b'=')?;
        Some((&pair[..equals], &pair[equals + 1..]))
    })
}
