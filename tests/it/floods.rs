//! Floods against a real process, and little of what it needs: what whoever is signed in notices of it, and what stays.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use doorward::clock::{Clock, SystemClock};
use doorward::names::Names;
use doorward::store;
use futures_util::future::join_all;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::metrics::value;
use crate::site::binary::Binary;
use crate::site::demo::provider;
use crate::site::flood::Flooded;
use crate::site::place::{Kept, Place};
use crate::site::program::{PATIENCE, PAUSE, Program, free_port};
use crate::site::seed;
use crate::site::tiers::Tier;
use crate::site::visitors::{Anonymous, Visitor};

/// So many connections that begin a request and do not go on.
async fn slow_clients(site: &Flooded, number: usize) -> Vec<TcpStream> {
    const HALVES: [&[u8]; 4] =
        [b"", b"GET /api/me HTTP/1.1\r\nHost: localhost\r\nX-Slow: ", b"PRI * HTTP/2.0\r\n\r\nSM", b"POST /logout HT"];
    let clients = (0..number).map(|at| async move {
        let mut connection = site.connect().await;
        connection.write_all(HALVES[at % HALVES.len()]).await.expect("it listens");
        connection
    });
    join_all(clients).await
}

/// Waits until the server has closed each of them.
async fn until_closed(held: Vec<TcpStream>) {
    let ends = held.into_iter().map(|mut connection| async move {
        // Reset or closed: it is over either way.
        let end = timeout(PATIENCE, connection.read_to_end(&mut Vec::new())).await;
        assert!(end.is_ok(), "it waits for ever");
    });
    join_all(ends).await;
}

