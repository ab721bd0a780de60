//! Which database `doorward init` writes down: as the flag says, else as somebody chooses.

use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::cli::failure::Failure;
use crate::cli::init::questions::Questions;
use crate::cli::output::talk;
use crate::config::database::{Database, Mysql, Place, Tls};
use crate::config::database_url;
use crate::config::secret::Secret;
use crate::names::Names;
use crate::store::mysql;

/// How long the server of this machine may take to say which databases it has.
const PATIENCE: Duration = Duration::from_secs(3);

/// The database's name where there is no better one.
const NAME: &str = "doorward";

/// What is written down.
pub enum Choice {
    /// The file beside the configuration.
    Sqlite,
    /// A URL, as it was typed.
    Url(String),
    /// The account that XAMPP sets up, on this machine, and a database of this name.
    Xampp(String),
}

/// Chooses.
pub async fn choose(said: Option<&str>, questions: &mut Questions) -> Result<Choice, Failure> {
    if let Some(url) = said {
        return by_url(url);
    }
    if !questions.are_possible() {
        return Ok(Choice::Sqlite);
    }
    let is_there = matches!(timeout(PATIENCE, TcpStream::connect(("127.0.0.1", 3306))).await, Ok(Ok(_)));
    let choices = [
        "MySQL as XAMPP sets it up: root on this machine, without a password",
        "another MySQL or MariaDB, by its URL",
        "SQLite, a file here: nothing to install",
    ];
    match questions.choose("Where to remember people", &choices, if is_there { 1 } else { 3 })? {
        1 => {
            let found = databases_with_users().await;
            let offered = found.first().map_or(NAME, String::as_str);
            if !found.is_empty() {
                talk(&format!("there is a table users in: {}", found.join(", ")));
            }
            Ok(Choice::Xampp(questions.ask("Which database", Some(offered))?))
        }
        2 => by_url(&questions.ask("mysql://user:password@host:3306/name", None)?),
        _ => Ok(Choice::Sqlite),
    }
}

fn by_url(url: &str) -> Result<Choice, Failure> {
    match database_url::parse(url) {
        Ok(Place::Sqlite(path)) if Place::Sqlite(path.clone()) == Database::default().place => Ok(Choice::Sqlite),
        Ok(_) => Ok(Choice::Url(url.to_owned())),
        Err(wrong) => Err(Failure::usage(format!("the URL of the database {}", wrong.what)).hint(wrong.remedy)),
    }
}

/// The databases of XAMPP's account that have a table `users`. Nothing where it cannot be asked: the check that follows
/// says why.
async fn databases_with_users() -> Vec<String> {
    let place = Mysql {
        host: "localhost".to_owned(),
        port: 3306,
        others: Vec::new(),
        user: "root".to_owned(),
        password: Secret::default(),
        name: NAME.to_owned(),
        tls: Tls::Off,
        max_connections: 1,
    };
    let table = Database::default().users_table;
    let asked = timeout(PATIENCE, mysql::databases_with(place, &table, Names::from_system())).await;
    asked.ok().and_then(Result::ok).unwrap_or_default()
}
