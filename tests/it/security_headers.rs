//! The headers that every answer carries, letter for letter.

use doorward::config::Config;
use doorward::config::provider::{self, Provider};
use doorward::config::public_url::PublicUrl;
use doorward::web::guard::security_headers::SecurityHeaders;
use http::{HeaderMap, HeaderValue};
use reqwest::Method;

use crate::site::instance::Site;
use crate::site::visitors::{SAME_ORIGIN, SCRIPT, TYPED, Visitor};

fn headers(public_url: &str, provider: Provider) -> HeaderMap {
    let public_url = PublicUrl::parse(public_url).expect("an address");
    let config = Config { public_url, provider: Some(provider), ..Config::default() };
    let mut headers = HeaderMap::new();
    SecurityHeaders::new(&config).add_to(&mut headers);
    headers
}

fn value<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).map_or("", |value| value.to_str().expect("ASCII"))
}

#[test]
fn a_page_may_load_our_own_style_and_the_providers_pictures_and_nothing_else() {
    let headers = headers("https://example.com", provider::google());
    assert_eq!(
        value(&headers, "content-security-policy"),
        "default-src 'none'; style-src 'self'; img-src 'self' https://lh3.googleusercontent.com \
         https://lh4.googleusercontent.com https://lh5.googleusercontent.com https://lh6.googleusercontent.com; \
         form-action 'self'; base-uri 'none'; object-src 'none'; frame-ancestors 'none'; \
         require-trusted-types-for 'script'; upgrade-insecure-requests"
    );
    for (name, wanted) in [
        ("strict-transport-security", "max-age=63072000"),
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
        ("referrer-policy", "same-origin"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
        ("cross-origin-embedder-policy", "credentialless"),
        ("permissions-policy", "camera=(), microphone=(), geolocation=(), payment=(), usb=()"),
        ("cache-control", "no-store"),
        ("vary", "Cookie, Authorization"),
    ] {
        assert_eq!(value(&headers, name), wanted, "{name}");
    }
}

#[test]
fn nothing_on_this_machine_is_bound_to_tls() {
    for public_url in ["http://localhost:3000", "https://localhost:3000", "https://127.0.0.1"] {
        let headers = headers(public_url, provider::google());
        assert_eq!(value(&headers, "strict-transport-security"), "", "{public_url}: all ports would follow");
        assert!(!value(&headers, "content-security-policy").contains("upgrade-insecure"), "{public_url}");
    }
}

#[test]
fn pictures_come_over_plain_http_from_a_provider_on_this_machine_alone() {
    let demo = Provider {
        issuer: "http://127.0.0.1:4000".to_owned(),
        picture_hosts: vec!["127.0.0.1".to_owned()],
        ..provider::other("demo")
    };
    let headers = headers("http://localhost:3000", demo);
    assert!(value(&headers, "content-security-policy").contains("img-src 'self' http://127.0.0.1:*;"), "{headers:?}");
}

#[test]
fn what_may_be_kept_is_not_said_to_depend_on_the_visitor() {
    let mut headers = HeaderMap::new();
    headers.insert("cache-control", HeaderValue::from_static("public, max-age=31536000, immutable"));
    SecurityHeaders::new(&Config::default()).add_to(&mut headers);
    assert_eq!(value(&headers, "cache-control"), "public, max-age=31536000, immutable");
    assert_eq!(value(&headers, "vary"), "");
}

#[tokio::test]
async fn errors_and_redirects_carry_them_too_and_repeat_nothing_of_the_request() {
    let site = Site::start().await;
    let nobody = site.anonymous();
    let payload = "%3Cscript%3Ealert(1)%3C/script%3E";
    let long = format!("/{}", "a".repeat(9000));
    type Knock<'a> = (Method, String, &'a [(&'a str, &'a str)], u16);
    let knocks: &[Knock<'_>] = &[
        (Method::GET, format!("/nowhere/{payload}?q={payload}"), TYPED, 404),
        (Method::GET, format!("/login/callback?code={payload}&state={payload}"), TYPED, 400),
        (Method::GET, format!("/login/callback?error={payload}&error_description={payload}&state=s"), TYPED, 400),
        (Method::GET, format!("/login/callback?state=a&state={payload}"), TYPED, 400),
        (Method::GET, format!("/assets/{payload}"), TYPED, 404),
        (Method::GET, "/assets/%ff%fe".to_owned(), TYPED, 400),
        (Method::GET, format!("/login?rd={payload}"), SCRIPT, 401),
        (Method::DELETE, format!("/?{payload}"), SAME_ORIGIN, 405),
        (Method::POST, format!("/logout?{payload}"), &[("origin", "https://evil.example")], 403),
        (Method::GET, long, TYPED, 414),
        (Method::GET, "/login".to_owned(), TYPED, 303),
        (Method::GET, "/logout".to_owned(), TYPED, 303),
    ];
    for (method, path, headers, status) in knocks {
        let answer = nobody.ask(method.clone(), path, headers).await;
        assert_eq!(answer.status, *status, "{method} {path:.80}: {answer:#?}");
        assert!(answer.header("content-security-policy").starts_with("default-src 'none'"), "{method} {path:.80}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{method} {path:.80}");
        assert_eq!(answer.header("cache-control"), "no-store", "{method} {path:.80}");
        assert_eq!(answer.header("x-request-id").len(), 16, "{method} {path:.80}");
        for word in ["alert(1)", "evil.example", "aaaaaaaaaa"] {
            assert!(!answer.body.contains(word), "{method} {path:.80} repeats {word}: {}", answer.body);
        }
    }
}

#[tokio::test]
async fn files_are_kept_for_good_and_nothing_leads_out_of_them() {
    let site = Site::start().await;
    let nobody = site.anonymous();
    let page = nobody.visit("/").await.body;
    let style = page.split("href=\"").find(|link| link.starts_with("/assets/") && link.contains(".css"));
    let style = style.and_then(|link| link.split('"').next()).expect("a style sheet");
    let answer = nobody.get(style).await;
    assert_eq!((answer.status, answer.header("content-type")), (200, "text/css; charset=utf-8"));
    assert_eq!(answer.header("cache-control"), "public, max-age=31536000, immutable");
    assert_eq!(answer.header("vary"), "");
    for path in [
        "/assets/",
        "/assets",
        "/assets/..%2f..%2fCargo.toml",
        "/assets/%2e%2e%2fCargo.toml",
        "/assets/..%5c..%5cCargo.toml",
        "/assets//etc/passwd",
        "/assets/%2fetc%2fpasswd",
        "/assets/app.0000000000000000.css",
        "/assets/app.css%00",
    ] {
        let status = nobody.get(path).await.status;
        assert!(matches!(status, 400 | 404), "{path}: {status}");
    }
}
