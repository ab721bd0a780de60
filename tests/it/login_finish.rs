//! How a sign-in ends: what the browser brings back, in which order it is looked at, and what is left behind.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use doorward::clock::Timestamp;
use doorward::config::access::Access;
use doorward::credential::Plain;
use doorward::login::return_to::{ReturnRules, ReturnTo};
use doorward::login::sealing;
use doorward::login::{Answer, Failed, LoginError, Prompt, SealedPendingLogin};
use doorward::model::Browser;
use doorward::store::{Key, Refusal, SharedStore, StoreError};
use serde_json::json;

use crate::site::desk::{Desk, config, login};
use crate::site::provider::wire::Canned;
use crate::site::provider::{Door, NOW, ScriptedProvider, person};

fn return_to(address: &str) -> Option<ReturnTo> {
    ReturnTo::parse(address, &ReturnRules::new(&config().public_url, &config().apps))
}

/// Whatever went wrong, no code was spent and no session opened.
fn nothing_happened(desk: &Desk) {
    assert_eq!(desk.provider.hits(Door::Token), 0, "the provider was asked");
    assert!(desk.store.open_sessions().is_empty(), "a session was opened");
}

/// What a sign-in leaves: the user, one session that belongs to them and to this browser, and where they wanted to go.
#[tokio::test]
async fn a_sign_in_opens_one_session() {
    let desk = Desk::open().await;
    let begun =
        desk.login.begin(return_to("/reports?q=1#top"), Prompt::Configured).await.expect("the provider is there");
    let answer = desk.provider.approve(&begun.authorization_url);
    let browser = Browser {
        address: "192.0.2.7".to_owned(),
        user_agent: format!("Mozilla\u{7}{}", "x".repeat(500)),
        request_id: "5eaf00d".to_owned(),
        ..Browser::default()
    };
    let finished = desk.login.finish(answer, vec![begun.pending], browser, None).await.expect("an honest provider");
    assert_eq!(finished.return_to, return_to("/reports?q=1#top"));
    let sessions = desk.store.open_sessions();
    let [session] = sessions.as_slice() else { panic!("{} sessions", sessions.len()) };
    assert_eq!(session.handle, finished.session.hashed());
    assert_eq!(session.user_id, finished.user.id);
    assert_eq!(session.created_at, Timestamp::from_unix(NOW));
    assert_eq!(session.expires_at, Timestamp::from_unix(NOW + 30 * 24 * 60 * 60));
    assert_eq!((session.address.as_str(), session.user_agent.len()), ("192.0.2.7", 256));
    assert!(session.user_agent.starts_with("Mozillaxx"), "control characters are left out");
    assert_eq!(finished.session.reveal().len(), 43);
}

/// LGN-01, LGN-02: a state without this browser's pending login, or with another browser's, gets nobody anywhere.
#[tokio::test]
async fn only_the_browser_that_began_can_finish() {
    let desk = Desk::open().await;
    let (victims, victims_answer) = desk.approved().await;
    let (attackers, attackers_answer) = desk.approved().await;
    let table = [
        (attackers_answer.clone(), vec![]),
        (attackers_answer.clone(), vec![victims.pending.clone()]),
        (victims_answer.clone(), vec![attackers.pending.clone()]),
        // The attacker's cookie under the label that the victim's state asks for.
        (
            victims_answer.clone(),
            vec![SealedPendingLogin { label: victims.pending.label.clone(), value: attackers.pending.value.clone() }],
        ),
        (Answer { state: Some("made up".to_owned()), ..victims_answer.clone() }, vec![victims.pending.clone()]),
        (Answer { state: Some(String::new()), ..victims_answer.clone() }, vec![victims.pending.clone()]),
    ];
    for (number, (answer, pending)) in table.into_iter().enumerate() {
        let failed = desk.login.finish(answer, pending, Browser::default(), None).await.expect_err("not theirs");
        assert!(matches!(failed.error, LoginError::NoPendingLogin), "row {number}: {}", failed.error);
        assert_eq!(failed.spent, None, "row {number}: a wrong state spends nothing");
        nothing_happened(&desk);
    }
    desk.finish(victims_answer, &victims).await.expect("nothing was spent");
}

