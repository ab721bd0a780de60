//! `/api/tokens`: a person makes credentials for their programs, and takes them back.

use std::time::Duration;

use doorward::model::{Scope, UserId};
use reqwest::Method;
use serde_json::{Value, json};

use crate::site::instance::Site;
use crate::site::place::Place;
use crate::site::visitors::{Answer, SCRIPT, TokenHolder, Visitor};

async fn make(visitor: &impl Visitor, wanted: Value) -> Answer {
    visitor.send_json(Method::POST, "/api/tokens", &wanted).await
}

#[tokio::test]
async fn a_token_is_made_shown_once_listed_and_revoked() {
    for place in Place::all() {
        let Some(site) = Site::on(place).await else { continue };
        let (ada, grace) = (site.sign_in("ada").await, site.sign_in("grace").await);
        let made = make(&ada, json!({ "name": "  Laptop 💻 ", "scope": "account", "days": 7 })).await;
        assert_eq!(made.status, 201, "{place:?}: {made:#?}");
        assert_eq!(made.header("cache-control"), "no-store");
        let made = made.json();
        let value = made["token"].as_str().expect("the token itself");
        assert!(value.starts_with("dw_pat_") && value.ends_with(made["last_four"].as_str().expect("four")), "{made:#}");
        assert_eq!((&made["name"], &made["scope"]), (&json!("Laptop 💻"), &json!("account")));
        let token = TokenHolder::at(&site.url, value);
        assert_eq!(token.get("/api/me").await.json()["id"], json!("ada"), "{place:?}");
        let listed = ada.get("/api/tokens").await;
        assert!(!listed.body.contains(value), "{place:?}: a token is shown once");
        assert_eq!(listed.json().as_array().expect("an array").len(), 1);
        assert_eq!(listed.json()[0]["id"], made["id"]);
        assert_eq!(grace.get("/api/tokens").await.json(), json!([]), "{place:?}");
        let door = format!("/api/tokens/{}", made["id"].as_str().expect("an id"));
        assert_eq!(grace.ask(Method::DELETE, &door, SCRIPT).await.status, 404, "{place:?}: somebody else's");
        assert_eq!(token.get("/api/me").await.status, 200, "{place:?}");
        let elsewhere = site.second_instance().await;
        let there = TokenHolder::at(&elsewhere.url, value);
        assert_eq!(there.get("/api/me").await.status, 200, "{place:?}");
        assert_eq!(ada.ask(Method::DELETE, &door, SCRIPT).await.status, 204, "{place:?}");
        for holder in [&token, &there] {
            assert_eq!(holder.get("/api/me").await.status, 401, "{place:?}: on every instance, on its next request");
        }
    }
}

#[tokio::test]
async fn a_token_lives_for_as_many_days_as_were_asked_for() {
    let site = Site::start().await;
    let ada = site.sign_in("ada").await;
    let (short, usual) =
        (make(&ada, json!({ "name": "a", "days": 1 })).await, make(&ada, json!({ "name": "b" })).await);
    let holder = |made: &Answer| TokenHolder::at(&site.url, made.json()["token"].as_str().expect("a token"));
    let (short, usual) = (holder(&short), holder(&usual));
    let hour = Duration::from_secs(60 * 60);
    site.clock.advance(23 * hour);
    assert_eq!([short.get("/api/me").await.status, usual.get("/api/me").await.status], [200, 200]);
    site.clock.advance(hour);
    assert_eq!([short.get("/api/me").await.status, usual.get("/api/me").await.status], [401, 200]);
    site.clock.advance(89 * 24 * hour);
    assert_eq!(usual.get("/api/me").await.status, 401, "ninety days is the default");
}

#[tokio::test]
async fn a_token_is_made_only_soon_after_a_sign_in() {
    let site = Site::start().await;
    let ada = site.sign_in("ada").await;
    site.clock.advance(Duration::from_secs(10 * 60));
    assert_eq!(make(&ada, json!({ "name": "in time" })).await.status, 201);
    site.clock.advance(Duration::from_secs(1));
    let late = make(&ada, json!({ "name": "late" })).await;
    assert_eq!((late.status, &late.json()["code"]), (403, &json!("reauthentication_required")), "{late:#?}");
    let login_url = late.json()["login_url"].as_str().expect("a way on").to_owned();
    assert_eq!(login_url, format!("{}/login?rd=/account&prompt=login", site.url));
    let request = ada.visit(&login_url).await.location();
    let callback = site.authorize(ada.browser(), &request, "ada").await;
    let back = ada.visit(callback.as_str()).await;
    assert_eq!(back.location().path(), "/account");
    assert_eq!(make(&ada, json!({ "name": "again" })).await.status, 201);
}

