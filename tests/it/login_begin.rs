//! How a sign-in begins: the request that goes to the provider, and what the browser is given to bring back.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use doorward::login::return_to::{ReturnRules, ReturnTo};
use doorward::login::{Login, LoginError, Prompt};
use doorward::store::StoreError;
use serde_json::{Value, json};
use url::Url;

use crate::site::desk::{Desk, PUBLIC_URL, config};
use crate::site::provider::wire::Canned;
use crate::site::provider::{CLIENT_ID, Door, ScriptedProvider};

fn query(url: &Url) -> HashMap<String, String> {
    let pairs: Vec<(String, String)> = url.query_pairs().into_owned().collect();
    let map: HashMap<String, String> = pairs.iter().cloned().collect();
    assert_eq!(map.len(), pairs.len(), "a parameter stands twice: {url}");
    map
}

async fn request(login: &Login, prompt: Prompt) -> HashMap<String, String> {
    query(&login.begin(None, prompt).await.expect("the provider is there").authorization_url)
}

/// OIDC-03, OIDC-05, OIDC-31: code flow, PKCE, the smallest scopes, no `offline_access`, our own redirect URI.
#[tokio::test]
async fn the_request_asks_for_a_code_and_nothing_more() {
    let desk = Desk::open().await;
    let begun = desk.login.begin(None, Prompt::Configured).await.expect("the provider is there");
    assert!(begun.authorization_url.as_str().starts_with(&format!("{}/authorize?", desk.provider.issuer())));
    let mut request = query(&begun.authorization_url);
    for (name, value) in [
        ("response_type", "code"),
        ("client_id", CLIENT_ID),
        ("redirect_uri", &format!("{PUBLIC_URL}/login/callback")),
        ("scope", "openid email profile"),
        ("code_challenge_method", "S256"),
    ] {
        assert_eq!(request.remove(name).as_deref(), Some(value), "{name}");
    }
    for name in ["state", "nonce", "code_challenge"] {
        assert_eq!(request.remove(name).map(|value| value.len()), Some(43), "{name}");
    }
    assert!(request.is_empty(), "unasked: {request:?}");
}

/// OIDC-04: fresh, independent, 43 unreserved characters each; the cookie's label gives nothing of the state away.
#[tokio::test]
async fn no_secret_is_ever_used_twice() {
    let desk = Desk::open().await;
    let (mut seen, mut labels, mut sealed) = (HashSet::new(), HashSet::new(), HashSet::new());
    for _ in 0..2000 {
        let begun = desk.login.begin(None, Prompt::Configured).await.expect("the provider is there");
        let request = query(&begun.authorization_url);
        for name in ["state", "nonce", "code_challenge"] {
            let value = &request[name];
            let is_plain = value.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
            assert!(value.len() == 43 && is_plain, "{name}={value}");
            assert!(seen.insert(value.clone()), "{name} was used before");
        }
        let label = begun.pending.label;
        assert!(label.len() == 10 && label.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'2'..=b'7')), "{label}");
        assert!(labels.insert(label), "a label was used before");
        assert!(sealed.insert(begun.pending.value), "a sealed value was used before");
    }
}

/// The names that a test of ours prints must not be what a log would print.
#[tokio::test]
async fn nothing_secret_shows_in_debug_output() {
    let desk = Desk::open().await;
    let (begun, answer) = desk.approved().await;
    let shown = format!("{begun:?} {:?} {answer:?}", begun.pending);
    for secret in [&answer.code, &answer.state].into_iter().flatten().chain([&begun.pending.value]) {
        assert!(!shown.contains(secret.as_str()), "{shown}");
    }
}

/// IDN-10, LGN-15: who asks for another account gets the chooser, and `none` never stands beside another word.
#[tokio::test]
async fn the_chooser_is_asked_for_as_configured_and_on_demand() {
    let table = [
        (None, None, Some("select_account"), false),
        (Some("select_account"), Some("select_account"), Some("select_account"), true),
        (Some("login"), Some("login"), Some("login select_account"), true),
        (Some("none"), Some("none"), Some("select_account"), false),
    ];
    for (configured, usual, chosen, shows) in table {
        let desk = Desk::open_with(|_, provider| provider.prompt = configured.map(str::to_owned)).await;
        assert_eq!(
            request(&desk.login, Prompt::Configured).await.get("prompt").map(String::as_str),
            usual,
            "{configured:?}"
        );
        assert_eq!(
            request(&desk.login, Prompt::SelectAccount).await.get("prompt").map(String::as_str),
            chosen,
            "{configured:?}"
        );
        assert_eq!(desk.login.shows_chooser(), shows, "{configured:?}");
    }
}

