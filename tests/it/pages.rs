//! Every page with every sample: well formed, escaped, at home under any path, and with nothing that the policy of the
//! pages would refuse.

use std::collections::BTreeSet;

use doorward::config::pages as config;
use doorward::pages::assets::Assets;
use doorward::pages::initials::initials;
use doorward::pages::{DocsPage, LoginPage, Pages, ProfilePage, samples};

use crate::markup::{Element, elements, text_of};

fn pages() -> Pages {
    Pages::new(&config::Pages::default(), "")
}

fn all_samples() -> Vec<(String, String)> {
    let render = |(name, html): samples::Sample| {
        let html = html.unwrap_or_else(|error| panic!("{name}: {error}: {:?}", error.source));
        (name, html)
    };
    samples::all(&pages()).into_iter().map(render).collect()
}

fn profile(name: &str, picture: Option<&str>) -> String {
    let page = ProfilePage { name, email: "ada@example.com", picture, logout_url: "/logout", account_url: "/account" };
    pages().profile(&page).expect("a page")
}

#[test]
fn every_sample_is_well_formed_html() {
    for (name, html) in all_samples() {
        assert!(html.starts_with("<!doctype html>"), "{name}");
        let elements = elements(&html).unwrap_or_else(|fault| panic!("{name}: {fault}\n{html}"));
        for once in ["html", "head", "title", "body", "main", "h1"] {
            assert_eq!(elements.iter().filter(|element| element.name == once).count(), 1, "<{once}> in {name}");
        }
        let ids: Vec<_> = elements.iter().filter_map(|element| element.attribute("id")).collect();
        assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len(), "an id stands twice in {name}");
    }
}

#[test]
fn every_page_says_where_one_is() {
    for (name, html) in all_samples() {
        let title = html.split("<title>").nth(1).and_then(|rest| rest.split("</title>").next()).expect("a title");
        let (place, site) = title.rsplit_once(" · ").unwrap_or_else(|| panic!("{name}: {title}"));
        assert!(!place.trim().is_empty() && site == "Doorward", "{name}: {title}");
    }
    let login = LoginPage { login_url: "/login", provider_label: "Google", is_google: true, notice: None };
    let html = pages().login(&login).expect("a page");
    assert!(html.contains("<title>Login to continue · Doorward</title>"), "{html}");
}

#[test]
fn every_page_is_ready_for_phones_the_dark_and_search_engines() {
    for (name, html) in all_samples() {
        let elements = elements(&html).expect("well formed");
        let meta = |wanted: &str| {
            let found = elements.iter().find(|element| element.attribute("name") == Some(wanted));
            found.and_then(|element| element.attribute("content")).unwrap_or_else(|| panic!("no {wanted} in {name}"))
        };
        assert_eq!(meta("viewport"), "width=device-width, initial-scale=1");
        assert_eq!(meta("color-scheme"), "light dark");
        assert_eq!(meta("robots"), "noindex");
        let html = elements.iter().find(|element| element.name == "html").expect("<html>");
        assert_eq!(html.attribute("lang"), Some("en"));
    }
}

#[test]
fn no_page_carries_script_or_style_or_loads_from_elsewhere() {
    const PICTURE: &str = "https://lh3.googleusercontent.com/";
    for (name, html) in all_samples() {
        for element in elements(&html).expect("well formed") {
            assert!(!matches!(element.name.as_str(), "script" | "style" | "iframe" | "object" | "base"), "{name}");
            for (attribute, value) in &element.attributes {
                assert!(attribute != "style" && !attribute.starts_with("on"), "{attribute} in {name}");
                let is_loaded = attribute == "src" || (attribute == "href" && element.name == "link");
                if is_loaded {
                    let is_ours = value.starts_with('/') && !value.starts_with("//");
                    let is_picture = element.name == "img" && value.starts_with(PICTURE);
                    assert!(is_ours || is_picture, "{name} loads {value}");
                }
                if attribute == "action" {
                    let is_ours = matches!(value.as_str(), "/logout" | "/device") || value.starts_with("/account/");
                    assert!(is_ours && element.attribute("method") == Some("post"), "{name} sends a form to {value}");
                }
            }
        }
    }
}

#[test]
fn whatever_a_name_holds_is_shown_and_not_obeyed() {
    for (case, name) in samples::NAMES {
        let html = profile(name, None);
        assert!(!html.contains("<script"), "{case}: {html}");
        let heading = html.split("<h1").nth(1).and_then(|rest| rest.split("</h1>").next()).expect("a heading");
        let (attributes, shown) = heading.split_once('>').expect("an end of the tag");
        assert!(attributes.contains("dir=\"auto\""), "{case}: {attributes}");
        assert_eq!(text_of(shown), *name, "{case}");
    }
}

