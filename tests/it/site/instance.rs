//! A whole running instance in this process: the composition that `serve` uses, with time and chance in the test's
//! hands, a provider that can be told to lie, and a database of its own.

use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::time::{Duration, Instant};

use doorward::assertion::Assertions;
use doorward::audit::Audit;
use doorward::clock::{Clock, ManualClock, Timestamp};
use doorward::config::Config;
use doorward::config::public_url::PublicUrl;
use doorward::config::server::{Listen, Server};
use doorward::model::{Scope, UserId};
use doorward::names::Names;
use doorward::random::{OsRandom, Random};
use doorward::server::{self, Running, listen};
use doorward::sessions::Sessions;
use doorward::store;
use doorward::tokens::Tokens;
use doorward::users::Users;
use doorward::web::app::App;
use reqwest::{Method, Url};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::site::line::Line;
use crate::site::place::{Kept, Place};
use crate::site::program::{PATIENCE, PAUSE};
use crate::site::provider::{Door, NOW, ScriptedProvider, person};
use crate::site::visitors::{Anonymous, SignedIn, TYPED, TokenHolder, Visitor, provide_cryptography};

/// A running instance. It ends when it is dropped.
pub struct Site {
    /// Where it is reached, without a slash at the end.
    pub url: String,
    /// Its time.
    pub clock: Arc<ManualClock>,
    /// Its provider.
    pub provider: Arc<ScriptedProvider>,
    /// Its database.
    pub database: Arc<Kept>,
    /// Where it takes connections, whatever browsers type.
    port: u16,
    app: Arc<App>,
    config: Config,
    _running: Running,
}

impl Site {
    /// An instance with the usual configuration, on SQLite.
    pub async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    /// An instance with another configuration, on SQLite.
    pub async fn start_with(change: impl FnOnce(&mut Config)) -> Self {
        let database = Place::Sqlite.fresh().await.expect("SQLite is always here");
        Self::open(Arc::new(database), None, change).await
    }

    /// An instance on `place`. `None`: the tier is missing.
    pub async fn on(place: Place) -> Option<Self> {
        Self::on_with(place, |_| {}).await
    }

    /// An instance with another configuration, on `place`. `None`: the tier is missing.
    pub async fn on_with(place: Place, change: impl FnOnce(&mut Config)) -> Option<Self> {
        let database = place.fresh().await?;
        Some(Self::open(Arc::new(database), None, change).await)
    }

    /// An instance whose line to its MariaDB can be cut. `None`: the tier is missing.
    pub async fn behind_a_line() -> Option<(Self, Line)> {
        Self::behind_a_line_with(|_| {}).await
    }

    /// The same with another configuration.
    pub async fn behind_a_line_with(change: impl FnOnce(&mut Config)) -> Option<(Self, Line)> {
        let database = Place::MariaDb.fresh().await?;
        let line = Line::to(database.address().expect("a server has an address")).await;
        let site = Self::open(Arc::new(database), Some(line.address), change).await;
        Some((site, line))
    }

    /// An instance on a database that is there already.
    pub async fn over(database: Kept) -> Self {
        Self::open(Arc::new(database), None, |_| {}).await
    }

    async fn open(database: Arc<Kept>, through: Option<SocketAddr>, change: impl FnOnce(&mut Config)) -> Self {
        provide_cryptography();
        let clock = Arc::new(ManualClock::at(Timestamp::from_unix(NOW)));
        let provider = Arc::new(ScriptedProvider::start().await);
        let names = Names::from_system();
        let server = Server { listen: anywhere(), ..Server::default() };
        let listeners = listen::bind(&server.listen, &names).await.expect("a free port");
        let port = listeners[0].address().expect("an address").port();
        let mut config = Config {
            public_url: PublicUrl::parse(&format!("http://localhost:{port}")).expect("an address"),
            server,
            provider: Some(provider.config()),
            database: database.config(through),
            ..Config::default()
        };
        change(&mut config);
        let app = compose(&config, Arc::clone(&clock), names);
        app.store.prepare(Some(provider.issuer())).await.expect("a fresh database can be made ready");
        let running = server::start(Arc::clone(&app), listeners, None, config.server.max_connections);
        Self { url: config.public_url.to_string(), clock, provider, database, port, app, config, _running: running }
    }

