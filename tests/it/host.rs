//! Under which host pages are shown.

use doorward::config::public_url::PublicUrl;
use doorward::web::guard::host::{Between, is_elsewhere};
use http::{HeaderMap, HeaderName, HeaderValue};
use reqwest::Method;

use crate::site::instance::Site;
use crate::site::visitors::{TYPED, Visitor};

fn asks(lines: &[(&'static str, &'static str)], public_url: &str, between: Between) -> bool {
    let headers = lines.iter().fold(HeaderMap::new(), |mut headers, (name, value)| {
        headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        headers
    });
    is_elsewhere(&headers, None, &PublicUrl::parse(public_url).expect("an address"), between)
}

#[test]
fn the_right_host_is_known_however_it_is_written() {
    for (host, public_url) in [
        ("localhost:3000", "http://localhost:3000"),
        ("LOCALHOST:3000", "http://localhost:3000"),
        ("example.com", "https://example.com/auth"),
        ("example.com:443", "https://example.com"),
        ("Example.COM", "https://example.com"),
        ("localhost", "http://localhost"),
        ("localhost:80", "http://localhost"),
        ("[::1]:3000", "http://[::1]:3000"),
    ] {
        assert!(!asks(&[("host", host)], public_url, Between::Nobody), "{host} is {public_url}");
    }
    assert!(!asks(&[], "https://example.com", Between::Nobody), "whoever names no host is let be");
}

#[test]
fn another_host_is_elsewhere() {
    for (host, public_url) in [
        ("www.example.com", "https://example.com"),
        ("example.com:8443", "https://example.com"),
        ("example.com.evil.example", "https://example.com"),
        ("example.com@evil.example", "https://example.com"),
        ("evil.example", "https://example.com"),
        ("not a.host", "https://example.com"),
    ] {
        for between in [Between::Nobody, Between::Proxy, Between::TlsProxy] {
            assert!(asks(&[("host", host)], public_url, between), "{host} is not {public_url}, {between:?}");
        }
    }
    for host in ["127.0.0.1:3000", "localhost:3001"] {
        assert!(asks(&[("host", host)], "http://localhost:3000", Between::Proxy), "{host}");
    }
    assert!(asks(&[("host", "localhost")], "http://localhost:3000", Between::Nobody), "here nobody left the port out");
}

#[test]
fn a_proxy_says_what_the_browser_asked_for() {
    let through = |host| [("host", "backend:3000"), ("x-forwarded-host", host)];
    for between in [Between::Proxy, Between::TlsProxy] {
        for host in ["example.com", "example.com:443", "example.com, backend", "EXAMPLE.com"] {
            assert!(!asks(&through(host), "https://example.com", between), "{host}, {between:?}");
        }
        assert!(asks(&through("www.example.com"), "https://example.com", between));
    }
    // Somebody on this machine may write there what they like: it does not send them in circles.
    let hostile = [("host", "localhost:3000"), ("x-forwarded-host", "evil.example")];
    assert!(!asks(&hostile, "http://localhost:3000", Between::Proxy));
    let lies = [("host", "www.example.com"), ("x-forwarded-host", "example.com")];
    assert!(asks(&lies, "https://example.com", Between::Nobody), "whoever is no proxy is not believed");
}

#[test]
fn a_proxy_that_shows_its_own_name_for_us_sends_nobody_in_circles() {
    for host in ["127.0.0.1:3000", "localhost:3000", "[::1]:3000", "::1", "doorward", "doorward:3000", "10.0.0.7"] {
        assert!(!asks(&[("host", host)], "https://example.com", Between::TlsProxy), "{host}");
        assert!(asks(&[("host", host)], "https://example.com", Between::Nobody), "{host}");
    }
    assert!(asks(&[("host", "127.0.0.1:3000")], "http://localhost:3000", Between::Proxy), "here nobody is between");
    // What nginx calls $host has no port.
    for (host, public_url) in [("localhost", "http://localhost:8080"), ("example.COM", "https://example.com:8443")] {
        for between in [Between::Proxy, Between::TlsProxy] {
            assert!(!asks(&[("host", host)], public_url, between), "{host} is {public_url}, {between:?}");
        }
    }
}

#[tokio::test]
async fn pages_send_the_browser_to_the_right_host_and_programs_are_answered_under_any() {
    let site = Site::start().await;
    let elsewhere = site.url.replace("localhost", "127.0.0.1");
    for path in ["/", "/login?rd=/reports&x=%2F", "/login/callback?code=c&state=s", "/logout"] {
        let answer = site.anonymous().ask(Method::GET, &format!("{elsewhere}{path}"), TYPED).await;
        assert!(answer.is_redirect(), "{path}: {answer:#?}");
        assert_eq!(answer.header("location"), format!("{}{path}", site.url));
        assert!(answer.set_cookies().is_empty(), "{path}: {answer:#?}");
        assert_eq!(answer.header("cache-control"), "no-store", "{path}: a redirect that is kept outlives its reason");
    }
    for (path, status) in [("/healthz", 200), ("/readyz", 200), ("/api/me", 401), ("/api/docs", 200)] {
        let answer = site.anonymous().ask(Method::GET, &format!("{elsewhere}{path}"), TYPED).await;
        assert_eq!(answer.status, status, "{path}: {answer:#?}");
    }
}

#[tokio::test]
async fn every_door_lies_below_the_path_of_public_url_and_nowhere_else() {
    let site = Site::start_with(|config| {
        let below = format!("{}/auth", config.public_url);
        config.public_url = PublicUrl::parse(&below).expect("an address");
    })
    .await;
    let root = site.url.trim_end_matches("/auth").to_owned();
    let get = async |path: &str| site.anonymous().ask(Method::GET, &format!("{root}{path}"), TYPED).await;
    for (path, status) in [
        ("/auth", 200),
        ("/auth/", 200),
        ("/auth/login", 303),
        ("/auth/login/callback", 400),
        ("/auth/logout", 303),
        ("/auth/api/me", 401),
        ("/auth/api/openapi.json", 200),
        ("/auth/api/docs", 200),
        ("/auth/healthz", 200),
        ("/auth/readyz", 200),
        ("/auth/favicon.ico", 200),
        ("/auth/robots.txt", 200),
    ] {
        let answer = get(path).await;
        assert_eq!(answer.status, status, "{path}: {answer:#?}");
    }
    for path in ["/", "/login", "/api/me", "/healthz", "/authlogin", "/auth//login", "/auth/auth/login", "/AUTH/login"]
    {
        assert_eq!(get(path).await.status, 404, "{path}");
    }
    let logout = get("/auth/logout").await;
    assert_eq!(logout.header("location"), "/auth/", "signed out, home is ours");
    let login = get("/auth/login").await;
    let redirect_uri =
        login.location().query_pairs().find(|(key, _)| key == "redirect_uri").expect("one").1.into_owned();
    assert_eq!(redirect_uri, format!("{root}/auth/login/callback"));
    let style = get("/auth").await.body;
    assert!(style.contains("href=\"/auth/assets/"), "{style}");
    assert!(style.contains("href=\"/auth/login\""), "{style}");
}
