//! From the tables that are there to the tables that this version needs: what is missing, and whether the database is
//! one that we may touch. Decides only; each twin does the work in its own words.
//!
//! Steps are numbered and only ever added. Each is written so that it can be repeated, since a server without
//! transactions for `create table` may die between two statements. A step that is done stands in `doorward_meta` with
//! its checksum and with the number that a Doorward must know to live with it: the version before keeps working on a
//! step that only adds, and stands back from one that changes what it reads.

use crate::store::adoption::Adopted;
use crate::store::{Result, StoreError};

/// One numbered step.
#[derive(Debug)]
pub struct Step {
    /// Its number, from 1.
    pub number: u32,
    /// What it is called in plans.
    pub name: &'static str,
    /// The newest step that a Doorward must know to work on a database where this one is done.
    pub needs: u32,
    /// Its statements, separated by `;`.
    pub sql: &'static str,
}

/// The steps of SQLite.
pub const SQLITE: &[Step] = &[
    Step {
        number: 1,
        name: "tables of identities, sessions, tokens and keys",
        needs: 1,
        sql: include_str!("migrations/sqlite/0001_tables.sql"),
    },
    Step {
        number: 2,
        name: "what a token may be used for",
        needs: 1,
        sql: include_str!("migrations/sqlite/0002_token_scope.sql"),
    },
    Step {
        number: 3,
        name: "keys that sign assertions",
        needs: 1,
        sql: include_str!("migrations/sqlite/0003_signing_keys.sql"),
    },
    Step {
        number: 4,
        name: "tables of what happened and of blocks that outlive deletion",
        needs: 1,
        sql: include_str!("migrations/sqlite/0004_audit.sql"),
    },
    Step {
        number: 5,
        name: "terminals that wait to be let in",
        needs: 1,
        sql: include_str!("migrations/sqlite/0005_devices.sql"),
    },
    Step {
        number: 6,
        name: "the network that a terminal asks from",
        needs: 1,
        sql: include_str!("migrations/sqlite/0006_device_network.sql"),
    },
    Step {
        number: 7,
        name: "when the person of a session last showed who they are",
        needs: 1,
        sql: include_str!("migrations/sqlite/0007_session_proved.sql"),
    },
    Step {
        number: 8,
        name: "an index of those who are blocked",
        needs: 1,
        sql: include_str!("migrations/sqlite/0008_blocked.sql"),
    },
];

/// The steps of MySQL and MariaDB: same numbers, same names.
pub const MYSQL: &[Step] = &[
    Step {
        number: 1,
        name: "tables of identities, sessions, tokens and keys",
        needs: 1,
        sql: include_str!("migrations/mysql/0001_tables.sql"),
    },
    Step {
        number: 2,
        name: "what a token may be used for",
        needs: 1,
        sql: include_str!("migrations/mysql/0002_token_scope.sql"),
    },
    Step {
        number: 3,
        name: "keys that sign assertions",
        needs: 1,
        sql: include_str!("migrations/mysql/0003_signing_keys.sql"),
    },
    Step {
        number: 4,
        name: "tables of what happened and of blocks that outlive deletion",
        needs: 1,
        sql: include_str!("migrations/mysql/0004_audit.sql"),
    },
    Step {
        number: 5,
        name: "terminals that wait to be let in",
        needs: 1,
        sql: include_str!("migrations/mysql/0005_devices.sql"),
    },
    Step {
        number: 6,
        name: "the network that a terminal asks from",
        needs: 1,
        sql: include_str!("migrations/mysql/0006_device_network.sql"),
    },
    Step {
        number: 7,
        name: "when the person of a session last showed who they are",
        needs: 1,
        sql: include_str!("migrations/mysql/0007_session_proved.sql"),
    },
    Step {
        number: 8,
        name: "an index of those who are blocked",
        needs: 1,
        sql: include_str!("migrations/mysql/0008_blocked.sql"),
    },
];

/// How the names of rows of `doorward_meta` begin that record a step.
const RECORD: &str = "step ";

/// The name of the row of `doorward_meta` that holds the issuer whose subjects are the ids of `users`.
pub const ISSUER: &str = "issuer";

impl Step {
    /// The statements one by one, without comments.
    pub fn statements(&self) -> impl Iterator<Item = String> {
        let lines = self.sql.lines().filter(|line| !line.starts_with("--"));
        let text = lines.collect::<Vec<_>>().join("\n");
        let statements: Vec<String> = text.split(';').map(|statement| statement.trim().to_owned()).collect();
        statements.into_iter().filter(|statement| !statement.is_empty())
    }

