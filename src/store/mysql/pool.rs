//! A few connections, lent out one at a time and never longer than agreed.
//!
//! The driver has no time-outs and its own pool waits for a frozen server while it cleans connections up; so a
//! connection comes back here only when its work ended well. One whose work failed half-way, took too long, or was
//! given up by the asker is closed instead, and its place is free again at once.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error, IoError, Row, Value};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout, timeout_at};

use crate::config::database::Mysql;
use crate::metrics::{self, Operation};
use crate::names::Names;
use crate::store::mysql::errors::{self, Remedy};
use crate::store::mysql::hosts::{self, Hosts, MEMBERSHIP, Nature, Purpose};
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

/// How long one of several hosts may take to begin a transaction. A cluster that has just lost a node takes a second.
const BEGIN: Duration = Duration::from_millis(1500);

/// By how much longer all of some work may take than the answer that it waits for, so that it is known who did not give it.
const SLACK: Duration = Duration::from_millis(20);

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
    nature: Nature,
    born: Instant,
    since: Instant,
}

/// A connection that is lent out. Dropped, it is closed.
pub struct Lease {
    conn: Option<Conn>,
    host: usize,
    nature: Nature,
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
    pub async fn take(&self, purpose: Purpose) -> Result<Lease> {
        let permit = self.permit().await?;
        let now = Instant::now();
        while let Some(idle) = self.latest(purpose) {
            let is_young = now - idle.since < IDLE && now - idle.born < AGE;
            if is_young && !self.0.hosts.is_shunned(idle.host) {
                let Idle { conn, host, nature, born, .. } = idle;
                return Ok(Lease {
                    conn: Some(conn),
                    host,
                    nature,
                    born,
                    is_fresh: false,
                    pool: self.clone(),
                    _permit: permit,
                });
            }
            part_with(idle.conn);
        }
        self.connect(permit, purpose).await
    }

    /// The one of those that lie idle and will do for `purpose` that was used last.
    fn latest(&self, purpose: Purpose) -> Option<Idle> {
        let mut idle = self.idle();
        let will_do = |idle: &Idle| purpose == Purpose::Read || idle.nature.takes_changes || self.hosts() == 1;
        let place = idle.iter().rposition(will_do)?;
        Some(idle.remove(place))
    }

    /// A connection that was opened just now; those that lay idle were opened before whatever happened to the server
    /// and are closed.
    pub async fn take_fresh(&self, purpose: Purpose) -> Result<Lease> {
        self.let_go();
        let permit = self.permit().await?;
        self.connect(permit, purpose).await
    }

    /// Closes those that lie idle.
    fn let_go(&self) {
        for idle in std::mem::take(&mut *self.idle()) {
            part_with(idle.conn);
        }
    }

    async fn permit(&self) -> Result<OwnedSemaphorePermit> {
        let all_busy = |_| StoreError::Unavailable("all connections to it are in use".to_owned());
        let closed = |_| StoreError::Unavailable("it was closed".to_owned());
        timeout(ACQUIRE, Arc::clone(&self.0.permits).acquire_owned()).await.map_err(all_busy)?.map_err(closed)
    }

    async fn connect(&self, permit: OwnedSemaphorePermit, purpose: Purpose) -> Result<Lease> {
        let place = self.place();
        if let Some((since, said)) = &*self.crowded()
            && since.elapsed() < CROWDED
        {
            return Err(said.clone());
        }
        let (conn, host, nature) = self.0.hosts.connect(Some(&place.name), purpose).await?.map_err(|error| {
            let said = errors::connect_error(&error, place);
            if errors::is_crowded(&error) {
                *self.crowded() = Some((Instant::now(), said.clone()));
            }
            said
        })?;
        let (conn, born, pool) = (Some(conn), Instant::now(), self.clone());
        Ok(Lease { conn, host, nature, born, is_fresh: true, pool, _permit: permit })
    }

    /// A connection outside the count, to the database of this name or to none.
    pub async fn connect_to(&self, database: Option<&str>) -> Result<mysql_async::Result<Conn>> {
        Ok(self.0.hosts.connect(database, Purpose::Write).await?.map(|(conn, ..)| conn))
    }

