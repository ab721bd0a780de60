//! Opens connections to one of several hosts: the one that served last, and where that is away, frozen, without its
//! cluster or read-only, the next that takes changes. With one host there is nothing to choose.
//!
//! What a cluster needs to be asked for is found out from the server itself: an answer about a session must not come
//! from before a change that another node has confirmed.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error, OptsBuilder, ServerError, SslOpts};
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
    ('wsrep_on', 'group_replication_consistency', 'group_replication_group_name', 'read_only', 'innodb_read_only')";

/// Refused by a member of a group that is not together with the majority (1123), and open to every account: the table
/// that says the same is not. Such a member answers questions from what it knew, whatever consistency is asked for. It is
/// no question itself, for which the group would be waited for once more.
pub const MEMBERSHIP: &str = "set @doorward = group_replication_get_communication_protocol()";

/// What it is refused with.
const NOT_WITH_ITS_GROUP: u16 = 1123;

/// What a host is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nature {
    /// Whether it took changes when the connection was made.
    pub takes_changes: bool,
    /// Whether it was a member of a replication group then, together with the majority.
    pub is_member: bool,
}

/// What a connection is wanted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Questions alone: a host that takes no changes will do.
    Read,
    /// Changes.
    Write,
}

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

    /// A connection to the database of this name or to none, to which host, and what that is good for. One that takes no
    /// changes is better than none.
    pub async fn connect(
        &self,
        database: Option<&str>,
        purpose: Purpose,
    ) -> Result<mysql_async::Result<(Conn, usize, Nature)>> {
        let count = u32::try_from(self.count()).unwrap_or(u32::MAX);
        let share = if count == 1 { CONNECT } else { (CONNECT / count).max(SHARE) };
        let mut read_only = None;
        let mut failure = Err(StoreError::Unavailable("no host is known".to_owned()));
        for host in self.in_turn() {
            // To wait for one that failed a moment ago takes longer than a question has.
            if read_only.is_some() && purpose == Purpose::Read && self.is_shunned(host) {
                continue;
            }
            let opened = timeout(share, self.open(&self.all[host], database)).await;
            match opened.unwrap_or_else(|_| Err(errors::late("connecting", share))) {
                Ok(Ok((conn, nature, None))) if nature.takes_changes || self.count() == 1 => {
                    let mut choice = self.choice();
                    (choice.served_last, choice.failed[host]) = (host, None);
                    return Ok(Ok((conn, host, nature)));
                }
                Ok(Ok((conn, nature, None))) => read_only = read_only.or(Some((conn, host, nature))),
                // Where there is no other host, this one is taken as it is: it may be in use without its cluster on purpose.
                Ok(Ok((conn, nature, Some(_)))) if self.count() == 1 => return Ok(Ok((conn, host, nature))),
                Ok(Ok((.., Some(why)))) => {
                    self.shun(host);
                    failure = Ok(why);
                }
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

    async fn open(&self, host: &Host, database: Option<&str>) -> Result<mysql_async::Result<Settled>> {
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

/// A connection, what its server is good for, and why it is apart from its cluster where it is.
type Settled = (Conn, Nature, Option<Error>);

/// Makes a connection say and understand what we rely on.
async fn settle(opening: impl Future<Output = mysql_async::Result<Conn>>) -> mysql_async::Result<Settled> {
    let mut conn = opening.await?;
    let said: Vec<(String, String)> = conn.query(NATURE).await?;
    let (mut takes_changes, mut is_node, mut has_group) = (true, false, false);
    for (name, value) in said {
        let wish = match (name.to_ascii_lowercase().as_str(), value.to_ascii_uppercase().as_str()) {
            ("wsrep_on", value) if is_on(value) => {
                is_node = true;
                "set session wsrep_sync_wait = 1"
            }
            ("group_replication_consistency", "EVENTUAL" | "BEFORE_ON_PRIMARY_FAILOVER") => {
                "set session group_replication_consistency = 'BEFORE'"
            }
            ("group_replication_consistency", "AFTER") => {
                "set session group_replication_consistency = 'BEFORE_AND_AFTER'"
            }
            ("group_replication_group_name", group) => {
                has_group = !group.is_empty();
                continue;
            }
            ("read_only" | "innodb_read_only", value) if is_on(value) => {
                takes_changes = false;
                continue;
            }
            _ => continue,
        };
        conn.query_drop(wish).await?;
    }
    let (is_member, apart) = match (is_node, has_group) {
        (true, _) => (false, apart_from_galera(&mut conn).await?),
        (false, true) => member_or_apart(&mut conn).await?,
        (false, false) => (false, None),
    };
    Ok((conn, Nature { takes_changes, is_member }, apart))
}

/// What a Galera node without the others says to every question. It says so itself of most, but not of all.
async fn apart_from_galera(conn: &mut Conn) -> mysql_async::Result<Option<Error>> {
    let ready: Option<(String, String)> = conn.query_first("show status like 'wsrep_ready'").await?;
    let is_ready = ready.is_none_or(|(_, value)| is_on(&value));
    Ok((!is_ready).then(|| {
        let message = "WSREP has not yet prepared node for application use".to_owned();
        Error::Server(ServerError { code: 1047, message, state: "08S01".to_owned() })
    }))
}

/// Whether a server is with its group, or what it says where it is not.
async fn member_or_apart(conn: &mut Conn) -> mysql_async::Result<(bool, Option<Error>)> {
    match conn.query_drop(MEMBERSHIP).await {
        Ok(()) => Ok((true, None)),
        Err(error) if errors::code(&error) == Some(NOT_WITH_ITS_GROUP) => Ok((false, Some(error))),
        // MySQL before 8.0.16 has no such function, and cannot be asked.
        Err(Error::Server(_)) => Ok((false, None)),
        Err(error) => Err(error),
    }
}

/// Has a connection answer from what its own host knows, whatever that is worth.
pub async fn as_it_is(conn: &mut Conn) {
    for wish in [
        "set session wsrep_sync_wait = 0, session wsrep_dirty_reads = 1",
        "set session group_replication_consistency = 'EVENTUAL'",
    ] {
        // A server that does not know the word has no cluster of that kind.
        let _ = conn.query_drop(wish).await;
    }
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
