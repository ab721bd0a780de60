//! The provider's keys: which are used, and when they are asked for again.

use doorward::login::Prompt;
use std::time::Duration;

use serde_json::json;

use crate::site::desk::Desk;
use crate::site::provider::keys::Key;
use crate::site::provider::wire::Canned;
use crate::site::provider::{Door, Script};

/// OIDC-20: one good key among broken ones is found.
#[tokio::test]
async fn keys_that_are_of_no_use_are_passed_over() {
    let desk = Desk::open().await;
    let mut for_encryption = Key::numbered(1).public();
    for_encryption["use"] = json!("enc");
    desk.provider.script().published = vec![
        json!({}),
        json!("key"),
        json!({ "kty": "RSA", "kid": "key-0" }),
        json!({ "kty": "RSA", "kid": "short", "n": "!!", "e": "AQAB" }),
        json!({ "kty": "unheard-of", "kid": "key-0" }),
        json!({ "kty": "EC", "crv": "P-256", "kid": "key-0", "x": "AA", "y": "AA" }),
        for_encryption,
        Key::numbered(0).public(),
    ];
    // The third one has the same id and no modulus; it must not make the good one ambiguous for ever.
    desk.provider.script().published.remove(2);
    desk.sign_in().await.map_err(|failed| failed.error).expect("one key is good");
}

/// OIDC-20: a key that is published for encryption signs nobody in.
#[tokio::test]
async fn a_key_for_encryption_does_not_sign() {
    let desk = Desk::open().await;
    desk.provider.script().published[0]["use"] = json!("enc");
    assert_eq!(desk.refusal().await, "bad_id_token");
}

/// OIDC-20: a token that names no key is taken where there is only one that could be meant.
#[tokio::test]
async fn a_token_without_a_key_id_needs_a_lone_key() {
    let desk = Desk::open().await;
    let nameless = |script: &mut Script| drop(script.header.insert("kid".to_owned(), None));
    nameless(&mut desk.provider.script());
    desk.sign_in().await.expect("one key");
    let desk = Desk::open().await;
    nameless(&mut desk.provider.script());
    desk.provider.script().published.push(Key::numbered(1).public());
    assert_eq!(desk.refusal().await, "bad_id_token");
}

fn rotate(script: &mut Script, number: usize) {
    script.key = Key::numbered(number);
    script.published = vec![script.key.public()];
}

/// OIDC-21: rotation between two sign-ins and right before signing; with and without key ids. One question more each.
#[tokio::test]
async fn a_rotated_key_is_found_with_one_question() {
    for nameless in [false, true] {
        let desk = Desk::open().await;
        if nameless {
            desk.provider.script().header.insert("kid".to_owned(), None);
        }
        desk.sign_in().await.expect("the first key");
        assert_eq!(desk.provider.hits(Door::Keys), 1);
        rotate(&mut desk.provider.script(), 1);
        desk.sign_in().await.expect("the second key");
        assert_eq!(desk.provider.hits(Door::Keys), 2);
        let (begun, answer) = desk.approved().await;
        rotate(&mut desk.provider.script(), 2);
        desk.finish(answer, &begun).await.expect("the third key");
        assert_eq!(desk.provider.hits(Door::Keys), 3);
        desk.sign_in().await.expect("the third key again");
        assert_eq!(desk.provider.hits(Door::Keys), 3, "a known key is not asked for");
    }
}

/// OIDC-22, fault 25: a flood of unknown key ids asks the provider three times, then once in ten seconds; meanwhile
/// honest people get in.
#[tokio::test]
async fn a_flood_of_unknown_keys_does_not_reach_the_provider() {
    let desk = Desk::open().await;
    desk.sign_in().await.expect("an honest provider");
    let before = desk.provider.hits(Door::Keys);
    for number in 0..100 {
        desk.provider.script().header.insert("kid".to_owned(), Some(json!(format!("forged-{number}"))));
        let failed = desk.sign_in().await.expect_err("an unknown key");
        assert_eq!(failed.error.reason(), "bad_id_token");
        if number % 10 == 0 {
            desk.provider.script().header.remove("kid");
            desk.sign_in().await.expect("an honest token in between");
        }
    }
    let asked = desk.provider.hits(Door::Keys) - before;
    assert!((1..=4).contains(&asked), "asked {asked} times");
    // A while later there is one question more, and no second one.
    desk.provider.script().header.insert("kid".to_owned(), Some(json!("forged")));
    let before = desk.provider.hits(Door::Keys);
    pass(Duration::from_secs(10)).await;
    for _ in 0..5 {
        desk.sign_in().await.expect_err("an unknown key");
    }
    assert_eq!(desk.provider.hits(Door::Keys), before + 1);
}

