//! The whole sign-in against an issuer that we did not write.

use serde_json::json;

use crate::site::binary::Binary;
use crate::site::independent::{CLIENT_ID, CLIENT_SECRET, Claims, Issuer};
use crate::site::program::free_port;
use crate::site::visitors::{Anonymous, Answer, Visitor};

/// The real binary with the independent issuer as its only provider.
fn start(claims: Claims) -> Option<(Binary, Issuer)> {
    let port = free_port();
    let issuer = Issuer::start(&format!("http://localhost:{port}/login/callback"), claims)?;
    let config = format!(
        "[providers.independent]\nissuer = {:?}\nclient_id = {CLIENT_ID:?}\nclient_secret = {CLIENT_SECRET:?}\n",
        issuer.url
    );
    Some((Binary::serve_on(port, &config), issuer))
}

/// Signs in as `who`; the last page.
async fn sign_in(browser: &Anonymous, who: &str) -> Answer {
    let question = browser.follow("login").await;
    assert!(question.body.contains("Who are you?"), "{question:#?}");
    browser.follow(&format!("{}/{who}", question.url)).await
}

#[tokio::test]
async fn a_certified_provider_signs_people_in() {
    for claims in [Claims::InIdToken, Claims::AtUserinfo] {
        let Some((site, issuer)) = start(claims) else { return };
        let (first, second) = (Anonymous::at(&site.public_url), Anonymous::at(&site.public_url));
        let profile = sign_in(&first, "ada").await;
        assert_eq!(profile.status, 200, "{claims:?}: {profile:#?}\n{:?}\n{}", issuer.complaints(), site.program.said());
        assert!(profile.body.contains("ada@independent.example"), "{}", profile.body);
        sign_in(&second, "rashid").await;
        let me = first.get("api/me").await.json();
        assert_eq!(me["id"], json!("independent|ada"));
        assert_eq!(me["name"], json!("Ada Lovelace"));
        assert_eq!(me["hosted_domain"], json!("independent.example"), "{claims:?}");
        assert_eq!(second.get("api/me").await.json()["name"], json!("رشيد الخوارزمي"));
        assert_eq!(issuer.complaints(), Vec::<String>::new());
    }
}

#[tokio::test]
async fn an_unverified_address_is_refused_with_a_way_on() {
    let Some((site, _issuer)) = start(Claims::AtUserinfo) else { return };
    let browser = Anonymous::at(&site.public_url);
    let refused = sign_in(&browser, "mallory").await;
    assert_eq!(refused.status, 400, "{refused:#?}");
    assert!(refused.body.contains("/login"), "{}", refused.body);
    assert_eq!(browser.get("api/me").await.status, 401);
}

#[tokio::test]
async fn declining_there_leads_to_a_page_here() {
    let Some((site, _issuer)) = start(Claims::InIdToken) else { return };
    let browser = Anonymous::at(&site.public_url);
    let declined = sign_in(&browser, "nobody").await;
    assert!((400..500).contains(&declined.status), "{declined:#?}");
    assert!(!declined.body.contains("nobody was chosen"), "the provider's words are not ours to show");
    sign_in(&browser, "ada").await;
    assert_eq!(browser.get("api/me").await.status, 200);
}
