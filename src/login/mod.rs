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
mod error;
pub mod http;
pub mod id_token;
pub mod identity;
pub mod pending;
pub mod provider;
pub mod return_to;
mod room;
pub mod sealing;

use std::fmt;
use std::sync::Arc;

use openidconnect::url::Url;
use tokio::sync::broadcast;

pub use self::discovery::clocks_differ;
pub use self::error::LoginError;
use crate::clock::Clock;
use crate::config::Config;
use crate::config::provider::Provider as ProviderConfig;
use crate::credential::Plain;
use crate::login::error::log_failure;
use crate::login::provider::Unusable;
use crate::login::return_to::ReturnTo;
use crate::login::room::Room;
use crate::metrics;
use crate::model::{Browser, EventKind, User};
use crate::names::Names;
use crate::random::Random;
use crate::store::{Key, SharedStore, StoreError};

/// How many sign-ins a slow listener may lag behind before it misses some.
const SIGN_INS_HEARD: usize = 64;

/// Signs people in. Clones are the same.
#[derive(Clone)]
pub struct Login {
    room: Arc<Room>,
    sign_ins: broadcast::Sender<User>,
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
    /// The label of the pending login that is spent by this, so that its cookie can go.
    pub spent: String,
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

/// What a provider that answers says of itself and of us.
#[derive(Debug)]
pub struct Looked {
    /// How many keys it publishes that we can read.
    pub keys: usize,
    /// By how many seconds our clock is ahead of its own, as far as it says.
    pub ahead: Option<i64>,
    /// Whether it takes us for a client of its own.
    pub client: Result<(), LoginError>,
}

/// What the provider shall show (OpenID Connect Core 1.0, section 3.1.2.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Prompt {
    /// What the configuration says.
    #[default]
    Configured,
    /// Its chooser of accounts, too.
    SelectAccount,
    /// Whatever proves anew who somebody is. Google knows nothing of the kind and shows its chooser.
    Login,
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
        let room = Room::new(config, provider, store, clock, random, names)?;
        Ok(Self { room: Arc::new(room), sign_ins: broadcast::channel(SIGN_INS_HEARD).0 })
    }

    /// Goes on where `before` stood, whose sign-ins may be under way: what is spent stays spent, and neither the store nor
    /// the provider is asked again for what is known. To be called before this is used.
    pub fn take_over(&mut self, before: &Self) {
        self.sign_ins = before.sign_ins.clone();
        if let Some(room) = Arc::get_mut(&mut self.room) {
            room.take_over(&before.room);
        }
    }

    /// Reads the keys that seal pending logins, so that later no login has to wait for the store to begin. To be called
    /// when the store is prepared, where it was not, the first login does it; and each minute, for a key that is new.
    pub async fn prepare(&self) -> Result<(), StoreError> {
        self.room.keys.read().await.map(|_| ())
    }

    /// The keys that seal pending logins, as far as they are at hand: what instances recognise each other by.
    pub fn keys_at_hand(&self) -> Arc<[Key]> {
        self.room.keys.at_hand()
    }

    /// Whether the provider is Google, whatever the configuration calls it.
    pub fn is_at_google(&self) -> bool {
        self.room.provider.is_google()
    }

    /// Asks for the provider's metadata and keys where they are not at hand, so that the first sign-in need not wait.
    pub async fn warm(&self) {
        if let Err(error) = self.room.provider.known().await {
            tracing::debug!(reason = error.reason(), "{error}");
        }
    }

    /// Asks the provider who it is and whether it knows us, for whoever checks a configuration.
    pub async fn look_at_provider(&self) -> Result<Looked, LoginError> {
        let known = self.room.provider.known().await?;
        let client = self.room.provider.try_client(&known).await;
        Ok(Looked { keys: known.keys.set.keys().len(), ahead: known.ahead, client })
    }

    /// Starts a sign-in that shall end at `return_to`. Asks the provider's metadata; the store only for the sealing key,
    /// and only until that was read once.
    pub async fn begin(&self, return_to: Option<ReturnTo>, prompt: Prompt) -> Result<Begun, LoginError> {
        let begun = self.room.begin(return_to, prompt).await;
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
        self.count(finished.as_ref().err());
        match &finished {
            Ok(finished) => {
                let session = finished.session.hashed().short();
                let event = EventKind::Login.word();
                tracing::info!(event, user.id = %finished.user.id, session.id = session, "signed in");
                // Most often nobody listens.
                let _ = self.sign_ins.send(finished.user.clone());
            }
            Err(failed) => log_failure(&failed.error, &self.room.provider),
        }
        finished
    }

    /// Counts how a sign-in ended: what a person or the rules decided is `denied`, what somebody must mend `error`.
    fn count(&self, failed: Option<&Failed>) {
        let (result, reason) = match failed.map(|failed| &failed.error) {
            None => ("ok", ""),
            Some(
                error @ (LoginError::Declined
                | LoginError::NotAllowed { .. }
                | LoginError::Refused { .. }
                | LoginError::EmailUnverified(_)
                | LoginError::EmailMalformed),
            ) => ("denied", error.reason()),
            Some(error) => ("error", error.reason()),
        };
        metrics::login(self.room.provider.name(), result, reason);
    }

    /// Tells of everybody who signs in from now on.
    pub fn sign_ins(&self) -> broadcast::Receiver<User> {
        self.sign_ins.subscribe()
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
        let code = self.room.code(answer, &attempt).map_err(|failed| *failed)?;
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
