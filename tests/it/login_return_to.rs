//! Where a browser may be sent back to: whatever comes in, what goes out is read as a browser would read it.

use doorward::config::apps::{Apps, MAX_LENGTH};
use doorward::config::public_url::PublicUrl;
use doorward::login::return_to::{ReturnRules, ReturnTo};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use url::Url;

const PUBLIC: &str = "https://app.test";

fn rules(public_url: &str) -> ReturnRules {
    let origins = ["https://sibling.test", "http://localhost:8000", "https://other.test:8443"];
    let origins = origins.iter().map(|origin| Url::parse(origin).expect("an origin")).collect();
    let public_url = PublicUrl::parse(public_url).expect("an address");
    ReturnRules::new(&public_url, &Apps { origins, ..Apps::default() })
}

fn parsed(text: &str) -> Option<String> {
    ReturnTo::parse(text, &rules(PUBLIC)).map(|address| address.as_str().to_owned())
}

/// RED-01, RED-03: whatever was made of `text`, a browser on any page of ours ends at an allowed origin, and a header
/// holds it.
fn ends_where_it_may(text: &str) {
    let Some(address) = parsed(text) else { return };
    assert!(address.bytes().all(|byte| (0x21..=0x7e).contains(&byte)), "{text:?} became {address:?}");
    assert!(address.len() <= MAX_LENGTH, "{text:?} became longer than {MAX_LENGTH}");
    for page in ["/", "/login/callback?code=x", "/a/b/c"] {
        let base = Url::parse(PUBLIC).and_then(|base| base.join(page)).expect("a page of ours");
        let target = base.join(&address).expect("an address that a browser can read");
        let origin = target.origin().ascii_serialization();
        let allowed = [PUBLIC, "https://sibling.test", "http://localhost:8000", "https://other.test:8443"];
        assert!(allowed.contains(&origin.as_str()), "{text:?} became {address:?}, which leads to {origin}");
        assert!(target.username().is_empty() && target.password().is_none(), "{text:?} became {address:?}");
    }
    // What a careless proxy makes of it by decoding once must not lead away either.
    let decoded = percent_encoding::percent_decode_str(&address).decode_utf8_lossy().into_owned();
    assert!(!decoded.starts_with("//") && !decoded.starts_with("/\\"), "{text:?} became {address:?}");
}

/// Tricks that sent people astray elsewhere; each must be refused outright.
const REFUSED: &[&str] = &[
    "",
    " ",
    "   /x",
    "//evil.test",
    "///evil.test",
    "////evil.test/%2e%2e",
    "/\\evil.test",
    "/x\\y",
    "/x?y=\\z",
    "\\\\evil.test",
    "/\\/evil.test",
    "\\/evil.test",
    "/\\\\evil.test",
    "/.//evil.test",
    "/./\\evil.test",
    "/x/..//evil.test",
    "/..//evil.test",
    "/%2e//evil.test",
    "/%2e%2e//evil.test",
    "/\t/evil.test",
    "/\n/evil.test",
    "/\r/evil.test",
    "/\u{b}/evil.test",
    "/ /evil.test",
    "/\u{a0}/evil.test",
    "/\u{2028}/evil.test",
    "/\u{3000}/evil.test",
    "\t//evil.test",
    "\n/x",
    "/x\r\nLocation: //evil.test",
    "/x\0",
    "/%00x",
    "/%0d%0aLocation:%20//evil.test",
    "/%0a/evil.test",
    "/%09/evil.test",
    "/%5cevil.test",
    "/%2fevil.test",
    "/%2f%2fevil.test",
    "/%2F%5Cevil.test",
    "/x/..%2f/evil.test",
    "/.%2f/evil.test",
    "https:evil.test",
    "https:/evil.test",
    "https:///evil.test",
    "https:///app.test",
    "https:app.test",
    "https:\\\\app.test",
    "http:\\\\evil.test",
    "hTTps://evil.test",
    "https://evil.test",
    "https://app.test@evil.test",
    "https://app.test%40evil.test",
    "https://evil.test\\@app.test",
    "https://evil.test#@app.test",
    "https://evil.test?app.test",
    "https://user@app.test",
    "https://@app.test",
    "https://:@app.test",
    "https://user:pw@sibling.test/",
    "https://app.test.evil.test",
    "https://evilapp.test",
    "https://sub.app.test",
    "https://app.test:443@evil.test",
    "https://app.test:99999",
    "https://app.test:8443/",
    "http://app.test/",
    "https://other.test/",
    "http://other.test:8443/",
    "https://localhost:8000/",
    "http://localhost:8001/",
    "http://127.0.0.1:8000/",
    "https://[::ffff:1.2.3.4]",
    "https://0x7f.1/",
    "https://2130706433/",
    "https://0177.0.0.1/",
    "https://evil%E3%80%82test",
    "https://xn--pp-1ia.test/",
    "https://\u{430}pp.test/",
    "javascript:alert(1)",
    "java%0d%0ascript:alert(1)",
    "javascript://app.test/%0aalert(1)",
    "data:text/html,x",
    "vbscript:x",
    "blob:https://app.test/x",
    "file:///etc/passwd",
    "ftp://app.test/",
    "ws://app.test/",
    "//%00evil.test",
    "%00//evil.test",
    "?rd=//evil.test",
    "#//evil.test",
    "./evil",
    "../evil",
    "evil.test/path",
    "reports",
    "/login",
    "/login/",
    "/login?rd=/login",
    "/login/callback?code=x",
    "/logout",
    "/logout?x",
    "/api",
    "/api/me",
    "/api/docs",
    "/LOGIN",
    "/%6cogin",
    "/x/../login",
    "/login;x",
    "/./logout",
    "https://app.test/login",
    "https://app.test//evil.test",
    "https://app.test/\\evil.test",
];

