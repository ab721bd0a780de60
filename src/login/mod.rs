//! From "not known" to "signed in".
//!
//! | step   | who          | leaves behind                                           |
//! |--------|--------------|---------------------------------------------------------|
//! | begin  | this site    | a pending login, sealed in the browser's cookie, valid ten minutes |
//! | …      | the provider | a code in the browser's address                         |
//! | finish | this site    | a user, a session                                       |
//!
//! A pending login can be used once; whoever comes second starts again. This room knows no HTTP of the browser's.

mod attempts;
mod discovery;
mod http;
mod id_token;
mod identity;
mod pending;
pub mod provider;
pub mod return_to;

use std::fmt;
use std::sync::Arc;

use openidconnect::url::Url;

use crate::access::{Access, Decision};
use crate::clock::Clock;
use crate::config::Config;
use crate::config::provider::Provider as ProviderConfig;
use crate::credential::Plain;
use crate::login::attempts::Attempts;
use crate::login::pending::{NotOpened, PendingLogin};
use crate::login::provider::{Provider, Unusable};
use crate::login::return_to::{ReturnRules, ReturnTo};
use crate::model::{Browser, Identity, Session, User, UserId};
use crate::names::Names;
use crate::random::Random;
use crate::store::{Key, Refusal, SharedStore, SignIn, SignedIn, StoreError};

/// How much of a browser's name is kept, in characters.
const MAX_USER_AGENT: usize = 256;

/// Signs people in. Clones are the same.
#[derive(Clone)]
pub struct Login {
    room: Arc<Room>,
}

/// What a sign-in needs, shared with those that run on after their caller has gone.
struct Room {
    provider: Provider,
    /// Which provider and client pending logins belong to.
    fingerprint: [u8; 16],
    prompt: Option<String>,
    hosted_domain: Option<String>,
    rules: ReturnRules,
    access: Access,
    lifetime: std::time::Duration,
    store: SharedStore,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    keys: std::sync::RwLock<Arc<[Key]>>,
    attempts: Attempts,
}

/// A sign-in that was begun.
#[derive(Clone)]
pub struct Begun {
    /// Where to send the browser: the provider's authorization endpoint with our request (RFC 6749, section 4.1.1).
    pub authorization_url: Url,
    /// What the browser must bring back.
    pub pending: SealedPendingLogin,
}

impl fmt::Debug for Begun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Begun({})", self.pending.label)
    }
}

/// A pending login as it lies in the browser, one cookie each.
#[derive(Clone, PartialEq, Eq)]
pub struct SealedPendingLogin {
    /// Tells the attempts of one browser apart; ten characters of `[a-z2-7]`, made from `state`.
    pub label: String,
    /// The sealed content, base64url.
    pub value: String,
}

impl fmt::Debug for SealedPendingLogin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealedPendingLogin({}, …)", self.label)
    }
}

/// What the provider's redirect brought (RFC 6749, sections 4.1.2 and 4.1.2.1; RFC 9207).
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Answer {
    /// The authorization code.
    pub code: Option<String>,
    /// The state we sent.
    pub state: Option<String>,
    /// Who answers.
    pub iss: Option<String>,
    /// Why there is no code.
    pub error: Option<String>,
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { code, state, iss, error } = self;
        let has = [("code", code), ("state", state), ("iss", iss), ("error", error)];
        f.write_str("Answer with ")?;
        f.debug_list().entries(has.iter().filter(|(_, value)| value.is_some()).map(|(name, _)| name)).finish()
    }
}

/// A sign-in that succeeded.
#[derive(Clone, Debug)]
pub struct Finished {
    /// The new session's handle.
    pub session: Plain,
    /// Who signed in.
    pub user: User,
    /// Where they wanted to go.
    pub return_to: Option<ReturnTo>,
}

/// A sign-in that failed.
#[derive(Debug)]
pub struct Failed {
    /// Why.
    pub error: LoginError,
    /// Where the person wanted to go, when that could be read: starting again leads there.
    pub return_to: Option<ReturnTo>,
    /// The label of the pending login that is spent by this, so that its cookie can go.
    pub spent: Option<String>,
}

