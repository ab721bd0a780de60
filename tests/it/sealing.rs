//! The keys that seal sign-ins under way are changed, and nobody notices.

use std::sync::Arc;
use std::time::Duration;

use doorward::clock::{Clock, Timestamp};
use doorward::login::sealing::{SealingKeys, are_news};
use doorward::model::Browser;
use doorward::random::SeededRandom;
use doorward::store::{Key, SharedStore};

use crate::site::desk::Desk;

/// The number of the key that seals the pending login of somebody who begins now.
async fn sealed_by(desk: &Desk) -> u32 {
    let (begun, _) = desk.approved().await;
    let engine = &base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let value = base64::Engine::decode(engine, &begun.pending.value).expect("base64url");
    u32::from_be_bytes(value[1..5].try_into().expect("four bytes"))
}

/// What the operator's command works with.
fn operator(desk: &Desk) -> SealingKeys {
    SealingKeys::new(Arc::clone(&desk.store) as SharedStore, desk.clock.clone(), Arc::new(SeededRandom::new(99)))
}

fn minutes(minutes: u64) -> Duration {
    Duration::from_secs(60 * minutes)
}

/// The provider's clock runs with ours.
fn pass(desk: &Desk, time: Duration) {
    desk.clock.advance(time);
    desk.provider.script().now = desk.clock.now().unix();
}

#[tokio::test]
async fn a_new_key_seals_after_three_minutes_and_the_old_one_opens_what_it_sealed() {
    let desk = Desk::open().await;
    let other = desk.another_instance();
    desk.login.prepare().await.expect("the store is there");
    assert_eq!(sealed_by(&desk).await, 1);
    let made = operator(&desk).rotate(false).await.expect("a new key");
    assert_eq!((made.id, made.is_sealing), (2, false));
    assert_eq!(made.seals_from, desk.clock.now() + minutes(3));
    desk.login.prepare().await.expect("as every minute");
    pass(&desk, minutes(3) - Duration::from_secs(1));
    assert_eq!(sealed_by(&desk).await, 1, "other instances have not read it yet");
    let (begun, answer) = desk.approved().await;
    pass(&desk, Duration::from_secs(1));
    assert_eq!(sealed_by(&desk).await, 2);
    pass(&desk, minutes(9));
    other.finish(answer, vec![begun.pending], Browser::default(), None).await.expect("the old key opens");
    let (begun, answer) = desk.approved().await;
    other.finish(answer, vec![begun.pending], Browser::default(), None).await.expect("so does the new one");
}

#[tokio::test]
async fn a_key_whose_time_is_over_opens_nothing_that_was_begun_later() {
    let desk = Desk::open().await;
    desk.login.prepare().await.expect("the store is there");
    operator(&desk).rotate(false).await.expect("a new key");
    // An instance that never looked again, or whoever stole the key, seals with the old one.
    let thief = desk.another_instance();
    let (kept, old) = (desk.store.keys(), desk.store.keys().into_iter().filter(|key| key.id == 1).collect());
    desk.store.set_keys(old);
    thief.prepare().await.expect("the old key");
    desk.store.set_keys(kept);
    desk.login.prepare().await.expect("as every minute");
    for (pause, opens) in [(minutes(3), true), (minutes(2), true), (Duration::from_secs(1), false)] {
        pass(&desk, pause);
        let begun = thief.begin(None, doorward::login::Prompt::Configured).await.expect("the provider is there");
        let answer = desk.provider.approve(&begun.authorization_url);
        let finished = desk.finish(answer, &begun).await;
        assert_eq!(finished.is_ok(), opens, "{:?}", finished.err().map(|failed| failed.error.reason()));
    }
}

#[tokio::test]
async fn what_can_open_nothing_any_more_is_forgotten_and_in_need_at_once() {
    let desk = Desk::open().await;
    desk.login.prepare().await.expect("the store is there");
    let keys = operator(&desk);
    let ids = || desk.store.keys().iter().map(|key| key.id).collect::<Vec<_>>();
    keys.rotate(false).await.expect("a second key");
    pass(&desk, minutes(15));
    keys.rotate(false).await.expect("a third key");
    assert_eq!(ids(), [3, 2, 1], "the first may have sealed up to ten minutes ago");
    pass(&desk, Duration::from_secs(1));
    keys.rotate(false).await.expect("a fourth key");
    assert_eq!(ids(), [4, 3, 2]);
    let (begun, answer) = desk.approved().await;
    let made = keys.rotate(true).await.expect("a fifth key");
    assert!(made.is_sealing, "{made:?}");
    assert_eq!((made.created_at, made.seals_from), (desk.clock.now(), desk.clock.now()));
    assert_eq!(ids(), [5]);
    desk.login.prepare().await.expect("as every minute");
    let failed = desk.finish(answer, &begun).await.expect_err("its key is gone");
    assert_eq!(failed.error.reason(), "no_pending_login");
    desk.sign_in().await.expect("begun again");
}

/// For a minute after the change in need nobody can tell by it who answers; later, and by the first key, everybody can.
#[test]
fn a_key_is_news_for_a_minute_where_no_other_is_left() {
    let at = Timestamp::from_unix;
    let key = |id| Key { id, secret: [7; 32], created_at: at(1_000) };
    assert!(are_news(&[key(5)], at(1_059)));
    assert!(!are_news(&[key(5)], at(1_060)));
    assert!(!are_news(&[key(1)], at(1_000)), "the first is known to whoever made it");
    assert!(!are_news(&[key(5), Key { created_at: at(900), ..key(4) }], at(1_000)), "everybody knows the one before");
    assert!(!are_news(&[], at(1_000)));
}
