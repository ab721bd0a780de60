//! Keeping people out and forgetting them, proved on each database.

use std::sync::Arc;
use std::time::Duration;

use doorward::config::access::SignUp;
use doorward::config::users::OnDelete;
use doorward::credential::Hashed;
use doorward::model::{Device, DeviceState, EventKind, Scope, Token, UserId};
use doorward::store::{Deleted, Ended, EventFilter, Redeemed, Refusal, SharedStore, StoreError};

use crate::site::databases::{Database, Kind};
use crate::store::{ADA, ISSUER, NOW, event, first_sign_in, hashed, holder, on_every_database, opened, ready, refused};

on_every_database!(suite:
    a_block_ends_everything_at_once_and_keeps_out,
    a_block_reaches_a_person_whose_row_the_site_deleted,
    a_block_and_a_sign_in_at_once_leave_no_session,
    an_unblocked_user_may_sign_in_again_and_what_ended_stays_ended,
    nobody_who_is_out_gets_a_token,
    a_deleted_user_is_forgotten_and_only_the_deletion_stays_on_record,
    the_row_of_a_deleted_user_is_blanked_under_its_id,
    several_rows_are_blanked_although_their_addresses_must_differ,
    the_row_of_a_deleted_user_goes_or_stays_as_configured,
    a_foreign_key_that_forbids_it_leaves_everything_as_it_was,
    a_block_outlives_deletion_until_it_is_lifted,
    a_deleted_user_who_comes_back_is_a_new_one,
    what_was_written_under_a_deletion_does_not_come_back_with_the_person,
    nobody_has_more_tokens_than_they_may_however_they_are_made,
    all_tokens_of_a_user_are_revoked_however_many,
    a_trigger_that_forbids_it_leaves_everything_as_it_was,
    nobody_can_be_neither_blocked_nor_deleted,
    a_site_that_takes_in_nobody_new_lets_in_whoever_has_a_row,
);

fn id(text: &str) -> UserId {
    UserId::new(text)
}

fn token(subject: &str, number: u32) -> Token {
    Token {
        hash: hashed(number),
        user_id: id(subject),
        name: "of tests".to_owned(),
        scope: Scope::Me,
        last_four: "abcd".to_owned(),
        created_at: NOW,
        expires_at: NOW + Duration::from_secs(3600),
        last_used_at: None,
    }
}

pub fn waiting(number: u32) -> Device {
    Device {
        code: hashed(1000 + number),
        user_code: hashed(2000 + number),
        machine: "laptop".to_owned(),
        address: "192.0.2.1".to_owned(),
        network: "192.0.2.1".to_owned(),
        scope: Scope::Me,
        created_at: NOW,
        expires_at: NOW + Duration::from_secs(600),
        polled_at: None,
        pause: 5,
        state: DeviceState::Pending,
    }
}

async fn kinds(store: &SharedStore, subject: &str) -> Vec<EventKind> {
    let filter = EventFilter { user: Some(id(subject)), ..EventFilter::default() };
    let events = store.events(&filter, 100).await.expect("an answer");
    events.into_iter().map(|recorded| recorded.event.kind).collect()
}

async fn delete(store: &SharedStore, subject: &str, on_delete: OnDelete) -> Deleted {
    store.delete_user(&id(subject), on_delete, &event(EventKind::Deletion, subject)).await.expect("an answer")
}

async fn block(store: &SharedStore, subject: &str) -> Option<Ended> {
    store.block_user(&id(subject), &event(EventKind::Block, subject)).await.expect("an answer")
}

/// The row with this id, as texts.
async fn row(database: &Database, subject: &str) -> Vec<Vec<Option<String>>> {
    database.rows(&format!("select email, name, picture from users where id = '{subject}'")).await
}

mod suite {
    use super::*;

