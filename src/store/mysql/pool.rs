//! A few connections, lent out one at a time and never longer than agreed.
//!
//! The driver has no time-outs and its own pool waits for a frozen server while it cleans connections up; so a
//! connection comes back here only when its work ended well. One whose work failed half-way, took too long, or was
//! given up by the asker is closed instead, and its place is free again at once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, OptsBuilder, Row, SslOpts, Value};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};

use crate::config::database::{Mysql, Tls};
use crate::metrics::{self, Operation};
use crate::names::Names;
use crate::store::mysql::errors::{self, Remedy};
use crate::store::{Result, StoreError};

/// How long it may take until a connection can be used, its host's name included.
const CONNECT: Duration = Duration::from_secs(2);

/// How long to wait for one of our own connections to come free.
const ACQUIRE: Duration = Duration::from_secs(1);

/// How long a connection may lie idle: less than any server's or firewall's patience.
const IDLE: Duration = Duration::from_secs(60);

/// How long a connection is used at all, so that after a failover all of them move on.
const AGE: Duration = Duration::from_secs(30 * 60);

/// How long saying good-bye may take.
const GOODBYE: Duration = Duration::from_secs(1);

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

/// Our connections to one server. Clones share them.
#[derive(Clone)]
pub struct Pool(Arc<Inner>);

struct Inner {
    place: Mysql,
    names: Names,
    permits: Arc<Semaphore>,
    idle: Mutex<Vec<Idle>>,
}

struct Idle {
    conn: Conn,
    born: Instant,
    since: Instant,
}

/// A connection that is lent out. Dropped, it is closed.
pub struct Lease {
    conn: Option<Conn>,
    born: Instant,
    /// Whether nothing was ever said on it, so that a failure is not the fault of its age.
    pub is_fresh: bool,
    pool: Pool,
    _permit: OwnedSemaphorePermit,
}

impl Pool {
    /// Connections to `place`; none is opened yet.
    pub fn new(place: Mysql, names: Names) -> Self {
        let permits = Arc::new(Semaphore::new(place.max_connections.max(1)));
        Self(Arc::new(Inner { place, names, permits, idle: Mutex::default() }))
    }

    /// The server and the account.
    pub fn place(&self) -> &Mysql {
        &self.0.place
    }

    /// A connection to the database, perhaps one that has lain idle.
    pub async fn take(&self) -> Result<Lease> {
        let permit = self.permit().await?;
        let now = Instant::now();
        while let Some(idle) = self.idle().pop() {
            if now - idle.since < IDLE && now - idle.born < AGE {
                let Idle { conn, born, .. } = idle;
                return Ok(Lease { conn: Some(conn), born, is_fresh: false, pool: self.clone(), _permit: permit });
            }
            part_with(idle.conn);
        }
        self.connect(permit).await
    }

    /// A connection that was opened just now; those that lay idle were opened before whatever happened to the server
    /// and are closed.
    pub async fn take_fresh(&self) -> Result<Lease> {
        for idle in std::mem::take(&mut *self.idle()) {
            part_with(idle.conn);
        }
        let permit = self.permit().await?;
        self.connect(permit).await
    }

    async fn permit(&self) -> Result<OwnedSemaphorePermit> {
        let all_busy = |_| StoreError::Unavailable("all connections to it are in use".to_owned());
        let closed = |_| StoreError::Unavailable("it was closed".to_owned());
        timeout(ACQUIRE, Arc::clone(&self.0.permits).acquire_owned()).await.map_err(all_busy)?.map_err(closed)
    }

    async fn connect(&self, permit: OwnedSemaphorePermit) -> Result<Lease> {
        let conn = self.connect_to(Some(&self.0.place.name)).await?;
        let conn = conn.map_err(|error| errors::connect_error(&error, &self.0.place))?;
        Ok(Lease { conn: Some(conn), born: Instant::now(), is_fresh: true, pool: self.clone(), _permit: permit })
    }

