//! What an ID token must be for somebody to be signed in by it: every row is a lie of the provider's.

use doorward::clock::Timestamp;
use doorward::login::Prompt;
use serde_json::{Value, json};

use crate::site::desk::Desk;
use crate::site::provider::keys::{Key, sign_hs256, signing_input};
use crate::site::provider::wire::Canned;
use crate::site::provider::{CLIENT_ID, CLIENT_SECRET, Door, Forge, Mangle, NOW, Script, ScriptedProvider};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

/// Nobody gets in by what `change` makes of the script, and no further question is asked about them.
async fn is_refused_as(desk: &Desk, reason: &str, what: &str, change: impl FnOnce(&mut Script)) {
    let fresh = Script::default();
    *desk.provider.script() = fresh;
    // Something is missing, so that an accepted token would lead to userinfo.
    desk.provider.script().without_claim("name");
    change(&mut desk.provider.script());
    let asked = desk.provider.hits(Door::Userinfo);
    assert_eq!(desk.refusal().await, reason, "{what}");
    assert_eq!(desk.provider.hits(Door::Userinfo), asked, "{what}: userinfo was asked");
}

/// The other side of each table below: what is not touched gets in.
#[tokio::test]
async fn an_honest_token_is_taken() {
    let desk = Desk::open().await;
    let finished = desk.sign_in().await.expect("an honest provider");
    assert_eq!(finished.user.id.as_str(), "1101");
    assert_eq!(finished.user.identity.email, "ada@example.com");
    assert_eq!(finished.user.identity.issuer, desk.provider.issuer());
    assert_eq!(desk.store.open_sessions().len(), 1);
    assert_eq!(desk.provider.hits(Door::Userinfo), 0, "nothing was missing");
}

/// OIDC-07: the signature counts although the token came straight from the token endpoint.
#[tokio::test]
async fn a_signature_that_does_not_hold_is_refused() {
    let desk = Desk::open().await;
    let manglings: [(&str, Mangle); 6] = [
        ("one bit flipped", |token| {
            let (rest, signature) = token.rsplit_once('.').expect("a JWT");
            let mut signature = URL_SAFE_NO_PAD.decode(signature).expect("base64url");
            signature[100] ^= 1;
            format!("{rest}.{}", URL_SAFE_NO_PAD.encode(signature))
        }),
        ("cut", |token| token[..token.len() - 8].to_owned()),
        ("empty", |token| format!("{}.", token.rsplit_once('.').expect("a JWT").0)),
        ("missing", |token| token.rsplit_once('.').expect("a JWT").0.to_owned()),
        ("a further part", |token| format!("{token}.AAAA")),
        ("claims exchanged", |token| {
            let parts: Vec<&str> = token.split('.').collect();
            let claims = String::from_utf8(URL_SAFE_NO_PAD.decode(parts[1]).expect("base64url")).expect("JSON");
            let claims = claims.replace("\"1101\"", "\"1\"");
            format!("{}.{}.{}", parts[0], URL_SAFE_NO_PAD.encode(claims), parts[2])
        }),
    ];
    for (what, mangle) in manglings {
        is_refused_as(&desk, "bad_id_token", what, |script| script.mangle = Some(mangle)).await;
    }
    is_refused_as(&desk, "bad_id_token", "another key under the same id", |script| {
        script.key = Key::numbered(1);
        script.header.insert("kid".to_owned(), Some(json!(Key::numbered(0).id())));
    })
    .await;
}