    pub async fn a_block_ends_everything_at_once_and_keeps_out(database: Database) {
        let store = ready(&database).await;
        opened(&store, &first_sign_in(ADA, 1)).await;
        opened(&store, &first_sign_in(ADA, 2)).await;
        opened(&store, &first_sign_in("another", 3)).await;
        store.create_token(&token(ADA, 4), u32::MAX).await.expect("kept");
        assert_eq!(block(&store, ADA).await, Some(Ended { sessions: 2, tokens: 1 }));
        assert!(holder(&store, 1).await.is_none() && holder(&store, 2).await.is_none());
        assert!(store.token_by_hash(&hashed(4)).await.expect("an answer").is_none());
        assert!(holder(&store, 3).await.is_some(), "somebody else's session ended");
        assert_eq!(refused(&store, &first_sign_in(ADA, 5)).await, Refusal::Blocked);
        let user = store.user(&id(ADA)).await.expect("an answer").expect("still known");
        assert_eq!(user.blocked_at, Some(NOW));
        // Again: since when stays as it was.
        let later = doorward::model::Event { at: NOW + Duration::from_secs(60), ..event(EventKind::Block, ADA) };
        assert_eq!(store.block_user(&id(ADA), &later).await.expect("an answer"), Some(Ended::default()));
        let user = store.user(&id(ADA)).await.expect("an answer").expect("still known");
        assert_eq!(user.blocked_at, Some(NOW));
        assert_eq!(kinds(&store, ADA).await[..2], [EventKind::Block, EventKind::Block]);
    }

    pub async fn a_block_reaches_a_person_whose_row_the_site_deleted(database: Database) {
        let store = ready(&database).await;
        opened(&store, &first_sign_in(ADA, 1)).await;
        database.run(&["delete from users"]).await;
        assert!(block(&store, ADA).await.is_some());
        assert_eq!(refused(&store, &first_sign_in(ADA, 2)).await, Refusal::Blocked);
    }

    /// Whichever comes first: no session of a blocked user is left.
    pub async fn a_block_and_a_sign_in_at_once_leave_no_session(database: Database) {
        let store = ready(&database).await;
        for round in 0..10 {
            opened(&store, &first_sign_in(ADA, 100 + round)).await;
            let mut tasks = Vec::new();
            for number in 0..4 {
                let store = Arc::clone(&store);
                let sign_in = first_sign_in(ADA, 1000 * (round + 1) + number);
                tasks.push(tokio::spawn(async move { store.sign_in(&sign_in).await.map(drop) }));
            }
            assert!(block(&store, ADA).await.is_some());
            for task in tasks {
                task.await.expect("no panic").expect("an answer");
            }
            let left = store.sessions(Some(&id(ADA)), None, 100).await.expect("an answer");
            assert_eq!(left, [], "round {round}");
            let unblock = event(EventKind::Unblock, ADA);
            assert!(store.unblock_user(&id(ADA), Some(ISSUER), &unblock).await.expect("an answer"));
        }
    }

    pub async fn an_unblocked_user_may_sign_in_again_and_what_ended_stays_ended(database: Database) {
        let store = ready(&database).await;
        opened(&store, &first_sign_in(ADA, 1)).await;
        block(&store, ADA).await;
        let unblock = event(EventKind::Unblock, ADA);
        assert!(store.unblock_user(&id(ADA), None, &unblock).await.expect("an answer"));
        assert!(!store.unblock_user(&id(ADA), None, &unblock).await.expect("an answer"), "once is enough");
        assert!(holder(&store, 1).await.is_none());
        opened(&store, &first_sign_in(ADA, 2)).await;
        assert_eq!(
            kinds(&store, ADA).await,
            [EventKind::Login, EventKind::Unblock, EventKind::Block, EventKind::Login],
            "what did nothing is on no record"
        );
    }

    /// A request that was under way when its person was put out leaves no token for the day they are let in again.
    pub async fn nobody_who_is_out_gets_a_token(database: Database) {
        let store = ready(&database).await;
        opened(&store, &first_sign_in(ADA, 1)).await;
        opened(&store, &first_sign_in("another", 2)).await;
        block(&store, ADA).await;
        assert_eq!(delete(&store, "another", OnDelete::Keep).await, Deleted::Done);
        for (user, number) in [(ADA, 3), ("another", 4), ("nobody", 5)] {
            let refused = store.create_token(&token(user, number), u32::MAX).await;
            assert!(matches!(refused, Err(StoreError::Refused(_))), "{user}: {refused:?}");
        }
        assert_eq!(database.value("select count(*) from doorward_tokens").await, "0");
    }

