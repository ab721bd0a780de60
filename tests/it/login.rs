//! Signing in as a browser sees it, against a provider that runs beside the site. What happens when the provider lies
//! is told elsewhere.

use std::collections::BTreeSet;
use std::time::Duration;

use reqwest::{Method, Url};
use serde_json::json;

use crate::site::instance::Site;
use crate::site::provider::Door;
use crate::site::visitors::{Answer, CROSS_SITE, SCRIPT, TYPED, Visitor};

/// The value of a query parameter; panics where it is missing or given twice.
fn parameter(url: &Url, name: &str) -> String {
    let mut values = url.query_pairs().filter(|(key, _)| key == name).map(|(_, value)| value.into_owned());
    let value = values.next().unwrap_or_else(|| panic!("{name} is missing in {url}"));
    assert_eq!(values.next(), None, "{name} is given twice in {url}");
    value
}

#[tokio::test]
async fn a_sign_in_leads_there_and_back_and_leaves_a_session() {
    let site = Site::start().await;
    let browser = site.anonymous();
    let away = browser.visit("/login").await;
    assert_eq!(away.status, 303);
    let request = away.location();
    assert_eq!(parameter(&request, "response_type"), "code");
    assert_eq!(parameter(&request, "redirect_uri"), format!("{}/login/callback", site.url));
    assert_eq!(parameter(&request, "code_challenge_method"), "S256");
    assert_eq!(parameter(&request, "scope"), "openid email profile");
    for name in ["state", "nonce", "code_challenge"] {
        let value = parameter(&request, name);
        let is_plain = value.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
        assert!(value.len() == 43 && is_plain, "{name}={value}");
    }
    let callback = site.authorize(&browser, &request, "ada").await;
    let back = browser.visit(callback.as_str()).await;
    assert_eq!((back.status, back.location().path()), (303, "/"), "{back:#?}");
    let session: Vec<_> = back.set_cookies().into_iter().filter(|cookie| !cookie.contains("-login-")).collect();
    let (name, life) = (site.session_cookie(), 30 * 24 * 60 * 60);
    let value = browser.cookie(&name).expect("a session");
    assert_eq!(session, [format!("{name}={value}; Path=/; HttpOnly; SameSite=Lax; Max-Age={life}")]);
    assert_eq!(value.len(), 43);
    assert!(browser.cookies().keys().all(|name| !name.contains("-login-")), "the pending login is gone");
    assert_eq!(browser.get("/api/me").await.json()["id"], json!("ada"));
    let profile = browser.visit("/").await;
    assert!(profile.body.contains("ada@example.com") && profile.body.contains("Log out"), "{}", profile.body);
}

#[tokio::test]
async fn hostile_headers_change_nothing_of_the_request() {
    let site = Site::start().await;
    let hostile = [
        ("x-forwarded-proto", "gopher"),
        ("x-forwarded-host", "evil.example"),
        ("forwarded", "host=evil.example;proto=http"),
    ];
    for (name, value) in hostile {
        let headers: Vec<_> = TYPED.iter().copied().chain([(name, value)]).collect();
        let away = site.anonymous().ask(Method::GET, "/login", &headers).await;
        assert_eq!(parameter(&away.location(), "redirect_uri"), format!("{}/login/callback", site.url), "{name}");
    }
    // Another host only leads back to ours, whoever claims it.
    let headers: Vec<_> = TYPED.iter().copied().chain([("host", "evil.example")]).collect();
    let answer = site.anonymous().ask(Method::GET, "/login", &headers).await;
    assert_eq!((answer.status, answer.header("location")), (302, &*format!("{}/login", site.url)));
    assert!(answer.set_cookies().is_empty(), "{answer:#?}");
}

#[tokio::test]
async fn every_attempt_has_values_of_its_own() {
    let site = Site::start().await;
    let mut seen = BTreeSet::new();
    for _ in 0..50 {
        let request = site.anonymous().visit("/login").await.location();
        for name in ["state", "nonce", "code_challenge"] {
            assert!(seen.insert(parameter(&request, name)), "{name} was given before");
        }
    }
}

