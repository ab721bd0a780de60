//! Somebody who is not let in, in a real browser: they read which account it was, choose another, and are in.

use std::sync::Arc;

use doorward::clock::SystemClock;
use doorward::demo::Provider;
use doorward::random::OsRandom;

use crate::site::binary::Binary;
use crate::site::browser::Browser;
use crate::site::program::free_port;
use crate::site::tiers::Tier;

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_not_let_in_chooses_another_account_and_is_in() {
    if Tier::Browser.here().is_none() {
        return;
    }
    let port = free_port();
    let redirect_uri = format!("http://localhost:{port}/login/callback");
    let secret = "of the pretend provider";
    let provider = Provider::start(Arc::new(SystemClock), Arc::new(OsRandom), &redirect_uri, "the-site", secret);
    let provider = provider.expect("a provider on loopback");
    let site = Binary::serve_on(
        port,
        &format!(
            "[providers.pretend]\nissuer = {:?}\nclient_id = \"the-site\"\nclient_secret = {secret:?}\n\
             algorithms = [\"ES256\"]\n[access]\nblocked = [\"ada@example.com\"]\n",
            provider.issuer()
        ),
    );
    let profile = tempfile::tempdir().expect("a folder");
    let browser = Browser::open(profile.path()).await;
    browser.visit(&site.public_url).await;
    browser.click("Sign in with").await;
    browser.sees("Choose who to be").await;
    browser.click("Ada").await;
    browser.sees("This account is not let in").await;
    browser.sees("ada@example.com").await;
    browser.click("Use another account").await;
    browser.sees("Choose who to be").await;
    assert!(browser.address().await.contains("prompt=select_account"), "{}", browser.address().await);
    browser.click("Grace").await;
    browser.sees("Log out").await;
    browser.sees("grace@example.com").await;

    // The operator looks why, and then keeps her out too: the page that is open finds nobody signed in any more.
    let explained = site.run(&["access", "explain", "--email", "ada@example.com"]);
    let words = "ada@example.com is listed in access.blocked";
    assert!(explained.stdout.contains(words), "{explained:#?}");
    assert!(site.program.said().contains(words), "the log has other words: {}", site.program.said());
    let events = site.run(&["audit", "--event", "refusal"]);
    assert!(events.stdout.contains(words), "{events:#?}");
    assert_eq!(site.run(&["users", "block", "grace@example.com"]).code, 0);
    browser.reload().await;
    browser.sees("Login to continue").await;
    browser.close().await;
}
