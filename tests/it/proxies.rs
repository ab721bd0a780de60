//! Apps behind real proxies: nginx, Caddy and HAProxy, each told what to do by our own `proxy-config`, an app that says what it
//! hears, and Chromium in front.

use std::time::{Duration, Instant};

use doorward::model::{Scope, UserId};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::site::browser::Browser;
use crate::site::echo;
use crate::site::front::{APP, Front, OWN, Proxy, Raw};
use crate::site::program::{PATIENCE, PAUSE};
use crate::site::provider::person;
use crate::site::tiers::Tier;

macro_rules! behind_every_proxy {
    ($suite:ident: $($test:ident),* $(,)?) => {
        mod nginx {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $test() {
                super::$suite::$test(super::Proxy::Nginx).await;
            })*
        }
        mod caddy {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $test() {
                super::$suite::$test(super::Proxy::Caddy).await;
            })*
        }
        mod haproxy {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $test() {
                super::$suite::$test(super::Proxy::Haproxy).await;
            })*
        }
    };
}

behind_every_proxy!(suite:
    a_person_signs_in_returns_to_the_deep_link_and_leaves,
    a_program_passes_by_its_token_and_the_app_never_sees_it,
    no_spelling_of_a_forged_header_reaches_the_app,
    no_trick_with_the_path_reaches_the_app,
    the_app_sees_every_cookie_but_ours,
    while_the_database_is_away_nobody_is_signed_out,
    streams_sockets_and_uploads_pass_unharmed,
    only_a_proxy_asks_at_the_gate,
);

/// Ada may see everything, everybody else what is public.
const RULES: &str = r#"
groups.admins = ["ada@example.com"]
[[gate.rules]]
host = "APP"
path = "/public/*"
allow = "everyone"
[[gate.rules]]
host = "APP"
groups = ["admins"]
"#;

const NAVIGATION: [(&str, &str); 3] =
    [("Accept", "text/html"), ("Sec-Fetch-Mode", "navigate"), ("Sec-Fetch-Dest", "document")];

/// The value of a header as the app heard it.
fn told<'a>(answer: &'a Raw, name: &str) -> Option<&'a str> {
    echo::header(&answer.body, name)
}

mod suite {
    use super::*;

    pub async fn a_person_signs_in_returns_to_the_deep_link_and_leaves(proxy: Proxy) {
        if Tier::Browser.here().is_none() {
            return;
        }
        let Some(front) = Front::start(proxy, RULES, false).await else { return };
        front.site.provider.script().person = person("ada", "ada@example.com", "Ada Lovelace");
        let profile = tempfile::tempdir().expect("a folder");
        let flags = ["--host-resolver-rules=MAP *.corp.test 127.0.0.1", "--ignore-certificate-errors"];
        let browser = Browser::open_with(profile.path(), &flags).await;

        browser.visit(&front.app("/deep/link?a=1&b=%2F")).await;
        browser.sees("ada@example.com").await;
        assert_eq!(browser.address().await, front.app("/deep/link?a=1&b=%2F"), "back where the person wanted to go");
        let heard = browser.text().await;
        assert!(heard.starts_with("GET /deep/link?a=1&b=%2F "), "{heard}");
        assert_eq!(echo::header(&heard, "remote-groups"), Some("admins"));
        assert_eq!(echo::header(&heard, "x-doorward-assertion").map(|jwt| jwt.split('.').count()), Some(3));
        assert!(!heard.contains("__Secure-doorward"), "the app sees no session: {heard}");

        // The app's link to the log-out leads to a question, and from there back to the app.
        let public = front.app("/public/bye");
        browser.visit(&public).await;
        let logout = format!("https://{OWN}:{}/logout?rd={public}", front.port);
        browser.evaluate(&format!("(location.href = {logout:?}, true)")).await;
        browser.sees("Log out?").await;
        browser.click("Log out").await;
        browser.sees("You are logged out").await;
        browser.click("Continue").await;
        browser.sees("GET /public/bye").await;
        assert_eq!(echo::header(&browser.text().await, "remote-user").unwrap_or_default(), "");

        // Somebody who may not come in is told so, under the app's own address, with a way on.
        front.site.provider.script().person = person("mallory", "mallory@example.com", "Mallory");
        browser.visit(&front.app("/deep/link")).await;
        browser.sees("This account is not let in").await;
        browser.sees("mallory@example.com").await;
        assert_eq!(browser.address().await, front.app("/deep/link"));
        let is_styled = "getComputedStyle(document.querySelector('main')).textAlign === 'center'";
        assert_eq!(browser.evaluate(is_styled).await, true, "the page under the app's host has our look");
        browser.pictures(&format!("denied-at-gate-{proxy:?}").to_lowercase()).await;
        browser.close().await;
    }