#[test]
fn tricks_are_refused() {
    for text in REFUSED {
        assert_eq!(parsed(text), None, "{text:?}");
    }
    assert_eq!(parsed(&format!("/{}", "a".repeat(MAX_LENGTH))), None, "too long");
    assert_eq!(parsed(&format!("/{}", "ü".repeat(1000))), None, "too long once it is encoded");
}

/// RED-05: what is honest survives unchanged, or in the form that means the same.
#[test]
fn honest_addresses_survive() {
    let same = [
        "/",
        "/reports",
        "/reports/2026?q=1&q=2#top",
        "/x?y=https%3A%2F%2Fevil.test%2F",
        "/x?y=//evil.test",
        "/x?text=a%5Cb%0A",
        "/a//b",
        "/p%C3%A4th?q=%C3%BC",
        "/x?y=%",
        "/%",
        "/%zz",
        "/a;b=c/d",
        "/loginfoo",
        "/apidoc",
        "/x/login",
        "/@user",
        "/%252f%252fx",
        "http://localhost:8000/x?y=z#f",
        "https://sibling.test/",
        "https://other.test:8443/a//b",
        "https://sibling.test/login",
        "/~ada/'()*!$&+,=:",
    ];
    for text in same {
        assert_eq!(parsed(text).as_deref(), Some(text));
    }
    let rewritten = [
        ("https://app.test/reports?q#f", "/reports?q#f"),
        ("https://APP.test:443/x", "/x"),
        ("https://app.test", "/"),
        ("HTTPS://SIBLING.test/X", "https://sibling.test/X"),
        ("/a/../b/./c", "/b/c"),
        ("/päth?q=ü", "/p%C3%A4th?q=%C3%BC"),
        ("/x\"<>", "/x%22%3C%3E"),
        ("/。evil。test", "/%E3%80%82evil%E3%80%82test"),
    ];
    for (text, address) in rewritten {
        assert_eq!(parsed(text).as_deref(), Some(address), "{text}");
    }
    let longest = format!("/{}", "a".repeat(MAX_LENGTH - 1));
    assert_eq!(parsed(&longest), Some(longest));
    assert!(ReturnTo::parse("https://sibling.test/", &rules(PUBLIC)).is_some_and(|address| address.is_elsewhere()));
    assert!(ReturnTo::parse("/x", &rules(PUBLIC)).is_some_and(|address| !address.is_elsewhere()));
}

/// Under a path of its own the site's program keeps `/`, and only our doors under that path are no way to end.
#[test]
fn doors_are_those_under_the_path_of_the_public_url() {
    let rules = rules("https://app.test/auth");
    for (text, is_safe) in [
        ("/", true),
        ("/login", true),
        ("/api/me", true),
        ("/auth", true),
        ("/auth/", true),
        ("/author/login", true),
        ("/auth/login", false),
        ("/auth/login/callback", false),
        ("/auth/logout", false),
        ("/auth/api/me", false),
        ("/auth%2flogin", false),
        ("/x/../auth/login", false),
        ("/auth/reports", true),
    ] {
        assert_eq!(ReturnTo::parse(text, &rules).is_some(), is_safe, "{text}");
    }
}

/// RED-01: every trick, encoded once and twice, with the public host before and behind it.
#[test]
fn no_disguise_leads_away() {
    for text in REFUSED {
        let encode = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        let once = encode(text);
        let twice = encode(&once);
        for disguise in [text, once.as_str(), twice.as_str()] {
            for prefix in
                ["", "/", "//", "/x/..", "/.", PUBLIC, "https://sibling.test", "/app.test", "\u{feff}", "%20", "/;"]
            {
                for suffix in ["", "/", "?app.test", "#app.test", "@app.test", ".app.test", "/../..", "%2f.."] {
                    ends_where_it_may(&format!("{prefix}{disguise}{suffix}"));
                }
            }
        }
    }
}

/// RED-02: combinations of everything that URL readers disagree about.
#[test]
fn mutations_do_not_lead_away() {
    const PIECES: &[&str] = &[
        "/",
        "//",
        "\\",
        "/\\",
        ".",
        "..",
        "%2e",
        "%2f",
        "%5c",
        "%252f",
        "@",
        ":",
        "?",
        "#",
        ";",
        "evil.test",
        "app.test",
        "https:",
        "http:",
        "HTTPS://",
        "localhost:8000",
        "\t",
        "\n",
        "\r",
        " ",
        "\0",
        "%00",
        "%0a",
        "\u{ff0f}",
        "\u{3002}",
        "\u{2024}",
        "\u{200b}",
        "[::1]",
        "%",
        "a",
        "443",
    ];
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % below as u64) as usize
    };
    let mut accepted = 0;
    for _ in 0..100_000 {
        let mut text = String::new();
        for _ in 0..=next(7) {
            text.push_str(PIECES[next(PIECES.len())]);
        }
        let text = if next(2) == 0 { format!("/{text}") } else { text };
        accepted += usize::from(parsed(&text).is_some());
        ends_where_it_may(&text);
    }
    assert!(accepted > 1000, "only {accepted} were accepted: this proves nothing");
}