/// LGN-05: a sealed login with any character changed, cut or lengthened does not open and does not crash.
#[tokio::test]
async fn a_sealed_login_that_was_tampered_with_does_not_open() {
    let desk = Desk::open().await;
    let (begun, answer) = desk.approved().await;
    let value = &begun.pending.value;
    let mut tampered: Vec<String> = (0..value.len())
        .map(|place| {
            let other = if value.as_bytes()[place] == b'A' { "B" } else { "A" };
            format!("{}{other}{}", &value[..place], &value[place + 1..])
        })
        .collect();
    tampered.extend((0..value.len()).step_by(7).map(|length| value[..length].to_owned()));
    tampered.extend([
        format!("{value}A"),
        format!("{value}="),
        format!(" {value}"),
        format!("{value}\0"),
        "%".to_owned(),
        "%ZZ".to_owned(),
        "ä".repeat(100),
        "A".repeat(64 * 1024),
        "AQAAAAEAAAAAAAAAAAAAAAAAAAAA".to_owned(),
    ]);
    for value in tampered.into_iter().filter(|tampered| tampered != value) {
        let label = begun.pending.label.clone();
        let pending = vec![SealedPendingLogin { label, value: value.clone() }];
        let failed = desk.login.finish(answer.clone(), pending, Browser::default(), None).await.expect_err("changed");
        assert!(matches!(failed.error, LoginError::NoPendingLogin), "{value}: {}", failed.error);
    }
    nothing_happened(&desk);
}

/// LGN-09: a cookie that a sibling host planted under the same name locks nobody out.
#[tokio::test]
async fn a_planted_cookie_of_the_same_name_locks_nobody_out() {
    for planted_first in [true, false] {
        let desk = Desk::open().await;
        let (begun, answer) = desk.approved().await;
        let planted = SealedPendingLogin { label: begun.pending.label.clone(), value: "planted".to_owned() };
        let mut pending = vec![planted, begun.pending.clone()];
        if !planted_first {
            pending.reverse();
        }
        desk.login.finish(answer, pending, Browser::default(), None).await.expect("one of them opens");
    }
}

/// LGN-04: ten minutes, and from no future; where the person wanted to go is kept for starting again.
#[tokio::test]
async fn a_pending_login_is_good_for_ten_minutes() {
    for (minutes, seconds, is_stale) in [(9, 59, false), (10, 0, false), (10, 1, true), (600, 0, true)] {
        let desk = Desk::open().await;
        let begun = desk.login.begin(return_to("/reports"), Prompt::Configured).await.expect("the provider is there");
        let answer = desk.provider.approve(&begun.authorization_url);
        let time = Duration::from_secs(minutes * 60 + seconds);
        desk.clock.advance(time);
        desk.provider.script().now = NOW + time.as_secs() as i64;
        match desk.finish(answer, &begun).await {
            Ok(_) => assert!(!is_stale, "after {minutes}:{seconds}"),
            Err(failed) => {
                assert!(is_stale && matches!(failed.error, LoginError::Stale), "{minutes}:{seconds}: {}", failed.error);
                assert_eq!(failed.return_to, return_to("/reports"));
                assert_eq!(failed.spent, Some(begun.pending.label));
                nothing_happened(&desk);
            }
        }
    }
    let desk = Desk::open().await;
    let (begun, answer) = desk.approved().await;
    let early = Arc::new(doorward::clock::ManualClock::at(Timestamp::from_unix(NOW - 61)));
    let earlier = login(&config(), &desk.provider.config(), Arc::clone(&desk.store) as SharedStore, early, 9);
    let failed = earlier.finish(answer, vec![begun.pending], Browser::default(), None).await.expect_err("the future");
    assert!(matches!(failed.error, LoginError::Stale), "{}", failed.error);
}

