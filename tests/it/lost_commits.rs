//! A database that forgets: a replica that lags, a server that comes back without its last commits, a backup that is
//! restored. Whoever it forgot signs in again; whoever was put out stays out, as far as anybody remembers it.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use doorward::config::database::Place as Where;
use doorward::credential::Plain;
use doorward::model::UserId;

use crate::site::binary::{self, Binary};
use crate::site::databases::{Database, Server};
use crate::site::demo;
use crate::site::instance::Site;
use crate::site::place::{Kept, Place};
use crate::site::program::{PATIENCE, PAUSE, free_port};
use crate::site::visitors::{Anonymous, TokenHolder, Visitor};

/// Waits until the one value of `statement` is `wanted`.
async fn until(database: &Database, statement: &str, wanted: &str) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let said = database.try_rows(statement).await;
        if said.as_ref().is_ok_and(|rows| rows[0][0].as_deref() == Some(wanted)) {
            return;
        }
        assert!(Instant::now() < deadline, "{statement}: {said:?}");
        tokio::time::sleep(PAUSE).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_lags_is_not_asked_where_the_source_alone_is_named() {
    let options = ["--log-bin=log", "--server-id=1", "--binlog-format=row"].map(str::to_owned);
    let (Some(source), Some(replica)) =
        (Server::start_with(options.into()), Server::start_with(vec!["--server-id=2".to_owned()]))
    else {
        return;
    };
    let there = replica.database().await;
    let port = url::Url::parse(&source.url()).expect("a URL").port().expect("a port");
    let follow = format!(
        "change master to master_host = '127.0.0.1', master_port = {port}, master_user = 'root', master_password = '', \
         master_connect_retry = 1"
    );
    there.run(&[&follow, "start slave"]).await;
    let site = Site::over(Kept::at(&source.url()).await).await;
    let sessions = format!("select count(*) from {}.doorward_sessions", site.database.name());
    let ada = site.sign_in("ada").await;
    until(&there, &sessions, "1").await;

    // From here on it is an hour behind.
    there.run(&["stop slave", "change master to master_delay = 3600", "start slave"]).await;
    let grace = site.sign_in("grace").await;
    assert_eq!(there.value(&sessions).await, "1", "whoever asked the replica would send her back to sign in");
    assert_eq!(grace.get("/api/me").await.status, 200);
    let copy = ada.browser().also_at(&site.url);
    assert_eq!(ada.post("/logout").await.status, 303);
    assert_eq!(copy.get("/api/me").await.status, 401);
    let other = site.second_instance().await;
    assert_eq!(copy.also_at(&other.url).get("/api/me").await.status, 401, "nor is a second instance behind");
    assert_eq!(there.value(&sessions).await, "1", "whoever asked the replica would still let her in");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_server_forgets_with_its_last_commits_is_ended_once_more() {
    // The log is brought to the disk when we say so, and else not for three quarters of an hour.
    let Some(server) = Server::start_with(vec!["--innodb-flush-log-at-timeout=2700".to_owned()]) else { return };
    let site = Site::over(Kept::at(&server.url()).await).await;
    let other = site.second_instance().await;
    for round in 0.. {
        assert!(round < 5, "the server forgets nothing");
        let [leaver, keeper, newcomer] = ["leaver", "keeper", "newcomer"].map(|name| format!("{name}-{round}"));
        let keeper = site.sign_in(&keeper).await;
        let leaving = site.sign_in(&leaver).await;
        let (copy, user) = (leaving.browser().also_at(&other.url), UserId::new(leaver.as_str()));
        let token = site.token_of(&leaver).await;
        let program = TokenHolder::at(&other.url, &token);
        site.database.execute("set global innodb_flush_log_at_trx_commit = 0").await;
        assert_eq!(leaving.post("/logout").await.status, 303);
        let short = Plain::presented(token.clone()).hashed().short();
        assert!(site.tokens().revoke_own(&user, &short).await.expect("an answer"));
        assert_eq!(site.sessions().end_all(&user).await.expect("an answer"), 1, "the one the token was made in");
        let new = site.sign_in(&newcomer).await;
        server.signal("KILL");
        server.run();

        let gone = format!("doorward_sessions where user_id = '{newcomer}'");
        let has_forgotten = site.database.count(&gone).await == 0;
        site.database.execute("set global innodb_flush_log_at_trx_commit = 1").await;
        if !has_forgotten {
            continue;
        }
        // The instance that ended them never lets them in again, the other one as soon as it has been told.
        site.until_status(keeper.browser(), "/api/me", 200).await;
        assert_eq!(copy.also_at(&site.url).get("/api/me").await.status, 401);
        assert_eq!(TokenHolder::at(&site.url, &token).get("/api/me").await.status, 401);
        other.until_status(&copy, "/api/me", 401).await;
        let deadline = Instant::now() + PATIENCE;
        while program.get("/api/me").await.status != 401 {
            assert!(Instant::now() < deadline, "the token holds again");
            tokio::time::sleep(PAUSE).await;
        }
        let told = format!("doorward_audit where reason = 'forgotten' and user_id = '{leaver}'");
        while site.database.count(&told).await < 3 {
            assert!(Instant::now() < deadline, "two sessions and a token are ended once more");
            tokio::time::sleep(PAUSE).await;
        }
        for rows in ["sessions", "tokens"] {
            assert_eq!(site.database.count(&format!("doorward_{rows} where user_id = '{leaver}'")).await, 0);
        }
        // Whoever it forgot signs in again and is there again.
        assert_eq!(new.get("/api/me").await.status, 401);
        assert_eq!(site.database.count(&format!("users where id = '{newcomer}'")).await, 0);
        site.sign_in(&newcomer).await;
        assert_eq!(site.database.count(&format!("users where id = '{newcomer}'")).await, 1);
        return;
    }
}

/// Copies the database to `file`, as an operator does at night.
fn dump(database: &Kept, file: &Path) {
    match &database.config(None).place {
        Where::Sqlite(path) => drop(fs::copy(path, file).expect("a copy")),
        Where::Mysql(place) => {
            let into = fs::File::create(file).expect("a file");
            let done = client("mariadb-dump", place).stdout(into).status();
            assert!(done.is_ok_and(|status| status.success()), "mariadb-dump");
        }
    }
}

/// Puts it back.
fn restore(database: &Kept, file: &Path) {
    match &database.config(None).place {
        Where::Sqlite(path) => drop(fs::copy(file, path).expect("a copy")),
        Where::Mysql(place) => {
            let from = fs::File::open(file).expect("a file");
            let done = client("mariadb", place).stdin(from).status();
            assert!(done.is_ok_and(|status| status.success()), "mariadb");
        }
    }
}

fn client(program: &str, place: &doorward::config::database::Mysql) -> Command {
    let mut command = Command::new(program);
    command.args(["--no-defaults", "-h", &place.host, "-P", &place.port.to_string(), "-u", &place.user, &place.name]);
    command.env("MYSQL_PWD", place.password.reveal()).stdin(Stdio::null());
    command
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_backup_was_restored_one_command_signs_everybody_out() {
    for place in [Place::Sqlite, Place::MariaDb] {
        let Some(database) = place.fresh().await else { continue };
        let backup = tempfile::NamedTempFile::new().expect("a file");
        let port = free_port();
        let (_provider, config) = demo::provider(port);
        let mut site = Binary::serve_on(port, &format!("{config}[database]\nurl = {:?}\n", database.url()));
        let ada = Anonymous::at(&site.public_url);
        assert_eq!(ada.follow_as("ada").await.status, 200, "{place:?}");
        let token = site.run(&["tokens", "create", "--user", "ada@example.com"]);
        let program = TokenHolder::at(&site.public_url, token.stdout.trim_end());
        site.program.terminate();
        dump(&database, backup.path());

        site.start_again();
        let copy = ada.also_at(&site.public_url);
        assert_eq!(ada.post("logout").await.status, 303);
        assert_eq!(site.run(&["tokens", "revoke", "--user", "ada@example.com"]).code, 0);
        assert_eq!([copy.get("api/me").await.status, program.get("api/me").await.status], [401, 401]);
        site.program.terminate();
        restore(&database, backup.path());
        site.start_again();
        assert_eq!([copy.get("api/me").await.status, program.get("api/me").await.status], [200, 200], "{place:?}");
        site.program.terminate();

        restore(&database, backup.path());
        for (kind, ended) in [("sessions", "ended"), ("tokens", "revoked")] {
            let asked = site.run(&[kind, "revoke", "--all"]);
            assert_eq!(asked.code, 1, "{asked:#?}");
            assert!(asked.stderr.contains("--yes"), "{asked:#?}");
            assert_eq!(site.run(&[kind, "list", "--json"]).json().as_array().map(Vec::len), Some(1), "it only asked");
            let done = site.run(&[kind, "revoke", "--all", "--yes", "--json"]);
            assert_eq!((done.code, &done.json()[ended]), (0, &serde_json::json!(1)), "{done:#?}");
        }
        site.start_again();
        assert_eq!([copy.get("api/me").await.status, program.get("api/me").await.status], [401, 401], "{place:?}");
        assert_eq!(copy.follow_as("ada").await.status, 200, "signs in again");
        let users = database.count("users where email = 'ada@example.com'").await;
        assert_eq!(users, 1, "{place:?}: and is the same person");
        let mixed = site.run(&["sessions", "revoke", "--all", "--yes", "--user", "ada@example.com"]);
        assert_eq!(mixed.code, 2, "all of one is not all: {mixed:#?}");
        assert_eq!(copy.get("api/me").await.status, 200);
    }
}

/// A clock that is ten minutes behind the database's would have a key in use before anybody has read it.
#[tokio::test(flavor = "multi_thread")]
async fn no_key_is_made_by_a_clock_that_is_far_off() {
    let Some(server) = Server::start() else { return };
    let database = server.database().await;
    crate::store::ready(&database).await;
    let name = database.place().name;
    database
        .run(&[
            "create user doorward@localhost identified by 'd'",
            &format!("grant all on {name}.* to doorward@localhost"),
            "set global init_connect = 'set timestamp = unix_timestamp() + 600'",
        ])
        .await;
    let url = server.url().replace("root:", "doorward:d").replace("/mysql", &format!("/{name}"));
    let folder = tempfile::tempdir().expect("a folder");
    let provider = format!(
        "[providers.google]\nclient_id = \"client.apps.googleusercontent.com\"\nclient_secret = \"secret\"\n\
         [database]\nurl = {url:?}\n"
    );
    binary::configure(folder.path(), &format!("public_url = \"http://localhost:{}\"\n{provider}", free_port()));
    let run = |arguments: &[&str]| binary::run(binary::command(folder.path()).args(arguments));
    for kind in [&["keys", "rotate", "--sealing"][..], &["keys", "rotate"]] {
        let refused = run(kind);
        assert_eq!(refused.code, 1, "{refused:#?}");
        let far: u64 = refused.stderr.split_whitespace().find_map(|word| word.parse().ok()).expect("how far");
        assert!(Duration::from_secs(far).abs_diff(Duration::from_secs(600)) < Duration::from_secs(60), "{refused:#?}");
        assert!(refused.stderr.contains("NTP"), "{refused:#?}");
    }
    let in_need = run(&["keys", "rotate", "--sealing", "--now"]);
    assert_eq!(in_need.code, 0, "what leaked is replaced whatever the clocks say: {in_need:#?}");
    database.run(&["set global init_connect = ''"]).await;
    assert_eq!(run(&["keys", "rotate", "--sealing"]).code, 0);
}