#[tokio::test]
async fn a_callback_counts_once() {
    let site = Site::start().await;
    let browser = site.anonymous();
    let request = browser.visit("/login").await.location();
    let callback = site.authorize(&browser, &request, "ada").await;
    let thief = browser.also_at(&site.url);
    assert_eq!(browser.visit(callback.as_str()).await.status, 303);
    let replayed = thief.visit(callback.as_str()).await;
    assert_is_a_page_with_a_way_on(&replayed);
    assert_eq!(thief.get("/api/me").await.status, 401, "a replay made a session");
    assert_eq!(site.sessions().list(None, 10).await.expect("a list").len(), 1);
    // The person who goes back to that address is not thrown out.
    let again = browser.visit(callback.as_str()).await;
    assert!(again.status < 500, "{again:#?}");
    assert_eq!(browser.get("/api/me").await.status, 200);
}

#[tokio::test]
async fn an_answer_counts_only_in_the_browser_that_asked() {
    let site = Site::start().await;
    let (attacker, victim) = (site.anonymous(), site.anonymous());
    let request = attacker.visit("/login").await.location();
    let callback = site.authorize(&attacker, &request, "mallory").await;
    let spent = site.provider_hits(Door::Token);
    for _ in 0..2 {
        let answer = victim.visit(callback.as_str()).await;
        assert_is_a_page_with_a_way_on(&answer);
        assert_eq!(victim.get("/api/me").await.status, 401, "the attacker's account in the victim's browser");
        // The second time with a pending login of their own.
        victim.visit("/login").await;
    }
    assert_eq!(site.provider_hits(Door::Token), spent, "the code was spent");
    assert_eq!(attacker.visit(callback.as_str()).await.status, 303, "a wrong browser spends nothing");
}

#[tokio::test]
async fn five_tabs_end_each_where_they_began() {
    let site = Site::start().await;
    let browser = site.anonymous();
    let mut requests = Vec::new();
    for tab in 0..5 {
        let long = "x".repeat(250);
        requests.push((tab, browser.visit(&format!("/login?rd=/reports/{tab}?q={long}")).await.location()));
    }
    for (tab, request) in requests.into_iter().rev() {
        let callback = site.authorize(&browser, &request, "ada").await;
        let back = browser.visit(callback.as_str()).await;
        assert_eq!((back.status, back.location().path()), (303, &*format!("/reports/{tab}")), "{back:#?}");
        assert_eq!(browser.get("/api/me").await.status, 200, "tab {tab}");
    }
    assert_eq!(site.sessions().list(None, 10).await.expect("a list").len(), 1, "each new session ends the old one");
}

#[tokio::test]
async fn a_hundred_tabs_do_not_fill_the_browser() {
    let site = Site::start().await;
    let browser = site.anonymous();
    let mut request = browser.visit("/login").await.location();
    for tab in 0..100 {
        request = browser.visit(&format!("/login?rd=/tab/{tab}")).await.location();
        let size: usize = browser.cookies().iter().map(|(name, value)| name.len() + value.len() + 3).sum();
        assert!(size < 4096 && browser.cookies().len() <= 5, "{size} bytes after {tab} tabs");
    }
    let callback = site.authorize(&browser, &request, "ada").await;
    assert_eq!(browser.visit(callback.as_str()).await.location().path(), "/tab/99");
}

#[tokio::test]
async fn a_script_or_a_prefetch_starts_nothing() {
    let site = Site::start().await;
    let prefetch: Vec<_> = TYPED.iter().copied().chain([("sec-purpose", "prefetch")]).collect();
    let prerender: Vec<_> = TYPED.iter().copied().chain([("sec-purpose", "prefetch;prerender")]).collect();
    for headers in [SCRIPT, &prefetch, &prerender] {
        let answer = site.anonymous().ask(Method::GET, "/login", headers).await;
        assert_eq!(answer.status, 401, "{headers:?}");
        assert_eq!(answer.json()["login_url"], json!(format!("{}/login", site.url)));
        assert!(answer.set_cookies().is_empty(), "{answer:#?}");
    }
}

