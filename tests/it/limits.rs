//! Floods: how often one client may knock, who is one client, and who is none.

use std::time::Duration;

use doorward::clock::Timestamp;
use doorward::web::guard::limits::Brake;
use reqwest::Method;
use serde_json::json;

use crate::site::instance::Site;
use crate::site::visitors::{Anonymous, Answer, TYPED, TokenHolder, Visitor};

const NOW: Timestamp = Timestamp::from_unix(1_800_000_000);

/// Somebody at `address` types `door`, through the proxy on this machine.
async fn typed(browser: &impl Visitor, door: &str, address: &str) -> Answer {
    browser.ask(Method::GET, door, &[TYPED, &[("x-forwarded-for", address)]].concat()).await
}

async fn bounded() -> Site {
    Site::start_with(|config| {
        config.limits.sign_ins_per_minute = 6;
        config.limits.bad_tokens_per_minute = 3;
    })
    .await
}

#[test]
fn a_client_may_knock_so_often_at_once_and_then_as_time_goes_by() {
    let brake = Brake::new(6);
    let after = |seconds| NOW + Duration::from_secs(seconds);
    for _ in 0..6 {
        assert_eq!(brake.knock("192.0.2.1", NOW), Ok(()));
    }
    assert_eq!(brake.knock("192.0.2.1", NOW), Err(Duration::from_secs(10)));
    assert_eq!(brake.knock("192.0.2.1", after(4)), Err(Duration::from_secs(6)), "a refusal costs nothing");
    assert_eq!(brake.knock("192.0.2.2", NOW), Ok(()), "somebody else");
    assert_eq!(brake.knock("192.0.2.1", after(10)), Ok(()));
    assert!(brake.knock("192.0.2.1", after(10)).is_err());
    for _ in 0..6 {
        assert_eq!(brake.knock("192.0.2.1", after(100)), Ok(()), "as many as at first, and no more");
    }
    assert!(brake.knock("192.0.2.1", after(100)).is_err());
    let open = Brake::new(0);
    assert!((0..1000).all(|_| open.knock("192.0.2.1", NOW).is_ok()));
}

#[test]
fn whoever_has_a_network_of_ipv6_has_one_client() {
    let brake = Brake::new(3);
    for host in ["2001:db8:1:2::1", "2001:db8:1:2::2", "2001:db8:1:2:ffff::3"] {
        assert_eq!(brake.knock(host, NOW), Ok(()), "{host}");
    }
    assert!(brake.knock("2001:db8:1:2:8::4", NOW).is_err());
    assert_eq!(brake.knock("2001:db8:1:3::1", NOW), Ok(()));
}

#[test]
fn this_machine_and_whoever_is_not_known_are_not_counted_and_the_rest_takes_a_bounded_place() {
    let brake = Brake::new(1);
    for address in ["127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1", "", "unknown"] {
        assert!((0..10).all(|_| brake.knock(address, NOW).is_ok()), "{address:?}");
    }
    assert_eq!(brake.clients(), 0);
    for number in 0..120_000_u32 {
        let [_, b, c, d] = number.to_be_bytes();
        assert_eq!(brake.knock(&format!("10.{b}.{c}.{d}"), NOW), Ok(()));
        assert!(brake.clients() <= 50_000);
    }
}

#[tokio::test]
async fn who_begins_too_many_sign_ins_waits_and_nobody_else() {
    let site = bounded().await;
    let browser = site.anonymous();
    for number in 0..6 {
        assert_eq!(typed(&browser, "/login", "192.0.2.7").await.status, 303, "{number}");
    }
    let refused = typed(&browser, "/login", "192.0.2.7").await;
    assert_eq!((refused.status, refused.header("retry-after")), (429, "10"), "{refused:#?}");
    assert!(refused.body.contains("Too many attempts"), "{}", refused.body);
    assert!(refused.set_cookies().is_empty(), "nothing was begun");
    assert_eq!(browser.ask(Method::HEAD, "/login", &[("x-forwarded-for", "192.0.2.7")]).await.status, 200);
    assert_eq!(typed(&browser, "/", "192.0.2.7").await.status, 200, "whoever only looks is served");
    assert_eq!(typed(&browser, "/login", "192.0.2.8").await.status, 303);
    site.clock.advance(Duration::from_secs(10));
    assert_eq!(typed(&browser, "/login", "192.0.2.7").await.status, 303);
}

/// HTTP-08: what a client writes into the header itself stands left of what our proxy wrote.
#[tokio::test]
async fn no_forged_header_chooses_another_client() {
    let site = bounded().await;
    let browser = site.anonymous();
    let mut served = 0;
    for number in 0..1000 {
        let forged = format!("198.51.100.{}, 192.0.2.7", number % 250);
        served += usize::from(typed(&browser, "/login", &forged).await.status == 303);
    }
    assert_eq!(served, 6);
}

#[tokio::test]
async fn answers_and_terminals_are_counted_too() {
    let site = bounded().await;
    let browser = site.anonymous();
    let address = [("x-forwarded-for", "192.0.2.7")];
    let callback = async || typed(&browser, "/login/callback?code=c&state=s", "192.0.2.7").await.status;
    let terminal = async || {
        let form = ("application/x-www-form-urlencoded", "machine=laptop".to_owned());
        browser.ask_with(Method::POST, "/api/device", &address, form).await
    };
    for _ in 0..6 {
        assert_eq!(callback().await, 400);
        assert_eq!(terminal().await.status, 200);
    }
    assert_eq!(callback().await, 429);
    let refused = terminal().await;
    assert_eq!((refused.status, &refused.json()["code"]), (429, &json!("too_many_requests")), "{refused:#?}");
    assert_eq!(refused.header("content-type"), "application/problem+json");
}

#[tokio::test]
async fn who_tries_tokens_waits_and_good_ones_are_never_counted() {
    let site = bounded().await;
    let (good, bad) = (site.token_holder("ada").await, TokenHolder::at(&site.url, "dw_pat_wrong"));
    let address = [("x-forwarded-for", "192.0.2.7")];
    let ask = async |visitor: &TokenHolder, door: &str| visitor.ask(Method::GET, door, &address).await;
    for _ in 0..10 {
        assert_eq!(ask(&good, "/api/me").await.status, 200);
    }
    for door in ["/api/me", "/api/sessions", "/gate"] {
        assert_eq!(ask(&bad, door).await.status, 401, "{door}");
    }
    for door in ["/api/me", "/api/tokens", "/gate"] {
        let refused = ask(&bad, door).await;
        assert_eq!((refused.status, refused.header("retry-after")), (429, "20"), "{door}: {refused:#?}");
    }
    let elsewhere = [("x-forwarded-for", "192.0.2.8")];
    assert_eq!(good.ask(Method::GET, "/api/me", &elsewhere).await.status, 200);
    let nobody: Anonymous = site.anonymous();
    assert_eq!(nobody.ask(Method::GET, "/api/me", &address).await.status, 401, "no token, no guess");
    site.clock.advance(Duration::from_secs(20));
    assert_eq!(ask(&bad, "/api/me").await.status, 401);
}
