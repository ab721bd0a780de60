//! Sessions without sign-ins: as many as are asked for, written straight into the tables that Doorward made.

use std::path::Path;

use doorward::clock::{Clock, SystemClock};
use doorward::credential::Plain;
use mysql_async::prelude::Queryable;
use rusqlite::{Connection, params};
use tempfile::TempDir;

use crate::process;
use crate::site::databases::{Database, Server};
use crate::subject::Subject;

/// How the cookies of all these sessions begin; 35 digits follow.
pub const HANDLE: &str = "of-bench";

const DAY: i64 = 24 * 60 * 60;

/// A MariaDB server of this run's own, with one database.
pub struct MariaDb {
    server: Server,
    database: Database,
}

impl MariaDb {
    /// Starts it with room for `pool_mib` of its data in memory.
    pub fn start(pool_mib: u32) -> Self {
        let options = vec![format!("--innodb-buffer-pool-size={pool_mib}M"), "--innodb-log-file-size=512M".to_owned()];
        let server =
            Server::start_with(options).expect("mariadb-install-db and mariadbd, of the package mariadb-server");
        let database = runtime().block_on(server.database());
        Self { server, database }
    }

    /// The database as a configuration names it.
    pub fn url(&self) -> String {
        let place = self.database.place();
        format!("mysql://root@{}:{}/{}", place.host, place.port, place.name)
    }

    /// CPU seconds of the server so far.
    pub fn cpu_seconds(&self) -> f64 {
        process::cpu_seconds(self.server.id())
    }

    /// Runs statements.
    pub fn run(&self, statements: &[String]) {
        runtime().block_on(async {
            let opts = mysql_async::Opts::from_url(&self.url()).expect("an address");
            let opts = mysql_async::OptsBuilder::from_opts(opts).prefer_socket(false);
            let mut conn = mysql_async::Conn::new(opts).await.expect("the server");
            for statement in statements {
                conn.query_drop(statement).await.expect("a statement");
            }
            conn.disconnect().await.expect("a good-bye");
        });
    }

    /// Lets `binary` make the tables, and fills them with `users` people and `sessions` sessions.
    pub fn fill(&self, binary: &Path, users: u64, sessions: u64) {
        drop(Subject::doorward(binary, &self.url(), ""));
        let now = SystemClock.now().unix();
        let (created, expires) = (now - DAY, now + 29 * DAY);
        // In the order of the keys, and the further keys at the end: else every row would go to another page.
        let keys = ["user_id, created_at", "created_at", "expires_at", "last_seen_at"];
        let names = ["user", "created", "expires", "seen"];
        let mut statements = vec![
            "set unique_checks = 0".to_owned(),
            format!(
                "insert into users (id, email, name, picture) select concat('u', lpad(seq, 20, '0')), \
                 concat('u', seq, '@example.com'), concat('Ada Lovelace ', seq), {PICTURE} from seq_1_to_{users}"
            ),
            format!(
                "insert into doorward_identities (issuer, subject, user_id, provider, email, email_folded, \
                 email_verified, name, picture, created_at, last_login_at) select 'http://127.0.0.1:9', \
                 concat('u', lpad(seq, 20, '0')), concat('u', lpad(seq, 20, '0')), 'away', \
                 concat('u', seq, '@example.com'), concat('u', seq, '@example.com'), 1, \
                 concat('Ada Lovelace ', seq), {PICTURE}, {created}, {now} from seq_1_to_{users}"
            ),
        ];
        statements.extend(names.map(|name| format!("alter table doorward_sessions drop key doorward_sessions_{name}")));
        statements.push(format!(
            "insert into doorward_sessions (handle, user_id, created_at, last_seen_at, expires_at, address, user_agent) \
             select unhex(sha2(concat('{HANDLE}', lpad(seq, 35, '0')), 256)) as handle, \
             concat('u', lpad(1 + seq % {users}, 20, '0')), {created} + seq % 3600, {now} + seq % 3600, \
             {expires} + seq % 3600, '203.0.113.7', '{AGENT}' from seq_1_to_{sessions} order by handle"
        ));
        for (name, columns) in names.iter().zip(keys) {
            statements.push(format!("alter table doorward_sessions add key doorward_sessions_{name} ({columns})"));
        }
        statements.push("analyze table users, doorward_identities, doorward_sessions".to_owned());
        self.run(&statements);
    }
}

const PICTURE: &str = "'https://lh3.googleusercontent.com/a/ACg8ocIq8dJcQ0c6bT0m0h3cXv3bN1k2=s96-c'";

const AGENT: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0";

/// A file of SQLite, in a folder that goes with the value.
pub struct SqliteFile(TempDir);

impl SqliteFile {
    /// A file that `binary` made, with `users` people and `sessions` sessions.
    pub fn filled(binary: &Path, users: u64, sessions: u64) -> Self {
        let file = Self(TempDir::new().expect("a temporary folder"));
        drop(Subject::doorward(binary, &file.url(), ""));
        file.fill(users, sessions).expect("the tables as they are");
        file
    }

    /// It as a configuration names it.
    pub fn url(&self) -> String {
        format!("sqlite:{}", self.0.path().join("doorward.db").display())
    }

    fn fill(&self, users: u64, sessions: u64) -> rusqlite::Result<()> {
        let mut conn = Connection::open(self.0.path().join("doorward.db"))?;
        let now = SystemClock.now().unix();
        let tx = conn.transaction()?;
        for number in 1..=users {
            let (id, email) = (format!("u{number:020}"), format!("u{number}@example.com"));
            let name = format!("Ada Lovelace {number}");
            tx.prepare_cached("insert into users (id, email, name, picture) values (?1, ?2, ?3, ?4)")?
                .execute(params![id, email, name, PICTURE.trim_matches('\'')])?;
            tx.prepare_cached(
                "insert into doorward_identities (issuer, subject, user_id, provider, email, email_folded, \
                 email_verified, name, picture, created_at, last_login_at) \
                 values ('http://127.0.0.1:9', ?1, ?1, 'away', ?2, ?2, 1, ?3, ?4, ?5, ?6)",
            )?
            .execute(params![id, email, name, PICTURE.trim_matches('\''), now - DAY, now])?;
        }
        let mut handles: Vec<([u8; 32], u64)> = (1..=sessions).map(|number| (handle(number), number)).collect();
        handles.sort_unstable();
        for (handle, number) in handles {
            let spread = i64::try_from(number % 3600).expect("less than an hour");
            tx.prepare_cached(
                "insert into doorward_sessions (handle, user_id, created_at, last_seen_at, expires_at, address, \
                 user_agent) values (?1, ?2, ?3, ?4, ?5, '203.0.113.7', ?6)",
            )?
            .execute(params![
                handle,
                format!("u{:020}", 1 + number % users),
                now - DAY + spread,
                now + spread,
                now + 29 * DAY + spread,
                AGENT
            ])?;
        }
        tx.commit()?;
        conn.execute_batch("analyze")
    }
}

fn handle(number: u64) -> [u8; 32] {
    *Plain::presented(format!("{HANDLE}{number:035}")).hashed().as_bytes()
}

/// A runtime for what speaks to the database from here.
pub fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}