/// OIDC-08, OIDC-09, OIDC-10: what the header may say.
#[tokio::test]
async fn a_header_that_asks_for_trust_is_refused() {
    let desk = Desk::open().await;
    let trap = ScriptedProvider::start().await;
    let own_key = Key::numbered(1);
    let table = [
        ("alg", Some(json!("none"))),
        ("alg", Some(json!("None"))),
        ("alg", Some(json!("nOnE"))),
        ("alg", Some(json!(null))),
        ("alg", Some(json!(["RS256"]))),
        ("alg", Some(json!("RS384"))),
        ("alg", Some(json!("ES256"))),
        ("alg", Some(json!(""))),
        ("alg", None),
        ("crit", Some(json!(["exp"]))),
        ("crit", Some(json!([]))),
        ("crit", Some(json!("b64"))),
        ("cty", Some(json!("JWT"))),
        ("typ", Some(json!("at+jwt"))),
        ("enc", None),
    ];
    for (member, value) in table.into_iter().filter(|(member, _)| *member != "enc") {
        let what = format!("{member}={value:?}");
        is_refused_as(&desk, "bad_id_token", &what, |script| drop(script.header.insert(member.to_owned(), value)))
            .await;
    }
    for (member, value) in [
        ("jwk", own_key.public()),
        ("jku", json!(format!("{}/keys", trap.issuer()))),
        ("x5u", json!(format!("{}/certificate", trap.issuer()))),
        ("x5c", json!(["MIIB"])),
    ] {
        // Signed by a key of the liar's own, which the header brings along or points at.
        for kid in [Some(json!("unheard-of")), None, Some(json!(Key::numbered(0).id()))] {
            is_refused_as(&desk, "bad_id_token", member, |script| {
                script.key = own_key;
                script.header.insert("kid".to_owned(), kid);
                script.header.insert(member.to_owned(), Some(value.clone()));
            })
            .await;
        }
    }
    assert_eq!(
        (trap.hits(Door::Keys), trap.hits(Door::Elsewhere)),
        (0, 0),
        "a key was fetched from where the token says"
    );
}

/// OIDC-08: the unsigned form, with and without its last dot.
#[tokio::test]
async fn an_unsigned_token_is_refused() {
    let desk = Desk::open().await;
    let forgeries: [Forge; 3] = [
        |claims| format!("{}.", signing_input(&json!({ "alg": "none" }), &json!(claims))),
        |claims| signing_input(&json!({ "alg": "none" }), &json!(claims)),
        |claims| format!("{}.", signing_input(&json!({ "typ": "JWT" }), &json!(claims))),
    ];
    for forge in forgeries {
        is_refused_as(&desk, "bad_id_token", "unsigned", |script| script.forge = Some(forge)).await;
    }
}

/// OIDC-09: the public key is no HMAC secret, in no form; and the client's secret is one only if the operator says so.
#[tokio::test]
async fn a_public_key_is_no_hmac_secret() {
    let desk = Desk::open().await;
    let forgeries: [Forge; 5] = [
        |claims| sign_hs256(&Key::numbered(0).modulus(), &json!(claims)),
        |claims| sign_hs256(Key::numbered(0).public().to_string().as_bytes(), &json!(claims)),
        |claims| sign_hs256(pem(&Key::numbered(0).modulus()).as_bytes(), &json!(claims)),
        |claims| sign_hs256(b"", &json!(claims)),
        |claims| sign_hs256(CLIENT_SECRET.as_bytes(), &json!(claims)),
    ];
    for forge in forgeries {
        is_refused_as(&desk, "bad_id_token", "HS256", |script| script.forge = Some(forge)).await;
    }
    let hmac_too =
        Desk::open_with(|_, provider| provider.algorithms = vec!["RS256".to_owned(), "HS256".to_owned()]).await;
    hmac_too.provider.script().without_claim("at_hash");
    for forge in &forgeries[..4] {
        hmac_too.provider.script().forge = Some(*forge);
        assert_eq!(hmac_too.refusal().await, "bad_id_token");
    }
    let cut: [Forge; 3] = [
        |claims| cut_by(3, sign_hs256(CLIENT_SECRET.as_bytes(), &json!(claims))),
        |claims| cut_by(43, sign_hs256(CLIENT_SECRET.as_bytes(), &json!(claims))),
        |claims| sign_hs256(CLIENT_SECRET.as_bytes(), &json!(claims)) + "AAAA",
    ];
    for forge in cut {
        hmac_too.provider.script().forge = Some(forge);
        assert_eq!(hmac_too.refusal().await, "bad_id_token", "an HMAC of another length");
    }
    hmac_too.provider.script().forge = Some(forgeries[4]);
    hmac_too.sign_in().await.expect("the operator allows the client's secret");
}

fn cut_by(characters: usize, mut token: String) -> String {
    token.truncate(token.len() - characters);
    token
}