/// LGN-03: one session, whether the same answer comes again, at once, or through another instance.
#[tokio::test]
async fn an_answer_is_good_for_one_session() {
    let desk = Desk::open().await;
    let (begun, answer) = desk.approved().await;
    let together = (0..8).map(|_| desk.finish(answer.clone(), &begun));
    let outcomes = futures_util::future::join_all(together).await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
    for failed in outcomes.into_iter().filter_map(Result::err) {
        assert!(matches!(failed.error, LoginError::NoPendingLogin), "{}", failed.error);
    }
    let failed = desk.finish(answer.clone(), &begun).await.expect_err("a replay");
    assert!(matches!(failed.error, LoginError::NoPendingLogin), "{}", failed.error);
    assert_eq!(desk.provider.hits(Door::Token), 1, "a replay does not reach the provider");
    let other = desk.another_instance();
    let failed = other.finish(answer, vec![begun.pending], Browser::default(), None).await.expect_err("a replay");
    assert!(matches!(failed.error, LoginError::CodeRefused(_)), "{}", failed.error);
    assert_eq!(desk.store.open_sessions().len(), 1);
}

/// Begun on one instance, finished on another: they share the key and nothing else.
#[tokio::test]
async fn another_instance_can_finish_what_this_one_began() {
    let desk = Desk::open().await;
    let (begun, answer) = desk.approved().await;
    let other = desk.another_instance();
    other.finish(answer, vec![begun.pending], Browser::default(), None).await.expect("the same key");
}

/// Fault 47: a new key seals, the old one still opens, and an instance that does not know the new one looks again.
#[tokio::test]
async fn keys_can_be_rotated_while_logins_are_pending() {
    let desk = Desk::open().await;
    let (old, old_answer) = desk.approved().await;
    let first = doorward::store::Keys::sealing_keys(&*desk.store, &[0; 32], Timestamp::from_unix(NOW)).await;
    let second = Key { id: 2, secret: [9; 32], created_at: Timestamp::from_unix(NOW) - sealing::AHEAD };
    desk.store.set_keys([vec![second], first.expect("the store is there")].concat());
    let other = desk.another_instance();
    let new = other.begin(None, Prompt::Configured).await.expect("the provider is there");
    let new_answer = desk.provider.approve(&new.authorization_url);
    desk.finish(new_answer, &new).await.expect("the new key is read when it is met");
    other.finish(old_answer, vec![old.pending], Browser::default(), None).await.expect("the old key still opens");
    let before = desk.store.key_questions();
    for id in 100..150u8 {
        let forged = [vec![1, 0, 0, 0, id], vec![0; 200]].concat();
        let value = base64::Engine::encode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, forged);
        let (begun, answer) = desk.approved().await;
        let pending = vec![SealedPendingLogin { label: begun.pending.label, value }];
        desk.login.finish(answer, pending, Browser::default(), None).await.expect_err("forged");
    }
    assert!(desk.store.key_questions() - before <= 1, "forged key ids reach the store");
}

/// LGN-07: tabs finish in any order, each where it wanted to go.
#[tokio::test]
async fn tabs_do_not_get_into_each_others_way() {
    let desk = Desk::open().await;
    let mut tabs = Vec::new();
    for number in 0..5 {
        let address = format!("/tab/{number}");
        tabs.push((
            desk.login.begin(return_to(&address), Prompt::Configured).await.expect("the provider is there"),
            address,
        ));
    }
    let cookies: Vec<_> = tabs.iter().map(|(begun, _)| begun.pending.clone()).collect();
    for (begun, address) in tabs.iter().rev() {
        let answer = desk.provider.approve(&begun.authorization_url);
        let finished = desk.login.finish(answer, cookies.clone(), Browser::default(), None).await;
        assert_eq!(finished.expect("an honest provider").return_to, return_to(address));
    }
}

