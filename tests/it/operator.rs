//! What an operator types: people, sessions and tokens by command, beside whatever server runs.

use std::sync::Arc;
use std::time::Duration;

use doorward::clock::{Clock, SystemClock};
use doorward::config::database::{Database, Place};
use doorward::credential::Plain;
use doorward::model::{Identity, Session, UserId};
use doorward::names::Names;
use doorward::random::SeededRandom;
use doorward::store::{self, SharedStore, SignIn, SignedIn};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::site::binary::{self, Ran};

const ISSUER: &str = "https://issuer.example";

/// A folder with a database in it, and a configuration that names it.
struct Desk {
    folder: TempDir,
    store: SharedStore,
    random: SeededRandom,
}

impl Desk {
    async fn open() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let place = Place::Sqlite(folder.path().join("doorward.db"));
        let database = Database { place, ..Database::default() };
        let store = store::open(&database, Names::from_system(), Arc::new(SystemClock));
        store.prepare(Some(ISSUER)).await.expect("a fresh database can be made ready");
        let config = format!(
            "[providers.somewhere]\nissuer = {ISSUER:?}\nclient_id = \"client\"\nclient_secret = \"secret\"\n\
             [database]\nurl = \"sqlite:doorward.db\"\n"
        );
        binary::configure(folder.path(), &config);
        Self { folder, store, random: SeededRandom::new(7) }
    }

    /// Signs somebody in as the server does. The handle of the session.
    async fn sign_in(&self, subject: &str, email: &str, name: &str) -> Plain {
        let (now, handle) = (SystemClock.now(), Plain::new(&self.random));
        let identity = Identity {
            provider: "somewhere".to_owned(),
            issuer: ISSUER.to_owned(),
            subject: subject.to_owned(),
            email: email.to_owned(),
            email_verified: true,
            name: Some(name.to_owned()),
            picture: None,
            hosted_domain: None,
        };
        let session = Session {
            handle: handle.hashed(),
            user_id: UserId::new(subject),
            created_at: now,
            last_seen_at: now,
            expires_at: now + Duration::from_secs(3600),
            address: "192.0.2.7".to_owned(),
            user_agent: "Browser \u{1b}[31m of tests".to_owned(),
        };
        let signed_in = self.store.sign_in(&SignIn { identity, session, previous: None, most_sessions: 50 }).await;
        assert!(matches!(signed_in, Ok(SignedIn::Opened(_))), "{signed_in:?}");
        handle
    }

    fn run(&self, arguments: &[&str]) -> Ran {
        binary::run(binary::command(self.folder.path()).args(arguments))
    }

    async fn is_open(&self, handle: &Plain) -> bool {
        let found = self.store.sessions_by_handle(&[handle.hashed()]).await.expect("the database answers");
        found[0].is_some()
    }
}

fn rows(ran: &Ran) -> Vec<Value> {
    assert_eq!(ran.code, 0, "{ran:#?}");
    ran.json().as_array().expect("a listing is an array").clone()
}

#[tokio::test]
async fn users_are_listed_as_a_table_and_as_json() {
    let desk = Desk::open().await;
    desk.sign_in("2", "grace@example.com", "Grace \u{1b}[2J\u{202e}Hopper").await;
    desk.sign_in("1", "ada@example.com", "Ada Lovelace").await;
    let users = rows(&desk.run(&["users", "list", "--json"]));
    assert_eq!([&users[0]["id"], &users[1]["id"]], [&json!("1"), &json!("2")], "in the order of the ids");
    assert_eq!(users[0]["email"], json!("ada@example.com"));
    assert_eq!(users[0]["blocked_at"], Value::Null);
    let table = desk.run(&["users", "list"]);
    let lines: Vec<_> = table.stdout.lines().collect();
    assert_eq!(lines.len(), 3, "{table:#?}");
    assert!(lines[0].starts_with("ID") && lines[1].contains("Ada Lovelace"), "{table:#?}");
    let is_obeyed = |c: char| c == '\u{1b}' || c == '\u{202e}';
    assert!(!table.stdout.contains(is_obeyed), "a name moves the operator's cursor: {:?}", table.stdout);
    assert_eq!(table.stderr, "");
    let first = desk.run(&["users", "list", "--limit", "1", "--json"]);
    assert_eq!(rows(&first).len(), 1);
    assert!(first.stderr.contains("--limit"), "{first:#?}");
}

#[tokio::test]
async fn a_session_is_revoked_by_its_id_or_with_all_of_a_user() {
    let desk = Desk::open().await;
    let (first, second) =
        (desk.sign_in("1", "ada@example.com", "Ada").await, desk.sign_in("1", "ada@example.com", "Ada").await);
    let other = desk.sign_in("2", "grace@example.com", "Grace").await;
    assert_eq!(rows(&desk.run(&["sessions", "list", "--json"])).len(), 3);
    let of_ada = rows(&desk.run(&["sessions", "list", "--user", "ADA@example.com", "--json"]));
    assert_eq!(of_ada.len(), 2);
    assert!(of_ada.iter().all(|session| session["user_id"] == json!("1")));
    let id = first.hashed().short();
    assert!(of_ada.iter().any(|session| session["id"] == json!(id)));
    let table = desk.run(&["sessions", "list"]).stdout;
    assert!(table.contains(&id) && !table.contains('\u{1b}') && !table.contains(first.reveal()), "{table}");

    assert_eq!(desk.run(&["sessions", "revoke", &id]).code, 0);
    assert_eq!((desk.is_open(&first).await, desk.is_open(&second).await), (false, true));
    let again = desk.run(&["sessions", "revoke", &id]);
    assert!(again.code == 1 && again.stderr.contains(&id), "{again:#?}");
    assert_eq!(desk.run(&["sessions", "revoke", "--user", "1"]).code, 0);
    assert_eq!((desk.is_open(&second).await, desk.is_open(&other).await), (false, true));
    for arguments in [&["sessions", "revoke"][..], &["sessions", "revoke", "ab", "--user", "1"]] {
        assert_eq!(desk.run(arguments).code, 2, "{arguments:?}");
    }
}

