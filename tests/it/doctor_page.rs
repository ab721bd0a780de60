//! `docs/doctor.md` shows what `doorward doctor` prints of a site that is well and of sites that are not. Each of them is
//! made here, with real servers, and the page must hold what was printed, line for line.
//!
//! What differs from run to run (ports, versions, a second more or less) is shown as something fixed. With
//! `DOORWARD_TEST_REWRITE=1` the page is not held against what was printed, but given it.

use std::fmt::Write as _;
use std::fs::{self, Permissions};
use std::ops::Range;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

use doorward::clock::{Clock, SystemClock};
use mysql_async::Pool;
use mysql_async::prelude::Queryable;
use tempfile::TempDir;

use crate::doctor::{GOOD, behind_nginx, behind_nginx_with, made_for_localhost};
use crate::site::binary::{self, Binary, Ran};
use crate::site::databases::Server;
use crate::site::program::{PATIENCE, PAUSE, free_port};
use crate::site::provider::ScriptedProvider;
use crate::site::tiers::Tier;
use crate::wrong_turns::{google, provider};

const WELL: &str = "A site that is well";
const MISSPELT: &str = "A key that is misspelt";
const READABLE: &str = "A secret that everybody can read";
const SECRET: &str = "The wrong client secret";
const AWAY: &str = "A provider that does not answer";
const CLOCK: &str = "A clock that is off";
const REDIRECT_URI: &str = "A redirect URI that is not registered";
const STOPPED: &str = "Doorward does not run";
const ELSEWHERE: &str = "Another program where browsers go";
const DOWN: &str = "A database that is down";
const PASSWORD: &str = "The wrong password for the database";
const RIGHTS: &str = "An account that may only read";
const NUMBERS: &str = "Users that are numbered";
const LAX: &str = "Ids without case, on a lax server";
const READ_ONLY: &str = "A server that takes no changes";
const DAMAGED: &str = "A damaged file";
const PROXY: &str = "A proxy that lets everything through";
const EXPIRED: &str = "A certificate that has expired";

/// The headings of the page that a block stands below, in its order.
const HEADINGS: [&str; 18] = [
    WELL,
    MISSPELT,
    READABLE,
    SECRET,
    AWAY,
    CLOCK,
    REDIRECT_URI,
    STOPPED,
    ELSEWHERE,
    DOWN,
    PASSWORD,
    RIGHTS,
    NUMBERS,
    LAX,
    READ_ONLY,
    DAMAGED,
    PROXY,
    EXPIRED,
];

