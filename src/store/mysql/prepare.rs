//! Makes the tables ready. Of instances that start together one works, under a lease that holds on a cluster too: a
//! row that only one of them can set, timed by the database's clock, since `get_lock` counts for one node alone.

use std::time::Duration;

use mysql_async::{Conn, Value};
use tokio::time::{Instant, sleep, timeout};

use crate::clock::Clock;
use crate::store::adoption::{self, Adopted};
use crate::store::migrate::{ISSUER, MYSQL, Step, Survey};
use crate::store::mysql::adopt::{adopt, kind_of};
use crate::store::mysql::errors::{code, connect_error, create_it_yourself, late, store_error};
use crate::store::mysql::hosts::Purpose;
use crate::store::mysql::pool::{Lease, Pool, exec};
use crate::store::mysql::rows::value;
use crate::store::mysql::{READ, param, quoted};
use crate::store::{Result, StoreError};

/// How long all of it may take; whoever is told `Unavailable` comes again.
pub const LIMIT: Duration = Duration::from_secs(30);

/// How long to wait for another instance's work.
const WAIT: Duration = Duration::from_secs(20);

/// How long one instance may work on a step without a sign of life, in seconds of the database's clock.
const LEASE: i64 = 60;

/// How often an instance that waits for another's work looks again.
const PAUSE: Duration = Duration::from_millis(200);

/// By how many seconds our clock may differ from the database's before we speak of it.
const SKEW: u64 = 5;

const META: &str = "create table if not exists doorward_meta (
    name varbinary(64) not null,
    value varbinary(1024) not null,
    changed_at bigint not null comment 'seconds since 1970; for the lease: when it ends, by the clock of the database',
    primary key (name)
) engine = InnoDB row_format = dynamic default character set utf8mb4 collate utf8mb4_bin";

/// Does what is missing and records `issuer`. What is there afterwards.
pub async fn prepare(pool: &Pool, table: &str, issuer: Option<&str>, clock: &dyn Clock) -> Result<Survey> {
    let work = async {
        create_database(pool).await?;
        let mut lease = pool.take_fresh(Purpose::Write).await?;
        warn_of_skew(lease.conn(), clock).await?;
        let survey = work_or_wait(&mut lease, table, issuer).await?;
        lease.give_back();
        Ok(survey)
    };
    timeout(LIMIT, work).await.map_err(|_| late("making the tables ready", LIMIT))?
}

/// The table of users as it is now.
pub async fn look(pool: &Pool, table: &str) -> Result<Option<Adopted>> {
    let work = async {
        let mut lease = pool.take(Purpose::Read).await?;
        let adopted = adopt(lease.conn(), table).await?;
        lease.give_back();
        Ok(adopted)
    };
    timeout(READ, work).await.map_err(|_| late("looking at the table of users", READ))?
}

/// What [`prepare`] would do, a line for each step.
pub async fn plan(pool: &Pool, table: &str, issuer: Option<&str>) -> Result<Vec<String>> {
    let place = pool.place();
    let work = async {
        match pool.connect_to(Some(&place.name)).await? {
            Ok(mut conn) => {
                let found = survey(&mut conn, table).await;
                // It is closed either way.
                let _ = conn.disconnect().await;
                let found = found?;
                found.must_record(issuer)?;
                Ok(found.plan(table))
            }
            Err(error) if code(&error) == Some(1049) => {
                let mut lines = vec![format!("create the database {}", place.name)];
                lines.extend(Survey::new(MYSQL, None, None)?.plan(table));
                Ok(lines)
            }
            Err(error) => Err(connect_error(&error, place)),
        }
    };
    timeout(LIMIT, work).await.map_err(|_| late("looking at the tables", LIMIT))?
}

/// What of the table of users will fail somebody later; nothing where there is no such table or database yet.
pub async fn warnings(pool: &Pool, table: &str) -> Result<Vec<String>> {
    let place = pool.place();
    let work = async {
        match pool.connect_to(Some(&place.name)).await? {
            Ok(mut conn) => {
                let warnings = warnings_of(&mut conn, table).await;
                // It is closed either way.
                let _ = conn.disconnect().await;
                warnings
            }
            Err(error) if code(&error) == Some(1049) => Ok(Vec::new()),
            Err(error) => Err(connect_error(&error, place)),
        }
    };
    timeout(LIMIT, work).await.map_err(|_| late("looking at the tables", LIMIT))?
}

