//! Ten wrong turns of a first evening, each with the message that leads out of it: from `config check`, from the start,
//! from the log, from the page.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use doorward::clock::{Clock, SystemClock};
use tempfile::TempDir;

use crate::site::binary::{self, Binary, Ran};
use crate::site::place::{Kept, Place};
use crate::site::program::{Program, free_port};
use crate::site::provider::wire::Canned;
use crate::site::provider::{Door, ScriptedProvider, person};
use crate::site::visitors::{Anonymous, Answer, Visitor};

const CLIENT_ID: &str = "1234-evening.apps.googleusercontent.com";

/// A provider that lives in our time and knows the client of `google`.
pub async fn provider() -> ScriptedProvider {
    let provider = ScriptedProvider::start().await;
    let mut script = provider.script();
    script.now = SystemClock.now().unix();
    script.tells_time = true;
    script.client_id = CLIENT_ID.to_owned();
    script.client_secret = "GOCSPX-right".to_owned();
    drop(script);
    provider
}

/// The configuration for it.
pub fn google(provider: &ScriptedProvider) -> String {
    let issuer = provider.issuer();
    format!("[providers.google]\nissuer = {issuer:?}\nclient_id = {CLIENT_ID:?}\nclient_secret = \"GOCSPX-right\"\n")
}

/// The same with the database at `url`.
fn google_and(provider: &ScriptedProvider, url: &str) -> String {
    format!("{}[database]\nurl = {url:?}\n", google(provider))
}

/// `doorward config check` with `rest` on a port of its own. The folder it ran in.
fn check(rest: &str) -> (Ran, TempDir) {
    check_on(free_port(), rest)
}

fn check_on(port: u16, rest: &str) -> (Ran, TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    configure(folder.path(), port, rest);
    (binary::run(binary::command(folder.path()).args(["config", "check"])), folder)
}

fn configure(folder: &Path, port: u16, rest: &str) {
    let place = format!("public_url = \"http://localhost:{port}\"\nserver.listen = \"localhost:{port}\"\n");
    binary::configure(folder, &format!("{place}{rest}"));
}

/// A start that ends by itself: what it said, and its exit code.
fn start(rest: &str) -> (String, i32) {
    let folder = tempfile::tempdir().expect("a folder");
    configure(folder.path(), free_port(), rest);
    let mut program = Program::start(&mut binary::command(folder.path()));
    let (status, said) = program.run_out();
    (said, status.code().expect("no signal ended it"))
}

/// Waits until the site's log holds all of `words` in one line.
fn logged(site: &Binary, words: &[&str]) -> String {
    let has_all = |line: &str| words.iter().all(|word| line.contains(word));
    site.program.wait_for(&words.join(" … "), |line| has_all(line).then(|| line.to_owned()))
}

/// A fresh browser signs in, as far as it is let.
async fn sign_in(site: &Binary) -> Answer {
    Anonymous::at(&site.public_url).follow("/login").await
}