fn pem(bytes: &[u8]) -> String {
    format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", STANDARD.encode(bytes))
}

/// OIDC-11, OIDC-12, OIDC-15, OIDC-16: who says it, to whom, about whom, in answer to what.
#[tokio::test]
async fn claims_that_are_not_for_this_login_are_refused() {
    let desk = Desk::open().await;
    let issuer = desk.provider.issuer().to_owned();
    let table: Vec<(&str, Option<Value>)> = vec![
        ("iss", None),
        ("iss", Some(json!(null))),
        ("iss", Some(json!(""))),
        ("iss", Some(json!(format!("{issuer}/")))),
        ("iss", Some(json!(issuer.to_uppercase()))),
        ("iss", Some(json!(issuer.trim_start_matches("http://")))),
        ("iss", Some(json!([issuer]))),
        ("iss", Some(json!("https://evil.test"))),
        ("aud", None),
        ("aud", Some(json!(null))),
        ("aud", Some(json!([]))),
        ("aud", Some(json!("somebody else"))),
        ("aud", Some(json!(["somebody else"]))),
        ("aud", Some(json!([CLIENT_ID, "somebody else"]))),
        ("aud", Some(json!([CLIENT_ID, null]))),
        ("aud", Some(json!({ "id": CLIENT_ID }))),
        ("azp", Some(json!("somebody else"))),
        ("azp", Some(json!([CLIENT_ID]))),
        ("azp", Some(json!(null))),
        ("nonce", None),
        ("nonce", Some(json!(null))),
        ("nonce", Some(json!(""))),
        ("nonce", Some(json!("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"))),
        ("nonce", Some(json!(["AAAA"]))),
        ("sub", None),
        ("sub", Some(json!(null))),
        ("sub", Some(json!(""))),
        ("sub", Some(json!(1101))),
        ("sub", Some(json!("a".repeat(256)))),
        ("sub", Some(json!("ädä"))),
        ("sub", Some(json!("1101\n"))),
        ("sub", Some(json!("11\u{0}01"))),
        ("at_hash", Some(json!("AAAAAAAAAAAAAAAAAAAAAA"))),
        ("at_hash", Some(json!(""))),
        ("at_hash", Some(json!(7))),
    ];
    for (claim, value) in table {
        let what = format!("{claim}={value:?}");
        is_refused_as(&desk, "bad_id_token", &what, |script| drop(script.claims.insert(claim.to_owned(), value))).await;
    }
}

/// OIDC-12, OIDC-16, OIDC-17: what looks unusual and is allowed.
#[tokio::test]
async fn unusual_claims_that_are_right_are_taken() {
    let desk = Desk::open().await;
    let table = [
        ("aud", Some(json!([CLIENT_ID]))),
        ("azp", Some(json!(CLIENT_ID))),
        ("at_hash", None),
        ("sub", Some(json!("a".repeat(255)))),
        ("sub", Some(json!("auth0|42 {~}"))),
        ("updated_at", Some(json!("2026-11-21T09:00:00Z"))),
        ("picture", Some(json!("no url"))),
        ("unheard_of", Some(json!({ "deep": [1, 2, 3] }))),
    ];
    for (claim, value) in table {
        *desk.provider.script() = Script::default();
        let what = format!("{claim}={value:?}");
        desk.provider.script().claims.insert(claim.to_owned(), value);
        desk.sign_in().await.map_err(|failed| failed.error).expect(&what);
    }
}

/// OIDC-16: `AbC` and `abc` are two people.
#[tokio::test]
async fn subjects_differ_by_case() {
    let desk = Desk::open().await;
    for sub in ["AbC", "abc"] {
        desk.provider.script().claim("sub", sub);
        desk.sign_in().await.expect("an honest provider");
    }
    assert_eq!(desk.store.everybody().len(), 2);
}

/// OIDC-15: a token that answers another tab's login is not taken in this one.
#[tokio::test]
async fn another_tabs_nonce_is_refused() {
    let desk = Desk::open().await;
    let (first, _) = desk.approved().await;
    let nonce =
        first.authorization_url.query_pairs().find(|(name, _)| name == "nonce").expect("a nonce").1.into_owned();
    is_refused_as(&desk, "bad_id_token", "the other tab's nonce", |script| script.claim("nonce", nonce)).await;
}

