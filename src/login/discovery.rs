//! What the provider says of itself: its endpoints and its keys, asked once and remembered.
//!
//! Endpoints and keys come from the discovery document alone (OpenID Connect Discovery 1.0). What is known is used while
//! it is fetched anew, and goes on being used when that fails: a provider's outage stops nobody who could be served.
//! Nobody can make us ask often: one question at a time, a pause after a failure, and few extra questions for keys.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use http::header::{ACCEPT, AGE, CACHE_CONTROL, DATE, HeaderMap};
use openidconnect::core::CoreJsonWebKeySet;
use openidconnect::{HttpRequest, HttpResponse};
use serde::Deserialize;
use tokio::sync::Mutex;
use tokio::time::Instant;
use url::Url;

use crate::clock::{Clock, Timestamp};
use crate::login::http::{Http, is_safe};

const HOUR: Duration = Duration::from_secs(60 * 60);

/// After this the metadata is asked for again, while the old one serves.
const METADATA_AGE: Duration = HOUR.saturating_mul(24);

/// Between these bounds the provider decides how long its keys are used without asking.
const KEYS_AGE: (Duration, Duration) = (Duration::from_secs(5 * 60), HOUR.saturating_mul(24));

/// After a failure with nothing to serve, this long nobody is asked.
const PAUSE: Duration = Duration::from_secs(1);

/// After a failure with something to serve, this long nobody is asked.
const LONG_PAUSE: Duration = Duration::from_secs(60);

/// All of discovery together may take this long.
const BUDGET: Duration = Duration::from_secs(10);

/// Keys may be asked for this often in a row because of a token's key that is not known, then once every [`REFILL`].
const BURST: u32 = 3;
const REFILL: Duration = Duration::from_secs(10);

/// By how many seconds the provider's clock may differ from ours before we speak of it: at a minute tokens begin to be
/// refused.
const SKEW: u64 = 30;

/// The parts of the discovery document that we use.
#[derive(Clone, Debug, Deserialize)]
pub struct Metadata {
    issuer: String,
    /// Where the browser is sent.
    pub authorization_endpoint: Url,
    /// Where a code becomes tokens.
    pub token_endpoint: Url,
    /// Where further claims are.
    pub userinfo_endpoint: Option<Url>,
    jwks_uri: Url,
    /// How clients may authenticate; `client_secret_basic` where it does not say.
    pub token_endpoint_auth_methods_supported: Option<Vec<String>>,
    code_challenge_methods_supported: Option<Vec<String>>,
    /// Whether every answer names its issuer (RFC 9207).
    #[serde(default)]
    pub authorization_response_iss_parameter_supported: bool,
}

/// The provider's keys, as fetched at one time.
#[derive(Debug)]
pub struct Keys {
    /// Those of them that could be read.
    pub set: CoreJsonWebKeySet,
    refresh_at: Instant,
}

/// All that is known.
#[derive(Clone, Debug)]
pub struct Known {
    /// The endpoints.
    pub metadata: Arc<Metadata>,
    /// The keys.
    pub keys: Arc<Keys>,
    /// By how many seconds our clock was ahead of the provider's when it was asked, as far as it said.
    pub ahead: Option<i64>,
    metadata_refresh_at: Instant,
    /// Nobody refreshes before; moved on by whoever does.
    next_refresh: Instant,
}

/// Asks and remembers.
pub struct Discovery {
    issuer: String,
    http: Http,
    clock: Arc<dyn Clock>,
    known: RwLock<Option<Known>>,
    /// Held by the one who asks for the first time; holds what the last failure was.
    first: Mutex<Option<(Instant, String)>>,
    /// Held by the one who asks for newer keys; holds how many more may.
    refetches: Mutex<Allowance>,
}

/// How many more refetches there may be, counted since a moment.
#[derive(Debug)]
struct Allowance {
    left: u32,
    since: Instant,
}

impl Allowance {
    fn take(&mut self) -> bool {
        let earned = u32::try_from(self.since.elapsed().as_secs() / REFILL.as_secs()).unwrap_or(BURST).min(BURST);
        if self.left + earned >= BURST {
            (self.left, self.since) = (BURST, Instant::now());
        } else {
            self.left += earned;
            self.since += REFILL * earned;
        }
        let may = self.left > 0;
        self.left -= u32::from(may);
        may
    }
}

impl Discovery {
    /// Nothing is asked yet.
    pub fn new(issuer: &str, http: Http, clock: Arc<dyn Clock>) -> Self {
        let refetches = Mutex::new(Allowance { left: BURST, since: Instant::now() });
        Self { issuer: issuer.to_owned(), http, clock, known: RwLock::default(), first: Mutex::default(), refetches }
    }

