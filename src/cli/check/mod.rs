//! What can be known of a site before anybody wants to sign in, and while people do. First everybody is asked at once
//! ([`Seen`]), then each check judges by itself what came back; `config check` and `doctor` say what they found. Asks and
//! changes nothing.

mod cluster;
mod database;
mod instance;
mod place;
mod provider;
mod site;

use std::path::PathBuf;
use std::time::Duration;

use crate::cli::failure::{self, Failure};
use crate::config::{Config, Loaded};
use crate::names::Names;

/// How long each of them may take to answer.
const PATIENCE: Duration = Duration::from_secs(8);

/// How it stands with one thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// As it should be.
    Fine,
    /// It works, and will be in somebody's way.
    Warning,
    /// It does not work; the exit code that says of what kind it is.
    Failure(u8),
    /// Nobody can tell, or there is nothing to tell.
    Skipped,
}

impl Outcome {
    /// The word for it, the same in text and in JSON.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Fine => "ok",
            Self::Warning => "warning",
            Self::Failure(_) => "failure",
            Self::Skipped => "skipped",
        }
    }
}

/// What a check found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The check.
    pub name: &'static str,
    /// How it stands.
    pub outcome: Outcome,
    /// What is so.
    pub found: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Finding {
    fn new(outcome: Outcome, found: impl Into<String>) -> Self {
        Self { name: "", outcome, found: found.into(), hint: None }
    }

    fn fine(found: impl Into<String>) -> Self {
        Self::new(Outcome::Fine, found)
    }

    fn warning(found: impl Into<String>) -> Self {
        Self::new(Outcome::Warning, found)
    }

    fn skipped(why: impl Into<String>) -> Self {
        Self::new(Outcome::Skipped, why)
    }

    fn wrong(found: impl Into<String>) -> Self {
        Self::new(Outcome::Failure(failure::NOT_SO), found)
    }

    fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }
}

impl From<Failure> for Finding {
    fn from(failure: Failure) -> Self {
        let Failure { code, message, hint } = failure;
        Self { hint, ..Self::new(Outcome::Failure(code), message) }
    }
}

/// How far one looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Depth {
    /// At the configuration alone.
    Configuration,
    /// At what a start needs.
    Start,
    /// At everything, the running instance and whoever stands in front of it included.
    All,
}

/// One check.
pub struct Check {
    /// Its name, in text and in JSON; it does not change.
    pub name: &'static str,
    /// From which depth on it is made.
    depth: Depth,
    judge: fn(&Seen) -> Vec<Finding>,
}

/// Every check, in the order in which one thing needs the other.
pub const CHECKS: &[Check] = &[
    Check { name: "configuration", depth: Depth::All, judge: site::configuration },
    Check { name: "names", depth: Depth::All, judge: site::names },
    Check { name: "redirect-uri", depth: Depth::Configuration, judge: site::redirect_uri },
    Check { name: "certificate-files", depth: Depth::Configuration, judge: site::certificate_files },
    Check { name: "pages", depth: Depth::Configuration, judge: site::pages },
    Check { name: "database", depth: Depth::Start, judge: database::plan },
    Check { name: "users-table", depth: Depth::Start, judge: database::users_table },
    Check { name: "database-version", depth: Depth::All, judge: database::version },
    Check { name: "database-encryption", depth: Depth::All, judge: database::encryption },
    Check { name: "database-rights", depth: Depth::All, judge: database::rights },
    Check { name: "users-id", depth: Depth::All, judge: database::id },
    Check { name: "database-strictness", depth: Depth::All, judge: database::strictness },
    Check { name: "database-clock", depth: Depth::All, judge: database::clock },
    Check { name: "database-cluster", depth: Depth::All, judge: database::cluster },
    Check { name: "database-connections", depth: Depth::All, judge: database::connections },
    Check { name: "provider", depth: Depth::All, judge: provider::answers },
    Check { name: "provider-clock", depth: Depth::Start, judge: provider::clock },
    Check { name: "client", depth: Depth::Start, judge: provider::client },
    Check { name: "instance", depth: Depth::All, judge: instance::here },
    Check { name: "public-url", depth: Depth::All, judge: instance::there },
    Check { name: "certificate", depth: Depth::All, judge: instance::certificate },
    Check { name: "proxy-host", depth: Depth::All, judge: instance::host },
    Check { name: "proxy-scheme", depth: Depth::All, judge: instance::scheme },
    Check { name: "proxy-address", depth: Depth::All, judge: instance::address },
    Check { name: "proxy-identity", depth: Depth::All, judge: instance::identity },
];

/// What came back from those who were asked.
pub struct Seen {
    loaded: Loaded,
    names: Vec<site::Name>,
    database: Option<database::Seen>,
    provider: Option<provider::Seen>,
    instance: Option<instance::Seen>,
}

impl Seen {
    /// Asks everybody, as far as `depth` goes. `ca_file`: further authorities for the site's own certificate.
    pub async fn gather(loaded: Loaded, depth: Depth, ca_file: Option<PathBuf>) -> Self {
        let mut seen = Self { loaded, names: Vec::new(), database: None, provider: None, instance: None };
        if depth == Depth::Configuration {
            return seen;
        }
        let config = &seen.loaded.config;
        let (database, provider) = tokio::join!(database::ask(config), provider::ask(config));
        if depth == Depth::All {
            seen.names = site::resolve(config, &Names::from_system()).await;
            seen.instance = Some(instance::ask(config, &database.keys, ca_file).await);
        }
        (seen.database, seen.provider) = (Some(database), provider);
        seen
    }

    /// What every check of `depth` found.
    pub fn judge(&self, depth: Depth) -> Vec<Finding> {
        let due = CHECKS.iter().filter(|check| check.depth <= depth);
        due.flat_map(|check| (check.judge)(self).into_iter().map(|found| Finding { name: check.name, ..found }))
            .collect()
    }

    fn config(&self) -> &Config {
        &self.loaded.config
    }
}

/// What `depth` finds of a configuration that holds; the places where a start would listen as well.
pub async fn before_the_start(loaded: Loaded, depth: Depth) -> Vec<Finding> {
    let places = match depth {
        Depth::Configuration => Vec::new(),
        _ => place::taken(&loaded.config).await,
    };
    let mut findings = Seen::gather(loaded, depth, None).await.judge(depth);
    findings.extend(places);
    findings
}

/// What the database of `config` says.
pub async fn database(config: &Config) -> Vec<Finding> {
    let seen = database::ask(config).await;
    let in_the_way = seen.users_table(config).into_iter().filter(|finding| finding.outcome == Outcome::Warning);
    seen.plan(config).into_iter().chain(in_the_way).collect()
}
