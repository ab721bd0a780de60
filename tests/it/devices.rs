//! Signing in from a terminal: a code is shown, typed and decided about; the token is given once. The polling rules are
//! those of RFC 8628.

use std::time::Duration;

use doorward::devices::network;
use doorward::model::{EventKind, Scope, UserId};
use serde_json::{Value, json};

use crate::site::instance::Site;
use crate::site::place::Place;
use crate::site::visitors::{Anonymous, Answer, TokenHolder, Visitor};

const GRANT_TYPE: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// A program that has asked.
struct Terminal {
    browser: Anonymous,
    code: String,
    user_code: String,
}

/// Sends a form as a program does: nothing tells a browser.
async fn send(browser: &Anonymous, door: &str, fields: &[(&str, &str)]) -> Answer {
    let form = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    browser.ask_with(reqwest::Method::POST, door, &[], ("application/x-www-form-urlencoded", form)).await
}

impl Terminal {
    async fn on(site: &Site, machine: &str) -> Self {
        let browser = site.anonymous();
        let answer = send(&browser, "/api/device", &[("client_id", "tests"), ("machine", machine)]).await;
        assert_eq!(answer.status, 200, "{answer:#?}");
        let asked = answer.json();
        let text = |name: &str| asked[name].as_str().expect("a text").to_owned();
        assert_eq!(text("verification_uri"), format!("{}/device", site.url));
        assert_eq!((&asked["expires_in"], &asked["interval"]), (&json!(600), &json!(5)));
        let user_code = text("user_code");
        let is_letter = |letter: char| "BCDFGHJKLMNPQRSTVWXZ".contains(letter);
        let (first, second) = user_code.split_once('-').expect("two parts");
        assert!(
            first.len() == 4 && second.len() == 4 && (first.to_owned() + second).chars().all(is_letter),
            "{user_code}"
        );
        Self { code: text("device_code"), browser, user_code }
    }

    async fn poll(&self) -> Answer {
        let fields = [("client_id", "tests"), ("grant_type", GRANT_TYPE), ("device_code", &self.code)];
        send(&self.browser, "/api/device/token", &fields).await
    }

    /// The error that polling gives.
    async fn refusal(&self) -> Value {
        let answer = self.poll().await;
        assert_eq!((answer.status, answer.header("cache-control")), (400, "no-store"), "{answer:#?}");
        answer.json()["error"].clone()
    }
}

fn pass(site: &Site, seconds: u64) {
    site.clock.advance(Duration::from_secs(seconds));
}

#[tokio::test]
async fn a_terminal_is_let_in_by_its_person_and_gets_one_token() {
    for place in Place::all() {
        let Some(site) = Site::on(place).await else { continue };
        let ada = site.sign_in("ada").await;
        let terminal = Terminal::on(&site, "laptop<b>.example\u{202e}").await;
        assert_eq!(terminal.refusal().await, json!("authorization_pending"), "{place:?}");
        let typed = terminal.user_code.to_lowercase().replace('-', " ");
        let page = ada.submit("/device", &[("code", &typed)]).await;
        assert_eq!(page.status, 200, "{place:?}: {page:#?}");
        assert!(page.body.contains("laptopb.example") && !page.body.contains('\u{202e}'), "{}", page.body);
        assert!(page.body.contains("127.0.0.1") || page.body.contains("::1"), "it says from where: {}", page.body);
        pass(&site, 5);
        assert_eq!(terminal.refusal().await, json!("authorization_pending"), "{place:?}: looking decides nothing");
        let done = ada.submit("/device", &[("code", &typed), ("decide", "approve")]).await;
        assert!(done.body.contains("You can go back to your terminal"), "{place:?}: {}", done.body);
        // Another instance answers as well.
        let elsewhere = site.second_instance().await;
        let terminal = Terminal { browser: elsewhere.anonymous(), ..terminal };
        pass(&site, 5);
        let given = terminal.poll().await;
        assert_eq!((given.status, &given.json()["token_type"]), (200, &json!("Bearer")), "{place:?}: {given:#?}");
        assert_eq!(given.json()["scope"], json!("me"));
        let value = given.json()["access_token"].as_str().expect("a token").to_owned();
        let holder = TokenHolder::at(&site.url, &value);
        assert_eq!(holder.get("/api/me").await.json()["id"], json!("ada"), "{place:?}");
        pass(&site, 5);
        assert_eq!(terminal.refusal().await, json!("invalid_grant"), "{place:?}: it is given once");
        let listed = ada.get("/api/tokens").await.json();
        assert_eq!(listed[0]["name"], json!("Terminal on laptopb.example"), "{place:?}");
        assert_eq!(listed.as_array().map(Vec::len), Some(1), "{place:?}");
        // The token can end itself, and nothing else.
        assert_eq!(holder.ask(reqwest::Method::DELETE, "/api/tokens/current", &[]).await.status, 204, "{place:?}");
        assert_eq!(holder.get("/api/me").await.status, 401, "{place:?}");
    }
}

