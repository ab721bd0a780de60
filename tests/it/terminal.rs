//! `doorward login`, `me` and `logout`: the real program at a terminal, a person in a browser.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::site::binary::{self, Ran};
use crate::site::browser::Browser;
use crate::site::demo::Demo;
use crate::site::instance::Site;
use crate::site::program::{PATIENCE, Program};
use crate::site::tiers::Tier;
use crate::site::visitors::Visitor;

fn doorward(home: &Path) -> Command {
    let mut command = binary::command(home);
    command.env("HOME", home);
    command
}

/// Runs a command while this thread's site goes on answering.
async fn run(home: &Path, arguments: &[&str]) -> Ran {
    let mut command = doorward(home);
    command.args(arguments);
    tokio::task::spawn_blocking(move || binary::run(&mut command)).await.expect("no panic")
}

/// A `doorward login` that waits, and the code that it shows.
async fn waiting(home: &Path, arguments: &[&str]) -> (Program, String) {
    let mut command = doorward(home);
    command.arg("login").args(arguments);
    let start = move || {
        let program = Program::start(&mut command);
        let code = program.wait_for("code", |line| {
            let code = line.trim();
            (code.len() == 9 && code.as_bytes()[4] == b'-').then(|| code.to_owned())
        });
        (program, code)
    };
    tokio::task::spawn_blocking(start).await.expect("no panic")
}

async fn ended(mut program: Program) -> (Option<i32>, String) {
    let wait = move || (program.wait().code(), program.said());
    tokio::time::timeout(PATIENCE, tokio::task::spawn_blocking(wait)).await.expect("in time").expect("no panic")
}