    /// A connection outside the count, to the database of this name or to none.
    pub async fn connect_to(&self, database: Option<&str>) -> Result<mysql_async::Result<Conn>> {
        let place = &self.0.place;
        let open = async {
            let addresses = self.0.names.resolve(&place.host).await;
            let addresses = addresses.map_err(|error| StoreError::Unavailable(error.to_string()))?;
            let opts = options(place).resolved_ips(Some(addresses)).db_name(database);
            Ok(settle(Conn::new(opts)).await)
        };
        timeout(CONNECT, open).await.map_err(|_| errors::late("connecting", CONNECT))?
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Idle>> {
        self.0.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The rows that `sql` gives, within `limit`. A connection that turns out to be dead is replaced once.
    pub async fn rows(&self, limit: Duration, sql: &str, params: Vec<Value>) -> Result<Vec<Row>> {
        self.rows_with(limit, sql, &|| params.clone()).await
    }

    /// The same with parameters that are made each time `sql` is sent: nearly always that is once.
    pub async fn rows_with(
        &self,
        limit: Duration,
        sql: &str,
        params: &(dyn Fn() -> Vec<Value> + Sync),
    ) -> Result<Vec<Row>> {
        let (rows, _) = self.ask(limit, sql, params).await?;
        Ok(rows)
    }

    /// How many rows `sql` found to change, within `limit`. Only for changes that may be repeated: a connection that
    /// dies under it says nothing about what was done.
    pub async fn change(&self, limit: Duration, sql: &str, params: Vec<Value>) -> Result<u64> {
        let (_, affected) = self.ask(limit, sql, &|| params.clone()).await?;
        Ok(affected)
    }

    async fn ask(
        &self,
        limit: Duration,
        sql: &str,
        params: &(dyn Fn() -> Vec<Value> + Sync),
    ) -> Result<(Vec<Row>, u64)> {
        let is_read = sql.trim_start().get(..6).is_some_and(|verb| verb.eq_ignore_ascii_case("select"));
        let _timed = metrics::database(if is_read { Operation::Read } else { Operation::Write });
        let work = async {
            let mut lease = self.take().await?;
            loop {
                match exec(lease.conn(), sql, params()).await {
                    Ok(answer) => {
                        lease.give_back();
                        return Ok(answer);
                    }
                    Err(error) if errors::remedy(&error) == Remedy::Reconnect => {
                        let was_fresh = lease.is_fresh;
                        drop(lease);
                        if was_fresh {
                            return Err(errors::store_error(&error));
                        }
                        lease = self.take_fresh().await?;
                    }
                    Err(error) => {
                        lease.give_back();
                        return Err(errors::store_error(&error));
                    }
                }
            }
        };
        timeout(limit, work).await.map_err(|_| errors::late("an answer", limit))?
    }

    /// How many connections lie idle, and how many are lent out.
    pub fn connections(&self) -> (usize, usize) {
        let most = self.0.place.max_connections.max(1);
        (self.idle().len(), most.saturating_sub(self.0.permits.available_permits()))
    }

    /// Closes what is idle and lends nothing any more.
    pub async fn close(&self) {
        self.0.permits.close();
        let idle = std::mem::take(&mut *self.idle());
        for idle in idle {
            // A server that is gone needs no good-bye.
            let _ = timeout(GOODBYE, idle.conn.disconnect()).await;
        }
    }
}

impl Lease {
    /// The connection.
    pub fn conn(&mut self) -> &mut Conn {
        self.conn.as_mut().expect("a lease holds its connection until it ends")
    }

    /// Returns the connection, whose work ended well, to those that can be lent.
    pub fn give_back(mut self) {
        let (Some(conn), born) = (self.conn.take(), self.born) else { return };
        if self.pool.0.permits.is_closed() {
            part_with(conn);
        } else {
            self.pool.idle().push(Idle { conn, born, since: Instant::now() });
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(conn) = self.conn.take() {
            part_with(conn);
        }
    }
}

/// Closes a connection in the background. The driver's own way would first read what the server still has to say,
/// however long that takes.
fn part_with(conn: Conn) {
    if let Ok(runtime) = tokio::runtime::Handle::try_current() {
        runtime.spawn(async move {
            // Whether the good-bye arrived or not, the socket closes.
            let _ = timeout(GOODBYE, conn.disconnect()).await;
        });
    }
}

/// Makes a connection say and understand what we rely on.
async fn settle(opening: impl Future<Output = mysql_async::Result<Conn>>) -> mysql_async::Result<Conn> {
    let mut conn = opening.await?;
    // A node of a Galera cluster must not answer from before a change that another node has confirmed.
    let wsrep: Option<(String, String)> = conn.query_first("show session variables like 'wsrep_on'").await?;
    if wsrep.is_some_and(|(_, value)| value.eq_ignore_ascii_case("on")) {
        conn.query_drop("set session wsrep_sync_wait = 1").await?;
    }
    Ok(conn)
}

fn options(place: &Mysql) -> OptsBuilder {
    OptsBuilder::default()
        .ip_or_hostname(place.host.clone())
        .tcp_port(place.port)
        .user(Some(place.user.clone()))
        .pass(Some(place.password.reveal().to_owned()))
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
        .ssl_opts(encryption(place))
}

fn encryption(place: &Mysql) -> Option<SslOpts> {
    match &place.tls {
        Tls::Off => None,
        Tls::Auto if is_local(&place.host) => None,
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

/// Runs one statement on `conn`: its rows, and how many rows it found to change.
pub async fn exec(conn: &mut Conn, sql: &str, params: Vec<Value>) -> mysql_async::Result<(Vec<Row>, u64)> {
    let mut result = conn.exec_iter(sql, params).await?;
    let affected = result.affected_rows();
    let rows = result.collect().await?;
    result.drop_result().await?;
    Ok((rows, affected))
}
