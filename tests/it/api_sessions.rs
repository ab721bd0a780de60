//! `/api/sessions`: a program sees where somebody is signed in, a person ends it.

use reqwest::Method;
use serde_json::{Value, json};

use crate::site::instance::Site;
use crate::site::place::Place;
use crate::site::visitors::{SCRIPT, SignedIn, TokenHolder, Visitor};

async fn sessions(visitor: &impl Visitor) -> Vec<Value> {
    let answer = visitor.get("/api/sessions").await;
    assert_eq!(answer.status, 200, "{answer:#?}");
    answer.json().as_array().expect("an array").clone()
}

fn id(session: &Value) -> &str {
    session["id"].as_str().expect("an id")
}

async fn is_in(visitor: &SignedIn) -> bool {
    visitor.get("/api/me").await.status == 200
}

#[tokio::test]
async fn a_person_sees_their_sessions_and_nobody_elses() {
    for place in Place::all() {
        let Some(site) = Site::on(place).await else { continue };
        let (ada, other, grace) = (site.sign_in("ada").await, site.sign_in("ada").await, site.sign_in("grace").await);
        let listed = sessions(&ada).await;
        assert_eq!(listed.len(), 2, "{place:?}: {listed:#?}");
        assert_eq!(listed.iter().filter(|session| session["current"] == json!(true)).count(), 1, "{listed:#?}");
        let own = |listed: &[Value]| listed.iter().find(|session| session["current"] == json!(true)).cloned();
        assert_ne!(own(&listed), own(&sessions(&other).await), "each browser knows itself");
        assert_eq!(sessions(&grace).await.len(), 1, "{place:?}");
        let session = &listed[0];
        assert_eq!(session["created_at"], json!(site.now()));
        assert!(session["address"].as_str().is_some_and(|address| !address.is_empty()), "{session:#}");
    }
}

#[tokio::test]
async fn a_session_is_ended_by_its_owner_alone() {
    for place in Place::all() {
        let Some(site) = Site::on(place).await else { continue };
        let (ada, other, grace) = (site.sign_in("ada").await, site.sign_in("ada").await, site.sign_in("grace").await);
        let listed = sessions(&ada).await;
        let theirs = listed.iter().find(|session| session["current"] == json!(false)).expect("the other one");
        let door = format!("/api/sessions/{}", id(theirs));
        assert_eq!(grace.ask(Method::DELETE, &door, SCRIPT).await.status, 404, "{place:?}: somebody else's");
        assert!(is_in(&other).await, "{place:?}");
        let elsewhere = site.second_instance().await;
        let copy = other.browser().also_at(&elsewhere.url);
        let ended = ada.ask(Method::DELETE, &door, SCRIPT).await;
        assert_eq!((ended.status, ended.set_cookies()), (204, vec![]), "{ended:#?}");
        assert!(!is_in(&other).await && is_in(&ada).await, "{place:?}");
        assert_eq!(copy.get("/api/me").await.status, 401, "{place:?}: the other instance refuses it at once");
        assert_eq!(ada.ask(Method::DELETE, &door, SCRIPT).await.status, 404, "it has ended already");
    }
}

#[tokio::test]
async fn ending_the_session_that_asks_takes_the_cookie_away() {
    let site = Site::start().await;
    let ada = site.sign_in("ada").await;
    let door = format!("/api/sessions/{}", id(&sessions(&ada).await[0]));
    assert_eq!(ada.ask(Method::DELETE, &door, SCRIPT).await.status, 204);
    assert_eq!(ada.browser().cookie(&site.session_cookie()), None);
}

