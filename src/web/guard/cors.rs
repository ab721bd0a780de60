//! Which pages of other origins may read `/api` with the visitor's cookie (Fetch Standard, "CORS protocol").
//!
//! Those that `apps.origins` lists, and they may only read: what changes something is taken from pages of ours alone.
//! Everybody else hears nothing of CORS at all, so that no origin is ever reflected that nobody wrote down.

use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD,
    ORIGIN, VARY,
};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use poem::Response;

use crate::config::apps::Apps;

/// How long a browser may remember the answer to a preflight, in seconds. Short: an origin that is taken off the list
/// should not stay on it in somebody's browser.
const REMEMBERED: &str = "600";

/// The list.
#[derive(Clone, Debug)]
pub struct Cors {
    origins: Vec<HeaderValue>,
}

impl Cors {
    /// The origins that `apps` lists, as browsers write them.
    pub fn new(apps: &Apps) -> Self {
        let origins = apps.origins.iter().map(|url| url.origin().ascii_serialization());
        Self { origins: origins.filter_map(|origin| HeaderValue::try_from(origin).ok()).collect() }
    }

    /// The origin that the request names, if it is on the list. `null`, which any sandboxed frame can send, never is;
    /// neither are two at once.
    pub fn listed(&self, headers: &HeaderMap) -> Option<HeaderValue> {
        let mut named = headers.get_all(ORIGIN).iter();
        match (named.next(), named.next()) {
            (Some(origin), None) => self.origins.iter().find(|listed| *listed == origin).cloned(),
            _ => None,
        }
    }

    /// Adds to an answer of `/api` what lets `listed` read it. The answer differs by origin, and a cache must know.
    pub fn add_to(&self, listed: Option<HeaderValue>, headers: &mut HeaderMap) {
        if self.origins.is_empty() {
            return;
        }
        headers.append(VARY, HeaderValue::from_static("Origin"));
        if let Some(origin) = listed {
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
            let readable = HeaderValue::from_static("retry-after, www-authenticate, x-request-id");
            headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, readable);
        }
    }
}

/// Whether a browser asks ahead whether it may send something (Fetch Standard, "CORS-preflight request").
pub fn is_preflight(method: &Method, headers: &HeaderMap) -> bool {
    *method == Method::OPTIONS && headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD)
}

/// The answer to a listed origin's preflight: it may read, and may bring a token of its own.
pub fn allowed() -> Response {
    Response::builder()
        .status(StatusCode::NO_CONTENT)
        .header(ACCESS_CONTROL_ALLOW_METHODS, "GET, HEAD")
        .header(ACCESS_CONTROL_ALLOW_HEADERS, "authorization")
        .header(ACCESS_CONTROL_MAX_AGE, REMEMBERED)
        .finish()
}
