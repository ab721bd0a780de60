//! What a proxy says that its own visitor asked for.
//!
//! | style | who | headers |
//! |---|---|---|
//! | asking aside | nginx `auth_request` | `X-Original-URL`, `X-Original-Method` |
//! | passing on | Caddy, Traefik, HAProxy | `X-Forwarded-Proto`, `-Host`, `-Uri`, `-Method` |
//!
//! A header that is there twice, holds a list, or has a twin in another spelling (`X_Forwarded_Uri`, `Remote.User`) is one
//! that somebody else may have written: such a request is refused. Whoever is no proxy of ours is not listened to at all.

use http::{HeaderMap, HeaderName};

use crate::gate::target::{Path, Target};

/// What was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forwarded {
    /// What is asked for; `None` where nobody whom we believe tells.
    pub target: Option<Target>,
    /// Whether our answer's body, redirects included, reaches the browser; nginx's `auth_request` passes on a status.
    pub is_passed_on: bool,
}

/// The headers contradict each other, or cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Contradiction(pub &'static str);

const TWIN: Contradiction =
    Contradiction("a header about the visitor or the address comes in another spelling, as X_Forwarded_Uri");
const NO_URL: Contradiction = Contradiction("X-Original-URL is no whole address, https://app.example.com/page");
const A_PART: Contradiction =
    Contradiction("of X-Forwarded-Proto, X-Forwarded-Host and X-Forwarded-Uri one is missing");
const UNREADABLE: Contradiction = Contradiction("scheme, host or path in the headers about the address cannot be read");
const SEVERAL: Contradiction = Contradiction("a header about the address is there twice, holds a list, or is not text");

const ORIGINAL_URL: &str = "x-original-url";
const ORIGINAL_METHOD: &str = "x-original-method";
const PROTO: &str = "x-forwarded-proto";
const HOST: &str = "x-forwarded-host";
const URI: &str = "x-forwarded-uri";
const METHOD: &str = "x-forwarded-method";

/// All that are listened to, and those that other programs take for the same.
const NAMES: [&str; 8] =
    [ORIGINAL_URL, ORIGINAL_METHOD, PROTO, HOST, URI, METHOD, "x-forwarded-for", "x-forwarded-prefix"];

/// The headers that tell an app who is asking, in the order in which they are documented.
pub const IDENTITY: [HeaderName; 9] = [
    HeaderName::from_static("remote-user"),
    HeaderName::from_static("remote-email"),
    HeaderName::from_static("remote-name"),
    HeaderName::from_static("remote-groups"),
    HeaderName::from_static("x-auth-request-user"),
    HeaderName::from_static("x-auth-request-email"),
    HeaderName::from_static("x-auth-request-preferred-username"),
    HeaderName::from_static("x-auth-request-groups"),
    HeaderName::from_static("x-doorward-assertion"),
];

/// Reads what `headers` tell; `is_trusted`: whether they come from a proxy of ours.
pub fn read(headers: &HeaderMap, is_trusted: bool) -> Result<Forwarded, Contradiction> {
    if headers.keys().any(|name| is_twin(name.as_str())) {
        return Err(TWIN);
    }
    if !is_trusted {
        return Ok(Forwarded { target: None, is_passed_on: false });
    }
    let url = one(headers, ORIGINAL_URL)?;
    let target = match url {
        Some(url) => {
            let (scheme, rest) = url.split_once("://").ok_or(NO_URL)?;
            let path = rest.find('/').unwrap_or(rest.len());
            let (authority, address) = rest.split_at(path);
            let address = if address.is_empty() { "/" } else { address };
            Some(target(scheme, authority, address, one(headers, ORIGINAL_METHOD)?)?)
        }
        None => match (one(headers, PROTO)?, one(headers, HOST)?, one(headers, URI)?) {
            (Some(proto), Some(host), Some(uri)) => Some(target(proto, host, uri, one(headers, METHOD)?)?),
            (_, _, None) => None,
            // A path without a host would be held against the rules of nobody's.
            _ => return Err(A_PART),
        },
    };
    Ok(Forwarded { is_passed_on: url.is_none() && target.is_some(), target })
}

/// What a proxy asks for that was set up for oauth2-proxy: such a one passes on what the client wrote into `X-Forwarded-…`
/// and sets `Host` alone. So the app is the one of `host`, reached as this site is, and of path and method nothing is
/// certain.
pub fn read_by_host(
    headers: &HeaderMap,
    is_trusted: bool,
    scheme: &str,
    host: Option<&str>,
) -> Result<Option<Target>, Contradiction> {
    if headers.keys().any(|name| is_twin(name.as_str())) {
        return Err(TWIN);
    }
    let Some(host) = host.filter(|_| is_trusted) else { return Ok(None) };
    Ok(Some(Target { path: Path::Ambiguous, ..target(scheme, host, "/", None)? }))
}

/// Whether `name` is another spelling of a header that means something here. Where names become variables (CGI, WSGI, PHP),
/// everything that is neither letter nor digit becomes one and the same character, and the app sees the forged one.
fn is_twin(name: &str) -> bool {
    let is_odd = |byte: u8| !byte.is_ascii_alphanumeric() && byte != b'-';
    if !name.bytes().any(is_odd) {
        return false;
    }
    let usual: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    NAMES.contains(&usual.as_str()) || IDENTITY.iter().any(|header| header.as_str() == usual)
}

fn target(scheme: &str, authority: &str, address: &str, method: Option<&str>) -> Result<Target, Contradiction> {
    Target::new(scheme, authority, address, method).map_err(|_| UNREADABLE)
}

/// The header's value, if it is there; it may be there once. An address may hold commas, nothing else may.
fn one<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a str>, Contradiction> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let value = std::str::from_utf8(value.as_bytes()).map_err(|_| SEVERAL)?;
    let is_list = value.contains(',') && name != URI && name != ORIGINAL_URL;
    if values.next().is_some() || is_list { Err(SEVERAL) } else { Ok(Some(value)) }
}
