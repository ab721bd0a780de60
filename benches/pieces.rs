//! What the pieces of an answer cost, each alone: `cargo bench --bench pieces`.
//!
//! The store is a file of SQLite with one person in it, so that what is measured is the way and not the database.

use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use divan::Bencher;
use doorward::clock::{Clock, SystemClock};
use doorward::config::Config;
use doorward::config::database::{Database, Place};
use doorward::config::public_url::PublicUrl;
use doorward::credential::Plain;
use doorward::login::pending::PendingLogin;
use doorward::model::{Scope, UserId};
use doorward::names::Names;
use doorward::pages::samples;
use doorward::random::{self, OsRandom, Random};
use doorward::store::{self, Key};
use doorward::web::FrontDoor;
use doorward::web::app::App;
use doorward::web::guard::visitor;
use http::{HeaderMap, HeaderValue};
use poem::{Endpoint, Request};
use rusqlite::{Connection, params};
use tempfile::TempDir;
use tokio::runtime::Runtime;

fn main() {
    divan::main();
}

/// A house with one person in it, who has a session and a token.
struct House {
    runtime: Runtime,
    app: Arc<App>,
    cookie: HeaderValue,
    bearer: HeaderValue,
    _folder: TempDir,
}

impl House {
    fn new() -> Self {
        let runtime = Runtime::new().expect("a runtime");
        let folder = TempDir::new().expect("a folder");
        let place = Place::Sqlite(folder.path().join("doorward.db"));
        let config = Config {
            public_url: PublicUrl::parse("http://localhost:3000").expect("an address"),
            database: Database { place, ..Database::default() },
            ..Config::default()
        };
        let (app, handle, token) = runtime.block_on(async {
            let (clock, random) = (Arc::new(SystemClock), Arc::new(OsRandom));
            let store = store::open(&config.database, Names::from_system(), Arc::clone(&clock) as Arc<dyn Clock>);
            store.prepare(None).await.expect("a file");
            let handle = move_in(&folder.path().join("doorward.db"), clock.now().unix()).expect("tables of ours");
            let app = App::new(&config, store, clock, random, Names::from_system()).expect("no provider");
            let life = Duration::from_secs(3600);
            let created = app.tokens.create(UserId::new("1101"), "of bench".to_owned(), Scope::Me, life).await;
            (Arc::new(app), handle, created.expect("a token").0)
        });
        let header = |text: String| HeaderValue::try_from(text).expect("ASCII");
        let cookie = header(format!("{}={}", app.cookies.session_name(), handle.reveal()));
        let bearer = header(format!("Bearer {}", token.reveal()));
        Self { runtime, app, cookie, bearer, _folder: folder }
    }

    fn headers(&self, name: &'static str, value: &HeaderValue) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert("host", HeaderValue::from_static("localhost:3000"));
        headers.insert("user-agent", HeaderValue::from_static("curl/8.14.1"));
        headers.insert(name, value.clone());
        headers
    }
}

/// Writes the person and a session straight into the tables: what a sign-in records beside them is no matter here.
fn move_in(file: &Path, now: i64) -> rusqlite::Result<Plain> {
    let conn = Connection::open(file)?;
    let handle = Plain::new(&OsRandom);
    let picture = "https://lh3.googleusercontent.com/a/ada=s96-c";
    conn.execute(
        "insert into users (id, email, name, picture) values ('1101', 'ada@example.com', 'Ada Lovelace', ?1)",
        [picture],
    )?;
    conn.execute(
        "insert into doorward_identities (issuer, subject, user_id, provider, email, email_folded, email_verified, \
         name, picture, created_at, last_login_at) values ('https://accounts.google.com', '1101', '1101', 'google', \
         'ada@example.com', 'ada@example.com', 1, 'Ada Lovelace', ?1, ?2, ?2)",
        params![picture, now],
    )?;
    conn.execute(
        "insert into doorward_sessions (handle, user_id, created_at, last_seen_at, expires_at, address, user_agent) \
         values (?1, '1101', ?2, ?3, ?3, '127.0.0.1', 'curl/8.14.1')",
        params![handle.hashed().as_bytes(), now, now + 86_400],
    )?;
    Ok(handle)
}

/// From the cookie's header to the visitor, the read of the store included.
#[divan::bench]
fn cookie_to_visitor(bencher: Bencher) {
    let house = House::new();
    let headers = house.headers("cookie", &house.cookie);
    bencher.bench_local(|| house.runtime.block_on(visitor::visitor(&house.app, black_box(&headers))));
}

/// The same by an API token.
#[divan::bench]
fn token_to_visitor(bencher: Bencher) {
    let house = House::new();
    let headers = house.headers("authorization", &house.bearer);
    bencher.bench_local(|| house.runtime.block_on(visitor::visitor(&house.app, black_box(&headers))));
}

/// A whole answer of `/api/me`, from the request to its headers and body.
#[divan::bench]
fn answer_of_api_me(bencher: Bencher) {
    let house = House::new();
    let door = FrontDoor::new(Arc::clone(&house.app));
    let request = || {
        let builder = Request::builder().uri("/api/me".parse().expect("a path")).header("host", "localhost:3000");
        builder.header("cookie", house.cookie.clone()).finish()
    };
    bencher.with_inputs(request).bench_local_values(|request| house.runtime.block_on(door.call(request)));
}

/// The same to somebody who is not signed in: everything but the store.
#[divan::bench]
fn answer_of_api_me_to_nobody(bencher: Bencher) {
    let house = House::new();
    let door = FrontDoor::new(Arc::clone(&house.app));
    let request = || {
        let builder = Request::builder().uri("/api/me".parse().expect("a path"));
        builder.header("host", "localhost:3000").finish()
    };
    bencher.with_inputs(request).bench_local_values(|request| house.runtime.block_on(door.call(request)));
}

/// Every page with every sample, as HTML.
#[divan::bench]
fn pages(bencher: Bencher) {
    let house = House::new();
    bencher.bench_local(|| samples::all(black_box(&house.app.pages)));
}

/// Whether a text can be a token at all.
#[divan::bench]
fn token_form(bencher: Bencher) {
    let house = House::new();
    let token = house.bearer.to_str().expect("ASCII").trim_start_matches("Bearer ").to_owned();
    bencher.bench_local(|| doorward::tokens::is_well_formed(black_box(&token)));
}

/// A pending login goes into a cookie and comes back.
#[divan::bench]
fn pending_login_sealed_and_opened(bencher: Bencher) {
    let random = OsRandom;
    let keys = [Key { id: 1, secret: random::bytes::<32>(&random as &dyn Random), created_at: SystemClock.now() }];
    let pending = PendingLogin::begin(&random, [7; 16], SystemClock.now(), Some("/reports?of=today".to_owned()));
    bencher.bench_local(|| {
        let sealed = pending.seal(&keys, &random).expect("a key");
        PendingLogin::open(black_box(&sealed), &keys).expect("its own")
    });
}
