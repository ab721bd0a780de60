//! What every store promises, proved on each database: the same tests for SQLite, MariaDB and MySQL.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use doorward::audit;
use doorward::clock::{Clock, ManualClock, Timestamp};
use doorward::config::access::SignUp;
use doorward::credential::Hashed;
use doorward::model::{Actor, Event, EventKind, Identity, Origin, Scope, Session, Token, User, UserId};
use doorward::store::{Key, Refusal, SharedStore, SignIn, SignedIn, StoreError};

use crate::site::databases::Database;

pub const ISSUER: &str = "https://accounts.google.com";
pub const NOW: Timestamp = Timestamp::from_unix(1_800_000_000);
pub const ADA: &str = "110169484474386276334";

/// Runs each test of `$suite` on each database.
macro_rules! on_every_database {
    ($suite:ident: $($test:ident),* $(,)?) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $test() {
                super::$suite::$test(crate::site::databases::Database::sqlite()).await;
            })*
        }
        mod mariadb {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $test() {
                if let Some(database) = crate::site::databases::Database::mariadb().await {
                    super::$suite::$test(database).await;
                }
            })*
        }
        mod mysql {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $test() {
                if let Some(database) = crate::site::databases::Database::mysql().await {
                    super::$suite::$test(database).await;
                }
            })*
        }
    };
}
pub(crate) use on_every_database;

on_every_database!(suite:
    a_second_sign_in_keeps_the_user_and_the_sessions,
    the_row_is_refreshed_and_what_was_said_is_kept_apart,
    fifty_first_sign_ins_at_once_make_one_row,
    fifty_strangers_sign_in_at_once_and_each_is_themselves,
    the_session_before_is_ended_by_the_sign_in,
    a_row_that_the_site_deletes_is_a_person_signed_out,
    ids_that_differ_in_case_are_two_people,
    an_id_with_a_blank_at_the_end_is_nobody_elses,
    a_blocked_user_is_refused_and_nothing_is_written,
    an_id_of_another_identity_is_claimed,
    three_hundred_handles_are_answered_in_their_order,
    a_truncated_or_altered_handle_finds_nothing,
    a_touch_counts_once,
    sessions_end_by_handle_by_name_and_by_user,
    sessions_are_listed_newest_first,
    sessions_and_tokens_are_paged_without_a_gap,
    the_sweep_takes_no_more_than_it_may_and_only_what_has_ended,
    tokens_are_found_touched_listed_revoked_and_swept,
    three_instances_agree_on_one_sealing_key,
    a_further_sealing_key_is_kept_once_and_old_ones_go,
    users_are_found_by_email_without_case_and_listed_in_order,
    a_store_that_is_not_ready_says_so,
    a_closed_store_cannot_be_asked,
    every_field_comes_back_as_it_was_given,
    hostile_text_is_only_text,
);

/// A clock that stands still.
pub fn clock() -> Arc<dyn Clock> {
    Arc::new(ManualClock::at(NOW))
}

/// A store that is ready.
pub async fn ready(database: &Database) -> SharedStore {
    let store = database.store(clock());
    store.prepare(Some(ISSUER)).await.expect("a fresh database can be made ready");
    store
}

/// What Google says of the person with this subject.
pub fn identity(subject: &str) -> Identity {
    Identity {
        provider: "google".to_owned(),
        issuer: ISSUER.to_owned(),
        subject: subject.to_owned(),
        email: "ada@example.com".to_owned(),
        email_verified: true,
        name: Some("Ada Lovelace".to_owned()),
        picture: Some("https://lh3.googleusercontent.com/a/ada".to_owned()),
        hosted_domain: None,
    }
}

/// The hash that stands for `number`.
pub fn hashed(number: u32) -> Hashed {
    let mut bytes = [0x5a; 32];
    bytes[4..8].copy_from_slice(&number.to_be_bytes());
    // Bytes that are no text in any character set must pass.
    bytes[8..12].copy_from_slice(&[0x00, 0xff, 0xfe, 0x27]);
    Hashed::from_bytes(bytes)
}

/// A session of `subject` with this number for a handle.
pub fn session(subject: &str, number: u32) -> Session {
    Session {
        handle: hashed(number),
        user_id: UserId::new(subject),
        created_at: NOW,
        last_seen_at: NOW,
        expires_at: NOW + Duration::from_secs(3600),
        proved_at: Some(NOW),
        address: "192.0.2.7".to_owned(),
        user_agent: "Mozilla/5.0 (🦊)".to_owned(),
    }
}

