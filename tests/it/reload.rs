//! SIGHUP: the real binary reads everything again, drops nobody, and keeps what it had where the new does not do.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::site::binary::{Binary, PROVIDER_AWAY};
use crate::site::demo::provider;
use crate::site::instance::Site;
use crate::site::program::{PATIENCE, PAUSE, free_port};
use crate::site::visitors::{Anonymous, Visitor};

/// Every time the configuration is read again, the log says so once in these words.
const AGAIN: &str = "the configuration was read again";

/// The messages of the log so far.
fn messages(site: &Binary) -> Vec<String> {
    let said = site.program.said();
    let message = |line: &str| Some(serde_json::from_str::<Value>(line).ok()?["message"].as_str()?.to_owned());
    said.lines().filter_map(message).collect()
}

fn times(site: &Binary) -> usize {
    messages(site).iter().filter(|message| message.starts_with(AGAIN)).count()
}

/// Changes the configuration, sends SIGHUP and waits until it was read: what the log said of it.
fn reload(site: &Binary, change: impl FnOnce(String) -> String) -> String {
    let file = site.folder.path().join("config.toml");
    let text = fs::read_to_string(&file).expect("the configuration");
    fs::write(&file, change(text)).expect("it is written");
    let before = times(site);
    site.program.signal("HUP");
    let deadline = Instant::now() + PATIENCE;
    loop {
        let said = messages(site).into_iter().filter(|message| message.starts_with(AGAIN)).nth(before);
        if let Some(said) = said {
            return said;
        }
        assert!(Instant::now() < deadline, "nothing was read again:\n{}", site.program.said());
        std::thread::sleep(PAUSE);
    }
}

/// Waits until the log holds a message that contains `words`.
fn until_said(site: &Binary, words: &str) {
    let deadline = Instant::now() + PATIENCE;
    while !messages(site).iter().any(|message| message.contains(words)) {
        assert!(Instant::now() < deadline, "{words:?} is not said:\n{}", site.program.said());
        std::thread::sleep(PAUSE);
    }
}

#[tokio::test]
async fn whoever_knocked_too_often_has_not_knocked_less() {
    let site = Site::start().await;
    let (before, after) = site.read_again(|config| config.pages.title = "Another house".to_owned());
    assert!(Arc::ptr_eq(&before.limits, &after.limits));
    assert_eq!(before.instance, after.instance, "it is the same process");
    let (before, after) = site.read_again(|config| config.limits.sign_ins_per_minute += 1);
    assert!(!Arc::ptr_eq(&before.limits, &after.limits), "another limit is not taken over");
}

