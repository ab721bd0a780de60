//! What an OpenID provider decides: which request is in order, who gets a code, what a code is worth. Remembers open
//! requests, codes and access tokens for their short lives, in memory. Strict where Google is strict, so that a site
//! that works with the demo works out there. Speaks of outcomes, not of HTTP.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Map, Value, json};
use url::Url;

use crate::clock::{Clock, Timestamp};
use crate::demo::people::Person;
use crate::demo::signing::{ALGORITHM, Signer, encode, sha256};
use crate::random::{self, Random};

/// How long "Choose who to be" waits for a choice.
const REQUEST_LIFE: Duration = Duration::from_secs(600);
/// How long a code waits to be exchanged (RFC 6749, section 4.1.2, advises ten minutes at the most).
const CODE_LIFE: Duration = Duration::from_secs(60);
/// How long an access token opens userinfo, and an ID token holds.
const TOKEN_LIFE: Duration = Duration::from_secs(600);
/// How many of each are remembered; the oldest goes first.
const REMEMBERED: usize = 1_000;

/// The one site that signs people in here.
pub struct Client {
    /// Where codes are sent: exactly this.
    pub redirect_uri: Url,
    /// The site's name at this provider.
    pub id: String,
    /// The site's secret at this provider.
    pub secret: String,
}

/// A pretend OpenID provider.
pub struct OpenId {
    issuer: String,
    client: Client,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    signer: Signer,
    open: Mutex<Open>,
}

/// An authorization request that is in order.
#[derive(Clone)]
struct Asked {
    state: Option<String>,
    nonce: Option<String>,
    challenge: String,
    scopes: Vec<String>,
}

/// What a code stands for.
struct Grant {
    asked: Asked,
    person: &'static Person,
    chosen_at: Timestamp,
    /// The access token that the code was exchanged for. A code that has one is spent.
    spent_for: Option<String>,
}

/// What an access token opens.
struct Access {
    person: &'static Person,
    scopes: Vec<String>,
}

#[derive(Default)]
struct Open {
    requests: HashMap<String, (Timestamp, Asked)>,
    codes: HashMap<String, (Timestamp, Grant)>,
    access: HashMap<String, (Timestamp, Access)>,
}

/// What becomes of an authorization request.
pub enum Authorization {
    /// Ask the person: the request's handle, and whom the site expects.
    Ask(String, Option<String>),
    /// Send the browser back to the site with this answer.
    Return(Url),
    /// Whoever sent the browser here cannot be trusted with an answer.
    Refuse(&'static str),
}

/// Why the token endpoint gives nothing (RFC 6749, section 5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The site did not prove that it is the site.
    InvalidClient,
    /// The code is unknown, spent, too old, or another's; or the verifier does not fit it.
    InvalidGrant,
    /// Only codes are exchanged here.
    UnsupportedGrantType,
    /// A parameter is missing or stands twice.
    InvalidRequest,
    /// The key refuses to sign.
    ServerError,
}

impl Refusal {
    /// The word for it in the answer.
    pub fn code(self) -> &'static str {
        match self {
            Self::InvalidClient => "invalid_client",
            Self::InvalidGrant => "invalid_grant",
            Self::UnsupportedGrantType => "unsupported_grant_type",
            Self::InvalidRequest => "invalid_request",
            Self::ServerError => "server_error",
        }
    }
}

impl OpenId {
    /// A provider that calls itself `issuer` and knows `client`.
    pub fn new(issuer: String, client: Client, clock: Arc<dyn Clock>, random: Arc<dyn Random>) -> io::Result<Self> {
        Ok(Self { issuer, client, clock, random, signer: Signer::new()?, open: Mutex::default() })
    }

    /// The site, as a person would call it: `localhost:3000`.
    pub fn site(&self) -> &str {
        &self.client.redirect_uri[url::Position::BeforeHost..url::Position::AfterPort]
    }

    /// The site's address.
    pub fn home(&self) -> String {
        self.client.redirect_uri.origin().ascii_serialization()
    }

