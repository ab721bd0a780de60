//! The site's own programs on other ports: who may ask `/api` from a page, and where a sign-in and a log-out end.

use std::sync::{Arc, OnceLock};

use doorward::config::apps::Apps;
use doorward::config::public_url::PublicUrl;
use reqwest::{Method, Url};

use crate::site::browser::Browser;
use crate::site::instance::Site;
use crate::site::line::Line;
use crate::site::place::Place;
use crate::site::provider::wire::{self, Canned, Listener};
use crate::site::tiers::Tier;
use crate::site::visitors::{Anonymous, Answer, SAME_ORIGIN, Visitor, client};

const LISTED: &str = "http://localhost:8000";

/// Others than the listed one: other ports, schemes, hosts, spellings; what frames and files send.
const UNLISTED: &[&str] = &[
    "http://localhost:8001",
    "https://localhost:8000",
    "http://127.0.0.1:8000",
    "http://localhost:8000.evil.example",
    "http://evil.example",
    "http://LOCALHOST:8000",
    "http://localhost:8000/",
    "null",
    "",
];

fn apps(origins: &[&str]) -> Apps {
    let origins = origins.iter().map(|origin| Url::parse(origin).expect("an origin")).collect();
    Apps { origins, ..Apps::default() }
}

async fn site() -> Site {
    Site::start_with(|config| config.apps = apps(&[LISTED])).await
}

fn cors_headers(answer: &Answer) -> Vec<&str> {
    let names = answer.headers.keys().map(|name| name.as_str());
    names.filter(|name| name.starts_with("access-control-")).collect()
}

fn varies_by_origin(answer: &Answer) -> bool {
    answer.headers.get_all("vary").iter().any(|value| value == "Origin")
}

#[tokio::test]
async fn a_listed_origin_may_read_the_api_with_the_cookie() {
    let site = site().await;
    let ada = site.sign_in("ada").await;
    let nobody = site.anonymous();
    for (visitor, status) in [(ada.browser(), 200), (&nobody, 401)] {
        let answer = visitor.ask(Method::GET, "/api/me", &[("origin", LISTED), ("sec-fetch-mode", "cors")]).await;
        assert_eq!(answer.status, status, "{answer:#?}");
        assert_eq!(answer.header("access-control-allow-origin"), LISTED);
        assert_eq!(answer.header("access-control-allow-credentials"), "true");
        assert!(answer.header("access-control-expose-headers").contains("retry-after"), "{answer:#?}");
        assert!(varies_by_origin(&answer), "{answer:#?}");
    }
    let document = nobody.ask(Method::GET, "/api/openapi.json", &[("origin", LISTED)]).await;
    assert_eq!(document.header("access-control-allow-origin"), LISTED);
}

#[tokio::test]
async fn a_listed_origin_hears_that_the_database_is_away() {
    let Some(kept) = Place::MariaDb.fresh().await else { return };
    let line = Line::to(kept.address().expect("a server has an address")).await;
    let site = Site::start_with(|config| {
        config.apps = apps(&[LISTED]);
        config.database = kept.config(Some(line.address));
    })
    .await;
    let ada = site.sign_in("ada").await;
    line.cut();
    let answer = ada.ask(Method::GET, "/api/me", &[("origin", LISTED)]).await;
    assert_eq!((answer.status, answer.header("access-control-allow-origin")), (503, LISTED), "{answer:#?}");
    assert!(!answer.header("retry-after").is_empty());
}

#[tokio::test]
async fn nobody_else_hears_anything_of_it() {
    let site = site().await;
    let ada = site.sign_in("ada").await;
    for origin in UNLISTED {
        let answer = ada.ask(Method::GET, "/api/me", &[("origin", origin)]).await;
        assert_eq!((answer.status, cors_headers(&answer)), (200, Vec::new()), "{origin}");
        assert!(varies_by_origin(&answer), "a cache would give {origin} another's answer");
    }
    let twice = ada.ask(Method::GET, "/api/me", &[("origin", LISTED), ("origin", LISTED)]).await;
    assert_eq!(cors_headers(&twice), Vec::<&str>::new());
    // Pages are not for other pages to read, whoever asks.
    for door in ["/", "/login", "/healthz", "/no/such/door", "/apis"] {
        let answer = ada.ask(Method::GET, door, &[("origin", LISTED)]).await;
        assert_eq!(cors_headers(&answer), Vec::<&str>::new(), "{door}");
    }
    let closed = Site::start().await;
    let answer = closed.anonymous().ask(Method::GET, "/api/me", &[("origin", LISTED)]).await;
    assert_eq!((cors_headers(&answer), varies_by_origin(&answer)), (Vec::new(), false), "without a list");
}

