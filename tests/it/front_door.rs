//! What the front door does beyond single doors: two of everything, other people's credentials, ways off the site, the
//! log.

use reqwest::Method;
use url::Url;

use crate::site::binary::{Binary, PROVIDER_AWAY};
use crate::site::instance::Site;
use crate::site::visitors::{Anonymous, CROSS_SITE, SAME_ORIGIN, TYPED, Visitor};

/// A handle that a browser brings beside the others of its jar.
async fn ask_with_two(site: &Site, target: &str, cookies: &str) -> u16 {
    let target = target.trim_start_matches(site.url.as_str());
    let host = site.url.trim_start_matches("http://");
    let head = format!(
        "GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nCookie: {cookies}\r\n\
         Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\n\r\n"
    );
    site.raw(head.as_bytes()).await
}

#[tokio::test]
async fn every_session_that_is_presented_ends_with_a_new_one() {
    let site = Site::start().await;
    let name = site.session_cookie();
    let handle = |browser: &Anonymous| browser.cookie(&name).expect("a session");
    let (ada, grace) = (site.sign_in("ada").await, site.sign_in("grace").await);
    let browser = site.anonymous();
    let request = browser.visit("/login").await.location();
    let callback = site.authorize(&browser, &request, "lin").await;
    let pending: Vec<String> = browser.cookies().iter().map(|(name, value)| format!("{name}={value}")).collect();
    let both = format!("{name}={}; {name}={}; {}", handle(ada.browser()), handle(grace.browser()), pending.join("; "));
    assert_eq!(ask_with_two(&site, callback.as_str(), &both).await, 303);
    assert_eq!(ada.get("/api/me").await.status, 401);
    assert_eq!(grace.get("/api/me").await.status, 401);
    assert_eq!(site.sessions().list(None, 10).await.expect("a list").len(), 1, "only the new one is left");
}

#[tokio::test]
async fn a_password_for_somebody_else_does_not_hide_the_session() {
    let site = Site::start().await;
    let ada = site.sign_in("ada").await;
    let of_a_proxy = [("authorization", "Basic YWxhZGRpbjpvcGVuc2VzYW1l")];
    assert_eq!(ada.ask(Method::GET, "/api/me", &of_a_proxy).await.status, 200);
    let nobody = site.anonymous().ask(Method::GET, "/api/me", &of_a_proxy).await;
    assert_eq!((nobody.status, nobody.json()["code"].as_str()), (401, Some("not_signed_in")));
    for bare in ["Bearer", "bearer "] {
        let answer = ada.ask(Method::GET, "/api/me", &[("authorization", bare)]).await;
        assert_eq!(answer.status, 401, "{bare:?}: {answer:#?}");
        assert!(answer.header("www-authenticate").contains("invalid_token"), "{answer:#?}");
    }
}

#[tokio::test]
async fn pages_take_no_tokens() {
    let site = Site::start().await;
    let holder = site.token_holder("ada").await;
    let page = holder.ask(Method::GET, "/", TYPED).await;
    assert!(page.body.contains("Login to continue"), "{}", page.body);
    assert!(!page.body.contains("ada@example.com"), "{}", page.body);
}

#[tokio::test]
async fn a_log_out_that_ends_on_another_site_goes_there_by_a_link() {
    let app = "http://localhost:8000/bye?a=1&b=2";
    let site = Site::start_with(|config| {
        config.apps.origins = vec![Url::parse("http://localhost:8000").expect("an address")];
        config.apps.after_logout = app.to_owned();
    })
    .await;
    let ada = site.sign_in("ada").await;
    let answer = ada.ask(Method::POST, "/logout", SAME_ORIGIN).await;
    assert_eq!(answer.status, 200, "a form may not be redirected off the site: {answer:#?}");
    assert!(answer.body.contains("href=\"http://localhost:8000/bye?a=1&amp;b=2\""), "{}", answer.body);
    assert_eq!(ada.browser().cookie(&site.session_cookie()), None);
    let grace = site.sign_in("grace").await;
    let answer = grace.ask(Method::GET, "/logout", TYPED).await;
    assert_eq!((answer.status, answer.header("location")), (303, app), "a link may");
    assert_eq!(grace.browser().cookie(&site.session_cookie()), None);
}

#[tokio::test]
async fn where_the_provider_shows_its_chooser_a_link_may_lead_there_at_once() {
    let site = Site::start_with(|config| {
        let provider = config.provider.as_mut().expect("a provider");
        provider.prompt = Some("select_account".to_owned());
    })
    .await;
    let answer = site.anonymous().ask(Method::GET, "/login", CROSS_SITE).await;
    assert_eq!(answer.status, 303, "{answer:#?}");
    assert!(answer.header("location").contains("prompt=select_account"), "{answer:#?}");
}

#[tokio::test]
async fn a_request_is_found_in_the_log_by_its_name_and_no_code_is() {
    let site = Binary::serve(PROVIDER_AWAY);
    let browser = Anonymous::at(&site.public_url);
    let answer = browser.visit("login/callback?code=c0de-of-nobody&state=st4te-of-nobody").await;
    assert_eq!(answer.status, 400, "{answer:#?}");
    let id = answer.header("x-request-id").to_owned();
    assert!(!id.is_empty() && answer.body.contains(&id), "the page names it: {}", answer.body);
    site.program.wait_for("line", |line| (line.contains(&id) && line.contains("/login/callback")).then_some(()));
    // The number on the page leads whoever runs the site to the reason.
    site.program.wait_for("reason", |line| (line.contains(&id) && line.contains("no_pending_login")).then_some(()));
    for secret in ["c0de-of-nobody", "st4te-of-nobody"] {
        assert!(!site.program.said().contains(secret), "{}", site.program.said());
        assert!(!answer.body.contains(secret), "{}", answer.body);
    }
    let other = browser.ask(Method::GET, "healthz", &[("x-request-id", "0000000000000000")]).await;
    assert_ne!(other.header("x-request-id"), "0000000000000000", "nobody chooses it");
    assert_ne!(other.header("x-request-id"), id);
}
