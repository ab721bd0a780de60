//! Pages are shown under one host, that of `public_url`: cookies and the provider's return depend on it.

use std::net::IpAddr;

use http::HeaderMap;
use http::header::HOST;
use http::uri::Authority;
use url::Url;

use crate::config::public_url::PublicUrl;

/// Between the browser and us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Between {
    /// Nobody whose word counts.
    Nobody,
    /// A proxy that we trust, or somebody on its machine.
    Proxy,
    /// The same, and it certainly is a proxy: the site is reached over TLS and this connection is plain.
    TlsProxy,
}

/// Who stands between the browser and us; `is_plain`: the connection that the request came by is.
pub fn between(is_behind_proxy: bool, is_plain: bool, public_url: &PublicUrl) -> Between {
    match is_behind_proxy {
        false => Between::Nobody,
        true if is_plain && public_url.is_https() => Between::TlsProxy,
        true => Between::Proxy,
    }
}

/// Whether a page must be asked for elsewhere: the request names a host (`authority` of HTTP/2, or `Host`) other than
/// that of `public_url`.
///
/// A proxy may have put its own name for us there, and a redirect would come back for ever. So where it tells in
/// `X-Forwarded-Host` that the browser asked for us, it is believed; and one in front of TLS, which is one for certain, is
/// believed as well when it tells otherwise. Where it tells nothing, an address or a name without a dot is such a name.
pub fn is_elsewhere(
    headers: &HeaderMap,
    authority: Option<&Authority>,
    public_url: &PublicUrl,
    between: Between,
) -> bool {
    let lines = headers.get_all("x-forwarded-host").iter().filter(|_| between != Between::Nobody);
    // In a chain of proxies each adds what it was asked for; one of them was asked by the browser.
    let forwarded: Vec<&str> = lines.flat_map(|line| line.to_str().unwrap_or("?").split(',')).collect();
    if forwarded.iter().any(|host| is_ours(host.trim(), public_url)) {
        return false;
    }
    if between == Between::TlsProxy && !forwarded.is_empty() {
        return true;
    }
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    let Some(host) = authority.map(Authority::as_str).or(host) else { return false };
    let is_rewritten = match between {
        Between::Nobody => false,
        Between::Proxy => has_lost_its_port(host, public_url),
        Between::TlsProxy => has_lost_its_port(host, public_url) || is_local_name(host),
    };
    !is_rewritten && !is_ours(host, public_url)
}

/// Whether `host` is the one of `public_url` but for its port: nginx's `$host` leaves that out.
fn has_lost_its_port(host: &str, public_url: &PublicUrl) -> bool {
    public_url.as_url().host_str().is_some_and(|ours| ours.eq_ignore_ascii_case(host))
}

/// Whether `host` is the one of `public_url`, however it is written: capitals, the scheme's own port spelled out.
fn is_ours(host: &str, public_url: &PublicUrl) -> bool {
    let scheme = public_url.as_url().scheme();
    let Ok(asked) = Url::parse(&format!("{scheme}://{host}/")) else { return false };
    asked.host() == public_url.as_url().host() && asked.port_or_known_default() == Some(public_url.port())
}

fn is_local_name(host: &str) -> bool {
    let is_port = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit());
    let name = host.rsplit_once(':').filter(|(_, port)| is_port(port)).map_or(host, |(name, _)| name);
    let is_address = name.trim_matches(['[', ']']).parse::<IpAddr>().is_ok();
    is_address || !name.contains('.')
}
