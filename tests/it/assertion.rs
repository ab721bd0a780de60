//! The signed word for apps: what it says, who can check it, how its keys change.

use std::time::Duration;

use doorward::clock::Clock as _;
use openidconnect::core::{CoreJsonWebKeySet, CoreJwsSigningAlgorithm};
use openidconnect::{JsonWebKey, SignatureVerificationError};
use serde_json::Value;

use crate::site::instance::Site;
use crate::site::visitors::{Answer, SignedIn, Visitor};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::Method;

async fn asked(visitor: &impl Visitor, url: &str) -> String {
    let answer = visitor.ask(Method::GET, "/gate", &[("x-original-url", url)]).await;
    assert_eq!(answer.status, 200, "{answer:#?}");
    answer.header("x-doorward-assertion").to_owned()
}

async fn keys(site: &Site) -> Answer {
    let answer = site.anonymous().get("/.well-known/jwks.json").await;
    assert_eq!(answer.status, 200, "{answer:#?}");
    answer
}

fn part(assertion: &str, place: usize) -> Value {
    let part = assertion.split('.').nth(place).expect("three parts");
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).expect("base64url")).expect("JSON")
}

/// Whether a published key that the header names made the signature, by a library that is not ours.
fn holds(assertion: &str, keys: &Answer) -> Result<(), SignatureVerificationError> {
    let set: CoreJsonWebKeySet = serde_json::from_str(&keys.body).expect("a set of keys");
    let header = part(assertion, 0);
    assert_eq!((header["alg"].as_str(), header["typ"].as_str()), (Some("ES256"), Some("JWT")));
    let key = set.keys().iter().find(|key| key.key_id().map(|id| id.as_str()) == header["kid"].as_str());
    let (signed, signature) = assertion.rsplit_once('.').expect("three parts");
    let signature = URL_SAFE_NO_PAD.decode(signature).expect("base64url");
    let key = key.expect("the key is published");
    key.verify_signature(&CoreJwsSigningAlgorithm::EcdsaP256Sha256, signed.as_bytes(), &signature)
}

#[tokio::test]
async fn it_says_who_is_asking_to_one_app_for_five_minutes() {
    let site = Site::start().await;
    let ada: SignedIn = site.sign_in("ada").await;
    let assertion = asked(&ada, "https://App.example.com:443/deep?x=1").await;
    holds(&assertion, &keys(&site).await).expect("its signature holds");
    let claims = part(&assertion, 1);
    let now = site.clock.now().unix();
    let sid = site.sessions().list(None, 1).await.expect("a list")[0].handle.short();
    let expected = serde_json::json!({
        "iss": site.url, "aud": "https://app.example.com", "sub": "ada", "email": "ada@example.com",
        "name": "ada of tests", "groups": [], "iat": now, "exp": now + 300, "sid": sid,
    });
    assert_eq!(claims, expected, "what is not known is left out");
}

#[tokio::test]
async fn a_changed_word_does_not_hold() {
    let site = Site::start().await;
    let ada = site.sign_in("ada").await;
    let assertion = asked(&ada, "https://app.example.com/").await;
    let mut claims = part(&assertion, 1);
    claims["sub"] = "root".into();
    let parts: Vec<&str> = assertion.split('.').collect();
    let forged = format!("{}.{}.{}", parts[0], URL_SAFE_NO_PAD.encode(claims.to_string()), parts[2]);
    let keys = keys(&site).await;
    assert!(holds(&forged, &keys).is_err());
    assert!(holds(&assertion, &keys).is_ok());
}

#[tokio::test]
async fn it_is_signed_once_a_minute_for_each_session_and_app() {
    let site = Site::start().await;
    let (ada, bob) = (site.sign_in("ada").await, site.sign_in("bob").await);
    let first = asked(&ada, "https://app.example.com/a").await;
    assert_eq!(asked(&ada, "https://app.example.com/b").await, first);
    assert_ne!(asked(&ada, "https://other.example.com/a").await, first);
    assert_ne!(asked(&bob, "https://app.example.com/a").await, first);
    site.clock.advance(Duration::from_secs(59));
    assert_eq!(asked(&ada, "https://app.example.com/a").await, first);
    site.clock.advance(Duration::from_secs(1));
    let next = asked(&ada, "https://app.example.com/a").await;
    assert_ne!(next, first);
    assert_eq!(part(&next, 1)["exp"], site.clock.now().unix() + 300);
}

#[tokio::test]
async fn the_set_of_keys_may_be_kept_and_tells_no_secret() {
    let site = Site::start().await;
    let answer = keys(&site).await;
    assert_eq!(answer.header("content-type"), "application/jwk-set+json");
    assert_eq!(answer.header("cache-control"), "public, max-age=300");
    let set = answer.json();
    let key = set["keys"][0].as_object().expect("a key");
    let members: Vec<&str> = key.keys().map(String::as_str).collect();
    assert_eq!(members, ["kty", "crv", "use", "alg", "kid", "x", "y"]);
    assert_eq!(set["keys"].as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn all_instances_sign_with_one_key() {
    let site = Site::start().await;
    let second = site.second_instance().await;
    assert_eq!(keys(&site).await.body, keys(&second).await.body);
}

#[tokio::test]
async fn a_new_key_is_published_before_it_signs_and_the_old_one_after() {
    let site = Site::start().await;
    let second = site.second_instance().await;
    let ada = site.sign_in("ada").await;
    let kid = |assertion: &str| part(assertion, 0)["kid"].as_str().expect("a kid").to_owned();
    let published = |answer: &Answer| {
        let keys = answer.json()["keys"].as_array().expect("a list").clone();
        keys.iter().map(|key| key["kid"].as_str().expect("a kid").to_owned()).collect::<Vec<_>>()
    };
    let old = kid(&asked(&ada, "https://app.example.com/").await);
    let new = site.assertions().rotate(false).await.expect("a new key").id;
    assert_ne!(new, old);
    // Another instance knows within a minute.
    site.clock.advance(Duration::from_secs(60));
    assert_eq!(published(&keys(&second).await), [new.clone(), old.clone()]);
    assert_eq!(kid(&asked(&ada, "https://app.example.com/").await), old, "it does not sign yet");
    site.clock.advance(Duration::from_secs(540));
    let assertion = asked(&ada, "https://app.example.com/").await;
    assert_eq!(kid(&assertion), new);
    holds(&assertion, &keys(&second).await).expect("another instance publishes its key");
    // What the old one signed last can be checked for a week.
    site.clock.advance(Duration::from_secs(7 * 24 * 60 * 60 - 60));
    assert_eq!(published(&keys(&site).await), [new.clone(), old]);
    site.clock.advance(Duration::from_secs(120));
    assert_eq!(published(&keys(&site).await), vec![new.clone()]);
    let third = site.assertions().rotate(true).await.expect("a third key").id;
    let listed = site.assertions().list().await.expect("a list");
    assert_eq!(
        listed.iter().map(|key| key.id.clone()).collect::<Vec<_>>(),
        [third.clone(), new],
        "the first is forgotten"
    );
    assert_eq!(listed.iter().filter(|key| key.is_signing).map(|key| &key.id).collect::<Vec<_>>(), [&third]);
    let ada = site.sign_in("ada").await;
    assert_eq!(kid(&asked(&ada, "https://app.example.com/").await), third, "at once");
}