/// What is another in each run, and what the page shows in its place.
type Known = Vec<(String, &'static str)>;

/// What was printed of one site, as the page shows it.
struct Shown {
    heading: &'static str,
    block: String,
}

impl Shown {
    fn new(heading: &'static str, command: &str, ran: &Ran, known: &Known) -> Self {
        let printed = known
            .iter()
            .fold(format!("{}{}", ran.stdout, ran.stderr), |text, (varies, fixed)| text.replace(varies, fixed));
        let mut block = format!("$ {command}\n");
        for line in printed.lines() {
            let _ = writeln!(block, "{}", steady(line));
        }
        let _ = write!(block, "$ echo $?\n{}\n", ran.code);
        Self { heading, block }
    }
}

/// A line without what nobody can know beforehand: how many seconds two clocks are apart, which addresses this machine's
/// own name has, how many connections there are just now.
fn steady(line: &str) -> String {
    let mut words: Vec<String> = line.split(' ').map(str::to_owned).collect();
    for place in 0..words.len() {
        let next = words[place + 1..].iter().take(3).map(String::as_str).collect::<Vec<_>>().join(" ");
        let Ok(number) = words[place].parse::<i64>() else { continue };
        if ["seconds apart", "seconds behind", "seconds ahead"].iter().any(|text| next.starts_with(text)) {
            words[place] = ((number + 30).div_euclid(60) * 60).to_string();
        } else if next == "of the server's" {
            words[place] = "4".to_owned();
        }
    }
    let line = words.join(" ").replace("connections is in use", "connections are in use");
    match line.split_once(": localhost is ") {
        Some((before, _)) => format!("{before}: localhost is 127.0.0.1, ::1"),
        None => line,
    }
}

/// What varies of a site that listens on `port` and asks `provider`.
fn known(port: u16, provider: &ScriptedProvider) -> Known {
    vec![
        (format!("localhost:{port}"), "localhost:3000"),
        (format!("port {port}"), "port 3000"),
        (provider.issuer().to_owned(), "https://accounts.google.com"),
        (format!("SQLite {}", rusqlite::version()), "SQLite 3.51.1"),
    ]
}

/// What varies of a site that browsers reach at `public_url` by way of somebody else.
fn front(public_url: &str) -> [(String, &'static str); 2] {
    let (scheme, host) = public_url.split_once("://").expect("a URL");
    let (_, port) = host.split_once(':').expect("a port");
    let (shown_host, shown_port) =
        if scheme == "https" { ("localhost:8443", "port 8443") } else { ("localhost:8080", "port 8080") };
    [(host.to_owned(), shown_host), (format!("port {port}"), shown_port)]
}

/// Runs `doorward doctor` in `folder`.
fn doctor(heading: &'static str, folder: &Path, known: &Known) -> Shown {
    let ran = binary::run(binary::command(folder).args(["--config", "config.toml", "doctor"]));
    Shown::new(heading, "doorward --config config.toml doctor", &ran, known)
}

/// The same for a site that runs on `port`, after `change`.
fn running(heading: &'static str, provider: &ScriptedProvider, rest: &str, change: impl FnOnce(&Path)) -> Shown {
    let site = started(Binary::serve(rest));
    change(site.folder.path());
    agree(provider, 0);
    doctor(heading, site.folder.path(), &known(site.port, provider))
}

/// The same for a site that does not run.
fn stopped(heading: &'static str, provider: &ScriptedProvider, rest: &str) -> Shown {
    let (folder, port) = (tempfile::tempdir().expect("a folder"), free_port());
    let place = format!("public_url = \"http://localhost:{port}\"\nserver.listen = \"localhost:{port}\"\n");
    binary::configure(folder.path(), &format!("{place}{rest}"));
    agree(provider, 0);
    doctor(heading, folder.path(), &known(port, provider))
}

fn started(site: Binary) -> Binary {
    site.program.wait_for("the start", |line| line.contains("Doorward is at").then_some(()));
    site
}

/// Lets the provider's clock be ahead of ours.
fn agree(provider: &ScriptedProvider, ahead: i64) {
    provider.script().now = SystemClock.now().unix() + ahead;
}

fn page() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/doctor.md")
}

/// Where the block below `heading` stands.
fn block(text: &str, heading: &str) -> Option<Range<usize>> {
    const OPEN: &str = "```console\n";
    let begin = text.find(&format!("\n## {heading}\n"))? + 1;
    let end = text[begin..].find("\n## ").map_or(text.len(), |length| begin + length);
    let begin = begin + text[begin..end].find(OPEN)? + OPEN.len();
    Some(begin..begin + text[begin..end].find("```\n")?)
}

/// Holds the page against what was printed, or writes it there.
fn hold(all: &[Shown]) {
    if std::env::var_os("DOORWARD_TEST_REWRITE").is_some() {
        return rewrite(all);
    }
    let text = fs::read_to_string(page()).expect("docs/doctor.md");
    let mut differences = String::new();
    for Shown { heading, block: printed } in all {
        let on_page = block(&text, heading).map_or("", |place| &text[place]);
        if on_page != printed {
            let _ = writeln!(differences, "\n## {heading}\n{}", difference(on_page, printed));
        }
    }
    assert!(
        differences.is_empty(),
        "docs/doctor.md does not show what is printed (- the page, + the program):\n{differences}\n\
         DOORWARD_TEST_REWRITE=1 tests/run test doctor_page writes it anew; read what changed before it is committed"
    );
}

/// The lines that differ, between those at both ends that do not.
fn difference(page: &str, printed: &str) -> String {
    let (old, new): (Vec<_>, Vec<_>) = (page.lines().collect(), printed.lines().collect());
    let same = old.iter().zip(&new).take_while(|(old, new)| old == new).count();
    let (old, new) = (&old[same..], &new[same..]);
    let tail = old.iter().rev().zip(new.iter().rev()).take_while(|(old, new)| old == new).count();
    let lines = |lines: &[&str], sign| {
        lines[..lines.len() - tail].iter().map(|line| format!("{sign} {line}\n")).collect::<String>()
    };
    format!("{}{}", lines(old, '-'), lines(new, '+'))
}

/// Other tests may be at it at the same time, in processes of their own: whoever made this folder writes.
fn rewrite(all: &[Shown]) {
    let lock = Path::new(env!("CARGO_TARGET_TMPDIR")).join("doctor-page-is-written");
    let deadline = Instant::now() + PATIENCE;
    while fs::create_dir(&lock).is_err() {
        assert!(Instant::now() < deadline, "somebody writes for ever, or died at it: remove {}", lock.display());
        std::thread::sleep(PAUSE);
    }
    let mut text = fs::read_to_string(page()).expect("docs/doctor.md");
    for Shown { heading, block: printed } in all {
        let place = block(&text, heading).unwrap_or_else(|| panic!("no ```console block below ## {heading}"));
        text.replace_range(place, printed);
    }
    fs::write(page(), text).expect("a disk");
    fs::remove_dir(&lock).expect("our own");
}

#[test]
fn the_page_has_a_block_for_a_site_that_is_well_and_for_more_than_ten_that_are_not() {
    let text = fs::read_to_string(page()).expect("docs/doctor.md");
    let headings: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("## ")).collect();
    assert_eq!(headings, HEADINGS);
    for heading in HEADINGS {
        let block = &text[block(&text, heading).expect(heading)];
        let count = |outcome: &str| block.lines().filter(|line| line.starts_with(outcome)).count();
        let is_well = count("failure ") + count("warning ") == 0;
        assert_eq!(is_well, heading == WELL, "{block}");
        let code = if count("failure ") > 0 { "1" } else { "0" };
        assert!(block.ends_with(&format!("$ echo $?\n{code}\n")), "{block}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_shows_what_is_printed_of_sites_that_need_no_server() {
    let provider = provider().await;
    let rest = google(&provider);
    let mut shown = vec![
        stopped(MISSPELT, &provider, &format!("{rest}[sessions]\nidel = \"7d\"\n")),
        running(READABLE, &provider, &rest, |folder| {
            fs::set_permissions(folder.join("config.toml"), Permissions::from_mode(0o644)).expect("its mode");
        }),
        running(SECRET, &provider, &rest.replace("GOCSPX-right", "GOCSPX-wrong"), |_| ()),
        stopped(STOPPED, &provider, &rest),
    ];

    let port = free_port();
    let nobody = format!("http://127.0.0.1:{port}");
    let site = started(Binary::serve(&rest.replace(provider.issuer(), &nobody)));
    let mut varies = known(site.port, &provider);
    varies.push((nobody, "https://accounts.google.com"));
    shown.push(doctor(AWAY, site.folder.path(), &varies));

    let site = started(Binary::serve(&rest));
    agree(&provider, 3600);
    shown.push(doctor(CLOCK, site.folder.path(), &known(site.port, &provider)));
    agree(&provider, 0);

    // What the tutorials have people register.
    let (port, client) = (free_port(), "client_secret.json");
    let site = Binary::serve_with(
        port,
        &format!("[providers.google]\nissuer = {:?}\nclient_json = {client:?}\n", provider.issuer()),
        |folder| {
            let registered = serde_json::json!({ "web": {
                "client_id": "1234-evening.apps.googleusercontent.com", "client_secret": "GOCSPX-right",
                "redirect_uris": ["https://127.0.0.1:5000/login/callback"],
            }});
            fs::write(folder.join(client), registered.to_string()).expect("a file");
            fs::set_permissions(folder.join(client), Permissions::from_mode(0o600)).expect("its mode");
        },
    );
    shown.push(doctor(REDIRECT_URI, started(site).folder.path(), &known(port, &provider)));

    let theirs = provider.issuer().replace("127.0.0.1", "localhost");
    let site = started(Binary::behind(&theirs, &rest));
    let mut varies = front(&theirs).to_vec();
    varies.extend(known(site.port, &provider));
    shown.push(doctor(ELSEWHERE, site.folder.path(), &varies));

    let mut site = started(Binary::serve(&rest));
    site.program.terminate();
    damage(&site.folder.path().join("doorward.db"));
    agree(&provider, 0);
    shown.push(doctor(DAMAGED, site.folder.path(), &known(site.port, &provider)));

    let port = free_port();
    let down = format!("{rest}[database]\nurl = \"mysql://site@localhost:{port}/site\"\n");
    let site = Binary::serve(&down);
    site.program.wait_for("the database's absence", |line| line.contains("nobody answers as MySQL").then_some(()));
    let mut varies = vec![(format!("localhost:{port}"), "localhost:3306")];
    varies.extend(known(site.port, &provider));
    agree(&provider, 0);
    shown.push(doctor(DOWN, site.folder.path(), &varies));
    hold(&shown);
}

/// Overwrites the middle of a file, as a disk does that breaks.
fn damage(file: &Path) {
    let mut bytes = fs::read(file).expect("the database");
    let middle = bytes.len() / 2;
    bytes[middle..].fill(0xAA);
    fs::write(file, bytes).expect("a disk");
}

/// A MariaDB server of this test's own, as it is set when nobody changes it.
struct Database(Server);

impl Database {
    fn port(&self) -> u16 {
        url::Url::parse(&self.0.url()).expect("a URL").port().expect("a port")
    }

    /// Does what an administrator may.
    async fn run(&self, statements: &[&str]) -> String {
        let pool = Pool::new(self.0.url().as_str());
        let mut conn = pool.get_conn().await.expect("the server");
        let mut last = None;
        for statement in statements {
            last = conn.query_first::<String, _>(*statement).await.expect(statement);
        }
        drop(conn);
        pool.disconnect().await.expect("a pool can be left");
        last.unwrap_or_default()
    }

    /// An empty database and an account for it.
    async fn fresh(&self) {
        self.run(&[
            "drop database if exists site",
            "create database site",
            "create or replace user site@localhost identified by 'site-secret'",
            "grant all on site.* to site@localhost",
        ])
        .await;
    }

    /// The configuration for it.
    fn config(&self, provider: &ScriptedProvider) -> String {
        let place = format!("mysql://site:site-secret@localhost:{}/site", self.port());
        format!("{}[database]\nurl = {place:?}\n", google(provider))
    }

    async fn known(&self, port: u16, provider: &ScriptedProvider) -> Known {
        let version = self.run(&["select version()"]).await;
        let version = version.split('-').next().unwrap_or_default();
        let mut varies = known(port, provider);
        varies.push((format!("localhost:{}", self.port()), "localhost:3306"));
        varies.push((format!("MariaDB {version}"), "MariaDB 11.8.3"));
        varies
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_shows_what_is_printed_of_sites_with_a_database_server() {
    let Some(server) = Server::start().map(Database) else { return };
    let provider = provider().await;
    let mut shown = Vec::new();
    server.fresh().await;

    if Tier::Proxies.here().is_some() {
        let (site, nginx, files) = behind_nginx("https", &server.config(&provider), GOOD);
        fs::copy(files.path().join("site.crt"), site.folder.path().join("authority.pem")).expect("a file");
        agree(&provider, 0);
        let ran = site.run(&["doctor", "--ca-file", "authority.pem"]);
        let mut varies = server.known(site.port, &provider).await;
        varies.extend(front(&site.public_url));
        shown.push(Shown::new(WELL, "doorward --config config.toml doctor --ca-file authority.pem", &ran, &varies));
        drop((site, nginx, files));
    }

    let stopped = async |heading, rest: &str| -> Shown {
        let (folder, port): (TempDir, u16) = (tempfile::tempdir().expect("a folder"), free_port());
        let place = format!("public_url = \"http://localhost:{port}\"\nserver.listen = \"localhost:{port}\"\n");
        binary::configure(folder.path(), &format!("{place}{rest}"));
        agree(&provider, 0);
        doctor(heading, folder.path(), &server.known(port, &provider).await)
    };
    shown.push(stopped(PASSWORD, &server.config(&provider).replace("site-secret", "another")).await);

    let site = started(Binary::serve(&server.config(&provider)));
    server.run(&["revoke all on site.* from site@localhost", "grant select on site.* to site@localhost"]).await;
    agree(&provider, 0);
    shown.push(doctor(RIGHTS, site.folder.path(), &server.known(site.port, &provider).await));
    drop(site);

    server.fresh().await;
    server.run(&["create table site.users (id int primary key auto_increment, email varchar(255), name text)"]).await;
    shown.push(stopped(NUMBERS, &server.config(&provider)).await);

    server.fresh().await;
    let table = "create table site.users (id varchar(255) character set latin1 collate latin1_swedish_ci primary key, \
                 email varchar(255), name varchar(255), picture varchar(255))";
    server.run(&[table, "set global sql_mode = ''"]).await;
    let site = started(Binary::serve(&server.config(&provider)));
    agree(&provider, 0);
    shown.push(doctor(LAX, site.folder.path(), &server.known(site.port, &provider).await));
    drop(site);
    server.run(&["set global sql_mode = default"]).await;

    server.fresh().await;
    let site = started(Binary::serve(&server.config(&provider)));
    server.run(&["set global read_only = on"]).await;
    agree(&provider, 0);
    shown.push(doctor(READ_ONLY, site.folder.path(), &server.known(site.port, &provider).await));
    hold(&shown);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_shows_what_is_printed_of_sites_behind_a_proxy() {
    if Tier::Proxies.here().is_none() {
        return;
    }
    let provider = provider().await;
    let mut shown = Vec::new();

    let rules = "[[gate.rules]]\nhost = \"app.localhost:3000\"\nallow = \"everyone\"\n";
    let block = "location / { proxy_pass SITE; proxy_set_header Host localhost:PORT; }";
    let (site, nginx, files) = behind_nginx("http", &format!("{}{rules}", google(&provider)), block);
    let mut varies = known(site.port, &provider);
    varies.extend(front(&site.public_url));
    agree(&provider, 0);
    shown.push(doctor(PROXY, site.folder.path(), &varies));
    drop((site, nginx, files));

    let (certificate, key) = made_for_localhost(|made| made.not_after = rcgen::date_time_ymd(2026, 1, 1));
    let (site, _nginx, files) = behind_nginx_with("https", &google(&provider), GOOD, &certificate, &key);
    fs::copy(files.path().join("site.crt"), site.folder.path().join("authority.pem")).expect("a file");
    let mut varies = known(site.port, &provider);
    varies.extend(front(&site.public_url));
    agree(&provider, 0);
    let ran = site.run(&["doctor", "--ca-file", "authority.pem"]);
    shown.push(Shown::new(EXPIRED, "doorward --config config.toml doctor --ca-file authority.pem", &ran, &varies));
    hold(&shown);
}
