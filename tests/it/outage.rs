//! The database goes away, freezes, or refuses, at every moment of a sign-in: what was confirmed is there, what was
//! not is not half there, and everything heals.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use doorward::config::database::{Database as Config, Place};
use doorward::model::{EventKind, UserId};
use doorward::names::Names;
use doorward::store::{self, SharedStore, SignedIn, StoreError};

use crate::removal::waiting;
use crate::site::databases::{Database, Server};
use crate::site::wire::{Fault, Moment, Wire};
use crate::store::{ADA, ISSUER, NOW, clock, event, first_sign_in, hashed, holder, opened, ready};

/// The statement with its command byte, to tell it from what merely speaks of it.
pub const COMMIT: &str = "\u{3}commit";

/// A wire to the database's server, and a store that is ready at its other end, with this many connections.
async fn wired(database: &Database, max_connections: usize) -> (Wire, SharedStore) {
    ready(database).await;
    let mut place = database.place();
    let wire = Wire::to(SocketAddr::new(place.host.parse().expect("an address"), place.port)).await;
    (place.host, place.port) = (wire.address.ip().to_string(), wire.address.port());
    place.max_connections = max_connections;
    let config = Config { place: Place::Mysql(place), users_table: "users".to_owned() };
    let store = store::open(&config, Names::from_system(), clock());
    store.prepare(Some(ISSUER)).await.expect("ready");
    (wire, store)
}

