//! A transaction: from the beginning again where another one was in the way, or where its connection or its host was lost
//! before the end was asked for. What came of an end that nobody answered is not known, and it is not made twice.
//!
//! A sign-in has a way of its own, since it can find out afterwards whether it was done.

use std::time::Duration;

use futures_util::future::BoxFuture;
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error, Value};
use tokio::time::{sleep, timeout};

use crate::metrics::{self, Operation};
use crate::store::mysql::errors::{Remedy, late, remedy, store_error};
use crate::store::mysql::hosts::Purpose;
use crate::store::mysql::pool::{Lease, Pool, exec};
use crate::store::{Result, StoreError};

/// How long all of it may take.
const LIMIT: Duration = Duration::from_secs(10);

/// How often it is tried.
const TRIES: u32 = 5;

/// Whether a transaction is kept.
pub enum Change<T> {
    Keep(T),
    Undo(T),
}

/// What a transaction does, on a connection, with what it was given.
pub type Work<C, T> = for<'c> fn(&'c mut Conn, &'c C) -> BoxFuture<'c, mysql_async::Result<Change<T>>>;

/// Does `work` with `given`: all of it, or nothing.
pub async fn transact<C: Sync, T: Send>(pool: &Pool, given: &C, work: Work<C, T>) -> Result<T> {
    let _timed = metrics::database(Operation::Write);
    timeout(LIMIT, try_often(pool, given, work)).await.map_err(|_| late("a change", LIMIT))?
}

/// Makes one change that is not to be made twice, within `limit`; how many rows it found.
pub async fn change_once(pool: &Pool, limit: Duration, sql: &str, params: Vec<Value>) -> Result<u64> {
    let given = (sql, params);
    let changing = transact(pool, &given, |conn, (sql, params)| Box::pin(change(conn, sql, params.clone())));
    timeout(limit, changing).await.map_err(|_| late("a change", limit))?
}

async fn change(conn: &mut Conn, sql: &str, params: Vec<Value>) -> mysql_async::Result<Change<u64>> {
    let (_, found) = exec(conn, sql, params).await?;
    Ok(Change::Keep(found))
}

async fn try_often<C: Sync, T: Send>(pool: &Pool, given: &C, work: Work<C, T>) -> Result<T> {
    let mut last = StoreError::Unavailable("it was not asked".to_owned());
    let mut needs_fresh = false;
    for attempt in 0..TRIES {
        if attempt > 0 {
            sleep(Duration::from_millis(20) * attempt).await;
        }
        let taken = if needs_fresh { pool.take_fresh(Purpose::Write).await } else { pool.take(Purpose::Write).await };
        let mut lease = taken?;
        let (error, is_undone) = match once(&mut lease, given, work).await {
            Ok(answer) => {
                lease.give_back();
                return Ok(answer);
            }
            Err(Failed::Before(error)) => (error, true),
            Err(Failed::Under(error)) => (error, false),
        };
        last = store_error(&error);
        if !is_undone && !matches!(error, Error::Server(_)) {
            return Err(last);
        }
        if pool.is_worth_another(&lease, &error) {
            needs_fresh = true;
            continue;
        }
        match remedy(&error) {
            Remedy::Reconnect => return Err(last),
            // The transaction is still open, with half of it done.
            other => {
                if lease.conn().query_drop("rollback").await.is_ok() {
                    lease.give_back();
                }
                if other != Remedy::Repeat {
                    return Err(last);
                }
            }
        }
    }
    Err(last)
}

/// When it failed.
enum Failed {
    /// Before its end was asked for: nothing of it is kept.
    Before(Error),
    /// Under `commit`. Where the server says so it was undone, else nobody knows.
    Under(Error),
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self::Before(error)
    }
}

async fn once<C: Sync, T: Send>(lease: &mut Lease, given: &C, work: Work<C, T>) -> std::result::Result<T, Failed> {
    lease.begin().await?;
    let conn = lease.conn();
    match work(conn, given).await? {
        Change::Keep(answer) => conn.query_drop("commit").await.map(|()| answer).map_err(Failed::Under),
        Change::Undo(answer) => Ok(conn.query_drop("rollback").await.map(|()| answer)?),
    }
}
