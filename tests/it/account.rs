//! `/account`: a person sees where they are signed in and which tokens they have, ends what they no longer want, takes
//! their data with them. Every change is a form of the page itself.

use std::time::Duration;

use doorward::pages::browser::browser;
use doorward::pages::moment::Moment;
use reqwest::Method;
use serde_json::json;

use crate::markup::{Element, elements};
use crate::site::browser::Browser;
use crate::site::demo::Demo;
use crate::site::instance::Site;
use crate::site::place::Place;
use crate::site::tiers::Tier;
use crate::site::visitors::{Answer, SignedIn, TokenHolder, Visitor};

async fn account(visitor: &impl Visitor) -> Answer {
    let page = visitor.visit("/account").await;
    assert_eq!(page.status, 200, "{page:#?}");
    page
}

/// The values of the page's buttons of this name, in their order.
fn buttons(page: &Answer, name: &str) -> Vec<String> {
    let elements = elements(&page.body).expect("well formed");
    let is_named = |element: &&Element| element.name == "button" && element.attribute("name") == Some(name);
    elements.iter().filter(is_named).filter_map(|button| button.attribute("value")).map(str::to_owned).collect()
}

async fn is_in(visitor: &SignedIn) -> bool {
    visitor.get("/api/me").await.status == 200
}

#[tokio::test]
async fn who_is_not_signed_in_signs_in_and_comes_back() {
    let site = Site::start().await;
    let browser = site.anonymous();
    let page = browser.visit("/account").await;
    assert!(page.body.contains("Login to continue"), "{}", page.body);
    let elements = elements(&page.body).expect("well formed");
    let link = elements.iter().filter_map(|element| element.attribute("href")).find(|href| href.contains("/login?"));
    let request = browser.visit(&link.expect("a button").replace("&amp;", "&")).await.location();
    let callback = site.authorize(&browser, &request, "ada").await;
    assert_eq!(browser.visit(callback.as_str()).await.location().path(), "/account");
}

#[tokio::test]
async fn a_person_ends_one_session_the_others_or_all() {
    for place in Place::all() {
        let Some(site) = Site::on(place).await else { continue };
        let (ada, grace) = (site.sign_in("ada").await, site.sign_in("grace").await);
        let others = [site.sign_in("ada").await, site.sign_in("ada").await, site.sign_in("ada").await];
        let page = account(&ada).await;
        assert_eq!(page.body.matches("This browser").count(), 1, "{}", page.body);
        let ids: Vec<_> = buttons(&page, "end").into_iter().filter(|id| id.len() == 16).collect();
        assert_eq!(ids.len(), 4, "{place:?}: {ids:?}");
        let page_of_other = account(&others[0]).await;
        let first_other = ids.iter().find(|id| is_current(&page_of_other, id)).expect("its own page marks it");
        assert!(!is_current(&page, first_other), "each page marks the browser that shows it");
        let answer = grace.submit("/account/sessions", &[("end", first_other)]).await;
        assert_eq!((answer.status, is_in(&others[0]).await), (303, true), "{place:?}: somebody else's stays");
        let answer = ada.submit("/account/sessions", &[("end", first_other)]).await;
        assert_eq!(answer.location().path(), "/account");
        assert!(ada.visit(answer.location().as_str()).await.body.contains("The session has ended."));
        assert!(!is_in(&others[0]).await && is_in(&others[1]).await && is_in(&ada).await, "{place:?}");
        let answer = ada.submit("/account/sessions", &[("end", "others")]).await;
        assert!(ada.visit(answer.location().as_str()).await.body.contains("other sessions have ended"));
        assert!(!is_in(&others[1]).await && !is_in(&others[2]).await && is_in(&ada).await, "{place:?}");
        let again = site.sign_in("ada").await;
        let answer = ada.submit("/account/sessions", &[("end", "all")]).await;
        assert_eq!((answer.status, answer.location().path()), (303, "/"), "{place:?}");
        assert!(!is_in(&ada).await && !is_in(&again).await && is_in(&grace).await, "{place:?}");
        assert_eq!(ada.browser().cookie(&site.session_cookie()), None, "the cookie goes with it");
    }
}