/// Something that happened to `subject` now.
pub fn event(kind: EventKind, subject: &str) -> Event {
    let origin = Origin { actor: Actor::Person, request_id: "5eaf00d".to_owned(), address: "192.0.2.7".to_owned() };
    audit::event(&*clock(), kind, Some(&UserId::new(subject)), &origin, "", "of tests")
}

pub fn first_sign_in(subject: &str, number: u32) -> SignIn {
    SignIn {
        identity: identity(subject),
        session: session(subject, number),
        previous: None,
        most_sessions: 50,
        sign_up: SignUp::Open,
        event: event(EventKind::Login, subject),
    }
}

/// Signs in and expects to be let in.
pub async fn opened(store: &SharedStore, sign_in: &SignIn) -> User {
    match store.sign_in(sign_in).await.expect("the store answers") {
        SignedIn::Opened(user) => user,
        SignedIn::Refused(refusal) => panic!("refused: {refusal}"),
    }
}

/// Signs in and expects not to be let in.
pub async fn refused(store: &SharedStore, sign_in: &SignIn) -> Refusal {
    match store.sign_in(sign_in).await.expect("the store answers") {
        SignedIn::Refused(refusal) => refusal,
        SignedIn::Opened(user) => panic!("let in as {}", user.id),
    }
}

/// Who holds the handle with this number.
pub async fn holder(store: &SharedStore, number: u32) -> Option<(Session, User)> {
    let mut found = store.sessions_by_handle(&[hashed(number)]).await.expect("the store answers");
    assert_eq!(found.len(), 1);
    found.remove(0)
}

mod suite {
    use super::*;

    pub async fn a_second_sign_in_keeps_the_user_and_the_sessions(database: Database) {
        let store = ready(&database).await;
        let first = opened(&store, &first_sign_in(ADA, 1)).await;
        let mut again = first_sign_in(ADA, 2);
        again.session.created_at = NOW + Duration::from_secs(60);
        let second = opened(&store, &again).await;
        assert_eq!((first.id.as_str(), second.id), (ADA, first.id.clone()));
        assert_eq!((second.created_at, second.last_login_at), (NOW, NOW + Duration::from_secs(60)));
        assert!(holder(&store, 1).await.is_some() && holder(&store, 2).await.is_some());
        assert_eq!(database.value("select count(*) from users").await, "1");
    }

    pub async fn the_row_is_refreshed_and_what_was_said_is_kept_apart(database: Database) {
        let store = ready(&database).await;
        opened(&store, &first_sign_in(ADA, 1)).await;
        let mut again = first_sign_in(ADA, 2);
        again.identity.email = "Countess@Example.com".to_owned();
        again.identity.name = Some("Ada, Countess of Lovelace 👑".to_owned());
        again.identity.picture = None;
        opened(&store, &again).await;
        let rows = database.rows("select id, email, picture from users").await;
        assert_eq!(rows, [vec![Some(ADA.to_owned()), Some("Countess@Example.com".to_owned()), None]]);
        database.run(&["update users set email = 'evil@example.com', name = 'Evil'"]).await;
        let user = store.user(&UserId::new(ADA)).await.expect("an answer").expect("a user");
        assert_eq!(user.identity, again.identity, "rules read what the provider said, not what others wrote");
    }

    pub async fn fifty_first_sign_ins_at_once_make_one_row(database: Database) {
        let stores = [ready(&database).await, ready(&database).await];
        let tasks: Vec<_> = (0..50)
            .map(|number| {
                let store = Arc::clone(&stores[number as usize % 2]);
                tokio::spawn(async move { opened(&store, &first_sign_in(ADA, number)).await })
            })
            .collect();
        for task in tasks {
            assert_eq!(task.await.expect("no panic").id.as_str(), ADA);
        }
        assert_eq!(database.value("select count(*) from users").await, "1");
        assert_eq!(database.value("select count(*) from doorward_sessions").await, "50");
    }

    pub async fn fifty_strangers_sign_in_at_once_and_each_is_themselves(database: Database) {
        let store = ready(&database).await;
        let subject = |number: u32| format!("stranger-{number}");
        let tasks: Vec<_> = (0..50)
            .map(|number| {
                let store = Arc::clone(&store);
                tokio::spawn(async move { opened(&store, &first_sign_in(&subject(number), number)).await })
            })
            .collect();
        for task in tasks {
            task.await.expect("no panic");
        }
        for number in 0..50 {
            let (session, user) = holder(&store, number).await.expect("a session");
            assert_eq!((session.user_id.as_str(), user.identity.subject), (user.id.as_str(), subject(number)));
        }
    }