/// OIDC-13 and fault 27: clocks differ by 30 s and nobody notices; by minutes, and it is said that it is the clocks.
#[tokio::test]
async fn times_are_judged_with_a_little_leeway() {
    let desk = Desk::open().await;
    let table = [
        ("exp", -120, Some("clock_skew")),
        ("exp", -31, Some("clock_skew")),
        ("exp", -30, Some("clock_skew")),
        ("exp", -29, None),
        ("exp", 0, None),
        ("exp", 10_000_000, None),
        ("iat", -601, Some("clock_skew")),
        ("iat", -600, None),
        ("iat", -30, None),
        ("iat", 8, None),
        ("iat", 60, None),
        ("iat", 61, Some("clock_skew")),
        ("iat", 300, Some("clock_skew")),
        ("nbf", -300, None),
        ("nbf", 30, None),
        ("nbf", 31, Some("clock_skew")),
        ("nbf", 120, Some("clock_skew")),
    ];
    for (claim, offset, refusal) in table {
        *desk.provider.script() = Script::default();
        desk.provider.script().claim(claim, NOW + offset);
        let outcome = desk.sign_in().await.map_err(|failed| failed.error.reason()).err();
        assert_eq!(outcome, refusal, "{claim}{offset:+}");
    }
}

/// OIDC-13: a token whose times are wrong and whose nonce is too is not called a matter of clocks.
#[tokio::test]
async fn only_times_that_are_the_only_fault_are_called_skew() {
    let desk = Desk::open().await;
    for (claim, value) in [("nonce", json!("other")), ("azp", json!("other")), ("at_hash", json!("other"))] {
        is_refused_as(&desk, "bad_id_token", claim, |script| {
            script.claim("iat", NOW + 300);
            script.claim(claim, value);
        })
        .await;
    }
    is_refused_as(&desk, "bad_id_token", "signature", |script| {
        script.claim("iat", NOW + 300);
        script.mangle = Some(|token| token[..token.len() - 8].to_owned());
    })
    .await;
}

/// OIDC-14: numbers that are no times neither crash nor let anybody in; fractions and exponents are numbers.
#[tokio::test]
async fn strange_numbers_are_no_times() {
    let desk = Desk::open().await;
    let strange = [
        "1e300",
        "-1e300",
        "-1",
        "9223372036854775807",
        "9223372036854775808",
        "18446744073709551615",
        "1e19",
        "253402300800",
        "\"1800000000\"",
        "\"tomorrow\"",
        "\"2027-01-15T08:00:00Z\"",
        "null",
        "true",
        "[1800000000]",
        "{}",
        "-0.5",
    ];
    for claim in ["exp", "iat", "nbf"] {
        for number in strange {
            let value: Value = serde_json::from_str(number).expect("JSON");
            is_refused_as(&desk, "bad_id_token", &format!("{claim}={number}"), |script| script.claim(claim, value))
                .await;
        }
    }
    for claim in ["exp", "iat"] {
        is_refused_as(&desk, "bad_id_token", claim, |script| script.without_claim(claim)).await;
    }
    for (claim, number) in [
        ("exp", "1.8000001e9"),
        ("exp", "1800000001.75"),
        ("iat", "1.8e9"),
        ("iat", "1799999999.999999999"),
        ("nbf", "0"),
    ] {
        *desk.provider.script() = Script::default();
        desk.provider.script().claim(claim, serde_json::from_str::<Value>(number).expect("JSON"));
        desk.sign_in().await.map_err(|failed| failed.error).expect(number);
    }
    desk.sign_in().await.expect("nothing has crashed");
}

