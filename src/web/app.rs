//! What a request can reach.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use url::form_urlencoded;

use crate::access::Access;
use crate::assertion::Assertions;
use crate::audit::Audit;
use crate::clock::Clock;
use crate::config::Config;
use crate::config::gate::RemoteUser;
use crate::config::public_url::PublicUrl;
use crate::config::server::TrustedProxy;
use crate::devices::Devices;
use crate::gate::Gate;
use crate::login::Login;
use crate::login::provider::Unusable;
use crate::login::return_to::{ReturnRules, ReturnTo};
use crate::metrics;
use crate::model::{EventKind, Origin, UserId};
use crate::names::Names;
use crate::pages::Pages;
use crate::random::{self, Random};
use crate::sessions::Sessions;
use crate::store::SharedStore;
use crate::tokens::Tokens;
use crate::users::Users;
use crate::web::cookies::Cookies;
use crate::web::guard::cors::Cors;
use crate::web::guard::limits::Limits;
use crate::web::guard::security_headers::SecurityHeaders;
use crate::web::paths::Paths;
use crate::web::visit::Visit;

/// How the provider is spoken of.
#[derive(Clone, Debug)]
pub struct ProviderLabel {
    /// What the button says: `Google`.
    pub label: String,
    /// Whether it is Google itself, whose button has rules.
    pub is_google: bool,
}

/// What an answer is made of that is shown under the host of an app behind a proxy: everything of ours by its whole
/// address.
struct Elsewhere {
    pages: Pages,
    paths: Paths,
    headers: SecurityHeaders,
}

/// Everything behind the front door.
pub struct App {
    /// What browsers type.
    pub public_url: PublicUrl,
    /// Our addresses.
    pub paths: Paths,
    /// Our cookies.
    pub cookies: Cookies,
    /// What a person sees.
    pub pages: Pages,
    /// The description of the API, once it was asked for.
    pub openapi: OnceLock<Bytes>,
    /// Signing in; `None` where no provider is configured.
    pub login: Option<Login>,
    /// The provider's name.
    pub provider: ProviderLabel,
    /// Browsers that are signed in.
    pub sessions: Sessions,
    /// Credentials of programs.
    pub tokens: Tokens,
    /// Which app a person may pass on to.
    pub gate: Gate,
    /// What `Remote-User` holds.
    pub remote_user: RemoteUser,
    /// Whether the doors of oauth2-proxy are open.
    pub opens_oauth2_proxy: bool,
    /// What apps behind the gate can check.
    pub assertions: Assertions,
    /// The people.
    pub users: Users,
    /// What happened to them.
    pub audit: Audit,
    /// Terminals that wait to be let in.
    pub devices: Devices,
    /// Which addresses may be returned to.
    pub return_rules: ReturnRules,
    /// Where a sign-in without `rd` ends.
    pub home: String,
    /// Where a log-out ends.
    pub after_logout: String,
    /// Whose forwarded headers are believed.
    pub trusted_proxies: Vec<TrustedProxy>,
    /// Which other origins may read `/api`.
    pub cors: Cors,
    /// For the readiness probe and the metrics, and nothing else.
    pub store: SharedStore,
    /// How often one client may knock.
    pub limits: Arc<Limits>,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    security_headers: SecurityHeaders,
    elsewhere: Elsewhere,
    /// Tells this process apart from others that serve the same site; means nothing else.
    pub instance: String,
    /// What the next request's name is made from.
    requests: AtomicU64,
    /// Whether this process will end soon.
    is_leaving: AtomicBool,
}

impl App {
    /// Builds it all. Asks nobody yet: database and provider may be away. Must be called within a Tokio runtime.
    pub fn new(
        config: &Config,
        store: SharedStore,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
        names: Names,
    ) -> Result<Self, Unusable> {
        let pages = Pages::new(&config.pages, config.public_url.path());
        let elsewhere = pages.below(&config.public_url.to_string());
        let pages = (pages, elsewhere);
        Self::build(config, store, clock, random, names, pages)
    }

    /// The same site by another configuration, on the same store, whatever that says of the database. What is remembered
    /// in this process alone goes on.
    pub fn again(&self, config: &Config, names: Names) -> Result<Self, Unusable> {
        let pages = self.pages.again(&config.pages);
        let elsewhere = pages.below(&config.public_url.to_string());
        let pages = (pages, elsewhere);
        let (store, clock, random) = (Arc::clone(&self.store), Arc::clone(&self.clock), Arc::clone(&self.random));
        let mut app = Self::build(config, store, clock, random, names, pages)?;
        app.sessions.take_over(&self.sessions);
        app.devices.take_over(&self.devices);
        app.tokens.take_over(&self.tokens);
        app.instance.clone_from(&self.instance);
        if self.limits.are(&config.limits) {
            app.limits = Arc::clone(&self.limits);
        }
        if let (Some(login), Some(before)) = (&mut app.login, &self.login) {
            login.take_over(before);
        }
        Ok(app)
    }