/// OpenID Connect Core 1.0, 3.1.2.1: who must prove anew who they are is asked by every provider that can.
#[tokio::test]
async fn a_proof_is_asked_for_where_the_provider_can_give_one() {
    for (configured, sent) in
        [(None, "login"), (Some("select_account"), "select_account login"), (Some("none"), "login")]
    {
        let desk = Desk::open_with(|_, provider| provider.prompt = configured.map(str::to_owned)).await;
        let request = request(&desk.login, Prompt::Login).await;
        assert_eq!(request.get("prompt").map(String::as_str), Some(sent), "{configured:?}");
        assert_eq!(request.get("max_age").map(String::as_str), Some("0"), "it must say when: {configured:?}");
    }
}

/// OIDC-34: the hint is sent where there is exactly one domain to hint at. (That the claim decides, not the hint: see
/// `login_identity`.)
#[tokio::test]
async fn the_hosted_domain_is_hinted_at_where_there_is_one() {
    for (domains, hint) in [(&[][..], None), (&["corp.com"], Some("corp.com")), (&["corp.com", "corp.org"], None)] {
        let domains: Vec<String> = domains.iter().map(|&domain| domain.to_owned()).collect();
        let desk = Desk::open_with(|config, _| config.access.hosted_domains = domains).await;
        assert_eq!(request(&desk.login, Prompt::Configured).await.get("hd").map(String::as_str), hint);
    }
}