async fn warnings_of(conn: &mut Conn, table: &str) -> Result<Vec<String>> {
    let Some(users) = adopt(conn, table).await? else { return Ok(Vec::new()) };
    let mut warnings = users.warnings();
    // Once it is ours the rows in it are those of people who signed in, and of others whom it is too late to warn of.
    if kind_of(conn, "doorward_meta").await?.is_none() && has_rows(conn, table).await? {
        warnings.push(adoption::takes_over(table));
    }
    Ok(warnings)
}

async fn has_rows(conn: &mut Conn, table: &str) -> Result<bool> {
    let (rows, _) = run(conn, &format!("select 1 from {} limit 1", quoted(table)), Vec::new()).await?;
    Ok(!rows.is_empty())
}

/// Creates the database where it is missing and the account may.
async fn create_database(pool: &Pool) -> Result<()> {
    let place = pool.place();
    let error = match pool.connect_to(Some(&place.name)).await? {
        Ok(conn) => {
            // It is closed either way.
            let _ = conn.disconnect().await;
            return Ok(());
        }
        Err(error) => error,
    };
    if code(&error) != Some(1049) {
        return Err(connect_error(&error, place));
    }
    let mut conn = pool.connect_to(None).await?.map_err(|error| connect_error(&error, place))?;
    let create = format!("create database if not exists {} character set utf8mb4", quoted(&place.name));
    let created = exec(&mut conn, &create, Vec::new()).await;
    // It is closed either way.
    let _ = conn.disconnect().await;
    match created {
        Ok(_) => {
            tracing::info!(database = place.name, "created the database");
            Ok(())
        }
        Err(error) if matches!(code(&error), Some(1044 | 1045 | 1142 | 1227)) => {
            Err(StoreError::Schema(create_it_yourself(&error.to_string(), &place.name, &place.user)))
        }
        Err(error) => Err(store_error(&error)),
    }
}

/// Sessions end by our clock; another instance's must agree with it about as well as the database's does.
async fn warn_of_skew(conn: &mut Conn, clock: &dyn Clock) -> Result<()> {
    let (rows, _) = run(conn, "select unix_timestamp()", Vec::new()).await?;
    let theirs: i64 = rows.first().map_or(Ok(0), |row| value(row, 0))?;
    let apart = theirs.abs_diff(clock.now().unix());
    if apart > SKEW {
        tracing::warn!(seconds = apart, "this machine's clock and the database's differ; set both by NTP");
    }
    Ok(())
}

/// Looks at what is there.
async fn survey(conn: &mut Conn, table: &str) -> Result<Survey> {
    let users = adopt(conn, table).await?;
    let meta = match kind_of(conn, "doorward_meta").await? {
        None => None,
        Some(_) => {
            let (rows, _) = run(conn, "select name, value from doorward_meta order by name", Vec::new()).await?;
            Some(rows.iter().map(|row| Ok((value(row, 0)?, value(row, 1)?))).collect::<Result<Vec<_>>>()?)
        }
    };
    Survey::new(MYSQL, meta.as_deref(), users)
}

async fn work_or_wait(connection: &mut Lease, table: &str, issuer: Option<&str>) -> Result<Survey> {
    let conn = connection.conn();
    let mut found = survey(conn, table).await?;
    found.must_record(issuer)?;
    if !found.is_complete() {
        if found.users.is_some() && !found.has_meta && has_rows(conn, table).await? {
            tracing::warn!("{}", adoption::takes_over(table));
        }
        // An account without the right to create tables never comes here once they are there.
        run(conn, META, Vec::new()).await?;
        let holder = Holder::new(conn).await?;
        let since = Instant::now();
        while !holder.take(conn).await? {
            if since.elapsed() > WAIT {
                return Err(StoreError::Unavailable(
                    "another instance is making the tables ready; wait until it has".to_owned(),
                ));
            }
            sleep(PAUSE).await;
        }
        let done = work(conn, table, &holder).await;
        holder.let_go(conn).await?;
        done?;
        found = survey(conn, table).await?;
    }
    if let Some(issuer) = issuer.filter(|_| found.issuer.is_none()) {
        // Whoever comes second finds the first one's; a look again shows whether it is ours.
        run(conn, INSERT_META, vec![param(ISSUER), param(issuer)]).await?;
        found = survey(conn, table).await?;
        found.must_record(Some(issuer))?;
    }
    Ok(found)
}

