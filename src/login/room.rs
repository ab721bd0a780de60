//! The steps of a sign-in and what they need: recognise the answer, look at it without the network, spend the code, open
//! the session. Leaves behind what the store wrote, and the label of a spent attempt.

use std::sync::Arc;
use std::time::Duration;

use crate::access::{Access, Decision};
use crate::audit::{self, Audit};
use crate::clock::{Clock, Timestamp};
use crate::config::Config;
use crate::config::provider::Provider as ProviderConfig;
use crate::credential::Plain;
use crate::login::attempts::Attempts;
use crate::login::error::cleaned;
use crate::login::pending::{self, NotOpened, PendingLogin};
use crate::login::provider::{Provider, Unusable};
use crate::login::return_to::{ReturnRules, ReturnTo};
use crate::login::sealing::SealingKeys;
use crate::login::{Answer, Begun, Failed, Finished, LoginError, Prompt, SealedPendingLogin};
use crate::model::{Actor, Browser, EventKind, Identity, Origin, Session, User, UserId};
use crate::names::Names;
use crate::random::Random;
use crate::sessions::MOST_PER_USER;
use crate::store::{SharedStore, SignIn, SignedIn, StoreError};

/// How much of a browser's name is kept, in characters.
const MAX_USER_AGENT: usize = 256;

/// What a sign-in needs, shared with those that run on after their caller has gone.
pub struct Room {
    /// Who vouches.
    pub provider: Provider,
    /// Which provider and client pending logins belong to.
    fingerprint: [u8; 16],
    /// `prompt` as configured.
    pub prompt: Option<String>,
    rules: ReturnRules,
    access: Access,
    audit: Audit,
    lifetime: Duration,
    store: SharedStore,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    /// What seals pending logins.
    pub keys: SealingKeys,
    /// Those that are on their way.
    pub attempts: Arc<Attempts>,
}

/// A pending login that the answer belongs to.
pub struct Attempt {
    label: String,
    pending: PendingLogin,
    return_to: Option<ReturnTo>,
    /// Whether the answer named its issuer.
    is_named: bool,
}

impl Attempt {
    /// It failed and cannot be finished any more.
    fn over(&self, error: LoginError) -> Failed {
        Failed { error, return_to: self.return_to.clone(), spent: Some(self.label.clone()) }
    }

    /// It failed; the same answer may be tried again.
    fn still_open(&self, error: LoginError) -> Failed {
        Failed { error, return_to: self.return_to.clone(), spent: None }
    }
}

impl Room {
    /// Everything that `config` says of signing in with `provider`. Asks nobody.
    pub fn new(
        config: &Config,
        provider: &ProviderConfig,
        store: SharedStore,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
        names: Names,
    ) -> Result<Self, Unusable> {
        Ok(Self {
            provider: Provider::new(provider, &config.public_url.join("/login/callback"), names, Arc::clone(&clock))?,
            fingerprint: pending::fingerprint(&provider.issuer, &provider.client_id),
            prompt: provider.prompt.clone(),
            rules: ReturnRules::of(config),
            access: Access::new(config.access.clone()),
            audit: Audit::new(Arc::clone(&store), Arc::clone(&clock), &config.audit),
            lifetime: config.sessions.lifetime,
            keys: SealingKeys::new(Arc::clone(&store), Arc::clone(&clock), Arc::clone(&random)),
            store,
            clock,
            random,
            attempts: Arc::default(),
        })
    }

    /// See [`crate::login::Login::take_over`].
    pub fn take_over(&mut self, before: &Self) {
        self.attempts = Arc::clone(&before.attempts);
        self.keys.take_over(&before.keys);
        self.provider.take_over(&before.provider);
    }

