//! `[database]`: where we remember.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;

use crate::config::database_url;
use crate::config::problem::{Wrong, quoted};
use crate::config::reader::{Reader, last};
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
    /// Further hosts of the same cluster, asked in turn where the first one fails.
    pub others: Vec<Host>,
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

impl Mysql {
    /// Every host, the first one first.
    pub fn hosts(&self) -> impl Iterator<Item = Host> + '_ {
        let first = Host { name: self.host.clone(), port: self.port };
        std::iter::once(first).chain(self.others.iter().cloned())
    }

    /// The hosts for people to read: `db1:3306, db2:3306`.
    pub fn whereabouts(&self) -> String {
        let hosts: Vec<_> = self.hosts().map(|host| host.to_string()).collect();
        hosts.join(", ")
    }
}

/// A server's name or address, without brackets, and its port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// The name or the address.
    pub name: String,
    /// The port.
    pub port: u16,
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, port } = self;
        if name.contains(':') { write!(f, "[{name}]:{port}") } else { write!(f, "{name}:{port}") }
    }
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

/// Connections to MySQL that are kept at the most, unless told otherwise.
pub const MAX_CONNECTIONS: usize = 16;

/// The ways to say which database, and the parts that the third way consists of.
const URL: &str = "database.url";
const URL_FILE: &str = "database.url_file";
const PARTS: [&str; 6] =
    ["database.host", "database.port", "database.user", "database.password", "database.password_file", "database.name"];
/// The two parts that a server cannot do without, and what each is.
const USER: &str = "database.user";
const USER_MEANS: &str = "the account that may write to the database";
const NAME: &str = "database.name";
const NAME_MEANS: &str = "the database, as in \"use NAME\"";
/// What only a server needs.
const ONLY_MYSQL: [&str; 3] = ["database.tls", "database.ca_file", "database.max_connections"];

impl Database {
    /// Takes the section from what was said.
    pub fn read(reader: &mut Reader) -> Self {
        let mut database = Self::default();
        let users_table = reader.parse("database.users_table", table);
        database.users_table = users_table.unwrap_or(database.users_table);
        let place = place(reader);
        let tls = tls(reader);
        let max_connections = reader.number("database.max_connections", 1, 10_000).unwrap_or(MAX_CONNECTIONS);
        database.place = match place {
            Place::Mysql(mysql) => Place::Mysql(Mysql { tls, max_connections, ..mysql }),
            Place::Sqlite(path) => {
                for key in ONLY_MYSQL.iter().filter(|key| reader.is_said(key)).collect::<Vec<_>>() {
                    reader.notes.warn(format!("{key} has no effect: the database is SQLite"));
                }
                Place::Sqlite(path)
            }
        };
        database
    }
}

fn place(reader: &mut Reader) -> Place {
    let url = [URL, URL_FILE].map(|key| reader.layer(key)).into_iter().flatten().max();
    let parts: Vec<_> = PARTS.into_iter().filter(|key| reader.is_said(key)).collect();
    let heaviest = parts.iter().filter_map(|key| reader.layer(key)).max();
    // Parts that name a database outweigh a lighter URL; a lone password beside a URL is a mistake.
    let naming = ["database.host", "database.name"].map(|key| reader.layer(key)).into_iter().flatten().max();
    match url {
        Some(url) if naming.is_some_and(|naming| naming > url) => in_parts(reader),
        Some(url) => {
            if heaviest.is_some_and(|heaviest| heaviest >= url) {
                let spelled: Vec<_> = parts.iter().map(|key| last(key)).collect();
                let what = format!("is set beside {}", spelled.join(", "));
                reader.refuse(URL, Wrong::new(what, "write either the URL or the parts"));
            }
            by_url(reader)
        }
        None if parts.is_empty() => {
            let Place::Sqlite(path) = Database::default().place else { return Database::default().place };
            Place::Sqlite(reader.resolved(URL, &path))
        }
        None => in_parts(reader),
    }
}

fn by_url(reader: &mut Reader) -> Place {
    let (key, place) = match reader.one_of(&[URL, URL_FILE]) {
        Some(1) => {
            let text = reader.secret_file(URL_FILE);
            let place = text.and_then(|text| match database_url::parse(text.reveal()) {
                Ok(place) => Some(place),
                Err(wrong) => {
                    reader.refuse(URL_FILE, wrong);
                    None
                }
            });
            (URL_FILE, place)
        }
        _ => (URL, reader.parse(URL, database_url::parse)),
    };
    match place {
        Some(Place::Sqlite(path)) => Place::Sqlite(reader.resolved(key, &path)),
        Some(mysql) => mysql,
        None => Database::default().place,
    }
}

