//! Pages are shown under one host, that of `public_url`: cookies and the provider's return depend on it.

use std::net::IpAddr;

use http::HeaderMap;
use http::header::HOST;
use http::uri::Authority;

/// Whether a page must be asked for elsewhere: the request names a host (`authority` of HTTP/2, or `Host`) other than
/// `ours`. From a trusted proxy, `X-Forwarded-Host` counts instead; and a proxy that puts its own name for us there, an
/// address or a name without a dot, changed it on the way, which says nothing about the browser.
pub fn is_elsewhere(headers: &HeaderMap, authority: Option<&Authority>, ours: &str, behind_tls_proxy: bool) -> bool {
    let forwarded = headers.get("x-forwarded-host").filter(|_| behind_tls_proxy).and_then(|host| host.to_str().ok());
    if let Some(host) = forwarded {
        return !host.eq_ignore_ascii_case(ours);
    }
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    let Some(host) = authority.map(Authority::as_str).or(host) else { return false };
    let is_rewritten = behind_tls_proxy && is_local_name(host);
    !is_rewritten && !host.eq_ignore_ascii_case(ours)
}

fn is_local_name(host: &str) -> bool {
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    let is_address = name.trim_matches(['[', ']']).parse::<IpAddr>().is_ok();
    is_address || !name.contains('.')
}