    pub async fn a_deleted_user_is_forgotten_and_only_the_deletion_stays_on_record(database: Database) {
        let store = ready(&database).await;
        opened(&store, &first_sign_in(ADA, 1)).await;
        opened(&store, &first_sign_in("another", 2)).await;
        store.create_token(&token(ADA, 3), u32::MAX).await.expect("kept");
        assert_eq!(delete(&store, ADA, OnDelete::Anonymise).await, Deleted::Done);
        assert!(store.user(&id(ADA)).await.expect("an answer").is_none());
        assert!(holder(&store, 1).await.is_none());
        assert!(store.token_by_hash(&hashed(3)).await.expect("an answer").is_none());
        assert_eq!(kinds(&store, ADA).await, [EventKind::Deletion]);
        for table in ["doorward_identities", "doorward_sessions", "doorward_tokens"] {
            let count = format!("select count(*) from {table} where user_id = '{ADA}'");
            assert_eq!(database.value(&count).await, "0", "{table}");
        }
        assert!(holder(&store, 2).await.is_some(), "somebody else was forgotten too");
        assert_eq!(delete(&store, ADA, OnDelete::Anonymise).await, Deleted::Unknown);
    }

    pub async fn the_row_of_a_deleted_user_is_blanked_under_its_id(database: Database) {
        let store = ready(&database).await;
        opened(&store, &first_sign_in(ADA, 1)).await;
        assert_eq!(delete(&store, ADA, OnDelete::Anonymise).await, Deleted::Done);
        let rows = row(&database, ADA).await;
        let email = rows[0][0].clone().expect("must not be null");
        assert!(email.ends_with("@deleted.invalid") && !email.contains(ADA), "{email}");
        assert_eq!(rows[0][1..], [None, None]);
    }

    pub async fn several_rows_are_blanked_although_their_addresses_must_differ(database: Database) {
        database
            .run(&["create table users (id varchar(255) not null primary key, email varchar(255) not null unique, \
                    name varchar(255) not null, colour varchar(10) not null default 'blue')"])
            .await;
        let store = ready(&database).await;
        for (number, subject) in ["1", "2", "3"].into_iter().enumerate() {
            let mut sign_in = first_sign_in(subject, number as u32);
            sign_in.identity.email = format!("{subject}@example.com");
            opened(&store, &sign_in).await;
            assert_eq!(delete(&store, subject, OnDelete::Anonymise).await, Deleted::Done);
        }
        assert_eq!(database.value("select count(distinct email) from users where name = ''").await, "3");
        assert_eq!(database.value("select count(*) from users where colour = 'blue'").await, "3", "not ours to blank");
    }

    pub async fn the_row_of_a_deleted_user_goes_or_stays_as_configured(database: Database) {
        let store = ready(&database).await;
        for (subject, number) in [("goes", 1), ("stays", 2), ("GOES", 3)] {
            opened(&store, &first_sign_in(subject, number)).await;
        }
        assert_eq!(delete(&store, "goes", OnDelete::Delete).await, Deleted::Done);
        assert_eq!(delete(&store, "stays", OnDelete::Keep).await, Deleted::Done);
        assert_eq!(row(&database, "goes").await.len(), 0);
        assert_eq!(row(&database, "GOES").await.len(), 1, "an id that differs in case is another person");
        assert_eq!(row(&database, "stays").await[0][0].as_deref(), Some("ada@example.com"));
        assert!(store.user(&id("stays")).await.expect("an answer").is_none());
    }

    pub async fn a_foreign_key_that_forbids_it_leaves_everything_as_it_was(database: Database) {
        let id_type = if database.kind == Kind::Sqlite { "text" } else { "varchar(255) collate utf8mb4_bin" };
        let store = ready(&database).await;
        opened(&store, &first_sign_in(ADA, 1)).await;
        store.create_token(&token(ADA, 2), u32::MAX).await.expect("kept");
        block(&store, ADA).await;
        let unblock = event(EventKind::Unblock, ADA);
        store.unblock_user(&id(ADA), None, &unblock).await.expect("an answer");
        opened(&store, &first_sign_in(ADA, 3)).await;
        let posts =
            format!("create table posts (author {id_type} not null, foreign key (author) references users (id))");
        database.run(&[&posts, &format!("insert into posts values ('{ADA}')")]).await;
        let before = kinds(&store, ADA).await;
        match delete(&store, ADA, OnDelete::Delete).await {
            Deleted::Held(why) => assert!(why.contains("posts") && why.contains("foreign key"), "{why}"),
            other => panic!("{other:?}"),
        }
        assert!(holder(&store, 3).await.is_some(), "half of it was done");
        assert_eq!(kinds(&store, ADA).await, before);
        assert_eq!(database.value("select count(*) from doorward_blocks").await, "0");
        // The row may be blanked: what refers to it finds it.
        assert_eq!(delete(&store, ADA, OnDelete::Anonymise).await, Deleted::Done);
        assert_eq!(database.value("select count(*) from posts join users on users.id = author").await, "1");
    }