    pub async fn a_program_passes_by_its_token_and_the_app_never_sees_it(proxy: Proxy) {
        let Some(front) = Front::start(proxy, RULES, false).await else { return };
        front.session_of("ada").await;
        let life = Duration::from_secs(3600);
        let created = front.site.tokens().create(UserId::new("ada"), "of tests".to_owned(), Scope::Me, life).await;
        let credential = format!("Bearer {}", created.expect("a token").0.reveal());
        let answer = front.ask("GET", APP, "/report", &[("Authorization", &credential)]).await;
        assert_eq!((answer.status, told(&answer, "remote-email")), (200, Some("ada@example.com")), "{answer:#?}");
        assert_eq!(told(&answer, "authorization").unwrap_or_default(), "", "{answer:#?}");

        let nobody = front.ask("GET", APP, "/report", &[("Accept", "application/json")]).await;
        assert_eq!(nobody.status, 401, "{nobody:#?}");
        assert!(nobody.body.contains("not_signed_in"), "{nobody:#?}");
        let person = front.ask("GET", APP, "/report?x=1", &NAVIGATION).await;
        let login = format!("https://{OWN}:{0}/login?rd=https%3A//{APP}%3A{0}/report%3Fx%3D1", front.port);
        assert_eq!((person.status, person.header("location")), (302, login.as_str()), "{person:#?}");
        // The app's own credentials are the app's.
        let session = front.session_of("ada").await;
        let answer = front.ask("GET", APP, "/x", &[("Cookie", &session), ("Authorization", "Basic YWRhOng=")]).await;
        assert_eq!((answer.status, told(&answer, "authorization")), (200, Some("Basic YWRhOng=")), "{answer:#?}");
    }

    /// FWD-05, FWD-06, FWD-13
    pub async fn no_spelling_of_a_forged_header_reaches_the_app(proxy: Proxy) {
        let Some(front) = Front::start(proxy, RULES, false).await else { return };
        let names = [
            "Remote-User",
            "Remote-Email",
            "Remote-Name",
            "Remote-Groups",
            "X-Auth-Request-User",
            "X-Auth-Request-Email",
            "X-Auth-Request-Preferred-Username",
            "X-Auth-Request-Groups",
            "X-Doorward-Assertion",
        ];
        let mut spellings: Vec<String> = Vec::new();
        for name in names {
            let under = name.replace('-', "_");
            let mixed = name.replacen('-', "_", 1);
            let last = name.rfind('-').map(|at| format!("{}_{}", &name[..at], &name[at + 1..])).expect("a dash");
            spellings.extend([
                name.to_owned(),
                name.to_lowercase(),
                name.to_uppercase(),
                under.clone(),
                under.to_lowercase(),
                mixed,
                last,
            ]);
        }
        spellings.extend([
            "Remote.User".to_owned(),
            "X-Auth.Request-Email".to_owned(),
            "x.doorward.assertion".to_owned(),
        ]);
        assert!(spellings.len() >= 50, "{}", spellings.len());
        front.echo.heard();
        for spelling in &spellings {
            let answer = front.ask("GET", APP, "/public/x", &[(spelling, "forged-by-a-client")]).await;
            assert!(!answer.body.contains("forged-by-a-client"), "{spelling}: {answer:#?}");
        }
        let heard = front.echo.heard().concat();
        assert!(!heard.contains("forged-by-a-client") && heard.contains("/public/x"), "{heard}");
        // What a client says of where it comes from and whither it goes opens nothing either.
        let public = format!("https://{APP}:{}/public/x", front.port);
        for (name, value) in [
            ("X-Original-URL", public.as_str()),
            ("X_Original_URL", &public),
            ("X-Forwarded-Uri", "/public/x"),
            ("X_Forwarded_Uri", "/public/x"),
            ("X-Forwarded_Uri", "/public/x"),
            ("X-Forwarded-Host", "other.corp.test"),
            ("X-Forwarded-Method", "OPTIONS"),
            ("X-Forwarded-Prefix", "/public"),
            ("X-Rewrite-URL", "/public/x"),
            ("X-HTTP-Method-Override", "OPTIONS"),
        ] {
            let answer = front.ask("GET", APP, "/secret", &[(name, value), ("Accept", "*/*")]).await;
            assert!(matches!(answer.status, 400 | 401), "{name}: {answer:#?}");
        }
        let heard = front.echo.heard();
        assert!(heard.iter().all(|head| !head.contains("/secret")), "{heard:#?}");
        // Nor does it turn an open address into a shut one inside the app.
        for name in
            ["X-Original-URL", "X-Rewrite-URL", "X-HTTP-Method-Override", "X-Forwarded-Prefix", "X-Forwarded-Uri"]
        {
            let answer = front.ask("GET", APP, "/public/x", &[(name, "/turned-by-a-client")]).await;
            assert_eq!(answer.status, 200, "{name}: {answer:#?}");
            assert!(!answer.body.contains("turned-by-a-client"), "{name}: {answer:#?}");
        }
    }