    /// Another instance of the same site on another port: same `public_url`, same database, same provider.
    pub async fn second_instance(&self) -> Self {
        self.second_instance_with(|_| {}).await
    }

    /// The same, which has read another configuration.
    pub async fn second_instance_with(&self, change: impl FnOnce(&mut Config)) -> Self {
        let mut config = self.config.clone();
        change(&mut config);
        let names = Names::from_system();
        let listeners = listen::bind(&anywhere(), &names).await.expect("a free port");
        let port = listeners[0].address().expect("an address").port();
        let app = compose(&config, Arc::clone(&self.clock), names);
        app.store.prepare(Some(self.provider.issuer())).await.expect("the database is ready");
        let running = server::start(Arc::clone(&app), listeners, None, config.server.max_connections);
        Self {
            url: format!("http://localhost:{port}"),
            clock: Arc::clone(&self.clock),
            provider: Arc::clone(&self.provider),
            database: Arc::clone(&self.database),
            port,
            app,
            config,
            _running: running,
        }
    }

    /// What is behind the front door, and what would be after the configuration was read again, changed like this.
    pub fn read_again(&self, change: impl FnOnce(&mut Config)) -> (Arc<App>, App) {
        let mut config = self.config.clone();
        change(&mut config);
        let again = self.app.again(&config, Names::from_system()).expect("the configuration holds");
        (Arc::clone(&self.app), again)
    }

    /// Somebody who has brought nothing.
    pub fn anonymous(&self) -> Anonymous {
        Anonymous::at(&self.url)
    }

    /// Where it takes connections, whatever browsers type.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Signs the person with this subject in through the instance's own port, past any proxy. The cookie's name and value.
    pub async fn session_for(&self, browser: &Anonymous, subject: &str) -> (String, String) {
        let at_us = |path: &str| format!("http://127.0.0.1:{}{path}", self.port);
        let host = self.config.public_url.authority();
        let headers = [&[("host", host.as_str())], TYPED].concat();
        let request = browser.ask(Method::GET, &at_us("/login"), &headers).await.location();
        let mut callback = self.authorize(browser, &request, subject).await;
        callback.set_scheme("http").and_then(|()| callback.set_port(Some(self.port))).expect("an address");
        let back = at_us(&format!("/login/callback?{}", callback.query().unwrap_or_default()));
        let answer = browser.ask(Method::GET, &back, &headers).await;
        assert_eq!(answer.status, 303, "{answer:#?}");
        let name = self.app.cookies.session_name().to_owned();
        let handle = browser.cookie(&name).expect("a session");
        (name, handle)
    }

    /// A browser that has just signed in as the person with this subject.
    pub async fn sign_in(&self, subject: &str) -> SignedIn {
        let browser = self.anonymous();
        let request = browser.visit("/login").await.location();
        let callback = self.authorize(&browser, &request, subject).await;
        let back = browser.visit(callback.as_str()).await;
        assert_eq!(back.status, 303, "{back:#?}");
        SignedIn::with(browser).await
    }

    /// The person with this subject agrees at the provider. Where the provider sends the browser.
    pub async fn authorize(&self, _browser: &Anonymous, request: &Url, subject: &str) -> Url {
        // One at a time: the provider has one person in mind.
        let answer = {
            let mut script = self.provider.script();
            script.person = person(subject, &format!("{subject}@example.com"), &format!("{subject} of tests"));
            script.now = self.clock.now().unix();
            drop(script);
            self.provider.approve(request)
        };
        let mut callback = Url::parse(&format!("{}/login/callback", self.url)).expect("an address");
        callback.query_pairs_mut().append_pair("code", &answer.code.expect("a code"));
        callback.query_pairs_mut().append_pair("state", &answer.state.expect("a state"));
        callback
    }

