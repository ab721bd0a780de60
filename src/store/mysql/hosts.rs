//! Opens connections to one of several hosts: the one that served last, and where that is away, frozen, without its
//! cluster or read-only, the next that takes changes. With one host there is nothing to choose.
//!
//! What a cluster needs to be asked for is found out from the server itself: an answer about a session must not come
//! from before a change that another node has confirmed.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error, OptsBuilder, SslOpts};
use tokio::time::{Instant, timeout};

use crate::config::database::{Host, Mysql, Tls};
use crate::names::Names;
use crate::store::mysql::errors;
use crate::store::mysql::pool::IDLE;
use crate::store::{Result, StoreError};

/// How long it may take until a connection can be used, its host's name included; of several hosts each has a share.
const CONNECT: Duration = Duration::from_secs(2);

/// The least share of it.
const SHARE: Duration = Duration::from_millis(500);

/// How long a host that failed is asked last.
const SHUNNED: Duration = Duration::from_secs(5);

/// After how long a silent peer is asked whether it is still there.
const KEEPALIVE: Duration = Duration::from_secs(30);

/// Statements prepared on each connection.
const STATEMENTS: usize = 48;

/// The largest packet that we send or take; the lists that operators ask for are the largest.
const PACKET: usize = 16 * 1024 * 1024;

/// What holds for everything that we say, whatever the server's own defaults are. Comments are for one family of
/// servers each: `/*!` for MySQL, `/*M!` for MariaDB.
const SESSION: &str = "set names utf8mb4, \
    session sql_mode = 'STRICT_TRANS_TABLES,STRICT_ALL_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION', \
    session time_zone = '+00:00', session innodb_lock_wait_timeout = 5, session lock_wait_timeout = 5, \
    session autocommit = 1 \
    /*!50708 , session max_execution_time = 10000 */ /*M!100100 , session max_statement_time = 10 */";

const ISOLATION: &str = "set session transaction isolation level read committed";

/// What a server says of its cluster, and of whether it takes changes.
const NATURE: &str = "show session variables where variable_name in \
    ('wsrep_on', 'group_replication_consistency', 'read_only', 'innodb_read_only')";

/// The hosts of one database.
pub struct Hosts {
    place: Mysql,
    names: Names,
    all: Vec<Host>,
    choice: Mutex<Choice>,
}

/// Who is asked first.
struct Choice {
    served_last: usize,
    /// When each failed.
    failed: Vec<Option<Instant>>,
}

impl Hosts {
    /// Those of `place`, the first of which is asked first.
    pub fn new(place: Mysql, names: Names) -> Self {
        let all: Vec<_> = place.hosts().collect();
        let choice = Mutex::new(Choice { served_last: 0, failed: vec![None; all.len()] });
        Self { place, names, all, choice }
    }

    /// The database, and the account.
    pub const fn place(&self) -> &Mysql {
        &self.place
    }

    /// Each of them as if there were no other.
    pub fn each(&self) -> Vec<(Mysql, Names)> {
        let alone = |Host { name: host, port }| Mysql { host, port, others: Vec::new(), ..self.place.clone() };
        self.place.hosts().map(|host| (alone(host), self.names.clone())).collect()
    }

    /// How many there are.
    pub const fn count(&self) -> usize {
        self.all.len()
    }

    /// Has this host asked last for a while; its idle connections are not used any more.
    pub fn shun(&self, host: usize) {
        if self.count() > 1 {
            self.choice().failed[host] = Some(Instant::now());
        }
    }

    /// Takes back what was said of any of them.
    pub fn forgive(&self) {
        self.choice().failed.fill(None);
    }

    /// Whether it failed a short time ago.
    pub fn is_shunned(&self, host: usize) -> bool {
        self.choice().failed[host].is_some_and(|failed| failed.elapsed() < SHUNNED)
    }

    fn choice(&self) -> std::sync::MutexGuard<'_, Choice> {
        self.choice.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All of them in the order in which they are asked.
    fn in_turn(&self) -> Vec<usize> {
        let (choice, count) = (self.choice(), self.count());
        let mut turn: Vec<_> = (0..count).map(|step| (choice.served_last + step) % count).collect();
        // Of those that failed the first one has had the most time to mend.
        turn.sort_by_cached_key(|host| choice.failed[*host].filter(|failed| failed.elapsed() < SHUNNED));
        turn
    }

