//! `/api/me`: who is asking, by cookie or by token.

use std::time::Duration;

use reqwest::Method;
use serde_json::json;

use crate::site::instance::Site;
use crate::site::visitors::{SAME_ORIGIN, TokenHolder, Visitor};

#[tokio::test]
async fn nobody_is_told_where_to_sign_in() {
    let site = Site::start().await;
    let answer = site.anonymous().get("/api/me").await;
    assert_eq!(answer.status, 401);
    assert_eq!(answer.header("content-type"), "application/problem+json");
    assert!(answer.header("www-authenticate").starts_with("Bearer"), "{answer:#?}");
    assert_eq!(answer.json()["login_url"], json!(format!("{}/login", site.url)));
    assert!(answer.json()["code"].is_string(), "{}", answer.body);
    assert_eq!(answer.json()["status"], json!(401));
    assert!(answer.set_cookies().is_empty());
}

#[tokio::test]
async fn a_session_shows_the_person_in_the_agreed_form() {
    let site = Site::start().await;
    let ada = site.sign_in("ada").await;
    let me = ada.get("/api/me").await;
    assert_eq!(me.status, 200);
    assert!(me.header("content-type").starts_with("application/json"), "{me:#?}");
    let me = me.json();
    assert_eq!(me["id"], json!("ada"));
    assert_eq!(me["email"], json!("ada@example.com"));
    assert_eq!(me["email_verified"], json!(true));
    assert_eq!(me["via"], json!("session"));
    assert_eq!(me["created_at"], json!(site.now()));
    assert_eq!(me["last_login_at"], json!(site.now()));
    let mut fields: Vec<_> = me.as_object().expect("an object").keys().map(String::as_str).collect();
    fields.sort_unstable();
    let agreed = [
        "created_at",
        "email",
        "email_verified",
        "hosted_domain",
        "id",
        "last_login_at",
        "name",
        "picture",
        "provider",
        "via",
    ];
    assert_eq!(fields, agreed);
}

#[tokio::test]
async fn a_token_shows_its_owner_and_nobody_else() {
    let site = Site::start().await;
    site.sign_in("grace").await;
    let me = site.token_holder("ada").await.get("/api/me").await;
    assert_eq!(me.status, 200, "{me:#?}");
    assert_eq!((&me.json()["id"], &me.json()["via"]), (&json!("ada"), &json!("token")));
    assert!(me.set_cookies().is_empty());
}

#[tokio::test]
async fn a_bad_token_is_refused_even_beside_a_good_cookie() {
    let site = Site::start().await;
    let ada = site.sign_in("ada").await;
    let answer = ada.ask(Method::GET, "/api/me", &[("authorization", "Bearer dw_pat_wrong")]).await;
    assert_eq!(answer.status, 401);
    assert!(answer.header("www-authenticate").contains("invalid_token"), "{answer:#?}");
    assert_eq!(ada.get("/api/me").await.status, 200, "the cookie is untouched");
}

#[tokio::test]
async fn strange_credentials_are_refused_without_a_fault() {
    let site = Site::start().await;
    let good = site.token_of("ada").await;
    let (cut, longer) = (&good[..good.len() - 1], format!("{good}0"));
    let flipped: String = good.chars().map(|c| if c.is_lowercase() { c.to_ascii_uppercase() } else { c }).collect();
    let long = "x".repeat(20_000);
    for value in ["", "%", "%ZZ", " ", "dw_pat_", "null", "🔑", cut, &longer, &flipped, &long] {
        let answer =
            site.anonymous().ask(Method::GET, "/api/me", &[("authorization", &format!("Bearer {value}"))]).await;
        assert!(matches!(answer.status, 401 | 400), "{value:?}: {answer:#?}");
    }
    for scheme in ["bearer", "BEARER", "Bearer"] {
        let answer =
            site.anonymous().ask(Method::GET, "/api/me", &[("authorization", &format!("{scheme} {good}"))]).await;
        assert_eq!(answer.status, 200, "{scheme}");
    }
    let authorization = format!("Bearer {good}");
    let twice = [("authorization", authorization.as_str()), ("authorization", authorization.as_str())];
    assert_eq!(site.anonymous().ask(Method::GET, "/api/me", &twice).await.status, 400);
}

#[tokio::test]
async fn a_credential_counts_only_in_its_own_place() {
    let site = Site::start().await;
    let ada = site.sign_in("ada").await;
    let session = ada.browser().cookie(&site.session_cookie()).expect("a session");
    let token = site.token_of("ada").await;
    for path in [format!("/api/me?access_token={token}"), format!("/api/me?token={token}")] {
        assert_eq!(site.anonymous().get(&path).await.status, 401, "{path}");
    }
    assert_eq!(TokenHolder::at(&site.url, &session).get("/api/me").await.status, 401, "a session as a token");
    let browser = site.anonymous();
    browser.plant(&site.session_cookie(), &token);
    assert_eq!(browser.get("/api/me").await.status, 401, "a token as a session");
    // Pages know the cookie alone: a token must not be able to act as a person at a screen.
    let page = site.token_holder("ada").await.visit("/").await;
    assert!(page.body.contains("Login to continue"), "{}", page.body);
}

#[tokio::test]
async fn a_token_ends_when_it_expires_or_is_revoked() {
    let site = Site::start().await;
    let (first, second) = (site.token_holder("ada").await, site.token_holder("ada").await);
    let revoked = site.tokens().list(None, 10).await.expect("a list").remove(0);
    assert_eq!(site.tokens().revoke_named(&revoked.hash.short()).await.expect("revoked"), 1);
    let mut statuses = [first.get("/api/me").await.status, second.get("/api/me").await.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 401]);
    site.clock.advance(Duration::from_secs(91 * 24 * 60 * 60));
    assert_eq!([first.get("/api/me").await.status, second.get("/api/me").await.status], [401, 401]);
}

#[tokio::test]
async fn a_foreign_origin_is_never_let_in_by_cors() {
    let site = Site::start().await;
    let ada = site.sign_in("ada").await;
    let headers = [("origin", "https://evil.example"), ("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "cors")];
    let answer = ada.ask(Method::GET, "/api/me", &headers).await;
    assert!(answer.headers.keys().all(|name| !name.as_str().starts_with("access-control-")), "{answer:#?}");
    let preflight = ada.ask(Method::OPTIONS, "/api/me", &headers).await;
    assert!(preflight.headers.keys().all(|name| !name.as_str().starts_with("access-control-")), "{preflight:#?}");
}

#[tokio::test]
async fn the_document_describes_what_the_door_does() {
    let site = Site::start().await;
    let document = site.anonymous().get("/api/openapi.json").await.json();
    let me = &document["paths"].as_object().expect("paths").iter().find(|(path, _)| path.ends_with("/me"));
    let (_, me) = me.expect("/api/me is described");
    for status in ["200", "401", "503"] {
        assert!(me["get"]["responses"][status].is_object(), "{status} is not described: {me:#}");
    }
    let schemes = document["components"]["securitySchemes"].as_object().expect("schemes");
    assert!(schemes.values().any(|scheme| scheme["scheme"] == json!("bearer")), "{schemes:#?}");
    let cookie = schemes.values().find(|scheme| scheme["in"] == json!("cookie")).expect("a cookie scheme");
    assert_eq!(cookie["name"], json!(site.session_cookie()));
    let answer = site.anonymous().ask(Method::POST, "/api/me", SAME_ORIGIN).await;
    assert_eq!(answer.status, 405, "{answer:#?}");
}
