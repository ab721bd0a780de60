//! What kind of request a browser makes, by its Fetch Metadata: a person going somewhere, a script, a prefetch.

use http::HeaderMap;
use http::header::{ACCEPT, REFERER};

fn is(headers: &HeaderMap, name: &str, value: &str) -> bool {
    headers.get(name).is_some_and(|header| header == value)
}

/// Whether nobody asked for this yet: the browser fetches ahead.
pub fn is_prefetch(headers: &HeaderMap) -> bool {
    ["sec-purpose", "purpose", "x-moz"].into_iter().any(|name| {
        headers
            .get(name)
            .is_some_and(|value| value.as_bytes().windows(5).any(|word| word == b"fetch" || word == b"rende"))
    })
}

/// Whether a person goes there with the whole window. Clients that do not say count as people.
pub fn is_navigation(headers: &HeaderMap) -> bool {
    let unless = |name, value| !headers.contains_key(name) || is(headers, name, value);
    !is_prefetch(headers) && unless("sec-fetch-mode", "navigate") && unless("sec-fetch-dest", "document")
}

/// Whether another site sent the browser here, a sibling host among them. A browser too old for Fetch Metadata may still
/// tell by its `Referer`; one that tells nothing is believed to come from nowhere.
pub fn is_from_elsewhere(headers: &HeaderMap, origin: &str) -> bool {
    if headers.contains_key("sec-fetch-site") {
        return !is(headers, "sec-fetch-site", "same-origin") && !is(headers, "sec-fetch-site", "none");
    }
    let is_ours = |from: &[u8]| {
        let rest = from.strip_prefix(origin.as_bytes());
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
    };
    headers.get(REFERER).is_some_and(|from| !is_ours(from.as_bytes()))
}

/// Whether a person typed the address, or a page of ours led there: certain, not just possible.
pub fn is_deliberate(headers: &HeaderMap) -> bool {
    let is_ours = is(headers, "sec-fetch-site", "same-origin") || is(headers, "sec-fetch-site", "none");
    is_ours && is(headers, "sec-fetch-mode", "navigate") && is_navigation(headers)
}

/// Whether the client would rather read a page than JSON.
pub fn wants_html(headers: &HeaderMap) -> bool {
    let accept = headers.get(ACCEPT).map(|value| value.as_bytes()).unwrap_or_default();
    accept.windows(9).any(|part| part == b"text/html")
}
