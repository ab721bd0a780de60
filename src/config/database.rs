//! `[database]`: where we remember.

use std::path::PathBuf;

use crate::config::secret::Secret;

/// `[database]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Database {
    /// Which database.
    pub place: Place,
    /// The public table of users.
    pub users_table: String,
}

impl Default for Database {
    fn default() -> Self {
        Self { place: Place::Sqlite(PathBuf::from("doorward.db")), users_table: "users".to_owned() }
    }
}

/// Which database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// `sqlite:doorward.db`
    Sqlite(PathBuf),
    /// `mysql://user:password@host:3306/name`, or in parts.
    Mysql(Mysql),
}

/// A MySQL or MariaDB server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mysql {
    /// A name or an address, without brackets.
    pub host: String,
    /// Its port, 3306 by default.
    pub port: u16,
    /// The account.
    pub user: String,
    /// Its password; an empty one is a password.
    pub password: Secret,
    /// The database.
    pub name: String,
    /// Whether the connection is encrypted and to whom.
    pub tls: Tls,
    /// Connections kept at the most.
    pub max_connections: usize,
}

/// Encryption towards the database.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Tls {
    /// Off for a local server, otherwise verified against the public roots.
    #[default]
    Auto,
    /// Never.
    Off,
    /// Verified against the public roots, or against a PEM file of our own.
    On {
        /// Certificate authorities, a PEM file.
        ca_file: Option<PathBuf>,
    },
}