    pub async fn the_session_before_is_ended_by_the_sign_in(database: Database) {
        let store = ready(&database).await;
        opened(&store, &first_sign_in(ADA, 1)).await;
        opened(&store, &SignIn { previous: Some(hashed(1)), ..first_sign_in("somebody-else", 2) }).await;
        assert!(holder(&store, 1).await.is_none());
        assert_eq!(holder(&store, 2).await.expect("a session").1.id.as_str(), "somebody-else");
    }

    pub async fn a_row_that_the_site_deletes_is_a_person_signed_out(database: Database) {
        let store = ready(&database).await;
        opened(&store, &first_sign_in(ADA, 1)).await;
        let token = token(ADA, 7);
        store.create_token(&token, u32::MAX).await.expect("kept");
        database.run(&["delete from users"]).await;
        assert!(holder(&store, 1).await.is_none());
        assert!(store.token_by_hash(&token.hash).await.expect("an answer").is_none());
        assert!(store.user(&UserId::new(ADA)).await.expect("an answer").is_none());
        let user = opened(&store, &first_sign_in(ADA, 2)).await;
        assert_eq!(user.id.as_str(), ADA, "who signs in again is written again");
        assert!(holder(&store, 1).await.is_none(), "the session of before stays ended");
        assert!(store.token_by_hash(&token.hash).await.expect("an answer").is_none(), "and so does the token");
        assert_eq!(database.value("select id from users").await, ADA);
    }

    pub async fn ids_that_differ_in_case_are_two_people(database: Database) {
        let store = ready(&database).await;
        opened(&store, &first_sign_in("AbCdEfGhIjKlMnOpQrStUv", 1)).await;
        opened(&store, &first_sign_in("abcdefghijklmnopqrstuv", 2)).await;
        let (first, second) = (holder(&store, 1).await.expect("one"), holder(&store, 2).await.expect("another"));
        assert_ne!(first.1.id, second.1.id);
        assert_eq!(database.value("select count(*) from users").await, "2");
        assert!(store.user(&UserId::new("ABCDEFGHIJKLMNOPQRSTUV")).await.expect("an answer").is_none());
    }

    pub async fn an_id_with_a_blank_at_the_end_is_nobody_elses(database: Database) {
        let store = ready(&database).await;
        opened(&store, &first_sign_in(ADA, 1)).await;
        let padded = format!("{ADA} ");
        match store.sign_in(&first_sign_in(&padded, 2)).await.expect("an answer") {
            SignedIn::Opened(user) => assert_eq!(user.id.as_str(), padded),
            SignedIn::Refused(refusal) => {
                assert_eq!(refusal, Refusal::SimilarId { table: "users".to_owned(), existing: ADA.to_owned() });
                assert!(holder(&store, 2).await.is_none(), "a refusal leaves nothing behind");
                assert_eq!(database.value("select count(*) from doorward_identities").await, "1");
            }
        }
        assert_eq!(holder(&store, 1).await.expect("untouched").1.id.as_str(), ADA);
    }

    pub async fn a_blocked_user_is_refused_and_nothing_is_written(database: Database) {
        let store = ready(&database).await;
        opened(&store, &first_sign_in(ADA, 1)).await;
        database.run(&["update doorward_identities set blocked_at = 1800000001"]).await;
        let mut again = SignIn { previous: Some(hashed(1)), ..first_sign_in(ADA, 2) };
        again.identity.email = "other@example.com".to_owned();
        assert_eq!(refused(&store, &again).await, Refusal::Blocked);
        let (_, user) = holder(&store, 1).await.expect("the caller judges blocks");
        assert_eq!(user.blocked_at, Some(Timestamp::from_unix(1_800_000_001)));
        assert_eq!(database.value("select email from users").await, "ada@example.com");
    }

