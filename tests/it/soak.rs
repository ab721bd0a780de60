//! A fault a minute for an hour, while a crowd goes about: the same process serves to the end, keeps every promise, and
//! holds no more at the end than it did before. `tests/run soak` runs it; an ordinary run of the tests does not.

use std::env;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use reqwest::Client;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::site::binary::{Binary, configure};
use crate::site::crowd::Crowd;
use crate::site::databases::{Database, Server};
use crate::site::flood::Holdings;
use crate::site::history::{Deed, History, Operation, Told, USERS};
use crate::site::program::free_port;
use crate::site::provider::keys::Key;
use crate::site::provider::wire::Canned;
use crate::site::provider::{CLIENT_SECRET, Door, ScriptedProvider};

/// How many people, and how long each of them rests: a hundred requests a second.
const PEOPLE: usize = 24;
const REST: Duration = Duration::from_millis(200);

/// A minute: a fault begins after its first seconds, and what is measured is measured in its second half.
const MINUTE: Duration = Duration::from_secs(60);
const BEFORE_THE_FAULT: Duration = Duration::from_secs(5);
const QUIET: Duration = Duration::from_secs(30);

/// How long a provider is in trouble.
const TROUBLE: Duration = Duration::from_secs(10);

/// By how much the last quarter may stand above the second one.
const MEMORY_PERCENT: usize = 20;
const FURTHER: usize = 8;
/// Others use the machine: only what grows without end doubles in half an hour.
const LATENCY_TIMES: f64 = 2.0;

#[derive(Clone, Copy, Debug)]
enum Fault {
    DatabaseFrozen,
    DatabaseKilled,
    DatabaseReadOnly,
    ConnectionsKilled,
    ProviderHangs,
    ProviderFails,
    ProviderRotatesKeys,
    ReloadGood,
    ReloadBad,
    SlowClients,
    BadTokens,
    Burst,
}

const FAULTS: [Fault; 12] = [
    Fault::DatabaseFrozen,
    Fault::DatabaseKilled,
    Fault::DatabaseReadOnly,
    Fault::ConnectionsKilled,
    Fault::ProviderHangs,
    Fault::ProviderFails,
    Fault::ProviderRotatesKeys,
    Fault::ReloadGood,
    Fault::ReloadBad,
    Fault::SlowClients,
    Fault::BadTokens,
    Fault::Burst,
];

/// Everything that can break.
struct Scene {
    server: Server,
    database: Database,
    provider: Arc<ScriptedProvider>,
    site: Binary,
    config: String,
}

impl Scene {
    async fn set() -> Option<Self> {
        let server = Server::start()?;
        let database = server.database().await;
        // An account that `read_only` counts for.
        let name = database.place().name;
        let grant = format!("grant all on {name}.* to site@'127.0.0.1' identified by 'site'");
        database.run(&[&grant]).await;
        let provider = Arc::new(ScriptedProvider::start().await);
        provider.script().client_id = "soak".to_owned();
        let url = format!("mysql://site:site@127.0.0.1:{}/{name}", database.place().port);
        let config = format!(
            "[providers.test]\nissuer = \"{}\"\nclient_id = \"soak\"\nclient_secret = \"{CLIENT_SECRET}\"\n\
             [database]\nurl = \"{url}\"\n",
            provider.issuer()
        );
        let site = Binary::serve_on(free_port(), &config);
        Some(Self { server, database, provider, site, config })
    }

    async fn strike(&self, fault: Fault, round: usize) {
        match fault {
            Fault::DatabaseFrozen => {
                self.server.signal("STOP");
                tokio::time::sleep(Duration::from_secs(3)).await;
                self.server.signal("CONT");
            }
            Fault::DatabaseKilled => {
                self.server.signal("KILL");
                tokio::time::sleep(Duration::from_secs(1)).await;
                self.server.run();
            }
            Fault::DatabaseReadOnly => {
                self.database.run(&["set global read_only = 1"]).await;
                tokio::time::sleep(Duration::from_secs(5)).await;
                self.database.run(&["set global read_only = 0"]).await;
            }
            Fault::ConnectionsKilled => self.kill_connections().await,
            Fault::ProviderHangs => self.trouble_the_provider(&Canned::status(200).after(MINUTE)).await,
            Fault::ProviderFails => self.trouble_the_provider(&Canned::status(500)).await,
            Fault::ProviderRotatesKeys => {
                let key = Key::numbered((round + 1) % 3);
                let mut script = self.provider.script();
                (script.key, script.published) = (key, vec![key.public()]);
            }
            Fault::ReloadGood => self.reload(&format!("pages.title = \"House {round}\"\n")).await,
            Fault::ReloadBad => {
                self.reload("sessions.idle = \"7 dayz\"\n").await;
                self.reload("").await;
            }
            Fault::SlowClients => self.dawdle(500).await,
            Fault::BadTokens => self.bring_bad_tokens(5_000).await,
            Fault::Burst => self.burst(2_000).await,
        }
    }

