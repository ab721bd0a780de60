//! The pretend provider, asked over plain HTTP by a site that knows nothing of our own sign-in code.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use doorward::clock::{Clock as _, ManualClock, Timestamp};
use doorward::demo::Provider;
use doorward::demo::people::PEOPLE;
use doorward::random::SeededRandom;
use reqwest::Url;
use ring::digest::{SHA256, digest};
use ring::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use serde_json::Value;

use crate::site::visitors::{Anonymous, Answer, Visitor as _, client};

const REDIRECT_URI: &str = "http://localhost:3000/login/callback";
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
/// The secret holds what a form encodes and what Basic joins with.
const SECRET: &str = "a:b%c+d é";

/// A site, its provider, and the clock of both.
struct Stage {
    provider: Provider,
    clock: Arc<ManualClock>,
    browser: Anonymous,
}

impl Stage {
    fn set() -> Self {
        let clock = Arc::new(ManualClock::at(Timestamp::from_unix(1_800_000_000)));
        let random = Arc::new(SeededRandom::new(7));
        let provider = Provider::start(clock.clone(), random, REDIRECT_URI, "the site", SECRET).expect("a provider");
        let browser = Anonymous::at(&provider.issuer());
        Self { provider, clock, browser }
    }

    /// The authorization request of a site that does everything right, with `changes`; an empty value leaves one out.
    fn request(&self, changes: &[(&str, &str)]) -> String {
        let challenge = URL_SAFE_NO_PAD.encode(digest(&SHA256, VERIFIER.as_bytes()));
        let mut parameters = HashMap::from([
            ("client_id", "the site"),
            ("redirect_uri", REDIRECT_URI),
            ("response_type", "code"),
            ("scope", "openid email profile"),
            ("state", "the state & more"),
            ("nonce", "the nonce"),
            ("code_challenge", challenge.as_str()),
            ("code_challenge_method", "S256"),
        ]);
        parameters.extend(changes.iter().copied());
        parameters.retain(|_, value| !value.is_empty());
        let url = format!("{}/authorize", self.provider.issuer());
        Url::parse_with_params(&url, parameters).expect("an address").into()
    }

    async fn authorize(&self, changes: &[(&str, &str)]) -> Answer {
        self.browser.visit(&self.request(changes)).await
    }

    /// Goes to "Choose who to be" and follows the link of `key`.
    async fn choose(&self, key: &str) -> Answer {
        let page = self.authorize(&[]).await;
        self.browser.visit(&link_of(&page, key)).await
    }

    async fn code_for(&self, key: &str) -> String {
        returned(&self.choose(key).await)["code"].clone()
    }

    /// Exchanges `code`, with `changes` to a request that is right.
    async fn exchange(&self, code: &str, secret: &str, changes: &[(&str, &str)]) -> (u16, Value) {
        let mut form = HashMap::from([
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", REDIRECT_URI),
            ("code_verifier", VERIFIER),
        ]);
        form.extend(changes.iter().copied());
        form.retain(|_, value| !value.is_empty());
        let encode = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
        let request = client().post(format!("{}/token", self.provider.issuer()));
        let request = request.basic_auth(encode("the site"), Some(encode(secret))).form(&form);
        let response = request.send().await.expect("an answer");
        let status = response.status().as_u16();
        (status, response.json().await.expect("JSON"))
    }

    async fn userinfo(&self, access_token: &str) -> (u16, Value) {
        let request = client().get(format!("{}/userinfo", self.provider.issuer())).bearer_auth(access_token);
        let response = request.send().await.expect("an answer");
        let status = response.status().as_u16();
        (status, response.json().await.expect("JSON"))
    }
}

/// The address of the link on "Choose who to be" that chooses `key`.
fn link_of(page: &Answer, key: &str) -> String {
    assert_eq!(page.status, 200, "{page:#?}");
    let body = page.body.replace("&#x2f;", "/");
    let links = body.split("href=\"").skip(1).filter_map(|rest| rest.split('"').next());
    let mut links = links.filter(|link| link.ends_with(&format!("/{key}")));
    links.next().unwrap_or_else(|| panic!("no link to be {key}: {body}")).to_owned()
}

