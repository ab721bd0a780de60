//! Several hosts for one database: where one is away or takes no changes, the next is asked.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use doorward::config::database::{Database as Config, Host, Place};
use doorward::config::secret::Secret;
use doorward::model::{EventKind, UserId};
use doorward::names::Names;
use doorward::store::{self, SharedStore, StoreError};

use crate::outage::COMMIT;
use crate::site::databases::{Database, Server};
use crate::site::wire::{Fault, Moment, Wire};
use crate::store::{ADA, ISSUER, clock, event, first_sign_in, hashed, holder, opened, ready};

/// The store of `database`, whose further hosts are these.
fn with_others(database: &Database, others: Vec<Host>) -> SharedStore {
    let mut place = database.place();
    place.others = others;
    let config = Config { place: Place::Mysql(place), users_table: "users".to_owned() };
    store::open(&config, Names::from_system(), clock())
}

/// Asks until the session is found; `within` is for a busy machine.
async fn found(store: &SharedStore, number: u32, within: Duration) {
    let deadline = Instant::now() + within;
    loop {
        match store.sessions_by_handle(&[hashed(number)]).await {
            Ok(found) if found[0].is_some() => return,
            answer => assert!(Instant::now() < deadline, "session {number} not found within {within:?}: {answer:?}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_host_is_asked_where_one_is_read_only_frozen_or_dead() {
    let (Some(first), Some(second)) = (Server::start(), Server::start()) else { return };
    let (here, there) = (first.database().await, second.database().await);
    // The same database on both, as replication would have it; who answers is seen by what only one of them has.
    let (name, elsewhere) = (here.place().name, there.place());
    there.run(&[&format!("create database if not exists {name}")]).await;
    let mut twin = there.place();
    twin.name.clone_from(&name);
    let twin = Config { place: Place::Mysql(twin), users_table: "users".to_owned() };
    let (only_first, only_second) = (ready(&here).await, store::open(&twin, Names::from_system(), clock()));
    only_second.prepare(Some(ISSUER)).await.expect("ready");
    opened(&only_first, &first_sign_in(ADA, 1)).await;
    opened(&only_second, &first_sign_in(ADA, 2)).await;

    let store = with_others(&here, vec![Host { name: elsewhere.host, port: elsewhere.port }]);
    store.prepare(Some(ISSUER)).await.expect("ready");
    assert!(holder(&store, 1).await.is_some() && holder(&store, 2).await.is_none(), "the first one is asked first");

    here.run(&["set global read_only = 1"]).await;
    store.check_writable().await.expect("the second one takes changes");
    opened(&store, &first_sign_in(ADA, 3)).await;
    assert!(holder(&only_second, 3).await.is_some(), "it was written where changes are taken");
    there.run(&["set global read_only = 1"]).await;
    let answer = store.check_writable().await;
    assert!(matches!(answer, Err(StoreError::ReadOnly(_))), "{answer:?}");
    here.run(&["set global read_only = 0"]).await;
    store.check_writable().await.expect("back at the first one");
    there.run(&["set global read_only = 0"]).await;
    found(&store, 1, Duration::from_secs(30)).await;

    first.signal("STOP");
    found(&store, 2, Duration::from_secs(30)).await;
    first.signal("CONT");
    second.signal("KILL");
    found(&store, 1, Duration::from_secs(30)).await;
    store.check_writable().await.expect("the first one takes changes again");
    second.run();
    first.signal("KILL");
    found(&store, 3, Duration::from_secs(30)).await;

    // It may also start while the first one is away, and says who is missing where all of them are.
    let late_comer = with_others(&here, vec![Host { name: "127.0.0.1".to_owned(), port: elsewhere.port }]);
    late_comer.prepare(Some(ISSUER)).await.expect("ready");
    second.signal("KILL");
    let deserted = with_others(&here, vec![Host { name: "127.0.0.1".to_owned(), port: elsewhere.port }]);
    let answer = deserted.prepare(Some(ISSUER)).await.expect_err("nobody is there").to_string();
    let both = format!("127.0.0.1:{}, 127.0.0.1:{}", here.place().port, elsewhere.port);
    assert!(answer.contains(&both), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_does_not_wait_for_a_frozen_host_and_a_question_not_for_one_that_takes_changes() {
    let (Some(first), Some(second)) = (Server::start(), Server::start()) else { return };
    let (here, there) = (first.database().await, second.database().await);
    let (name, elsewhere) = (here.place().name, there.place());
    there.run(&[&format!("create database if not exists {name}")]).await;
    let mut twin = there.place();
    twin.name.clone_from(&name);
    let twin = Config { place: Place::Mysql(twin), users_table: "users".to_owned() };
    let only_second = store::open(&twin, Names::from_system(), clock());
    only_second.prepare(Some(ISSUER)).await.expect("ready");
    // An account that `read_only` counts for.
    let grant = format!("grant all on {name}.* to site@'127.0.0.1' identified by 'site'");
    let mut place = here.place();
    (place.user, place.password) = ("site".to_owned(), Secret::new("site".to_owned()));
    place.others = vec![Host { name: elsewhere.host, port: elsewhere.port }];
    for database in [&here, &there] {
        database.run(&[&grant]).await;
    }
    let config = Config { place: Place::Mysql(place), users_table: "users".to_owned() };
    let store = store::open(&config, Names::from_system(), clock());
    store.prepare(Some(ISSUER)).await.expect("ready");
    let user = UserId::new(ADA);

    first.signal("STOP");
    store.block_user(&user, &event(EventKind::Block, ADA)).await.expect("it is made at the second one");
    store.unblock_user(&user, None, &event(EventKind::Unblock, ADA)).await.expect("and so is the next");
    opened(&store, &first_sign_in(ADA, 3)).await;
    there.run(&["set global read_only = 1"]).await;
    for _ in 0..5 {
        let answer = store.block_user(&user, &event(EventKind::Block, ADA)).await;
        assert!(answer.is_err(), "nobody takes changes: {answer:?}");
        let begun = Instant::now();
        assert!(holder(&store, 3).await.is_some(), "whoever is signed in stays so");
        assert!(begun.elapsed() < Duration::from_millis(600), "the frozen one was waited for: {:?}", begun.elapsed());
    }
    first.signal("CONT");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_whose_commit_nobody_answered_is_not_made_again_at_the_next_host() {
    for database in Database::servers().await {
        let place = database.place();
        opened(&ready(&database).await, &first_sign_in(ADA, 1)).await;
        let wire = Wire::to(SocketAddr::new(place.host.parse().expect("an address"), place.port)).await;
        let mut through = place.clone();
        (through.host, through.port) = (wire.address.ip().to_string(), wire.address.port());
        through.others = vec![Host { name: place.host.clone(), port: place.port }];
        let config = Config { place: Place::Mysql(through), users_table: "users".to_owned() };
        let store = store::open(&config, Names::from_system(), clock());
        store.prepare(Some(ISSUER)).await.expect("ready");
        let user = UserId::new(ADA);
        wire.set(Moment::Text(COMMIT), Fault::CutAfter);
        let answer = store.block_user(&user, &event(EventKind::Block, ADA)).await;
        assert!(wire.has_failed(), "a block commits");
        assert!(matches!(answer, Err(StoreError::Unavailable(_))), "nobody knows what came of it: {answer:?}");
        let events = "select count(*) from doorward_audit where kind = 'block'";
        assert!(database.value(events).await.parse::<u32>().expect("a number") <= 1, "recorded once at the most");
        // A statement on the way to it was not kept, and is made again at the next host.
        wire.set(Moment::Text("doorward_blocks"), Fault::CutAfter);
        store.unblock_user(&user, None, &event(EventKind::Unblock, ADA)).await.expect("an answer");
        opened(&store, &first_sign_in(ADA, 2)).await;
        wire.set(Moment::Text("doorward_sessions"), Fault::CutAfter);
        assert!(holder(&store, 2).await.is_some(), "asked again at the next host");
    }
}
