//! A database that cannot be reached, is slow, or has no room: what somebody who is signed in sees meanwhile, and that
//! they still are afterwards.

use std::time::{Duration, Instant};

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Opts};
use reqwest::Method;
use tokio::task::JoinSet;

use crate::site::databases::Server;
use crate::site::instance::Site;
use crate::site::kernel::Network;
use crate::site::place::Kept;
use crate::site::program::{PATIENCE, PAUSE};
use crate::site::visitors::{Anonymous, Answer, SignedIn, TYPED, Visitor};

/// How long an answer may take whose question nobody answers: 1.4 seconds, and what a busy machine adds.
const TOLD: Duration = Duration::from_secs(4);

/// Everybody who is signed in is told to come again, in time and with their cookie; what needs no database works.
async fn is_told_in_time(site: &Site, person: &SignedIn) {
    let cookies = person.browser().cookies();
    let mut asking = JoinSet::new();
    for path in ["/api/me", "/", "/gate", "/api/sessions", "/api/me", "/", "/gate", "/api/sessions"] {
        let browser = person.browser().also_at(&site.url);
        asking.spawn(async move {
            let since = Instant::now();
            let answer = browser.ask(Method::GET, path, if path == "/" { TYPED } else { &[] }).await;
            assert_eq!(answer.status, 503, "{path}: {answer:#?}");
            assert!(!answer.header("retry-after").is_empty(), "{path}: {answer:#?}");
            assert!(answer.set_cookies().is_empty(), "{path}: an outage costs the cookie: {answer:#?}");
            assert!(since.elapsed() < TOLD, "{path}: told after {:?}", since.elapsed());
        });
    }
    while let Some(asked) = asking.join_next().await {
        asked.expect("an answer");
    }
    assert_eq!(person.browser().cookies(), cookies);
    let nobody = site.anonymous();
    assert_eq!(nobody.get("/healthz").await.status, 200);
    assert_eq!(nobody.visit("/").await.status, 200, "whoever brings no cookie needs no database");
    assert_eq!(nobody.get("/readyz").await.status, 503);
}