#[tokio::test]
async fn a_token_makes_no_token_and_revokes_none() {
    let site = Site::start().await;
    let token = site.token_holder("ada").await;
    for headers in [&[][..], SCRIPT] {
        let body = ("application/json", json!({ "name": "child" }).to_string());
        let answer = token.ask_with(Method::POST, "/api/tokens", headers, body).await;
        assert_eq!((answer.status, &answer.json()["code"]), (403, &json!("session_required")), "{answer:#?}");
    }
    let listed = token.get("/api/tokens").await.json();
    let door = format!("/api/tokens/{}", listed[0]["id"].as_str().expect("its own id"));
    assert_eq!(token.ask(Method::DELETE, &door, &[]).await.status, 403);
    assert_eq!(token.get("/api/tokens").await.json().as_array().expect("an array").len(), 1);
}

#[tokio::test]
async fn what_no_token_can_be_made_of_is_refused_with_a_reason() {
    let site = Site::start().await;
    let ada = site.sign_in("ada").await;
    let long = "x".repeat(101);
    for wanted in [
        json!({}),
        json!({ "name": "" }),
        json!({ "name": "   " }),
        json!({ "name": "a\u{7}b" }),
        json!({ "name": "a\u{9b}b" }),
        json!({ "name": "\u{202e}gnp.exe" }),
        json!({ "name": long }),
        json!({ "name": null }),
        json!({ "name": "x", "days": 0 }),
        json!({ "name": "x", "days": 367 }),
        json!({ "name": "x", "days": -1 }),
        json!({ "name": "x", "days": "90" }),
        json!({ "name": "x", "scope": "admin" }),
        json!({ "name": "x", "scope": "me account" }),
        json!({ "name": "x", "user_id": "grace" }),
        json!([]),
        json!("x"),
    ] {
        let answer = make(&ada, wanted.clone()).await;
        assert_eq!((answer.status, &answer.json()["code"]), (400, &json!("invalid_value")), "{wanted}: {answer:#?}");
    }
    for (kind, status) in [
        ("application/x-www-form-urlencoded", 415),
        ("text/plain", 415),
        ("multipart/form-data; boundary=x", 415),
        ("application/json; charset=utf-8", 201),
    ] {
        let body = (kind, json!({ "name": "x" }).to_string());
        assert_eq!(ada.ask_with(Method::POST, "/api/tokens", SCRIPT, body).await.status, status, "{kind}");
    }
    for body in ["", "{", "\u{0}", "nul", "{\"name\":\"x\"}}"] {
        let answer = ada.ask_with(Method::POST, "/api/tokens", SCRIPT, ("application/json", body.to_owned())).await;
        assert_eq!(answer.status, 400, "{body:?}: {answer:#?}");
    }
    assert_eq!(ada.get("/api/tokens").await.json().as_array().expect("an array").len(), 1, "one was made");
}

#[tokio::test]
async fn a_hundred_tokens_are_enough_for_anybody() {
    let site = Site::start().await;
    let (ada, grace) = (site.sign_in("ada").await, site.sign_in("grace").await);
    for number in 0..100 {
        assert_eq!(make(&ada, json!({ "name": number.to_string() })).await.status, 201, "{number}");
    }
    let answer = make(&ada, json!({ "name": "one more" })).await;
    assert_eq!((answer.status, &answer.json()["code"]), (409, &json!("too_many_tokens")), "{answer:#?}");
    assert_eq!(make(&grace, json!({ "name": "hers" })).await.status, 201);
    let first = ada.get("/api/tokens").await.json()[0]["id"].as_str().expect("an id").to_owned();
    assert_eq!(ada.ask(Method::DELETE, &format!("/api/tokens/{first}"), SCRIPT).await.status, 204);
    assert_eq!(make(&ada, json!({ "name": "in its place" })).await.status, 201);
}

/// A program that asks a terminal's way may have made more than a page shows.
#[tokio::test]
async fn revoking_all_leaves_none_however_many_there_are() {
    let site = Site::start().await;
    let (ada, grace) = (site.sign_in("ada").await, site.token_holder("grace").await);
    let user = UserId::new("ada");
    let mut oldest = None;
    for number in 0..450 {
        let made = site.tokens().create(user.clone(), number.to_string(), Scope::Me, Duration::from_secs(3600)).await;
        oldest.get_or_insert(made.expect("a token").0);
    }
    let oldest = TokenHolder::at(&site.url, oldest.expect("the first of them").reveal());
    assert_eq!(oldest.get("/api/me").await.status, 200);
    assert_eq!(site.tokens().revoke_all(&user).await.expect("all of them"), 450);
    assert_eq!(oldest.get("/api/me").await.status, 401);
    assert_eq!(ada.get("/api/tokens").await.json(), json!([]));
    assert_eq!(grace.get("/api/me").await.status, 200, "nobody else's is touched");
}
