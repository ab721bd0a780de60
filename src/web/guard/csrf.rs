//! Whether a request that changes something comes from a page of ours.
//!
//! Browsers say where a request comes from in a header that no page can write (`Sec-Fetch-Site`, Fetch Metadata), older
//! ones in `Origin`. Sibling hosts are not us. Whoever sends neither is refused: a form of ours is only ever sent by a
//! browser. Requests to `/api` with a bearer token carry no ambient credential and need no such proof.

use http::HeaderMap;
use http::header::ORIGIN;

/// Whether the headers show a request from a page of `origin`.
pub fn is_same_origin(headers: &HeaderMap, origin: &str) -> bool {
    match one(headers, "sec-fetch-site") {
        Some(site) => site == b"same-origin",
        None => one(headers, ORIGIN.as_str()) == Some(origin.as_bytes()),
    }
}

/// The header's value, if it was sent exactly once.
fn one<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a [u8]> {
    let mut values = headers.get_all(name).iter();
    let first = values.next()?;
    match values.next() {
        None => Some(first.as_bytes()),
        // Two answers to one question are none that we believe, and not the absence of one either.
        Some(_) => Some(b"?"),
    }
}