    /// What is known without asking.
    pub fn at_hand(&self) -> Option<Known> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What is known, asked for where nothing is. The error is a sentence for the log.
    pub async fn known(self: &Arc<Self>) -> Result<Known, String> {
        if let Some(known) = self.at_hand() {
            self.refresh_if_due(&known);
            return Ok(known);
        }
        let mut last_failure = self.first.lock().await;
        if let Some(known) = self.at_hand() {
            return Ok(known);
        }
        if let Some((when, why)) = &*last_failure
            && when.elapsed() < PAUSE
        {
            return Err(why.clone());
        }
        match self.discover().await {
            Ok(known) => {
                tracing::info!(issuer = self.issuer, "the provider is known");
                *last_failure = None;
                self.remember(known.clone());
                Ok(known)
            }
            Err(why) => {
                // Once for each reason: everybody who wants to sign in meanwhile asks again.
                if last_failure.as_ref().is_none_or(|(_, last)| *last != why) {
                    tracing::warn!(
                        issuer = self.issuer,
                        reason = why,
                        "the provider cannot be asked; nobody new can sign in until it answers"
                    );
                }
                *last_failure = Some((Instant::now(), why.clone()));
                Err(why)
            }
        }
    }

    /// Keys newer than `seen`, which do not hold the one that a token names. `seen` itself where there are none or too
    /// many asked: with forged tokens anybody could make us flood the provider.
    pub async fn newer_keys(&self, seen: &Arc<Keys>) -> Arc<Keys> {
        let mut refetches = self.refetches.lock().await;
        let Some(known) = self.at_hand() else { return Arc::clone(seen) };
        if !Arc::ptr_eq(&known.keys, seen) {
            return known.keys;
        }
        if !refetches.take() {
            tracing::warn!(
                issuer = self.issuer,
                "a token names an unknown key; keys were fetched too often to look again"
            );
            return Arc::clone(seen);
        }
        match self.fetch_keys(&known.metadata).await {
            Ok(keys) => {
                let keys = Arc::new(keys);
                self.remember(known.with(Arc::clone(&keys)));
                keys
            }
            Err(why) => {
                tracing::warn!(
                    issuer = self.issuer,
                    reason = why,
                    "the provider's keys cannot be fetched; the old ones stay"
                );
                Arc::clone(seen)
            }
        }
    }

    fn remember(&self, known: Known) {
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = Some(known);
    }

    /// Fetches anew what has aged, aside; whoever asks meanwhile is served what is known.
    fn refresh_if_due(self: &Arc<Self>, known: &Known) {
        if Instant::now() < known.next_refresh {
            return;
        }
        {
            let mut current = self.known.write().unwrap_or_else(PoisonError::into_inner);
            let Some(current) = current.as_mut().filter(|current| current.next_refresh <= Instant::now()) else {
                return;
            };
            current.next_refresh = Instant::now() + LONG_PAUSE;
        }
        let (this, known) = (Arc::clone(self), known.clone());
        tokio::spawn(async move {
            match this.refresh(&known).await {
                Ok(fresh) => this.remember(fresh),
                Err(why) => {
                    tracing::warn!(
                        issuer = this.issuer,
                        reason = why,
                        "the provider cannot be asked anew; what is known stays"
                    );
                }
            }
        });
    }

    async fn refresh(&self, known: &Known) -> Result<Known, String> {
        if known.metadata_refresh_at <= Instant::now() {
            return self.discover().await;
        }
        let keys = Arc::new(self.fetch_keys(&known.metadata).await?);
        Ok(known.with(keys))
    }

    async fn discover(&self) -> Result<Known, String> {
        let asking = async {
            let (metadata, ahead) = self.fetch_metadata().await?;
            let keys = self.fetch_keys(&metadata).await?;
            Ok::<_, String>((metadata, ahead, keys))
        };
        let (metadata, ahead, keys) =
            tokio::time::timeout(BUDGET, asking).await.map_err(|_| "no answer in time".to_owned())??;
        let metadata_refresh_at = Instant::now() + METADATA_AGE;
        let next_refresh = metadata_refresh_at.min(keys.refresh_at);
        Ok(Known { metadata: Arc::new(metadata), keys: Arc::new(keys), ahead, metadata_refresh_at, next_refresh })
    }