    /// IDN-12, and what the block of a deleted person leaves tells nobody who it was.
    pub async fn a_block_outlives_deletion_until_it_is_lifted(database: Database) {
        let store = ready(&database).await;
        opened(&store, &first_sign_in(ADA, 1)).await;
        block(&store, ADA).await;
        assert_eq!(delete(&store, ADA, OnDelete::Delete).await, Deleted::Done);
        assert_eq!(refused(&store, &first_sign_in(ADA, 2)).await, Refusal::Blocked);
        assert_eq!(database.value("select count(*) from users").await, "0", "a refused sign-in wrote a row");
        opened(&store, &first_sign_in("another", 3)).await;
        let unblock = event(EventKind::Unblock, ADA);
        let ada = id(ADA);
        let lift = |issuer| store.unblock_user(&ada, Some(issuer), &unblock);
        assert!(!lift("https://id.example.org").await.expect("an answer"), "another issuer's subject");
        assert!(lift(ISSUER).await.expect("an answer"));
        opened(&store, &first_sign_in(ADA, 4)).await;
    }

    /// IDN-13: the same subject later begins anew.
    pub async fn a_deleted_user_who_comes_back_is_a_new_one(database: Database) {
        let store = ready(&database).await;
        for (number, on_delete) in [(1, OnDelete::Anonymise), (2, OnDelete::Delete), (3, OnDelete::Keep)] {
            let mut sign_in = first_sign_in(ADA, number);
            sign_in.session.created_at = NOW + Duration::from_secs(number.into());
            let user = opened(&store, &sign_in).await;
            assert_eq!(user.created_at, sign_in.session.created_at, "before {on_delete:?}");
            assert_eq!(delete(&store, ADA, on_delete).await, Deleted::Done);
        }
        opened(&store, &first_sign_in(ADA, 4)).await;
        assert_eq!(row(&database, ADA).await[0][0].as_deref(), Some("ada@example.com"));
    }

    pub async fn what_was_written_under_a_deletion_does_not_come_back_with_the_person(database: Database) {
        let store = ready(&database).await;
        opened(&store, &first_sign_in(ADA, 1)).await;
        let device = waiting(5);
        assert!(store.ask_device(&device, 10, 10).await.expect("an answer"));
        assert_eq!(delete(&store, ADA, OnDelete::Keep).await, Deleted::Done);
        // A page that was open meanwhile sends its answer now.
        assert!(store.decide_device(&device.user_code, &id(ADA), true, NOW).await.expect("an answer"));
        opened(&store, &first_sign_in(ADA, 3)).await;
        assert!(holder(&store, 3).await.is_some(), "the fresh session ended too");
        let redeemed = store.redeem_device(&device.code, &token(ADA, 2), 10).await.expect("an answer");
        assert_eq!(redeemed, Redeemed::Late);
    }

    pub async fn nobody_has_more_tokens_than_they_may_however_they_are_made(database: Database) {
        let store = ready(&database).await;
        opened(&store, &first_sign_in(ADA, 1)).await;
        opened(&store, &first_sign_in("another", 2)).await;
        assert!(store.create_token(&token("another", 90), 2).await.expect("an answer"), "others' do not count");
        let made = futures_util::future::join_all((10..16).map(|number| {
            let store = &store;
            async move { store.create_token(&token(ADA, number), 2).await.expect("an answer") }
        }));
        assert_eq!(made.await.into_iter().filter(|made| *made).count(), 2, "at one moment");
        let device = waiting(5);
        assert!(store.ask_device(&device, 10, 10).await.expect("an answer"));
        assert!(store.decide_device(&device.user_code, &id(ADA), true, NOW).await.expect("an answer"));
        let redeem = async || store.redeem_device(&device.code, &token(ADA, 20), 2).await.expect("an answer");
        assert_eq!(redeem().await, Redeemed::Full);
        assert_eq!(store.revoke_tokens_of(&id(ADA)).await.expect("an answer"), 2);
        assert_eq!(redeem().await, Redeemed::Done, "it still waits for its place");
        assert_eq!(redeem().await, Redeemed::Late);
    }