/// LGN-13, LGN-14: a fresh handle each time, and the session that the browser came with is over.
#[tokio::test]
async fn the_presented_session_is_ended_and_never_adopted() {
    let desk = Desk::open().await;
    let first = desk.sign_in().await.expect("an honest provider").session;
    desk.provider.script().person = person("2202", "grace@example.com", "Grace Hopper");
    let (begun, answer) = desk.approved().await;
    let finished =
        desk.login.finish(answer, vec![begun.pending], Browser::default(), Some(first.clone())).await.expect("honest");
    let open: Vec<_> = desk.store.open_sessions().into_iter().map(|session| session.handle).collect();
    assert_eq!(open, [finished.session.hashed()], "only the second person's session is open");
    assert_ne!(finished.session.hashed(), first.hashed());
    let planted = Plain::presented("planted");
    let (begun, answer) = desk.approved().await;
    let finished = desk.login.finish(answer, vec![begun.pending], Browser::default(), Some(planted.clone())).await;
    assert_ne!(finished.expect("honest").session.hashed(), planted.hashed());
}

/// OIDC-25, LGN-12: errors of the provider; the state is checked and spent, nothing of them is passed on raw.
#[tokio::test]
async fn errors_of_the_provider_spend_the_login_and_say_little() {
    let desk = Desk::open().await;
    let table = [
        ("access_denied", "declined", "the person declined at the provider"),
        ("server_error", "provider_error", "the provider answered server_error"),
        ("interaction_required", "provider_error", "the provider answered interaction_required"),
        ("<script>alert(1)</script>", "provider_error", "the provider answered scriptalert1script"),
        ("a\r\nset-cookie: x", "provider_error", "the provider answered aset-cookiex"),
        ("ä ü", "provider_error", "the provider answered an error without a name"),
    ];
    for (error, reason, sentence) in table {
        let begun = desk.login.begin(return_to("/reports"), Prompt::Configured).await.expect("the provider is there");
        let state = desk.provider.approve(&begun.authorization_url).state;
        let answer = Answer { state, error: Some(error.to_owned()), ..Answer::default() };
        let failed = desk.finish(answer.clone(), &begun).await.expect_err("an error");
        assert_eq!((failed.error.reason(), failed.error.to_string().as_str()), (reason, sentence));
        assert_eq!((failed.spent, failed.return_to), (Some(begun.pending.label.clone()), return_to("/reports")));
        let again = desk.finish(answer, &begun).await.expect_err("spent");
        assert!(matches!(again.error, LoginError::NoPendingLogin), "{}", again.error);
    }
    let endless = Answer { error: Some("x".repeat(100_000)), state: Some("other".to_owned()), ..Answer::default() };
    let failed = desk.login.finish(endless, vec![], Browser::default(), None).await.expect_err("no such login");
    assert!(matches!(failed.error, LoginError::NoPendingLogin), "the state counts for errors too");
    nothing_happened(&desk);
    desk.sign_in().await.expect("cancelling never wedges anybody");
}

/// OIDC-18: without a code there is nothing to go by.
#[tokio::test]
async fn an_answer_without_code_or_state_is_incomplete() {
    let desk = Desk::open().await;
    let (begun, answer) = desk.approved().await;
    for code in [None, Some(String::new())] {
        let failed = desk.finish(Answer { code, ..answer.clone() }, &begun).await.expect_err("no code");
        assert!(matches!(failed.error, LoginError::Incomplete("code")), "{}", failed.error);
    }
    let failed = desk.finish(Answer { state: None, ..answer.clone() }, &begun).await.expect_err("no state");
    assert!(matches!(failed.error, LoginError::Incomplete("state")), "{}", failed.error);
    nothing_happened(&desk);
    desk.finish(answer, &begun).await.expect("nothing was spent");
}