/// OIDC-22: those who come together with a new key ask once.
#[tokio::test]
async fn many_who_bring_a_new_key_ask_once() {
    let desk = Desk::open().await;
    let mut many = Vec::new();
    for _ in 0..20 {
        many.push(desk.approved().await);
    }
    rotate(&mut desk.provider.script(), 1);
    let finishing = many.into_iter().map(|(begun, answer)| {
        let desk = &desk;
        async move { desk.finish(answer, &begun).await }
    });
    for finished in futures_util::future::join_all(finishing).await {
        finished.expect("the new key");
    }
    assert_eq!(desk.provider.hits(Door::Keys), 2);
}

/// OIDC-22, fault 26: keys that cannot be fetched leave the old ones in use, and let nobody in by an unknown one.
#[tokio::test]
async fn keys_that_cannot_be_fetched_leave_the_old_ones() {
    let desk = Desk::open().await;
    desk.sign_in().await.expect("an honest provider");
    let failures =
        [Canned::status(500), Canned::status(404), Canned::json(json!({ "keys": 7 })), Canned::json(json!("none"))];
    for canned in failures {
        desk.provider.script().answer(Door::Keys, canned);
        desk.provider.script().header.insert("kid".to_owned(), Some(json!("unknown")));
        assert_eq!(desk.sign_in().await.expect_err("an unknown key").error.reason(), "bad_id_token");
        desk.provider.script().header.remove("kid");
        desk.sign_in().await.expect("the old key still serves");
    }
}

/// What has aged is fetched anew aside, while what is known serves; where that fails it goes on serving.
#[tokio::test]
async fn what_has_aged_is_fetched_anew_while_it_serves() {
    let desk = Desk::open().await;
    desk.login.begin(None, Prompt::Configured).await.expect("the provider is there");
    let asked = || (desk.provider.hits(Door::Discovery), desk.provider.hits(Door::Keys));
    assert_eq!(asked(), (1, 1));
    pass(Duration::from_secs(59 * 60)).await;
    desk.login.begin(None, Prompt::Configured).await.expect("known");
    assert_eq!(asked(), (1, 1));
    pass(Duration::from_secs(2 * 60)).await;
    desk.login.begin(None, Prompt::Configured).await.expect("known");
    until(|| asked() == (1, 2)).await;
    pass(Duration::from_secs(24 * 60 * 60)).await;
    desk.provider.script().answer(Door::Discovery, Canned::status(500));
    desk.login.begin(None, Prompt::Configured).await.expect("known, although it has aged");
    until(|| asked().0 == 2).await;
    desk.login.begin(None, Prompt::Configured).await.expect("known, although it could not be fetched anew");
    assert_eq!(asked().0, 2, "a failure is not followed by another question at once");
}

/// The provider says how long its keys may be used, within reason.
#[tokio::test]
async fn the_providers_word_on_the_age_of_its_keys_counts_within_bounds() {
    for (max_age, still_fresh, aged) in [("1", 290, 310), ("7200", 7100, 7300), ("99999999", 86_000, 86_500)] {
        let desk = Desk::open().await;
        let keys = Canned::json(json!({ "keys": [Key::numbered(0).public()] }));
        let keys = keys.with_header("cache-control", &format!("public, max-age={max_age}, must-revalidate"));
        desk.provider.script().answer(Door::Keys, keys);
        desk.login.begin(None, Prompt::Configured).await.expect("the provider is there");
        pass(Duration::from_secs(still_fresh)).await;
        desk.login.begin(None, Prompt::Configured).await.expect("known");
        pass(Duration::from_secs(aged - still_fresh)).await;
        assert_eq!(desk.provider.hits(Door::Keys), 1, "max-age={max_age} was not believed");
        desk.login.begin(None, Prompt::Configured).await.expect("known");
        until(|| desk.provider.hits(Door::Keys) == 2).await;
    }
}

/// Moves the runtime's time, which ages and pauses are measured in.
async fn pass(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}

async fn until(condition: impl Fn() -> bool) {
    let begun = std::time::Instant::now();
    while !condition() {
        assert!(begun.elapsed() < Duration::from_secs(5), "it did not happen");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
