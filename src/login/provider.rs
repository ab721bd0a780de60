//! The OpenID client: the request that the browser carries to the provider, the code's exchange, the claims.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use http::header::{ACCEPT, AUTHORIZATION};
use openidconnect::core::{
    CoreAuthenticationFlow, CoreClient, CoreErrorResponseType, CoreJwsSigningAlgorithm, CoreTokenResponse,
};
use openidconnect::{
    AccessToken, AuthType, AuthUrl, AuthorizationCode, ClientId, ClientSecret, CsrfToken, EndpointNotSet, EndpointSet,
    IssuerUrl, Nonce, OAuth2TokenResponse, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, RequestTokenError, Scope,
    StandardErrorResponse, TokenResponse, TokenUrl,
};
use serde_json::Value;
use tokio::sync::{Semaphore, SemaphorePermit};
use url::Url;

use crate::clock::{Clock, Timestamp};
use crate::config::provider::{GOOGLE_ISSUER, Provider as Config};
use crate::login::LoginError;
use crate::login::discovery::{Discovery, Known, Metadata};
use crate::login::error::cleaned;
use crate::login::http::{Http, HttpError, HttpSetupError, is_safe};
use crate::login::id_token::{self, Expected, Fault};
use crate::login::identity::{self, Claims};
use crate::login::pending::PendingLogin;
use crate::model::Identity;
use crate::names::Names;

/// How many codes are exchanged at once; a storm of sign-ins must not take the sessions' connections and memory.
const EXCHANGES: usize = 64;

/// How long a sign-in waits for its turn.
const TURN: Duration = Duration::from_secs(2);

type Client = CoreClient<EndpointSet, EndpointNotSet, EndpointNotSet, EndpointNotSet, EndpointSet, EndpointNotSet>;
type ExchangeError = RequestTokenError<HttpError, StandardErrorResponse<CoreErrorResponseType>>;

/// Why a provider cannot be used as configured.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// The issuer is no address that may be asked.
    #[error("the issuer {0:?} is neither an https address nor one of this machine")]
    Issuer(String),
    /// A signature algorithm that does not exist or does not sign.
    #[error("{0:?} is no signature algorithm for ID tokens")]
    Algorithm(String),
    /// The address of our own callback.
    #[error("the redirect URI {0:?} is no URL")]
    RedirectUri(String),
    /// The HTTP client.
    #[error(transparent)]
    Http(#[from] HttpSetupError),
}

/// One provider.
pub struct Provider {
    config: Config,
    issuer: IssuerUrl,
    client_id: ClientId,
    client_secret: ClientSecret,
    redirect_uri: RedirectUrl,
    algorithms: Vec<CoreJwsSigningAlgorithm>,
    http: Http,
    discovery: Arc<Discovery>,
    exchanges: Semaphore,
}

impl Provider {
    /// The provider of `config`, which sends browsers back to `redirect_uri`. Asks nobody yet.
    pub fn new(config: &Config, redirect_uri: &str, names: Names, clock: Arc<dyn Clock>) -> Result<Self, Unusable> {
        let issuer = IssuerUrl::new(config.issuer.clone()).ok().filter(|issuer| is_safe(issuer.url()));
        let issuer = issuer.ok_or_else(|| Unusable::Issuer(config.issuer.clone()))?;
        let redirect_uri =
            RedirectUrl::new(redirect_uri.to_owned()).map_err(|_| Unusable::RedirectUri(redirect_uri.to_owned()))?;
        let algorithms = config.algorithms.iter().map(|name| algorithm(name)).collect::<Result<_, _>>()?;
        let http = Http::new(&config.name, names, config.ca_file.as_deref().map(Path::new))?;
        Ok(Self {
            discovery: Arc::new(Discovery::new(&config.issuer, http.clone(), clock)),
            issuer,
            client_id: ClientId::new(config.client_id.clone()),
            client_secret: ClientSecret::new(config.client_secret.reveal().to_owned()),
            redirect_uri,
            algorithms,
            http,
            exchanges: Semaphore::new(EXCHANGES),
            config: config.clone(),
        })
    }