    /// The discovery document (OpenID Connect Discovery 1.0, section 3).
    pub fn discovery(&self) -> Value {
        let at = |path: &str| format!("{}{path}", self.issuer);
        json!({
            "issuer": self.issuer,
            "authorization_endpoint": at("/authorize"),
            "token_endpoint": at("/token"),
            "userinfo_endpoint": at("/userinfo"),
            "jwks_uri": at("/keys"),
            "response_types_supported": ["code"],
            "response_modes_supported": ["query"],
            "grant_types_supported": ["authorization_code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": [ALGORITHM],
            "token_endpoint_auth_methods_supported": ["client_secret_basic"],
            "code_challenge_methods_supported": ["S256"],
            "scopes_supported": ["openid", "email", "profile"],
            "claims_supported": [
                "iss", "sub", "aud", "exp", "iat", "auth_time", "nonce", "at_hash", "azp",
                "email", "email_verified", "name", "given_name", "family_name", "picture",
            ],
            "authorization_response_iss_parameter_supported": true,
            "request_parameter_supported": false,
            "request_uri_parameter_supported": false,
            "claims_parameter_supported": false,
        })
    }

    /// The keys that ID tokens are signed with.
    pub fn key_set(&self) -> Value {
        self.signer.key_set()
    }

    /// Judges an authorization request (OpenID Connect Core 1.0, section 3.1.2.1). `None`: a parameter stands twice.
    pub fn authorize(&self, asked: Option<&HashMap<String, String>>) -> Authorization {
        let Some(asked) = asked else {
            return Authorization::Refuse("The request names a parameter twice.");
        };
        let get = |name: &str| asked.get(name).map(String::as_str);
        if get("client_id") != Some(self.client.id.as_str()) {
            return Authorization::Refuse("The request comes from a site that this demo does not know.");
        }
        // Byte for byte (RFC 9700, section 2.1). Until this is so, not even an error may be sent there.
        if get("redirect_uri") != Some(self.client.redirect_uri.as_str()) {
            return Authorization::Refuse("The request wants its answer sent to another address than the site's own.");
        }
        let state = get("state").map(str::to_owned);
        if let Some(error) = self.fault(asked) {
            return Authorization::Return(self.answer(state.as_deref(), &[("error", error)]));
        }
        let request = Asked {
            state,
            nonce: get("nonce").map(str::to_owned),
            challenge: get("code_challenge").unwrap_or_default().to_owned(),
            scopes: get("scope").unwrap_or_default().split(' ').map(str::to_owned).collect(),
        };
        let handle = self.handle();
        let now = self.clock.now();
        remember(&mut self.open().requests, handle.clone(), now, REQUEST_LIFE, request);
        Authorization::Ask(handle, get("login_hint").map(str::to_owned))
    }

    /// What is wrong with a request that comes from the right site, as a word for its answer.
    fn fault(&self, asked: &HashMap<String, String>) -> Option<&'static str> {
        let get = |name: &str| asked.get(name).map(String::as_str).unwrap_or_default();
        let prompts: Vec<_> = get("prompt").split(' ').collect();
        match () {
            () if asked.contains_key("request") => Some("request_not_supported"),
            () if asked.contains_key("request_uri") => Some("request_uri_not_supported"),
            () if get("response_type") != "code" => Some("unsupported_response_type"),
            () if !matches!(get("response_mode"), "" | "query") => Some("invalid_request"),
            () if !get("scope").split(' ').any(|scope| scope == "openid") => Some("invalid_scope"),
            // 43 characters are what SHA-256 comes to in base64url (RFC 7636, section 4.2).
            () if get("code_challenge_method") != "S256" || get("code_challenge").len() != 43 => {
                Some("invalid_request")
            }
            () if prompts.contains(&"none") && prompts.len() > 1 => Some("invalid_request"),
            // Nobody is ever signed in here, so somebody has to be asked.
            () if prompts.contains(&"none") => Some("login_required"),
            () => None,
        }
    }

    /// The browser's way back to the site, once `person` was chosen (`None`: the choice was cancelled). Each request is
    /// answered once: `None` where there is no such request, or no longer.
    pub fn choose(&self, request: &str, person: Option<&'static Person>) -> Option<Url> {
        let now = self.clock.now();
        let (end, asked) = self.open().requests.remove(request)?;
        if now >= end {
            return None;
        }
        let state = asked.state.clone();
        let Some(person) = person else {
            return Some(self.answer(state.as_deref(), &[("error", "access_denied")]));
        };
        let code = self.handle();
        let grant = Grant { asked, person, chosen_at: now, spent_for: None };
        remember(&mut self.open().codes, code.clone(), now, CODE_LIFE, grant);
        Some(self.answer(state.as_deref(), &[("code", &code)]))
    }

