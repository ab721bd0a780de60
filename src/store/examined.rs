//! What a database says of itself when it is looked at closely: for whoever wants to know whether it will do.

use crate::store::Result;

/// What was found at one of the hosts.
#[derive(Clone, Debug)]
pub struct AtHost {
    /// Which, `db2:3306`; empty where the database is a file.
    pub host: String,
    /// What was found, or why nothing could be.
    pub found: Result<Examined>,
}

/// What was found. `None` where the database knows nothing of the kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Examined {
    /// Which server it is, `MariaDB 10.11.14`.
    pub server: String,
    /// The oldest version that will do, where this one is older.
    pub too_old: Option<&'static str>,
    /// How the connection is encrypted.
    pub encryption: Option<Encryption>,
    /// Which rights the account lacks.
    pub rights: Option<Rights>,
    /// How ids are compared in the table of users.
    pub id: Option<IdColumn>,
    /// Whether a value that does not fit is refused, whoever writes it.
    pub is_strict: Option<bool>,
    /// By how many seconds our clock is ahead of the database's.
    pub ahead: Option<i64>,
    /// Whether it takes no changes.
    pub is_read_only: bool,
    /// Which others keep the same data.
    pub cluster: Option<Cluster>,
    /// How many connections it has, ours among them, and how many it takes.
    pub connections: Option<(u64, u64)>,
}

/// How the connection is encrypted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Encryption {
    /// With this cipher.
    By(String),
    /// Not at all, and it does not leave this machine.
    NeedsNone,
    /// Not at all, though it leaves this machine.
    None,
}

/// Which rights the account lacks, as far as the server tells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rights {
    /// Those that serving needs: `DELETE on doorward_sessions`.
    pub to_serve: Vec<String>,
    /// Those that making tables ready needs.
    pub to_migrate: Vec<String>,
    /// Whether the account has roles, whose rights the server does not tell: it may have more than was seen.
    pub has_roles: bool,
}

/// The column `id` of the table of users.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdColumn {
    /// Its type.
    pub type_name: String,
    /// Its character set and its collation, where it holds text.
    pub collation: Option<(String, String)>,
}

/// Which others keep the same data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cluster {
    /// None.
    Alone,
    /// So many nodes of a Galera cluster, and how this one is: `Synced`.
    Galera {
        /// How many.
        nodes: String,
        /// How this one is.
        state: String,
        /// Whether it takes questions.
        is_ready: bool,
        /// Whether it sees the majority of the others.
        has_majority: bool,
    },
    /// MySQL's group replication with so many members, and how this one is: `ONLINE`.
    Group {
        /// How many, where the account may know.
        members: Option<u64>,
        /// How this one is; empty where the account may not know.
        state: String,
        /// Whether it is together with the majority of the others.
        has_majority: bool,
    },
}