    /// Keeps what `before` knows of the same issuer.
    pub fn take_over(&mut self, before: &Self) {
        if self.config.issuer == before.config.issuer && self.config.ca_file == before.config.ca_file {
            self.discovery = Arc::clone(&before.discovery);
        }
    }

    /// Its name in the configuration.
    pub fn name(&self) -> &str {
        &self.config.name
    }

    /// Whether it is Google.
    pub fn is_google(&self) -> bool {
        self.config.issuer == GOOGLE_ISSUER
    }

    /// Where it sends browsers back to.
    pub fn redirect_uri(&self) -> &str {
        self.redirect_uri.as_str()
    }

    /// Whether metadata and keys are at hand.
    pub fn is_known(&self) -> bool {
        self.discovery.at_hand().is_some()
    }

    /// Metadata and keys, asked for where they are not at hand.
    pub async fn known(&self) -> Result<Known, LoginError> {
        self.discovery.known().await.map_err(LoginError::ProviderUnavailable)
    }

    /// Whether `iss`, as far as an answer names it, is the one that was asked (RFC 9207).
    pub fn is_issuer(&self, iss: Option<&str>) -> bool {
        iss.is_none_or(|iss| iss == self.config.issuer)
    }

    /// Where to send the browser for `pending` (RFC 6749, section 4.1.1; RFC 7636; OpenID Connect Core 1.0, 3.1.2.1).
    pub async fn authorization_url(
        &self,
        pending: &PendingLogin,
        prompt: Option<&str>,
        hosted_domain: Option<&str>,
    ) -> Result<Url, LoginError> {
        let known = self.known().await?;
        let client = self.client(&known.metadata);
        let verifier = PkceCodeVerifier::new(pending.verifier.encoded());
        let (state, nonce) = (pending.state.encoded(), pending.nonce.encoded());
        let mut request = client
            .authorize_url(
                CoreAuthenticationFlow::AuthorizationCode,
                move || CsrfToken::new(state),
                move || Nonce::new(nonce),
            )
            .add_scope(Scope::new("email".to_owned()))
            .add_scope(Scope::new("profile".to_owned()))
            .set_pkce_challenge(PkceCodeChallenge::from_code_verifier_sha256(&verifier));
        if let Some(prompt) = prompt {
            request = request.add_extra_param("prompt", prompt);
        }
        if pending.must_prove {
            // Asks for `auth_time` in the answer, by which it is seen whether the provider did as it was told.
            request = request.set_max_age(Duration::ZERO);
        }
        if let Some(hosted_domain) = hosted_domain {
            // Only a hint to the chooser; the rules look at the signed claim.
            request = request.add_extra_param("hd", hosted_domain);
        }
        Ok(request.url().0)
    }

