//! Signing out: what ends a session, and what must not.

use reqwest::Method;

use crate::site::instance::Site;
use crate::site::visitors::{CROSS_SITE, SAME_ORIGIN, TYPED, Visitor};

#[tokio::test]
async fn a_log_out_ends_the_session_here_and_for_a_copied_cookie() {
    let site = Site::start().await;
    let ada = site.sign_in("ada").await;
    let copy = ada.browser().also_at(&site.url);
    let answer = ada.post("/logout").await;
    assert_eq!((answer.status, answer.location().path()), (303, "/"));
    assert_eq!(ada.browser().cookie(&site.session_cookie()), None);
    assert_eq!(copy.get("/api/me").await.status, 401);
    assert!(ada.visit("/").await.body.contains("Login to continue"));
    assert!(!answer.headers.contains_key("clear-site-data"), "it stalls browsers for seconds");
}

#[tokio::test]
async fn a_log_out_may_be_repeated() {
    let site = Site::start().await;
    let ada = site.sign_in("ada").await;
    for _ in 0..3 {
        assert_eq!(ada.post("/logout").await.status, 303);
    }
    let stranger = site.anonymous();
    stranger.plant(&site.session_cookie(), "broken=,%ZZ");
    assert_eq!(stranger.post("/logout").await.status, 303);
    stranger.plant(&site.session_cookie(), &"A".repeat(43));
    assert_eq!(stranger.post("/logout").await.status, 303);
}

#[tokio::test]
async fn a_typed_address_logs_out_and_a_link_elsewhere_only_asks() {
    let site = Site::start().await;
    for headers in [TYPED, SAME_ORIGIN] {
        let ada = site.sign_in("ada").await;
        let answer = ada.ask(Method::GET, "/logout", headers).await;
        assert_eq!((answer.status, answer.location().path()), (303, "/"), "{headers:?}");
        assert_eq!(ada.get("/api/me").await.status, 401);
    }
    let prefetch: Vec<_> = TYPED.iter().copied().chain([("sec-purpose", "prefetch")]).collect();
    let image = [("sec-fetch-site", "same-origin"), ("sec-fetch-mode", "no-cors"), ("sec-fetch-dest", "image")];
    for headers in [CROSS_SITE, &[][..], &prefetch, &image] {
        let ada = site.sign_in("ada").await;
        let answer = ada.ask(Method::GET, "/logout", headers).await;
        assert_eq!(answer.status, 200, "{headers:?}: {answer:#?}");
        assert!(answer.body.contains("<button") && answer.body.contains("method=\"post\""), "{}", answer.body);
        assert_eq!(ada.get("/api/me").await.status, 200, "{headers:?} ended a session");
    }
}

#[tokio::test]
async fn whoever_is_signed_out_is_sent_home() {
    let site = Site::start().await;
    let answer = site.anonymous().visit("/logout").await;
    assert_eq!((answer.status, answer.location().path()), (303, "/"));
}

#[tokio::test]
async fn a_log_out_ends_one_session_of_many() {
    let site = Site::start().await;
    let (desk, phone) = (site.sign_in("ada").await, site.sign_in("ada").await);
    let other = site.sign_in("grace").await;
    assert_eq!(desk.post("/logout").await.status, 303);
    assert_eq!(phone.get("/api/me").await.status, 200);
    assert_eq!(other.get("/api/me").await.status, 200);
}