/// Asks until there is an answer, for as long as a heart may stand still.
async fn healed(store: &SharedStore, within: Duration) {
    let deadline = Instant::now() + within;
    while let Err(error) = store.sessions_by_handle(&[hashed(1)]).await {
        assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
        assert!(Instant::now() < deadline, "not healed within {within:?}: {error}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whichever_packet_of_a_sign_in_fails_there_is_one_user_and_one_session() {
    for database in Database::servers().await {
        let (wire, store) = wired(&database, 4).await;
        for fault in [Fault::CutBefore, Fault::CutAfter, Fault::Refuse(1213), Fault::Refuse(1205)] {
            for packet in 0.. {
                // A sign-in for the first time has the most statements.
                database
                    .run(&["delete from doorward_sessions", "delete from doorward_identities", "delete from users"])
                    .await;
                wire.set(Moment::Packet(packet), fault);
                let answer = store.sign_in(&first_sign_in(ADA, 1)).await;
                let has_failed = wire.has_failed();
                let what = format!("{fault:?} at packet {packet}");
                assert!(matches!(answer, Ok(SignedIn::Opened(_))), "{what}: {answer:?}");
                for table in ["users", "doorward_identities", "doorward_sessions"] {
                    assert_eq!(database.value(&format!("select count(*) from {table}")).await, "1", "{what}: {table}");
                }
                if !has_failed {
                    assert!(packet > 5, "{what}: a sign-in has more statements");
                    break;
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_whose_answer_is_lost_is_looked_up_and_not_done_twice() {
    for database in Database::servers().await {
        let (wire, store) = wired(&database, 4).await;
        for number in 0..20 {
            wire.set(Moment::Text(COMMIT), Fault::CutAfter);
            opened(&store, &first_sign_in(ADA, number)).await;
            assert!(wire.has_failed(), "a sign-in commits");
            assert!(wire.heard(COMMIT) <= 2);
        }
        assert_eq!(database.value("select count(*) from doorward_sessions").await, "20");
        assert_eq!(database.value("select count(*) from users").await, "1");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_whose_answer_is_lost_is_not_made_twice() {
    for database in Database::servers().await {
        let (wire, store) = wired(&database, 4).await;
        // Connections that have been used: a fresh one that fails is never taken for one that had died before.
        opened(&store, &first_sign_in(ADA, 1)).await;
        for moment in [Moment::Text("of tests"), Moment::Text(COMMIT)] {
            database.run(&["delete from doorward_audit"]).await;
            wire.set(moment, Fault::CutAfter);
            let answer = store.record(&event(EventKind::Logout, ADA)).await;
            assert!(wire.has_failed(), "{moment:?}");
            assert!(answer.is_ok() || matches!(answer, Err(StoreError::Unavailable(_))), "{moment:?}: {answer:?}");
            assert_eq!(database.value("select count(*) from doorward_audit").await, "1", "{moment:?}: {answer:?}");
            store.record(&event(EventKind::Logout, ADA)).await.expect("it heals");
        }

        let device = waiting(7);
        assert!(store.ask_device(&device, 10, 10).await.expect("an answer"));
        wire.set(Moment::Text("approved"), Fault::CutAfter);
        let user = UserId::new(ADA);
        assert!(store.decide_device(&device.user_code, &user, true, NOW).await.expect("an answer"), "they let it in");
        assert!(wire.has_failed());
        assert!(!store.decide_device(&device.user_code, &user, false, NOW).await.expect("an answer"));
        let grace = UserId::new("grace");
        assert!(!store.decide_device(&device.user_code, &grace, true, NOW).await.expect("an answer"));

        for number in 2..5 {
            opened(&store, &first_sign_in(ADA, number)).await;
        }
        wire.set(Moment::Text(ADA), Fault::CutAfter);
        assert_eq!(store.end_sessions_of(&user, None).await.expect("an answer"), 4, "as many as there were");
        assert!(wire.has_failed());
        opened(&store, &first_sign_in(ADA, 5)).await;
        wire.set(Moment::Text(COMMIT), Fault::CutAfter);
        let answer = store.end_session(&hashed(5)).await;
        assert!(wire.has_failed());
        assert!(matches!(answer, Err(StoreError::Unavailable(_))), "nobody knows what came of it: {answer:?}");
        store.end_session(&hashed(5)).await.expect("whoever asks again gets an answer");
        assert!(holder(&store, 5).await.is_none());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_that_lasts_is_told_as_what_it_is() {
    for database in Database::servers().await {
        let (wire, store) = wired(&database, 4).await;
        let cases = [(1290, "store_read_only"), (1114, "store_read_only"), (1040, "store_unavailable")];
        for (code, reason) in cases {
            wire.set(Moment::Text("doorward_sessions"), Fault::Refuse(code));
            let answer = store.sign_in(&first_sign_in(ADA, 1)).await;
            assert_eq!(answer.as_ref().map_err(StoreError::reason).err(), Some(reason), "{code}: {answer:?}");
            assert_eq!(database.value("select count(*) from users").await, "0", "{code}: nothing is half written");
        }
        opened(&store, &first_sign_in(ADA, 1)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_the_server_closed_meanwhile_are_replaced_unseen() {
    for database in Database::servers().await {
        let (_wire, store) = wired(&database, 4).await;
        opened(&store, &first_sign_in(ADA, 1)).await;
        let place = database.place();
        for round in 0..5 {
            let ids = format!("select id from information_schema.processlist where db = '{}'", place.name);
            for row in database.rows(&ids).await {
                // Our own connection is among them.
                let _ = database.try_rows(&format!("kill {}", row[0].as_deref().unwrap_or("0"))).await;
            }
            assert!(holder(&store, 1).await.is_some(), "round {round}");
            opened(&store, &first_sign_in(ADA, 10 + round)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_wire_is_told_in_time_and_leaves_all_connections_usable() {
    for database in Database::servers().await {
        let (wire, store) = wired(&database, 3).await;
        opened(&store, &first_sign_in(ADA, 1)).await;
        wire.freeze();
        let since = Instant::now();
        let askers: Vec<_> = (0..30)
            .map(|_| {
                let store = Arc::clone(&store);
                tokio::spawn(async move { store.sessions_by_handle(&[hashed(1)]).await })
            })
            .collect();
        // Half of the visitors lose patience first.
        for asker in askers.iter().step_by(2) {
            asker.abort();
        }
        for asker in askers {
            match asker.await {
                Ok(answer) => assert!(matches!(answer, Err(StoreError::Unavailable(_))), "{answer:?}"),
                Err(gone) => assert!(gone.is_cancelled()),
            }
        }
        assert!(since.elapsed() < Duration::from_millis(4000), "told after {:?}", since.elapsed());
        wire.thaw();
        healed(&store, Duration::from_secs(4)).await;
        let together: Vec<_> = (0..3)
            .map(|number| {
                let store = Arc::clone(&store);
                tokio::spawn(async move { opened(&store, &first_sign_in(ADA, 20 + number)).await })
            })
            .collect();
        for sign_in in together {
            sign_in.await.expect("every connection can be used again");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_in_that_is_given_up_half_way_holds_nobody_up() {
    for database in Database::servers().await {
        let (wire, store) = wired(&database, 2).await;
        wire.set(Moment::Text("insert into doorward_sessions"), Fault::Freeze);
        let given_up = tokio::spawn({
            let store = Arc::clone(&store);
            async move { store.sign_in(&first_sign_in(ADA, 1)).await }
        });
        while !wire.has_failed() {
            assert!(!given_up.is_finished());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        given_up.abort();
        assert!(given_up.await.is_err_and(|gone| gone.is_cancelled()));
        wire.thaw();
        let since = Instant::now();
        opened(&store, &first_sign_in(ADA, 2)).await;
        assert!(since.elapsed() < Duration::from_secs(4), "its locks were let go");
        assert!(holder(&store, 1).await.is_none() && holder(&store, 2).await.is_some());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_in_waits_for_a_row_that_the_site_holds() {
    use mysql_async::prelude::Queryable;
    for database in Database::servers().await {
        let (wire, store) = wired(&database, 4).await;
        opened(&store, &first_sign_in(ADA, 1)).await;
        let place = database.place();
        let opts = mysql_async::OptsBuilder::default()
            .ip_or_hostname(place.host.clone())
            .tcp_port(place.port)
            .user(Some(place.user.clone()))
            .pass(Some(place.password.reveal()))
            .db_name(Some(place.name.clone()))
            .prefer_socket(false);
        let mut site = mysql_async::Conn::new(opts).await.expect("the site's own connection");
        site.query_drop("start transaction").await.expect("begun");
        site.query_drop("select * from users for update").await.expect("held");
        wire.set(Moment::Packet(usize::MAX), Fault::CutBefore);
        let waiting = tokio::spawn({
            let store = Arc::clone(&store);
            async move { opened(&store, &first_sign_in(ADA, 2)).await }
        });
        // The server's patience ends, the sign-in's does not: it takes back what it has done and comes again.
        while wire.heard("rollback") == 0 {
            assert!(!waiting.is_finished());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        site.query_drop("commit").await.expect("let go");
        waiting.await.expect("signed in");
        assert_eq!(database.value("select count(*) from doorward_sessions").await, "2");
        site.disconnect().await.expect("closed");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_of_its_own_may_freeze_turn_read_only_and_die() {
    let Some(server) = Server::start() else { return };
    let database = server.database().await;
    let store = ready(&database).await;
    opened(&store, &first_sign_in(ADA, 1)).await;

    server.signal("STOP");
    let since = Instant::now();
    for _ in 0..3 {
        let answer = store.sessions_by_handle(&[hashed(1)]).await;
        assert!(matches!(answer, Err(StoreError::Unavailable(_))), "{answer:?}");
    }
    assert!(
        since.elapsed() < Duration::from_millis(3 * 2000),
        "each within 1.4 s and what a busy machine adds, not {:?}",
        since.elapsed()
    );
    server.signal("CONT");
    healed(&store, Duration::from_secs(4)).await;

    database.run(&["set global read_only = 1"]).await;
    let answer = store.check_writable().await;
    assert!(matches!(answer, Err(StoreError::ReadOnly(_))), "{answer:?}");
    assert!(holder(&store, 1).await.is_some(), "reading goes on");
    database.run(&["set global read_only = 0"]).await;
    store.check_writable().await.expect("writable again");

    opened(&store, &first_sign_in(ADA, 2)).await;
    server.signal("KILL");
    let deadline = Instant::now() + Duration::from_secs(5);
    while store.check_readable().await.is_ok() {
        assert!(Instant::now() < deadline, "a dead server answers");
    }
    let answer = store.sign_in(&first_sign_in(ADA, 3)).await;
    assert!(matches!(answer, Err(StoreError::Unavailable(_))), "{answer:?}");
    let late_comer = database.store(clock());
    assert!(matches!(late_comer.prepare(Some(ISSUER)).await, Err(StoreError::Unavailable(_))));
    server.run();
    healed(&store, Duration::from_secs(4)).await;
    assert!(holder(&store, 1).await.is_some() && holder(&store, 2).await.is_some(), "what was confirmed is kept");
    late_comer.prepare(Some(ISSUER)).await.expect("it heals without a restart");
    assert!(holder(&late_comer, 2).await.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn another_process_that_writes_to_the_file_stops_no_reader() {
    let database = Database::sqlite();
    let store = ready(&database).await;
    opened(&store, &first_sign_in(ADA, 1)).await;
    let Place::Sqlite(path) = &database.config.place else { panic!("a file") };
    let other = rusqlite::Connection::open(path).expect("opened");
    other.execute_batch("begin immediate; update users set name = 'half done'").expect("held");
    let waiting = tokio::spawn({
        let store = Arc::clone(&store);
        async move { opened(&store, &first_sign_in(ADA, 2)).await }
    });
    for _ in 0..50 {
        assert!(holder(&store, 1).await.is_some());
    }
    assert!(!waiting.is_finished(), "the file is being written");
    other.execute_batch("rollback").expect("let go");
    waiting.await.expect("signed in");
}