/// Why a sign-in failed. Sentences for the log; pages have their own.
#[derive(Debug, thiserror::Error)]
pub enum LoginError {
    /// The browser brought no pending login for this `state`: another browser's, cookies refused, replayed.
    #[error("no pending login for this state")]
    NoPendingLogin,
    /// The pending login is older than ten minutes.
    #[error("the pending login is older than ten minutes")]
    Stale,
    /// The pending login was begun for another provider or client.
    #[error("the pending login belongs to another provider")]
    OtherProvider,
    /// The answer carries neither a code nor an error, or no state.
    #[error("the provider's answer lacks {0}")]
    Incomplete(&'static str),
    /// The answer names another issuer than the one that was asked (RFC 9207).
    #[error("the answer names another issuer")]
    OtherIssuer,
    /// The person declined at the provider.
    #[error("the person declined at the provider")]
    Declined,
    /// The provider answered with an error of its own; the code is one of RFC 6749 or OpenID Connect, cut and cleaned.
    #[error("the provider answered {0}")]
    ProviderError(String),
    /// The provider cannot be reached, or did not answer in time or in form; later it may.
    #[error("the provider cannot be asked: {0}")]
    ProviderUnavailable(String),
    /// The provider refuses us: wrong client id or secret, wrong redirect URI, a spent code.
    #[error("the provider refused the code: {0}")]
    CodeRefused(String),
    /// What the provider sent does not hold: signature, issuer, audience, times, nonce, subject …
    #[error("the ID token does not hold: {0}")]
    BadIdToken(String),
    /// The clocks are too far apart for the token's times to be judged.
    #[error("the ID token's times do not fit our clock: {0}")]
    ClockSkew(String),
    /// The provider does not vouch for the email.
    #[error("the email {0:?} is not verified")]
    EmailUnverified(Option<String>),
    /// The email is of no form that can be trusted to name one mailbox.
    #[error("the email is malformed")]
    EmailMalformed,
    /// The rules do not let this person in.
    #[error("not allowed: {reason}")]
    NotAllowed {
        /// The account they used.
        email: String,
        /// The rule's word.
        reason: &'static str,
    },
    /// The store found a reason not to let this person in.
    #[error("{refusal}")]
    Refused {
        /// The account they used.
        email: String,
        /// Which reason.
        refusal: Refusal,
    },
    /// The store cannot take the sign-in.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl LoginError {
    /// A stable word for logs, metrics and tests.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::NoPendingLogin => "no_pending_login",
            Self::Stale => "stale",
            Self::OtherProvider => "other_provider",
            Self::Incomplete(_) => "incomplete",
            Self::OtherIssuer => "other_issuer",
            Self::Declined => "declined",
            Self::ProviderError(_) => "provider_error",
            Self::ProviderUnavailable(_) => "provider_unavailable",
            Self::CodeRefused(_) => "code_refused",
            Self::BadIdToken(_) => "bad_id_token",
            Self::ClockSkew(_) => "clock_skew",
            Self::EmailUnverified(_) => "email_unverified",
            Self::EmailMalformed => "email_malformed",
            Self::NotAllowed { reason, .. } => reason,
            Self::Refused { refusal, .. } => refusal.reason(),
            Self::Store(error) => error.reason(),
        }
    }
}

impl Login {
    /// Signs people in with `provider`, one of `config`'s. Asks neither provider nor store: both may be away.
    pub fn new(
        config: &Config,
        provider: &ProviderConfig,
        store: SharedStore,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
        names: Names,
    ) -> Result<Self, Unusable> {
        let room = Room {
            provider: Provider::new(provider, &config.public_url.join("/login/callback"), names)?,
            fingerprint: pending::fingerprint(&provider.issuer, &provider.client_id),
            prompt: provider.prompt.clone(),
            hosted_domain: match config.access.hosted_domains.as_slice() {
                [only] => Some(only.clone()),
                _ => None,
            },
            rules: ReturnRules::new(&config.public_url, &config.apps),
            access: Access::new(config.access.clone()),
            lifetime: config.sessions.lifetime,
            store,
            clock,
            random,
            keys: std::sync::RwLock::new(Arc::from([])),
            attempts: Attempts::default(),
        };
        Ok(Self { room: Arc::new(room) })
    }

    /// Reads the key that seals pending logins, so that later no login has to wait for the store to begin. To be called
    /// when the store is prepared; where it was not, the first login does it.
    pub async fn prepare(&self) -> Result<(), StoreError> {
        self.room.read_keys().await.map(|_| ())
    }

