//! A sign-in without a web around it: the product's `Login`, a scripted provider, a store in memory.

use std::sync::Arc;

use doorward::clock::{ManualClock, Timestamp};
use doorward::config::Config;
use doorward::config::provider::Provider as ProviderConfig;
use doorward::config::public_url::PublicUrl;
use doorward::login::{Answer, Begun, Failed, Finished, Login, Prompt};
use doorward::model::Browser;
use doorward::names::Names;
use doorward::random::SeededRandom;
use doorward::store::SharedStore;

use crate::site::memory::Memory;
use crate::site::provider::{NOW, ScriptedProvider};

/// Where browsers reach the site.
pub const PUBLIC_URL: &str = "https://site.test/auth";

/// Somebody sits here and signs people in.
pub struct Desk {
    /// The provider.
    pub provider: ScriptedProvider,
    /// The product.
    pub login: Login,
    /// What it remembers.
    pub store: Arc<Memory>,
    /// Its time.
    pub clock: Arc<ManualClock>,
}

impl Desk {
    /// With the usual configuration.
    pub async fn open() -> Self {
        Self::open_with(|_, _| {}).await
    }

    /// With another configuration.
    pub async fn open_with(change: impl FnOnce(&mut Config, &mut ProviderConfig)) -> Self {
        let provider = ScriptedProvider::start().await;
        let (store, clock) = (Arc::new(Memory::default()), Arc::new(ManualClock::at(Timestamp::from_unix(NOW))));
        let mut config = config();
        let mut provider_config = provider.config();
        change(&mut config, &mut provider_config);
        let login = login(&config, &provider_config, Arc::clone(&store) as SharedStore, Arc::clone(&clock), 7);
        Self { provider, login, store, clock }
    }

    /// Another instance on the same store.
    pub fn another_instance(&self) -> Login {
        let store = Arc::clone(&self.store) as SharedStore;
        login(&config(), &self.provider.config(), store, Arc::clone(&self.clock), 8)
    }

    /// Somebody goes to the provider and agrees. What their browser has then.
    pub async fn approved(&self) -> (Begun, Answer) {
        let begun = self.login.begin(None, Prompt::Configured).await.expect("the provider is there");
        let answer = self.provider.approve(&begun.authorization_url);
        (begun, answer)
    }

    /// Somebody signs in from beginning to end.
    pub async fn sign_in(&self) -> Result<Finished, Failed> {
        let (begun, answer) = self.approved().await;
        self.finish(answer, &begun).await
    }

    /// A browser comes back with `answer` and what it got at the beginning.
    pub async fn finish(&self, answer: Answer, begun: &Begun) -> Result<Finished, Failed> {
        self.login.finish(answer, vec![begun.pending.clone()], Browser::default(), None).await
    }

    /// Somebody tries to sign in and fails; why.
    pub async fn refusal(&self) -> &'static str {
        let failed = self.sign_in().await.expect_err("nobody can sign in like this");
        assert!(self.store.open_sessions().is_empty(), "a sign-in that failed opened a session");
        failed.error.reason()
    }
}

/// A configuration with nothing in it but an address.
pub fn config() -> Config {
    Config { public_url: PublicUrl::parse(PUBLIC_URL).expect("an address"), ..Config::default() }
}

/// The product by this configuration.
pub fn login(
    config: &Config,
    provider: &ProviderConfig,
    store: SharedStore,
    clock: Arc<ManualClock>,
    seed: u64,
) -> Login {
    let random = Arc::new(SeededRandom::new(seed));
    Login::new(config, provider, store, clock, random, Names::from_system()).expect("a provider that can be used")
}
