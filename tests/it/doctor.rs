//! `doorward doctor` on sites that are well and on sites that are not: each thing that can be wrong is made wrong, and the
//! check of its name says so.

use std::fs::{self, Permissions};
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use doorward::clock::{Clock, SystemClock};
use serde_json::Value;
use tempfile::TempDir;

use crate::site::binary::{self, Binary, PROVIDER_AWAY, Ran};
use crate::site::databases::Server;
use crate::site::front;
use crate::site::place::{Kept, Place};
use crate::site::program::{PATIENCE, Program, free_port};
use crate::site::tiers::Tier;
use crate::site::visitors::provide_cryptography;
use crate::wrong_turns::{google, provider};

/// What `doctor --json` said.
struct Told {
    ran: Ran,
    checks: Vec<Value>,
}

impl Told {
    fn new(ran: Ran) -> Self {
        let Value::Array(checks) = ran.json() else { panic!("no list: {ran:#?}") };
        Self { ran, checks }
    }

    /// The outcome of a check, and all that it said. The worst of several.
    fn of(&self, name: &str) -> (&str, String) {
        let found: Vec<_> = self.checks.iter().filter(|check| check["name"] == name).collect();
        assert!(!found.is_empty(), "no check {name}: {:#?}", self.ran);
        let outcome = |check: &&&Value| match check["outcome"].as_str() {
            Some("failure") => 3,
            Some("warning") => 2,
            Some("ok") => 1,
            _ => 0,
        };
        let worst = found.iter().max_by_key(outcome).expect("one");
        let said =
            format!("{} {}", worst["found"].as_str().unwrap_or_default(), worst["hint"].as_str().unwrap_or_default());
        (worst["outcome"].as_str().expect("a word"), said)
    }

    #[track_caller]
    fn is(&self, name: &str, outcome: &str, words: &[&str]) {
        let (found, said) = self.of(name);
        assert_eq!(found, outcome, "{name}: {said}\n{}", self.ran.stdout);
        for word in words {
            assert!(said.contains(word), "{name}: {word:?} is not in {said:?}");
        }
    }

    /// The names of the checks with this outcome.
    fn with(&self, outcome: &str) -> Vec<&str> {
        let has = self.checks.iter().filter(|check| check["outcome"] == outcome);
        has.filter_map(|check| check["name"].as_str()).collect()
    }
}

fn doctor(folder: &Path) -> Told {
    Told::new(binary::run(binary::command(folder).args(["doctor", "--json"])))
}

