//! Whatever goes wrong, people and programs read what is so and what to do, and the log tells the operator the same.

use std::collections::BTreeSet;

use doorward::config::public_url::PublicUrl;
use doorward::web::error::Fault;
use doorward::web::paths::Paths;
use doorward::web::told::Told;
use reqwest::Method;
use serde_json::json;

use crate::promises::document;
use crate::site::faults;
use crate::site::instance::Site;
use crate::site::visitors::{SCRIPT, TokenHolder, Visitor};

/// Words of ours and of libraries that nobody outside has to know.
const INSIDE: [&str; 9] = ["`", "os error", "::", "Err(", "Some(", "panick", "None", "unwrap", "said for the log"];

fn site() -> PublicUrl {
    PublicUrl::parse("https://example.com/auth").expect("an address")
}

#[test]
fn every_fault_says_what_is_so_and_what_to_do() {
    let site = site();
    assert_eq!(faults::missing(&site), Vec::<&str>::new(), "site/faults.rs names them and makes none");
    for (name, fault) in faults::faults(&site) {
        let Told { heading, what, advice, way_on: (button, address) } = fault.told(&Paths::new(&site));
        for sentence in [what, advice] {
            let begins = sentence.chars().next().is_some_and(char::is_uppercase);
            assert!(begins && sentence.ends_with('.') && sentence.len() > 15, "{name}: {sentence:?}");
        }
        assert!(!heading.is_empty() && !heading.ends_with(['.', '!', '?']), "{name}: {heading:?}");
        assert!(!button.is_empty() && address.starts_with("/auth/"), "{name}: {button:?} {address:?}");
        assert!(what.len() + advice.len() < 320, "{name}: nobody reads that much");
        let all = [heading, what, advice].join(" ");
        let inside: Vec<_> = INSIDE.iter().filter(|word| all.contains(**word)).collect();
        assert!(inside.is_empty(), "{name}: {inside:?} in {all:?}");
    }
}

#[test]
fn the_page_of_what_people_see_has_a_row_for_every_heading() {
    let site = site();
    let page = document("troubleshooting.md");
    let (_, table) = page.split_once("## What the pages say").expect("a heading");
    let rows: BTreeSet<&str> = table.lines().filter_map(|line| line.strip_prefix("| ")?.split(" | ").next()).collect();
    let told = faults::faults(&site).into_iter().map(|(_, fault)| fault.told(&Paths::new(&site)).heading);
    let told: BTreeSet<&str> = told.chain(["heading"]).collect();
    assert_eq!(rows, told);
}

#[test]
fn every_failed_sign_in_tells_the_operator_what_to_do() {
    let (site, mut silent) = (site(), Vec::new());
    for (name, fault) in faults::faults(&site) {
        let Fault::Login(failed) = fault else { continue };
        match failed.error.advice("google", "https://example.com/auth/login/callback") {
            Some(advice) => assert!(advice.len() > 15 && !advice.ends_with('.'), "{name}: {advice:?}"),
            None => silent.push(name),
        }
    }
    assert_eq!(silent, ["login-stale", "login-declined"], "whoever is slow, or does not want to, needs no operator");
}

#[tokio::test]
async fn every_problem_of_the_api_names_the_way_on() {
    let site = Site::start().await;
    let (nobody, ada, token) = (site.anonymous(), site.sign_in("ada").await, site.token_holder("ada").await);
    let made = ada.send_json(Method::POST, "/api/tokens", &json!({ "name": "who I am", "scope": "me" })).await;
    let narrow = TokenHolder::at(&site.url, made.json()["token"].as_str().expect("a token"));
    let of_nobody = ("authorization", "Bearer dw_pat_of-nobody");
    let form = |kind: &'static str| [SCRIPT, &[("content-type", kind)]].concat();
    let answers = [
        (nobody.get("/api/nothing").await, 404, "Check the address"),
        (nobody.ask(Method::PUT, "/api/me", SCRIPT).await, 405, "Allow"),
        (nobody.get("/api/me").await, 401, "Sign in"),
        (nobody.ask(Method::GET, "/api/me", &[of_nobody]).await, 401, "Make a new one"),
        (nobody.ask(Method::GET, "/api/me", &[of_nobody, of_nobody]).await, 400, "/api/docs"),
        (narrow.get("/api/sessions").await, 403, "the scope account"),
        (
            token.send_json(Method::POST, "/api/tokens", &json!({ "name": "x" })).await,
            403,
            "on the page of your account",
        ),
        (ada.ask(Method::DELETE, "/api/tokens/none", SCRIPT).await, 404, "Look at the list again"),
        (
            ada.ask(Method::DELETE, "/api/tokens/none", &[("origin", "https://elsewhere.example")]).await,
            403,
            "own page",
        ),
        (ada.ask(Method::POST, "/api/tokens", &form("text/plain")).await, 415, "Content-Type"),
        (ada.send_json(Method::POST, "/api/tokens", &json!({ "name": "" })).await, 400, "/api/docs"),
        (ada.send_json(Method::POST, "/api/tokens", &json!({ "name": "x", "days": 0 })).await, 400, "/api/docs"),
        (ada.send_json(Method::POST, "/api/tokens", &json!({ "nam": "x" })).await, 400, "/api/docs"),
        (nobody.get(&format!("/api/me?{}", "x".repeat(9000))).await, 414, "without what was added"),
    ];
    for (answer, status, remedy) in answers {
        assert_eq!(answer.status, status, "{answer:#?}");
        assert_eq!(answer.header("content-type"), "application/problem+json", "{answer:#?}");
        let problem = answer.json();
        let text = |name: &str| problem[name].as_str().unwrap_or_default().to_owned();
        assert!(text("detail").contains(remedy), "{remedy}: {problem:#}");
        assert!(!text("title").is_empty() && !text("code").is_empty() && !text("instance").is_empty(), "{problem:#}");
    }
}
