//! A database of a test's own: a SQLite file in a temporary folder, or a fresh database on a server that `tests/run`
//! started.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};

use doorward::config::database::{Database, Mysql, Place as Where, Tls};
use doorward::config::secret::Secret;
use mysql_async::prelude::Queryable;
use tempfile::TempDir;
use url::Url;

use crate::site::tiers::Tier;

/// Which kind of database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In a file.
    Sqlite,
    /// On the MariaDB server.
    MariaDb,
    /// On the MySQL server.
    MySql,
}

/// A database that is there for one test.
pub enum Kept {
    /// A file in a folder that goes with the value.
    Sqlite(TempDir),
    /// A database of this name on the server at this address.
    Server {
        /// The server, with an account that may do everything.
        server: Url,
        /// The database.
        name: String,
    },
}

impl Place {
    /// Every kind.
    pub const fn all() -> [Self; 3] {
        [Self::Sqlite, Self::MariaDb, Self::MySql]
    }

    /// A fresh database. `None`: the tier is missing.
    pub async fn fresh(self) -> Option<Kept> {
        let tier = match self {
            Self::Sqlite => return Some(Kept::Sqlite(tempfile::tempdir().expect("a temporary folder"))),
            Self::MariaDb => Tier::MariaDb,
            Self::MySql => Tier::MySql,
        };
        Some(Kept::at(&tier.here()?).await)
    }
}

impl Kept {
    /// A fresh database on the server at `url`.
    pub async fn at(url: &str) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let server = Url::parse(url).expect("the URL of a server");
        let kept = Self::Server { server, name: format!("site_{}_{number}", std::process::id()) };
        // A server outlives the tests, and numbers of processes come again.
        kept.execute_at_server(&format!("drop database if exists {}", kept.name())).await;
        kept.execute_at_server(&format!("create database {}", kept.name())).await;
        kept
    }

    /// It in the words of a configuration, reached by way of `through` where that is given.
    pub fn config(&self, through: Option<SocketAddr>) -> Database {
        let place = match self {
            Self::Sqlite(folder) => Where::Sqlite(folder.path().join("doorward.db")),
            Self::Server { server, name } => Where::Mysql(Mysql {
                host: through.map_or_else(|| host(server), |address| address.ip().to_string()),
                port: through.map_or_else(|| port(server), |address| address.port()),
                others: Vec::new(),
                user: server.username().to_owned(),
                password: Secret::new(server.password().unwrap_or_default()),
                name: name.clone(),
                tls: Tls::Off,
                max_connections: 10,
            }),
        };
        Database { place, ..Database::default() }
    }

    /// The same as a URL, for the configuration of a real process.
    pub fn url(&self) -> String {
        match self {
            Self::Sqlite(folder) => format!("sqlite:{}", folder.path().join("doorward.db").display()),
            Self::Server { server, name } => {
                let mut url = server.clone();
                url.set_path(name);
                url.to_string()
            }
        }
    }

    /// Where its server listens.
    pub fn address(&self) -> Option<SocketAddr> {
        match self {
            Self::Sqlite(_) => None,
            Self::Server { server, .. } => format!("{}:{}", host(server), port(server)).parse().ok(),
        }
    }

    /// Does to it what somebody else than Doorward may do. How many rows that changed.
    pub async fn execute(&self, statement: &str) -> u64 {
        match self {
            Self::Sqlite(folder) => {
                let connection = rusqlite::Connection::open(folder.path().join("doorward.db")).expect("the file");
                connection.execute(statement, []).expect(statement) as u64
            }
            Self::Server { .. } => {
                let pool = mysql_async::Pool::new(self.url().as_str());
                let mut connection = pool.get_conn().await.expect("the server");
                connection.query_drop(statement).await.expect(statement);
                let changed = connection.affected_rows();
                drop(connection);
                pool.disconnect().await.expect("a pool can be left");
                changed
            }
        }
    }

    /// How many rows there are: `TABLE where …`.
    pub async fn count(&self, rows: &str) -> i64 {
        let statement = format!("select count(*) from {rows}");
        match self {
            Self::Sqlite(folder) => {
                let connection = rusqlite::Connection::open(folder.path().join("doorward.db")).expect("the file");
                connection.query_row(&statement, [], |row| row.get(0)).expect("a count")
            }
            Self::Server { .. } => {
                let pool = mysql_async::Pool::new(self.url().as_str());
                let mut connection = pool.get_conn().await.expect("the server");
                let count: Option<i64> = connection.query_first(&statement).await.expect("a count");
                drop(connection);
                pool.disconnect().await.expect("a pool can be left");
                count.expect("one row")
            }
        }
    }

    /// Does to its server what an administrator may do.
    pub async fn execute_at_server(&self, statement: &str) {
        let Self::Server { server, .. } = self else { return };
        let pool = mysql_async::Pool::new(server.as_str());
        let mut connection = pool.get_conn().await.expect("the server of the tier answers");
        connection.query_drop(statement).await.expect(statement);
        drop(connection);
        pool.disconnect().await.expect("a pool can be left");
    }

    /// What the database is called.
    pub fn name(&self) -> &str {
        match self {
            Self::Sqlite(_) => "main",
            Self::Server { name, .. } => name,
        }
    }
}

fn host(server: &Url) -> String {
    server.host_str().unwrap_or("127.0.0.1").to_owned()
}

fn port(server: &Url) -> u16 {
    server.port().unwrap_or(3306)
}