    pub async fn an_id_of_another_identity_is_claimed(database: Database) {
        let store = ready(&database).await;
        opened(&store, &first_sign_in(ADA, 1)).await;
        let mut other = first_sign_in(ADA, 2);
        other.identity.issuer = "https://id.example.org".to_owned();
        assert_eq!(refused(&store, &other).await, Refusal::Claimed);
        database.run(&["insert into users (id, email) values ('from-before-doorward-came', 'x@example.com')"]).await;
        let mut other = first_sign_in("from-before-doorward-came", 3);
        other.identity.issuer = "https://id.example.org".to_owned();
        assert_eq!(refused(&store, &other).await, Refusal::Claimed, "old rows belong to the issuer on record");
        opened(&store, &first_sign_in("from-before-doorward-came", 4)).await;
    }

    pub async fn three_hundred_handles_are_answered_in_their_order(database: Database) {
        let store = ready(&database).await;
        for number in 0..20 {
            opened(&store, &first_sign_in(&format!("person-{number}"), number)).await;
        }
        for count in [0, 1, 2, 5, 17, 65, 300] {
            let handles: Vec<Hashed> = (0..count).rev().map(hashed).collect();
            let found = store.sessions_by_handle(&handles).await.expect("an answer");
            assert_eq!(found.len(), handles.len());
            for (number, known) in (0..count).rev().zip(found) {
                let id = known.map(|(_, user)| user.id.as_str().to_owned());
                assert_eq!(id, (number < 20).then(|| format!("person-{number}")));
            }
        }
        let twice = store.sessions_by_handle(&[hashed(3), hashed(3)]).await.expect("an answer");
        assert!(twice.iter().all(Option::is_some), "the same handle twice is answered twice");
    }

    pub async fn a_truncated_or_altered_handle_finds_nothing(database: Database) {
        let store = ready(&database).await;
        opened(&store, &first_sign_in(ADA, 1)).await;
        let bytes = *hashed(1).as_bytes();
        for place in 0..32 {
            let (mut flipped, mut zeroed) = (bytes, bytes);
            flipped[place] ^= 0x20;
            zeroed[place..].fill(0);
            for other in [flipped, zeroed] {
                let found = store.sessions_by_handle(&[Hashed::from_bytes(other)]).await.expect("an answer");
                assert_eq!(found, [None], "byte {place}");
            }
        }
    }

    pub async fn a_touch_counts_once(database: Database) {
        let store = ready(&database).await;
        opened(&store, &first_sign_in(ADA, 1)).await;
        let later = NOW + Duration::from_secs(90);
        store.touch_session(&hashed(1), NOW, later).await.expect("an answer");
        assert_eq!(holder(&store, 1).await.expect("a session").0.last_seen_at, NOW, "it was seen recently");
        store.touch_session(&hashed(1), NOW + Duration::from_secs(30), later).await.expect("an answer");
        assert_eq!(holder(&store, 1).await.expect("a session").0.last_seen_at, later);
        let earlier = NOW + Duration::from_secs(80);
        store.touch_session(&hashed(1), NOW + Duration::from_secs(20), earlier).await.expect("an answer");
        assert_eq!(holder(&store, 1).await.expect("a session").0.last_seen_at, later, "time does not go back");
    }

    pub async fn sessions_end_by_handle_by_name_and_by_user(database: Database) {
        let store = ready(&database).await;
        for number in 0..4 {
            opened(&store, &first_sign_in(ADA, number)).await;
        }
        opened(&store, &first_sign_in("somebody-else", 9)).await;
        assert_eq!(store.end_session(&hashed(0)).await.expect("an answer"), Some(UserId::new(ADA)));
        assert_eq!(store.end_session(&hashed(0)).await.expect("an answer"), None, "it has ended already");
        for wrong in ["", "zz", "5a5a5a5a", "5a5a5a5a0000000g", "%", "5a5a5a5a000000010"] {
            assert_eq!(store.end_sessions_named(wrong, None).await.expect("an answer"), 0, "{wrong:?}");
        }
        assert_eq!(store.end_sessions_named(&hashed(1).short(), None).await.expect("an answer"), 1);
        assert!(holder(&store, 0).await.is_none() && holder(&store, 1).await.is_none());
        assert!(holder(&store, 2).await.is_some() && holder(&store, 3).await.is_some());
        assert_eq!(store.end_sessions_of(&UserId::new(ADA), None).await.expect("an answer"), 2);
        assert!(holder(&store, 9).await.is_some(), "somebody else stays");
    }

