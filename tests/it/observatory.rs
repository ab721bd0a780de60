//! The score that Mozilla's HTTP Observatory would give our pages, worked out by its published rules from what a site with
//! an https address really answers. `docs/security.md` states it, and is held to it here.

use std::collections::{BTreeMap, BTreeSet};

use doorward::config::public_url::PublicUrl;
use http::{HeaderMap, HeaderValue};

use crate::promises::document;
use crate::site::instance::Site;
use crate::site::visitors::{Anonymous, Visitor};

/// Each rule with what it gives or takes.
type Points = BTreeMap<&'static str, i32>;

/// From here on what a rule gives counts; below, only what rules take.
const ENOUGH_FOR_EXTRA: i32 = 90;

/// 180 days in seconds: for so long browsers are to remember that a site is asked by https alone.
const HALF_A_YEAR: u64 = 15_552_000;

const BROAD: &[&str] = &["*", "http:", "https:", "ftp:", "http://*", "https://*", "http://*.*", "https://*.*"];
const INLINE: &[&str] = &["'unsafe-inline'", "data:"];

fn value<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).map_or("", |value| value.to_str().expect("ASCII"))
}

fn of_policy(policy: &str) -> i32 {
    let mut directives: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for directive in policy.split(';') {
        let mut words = directive.split_ascii_whitespace();
        if let Some(name) = words.next() {
            directives.entry(name).or_insert_with(|| words.collect());
        }
    }
    if directives.is_empty() {
        return -25;
    }
    let anything = BTreeSet::from(["*"]);
    let sources = |name: &str| directives.get(name).or_else(|| directives.get("default-src")).unwrap_or(&anything);
    let holds = |name: &str, words: &[&str]| words.iter().any(|word| sources(name).contains(word));
    let is_plain = |source: &str| source.starts_with("http:") || source.starts_with("ftp:");
    let loads_plainly = |is_passive: bool| {
        let of = directives.iter().filter(|(name, _)| matches!(**name, "img-src" | "media-src") == is_passive);
        of.flat_map(|(_, sources)| sources).any(|source| is_plain(source))
    };
    let is_inline = |name: &str| holds(name, BROAD) || holds(name, INLINE);
    if is_inline("script-src") || holds("object-src", BROAD) || loads_plainly(false) {
        -20
    } else if holds("script-src", &["'unsafe-eval'"]) || holds("style-src", &["'unsafe-eval'"]) || loads_plainly(true) {
        -10
    } else if is_inline("style-src") {
        0
    } else if directives.get("default-src").is_some_and(|sources| *sources == BTreeSet::from(["'none'"])) {
        10
    } else {
        5
    }
}

/// The worst of all cookies counts. Each is judged as one that holds a session, more strictly than by its name.
fn of_cookies(cookies: &[String]) -> i32 {
    let of_cookie = |cookie: &String| {
        let attributes: Vec<String> = cookie.split(';').skip(1).map(|word| word.trim().to_ascii_lowercase()).collect();
        let has = |word: &str| attributes.iter().any(|attribute| attribute == word);
        let same_site = attributes.iter().find_map(|attribute| attribute.strip_prefix("samesite="));
        match same_site {
            _ if !has("secure") => -40,
            _ if !has("httponly") => -30,
            None => 0,
            Some("lax" | "strict") => 5,
            Some(_) => -20,
        }
    };
    cookies.iter().map(of_cookie).min().unwrap_or(0)
}

fn of_transport(header: &str) -> i32 {
    let words = header.split(';').map(|word| word.trim().to_ascii_lowercase());
    let age = words.filter_map(|word| word.strip_prefix("max-age=")?.parse::<u64>().ok()).next();
    match age {
        Some(age) if age >= HALF_A_YEAR => 0,
        Some(_) => -10,
        None => -20,
    }
}

/// What each rule gives or takes. A redirection from plain http is whose port 80 it is: Doorward has none, and a proxy in
/// front has to send people on, which costs and gives nothing.
fn points(headers: &HeaderMap, body: &str, cookies: &[String]) -> Points {
    let either = |name: &str, good: &[&str], (yes, none, no): (i32, i32, i32)| match value(headers, name) {
        "" => none,
        found if good.contains(&found) => yes,
        _ => no,
    };
    let policy = value(headers, "content-security-policy");
    let private = ["no-referrer", "same-origin", "strict-origin", "strict-origin-when-cross-origin"];
    let frames = either("x-frame-options", &["DENY", "SAMEORIGIN"], (5, -20, -20));
    // Whatever script there is would be of a page's own origin and without a hash, for which nothing is given.
    assert!(!body.contains("<script"), "a script: the rule on its integrity has to be worked out too");
    Points::from([
        ("content-security-policy", of_policy(policy)),
        ("cookies", of_cookies(cookies)),
        (
            "cross-origin-embedder-policy",
            either("cross-origin-embedder-policy", &["require-corp", "credentialless"], (10, 0, -5)),
        ),
        ("cross-origin-opener-policy", either("cross-origin-opener-policy", &["same-origin"], (10, 0, -5))),
        (
            "cross-origin-resource-policy",
            either("cross-origin-resource-policy", &["same-origin", "same-site"], (10, 0, -5)),
        ),
        ("cross-origin-resource-sharing", either("access-control-allow-origin", &[], (0, 0, -50))),
        ("redirection", 0),
        ("referrer-policy", either("referrer-policy", &private, (5, 0, -5))),
        ("strict-transport-security", of_transport(value(headers, "strict-transport-security"))),
        ("subresource-integrity", 0),
        ("x-content-type-options", either("x-content-type-options", &["nosniff"], (0, -5, -5))),
        ("x-frame-options", if policy.contains("frame-ancestors") { 5 } else { frames }),
    ])
}

