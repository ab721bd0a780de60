//! How a check fares when the tables grow, alone, among many, and beside the sweep of sessions that ended; and whether an
//! operator's list stays quick.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use doorward::access::Access;
use doorward::clock::{ManualClock, SystemClock, Timestamp};
use doorward::config::access::Access as Rules;
use doorward::config::database::{Database, Place};
use doorward::config::sessions::Sessions as Limits;
use doorward::model::UserId;
use doorward::names::Names;
use doorward::sessions::Sessions;
use doorward::store::{self, SharedStore};

use crate::arguments::Arguments;
use crate::database::{MariaDb, SqliteFile, runtime};
use crate::report::{head, median, row};
use crate::steady::{self, Pace};
use crate::subject::Subject;
use crate::wrk;

/// How many rows an operator's page has.
const PAGE: u32 = 100;

/// How many seconds of an hour the sweep takes the sessions of: a hundredth of all.
const SWEPT: i64 = 36;

/// Longer than any session of these lies idle.
const NEVER: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

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
    let alone = ["alone: p50 ms", "p99 ms", "longest", "beside a sweep: p50 ms", "p99 ms", "longest"];
    head(title, &[&load[..], &alone[..], &["swept", "in s", "pages: median ms", "longest"]].concat());
}

fn compare(arguments: &Arguments, binary: &Path, places: [(&str, u64, u64); 2]) {
    let subjects = places.map(|(url, _, sessions)| (Subject::doorward(binary, url, &arguments.config), sessions));
    let pace = Pace { connections: 1, per_second: Some(500), duration: Duration::from_secs(arguments.seconds) };
    let mut found = [Vec::new(), Vec::new()];
    for _ in 0..=arguments.rounds {
        for (found, (subject, sessions)) in found.iter_mut().zip(&subjects) {
            let busy = wrk::run(subject.questions(*sessions), 32, arguments.seconds);
            found.push((busy, steady::run(subject, *sessions, pace)));
            subject.forget_log();
        }
    }
    for (((url, users, sessions), found), (subject, _)) in places.into_iter().zip(&found).zip(&subjects) {
        // The first round filled the caches.
        let of = |which: &dyn Fn(&(wrk::Measure, steady::Found)) -> f64| {
            median(&found.iter().skip(1).map(which).collect::<Vec<_>>())
        };
        let pages = runtime().block_on(pages(url, users));
        let (beside, (swept, took)) = std::thread::scope(|scope| {
            let sweeping = scope.spawn(|| runtime().block_on(sweep(url)));
            let beside = steady::run(subject, sessions, pace);
            (beside, sweeping.join().expect("a sweep"))
        });
        row(&[
            sessions.to_string(),
            format!("{:.0}", of(&|found| found.0.per_second)),
            format!("{:.2}", of(&|found| found.0.median_ms)),
            format!("{:.2}", of(&|found| found.0.p99_ms)),
            format!("{:.3}", of(&|found| found.1.median_ms)),
            format!("{:.3}", of(&|found| found.1.p99_ms)),
            format!("{:.1}", of(&|found| found.1.longest_ms)),
            format!("{:.3}", beside.median_ms),
            format!("{:.3}", beside.p99_ms),
            format!("{:.1}", beside.longest_ms),
            swept.to_string(),
            format!("{:.1}", took.as_secs_f64()),
            format!("{:.1}", median(&pages)),
            format!("{:.1}", longest(&pages)),
        ]);
    }
}

fn longest(figures: &[f64]) -> f64 {
    figures.iter().copied().fold(0.0, f64::max)
}

/// Milliseconds of pages of the list of users, all over the table.
async fn pages(url: &str, users: u64) -> Vec<f64> {
    let store = opened(url).await;
    let mut pages = Vec::new();
    for place in 0..20 {
        let after = UserId::new(format!("u{:020}", users * place / 20));
        let asked = Instant::now();
        let page = store.users(Some(&after), PAGE).await.expect("a page");
        pages.push(asked.elapsed().as_secs_f64() * 1e3);
        assert_eq!(page.len(), PAGE as usize, "a full page after {after}");
    }
    store.close().await;
    pages
}

/// The product's own sweep, on a day when a hundredth of the sessions have ended: how many it took, and how long.
async fn sweep(url: &str) -> (u64, Duration) {
    let store = opened(url).await;
    let newest = store.sessions(None, None, 1).await.expect("a session")[0].expires_at;
    // The ends lie in the seconds of one hour, and the newest session ends with it.
    let day = ManualClock::at(Timestamp::from_unix(newest.unix() - 3599 + SWEPT));
    let limits = Limits { idle: NEVER, ..Limits::default() };
    let sessions = Sessions::new(Arc::clone(&store), Arc::new(day), Access::new(Rules::default()), limits);
    let begun = Instant::now();
    let swept = sessions.sweep().await.expect("a sweep");
    let took = begun.elapsed();
    store.close().await;
    (swept, took)
}

async fn opened(url: &str) -> SharedStore {
    let place = match url.strip_prefix("sqlite:") {
        Some(path) => Place::Sqlite(path.into()),
        None => Place::Mysql(server(url)),
    };
    let database = Database { place, users_table: "users".to_owned() };
    let store = store::open(&database, Names::from_system(), Arc::new(SystemClock));
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
