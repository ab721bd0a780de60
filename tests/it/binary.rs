//! The binary as a process: how it starts, what it survives, how it ends.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::site::binary::{self, Binary, PROVIDER_AWAY};
use crate::site::demo::provider;
use crate::site::place::Place;
use crate::site::program::free_port;
use crate::site::visitors::{Anonymous, TokenHolder, Visitor};

#[tokio::test]
async fn it_answers_while_its_provider_is_away_and_ends_when_asked() {
    let mut site = Binary::serve(PROVIDER_AWAY);
    let browser = Anonymous::at(&site.public_url);
    assert_eq!(browser.get("healthz").await.status, 200);
    let ready = browser.get("readyz").await;
    assert_eq!((ready.status, &ready.json()["status"]), (200, &serde_json::json!("degraded")), "{ready:#?}");
    assert!(browser.visit("").await.body.contains("Login to continue"));
    let login = browser.visit("login").await;
    assert_eq!(login.status, 503, "{login:#?}");
    assert!(!login.header("retry-after").is_empty());
    assert_eq!(site.run(&["healthcheck"]).code, 0);
    let status = site.program.terminate();
    assert_eq!(status.code(), Some(0), "{}", site.program.said());
    assert_eq!(site.run(&["healthcheck"]).code, 1);
}

#[tokio::test]
async fn a_request_under_way_is_answered_before_the_end() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut site = Binary::serve(PROVIDER_AWAY);
    let authority = site.public_url.trim_start_matches("http://").to_owned();
    let mut connection = tokio::net::TcpStream::connect(&authority).await.expect("it listens");
    let head = format!(
        "POST /logout HTTP/1.1\r\nHost: {authority}\r\nSec-Fetch-Site: same-origin\r\nContent-Length: 4\r\n\
         Expect: 100-continue\r\n\r\n"
    );
    connection.write_all(head.as_bytes()).await.expect("the head");
    // Asking for the body is what the server does once it is at work.
    let mut asked = [0; 25];
    connection.read_exact(&mut asked).await.expect("it goes on");
    assert_eq!(&asked, b"HTTP/1.1 100 Continue\r\n\r\n");
    site.program.signal("TERM");
    site.program.wait_for("announcement of the end", |line| line.contains("ending").then_some(()));
    connection.write_all(b"body").await.expect("the body");
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await.expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 303"), "{answer:?}\n{}", site.program.said());
    assert_eq!(site.program.wait().code(), Some(0));
}

#[test]
fn a_port_that_is_taken_is_named() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    let port = listener.local_addr().expect("an address").port();
    let folder = tempfile::tempdir().expect("a folder");
    let config =
        format!("public_url = \"http://localhost:{port}\"\n{PROVIDER_AWAY}[server]\nlisten = \"127.0.0.1:{port}\"\n");
    binary::configure(folder.path(), &config);
    let ran = binary::run(&mut binary::command(folder.path()));
    assert_eq!(ran.code, 69, "{ran:#?}");
    assert!(ran.stderr.contains(&port.to_string()), "{ran:#?}");
    assert_eq!(ran.stdout, "");
}

#[test]
fn a_second_instance_says_who_holds_the_port() {
    let first = Binary::serve(PROVIDER_AWAY);
    let second = first.run(&["serve"]);
    assert_eq!(second.code, 69, "{second:#?}");
    let holder = format!("doorward, process {}", first.program.id());
    assert!(second.stderr.contains(&holder), "{holder:?} is not named: {second:#?}");
}

#[test]
fn it_is_ready_at_once_on_sqlite() {
    let begun = Instant::now();
    let site = Binary::serve(PROVIDER_AWAY);
    let took = begun.elapsed();
    // A busy machine and a build without optimisation are given room; the promise itself is measured elsewhere.
    assert!(took < Duration::from_secs(10), "{took:?}\n{}", site.program.said());
}

#[test]
fn a_database_that_is_away_is_a_dependency_that_is_unavailable() {
    let folder = tempfile::tempdir().expect("a folder");
    let port = free_port();
    let config = format!("{PROVIDER_AWAY}[database]\nurl = \"mysql://root:hush-hush@127.0.0.1:{port}/doorward\"\n");
    binary::configure(folder.path(), &config);
    for arguments in [&["users", "list"][..], &["sessions", "list"], &["tokens", "list", "--json"], &["migrate"]] {
        let ran = binary::run(binary::command(folder.path()).args(arguments));
        assert_eq!(ran.code, 69, "{arguments:?}: {ran:#?}");
        assert!(ran.stderr.contains("database") && ran.stdout.is_empty(), "{ran:#?}");
        assert!(!ran.stderr.contains("hush-hush"), "a password is shown: {ran:#?}");
    }
}

#[tokio::test]
async fn it_starts_while_its_database_is_away_and_says_so() {
    let port = free_port();
    let config = format!("{PROVIDER_AWAY}[database]\nurl = \"mysql://root@127.0.0.1:{port}/doorward\"\n");
    let site = Binary::serve(&config);
    let browser = Anonymous::at(&site.public_url);
    assert_eq!(browser.get("healthz").await.status, 200);
    let ready = browser.get("readyz").await;
    assert_eq!(ready.status, 503, "{ready:#?}");
    assert_eq!(ready.json()["checks"]["database"], "unavailable", "{ready:#?}");
    assert_eq!(site.run(&["healthcheck"]).code, 0, "the process is alive");
    browser.plant(&format!("doorward_{}", site.public_url.rsplit(':').next().expect("a port")), &"A".repeat(43));
    let me = browser.get("api/me").await;
    assert_eq!(me.status, 503, "{me:#?}");
    assert!(me.set_cookies().is_empty() && !me.header("retry-after").is_empty(), "{me:#?}");
}

#[tokio::test]
async fn what_was_confirmed_outlives_a_kill() {
    for place in Place::all() {
        let Some(database) = place.fresh().await else { continue };
        let port = free_port();
        let (_provider, config) = provider(port);
        let mut site = Binary::serve_on(port, &format!("{config}[database]\nurl = {:?}\n", database.url()));
        let browser = Anonymous::at(&site.public_url);
        let profile = browser.follow_as("ada").await;
        assert!(profile.body.contains("ada@example.com"), "{place:?}: {profile:#?}\n{}", site.program.said());
        let token = site.run(&["tokens", "create", "--user", "ada@example.com"]);
        assert_eq!(token.code, 0, "{token:#?}");
        site.program.signal("KILL");
        assert_eq!(site.program.wait().code(), None);
        site.start_again();
        assert_eq!(browser.get("api/me").await.json()["via"], json!("session"), "{place:?}");
        let program = TokenHolder::at(&site.public_url, token.stdout.trim_end());
        assert_eq!(program.get("api/me").await.json()["via"], json!("token"), "{place:?}");
        // The commands see and end what the server holds.
        let sessions = site.run(&["sessions", "list", "--json"]).json();
        let id = sessions[0]["id"].as_str().expect("the session is listed");
        assert_eq!(site.run(&["sessions", "revoke", id]).code, 0);
        assert_eq!(browser.get("api/me").await.status, 401, "{place:?}");
        assert_eq!(program.get("api/me").await.status, 200, "{place:?}");
        assert!(!site.program.said().contains(token.stdout.trim_end()), "a token is logged");
    }
}