    /// Starts a sign-in that shall end at `return_to`. `choose_account`: let the provider show its chooser even
    /// where the configuration does not ask for it. Asks the provider's metadata; the store only for the sealing key,
    /// and only until that was read once.
    pub async fn begin(&self, return_to: Option<ReturnTo>, choose_account: bool) -> Result<Begun, LoginError> {
        let begun = self.room.begin(return_to, choose_account).await;
        if let Err(error) = &begun {
            tracing::warn!(reason = error.reason(), "a sign-in could not begin: {error}");
        }
        begun
    }

    /// Whether the provider is asked to show its chooser at every sign-in, so that no link can sign anybody in silently.
    pub fn shows_chooser(&self) -> bool {
        let prompt = self.room.prompt.as_deref().unwrap_or_default();
        prompt.split(' ').any(|word| matches!(word, "select_account" | "login" | "consent"))
    }

    /// Finishes the sign-in that `answer` belongs to. `pending` is all that the browser brought, `previous` the session
    /// it presented, to be ended. Runs to its end even when the caller goes away.
    pub async fn finish(
        &self,
        answer: Answer,
        pending: Vec<SealedPendingLogin>,
        browser: Browser,
        previous: Option<Plain>,
    ) -> Result<Finished, Failed> {
        let finished = self.try_finish(answer, pending, browser, previous).await;
        match &finished {
            Ok(finished) => tracing::info!(user.id = %finished.user.id, "signed in"),
            Err(failed) => log_failure(&failed.error),
        }
        finished
    }

    /// Whether the provider's metadata and keys are at hand.
    pub fn provider_is_known(&self) -> bool {
        self.room.provider.is_known()
    }

    /// How many sign-ins are past the point where they can be begun again: their code is being spent.
    pub fn in_progress(&self) -> usize {
        self.room.attempts.running()
    }

    /// Waits until no sign-in is in progress: what a drain waits for.
    pub async fn finished(&self) {
        self.room.attempts.all_done().await;
    }

    async fn try_finish(
        &self,
        answer: Answer,
        pending: Vec<SealedPendingLogin>,
        browser: Browser,
        previous: Option<Plain>,
    ) -> Result<Finished, Failed> {
        let attempt = self.room.recognise(&answer, &pending).await?;
        let code = self.room.code(answer, &attempt)?;
        // From here on it is not the caller's any more: whoever hangs up would leave a spent code without a session.
        let running = self.room.attempts.run();
        let room = Arc::clone(&self.room);
        let complete = tokio::spawn(async move {
            let _running = running;
            room.complete(attempt, code, browser, previous).await
        });
        match complete.await {
            Ok(finished) => finished,
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Err(_) => Err(Failed {
                error: LoginError::ProviderUnavailable("this process is ending".to_owned()),
                return_to: None,
                spent: None,
            }),
        }
    }
}

/// A pending login that the answer belongs to.
struct Attempt {
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
    async fn begin(&self, return_to: Option<ReturnTo>, choose_account: bool) -> Result<Begun, LoginError> {
        let mut keys = self.keys_at_hand();
        if keys.is_empty() {
            keys = self.read_keys().await?;
        }
        let return_to = return_to.map(|address| address.as_str().to_owned());
        let pending = PendingLogin::begin(&*self.random, self.fingerprint, self.clock.now(), return_to);
        let prompt = self.prompt(choose_account);
        let hosted_domain = self.hosted_domain.as_deref();
        let authorization_url = self.provider.authorization_url(&pending, prompt.as_deref(), hosted_domain).await?;
        let no_key = || StoreError::Refused("it gave no key to seal pending logins with".to_owned());
        let pending = pending.seal(&keys, &*self.random).ok_or_else(no_key)?;
        Ok(Begun { authorization_url, pending })
    }

    /// `prompt` of the request (OpenID Connect Core 1.0, section 3.1.2.1). `none` stands alone or not at all.
    fn prompt(&self, choose_account: bool) -> Option<String> {
        let configured = self.prompt.as_deref().filter(|prompt| !prompt.is_empty());
        if !choose_account {
            return configured.map(str::to_owned);
        }
        let mut words: Vec<&str> = configured.unwrap_or_default().split_ascii_whitespace().collect();
        words.retain(|word| *word != "none");
        if !words.contains(&"select_account") {
            words.push("select_account");
        }
        Some(words.join(" "))
    }

