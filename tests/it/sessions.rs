//! How long a sign-in lasts, and what ends it.

use std::time::Duration;

use reqwest::Method;

use crate::site::instance::Site;
use crate::site::place::Place;
use crate::site::visitors::{Anonymous, Visitor};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

#[tokio::test]
async fn a_session_that_is_not_used_for_a_week_ends() {
    let site = Site::start().await;
    let ada = site.sign_in("ada").await;
    site.clock.advance(6 * DAY);
    assert_eq!(ada.get("/api/me").await.status, 200);
    site.until_seen_now().await;
    site.clock.advance(6 * DAY);
    assert_eq!(ada.get("/api/me").await.status, 200, "its use was not noted");
    site.until_seen_now().await;
    site.clock.advance(7 * DAY);
    assert_eq!(ada.get("/api/me").await.status, 401);
}

#[tokio::test]
async fn a_session_ends_after_a_month_however_much_it_is_used() {
    let site = Site::start().await;
    let ada = site.sign_in("ada").await;
    for _ in 0..29 {
        site.clock.advance(DAY);
        assert_eq!(ada.get("/api/me").await.status, 200);
        site.until_seen_now().await;
    }
    site.clock.advance(DAY);
    assert_eq!(ada.get("/api/me").await.status, 401);
}

#[tokio::test]
async fn a_handle_counts_byte_by_byte() {
    let site = Site::start().await;
    let ada = site.sign_in("ada").await;
    let (name, handle) = (site.session_cookie(), ada.browser().cookie(&site.session_cookie()).expect("a session"));
    let mut wrong = vec![handle[..42].to_owned(), format!("{handle}A"), format!("\"{handle}\""), format!("{handle}=")];
    for at in 0..handle.len() {
        let mut bytes = handle.clone().into_bytes();
        bytes[at] = if bytes[at].is_ascii_lowercase() { bytes[at].to_ascii_uppercase() } else { b'a' };
        wrong.push(String::from_utf8(bytes).expect("ASCII"));
    }
    for value in wrong.iter().filter(|value| **value != handle) {
        let browser = site.anonymous();
        browser.plant(&name, value);
        assert_eq!(browser.get("/api/me").await.status, 401, "{value}");
    }
}

#[tokio::test]
async fn a_cookie_is_read_exactly_and_strange_neighbours_do_no_harm() {
    let site = Site::start().await;
    let ada = site.sign_in("ada").await;
    let (name, handle) = (site.session_cookie(), ada.browser().cookie(&site.session_cookie()).expect("a session"));
    let status = async |line: String| {
        let raw = format!("GET /api/me HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nCookie: {line}\r\n\r\n");
        site.raw(raw.as_bytes()).await
    };
    let encoded = name.replace('_', "%5F");
    for line in [
        format!("{encoded}={handle}"),
        format!("\u{a0}{name}={handle}"),
        format!("{}={handle}", name.to_uppercase()),
        format!("{name} ={handle}"),
        format!("{name}=\"{handle}\""),
        format!("x{name}={handle}"),
        format!("{name}={handle}x"),
    ] {
        assert_eq!(status(line.clone()).await, 401, "{line:?} counts as ours");
    }
    for line in [
        format!("{name}={handle}"),
        format!("café=crème; {name}={handle}; ünï=☃"),
        format!("broken; =; ==; {name}={handle}"),
        format!("a=%ZZ;{name}={handle};b"),
        format!("{name}={}; {name}={handle}", "A".repeat(43)),
        format!("{name}={handle}; {name}=planted"),
    ] {
        assert_eq!(status(line.clone()).await, 200, "{line:?} locks the person out");
    }
}

#[tokio::test]
async fn a_session_that_is_ended_through_one_instance_is_refused_by_the_other() {
    for place in Place::all() {
        let Some(site) = Site::on(place).await else { continue };
        let other = site.second_instance().await;
        let ada = site.sign_in("ada").await;
        let there = ada.browser().also_at(&other.url);
        assert_eq!(there.get("/api/me").await.status, 200, "{place:?}: a session of one is known to the other");
        let session = site.sessions().list(None, 2).await.expect("a list").remove(0).handle.short();
        assert_eq!(other.sessions().end_named(&session).await.expect("ended"), 1);
        assert_eq!(ada.get("/api/me").await.status, 401, "{place:?}");
        let ada = site.sign_in("ada").await;
        let there = ada.browser().also_at(&other.url);
        assert_eq!(there.get("/api/me").await.status, 200);
        assert_eq!(ada.post("/logout").await.status, 303);
        assert_eq!(there.get("/api/me").await.status, 401, "{place:?}");
    }
}

#[tokio::test]
async fn whoever_is_deleted_from_users_is_signed_out_at_once() {
    for place in Place::all() {
        let Some(site) = Site::on(place).await else { continue };
        let (ada, token) = (site.sign_in("ada").await, site.token_holder("ada").await);
        assert_eq!([ada.get("/api/me").await.status, token.get("/api/me").await.status], [200, 200], "{place:?}");
        site.database.execute("delete from users where id = 'ada'").await;
        assert_eq!([ada.get("/api/me").await.status, token.get("/api/me").await.status], [401, 401], "{place:?}");
    }
}

#[tokio::test]
async fn a_database_that_is_away_signs_nobody_out() {
    let Some((site, line)) = Site::behind_a_line().await else { return };
    let ada = site.sign_in("ada").await;
    let cookies = ada.browser().cookies();
    line.cut();
    for (path, headers) in [("/api/me", &[][..]), ("/", crate::site::visitors::TYPED)] {
        let answer = ada.ask(Method::GET, path, headers).await;
        assert_eq!(answer.status, 503, "{path}: {answer:#?}");
        assert!(!answer.header("retry-after").is_empty(), "{answer:#?}");
        assert!(answer.set_cookies().is_empty(), "{path}: an outage costs the cookie: {answer:#?}");
    }
    assert_eq!(ada.browser().cookies(), cookies);
    assert_eq!(site.anonymous().get("/healthz").await.status, 200);
    let ready = site.anonymous().get("/readyz").await;
    assert_eq!(ready.status, 503);
    assert_eq!(ready.json()["checks"]["database"], "unavailable", "{}", ready.body);
    line.mend();
    site.until_status(ada.browser(), "/api/me", 200).await;
}

#[tokio::test]
async fn a_log_out_while_the_database_is_away_is_made_good_later() {
    let Some((site, line)) = Site::behind_a_line().await else { return };
    let ada = site.sign_in("ada").await;
    let copy: Anonymous = ada.browser().also_at(&site.url);
    line.cut();
    let answer = ada.post("/logout").await;
    assert_ne!(answer.status, 303, "success was reported falsely");
    assert_eq!(ada.browser().cookie(&site.session_cookie()), None, "here the cookie goes all the same");
    line.mend();
    site.until_status(&copy, "/api/me", 401).await;
    // This instance refuses it at once; every other one from when it is written.
    site.until_no_session().await;
}
