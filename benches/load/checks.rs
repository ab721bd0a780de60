//! Who is asking, by cookie: rates, latencies and CPU time of `/api/me`.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use mysql_async::prelude::Queryable;

use crate::arguments::Arguments;
use crate::database::{HANDLE, MariaDb, SqliteFile, runtime};
use crate::report::{head, median, row, say};
use crate::steady;
use crate::subject::Subject;
use crate::wrk;

/// For the answers to settle: caches fill, statements are prepared.
const WARM_UP: u64 = 1;

/// A steady load, in requests a second.
const STEADY: u32 = 2_000;

/// What one subject took at one number of connections in one round.
#[derive(Clone, Copy, Debug)]
struct Taken {
    measure: wrk::Measure,
    /// CPU seconds for ten thousand answers.
    own_cpu: f64,
    database_cpu: f64,
}

/// The bare handler and each Doorward on the database at `url`.
fn subjects(arguments: &Arguments, url: &str) -> Vec<Subject> {
    let doorwards = arguments.binaries.iter().map(|binary| Subject::doorward(binary, url, &arguments.config));
    let mut subjects: Vec<Subject> = doorwards.collect();
    subjects.insert(0, Subject::bare(&subjects[0].answer(1)));
    subjects
}

/// On MariaDB.
pub fn mysql(arguments: &Arguments) {
    let database = MariaDb::start(256);
    database.fill(&arguments.binaries[0], arguments.sessions, arguments.sessions);
    let subjects = subjects(arguments, &database.url());
    compare("GET /api/me by cookie, MariaDB", arguments, &subjects, &|| database.cpu_seconds());
}

/// In a file.
pub fn sqlite(arguments: &Arguments) {
    let file = SqliteFile::filled(&arguments.binaries[0], arguments.sessions, arguments.sessions);
    let subjects = subjects(arguments, &file.url());
    compare("GET /api/me by cookie, SQLite", arguments, &subjects, &|| 0.0);
}

fn compare(title: &str, arguments: &Arguments, subjects: &[Subject], database: &dyn Fn() -> f64) {
    let mut taken: BTreeMap<(usize, usize), Vec<Taken>> = BTreeMap::new();
    for _ in 0..arguments.rounds {
        for connections in &arguments.connections {
            for (place, subject) in subjects.iter().enumerate() {
                let one = take(subject, arguments, *connections, database);
                taken.entry((*connections, place)).or_default().push(one);
                subject.forget_log();
            }
        }
    }
    let columns = ["connections", "subject", "a second", "of bare", "p50 ms", "p99 ms"];
    let costs = ["CPU s per 10,000", "database's", "MiB now", "highest", "refused", "failed"];
    head(title, &[&columns[..], &costs[..]].concat());
    for ((connections, place), all) in &taken {
        let of = |which: &dyn Fn(&Taken) -> f64| median(&all.iter().map(which).collect::<Vec<_>>());
        // Round by round: what slowed one of them slowed the other too.
        let bare = &taken[&(*connections, 0)];
        let ratios = all.iter().zip(bare).map(|(own, bare)| own.measure.per_second / bare.measure.per_second);
        let (now, highest) = subjects[*place].resident_mib();
        row(&[
            connections.to_string(),
            subjects[*place].name.clone(),
            format!("{:.0}", of(&|taken| taken.measure.per_second)),
            format!("{:.2}", median(&ratios.collect::<Vec<_>>())),
            format!("{:.2}", of(&|taken| taken.measure.median_ms)),
            format!("{:.2}", of(&|taken| taken.measure.p99_ms)),
            format!("{:.3}", of(&|taken| taken.own_cpu)),
            format!("{:.3}", of(&|taken| taken.database_cpu)),
            format!("{now:.1}"),
            format!("{highest:.1}"),
            format!("{:.0}", of(&|taken| taken.measure.refused)),
            format!("{:.0}", of(&|taken| taken.measure.failed)),
        ]);
    }
}

/// A proxy's question beside the app's own, in the same process.
pub fn gate(arguments: &Arguments) {
    let database = MariaDb::start(256);
    database.fill(&arguments.binaries[0], arguments.sessions, arguments.sessions);
    head("/gate at 32 connections, MariaDB", &["subject", "/api/me", "/gate", "of /api/me", "CPU s per 10,000"]);
    for binary in &arguments.binaries {
        let subject = Subject::doorward(binary, &database.url(), &arguments.config);
        let (mut me, mut gate) = (Vec::new(), Vec::new());
        for _ in 0..arguments.rounds {
            for (door, found) in [(wrk::ME, &mut me), (wrk::GATE, &mut gate)] {
                let questions = wrk::Questions { door, ..subject.questions(arguments.sessions) };
                found.push(ask(&subject, questions, arguments, 32, &|| 0.0));
                subject.forget_log();
            }
        }
        let rates = |all: &[Taken]| median(&all.iter().map(|taken| taken.measure.per_second).collect::<Vec<_>>());
        let ratios = gate.iter().zip(&me).map(|(gate, me)| gate.measure.per_second / me.measure.per_second);
        row(&[
            subject.name.clone(),
            format!("{:.0}", rates(&me)),
            format!("{:.0}", rates(&gate)),
            format!("{:.2}", median(&ratios.collect::<Vec<_>>())),
            format!("{:.3}", median(&gate.iter().map(|taken| taken.own_cpu).collect::<Vec<_>>())),
        ]);
    }
}

fn take(subject: &Subject, arguments: &Arguments, connections: usize, database: &dyn Fn() -> f64) -> Taken {
    ask(subject, subject.questions(arguments.sessions), arguments, connections, database)
}