    async fn kill_connections(&self) {
        let ids = self.database.rows("select id from information_schema.processlist where user = 'site'").await;
        for id in ids.into_iter().flatten().flatten() {
            // It may have ended meanwhile.
            let _ = self.database.try_rows(&format!("kill {id}")).await;
        }
    }

    async fn trouble_the_provider(&self, answer: &Canned) {
        for door in [Door::Discovery, Door::Keys, Door::Token] {
            self.provider.script().answer(door, answer.clone());
        }
        tokio::time::sleep(TROUBLE).await;
        self.provider.script().canned.clear();
    }

    /// Reads the configuration again, with `first` before it.
    async fn reload(&self, first: &str) {
        let site = &self.site;
        let head = format!("public_url = \"{}\"\nserver.listen = \"localhost:{}\"\n", site.public_url, site.port);
        configure(site.folder.path(), &format!("{first}{head}{}", self.config));
        site.program.signal("HUP");
        tokio::time::sleep(Duration::from_secs(3)).await;
    }

    async fn connect(&self) -> Option<TcpStream> {
        TcpStream::connect(("127.0.0.1", self.site.port)).await.ok()
    }

    /// So many who send a byte a second and never come to an end.
    async fn dawdle(&self, clients: usize) {
        let mut slow = Vec::new();
        for _ in 0..clients {
            slow.extend(self.connect().await);
        }
        for byte in b"GET /api/me HTTP/1.1" {
            for client in &mut slow {
                // Who is too slow is hung up on.
                let _ = client.write_all(&[*byte]).await;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }

    /// So many tokens that are none, from five hundred clients.
    async fn bring_bad_tokens(&self, tokens: usize) {
        const AT_ONCE: usize = 20;
        let client = Client::builder().no_proxy().build().expect("a client");
        let mut bringing = JoinSet::new();
        for first in 0..AT_ONCE {
            let (client, url) = (client.clone(), format!("http://127.0.0.1:{}/api/me", self.site.port));
            bringing.spawn(async move {
                for number in (first..tokens).step_by(AT_ONCE) {
                    let address = format!("198.18.{}.{}", number / 250 % 2, number % 250);
                    let request = client.get(&url).bearer_auth(format!("dw_pat_{number:043}"));
                    if let Ok(answer) = request.header("x-forwarded-for", address).send().await {
                        assert!(matches!(answer.status().as_u16(), 401 | 429 | 503), "{answer:?}");
                    }
                }
            });
        }
        bringing.join_all().await;
    }

    /// So many connections at once, each with one request.
    async fn burst(&self, connections: usize) {
        let mut open = JoinSet::new();
        for _ in 0..connections {
            let port = self.site.port;
            open.spawn(async move {
                let mut stream = TcpStream::connect(("127.0.0.1", port)).await.ok()?;
                let request = "GET /api/me HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
                stream.write_all(request.as_bytes()).await.ok()?;
                let mut answer = Vec::new();
                stream.read_to_end(&mut answer).await.ok()
            });
        }
        open.join_all().await;
    }
}

/// What was seen in a minute.
struct Line {
    holdings: Holdings,
    median_ms: f64,
    p99_ms: f64,
}

/// Half of all questions who one is were answered within this, and all but a hundredth within that, in milliseconds.
fn latencies(operations: &[Operation], from: Duration) -> (f64, f64) {
    let quiet = operations.iter().filter(|operation| operation.begun >= from && operation.deed == Deed::Show);
    let quiet = quiet.filter(|operation| operation.is_success());
    let mut took: Vec<_> = quiet.map(|operation| (operation.ended - operation.begun).as_secs_f64() * 1000.0).collect();
    took.sort_unstable_by(f64::total_cmp);
    let at = |part: usize| took.get(took.len() * part / 100).copied().unwrap_or(f64::NAN);
    (at(50), at(99))
}

/// Watches for so many minutes; a line of each goes to the file and to the terminal.
async fn watch(scene: &Scene, history: &History, minutes: usize, file: &Path) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut report = String::new();
    say(
        &mut report,
        file,
        "minute fault                resident KiB  descriptors  threads  median ms   p99 ms  requests  503  failed",
    );
    for minute in 0..minutes {
        let (began, first) = (Instant::now(), history.length());
        let quiet_from = history.now() + QUIET;
        let fault = FAULTS[minute % FAULTS.len()];
        tokio::time::sleep(BEFORE_THE_FAULT).await;
        scene.strike(fault, minute / FAULTS.len()).await;
        tokio::time::sleep(MINUTE.saturating_sub(began.elapsed())).await;
        let holdings = Holdings::of(&scene.site.program);
        let operations = history.since(first);
        let (median_ms, p99_ms) = latencies(&operations, quiet_from);
        let unavailable = operations.iter().filter(|operation| operation.told == Told::Unavailable).count();
        let failed = operations.iter().filter(|operation| !operation.is_success()).count() - unavailable;
        let Holdings { descriptors, threads, resident_kib } = holdings;
        let (fault, requests) = (format!("{fault:?}"), operations.len());
        let line = format!(
            "{minute:6} {fault:20} {resident_kib:12}  {descriptors:11}  {threads:7}  {median_ms:9.2} {p99_ms:8.1}  \
             {requests:8} {unavailable:4}  {failed:6}"
        );
        say(&mut report, file, &line);
        lines.push(Line { holdings, median_ms, p99_ms });
    }
    lines
}

#[expect(clippy::print_stderr, reason = "an hour is long for whoever waits")]
fn say(report: &mut String, file: &Path, line: &str) {
    let _ = writeln!(report, "{line}");
    fs::write(file, report).expect("a file in the folder that cargo makes");
    eprintln!("{line}");
}

/// The median of what `pick` takes of each line.
fn median(lines: &[Line], pick: impl Fn(&Line) -> f64) -> f64 {
    let mut numbers: Vec<_> = lines.iter().map(pick).collect();
    numbers.sort_unstable_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}

/// A name, what it takes of a line, and how high it may stand at the end for how it stood before.
type Measure = (&'static str, fn(&Line) -> f64, fn(f64) -> f64);

/// What the last quarter of `lines` holds beside the second, and what of that has grown beyond its bound.
fn compare(lines: &[Line]) -> (String, Vec<String>) {
    let quarter = lines.len() / 4;
    let (second, last) = (&lines[quarter..2 * quarter], &lines[lines.len() - quarter..]);
    let measures: [Measure; 5] = [
        (
            "resident KiB",
            |line| line.holdings.resident_kib as f64,
            |before| before * (100 + MEMORY_PERCENT) as f64 / 100.0,
        ),
        ("descriptors", |line| line.holdings.descriptors as f64, |before| before + FURTHER as f64),
        ("threads", |line| line.holdings.threads as f64, |before| before + FURTHER as f64),
        ("median ms", |line| line.median_ms, |before| before * LATENCY_TIMES),
        ("p99 ms", |line| line.p99_ms, |before| before * LATENCY_TIMES),
    ];
    let (mut text, mut grown) = (String::new(), Vec::new());
    for (name, pick, bound) in measures {
        let (before, after) = (median(second, pick), median(last, pick));
        let said = format!("{name}: {before:.1} in the second quarter, {after:.1} in the last");
        let _ = writeln!(text, "{said}");
        if after > bound(before) {
            grown.push(format!("{said}: at the most {:.1}", bound(before)));
        }
    }
    (text, grown)
}

/// For how long, where it is wanted at all.
#[expect(clippy::disallowed_methods, reason = "tests/run says so in the environment")]
fn seconds() -> Option<u64> {
    Some(env::var("DOORWARD_TEST_SOAK").ok()?.parse().expect("a number of seconds"))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_hour_of_faults_leaves_everything_as_it_was() {
    let Some(seconds) = seconds() else { return };
    let minutes = usize::try_from(seconds.div_ceil(MINUTE.as_secs())).expect("few minutes").max(4);
    let scene = Scene::set().await.expect("MariaDB is installed");
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("soak.txt");
    let address = format!("http://127.0.0.1:{}", scene.site.port);
    let crowd = Crowd::new(&[address], &scene.site.public_url, Arc::clone(&scene.provider), PEOPLE).resting(REST);
    let history = crowd.history();
    let mut lines = Vec::new();
    let history = crowd.run(async { lines = watch(&scene, &history, minutes, &file).await }).await;
    let verdict = history.verdict(&scene.database.rows(USERS).await);
    let (compared, grown) = compare(&lines);
    let mut report = fs::read_to_string(&file).expect("the lines so far");
    say(&mut report, &file, &format!("{compared}{verdict}"));
    verdict.must_hold();
    assert!(grown.is_empty(), "{grown:#?}");
}

#[test]
fn what_grows_is_noticed() {
    let line = |resident_kib, descriptors, median_ms| Line {
        holdings: Holdings { resident_kib, descriptors, threads: 5 },
        median_ms,
        p99_ms: 10.0,
    };
    let flat: Vec<_> = (0..8).map(|_| line(20_000, 40, 1.0)).collect();
    assert!(compare(&flat).1.is_empty());
    let growing: Vec<_> =
        (0..8).map(|minute| line(20_000 + minute * 2_000, 40 + minute * 3, 2.0_f64.powi(minute as i32))).collect();
    let grown = compare(&growing).1.join("\n");
    for name in ["resident", "descriptors", "median"] {
        assert!(grown.contains(name), "{grown}");
    }
    assert!(!grown.contains("threads") && !grown.contains("p99"), "{grown}");
}
