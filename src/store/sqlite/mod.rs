//! The memory in one file, for a site that wants no database server.
//!
//! One connection writes, each transaction `begin immediate`: a transaction that reads first and then wants to write
//! is refused under load however long it would have waited. A few others read beside it, so that a check waits for no
//! writer (WAL). `synchronous = full`: what was confirmed outlives a power cut. Another process may use the file at
//! the same time. Every call runs on a thread for blocking work to its end, even where the asker is gone.

mod audit;
mod devices;
mod file;
mod keys;
mod prepare;
mod removal;
mod sessions;
mod tokens;
mod users;

use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use async_trait::async_trait;
use rusqlite::{Connection, ErrorCode, Transaction, TransactionBehavior};
use tokio::sync::{Mutex, Semaphore};

use crate::clock::Clock;
use crate::metrics::{self, Operation};
use crate::store::adoption::Adopted;
use crate::store::examined::{AtHost, Examined};
use crate::store::migrate::Survey;
use crate::store::sqlite::sessions::Lookups;
use crate::store::{Result, Store, StoreError};

/// How long a writer waits for the one before it.
const WRITER_WAIT: Duration = Duration::from_secs(5);

/// How many read at the same time; more would only wait for the processor.
const READERS: usize = 4;

/// How long a reader waits for another.
const READER_WAIT: Duration = Duration::from_secs(2);

/// The memory in one file.
pub struct Sqlite {
    path: PathBuf,
    table: String,
    clock: Arc<dyn Clock>,
    state: RwLock<State>,
}

enum State {
    Unprepared,
    Ready(Arc<Ready>),
    Closed,
}

/// A file whose tables are ready.
struct Ready {
    adopted: Adopted,
    lookups: Lookups,
    issuer: Option<String>,
    writer: Arc<Mutex<Connection>>,
    readers: Arc<Readers>,
}

struct Readers {
    permits: Semaphore,
    idle: std::sync::Mutex<Vec<Connection>>,
}

impl Sqlite {
    /// The memory in the file at `path`, which is opened by [`Store::prepare`]; `table` is the table of users.
    pub fn new(path: PathBuf, table: String, clock: Arc<dyn Clock>) -> Self {
        Self { path, table, clock, state: RwLock::new(State::Unprepared) }
    }

    fn ready(&self) -> Result<Arc<Ready>> {
        match &*self.state.read().unwrap_or_else(PoisonError::into_inner) {
            State::Ready(ready) => Ok(Arc::clone(ready)),
            State::Unprepared => Err(StoreError::Unavailable("its tables have not been made ready yet".to_owned())),
            State::Closed => Err(StoreError::Unavailable("it was closed".to_owned())),
        }
    }

    /// Reads beside all others.
    async fn read<T, F>(&self, ask: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection, &Ready) -> rusqlite::Result<T> + Send + 'static,
    {
        let _timed = metrics::database(Operation::Read);
        let ready = self.ready()?;
        let path = self.path.clone();
        let readers = Arc::clone(&ready.readers);
        let permit = tokio::time::timeout(READER_WAIT, readers.permits.acquire()).await;
        let _permit = permit.map_err(|_| busy())?.map_err(|_| closed())?;
        blocking(move || {
            let idle = ready.readers.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let conn = idle.map_or_else(|| file::open(&path, file::Access::Read), Ok)?;
            let answer = ask(&conn, &ready).map_err(store_error);
            ready.readers.idle.lock().unwrap_or_else(PoisonError::into_inner).push(conn);
            answer
        })
        .await
    }