    /// FWD-02, PRX-04: whatever the proxy makes of an address, the app is not asked for what no rule opens.
    pub async fn no_trick_with_the_path_reaches_the_app(proxy: Proxy) {
        let Some(front) = Front::start(proxy, RULES, false).await else { return };
        front.echo.heard();
        let tricks = [
            "/private?x=/public/",
            "/public/../private",
            "/public/./../private",
            "/public/..%2fprivate",
            "/public%2f..%2fprivate",
            "/public/%2e%2e/private",
            "/public/.%2e/private",
            "/public/%252e%252e/private",
            "/public;/../private",
            "/public/..;/private",
            "/public%23/private",
            "/public#/../private",
            "/public%00/private",
            "/public\\..\\private",
            "/public/..%5cprivate",
            "//private",
            "/public//../private",
            "/PUBLIC/private",
            "/publicprivate",
            "/public%/private",
            "/public/%c0%ae%c0%ae/private",
            "/private/public/",
            "http://app.corp.test/public/../private",
        ];
        for trick in tricks {
            let answer = front.ask("GET", APP, trick, &[("Accept", "*/*")]).await;
            assert!(matches!(answer.status, 400 | 401 | 403 | 404), "{trick}: {answer:#?}");
        }
        // Another host's name in front of this app's.
        let host = format!("other.corp.test:{}", front.port);
        let answer = front.ask("GET", APP, "/private", &[("Host", &host), ("Accept", "*/*")]).await;
        assert!(matches!(answer.status, 400 | 401 | 403 | 404), "{answer:#?}");
        let heard = front.echo.heard();
        assert!(heard.is_empty(), "the app was asked: {heard:#?}");
        assert_eq!(front.ask("GET", APP, "/public/x", &[]).await.status, 200);
    }

    pub async fn the_app_sees_every_cookie_but_ours(proxy: Proxy) {
        let Some(front) = Front::start(proxy, RULES, false).await else { return };
        let session = front.session_of("ada").await;
        for (cookies, left) in [
            (session.clone(), ""),
            (format!("a=1; {session}; b=2"), "a=1;b=2"),
            (format!("{session}; a=1"), "a=1"),
            (format!("a=1; {session}"), "a=1"),
            (format!("a=1; {session}; b=2; {session}; c=3"), "a=1;b=2;c=3"),
            (format!("x__Secure-doorward=keep; {session}"), "x__Secure-doorward=keep"),
        ] {
            let answer = front.ask("GET", APP, "/x", &[("Cookie", &cookies)]).await;
            assert_eq!((answer.status, told(&answer, "remote-user")), (200, Some("ada@example.com")), "{cookies}");
            let seen = told(&answer, "cookie").unwrap_or_default().split(';').map(str::trim);
            let seen: Vec<_> = seen.filter(|pair| !pair.is_empty()).collect();
            assert_eq!(seen.join(";"), left, "{cookies}");
        }
    }

    pub async fn while_the_database_is_away_nobody_is_signed_out(proxy: Proxy) {
        let Some(front) = Front::start(proxy, RULES, true).await else { return };
        let session = front.session_of("ada").await;
        let headers = [&[("Cookie", session.as_str())], &NAVIGATION[..]].concat();
        let ask = || front.ask("GET", APP, "/x", &headers);
        assert_eq!(ask().await.status, 200);
        front.line.as_ref().expect("a line").cut();
        let away = ask().await;
        assert_eq!((away.status, away.header("retry-after")), (503, "2"), "{away:#?}");
        assert!(!away.head.to_lowercase().contains("set-cookie"), "{away:#?}");
        assert!(away.body.contains("you have not been signed out"), "{away:#?}");
        front.line.as_ref().expect("a line").mend();
        let deadline = Instant::now() + PATIENCE;
        loop {
            let answer = ask().await;
            if answer.status == 200 {
                assert_eq!(told(&answer, "remote-user"), Some("ada@example.com"));
                break;
            }
            assert!(answer.status == 503 && Instant::now() < deadline, "{answer:#?}");
            tokio::time::sleep(PAUSE).await;
        }
    }