/// What the browser brings back to the site.
fn returned(answer: &Answer) -> HashMap<String, String> {
    assert_eq!(answer.status, 303, "{answer:#?}");
    let location = answer.location();
    let address = location[..url::Position::AfterPath].to_owned();
    assert_eq!(address, REDIRECT_URI);
    location.query_pairs().into_owned().collect()
}

/// The claims of `id_token`, once its signature is found to be by a key that the provider shows.
async fn verified_claims(stage: &Stage, id_token: &str) -> Value {
    let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).expect("base64url");
    let (signed, signature) = id_token.rsplit_once('.').expect("three parts");
    let (header, claims) = signed.split_once('.').expect("three parts");
    let header: Value = serde_json::from_slice(&decode(header)).expect("JSON");
    let keys = stage.browser.get("keys").await.json();
    let key = &keys["keys"][0];
    assert_eq!((&header["alg"], &header["kid"]), (&key["alg"], &key["kid"]));
    let mut point = vec![4];
    point.extend(decode(key["x"].as_str().expect("x")));
    point.extend(decode(key["y"].as_str().expect("y")));
    let public = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point);
    public.verify(signed.as_bytes(), &decode(signature)).expect("the signature is the key's");
    serde_json::from_slice(&decode(claims)).expect("JSON")
}

#[tokio::test]
async fn one_click_signs_a_person_in() {
    let stage = Stage::set();
    let back = returned(&stage.choose("ada").await);
    assert_eq!(back["state"], "the state & more");
    assert_eq!(back["iss"], stage.provider.issuer());

    let (status, tokens) = stage.exchange(&back["code"], SECRET, &[]).await;
    assert_eq!(status, 200, "{tokens}");
    assert_eq!(tokens["token_type"], "Bearer");
    let access_token = tokens["access_token"].as_str().expect("an access token");
    let claims = verified_claims(&stage, tokens["id_token"].as_str().expect("an ID token")).await;
    let ada = PEOPLE.iter().find(|person| person.key == "ada").expect("Ada");
    let hash = digest(&SHA256, access_token.as_bytes());
    for (name, expected) in [
        ("iss", Value::from(stage.provider.issuer())),
        ("sub", ada.subject.into()),
        ("aud", "the site".into()),
        ("azp", "the site".into()),
        ("nonce", "the nonce".into()),
        ("iat", stage.clock.now().unix().into()),
        ("exp", (stage.clock.now().unix() + 600).into()),
        ("at_hash", URL_SAFE_NO_PAD.encode(&hash.as_ref()[..16]).into()),
        ("email", "ada@example.com".into()),
        ("email_verified", true.into()),
        ("name", "Ada Lovelace".into()),
        ("picture", format!("http://{}/pictures/ada.svg", stage.provider.picture_host()).into()),
    ] {
        assert_eq!(claims[name], expected, "{name}");
    }

    let (status, info) = stage.userinfo(access_token).await;
    assert_eq!((status, &info["sub"], &info["email"]), (200, &claims["sub"], &claims["email"]));
    let picture = stage.browser.get(claims["picture"].as_str().expect("an address")).await;
    assert_eq!((picture.status, picture.header("content-type")), (200, "image/svg+xml"));
    assert_eq!(picture.header("cross-origin-resource-policy"), "cross-origin");
    assert!(picture.body.starts_with("<svg"), "{picture:#?}");
}

#[tokio::test]
async fn the_discovery_document_names_the_issuer_and_doors_that_answer() {
    let stage = Stage::set();
    let document = stage.browser.get(".well-known/openid-configuration").await.json();
    assert_eq!(document["issuer"], stage.provider.issuer());
    for (door, method, status) in [
        ("authorization_endpoint", reqwest::Method::GET, 400),
        ("token_endpoint", reqwest::Method::POST, 401),
        ("userinfo_endpoint", reqwest::Method::GET, 401),
        ("jwks_uri", reqwest::Method::GET, 200),
    ] {
        let url = document[door].as_str().unwrap_or_else(|| panic!("no {door} in {document}"));
        assert!(url.starts_with(&stage.provider.issuer()), "{url}");
        assert_eq!(stage.browser.ask(method, url, &[]).await.status, status, "{door}");
    }
}

