//! The binary as a process: how it starts, what it survives, how it ends.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use crate::site::binary::{self, Binary, PROVIDER_AWAY};
use crate::site::program::free_port;
use crate::site::visitors::{Anonymous, Visitor};

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
    let port = site.public_url.rsplit(':').next().expect("a port").parse::<u16>().expect("a number");
    let mut connection = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.expect("it listens");
    connection.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n").await.expect("half a request");
    // The server has the connection when it answers another one that came later.
    assert_eq!(Anonymous::at(&site.public_url).get("healthz").await.status, 200);
    site.program.signal("TERM");
    connection.write_all(b"Connection: close\r\n\r\n").await.expect("the other half");
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await.expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer:?}\n{}", site.program.said());
    assert_eq!(site.program.wait().code(), Some(0));
}

#[test]
fn a_port_that_is_taken_is_named() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    let port = listener.local_addr().expect("an address").port();
    let folder = tempfile::tempdir().expect("a folder");
    let config =
        format!("public_url = \"http://localhost:{port}\"\n{PROVIDER_AWAY}[server]\nlisten = \"127.0.0.1:{port}\"\n");
    std::fs::write(folder.path().join("config.toml"), config).expect("a configuration");
    let ran = binary::run(&mut binary::command(folder.path()));
    assert_eq!(ran.code, 69, "{ran:#?}");
    assert!(ran.stderr.contains(&port.to_string()), "{ran:#?}");
    assert_eq!(ran.stdout, "");
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
    std::fs::write(folder.path().join("config.toml"), config).expect("a configuration");
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
    assert!(ready.body.contains("database"), "{ready:#?}");
    assert_eq!(site.run(&["healthcheck"]).code, 0, "the process is alive");
    browser.plant(&format!("doorward_{}", site.public_url.rsplit(':').next().expect("a port")), &"A".repeat(43));
    let me = browser.get("api/me").await;
    assert_eq!(me.status, 503, "{me:#?}");
    assert!(me.set_cookies().is_empty() && !me.header("retry-after").is_empty(), "{me:#?}");
}