    pub async fn all_tokens_of_a_user_are_revoked_however_many(database: Database) {
        let store = ready(&database).await;
        opened(&store, &first_sign_in(ADA, 1)).await;
        opened(&store, &first_sign_in("another", 2)).await;
        for number in 10..420 {
            store.create_token(&token(ADA, number), u32::MAX).await.expect("kept");
        }
        store.create_token(&token("another", 3), u32::MAX).await.expect("kept");
        assert_eq!(store.revoke_tokens_of(&id(ADA)).await.expect("an answer"), 410);
        assert_eq!(database.value("select count(*) from doorward_tokens").await, "1");
        assert!(store.token_by_hash(&hashed(3)).await.expect("an answer").is_some());
    }

    pub async fn a_trigger_that_forbids_it_leaves_everything_as_it_was(database: Database) {
        let store = ready(&database).await;
        opened(&store, &first_sign_in(ADA, 1)).await;
        let forbid = if database.kind == Kind::Sqlite {
            "create trigger keep before delete on users begin select raise(abort, 'kept'); end"
        } else {
            "create trigger keep_them before delete on users for each row signal sqlstate '45000' \
             set message_text = 'kept'"
        };
        database.run(&[forbid]).await;
        let answer = delete(&store, ADA, OnDelete::Delete).await;
        assert!(matches!(answer, Deleted::Held(_)), "{answer:?}");
        assert!(holder(&store, 1).await.is_some(), "half of it was done");
    }

    pub async fn nobody_can_be_neither_blocked_nor_deleted(database: Database) {
        let store = ready(&database).await;
        database.run(&["insert into users (id, email) values ('row', 'row@example.com')"]).await;
        for nobody in ["nobody", "row", "", "' or '1'='1"] {
            assert_eq!(block(&store, nobody).await, None);
            assert_eq!(delete(&store, nobody, OnDelete::Delete).await, Deleted::Unknown);
        }
        assert_eq!(database.value("select count(*) from users").await, "1");
        assert_eq!(store.events(&EventFilter::default(), 10).await.expect("an answer"), []);
    }

    pub async fn a_site_that_takes_in_nobody_new_lets_in_whoever_has_a_row(database: Database) {
        database
            .run(&[
                "create table users (id varchar(255) not null primary key, email varchar(255), name varchar(255))",
                "insert into users (id, email) values ('adopted', 'old@example.com')",
            ])
            .await;
        let store = ready(&database).await;
        let known = |subject, number| {
            let mut sign_in = first_sign_in(subject, number);
            sign_in.sign_up = SignUp::Existing;
            sign_in
        };
        let refusal = refused(&store, &known(ADA, 1)).await;
        assert_eq!(refusal, Refusal::Newcomer { table: "users".to_owned() });
        assert_eq!(database.value("select count(*) from users").await, "1");
        assert_eq!(database.value("select count(*) from doorward_identities").await, "0");
        opened(&store, &known("adopted", 2)).await;
        opened(&store, &known("adopted", 3)).await;
        // Whoever signed in while everybody could stays known, until the site deletes the row.
        opened(&store, &first_sign_in(ADA, 4)).await;
        opened(&store, &known(ADA, 5)).await;
        database.run(&[&format!("delete from users where id = '{ADA}'")]).await;
        assert_eq!(refused(&store, &known(ADA, 6)).await.reason(), "newcomer");
    }
}

/// The hash that is left of a deleted person is not made of parts that could be shifted.
#[test]
fn a_tombstone_is_of_one_issuer_and_one_subject() {
    use doorward::store::tombstone::of;
    assert_ne!(of("https://a.example", "b"), of("https://a.example/", "b"));
    assert_ne!(of("https://a.exampleb", ""), of("https://a.example", "b"));
    assert_ne!(Hashed::from_bytes(of(ISSUER, ADA)), Hashed::from_bytes(of(ISSUER, "x")));
}