fn says(text: &str, words: &[&str]) {
    for word in words {
        assert!(text.contains(word), "{word:?} is not in:\n{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_uri_that_is_not_registered_is_said_before_google_says_it() {
    let provider = provider().await;
    // What the tutorials have people register.
    let client = serde_json::json!({ "web": {
        "client_id": CLIENT_ID, "client_secret": "GOCSPX-right", "redirect_uris": ["https://127.0.0.1:5000/login/callback"],
    }});
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("client.json");
    fs::write(&file, client.to_string()).expect("a file");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("its mode");
    let rest = format!("[providers.google]\nissuer = {:?}\nclient_json = {file:?}\n", provider.issuer());
    let port = free_port();
    let uri = format!("http://localhost:{port}/login/callback");

    let (checked, _folder) = check_on(port, &rest);
    assert_eq!(checked.code, 0, "Google's console may know better than the file: {checked:#?}");
    let register = format!("redirect URI to register: {uri} (the client's file does not list it)");
    says(&checked.stdout, &[&register]);
    says(&checked.stderr, &[&format!("client.json does not list {uri}"), "Authorized redirect URIs"]);

    // Google says so on a page of its own, and nobody comes back.
    provider.script().answer(Door::Authorization, Canned::status(400).with_body("Error 400: redirect_uri_mismatch"));
    let site = Binary::serve_on(port, &rest);
    logged(&site, &["does not list", &uri]);
    logged(&site, &["must know this redirect URI, letter for letter", &uri]);
    let answer = sign_in(&site).await;
    assert!(answer.status == 400 && answer.url.as_str().starts_with(provider.issuer()), "{answer:#?}");

    // Another provider finds out when the code is exchanged.
    provider.script().canned.clear();
    let refusal = Canned::json(serde_json::json!({ "error": "redirect_uri_mismatch" })).with_status(400);
    provider.script().answer(Door::Token, refusal);
    says(&sign_in(&site).await.body, &["The provider refused"]);
    logged(&site, &["redirect_uri_mismatch", &format!("register {uri} as a redirect URI")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_secret_is_found_by_the_check_and_named_in_the_log() {
    let provider = provider().await;
    let wrong = google(&provider).replace("GOCSPX-right", "GOCSPX-wrong");
    let (checked, _folder) = check(&wrong);
    assert_eq!(checked.code, 1, "{checked:#?}");
    let advice = "check providers.google.client_id and client_secret";
    says(&checked.stderr, &["does not accept this site", "invalid_client", advice]);
    assert!(!checked.stderr.contains("GOCSPX"), "{checked:#?}");

    let site = Binary::serve(&wrong);
    let answer = sign_in(&site).await;
    assert_eq!(answer.status, 502, "{answer:#?}");
    says(&answer.body, &["The provider refused", "the reason in its log"]);
    let line = logged(&site, &["a sign-in failed", "invalid_client", advice]);
    assert!(!line.contains("GOCSPX"), "{line}");

    let (checked, _folder) = check(&google(&provider));
    assert_eq!((checked.code, checked.stderr.as_str()), (0, ""), "the right one: {checked:#?}");
    says(&checked.stdout, &["answers, knows this client and its secret"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_down_is_waited_for_aloud() {
    let provider = provider().await;
    let port = free_port();
    let rest = google_and(&provider, &format!("mysql://root@localhost:{port}/doorward"));
    let (checked, _folder) = check(&rest);
    assert_eq!(checked.code, 69, "{checked:#?}");
    let message = format!("nobody answers as MySQL at localhost:{port}: Connection refused");
    says(&checked.stderr, &[&message, "Start the database, or check host and port"]);
    assert!(!checked.stderr.contains("Input/output error"), "{checked:#?}");

    let site = Binary::serve(&rest);
    logged(&site, &[&message, "trying again until it answers"]);
    let ready = Anonymous::at(&site.public_url).get("/readyz").await;
    assert_eq!((ready.status, &ready.json()["checks"]["database"]), (503, &"unavailable".into()), "{ready:#?}");
    let page = Anonymous::at(&site.public_url).visit("/login").await;
    assert_eq!(page.status, 503, "{page:#?}");
    says(&page.body, &["One moment, please"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_ends_the_start_and_names_the_account() {
    let Some(kept) = Place::MariaDb.fresh().await else { return };
    let provider = provider().await;
    let url = kept.url().replacen(":tests@", ":hush-hush@", 1);
    let rest = google_and(&provider, &url);
    let (checked, _folder) = check(&rest);
    let (started, code) = start(&rest);
    assert_eq!((checked.code, code), (78, 78), "{checked:#?}");
    for said in [&checked.stderr, &started] {
        says(said, &["refuses the account tests: Access denied", "Check [database] user and password"]);
        assert!(!said.contains("hush"), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_missing_is_created_or_the_statement_is_said() {
    let Some(kept) = Place::MariaDb.fresh().await else { return };
    let provider = provider().await;
    let Kept::Server { name, .. } = &kept else { panic!("MariaDB is a server") };
    let missing = format!("{name}_missing");
    let url = kept.url().replace(name.as_str(), &missing);
    let rest = google_and(&provider, &url);
    let (checked, _folder) = check(&rest);
    assert_eq!(checked.code, 0, "{checked:#?}");
    says(&checked.stdout, &[&format!("at the start Doorward will create the database {missing}")]);
    let site = Binary::serve(&rest);
    logged(&site, &["created the database", &missing]);
    drop(site);
    kept.execute(&format!("drop database {missing}")).await;

    // An account that may not: the words of the message, typed by an administrator, are the way out.
    kept.execute(&format!("create user '{name}'@'localhost' identified by 'few-rights'")).await;
    let url = url.replacen("tests:tests@127.0.0.1", &format!("{name}:few-rights@localhost"), 1);
    let rest = google_and(&provider, &url);
    let (checked, _folder) = check(&rest);
    let (started, code) = start(&rest);
    assert_eq!((checked.code, code), (78, 78), "{checked:#?}\n{started}");
    says(&started, &["Type this as an administrator: CREATE DATABASE"]);
    let (_, statements) = checked.stderr.split_once("as an administrator: ").expect("statements");
    let (statements, _) = statements.split_once("; or name another").expect("their end");
    for statement in statements.split("; ") {
        kept.execute(statement).await;
    }
    let (checked, _folder) = check(&rest);
    assert_eq!((checked.code, checked.stderr.as_str()), (0, ""), "{checked:#?}");
    kept.execute(&format!("drop database {missing}")).await;
    kept.execute(&format!("drop user '{name}'@'localhost'")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unique_email_is_warned_of_and_then_named() {
    let Some(kept) = Place::MariaDb.fresh().await else { return };
    let table = "create table users (id varchar(255) primary key, email varchar(255) not null, name varchar(255), \
                 picture varchar(255), unique key one_address (email))";
    kept.execute(table).await;
    kept.execute("insert into users (id, email) values ('somebody-else', 'ada@example.com')").await;
    let provider = provider().await;
    let rest = google_and(&provider, &kept.url());
    let warning = "the unique key one_address of the table users takes each email once";
    let remedy = "ALTER TABLE users DROP INDEX one_address";
    let (checked, _folder) = check(&rest);
    assert_eq!(checked.code, 0, "{checked:#?}");
    says(&checked.stderr, &[warning, remedy]);

    let site = Binary::serve(&rest);
    logged(&site, &[warning, remedy]);
    logged(&site, &["the table users holds rows already"]);
    let answer = sign_in(&site).await;
    assert_eq!(answer.status, 403, "{answer:#?}");
    says(&answer.body, &["allows each value once"]);
    logged(&site, &["a sign-in failed", "one_address", remedy]);
    provider.script().person = person("1102", "grace@example.com", "Grace Hopper");
    assert_eq!(sign_in(&site).await.status, 200, "whoever has an address of her own comes in");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_with_a_number_for_an_id_is_left_alone_and_said() {
    let provider = provider().await;
    for place in [Place::MariaDb, Place::MySql] {
        let Some(kept) = place.fresh().await else { continue };
        kept.execute("create table users (id int primary key auto_increment, email varchar(255), name text)").await;
        let rest = google_and(&provider, &kept.url());
        let (checked, _folder) = check(&rest);
        let (started, code) = start(&rest);
        assert_eq!((checked.code, code), (78, 78), "{checked:#?}");
        for said in [&checked.stderr, &started] {
            says(said, &["the table users keeps its id as int", "It is left as it is", "users_table = \"members\""]);
        }
        let (checked, _folder) = check(&format!("{rest}users_table = \"members\"\n"));
        assert_eq!(checked.code, 0, "{checked:#?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_is_taken_is_named_with_who_has_it() {
    let provider = provider().await;
    let port = free_port();
    let _taken = TcpListener::bind(("127.0.0.1", port)).expect("a free port");
    let holder = format!("process {}", std::process::id());
    let (checked, folder) = check_on(port, &google(&provider));
    assert_eq!(checked.code, 0, "{checked:#?}");
    says(&checked.stderr, &[&format!("port {port} is taken by "), &holder, "choose another port"]);
    let started = binary::run(&mut binary::command(folder.path()));
    assert_eq!(started.code, 69, "{started:#?}");
    says(&started.stderr, &["another program listens there", &holder, "server.listen", "public_url"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_types_127_0_0_1_is_sent_to_localhost_and_signs_in_there() {
    let provider = provider().await;
    let site = Binary::serve(&google(&provider));
    let typed = site.public_url.replace("localhost", "127.0.0.1");
    let browser = Anonymous::at(&typed);
    let sent = browser.visit("/login?rd=/basket").await;
    assert_eq!((sent.status, sent.header("location")), (302, &*format!("{}/login?rd=/basket", site.public_url)));
    let end = browser.follow("/").await;
    assert_eq!((end.status, end.url.host_str()), (200, Some("localhost")), "{end:#?}");
    let end = browser.follow("/login").await;
    assert_eq!((end.status, end.url.host_str()), (200, Some("localhost")), "{end:#?}");
    says(&end.body, &["Ada Lovelace"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_off_by_an_hour_is_said_at_once() {
    let provider = provider().await;
    for (hours, words) in [(1, "seconds behind the provider's"), (-1, "seconds ahead of the provider's")] {
        provider.script().now = SystemClock.now().unix() + hours * 3600;
        let (checked, _folder) = check(&google(&provider));
        assert_eq!(checked.code, 0, "{checked:#?}");
        says(&checked.stderr, &["this machine's clock is 3", words, "timedatectl set-ntp true"]);
        let site = Binary::serve(&google(&provider));
        logged(&site, &["this machine's clock is 3", words]);
        let answer = sign_in(&site).await;
        assert_eq!(answer.status, 400, "{answer:#?}");
        says(&answer.body, &["The clocks do not agree"]);
        logged(&site, &["a sign-in failed", "timedatectl set-ntp true"]);
    }
}
