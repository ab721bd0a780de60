//! `doorward demo`: everything on this machine, with nothing to set up. The real sign-in over real HTTP, with a pretend
//! provider and a database in a temporary folder; both are gone when it ends.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use crate::audit;
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::output::talk;
use crate::cli::serve;
use crate::cli::signals::Signals;
use crate::clock::{Clock, SystemClock};
use crate::config::Config;
use crate::config::access::SignUp;
use crate::config::database::{Database, Place};
use crate::config::log::Log;
use crate::config::provider;
use crate::config::public_url::PublicUrl;
use crate::config::secret::Secret;
use crate::config::server::{Listen, Server};
use crate::credential::Plain;
use crate::demo;
use crate::demo::people::{PEOPLE, Person};
use crate::model::{EventKind, Identity, Origin, Scope, Session, User, UserId};
use crate::random::{OsRandom, Random};
use crate::server::listen::Listener;
use crate::store::{SignIn, SignedIn};
use crate::web::app::App;
use crate::web::paths;

const CLIENT_ID: &str = "demo-client";

/// How long the token in the printed line is good for.
const TOKEN_LIFE: Duration = Duration::from_secs(24 * 60 * 60);

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// `doorward demo`
#[derive(Debug, Default, clap::Args)]
pub struct Args {
    /// Opens the address in this system's browser
    #[arg(long)]
    open: bool,
}

/// Runs `doorward demo`.
pub async fn run(args: Args, context: Context) -> Result<(), Failure> {
    let level = context.flags.log_level.clone().unwrap_or_else(|| "warn".to_owned());
    crate::logging::init(&Log { level, ..Log::default() });
    let (clock, random): (Arc<dyn Clock>, Arc<dyn Random>) = (Arc::new(SystemClock), Arc::new(OsRandom));
    // Before there is anything that must not be left behind.
    let signals = Signals::listen()?;
    // A root directory that holds nothing but us has no place for temporary files.
    let folder = tempfile::tempdir().or_else(|_| tempfile::tempdir_in(".")).map_err(|error| no_room(&error))?;
    let (listeners, port) = listeners(context.flags.listen.as_deref()).await?;
    let mut config = config(port, &folder)?;
    let secret = Plain::new(&*random);
    let redirect_uri = config.public_url.join(paths::CALLBACK);
    let provider =
        demo::Provider::start(Arc::clone(&clock), Arc::clone(&random), &redirect_uri, CLIENT_ID, secret.reveal());
    let provider =
        provider.map_err(|error| Failure::not_so(format!("the demo provider could not be started: {error}")))?;
    config.provider = Some(trust(&provider, &secret));
    let (app, running) = serve::start(&config, listeners, Arc::clone(&clock), Arc::clone(&random)).await?;
    let token = token_for(&PEOPLE[0], &app, &provider, &*clock, &*random).await?;
    announce(&config, &token);
    if args.open {
        open(&format!("{}/", config.public_url));
    }
    let telling = app.login.as_ref().map(|login| tokio::spawn(tell_of(login.sign_ins())));
    let ended = serve::until_told_to_end(running, signals).await;
    if let Some(telling) = telling {
        telling.abort();
    }
    ended
}

/// The demo's own configuration: nothing of the operator's is read.
fn config(port: u16, folder: &TempDir) -> Result<Config, Failure> {
    let public_url = PublicUrl::parse(&format!("http://localhost:{port}"));
    Ok(Config {
        public_url: public_url.map_err(|error| Failure::not_so(error.to_string()))?,
        database: Database { place: Place::Sqlite(folder.path().join("demo.db")), ..Database::default() },
        ..Config::default()
    })
}

/// Listens at `place`, or at port 3000 of this machine, or where that is taken at any free port.
async fn listeners(place: Option<&str>) -> Result<(Vec<Listener>, u16), Failure> {
    let listen = match place {
        None => Server::default().listen,
        Some(place) => loopback(place)?,
    };
    let wanted = Config { server: Server { listen, ..Server::default() }, ..Config::default() };
    let bound = match (serve::bind(&wanted).await, place) {
        (Err(_), None) => {
            let listen = Listen::Tcp { host: "localhost".to_owned(), port: 0 };
            serve::bind(&Config { server: Server { listen, ..Server::default() }, ..Config::default() }).await
        }
        (bound, _) => bound,
    }?;
    let port = bound.iter().find_map(Listener::address).map(|address| address.port());
    Ok((bound, port.ok_or_else(|| Failure::not_so("the demo has no port"))?))
}