    /// Finds and opens the pending login that bears the answer's state. A wrong state spends nothing.
    async fn recognise(&self, answer: &Answer, sealed: &[SealedPendingLogin]) -> Result<Attempt, Failed> {
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
    fn code(&self, answer: Answer, attempt: &Attempt) -> Result<String, Failed> {
        if !self.provider.is_issuer(answer.iss.as_deref()) {
            self.attempts.spend(&attempt.label);
            return Err(attempt.over(LoginError::OtherIssuer));
        }
        if let Some(error) = answer.error {
            self.attempts.spend(&attempt.label);
            let declined = error == "access_denied";
            let error = if declined { LoginError::Declined } else { LoginError::ProviderError(cleaned(&error)) };
            return Err(attempt.over(error));
        }
        let code = answer.code.filter(|code| !code.is_empty());
        code.ok_or_else(|| attempt.still_open(LoginError::Incomplete("code")))
    }

    /// Spends the code and opens the session.
    async fn complete(
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
        let answered = self.provider.identify(&known, code, &attempt.pending, &*self.clock).await;
        let identity = answered.map_err(|error| attempt.over(error))?;
        let (session, user) =
            self.open_session(identity, browser, previous).await.map_err(|error| attempt.over(error))?;
        Ok(Finished { session, user, return_to: attempt.return_to })
    }

    /// Lets `identity` in, if the rules and the store do.
    async fn open_session(
        &self,
        identity: Identity,
        browser: Browser,
        previous: Option<Plain>,
    ) -> Result<(Plain, User), LoginError> {
        let email = identity.email.clone();
        if let Decision::Deny(reason) = self.access.decide(&identity) {
            return Err(LoginError::NotAllowed { email, reason });
        }
        // A fresh handle at every sign-in, the presented one ended: nobody can plant theirs (session fixation).
        let handle = Plain::new(&*self.random);
        let now = self.clock.now();
        let session = Session {
            handle: handle.hashed(),
            user_id: UserId::new(identity.subject.clone()),
            created_at: now,
            last_seen_at: now,
            expires_at: now + self.lifetime,
            address: browser.address,
            user_agent: browser.user_agent.chars().filter(|char| !char.is_control()).take(MAX_USER_AGENT).collect(),
        };
        let previous = previous.map(|previous| previous.hashed());
        match self.store.sign_in(&SignIn { identity, session, previous }).await? {
            SignedIn::Opened(user) => Ok((handle, user)),
            SignedIn::Refused(refusal) => Err(LoginError::Refused { email, refusal }),
        }
    }

    /// Opens `sealed`. `None`: it is not one of ours.
    async fn open(&self, sealed: &SealedPendingLogin) -> Result<Option<PendingLogin>, StoreError> {
        let keys = self.keys_at_hand();
        match PendingLogin::open(sealed, &keys) {
            Ok(pending) => Ok(Some(pending)),
            Err(NotOpened::Broken) => Ok(None),
            // Another instance may have made a key since. Whoever forges key ids makes us look only now and then.
            Err(NotOpened::UnknownKey) if keys.is_empty() || self.attempts.may_read_keys() => {
                Ok(PendingLogin::open(sealed, &self.read_keys().await?).ok())
            }
            Err(NotOpened::UnknownKey) => Ok(None),
        }
    }

    fn keys_at_hand(&self) -> Arc<[Key]> {
        Arc::clone(&self.keys.read().unwrap_or_else(std::sync::PoisonError::into_inner))
    }

    async fn read_keys(&self) -> Result<Arc<[Key]>, StoreError> {
        let fresh = crate::random::bytes(&*self.random);
        let keys: Arc<[Key]> = self.store.sealing_keys(&fresh, self.clock.now()).await?.into();
        *self.keys.write().unwrap_or_else(std::sync::PoisonError::into_inner) = Arc::clone(&keys);
        Ok(keys)
    }
}

/// A word of the provider's as it may stand in a log: its letters, cut.
fn cleaned(word: &str) -> String {
    let is_plain = |char: &char| char.is_ascii_alphanumeric() || matches!(char, '_' | '-' | '.');
    let word: String = word.chars().filter(is_plain).take(64).collect();
    if word.is_empty() { "an error without a name".to_owned() } else { word }
}

/// One line for each sign-in that failed; what needs an operator is louder than what a person did.
fn log_failure(error: &LoginError) {
    let reason = error.reason();
    match error {
        LoginError::ProviderUnavailable(_)
        | LoginError::CodeRefused(_)
        | LoginError::BadIdToken(_)
        | LoginError::ClockSkew(_)
        | LoginError::Refused { .. }
        | LoginError::Store(_) => tracing::warn!(reason, "a sign-in failed: {error}"),
        _ => tracing::info!(reason, "a sign-in failed: {error}"),
    }
}