#[tokio::test]
async fn asking_for_the_head_of_a_callback_spends_nothing() {
    let site = Site::start().await;
    let browser = site.anonymous();
    let request = browser.visit("/login").await.location();
    let callback = site.authorize(&browser, &request, "ada").await;
    let spent = site.provider_hits(Door::Token);
    let head = browser.ask(Method::HEAD, callback.as_str(), TYPED).await;
    assert!(head.set_cookies().is_empty() && head.body.is_empty(), "{head:#?}");
    assert_eq!(site.provider_hits(Door::Token), spent);
    assert_eq!(browser.visit(callback.as_str()).await.status, 303);
}

#[tokio::test]
async fn a_link_on_another_site_signs_nobody_in_without_a_click() {
    let site = Site::start().await;
    let browser = site.anonymous();
    let answer = browser.ask(Method::GET, "/login?rd=/reports", CROSS_SITE).await;
    assert_eq!(answer.status, 200, "{answer:#?}");
    assert!(answer.set_cookies().is_empty());
    assert!(answer.body.contains("/login?rd="), "the button keeps where to go: {}", answer.body);
}

#[tokio::test]
async fn a_sign_in_returns_to_this_site_alone() {
    let site = Site::start().await;
    let hostile = [
        "//evil.example",
        "https://evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "/%09/evil.example",
        "/\t/evil.example",
        "https:evil.example",
        "http:///evil.example",
        "javascript:alert(1)",
        "data:text/html,x",
        " //evil.example",
        "/..//evil.example",
        "https://localhost@evil.example",
        "/login",
        "/logout",
        "/login/callback?code=x",
        "/api/me",
        "/%0d%0aSet-Cookie:x=y",
        "",
        "?",
        "///",
        "/.//evil.example",
        "\u{ff0f}\u{ff0f}evil.example",
    ];
    for rd in hostile {
        let browser = site.anonymous();
        let mut login = Url::parse(&format!("{}/login", site.url)).expect("an address");
        login.query_pairs_mut().append_pair("rd", rd);
        let request = browser.visit(login.as_str()).await.location();
        let callback = site.authorize(&browser, &request, "ada").await;
        let back = browser.visit(callback.as_str()).await;
        assert_eq!(back.status, 303, "{rd:?}: {back:#?}");
        let target = back.location();
        assert_eq!(target.origin().ascii_serialization(), site.url, "{rd:?} leads to {target}");
        for loops in ["/login", "/logout", "/api"] {
            assert!(!target.path().starts_with(loops), "{rd:?} leads to {target}");
        }
    }
}

#[tokio::test]
async fn an_answer_given_twice_or_mangled_is_refused_without_a_fault() {
    let site = Site::start().await;
    let browser = site.anonymous();
    let request = browser.visit("/login").await.location();
    let callback = site.authorize(&browser, &request, "ada").await;
    let (state, code) = (parameter(&callback, "state"), parameter(&callback, "code"));
    let spent = site.provider_hits(Door::Token);
    let mangled = [
        format!("state={state}&state=b&code={code}"),
        format!("state=b&state={state}&code={code}"),
        format!("state={state}&code={code}&code={code}"),
        format!("code={code}"),
        format!("state={state}x&code={code}"),
        format!("state=%&code={code}"),
        format!("state=%FF%FE&code={code}"),
        format!("state={}&code={code}", "a".repeat(4000)),
        "id_token=eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0.".to_owned(),
        String::new(),
    ];
    for query in mangled {
        let answer = browser.visit(&format!("/login/callback?{query}")).await;
        assert_eq!(answer.status, 400, "{query}: {answer:#?}");
    }
    assert_eq!(site.provider_hits(Door::Token), spent, "the network was asked before the answer was judged");
    assert_eq!(browser.get("/api/me").await.status, 401);
    assert_eq!(browser.visit(callback.as_str()).await.status, 303, "none of it spent the pending login");
}

#[tokio::test]
async fn a_cookie_that_was_tampered_with_opens_nothing() {
    let site = Site::start().await;
    let browser = site.anonymous();
    let request = browser.visit("/login").await.location();
    let callback = site.authorize(&browser, &request, "ada").await;
    let (name, value) = browser.cookies().into_iter().next().expect("a pending login");
    for at in (0..value.len()).step_by(7) {
        let mut bytes = value.clone().into_bytes();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        let thief = site.anonymous();
        thief.plant(&name, &String::from_utf8(bytes).expect("ASCII"));
        let answer = thief.visit(callback.as_str()).await;
        assert_eq!(answer.status, 400, "byte {at}: {answer:#?}");
    }
    assert_eq!(browser.visit(callback.as_str()).await.status, 303);
}

