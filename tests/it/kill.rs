//! Doorward is killed outright, at the moments of a sign-in that matter and at any moment: what a browser was told is
//! done is there, and nothing is half done.

use std::time::{Duration, Instant};

use doorward::clock::{Clock, SystemClock};
use reqwest::Url;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::site::binary::Binary;
use crate::site::place::{Kept, Place};
use crate::site::program::{PATIENCE, PAUSE, free_port};
use crate::site::provider::wire::Canned;
use crate::site::provider::{CLIENT_SECRET, Door, ScriptedProvider};
use crate::site::visitors::{Anonymous, Visitor};
use crate::site::wire::{Fault, Moment, Wire};

/// The provider in the words of a configuration, telling what time it is.
fn introduced(provider: &ScriptedProvider) -> String {
    "client".clone_into(&mut provider.script().client_id);
    provider.script().now = SystemClock.now().unix();
    format!(
        "[providers.test]\nissuer = {:?}\nclient_id = \"client\"\nclient_secret = {CLIENT_SECRET:?}\n",
        provider.issuer()
    )
}

/// A sign-in that was begun and that the provider agreed to: where it sends the browser.
async fn agreed(site: &Binary, provider: &ScriptedProvider, browser: &Anonymous) -> Url {
    let answer = provider.approve(&browser.visit("login").await.location());
    let mut callback = Url::parse(&site.public_url).expect("an address").join("/login/callback").expect("a path");
    callback.query_pairs_mut().append_pair("code", &answer.code.expect("a code"));
    callback.query_pairs_mut().append_pair("state", &answer.state.expect("a state"));
    callback
}

/// Goes to `callback` on a connection of its own and does not wait for the answer.
async fn send(site: &Binary, browser: &Anonymous, callback: &Url) -> TcpStream {
    let cookies = browser.cookies().into_iter().map(|(name, value)| format!("{name}={value}"));
    let request = format!(
        "GET {}?{} HTTP/1.1\r\nHost: localhost:{}\r\nCookie: {}\r\nAccept: text/html\r\nSec-Fetch-Site: cross-site\r\n\
         Sec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\nConnection: close\r\n\r\n",
        callback.path(),
        callback.query().unwrap_or_default(),
        site.port,
        cookies.collect::<Vec<_>>().join("; "),
    );
    let mut connection = TcpStream::connect(("127.0.0.1", site.port)).await.expect("it listens");
    connection.write_all(request.as_bytes()).await.expect("a request");
    connection
}