#[tokio::test]
async fn a_terminal_that_is_turned_away_is_told_so() {
    for place in [Place::Sqlite, Place::MariaDb] {
        let Some(site) = Site::on(place).await else { continue };
        let ada = site.sign_in("ada").await;
        let terminal = Terminal::on(&site, "laptop").await;
        let code = terminal.user_code.as_str();
        assert!(ada.submit("/device", &[("code", code), ("decide", "deny")]).await.body.contains("Nobody was let in"));
        assert_eq!(terminal.refusal().await, json!("access_denied"), "{place:?}");
        let late = ada.submit("/device", &[("code", code), ("decide", "approve")]).await;
        assert_eq!(late.status, 400, "{place:?}: what is decided is decided");
        pass(&site, 5);
        assert_eq!(terminal.refusal().await, json!("access_denied"), "{place:?}");
    }
}

#[tokio::test]
async fn a_terminal_that_asks_too_often_is_slowed_down() {
    let site = Site::start().await;
    let terminal = Terminal::on(&site, "laptop").await;
    assert_eq!(terminal.refusal().await, json!("authorization_pending"));
    pass(&site, 4);
    assert_eq!(terminal.refusal().await, json!("slow_down"));
    pass(&site, 9);
    assert_eq!(terminal.refusal().await, json!("slow_down"), "ten seconds now, counted from the last question");
    pass(&site, 15);
    assert_eq!(terminal.refusal().await, json!("authorization_pending"));
}

#[tokio::test]
async fn both_codes_end_after_ten_minutes() {
    for place in [Place::Sqlite, Place::MariaDb] {
        let Some(site) = Site::on(place).await else { continue };
        let terminal = Terminal::on(&site, "laptop").await;
        let approved = Terminal::on(&site, "desk").await;
        let ada = site.sign_in("ada").await;
        ada.submit("/device", &[("code", &approved.user_code), ("decide", "approve")]).await;
        pass(&site, 600);
        let fresh = site.sign_in("ada").await;
        let page = fresh.submit("/device", &[("code", &terminal.user_code)]).await;
        assert_eq!(page.status, 400, "{place:?}");
        assert!(page.body.contains("No terminal waits under this code"), "{}", page.body);
        assert_eq!(terminal.refusal().await, json!("expired_token"), "{place:?}");
        assert_eq!(approved.refusal().await, json!("expired_token"), "{place:?}: a token that nobody fetched");
    }
}

#[tokio::test]
async fn wrong_codes_are_not_looked_at_for_long() {
    let site = Site::start().await;
    let (mallory, ada) = (site.sign_in("mallory").await, site.sign_in("ada").await);
    let terminal = Terminal::on(&site, "laptop").await;
    for number in 0..10 {
        let answer = mallory.submit("/device", &[("code", "BCDF-BCDF")]).await;
        assert_eq!(answer.status, 400, "{number}: {answer:#?}");
    }
    let right = mallory.submit("/device", &[("code", &terminal.user_code), ("decide", "approve")]).await;
    assert_eq!(right.status, 429, "even the right one: {right:#?}");
    assert!(right.body.contains("Wait 10 minutes"), "{}", right.body);
    assert_eq!(right.header("retry-after"), "600");
    assert_eq!(terminal.refusal().await, json!("authorization_pending"));
    // Here both are at one address, which is counted too.
    assert_eq!(ada.submit("/device", &[("code", &terminal.user_code)]).await.status, 429);
    pass(&site, 600);
    let (again, terminal) = (site.sign_in("mallory").await, Terminal::on(&site, "laptop").await);
    assert_eq!(again.submit("/device", &[("code", &terminal.user_code)]).await.status, 200);
}

