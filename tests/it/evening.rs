//! The first evening: from `doorward init` to a page of one's own, in PHP and in Python as the README has them, that
//! greets the person by name, beside a tutorial's table with people in it.

use std::fs;
use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use doorward::clock::{Clock, SystemClock};
use tempfile::TempDir;

use crate::readme;
use crate::site::binary;
use crate::site::browser::Browser;
use crate::site::line::Line;
use crate::site::place::{Kept, Place};
use crate::site::program::{PATIENCE, PAUSE, Program, free_port};
use crate::site::provider::ScriptedProvider;
use crate::site::tiers::Tier;
use crate::site::visitors::{Anonymous, Visitor};

/// Where everything is on this machine, in place of the addresses that the README names.
struct Places {
    site: String,
    app: String,
    /// Host and port of the database, and its name.
    database: (String, u16, String),
}

impl Places {
    fn port(address: &str) -> u16 {
        address.rsplit(':').next().and_then(|port| port.parse().ok()).expect("an address with a port")
    }

    /// The README's program in `language`, exactly as written but for these places.
    fn program(&self, language: &str) -> String {
        let blocks = readme::whole_blocks(language);
        let [block] = blocks.as_slice() else { panic!("{} blocks in {language}", blocks.len()) };
        let (host, port, name) = &self.database;
        let place = format!("mysql:host={host};port={port};dbname={name};charset=utf8mb4', 'tests', 'tests'");
        block
            .replace("http://localhost:3000", &self.site)
            .replace("doorward_3000", &format!("doorward_{}", Self::port(&self.site)))
            .replace("http://localhost:8000", &self.app)
            .replace("\"localhost\", 8000", &format!("\"localhost\", {}", Self::port(&self.app)))
            .replace("mysql:host=127.0.0.1;dbname=doorward;charset=utf8mb4', 'root', ''", &place)
    }

    /// Starts the README's program in `folder` and waits until it listens.
    fn start(&self, language: &str, folder: &Path) -> Program {
        let mut command = match language {
            "php" => {
                fs::write(folder.join("index.php"), self.program("php")).expect("a program");
                let mut php = Command::new("php");
                php.args(["-S", self.app.trim_start_matches("http://")]);
                php
            }
            _ => {
                fs::write(folder.join("hello.py"), self.program("python")).expect("a program");
                let mut python = Command::new("python3");
                python.arg("hello.py");
                python
            }
        };
        let mut program = Program::start(command.current_dir(folder));
        let deadline = Instant::now() + PATIENCE;
        let port = Self::port(&self.app);
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() && TcpStream::connect(("::1", port)).is_err() {
            assert!(program.has_ended().is_none() && Instant::now() < deadline, "{language}: {}", program.said());
            std::thread::sleep(PAUSE);
        }
        program
    }
}

/// What the evening begins with: the client that the console made, and a tutorial's database with people in it.
async fn before(database: &Kept) {
    let table = "create table users (id varchar(255) primary key, email varchar(255), name varchar(255), \
                 picture varchar(255))";
    database.execute(table).await;
    let rows = "insert into users values ('1101', 'old@example.com', 'An Old Name', null), \
                ('2202', 'grace@example.com', 'Grace', 'https://lh3.googleusercontent.com/g')";
    database.execute(rows).await;
    database.execute(&readme::quoted("create table notes")).await;
    database.execute("insert into notes values ('1101', 'buy <milk>'), ('2202', 'grace only')").await;
}

fn googles_file(folder: &Path, site: &str, client_id: &str) {
    let client = serde_json::json!({ "web": {
        "client_id": client_id,
        "client_secret": "GOCSPX-evening",
        "redirect_uris": [format!("{site}/login/callback")],
    }});
    let file = folder.join("client_secret_evening.json");
    fs::write(&file, client.to_string()).expect("a file");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("its mode");
}

async fn provider(client_id: &str) -> ScriptedProvider {
    let provider = ScriptedProvider::start().await;
    let mut script = provider.script();
    script.now = SystemClock.now().unix();
    script.client_id = client_id.to_owned();
    script.client_secret = "GOCSPX-evening".to_owned();
    drop(script);
    provider
}

