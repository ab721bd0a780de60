//! What an error of the driver or of the server means to those who asked.

use std::time::Duration;

use mysql_async::{DriverError, Error, IoError, ServerError};

use crate::config::database::Mysql;
use crate::config::problem::in_words;
use crate::store::StoreError;

/// What can be done about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// The connection is of no use any more; a fresh one may be.
    Reconnect,
    /// Another transaction was in the way, here or on another node; the whole of ours may be tried again.
    Repeat,
    /// This server takes no changes; another host may.
    Elsewhere,
    /// None: asking again gives the same answer.
    None,
}

/// What can be done about `error`.
pub fn remedy(error: &Error) -> Remedy {
    match error {
        Error::Server(error) => match error.code {
            // Deadlock or a cluster's certification; lock wait; a group's conflict at commit.
            1213 | 1205 | 3101 => Remedy::Repeat,
            // Going down, killed, idle for too long, a cluster's node without the others, a statement gone stale.
            1047 | 1053 | 1080 | 1152..=1161 | 1180 | 1243 | 1615 | 1927 | 4031 => Remedy::Reconnect,
            // What is said where a group has lost its majority or this member.
            1123 | 3100 | 3796..=3799 => Remedy::Reconnect,
            1290 | 1836 => Remedy::Elsewhere,
            _ => Remedy::None,
        },
        _ => Remedy::Reconnect,
    }
}

/// What `error` means.
pub fn store_error(error: &Error) -> StoreError {
    match error {
        Error::Server(error) => server_error(error),
        Error::Io(IoError::Tls(error)) => distrusted(&error.to_string()),
        Error::Io(IoError::Io(error)) => {
            let tls = error.get_ref().and_then(|cause| cause.downcast_ref::<rustls::Error>());
            match tls {
                Some(rustls::Error::InvalidCertificate(_)) => distrusted(&error.to_string()),
                _ => StoreError::Unavailable(said(error)),
            }
        }
        Error::Driver(DriverError::NoClientSslFlagFromServer) => StoreError::Schema(
            "the database server offers no encryption, and [database] tls asks for it: set up TLS there, or turn it \
             off here if nobody can listen on the way"
                .to_owned(),
        ),
        error => StoreError::Unavailable(said(error)),
    }
}

/// The error in its own words: the driver puts the same two before them, once for each layer it went through.
fn said(error: &impl ToString) -> String {
    in_words(error).trim_start_matches("Input/output error: ").to_owned()
}

fn distrusted(why: &str) -> StoreError {
    StoreError::Schema(format!(
        "the database's certificate was not accepted: {why}. Look at [database] tls, and at ca_file, which names the \
         authority that signed it"
    ))
}

fn server_error(error: &ServerError) -> StoreError {
    let text = format!("{} ({})", error.message, error.code);
    match error.code {
        // Too many connections, going down, a node without the others, conflicts that outlasted all tries, time-outs.
        1040
        | 1047
        | 1053
        | 1080
        | 1123
        | 1152..=1161
        | 1180
        | 1203
        | 1205
        | 1213
        | 1226
        | 1317
        | 1615
        | 1927
        | 1969
        | 3024
        | 3101
        | 3796..=3799
        | 4031 => StoreError::Unavailable(text),
        // Read-only by an option, by the transaction, by a group; a disk or a table that is full.
        1021 | 1114 => StoreError::ReadOnly(format!("{text}. Make room on its disk, or for that table")),
        1290 | 1792 | 1836 | 3100 | 3501 => StoreError::ReadOnly(format!(
            "{text}. Where it is a replica, name the primary under [database] (or in its url); otherwise let it take \
             changes again"
        )),
        1142 | 1143 => StoreError::Schema(format!(
            "the database account lacks a right: {text}. `doorward doctor` says which, and what an administrator types"
        )),
        _ => StoreError::Refused(text),
    }
}

/// What it means that no connection came about; says what to look at, never the password.
pub fn connect_error(error: &Error, place: &Mysql) -> StoreError {
    let Error::Server(server) = error else { return unreachable(error, place) };
    let (message, name, user) = (&server.message, &place.name, &place.user);
    match server.code {
        // An account that its server ties to the system's account of the same name: Debian's root, not XAMPP's.
        1698 => StoreError::Schema(format!(
            "the database server refuses the account {user}: {message}. It lets {user} in without a password from its \
             own terminal only; type there: CREATE USER 'doorward'@'localhost' IDENTIFIED BY 'a password'; GRANT ALL \
             ON `{name}`.* TO 'doorward'@'localhost'; and name that account in [database]"
        )),
        1045 => StoreError::Schema(format!(
            "the database server refuses the account {user}: {message}. Check [database] user and password, or the \
             ones in its url"
        )),
        1044 | 1049 => StoreError::Schema(create_it_yourself(message, name, user)),
        2000..=2999 => StoreError::Unavailable(message.clone()),
        _ => store_error(error),
    }
}

/// What it means that nobody answered, or not as a database does.
fn unreachable(error: &Error, place: &Mysql) -> StoreError {
    match store_error(error) {
        StoreError::Unavailable(why) => StoreError::Unavailable(format!(
            "nobody answers as MySQL at {}: {why}. Start the database, or check host and port under [database] (or \
             in its url)",
            place.whereabouts()
        )),
        other => other,
    }
}

/// The statements that an administrator types where the account may not create its database.
pub fn create_it_yourself(message: &str, name: &str, user: &str) -> String {
    let account = message.split("user ").nth(1).and_then(|rest| rest.split(" to ").next());
    let account =
        account.filter(|account| account.contains("'@'")).map_or_else(|| format!("'{user}'@'%'"), str::to_owned);
    let name = name.replace('`', "``");
    format!(
        "the database {name} cannot be used: {message}. Type this as an administrator: CREATE DATABASE IF NOT EXISTS \
         `{name}` CHARACTER SET utf8mb4; GRANT ALL ON `{name}`.* TO {account}; or name another with [database] url"
    )
}

/// What it means that an answer did not come within `limit`.
pub fn late(what: &str, limit: Duration) -> StoreError {
    let limit = limit.as_millis();
    StoreError::Unavailable(format!("{what} took longer than {limit} ms: the database is too busy, or out of reach"))
}

/// Whether the server has no room for a further connection, of anybody or of this account.
pub fn is_crowded(error: &Error) -> bool {
    matches!(code(error), Some(1040 | 1203 | 1226))
}

/// The code that the server gave, if it was the server.
pub fn code(error: &Error) -> Option<u16> {
    if let Error::Server(error) = error { Some(error.code) } else { None }
}

/// The key that error 1062 names, without its table.
pub fn duplicate_key(error: &Error) -> Option<String> {
    let Error::Server(ServerError { code: 1062, message, .. }) = error else { return None };
    // The value before it may hold anything, this very phrase included.
    let (_, key) = message.rsplit_once("for key '")?;
    let key = key.strip_suffix('\'').unwrap_or(key);
    Some(key.rsplit_once('.').map_or(key, |(_, key)| key).to_owned())
}