#[tokio::test]
async fn a_preflight_is_answered_for_listed_origins_on_the_api_alone() {
    let site = site().await;
    let nobody = site.anonymous();
    let asks = |origin| {
        [
            ("origin", origin),
            ("access-control-request-method", "GET"),
            ("access-control-request-headers", "authorization"),
        ]
    };
    let answer = nobody.ask(Method::OPTIONS, "/api/me", &asks(LISTED)).await;
    assert_eq!((answer.status, answer.body.as_str()), (204, ""), "{answer:#?}");
    assert_eq!(answer.header("access-control-allow-origin"), LISTED);
    assert_eq!(answer.header("access-control-allow-methods"), "GET, HEAD", "a program reads, it changes nothing");
    assert_eq!(answer.header("access-control-allow-headers"), "authorization");
    assert!(answer.header("access-control-max-age").parse::<u32>().is_ok_and(|seconds| seconds <= 600));
    assert!(varies_by_origin(&answer));
    for origin in UNLISTED {
        let answer = nobody.ask(Method::OPTIONS, "/api/me", &asks(origin)).await;
        assert_eq!((answer.status, cors_headers(&answer)), (405, Vec::new()), "{origin}");
    }
    for door in ["/", "/login", "/logout", "/healthz"] {
        let answer = nobody.ask(Method::OPTIONS, door, &asks(LISTED)).await;
        assert_eq!((answer.status, cors_headers(&answer)), (405, Vec::new()), "{door}");
    }
    let no_preflight = nobody.ask(Method::OPTIONS, "/api/me", &[("origin", LISTED)]).await;
    assert_eq!(no_preflight.status, 405);
}

#[tokio::test]
async fn a_listed_origin_may_change_nothing() {
    let site = site().await;
    let ada = site.sign_in("ada").await;
    for headers in [&[("origin", LISTED)][..], &[("origin", LISTED), ("sec-fetch-site", "same-site")]] {
        let answer = ada.ask(Method::POST, "/logout", headers).await;
        assert_eq!((answer.status, cors_headers(&answer)), (403, Vec::new()), "{headers:?}");
    }
    // A browser lets a page send POST with a token of its own after the preflight, and the cookie with it: the token
    // alone decides, and this one is nobody's.
    let (name, address) = (site.session_cookie(), format!("{}/api/tokens", site.url));
    let cookie = format!("{name}={}", ada.browser().cookie(&name).expect("a session"));
    for (authorization, status) in [(Some("Bearer junk"), 401), (None, 403)] {
        let mut request = client().post(&address).header("origin", LISTED).header("sec-fetch-site", "same-site");
        request = request.header("cookie", &cookie).json(&serde_json::json!({ "name": "of a page" }));
        if let Some(authorization) = authorization {
            request = request.header("authorization", authorization);
        }
        assert_eq!(request.send().await.expect("an answer").status(), status, "{authorization:?}");
    }
    assert!(site.tokens().list(None, 2).await.expect("a list").is_empty(), "a page made itself a token");
    assert_eq!(ada.get("/api/me").await.status, 200);
}

#[tokio::test]
async fn a_sign_in_returns_to_a_listed_program_and_to_no_other() {
    let site = site().await;
    for (rd, end) in [
        ("http://localhost:8000/basket?item=7", "http://localhost:8000/basket?item=7"),
        ("http://localhost:8001/basket", "/"),
        ("https://evil.example/", "/"),
        ("//localhost:8000/", "/"),
    ] {
        let browser = site.anonymous();
        let begin =
            format!("/login?{}", url::form_urlencoded::Serializer::new(String::new()).append_pair("rd", rd).finish());
        let request = browser.visit(&begin).await.location();
        let callback = site.authorize(&browser, &request, "ada").await;
        let back = browser.visit(callback.as_str()).await;
        assert_eq!((back.status, back.header("location")), (303, end), "{rd}");
        assert_eq!(browser.get("/api/me").await.status, 200);
    }
}

#[tokio::test]
async fn sign_in_and_log_out_end_where_the_configuration_says() {
    let home = format!("{LISTED}/home");
    let bye = format!("{LISTED}/bye");
    let site = Site::start_with(|config| {
        config.apps = Apps { home: home.clone(), after_logout: bye.clone(), ..apps(&[LISTED]) };
    })
    .await;
    let browser = site.anonymous();
    let request = browser.visit("/login").await.location();
    let callback = site.authorize(&browser, &request, "ada").await;
    assert_eq!(browser.visit(callback.as_str()).await.header("location"), home);

    let typed = browser.visit("/logout?rd=https://evil.example/&next=https://evil.example/").await;
    assert_eq!(
        (typed.status, typed.header("location")),
        (303, bye.as_str()),
        "a log-out takes no address from anybody"
    );

    // The form of our page may not be redirected to another origin: it ends on a page with a link.
    let ada = site.sign_in("ada").await;
    let posted = ada.ask(Method::POST, "/logout?rd=https://evil.example/", SAME_ORIGIN).await;
    assert_eq!((posted.status, posted.header("location")), (200, ""), "{posted:#?}");
    assert!(posted.body.contains(&format!("href=\"{bye}\"")) && !posted.body.contains("evil"), "{}", posted.body);
    assert_eq!(ada.get("/api/me").await.status, 401);
}