fn in_parts(reader: &mut Reader) -> Place {
    let wrong_before = reader.notes.problems.len();
    let hosts = reader.parse("database.host", hosts).unwrap_or_else(|| vec!["localhost".to_owned()]);
    let port = reader.number("database.port", 1, 65_535).and_then(|port| u16::try_from(port).ok()).unwrap_or(3306);
    let password = match reader.one_of(&["database.password", "database.password_file"]) {
        Some(0) => reader.parse("database.password", |text| Ok(Secret::new(text))),
        Some(_) => reader.secret_file("database.password_file"),
        None => None,
    };
    // Of a lone key that is wrong itself nobody knows whether a server was meant: one mistake is said once.
    let is_lone = PARTS.iter().filter(|key| reader.is_said(key)).count() == 1;
    if !is_lone || reader.notes.problems.len() == wrong_before {
        require_account_and_name(reader);
    }
    let (user, name) = (filled(reader, USER, USER_MEANS), filled(reader, NAME, NAME_MEANS));
    let password = password.unwrap_or_default();
    let mut hosts = hosts.into_iter();
    let host = hosts.next().unwrap_or_default();
    let others = hosts.map(|name| Host { name, port }).collect();
    Place::Mysql(Mysql { host, port, others, user, password, name, tls: Tls::Auto, max_connections: MAX_CONNECTIONS })
}

fn require_account_and_name(reader: &mut Reader) {
    let is_missing = |key: &str| !reader.is_said(key) && !reader.is_misspelt(key);
    let (key, what, remedy) = match [USER, NAME].map(is_missing) {
        [false, false] => return,
        [true, false] => (USER, "is missing".to_owned(), format!("write user = \"…\" under [database]: {USER_MEANS}")),
        [false, true] => (NAME, "is missing".to_owned(), format!("write name = \"…\" under [database]: {NAME_MEANS}")),
        [true, true] => (
            USER,
            format!("is missing, and so is {NAME}"),
            format!("write both under [database]: {USER_MEANS}, and {NAME_MEANS}"),
        ),
    };
    reader.refuse_beside(key, &PARTS, Wrong::new(what, remedy));
}

fn filled(reader: &mut Reader, key: &str, meaning: &str) -> String {
    let filled = |text: &str| match text {
        "" => Err(Wrong::new("is empty", format!("name {meaning}"))),
        text => Ok(text.to_owned()),
    };
    reader.parse(key, filled).unwrap_or_default()
}

fn tls(reader: &mut Reader) -> Tls {
    let ca_file = reader.path("database.ca_file");
    let word = reader.word("database.tls", &[("auto", "auto"), ("off", "off"), ("on", "on")]);
    match (word, ca_file) {
        (Some("off"), Some(_)) => {
            let wrong = Wrong::new("is set though tls is off", "take one of them out");
            reader.refuse("database.ca_file", wrong);
            Tls::Off
        }
        (Some("off"), None) => Tls::Off,
        (Some("on"), ca_file) | (_, ca_file @ Some(_)) => Tls::On { ca_file },
        (_, None) => Tls::Auto,
    }
}

/// Hosts with commas between them.
fn hosts(text: &str) -> Result<Vec<String>, Wrong> {
    text.split(',').map(|one| host(one.trim())).collect()
}

/// A host name or address, without brackets.
fn host(text: &str) -> Result<String, Wrong> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let is_address = bare.parse::<IpAddr>().is_ok();
    let is_name = !bare.is_empty() && bare.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'));
    if is_address || is_name {
        return Ok(bare.to_owned());
    }
    let remedy = "write a name or an address; the port has a key of its own, and sockets are not supported";
    Err(Wrong::new(format!("{} is not a host", quoted(text)), remedy))
}

/// The name of a table that needs no quoting: it goes into statements.
fn table(text: &str) -> Result<String, Wrong> {
    let is_plain = text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    let begins_well = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    if !(is_plain && begins_well && text.len() <= 64) {
        let remedy = "write at most 64 letters, digits and _, beginning with a letter";
        return Err(Wrong::new(format!("{} is not a plain name of a table", quoted(text)), remedy));
    }
    if text.to_ascii_lowercase().starts_with("doorward_") {
        let wrong = Wrong::new(format!("{} is kept for our own tables", quoted(text)), "choose another name");
        return Err(wrong);
    }
    Ok(text.to_owned())
}