#[test]
fn what_is_in_quotes_cannot_get_out_of_them() {
    let hostile = "/login?a=\"><img src=x onerror='alert(1)'>&b=<";
    let login = LoginPage { login_url: hostile, provider_label: hostile, is_google: false, notice: Some(hostile) };
    let html = pages().login(&login).expect("a page");
    let elements = elements(&html).expect("well formed");
    assert!(elements.iter().any(|element| element.attribute("href") == Some(hostile)), "{html}");
    assert!(elements.iter().all(|element| element.attribute("onerror").is_none()), "{html}");
}

#[test]
fn a_picture_lies_over_the_initials_and_tells_nobody_where_it_is_shown() {
    let html = profile("Ada Lovelace", Some("https://lh3.googleusercontent.com/a/b=s96-c?x=1&y=2"));
    let elements = elements(&html).expect("well formed");
    let is_picture = |element: &&Element| element.attribute("src").is_some_and(|src| src.contains("googleusercontent"));
    let picture = elements.iter().find(is_picture).expect("the picture");
    assert_eq!(picture.attribute("src"), Some("https://lh3.googleusercontent.com/a/b=s96-c?x=1&y=2"));
    assert_eq!(picture.attribute("referrerpolicy"), Some("no-referrer"));
    assert_eq!(picture.attribute("alt"), Some(""));
    assert!(html.contains(">AL</span>"), "{html}");
}

#[test]
fn a_picture_that_is_no_web_address_becomes_initials() {
    for picture in ["javascript:alert(1)", "data:image/svg+xml,x", "//evil.example/x.png", "x.png", ""] {
        let html = profile("Ada Lovelace", Some(picture));
        let elements = elements(&html).expect("well formed");
        let pictures = elements.iter().filter(|element| element.attribute("referrerpolicy").is_some());
        assert_eq!(pictures.count(), 0, "{picture}");
        assert!(html.contains(">AL</span>"), "{html}");
    }
}

#[test]
fn initials_suit_the_names_of_the_world() {
    for (name, email, expected) in [
        ("Ada Lovelace", "", "AL"),
        ("ada king lovelace", "", "AL"),
        ("Plato", "", "P"),
        ("李小龍", "", "李"),
        ("مريم الأسطرلابي", "", "م"),
        ("Иван Петров", "", "ИП"),
        ("E\u{301}milie du Châtelet", "", "ÉC"),
        ("हिमालय शर्मा", "", "हिश"),
        ("🦊 Ada 🇬🇧 Lovelace 🚀", "", "AL"),
        ("👨‍👩‍👧‍👦", "zoë@example.com", "Z"),
        ("<b>", "", "B"),
        ("ßeta", "", "S"),
        ("42", "", "4"),
        ("\u{202e}\u{200b} !", "", "?"),
        ("", "", "?"),
    ] {
        assert_eq!(initials(name, email), expected, "{name:?} {email:?}");
    }
    let stacked = format!("A{}", "\u{0316}".repeat(500));
    assert!(initials(&stacked, "").chars().count() <= 4);
}

#[test]
fn everything_of_ours_lies_below_the_path_of_the_site() {
    let pages = Pages::new(&config::Pages { title: "Tea & <Cakes>".to_owned(), ..config::Pages::default() }, "/auth");
    let login = LoginPage { login_url: "/auth/login", provider_label: "Google", is_google: true, notice: None };
    let html = pages.login(&login).expect("a page");
    assert!(html.contains("· Tea &amp; &lt;Cakes&gt;</title>"), "{html}");
    for element in elements(&html).expect("well formed") {
        for attribute in ["href", "src"] {
            let url = element.attribute(attribute).unwrap_or("/auth/");
            assert!(url.starts_with("/auth/"), "{url}");
        }
    }
}

#[test]
fn googles_button_is_googles_own() {
    let login = LoginPage { login_url: "/login?rd=%2F", provider_label: "Google", is_google: true, notice: None };
    let html = pages().login(&login).expect("a page");
    for colour in ["#EA4335", "#4285F4", "#FBBC05", "#34A853"] {
        assert_eq!(html.matches(colour).count(), 1, "{colour}");
    }
    let button = html.split("class=\"google-button\"").nth(1).and_then(|rest| rest.split("</a>").next());
    assert_eq!(text_of(button.expect("the button").split_once('>').expect("a tag").1).trim(), "Sign in with Google");
    let css = style();
    for rule in [
        "color:#1f1f1f;min-height:44px;font:500 14px/20px",
        "background-color:#fff;border:1px solid #747775;border-radius:4px",
        "gap:10px;padding:0 12px",
        "@media (prefers-color-scheme:dark){.google-button{color:#e3e3e3;background-color:#131314;border-color:#8e918f}",
    ] {
        assert!(css.contains(rule), "{rule} is not in the style sheet");
    }
    let other = LoginPage { is_google: false, provider_label: "Keycloak", ..login };
    let html = pages().login(&other).expect("a page");
    assert!(html.contains("Sign in with <bdi>Keycloak</bdi>") && !html.contains("google"), "{html}");
}

