//! `doorward serve`: the server. Reads as the order of its start.

use std::sync::Arc;
use std::time::Duration;

use crate::access::Access;
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::reload::reload;
use crate::cli::signals::{Signals, Told};
use crate::cli::supervisor::{self, Handed, Supervisor};
use crate::clock::{Clock, SystemClock};
use crate::config::Config;
use crate::config::access::SignUp;
use crate::config::database::Place;
use crate::config::server::{Listen, Tls};
use crate::names::Names;
use crate::random::{OsRandom, Random};
use crate::server::descriptors::room_for;
use crate::server::listen::{self, ListenError, Listener};
use crate::server::{self, Running, janitor, tls};
use crate::store::{self, StoreError};
use crate::web::app::App;
use crate::web::paths;

/// How long requests and sign-ins that are under way may take once we are told to end.
const DRAIN: Duration = Duration::from_secs(25);

/// What the end may take beyond that: to close the store, to say good-bye.
const SLACK: Duration = Duration::from_secs(5);

/// How long the database may take at the start before we go on without it.
const PREPARE: Duration = Duration::from_secs(10);

/// `doorward serve`
#[derive(Debug, Default, clap::Args)]
pub struct Args {}

/// Runs `doorward serve`.
pub async fn run(_args: Args, context: Context) -> Result<(), Failure> {
    let loaded = context.load_for_serving()?;
    crate::logging::init(&loaded.config.log);
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
    let mut config = loaded.config;
    // Before anybody can connect: from then on there is something to finish.
    let mut signals = Signals::listen()?;
    let supervisor = Supervisor::of(&context);
    let Handed { mut doors, mut metrics } = supervisor::handed_over(&context)?;
    if doors.is_empty() {
        doors = bind(&config).await?;
    }
    if metrics.is_empty() {
        metrics = bind_metrics(&config).await?;
    }
    let (_, mut running) = tokio::select! {
        started = start(&config, doors, Arc::new(SystemClock), Arc::new(OsRandom)) => started?,
        () = signals.end() => return Ok(()),
    };
    crate::metrics::reloaded(SystemClock.now().unix());
    announce(&config, &running);
    show_metrics(&mut running, metrics);
    supervisor.feed_for(&mut running);
    supervisor.ready();
    while signals.next().await == Told::Reload {
        supervisor.reloading();
        reload(&context, &mut config, &mut running);
        supervisor.ready();
    }
    let delay = config.server.shutdown_delay;
    supervisor.stopping(delay, delay + DRAIN + SLACK);
    end(running, delay, signals).await;
    Ok(())
}

/// Listens where `config` says.
pub async fn bind(config: &Config) -> Result<Vec<Listener>, Failure> {
    let bound = listen::bind(&config.server.listen, &Names::from_system()).await;
    bound.map_err(|error| not_listening("server.listen", &config.server.listen, &error))
}

/// Listens where `config` says that the metrics are asked for; nowhere, if it says nothing.
async fn bind_metrics(config: &Config) -> Result<Vec<Listener>, Failure> {
    let Some(listen) = &config.metrics.listen else { return Ok(Vec::new()) };
    let bound = listen::bind(listen, &Names::from_system()).await;
    bound.map_err(|error| not_listening("metrics.listen", listen, &error))
}

fn show_metrics(running: &mut Running, listeners: Vec<Listener>) {
    let addresses: Vec<String> = listeners.iter().filter_map(Listener::address).map(|at| at.to_string()).collect();
    if !listeners.is_empty() {
        tracing::info!(listening = addresses.join(", "), "what is counted is at /metrics there");
    }
    running.show_metrics(listeners);
}

/// Starts everything that `config` describes, on `listeners`. A database that cannot be asked is waited for in the background; one that
/// can be asked and will not do ends the start.
pub async fn start(
    config: &Config,
    listeners: Vec<Listener>,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
) -> Result<(Arc<App>, Running), Failure> {
    let certificate = tls::certificate(config, &*clock).map_err(|error| Failure::configuration(error.to_string()))?;
    if let (Some(certificate), Tls::SelfSigned(file)) = (&certificate, &config.server.tls) {
        let (file, fingerprint) = (file.display(), certificate.fingerprint.as_str());
        tracing::info!(%file, fingerprint, "the certificate is self-signed: compare its SHA-256 when the browser asks");
    }
    let names = Names::from_system();
    let store = store::open(&config.database, names.clone(), Arc::clone(&clock));
    let app = App::new(config, store, clock, random, names);
    let app = Arc::new(app.map_err(|error| Failure::configuration(error.to_string()))?);
    let issuer = config.provider.as_ref().map(|provider| provider.issuer.clone());
    let is_ready = match tokio::time::timeout(PREPARE, app.store.prepare(issuer.as_deref())).await {
        Ok(Ok(())) => true,
        Ok(Err(StoreError::Schema(reason))) => return Err(Failure::configuration(reason)),
        Ok(Err(_)) | Err(_) => false,
    };
    if is_ready {
        janitor::settle_in(&app).await;
    }
    // From here on there may be requests under way, so nothing here waits any more: whoever gave up on us between two steps
    // would drop them.
    let mut running = server::start(Arc::clone(&app), listeners, certificate.as_ref(), places(config));
    if !is_ready {
        running.also(janitor::prepare(Arc::clone(&app), issuer));
    }
    Ok((app, running))
}

