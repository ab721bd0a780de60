//! Databases for tests, each its own: a file of SQLite, or a fresh database on MariaDB or MySQL. What the site's own
//! programs would do to it is done over a connection of its own, not through the store.
//!
//! The servers are set to be as careless as servers are: no strict mode, a time zone with half an hour in it.

use std::env;
use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use doorward::clock::Clock;
use doorward::config::database::{Database as Config, Mysql, Place, Tls};
use doorward::config::secret::Secret;
use doorward::names::Names;
use doorward::store::{self, SharedStore};
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Opts, OptsBuilder};
use tempfile::TempDir;

use crate::site::kernel::{Network, SmallDisk};
use crate::site::program::wait_until_stopped;
use crate::site::tiers::Tier;

/// Whose words are spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Sqlite,
    MariaDb,
    MySql,
}

/// A database of a test's own; it ends with the value.
pub struct Database {
    pub kind: Kind,
    pub config: Config,
    server: Option<Opts>,
    _folder: Option<TempDir>,
}

/// A row as the texts in it.
pub type Row = Vec<Option<String>>;

impl Database {
    /// A file that is not there yet, in a folder of its own.
    pub fn sqlite() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let place = Place::Sqlite(folder.path().join("doorward.db"));
        let config = Config { place, users_table: "users".to_owned() };
        Self { kind: Kind::Sqlite, config, server: None, _folder: Some(folder) }
    }

    /// A fresh database on MariaDB. `None`: there is none here, which was said aloud.
    pub async fn mariadb() -> Option<Self> {
        let url = mariadb_url()?;
        Some(Self::on_server(Kind::MariaDb, &url).await)
    }

    /// A fresh database on MySQL. `None`: there is none here, which was said aloud.
    pub async fn mysql() -> Option<Self> {
        let url = Tier::MySql.here()?;
        Some(Self::on_server(Kind::MySql, &url).await)
    }

    /// A fresh database on each server that is here, for what a file does not know.
    pub async fn servers() -> Vec<Self> {
        [Self::mariadb().await, Self::mysql().await].into_iter().flatten().collect()
    }

    async fn on_server(kind: Kind, url: &str) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::SeqCst);
        let name = format!("doorward_{}_{number}", std::process::id());
        let opts = Opts::from_url(url).expect("a URL that the harness made");
        let server: Opts = OptsBuilder::from_opts(opts).db_name(None::<String>).prefer_socket(false).into();
        let mut conn = Conn::new(server.clone()).await.expect("the server that the harness started");
        conn.query_drop("set global sql_mode = ''").await.expect("the right to set it");
        conn.query_drop("set global time_zone = '+05:30'").await.expect("the right to set it");
        conn.query_drop(format!("drop database if exists {name}")).await.expect("the right to drop");
        conn.query_drop(format!("create database {name}")).await.expect("the right to create");
        let place = Place::Mysql(Mysql {
            host: server.ip_or_hostname().to_owned(),
            port: server.tcp_port(),
            others: Vec::new(),
            user: server.user().unwrap_or_default().to_owned(),
            password: Secret::new(server.pass().unwrap_or_default()),
            name,
            tls: Tls::Off,
            max_connections: 8,
        });
        let config = Config { place, users_table: "users".to_owned() };
        Self { kind, config, server: Some(server), _folder: None }
    }

    /// A store on this database, not made ready yet.
    pub fn store(&self, clock: Arc<dyn Clock>) -> SharedStore {
        store::open(&self.config, Names::from_system(), clock)
    }

    /// The server's place, to be reached by another way.
    pub fn place(&self) -> Mysql {
        match &self.config.place {
            Place::Mysql(place) => place.clone(),
            Place::Sqlite(_) => panic!("a file has no address"),
        }
    }

    /// Runs statements as the site's own program would, with whatever the server's defaults are.
    pub async fn run(&self, statements: &[&str]) {
        for statement in statements {
            self.rows(statement).await;
        }
    }

    /// The rows that a statement gives to the site's own program.
    pub async fn rows(&self, statement: &str) -> Vec<Row> {
        self.try_rows(statement).await.unwrap_or_else(|error| panic!("{statement}: {error}"))
    }

    /// The rows, or what the database says against the statement.
    pub async fn try_rows(&self, statement: &str) -> Result<Vec<Row>, String> {
        match &self.config.place {
            Place::Sqlite(path) => {
                let conn = rusqlite::Connection::open(path).map_err(|error| error.to_string())?;
                conn.busy_timeout(Duration::from_secs(5)).map_err(|error| error.to_string())?;
                sqlite_rows(&conn, statement).map_err(|error| error.to_string())
            }
            Place::Mysql(place) => {
                let server = self.server.clone().expect("a database on a server");
                let opts = OptsBuilder::from_opts(server).db_name(Some(place.name.clone()));
                let mut conn = Conn::new(opts).await.map_err(|error| error.to_string())?;
                let rows: Vec<mysql_async::Row> = conn.query(statement).await.map_err(|error| error.to_string())?;
                Ok(texts(&rows))
            }
        }
    }

    /// The one value that a statement gives, empty where it is null.
    pub async fn value(&self, statement: &str) -> String {
        let rows = self.rows(statement).await;
        rows.into_iter().next().and_then(|row| row.into_iter().next().flatten()).unwrap_or_default()
    }
}