fn ask(
    subject: &Subject,
    questions: wrk::Questions<'_>,
    arguments: &Arguments,
    connections: usize,
    database: &dyn Fn() -> f64,
) -> Taken {
    wrk::run(questions, connections, WARM_UP);
    let before = (subject.cpu_seconds(), database());
    let measure = wrk::run(questions, connections, arguments.seconds);
    let per_ten_thousand = |seconds: f64| seconds / measure.answers * 1e4;
    Taken {
        measure,
        own_cpu: per_ten_thousand(subject.cpu_seconds() - before.0),
        database_cpu: per_ten_thousand(database() - before.1),
    }
}

/// One connection: how an answer of Doorward's compares with a `SELECT` by primary key of somebody's own.
pub fn select(arguments: &Arguments) {
    let database = MariaDb::start(256);
    database.fill(&arguments.binaries[0], arguments.sessions, arguments.sessions);
    let subjects = subjects(arguments, &database.url());
    head("One connection", &["what", "p50 ms", "p99 ms"]);
    let (mut all, mut names) = (Vec::new(), vec!["SELECT by primary key".to_owned()]);
    names.extend(subjects.iter().map(|subject| subject.name.clone()));
    for _ in 0..arguments.rounds {
        all.push(select_by_key(&database.url(), arguments));
        for subject in &subjects {
            let paced = steady::Pace { connections: 1, per_second: None, duration: seconds(arguments) };
            all.push(steady::run(subject, arguments.sessions, paced));
        }
    }
    for (place, name) in names.iter().enumerate() {
        let rounds = all.iter().skip(place).step_by(names.len());
        let (medians, tails): (Vec<_>, Vec<_>) = rounds.map(|found| (found.median_ms, found.p99_ms)).unzip();
        row(&[name.clone(), format!("{:.3}", median(&medians)), format!("{:.3}", median(&tails))]);
    }
}

fn seconds(arguments: &Arguments) -> Duration {
    Duration::from_secs(arguments.seconds)
}

fn select_by_key(url: &str, arguments: &Arguments) -> steady::Found {
    let sessions = arguments.sessions;
    runtime().block_on(async {
        let opts = mysql_async::Opts::from_url(url).expect("an address");
        let opts = mysql_async::OptsBuilder::from_opts(opts).prefer_socket(false).tcp_nodelay(true);
        let mut conn = mysql_async::Conn::new(opts).await.expect("the server");
        let statement = conn.prep("select * from doorward_sessions where handle = ?").await.expect("a statement");
        let (begun, mut latencies) = (Instant::now(), Vec::new());
        while begun.elapsed() < seconds(arguments) {
            let number = 1 + latencies.len() as u64 * 7919 % sessions;
            let handle = doorward::credential::Plain::presented(format!("{HANDLE}{number:035}")).hashed();
            let asked = Instant::now();
            let found: Option<mysql_async::Row> =
                conn.exec_first(&statement, (handle.as_bytes(),)).await.expect("an answer");
            latencies.push(asked.elapsed());
            assert!(found.is_some(), "a session");
        }
        conn.disconnect().await.expect("a good-bye");
        steady::Found::of(latencies)
    })
}

/// A load that does not wait for answers: two thousand questions a second, come what may.
pub fn steady(arguments: &Arguments) {
    let database = MariaDb::start(256);
    database.fill(&arguments.binaries[0], arguments.sessions, arguments.sessions);
    let subjects = subjects(arguments, &database.url());
    head(&format!("{STEADY} questions a second, MariaDB"), &["subject", "p50 ms", "p99 ms", "longest ms"]);
    let pace = steady::Pace { connections: 32, per_second: Some(STEADY), duration: seconds(arguments) };
    let mut all = vec![Vec::new(); subjects.len()];
    for _ in 0..arguments.rounds {
        for (subject, found) in subjects.iter().zip(&mut all) {
            found.push(steady::run(subject, arguments.sessions, pace));
        }
    }
    for (subject, found) in subjects.iter().zip(&all) {
        let of = |which: &dyn Fn(&steady::Found) -> f64| median(&found.iter().map(which).collect::<Vec<_>>());
        let (median, tail) = (of(&|found| found.median_ms), of(&|found| found.p99_ms));
        row(&[
            subject.name.clone(),
            format!("{median:.3}"),
            format!("{tail:.3}"),
            format!("{:.1}", of(&|found| found.longest_ms)),
        ]);
    }
}

/// More than can be answered, and what is left of it afterwards.
pub fn overload(arguments: &Arguments) {
    let database = MariaDb::start(256);
    database.fill(&arguments.binaries[0], arguments.sessions, arguments.sessions);
    let url = database.url();
    head("Overload, MariaDB", &["subject", "32 before", "6000 at once", "refused", "p99 ms", "failed", "32 after"]);
    for binary in &arguments.binaries {
        let subject = Subject::doorward(binary, &url, &arguments.config);
        let at = |connections| wrk::run(subject.questions(arguments.sessions), connections, arguments.seconds);
        let (_, before, over, after) = (at(32), at(32), at(6_000), at(32));
        row(&[
            subject.name.clone(),
            format!("{:.0}", before.per_second),
            format!("{:.0}", over.per_second),
            format!("{:.0}", over.refused),
            format!("{:.1}", over.p99_ms),
            format!("{:.0}", over.failed),
            format!("{:.0}", after.per_second),
        ]);
        let (now, highest) = subject.resident_mib();
        say(format!("\n{now:.1} MiB, {highest:.1} at the highest\n"));
    }
}