/// Whether the page marks the session `id` as the one that shows it.
fn is_current(page: &Answer, id: &str) -> bool {
    let before = page.body.split(&format!("value=\"{id}\"")).next().unwrap_or_default();
    before.rsplit("<li").next().is_some_and(|row| row.contains("This browser"))
}

#[tokio::test]
async fn a_person_makes_a_token_sees_it_once_and_revokes_it() {
    for place in Place::all() {
        let Some(site) = Site::on(place).await else { continue };
        let ada = site.sign_in("ada").await;
        assert!(account(&ada).await.body.contains("You have none."));
        let fields = [("name", "Backup <b>script</b>"), ("scope", "account"), ("days", "30")];
        let made = ada.submit("/account/tokens", &fields).await;
        assert_eq!((made.status, made.header("cache-control")), (200, "no-store"), "{place:?}: {made:#?}");
        let value = made.body.split("dw_pat_").nth(1).and_then(|rest| rest.get(..49)).expect("the token itself");
        let value = format!("dw_pat_{value}");
        let line = format!("curl -H &quot;Authorization: Bearer {value}&quot; {}/api/me", site.url);
        assert!(made.body.replace('"', "&quot;").contains(&line), "{place:?}: {}", made.body);
        let token = TokenHolder::at(&site.url, &value);
        assert_eq!(token.get("/api/sessions").await.status, 200, "{place:?}: as wide as was asked for");
        let page = account(&ada).await;
        assert!(!page.body.contains(&value), "{place:?}: it is shown once");
        assert!(page.body.contains(&format!("dw_pat_…{}", &value[value.len() - 4..])), "{}", page.body);
        assert!(page.body.contains("Backup &lt;b&gt;script&lt;/b&gt;"), "{}", page.body);
        let id = buttons(&page, "revoke").first().expect("a button").clone();
        let grace = site.sign_in("grace").await;
        grace.submit("/account/tokens", &[("revoke", &id)]).await;
        assert_eq!(token.get("/api/me").await.status, 200, "{place:?}: somebody else's");
        let answer = ada.submit("/account/tokens", &[("revoke", &id)]).await;
        assert!(ada.visit(answer.location().as_str()).await.body.contains("The token is revoked"));
        assert_eq!(token.get("/api/me").await.status, 401, "{place:?}");
        let others = [site.token_holder("ada").await, site.token_holder("ada").await];
        ada.submit("/account/tokens", &[("revoke", "all")]).await;
        for other in &others {
            assert_eq!(other.get("/api/me").await.status, 401, "{place:?}");
        }
    }
}

#[tokio::test]
async fn a_browser_left_open_makes_no_token() {
    let site = Site::start().await;
    let ada = site.sign_in("ada").await;
    site.clock.advance(Duration::from_secs(601));
    let page = account(&ada).await;
    assert!(page.body.contains("/login?rd=/account&amp;prompt=login"), "{}", page.body);
    assert!(!page.body.contains("name=\"days\""), "the form is not shown: {}", page.body);
    let answer = ada.submit("/account/tokens", &[("name", "late")]).await;
    assert_eq!(answer.status, 403, "{answer:#?}");
    assert!(answer.body.contains("Please sign in again"), "{}", answer.body);
    assert!(site.tokens().list(None, 1).await.expect("a list").is_empty());
}

#[tokio::test]
async fn what_cannot_be_a_token_is_said_on_the_page() {
    let site = Site::start().await;
    let ada = site.sign_in("ada").await;
    for (fields, words) in [
        (&[("name", "  ")][..], "Give the token a name"),
        (&[("name", "a\u{7}")], "Give the token a name"),
        (&[("name", "x"), ("days", "367")], "1 to 366 days"),
        (&[("name", "x"), ("days", "0")], "1 to 366 days"),
    ] {
        let answer = ada.submit("/account/tokens", fields).await;
        assert_eq!(answer.status, 400, "{answer:#?}");
        assert!(answer.body.contains(words), "{fields:?}: {}", answer.body);
    }
    for fields in [&[("name", "x"), ("scope", "admin")][..], &[("name", "x"), ("days", "-1")]] {
        assert_eq!(ada.submit("/account/tokens", fields).await.status, 400, "{fields:?}");
    }
    assert!(site.tokens().list(None, 1).await.expect("a list").is_empty());
}