/// Rows of a server as the texts in them.
pub fn texts(rows: &[mysql_async::Row]) -> Vec<Row> {
    let text = |row: &mysql_async::Row, place| match row.as_ref(place) {
        Some(mysql_async::Value::Bytes(bytes)) => Some(String::from_utf8_lossy(bytes).into_owned()),
        _ => None,
    };
    rows.iter().map(|row| (0..row.len()).map(|place| text(row, place)).collect()).collect()
}

fn sqlite_rows(conn: &rusqlite::Connection, statement: &str) -> rusqlite::Result<Vec<Row>> {
    use rusqlite::types::ValueRef;
    let mut statement = conn.prepare(statement)?;
    let columns = statement.column_count();
    let text = |value: ValueRef<'_>| match value {
        ValueRef::Integer(number) => Some(number.to_string()),
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
        ValueRef::Real(_) | ValueRef::Null => None,
    };
    if columns == 0 {
        statement.execute([])?;
        return Ok(Vec::new());
    }
    let rows = statement.query_map([], |row| (0..columns).map(|place| row.get_ref(place).map(text)).collect())?;
    rows.collect()
}

impl Drop for Database {
    fn drop(&mut self) {
        let (Some(server), Place::Mysql(place)) = (self.server.take(), &self.config.place) else { return };
        let drop_it = format!("drop database if exists {}", place.name);
        // A runtime of its own: the test's may be ending.
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                let dropped = async { Conn::new(server).await?.query_drop(drop_it).await };
                // A test may have left its server in no state to answer.
                let _ = tokio::time::timeout(Duration::from_secs(5), dropped).await;
            });
        });
        let _ = dropping.join();
    }
}

/// MariaDB as `tests/run` started it, or else a server of this process.
#[expect(clippy::disallowed_methods, reason = "tiers are turned on by the environment")]
fn mariadb_url() -> Option<String> {
    static PRIVATE: OnceLock<Option<Server>> = OnceLock::new();
    if env::var(Tier::MariaDb.variable()).is_ok_and(|url| !url.is_empty()) {
        return Tier::MariaDb.here();
    }
    PRIVATE.get_or_init(Server::start).as_ref().map(Server::url).or_else(|| Tier::MariaDb.here())
}

/// A MariaDB server of a test's own, that may be stopped and killed. It dies with this process, however that ends.
pub struct Server {
    folder: TempDir,
    /// The network that it is in, where that is not ours.
    network: Option<String>,
    address: String,
    port: u16,
    further: Vec<String>,
    id: AtomicU32,
}

impl Server {
    /// Makes a server and starts it. `None`: MariaDB is not installed.
    pub fn start() -> Option<Self> {
        Self::start_with(Vec::new())
    }

    /// The same with further options.
    pub fn start_with(further: Vec<String>) -> Option<Self> {
        Self::start_in(folder_for_a_server(), None, further)
    }

    /// One whose data lies on `disk`.
    pub fn start_on(disk: &SmallDisk, further: Vec<String>) -> Option<Self> {
        Self::start_in(tempfile::tempdir_in(disk.path()).expect("a folder"), None, further)
    }

    /// One on the other machine of `network`.
    pub fn start_behind(network: &Network) -> Option<Self> {
        let folder = folder_for_a_server();
        let welcome = folder.path().join("welcome.sql");
        let accounts = "create user if not exists root@'%';\ngrant all on *.* to root@'%' with grant option;\n";
        std::fs::write(&welcome, accounts).expect("a file");
        let further = vec!["--bind-address=0.0.0.0".to_owned(), format!("--init-file={}", welcome.display())];
        Self::start_in(folder, Some(network), further)
    }