    pub async fn sessions_are_listed_newest_first(database: Database) {
        let store = ready(&database).await;
        for number in 0..6 {
            let subject = if number % 2 == 0 { ADA } else { "somebody-else" };
            let mut sign_in = first_sign_in(subject, number);
            sign_in.session.created_at = NOW + Duration::from_secs(u64::from(number) * 10);
            opened(&store, &sign_in).await;
        }
        let handles = |sessions: Vec<Session>| sessions.into_iter().map(|session| session.handle).collect::<Vec<_>>();
        let all = store.sessions(None, None, 4).await.expect("an answer");
        assert_eq!(handles(all), [hashed(5), hashed(4), hashed(3), hashed(2)]);
        let adas = store.sessions(Some(&UserId::new(ADA)), None, 10).await.expect("an answer");
        assert_eq!(handles(adas), [hashed(4), hashed(2), hashed(0)]);
    }

    /// Page by page by key, those of one second told apart by their handles: each is seen once, none is missed.
    pub async fn sessions_and_tokens_are_paged_without_a_gap(database: Database) {
        let store = ready(&database).await;
        let (ada, now) = (UserId::new(ADA), NOW);
        for number in 0..9 {
            let mut sign_in = first_sign_in(if number == 4 { "somebody-else" } else { ADA }, number);
            sign_in.session.created_at = now + Duration::from_secs(u64::from(number) / 4);
            opened(&store, &sign_in).await;
            let token = Token {
                hash: hashed(100 + number),
                user_id: ada.clone(),
                name: "of tests".to_owned(),
                scope: Scope::Me,
                last_four: "abcd".to_owned(),
                created_at: now + Duration::from_secs(u64::from(number) / 4),
                expires_at: now + Duration::from_secs(3600),
                last_used_at: None,
            };
            store.create_token(&token, u32::MAX).await.expect("kept");
        }
        for user in [None, Some(&ada)] {
            let (mut sessions, mut after) = (Vec::new(), None);
            loop {
                let page = store.sessions(user, after, 2).await.expect("an answer");
                let Some(last) = page.last() else { break };
                after = Some((last.created_at, last.handle));
                sessions.extend(page.into_iter().map(|session| session.handle));
            }
            let whole = store.sessions(user, None, 100).await.expect("an answer");
            assert_eq!(sessions, whole.iter().map(|session| session.handle).collect::<Vec<_>>());
            assert_eq!(sessions.len(), if user.is_some() { 8 } else { 9 });
            let (mut tokens, mut after) = (Vec::new(), None);
            loop {
                let page = store.tokens(user, after, 2).await.expect("an answer");
                let Some(last) = page.last() else { break };
                after = Some((last.created_at, last.hash));
                tokens.extend(page.into_iter().map(|token| token.hash));
            }
            let whole = store.tokens(user, None, 100).await.expect("an answer");
            assert_eq!(tokens, whole.iter().map(|token| token.hash).collect::<Vec<_>>());
            assert_eq!(tokens.len(), 9);
        }
        let named = store.sessions_named(&hashed(4).short()).await.expect("an answer");
        assert_eq!(named.iter().map(|one| one.user_id.as_str()).collect::<Vec<_>>(), ["somebody-else"]);
        assert_eq!(store.tokens_named(&hashed(104).short()).await.expect("an answer").len(), 1);
        for nobody in ["", "zz", &hashed(77).short()] {
            assert_eq!(store.sessions_named(nobody).await.expect("an answer"), []);
            assert_eq!(store.tokens_named(nobody).await.expect("an answer"), []);
        }
    }

    pub async fn the_sweep_takes_no_more_than_it_may_and_only_what_has_ended(database: Database) {
        let store = ready(&database).await;
        for number in 0..9 {
            let mut sign_in = first_sign_in(ADA, number);
            match number % 3 {
                0 => sign_in.session.expires_at = NOW - Duration::from_secs(1),
                1 => sign_in.session.last_seen_at = NOW - Duration::from_secs(101),
                _ => {}
            }
            opened(&store, &sign_in).await;
        }
        let idle_since = NOW - Duration::from_secs(100);
        assert_eq!(store.sweep_sessions(NOW, idle_since, 4).await.expect("an answer"), 4);
        assert_eq!(store.sweep_sessions(NOW, idle_since, 4).await.expect("an answer"), 2);
        assert_eq!(store.sweep_sessions(NOW, idle_since, 4).await.expect("an answer"), 0);
        let left: HashSet<Hashed> = store
            .sessions(None, None, 20)
            .await
            .expect("an answer")
            .into_iter()
            .map(|session| session.handle)
            .collect();
        assert_eq!(left, HashSet::from([hashed(2), hashed(5), hashed(8)]));
    }

