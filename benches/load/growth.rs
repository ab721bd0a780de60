//! How a check fares when the tables grow, and whether an operator's list and the sweep stay quick.

use std::path::Path;
use std::time::Instant;

use doorward::clock::{Clock, SystemClock};
use doorward::config::database::{Database, Place};
use doorward::model::UserId;
use doorward::names::Names;
use doorward::store::{self, SharedStore};

use crate::arguments::Arguments;
use crate::database::{MariaDb, SqliteFile, runtime};
use crate::report::{head, median, row};
use crate::steady::{self, Pace};
use crate::subject::Subject;
use crate::wrk;

/// How many rows an operator's page has.
const PAGE: u32 = 100;

/// How many rows a step of the sweep takes, as the product does.
const STEP: u32 = 500;

const MILLION: u64 = 1_000_000;

/// A file of ten thousand, and one of a million.
pub fn sqlite(arguments: &Arguments) {
    let binary = &arguments.binaries[0];
    let small = SqliteFile::filled(binary, 10_000, 10_000);
    let large = SqliteFile::filled(binary, MILLION, MILLION);
    table("Growth on SQLite");
    compare(arguments, binary, [(&small.url(), 10_000, 10_000), (&large.url(), MILLION, MILLION)]);
    let _ = (small, large);
}

/// Ten thousand sessions on the server, and ten million of a million people.
pub fn mysql(arguments: &Arguments) {
    let binary = &arguments.binaries[0];
    let (small, large) = (MariaDb::start(256), MariaDb::start(6 * 1024));
    small.fill(binary, 10_000, 10_000);
    large.fill(binary, MILLION, 10 * MILLION);
    table("Growth on MariaDB");
    compare(arguments, binary, [(&small.url(), 10_000, 10_000), (&large.url(), MILLION, 10 * MILLION)]);
}

fn table(title: &str) {
    let load = ["sessions", "a second at 32", "p50 ms", "p99 ms"];
    let alone = ["alone p50 ms", "p99 ms", "pages: median ms", "longest", "sweep step: median ms", "longest"];
    head(title, &[&load[..], &alone[..]].concat());
}

fn compare(arguments: &Arguments, binary: &Path, places: [(&str, u64, u64); 2]) {
    let subjects = places.map(|(url, _, sessions)| (Subject::doorward(binary, url, &arguments.config), sessions));
    let mut found = [Vec::new(), Vec::new()];
    for _ in 0..=arguments.rounds {
        for (found, (subject, sessions)) in found.iter_mut().zip(&subjects) {
            let busy = wrk::run(subject.questions(*sessions), 32, arguments.seconds);
            let pace = Pace {
                connections: 1,
                per_second: Some(500),
                duration: std::time::Duration::from_secs(arguments.seconds),
            };
            found.push((busy, steady::run(subject, *sessions, pace)));
            subject.forget_log();
        }
    }
    for ((url, users, sessions), found) in places.into_iter().zip(&found) {
        // The first round filled the caches.
        let of = |which: &dyn Fn(&(wrk::Measure, steady::Found)) -> f64| {
            median(&found.iter().skip(1).map(which).collect::<Vec<_>>())
        };
        let (pages, sweep) = runtime().block_on(operator(url, users, sessions));
        row(&[
            sessions.to_string(),
            format!("{:.0}", of(&|found| found.0.per_second)),
            format!("{:.2}", of(&|found| found.0.median_ms)),
            format!("{:.2}", of(&|found| found.0.p99_ms)),
            format!("{:.3}", of(&|found| found.1.median_ms)),
            format!("{:.3}", of(&|found| found.1.p99_ms)),
            format!("{:.1}", median(&pages)),
            format!("{:.1}", longest(&pages)),
            format!("{:.1}", median(&sweep)),
            format!("{:.1}", longest(&sweep)),
        ]);
    }
}

fn longest(figures: &[f64]) -> f64 {
    figures.iter().copied().fold(0.0, f64::max)
}

/// Milliseconds of pages of the list of users all over the table, and of steps of a sweep that ends a hundredth of the
/// sessions.
async fn operator(url: &str, users: u64, sessions: u64) -> (Vec<f64>, Vec<f64>) {
    let store = opened(url).await;
    let (mut pages, mut steps) = (Vec::new(), Vec::new());
    for place in 0..20 {
        let after = UserId::new(format!("u{:020}", users * place / 20));
        let asked = Instant::now();
        let page = store.users(Some(&after), PAGE).await.expect("a page");
        pages.push(asked.elapsed().as_secs_f64() * 1e3);
        assert!(page.len() == PAGE as usize || place == 19, "a full page");
    }
    // Whole seconds of an hour hold the sessions' ends: a few seconds are a hundredth of them.
    let now = SystemClock.now();
    let first = store.sessions(None, None, 1).await.expect("a session")[0].expires_at;
    let until = doorward::clock::Timestamp::from_unix(first.unix() - 3600 + 36);
    let _ = (now, sessions);
    loop {
        let asked = Instant::now();
        let swept = store.sweep_sessions(until, doorward::clock::Timestamp::from_unix(0), STEP).await.expect("a step");
        steps.push(asked.elapsed().as_secs_f64() * 1e3);
        if swept < u64::from(STEP) {
            store.close().await;
            return (pages, steps);
        }
    }
}

async fn opened(url: &str) -> SharedStore {
    let place = match url.strip_prefix("sqlite:") {
        Some(path) => Place::Sqlite(path.into()),
        None => Place::Mysql(server(url)),
    };
    let database = Database { place, users_table: "users".to_owned() };
    let store = store::open(&database, Names::from_system(), std::sync::Arc::new(SystemClock));
    store.prepare(Some("http://127.0.0.1:9")).await.expect("tables that are ready");
    store
}

fn server(url: &str) -> doorward::config::database::Mysql {
    let url = url::Url::parse(url).expect("an address");
    doorward::config::database::Mysql {
        host: url.host_str().expect("a host").to_owned(),
        port: url.port().expect("a port"),
        user: url.username().to_owned(),
        password: doorward::config::secret::Secret::new(""),
        name: url.path().trim_start_matches('/').to_owned(),
        tls: doorward::config::database::Tls::Off,
        others: Vec::new(),
        max_connections: 8,
    }
}