/// Asks so often, one after the other, as somebody who is signed in.
async fn ask(site: &Flooded, often: usize) {
    for _ in 0..often {
        assert_eq!(site.ada.get("api/me").await.status, 200);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_thousand_slow_clients_are_noticed_by_nobody() {
    let site = Flooded::start("").await;
    let flood = async {
        let held = slow_clients(&site, 2_000).await;
        ask(&site, 30).await;
        held
    };
    let (held, heard) = site.during(flood).await;
    site.tell("2,000 slow clients", heard);
    drop(held);
    site.until_quiet().await;
}

/// Opens and closes `number` connections, `at_once` together.
async fn come_and_go(site: &Flooded, number: usize, at_once: usize) {
    for _ in 0..number / at_once {
        join_all((0..at_once).map(|_| site.connect())).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_come_and_go_leave_nothing_behind() {
    let site = Flooded::start("").await;
    let ((), heard) = site.during(come_and_go(&site, 4_000, 1_000)).await;
    site.tell("4,000 connections", heard);
    site.until_quiet().await;
}

/// The head of a POST with 24 KiB of headers, and a body of 64 KiB but for its end.
fn large_and_unfinished(port: u16) -> Vec<u8> {
    let filler = "f".repeat(24 * 1024);
    let head = format!(
        "POST /logout HTTP/1.1\r\nHost: localhost:{port}\r\nSec-Fetch-Site: same-origin\r\nX-Filler: {filler}\r\n\
         Content-Length: 65536\r\n\r\n"
    );
    [head.as_bytes(), &[b'b'; 65_000]].concat()
}

/// The status and `Retry-After` of the answer that comes within `patience`; `None`: none does.
async fn answer(connection: &mut TcpStream, patience: Duration) -> Option<(u16, bool)> {
    let mut head = Vec::new();
    let mut bytes = [0; 4096];
    let read = async {
        while !head.windows(4).any(|end| end == b"\r\n\r\n") {
            match connection.read(&mut bytes).await {
                Ok(length @ 1..) => head.extend_from_slice(&bytes[..length]),
                _ => break,
            }
        }
    };
    let _ = timeout(patience, read).await;
    let head = String::from_utf8_lossy(&head).to_ascii_lowercase();
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some((status, head.contains("\r\nretry-after: ")))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn few_large_bodies_are_waited_for_and_forms_are_taken_all_the_same() {
    const CLIENTS: usize = 600;
    const WAITED_FOR: usize = 256;
    let site = Flooded::start("").await;
    let request = large_and_unfinished(site.site.port);
    let flood = async || {
        let clients = (0..CLIENTS).map(|_| async {
            let mut connection = site.connect().await;
            // It may be refused before it is sent.
            let _ = connection.write_all(&request).await;
            let answer = answer(&mut connection, Duration::from_secs(2)).await;
            (connection, answer)
        });
        let held = join_all(clients).await;
        let form = Anonymous::at(&site.site.public_url).submit("logout", &[("a", "form")]).await;
        (held, form)
    };
    let flood = || async {
        let ((held, form), heard) = site.during(flood()).await;
        site.tell("600 large bodies", heard);
        assert_eq!(form.status, 303, "{form:#?}");
        let refused = held.iter().filter(|(_, answer)| *answer == Some((503, true))).count();
        let waiting = held.iter().filter(|(_, answer)| answer.is_none()).count();
        assert!(waiting <= WAITED_FOR && refused > 0, "{refused} were refused, {waiting} are waited for");
        site.grew_by_at_most(CLIENTS * 192);
    };
    site.bears_repeatedly(flood).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_256_descriptors_others_wait_and_whoever_is_inside_signs_in() {
    for place in [Place::Sqlite, Place::MariaDb] {
        let Some(database) = place.fresh().await else { continue };
        let port = free_port();
        let (_provider, config) = provider(port);
        let config = format!("{config}[database]\nurl = {:?}\n", database.url());
        let site = Binary::serve_within("ulimit -n 256", port, &config);
        site.program.wait_for("the room that there is", |line| line.contains("room for 176 connections").then_some(()));
        let ada = Anonymous::keeping_connections(&site.public_url);
        assert_eq!(ada.get("healthz").await.status, 200);
        let quiet = site.program.descriptors();
        let mut crowd = join_all((0..600).map(|_| TcpStream::connect(("127.0.0.1", port)))).await;
        let deadline = Instant::now() + PATIENCE;
        while site.program.descriptors() < 170 {
            assert!(Instant::now() < deadline, "{} descriptors", site.program.descriptors());
            tokio::time::sleep(PAUSE).await;
        }
        let used = site.program.seconds_used();
        let profile = ada.follow_as("ada").await;
        assert!(profile.body.contains("ada@example.com"), "{place:?}: {profile:#?}\n{}", site.program.said());
        // The last to come waits: all the room is taken by those who say nothing.
        let mut late = crowd.pop().expect("somebody who waits").expect("a place to wait");
        late.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            .await
            .expect("it waits");
        assert_eq!(answer(&mut late, Duration::from_secs(1)).await, None, "more are served than there is room for");
        let used = site.program.seconds_used() - used;
        assert!(used < 1.0, "it spins: {used} s of processor time");
        drop(crowd);
        assert_eq!(answer(&mut late, PATIENCE).await, Some((200, false)), "{place:?}");
        assert_eq!(ada.get("api/me").await.status, 200, "{place:?}");
        assert_eq!(site.program.said().matches("could not be taken").count(), 0, "{}", site.program.said());
        drop(late);
        let deadline = Instant::now() + PATIENCE;
        // What the sign-in opened to the database stays; the crowd does not.
        while site.program.descriptors() > quiet + 20 {
            assert!(Instant::now() < deadline, "{quiet} before, {} now", site.program.descriptors());
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// What came back for each request of a crowd.
#[derive(Debug, Default)]
struct Answers {
    fine: usize,
    /// 503 with `Retry-After`.
    later: usize,
    slowest: Duration,
}

/// Every one of `handles` asks who it is, all at once and each on a connection of its own.
async fn wake(port: u16, handles: impl Iterator<Item = &String>) -> Answers {
    let tabs = handles.map(|handle| async move {
        let asked = Instant::now();
        let mut connection = TcpStream::connect(("127.0.0.1", port)).await.expect("it listens");
        let request = format!(
            "GET /api/me HTTP/1.1\r\nHost: localhost:{port}\r\nCookie: doorward_{port}={handle}\r\nConnection: close\r\n\r\n"
        );
        connection.write_all(request.as_bytes()).await.expect("it reads");
        (answer(&mut connection, PATIENCE).await, asked.elapsed())
    });
    let mut answers = Answers::default();
    for (answer, took) in join_all(tabs).await {
        match answer {
            Some((200, _)) => answers.fine += 1,
            Some((503, true)) => answers.later += 1,
            other => panic!("{other:?} after {took:?}"),
        }
        answers.slowest = answers.slowest.max(took);
    }
    answers
}

/// Sessions of `number` people, not used for an hour.
async fn seeded(database: &Kept, issuer: &str, number: usize) -> Vec<String> {
    let store = store::open(&database.config(None), Names::from_system(), Arc::new(SystemClock));
    store.prepare(Some(issuer)).await.expect("a fresh database");
    let then = SystemClock.now() - Duration::from_secs(60 * 60);
    let mut handles = Vec::with_capacity(number);
    for at in 0..number {
        let (handle, sign_in) = seed::sign_in(issuer, &format!("person-{at}"), then);
        store.sign_in(&sign_in).await.expect("the store takes it");
        handles.push(handle.reveal().to_owned());
    }
    store.close().await;
    handles
}

/// The most connections to `database` that are open at once until `stop`, ours among them.
async fn most_connections(place: Place, database: &Kept, stop: &AtomicBool) -> i64 {
    let Kept::Server { name, .. } = database else { return 0 };
    // MySQL fails where a statement of somebody else holds bytes; MariaDB keeps no such table unless it is told to.
    let table = match place {
        Place::MySql => format!("performance_schema.threads where processlist_db = '{name}'"),
        _ => format!("information_schema.processlist where db = '{name}'"),
    };
    let mut most = 0;
    while !stop.load(Ordering::Relaxed) {
        most = most.max(database.count(&table).await);
    }
    most
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_tabs_wake_up_and_nobody_is_signed_out() {
    wake_up(200).await;
}

/// Five tabs of each of `people` wake up together before a process that has asked its database nothing yet.
async fn wake_up(people: usize) {
    const TABS: usize = 5;
    const CONNECTIONS: i64 = 16;
    for place in Place::all() {
        let Some(database) = place.fresh().await else { continue };
        let (port, metrics) = (free_port(), free_port());
        let (provider, config) = provider(port);
        let handles = seeded(&database, &provider.issuer(), people).await;
        let rest =
            format!("metrics.listen = \"127.0.0.1:{metrics}\"\n{config}[database]\nurl = {:?}\n", database.url());
        let _site = Binary::serve_on(port, &rest);
        let prometheus = Anonymous::at(&format!("http://127.0.0.1:{metrics}"));
        let writes = async || {
            let text = prometheus.get("/metrics").await.body;
            value(&text, "doorward_db_query_duration_seconds_count", &[("op", "write")])
        };
        let before = writes().await;
        let stop = AtomicBool::new(false);
        let burst = async {
            let answers = wake(port, (0..TABS).flat_map(|_| &handles)).await;
            stop.store(true, Ordering::Relaxed);
            answers
        };
        let (answers, most) = tokio::join!(burst, most_connections(place, &database, &stop));
        assert_eq!(answers.fine + answers.later, people * TABS);
        assert!(most <= CONNECTIONS + 1, "{place:?}: {most} connections");
        // Whoever was told to come again does.
        for few in handles.chunks(50) {
            let again = wake(port, few.iter()).await;
            assert_eq!(again.fine, few.len(), "{place:?}: {again:?}");
        }
        let deadline = Instant::now() + PATIENCE;
        let noted = || async { writes().await - before };
        while noted().await < people as f64 {
            assert!(Instant::now() < deadline, "{place:?}: {} notes", noted().await);
            tokio::time::sleep(PAUSE).await;
        }
        let noted = noted().await;
        // A few writes are others': what has ended is swept, what is due is looked at.
        assert!(noted < people as f64 + 10.0, "{place:?}: {noted} notes of {people} sessions");
        #[expect(clippy::print_stderr, reason = "docs/reliability.md gives these numbers")]
        {
            eprintln!("{place:?}: {answers:?}, {most} connections, {noted} notes");
        }
    }
}

/// Programs that do nothing but take the first processor's time.
fn busy_loops(number: usize) -> Vec<Program> {
    let busy = "taskset -pc 0 $$ >/dev/null; while :; do :; done";
    (0..number).map(|_| Program::start(std::process::Command::new("/bin/sh").args(["-c", busy]))).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_little_of_one_processor_it_is_slower_and_signs_nobody_out() {
    const ASKING: usize = 32;
    let port = free_port();
    let (provider, config) = provider(port);
    let site = Binary::serve_within("taskset -pc 0 $$ >/dev/null", port, &config);
    let site = Flooded::around(site, provider).await;
    let handle = site.ada.cookie(&format!("doorward_{port}")).expect("a session");
    let busy = busy_loops(4);
    let mut all = Answers::default();
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(2) {
        let answers = wake(port, std::iter::repeat_n(&handle, ASKING)).await;
        all.fine += answers.fine;
        all.later += answers.later;
        all.slowest = all.slowest.max(answers.slowest);
    }
    assert!(all.fine > 0, "{all:?}");
    // And none at all for longer than anything waits: every timer is due when it goes on.
    site.site.program.signal("STOP");
    let thaw = async {
        tokio::time::sleep(Duration::from_secs(3)).await;
        site.site.program.signal("CONT");
    };
    let (frozen, ()) = tokio::join!(wake(port, std::iter::repeat_n(&handle, ASKING)), thaw);
    drop(busy);
    assert_eq!(wake(port, std::iter::once(&handle)).await.fine, 1, "{frozen:?}");
    #[expect(clippy::print_stderr, reason = "docs/reliability.md gives these numbers")]
    {
        eprintln!("one processor and four loops: {all:?}; stopped for three seconds: {frozen:?}");
    }
}

mod long {
    use super::*;

    /// Nearly as many bytes of headers as may come, and no end.
    fn large_and_unfinished_head() -> String {
        format!("GET / HTTP/1.1\r\nHost: localhost\r\nX-Filler: {}", "f".repeat(30 * 1024))
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn two_thousand_slow_clients_are_all_let_go() {
        let Some(_) = Tier::Long.here() else { return };
        let site = Flooded::start("").await;
        let flood = async { until_closed(slow_clients(&site, 2_000).await).await };
        let ((), heard) = site.during(flood).await;
        site.tell("2,000 slow clients until they are let go", heard);
        site.until_quiet().await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn twenty_thousand_connections_come_and_go() {
        let Some(_) = Tier::Long.here() else { return };
        let site = Flooded::start("").await;
        let ((), heard) = site.during(come_and_go(&site, 20_000, 4_000)).await;
        site.tell("20,000 connections, 4,000 at once", heard);
        site.until_quiet().await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn thousands_of_unfinished_headers_take_what_was_agreed() {
        const CLIENTS: usize = 2_000;
        let Some(_) = Tier::Long.here() else { return };
        let site = Flooded::start("").await;
        let head = large_and_unfinished_head();
        let flood = async || {
            let clients = (0..CLIENTS).map(|_| async {
                let mut connection = site.connect().await;
                let _ = connection.write_all(head.as_bytes()).await;
                connection
            });
            let held = join_all(clients).await;
            ask(&site, 30).await;
            site.grew_by_at_most(CLIENTS * 72);
            until_closed(held).await;
        };
        let flood = || async {
            let ((), heard) = site.during(flood()).await;
            site.tell("2,000 clients with 30 KiB of headers each", heard);
        };
        site.bears_repeatedly(flood).await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn five_thousand_tabs_wake_up_and_nobody_is_signed_out() {
        let Some(_) = Tier::Long.here() else { return };
        wake_up(1_000).await;
    }

    /// A group of processes that has `bytes` of memory and no more. `None`: no such group may be made here.
    fn group(bytes: usize) -> Option<PathBuf> {
        let name = format!("doorward-test-{}", std::process::id());
        let (old, new) = (PathBuf::from("/sys/fs/cgroup/memory"), PathBuf::from("/sys/fs/cgroup"));
        let (group, limit) = match old.is_dir() {
            true => (old.join(name), "memory.limit_in_bytes"),
            false => (new.join(name), "memory.max"),
        };
        let made = fs::create_dir(&group).and_then(|()| fs::write(group.join(limit), bytes.to_string()));
        if let Err(error) = made {
            let _ = fs::remove_dir(&group);
            #[expect(clippy::print_stderr, reason = "whoever runs the tests must see what was not proved")]
            {
                eprintln!("SKIPPED: no group with a limit of memory may be made here: {error}");
            }
            return None;
        }
        Some(group)
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn within_64_mib_it_stays_or_ends_and_what_was_confirmed_is_there_again() {
        const CLIENTS: usize = 4_000;
        let Some(_) = Tier::Long.here() else { return };
        let Some(group) = group(64 * 1024 * 1024) else { return };
        let port = free_port();
        let (provider, config) = provider(port);
        let enter = format!("echo $$ > {}", group.join("cgroup.procs").display());
        let mut site = Flooded::around(Binary::serve_within(&enter, port, &config), provider).await;
        let head = large_and_unfinished_head();
        let clients = (0..CLIENTS).map(|_| async {
            let mut connection = TcpStream::connect(("127.0.0.1", port)).await.ok()?;
            connection.write_all(head.as_bytes()).await.ok()?;
            let _ = timeout(PATIENCE, connection.read_to_end(&mut Vec::new())).await;
            Some(())
        });
        let served = join_all(clients).await.iter().flatten().count();
        let ended = site.site.program.has_ended();
        let most = fs::read_to_string(group.join("memory.max_usage_in_bytes")).unwrap_or_default();
        #[expect(clippy::print_stderr, reason = "docs/reliability.md gives these numbers")]
        {
            eprintln!("64 MiB, {served} clients with 30 KiB of headers each: {ended:?}, {} bytes", most.trim());
        }
        if ended.is_some() {
            site.site.start_again();
        }
        assert_eq!(site.ada.get("api/me").await.status, 200, "{ended:?}\n{}", site.site.program.said());
        drop(site);
        let deadline = Instant::now() + PATIENCE;
        while fs::remove_dir(&group).is_err() {
            assert!(Instant::now() < deadline, "{} stays", group.display());
            tokio::time::sleep(PAUSE).await;
        }
    }
}