#[tokio::test]
async fn everybody_on_the_page_can_be_chosen_once() {
    let stage = Stage::set();
    for person in PEOPLE {
        let page = stage.authorize(&[]).await;
        assert!(page.body.contains("nobody here is real"), "{page:#?}");
        assert!(page.header("content-security-policy").contains("default-src 'none'"));
        let link = link_of(&page, person.key);
        let back = returned(&stage.browser.visit(&link).await);
        let (_, tokens) = stage.exchange(&back["code"], SECRET, &[]).await;
        let claims = verified_claims(&stage, tokens["id_token"].as_str().expect("an ID token")).await;
        assert_eq!(claims["name"], person.name);
        assert_eq!(claims["email_verified"], person.email_verified);
        assert_eq!(claims.get("picture").is_some(), person.has_picture);
        assert_eq!(stage.browser.visit(&link).await.status, 410, "the same link again");
    }
    assert!(PEOPLE.iter().any(|person| !person.email_verified), "nobody to be turned away");
}

#[tokio::test]
async fn a_cancelled_choice_goes_back_as_access_denied() {
    let stage = Stage::set();
    let back = returned(&stage.choose("cancel").await);
    assert_eq!((back["error"].as_str(), back["state"].as_str()), ("access_denied", "the state & more"));
    assert!(!back.contains_key("code"));
}

#[tokio::test]
async fn a_choice_that_waited_too_long_is_over() {
    let stage = Stage::set();
    let page = stage.authorize(&[]).await;
    stage.clock.advance(Duration::from_secs(600));
    let answer = stage.browser.visit(&link_of(&page, "ada")).await;
    assert_eq!(answer.status, 410);
    assert!(answer.body.contains("Start again"), "{answer:#?}");
}

#[tokio::test]
async fn a_request_of_a_stranger_is_answered_here_and_goes_nowhere() {
    let stage = Stage::set();
    for changes in [
        [("client_id", "another site")],
        [("client_id", "")],
        [("redirect_uri", "http://localhost:3000/login/callback/")],
        [("redirect_uri", "http://localhost:3000/login/callback?x=1")],
        [("redirect_uri", "http://127.0.0.1:3000/login/callback")],
        [("redirect_uri", "https://evil.example/")],
        [("redirect_uri", "")],
    ] {
        let answer = stage.authorize(&changes).await;
        assert_eq!((answer.status, answer.header("location")), (400, ""), "{changes:?}");
    }
    let twice = format!("{}&redirect_uri=https%3A%2F%2Fevil.example", stage.request(&[]));
    assert_eq!(stage.browser.visit(&twice).await.status, 400);
}

#[tokio::test]
async fn a_faulty_request_of_the_site_goes_back_with_its_error() {
    let stage = Stage::set();
    for (changes, error) in [
        (&[("response_type", "token")][..], "unsupported_response_type"),
        (&[("scope", "email")], "invalid_scope"),
        (&[("code_challenge", "")], "invalid_request"),
        (&[("code_challenge_method", "plain")], "invalid_request"),
        (&[("code_challenge_method", "")], "invalid_request"),
        (&[("prompt", "none")], "login_required"),
        (&[("request", "e30.e30.")], "request_not_supported"),
    ] {
        let back = returned(&stage.authorize(changes).await);
        assert_eq!(back["error"], error, "{changes:?}");
        assert_eq!(back["state"], "the state & more");
    }
}

#[tokio::test]
async fn a_code_is_worth_nothing_without_its_verifier_its_address_and_the_secret() {
    let stage = Stage::set();
    let code = stage.code_for("ada").await;
    for (secret, changes, expected) in [
        (SECRET, &[("code_verifier", "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXK")][..], (400, "invalid_grant")),
        (SECRET, &[("code_verifier", "")], (400, "invalid_request")),
        (SECRET, &[("redirect_uri", "http://localhost:3000/")], (400, "invalid_grant")),
        (SECRET, &[("code", "another code")], (400, "invalid_grant")),
        (SECRET, &[("grant_type", "client_credentials")], (400, "unsupported_grant_type")),
        ("another secret", &[], (401, "invalid_client")),
    ] {
        let (status, body) = stage.exchange(&code, secret, changes).await;
        assert_eq!((status, body["error"].as_str()), (expected.0, Some(expected.1)), "{changes:?}");
    }
    // All that spent nothing: whoever has everything still gets in.
    assert_eq!(stage.exchange(&code, SECRET, &[]).await.0, 200);
}