/// OIDC-26: an answer that names another issuer, or none where the provider promised to, is not followed to the
/// provider: that is how a code meant for one ends up at another.
#[tokio::test]
async fn an_answer_of_another_issuer_is_refused() {
    for announced in [false, true] {
        let rows = [
            (None, announced),
            (Some(""), true),
            (Some("https://evil.test"), true),
            (Some("own"), false),
            (Some("own/"), true),
        ];
        for (iss, is_refused) in rows {
            let desk = Desk::open().await;
            desk.provider.script().announce("authorization_response_iss_parameter_supported", announced);
            let (begun, answer) = desk.approved().await;
            let iss = iss.map(|iss| iss.replace("own", desk.provider.issuer()));
            let outcome = desk.finish(Answer { iss: iss.clone(), ..answer }, &begun).await;
            let refused = matches!(outcome, Err(Failed { error: LoginError::OtherIssuer, .. }));
            assert_eq!(refused, is_refused, "iss={iss:?}, announced={announced}");
            assert_eq!(desk.provider.hits(Door::Token), usize::from(!is_refused), "iss={iss:?}");
        }
    }
}

/// OIDC-26: an instance that has just started must not forget to ask for `iss`.
#[tokio::test]
async fn a_promised_issuer_is_missed_even_right_after_a_start() {
    let desk = Desk::open().await;
    desk.provider.script().announce("authorization_response_iss_parameter_supported", true);
    let (begun, answer) = desk.approved().await;
    let restarted = desk.another_instance();
    let failed = restarted.finish(answer, vec![begun.pending], Browser::default(), None).await.expect_err("no iss");
    assert!(matches!(failed.error, LoginError::OtherIssuer), "{}", failed.error);
    nothing_happened(&desk);
}

/// OIDC-27: what was begun with one provider, or as one client, cannot be finished with another.
#[tokio::test]
async fn a_pending_login_belongs_to_its_provider_and_client() {
    let desk = Desk::open().await;
    let (begun, answer) = desk.approved().await;
    let elsewhere = ScriptedProvider::start().await;
    let mut other_client = desk.provider.config();
    other_client.client_id = "another client".to_owned();
    for provider in [elsewhere.config(), other_client] {
        let store = Arc::clone(&desk.store) as SharedStore;
        let other = login(&config(), &provider, store, Arc::clone(&desk.clock), 9);
        let pending = vec![begun.pending.clone()];
        let failed = other.finish(answer.clone(), pending, Browser::default(), None).await.expect_err("another's");
        assert!(matches!(failed.error, LoginError::OtherProvider), "{}", failed.error);
    }
    assert_eq!(elsewhere.hits(Door::Token), 0);
    nothing_happened(&desk);
}

/// OIDC-06: both ways to authenticate, with a secret that careless encoding breaks.
#[tokio::test]
async fn the_client_authenticates_as_the_provider_asks() {
    let table = [
        (None, "basic"),
        (Some(json!(["client_secret_basic", "client_secret_post"])), "basic"),
        (Some(json!(["client_secret_post", "private_key_jwt"])), "post"),
        (Some(json!(["private_key_jwt"])), "basic"),
    ];
    for (methods, way) in table {
        let desk = Desk::open().await;
        if let Some(methods) = methods {
            desk.provider.script().announce("token_endpoint_auth_methods_supported", methods);
        }
        desk.sign_in().await.expect("the secret arrives as it is");
        assert_eq!(desk.provider.authenticated_by(), Some(way));
    }
}

/// A code can be spent once, so a store that could not take the sign-in is asked before; then the same answer serves.
#[tokio::test]
async fn a_code_is_not_spent_while_the_store_is_away() {
    let desk = Desk::open().await;
    let failures = [StoreError::Unavailable("away".to_owned()), StoreError::ReadOnly("failing over".to_owned())];
    for error in failures {
        let (begun, answer) = desk.approved().await;
        let spent = desk.provider.hits(Door::Token);
        desk.store.fail(Some(error.clone()));
        let failed = desk.finish(answer.clone(), &begun).await.expect_err("the store is away");
        assert_eq!((failed.error.reason(), failed.spent), (error.reason(), None));
        assert_eq!(desk.provider.hits(Door::Token), spent);
        desk.store.fail(None);
        desk.finish(answer, &begun).await.expect("reloading the page is enough");
    }
}