    fn build(
        config: &Config,
        store: SharedStore,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
        names: Names,
        (pages, pages_elsewhere): (Pages, Pages),
    ) -> Result<Self, Unusable> {
        let access = Access::new(config.access.clone());
        let login = match &config.provider {
            Some(provider) => {
                Some(Login::new(config, provider, Arc::clone(&store), Arc::clone(&clock), Arc::clone(&random), names)?)
            }
            None => None,
        };
        let tokens = Tokens::new(Arc::clone(&store), Arc::clone(&clock), Arc::clone(&random), access.clone());
        let label = |provider: &crate::config::provider::Provider| ProviderLabel {
            label: provider.label.clone(),
            is_google: provider.name == "google",
        };
        let nobody = || ProviderLabel { label: "your account".to_owned(), is_google: false };
        let return_rules = ReturnRules::of(config);
        let safe = |address: &str| {
            ReturnTo::parse(address, &return_rules)
                .map_or_else(|| "/".to_owned(), |address| address.as_str().to_owned())
        };
        Ok(Self {
            paths: Paths::new(&config.public_url),
            cookies: Cookies::new(&config.public_url, config.sessions.persistent.then_some(config.sessions.lifetime))
                .shared_with(config.sessions.cookie_domain.as_deref()),
            pages,
            openapi: OnceLock::new(),
            login,
            provider: config.provider.as_ref().map_or_else(nobody, label),
            sessions: Sessions::new(Arc::clone(&store), Arc::clone(&clock), access.clone(), config.sessions.clone()),
            users: Users::new(Arc::clone(&store), Arc::clone(&clock), config.users.on_delete),
            audit: Audit::new(Arc::clone(&store), Arc::clone(&clock), &config.audit),
            devices: Devices::new(Arc::clone(&store), Arc::clone(&clock), Arc::clone(&random), tokens.clone()),
            tokens,
            gate: Gate::new(&config.gate, &config.groups),
            remote_user: config.gate.user,
            opens_oauth2_proxy: config.gate.oauth2_proxy,
            assertions: Assertions::new(Arc::clone(&store), Arc::clone(&clock), config.public_url.to_string()),
            home: safe(&config.apps.home),
            after_logout: safe(&config.apps.after_logout),
            return_rules,
            cors: Cors::new(&config.apps),
            trusted_proxies: config.server.trusted_proxies.clone(),
            security_headers: SecurityHeaders::new(config),
            elsewhere: Elsewhere {
                pages: pages_elsewhere,
                paths: Paths::absolute(&config.public_url),
                headers: SecurityHeaders::elsewhere(config),
            },
            public_url: config.public_url.clone(),
            store,
            limits: Arc::new(Limits::new(&config.limits)),
            clock,
            instance: format!("{:016x}", u64::from_be_bytes(random::bytes(&*random))),
            requests: AtomicU64::new(u64::from_be_bytes(random::bytes(&*random))),
            is_leaving: AtomicBool::new(false),
            random,
        })
    }

    /// Where `query` asks to be sent to (`rd`), if that is an address that may be returned to.
    pub fn return_to(&self, query: Option<&str>) -> Option<ReturnTo> {
        let mut parameters = form_urlencoded::parse(query.unwrap_or_default().as_bytes());
        let (_, address) = parameters.find(|(name, _)| name == "rd")?;
        ReturnTo::parse(&address, &self.return_rules)
    }

    /// The pages and addresses that a page in answer to `visit` is made of.
    pub fn seen_from(&self, visit: &Visit) -> (&Pages, &Paths) {
        match visit.is_shown_elsewhere {
            true => (&self.elsewhere.pages, &self.elsewhere.paths),
            false => (&self.pages, &self.paths),
        }
    }

    /// The headers of every answer to `visit`.
    pub fn headers(&self, visit: &Visit) -> &SecurityHeaders {
        if visit.is_shown_elsewhere { &self.elsewhere.headers } else { &self.security_headers }
    }

    /// Records what somebody did to their own access: in the log, and in the store while it is of interest.
    pub async fn record(&self, kind: EventKind, user: &UserId, origin: &Origin, detail: &str) {
        self.audit.record(&self.audit.event(kind, Some(user), origin, "", detail)).await;
    }

    /// A fresh name for a request, to find it in the log by. It is no secret, so it is counted from a random beginning
    /// and stirred (SplitMix64) rather than asked of the system each time.
    pub fn request_id(&self) -> String {
        let mut id = self.requests.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
        id = (id ^ (id >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        id = (id ^ (id >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        format!("{:016x}", id ^ (id >> 31))
    }

    /// Looks at the database for the metrics: whether it answers, and how many connections to it there are.
    pub async fn measure(&self) {
        let is_up = self.store.check_readable().await.is_ok();
        let (idle, busy) = self.store.connections();
        metrics::database_state(is_up, idle, busy);
    }

    /// Notes that this process will end soon.
    pub fn leave(&self) {
        self.is_leaving.store(true, Ordering::Relaxed);
    }

    /// Whether this process will end soon.
    pub fn is_leaving(&self) -> bool {
        self.is_leaving.load(Ordering::Relaxed)
    }

    /// A number from 0 to 1, for what should not happen everywhere at once.
    pub fn chance(&self) -> f64 {
        f64::from(u32::from_be_bytes(random::bytes(&*self.random))) / f64::from(u32::MAX)
    }

    /// Where a sign-in without `rd` ends.
    pub fn home(&self) -> &str {
        &self.home
    }
}