    fn token(subject: &str, number: u32) -> Token {
        Token {
            hash: hashed(number),
            user_id: UserId::new(subject),
            name: "laptop 💻".to_owned(),
            scope: Scope::Account,
            last_four: "wxYZ".to_owned(),
            created_at: NOW + Duration::from_secs(u64::from(number)),
            expires_at: NOW + Duration::from_secs(3600),
            last_used_at: None,
        }
    }

    pub async fn tokens_are_found_touched_listed_revoked_and_swept(database: Database) {
        let store = ready(&database).await;
        opened(&store, &first_sign_in(ADA, 1)).await;
        for number in 1..=3 {
            store.create_token(&token(ADA, number), u32::MAX).await.expect("kept");
        }
        let (found, user) = store.token_by_hash(&hashed(1)).await.expect("an answer").expect("a token");
        assert_eq!((found, user.id.as_str()), (token(ADA, 1), ADA));
        let used = NOW + Duration::from_secs(5);
        store.touch_token(&hashed(1), NOW, used).await.expect("an answer");
        let later = used + Duration::from_secs(5);
        store.touch_token(&hashed(1), used, later).await.expect("an answer");
        let (found, _) = store.token_by_hash(&hashed(1)).await.expect("an answer").expect("a token");
        assert_eq!(found.last_used_at, Some(used));
        let listed = store.tokens(Some(&UserId::new(ADA)), None, 2).await.expect("an answer");
        assert_eq!(listed.iter().map(|token| token.hash).collect::<Vec<_>>(), [hashed(3), hashed(2)]);
        assert_eq!(store.tokens(None, None, 10).await.expect("an answer").len(), 3);
        assert_eq!(store.revoke_tokens_named(&hashed(2).short(), None).await.expect("an answer"), 1);
        assert!(store.token_by_hash(&hashed(2)).await.expect("an answer").is_none());
        assert_eq!(store.sweep_tokens(NOW, 10).await.expect("an answer"), 0);
        let after = NOW + Duration::from_secs(3601);
        assert_eq!(store.sweep_tokens(after, 1).await.expect("an answer"), 1);
        assert_eq!(store.sweep_tokens(after, 10).await.expect("an answer"), 1);
    }

    pub async fn three_instances_agree_on_one_sealing_key(database: Database) {
        let mut tasks = Vec::new();
        for byte in 1..=3 {
            let store = ready(&database).await;
            tasks.push(tokio::spawn(async move { store.sealing_keys(&[byte; 32], NOW).await.expect("an answer") }));
        }
        let mut answers = Vec::new();
        for task in tasks {
            answers.push(task.await.expect("no panic"));
        }
        assert_eq!(answers[0].len(), 1);
        assert!(answers.iter().all(|keys| *keys == answers[0]));
        assert!((1..=3).any(|byte| answers[0][0].secret == [byte; 32]));
    }

    pub async fn a_further_sealing_key_is_kept_once_and_old_ones_go(database: Database) {
        let store = ready(&database).await;
        let first = store.sealing_keys(&[1; 32], NOW).await.expect("an answer");
        assert_eq!((first[0].id, first[0].created_at), (1, NOW));
        let second = Key { id: 2, secret: [2; 32], created_at: NOW + Duration::from_secs(60) };
        store.add_sealing_key(&second).await.expect("an answer");
        store.add_sealing_key(&Key { secret: [3; 32], ..second.clone() }).await.expect("an answer");
        let both = [vec![second.clone()], first].concat();
        assert_eq!(store.sealing_keys(&[9; 32], NOW).await.expect("an answer"), both, "whoever was quicker");
        assert_eq!(store.forget_sealing_keys_before(2).await.expect("an answer"), 1);
        assert_eq!(store.sealing_keys(&[9; 32], NOW).await.expect("an answer"), [second]);
    }

