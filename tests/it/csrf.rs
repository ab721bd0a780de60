//! Which requests a page of ours can have made.

use doorward::web::guard::csrf::is_same_origin;
use doorward::web::guard::navigation::{is_deliberate, is_from_elsewhere, is_navigation, is_prefetch};
use http::{HeaderMap, HeaderName, HeaderValue};

const OURS: &str = "https://example.com";

fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
    lines.iter().fold(HeaderMap::new(), |mut headers, (name, value)| {
        headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        headers
    })
}

#[test]
fn the_browser_says_that_a_page_of_ours_asks() {
    assert!(is_same_origin(&headers(&[("sec-fetch-site", "same-origin")]), OURS));
    assert!(is_same_origin(&headers(&[("sec-fetch-site", "same-origin"), ("origin", OURS)]), OURS));
    // Before Fetch Metadata there was only this.
    assert!(is_same_origin(&headers(&[("origin", OURS)]), OURS));
}

#[test]
fn whoever_says_anything_else_or_nothing_is_refused() {
    for lines in [
        &[][..],
        &[("sec-fetch-site", "same-site")],
        &[("sec-fetch-site", "cross-site")],
        &[("sec-fetch-site", "none")],
        &[("sec-fetch-site", "Same-Origin")],
        &[("sec-fetch-site", "")],
        &[("sec-fetch-site", "same-origin, cross-site")],
        &[("sec-fetch-site", "same-origin"), ("sec-fetch-site", "cross-site")],
        &[("sec-fetch-site", "cross-site"), ("origin", OURS)],
        &[("origin", "null")],
        &[("origin", "https://example.com/")],
        &[("origin", "https://example.com:444")],
        &[("origin", "http://example.com")],
        &[("origin", "https://www.example.com")],
        &[("origin", "https://example.com.evil.example")],
        &[("origin", OURS), ("origin", "https://evil.example")],
        &[("origin", OURS), ("origin", OURS)],
        &[("referer", "https://example.com/")],
        &[("x-requested-with", "XMLHttpRequest")],
    ] {
        assert!(!is_same_origin(&headers(lines), OURS), "{lines:?}");
    }
}

#[test]
fn a_person_going_somewhere_is_told_from_scripts_frames_and_guesses() {
    for lines in
        [&[][..], &[("sec-fetch-mode", "navigate")], &[("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")]]
    {
        assert!(is_navigation(&headers(lines)), "{lines:?}");
    }
    for lines in [
        &[("sec-fetch-mode", "cors")][..],
        &[("sec-fetch-mode", "no-cors"), ("sec-fetch-dest", "image")],
        &[("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "iframe")],
        &[("sec-fetch-mode", "navigate"), ("sec-purpose", "prefetch")],
        &[("sec-fetch-mode", "navigate"), ("sec-purpose", "prefetch;prerender")],
        &[("purpose", "prefetch")],
        &[("x-moz", "prefetch")],
    ] {
        assert!(!is_navigation(&headers(lines)), "{lines:?}");
    }
    assert!(is_prefetch(&headers(&[("sec-purpose", "prefetch;anonymous-client-ip")])));
    assert!(!is_prefetch(&headers(&[("sec-fetch-mode", "navigate")])));
}

#[test]
fn a_person_who_comes_deliberately_is_told_from_one_who_was_sent() {
    let navigation = ("sec-fetch-mode", "navigate");
    assert!(is_deliberate(&headers(&[("sec-fetch-site", "none"), navigation])));
    assert!(is_deliberate(&headers(&[("sec-fetch-site", "same-origin"), navigation])));
    for lines in [
        &[][..],
        &[navigation],
        &[("sec-fetch-site", "none")],
        &[("sec-fetch-site", "same-site"), navigation],
        &[("sec-fetch-site", "cross-site"), navigation],
        &[("sec-fetch-site", "same-origin"), ("sec-fetch-mode", "no-cors"), ("sec-fetch-dest", "image")],
        &[("sec-fetch-site", "none"), navigation, ("sec-purpose", "prefetch")],
    ] {
        assert!(!is_deliberate(&headers(lines)), "{lines:?}");
    }
}

#[test]
fn another_site_is_known_by_what_old_browsers_say_too() {
    for lines in [
        &[("sec-fetch-site", "cross-site")][..],
        &[("sec-fetch-site", "same-site")],
        &[("sec-fetch-site", "something new")],
        &[("referer", "https://evil.example/")],
        &[("referer", "https://example.com.evil.example/")],
        &[("referer", "https://example.com@evil.example/")],
        &[("referer", "http://example.com/")],
    ] {
        assert!(is_from_elsewhere(&headers(lines), OURS), "{lines:?}");
    }
    for lines in [
        &[][..],
        &[("sec-fetch-site", "none")],
        &[("sec-fetch-site", "same-origin"), ("referer", "https://evil.example/")],
        &[("referer", "https://example.com")],
        &[("referer", "https://example.com/auth/")],
    ] {
        assert!(!is_from_elsewhere(&headers(lines), OURS), "{lines:?}");
    }
}