    /// See [`crate::login::Login::begin`].
    pub async fn begin(&self, return_to: Option<ReturnTo>, prompt: Prompt) -> Result<Begun, LoginError> {
        let mut keys = self.keys.at_hand();
        if keys.is_empty() {
            keys = self.keys.read().await?;
        }
        let return_to = return_to.map(|address| address.as_str().to_owned());
        let must_prove = prompt == Prompt::Login && !self.provider.is_google();
        let mut pending = PendingLogin::begin(&*self.random, self.fingerprint, self.clock.now(), return_to);
        pending.must_prove = must_prove;
        let prompt = match prompt {
            Prompt::Configured => self.prompt.clone().filter(|prompt| !prompt.is_empty()),
            Prompt::Login if must_prove => Some(self.prompt_with("login")),
            Prompt::SelectAccount | Prompt::Login => Some(self.prompt_with("select_account")),
        };
        let hosted_domain = self.access.hosted_domain_hint();
        let authorization_url = self.provider.authorization_url(&pending, prompt.as_deref(), hosted_domain).await?;
        let no_key = || StoreError::Refused("it gave no key to seal pending logins with".to_owned());
        let pending = pending.seal(&keys, &*self.random).ok_or_else(no_key)?;
        Ok(Begun { authorization_url, pending })
    }

    /// The configured `prompt` and `word`. `none` stands alone or not at all (OpenID Connect Core 1.0, section 3.1.2.1).
    fn prompt_with(&self, word: &str) -> String {
        let configured = self.prompt.as_deref().unwrap_or_default().split_ascii_whitespace();
        let mut words: Vec<&str> = configured.filter(|configured| !matches!(*configured, "none")).collect();
        if !words.contains(&word) {
            words.push(word);
        }
        words.join(" ")
    }

    /// Finds and opens the pending login that bears the answer's state. A wrong state spends nothing.
    pub async fn recognise(&self, answer: &Answer, sealed: &[SealedPendingLogin]) -> Result<Attempt, Failed> {
        let nothing = |error| Failed { error, return_to: None, spent: None };
        let state = answer.state.as_deref().ok_or_else(|| nothing(LoginError::Incomplete("state")))?;
        let label = pending::label(state);
        let mut found = None;
        // A sibling host can plant a cookie of the same name beside ours: any that opens will do.
        for sealed in sealed.iter().filter(|sealed| sealed.label == label) {
            match self.open(sealed).await {
                Ok(Some(pending)) => found = Some(pending),
                Ok(None) => {}
                Err(error) => return Err(nothing(error.into())),
            }
        }
        let pending = found.ok_or_else(|| nothing(LoginError::NoPendingLogin))?;
        let return_to = pending.return_to.as_deref().and_then(|address| ReturnTo::parse(address, &self.rules));
        let attempt = Attempt { label, pending, return_to, is_named: answer.iss.is_some() };
        if self.attempts.is_spent(&attempt.label) {
            return Err(attempt.over(LoginError::NoPendingLogin));
        }
        if !attempt.pending.is_fresh(self.clock.now()) {
            return Err(attempt.over(LoginError::Stale));
        }
        if attempt.pending.provider != self.fingerprint {
            return Err(attempt.over(LoginError::OtherProvider));
        }
        Ok(attempt)
    }

    /// The code in `answer`, once everything has been looked at that needs no network.
    pub fn code(&self, answer: Answer, attempt: &Attempt) -> Result<String, Box<Failed>> {
        if !self.provider.is_issuer(answer.iss.as_deref()) {
            self.attempts.spend(&attempt.label);
            return Err(attempt.over(LoginError::OtherIssuer).into());
        }
        if let Some(error) = answer.error {
            self.attempts.spend(&attempt.label);
            let declined = error == "access_denied";
            let error = if declined { LoginError::Declined } else { LoginError::ProviderError(cleaned(&error)) };
            return Err(attempt.over(error).into());
        }
        let code = answer.code.filter(|code| !code.is_empty());
        code.ok_or_else(|| attempt.still_open(LoginError::Incomplete("code")).into())
    }

