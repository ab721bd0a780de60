//! What an operator types: people, sessions and tokens by command, beside whatever server runs.

use std::sync::Arc;
use std::time::Duration;

use doorward::audit;
use doorward::clock::{Clock, SystemClock};
use doorward::config::access::SignUp;
use doorward::config::database::{Database, Place};
use doorward::credential::Plain;
use doorward::model::{EventKind, Identity, Origin, Session, UserId};
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
            proved_at: Some(now),
            address: "192.0.2.7".to_owned(),
            user_agent: "Browser \u{1b}[31m of tests".to_owned(),
        };
        let (user_id, origin) = (UserId::new(subject), Origin::default());
        let event = audit::event(&SystemClock, EventKind::Login, Some(&user_id), &origin, "", "");
        let sign_in = SignIn { identity, session, previous: None, most_sessions: 50, sign_up: SignUp::Open, event };
        let signed_in = self.store.sign_in(&sign_in).await;
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
    assert!(first.stderr.contains("--limit") && first.stderr.contains("--after 1"), "{first:#?}");
    let rest = desk.run(&["users", "list", "--after", "1", "--json"]);
    assert_eq!((rows(&rest)[0]["id"].clone(), rest.stderr.as_str()), (json!("2"), ""), "{rest:#?}");
}

#[tokio::test]
async fn users_are_filtered_by_what_is_known_of_them() {
    let desk = Desk::open().await;
    for (id, email) in
        [("1", "ada@corp.com"), ("2", "grace@school.edu"), ("3", "Eve@Corp.com"), ("4", "x@sub.corp.com")]
    {
        desk.sign_in(id, email, "Somebody").await;
    }
    assert_eq!(desk.run(&["users", "block", "3"]).code, 0);
    let ids = |arguments: &[&str]| {
        let all = [&["users", "list", "--json"][..], arguments].concat();
        rows(&desk.run(&all)).iter().map(|row| row["id"].as_str().expect("an id").to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(ids(&["--email", "EVE@corp.com"]), ["3"]);
    assert_eq!(ids(&["--domain", "corp.com"]), ["1", "3"]);
    assert_eq!(ids(&["--domain", "corp.com", "--after", "1"]), ["3"]);
    assert_eq!(ids(&["--blocked"]), ["3"]);
    assert_eq!(ids(&["--blocked", "--domain", "school.edu"]), Vec::<String>::new());
    assert_eq!(ids(&["--hosted-domain", "corp.com"]), Vec::<String>::new());
}

#[tokio::test]
async fn a_blocked_user_is_out_until_unblocked() {
    let desk = Desk::open().await;
    let handle = desk.sign_in("1", "ada@example.com", "Ada").await;
    assert_eq!(desk.run(&["tokens", "create", "--user", "1"]).code, 0);
    let blocked = desk.run(&["users", "block", "ADA@example.com", "--note", "lost \u{1b}[2J laptop", "--json"]);
    assert_eq!(blocked.code, 0, "{blocked:#?}");
    assert_eq!(blocked.json(), json!({"id": "1", "blocked": true, "sessions_ended": 1, "tokens_revoked": 1}));
    assert!(!desk.is_open(&handle).await);
    let shown = desk.run(&["users", "show", "1", "--json"]).json();
    assert!(shown["blocked_at"].is_string() && shown["sessions"] == json!(0), "{shown:#}");
    let events = rows(&desk.run(&["audit", "--user", "1", "--json"]));
    assert_eq!((&events[0]["event"], &events[0]["by"]), (&json!("block"), &json!("operator")), "{events:#?}");
    let detail = events[0]["detail"].as_str().expect("a note");
    assert!(detail.contains("laptop") && !detail.contains('\u{1b}'), "{detail:?}");
    let unblocked = desk.run(&["users", "unblock", "1"]);
    assert!(unblocked.code == 0 && unblocked.stderr.contains("may sign in again"), "{unblocked:#?}");
    let again = desk.run(&["users", "unblock", "1"]);
    assert!(again.code == 1 && again.stderr.contains("not blocked"), "{again:#?}");
    for unknown in ["nobody", "nobody@example.com"] {
        let ran = desk.run(&["users", "block", unknown]);
        assert!(ran.code == 1 && ran.stderr.contains(unknown), "{ran:#?}");
    }
}

#[tokio::test]
async fn a_user_is_deleted_only_where_that_is_meant() {
    let desk = Desk::open().await;
    let handle = desk.sign_in("1", "ada@example.com", "Ada").await;
    let asked = desk.run(&["users", "delete", "1"]);
    assert!(asked.code == 1 && asked.stderr.contains("--yes") && asked.stderr.contains("anonymise"), "{asked:#?}");
    assert!(desk.is_open(&handle).await);
    assert_eq!(desk.run(&["users", "block", "1"]).code, 0);
    let deleted = desk.run(&["users", "delete", "1", "--yes", "--json"]);
    assert_eq!(deleted.json(), json!({"id": "1", "deleted": true, "on_delete": "anonymise"}), "{deleted:#?}");
    assert_eq!(desk.run(&["users", "show", "1"]).code, 1);
    assert_eq!(desk.run(&["users", "delete", "1", "--yes"]).code, 1);
    let events = rows(&desk.run(&["audit", "--user", "1", "--json"]));
    assert_eq!(events.len(), 1, "{events:#?}");
    assert_eq!((&events[0]["event"], &events[0]["reason"]), (&json!("deletion"), &json!("anonymise")));
    // The block outlived them, and can be lifted by the id that nobody is known by any more.
    assert_eq!(desk.run(&["users", "unblock", "1"]).code, 0);
    desk.sign_in("1", "ada@example.com", "Ada").await;
}

#[tokio::test]
async fn all_that_is_kept_of_a_user_is_exported() {
    let desk = Desk::open().await;
    let handle = desk.sign_in("1", "ada@example.com", "Ada").await;
    desk.sign_in("2", "grace@example.com", "Grace").await;
    let created = desk.run(&["tokens", "create", "--user", "1", "--name", "backup"]);
    let exported = desk.run(&["users", "export", "ada@example.com"]);
    let all = exported.json();
    assert_eq!(all["user"]["email"], json!("ada@example.com"), "{all:#}");
    assert_eq!(all["sessions"][0]["address"], json!("192.0.2.7"));
    assert_eq!(all["tokens"][0]["name"], json!("backup"));
    assert_eq!(all["events"].as_array().expect("events").last().expect("one")["event"], json!("login"));
    for foreign in ["grace", created.stdout.trim(), handle.reveal()] {
        assert!(!exported.stdout.contains(foreign), "{foreign}");
    }
}

#[tokio::test]
async fn what_happened_is_listed_newest_first_by_person_kind_and_time() {
    let desk = Desk::open().await;
    desk.sign_in("1", "ada@example.com", "Ada").await;
    desk.sign_in("2", "grace@example.com", "Grace").await;
    desk.run(&["users", "block", "2"]);
    let kinds = |arguments: &[&str]| {
        let all = [&["audit", "--json"][..], arguments].concat();
        let events = rows(&desk.run(&all));
        events.iter().map(|event| event["event"].as_str().expect("a kind").to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(kinds(&[]), ["block", "login", "login"]);
    assert_eq!(kinds(&["--user", "grace@example.com"]), ["block", "login"]);
    assert_eq!(kinds(&["--event", "login", "--since", "1h"]), ["login", "login"]);
    assert_eq!(kinds(&["--event", "deletion"]), Vec::<String>::new());
    let first = desk.run(&["audit", "--limit", "1", "--json"]);
    let number = rows(&first)[0]["number"].to_string();
    assert!(first.stderr.contains(&format!("--before {number}")), "{first:#?}");
    assert_eq!(kinds(&["--before", &number]), ["login", "login"]);
    assert_eq!(desk.run(&["audit", "--event", "party"]).code, 2);
    let table = desk.run(&["audit"]).stdout;
    assert!(table.starts_with("NUMBER") && table.lines().count() == 4, "{table}");
}

#[tokio::test]
async fn access_is_explained_by_the_rule_that_decides() {
    let desk = Desk::open().await;
    desk.sign_in("1", "ada@corp.com", "Ada").await;
    let rules = ["--config", "rules.toml", "access", "explain", "--email"];
    let config = format!(
        "[providers.somewhere]\nissuer = {ISSUER:?}\nclient_id = \"client\"\nclient_secret = \"secret\"\n\
         [database]\nurl = \"sqlite:doorward.db\"\n\
         [access]\nhosted_domains = [\"corp.com\"]\nblocked = [\"eve@corp.com\"]\n"
    );
    std::fs::write(desk.folder.path().join("rules.toml"), config).expect("the configuration");
    let explain = |arguments: &[&str]| desk.run(&[&rules[..], arguments].concat());
    let allowed = explain(&["ada@corp.com", "--hd", "corp.com"]);
    assert!(allowed.code == 0 && allowed.stdout.starts_with("may come in (hosted_domains):"), "{allowed:#?}");
    assert!(allowed.stdout.contains("user 1 has this address and is not blocked"), "{allowed:#?}");
    let denied = explain(&["ada@corp.com"]).stdout;
    assert!(
        denied.starts_with("may not come in (not_on_the_list):") && denied.contains("no hosted domain"),
        "{denied}"
    );
    let answer = explain(&["EVE@corp.com", "--hd", "corp.com", "--json"]).json();
    assert_eq!((&answer["decision"], &answer["rule"]), (&json!("deny"), &json!("on_the_blocked_list")), "{answer:#}");
    assert_eq!(answer["words"], json!("eve@corp.com is listed in access.blocked"));
    desk.run(&["users", "block", "1"]);
    let blocked = explain(&["ada@corp.com", "--hd", "corp.com"]).stdout;
    assert!(blocked.contains("user 1") && blocked.contains("blocked since"), "{blocked}");
    for wrong in [&["nobody"][..], &["a@b.com", "--hd", "x@y"], &["a@*.com"]] {
        assert_eq!(explain(wrong).code, 2, "{wrong:?}");
    }
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

#[tokio::test]
async fn sessions_are_paged_filtered_and_ended_by_what_they_have_in_common() {
    let desk = Desk::open().await;
    for number in 0..5 {
        desk.sign_in(if number < 3 { "1" } else { "2" }, "ada@example.com", "Ada").await;
    }
    let first = desk.run(&["sessions", "list", "--limit", "2", "--json"]);
    let seen = rows(&first);
    assert!(seen.len() == 2 && first.stderr.contains("--after"), "{first:#?}");
    let last = seen[1]["id"].as_str().expect("an id").to_owned();
    let rest = rows(&desk.run(&["sessions", "list", "--after", &last, "--json"]));
    assert_eq!(rest.len(), 3);
    assert!(rest.iter().all(|session| seen.iter().all(|other| other["id"] != session["id"])));
    assert_eq!(rows(&desk.run(&["sessions", "list", "--address", "192.0.2.7", "--user", "2", "--json"])).len(), 2);
    assert_eq!(rows(&desk.run(&["sessions", "list", "--idle-for", "1h", "--json"])).len(), 0);
    assert_eq!(desk.run(&["sessions", "list", "--after", "0011223344556677"]).code, 1);
    let ended = desk.run(&["sessions", "revoke", "--address", "192.0.2.7", "--user", "1", "--json"]);
    assert_eq!(ended.json(), json!({"ended": 3}), "{ended:#?}");
    assert_eq!(rows(&desk.run(&["sessions", "list", "--json"])).len(), 2);
    let events = rows(&desk.run(&["audit", "--event", "session_revoked", "--json"]));
    assert_eq!(events.len(), 3);
    assert!(events.iter().all(|event| event["user_id"] == json!("1") && event["by"] == json!("operator")));
}

#[tokio::test]
async fn tokens_are_paged_and_revoked_together_and_each_change_is_on_record() {
    let desk = Desk::open().await;
    desk.sign_in("1", "ada@example.com", "Ada").await;
    desk.sign_in("2", "grace@example.com", "Grace").await;
    for user in ["1", "1", "1", "2"] {
        assert_eq!(desk.run(&["tokens", "create", "--user", user]).code, 0);
    }
    let first = desk.run(&["tokens", "list", "--limit", "3", "--json"]);
    let last = rows(&first)[2]["id"].as_str().expect("an id").to_owned();
    assert!(first.stderr.contains(&last), "{first:#?}");
    assert_eq!(rows(&desk.run(&["tokens", "list", "--after", &last, "--json"])).len(), 1);
    assert_eq!(desk.run(&["tokens", "revoke", "--user", "1", "--json"]).json(), json!({"revoked": 3}));
    let left = rows(&desk.run(&["tokens", "list", "--json"]));
    assert_eq!((left.len(), &left[0]["user_id"]), (1, &json!("2")));
    let id = left[0]["id"].as_str().expect("an id");
    assert_eq!(desk.run(&["tokens", "revoke", id]).code, 0);
    let kinds = |user| {
        let events = rows(&desk.run(&["audit", "--user", user, "--json"]));
        events.iter().map(|event| event["event"].as_str().expect("a kind").to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(kinds("2"), ["token_revoked", "token_created", "login"]);
    assert_eq!(kinds("1"), ["token_revoked", "token_created", "token_created", "token_created", "login"]);
    assert_eq!(desk.run(&["tokens", "revoke"]).code, 2);
}

/// What a proxy would be answered, without a proxy.
#[test]
fn the_rule_of_the_gate_that_decides_is_explained() {
    let folder = tempfile::tempdir().expect("a folder");
    let rules = "groups.admins = [\"ada@example.com\"]\n\
                 access.emails = [\"ada@example.com\", \"bob@example.com\"]\n\
                 gate.rules = [{ host = \"app.example.com\", path = \"/admin/*\", groups = [\"admins\"], tokens = false }, \
                 { host = \"app.example.com\", allow = \"signed_in\" }]\n";
    std::fs::write(folder.path().join("rules.toml"), rules).expect("a file");
    let explain = |arguments: &[&str]| {
        let mut command = binary::command(folder.path());
        command.args(["--config", "rules.toml", "access", "explain", "--url"]).args(arguments);
        let ran = binary::run(&mut command);
        assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{ran:#?}");
        ran
    };
    let admin = "https://app.example.com/admin/users";
    for (arguments, said) in [
        (vec![admin], "must sign in first (rule): rule 1 decides\n"),
        (vec![admin, "--email", "ada@example.com"], "may pass (rule): rule 1 decides\ngroups: admins\n"),
        (vec![admin, "--email", "bob@example.com"], "may not pass (rule): rule 1 decides\n"),
        (vec!["https://App.example.com:443/x", "--email", "bob@example.com"], "may pass (rule): rule 2 decides\n"),
        (vec!["https://other.example.com", "--email", "bob@example.com"], "may not pass (unknown_host): "),
        (vec!["https://app.example.com/a/../admin", "--email", "bob@example.com"], "may not pass (uncertain): "),
    ] {
        let ran = explain(&arguments);
        assert!(ran.stdout.starts_with(said), "{arguments:?}: {}", ran.stdout);
    }
    let token = explain(&[admin, "--email", "ada@example.com", "--token", "--json"]).json();
    assert_eq!((token["decision"].as_str(), token["reason"].as_str()), (Some("deny"), Some("no_tokens")));
    let outside = explain(&[admin, "--email", "eve@example.com"]).stdout;
    assert!(outside.contains("may not even come in (not_on_the_list)"), "{outside}");
}

#[tokio::test]
async fn a_stranger_who_was_refused_is_exported_and_forgotten() {
    let desk = Desk::open().await;
    desk.sign_in("1101", "ada@example.com", "Ada").await;
    let (stranger, origin) = (UserId::new("4404"), Origin::default());
    let refusal = audit::event(&SystemClock, EventKind::Refusal, Some(&stranger), &origin, "email", "eve@example.com");
    desk.store.record(&refusal).await.expect("recorded");
    let exported = desk.run(&["users", "export", "4404"]);
    assert_eq!((exported.code, &exported.json()["user"]), (0, &Value::Null), "{exported:#?}");
    assert_eq!(exported.json()["events"][0]["detail"], json!("eve@example.com"));
    assert_eq!(desk.run(&["users", "delete", "4404"]).code, 1, "it is asked back");
    let forgotten = desk.run(&["users", "delete", "4404", "--yes"]);
    assert!(forgotten.code == 0 && forgotten.stderr.contains("refused is forgotten"), "{forgotten:#?}");
    for again in [&["users", "export", "4404"][..], &["users", "delete", "4404", "--yes"]] {
        let ran = desk.run(again);
        assert!(ran.code == 1 && ran.stderr.contains("nobody who has signed in"), "{ran:#?}");
    }
    assert_eq!(rows(&desk.run(&["audit", "--json"])).len(), 1, "what happened to others stays");
}

#[test]
fn a_listing_in_the_wrong_folder_says_so_and_leaves_nothing_there() {
    let folder = tempfile::tempdir().expect("a folder");
    for command in [&["users", "list"][..], &["sessions", "list"], &["tokens", "list"], &["audit"]] {
        let ran = binary::run(binary::command(folder.path()).args(command));
        assert_eq!((ran.code, ran.stdout.as_str()), (1, ""), "{ran:#?}");
        assert!(ran.stderr.contains("no database") && ran.stderr.contains("--config"), "{ran:#?}");
        assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 0, "{command:?} made something");
    }
}

#[tokio::test]
async fn keys_of_both_kinds_are_changed_by_command() {
    let desk = Desk::open().await;
    let first = rows(&desk.run(&["keys", "list", "--sealing", "--json"]));
    assert_eq!((&first[0]["id"], &first[0]["is_sealing"]), (&json!(1), &json!(true)), "{first:?}");
    let rotated = desk.run(&["keys", "rotate", "--sealing"]);
    assert_eq!((rotated.code, rotated.stdout.as_str()), (0, "2\n"), "{rotated:#?}");
    assert!(rotated.stderr.contains("the one before opens what was begun until then"), "{rotated:#?}");
    let listed = desk.run(&["keys", "list", "--sealing"]);
    assert!(listed.stdout.starts_with("ID") && listed.stdout.lines().count() == 3, "{listed:#?}");
    let both = rows(&desk.run(&["keys", "list", "--sealing", "--json"]));
    let is_sealing = both.iter().map(|key| (&key["id"], &key["is_sealing"])).collect::<Vec<_>>();
    assert_eq!(is_sealing, [(&json!(2), &json!(false)), (&json!(1), &json!(true))]);
    assert!(both[1].get("secret").is_none() && !listed.stdout.contains("secret"));
    let at_once = desk.run(&["keys", "rotate", "--sealing", "--now"]);
    assert_eq!((at_once.code, at_once.stdout.as_str()), (0, "3\n"), "{at_once:#?}");
    let left = rows(&desk.run(&["keys", "list", "--sealing", "--json"]));
    assert_eq!((left.len(), &left[0]["id"], &left[0]["is_sealing"]), (1, &json!(3), &json!(true)), "{left:?}");
    // Those that sign are others.
    assert_eq!(rows(&desk.run(&["keys", "list", "--json"])).len(), 1);
    assert_eq!(desk.run(&["keys", "rotate", "--now"]).code, 0);
    let signing = rows(&desk.run(&["keys", "list", "--json"]));
    assert_eq!((signing.len(), &signing[0]["is_signing"]), (2, &json!(true)), "{signing:?}");
}

/// As `LoadCredential=` of systemd hands a secret over: a file somewhere else, named by the environment.
#[test]
fn a_secret_can_be_a_credential_that_the_environment_names() {
    let folder = tempfile::tempdir().expect("a folder");
    let credentials = tempfile::tempdir().expect("a folder");
    let secret = credentials.path().join("google-secret");
    std::fs::write(&secret, "GOCSPX-from-systemd\n").expect("written");
    binary::configure(folder.path(), "[providers.google]\nclient_id = \"1.apps.googleusercontent.com\"\n");
    let show = |variable: &str| {
        let mut command = binary::command(folder.path());
        command.env(variable, &secret).args(["config", "check", "--offline"]);
        binary::run(&mut command)
    };
    let told = show("DOORWARD_PROVIDERS__GOOGLE__CLIENT_SECRET_FILE");
    assert_eq!(told.code, 0, "{told:#?}");
    assert!(!format!("{told:?}").contains("GOCSPX-from"), "{told:#?}");
    let missing = show("DOORWARD_SOMETHING_ELSE");
    assert_eq!(missing.code, 78, "without it there is no secret: {missing:#?}");
}