/// `doctor` for a site that does not run.
fn not_running(rest: &str) -> (Told, TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    let port = free_port();
    let place = format!("public_url = \"http://localhost:{port}\"\nserver.listen = \"localhost:{port}\"\n");
    binary::configure(folder.path(), &format!("{place}{rest}"));
    (doctor(folder.path()), folder)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_site_that_is_well_is_said_to_be_well() {
    let provider = provider().await;
    for place in Place::all() {
        let Some(kept) = place.fresh().await else { continue };
        let site = Binary::serve(&format!("{}[database]\nurl = {:?}\n", google(&provider), kept.url()));
        site.program.wait_for("the start", |line| line.contains("Doorward is at").then_some(()));
        let told = doctor(site.folder.path());
        assert_eq!((told.ran.code, told.with("failure")), (0, Vec::new()), "{place:?}: {:#?}", told.ran);
        told.is("configuration", "ok", &["config.toml"]);
        told.is("client", "ok", &["knows this client and its secret"]);
        told.is("provider", "ok", &["metadata and one key"]);
        told.is("redirect-uri", "ok", &[&format!("http://localhost:{}/login/callback", site.port)]);
        told.is("instance", "ok", &["on this database"]);
        told.is("public-url", "ok", &["leads to the instance that runs here"]);
        told.is("proxy-address", "skipped", &["nobody stands between"]);
        // Whether the server is strict is for whoever started it to say.
        let of_servers = ["encryption", "rights", "clock", "cluster", "connections"];
        for check in of_servers.map(|check| format!("database-{check}")) {
            let expected = if place == Place::Sqlite { "skipped" } else { "ok" };
            told.is(&check, expected, &[]);
        }
        let named = match place {
            Place::Sqlite => "SQLite 3.",
            Place::MariaDb => "MariaDB 1",
            Place::MySql => "MySQL ",
        };
        told.is("database-version", "ok", &[named]);

        let read = site.run(&["doctor"]);
        assert_eq!(read.code, 0, "{read:#?}");
        assert!(read.stderr.starts_with("all is well") || read.stderr.starts_with("it works;"), "{read:#?}");
        let said: Vec<_> = read.stdout.lines().filter_map(|line| line.split_whitespace().nth(1)).collect();
        assert!(said.contains(&"proxy-identity"), "{read:#?}");
        assert!(!format!("{read:?}{:?}", told.ran).contains("GOCSPX"), "no secret is told");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_cannot_prove_to_read_the_database_is_told_nothing_but_that_it_is_alive() {
    let provider = provider().await;
    let site = Binary::serve(&google(&provider));
    provide_cryptography();
    let ask = async |header: &str| {
        let client = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build().expect("a client");
        let request = client.get(format!("{}/healthz", site.public_url)).header("doorward-countersign", header);
        request.send().await.expect("an answer").text().await.expect("a body")
    };
    let now = SystemClock.now().unix();
    let made_up = format!("{now}.AAAAAAAAAAAAAAAAAAAAAA.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
    for header in ["", "x", &made_up, "9223372036854775807.AAAAAAAAAAAAAAAAAAAAAA.AA", "1.2.3.4"] {
        assert_eq!(ask(header).await, "{\"status\":\"ok\"}", "{header}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configuration_that_does_not_hold_is_the_one_failure() {
    let (told, _folder) = not_running("[sessions]\nidle = \"7 dayz\"\n");
    assert_eq!((told.ran.code, told.with("failure")), (1, vec!["configuration"]), "{:#?}", told.ran);
    told.is("configuration", "failure", &["config.toml:4: sessions.idle", "write 12h or 7d"]);
    assert!(told.ran.stderr.contains("one thing does not work"), "{:#?}", told.ran);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_the_provider_is_told_apart() {
    let (told, _folder) = not_running(PROVIDER_AWAY);
    told.is("provider", "failure", &["nobody can sign in until http://127.0.0.1:9 answers", "this machine's way"]);
    told.is("client", "skipped", &[]);
    // A start needs no provider; whoever checks wants to know all the same.
    let folder = tempfile::tempdir().expect("a folder");
    binary::configure(folder.path(), PROVIDER_AWAY);
    let checked = binary::run(binary::command(folder.path()).args(["config", "check"]));
    assert_eq!(checked.code, 69, "{checked:#?}");
    assert!(!checked.stdout.contains("fine") && checked.stderr.contains("nobody can sign in"), "{checked:#?}");

    let provider = provider().await;
    let (told, _folder) = not_running(&google(&provider).replace("GOCSPX-right", "GOCSPX-wrong"));
    told.is("provider", "ok", &[]);
    told.is("client", "failure", &["does not accept this site", "invalid_client", "providers.google.client_id"]);

    provider.script().now = SystemClock.now().unix() + 3600;
    let (told, _folder) = not_running(&google(&provider));
    told.is("provider-clock", "warning", &["seconds behind the provider's", "timedatectl set-ntp true"]);
    told.is("client", "ok", &[]);

    provider.script().now = SystemClock.now().unix();
    provider.script().published.clear();
    let (told, _folder) = not_running(&google(&provider));
    told.is("provider", "failure", &["publishes no key"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_the_database_is_told_apart() {
    let provider = provider().await;
    let at = |url: &str| format!("{}[database]\nurl = {url:?}\n", google(&provider));
    let port = free_port();
    let (told, _folder) = not_running(&at(&format!("mysql://root@localhost:{port}/doorward")));
    told.is("database", "failure", &["nobody answers as MySQL", "Start the database"]);
    told.is("database-version", "skipped", &[]);

    for place in [Place::MariaDb, Place::MySql] {
        let Some(kept) = place.fresh().await else { continue };
        let Kept::Server { name, .. } = &kept else { panic!("a server") };
        kept.execute(
            "create table users (id varchar(64) character set utf8mb4 collate utf8mb4_unicode_ci primary key)",
        )
        .await;
        let (told, _folder) = not_running(&at(&kept.url()));
        told.is(
            "users-id",
            "warning",
            &["utf8mb4_unicode_ci", "ALTER TABLE `users` MODIFY id varchar(64)", "utf8mb4_bin"],
        );
        told.is("database", "ok", &["at the start Doorward will"]);

        // An account that may read and no more.
        let account = format!("{name}_reader");
        let host = if place == Place::MariaDb { "localhost" } else { "%" };
        kept.execute(&format!("drop user if exists '{account}'@'{host}'")).await;
        kept.execute(&format!("create user '{account}'@'{host}' identified by 'few-rights'")).await;
        kept.execute(&format!("grant select on `{}`.* to '{account}'@'{host}'", name.replace('_', "\\_"))).await;
        let url = kept.url().replacen("tests:tests@127.0.0.1", &format!("{account}:few-rights@localhost"), 1);
        let (told, _folder) = not_running(&at(&url));
        told.is(
            "database-rights",
            "failure",
            &["lacks INSERT; UPDATE; DELETE", "GRANT SELECT, INSERT, UPDATE, DELETE"],
        );
        kept.execute(&format!("grant insert, update, delete on `{name}`.* to '{account}'@'{host}'")).await;
        let (told, _folder) = not_running(&at(&url));
        told.is("database-rights", "failure", &["lacks CREATE, ALTER, INDEX", "tables are missing"]);
        kept.execute(&format!("drop user '{account}'@'{host}'")).await;

        kept.execute("drop table users").await;
        kept.execute("create table users (id int primary key auto_increment, email varchar(255), name text)").await;
        let (told, _folder) = not_running(&at(&kept.url()));
        told.is("database", "failure", &["keeps its id as int", "users_table"]);
    }
}

/// Runs `command` as somebody who is not root, whom no mode would keep out; `folder` and what is in it become theirs.
pub fn as_somebody<'a>(command: &'a mut Command, folder: &Path) -> &'a mut Command {
    const SOMEBODY: u32 = 65_534;
    if fs::metadata("/proc/self").is_ok_and(|own| own.uid() != 0) {
        return command;
    }
    for path in [folder.to_owned(), folder.join("config.toml")] {
        chown(path, Some(SOMEBODY), Some(SOMEBODY)).expect("root may");
    }
    command.uid(SOMEBODY).gid(SOMEBODY)
}

#[test]
fn a_database_file_that_could_not_be_made_or_written_is_found_before_the_start() {
    let folder = tempfile::tempdir().expect("a folder");
    for name in ["shut", "folder.db"] {
        fs::create_dir(folder.path().join(name)).expect("a folder");
    }
    fs::write(folder.path().join("shut.db"), "").expect("a file");
    for (name, mode) in [("shut", 0o555), ("shut.db", 0o444)] {
        fs::set_permissions(folder.path().join(name), Permissions::from_mode(mode)).expect("its mode");
    }
    for (place, words) in [
        ("nowhere/doorward.db", "there is no folder nowhere. Create it (mkdir -p nowhere)"),
        ("shut/doorward.db", "Let the account that runs Doorward write to the folder shut"),
        ("folder.db", "a folder of that name is there"),
        ("config.toml/doorward.db", "config.toml is no folder"),
        ("shut.db", "Let the account that runs Doorward write to both"),
    ] {
        let port = free_port();
        let site = format!("public_url = \"http://localhost:{port}\"\nserver.listen = \"localhost:{port}\"\n");
        binary::configure(folder.path(), &format!("{site}{PROVIDER_AWAY}[database]\nurl = \"sqlite:{place}\"\n"));
        let run = |arguments: &[&str]| {
            let mut command = binary::command(folder.path());
            binary::run(as_somebody(command.args(arguments), folder.path()))
        };
        let checked = run(&["config", "check"]);
        assert!(checked.code != 0 && checked.stderr.contains(words), "{place}: {checked:#?}");
        Told::new(run(&["doctor", "--json"])).is("database", "failure", &[words]);
        // Nothing that was found is wrong about what a start meets; a file that is there is waited for.
        if place != "shut.db" {
            let served = run(&["serve"]);
            assert!(served.code == 78 && served.stderr.contains(words), "{place}: {served:#?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_of_several_hosts_is_looked_at_by_itself() {
    let Some(server) = Server::start() else { return };
    let Some(replica) = Server::start_with(vec!["--read-only=1".to_owned()]) else { return };
    let (place, port) = (server.database().await.place(), |server: &Server| {
        url::Url::parse(&server.url()).expect("a URL").port().expect("a port")
    });
    let (first, second, dead) = (port(&server), port(&replica), free_port());
    // This way of writing this machine's address is one that Doorward does not take for it.
    let overheard = format!("[::ffff:127.0.0.1]:{first}");
    let provider = provider().await;
    let at = |hosts: &str| {
        let url = format!("mysql://root@{hosts}/{}", place.name);
        not_running(&format!("{}[database]\nurl = {url:?}\ntls = \"off\"\n", google(&provider))).0
    };
    let told = at(&format!("127.0.0.1:{dead},{overheard},127.0.0.1:{second}"));
    let words = [
        &*format!("127.0.0.1:{dead}: the database cannot be asked: nobody answers as MySQL"),
        "the other hosts stand in for it",
    ];
    told.is("database", "warning", &words);
    let ready = told.checks.iter().find(|check| check["name"] == "database").expect("the first one");
    assert!(ready["outcome"] == "ok" && ready["found"].to_string().contains("at the start Doorward will"), "{ready}");
    told.is("database-version", "ok", &[]);
    let said = told.ran.stdout.clone();
    assert!(
        said.contains(&format!("\"127.0.0.1:{second}: MariaDB")) && said.contains(", takes no changes (read_only)"),
        "{said}"
    );
    let heard = format!("[::ffff:7f00:1]:{first}: people's names and addresses travel");
    told.is("database-encryption", "warning", &[&heard]);
    assert!(said.contains(&format!("127.0.0.1:{second}: not encrypted, and does not leave this machine")), "{said}");
    // The first one was made as careless as servers are, the second one is as it comes.
    told.is(
        "database-strictness",
        "warning",
        &[&format!("[::ffff:7f00:1]:{first}: the server's sql_mode is not strict")],
    );
    told.is("database-cluster", "ok", &[&format!("[::ffff:7f00:1]:{first}, 127.0.0.1:{second}: a server by itself")]);
    let checked = |hosts: &str| {
        let folder = tempfile::tempdir().expect("a folder");
        let url = format!("mysql://root@{hosts}/{}", place.name);
        binary::configure(folder.path(), &format!("{}[database]\nurl = {url:?}\ntls = \"off\"\n", google(&provider)));
        binary::run(binary::command(folder.path()).args(["config", "check"]))
    };
    let ran = checked(&format!("127.0.0.1:{first},127.0.0.1:{dead}"));
    assert!(ran.code == 0 && ran.stderr.contains(words[0]), "{ran:#?}");

    // Where none is left there is no other to stand in.
    let told = at(&format!("127.0.0.1:{dead},127.0.0.1:{}", free_port()));
    told.is("database", "failure", &["nobody answers as MySQL"]);
    told.is("database-version", "skipped", &["could not be looked at"]);
    assert!(!told.ran.stdout.contains("stand in for it"), "{:#?}", told.ran);
    // And where only one that takes no changes is left, that is a failure.
    let told = at(&format!("127.0.0.1:{dead},127.0.0.1:{second}"));
    told.is("database-version", "failure", &["takes no changes (read_only)"]);
}

#[test]
fn a_certificate_that_cannot_be_served_is_found_whether_doorward_runs_or_not() {
    let folder = tempfile::tempdir().expect("a folder");
    let port = free_port();
    let site = format!("public_url = \"https://localhost:{port}\"\nserver.listen = \"localhost:{port}\"\n");
    let files = "server.cert = \"site.crt\"\nserver.key = \"site.key\"\n";
    binary::configure(folder.path(), &format!("{site}{files}{PROVIDER_AWAY}"));
    let ((certificate, key), (_, of_another)) = (made_for_localhost(|_| ()), made_for_localhost(|_| ()));
    let keep = |name: &str, text: &str| {
        fs::write(folder.path().join(name), text).expect("a file");
        fs::set_permissions(folder.path().join(name), Permissions::from_mode(0o600)).expect("its mode");
    };
    doctor(folder.path()).is("certificate-files", "failure", &["site.crt", "No such file"]);
    keep("site.crt", "nothing of the kind");
    doctor(folder.path()).is("certificate-files", "failure", &["site.crt", "holds no certificate"]);
    keep("site.crt", &certificate);
    doctor(folder.path()).is("certificate-files", "failure", &["site.key", "No such file"]);
    keep("site.key", &certificate);
    doctor(folder.path()).is("certificate-files", "failure", &["site.key", "holds no private key"]);
    keep("site.key", &of_another);
    doctor(folder.path()).is("certificate-files", "failure", &["site.key", "key", "certificate"]);
    keep("site.key", &key);
    doctor(folder.path()).is("certificate-files", "ok", &["site.crt and its key fit together"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_lax_full_and_read_only_is_said_to_be_so() {
    let options = ["--sql-mode=", "--max-connections=12", "--read-only=1"].map(str::to_owned);
    let Some(server) = Server::start_with(options.to_vec()) else { return };
    let database = server.database().await;
    let place = database.place();
    let provider = provider().await;
    let url = format!("mysql://root@127.0.0.1:{}/{}", place.port, place.name);
    let (told, _folder) = not_running(&format!("{}[database]\nurl = {url:?}\n", google(&provider)));
    told.is("database-version", "failure", &["takes no changes (read_only)", "SET GLOBAL read_only = OFF"]);
    told.is("database-strictness", "warning", &["sql_mode is not strict", "STRICT_TRANS_TABLES"]);
    told.is("database-connections", "warning", &["of the server's 12 connections", "Doorward takes up to 16"]);
    told.is("database-encryption", "ok", &["does not leave this machine"]);

    // Enough for this instance, and nearly all of them gone to others.
    let pool = mysql_async::Pool::new(server.url().as_str());
    let mut held = Vec::new();
    for _ in 0..10 {
        held.push(pool.get_conn().await.expect("a connection"));
    }
    let few = format!("{}[database]\nurl = {url:?}\nmax_connections = 4\n", google(&provider));
    let (told, _folder) = not_running(&few);
    told.is("database-connections", "warning", &["Doorward takes up to 4", "\"Too many connections\" will come"]);
    drop(held);
    pool.disconnect().await.expect("a pool can be left");
    let (told, _folder) = not_running(&few);
    told.is("database-connections", "ok", &["in use, and Doorward takes up to 4"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_old_and_has_another_time_and_is_overheard_is_said_to_be_so() {
    // It calls itself older than it is. Its clock is changed for each connection, but not for those of administrators.
    let options = ["--version=10.3.39-MariaDB", "--init-connect=set timestamp = unix_timestamp() + 3600"];
    let Some(server) = Server::start_with(options.map(str::to_owned).to_vec()) else { return };
    let port = url::Url::parse(&server.url()).expect("a URL").port().expect("a port");
    let admin = mysql_async::Pool::new(server.url().as_str());
    for statement in [
        "create database site",
        "create user site@localhost identified by 'site-secret'",
        "grant all on site.* to site@localhost",
    ] {
        let mut conn = admin.get_conn().await.expect("the server");
        mysql_async::prelude::Queryable::query_drop(&mut conn, statement).await.expect(statement);
    }
    admin.disconnect().await.expect("a pool can be left");
    let provider = provider().await;
    let at = |host: &str, tls: &str| {
        let account = format!("user = \"site\"\npassword = \"site-secret\"\nname = \"site\"\ntls = \"{tls}\"\n");
        format!("{}[database]\nhost = {host:?}\nport = {port}\n{account}", google(&provider))
    };
    let (told, _folder) = not_running(&at("localhost", "auto"));
    told.is("database-version", "failure", &["MariaDB 10.3.39 is older than", "MariaDB 10.4 or later is needed"]);
    told.is(
        "database-clock",
        "warning",
        &["this machine's clock and the database's are 3", "timedatectl set-ntp true"],
    );
    told.is("database-encryption", "ok", &["does not leave this machine"]);

    // No machine but this one is there; this way of writing its address is one that Doorward does not take for it.
    let stranger = "::ffff:127.0.0.1";
    if std::net::TcpStream::connect((stranger, port)).is_ok() {
        let (told, _folder) = not_running(&at(stranger, "off"));
        told.is(
            "database-encryption",
            "warning",
            &["travel to the database for all on the way to read", "tls = \"off\""],
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_site_that_does_not_run_and_one_that_somebody_else_answers_for_are_told_apart() {
    let provider = provider().await;
    let (told, folder) = not_running(&google(&provider));
    told.is("instance", "failure", &["Doorward does not run here", "systemctl start doorward"]);
    told.is("public-url", "skipped", &[]);
    drop(folder);

    // It runs, and browsers are led to another program.
    let site = Binary::behind(&provider.issuer().replace("127.0.0.1", "localhost"), &google(&provider));
    site.program.wait_for("the start", |line| line.contains("Doorward is at").then_some(()));
    let told = doctor(site.folder.path());
    told.is("instance", "ok", &[]);
    told.is("public-url", "failure", &["leads to somebody else (HTTP/1.1 404", "let the proxy pass"]);
    told.is("proxy-host", "skipped", &[]);
    assert_eq!(told.ran.code, 1);

    // Two sites, each with a database of its own: the one must not be taken for the other.
    let other = Binary::serve(&google(&provider));
    other.program.wait_for("the start", |line| line.contains("Doorward is at").then_some(()));
    let config = fs::read_to_string(site.folder.path().join("config.toml")).expect("a file");
    let config = config.replace(&format!("localhost:{}", site.port), &format!("localhost:{}", other.port));
    binary::configure(site.folder.path(), &config);
    doctor(site.folder.path()).is("instance", "failure", &["is not Doorward with this database", "doorward, process"]);

    // Right after a change in need an instance may not know the key yet by which it is recognised: nothing is wrong.
    let rotated = other.run(&["keys", "rotate", "--sealing", "--now"]);
    assert_eq!(rotated.code, 0, "{rotated:#?}");
    let told = doctor(other.folder.path());
    for check in ["instance", "public-url"] {
        assert_ne!(told.of(check).0, "failure", "{check}: {}", told.of(check).1);
    }

    // A name that nobody knows.
    let site = format!("public_url = \"https://nobody.invalid\"\nserver.listen = \"localhost:{}\"\n", free_port());
    let folder = tempfile::tempdir().expect("a folder");
    binary::configure(folder.path(), &format!("{site}{}", google(&provider)));
    doctor(folder.path()).is("names", "failure", &["public_url: ", "nobody.invalid", "an A or AAAA record"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_does_not_speak_http_is_not_waited_for_long() {
    let provider = provider().await;
    let port = free_port();
    let silent = TcpListener::bind(("127.0.0.1", port)).expect("a free port");
    let folder = tempfile::tempdir().expect("a folder");
    let place = format!("public_url = \"http://localhost:{port}\"\nserver.listen = \"127.0.0.1:{port}\"\n");
    binary::configure(folder.path(), &format!("{place}{}", google(&provider)));
    let told = doctor(folder.path());
    told.is("instance", "failure", &["does not answer as Doorward", "it took too long"]);
    drop(silent);
}

/// A certificate for localhost that nobody vouches for, after `change`, and its key, as PEM.
pub fn made_for_localhost(change: impl FnOnce(&mut rcgen::CertificateParams)) -> (String, String) {
    let key = rcgen::KeyPair::generate().expect("a key");
    let mut certificate = rcgen::CertificateParams::new(["localhost".to_owned()]).expect("a name");
    change(&mut certificate);
    (certificate.self_signed(&key).expect("a certificate").pem(), key.serialize_pem())
}

/// A site behind nginx, whose server block is `block` with `SITE` for where Doorward listens.
pub fn behind_nginx(scheme: &str, rest: &str, block: &str) -> (Binary, Program, TempDir) {
    let (certificate, key) = made_for_localhost(|_| ());
    behind_nginx_with(scheme, rest, block, &certificate, &key)
}

/// The same with a certificate and its key, PEM.
pub fn behind_nginx_with(
    scheme: &str,
    rest: &str,
    block: &str,
    certificate: &str,
    key: &str,
) -> (Binary, Program, TempDir) {
    let port = free_port();
    let site = Binary::behind(&format!("{scheme}://localhost:{port}"), rest);
    site.program.wait_for("the start", |line| line.contains("Doorward is at").then_some(()));
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("site.crt"), certificate).expect("a file");
    fs::write(folder.path().join("site.key"), key).expect("a file");
    let at = |name: &str| folder.path().join(name).display().to_string();
    let tls = match scheme {
        "https" => format!("ssl_certificate {}; ssl_certificate_key {};", at("site.crt"), at("site.key")),
        _ => String::new(),
    };
    let ssl = if scheme == "https" { " ssl" } else { "" };
    let block = block.replace("SITE", &format!("http://127.0.0.1:{}", site.port)).replace("PORT", &port.to_string());
    let nginx = front::nginx(folder.path(), &format!("server {{ listen 127.0.0.1:{port}{ssl}; {tls}\n{block}\n}}"));
    front::wait_for(port, &nginx);
    (site, nginx, folder)
}

/// What a proxy has to do.
pub const GOOD: &str = r#"location / {
    proxy_pass SITE;
    proxy_set_header Host localhost:PORT;
    proxy_set_header X-Forwarded-For $remote_addr;
    proxy_set_header X-Forwarded-Proto $scheme;
    proxy_set_header Remote-User "";
    proxy_set_header X-Auth-Request-Email "";
}"#;

const PROXY_CHECKS: [&str; 4] = ["proxy-host", "proxy-scheme", "proxy-address", "proxy-identity"];

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_that_does_as_it_should_is_told_from_one_that_only_passes_on() {
    if Tier::Proxies.here().is_none() {
        return;
    }
    let provider = provider().await;
    let (site, _nginx, _folder) = behind_nginx("http", &google(&provider), GOOD);
    let told = doctor(site.folder.path());
    told.is("public-url", "ok", &["leads to the instance that runs here"]);
    for check in PROXY_CHECKS {
        told.is(check, "ok", &[]);
    }
    assert_eq!(told.ran.code, 0, "{:#?}", told.ran);

    let rules = "[[gate.rules]]\nhost = \"app.localhost:3000\"\nallow = \"everyone\"\n";
    let rest = format!("{}{rules}", google(&provider));
    let (site, _nginx, _folder) = behind_nginx("http", &rest, "location / { proxy_pass SITE; }");
    let told = doctor(site.folder.path());
    told.is("proxy-host", "failure", &["pages go in circles", "proxy_set_header Host localhost:"]);
    told.is("proxy-scheme", "failure", &["\"https\"", "public_url is http"]);
    told.is("proxy-address", "failure", &["any visitor can pretend any address", "$remote_addr"]);
    told.is("proxy-identity", "failure", &["remote-user, x-auth-request-email", "proxy-config"]);

    let (site, _nginx, _folder) = behind_nginx(
        "http",
        &format!("server.trusted_proxies = [\"192.0.2.1\"]\n{}", google(&provider)),
        &GOOD.replace("proxy_set_header X-Forwarded-Proto $scheme;", "proxy_set_header X-Forwarded-Proto \"\";"),
    );
    let told = doctor(site.folder.path());
    told.is("proxy-address", "warning", &["is not believed", "server.trusted_proxies"]);
    told.is("proxy-scheme", "warning", &["does not say which scheme"]);
    assert_eq!(told.ran.code, 0, "{:#?}", told.ran);

    let (site, _nginx, _folder) = behind_nginx(
        "http",
        &google(&provider),
        &GOOD.replace("proxy_set_header X-Forwarded-For $remote_addr;", "proxy_set_header X-Forwarded-For \"\";"),
    );
    // From this machine the proxy and its visitor have one address: nobody can tell them apart, and nothing is claimed.
    doctor(site.folder.path()).is("proxy-address", "ok", &[]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_browsers_refuse_is_refused_unless_its_authority_is_named() {
    if Tier::Proxies.here().is_none() {
        return;
    }
    let provider = provider().await;
    let (site, _nginx, folder) = behind_nginx("https", &google(&provider), GOOD);
    let told = doctor(site.folder.path());
    told.is("certificate", "failure", &["signed by nobody that browsers know", "made for the host of public_url"]);
    told.is("public-url", "failure", &["TLS with https://localhost:", "--ca-file"]);
    let authority = folder.path().join("site.crt").display().to_string();
    let named = binary::run(binary::command(site.folder.path()).args(["doctor", "--json", "--ca-file", &authority]));
    let told = Told::new(named);
    told.is("certificate", "ok", &[]);
    told.is("public-url", "ok", &["leads to the instance that runs here"]);
    told.is("proxy-scheme", "ok", &["the proxy says https"]);

    let https = "server.tls = \"self-signed\"\n";
    let own = Binary::serve_https(free_port(), &format!("{https}{}", google(&provider)), |_| ());
    own.program.wait_for("the start", |line| line.contains("Doorward is at").then_some(()));
    let told = doctor(own.folder.path());
    told.is("certificate", "warning", &["nobody vouches for the certificate"]);
    told.is("public-url", "ok", &["leads to the instance that runs here"]);
    assert_eq!(told.ran.code, 0, "{:#?}", told.ran);
}
