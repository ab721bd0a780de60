//! A few connections, lent out one at a time and never longer than agreed.
//!
//! The driver has no time-outs and its own pool waits for a frozen server while it cleans connections up; so a
//! connection comes back here only when its work ended well. One whose work failed half-way, took too long, or was
//! given up by the asker is closed instead, and its place is free again at once.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error, Row, Value};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};

use crate::config::database::Mysql;
use crate::metrics::{self, Operation};
use crate::names::Names;
use crate::store::mysql::errors::{self, Remedy};
use crate::store::mysql::hosts::{self, Hosts};
use crate::store::{Result, StoreError};

/// How long to wait for one of our own connections to come free.
const ACQUIRE: Duration = Duration::from_secs(1);

/// How long a connection may lie idle: less than any server's or firewall's patience.
pub const IDLE: Duration = Duration::from_secs(60);

/// How long a connection is used at all, so that after a failover all of them move on.
const AGE: Duration = Duration::from_secs(30 * 60);

/// For how long a server that has no room for a further connection is not asked for one: each attempt takes some of the
/// room that is missing.
const CROWDED: Duration = Duration::from_millis(250);

/// How long saying good-bye may take.
const GOODBYE: Duration = Duration::from_secs(1);

/// Our connections to one server, or to the hosts of a cluster. Clones share them.
#[derive(Clone)]
pub struct Pool(Arc<Inner>);

struct Inner {
    hosts: Hosts,
    permits: Arc<Semaphore>,
    idle: Mutex<Vec<Idle>>,
    /// When the server last had no room, and what it said.
    crowded: Mutex<Option<(Instant, StoreError)>>,
}

struct Idle {
    conn: Conn,
    host: usize,
    born: Instant,
    since: Instant,
}