const INSERT_META: &str = "insert into doorward_meta (name, value, changed_at) values (?, ?, unix_timestamp()) \
                           on duplicate key update name = name";

/// Does what is missing, step by step; each can be repeated where the one before us died half-way.
async fn work(conn: &mut Conn, table: &str, holder: &Holder) -> Result<()> {
    let found = survey(conn, table).await?;
    if found.users.is_none() {
        run(conn, &users_table(table), Vec::new()).await?;
    }
    for step in &found.pending {
        holder.renew(conn).await?;
        run_step(conn, step).await?;
    }
    Ok(())
}

async fn run_step(conn: &mut Conn, step: &Step) -> Result<()> {
    for statement in step.statements() {
        match exec(conn, &statement, Vec::new()).await {
            // A column of this name is there: whoever died half-way had added it already.
            Err(error) if matches!(code(&error), Some(1060 | 1061)) => {}
            done => drop(done.map_err(|error| store_error(&error))?),
        }
    }
    let (name, record) = step.record();
    run(conn, INSERT_META, vec![param(name), param(record)]).await?;
    tracing::info!(step = step.number, "made the database's tables ready: {}", step.name);
    Ok(())
}

/// The public table, as the contract describes it.
fn users_table(table: &str) -> String {
    let text = "character set utf8mb4 collate utf8mb4_unicode_ci";
    format!(
        "create table if not exists {} (id varchar(255) character set utf8mb4 collate utf8mb4_bin not null, \
         email varchar(320) {text} not null, name varchar(255) {text}, picture varchar(2048) {text}, \
         primary key (id)) engine = InnoDB row_format = dynamic default {text}",
        quoted(table)
    )
}

/// Who works on the tables.
struct Holder(String);

impl Holder {
    /// A name that no other instance has.
    async fn new(conn: &mut Conn) -> Result<Self> {
        let (rows, _) = run(conn, "select uuid()", Vec::new()).await?;
        let name: String = rows.first().map_or(Ok(String::new()), |row| value(row, 0))?;
        let row = "insert into doorward_meta (name, value, changed_at) values ('lease', '', 0) \
                   on duplicate key update name = name";
        run(conn, row, Vec::new()).await?;
        Ok(Self(name))
    }

    /// Whether the lease is ours now: it was nobody's, or its holder gave no sign for too long.
    async fn take(&self, conn: &mut Conn) -> Result<bool> {
        let take = "update doorward_meta set value = ?, changed_at = unix_timestamp() + ? \
                    where name = 'lease' and changed_at < unix_timestamp()";
        let taken = exec(conn, take, vec![param(self.0.as_str()), param(LEASE)]).await;
        match taken {
            Ok((_, rows)) => Ok(rows == 1),
            // On a cluster the other one won at the same moment.
            Err(error) if matches!(code(&error), Some(1213 | 1205 | 3101)) => Ok(false),
            Err(error) => Err(store_error(&error)),
        }
    }

    /// Makes sure that nobody took us for dead.
    async fn renew(&self, conn: &mut Conn) -> Result<()> {
        let renew = "update doorward_meta set changed_at = unix_timestamp() + ? where name = 'lease' and value = ?";
        let (_, rows) = run(conn, renew, vec![param(LEASE), param(self.0.as_str())]).await?;
        let lost = || {
            StoreError::Unavailable("another instance took over making the tables ready; wait until it has".to_owned())
        };
        if rows == 1 { Ok(()) } else { Err(lost()) }
    }

    async fn let_go(&self, conn: &mut Conn) -> Result<()> {
        let end = "update doorward_meta set changed_at = 0 where name = 'lease' and value = ?";
        run(conn, end, vec![param(self.0.as_str())]).await.map(drop)
    }
}

async fn run(conn: &mut Conn, sql: &str, params: Vec<Value>) -> Result<(Vec<mysql_async::Row>, u64)> {
    exec(conn, sql, params).await.map_err(|error| store_error(&error))
}