    /// Spends the code and opens the session.
    pub async fn complete(
        &self,
        attempt: Attempt,
        code: String,
        browser: Browser,
        previous: Option<Plain>,
    ) -> Result<Finished, Failed> {
        // Both can be tried again with the same answer: nothing is spent yet.
        self.store.check_writable().await.map_err(|error| attempt.still_open(error.into()))?;
        let known = self.provider.known().await.map_err(|error| attempt.still_open(error))?;
        let _turn = self.provider.turn().await.map_err(|error| attempt.still_open(error))?;
        if !attempt.is_named && known.metadata.authorization_response_iss_parameter_supported {
            self.attempts.spend(&attempt.label);
            return Err(attempt.over(LoginError::OtherIssuer));
        }
        if !self.attempts.spend(&attempt.label) {
            return Err(attempt.over(LoginError::NoPendingLogin));
        }
        let answered = self.provider.identify(&known, code, &attempt.pending, &browser.traceparent, &*self.clock).await;
        let (identity, proved_at) = answered.map_err(|error| attempt.over(error))?;
        let opened = self.open_session(identity, proved_at, browser, previous).await;
        let (session, user) = opened.map_err(|error| attempt.over(error))?;
        Ok(Finished { session, user, return_to: attempt.return_to, spent: attempt.label })
    }

    /// Lets `identity` in, if the rules and the store do.
    async fn open_session(
        &self,
        identity: Identity,
        proved_at: Option<Timestamp>,
        browser: Browser,
        previous: Option<Plain>,
    ) -> Result<(Plain, User), LoginError> {
        let (email, subject) = (identity.email.clone(), UserId::new(identity.subject.clone()));
        let origin = Origin { actor: Actor::Person, request_id: browser.request_id, address: browser.address.clone() };
        if let Decision::Deny(reason) = self.access.decide(&identity) {
            let words = self.access.explain(&identity);
            self.audit.keep(&self.audit.event(EventKind::Refusal, Some(&subject), &origin, reason, &words)).await;
            return Err(LoginError::NotAllowed { subject, email, reason, words });
        }
        // A fresh handle at every sign-in, the presented one ended: nobody can plant theirs (session fixation).
        let handle = Plain::new(&*self.random);
        let now = self.clock.now();
        let session = Session {
            handle: handle.hashed(),
            user_id: subject.clone(),
            created_at: now,
            last_seen_at: now,
            expires_at: now + self.lifetime,
            proved_at,
            address: browser.address,
            user_agent: browser.user_agent.chars().filter(|char| !char.is_control()).take(MAX_USER_AGENT).collect(),
        };
        let previous = previous.map(|previous| previous.hashed());
        let event = audit::event(&*self.clock, EventKind::Login, Some(&subject), &origin, "", &session.handle.short());
        let sign_up = self.access.sign_up();
        let sign_in = SignIn { identity, session, previous, most_sessions: MOST_PER_USER, sign_up, event };
        match self.store.sign_in(&sign_in).await? {
            SignedIn::Opened(user) => Ok((handle, user)),
            SignedIn::Refused(refusal) => {
                let (reason, words) = (refusal.reason(), refusal.to_string());
                self.audit.keep(&self.audit.event(EventKind::Refusal, Some(&subject), &origin, reason, &words)).await;
                Err(LoginError::Refused { subject, email, refusal })
            }
        }
    }

    /// Opens `sealed`. `None`: it is not one of ours.
    async fn open(&self, sealed: &SealedPendingLogin) -> Result<Option<PendingLogin>, StoreError> {
        let keys = self.keys.at_hand();
        match PendingLogin::open(sealed, &keys) {
            Ok(pending) => Ok(Some(pending)),
            Err(NotOpened::Broken) => Ok(None),
            // Another instance may have made a key since. Whoever forges key ids makes us look only now and then.
            Err(NotOpened::UnknownKey) if keys.is_empty() || self.attempts.may_read_keys() => {
                Ok(PendingLogin::open(sealed, &self.keys.read().await?).ok())
            }
            Err(NotOpened::UnknownKey) => Ok(None),
        }
    }
}