    pub async fn users_are_found_by_email_without_case_and_listed_in_order(database: Database) {
        let store = ready(&database).await;
        let people =
            [("c", "Same@Example.com"), ("a", "same@example.COM"), ("B", "other@example.com"), ("ı", "ı@x.com")];
        for (number, (subject, email)) in people.iter().enumerate() {
            let mut sign_in = first_sign_in(subject, number as u32);
            sign_in.identity.email = (*email).to_owned();
            opened(&store, &sign_in).await;
        }
        let ids = |users: Vec<User>| users.iter().map(|user| user.id.as_str().to_owned()).collect::<Vec<_>>();
        assert_eq!(ids(store.users_by_email("SAME@example.com").await.expect("an answer")), ["a", "c"]);
        assert!(store.users_by_email("I@x.com").await.expect("an answer").is_empty(), "only ASCII letters are folded");
        assert!(store.users_by_email("same@example.com ").await.expect("an answer").is_empty());
        assert_eq!(ids(store.users(None, 3).await.expect("an answer")), ["B", "a", "c"]);
        assert_eq!(ids(store.users(Some(&UserId::new("a")), 3).await.expect("an answer")), ["c", "ı"]);
        for subject in ["B", "c"] {
            let blocked = store.block_user(&UserId::new(subject), &event(EventKind::Block, subject)).await;
            assert!(blocked.expect("an answer").is_some(), "{subject}");
        }
        assert_eq!(ids(store.blocked_users(None, 5).await.expect("an answer")), ["B", "c"]);
        assert_eq!(ids(store.blocked_users(Some(&UserId::new("B")), 5).await.expect("an answer")), ["c"]);
        assert_eq!(ids(store.blocked_users(None, 1).await.expect("an answer")), ["B"]);
    }

    pub async fn a_store_that_is_not_ready_says_so(database: Database) {
        let store = database.store(clock());
        let answers = [
            store.check_readable().await.err(),
            store.check_writable().await.err(),
            store.sessions_by_handle(&[hashed(1)]).await.err(),
            store.sign_in(&first_sign_in(ADA, 1)).await.err(),
            store.sealing_keys(&[1; 32], NOW).await.err(),
            store.create_token(&token(ADA, 1), u32::MAX).await.err(),
        ];
        for answer in answers {
            assert!(matches!(answer, Some(StoreError::Unavailable(_))), "{answer:?}");
        }
        store.prepare(Some(ISSUER)).await.expect("ready");
        store.check_readable().await.expect("readable");
        store.check_writable().await.expect("writable");
    }

    pub async fn a_closed_store_cannot_be_asked(database: Database) {
        let store = ready(&database).await;
        opened(&store, &first_sign_in(ADA, 1)).await;
        store.close().await;
        assert!(matches!(store.sessions_by_handle(&[hashed(1)]).await, Err(StoreError::Unavailable(_))));
        assert!(matches!(store.sign_in(&first_sign_in(ADA, 2)).await, Err(StoreError::Unavailable(_))));
        assert!(holder(&ready(&database).await, 1).await.is_some(), "what was confirmed is kept");
    }

    pub async fn every_field_comes_back_as_it_was_given(database: Database) {
        let store = ready(&database).await;
        let mut sign_in = first_sign_in(ADA, 1);
        sign_in.identity.email_verified = false;
        sign_in.identity.hosted_domain = Some("example.com".to_owned());
        sign_in.identity.name = Some("👩‍🚀".repeat(85));
        sign_in.session.created_at = Timestamp::from_unix(4_102_444_800);
        sign_in.session.expires_at = Timestamp::from_unix(9_999_999_999);
        let user = opened(&store, &sign_in).await;
        let found = holder(&store, 1).await.expect("a session");
        assert_eq!(found, (sign_in.session.clone(), user.clone()));
        assert_eq!(user.identity, sign_in.identity);
        assert_eq!(store.user(&user.id).await.expect("an answer"), Some(user));
    }

    pub async fn hostile_text_is_only_text(database: Database) {
        let store = ready(&database).await;
        let hostile = "'; drop table users; -- \" ` \\ \u{0} % _ {{7*7}} 🍣 :name ?";
        let mut sign_in = first_sign_in("x' or 1=1 -- 0123456789", 1);
        sign_in.identity.email = hostile.to_owned();
        sign_in.identity.name = Some(hostile.to_owned());
        sign_in.identity.picture = Some(hostile.to_owned());
        sign_in.session.user_agent = hostile.to_owned();
        let user = opened(&store, &sign_in).await;
        assert_eq!(holder(&store, 1).await.expect("a session"), (sign_in.session, user));
        assert_eq!(store.users_by_email(hostile).await.expect("an answer").len(), 1);
        assert_eq!(store.users_by_email("' or '1'='1").await.expect("an answer").len(), 0);
        assert_eq!(database.value("select count(*) from users").await, "1");
    }
}