#[tokio::test(flavor = "multi_thread")]
async fn packets_that_vanish_in_the_kernel_are_not_waited_for() {
    let Some(network) = Network::lay() else { return };
    let Some(server) = Server::start_behind(&network) else { return };
    let site = Site::over(Kept::at(&server.url()).await).await;
    let ada = site.sign_in("ada").await;
    network.swallow();
    // First those connections fail that are open, then there is none, and none comes about.
    for _ in 0..2 {
        is_told_in_time(&site, &ada).await;
    }
    network.deliver();
    site.until_status(ada.browser(), "/api/me", 200).await;
    site.sign_in("grace").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_silent_from_the_first_byte_is_told_in_time() {
    let Some((site, line)) = Site::behind_a_line().await else { return };
    let ada = site.sign_in("ada").await;
    line.cut();
    site.until_status(ada.browser(), "/api/me", 503).await;
    line.freeze();
    line.mend();
    for _ in 0..2 {
        is_told_in_time(&site, &ada).await;
    }
    line.thaw();
    site.until_status(ada.browser(), "/api/me", 200).await;
    site.sign_in("grace").await;
}

/// How often a second these people hear who they are, eight of them at a time.
async fn rate(site: &Site, person: &SignedIn) -> usize {
    let mut asking = JoinSet::new();
    let end = Instant::now() + Duration::from_secs(1);
    for _ in 0..8 {
        let browser = person.browser().also_at(&site.url);
        asking.spawn(async move {
            let mut heard = 0;
            while Instant::now() < end {
                heard += usize::from(browser.get("/api/me").await.status == 200);
            }
            heard
        });
    }
    asking.join_all().await.into_iter().sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_database_costs_patience_and_leaves_no_queue_behind() {
    let Some((site, line)) = Site::behind_a_line().await else { return };
    let ada = site.sign_in("ada").await;
    let before = rate(&site, &ada).await;
    line.slow(50..2000);
    let mut asking = JoinSet::new();
    for _ in 0..100 {
        let browser = ada.browser().also_at(&site.url);
        asking.spawn(async move {
            let since = Instant::now();
            let answer = browser.get("/api/me").await;
            assert!(since.elapsed() < TOLD, "answered after {:?}", since.elapsed());
            let is_told = answer.status == 503 && !answer.header("retry-after").is_empty();
            assert!(is_told || answer.status == 200, "{answer:#?}");
            assert!(answer.set_cookies().is_empty(), "slowness costs the cookie: {answer:#?}");
            answer.status
        });
        tokio::time::sleep(PAUSE).await;
    }
    // Somebody signs in meanwhile, or is told that it does not go.
    let (statuses, asked) = tokio::join!(asking.join_all(), begin(&site, "grace"));
    assert!(statuses.contains(&503), "two seconds are beyond everybody's patience: {statuses:?}");
    assert!(matches!(asked.status, 303 | 503), "{asked:#?}");
    line.slow(0..0);
    let deadline = Instant::now() + PATIENCE;
    loop {
        let after = rate(&site, &ada).await;
        if after * 2 > before {
            break;
        }
        assert!(Instant::now() < deadline, "{after} answers a second, {before} before it was slow");
    }
    let signed_in = i64::from(asked.status == 303);
    let of_grace = || site.database.count("doorward_sessions where user_id = 'grace'");
    // Nobody was told of a session that is not there; one that was not told of may be.
    assert!(of_grace().await >= signed_in);
}

/// How a sign-in of the person with this subject ends, whatever it is.
pub async fn begin(site: &Site, subject: &str) -> Answer {
    try_with(site, &site.anonymous(), subject).await
}

/// The same in a browser of the test's.
pub async fn try_with(site: &Site, browser: &Anonymous, subject: &str) -> Answer {
    let request = browser.visit("/login").await.location();
    let callback = site.authorize(browser, &request, subject).await;
    browser.visit(callback.as_str()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_room_is_told_as_busy_and_not_stormed() {
    // MariaDB takes no smaller number.
    let Some(server) = Server::start_with(vec!["--max-connections=10".to_owned()]) else { return };
    let kept = Kept::at(&server.url()).await;
    let mut administrator = Conn::new(Opts::from_url(&server.url()).expect("a URL")).await.expect("a connection");
    let name = kept.name().to_owned();
    for statement in [
        "create user doorward@localhost identified by 'd', shop@localhost identified by 's'".to_owned(),
        format!("grant all on {name}.* to doorward@localhost"),
    ] {
        administrator.query_drop(statement).await.expect("accounts");
    }
    let account = server.url().replace("root:", "doorward:d");
    let site = Site::over(Kept::Server { server: account.parse().expect("a URL"), name }).await;
    let ada = site.sign_in("ada").await;

    // The site's own programs take all there is.
    let shop = Opts::from_url(&server.url().replace("root:", "shop:s").replace("/mysql", "/")).expect("a URL");
    let (mut taken, deadline) = (Vec::new(), Instant::now() + PATIENCE);
    loop {
        assert!(Instant::now() < deadline, "there is always room");
        let ours = "select id from information_schema.processlist where user = 'doorward'";
        for id in administrator.query::<u64, _>(ours).await.expect("a list") {
            // It may have ended by itself.
            let _ = administrator.query_drop(format!("kill {id}")).await;
        }
        while let Ok(conn) = Conn::new(shop.clone()).await {
            taken.push(conn);
        }
        let ours: Vec<u64> = administrator.query(ours).await.expect("a list");
        if ours.is_empty() {
            break;
        }
    }
    let status = "show global status like 'Connections'";
    let tried = async |administrator: &mut Conn| -> u64 {
        let row: Option<(String, String)> = administrator.query_first(status).await.expect("a counter");
        row.and_then(|(_, count)| count.parse().ok()).expect("a number")
    };
    let (before, since) = (tried(&mut administrator).await, Instant::now());
    let mut asking = JoinSet::new();
    for _ in 0..8 {
        let browser = ada.browser().also_at(&site.url);
        asking.spawn(async move {
            let mut asked = 0;
            while since.elapsed() < Duration::from_secs(2) {
                let answer = browser.get("/api/me").await;
                assert_eq!(answer.status, 503, "{answer:#?}");
                assert!(!answer.header("retry-after").is_empty(), "{answer:#?}");
                assert!(answer.set_cookies().is_empty(), "{answer:#?}");
                asked += 1;
            }
            asked
        });
    }
    let asked: u64 = asking.join_all().await.into_iter().sum();
    let attempts = tried(&mut administrator).await - before;
    // Four a second, and those that were on their way together when the first was refused.
    let bound = 4 * since.elapsed().as_secs_f64().ceil() as u64 + 10;
    assert!(
        attempts >= 1 && attempts <= bound,
        "{attempts} attempts to connect for {asked} questions, {bound} allowed"
    );
    assert!(asked > 2 * bound, "{asked} questions are no storm");
    drop(taken);
    site.until_status(ada.browser(), "/api/me", 200).await;
    site.sign_in("grace").await;
    administrator.disconnect().await.expect("closed");
}