fn score(points: &Points) -> i32 {
    let without_extra = 100 + points.values().filter(|points| **points < 0).sum::<i32>();
    let score = if without_extra >= ENOUGH_FOR_EXTRA { 100 + points.values().sum::<i32>() } else { without_extra };
    score.max(0)
}

#[tokio::test]
async fn the_documented_score_is_the_one_that_our_pages_get() {
    let mut port = 0;
    let site = Site::start_with(|config| {
        port = config.public_url.port();
        config.public_url = PublicUrl::parse("https://example.test").expect("an address");
    })
    .await;
    // As a proxy that ends TLS asks for a browser.
    let proxy = format!("http://127.0.0.1:{port}");
    let stranger = Anonymous::at(&proxy);
    let browser = Anonymous::at(&proxy);
    let begun = browser.visit("/login").await;
    let callback = site.authorize(&browser, &begun.location(), "ada").await;
    let back = browser.visit(&callback.as_str().replace("https://example.test", &proxy)).await;
    assert_eq!(back.status, 303, "{back:#?}");
    let cookies: Vec<String> =
        [begun.set_cookies(), back.set_cookies()].concat().into_iter().map(ToOwned::to_owned).collect();
    assert!(cookies.iter().any(|cookie| cookie.starts_with("__Host-doorward=")), "{cookies:?}");

    let text = document("security.md");
    for (who, name, path, status, brought) in [
        (&stranger, "the login card", "/", 200, &[][..]),
        (&stranger, "a page that is not there", "/nowhere", 404, &[]),
        (&stranger, "the API's own page", "/api/docs", 200, &[]),
        (&browser, "the profile, with all cookies of a sign-in", "/", 200, &cookies[..]),
        (&browser, "the account, with the same", "/account", 200, &cookies[..]),
    ] {
        let answer = who.visit(path).await;
        assert_eq!(answer.status, status, "{name}: {answer:#?}");
        assert!(answer.header("content-type").starts_with("text/html"), "{name}");
        let points = points(&answer.headers, &answer.body, brought);
        let row = format!("| {name} | **{}** |", score(&points));
        assert!(text.contains(&row), "docs/security.md does not say {row}: {points:?}");
        if who.cookie("__Host-doorward").is_some() {
            for (rule, points) in points {
                let row = text.lines().find(|line| line.starts_with(&format!("| `{rule}` |"))).unwrap_or_default();
                assert!(row.ends_with(&format!("| {points} |")), "{points} points by {rule}, not {row:?}");
            }
        }
    }
}

#[tokio::test]
async fn the_score_falls_with_what_is_missing() {
    let site = Site::start_with(|config| {
        config.public_url = PublicUrl::parse("https://example.test").expect("an address");
    })
    .await;
    let answer = Anonymous::at(&format!("http://127.0.0.1:{}", site.port())).visit("/").await;
    let with = |name: &'static str, value: &'static str| {
        let mut headers = answer.headers.clone();
        headers.remove(name);
        if !value.is_empty() {
            headers.insert(name, HeaderValue::from_static(value));
        }
        score(&points(&headers, &answer.body, &[]))
    };
    let whole = with("server", "");
    assert!(whole > 100, "{whole}");
    assert_eq!(with("content-security-policy", ""), 75, "frames are still kept out by the older header");
    assert_eq!(with("content-security-policy", "default-src 'none'; script-src 'unsafe-inline'"), 80);
    assert_eq!(with("content-security-policy", "default-src 'none'; img-src http://pictures.example"), whole - 20);
    assert_eq!(with("content-security-policy", "default-src 'self'"), whole - 5);
    assert_eq!(with("strict-transport-security", ""), 80);
    assert_eq!(with("strict-transport-security", "max-age=60"), whole - 10);
    assert_eq!(with("access-control-allow-origin", "*"), 50);
    assert_eq!(with("x-content-type-options", ""), whole - 5);
    let cookie = |attributes: &str| score(&points(&answer.headers, &answer.body, &[format!("a=b; {attributes}")]));
    assert_eq!(cookie("Secure; HttpOnly; SameSite=Lax"), whole + 5);
    assert_eq!(cookie("HttpOnly; SameSite=Lax"), 60);
    assert_eq!(cookie("Secure; SameSite=Lax"), 70);
    assert_eq!(cookie("Secure; HttpOnly; SameSite=None"), 80);
}