#[tokio::test]
async fn all_others_or_all_are_ended_at_once() {
    for place in Place::all() {
        let Some(site) = Site::on(place).await else { continue };
        let (ada, grace) = (site.sign_in("ada").await, site.sign_in("grace").await);
        let others = [site.sign_in("ada").await, site.sign_in("ada").await];
        let token = site.token_holder("ada").await;
        let ended = ada.ask(Method::DELETE, "/api/sessions?keep=current", SCRIPT).await;
        // The token's holder signed in for it once, too.
        assert_eq!((ended.status, &ended.json()["ended"]), (200, &json!(3)), "{place:?}: {ended:#?}");
        assert!(is_in(&ada).await && !is_in(&others[0]).await && !is_in(&others[1]).await, "{place:?}");
        let ended = ada.ask(Method::DELETE, "/api/sessions", SCRIPT).await;
        assert_eq!(ended.json()["ended"], json!(1), "{place:?}");
        assert!(!is_in(&ada).await && is_in(&grace).await, "{place:?}");
        assert_eq!(token.get("/api/me").await.status, 200, "{place:?}: tokens stay");
        let wrong = grace.ask(Method::DELETE, "/api/sessions?keep=everything", SCRIPT).await;
        assert_eq!((wrong.status, is_in(&grace).await), (400, true), "a slip of the pen ends nothing: {wrong:#?}");
    }
}

#[tokio::test]
async fn a_token_looks_and_does_not_touch() {
    let site = Site::start().await;
    let ada = site.sign_in("ada").await;
    let token = site.token_holder("ada").await;
    let listed = sessions(&token).await;
    assert!(listed.iter().all(|session| session["current"] == json!(false)), "{listed:#?}");
    for door in ["/api/sessions".to_owned(), format!("/api/sessions/{}", id(&listed[0]))] {
        let answer = token.ask(Method::DELETE, &door, &[]).await;
        assert_eq!((answer.status, &answer.json()["code"]), (403, &json!("session_required")), "{answer:#?}");
        assert_eq!(answer.header("www-authenticate"), "Bearer error=\"insufficient_scope\"");
    }
    // Not even beside the person's own cookie, on a page of the site.
    let cookie = ada.browser().cookie(&site.session_cookie()).expect("a session");
    token.browser().plant(&site.session_cookie(), &cookie);
    assert_eq!(token.ask(Method::DELETE, "/api/sessions", SCRIPT).await.status, 403);
    assert!(is_in(&ada).await);
    // Nor does a token that admits nobody open what the cookie alone would not.
    let foreign = [("authorization", "Bearer dw_pat_wrong"), ("sec-fetch-site", "cross-site")];
    assert_eq!(ada.ask(Method::DELETE, "/api/sessions", &foreign).await.status, 401);
    assert_eq!(ada.ask(Method::POST, "/logout", &foreign).await.status, 403, "pages know no tokens");
    assert!(is_in(&ada).await);
}

#[tokio::test]
async fn the_fifty_first_sign_in_ends_the_oldest_session() {
    for place in [Place::Sqlite, Place::MariaDb] {
        let Some(site) = Site::on(place).await else { continue };
        let (first, grace) = (site.sign_in("ada").await, site.sign_in("grace").await);
        site.clock.advance(std::time::Duration::from_secs(1));
        let second = site.sign_in("ada").await;
        // The rest are opened in one second: which of them is the oldest must not depend on chance for the newest.
        site.clock.advance(std::time::Duration::from_secs(1));
        for _ in 0..48 {
            site.sign_in("ada").await;
        }
        assert!(is_in(&first).await, "{place:?}: fifty fit");
        let newest = site.sign_in("ada").await;
        assert!(!is_in(&first).await && is_in(&second).await && is_in(&newest).await, "{place:?}");
        assert_eq!(sessions(&newest).await.len(), 50, "{place:?}");
        assert!(is_in(&grace).await, "{place:?}: somebody else's count for themselves");
    }
}

#[tokio::test]
async fn a_narrow_token_does_not_read_the_lists() {
    let site = Site::start().await;
    let ada = site.sign_in("ada").await;
    let made = ada.send_json(Method::POST, "/api/tokens", &json!({ "name": "narrow" })).await;
    let token = TokenHolder::at(&site.url, made.json()["token"].as_str().expect("a token"));
    assert_eq!(token.get("/api/me").await.status, 200);
    for door in ["/api/sessions", "/api/tokens"] {
        let answer = token.get(door).await;
        assert_eq!((answer.status, &answer.json()["code"]), (403, &json!("insufficient_scope")), "{answer:#?}");
        let challenge = "Bearer error=\"insufficient_scope\", scope=\"account\"";
        assert_eq!(answer.header("www-authenticate"), challenge, "{door}");
    }
}