#[tokio::test]
async fn the_download_holds_what_is_kept_and_no_credential() {
    let site = Site::start().await;
    let ada = site.sign_in("ada").await;
    let value = site.token_of("ada").await;
    let handle = ada.browser().cookie(&site.session_cookie()).expect("a session");
    let answer = ada.visit("/account/download").await;
    assert_eq!(answer.header("content-disposition"), "attachment; filename=\"my-account.json\"");
    let data = answer.json();
    assert_eq!(data["account"]["email"], json!("ada@example.com"));
    assert_eq!(data["account"]["subject"], json!("ada"));
    assert_eq!(data["sessions"].as_array().expect("an array").len(), 2);
    assert_eq!(data["tokens"][0]["name"], json!("of tests"));
    assert!(!answer.body.contains(&value) && !answer.body.contains(&handle), "{}", answer.body);
    let token = TokenHolder::at(&site.url, &value);
    assert_eq!(token.get("/account/download").await.status, 401, "pages know no tokens");
}

#[tokio::test]
async fn a_person_sees_what_happened_lately_and_takes_it_along() {
    for place in [Place::Sqlite, Place::MariaDb] {
        let Some(site) = Site::on(place).await else { continue };
        let (ada, grace) = (site.sign_in("ada").await, site.sign_in("grace").await);
        site.sign_in("ada").await;
        ada.submit("/account/tokens", &[("name", "x")]).await;
        ada.submit("/account/tokens", &[("revoke", "all")]).await;
        ada.submit("/account/sessions", &[("end", "others")]).await;
        let page = account(&ada).await;
        for words in ["You signed in", "A token was made", "A token was revoked", "A session was ended"] {
            assert!(page.body.contains(words), "{place:?}: {words} in {}", page.body);
        }
        let page = account(&grace).await;
        assert!(!page.body.contains("A token was made"), "{place:?}: somebody else's");
        let data = ada.visit("/account/download").await.json();
        let kinds: Vec<_> = data["events"].as_array().expect("an array").iter().map(|event| &event["event"]).collect();
        assert_eq!(kinds, ["session_revoked", "token_revoked", "token_created", "login", "login"], "{place:?}");
    }
}

#[tokio::test]
async fn a_deleted_account_leaves_nothing_of_ours_and_a_nameless_row() {
    for place in Place::all() {
        let Some(site) = Site::on(place).await else { continue };
        let (ada, other, grace) = (site.sign_in("ada").await, site.sign_in("ada").await, site.sign_in("grace").await);
        let token = site.token_holder("ada").await;
        let question = ada.visit("/account/delete").await;
        assert!(question.body.contains("without your email, name and picture"), "{}", question.body);
        assert!(is_in(&ada).await, "{place:?}: asking deletes nothing");
        let done = ada.submit("/account/delete", &[]).await;
        assert!(done.body.contains("Your account is deleted"), "{place:?}: {}", done.body);
        assert_eq!(ada.browser().cookie(&site.session_cookie()), None, "{place:?}");
        assert!(!is_in(&other).await && is_in(&grace).await, "{place:?}");
        assert_eq!(token.get("/api/me").await.status, 401, "{place:?}");
        assert_eq!(site.tokens().list(None, 5).await.expect("a list").len(), 0, "{place:?}");
        // The row is found under its number, and says nothing more.
        let nameless = "update users set name = 'x' where id = 'ada' and email <> 'ada@example.com' and name is null";
        assert_eq!(site.database.execute(nameless).await, 1, "{place:?}");
        let again = site.sign_in("ada").await;
        let data = again.visit("/account/download").await.json();
        assert_eq!(data["account"]["created_at"], json!(site.now()), "{place:?}: a new account");
        assert_eq!(data["sessions"].as_array().map(Vec::len), Some(1), "{place:?}");
    }
}

