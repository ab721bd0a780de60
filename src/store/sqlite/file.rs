//! Opens the database's file: readable by its owner alone, in a folder that is there.

use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind};
use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use crate::store::sqlite::store_error;
use crate::store::{Result, StoreError};

/// How long SQLite waits for another process's lock.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// How many KiB of the file a connection keeps at hand: what ten thousand people need. Checks use one connection, as long
/// as one is enough.
const CACHE_KIB: u32 = 12 * 1024;

/// How many prepared statements a connection keeps.
const STATEMENTS: usize = 64;

/// What the connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// To write; the file is created where it is missing.
    Create,
    /// To read, beside a writer that has made the file.
    Read,
    /// To look once, changing nothing.
    Look,
}

/// Opens the file at `path`.
pub fn open(path: &Path, access: Access) -> Result<Connection> {
    if access == Access::Create {
        create(path)?;
    }
    let flags = match access {
        Access::Create | Access::Read => OpenFlags::SQLITE_OPEN_READ_WRITE,
        Access::Look => OpenFlags::SQLITE_OPEN_READ_ONLY,
    };
    // Each connection is used by one thread at a time.
    let conn = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX).map_err(store_error)?;
    configure(&conn, access).map_err(store_error)?;
    Ok(conn)
}

fn configure(conn: &Connection, access: Access) -> rusqlite::Result<()> {
    conn.busy_timeout(BUSY_TIMEOUT)?;
    conn.set_prepared_statement_cache_capacity(STATEMENTS);
    conn.pragma_update(None, "foreign_keys", true)?;
    // Text in double quotes that names no column is an error, not a text.
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DML, false)?;
    // Otherwise other values may ask for another plan, and a statement is compiled anew for nearly every question.
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    conn.pragma_update(None, "cache_size", -i64::from(CACHE_KIB))?;
    match access {
        Access::Create => {
            conn.pragma_update(None, "journal_mode", "wal")?;
            conn.pragma_update(None, "synchronous", "full")
        }
        Access::Read | Access::Look => conn.pragma_update(None, "query_only", true),
    }
}

/// Fails where [`open`] would when it creates, as far as looking tells.
pub fn foresee(path: &Path) -> Result<()> {
    let folder = folder_of(path);
    match fs::metadata(path) {
        Ok(about) if about.is_dir() => Err(cannot_be_created(path, &ErrorKind::IsADirectory.into())),
        Ok(_) => may_write(path).and_then(|()| may_write(folder)).map_err(|error| {
            StoreError::ReadOnly(format!(
                "{} or its folder cannot be written: {error}. Let the account that runs Doorward write to both",
                path.display()
            ))
        }),
        Err(error) if error.kind() == ErrorKind::NotFound => match fs::metadata(folder) {
            Ok(about) if about.is_dir() => may_write(folder).map_err(|error| cannot_be_created(path, &error)),
            Ok(_) => Err(cannot_be_created(path, &ErrorKind::NotADirectory.into())),
            Err(error) => Err(cannot_be_created(path, &error)),
        },
        Err(error) => Err(cannot_be_created(path, &error)),
    }
}

/// The folder that the file lies in, or would.
fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

#[cfg(unix)]
fn may_write(path: &Path) -> io::Result<()> {
    Ok(rustix::fs::access(path, rustix::fs::Access::WRITE_OK)?)
}

/// Rights of other systems show when they are used; the mark on a file shows before.
#[cfg(not(unix))]
fn may_write(path: &Path) -> io::Result<()> {
    let about = fs::metadata(path)?;
    if about.is_file() && about.permissions().readonly() { Err(ErrorKind::PermissionDenied.into()) } else { Ok(()) }
}

/// Creates an empty file that only its owner reads: it holds addresses of people and the key of logins under way.
/// SQLite gives the files beside it the same mode.
fn create(path: &Path) -> Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Ok(_) => Ok(()),
        Err(_) if path.is_dir() => Err(cannot_be_created(path, &ErrorKind::IsADirectory.into())),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(cannot_be_created(path, &error)),
    }
}

fn cannot_be_created(path: &Path, error: &io::Error) -> StoreError {
    let (place, folder) = (path.display(), folder_of(path).display());
    StoreError::Schema(match error.kind() {
        ErrorKind::NotFound => format!(
            "the database {place} cannot be created: there is no folder {folder}. Create it (mkdir -p {folder}), or \
             put the file elsewhere with [database] url"
        ),
        ErrorKind::IsADirectory => format!(
            "the database {place} cannot be created: a folder of that name is there. Name a file in it with [database] url"
        ),
        ErrorKind::NotADirectory => format!(
            "the database {place} cannot be created: {folder} is no folder. Put the file elsewhere with [database] url"
        ),
        _ => format!(
            "the database {place} cannot be created: {error}. Let the account that runs Doorward write to the folder \
             {folder}, or put the file elsewhere with [database] url"
        ),
    })
}