/// The demo lets anybody be anybody, so nobody else may reach it.
fn loopback(place: &str) -> Result<Listen, Failure> {
    let refused = || {
        let message = format!("the demo lets anybody in, so it listens on loopback only, which {place} is not");
        Failure::usage(message).hint("write --listen localhost:PORT")
    };
    let (host, port) = place.rsplit_once(':').ok_or_else(refused)?;
    let host = host.trim_matches(['[', ']']);
    let is_loopback = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    let port = port.parse().ok().filter(|_| is_loopback).ok_or_else(refused)?;
    Ok(Listen::Tcp { host: host.to_owned(), port })
}

/// The provider as an operator would write it down.
fn trust(demo: &demo::Provider, secret: &Plain) -> provider::Provider {
    let host = demo.picture_host();
    let host = host.rsplit_once(':').map_or(host.as_str(), |(host, _)| host);
    provider::Provider {
        issuer: demo.issuer(),
        client_id: CLIENT_ID.to_owned(),
        client_secret: Secret::new(secret.reveal()),
        picture_hosts: vec![host.to_owned()],
        algorithms: vec!["ES256".to_owned()],
        ..provider::google()
    }
}

/// A token of `person`'s, who stands in `users` from now on.
async fn token_for(
    person: &Person,
    app: &App,
    provider: &demo::Provider,
    clock: &dyn Clock,
    random: &dyn Random,
) -> Result<Plain, Failure> {
    let identity = Identity {
        provider: "google".to_owned(),
        issuer: provider.issuer(),
        subject: person.subject.to_owned(),
        email: person.email.to_owned(),
        email_verified: person.email_verified,
        name: Some(person.name.to_owned()),
        picture: person.picture().map(|path| format!("{}{path}", provider.issuer())),
        hosted_domain: None,
    };
    let (user_id, handle, now) = (UserId::new(person.subject), Plain::new(random), clock.now());
    let session = Session {
        handle: handle.hashed(),
        user_id: user_id.clone(),
        created_at: now,
        last_seen_at: now,
        expires_at: now + DAY,
        proved_at: Some(now),
        address: String::new(),
        user_agent: "doorward demo".to_owned(),
    };
    let failed = |reason: String| Failure::not_so(format!("the demo's database does not work: {reason}"));
    let event = audit::event(clock, EventKind::Login, Some(&user_id), &Origin::operator(), "", "doorward demo");
    let sign_in = SignIn { identity, session, previous: None, most_sessions: u32::MAX, sign_up: SignUp::Open, event };
    match app.store.sign_in(&sign_in).await {
        Ok(SignedIn::Opened(_)) => {}
        Ok(SignedIn::Refused(refusal)) => return Err(failed(refusal.to_string())),
        Err(error) => return Err(failed(error.to_string())),
    }
    // Only the row was wanted: nobody holds this session.
    app.sessions.end(&handle).await.map_err(|error| failed(error.to_string()))?;
    let created = app.tokens.create(user_id, "the demo's curl line".to_owned(), Scope::Account, TOKEN_LIFE).await;
    Ok(created.map_err(|error| failed(error.to_string()))?.0)
}

fn announce(config: &Config, token: &Plain) {
    let address = format!("{}/", config.public_url);
    let me = config.public_url.join(paths::ME);
    talk(&format!("Open this address in your browser:\n\n    {address}\n"));
    talk(&format!("Or ask as a program, with a token of {}:\n", PEOPLE[0].name));
    talk(&format!("    curl -H \"Authorization: Bearer {}\" {me}\n", token.reveal()));
    talk("Nobody here is real, nothing is kept. Ctrl-C ends it.");
}

/// Says what was written whenever somebody signs in.
async fn tell_of(mut sign_ins: Receiver<User>) {
    loop {
        match sign_ins.recv().await {
            Ok(user) => {
                let identity = &user.identity;
                let text =
                    |value: &Option<String>| value.as_ref().map_or("NULL".to_owned(), |value| format!("{value:?}"));
                let (name, picture) = (text(&identity.name), text(&identity.picture));
                talk(&format!(
                    "signed in; the row in users: id={:?} email={:?} name={name} picture={picture}",
                    user.id.as_str(),
                    identity.email
                ));
            }
            Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Closed) => return,
        }
    }
}

/// Asks this system to show `address`; where it cannot, the address was printed.
fn open(address: &str) {
    let program = if cfg!(target_os = "macos") {
        "open"
    } else if cfg!(windows) {
        "explorer"
    } else {
        "xdg-open"
    };
    if let Err(error) = std::process::Command::new(program).arg(address).spawn() {
        talk(&format!("the browser could not be opened ({program}: {error}); open the address yourself"));
    }
}

fn no_room(error: &io::Error) -> Failure {
    Failure::not_so(format!("no temporary folder could be made: {error}"))
        .hint("set TMPDIR to a folder you may write to, or start it in one")
}