    /// The name and the value of the row of `doorward_meta` that says that this step is done.
    pub fn record(&self) -> (String, String) {
        (format!("{RECORD}{:04}", self.number), format!("{} {}", self.needs, self.checksum()))
    }

    fn checksum(&self) -> String {
        let digest = ring::digest::digest(&ring::digest::SHA256, self.sql.as_bytes());
        digest.as_ref()[..8].iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// What a look at the database found.
#[derive(Debug)]
pub struct Survey {
    /// The table of users, where there is one.
    pub users: Option<Adopted>,
    /// Whether `doorward_meta` is there.
    pub has_meta: bool,
    /// The steps that are to be done.
    pub pending: Vec<&'static Step>,
    /// The issuer on record.
    pub issuer: Option<String>,
}

impl Survey {
    /// What the rows of `doorward_meta` mean to a Doorward that knows `steps`; `None` where the table is missing.
    ///
    /// [`StoreError::Schema`] where the database belongs to a Doorward that this one cannot stand in for.
    pub fn new(steps: &'static [Step], meta: Option<&[(String, String)]>, users: Option<Adopted>) -> Result<Self> {
        let rows = meta.unwrap_or_default();
        let newest = steps.last().map_or(0, |step| step.number);
        let mut done = Vec::new();
        for (name, value) in rows.iter().filter(|(name, _)| name.starts_with(RECORD)) {
            let number: Option<u32> = name[RECORD.len()..].parse().ok();
            let (needs, checksum) = value.split_once(' ').unwrap_or_default();
            let (Some(number), Ok(needs)) = (number, needs.parse::<u32>()) else {
                return Err(StoreError::Schema(format!(
                    "doorward_meta holds a row that nobody can read: {name:?}. Somebody else wrote to it; restore the last \
                     backup, or name another database ([database] url)"
                )));
            };
            if needs > newest {
                return Err(from_the_future(number, newest));
            }
            if steps.iter().any(|step| step.number == number && step.checksum() != checksum) {
                return Err(StoreError::Schema(format!(
                    "step {number} of this database's tables was made by another build of Doorward; use that one, or \
                     another database"
                )));
            }
            done.push(number);
        }
        let pending = steps.iter().filter(|step| !done.contains(&step.number)).collect();
        let issuer = rows.iter().find(|(name, _)| name == ISSUER).map(|(_, value)| value.clone());
        Ok(Self { users, has_meta: meta.is_some(), pending, issuer })
    }

    /// Whether `issuer` is to be written down; [`StoreError::Schema`] where another one is on record.
    ///
    /// Ids are the subjects of one issuer. Another issuer's equal subject is somebody else, who would walk into this
    /// person's account.
    pub fn must_record(&self, issuer: Option<&str>) -> Result<bool> {
        match (&self.issuer, issuer) {
            (_, None) => Ok(false),
            (None, Some(_)) => Ok(true),
            (Some(recorded), Some(issuer)) if recorded == issuer => Ok(false),
            (Some(recorded), Some(issuer)) => Err(StoreError::Schema(format!(
                "the ids in this database are those of {recorded}, but the configuration names {issuer}: an equal id of \
                 another issuer is another person. Configure {recorded} again, or give {issuer} a database of its own \
                 ([database] url)"
            ))),
        }
    }

    /// What is to be done, a line for each step; `table` is the table of users.
    pub fn plan(&self, table: &str) -> Vec<String> {
        let mut lines = Vec::new();
        match &self.users {
            None => lines.push(format!("create the table {table}: id, email, name, picture")),
            Some(users) if !self.has_meta => lines.push(users.to_string()),
            Some(_) => {}
        }
        if !self.has_meta {
            lines.push("create the table doorward_meta".to_owned());
        }
        lines.extend(self.pending.iter().map(|step| format!("take step {}: {}", step.number, step.name)));
        lines
    }

    /// Whether all tables are as they should be.
    pub fn is_complete(&self) -> bool {
        self.users.is_some() && self.has_meta && self.pending.is_empty()
    }
}

fn from_the_future(number: u32, newest: u32) -> StoreError {
    StoreError::Schema(format!(
        "this database was made ready by a newer Doorward (step {number}; this one knows {newest}) and cannot be used \
         by an older one: install the newer version, or restore the backup from before the upgrade"
    ))
}