#[tokio::test]
async fn a_code_used_twice_is_refused_and_takes_back_what_it_gave() {
    let stage = Stage::set();
    let code = stage.code_for("ada").await;
    let (_, tokens) = stage.exchange(&code, SECRET, &[]).await;
    let access_token = tokens["access_token"].as_str().expect("an access token");
    assert_eq!(stage.userinfo(access_token).await.0, 200);
    let (status, body) = stage.exchange(&code, SECRET, &[]).await;
    assert_eq!((status, &body["error"]), (400, &Value::from("invalid_grant")));
    assert_eq!(stage.userinfo(access_token).await.0, 401);
}

#[tokio::test]
async fn a_code_lives_for_a_minute() {
    let stage = Stage::set();
    let (early, late) = (stage.code_for("ada").await, stage.code_for("grace").await);
    stage.clock.advance(Duration::from_secs(59));
    assert_eq!(stage.exchange(&early, SECRET, &[]).await.0, 200);
    stage.clock.advance(Duration::from_secs(1));
    assert_eq!(stage.exchange(&late, SECRET, &[]).await.0, 400);
}

#[tokio::test]
async fn only_what_was_asked_for_is_told() {
    let stage = Stage::set();
    let page = stage.authorize(&[("scope", "openid"), ("nonce", "")]).await;
    let back = returned(&stage.browser.visit(&link_of(&page, "ada")).await);
    let (_, tokens) = stage.exchange(&back["code"], SECRET, &[]).await;
    let claims = verified_claims(&stage, tokens["id_token"].as_str().expect("an ID token")).await;
    for absent in ["email", "email_verified", "name", "picture", "nonce"] {
        assert!(claims.get(absent).is_none(), "{absent} in {claims}");
    }
}

#[tokio::test]
async fn the_person_whom_the_site_expects_is_marked() {
    let stage = Stage::set();
    let page = stage.authorize(&[("login_hint", "GRACE@example.com")]).await;
    let (_, marked) = page.body.split_once("class=\"suggested\"").expect("somebody is marked");
    assert!(marked.split("</li>").next().expect("an end").contains("Grace Hopper"), "{page:#?}");
    assert!(!stage.authorize(&[]).await.body.contains("class=\"suggested\""));
}

#[tokio::test]
async fn it_is_on_loopback_and_answers_to_its_own_name_alone() {
    let stage = Stage::set();
    assert!(stage.provider.picture_host().starts_with("127.0.0.1:"));
    let answer = stage.browser.ask(reqwest::Method::GET, "keys", &[("host", "evil.example")]).await;
    assert_eq!(answer.status, 421);

    let start = |address: &str, redirect_uri: &str| {
        let address: SocketAddr = address.parse().expect("an address");
        let random = Arc::new(SeededRandom::new(8));
        Provider::start_at(address, stage.clock.clone(), random, (redirect_uri, "the site", SECRET))
    };
    for (address, redirect_uri) in [
        ("0.0.0.0:0", REDIRECT_URI),
        ("[::]:0", REDIRECT_URI),
        ("192.0.2.1:0", REDIRECT_URI),
        ("127.0.0.1:0", "https://example.com/login/callback"),
        ("127.0.0.1:0", "http://localhost.evil.example/"),
        ("127.0.0.1:0", "http://192.0.2.1/"),
        ("127.0.0.1:0", "nowhere"),
    ] {
        let error = start(address, redirect_uri).expect_err("refused");
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput, "{address} {redirect_uri}: {error}");
    }
    assert!(start("127.0.0.1:0", "http://127.0.0.1:9/login/callback").is_ok());
}

#[tokio::test]
async fn it_is_gone_once_it_is_dropped() {
    let stage = Stage::set();
    let address = stage.provider.picture_host();
    assert!(tokio::net::TcpStream::connect(&address).await.is_ok());
    drop(stage);
    let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
    while tokio::net::TcpStream::connect(&address).await.is_ok() {
        assert!(tokio::time::Instant::now() < deadline, "still listening");
        tokio::task::yield_now().await;
    }
}