#[tokio::test]
async fn only_so_many_may_wait_at_one_address() {
    for place in Place::all() {
        let Some(site) = Site::on(place).await else { continue };
        for _ in 0..20 {
            Terminal::on(&site, "laptop").await;
        }
        let full = send(&site.anonymous(), "/api/device", &[("machine", "one more")]).await;
        assert_eq!((full.status, &full.json()["code"]), (429, &json!("too_many_wait")), "{place:?}: {full:#?}");
        assert_eq!(full.header("retry-after"), "60");
        pass(&site, 600);
        Terminal::on(&site, "laptop").await;
    }
}

#[tokio::test]
async fn only_a_person_who_signed_in_lately_lets_a_terminal_in_and_only_on_this_page() {
    let site = Site::start().await;
    let ada = site.sign_in("ada").await;
    let token = site.token_holder("ada").await;
    pass(&site, 595);
    let terminal = Terminal::on(&site, "laptop").await;
    let code = terminal.user_code.as_str();
    let form = |decide: &str| {
        let fields = [("code", code), ("decide", decide)];
        url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
    };
    let kind = "application/x-www-form-urlencoded";
    let nobody = site.anonymous().submit("/device", &[("code", code), ("decide", "approve")]).await;
    assert_eq!(nobody.status, 401);
    let headers = crate::site::visitors::CROSS_SITE;
    let foreign = ada.ask_with(reqwest::Method::POST, "/device", headers, (kind, form("approve"))).await;
    assert_eq!(foreign.status, 403, "{foreign:#?}");
    let headers = crate::site::visitors::SAME_ORIGIN;
    let program = token.ask_with(reqwest::Method::POST, "/device", headers, (kind, form("approve"))).await;
    assert_eq!(program.status, 401, "a token lets no other in: {program:#?}");
    assert_eq!(ada.visit(&format!("/device?code={code}&decide=approve")).await.status, 200, "looking decides nothing");
    pass(&site, 6);
    assert_eq!(ada.submit("/device", &[("code", code), ("decide", "approve")]).await.status, 403, "too long ago");
    assert!(ada.visit("/device").await.body.contains("Sign in again"));
    assert_eq!(terminal.refusal().await, json!("authorization_pending"));
}

#[tokio::test]
async fn a_person_who_is_kept_out_or_deleted_meanwhile_lets_nobody_in() {
    for place in Place::all() {
        let Some(site) = Site::on(place).await else { continue };
        let (ada, grace) = (site.sign_in("ada").await, site.sign_in("grace").await);
        let terminals = [Terminal::on(&site, "laptop").await, Terminal::on(&site, "desk").await];
        for (person, terminal) in [&ada, &grace].into_iter().zip(&terminals) {
            person.submit("/device", &[("code", &terminal.user_code), ("decide", "approve")]).await;
        }
        site.database.execute("update doorward_identities set blocked_at = 1 where user_id = 'ada'").await;
        let gone = grace.submit("/account/delete", &[]).await;
        assert!(gone.body.contains("Your account is deleted"), "{place:?}: {gone:#?}");
        site.sign_in("grace").await;
        for terminal in &terminals {
            assert_eq!(terminal.refusal().await, json!("invalid_grant"), "{place:?}");
        }
        assert!(site.tokens().list(None, 5).await.expect("a list").is_empty(), "{place:?}");
    }
}

#[tokio::test]
async fn of_two_that_come_with_one_code_one_gets_the_token() {
    for place in Place::all() {
        let Some(site) = Site::on(place).await else { continue };
        let other = site.second_instance().await;
        let ada = site.sign_in("ada").await;
        for _ in 0..10 {
            let terminal = Terminal::on(&site, "laptop").await;
            ada.submit("/device", &[("code", &terminal.user_code), ("decide", "approve")]).await;
            let copy = Terminal {
                browser: other.anonymous(),
                code: terminal.code.clone(),
                user_code: terminal.user_code.clone(),
            };
            let (one, two) = tokio::join!(terminal.poll(), copy.poll());
            let mut statuses = [one.status, two.status];
            statuses.sort_unstable();
            assert_eq!(statuses, [200, 400], "{place:?}: {one:#?} {two:#?}");
        }
        assert_eq!(ada.get("/api/tokens").await.json().as_array().map(Vec::len), Some(10), "{place:?}");
    }
}