#[tokio::test]
async fn an_account_is_deleted_only_by_its_person_and_soon_after_a_sign_in() {
    let site = Site::start().await;
    let ada = site.sign_in("ada").await;
    let foreign = ada.ask(Method::POST, "/account/delete", crate::site::visitors::CROSS_SITE).await;
    assert_eq!((foreign.status, is_in(&ada).await), (403, true));
    let token = site.token_holder("ada").await;
    assert_eq!(token.ask(Method::POST, "/account/delete", crate::site::visitors::SAME_ORIGIN).await.status, 401);
    site.clock.advance(Duration::from_secs(601));
    let question = ada.visit("/account/delete").await;
    assert!(question.body.contains("Sign in again") && !question.body.contains("<form"), "{}", question.body);
    let late = ada.submit("/account/delete", &[]).await;
    assert_eq!((late.status, is_in(&ada).await), (403, true), "{late:#?}");
}

#[tokio::test]
async fn what_the_site_ties_to_a_row_keeps_all_of_the_account() {
    use doorward::config::users::OnDelete;
    let Some(site) = Site::on_with(Place::MariaDb, |config| config.users.on_delete = OnDelete::Delete).await else {
        return;
    };
    let ada = site.sign_in("ada").await;
    let table = "create table posts (id int primary key, author varchar(255) character set utf8mb4 collate utf8mb4_bin, \
                 foreign key (author) references users (id)) engine = InnoDB";
    site.database.execute(table).await;
    site.database.execute("insert into posts values (1, 'ada')").await;
    let token = site.token_holder("ada").await;
    let held = ada.submit("/account/delete", &[]).await;
    assert_eq!(held.status, 409, "{held:#?}");
    assert!(held.body.contains("nothing was changed"), "{}", held.body);
    assert!(is_in(&ada).await, "nothing is half done");
    assert_eq!(token.get("/api/me").await.status, 200);
    site.database.execute("delete from posts").await;
    assert_eq!(ada.submit("/account/delete", &[]).await.status, 200);
    assert_eq!(site.database.execute("delete from users where id = 'ada'").await, 0, "the row is gone");
}

#[tokio::test]
async fn nothing_is_changed_by_looking() {
    let site = Site::start().await;
    let ada = site.sign_in("ada").await;
    for door in ["/account/sessions?end=all", "/account/tokens?name=x"] {
        assert_eq!(ada.visit(door).await.status, 405, "{door}");
        assert_eq!(ada.ask(Method::HEAD, door, &[]).await.status, 405, "{door}");
    }
    assert!(is_in(&ada).await);
    let page = ada.visit("/account?done=%3Cscript%3E").await;
    assert!(!page.body.contains("<script"), "{}", page.body);
}

#[test]
fn browsers_are_called_what_people_call_them() {
    let safari = "AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.6";
    for (user_agent, words) in [
        ("Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:142.0) Gecko/20100101 Firefox/142.0", "Firefox on Windows"),
        (
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 \
             Safari/537.36 Edg/140.0.0.0",
            "Edge on Windows",
        ),
        (
            "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Mobile \
             Safari/537.36",
            "Chrome on Android",
        ),
        (
            "Mozilla/5.0 (Linux; Android 13; SM-S918B) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/28.0 \
             Chrome/130.0.0.0 Mobile Safari/537.36",
            "Samsung Internet on Android",
        ),
        (
            "Mozilla/5.0 (Linux; Android 10; K; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 \
             Chrome/140.0.0.0 Mobile Safari/537.36",
            "Chrome on Android",
        ),
        (&format!("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) {safari} Safari/605.1.15"), "Safari on macOS"),
        (
            &format!("Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) {safari} Mobile/15E148 Safari/604.1"),
            "Safari on iPhone",
        ),
        (
            "Mozilla/5.0 (iPad; CPU OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/140.0.0.0 \
             Mobile/15E148 Safari/604.1",
            "Chrome on iPad",
        ),
        (
            "Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 \
             Safari/537.36",
            "Chrome on ChromeOS",
        ),
        (
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36 \
             OPR/124.0.0.0",
            "Opera on Linux",
        ),
        ("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/605.1.15 (KHTML, like Gecko)", "Unknown browser on Linux"),
        ("curl/8.14.1", "curl"),
        ("", "Unknown browser"),
        ("<b>🦊</b>", "Unknown browser"),
    ] {
        assert_eq!(browser(user_agent), words, "{user_agent}");
    }
}