    /// The document, and by how much our clock is ahead.
    async fn fetch_metadata(&self) -> Result<(Metadata, Option<i64>), String> {
        let base = self.issuer.trim_end_matches('/');
        let answer = self.get("metadata", &format!("{base}/.well-known/openid-configuration")).await;
        let answer = answer.map_err(|why| format!("its discovery document: {why}"))?;
        let metadata: Metadata = serde_json::from_slice(answer.body())
            .map_err(|error| format!("its discovery document cannot be read: {}", cut(&error.to_string())))?;
        metadata.check(&self.issuer)?;
        let ahead = time_of(answer.headers()).map(|theirs| self.clock.now().unix() - theirs.unix());
        if let Some(seconds) = ahead.filter(|seconds| seconds.unsigned_abs() > SKEW) {
            tracing::warn!(issuer = self.issuer, "{}", clocks_differ(seconds));
        }
        Ok((metadata, ahead))
    }

    async fn fetch_keys(&self, metadata: &Metadata) -> Result<Keys, String> {
        let answer = self.get("keys", metadata.jwks_uri.as_str()).await.map_err(|why| format!("its keys: {why}"))?;
        let set = serde_json::from_slice(answer.body()).map_err(|_| "its keys cannot be read".to_owned())?;
        Ok(Keys { set, refresh_at: Instant::now() + keys_age(answer.headers()) })
    }

    async fn get(&self, endpoint: &'static str, url: &str) -> Result<HttpResponse, String> {
        let request: HttpRequest = http::Request::get(url)
            .header(ACCEPT, "application/json")
            .body(Vec::new())
            .map_err(|error| error.to_string())?;
        let answer = self.http.at(endpoint).send(request).await.map_err(|error| error.to_string())?;
        if answer.status().is_success() { Ok(answer) } else { Err(format!("status {}", answer.status().as_u16())) }
    }
}

impl Known {
    fn with(&self, keys: Arc<Keys>) -> Self {
        let next_refresh = self.metadata_refresh_at.min(keys.refresh_at);
        Self { keys, next_refresh, ..self.clone() }
    }
}

impl Metadata {
    /// Whether this is the document of `issuer` and can be used safely.
    fn check(&self, issuer: &str) -> Result<(), String> {
        // Byte for byte: another spelling may be another party (OpenID Connect Discovery 1.0, section 4.3).
        if self.issuer != issuer {
            let named = cut(&self.issuer);
            return Err(format!("its discovery document names the issuer {named:?}, configured is {issuer:?}"));
        }
        let endpoints = [&self.authorization_endpoint, &self.token_endpoint, &self.jwks_uri];
        if let Some(unsafe_one) = endpoints.into_iter().chain(&self.userinfo_endpoint).find(|url| !is_safe(url)) {
            return Err(format!("its endpoint {} is not https", cut(unsafe_one.as_str())));
        }
        // Silence is no promise against S256; a list without it is (RFC 9700, section 4.8: no downgrade).
        match &self.code_challenge_methods_supported {
            Some(methods) if !methods.iter().any(|method| method == "S256") => {
                Err("it does not support PKCE with S256, without which Doorward signs nobody in".to_owned())
            }
            _ => Ok(()),
        }
    }
}

/// The sentence for a clock of ours that is ahead of the provider's by so many seconds, or behind it.
pub fn clocks_differ(seconds: i64) -> String {
    let (by, where_to) = (seconds.unsigned_abs(), if seconds < 0 { "behind" } else { "ahead of" });
    format!(
        "this machine's clock is {by} seconds {where_to} the provider's, and sign-ins are refused where the two differ \
         by more than a minute; set it by NTP: timedatectl set-ntp true"
    )
}

/// What time it was for whoever answered: a cache on the way repeats `Date` and counts in `Age` (RFC 9111, section
/// 4.2.3).
fn time_of(headers: &HeaderMap) -> Option<Timestamp> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let date = chrono::DateTime::parse_from_rfc2822(text(DATE)?).ok()?.timestamp();
    let age: i64 = text(AGE).map_or(Some(0), |age| age.trim().parse().ok())?;
    Some(Timestamp::from_unix(date.checked_add(age)?))
}

/// So much of a stranger's text as a line of the log can bear.
fn cut(text: &str) -> String {
    text.chars().take(200).collect()
}

/// How long the answer may be used, by its `Cache-Control`; an hour where it does not say.
fn keys_age(headers: &HeaderMap) -> Duration {
    let directives = headers.get(CACHE_CONTROL).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let max_age = directives.split(',').find_map(|directive| {
        let (name, seconds) = directive.trim().split_once('=')?;
        name.eq_ignore_ascii_case("max-age").then(|| seconds.trim_matches('"').parse().ok())?
    });
    max_age.map_or(HOUR, Duration::from_secs).clamp(KEYS_AGE.0, KEYS_AGE.1)
}