/// LGN-17: whoever hangs up while the code is being spent has a session all the same, and the drain waits for it.
#[tokio::test]
async fn a_sign_in_runs_to_its_end_when_the_caller_goes_away() {
    let desk = Desk::open().await;
    let (begun, answer) = desk.approved().await;
    let slow = Canned::json(json!({ "keys": desk.provider.script().published.clone() }));
    // The exchange needs a key it does not know yet, and that comes late: there is time to hang up.
    desk.provider.script().answer(Door::Keys, slow.after(Duration::from_millis(300)));
    let restarted = desk.another_instance();
    {
        let finishing = restarted.finish(answer, vec![begun.pending], Browser::default(), None);
        tokio::pin!(finishing);
        let hung_up = tokio::time::timeout(Duration::from_millis(100), finishing.as_mut()).await;
        assert!(hung_up.is_err(), "it was too fast for this test");
        assert_eq!(restarted.in_progress(), 1);
    }
    tokio::time::timeout(Duration::from_secs(5), restarted.finished()).await.expect("it comes to an end");
    assert_eq!(restarted.in_progress(), 0);
    assert_eq!(desk.store.open_sessions().len(), 1, "a code was spent without a session");
}

/// OIDC-28: many at once, each gets their own.
#[tokio::test]
async fn many_who_sign_in_at_once_are_not_mixed_up() {
    let desk = Desk::open().await;
    let mut begun = Vec::new();
    for number in 0..100 {
        let email = format!("person{number}@example.com");
        desk.provider.script().person = person(&format!("sub-{number}"), &email, "Somebody");
        begun.push((number, desk.approved().await));
    }
    let finishing = begun.into_iter().map(|(number, (begun, answer))| {
        let desk = &desk;
        async move { (number, desk.finish(answer, &begun).await.expect("an honest provider")) }
    });
    let mut handles = HashSet::new();
    for (number, finished) in futures_util::future::join_all(finishing).await {
        assert_eq!(finished.user.id.as_str(), format!("sub-{number}"));
        assert_eq!(finished.user.identity.email, format!("person{number}@example.com"));
        assert!(handles.insert(finished.session.hashed()));
    }
}

/// IDN-10, IDN-12: proven, and still not let in: by the rules, by the store.
#[tokio::test]
async fn who_is_not_let_in_gets_no_session() {
    let rules = Access { emails: vec!["grace@example.com".to_owned()], ..Access::default() };
    let desk = Desk::open_with(|config, _| config.access = rules).await;
    let failed = desk.sign_in().await.expect_err("not on the list");
    assert_eq!(failed.error.reason(), "not_on_the_list");
    assert!(matches!(failed.error, LoginError::NotAllowed { ref email, .. } if email == "ada@example.com"));
    assert!(desk.store.everybody().is_empty() && desk.store.open_sessions().is_empty());
    let desk = Desk::open().await;
    desk.store.refuse(Refusal::Blocked);
    let failed = desk.sign_in().await.expect_err("blocked");
    assert_eq!(failed.error.reason(), "blocked");
    assert!(desk.store.open_sessions().is_empty());
}

/// RED-07: rules that became stricter while somebody was away at the provider count.
#[tokio::test]
async fn where_to_return_is_looked_at_again() {
    let app = url::Url::parse("https://app.test").expect("an origin");
    let desk = Desk::open_with(|config, _| config.apps.origins.push(app.clone())).await;
    let mut generous = config();
    generous.apps.origins.push(app);
    let there = ReturnTo::parse("https://app.test/x", &ReturnRules::new(&generous.public_url, &generous.apps));
    assert!(there.is_some());
    for (login, expected) in [(desk.login.clone(), there.clone()), (desk.another_instance(), None)] {
        let begun = desk.login.begin(there.clone(), Prompt::Configured).await.expect("the provider is there");
        let answer = desk.provider.approve(&begun.authorization_url);
        let finished = login.finish(answer, vec![begun.pending], Browser::default(), None).await;
        assert_eq!(finished.expect("an honest provider").return_to, expected);
    }
}
