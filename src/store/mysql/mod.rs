//! The memory on a MySQL or MariaDB server, shared by all instances that name the same database.
//!
//! Every connection is told to be strict, to speak UTC and to read what is committed, whatever the server prefers;
//! every question has its time. Ids and hashes are compared as bytes. The site's own table of users is read and
//! written as it is, in its own character set.

mod adopt;
mod audit;
mod devices;
mod errors;
mod examine;
mod hosts;
mod keys;
mod pool;
mod prepare;
mod removal;
mod rights;
mod rows;
mod sessions;
mod sign_in;
mod tokens;
mod transaction;
mod users;

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::join_all;
use mysql_async::{Row, Value};

use crate::clock::Clock;
use crate::config::database::Mysql as Place;
use crate::names::Names;
use crate::store::adoption::{Adopted, gone};
use crate::store::examined::AtHost;
use crate::store::mysql::pool::Pool;
use crate::store::mysql::sessions::Lookups;
use crate::store::{Result, Store, StoreError};

/// How long a visitor waits to hear who they are: a frozen database must not freeze the site.
const VISITOR: Duration = Duration::from_millis(1400);

/// How long other questions may take.
const READ: Duration = Duration::from_secs(2);

/// How long a change may take.
const WRITE: Duration = Duration::from_secs(5);

/// The memory on a server.
pub struct Mysql {
    pool: Pool,
    table: String,
    clock: Arc<dyn Clock>,
    ready: RwLock<Option<Arc<Ready>>>,
}

/// A database whose tables are ready.
struct Ready {
    adopted: Adopted,
    lookups: Lookups,
    /// The issuer to which ids and adopted rows belong.
    issuer: Option<String>,
}

impl Ready {
    fn new(adopted: Adopted, issuer: Option<String>) -> Self {
        Self { lookups: Lookups::new(&adopted), adopted, issuer }
    }
}

impl Mysql {
    /// The memory at `place`, to which [`Store::prepare`] connects first; `table` is the table of users.
    pub fn new(place: Place, table: String, names: Names, clock: Arc<dyn Clock>) -> Self {
        // The driver takes whichever provider of cryptography the process has; one that is there already is the same.
        let _ = rustls::crypto::ring::default_provider().install_default();
        Self { pool: Pool::new(place, names), table, clock, ready: RwLock::new(None) }
    }

    fn ready(&self) -> Result<Arc<Ready>> {
        let ready = self.ready.read().unwrap_or_else(PoisonError::into_inner).clone();
        ready.ok_or_else(|| StoreError::Unavailable("its tables have not been made ready yet".to_owned()))
    }

    /// Looks at the table of users again, which is the site's to change while we run.
    async fn look_again(&self) -> Result<Arc<Ready>> {
        let adopted = prepare::look(&self.pool, &self.table).await?.ok_or_else(|| gone(&self.table))?;
        let ready = Arc::new(Ready::new(adopted, self.ready()?.issuer.clone()));
        *self.ready.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&ready));
        Ok(ready)
    }

    /// The rows that a statement about users gives, with `params` made anew for each time it is sent. Where it is
    /// refused, the table may have changed.
    async fn ask(
        &self,
        limit: Duration,
        sql: impl Fn(&Ready) -> String + Send,
        params: impl Fn() -> Vec<Value> + Sync,
    ) -> Result<Vec<Row>> {
        let statement = sql(&*self.ready()?);
        match self.pool.rows_with(limit, &statement, &params).await {
            Err(StoreError::Refused(why)) => {
                let again = sql(&*self.look_again().await?);
                if again == statement {
                    Err(StoreError::Refused(why))
                } else {
                    self.pool.rows_with(limit, &again, &params).await
                }
            }
            answer => answer,
        }
    }
}

#[async_trait]
impl Store for Mysql {
    async fn prepare(&self, issuer: Option<&str>) -> Result<()> {
        let survey = prepare::prepare(&self.pool, &self.table, issuer, &*self.clock).await?;
        let table = &self.table;
        let adopted = survey.users.ok_or_else(|| StoreError::Refused(format!("{table} was not created")))?;
        let ready = Arc::new(Ready::new(adopted, survey.issuer));
        *self.ready.write().unwrap_or_else(PoisonError::into_inner) = Some(ready);
        Ok(())
    }

    async fn plan(&self, issuer: Option<&str>) -> Result<Vec<String>> {
        prepare::plan(&self.pool, &self.table, issuer).await
    }

    async fn warnings(&self) -> Result<Vec<String>> {
        prepare::warnings(&self.pool, &self.table).await
    }

    async fn examine(&self) -> Vec<AtHost> {
        join_all(self.pool.by_host().iter().map(|pool| examine::at_host(pool, &self.table, &*self.clock))).await
    }

    async fn check_readable(&self) -> Result<()> {
        self.ready()?;
        self.pool.rows(VISITOR, "select 1 from doorward_meta limit 1", Vec::new()).await.map(drop)
    }

    /// A disk that is full is not foreseen by this: nothing is written.
    async fn check_writable(&self) -> Result<()> {
        self.ready()?;
        if !self.pool.is_writable(READ).await? {
            return Err(StoreError::ReadOnly("the server is set to read_only".to_owned()));
        }
        Ok(())
    }

    fn connections(&self) -> (usize, usize) {
        self.pool.connections()
    }

    async fn close(&self) {
        self.pool.close().await;
    }
}

/// `name` as an identifier.
fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// Text, bytes or numbers as a parameter of a statement.
fn param(value: impl Into<Value>) -> Value {
    value.into()
}

/// The databases at `place` that its account can see and that have a table called `table`, the server's own left out.
pub async fn databases_with(place: Place, table: &str, names: Names) -> Result<Vec<String>> {
    let mut conn = Pool::new(place, names).connect_to(None).await?.map_err(|error| errors::store_error(&error))?;
    let sql = "select table_schema from information_schema.tables where table_name = ? and table_schema not in \
               ('mysql', 'sys', 'performance_schema', 'information_schema', 'phpmyadmin') order by table_schema";
    let found = pool::exec(&mut conn, sql, vec![param(table)]).await;
    // It is closed either way.
    let _ = conn.disconnect().await;
    let (rows, _) = found.map_err(|error| errors::store_error(&error))?;
    rows.iter().map(|row| rows::value(row, 0)).collect()
}