    /// How often the provider's `door` was asked.
    pub fn provider_hits(&self, door: Door) -> usize {
        self.provider.hits(door)
    }

    /// A fresh token of the person with this subject, who is signed in once for it.
    pub async fn token_of(&self, subject: &str) -> String {
        self.sign_in(subject).await;
        let life = Duration::from_secs(90 * 24 * 60 * 60);
        let created = self.tokens().create(UserId::new(subject), "of tests".to_owned(), Scope::Account, life).await;
        created.expect("the store takes it").0.reveal().to_owned()
    }

    /// A program with such a token.
    pub async fn token_holder(&self, subject: &str) -> TokenHolder {
        TokenHolder::at(&self.url, &self.token_of(subject).await)
    }

    /// The name of the session's cookie.
    pub fn session_cookie(&self) -> String {
        format!("doorward_{}", self.config.public_url.port())
    }

    /// The sessions behind the front door.
    pub fn sessions(&self) -> &Sessions {
        &self.app.sessions
    }

    /// The keys of assertions behind the front door.
    pub fn assertions(&self) -> &Assertions {
        &self.app.assertions
    }

    /// The people behind the front door.
    pub fn users(&self) -> &Users {
        &self.app.users
    }

    /// What happened to them.
    pub fn audit(&self) -> &Audit {
        &self.app.audit
    }

    /// The tokens behind the front door.
    pub fn tokens(&self) -> &Tokens {
        &self.app.tokens
    }

    /// What the clock shows, as the API writes it.
    pub fn now(&self) -> String {
        self.clock.now().to_string()
    }

    /// Waits until the only session was noted to be seen now: that happens off the request's path.
    pub async fn until_seen_now(&self) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let sessions = self.sessions().list(None, 2).await.expect("a list");
            assert_eq!(sessions.len(), 1, "one session");
            if self.clock.now().since(sessions[0].last_seen_at) < Duration::from_secs(120) {
                return;
            }
            assert!(Instant::now() < deadline, "the session's use is not noted");
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Waits until the store holds no session any more.
    pub async fn until_no_session(&self) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let sessions = self.sessions().list(None, 10).await;
            if matches!(&sessions, Ok(sessions) if sessions.is_empty()) {
                return;
            }
            assert!(Instant::now() < deadline, "{sessions:?}");
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Waits until `path` answers `status` to whoever this is.
    pub async fn until_status(&self, browser: &Anonymous, path: &str, status: u16) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let answer = browser.get(path).await;
            if answer.status == status {
                return;
            }
            assert!(Instant::now() < deadline, "{status} does not come: {answer:#?}");
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Sends bytes as they are on a connection of their own; the status of what comes back.
    pub async fn raw(&self, bytes: &[u8]) -> u16 {
        let authority = self.url.trim_start_matches("http://");
        let address = authority.to_socket_addrs().expect("localhost").next().expect("an address");
        let mut stream = TcpStream::connect(address).await.expect("it listens");
        stream.write_all(bytes).await.expect("it reads");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.expect("it answers");
        let text = String::from_utf8_lossy(&answer);
        let status = text.split(' ').nth(1).and_then(|status| status.parse().ok());
        status.unwrap_or_else(|| panic!("no status in {text:?}"))
    }
}

fn anywhere() -> Listen {
    Listen::Tcp { host: "localhost".to_owned(), port: 0 }
}

fn compose(config: &Config, clock: Arc<ManualClock>, names: Names) -> Arc<App> {
    let clock: Arc<dyn Clock> = clock;
    // Real entropy: two instances on one database must not mint the same handles.
    let random: Arc<dyn Random> = Arc::new(OsRandom);
    let store = store::open(&config.database, names.clone(), Arc::clone(&clock));
    Arc::new(App::new(config, store, clock, random, names).expect("the provider can be used"))
}