#[tokio::test]
async fn a_program_behind_the_same_proxy_has_the_rest_of_the_host() {
    const SHOP: &str = "https://shop.example.test";
    let mut port = 0;
    let site = Site::start_with(|config| {
        port = config.public_url.port();
        config.public_url = PublicUrl::parse("https://example.test/auth").expect("an address");
        config.apps = Apps { after_logout: format!("{SHOP}/bye"), ..apps(&[SHOP]) };
    })
    .await;
    // What a proxy without a word about headers makes of the browser's requests: plain http, and its own name for us.
    let proxy = format!("http://127.0.0.1:{port}");
    let mut browser = Anonymous::at(&proxy);
    let through = |address: Url| address.as_str().replace("https://example.test", &proxy);
    let rd = format!("/auth/login?rd={SHOP}/basket");
    for (begin, end) in
        [("/auth/login", "/"), ("/auth/login?rd=/reports", "/reports"), (&rd, "https://shop.example.test/basket")]
    {
        browser = Anonymous::at(&proxy);
        let request = browser.visit(begin).await.location();
        let sent = request.query_pairs().find(|(name, _)| name == "redirect_uri").expect("one").1.into_owned();
        assert_eq!(sent, "https://example.test/auth/login/callback");
        let callback = site.authorize(&browser, &request, "ada").await;
        let back = browser.visit(&through(callback)).await;
        assert_eq!((back.status, back.header("location")), (303, end), "{begin}");
        let session =
            back.set_cookies().into_iter().find(|cookie| cookie.starts_with("__Host-doorward=")).expect("one");
        // The site's own program gets it too, to pass it on.
        assert!(session.contains("; Path=/;") || session.ends_with("; Path=/"), "{session}");
    }
    assert_eq!(browser.get("/auth/api/me").await.status, 200);
    let read = browser.ask(Method::GET, "/auth/api/me", &[("origin", SHOP)]).await;
    assert_eq!((read.status, read.header("access-control-allow-origin")), (200, SHOP));
    let bye = browser.visit("/auth/logout").await;
    assert_eq!((bye.status, bye.header("location")), (303, "https://shop.example.test/bye"));
    assert_eq!(browser.get("/auth/api/me").await.status, 401);
}

/// A program on a port of its own with a page that asks the site, once that is known, who is signed in.
async fn program(site: Arc<OnceLock<String>>) -> Listener {
    let socket = wire::bind("127.0.0.1:0".parse().expect("an address")).await;
    wire::listen(socket, move |_| {
        let site = site.get().expect("nobody looks before the site is there");
        let page = format!(
            "<!doctype html><title>Basket</title><p id=who>asking</p><a href='{site}/login'>Sign in</a><script>
             document.querySelector('a').search = '?rd=' + encodeURIComponent(location.href);
             fetch('{site}/api/me', {{ credentials: 'include' }})
               .then(async answer => answer.status + ' ' + ((await answer.json()).name ?? 'nobody'))
               .catch(() => 'blocked').then(text => who.textContent = text);
             </script>"
        );
        Canned::status(200).with_header("content-type", "text/html; charset=utf-8").with_body(page)
    })
}

#[tokio::test]
async fn a_page_on_another_port_greets_the_person_and_one_that_is_not_listed_learns_nothing() {
    if Tier::Browser.here().is_none() {
        return;
    }
    let known = Arc::new(OnceLock::new());
    let (ours, other) = (program(Arc::clone(&known)).await, program(Arc::clone(&known)).await);
    let address = |program: &Listener| format!("http://localhost:{}", program.address.port());
    let site = Site::start_with(|config| config.apps = apps(&[&address(&ours)])).await;
    known.set(site.url.clone()).expect("it is set once");

    let profile = tempfile::tempdir().expect("a folder");
    let browser = Browser::open(profile.path()).await;
    browser.visit(&address(&ours)).await;
    browser.sees("401 nobody").await;
    browser.click("Sign in").await;
    // A provider that shows no chooser is asked only after a click on a page of ours; it agrees at once.
    browser.click("Sign in with").await;
    browser.sees("200 Ada Lovelace").await;
    assert_eq!(browser.address().await, format!("{}/", address(&ours)));
    browser.visit(&address(&other)).await;
    browser.sees("blocked").await;
    browser.close().await;
}