#[tokio::test]
async fn changed_rules_and_titles_are_in_force_at_once() {
    let port = free_port();
    let (_provider, config) = provider(port);
    let site = Binary::serve_on(port, &config);
    let ada = Anonymous::at(&site.public_url);
    assert!(ada.follow_as("ada").await.body.contains("ada@example.com"));
    let said = reload(&site, |text| {
        format!("pages.title = \"Another house\"\naccess.blocked = [\"ada@example.com\"]\n{text}")
    });
    assert!(said.ends_with("and is in force"), "{said}");
    assert_eq!(ada.get("/api/me").await.status, 401, "a rule does not count yet");
    assert!(ada.visit("/").await.body.contains("Another house"));
    let said = reload(&site, |text| text.replace("access.blocked = [\"ada@example.com\"]\n", ""));
    assert!(said.ends_with("and is in force"), "{said}");
    assert_eq!(ada.get("/api/me").await.status, 200, "her session was never ended");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_request_is_dropped_however_often_it_is_read() {
    let port = free_port();
    let (_provider, config) = provider(port);
    let site = Binary::serve_on(port, &config);
    let ada = Arc::new(Anonymous::at(&site.public_url));
    ada.follow_as("ada").await;
    let (is_over, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let mut askers = Vec::new();
    for _ in 0..4 {
        let (ada, is_over, asked) = (Arc::clone(&ada), Arc::clone(&is_over), Arc::clone(&asked));
        askers.push(tokio::spawn(async move {
            while !is_over.load(Ordering::Relaxed) {
                let answer = ada.get("/api/me").await;
                assert_eq!(answer.status, 200, "{answer:#?}");
                asked.fetch_add(1, Ordering::Relaxed);
            }
        }));
    }
    // One that lasts longer than all of them: its body is on its way.
    let authority = site.public_url.trim_start_matches("http://").to_owned();
    let mut slow = tokio::net::TcpStream::connect(&authority).await.expect("it listens");
    let head = format!(
        "POST /logout HTTP/1.1\r\nHost: {authority}\r\nSec-Fetch-Site: same-origin\r\nConnection: close\r\n\
         Content-Length: 4\r\nExpect: 100-continue\r\n\r\n"
    );
    slow.write_all(head.as_bytes()).await.expect("the head");
    let mut go_on = [0; 25];
    slow.read_exact(&mut go_on).await.expect("it goes on");
    for round in 0..5 {
        let said = tokio::task::block_in_place(|| {
            reload(&site, |text| {
                let kept: Vec<&str> = text.lines().filter(|line| !line.starts_with("pages.title")).collect();
                format!("pages.title = \"House {round}\"\n{}\n", kept.join("\n"))
            })
        });
        assert!(said.ends_with("and is in force"), "{said}");
    }
    slow.write_all(b"body").await.expect("the body");
    let mut answer = String::new();
    slow.read_to_string(&mut answer).await.expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 303"), "{answer:?}");
    is_over.store(true, Ordering::Relaxed);
    for asker in askers {
        asker.await.expect("every request is answered");
    }
    assert!(asked.load(Ordering::Relaxed) > 0);
    assert!(ada.visit("/account").await.body.contains("House 4"));
}

#[tokio::test]
async fn what_is_wrong_is_told_in_the_words_of_the_check_and_the_old_stays() {
    let metrics = free_port();
    let site = Binary::serve(&format!(
        "metrics.listen = \"127.0.0.1:{metrics}\"\npages.title = \"Old house\"\n{PROVIDER_AWAY}"
    ));
    let prometheus = Anonymous::at(&format!("http://127.0.0.1:{metrics}"));
    let browser = Anonymous::at(&site.public_url);
    let bad = "sessions.idle = \"7 dayz\"\nsesions.lifetime = \"1d\"\n";
    let said = reload(&site, |text| format!("{bad}{}", text.replace("Old house", "New house")));
    assert!(said.contains("is not taken over; the one before stays in force"), "{said}");
    let check = site.run(&["config", "check", "--offline"]);
    assert_eq!(check.code, 78, "{check:#?}");
    let wrong: Vec<&str> = check.stderr.lines().map(|line| line.trim_start_matches("error: ").trim()).collect();
    assert!(wrong.len() >= 3, "{check:#?}");
    for line in wrong {
        until_said(&site, line);
    }
    assert!(browser.visit("/").await.body.contains("Old house"));
    let reloaded = "doorward_config_last_reload_successful";
    assert!(prometheus.get("/metrics").await.body.contains(&format!("{reloaded} 0")));
    let said = reload(&site, |text| text.replace(bad, ""));
    assert!(said.ends_with("and is in force"), "{said}");
    assert!(browser.visit("/").await.body.contains("New house"));
    assert!(prometheus.get("/metrics").await.body.contains(&format!("{reloaded} 1")));
    // A file that has gone is no empty one.
    let file = site.folder.path().join("config.toml");
    let text = fs::read_to_string(&file).expect("the configuration");
    fs::remove_file(&file).expect("it goes");
    site.program.signal("HUP");
    until_said(&site, "config.toml");
    assert!(browser.visit("/").await.body.contains("New house"));
    fs::write(&file, text).expect("it is back");
}

#[tokio::test]
async fn what_needs_a_restart_is_named_and_the_rest_is_taken_over() {
    let site = Binary::serve(&format!("pages.title = \"Old house\"\n{PROVIDER_AWAY}"));
    let browser = Anonymous::at(&site.public_url);
    let other = free_port();
    let said = reload(&site, |text| {
        let kept: Vec<&str> = text.lines().filter(|line| !line.contains("server.listen")).collect();
        format!(
            "server.listen = \"localhost:{other}\"\ndatabase.url = \"sqlite:other.db\"\n{}\n",
            kept.join("\n").replace("Old house", "New house").replace("127.0.0.1:9", "127.0.0.1:10")
        )
    });
    assert!(said.ends_with("restart Doorward for server.listen, providers, database"), "{said}");
    assert!(browser.visit("/").await.body.contains("New house"));
    assert!(!site.folder.path().join("other.db").exists(), "the other database is opened");
}

#[tokio::test]
async fn a_secret_that_was_exchanged_is_used_from_then_on() {
    let port = free_port();
    let (_provider, config) = provider(port);
    let secret = "a:b%c+d/é=";
    let config = config.replace(&format!("client_secret = {secret:?}"), "client_secret_file = \"secret\"");
    let site = Binary::serve_with(port, &config, |folder| write_secret(folder, "wrong"));
    let ada = Anonymous::at(&site.public_url);
    let refused = ada.follow_as("ada").await;
    assert_ne!(refused.status, 200, "{refused:#?}");
    write_secret(site.folder.path(), secret);
    let said = reload(&site, |text| text);
    assert!(said.ends_with("and is in force"), "{said}");
    let ada = Anonymous::at(&site.public_url);
    assert!(ada.follow_as("ada").await.body.contains("ada@example.com"), "{}", site.program.said());
}

fn write_secret(folder: &Path, secret: &str) {
    fs::write(folder.join("secret"), secret).expect("the secret");
}

/// Lays a certificate for localhost and its key into `folder`; the certificate.
fn lay_certificate(folder: &Path) -> String {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    fs::write(folder.join("cert.pem"), made.cert.pem()).expect("a file");
    fs::write(folder.join("key.pem"), made.signing_key.serialize_pem()).expect("a file");
    made.cert.pem()
}

#[tokio::test]
async fn a_new_certificate_is_shown_and_a_broken_one_is_not() {
    let mut first = String::new();
    let config = format!("server.cert = \"cert.pem\"\nserver.key = \"key.pem\"\n{PROVIDER_AWAY}");
    let site = Binary::serve_https(free_port(), &config, |folder| first = lay_certificate(folder));
    assert_eq!(Anonymous::believing(&site.public_url, &first).get("/healthz").await.status, 200);
    let second = lay_certificate(site.folder.path());
    let said = reload(&site, |text| text);
    assert!(said.ends_with("and is in force"), "{said}");
    assert_eq!(Anonymous::believing(&site.public_url, &second).get("/healthz").await.status, 200);
    fs::write(site.folder.path().join("key.pem"), "no key").expect("a file");
    let said = reload(&site, |text| text);
    assert!(said.contains("stays in force"), "{said}");
    until_said(&site, "key.pem");
    assert_eq!(Anonymous::believing(&site.public_url, &second).get("/healthz").await.status, 200);
}

#[tokio::test]
async fn a_template_that_breaks_leaves_the_last_good_one() {
    let write = |folder: &Path, text: &str| fs::write(folder.join("pages/login.html"), text).expect("a template");
    let site = Binary::serve_with(free_port(), &format!("pages.dir = \"pages\"\n{PROVIDER_AWAY}"), |folder| {
        fs::create_dir(folder.join("pages")).expect("a folder");
        fs::copy(
            Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/pages/login.html"),
            folder.join("pages/login.html"),
        )
        .expect("a template");
    });
    let browser = Anonymous::at(&site.public_url);
    let ours = fs::read_to_string(site.folder.path().join("pages/login.html")).expect("the template");
    write(site.folder.path(), &ours.replace("Login to continue", "Knock to continue"));
    reload(&site, |text| text);
    let shown = browser.visit("/").await.body;
    assert!(shown.contains("Knock to continue"), "{shown}");
    write(site.folder.path(), "{{ nothing.at.all }}");
    reload(&site, |text| text);
    until_said(&site, "the last good one stays in use");
    assert!(browser.visit("/").await.body.contains("Knock to continue"));
}