    /// Waits for a turn to exchange a code, which lasts until the permit is dropped.
    pub async fn turn(&self) -> Result<SemaphorePermit<'_>, LoginError> {
        let turn = tokio::time::timeout(TURN, self.exchanges.acquire()).await.ok().and_then(Result::ok);
        turn.ok_or_else(|| LoginError::ProviderUnavailable("too many sign-ins at once".to_owned()))
    }

    /// Spends `code` and returns who it was for, and when they last showed who they are. Never repeated: a code can be
    /// spent once.
    pub async fn identify(
        &self,
        known: &Known,
        code: String,
        pending: &PendingLogin,
        traceparent: &str,
        clock: &dyn Clock,
    ) -> Result<(Identity, Option<Timestamp>), LoginError> {
        let (client, http) = (self.client(&known.metadata), self.http.within(traceparent));
        let tokens = client
            .exchange_code(AuthorizationCode::new(code))
            .set_pkce_verifier(PkceCodeVerifier::new(pending.verifier.encoded()))
            .request_async(&http.at("token"))
            .await
            .map_err(|error| exchange_failed(&error))?;
        let claims = self.verified(&tokens, known, &pending.nonce.encoded(), clock.now()).await?;
        let proved_at = self.proved_at(&claims, pending, clock.now())?;
        let userinfo = self.userinfo(&http, &known.metadata, tokens.access_token(), &claims).await?;
        Ok((identity::identity(&claims, userinfo.as_ref(), &self.config)?, proved_at))
    }

    /// When the person last showed who they are, as far as is known (OpenID Connect Core 1.0, section 3.1.3.7, 13). A
    /// provider that was told to ask anew and does not say whether it did is believed. Google never says, and asks as
    /// often as it sees fit.
    fn proved_at(
        &self,
        claims: &Claims,
        pending: &PendingLogin,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, LoginError> {
        match id_token::auth_time(claims).map_err(LoginError::BadIdToken)? {
            Some(then) if pending.must_prove && then + id_token::LEEWAY < pending.begun_at => {
                Err(LoginError::NotAskedAgain(then))
            }
            Some(then) => Ok(Some(then.min(now))),
            None => Ok((pending.must_prove || self.is_google()).then_some(now)),
        }
    }

    /// Whether the provider takes us for a client of its own: it looks at who asks before it looks at the code, and this
    /// code is none. `Ok` where it complains of the code alone.
    pub async fn try_client(&self, known: &Known) -> Result<(), LoginError> {
        let code = AuthorizationCode::new("no-code-only-a-question".to_owned());
        let client = self.client(&known.metadata);
        let verifier = PkceCodeVerifier::new("v".repeat(43));
        let answered =
            client.exchange_code(code).set_pkce_verifier(verifier).request_async(&self.http.at("token")).await;
        match answered.map_err(|error| exchange_failed(&error)) {
            Err(error @ LoginError::ProviderUnavailable(_)) => Err(error),
            Err(LoginError::CodeRefused(code)) if code != "invalid_grant" && code != "invalid_request" => {
                Err(LoginError::CodeRefused(code))
            }
            _ => Ok(()),
        }
    }

    fn client(&self, metadata: &Metadata) -> Client {
        let auth_type = match metadata.token_endpoint_auth_methods_supported.as_deref() {
            Some(methods) if !methods.iter().any(|method| method == "client_secret_basic") => {
                let has_post = methods.iter().any(|method| method == "client_secret_post");
                if has_post { AuthType::RequestBody } else { AuthType::BasicAuth }
            }
            _ => AuthType::BasicAuth,
        };
        CoreClient::new(self.client_id.clone(), self.issuer.clone(), openidconnect::JsonWebKeySet::default())
            .set_client_secret(self.client_secret.clone())
            .set_auth_type(auth_type)
            .set_auth_uri(AuthUrl::from_url(metadata.authorization_endpoint.clone()))
            .set_token_uri(TokenUrl::from_url(metadata.token_endpoint.clone()))
            .set_redirect_uri(self.redirect_uri.clone())
    }

    /// The claims of the ID token in `tokens`. One signed with an unknown key is looked at once more with newer keys.
    async fn verified(
        &self,
        tokens: &CoreTokenResponse,
        known: &Known,
        nonce: &str,
        now: Timestamp,
    ) -> Result<Claims, LoginError> {
        let id_token = tokens.id_token().ok_or_else(|| LoginError::BadIdToken("there is none".to_owned()))?;
        let expected = Expected {
            issuer: &self.issuer,
            client_id: &self.client_id,
            client_secret: &self.client_secret,
            algorithms: &self.algorithms,
            nonce,
            now,
        };
        let mut verdict = id_token::verify(id_token, &known.keys.set, tokens.access_token(), &expected);
        if matches!(verdict, Err(Fault::UnknownKey)) {
            let newer = self.discovery.newer_keys(&known.keys).await;
            verdict = id_token::verify(id_token, &newer.set, tokens.access_token(), &expected);
        }
        verdict.map_err(|fault| match fault {
            Fault::UnknownKey => LoginError::BadIdToken("it is signed with an unknown key".to_owned()),
            Fault::ClockSkew(why) => LoginError::ClockSkew(why),
            Fault::Bad(why) => LoginError::BadIdToken(why),
        })
    }

    /// Further claims for the same subject, where the ID token's leave something open. An endpoint that fails is fatal
    /// only where it was needed for the address.
    async fn userinfo(
        &self,
        http: &Http,
        metadata: &Metadata,
        access_token: &AccessToken,
        id_token: &Claims,
    ) -> Result<Option<Claims>, LoginError> {
        let Some(endpoint) = metadata.userinfo_endpoint.as_ref() else { return Ok(None) };
        if !identity::lacks_something(id_token, &self.config) {
            return Ok(None);
        }
        match self.ask_userinfo(http, endpoint, access_token).await {
            // Claims about somebody else must never be merged (OpenID Connect Core 1.0, section 5.3.2).
            Ok(claims) if claims.get("sub") != id_token.get("sub") => {
                Err(LoginError::BadIdToken("userinfo is about another subject".to_owned()))
            }
            Ok(claims) => Ok(Some(claims)),
            Err(why) if identity::email_is_open(id_token) => {
                Err(LoginError::ProviderUnavailable(format!("its userinfo endpoint: {why}")))
            }
            Err(why) => {
                tracing::warn!(
                    reason = why,
                    "the provider's userinfo endpoint cannot be asked; the name stays unknown"
                );
                Ok(None)
            }
        }
    }

    async fn ask_userinfo(&self, http: &Http, endpoint: &Url, access_token: &AccessToken) -> Result<Claims, String> {
        let request = ::http::Request::get(endpoint.as_str())
            .header(ACCEPT, "application/json")
            .header(AUTHORIZATION, format!("Bearer {}", access_token.secret()))
            .body(Vec::new())
            .map_err(|_| "the access token is not one that can be sent".to_owned())?;
        let answer = http.at("userinfo").send(request).await.map_err(|error| error.to_string())?;
        if !answer.status().is_success() {
            return Err(format!("it answered with status {}", answer.status().as_u16()));
        }
        // A signed answer (`application/jwt`) or a list is no object, and is refused with everything else that is none.
        match serde_json::from_slice(answer.body()) {
            Ok(Value::Object(claims)) => Ok(claims),
            _ => Err("its answer is no JSON object".to_owned()),
        }
    }
}

