//! What the pieces of an answer cost, each alone: `cargo bench --bench pieces`.
//!
//! The store is a file of SQLite with one person in it, so that what is measured is the way and not the database.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use divan::Bencher;
use doorward::clock::{Clock, SystemClock, Timestamp};
use doorward::config::Config;
use doorward::config::database::{Database, Place};
use doorward::config::public_url::PublicUrl;
use doorward::credential::Plain;
use doorward::login::pending::PendingLogin;
use doorward::model::{Identity, Scope, Session, UserId};
use doorward::names::Names;
use doorward::pages::samples;
use doorward::random::{self, OsRandom, Random};
use doorward::store::{self, Key, SharedStore, SignIn};
use doorward::web::FrontDoor;
use doorward::web::app::App;
use doorward::web::guard::visitor;
use http::{HeaderMap, HeaderValue};
use poem::{Endpoint, Request};
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
            let handle = sign_in(&store, clock.now()).await;
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

async fn sign_in(store: &SharedStore, now: Timestamp) -> Plain {
    let handle = Plain::new(&OsRandom);
    let identity = Identity {
        provider: "google".to_owned(),
        issuer: "https://accounts.google.com".to_owned(),
        subject: "1101".to_owned(),
        email: "ada@example.com".to_owned(),
        email_verified: true,
        name: Some("Ada Lovelace".to_owned()),
        picture: Some("https://lh3.googleusercontent.com/a/ada=s96-c".to_owned()),
        hosted_domain: None,
    };
    let session = Session {
        handle: handle.hashed(),
        user_id: UserId::new("1101"),
        created_at: now,
        last_seen_at: now + Duration::from_secs(3600),
        expires_at: now + Duration::from_secs(86_400),
        address: "127.0.0.1".to_owned(),
        user_agent: "curl/8.14.1".to_owned(),
    };
    store
        .sign_in(&SignIn { identity, session, previous: None, most_sessions: 50 })
        .await
        .expect("a file that takes it");
    handle
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
    let keys = [Key { id: 1, secret: random::bytes::<32>(&random as &dyn Random) }];
    let pending = PendingLogin::begin(&random, [7; 16], SystemClock.now(), Some("/reports?of=today".to_owned()));
    bencher.bench_local(|| {
        let sealed = pending.seal(&keys, &random).expect("a key");
        PendingLogin::open(black_box(&sealed), &keys).expect("its own")
    });
}