/// Which member of the document changes to what, given the provider's own issuer.
type Change = dyn Fn(&str) -> (&'static str, Value);

/// OIDC-01, OIDC-02, OIDC-05: what a discovery document must say before anybody is sent anywhere.
#[tokio::test]
async fn a_discovery_document_that_cannot_be_trusted_sends_nobody_anywhere() {
    let issuer = |change: fn(&str) -> String| move |own: &str| ("issuer", json!(change(own)));
    let table: Vec<(&str, Box<Change>)> = vec![
        ("names the issuer", Box::new(issuer(|own| format!("{own}/")))),
        ("names the issuer", Box::new(issuer(|own| own.replace("http://127.0.0.1", "http://localhost")))),
        ("names the issuer", Box::new(issuer(|own| own.to_uppercase()))),
        ("names the issuer", Box::new(issuer(|_| "https://evil.test".to_owned()))),
        ("cannot be read", Box::new(|_| ("issuer", json!(null)))),
        ("cannot be read", Box::new(|_| ("authorization_endpoint", json!("no url")))),
        ("not https", Box::new(|_| ("authorization_endpoint", json!("http://evil.test/authorize")))),
        ("not https", Box::new(|_| ("authorization_endpoint", json!("javascript:alert(1)")))),
        ("not https", Box::new(|_| ("token_endpoint", json!("http://evil.test/token")))),
        ("not https", Box::new(|_| ("jwks_uri", json!("http://10.0.0.1/keys")))),
        ("not https", Box::new(|_| ("jwks_uri", json!("file:///etc/passwd")))),
        ("not https", Box::new(|_| ("userinfo_endpoint", json!("http://evil.test/userinfo")))),
        ("S256", Box::new(|_| ("code_challenge_methods_supported", json!(["plain"])))),
        ("S256", Box::new(|_| ("code_challenge_methods_supported", json!([])))),
    ];
    for (sentence, change) in table {
        let desk = Desk::open().await;
        let (member, value) = change(desk.provider.issuer());
        desk.provider.script().announce(member, value.clone());
        let error = desk.login.begin(None, Prompt::Configured).await.expect_err("a document that lies");
        assert_eq!(error.reason(), "provider_unavailable", "{member}={value}");
        assert!(error.to_string().contains(sentence), "{member}={value}: {error}");
        assert!(!desk.login.provider_is_known());
    }
}

/// OIDC-05: silence about PKCE is no reason to leave it out.
#[tokio::test]
async fn pkce_is_used_even_where_the_provider_is_silent_about_it() {
    let desk = Desk::open().await;
    desk.provider.script().metadata.insert("code_challenge_methods_supported".to_owned(), None);
    assert_eq!(request(&desk.login, Prompt::Configured).await["code_challenge_method"], "S256");
    desk.sign_in().await.expect("the provider checks the verifier");
}

/// OIDC-02: endpoints are where the document says, not where one would guess.
#[tokio::test]
async fn endpoints_come_from_the_discovery_document() {
    let desk = Desk::open().await;
    let elsewhere = ScriptedProvider::start().await;
    {
        let mut script = desk.provider.script();
        script.announce("authorization_endpoint", format!("{}/authorize?tenant=7", elsewhere.issuer()));
        script.announce("jwks_uri", format!("{}/keys", elsewhere.issuer()));
    }
    let begun = desk.login.begin(None, Prompt::Configured).await.expect("the provider is there");
    assert!(begun.authorization_url.as_str().starts_with(&format!("{}/authorize?tenant=7&", elsewhere.issuer())));
    assert_eq!((desk.provider.hits(Door::Keys), elsewhere.hits(Door::Keys)), (0, 1));
}

/// OIDC-02: a redirect could send a secret anywhere, so none is followed, at any endpoint.
#[tokio::test]
async fn redirects_are_never_followed() {
    for status in [301, 302, 303, 307, 308] {
        for door in [Door::Discovery, Door::Keys, Door::Token, Door::Userinfo] {
            let desk = Desk::open().await;
            let target = ScriptedProvider::start().await;
            {
                let mut script = desk.provider.script();
                script.without_claim("email");
                let target = format!("{}/caught", target.issuer());
                script.answer(door, Canned::status(status).with_header("location", &target));
            }
            let error = match desk.login.begin(None, Prompt::Configured).await {
                Err(error) => error,
                Ok(begun) => {
                    let answer = desk.provider.approve(&begun.authorization_url);
                    desk.finish(answer, &begun).await.expect_err("a redirect is no answer").error
                }
            };
            assert_eq!(error.reason(), "provider_unavailable", "{door:?} {status}: {error}");
            assert_eq!(target.hits(Door::Elsewhere), 0, "{door:?} {status} was followed");
        }
    }
}

/// OIDC-36: a provider that is away is an error at once; when it comes back nothing has to be restarted.
#[tokio::test]
async fn a_provider_that_is_away_is_said_quickly_and_found_again() {
    let desk = Desk::open().await;
    let Desk { provider, login, .. } = desk;
    let address = provider.address();
    drop(provider);
    let error = until(Duration::from_secs(5), || async { login.begin(None, Prompt::Configured).await.err() }).await;
    assert_eq!(error.reason(), "provider_unavailable");
    let asked = Instant::now();
    login.begin(None, Prompt::Configured).await.expect_err("it is away");
    assert!(asked.elapsed() < Duration::from_millis(500), "a dead provider was waited for");
    let _back = ScriptedProvider::start_at(address).await;
    until(Duration::from_secs(5), || async { login.begin(None, Prompt::Configured).await.ok() }).await;
    assert!(login.provider_is_known());
}

/// OIDC-36: however many people come, a provider that does not answer is asked once a second.
#[tokio::test]
async fn a_failing_provider_is_not_hammered() {
    let desk = Desk::open().await;
    desk.provider.script().answer(Door::Discovery, Canned::status(500));
    let begun = Instant::now();
    for _ in 0..200 {
        desk.login.begin(None, Prompt::Configured).await.expect_err("it fails");
    }
    let allowed = 2 + begun.elapsed().as_secs() as usize;
    assert!(desk.provider.hits(Door::Discovery) <= allowed, "asked {} times", desk.provider.hits(Door::Discovery));
}

/// OIDC-22: people who come together ask the provider once.
#[tokio::test]
async fn discovery_happens_once_for_all_who_come_together() {
    let desk = Desk::open().await;
    let many = (0..50).map(|_| desk.login.begin(None, Prompt::Configured));
    for begun in futures_util::future::join_all(many).await {
        begun.expect("the provider is there");
    }
    assert_eq!((desk.provider.hits(Door::Discovery), desk.provider.hits(Door::Keys)), (1, 1));
}

/// The store is asked for the key once; after that sign-ins begin while it is away.
#[tokio::test]
async fn sign_ins_begin_while_the_store_is_away() {
    let desk = Desk::open().await;
    let away = || Some(StoreError::Unavailable("pulled the plug".to_owned()));
    desk.store.fail(away());
    let error = desk.login.begin(None, Prompt::Configured).await.expect_err("there is no key yet");
    assert!(matches!(error, LoginError::Store(StoreError::Unavailable(_))), "{error}");
    desk.store.fail(None);
    desk.login.prepare().await.expect("the store is there");
    desk.store.fail(away());
    let asked = desk.store.key_questions();
    desk.login.begin(None, Prompt::Configured).await.expect("the key is known");
    assert_eq!(desk.store.key_questions(), asked);
}

/// SES-14, LGN-08: five tabs with an `rd` of 300 bytes fit into 4 kB of cookies; the longest fits into one.
#[tokio::test]
async fn sealed_logins_stay_small() {
    let desk = Desk::open().await;
    let rules = ReturnRules::new(&config().public_url, &config().apps);
    for (length, limit) in [(300, 4000 / 5 - "__Host-doorward-login-xxxxxxxxxx=; ".len()), (2048, 3800)] {
        let return_to = ReturnTo::parse(&format!("/{}", "a".repeat(length - 1)), &rules);
        assert!(return_to.is_some());
        let begun = desk.login.begin(return_to, Prompt::Configured).await.expect("the provider is there");
        let value = begun.pending.value;
        assert!(value.len() <= limit, "{length} bytes became {}", value.len());
        URL_SAFE_NO_PAD.decode(&value).expect("base64url, which needs no quoting in a cookie");
    }
}

/// Asks until there is something, for `patience` at the most.
async fn until<T, F: Future<Output = Option<T>>>(patience: Duration, ask: impl Fn() -> F) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = ask().await {
            return found;
        }
        assert!(begun.elapsed() < patience, "it did not happen within {patience:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