fn kept(home: &Path) -> Value {
    let file = home.join(".config/doorward/tokens.json");
    serde_json::from_str(&fs::read_to_string(file).expect("the file")).expect("JSON")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminal_signs_in_asks_and_signs_out() {
    let (site, home) = (Site::start().await, tempfile::tempdir().expect("a folder"));
    let ada = site.sign_in("ada").await;
    let (program, code) = waiting(home.path(), &["--server", &site.url, "--machine", "desk"]).await;
    let page = ada.submit("/device", &[("code", &code)]).await;
    assert!(page.body.contains("desk"), "{}", page.body);
    ada.submit("/device", &[("code", &code), ("decide", "approve")]).await;
    let (exit, said) = ended(program).await;
    assert_eq!(exit, Some(0), "{said}");
    assert!(!said.contains("dw_pat_"), "the token is not shown: {said}");
    let file = home.path().join(".config/doorward/tokens.json");
    let mode = |path: &Path| fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
    assert_eq!((mode(&file), mode(file.parent().expect("a folder"))), (0o600, 0o700));
    let me = run(home.path(), &["me"]).await;
    assert_eq!((me.code, &me.json()["id"], &me.json()["via"]), (0, &json!("ada"), &json!("token")), "{me:#?}");
    let out = run(home.path(), &["logout"]).await;
    assert_eq!((out.code, kept(home.path())), (0, json!({})), "{out:#?}");
    assert!(site.tokens().list(None, 1).await.expect("a list").is_empty(), "it is revoked at the server");
    let me = run(home.path(), &["me"]).await;
    assert_eq!((me.code, me.stdout.as_str()), (1, ""), "{me:#?}");
    assert!(me.stderr.contains("not signed in") && me.stderr.contains("doorward login"), "{me:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_printed_alone_where_that_is_asked_for() {
    let (site, home) = (Site::start().await, tempfile::tempdir().expect("a folder"));
    let ada = site.sign_in("ada").await;
    let arguments = ["login", "--server", &site.url, "--print", "--scope", "account"];
    let mut command = doorward(home.path());
    let token_file = home.path().join("token");
    command.args(arguments).stdout(fs::File::create(&token_file).expect("a file"));
    command.stderr(std::process::Stdio::piped());
    let mut child = command.spawn().expect("it starts");
    let stderr = child.stderr.take().expect("it is piped");
    let read = move || {
        use std::io::{BufRead, BufReader};
        let mut lines = BufReader::new(stderr).lines().map_while(Result::ok);
        lines.find(|line| line.trim().len() == 9 && line.trim().as_bytes()[4] == b'-')
    };
    let code = tokio::task::spawn_blocking(read).await.expect("no panic").expect("a code");
    ada.submit("/device", &[("code", code.trim()), ("decide", "approve")]).await;
    let status = tokio::task::spawn_blocking(move || child.wait()).await.expect("no panic").expect("it ends");
    assert!(status.success());
    let printed = fs::read_to_string(&token_file).expect("the file");
    assert!(printed.starts_with("dw_pat_") && printed.ends_with('\n') && printed.lines().count() == 1, "{printed}");
    assert!(!home.path().join(".config").exists(), "nothing is kept");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminal_that_is_turned_away_ends_with_one() {
    let (site, home) = (Site::start().await, tempfile::tempdir().expect("a folder"));
    let ada = site.sign_in("ada").await;
    let (program, code) = waiting(home.path(), &["--server", &site.url]).await;
    ada.submit("/device", &[("code", &code), ("decide", "deny")]).await;
    let (exit, said) = ended(program).await;
    assert_eq!(exit, Some(1), "{said}");
    assert!(said.contains("said no"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_work_is_said_with_a_way_on() {
    let (site, home) = (Site::start().await, tempfile::tempdir().expect("a folder"));
    for (arguments, code, words) in [
        (&["login"][..], 2, "--server"),
        (&["login", "--server", "http://example.com"], 2, "https"),
        (&["login", "--server", "not an address"], 2, "invalid value"),
        (&["login", "--server", "http://127.0.0.1:9"], 69, "cannot be asked"),
        (&["login", "--server", &format!("{}/wrong/path", site.url)], 1, "404"),
        (&["me"], 1, "doorward login --server"),
        (&["logout", "--server", &site.url], 1, "not signed in to"),
    ] {
        let ran = run(home.path(), arguments).await;
        assert_eq!(ran.code, code, "{arguments:?}: {ran:#?}");
        assert!(ran.stderr.contains(words) && ran.stdout.is_empty(), "{arguments:?}: {ran:#?}");
    }
    let nowhere = binary::run(binary::command(home.path()).arg("me"));
    assert!(nowhere.code == 1 && nowhere.stderr.contains("HOME"), "{nowhere:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_out_that_does_not_reach_the_server_forgets_nothing() {
    let home = tempfile::tempdir().expect("a folder");
    let folder = home.path().join(".config/doorward");
    fs::create_dir_all(&folder).expect("a folder");
    let tokens = json!({ "http://127.0.0.1:9": "dw_pat_x", "http://127.0.0.1:10": "dw_pat_y" });
    fs::write(folder.join("tokens.json"), tokens.to_string()).expect("the file");
    let which = run(home.path(), &["logout"]).await;
    assert_eq!(which.code, 2, "{which:#?}");
    assert!(which.stderr.contains("http://127.0.0.1:9") && which.stderr.contains("--server"), "{which:#?}");
    let away = run(home.path(), &["logout", "--server", "http://127.0.0.1:9"]).await;
    assert_eq!((away.code, kept(home.path())), (69, tokens), "{away:#?}");
    assert!(!away.stderr.contains("dw_pat_"), "{away:#?}");
}

// A browser that a failed test leaves is closed from another thread.
#[tokio::test(flavor = "multi_thread")]
async fn a_person_lets_their_terminal_in_from_a_real_browser() {
    if Tier::Browser.here().is_none() {
        return;
    }
    let (profile, home) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let demo = Demo::start();
    let browser = Browser::open(profile.path()).await;
    let (program, code) = waiting(home.path(), &["--server", &demo.address, "--machine", "my laptop"]).await;
    // Whoever is not signed in yet does that first, and comes back.
    browser.visit(&format!("{}/device", demo.address)).await;
    browser.sees("Login to continue").await;
    browser.click("Sign in with Google").await;
    browser.sees("Choose who to be").await;
    browser.click("Grace").await;
    browser.sees("Type the code that your terminal shows").await;
    browser.type_into("code", &code.to_lowercase()).await;
    browser.click("Go on").await;
    browser.sees("my laptop").await;
    browser.click("Yes, let it in").await;
    browser.sees("You can go back to your terminal").await;
    assert_eq!(browser.complaints().await, Vec::<String>::new());
    let (exit, said) = ended(program).await;
    assert_eq!(exit, Some(0), "{said}");
    let me = run(home.path(), &["me"]).await;
    assert!(me.json()["email"].as_str().is_some_and(|email| email.starts_with("grace")), "{me:#?}");
    browser.click("Go to your account").await;
    browser.sees("Terminal on my laptop").await;
    browser.close().await;
}