/// A connection that is lent out. Dropped, it is closed.
pub struct Lease {
    conn: Option<Conn>,
    host: usize,
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
        Self(Arc::new(Inner {
            hosts: Hosts::new(place, names),
            permits,
            idle: Mutex::default(),
            crowded: Mutex::default(),
        }))
    }

    /// A pool for each of the hosts, which knows of no other.
    pub fn by_host(&self) -> Vec<Self> {
        self.0.hosts.each().into_iter().map(|(place, names)| Self::new(place, names)).collect()
    }

    /// The servers and the account.
    pub fn place(&self) -> &Mysql {
        self.0.hosts.place()
    }

    /// A connection to the database, perhaps one that has lain idle.
    pub async fn take(&self) -> Result<Lease> {
        let permit = self.permit().await?;
        let now = Instant::now();
        while let Some(idle) = self.idle().pop() {
            let is_young = now - idle.since < IDLE && now - idle.born < AGE;
            if is_young && !self.0.hosts.is_shunned(idle.host) {
                let Idle { conn, host, born, .. } = idle;
                return Ok(Lease {
                    conn: Some(conn),
                    host,
                    born,
                    is_fresh: false,
                    pool: self.clone(),
                    _permit: permit,
                });
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
        let place = self.place();
        if let Some((since, said)) = &*self.crowded()
            && since.elapsed() < CROWDED
        {
            return Err(said.clone());
        }
        let (conn, host) = self.0.hosts.connect(Some(&place.name)).await?.map_err(|error| {
            let said = errors::connect_error(&error, place);
            if errors::is_crowded(&error) {
                *self.crowded() = Some((Instant::now(), said.clone()));
            }
            said
        })?;
        Ok(Lease { conn: Some(conn), host, born: Instant::now(), is_fresh: true, pool: self.clone(), _permit: permit })
    }

    /// A connection outside the count, to the database of this name or to none.
    pub async fn connect_to(&self, database: Option<&str>) -> Result<mysql_async::Result<Conn>> {
        Ok(self.0.hosts.connect(database).await?.map(|(conn, _)| conn))
    }

    /// Whether work that failed with `error` on `lease` may go better on a fresh connection: this one was old, or
    /// another host takes over. The host that is at fault is left alone for a while.
    pub fn is_worth_another(&self, lease: &Lease, error: &Error) -> bool {
        match errors::remedy(error) {
            Remedy::Reconnect if !lease.is_fresh => true,
            Remedy::Reconnect | Remedy::Elsewhere => {
                self.0.hosts.shun(lease.host);
                self.hosts() > 1
            }
            Remedy::Repeat | Remedy::None => false,
        }
    }

    /// How many hosts there are to choose from.
    pub fn hosts(&self) -> usize {
        self.0.hosts.count()
    }

    fn crowded(&self) -> std::sync::MutexGuard<'_, Option<(Instant, StoreError)>> {
        self.0.crowded.lock().unwrap_or_else(PoisonError::into_inner)
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
        let (rows, ..) = self.ask(limit, sql, params).await?;
        Ok(rows)
    }

    /// How many rows `sql` found to change, within `limit`. Only for changes that may be repeated, and of which nobody
    /// needs to know whether they were: a connection that dies under one says nothing about what was done. Others are made
    /// by [`crate::store::mysql::transaction::change_once`].
    pub async fn change(&self, limit: Duration, sql: &str, params: Vec<Value>) -> Result<u64> {
        let (_, affected, _) = self.ask(limit, sql, &|| params.clone()).await?;
        Ok(affected)
    }

    async fn ask(
        &self,
        limit: Duration,
        sql: &str,
        params: &(dyn Fn() -> Vec<Value> + Sync),
    ) -> Result<(Vec<Row>, u64, usize)> {
        let is_read = sql.trim_start().get(..6).is_some_and(|verb| verb.eq_ignore_ascii_case("select"));
        let _timed = metrics::database(if is_read { Operation::Read } else { Operation::Write });
        // Of a change that is not answered nobody knows whether it was made; a question can be put to another host.
        let may_ask_another = is_read && self.hosts() > 1;
        let patience = if may_ask_another { limit / 2 } else { limit };
        let work = async {
            let mut lease = self.take().await?;
            let mut tries = 0;
            loop {
                let (error, may_go_on) = match timeout(patience, exec(lease.conn(), sql, params())).await {
                    Ok(Ok((rows, affected))) => {
                        let host = lease.host;
                        lease.give_back();
                        return Ok((rows, affected, host));
                    }
                    Ok(Err(error)) => {
                        // A change that a fresh connection lost may have been made: it is not made twice.
                        let is_told = is_read || !lease.is_fresh || matches!(error, Error::Server(_));
                        let may_go_on = self.is_worth_another(&lease, &error) && is_told;
                        if !may_go_on && errors::remedy(&error) != Remedy::Reconnect {
                            lease.give_back();
                            return Err(errors::store_error(&error));
                        }
                        (errors::store_error(&error), may_go_on)
                    }
                    Err(_) => {
                        self.0.hosts.shun(lease.host);
                        (errors::late("an answer", patience), may_ask_another)
                    }
                };
                drop(lease);
                tries += 1;
                if !may_go_on || tries > self.hosts() {
                    return Err(error);
                }
                lease = self.take_fresh().await?;
            }
        };
        timeout(limit, work).await.map_err(|_| errors::late("an answer", limit))?
    }

    /// Whether the server takes changes, asked within `limit`; of several hosts one that does is looked for.
    pub async fn is_writable(&self, limit: Duration) -> Result<bool> {
        // Text, because servers differ in what they call a switch that is on.
        let switches = "select concat(@@global.read_only, ''), concat(@@global.innodb_read_only, '')";
        let work = async {
            for _ in 0..self.hosts() {
                let (rows, _, host) = self.ask(limit, switches, &Vec::new).await?;
                let is_on = |place: usize| {
                    let value: Option<String> = rows.first().and_then(|row| row.get(place));
                    value.is_none_or(|value| hosts::is_on(&value))
                };
                if !is_on(0) && !is_on(1) {
                    return Ok(true);
                }
                self.0.hosts.shun(host);
            }
            // None of them is better than another: whoever is signed in is looked up wherever a connection is open.
            self.0.hosts.forgive();
            Ok(false)
        };
        timeout(limit, work).await.map_err(|_| errors::late("an answer", limit))?
    }

    /// How many connections lie idle, and how many are lent out.
    pub fn connections(&self) -> (usize, usize) {
        let most = self.place().max_connections.max(1);
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
        let (Some(conn), host, born) = (self.conn.take(), self.host, self.born) else { return };
        if self.pool.0.permits.is_closed() {
            part_with(conn);
        } else {
            self.pool.idle().push(Idle { conn, host, born, since: Instant::now() });
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

/// Runs one statement on `conn`: its rows, and how many rows it found to change.
pub async fn exec(conn: &mut Conn, sql: &str, params: Vec<Value>) -> mysql_async::Result<(Vec<Row>, u64)> {
    let mut result = conn.exec_iter(sql, params).await?;
    let affected = result.affected_rows();
    let rows = result.collect().await?;
    result.drop_result().await?;
    Ok((rows, affected))
}