/// Loads the page again until it shows `text`: what the database's return brings takes a moment.
async fn sees_after_a_while(browser: &Browser, text: &str) {
    let deadline = Instant::now() + PATIENCE;
    while !browser.text().await.contains(text) {
        assert!(Instant::now() < deadline, "{text:?} does not come:\n{}", browser.text().await);
        tokio::time::sleep(PAUSE).await;
        browser.reload().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn at_its_end_ones_own_page_greets_the_person_by_name() {
    if Tier::Browser.here().is_none() {
        return;
    }
    let Some(database) = Place::MariaDb.fresh().await else { return };
    before(&database).await;
    let Kept::Server { name, .. } = &database else { panic!("MariaDB is a server") };
    let server = database.address().expect("a server has an address");
    let line = Line::to(server).await;
    let (site, app) = (format!("http://localhost:{}", free_port()), format!("http://localhost:{}", free_port()));
    let places = Places {
        site: site.clone(),
        app: app.clone(),
        database: (server.ip().to_string(), server.port(), name.clone()),
    };
    let client_id = "1234-evening.apps.googleusercontent.com";
    let provider = provider(client_id).await;

    // Configure: the file from the console lies in the folder.
    let folder = tempfile::tempdir().expect("a folder");
    googles_file(folder.path(), &site, client_id);
    let url = database.url().replace(&server.to_string(), &line.address.to_string());
    let doorward = |arguments: &[&str]| {
        // The one thing that is not as on that evening: who answers for Google.
        let mut command = binary::command(folder.path());
        command.env("DOORWARD_PROVIDERS__GOOGLE__ISSUER", provider.issuer()).args(arguments);
        command
    };
    let written = binary::run(&mut doorward(&["init", "--yes", "--database-url", &url, "--app", &app]));
    assert_eq!(written.code, 0, "{written:#?}");
    assert!(written.stderr.contains("lists it: done") && written.stderr.contains("takes over the row"), "{written:#?}");
    let checked = binary::run(&mut doorward(&["config", "check"]));
    assert_eq!(checked.code, 0, "{checked:#?}");
    let mut running = Program::start(&mut doorward(&[]));
    running.wait_for("the start", |line| line.contains("Doorward is at").then_some(()));

    // Greet, in PHP.
    let programs = tempfile::tempdir().expect("a folder");
    let profile = tempfile::tempdir().expect("a folder");
    let browser = Browser::open(profile.path()).await;
    let mut php = places.start("php", programs.path());
    browser.visit(&format!("{app}/?page=2")).await;
    browser.click("Sign in").await;
    browser.sees("Hello, Ada Lovelace").await;
    assert_eq!(browser.address().await, format!("{app}/?page=2"), "back where the person was");
    let shown = browser.text().await;
    assert!(shown.contains("buy <milk>") && !shown.contains("grace only"), "{shown}");
    browser.picture("evening-php").await;
    let rows = database.count("users where id = '1101' and name = 'Ada Lovelace' and email = 'ada@example.com'").await;
    let others = database.count("users where id = '2202' and name = 'Grace' and picture like '%/g'").await;
    assert_eq!((rows, others), (1, 1), "her row is hers, the other one is as it was");

    // An outage is no log-out.
    line.cut();
    browser.reload().await;
    browser.sees("Nobody was logged out").await;
    line.mend();
    sees_after_a_while(&browser, "Hello, Ada Lovelace").await;

    // The same in Python, in the same browser.
    php.terminate();
    let _python = places.start("python", programs.path());
    browser.reload().await;
    browser.sees("Hello, Ada Lovelace").await;
    line.cut();
    browser.reload().await;
    browser.sees("Nobody was logged out").await;
    line.mend();
    sees_after_a_while(&browser, "Hello, Ada Lovelace").await;

    // Leave: our page asks, since any page may hold such a link, and ends at the program again.
    browser.click("Log out").await;
    browser.sees("You are signed in as ada@example.com").await;
    browser.click("Log out").await;
    browser.sees("You are logged out").await;
    browser.click("Continue").await;
    browser.sees("Sign in").await;
    assert_eq!(browser.address().await, format!("{app}/"));
    browser.visit(&site).await;
    browser.sees("Login to continue").await;
    browser.close().await;
    assert!(running.terminate().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_six_lines_of_the_example_are_all_that_a_site_needs() {
    let Some(database) = Place::MariaDb.fresh().await else { return };
    let Kept::Server { name, .. } = &database else { panic!("MariaDB is a server") };
    let server = database.address().expect("a server has an address");
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("config.toml.example");
    let example = fs::read_to_string(example).expect("the example");
    let six: Vec<&str> = example.lines().skip(1).take(6).collect();
    let client_id = "1234567890-abcdef.apps.googleusercontent.com";
    let provider = provider(client_id).await;
    provider.script().client_secret = "GOCSPX-from-Googles-console".to_owned();
    let folder = tempfile::tempdir().expect("a folder");
    let config = six.join("\n").replace("\"root\"", "\"tests\"").replace("\"\"", "\"tests\"");
    binary::configure(folder.path(), &config.replace("\"doorward\"", &format!("{name:?}")));
    let port = free_port();
    let mut command = binary::command(folder.path());
    // Where things are on this machine.
    command.env("DOORWARD_PROVIDERS__GOOGLE__ISSUER", provider.issuer());
    command.env("DOORWARD_DATABASE__HOST", server.ip().to_string());
    command.env("DOORWARD_DATABASE__PORT", server.port().to_string());
    command.env("DOORWARD_PUBLIC_URL", format!("http://localhost:{port}"));
    command.env("DOORWARD_SERVER__LISTEN", format!("localhost:{port}"));
    let running = Program::start(&mut command);
    running.wait_for("the start", |line| line.contains("Doorward is at").then_some(()));
    let profile = Anonymous::at(&format!("http://localhost:{port}")).follow("/login").await;
    assert!(profile.status == 200 && profile.body.contains("Ada Lovelace"), "{profile:#?}");
    assert_eq!(database.count("users where id = '1101' and email = 'ada@example.com'").await, 1);
}

/// A program of the README before a site that is not there.
fn alone(language: &str) -> (Places, Program, TempDir) {
    let address = || format!("http://localhost:{}", free_port());
    let places = Places { site: address(), app: address(), database: ("127.0.0.1".to_owned(), 9, "none".to_owned()) };
    let folder = tempfile::tempdir().expect("a folder");
    let program = places.start(language, folder.path());
    (places, program, folder)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_passes_on_nothing_that_is_not_doorwards_and_never_takes_an_outage_for_a_log_out() {
    if Tier::Browser.here().is_none() {
        return;
    }
    for language in ["php", "python"] {
        let (places, _program, _folder) = alone(language);
        let name = format!("doorward_{}", Places::port(&places.site));
        let browser = Anonymous::at(&places.app);
        let ours = "A-_".repeat(14) + "x";
        let with = |cookie: String| {
            let browser = &browser;
            async move { browser.ask(reqwest::Method::GET, "/x?y=z&w", &[("cookie", &cookie)]).await }
        };
        // Whoever has no cookie of ours is nobody, and Doorward need not be asked: it is away, and nothing fails.
        for cookie in [
            "theme=dark".to_owned(),
            format!("{name}=short"),
            format!("{name}={ours}more"),
            format!("{name}=%0D%0AX-Evil:1{}", &ours[..30]),
            format!("not_{name}={ours}"),
            format!("{name}[]={ours}"),
        ] {
            let answer = with(cookie.clone()).await;
            assert_eq!(answer.status, 200, "{language}: {cookie}: {answer:#?}");
            let back = "http%3A%2F%2Flocalhost";
            assert!(answer.body.contains(&format!("/login?rd={back}")), "{language}: {answer:#?}");
            assert!(answer.body.contains("%2Fx%3Fy%3Dz%26w"), "{language}: {answer:#?}");
        }
        // Whoever has one cannot be told: that is not the same as nobody.
        for cookie in [format!("{name}={ours}"), format!("theme=dark; {name}={ours}; other=\"x\"")] {
            let answer = with(cookie.clone()).await;
            assert_eq!(answer.status, 503, "{language}: {cookie}: {answer:#?}");
            assert!(answer.body.contains("Nobody was logged out"), "{language}: {answer:#?}");
            assert_eq!(answer.header("cache-control"), "no-store", "{language}");
        }
    }
}