    /// Writes alone: all that `change` does, or nothing where it fails. Where the disk is full, once more in the room that
    /// the log has.
    async fn write<T, F>(&self, change: F) -> Result<T>
    where
        T: Send + 'static,
        F: Fn(&Transaction<'_>, &Ready) -> rusqlite::Result<Change<T>> + Send + 'static,
    {
        let _timed = metrics::database(Operation::Write);
        let ready = self.ready()?;
        let writer = Arc::clone(&ready.writer);
        let mut conn = tokio::time::timeout(WRITER_WAIT, writer.lock_owned()).await.map_err(|_| busy())?;
        blocking(move || {
            let written = match write_once(&mut conn, &change, &ready) {
                Err(error) if is_full(&error) && begin_the_log_anew(&conn) => write_once(&mut conn, &change, &ready),
                written => written,
            };
            written.map_err(store_error)
        })
        .await
    }
}

fn write_once<T>(
    conn: &mut Connection,
    change: impl Fn(&Transaction<'_>, &Ready) -> rusqlite::Result<Change<T>>,
    ready: &Ready,
) -> rusqlite::Result<T> {
    let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
    match change(&tx, ready)? {
        Change::Keep(answer) => tx.commit().map(|()| answer),
        Change::Undo(answer) => tx.rollback().map(|()| answer),
    }
}

fn is_full(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(ErrorCode::DiskFull)
}

/// Carries what the log holds into the file, so that the next change is written over it and needs no further room: the
/// log keeps its size. Whether that came about.
fn begin_the_log_anew(conn: &Connection) -> bool {
    let is_busy = conn.query_row("pragma wal_checkpoint(restart)", [], |row| row.get::<_, i64>(0));
    is_busy.is_ok_and(|is_busy| is_busy == 0)
}

/// Whether a transaction is kept.
enum Change<T> {
    Keep(T),
    Undo(T),
}

#[async_trait]
impl Store for Sqlite {
    async fn prepare(&self, issuer: Option<&str>) -> Result<()> {
        let (path, table, issuer) = (self.path.clone(), self.table.clone(), issuer.map(str::to_owned));
        let now = self.clock.now();
        let ready = blocking(move || {
            let mut writer = file::open(&path, file::Access::Create)?;
            let survey = prepare::prepare(&mut writer, &table, issuer.as_deref(), now)?;
            let adopted = survey.users.ok_or_else(|| StoreError::Refused(format!("{table} was not created")))?;
            let readers = Readers { permits: Semaphore::new(READERS), idle: std::sync::Mutex::default() };
            let (writer, readers) = (Arc::new(Mutex::new(writer)), Arc::new(readers));
            Ok(Ready { lookups: Lookups::new(&adopted), adopted, issuer: survey.issuer, writer, readers })
        })
        .await?;
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        if matches!(*state, State::Closed) {
            return Err(closed());
        }
        *state = State::Ready(Arc::new(ready));
        Ok(())
    }

    async fn plan(&self, issuer: Option<&str>) -> Result<Vec<String>> {
        let (path, table) = (self.path.clone(), self.table.clone());
        let issuer = issuer.map(str::to_owned);
        blocking(move || {
            file::foresee(&path)?;
            if !path.exists() {
                let survey = Survey::new(crate::store::migrate::SQLITE, None, None)?;
                let mut lines = vec![format!("create the file {}", path.display())];
                lines.extend(survey.plan(&table));
                return Ok(lines);
            }
            let conn = file::open(&path, file::Access::Look)?;
            let found = prepare::survey(&conn, &table)?;
            found.must_record(issuer.as_deref())?;
            Ok(found.plan(&table))
        })
        .await
    }

    async fn warnings(&self) -> Result<Vec<String>> {
        let (path, table) = (self.path.clone(), self.table.clone());
        blocking(move || {
            if !path.exists() {
                return Ok(Vec::new());
            }
            prepare::warnings(&file::open(&path, file::Access::Look)?, &table)
        })
        .await
    }

    async fn examine(&self) -> Vec<AtHost> {
        let path = self.path.clone();
        let found = blocking(move || {
            let server = format!("SQLite {}", rusqlite::version());
            let is_read_only = std::fs::metadata(&path).is_ok_and(|about| about.permissions().readonly());
            if path.exists() {
                let conn = file::open(&path, file::Access::Look)?;
                let verdict: String =
                    conn.query_row("pragma quick_check(1)", [], |row| row.get(0)).map_err(store_error)?;
                if verdict != "ok" {
                    return Err(StoreError::Refused(format!("{} is damaged: {verdict}", path.display())));
                }
            }
            Ok(Examined { server, is_read_only, ..Examined::default() })
        });
        vec![AtHost { host: String::new(), found: found.await }]
    }

    async fn check_readable(&self) -> Result<()> {
        self.read(|conn, _| conn.query_row("select 1 from doorward_meta limit 1", [], |_| Ok(()))).await
    }

    /// A disk that is full is not foreseen by this: nothing is written.
    async fn check_writable(&self) -> Result<()> {
        self.write(|_, _| Ok(Change::Undo(()))).await
    }

    fn connections(&self) -> (usize, usize) {
        let Ok(ready) = self.ready() else { return (0, 0) };
        let reading = READERS.saturating_sub(ready.readers.permits.available_permits());
        let writing = usize::from(ready.writer.try_lock().is_err());
        let idle = ready.readers.idle.lock().unwrap_or_else(PoisonError::into_inner).len();
        (idle + (1 - writing), reading + writing)
    }

    async fn close(&self) {
        let before = {
            let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut *state, State::Closed)
        };
        if let State::Ready(ready) = before {
            ready.readers.permits.close();
            // The last writer empties the log into the file when its connection goes.
            let _last = tokio::time::timeout(WRITER_WAIT, ready.writer.lock()).await;
            ready.readers.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
        }
    }
}

fn busy() -> StoreError {
    StoreError::Unavailable("too many wait for the file".to_owned())
}

fn closed() -> StoreError {
    StoreError::Unavailable("it was closed".to_owned())
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(answer) => answer,
        Err(stopped) => Err(StoreError::Unavailable(format!("the work on the file stopped: {stopped}"))),
    }
}

/// What an error of SQLite means to those who asked.
fn store_error(error: rusqlite::Error) -> StoreError {
    let text = error.to_string();
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => StoreError::ReadOnly(format!("{text}. Make room on the disk")),
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => StoreError::ReadOnly(format!(
            "{text}. Let the account that runs Doorward write to the database's file and to its folder"
        )),
        Some(
            ErrorCode::DatabaseBusy
            | ErrorCode::DatabaseLocked
            | ErrorCode::SystemIoFailure
            | ErrorCode::CannotOpen
            | ErrorCode::FileLockingProtocolFailed
            | ErrorCode::OperationInterrupted
            | ErrorCode::OutOfMemory,
        ) => StoreError::Unavailable(text),
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => StoreError::Schema(format!(
            "the database file is damaged or is none ({text}). Keep a copy of it, put the last backup in its place, \
                 or move it away: Doorward then begins with an empty one, people sign in again, and tokens are gone"
        )),
        _ => StoreError::Refused(text),
    }
}
