//! What a newcomer does with `doorward demo`, in a real browser: look, sign in, come back, leave. Pictures of every
//! page are left in `target/screenshots`, in light, in dark and on a phone.

use std::process::Command;

use thirtyfour::Key;

use crate::site::binary;
use crate::site::browser::Browser;
use crate::site::demo::Demo;
use crate::site::tiers::Tier;
use crate::site::visitors::Anonymous;

// A browser that a failed test leaves is closed from another thread.
#[tokio::test(flavor = "multi_thread")]
async fn a_newcomer_signs_in_comes_back_and_leaves() {
    if Tier::Browser.here().is_none() {
        return;
    }
    let demo = Demo::start();
    let (first_profile, second_profile) =
        (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let browser = Browser::open(first_profile.path()).await;
    let address = demo.address.as_str();

    browser.visit(address).await;
    browser.sees("Login to continue").await;
    assert!(browser.title().await.starts_with("Login"), "{}", browser.title().await);
    browser.pictures("login").await;
    browser.click("Sign in with Google").await;
    browser.sees("Choose who to be").await;
    assert!(!browser.address().await.starts_with(address), "the provider is somebody else");
    browser.pictures("choose").await;
    browser.click("Ada").await;
    browser.sees("Log out").await;
    assert_eq!(browser.address().await, format!("{address}/"));
    let profile = browser.text().await;
    assert!(profile.contains("Ada Lovelace") && profile.contains("ada@"), "{profile}");
    let picture = "document.querySelector('img[referrerpolicy=no-referrer]').naturalWidth > 0";
    assert_eq!(browser.evaluate(picture).await, true, "the picture is not shown");
    browser.pictures("profile").await;

    // A second tab, and the browser closed and opened again, find the person signed in.
    browser.new_tab().await;
    browser.visit(address).await;
    browser.sees("Log out").await;
    assert_eq!(browser.complaints().await, Vec::<String>::new());
    browser.close().await;
    let browser = Browser::open(first_profile.path()).await;
    browser.visit(address).await;
    browser.sees("Ada Lovelace").await;

    // Somebody else signs in elsewhere; neither disturbs the other.
    let other = Browser::open(second_profile.path()).await;
    demo.sign_in(&other, "Grace").await;
    assert!(!other.text().await.contains("Ada"), "{}", other.text().await);
    browser.reload().await;
    browser.sees("Ada Lovelace").await;

    browser.click("Log out").await;
    browser.sees("Login to continue").await;
    browser.reload().await;
    browser.sees("Login to continue").await;
    browser.back().await;
    browser.sees("Login to continue").await;
    other.reload().await;
    other.sees("Log out").await;
    other.close().await;
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pages_keep_their_own_policy_and_ask_nobody_else() {
    if Tier::Browser.here().is_none() {
        return;
    }
    let demo = Demo::start();
    let profile = tempfile::tempdir().expect("a folder");
    let browser = Browser::open(profile.path()).await;
    let address = demo.address.as_str();
    let resources = "performance.getEntriesByType('resource').map(entry => entry.name).join('\\n')";
    demo.sign_in(&browser, "Ada").await;
    for (path, name, words) in [
        ("/", "profile", "Log out"),
        ("/api/docs", "docs", "/api/me"),
        ("/no/such/page", "not-found", "not found"),
        ("/login/callback?error=access_denied", "callback-error", "could not be trusted"),
    ] {
        browser.visit(&format!("{address}{path}")).await;
        browser.sees(words).await;
        assert_eq!(browser.evaluate("document.scripts.length").await, 0, "{path}");
        assert_eq!(browser.evaluate("document.querySelectorAll('[style]').length").await, 0, "{path}");
        let wide = browser.evaluate("document.documentElement.scrollWidth <= window.innerWidth").await;
        assert_eq!(wide, true, "{path} is wider than the window");
        let loaded = browser.evaluate(resources).await;
        for resource in loaded.as_str().unwrap_or_default().lines() {
            let is_picture = resource.starts_with("http://127.0.0.1:") || resource.starts_with("http://localhost:");
            assert!(resource.starts_with(address) || is_picture, "{path} loads {resource}");
        }
        browser.pictures(name).await;
    }
    // What the browser says of an answer that is no success is its own; a blocked load would be ours.
    let complaints = browser.complaints().await;
    let blocked = complaints.iter().filter(|complaint| complaint.contains("Content Security Policy"));
    assert_eq!(blocked.collect::<Vec<_>>(), Vec::<&String>::new());
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_prints_a_line_that_works_and_what_each_sign_in_wrote() {
    let demo = Demo::start();
    let token = demo.program.wait_for("token", |line| {
        let at = line.find("dw_pat_")?;
        Some(line[at..].chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect::<String>())
    });
    let line = demo.program.wait_for("curl line", |line| Some(line[line.find("curl ")?..].to_owned()));
    let ran = binary::run(Command::new("sh").arg("-c").arg(format!("{line} --silent")));
    assert_eq!(ran.json()["via"], "token", "{ran:#?}");
    assert!(line.contains(&token));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_tells_of_each_sign_in_and_leaves_nothing_behind() {
    let folder = tempfile::tempdir().expect("a folder");
    let Demo { address, mut program } = Demo::start_in(folder.path());
    let browser = Anonymous::at(&address);
    let profile = browser.follow_as("grace").await;
    assert!(profile.body.contains("grace@example.com"), "{profile:#?}");
    let row = program.wait_for("row", |line| line.contains("grace@example.com").then(|| line.to_owned()));
    assert!(row.contains("Grace Hopper") && row.contains("id="), "{row}");
    let status = program.terminate();
    assert_eq!(status.code(), Some(0), "{}", program.said());
    let left = std::fs::read_dir(folder.path()).expect("the folder is there").count();
    assert_eq!(left, 0, "something is left in the temporary folder");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_signs_in_by_keyboard_alone() {
    if Tier::Browser.here().is_none() {
        return;
    }
    let demo = Demo::start();
    let profile = tempfile::tempdir().expect("a folder");
    let browser = Browser::open(profile.path()).await;
    browser.visit(&demo.address).await;
    browser.sees("Login to continue").await;
    browser.tab_to("Sign in with Google").await;
    let outline = browser.evaluate("getComputedStyle(document.activeElement).outlineStyle").await;
    assert_ne!(outline, "none", "nobody sees where the focus is");
    browser.picture("login-focus").await;
    browser.press(Key::Enter).await;
    browser.sees("Choose who to be").await;
    browser.tab_to("Ada").await;
    browser.press(Key::Enter).await;
    browser.sees("ada@example.com").await;
    browser.tab_to("Log out").await;
    browser.press(Key::Enter).await;
    browser.sees("Login to continue").await;
    browser.close().await;
}

#[test]
fn the_demo_refuses_to_be_reached_from_elsewhere() {
    let folder = tempfile::tempdir().expect("a folder");
    for listen in ["0.0.0.0:0", "[::]:0", "192.0.2.1:80", "example.com:3000"] {
        let ran = binary::run(binary::command(folder.path()).args(["demo", "--listen", listen]));
        assert_eq!(ran.code, 2, "{listen}: {ran:#?}");
        assert!(ran.stderr.contains("loopback"), "{ran:#?}");
    }
}