fn algorithm(name: &str) -> Result<CoreJwsSigningAlgorithm, Unusable> {
    let unknown = || Unusable::Algorithm(name.to_owned());
    let algorithm = serde_json::from_value(Value::String(name.to_owned())).map_err(|_| unknown())?;
    if algorithm == CoreJwsSigningAlgorithm::None { Err(unknown()) } else { Ok(algorithm) }
}

/// Why a code gave no tokens, without quoting what came: it may hold some.
fn exchange_failed(error: &ExchangeError) -> LoginError {
    let unavailable = |why: String| LoginError::ProviderUnavailable(format!("its token endpoint: {why}"));
    match error {
        RequestTokenError::ServerResponse(answer) => match cleaned(answer.error().as_ref()) {
            code if code == "server_error" || code == "temporarily_unavailable" => unavailable(code),
            code => LoginError::CodeRefused(code),
        },
        RequestTokenError::Request(error) => unavailable(error.to_string()),
        RequestTokenError::Parse(_, body) => {
            unreadable(body).unwrap_or_else(|| unavailable("no token response".to_owned()))
        }
        RequestTokenError::Other(_) => unavailable("no token response".to_owned()),
    }
}

/// What is wrong with the ID token in a token response that the library could not read. It refuses the whole response
/// for an `email_verified` that is no boolean, and that person deserves to hear what is so.
fn unreadable(body: &[u8]) -> Option<LoginError> {
    let response: Value = serde_json::from_slice(body).ok()?;
    let id_token = response.get("id_token")?;
    let claims = id_token.as_str().and_then(id_token::unverified_claims).unwrap_or_default();
    match claims.get("email_verified") {
        None | Some(Value::Null | Value::Bool(_)) => Some(LoginError::BadIdToken("it cannot be read".to_owned())),
        Some(_) => Some(LoginError::EmailUnverified(None)),
    }
}