    /// Exchanges a code (RFC 6749, section 4.1.3; RFC 7636, section 4.6). `credentials` are the id and the secret that
    /// came by HTTP Basic, `form` the parameters, `None` where one stands twice.
    pub fn exchange(
        &self,
        credentials: Option<(String, String)>,
        form: Option<&HashMap<String, String>>,
    ) -> Result<Value, Refusal> {
        let expected = (self.client.id.clone(), self.client.secret.clone());
        if credentials != Some(expected) {
            return Err(Refusal::InvalidClient);
        }
        let form = form.ok_or(Refusal::InvalidRequest)?;
        let get = |name: &str| form.get(name).map(String::as_str).ok_or(Refusal::InvalidRequest);
        if get("grant_type")? != "authorization_code" {
            return Err(Refusal::UnsupportedGrantType);
        }
        let (code, redirect_uri, verifier) = (get("code")?, get("redirect_uri")?, get("code_verifier")?);
        let now = self.clock.now();
        let access_token = self.handle();
        let claims = {
            let mut open = self.open();
            let Open { codes, access, .. } = &mut *open;
            let (end, grant) = codes.get_mut(code).ok_or(Refusal::InvalidGrant)?;
            if let Some(first) = &grant.spent_for {
                // Two have the code, so one of them stole it: what it bought is worth nothing any more.
                access.remove(first);
                return Err(Refusal::InvalidGrant);
            }
            let fits = encode(&sha256(verifier.as_bytes())) == grant.asked.challenge;
            if now >= *end || !fits || redirect_uri != self.client.redirect_uri.as_str() {
                return Err(Refusal::InvalidGrant);
            }
            grant.spent_for = Some(access_token.clone());
            let opened = Access { person: grant.person, scopes: grant.asked.scopes.clone() };
            remember(access, access_token.clone(), now, TOKEN_LIFE, opened);
            self.id_claims(grant, now, &access_token)
        };
        let id_token = self.signer.sign(&claims).map_err(|_| Refusal::ServerError)?;
        Ok(json!({
            "access_token": access_token,
            "token_type": "Bearer",
            "expires_in": TOKEN_LIFE.as_secs(),
            "id_token": id_token,
        }))
    }

    /// Whose `access_token` this is (OpenID Connect Core 1.0, section 5.3.2).
    pub fn userinfo(&self, access_token: &str) -> Option<Value> {
        let now = self.clock.now();
        let open = self.open();
        let (end, access) = open.access.get(access_token)?;
        (now < *end).then(|| Value::Object(self.person_claims(access.person, &access.scopes)))
    }

    /// The claims of an ID token (OpenID Connect Core 1.0, section 2).
    fn id_claims(&self, grant: &Grant, now: Timestamp, access_token: &str) -> Value {
        let mut claims = self.person_claims(grant.person, &grant.asked.scopes);
        let mut set = |name: &str, value: Value| claims.insert(name.to_owned(), value);
        set("iss", json!(self.issuer));
        set("aud", json!(self.client.id));
        set("azp", json!(self.client.id));
        set("iat", json!(now.unix()));
        set("exp", json!((now + TOKEN_LIFE).unix()));
        set("auth_time", json!(grant.chosen_at.unix()));
        set("at_hash", json!(encode(&sha256(access_token.as_bytes())[..16])));
        if let Some(nonce) = &grant.asked.nonce {
            set("nonce", json!(nonce));
        }
        Value::Object(claims)
    }

    fn person_claims(&self, person: &Person, scopes: &[String]) -> Map<String, Value> {
        let asked = |scope: &str| scopes.iter().any(|asked| asked == scope);
        let mut claims = Map::new();
        let mut set = |name: &str, value: Value| claims.insert(name.to_owned(), value);
        set("sub", json!(person.subject));
        if asked("email") {
            set("email", json!(person.email));
            set("email_verified", json!(person.email_verified));
        }
        if asked("profile") {
            set("name", json!(person.name));
            set("given_name", json!(person.given_name));
            set("family_name", json!(person.family_name));
            if let Some(path) = person.picture() {
                set("picture", json!(format!("{}{path}", self.issuer)));
            }
        }
        claims
    }

    /// The site's address with an answer in it; `iss` tells it whose answer that is (RFC 9207).
    fn answer(&self, state: Option<&str>, answer: &[(&str, &str)]) -> Url {
        let mut url = self.client.redirect_uri.clone();
        let state = state.map(|state| ("state", state));
        url.query_pairs_mut().extend_pairs(answer).extend_pairs(state).append_pair("iss", &self.issuer);
        url
    }

    fn handle(&self) -> String {
        encode(&random::bytes::<32>(self.random.as_ref()))
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        // Whoever panicked while holding it left at worst one entry too few.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Puts `value` among the `remembered` for `life`, and drops what is over and, where there are too many, the oldest.
fn remember<T>(
    remembered: &mut HashMap<String, (Timestamp, T)>,
    handle: String,
    now: Timestamp,
    life: Duration,
    value: T,
) {
    remembered.retain(|_, (end, _)| now < *end);
    if remembered.len() >= REMEMBERED {
        let oldest = remembered.iter().min_by_key(|(_, (end, _))| *end).map(|(handle, _)| handle.clone());
        oldest.map(|handle| remembered.remove(&handle));
    }
    remembered.insert(handle, (now + life, value));
}