#[tokio::test]
async fn a_token_is_printed_once_and_opens_until_it_is_revoked() {
    let desk = Desk::open().await;
    desk.sign_in("1", "ada@example.com", "Ada").await;
    let created = desk.run(&["tokens", "create", "--user", "ada@example.com", "--name", "backup", "--expires", "12h"]);
    assert_eq!(created.code, 0, "{created:#?}");
    let value = created.stdout.trim_end().to_owned();
    assert!(doorward::tokens::is_well_formed(&value), "stdout is the token alone: {created:#?}");
    assert!(!created.stderr.contains(&value), "the token is data, not talk");
    let hash = Plain::presented(value.clone()).hashed();
    let (token, user) = desk.store.token_by_hash(&hash).await.expect("an answer").expect("the token is known");
    assert_eq!((user.id.as_str(), token.name.as_str()), ("1", "backup"));
    assert_eq!(token.expires_at.since(token.created_at), Duration::from_secs(12 * 60 * 60));

    let listed = desk.run(&["tokens", "list", "--json"]);
    assert!(!listed.stdout.contains(&value), "a listing shows the token");
    let listed = rows(&listed);
    assert_eq!((&listed[0]["id"], &listed[0]["user_id"]), (&json!(hash.short()), &json!("1")));
    assert_eq!(listed[0]["last_four"], json!(value[value.len() - 4..]));
    assert_eq!(desk.run(&["tokens", "revoke", &hash.short()]).code, 0);
    assert!(desk.store.token_by_hash(&hash).await.expect("an answer").is_none());
    assert_eq!(desk.run(&["tokens", "revoke", &hash.short()]).code, 1);
    assert_eq!(rows(&desk.run(&["tokens", "list", "--json"])), Vec::<Value>::new());
}

#[tokio::test]
async fn a_token_as_json_tells_all_of_it() {
    let desk = Desk::open().await;
    desk.sign_in("1", "ada@example.com", "Ada").await;
    let created = desk.run(&["tokens", "create", "--user", "1", "--json"]).json();
    let value = created["token"].as_str().expect("the value");
    assert_eq!(created["id"], json!(Plain::presented(value).hashed().short()));
    assert_eq!(created["user_id"], json!("1"));
}

#[tokio::test]
async fn a_token_needs_an_owner_who_is_one_person() {
    let desk = Desk::open().await;
    desk.sign_in("1", "shared@example.com", "One").await;
    desk.sign_in("2", "Shared@Example.com", "Two").await;
    let nobody = desk.run(&["tokens", "create", "--user", "nobody@example.com"]);
    assert!(nobody.code == 1 && nobody.stderr.contains("nobody@example.com"), "{nobody:#?}");
    let two = desk.run(&["tokens", "create", "--user", "shared@example.com"]);
    assert!(two.code == 1 && two.stderr.contains("1, 2"), "{two:#?}");
    for expires in ["0s", "59s", "11years", "soon", "-1d"] {
        let ran = desk.run(&["tokens", "create", "--user", "1", &format!("--expires={expires}")]);
        assert_eq!(ran.code, 2, "{expires}: {ran:#?}");
    }
    assert_eq!(rows(&desk.run(&["tokens", "list", "--json"])), Vec::<Value>::new());
}

#[test]
fn a_migration_is_planned_before_it_is_done() {
    let folder = tempfile::tempdir().expect("a folder");
    let run = |arguments: &[&str]| binary::run(binary::command(folder.path()).args(arguments));
    let planned = run(&["migrate", "--dry-run"]);
    assert!(planned.code == 0 && planned.stdout.contains("doorward_"), "{planned:#?}");
    assert_eq!(run(&["migrate", "--dry-run"]).stdout, planned.stdout, "planning changed something");
    let done = run(&["migrate"]);
    assert_eq!((done.code, &done.stdout), (0, &planned.stdout), "{done:#?}");
    let again = run(&["migrate", "--dry-run"]);
    assert_eq!((again.code, again.stdout.as_str()), (0, ""), "{again:#?}");
}

#[tokio::test]
async fn a_wrong_configuration_is_told_from_a_database_that_is_away() {
    let desk = Desk::open().await;
    let nowhere = desk.run(&["users", "list", "--database-url", "sqlite:/no/such/folder/doorward.db"]);
    assert_eq!(nowhere.code, 78, "{nowhere:#?}");
    let away = desk.run(&["users", "list", "--database-url", "mysql://root:hush-hush@127.0.0.1:9/doorward"]);
    assert_eq!(away.code, 69, "{away:#?}");
    for ran in [nowhere, away] {
        assert!(ran.stdout.is_empty() && ran.stderr.contains("database") && !ran.stderr.contains("hush"), "{ran:#?}");
    }
}