#[tokio::test]
async fn a_person_who_declines_can_try_again_as_often_as_they_like() {
    let site = Site::start().await;
    let browser = site.anonymous();
    for _ in 0..10 {
        let request = browser.visit("/login?rd=/reports").await.location();
        let state = parameter(&request, "state");
        let text = "%3Cscript%3Ealert(1)%3C%2Fscript%3E";
        let path = format!("/login/callback?state={state}&error=access_denied&error_description={text}");
        let answer = browser.visit(&path).await;
        assert_is_a_page_with_a_way_on(&answer);
        assert!(!answer.body.contains("alert(1)"), "{}", answer.body);
        assert!(answer.body.contains("/login?rd="), "the way on keeps where to go: {}", answer.body);
    }
    let request = browser.visit("/login").await.location();
    let callback = site.authorize(&browser, &request, "ada").await;
    assert_eq!(browser.visit(callback.as_str()).await.status, 303);
}

#[tokio::test]
async fn a_pending_login_lives_for_ten_minutes() {
    let site = Site::start().await;
    let browser = site.anonymous();
    let request = browser.visit("/login?rd=/reports").await.location();
    let callback = site.authorize(&browser, &request, "ada").await;
    site.clock.advance(Duration::from_secs(11 * 60));
    let answer = browser.visit(callback.as_str()).await;
    assert_is_a_page_with_a_way_on(&answer);
    assert!(answer.body.contains("/login?rd="), "the way on keeps where to go: {}", answer.body);
}

#[tokio::test]
async fn a_new_session_replaces_whatever_the_browser_brought() {
    let site = Site::start().await;
    let browser = site.anonymous();
    let planted = "A".repeat(43);
    browser.plant(&site.session_cookie(), &planted);
    let mut previous = planted.clone();
    for who in ["ada", "grace"] {
        let request = browser.visit("/login").await.location();
        let callback = site.authorize(&browser, &request, who).await;
        assert_eq!(browser.visit(callback.as_str()).await.status, 303);
        let session = browser.cookie(&site.session_cookie()).expect("a session");
        assert_ne!(session, previous);
        assert_eq!(browser.get("/api/me").await.json()["id"], json!(who));
        let old = site.anonymous();
        old.plant(&site.session_cookie(), &previous);
        assert_eq!(old.get("/api/me").await.status, 401, "what was there before {who} signed in still counts");
        previous = session;
    }
    assert_eq!(site.sessions().list(None, 10).await.expect("a list").len(), 1);
}

#[tokio::test]
async fn many_people_at_once_each_get_their_own_session() {
    let site = Site::start().await;
    let names: Vec<_> = (0..40).map(|n| format!("person-{n}")).collect();
    let site = &site;
    let sign_ins = names.iter().map(|name| async move {
        let me = site.sign_in(name).await.get("/api/me").await.json();
        assert_eq!(me["id"], json!(name));
    });
    futures_util::future::join_all(sign_ins).await;
}

#[tokio::test]
async fn nothing_of_the_provider_reaches_browser_or_page() {
    let site = Site::start().await;
    let browser = site.anonymous();
    let request = browser.visit("/login").await.location();
    let callback = site.authorize(&browser, &request, "ada").await;
    let code = parameter(&callback, "code");
    let answers = [browser.visit(callback.as_str()).await, browser.visit("/").await, browser.get("/api/me").await];
    for answer in answers {
        let whole = format!("{:?}{}", answer.headers, answer.body);
        assert!(!whole.contains(&code) && !whole.contains("eyJ"), "{whole}");
    }
}

/// Never a dead end, never a half-made session.
fn assert_is_a_page_with_a_way_on(answer: &Answer) {
    assert!((400..500).contains(&answer.status), "{answer:#?}");
    assert!(answer.header("content-type").starts_with("text/html"), "{answer:#?}");
    assert!(answer.body.contains("href=\"/login"), "no way on: {}", answer.body);
    assert!(answer.set_cookies().iter().all(|cookie| cookie.contains("Max-Age=0")), "{answer:#?}");
}
