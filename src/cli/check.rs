//! Looks at what a configuration depends on before anybody wants to sign in: the database, the provider, the port. Asks
//! and changes nothing.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::cli::failure::Failure;
use crate::cli::output::{print, talk};
use crate::clock::SystemClock;
use crate::config::Config;
use crate::config::database::Place;
use crate::config::provider::Provider;
use crate::config::server::{Listen, Tls};
use crate::login::{Login, LoginError, clocks_differ};
use crate::names::Names;
use crate::random::OsRandom;
use crate::server::{listen, tls};
use crate::store;
use crate::web::paths::CALLBACK;

/// How long each of them may take to answer.
const PATIENCE: Duration = Duration::from_secs(8);

/// How long a connection to a port of this machine may take.
const KNOCK: Duration = Duration::from_millis(500);

/// By how many seconds clocks may differ without a word.
const SKEW: u64 = 30;

/// What there is to say.
#[derive(Debug, Default)]
pub struct Findings {
    /// What is as it should be.
    pub facts: Vec<String>,
    /// What will be in somebody's way, though Doorward starts.
    pub warnings: Vec<String>,
    /// Why Doorward will not start, or will not do its work.
    pub failures: Vec<Failure>,
}

impl Findings {
    /// Says all of it: facts as data, the rest as talk. The failure is the last one, those before it are said.
    pub fn say(self) -> Result<(), Failure> {
        for fact in &self.facts {
            print(&format!("{fact}\n"))?;
        }
        for warning in &self.warnings {
            talk(&format!("warning: {warning}"));
        }
        let mut failures = self.failures;
        let last = failures.pop();
        for failure in &failures {
            talk(&failure.to_string());
        }
        last.map_or(Ok(()), Err)
    }

    fn fact(fact: String) -> Self {
        Self { facts: vec![fact], ..Self::default() }
    }

    fn failure(failure: Failure) -> Self {
        Self { failures: vec![failure], ..Self::default() }
    }

    fn warning(warning: String) -> Self {
        Self { warnings: vec![warning], ..Self::default() }
    }

    /// These and those.
    fn and(mut self, other: Self) -> Self {
        self.facts.extend(other.facts);
        self.warnings.extend(other.warnings);
        self.failures.extend(other.failures);
        self
    }
}

/// Looks at all of it at once.
pub async fn everything(config: &Config) -> Findings {
    let (port, database, provider) = tokio::join!(port(&config.server.listen), database(config), async {
        match &config.provider {
            Some(named) => provider(config, named).await,
            None => Findings::default(),
        }
    });
    database.and(provider).and(port)
}

/// Whether the certificate and the key hold that the configuration names; one of our own is made when it is needed.
pub fn certificate(config: &Config) -> Result<(), Failure> {
    match &config.server.tls {
        Tls::Files { cert, key } => {
            tls::from_files(cert, key).map(drop).map_err(|error| Failure::configuration(error.to_string()))
        }
        Tls::Off | Tls::SelfSigned(_) => Ok(()),
    }
}

/// Which redirect URI the provider must know, and whether the file from Google's console lists it.
pub fn redirect_uri(config: &Config) -> String {
    let redirect_uri = config.public_url.join(CALLBACK);
    let registered = config.provider.as_ref().and_then(|provider| provider.registered_redirect_uris.as_ref());
    let listed = match registered {
        Some(uris) if uris.contains(&redirect_uri) => " (the client's file lists it)",
        Some(_) => " (the client's file does not list it)",
        None => "",
    };
    format!("redirect URI to register: {redirect_uri}{listed}")
}

/// What the database says, and what Doorward would make in it.
pub async fn database(config: &Config) -> Findings {
    let database = &config.database;
    let issuer = config.provider.as_ref().map(|provider| provider.issuer.as_str());
    let place = match &database.place {
        Place::Sqlite(path) => format!("SQLite in {}", path.display()),
        Place::Mysql(place) => format!("{} at {}:{} as {}", place.name, place.host, place.port, place.user),
    };
    let store = store::open(database, Names::from_system(), Arc::new(SystemClock));
    let asked =
        timeout(PATIENCE, async { store::Result::Ok((store.plan(issuer).await?, store.warnings().await?)) }).await;
    // Nothing of ours is open that could lose something.
    let _ = timeout(KNOCK, store.close()).await;
    match asked {
        Ok(Ok((plan, warnings))) if plan.is_empty() => {
            Findings { warnings, ..Findings::fact(format!("database: {place}: ready")) }
        }
        Ok(Ok((plan, warnings))) => {
            let plan = plan.join("; ");
            Findings { warnings, ..Findings::fact(format!("database: {place}: at the start Doorward will {plan}")) }
        }
        Ok(Err(error)) => Findings::failure(Failure::from(error)),
        Err(_) => {
            let message = format!("the database gave no answer within {} seconds ({place})", PATIENCE.as_secs());
            Findings::failure(Failure::unavailable(message).hint("check host and port under [database]"))
        }
    }
}

/// Whether the provider answers, agrees about the time and takes us for a client of its own. Doorward starts without
/// it, so that it is away is a warning; that it does not take our secret is more.
async fn provider(config: &Config, provider: &Provider) -> Findings {
    let issuer = &provider.issuer;
    let (clock, names) = (Arc::new(SystemClock), Names::from_system());
    // Signing in needs a store; looking does not touch it.
    let store = store::open(&config.database, names.clone(), clock.clone());
    let login = match Login::new(config, provider, store, clock, Arc::new(OsRandom), names) {
        Ok(login) => login,
        Err(error) => return Findings::failure(Failure::configuration(error.to_string())),
    };
    match timeout(PATIENCE, login.look_at_provider()).await {
        Ok(Ok(Some(ahead))) if ahead.unsigned_abs() > SKEW => Findings::warning(clocks_differ(ahead)),
        Ok(Ok(_)) => Findings::fact(format!("provider: {issuer} answers, knows this client and its secret")),
        Ok(Err(error @ LoginError::CodeRefused(_))) => {
            let failure = Failure::not_so(format!("{issuer} does not accept this site: {error}"));
            Findings::failure(match error.advice(&provider.name, &config.public_url.join(CALLBACK)) {
                Some(advice) => failure.hint(advice),
                None => failure,
            })
        }
        Ok(Err(error)) => Findings::warning(format!("{error}; nobody can sign in until {issuer} answers")),
        Err(_) => Findings::warning(format!("{issuer} gave no answer within {} seconds", PATIENCE.as_secs())),
    }
}

/// Whether somebody listens already where Doorward wants to. That may be Doorward itself.
async fn port(place: &Listen) -> Findings {
    let Listen::Tcp { host, port } = place else { return Findings::default() };
    if *port == 0 {
        return Findings::default();
    }
    let addresses = Names::from_system().resolve(host).await.unwrap_or_default();
    for address in addresses {
        let knock = timeout(KNOCK, TcpStream::connect(SocketAddr::new(address, *port))).await;
        if matches!(knock, Ok(Ok(_))) {
            return Findings::warning(taken(*port));
        }
    }
    Findings::default()
}

/// The sentence for a port that somebody listens on.
fn taken(port: u16) -> String {
    match listen::holder(port) {
        Some(holder) if holder.starts_with("doorward,") => {
            format!("port {port} is taken by {holder}: fine if that is this site, already running")
        }
        holder => {
            let holder = holder.map(|holder| format!(" by {holder}")).unwrap_or_default();
            format!(
                "port {port} is taken{holder}, and Doorward will not start: end that program, or choose another port \
                 with server.listen and in public_url"
            )
        }
    }
}