#[test]
fn the_style_sheet_knows_every_class_that_a_page_names() {
    // `group` only marks an element for others to refer to.
    let mut missing = BTreeSet::new();
    let css = style();
    for (_, html) in all_samples() {
        for element in elements(&html).expect("well formed") {
            let classes = element.attribute("class").unwrap_or_default().to_owned();
            for class in classes.split_whitespace().filter(|class| *class != "group") {
                if !has_class(&css, class) {
                    missing.insert(class.to_owned());
                }
            }
        }
    }
    assert!(missing.is_empty(), "run assets/build: {missing:?}");
    assert!(
        has_class(&css, "google-button") && !has_class(&css, "google"),
        "this test sees classes that are not there"
    );
}

#[test]
fn the_style_sheet_loads_nothing() {
    let css = style();
    assert!(!css.contains("url(") && !css.contains("@import"), "{css}");
}

#[test]
fn an_asset_is_found_by_its_name_and_kept_for_ever_by_its_hash() {
    for name in Assets::names() {
        let path = Assets::path(&name).expect("a path");
        let hashed = path.strip_prefix("/assets/").expect("below /assets/");
        let (by_hash, by_name) = (Assets::file(hashed).expect("by hash"), Assets::file(&name).expect("by name"));
        assert!(by_hash.immutable && !by_name.immutable, "{name}");
        assert_eq!((by_hash.bytes, by_hash.mime), (by_name.bytes, by_name.mime));
        assert_ne!(by_hash.mime, "application/octet-stream", "{name}");
        let other_hash = hashed.replacen(|c: char| c.is_ascii_hexdigit(), "x", hashed.len());
        assert_eq!(Assets::file(&other_hash), None, "{other_hash}");
    }
    let old = "app.0000000000000000.css";
    for absent in [old, "app.css.", "../style.css", "/app.css", "app", "", "pages/login.html", "..%2fstyle.css"] {
        assert_eq!(Assets::file(absent), None, "{absent}");
    }
    assert_eq!(Assets::path("nothing.css"), None);
    for needed in ["app.css", "favicon.ico", "favicon.svg", "logo.svg"] {
        assert!(Assets::file(needed).is_some(), "{needed}");
    }
}

#[test]
fn the_api_is_shown_with_its_fields_examples_and_a_line_to_type() {
    let document = samples::openapi();
    let page = DocsPage {
        openapi: &document,
        openapi_url: "/auth/api/openapi.json",
        server_url: "https://example.com/auth/api",
    };
    let html = pages().docs(&page).expect("a page");
    let text = text_of(&html);
    for expected in [
        "Doorward API",
        "by the visitor's cookie",
        "/auth/api/me",
        "Who is asking",
        "An outage is 503, <b>never</b> 401.",
        "Cookie: __Host-doorward=…",
        "Authorization: Bearer dw_pat_…",
        "Asks for Session or Token.",
        "The provider's sub.",
        "string or null · optional",
        "session | token",
        "sessions[].address",
        "\"created_at\": \"2026-11-21T09:00:00Z\"",
        "WWW-Authenticate",
        "application/problem+json",
        "curl -H 'Authorization: Bearer dw_pat_…' \\\n  'https://example.com/auth/api/me'",
        "curl -X DELETE \\\n  'https://example.com/auth/api/tokens/{id}'",
        // A quote in an example must not end the shell's.
        "\"name\":\"Ada'\\''s laptop\"",
    ] {
        assert!(text.contains(expected), "no {expected:?} in\n{text}");
    }
    let elements = elements(&html).expect("well formed");
    let anchors = elements.iter().filter_map(|element| element.attribute("href")?.strip_prefix('#'));
    for anchor in anchors {
        assert!(elements.iter().any(|element| element.attribute("id") == Some(anchor)), "nothing is called {anchor}");
    }
}

fn style() -> String {
    String::from_utf8(Assets::file("app.css").expect("the style sheet").bytes.to_vec()).expect("UTF-8")
}

/// Whether `css` has a selector for exactly this class.
fn has_class(css: &str, class: &str) -> bool {
    let mut selector = ".".to_owned();
    for character in class.chars() {
        if !character.is_ascii_alphanumeric() && !matches!(character, '-' | '_') {
            selector.push('\\');
        }
        selector.push(character);
    }
    css.match_indices(&selector).any(|(at, _)| {
        let next = css[at + selector.len()..].chars().next().unwrap_or(' ');
        !next.is_ascii_alphanumeric() && !matches!(next, '-' | '_' | '\\')
    })
}