    /// Whether work that failed with `error` on `lease` may go better on a fresh connection: this one was old, or
    /// another host takes over. A host that is at fault is left alone for a while; one that takes no changes is good for
    /// questions.
    pub fn is_worth_another(&self, lease: &Lease, error: &Error) -> bool {
        match errors::remedy(error) {
            Remedy::Reconnect if !lease.is_fresh => true,
            Remedy::Reconnect => {
                self.0.hosts.shun(lease.host);
                self.hosts() > 1
            }
            // A fresh one leads to a host that takes changes wherever there is one.
            Remedy::Elsewhere => !lease.is_fresh && self.hosts() > 1,
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
        let (rows, _) = self.ask(limit, sql, params, purpose_of(sql)).await?;
        Ok(rows)
    }

    /// How many rows `sql` found to change, within `limit`. Only for changes that may be repeated, and of which nobody
    /// needs to know whether they were: a connection that dies under one says nothing about what was done. Others are made
    /// by [`crate::store::mysql::transaction::change_once`].
    pub async fn change(&self, limit: Duration, sql: &str, params: Vec<Value>) -> Result<u64> {
        let (_, affected) = self.ask(limit, sql, &|| params.clone(), purpose_of(sql)).await?;
        Ok(affected)
    }

    async fn ask(
        &self,
        limit: Duration,
        sql: &str,
        params: &(dyn Fn() -> Vec<Value> + Sync),
        purpose: Purpose,
    ) -> Result<(Vec<Row>, u64)> {
        let is_read = purpose_of(sql) == Purpose::Read;
        let _timed = metrics::database(if is_read { Operation::Read } else { Operation::Write });
        // Of a change that is not answered nobody knows whether it was made; a question can be put to another host.
        let may_ask_another = is_read && self.hosts() > 1;
        let patience = if may_ask_another { limit / 2 } else { limit };
        let deadline = Instant::now() + limit;
        let work = async {
            let mut lease = self.take(purpose).await?;
            let mut tries = 0;
            loop {
                let until = deadline.min(Instant::now() + patience);
                let (error, may_go_on) = match timeout_at(until, lease.exec(sql, params(), is_read)).await {
                    Ok(Ok(answer)) => {
                        lease.give_back();
                        return Ok(answer);
                    }
                    Ok(Err(error)) => {
                        // A change that a fresh connection lost may have been made: it is not made twice.
                        let is_told = is_read || !lease.is_fresh || matches!(error, Error::Server(_));
                        // A question locks nothing: what it waited for in vain are the other nodes of a cluster, which
                        // this one has lost.
                        let is_alone = may_ask_another && errors::remedy(&error) == Remedy::Repeat;
                        if is_alone {
                            self.0.hosts.shun(lease.host);
                        }
                        let may_go_on = is_alone || (self.is_worth_another(&lease, &error) && is_told);
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
                lease = self.take_fresh(purpose).await?;
            }
        };
        timeout_at(deadline + SLACK, work).await.map_err(|_| errors::late("an answer", limit))?
    }

    /// Whether the server takes changes, asked within `limit`; of several hosts one that does is looked for.
    pub async fn is_writable(&self, limit: Duration) -> Result<bool> {
        // Text, because servers differ in what they call a switch that is on.
        let switches = "select concat(@@global.read_only, ''), concat(@@global.innodb_read_only, '')";
        let work = async {
            for _ in 0..self.hosts().min(2) {
                let (rows, _) = self.ask(limit, switches, &Vec::new, Purpose::Write).await?;
                let is_on = |place: usize| {
                    let value: Option<String> = rows.first().and_then(|row| row.get(place));
                    value.is_none_or(|value| hosts::is_on(&value))
                };
                if !is_on(0) && !is_on(1) {
                    return Ok(true);
                }
                // It took changes when they were opened. Another one may by now.
                self.let_go();
            }
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

    /// Begins a transaction. A host that does not even answer to that is left alone where there are others.
    pub async fn begin(&mut self) -> mysql_async::Result<()> {
        let begin = "start transaction";
        if self.pool.hosts() == 1 {
            return self.conn().query_drop(begin).await;
        }
        let begun = timeout(BEGIN, self.conn().query_drop(begin)).await;
        begun.unwrap_or_else(|_| {
            self.pool.0.hosts.shun(self.host);
            let late = errors::late("the beginning of a change", BEGIN).to_string();
            Err(Error::Io(IoError::Io(io::Error::new(io::ErrorKind::TimedOut, late))))
        })
    }

    /// What one statement gives. What a member of a group says counts only where it belongs to the majority afterwards: else
    /// it may not know yet what was changed elsewhere.
    async fn exec(&mut self, sql: &str, params: Vec<Value>, is_read: bool) -> mysql_async::Result<(Vec<Row>, u64)> {
        let answer = exec(self.conn(), sql, params).await?;
        if is_read && self.nature.is_member {
            self.conn().query_drop(MEMBERSHIP).await?;
        }
        Ok(answer)
    }

    /// Returns the connection, whose work ended well, to those that can be lent.
    pub fn give_back(mut self) {
        let (host, nature, born) = (self.host, self.nature, self.born);
        let Some(conn) = self.conn.take() else { return };
        if self.pool.0.permits.is_closed() {
            part_with(conn);
        } else {
            self.pool.idle().push(Idle { conn, host, nature, born, since: Instant::now() });
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

/// What a statement is for.
fn purpose_of(sql: &str) -> Purpose {
    let is_read = sql.trim_start().get(..6).is_some_and(|verb| verb.eq_ignore_ascii_case("select"));
    if is_read { Purpose::Read } else { Purpose::Write }
}

/// Runs one statement on `conn`: its rows, and how many rows it found to change.
pub async fn exec(conn: &mut Conn, sql: &str, params: Vec<Value>) -> mysql_async::Result<(Vec<Row>, u64)> {
    let mut result = conn.exec_iter(sql, params).await?;
    let affected = result.affected_rows();
    let rows = result.collect().await?;
    result.drop_result().await?;
    Ok((rows, affected))
}