#[tokio::test]
async fn the_answers_to_what_nobody_should_send_are_those_of_the_rfc() {
    let site = Site::start().await;
    let terminal = Terminal::on(&site, "").await;
    let browser = site.anonymous();
    let code = terminal.code.as_str();
    for (fields, error) in [
        (&[][..], "invalid_request"),
        (&[("grant_type", GRANT_TYPE)], "invalid_request"),
        (&[("device_code", code)], "invalid_request"),
        (&[("grant_type", "authorization_code"), ("device_code", code)], "unsupported_grant_type"),
        (&[("grant_type", GRANT_TYPE), ("device_code", "wrong")], "invalid_grant"),
        (&[("grant_type", GRANT_TYPE), ("device_code", &terminal.user_code)], "invalid_grant"),
        (&[("grant_type", GRANT_TYPE), ("device_code", code), ("device_code", code)], "invalid_request"),
    ] {
        let answer = send(&browser, "/api/device/token", fields).await;
        assert_eq!((answer.status, &answer.json()["error"]), (400, &json!(error)), "{fields:?}");
    }
    let scope = send(&browser, "/api/device", &[("scope", "admin")]).await;
    assert_eq!((scope.status, &scope.json()["error"]), (400, &json!("invalid_scope")));
    let wide = send(&browser, "/api/device", &[("scope", "account"), ("machine", &"m".repeat(500))]).await;
    assert_eq!(wide.status, 200, "{wide:#?}");
    let body = ("application/json", "{}".to_owned());
    let answer = browser.ask_with(reqwest::Method::POST, "/api/device", &[], body).await;
    assert_eq!((answer.status, &answer.json()["error"]), (400, &json!("invalid_request")), "{answer:#?}");
}

#[tokio::test]
async fn whoever_has_as_many_tokens_as_they_may_is_told_so_at_both_ends() {
    let site = Site::start().await;
    let ada = site.sign_in("ada").await;
    let (early, late) = (Terminal::on(&site, "laptop").await, Terminal::on(&site, "desk").await);
    let make = async |name: &str| {
        let (owner, life) = (UserId::new("ada"), Duration::from_secs(3600));
        site.tokens().create(owner, name.to_owned(), Scope::Me, life).await.expect("a token");
    };
    for number in 0..99 {
        make(&number.to_string()).await;
    }
    let approve = async |terminal: &Terminal| {
        ada.submit("/device", &[("code", &terminal.user_code), ("decide", "approve")]).await
    };
    assert_eq!(approve(&early).await.status, 200);
    make("the hundredth").await;
    let told = early.poll().await;
    assert_eq!((told.status, &told.json()["error"]), (400, &json!("access_denied")), "{told:#?}");
    assert!(told.body.contains("as many tokens"), "{told:#?}");
    let page = approve(&late).await;
    assert!(page.status == 409 && page.body.contains("as many tokens as anybody may"), "{page:#?}");
    assert_eq!(late.refusal().await, json!("authorization_pending"), "nothing was decided");
}

#[tokio::test]
async fn many_guesses_at_once_are_counted_one_by_one() {
    let site = Site::start().await;
    let mallory = site.sign_in("mallory").await;
    let guesses = (0..30).map(|_| mallory.submit("/device", &[("code", "BCDF-BCDF")]));
    let answers = futures_util::future::join_all(guesses).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 400).count(), 10, "the others are not looked at");
    assert_eq!(answers.iter().filter(|answer| answer.status == 429).count(), 20);
}

#[test]
fn an_address_of_ipv6_is_counted_with_its_neighbours() {
    for (address, counted) in [
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::1", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::1", "2001:db8:1:3::/64"),
        ("::1", "0:0:0:0::/64"),
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("", ""),
    ] {
        assert_eq!(network(address), counted, "{address:?}");
    }
}

#[tokio::test]
async fn what_was_decided_stands_on_record_with_the_machine() {
    let site = Site::start().await;
    let ada = site.sign_in("ada").await;
    for (machine, decision) in [("desk", "deny"), ("laptop", "approve")] {
        let terminal = Terminal::on(&site, machine).await;
        ada.submit("/device", &[("code", &terminal.user_code), ("decide", decision)]).await;
    }
    let events = site.audit().of(&UserId::new("ada"), 10).await.expect("a list");
    let seen: Vec<_> = events.iter().map(|recorded| (recorded.event.kind, recorded.event.detail.as_str())).collect();
    assert!(matches!(seen[0], (EventKind::TerminalApproved, detail) if detail.starts_with("laptop at ")), "{seen:?}");
    assert!(matches!(seen[1], (EventKind::TerminalDenied, detail) if detail.starts_with("desk at ")), "{seen:?}");
    let page = ada.visit("/account").await.body;
    assert!(page.contains("You let a terminal in") && page.contains("You turned a terminal away"), "{page}");
}
