//! Whatever a provider sends for an ID token: one that it did not sign is never taken, and one that it did is taken for
//! this login alone. What is kept of its claims can be shown.
#![no_main]

use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use doorward::clock::Timestamp;
use doorward::config::provider::google;
use doorward::login::id_token::{Expected, unverified_claims, verify};
use doorward::login::identity::{Claims, identity, subject};
use libfuzzer_sys::fuzz_target;
use openidconnect::core::{CoreIdToken, CoreJsonWebKeySet, CoreJwsSigningAlgorithm};
use openidconnect::{AccessToken, ClientId, ClientSecret, IssuerUrl};
use ring::hmac;
use serde_json::Value;

const ISSUER: &str = "https://accounts.google.com";
const CLIENT: &str = "client";
const SECRET: &str = "a secret of the client at the provider";
const NONCE: &str = "n-0S6_WzA2Mj";
const NOW: i64 = 1_764_000_000;

/// The least that an ID token says. If this one is not taken, the target tries nothing.
const LEAST: &str = r#"{"iss":"https://accounts.google.com","aud":"client","sub":"110169484474386276334",
    "nonce":"n-0S6_WzA2Mj","iat":1764000000,"exp":1764003600}"#;

fuzz_target!(
    init: assert!(taken(&signed(LEAST)).is_some()),
    |text: &str| {
        let _ = unverified_claims(text);
        assert!(taken(text).is_none(), "nobody signed it");
        // A userinfo response may follow in a line of its own.
        let (claims, userinfo) = text.rsplit_once('\n').unwrap_or((text, ""));
        let token = signed(claims);
        let Some(claims) = taken(&token) else { return };
        this_login(&claims);
        assert!(taken(&token[..token.len() - 1]).is_none(), "without the end of its signature");
        person(&claims, serde_json::from_str::<Claims>(userinfo).ok().as_ref());
    }
);

fn this_login(claims: &Claims) {
    let text = |claim: &str| claims.get(claim).and_then(Value::as_str);
    assert_eq!((text("iss"), text("nonce")), (Some(ISSUER), Some(NONCE)));
    let is_us = |audience: &Value| audience.as_str() == Some(CLIENT);
    assert!(match &claims["aud"] {
        Value::Array(audiences) => !audiences.is_empty() && audiences.iter().all(is_us),
        audience => is_us(audience),
    });
    assert!(claims.get("azp").is_none_or(is_us));
    let time = |claim: &str| claims[claim].as_f64().expect("a number");
    assert!(time("exp") > NOW as f64 - 31.0 && (time("iat") - NOW as f64).abs() < 601.0);
}

/// A page, a log and an app's header can hold what is kept of the claims.
fn person(claims: &Claims, userinfo: Option<&Claims>) {
    let Ok(person) = identity(claims, userinfo, &google()) else { return };
    assert!(person.email_verified && person.email.matches('@').count() == 1);
    assert!(!person.email.chars().any(|c| c.is_control() || c.is_whitespace()));
    let is_said = |claims: &Claims| claims.get("email").and_then(Value::as_str) == Some(&person.email);
    let vouched = |claims: &Claims| claims.get("email_verified") == Some(&Value::Bool(true));
    let everywhere = || [Some(claims), userinfo].into_iter().flatten();
    assert!(everywhere().any(is_said) && everywhere().any(vouched));
    assert_eq!(subject(claims), Some(person.subject.as_str()));
    if let Some(domain) = &person.hosted_domain {
        let signed = claims.get("hd").and_then(Value::as_str);
        assert!(signed.is_some_and(|signed| signed.eq_ignore_ascii_case(domain)), "only what is signed opens a door");
    }
    if let Some(name) = &person.name {
        assert!(!name.is_empty() && name.chars().count() <= 255 && !name.chars().any(char::is_control));
    }
    if let Some(picture) = &person.picture {
        assert!(picture.starts_with("https://lh") && picture.is_ascii());
        assert!(picture[..36].contains(".googleusercontent.com"), "{picture}");
    }
}

/// The claims of `token`, if it passes for one of this login.
fn taken(token: &str) -> Option<Claims> {
    let token = CoreIdToken::from_str(token).ok()?;
    let expected = Expected {
        issuer: &IssuerUrl::new(ISSUER.to_owned()).expect("an address"),
        client_id: &ClientId::new(CLIENT.to_owned()),
        client_secret: &ClientSecret::new(SECRET.to_owned()),
        algorithms: &[CoreJwsSigningAlgorithm::HmacSha256, CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256],
        nonce: NONCE,
        now: Timestamp::from_unix(NOW),
    };
    verify(&token, &CoreJsonWebKeySet::new(Vec::new()), &AccessToken::new("access".to_owned()), &expected).ok()
}

/// A token with `claims`, whatever they are, under a signature that holds.
fn signed(claims: &str) -> String {
    let input = format!("{}.{}", URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256"}"#), URL_SAFE_NO_PAD.encode(claims));
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
    let signature = URL_SAFE_NO_PAD.encode(hmac::sign(&key, input.as_bytes()));
    format!("{input}.{signature}")
}