    fn start_in(folder: TempDir, network: Option<&Network>, further: Vec<String>) -> Option<Self> {
        let made = Command::new("mariadb-install-db")
            .args(["--no-defaults", "--skip-test-db", "--auth-root-authentication-method=normal"])
            .arg(format!("--datadir={}", folder.path().join("data").display()))
            .args(["--innodb-log-file-size=8M"])
            .args(as_root())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        if !made.is_ok_and(|status| status.success()) {
            return None;
        }
        let port = TcpListener::bind(("127.0.0.1", 0)).and_then(|free| free.local_addr()).expect("a free port").port();
        let address = network.map_or_else(|| "127.0.0.1".to_owned(), |network| network.address.clone());
        let network = network.map(|network| network.name.clone());
        let server = Self { folder, network, address, port, further, id: AtomicU32::new(0) };
        server.run();
        Some(server)
    }

    /// Its process.
    pub fn id(&self) -> u32 {
        self.id.load(Ordering::SeqCst)
    }

    /// A fresh database on it.
    pub async fn database(&self) -> Database {
        Database::on_server(Kind::MariaDb, &self.url()).await
    }

    /// The server as `mysql://…`, with an account that may do everything.
    pub fn url(&self) -> String {
        format!("mysql://root:@{}:{}/mysql", self.address, self.port)
    }

    /// Starts the server on what it kept, and returns when it answers.
    pub fn run(&self) {
        // The command becomes the server: its process is the one to end.
        let mut server = Command::new(if self.network.is_some() { "ip" } else { "setpriv" });
        if let Some(network) = &self.network {
            server.args(["netns", "exec", network, "setpriv"]);
        }
        server
            .args(["--pdeathsig", "KILL", "mariadbd", "--no-defaults", "--bind-address=127.0.0.1"])
            .arg(format!("--datadir={}", self.folder.path().join("data").display()))
            .arg(format!("--socket={}", self.folder.path().join("socket").display()))
            .arg(format!("--port={}", self.port))
            .args(["--innodb-buffer-pool-size=64M", "--innodb-log-file-size=8M", "--max-connections=400"])
            .args(&self.further)
            .args(as_root())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let (started, starting) = std::sync::mpsc::channel();
        // The signal comes when the thread that started the server ends: this one ends with the server.
        std::thread::spawn(move || {
            let mut child = server.spawn().expect("setpriv and mariadbd beside mariadb-install-db");
            started.send(child.id()).expect("somebody waits for it");
            child.wait().expect("a child of ours");
        });
        self.id.store(starting.recv().expect("a server"), Ordering::SeqCst);
        let deadline = Instant::now() + Duration::from_secs(60);
        while !self.greets() {
            assert!(Instant::now() < deadline, "mariadbd did not come up");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Whether it says the first word, as a server does that is ready.
    fn greets(&self) -> bool {
        let greeted = std::net::TcpStream::connect((self.address.as_str(), self.port))
            .and_then(|mut server| std::io::Read::read_exact(&mut server, &mut [0]));
        greeted.is_ok()
    }

    /// Sends the server a signal: `STOP`, `CONT`, `KILL`. Returns from `STOP` when nothing of it runs any more.
    pub fn signal(&self, name: &str) {
        let id = self.id().to_string();
        let sent = Command::new("kill").args(["-s", name, &id]).status().expect("kill");
        assert!(sent.success(), "the server is gone");
        if name == "STOP" {
            wait_until_stopped(self.id());
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let id = self.id.load(Ordering::SeqCst).to_string();
        // It may be dead already.
        let _ = Command::new("kill").args(["-s", "KILL", &id]).stderr(Stdio::null()).status();
    }
}

/// A folder that names this process. What processes before left behind, whose end no destructor saw, goes first.
fn folder_for_a_server() -> TempDir {
    let all = std::path::Path::new(env!("CARGO_TARGET_TMPDIR"));
    for entry in std::fs::read_dir(all).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let owner = name.strip_prefix("mariadb-").and_then(|rest| rest.split('-').next());
        if owner.is_some_and(|owner| !std::path::Path::new("/proc").join(owner).exists()) {
            // Another process may be clearing up too.
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
    tempfile::Builder::new()
        .prefix(&format!("mariadb-{}-", std::process::id()))
        .tempdir_in(all)
        .expect("cargo makes this folder")
}

/// MariaDB's programs refuse to run as root unless told to; elsewhere they would refuse the option.
fn as_root() -> &'static [&'static str] {
    let is_root = std::fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0);
    if is_root { &["--user=root"] } else { &[] }
}