/// Kills the process while `connection` waits for an answer that never comes.
async fn kill(site: &mut Binary, mut connection: TcpStream, when: &str) {
    site.program.signal("KILL");
    site.program.wait();
    let mut answer = Vec::new();
    // A connection that is reset says as little as one that is closed.
    let _ = connection.read_to_end(&mut answer).await;
    assert!(answer.is_empty(), "{when}: acknowledged: {}", String::from_utf8_lossy(&answer));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_in_under_which_the_process_is_killed_is_begun_again() {
    let Some(database) = Place::MariaDb.fresh().await else { return };
    let wire = Wire::to(database.address().expect("a server")).await;
    let mut url = Url::parse(&database.url()).expect("a URL");
    url.set_port(Some(wire.address.port())).expect("a port");
    let provider = ScriptedProvider::start().await;
    let config = format!("{}[database]\nurl = {:?}\n", introduced(&provider), url.as_str());
    let mut site = Binary::serve_on(free_port(), &config);
    let all = "select concat_ws(' ', (select count(*) from users), (select count(*) from doorward_identities), \
               (select count(*) from doorward_sessions))";
    let counts = async || value(&database, all).await;

    let browser = Anonymous::at(&site.public_url);
    let callback = agreed(&site, &provider, &browser).await;
    provider.script().answer(Door::Token, Canned::status(500).after(Duration::from_secs(600)));
    let connection = send(&site, &browser, &callback).await;
    while provider.hits(Door::Token) == 0 {
        tokio::time::sleep(PAUSE).await;
    }
    kill(&mut site, connection, "at the provider").await;
    provider.script().canned.clear();
    assert_eq!(counts().await, "0 0 0");
    site.start_again();

    for moment in
        ["start transaction", "insert into doorward_identities", "insert into doorward_sessions", crate::outage::COMMIT]
    {
        let browser = Anonymous::at(&site.public_url);
        let callback = agreed(&site, &provider, &browser).await;
        wire.set(Moment::Text(moment), Fault::Freeze);
        let connection = send(&site, &browser, &callback).await;
        let deadline = Instant::now() + PATIENCE;
        while !wire.has_failed() {
            assert!(Instant::now() < deadline, "{moment} does not come:\n{}", site.program.said());
            tokio::time::sleep(PAUSE).await;
        }
        kill(&mut site, connection, moment).await;
        // What was on its way arrives; nobody is there any more to hear what became of it.
        wire.thaw();
        let is_kept = moment == crate::outage::COMMIT;
        let wanted = if is_kept { "1 1 1" } else { "0 0 0" };
        while counts().await != wanted {
            let now = counts().await;
            assert!(matches!(now.as_str(), "0 0 0" | "1 1 1"), "{moment}: half a sign-in: {now}");
            assert!(Instant::now() < deadline, "{moment}: {now} in place of {wanted}");
            tokio::time::sleep(PAUSE).await;
        }
        site.start_again();
        assert_eq!(browser.get("api/me").await.status, 401, "{moment}");
        // The browser comes back with what it has, and is told to begin again, or finds that it may go on.
        let again = agreed(&site, &provider, &browser).await;
        assert_eq!(browser.visit(again.as_str()).await.status, 303, "{moment}");
        assert_eq!(browser.get("api/me").await.status, 200, "{moment}");
        let sessions = if is_kept { 2 } else { 1 };
        assert_eq!(counts().await, format!("1 1 {sessions}"), "{moment}");
        for table in ["doorward_sessions", "doorward_identities", "users"] {
            database.execute(&format!("delete from {table}")).await;
        }
        // The next statements are prepared anew, by their text.
        site.program.terminate();
        site.start_again();
    }
}

async fn value(database: &Kept, statement: &str) -> String {
    use mysql_async::prelude::Queryable;
    let opts = mysql_async::Opts::from_url(&database.url()).expect("a URL");
    let mut conn = mysql_async::Conn::new(opts).await.expect("the server");
    let value = conn.query_first(statement).await.expect("a value");
    conn.disconnect().await.expect("closed");
    value.expect("one row")
}

mod long {
    use std::collections::HashMap;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::sync::{Arc, Mutex};

    use reqwest::header::{COOKIE, LOCATION, SET_COOKIE};
    use reqwest::{Client, Response};

    use super::*;
    use crate::site::provider::person;
    use crate::site::tiers::Tier;
    use crate::site::visitors::{TYPED, client};

    /// How often each kind of database sees the process die.
    const KILLS: u32 = 100;

    /// How many sign in and out all the time.
    const PEOPLE: u32 = 4;

    /// What browsers were told, by the cookie that they were given: `true` for signed in, `false` for signed out. Nothing
    /// stands here of whom nobody told anything.
    type Told = Arc<Mutex<HashMap<String, bool>>>;

    async fn visit(client: &Client, url: &str, cookie: &str) -> reqwest::Result<Response> {
        let mut request = client.get(url).header(COOKIE, cookie);
        for (name, value) in TYPED {
            request = request.header(*name, *value);
        }
        request.send().await
    }

    fn set_cookie(answer: &Response) -> Option<String> {
        let cookies = answer.headers().get_all(SET_COOKIE).iter().filter_map(|value| value.to_str().ok());
        let mut pairs =
            cookies.filter(|cookie| !cookie.contains("Max-Age=0")).filter_map(|cookie| cookie.split(';').next());
        pairs.next().map(str::to_owned)
    }

    /// Signs in. The cookie, where a whole answer brought one.
    async fn sign_in(client: &Client, base: &str, provider: &ScriptedProvider, subject: &str) -> Option<String> {
        let begun = visit(client, &format!("{base}/login"), "").await.ok()?;
        let pending = set_cookie(&begun)?;
        let request = Url::parse(begun.headers().get(LOCATION)?.to_str().ok()?).ok()?;
        let answer = {
            provider.script().person = person(subject, &format!("{subject}@example.com"), subject);
            provider.script().now = SystemClock.now().unix();
            provider.approve(&request)
        };
        let (code, state) = (answer.code?, answer.state?);
        let back = visit(client, &format!("{base}/login/callback?code={code}&state={state}"), &pending).await.ok()?;
        let is_done = back.status() == 303;
        set_cookie(&back).filter(|_| is_done)
    }

    async fn come_and_go(base: String, provider: Arc<ScriptedProvider>, told: Told, number: Arc<AtomicU32>) {
        let client = client();
        loop {
            let number = number.fetch_add(1, Ordering::Relaxed);
            let Some(cookie) = sign_in(&client, &base, &provider, &format!("person-{number}")).await else {
                // Nobody is there just now.
                tokio::time::sleep(PAUSE).await;
                continue;
            };
            told.lock().expect("no panic").insert(cookie.clone(), true);
            if number.is_multiple_of(3) {
                // From the question on nobody knows, until there is an answer.
                told.lock().expect("no panic").remove(&cookie);
                let left = visit(&client, &format!("{base}/logout"), &cookie).await;
                if left.is_ok_and(|answer| answer.status() == 303) {
                    told.lock().expect("no panic").insert(cookie, false);
                }
            }
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn whatever_was_confirmed_outlives_two_hundred_kills_under_load() {
        if Tier::Long.here().is_none() {
            return;
        }
        for place in [Place::Sqlite, Place::MariaDb] {
            let Some(database) = place.fresh().await else { continue };
            let provider = Arc::new(ScriptedProvider::start().await);
            let config = format!("{}[database]\nurl = {:?}\n", introduced(&provider), database.url());
            let mut site = Binary::serve_on(free_port(), &config);
            let (told, number) = (Told::default(), Arc::new(AtomicU32::new(0)));
            let people: Vec<_> = (0..PEOPLE)
                .map(|_| {
                    let (base, provider) = (site.public_url.clone(), Arc::clone(&provider));
                    tokio::spawn(come_and_go(base, provider, Arc::clone(&told), Arc::clone(&number)))
                })
                .collect();
            let since = Instant::now();
            for kill in 0..KILLS {
                let chance = u64::from(doorward::random::bytes::<1>(&doorward::random::OsRandom)[0]);
                // Whenever it may be: this is the fault, and nothing is waited for.
                tokio::time::sleep(Duration::from_millis(20 + 3 * chance)).await;
                site.program.signal("KILL");
                site.program.wait();
                tokio::task::block_in_place(|| site.start_again());
                assert!(site.program.has_ended().is_none(), "{place:?}: it does not come back after kill {kill}");
            }
            people.iter().for_each(tokio::task::JoinHandle::abort);
            for person in people {
                let _ = person.await;
            }
            let told = std::mem::take(&mut *told.lock().expect("no panic"));
            let (mut held, mut ended) = (0, 0);
            let client = client();
            for (cookie, is_in) in &told {
                let me = visit(&client, &format!("{}/api/me", site.public_url), cookie).await.expect("an answer");
                let wanted = if *is_in { 200 } else { 401 };
                assert_eq!(me.status(), wanted, "{place:?}: a browser was told that it is signed in: {is_in}");
                if *is_in { held += 1 } else { ended += 1 }
            }
            assert!(held >= 20 && ended >= 5, "{place:?}: {held} sign-ins and {ended} sign-outs are no load");
            let half = "users where id not in (select user_id from doorward_identities)";
            assert_eq!(database.count(half).await, 0, "{place:?}: half a user");
            #[expect(clippy::print_stderr, reason = "whoever runs it wants to know what it saw")]
            {
                eprintln!(
                    "{place:?}: {KILLS} kills in {} s; {held} sign-ins and {ended} sign-outs were confirmed, none was lost",
                    since.elapsed().as_secs()
                );
            }
        }
    }
}