    /// A connection to the database of this name or to none, and to which host. One that takes no changes is better
    /// than none.
    pub async fn connect(&self, database: Option<&str>) -> Result<mysql_async::Result<(Conn, usize)>> {
        let count = u32::try_from(self.count()).unwrap_or(u32::MAX);
        let share = if count == 1 { CONNECT } else { (CONNECT / count).max(SHARE) };
        let mut read_only = None;
        let mut failure = Err(StoreError::Unavailable("no host is known".to_owned()));
        for host in self.in_turn() {
            let opened = timeout(share, self.open(&self.all[host], database)).await;
            match opened.unwrap_or_else(|_| Err(errors::late("connecting", share))) {
                Ok(Ok((conn, takes_changes))) if takes_changes || self.count() == 1 => {
                    let mut choice = self.choice();
                    (choice.served_last, choice.failed[host]) = (host, None);
                    return Ok(Ok((conn, host)));
                }
                Ok(Ok((conn, _))) => read_only = read_only.or(Some((conn, host))),
                // What a server says tells more than that another one is silent.
                Ok(Err(error)) => {
                    self.shun(host);
                    if matches!(error, Error::Server(_)) || failure.is_err() {
                        failure = Ok(error);
                    }
                }
                Err(error) => {
                    self.shun(host);
                    failure = failure.or(Err(error));
                }
            }
        }
        match (read_only, failure) {
            (Some(found), _) => Ok(Ok(found)),
            (None, Ok(error)) => Ok(Err(error)),
            (None, Err(error)) => Err(error),
        }
    }

    async fn open(&self, host: &Host, database: Option<&str>) -> Result<mysql_async::Result<(Conn, bool)>> {
        let addresses = self.names.resolve(&host.name).await;
        let addresses = addresses.map_err(|error| {
            StoreError::Unavailable(format!("{error}. Correct the host under [database], or the one in its url"))
        })?;
        let opts = self.options(host).resolved_ips(Some(addresses)).db_name(database);
        Ok(settle(Conn::new(opts)).await)
    }

    fn options(&self, host: &Host) -> OptsBuilder {
        OptsBuilder::default()
            .ip_or_hostname(host.name.clone())
            .tcp_port(host.port)
            .user(Some(self.place.user.clone()))
            .pass(Some(self.place.password.reveal().to_owned()))
            // The driver would leave the address it was given for a socket of the server's.
            .prefer_socket(false)
            .tcp_keepalive(Some(KEEPALIVE))
            .tcp_nodelay(true)
            .client_found_rows(true)
            .stmt_cache_size(STATEMENTS)
            .max_allowed_packet(Some(PACKET))
            .wait_timeout(Some(IDLE.as_secs() as usize * 2))
            .conn_ttl(IDLE)
            .setup(vec![ISOLATION.to_owned(), SESSION.to_owned()])
            .connect_attributes(HashMap::from([("program_name".to_owned(), "doorward".to_owned())]))
            .ssl_opts(encryption(&self.place.tls, host))
    }
}

/// Makes a connection say and understand what we rely on. Whether its server takes changes.
async fn settle(opening: impl Future<Output = mysql_async::Result<Conn>>) -> mysql_async::Result<(Conn, bool)> {
    let mut conn = opening.await?;
    let nature: Vec<(String, String)> = conn.query(NATURE).await?;
    let mut takes_changes = true;
    for (name, value) in nature {
        let wish = match (name.to_ascii_lowercase().as_str(), value.to_ascii_uppercase().as_str()) {
            ("wsrep_on", value) if is_on(value) => "set session wsrep_sync_wait = 1",
            ("group_replication_consistency", "EVENTUAL" | "BEFORE_ON_PRIMARY_FAILOVER") => {
                "set session group_replication_consistency = 'BEFORE'"
            }
            ("group_replication_consistency", "AFTER") => {
                "set session group_replication_consistency = 'BEFORE_AND_AFTER'"
            }
            ("read_only" | "innodb_read_only", value) if is_on(value) => {
                takes_changes = false;
                continue;
            }
            _ => continue,
        };
        conn.query_drop(wish).await?;
    }
    Ok((conn, takes_changes))
}

/// Whether a server's switch is on, in either of their words: MariaDB 12 has more than two for `read_only`.
pub fn is_on(value: &str) -> bool {
    !matches!(value.to_ascii_uppercase().as_str(), "0" | "OFF")
}

fn encryption(tls: &Tls, host: &Host) -> Option<SslOpts> {
    match tls {
        Tls::Off => None,
        Tls::Auto if is_local(&host.name) => None,
        Tls::Auto | Tls::On { ca_file: None } => Some(SslOpts::default()),
        Tls::On { ca_file: Some(path) } => {
            let roots = vec![path.clone().into()];
            // Whoever names authorities trusts these, not the public ones beside them.
            Some(SslOpts::default().with_root_certs(roots).with_disable_built_in_roots(true))
        }
    }
}

/// Whether what is said to `host` does not leave this machine.
pub fn is_local(host: &str) -> bool {
    let address = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
    host.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.is_loopback())
}