    pub async fn streams_sockets_and_uploads_pass_unharmed(proxy: Proxy) {
        let Some(front) = Front::start(proxy, RULES, false).await else { return };
        let session = front.session_of("ada").await;
        let head = |method: &str, path: &str, more: &str| {
            format!("{method} {path} HTTP/1.1\r\nHost: {APP}:{}\r\nCookie: {session}\r\n{more}\r\n", front.port)
        };

        // The first event arrives before there is a second one.
        let mut events = front.connect(APP).await;
        events.write_all(head("GET", "/events", "").as_bytes()).await.expect("it reads");
        let mut seen = String::new();
        while !seen.contains("data: first") {
            let mut bytes = [0; 4096];
            let read = tokio::time::timeout(PATIENCE, events.read(&mut bytes)).await.expect("in time").expect("bytes");
            assert_ne!(read, 0, "{seen}");
            seen.push_str(&String::from_utf8_lossy(&bytes[..read]));
        }
        assert!(!seen.contains("data: second"), "{seen}");
        front.echo.go_on.notify_one();
        while !seen.contains("data: second") {
            let mut bytes = [0; 4096];
            let read = tokio::time::timeout(PATIENCE, events.read(&mut bytes)).await.expect("in time").expect("bytes");
            assert_ne!(read, 0, "{seen}");
            seen.push_str(&String::from_utf8_lossy(&bytes[..read]));
        }

        let mut socket = front.connect(APP).await;
        let upgrade = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
                       Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
        socket.write_all(head("GET", "/socket", upgrade).as_bytes()).await.expect("it reads");
        let mut seen = String::new();
        let mut is_sent = false;
        while !seen.ends_with("to and fro") {
            let mut bytes = [0; 4096];
            let read = tokio::time::timeout(PATIENCE, socket.read(&mut bytes)).await.expect("in time").expect("bytes");
            assert_ne!(read, 0, "{seen}");
            seen.push_str(&String::from_utf8_lossy(&bytes[..read]));
            if seen.contains("\r\n\r\n") && !is_sent {
                assert!(seen.starts_with("HTTP/1.1 101") && seen.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "{seen}");
                socket.write_all(b"to and fro").await.expect("it reads");
                is_sent = true;
            }
        }
        // Nobody's socket is opened.
        let closed = front.ask("GET", APP, "/socket", &[("Upgrade", "websocket"), ("Accept", "*/*")]).await;
        assert_eq!(closed.status, 401, "{closed:#?}");

        let mut upload = front.connect(APP).await;
        let size = 20 * 1024 * 1024;
        let more = format!("Content-Length: {size}\r\nConnection: close\r\n");
        upload.write_all(head("POST", "/upload", &more).as_bytes()).await.expect("it reads");
        let chunk = vec![b'x'; 64 * 1024];
        for _ in 0..size / chunk.len() {
            upload.write_all(&chunk).await.expect("it reads");
        }
        // What TLS still holds back is sent now: reading alone would not.
        upload.flush().await.expect("it reads");
        let mut answer = Vec::new();
        let _ = tokio::time::timeout(PATIENCE, upload.read_to_end(&mut answer)).await.expect("in time");
        let answer = Raw::read(&answer);
        assert_eq!(answer.status, 200, "{}", answer.head);
        assert!(answer.body.contains(&format!("uploaded: {size}")), "{}", answer.body);
    }

    pub async fn only_a_proxy_asks_at_the_gate(proxy: Proxy) {
        let Some(front) = Front::start(proxy, RULES, false).await else { return };
        let session = front.session_of("ada").await;
        let answer = front.ask("GET", OWN, "/gate", &[("Cookie", &session)]).await;
        assert_eq!(answer.status, 404, "{answer:#?}");
        assert!(!answer.head.to_lowercase().contains("remote-user"), "{answer:#?}");
        let me = front.ask("GET", OWN, "/api/me", &[("Cookie", &session)]).await;
        assert_eq!(me.status, 200, "the rest of Doorward is reached: {me:#?}");
        assert_eq!(front.ask("GET", OWN, "/", &NAVIGATION).await.status, 200);
    }
}
