//! What the operator says.
//!
//! | step | who | leaves behind |
//! |---|---|---|
//! | gather | `file`, `sources`, `tutorial` | one entry for each thing said, with its place |
//! | merge | `reader`, by figment | the entry of the heaviest layer for each key |
//! | read | the file named for each section | a section, and a problem for each value that cannot be taken |
//!
//! Nothing here looks at the environment or the command line: both are handed in. Files are read, never written.

pub mod accent;
pub mod access;
pub mod apps;
pub mod audit;
pub mod client_json;
pub mod database;
pub mod database_url;
pub mod file;
pub mod gate;
pub mod groups;
pub mod keys;
pub mod limits;
pub mod log;
pub mod metrics;
pub mod pages;
pub mod problem;
pub mod provider;
pub mod public_url;
pub mod reader;
pub mod secret;
pub mod server;
pub mod sessions;
pub mod show;
pub mod sources;
pub mod standing;
pub mod tutorial;
pub mod users;

use std::path::{Path, PathBuf};

use self::access::Access;
use self::apps::Apps;
use self::audit::Audit;
use self::database::Database;
use self::gate::Gate;
use self::groups::Groups;
use self::limits::Limits;
use self::log::Log;
use self::metrics::Metrics;
use self::pages::Pages;
use self::problem::{Notes, Problems, Wrong, quoted};
use self::provider::Provider;
use self::public_url::PublicUrl;
use self::reader::Reader;
use self::server::{Listen, Server, Tls};
use self::sessions::Sessions;
use self::show::Setting;
use self::sources::{Entry, Layer, Sources};
use self::users::Users;

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
    /// `[users]`
    pub users: Users,
    /// `[audit]`
    pub audit: Audit,
    /// `[groups]`
    pub groups: Groups,
    /// `[gate]`
    pub gate: Gate,
    /// `[limits]`
    pub limits: Limits,
    /// `[pages]`
    pub pages: Pages,
    /// `[log]`
    pub log: Log,
    /// `[metrics]`
    pub metrics: Metrics,
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
            users: Users::default(),
            audit: Audit::default(),
            groups: Groups::default(),
            gate: Gate::default(),
            limits: Limits::default(),
            pages: Pages::default(),
            log: Log::default(),
            metrics: Metrics::default(),
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
    /// Every key with its value and where it comes from, secrets masked.
    pub settings: Vec<Setting>,
}

/// Reads everything that says something: flags over environment over file over the tutorials' variables over defaults.
///
/// All that is wrong is reported at once. A configuration without a provider holds: see [`Config::provider`].
pub fn load(sources: &Sources) -> Result<Loaded, Problems> {
    let mut notes = Notes::default();
    let (file, mut entries) = match file::read(sources, &mut notes) {
        Some((path, entries)) => (Some(path), entries),
        None => (None, Vec::new()),
    };
    let is_unread = !notes.problems.is_empty() && file.is_none();
    entries.extend(sources::environment(&sources.environment, &mut notes));
    entries.extend(sources::flags(&sources.flags, &mut notes));
    notes.problems.extend(sources::garbled(&sources.garbled));
    if is_unread {
        // What else is said cannot be judged without the file: a key that is missing may stand in it.
        return Err(Problems(notes.problems));
    }
    if sources.takes_tutorial_variables {
        entries.extend(tutorial::entries(&sources.environment, &entries, &mut notes));
    }
    warn_of_exposure(file.as_deref(), &entries, &mut notes);
    let shown = file.as_ref().map(|path| (path.display().to_string(), file::folder_of(path)));
    let state = sources::state_directory(&sources.environment);
    let mut reader = Reader::new(entries, shown, sources.folder.clone(), notes).keeping_in(state);
    let config = read(&mut reader);
    let provider = config.provider.as_ref().map(|provider| provider.name.as_str());
    let settings = show::settings(&reader, &config.public_url.to_string(), provider);
    if reader.notes.problems.is_empty() {
        Ok(Loaded { config, warnings: reader.notes.warnings, file, settings })
    } else {
        let mut problems = reader.notes.problems;
        problems.extend(reader.notes.strangers);
        Err(Problems(problems))
    }
}

fn read(reader: &mut Reader) -> Config {
    let said = reader.parse("public_url", |text| {
        PublicUrl::parse(text).map_err(|error| Wrong::new(format!("{} {error}", quoted(text)), error.remedy()))
    });
    let server = Server::read(reader);
    if said.as_ref().is_some_and(|url| !url.is_https()) && server.tls != Tls::Off {
        let what = "begins with http://, but browsers will have to speak TLS here";
        reader.refuse("public_url", Wrong::new(what, "write https://, or take server.tls, cert and key out"));
    }
    let public_url = said.unwrap_or_else(|| default_public_url(&server));
    warn_of_ports(&public_url, &server, reader);
    let groups = Groups::read(reader);
    Config {
        provider: provider::read(reader, &public_url),
        database: Database::read(reader),
        sessions: Sessions::read(reader, &public_url),
        limits: Limits::read(reader),
        apps: Apps::read(reader, &public_url),
        access: Access::read(reader),
        users: Users::read(reader),
        audit: Audit::read(reader),
        gate: Gate::read(reader, &groups),
        groups,
        pages: Pages::read(reader),
        log: Log::read(reader),
        metrics: Metrics::read(reader, &server.listen),
        server,
        public_url,
    }
}

/// `http://localhost` with the port we listen on, where nothing else is said: `--listen localhost:4000` is enough.
fn default_public_url(server: &Server) -> PublicUrl {
    let default = Config::default().public_url;
    let scheme = if server.tls == Tls::Off { "http" } else { "https" };
    match &server.listen {
        Listen::Tcp { port, .. } if *port != 0 => {
            PublicUrl::parse(&format!("{scheme}://localhost:{port}")).unwrap_or(default)
        }
        _ => default,
    }
}

/// A warning where browsers would knock at another port than ours. Behind a proxy that speaks TLS for us they always do.
fn warn_of_ports(public_url: &PublicUrl, server: &Server, reader: &mut Reader) {
    let Listen::Tcp { port, .. } = server.listen else { return };
    let (theirs, is_ours_to_answer) = (public_url.port(), !public_url.is_https() || server.tls != Tls::Off);
    if is_ours_to_answer && port != 0 && port != theirs {
        reader.notes.warn(format!(
            "public_url leads browsers to port {theirs}, and server.listen is port {port}: right where something \
             passes one on to the other, a container's -p or a proxy, which must leave the browser's Host as it is; \
             otherwise write the same port in both"
        ));
    }
}

/// A warning where everybody on this machine may read the file and a secret stands in it.
fn warn_of_exposure(file: Option<&Path>, entries: &[Entry], notes: &mut Notes) {
    let is_secret = |entry: &Entry| {
        let key = keys::find(&entry.key).filter(|key| key.is_secret);
        // A database's URL is a secret only where a password stands in it.
        let text = entry.value.as_str().unwrap_or_default();
        key.is_some()
            && entry.place.layer == Layer::File
            && (entry.key != "database.url" || database_url::masked(text) != text)
    };
    if let Some(path) = file.filter(|path| entries.iter().any(is_secret) && secret::is_world_readable(path)) {
        notes.warn(secret::exposed(path));
    }
}