/// OIDC-23 and fault 22: what a token response may look like, and what is no token response.
#[tokio::test]
async fn token_responses_are_read_with_patience_and_without_trust() {
    let desk = Desk::open().await;
    for (member, value) in [
        ("token_type", Some(json!("bearer"))),
        ("token_type", Some(json!("BEARER"))),
        ("expires_in", None),
        ("refresh_token", Some(json!("canary-refresh-token"))),
        ("unheard_of", Some(json!([{}]))),
        ("scope", Some(json!("openid"))),
    ] {
        *desk.provider.script() = Script::default();
        let what = format!("{member}={value:?}");
        desk.provider.script().tokens.insert(member.to_owned(), value);
        desk.sign_in().await.map_err(|failed| failed.error).expect(&what);
    }
    let table = [
        (Canned::json(json!({ "error": "invalid_grant" })).with_status(400), "code_refused"),
        (Canned::json(json!({ "error": "invalid_client" })).with_status(401), "code_refused"),
        (Canned::json(json!({ "error": "temporarily_unavailable" })).with_status(400), "provider_unavailable"),
        (Canned::status(500).with_body("<h1>oops</h1>"), "provider_unavailable"),
        (Canned::status(503), "provider_unavailable"),
        (Canned::status(429), "provider_unavailable"),
        (
            Canned::status(200).with_body("<h1>hello</h1>").with_header("content-type", "text/html"),
            "provider_unavailable",
        ),
        (Canned::json(json!([])), "provider_unavailable"),
        (Canned::json(json!({})), "provider_unavailable"),
        (Canned::status(204), "provider_unavailable"),
        (Canned::json(json!({ "access_token": "x", "token_type": "Bearer" })), "bad_id_token"),
        (Canned::json(json!({ "access_token": "x", "token_type": "Bearer", "id_token": null })), "bad_id_token"),
        (Canned::json(json!({ "access_token": "x", "token_type": "Bearer", "id_token": "x.y.z" })), "bad_id_token"),
        (Canned::json(json!({ "access_token": "x", "token_type": "Bearer", "id_token": ["a"] })), "bad_id_token"),
    ];
    *desk.provider.script() = Script::default();
    let sessions = desk.store.open_sessions().len();
    for (number, (canned, reason)) in table.into_iter().enumerate() {
        desk.provider.script().answer(Door::Token, canned);
        let failed = desk.sign_in().await.expect_err("no token response");
        assert_eq!(failed.error.reason(), reason, "row {number}: {}", failed.error);
        assert_eq!(desk.store.open_sessions().len(), sessions, "row {number}");
    }
}

/// OpenID Connect Core 1.0, 3.1.3.7, 13: when the person showed who they are, and whether that is enough.
#[tokio::test]
async fn whoever_was_let_through_unasked_has_proved_nothing() {
    let moment = Timestamp::from_unix;
    let proof = async |prompt: Prompt, auth_time: Option<Value>| {
        let desk = Desk::open().await;
        desk.provider.script().claims.insert("auth_time".to_owned(), auth_time);
        let begun = desk.login.begin(None, prompt).await.expect("the provider is there");
        let answer = desk.provider.approve(&begun.authorization_url);
        let finished = desk.finish(answer, &begun).await.map_err(|failed| failed.error.reason());
        finished.map(|_| desk.store.open_sessions()[0].proved_at)
    };
    for (prompt, auth_time, proved) in [
        (Prompt::Configured, Some(json!(NOW)), Ok(Some(moment(NOW)))),
        (Prompt::Configured, Some(json!(NOW - 7200)), Ok(Some(moment(NOW - 7200)))),
        (Prompt::Configured, Some(json!(NOW + 20)), Ok(Some(moment(NOW)))),
        (Prompt::Configured, None, Ok(None)),
        (Prompt::SelectAccount, None, Ok(None)),
        (Prompt::Login, Some(json!(NOW)), Ok(Some(moment(NOW)))),
        (Prompt::Login, Some(json!(NOW - 29)), Ok(Some(moment(NOW - 29)))),
        (Prompt::Login, None, Ok(Some(moment(NOW)))),
        (Prompt::Login, Some(json!(NOW - 31)), Err("not_asked_again")),
        (Prompt::Login, Some(json!("now")), Err("bad_id_token")),
        (Prompt::Login, Some(json!(-5)), Err("bad_id_token")),
    ] {
        assert_eq!(proof(prompt, auth_time.clone()).await, proved, "{prompt:?}, {auth_time:?}");
    }
}