#[test]
fn moments_are_spoken_of_as_people_do() {
    use doorward::clock::Timestamp;
    let now = Timestamp::from_unix(1_795_597_200);
    let at = |seconds: i64| Moment::new(Timestamp::from_unix(1_795_597_200 + seconds), now).words;
    let (hour, day) = (3600, 86_400);
    for (seconds, words) in [
        (0, "just now"),
        (-59, "just now"),
        (-60, "1 minute ago"),
        (-hour + 1, "59 minutes ago"),
        (-hour, "1 hour ago"),
        (-day, "1 day ago"),
        (-44 * day, "44 days ago"),
        (-45 * day, "11 October 2026"),
        (30, "in less than a minute"),
        (90 * 60, "in 1 hour"),
        (7 * day, "in 7 days"),
        (90 * day, "23 February 2027"),
    ] {
        assert_eq!(at(seconds), words, "{seconds}");
    }
}

// A browser that a failed test leaves is closed from another thread.
#[tokio::test(flavor = "multi_thread")]
async fn a_person_looks_after_their_account_in_a_real_browser() {
    if Tier::Browser.here().is_none() {
        return;
    }
    let demo = Demo::start();
    let (first, second) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let (browser, other) = (Browser::open(first.path()).await, Browser::open(second.path()).await);
    demo.sign_in(&browser, "Ada").await;
    demo.sign_in(&other, "Ada").await;
    browser.click("Your account").await;
    browser.sees("This browser").await;
    let text = browser.text().await;
    assert_eq!(text.matches("signed in just now").count(), 2, "{text}");
    browser.click("End all others").await;
    browser.sees("All your other sessions have ended.").await;
    other.reload().await;
    other.sees("Login to continue").await;

    browser.type_into("name", "A script of mine").await;
    browser.click("Make the token").await;
    browser.sees("it is shown this once").await;
    let line = browser.evaluate("[...document.querySelectorAll('pre')].at(-1).innerText").await;
    let line = line.as_str().expect("the curl line").to_owned();
    let ran = std::process::Command::new("sh").arg("-c").arg(format!("{line} --silent")).output();
    let ran = String::from_utf8(ran.expect("a shell").stdout).expect("UTF-8");
    assert!(ran.contains("\"via\":\"token\""), "{line}: {ran}");
    browser.click("Back to your profile").await;
    browser.click("Your account").await;
    browser.sees("A script of mine").await;
    assert_eq!(browser.complaints().await, Vec::<String>::new());
    browser.click("Log out everywhere").await;
    browser.sees("Login to continue").await;

    // Whoever comes back and deletes the account is a stranger afterwards, in every browser.
    demo.sign_in(&browser, "Ada").await;
    demo.sign_in(&other, "Ada").await;
    browser.click("Your account").await;
    browser.sees("A token was made").await;
    browser.click("Delete my account").await;
    browser.sees("It cannot be undone").await;
    browser.click("Delete my account").await;
    browser.sees("Your account is deleted").await;
    browser.back().await;
    assert!(!browser.text().await.contains("Delete my account"), "the way back shows nothing any more");
    other.reload().await;
    other.sees("Login to continue").await;
    other.close().await;
    browser.close().await;
}