/// How many connections are held at once: as many as `config` says, and as there are descriptors for.
fn places(config: &Config) -> usize {
    let of_database = match &config.database.place {
        Place::Mysql(place) => place.max_connections,
        // A few connections, each of which holds the file and its log.
        Place::Sqlite(_) => 16,
    };
    let (wanted, places) = (config.server.max_connections, room_for(config.server.max_connections, of_database));
    if places < wanted {
        tracing::info!(
            "the limit of open files leaves room for {places} connections at once, fewer than server.max_connections \
             ({wanted}); further ones wait. Raise it with LimitNOFILE= of systemd, or ulimit -n"
        );
    }
    places
}

fn not_listening(key: &str, place: &Listen, error: &ListenError) -> Failure {
    let failure = Failure::unavailable(error.to_string());
    match (place, error.is_taken()) {
        (Listen::Tcp { port, .. }, true) => {
            let holder = listen::holder(*port);
            let holder = holder.map_or_else(|| listen::who_asks(*port), |holder| format!(" (it is {holder})"));
            let also = if key == "server.listen" { " or --listen, and in public_url" } else { "" };
            failure
                .hint(format!("another program listens there{holder}: end it, or choose another port with {key}{also}"))
        }
        _ => failure.hint(error.remedy(key)),
    }
}

/// Says where it is and what an operator must know now.
fn announce(config: &Config, running: &Running) {
    let public_url = &config.public_url;
    let access = Access::new(config.access.clone());
    match (access.is_open(), access.sign_up()) {
        (true, SignUp::Open) => tracing::info!("everyone with a verified email may sign in; [access] narrows that"),
        (_, SignUp::Existing) => {
            let table = &config.database.users_table;
            tracing::info!("only people who have a row in {table} may sign in (access.sign_up)");
        }
        (false, SignUp::Open) => {}
    }
    if let Some(provider) = &config.provider {
        let redirect_uri = public_url.join(paths::CALLBACK);
        let is_listed = provider.registered_redirect_uris.as_ref().is_some_and(|uris| uris.contains(&redirect_uri));
        let listed = if is_listed { "; the client's file lists it" } else { "" };
        tracing::info!(redirect_uri, "{} must know this redirect URI, letter for letter{listed}", provider.label);
    }
    let listening: Vec<String> = running.addresses().iter().map(ToString::to_string).collect();
    tracing::info!(listening = listening.join(", "), "Doorward is at {}", public_url.join(paths::HOME));
}

/// Serves until it is told to end, then drains; a second signal ends at once.
pub async fn until_told_to_end(running: Running, mut signals: Signals) -> Result<(), Failure> {
    signals.end().await;
    end(running, Duration::ZERO, signals).await;
    Ok(())
}

async fn end(running: Running, delay: Duration, mut signals: Signals) {
    let drained = tokio::select! {
        drained = leave(running, delay) => drained,
        () = told_again(&mut signals) => false,
    };
    if !drained {
        tracing::warn!("ended before everything under way was finished");
    }
}

/// Lets whoever sends us people notice for `delay`, then finishes what is under way. Whether all of it was.
async fn leave(running: Running, delay: Duration) -> bool {
    if !delay.is_zero() {
        let delay_said = humantime::format_duration(delay);
        tracing::info!("ending in {delay_said}: everything is served until then, and /readyz sends people elsewhere");
        running.leave();
        tokio::time::sleep(delay).await;
    }
    tracing::info!("ending: requests under way are finished");
    running.drain(DRAIN).await
}

/// Until we are told to end once more.
async fn told_again(signals: &mut Signals) {
    while signals.next().await == Told::Reload {
        tracing::warn!("the configuration is not read again: Doorward is ending");
    }
}
