//! What the operator says.

pub mod access;
pub mod apps;
pub mod database;
pub mod log;
pub mod pages;
pub mod provider;
pub mod public_url;
pub mod secret;
pub mod server;
pub mod sessions;

use self::access::Access;
use self::apps::Apps;
use self::database::Database;
use self::log::Log;
use self::pages::Pages;
use self::provider::Provider;
use self::public_url::PublicUrl;
use self::server::Server;
use self::sessions::Sessions;

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
